/* mien watch: an ffmpeg for every camera of a file, looked after for months. mien watch status: how they are.
 *
 * One thread and one poll: signals come through a descriptor, everything else is pipes, sockets and times to come. What is a camera's is in
 * watch_camera.c; the small processes that keep its events in watch_keeper.c. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cJSON.h>

#include "base/rng.h"
#include "watch_camera.h"
#include "watch_command.h"
#include "watch_file.h"
#include "watch_status.h"

typedef struct WatchOptions {
    int check;
} WatchOptions;

typedef struct Supervisor {
    Tool *tool;
    char *path;   /* of the configuration, in the folder we are in */
    char *run;
    CameraHost host;
    Camera **camera;
    size_t n_cameras;
    StatusServer status;
    int signal_fd, lock_fd;
    int ending;
    double give_up_s; /* when keepers are left to themselves; 0: ffmpeg still runs somewhere */
    int64_t since, reloaded;
    char config_error[600];
    struct pollfd *poll;
} Supervisor;

/* ---- cameras and configuration */

static Camera *find(const Supervisor *s, const char *name)
{
    for (size_t i = 0; i < s->n_cameras; i++)
        if (!strcmp(camera_name(s->camera[i]), name))
            return s->camera[i];
    return NULL;
}

static int add(Supervisor *s, WatchCamera *spec)
{
    Camera **more = mien_realloc_array(s->camera, s->n_cameras + 1, sizeof(Camera *));
    if (!more)
        return MIEN_ERR(ENOMEM);
    s->camera = more;
    int ret = camera_create(&more[s->n_cameras], spec, &s->host);
    if (ret >= 0)
        s->n_cameras++;
    return ret;
}

/* As many as could be needed: cameras that are gone from the file may still be ending. */
static int make_room(Supervisor *s)
{
    size_t n = 1 + STATUS_POLLFDS + s->n_cameras * CAMERA_POLLFDS;
    struct pollfd *more = mien_realloc_array(s->poll, n, sizeof(*more));
    if (!more)
        return MIEN_ERR(ENOMEM);
    s->poll = more;
    return 0;
}

/* Takes the cameras out of c: new ones are added, changed ones start anew, those that are gone end. */
static int apply(Supervisor *s, WatchConfig *c, int counts[3])
{
    int ret = 0;
    for (size_t i = 0; i < s->n_cameras; i++)
        if (!watch_config_find(c, camera_name(s->camera[i])) && !camera_is_over(s->camera[i], 0)) {
            counts[2]++;
            camera_end(s->camera[i]);
        }
    for (size_t i = 0; i < c->n_cameras && ret >= 0; i++) {
        Camera *there = find(s, c->camera[i].name);
        if (there)
            counts[1] += camera_reconfigure(there, &c->camera[i]);
        else if ((ret = add(s, &c->camera[i])) >= 0)
            counts[0]++;
    }
    return ret < 0 ? ret : make_room(s);
}

/* A name in the folder that the file means when it says nothing. */
static int set_logs(Supervisor *s, const WatchConfig *c)
{
    mien_free(s->host.logs);
    s->host.logs = mien_strdup(c->logs ? c->logs : c->run);
    return s->host.logs ? 0 : MIEN_ERR(ENOMEM);
}

static void reload(Supervisor *s)
{
    WatchConfig c;
    int counts[3] = { 0 };
    int ret = watch_file_read(&c, s->tool, s->path, s->config_error, sizeof(s->config_error));
    if (ret < 0) {
        tool_error(s->tool, "the configuration of before stays in force");
        return;
    }
    watch_file_check_modes(&c, s->tool, s->path);
    if (strcmp(c.run, s->run) || strcmp(c.logs ? c.logs : c.run, s->host.logs))
        tool_warn(s->tool, "run and logs cannot change while mien watch runs; what they were stays");
    s->config_error[0] = '\0';
    s->reloaded = (int64_t)time(NULL);
    if ((ret = apply(s, &c, counts)) < 0)
        tool_error(s->tool, "%s", mien_strerror(ret));
    else if (!s->tool->quiet)
        fprintf(stderr, "mien: watch: configuration read: %d cameras new, %d changed, %d gone\n", counts[0], counts[1], counts[2]);
    watch_config_free(&c);
}

/* ---- status */

static void put_time(cJSON *to, const char *key, int64_t at)
{
    char text[32];
    time_t t = (time_t)at;
    struct tm tm;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    json_str(to, key, text);
}

static char *report(void *priv)
{
    Supervisor *s = priv;
    cJSON *j = json_object();
    json_int(j, "pid", getpid());
    json_str(j, "config", s->path);
    put_time(j, "since", s->since);
    put_time(j, "configured", s->reloaded);
    json_str(j, "config_error", *s->config_error ? s->config_error : NULL);
    cJSON *cameras = json_add_array(j, "cameras");
    for (size_t i = 0; i < s->n_cameras; i++)
        camera_report(s->camera[i], json_item_object(cameras));
    char *text = json_text_of(j);
    json_free(j);
    return text;
}

/* ---- the loop */

static void end_all(Supervisor *s)
{
    if (!s->ending && !s->tool->quiet)
        fprintf(stderr, "mien: watch: ending\n");
    s->ending = 1;
    for (size_t i = 0; i < s->n_cameras; i++)
        if (!camera_is_over(s->camera[i], 0))
            camera_end(s->camera[i]);
}

/* Every child that has ended is given to its camera, which waits for it; a child of nobody is waited for here. */
static void children_ended(Supervisor *s)
{
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        int ours = 0;
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0 || !info.si_pid)
            return;
        for (size_t i = 0; i < s->n_cameras && !ours; i++)
            ours = camera_child_ended(s->camera[i], info.si_pid);
        if (!ours)
            waitpid(info.si_pid, NULL, WNOHANG);
    }
}

static void take_signals(Supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
        if (info.ssi_signo == SIGHUP && !s->ending)
            reload(s);
        if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
            end_all(s);
    }
    children_ended(s);
}

/* Cameras that are gone from the file are forgotten once everything of theirs is written. */
static void forget_gone(Supervisor *s)
{
    for (size_t i = s->n_cameras; i-- > 0;)
        if (!s->ending && camera_is_over(s->camera[i], 1)) {
            camera_destroy(&s->camera[i]);
            s->camera[i] = s->camera[--s->n_cameras];
        }
}

/* 1: everything has ended. Keepers that cannot write (a full disk) are not waited for much longer than ffmpeg was; they go on by
 * themselves until they can. */
static int is_over(Supervisor *s, double now_s)
{
    int running = 0, keeping = 0;
    if (!s->ending)
        return 0;
    for (size_t i = 0; i < s->n_cameras; i++) {
        running |= !camera_is_over(s->camera[i], 0);
        keeping |= !camera_is_over(s->camera[i], 1);
    }
    if (!running && !s->give_up_s)
        s->give_up_s = now_s + 5;
    if (!running && keeping && now_s >= s->give_up_s)
        tool_warn(s->tool, "events are not written yet; the processes mien-keeper stay until they are");
    return !running && (!keeping || now_s >= s->give_up_s);
}

static int wait_ms(const Supervisor *s, double now_s)
{
    double due_s = s->give_up_s ? s->give_up_s : INFINITY;
    for (size_t i = 0; i < s->n_cameras; i++)
        due_s = fmin(due_s, camera_due_s(s->camera[i]));
    double ms = ceil((due_s - now_s) * 1000);
    return !(ms < 60000) ? 60000 : ms < 0 ? 0 : (int)ms;
}

static void loop(Supervisor *s)
{
    for (;;) {
        double now_s = seconds_now();
        for (size_t i = 0; i < s->n_cameras; i++)
            camera_tick(s->camera[i], now_s);
        forget_gone(s);
        if (is_over(s, now_s))
            return;
        size_t n = 0;
        s->poll[n++] = (struct pollfd){ .fd = s->signal_fd, .events = POLLIN };
        n += (size_t)status_pollfds(&s->status, s->poll + n);
        for (size_t i = 0; i < s->n_cameras; i++, n += CAMERA_POLLFDS)
            camera_pollfds(s->camera[i], s->poll + n);
        if (poll(s->poll, (nfds_t)n, wait_ms(s, now_s)) <= 0)
            continue;
        int asked = 0;
        for (int i = 1; i <= STATUS_POLLFDS; i++)
            asked |= s->poll[i].revents;
        for (size_t i = 0; i < s->n_cameras; i++)
            if (s->poll[1 + STATUS_POLLFDS + i * CAMERA_POLLFDS].revents || s->poll[2 + STATUS_POLLFDS + i * CAMERA_POLLFDS].revents)
                camera_readable(s->camera[i]);
        if (asked)
            status_handle(&s->status, report, s);
        take_signals(s);
    }
}

/* ---- beginning and end */

static int make_folder(const Tool *tool, const char *path)
{
    if (mkdir(path, 0750) == 0 || errno == EEXIST)
        return 0;
    tool_error(tool, "cannot make the folder %s: %s", safe(path), mien_strerror(MIEN_ERR(errno)));
    return -1;
}

/* Two supervisors would start every camera twice. The lock is the kernel's: it goes with us, however we end. */
static int lock(Supervisor *s)
{
    char path[4200];
    snprintf(path, sizeof(path), "%s/lock", s->run);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (s->lock_fd >= 0 && flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return 0;
    if (s->lock_fd >= 0 && errno == EWOULDBLOCK)
        tool_error(s->tool, "another mien watch runs with the folder %s", safe(s->run));
    else
        tool_error(s->tool, "%s: %s", safe(path), mien_strerror(MIEN_ERR(errno)));
    return -1;
}

static int catch_signals(Supervisor *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 || (s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0) {
        tool_error(s->tool, "cannot receive signals: %s", mien_strerror(MIEN_ERR(errno)));
        return -1;
    }
    return 0;
}

static int set_up(Supervisor *s, WatchConfig *c)
{
    int counts[3] = { 0 };
    if (!(s->run = mien_strdup(c->run)) || set_logs(s, c) < 0) {
        tool_error(s->tool, "out of memory");
        return -1;
    }
    if (make_folder(s->tool, s->run) < 0 || make_folder(s->tool, s->host.logs) < 0 || lock(s) < 0)
        return -1;
    int ret = status_serve(&s->status, s->run);
    if (ret < 0) {
        tool_error(s->tool, "%s/control: %s", safe(s->run), mien_strerror(ret));
        return -1;
    }
    if ((ret = apply(s, c, counts)) < 0)
        tool_error(s->tool, "%s", mien_strerror(ret));
    return ret;
}

static void tear_down(Supervisor *s)
{
    for (size_t i = 0; i < s->n_cameras; i++)
        camera_destroy(&s->camera[i]);
    status_close(&s->status);
    if (s->signal_fd >= 0)
        close(s->signal_fd);
    if (s->lock_fd >= 0)
        close(s->lock_fd);
    mien_free(s->camera);
    mien_free(s->poll);
    mien_free(s->host.logs);
    mien_free(s->run);
    mien_free(s->path);
}

/* One line a camera that a shell would take, without what is secret. */
static int show_commands(const Tool *tool, const WatchConfig *c)
{
    int status = STATUS_OK;
    for (size_t i = 0; i < c->n_cameras; i++) {
        const WatchCamera *camera = &c->camera[i];
        WatchCommand cmd;
        char why[512];
        int with_events = !(camera->events && !strcmp(camera->events, "none")) && !(camera->facetag && !strcmp(camera->facetag, "none"));
        if (watch_command_make(&cmd, camera, with_events, why, sizeof(why)) < 0) {
            status = tool_error(tool, "camera %s: %s", camera->name, why);
            continue;
        }
        printf("%s:", camera->name);
        for (size_t k = 0; k < cmd.argv.n; k++) {
            const char *word = cmd.argv.word[k];
            int plain = *word && strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=:,./%@") == strlen(word);
            printf(plain ? " %s" : " '%s'", safe(word));
        }
        putchar('\n');
        watch_command_free(&cmd);
    }
    return status;
}

static int run_watch(Tool *tool, const void *options, int n_args, char **args)
{
    const WatchOptions *o = options;
    Supervisor s = { .tool = tool, .signal_fd = -1, .lock_fd = -1, .status = { .fd = -1 } };
    WatchConfig c;
    char why[600];
    int status = STATUS_ERROR;
    (void)n_args;
    for (int i = 0; i < STATUS_CLIENTS; i++)
        s.status.client[i].fd = -1;
    s.host = (CameraHost){ .tool = tool, .rng = (uint64_t)getpid() << 32 ^ (uint64_t)time(NULL) };
    s.since = s.reloaded = (int64_t)time(NULL);
    if ((!o->check && catch_signals(&s) < 0) || watch_file_enter(tool, args[0], &s.path) < 0 || watch_file_read(&c, tool, s.path, why, sizeof(why)) < 0) {
        tear_down(&s);
        return STATUS_ERROR;
    }
    watch_file_check_modes(&c, tool, s.path);
    if (o->check) {
        status = show_commands(tool, &c);
    } else if (set_up(&s, &c) >= 0) {
        loop(&s);
        status = STATUS_OK;
    }
    watch_config_free(&c);
    tear_down(&s);
    return status;
}

static const Option watch_options[] = {
    OPT_FLAG_ROW(WatchOptions, check, "check", 'c', "read the file, show the commands that would be run, and end"),
    { .name = NULL },
};

const Command cmd_watch = {
    .name = "watch", .group = "Cameras", .summary = "look after an ffmpeg for every camera of a file", .args = "CONFIG",
    .text = "Starts one ffmpeg with the filter facetag for every camera that the file names, and starts it again whenever it ends or stalls: after a "
            "second, and twice as long after each failure in a row. Keeps what facetag logs, one file a camera, and ffmpeg's messages in another, rotated "
            "by size. Stays in the foreground and tells on stderr what happens; docs/watch.md has the file's keys and a systemd unit.\n"
            "Passwords of cameras appear neither in the list of processes nor in a log.\n"
            "SIGHUP reads the file again: cameras that have changed start anew, others are not disturbed; a file with an error changes nothing. SIGTERM and "
            "SIGINT end everything, a second one at once.\n"
            "$ mien watch --check cameras.conf\n"
            "$ mien watch cameras.conf\n"
            "$ mien watch status cameras.conf",
    .statuses = "0 ended by a signal, or checked; 2 the file is wrong, or another mien watch runs with its folder.",
    .options = watch_options, .options_bytes = sizeof(WatchOptions), .min_args = 1, .max_args = 1, .run = run_watch,
};

/* ---- mien watch status */

typedef struct StatusOptions {
    const char *run;
} StatusOptions;

static const char *text_of(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    return cJSON_IsString(v) ? v->valuestring : NULL;
}

/* "-" where there is no number. */
static void number_text(char buf[24], const cJSON *j, const char *key, int decimals)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    snprintf(buf, 24, cJSON_IsNumber(v) ? "%.*f" : "-", decimals, cJSON_IsNumber(v) ? v->valuedouble : 0);
}

static void print_camera(const cJSON *camera)
{
    const cJSON *event = cJSON_GetObjectItemCaseSensitive(camera, "last_event");
    const char *who = text_of(event, "name") ? text_of(event, "name") : text_of(event, "status");
    const char *error = text_of(camera, "last_error"), *keys[] = { "restarts", "fps", "lag_s" };
    char n[3][24];
    for (int i = 0; i < 3; i++)
        number_text(n[i], camera, keys[i], i);
    printf("%-20s %-9s %-20s %8s %6s %7s", safe(text_of(camera, "name")), safe(text_of(camera, "state")), safe(text_of(camera, "since")), n[0],
           n[1], n[2]);
    if (text_of(event, "event"))
        printf("  %s %s %s", safe(text_of(event, "event")), who ? safe(who) : "", text_of(event, "wall") ? safe(text_of(event, "wall")) : "");
    putchar('\n');
    if (error)
        printf("%-20s %s %s\n", "", safe(text_of(camera, "last_error_at")), safe(error));
}

static int print_status(const Tool *tool, cJSON *j)
{
    const cJSON *cameras = cJSON_GetObjectItemCaseSensitive(j, "cameras"), *camera;
    int all_run = cJSON_GetArraySize(cameras) > 0;
    cJSON_ArrayForEach(camera, cameras)
        all_run &= text_of(camera, "state") && !strcmp(text_of(camera, "state"), "running");
    if (tool->json)
        return json_print(tool, j, all_run ? STATUS_OK : STATUS_NO);
    printf("%-20s %-9s %-20s %8s %6s %7s  %s\n", "camera", "state", "since", "restarts", "fps", "lag_s", "last event");
    cJSON_ArrayForEach(camera, cameras)
        print_camera(camera);
    if (text_of(j, "config_error"))
        printf("The configuration of before is in force: %s\n", safe(text_of(j, "config_error")));
    cJSON_Delete(j);
    return all_run ? STATUS_OK : STATUS_NO;
}

static int run_status(Tool *tool, const void *options, int n_args, char **args)
{
    const StatusOptions *o = options;
    WatchConfig c = { .n_cameras = 0 };
    char *text = NULL, *path = NULL, why[600];
    if (!o->run == !n_args)
        return tool_error(tool, "name either the configuration or, with --run, its run folder");
    if (n_args && (watch_file_enter(tool, args[0], &path) < 0 || watch_file_read(&c, tool, path, why, sizeof(why)) < 0)) {
        mien_free(path);
        return STATUS_ERROR;
    }
    const char *run = n_args ? c.run : o->run;
    int ret = status_ask(run, &text), status = STATUS_ERROR;
    cJSON *j = ret >= 0 ? cJSON_Parse(text) : NULL;
    if (j)
        status = print_status(tool, j);
    else if (ret == MIEN_ERR(ENOENT) || ret == MIEN_ERR(ECONNREFUSED))
        tool_error(tool, "no mien watch runs with the folder %s", safe(run));
    else
        tool_error(tool, "%s/control: %s", safe(run), ret < 0 ? mien_strerror(ret) : "the answer is not JSON");
    mien_free(text);
    mien_free(path);
    watch_config_free(&c);
    return status;
}

static const Option status_options[] = {
    OPT_TEXT_ROW(StatusOptions, run, "run", 'r', "DIR", NULL, "the run folder, in place of the file that names it"),
    { .name = NULL },
};

const Command cmd_watch_status = {
    .name = "watch status", .group = "Cameras", .summary = "how the cameras of a running mien watch are", .args = "[CONFIG]",
    .text = "A line a camera: its state (waiting to be started, starting, running, blocked because events cannot be written, ending, ended) and since when, "
            "how often ffmpeg was started again, frames a second, how much later frames come out than the promptest of the last minutes, the last event; "
            "below it the last error.",
    .statuses = "0 all cameras run; 1 some do not; 2 no mien watch runs there.", .takes = TAKES_JSON,
    .options = status_options, .options_bytes = sizeof(StatusOptions), .min_args = 0, .max_args = 1, .run = run_status,
};
