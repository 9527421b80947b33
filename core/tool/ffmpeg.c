/* Finding ffmpeg, escaping for it, running it; see ffmpeg.h. */
#include "ffmpeg.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mien/common.h"

/* ---- words */

/* Nothing but what certainly has no meaning stays as it is. A backslash for the option's parser, both escaped for the chain's. */
void words_put_value(Words *w, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./";
    for (; *value; value++) {
        if (!strchr(plain, *value))
            words_put_bytes(w, "\\\\\\", 3);
        words_put_bytes(w, value, 1);
    }
}

int filter_option(const char *options, const char *name, char *value, size_t value_bytes)
{
    size_t n = strlen(name);
    int found = 0;
    for (const char *p = options; p;) {
        /* to the end of this option: backslashes and quotes as av_get_token reads them */
        const char *end = p;
        int quoted = 0;
        for (; *end && (quoted || !strchr(":,;[", *end)); end++) {
            if (*end == '\'')
                quoted = !quoted;
            else if (*end == '\\' && !quoted && end[1])
                end++;
        }
        p += strspn(p, " \t\n");
        if (!strncmp(p, name, n) && p[n] == '=') {
            snprintf(value, value_bytes, "%.*s", (int)(end - p - (ptrdiff_t)n - 1), p + n + 1);
            found = 1;
        }
        p = *end == ':' ? end + 1 : NULL; /* what comes behind a comma is another filter */
    }
    return found;
}

/* ---- where it is */

/* The program of this name in PATH, as execvp would find it. */
static int in_path(const char *name, char *path, size_t bytes)
{
    const char *dir = getenv("PATH");
    while (dir && *dir) {
        size_t n = strcspn(dir, ":");
        if (snprintf(path, bytes, "%.*s%s%s", n ? (int)n : 1, n ? dir : ".", "/", name) < (int)bytes && !access(path, X_OK))
            return 0;
        dir += n + (dir[n] == ':');
    }
    return -1;
}

static int beside_program(char *path, size_t bytes)
{
    char program[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
    return slash && snprintf(path, bytes, "%.*s/ffmpeg", (int)(slash - program), program) < (int)bytes && !access(path, X_OK) ? 0 : -1;
}

int program_output(const char *const *argv, char *text, size_t bytes)
{
    int fd[2], fail[2], status, err = 0;
    size_t n = 0;
    *text = 0;
    if (pipe2(fd, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(fail, O_CLOEXEC) < 0) {
        err = errno;
        close(fd[0]);
        close(fd[1]);
        return -err;
    }
    pid_t pid = fork();
    if (!pid) {
        int null = open("/dev/null", O_RDONLY);
        if (null >= 0 && dup2(null, 0) >= 0 && dup2(fd[1], 1) >= 0 && dup2(fd[1], 2) >= 0)
            execvp(argv[0], (char *const *)(uintptr_t)argv);
        err = errno; /* a successful exec closes the pipe instead */
        _exit(write(fail[1], &err, sizeof(err)) < 0 ? 126 : 127);
    }
    err = pid < 0 ? errno : 0;
    close(fd[1]);
    close(fail[1]);
    if (pid > 0) {
        char rest[512];
        for (;;) { /* what doesn't fit is read too, or the program would wait for us */
            ssize_t got = n + 1 < bytes ? read(fd[0], text + n, bytes - 1 - n) : read(fd[0], rest, sizeof(rest));
            if (got <= 0 && !(got < 0 && errno == EINTR))
                break;
            n += got > 0 && n + 1 < bytes ? (size_t)got : 0;
        }
        text[n] = 0;
        if (read(fail[0], &err, sizeof(err)) != (ssize_t)sizeof(err))
            err = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    close(fd[0]);
    close(fail[0]);
    return err ? -err : WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int has_facetag(const char *path)
{
    const char *const argv[] = { path, "-hide_banner", "-h", "filter=facetag", NULL };
    char text[4096];
    int ret = program_output(argv, text, sizeof(text));
    return ret < 0 ? ret : strstr(text, "Filter facetag") != NULL;
}

int ffmpeg_find(const Tool *tool, const char *given, char *path, size_t bytes)
{
    static const char remedy[] = "'make dropin' of mien's source builds one, 'make install' makes the system's own have it (docs/install.md); "
                                 "--ffmpeg or $MIEN_FFMPEG say where another one is";
    char found[PATH_MAX], real[PATH_MAX];
    const char *env = getenv("MIEN_FFMPEG");
    if (!given && env && *env)
        given = env;
    if (given && strchr(given, '/'))
        snprintf(found, sizeof(found), "%s", given);
    else if (given ? in_path(given, found, sizeof(found)) : beside_program(found, sizeof(found)) && in_path("ffmpeg", found, sizeof(found)))
        return tool_error(tool, "there is no %s in PATH; %s", given ? safe(given) : "ffmpeg", remedy), MIEN_E_NOTFOUND;
    char *slash = strrchr(found, '/'), *base = slash + 1;
    *slash = 0; /* the folder alone is resolved: a program may look at the name by which it is called */
    if (!realpath(*found ? found : "/", real) || snprintf(path, bytes, "%s/%s", real, base) >= (int)bytes || access(path, X_OK))
        return tool_error(tool, "%s/%s: %s", safe(found), safe(base), strerror(errno)), MIEN_E_NOTFOUND;
    int has = has_facetag(path);
    if (has < 0)
        return tool_error(tool, "%s cannot be run: %s", safe(path), strerror(-has)), has;
    if (!has)
        return tool_error(tool, "%s has no filter facetag; %s", safe(path), remedy), MIEN_E_UNSUPPORTED;
    return 0;
}

/* ---- a child */

static void become(char *const *argv, const int out[2], const int err[2], pid_t parent)
{
    sigset_t none;
    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* died before the line above */
        _exit(127);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    int null = open("/dev/null", O_RDONLY);
    if (null < 0 || dup2(null, 0) < 0 || dup2(out[1], 1) < 0 || dup2(err[1], 2) < 0)
        _exit(127);
    execv(argv[0], argv);
    static const char words[] = "the program cannot be run\n";
    if (write(2, words, sizeof(words) - 1) < 0)
        _exit(126);
    _exit(127);
}

int child_start(Child *c, char *const *argv)
{
    int out[2] = { -1, -1 }, err[2] = { -1, -1 };
    pid_t parent = getpid();
    *c = (Child){ .progress_fd = -1, .error_fd = -1, .out_time_us = -1 };
    if (pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0 || (c->pid = fork()) < 0) {
        int e = errno;
        for (int i = 0; i < 2; i++) {
            close(out[i]);
            close(err[i]);
        }
        c->pid = 0;
        return -e;
    }
    if (!c->pid)
        become(argv, out, err, parent);
    close(out[1]);
    close(err[1]);
    c->progress_fd = out[0];
    c->error_fd = err[0];
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(err[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static void take_progress(Child *c, const char *line)
{
    int64_t v;
    if (!strncmp(line, "out_time_us=", 12) && !parse_int64(line + 12, &v))
        c->out_time_us = v;
}

/* Without "[Parsed_facetag_0 @ 0x55d0]", which tells a user nothing. ffmpeg's own closing words don't either. */
static void take_error(Child *c, const char *line)
{
    static const char *const idle[] = { "Conversion failed!", "Error while filtering:", "Failed to inject frame into filter network:",
                                        "Error reinitializing filters!", "Error while processing the decoded data", "Error initializing complex filters",
                                        "Exiting normally" };
    int ours = !strncmp(line, "[Parsed_facetag", 15);
    const char *end = *line == '[' ? strstr(line, "] ") : NULL;
    const char *text = end ? end + 2 : line;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(idle); i++)
        if (!strncmp(text, idle[i], strlen(idle[i])))
            return;
    if (*text)
        snprintf(c->last, sizeof(c->last), "%s", text);
    if (ours)
        snprintf(c->told, sizeof(c->told), "%s", text);
}

/* Calls take for each whole line; `rest` keeps the unfinished one, cut where it is too long. Closes *fd at its end. */
static void read_lines(Child *c, int *fd, char *rest, size_t room, void (*take)(Child *c, const char *line))
{
    char buf[4096];
    ssize_t n;
    while (*fd >= 0 && (n = read(*fd, buf, sizeof(buf))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        size_t have = strlen(rest);
        for (ssize_t i = 0; i < n; i++) {
            if (buf[i] == '\n' || buf[i] == '\r') {
                take(c, rest);
                rest[have = 0] = 0;
            } else if (have + 1 < room && buf[i]) {
                rest[have++] = buf[i];
                rest[have] = 0;
            }
        }
    }
    if (*fd >= 0 && n == 0) {
        if (*rest)
            take(c, rest);
        close(*fd);
        *fd = -1;
    }
}

static void read_all(Child *c)
{
    read_lines(c, &c->progress_fd, c->line, sizeof(c->line), take_progress);
    read_lines(c, &c->error_fd, c->part, sizeof(c->part), take_error);
}

static void close_all(Child *c)
{
    for (int i = 0; i < 2; i++) {
        int *fd = i ? &c->error_fd : &c->progress_fd;
        if (*fd >= 0)
            close(*fd);
        *fd = -1;
    }
    c->pid = 0;
}

int child_poll(Child *c, int *wait_status)
{
    read_all(c);
    pid_t pid = waitpid(c->pid, wait_status, WNOHANG);
    if (pid != c->pid)
        return 0;
    read_all(c); /* its last words */
    close_all(c);
    return 1;
}

void child_kill(Child *c)
{
    if (c->pid <= 0)
        return;
    kill(c->pid, SIGKILL); /* what it has written is under a temporary name; there is nothing to end in order */
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    close_all(c);
}

void child_reason(const Child *c, int wait_status, char *buf, size_t bytes)
{
    const char *why = *c->told ? c->told : c->last;
    if (WIFSIGNALED(wait_status))
        snprintf(buf, bytes, "ffmpeg was ended by signal %d (%s)%s%s", WTERMSIG(wait_status), strsignal(WTERMSIG(wait_status)),
                 *why ? ": " : "", why);
    else
        snprintf(buf, bytes, "ffmpeg ended with status %d%s%s", WEXITSTATUS(wait_status), *why ? ": " : ", without a word", why);
}
