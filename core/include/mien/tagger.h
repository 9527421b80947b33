/* mien/tagger.h — frames in, named tracks out: what `facetag` wraps.
 *
 * Per frame: detect every `interval` frames, follow in between, keep track numbers by overlap and embedding, encode only
 * tracks that need it, search the gallery through a callback, decide per track. Holds no database and no FFmpeg.
 * Deterministic: the same frames give the same tags.
 */
#ifndef MIEN_TAGGER_H
#define MIEN_TAGGER_H

#include "mien/face.h"
#include "mien/liveness.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_NAME_MAX_BYTES 255

typedef enum MienStatus {
    MIEN_STATUS_UNDECIDED,    /* not enough evidence yet */
    MIEN_STATUS_KNOWN,
    MIEN_STATUS_UNRECOGNISED, /* a face good enough to tell, of nobody in the gallery */
    MIEN_STATUS_SPOOF,        /* a picture of a face */
} MienStatus;
const char *mien_status_name(MienStatus status); /* "known" … */

/* report: the evidence is gathered and told. require: without enough of it a face is undecided, and what looks like a picture of a face is a
 * spoof, whoever it resembles. */
typedef enum MienLivenessMode { MIEN_LIVENESS_OFF, MIEN_LIVENESS_REPORT, MIEN_LIVENESS_REQUIRE } MienLivenessMode;

typedef enum MienTagMode { MIEN_MODE_RECOGNISE, MIEN_MODE_VERIFY, MIEN_MODE_DETECT } MienTagMode;

/* What a search found: best person, and the best of the other people. id < 0: none. */
typedef struct MienMatch {
    int64_t id;
    char name[MIEN_NAME_MAX_BYTES + 1];
    float sim_cos;
    int64_t second_id;
    char second_name[MIEN_NAME_MAX_BYTES + 1];
    float second_sim_cos;
    /* Where a learnt unit (mien/similarity.h) ranks, its logits for the two; NaN where the cosine does. */
    float logit_same, second_logit_same;
    int ignored; /* best person is on the ignore list: reported as unrecognised */
} MienMatch;

/* Searches the gallery. claim: NULL searches everybody; else only that person counts as best (1:1) and second stays empty.
 * 0 or a negative code; an empty gallery is 0 with id = -1. MIEN_E_NOTFOUND: nobody is called claim. */
typedef int (*MienSearchFn)(void *priv, const float *embedding, int dim, const char *claim, MienMatch *match);

/* Why a track has its name, or none. */
typedef enum MienReason {
    MIEN_REASON_NO_VIEW,   /* no view was good enough yet */
    MIEN_REASON_NAMED,     /* above the threshold, ahead of the next person, and the views agree */
    MIEN_REASON_KEPT,      /* a name that stands is kept a little below the threshold */
    MIEN_REASON_FEW_VIEWS, /* above the threshold, but one view alone that isn't clear, or views that don't agree */
    MIEN_REASON_NOT_AHEAD, /* two people of the gallery are too near to each other */
    MIEN_REASON_BELOW,     /* the nearest person is below the threshold */
    MIEN_REASON_IGNORED,   /* the nearest person is on the ignore list */
    MIEN_REASON_NOBODY,    /* the gallery holds nobody to compare with */
    MIEN_REASON_DOUBT,     /* the last look didn't show the face that this track had; it is looked at again */
} MienReason;
const char *mien_reason_name(MienReason reason); /* "no-view" … */
const char *mien_reason_text(MienReason reason); /* a sentence without a full stop */

#define MIEN_MAX_VIEWS 8 /* best views kept per track */

typedef struct MienViewUsed {
    int64_t frame;
    float quality;      /* MienFaceQuality.total */
    float independence; /* 1: says something of its own; 1/n: one of n views that say the same */
    int64_t id;         /* nearest person of this view alone, or -1 */
    float sim_cos;      /* NaN without one */
} MienViewUsed;

typedef struct MienExplanation {
    MienReason reason;
    MienMatch match;          /* of all views together: the nearest person and the next */
    float evidence_nats;      /* log-likelihood ratio of "the nearest person" to "somebody else"; NaN without one */
    float needed_nats;        /* the same at the threshold; NaN where a learnt unit decides */
    float min_sim_cos, margin_cos; /* of a learnt unit the first is a probability */
    const char *threshold_from; /* "encoder", "option" … (static) */
    float n_independent;      /* how many independent views the kept ones are worth */
    int n_views;
    MienViewUsed view[MIEN_MAX_VIEWS];
} MienExplanation;

typedef struct MienTaggerParams {
    MienFaceEngine *engine; /* borrowed; must outlive the tagger */
    MienSearchFn search;    /* NULL allowed in detect mode */
    void *search_priv;
    MienLog log;
    MienTagMode mode;
    const char *claim;       /* verify mode: the claimed name (copied) */
    float min_sim_cos;       /* 0: the calibration's (mien_tagger_set_calibration), else the encoder's own starting value for the mode */
    int learnt;              /* search fills logit_same, which decides in place of the cosine. min_sim_cos is then a
                              * probability, and so is what mien_tagger_set_threshold takes; 0: mien/similarity.h's for the mode */
    int interval;            /* detect every so many frames, 1..; default 3 */
    int min_face_px;         /* default 20 */
    int max_faces;           /* 1..256, default 32 */
    int size_px;             /* detector's input, see MienDetectParams */
    MienLivenessMode liveness; /* other than off: the engine must have been made with it */
    float max_apcer;         /* share of attacks that may pass, see mien_live_min_llr; default 0.05 */
} MienTaggerParams;

#define MIEN_TAGGER_DEFAULTS { .mode = MIEN_MODE_RECOGNISE, .interval = 3, .min_face_px = 20, .max_faces = 32, .max_apcer = 0.05f }

typedef struct MienTag {
    int64_t track;   /* number of the track, from 1, never used twice */
    MienBox box_px;  /* clipped to the frame */
    MienBox whole_box_px; /* the same as it was found or carried: may reach outside the frame */
    int since_seen;  /* frames since the box was found; 0: on this one, else it is carried by its motion */
    float prob;      /* detector's, of the last detection */
    MienStatus status;
    int64_t id;      /* person, or -1 */
    char name[MIEN_NAME_MAX_BYTES + 1]; /* "" unless known (in verify mode: the claim, when met) */
    float sim_cos;   /* best similarity of the track's decision; NaN while nothing was encoded */
    float prob_same; /* the learnt unit's probability for it; NaN where the cosine decides */
    float prob_live; /* NaN: not measured */
    MienLiveness live; /* the evidence behind prob_live */
    int64_t first_frame; /* number of the frame (from 0) in which the track was first seen */
    int n_evidence;  /* encoded views so far */
} MienTag;

typedef struct MienTagger MienTagger;
int mien_tagger_create(MienTagger **tagger, const MienTaggerParams *params);
void mien_tagger_destroy(MienTagger **tagger);

/* When a frame was. */
typedef struct MienMoment {
    int64_t frame;   /* its number in the stream, from 0 */
    double time_s;   /* presentation time in seconds; NaN: unknown */
    int64_t wall_us; /* when it arrived, microseconds since 1970; 0: unknown */
} MienMoment;

/* Handles the next frame. *tags is valid until the next call; returns their number. time_s: presentation time in seconds, NaN
 * if unknown (used by events and signs of life). */
int mien_tagger_frame(MienTagger *tagger, const MienImage *img, double time_s, const MienTag **tags);

/* The same for a caller that leaves frames out: `when` says which one this is. Its number must be above the last one's, or it is
 * MIEN_ERR(EINVAL). `interval` and whatever else is a number of frames counts those of the stream; tracks move on over what was left out, and
 * events have the stream's numbers and times. */
int mien_tagger_frame_at(MienTagger *tagger, const MienImage *img, const MienMoment *when, const MienTag **tags);
/* Whether the last frame began a new scene. */
int mien_tagger_cut(const MienTagger *tagger);

/* Why the track of one of the last frame's tags has its name, or none. MIEN_E_NOTFOUND: there is no such track. */
int mien_tagger_explain(const MienTagger *tagger, int64_t track, MienExplanation *explanation);

/* The mean of a track's views, of length 1, as it is searched for (the encoder's dim numbers), and the best view's quality. Returns how many
 * views it is made of, 0: nothing is written; MIEN_E_NOTFOUND: there is no such track. */
int mien_tagger_template(const MienTagger *tagger, int64_t track, float *embedding, float *quality);

/* What happened to tracks in the last call: enter (a track's status was first decided, or it left undecided), update (its
 * decision changed), retract (a name that was told before does not hold; the tag says what does), leave. Valid until the next call. */
typedef enum MienEventKind { MIEN_EVENT_ENTER, MIEN_EVENT_UPDATE, MIEN_EVENT_RETRACT, MIEN_EVENT_LEAVE } MienEventKind;
typedef struct MienEvent {
    MienEventKind kind;
    MienTag tag;
    int64_t was_id;   /* retract: whose name is withdrawn; else -1 and "" */
    char was_name[MIEN_NAME_MAX_BYTES + 1];
    MienExplanation explanation;
    double first_time_s, last_time_s; /* of the track's first and last sighting */
    int64_t first_wall_us;            /* when the frame of the first sighting arrived; 0: unknown */
    int64_t last_frame;
} MienEvent;
int mien_tagger_events(MienTagger *tagger, const MienEvent **events);
/* No leave event that is still to come, of the frames so far, has an earlier first_time_s: the first sighting of the oldest track that is
 * followed or waited for; INFINITY when there is none. */
double mien_tagger_oldest_s(const MienTagger *tagger);

/* End of stream, seek or size change: closes all tracks (their leave events are then readable) and forgets the motion. */
int mien_tagger_flush(MienTagger *tagger);

/* May change between frames. */
int mien_tagger_set_threshold(MienTagger *tagger, float min_sim_cos);
/* What a calibration of the gallery found (mien/calibrate.h) for the tagger's mode: a threshold for one search, to which the tagger adds
 * what a track's several looks cost, and the least lead over the next person. It stands wherever min_sim_cos is 0. 0, 0: forget it. */
int mien_tagger_set_calibration(MienTagger *tagger, float sim_cos, float margin);
int mien_tagger_set_claim(MienTagger *tagger, const char *claim);
/* What is decided from the next frame on. As mien_tagger_flush, since tags of one mode mean nothing in another: the tracks' leave events are
 * readable afterwards. The threshold becomes the new mode's, and a calibration is forgotten (it is made for one mode). MIEN_ERR(EINVAL),
 * and nothing changes: names without an encoder or a search, verification without a claim. */
int mien_tagger_set_mode(MienTagger *tagger, MienTagMode mode);
/* The threshold in force now, and the least lead; of a learnt unit a probability, and a lead in logits. */
void mien_tagger_threshold(const MienTagger *tagger, float *min_sim_cos, float *min_margin);
/* report ↔ require, and another share of attacks that may pass. On ↔ off is MIEN_ERR(EINVAL). */
int mien_tagger_set_liveness(MienTagger *tagger, MienLivenessMode mode, float max_apcer);
/* The gallery changed: search every live track again. */
void mien_tagger_gallery_changed(MienTagger *tagger);

/* Frames, encoder runs, detector runs, searches and their mean ms since creation. */
typedef struct MienTaggerStats {
    uint64_t frames, detections, encodings, searches, tracks;
    double search_ms;
} MienTaggerStats;
void mien_tagger_stats(const MienTagger *tagger, MienTaggerStats *stats);

/* An explanation as a JSON object, schema in docs/vf_facetag.md; returns the length or a negative code. */
int mien_explanation_json(const MienExplanation *explanation, char *buf, size_t buf_bytes);
/* One event as a line of JSON (without newline), schema in docs/events.md; returns the length or a negative code. The explanation
 * is left out. */
int mien_event_json(const MienEvent *event, char *buf, size_t buf_bytes);

#ifdef __cplusplus
}
#endif
#endif
