/* mien/redact.h — which faces of a film are covered, where, from when to when, and with what.
 *
 * Tags of frames (mien/tagger.h) go in; out comes, `lookahead` frames later, what to cover on each frame. Fail-closed: a face is left
 * visible only where the policy says so for what is known of its track now and in all frames that are known ahead; whatever is undecided is
 * covered. Knows nothing of networks or galleries; the frames themselves wait with the caller. docs/redaction.md has the tables.
 */
#ifndef MIEN_REDACT_H
#define MIEN_REDACT_H

#include "mien/planes.h"
#include "mien/tagger.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- who */

typedef enum MienRedactMode {
    MIEN_REDACT_NONE,
    MIEN_REDACT_UNKNOWN, /* whoever is not a person of the gallery, or may not be */
    MIEN_REDACT_ALL,
    MIEN_REDACT_EXCEPT,  /* everybody but those named */
    MIEN_REDACT_ONLY,    /* those named, and who may be one of them */
    MIEN_REDACT_SPOOF,   /* pictures of faces, and what may be one */
} MienRedactMode;

typedef struct MienRedactPolicy {
    MienRedactMode mode;
    const char *const *who; /* names as tags have them, for except and only */
    int n_who;
} MienRedactPolicy;

/* Covered, or why not. */
typedef enum MienRedactVerdict {
    MIEN_REDACT_COVERED,
    MIEN_REDACT_VISIBLE_OFF,      /* mode none */
    MIEN_REDACT_VISIBLE_KNOWN,    /* unknown: a person of the gallery */
    MIEN_REDACT_VISIBLE_EXCEPTED, /* except: one of those named */
    MIEN_REDACT_VISIBLE_OTHER,    /* only: a person of the gallery who is not named */
    MIEN_REDACT_VISIBLE_STRANGER, /* only: nobody of the gallery */
    MIEN_REDACT_VISIBLE_LIVING,   /* spoof: not a picture */
} MienRedactVerdict;
const char *mien_redact_verdict_name(MienRedactVerdict verdict); /* "covered", "off", "known" … */

/* One face by itself:
 *               none   unknown  all      except             only              spoof
 *   known       off    known    covered  excepted/covered   covered/other     living
 *   unrecognised off   covered  covered  covered            stranger          living
 *   undecided   off    covered  covered  covered            covered           covered
 *   spoof       off    covered  covered  covered            covered           covered
 * (before the slash: who names this person). A spoof is covered by `only` too: it may show one of those. */
MienRedactVerdict mien_redact_verdict(const MienRedactPolicy *policy, MienStatus status, const char *name);

/* ---- where */

/* The ellipse that is covered for a face's box: hair, ears and chin of a head, also of one that is turned. Outside it the cover fades out
 * and ends at MIEN_REDACT_SOFT times its half axes. */
typedef struct MienRedactHead {
    float cx_px, cy_px, rx_px, ry_px; /* centre and half axes */
} MienRedactHead;
#define MIEN_REDACT_SOFT 1.15f
MienRedactHead mien_redact_head(MienBox face_px);
/* How much of a point is covered, 0..1. */
float mien_redact_share(const MienRedactHead *head, float x_px, float y_px);

/* ---- when */

#define MIEN_REDACT_MAX_LOOKAHEAD 250

typedef struct MienRedactorParams {
    int lookahead;       /* frames that are known ahead, 0..MIEN_REDACT_MAX_LOOKAHEAD */
    int max_faces;       /* a frame with so many faces may have more, which nobody looked for: it is covered whole; 0: never */
    int64_t first_frame; /* number of the first frame */
} MienRedactorParams;

typedef struct MienRedactFrame {
    const MienTag *tags; /* of which whole_box_px, since_seen, status and name are read */
    int n_tags;
    double time_s;       /* NaN: unknown */
    int cut;             /* a scene begins: nothing is carried from one side to the other */
    int blind;           /* nobody knows what is on it: it is covered whole */
} MienRedactFrame;

typedef struct MienRedactRegion {
    int64_t track;
    MienBox face_px; /* see mien_redact_head */
} MienRedactRegion;

typedef struct MienRedactPlan {
    int64_t frame;
    int whole;       /* cover the whole frame */
    const MienRedactRegion *region;
    int n_regions;
} MienRedactPlan;

typedef struct MienRedactor MienRedactor;
int mien_redactor_create(MienRedactor **redactor, const MienRedactorParams *params);
void mien_redactor_destroy(MienRedactor **redactor);

/* What covers more than before holds for the frames that wait, too; what covers less begins with the next frame. Before the first call all
 * are covered. MIEN_ERR(ENOMEM): nothing changed. */
int mien_redactor_set_policy(MienRedactor *redactor, const MienRedactPolicy *policy);

/* The next frame. At most lookahead + 1 may wait: pop after each push. MIEN_ERR(ENOMEM): it wasn't taken. */
int mien_redactor_push(MienRedactor *redactor, const MienRedactFrame *frame);
/* 1: plan is what to cover on the frame that has waited longest, valid until the next call; 0: it must wait on, or none waits. */
int mien_redactor_pop(MienRedactor *redactor, MienRedactPlan *plan);
/* No frame follows what waits: an end, a jump in time, another size. Pop until 0; the next push begins anew. */
void mien_redactor_finish(MienRedactor *redactor);
/* A frame passes that isn't looked at: the numbers count on. None may wait. */
void mien_redactor_skip(MienRedactor *redactor);
int mien_redactor_waiting(const MienRedactor *redactor);

/* Consecutive frames on which a face was seen and left visible, for one reason. */
typedef struct MienRedactRun {
    int64_t track;
    MienStatus status;
    char name[MIEN_NAME_MAX_BYTES + 1]; /* "" unless known */
    MienRedactVerdict why;
    int64_t first_frame, last_frame;
    double first_s, last_s;
    MienBox first_box_px, last_box_px;
} MienRedactRun;
/* Those that ended with the last pop; valid until the next call of push or pop. The pop that says 0 after a finish ends them all. */
int mien_redactor_runs(const MienRedactor *redactor, const MienRedactRun **runs);

/* Of frames popped so far. */
typedef struct MienRedactStats {
    int64_t frames, covered, whole, visible; /* with a region; covered whole; with a face left visible */
} MienRedactStats;
void mien_redactor_stats(const MienRedactor *redactor, MienRedactStats *stats);

/* A run and the end of a report as a line of JSON (without newline), schema in docs/redaction.md; the length or a negative code. n_lost:
 * frames that never came out. */
int mien_redact_run_json(const MienRedactRun *run, char *buf, size_t buf_bytes);
int mien_redact_end_json(const MienRedactStats *stats, int64_t n_lost, char *buf, size_t buf_bytes);

/* ---- with what */

typedef enum MienRedactEffect {
    MIEN_REDACT_FILL,   /* one dark gray: nothing of the face is left */
    MIEN_REDACT_MOSAIC, /* squares, a head is about seven high */
    MIEN_REDACT_BLUR,   /* three box blurs in a row, as wide as the head asks */
} MienRedactEffect;

/* Covers a frame as the plan says. Samples outside the regions keep their bits; a chroma sample belongs to a region if any of its pixels
 * does. Alpha is not part of planes and stays. MIEN_ERR(ENOMEM), MIEN_ERR(EINVAL) (planes): the frame may be half covered and must not be
 * shown. */
int mien_redactor_paint(MienRedactor *redactor, const MienRedactPlan *plan, const MienPlanes *planes, MienRedactEffect effect);

#ifdef __cplusplus
}
#endif
#endif
