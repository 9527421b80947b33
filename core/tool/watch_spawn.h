/* watch_spawn.h — a child process with a few descriptors of its own and nothing else of ours. */
#ifndef MIEN_TOOL_WATCH_SPAWN_H
#define MIEN_TOOL_WATCH_SPAWN_H

#include <sys/types.h>

#include "watch_command.h"

/* A pipe whose ends are closed on exec. reader_waits 0: reading never waits. 0 or -errno; both ends are -1 then. */
int watch_pipe(int fd[2], int reader_waits);
void watch_close(int *fd); /* -1 allowed; becomes -1 */

typedef struct SpawnFds {
    int log, progress, events; /* to write to; events -1: none */
} SpawnFds;

/* Starts the command in a process group of its own (its pid), with /dev/null as input, 1 and 2 as log. It gets SIGTERM when we die. Of the
 * environment it lacks what `drop` names (NULL allowed) and FFREPORT, which would write a log that nobody scrubs. Its pid or -errno. */
pid_t watch_spawn(const WatchCommand *cmd, const SpawnFds *fds, const char *drop);

#endif
