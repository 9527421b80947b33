/* evidence.h — what a track's views say together about who it is. No networks, no search: those hand in their results. */
#ifndef MIEN_FACE_EVIDENCE_H
#define MIEN_FACE_EVIDENCE_H

#include "mien/tagger.h"

/* How similarities are read. What decides is a closeness: the cosine, or the logit of a learnt unit (mien/similarity.h).
 * nats(s) = per_cos · (s − even_sim_cos) is the log-likelihood ratio of "the same person" to "another". */
typedef struct MieniEvidenceScale {
    int learnt;          /* closeness is the match's logit */
    float least;         /* threshold of a name, a closeness */
    float margin;        /* ahead of the next person by this */
    float even_sim_cos;  /* where both are equally likely */
    float per_cos;       /* nats for one unit of cosine */
    float same_sim_cos;  /* of two independent pictures of one person: above it views share what they say */
    float unit_cos;      /* what 1 on the default encoder's scale is on this encoder's */
} MieniEvidenceScale;

typedef struct MieniFaceView {
    float quality;
    float independence; /* 1: says something of its own; 1/n: one of n that say the same */
    int64_t frame;
    MienMatch match;    /* of this view alone */
} MieniFaceView;

typedef struct MieniEvidence {
    int dim, n_views, n_seen;  /* n_seen: views that ever counted */
    MieniFaceView view[MIEN_MAX_VIEWS];
    float *embedding;          /* borrowed: MIEN_MAX_VIEWS rows, then the template, the weighted mean of length 1 */
    float n_independent;       /* sum over the views */
    MienMatch match;           /* of the template */
    MienStatus status;         /* undecided, known, unrecognised */
    MienReason reason;
    int64_t id;                /* -1 unless known */
    char name[MIEN_NAME_MAX_BYTES + 1];
    float sim_cos;             /* of the named person, else of the nearest; NaN: of nobody */
    float prob_same;           /* likewise, of a learnt unit; else NaN */
} MieniEvidence;

/* The default encoder's scale, carried over to one whose strangers have stranger_sim_cos on average and whose published threshold
 * for galleries is identify_sim_cos. Threshold and margin are left to the caller. */
MieniEvidenceScale mieni_evidence_scale(float stranger_sim_cos, float identify_sim_cos);
/* What two strangers have on average with this engine's encoder. */
float mieni_stranger_sim_cos(const MienFaceEngine *engine);
float mieni_evidence_nats(const MieniEvidenceScale *scale, float sim_cos);
/* What a step of 1 on the default encoder's cosine is in closeness. */
float mieni_evidence_unit(const MieniEvidenceScale *scale);

void mieni_evidence_start(MieniEvidence *e, int dim, float *embedding);
float *mieni_evidence_template(const MieniEvidence *e);
/* Keeps a view, in the place of the least telling one if all are taken; the template follows. */
void mieni_evidence_add(MieniEvidence *e, const MieniEvidenceScale *scale, const float *embedding, float quality, int64_t frame,
                        const MienMatch *match);
/* The decision, after a search of the template gave match. Hysteresis: a name that stands is kept a little longer than it would be
 * given. */
void mieni_evidence_decide(MieniEvidence *e, const MieniEvidenceScale *scale, const MienMatch *match);
/* Forgets the decision, not the views: what follows is decided without hysteresis. */
void mieni_evidence_reset(MieniEvidence *e);

void mieni_evidence_explain(const MieniEvidence *e, const MieniEvidenceScale *scale, MienExplanation *x);

#endif
