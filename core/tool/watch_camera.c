/* One camera's life; see watch_camera.h. */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cJSON.h>

#include "base/rng.h"
#include "watch_camera.h"
#include "watch_command.h"
#include "watch_keeper.h"
#include "watch_log.h"
#include "watch_progress.h"
#include "watch_spawn.h"

#define LINE_BYTES 8192        /* of ffmpeg's messages; longer ones are cut */
#define SHOWN_BYTES 400        /* of a message in the status */
#define EVENTS_PIPE_BYTES (1 << 20) /* some thousand events; what a process without privileges may ask for */
#define KEEPERS_MAX 4          /* runs that have ended and still have events to write: the disk is full, more starts would not help */

typedef enum State { WAITING, STARTING, RUNNING, ENDING } State;

static const char *const state_name[] = { "waiting", "starting", "running", "ending" };

/* Of one run of ffmpeg; the descriptors are kept so that a killed keeper can be followed by another. */
typedef struct Keeping {
    pid_t pid;
    int events_fd, process_fd;
} Keeping;

typedef struct Shown {
    char text[SHOWN_BYTES];
    int64_t at; /* time(2); 0: never */
} Shown;

struct Camera {
    CameraHost *host;
    WatchCamera spec;
    WatchCommand command;  /* of the running ffmpeg, or of the last one */
    char *events_path;     /* NULL: none */
    char *log_path;
    WatchLog log;
    int64_t lost_lines;    /* of the log, since it could last be written */
    int log_error;

    State state;
    int wanted;            /* 0: to be ended for good */
    int restart_now;       /* what ends is started again at once: its configuration has changed */
    int killed, told_blocked;
    int64_t state_since;   /* time(2) */
    double due_s, started_s;
    pid_t pid;             /* 0: none */
    int log_fd[2], progress_fd, events_fd; /* events_fd: of the running ffmpeg's pipe, owned by its keeping */
    Keeping keeping[KEEPERS_MAX];
    int n_keeping;

    WatchProgress progress;
    int64_t n_starts, n_stalls;
    int n_failures;        /* in a row */
    char line[LINE_BYTES];
    size_t line_bytes;
    Shown last_error;
};

const char *camera_name(const Camera *c)
{
    return c->spec.name;
}

/* ---- the camera's log and messages */

static int write_line(Camera *c, const char *line)
{
    size_t n = strlen(line), done;
    int ret = watch_log_ready(&c->log);
    if (ret >= 0 && !watch_log_fitting(&c->log, line, n))
        ret = watch_log_rotate(&c->log);
    return ret < 0 ? ret : watch_log_write(&c->log, line, n, &done);
}

/* One line with the time before it. A log that cannot be written is no reason to stop; what was lost is counted. */
static void log_line(Camera *c, const char *text)
{
    char line[LINE_BYTES + 64];
    struct timespec ts;
    struct tm tm;
    clock_gettime(CLOCK_REALTIME, &ts);
    size_t n = strftime(line, sizeof(line), "%Y-%m-%dT%H:%M:%S", gmtime_r(&ts.tv_sec, &tm));
    n += (size_t)snprintf(line + n, sizeof(line) - n, ".%03dZ ", (int)(ts.tv_nsec / 1000000));
    size_t stamp = n;
    if (c->lost_lines) {
        snprintf(line + n, sizeof(line) - n, "[mien] [error] %lld lines before this one are lost: %s\n", (long long)c->lost_lines,
                 mien_strerror(c->log_error));
        if (write_line(c, line) >= 0)
            c->lost_lines = 0;
    }
    snprintf(line + stamp, sizeof(line) - stamp, "%.*s\n", LINE_BYTES, text);
    int ret = c->lost_lines ? c->log_error : write_line(c, line);
    if (ret >= 0)
        return;
    if (!c->lost_lines++)
        tool_warn(c->host->tool, "%s: cannot write %s: %s", c->spec.name, c->log_path, mien_strerror(ret));
    c->log_error = ret;
}

static void remember_error(Camera *c, const char *text)
{
    snprintf(c->last_error.text, sizeof(c->last_error.text), "%.*s", SHOWN_BYTES - 1, text);
    c->last_error.at = (int64_t)time(NULL);
}

/* What happens to a camera: into its log, and for whoever runs us (a journal, a terminal) on stderr. */
static void say(Camera *c, int is_error, const char *fmt, ...) MIEN_PRINTF(3, 4);
static void say(Camera *c, int is_error, const char *fmt, ...)
{
    char text[1024], line[1100];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    secrets_scrub(&c->command.secrets, text, sizeof(text));
    snprintf(line, sizeof(line), "[mien] [%s] %s", is_error ? "error" : "info", text);
    log_line(c, line);
    if (is_error) {
        remember_error(c, text);
        tool_warn(c->host->tool, "%s: %s", c->spec.name, safe(text));
    } else if (!c->host->tool->quiet) {
        fprintf(stderr, "mien: watch: %s: %s\n", c->spec.name, safe(text));
    }
}

/* A line of ffmpeg or of the keeper. */
static void take_line(Camera *c)
{
    static const char *const grave[] = { "[error]", "[fatal]", "[panic]" };
    c->line[c->line_bytes] = '\0';
    c->line_bytes = 0;
    secrets_scrub(&c->command.secrets, c->line, sizeof(c->line));
    c->line[LINE_BYTES - SECRET_MAX_BYTES] = '\0'; /* what was cut amid a secret is behind this */
    const char *text = c->line; /* bytes that are no text, and marks that play tricks on a terminal */
    if (strlen(text) < 3000)
        text = safe(text);
    if (!*text)
        return;
    log_line(c, text);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(grave); i++)
        if (strstr(text, grave[i])) {
            remember_error(c, text);
            return;
        }
}

static void read_log(Camera *c)
{
    char buf[4096];
    ssize_t n;
    for (int i = 0; i < 16 && (n = read(c->log_fd[0], buf, sizeof(buf))) > 0; i++) /* not for ever: there are other cameras */
        for (ssize_t k = 0; k < n; k++) {
            if (buf[k] == '\n' || buf[k] == '\r')
                take_line(c);
            else if (c->line_bytes < sizeof(c->line) - 1 && buf[k])
                c->line[c->line_bytes++] = buf[k];
        }
}

static void read_progress(Camera *c)
{
    char buf[4096];
    ssize_t n;
    while (c->progress_fd >= 0 && (n = read(c->progress_fd, buf, sizeof(buf))) > 0)
        watch_progress_feed(&c->progress, buf, (size_t)n, seconds_now());
}

/* ---- states */

static void enter(Camera *c, State state, double due_s)
{
    c->state = state;
    c->state_since = (int64_t)time(NULL);
    c->due_s = due_s;
}

/* The disk is full or slow: ffmpeg cannot get rid of its events, and that it makes no progress is not its fault. */
static int events_wait(const Camera *c)
{
    int n = 0;
    return c->events_fd >= 0 && ioctl(c->events_fd, FIONREAD, &n) >= 0 && n > EVENTS_PIPE_BYTES / 2;
}

/* Twice as long after every failure, and by chance between half of that and all of it, so that cameras that failed together do not come back
 * together. */
static double next_delay_s(Camera *c)
{
    double delay_ms = (double)c->spec.retry_min_ms * pow(2, c->n_failures > 40 ? 40 : c->n_failures - 1);
    delay_ms = fmin(delay_ms, (double)c->spec.retry_max_ms);
    return delay_ms / 1000 * (0.5 + 0.5 * mieni_rng_unit(&c->host->rng));
}

static void failed(Camera *c, double now_s)
{
    c->n_failures++;
    enter(c, WAITING, now_s + next_delay_s(c));
}

static void end_process(Camera *c, double now_s)
{
    if (c->state != ENDING) {
        kill(c->pid, SIGTERM);
        c->killed = 0;
        enter(c, ENDING, now_s + (double)c->spec.stop_ms / 1000);
    } else if (!c->killed) {
        kill(-c->pid, SIGKILL);
        c->killed = 1;
        c->due_s = INFINITY;
    }
}

/* ---- keepers */

static int start_keeper(Camera *c, Keeping *k, int again)
{
    const KeeperJob job = { .events_fd = k->events_fd, .process_fd = k->process_fd, .messages_fd = c->log_fd[1], .path = c->events_path,
                            .max_bytes = c->spec.log_size_bytes, .n_old = (int)c->spec.log_count, .stop_ms = c->spec.stop_ms, .again = again };
    k->pid = watch_keeper_start(&job);
    return k->pid < 0 ? (int)k->pid : 0;
}

static void forget_keeping(Camera *c, Keeping *k)
{
    if (c->events_fd == k->events_fd)
        c->events_fd = -1;
    watch_close(&k->events_fd);
    watch_close(&k->process_fd);
    *k = c->keeping[--c->n_keeping];
}

static int keeper_ended(Camera *c, pid_t pid)
{
    for (int i = 0; i < c->n_keeping; i++) {
        Keeping *k = &c->keeping[i];
        int status = 0;
        if (k->pid != pid)
            continue;
        waitpid(pid, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
            forget_keeping(c, k);
            return 1;
        }
        say(c, 1, "the keeper of the events ended (%s %d); another one goes on", WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        int ret = start_keeper(c, k, 1);
        if (ret < 0) {
            say(c, 1, "cannot start a keeper for the events: %s; they are lost", mien_strerror(ret));
            forget_keeping(c, k);
        }
        return 1;
    }
    return 0;
}

/* ---- starting */

/* events: the end for ffmpeg; the other one goes to the keeper. */
static int start_process(Camera *c, int progress_fd, int events[2])
{
    const SpawnFds fds = { .log = c->log_fd[1], .progress = progress_fd, .events = events[1] };
    pid_t pid = watch_spawn(&c->command, &fds, c->spec.password_env);
    if (pid < 0)
        return (int)pid;
    c->pid = pid;
    Keeping *k = &c->keeping[c->n_keeping++];
    *k = (Keeping){ .events_fd = events[0], .process_fd = pidfd_open(pid, 0) };
    c->events_fd = events[0];
    events[0] = -1;
    watch_close(&events[1]); /* before the keeper is forked: it must not hold the end that ffmpeg writes to */
    int ret = start_keeper(c, k, 0);
    if (ret < 0) {
        forget_keeping(c, k);
        kill(-pid, SIGKILL); /* its end is noticed as any other's */
    }
    return 0;
}

static int start_with_pipes(Camera *c)
{
    int progress[2] = { -1, -1 }, events[2] = { -1, -1 };
    int ret = watch_pipe(progress, 0);
    if (ret >= 0 && c->events_path && (ret = watch_pipe(events, 0)) >= 0)
        fcntl(events[0], F_SETPIPE_SZ, EVENTS_PIPE_BYTES); /* what is refused is no harm: ffmpeg waits earlier */
    if (ret >= 0) {
        watch_close(&c->progress_fd);
        c->progress_fd = progress[0];
        progress[0] = -1;
        ret = start_process(c, progress[1], events);
    }
    for (int i = 0; i < 2; i++) {
        watch_close(&progress[i]);
        watch_close(&events[i]);
    }
    return ret;
}

static void start(Camera *c, double now_s)
{
    char why[512];
    WatchCommand command;
    if (c->n_keeping == KEEPERS_MAX) {
        say(c, 1, "not started: the events of %d earlier runs are not written yet", KEEPERS_MAX);
        failed(c, now_s);
        return;
    }
    int ret = watch_command_make(&command, &c->spec, c->events_path != NULL, why, sizeof(why));
    if (ret >= 0) {
        watch_command_free(&c->command);
        c->command = command;
        watch_progress_init(&c->progress);
        if ((ret = start_with_pipes(c)) < 0)
            snprintf(why, sizeof(why), "%s", mien_strerror(ret));
    }
    if (ret < 0) {
        say(c, 1, "cannot be started: %s", why);
        failed(c, now_s);
        return;
    }
    c->n_starts++;
    c->started_s = now_s;
    say(c, 0, "ffmpeg started, process %ld", (long)c->pid);
    enter(c, STARTING, now_s + (double)c->spec.start_ms / 1000);
}

/* ---- what comes in */

void camera_readable(Camera *c)
{
    read_log(c);
    read_progress(c);
    if (c->state == STARTING && c->progress.first_s)
        enter(c, RUNNING, 0);
    if (c->state == RUNNING) {
        c->due_s = c->progress.alive_s + (double)c->spec.stall_ms / 1000;
        c->told_blocked &= c->due_s <= seconds_now();
    }
}

static void describe_end(const siginfo_t *info, char *buf, size_t bytes)
{
    if (info->si_code == CLD_EXITED)
        snprintf(buf, bytes, "status %d", info->si_status);
    else
        snprintf(buf, bytes, "signal %d", info->si_status);
}

static void process_ended(Camera *c, const siginfo_t *info)
{
    double now_s = seconds_now();
    char how[32];
    describe_end(info, how, sizeof(how));
    camera_readable(c);
    take_line(c); /* one that was not ended */
    /* Before it is waited for: until then its number, and so its group's, belongs to nobody else. */
    kill(-c->pid, SIGKILL);
    waitpid(c->pid, NULL, 0);
    c->pid = 0;
    watch_close(&c->progress_fd);
    c->events_fd = -1;
    if (c->progress.first_s && now_s - c->progress.first_s >= (double)c->spec.healthy_ms / 1000)
        c->n_failures = 0;
    if (!c->wanted || c->restart_now) {
        say(c, 0, "ffmpeg ended (%s)", how);
        enter(c, WAITING, c->wanted ? now_s : INFINITY);
        c->restart_now = 0;
        return;
    }
    failed(c, now_s);
    /* ffmpeg's own last message says why; this one must not hide it. */
    Shown cause = c->last_error;
    say(c, 1, "ffmpeg ended (%s) after %.1f s; next start in %.1f s", how, now_s - c->started_s, c->due_s - now_s);
    if (cause.at && (double)((int64_t)time(NULL) - cause.at) <= now_s - c->started_s + 1)
        c->last_error = cause;
}

int camera_child_ended(Camera *c, pid_t pid)
{
    siginfo_t info = { .si_pid = 0 };
    if (!c->pid || pid != c->pid)
        return keeper_ended(c, pid);
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid)
        process_ended(c, &info);
    return 1;
}

double camera_due_s(const Camera *c)
{
    return c->due_s;
}

void camera_tick(Camera *c, double now_s)
{
    if (now_s < c->due_s)
        return;
    switch (c->state) {
    case WAITING:
        if (c->wanted)
            start(c, now_s);
        break;
    case STARTING:
    case RUNNING:
        camera_readable(c);
        if (c->state == RUNNING && c->due_s > now_s)
            break;
        if (events_wait(c)) {
            c->due_s = now_s + (double)c->spec.stall_ms / 1000;
            if (!c->told_blocked)
                say(c, 1, "no progress, because the events are not written");
            c->told_blocked = 1;
            break;
        }
        c->n_stalls++;
        if (c->state == STARTING)
            say(c, 1, "no frame within %.1f s of the start; ffmpeg is ended", (double)c->spec.start_ms / 1000);
        else
            say(c, 1, "stalled: no progress for %.1f s; ffmpeg is ended", now_s - c->progress.alive_s);
        end_process(c, now_s);
        break;
    case ENDING:
        end_process(c, now_s);
        break;
    }
}

void camera_pollfds(const Camera *c, struct pollfd p[CAMERA_POLLFDS])
{
    p[0] = (struct pollfd){ .fd = c->log_fd[0], .events = POLLIN };
    p[1] = (struct pollfd){ .fd = c->progress_fd, .events = POLLIN };
}

/* ---- life */

/* *path in folder, made of name and suffix. */
static int path_in(char **path, const char *folder, const char *name, const char *suffix)
{
    size_t room = strlen(folder) + strlen(name) + strlen(suffix) + 2;
    mien_free(*path);
    if (!(*path = mien_malloc(room)))
        return MIEN_ERR(ENOMEM);
    snprintf(*path, room, "%s/%s%s", folder, name, suffix);
    return 0;
}

static int name_files(Camera *c)
{
    const WatchCamera *s = &c->spec;
    int ret = path_in(&c->log_path, c->host->logs, s->name, ".log");
    if (ret < 0)
        return ret;
    mien_free(c->events_path);
    c->events_path = NULL;
    if (s->facetag && !strcmp(s->facetag, "none"))
        return 0;
    if (!s->events)
        return path_in(&c->events_path, c->host->logs, s->name, ".jsonl");
    if (!strcmp(s->events, "none"))
        return 0;
    return (c->events_path = mien_strdup(s->events)) ? 0 : MIEN_ERR(ENOMEM);
}

static int settle(Camera *c)
{
    int ret = name_files(c);
    watch_log_close(&c->log);
    watch_log_init(&c->log, c->log_path, c->spec.log_size_bytes, (int)c->spec.log_count);
    return ret;
}

int camera_create(Camera **out, WatchCamera *spec, CameraHost *host)
{
    *out = NULL;
    Camera *c = mien_calloc(1, sizeof(*c));
    if (!c)
        return MIEN_ERR(ENOMEM);
    c->host = host;
    c->wanted = 1;
    c->log_fd[0] = c->log_fd[1] = c->progress_fd = c->events_fd = c->log.fd = -1;
    watch_progress_init(&c->progress);
    watch_camera_swap(&c->spec, spec);
    int ret = watch_pipe(c->log_fd, 0);
    if (ret >= 0)
        ret = settle(c);
    enter(c, WAITING, 0);
    if (ret < 0) {
        watch_camera_swap(&c->spec, spec);
        camera_destroy(&c);
    }
    *out = c;
    return ret;
}

void camera_destroy(Camera **camera)
{
    Camera *c = *camera;
    if (!c)
        return;
    while (c->n_keeping)
        forget_keeping(c, &c->keeping[0]);
    watch_close(&c->progress_fd);
    watch_close(&c->log_fd[0]);
    watch_close(&c->log_fd[1]);
    watch_log_close(&c->log);
    watch_command_free(&c->command);
    watch_camera_free(&c->spec);
    mien_free(c->events_path);
    mien_free(c->log_path);
    mien_free(c);
    *camera = NULL;
}

static int same_words(const WatchWords *a, const WatchWords *b)
{
    int same = a->n == b->n;
    for (size_t i = 0; i < a->n && same; i++)
        same = !strcmp(a->word[i], b->word[i]);
    return same;
}

/* Would the command be the same? A password file may hold another password by now. */
static int same_command(const Camera *c, const WatchCamera *spec)
{
    WatchCommand now;
    char why[512];
    if (watch_command_make(&now, spec, c->events_path != NULL, why, sizeof(why)) < 0)
        return 0;
    int same = same_words(&now.argv, &c->command.argv) && !now.script == !c->command.script &&
               (!now.script || !strcmp(now.script, c->command.script));
    watch_command_free(&now);
    return same;
}

int camera_reconfigure(Camera *c, WatchCamera *spec)
{
    int same = watch_camera_equal(&c->spec, spec) && (!c->pid || same_command(c, spec));
    watch_camera_swap(&c->spec, spec);
    if (same && c->wanted)
        return 0;
    c->wanted = 1;
    int ret = settle(c);
    if (ret < 0)
        say(c, 1, "%s", mien_strerror(ret));
    c->n_failures = 0;
    say(c, 0, "its configuration has changed");
    if (c->pid) {
        c->restart_now = 1;
        if (c->state != ENDING)
            end_process(c, seconds_now());
    } else {
        enter(c, WAITING, 0);
    }
    return 1;
}

void camera_end(Camera *c)
{
    c->wanted = 0;
    c->restart_now = 0;
    if (c->pid)
        end_process(c, seconds_now());
    else
        enter(c, WAITING, INFINITY);
}

int camera_is_over(const Camera *c, int keepers)
{
    return !c->wanted && !c->pid && (!keepers || !c->n_keeping);
}

/* ---- status */

static void put_time(cJSON *to, const char *key, int64_t at)
{
    char text[32];
    time_t t = (time_t)at;
    struct tm tm;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    json_str(to, key, at ? text : NULL);
}

/* The last line of the events' file, or NULL. */
static cJSON *read_last_event(const Camera *c)
{
    char tail[16384];
    int fd = c->events_path ? open(c->events_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (fd < 0)
        return NULL;
    off_t size = lseek(fd, 0, SEEK_END), at = size > (off_t)sizeof(tail) - 1 ? size - ((off_t)sizeof(tail) - 1) : 0;
    ssize_t n = size > 0 ? pread(fd, tail, (size_t)(size - at), at) : -1;
    close(fd);
    char *end = n > 0 ? memrchr(tail, '\n', (size_t)n) : NULL;
    if (!end)
        return NULL;
    *end = '\0';
    char *begin = memrchr(tail, '\n', (size_t)(end - tail));
    return cJSON_Parse(begin ? begin + 1 : tail);
}

void camera_report(const Camera *c, cJSON *to)
{
    const WatchProgress *p = &c->progress;
    double now_s = seconds_now(), fps = c->state == RUNNING ? p->fps : NAN;
    json_str(to, "name", c->spec.name);
    json_str(to, "state", c->state == RUNNING && events_wait(c) ? "blocked" : !c->wanted && !c->pid ? "ended" : state_name[c->state]);
    put_time(to, "since", c->state_since);
    if (c->pid)
        json_int(to, "pid", c->pid);
    json_int(to, "restarts", c->n_starts > 1 ? c->n_starts - 1 : 0);
    json_int(to, "stalls", c->n_stalls);
    json_real(to, "next_start_s", c->state == WAITING && c->wanted ? fmax(0, c->due_s - now_s) : NAN, 1);
    json_int(to, "frames", c->state == RUNNING && p->frames > 0 ? p->frames : 0);
    json_real(to, "fps", fps, 1);
    json_real(to, "lag_s", c->state == RUNNING ? watch_progress_lag_s(p) : NAN, 2);
    cJSON *event = read_last_event(c);
    json_move(to, "last_event", event ? event : cJSON_CreateNull());
    json_str(to, "last_error", c->last_error.at ? c->last_error.text : NULL);
    put_time(to, "last_error_at", c->last_error.at);
    json_str(to, "log", c->log_path);
    json_str(to, "events", c->events_path);
}
