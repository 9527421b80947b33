/* event_log.h — a log of lines to any AVIO URL, one flush a line.
 *
 * A file is started anew by the first filter of a process that names it, and continued by later ones: ffmpeg builds its graph
 * anew when a stream's size changes, and nothing logged before may go then. Filters that name the same URL at the same time
 * share one writer, so their lines never mix.
 * Threads: every call, any thread.
 */
#ifndef MIEN_FILTERS_EVENT_LOG_H
#define MIEN_FILTERS_EVENT_LOG_H

#include "compat.h"

typedef struct MieniEventLog MieniEventLog;

/* Errors are logged as one line that names the URL and the cause; AVERROR codes. */
int mieni_event_log_open(MieniEventLog **log, AVFilterContext *ctx, const char *url);
/* Writes line and a newline and flushes. */
int mieni_event_log_write(MieniEventLog *log, AVFilterContext *ctx, const char *line);
/* Reports what could be seen only on closing, such as a full disk. Accepts NULL and a pointer to NULL. */
int mieni_event_log_close(MieniEventLog **log, AVFilterContext *ctx);

#endif
