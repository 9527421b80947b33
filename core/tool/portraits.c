/* Portraits become embeddings; see portraits.h. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "media.h"
#include "portraits.h"
#include "work.h"

typedef struct Embed {
    const Tool *tool;
    Faces *faces;
    const char *root;
    const char *const *name;
    Portraits *p;
    int *err;             /* per picture */
    char (*message)[512]; /* ring of lead */
    int lead;
    Progress progress;
} Embed;

static char *picture_path(const char *root, const char *name)
{
    root = *name == '/' ? "" : root ? root : ".";
    size_t bytes = strlen(root) + strlen(name) + 2;
    char *path = mien_malloc(bytes);
    if (path)
        snprintf(path, bytes, "%s%s%s", root, *root ? "/" : "", name);
    return path;
}

/* ---- a picture */

/* The face nearest the middle. A face that the detector is not sure of is better than none, and where there is none at all, the box
 * in which a portrait has it. */
static int central_face(MienFaceEngine *engine, const MienImage *img, MienFace *faces, MienFace *found, char *not_found)
{
    /* a portrait's face is large: the small input sees it best and takes the fewest patterns for faces */
    static const MienDetectParams tries[] = {
        { .size_px = 320, .min_face_px = 20, .min_prob = 0.7f, .max_iou = 0.3f },
        { .size_px = 640, .min_face_px = 20, .min_prob = 0.7f, .max_iou = 0.3f },
        { .thorough = 1, .min_face_px = 20, .min_prob = 0.7f, .max_iou = 0.3f },
        { .thorough = 1, .min_face_px = 20, .min_prob = 0.3f, .max_iou = 0.3f },
    };
    int n = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(tries) && !n; i++)
        n = mien_face_detect(engine, img, &tries[i], faces, FACES_MAX);
    if (n < 0)
        return n;
    if (n) {
        *found = faces[mien_face_central(img, faces, n)];
        return 0;
    }
    float side = 0.5f * (float)(img->w_px < img->h_px ? img->w_px : img->h_px), cx = 0.5f * (float)img->w_px, cy = 0.5f * (float)img->h_px;
    *not_found = 1;
    *found = (MienFace){ .box_px = { cx - 0.4f * side, cy - 0.5f * side, cx + 0.4f * side, cy + 0.5f * side } };
    return 0;
}

static void keep_message(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    char *message = priv;
    if (level == MIEN_LOG_ERROR && !*message)
        vsnprintf(message, 512, fmt, ap);
}

static int embed_picture(Embed *e, int worker, size_t i, MienLog log)
{
    MienFaceEngine *engine = e->faces->engine[worker];
    char *path = picture_path(e->root, e->name[i]);
    MienFace *faces = mien_calloc(FACES_MAX, sizeof(*faces)), face;
    uint8_t *rgb8 = NULL;
    MienImage img;
    int ret = path && faces ? media_read_picture(path, &rgb8, &img, NULL, log) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = central_face(engine, &img, faces, &face, &e->p->not_found[i]);
    if (ret >= 0)
        ret = mien_face_landmarks(engine, &img, &face, 1);
    if (ret >= 0)
        ret = mien_face_embed(engine, &img, &face, 1, e->p->embedding + i * (size_t)e->faces->dim);
    if (ret < 0)
        mien_log(log, MIEN_LOG_ERROR, "%s: %s", path ? path : "", mien_strerror(ret)); /* unless something was said already */
    mien_free(rgb8);
    mien_free(faces);
    mien_free(path);
    return ret;
}

static void make(void *priv, int worker, int64_t i)
{
    Embed *e = priv;
    char *message = e->message[i % e->lead];
    *message = 0;
    e->err[i] = embed_picture(e, worker, (size_t)i, (MienLog){ .write = keep_message, .priv = message, .level = MIEN_LOG_ERROR });
}

static int take(void *priv, int64_t i)
{
    Embed *e = priv;
    if (e->err[i] >= 0)
        return 0;
    tool_error(e->tool, "%s; nothing is measured, because it would be missing", safe(e->message[i % e->lead]));
    return 1;
}

static void tick(void *priv, int64_t done)
{
    progress_step(&((Embed *)priv)->progress, done);
}

/* ---- all of them */

int portraits_there(const Tool *tool, const char *root, const char *const *name, size_t n)
{
    int64_t n_missing = 0;
    for (size_t i = 0; i < n; i++) {
        char *path = picture_path(root, name[i]);
        if (!path)
            return tool_error(tool, "out of memory"), 0;
        if (access(path, R_OK) && !n_missing++)
            tool_error(tool, "%s: %s%s", safe(path), strerror(errno), root ? "" : " (--root says where the pictures are)");
        mien_free(path);
    }
    if (n_missing > 1)
        tool_error(tool, "%lld of %zu pictures cannot be read", (long long)n_missing, n);
    return !n_missing;
}

static void embed_free(Embed *e)
{
    mien_free(e->err);
    mien_free(e->message);
}

int portraits_embed(Portraits *p, const Tool *tool, Faces *faces, const char *root, const char *const *name, size_t n)
{
    Embed e = { .tool = tool, .faces = faces, .root = root, .name = name, .p = p, .lead = 8 * faces->n_workers };
    *p = (Portraits){ .n = n };
    p->embedding = mien_malloc_array(n * (size_t)faces->dim, sizeof(float));
    p->not_found = mien_calloc(n, 1);
    e.err = mien_calloc(n, sizeof(int));
    e.message = mien_calloc((size_t)e.lead, sizeof(*e.message));
    if (!p->embedding || !p->not_found || !e.err || !e.message) {
        embed_free(&e);
        return tool_error(tool, "out of memory"), MIEN_ERR(ENOMEM);
    }
    progress_begin(&e.progress, tool, "pictures", (int64_t)n);
    Work w = { .make = make, .take = take, .tick = tick, .priv = &e, .n_workers = faces->n_workers, .lead = e.lead };
    int ret = work_in_order(&w, (int64_t)n);
    progress_end(&e.progress);
    embed_free(&e);
    if (!ret && interrupted())
        return tool_error(tool, "interrupted; nothing is measured"), -1;
    if (ret < 0)
        tool_error(tool, "the pictures cannot be worked on: %s", mien_strerror(ret));
    return ret ? -1 : 0;
}

void portraits_free(Portraits *p)
{
    mien_free(p->embedding);
    mien_free(p->not_found);
    *p = (Portraits){ 0 };
}
