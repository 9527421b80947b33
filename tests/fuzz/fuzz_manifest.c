/* Fuzz: any bytes as a models folder's manifest.json. */
#include <string.h>

#include "models/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    MieniManifest m;
    size_t sum = 0;

    if (mieni_manifest_parse(&m, (const char *)data, bytes, "fuzz", (MienLog){ 0 }) < 0)
        return 0;
    for (size_t i = 0; i < m.n_models; i++)
        sum += strlen(m.model[i].role) + strlen(m.model[i].name) + strlen(m.model[i].file) + strlen(m.model[i].origin);
    mieni_manifest_uninit(&m);
    return sum == SIZE_MAX; /* use it, so that the reads stay */
}
