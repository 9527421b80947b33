/* Strangers: people who were seen and have no name, kept as clusters of templates. Clustering is online: a template joins the stranger
 * whose mean template is nearest, if that is near enough, else it begins a new one. The mean of several templates is no nearer to other
 * people than one is (docs/internals/face.md), so one threshold serves small and large clusters. Nothing of this happens unless a
 * program asks for it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"

#define SAMPLES_MAX 8      /* kept of one stranger, best quality */
#define SAME_SIM_COS 0.98f /* the same view again: nothing new to keep */

/* A reader may hold a gallery of a schema that had no strangers. */
static int has_strangers(MienGallery *g, int64_t *has)
{
    return mieni_db_number(g, "look for strangers", has, "SELECT count(*) FROM sqlite_master WHERE name = 'stranger_sample'", "");
}

typedef struct Nearest {
    int64_t stranger; /* 0: none */
    float sim_cos, most_alike; /* of its mean; of its single templates */
} Nearest;

typedef struct Cluster {
    int64_t stranger;
    double sum[MIENI_DIM_MAX];
    float most_alike;
} Cluster;

static float dot(const float *a, const float *b, int dim)
{
    float s = 0;
    for (int k = 0; k < dim; k++)
        s += a[k] * b[k];
    return s;
}

static void close_cluster(Cluster *c, const float *v, int dim, Nearest *best)
{
    double s = 0, norm = 0;
    for (int k = 0; k < dim; k++) {
        s += c->sum[k] * v[k];
        norm += c->sum[k] * c->sum[k];
    }
    float sim = norm > 0 ? (float)(s / sqrt(norm)) : 0;
    if (c->stranger && (!best->stranger || sim > best->sim_cos))
        *best = (Nearest){ c->stranger, sim, c->most_alike };
    memset(c, 0, sizeof(*c));
    c->most_alike = -1;
}

static int find_nearest(MienGallery *g, int64_t model, const float *v, int dim, Nearest *best)
{
    sqlite3_stmt *st;
    Cluster c = { .most_alike = -1 };
    float row[MIENI_DIM_MAX];
    memset(best, 0, sizeof(*best));
    int ret = mieni_db_query(g, &st, "SELECT stranger, vector FROM stranger_sample WHERE model = ?1 ORDER BY stranger, id", "i", model);
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the strangers")) > 0) {
        int64_t stranger = sqlite3_column_int64(st, 0);
        if (mieni_vector_read(st, 1, dim, row)) /* damaged: `mien check` tells */
            continue;
        if (stranger != c.stranger)
            close_cluster(&c, v, dim, best);
        c.stranger = stranger;
        c.most_alike = fmaxf(c.most_alike, dot(row, v, dim));
        for (int k = 0; k < dim; k++)
            c.sum[k] += row[k];
    }
    sqlite3_finalize(st);
    close_cluster(&c, v, dim, best);
    return ret;
}

static int store_template(MienGallery *g, int64_t stranger, int64_t model, const float *v, int dim, float quality, const char *now)
{
    int64_t n;
    int ret = mieni_db_run(g, "store a stranger's template",
                           "INSERT INTO stranger_sample (stranger, model, vector, quality, seen) VALUES (?1, ?2, ?3, ?4, ?5)", "iibds",
                           stranger, model, v, (size_t)dim * sizeof(float), (double)quality, now);
    if (ret < 0 || (ret = mieni_db_number(g, "count a stranger's templates", &n, "SELECT count(*) FROM stranger_sample WHERE stranger = ?1",
                                          "i", stranger)) < 0 || n <= SAMPLES_MAX)
        return ret;
    return mieni_db_run(g, "drop a stranger's poorest template",
                        "DELETE FROM stranger_sample WHERE id = (SELECT id FROM stranger_sample WHERE stranger = ?1 ORDER BY quality, id LIMIT 1)",
                        "i", stranger);
}

static int see(MienGallery *g, const float *v, int dim, float quality, float min_sim_cos, MienSighting *out)
{
    Nearest best;
    int64_t model;
    int model_dim, ret;
    char now[32], detail[64];
    if ((ret = mieni_model_ensure(g, &model, &model_dim)) < 0)
        return ret;
    if (dim != model_dim)
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "a template has %d numbers, this gallery's have %d", dim, model_dim);
    if ((ret = find_nearest(g, model, v, dim, &best)) < 0)
        return ret;
    mieni_time_now(now);
    out->sim_cos = best.stranger ? best.sim_cos : NAN;
    out->is_new = !best.stranger || best.sim_cos < min_sim_cos;
    out->stranger = best.stranger;
    if (out->is_new) {
        ret = mieni_db_run(g, "store a stranger", "INSERT INTO stranger (first_seen, last_seen) VALUES (?1, ?1)", "s", now);
        out->stranger = sqlite3_last_insert_rowid(g->db);
    } else {
        ret = mieni_db_run(g, "note a stranger", "UPDATE stranger SET last_seen = ?1 WHERE id = ?2", "si", now, out->stranger);
    }
    if (ret >= 0 && (out->is_new || best.most_alike < SAME_SIM_COS))
        ret = store_template(g, out->stranger, model, v, dim, quality, now);
    if (ret < 0)
        return ret;
    snprintf(detail, sizeof(detail), "stranger %lld%s", (long long)out->stranger, out->is_new ? ", new" : "");
    return mieni_audit(g, "see", 0, detail);
}

int mien_gallery_stranger_see(MienGallery *g, const float *embedding, int dim, float quality, float min_sim_cos, MienSighting *sighting)
{
    float v[MIENI_DIM_MAX];
    MienSighting out = { 0 };
    int ret;
    memset(sighting, 0, sizeof(*sighting));
    if (dim < MIENI_DIM_MIN || dim > MIENI_DIM_MAX || mieni_vector_normalise(embedding, dim, v) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a template of %d numbers is not finite, or of length 0", dim);
    if (!(quality >= 0 && quality <= 1) || !(min_sim_cos >= -1 && min_sim_cos <= 1))
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a stranger has a quality of 0 to 1, and a threshold is a cosine");
    if ((ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0 ||
        (ret = mieni_db_end(g, see(g, v, dim, quality, min_sim_cos, &out))) < 0)
        return ret;
    *sighting = out;
    return 0;
}

int mien_gallery_strangers(MienGallery *g, MienStranger **strangers)
{
    sqlite3_stmt *st = NULL;
    MienStranger *list = NULL;
    size_t n = 0, cap = 0;
    int64_t has;
    *strangers = NULL;
    int ret = mieni_db_enter(g, 0);
    if (ret < 0 || (ret = has_strangers(g, &has)) < 0 || !has)
        return ret;
    ret = mieni_db_query(g, &st, "SELECT id, first_seen, last_seen, (SELECT count(*) FROM stranger_sample s WHERE s.stranger = t.id)"
                         " FROM stranger t ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "list the strangers")) > 0) {
        if (n == cap) {
            size_t new_cap = cap ? 2 * cap : 16;
            MienStranger *grown = n < INT32_MAX / 2 ? mien_realloc_array(list, new_cap, sizeof(*list)) : NULL;
            if (!grown) {
                ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the list of strangers");
                break;
            }
            list = grown;
            cap = new_cap;
        }
        MienStranger *s = &list[n++];
        memset(s, 0, sizeof(*s));
        s->id = sqlite3_column_int64(st, 0);
        mieni_db_text(st, 1, s->first_seen, sizeof(s->first_seen));
        mieni_db_text(st, 2, s->last_seen, sizeof(s->last_seen));
        s->n_samples = sqlite3_column_int(st, 3);
    }
    sqlite3_finalize(st);
    if (ret < 0) {
        mien_free(list);
        return ret;
    }
    *strangers = list;
    return (int)n;
}

static int assign(MienGallery *g, int64_t stranger, const char *name)
{
    int64_t person, found;
    char now[32], detail[96];
    int ret = mieni_stranger_need(g, stranger, &found);
    mieni_time_now(now);
    if (ret < 0 || (ret = mieni_person_ensure(g, name, now, &person)) < 0)
        return ret;
    int n = mieni_db_run(g, "move a stranger's templates",
                         "INSERT INTO sample (person, model, vector, quality, created)"
                         " SELECT ?1, model, vector, quality, seen FROM stranger_sample WHERE stranger = ?2 ORDER BY id", "ii", person, stranger);
    if (n < 0)
        return n;
    if ((ret = mieni_db_run(g, "drop a stranger who has a name", "DELETE FROM stranger WHERE id = ?1", "i", stranger)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), "%d samples of stranger %lld", n, (long long)stranger);
    ret = mieni_audit(g, "assign", person, detail);
    return ret < 0 ? ret : n;
}

int mien_gallery_stranger_assign(MienGallery *g, int64_t stranger, const char *name)
{
    int ret = mieni_name_check_log(g, name);
    if (ret < 0 || (ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, assign(g, stranger, name));
}

int mieni_stranger_need(MienGallery *g, int64_t stranger, int64_t *found)
{
    int ret = mieni_db_number(g, "find a stranger", found, "SELECT id FROM stranger WHERE id = ?1", "i", stranger);
    return ret == MIEN_E_NOTFOUND ? mieni_gallery_fail(g, ret, "there is no stranger %lld", (long long)stranger) : ret;
}
