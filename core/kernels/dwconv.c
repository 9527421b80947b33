/* Depthwise convolution over a list of taps: borders need no padding, the caller leaves out the taps that fall outside. */
#include <string.h>

#include "kernels/kernels.h"

void mieni_dwconv_f32_c(float *y, const float *x, ptrdiff_t x_step, int n_px, int c, const MieniTap *tap, int n_taps,
                        const float *w, const float *bias, MieniAct act)
{
    for (int p = 0; p < n_px; p++, y += c, x += x_step) {
        if (bias)
            memcpy(y, bias, (size_t)c * sizeof(*y));
        else
            memset(y, 0, (size_t)c * sizeof(*y));
        for (int t = 0; t < n_taps; t++) {
            float *restrict yt = y;
            const float *restrict xt = x + tap[t].x, *restrict wt = w + tap[t].w;
            for (int i = 0; i < c; i++)
                yt[i] += xt[i] * wt[i];
        }
        if (act.kind != MIENI_ACT_NONE)
            mieni_affine_f32_c(y, c, y, c, 1, c, NULL, NULL, act);
    }
}
