/* What is to be done: films, what their results depend on, where they are cut; see annotate.h. */
#include "annotate.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <nettle/sha2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "galleries.h"
#include "media.h"
#include "mien/gallery.h"

#define EDGE_BYTES (1 << 20) /* so much of a film's beginning and end is part of what it is known by */

/* ---- opening */

static int make_folder(const Tool *tool, const char *path, char real[PATH_MAX])
{
    char step[PATH_MAX];
    if (snprintf(step, sizeof(step), "%s", path) >= (int)sizeof(step))
        return tool_error(tool, "%s: %s", safe(path), strerror(ENAMETOOLONG)), MIEN_ERR(ENAMETOOLONG);
    for (char *slash = strchr(step + 1, '/');; slash = strchr(slash + 1, '/')) {
        if (slash)
            *slash = 0;
        if (mkdir(step, 0777) < 0 && errno != EEXIST && !slash)
            return tool_error(tool, "%s: %s", safe(path), strerror(errno)), MIEN_ERR(errno);
        if (!slash)
            break;
        *slash = '/';
    }
    if (!realpath(path, real))
        return tool_error(tool, "%s: %s", safe(path), strerror(errno)), MIEN_ERR(errno);
    return 0;
}

static int fingerprint(Annotate *a, char hex[65])
{
    MienGallery *g = gallery_open(a->tool, MIEN_GALLERY_READ);
    int ret = g ? mien_gallery_fingerprint(g, hex) : MIEN_E_NOTFOUND;
    if (ret >= 0 && !realpath(mien_gallery_path(g), a->gallery)) {
        ret = MIEN_ERR(errno);
        tool_error(a->tool, "%s: %s", safe(mien_gallery_path(g)), strerror(errno));
    }
    mien_gallery_close(&g);
    return ret;
}

int annotate_gallery_changed(Annotate *a)
{
    char hex[65];
    return !a->detect_only && fingerprint(a, hex) >= 0 && strcmp(hex, a->gallery_hash);
}

static int read_filter(Annotate *a)
{
    static const char *const taken[][2] = { { "log", "the results are written to --out" },
                                            { "format", "results are JSON lines" }, { "gallery", "use --gallery" },
                                            { "models", "use --models" }, { "encoder", "use --encoder" } };
    char value[64] = "";
    const char *filter = a->o->filter ? a->o->filter : "";
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(taken); i++)
        if (filter_option(filter, taken[i][0], value, sizeof(value)))
            return tool_error(a->tool, "--filter may not set '%s': %s", taken[i][0], taken[i][1]), MIEN_ERR(EINVAL);
    a->detect_only = filter_option(filter, "mode", value, sizeof(value)) && !strcmp(value, "detect");
    return 0;
}

/* What a result depends on besides film and gallery. Not the number of threads, which changes no tag. */
static int hash_params(Annotate *a)
{
    Words w = { 0 };
    char text[64];
    snprintf(text, sizeof(text), "1\n%d\n%.6f\n", a->o->video, a->o->segment_s);
    words_put(&w, text);
    const char *const part[] = { a->recipe.encoder, a->recipe.formats, a->recipe.filter };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(part); i++) {
        words_put(&w, part[i]);
        words_put(&w, "\n");
    }
    if (w.failed)
        return tool_error(a->tool, "out of memory"), MIEN_ERR(ENOMEM);
    mieni_sha256_hex(w.at, w.bytes, a->params);
    words_free(&w);
    return 0;
}

int annotate_open_jobs(Annotate *a, const char *dir)
{
    char path[PATH_MAX];
    int create = !a->o->status && !a->o->merge && !a->o->dry_run;
    if (!realpath(dir, a->out))
        return tool_error(a->tool, "%s: %s", safe(dir), strerror(errno)), MIEN_ERR(errno);
    if (snprintf(a->work, sizeof(a->work), "%s/.annotate", a->out) >= (int)sizeof(a->work) ||
        snprintf(path, sizeof(path), "%s/annotate.db", a->out) >= (int)sizeof(path))
        return tool_error(a->tool, "%s: %s", safe(dir), strerror(ENAMETOOLONG)), MIEN_ERR(ENAMETOOLONG);
    a->recipe.work = a->work;
    if (create && mkdir(a->work, 0777) < 0 && errno != EEXIST)
        return tool_error(a->tool, "%s: %s", safe(a->work), strerror(errno)), MIEN_ERR(errno);
    owner_of_this_process(&a->me);
    const char *jobs = a->o->jobs ? a->o->jobs : path;
    if (a->o->dry_run && access(jobs, F_OK))
        return 0; /* nothing is done yet, and nothing is made */
    return mien_jobs_open(&a->jobs, jobs, create, a->tool->log);
}

int annotate_open(Annotate *a)
{
    int ret = read_filter(a);
    if (ret < 0 || (ret = ffmpeg_find(a->tool, a->o->ffmpeg, a->ffmpeg, sizeof(a->ffmpeg))) < 0)
        return ret;
    if (a->tool->models && !realpath(a->tool->models, a->models))
        return tool_error(a->tool, "%s: %s", safe(a->tool->models), strerror(errno)), MIEN_ERR(errno);
    a->recipe = (Recipe){ .ffmpeg = a->ffmpeg, .filter = a->o->filter ? a->o->filter : "", .gallery = a->gallery, .models = a->models,
                          .encoder = a->tool->encoder ? a->tool->encoder : "", .formats = a->o->formats ? a->o->formats : "",
                          .video = a->o->video };
    if ((!a->detect_only && (ret = fingerprint(a, a->gallery_hash)) < 0) || (ret = hash_params(a)) < 0)
        return ret;
    if (!a->o->dry_run || !access(a->o->out, F_OK))
        ret = make_folder(a->tool, a->o->out, a->out);
    else
        snprintf(a->out, sizeof(a->out), "%s", a->o->out);
    if (ret >= 0 && !access(a->out, F_OK))
        ret = annotate_open_jobs(a, a->out);
    return ret;
}

void annotate_close(Annotate *a)
{
    mien_jobs_close(&a->jobs);
}

/* ---- a film's identity */

static int hash_edges(const char *path, int64_t size, char hex[65])
{
    uint8_t *buf = mien_malloc(EDGE_BYTES), sum[SHA256_DIGEST_SIZE];
    struct sha256_ctx ctx;
    int fd = open(path, O_RDONLY | O_CLOEXEC), ret = !buf ? MIEN_ERR(ENOMEM) : fd < 0 ? MIEN_ERR(errno) : 0;
    const int64_t from[2] = { 0, size > EDGE_BYTES ? size - EDGE_BYTES : size };
    sha256_init(&ctx);
    for (int i = 0; i < 2 && ret >= 0; i++) {
        ssize_t n = pread(fd, buf, EDGE_BYTES, from[i]);
        if (n < 0)
            ret = MIEN_ERR(errno);
        else
            sha256_update(&ctx, (size_t)n, buf);
    }
    sha256_digest(&ctx, sizeof(sum), sum);
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    if (fd >= 0)
        close(fd);
    mien_free(buf);
    return ret;
}

/* ---- its parts */

typedef struct Parts {
    MienJobPart *part;
    int n;
} Parts;

static int add_part(Parts *p, int64_t from_us)
{
    MienJobPart *more = mien_realloc_array(p->part, (size_t)p->n + 1, sizeof(*more));
    if (!more)
        return MIEN_ERR(ENOMEM);
    p->part = more;
    if (p->n)
        more[p->n - 1].to_us = from_us;
    more[p->n] = (MienJobPart){ .number = p->n, .from_us = from_us, .to_us = -1 };
    p->n++;
    return 0;
}

/* At the first key frame after every segment_us, but not shortly before the end. */
static int cut(Parts *p, const int64_t *key_us, int64_t n_keys, int64_t end_us, int64_t segment_us)
{
    int64_t from_us = 0;
    int ret = add_part(p, 0);
    for (int64_t i = 0; i < n_keys && ret >= 0; i++)
        if (key_us[i] >= from_us + segment_us && end_us - key_us[i] >= segment_us / 2)
            ret = add_part(p, from_us = key_us[i]);
    return ret;
}

/* Names no other film's, other stretch's or other setting's result. */
static void make_keys(Parts *p, const MienJobFile *f)
{
    for (int i = 0; i < p->n; i++) {
        struct sha256_ctx ctx;
        uint8_t sum[SHA256_DIGEST_SIZE];
        char text[128];
        const char *const word[] = { f->hash, f->params, f->gallery, text, f->path };
        snprintf(text, sizeof(text), "%lld %lld %lld %lld", (long long)f->size_bytes, (long long)f->mtime_ns, (long long)p->part[i].from_us,
                 (long long)p->part[i].to_us);
        sha256_init(&ctx);
        for (size_t k = 0; k < MIEN_ARRAY_ELEMS(word); k++)
            sha256_update(&ctx, strlen(word[k]) + 1, (const uint8_t *)word[k]);
        sha256_digest(&ctx, sizeof(sum), sum);
        for (size_t k = 0; k < sizeof(sum); k++)
            snprintf(p->part[i].key + 2 * k, 3, "%02x", sum[k]);
    }
}

/* Length and cuts. What can't be read here is left to ffmpeg, which says why. */
static int find_parts(Annotate *a, MienJobFile *f, Parts *p)
{
    Media *m = NULL;
    int64_t *key_us = NULL, n = 0, end_us = 0;
    int ret = 0;
    if (media_open(&m, f->path, 1, (MienLog){ 0 }) >= 0) {
        f->duration_us = (int64_t)(media_duration_s(m) * 1e6);
        if (a->o->segment_s > 0 && media_is_video(m) && (n = media_key_frames(m, &key_us, &end_us)) == 0)
            tool_warn(a->tool, "%s: its time stamps jump or are missing; it is not cut", safe(f->path));
    }
    media_close(&m);
    ret = n < 0 ? (int)n : cut(p, key_us, n, end_us, (int64_t)llround(a->o->segment_s * 1e6));
    mien_free(key_us);
    return ret;
}

/* ---- a film */

/* Below --out: its path below the folder that was given, or its name. Another film with that name gets a piece of its path's hash. */
static void name_result(char buf[PATH_MAX], const Annotate *a, const char *path, const char *below, int other)
{
    MienJobFile f;
    char hex[65], name[PATH_MAX];
    snprintf(name, sizeof(name), "%s", below);
    mieni_sha256_hex(path, strlen(path), hex);
    if (!other && a->jobs && mien_jobs_find(a->jobs, path, &f) >= 0) {
        snprintf(buf, PATH_MAX, "%s", f.result);
        return;
    }
    other |= a->jobs && mien_jobs_find_result(a->jobs, name, &f) >= 0 && strcmp(f.path, path);
    if (other)
        snprintf(buf, PATH_MAX, "%.*s.%.8s", PATH_MAX - 16, name, hex);
    else
        snprintf(buf, PATH_MAX, "%s", name);
}

static int result_is_there(const Annotate *a, const char *result)
{
    char path[PATH_MAX];
    return snprintf(path, sizeof(path), "%s/%s.jsonl", a->out, result) < (int)sizeof(path) && !access(path, F_OK);
}

/* Why the film is to be done, or NULL: it is, or is being done. *id: its number, 0: it must be entered anew. */
static const char *why_do(const Annotate *a, const MienJobFile *now, int64_t *id)
{
    MienJobFile f;
    *id = 0;
    if (!a->jobs || mien_jobs_find(a->jobs, now->path, &f) < 0)
        return "new";
    if (f.size_bytes != now->size_bytes || f.mtime_ns != now->mtime_ns || strcmp(f.hash, now->hash))
        return "the file has changed";
    if (strcmp(f.params, now->params))
        return "other settings";
    if (strcmp(f.gallery, now->gallery) && !(a->o->keep && f.state == MIEN_JOB_DONE))
        return "the gallery has changed";
    *id = f.id;
    if (f.state == MIEN_JOB_DONE && !result_is_there(a, f.result))
        return "its result is gone";
    if (f.state == MIEN_JOB_FAILED && !a->o->retry && f.n_tries >= a->o->tries)
        return NULL;
    if (f.state != MIEN_JOB_DONE)
        return "not done yet";
    return a->o->redo ? "to be redone" : NULL;
}

/* Removes results that were not published: file 0: of all chosen films. */
static void clean_parts(Annotate *a, int64_t file)
{
    MienJobPart *part;
    int n = mien_jobs_parts(a->jobs, file, -1, &part);
    for (int i = 0; i < n; i++)
        part_clean(a->work, part[i].key, NULL);
    mien_free(part);
}

static int enter(Annotate *a, MienJobFile *f, const char *below)
{
    Parts p = { 0 };
    char result[PATH_MAX];
    int ret = find_parts(a, f, &p);
    if (ret >= 0) {
        MienJobFile old;
        make_keys(&p, f);
        if (mien_jobs_find(a->jobs, f->path, &old) >= 0)
            clean_parts(a, old.id); /* nobody will ask for their keys again */
        ret = mien_jobs_put(a->jobs, f, p.part, p.n);
    }
    if (ret == MIEN_E_EXISTS) { /* another process was quicker with another film of that name */
        name_result(result, a, f->path, below, 1);
        f->result = result;
        ret = mien_jobs_put(a->jobs, f, p.part, p.n);
    }
    mien_free(p.part);
    MienJobFile entered;
    if (ret >= 0 && (ret = mien_jobs_find(a->jobs, f->path, &entered)) >= 0)
        f->id = entered.id;
    return ret;
}

/* Chooses the film, entered or brought up to date. */
static int plan_film(Annotate *a, const char *path, const char *below)
{
    struct stat st;
    char hash[65], result[PATH_MAX];
    int ret;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || (ret = hash_edges(path, st.st_size, hash)) < 0) {
        tool_error(a->tool, "%s: %s", safe(path), errno ? strerror(errno) : "is not a regular file");
        return 0; /* told; the others go on */
    }
    name_result(result, a, path, below, 0);
    MienJobFile f = { .path = path, .result = result, .size_bytes = st.st_size, .hash = hash, .params = a->params, .gallery = a->gallery_hash,
                      .mtime_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec };
    const char *why = why_do(a, &f, &f.id);
    a->n_done_before += !why;
    a->n_new += why && !strcmp(why, "new");
    a->n_changed += why && !f.id && strcmp(why, "new");
    if (a->o->dry_run) {
        annotate_tell(a, path, why ? "to do" : "nothing to do", why ? why : "");
        return 1;
    }
    if (!f.id && (ret = enter(a, &f, below)) < 0)
        return ret;
    if ((ret = mien_jobs_choose(a->jobs, f.id)) < 0)
        return ret;
    if (why && !strcmp(why, "its result is gone"))
        ret = mien_jobs_redo(a->jobs, f.id);
    return ret < 0 ? ret : 1;
}

/* ---- arguments */

static int is_below(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    return !strncmp(path, dir, n) && path[n] == '/';
}

/* A folder's films, found by their endings; what lies in the results' folder is a result. */
static int plan_argument(Annotate *a, const char *arg, int64_t *n_films, int *n_bad)
{
    FileList list = { 0 };
    struct stat st;
    char real[PATH_MAX];
    int is_folder = !stat(arg, &st) && S_ISDIR(st.st_mode), ret = files_add(&list, a->tool, arg);
    size_t skip = is_folder ? strlen(arg) + (arg[strlen(arg) - 1] != '/') : 0;
    for (int64_t i = 0; i < list.n && ret >= 0 && !interrupted(); i++) {
        const char *path = list.path[i], *slash = strrchr(path, '/'), *below = is_folder ? path + skip : slash ? slash + 1 : path;
        if (is_folder && media_known_suffix(path) != 2)
            continue;
        if (!realpath(path, real)) {
            tool_error(a->tool, "%s: %s", safe(path), strerror(errno));
            ++*n_bad;
            continue;
        }
        if (is_folder && is_below(real, a->out))
            continue;
        errno = 0;
        ret = plan_film(a, real, below);
        *n_bad += ret == 0;
        *n_films += ret > 0;
        progress_step(&a->progress, *n_films);
    }
    files_free(&list);
    return ret;
}

int annotate_plan(Annotate *a, int n_args, char **args)
{
    int64_t n_films = 0;
    int n_bad = 0, ret = 0;
    progress_begin(&a->progress, a->tool, "films looked at", 0);
    for (int i = 0; i < n_args && ret >= 0; i++)
        ret = plan_argument(a, args[i], &n_films, &n_bad);
    progress_end(&a->progress);
    if (ret >= 0 && !n_films && !n_bad && !interrupted()) {
        tool_error(a->tool, "there is no video among the arguments");
        ret = MIEN_E_NOTFOUND;
    }
    if (ret >= 0 && a->o->redo && a->jobs && !a->o->dry_run) {
        clean_parts(a, 0);
        ret = mien_jobs_redo(a->jobs, 0);
    }
    if (ret >= 0 && a->jobs && !a->o->dry_run)
        ret = mien_jobs_retry(a->jobs, a->o->retry ? -1 : a->o->tries);
    return ret < 0 ? ret : n_bad;
}
