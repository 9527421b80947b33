/* facetag_live.h — live=1: a second thread looks at the newest frame, this one carries its boxes on.
 *
 * The filter's own thread calls everything here and waits for nothing but in finish, hold and destroy. What a look touches (tagger, engine,
 * gallery, log) is the second thread's, except between hold and release, and after finish or destroy.
 */
#ifndef MIEN_FILTERS_FACETAG_LIVE_H
#define MIEN_FILTERS_FACETAG_LIVE_H

#include "compat.h"
#include "libavutil/dict.h"
#include "libavutil/frame.h"
#include "mien/carry.h"

typedef struct FacetagLive FacetagLive;

/* What the second thread does; AVERRORs stop the filter at its next frame. */
typedef struct FacetagLiveCalls {
    int (*look)(AVFilterContext *ctx, const AVFrame *frame, const MienMoment *when); /* tags and logs */
    int (*end_tracks)(AVFilterContext *ctx);                                         /* flushes the tagger and logs */
} FacetagLiveCalls;

int mieni_facetag_live_create(FacetagLive **live, AVFilterContext *ctx, const MienTagger *tagger, int max_faces, FacetagLiveCalls calls);
/* Waits for the look in hand and leaves out the frame that waits. */
void mieni_facetag_live_destroy(FacetagLive **live);

/* Hands a reference to the frame over, if it is the newest when the next look begins, and gives the tags that are shown on it; valid until the
 * next call. Returns their number, or the second thread's error. */
int mieni_facetag_live_frame(FacetagLive *live, const AVFrame *frame, const MienMoment *when, const MienTag **tags);
/* Of one of these tags. */
int mieni_facetag_live_explain(const FacetagLive *live, int64_t track, MienExplanation *explanation);
/* Adds lag_ms, looked, dropped and queue, as they were at the last frame. */
int mieni_facetag_live_metadata(const FacetagLive *live, AVDictionary **dict, const char *key_prefix);

/* All tracks end here; the second thread sees to it before its next look. */
int mieni_facetag_live_flush(FacetagLive *live);
/* Waits until the last frame has been looked at. */
int mieni_facetag_live_finish(FacetagLive *live);

/* For commands: the second thread rests in between. forget: what was seen so far has no meaning any more. */
void mieni_facetag_live_hold(FacetagLive *live);
void mieni_facetag_live_forget(FacetagLive *live);
void mieni_facetag_live_release(FacetagLive *live);

#endif
