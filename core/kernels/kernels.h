/* Kernels: the inner loops that have several versions, and the contracts they keep.
 *
 * A table per CPU level (mien/cpu.h); the C table is complete, each better level starts from the one below and overrides
 * what it does faster (x86/init). Ops take their table from the net and never look at the CPU.
 *
 * Contracts, for every kernel:
 *  - Activations are NHWC, f32; "pixels" are consecutive positions of c channels each. Any c >= 1: kernels handle their tails
 *    themselves and neither read nor write a byte outside the elements named, whatever the alignment.
 *  - Inputs and output do not overlap unless said so. Counts of 0 are allowed and do nothing.
 *  - The value of an output element depends on its own inputs alone, not on how the work around it was cut: sums run in
 *    the order of k, or of the taps, with one accumulator an element. So tiling and threads change no bit.
 *  - Error against exact arithmetic: at most (n + 2) · 2^-24 · sum |a_i · b_i| for sums of n products.
 *  - Nothing allocates, nothing fails, nothing is kept. Callers set flush-to-zero (fpenv.h).
 */
#ifndef MIENI_KERNELS_H
#define MIENI_KERNELS_H

#include <stddef.h>
#include <stdint.h>

#include "mien/cpu.h"

typedef enum MieniActKind { MIENI_ACT_NONE, MIENI_ACT_RELU, MIENI_ACT_PRELU, MIENI_ACT_SIGMOID } MieniActKind;

/* relu: max(x, 0); prelu: x < 0 ? slope[c]·x : x; sigmoid: 1 / (1 + e^-x). slope: c values, prelu only. */
typedef struct MieniAct {
    MieniActKind kind;
    const float *slope;
} MieniAct;

/* A sliding window: convolution or pooling. Pads are top, left, bottom, right. */
typedef struct MieniWindow {
    int kh, kw, stride_y, stride_x, pad_t, pad_l, pad_b, pad_r, dil_y, dil_x;
} MieniWindow;

/* One element of a window: where its channels lie from the pixel's origin, and its weights from w; both in elements. */
typedef struct MieniTap {
    ptrdiff_t x, w;
} MieniTap;

/* What a resized pixel is made of along one axis: n source pixels from first on, their weights from weight on. n 0: nothing. */
typedef struct MieniSpan {
    int first, n;
    size_t weight;
} MieniSpan;

/* A picture of a batch, and the channels [c0, c0 + n_c) of it that are meant. */
typedef struct MieniPlane {
    const float *x;
    int h, w, c, c0, n_c;
} MieniPlane;

typedef struct MienKernels {
    MienCpu level;

    /* c[m,n] += a[m,k] · b[k,n]; trans: a is stored as [k,m]. The sum goes on from c's value, so its bits don't depend on how
     * k is cut into calls. */
    void (*gemm_add_f32)(int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                         float *c, ptrdiff_t ldc);
    /* c[m,n] = a[m,k] · b[k,n], row-major with leading dimensions in elements; k >= 1. Rows of a may overlap (lda < k). */
    void (*gemm_f32)(int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c,
                     ptrdiff_t ldc);
    /* Products that this level does better itself than OpenBLAS: m <= gemm_max_m, or n <= gemm_max_n, or at most
     * gemm_max_macs multiplications (nn/blas.c asks). Level c does all itself. */
    int gemm_max_m, gemm_max_n;
    double gemm_max_macs;

    /* y = act(x·scale + bias); scale and bias may be NULL (1 and 0). y == x is allowed, with ldy == ldx. ldx, ldy: elements from
     * pixel to pixel. */
    void (*affine_f32)(float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px, int c, const float *scale,
                       const float *bias, MieniAct act);

    /* Through an activation backward: d *= act'(.). at: what came out of it; for prelu, what went in. */
    void (*act_grad_f32)(float *d, const float *at, ptrdiff_t n_px, int c, MieniAct act);

    /* y = act(alpha·a + beta·b); y may be a or b. */
    void (*add_f32)(float *y, const float *a, const float *b, float alpha, float beta, ptrdiff_t n_px, int c, MieniAct act);

    /* y = a·b for a factor a channel: b has c values. y may be a. */
    void (*mul_channel_f32)(float *y, const float *a, const float *b, ptrdiff_t n_px, int c);

    /* Depthwise convolution of n_px output pixels that share their taps:
     * y[p,ch] = act(bias[ch] + sum over taps of x[p·x_step + tap.x + ch] · w[tap.w + ch]). bias may be NULL. */
    void (*dwconv_f32)(float *y, const float *x, ptrdiff_t x_step, int n_px, int c, const MieniTap *tap, int n_taps,
                       const float *w, const float *bias, MieniAct act);

    /* Rows of the matrix that makes a convolution a product: for output pixels [px0, px0 + n_px) of a picture whose output
     * is out_w wide, a[p, (ky, kx, ch)], zeros outside the picture. Row length kh·kw·n_c. */
    void (*im2col_f32)(float *a, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);

    /* Pooling of output pixels [px0, px0 + n_px); the average is over the elements inside the picture. Every window has one. */
    void (*maxpool_f32)(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);
    void (*avgpool_f32)(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);

    /* ---- pictures of 8-bit samples (image/sample.c); x and its rows lie stride_bytes apart, which may be negative */

    /* y[i] = sum over rows r of w[r] · x[r, i], i < n; n_rows >= 1. */
    void (*sum_rows_u8_f32)(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float *w, int n_rows, ptrdiff_t n);

    /* y[p, ch] = sum over k < span[p].n of w[span[p].weight + k] · x[span[p].first + k, ch] for 3 channels. One float behind the
     * last pixel of x that is used may be read. */
    void (*sum_columns_rgb_f32)(float *y, const float *x, const MieniSpan *span, const float *w, int n_px);

    /* y[p, ch] += weight · the bilinear sample of channel ch < 3 at column at[0] + p·step[0] and row at[1] + p·step[1], both
     * counted from the centre of x's first pixel; y has 4 floats a pixel, the last is left or changed. Every sample lies so that its
     * four pixels and the one to their right are inside the picture. */
    void (*sample_rgb8_f32)(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float at[2], const float step[2],
                            float weight, int n_px);
} MienKernels;

/* The table of a level, lowered to what this machine can run; MIEN_CPU_AUTO: mien_cpu_level(). Threads: any. */
const MienKernels *mieni_kernels(MienCpu cpu);
/* What stands in MIEN_CPU, if it is no level's name; else NULL. */
const char *mieni_cpu_unknown_word(void);

/* The C versions, by file; later levels fall back on them. gemm.c, act.c, dwconv.c, im2col.c, pool.c,
 * resample.c. */
void mieni_gemm_f32_c(int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c,
                      ptrdiff_t ldc);
void mieni_gemm_add_f32_c(int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                          float *c, ptrdiff_t ldc);
void mieni_act_grad_f32_c(float *d, const float *at, ptrdiff_t n_px, int c, MieniAct act);
void mieni_affine_f32_c(float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px, int c, const float *scale,
                        const float *bias, MieniAct act);
void mieni_add_f32_c(float *y, const float *a, const float *b, float alpha, float beta, ptrdiff_t n_px, int c, MieniAct act);
void mieni_mul_channel_f32_c(float *y, const float *a, const float *b, ptrdiff_t n_px, int c);
void mieni_dwconv_f32_c(float *y, const float *x, ptrdiff_t x_step, int n_px, int c, const MieniTap *tap, int n_taps,
                        const float *w, const float *bias, MieniAct act);
void mieni_im2col_f32_c(float *a, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);
void mieni_maxpool_f32_c(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);
void mieni_avgpool_f32_c(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px);

void mieni_sum_rows_u8_f32_c(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float *w, int n_rows, ptrdiff_t n);
void mieni_sum_columns_rgb_f32_c(float *y, const float *x, const MieniSpan *span, const float *w, int n_px);
void mieni_sample_rgb8_f32_c(float *y, const uint8_t *x, ptrdiff_t stride_bytes, const float at[2], const float step[2],
                             float weight, int n_px);

/* Without a second version so far: norm.c. Per pixel over its c channels; y == x is allowed. */
void mieni_softmax_f32_c(float *y, const float *x, ptrdiff_t n_px, int c);
void mieni_l2norm_f32_c(float *y, const float *x, ptrdiff_t n_px, int c, float eps);
/* y[ch] = mean over n_px pixels, summed in double. */
void mieni_mean_f32_c(float *y, const float *x, ptrdiff_t n_px, int c);
/* y[ch] = sum over n_px pixels of a·b, in double, for n_c channels; b NULL: of a; negative: where b < 0 only. ld: elements from
 * pixel to pixel. */
void mieni_sum_f32_c(float *y, const float *a, const float *b, int negative, ptrdiff_t n_px, ptrdiff_t ld, int n_c);
/* Backward of the two above: dx from dy, which may be the same; y and x as they were. */
void mieni_softmax_grad_f32_c(float *dx, const float *dy, const float *y, ptrdiff_t n_px, int c);
void mieni_l2norm_grad_f32_c(float *dx, const float *dy, const float *x, ptrdiff_t n_px, int c, float eps);

/* Backward of depthwise convolution to one row of the window's weights: dw[kx·c + ch] += sum over a row of output pixels of
 * d[ox·c + ch] · x[ix·c + ch], where ix = ox·stride_x - pad_l + kx·dil_x lies in [0, w). */
void mieni_dwconv_grad_f32_c(float *dw, const float *d, const float *x, const MieniWindow *win, int w, int out_w, int c);
/* Backward of pooling: adds output rows [oy0, oy1) to dx (or, without add, writes them) for the channels [c0, c0 + n_c) of plane,
 * whose h, w and c are those of dx. dy, y: whole pictures, out_w wide; max: plane->x and y as forward had them, the first
 * maximum of a window takes all. */
void mieni_maxpool_grad_f32_c(float *dx, const float *dy, const float *y, const MieniPlane *plane, const MieniWindow *win,
                              int out_w, int oy0, int oy1);
void mieni_avgpool_grad_f32_c(float *dx, const float *dy, int add, const MieniPlane *plane, const MieniWindow *win, int out_w,
                              int oy0, int oy1);

/* Window positions [*k0, *k1) along one axis that fall inside [0, size) when the window starts at i0. */
static inline void mieni_window_range(int64_t i0, int k, int dil, int size, int *k0, int *k1)
{
    if (i0 >= 0 && i0 + (int64_t)(k - 1) * dil < size) { /* nearly always, and without a division */
        *k0 = 0;
        *k1 = k;
        return;
    }
    int64_t lo = i0 >= 0 ? 0 : (-i0 + dil - 1) / dil;
    int64_t hi = size <= i0 ? 0 : (size - i0 + dil - 1) / dil;
    if (hi > k)
        hi = k;
    if (lo > hi)
        lo = hi;
    *k0 = (int)lo;
    *k1 = (int)hi;
}

#endif
