/* The process that keeps events; see watch_keeper.h. It runs in a fork without exec, with nothing open but what its job names. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool.h"
#include "watch_keeper.h"
#include "watch_log.h"

#define BATCH_BYTES 65536
#define RETRY_MS 500   /* a full disk, a file that another keeper still writes */
#define PARTIAL_MS 10  /* a line that is being written */

enum { EVENTS_FD = 3, PROCESS_FD, MESSAGES_FD, COPY_READ_FD, COPY_WRITE_FD, N_FDS };

typedef struct Keeper {
    const KeeperJob *job;
    WatchLog log;
    pid_t supervisor;
    double kill_s;   /* when ffmpeg has to be killed; 0: the supervisor lives */
    int trouble;     /* the error that was told last */
    int check_copies;
    char batch[BATCH_BYTES];
} Keeper;

static volatile sig_atomic_t woken; /* the supervisor is gone (PR_SET_PDEATHSIG); only makes a wait end */

static void on_wake(int sig)
{
    (void)sig;
    woken = 1;
}

static void tell(const char *what, int err)
{
    char line[512];
    int n = snprintf(line, sizeof(line), "[mien] [%s] %s%s%s\n", err ? "error" : "info", what, err ? ": " : "", err ? mien_strerror(err) : "");
    /* Where nobody listens or nobody has time the events matter more. ffmpeg shares this pipe, so it stays a blocking one. */
    struct pollfd p = { .fd = MESSAGES_FD, .events = POLLOUT };
    if (poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) && write(MESSAGES_FD, line, n < (int)sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
        return;
}

/* ---- ending what is left alone */

static int process_ended(const Keeper *k)
{
    struct pollfd p = { .fd = PROCESS_FD, .events = POLLIN };
    return k->job->process_fd < 0 || poll(&p, 1, 0) != 0;
}

static void look_after_process(Keeper *k)
{
    if (getppid() == k->supervisor)
        return;
    double now_s = seconds_now();
    if (!k->kill_s) {
        k->kill_s = now_s + (double)k->job->stop_ms / 1000;
        if (k->job->process_fd >= 0)
            pidfd_send_signal(PROCESS_FD, SIGTERM, NULL, 0);
    } else if (now_s >= k->kill_s && !process_ended(k)) {
        pidfd_send_signal(PROCESS_FD, SIGKILL, NULL, 0);
    }
}

/* Waits until something happens: data (if wanted), ffmpeg's end, the supervisor's end, ms (-1: no limit). */
static void wait_for_news(Keeper *k, int for_events, int ms)
{
    struct pollfd p[2] = { { .fd = PROCESS_FD, .events = POLLIN }, { .fd = EVENTS_FD, .events = POLLIN } };
    int n = for_events ? 2 : 1;
    sigset_t none;
    sigemptyset(&none);
    if (k->job->process_fd < 0 || process_ended(k))
        p[0].fd = -1;
    if (k->kill_s && (ms < 0 || ms > 100))
        ms = 100;
    struct timespec limit = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L };
    ppoll(p, (nfds_t)n, ms < 0 ? NULL : &limit, &none);
    look_after_process(k);
}

/* ---- events */

static void trouble(Keeper *k, int err)
{
    if (err != k->trouble)
        tell(err == MIEN_ERR(EWOULDBLOCK) ? "waiting for the events' file, which another process writes" : "cannot write events, will try again",
             err);
    k->trouble = err;
    wait_for_news(k, 0, RETRY_MS);
}

static void fine(Keeper *k)
{
    if (k->trouble)
        tell("events are written again", 0);
    k->trouble = 0;
}

/* Copies what is in the pipe, without taking it. The number of bytes, 0 at the end, -1: nothing there. */
static ssize_t peek(Keeper *k)
{
    ssize_t n = tee(EVENTS_FD, COPY_WRITE_FD, BATCH_BYTES, SPLICE_F_NONBLOCK);
    ssize_t got = 0;
    while (n > 0 && got < n) {
        ssize_t r = read(COPY_READ_FD, k->batch + got, (size_t)(n - got));
        if (r <= 0 && errno != EINTR)
            return -1;
        got += r > 0 ? r : 0;
    }
    return n;
}

static void take(Keeper *k, size_t bytes)
{
    while (bytes) {
        ssize_t n = read(EVENTS_FD, k->batch, bytes);
        if (n <= 0 && errno != EINTR)
            return;
        bytes -= n > 0 ? (size_t)n : 0;
    }
}

/* Gets the file ready for the next lines; waits as long as it takes. */
static void make_ready(Keeper *k)
{
    for (int first = k->log.fd < 0;;) {
        int ret = watch_log_ready(&k->log);
        if (ret >= 0 && first)
            ret = watch_log_mend(&k->log);
        if (ret >= 0)
            return;
        watch_log_close(&k->log);
        first = 1;
        trouble(k, ret);
    }
}

/* Writes whole lines and takes them from the pipe, as far as they fit into one file: what was taken and what is in the file then never differ
 * by more than the file's end shows. */
static void keep_lines(Keeper *k, size_t bytes)
{
    size_t had = 0, n, done;
    make_ready(k);
    if (k->check_copies)
        had = watch_log_has(&k->log, k->batch, bytes);
    k->check_copies = 0;
    if (had) {
        take(k, had);
        return;
    }
    while (!(n = watch_log_fitting(&k->log, k->batch, bytes))) {
        int ret = watch_log_rotate(&k->log);
        if (ret < 0) {
            trouble(k, ret);
            make_ready(k);
        }
    }
    for (size_t at = 0; at < n; at += done) {
        int ret = watch_log_write(&k->log, k->batch + at, n - at, &done);
        if (ret < 0)
            trouble(k, ret);
    }
    fine(k);
    take(k, n);
}

/* The pipe holds the beginning of a line. Either the rest comes, or nobody is left to write it. 1: it was thrown away. */
static int drop_torn(Keeper *k, size_t bytes)
{
    struct pollfd p = { .fd = EVENTS_FD, .events = POLLIN };
    int now = 0;
    poll(&p, 1, 0);
    int over = (p.revents & POLLHUP) || (k->kill_s && process_ended(k));
    if (!over || ioctl(EVENTS_FD, FIONREAD, &now) < 0 || (size_t)now != bytes) {
        wait_for_news(k, 0, PARTIAL_MS);
        return 0;
    }
    char what[80];
    snprintf(what, sizeof(what), "ffmpeg was killed amid an event; its first %zu bytes are dropped", bytes);
    tell(what, 0);
    take(k, bytes);
    return 1;
}

static void keep_events(Keeper *k)
{
    ssize_t n;
    while ((n = peek(k)) != 0) {
        if (n < 0 && k->kill_s && process_ended(k) && seconds_now() >= k->kill_s)
            return; /* somebody else has the pipe open, but ffmpeg is gone */
        if (n < 0) {
            wait_for_news(k, 1, -1);
            continue;
        }
        const char *end = memrchr(k->batch, '\n', (size_t)n);
        if (end)
            keep_lines(k, (size_t)(end + 1 - k->batch));
        else if (n == BATCH_BYTES) /* longer than any line of ours */
            keep_lines(k, BATCH_BYTES);
        else
            drop_torn(k, (size_t)n);
    }
}

/* ---- the process */

/* Nothing stays open but what is needed: the supervisor's lock and the other cameras' pipes must end with the supervisor. 0 or -1. */
static int arrange_fds(const KeeperJob *job)
{
    const int from[] = { job->events_fd, job->process_fd, job->messages_fd };
    int copy[2], high[N_FDS - EVENTS_FD];
    if (pipe(copy) < 0)
        return -1;
    for (int i = 0; i < N_FDS - EVENTS_FD; i++) {
        int fd = i < 3 ? from[i] : copy[i - 3];
        high[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD, 64);
        if (fd >= 0 && high[i] < 0)
            return -1;
    }
    for (int i = 0; i < N_FDS - EVENTS_FD; i++)
        if (high[i] >= 0 && dup2(high[i], EVENTS_FD + i) < 0)
            return -1;
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; fd < 3; fd++)
        if (null < 0 || dup2(null, fd) < 0)
            return -1;
    return close_range(N_FDS, ~0u, 0);
}

static void arrange_signals(void)
{
    struct sigaction wake = { .sa_handler = on_wake }, ignore = { .sa_handler = SIG_IGN };
    sigset_t mask;
    sigaction(SIGTERM, &wake, NULL); /* systemd sends it to all of a service: no reason to go before ffmpeg */
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigaction(SIGPIPE, &ignore, NULL);
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_SETMASK, &mask, NULL); /* it comes in ppoll only */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

static _Noreturn void keeper_main(const KeeperJob *job, pid_t supervisor)
{
    static Keeper k;
    k.job = job;
    k.supervisor = supervisor;
    k.check_copies = job->again;
    setpgid(0, 0);
    prctl(PR_SET_NAME, "mien-keeper");
    arrange_signals();
    if (arrange_fds(job) < 0)
        _exit(1);
    watch_log_init(&k.log, job->path, job->max_bytes, job->n_old);
    look_after_process(&k);
    if (job->events_fd >= 0)
        keep_events(&k);
    while (!process_ended(&k))
        wait_for_news(&k, 0, -1);
    _exit(0);
}

pid_t watch_keeper_start(const KeeperJob *job)
{
    pid_t supervisor = getpid(), pid = fork();
    if (pid == 0)
        keeper_main(job, supervisor);
    return pid < 0 ? MIEN_ERR(errno) : pid;
}
