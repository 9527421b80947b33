/* Kernels for AVX2 with FMA: 8 lanes, 16 registers. The loops are in simd_tmpl.h. */
#if !defined(__AVX2__) || !defined(__FMA__)
#error "kernels_avx2.c wants the flags of its instruction set"
#endif
#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "kernels/x86/x86.h"

#define VEC __m256
#define LANES 8
#define MASK Mask
#define WIDEST 3 /* 4 leave registers for two rows: 35 GMAC/s of a Zen 3 core where 3 reach 42 */
#define GEMM_ROWS_1 12
#define GEMM_ROWS_2 6
#define GEMM_ROWS_3 4
#define GEMM_ROWS_4 2
#define GEMM_PACK_M 24
#define DW_GROUP 2

typedef struct Mask {
    __m256i lanes;
    int n;
} Mask;

static inline Mask mask_of(int n)
{
    static const int32_t bits[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return (Mask){ _mm256_loadu_si256((const __m256i *)(const void *)(bits + 8 - n)), n };
}
static inline VEC load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, VEC x) { _mm256_storeu_ps(p, x); }
static inline VEC load_mask(const float *p, MASK m) { return _mm256_maskload_ps(p, m.lanes); }
/* In pieces: a masked store is microcode on AMD's processors, some forty operations. Not inlined, or the loops around it are too large
 * to be unrolled and their sums leave the registers. */
static __attribute__((noinline)) void store_part(float *p, VEC x, int n)
{
    __m128 part = _mm256_castps256_ps128(x);
    if (n & 4) {
        _mm_storeu_ps(p, part);
        part = _mm256_extractf128_ps(x, 1);
        p += 4;
    }
    if (n & 2) {
        _mm_storel_pi((__m64 *)(void *)p, part);
        part = _mm_movehl_ps(part, part);
        p += 2;
    }
    if (n & 1)
        _mm_store_ss(p, part);
}
static inline void store_mask(float *p, VEC x, MASK m) { store_part(p, x, m.n); }
static inline void copy_part(float *to, const float *from, int n)
{
    if (n & 4) {
        _mm_storeu_ps(to, _mm_loadu_ps(from));
        to += 4, from += 4;
    }
    if (n & 2) {
        memcpy(to, from, 2 * sizeof(*to));
        to += 2, from += 2;
    }
    if (n & 1)
        *to = *from;
}
static inline VEC set1(float x) { return _mm256_set1_ps(x); }
static inline VEC zero(void) { return _mm256_setzero_ps(); }
static inline VEC vadd(VEC a, VEC b) { return _mm256_add_ps(a, b); }
static inline VEC vmul(VEC a, VEC b) { return _mm256_mul_ps(a, b); }
static inline VEC vfma(VEC a, VEC b, VEC c) { return _mm256_fmadd_ps(a, b, c); }
static inline VEC vmax(VEC a, VEC b) { return _mm256_max_ps(a, b); }
static inline VEC where_positive(VEC at, VEC x) { return _mm256_and_ps(_mm256_cmp_ps(at, zero(), _CMP_GT_OQ), x); }
static inline VEC prelu(VEC x, VEC slope) { return _mm256_blendv_ps(x, _mm256_mul_ps(x, slope), x); }

#include "kernels/x86/simd_tmpl.h"

void mieni_x86_init_avx2(MienKernels *k)
{
    k->gemm_f32 = gemm_f32;
    k->gemm_max_macs = HUGE_VAL; /* OpenBLAS is a quarter faster beyond 16 M, but only one thread may call it (nn/blas.c) */
    k->gemm_add_f32 = gemm_add_f32;
    k->act_grad_f32 = act_grad_f32;
    k->affine_f32 = affine_f32;
    k->add_f32 = add_f32;
    k->dwconv_f32 = dwconv_f32;
    k->im2col_f32 = im2col_f32;
}
