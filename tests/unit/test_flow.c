/* flow: known motions of a known texture, trust, borders, tiny frames, threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/flow.h"

/* A smooth texture with detail at several scales, defined for every real position, so that a moved frame is exact. */
static float texture(double x, double y)
{
    return (float)(128 + 30 * sin(x * 0.13 + 1.3 * sin(y * 0.071)) + 25 * cos(y * 0.17 + 0.9 * sin(x * 0.093)) +
                   15 * sin(0.41 * x - 0.29 * y) + 10 * cos(0.37 * x + 0.53 * y + 2));
}

typedef void (*MotionFn)(double x, double y, double *u, double *v); /* from a to b, defined in a */

static void shift_small(double x, double y, double *u, double *v)
{
    (void)x;
    (void)y;
    *u = 1.4;
    *v = -0.7;
}

static void shift_large(double x, double y, double *u, double *v)
{
    (void)x;
    (void)y;
    *u = -11.5;
    *v = 6.25;
}

static void zoom_and_turn(double x, double y, double *u, double *v)
{
    double dx = x - 80, dy = y - 60;
    *u = 0.03 * dx - 0.04 * dy;
    *v = 0.04 * dx + 0.03 * dy;
}

static void nothing(double x, double y, double *u, double *v)
{
    (void)x;
    (void)y;
    *u = *v = 0;
}

/* b is the plain texture; a(x, y) = b(x + u, y + v). */
static void make_frames(MotionFn motion, int w, int h, float *a, float *b)
{
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            double u, v;
            motion(x, y, &u, &v);
            a[y * w + x] = texture(x + u, y + v);
            b[y * w + x] = texture(x, y);
        }
    }
}

static void estimate(const MienFlowParams *p, const float *a, const float *b, float *uv)
{
    MienFlow *flow;
    MienFlowFrame *fa, *fb;
    assert_int_equal(mien_flow_create(&flow, p), 0);
    assert_int_equal(mien_flow_frame_create(&fa, p), 0);
    assert_int_equal(mien_flow_frame_create(&fb, p), 0);
    mien_flow_frame_fill(fa, a, p->w_px);
    mien_flow_frame_fill(fb, b, p->w_px);
    uint64_t count = mien_mem_count();
    mien_flow_estimate(flow, fa, fb, uv);
    assert_int_equal(mien_mem_count(), count); /* no allocation while running */
    mien_flow_frame_destroy(&fa);
    mien_flow_frame_destroy(&fb);
    mien_flow_destroy(&flow);
}

static void finds_known_motions(void **state)
{
    (void)state;
    enum { W = 161, H = 121, EDGE = 16 };
    static const struct {
        const char *name;
        MotionFn motion;
        int finest_level;
        double epe_px; /* mean end-point error away from the edges; measured, then given some room */
    } row[] = {
        { "nothing", nothing, 1, 0.01 },         { "small shift", shift_small, 1, 0.06 },
        { "small shift, full", shift_small, 0, 0.05 }, { "large shift", shift_large, 1, 0.12 },
        { "zoom and turn", zoom_and_turn, 1, 0.12 }, { "zoom and turn, full", zoom_and_turn, 0, 0.08 },
    };
    static float a[W * H], b[W * H], uv[2 * W * H];
    for (size_t r = 0; r < MIEN_ARRAY_ELEMS(row); r++) {
        MienFlowParams p = MIEN_FLOW_DEFAULTS;
        p.w_px = W;
        p.h_px = H;
        p.finest_level = row[r].finest_level;
        make_frames(row[r].motion, W, H, a, b);
        estimate(&p, a, b, uv);
        double sum = 0;
        int n = 0;
        for (int y = EDGE; y < H - EDGE; y++) {
            for (int x = EDGE; x < W - EDGE; x++, n++) {
                double u, v;
                row[r].motion(x, y, &u, &v);
                sum += hypot((double)uv[2 * (y * W + x)] - u, (double)uv[2 * (y * W + x) + 1] - v);
            }
        }
        if (getenv("MIEN_TEST_VERBOSE"))
            printf("%s: %.4f px\n", row[r].name, sum / n);
        if (!(sum / n < row[r].epe_px))
            fail_msg("%s: mean error %.4f px, %.4f allowed", row[r].name, sum / n, row[r].epe_px);
    }
}

static void warping_by_the_flow_restores_the_frame(void **state)
{
    (void)state;
    enum { W = 161, H = 121 };
    static float a[W * H], b[W * H], uv[2 * W * H], back[W * H];
    MienFlowParams p = MIEN_FLOW_DEFAULTS;
    p.w_px = W;
    p.h_px = H;
    make_frames(zoom_and_turn, W, H, a, b);
    estimate(&p, a, b, uv);
    mien_flow_warp((MienExec){ 0 }, b, W, H, 1, uv, back);
    double before = 0, after = 0;
    for (int y = 12; y < H - 12; y++) {
        for (int x = 12; x < W - 12; x++) {
            before += fabs((double)a[y * W + x] - (double)b[y * W + x]);
            after += fabs((double)a[y * W + x] - (double)back[y * W + x]);
        }
    }
    assert_true(after < before / 10);
}

/* A square moves 6 px to the right over a still ground: what it uncovers has no counterpart and must not be trusted. */
static void uncovered_ground_is_not_trusted(void **state)
{
    (void)state;
    enum { W = 128, H = 96, X = 40, Y = 30, SIDE = 36, STEP = 6 };
    static float old[W * H], new[W * H], fwd[2 * W * H], bwd[2 * W * H], c[W * H];
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            int in_old = x >= X && x < X + SIDE && y >= Y && y < Y + SIDE;
            int in_new = x >= X + STEP && x < X + STEP + SIDE && y >= Y && y < Y + SIDE;
            old[y * W + x] = in_old ? texture(3 * x + 500, 3 * y) : texture(x, y);
            new[y * W + x] = in_new ? texture(3 * (x - STEP) + 500, 3 * y) : texture(x, y);
        }
    }
    MienFlowParams p = MIEN_FLOW_DEFAULTS;
    p.w_px = W;
    p.h_px = H;
    p.finest_level = 0;
    estimate(&p, new, old, bwd);
    estimate(&p, old, new, fwd);
    mien_flow_certainty((MienExec){ 0 }, bwd, fwd, W, H, c);
    double uncovered = 0, still = 0, inside = 0;
    int n_uncovered = 0, n_still = 0, n_inside = 0;
    for (int y = Y + 4; y < Y + SIDE - 4; y++) {
        for (int x = X + 1; x < X + STEP - 1; x++, n_uncovered++)
            uncovered += (double)c[y * W + x];
        for (int x = X + STEP + 8; x < X + SIDE - 4; x++, n_inside++)
            inside += (double)c[y * W + x];
        for (int x = 4; x < X - 12; x++, n_still++)
            still += (double)c[y * W + x];
    }
    if (!(uncovered / n_uncovered < 0.3 && still / n_still > 0.95 && inside / n_inside > 0.8))
        fail_msg("certainty: uncovered %.3f, still %.3f, inside %.3f", uncovered / n_uncovered, still / n_still,
                 inside / n_inside);
}

static void any_size_works(void **state)
{
    (void)state;
    static const int size[][2] = { { 1, 1 }, { 1, 50 }, { 50, 1 }, { 2, 3 }, { 7, 7 }, { 8, 9 }, { 13, 12 }, { 33, 17 }, { 64, 5 } };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(size); i++) {
        for (int finest = 0; finest < 4; finest++) {
            MienFlowParams p = MIEN_FLOW_DEFAULTS;
            p.w_px = size[i][0];
            p.h_px = size[i][1];
            p.finest_level = finest;
            size_t n = (size_t)p.w_px * (size_t)p.h_px;
            float *a = mien_calloc(n, 4), *b = mien_calloc(n, 4), *uv = mien_calloc(n, 8), *c = mien_calloc(n, 4);
            make_frames(shift_small, p.w_px, p.h_px, a, b);
            estimate(&p, a, b, uv);
            mien_flow_certainty((MienExec){ 0 }, uv, uv, p.w_px, p.h_px, c);
            for (size_t k = 0; k < n; k++) {
                assert_true(isfinite(uv[2 * k]) && isfinite(uv[2 * k + 1]));
                assert_true(c[k] >= 0 && c[k] <= 1);
            }
            mien_free(a);
            mien_free(b);
            mien_free(uv);
            mien_free(c);
        }
    }
}

static void warp_clamps_wild_vectors(void **state)
{
    (void)state;
    const float src[4] = { 1, 2, 3, 4 };
    const float uv[8] = { 1e30f, 1e30f, -1e30f, 0, NAN, NAN, INFINITY, -INFINITY };
    float dst[4];
    mien_flow_warp((MienExec){ 0 }, src, 2, 2, 1, uv, dst);
    assert_true(dst[0] == 4 && dst[1] == 1);
    for (int i = 0; i < 4; i++)
        assert_true(dst[i] >= 1 && dst[i] <= 4);
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { W = 101, H = 83 };
    static float a[W * H], b[W * H], uv[3][2 * W * H];
    make_frames(zoom_and_turn, W, H, a, b);
    for (int k = 0; k < 3; k++) {
        static const int threads[3] = { 1, 2, 5 };
        MienPool *pool;
        assert_int_equal(mien_pool_create(&pool, threads[k], (MienLog){ 0 }), 0);
        MienFlowParams p = MIEN_FLOW_DEFAULTS;
        p.w_px = W;
        p.h_px = H;
        p.exec = mien_pool_exec(pool);
        estimate(&p, a, b, uv[k]);
        mien_pool_destroy(&pool);
    }
    assert_memory_equal(uv[0], uv[1], sizeof(uv[0]));
    assert_memory_equal(uv[0], uv[2], sizeof(uv[0]));
}

static void refuses_bad_parameters_and_survives_no_memory(void **state)
{
    (void)state;
    MienFlowParams p = MIEN_FLOW_DEFAULTS;
    MienFlow *flow;
    MienFlowFrame *frame;
    assert_int_equal(mien_flow_create(&flow, &p), MIEN_ERR(EINVAL)); /* no size */
    p.w_px = p.h_px = 40;
    p.smoothness = NAN;
    assert_int_equal(mien_flow_frame_create(&frame, &p), MIEN_ERR(EINVAL));
    p.smoothness = 1;
    for (uint64_t n = 1; n <= 2; n++) {
        mien_mem_fail_at(n, 0);
        assert_int_equal(mien_flow_create(&flow, &p), MIEN_ERR(ENOMEM));
        mien_mem_fail_at(n, 0);
        assert_int_equal(mien_flow_frame_create(&frame, &p), MIEN_ERR(ENOMEM));
        mien_mem_fail_at(0, 0);
        assert_null(flow);
        assert_null(frame);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_known_motions),
        cmocka_unit_test(warping_by_the_flow_restores_the_frame),
        cmocka_unit_test(uncovered_ground_is_not_trusted),
        cmocka_unit_test(any_size_works),
        cmocka_unit_test(warp_clamps_wild_vectors),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(refuses_bad_parameters_and_survives_no_memory),
    };
    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
