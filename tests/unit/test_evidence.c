/* face/evidence: template and independence against naive sums in double precision; the decision, case by case; what is explained.
 * Needs no networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "face/evidence.h"
#include "mien/error.h"

#define DIM 16

static float rows[(MIEN_MAX_VIEWS + 1) * DIM];

static void near(double got, double want, double eps)
{
    if (!(fabs(got - want) <= eps))
        fail_msg("%.9g is not %.9g within %g", got, want, eps);
}

/* The scale of the default encoder with the thresholds that a video starts with. */
static MieniEvidenceScale usual(void)
{
    MieniEvidenceScale s = mieni_evidence_scale(0, 0.40f);
    s.least = 0.46f;
    s.margin = 0.05f;
    return s;
}

/* A face's own direction and a little of axis i, so that two views have the cosine a². */
static void make_view(float *v, int i, float a)
{
    memset(v, 0, DIM * sizeof(*v));
    v[0] = a;
    v[1 + i] = sqrtf(1 - a * a);
}

static MienMatch match_of(int64_t id, float sim_cos, int64_t second_id, float second_sim_cos)
{
    MienMatch m = { .id = id, .sim_cos = sim_cos, .second_id = second_id, .second_sim_cos = second_sim_cos };
    strcpy(m.name, id == 1 ? "Ann" : id == 2 ? "Bob" : "");
    strcpy(m.second_name, second_id == 1 ? "Ann" : second_id == 2 ? "Bob" : "");
    return m;
}

/* A new track of n views, the i-th with sims[i] to person 1; decided with the similarity of the whole. */
static MieniEvidence track_of(const float *sims, int n, float quality, int alike, MienMatch whole)
{
    MieniEvidenceScale s = usual();
    MieniEvidence e;
    float v[DIM];
    mieni_evidence_start(&e, DIM, rows);
    for (int i = 0; i < n; i++) {
        MienMatch m = match_of(1, sims[i], 2, 0.1f);
        m.ignored = whole.ignored;
        make_view(v, alike ? 0 : i, 0.8f);
        mieni_evidence_add(&e, &s, v, quality, 3 * i, &m);
    }
    mieni_evidence_decide(&e, &s, &whole);
    return e;
}

static void scales_of_encoders(void **state)
{
    (void)state;
    MieniEvidenceScale a = usual(), b = mieni_evidence_scale(0.8f, 0.926f);
    near(mieni_evidence_nats(&a, a.even_sim_cos), 0, 1e-6);
    near(mieni_evidence_nats(&a, 0.46f), 5.70, 1e-3);
    /* one encoder's threshold says as much as the other's */
    near(mieni_evidence_nats(&a, 0.40f), (double)mieni_evidence_nats(&b, 0.926f), 1e-3);
    assert_true(b.even_sim_cos > 0.8f && b.even_sim_cos < 0.926f && b.same_sim_cos > 0.926f && b.same_sim_cos < 1);
}

static void template_is_the_weighted_mean(void **state)
{
    (void)state;
    MieniEvidenceScale s = usual();
    MieniEvidence e;
    MienMatch none = match_of(-1, 0, -1, 0);
    double want[DIM] = { 0 }, norm = 0, independent = 0;
    float v[DIM];
    mieni_evidence_start(&e, DIM, rows);
    for (int i = 0; i < 5; i++) {
        make_view(v, i < 3 ? i : 2, i == 4 ? 0.95f : 0.9f); /* the last three nearly alike */
        mieni_evidence_add(&e, &s, v, 0.3f + 0.1f * (float)i, i, &none);
    }
    for (int i = 0; i < 5; i++) {
        double sum = 0;
        for (int k = 0; k < 5; k++) {
            double cos_ik = 0;
            for (int d = 0; d < DIM; d++)
                cos_ik += (double)rows[i * DIM + d] * rows[k * DIM + d];
            sum += fmin(1, fmax(0, (cos_ik - 0.71) / 0.29));
        }
        near(e.view[i].independence, 1 / sum, 1e-4);
        independent += 1 / sum;
        for (int d = 0; d < DIM; d++)
            want[d] += (0.3 + 0.1 * i) / sum * rows[i * DIM + d];
    }
    near(e.n_independent, independent, 1e-4);
    for (int d = 0; d < DIM; d++)
        norm += want[d] * want[d];
    for (int d = 0; d < DIM; d++)
        near(mieni_evidence_template(&e)[d], want[d] / sqrt(norm), 1e-5);
}

static void views_that_repeat_share_a_vote(void **state)
{
    (void)state;
    static const float sims[6] = { 0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f };
    MieniEvidence e = track_of(sims, 6, 0.6f, 1, match_of(1, 0.5f, 2, 0.1f));
    near(e.n_independent, 1, 1e-3);
    e = track_of(sims, 6, 0.6f, 0, match_of(1, 0.5f, 2, 0.1f)); /* cosine .64 between any two: as unlike as two photographs */
    near(e.n_independent, 6, 1e-3);
}

static void the_least_telling_view_makes_room(void **state)
{
    (void)state;
    MieniEvidenceScale s = usual();
    MieniEvidence e;
    MienMatch none = match_of(-1, 0, -1, 0);
    float v[DIM];
    mieni_evidence_start(&e, DIM, rows);
    for (int i = 0; i < MIEN_MAX_VIEWS; i++) {
        make_view(v, i, 0.8f);
        mieni_evidence_add(&e, &s, v, i == 3 ? 0.3f : 0.6f, i, &none);
    }
    make_view(v, MIEN_MAX_VIEWS, 0.8f);
    mieni_evidence_add(&e, &s, v, 0.4f, 99, &none);
    assert_int_equal(e.n_views, MIEN_MAX_VIEWS);
    assert_int_equal(e.n_seen, MIEN_MAX_VIEWS + 1);
    assert_int_equal(e.view[3].frame, 99);
}

static void names_are_given(void **state)
{
    (void)state;
    static const float clear = 0.60f, plain[3] = { 0.47f, 0.48f, 0.47f };
    MieniEvidence e = track_of(&clear, 1, 0.7f, 0, match_of(1, clear, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
    assert_int_equal(e.reason, MIEN_REASON_NAMED);
    assert_string_equal(e.name, "Ann");
    e = track_of(&clear, 1, 0.4f, 0, match_of(1, clear, 2, 0.1f)); /* too blurred to bear a name alone */
    assert_int_equal(e.status, MIEN_STATUS_UNDECIDED);
    e = track_of(plain, 1, 0.7f, 0, match_of(1, plain[0], 2, 0.1f));
    assert_int_equal(e.reason, MIEN_REASON_FEW_VIEWS);
    e = track_of(plain, 2, 0.4f, 0, match_of(1, 0.5f, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
    e = track_of(plain, 2, 0.4f, 1, match_of(1, 0.5f, 2, 0.1f)); /* the same view twice */
    assert_int_equal(e.reason, MIEN_REASON_FEW_VIEWS);
    e = track_of(plain, 3, 0.4f, 1, match_of(1, 0.5f, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
    e = track_of(plain, 3, 0.4f, 0, match_of(1, 0.5f, -1, 0)); /* nobody else in the gallery */
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
}

static void names_are_withheld(void **state)
{
    (void)state;
    static const float plain[3] = { 0.5f, 0.5f, 0.5f }, low[3] = { 0.2f, 0.2f, 0.2f };
    MieniEvidence e = track_of(plain, 3, 0.6f, 0, match_of(1, 0.5f, 2, 0.47f)); /* a look-alike in the gallery */
    assert_int_equal(e.status, MIEN_STATUS_UNDECIDED);
    assert_int_equal(e.reason, MIEN_REASON_NOT_AHEAD);
    assert_true(e.id < 0 && !e.name[0]);
    MienMatch ignored = match_of(1, 0.5f, 2, 0.1f);
    ignored.ignored = 1;
    e = track_of(plain, 3, 0.6f, 0, ignored);
    assert_int_equal(e.status, MIEN_STATUS_UNRECOGNISED);
    assert_int_equal(e.reason, MIEN_REASON_IGNORED);
    e = track_of(low, 1, 0.6f, 0, match_of(1, 0.2f, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_UNDECIDED);
    e = track_of(low, 2, 0.6f, 0, match_of(1, 0.2f, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_UNRECOGNISED);
    assert_int_equal(e.reason, MIEN_REASON_BELOW);
    e = track_of(plain, 2, 0.6f, 0, match_of(1, 0.4f, 2, 0.1f)); /* the next view may speak for Ann still */
    assert_int_equal(e.status, MIEN_STATUS_UNDECIDED);
    e = track_of(plain, 3, 0.6f, 0, match_of(1, 0.4f, 2, 0.1f));
    assert_int_equal(e.status, MIEN_STATUS_UNRECOGNISED);
    e = track_of(plain, 2, 0.6f, 0, match_of(-1, 0, -1, 0));
    assert_int_equal(e.reason, MIEN_REASON_NOBODY);
    assert_true(isnan(e.sim_cos));
}

static void names_are_kept_and_retracted(void **state)
{
    (void)state;
    static const float plain[3] = { 0.5f, 0.5f, 0.5f };
    MieniEvidenceScale s = usual();
    MieniEvidence e = track_of(plain, 3, 0.6f, 0, match_of(1, 0.5f, 2, 0.1f));
    MienMatch m = match_of(1, 0.41f, 2, 0.1f);
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
    assert_int_equal(e.reason, MIEN_REASON_KEPT);
    m = match_of(2, 0.50f, 1, 0.49f); /* a look-alike passes by a hair: the name doesn't jump */
    mieni_evidence_decide(&e, &s, &m);
    assert_string_equal(e.name, "Ann");
    near(e.sim_cos, 0.49, 1e-6);
    m.ignored = 1; /* but an ignored one takes it away */
    MieniEvidence other = e;
    mieni_evidence_decide(&other, &s, &m);
    assert_int_not_equal(other.status, MIEN_STATUS_KNOWN);
    m = match_of(2, 0.55f, 1, 0.45f);
    mieni_evidence_decide(&e, &s, &m); /* and so does one who is ahead; the views don't say Bob, so nobody is named */
    assert_int_equal(e.status, MIEN_STATUS_UNDECIDED);
    assert_true(e.id < 0);
    e = track_of(plain, 3, 0.6f, 0, match_of(1, 0.5f, 2, 0.1f));
    m = match_of(1, 0.39f, 2, 0.1f);
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.status, MIEN_STATUS_UNRECOGNISED);
    mieni_evidence_reset(&e);
    m = match_of(1, 0.41f, 2, 0.1f);
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.status, MIEN_STATUS_UNRECOGNISED); /* without the bonus of a standing name */
}

static void explanations(void **state)
{
    (void)state;
    static const float plain[2] = { 0.5f, 0.52f };
    MieniEvidenceScale s = usual();
    MieniEvidence e = track_of(plain, 2, 0.4f, 0, match_of(1, 0.55f, 2, 0.1f));
    MienExplanation x = { .threshold_from = "option" };
    mieni_evidence_explain(&e, &s, &x);
    char buf[8192], want[] = "{\"reason\":\"named\",\"text\":\"above the threshold, ahead of the next person, and the views agree\",\"best\":\"Ann\","
        "\"best_id\":1,\"best_similarity\":0.5500,\"best_ignored\":false,\"next\":\"Bob\",\"next_id\":2,\"next_similarity\":0.1000,"
        "\"margin\":0.0500,\"threshold\":0.4600,\"threshold_from\":\"option\",\"evidence_nats\":9.12,\"needed_nats\":5.70,"
        "\"independent_views\":2.00,\"views\":[{\"frame\":0,\"quality\":0.400,\"independence\":1.000,\"id\":1,\"similarity\":0.5000},"
        "{\"frame\":3,\"quality\":0.400,\"independence\":1.000,\"id\":1,\"similarity\":0.5200}]}";
    int n = mien_explanation_json(&x, buf, sizeof(buf));
    assert_string_equal(buf, want);
    for (int room = 0; room <= n; room++)
        assert_int_equal(mien_explanation_json(&x, buf, (size_t)room), MIEN_ERR(ENOSPC));
    e = track_of(plain, 0, 0, 0, match_of(-1, 0, -1, 0));
    mieni_evidence_explain(&e, &s, &x);
    assert_true(mien_explanation_json(&x, buf, sizeof(buf)) > 0);
    assert_non_null(strstr(buf, "\"reason\":\"no-view\""));
    assert_non_null(strstr(buf, "\"best\":null,\"best_id\":null,\"best_similarity\":null"));
    for (int r = 0; r <= MIEN_REASON_DOUBT; r++)
        assert_true(mien_reason_name((MienReason)r) && mien_reason_text((MienReason)r));
    /* the longest there can be */
    x.n_views = MIEN_MAX_VIEWS;
    x.match.id = x.match.second_id = INT64_MAX;
    memset(x.match.name, 1, MIEN_NAME_MAX_BYTES);
    memset(x.match.second_name, 1, MIEN_NAME_MAX_BYTES);
    for (int i = 0; i < MIEN_MAX_VIEWS; i++)
        x.view[i] = (MienViewUsed){ INT64_MAX, 1, 1, INT64_MAX, -1 };
    assert_true(mien_explanation_json(&x, buf, sizeof(buf)) > 12 * MIEN_NAME_MAX_BYTES);
}

/* A learnt unit decides by its logits; the cosines, which say the opposite here, are only reported. */
static void learnt_logits_decide(void **state)
{
    (void)state;
    MieniEvidenceScale s = usual();
    s.learnt = 1;
    s.least = 3;
    s.margin = 0.05f * mieni_evidence_unit(&s);
    near(s.margin, 1.25, 1e-6);
    MieniEvidence e;
    float v[DIM];
    MienMatch m = match_of(1, 0.2f, 2, 0.9f);
    m.logit_same = 4.5f;
    m.second_logit_same = 3.5f;
    mieni_evidence_start(&e, DIM, rows);
    for (int i = 0; i < 2; i++) {
        make_view(v, i, 0.8f);
        mieni_evidence_add(&e, &s, v, 0.6f, i, &m);
    }
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.reason, MIEN_REASON_NOT_AHEAD); /* by 1 */
    m.second_logit_same = 3;
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.status, MIEN_STATUS_KNOWN);
    assert_int_equal(e.id, 1);
    near(e.prob_same, 1 / (1 + exp(-4.5)), 1e-6);
    near(e.sim_cos, 0.2, 1e-6);
    m.logit_same = 2; /* within 25 · 0.06 of the threshold: kept */
    m.second_logit_same = 0;
    mieni_evidence_decide(&e, &s, &m);
    assert_int_equal(e.reason, MIEN_REASON_KEPT);
    MienExplanation x;
    mieni_evidence_explain(&e, &s, &x);
    near(x.min_sim_cos, 1 / (1 + exp(-3.0)), 1e-6);
    near(x.margin_cos, 0.05, 1e-6);
    assert_true(isnan(x.needed_nats));
    m.logit_same = 1;
    mieni_evidence_decide(&e, &s, &m);
    assert_int_not_equal(e.status, MIEN_STATUS_KNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learnt_logits_decide), cmocka_unit_test(scales_of_encoders),
        cmocka_unit_test(template_is_the_weighted_mean),
        cmocka_unit_test(views_that_repeat_share_a_vote),
        cmocka_unit_test(the_least_telling_view_makes_room),
        cmocka_unit_test(names_are_given),
        cmocka_unit_test(names_are_withheld),
        cmocka_unit_test(names_are_kept_and_retracted),
        cmocka_unit_test(explanations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
