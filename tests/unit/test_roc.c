/* The statistics of `mien evaluate pairs` against definitions tried by brute force. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tool/roc.h"

#define N 240

static uint32_t seed;

static double uniform(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 16777216.0;
}

/* Overlapping distances; `step` > 0 makes ties. */
static void random_pairs(RocPair *p, int n, uint32_t s, double step)
{
    seed = s;
    for (int i = 0; i < n; i++) {
        p[i].same = uniform() < 0.4;
        double d = (p[i].same ? 0.5 : 0.9) + 0.8 * uniform();
        p[i].dist = step > 0 ? step * floor(d / step) : d;
    }
}

static double accuracy(const RocPair *p, int n, double t, int fold, int only)
{
    int right = 0, all = 0;
    for (int i = 0; i < n; i++) {
        int f = i * 10 / n;
        if (fold >= 0 && (only ? f != fold : f == fold))
            continue;
        right += (p[i].dist <= t) == p[i].same;
        all++;
    }
    return (double)right / all;
}

static double best_by_force(const RocPair *p, int n, int without)
{
    double best = accuracy(p, n, -1, without, 0);
    for (int i = 0; i < n; i++)
        best = fmax(best, accuracy(p, n, p[i].dist, without, 0));
    return best;
}

static void best_threshold_is_best(void **state)
{
    (void)state;
    RocPair p[N];
    RocReport r;
    for (uint32_t s = 1; s <= 40; s++) {
        random_pairs(p, N, s, s % 2 ? 0.05 : 0);
        assert_int_equal(roc_report(p, N, &r), 0);
        assert_float_equal(r.accuracy_best, best_by_force(p, N, -1), 1e-12);
        assert_float_equal(accuracy(p, N, r.threshold_best, -1, 0), r.accuracy_best, 1e-12);
    }
}

/* Every fold's accuracy must be reachable by a threshold that is best on the other nine. */
static void folds_use_the_other_nine(void **state)
{
    (void)state;
    RocPair p[N];
    RocReport r;
    for (uint32_t s = 1; s <= 20; s++) {
        random_pairs(p, N, s, 0);
        assert_int_equal(roc_report(p, N, &r), 0);
        double mean = 0, var = 0;
        for (int f = 0; f < 10; f++) {
            double best = best_by_force(p, N, f);
            int reachable = 0;
            for (int i = -1; i < N && !reachable; i++) {
                double t = i < 0 ? -1 : p[i].dist;
                /* cuts lie between distances, so a cut just above t may sit below a distance of the fold left out */
                for (int k = 0; k < N && !reachable; k++) {
                    double u = p[k].dist;
                    if (u >= t && accuracy(p, N, u, f, 0) == best)
                        reachable = fabs(accuracy(p, N, u, f, 1) - r.fold[f]) < 0.1;
                }
            }
            assert_true(reachable);
            mean += r.fold[f] / 10;
        }
        for (int f = 0; f < 10; f++)
            var += (r.fold[f] - mean) * (r.fold[f] - mean) / 10;
        assert_float_equal(r.accuracy_10fold, mean, 1e-12);
        assert_float_equal(r.accuracy_10fold_sd, sqrt(var), 1e-12);
    }
}

static void tar_at_far_by_definition(void **state)
{
    (void)state;
    RocPair p[N];
    RocReport r;
    for (uint32_t s = 1; s <= 40; s++) {
        random_pairs(p, N, s, s % 2 ? 0.02 : 0);
        assert_int_equal(roc_report(p, N, &r), 0);
        double best = 0;
        for (int i = 0; i < N; i++) { /* the best rate of all thresholds that let in at most 1 % */
            int in = 0, accepted = 0;
            for (int k = 0; k < N; k++) {
                in += !p[k].same && p[k].dist <= p[i].dist;
                accepted += p[k].same && p[k].dist <= p[i].dist;
            }
            if ((double)in / (double)r.n_different <= 1e-2)
                best = fmax(best, (double)accepted / (double)r.n_same);
        }
        assert_float_equal(r.at_1e2.tar, best, 1e-12);
        assert_true(r.at_1e2.far <= 1e-2);
    }
}

/* The area is the probability that a same pair is nearer than a different one, ties counting half. */
static void area_is_a_probability(void **state)
{
    (void)state;
    RocPair p[N];
    RocReport r;
    double far[N + 1], tar[N + 1];
    for (uint32_t s = 1; s <= 20; s++) {
        random_pairs(p, N, s, s % 2 ? 0.05 : 0);
        assert_int_equal(roc_report(p, N, &r), 0);
        double wins = 0;
        for (int i = 0; i < N; i++)
            for (int k = 0; k < N; k++)
                if (p[i].same && !p[k].same)
                    wins += p[i].dist < p[k].dist ? 1 : p[i].dist == p[k].dist ? 0.5 : 0;
        assert_float_equal(r.auc, wins / (double)(r.n_same * r.n_different), 1e-9);
        assert_int_equal(roc_curve(p, N, far, tar), 0);
        assert_float_equal(far[N], 1, 1e-12);
        assert_float_equal(tar[N], 1, 1e-12);
        for (int i = 0; i < N; i++)
            assert_true(far[i] <= far[i + 1] && tar[i] <= tar[i + 1]);
    }
}

static void separable_and_degenerate(void **state)
{
    (void)state;
    RocReport r;
    RocPair p[20];
    for (int i = 0; i < 20; i++)
        p[i] = (RocPair){ .dist = i % 2 ? 0.5 : 1.5, .same = i % 2 };
    assert_int_equal(roc_report(p, 20, &r), 0);
    assert_float_equal(r.accuracy_10fold, 1, 0);
    assert_float_equal(r.accuracy_10fold_sd, 0, 0);
    assert_float_equal(r.threshold_best, 1.0, 1e-12); /* the middle of the gap */
    assert_float_equal(r.at_1e3.tar, 1, 0);
    assert_float_equal(r.eer, 0, 0);
    assert_int_equal(roc_report(p, 4, &r), 0);
    assert_true(isnan(r.accuracy_10fold)); /* too few for ten folds */
    for (int i = 0; i < 20; i++)
        p[i].dist = 0; /* identical pictures */
    assert_int_equal(roc_report(p, 20, &r), 0);
    assert_float_equal(r.accuracy_best, 0.5, 0);
    for (int i = 0; i < 20; i++)
        p[i].same = 1;
    assert_true(roc_report(p, 20, &r) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(best_threshold_is_best),   cmocka_unit_test(folds_use_the_other_nine), cmocka_unit_test(tar_at_far_by_definition),
        cmocka_unit_test(area_is_a_probability),    cmocka_unit_test(separable_and_degenerate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
