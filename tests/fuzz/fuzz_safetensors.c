/* Fuzz: any bytes as a safetensors file; what parses must also be readable to its last byte and pack again. */
#include <string.h>

#include "mien/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    MienWeights *w;
    if (mien_weights_parse(&w, data, bytes, "fuzz", (MienLog){ 0 }) < 0)
        return 0;
    unsigned sum = 0;
    for (size_t i = 0; i < mien_weights_count(w); i++) {
        const MienTensor *t = mien_weights_get(w, i);
        for (size_t b = 0; b < t->bytes; b++)
            sum += ((const uint8_t *)t->data)[b];
        uint8_t *packed;
        size_t packed_bytes;
        if (mien_weights_pack(&packed, &packed_bytes, t, 1, NULL, 0, (MienLog){ 0 }) == 0)
            mien_free(packed);
    }
    const char *key, *value;
    for (size_t i = 0; mien_weights_meta_at(w, i, &key, &value) == 0; i++)
        sum += (unsigned)(strlen(key) + strlen(value));
    mien_weights_close(&w);
    return sum == 0xdeadbeef; /* use it, so that the reads stay */
}
