/* mien migrate: the people of a gallery, embedded anew by another encoder, in a new gallery.
 *
 * Templates of one encoder say nothing about those of another, and a gallery keeps no pictures: they are needed again. A sample knows the
 * SHA-256 of its picture; which face of the picture it is, the old encoder tells, by making the stored template once more. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "faces.h"
#include "files.h"
#include "media.h"

#define SAME_SIM_COS 0.99f /* between a template and its picture's face, embedded again: 1 but for the last digits of another CPU */
#define MAX_PICTURE_BYTES ((size_t)1 << 30)

typedef struct MigrateOptions {
    const char *from;
} MigrateOptions;

typedef struct Item {
    MienSample sample;
    int person;       /* index into people */
    float *old, *now; /* rows; now is valid once found */
    int found;
} Item;

typedef struct Migration {
    const Tool *tool;
    MienGallery *g, *out;
    Faces was, will; /* the encoders */
    MienPerson *people;
    int n_people;
    Item *item; /* sorted by the picture's hash */
    size_t n_items, n_found;
    float *rows;
} Migration;

static int by_hash(const void *a, const void *b)
{
    const Item *x = a, *y = b;
    int order = strcmp(x->sample.source_hash, y->sample.source_hash);
    return order ? order : x->sample.id < y->sample.id ? -1 : x->sample.id > y->sample.id;
}

/* All samples of the old gallery with their templates. */
static int read_samples(Migration *m)
{
    size_t width = (size_t)m->was.dim + (size_t)m->will.dim, at = 0;
    m->n_people = mien_gallery_people(m->g, &m->people);
    for (int i = 0; i < m->n_people; i++)
        m->n_items += (size_t)m->people[i].n_samples;
    m->item = mien_calloc(m->n_items + 1, sizeof(*m->item));
    m->rows = mien_malloc_array(m->n_items + 1, width * sizeof(float));
    if (m->n_people < 0 || !m->item || !m->rows)
        return m->n_people < 0 ? -1 : (tool_error(m->tool, "out of memory"), -1);
    for (int i = 0; i < m->n_people; i++) {
        MienSample *s;
        int n = mien_gallery_samples(m->g, m->people[i].id, &s), ret = n;
        for (int k = 0; k < n && at < m->n_items && ret >= 0; k++, at++) {
            m->item[at] = (Item){ .sample = s[k], .person = i, .old = m->rows + at * width, .now = m->rows + at * width + m->was.dim };
            ret = mien_gallery_embedding(m->g, s[k].id, m->item[at].old, m->was.dim);
        }
        mien_free(s);
        if (ret < 0)
            return -1;
    }
    m->n_items = at;
    qsort(m->item, m->n_items, sizeof(*m->item), by_hash);
    return 0;
}

/* The first sample of this picture that is still wanted, or NULL. */
static Item *wanted(const Migration *m, const char *hash)
{
    size_t lo = 0, hi = m->n_items;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (strcmp(m->item[mid].sample.source_hash, hash) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < m->n_items && !strcmp(m->item[lo].sample.source_hash, hash); lo++)
        if (!m->item[lo].found)
            return &m->item[lo];
    return NULL;
}

static int embed_samples(Migration *m, const Picture *p, const MienImage *img)
{
    for (Item *item; (item = wanted(m, p->sha256)); m->n_found += item->found == 1) {
        int best = -1;
        float best_sim = SAME_SIM_COS;
        for (int i = 0; i < p->n_faces; i++) {
            float sim = mien_sim_cos(p->embedding + (size_t)i * (size_t)m->was.dim, item->old, m->was.dim);
            if (sim >= best_sim) {
                best = i;
                best_sim = sim;
            }
        }
        item->found = best >= 0 ? 1 : -1;
        if (best < 0)
            tool_warn(m->tool, "%s: no face in it has the template of sample %lld; it was made in another way", safe(p->path),
                      (long long)item->sample.id);
        else if (mien_face_embed(m->will.engine[0], img, &p->faces[best], 1, item->now) < 0)
            return -1;
    }
    return 0;
}

/* Hashes first: most files of a folder are nobody's. */
static int look_at(Migration *m, const char *path)
{
    uint8_t *data = NULL, *rgb8 = NULL;
    size_t bytes;
    char hash[65];
    MienImage img;
    Picture p;
    if (mieni_file_read(path, MAX_PICTURE_BYTES, &data, &bytes, m->tool->log) < 0)
        return -1;
    mieni_sha256_hex(data, bytes, hash);
    mien_free(data);
    if (!wanted(m, hash))
        return 0;
    picture_read(&m->was, 0, path, 1, &p);
    int ret = p.err;
    if (ret < 0)
        tool_error(m->tool, "%s", safe(p.message));
    else if ((ret = media_read_picture(path, &rgb8, &img, NULL, m->tool->log)) >= 0)
        ret = embed_samples(m, &p, &img);
    mien_free(rgb8);
    picture_free(&p);
    return ret;
}

static int look_at_all(Migration *m, const FileList *files)
{
    Progress progress;
    int ret = 0;
    progress_begin(&progress, m->tool, "files", files->n);
    for (int64_t i = 0; i < files->n && ret >= 0 && !interrupted(); i++) {
        ret = look_at(m, files->path[i]);
        progress_step(&progress, i + 1);
    }
    progress_end(&progress);
    return interrupted() ? (tool_error(m->tool, "interrupted; nothing was written"), -1) : ret;
}

static int by_sample(const void *a, const void *b)
{
    const Item *x = a, *y = b;
    return x->sample.id < y->sample.id ? -1 : x->sample.id > y->sample.id;
}

static int write_gallery(Migration *m, const char *path)
{
    char detail[64];
    MienFaceEngine *e = m->will.engine[0];
    if (mien_gallery_open(&m->out, path, MIEN_GALLERY_CREATE, m->tool->log) < 0 ||
        mien_gallery_bind(m->out, mien_face_encoder_hash(e), mien_face_encoder_name(e), m->will.dim) < 0)
        return -1;
    qsort(m->item, m->n_items, sizeof(*m->item), by_sample); /* in the order in which they were enrolled */
    for (size_t i = 0; i < m->n_items; i++) {
        MienSample s = m->item[i].sample;
        if (m->item[i].found == 1 && mien_gallery_add(m->out, m->people[m->item[i].person].name, m->item[i].now, m->will.dim, &s) < 0)
            return -1;
    }
    for (int i = 0; i < m->n_people; i++) {
        const MienPerson *p = &m->people[i];
        MienPerson there;
        if (person_lookup(m->out, p->name, &there) != 1)
            continue;
        if (mien_gallery_set_notes(m->out, p->name, p->consent, p->expires, p->notes) < 0 ||
            (p->ignored && mien_gallery_set_ignored(m->out, p->name, 1) < 0))
            return -1;
    }
    snprintf(detail, sizeof(detail), "%zu of %zu samples from encoder %.12s", m->n_found, m->n_items, mien_face_encoder_hash(m->was.engine[0]));
    return mien_gallery_audit(m->out, "re-embed", detail);
}

/* The samples that stayed behind, by person. */
static int report(const Migration *m, const char *path)
{
    struct cJSON *j = m->tool->json ? json_object() : NULL, *list;
    json_str(j, "gallery", path);
    json_str(j, "encoder", mien_face_encoder_name(m->will.engine[0]));
    json_int(j, "samples", (int64_t)m->n_items);
    json_int(j, "migrated", (int64_t)m->n_found);
    list = json_add_array(j, "left_behind");
    for (int i = 0; i < m->n_people; i++) {
        int n_left = 0;
        for (size_t k = 0; k < m->n_items; k++)
            n_left += m->item[k].person == i && m->item[k].found != 1;
        if (!n_left && m->people[i].n_samples)
            continue;
        struct cJSON *k = json_item_object(list);
        json_str(k, "name", m->people[i].name);
        json_int(k, "samples", n_left);
        json_bool(k, "person_lost", n_left == m->people[i].n_samples);
        if (!j)
            printf("%s: %d of %d samples left behind%s\n", safe(m->people[i].name), n_left, m->people[i].n_samples,
                   n_left == m->people[i].n_samples ? "; this person is not in the new gallery" : "");
    }
    if (!j)
        printf("%s: %zu of %zu samples, now of %s\n", safe(path), m->n_found, m->n_items, safe(mien_face_encoder_name(m->will.engine[0])));
    int status = m->n_found == m->n_items ? STATUS_OK : STATUS_NO;
    return j ? json_print(m->tool, j, status) : status;
}

static int run_migrate(Tool *tool, const void *options, int n_args, char **args)
{
    const MigrateOptions *o = options;
    Migration m = { .tool = tool };
    FileList files = { 0 };
    MienGalleryModel model;
    int status = STATUS_ERROR;
    if (!tool->encoder)
        return tool_error(tool, "--encoder says which encoder the new gallery is for");
    if (mien_gallery_open(&m.out, args[0], MIEN_GALLERY_READ, (MienLog){ 0 }) != MIEN_E_NOTFOUND) {
        mien_gallery_close(&m.out);
        return tool_error(tool, "%s: is there already; the new gallery wants a name of its own", safe(args[0]));
    }
    for (int i = 1; i < n_args; i++)
        if (files_add(&files, tool, args[i]) < 0)
            goto out;
    if (!(m.g = gallery_open(tool, MIEN_GALLERY_READ)) || mien_gallery_model(m.g, &model) < 0 ||
        faces_open(&m.was, tool, o->from ? o->from : *model.name ? model.name : NULL, 1, 1) < 0 || gallery_fits(tool, m.g, &m.was) < 0 ||
        faces_open(&m.will, tool, tool->encoder, 1, 1) < 0)
        goto out;
    if (!strcmp(mien_face_encoder_hash(m.was.engine[0]), mien_face_encoder_hash(m.will.engine[0]))) {
        tool_error(tool, "the gallery is of this encoder already");
        goto out;
    }
    if (read_samples(&m) >= 0 && look_at_all(&m, &files) >= 0 && write_gallery(&m, args[0]) >= 0)
        status = report(&m, args[0]);
out:
    mien_free(m.people);
    mien_free(m.item);
    mien_free(m.rows);
    files_free(&files);
    faces_close(&m.was);
    faces_close(&m.will);
    mien_gallery_close(&m.g);
    mien_gallery_close(&m.out);
    return status;
}

static const Option migrate_options[] = {
    OPT_TEXT_ROW(MigrateOptions, from, "from", 0, "NAME", "found by the gallery's own word",
                 "encoder that made the gallery, where it is a file of your own"),
    { .name = NULL },
};

const Command cmd_migrate = {
    .name = "migrate", .group = "Learning", .summary = "embed a gallery's people anew, for another encoder", .args = "NEW-GALLERY PICTURE...",
    .text = "Templates of two encoders cannot be compared or turned into one another, and galleries keep no pictures: give the pictures again (folders are "
            "searched). They are found by their hashes, and the face in each by the template that the old encoder makes of it. The gallery stays as it is; the "
            "new one has the same names, notes, dates and consents. Samples whose picture is not there, and views taken from videos, are left behind and "
            "listed.\n"
            "$ mien migrate new.db pictures/ --gallery staff.db --encoder ./mine.safetensors",
    .statuses = "0 every sample was taken over; 1 some were left behind; 2 error.",
    .options = migrate_options, .options_bytes = sizeof(MigrateOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON, .min_args = 2,
    .max_args = -1, .run = run_migrate,
};
