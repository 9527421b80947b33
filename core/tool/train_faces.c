/* Faces to train on; see train_faces.h. */
#include <string.h>

#include "files.h"
#include "media.h"
#include "train_faces.h"
#include "train_pairs.h"
#include "work.h"

typedef struct Reading {
    const Tool *tool;
    Faces *engines;
    const FileList *files;
    TrainFaces *t;
    size_t chip_bytes;
    uint8_t *chip; /* ring of lead */
    int *found;    /* ring: 1, 0 or negative */
    char (*message)[512];
    int lead;
    const int32_t *person; /* per file */
    Progress progress;
} Reading;

static void keep_message(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    char *message = priv;
    if (level == MIEN_LOG_ERROR && !*message)
        vsnprintf(message, 512, fmt, ap);
}

/* 1: the picture's face is in chip; 0: it has none, or several. */
static int read_face(MienFaceEngine *engine, const char *path, uint8_t *chip, MienLog log)
{
    MienFace *faces = mien_calloc(FACES_MAX, sizeof(*faces));
    char *sure = mien_calloc(FACES_MAX, 1);
    uint8_t *rgb8 = NULL;
    MienImage img;
    int ret = faces && sure ? media_read_picture(path, &rgb8, &img, NULL, log) : MIEN_ERR(ENOMEM), n = 0;
    if (ret >= 0)
        ret = n = faces_analyse(engine, &img, faces, sure);
    if (ret >= 0) {
        int i = face_only(faces, sure, n);
        ret = i < 0 ? 0 : mien_face_chip(engine, &img, &faces[i], chip) < 0 ? -1 : 1;
    }
    mien_free(rgb8);
    mien_free(faces);
    mien_free(sure);
    return ret;
}

static void make(void *priv, int worker, int64_t i)
{
    Reading *r = priv;
    char *message = r->message[i % r->lead];
    MienLog log = { .write = keep_message, .priv = message, .level = MIEN_LOG_ERROR };
    *message = 0;
    r->found[i % r->lead] = read_face(r->engines->engine[worker], r->files->path[i], r->chip + (size_t)(i % r->lead) * r->chip_bytes, log);
}

static int take(void *priv, int64_t i)
{
    Reading *r = priv;
    TrainFaces *t = r->t;
    int found = r->found[i % r->lead];
    if (found == MIEN_ERR(ENOMEM))
        return tool_error(r->tool, "out of memory"), 1;
    if (found <= 0) {
        t->n_skipped++;
        tool_warn(r->tool, "%s: left out: %s", safe(r->files->path[i]),
                  !found ? "no face, or several" : *r->message[i % r->lead] ? safe(r->message[i % r->lead]) : mien_strerror(found));
        return 0;
    }
    memcpy(t->rgb8 + (size_t)t->faces.n * r->chip_bytes, r->chip + (size_t)(i % r->lead) * r->chip_bytes, r->chip_bytes);
    t->person[t->faces.n++] = r->person[i];
    return 0;
}

static void tick(void *priv, int64_t done)
{
    progress_step(&((Reading *)priv)->progress, done);
}

/* The name of the folder below dir that a path lies in, and its length; NULL: it lies in none. */
static const char *person_of(const char *dir, const char *path, size_t *bytes)
{
    const char *p = path + strlen(dir);
    p += strspn(p, "/");
    *bytes = strcspn(p, "/");
    return p[*bytes] ? p : NULL;
}

/* Files come sorted by folder: a new name is a new person. */
static int name_people(const FileList *files, const Tool *tool, const char *dir, int32_t *person)
{
    const char *last = NULL;
    size_t last_bytes = 0, bytes;
    int32_t who = -1;
    for (int64_t i = 0; i < files->n; i++) {
        const char *name = person_of(dir, files->path[i], &bytes);
        if (!name)
            return tool_error(tool, "%s: lies in no person's folder; %s/PERSON/PICTURE is wanted", safe(files->path[i]), safe(dir)), -1;
        who += !last || bytes != last_bytes || memcmp(name, last, bytes);
        last = name;
        last_bytes = bytes;
        person[i] = who;
    }
    return 0;
}

/* People without a usable picture go; the others are numbered anew and split. */
static int split(TrainFaces *t, const Tool *tool, double holdout, uint64_t seed)
{
    size_t n = (size_t)t->faces.n, n_people = 0;
    size_t *members = mien_calloc(n + 1, sizeof(*members));
    uint8_t *part = mien_calloc(n + 1, 1);
    int ret = members && part ? 0 : (tool_error(tool, "out of memory"), -1);
    int32_t last = -1;
    for (size_t i = 0; i < n && ret >= 0; i++) {
        n_people += t->person[i] != last;
        last = t->person[i];
        t->person[i] = (int32_t)n_people - 1;
        members[n_people - 1]++;
    }
    if (ret >= 0)
        ret = split_people(members, n_people, holdout, seed, part, tool);
    for (size_t i = 0; i < n && ret >= 0; i++)
        t->held[i] = part[t->person[i]];
    for (size_t i = 0; i < n_people && ret >= 0; i++)
        t->n_held += part[i];
    t->n_people = (int)n_people;
    mien_free(members);
    mien_free(part);
    return ret;
}

int train_faces_read(TrainFaces *t, const Tool *tool, Faces *engines, const char *dir, double holdout, uint64_t seed)
{
    FileList files = { 0 };
    int chip_px = MIEN_TRAIN_CHIP_PX(mien_face_input_px(engines->engine[0]));
    Reading r = { .tool = tool, .engines = engines, .files = &files, .t = t, .lead = 4 * engines->n_workers };
    r.chip_bytes = (size_t)chip_px * (size_t)chip_px * 3;
    *t = (TrainFaces){ .faces.chip_px = chip_px };
    int ret = files_add(&files, tool, dir);
    int32_t *person = ret < 0 ? NULL : mien_malloc_array((size_t)files.n, sizeof(*person));
    if (ret >= 0) {
        t->rgb8 = mien_malloc_array((size_t)files.n, r.chip_bytes);
        t->person = mien_malloc_array((size_t)files.n, sizeof(int32_t));
        t->held = mien_calloc((size_t)files.n, 1);
        r.chip = mien_malloc_array((size_t)r.lead, r.chip_bytes);
        r.found = mien_calloc((size_t)r.lead, sizeof(int));
        r.message = mien_calloc((size_t)r.lead, sizeof(*r.message));
        if (!person || !t->rgb8 || !t->person || !t->held || !r.chip || !r.found || !r.message || files.n > INT32_MAX)
            ret = (tool_error(tool, "out of memory for %lld faces", (long long)files.n), -1);
    }
    if (ret >= 0)
        ret = name_people(&files, tool, dir, person);
    r.person = person;
    if (ret >= 0) {
        Work w = { .make = make, .take = take, .tick = tick, .priv = &r, .n_workers = engines->n_workers, .lead = r.lead };
        progress_begin(&r.progress, tool, "pictures", files.n);
        ret = work_in_order(&w, files.n) ? -1 : 0;
        progress_end(&r.progress);
        if (!ret && interrupted())
            ret = (tool_error(tool, "interrupted; nothing was trained"), -1);
    }
    if (ret >= 0)
        ret = split(t, tool, holdout, seed);
    t->faces.rgb8 = t->rgb8;
    t->faces.person = t->person;
    t->faces.held = t->held;
    mien_free(person);
    mien_free(r.chip);
    mien_free(r.found);
    mien_free(r.message);
    files_free(&files);
    return ret;
}

void train_faces_free(TrainFaces *t)
{
    mien_free(t->rgb8);
    mien_free(t->person);
    mien_free(t->held);
    *t = (TrainFaces){ 0 };
}
