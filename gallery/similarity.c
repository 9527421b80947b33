/* Learnt similarities: a row of w and b per kind, for the encoder that the gallery is bound to. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"

/* A row (w, b, n_pairs, accuracy, created) into s, of which kind and dim are set; NULL, or what is wrong with it. */
static const char *read_row(sqlite3_stmt *st, MienGallerySimilarity *s)
{
    const void *w = sqlite3_column_type(st, 0) == SQLITE_BLOB ? sqlite3_column_blob(st, 0) : NULL;
    if (!w || sqlite3_column_bytes(st, 0) != s->unit.dim * (int)sizeof(float))
        return "has weights of a size that does not fit the encoder";
    memcpy(s->unit.w, w, (size_t)s->unit.dim * sizeof(float));
    s->unit.b = (float)sqlite3_column_double(st, 1);
    if (mien_similarity_check(&s->unit) < 0)
        return "has a number that is not finite";
    s->n_pairs = sqlite3_column_int64(st, 2);
    s->accuracy = sqlite3_column_type(st, 3) == SQLITE_NULL ? NAN : sqlite3_column_double(st, 3);
    if (s->n_pairs < 0 || s->accuracy < 0 || s->accuracy > 1)
        return "has an impossible count or accuracy";
    mieni_db_text(st, 4, s->created, sizeof(s->created));
    return NULL;
}

/* An older file that is only read has no such table: 1 or 0. */
static int table_there(MienGallery *g)
{
    int64_t version;
    int ret = mieni_db_number(g, "read the schema's version", &version, "PRAGMA user_version", "");
    return ret < 0 ? ret : version >= 2;
}

static int read_similarity(MienGallery *g, int64_t model, MienGallerySimilarity *s)
{
    sqlite3_stmt *st;
    const char *name = mien_similarity_name(s->unit.kind);
    int ret = mieni_db_query(g, &st, "SELECT w, b, n_pairs, accuracy, created FROM similarity WHERE model = ?1 AND kind = ?2", "is",
                             model, name);
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, "read a learnt similarity");
    if (ret > 0) {
        const char *why = read_row(st, s);
        ret = why ? mieni_gallery_fail(g, MIEN_E_CORRUPT, "the learnt similarity '%s' %s; `mien train similarity --kind %s` "
                                       "learns it anew", name, why, name) : 1;
    }
    sqlite3_finalize(st);
    return ret;
}

int mieni_similarity_read(MienGallery *g, MienSimilarityKind kind, int needed, MienGallerySimilarity *s)
{
    MienGalleryModel model;
    int64_t id;
    const char *name = mien_similarity_name(kind);
    memset(s, 0, sizeof(*s));
    int ret = mieni_model_read(g, &model, &id);
    s->unit.kind = kind;
    s->unit.dim = model.dim;
    if (ret >= 0 && (ret = table_there(g)) > 0)
        ret = read_similarity(g, id, s);
    if (ret != 0)
        return ret < 0 ? ret : 0;
    return !needed ? MIEN_E_NOTFOUND
                   : mieni_gallery_fail(g, MIEN_E_NOTFOUND, "no similarity '%s' has been learnt for its encoder%s%s; "
                                        "`mien train similarity --kind %s` learns one", name, id ? " " : "", model.name, name);
}

int mien_gallery_similarity(MienGallery *g, MienSimilarityKind kind, MienGallerySimilarity *s)
{
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    return mieni_db_end(g, mieni_similarity_read(g, kind, 0, s));
}

static int store(MienGallery *g, MienGallerySimilarity *s)
{
    const char *name = mien_similarity_name(s->unit.kind);
    char detail[64];
    int64_t model;
    int dim, ret = mieni_model_ensure(g, &model, &dim);
    if (ret < 0)
        return ret;
    if (dim != s->unit.dim)
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "a learnt similarity has %d weights, this gallery's templates have %d "
                                  "numbers", s->unit.dim, dim);
    mieni_time_now(s->created);
    ret = mieni_db_run(g, "forget the old similarity", "DELETE FROM similarity WHERE model = ?1 AND kind = ?2", "is", model, name);
    if (ret >= 0 && isnan(s->accuracy))
        ret = mieni_db_run(g, "store a learnt similarity",
                           "INSERT INTO similarity (model, kind, w, b, n_pairs, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", "isbdis",
                           model, name, s->unit.w, (size_t)dim * sizeof(float), (double)s->unit.b, s->n_pairs, s->created);
    else if (ret >= 0)
        ret = mieni_db_run(g, "store a learnt similarity", "INSERT INTO similarity (model, kind, w, b, n_pairs, created, accuracy)"
                           " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", "isbdisd", model, name, s->unit.w,
                           (size_t)dim * sizeof(float), (double)s->unit.b, s->n_pairs, s->created, s->accuracy);
    if (ret < 0)
        return ret;
    snprintf(detail, sizeof(detail), "similarity %s, %lld pairs", name, (long long)s->n_pairs);
    return mieni_audit(g, "train", 0, detail);
}

int mien_gallery_set_similarity(MienGallery *g, MienGallerySimilarity *s)
{
    if (mien_similarity_check(&s->unit) < 0 || s->n_pairs < 0 || s->accuracy < 0 || s->accuracy > 1)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a learnt similarity has a kind, finite weights, a number of pairs and an "
                                  "accuracy between 0 and 1");
    int ret = mieni_db_enter(g, 1);
    if (ret < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    ret = mieni_db_end(g, store(g, s));
    return ret < 0 ? ret : 0;
}

int mien_gallery_use_similarity(MienGallery *g, MienSimilarityKind kind)
{
    MienGallerySimilarity s;
    int ret = 0;
    if (kind == g->similarity)
        return 0;
    if (kind != MIEN_SIMILARITY_DISTANCE) {
        if ((ret = mieni_db_enter(g, 0)) < 0 || (ret = mieni_db_begin_read(g)) < 0 ||
            (ret = mieni_db_end(g, mieni_similarity_read(g, kind, 1, &s))) < 0)
            return ret;
    }
    g->similarity = kind;
    g->index_stale = 1; /* read with the next search */
    mieni_index_free(&g->index);
    return 0;
}

int mieni_similarity_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv)
{
    sqlite3_stmt *st;
    int ret = table_there(g);
    if (ret <= 0)
        return ret;
    ret = mieni_db_query(g, &st, "SELECT s.w, s.b, s.n_pairs, s.accuracy, s.created, s.kind, m.dim"
                             " FROM similarity AS s LEFT JOIN model AS m ON m.id = s.model ORDER BY s.id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "check the learnt similarities")) > 0) {
        char kind[16], line[160];
        int64_t dim = sqlite3_column_int64(st, 6);
        MienGallerySimilarity s = { .unit.dim = dim < 1 || dim > MIEN_SIMILARITY_MAX_DIM ? 0 : (int)dim };
        mieni_db_text(st, 5, kind, sizeof(kind));
        s.unit.kind = !strcmp(kind, "chi2") ? MIEN_SIMILARITY_CHI2 : MIEN_SIMILARITY_LOGISTIC;
        const char *why = strcmp(kind, mien_similarity_name(s.unit.kind)) ? "is of an unknown kind"
                        : !s.unit.dim ? "is of an unknown encoder" : read_row(st, &s);
        if (!why && mieni_time_check(s.created) < 0)
            why = "has a date that is no date";
        if (why) {
            snprintf(line, sizeof(line), "the learnt similarity '%s' %s", mien_similarity_name(s.unit.kind), why);
            report(priv, line);
        }
    }
    sqlite3_finalize(st);
    return ret;
}
