/* Rates, searches, open-set curves and calibration against known values and against the definitions tried by brute force. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mien/calibrate.h"
#include "mien/error.h"

static uint32_t seed;

static double uniform(void)
{
    seed = seed * 1664525u + 1013904223u;
    return (double)(seed >> 8) / 16777216.0;
}

static double gauss(void)
{
    double sum = -6;
    for (int i = 0; i < 12; i++)
        sum += uniform();
    return sum;
}

/* ---- proportions */

/* Binomial tail P(X >= k) summed term by term. */
static double tail(int k, int n, double p)
{
    double sum = 0;
    for (int i = k; i <= n; i++)
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) + (n - i) * log1p(-p));
    return sum;
}

static void exact_bounds(void **state)
{
    (void)state;
    static const struct {
        int k, n;
        double low, high; /* closed forms where k is 0 or n, else published tables of exact 95 % limits */
    } row[] = {
        { 0, 10, 0, 0.308497 },    /* 1 - .025^(1/10) */
        { 10, 10, 0.691503, 1 },
        { 1, 10, 0.002529, 0.445016 },
        { 5, 10, 0.187086, 0.812914 },
        { 0, 1000, 0, 0.003682 },
        { 3, 1000, 0.000619, 0.008742 },
        { 81, 263, 0.252737, 0.367622 },
        { 1, 1, 0.025, 1 },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        MienRate r = mien_rate(row[i].k, row[i].n);
        assert_float_equal(r.rate, (double)row[i].k / row[i].n, 1e-12);
        assert_float_equal(r.low, row[i].low, 2e-6);
        assert_float_equal(r.high, row[i].high, 2e-6);
    }
    /* By definition: at the lower bound k or more hits, at the upper one k or fewer, have a probability of 2.5 %. */
    seed = 1;
    for (int i = 0; i < 200; i++) {
        int n = 1 + (int)(uniform() * 400), k = (int)(uniform() * (n + 1));
        MienRate r = mien_rate(k, n);
        if (k)
            assert_float_equal(tail(k, n, r.low), 0.025, 1e-8);
        if (k < n)
            assert_float_equal(1 - tail(k + 1, n, r.high), 0.025, 1e-8);
    }
    MienRate r = mien_rate(0, 0);
    assert_true(isnan(r.rate) && r.low == 0 && r.high == 1);
    r = mien_rate(20, 3e6); /* large numbers: near the Poisson limits of 20, 12.217 and 30.888 */
    assert_float_equal(r.low * 3e6, 12.217, 1e-2);
    assert_float_equal(r.high * 3e6, 30.888, 1e-2);
    MienRate a = mien_rate(2, 50), b = mien_rate(2.5, 50), c = mien_rate(3, 50); /* not whole: in between */
    assert_true(a.low < b.low && b.low < c.low && a.high < b.high && b.high < c.high);
}

static void closed_form(void **state)
{
    (void)state;
    assert_float_equal(mien_fpir_of_fmr(0.01, 100), 1 - pow(0.99, 100), 1e-12);
    assert_float_equal(mien_fpir_of_fmr(1e-15, 10) / 1e-14, 1, 1e-9);
    for (double fpir = 1e-6; fpir < 1; fpir *= 3)
        assert_float_equal(mien_fpir_of_fmr(mien_fmr_for_fpir(fpir, 12345), 12345) / fpir, 1, 1e-9);
    assert_float_equal(mien_fmr_for_fpir(0.003, 1), 0.003, 1e-15);
}

/* ---- published statistics */

#define MOBILEFACE128 "469b8cde1d367cd978e2ad316a344975440c5f0bf9e9e95a08a290f7e7792e40"
#define DLIB128 "f70db5075e223acc126dc1559b24a66283d270587d2eb67537dcd796ccb8a4ae"

static void published(void **state)
{
    (void)state;
    static const char *const hash[] = { MOBILEFACE128, DLIB128 };
    assert_null(mien_encoder_stats("0123"));
    for (int k = 0; k < 2; k++) {
        const MienEncoderStats *s = mien_encoder_stats(hash[k]);
        assert_non_null(s);
        for (int i = 0; i < s->n_same_points; i++) {
            int has_fmr = i < s->n_points;
            assert_float_equal(mien_encoder_fnmr(s, s->point[i].sim_cos), s->point[i].fnmr, 1e-9);
            assert_true(has_fmr == (s->point[i].fmr > 0));
            if (has_fmr)
                assert_float_equal(mien_encoder_fmr(s, s->point[i].sim_cos, NULL) / s->point[i].fmr, 1, 1e-9);
            if (i)
                assert_true(s->point[i].sim_cos > s->point[i - 1].sim_cos && s->point[i].fmr < s->point[i - 1].fmr + !has_fmr &&
                            s->point[i].fnmr >= s->point[i - 1].fnmr);
        }
        double before = 1;
        for (double sim = -1; sim <= 1; sim += 0.003) { /* falls everywhere, also where continued */
            double fmr = mien_encoder_fmr(s, sim, NULL);
            assert_true(fmr > 0 && fmr <= before);
            before = fmr;
        }
        for (double fmr = 0.3; fmr > 1e-12; fmr /= 7) { /* the smallest on the grid */
            int beyond, beyond_too;
            double t = mien_encoder_threshold(s, fmr, &beyond);
            double there = mien_encoder_fmr(s, t, &beyond_too), below = mien_encoder_fmr(s, t - MIEN_SIM_STEP, NULL);
            assert_int_equal(beyond, beyond_too);
            assert_int_equal(beyond, t > s->point[s->n_points - 1].sim_cos);
            assert_true((there <= fmr && below > fmr) || (t == 1 && there > fmr));
        }
    }
    /* What docs/models.md says about single comparisons. */
    const MienEncoderStats *s = mien_encoder_stats(MOBILEFACE128);
    assert_float_equal(mien_encoder_fmr(s, 0.28, NULL), 6.1e-3, 5e-5);
    assert_float_equal(mien_encoder_fmr(s, 0.40, NULL), 3.1e-4, 5e-6);
    assert_float_equal(mien_encoder_fmr(s, 0.52, NULL), 9.3e-6, 5e-8);
    assert_float_equal(1 - mien_encoder_fnmr(s, 0.48), 0.9899, 5e-5);
    assert_float_equal(1 - mien_encoder_fnmr(s, 0.56), 0.9519, 5e-5); /* behind the last known fmr */
}

/* ---- searches */

#define DIM 24

typedef struct Set {
    float *embedding;
    int64_t *person;
    MienTemplates t;
} Set;

/* n_people with up to most templates each: a direction of their own and noise about it. ids begin at first_id. */
static Set make_set(int n_people, int most, double noise, int64_t first_id, uint32_t s)
{
    Set set = { 0 };
    seed = s;
    set.embedding = malloc((size_t)n_people * (size_t)most * DIM * sizeof(float));
    set.person = malloc((size_t)n_people * (size_t)most * sizeof(int64_t));
    size_t n = 0;
    for (int p = 0; p < n_people; p++) {
        double own[DIM];
        int count = 1 + (int)(uniform() * most);
        for (int k = 0; k < DIM; k++)
            own[k] = gauss();
        for (int c = 0; c < count && c < most; c++, n++) {
            double v[DIM], sum = 0;
            for (int k = 0; k < DIM; k++) {
                v[k] = own[k] + noise * gauss();
                sum += v[k] * v[k];
            }
            for (int k = 0; k < DIM; k++)
                set.embedding[n * DIM + (size_t)k] = (float)(v[k] / sqrt(sum));
            set.person[n] = first_id + p;
        }
    }
    set.t = (MienTemplates){ .embedding = set.embedding, .person = set.person, .n = n, .dim = DIM };
    return set;
}

static void free_set(Set *s)
{
    free(s->embedding);
    free(s->person);
}

static double dot(const float *a, const float *b)
{
    double sum = 0;
    for (int k = 0; k < DIM; k++)
        sum += (double)a[k] * b[k];
    return sum;
}

/* The definitions, one comparison after the other. */
static void search_by_force(const Set *g, const Set *p, int leave_out, size_t i, double *mate, double *other)
{
    *mate = *other = -9;
    for (size_t r = 0; r < g->t.n; r++) {
        if (leave_out && r == i)
            continue;
        double sim = dot(g->embedding + r * DIM, p->embedding + i * DIM);
        double *best = g->person[r] == p->person[i] ? mate : other;
        *best = fmax(*best, sim);
    }
}

static MienSearchResult *search_all(const Set *g, const Set *p, int strangers, MienSimCounts *counts)
{
    MienSearchResult *r = malloc((p->t.n + 1) * sizeof(*r));
    /* in two goes, as a caller with a progress bar does */
    size_t half = p->t.n / 3;
    assert_int_equal(mien_search_templates(&g->t, &p->t, 0, half, strangers, r, counts), 0);
    assert_int_equal(mien_search_templates(&g->t, &p->t, half, p->t.n - half, strangers, r + half, counts), 0);
    return r;
}

static void searches(void **state)
{
    (void)state;
    Set g = make_set(130, 4, 0.5, 1, 5), p = make_set(90, 3, 0.5, 60, 6);
    for (int leave_out = 0; leave_out < 2; leave_out++) {
        const Set *probes = leave_out ? &g : &p;
        MienSimCounts *counts = calloc(1, sizeof(*counts));
        MienSearchResult *r = search_all(&g, probes, 0, counts);
        uint64_t same = 0, different = 0, same_by_force = 0;
        for (size_t i = 0; i < probes->t.n; i++) {
            double mate, other;
            search_by_force(&g, probes, leave_out, i, &mate, &other);
            assert_int_equal(r[i].person, probes->person[i]);
            if (mate < -1)
                assert_true(isnan(r[i].mate_sim_cos));
            else
                assert_float_equal(r[i].mate_sim_cos, mate, 1e-5);
            assert_float_equal(r[i].other_sim_cos, other, 1e-5);
            assert_true(r[i].other != r[i].person);
            for (size_t k = 0; k < g.t.n; k++)
                same_by_force += g.person[k] == probes->person[i] && !(leave_out && k == i);
        }
        for (int b = 0; b < MIEN_SIM_BINS; b++) {
            same += counts->same[b];
            different += counts->different[b];
        }
        assert_int_equal(same, same_by_force);
        assert_int_equal(same + different, g.t.n * probes->t.n - (leave_out ? g.t.n : 0));
        double above = 0;
        for (size_t i = 0; i < probes->t.n; i++)
            for (size_t k = 0; k < g.t.n; k++)
                above += g.person[k] != probes->person[i] && dot(g.embedding + k * DIM, probes->embedding + i * DIM) >= 0.3;
        assert_float_equal(mien_counts_fmr(counts, 0.3) * (double)different, above, 2.5); /* f32 may move one over the edge */
        free(counts);
        free(r);
    }
    /* Strangers' numbers mean nothing to the gallery. */
    MienSearchResult *r = search_all(&g, &p, 1, NULL);
    for (size_t i = 0; i < p.t.n; i++)
        assert_true(isnan(r[i].mate_sim_cos));
    free(r);
    MienTemplates odd = p.t;
    MienSearchResult one;
    odd.dim = DIM - 1;
    assert_int_equal(mien_search_templates(&g.t, &odd, 0, 1, 0, &one, NULL), MIEN_ERR(EINVAL));
    free_set(&g);
    free_set(&p);
}

/* ---- open set */

/* Share of searches for which `yes`, every person or every search counting once. */
typedef int (*YesFn)(const MienSearchResult *s, double t, double margin);

static int named(const MienSearchResult *s, double t, double margin)
{
    (void)margin;
    return (double)s->other_sim_cos >= t;
}

static int missed(const MienSearchResult *s, double t, double margin)
{
    double lead = (double)s->mate_sim_cos - (double)s->other_sim_cos;
    return !((double)s->mate_sim_cos >= t && lead > 0 && lead >= margin);
}

static int misnamed(const MienSearchResult *s, double t, double margin)
{
    double lead = (double)s->other_sim_cos - (double)s->mate_sim_cos;
    return (double)s->other_sim_cos >= t && lead >= 0 && lead >= margin;
}

static double share_by_force(const MienSearchResult *s, size_t n, int want_mate, int by_person, YesFn yes, double t, double margin)
{
    double hits = 0, all = 0;
    for (size_t i = 0; i < n; i++) {
        double same = 0;
        if (want_mate && isnan(s[i].mate_sim_cos))
            continue;
        for (size_t k = 0; k < n; k++)
            same += s[k].person == s[i].person && !(want_mate && isnan(s[k].mate_sim_cos));
        double weight = by_person ? 1 / same : 1;
        hits += yes(&s[i], t, margin) ? weight : 0;
        all += weight;
    }
    return hits / all;
}

static void open_set(void **state)
{
    (void)state;
    Set g = make_set(120, 4, 0.8, 1, 7), x = make_set(80, 3, 0.8, 5000, 8);
    MienSearchResult *mated = search_all(&g, &g, 0, NULL), *strangers = search_all(&g, &x, 1, NULL);
    for (int by_person = 0; by_person < 2; by_person++) {
        MienOpenSet *set;
        MienOpenSetParams p = { .mated = mated, .n_mated = g.t.n, .non_mated = strangers, .n_non_mated = x.t.n, .margin = 0.05,
                                .by_person = by_person };
        assert_int_equal(mien_open_set_create(&set, &p), 0);
        for (double t = 0.1; t < 1; t += 0.07) {
            assert_float_equal(mien_open_set_fpir(set, t).rate, share_by_force(strangers, x.t.n, 0, by_person, named, t, 0), 1e-9);
            assert_float_equal(mien_open_set_fnir(set, t).rate, share_by_force(mated, g.t.n, 1, by_person, missed, t, 0.05), 1e-9);
            assert_float_equal(mien_open_set_misnamed(set, t).rate, share_by_force(mated, g.t.n, 1, by_person, misnamed, t, 0.05), 1e-9);
        }
        assert_float_equal(mien_open_set_rank1(set).rate, 1 - share_by_force(mated, g.t.n, 1, by_person, missed, -1, 1e-12), 1e-9);
        assert_float_equal(mien_open_set_fpir(set, 0.5).n_trials, 80, 0);
        /* The threshold is the smallest that will do. */
        for (double fpir = 0.5; fpir > 0.001; fpir /= 1.7) {
            double t = mien_open_set_threshold(set, fpir);
            assert_true(share_by_force(strangers, x.t.n, 0, by_person, named, t, 0) <= fpir + 1e-9);
            assert_true(share_by_force(strangers, x.t.n, 0, by_person, named, t - MIEN_SIM_STEP, 0) > fpir);
        }
        mien_open_set_destroy(&set);
    }
    free(mated);
    free(strangers);
    free_set(&g);
    free_set(&x);
}

/* Scores of a known distribution: uniform ones, so that the threshold for FPIR f is 1 - f, and one in n is what can be resolved. */
static void known_distribution(void **state)
{
    (void)state;
    enum { N = 5000 };
    MienSearchResult *s = malloc(N * sizeof(*s));
    MienOpenSet *set;
    for (int i = 0; i < N; i++)
        s[i] = (MienSearchResult){ .person = i, .mate_sim_cos = NAN, .other_sim_cos = ((float)i + 0.5f) / N };
    MienOpenSetParams p = { .non_mated = s, .n_non_mated = N };
    assert_int_equal(mien_open_set_create(&set, &p), 0);
    for (double fpir = 0.1; fpir >= 0.001; fpir /= 10)
        assert_float_equal(mien_open_set_threshold(set, fpir), 1 - fpir, 1.0 / N + MIEN_SIM_STEP);
    assert_true(isnan(mien_open_set_fnir(set, 0.5).rate)); /* nobody was searched for */
    mien_open_set_destroy(&set);
    free(s);
}

/* ---- calibration */

static int calibrate(const Set *g, const Set *x, double fpir, const char *hash, MienCalibration *c, MienCalibrationReport *r)
{
    MienSimCounts *counts = calloc(1, sizeof(*counts));
    MienSearchResult *enrolled = search_all(g, g, 0, NULL), *strangers = x ? search_all(g, x, 1, counts) : NULL;
    MienCalibrateParams p = { .fpir = fpir, .stats = mien_encoder_stats(hash), .enrolled = enrolled, .strangers = strangers,
                              .n_strangers = x ? x->t.n : 0, .counts = x ? counts : NULL, .gallery = &g->t };
    int ret = mien_calibrate(&p, c, r);
    free(counts);
    free(enrolled);
    free(strangers);
    return ret;
}

static void from_strangers(void **state)
{
    (void)state;
    Set g = make_set(60, 3, 0.3, 1, 11), x = make_set(700, 1, 0.3, 9000, 12);
    MienCalibration c;
    MienCalibrationReport r;
    assert_int_equal(calibrate(&g, &x, 0.01, "unknown", &c, &r), 0);
    assert_int_equal(c.basis, MIEN_BASIS_STRANGERS);
    assert_int_equal(r.n_strangers_needed, 300);
    assert_int_equal(c.n_people, 60);
    assert_int_equal(c.n_samples, g.t.n);
    assert_int_equal(c.n_impostors, 700);
    assert_float_equal(c.fpir_measured, 7.0 / 700, 1e-9); /* all that is allowed, none more */
    assert_true(c.fpir_low < 0.01 && c.fpir_high > 0.01);
    assert_true(c.verify_sim_cos < c.threshold_sim_cos); /* one chance instead of 60 */
    assert_true(isnan(r.fmr_published) && r.fmr_measured > 0);
    /* strangers are independent here, so the closed form must come out near */
    assert_in_range((int64_t)(r.fpir_closed_form * 1e4), 40, 250);
    assert_true(c.n_mated > 10 && c.fnir >= 0 && c.fnir_low <= c.fnir && c.fnir <= c.fnir_high);
    assert_float_equal(c.margin_sim_cos, 0.05, 1e-9);
    free_set(&g);
    free_set(&x);
}

static void from_published(void **state)
{
    (void)state;
    Set g = make_set(40, 3, 0.3, 1, 13), x = make_set(50, 1, 0.3, 9000, 14);
    MienCalibration c, c2;
    MienCalibrationReport r;
    /* nothing to go by */
    assert_int_equal(calibrate(&g, NULL, 0.01, "unknown", &c, &r), MIEN_E_NOTFOUND);
    assert_int_equal(calibrate(&g, &x, 0.003, "unknown", &c, &r), MIEN_E_NOTFOUND);
    assert_int_equal(r.n_strangers_needed, 1000);
    /* the table, for as many chances as there are templates */
    assert_int_equal(calibrate(&g, NULL, 0.01, MOBILEFACE128, &c, &r), 0);
    assert_int_equal(c.basis, MIEN_BASIS_PUBLISHED);
    assert_int_equal(c.n_impostors, 0);
    assert_true(isnan(c.fpir_measured) && isnan(r.fmr_measured));
    const MienEncoderStats *s = mien_encoder_stats(MOBILEFACE128);
    double below = mien_fpir_of_fmr(mien_encoder_fmr(s, c.threshold_sim_cos - MIEN_SIM_STEP, NULL), (double)g.t.n);
    assert_true(r.fpir_closed_form <= 0.01 && below > 0.01);
    /* more chances, a stricter threshold; 1:1 stays */
    Set big = make_set(400, 3, 0.3, 1, 13);
    assert_int_equal(calibrate(&big, NULL, 0.01, MOBILEFACE128, &c2, NULL), 0);
    assert_true(c2.threshold_sim_cos > c.threshold_sim_cos + 0.03);
    assert_float_equal(c2.verify_sim_cos, c.verify_sim_cos, 1e-9);
    free_set(&big);
    /* fifty strangers of a kind that the table knows nothing of: random directions in 24 dimensions are much alike */
    assert_int_equal(calibrate(&g, &x, 0.003, MOBILEFACE128, &c2, &r), 0);
    assert_int_equal(c2.basis, MIEN_BASIS_PUBLISHED);
    assert_true(r.raised);
    assert_float_equal(c2.fpir_measured, 0, 0);
    /* bad requests */
    assert_int_equal(calibrate(&g, NULL, 0, MOBILEFACE128, &c, &r), MIEN_ERR(EINVAL));
    assert_int_equal(calibrate(&g, NULL, NAN, MOBILEFACE128, &c, &r), MIEN_ERR(EINVAL));
    Set none = g;
    none.t.n = 0;
    assert_int_equal(calibrate(&none, NULL, 0.01, MOBILEFACE128, &c, &r), MIEN_ERR(EINVAL));
    free_set(&g);
    free_set(&x);
}

/* One person, one template: no other, no mate, and still a threshold. */
static void one_person(void **state)
{
    (void)state;
    Set g = make_set(1, 1, 0.3, 1, 15);
    MienCalibration c;
    MienCalibrationReport r;
    assert_int_equal(calibrate(&g, NULL, 0.003, MOBILEFACE128, &c, &r), 0);
    assert_int_equal(c.n_people, 1);
    assert_int_equal(c.n_mated, 0);
    assert_true(isnan(c.fnir) && isnan(c.fnir_low) && isnan(r.nearest_sim_cos));
    assert_float_equal(c.threshold_sim_cos, c.verify_sim_cos, 1e-9);
    assert_true(mien_calibration_covers(&c, 1) && !mien_calibration_covers(&c, 2));
    free_set(&g);
}

/* Everybody has a twin: the lead that a threshold alone cannot give has to come from the margin. */
static void look_alikes(void **state)
{
    (void)state;
    Set g = make_set(40, 4, 0.35, 1, 17);
    MienCalibration c;
    MienCalibrationReport r;
    for (size_t i = 0; i < g.t.n; i++) /* pairs of people get one face, and keep their numbers */
        for (size_t k = 0; k < i; k++)
            if (g.person[i] == g.person[k] + 1 && g.person[i] % 2 == 0)
                memcpy(g.embedding + i * DIM, g.embedding + k * DIM, DIM * sizeof(float));
    assert_int_equal(calibrate(&g, NULL, 0.01, MOBILEFACE128, &c, &r), 0);
    assert_true(r.margin_measured && c.margin_sim_cos > 0.05);
    assert_true(r.misnamed.rate <= 0.01 || fabs(c.margin_sim_cos - 0.2) < 1e-9);
    assert_float_equal(r.nearest_sim_cos, 1, 1e-5);
    assert_int_equal((r.nearest[0] + 1) / 2, (r.nearest[1] + 1) / 2); /* twins */
    assert_true(r.lookalikes.rate > 0.5);
    free_set(&g);
}

/* Every allocation fails once: an error, nothing lost, nothing left behind. */
static void out_of_memory(void **state)
{
    (void)state;
    Set g = make_set(12, 3, 0.3, 1, 19), x = make_set(8, 1, 0.3, 9000, 20);
    MienSearchResult *enrolled = search_all(&g, &g, 0, NULL), *strangers = search_all(&g, &x, 1, NULL), one[8];
    MienCalibrateParams p = { .fpir = 0.5, .enrolled = enrolled, .strangers = strangers, .n_strangers = x.t.n, .gallery = &g.t };
    MienCalibration c;
    uint64_t live = mien_mem_live_bytes();
    for (int what = 0; what < 2; what++) {
        int ret = -1, n = 0;
        while (ret < 0 && ++n < 1000) {
            mien_mem_fail_at((uint64_t)n, 0);
            ret = what ? mien_calibrate(&p, &c, NULL) : mien_search_templates(&g.t, &x.t, 0, 8, 1, one, NULL);
            mien_mem_fail_at(0, 0);
            assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
            assert_int_equal(mien_mem_live_bytes(), live);
        }
        assert_int_equal(ret, 0);
        assert_true(n > 2);
    }
    free(enrolled);
    free(strangers);
    free_set(&g);
    free_set(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_bounds), cmocka_unit_test(closed_form), cmocka_unit_test(published), cmocka_unit_test(searches),
        cmocka_unit_test(open_set), cmocka_unit_test(known_distribution), cmocka_unit_test(from_strangers),
        cmocka_unit_test(from_published), cmocka_unit_test(one_person), cmocka_unit_test(look_alikes), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
