/* Calibrations: what mien/calibrate.h found out about this gallery, one row each time, the newest counts. And the two things it is made
 * of: the templates of those who can be named, and how many they are. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

#define FIRST_SCHEMA 3 /* older files hold none: nothing wrote any */

/* Active, and with a template; the caller looks at the date. */
#define CAN_BE_NAMED "person.status = 'active' AND EXISTS (SELECT 1 FROM sample WHERE sample.person = person.id)"

static int has_expired(sqlite3_stmt *st, int column)
{
    char expires[32];
    int64_t end;
    mieni_db_text(st, column, expires, sizeof(expires));
    mieni_time_parse_expiry(expires, &end); /* a date that can't be read counts as past */
    return end <= (int64_t)time(NULL);
}

static int count_people(MienGallery *g, int64_t *n)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT expires FROM person WHERE " CAN_BE_NAMED, "");
    *n = 0;
    while (ret >= 0 && (ret = mieni_db_step(g, st, "count the people")) > 0)
        *n += !has_expired(st, 0);
    sqlite3_finalize(st);
    return ret;
}

/* ---- reading */

static double number_or_nan(sqlite3_stmt *st, int column)
{
    return sqlite3_column_type(st, column) == SQLITE_NULL ? NAN : sqlite3_column_double(st, column);
}

static void read_row(sqlite3_stmt *st, MienCalibration *c)
{
    char basis[16];
    c->fpir = sqlite3_column_double(st, 0);
    c->threshold_sim_cos = sqlite3_column_double(st, 1);
    c->margin_sim_cos = sqlite3_column_double(st, 2);
    c->verify_sim_cos = number_or_nan(st, 3);
    c->fnir = number_or_nan(st, 4);
    c->fnir_low = number_or_nan(st, 5);
    c->fnir_high = number_or_nan(st, 6);
    c->fpir_measured = number_or_nan(st, 7);
    c->fpir_low = number_or_nan(st, 8);
    c->fpir_high = number_or_nan(st, 9);
    c->n_people = sqlite3_column_int64(st, 10);
    c->n_samples = sqlite3_column_int64(st, 11);
    c->n_mated = sqlite3_column_int64(st, 12);
    c->n_impostors = sqlite3_column_int64(st, 13);
    mieni_db_text(st, 14, basis, sizeof(basis));
    c->basis = strcmp(basis, mien_calibration_basis_name(MIEN_BASIS_STRANGERS)) ? MIEN_BASIS_PUBLISHED : MIEN_BASIS_STRANGERS;
    mieni_db_text(st, 15, c->created, sizeof(c->created));
    if (isnan(c->verify_sim_cos))
        c->verify_sim_cos = c->threshold_sim_cos;
}

#define COLUMNS "fpir, threshold, margin, verify_threshold, fnir, fnir_low, fnir_high, fpir_measured, fpir_low, fpir_high," \
                " n_people, n_samples, n_mated, n_impostors, basis, created"

static int is_share(double v)
{
    return isnan(v) || (v >= 0 && v <= 1);
}

static int in_order(double low, double v, double high)
{
    return isnan(v) ? isnan(low) && isnan(high) : low <= v && v <= high;
}

/* NULL, or why this can't be a calibration. */
static const char *why_bad(const MienCalibration *c)
{
    if (!(c->threshold_sim_cos >= -1 && c->threshold_sim_cos <= 1) || !(c->verify_sim_cos >= -1 && c->verify_sim_cos <= 1))
        return "has a threshold that is no cosine similarity";
    if (!(c->margin_sim_cos >= 0 && c->margin_sim_cos <= 2))
        return "has an impossible margin";
    if (!(c->fpir > 0 && c->fpir < 1) || !is_share(c->fnir) || !is_share(c->fpir_measured) || !is_share(c->fnir_low) ||
        !is_share(c->fnir_high) || !is_share(c->fpir_low) || !is_share(c->fpir_high))
        return "has a rate that is none";
    if (!in_order(c->fnir_low, c->fnir, c->fnir_high) || !in_order(c->fpir_low, c->fpir_measured, c->fpir_high))
        return "has bounds that do not fit their rate";
    return c->n_people < 0 || c->n_samples < 0 || c->n_mated < 0 || c->n_impostors < 0 ? "has a negative count" : NULL;
}

static int has_table(MienGallery *g)
{
    int64_t version = 0;
    int ret = mieni_db_number(g, "read the schema's version", &version, "PRAGMA user_version", "");
    return ret < 0 ? ret : version >= FIRST_SCHEMA;
}

static int read_latest(MienGallery *g, MienCalibration *c, int64_t *n_people_now)
{
    sqlite3_stmt *st;
    int ret = has_table(g);
    if (ret <= 0)
        return ret < 0 ? ret : MIEN_E_NOTFOUND;
    ret = mieni_db_query(g, &st, "SELECT " COLUMNS " FROM calibration WHERE model = (SELECT id FROM model ORDER BY id LIMIT 1)"
                                 " ORDER BY id DESC LIMIT 1", "");
    if (ret >= 0 && (ret = mieni_db_step(g, st, "read the calibration")) > 0) {
        const char *why;
        read_row(st, c);
        if ((why = why_bad(c)))
            ret = mieni_gallery_fail(g, MIEN_E_CORRUPT, "is damaged, the calibration %s; `mien calibrate` makes another", why);
    } else if (ret >= 0) {
        ret = MIEN_E_NOTFOUND;
    }
    sqlite3_finalize(st);
    return ret < 0 || !n_people_now ? ret : count_people(g, n_people_now);
}

int mien_gallery_calibration(MienGallery *g, MienCalibration *calibration, int64_t *n_people_now)
{
    memset(calibration, 0, sizeof(*calibration));
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    ret = mieni_db_end(g, read_latest(g, calibration, n_people_now));
    return ret < 0 ? ret : 0;
}

int mieni_calibrations_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv)
{
    sqlite3_stmt *st;
    int ret = has_table(g);
    if (ret <= 0)
        return ret;
    ret = mieni_db_query(g, &st, "SELECT " COLUMNS ", id FROM calibration ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "check the calibrations")) > 0) {
        MienCalibration c;
        char line[160];
        read_row(st, &c);
        const char *why = why_bad(&c);
        if (!why && mieni_time_check(c.created) < 0)
            why = "has a date that is none";
        if (why) {
            snprintf(line, sizeof(line), "calibration %lld %s", (long long)sqlite3_column_int64(st, 16), why);
            report(priv, line);
        }
    }
    sqlite3_finalize(st);
    return ret;
}

/* ---- writing */

static int bind_number(MienGallery *g, sqlite3_stmt *st, int i, double v)
{
    int rc = isnan(v) ? sqlite3_bind_null(st, i) : sqlite3_bind_double(st, i, v);
    return rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "pass a value");
}

static int insert(MienGallery *g, const MienCalibration *c, int64_t model, const char *now)
{
    const double maybe[] = { c->fnir, c->fnir_low, c->fnir_high, c->fpir_measured, c->fpir_low, c->fpir_high };
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "INSERT INTO calibration (model, created, basis, fpir, threshold, margin, verify_threshold, n_people,"
                                     " n_samples, n_mated, n_impostors, fnir, fnir_low, fnir_high, fpir_measured, fpir_low, fpir_high)"
                                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)",
                             "issddddiiii", model, now, mien_calibration_basis_name(c->basis), c->fpir, c->threshold_sim_cos,
                             c->margin_sim_cos, c->verify_sim_cos, c->n_people, c->n_samples, c->n_mated, c->n_impostors);
    for (int i = 0; i < (int)MIEN_ARRAY_ELEMS(maybe) && ret >= 0; i++)
        ret = bind_number(g, st, 12 + i, maybe[i]);
    if (ret >= 0)
        ret = mieni_db_step(g, st, "store the calibration");
    sqlite3_finalize(st);
    return ret;
}

static int put(MienGallery *g, MienCalibration *c)
{
    MienGalleryModel model;
    int64_t id;
    char detail[128];
    int ret = mieni_model_read(g, &model, &id);
    if (ret < 0)
        return ret;
    if (!id)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "belongs to no encoder yet: there is nothing to calibrate");
    mieni_time_now(c->created);
    if ((ret = insert(g, c, id, c->created)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), "threshold %.4f, margin %.4f, FPIR %g, %lld people", c->threshold_sim_cos, c->margin_sim_cos,
             c->fpir, (long long)c->n_people);
    return mieni_audit(g, "calibrate", 0, detail);
}

int mien_gallery_put_calibration(MienGallery *g, MienCalibration *calibration)
{
    const char *why = why_bad(calibration);
    int ret = mieni_db_enter(g, 1);
    if (ret < 0)
        return ret;
    if (why)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a calibration that %s is not stored", why);
    if ((ret = mieni_db_begin_write(g)) < 0)
        return ret;
    ret = mieni_db_end(g, put(g, calibration));
    return ret < 0 ? ret : 0;
}

/* ---- what is calibrated */

typedef struct Rows {
    float *embedding;
    int64_t *person;
    size_t n, room;
    int dim;
} Rows;

static int make_room(Rows *r)
{
    if (r->n < r->room)
        return 0;
    size_t room = r->room ? 2 * r->room : 256;
    float *embedding = mien_realloc_array(r->embedding, room * (size_t)r->dim, sizeof(float));
    if (embedding)
        r->embedding = embedding;
    int64_t *person = mien_realloc_array(r->person, room, sizeof(*person));
    if (person)
        r->person = person;
    if (!embedding || !person)
        return MIEN_ERR(ENOMEM);
    r->room = room;
    return 0;
}

static int read_rows(MienGallery *g, Rows *r)
{
    MienGalleryModel model;
    sqlite3_stmt *st;
    int64_t id;
    int ret = mieni_model_read(g, &model, &id);
    if (ret < 0 || !id)
        return ret;
    r->dim = model.dim;
    ret = mieni_db_query(g, &st, "SELECT person.id, expires, vector FROM person JOIN sample ON sample.person = person.id"
                                 " WHERE status = 'active' AND model = ?1 ORDER BY person.id, sample.id", "i", id);
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the templates")) > 0) {
        if (make_room(r) < 0 || r->n >= INT_MAX) {
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for %zu templates", r->n + 1);
            break;
        }
        if (has_expired(st, 1) || mieni_vector_read(st, 2, r->dim, r->embedding + r->n * (size_t)r->dim))
            continue;
        r->person[r->n++] = sqlite3_column_int64(st, 0);
    }
    sqlite3_finalize(st);
    return ret;
}

int mien_gallery_templates(MienGallery *g, float **embedding, int64_t **person, int *dim)
{
    Rows r = { 0 };
    *embedding = NULL;
    *person = NULL;
    *dim = 0;
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    if ((ret = mieni_db_end(g, read_rows(g, &r))) < 0) {
        mien_free(r.embedding);
        mien_free(r.person);
        return ret;
    }
    *embedding = r.embedding;
    *person = r.person;
    *dim = r.dim;
    return (int)r.n;
}
