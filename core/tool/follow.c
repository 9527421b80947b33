/* Following a file; see follow.h. */
#include "follow.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

static int open_path(Follow *f, const char *path)
{
    struct stat st;
    f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (f->fd < 0)
        return errno == ENOENT ? 0 : (tool_error(f->tool, "%s: %s", safe(path), strerror(errno)), -1);
    if (fstat(f->fd, &st) < 0 || S_ISDIR(st.st_mode)) {
        follow_close(f);
        return tool_error(f->tool, "%s: %s", safe(path), S_ISDIR(st.st_mode) ? strerror(EISDIR) : strerror(errno)), -1;
    }
    f->place = (FollowPlace){ .inode = (int64_t)st.st_ino };
    f->used = f->given = 0;
    f->skipping = 0;
    return 1;
}

/* 1 if the file that is open still begins with this line. */
static int begins_with(const Follow *f, const char *head)
{
    static char line[FOLLOW_LINE_MAX_BYTES];
    char hash[65];
    ssize_t n = pread(f->fd, line, sizeof(line), 0);
    char *end = n > 0 ? memchr(line, '\n', (size_t)n) : NULL;
    if (!end)
        return 0;
    mieni_sha256_hex(line, (size_t)(end - line), hash);
    return !strcmp(hash, head);
}

/* Opens path and goes to the place if it is in this file. 1, 0: it is not. */
static int open_at(Follow *f, const char *path, const FollowPlace *place)
{
    struct stat st;
    if (open_path(f, path) <= 0)
        return 0;
    if (f->place.inode == place->inode && fstat(f->fd, &st) >= 0 && st.st_size >= place->offset && begins_with(f, place->head)) {
        f->place = *place;
        return 1;
    }
    follow_close(f);
    return 0;
}

int follow_open(Follow *f, const Tool *tool, const char *path, const FollowPlace *place)
{
    char aside[4096];
    f->tool = tool;
    f->path = path;
    f->fd = -1;
    f->ended = f->aside = f->skipping = 0;
    f->used = f->given = 0;
    f->place = (FollowPlace){ 0 };
    if (!strcmp(path, "-")) {
        f->fd = STDIN_FILENO;
        int flags = fcntl(f->fd, F_GETFL);
        return flags < 0 || fcntl(f->fd, F_SETFL, flags | O_NONBLOCK) < 0 ? (tool_error(tool, "stdin: %s", strerror(errno)), -1) : 0;
    }
    if (place && place->offset > 0) {
        snprintf(aside, sizeof(aside), "%s.1", path);
        if (open_at(f, path, place))
            return 0;
        if (open_at(f, aside, place)) {
            f->aside = 1;
            return 0;
        }
    }
    return open_path(f, path) < 0 ? -1 : 0;
}

void follow_close(Follow *f)
{
    if (f->fd > STDIN_FILENO)
        close(f->fd);
    f->fd = -1;
}

/* The file was cut or started anew by its writer: from its beginning. */
static int started_anew(const Follow *f)
{
    struct stat st;
    if (fstat(f->fd, &st) < 0)
        return 0;
    int64_t at = f->place.offset + (int64_t)f->used;
    return st.st_size < at || (st.st_size > at && f->place.head[0] && !begins_with(f, f->place.head));
}

/* 1 if another file has taken the path, which is now open. */
static int moved_on(Follow *f)
{
    struct stat st;
    if (!f->aside && (stat(f->path, &st) < 0 || (int64_t)st.st_ino == f->place.inode))
        return 0;
    follow_close(f);
    f->aside = 0;
    return open_path(f, f->path);
}

/* More bytes: 1, 0: none now, -1 after a message. */
static int fill(Follow *f)
{
    int is_stdin = f->fd == STDIN_FILENO;
    size_t room = sizeof(f->buf) - f->used;
    if (f->fd < 0)
        return open_path(f, f->path);
    if (!is_stdin && started_anew(f)) {
        f->place = (FollowPlace){ .inode = f->place.inode };
        f->used = 0;
    }
    ssize_t n = is_stdin ? read(f->fd, f->buf + f->used, room) : pread(f->fd, f->buf + f->used, room, f->place.offset + (off_t)f->used);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (n < 0)
        return tool_error(f->tool, "%s: %s", safe(f->path), strerror(errno)), -1;
    if (n == 0 && is_stdin)
        f->ended = 1;
    if (n == 0)
        return is_stdin ? 0 : moved_on(f);
    f->used += (size_t)n;
    return 1;
}

/* The first n bytes of buf are done with. */
static void drop(Follow *f, size_t n)
{
    memmove(f->buf, f->buf + n, f->used - n);
    f->used -= n;
    f->place.offset += (int64_t)n;
}

FollowPlace follow_next_place(const Follow *f)
{
    FollowPlace p = f->place;
    p.offset += (int64_t)f->given;
    return p;
}

int follow_line(Follow *f, char **line)
{
    drop(f, f->given);
    f->given = 0;
    for (;;) {
        char *end = memchr(f->buf, '\n', f->used);
        if (end && !f->place.offset)
            mieni_sha256_hex(f->buf, (size_t)(end - f->buf), f->place.head);
        if (end && !f->skipping) {
            *end = '\0';
            *line = f->buf;
            f->given = (size_t)(end - f->buf) + 1;
            return 1;
        }
        if (end) {
            tool_warn(f->tool, "%s: a line of more than %d bytes is passed over", safe(f->path), FOLLOW_LINE_MAX_BYTES);
            drop(f, (size_t)(end - f->buf) + 1);
            f->skipping = 0;
            continue;
        }
        if (f->used == sizeof(f->buf)) {
            f->skipping = 1;
            drop(f, f->used);
        }
        int ret = fill(f);
        if (ret <= 0)
            return ret;
    }
}
