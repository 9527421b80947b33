/* Parts as an array job of a Slurm cluster; see annotate.h and docs/cluster.md.
 *
 * Nodes never open the job file: SQLite's locks are not to be trusted on network file systems. A run is a file that says how parts are
 * made and lists them; an array element makes some of them and leaves, each by a rename, KEY.jsonl (done), KEY.failed (why not) or KEY.state (how
 * far). The side that has submitted, or a later --merge, takes these into the job file. An element that Slurm starts again after a node is
 * lost leaves out what is there. Should two do the same part, both write the same under temporary names of their own, and it is taken once. */
#include "annotate.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "galleries.h"
#include "mien/gallery.h"

#define FORMAT "mien annotate run 1"
#define MAX_ELEMENTS 1000 /* Slurm's MaxArraySize is 1001 unless changed */
#define MAX_RUN_BYTES ((size_t)256 << 20)
#define STATE_S 3.0       /* how often a task says how far it is */
#define LOOK_S 1.0        /* how often the waiting side looks at the files */
#define QUEUE_S 5.0       /* and asks Slurm whether the job still exists */
#define LATE_S 10.0       /* results may come to light so much later than the job's end, on network file systems */

/* ---- the run's file: fields, each ended by a NUL, since paths may hold anything else */

enum { RUN_FORMAT, RUN_FFMPEG, RUN_FILTER, RUN_GALLERY, RUN_MODELS, RUN_ENCODER, RUN_WORK, RUN_FORMATS, RUN_THREADS, RUN_VIDEO, RUN_PER_ELEMENT, RUN_HEAD };
enum { TASK_KEY, TASK_PATH, TASK_NUMBER, TASK_FROM, TASK_TO, TASK_FIELDS };

static void put_field(Words *w, const char *s)
{
    words_put_bytes(w, s, strlen(s) + 1);
}

static void put_number(Words *w, int64_t v)
{
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    put_field(w, text);
}

static void put_head(Words *w, const Recipe *r, int64_t n_per_element)
{
    put_field(w, FORMAT);
    const char *const text[] = { r->ffmpeg, r->filter, r->gallery, r->models, r->encoder, r->work, r->formats };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(text); i++)
        put_field(w, text[i]);
    put_number(w, r->threads);
    put_number(w, r->video);
    put_number(w, n_per_element);
}

typedef struct RunFile {
    uint8_t *data;
    const char **field;
    int64_t n_fields, n_tasks;
} RunFile;

static int read_run(RunFile *run, const Tool *tool, const char *path)
{
    size_t bytes, n = 0;
    *run = (RunFile){ 0 };
    int ret = mieni_file_read(path, MAX_RUN_BYTES, &run->data, &bytes, tool->log);
    if (ret < 0)
        return ret;
    for (size_t i = 0; i < bytes; i++)
        n += !run->data[i];
    if (!(run->field = mien_malloc_array(n + 1, sizeof(*run->field))))
        return tool_error(tool, "out of memory"), MIEN_ERR(ENOMEM);
    const char *p = (const char *)run->data, *end = p + bytes;
    for (; p < end && run->n_fields < (int64_t)n; p += strlen(p) + 1)
        run->field[run->n_fields++] = p;
    run->n_tasks = (run->n_fields - RUN_HEAD) / TASK_FIELDS;
    if (run->n_fields <= RUN_HEAD || strcmp(run->field[RUN_FORMAT], FORMAT) || run->n_fields != RUN_HEAD + run->n_tasks * TASK_FIELDS)
        return tool_error(tool, "%s: is no list of tasks of this mien", safe(path)), MIEN_E_FORMAT;
    return 0;
}

static void free_run(RunFile *run)
{
    mien_free(run->data);
    mien_free(run->field);
}

static int64_t number_of(const char *field)
{
    int64_t v = 0;
    parse_int64(field, &v);
    return v;
}

/* ---- a task: on a node */

static void say_state(const Recipe *r, const PartRun *run)
{
    char path[PATH_MAX], text[64];
    part_path(path, r->work, run->part.key, "state");
    int n = snprintf(text, sizeof(text), "%lld\n", (long long)part_position_us(run));
    mieni_file_write_atomic(path, text, (size_t)n, 0644, (MienLog){ 0 }); /* for the progress alone: may fail */
}

static int say_failed(const Tool *tool, const Recipe *r, const char *key, const char *reason)
{
    char path[PATH_MAX];
    part_path(path, r->work, key, "failed");
    return mieni_file_write_atomic(path, reason, strlen(reason), 0644, tool->log);
}

/* 0 done, 1 failed, negative: interrupted or the node is not fit. */
static int do_task(const Tool *tool, const Recipe *r, const char *const *field, const MienJobOwner *me)
{
    MienJobPart part = { .number = (int)number_of(field[TASK_NUMBER]), .from_us = number_of(field[TASK_FROM]), .to_us = number_of(field[TASK_TO]) };
    PartRun run;
    char reason[2048], path[PATH_MAX];
    int status, ret;
    double said_s = 0;
    snprintf(part.key, sizeof(part.key), "%s", field[TASK_KEY]);
    if (part_is_there(r->work, part.key))
        return 0;
    if ((ret = part_start(&run, tool, r, &part, field[TASK_PATH], me)) < 0)
        return ret;
    while (!interrupted() && !child_poll(&run.child, &status)) {
        if (seconds_now() - said_s > STATE_S) {
            said_s = seconds_now();
            say_state(r, &run);
        }
        struct pollfd fd[2] = { { .fd = run.child.progress_fd, .events = POLLIN }, { .fd = run.child.error_fd, .events = POLLIN } };
        poll(fd, 2, 200);
    }
    part_path(path, r->work, part.key, "state");
    if (run.child.pid > 0) {
        part_abort(&run);
        unlink(path);
        return MIEN_ERR(EINTR);
    }
    ret = part_finish(&run, r, status, reason, sizeof(reason));
    unlink(path);
    if (ret >= 0)
        return 0;
    tool_error(tool, "%s: %s", safe(field[TASK_PATH]), safe(reason));
    ret = say_failed(tool, r, part.key, reason);
    return ret < 0 ? ret : 1;
}

int annotate_task(const Tool *tool, const char *run_file)
{
    const char *index = getenv("SLURM_ARRAY_TASK_ID");
    RunFile run;
    MienJobOwner me;
    int64_t element = -1;
    int ret = read_run(&run, tool, run_file), n_failed = 0;
    if (ret >= 0 && (!index || parse_int64(index, &element) < 0 || element < 0)) {
        tool_error(tool, "--task is for array elements of a Slurm job: SLURM_ARRAY_TASK_ID is not set");
        ret = MIEN_ERR(EINVAL);
    }
    if (ret >= 0) {
        const char *const *h = run.field;
        Recipe r = { .ffmpeg = h[RUN_FFMPEG], .filter = h[RUN_FILTER], .gallery = h[RUN_GALLERY], .models = h[RUN_MODELS], .encoder = h[RUN_ENCODER],
                     .work = h[RUN_WORK], .formats = h[RUN_FORMATS], .threads = (int)number_of(h[RUN_THREADS]), .video = (int)number_of(h[RUN_VIDEO]) };
        int64_t n_per = number_of(h[RUN_PER_ELEMENT]);
        owner_of_this_process(&me);
        for (int64_t i = element * n_per; i < (element + 1) * n_per && i < run.n_tasks && ret >= 0; i++) {
            ret = do_task(tool, &r, h + RUN_HEAD + i * TASK_FIELDS, &me);
            n_failed += ret > 0;
        }
    }
    free_run(&run);
    return ret < 0 ? STATUS_ERROR : n_failed ? STATUS_NO : STATUS_OK;
}

/* ---- submitting */

/* "123 20261126T190000-4711": Slurm's number of the job, and the run's name. */
static void split_task(const char *task, char job[64], char name[64])
{
    snprintf(job, 64, "%.*s", (int)strcspn(task, " "), task);
    snprintf(name, 64, "%s", task[strcspn(task, " ")] ? task + strcspn(task, " ") + 1 : "");
}

int task_is_of_run(const MienJobOwner *owner, const char *run, size_t run_bytes)
{
    char job[64], name[64];
    split_task(owner->task, job, name);
    return *name && strlen(name) == run_bytes && !memcmp(name, run, run_bytes);
}

static void run_path(char buf[PATH_MAX], const Annotate *a, const char *name, const char *ending)
{
    snprintf(buf, PATH_MAX, "%s/run-%s.%s", a->work, name, ending);
}

/* A word for sh, whatever is in it. */
static void put_quoted(Words *w, const char *s)
{
    words_put(w, "'");
    for (; *s; s++) {
        if (*s == '\'')
            words_put(w, "'\\''");
        else
            words_put_bytes(w, s, 1);
    }
    words_put(w, "'");
}

static int write_words(const Annotate *a, Words *w, const char *path, unsigned mode)
{
    int ret = w->failed ? MIEN_ERR(ENOMEM) : mieni_file_write_atomic(path, w->at, w->bytes, mode, a->tool->log);
    words_free(w);
    return ret;
}

static int write_script(const Annotate *a, const char *name)
{
    char self[PATH_MAX], run[PATH_MAX], script[PATH_MAX];
    Words w = { 0 };
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n < 0)
        return MIEN_ERR(errno);
    self[n] = 0;
    run_path(run, a, name, "tasks");
    run_path(script, a, name, "sh");
    words_put(&w, "#!/bin/sh\nexec ");
    put_quoted(&w, self);
    words_put(&w, " annotate --task ");
    put_quoted(&w, run);
    words_put(&w, "\n");
    return write_words(a, &w, script, 0755);
}

/* Nodes read a copy of their own: a gallery in use is in write-ahead mode, which does not work between machines. It goes with the run. */
static int copy_gallery(Annotate *a, const char *name, char path[PATH_MAX])
{
    *path = 0;
    if (a->detect_only)
        return 0;
    run_path(path, a, name, "gallery.db");
    MienGallery *g = gallery_open(a->tool, MIEN_GALLERY_READ);
    int ret = g ? mien_gallery_backup(g, path) : MIEN_E_NOTFOUND;
    mien_gallery_close(&g);
    return ret;
}

static void remove_run(const Annotate *a, const char *name)
{
    static const char *const ending[] = { "tasks", "sh", "gallery.db" };
    char path[PATH_MAX];
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(ending); i++) {
        run_path(path, a, name, ending[i]);
        unlink(path);
    }
}

#define MAX_WORDS 64

/* sbatch's words; those of --sbatch are split at blanks. Returns their number. */
static int sbatch_words(const Annotate *a, const char **argv, char *extra, int64_t n_elements, const char *name, char text[4][PATH_MAX])
{
    int n = 0;
    char limit[16] = "";
    if (a->o->workers)
        snprintf(limit, sizeof(limit), "%%%d", a->o->workers);
    snprintf(text[0], PATH_MAX, "--array=0-%lld%s", (long long)n_elements - 1, limit);
    snprintf(text[1], PATH_MAX, "--cpus-per-task=%d", a->recipe.threads);
    snprintf(text[2], PATH_MAX, "--output=%s/run-%s.%%a.out", a->work, name);
    run_path(text[3], a, name, "sh");
    argv[n++] = "sbatch";
    argv[n++] = "--parsable";
    argv[n++] = "--requeue";
    argv[n++] = "--open-mode=append";
    argv[n++] = "--job-name=mien-annotate";
    for (int i = 0; i < 3; i++)
        argv[n++] = text[i];
    if (a->o->partition) {
        argv[n++] = "--partition";
        argv[n++] = a->o->partition;
    }
    char *save = NULL;
    for (char *word = strtok_r(extra, " ", &save); word && n < MAX_WORDS - 2; word = strtok_r(NULL, " ", &save))
        argv[n++] = word;
    argv[n++] = text[3];
    argv[n] = NULL;
    return n;
}

/* job: what sbatch answers, "123" or "123;cluster" */
static int submit(Annotate *a, const char *name, int64_t n_elements, char job[64])
{
    const char *argv[MAX_WORDS];
    char(*text)[PATH_MAX] = mien_malloc_array(4, sizeof(*text)), *extra = mien_strdup(a->o->sbatch ? a->o->sbatch : "");
    char answer[1024];
    int ret = MIEN_ERR(ENOMEM);
    if (text && extra) {
        sbatch_words(a, argv, extra, n_elements, name, text);
        ret = program_output(argv, answer, sizeof(answer));
        answer[strcspn(answer, ";\n")] = 0;
        int64_t number;
        if (ret == 0 && parse_int64(answer, &number) == 0 && number > 0)
            snprintf(job, 64, "%lld", (long long)number);
        else if (ret == MIEN_ERR(ENOENT))
            tool_error(a->tool, "there is no sbatch here (Debian package slurm-client)");
        else
            tool_error(a->tool, "sbatch did not take the job: %s", safe(answer));
        ret = *job ? 0 : MIEN_E_UNSUPPORTED;
    }
    mien_free(text);
    mien_free(extra);
    return ret;
}

typedef struct Claims {
    MienJobPart *part;
    int n, room;
} Claims;

static int claim_all(Annotate *a, Claims *c, Words *tasks)
{
    MienJobPart part;
    MienJobFile f;
    char path[PATH_MAX];
    int ret;
    while ((ret = mien_jobs_claim(a->jobs, &a->me, &part)) > 0 && !interrupted()) {
        if (c->n == c->room) {
            c->room = c->room ? 2 * c->room : 64;
            MienJobPart *more = mien_realloc_array(c->part, (size_t)c->room, sizeof(*more));
            if (!more)
                return MIEN_ERR(ENOMEM);
            c->part = more;
        }
        c->part[c->n++] = part;
        if ((ret = mien_jobs_find_id(a->jobs, part.file, &f)) < 0)
            return ret;
        part_path(path, a->work, part.key, "failed");
        unlink(path); /* of an earlier try */
        put_field(tasks, part.key);
        put_field(tasks, f.path);
        put_number(tasks, part.number);
        put_number(tasks, part.from_us);
        put_number(tasks, part.to_us);
    }
    return ret < 0 ? ret : interrupted() ? MIEN_ERR(EINTR) : 0;
}

int annotate_submit(Annotate *a)
{
    Claims c = { 0 };
    Words tasks = { 0 }, file = { 0 };
    char name[48], stamp[32], job[64] = "", gallery[PATH_MAX], path[PATH_MAX];
    time_t now = time(NULL);
    struct tm tm;
    a->recipe.threads = a->o->threads ? a->o->threads : 1;
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", gmtime_r(&now, &tm));
    snprintf(name, sizeof(name), "%s-%lld", stamp, (long long)a->me.pid);
    int ret = claim_all(a, &c, &tasks);
    if (ret >= 0 && c.n) {
        int64_t n_elements = c.n < MAX_ELEMENTS ? c.n : MAX_ELEMENTS, n_per = (c.n + n_elements - 1) / n_elements;
        n_elements = (c.n + n_per - 1) / n_per;
        Recipe r = a->recipe;
        r.gallery = gallery;
        if ((ret = copy_gallery(a, name, gallery)) >= 0) {
            put_head(&file, &r, n_per);
            words_put_bytes(&file, tasks.at, tasks.bytes);
            file.failed |= tasks.failed;
            run_path(path, a, name, "tasks");
            ret = write_words(a, &file, path, 0600);
        }
        if (ret >= 0)
            ret = write_script(a, name);
        if (ret >= 0)
            ret = submit(a, name, n_elements, job);
        if (ret >= 0)
            tool_note(a->tool, "Slurm job %s: %d part%s in %lld array element%s", job, c.n, c.n == 1 ? "" : "s", (long long)n_elements,
                      n_elements == 1 ? "" : "s");
    }
    MienJobOwner task = { .pid = 0 };
    snprintf(task.task, sizeof(task.task), "%s %s", job, name);
    for (int i = 0; i < c.n; i++) {
        int err = ret < 0 ? mien_jobs_end_part(a->jobs, c.part[i].key, &a->me, MIEN_JOB_WAITING, NULL)
                          : mien_jobs_hand_over(a->jobs, c.part[i].key, &a->me, &task);
        if (err < 0 && ret >= 0)
            ret = err;
    }
    if (ret < 0)
        remove_run(a, name);
    words_free(&tasks);
    mien_free(c.part);
    return ret;
}

/* ---- collecting */

/* 1: Slurm knows the job and it has not ended; 0: it is gone; negative: Slurm does not answer. */
static int job_is_there(const char *job)
{
    const char *argv[] = { "squeue", "-h", "-j", job, "-o", "%i", NULL };
    char answer[1024];
    int ret = program_output(argv, answer, sizeof(answer));
    if (ret == 0)
        return *answer != 0;
    return ret > 0 && strstr(answer, "Invalid job id") ? 0 : MIEN_E_BUSY;
}

/* Of more jobs than there is room for, the last place serves all: they are asked for more often. */
static KnownJob *known_job(Annotate *a, const char *task)
{
    size_t i = 0;
    while (i + 1 < MIEN_ARRAY_ELEMS(a->known) && *a->known[i].task && strcmp(a->known[i].task, task))
        i++;
    if (strcmp(a->known[i].task, task)) {
        a->known[i] = (KnownJob){ .asked_s = 0 };
        snprintf(a->known[i].task, sizeof(a->known[i].task), "%s", task);
    }
    return &a->known[i];
}

static int is_given_up(Annotate *a, const char *task)
{
    KnownJob *k = known_job(a, task);
    char job[64], name[64];
    double now = seconds_now();
    split_task(task, job, name);
    if (!k->asked_s || now - k->asked_s > QUEUE_S) {
        int there = job_is_there(job);
        if (there < 0 && !k->told) {
            k->told = 1;
            tool_warn(a->tool, "squeue does not say whether Slurm job %s still exists; its results are waited for", job);
        }
        k->asked_s = now;
        if (there > 0)
            k->gone_s = 0;
        else if (there == 0 && !k->gone_s)
            k->gone_s = now;
    }
    return k->gone_s > 0 && now - k->gone_s > LATE_S;
}

static int64_t state_of(const Annotate *a, const char *key)
{
    char path[PATH_MAX], text[64] = "";
    part_path(path, a->work, key, "state");
    FILE *f = fopen(path, "re");
    if (!f)
        return 0;
    if (!fgets(text, sizeof(text), f))
        *text = 0;
    fclose(f);
    text[strcspn(text, "\n")] = 0;
    int64_t us = number_of(text);
    return us > 0 ? us : 0;
}

static int fail_part(Annotate *a, const MienJobPart *part, const char *reason)
{
    MienJobFile f;
    int ret = mien_jobs_end_part(a->jobs, part->key, &part->owner, MIEN_JOB_FAILED, reason);
    if (ret > 0 && mien_jobs_find_id(a->jobs, part->file, &f) >= 0)
        annotate_tell(a, f.path, "failed", reason);
    return ret;
}

/* 1: still being worked on, 0: ended. *us grows by how far it is. */
static int collect_part(Annotate *a, const MienJobPart *part, int64_t *us)
{
    char path[PATH_MAX], reason[512], job[64], name[64];
    uint8_t *text = NULL;
    size_t bytes;
    int ret;
    if (part_is_there(a->work, part->key))
        return mien_jobs_end_part(a->jobs, part->key, &part->owner, MIEN_JOB_DONE, NULL) < 0 ? -1 : 0;
    part_path(path, a->work, part->key, "failed");
    if (!access(path, F_OK) && mieni_file_read(path, 1 << 16, &text, &bytes, (MienLog){ 0 }) >= 0) {
        ret = fail_part(a, part, (const char *)text);
        mien_free(text);
        unlink(path);
        return ret < 0 ? ret : 0;
    }
    if (!is_given_up(a, part->owner.task)) {
        *us += state_of(a, part->key);
        return 1;
    }
    split_task(part->owner.task, job, name);
    snprintf(reason, sizeof(reason), "Slurm job %s ended and left no result of it; what it printed is in .annotate/run-%s.*.out", job, name);
    ret = fail_part(a, part, reason);
    return ret < 0 ? ret : 0;
}

/* Runs of which no part is being worked on any more. */
static void remove_ended_runs(Annotate *a, const MienJobPart *part, int n, const uint8_t *ended)
{
    for (int i = 0; i < n; i++) {
        char job[64], name[64];
        int is_used = !*part[i].owner.task || !ended[i];
        for (int k = 0; k < n && !is_used; k++)
            is_used = !ended[k] && !strcmp(part[k].owner.task, part[i].owner.task);
        if (is_used)
            continue;
        split_task(part[i].owner.task, job, name);
        remove_run(a, name);
    }
}

static int collect(Annotate *a, int64_t *running_us)
{
    MienJobPart *part;
    int n = mien_jobs_parts(a->jobs, 0, MIEN_JOB_RUNNING, &part), n_left = 0, ret = n;
    uint8_t *ended = n > 0 ? mien_calloc((size_t)n, 1) : NULL;
    if (n > 0 && !ended)
        ret = MIEN_ERR(ENOMEM);
    for (int i = 0; i < n && ret >= 0; i++) {
        if (!*part[i].owner.task)
            continue;
        if ((ret = collect_part(a, &part[i], running_us)) < 0)
            break;
        ended[i] = !ret;
        n_left += ret;
    }
    if (ret >= 0)
        remove_ended_runs(a, part, n > 0 ? n : 0, ended);
    mien_free(ended);
    mien_free(part);
    return ret < 0 ? ret : n_left;
}

int annotate_collect(Annotate *a)
{
    int64_t us = 0;
    return collect(a, &us);
}

int annotate_wait(Annotate *a)
{
    MienJobCounts counts;
    int n_left = 1, ret = annotate_begin_progress(a, &counts);
    while (!interrupted() && ret >= 0 && n_left) {
        int64_t us = 0;
        ret = n_left = collect(a, &us);
        if (ret >= 0)
            ret = annotate_publish(a);
        annotate_progress(a, us);
        if (ret >= 0 && n_left)
            poll(NULL, 0, (int)(LOOK_S * 1000));
    }
    progress_end(&a->progress);
    return ret < 0 ? ret : n_left;
}
