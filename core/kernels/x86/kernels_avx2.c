/* Kernels for AVX2 with FMA: 8 lanes, 16 registers. The loops are in simd_tmpl.h. */
#if !defined(__AVX2__) || !defined(__FMA__)
#error "kernels_avx2.c wants the flags of its instruction set"
#endif
#include <immintrin.h>
#include <math.h>

#include "kernels/x86/x86.h"

#define VEC __m256
#define LANES 8
#define MASK __m256i
#define GEMM_ROWS_1 12
#define GEMM_ROWS_2 6
#define GEMM_ROWS_3 4
#define GEMM_ROWS_4 2
#define GEMM_PACK_M 24
#define DW_GROUP 2

static inline MASK mask_of(int n)
{
    static const int32_t bits[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return _mm256_loadu_si256((const __m256i *)(const void *)(bits + 8 - n));
}
static inline VEC load(const float *p) { return _mm256_loadu_ps(p); }
static inline void store(float *p, VEC x) { _mm256_storeu_ps(p, x); }
static inline VEC load_mask(const float *p, MASK m) { return _mm256_maskload_ps(p, m); }
static inline void store_mask(float *p, VEC x, MASK m) { _mm256_maskstore_ps(p, m, x); }
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
