/* Rotated files of lines; see watch_log.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mien/common.h"
#include "mien/error.h"
#include "watch_log.h"

#define TAIL_BYTES 65536
#define MODE 0640 /* who is seen when is not everybody's business */

void watch_log_init(WatchLog *log, const char *path, int64_t max_bytes, int n_old)
{
    *log = (WatchLog){ .path = path, .max_bytes = max_bytes, .n_old = n_old, .fd = -1 };
}

void watch_log_close(WatchLog *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

static int names_this(const WatchLog *log, struct stat *open_st)
{
    struct stat st;
    return fstat(log->fd, open_st) == 0 && stat(log->path, &st) == 0 && st.st_dev == open_st->st_dev && st.st_ino == open_st->st_ino;
}

/* The lock is waited for on a file that may be rotated away meanwhile, so the name is looked at again once it is there. */
static int open_locked(WatchLog *log)
{
    struct stat st;
    for (int i = 0; i < 10; i++) {
        log->fd = open(log->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, MODE);
        if (log->fd < 0)
            return MIEN_ERR(errno);
        if (flock(log->fd, LOCK_EX | LOCK_NB) < 0) {
            int err = errno;
            watch_log_close(log);
            return MIEN_ERR(err);
        }
        if (names_this(log, &st)) {
            log->bytes = st.st_size;
            return 0;
        }
        watch_log_close(log);
    }
    return MIEN_ERR(EAGAIN);
}

int watch_log_ready(WatchLog *log)
{
    struct stat st;
    if (log->fd >= 0 && !names_this(log, &st))
        watch_log_close(log);
    return log->fd >= 0 ? 0 : open_locked(log);
}

size_t watch_log_fitting(const WatchLog *log, const char *lines, size_t bytes)
{
    int64_t left = log->max_bytes - log->bytes;
    if ((int64_t)bytes <= left)
        return bytes;
    const char *end = left > 0 ? memrchr(lines, '\n', (size_t)left) : NULL;
    if (!end && !log->bytes)
        end = memchr(lines, '\n', bytes);
    return end ? (size_t)(end + 1 - lines) : log->bytes ? 0 : bytes;
}

/* The old file keeps its lock until the new one has its own: whoever waits for the name finds one of them. */
int watch_log_rotate(WatchLog *log)
{
    size_t room = strlen(log->path) + 8;
    char *from = mien_malloc(room), *to = mien_malloc(room);
    int ret = from && to ? 0 : MIEN_ERR(ENOMEM);
    for (int i = log->n_old; i >= 1 && ret >= 0; i--) {
        snprintf(to, room, "%s.%d", log->path, i);
        snprintf(from, room, i > 1 ? "%s.%d" : "%s", log->path, i - 1);
        if (rename(from, to) < 0 && errno != ENOENT)
            ret = MIEN_ERR(errno);
    }
    if (ret >= 0 && !log->n_old && unlink(log->path) < 0 && errno != ENOENT)
        ret = MIEN_ERR(errno);
    mien_free(from);
    mien_free(to);
    if (ret < 0)
        return ret;
    int old_fd = log->fd;
    ret = open_locked(log);
    if (old_fd >= 0)
        close(old_fd);
    return ret;
}

int watch_log_write(WatchLog *log, const char *data, size_t bytes, size_t *done)
{
    *done = 0;
    while (*done < bytes) {
        ssize_t n = write(log->fd, data + *done, bytes - *done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return MIEN_ERR(n < 0 ? errno : ENOSPC);
        *done += (size_t)n;
        log->bytes += n;
    }
    return 0;
}

/* The file's last bytes, at most room; the number, or -1. */
static ssize_t read_tail(const WatchLog *log, char *buf, size_t room)
{
    off_t at = log->bytes > (int64_t)room ? (off_t)(log->bytes - (int64_t)room) : 0;
    size_t n = 0, want = (size_t)(log->bytes - at);
    while (n < want) {
        ssize_t got = pread(log->fd, buf + n, want - n, at + (off_t)n);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        n += (size_t)got;
    }
    return (ssize_t)n;
}

int watch_log_mend(WatchLog *log)
{
    char *tail = mien_malloc(TAIL_BYTES);
    if (!tail)
        return MIEN_ERR(ENOMEM);
    int ret = 0;
    ssize_t n = read_tail(log, tail, TAIL_BYTES);
    if (n > 0 && tail[n - 1] != '\n') {
        const char *end = memrchr(tail, '\n', (size_t)n);
        /* A line longer than all of this is none of ours: it is ended, not taken off. */
        int64_t whole = end ? log->bytes - (n - (end + 1 - tail)) : log->bytes > n ? log->bytes : 0;
        if (whole == log->bytes ? write(log->fd, "\n", 1) != 1 : ftruncate(log->fd, (off_t)whole) < 0)
            ret = MIEN_ERR(errno);
        else
            log->bytes = whole == log->bytes ? whole + 1 : whole;
    }
    mien_free(tail);
    return n < 0 ? MIEN_ERR(EIO) : ret;
}

size_t watch_log_has(const WatchLog *log, const char *lines, size_t bytes)
{
    size_t room = bytes < (size_t)log->bytes ? bytes : (size_t)log->bytes, found = 0;
    char *tail = mien_malloc(room + 1);
    ssize_t n = tail ? read_tail(log, tail, room) : -1;
    for (size_t k = n > 0 ? (size_t)n : 0; k && !found; k--)
        if (lines[k - 1] == '\n' && !memcmp(tail + (size_t)n - k, lines, k))
            found = k;
    mien_free(tail);
    return found;
}
