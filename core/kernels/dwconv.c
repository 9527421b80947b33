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

void mieni_dwconv_grad_f32_c(float *dw, const float *d, const float *x, const MieniWindow *win, int w, int out_w, int c)
{
    for (int ox = 0; ox < out_w; ox++, d += c) {
        int64_t ix = (int64_t)ox * win->stride_x - win->pad_l;
        int k0, k1;
        mieni_window_range(ix, win->kw, win->dil_x, w, &k0, &k1);
        for (int kx = k0; kx < k1; kx++) {
            float *restrict dwt = dw + (ptrdiff_t)kx * c;
            const float *restrict xt = x + (ix + (int64_t)kx * win->dil_x) * c, *restrict dt = d;
            for (int i = 0; i < c; i++)
                dwt[i] += xt[i] * dt[i];
        }
    }
}
