/* Starting ffmpeg; see watch_spawn.h. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mien/common.h"
#include "mien/error.h"
#include "watch_spawn.h"

#define FIRST_FREE_FD (WATCH_FD_EVENTS + 1)

void watch_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

int watch_pipe(int fd[2], int reader_waits)
{
    if (pipe2(fd, O_CLOEXEC) < 0) {
        fd[0] = fd[1] = -1;
        return MIEN_ERR(errno);
    }
    if (!reader_waits)
        fcntl(fd[0], F_SETFL, O_NONBLOCK);
    return 0;
}

/* A pipe that holds the script and then ends. */
static int script_fd(const char *script)
{
    int fd[2];
    if (!script)
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (watch_pipe(fd, 1) < 0)
        return -1;
    size_t n = strlen(script); /* a few lines of the configuration: far below what a pipe holds */
    if (write(fd[1], script, n) != (ssize_t)n)
        watch_close(&fd[0]);
    watch_close(&fd[1]);
    return fd[0];
}

/* Puts from[i] into place i, whatever the numbers are, and closes the rest. 0 or -1. */
static int arrange_fds(const int from[FIRST_FREE_FD])
{
    int high[FIRST_FREE_FD];
    for (int i = 0; i < FIRST_FREE_FD; i++)
        if ((high[i] = from[i] < 0 ? -1 : fcntl(from[i], F_DUPFD, FIRST_FREE_FD)) < 0 && from[i] >= 0)
            return -1;
    for (int i = 0; i < FIRST_FREE_FD; i++) {
        close(i);
        if (high[i] >= 0 && dup2(high[i], i) < 0)
            return -1;
    }
    return close_range(FIRST_FREE_FD, ~0u, 0);
}

static void default_signals(void)
{
    static const int changed[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGCHLD };
    sigset_t none;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(changed); i++)
        signal(changed[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static _Noreturn void child(const WatchCommand *cmd, const int from[FIRST_FREE_FD], pid_t parent, const char *drop)
{
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) /* died before that took effect */
        _exit(127);
    default_signals();
    unsetenv("FFREPORT");
    if (drop)
        unsetenv(drop);
    if (arrange_fds(from) < 0)
        _exit(127);
    execvp(cmd->argv.word[0], cmd->argv.word);
    dprintf(2, "[mien] [fatal] cannot run %s: %s\n", cmd->argv.word[0], strerror(errno));
    _exit(127);
}

pid_t watch_spawn(const WatchCommand *cmd, const SpawnFds *fds, const char *drop)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), script = script_fd(cmd->script);
    const int from[FIRST_FREE_FD] = { null, fds->log, fds->log, script, fds->progress, fds->events };
    pid_t parent = getpid(), pid = -1;
    if (null >= 0 && script >= 0) {
        pid = fork();
        if (pid == 0)
            child(cmd, from, parent, drop);
    }
    int err = pid < 0 ? errno : 0;
    if (pid > 0)
        setpgid(pid, pid); /* whoever comes first: the group must be there when it is signalled */
    watch_close(&null);
    watch_close(&script);
    return pid < 0 ? MIEN_ERR(err) : pid;
}
