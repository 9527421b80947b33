/* event_log.c — a log of lines to any AVIO URL, one flush a line.
 *
 * The list of URLs lives as long as the process: it is how a second graph of the same ffmpeg knows that a file is to be
 * continued. One small entry a URL.
 */
#include <string.h>

#include "event_log.h"
#include "libavformat/avio.h"
#include "libavutil/dict.h"
#include "libavutil/error.h"
#include "libavutil/mem.h"
#include "libavutil/thread.h"

struct MieniEventLog {
    MieniEventLog *next;
    char *url;
    AVIOContext *io; /* NULL: nobody uses it now */
    int n_users;
    int started;     /* this process has opened it before */
    int failed;      /* the one error line has been written */
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

    if (!log || !(log->url = av_strdup(url))) {
        av_free(log);
        return NULL;
    }
    log->next = logs;
    return logs = log;
}

static int open_io(MieniEventLog *log, AVFilterContext *ctx)
{
    AVDictionary *options = NULL;
    int64_t size;
    int ret;

    /* Only the file protocol has this option; others leave it unread. */
    if (log->started)
        av_dict_set(&options, "truncate", "0", 0);
    ret = avio_open2(&log->io, log->url, AVIO_FLAG_WRITE, NULL, &options);
    av_dict_free(&options);
    if (ret < 0)
        return fail(log, ctx, "open", ret);
    if (log->started && (log->io->seekable & AVIO_SEEKABLE_NORMAL) && (size = avio_size(log->io)) > 0)
        avio_seek(log->io, size, SEEK_SET);
    log->started = 1;
    log->failed = 0;
    return 0;
}

int mieni_event_log_open(MieniEventLog **out, AVFilterContext *ctx, const char *url)
{
    MieniEventLog *log;
    int ret = 0;

    *out = NULL;
    ff_mutex_lock(&logs_mutex);
    log = find(url);
    if (!log)
        log = add(url);
    if (!log)
        ret = AVERROR(ENOMEM);
    else if (!log->io)
        ret = open_io(log, ctx);
    if (ret >= 0) {
        log->n_users++;
        *out = log;
    }
    ff_mutex_unlock(&logs_mutex);
    return ret;
}

int mieni_event_log_write(MieniEventLog *log, AVFilterContext *ctx, const char *line)
{
    int ret;

    ff_mutex_lock(&logs_mutex);
    avio_write(log->io, (const unsigned char *)line, strlen(line));
    avio_w8(log->io, '\n');
    avio_flush(log->io);
    ret = log->io->error;
    if (ret < 0)
        fail(log, ctx, "write", ret);
    ff_mutex_unlock(&logs_mutex);
    return ret;
}

int mieni_event_log_close(MieniEventLog **log_ptr, AVFilterContext *ctx)
{
    MieniEventLog *log = *log_ptr;
    int ret = 0;

    *log_ptr = NULL;
    if (!log)
        return 0;
    ff_mutex_lock(&logs_mutex);
    if (!--log->n_users) {
        ret = avio_closep(&log->io);
        if (ret < 0)
            fail(log, ctx, "close", ret);
    }
    ff_mutex_unlock(&logs_mutex);
    return ret;
}
