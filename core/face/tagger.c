/* tagger.c — tracks over frames, and who they are.
 *
 * A frame: notice a scene cut → move the tracks on → every `interval` frames detect, match (overlap; embedding where people cross
 * or were out of sight), look closer where a track was missed and prove what would be new → encode the few tracks that need evidence
 * → decide (evidence.c) → tags and events. docs/internals/face.md explains the choices and has the numbers. Nothing is
 * allocated once the sessions for the picture's size exist.
 */
#include <limits.h>
#include <math.h>
#include <string.h>

#include "face/assign.h"
#include "face/evidence.h"
#include "face/face_int.h"
#include "face/liveness.h"
#include "face/tagger_int.h"
#include "image/cut.h"
#include "mien/error.h"
#include "mien/similarity.h"
#include "mien/tagger.h"

#define SHOW_MISSES 2          /* detections that may miss a track while its box is still shown */
#define LOST_FRAMES 45         /* a lost track is remembered for so long */
#define VERIFY_FRAMES 20       /* a decided track is looked at again after so many frames */
#define VERIFY_VIEWS 4         /* in doubt: that many views in a row (a cross-fade changes the face slowly) */
#define RETRY_FRAMES 10        /* undecided for long: not at every detection */
#define ENCODE_PER_FRAME 4
#define MIN_QUALITY 0.22f      /* views below are not evidence */
#define CHECK_QUALITY 0.35f    /* views below cannot refute a track */
#define NEAR_LOOKS 4           /* missed tracks a detection looks closer for */
#define TILES 2                /* of the finer scale, from one detection to the next: all have their turn after a second or two */
#define REFUSED 32             /* boxes remembered that did not stand the second look */
#define REFUSED_FRAMES 15      /* and for how long they are not asked again */
#define NEAR_IN_A_ROW 4        /* after so many closer looks without the plain pass seeing it, a face must stand the second look */
#define NESTED 0.6f            /* share of a box inside a larger one that makes it a part of that face */
#define CONTEST_COST 0.5f      /* a face is contested where the second track's cost is at most so much above the first's */
#define LIVE_LOOKS 8           /* looks for signs of life, a frame */
#define LIFE_MARGIN 0.5f       /* of log-likelihood ratio */

/* On the scale of likeness(): */
#define LIKE_SAME 1.1f         /* a lost track's face, wherever it comes back */
#define LIKE_SAME_HERE 0.75f   /* the same where it went out of sight */
#define LIKE_OTHER 0.55f       /* below, a good view shows somebody else */

typedef struct Track {
    int64_t number;
    MieniMotion motion;
    float prob;
    MienMoment first, last; /* sightings */
    MienMoment sure, doubt; /* last sighting before a doubt, and the first one in it */
    int64_t last_tried;
    int n_detections, misses, seen_now, n_near;
    int verify_now;   /* look again at so many of the next detections */
    int n_tried;
    int n_refuted;    /* good views in a row that showed somebody else */
    int unproven;     /* place alone says that it is the same face: no name until a view agrees */
    int fresh;        /* 1 + the row of t->fresh that shows its face in this detection; 0: none */
    MieniEvidence evidence;
    MienStatus status;
    MieniLive *live;  /* NULL: liveness is off */
    MienLiveness liveness; /* what it says */
    enum { LIFE_OPEN, LIFE_ALIVE, LIFE_PICTURE } life;
    int entered;      /* its enter event is out */
    MienStatus told;  /* in the last event, with the name */
    int64_t told_id;
    char told_name[MIEN_NAME_MAX_BYTES + 1];
} Track;

typedef struct Refused {
    MienBox box_px;
    int64_t frame;
} Refused;

struct MienTagger {
    MienTaggerParams params;
    char claim[MIEN_NAME_MAX_BYTES + 1];
    MieniEvidenceScale scale;  /* threshold and margin among it */
    const char *threshold_from;
    float asked_sim_cos, calibrated_sim_cos, calibrated_margin; /* what those come from; 0: not that */
    float stranger_sim_cos;    /* what two strangers have on average */
    int dim;
    Track *track;             /* live and lost ones in the order in which they began */
    int n_tracks, max_tracks;
    MieniLive *lives;          /* one a row of embeddings, or NULL */
    MieniPosters posters;
    float min_live_llr;
    int next_look;
    float *embeddings;         /* all tracks' rows */
    float *fresh;              /* 1 + ENCODE_PER_FRAME embeddings: the one in hand, and those of contested faces */
    float fresh_quality[1 + ENCODE_PER_FRAME];
    int *face_fresh;           /* per face of a detection: its row of fresh; 0: not contested; -1: too poor to be compared */
    uint8_t *row_used;         /* which block of embeddings is taken */
    MienFace *face;
    int *column;
    uint8_t *taken;
    float *cost;
    void *work;
    MienTag *tag;
    MienEvent *event;
    int n_events, max_events;
    MieniCut cut;
    int was_cut;     /* the last frame was one */
    MienMoment now;
    int step;        /* frames of the stream from the last picture to this one: 1, unless some are left out */
    int w_px, h_px;
    int n_tags;
    int64_t last_detect;
    int64_t next_number;
    int n_empty;     /* detections in a row that found nothing */
    int next_tile;
    Refused refused[REFUSED]; /* a ring */
    int n_refused;
    int search_all;  /* gallery, claim or threshold changed */
    MienMatch match;
    MienTaggerStats stats;
    double search_ms;
};

/* ---- creation */

void mien_tagger_destroy(MienTagger **tagger)
{
    MienTagger *t = tagger ? *tagger : NULL;
    if (!t)
        return;
    void *const block[] = { t->track, t->lives, t->embeddings, t->fresh, t->row_used, t->face, t->column, t->taken,
                            t->cost, t->work, t->tag, t->event, t->face_fresh };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(block); i++)
        mien_free(block[i]);
    mien_free(t);
    *tagger = NULL;
}

static void take_threshold(MienTagger *t, float min_sim_cos)
{
    const MienFaceEngine *e = t->params.engine;
    int verify = t->params.mode == MIEN_MODE_VERIFY;
    float unit_cos = t->scale.unit_cos;
    t->asked_sim_cos = t->scale.least = min_sim_cos;
    t->scale.margin = 0.05f * mieni_evidence_unit(&t->scale);
    t->threshold_from = min_sim_cos != 0 ? "option" : t->params.learnt ? "default" : "encoder";
    if (t->params.learnt) {
        float prob = min_sim_cos != 0 ? min_sim_cos : verify ? MIEN_SIMILARITY_VERIFY_PROB : MIEN_SIMILARITY_IDENTIFY_PROB;
        t->scale.least = (float)mien_similarity_logit_of((double)prob);
    } else if (min_sim_cos == 0 && t->calibrated_sim_cos != 0) {
        /* Calibrated for one search. A track is asked again with every view, and one moment above the threshold names it: strangers need
         * .02 to .04 more for the same rate (docs/internals/face.md). */
        t->scale.least = fminf(t->calibrated_sim_cos + (verify ? 0 : 0.03f * unit_cos), 1);
        t->scale.margin = t->calibrated_margin > 0 ? t->calibrated_margin : t->scale.margin;
        t->threshold_from = "calibration";
    } else if (min_sim_cos == 0 && t->dim) {
        /* A video asks many times, and of everybody who walks by: stricter than one question about one picture. */
        t->scale.least = verify ? mien_face_encoder_verify_sim_cos(e) : mien_face_encoder_identify_sim_cos(e) + 0.06f * unit_cos;
    }
}

int mien_tagger_create(MienTagger **tagger, const MienTaggerParams *params)
{
    *tagger = NULL;
    const MienTaggerParams *p = params;
    if (!p->engine || p->interval < 1 || p->max_faces < 1 || p->max_faces > 256 || p->min_face_px < 1 ||
        !(p->min_sim_cos >= (p->learnt ? 0 : -1) && p->min_sim_cos <= 1))
        return mien_fail(p->log, MIEN_ERR(EINVAL), "tagger: interval, max_faces, min_face or threshold is out of range");
    if (p->liveness && (!p->engine->liveness.model || !(p->max_apcer > 0 && p->max_apcer <= 1)))
        return mien_fail(p->log, MIEN_ERR(EINVAL), "tagger: liveness needs an engine made with it, and a max_apcer of 0 to 1");
    if (p->mode != MIEN_MODE_DETECT && (!p->search || !mien_face_encoder_dim(p->engine)))
        return mien_fail(p->log, MIEN_ERR(EINVAL), "tagger: names need an encoder and a gallery");
    MienTagger *t = mien_calloc(1, sizeof(*t));
    if (!t)
        return MIEN_ERR(ENOMEM);
    t->params = *p;
    t->params.claim = NULL;
    t->next_number = 1;
    t->now.frame = -1;
    /* In detect mode an encoder, if there is one, still helps to keep numbers. */
    t->dim = mien_face_encoder_dim(p->engine);
    t->stranger_sim_cos = mieni_stranger_sim_cos(p->engine);
    t->scale = mieni_evidence_scale(t->stranger_sim_cos, t->dim ? mien_face_encoder_identify_sim_cos(p->engine) : 0.4f);
    t->scale.learnt = p->learnt;
    take_threshold(t, p->min_sim_cos);
    if (p->liveness)
        mien_tagger_set_liveness(t, p->liveness, p->max_apcer);
    t->max_tracks = 2 * p->max_faces;
    t->max_events = 3 * t->max_tracks;
    size_t n = (size_t)t->max_tracks, faces = (size_t)p->max_faces, dim = (size_t)(t->dim ? t->dim : 1);
    t->track = mien_calloc(n, sizeof(*t->track));
    t->embeddings = mien_calloc(n, (MIEN_MAX_VIEWS + 1) * dim * sizeof(float));
    t->fresh = mien_calloc(1 + ENCODE_PER_FRAME, dim * sizeof(float));
    t->face_fresh = mien_calloc(faces, sizeof(*t->face_fresh));
    t->row_used = mien_calloc(n, 1);
    t->face = mien_calloc(faces, sizeof(*t->face));
    t->column = mien_calloc(n, sizeof(*t->column));
    t->taken = mien_calloc(faces, 1);
    t->cost = mien_calloc(n * faces, sizeof(*t->cost));
    t->work = mien_malloc(mieni_assign_work_bytes((int)(n + faces)));
    t->tag = mien_calloc(n, sizeof(*t->tag));
    t->event = mien_calloc((size_t)t->max_events, sizeof(*t->event));
    if (p->liveness)
        t->lives = mien_calloc(n, sizeof(*t->lives));
    int ok = (!p->liveness || t->lives) && t->track && t->embeddings && t->fresh && t->row_used && t->face && t->column && t->taken &&
             t->cost && t->work && t->tag && t->event && t->face_fresh;
    int ret = ok ? 0 : MIEN_ERR(ENOMEM);
    if (ok && p->mode == MIEN_MODE_VERIFY)
        ret = mien_tagger_set_claim(t, p->claim);
    if (ret < 0) {
        mien_tagger_destroy(&t);
        return ret;
    }
    *tagger = t;
    return 0;
}

/* ---- tags and events */

/* No name while in doubt: what is shown is decided, what is told of the past stays. */
static int in_doubt(const Track *tr)
{
    return tr->n_refuted > 0 || tr->unproven;
}

/* Once decided, the evidence must turn by LIFE_MARGIN beyond the threshold to change that. */
static void judge_life(const MienTagger *t, Track *tr)
{
    mieni_live_judge(tr->live, &tr->liveness);
    if (!tr->liveness.enough)
        return;
    float margin = tr->life == LIFE_OPEN ? 0 : tr->life == LIFE_ALIVE ? -LIFE_MARGIN : LIFE_MARGIN;
    tr->life = tr->liveness.llr >= t->min_live_llr + margin ? LIFE_ALIVE : LIFE_PICTURE;
}

/* Who it is, unless signs of life are required and missing. */
static MienStatus status_of(const MienTagger *t, const Track *tr)
{
    if (t->params.liveness != MIEN_LIVENESS_REQUIRE || tr->life == LIFE_ALIVE)
        return tr->status;
    return tr->life == LIFE_PICTURE ? MIEN_STATUS_SPOOF : MIEN_STATUS_UNDECIDED;
}

static int64_t id_of(const MienTagger *t, const Track *tr)
{
    return status_of(t, tr) == MIEN_STATUS_KNOWN ? tr->evidence.id : -1;
}

static void fill_tag(const MienTagger *t, const Track *tr, MienTag *tag)
{
    memset(tag, 0, sizeof(*tag));
    tag->track = tr->number;
    tag->box_px = tag->whole_box_px = mieni_motion_box(&tr->motion);
    tag->since_seen = (int)(t->now.frame - tr->last.frame);
    tag->prob = tr->prob;
    tag->status = status_of(t, tr);
    tag->id = id_of(t, tr);
    if (tag->status == MIEN_STATUS_KNOWN)
        memcpy(tag->name, tr->evidence.name, sizeof(tag->name));
    tag->sim_cos = tr->evidence.sim_cos;
    tag->prob_same = tr->evidence.prob_same;
    tag->prob_live = tr->live ? tr->liveness.prob : NAN;
    tag->live = tr->liveness;
    tag->first_frame = tr->first.frame;
    tag->n_evidence = tr->evidence.n_seen;
}

static void fill_shown_tag(const MienTagger *t, const Track *tr, MienTag *tag)
{
    fill_tag(t, tr, tag);
    if (!in_doubt(tr) || tag->status == MIEN_STATUS_SPOOF)
        return;
    tag->status = MIEN_STATUS_UNDECIDED;
    tag->id = -1;
    tag->name[0] = 0;
}

static void explain(const MienTagger *t, const Track *tr, MienExplanation *x)
{
    memset(x, 0, sizeof(*x));
    mieni_evidence_explain(&tr->evidence, &t->scale, x);
    x->threshold_from = t->threshold_from;
}

static void say(MienTagger *t, const Track *tr, MienEventKind kind)
{
    if (t->n_events >= t->max_events)
        return; /* cannot happen: three a track */
    MienEvent *e = &t->event[t->n_events++];
    e->kind = kind;
    fill_tag(t, tr, &e->tag);
    explain(t, tr, &e->explanation);
    e->was_id = kind == MIEN_EVENT_RETRACT ? tr->told_id : -1;
    memcpy(e->was_name, kind == MIEN_EVENT_RETRACT ? tr->told_name : "", kind == MIEN_EVENT_RETRACT ? sizeof(e->was_name) : 1);
    e->tag.box_px.x0_px = fmaxf(e->tag.box_px.x0_px, 0);
    e->tag.box_px.y0_px = fmaxf(e->tag.box_px.y0_px, 0);
    e->first_time_s = tr->first.time_s;
    e->first_wall_us = tr->first.wall_us;
    e->last_time_s = tr->last.time_s;
    e->last_frame = tr->last.frame;
}

/* Tells enter, update and retract where they are due. */
static void tell(MienTagger *t, Track *tr)
{
    MienStatus status = status_of(t, tr);
    int decided = status != MIEN_STATUS_UNDECIDED;
    int due = t->params.mode == MIEN_MODE_DETECT ? tr->n_detections >= 2 : decided;
    if (!tr->entered && due) {
        say(t, tr, MIEN_EVENT_ENTER);
        tr->entered = 1;
    } else if (tr->entered && (tr->told != status || (decided && tr->told_id != id_of(t, tr)))) {
        say(t, tr, tr->told == MIEN_STATUS_KNOWN ? MIEN_EVENT_RETRACT : MIEN_EVENT_UPDATE);
    }
    tr->told = status;
    tr->told_id = id_of(t, tr);
    memcpy(tr->told_name, tr->evidence.name, sizeof(tr->told_name));
}

/* Ends a track. One that was seen in a single detection, weakly and without a decision, leaves no trace in the log. */
static void end_track(MienTagger *t, Track *tr)
{
    if (in_doubt(tr) && tr->sure.frame < tr->last.frame) /* what was decided held until then; what came after was somebody else */
        tr->last = tr->sure;
    if (!tr->entered && (tr->n_detections >= 2 || tr->prob >= 0.9f)) {
        say(t, tr, MIEN_EVENT_ENTER);
        tr->entered = 1;
    }
    if (tr->entered)
        say(t, tr, MIEN_EVENT_LEAVE);
    t->row_used[(size_t)(tr->evidence.embedding - t->embeddings) / ((size_t)(MIEN_MAX_VIEWS + 1) * (size_t)(t->dim ? t->dim : 1))] = 0;
    tr->number = 0;
}

static void drop_ended(MienTagger *t)
{
    int n = 0;
    for (int i = 0; i < t->n_tracks; i++)
        if (t->track[i].number)
            t->track[n++] = t->track[i];
    t->n_tracks = n;
}

static Track *start_track(MienTagger *t, const MienFace *face)
{
    if (t->n_tracks == t->max_tracks) { /* the one lost for longest makes room */
        int old = -1;
        for (int i = 0; i < t->n_tracks; i++)
            if (!t->track[i].seen_now && (old < 0 || t->track[i].last.frame < t->track[old].last.frame))
                old = i;
        if (old < 0)
            return NULL;
        end_track(t, &t->track[old]);
        drop_ended(t);
    }
    size_t row = 0;
    while (t->row_used[row])
        row++;
    t->row_used[row] = 1;
    Track *tr = &t->track[t->n_tracks++];
    memset(tr, 0, sizeof(*tr));
    mieni_evidence_start(&tr->evidence, t->dim, t->embeddings + row * (MIEN_MAX_VIEWS + 1) * (size_t)(t->dim ? t->dim : 1));
    if (t->lives) {
        tr->live = &t->lives[row];
        mieni_live_start(tr->live);
        tr->liveness.prob = NAN;
    }
    tr->number = t->next_number++;
    tr->first = tr->sure = t->now;
    tr->last_tried = -1000000;
    tr->told_id = -1;
    mieni_motion_start(&tr->motion, face->box_px);
    t->stats.tracks++;
    return tr;
}

/* ---- who it is */

static int search(MienTagger *t, const float *embedding)
{
    double t0 = mieni_now_ms();
    memset(&t->match, 0, sizeof(t->match));
    t->match.id = t->match.second_id = -1;
    int ret = t->params.search(t->params.search_priv, embedding, t->dim,
                               t->params.mode == MIEN_MODE_VERIFY ? t->claim : NULL, &t->match);
    t->search_ms += mieni_now_ms() - t0;
    t->stats.searches++;
    if (ret == MIEN_E_NOTFOUND) { /* the claimed person was forgotten meanwhile: nobody can match */
        t->match.id = t->match.second_id = -1;
        ret = 0;
    }
    return ret;
}

/* The decision from all kept views. */
static int decide(MienTagger *t, Track *tr)
{
    if (t->params.mode == MIEN_MODE_DETECT || !tr->evidence.n_views)
        return 0;
    int ret = search(t, mieni_evidence_template(&tr->evidence));
    if (ret < 0)
        return ret;
    mieni_evidence_decide(&tr->evidence, &t->scale, &t->match);
    tr->status = tr->evidence.status;
    return 0;
}

/* Keeps t->fresh as a view. */
static int add_view(MienTagger *t, Track *tr, float quality)
{
    t->match.id = t->match.second_id = -1;
    int ret = t->params.mode != MIEN_MODE_DETECT ? search(t, t->fresh) : 0;
    if (ret >= 0)
        mieni_evidence_add(&tr->evidence, &t->scale, t->fresh, quality, t->now.frame, &t->match);
    return ret;
}

/* Landmarks, quality and, if that is enough, the embedding of a face into t->fresh. 1: done, 0: not good enough. */
static int encode(MienTagger *t, const MienImage *img, MienFace *face)
{
    int ret = mien_face_landmarks(t->params.engine, img, face, 1);
    if (ret >= 0)
        ret = mien_face_quality(t->params.engine, img, face, 1);
    if (ret < 0)
        return ret;
    if (!(face->quality.total >= MIN_QUALITY))
        return 0;
    ret = mien_face_embed(t->params.engine, img, face, 1, t->fresh);
    t->stats.encodings++;
    return ret < 0 ? ret : 1;
}


/* Similarity on a scale where strangers are at 0 and the gallery's starting threshold at 1. */
static float likeness(const MienTagger *t, float sim_cos)
{
    float one = mien_face_encoder_identify_sim_cos(t->params.engine) - t->stranger_sim_cos;
    return one > 0 ? (sim_cos - t->stranger_sim_cos) / one : sim_cos;
}

static float likeness_to(const MienTagger *t, const Track *tr, const float *embedding)
{
    return likeness(t, mien_sim_cos(mieni_evidence_template(&tr->evidence), embedding, t->dim));
}

/* t->fresh belongs to what the track shows now: evidence, or a hint that it shows somebody else. *split is set when that is sure. */
static int take_evidence(MienTagger *t, Track *tr, float quality, int *split)
{
    tr->verify_now -= tr->verify_now > 0;
    /* One view is a poor measure of a face's own spread: it refutes only what has lost its place as well. */
    int n_least = tr->unproven ? 1 : 2;
    if (tr->evidence.n_views >= n_least && likeness_to(t, tr, t->fresh) < LIKE_OTHER) {
        if (quality < CHECK_QUALITY)
            return 0;
        if (!tr->n_refuted++)
            tr->doubt = t->now;
        tr->verify_now = VERIFY_VIEWS;
        *split = tr->n_refuted >= 2;
        return 0;
    }
    tr->n_refuted = tr->unproven = 0;
    int ret = add_view(t, tr, quality);
    return ret < 0 ? ret : decide(t, tr);
}

/* Searches again with all that is known. */
static int search_again(MienTagger *t)
{
    t->search_all = 0;
    for (int i = 0; i < t->n_tracks; i++) {
        Track *tr = &t->track[i];
        for (int v = 0; v < tr->evidence.n_views; v++) {
            int ret = search(t, tr->evidence.embedding + (size_t)v * (size_t)t->dim);
            if (ret < 0)
                return ret;
            tr->evidence.view[v].match = t->match;
        }
        mieni_evidence_reset(&tr->evidence);
        tr->status = MIEN_STATUS_UNDECIDED;
        int ret = decide(t, tr);
        if (ret < 0)
            return ret;
        tell(t, tr);
    }
    return 0;
}

/* ---- matching */

static void seen(MienTagger *t, Track *tr, const MienFace *face)
{
    int since = (int)(t->now.frame - tr->last.frame);
    if (!in_doubt(tr) && tr->n_detections)
        tr->sure = tr->last;
    if (tr->n_detections) {
        int usual = t->step > t->params.interval ? t->step : t->params.interval;
        if (since > 3 * usual) { /* out of sight for a while: where it went says little about its speed */
            mieni_motion_start(&tr->motion, face->box_px);
            tr->verify_now = VERIFY_VIEWS;
        } else {
            mieni_motion_update(&tr->motion, face->box_px, since);
        }
    }
    tr->prob = face->prob;
    tr->n_detections++;
    tr->misses = 0;
    tr->last = t->now;
    tr->seen_now = 1;
}

/* Out of sight for so long that its place says little. Without an encoder there is nothing else to go by. */
static int is_lost(const MienTagger *t, const Track *tr)
{
    return t->dim && tr->misses > SHOW_MISSES;
}

static float area(MienBox b)
{
    return fmaxf(b.x1_px - b.x0_px, 0) * fmaxf(b.y1_px - b.y0_px, 0);
}

static int is_nested(MienBox inner, MienBox outer)
{
    return area(outer) > area(inner) && mieni_box_containment(outer, inner) > NESTED;
}

/* A part of a face that the detector took for another, smaller one neither keeps a track nor starts one. */
static int drop_nested(MienTagger *t, int n_faces)
{
    int n = 0;
    for (int j = 0; j < n_faces; j++) {
        int nested = 0;
        for (int k = 0; k < n_faces && !nested; k++)
            nested = k != j && is_nested(t->face[j].box_px, t->face[k].box_px);
        t->taken[j] = (uint8_t)nested;
    }
    for (int j = 0; j < n_faces; j++)
        if (!t->taken[j])
            t->face[n++] = t->face[j];
    return n;
}

static float *fresh_row(const MienTagger *t, int row)
{
    return t->fresh + (size_t)row * (size_t)t->dim;
}

/* Whether a second track could have face j as well as the first. */
static int is_contested(const MienTagger *t, int n_faces, int j)
{
    float first = 2, second = 2;
    for (int i = 0; i < t->n_tracks; i++) {
        float c = t->cost[i * n_faces + j];
        second = fminf(second, fmaxf(c, first));
        first = fminf(first, c);
    }
    return second < 1 && second - first <= CONTEST_COST;
}

/* People who cross: contested faces are encoded, and what they look like counts beside where they are. */
static int compare_contested(MienTagger *t, const MienImage *img, int n_faces)
{
    int rows = 0;
    for (int j = 0; j < n_faces && rows < ENCODE_PER_FRAME && t->dim; j++) {
        if (!is_contested(t, n_faces, j))
            continue;
        int got = encode(t, img, &t->face[j]);
        if (got < 0)
            return got;
        if (!got) {
            t->face_fresh[j] = -1;
            continue;
        }
        t->face_fresh[j] = ++rows;
        memcpy(fresh_row(t, rows), t->fresh, (size_t)t->dim * sizeof(float));
        t->fresh_quality[rows] = t->face[j].quality.total;
        for (int i = 0; i < t->n_tracks; i++) {
            float *cost = &t->cost[i * n_faces + j];
            if (!t->track[i].evidence.n_views || !(*cost < 1.5f))
                continue;
            float like = likeness_to(t, &t->track[i], t->fresh);
            if (like < LIKE_OTHER && t->fresh_quality[rows] >= CHECK_QUALITY)
                *cost = 2;
            else
                *cost += CONTEST_COST * (1 - fminf(fmaxf(like, 0), 1));
        }
    }
    return 0;
}

static int match_by_overlap(MienTagger *t, const MienImage *img, int n_faces)
{
    for (int i = 0; i < t->n_tracks; i++)
        for (int j = 0; j < n_faces; j++)
            t->cost[i * n_faces + j] = is_lost(t, &t->track[i]) ? 2
                                       : mieni_motion_cost(mieni_motion_box(&t->track[i].motion), t->face[j].box_px) +
                                             0.02f * (float)(t->track[i].misses < 10 ? t->track[i].misses : 10);
    int ret = compare_contested(t, img, n_faces);
    if (ret < 0)
        return ret;
    mieni_assign(t->cost, t->n_tracks, n_faces, 1.5f, t->column, t->work);
    for (int i = 0; i < t->n_tracks; i++) {
        int j = t->column[i];
        if (j < 0)
            continue;
        Track *tr = &t->track[i];
        /* somebody else is just as near: the name must be proved again */
        for (int k = 0; k < t->n_tracks; k++)
            if (k != i && mien_box_iou(mieni_motion_box(&t->track[k].motion), t->face[j].box_px) > 0.2f)
                tr->verify_now = VERIFY_VIEWS;
        if (mien_box_iou(mieni_motion_box(&tr->motion), t->face[j].box_px) < 0.5f) /* it jumped or changed its shape */
            tr->verify_now = VERIFY_VIEWS;
        t->taken[j] = 1;
        tr->fresh = t->face_fresh[j] > 0 ? t->face_fresh[j] : 0;
        tr->unproven |= t->face_fresh[j] < 0 && tr->evidence.n_views > 0;
        tr->n_near = 0;
        seen(t, tr, &t->face[j]);
    }
    return 0;
}

/* Whether a detection that nobody claims is a face at all. What was refused a moment ago isn't asked again. */
static int is_face(MienTagger *t, const MienImage *img, const MienFace *face)
{
    int n = t->n_refused < REFUSED ? t->n_refused : REFUSED;
    for (int i = 0; i < n; i++)
        if (t->now.frame - t->refused[i].frame < REFUSED_FRAMES && mien_box_iou(t->refused[i].box_px, face->box_px) > 0.5f)
            return 0;
    int ok = mieni_face_stands(t->params.engine, img, face);
    if (!ok)
        t->refused[t->n_refused++ % REFUSED] = (Refused){ face->box_px, t->now.frame };
    return ok;
}

/* The lost track whose face t->fresh shows, or NULL. Where it went out of sight less likeness will do. */
static Track *find_lost(MienTagger *t, MienBox box)
{
    Track *best = NULL;
    float best_like = 0;
    for (int i = 0; i < t->n_tracks; i++) {
        Track *tr = &t->track[i];
        if (tr->seen_now || !tr->evidence.n_views)
            continue;
        float like = likeness_to(t, tr, t->fresh);
        float least = mieni_motion_cost(mieni_motion_box(&tr->motion), box) < 1 ? LIKE_SAME_HERE : LIKE_SAME;
        if (like > least && like > best_like) {
            best_like = like;
            best = tr;
        }
    }
    return best;
}

/* Too poor to be compared: the lost track that was here, without its name until a view agrees. */
static Track *find_lost_here(MienTagger *t, MienBox box, int cut)
{
    for (int i = 0; i < t->n_tracks && !cut; i++) {
        Track *tr = &t->track[i];
        if (!tr->seen_now && is_lost(t, tr) && mieni_motion_cost(mieni_motion_box(&tr->motion), box) < 0.85f) {
            tr->unproven = tr->evidence.n_views > 0;
            return tr;
        }
    }
    return NULL;
}

/* A detection nobody claims: a lost track, if the face is the same, else a new one. */
static int place_unclaimed(MienTagger *t, const MienImage *img, MienFace *face, int cut)
{
    int any_lost = 0, got = is_face(t, img, face);
    if (got <= 0)
        return got;
    for (int k = 0; k < t->n_tracks; k++)
        if (t->track[k].seen_now && (is_nested(face->box_px, mieni_motion_box(&t->track[k].motion)) ||
                                     is_nested(mieni_motion_box(&t->track[k].motion), face->box_px)))
            return 0;
    got = 0;
    for (int i = 0; i < t->n_tracks; i++)
        any_lost |= !t->track[i].seen_now && t->track[i].evidence.n_views > 0;
    if (t->dim && (any_lost || t->params.mode != MIEN_MODE_DETECT)) {
        got = encode(t, img, face);
        if (got < 0)
            return got;
    }
    Track *found = got ? find_lost(t, face->box_px) : find_lost_here(t, face->box_px, cut);
    Track *tr = found ? found : start_track(t, face);
    if (!tr)
        return 0;
    if (found)
        mieni_motion_start(&tr->motion, face->box_px);
    tr->n_near = 0;
    seen(t, tr, face);
    tr->last_tried = t->now.frame;
    tr->n_tried++;
    int split = 0;
    return got ? take_evidence(t, tr, face->quality.total, &split) : 0;
}

/* Whether a face that a closer look found for a track is that track's, and a face of its own. */
static int is_near_find(MienTagger *t, const MienImage *img, Track *tr, const MienFace *face)
{
    if (mieni_motion_cost(mieni_motion_box(&tr->motion), face->box_px) >= 1.5f)
        return 0;
    for (int k = 0; k < t->n_tracks; k++) {
        MienBox other = mieni_motion_box(&t->track[k].motion);
        if (t->track[k].seen_now && (mien_box_iou(other, face->box_px) > 0.3f || is_nested(face->box_px, other) ||
                                     is_nested(other, face->box_px)))
            return 0;
    }
    return ++tr->n_near % NEAR_IN_A_ROW ? 1 : is_face(t, img, face);
}

/* Tracks that the pass over the whole picture missed: a closer look at where they should be. */
static int look_for_missed(MienTagger *t, const MienImage *img, int n_faces)
{
    int looks = 0;
    for (int i = 0; i < t->n_tracks && looks < NEAR_LOOKS; i++) {
        Track *tr = &t->track[i];
        MienFace face;
        if (tr->seen_now || tr->misses > SHOW_MISSES)
            continue;
        looks++;
        int ret = mieni_face_detect_near(t->params.engine, img, mieni_motion_box(&tr->motion), &face);
        if (ret > 0)
            ret = is_near_find(t, img, tr, &face);
        if (ret < 0)
            return ret;
        if (!ret)
            continue;
        for (int j = 0; j < n_faces; j++)
            t->taken[j] |= mien_box_iou(t->face[j].box_px, face.box_px) > 0.3f;
        seen(t, tr, &face);
    }
    return 0;
}

static MienDetectParams detect_params(const MienTagger *t, const MienImage *img)
{
    MienDetectParams dp = MIEN_DETECT_DEFAULTS;
    int long_px = img->w_px > img->h_px ? img->w_px : img->h_px;
    dp.min_face_px = t->params.min_face_px;
    dp.size_px = t->params.size_px ? t->params.size_px : long_px < 320 ? 320 : long_px > 640 ? 640 : long_px;
    return dp;
}

/* Small faces: the next tiles of a finer scale, `most` of them. Adds to t->face. Not when the detector's size was given. */
static int look_finer(MienTagger *t, const MienImage *img, const MienDetectParams *dp, int most, int n_faces)
{
    int n_tiles = t->params.size_px ? 0 : mieni_face_fine_tiles(img, dp), n = n_faces;
    for (int k = 0; k < most && k < n_tiles && n < t->params.max_faces; k++) {
        int got = mieni_face_detect_tile(t->params.engine, img, dp, t->next_tile++ % n_tiles, t->face + n,
                                         t->params.max_faces - n);
        if (got < 0)
            return got;
        for (int j = n, end = n + got; j < end; j++) {
            int have = 0;
            for (int i = 0; i < n && !have; i++)
                have = mien_box_iou(t->face[i].box_px, t->face[j].box_px) > dp->max_iou ||
                       mieni_box_containment(t->face[j].box_px, t->face[i].box_px) > 0.6f;
            if (!have)
                t->face[n++] = t->face[j];
        }
    }
    return n;
}

/* ---- evidence */

/* 0: nothing to do; else urgency. */
static int wants_encoding(const MienTagger *t, const Track *tr)
{
    int64_t since = t->now.frame - tr->last_tried;
    if (!tr->seen_now || since == 0)
        return 0;
    if (tr->fresh)
        return 2000;
    if ((tr->verify_now || in_doubt(tr)) && tr->evidence.n_views)
        return 1000;
    if (t->params.mode == MIEN_MODE_DETECT) /* two views are enough to know a face again */
        return tr->evidence.n_views < 2 && since >= RETRY_FRAMES ? 1 : 0;
    if (tr->status == MIEN_STATUS_UNDECIDED)
        return tr->n_tried < 12 || since >= RETRY_FRAMES ? 100 - (tr->n_tried < 50 ? tr->n_tried : 50) : 0;
    return since >= VERIFY_FRAMES ? 10 : 0;
}

/* Two good views in a row show somebody else: the track ended when the doubt began, and a new one started there. */
static int split_track(MienTagger *t, Track *tr, const MienFace *face)
{
    Track old = *tr;
    end_track(t, tr);
    drop_ended(t);
    if (!(tr = start_track(t, face)))
        return 0;
    tr->motion = old.motion;
    tr->prob = old.prob;
    tr->n_detections = 1;
    tr->last = t->now;
    tr->last_tried = t->now.frame;
    tr->seen_now = 1;
    if (old.doubt.frame < t->now.frame)
        tr->first = old.doubt;
    int split = 0;
    return take_evidence(t, tr, face->quality.total, &split);
}

static int gather_evidence(MienTagger *t, const MienImage *img)
{
    for (int done = 0; done < ENCODE_PER_FRAME; done++) {
        int best = -1, urgency = 0;
        for (int i = 0; i < t->n_tracks; i++) {
            int u = wants_encoding(t, &t->track[i]);
            if (u > urgency) {
                urgency = u;
                best = i;
            }
        }
        if (best < 0)
            return 0;
        Track *tr = &t->track[best];
        MienFace face = { .box_px = mieni_motion_box(&tr->motion), .prob = tr->prob };
        tr->last_tried = t->now.frame;
        tr->n_tried++;
        int split = 0, got = 1;
        if (tr->fresh) {
            memcpy(t->fresh, fresh_row(t, tr->fresh), (size_t)t->dim * sizeof(float));
            face.quality.total = t->fresh_quality[tr->fresh];
            tr->fresh = 0;
        } else {
            got = encode(t, img, &face);
        }
        if (got > 0)
            got = take_evidence(t, tr, face.quality.total, &split);
        if (got < 0 || (split && (got = split_track(t, tr, &face)) < 0))
            return got;
    }
    return 0;
}

/* ---- signs of life */

/* The faces in sight, in turn if there are many. */
static int look_alive(MienTagger *t, const MienImage *img)
{
    for (int k = 0, looks = 0; k < t->n_tracks && looks < LIVE_LOOKS; k++) {
        Track *tr = &t->track[(t->next_look + k) % t->n_tracks];
        MienFace face = { .box_px = mieni_motion_box(&tr->motion), .prob = tr->prob };
        if (tr->misses)
            continue;
        looks++;
        int ret = mieni_live_observe(t->params.engine, img, &face, isnan(t->now.time_s) ? (double)t->now.frame / 25 : t->now.time_s, tr->live,
                                     &t->posters);
        if (ret < 0)
            return ret;
        judge_life(t, tr);
    }
    t->next_look = t->n_tracks ? (t->next_look + LIVE_LOOKS) % t->n_tracks : 0;
    return 0;
}

/* ---- a frame */

static int find_faces(MienTagger *t, const MienImage *img, int first)
{
    static const float turn_deg[3] = { 0, 30, -30 };
    MienDetectParams dp = detect_params(t, img);
    int n = mien_face_detect(t->params.engine, img, &dp, t->face, t->params.max_faces);
    t->stats.detections++;
    if (n >= 0)
        n = look_finer(t, img, &dp, first ? INT_MAX : t->step >= t->params.interval ? TILES : 0, n);
    if (n == 0) { /* nothing: look in turn for faces larger than the frame and for turned ones */
        n = mieni_face_detect_rescue(t->params.engine, img, &dp, turn_deg[t->n_empty % 3], t->face, t->params.max_faces);
        t->n_empty++;
    }
    return n;
}

static int detect(MienTagger *t, const MienImage *img, int cut, int first)
{
    int n = find_faces(t, img, first), ret = 0;
    if (n < 0)
        return n;
    n = drop_nested(t, n);
    memset(t->taken, 0, (size_t)t->params.max_faces);
    memset(t->face_fresh, 0, (size_t)t->params.max_faces * sizeof(*t->face_fresh));
    for (int i = 0; i < t->n_tracks; i++)
        t->track[i].seen_now = t->track[i].fresh = 0;
    if (!cut && t->n_tracks && n)
        ret = match_by_overlap(t, img, n);
    if (!cut && ret >= 0)
        ret = look_for_missed(t, img, n);
    for (int j = 0; j < n && ret >= 0; j++)
        ret = t->taken[j] ? 0 : place_unclaimed(t, img, &t->face[j], cut);
    if (ret < 0)
        return ret;
    for (int i = 0; i < t->n_tracks; i++)
        if (!t->track[i].seen_now)
            t->track[i].misses += cut ? SHOW_MISSES + 1 : 1;
    t->last_detect = t->now.frame;
    return t->dim ? gather_evidence(t, img) : 0;
}

/* The track shown where this face is, or NULL. */
static Track *shown_at(MienTagger *t, MienBox box)
{
    for (int i = 0; i < t->n_tracks; i++) {
        MienBox b = mieni_motion_box(&t->track[i].motion);
        if (t->track[i].misses <= SHOW_MISSES && (mien_box_iou(b, box) > 0.3f || is_nested(box, b) || is_nested(b, box)))
            return &t->track[i];
    }
    return NULL;
}

/* Between two detections: the tiles, spread over these frames, so that no frame bears all the work. */
static int look_between(MienTagger *t, const MienImage *img)
{
    int since = (int)(t->now.frame - t->last_detect), gap = t->params.interval - 1;
    MienDetectParams dp = detect_params(t, img);
    int n = look_finer(t, img, &dp, TILES * since / gap - TILES * (since - t->step) / gap, 0), ret = n;
    for (int j = 0; j < n && ret >= 0; j++) {
        Track *tr = shown_at(t, t->face[j].box_px);
        if (tr && tr->misses && mien_box_iou(mieni_motion_box(&tr->motion), t->face[j].box_px) > 0.3f)
            seen(t, tr, &t->face[j]);
        ret = tr ? 0 : place_unclaimed(t, img, &t->face[j], 0);
    }
    return ret;
}

/* Where a face that was seen now is: a box that is only carried on says nothing there. */
static int is_covered(const MienTagger *t, const Track *tr)
{
    MienBox box = mieni_motion_box(&tr->motion);
    for (int k = 0; k < t->n_tracks; k++)
        if (!t->track[k].misses && is_nested(box, mieni_motion_box(&t->track[k].motion)))
            return 1;
    return 0;
}

/* Over frames that were left out a speed fades, as it does while a face is missed: people turn back (docs/internals/face.md). */
static void move_on(MienTagger *t, Track *tr)
{
    int n = t->step < LOST_FRAMES ? t->step : LOST_FRAMES;
    for (int k = 0; k < n; k++)
        mieni_motion_predict(&tr->motion, tr->misses ? 0.7f : t->step > 1 ? MIENI_MOTION_FADE : 1);
}

/* Tags of the tracks in sight, and the end of those that are gone. */
static void show(MienTagger *t)
{
    t->n_tags = 0;
    for (int i = 0; i < t->n_tracks; i++) {
        Track *tr = &t->track[i];
        /* both: where few frames are looked at, one look that misses a face is no proof */
        if (t->now.frame - tr->last.frame > LOST_FRAMES && tr->misses > SHOW_MISSES) {
            end_track(t, tr);
            continue;
        }
        tell(t, tr);
        if (tr->misses > SHOW_MISSES || (tr->misses && is_covered(t, tr)))
            continue;
        MienTag *tag = &t->tag[t->n_tags];
        fill_shown_tag(t, tr, tag);
        t->n_tags += mieni_box_clip(&tag->box_px, t->w_px, t->h_px);
    }
    drop_ended(t);
}

int mien_tagger_frame_at(MienTagger *t, const MienImage *img, const MienMoment *when, const MienTag **tags)
{
    *tags = t->tag;
    t->n_events = t->n_tags = 0;
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(t->params.log, ret, "tagger: not a picture");
    if (when->frame <= t->now.frame)
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: frame %lld comes after frame %lld", (long long)when->frame,
                         (long long)t->now.frame);
    t->step = (int)(when->frame - t->now.frame < INT_MAX ? when->frame - t->now.frame : INT_MAX);
    t->now = *when;
    t->w_px = img->w_px;
    t->h_px = img->h_px;
    int cut = t->was_cut = mieni_cut(&t->cut, img), first = t->stats.frames == 0 || t->last_detect < 0;
    t->stats.frames++;
    if (t->search_all && (ret = search_again(t)) < 0)
        return ret;
    for (int i = 0; i < t->n_tracks; i++)
        move_on(t, &t->track[i]);
    int due = first || cut || t->now.frame - t->last_detect >= t->params.interval;
    if ((ret = due ? detect(t, img, cut, first) : look_between(t, img)) < 0)
        return ret;
    if (cut && t->lives) { /* another camera: its places are others, and what changed is no motion */
        t->posters.n = 0;
        for (int i = 0; i < t->n_tracks; i++)
            t->track[i].live->n_keys = 0;
    }
    if (t->lives && (ret = look_alive(t, img)) < 0)
        return ret;
    show(t);
    return t->n_tags;
}

int mien_tagger_frame(MienTagger *t, const MienImage *img, double time_s, const MienTag **tags)
{
    return mien_tagger_frame_at(t, img, &(MienMoment){ .frame = t->now.frame + 1, .time_s = time_s }, tags);
}

static const Track *find_track(const MienTagger *t, int64_t number)
{
    for (int i = 0; i < t->n_tracks; i++)
        if (t->track[i].number == number)
            return &t->track[i];
    return NULL;
}

int mien_tagger_cut(const MienTagger *t)
{
    return t->was_cut;
}

int mien_tagger_explain(const MienTagger *t, int64_t track, MienExplanation *x)
{
    const Track *tr = find_track(t, track);
    if (!tr)
        return MIEN_E_NOTFOUND;
    explain(t, tr, x);
    if (in_doubt(tr))
        x->reason = MIEN_REASON_DOUBT;
    return 0;
}

const MienTag *mieni_tagger_shown(const MienTagger *t, int i_tag, MieniShown *shown)
{
    if (i_tag >= t->n_tags)
        return NULL;
    const Track *tr = find_track(t, t->tag[i_tag].track);
    *shown = (MieniShown){ tr->motion, tr->last, tr->misses > 0 };
    return &t->tag[i_tag];
}

void mieni_tagger_picture(const MienTagger *t, MienMoment *when, int *w_px, int *h_px)
{
    *when = t->now;
    *w_px = t->w_px;
    *h_px = t->h_px;
}

int mien_tagger_template(const MienTagger *t, int64_t track, float *embedding, float *quality)
{
    const Track *tr = find_track(t, track);
    if (!tr)
        return MIEN_E_NOTFOUND;
    const MieniEvidence *e = &tr->evidence;
    if (!e->n_views)
        return 0;
    memcpy(embedding, mieni_evidence_template(e), (size_t)t->dim * sizeof(float));
    *quality = 0;
    for (int i = 0; i < e->n_views; i++)
        *quality = fmaxf(*quality, e->view[i].quality);
    return e->n_views;
}

int mien_tagger_events(MienTagger *t, const MienEvent **events)
{
    *events = t->event;
    return t->n_events;
}

double mien_tagger_oldest_s(const MienTagger *t)
{
    double oldest_s = INFINITY;
    for (int i = 0; i < t->n_tracks; i++)
        oldest_s = fmin(oldest_s, t->track[i].first.time_s); /* a NaN is passed over */
    return oldest_s;
}

int mien_tagger_flush(MienTagger *t)
{
    t->n_events = 0;
    for (int i = 0; i < t->n_tracks; i++)
        end_track(t, &t->track[i]);
    drop_ended(t);
    memset(&t->cut, 0, sizeof(t->cut));
    t->last_detect = -1;
    t->n_empty = t->next_tile = t->n_refused = 0;
    return 0;
}

int mien_tagger_set_threshold(MienTagger *t, float min_sim_cos)
{
    if (!(min_sim_cos >= (t->params.learnt ? 0 : -1) && min_sim_cos <= 1))
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: threshold %g is not a %s", (double)min_sim_cos,
                         t->params.learnt ? "probability" : "cosine similarity");
    take_threshold(t, min_sim_cos);
    t->search_all = t->params.mode != MIEN_MODE_DETECT;
    return 0;
}

int mien_tagger_set_calibration(MienTagger *t, float sim_cos, float margin)
{
    if (!(sim_cos >= -1 && sim_cos <= 1) || !(margin >= 0 && margin <= 2))
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: a calibration with threshold %g and margin %g is none", (double)sim_cos,
                         (double)margin);
    t->calibrated_sim_cos = sim_cos;
    t->calibrated_margin = margin;
    return mien_tagger_set_threshold(t, t->asked_sim_cos);
}

void mien_tagger_threshold(const MienTagger *t, float *min_sim_cos, float *min_margin)
{
    *min_sim_cos = t->params.learnt ? (float)mien_similarity_prob((double)t->scale.least) : t->scale.least;
    *min_margin = t->scale.margin;
}

int mien_tagger_set_liveness(MienTagger *t, MienLivenessMode mode, float max_apcer)
{
    if ((mode != MIEN_LIVENESS_OFF) != (t->params.liveness != MIEN_LIVENESS_OFF) || !(max_apcer > 0 && max_apcer <= 1))
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: liveness cannot be switched on or off while it runs, and the share of "
                         "attacks that may pass is above 0 and at most 1");
    t->params.liveness = mode;
    t->min_live_llr = mien_live_min_llr(max_apcer);
    for (int i = 0; i < t->n_tracks && t->lives; i++) {
        t->track[i].life = LIFE_OPEN;
        judge_life(t, &t->track[i]);
    }
    return 0;
}

int mien_tagger_set_claim(MienTagger *t, const char *claim)
{
    if (!claim || !*claim || strlen(claim) > MIEN_NAME_MAX_BYTES)
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: a claim is a name of 1..%d bytes", MIEN_NAME_MAX_BYTES);
    memmove(t->claim, claim, strlen(claim) + 1);
    t->search_all = t->params.mode == MIEN_MODE_VERIFY;
    return 0;
}

int mien_tagger_set_mode(MienTagger *t, MienTagMode mode)
{
    if (mode != MIEN_MODE_DETECT && (!t->params.search || !t->dim))
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: names need an encoder and a gallery");
    if (mode == MIEN_MODE_VERIFY && !t->claim[0])
        return mien_fail(t->params.log, MIEN_ERR(EINVAL), "tagger: nobody is claimed");
    mien_tagger_flush(t);
    t->params.mode = mode;
    t->calibrated_sim_cos = t->calibrated_margin = 0;
    take_threshold(t, t->asked_sim_cos);
    return 0;
}

void mien_tagger_gallery_changed(MienTagger *t)
{
    t->search_all = t->params.mode != MIEN_MODE_DETECT;
}

void mien_tagger_stats(const MienTagger *t, MienTaggerStats *stats)
{
    *stats = t->stats;
    stats->search_ms = t->stats.searches ? t->search_ms / (double)t->stats.searches : 0;
}
