/* Export and import: a roster out of the database in one read transaction, and into it in one write transaction. */
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"

/* ---- export */

static int collect_people(MienGallery *g, MieniRoster *r, int64_t **ids)
{
    sqlite3_stmt *st;
    size_t cap = 0;
    *ids = NULL;
    int ret = mieni_db_query(g, &st, "SELECT id, name, status, created, consent, expires, notes FROM person ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the people")) > 0) {
        MieniRosterPerson *p;
        char status[16];
        if (r->n_people == cap) {
            size_t new_cap = cap ? 2 * cap : 64;
            int64_t *grown = mien_realloc_array(*ids, new_cap, sizeof(**ids));
            if (grown) {
                *ids = grown;
                cap = new_cap;
            }
        }
        if (r->n_people == cap || mieni_roster_add_person(r, &p) < 0) {
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the people");
            break;
        }
        (*ids)[r->n_people - 1] = sqlite3_column_int64(st, 0);
        mieni_db_text(st, 1, p->name, sizeof(p->name));
        mieni_db_text(st, 2, status, sizeof(status));
        p->ignored = !strcmp(status, "ignored");
        mieni_db_text(st, 3, p->created, sizeof(p->created));
        mieni_db_text(st, 4, p->consent, sizeof(p->consent));
        mieni_db_text(st, 5, p->expires, sizeof(p->expires));
        mieni_db_text(st, 6, p->notes, sizeof(p->notes));
    }
    sqlite3_finalize(st);
    return ret;
}

static int64_t person_index(const int64_t *ids, size_t n, int64_t id)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (ids[mid] < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < n && ids[lo] == id ? (int64_t)lo : -1;
}

static int collect_samples(MienGallery *g, MieniRoster *r, const int64_t *ids)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT person, vector, quality, source, created FROM sample ORDER BY person, id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the samples")) > 0) {
        MienSample *s;
        float *v;
        if (mieni_roster_add_sample(r, &s, &v) < 0) {
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the samples");
            break;
        }
        const char *why = mieni_vector_read(st, 1, r->model.dim, v);
        if (why) {
            ret = mieni_gallery_fail(g, MIEN_E_CORRUPT, "is damaged, a template %s; see `mien check`", why);
            break;
        }
        s->person = person_index(ids, r->n_people, sqlite3_column_int64(st, 0));
        s->quality = (float)sqlite3_column_double(st, 2);
        mieni_db_text(st, 3, s->source_hash, sizeof(s->source_hash));
        mieni_db_text(st, 4, s->created, sizeof(s->created));
    }
    sqlite3_finalize(st);
    return ret;
}

static int collect(MienGallery *g, MieniRoster *r)
{
    int64_t *ids = NULL, model_id;
    int ret = mieni_model_read(g, &r->model, &model_id);
    if (ret >= 0)
        ret = collect_people(g, r, &ids);
    if (ret >= 0 && model_id)
        ret = collect_samples(g, r, ids);
    mien_free(ids);
    return ret < 0 ? ret : mieni_roster_check(r, g->path, g->log); /* what we write can be read */
}

/* Reading handles leave no trace in the log: they may not write. */
static int audit_if_writer(MienGallery *g, const char *verb, const char *detail)
{
    if (!(g->flags & (MIEN_GALLERY_WRITE | MIEN_GALLERY_CREATE)))
        return 0;
    return mien_gallery_audit(g, verb, detail);
}

int mien_gallery_export(MienGallery *g, const char *path)
{
    MieniRoster r = { 0 };
    char detail[96];
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    ret = mieni_db_end(g, collect(g, &r));
    snprintf(detail, sizeof(detail), "%zu people, %zu samples", r.n_people, r.n_samples);
    if (ret >= 0) /* the line first: an export without a trace would be worse than a trace without an export */
        ret = audit_if_writer(g, "export", detail);
    if (ret >= 0)
        ret = mieni_roster_write(&r, path, g->log);
    mieni_roster_free(&r);
    return ret < 0 ? ret : 0;
}

/* ---- import */

static int import_person(MienGallery *g, const MieniRosterPerson *p, int64_t *id)
{
    int ret = mieni_person_find(g, p->name, id);
    if (ret != MIEN_E_NOTFOUND)
        return ret; /* somebody of that name is here: what is known here stays as it is */
    if ((ret = mieni_person_insert(g, p->name, p->created, id)) < 0)
        return ret;
    ret = mieni_db_run(g, "store a person", "UPDATE person SET status = ?1, consent = ?2, expires = ?3, notes = ?4 WHERE id = ?5",
                       "ssssi", p->ignored ? "ignored" : "active", p->consent, p->expires, p->notes, *id);
    return ret < 0 ? ret : 0;
}

/* 1: added; 0: this picture or this template is here already. */
static int import_sample(MienGallery *g, sqlite3_stmt *known, int64_t person, int64_t model, const float *v, int dim,
                         const MienSample *s)
{
    int64_t id;
    int ret = mieni_db_bind(g, known, "isb", person, s->source_hash, v, (size_t)dim * sizeof(float));
    if (ret < 0 || (ret = mieni_db_step(g, known, "look for a sample")) != 0)
        return ret < 0 ? ret : 0;
    ret = mieni_sample_insert(g, person, model, v, dim, s, &id);
    return ret < 0 ? ret : 1;
}

static int import_roster(MienGallery *g, const MieniRoster *r, int *n_added)
{
    MienGalleryModel had = g->want;
    int had_want = g->has_want;
    int64_t model = 0, *person = mien_malloc_array(r->n_people, sizeof(*person));
    sqlite3_stmt *known = NULL;
    int dim = 0, ret = person ? 0 : mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the people");
    char detail[96];
    if (ret >= 0 && r->n_samples) {
        if (had_want && strcmp(had.hash, r->model.hash)) {
            ret = mieni_gallery_fail(g, MIEN_E_MISMATCH, "works with the encoder %s (%.12s), the file's templates are of %s (%.12s)",
                                     had.name, had.hash, r->model.name, r->model.hash);
        } else {
            g->want = r->model;
            g->has_want = 1;
            ret = mieni_model_ensure(g, &model, &dim);
            g->want = had;
            g->has_want = had_want;
        }
    }
    for (size_t i = 0; i < r->n_people && ret >= 0; i++)
        ret = import_person(g, &r->person[i], &person[i]);
    if (ret >= 0)
        ret = mieni_db_query(g, &known, "SELECT 1 FROM sample WHERE person = ?1 AND ((?2 <> '' AND source = ?2) OR vector = ?3)", "");
    for (size_t i = 0; i < r->n_samples && ret >= 0; i++) {
        ret = import_sample(g, known, person[r->sample[i].person], model, r->vector + i * (size_t)dim, dim, &r->sample[i]);
        if (ret > 0)
            ++*n_added;
    }
    sqlite3_finalize(known);
    mien_free(person);
    if (ret < 0)
        return ret;
    snprintf(detail, sizeof(detail), "%zu people, %d of %zu samples added", r->n_people, *n_added, r->n_samples);
    return mieni_audit(g, "import", 0, detail);
}

int mien_gallery_import(MienGallery *g, const char *path, int *n_added)
{
    MieniRoster r;
    int added = 0;
    if (n_added)
        *n_added = 0;
    int ret = mieni_db_enter(g, 1);
    if (ret < 0 || (ret = mieni_roster_read(&r, path, g->log)) < 0)
        return ret;
    if ((ret = mieni_db_begin_write(g)) >= 0)
        ret = mieni_db_end(g, import_roster(g, &r, &added));
    mieni_roster_free(&r);
    if (ret >= 0 && n_added)
        *n_added = added;
    return ret < 0 ? ret : 0;
}
