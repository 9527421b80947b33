/* triplet.c — triplet loss, choice of triplets and what embeddings are worth; formulas in mien/triplet.h. Everything in double: a batch
 * has a few dozen faces, and the network before it costs a thousand times more. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "mien/error.h"
#include "mien/triplet.h"

const char *mien_triplet_choice_name(MienTripletChoice choice)
{
    static const char *const name[] = { "random", "semi-hard", "hard" };
    return (size_t)choice < MIEN_ARRAY_ELEMS(name) ? name[choice] : "unknown";
}

typedef struct Batch {
    const MienTripletParams *p;
    const int32_t *person;
    int n;
    double *unit;   /* n × dim */
    double *length; /* n */
    double *dist;   /* n × n, squared */
} Batch;

static void batch_free(Batch *b)
{
    mien_free(b->unit);
    mien_free(b->length);
    mien_free(b->dist);
}

static const double *unit_of(const Batch *b, int i)
{
    return b->unit + (size_t)i * (size_t)b->p->dim;
}

static double dist2(const Batch *b, int i, int k)
{
    return b->dist[(size_t)i * (size_t)b->n + (size_t)k];
}

static double square_of(const double *a, const double *c, int dim)
{
    double sum = 0;
    for (int k = 0; k < dim; k++)
        sum += (a[k] - c[k]) * (a[k] - c[k]);
    return sum;
}

static int batch_make(Batch *b, const MienTripletParams *p, const float *embedding, const int32_t *person, int n)
{
    size_t dim = (size_t)p->dim, count = (size_t)n;
    *b = (Batch){ .p = p, .person = person, .n = n };
    if (p->dim < 1 || n < 1 || n > 65536 || !(p->margin > 0) || !isfinite(p->margin) || (size_t)p->choice >= MIEN_TRIPLET_N_CHOICES)
        return mien_fail(p->log, MIEN_ERR(EINVAL), "triplets: a parameter is out of range");
    b->unit = mien_malloc_array(count * dim, sizeof(double));
    b->length = mien_malloc_array(count, sizeof(double));
    b->dist = mien_malloc_array(count * count, sizeof(double));
    if (!b->unit || !b->length || !b->dist)
        return mien_fail(p->log, MIEN_ERR(ENOMEM), "triplets: out of memory for %d faces", n);
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t k = 0; k < dim; k++)
            sum += (double)embedding[i * dim + k] * (double)embedding[i * dim + k];
        b->length[i] = sqrt(sum);
        if (!isfinite(sum) || !(sum > 0))
            return mien_fail(p->log, MIEN_ERR(EDOM), "triplets: the embedding of face %zu is %s", i, sum == 0 ? "of length 0" : "not finite");
        for (size_t k = 0; k < dim; k++)
            b->unit[i * dim + k] = (double)embedding[i * dim + k] / b->length[i];
    }
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k <= i; k++)
            b->dist[i * count + k] = b->dist[k * count + i] = square_of(unit_of(b, (int)i), unit_of(b, (int)k), p->dim);
    return 0;
}

static double spread_of(const Batch *b)
{
    double norm = 0;
    for (int k = 0; k < b->p->dim; k++) {
        double mean = 0;
        for (int i = 0; i < b->n; i++)
            mean += unit_of(b, i)[k] / b->n;
        norm += mean * mean;
    }
    return fmax(1 - norm, 0);
}

/* ---- which N */

static int choose_random(const Batch *b, int a, uint64_t *rng)
{
    int n_others = 0, at;
    for (int i = 0; i < b->n; i++)
        n_others += b->person[i] != b->person[a];
    if (!n_others)
        return -1;
    at = (int)mieni_rng_below(rng, (uint32_t)n_others);
    for (int i = 0;; i++)
        if (b->person[i] != b->person[a] && at-- == 0)
            return i;
}

/* The nearest N beyond `least`, or -1. */
static int choose_nearest(const Batch *b, int a, double least)
{
    int best = -1;
    for (int i = 0; i < b->n; i++)
        if (b->person[i] != b->person[a] && dist2(b, a, i) > least && (best < 0 || dist2(b, a, i) < dist2(b, a, best)))
            best = i;
    return best;
}

static int choose_furthest(const Batch *b, int a)
{
    int best = -1;
    for (int i = 0; i < b->n; i++)
        if (b->person[i] != b->person[a] && (best < 0 || dist2(b, a, i) > dist2(b, a, best)))
            best = i;
    return best;
}

static int choose(const Batch *b, MienTripletChoice choice, int a, int p, uint64_t *rng)
{
    if (choice == MIEN_TRIPLET_RANDOM)
        return choose_random(b, a, rng);
    if (choice == MIEN_TRIPLET_HARD)
        return choose_nearest(b, a, -1);
    int n = choose_nearest(b, a, dist2(b, a, p));
    return n >= 0 ? n : choose_furthest(b, a);
}

/* ---- the loss */

/* Adds 2·c·(to − from) to row i of g: half of a squared distance's derivative at each of its ends. */
static void pull(const Batch *b, double *g, int i, int to, int from, double c)
{
    for (int k = 0; k < b->p->dim; k++)
        g[(size_t)i * (size_t)b->p->dim + (size_t)k] += 2 * c * (unit_of(b, to)[k] - unit_of(b, from)[k]);
}

/* From the gradient with respect to u = f/‖f‖ to that with respect to f: what is along u has no effect. */
static void through_length(const Batch *b, const double *g, float *gradient)
{
    int dim = b->p->dim;
    for (int i = 0; i < b->n; i++) {
        const double *row = g + (size_t)i * (size_t)dim, *u = unit_of(b, i);
        double along = 0;
        for (int k = 0; k < dim; k++)
            along += row[k] * u[k];
        for (int k = 0; k < dim; k++)
            gradient[(size_t)i * (size_t)dim + (size_t)k] = (float)((row[k] - along * u[k]) / b->length[i]);
    }
}

static void add_triplet(const Batch *b, int a, int p, int n, MienTripletChoice choice, MienTripletLoss *out, double *g)
{
    double loss = dist2(b, a, p) - dist2(b, a, n) + b->p->margin;
    if (!(loss > 0))
        return;
    out->n_active[choice]++;
    if (choice != b->p->choice)
        return;
    out->loss += loss;
    if (g) {
        pull(b, g, a, n, p, 1);
        pull(b, g, p, p, a, 1);
        pull(b, g, n, a, n, 1);
    }
}

int mien_triplet_loss(const MienTripletParams *params, const float *embedding, const int32_t *person, int n, MienTripletLoss *out,
                      float *gradient)
{
    Batch b;
    double *g = NULL;
    uint64_t rng = params->seed;
    *out = (MienTripletLoss){ 0 };
    int ret = batch_make(&b, params, embedding, person, n);
    size_t n_elems = ret < 0 ? 0 : (size_t)n * (size_t)params->dim;
    if (ret >= 0 && gradient && !(g = mien_calloc(n_elems, sizeof(double))))
        ret = mien_fail(params->log, MIEN_ERR(ENOMEM), "triplets: out of memory");
    for (int a = 0; a < n && ret >= 0; a++) {
        for (int p = 0; p < n; p++) {
            if (p == a || person[p] != person[a] || choose_furthest(&b, a) < 0)
                continue;
            out->n_triplets++;
            for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++)
                add_triplet(&b, a, p, choose(&b, (MienTripletChoice)c, a, p, &rng), (MienTripletChoice)c, out, g);
        }
    }
    if (ret >= 0) {
        double scale = out->n_triplets ? 1 / (double)out->n_triplets : 0;
        out->loss *= scale;
        out->spread = spread_of(&b);
        for (size_t i = 0; i < n_elems && g; i++)
            g[i] *= scale;
        if (g)
            through_length(&b, g, gradient);
    }
    mien_free(g);
    batch_free(&b);
    return ret;
}

/* ---- what embeddings are worth */

typedef struct Pair {
    double dist;
    int same;
} Pair;

static int by_dist(const void *a, const void *b)
{
    const Pair *x = a, *y = b;
    return x->dist < y->dist ? -1 : x->dist > y->dist;
}

/* Sorted pairs walked in groups of equal distance: accuracy at the best cut, and the area under the curve. */
static void rank_pairs(const Pair *pair, size_t n, MienTripletMeasure *m)
{
    double far = 0, tar = 0, best = 0, area = 0;
    for (size_t i = 0; i < n;) {
        double far0 = far, tar0 = tar, here = pair[i].dist;
        for (; i < n && pair[i].dist == here; i++) {
            tar += pair[i].same ? 1 / (double)m->n_same : 0;
            far += pair[i].same ? 0 : 1 / (double)m->n_different;
        }
        area += (far - far0) * (tar + tar0) / 2;
        best = fmax(best, tar - far);
    }
    m->auc = area;
    m->accuracy = (1 + best) / 2;
}

static double mean_of_all(const Batch *b)
{
    double sum = 0, n_triplets = 0;
    for (int a = 0; a < b->n; a++) {
        for (int p = 0; p < b->n; p++) {
            for (int n = 0; n < b->n && p != a && b->person[p] == b->person[a]; n++) {
                if (b->person[n] == b->person[a])
                    continue;
                sum += fmax(dist2(b, a, p) - dist2(b, a, n) + b->p->margin, 0);
                n_triplets++;
            }
        }
    }
    return n_triplets > 0 ? sum / n_triplets : 0;
}

int mien_triplet_measure(const MienTripletParams *params, const float *embedding, const int32_t *person, int n, MienTripletMeasure *m)
{
    Batch b;
    size_t n_pairs = 0;
    *m = (MienTripletMeasure){ .auc = NAN, .accuracy = NAN };
    int ret = batch_make(&b, params, embedding, person, n);
    Pair *pair = ret < 0 ? NULL : mien_malloc_array((size_t)n * (size_t)(n - 1) / 2 + 1, sizeof(*pair));
    if (ret >= 0 && !pair)
        ret = mien_fail(params->log, MIEN_ERR(ENOMEM), "triplets: out of memory for the pairs of %d faces", n);
    for (int i = 0; i < n && ret >= 0; i++) {
        for (int k = i + 1; k < n; k++) {
            int same = person[i] == person[k];
            m->n_same += same;
            m->n_different += !same;
            pair[n_pairs++] = (Pair){ dist2(&b, i, k), same };
        }
    }
    if (ret >= 0) {
        m->spread = spread_of(&b);
        m->loss = mean_of_all(&b);
        qsort(pair, n_pairs, sizeof(*pair), by_dist);
        if (m->n_same && m->n_different)
            rank_pairs(pair, n_pairs, m);
    }
    mien_free(pair);
    batch_free(&b);
    return ret;
}
