/* Pairs for learning; see train_pairs.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "mien/weights.h"
#include "tool.h"
#include "train_pairs.h"

#define PAIRS_A_PERSON 50 /* of the same person, at most */

/* ---- people */

void people_free(People *p)
{
    mien_free(p->embedding);
    mien_free(p->person);
    *p = (People){ 0 };
}

static int people_reserve(People *p, const Tool *tool, size_t n)
{
    if (n <= p->cap)
        return 0;
    size_t cap = n > 2 * p->cap ? n : 2 * p->cap;
    float *embedding = mien_realloc_array(p->embedding, cap, (size_t)p->dim * sizeof(float));
    if (embedding)
        p->embedding = embedding;
    int64_t *person = mien_realloc_array(p->person, cap, sizeof(*person));
    if (person)
        p->person = person;
    if (!embedding || !person)
        return tool_error(tool, "out of memory for %zu templates", n), MIEN_ERR(ENOMEM);
    p->cap = cap;
    return 0;
}

static int add_person_of_gallery(People *p, const Tool *tool, MienGallery *g, const MienPerson *person)
{
    MienSample *samples;
    int n = mien_gallery_samples(g, person->id, &samples), ret = n < 0 ? n : people_reserve(p, tool, p->n + (size_t)n);
    for (int i = 0; i < n && ret >= 0; i++) {
        ret = mien_gallery_embedding(g, samples[i].id, p->embedding + p->n * (size_t)p->dim, p->dim);
        p->person[p->n++] = person->id;
    }
    mien_free(samples);
    return ret;
}

int people_of_gallery(People *p, const Tool *tool, MienGallery *g)
{
    MienGalleryModel model;
    MienPerson *people = NULL;
    *p = (People){ 0 };
    int ret = mien_gallery_model(g, &model);
    if (ret < 0)
        return ret;
    p->dim = model.dim;
    strcpy(p->encoder, model.hash);
    int n = mien_gallery_people(g, &people);
    for (int i = 0; i < n && ret >= 0; i++)
        ret = people[i].expired ? 0 : add_person_of_gallery(p, tool, g, &people[i]);
    mien_free(people);
    return n < 0 ? n : ret;
}

static int copy_rows(People *p, const Tool *tool, const char *path, const MienTensor *e, const MienTensor *who)
{
    size_t dim = (size_t)p->dim;
    int ret = people_reserve(p, tool, (size_t)e->dim[0]);
    for (; ret >= 0 && p->n < (size_t)e->dim[0]; p->n++) {
        const float *from = (const float *)e->data + p->n * dim;
        double sum = 0;
        for (size_t k = 0; k < dim; k++)
            sum += (double)from[k] * (double)from[k];
        if (!(sum > 0) || !isfinite(sum))
            return tool_error(tool, "%s: row %zu of embedding is not finite, or of length 0", safe(path), p->n), MIEN_E_FORMAT;
        for (size_t k = 0; k < dim; k++)
            p->embedding[p->n * dim + k] = (float)((double)from[k] / sqrt(sum));
        p->person[p->n] = who->dtype == MIEN_I64 ? ((const int64_t *)who->data)[p->n] : ((const int32_t *)who->data)[p->n];
    }
    return ret;
}

int people_of_file(People *p, const Tool *tool, const char *path)
{
    MienWeights *w;
    *p = (People){ 0 };
    int ret = mien_weights_open(&w, path, tool->log);
    if (ret < 0)
        return ret;
    const MienTensor *e = mien_weights_find(w, "embedding"), *who = mien_weights_find(w, "person");
    const char *encoder = mien_weights_meta(w, "mien.encoder");
    if (!e || e->dtype != MIEN_F32 || e->n_dims != 2 || e->dim[1] < 2 || e->dim[1] > MIEN_SIMILARITY_MAX_DIM || !who ||
        (who->dtype != MIEN_I32 && who->dtype != MIEN_I64) || who->n_dims != 1 || who->dim[0] != e->dim[0]) {
        tool_error(tool, "%s: tensors embedding [n,dim] of F32 and person [n] of I32 or I64 are wanted", safe(path));
        ret = MIEN_E_FORMAT;
    } else {
        p->dim = (int)e->dim[1];
        snprintf(p->encoder, sizeof(p->encoder), "%s", encoder ? encoder : "");
        ret = copy_rows(p, tool, path, e, who);
    }
    mien_weights_close(&w);
    return ret;
}

/* ---- who is held out */

static void shuffle(size_t *x, size_t n, uint64_t *rng)
{
    for (size_t i = n; i > 1; i--) {
        size_t k = mieni_rng_below(rng, (uint32_t)i), t = x[i - 1];
        x[i - 1] = x[k];
        x[k] = t;
    }
}

int split_people(const size_t *members, size_t n_groups, double holdout, uint64_t seed, uint8_t *part, const Tool *tool)
{
    size_t *order = mien_malloc_array(n_groups ? n_groups : 1, sizeof(*order)), n_several = 0, n_held = 0;
    uint64_t rng = mieni_rng_split(seed, 0);
    if (!order)
        return tool_error(tool, "out of memory"), MIEN_ERR(ENOMEM);
    for (int several = 1; several >= 0; several--) {
        size_t n = 0;
        for (size_t g = 0; g < n_groups; g++)
            if ((members[g] > 1) == several)
                order[n++] = g;
        shuffle(order, n, &rng);
        size_t held = (size_t)floor(holdout * (double)n + 0.5);
        if (several) { /* both parts need somebody with two embeddings */
            n_several = n;
            held = held < 1 ? 1 : held > n - 1 ? n - 1 : held;
        } else if (n && n_held + held < 2) { /* and somebody else to be different from */
            held = 1;
        }
        for (size_t i = 0; i < n; i++)
            part[order[i]] = i < held;
        n_held += held;
    }
    mien_free(order);
    if (n_several >= 2 && n_held >= 2 && n_groups - n_held >= 2)
        return 0;
    tool_error(tool, "there are %zu people, %zu of them with several pictures; at least four people, two of them with several, are needed "
               "to learn from some and to measure on others", n_groups, n_several);
    return MIEN_ERR(EINVAL);
}

/* ---- pairs of people's embeddings */

typedef struct Rows {
    size_t *row; /* sorted by person */
    size_t n_groups;
    size_t *begin; /* n_groups + 1: group g has row[begin[g] .. begin[g + 1]) */
    size_t *members;
    uint8_t *part;
} Rows;

static void rows_free(Rows *r)
{
    mien_free(r->row);
    mien_free(r->begin);
    mien_free(r->members);
    mien_free(r->part);
}

typedef struct RowKey {
    int64_t person;
    size_t row;
} RowKey;

static int by_person(const void *a, const void *b)
{
    const RowKey *x = a, *y = b;
    return x->person != y->person ? (x->person < y->person ? -1 : 1) : x->row < y->row ? -1 : x->row > y->row;
}

static int group_rows(Rows *r, const People *p, const Tool *tool)
{
    RowKey *key = mien_malloc_array(p->n, sizeof(*key));
    r->row = mien_malloc_array(p->n, sizeof(*r->row));
    r->begin = mien_malloc_array(p->n + 1, sizeof(*r->begin));
    r->members = mien_malloc_array(p->n, sizeof(*r->members));
    r->part = mien_calloc(p->n, 1);
    if (!key || !r->row || !r->begin || !r->members || !r->part) {
        mien_free(key);
        return tool_error(tool, "out of memory"), MIEN_ERR(ENOMEM);
    }
    for (size_t i = 0; i < p->n; i++)
        key[i] = (RowKey){ p->person[i], i };
    qsort(key, p->n, sizeof(*key), by_person);
    for (size_t i = 0; i < p->n; i++) {
        if (!i || key[i].person != key[i - 1].person)
            r->begin[r->n_groups++] = i;
        r->row[i] = key[i].row;
    }
    r->begin[r->n_groups] = p->n;
    for (size_t g = 0; g < r->n_groups; g++)
        r->members[g] = r->begin[g + 1] - r->begin[g];
    mien_free(key);
    return 0;
}

static void put_pair(PairSet *s, const People *p, size_t a, size_t b, int same, size_t at)
{
    s->pair[at] = (MienPair){ p->embedding + a * (size_t)p->dim, p->embedding + b * (size_t)p->dim, same };
}

/* Where the i-th of many (from 0) goes so that each of them is equally likely to be among the max kept; max or more: nowhere. */
static size_t reservoir(size_t i, size_t max, uint64_t *rng)
{
    return i < max ? i : (size_t)(mieni_rng_unit(rng) * (double)(i + 1));
}

/* Pairs of one person. Of a person with many pictures a few: else the unit would be learnt from the few who are photographed daily. */
static void choose_same(PairSet *s, const People *p, const Rows *r, int part, size_t max, uint64_t *rng)
{
    size_t n_found = 0;
    for (size_t g = 0; g < r->n_groups; g++) {
        size_t mine[PAIRS_A_PERSON][2], n_mine = 0;
        for (size_t i = r->begin[g]; r->part[g] == part && i < r->begin[g + 1]; i++) {
            for (size_t k = i + 1; k < r->begin[g + 1]; k++) {
                size_t at = reservoir(n_mine++, PAIRS_A_PERSON, rng);
                if (at < PAIRS_A_PERSON)
                    mine[at][0] = r->row[i], mine[at][1] = r->row[k];
            }
        }
        for (size_t i = 0; i < n_mine && i < PAIRS_A_PERSON; i++) {
            size_t at = reservoir(n_found++, max, rng);
            if (at < max)
                put_pair(s, p, mine[i][0], mine[i][1], 1, at);
        }
    }
    s->n = s->n_same = n_found < max ? n_found : max;
}

/* Pairs of two people: all if they fit, else draws. rows: those of the part, by group. */
static void choose_different(PairSet *s, const People *p, const Rows *r, int part, size_t max, uint64_t *rng)
{
    size_t n_rows = 0, n_same = 0;
    for (size_t g = 0; g < r->n_groups; g++) {
        if (r->part[g] == part) {
            n_rows += r->members[g];
            n_same += r->members[g] * (r->members[g] - 1) / 2;
        }
    }
    size_t n_all = n_rows * (n_rows - 1) / 2 - n_same, end = s->n + (n_all < max ? n_all : max);
    for (size_t g = 0; g < r->n_groups && n_all <= max; g++) {
        for (size_t i = r->begin[g]; r->part[g] == part && i < r->begin[g + 1]; i++) {
            for (size_t h = g + 1; h < r->n_groups; h++) {
                for (size_t k = r->begin[h]; r->part[h] == part && k < r->begin[h + 1]; k++)
                    put_pair(s, p, r->row[i], r->row[k], 0, s->n++);
            }
        }
    }
    while (s->n < end) { /* group by group, so that somebody with a thousand pictures is not in every pair */
        size_t g = mieni_rng_below(rng, (uint32_t)r->n_groups), h = mieni_rng_below(rng, (uint32_t)r->n_groups);
        if (g != h && r->part[g] == part && r->part[h] == part)
            put_pair(s, p, r->row[r->begin[g] + mieni_rng_below(rng, (uint32_t)r->members[g])],
                     r->row[r->begin[h] + mieni_rng_below(rng, (uint32_t)r->members[h])], 0, s->n++);
    }
}

int train_pairs_of_people(TrainPairs *t, const Tool *tool, const People *p, double holdout, int64_t max_pairs, uint64_t seed)
{
    Rows r = { 0 };
    *t = (TrainPairs){ 0 };
    int ret = p->n ? group_rows(&r, p, tool) : (tool_error(tool, "there are no templates to learn from"), MIEN_ERR(EINVAL));
    if (ret >= 0)
        ret = split_people(r.members, r.n_groups, holdout, seed, r.part, tool);
    for (size_t g = 0; g < r.n_groups && ret >= 0; g++)
        t->people[r.part[g]]++;
    for (int part = 0; part < 2 && ret >= 0; part++) {
        PairSet *s = &t->part[part];
        uint64_t rng = mieni_rng_split(seed, 1 + (uint64_t)part);
        if (!(s->pair = mien_malloc_array(2 * (size_t)max_pairs, sizeof(*s->pair)))) {
            tool_error(tool, "out of memory");
            ret = MIEN_ERR(ENOMEM);
            break;
        }
        choose_same(s, p, &r, part, (size_t)max_pairs, &rng);
        choose_different(s, p, &r, part, (size_t)max_pairs, &rng);
    }
    rows_free(&r);
    return ret;
}

/* ---- pairs of a list */

static size_t root_of(size_t *parent, size_t i)
{
    while (parent[i] != i)
        i = parent[i] = parent[parent[i]];
    return i;
}

/* parent[i] becomes the number of picture i's person; members counts pictures. Returns the number of people. */
static size_t number_people(const PairList *l, size_t *parent, size_t *number, size_t *members)
{
    size_t n_people = 0;
    for (size_t i = 0; i < l->n_pictures; i++)
        parent[i] = i;
    for (size_t i = 0; i < l->n_pairs; i++) {
        size_t a = root_of(parent, (size_t)l->pair[i].a), b = root_of(parent, (size_t)l->pair[i].b);
        if (l->pair[i].same && a != b)
            parent[a > b ? a : b] = a > b ? b : a;
    }
    for (size_t i = 0; i < l->n_pictures; i++) {
        size_t root = root_of(parent, i);
        if (root == i) /* roots are the least of theirs: numbered before the others ask */
            number[i] = n_people++, members[number[i]] = 0;
        number[i] = number[root];
        members[number[i]]++;
    }
    return n_people;
}

/* A pair of different people whom other pairs link as one. */
static int check_list(const PairList *l, const size_t *number, const Tool *tool)
{
    for (size_t i = 0; i < l->n_pairs; i++) {
        if (!l->pair[i].same && number[l->pair[i].a] == number[l->pair[i].b])
            return tool_error(tool, "line %d of the pairs says that %s and %s are different people; other lines make them one", l->pair[i].line,
                              safe(l->picture[l->pair[i].a]), safe(l->picture[l->pair[i].b])), MIEN_E_FORMAT;
    }
    return 0;
}

int train_pairs_of_list(TrainPairs *t, const Tool *tool, const PairList *l, const float *embedding, int dim, double holdout, uint64_t seed)
{
    size_t n = l->n_pictures ? l->n_pictures : 1, n_people = 0;
    size_t *parent = mien_malloc_array(3 * n, sizeof(*parent)), *number = parent + n, *members = parent + 2 * n;
    uint8_t *part = mien_calloc(n, 1);
    *t = (TrainPairs){ 0 };
    int ret = 0;
    for (int k = 0; k < 2; k++)
        t->part[k].pair = mien_malloc_array(l->n_pairs ? l->n_pairs : 1, sizeof(MienPair));
    if (!parent || !part || !t->part[0].pair || !t->part[1].pair) {
        tool_error(tool, "out of memory");
        ret = MIEN_ERR(ENOMEM);
    } else {
        n_people = number_people(l, parent, number, members);
        ret = check_list(l, number, tool);
    }
    if (ret >= 0)
        ret = split_people(members, n_people, holdout, seed, part, tool);
    for (size_t i = 0; i < n_people && ret >= 0; i++)
        t->people[part[i]]++;
    for (size_t i = 0; i < l->n_pairs && ret >= 0; i++) {
        const Pair *pair = &l->pair[i];
        PairSet *s = &t->part[part[number[pair->a]]];
        if (part[number[pair->a]] != part[number[pair->b]]) {
            t->n_dropped++;
            continue;
        }
        s->pair[s->n++] = (MienPair){ embedding + (size_t)pair->a * (size_t)dim, embedding + (size_t)pair->b * (size_t)dim, pair->same };
        s->n_same += (size_t)pair->same;
    }
    for (int k = 0; k < 2 && ret >= 0; k++) {
        if (!t->part[k].n_same || t->part[k].n_same == t->part[k].n) {
            tool_error(tool, "after the split by people there are %zu pairs of one person and %zu of two %s; try another --seed or --holdout, "
                       "or more pairs", t->part[k].n_same, t->part[k].n - t->part[k].n_same, k ? "to measure on" : "to learn from");
            ret = MIEN_ERR(EINVAL);
        }
    }
    mien_free(parent);
    mien_free(part);
    return ret;
}

void train_pairs_free(TrainPairs *t)
{
    mien_free(t->part[0].pair);
    mien_free(t->part[1].pair);
    *t = (TrainPairs){ 0 };
}
