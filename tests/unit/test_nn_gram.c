/* nn/gram: Gram matrices and their gradient against plain sums in double; every CPU level, any number of threads the same bits.
 * The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "nn/gram.h"
#include "nn_build.h"

#define BOUND 1e-5

static MienPool *pool;
static double worst;

static void check(const char *what, MienCpu cpu, int n_px, int c, const float *y, const double *ref, const double *mag, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double err = fabs((double)y[i] - ref[i]) / (mag[i] + 1e-30);
        worst = err > worst ? err : worst;
        if (!(err <= BOUND))
            fail_msg("%s of %d pixels, %d channels, level %s: element %zu is %.9g, should be %.9g", what, n_px, c,
                     mien_cpu_name(cpu), i, (double)y[i], ref[i]);
    }
}

static void case_of(int n_px, int c, float offset)
{
    size_t n = (size_t)n_px * (size_t)c, cc = (size_t)c * (size_t)c;
    float *f = mien_malloc(n * sizeof(float)), *m = mien_malloc(cc * sizeof(float)), *y = mien_malloc(n * sizeof(float)),
          *y2 = mien_malloc(n * sizeof(float)), *gram = mien_malloc(cc * sizeof(float)), *gram2 = mien_malloc(cc * sizeof(float));
    void *work = mien_malloc(mieni_gram_work_bytes(n_px, c));
    double *ref = calloc(cc, sizeof(double)), *mag = calloc(cc, sizeof(double)), *dref = calloc(n, sizeof(double)),
           *dmag = calloc(n, sizeof(double)), scale = 1 / ((double)n_px * c);
    for (size_t i = 0; i < n; i++)
        f[i] = rng_float() + offset;
    for (size_t i = 0; i < cc; i++)
        m[i] = rng_float();
    for (int p = 0; p < n_px; p++)
        for (int i = 0; i < c; i++)
            for (int k = 0; k < c; k++) {
                double fi = (double)f[p * c + i];
                ref[i * c + k] += fi * (double)f[p * c + k] * scale;
                mag[i * c + k] += fabs(fi * (double)f[p * c + k]) * scale;
                dref[p * c + k] += fi * (double)m[i * c + k];
                dmag[p * c + k] += fabs(fi * (double)m[i * c + k]);
            }
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
        const MienKernels *k = mieni_kernels(cpu);
        mieni_gram_f32((MienExec){ 0 }, k, f, n_px, c, scale, gram, work);
        mieni_gram_f32(mien_pool_exec(pool), k, f, n_px, c, scale, gram2, work);
        assert_memory_equal(gram, gram2, cc * sizeof(float));
        check("Gram matrix", cpu, n_px, c, gram, ref, mag, cc);
        for (int i = 0; i < c; i++)
            for (int j = 0; j < i; j++)
                assert_true(gram[i * c + j] == gram[j * c + i]);
        mieni_gram_grad_f32((MienExec){ 0 }, k, f, n_px, c, m, 0, y);
        check("gradient", cpu, n_px, c, y, dref, dmag, n);
        mieni_gram_grad_f32(mien_pool_exec(pool), k, f, n_px, c, m, 0, y2);
        assert_memory_equal(y, y2, n * sizeof(float));
        mieni_gram_grad_f32(mien_pool_exec(pool), k, f, n_px, c, m, 1, y2); /* twice as much */
        for (size_t i = 0; i < n; i++)
            y2[i] /= 2;
        check("gradient added", cpu, n_px, c, y2, dref, dmag, n);
    }
    mien_free(f), mien_free(m), mien_free(y), mien_free(y2), mien_free(gram), mien_free(gram2), mien_free(work);
    free(ref), free(mag), free(dref), free(dmag);
}

static void small(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++)
        case_of(rng_int(1, 200), rng_int(1, 80), 0);
}

/* Several parts and blocks; values of one sign, as behind a relu, whose sums grow. */
static void large(void **state)
{
    static const int px[] = { 40000, 20011, 9000, 1500 }, channels[] = { 16, 33, 96, 200 };
    (void)state;
    for (int i = 0; i < 4; i++)
        case_of(px[i], channels[i], 1);
}

int main(int argc, char **argv)
{
    rng_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 20261124;
    printf("seed %u (give another as the argument)\n", rng_state);
    if (mien_pool_create(&pool, 3, mien_log_stderr("test_nn_gram", MIEN_LOG_WARN)) < 0)
        return 1;
    const struct CMUnitTest tests[] = { cmocka_unit_test(small), cmocka_unit_test(large) };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    printf("worst error: %.3g of sum |a·b|, %.0e is allowed\n", worst, BOUND);
    mien_pool_destroy(&pool);
    return ret;
}
