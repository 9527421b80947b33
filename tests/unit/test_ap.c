/* The statistics of `mien evaluate detection` against a naive count for every threshold, and by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "tool/ap.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-9)

static MienBox box(float x, float w)
{
    return (MienBox){ x, 0, x + w, 10 };
}

static void matching_by_hand(void **state)
{
    (void)state;
    ApTruth t[] = { { .box_px = box(100, 10), .picture = 1 }, { .box_px = box(0, 10), .picture = 0 },
                    { .box_px = box(50, 4), .picture = 0, .left_out = 1 } };
    ApDetection d[] = {
        { .box_px = box(1, 10), .prob = 0.8, .picture = 0 },   /* the second find of the same face */
        { .box_px = box(0, 10), .prob = 0.9, .picture = 0 },
        { .box_px = box(0, 10), .prob = 0.95, .picture = 1 },  /* right place, other picture */
        { .box_px = box(104, 10), .prob = 0.7, .picture = 1 }, /* IoU 6/14 */
        { .box_px = box(50, 4), .prob = 0.6, .picture = 0 },
    };
    ApPoint p[5];
    ap_match(d, 5, t, 3, 0.5);
    static const double prob[5] = { 0.95, 0.9, 0.8, 0.7, 0.6 };
    static const ApOutcome outcome[5] = { AP_FALSE, AP_HIT, AP_FALSE, AP_FALSE, AP_LEFT_OUT };
    for (int i = 0; i < 5; i++) {
        NEAR(d[i].prob, prob[i]);
        assert_int_equal(d[i].outcome, outcome[i]);
    }
    size_t n = ap_curve(d, 5, 2, p);
    assert_int_equal(n, 5);
    NEAR(p[4].recall, 0.5);
    NEAR(p[4].precision, 0.25);
    NEAR(ap_average(p, n), 0.25); /* the best precision at recall .5 is 1/2 */
    ap_match(d, 5, t, 3, 0.4);
    assert_int_equal(d[3].outcome, AP_HIT);
    assert_int_equal(ap_curve(d, 0, 2, p), 0);
    NEAR(ap_average(p, 0), 0);
}

static uint32_t seed = 7;
static double uniform(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 16777216.0;
}

static void curve_is_what_counting_says(void **state)
{
    (void)state;
    enum { N = 60, TRUTH = 25 };
    for (int round = 0; round < 200; round++) {
        ApDetection d[N];
        ApPoint p[N];
        int hits = 0;
        for (int i = 0; i < N; i++) {
            int hit = uniform() < 0.4 && hits < TRUTH;
            hits += hit;
            d[i] = (ApDetection){ .prob = floor(uniform() * 20) / 20, .outcome = hit ? AP_HIT : uniform() < 0.1 ? AP_LEFT_OUT : AP_FALSE };
        }
        for (int i = 1; i < N; i++) /* by insertion; outcomes stay with their detection */
            for (int k = i; k > 0 && d[k].prob > d[k - 1].prob; k--) {
                ApDetection swap = d[k];
                d[k] = d[k - 1], d[k - 1] = swap;
            }
        size_t n = ap_curve(d, N, TRUTH, p);
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            int tp = 0, fp = 0;
            for (int k = 0; k < N; k++) {
                tp += d[k].outcome == AP_HIT && d[k].prob >= p[i].min_prob;
                fp += d[k].outcome == AP_FALSE && d[k].prob >= p[i].min_prob;
            }
            NEAR(p[i].recall, (double)tp / TRUTH);
            NEAR(p[i].precision, (double)tp / (tp + fp));
            double best = 0;
            for (size_t k = 0; k < n; k++)
                if (p[k].recall >= p[i].recall)
                    best = fmax(best, p[k].precision);
            sum += (p[i].recall - (i ? p[i - 1].recall : 0)) * best;
        }
        NEAR(ap_average(p, n), sum);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matching_by_hand),
        cmocka_unit_test(curve_is_what_counting_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
