/* mien/log.h — where messages go.
 *
 * A logger is a small value that is passed in and copied; {0} is silent. Levels are defined by meaning:
 * error = no result; warn = the result is doubtful; info = once a run; debug = never per frame; trace = anything.
 * Names of people and paths of their pictures appear at debug and below only (the tool, which is asked about them, may
 * print them itself).
 */
#ifndef MIEN_LOG_H
#define MIEN_LOG_H

#include <stdarg.h>
#include "mien/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MienLogLevel {
    MIEN_LOG_ERROR,
    MIEN_LOG_WARN,
    MIEN_LOG_INFO,
    MIEN_LOG_DEBUG,
    MIEN_LOG_TRACE,
} MienLogLevel;

typedef struct MienLog {
    /* One message, without a newline at its end. May be called by several threads at once. NULL: silent. */
    void (*write)(void *priv, MienLogLevel level, const char *fmt, va_list ap);
    void *priv;
    MienLogLevel level; /* messages above this level are dropped before write is called */
} MienLog;

void mien_log(MienLog log, MienLogLevel level, const char *fmt, ...) MIEN_PRINTF(3, 4);

/* Writes the message at error level and returns err: "return mien_fail(log, MIEN_E_SHAPE, …);" */
int mien_fail(MienLog log, int err, const char *fmt, ...) MIEN_PRINTF(3, 4);

/* A logger for programs: "prefix: level: message" on stderr, one write a line. prefix is borrowed. */
MienLog mien_log_stderr(const char *prefix, MienLogLevel level);

#ifdef __cplusplus
}
#endif
#endif
