/* optim: functions with known minima, independence of the number of threads, walls, failing objectives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "mien/error.h"
#include "mien/optim.h"

/* Rosenbrock's valley, extended: minimum 0 at (1, 1, …). */
static int rosenbrock(void *priv, const float *x, double *loss, float *g)
{
    size_t n = *(const size_t *)priv;
    *loss = 0;
    memset(g, 0, n * sizeof(*g));
    for (size_t i = 0; i + 1 < n; i += 2) {
        double a = x[i], b = x[i + 1], u = b - a * a;
        *loss += 100 * u * u + (1 - a) * (1 - a);
        g[i] = (float)(-400 * a * u - 2 * (1 - a));
        g[i + 1] = (float)(200 * u);
    }
    return 0;
}

/* A quadratic whose axes differ by a factor of 1000: minimum 0 at (1, 2, 3 … mod 7). */
static int quadratic(void *priv, const float *x, double *loss, float *g)
{
    size_t n = *(const size_t *)priv;
    *loss = 0;
    for (size_t i = 0; i < n; i++) {
        double k = 1 + 999.0 * (double)i / (double)n, u = (double)x[i] - (double)(i % 7);
        *loss += 0.5 * k * u * u;
        g[i] = (float)(k * u);
    }
    return 0;
}

/* Finite only where every x < 1.5; minimum of −Σ log(1.5 − x) + (x − 1)² lies inside. */
static int walled(void *priv, const float *x, double *loss, float *g)
{
    size_t n = *(const size_t *)priv;
    *loss = 0;
    for (size_t i = 0; i < n; i++) {
        double room = 1.5 - (double)x[i];
        *loss += room > 0 ? -0.1 * log(room) + 4 * pow((double)x[i] - 2, 2) : INFINITY;
        g[i] = room > 0 ? (float)(0.1 / room + 8 * ((double)x[i] - 2)) : NAN;
    }
    return 0;
}

static MienOptim *make(MienOptimKind kind, size_t n, double rate, MienExec exec)
{
    MienOptimParams p = MIEN_OPTIM_DEFAULTS;
    p.kind = kind;
    p.n = n;
    p.rate = rate;
    p.exec = exec;
    MienOptim *o;
    assert_int_equal(mien_optim_create(&o, &p), 0);
    return o;
}

static void lbfgs_finds_known_minima(void **state)
{
    (void)state;
    static const struct {
        MienObjectiveFn fn;
        size_t n;
        float start;
        int max_steps;
        double loss;
    } row[] = {
        { rosenbrock, 2, -1.2f, 60, 1e-8 },
        { rosenbrock, 100, -1.2f, 80, 1e-8 },
        { quadratic, 1, 5, 3, 1e-8 },
        { quadratic, 1000, 5, 150, 1e-3 },
        { walled, 5, 0, 20, 0.25 * 4 * 5 + 5 },
    };
    static float x[1000];
    for (size_t r = 0; r < MIEN_ARRAY_ELEMS(row); r++) {
        size_t n = row[r].n;
        MienOptim *o = make(MIEN_OPTIM_LBFGS, n, 1, (MienExec){ 0 });
        for (size_t i = 0; i < n; i++)
            x[i] = row[r].start;
        double before = INFINITY;
        int ret = 0, steps = 0;
        for (; steps < row[r].max_steps && ret == 0; steps++) {
            ret = mien_optim_step(o, row[r].fn, &n, x);
            assert_true(ret >= 0);
            assert_true(mien_optim_loss(o) <= before); /* never uphill */
            before = mien_optim_loss(o);
        }
        if (!(mien_optim_loss(o) <= row[r].loss))
            fail_msg("row %zu: loss %g after %d steps", r, mien_optim_loss(o), steps);
        mien_optim_destroy(&o);
        assert_null(o);
    }
}

static void adam_finds_known_minima(void **state)
{
    (void)state;
    size_t n = 10;
    float x[10] = { 0 };
    MienOptim *o = make(MIEN_OPTIM_ADAM, n, 0.1, (MienExec){ 0 });
    for (int i = 0; i < 2000; i++) {
        mien_optim_set_rate(o, i < 1500 ? 0.1 : 0.01);
        assert_true(mien_optim_step(o, quadratic, &n, x) >= 0);
    }
    for (size_t i = 0; i < n; i++)
        assert_true(fabs((double)x[i] - (double)(i % 7)) < 1e-2);
    mien_optim_destroy(&o);
}

/* The first three steps by hand: g = x, rate 0.1, betas 0.9 and 0.99; bias correction makes the first step exactly the rate. */
static int half_square(void *priv, const float *x, double *loss, float *g)
{
    (void)priv;
    *loss = 0.5 * (double)x[0] * (double)x[0];
    g[0] = x[0];
    return 0;
}

static void adam_follows_the_paper(void **state)
{
    (void)state;
    float x = 1;
    double m = 0, v = 0, want = 1;
    MienOptim *o = make(MIEN_OPTIM_ADAM, 1, 0.1, (MienExec){ 0 });
    for (int t = 1; t <= 3; t++) {
        m = 0.9 * m + 0.1 * want;
        v = 0.99 * v + 0.01 * want * want;
        want -= 0.1 * (m / (1 - pow(0.9, t))) / (sqrt(v / (1 - pow(0.99, t))) + 1e-8);
        assert_int_equal(mien_optim_step(o, half_square, NULL, &x), 0);
        assert_true(fabs((double)x - want) < 1e-6);
    }
    mien_optim_destroy(&o);
}

/* The first three steps by hand: v = 0.9 v + g, x −= 0.1 v. */
static void sgd_follows_its_formula(void **state)
{
    (void)state;
    float x = 1;
    double v = 0, want = 1;
    MienOptim *o = make(MIEN_OPTIM_SGD, 1, 0.1, (MienExec){ 0 });
    for (int t = 1; t <= 3; t++) {
        v = 0.9 * v + want;
        want -= 0.1 * v;
        assert_int_equal(mien_optim_step(o, half_square, NULL, &x), 0);
        assert_true(fabs((double)x - want) < 1e-6);
    }
    mien_optim_destroy(&o);
    size_t n = 10;
    float y[10] = { 0 };
    o = make(MIEN_OPTIM_SGD, n, 1e-3, (MienExec){ 0 });
    for (int i = 0; i < 2000; i++)
        assert_true(mien_optim_step(o, quadratic, &n, y) >= 0);
    for (size_t i = 0; i < n; i++)
        assert_true(fabs((double)y[i] - (double)(i % 7)) < 1e-3);
    mien_optim_destroy(&o);
}

/* Seven steps in one go, and three, saved, restored into another optimiser, then four: the same bits. */
static void goes_on_from_a_saved_state(void **state)
{
    (void)state;
    for (int kind = MIEN_OPTIM_ADAM; kind <= MIEN_OPTIM_SGD; kind++) {
        size_t n = 20;
        float whole[20], parts[20], saved[40];
        int64_t n_steps = -1;
        MienOptim *a = make((MienOptimKind)kind, n, 1e-3, (MienExec){ 0 }), *b = make((MienOptimKind)kind, n, 1e-3, (MienExec){ 0 });
        if (kind == MIEN_OPTIM_LBFGS) {
            assert_int_equal(mien_optim_state_elems(a), 0);
            assert_int_equal(mien_optim_save(a, saved, &n_steps), MIEN_E_UNSUPPORTED);
            assert_int_equal(mien_optim_restore(a, saved, 1), MIEN_E_UNSUPPORTED);
        }
        for (size_t i = 0; i < n; i++)
            whole[i] = parts[i] = 5;
        for (int i = 0; i < 7 && kind != MIEN_OPTIM_LBFGS; i++)
            mien_optim_step(a, rosenbrock, &n, whole);
        mien_optim_reset(a);
        for (int i = 0; i < 7 && kind != MIEN_OPTIM_LBFGS; i++) {
            if (i == 0 || i == 3) { /* before any step, and after some */
                assert_true(mien_optim_state_elems(a) <= 40);
                assert_int_equal(mien_optim_save(a, saved, &n_steps), 0);
                assert_int_equal(n_steps, i);
                assert_int_equal(mien_optim_restore(b, saved, n_steps), 0);
                MienOptim *t = a;
                a = b, b = t;
            }
            mien_optim_step(a, rosenbrock, &n, parts);
        }
        assert_memory_equal(whole, parts, sizeof(whole));
        assert_int_equal(mien_optim_restore(a, saved, -1), kind == MIEN_OPTIM_LBFGS ? MIEN_E_UNSUPPORTED : MIEN_ERR(EINVAL));
        mien_optim_destroy(&a);
        mien_optim_destroy(&b);
    }
}

static void threads_do_not_change_a_bit(void **state)
{
    (void)state;
    enum { N = 100001 };
    size_t n = N;
    static float x[3][N];
    for (int kind = MIEN_OPTIM_ADAM; kind <= MIEN_OPTIM_SGD; kind++) {
        static const int threads[3] = { 1, 2, 3 };
        for (int k = 0; k < 3; k++) {
            MienPool *pool;
            assert_int_equal(mien_pool_create(&pool, threads[k], (MienLog){ 0 }), 0);
            MienOptim *o = make((MienOptimKind)kind, n, kind == MIEN_OPTIM_LBFGS ? 1 : kind ? 1e-4 : 0.1, mien_pool_exec(pool));
            memset(x[k], 0, sizeof(x[k]));
            for (int i = 0; i < 8; i++)
                assert_int_equal(mien_optim_step(o, quadratic, &n, x[k]), 0);
            mien_optim_destroy(&o);
            mien_pool_destroy(&pool);
        }
        assert_memory_equal(x[0], x[1], sizeof(x[0]));
        assert_memory_equal(x[0], x[2], sizeof(x[0]));
    }
}

static int failing(void *priv, const float *x, double *loss, float *g)
{
    if (--*(int *)priv < 0)
        return MIEN_ERR(EIO);
    size_t n = 2;
    return rosenbrock(&n, x, loss, g);
}

static void errors_of_the_objective_come_through(void **state)
{
    (void)state;
    for (int at = 0; at < 6; at++) {
        float x[2] = { -1.2f, 1 };
        int left = at, ret = 0;
        MienOptim *o = make(MIEN_OPTIM_LBFGS, 2, 1, (MienExec){ 0 });
        for (int i = 0; i < 6 && !ret; i++)
            ret = mien_optim_step(o, failing, &left, x);
        assert_int_equal(ret, MIEN_ERR(EIO));
        assert_true(isfinite(x[0]) && isfinite(x[1]));
        mien_optim_destroy(&o);
    }
    size_t n = 2;
    float x[2] = { 9, 9 }; /* outside the wall from the start */
    MienOptim *o = make(MIEN_OPTIM_LBFGS, 2, 1, (MienExec){ 0 });
    assert_int_equal(mien_optim_step(o, walled, &n, x), MIEN_ERR(EDOM));
    assert_true(x[0] == 9 && x[1] == 9);
    mien_optim_destroy(&o);
}

static void steps_allocate_nothing(void **state)
{
    (void)state;
    size_t n = 100;
    float x[100] = { 0 };
    MienOptim *o = make(MIEN_OPTIM_LBFGS, n, 1, (MienExec){ 0 });
    uint64_t count = mien_mem_count();
    for (int i = 0; i < 30; i++)
        mien_optim_step(o, rosenbrock, &n, x);
    assert_int_equal(mien_mem_count(), count);
    mien_optim_destroy(&o);
}

static void refuses_bad_parameters(void **state)
{
    (void)state;
    const MienOptimParams good = MIEN_OPTIM_DEFAULTS;
    MienOptim *o;
    for (int i = 0; i < 7; i++) {
        MienOptimParams p = good;
        p.n = 4;
        switch (i) {
        case 0: p.n = 0; break;
        case 1: p.history = 0; break;
        case 2: p.rate = -1; break;
        case 3: p.wolfe_c1 = 0.95; break;
        case 4: p.beta2 = 1; break;
        case 5: p.rate = NAN; break;
        case 6: p.momentum = 1; break;
        }
        assert_int_equal(mien_optim_create(&o, &p), MIEN_ERR(EINVAL));
        assert_null(o);
    }
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    MienOptimParams p = MIEN_OPTIM_DEFAULTS;
    p.n = 100;
    uint64_t live = mien_mem_live_bytes();
    for (uint64_t n = 1;; n++) {
        MienOptim *o;
        mien_mem_fail_at(n, 0);
        int ret = mien_optim_create(&o, &p);
        mien_mem_fail_at(0, 0);
        if (ret == 0) {
            mien_optim_destroy(&o);
            break;
        }
        assert_int_equal(ret, MIEN_ERR(ENOMEM));
        assert_null(o);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lbfgs_finds_known_minima),
        cmocka_unit_test(adam_finds_known_minima),
        cmocka_unit_test(adam_follows_the_paper),
        cmocka_unit_test(sgd_follows_its_formula),
        cmocka_unit_test(goes_on_from_a_saved_state),
        cmocka_unit_test(threads_do_not_change_a_bit),
        cmocka_unit_test(errors_of_the_objective_come_through),
        cmocka_unit_test(steps_allocate_nothing),
        cmocka_unit_test(refuses_bad_parameters),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("optim", tests, NULL, NULL);
}
