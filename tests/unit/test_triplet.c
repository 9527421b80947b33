/* triplet: loss and choice against a naive one, the gradient against finite differences, what a collapse looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "mien/error.h"
#include "mien/triplet.h"

enum { N = 14, DIM = 5 };

static float embedding[N * DIM];
static const int32_t person[N] = { 0, 0, 0, 1, 1, 2, 2, 2, 2, 3, 4, 4, 0, 1 };

static void fill(uint64_t seed, double noise)
{
    for (int i = 0; i < N; i++) {
        uint64_t own = mieni_rng_split(seed, (uint64_t)person[i]);
        for (int k = 0; k < DIM; k++)
            embedding[i * DIM + k] = (float)(mieni_rng_unit(&own) - 0.5 + noise * (mieni_rng_unit(&seed) - 0.5)) * (float)(1 + i % 3);
    }
}

static double naive_dist2(const float *e, int a, int b)
{
    double la = 0, lb = 0, sum = 0;
    for (int k = 0; k < DIM; k++) {
        la += (double)e[a * DIM + k] * (double)e[a * DIM + k];
        lb += (double)e[b * DIM + k] * (double)e[b * DIM + k];
    }
    for (int k = 0; k < DIM; k++) {
        double d = (double)e[a * DIM + k] / sqrt(la) - (double)e[b * DIM + k] / sqrt(lb);
        sum += d * d;
    }
    return sum;
}

/* The deterministic choices written out anew. */
static double naive_loss(const float *e, MienTripletChoice choice, double margin, int *n_active)
{
    double sum = 0;
    int n = 0;
    *n_active = 0;
    for (int a = 0; a < N; a++) {
        for (int p = 0; p < N; p++) {
            double near = INFINITY, beyond = INFINITY, far = 0, ap = naive_dist2(e, a, p);
            if (a == p || person[a] != person[p])
                continue;
            for (int i = 0; i < N; i++) {
                double an = naive_dist2(e, a, i);
                if (person[i] == person[a])
                    continue;
                near = fmin(near, an);
                far = fmax(far, an);
                if (an > ap)
                    beyond = fmin(beyond, an);
            }
            double an = choice == MIEN_TRIPLET_HARD ? near : isinf(beyond) ? far : beyond, loss = fmax(ap - an + margin, 0);
            sum += loss;
            *n_active += loss > 0;
            n++;
        }
    }
    return sum / n;
}

static void loss_is_the_naive_one(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 30; seed++) {
        MienTripletParams p = MIEN_TRIPLET_DEFAULTS;
        MienTripletLoss out;
        p.dim = DIM;
        p.margin = 0.1 * (double)(seed % 5 + 1);
        fill(seed, 0.5 + 0.1 * (double)(seed % 7));
        for (int c = MIEN_TRIPLET_SEMI_HARD; c <= MIEN_TRIPLET_HARD; c++) {
            int n_active;
            p.choice = (MienTripletChoice)c;
            double want = naive_loss(embedding, p.choice, p.margin, &n_active);
            assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, NULL), 0);
            assert_int_equal(out.n_triplets, 4 * 3 + 3 * 2 + 4 * 3 + 2);
            assert_true(fabs(out.loss - want) < 1e-12);
            assert_int_equal(out.n_active[c], n_active);
        }
        /* random: the same seed the same choice; never more active ones than hard, whose N is the nearest */
        p.choice = MIEN_TRIPLET_RANDOM;
        MienTripletLoss again;
        assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, NULL), 0);
        assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &again, NULL), 0);
        assert_memory_equal(&out, &again, sizeof(out));
        assert_true(out.n_active[MIEN_TRIPLET_RANDOM] <= out.n_active[MIEN_TRIPLET_HARD]);
    }
}

static void gradient_by_differences(void **state)
{
    (void)state;
    const float h = 1.0f / 4096;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        MienTripletParams p = MIEN_TRIPLET_DEFAULTS;
        MienTripletLoss out, up, down;
        float gradient[N * DIM];
        p.dim = DIM;
        p.margin = 0.3;
        p.choice = (MienTripletChoice)(seed % 3);
        p.seed = seed;
        fill(seed, 1);
        assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, gradient), 0);
        assert_true(out.loss > 0);
        double worst = 0, largest = 0;
        int n_kinks = 0;
        for (int i = 0; i < N * DIM; i++) {
            float x = embedding[i];
            embedding[i] = x + h;
            double plus = (double)embedding[i];
            assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &up, NULL), 0);
            embedding[i] = x - h;
            double width = plus - (double)embedding[i];
            assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &down, NULL), 0);
            embedding[i] = x;
            largest = fmax(largest, fabs((double)gradient[i]));
            double left = (out.loss - down.loss) / (width / 2), right = (up.loss - out.loss) / (width / 2);
            if (fabs(left - right) > 0.01 * (0.01 + fabs(left))) { /* another N was chosen, or a loss became 0 */
                n_kinks++;
                continue;
            }
            worst = fmax(worst, fabs((up.loss - down.loss) / width - (double)gradient[i]));
        }
        if (worst > 1e-4 * largest || n_kinks > N * DIM / 3)
            fail_msg("%s, seed %d: error %g of %g, %d kinks", mien_triplet_choice_name(p.choice), (int)seed, worst, largest, n_kinks);
    }
}

/* Descending on the embeddings themselves: the loss ends at 0 for every triplet there is. It compares distances from one anchor; that one
 * threshold then suits all anchors is usual, not promised. Semi-hard choice passes over an N that is nearer than P, so from a bad
 * start it can stop half-way; less is asked of it. */
static void descent_separates(void **state)
{
    (void)state;
    for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++) {
        MienTripletParams p = MIEN_TRIPLET_DEFAULTS;
        MienTripletLoss out;
        MienTripletMeasure m;
        float gradient[N * DIM];
        p.dim = DIM;
        p.choice = (MienTripletChoice)c;
        fill(77, 2);
        assert_int_equal(mien_triplet_measure(&p, embedding, person, N, &m), 0);
        assert_true(m.accuracy < 0.95 && m.loss > 0.05);
        double before = m.loss, least = c == MIEN_TRIPLET_SEMI_HARD ? 0.8 : 0.9;
        for (int step = 0; step < 3000; step++) {
            p.seed = (uint64_t)step;
            assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, gradient), 0);
            for (int i = 0; i < N * DIM; i++)
                embedding[i] -= 0.3f * gradient[i];
        }
        assert_int_equal(mien_triplet_measure(&p, embedding, person, N, &m), 0);
        if (m.loss > (c == MIEN_TRIPLET_SEMI_HARD ? 0.7 * before : 1e-3) || m.accuracy < least || m.auc < least)
            fail_msg("%s: accuracy %g, auc %g, loss %g", mien_triplet_choice_name(p.choice), m.accuracy, m.auc, m.loss);
        assert_int_equal(m.n_same, 16);
        assert_int_equal(m.n_same + m.n_different, N * (N - 1) / 2);
    }
}

static void ends_of_the_scale(void **state)
{
    (void)state;
    MienTripletParams p = MIEN_TRIPLET_DEFAULTS;
    MienTripletLoss out;
    MienTripletMeasure m;
    float gradient[N * DIM];
    p.dim = DIM;
    for (int i = 0; i < N * DIM; i++)
        embedding[i] = (float)(1 + i % DIM) * (float)(1 + i / DIM); /* one direction, many lengths: a collapse */
    assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, gradient), 0);
    assert_true(out.spread < 1e-12 && fabs(out.loss - p.margin) < 1e-12); /* α, and nowhere to go */
    for (int i = 0; i < N * DIM; i++)
        assert_true(fabsf(gradient[i]) < 1e-6f);
    static const int32_t alone[] = { 1, 2, 3 }, one[] = { 5, 5, 5 };
    fill(3, 1);
    assert_int_equal(mien_triplet_loss(&p, embedding, alone, 3, &out, gradient), 0);
    assert_true(out.n_triplets == 0 && out.loss == 0 && gradient[0] == 0);
    assert_int_equal(mien_triplet_loss(&p, embedding, one, 3, &out, gradient), 0);
    assert_true(out.n_triplets == 0);
    assert_int_equal(mien_triplet_measure(&p, embedding, one, 3, &m), 0);
    assert_true(isnan(m.auc) && m.n_same == 3);
    memset(embedding + DIM, 0, DIM * sizeof(float));
    assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, gradient), MIEN_ERR(EDOM));
    embedding[DIM] = NAN;
    assert_int_equal(mien_triplet_measure(&p, embedding, person, N, &m), MIEN_ERR(EDOM));
    p.margin = 0;
    assert_int_equal(mien_triplet_loss(&p, embedding, person, N, &out, NULL), MIEN_ERR(EINVAL));
    p = (MienTripletParams)MIEN_TRIPLET_DEFAULTS;
    p.dim = DIM;
    fill(3, 1);
    int ret = -1;
    for (uint64_t n = 1; ret < 0; n++) {
        uint64_t live = mien_mem_live_bytes();
        mien_mem_fail_at(n, 0);
        ret = mien_triplet_loss(&p, embedding, person, N, &out, gradient);
        if (ret >= 0)
            ret = mien_triplet_measure(&p, embedding, person, N, &m);
        mien_mem_fail_at(0, 0);
        assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
        assert_int_equal(mien_mem_live_bytes(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_naive_one), cmocka_unit_test(gradient_by_differences), cmocka_unit_test(descent_separates),
        cmocka_unit_test(ends_of_the_scale),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
