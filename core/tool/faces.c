/* From files to faces; see faces.h. */
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "faces.h"
#include "files.h"
#include "media.h"
#include "work.h"

/* ---- engines */

int faces_open(Faces *f, const Tool *tool, const char *encoder, int with_encoder, int64_t n_items)
{
    *f = (Faces){ .n_workers = tool->threads < n_items ? tool->threads : n_items < 1 ? 1 : (int)n_items };
    f->engine_log = tool->log;
    if (f->n_workers == 1 && tool->threads > 1 && mien_pool_create(&f->pool, tool->threads, tool->log) < 0)
        return -1;
    for (int i = 0; i < f->n_workers; i++) {
        MienFaceParams p = MIEN_FACE_DEFAULTS;
        p.models_dir = tool->models;
        p.encoder = encoder ? encoder : tool->encoder;
        p.exec = mien_pool_exec(f->pool);
        p.log = tool->log;
        p.with_encoder = with_encoder;
        int ret = mien_face_engine_create(&f->engine[i], &p);
        if (ret < 0) {
            faces_close(f);
            return ret;
        }
    }
    f->dim = with_encoder ? mien_face_encoder_dim(f->engine[0]) : 0;
    return 0;
}

void faces_close(Faces *f)
{
    for (int i = 0; i < f->n_workers; i++)
        mien_face_engine_destroy(&f->engine[i]);
    mien_pool_destroy(&f->pool);
    f->n_workers = 0;
}

/* ---- a picture */

/* Keeps the first error of a worker; the calling thread prints it when the picture's turn comes. */
static void keep_message(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    Picture *p = priv;
    if (level == MIEN_LOG_ERROR && !*p->message)
        vsnprintf(p->message, sizeof(p->message), fmt, ap);
}

static int from_left(const void *a, const void *b)
{
    const MienFace *x = a, *y = b;
    float cx = x->box_px.x0_px + x->box_px.x1_px, cy = y->box_px.x0_px + y->box_px.x1_px;
    if (cx != cy)
        return cx < cy ? -1 : 1;
    return x->box_px.y0_px < y->box_px.y0_px ? -1 : x->box_px.y0_px > y->box_px.y0_px;
}

/* Among many scales the detector also takes patterns for faces; what it sees at the coarsest one as well, and what has a face's
 * landmarks, is a face beyond doubt. */
static int find_sure(MienFaceEngine *e, const MienImage *img, const MienFace *faces, int n, char *sure)
{
    MienDetectParams p = MIEN_DETECT_DEFAULTS;
    MienFace coarse[FACES_MAX];
    p.size_px = 320;
    int n_coarse = n ? mien_face_detect(e, img, &p, coarse, FACES_MAX) : 0;
    for (int i = 0; i < n; i++) {
        sure[i] = 0;
        for (int k = 0; k < n_coarse; k++)
            if (coarse[k].prob >= 0.9f && mien_box_iou(coarse[k].box_px, faces[i].box_px) >= 0.4f)
                sure[i] = faces[i].quality.total >= 0.2f;
    }
    return n_coarse < 0 ? n_coarse : 0;
}

int faces_analyse(MienFaceEngine *e, const MienImage *img, MienFace *faces, char *sure)
{
    int n = mien_face_analyze(e, img, faces, FACES_MAX);
    if (n < 0)
        return n;
    qsort(faces, (size_t)n, sizeof(*faces), from_left);
    int ret = find_sure(e, img, faces, n, sure);
    return ret < 0 ? ret : n;
}

static int analyse(Faces *f, int worker, const MienImage *img, int with_embedding, Picture *p)
{
    MienFaceEngine *e = f->engine[worker];
    p->faces = mien_calloc(FACES_MAX, sizeof(*p->faces));
    p->sure = mien_calloc(FACES_MAX, 1);
    if (!p->faces || !p->sure)
        return MIEN_ERR(ENOMEM);
    int n = faces_analyse(e, img, p->faces, p->sure);
    if (n < 0)
        return n;
    p->n_faces = n;
    if (!with_embedding || !n)
        return 0;
    p->embedding = mien_malloc_array((size_t)n * (size_t)f->dim, sizeof(float));
    return p->embedding ? mien_face_embed(e, img, p->faces, n, p->embedding) : MIEN_ERR(ENOMEM);
}

void picture_read(Faces *f, int worker, const char *path, int with_embedding, Picture *p)
{
    uint8_t *rgb8 = NULL;
    MienImage img;
    *p = (Picture){ .path = path };
    MienLog log = { .write = keep_message, .priv = p, .level = MIEN_LOG_ERROR };
    p->err = media_read_picture(path, &rgb8, &img, p->sha256, log);
    if (p->err >= 0) {
        p->w_px = img.w_px;
        p->h_px = img.h_px;
        p->err = analyse(f, worker, &img, with_embedding, p);
    }
    mien_free(rgb8);
    if (p->err < 0 && !*p->message)
        snprintf(p->message, sizeof(p->message), "%s: %s", path, mien_strerror(p->err));
}

void picture_free(Picture *p)
{
    mien_free(p->faces);
    mien_free(p->sure);
    mien_free(p->embedding);
    *p = (Picture){ 0 };
}

typedef struct Each {
    Faces *faces;
    const FileList *files;
    int with_embedding, lead;
    Picture *slot;
    int (*take)(void *priv, const Picture *p);
    void *priv;
    Progress progress;
} Each;

static void each_make(void *priv, int worker, int64_t i)
{
    Each *e = priv;
    picture_read(e->faces, worker, e->files->path[i], e->with_embedding, &e->slot[i % e->lead]);
}

static int each_take(void *priv, int64_t i)
{
    Each *e = priv;
    Picture *p = &e->slot[i % e->lead];
    int ret = e->take(e->priv, p);
    picture_free(p);
    return ret;
}

static void each_tick(void *priv, int64_t done)
{
    progress_step(&((Each *)priv)->progress, done);
}

int pictures_each(Faces *f, const Tool *tool, const FileList *files, int with_embedding, int (*take)(void *priv, const Picture *p),
                  void *priv)
{
    Each e = { .faces = f, .files = files, .with_embedding = with_embedding, .lead = 4 * f->n_workers, .take = take, .priv = priv };
    e.slot = mien_calloc((size_t)e.lead, sizeof(*e.slot));
    if (!e.slot)
        return tool_error(tool, "out of memory"), MIEN_ERR(ENOMEM);
    progress_begin(&e.progress, tool, "pictures", files->n);
    Work w = { .make = each_make, .take = each_take, .tick = each_tick, .priv = &e, .n_workers = f->n_workers, .lead = e.lead };
    int ret = work_in_order(&w, files->n);
    progress_end(&e.progress);
    for (int i = 0; i < e.lead; i++)
        picture_free(&e.slot[i]);
    mien_free(e.slot);
    if (ret < 0)
        tool_error(tool, "the pictures cannot be worked on: %s", mien_strerror(ret));
    return ret;
}

/* ---- choosing a face */

static float area(const MienFace *f)
{
    return (f->box_px.x1_px - f->box_px.x0_px) * (f->box_px.y1_px - f->box_px.y0_px);
}

static int largest_of(const MienFace *faces, int n)
{
    int best = 0;
    for (int i = 1; i < n; i++)
        if (area(&faces[i]) > area(&faces[best]))
            best = i;
    return best;
}

int face_only(const MienFace *faces, const char *sure, int n)
{
    int best = -1;
    for (int i = 0; i < n; i++)
        if (sure[i] && (best < 0 || area(&faces[i]) > area(&faces[best])))
            best = i;
    if (best < 0)
        return n == 1 ? 0 : n ? MIEN_E_AMBIGUOUS : MIEN_E_NOFACE;
    for (int i = 0; i < n; i++)
        if (i != best && sure[i] && area(&faces[i]) >= 0.25f * area(&faces[best]))
            return MIEN_E_AMBIGUOUS;
    return best;
}

int face_choose(const Picture *p, int face, int largest)
{
    if (!p->n_faces)
        return MIEN_E_NOFACE;
    if (face > 0)
        return face <= p->n_faces ? face - 1 : MIEN_E_NOTFOUND;
    return largest ? largest_of(p->faces, p->n_faces) : face_only(p->faces, p->sure, p->n_faces);
}

void face_text(char *buf, size_t bytes, const MienFace *f, int number)
{
    snprintf(buf, bytes, "%d: %.0fx%.0f px at %.0f,%.0f, eyes %.0f px apart, sharpness %.0f, quality %.2f, certainty %.3f", number,
             (double)(f->box_px.x1_px - f->box_px.x0_px), (double)(f->box_px.y1_px - f->box_px.y0_px), (double)f->box_px.x0_px,
             (double)f->box_px.y0_px, (double)f->quality.eye_dist_px, (double)f->quality.sharpness, (double)f->quality.total,
             (double)f->prob);
}

void face_json(struct cJSON *to, const MienFace *f, int number)
{
    json_int(to, "face", number);
    struct cJSON *box = json_add_object(to, "box_px");
    json_real(box, "x", (double)f->box_px.x0_px, 1);
    json_real(box, "y", (double)f->box_px.y0_px, 1);
    json_real(box, "w", (double)(f->box_px.x1_px - f->box_px.x0_px), 1);
    json_real(box, "h", (double)(f->box_px.y1_px - f->box_px.y0_px), 1);
    json_real(to, "prob", (double)f->prob, 4);
    struct cJSON *q = json_add_object(to, "quality");
    json_real(q, "total", (double)f->quality.total, 3);
    json_real(q, "eye_dist_px", (double)f->quality.eye_dist_px, 1);
    json_real(q, "sharpness", (double)f->quality.sharpness, 1);
    json_real(q, "yaw_deg", (double)f->quality.yaw_deg, 1);
    json_real(q, "pitch_deg", (double)f->quality.pitch_deg, 1);
    json_real(q, "roll_deg", (double)f->quality.roll_deg, 1);
    json_real(q, "luma_mean", (double)f->quality.luma_mean, 1);
    json_real(q, "luma_contrast", (double)f->quality.luma_contrast, 1);
}

void face_refusal(const Tool *tool, const Picture *p, int why, int face)
{
    char text[200];
    if (why == MIEN_E_NOFACE) {
        tool_error(tool, "%s: no face found in %dx%d pixels", safe(p->path), p->w_px, p->h_px);
    } else if (why == MIEN_E_NOTFOUND) {
        tool_error(tool, "%s: there is no face %d; %d face%s found", safe(p->path), face, p->n_faces, p->n_faces == 1 ? " was" : "s were");
    } else {
        tool_error(tool, "%s: %d faces; which one? Numbered from left to right:", safe(p->path), p->n_faces);
        for (int i = 0; i < p->n_faces; i++) {
            face_text(text, sizeof(text), &p->faces[i], i + 1);
            fprintf(stderr, "  %s%s\n", text, p->sure[i] ? "" : ", doubtful");
        }
    }
}

int faces_preview(const Tool *tool, const Picture *p, const char *out_path)
{
    uint8_t *rgb8;
    MienImage img;
    int ret = media_read_picture(p->path, &rgb8, &img, NULL, tool->log);
    if (ret < 0)
        return ret;
    for (int i = 0; i < p->n_faces; i++)
        draw_numbered_box(rgb8, img.w_px, img.h_px, p->faces[i].box_px, i + 1);
    ret = media_write_picture(out_path, &img, tool->log);
    mien_free(rgb8);
    return ret;
}

/* ---- galleries */

int gallery_encoder(const Tool *tool, MienGallery *g, char *buf, size_t bytes, const char **encoder)
{
    MienGalleryModel m;
    *encoder = tool->encoder;
    if (tool->encoder)
        return 0;
    int ret = mien_gallery_model(g, &m);
    if (ret < 0)
        return ret;
    if (*m.hash && *m.name && !strchr(m.name, '/') && strlen(m.name) < bytes) {
        strcpy(buf, m.name);
        *encoder = buf;
    }
    return 0;
}

int gallery_fits(const Tool *tool, MienGallery *g, const Faces *f)
{
    MienGalleryModel m;
    const char *hash = mien_face_encoder_hash(f->engine[0]);
    int ret = mien_gallery_model(g, &m);
    if (ret < 0)
        return ret;
    if (!*m.hash || !strcmp(m.hash, hash))
        return 0;
    tool_error(tool,
               "%s: this gallery belongs to the encoder %s (%.12s...), not to %s (%.12s...); templates of different encoders cannot "
               "be compared. Use --encoder %s, or another --gallery",
               safe(mien_gallery_path(g)), safe(m.name), m.hash, safe(mien_face_encoder_name(f->engine[0])), hash, safe(m.name));
    return MIEN_E_MISMATCH;
}
