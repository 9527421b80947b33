/* Element-wise kernels: scale, bias and activation in one pass, weighted sum, product with a factor a channel. */
#include <math.h>

#include "kernels/kernels.h"

static void act_row(float *y, int c, MieniAct act)
{
    switch (act.kind) {
    case MIENI_ACT_NONE:
        break;
    case MIENI_ACT_RELU:
        for (int i = 0; i < c; i++)
            y[i] = y[i] > 0 ? y[i] : 0;
        break;
    case MIENI_ACT_PRELU:
        for (int i = 0; i < c; i++)
            y[i] = y[i] < 0 ? act.slope[i] * y[i] : y[i];
        break;
    case MIENI_ACT_SIGMOID:
        for (int i = 0; i < c; i++)
            y[i] = 1 / (1 + expf(-y[i]));
        break;
    }
}

void mieni_affine_f32_c(float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px, int c, const float *scale,
                        const float *bias, MieniAct act)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += ldy, x += ldx) {
        if (scale && bias) {
            for (int i = 0; i < c; i++)
                y[i] = x[i] * scale[i] + bias[i];
        } else if (scale) {
            for (int i = 0; i < c; i++)
                y[i] = x[i] * scale[i];
        } else if (bias) {
            for (int i = 0; i < c; i++)
                y[i] = x[i] + bias[i];
        } else if (y != x) {
            for (int i = 0; i < c; i++)
                y[i] = x[i];
        }
        act_row(y, c, act);
    }
}

void mieni_add_f32_c(float *y, const float *a, const float *b, float alpha, float beta, ptrdiff_t n_px, int c, MieniAct act)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += c, a += c, b += c) {
        for (int i = 0; i < c; i++)
            y[i] = alpha * a[i] + beta * b[i];
        act_row(y, c, act);
    }
}

void mieni_mul_channel_f32_c(float *y, const float *a, const float *b, ptrdiff_t n_px, int c)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += c, a += c) {
        for (int i = 0; i < c; i++)
            y[i] = a[i] * b[i];
    }
}

void mieni_act_grad_f32_c(float *d, const float *at, ptrdiff_t n_px, int c, MieniAct act)
{
    ptrdiff_t n = n_px * c;
    switch (act.kind) {
    case MIENI_ACT_NONE:
        break;
    case MIENI_ACT_RELU:
        for (ptrdiff_t i = 0; i < n; i++)
            d[i] = at[i] > 0 ? d[i] : 0;
        break;
    case MIENI_ACT_PRELU:
        for (ptrdiff_t p = 0; p < n_px; p++, d += c, at += c)
            for (int i = 0; i < c; i++)
                d[i] = at[i] < 0 ? act.slope[i] * d[i] : d[i];
        break;
    case MIENI_ACT_SIGMOID:
        for (ptrdiff_t i = 0; i < n; i++)
            d[i] *= at[i] * (1 - at[i]);
        break;
    }
}
