/* evidence.c — the identity of a track from all its good views.
 *
 * Views are gathered in a template, their mean weighted by quality and independence, and the template is searched for. What its
 * similarity says is a log-likelihood ratio, linear in the cosine: so is the logarithm of the ratio of the two measured densities
 * (tests/tools/impostor_statistics.py prints both). Ratios of single views are not summed: a stranger who resembles somebody does so
 * in every view (correlation .72), and a sum would count that likeness once a view. The mean does not: its similarity to strangers
 * has the same distribution for one view as for five. docs/internals/face.md has the numbers.
 */
#include "face/evidence.h"

#include <math.h>
#include <string.h>

#include "face/face_int.h"
#include "mien/similarity.h"

/* Measured with the default encoder, 6,598 pictures of 2,890 people. */
#define EVEN_SIM_COS 0.31f
#define NATS_PER_COS 38.0f
#define SAME_SIM_COS 0.71f
#define IDENTIFY_SIM_COS 0.40f /* the published threshold that these stand beside */

#define LOGITS_PER_COS 25.0f /* with a learnt unit (docs/training.md) */

/* In the default encoder's cosine. */
#define AGREE_COS 0.05f  /* a view agrees with a name from so much below the threshold on */
#define CLEAR_COS 0.12f  /* one view alone must be so much above it */
#define KEEP_COS 0.06f   /* a name that stands is kept so much below */
#define KEEP_MARGIN 0.5f /* and with this share of the margin */
#define CLEAR_QUALITY 0.5f
#define AGREE_VIEWS 1.2f /* independent views that must agree, or */
#define AGREE_ALIKE 3    /* so many of any kind */

MieniEvidenceScale mieni_evidence_scale(float stranger_sim_cos, float identify_sim_cos)
{
    float unit = 1 - stranger_sim_cos, reach = (identify_sim_cos - stranger_sim_cos) / IDENTIFY_SIM_COS;
    if (!(reach > 0))
        reach = unit;
    return (MieniEvidenceScale){
        .least = identify_sim_cos,
        .even_sim_cos = stranger_sim_cos + EVEN_SIM_COS * reach,
        .per_cos = NATS_PER_COS / reach,
        .same_sim_cos = stranger_sim_cos + SAME_SIM_COS * unit,
        .unit_cos = unit,
    };
}

float mieni_stranger_sim_cos(const MienFaceEngine *e)
{
    return e->encoder.model && e->encoder_template == MIENI_TEMPLATE_DLIB150 ? 0.8f : 0;
}

float mien_face_encoder_nats(const MienFaceEngine *e, float sim_cos)
{
    MieniEvidenceScale s = mieni_evidence_scale(mieni_stranger_sim_cos(e), mien_face_encoder_identify_sim_cos(e));
    return mieni_evidence_nats(&s, sim_cos);
}

float mieni_evidence_nats(const MieniEvidenceScale *s, float sim_cos)
{
    return s->per_cos * (sim_cos - s->even_sim_cos);
}

float mieni_evidence_unit(const MieniEvidenceScale *s)
{
    return s->learnt ? LOGITS_PER_COS : s->unit_cos;
}

/* Of the best person, and of the best of the others. */
static float first_of(const MieniEvidenceScale *s, const MienMatch *m)
{
    return s->learnt ? m->logit_same : m->sim_cos;
}

static float second_of(const MieniEvidenceScale *s, const MienMatch *m)
{
    return s->learnt ? m->second_logit_same : m->second_sim_cos;
}

void mieni_evidence_start(MieniEvidence *e, int dim, float *embedding)
{
    memset(e, 0, sizeof(*e));
    e->dim = dim;
    e->embedding = embedding;
    e->match.id = e->match.second_id = -1;
    mieni_evidence_reset(e);
}

void mieni_evidence_reset(MieniEvidence *e)
{
    e->status = MIEN_STATUS_UNDECIDED;
    e->reason = MIEN_REASON_NO_VIEW;
    e->id = -1;
    e->name[0] = 0;
    e->sim_cos = e->prob_same = NAN;
}

/* ---- views */

static float *row(const MieniEvidence *e, int i)
{
    return e->embedding + (size_t)i * (size_t)e->dim;
}

float *mieni_evidence_template(const MieniEvidence *e)
{
    return row(e, MIEN_MAX_VIEWS);
}

static float weight(const MieniFaceView *v)
{
    return v->quality * v->independence;
}

/* Views that say the same share one vote: a view's independence is one over the sum of its correlations to all, itself included. */
static void update_independence(MieniEvidence *e, const MieniEvidenceScale *s)
{
    e->n_independent = 0;
    for (int i = 0; i < e->n_views; i++) {
        float sum = 1;
        for (int k = 0; k < e->n_views; k++) {
            float r = k == i ? 0 : (mien_sim_cos(row(e, i), row(e, k), e->dim) - s->same_sim_cos) / (1 - s->same_sim_cos);
            sum += r > 1 ? 1 : r > 0 ? r : 0;
        }
        e->view[i].independence = 1 / sum;
        e->n_independent += 1 / sum;
    }
}

static void update_template(MieniEvidence *e)
{
    float *mean = mieni_evidence_template(e);
    double norm = 0;
    for (int k = 0; k < e->dim; k++) {
        float sum = 0;
        for (int i = 0; i < e->n_views; i++)
            sum += weight(&e->view[i]) * row(e, i)[k];
        mean[k] = sum;
        norm += (double)sum * sum;
    }
    float scale = norm > 0 ? (float)(1 / sqrt(norm)) : 0;
    for (int k = 0; k < e->dim; k++)
        mean[k] *= scale;
}

void mieni_evidence_add(MieniEvidence *e, const MieniEvidenceScale *s, const float *embedding, float quality, int64_t frame,
                        const MienMatch *match)
{
    int at = e->n_views;
    if (at == MIEN_MAX_VIEWS) {
        at = 0;
        for (int i = 1; i < MIEN_MAX_VIEWS; i++)
            if (weight(&e->view[i]) < weight(&e->view[at]))
                at = i;
    } else {
        e->n_views++;
    }
    e->n_seen++;
    memcpy(row(e, at), embedding, (size_t)e->dim * sizeof(float));
    e->view[at] = (MieniFaceView){ .quality = quality, .independence = 1, .frame = frame, .match = *match };
    update_independence(e, s);
    update_template(e);
}

/* ---- the decision */

/* Whether the views by themselves bear the person out: several that agree, or one that is clear. */
static int views_agree(const MieniEvidence *e, const MieniEvidenceScale *s, int64_t id)
{
    int n_agree = 0, n_clear = 0;
    float independent = 0, unit = mieni_evidence_unit(s);
    for (int i = 0; i < e->n_views; i++) {
        const MieniFaceView *v = &e->view[i];
        if (v->match.id != id || !(first_of(s, &v->match) >= s->least - AGREE_COS * unit))
            continue;
        n_agree++;
        independent += v->independence;
        n_clear += first_of(s, &v->match) >= s->least + CLEAR_COS * unit && v->quality >= CLEAR_QUALITY;
    }
    return n_clear > 0 || n_agree >= AGREE_ALIKE || (n_agree >= 2 && independent >= AGREE_VIEWS);
}

/* Whether the standing name is kept, and then whether it is the match's first or second person; else 0. A look-alike who has passed it by
 * less than the margin that it is kept with does not take the name away, unless that is somebody to be ignored. */
static int kept_as(const MieniEvidence *e, const MieniEvidenceScale *s, const MienMatch *m)
{
    if (e->status != MIEN_STATUS_KNOWN || m->ignored)
        return 0;
    int first = m->id == e->id, second = m->second_id == e->id && m->second_id >= 0;
    if (!first && !second)
        return 0;
    float own = first ? first_of(s, m) : second_of(s, m), lead = m->second_id < 0 ? INFINITY : first_of(s, m) - second_of(s, m);
    float ahead = first ? lead : -lead, least = KEEP_MARGIN * s->margin;
    return own >= s->least - KEEP_COS * mieni_evidence_unit(s) && ahead >= (first ? least : -least) ? (first ? 1 : 2) : 0;
}

/* Notes how alike the match's first or second person is, and returns the closeness. */
static float note_closeness(MieniEvidence *e, const MieniEvidenceScale *s, const MienMatch *m, int as)
{
    float closeness = as == 2 ? second_of(s, m) : first_of(s, m);
    e->sim_cos = as == 2 ? m->second_sim_cos : m->sim_cos;
    e->prob_same = s->learnt ? (float)mien_similarity_prob((double)closeness) : NAN;
    return closeness;
}

static void settle(MieniEvidence *e, MienStatus status, MienReason reason)
{
    e->status = status;
    e->reason = reason;
    if (status != MIEN_STATUS_KNOWN) {
        e->id = -1;
        e->name[0] = 0;
    }
}

void mieni_evidence_decide(MieniEvidence *e, const MieniEvidenceScale *s, const MienMatch *m)
{
    int kept = kept_as(e, s, m);
    e->match = *m;
    e->sim_cos = e->prob_same = NAN;
    float closeness = m->id >= 0 ? note_closeness(e, s, m, kept) : -INFINITY;
    if (kept) {
        if (m->id == e->id) /* renamed meanwhile */
            memcpy(e->name, m->name, sizeof(e->name));
        e->reason = closeness >= s->least ? MIEN_REASON_NAMED : MIEN_REASON_KEPT;
        return;
    }
    int above = closeness >= s->least;
    int ahead = m->second_id < 0 || closeness - second_of(s, m) >= s->margin;
    if (!e->n_views) {
        settle(e, MIEN_STATUS_UNDECIDED, MIEN_REASON_NO_VIEW);
    } else if (above) {
        int agree = views_agree(e, s, m->id);
        if (!agree)
            settle(e, MIEN_STATUS_UNDECIDED, MIEN_REASON_FEW_VIEWS);
        else if (m->ignored)
            settle(e, MIEN_STATUS_UNRECOGNISED, MIEN_REASON_IGNORED);
        else if (!ahead)
            settle(e, MIEN_STATUS_UNDECIDED, MIEN_REASON_NOT_AHEAD);
        else {
            settle(e, MIEN_STATUS_KNOWN, MIEN_REASON_NAMED);
            e->id = m->id;
            memcpy(e->name, m->name, sizeof(e->name));
        }
    } else {
        /* Two views that speak against everybody are enough; where a better one might still speak for somebody, three. */
        int against = m->id < 0 || m->sim_cos < s->even_sim_cos;
        int settled = e->n_views >= (against ? 2 : 3) || e->status == MIEN_STATUS_UNRECOGNISED;
        settle(e, settled ? MIEN_STATUS_UNRECOGNISED : MIEN_STATUS_UNDECIDED, m->id < 0 ? MIEN_REASON_NOBODY : MIEN_REASON_BELOW);
    }
}

/* ---- why */

void mieni_evidence_explain(const MieniEvidence *e, const MieniEvidenceScale *s, MienExplanation *x)
{
    x->reason = e->reason;
    x->match = e->match;
    x->min_sim_cos = s->learnt ? (float)mien_similarity_prob((double)s->least) : s->least;
    x->margin_cos = s->margin * s->unit_cos / mieni_evidence_unit(s);
    x->evidence_nats = e->match.id >= 0 ? mieni_evidence_nats(s, e->match.sim_cos) : NAN;
    x->needed_nats = s->learnt ? NAN : mieni_evidence_nats(s, s->least);
    x->n_independent = e->n_independent;
    x->n_views = e->n_views;
    for (int i = 0; i < e->n_views; i++) {
        const MieniFaceView *v = &e->view[i];
        x->view[i] = (MienViewUsed){ .frame = v->frame, .quality = v->quality, .independence = v->independence,
                                     .id = v->match.id, .sim_cos = v->match.id >= 0 ? v->match.sim_cos : NAN };
    }
}
