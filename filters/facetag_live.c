/* facetag_live.c — see facetag_live.h. The thread is mien/worker.h, where faces are meanwhile mien/carry.h; here frames meet both.
 *
 * A stream has stretches (between them all tracks end: a jump in time, another size, the timeline). They are numbered, each frame handed over
 * carries its number, and what was seen in one is not shown in another. So nobody has to wait where one ends.
 */
#include <math.h>
#include <stdio.h>

#include "facetag_live.h"
#include "lavfi_glue.h"
#include "libavutil/mem.h"
#include "libavutil/thread.h"
#include "libavutil/time.h"
#include "mien/quantiles.h"
#include "mien/worker.h"

#define REPORT_US 60000000

typedef struct Item {
    AVFrame *frame; /* NULL: the stretch before ended, nothing follows yet */
    MienMoment when;
    int64_t stretch;
} Item;

/* Of a minute, or of the whole run. */
typedef struct Tally {
    uint64_t frames, looked, dropped;
    MienQuantiles lag_ms;
} Tally;

struct FacetagLive {
    AVFilterContext *ctx;
    const MienTagger *tagger;
    FacetagLiveCalls calls;
    MienWorker *worker;

    /* The filter's thread. */
    Tally minute, run;
    int64_t next_report_us;
    double lag_ms;
    int queue, warned;

    /* The second thread. */
    int64_t ended_stretch;

    AVMutex lock;      /* guards what follows */
    MienCarry *carry;
    int64_t stretch;
    uint64_t n_looked; /* since the last frame */
    int error;
};

static void free_item(Item *item)
{
    if (item)
        av_frame_free(&item->frame);
    av_free(item);
}

/* ---- the second thread */

static int handle(FacetagLive *live, const Item *item)
{
    int ret = 0;

    if (item->stretch != live->ended_stretch) {
        live->ended_stretch = item->stretch;
        ret = live->calls.end_tracks(live->ctx);
    }
    if (ret >= 0 && item->frame)
        ret = live->calls.look(live->ctx, item->frame, &item->when);
    return ret;
}

static void work(void *priv, void *arg)
{
    FacetagLive *live = priv;
    Item *item = arg;
    int ret = handle(live, item);

    ff_mutex_lock(&live->lock);
    if (ret < 0)
        live->error = ret;
    else if (item->frame && item->stretch == live->stretch)
        mien_carry_take(live->carry, live->tagger);
    live->n_looked += item->frame != NULL;
    ff_mutex_unlock(&live->lock);
    free_item(item);
}

/* ---- the filter's thread */

static void drop(void *priv, void *arg)
{
    FacetagLive *live = priv;
    Item *item = arg;

    live->minute.dropped += item->frame != NULL;
    live->run.dropped += item->frame != NULL;
    free_item(item);
}

static int put(FacetagLive *live, const AVFrame *frame, const MienMoment *when)
{
    Item *item = av_mallocz(sizeof(*item));

    if (!item || (frame && !(item->frame = av_frame_clone(frame)))) {
        free_item(item);
        return AVERROR(ENOMEM);
    }
    if (when)
        item->when = *when;
    item->stretch = live->stretch; /* only this thread changes it */
    mien_worker_put(live->worker, item);
    return 0;
}

static void print_tally(const FacetagLive *live, const Tally *tally, const char *of)
{
    char lag[64] = "";

    if (tally->lag_ms.n)
        snprintf(lag, sizeof(lag), " lag_ms median:%.0f p95:%.0f", mien_quantiles_get(&tally->lag_ms, 0.5),
                 mien_quantiles_get(&tally->lag_ms, 0.95));
    av_log(live->ctx, AV_LOG_VERBOSE, "live, %s: frames:%"PRIu64" looked:%"PRIu64" dropped:%"PRIu64"%s\n", of, tally->frames,
           tally->looked, tally->dropped, lag);
}

static void count(Tally *tally, uint64_t n_looked, double lag_ms)
{
    tally->frames++;
    tally->looked += n_looked;
    mien_quantiles_add(&tally->lag_ms, lag_ms);
}

static void report(FacetagLive *live, uint64_t n_looked)
{
    int64_t now_us = av_gettime_relative();

    count(&live->minute, n_looked, live->lag_ms);
    count(&live->run, n_looked, live->lag_ms);
    if (live->lag_ms > MIEN_CARRY_MAX_S * 1000 && !live->warned) {
        av_log(live->ctx, AV_LOG_WARNING, "The newest decision is %.1f s old: this machine is too slow for the stream. Faces not seen for %.0f s "
               "are not shown; a larger min_face or a smaller size or picture helps.\n", live->lag_ms / 1000, MIEN_CARRY_MAX_S);
        live->warned = 1;
    }
    if (now_us < live->next_report_us)
        return;
    print_tally(live, &live->minute, "last minute");
    live->next_report_us = now_us + REPORT_US;
    live->minute = (Tally){ 0 };
    live->warned = 0;
}

int mieni_facetag_live_frame(FacetagLive *live, const AVFrame *frame, const MienMoment *when, const MienTag **tags)
{
    uint64_t n_looked;
    int ret = put(live, frame, when), error, n_tags;

    if (ret < 0)
        return ret;
    ff_mutex_lock(&live->lock);
    live->lag_ms = mien_carry_age_s(live->carry, when) * 1000;
    n_tags = mien_carry_at(live->carry, when, tags); /* which the second thread doesn't touch */
    n_looked = live->n_looked;
    live->n_looked = 0;
    error = live->error;
    ff_mutex_unlock(&live->lock);
    live->queue = mien_worker_is_full(live->worker);
    report(live, n_looked);
    return error < 0 ? error : n_tags;
}

int mieni_facetag_live_explain(const FacetagLive *live, int64_t track, MienExplanation *explanation)
{
    return mien_carry_explain(live->carry, track, explanation);
}

int mieni_facetag_live_metadata(const FacetagLive *live, AVDictionary **dict, const char *key_prefix)
{
    const struct {
        const char *name;
        int64_t value;
    } field[] = {
        { "lag_ms",  isnan(live->lag_ms) ? -1 : llrint(live->lag_ms) },
        { "looked",  live->run.looked },
        { "dropped", live->run.dropped },
        { "queue",   live->queue },
    };

    for (size_t i = 0; i < FF_ARRAY_ELEMS(field); i++) {
        char key[64];
        int ret;

        snprintf(key, sizeof(key), "%s%s", key_prefix, field[i].name);
        if (field[i].value >= 0 && (ret = av_dict_set_int(dict, key, field[i].value, 0)) < 0)
            return ret;
    }
    return 0;
}

void mieni_facetag_live_forget(FacetagLive *live)
{
    ff_mutex_lock(&live->lock);
    mien_carry_forget(live->carry);
    ff_mutex_unlock(&live->lock);
}

int mieni_facetag_live_flush(FacetagLive *live)
{
    ff_mutex_lock(&live->lock);
    live->stretch++;
    mien_carry_forget(live->carry);
    ff_mutex_unlock(&live->lock);
    return put(live, NULL, NULL);
}

int mieni_facetag_live_finish(FacetagLive *live)
{
    int error;

    mien_worker_finish(live->worker);
    ff_mutex_lock(&live->lock);
    error = live->error;
    live->run.looked += live->n_looked;
    live->n_looked = 0;
    ff_mutex_unlock(&live->lock);
    return error;
}

void mieni_facetag_live_hold(FacetagLive *live)
{
    mien_worker_hold(live->worker);
}

void mieni_facetag_live_release(FacetagLive *live)
{
    mien_worker_release(live->worker);
}

/* ---- life */

void mieni_facetag_live_destroy(FacetagLive **live_ptr)
{
    FacetagLive *live = *live_ptr;

    if (!live)
        return;
    mien_worker_destroy(&live->worker);
    live->run.looked += live->n_looked;
    if (live->run.frames)
        print_tally(live, &live->run, "all in all");
    mien_carry_destroy(&live->carry);
    ff_mutex_destroy(&live->lock);
    av_freep(live_ptr);
}

int mieni_facetag_live_create(FacetagLive **live_ptr, AVFilterContext *ctx, const MienTagger *tagger, int max_faces, FacetagLiveCalls calls)
{
    FacetagLive *live = av_mallocz(sizeof(*live));
    int ret;

    *live_ptr = NULL;
    if (!live)
        return AVERROR(ENOMEM);
    live->ctx    = ctx;
    live->tagger = tagger;
    live->calls  = calls;
    live->next_report_us = av_gettime_relative() + REPORT_US;
    if ((ret = ff_mutex_init(&live->lock, NULL))) {
        av_free(live);
        return AVERROR(ret);
    }
    ret = mien_carry_create(&live->carry, max_faces);
    if (ret >= 0)
        ret = mien_worker_create(&live->worker, &(MienWorkerParams){ work, drop, live, mieni_lavfi_log(ctx) });
    if (ret < 0) {
        mieni_facetag_live_destroy(&live);
        return mieni_lavfi_error(ret);
    }
    *live_ptr = live;
    return 0;
}
