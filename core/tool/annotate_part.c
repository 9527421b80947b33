/* One part of a film: one run of ffmpeg whose results get their names at its end; see annotate.h. */
#include "annotate.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mien/common.h"

static const char *const endings[] = { "frames", "mkv", "vtt", "srt", "csv", "ffmeta", "jsonl" }; /* the log last: where it is, all is */
const char *const part_products[] = { "mkv", "vtt", "srt", "csv", "ffmeta", NULL };

int part_has_product(const Recipe *r, const char *ending)
{
    size_t n = strlen(ending);
    if (!strcmp(ending, "mkv"))
        return r->video;
    for (const char *p = r->formats; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ','))
        if (strcspn(p, ",") == n && !strncmp(p, ending, n))
            return 1;
    return 0;
}

void part_path(char buf[PATH_MAX], const char *work, const char *key, const char *ending)
{
    snprintf(buf, PATH_MAX, "%s/%s.%s", work, key, ending);
}

int part_is_there(const char *work, const char *key)
{
    char path[PATH_MAX];
    part_path(path, work, key, "jsonl");
    return access(path, F_OK) == 0;
}

/* Of one process on one machine, so that two that do the same part by mistake never write one file. */
static void temporary(char buf[PATH_MAX], const char *work, const char *key, const MienJobOwner *owner)
{
    snprintf(buf, PATH_MAX, "%s/%s.tmp-%s-%lld", work, key, owner->host, (long long)owner->pid);
}

static void remove_all(const char *stem)
{
    char path[PATH_MAX];
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(endings); i++)
        if (snprintf(path, sizeof(path), "%s.%s", stem, endings[i]) < (int)sizeof(path))
            unlink(path);
}

void part_clean(const char *work, const char *key, const MienJobOwner *owner)
{
    char stem[PATH_MAX];
    if (owner) {
        temporary(stem, work, key, owner);
    } else if (snprintf(stem, sizeof(stem), "%s/%s", work, key) >= (int)sizeof(stem)) {
        return;
    }
    remove_all(stem);
}

/* ---- the command line */

/* Of the frames that two parts share, each one's boxes, with the time in microseconds whatever the film's own units are: stitch.h. */
static void put_frames(Words *w, const PartRun *run)
{
    const MienJobPart *p = &run->part;
    char text[160];
    words_put(w, ",settb=1/1000000,metadata=mode=print:enable=");
    /* half a microsecond early: times are compared as doubles */
    if (p->from_us > 0)
        snprintf(text, sizeof(text), "lt(t\\,%.7f)%s", (double)(p->from_us + OVERLAP_US) * 1e-6, p->to_us >= 0 ? "+" : "");
    words_put(w, p->from_us > 0 ? text : "");
    snprintf(text, sizeof(text), "gte(t\\,%.7f)", (double)p->to_us * 1e-6 - 0.5e-6);
    words_put(w, p->to_us >= 0 ? text : "");
    words_put(w, ":file=");
    words_put_value(w, run->tmp);
    words_put(w, ".frames");
}

/* A | would begin another log. */
static void put_log_name(Words *w, const char *path)
{
    Words name = { 0 };
    for (; *path; path++) {
        words_put(&name, *path == '|' ? "\\" : "");
        words_put_bytes(&name, path, 1);
    }
    words_put_value(w, name.failed ? "" : name.at);
    w->failed |= name.failed;
    words_free(&name);
}

static void put_chain(Words *w, const PartRun *run, const Recipe *r)
{
    const char *const option[][2] = { { "gallery", r->gallery }, { "models", r->models }, { "encoder", r->encoder } };
    words_put(w, "facetag=log=file\\\\:");
    put_log_name(w, run->tmp);
    words_put(w, ".jsonl");
    for (int i = 1; part_products[i]; i++)
        if (part_has_product(r, part_products[i])) {
            words_put(w, "|file\\\\:");
            put_log_name(w, run->tmp);
            words_put(w, ".");
            words_put(w, part_products[i]);
        }
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(option); i++)
        if (*option[i][1]) {
            words_put(w, ":");
            words_put(w, option[i][0]);
            words_put(w, "=");
            words_put_value(w, option[i][1]);
        }
    if (r->video)
        words_put(w, ":draw=all");
    if (*r->filter) {
        words_put(w, ":");
        words_put(w, r->filter);
    }
    if (run->is_cut)
        put_frames(w, run);
}

typedef struct Argv {
    const char *word[48];
    int n;
} Argv;

static void add(Argv *a, const char *word)
{
    a->word[a->n++] = word;
}

static void add2(Argv *a, const char *option, const char *value)
{
    add(a, option);
    add(a, value);
}

/* The whole film as `ffmpeg -i FILE -vf facetag=… -f null -` would do it; a part of it with the time stamps that it has there. */
static int start(PartRun *run, const Recipe *r)
{
    const MienJobPart *p = &run->part;
    Argv a = { .n = 0 };
    Words chain = { 0 }, input = { 0 }, output = { 0 };
    char threads[16], from[32], length[32];
    snprintf(threads, sizeof(threads), "%d", r->threads);
    snprintf(from, sizeof(from), "%.6f", (double)p->from_us * 1e-6);
    snprintf(length, sizeof(length), "%.6f", (double)(p->to_us - p->from_us + OVERLAP_US) * 1e-6);
    words_put(&input, "file:"); /* so that no name is taken for an option or a protocol */
    words_put(&input, run->path);
    words_put(&output, "file:");
    words_put(&output, run->tmp);
    words_put(&output, ".mkv");
    put_chain(&chain, run, r);

    add(&a, r->ffmpeg);
    add(&a, "-hide_banner");
    add(&a, "-nostdin");
    add(&a, "-nostats");
    add2(&a, "-v", "error");
    add2(&a, "-progress", "pipe:1");
    if (r->threads) {
        add2(&a, "-filter_threads", threads);
        add2(&a, "-threads", threads);
    }
    if (run->is_cut) {
        add(&a, "-copyts");
        add(&a, "-start_at_zero");
        if (p->from_us > 0)
            add2(&a, "-ss", from);
        if (p->to_us >= 0)
            add2(&a, "-t", length);
    }
    add2(&a, "-i", input.at);
    add2(&a, "-vf", chain.at);
    add(&a, "-sn");
    add(&a, "-dn");
    if (r->video) {
        add2(&a, "-c:a", "copy");
        add2(&a, "-f", "matroska");
        add(&a, "-y");
        add(&a, output.at);
    } else {
        add(&a, "-an");
        add2(&a, "-f", "null");
        add(&a, "-");
    }
    int ret = chain.failed || input.failed || output.failed ? MIEN_ERR(ENOMEM) : child_start(&run->child, (char *const *)(uintptr_t)a.word);
    words_free(&chain);
    words_free(&input);
    words_free(&output);
    return ret;
}

int part_start(PartRun *run, const Tool *tool, const Recipe *recipe, const MienJobPart *part, const char *path, const MienJobOwner *owner)
{
    memset(run, 0, sizeof(*run));
    run->part = *part;
    run->is_cut = part->from_us > 0 || part->to_us >= 0;
    temporary(run->tmp, recipe->work, part->key, owner);
    run->path = mien_strdup(path);
    int ret = run->path ? start(run, recipe) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        return 0;
    tool_error(tool, "%s: ffmpeg cannot be started: %s", safe(path), mien_strerror(ret));
    mien_free(run->path);
    run->path = NULL;
    return ret;
}

/* ---- its end */

/* may_lack: without a frame the filter opens no log; of a stretch that cannot be decoded, nothing is the result.
 * On disk before it has its name, or a power cut could leave an empty file that counts as done. */
static int give_name(const char *from, const char *to, int may_lack)
{
    int fd = open(from, O_RDONLY | O_CLOEXEC | (may_lack ? O_CREAT : 0), 0666);
    if (fd < 0)
        return MIEN_ERR(errno);
    int err = fsync(fd) < 0 ? errno : 0;
    close(fd);
    if (!err && rename(from, to) < 0)
        err = errno;
    return MIEN_ERR(err);
}

static int give_names(const PartRun *run, const Recipe *r)
{
    int ret = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(endings) && ret >= 0; i++) {
        char from[PATH_MAX], to[PATH_MAX];
        int wanted = !strcmp(endings[i], "jsonl") || (run->is_cut && !strcmp(endings[i], "frames")) || part_has_product(r, endings[i]);
        if (snprintf(from, sizeof(from), "%s.%s", run->tmp, endings[i]) >= (int)sizeof(from))
            ret = MIEN_ERR(ENAMETOOLONG);
        part_path(to, r->work, run->part.key, endings[i]);
        if (wanted && ret >= 0)
            ret = give_name(from, to, run->is_cut);
    }
    return ret;
}

static void end_run(PartRun *run)
{
    remove_all(run->tmp);
    mien_free(run->path);
    run->path = NULL;
}

int part_finish(PartRun *run, const Recipe *recipe, int wait_status, char *reason, size_t reason_bytes)
{
    int ret = WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0 ? 0 : MIEN_E_FORMAT;
    *reason = 0;
    if (ret < 0)
        child_reason(&run->child, wait_status, reason, reason_bytes);
    else if ((ret = give_names(run, recipe)) == MIEN_ERR(ENOENT))
        snprintf(reason, reason_bytes, "ffmpeg found no frame in it%s%s", *run->child.last ? ": " : "", run->child.last);
    else if (ret < 0)
        snprintf(reason, reason_bytes, "ffmpeg ended well, but its results cannot be kept: %s", mien_strerror(ret));
    else
        snprintf(reason, reason_bytes, "%s", *run->child.told ? run->child.told : run->child.last);
    end_run(run);
    return ret;
}

void part_abort(PartRun *run)
{
    child_kill(&run->child);
    end_run(run);
}

int64_t part_position_us(const PartRun *run)
{
    int64_t at = run->child.out_time_us, from = run->is_cut ? run->part.from_us : 0;
    int64_t most = run->part.to_us >= 0 ? run->part.to_us - from : INT64_MAX;
    at = at > from ? at - from : 0;
    return at < most ? at : most;
}
