/* The reference scan: inner products of one probe with every row. Sixteen running sums in four vectors of the compilers' portable kind
 * (four is what every CPU keeps in registers), added up in a fixed order. */
#include <float.h>

#include "gallery_int.h"

typedef float Quad __attribute__((vector_size(16), may_alias));

void mieni_scan_f32_c(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                      float *restrict sim)
{
    const Quad *p = (const Quad *)probe;
    for (size_t r = 0; r < n_rows; r++, row += ld_elems) {
        const Quad *v = (const Quad *)row;
        Quad a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
        for (size_t k = 0; k < ld_elems / 4; k += 4) {
            a += v[k] * p[k];
            b += v[k + 1] * p[k + 1];
            c += v[k + 2] * p[k + 2];
            d += v[k + 3] * p[k + 3];
        }
        a = (a + b) + (c + d);
        sim[r] = (a[0] + a[1]) + (a[2] + a[3]);
    }
}

/* ---- learnt similarity: the same shape with another term a coordinate */

typedef int32_t QuadBits __attribute__((vector_size(16), may_alias));

static inline Quad absolute(Quad v)
{
    return (Quad)((QuadBits)v & 0x7fffffff);
}

static inline Quad logistic_term(Quad v, Quad p)
{
    return absolute(v - p);
}

static inline Quad chi2_term(Quad v, Quad p)
{
    return (v - p) * (v - p) / (absolute(v) + absolute(p) + FLT_MIN);
}

#define LEARNT_SCAN(name, term)                                                                                             \
    void name(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,                       \
              const float *restrict weight, float bias, float *restrict logit)                                              \
    {                                                                                                                       \
        const Quad *p = (const Quad *)probe, *w = (const Quad *)weight;                                                     \
        for (size_t r = 0; r < n_rows; r++, row += ld_elems) {                                                              \
            const Quad *v = (const Quad *)row;                                                                              \
            Quad a = { 0 }, b = { 0 };                                                                                      \
            for (size_t k = 0; k < ld_elems / 4; k += 2) {                                                                  \
                a += w[k] * term(v[k], p[k]);                                                                               \
                b += w[k + 1] * term(v[k + 1], p[k + 1]);                                                                   \
            }                                                                                                               \
            a += b;                                                                                                         \
            logit[r] = ((a[0] + a[1]) + (a[2] + a[3])) + bias;                                                              \
        }                                                                                                                   \
    }

LEARNT_SCAN(mieni_scan_logistic_c, logistic_term)
LEARNT_SCAN(mieni_scan_chi2_c, chi2_term)
