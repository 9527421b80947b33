/* Fuzz: any bytes as the logs and boxes of two or three parts, separated by NULs. What comes out is a log that can be read again. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool/stitch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    StitchPart part[3] = { { .from_us = 0 }, { .from_us = 10000000 }, { .from_us = 10500000 } };
    char *text = malloc(bytes + 1), *p = text, *out, *again;
    size_t out_bytes, again_bytes;
    if (!text)
        return 0;
    if (bytes)
        memcpy(text, data, bytes);
    text[bytes] = 0;
    for (int i = 0; i < 6; i++) {
        size_t n = p <= text + bytes ? strlen(p) : 0;
        const char *at = n ? p : "";
        if (i % 2) {
            part[i / 2].frames = at;
            part[i / 2].frames_bytes = n;
        } else {
            part[i / 2].log = at;
            part[i / 2].log_bytes = n;
        }
        p += n + (p + n < text + bytes + 1);
    }
    for (int n = 2; n <= 3; n++)
        if (stitch_logs(part, n, (MienLog){ 0 }, &out, &out_bytes) == 0) {
            StitchPart whole[2] = { { out, out_bytes, "", 0, 0 }, { "", 0, "", 0, INT64_MAX } };
            if (stitch_logs(whole, 2, (MienLog){ 0 }, &again, &again_bytes) != 0)
                abort();
            mien_free(again);
            mien_free(out);
        }
    free(text);
    return 0;
}
