/* Softmax, L2 normalisation and mean: sums in double, since they run over many values and cost little. */
#include <math.h>

#include "kernels/kernels.h"

void mieni_softmax_f32_c(float *y, const float *x, ptrdiff_t n_px, int c)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += c, x += c) {
        float max = x[0];
        for (int i = 1; i < c; i++)
            max = x[i] > max ? x[i] : max;
        double sum = 0;
        for (int i = 0; i < c; i++) {
            y[i] = expf(x[i] - max);
            sum += y[i];
        }
        float scale = (float)(1 / sum);
        for (int i = 0; i < c; i++)
            y[i] *= scale;
    }
}

void mieni_l2norm_f32_c(float *y, const float *x, ptrdiff_t n_px, int c, float eps)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += c, x += c) {
        double sum = 0;
        for (int i = 0; i < c; i++)
            sum += (double)x[i] * x[i];
        double norm = sqrt(sum);
        float scale = (float)(1 / (norm > eps ? norm : eps));
        for (int i = 0; i < c; i++)
            y[i] = x[i] * scale;
    }
}

enum { MEAN_BLOCK = 64 };

void mieni_mean_f32_c(float *y, const float *x, ptrdiff_t n_px, int c)
{
    for (int j = 0; j < c; j += MEAN_BLOCK) {
        int n = c - j < MEAN_BLOCK ? c - j : MEAN_BLOCK;
        double sum[MEAN_BLOCK] = { 0 };
        for (ptrdiff_t p = 0; p < n_px; p++) {
            for (int i = 0; i < n; i++)
                sum[i] += x[p * c + j + i];
        }
        for (int i = 0; i < n; i++)
            y[j + i] = (float)(sum[i] / (double)n_px);
    }
}
