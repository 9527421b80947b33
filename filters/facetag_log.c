/* facetag_log.c — events to one or several URLs; see facetag_log.h. The texts are made in libmien, event_log.c knows files. */
#include <math.h>
#include <string.h>

#include "event_log.h"
#include "facetag_log.h"
#include "lavfi_glue.h"
#include "libavutil/error.h"
#include "libavutil/mem.h"
#include "libavutil/thread.h"

#define MAX_HELD 4096 /* appearances kept back for the order, of 360 bytes each */

typedef struct Target {
    char *url;
    MienEventFormat format;
    MieniEventLog *log;
    MienAppearanceQueue *queue; /* NULL: written as they end */
} Target;

struct FacetagLog {
    AVMutex mutex;
    Target *target;
    int n;
};

/* The next of the list at *at, unescaped; *at is NULL behind the last. The caller frees. */
static char *next_url(const char **at)
{
    char *url = av_malloc(strlen(*at) + 1), *to = url;
    const char *s = *at;

    if (!url)
        return NULL;
    for (; *s && *s != '|'; s++) {
        if (s[0] == '\\' && s[1] == '|')
            s++;
        *to++ = *s;
    }
    *to = 0;
    *at = *s ? s + 1 : NULL;
    return url;
}

static int add_target(FacetagLog *log, AVFilterContext *ctx, char *url, int format)
{
    Target *target = av_realloc_array(log->target, log->n + 1, sizeof(*target));
    int ret = 0;

    if (!target) {
        av_free(url);
        return AVERROR(ENOMEM);
    }
    log->target = target;
    for (int i = 0; i < log->n && ret >= 0; i++)
        ret = strcmp(target[i].url, url) ? 0 : AVERROR(EINVAL);
    target[log->n++] = (Target){ .url = url };
    target += log->n - 1;
    if (ret < 0 || !*url) {
        av_log(ctx, AV_LOG_ERROR, *url ? "The log '%s' is named twice.\n" : "The list of logs has an empty name%s.\n", url);
        return AVERROR(EINVAL);
    }
    target->format = format == FACETAG_FORMAT_AUTO ? mien_event_format_of(url) : format;
    if (mien_event_format_ordered(target->format) && (ret = mien_appearance_queue_create(&target->queue, target->format, MAX_HELD)) < 0)
        return mieni_lavfi_error(ret);
    return mieni_event_log_open(&target->log, ctx, url, target->format);
}

static int free_targets(FacetagLog *log, AVFilterContext *ctx)
{
    int ret = 0;

    for (int i = 0; i < log->n; i++) {
        int err = mieni_event_log_close(&log->target[i].log, ctx);

        ret = ret < 0 ? ret : err;
        mien_appearance_queue_destroy(&log->target[i].queue);
        av_free(log->target[i].url);
    }
    ff_mutex_destroy(&log->mutex);
    av_free(log->target);
    av_free(log);
    return ret;
}

int mieni_facetag_log_open(FacetagLog **out, AVFilterContext *ctx, const char *urls, int format)
{
    FacetagLog *log = av_mallocz(sizeof(*log));
    int ret = 0;

    *out = NULL;
    if (!log)
        return AVERROR(ENOMEM);
    if ((ret = ff_mutex_init(&log->mutex, NULL))) {
        av_free(log);
        return AVERROR(ret);
    }
    for (const char *at = urls; at && ret >= 0;) {
        char *url = next_url(&at);

        ret = url ? add_target(log, ctx, url, format) : AVERROR(ENOMEM);
    }
    if (ret < 0) {
        free_targets(log, ctx);
        return ret;
    }
    *out = log;
    return 0;
}

/* What may go out of the target's queue. */
static int settle(Target *target, AVFilterContext *ctx, double settled_s)
{
    const MienEventContext context = { .wall_us = -1 };
    MienAppearance a;
    int ret = 0;

    while (ret >= 0 && target->queue && mien_appearance_queue_pop(target->queue, settled_s, &a) > 0)
        ret = mieni_event_log_appearance(target->log, ctx, &a, &context);
    return ret;
}

static int target_event(Target *target, AVFilterContext *ctx, const MienEvent *event, const MienEventContext *context)
{
    MienAppearance a;

    if (target->format == MIEN_EVENT_JSONL)
        return mieni_event_log_line(target->log, ctx, event, context);
    if (event->kind != MIEN_EVENT_LEAVE)
        return 0;
    a = mien_event_appearance(event);
    if (!target->queue)
        return mieni_event_log_appearance(target->log, ctx, &a, context);
    return mieni_lavfi_error(mien_appearance_queue_push(target->queue, &a));
}

int mieni_facetag_log_event(FacetagLog *log, AVFilterContext *ctx, const MienEvent *event, const MienEventContext *context)
{
    int ret = 0;

    if (!log)
        return 0;
    ff_mutex_lock(&log->mutex);
    for (int i = 0; i < log->n; i++) {
        int err = target_event(&log->target[i], ctx, event, context);

        ret = ret < 0 ? ret : err;
    }
    ff_mutex_unlock(&log->mutex);
    return ret;
}

int mieni_facetag_log_settle(FacetagLog *log, AVFilterContext *ctx, double settled_s)
{
    int ret = 0;

    if (!log)
        return 0;
    ff_mutex_lock(&log->mutex);
    for (int i = 0; i < log->n; i++) {
        int err = settle(&log->target[i], ctx, settled_s);

        ret = ret < 0 ? ret : err;
    }
    ff_mutex_unlock(&log->mutex);
    return ret;
}

int mieni_facetag_log_close(FacetagLog **log_ptr, AVFilterContext *ctx)
{
    FacetagLog *log = *log_ptr;
    int ret, err;

    *log_ptr = NULL;
    if (!log)
        return 0;
    ret = mieni_facetag_log_settle(log, ctx, INFINITY);
    err = free_targets(log, ctx);
    return ret < 0 ? ret : err;
}
