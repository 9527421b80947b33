/* mien enroll NAME FILE...: pictures, folders, videos → samples of a person. Pictures are analysed side by side and stored one
 * after the other in the order given, each in one transaction; videos follow. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "faces.h"
#include "files.h"
#include "media.h"
#include "work.h"

typedef struct EnrollOptions {
    int face, largest, force, min_face, samples;
    double min_sharpness, every;
    const char *show, *consent, *expires, *notes;
} EnrollOptions;

typedef struct Enroll {
    Tool *tool;
    const EnrollOptions *o;
    const char *name;
    MienGallery *g;
    Faces faces;
    FileList files;
    Picture *slot; /* ring of lead */
    int lead;
    char *is_video; /* per file */
    struct cJSON *results;
    Progress progress;
    int64_t n_done, n_videos, n_stored, n_there, n_refused, n_errors;
    int known; /* the person has samples */
    int fatal; /* the gallery failed: nothing more can be stored */
    int shown; /* --show was answered */
} Enroll;

/* ---- what happened to a file */

static struct cJSON *report(Enroll *e, const char *path, const char *status, const char *reason)
{
    struct cJSON *j = json_item_object(e->results);
    json_str(j, "file", path);
    json_str(j, "status", status);
    if (reason)
        json_str(j, "reason", reason);
    return j;
}

static void refuse(Enroll *e, const char *path, const char *reason)
{
    e->n_refused++;
    tool_error(e->tool, "%s: refused: %s", safe(path), reason);
    report(e, path, "refused", reason);
}

static void fail(Enroll *e, const char *path, const char *message)
{
    e->n_errors++;
    tool_error(e->tool, "%s", safe(message));
    report(e, path, "error", message);
}

/* ---- is it good enough, and whose is it */

/* 0, or -1 with the reason and the numbers. */
static int good_enough(const EnrollOptions *o, const MienFace *f, char *why, size_t bytes)
{
    double w = (double)(f->box_px.x1_px - f->box_px.x0_px), h = (double)(f->box_px.y1_px - f->box_px.y0_px);
    if (o->force)
        return 0;
    if (w < o->min_face && h < o->min_face) {
        snprintf(why, bytes, "the face is too small: %.0fx%.0f px, %d px are wanted (--min-face, or --force)", w, h, o->min_face);
        return -1;
    }
    if ((double)f->quality.sharpness < o->min_sharpness) {
        snprintf(why, bytes, "the face is too blurred: sharpness %.1f, %.1f is wanted (--min-sharpness, or --force)",
                 (double)f->quality.sharpness, o->min_sharpness);
        return -1;
    }
    return 0;
}

/* Says when the new sample looks like somebody else, or unlike the person's other samples. Doubts only: it is stored. */
static void doubts(Enroll *e, const char *path, const float *embedding, struct cJSON *j)
{
    double tau = dist_of_cos((double)mien_face_encoder_verify_sim_cos(e->faces.engine[0]));
    MienCandidate c;
    MienMatch own;
    if (mien_gallery_top(e->g, embedding, e->faces.dim, &c, 1) > 0 && strcmp(c.name, e->name) && dist_of_cos((double)c.sim_cos) <= tau) {
        double d = dist_of_cos((double)c.sim_cos);
        tool_warn(e->tool, "%s: looks like '%s' (distance %.3f); if that is the same person: mien merge", safe(path), safe(c.name), d);
        struct cJSON *like = json_add_object(j, "looks_like");
        json_str(like, "name", c.name);
        json_real(like, "distance", d, 4);
    }
    if (e->known && mien_gallery_search(e->g, embedding, e->faces.dim, e->name, &own) >= 0 && own.id >= 0 &&
        dist_of_cos((double)own.sim_cos) > tau) {
        double d = dist_of_cos((double)own.sim_cos);
        tool_warn(e->tool, "%s: unlike the pictures of '%s' so far (distance %.3f, same person up to %.3f); if it is somebody else: mien split",
                  safe(path), safe(e->name), d, tau);
        json_real(j, "distance_to_own", d, 4);
    }
}

/* Stores one face; doubts are looked up before it is there itself. 1 stored, 0 was there, negative: the gallery failed. */
static int store(Enroll *e, const char *path, const MienFace *face, int number, const float *embedding, const char *source_hash,
                 double time_s)
{
    MienSample s = { .quality = face->quality.total };
    char text[200], when[40] = "";
    snprintf(s.source_hash, sizeof(s.source_hash), "%s", source_hash);
    struct cJSON *j = json_item_object(e->results);
    json_str(j, "file", path);
    doubts(e, path, embedding, j);
    int ret = mien_gallery_add(e->g, e->name, embedding, e->faces.dim, &s);
    const char *status = ret >= 0 ? "enrolled" : ret == MIEN_E_EXISTS ? "there already" : "error";
    json_str(j, "status", status);
    face_json(j, face, number);
    if (time_s >= 0)
        json_real(j, "time_s", time_s, 3);
    if (ret < 0 && ret != MIEN_E_EXISTS) {
        e->fatal = 1;
        e->n_errors++;
        tool_error(e->tool, "%s: not stored: %s", safe(path), mien_strerror(ret));
        return ret;
    }
    if (ret >= 0)
        json_int(j, "sample", s.id);
    face_text(text, sizeof(text), face, number);
    if (time_s >= 0)
        snprintf(when, sizeof(when), " at %.2f s", time_s);
    tool_note(e->tool, "%s: %s%s, face %s", safe(path), status, when, text);
    e->n_stored += ret >= 0;
    e->n_there += ret < 0;
    e->known = 1;
    return ret >= 0;
}

/* ---- pictures */

static void make_picture(void *priv, int worker, int64_t i)
{
    Enroll *e = priv;
    Picture *p = &e->slot[i % e->lead];
    const char *path = e->files.path[i];
    Media *m;
    /* videos are told by content; whatever is wrong with the file is found and said by picture_read */
    e->is_video[i] = media_open(&m, path, 1, (MienLog){ 0 }) >= 0 && media_is_video(m);
    if (m)
        media_close(&m);
    if (e->is_video[i])
        *p = (Picture){ .path = path };
    else
        picture_read(&e->faces, worker, path, 1, p);
}

static void take_faces(Enroll *e, const Picture *p)
{
    char why[300];
    int i = face_choose(p, e->o->face, e->o->largest);
    if (i == MIEN_E_NOFACE) {
        snprintf(why, sizeof(why), "no face found in %dx%d pixels", p->w_px, p->h_px);
        refuse(e, p->path, why);
    } else if (i < 0) {
        face_refusal(e->tool, p, i, e->o->face);
        e->n_refused++;
        struct cJSON *j = report(e, p->path, "refused", i == MIEN_E_AMBIGUOUS ? "several faces; choose one by --face" : "there is no face with this number");
        struct cJSON *list = json_add_array(j, "faces");
        for (int k = 0; k < p->n_faces; k++)
            face_json(json_item_object(list), &p->faces[k], k + 1);
        if (i == MIEN_E_AMBIGUOUS && !e->o->show)
            fprintf(stderr, "  Choose by --face N (--show FILE.png draws the numbers), or --largest.\n");
    } else if (good_enough(e->o, &p->faces[i], why, sizeof(why)) < 0) {
        refuse(e, p->path, why);
    } else {
        if (p->n_faces > 1 && !e->o->face)
            tool_warn(e->tool, "%s: face %d of %d is taken; the others are %s", safe(p->path), i + 1, p->n_faces,
                      e->o->largest ? "smaller" : "doubtful or much smaller");
        store(e, p->path, &p->faces[i], i + 1, p->embedding + (size_t)i * (size_t)e->faces.dim, p->sha256, -1);
    }
    if (e->o->show && !e->shown && p->n_faces) {
        e->shown = 1;
        if (faces_preview(e->tool, p, e->o->show) < 0)
            e->n_errors++;
        else
            tool_note(e->tool, "%s: the faces of %s, numbered", safe(e->o->show), safe(p->path));
    }
}

static int take_picture(void *priv, int64_t i)
{
    Enroll *e = priv;
    Picture *p = &e->slot[i % e->lead];
    if (e->is_video[i]) {
        e->n_videos++;
    } else {
        if (p->err < 0)
            fail(e, p->path, p->message);
        else
            take_faces(e, p);
        e->n_done++;
        picture_free(p);
    }
    return e->fatal;
}

static void tick(void *priv, int64_t done)
{
    progress_step(&((Enroll *)priv)->progress, done);
}

static int enroll_pictures(Enroll *e)
{
    e->lead = 4 * e->faces.n_workers;
    e->slot = mien_calloc((size_t)e->lead, sizeof(*e->slot));
    e->is_video = mien_calloc((size_t)e->files.n, 1);
    if (!e->slot || !e->is_video)
        return tool_error(e->tool, "out of memory"), MIEN_ERR(ENOMEM);
    progress_begin(&e->progress, e->tool, "pictures", e->files.n);
    Work w = { .make = make_picture, .take = take_picture, .tick = tick, .priv = e, .n_workers = e->faces.n_workers, .lead = e->lead };
    int ret = work_in_order(&w, e->files.n);
    progress_end(&e->progress);
    for (int i = 0; i < e->lead; i++)
        picture_free(&e->slot[i]);
    if (ret < 0)
        tool_error(e->tool, "the pictures cannot be worked on: %s", mien_strerror(ret));
    return ret < 0 ? ret : 0;
}

/* ---- videos: one person alone in the picture; of the good views a few that differ most are stored */

typedef struct View {
    MienFace face;
    double time_s;
    float embedding[MIEN_FACE_MAX_DIM];
} View;

typedef struct Views {
    View *view;
    int n, room;
    int n_looked, n_none, n_several, n_poor;
    char poor[300]; /* why the last poor one was */
} Views;

/* Keeps the view, in the place of the poorest if there is no room. */
static void keep_view(Views *v, const View *view)
{
    if (v->n < v->room) {
        v->view[v->n++] = *view;
        return;
    }
    int worst = 0;
    for (int i = 1; i < v->n; i++)
        if (v->view[i].face.quality.total < v->view[worst].face.quality.total)
            worst = i;
    if (view->face.quality.total > v->view[worst].face.quality.total)
        v->view[worst] = *view;
}

static int look_at_frame(Enroll *e, const MienImage *img, double time_s, Views *v, MienFace *faces)
{
    char sure[FACES_MAX];
    MienFaceEngine *engine = e->faces.engine[0];
    View view = { .time_s = time_s };
    int n = faces_analyse(engine, img, faces, sure);
    if (n < 0)
        return n;
    v->n_looked++;
    int i = face_only(faces, sure, n);
    if (i < 0) {
        v->n_none += !n;
        v->n_several += n > 0;
        return 0;
    }
    if (good_enough(e->o, &faces[i], v->poor, sizeof(v->poor)) < 0) {
        v->n_poor++;
        return 0;
    }
    view.face = faces[i];
    int ret = mien_face_embed(engine, img, &faces[i], 1, view.embedding);
    if (ret >= 0)
        keep_view(v, &view);
    return ret;
}

static int look_at_video(Enroll *e, Media *m, Views *v)
{
    MienFace *faces = mien_calloc(FACES_MAX, sizeof(*faces));
    MienImage img;
    double time_s, next_s = 0, length_s = media_duration_s(m);
    int ret = faces ? 1 : MIEN_ERR(ENOMEM);
    progress_begin(&e->progress, e->tool, "s of video", (int64_t)(length_s + 0.5));
    while (ret > 0 && !interrupted() && (ret = media_next(m, &img, &time_s)) > 0) {
        if (time_s < next_s)
            continue;
        next_s = time_s + e->o->every;
        int err = look_at_frame(e, &img, time_s, v, faces);
        ret = err < 0 ? err : 1;
        progress_step(&e->progress, (int64_t)time_s);
    }
    progress_end(&e->progress);
    mien_free(faces);
    return ret < 0 ? ret : 0;
}

/* Reorders the views so that the first *n are of one person and differ most from each other, the best one first. Returns how many
 * views were unlike the best one. */
static int choose_views(const Enroll *e, Views *v, int *n)
{
    int dim = e->faces.dim, n_same = 0;
    float least = mien_face_encoder_verify_sim_cos(e->faces.engine[0]);
    View swap;
    for (int i = 1; i < v->n; i++)
        if (v->view[i].face.quality.total > v->view[0].face.quality.total)
            swap = v->view[0], v->view[0] = v->view[i], v->view[i] = swap;
    n_same = 1;
    for (int i = 1; i < v->n; i++)
        if (mien_sim_cos(v->view[0].embedding, v->view[i].embedding, dim) >= least)
            swap = v->view[n_same], v->view[n_same] = v->view[i], v->view[i] = swap, n_same++;
    int unlike = v->n - n_same;
    for (*n = 1; *n < n_same && *n < e->o->samples; ++*n) {
        int far = *n;
        float far_sim = 2;
        for (int i = *n; i < n_same; i++) { /* farthest from its nearest chosen one */
            float nearest = -2;
            for (int k = 0; k < *n; k++)
                nearest = fmaxf(nearest, mien_sim_cos(v->view[k].embedding, v->view[i].embedding, dim));
            if (nearest < far_sim)
                far = i, far_sim = nearest;
        }
        if (far_sim > 0.95f)
            break; /* the rest adds nothing */
        swap = v->view[*n], v->view[*n] = v->view[far], v->view[far] = swap;
    }
    return unlike;
}

static void store_views(Enroll *e, const char *path, const char *sha256, Views *v)
{
    char why[600], source[100], hash[65];
    int n, n_all = v->n;
    if (!v->n) {
        snprintf(why, sizeof(why), "no usable view of one face alone: %d frames looked at, %d without a face, %d with several, %d too poor%s%s",
                 v->n_looked, v->n_none, v->n_several, v->n_poor, v->n_poor ? "; the last one: " : "", v->n_poor ? v->poor : "");
        refuse(e, path, why);
        return;
    }
    int unlike = choose_views(e, v, &n);
    if (unlike * 4 > n_all) {
        snprintf(why, sizeof(why), "the video seems to show several people: %d of %d views are unlike the best one, at %.2f s; cut it, or use pictures",
                 unlike, n_all, v->view[0].time_s);
        refuse(e, path, why);
        return;
    }
    for (int i = 0; i < n && !e->fatal; i++) {
        snprintf(source, sizeof(source), "%s:%lld", sha256, (long long)(v->view[i].time_s * 1000 + 0.5));
        mieni_sha256_hex(source, strlen(source), hash);
        store(e, path, &v->view[i].face, 1, v->view[i].embedding, hash, v->view[i].time_s);
    }
}

static void enroll_video(Enroll *e, const char *path)
{
    Picture p = { .path = path }; /* for its message */
    Media *m = NULL;
    Views v = { .room = 64 };
    const char *sha256 = NULL;
    if (e->o->face) {
        refuse(e, path, "--face numbers the faces of a picture; this is a video");
        return;
    }
    int ret = media_open(&m, path, e->tool->threads, e->tool->log);
    if (ret >= 0)
        ret = (sha256 = media_sha256(m)) ? 0 : MIEN_ERR(EIO);
    if (ret >= 0)
        ret = (v.view = mien_calloc((size_t)v.room, sizeof(*v.view))) ? 0 : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = look_at_video(e, m, &v);
    if (ret < 0) {
        snprintf(p.message, sizeof(p.message), "%s: %s", path, mien_strerror(ret));
        fail(e, path, p.message);
    } else if (!interrupted()) {
        store_views(e, path, sha256, &v);
        e->n_done++;
    }
    mien_free(v.view);
    media_close(&m);
}

/* ---- the command */

static int summary(Enroll *e)
{
    int64_t n = e->files.n;
    int status = e->n_errors || e->fatal ? STATUS_ERROR : e->n_refused || interrupted() ? STATUS_NO : STATUS_OK;
    if (interrupted())
        tool_error(e->tool, "interrupted after %lld of %lld files; what was enrolled stays, the same command goes on where it ended",
                   (long long)e->n_done, (long long)n);
    if (!e->results) {
        if (n > 1 || e->n_stored > 1)
            tool_note(e->tool, "%s: %lld enrolled, %lld there already, %lld refused, %lld errors, %lld other files in folders", safe(e->name),
                      (long long)e->n_stored, (long long)e->n_there, (long long)e->n_refused, (long long)e->n_errors,
                      (long long)e->files.n_skipped);
        return status;
    }
    struct cJSON *root = json_object();
    json_str(root, "name", e->name);
    json_str(root, "gallery", e->g ? mien_gallery_path(e->g) : NULL);
    json_int(root, "enrolled", e->n_stored);
    json_int(root, "there_already", e->n_there);
    json_int(root, "refused", e->n_refused);
    json_int(root, "errors", e->n_errors);
    json_bool(root, "interrupted", interrupted());
    json_move(root, "results", e->results);
    e->results = NULL;
    return json_print(e->tool, root, status);
}

static int prepare(Enroll *e, int n_args, char **args)
{
    char buf[128];
    const char *why, *encoder;
    MienPerson person;
    if (mien_name_check(e->name, &why) < 0)
        return tool_error(e->tool, "'%s' cannot be a name: %s", safe(e->name), why), -1;
    if (e->o->show && !media_can_write(e->o->show))
        return tool_error(e->tool, "--show wants a file that ends in .png or .jpg, not '%s'", safe(e->o->show)), -1;
    for (int i = 1; i < n_args; i++)
        if (files_add(&e->files, e->tool, args[i]) < 0)
            return -1;
    if (!(e->g = gallery_open(e->tool, MIEN_GALLERY_CREATE)) || gallery_encoder(e->tool, e->g, buf, sizeof(buf), &encoder) < 0 ||
        faces_open(&e->faces, e->tool, encoder, 1, e->files.n) < 0)
        return -1;
    MienFaceEngine *engine = e->faces.engine[0];
    if (gallery_fits(e->tool, e->g, &e->faces) < 0 ||
        mien_gallery_bind(e->g, mien_face_encoder_hash(engine), mien_face_encoder_name(engine), e->faces.dim) < 0)
        return -1;
    int ret = person_lookup(e->g, e->name, &person);
    e->known = ret > 0 && person.n_samples > 0;
    return ret < 0 ? -1 : 0;
}

static int run_enroll(Tool *tool, const void *options, int n_args, char **args)
{
    Enroll e = { .tool = tool, .o = options, .name = args[0] };
    int status = STATUS_ERROR;
    e.results = tool->json ? json_array() : NULL;
    if (prepare(&e, n_args, args) >= 0 && enroll_pictures(&e) >= 0) {
        for (int64_t i = 0; i < e.files.n && e.n_videos && !e.fatal && !interrupted(); i++)
            if (e.is_video[i])
                enroll_video(&e, e.files.path[i]);
        if ((e.o->consent || e.o->expires || e.o->notes) && e.known &&
            mien_gallery_set_notes(e.g, e.name, e.o->consent, e.o->expires, e.o->notes) < 0)
            e.n_errors++;
        status = summary(&e);
    }
    json_free(e.results);
    mien_free(e.slot);
    mien_free(e.is_video);
    files_free(&e.files);
    faces_close(&e.faces);
    mien_gallery_close(&e.g);
    return status;
}

static const Option enroll_options[] = {
    OPT_INT_ROW(EnrollOptions, face, "face", 'f', 0, 1, FACES_MAX, NULL, "the only one", "which face of the picture, numbered from left to right"),
    OPT_FLAG_ROW(EnrollOptions, largest, "largest", 'l', "of several faces take the largest"),
    OPT_FLAG_ROW(EnrollOptions, force, "force", 0, "also take faces that are too small or too blurred"),
    OPT_INT_ROW(EnrollOptions, min_face, "min-face", 0, 40, 1, 10000, "px", NULL, "smallest face taken: the longer side of its box"),
    OPT_REAL_ROW(EnrollOptions, min_sharpness, "min-sharpness", 0, 30, 0, 100000, NULL, NULL,
                 "least sharpness taken: variance of the Laplacian of the aligned face"),
    OPT_TEXT_ROW(EnrollOptions, show, "show", 's', "FILE", NULL, "write the (first) picture with its faces numbered, as .png or .jpg"),
    OPT_REAL_ROW(EnrollOptions, every, "every", 0, 0.5, 0, 3600, "s", NULL, "videos: time between the frames looked at"),
    OPT_INT_ROW(EnrollOptions, samples, "samples", 0, 5, 1, 64, NULL, NULL, "videos: views stored at most"),
    OPT_TEXT_ROW(EnrollOptions, consent, "consent", 0, "TEXT", NULL, "note how this person agreed"),
    OPT_TEXT_ROW(EnrollOptions, expires, "expires", 0, "DATE", NULL, "stop recognising after this day (YYYY-MM-DD, UTC)"),
    OPT_TEXT_ROW(EnrollOptions, notes, "notes", 0, "TEXT", NULL, "free text"),
    { .name = NULL },
};

const Command cmd_enroll = {
    .name = "enroll", .group = "People", .summary = "add a person, or more pictures of one, to the gallery", .args = "NAME FILE...",
    .text = "FILE is a picture, a folder of pictures (with the folders in it), or a video in which one person is alone. One picture is enough. "
            "Only the template, 128 numbers, is stored, never the picture. The gallery is made if there is none; it belongs to one encoder.\n"
            "A picture is refused, with the reason and the numbers, when it shows no face, several faces (they are listed by number: choose "
            "by --face), or a face that is too small or too blurred. Beside a clear face, doubtful ones and "
            "those under a quarter of its area do not count. The same file twice is stored once. Doubts (it looks like somebody else in the "
            "gallery, or unlike the person's other pictures) are told and the picture is stored.\n"
            "$ mien enroll \"Ada Lovelace\" ada.jpg\n"
            "$ mien enroll Grace team.jpg --face 2\n"
            "$ mien enroll Alan alan/ alan.mp4 --gallery staff.db",
    .statuses = "0 all pictures are in the gallery; 1 some were refused, or it was interrupted (the others are in); 2 error (some may be in).",
    .options = enroll_options, .options_bytes = sizeof(EnrollOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON,
    .min_args = 2, .max_args = -1, .run = run_enroll,
};
