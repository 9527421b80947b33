/* kernels: every level against the C reference. Adversarial values, every tail, no alignment, canaries round each output, the
 * last element of each input at the end of a page that may not be read past. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernels/kernels.h"

static uint32_t rng_state;

static uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

static int rng_int(int lo, int hi)
{
    return lo + (int)(rng() % (uint32_t)(hi - lo + 1));
}

/* What a test fills its inputs with. */
typedef enum Fill { FILL_RANDOM, FILL_ZERO, FILL_DENORMAL, FILL_LARGE, FILL_ALTERNATING, N_FILLS } Fill;

static float value(Fill fill, size_t i)
{
    float r = (float)((double)rng() / (1 << 23) - 1);
    switch (fill) {
    case FILL_ZERO: return i & 1 ? -0.0f : 0.0f;
    case FILL_DENORMAL: return r * 1e-39f;
    case FILL_LARGE: return r * 1e15f;
    case FILL_ALTERNATING: return i & 1 ? -1.0f : 1.0f;
    default: return r;
    }
}

/* n floats that end where a forbidden page begins; a write or read past the end is a crash. */
typedef struct Guarded {
    float *p;
    void *map;
    size_t map_bytes;
} Guarded;

static Guarded guarded(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = (n * sizeof(float) + page - 1) / page * page;
    Guarded g;
    g.map_bytes = bytes + page;
    g.map = mmap(NULL, g.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(g.map != MAP_FAILED);
    assert_int_equal(mprotect((char *)g.map + bytes, page, PROT_NONE), 0);
    g.p = (float *)(void *)((char *)g.map + bytes) - n;
    return g;
}

static Guarded input(size_t n, Fill fill)
{
    Guarded g = guarded(n);
    for (size_t i = 0; i < n; i++)
        g.p[i] = value(fill, i);
    return g;
}

enum { CANARIES = 32 };
static const float canary = 1234567.0f;

/* Canaries before the output, which ends at the forbidden page; gaps inside it (ld > c) start as canaries as well. */
static Guarded output(size_t n)
{
    Guarded g = guarded(n + CANARIES);
    for (size_t i = 0; i < n + CANARIES; i++)
        g.p[i] = canary;
    g.p += CANARIES;
    return g;
}

static void check_canaries(const Guarded *g)
{
    for (int i = 1; i <= CANARIES; i++)
        assert_true(g->p[-i] == canary);
}

static void drop(Guarded *g)
{
    munmap(g->map, g->map_bytes);
}

static double worst;

/* Two outputs of the same job; mag is the size that errors are measured by. */
static void compare(const char *what, MienCpu cpu, const float *y, const float *ref, size_t n, double mag)
{
    for (size_t i = 0; i < n; i++) {
        double err = fabs((double)y[i] - ref[i]) / (mag + 1e-37);
        if (err > worst)
            worst = err;
        if (!(err <= 1e-6))
            fail_msg("%s, level %s: element %zu of %zu is %.9g, should be %.9g", what, mien_cpu_name(cpu), i, n, y[i], ref[i]);
    }
}

static const MieniActKind acts[] = { MIENI_ACT_NONE, MIENI_ACT_RELU, MIENI_ACT_PRELU, MIENI_ACT_SIGMOID };

#define EACH_LEVEL(cpu) for (MienCpu cpu = MIEN_CPU_BLAS; cpu <= mien_cpu_best(); cpu++)

static double magnitude(Fill fill)
{
    return fill == FILL_LARGE ? 1e15 : fill == FILL_DENORMAL ? 1e-39 : 1;
}

static void product_of(int m, int n, int k, Fill fill)
{
    int lda = k + rng_int(0, 3), ldb = n + rng_int(0, 3), ldc = n + rng_int(0, 3);
    size_t n_c = (size_t)(m - 1) * (size_t)ldc + (size_t)n;
    Guarded a = input((size_t)(m - 1) * (size_t)lda + (size_t)k, fill), b = input((size_t)(k - 1) * (size_t)ldb + (size_t)n, fill);
    Guarded ref = output(n_c);
    mieni_gemm_f32_c(m, n, k, a.p, lda, b.p, ldb, ref.p, ldc);
    EACH_LEVEL(cpu) {
        Guarded y = output(n_c);
        mieni_kernels(cpu)->gemm_f32(m, n, k, a.p, lda, b.p, ldb, y.p, ldc);
        compare("gemm", cpu, y.p, ref.p, n_c, magnitude(fill) * magnitude(fill) * k);
        check_canaries(&y);
        drop(&y);
    }
    drop(&a), drop(&b), drop(&ref);
}

static void gemm(void **state)
{
    (void)state;
    for (int m = 1; m <= 16; m++)
        for (int n = 1; n <= 70; n++)
            product_of(m, n, rng_int(1, 12), (Fill)rng_int(0, N_FILLS - 1));
    for (int i = 0; i < 60; i++) /* several blocks of k and m, packed and not */
        product_of(rng_int(1, 300), rng_int(1, 150), rng_int(1, 400), (Fill)rng_int(0, N_FILLS - 1));
}

/* A sum in two calls that cut k has the bits of one call, whether a is turned round or not. */
static void added_product_of(int m, int n, int k, Fill fill)
{
    for (int trans = 0; trans < 2; trans++) {
        int lda = (trans ? m : k) + rng_int(0, 3), ldb = n + rng_int(0, 3), ldc = n + rng_int(0, 3), cut = rng_int(0, k);
        size_t n_c = (size_t)(m - 1) * (size_t)ldc + (size_t)n, rows = (size_t)(trans ? k : m);
        Guarded a = input((rows - 1) * (size_t)lda + (size_t)(trans ? m : k), fill),
                b = input((size_t)(k - 1) * (size_t)ldb + (size_t)n, fill), start = input(n_c, fill), ref = output(n_c);
        memcpy(ref.p, start.p, n_c * sizeof(float));
        mieni_gemm_add_f32_c(trans, m, n, k, a.p, lda, b.p, ldb, ref.p, ldc);
        EACH_LEVEL(cpu) {
            const MienKernels *kernels = mieni_kernels(cpu);
            Guarded y = output(n_c), y2 = output(n_c);
            memcpy(y.p, start.p, n_c * sizeof(float));
            memcpy(y2.p, start.p, n_c * sizeof(float));
            kernels->gemm_add_f32(trans, m, n, k, a.p, lda, b.p, ldb, y.p, ldc);
            compare("gemm_add", cpu, y.p, ref.p, n_c, magnitude(fill) * fmax(magnitude(fill), 1) * (k + 1));
            kernels->gemm_add_f32(trans, m, n, cut, a.p, lda, b.p, ldb, y2.p, ldc);
            kernels->gemm_add_f32(trans, m, n, k - cut, a.p + cut * (trans ? lda : 1), lda, b.p + cut * ldb, ldb, y2.p, ldc);
            assert_memory_equal(y.p, y2.p, n_c * sizeof(float));
            check_canaries(&y);
            drop(&y), drop(&y2);
        }
        drop(&a), drop(&b), drop(&start), drop(&ref);
    }
}

static void gemm_add(void **state)
{
    (void)state;
    for (int m = 1; m <= 16; m++)
        for (int n = 1; n <= 70; n++)
            added_product_of(m, n, rng_int(1, 12), (Fill)rng_int(0, N_FILLS - 1));
    for (int i = 0; i < 60; i++)
        added_product_of(rng_int(1, 300), rng_int(1, 150), rng_int(1, 400), (Fill)rng_int(0, N_FILLS - 1));
}

static void act_grad(void **state)
{
    (void)state;
    for (int c = 1; c <= 70; c++) {
        for (int i = 0; i < 8; i++) {
            Fill fill = (Fill)rng_int(0, N_FILLS - 1);
            int n_px = rng_int(0, 6);
            size_t n = (size_t)n_px * (size_t)c;
            Guarded d = input(n, fill), at = input(n, (Fill)rng_int(0, 1)), slope = input((size_t)c, FILL_RANDOM), ref = output(n);
            MieniAct act = { acts[i % 4], acts[i % 4] == MIENI_ACT_PRELU ? slope.p : NULL };
            memcpy(ref.p, d.p, n * sizeof(float));
            mieni_act_grad_f32_c(ref.p, at.p, n_px, c, act);
            for (size_t k = 0; k < n; k++) {
                double x = (double)at.p[k], by = act.kind == MIENI_ACT_NONE      ? 1
                                                 : act.kind == MIENI_ACT_RELU    ? x > 0
                                                 : act.kind == MIENI_ACT_SIGMOID ? x * (1 - x)
                                                 : x < 0                         ? (double)slope.p[k % (size_t)c]
                                                                                 : 1;
                assert_true(fabs(by * (double)d.p[k] - (double)ref.p[k]) <= 1e-6 * magnitude(fill));
            }
            EACH_LEVEL(cpu) {
                Guarded y = output(n);
                memcpy(y.p, d.p, n * sizeof(float));
                mieni_kernels(cpu)->act_grad_f32(y.p, at.p, n_px, c, act);
                compare("act_grad", cpu, y.p, ref.p, n, 0);
                check_canaries(&y);
                drop(&y);
            }
            drop(&d), drop(&at), drop(&slope), drop(&ref);
        }
    }
}

static void affine(void **state)
{
    (void)state;
    for (int c = 1; c <= 140; c++) {
        for (int i = 0; i < 16; i++) {
            Fill fill = (Fill)rng_int(0, N_FILLS - 1);
            int n_px = rng_int(0, 7), gap = rng_int(0, 1) * rng_int(1, 5), in_place = rng_int(0, 1);
            int ldx = c + gap, ldy = in_place ? ldx : c + rng_int(0, 1) * rng_int(1, 5);
            size_t n_x = n_px ? (size_t)(n_px - 1) * (size_t)ldx + (size_t)c : 0, n_y = n_px ? (size_t)(n_px - 1) * (size_t)ldy + (size_t)c : 0;
            Guarded x = input(n_x, fill), scale = input((size_t)c, FILL_RANDOM), bias = input((size_t)c, FILL_RANDOM),
                    slope = input((size_t)c, FILL_RANDOM), ref = output(n_y);
            MieniAct act = { acts[i % 4], acts[i % 4] == MIENI_ACT_PRELU ? slope.p : NULL };
            const float *s = i & 4 ? scale.p : NULL, *b = i & 8 ? bias.p : NULL;
            if (in_place)
                for (int p = 0; p < n_px; p++)
                    memcpy(ref.p + p * ldy, x.p + p * ldx, (size_t)c * sizeof(float));
            mieni_affine_f32_c(ref.p, ldy, in_place ? ref.p : x.p, ldx, n_px, c, s, b, act);
            EACH_LEVEL(cpu) {
                Guarded y = output(n_y);
                if (in_place)
                    for (int p = 0; p < n_px; p++)
                        memcpy(y.p + p * ldy, x.p + p * ldx, (size_t)c * sizeof(float));
                mieni_kernels(cpu)->affine_f32(y.p, ldy, in_place ? y.p : x.p, ldx, n_px, c, s, b, act);
                compare("affine", cpu, y.p, ref.p, n_y, fmax(magnitude(fill), 1));
                check_canaries(&y);
                drop(&y);
            }
            drop(&x), drop(&scale), drop(&bias), drop(&slope), drop(&ref);
        }
    }
}

static void add_and_mul(void **state)
{
    (void)state;
    for (int c = 1; c <= 140; c++) {
        for (int i = 0; i < 8; i++) {
            Fill fill = (Fill)rng_int(0, N_FILLS - 1);
            int n_px = rng_int(0, 6);
            size_t n = (size_t)n_px * (size_t)c;
            Guarded a = input(n, fill), b = input(n, fill), slope = input((size_t)c, FILL_RANDOM), ref = output(n), ref2 = output(n);
            MieniAct act = { acts[i % 4], acts[i % 4] == MIENI_ACT_PRELU ? slope.p : NULL };
            float alpha = i & 4 ? 1 : 0.375f, beta = i & 4 ? 1 : -2.5f;
            mieni_add_f32_c(ref.p, a.p, b.p, alpha, beta, n_px, c, act);
            mieni_mul_channel_f32_c(ref2.p, a.p, slope.p, n_px, c);
            EACH_LEVEL(cpu) {
                Guarded y = output(n);
                mieni_kernels(cpu)->add_f32(y.p, a.p, b.p, alpha, beta, n_px, c, act);
                compare("add", cpu, y.p, ref.p, n, 4 * magnitude(fill));
                mieni_kernels(cpu)->mul_channel_f32(y.p, a.p, slope.p, n_px, c);
                compare("mul_channel", cpu, y.p, ref2.p, n, magnitude(fill));
                check_canaries(&y);
                for (size_t k = 0; k < n; k++)
                    y.p[k] = a.p[k];
                mieni_kernels(cpu)->add_f32(y.p, y.p, b.p, alpha, beta, n_px, c, act); /* over its input */
                compare("add in place", cpu, y.p, ref.p, n, 4 * magnitude(fill));
                drop(&y);
            }
            drop(&a), drop(&b), drop(&slope), drop(&ref), drop(&ref2);
        }
    }
}

static void dwconv(void **state)
{
    (void)state;
    for (int c = 1; c <= 100; c++) {
        for (int i = 0; i < 8; i++) {
            Fill fill = (Fill)rng_int(0, N_FILLS - 1);
            int n_px = rng_int(1, 20), n_taps = rng_int(0, 9), step = rng_int(1, 2), n_w = rng_int(1, 9);
            MieniTap tap[9];
            int last = 0;
            for (int t = 0; t < n_taps; t++) {
                int px = rng_int(0, 11);
                tap[t] = (MieniTap){ (ptrdiff_t)px * c, (ptrdiff_t)rng_int(0, n_w - 1) * c };
                last = px > last ? px : last;
            }
            size_t n = (size_t)n_px * (size_t)c;
            Guarded x = input(((size_t)(n_px - 1) * (size_t)step + (size_t)last + 1) * (size_t)c, fill),
                    w = input((size_t)n_w * (size_t)c, FILL_RANDOM), bias = input((size_t)c, FILL_RANDOM),
                    slope = input((size_t)c, FILL_RANDOM), ref = output(n);
            MieniAct act = { acts[i % 4], acts[i % 4] == MIENI_ACT_PRELU ? slope.p : NULL };
            const float *b = i & 4 ? bias.p : NULL;
            mieni_dwconv_f32_c(ref.p, x.p, (ptrdiff_t)step * c, n_px, c, tap, n_taps, w.p, b, act);
            EACH_LEVEL(cpu) {
                Guarded y = output(n);
                mieni_kernels(cpu)->dwconv_f32(y.p, x.p, (ptrdiff_t)step * c, n_px, c, tap, n_taps, w.p, b, act);
                compare("dwconv", cpu, y.p, ref.p, n, 9 * fmax(magnitude(fill), 1));
                check_canaries(&y);
                drop(&y);
            }
            drop(&x), drop(&w), drop(&bias), drop(&slope), drop(&ref);
        }
    }
}

/* Copies must be exact; so must the pixels that a call starts and ends at. */
static void im2col_and_pools(void **state)
{
    (void)state;
    for (int i = 0; i < 600; i++) {
        int h = rng_int(1, 12), w = rng_int(1, 12), c = rng_int(1, i % 2 ? 5 : 50), n_c = rng_int(0, 1) ? c : rng_int(1, c);
        MieniWindow win = { rng_int(1, 4), rng_int(1, 4), rng_int(1, 3), rng_int(1, 3), rng_int(0, 3), rng_int(0, 3), rng_int(0, 3),
                            rng_int(0, 3), rng_int(1, 3), rng_int(1, 3) };
        int out_h = (h + win.pad_t + win.pad_b - win.dil_y * (win.kh - 1) - 1) / win.stride_y + 1;
        int out_w = (w + win.pad_l + win.pad_r - win.dil_x * (win.kw - 1) - 1) / win.stride_x + 1;
        if (h + win.pad_t + win.pad_b < win.dil_y * (win.kh - 1) + 1 || w + win.pad_l + win.pad_r < win.dil_x * (win.kw - 1) + 1)
            continue;
        int px0 = rng_int(0, out_h * out_w - 1), n_px = rng_int(0, out_h * out_w - px0);
        Guarded x = input((size_t)(h * w * c), FILL_RANDOM);
        MieniPlane plane = { x.p, h, w, c, rng_int(0, c - n_c), n_c };
        size_t n = (size_t)n_px * (size_t)(win.kh * win.kw * n_c), at = 0;
        EACH_LEVEL(cpu) {
            Guarded y = output(n);
            mieni_kernels(cpu)->im2col_f32(y.p, &plane, &win, out_w, px0, n_px);
            at = 0;
            for (int p = px0; p < px0 + n_px; p++)
                for (int ky = 0; ky < win.kh; ky++)
                    for (int kx = 0; kx < win.kw; kx++)
                        for (int k = 0; k < n_c; k++, at++) {
                            int iy = p / out_w * win.stride_y - win.pad_t + ky * win.dil_y;
                            int ix = p % out_w * win.stride_x - win.pad_l + kx * win.dil_x;
                            int in = iy >= 0 && ix >= 0 && iy < h && ix < w;
                            assert_true(y.p[at] == (in ? x.p[(iy * w + ix) * c + plane.c0 + k] : 0));
                        }
            check_canaries(&y);
            drop(&y);
        }
        if (win.pad_t < win.kh && win.pad_b < win.kh && win.pad_l < win.kw && win.pad_r < win.kw && win.dil_y * win.dil_x == 1) {
            plane.c0 = 0, plane.n_c = c;
            size_t n_y = (size_t)n_px * (size_t)c;
            Guarded max = output(n_y), avg = output(n_y);
            mieni_maxpool_f32_c(max.p, &plane, &win, out_w, px0, n_px);
            mieni_avgpool_f32_c(avg.p, &plane, &win, out_w, px0, n_px);
            EACH_LEVEL(cpu) {
                Guarded y = output(n_y);
                mieni_kernels(cpu)->maxpool_f32(y.p, &plane, &win, out_w, px0, n_px);
                compare("maxpool", cpu, y.p, max.p, n_y, 0);
                mieni_kernels(cpu)->avgpool_f32(y.p, &plane, &win, out_w, px0, n_px);
                compare("avgpool", cpu, y.p, avg.p, n_y, 1);
                check_canaries(&y);
                drop(&y);
            }
            drop(&max), drop(&avg);
        }
        drop(&x);
    }
}

/* n bytes whose end is that of a Guarded's floats. */
static uint8_t *bytes_in(Guarded *g, size_t n)
{
    *g = guarded((n + 3) / 4);
    uint8_t *p = (uint8_t *)g->p + (n + 3) / 4 * 4 - n;
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(rng() >> 4);
    return p;
}

static void row_sums(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        int n = rng_int(1, 90), rows = rng_int(1, 7), stride = n + rng_int(0, 5);
        Guarded xg, w = input((size_t)rows, FILL_RANDOM);
        const uint8_t *x = bytes_in(&xg, (size_t)((rows - 1) * stride + n));
        EACH_LEVEL(cpu) {
            Guarded y = output((size_t)n);
            mieni_kernels(cpu)->sum_rows_u8_f32(y.p, x, stride, w.p, rows, n);
            for (int k = 0; k < n; k++) {
                double sum = 0;
                for (int r = 0; r < rows; r++)
                    sum += (double)w.p[r] * x[r * stride + k];
                float want = (float)sum;
                compare("sum_rows", cpu, &y.p[k], &want, 1, 255.0 * rows);
            }
            check_canaries(&y);
            drop(&y);
        }
        drop(&xg), drop(&w);
    }
}

static void column_sums(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        int n_px = rng_int(1, 20), n_src = rng_int(1, 40);
        MieniSpan span[20];
        Guarded x = input(3 * (size_t)n_src + 1, FILL_RANDOM), w = input(20 * 6, FILL_RANDOM); /* one float behind may be read */
        for (int p = 0; p < n_px; p++) {
            int n = rng_int(0, n_src < 6 ? n_src : 6);
            span[p] = (MieniSpan){ rng_int(0, n_src - n), n, (size_t)rng_int(0, 20 * 6 - n) };
        }
        EACH_LEVEL(cpu) {
            Guarded y = output(3 * (size_t)n_px);
            mieni_kernels(cpu)->sum_columns_rgb_f32(y.p, x.p, span, w.p, n_px);
            for (int k = 0; k < 3 * n_px; k++) {
                double sum = 0;
                for (int t = 0; t < span[k / 3].n; t++)
                    sum += (double)w.p[span[k / 3].weight + (size_t)t] * x.p[3 * (span[k / 3].first + t) + k % 3];
                float want = (float)sum;
                compare("sum_columns", cpu, &y.p[k], &want, 1, 6);
            }
            check_canaries(&y);
            drop(&y);
        }
        drop(&x), drop(&w);
    }
}

/* Bilinear from the definition, in double. Samples reach to the last place that the contract allows. */
static void samples(void **state)
{
    (void)state;
    for (int i = 0; i < 400; i++) {
        int w = rng_int(4, 30), h = rng_int(2, 20), n_px = rng_int(1, 12), stride = 3 * w + rng_int(0, 4), down = rng_int(0, 1);
        Guarded xg;
        const uint8_t *x = bytes_in(&xg, (size_t)((h - 1) * stride + 3 * w)), *first = down ? x : x + (h - 1) * stride;
        double x0 = (rng() & 0xffff) / 65536.0 * (w - 2.01), x1 = (rng() & 0xffff) / 65536.0 * (w - 2.01);
        double y0 = (rng() & 0xffff) / 65536.0 * (h - 1.01), y1 = (rng() & 0xffff) / 65536.0 * (h - 1.01);
        float at[2] = { (float)x0, (float)y0 }, step[2] = { (float)((x1 - x0) / n_px), (float)((y1 - y0) / n_px) };
        EACH_LEVEL(cpu) {
            float y[12 * 4 + 4] = { 0 };
            for (int p = 0; p < 4 * n_px; p++)
                y[p] = 1;
            mieni_kernels(cpu)->sample_rgb8_f32(y, first, down ? stride : -stride, at, step, 0.5f, n_px);
            for (int p = 0; p < n_px; p++)
                for (int c = 0; c < 3; c++) {
                    double sx = (double)at[0] + p * (double)step[0], sy = (double)at[1] + p * (double)step[1], sum = 0;
                    int ix = (int)sx, iy = (int)sy;
                    for (int k = 0; k < 4; k++) {
                        double share = (k & 1 ? sx - ix : 1 - (sx - ix)) * (k & 2 ? sy - iy : 1 - (sy - iy));
                        sum += share * first[(down ? 1 : -1) * (iy + (k >> 1)) * stride + 3 * (ix + (k & 1)) + c];
                    }
                    float want = (float)(1 + 0.5 * sum);
                    compare("sample_rgb8", cpu, &y[4 * p + c], &want, 1, 255 * 30); /* places are rounded to floats */
                }
            assert_true(y[4 * n_px] == 0);
        }
        drop(&xg);
    }
}

int main(int argc, char **argv)
{
    rng_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 20261123;
    printf("seed %u (give another as the argument); best level %s\n", rng_state, mien_cpu_name(mien_cpu_best()));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gemm), cmocka_unit_test(gemm_add), cmocka_unit_test(affine), cmocka_unit_test(act_grad),
        cmocka_unit_test(add_and_mul), cmocka_unit_test(dwconv), cmocka_unit_test(im2col_and_pools),
        cmocka_unit_test(row_sums), cmocka_unit_test(column_sums), cmocka_unit_test(samples),
    };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    printf("worst error %.2g, 1e-06 is allowed\n", worst);
    return ret;
}
