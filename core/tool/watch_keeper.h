/* watch_keeper.h — the small process beside each ffmpeg that keeps what it says and ends it when nobody else would.
 *
 * ffmpeg's events go into a pipe. The keeper copies them out of it without taking them (tee), writes them to the rotated file and only
 * then takes them: a keeper that is killed is followed by another that finds in the pipe what is not in the file. A full disk is waited for; meanwhile
 * the pipe fills, and then ffmpeg waits. When the supervisor dies the keeper stays until ffmpeg has ended and its last line is written;
 * it sees to it that this happens within stop_ms.
 */
#ifndef MIEN_TOOL_WATCH_KEEPER_H
#define MIEN_TOOL_WATCH_KEEPER_H

#include <stdint.h>
#include <sys/types.h>

typedef struct KeeperJob {
    int events_fd;       /* the pipe's end to read from; -1: no events */
    int process_fd;      /* pidfd of ffmpeg; -1: the kernel has none */
    int messages_fd;     /* where a line about trouble goes; written without waiting */
    const char *path;    /* of the events */
    int64_t max_bytes;
    int n_old;
    int64_t stop_ms;
    int again;           /* one was killed before it was done */
} KeeperJob;

/* Forks. Returns the keeper's pid or -errno. The keeper ends with status 0 once ffmpeg has ended and all is written. */
pid_t watch_keeper_start(const KeeperJob *job);

#endif
