/* facetag_log.h — facetag's option log: events to one or several URLs, each in a format of its own.
 *
 * Threads: every call, any thread.
 */
#ifndef MIEN_FILTERS_FACETAG_LOG_H
#define MIEN_FILTERS_FACETAG_LOG_H

#include "compat.h"
#include "mien/event_text.h"

#define FACETAG_FORMAT_AUTO -1 /* else a MienEventFormat */

typedef struct FacetagLog FacetagLog;

/* urls: separated by |; a | of a name is written \|. format: of all of them, or auto, each by its ending. Errors are one line that names
 * the URL and the cause, and leave nothing open. */
int mieni_facetag_log_open(FacetagLog **log, AVFilterContext *ctx, const char *urls, int format);

/* To every log, also when one of them fails; the first error is returned. context's strings live for the call. NULL for log does nothing. */
int mieni_facetag_log_event(FacetagLog *log, AVFilterContext *ctx, const MienEvent *event, const MienEventContext *context);

/* Called after a frame's events: no later event begins before settled_s (mien_tagger_oldest_s), so what began until then can be written
 * by those logs that are in order. */
int mieni_facetag_log_settle(FacetagLog *log, AVFilterContext *ctx, double settled_s);

/* Writes what is held, closes all, reports what could be seen only on closing. Accepts a pointer to NULL. */
int mieni_facetag_log_close(FacetagLog **log, AVFilterContext *ctx);

#endif
