/* Fuzz: a TensorFlow.js weight manifest, JSON up to the first NUL byte, and the weights behind it. */
#include <string.h>

#include "models/import_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const uint8_t *nul = bytes ? memchr(data, 0, bytes) : NULL;
    size_t n_json = nul ? (size_t)(nul - data) : bytes, n_data = nul ? bytes - n_json - 1 : 0;
    MienImportParams params = { .role = "face-encoder" };
    uint8_t *packed;
    size_t n;
    char *names;

    if (mieni_import_tfjs_bytes((const char *)data, n_json, nul ? nul + 1 : data, n_data, "fuzz", &params, &packed, &n,
                                (MienLog){ 0 }) == 0)
        mien_free(packed);
    if (mieni_tfjs_paths((const char *)data, n_json, "fuzz", &names, (MienLog){ 0 }) >= 0)
        mien_free(names);
    return 0;
}
