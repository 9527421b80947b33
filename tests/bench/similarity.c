/* Times of the gallery's scans, by cosine and by learnt units; and, for a file of embeddings, FNIR at FPIR with each. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "gallery/gallery_int.h"
#include "mien/similarity.h"
#include "mien/weights.h"

enum { DIM = 128, ROWS = 100000, RUNS = 15 };

static double cpu_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return 1e3 * (double)ts.tv_sec + 1e-6 * (double)ts.tv_nsec;
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static void time_scans(void)
{
    float *row = mien_malloc_array((size_t)ROWS * DIM, sizeof(float)), *out = mien_malloc_array(ROWS, sizeof(float));
    float *probe = mien_malloc(DIM * sizeof(float)), *weight = mien_malloc(DIM * sizeof(float));
    uint64_t rng = 1;
    for (size_t i = 0; i < (size_t)ROWS * DIM; i++)
        row[i] = (float)(mieni_rng_unit(&rng) - 0.5) / 6;
    for (int k = 0; k < DIM; k++) {
        probe[k] = row[k];
        weight[k] = -3;
    }
    static const char *const name[] = { "cosine", "logistic", "chi2" };
    for (int kind = 0; kind < 3; kind++) {
        double ms[RUNS];
        for (int i = 0; i < RUNS; i++) {
            double start = cpu_ms();
            if (kind == 0)
                mieni_scan_f32_c(row, DIM, ROWS, probe, out);
            else
                (kind == 1 ? mieni_scan_logistic_c : mieni_scan_chi2_c)(row, DIM, ROWS, probe, weight, 20, out);
            ms[i] = cpu_ms() - start;
        }
        qsort(ms, RUNS, sizeof(*ms), by_double);
        printf("%-9s %d templates of %d: %.2f ms (median of %d, processor time)\n", name[kind], ROWS, DIM, ms[RUNS / 2], RUNS);
    }
    mien_free(row);
    mien_free(out);
    mien_free(probe);
    mien_free(weight);
}

/* ---- open set */

typedef struct Set {
    int n, dim;
    const float *e;
    int *who, n_people, *count, *first; /* person by row, numbered; rows and first row by person */
} Set;

static const float *row_of(const Set *s, int i)
{
    return s->e + (size_t)i * (size_t)s->dim;
}

static int learnt_from(int person)
{
    return person % 2 == 0;
}

static void learn(const Set *s, MienSimilarityKind kind, MienSimilarity *unit)
{
    MienPair *pair = mien_malloc_array((size_t)s->n * 8 + 20000, sizeof(*pair));
    size_t n = 0;
    uint64_t rng = 1;
    for (int i = 0; i < s->n; i++)
        for (int k = i + 1, found = 0; k < s->n && found < 8 && learnt_from(s->who[i]); k++)
            if (s->who[k] == s->who[i]) {
                pair[n++] = (MienPair){ row_of(s, i), row_of(s, k), 1 };
                found++;
            }
    for (int i = 0; i < 20000;) {
        int a = (int)mieni_rng_below(&rng, (uint32_t)s->n), b = (int)mieni_rng_below(&rng, (uint32_t)s->n);
        if (s->who[a] != s->who[b] && learnt_from(s->who[a]) && learnt_from(s->who[b])) {
            pair[n++] = (MienPair){ row_of(s, a), row_of(s, b), 0 };
            i++;
        }
    }
    MienSimilarityParams p = MIEN_SIMILARITY_DEFAULTS;
    p.kind = kind;
    p.dim = s->dim;
    if (mien_similarity_train(unit, &p, pair, n, NULL) < 0)
        exit(1);
    mien_free(pair);
}

static double value(const Set *s, const MienSimilarity *unit, int a, int b)
{
    double sum = 0;
    if (unit)
        return mien_similarity_logit(unit, row_of(s, a), row_of(s, b));
    for (int k = 0; k < s->dim; k++)
        sum += (double)row_of(s, a)[k] * (double)row_of(s, b)[k];
    return sum;
}

static void open_set(const Set *s, const char *name, const MienSimilarity *unit)
{
    double *stranger = mien_malloc_array((size_t)s->n, sizeof(double)), *known = mien_malloc_array((size_t)s->n, sizeof(double));
    int n_strangers = 0, n_known = 0, n_right = 0, k_people = 0;
    for (int p = 0; p < s->n_people; p++)
        k_people += !learnt_from(p) && s->count[p] > 1;
    for (int i = 0; i < s->n; i++) {
        int best = -1;
        double best_value = -INFINITY;
        if (learnt_from(s->who[i]) || (s->count[s->who[i]] > 1 && s->first[s->who[i]] == i))
            continue;
        for (int p = 0; p < s->n_people; p++) {
            if (learnt_from(p) || s->count[p] < 2)
                continue;
            double v = value(s, unit, i, s->first[p]);
            if (v > best_value) {
                best_value = v;
                best = p;
            }
        }
        if (s->count[s->who[i]] < 2) {
            stranger[n_strangers++] = best_value;
        } else {
            known[n_known++] = best == s->who[i] ? best_value : -INFINITY;
            n_right += best == s->who[i];
        }
    }
    qsort(stranger, (size_t)n_strangers, sizeof(double), by_double);
    printf("%-9s %d people, %d probes, %d strangers, rank-1 %.2f %%", name, k_people, n_known, n_strangers, 100.0 * n_right / n_known);
    static const double fpir[] = { 0.1, 0.01, 0.003 };
    for (size_t q = 0; q < MIEN_ARRAY_ELEMS(fpir); q++) {
        double threshold = stranger[n_strangers - 1 - (int)(fpir[q] * n_strangers)];
        int missed = 0;
        for (int i = 0; i < n_known; i++)
            missed += known[i] <= threshold;
        printf("; FPIR %g: %.3f", fpir[q], threshold);
        if (unit)
            printf(" (p %.3f)", mien_similarity_prob(threshold));
        printf(" FNIR %.1f %%", 100.0 * missed / n_known);
    }
    printf("\n");
    mien_free(stranger);
    mien_free(known);
}

int main(int argc, char **argv)
{
    MienWeights *w;
    MienSimilarity unit;
    time_scans();
    if (argc < 2)
        return 0;
    if (mien_weights_open(&w, argv[1], (MienLog){ 0 }) < 0)
        return 1;
    const MienTensor *e = mien_weights_find(w, "embedding"), *who = mien_weights_find(w, "person");
    if (!e || !who || who->dtype != MIEN_I32 || e->n_dims != 2)
        return 1;
    Set s = { (int)e->dim[0], (int)e->dim[1], e->data, NULL, 0, NULL, NULL };
    s.who = mien_malloc_array((size_t)s.n, sizeof(int));
    for (int i = 0; i < s.n; i++) {
        s.who[i] = ((const int32_t *)who->data)[i];
        s.n_people = s.who[i] >= s.n_people ? s.who[i] + 1 : s.n_people;
    }
    s.count = mien_calloc((size_t)s.n_people, sizeof(int));
    s.first = mien_calloc((size_t)s.n_people, sizeof(int));
    for (int i = s.n - 1; i >= 0; i--) {
        s.count[s.who[i]]++;
        s.first[s.who[i]] = i;
    }
    open_set(&s, "cosine", NULL);
    for (int kind = MIEN_SIMILARITY_LOGISTIC; kind <= MIEN_SIMILARITY_CHI2; kind++) {
        learn(&s, (MienSimilarityKind)kind, &unit);
        open_set(&s, mien_similarity_name((MienSimilarityKind)kind), &unit);
    }
    mien_weights_close(&w);
    mien_free(s.who);
    mien_free(s.count);
    mien_free(s.first);
    return 0;
}
