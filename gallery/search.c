/* Search: an exact scan of all templates, packed into one block of memory, by cosine or by a learnt similarity. The block is read in one transaction, and again
 * when the file was changed or replaced; if that fails, what was read before is used on, with one warning. Damaged templates
 * and people with damaged names are left out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

#define SCAN_BLOCK_ROWS 256
#define RETRY_BUSY_MS 100 /* a running video must not stand still for a lock */

static const MieniScanFn scan = mieni_scan_f32_c;

void mieni_index_free(MieniIndex *index)
{
    mien_free(index->row);
    mien_free(index->sample);
    mien_free(index->row_person);
    mien_free(index->person);
    mien_free(index->names);
    mien_free(index->probe);
    mien_free(index->weight);
    memset(index, 0, sizeof(*index));
}

/* ---- reading the file */

/* Grows *p to at least n elements. */
static int reserve(void **p, size_t *cap, size_t n, size_t elem_bytes)
{
    if (n <= *cap)
        return 0;
    size_t new_cap = n > *cap + *cap / 2 ? n : *cap + *cap / 2;
    void *grown = mien_realloc_array(*p, new_cap, elem_bytes);
    if (!grown)
        return MIEN_ERR(ENOMEM);
    *p = grown;
    *cap = new_cap;
    return 0;
}

static int add_person(MieniIndex *x, int64_t id, const char *name, int ignored, int64_t expires)
{
    size_t name_bytes = strlen(name) + 1;
    if (x->n_people >= UINT32_MAX || x->names_bytes + name_bytes > UINT32_MAX ||
        reserve((void **)&x->person, &x->cap_people, x->n_people + 1, sizeof(*x->person)) < 0 ||
        reserve((void **)&x->names, &x->cap_names, x->names_bytes + name_bytes, 1) < 0)
        return MIEN_ERR(ENOMEM);
    x->person[x->n_people++] = (MieniIndexPerson){ .id = id, .expires = expires, .name_at = (uint32_t)x->names_bytes,
                                                   .ignored = ignored != 0 };
    memcpy(x->names + x->names_bytes, name, name_bytes);
    x->names_bytes += name_bytes;
    return 0;
}

static int load_people(MienGallery *g, MieniIndex *x)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT id, name, status, expires FROM person ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the people")) > 0) {
        char name[MIEN_NAME_MAX_BYTES + 1], status[16], expires[32];
        int64_t id = sqlite3_column_int64(st, 0), end;
        mieni_db_text(st, 1, name, sizeof(name));
        mieni_db_text(st, 2, status, sizeof(status));
        mieni_db_text(st, 3, expires, sizeof(expires));
        if (mien_name_check(name, NULL) < 0 || (x->n_people && id <= x->person[x->n_people - 1].id))
            continue; /* their samples are counted as damaged below */
        mieni_time_parse_expiry(expires, &end); /* a date that can't be read counts as past */
        if (add_person(x, id, name, strcmp(status, "active") != 0, end) < 0)
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the people");
    }
    sqlite3_finalize(st);
    return ret;
}

static ptrdiff_t find_person(const MieniIndex *x, int64_t id)
{
    size_t lo = 0, hi = x->n_people;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (x->person[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < x->n_people && x->person[lo].id == id ? (ptrdiff_t)lo : -1;
}

static int reserve_rows(MieniIndex *x, size_t n)
{
    if (n <= x->cap_rows)
        return 0;
    size_t cap = n > x->cap_rows + x->cap_rows / 2 ? n : x->cap_rows + x->cap_rows / 2;
    size_t cap_row = x->cap_rows, cap_sample = x->cap_rows, cap_person = x->cap_rows;
    if (reserve((void **)&x->row, &cap_row, cap, (size_t)x->ld_elems * sizeof(float)) < 0 ||
        reserve((void **)&x->sample, &cap_sample, cap, sizeof(*x->sample)) < 0 ||
        reserve((void **)&x->row_person, &cap_person, cap, sizeof(*x->row_person)) < 0)
        return MIEN_ERR(ENOMEM);
    x->cap_rows = cap;
    return 0;
}

static int load_rows(MienGallery *g, MieniIndex *x, int64_t model)
{
    sqlite3_stmt *st;
    int64_t n = 0;
    int ret = mieni_db_number(g, "count the samples", &n, "SELECT count(*) FROM sample", "");
    if (ret < 0)
        return ret;
    /* The count is a hint: of a damaged file it may be anything. */
    if (n > 0 && n < (1 << 24) && reserve_rows(x, (size_t)n) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for %lld templates", (long long)n);
    ret = mieni_db_query(g, &st, "SELECT id, person, vector, model FROM sample", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the templates")) > 0) {
        ptrdiff_t person = find_person(x, sqlite3_column_int64(st, 1));
        if (x->n_rows == x->cap_rows && reserve_rows(x, x->n_rows + 1) < 0) {
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for %zu templates", x->n_rows + 1);
            break;
        }
        float *row = x->row + x->n_rows * (size_t)x->ld_elems;
        if (person < 0 || sqlite3_column_int64(st, 3) != model || mieni_vector_read(st, 2, x->dim, row)) {
            x->n_bad++;
            continue;
        }
        memset(row + x->dim, 0, (size_t)(x->ld_elems - x->dim) * sizeof(float));
        x->sample[x->n_rows] = sqlite3_column_int64(st, 0);
        x->row_person[x->n_rows++] = (uint32_t)person;
    }
    sqlite3_finalize(st);
    return ret;
}

/* version_seen follows PRAGMA data_version; a new value means that another connection has committed. */
static int poll_version(MienGallery *g)
{
    int ret = mieni_db_step(g, g->data_version, "look for changes");
    int64_t version = sqlite3_column_int64(g->data_version, 0);
    sqlite3_reset(g->data_version);
    if (ret < 0)
        return ret;
    if (version != g->version_seen) {
        if (g->version_seen >= 0)
            g->changes++;
        g->version_seen = version;
        g->index_stale = 1;
    }
    return 0;
}

static int load_similarity(MienGallery *g, MieniIndex *x)
{
    MienGallerySimilarity s;
    if (g->similarity == MIEN_SIMILARITY_DISTANCE)
        return 0;
    int ret = mieni_similarity_read(g, g->similarity, 1, &s);
    if (ret < 0)
        return ret;
    if (!(x->weight = mien_calloc((size_t)x->ld_elems, sizeof(float))))
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory");
    memcpy(x->weight, s.unit.w, (size_t)x->dim * sizeof(float));
    x->bias = s.unit.b;
    x->learnt = g->similarity == MIEN_SIMILARITY_CHI2 ? mieni_scan_chi2_c : mieni_scan_logistic_c;
    return 0;
}

/* The newest line of the audit log; "" if there is none. */
static int read_head(MienGallery *g, char head[65])
{
    sqlite3_stmt *st = NULL;
    int ret = mieni_db_query(g, &st, "SELECT hash FROM audit ORDER BY id DESC LIMIT 1", "");
    head[0] = '\0';
    if (ret >= 0 && (ret = mieni_db_step(g, st, "read the audit log")) > 0)
        mieni_db_text(st, 0, head, 65);
    sqlite3_finalize(st);
    return ret < 0 ? ret : 0;
}

static int load_all(MienGallery *g, MieniIndex *x)
{
    MienGalleryModel model;
    int64_t model_id;
    int ret;
    if ((ret = poll_version(g)) < 0 || (ret = read_head(g, g->head)) < 0 || (ret = mieni_model_read(g, &model, &model_id)) < 0)
        return ret;
    x->dim = model.dim;
    x->ld_elems = (model.dim + 15) / 16 * 16;
    if (!(x->probe = mien_calloc((size_t)x->ld_elems + 16, sizeof(float)))) /* never NULL: says that there is an index */
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory");
    if ((ret = load_people(g, x)) < 0 || (ret = load_similarity(g, x)) < 0 || !model_id)
        return ret;
    if ((ret = load_rows(g, x, model_id)) < 0)
        return ret;
    if (x->n_rows && g->has_want && strcmp(g->want.hash, model.hash))
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "was replaced by a gallery of the encoder %s (%.12s); this one works with "
                                  "%s (%.12s)", model.name, model.hash, g->want.name, g->want.hash);
    return 0;
}

static int load_index(MienGallery *g)
{
    MieniIndex fresh = { 0 };
    int ret = mieni_db_begin_read(g);
    if (ret < 0)
        return ret;
    ret = mieni_db_end(g, load_all(g, &fresh));
    if (ret < 0) {
        mieni_index_free(&fresh);
        return ret;
    }
    if (fresh.n_bad && fresh.n_bad != g->index.n_bad)
        mien_log(g->log, MIEN_LOG_WARN, "%s: %zu damaged samples are left out of the search; see `mien check`", g->path,
                 fresh.n_bad);
    mieni_index_free(&g->index);
    g->index = fresh;
    g->index.next_expiry = INT64_MIN;
    g->index_stale = 0;
    return 0;
}

/* The file was written and no commit seen. Mostly somebody's log was put into it, which changes nothing. But a backup may have been copied over
 * it: SQLite does not notice and goes on with the pages that it remembers. */
static int look_behind(MienGallery *g)
{
    char head[65];
    int stale = g->index_stale, ret = mieni_db_reconnect(g);
    g->version_seen = -1;
    if (ret >= 0 && (ret = poll_version(g)) >= 0)
        ret = read_head(g, head);
    if (ret < 0)
        return ret;
    g->index_stale = stale;
    if (strcmp(head, g->head)) {
        g->changes++;
        g->index_stale = 1;
    }
    return 0;
}

static int try_refresh(MienGallery *g)
{
    uint64_t changes = g->changes;
    int ret = mieni_db_enter(g, 0);
    if (ret >= 0)
        ret = poll_version(g);
    if (ret >= 0 && g->touched && g->changes == changes && g->index.probe)
        ret = look_behind(g);
    if (ret >= 0)
        g->touched = 0;
    if (ret >= 0 && g->index_stale)
        ret = load_index(g);
    return ret;
}

/* Follows the file for somebody who cannot stop: no lock is waited for, one warning, another try a second later, one line when it is over. */
static void follow(MienGallery *g)
{
    if (g->warned && mieni_gallery_now_ms() < g->retry_at_ms)
        return;
    g->busy_ms = RETRY_BUSY_MS;
    g->quiet++;
    int ret = try_refresh(g);
    g->quiet--;
    g->busy_ms = MIENI_BUSY_MS;
    if (ret < 0) {
        g->index_stale = 1;
        g->retry_at_ms = mieni_gallery_now_ms() + 1000;
        if (ret != g->warned)
            mien_log(g->log, MIEN_LOG_WARN, "%s: %s; %s", g->path, g->err_text,
                     g->index.probe ? "the search goes on with the people read before" : "nobody is known until it can be read");
    } else if (g->warned) {
        mien_log(g->log, MIEN_LOG_INFO, "%s: can be read again", g->path);
    }
    g->warned = ret < 0 ? ret : 0;
}

/* Makes the index what the file is. */
static int refresh(MienGallery *g)
{
    if (!g->index.probe)
        return try_refresh(g);
    follow(g);
    return 0;
}

int mien_gallery_changed(MienGallery *g)
{
    follow(g);
    if (g->warned) /* told as a change when it can be read */
        return 0;
    int changed = g->changes != g->changes_told;
    g->changes_told = g->changes;
    return changed;
}

/* ---- searching */

/* Who has expired may change while we run: looked at again when the next date has come. */
static void update_expiry(MieniIndex *x)
{
    int64_t now = (int64_t)time(NULL);
    if (now < x->next_expiry)
        return;
    x->next_expiry = INT64_MAX;
    for (size_t i = 0; i < x->n_people; i++) {
        MieniIndexPerson *p = &x->person[i];
        p->expired = p->expires <= now;
        if (!p->expired && p->expires < x->next_expiry)
            x->next_expiry = p->expires;
    }
}

/* Refreshes the index and puts the probe, of length 1, into it. Returns 1 if there is anything to search, 0 if not. */
static int prepare(MienGallery *g, const float *embedding, int dim)
{
    int ret = refresh(g);
    if (ret < 0)
        return ret;
    MieniIndex *x = &g->index;
    update_expiry(x);
    if (!x->n_rows)
        return 0;
    if (dim != x->dim)
        return mieni_gallery_fail(g, MIEN_E_MISMATCH, "a face is given by %d numbers, this gallery's templates have %d", dim,
                                  x->dim);
    if (mieni_vector_normalise(embedding, dim, x->probe) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a face to be searched is not finite, or of length 0");
    return 1;
}

static const char *name_of(const MieniIndex *x, size_t person)
{
    return x->names + x->person[person].name_at;
}

/* What rows [r, r + n) are ranked by: the learnt logit if there is one, else the cosine. */
static void measure(const MieniIndex *x, size_t r, size_t n, float *value)
{
    const float *row = x->row + r * (size_t)x->ld_elems;
    if (x->learnt)
        x->learnt(row, (size_t)x->ld_elems, n, x->probe, x->weight, x->bias, value);
    else
        scan(row, (size_t)x->ld_elems, n, x->probe, value);
}

static float cosine_of(const MieniIndex *x, size_t row)
{
    float sim;
    scan(x->row + row * (size_t)x->ld_elems, (size_t)x->ld_elems, 1, x->probe, &sim);
    return sim;
}

typedef struct Best {
    ptrdiff_t person; /* index, -1: none */
    float value;      /* of measure */
    size_t row;
} Best;

/* The best person and the best of the others, in one pass: a person that takes the lead pushes the old leader to second place. */
static void scan_everybody(const MieniIndex *x, Best *first, Best *second)
{
    float value[SCAN_BLOCK_ROWS];
    for (size_t r = 0; r < x->n_rows; r += SCAN_BLOCK_ROWS) {
        size_t n = x->n_rows - r < SCAN_BLOCK_ROWS ? x->n_rows - r : SCAN_BLOCK_ROWS;
        measure(x, r, n, value);
        for (size_t i = 0; i < n; i++) {
            ptrdiff_t p = x->row_person[r + i];
            if ((second->person >= 0 && value[i] <= second->value) || x->person[p].expired)
                continue;
            if (first->person < 0 || value[i] > first->value) {
                if (first->person != p)
                    *second = *first;
                *first = (Best){ p, value[i], r + i };
            } else if (first->person != p) {
                *second = (Best){ p, value[i], r + i };
            }
        }
    }
}

static void scan_person(const MieniIndex *x, ptrdiff_t person, Best *first)
{
    float value;
    for (size_t r = 0; r < x->n_rows; r++) {
        if (x->row_person[r] != (uint32_t)person)
            continue;
        measure(x, r, 1, &value);
        if (first->person < 0 || value > first->value)
            *first = (Best){ person, value, r };
    }
}

static ptrdiff_t find_name(const MieniIndex *x, const char *name)
{
    for (size_t i = 0; i < x->n_people; i++) {
        if (!strcmp(name_of(x, i), name))
            return (ptrdiff_t)i;
    }
    return -1;
}

int mien_gallery_search(void *gallery, const float *embedding, int dim, const char *claim, MienMatch *match)
{
    MienGallery *g = gallery;
    MieniIndex *x = &g->index;
    Best first = { .person = -1 }, second = { .person = -1 };
    memset(match, 0, sizeof(*match));
    match->id = match->second_id = -1;
    match->logit_same = match->second_logit_same = NAN;
    int ret = prepare(g, embedding, dim);
    if (ret < 0)
        return ret;
    if (claim) {
        ptrdiff_t person = find_name(x, claim);
        if (person < 0)
            return mieni_gallery_fail(g, MIEN_E_NOTFOUND, "nobody of the claimed name is in the gallery");
        if (ret && !x->person[person].expired)
            scan_person(x, person, &first);
    } else if (ret) {
        scan_everybody(x, &first, &second);
    }
    if (first.person >= 0) {
        match->id = x->person[first.person].id;
        match->sim_cos = cosine_of(x, first.row);
        match->logit_same = x->learnt ? first.value : NAN;
        match->ignored = x->person[first.person].ignored;
        memcpy(match->name, name_of(x, (size_t)first.person), strlen(name_of(x, (size_t)first.person)) + 1);
    }
    if (second.person >= 0) {
        match->second_id = x->person[second.person].id;
        match->second_sim_cos = cosine_of(x, second.row);
        match->second_logit_same = x->learnt ? second.value : NAN;
        memcpy(match->second_name, name_of(x, (size_t)second.person), strlen(name_of(x, (size_t)second.person)) + 1);
    }
    return 0;
}

typedef struct Ranked {
    float value; /* of measure */
    uint32_t person;
    size_t row_end; /* the row + 1; 0: nothing seen */
} Ranked;

static int compare_ranked(const void *pa, const void *pb)
{
    const Ranked *a = pa, *b = pb;
    if ((a->row_end == 0) != (b->row_end == 0))
        return a->row_end == 0 ? 1 : -1;
    if (a->value != b->value)
        return a->value > b->value ? -1 : 1;
    return a->person < b->person ? -1 : a->person > b->person;
}

int mien_gallery_top(MienGallery *g, const float *embedding, int dim, MienCandidate *candidates, int k)
{
    MieniIndex *x = &g->index;
    int ret = prepare(g, embedding, dim);
    if (ret <= 0 || k <= 0)
        return ret < 0 ? ret : 0;
    Ranked *best = mien_calloc(x->n_people, sizeof(*best));
    if (!best)
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for a search");
    for (size_t r = 0; r < x->n_rows; r++) {
        Ranked *b = &best[x->row_person[r]];
        float value;
        if (x->person[x->row_person[r]].expired)
            continue;
        measure(x, r, 1, &value);
        if (!b->row_end || value > b->value)
            *b = (Ranked){ .value = value, .person = x->row_person[r], .row_end = r + 1 };
    }
    qsort(best, x->n_people, sizeof(*best), compare_ranked);
    int n = 0;
    for (; n < k && (size_t)n < x->n_people && best[n].row_end; n++) {
        const MieniIndexPerson *p = &x->person[best[n].person];
        MienCandidate *c = &candidates[n];
        memset(c, 0, sizeof(*c));
        c->id = p->id;
        c->sample = x->sample[best[n].row_end - 1];
        c->sim_cos = cosine_of(x, best[n].row_end - 1);
        c->logit_same = x->learnt ? best[n].value : NAN;
        c->ignored = p->ignored;
        memcpy(c->name, name_of(x, best[n].person), strlen(name_of(x, best[n].person)) + 1);
    }
    mien_free(best);
    return n;
}
