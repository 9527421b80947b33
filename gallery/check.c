/* Is a gallery sound? And how large is it? Both change nothing. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

typedef struct Findings {
    MienGallery *g;
    void (*report)(void *priv, const char *text);
    void *priv;
    int n;
} Findings;

static void find(void *priv, const char *text)
{
    Findings *f = priv;
    if (f->report)
        f->report(f->priv, text);
    f->n++;
}

/* A step that damage made impossible is a finding; only what has nothing to do with the content is an error. */
static int settle(Findings *f, int ret)
{
    if (ret != MIEN_E_CORRUPT && ret != MIEN_E_FORMAT)
        return ret < 0 ? ret : 0;
    find(f, f->g->err_text);
    return 0;
}

static int check_sqlite(Findings *f)
{
    sqlite3_stmt *st;
    char text[512], line[640];
    int ret = mieni_db_query(f->g, &st, "PRAGMA integrity_check(50)", "");
    while (ret >= 0 && (ret = mieni_db_step(f->g, st, "check the database")) > 0) {
        mieni_db_text(st, 0, text, sizeof(text));
        if (strcmp(text, "ok")) {
            snprintf(line, sizeof(line), "database: %s", text);
            find(f, line);
        }
    }
    sqlite3_finalize(st);
    if ((ret = settle(f, ret)) < 0)
        return ret;
    ret = mieni_db_query(f->g, &st, "PRAGMA foreign_key_check", "");
    while (ret >= 0 && (ret = mieni_db_step(f->g, st, "check the references")) > 0) {
        mieni_db_text(st, 0, text, 64);
        snprintf(line, sizeof(line), "%s %lld refers to something that is not there", text,
                 (long long)sqlite3_column_int64(st, 1));
        find(f, line);
    }
    sqlite3_finalize(st);
    return settle(f, ret);
}

static int check_people(Findings *f)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(f->g, &st, "SELECT id, name, expires, created FROM person ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(f->g, st, "check the people")) > 0) {
        char name[512], date[32], line[256];
        const char *why;
        int64_t end;
        long long id = (long long)sqlite3_column_int64(st, 0);
        mieni_db_text(st, 1, name, sizeof(name));
        if (mien_name_check(name, &why) < 0 || sqlite3_column_bytes(st, 1) != (int)strlen(name)) {
            snprintf(line, sizeof(line), "person %lld: the name is damaged", id);
            find(f, line);
        }
        mieni_db_text(st, 2, date, sizeof(date));
        if (mieni_time_parse_expiry(date, &end) < 0) {
            snprintf(line, sizeof(line), "person %lld: the expiry date is no date, the person counts as expired", id);
            find(f, line);
        }
        mieni_db_text(st, 3, date, sizeof(date));
        if (mieni_time_check(date) < 0) {
            snprintf(line, sizeof(line), "person %lld: the date of making is no date", id);
            find(f, line);
        }
    }
    sqlite3_finalize(st);
    return settle(f, ret);
}

static int check_samples(Findings *f)
{
    MienGalleryModel model;
    int64_t model_id, has_strangers;
    sqlite3_stmt *st;
    int ret = mieni_model_read(f->g, &model, &model_id);
    if (ret < 0 || (ret = mieni_db_number(f->g, "look for strangers", &has_strangers,
                                          "SELECT count(*) FROM sqlite_master WHERE name = 'stranger_sample'", "")) < 0)
        return settle(f, ret);
    ret = mieni_db_query(f->g, &st, has_strangers ? "SELECT id, model, vector, 'sample' FROM sample UNION ALL"
                                                    " SELECT id, model, vector, 'stranger''s sample' FROM stranger_sample ORDER BY 4, 1"
                                                  : "SELECT id, model, vector, 'sample' FROM sample ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(f->g, st, "check the samples")) > 0) {
        const char *why = !model_id || sqlite3_column_int64(st, 1) != model_id ? "is of an unknown encoder"
                        : mieni_vector_read(st, 2, model.dim, NULL);
        if (why) {
            char line[160], what[32];
            mieni_db_text(st, 3, what, sizeof(what));
            snprintf(line, sizeof(line), "%s %lld: the template %s", what, (long long)sqlite3_column_int64(st, 0), why);
            find(f, line);
        }
    }
    sqlite3_finalize(st);
    return settle(f, ret);
}

int mien_gallery_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv)
{
    Findings f = { .g = g, .report = report, .priv = priv };
    int ret = mieni_db_enter(g, 0);
    if (ret < 0)
        return ret;
    g->quiet++;
    if ((ret = check_sqlite(&f)) >= 0 && (ret = check_people(&f)) >= 0 && (ret = check_samples(&f)) >= 0 &&
        (ret = settle(&f, mieni_similarity_check(g, find, &f))) >= 0 &&
        (ret = settle(&f, mieni_calibrations_check(g, find, &f))) >= 0)
        ret = settle(&f, mieni_audit_check(g, find, &f));
    g->quiet--;
    if (ret < 0)
        return mien_fail(g->log, ret, "%s: %s", g->path, g->err_text);
    return f.n;
}

static int count_expired(MienGallery *g, int64_t *n)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT expires FROM person WHERE expires <> ''", "");
    *n = 0;
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the dates")) > 0) {
        char date[32];
        int64_t end;
        mieni_db_text(st, 0, date, sizeof(date));
        mieni_time_parse_expiry(date, &end);
        *n += end <= (int64_t)time(NULL);
    }
    sqlite3_finalize(st);
    return ret;
}

static int64_t file_bytes(const char *abs_path, const char *suffix)
{
    struct stat st;
    char path[8192];
    int n = snprintf(path, sizeof(path), "%s%s", abs_path, suffix);
    return n < (int)sizeof(path) && stat(path, &st) == 0 ? (int64_t)st.st_size : 0;
}

static int read_stats(MienGallery *g, MienGalleryStats *s)
{
    int64_t version = 0;
    sqlite3_stmt *st;
    int ret;
    if ((ret = mieni_db_number(g, "count the people", &s->n_people, "SELECT count(*) FROM person", "")) < 0 ||
        (ret = mieni_db_number(g, "count the people", &s->n_ignored,
                               "SELECT count(*) FROM person WHERE status = 'ignored'", "")) < 0 ||
        (ret = mieni_db_number(g, "count the samples", &s->n_samples, "SELECT count(*) FROM sample", "")) < 0 ||
        (ret = mieni_db_number(g, "count the audit log", &s->n_audit, "SELECT count(*) FROM audit", "")) < 0 ||
        (ret = mieni_db_number(g, "read the schema's version", &version, "PRAGMA user_version", "")) < 0 ||
        (ret = count_expired(g, &s->n_expired)) < 0 ||
        (ret = mieni_db_query(g, &st, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1", "")) < 0)
        return ret;
    if ((ret = mieni_db_step(g, st, "read the audit log")) > 0)
        mieni_db_text(st, 0, s->audit_head, sizeof(s->audit_head));
    sqlite3_finalize(st);
    s->schema_version = (int)version;
    s->file_bytes = file_bytes(g->abs_path, "") + file_bytes(g->abs_path, "-wal");
    return ret;
}

int mien_gallery_stats(MienGallery *g, MienGalleryStats *stats)
{
    memset(stats, 0, sizeof(*stats));
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    ret = mieni_db_end(g, read_stats(g, stats));
    return ret < 0 ? ret : 0;
}
