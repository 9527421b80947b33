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

void mieni_sum_f32_c(float *y, const float *a, const float *b, int negative, ptrdiff_t n_px, ptrdiff_t ld, int n_c)
{
    for (int j = 0; j < n_c; j += MEAN_BLOCK) {
        int n = n_c - j < MEAN_BLOCK ? n_c - j : MEAN_BLOCK;
        double sum[MEAN_BLOCK] = { 0 };
        for (ptrdiff_t p = 0; p < n_px; p++) {
            const float *ap = a + p * ld + j, *bp = b ? b + p * ld + j : NULL;
            if (!b)
                for (int i = 0; i < n; i++)
                    sum[i] += ap[i];
            else if (!negative)
                for (int i = 0; i < n; i++)
                    sum[i] += (double)ap[i] * bp[i];
            else
                for (int i = 0; i < n; i++)
                    sum[i] += (double)ap[i] * (bp[i] < 0 ? bp[i] : 0);
        }
        for (int i = 0; i < n; i++)
            y[j + i] = (float)sum[i];
    }
}

/* dy_i/dx_k = y_i·([i = k] - y_k) */
void mieni_softmax_grad_f32_c(float *dx, const float *dy, const float *y, ptrdiff_t n_px, int c)
{
    for (ptrdiff_t p = 0; p < n_px; p++, dx += c, dy += c, y += c) {
        double dot = 0;
        for (int i = 0; i < c; i++)
            dot += (double)dy[i] * y[i];
        for (int i = 0; i < c; i++)
            dx[i] = (float)(y[i] * (dy[i] - dot));
    }
}

/* y = x/|x|, or x/eps where the norm is no larger: then it is a constant factor. */
void mieni_l2norm_grad_f32_c(float *dx, const float *dy, const float *x, ptrdiff_t n_px, int c, float eps)
{
    for (ptrdiff_t p = 0; p < n_px; p++, dx += c, dy += c, x += c) {
        double sum = 0, dot = 0;
        for (int i = 0; i < c; i++) {
            sum += (double)x[i] * x[i];
            dot += (double)x[i] * dy[i];
        }
        double norm = sqrt(sum), scale = 1 / (norm > eps ? norm : eps), along = norm > eps ? dot / sum : 0;
        for (int i = 0; i < c; i++)
            dx[i] = (float)((dy[i] - along * x[i]) * scale);
    }
}
