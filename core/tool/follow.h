/* follow.h — the lines of a file that grows, may be started anew or put aside by rotation, as `tail -F` follows them; or of standard input. */
#ifndef MIEN_TOOL_FOLLOW_H
#define MIEN_TOOL_FOLLOW_H

#include <sys/types.h>

#include "tool.h"

#define FOLLOW_LINE_MAX_BYTES (1 << 16)

/* Where reading goes on. The hash of the first line tells a file that was started anew from the one that was read. */
typedef struct FollowPlace {
    int64_t inode, offset;
    char head[65]; /* SHA-256 of the first line; "": none was read */
} FollowPlace;

typedef struct Follow {
    const Tool *tool;
    const char *path; /* "-": standard input */
    int fd;           /* -1: the file is not there (yet) */
    int ended;        /* standard input has ended */
    int aside;        /* what is read is PATH.1, where a rotation has put what was not read */
    FollowPlace place; /* of the first byte in buf */
    size_t used, given; /* bytes in buf, and of these the line that was given last */
    int skipping;     /* inside a line that is too long */
    char buf[FOLLOW_LINE_MAX_BYTES];
} Follow;

/* place: where an earlier run has stopped, NULL: at the beginning. A file that is not there is waited for. -1 after a message. */
int follow_open(Follow *f, const Tool *tool, const char *path, const FollowPlace *place);
void follow_close(Follow *f);
/* The next whole line without its newline, valid until the next call: 1. 0: there is none now. -1 after a message. Until the next call place is
 * still before the line, so that a line that could not be dealt with is read again. */
int follow_line(Follow *f, char **line);
/* The line that was given last is dealt with: where the next one begins. */
FollowPlace follow_next_place(const Follow *f);

#endif
