/* facetag_redact.h — facetag's options redact, who, effect, lookahead and redact_report: frames wait here until enough is known ahead of
 * them, and leave covered.
 *
 * What is covered is decided in mien/redact.h. Frames come out in the order in which they went in.
 */
#ifndef MIEN_FILTERS_FACETAG_REDACT_H
#define MIEN_FILTERS_FACETAG_REDACT_H

#include "compat.h"
#include "libavutil/frame.h"
#include "mien/gallery.h"
#include "mien/redact.h"

typedef struct FacetagRedactOptions {
    int mode, effect; /* MienRedactMode, MienRedactEffect */
    const char *who;  /* names separated by |; or NULL */
    int tag_mode, liveness;  /* the filter's */
    const char *claim;       /* in mode verify, for except and only, it stands for who */
} FacetagRedactOptions;

/* Whether these options make sense together; one line says why not. runtime: who may be set before redact asks for it. */
int mieni_facetag_redact_check(AVFilterContext *ctx, const FacetagRedactOptions *options, int runtime);

typedef struct FacetagRedactParams {
    int lookahead, max_faces;
    int64_t first_frame;      /* number of the first frame that will be pushed */
    const char *gallery_path; /* NULL in mode detect */
    const char *report_url;   /* or NULL */
} FacetagRedactParams;

typedef struct FacetagRedact FacetagRedact;
int mieni_facetag_redact_open(FacetagRedact **redact, AVFilterContext *ctx, const FacetagRedactParams *params);
/* Ends the report. Frames that still wait are lost, and a warning says how many. Accepts a pointer to NULL. */
void mieni_facetag_redact_close(FacetagRedact **redact, AVFilterContext *ctx);

/* Puts options into force that passed the check. Names that nobody of the gallery has, or who cannot be told apart (ignored, expired, without
 * a picture) are an error, and nothing changes. */
int mieni_facetag_redact_set(FacetagRedact *redact, AVFilterContext *ctx, const FacetagRedactOptions *options);

/* A frame (owned from here on, also on failure) with its tags, copied, and what else the caller wants to know of it when it comes out. */
int mieni_facetag_redact_push(FacetagRedact *redact, AVFilterContext *ctx, AVFrame *frame, const MienTag *tags, int n_tags, int cut,
                              double time_s, int user);
/* The next frame that is due, covered; NULL: none is. Its tags are valid until the next call. */
int mieni_facetag_redact_pop(FacetagRedact *redact, AVFilterContext *ctx, AVFrame **frame, const MienTag **tags, int *n_tags, int *user);
/* Nothing follows the frames that wait: pop until NULL, and all are out. */
void mieni_facetag_redact_finish(FacetagRedact *redact);
/* A frame passes beside all this; none waits. */
void mieni_facetag_redact_skip(FacetagRedact *redact);

#endif
