/* Fuzz: any bytes as a preset; what opens must have numbers everywhere that it says, and pack to something that opens again. */
#include <stdlib.h>

#include "mien/preset.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    MienPreset *p, *again, *blend;
    MienStyleTarget target;
    MienLog silent = { 0 };
    double sum = 0, weight[2] = { 1, 2 };
    if (mien_preset_parse(&p, data, bytes, "fuzz", silent) < 0)
        return 0;
    const MienPresetInfo *info = mien_preset_info(p);
    for (int s = 0; s < info->n_scales; s++) {
        if (mien_preset_target(p, s, &target) < 0)
            abort();
        for (int i = 0; i < target.n_layers; i++)
            for (int k = 0; k < target.layer[i].channels * target.layer[i].channels; k++)
                sum += (double)target.layer[i].gram[k];
    }
    uint8_t *packed;
    size_t n;
    if (!(sum == sum) || mien_preset_pack(p, &packed, &n, silent) < 0 || mien_preset_parse(&again, packed, n, "again", silent) < 0)
        abort();
    MienPreset *two[] = { p, again };
    if (mien_preset_blend(&blend, two, weight, 2, "blend", silent) < 0 && info->name[0] == '.')
        abort();
    mien_preset_unref(&blend);
    mien_preset_unref(&again);
    mien_preset_unref(&p);
    mien_free(packed);
    return 0;
}
