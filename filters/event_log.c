/* event_log.c — a log of events to any AVIO URL; see event_log.h.
 *
 * The list of URLs lives as long as the process: it is how a second graph of the same ffmpeg knows that a file is to be
 * continued. One small entry a URL.
 */
#include <string.h>

#include "event_log.h"
#include "lavfi_glue.h"
#include "libavformat/avio.h"
#include "libavutil/dict.h"
#include "libavutil/error.h"
#include "libavutil/mem.h"
#include "libavutil/thread.h"

struct MieniEventLog {
    MieniEventLog *next;
    char *url;
    AVMutex mutex;      /* of all that follows */
    AVIOContext *io;    /* NULL: nobody uses it now */
    MienEventFormat format;
    int n_users;
    int started;        /* this process has opened it before */
    int failed;         /* the one error line has been written */
    int64_t n_entries;  /* appearances written */
};

static MieniEventLog *logs;
static AVMutex logs_mutex = AV_MUTEX_INITIALIZER;

static int fail(MieniEventLog *log, AVFilterContext *ctx, const char *what, int err)
{
    if (!log->failed)
        av_log(ctx, AV_LOG_ERROR, "Cannot %s the log '%s': %s.\n", what, log->url, av_err2str(err));
    log->failed = 1;
    return err;
}

static MieniEventLog *find(const char *url)
{
    MieniEventLog *log = logs;

    while (log && strcmp(log->url, url))
        log = log->next;
    return log;
}

static MieniEventLog *add(const char *url)
{
    MieniEventLog *log = av_mallocz(sizeof(*log));

    if (!log || !(log->url = av_strdup(url)) || ff_mutex_init(&log->mutex, NULL)) {
        if (log)
            av_free(log->url);
        av_free(log);
        return NULL;
    }
    log->next = logs;
    return logs = log;
}

static int write_text(MieniEventLog *log, AVFilterContext *ctx, const char *text, int n)
{
    avio_write(log->io, (const unsigned char *)text, n);
    avio_flush(log->io);
    return log->io->error < 0 ? fail(log, ctx, "write", log->io->error) : 0;
}

/* What was written before is still there in a file, and has gone down the same pipe; a connection begins anew. */
static int is_continued(const MieniEventLog *log)
{
    const char *protocol = avio_find_protocol_name(log->url);

    return log->started && protocol && (!strcmp(protocol, "file") || !strcmp(protocol, "pipe") || !strcmp(protocol, "fd"));
}

static int open_io(MieniEventLog *log, AVFilterContext *ctx, MienEventFormat format)
{
    AVDictionary *options = NULL;
    const char *head = mien_event_text_head(format);
    int continued = is_continued(log), ret;
    int64_t size;

    /* Only the file protocol has this option; others leave it unread. */
    if (continued)
        av_dict_set(&options, "truncate", "0", 0);
    ret = avio_open2(&log->io, log->url, AVIO_FLAG_WRITE, NULL, &options);
    av_dict_free(&options);
    if (ret < 0)
        return fail(log, ctx, "open", ret);
    if (continued && (log->io->seekable & AVIO_SEEKABLE_NORMAL) && (size = avio_size(log->io)) > 0)
        avio_seek(log->io, size, SEEK_SET);
    log->started = 1;
    log->failed = 0;
    log->format = format;
    if (continued)
        return 0;
    log->n_entries = 0;
    ret = *head ? write_text(log, ctx, head, strlen(head)) : 0;
    if (ret < 0)
        avio_closep(&log->io);
    return ret;
}

int mieni_event_log_open(MieniEventLog **out, AVFilterContext *ctx, const char *url, MienEventFormat format)
{
    MieniEventLog *log;
    int ret = 0;

    *out = NULL;
    ff_mutex_lock(&logs_mutex);
    log = find(url);
    if (!log)
        log = add(url);
    ff_mutex_unlock(&logs_mutex);
    if (!log)
        return AVERROR(ENOMEM);

    ff_mutex_lock(&log->mutex);
    if ((log->io || is_continued(log)) && log->format != format) {
        av_log(ctx, AV_LOG_ERROR, "Two filters write to the log '%s' in different formats.\n", url);
        ret = AVERROR(EINVAL);
    } else if (!log->io) {
        ret = open_io(log, ctx, format);
    }
    if (ret >= 0) {
        log->n_users++;
        *out = log;
    }
    ff_mutex_unlock(&log->mutex);
    return ret;
}

int mieni_event_log_text(MieniEventLog *log, AVFilterContext *ctx, const char *line, int n_bytes)
{
    int ret;

    ff_mutex_lock(&log->mutex);
    ret = write_text(log, ctx, line, n_bytes);
    ff_mutex_unlock(&log->mutex);
    return ret;
}

int mieni_event_log_line(MieniEventLog *log, AVFilterContext *ctx, const MienEvent *event, const MienEventContext *context)
{
    char line[MIEN_EVENT_TEXT_BYTES];
    int n = mien_event_line(event, context, line, sizeof(line));

    return n < 0 ? mieni_lavfi_error(n) : mieni_event_log_text(log, ctx, line, n);
}

int mieni_event_log_appearance(MieniEventLog *log, AVFilterContext *ctx, const MienAppearance *a, const MienEventContext *context)
{
    char text[MIEN_EVENT_TEXT_BYTES];
    int ret;

    ff_mutex_lock(&log->mutex);
    ret = mien_appearance_text(log->format, a, log->n_entries + 1, context, text, sizeof(text));
    log->n_entries += ret > 0;
    ret = ret < 0 ? mieni_lavfi_error(ret) : write_text(log, ctx, text, ret);
    ff_mutex_unlock(&log->mutex);
    return ret;
}

int mieni_event_log_close(MieniEventLog **log_ptr, AVFilterContext *ctx)
{
    MieniEventLog *log = *log_ptr;
    int ret = 0;

    *log_ptr = NULL;
    if (!log)
        return 0;
    ff_mutex_lock(&log->mutex);
    if (!--log->n_users) {
        ret = avio_closep(&log->io);
        if (ret < 0)
            fail(log, ctx, "close", ret);
    }
    ff_mutex_unlock(&log->mutex);
    return ret;
}
