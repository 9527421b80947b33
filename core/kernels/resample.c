/* Pictures of 8-bit samples, resized axis by axis and sampled at any place. */
#include "kernels/kernels.h"

void mieni_sum_rows_u8_f32_c(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float *w, int n_rows, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = w[0] * x[i];
    for (int r = 1; r < n_rows; r++) {
        x += stride_bytes;
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] += w[r] * x[i];
    }
}

void mieni_sum_columns_rgb_f32_c(float *y, const float *x, const MieniSpan *span, const float *w, int n_px)
{
    for (int p = 0; p < n_px; p++, y += 3) {
        const float *from = x + 3 * (ptrdiff_t)span[p].first, *weight = w + span[p].weight;
        y[0] = y[1] = y[2] = 0;
        for (int k = 0; k < span[p].n; k++, from += 3)
            for (int c = 0; c < 3; c++)
                y[c] += weight[k] * from[c];
    }
}

void mieni_sample_rgb8_f32_c(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float at[2], const float step[2],
                             float weight, int n_px)
{
    for (int p = 0; p < n_px; p++, y += 4) {
        float sx = at[0] + (float)p * step[0], sy = at[1] + (float)p * step[1];
        int ix = (int)sx, iy = (int)sy; /* not negative, so this rounds down */
        float fx = sx - (float)ix, fy = sy - (float)iy;
        const uint8_t *top = x + iy * stride_bytes + 3 * (ptrdiff_t)ix, *low = top + stride_bytes;
        for (int c = 0; c < 3; c++) {
            float a = top[c] + fx * (float)(top[c + 3] - top[c]), b = low[c] + fx * (float)(low[c + 3] - low[c]);
            y[c] += weight * (a + fy * (b - a));
        }
    }
}
