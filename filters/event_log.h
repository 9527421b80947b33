/* event_log.h — a log of events to any AVIO URL, one flush an entry.
 *
 * A file is started anew by the first filter of a process that names it, and continued by later ones: ffmpeg builds its graph
 * anew when a stream's size changes, and nothing logged before may go then. Filters that name the same URL at the same time
 * share one writer, so their entries never mix and are counted through.
 * An entry is handed to the operating system whole: a process that is killed leaves whole entries behind.
 * Threads: every call, any thread; a log that is slow to take what is written holds up only those who write to it.
 */
#ifndef MIEN_FILTERS_EVENT_LOG_H
#define MIEN_FILTERS_EVENT_LOG_H

#include "compat.h"
#include "mien/event_text.h"

typedef struct MieniEventLog MieniEventLog;

/* Writes the format's head where a file begins. Errors are logged as one line that names the URL and the cause; AVERROR codes. */
int mieni_event_log_open(MieniEventLog **log, AVFilterContext *ctx, const char *url, MienEventFormat format);
/* An event, in a log of JSON lines. */
int mieni_event_log_line(MieniEventLog *log, AVFilterContext *ctx, const MienEvent *event, const MienEventContext *context);
/* A line that somebody else has made, with its newline, in a log of JSON lines. */
int mieni_event_log_text(MieniEventLog *log, AVFilterContext *ctx, const char *line, int n_bytes);
/* An appearance, in a log of another format. */
int mieni_event_log_appearance(MieniEventLog *log, AVFilterContext *ctx, const MienAppearance *a, const MienEventContext *context);
/* Reports what could be seen only on closing, such as a full disk. Accepts NULL and a pointer to NULL. */
int mieni_event_log_close(MieniEventLog **log, AVFilterContext *ctx);

#endif
