/* resample.c for AVX2 with FMA: rows eight samples at a time; an RGB pixel in the lower three of four lanes. */
#if !defined(__AVX2__) || !defined(__FMA__)
#error "resample_avx2.c wants the flags of its instruction set"
#endif
#include <immintrin.h>
#include <string.h>

#include "kernels/x86/x86.h"

static inline __m256 load8(const uint8_t *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)p)));
}

static void sum_rows_u8_f32(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float *w, int n_rows, ptrdiff_t n)
{
    ptrdiff_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const uint8_t *p = x + i;
        __m256 a = _mm256_mul_ps(_mm256_set1_ps(w[0]), load8(p)), b = _mm256_mul_ps(_mm256_set1_ps(w[0]), load8(p + 8));
        for (int r = 1; r < n_rows; r++) {
            p += stride_bytes;
            a = _mm256_fmadd_ps(_mm256_set1_ps(w[r]), load8(p), a);
            b = _mm256_fmadd_ps(_mm256_set1_ps(w[r]), load8(p + 8), b);
        }
        _mm256_storeu_ps(y + i, a);
        _mm256_storeu_ps(y + i + 8, b);
    }
    for (; i < n; i++) {
        __m128 a = _mm_set_ss(w[0] * x[i]);
        for (int r = 1; r < n_rows; r++)
            a = _mm_fmadd_ss(_mm_set_ss(w[r]), _mm_set_ss(x[r * stride_bytes + i]), a);
        y[i] = _mm_cvtss_f32(a);
    }
}

static void sum_columns_rgb_f32(float *y, const float *x, const MieniSpan *span, const float *w, int n_px)
{
    for (int p = 0; p < n_px; p++, y += 3) {
        const float *from = x + 3 * (ptrdiff_t)span[p].first, *weight = w + span[p].weight;
        __m128 sum = _mm_setzero_ps();
        for (int k = 0; k < span[p].n; k++, from += 3)
            sum = _mm_fmadd_ps(_mm_set1_ps(weight[k]), _mm_loadu_ps(from), sum);
        if (p < n_px - 1) { /* the fourth lane is overwritten by the next pixel */
            _mm_storeu_ps(y, sum);
        } else {
            float last[4];
            _mm_storeu_ps(last, sum);
            memcpy(y, last, 3 * sizeof(*y));
        }
    }
}

/* Four bytes: a pixel and the next one's red, or what lies behind the row's last pixel but one. */
static inline __m128 load_rgb(const uint8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof(four));
    return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)));
}

static void sample_rgb8_f32(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float at[2], const float step[2],
                            float weight, int n_px)
{
    for (int p = 0; p < n_px; p++, y += 4) {
        float sx = at[0] + (float)p * step[0], sy = at[1] + (float)p * step[1];
        int ix = (int)sx, iy = (int)sy;
        __m128 fx = _mm_set1_ps(sx - (float)ix), fy = _mm_set1_ps(sy - (float)iy);
        const uint8_t *q = x + iy * stride_bytes + 3 * (ptrdiff_t)ix;
        __m128 a = load_rgb(q), b = load_rgb(q + stride_bytes);
        a = _mm_fmadd_ps(fx, _mm_sub_ps(load_rgb(q + 3), a), a);
        b = _mm_fmadd_ps(fx, _mm_sub_ps(load_rgb(q + stride_bytes + 3), b), b);
        a = _mm_fmadd_ps(fy, _mm_sub_ps(b, a), a);
        _mm_storeu_ps(y, _mm_fmadd_ps(_mm_set1_ps(weight), a, _mm_loadu_ps(y)));
    }
}

void mieni_x86_init_resample_avx2(MienKernels *k)
{
    k->sum_rows_u8_f32 = sum_rows_u8_f32;
    k->sum_columns_rgb_f32 = sum_columns_rgb_f32;
    k->sample_rgb8_f32 = sample_rgb8_f32;
}
