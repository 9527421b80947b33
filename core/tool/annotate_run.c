/* The workers of this machine, taking back what others left, publishing; see annotate.h. */
#include "annotate.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "stitch.h"

#define LOOK_MS 200          /* at children */
#define OTHERS_S 1.0         /* at what other processes do */
#define TELL_S 1.0           /* how far it is */
#define MAX_LOG_BYTES ((size_t)1 << 31)

/* ---- who works */

/* When a process was started, in ticks since the boot: field 22 of proc(5)'s stat, counted from behind the name, which may hold anything.
 * 0: there is no such process; a zombie is none. */
static int64_t started_at(int64_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    FILE *f = fopen(path, "re");
    size_t n = f ? fread(text, 1, sizeof(text) - 1, f) : 0;
    if (f)
        fclose(f);
    text[n] = 0;
    char *p = strrchr(text, ')');
    if (!p || p[1] != ' ' || p[2] == 'Z' || p[2] == 'X')
        return 0;
    for (int field = 3; field < 22 && p; field++)
        p = strchr(p + 2, ' ');
    int64_t v = 0;
    if (p) {
        p[1 + strcspn(p + 1, " ")] = 0;
        parse_int64(p + 1, &v);
    }
    return v;
}

void owner_of_this_process(MienJobOwner *o)
{
    memset(o, 0, sizeof(*o));
    gethostname(o->host, sizeof(o->host) - 1);
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (f) {
        if (fgets(o->boot, sizeof(o->boot), f))
            o->boot[strcspn(o->boot, "\n")] = 0;
        fclose(f);
    }
    o->pid = getpid();
    o->pid_started = started_at(o->pid);
}

/* Of a process on another machine nothing can be told from here: it counts as there. */
static int is_there(const Annotate *a, const MienJobOwner *o)
{
    if (strcmp(o->host, a->me.host))
        return !a->o->take_over;
    return !strcmp(o->boot, a->me.boot) && o->pid_started > 0 && started_at(o->pid) == o->pid_started;
}

int annotate_recover(Annotate *a)
{
    MienJobPart *part;
    int n = mien_jobs_parts(a->jobs, 0, MIEN_JOB_RUNNING, &part), n_others = 0, ret = n;
    for (int i = 0; i < n && ret >= 0; i++) {
        const MienJobOwner *o = &part[i].owner;
        if (*o->task || (o->pid == a->me.pid && o->pid_started == a->me.pid_started && !strcmp(o->host, a->me.host)))
            continue;
        if (is_there(a, o)) {
            n_others++;
            continue;
        }
        part_clean(a->work, part[i].key, o);
        ret = mien_jobs_end_part(a->jobs, part[i].key, o, MIEN_JOB_WAITING, NULL);
    }
    mien_free(part);
    return ret < 0 ? ret : n_others;
}

/* ---- what is left over */

/* KEY.…, of a part that nobody works on and whose result nobody waits for. While a cluster's run lasts, what is published stays too: an array
 * element that is started again must see that it is done. */
static int is_leftover_of_part(const char *name, const MienJobPart *part, int n, int has_run)
{
    size_t key_bytes = strcspn(name, ".");
    int is_unfinished = !strncmp(name + key_bytes, ".tmp-", 5) || !strcmp(name + key_bytes, ".state");
    if (key_bytes != 64 || (has_run && !is_unfinished))
        return 0;
    for (int i = 0; i < n; i++)
        if (!strncmp(name, part[i].key, key_bytes))
            return part[i].state != MIEN_JOB_RUNNING && (is_unfinished || part[i].is_published);
    return 1;
}

/* run-STAMP-PID.ENDING, of a job whose parts have all ended; one that is being submitted is its process's. Output that says something is kept. */
static int is_leftover_of_run(const char *work, const char *name, const MienJobPart *part, int n)
{
    const char *run = strncmp(name, "run-", 4) ? "" : name + 4;
    size_t bytes = strcspn(run, ".");
    const char *dash = memrchr(run, '-', bytes);
    char pid[24] = "", path[PATH_MAX];
    struct stat st;
    int64_t v;
    if (!dash)
        return 0;
    snprintf(pid, sizeof(pid), "%.*s", (int)(run + bytes - dash - 1), dash + 1);
    for (int i = 0; i < n; i++)
        if (part[i].state == MIEN_JOB_RUNNING && task_is_of_run(&part[i].owner, run, bytes))
            return 0;
    if (parse_int64(pid, &v) || (v != getpid() && started_at(v)))
        return 0;
    size_t len = strlen(name);
    if (len < 4 || strcmp(name + len - 4, ".out"))
        return 1;
    return snprintf(path, sizeof(path), "%s/%s", work, name) < (int)sizeof(path) && !stat(path, &st) && !st.st_size;
}

static int is_run(const char *name)
{
    const char *dot = strrchr(name, '.');
    return !strncmp(name, "run-", 4) && dot && !strcmp(dot, ".tasks");
}

static int has_run(const char *work)
{
    DIR *d = opendir(work);
    struct dirent *e;
    int found = 0;
    while (d && !found && (e = readdir(d)))
        found = is_run(e->d_name);
    if (d)
        closedir(d);
    return found;
}

void annotate_sweep(Annotate *a)
{
    struct dirent **entry;
    MienJobPart *part = NULL;
    char path[PATH_MAX];
    /* names first: what appears after this belongs to parts that begin after it */
    int n_entries = scandir(a->work, &entry, NULL, NULL);
    int n = mien_jobs_choose_all(a->jobs) < 0 ? -1 : mien_jobs_parts(a->jobs, 0, -1, &part);
    for (int pass = 0; pass < 2 && n >= 0; pass++) {
        int lasts = pass && has_run(a->work); /* after the first pass, which removes runs */
        for (int i = 0; i < n_entries; i++) {
            const char *name = entry[i]->d_name;
            int is_left = pass ? is_leftover_of_part(name, part, n, lasts) : is_leftover_of_run(a->work, name, part, n);
            if (is_left && snprintf(path, sizeof(path), "%s/%s", a->work, name) < (int)sizeof(path))
                unlink(path);
        }
    }
    for (int i = 0; i < n_entries; i++)
        free(entry[i]);
    if (n_entries >= 0)
        free(entry);
    mien_free(part);
}

/* ---- telling */

void annotate_tell(Annotate *a, const char *path, const char *state, const char *reason)
{
    if (a->tool->json) {
        struct cJSON *j = json_object();
        json_str(j, "file", path);
        json_str(j, "state", state);
        json_str(j, "reason", *reason ? reason : NULL);
        char *text = json_text_of(j);
        if (text)
            puts(text);
        json_text_free(text);
        json_free(j);
        fflush(stdout);
    } else if (!strcmp(state, "failed")) {
        tool_error(a->tool, "%s: %s", safe(path), safe(reason));
    } else {
        if (a->progress.on && a->progress.shown_s > 0)
            fputs("\r\033[K", stderr); /* the line that the cursor stands in */
        tool_note(a->tool, "%s: %s%s%s%s", safe(path), state, *reason ? " (" : "", *reason ? safe(reason) : "", *reason ? ")" : "");
        fflush(stdout);
    }
}

static void tell_progress_json(Annotate *a, const MienJobCounts *c, double share)
{
    double lasted = seconds_now() - a->progress.start_s;
    struct cJSON *j = json_object(), *p = json_add_object(j, "progress");
    json_int(p, "files", c->n_files);
    json_int(p, "done", c->n_done);
    json_int(p, "failed", c->n_failed);
    json_int(p, "parts_running", c->n_part_running);
    json_real(p, "share", share, 4);
    json_real(p, "eta_s", share > a->share_before ? lasted * (1 - share) / (share - a->share_before) : (double)NAN, 0);
    char *text = json_text_of(j);
    if (text)
        puts(text);
    json_text_free(text);
    json_free(j);
    fflush(stdout);
}

int annotate_begin_progress(Annotate *a, MienJobCounts *c)
{
    int ret = mien_jobs_count(a->jobs, a->o->tries, c);
    a->share_before = ret >= 0 && c->duration_us > 0 ? (double)c->done_us / (double)c->duration_us : 0;
    progress_begin(&a->progress, a->tool, "films", c->n_files);
    return ret;
}

void annotate_progress(Annotate *a, int64_t running_us)
{
    MienJobCounts c;
    double now = seconds_now();
    if (now - a->shown_s < TELL_S || (!a->tool->json && !a->progress.on) || mien_jobs_count(a->jobs, a->o->tries, &c) < 0)
        return;
    a->shown_s = now;
    double share = c.duration_us > 0 ? (double)(c.done_us + running_us) / (double)c.duration_us : 0;
    if (a->tool->json) {
        tell_progress_json(a, &c, share);
        return;
    }
    a->progress.total = c.n_files;
    /* of this run's own work, for the time left */
    a->progress.share = share > a->share_before && a->share_before < 1 ? (share - a->share_before) / (1 - a->share_before) : 0;
    snprintf(a->progress.note, sizeof(a->progress.note), "%.1f of %.1f h%s", (double)(c.done_us + running_us) / 3.6e9, (double)c.duration_us / 3.6e9,
             c.n_failed ? ", some failed" : "");
    progress_step(&a->progress, c.n_done);
}

/* ---- publishing */

static int read_part(Annotate *a, const MienJobPart *part, const char *ending, uint8_t **data, size_t *bytes)
{
    char path[PATH_MAX];
    part_path(path, a->work, part->key, ending);
    if (access(path, F_OK))
        return MIEN_ERR(ENOENT);
    return mieni_file_read(path, MAX_LOG_BYTES, data, bytes, a->tool->log);
}

static int make_folders_above(const char *path)
{
    char step[PATH_MAX];
    snprintf(step, sizeof(step), "%s", path);
    for (char *slash = strchr(step + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        if (mkdir(step, 0777) < 0 && errno != EEXIST)
            return MIEN_ERR(errno);
        *slash = '/';
    }
    return 0;
}

static int publish_log(Annotate *a, const MienJobFile *f, const MienJobPart *part, int n)
{
    StitchPart *in = mien_calloc((size_t)n, sizeof(*in));
    char path[PATH_MAX], *out = NULL;
    size_t bytes = 0;
    int ret = in ? 0 : MIEN_ERR(ENOMEM);
    for (int i = 0; i < n && ret >= 0; i++) {
        in[i].from_us = part[i].from_us;
        ret = read_part(a, &part[i], "jsonl", (uint8_t **)(uintptr_t)&in[i].log, &in[i].log_bytes);
        if (ret >= 0 && n > 1)
            ret = read_part(a, &part[i], "frames", (uint8_t **)(uintptr_t)&in[i].frames, &in[i].frames_bytes);
    }
    if (ret >= 0)
        ret = stitch_logs(in, n, a->tool->log, &out, &bytes);
    if (ret >= 0 && snprintf(path, sizeof(path), "%s/%s.jsonl", a->out, f->result) >= (int)sizeof(path))
        ret = MIEN_ERR(ENAMETOOLONG);
    if (ret >= 0 && (ret = make_folders_above(path)) >= 0) {
        mode_t mask = umask(0);
        umask(mask);
        ret = mieni_file_write_atomic(path, out, bytes, 0666 & ~mask, a->tool->log);
    }
    for (int i = 0; in && i < n; i++) {
        mien_free((void *)(uintptr_t)in[i].log);
        mien_free((void *)(uintptr_t)in[i].frames);
    }
    mien_free(in);
    mien_free(out);
    return ret;
}

/* All that are there, since --merge does not know what was asked for. Where one is not, it was not asked for, or we were killed between its
 * renaming and the job file's line. */
static int publish_products(Annotate *a, const MienJobFile *f, const MienJobPart *part)
{
    char from[PATH_MAX], to[PATH_MAX];
    int ret = 0;
    for (const char *const *p = part_products; *p && ret >= 0; p++) {
        part_path(from, a->work, part->key, *p);
        if (access(from, F_OK))
            continue;
        if (snprintf(to, sizeof(to), "%s/%s%s.%s", a->out, f->result, strcmp(*p, "mkv") ? "" : ".annotated", *p) >= (int)sizeof(to))
            return MIEN_ERR(ENAMETOOLONG);
        if ((ret = make_folders_above(to)) >= 0 && rename(from, to) < 0)
            ret = MIEN_ERR(errno);
    }
    return ret;
}

typedef struct Publishing {
    Annotate *a;
    MienJobPart *part;
    int n;
    int64_t file;
    char path[PATH_MAX], reason[2048];
} Publishing;

static int publish_film(void *priv, const MienJobFile *f)
{
    Publishing *p = priv;
    p->file = f->id;
    snprintf(p->path, sizeof(p->path), "%s", f->path);
    snprintf(p->reason, sizeof(p->reason), "%s", f->reason);
    mien_free(p->part);
    p->n = mien_jobs_parts(p->a->jobs, f->id, -1, &p->part);
    int ret = p->n;
    if (ret >= 0)
        ret = publish_products(p->a, f, p->part);
    return ret < 0 ? ret : publish_log(p->a, f, p->part, p->n);
}

/* A result that somebody has removed is made again. */
static int publish_one(Annotate *a)
{
    Publishing p = { .a = a };
    int ret = mien_jobs_publish(a->jobs, 0, publish_film, &p);
    if (ret > 0) {
        int lasts = has_run(a->work); /* then annotate_sweep cleans up, later */
        for (int i = 0; i < p.n && !lasts; i++)
            part_clean(a->work, p.part[i].key, NULL);
        annotate_tell(a, p.path, "done", p.reason);
    } else if (ret == MIEN_ERR(ENOENT)) {
        tool_warn(a->tool, "%s: results have been removed from %s; it is done again", safe(p.path), safe(a->work));
        ret = mien_jobs_redo(a->jobs, p.file);
        ret = ret < 0 ? ret : 1;
    } else if (ret < 0) {
        tool_error(a->tool, "%s: its result cannot be written to %s: %s", safe(p.path), safe(a->out), mien_strerror(ret));
    }
    mien_free(p.part);
    return ret;
}

int annotate_publish(Annotate *a)
{
    int ret;
    while ((ret = publish_one(a)) > 0)
        ;
    return ret;
}

/* ---- working */

typedef struct Crew {
    Annotate *a;
    PartRun *run;
    int n, n_busy;
    int news; /* a part has ended: something may be ready */
} Crew;

/* 1: a part is being worked on or was found done, 0: nothing waits. */
static int take_work(Crew *c, PartRun *run)
{
    Annotate *a = c->a;
    MienJobPart part;
    MienJobFile f;
    int ret = mien_jobs_claim(a->jobs, &a->me, &part);
    if (ret <= 0)
        return ret;
    if (part_is_there(a->work, part.key)) { /* finished by one who was killed before it could say so */
        c->news = 1;
        ret = mien_jobs_end_part(a->jobs, part.key, &a->me, MIEN_JOB_DONE, NULL);
        return ret < 0 ? ret : 1;
    }
    ret = mien_jobs_find_id(a->jobs, part.file, &f);
    if (ret >= 0)
        ret = part_start(run, a->tool, &a->recipe, &part, f.path, &a->me);
    if (ret < 0) {
        mien_jobs_end_part(a->jobs, part.key, &a->me, MIEN_JOB_WAITING, NULL);
        return ret;
    }
    c->n_busy++;
    return 1;
}

static int end_work(Crew *c, PartRun *run, int wait_status)
{
    Annotate *a = c->a;
    char reason[2048], path[PATH_MAX];
    snprintf(path, sizeof(path), "%s", run->path);
    int ret = part_finish(run, &a->recipe, wait_status, reason, sizeof(reason));
    c->n_busy--;
    c->news = 1;
    int mine = mien_jobs_end_part(a->jobs, run->part.key, &a->me, ret < 0 ? MIEN_JOB_FAILED : MIEN_JOB_DONE, reason);
    if (mine == 0) {
        part_clean(a->work, run->part.key, NULL);
        tool_warn(a->tool, "%s: it was entered anew by another process meanwhile; this result is dropped", safe(path));
    } else if (mine > 0 && ret < 0) {
        annotate_tell(a, path, "failed", reason);
    }
    return mine < 0 ? mine : 0;
}

static int look_at_children(Crew *c)
{
    int status, ret = 0;
    for (int i = 0; i < c->n && ret >= 0; i++)
        if (c->run[i].child.pid > 0 && child_poll(&c->run[i].child, &status))
            ret = end_work(c, &c->run[i], status);
    return ret;
}

static void wait_a_moment(Crew *c)
{
    struct pollfd fd[2 * 256];
    nfds_t n = 0;
    for (int i = 0; i < c->n; i++) {
        const Child *child = &c->run[i].child;
        if (child->pid > 0 && child->progress_fd >= 0)
            fd[n++] = (struct pollfd){ .fd = child->progress_fd, .events = POLLIN };
        if (child->pid > 0 && child->error_fd >= 0)
            fd[n++] = (struct pollfd){ .fd = child->error_fd, .events = POLLIN };
    }
    poll(fd, n, LOOK_MS);
}

static int64_t running_us(const Crew *c)
{
    int64_t sum = 0;
    for (int i = 0; i < c->n; i++)
        sum += c->run[i].child.pid > 0 ? part_position_us(&c->run[i]) : 0;
    return sum;
}

static int hire(Crew *c)
{
    int ret = 1;
    for (int i = 0; i < c->n && ret > 0 && !interrupted(); i++)
        while (c->run[i].child.pid <= 0 && ret > 0 && !interrupted())
            ret = take_work(c, &c->run[i]);
    return ret;
}

/* A part waits for us, is in our hands, is in others' hands (who may die), or there is nothing left. */
static int work(Crew *c)
{
    double looked_s = 0;
    int ret = 0, n_others = 0;
    while (ret >= 0 && !interrupted()) {
        if (!c->n_busy || seconds_now() - looked_s > OTHERS_S) {
            looked_s = seconds_now();
            c->news = 1; /* by others, perhaps */
            ret = n_others = annotate_recover(c->a);
            if (ret >= 0)
                ret = annotate_collect(c->a);
            n_others += ret > 0 ? ret : 0;
        }
        if (ret < 0 || (ret = hire(c)) < 0 || (c->news && (ret = annotate_publish(c->a)) < 0) || (!c->n_busy && !n_others))
            break;
        c->news = 0;
        wait_a_moment(c);
        ret = look_at_children(c);
        annotate_progress(c->a, running_us(c));
    }
    return ret;
}

static void dismiss(Crew *c)
{
    for (int i = 0; i < c->n; i++)
        if (c->run[i].child.pid > 0) {
            part_abort(&c->run[i]);
            mien_jobs_end_part(c->a->jobs, c->run[i].part.key, &c->a->me, MIEN_JOB_WAITING, NULL);
        }
}

int annotate_run(Annotate *a)
{
    Crew c = { .a = a, .n = a->o->workers ? a->o->workers : a->tool->threads };
    MienJobCounts counts;
    int ret = annotate_begin_progress(a, &counts);
    if (ret < 0)
        return ret;
    /* as many threads each as leave no core idle, where there are fewer films than cores */
    int64_t n_parts = counts.n_part_waiting > 0 ? counts.n_part_waiting : 1, n_at_a_time = c.n < n_parts ? c.n : n_parts;
    a->recipe.threads = a->o->threads ? a->o->threads : a->tool->threads > n_at_a_time ? (int)(a->tool->threads / n_at_a_time) : 1;
    if (!(c.run = mien_calloc((size_t)c.n, sizeof(*c.run))))
        return tool_error(a->tool, "out of memory"), MIEN_ERR(ENOMEM);
    ret = work(&c);
    dismiss(&c);
    progress_end(&a->progress);
    mien_free(c.run);
    return ret;
}
