/* watch_log.h — a file of lines that is rotated: PATH, PATH.1 (the newest of the old ones), PATH.2 …
 *
 * One process writes at a time (flock). A file that somebody else renames or removes is made anew. Nothing here waits.
 */
#ifndef MIEN_TOOL_WATCH_LOG_H
#define MIEN_TOOL_WATCH_LOG_H

#include <stddef.h>
#include <stdint.h>

typedef struct WatchLog {
    const char *path; /* borrowed */
    int64_t max_bytes;
    int n_old; /* files kept beside PATH; 0: a full one is thrown away */
    int fd;    /* -1: not open */
    int64_t bytes;
} WatchLog;

/* Opens nothing yet. */
void watch_log_init(WatchLog *log, const char *path, int64_t max_bytes, int n_old);
void watch_log_close(WatchLog *log);

/* Makes sure that the file is open, ours and the one of that name: 0; -EWOULDBLOCK: another process writes it; or -errno. */
int watch_log_ready(WatchLog *log);
/* How many of bytes (more than 0), which are whole lines, may still go into this file: those lines that fit, all of them where nothing is in
 * it yet and the first is too long. 0: rotate first. */
size_t watch_log_fitting(const WatchLog *log, const char *lines, size_t bytes);
int watch_log_rotate(WatchLog *log); /* 0 or -errno */
/* Writes; *done says how much of it reached the file, also after an error. 0 or -errno. */
int watch_log_write(WatchLog *log, const char *data, size_t bytes, size_t *done);

/* Takes a last line without end off the file: whoever wrote it was killed. 0 or -errno. */
int watch_log_mend(WatchLog *log);
/* With how many bytes, whole lines from the beginning of `lines`, does the file end already? */
size_t watch_log_has(const WatchLog *log, const char *lines, size_t bytes);

#endif
