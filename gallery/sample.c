/* Templates and the encoder they belong to. A vector is little-endian f32, of length 1 when stored, and checked again whenever it
 * is read: a gallery may have been written by something else. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "vectors are stored as they lie in memory; a big-endian machine needs a swap here"
#endif

/* ---- vectors */

static double length_of(const float *v, int dim)
{
    double sum = 0;
    for (int i = 0; i < dim; i++)
        sum += (double)v[i] * v[i];
    return sqrt(sum); /* NaN or Inf in v comes out as such; the sum of finite floats does not overflow a double */
}

const char *mieni_vector_check(const float *v, int dim)
{
    double length = length_of(v, dim);
    if (!isfinite(length))
        return "has a number that is not finite";
    return fabs(length - 1) < MIENI_LENGTH_TOLERANCE ? NULL : "is not of length 1";
}

int mieni_vector_normalise(const float *in, int dim, float *out)
{
    double length = length_of(in, dim);
    if (!isfinite(length) || !(length > 0))
        return MIEN_ERR(EINVAL);
    for (int i = 0; i < dim; i++)
        out[i] = (float)(in[i] / length);
    return 0;
}

const char *mieni_vector_read(sqlite3_stmt *st, int column, int dim, float *out)
{
    float v[MIENI_DIM_MAX];
    if (sqlite3_column_type(st, column) != SQLITE_BLOB)
        return "is not a block of bytes";
    const void *blob = sqlite3_column_blob(st, column);
    if (!blob || dim > MIENI_DIM_MAX || sqlite3_column_bytes(st, column) != dim * (int)sizeof(float))
        return "has a size that does not fit the encoder";
    memcpy(v, blob, (size_t)dim * sizeof(float)); /* SQLite's memory need not be aligned for floats */
    const char *why = mieni_vector_check(v, dim);
    if (!why && out)
        memcpy(out, v, (size_t)dim * sizeof(float));
    return why;
}

int mieni_hash_check(const char *hex)
{
    size_t n = strspn(hex, "0123456789abcdef");
    return hex[n] == '\0' && (n == 0 || n == MIENI_HASH_HEX) ? 0 : MIEN_ERR(EINVAL);
}

/* ---- the encoder */

int mieni_model_read(MienGallery *g, MienGalleryModel *model, int64_t *id)
{
    sqlite3_stmt *st;
    memset(model, 0, sizeof(*model));
    *id = 0;
    int ret = mieni_db_query(g, &st, "SELECT id, hash, name, dim FROM model ORDER BY id LIMIT 1", "");
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, "read the encoder's name");
    if (ret > 0) {
        int64_t dim = sqlite3_column_int64(st, 3);
        *id = sqlite3_column_int64(st, 0);
        mieni_db_text(st, 1, model->hash, sizeof(model->hash));
        mieni_db_text(st, 2, model->name, sizeof(model->name));
        model->dim = (int)dim;
        const char *why;
        if (dim < MIENI_DIM_MIN || dim > MIENI_DIM_MAX || !model->hash[0] || mieni_hash_check(model->hash) < 0 ||
            mieni_utf8_check(model->name, sizeof(model->name), 0, &why) < 0) {
            memset(model, 0, sizeof(*model));
            ret = mieni_gallery_fail(g, MIEN_E_CORRUPT, "the description of the encoder is damaged");
        }
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : 0;
}

static int mismatch(MienGallery *g, const MienGalleryModel *has, const MienGalleryModel *wants)
{
    return mieni_gallery_fail(g, MIEN_E_MISMATCH, "its templates were made by the encoder %s (%.12s, %d numbers), they cannot be "
                              "compared with those of %s (%.12s, %d numbers): use that encoder, or another gallery",
                              has->name, has->hash, has->dim, wants->name, wants->hash, wants->dim);
}

static int same_model(const MienGalleryModel *a, const MienGalleryModel *b)
{
    return !strcmp(a->hash, b->hash) && a->dim == b->dim;
}

static int count_samples(MienGallery *g, int64_t *n)
{
    return mieni_db_number(g, "count the samples", n, "SELECT count(*) FROM sample", "");
}

int mieni_model_ensure(MienGallery *g, int64_t *id, int *dim)
{
    MienGalleryModel model;
    int64_t n_samples;
    int ret = mieni_model_read(g, &model, id);
    if (ret < 0)
        return ret;
    *dim = model.dim;
    if (*id && (!g->has_want || same_model(&model, &g->want)))
        return 0;
    if (!g->has_want)
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "is bound to no encoder yet, and none was named");
    if ((ret = count_samples(g, &n_samples)) < 0)
        return ret;
    if (n_samples)
        return mismatch(g, &model, &g->want);
    char now[32];
    mieni_time_now(now);
    if ((ret = mieni_db_run(g, "forget the old encoder", "DELETE FROM model", "")) < 0 ||
        (ret = mieni_db_run(g, "forget its strangers", "DELETE FROM stranger", "")) < 0 ||
        (ret = mieni_db_run(g, "store the encoder", "INSERT INTO model (hash, name, dim, created) VALUES (?1, ?2, ?3, ?4)",
                            "ssis", g->want.hash, g->want.name, (int64_t)g->want.dim, now)) < 0)
        return ret;
    *id = sqlite3_last_insert_rowid(g->db);
    *dim = g->want.dim;
    char detail[64];
    snprintf(detail, sizeof(detail), "encoder %.12s", g->want.hash);
    return mieni_audit(g, "bind", 0, detail);
}

int mien_gallery_model(MienGallery *g, MienGalleryModel *model)
{
    int64_t id;
    memset(model, 0, sizeof(*model));
    int ret = mieni_db_enter(g, 0);
    return ret < 0 ? ret : mieni_model_read(g, model, &id);
}

int mien_gallery_bind(MienGallery *g, const char *hash, const char *name, int dim)
{
    MienGalleryModel model, want = { .dim = dim };
    int64_t id, n_samples;
    const char *why;
    if (!hash || strlen(hash) != MIENI_HASH_HEX || mieni_hash_check(hash) < 0 || dim < MIENI_DIM_MIN || dim > MIENI_DIM_MAX ||
        !name || mieni_utf8_check(name, sizeof(want.name) - 1, 0, &why) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "an encoder has a SHA-256 in hex, a name of up to %zu bytes and %d to %d "
                                  "numbers", sizeof(want.name) - 1, MIENI_DIM_MIN, MIENI_DIM_MAX);
    snprintf(want.hash, sizeof(want.hash), "%s", hash);
    snprintf(want.name, sizeof(want.name), "%s", name);
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_model_read(g, &model, &id)) < 0)
        return ret;
    if (id && !same_model(&model, &want)) {
        if ((ret = count_samples(g, &n_samples)) < 0)
            return ret;
        if (n_samples)
            return mismatch(g, &model, &want);
    }
    g->want = want; /* written with the first sample */
    g->has_want = 1;
    return 0;
}

/* ---- samples */

int mieni_sample_insert(MienGallery *g, int64_t person, int64_t model, const float *v, int dim, const MienSample *sample,
                        int64_t *id)
{
    int ret = mieni_db_run(g, "store a sample",
                           "INSERT INTO sample (person, model, vector, quality, source, created)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6)", "iibdss", person, model, v, (size_t)dim * sizeof(float),
                           (double)sample->quality, sample->source_hash, sample->created);
    *id = sqlite3_last_insert_rowid(g->db);
    return ret < 0 ? ret : 0;
}

static int source_known(MienGallery *g, int64_t person, const char *source)
{
    int64_t other;
    if (!*source)
        return 0;
    int ret = mieni_db_number(g, "look for the picture", &other,
                              "SELECT id FROM sample WHERE person = ?1 AND source = ?2", "is", person, source);
    if (ret == 0)
        return mieni_gallery_fail(g, MIEN_E_EXISTS, "this picture is enrolled for this person already");
    return ret == MIEN_E_NOTFOUND ? 0 : ret;
}

static int add_sample(MienGallery *g, const char *name, const float *v, int dim, MienSample *sample)
{
    int64_t model;
    int model_dim, ret;
    char detail[64];
    if ((ret = mieni_model_ensure(g, &model, &model_dim)) < 0)
        return ret;
    if (dim != model_dim)
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "a template has %d numbers, this gallery's have %d", dim, model_dim);
    mieni_time_now(sample->created);
    if ((ret = mieni_person_ensure(g, name, sample->created, &sample->person)) < 0 ||
        (ret = source_known(g, sample->person, sample->source_hash)) < 0 ||
        (ret = mieni_sample_insert(g, sample->person, model, v, dim, sample, &sample->id)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), "sample %lld", (long long)sample->id);
    return mieni_audit(g, "enroll", sample->person, detail);
}

int mien_gallery_add(MienGallery *g, const char *name, const float *embedding, int dim, MienSample *sample)
{
    float v[MIENI_DIM_MAX];
    int ret = mieni_name_check_log(g, name);
    if (ret < 0)
        return ret;
    if (dim < MIENI_DIM_MIN || dim > MIENI_DIM_MAX || mieni_vector_normalise(embedding, dim, v) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a template of %d numbers is not finite, or of length 0", dim);
    if (!(sample->quality >= 0 && sample->quality <= 1) || mieni_hash_check(sample->source_hash) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a sample has a quality of 0 to 1 and a SHA-256 in hex as its source");
    if ((ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    MienSample stored = *sample;
    ret = mieni_db_end(g, add_sample(g, name, v, dim, &stored));
    if (ret >= 0)
        *sample = stored;
    return ret < 0 ? ret : 0;
}

int mien_gallery_samples(MienGallery *g, int64_t person, MienSample **samples)
{
    sqlite3_stmt *st = NULL;
    MienSample *list = NULL;
    size_t n = 0, cap = 0;
    *samples = NULL;
    int ret = mieni_db_enter(g, 0);
    if (ret < 0)
        return ret;
    ret = mieni_db_query(g, &st, "SELECT id, person, quality, source, created FROM sample WHERE person = ?1 ORDER BY id", "i",
                         person);
    while (ret >= 0 && (ret = mieni_db_step(g, st, "list the samples")) > 0) {
        if (n == cap) {
            size_t new_cap = cap ? 2 * cap : 16;
            MienSample *grown = n < INT32_MAX / 2 ? mien_realloc_array(list, new_cap, sizeof(*list)) : NULL;
            if (!grown) {
                ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the list of samples");
                break;
            }
            list = grown;
            cap = new_cap;
        }
        MienSample *s = &list[n++];
        memset(s, 0, sizeof(*s));
        s->id = sqlite3_column_int64(st, 0);
        s->person = sqlite3_column_int64(st, 1);
        s->quality = (float)sqlite3_column_double(st, 2);
        mieni_db_text(st, 3, s->source_hash, sizeof(s->source_hash));
        mieni_db_text(st, 4, s->created, sizeof(s->created));
    }
    sqlite3_finalize(st);
    if (ret < 0) {
        mien_free(list);
        return ret;
    }
    *samples = list;
    return (int)n;
}

int mien_gallery_embedding(MienGallery *g, int64_t sample, float *embedding, int dim)
{
    sqlite3_stmt *st = NULL;
    if (dim < MIENI_DIM_MIN || dim > MIENI_DIM_MAX)
        return MIEN_ERR(EINVAL);
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_query(g, &st, "SELECT vector FROM sample WHERE id = ?1", "i", sample)) < 0)
        return ret;
    ret = mieni_db_step(g, st, "read a template");
    if (ret == 0) {
        ret = mieni_gallery_fail(g, MIEN_E_NOTFOUND, "there is no sample %lld", (long long)sample);
    } else if (ret > 0) {
        const char *why = mieni_vector_read(st, 0, dim, embedding);
        ret = why ? mieni_gallery_fail(g, MIEN_E_CORRUPT, "the template of sample %lld %s", (long long)sample, why) : 0;
    }
    sqlite3_finalize(st);
    return ret;
}

static int move_sample(MienGallery *g, int64_t sample, const char *into)
{
    int64_t person, from;
    char now[32], detail[96], source[80] = "";
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT person, source FROM sample WHERE id = ?1", "i", sample);
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, "find a sample");
    from = sqlite3_column_int64(st, 0);
    if (ret > 0)
        mieni_db_text(st, 1, source, sizeof(source));
    sqlite3_finalize(st);
    if (ret == 0)
        return mieni_gallery_fail(g, MIEN_E_NOTFOUND, "there is no sample %lld", (long long)sample);
    mieni_time_now(now);
    if (ret < 0 || (ret = mieni_person_ensure(g, into, now, &person)) < 0)
        return ret;
    if (person == from)
        return 0;
    if ((ret = source_known(g, person, source)) < 0 ||
        (ret = mieni_db_run(g, "move a sample", "UPDATE sample SET person = ?1 WHERE id = ?2", "ii", person, sample)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), "sample %lld from person %lld", (long long)sample, (long long)from);
    return mieni_audit(g, "move", person, detail);
}

int mien_gallery_move_sample(MienGallery *g, int64_t sample, const char *into)
{
    int ret = mieni_name_check_log(g, into);
    if (ret < 0 || (ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, move_sample(g, sample, into));
}
