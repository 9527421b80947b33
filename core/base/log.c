/* Messages through a caller's callback; see mien/log.h. */
#include <stdio.h>

#include "mien/log.h"

void mien_log(MienLog log, MienLogLevel level, const char *fmt, ...)
{
    if (!log.write || level > log.level)
        return;
    va_list ap;
    va_start(ap, fmt);
    log.write(log.priv, level, fmt, ap);
    va_end(ap);
}

int mien_fail(MienLog log, int err, const char *fmt, ...)
{
    if (log.write) {
        va_list ap;
        va_start(ap, fmt);
        log.write(log.priv, MIEN_LOG_ERROR, fmt, ap);
        va_end(ap);
    }
    return err;
}

static void write_stderr(void *prefix, MienLogLevel level, const char *fmt, va_list ap)
{
    static const char *const word[] = { "", "warning: ", "", "debug: ", "trace: " };
    char line[2048];
    vsnprintf(line, sizeof(line), fmt, ap);
    fprintf(stderr, "%s: %s%s\n", (const char *)prefix, word[level], line);
}

MienLog mien_log_stderr(const char *prefix, MienLogLevel level)
{
    return (MienLog){ .write = write_stderr, .priv = (void *)(uintptr_t)prefix, .level = level };
}
