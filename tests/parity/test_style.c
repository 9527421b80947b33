/* core/style: losses and gradient of a whole session against PyTorch in double precision (tests/data/parity-stylenet, made by
 * tests/tools/stylenet_vector.py), and against finite differences where a part has no such reference; tiles against the picture
 * at once; threads change no bit; what the setters refuse. */
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
#include "mien/style.h"
#include "mien/weights.h"

enum { H = 50, W = 70, N = H * W * 3 };

static MienLog to_stderr;
static MienModel *model;
static MienWeights *vectors;
static MienPool *pool;
static MienStyleTarget target;
static const float *content, *image;

static const MienTensor *vector(const char *name)
{
    const MienTensor *t = mien_weights_find(vectors, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

static void load(void)
{
    static const char *const gram[] = { "gram1_1", "gram2_1", "gram3_1", "gram4_1" }, *const layer[] = { "relu1_1", "relu2_1", "relu3_1",
                                                                                                        "relu4_1" };
    assert_int_equal(mien_model_open(&model, "core/models/stylenet.safetensors", to_stderr), 0);
    assert_int_equal(mien_weights_open(&vectors, "tests/data/parity-stylenet.safetensors", to_stderr), 0);
    target.n_layers = 4;
    for (int i = 0; i < 4; i++) {
        const MienTensor *t = vector(gram[i]);
        assert_int_equal(t->dtype, MIEN_F32);
        target.layer[i] = (MienStyleLayer){ layer[i], (int)t->dim[0], 1, t->data };
    }
    content = vector("content")->data;
    image = vector("image")->data;
}

static MienStyle *make(const MienStyleParams *p, int w, int h)
{
    MienStyleParams q = *p;
    MienStyle *s;
    q.log = to_stderr;
    q.w_px = w;
    q.h_px = h;
    assert_int_equal(mien_style_create(&s, model, &target, &q), 0);
    return s;
}

static double max_error(const float *a, const float *b, size_t n)
{
    double err = 0, max = 0;
    for (size_t i = 0; i < n; i++) {
        err = fmax(err, fabs((double)a[i] - (double)b[i]));
        max = fmax(max, fabs((double)b[i]));
    }
    return err / max;
}

static void near(const char *what, double a, double b, double rel)
{
    if (!(fabs(a - b) <= rel * fabs(b)))
        fail_msg("%s is %.9g, should be %.9g", what, a, b);
}

/* ---- against PyTorch */

static void reference(void **state)
{
    (void)state;
    const MienTensor *want = vector("loss"), *gradient = vector("gradient");
    assert_int_equal(want->dtype, MIEN_F64);
    const double *loss = want->data;
    float *g = mien_malloc(N * sizeof(float));
    for (int cpu = MIEN_CPU_C; cpu <= (int)mien_cpu_best(); cpu++) {
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        MienStyleLoss l;
        p.border_px = 0;
        p.cpu = (MienCpu)cpu;
        MienStyle *s = make(&p, W, H);
        assert_int_equal(mien_style_set_content(s, content), 0);
        assert_int_equal(mien_style_evaluate(s, image, &l, g), 0);
        near("content", l.content, loss[0], 1e-5);
        near("style", l.style, loss[1], 1e-5);
        near("tv", l.tv, loss[2], 1e-5);
        near("J", l.total, loss[3], 1e-5);
        double err = max_error(g, gradient->data, N);
        printf("%s: gradient differs by %.3g of its largest value\n", mien_cpu_name((MienCpu)cpu), err);
        assert_true(err < 1e-5);
        assert_int_equal(mien_style_evaluate(s, image, &l, NULL), 0);
        near("J without a gradient", l.total, loss[3], 1e-5);
        mien_style_destroy(&s);
    }
    mien_free(g);
}

/* ---- finite differences, central, along a random direction */

static uint32_t rng_state = 20261124;
static float rng(void) /* (-1, 1) */
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return (float)(rng_state >> 8) / 8388608.0f - 1;
}

static void differences(MienStyle *s, const char *what, const float *x, size_t n, double step, double rel)
{
    float *g = mien_malloc(n * sizeof(float)), *d = mien_malloc(n * sizeof(float)), *y = mien_malloc(n * sizeof(float));
    MienStyleLoss l, up, down;
    for (int k = 0; k < 3; k++) {
        double slope = 0, scale = 0;
        assert_int_equal(mien_style_evaluate(s, x, &l, g), 0);
        for (size_t i = 0; i < n; i++)
            d[i] = rng();
        for (size_t i = 0; i < n; i++) { /* what is really added, after rounding */
            volatile float a = x[i] + (float)step * d[i], b = x[i] - (float)step * d[i];
            y[i] = a;
            slope += (double)g[i] * ((double)a - (double)b);
            scale += fabs((double)g[i] * ((double)a - (double)b));
        }
        assert_int_equal(mien_style_evaluate(s, y, &up, NULL), 0);
        for (size_t i = 0; i < n; i++)
            y[i] = x[i] - (float)step * d[i];
        assert_int_equal(mien_style_evaluate(s, y, &down, NULL), 0);
        double err = fabs(slope - (up.total - down.total)) / scale;
        printf("%s: %.3g from differences, %.3g by the gradient, off by %.2g of its terms\n", what, up.total - down.total, slope, err);
        assert_true(err < rel);
    }
    mien_free(g), mien_free(d), mien_free(y);
}

static float *random_picture(size_t n, float lo, float hi)
{
    float *x = mien_malloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        x[i] = lo + (hi - lo) * (rng() + 1) / 2;
    return x;
}

static void parts(void **state)
{
    (void)state;
    static const int size[][2] = { { 37, 23 }, { 1, 9 }, { 40, 1 }, { 1, 1 }, { 64, 48 } };
    for (size_t k = 0; k < MIEN_ARRAY_ELEMS(size); k++) {
        int w = size[k][0], h = size[k][1];
        size_t n = (size_t)w * (size_t)h;
        float *x = random_picture(3 * n, 0, 1), *r = random_picture(3 * n, 0, 1), *certainty = random_picture(n, 0, 1);
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        p.weights = (MienStyleWeights){ .tv = 5 };
        MienStyle *s = make(&p, w, h);
        assert_int_equal(mien_style_set_content(s, r), 0);
        if (n > 1)
            differences(s, "total variation", x, 3 * n, 1e-3, 1e-4);
        p.weights = (MienStyleWeights){ .range = 13 };
        assert_int_equal(mien_style_set_weights(s, &p.weights), 0);
        float *wide = random_picture(3 * n, -0.5f, 1.5f);
        differences(s, "range", wide, 3 * n, 1e-4, 1e-3);
        mien_free(wide);
        p.weights.range = 0;
        assert_int_equal(mien_style_set_weights(s, &p.weights), 0);
        assert_int_equal(mien_style_set_temporal(s, 1, r, certainty, 7), 0);
        assert_int_equal(mien_style_set_temporal(s, 3, r, NULL, 2), 0);
        differences(s, "temporal", x, 3 * n, 1e-3, 1e-4);
        assert_int_equal(mien_style_set_temporal(s, 1, NULL, NULL, 0), 0);
        assert_int_equal(mien_style_set_temporal(s, 3, NULL, NULL, 0), 0);
        assert_int_equal(mien_style_set_anchor(s, NULL, 8, 11), 0);
        differences(s, "anchor", x, 3 * n, 1e-3, 1e-4);
        mien_style_destroy(&s);
        mien_free(x), mien_free(r), mien_free(certainty);
    }
}

static void through_the_network(void **state)
{
    (void)state;
    float *mask = random_picture(H * W, -0.2f, 1);
    for (size_t i = 0; i < H * W; i++)
        mask[i] = mask[i] > 0 ? mask[i] : 0;
    for (int k = 0; k < 4; k++) {
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        p.distance = k & 1 ? MIEN_STYLE_L1 : MIEN_STYLE_L2;
        p.content_layer = k & 1 ? "relu2_2" : "relu3_1";
        MienStyle *s = make(&p, W, H);
        assert_int_equal(mien_style_set_content(s, content), 0);
        mien_style_set_mask(s, k & 2 ? mask : NULL);
        differences(s, k & 2 ? "masked" : "all", image, N, 2e-3, 2e-3);
        mien_style_destroy(&s);
    }
    mien_free(mask);
}

/* ---- tiles, threads */

static void large_picture(float *x, int w, int h)
{
    for (int y = 0; y < h; y++)
        for (int i = 0; i < w; i++)
            for (int k = 0; k < 3; k++)
                x[((size_t)y * (size_t)w + (size_t)i) * 3 + (size_t)k] = image[((size_t)(y % H) * W + (size_t)(i % W)) * 3 + (size_t)k];
}

static void tiles(void **state)
{
    (void)state;
    static const int size[][2] = { { 301, 277 }, { 560, 45 }, { 33, 400 } };
    for (size_t k = 0; k < MIEN_ARRAY_ELEMS(size); k++) {
        int w = size[k][0], h = size[k][1];
        size_t n = (size_t)w * (size_t)h * 3;
        float *x = mien_malloc(n * sizeof(float)), *c = random_picture(n, 0.2f, 0.8f), *g[2];
        float *mask = random_picture(n / 3, 0, 1);
        MienStyleLoss l[2];
        large_picture(x, w, h);
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        p.optimizer = MIEN_STYLE_ADAM;
        for (int i = 0; i < 2; i++) {
            MienStyle *s = make(&p, w, h);
            if (i == 0) {
                assert_int_equal(mien_style_n_tiles(s), 1);
                p.memory_bytes = mien_style_memory_bytes(s) * 3 / 4;
            } else {
                assert_true(mien_style_n_tiles(s) > 1);
                assert_true(mien_style_memory_bytes(s) <= p.memory_bytes);
                printf("%dx%d in %d tiles\n", w, h, mien_style_n_tiles(s));
            }
            g[i] = mien_malloc(n * sizeof(float));
            mien_style_set_mask(s, k == 1 ? mask : NULL);
            assert_int_equal(mien_style_set_content(s, c), 0);
            assert_int_equal(mien_style_evaluate(s, x, &l[i], g[i]), 0);
            mien_style_destroy(&s);
        }
        near("content in tiles", l[1].content, l[0].content, 1e-6);
        near("style in tiles", l[1].style, l[0].style, 1e-6);
        double err = max_error(g[1], g[0], n);
        printf("gradient in tiles differs by %.3g of its largest value\n", err);
        assert_true(err < 1e-5);
        mien_free(x), mien_free(c), mien_free(mask), mien_free(g[0]), mien_free(g[1]);
    }
}

static void threads(void **state)
{
    (void)state;
    float *x[2];
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 2; i++) {
            MienStyleParams p = MIEN_STYLE_DEFAULTS;
            p.optimizer = k ? MIEN_STYLE_ADAM : MIEN_STYLE_LBFGS;
            p.exec = i ? mien_pool_exec(pool) : (MienExec){ 0 };
            MienStyle *s = make(&p, W, H);
            uint64_t before = mien_mem_count();
            assert_int_equal(mien_style_set_content(s, content), 0);
            assert_int_equal(mien_style_set_anchor(s, NULL, 16, 3), 0);
            assert_int_equal(mien_style_set_temporal(s, 0, image, NULL, 1), 0);
            assert_int_equal(mien_style_start(s, NULL, 6, 0), 0);
            for (int j = 0; j < 6; j++)
                assert_int_equal(mien_style_step(s, NULL), 0);
            x[i] = mien_malloc(N * sizeof(float));
            mien_style_get(s, x[i]);
            assert_int_equal(mien_mem_count() - before, 1); /* x[i] above: a session allocates nothing */
            mien_style_destroy(&s);
        }
        assert_memory_equal(x[0], x[1], N * sizeof(float));
        mien_free(x[0]), mien_free(x[1]);
    }
}

/* ---- what a session promises */

static void descends(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        p.optimizer = k ? MIEN_STYLE_ADAM : MIEN_STYLE_LBFGS;
        MienStyle *s = make(&p, W, H);
        MienStyleLoss first, l, last = { .total = INFINITY };
        float *x = mien_malloc(N * sizeof(float));
        assert_int_equal(mien_style_set_content(s, content), 0);
        assert_int_equal(mien_style_evaluate(s, content, &first, NULL), 0);
        assert_true(first.content == 0);
        assert_int_equal(mien_style_start(s, NULL, 30, 0), 0);
        for (int j = 0; j < 30; j++) {
            assert_int_equal(mien_style_step(s, &l), 0);
            near("sum of the parts", l.total, l.content + 100 * l.style + 6 * l.tv + 100 * l.range, 1e-12);
            assert_true(k || l.total <= last.total);
            last = l;
        }
        printf("%s: J falls from %.4g to %.4g\n", k ? "adam" : "lbfgs", first.total, l.total);
        assert_true(l.total < first.total / 5);
        mien_style_get(s, x);
        for (int i = 0; i < N; i++)
            assert_true(x[i] >= 0 && x[i] <= 1);
        mien_style_destroy(&s);
        mien_free(x);
    }
}

static void blends(void **state)
{
    (void)state;
    float *other[4];
    MienStyleTarget b = target;
    const MienStyleTarget *both[2] = { &target, &b };
    double share[2] = { 3, 1 };
    for (int i = 0; i < 4; i++) {
        size_t n = (size_t)b.layer[i].channels * (size_t)b.layer[i].channels;
        b.layer[i].gram = other[i] = mien_malloc(n * sizeof(float));
        for (size_t k = 0; k < n; k++)
            other[i][k] = 2 * target.layer[i].gram[k];
    }
    MienStyleParams p = MIEN_STYLE_DEFAULTS;
    MienStyle *s = make(&p, W, H);
    MienStyleLoss l1, l2;
    assert_int_equal(mien_style_set_content(s, content), 0);
    assert_int_equal(mien_style_evaluate(s, image, &l1, NULL), 0);
    assert_int_equal(mien_style_set_target(s, both, share, 2), 0); /* 1.25 times the first */
    assert_int_equal(mien_style_evaluate(s, image, &l2, NULL), 0);
    assert_true(l1.style != l2.style);
    share[1] = 0;
    assert_int_equal(mien_style_set_target(s, both, share, 2), 0);
    assert_int_equal(mien_style_evaluate(s, image, &l2, NULL), 0);
    assert_true(l1.style == l2.style);
    /* refused, and nothing has changed */
    p.log = (MienLog){ 0 };
    share[0] = 0;
    assert_int_equal(mien_style_set_target(s, both, share, 2), MIEN_ERR(EINVAL));
    share[0] = NAN;
    assert_int_equal(mien_style_set_target(s, both, share, 2), MIEN_ERR(EINVAL));
    share[0] = 1;
    assert_int_equal(mien_style_set_target(s, both, share, 0), MIEN_ERR(EINVAL));
    b.layer[2].channels--;
    assert_int_equal(mien_style_set_target(s, both, share, 2), MIEN_E_MISMATCH);
    b.n_layers = 2;
    assert_int_equal(mien_style_set_target(s, both, share, 2), MIEN_E_MISMATCH);
    assert_int_equal(mien_style_evaluate(s, image, &l2, NULL), 0);
    assert_true(l1.total == l2.total);
    mien_style_destroy(&s);
    for (int i = 0; i < 4; i++)
        mien_free(other[i]);
}

static int try_create(const MienStyleParams *p, const MienStyleTarget *t)
{
    MienStyle *s;
    int ret = mien_style_create(&s, model, t, p);
    assert_true((ret == 0) == (s != NULL));
    mien_style_destroy(&s);
    return ret;
}

static void refusals(void **state)
{
    (void)state;
    MienStyleParams p = MIEN_STYLE_DEFAULTS, q;
    p.w_px = p.h_px = 32;
    assert_int_equal(try_create(&p, &target), 0);
    q = p, q.w_px = 0;
    assert_int_equal(try_create(&q, &target), MIEN_ERR(EINVAL));
    q = p, q.h_px = MIEN_STYLE_MAX_PX + 1;
    assert_int_equal(try_create(&q, &target), MIEN_ERR(EINVAL));
    q = p, q.weights.tv = NAN;
    assert_int_equal(try_create(&q, &target), MIEN_ERR(EINVAL));
    q = p, q.content_layer = "relu9_9";
    assert_int_equal(try_create(&q, &target), MIEN_E_NOTFOUND);
    q = p, q.memory_bytes = 1000;
    assert_int_equal(try_create(&q, &target), MIEN_ERR(ENOMEM));
    q = p, q.w_px = q.h_px = 1, q.border_px = 0; /* nothing is left behind three pools */
    assert_true(try_create(&q, &target) < 0);
    MienStyleTarget t = target;
    t.layer[1].name = "relu1_1";
    assert_int_equal(try_create(&p, &t), MIEN_ERR(EINVAL));
    t = target, t.layer[3].name = "relu5_1";
    assert_int_equal(try_create(&p, &t), MIEN_E_NOTFOUND);
    t = target, t.layer[3].channels = 63;
    assert_int_equal(try_create(&p, &t), MIEN_E_SHAPE);
    t = target, t.n_layers = 0;
    assert_int_equal(try_create(&p, &t), MIEN_ERR(EINVAL));

    MienStyle *s;
    p.w_px = W, p.h_px = H;
    assert_int_equal(mien_style_create(&s, model, &target, &p), 0);
    assert_int_equal(mien_style_step(s, NULL), MIEN_ERR(EINVAL));
    assert_int_equal(mien_style_start(s, NULL, 1, 0), MIEN_ERR(EINVAL));
    float *bad = mien_malloc(N * sizeof(float));
    memcpy(bad, content, N * sizeof(float));
    bad[N - 1] = NAN;
    assert_int_equal(mien_style_set_content(s, bad), MIEN_ERR(EINVAL));
    assert_int_equal(mien_style_set_content(s, content), 0);
    assert_int_equal(mien_style_start(s, bad, 1, 0), MIEN_ERR(EINVAL));
    assert_int_equal(mien_style_set_temporal(s, MIEN_STYLE_MAX_REFS, content, NULL, 1), MIEN_ERR(EINVAL));
    assert_int_equal(mien_style_set_anchor(s, NULL, 4, 1), MIEN_ERR(EINVAL));
    mien_style_destroy(&s);
    mien_style_destroy(&s);
    mien_free(bad);
}

/* Ten steps from the content, as PyTorch 1.13.1 takes them in double precision (tests/tools/style_trajectory.py): J at the start of
 * each step of Adam's, at the end of each of L-BFGS's. */
static void trajectories(void **state)
{
    enum { STEPS = 10 };
    static const double want[2][STEPS] = {
        { 11.6273706, 6.0891424, 3.6506960, 3.1589956, 3.6824930, 3.4728024, 2.9728229, 2.4616776, 2.1212980, 1.9343847 },
        { 11.0930990, 7.1735346, 3.4706625, 2.8611025, 2.4202099, 2.0715074, 1.7129891, 1.6088420, 1.4200098, 1.2703050 },
    };
    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        MienStyleParams p = MIEN_STYLE_DEFAULTS;
        MienStyleLoss l;
        p.border_px = 0;
        p.optimizer = kind ? MIEN_STYLE_LBFGS : MIEN_STYLE_ADAM;
        MienStyle *s = make(&p, W, H);
        assert_int_equal(mien_style_set_content(s, content), 0);
        assert_int_equal(mien_style_start(s, NULL, STEPS, 0), 0);
        for (int i = 0; i < STEPS; i++) {
            assert_int_equal(mien_style_step(s, &l), 0);
            near(kind ? "J after a step of L-BFGS" : "J before a step of Adam", l.total, want[kind][i], 1e-3);
        }
        mien_style_destroy(&s);
    }
}

int main(void)
{
    to_stderr = mien_log_stderr("test_style", MIEN_LOG_WARN);
    load();
    if (mien_pool_create(&pool, 3, to_stderr) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference), cmocka_unit_test(parts),        cmocka_unit_test(through_the_network),
        cmocka_unit_test(tiles),     cmocka_unit_test(threads),      cmocka_unit_test(descends),
        cmocka_unit_test(trajectories), cmocka_unit_test(blends),    cmocka_unit_test(refusals),
    };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    mien_pool_destroy(&pool);
    mien_weights_close(&vectors);
    mien_model_unref(&model);
    return ret;
}
