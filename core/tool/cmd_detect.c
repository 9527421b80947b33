/* mien detect, mien embed: faces and their templates, without a gallery. */
#include <string.h>

#include "faces.h"
#include "files.h"
#include "media.h"
#include "mien/weights.h"

/* ---- detect */

typedef struct DetectOptions {
    int landmarks;
    const char *show;
} DetectOptions;

typedef struct Detect {
    const Tool *tool;
    const DetectOptions *o;
    struct cJSON *pictures;
    int n_without, n_errors;
} Detect;

static void points_json(struct cJSON *j, const char *key, const MienPoint *p, int n)
{
    struct cJSON *a = json_add_array(j, key);
    for (int i = 0; i < n; i++) {
        json_item_real(a, (double)p[i].x_px, 2);
        json_item_real(a, (double)p[i].y_px, 2);
    }
}

static int take_detected(void *priv, const Picture *p)
{
    Detect *s = priv;
    struct cJSON *j = json_item_object(s->pictures);
    char text[200];
    json_str(j, "file", p->path);
    if (p->err < 0) {
        s->n_errors++;
        json_str(j, "error", p->message);
        tool_error(s->tool, "%s", safe(p->message));
        return 0;
    }
    json_int(j, "width_px", p->w_px);
    json_int(j, "height_px", p->h_px);
    struct cJSON *faces = json_add_array(j, "faces");
    if (!s->pictures)
        printf("%s: %d face%s\n", safe(p->path), p->n_faces, p->n_faces == 1 ? "" : "s");
    s->n_without += !p->n_faces;
    for (int i = 0; i < p->n_faces; i++) {
        const MienFace *f = &p->faces[i];
        struct cJSON *k = json_item_object(faces);
        if (k)
            face_json(k, f, i + 1);
        json_bool(k, "certain", p->sure[i]);
        points_json(k, "points_px", f->point_px, 5);
        if (s->o->landmarks)
            points_json(k, "landmarks_px", f->landmark_px, 68);
        if (s->pictures)
            continue;
        face_text(text, sizeof(text), f, i + 1);
        printf("  %s%s\n", text, p->sure[i] ? "" : ", doubtful");
        for (int n = 0; s->o->landmarks && n < 68; n++)
            printf("%s%.1f,%.1f%s", n % 8 ? " " : "    ", (double)f->landmark_px[n].x_px, (double)f->landmark_px[n].y_px,
                   n % 8 == 7 || n == 67 ? "\n" : "");
    }
    if (s->o->show && faces_preview(s->tool, p, s->o->show) < 0)
        s->n_errors++;
    return 0;
}

static int run_detect(Tool *tool, const void *options, int n_args, char **args)
{
    Detect s = { .tool = tool, .o = options };
    Faces f = { 0 };
    FileList files = { 0 };
    int status = STATUS_ERROR;
    for (int i = 0; i < n_args; i++)
        if (files_add(&files, tool, args[i]) < 0)
            goto out;
    if (s.o->show && (files.n > 1 || !media_can_write(s.o->show))) {
        tool_error(tool, files.n > 1 ? "--show is for one picture" : "--show wants a file that ends in .png or .jpg, not '%s'", safe(s.o->show));
        goto out;
    }
    if (faces_open(&f, tool, NULL, 0, files.n) < 0)
        goto out;
    s.pictures = tool->json ? json_array() : NULL;
    int ret = pictures_each(&f, tool, &files, 0, take_detected, &s);
    status = ret || s.n_errors || interrupted() ? STATUS_ERROR : s.n_without ? STATUS_NO : STATUS_OK;
    if (s.pictures)
        status = json_print(tool, s.pictures, status);
out:
    files_free(&files);
    faces_close(&f);
    return status;
}

static const Option detect_options[] = {
    OPT_FLAG_ROW(DetectOptions, landmarks, "landmarks", 0, "print the 68 landmarks as well"),
    OPT_TEXT_ROW(DetectOptions, show, "show", 's', "FILE", NULL, "write the picture with its faces numbered, as .png or .jpg"),
    { .name = NULL },
};

const Command cmd_detect = {
    .name = "detect", .group = "Questions", .summary = "where are the faces?", .args = "PICTURE...",
    .text = "For every face, from left to right: its number, size, place, distance between the eyes, sharpness, quality and the "
            "detector's certainty. Folders are searched. A face is called doubtful when the detector does not see it in the picture made small.\n"
            "$ mien detect team.jpg --show numbered.png",
    .statuses = "0 every picture has a face; 1 a picture has none; 2 error.", .options = detect_options,
    .options_bytes = sizeof(DetectOptions), .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON, .min_args = 1, .max_args = -1,
    .run = run_detect,
};

/* ---- embed */

typedef struct EmbedOptions {
    const char *out;
    int face, largest;
} EmbedOptions;

typedef struct Embed {
    const Tool *tool;
    const EmbedOptions *o;
    Faces faces;
    struct cJSON *pictures; /* what is printed with --json */
    struct cJSON *sources;  /* what goes into the file: [{"file":…, "face":…}, …] */
    float *rows;
    size_t n_rows, room;
    int n_without, n_errors;
} Embed;

static int keep_row(Embed *s, const Picture *p, int i)
{
    size_t dim = (size_t)s->faces.dim;
    if (s->n_rows == s->room) {
        size_t room = s->room ? s->room * 2 : 64;
        float *rows = mien_realloc_array(s->rows, room * dim, sizeof(float));
        if (!rows)
            return tool_error(s->tool, "out of memory");
        s->rows = rows;
        s->room = room;
    }
    memcpy(s->rows + s->n_rows++ * dim, p->embedding + (size_t)i * dim, dim * sizeof(float));
    struct cJSON *j = json_item_object(s->sources);
    json_str(j, "file", p->path);
    json_str(j, "sha256", p->sha256);
    if (j)
        face_json(j, &p->faces[i], i + 1);
    return 0;
}

static int embed_face(Embed *s, const Picture *p, int i, struct cJSON *faces)
{
    const float *e = p->embedding + (size_t)i * (size_t)s->faces.dim;
    if (s->o->out)
        return keep_row(s, p, i);
    struct cJSON *j = json_item_object(faces);
    if (j) {
        face_json(j, &p->faces[i], i + 1);
        struct cJSON *a = json_add_array(j, "embedding");
        for (int k = 0; k < s->faces.dim; k++)
            json_item_real(a, (double)e[k], 7);
        return 0;
    }
    printf("%s\t%d", safe(p->path), i + 1);
    for (int k = 0; k < s->faces.dim; k++)
        printf("\t%.7f", (double)e[k]);
    putchar('\n');
    return 0;
}

static int take_embedded(void *priv, const Picture *p)
{
    Embed *s = priv;
    struct cJSON *j = json_item_object(s->pictures);
    json_str(j, "file", p->path);
    if (p->err < 0) {
        s->n_errors++;
        json_str(j, "error", p->message);
        tool_error(s->tool, "%s", safe(p->message));
        return 0;
    }
    struct cJSON *faces = json_add_array(j, "faces");
    int one = s->o->face || s->o->largest, i = one && p->n_faces ? face_choose(p, s->o->face, s->o->largest) : 0;
    if (!p->n_faces || i < 0) {
        face_refusal(s->tool, p, p->n_faces ? i : MIEN_E_NOFACE, s->o->face);
        s->n_without++;
        return 0;
    }
    for (int k = one ? i : 0; k < (one ? i + 1 : p->n_faces); k++)
        if (embed_face(s, p, k, faces)) {
            s->n_errors++;
            return 1;
        }
    return 0;
}

static int write_rows(Embed *s)
{
    char dim[16];
    char *sources = json_text_of(s->sources);
    MienFaceEngine *e = s->faces.engine[0];
    MienTensor t = { .name = "embedding", .dtype = MIEN_F32, .n_dims = 2, .dim = { (int64_t)s->n_rows, s->faces.dim }, .data = s->rows,
                     .bytes = s->n_rows * (size_t)s->faces.dim * sizeof(float) };
    snprintf(dim, sizeof(dim), "%d", s->faces.dim);
    MienMeta meta[] = { { "mien.encoder.name", mien_face_encoder_name(e) }, { "mien.encoder.sha256", mien_face_encoder_hash(e) },
                        { "mien.encoder.dim", dim }, { "mien.faces", sources } };
    int ret = sources ? mien_weights_write(s->o->out, &t, 1, meta, MIEN_ARRAY_ELEMS(meta), s->tool->log) : MIEN_ERR(ENOMEM);
    if (!sources)
        tool_error(s->tool, "out of memory");
    json_text_free(sources);
    if (ret >= 0)
        tool_note(s->tool, "%s: %zu embeddings", safe(s->o->out), s->n_rows);
    return ret;
}

static int run_embed(Tool *tool, const void *options, int n_args, char **args)
{
    Embed s = { .tool = tool, .o = options };
    FileList files = { 0 };
    int status = STATUS_ERROR;
    for (int i = 0; i < n_args; i++)
        if (files_add(&files, tool, args[i]) < 0)
            goto out;
    if (faces_open(&s.faces, tool, NULL, 1, files.n) < 0)
        goto out;
    struct cJSON *root = tool->json ? json_object() : NULL;
    json_str(root, "encoder", mien_face_encoder_name(s.faces.engine[0]));
    json_str(root, "encoder_sha256", mien_face_encoder_hash(s.faces.engine[0]));
    json_int(root, "dim", s.faces.dim);
    s.pictures = json_add_array(root, "pictures");
    s.sources = s.o->out ? json_array() : NULL;
    int ret = pictures_each(&s.faces, tool, &files, 1, take_embedded, &s);
    if (!ret && s.o->out && !interrupted() && write_rows(&s) < 0)
        s.n_errors++;
    status = ret || s.n_errors || interrupted() ? STATUS_ERROR : s.n_without ? STATUS_NO : STATUS_OK;
    if (root)
        status = json_print(tool, root, status);
    json_free(s.sources);
out:
    mien_free(s.rows);
    files_free(&files);
    faces_close(&s.faces);
    return status;
}

static const Option embed_options[] = {
    OPT_TEXT_ROW(EmbedOptions, out, "output", 'o', "FILE", "print them", "write a safetensors file: embedding [n, dim], and where each row is from"),
    OPT_INT_ROW(EmbedOptions, face, "face", 'f', 0, 1, FACES_MAX, NULL, "all", "only this face of each picture, from left to right"),
    OPT_FLAG_ROW(EmbedOptions, largest, "largest", 'l', "only the largest face of each picture"),
    { .name = NULL },
};

const Command cmd_embed = {
    .name = "embed", .group = "Questions", .summary = "print the templates of faces: vectors of length 1", .args = "PICTURE...",
    .text = "One line a face: file, number of the face, then the numbers, separated by tabs. Templates are personal data: see docs/privacy.md.",
    .statuses = "0 every picture gave a face; 1 some did not; 2 error.", .options = embed_options, .options_bytes = sizeof(EmbedOptions),
    .takes = TAKES_FACES | TAKES_JSON, .min_args = 1, .max_args = -1, .run = run_embed,
};
