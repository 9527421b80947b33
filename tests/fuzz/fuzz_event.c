/* Fuzz: any bytes as a line of facetag's log. What is accepted is within the bounds that the readers rely on. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tool/event_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *line = malloc(bytes + 1);
    const char *why = NULL;
    LoggedEvent e;
    must(line != NULL);
    if (bytes)
        memcpy(line, data, bytes);
    line[bytes] = '\0';
    if (event_parse(line, &e, &why) < 0) {
        must(why && *why);
    } else {
        must(e.kind >= MIEN_EVENT_ENTER && e.kind <= MIEN_EVENT_LEAVE);
        must(mien_status_name(e.status) != NULL && e.status <= MIEN_STATUS_SPOOF);
        must(e.track >= 0 && e.id >= -1 && e.first_frame >= -1 && e.last_frame >= -1);
        must(strlen(e.name) <= MIEN_NAME_MAX_BYTES && (e.status != MIEN_STATUS_KNOWN || e.name[0]));
        must(strlen(e.thumb) < sizeof(e.thumb));
        must((isnan(e.first_s) || fabs(e.first_s) < 1e15) && !isinf(e.last_s) && !isinf(e.wall_s));
    }
    free(line);
    return 0;
}
