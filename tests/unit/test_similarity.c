/* similarity: the formulas against naive ones, training against a known answer and against finite differences of a naive loss. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "mien/error.h"
#include "mien/similarity.h"

enum { DIM = 6, N = 6000 };

static float embedding[2 * N][DIM];
static MienPair pair[N];

static double gauss(uint64_t *rng)
{
    return sqrt(-2 * log(1 - mieni_rng_unit(rng))) * cos(2 * M_PI * mieni_rng_unit(rng));
}

/* g as the header has it, for χ² by way of the non-negative parts. */
static double naive_g(MienSimilarityKind kind, double a, double b)
{
    if (kind == MIEN_SIMILARITY_LOGISTIC)
        return fabs(a - b);
    double sum = 0;
    for (int sign = -1; sign <= 1; sign += 2) {
        double p = fmax(sign * a, 0), q = fmax(sign * b, 0);
        sum += p + q > 0 ? (p - q) * (p - q) / (p + q) : 0;
    }
    return sum;
}

static double naive_logit(const MienSimilarity *u, const float *a, const float *b)
{
    double z = u->b;
    for (int k = 0; k < u->dim; k++)
        z += (double)u->w[k] * naive_g(u->kind, a[k], b[k]);
    return z;
}

static void formulas(void **state)
{
    (void)state;
    MienSimilarity u = { .dim = DIM, .w = { -3, 2, -1, 0.5f, -8, 4 }, .b = 1.5f };
    uint64_t rng = 7;
    for (int kind = MIEN_SIMILARITY_LOGISTIC; kind <= MIEN_SIMILARITY_CHI2; kind++) {
        u.kind = (MienSimilarityKind)kind;
        assert_int_equal(mien_similarity_check(&u), 0);
        for (int i = 0; i < 200; i++) {
            float a[DIM], b[DIM];
            for (int k = 0; k < DIM; k++) { /* zeros and tiny numbers among them */
                a[k] = mieni_rng_below(&rng, 4) ? (float)gauss(&rng) : 0;
                b[k] = mieni_rng_below(&rng, 4) ? (float)gauss(&rng) : mieni_rng_below(&rng, 2) ? a[k] : 1e-38f;
            }
            double want = naive_logit(&u, a, b);
            assert_true(fabs(mien_similarity_logit(&u, a, b) - want) < 1e-5 * (1 + fabs(want)));
            assert_true(mien_similarity_logit(&u, a, b) == mien_similarity_logit(&u, b, a));
            assert_true(mien_similarity_logit(&u, a, a) == (double)u.b);
        }
    }
    assert_true(mien_similarity_prob(0) == 0.5);
    assert_true(mien_similarity_prob(800) == 1 && mien_similarity_prob(-800) == 0);
    assert_true(fabs(mien_similarity_logit_of(mien_similarity_prob(3.25)) - 3.25) < 1e-12);
    assert_true(isinf(mien_similarity_logit_of(1)) && isinf(mien_similarity_logit_of(0)));
    assert_string_equal(mien_similarity_name(MIEN_SIMILARITY_DISTANCE), "distance");
    assert_string_equal(mien_similarity_name(MIEN_SIMILARITY_CHI2), "chi2");
}

/* Pairs whose label is drawn with the probability that a known unit gives them. Returns how many are the same. */
static size_t draw_pairs(const MienSimilarity *truth, uint64_t seed)
{
    size_t n_same = 0;
    for (size_t i = 0; i < N; i++) {
        float *a = embedding[2 * i], *b = embedding[2 * i + 1];
        for (int k = 0; k < DIM; k++) {
            a[k] = (float)gauss(&seed);
            b[k] = (float)gauss(&seed);
        }
        pair[i] = (MienPair){ a, b, mieni_rng_unit(&seed) < mien_similarity_prob(mien_similarity_logit(truth, a, b)) };
        n_same += (size_t)pair[i].same;
    }
    return n_same;
}

/* What training minimises, from the header's words. */
static double naive_loss(const MienSimilarity *u, double l2)
{
    double loss[2] = { 0 }, count[2] = { 0 }, norm = 0;
    for (size_t i = 0; i < N; i++) {
        double z = naive_logit(u, pair[i].f1, pair[i].f2);
        loss[pair[i].same] += log1p(exp(pair[i].same ? -z : z));
        count[pair[i].same]++;
    }
    for (int k = 0; k < u->dim; k++) {
        double square = 0;
        for (size_t i = 0; i < N; i++)
            square += pow(naive_g(u->kind, pair[i].f1[k], pair[i].f2[k]), 2);
        norm += (double)u->w[k] * (double)u->w[k] * square / N;
    }
    return loss[0] / count[0] / 2 + loss[1] / count[1] / 2 + l2 / 2 * norm;
}

/* The largest component of the loss's gradient by central differences, in units of the features' root mean square. */
static double naive_gradient(MienSimilarity u, double l2)
{
    double largest = 0;
    for (int k = 0; k <= u.dim; k++) {
        float *x = k < u.dim ? &u.w[k] : &u.b, x0 = *x;
        double square = 1, h = 1.0 / 256; /* exact in f32 beside weights of this size */
        for (size_t i = 0; k < u.dim && i < N; i++)
            square += pow(naive_g(u.kind, pair[i].f1[k], pair[i].f2[k]), 2) / N - 1.0 / N;
        *x = x0 + (float)h;
        double up = naive_loss(&u, l2), moved = (double)*x;
        *x = x0 - (float)h;
        largest = fmax(largest, fabs((up - naive_loss(&u, l2)) / (moved - (double)*x)) / sqrt(square));
        *x = x0;
    }
    return largest;
}

static void finds_the_known_answer(void **state)
{
    (void)state;
    static const struct {
        MienSimilarityKind kind;
        float b;
        double tolerance; /* of a weight: about three standard errors with this many pairs */
    } row[] = {
        { MIEN_SIMILARITY_LOGISTIC, 4, 0.35 },
        { MIEN_SIMILARITY_CHI2, 3, 0.35 },
        { MIEN_SIMILARITY_LOGISTIC, 2, 0.35 }, /* few of the same: weights stay, b does not see how many there are */
    };
    for (size_t r = 0; r < MIEN_ARRAY_ELEMS(row); r++) {
        MienSimilarity truth = { .kind = row[r].kind, .dim = DIM, .w = { -2, -1, 0, -1.5f, -0.5f, 0.5f }, .b = row[r].b }, u;
        MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
        MienSimilarityFit fit;
        double n_same = (double)draw_pairs(&truth, 11 + r);
        p.kind = row[r].kind;
        p.dim = DIM;
        p.l2 = 1e-6;
        assert_int_equal(mien_similarity_train(&u, &p, pair, N, &fit), 0);
        assert_int_equal(fit.converged, 1);
        for (int k = 0; k < DIM; k++)
            if (fabs((double)u.w[k] - (double)truth.w[k]) > row[r].tolerance)
                fail_msg("row %zu: weight %d is %g, %g was put in", r, k, (double)u.w[k], (double)truth.w[k]);
        double b = (double)truth.b - log(n_same / (N - n_same)); /* as many of both kinds */
        if (fabs((double)u.b - b) > 0.5)
            fail_msg("row %zu: b is %g, %g is due", r, (double)u.b, b);
        assert_true(fabs(fit.loss - naive_loss(&u, 0)) < 1e-5);
        assert_true(naive_gradient(u, p.l2) < 1e-4); /* it is the minimum of the naive loss, too */
    }
}

/* Before the minimum: the gradient that training ended with is that of the naive loss. */
static void gradient_is_right(void **state)
{
    (void)state;
    for (int kind = MIEN_SIMILARITY_LOGISTIC; kind <= MIEN_SIMILARITY_CHI2; kind++) {
        MienSimilarity truth = { .kind = (MienSimilarityKind)kind, .dim = DIM, .w = { -2, -1, 0, -1.5f, -0.5f, 0.5f }, .b = 3 }, u;
        MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
        MienSimilarityFit fit;
        draw_pairs(&truth, 5);
        p.kind = truth.kind;
        p.dim = DIM;
        p.l2 = 0.05;
        for (p.max_iterations = 1; p.max_iterations <= 3; p.max_iterations++) {
            assert_int_equal(mien_similarity_train(&u, &p, pair, N, &fit), 0);
            assert_int_equal(fit.iterations, p.max_iterations);
            double want = naive_gradient(u, p.l2);
            assert_true(want > 1e-3);
            if (fabs(fit.gradient - want) > 2e-3 * want)
                fail_msg("%s, %d iterations: gradient %g, by differences %g", mien_similarity_name(p.kind), p.max_iterations, fit.gradient, want);
        }
    }
}

/* A stronger pull makes smaller weights; a coordinate that never differs gets none; repeating gives the same bits. */
static void pull_and_constants(void **state)
{
    (void)state;
    MienSimilarity truth = { .kind = MIEN_SIMILARITY_LOGISTIC, .dim = DIM, .w = { -2, -1, -1, -1, -1, -1 }, .b = 5 }, u, again;
    MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
    draw_pairs(&truth, 3);
    for (size_t i = 0; i < 2 * N; i++)
        embedding[i][2] = 0.25f;
    p.dim = DIM;
    double before = INFINITY;
    for (p.l2 = 1e-4; p.l2 < 10; p.l2 *= 30) {
        double norm = 0;
        assert_int_equal(mien_similarity_train(&u, &p, pair, N, NULL), 0);
        for (int k = 0; k < DIM; k++)
            norm += (double)u.w[k] * (double)u.w[k];
        assert_true(norm < before);
        before = norm;
        assert_true(u.w[2] == 0);
    }
    assert_int_equal(mien_similarity_train(&again, &p, pair, N, NULL), 0);
    assert_int_equal(mien_similarity_train(&u, &p, pair, N, NULL), 0);
    assert_memory_equal(&u, &again, sizeof(u));
}

static void refusals(void **state)
{
    (void)state;
    MienSimilarity u, truth = { .kind = MIEN_SIMILARITY_LOGISTIC, .dim = DIM, .w = { -1 }, .b = 1 };
    MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
    draw_pairs(&truth, 1);
    p.dim = DIM;
    for (int i = 0; i < 100; i++)
        pair[i].same = 1;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 100, NULL), MIEN_ERR(EINVAL)); /* one kind alone */
    pair[3].same = 0;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 100, NULL), 0);
    embedding[4][1] = NAN;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 100, NULL), MIEN_ERR(EINVAL));
    assert_int_equal(mien_similarity_train(&u, &p, pair, 0, NULL), MIEN_ERR(EINVAL));
    p.l2 = 0;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 2, NULL), MIEN_ERR(EINVAL));
    p.l2 = 1;
    p.kind = MIEN_SIMILARITY_DISTANCE;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 2, NULL), MIEN_ERR(EINVAL));
    p.kind = MIEN_SIMILARITY_CHI2;
    p.dim = MIEN_SIMILARITY_MAX_DIM + 1;
    assert_int_equal(mien_similarity_train(&u, &p, pair, 2, NULL), MIEN_ERR(EINVAL));
    truth.w[DIM - 1] = INFINITY;
    assert_int_equal(mien_similarity_check(&truth), MIEN_ERR(EINVAL));
    truth.dim--;
    assert_int_equal(mien_similarity_check(&truth), 0);
    truth.b = NAN;
    assert_int_equal(mien_similarity_check(&truth), MIEN_ERR(EINVAL));
}

static void out_of_memory(void **state)
{
    (void)state;
    MienSimilarity u, truth = { .kind = MIEN_SIMILARITY_LOGISTIC, .dim = DIM, .w = { -1, -1 }, .b = 1 };
    MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
    draw_pairs(&truth, 1);
    p.dim = DIM;
    int ret = -1;
    for (uint64_t n = 1; ret < 0 && n < 50; n++) {
        uint64_t live = mien_mem_live_bytes();
        mien_mem_fail_at(n, 0);
        ret = mien_similarity_train(&u, &p, pair, 500, NULL);
        mien_mem_fail_at(0, 0);
        assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    assert_int_equal(ret, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formulas), cmocka_unit_test(finds_the_known_answer), cmocka_unit_test(gradient_is_right),
        cmocka_unit_test(pull_and_constants), cmocka_unit_test(refusals), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
