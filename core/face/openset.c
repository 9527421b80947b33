/* openset.c — comparisons of many templates with many, and what they say about open-set identification at every threshold.
 *
 * Similarities are counted in bins of MIEN_SIM_STEP; a threshold is always a bin's lower edge, so that nothing is rounded when rates
 * are read off. Products are made in blocks by the same routine that the networks use.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "mien/calibrate.h"
#include "mien/cpu.h"
#include "mien/error.h"
#include "nn/nn.h"

#define BLOCK_PROBES 64
#define BLOCK_ROWS 256

static int bin_of(double sim_cos)
{
    /* The small number keeps thresholds that were printed with four decimals in their own bin. */
    double at = floor((sim_cos + 1) / MIEN_SIM_STEP + 1e-6);
    return at < 0 ? 0 : at > MIEN_SIM_BINS - 1 ? MIEN_SIM_BINS - 1 : (int)at;
}

/* The first bin whose edge is not below a threshold; MIEN_SIM_BINS if there is none. */
static int bin_from(double sim_cos)
{
    double at = ceil((sim_cos + 1) / MIEN_SIM_STEP - 1e-6);
    return at < 0 ? 0 : at > MIEN_SIM_BINS ? MIEN_SIM_BINS : (int)at;
}

static double edge_of(int bin)
{
    return fmin(bin * MIEN_SIM_STEP - 1, 1);
}

/* ---- searches */

typedef struct Block {
    const MienTemplates *gallery, *probes;
    size_t row, n_rows, probe, n_probes; /* what is in sim */
    int strangers;
    const float *sim;                    /* n_rows × BLOCK_PROBES */
} Block;

static void take_block(const Block *b, MienSearchResult *result, MienSimCounts *counts)
{
    int same_rows = b->gallery->embedding == b->probes->embedding;
    for (size_t r = 0; r < b->n_rows; r++) {
        size_t row = b->row + r;
        int64_t person = b->gallery->person ? b->gallery->person[row] : (int64_t)row;
        for (size_t i = 0; i < b->n_probes; i++) {
            MienSearchResult *s = &result[i];
            float sim = b->sim[r * BLOCK_PROBES + i];
            int mate = !b->strangers && person == s->person;
            if (same_rows && row == b->probe + i)
                continue;
            if (counts)
                (mate ? counts->same : counts->different)[bin_of((double)sim)]++;
            if (mate) {
                s->mate_sim_cos = fmaxf(s->mate_sim_cos, sim); /* of a NaN and a number, the number */
            } else if (!(sim <= s->other_sim_cos)) {
                s->other_sim_cos = sim;
                s->other = person;
            }
        }
    }
}

/* dim × BLOCK_PROBES, the probes as columns; places of a short block are zero. */
static void transpose(const MienTemplates *t, size_t first, size_t n, float *out)
{
    for (int k = 0; k < t->dim; k++)
        for (size_t i = 0; i < BLOCK_PROBES; i++)
            out[(size_t)k * BLOCK_PROBES + i] = i < n ? t->embedding[(first + i) * (size_t)t->dim + (size_t)k] : 0;
}

int mien_search_templates(const MienTemplates *gallery, const MienTemplates *probes, size_t first, size_t n, int strangers,
                          MienSearchResult *result, MienSimCounts *counts)
{
    int dim = gallery->dim;
    if (dim != probes->dim || dim < 1)
        return MIEN_ERR(EINVAL);
    float *columns = mien_malloc_array((size_t)dim * BLOCK_PROBES, sizeof(*columns));
    float *sim = mien_malloc_array(BLOCK_ROWS * BLOCK_PROBES, sizeof(*sim));
    int ret = columns && sim ? 0 : MIEN_ERR(ENOMEM);
    const MienKernels *kernels = mieni_kernels(MIEN_CPU_AUTO);
    for (size_t done = 0; done < n && ret >= 0; done += BLOCK_PROBES) {
        Block b = { .gallery = gallery, .probes = probes, .probe = first + done, .strangers = strangers, .sim = sim };
        b.n_probes = n - done < BLOCK_PROBES ? n - done : BLOCK_PROBES;
        transpose(probes, b.probe, b.n_probes, columns);
        for (size_t i = 0; i < b.n_probes; i++)
            result[done + i] = (MienSearchResult){ .person = probes->person ? probes->person[b.probe + i] : (int64_t)(b.probe + i),
                                                   .mate_sim_cos = NAN, .other_sim_cos = NAN, .other = -1 };
        for (b.row = 0; b.row < gallery->n; b.row += BLOCK_ROWS) {
            b.n_rows = gallery->n - b.row < BLOCK_ROWS ? gallery->n - b.row : BLOCK_ROWS;
            mieni_sgemm(kernels, (int)b.n_rows, BLOCK_PROBES, dim, gallery->embedding + b.row * (size_t)dim, dim, columns, BLOCK_PROBES,
                        sim, BLOCK_PROBES);
            take_block(&b, result + done, counts);
        }
    }
    mien_free(columns);
    mien_free(sim);
    return ret;
}

double mien_counts_fmr(const MienSimCounts *counts, double sim_cos)
{
    uint64_t all = 0, at_least = 0;
    int from = bin_from(sim_cos);
    for (int i = 0; i < MIEN_SIM_BINS; i++) {
        all += counts->different[i];
        at_least += i >= from ? counts->different[i] : 0;
    }
    return all ? (double)at_least / (double)all : NAN;
}

/* ---- open set */

struct MienOpenSet {
    double n_mated_people, n_non_mated_people;
    double rank1;
    /* shares of searches at or above a bin's edge; the last place, behind all bins, is 0 */
    double right[MIEN_SIM_BINS + 1], wrong[MIEN_SIM_BINS + 1], non_mated[MIEN_SIM_BINS + 1];
};

static int compare_people(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return a < b ? -1 : a > b;
}

static int has_mate(const MienSearchResult *s)
{
    return !isnan(s->mate_sim_cos);
}

static int any_search(const MienSearchResult *s)
{
    (void)s;
    return 1;
}

/* Weights of the searches that count, which add up to 1, the others 0; returns how many people they are of, or a negative code. */
static int64_t weigh(const MienSearchResult *s, size_t n, int (*counts)(const MienSearchResult *), int by_person, double *weight)
{
    int64_t *person = mien_malloc_array(n ? n : 1, sizeof(*person)), n_people = 0;
    size_t n_counting = 0;
    if (!person)
        return MIEN_ERR(ENOMEM);
    for (size_t i = 0; i < n; i++)
        if (counts(&s[i]))
            person[n_counting++] = s[i].person;
    qsort(person, n_counting, sizeof(*person), compare_people);
    for (size_t i = 0; i < n_counting; i++)
        n_people += !i || person[i] != person[i - 1];
    for (size_t i = 0; i < n; i++) {
        weight[i] = 0;
        if (!counts(&s[i]))
            continue;
        weight[i] = 1.0 / (double)n_counting;
        if (by_person) {
            const int64_t *hit = bsearch(&s[i].person, person, n_counting, sizeof(*person), compare_people), *a = hit, *b = hit;
            while (a > person && a[-1] == *hit)
                a--;
            while (b + 1 < person + n_counting && b[1] == *hit)
                b++;
            weight[i] = 1.0 / ((double)n_people * (double)(b - a + 1));
        }
    }
    mien_free(person);
    return n_people;
}

static void add_from_above(double share[MIEN_SIM_BINS + 1])
{
    for (int i = MIEN_SIM_BINS - 1; i >= 0; i--)
        share[i] += share[i + 1];
}

static void take_mated(MienOpenSet *o, const MienOpenSetParams *p, const double *weight)
{
    for (size_t i = 0; i < p->n_mated; i++) {
        const MienSearchResult *s = &p->mated[i];
        double lead = isnan(s->other_sim_cos) ? INFINITY : (double)s->mate_sim_cos - (double)s->other_sim_cos;
        if (!has_mate(s))
            continue;
        o->rank1 += lead > 0 ? weight[i] : 0;
        if (lead > 0 && lead >= p->margin)
            o->right[bin_of((double)s->mate_sim_cos)] += weight[i];
        else if (lead <= 0 && -lead >= p->margin)
            o->wrong[bin_of((double)s->other_sim_cos)] += weight[i];
    }
}

int mien_open_set_create(MienOpenSet **set, const MienOpenSetParams *p)
{
    *set = NULL;
    MienOpenSet *o = mien_calloc(1, sizeof(*o));
    size_t n = p->n_mated > p->n_non_mated ? p->n_mated : p->n_non_mated;
    double *weight = mien_malloc_array(n ? n : 1, sizeof(*weight));
    int64_t n_people = o && weight ? weigh(p->mated, p->n_mated, has_mate, p->by_person, weight) : MIEN_ERR(ENOMEM);
    if (n_people >= 0) {
        o->n_mated_people = (double)n_people;
        take_mated(o, p, weight);
        n_people = weigh(p->non_mated, p->n_non_mated, any_search, p->by_person, weight);
    }
    if (n_people >= 0) {
        o->n_non_mated_people = (double)n_people;
        for (size_t i = 0; i < p->n_non_mated; i++)
            if (!isnan(p->non_mated[i].other_sim_cos))
                o->non_mated[bin_of((double)p->non_mated[i].other_sim_cos)] += weight[i];
        add_from_above(o->right);
        add_from_above(o->wrong);
        add_from_above(o->non_mated);
        *set = o;
        o = NULL;
    }
    mien_free(weight);
    mien_free(o);
    return n_people < 0 ? (int)n_people : 0;
}

void mien_open_set_destroy(MienOpenSet **set)
{
    if (set && *set) {
        mien_free(*set);
        *set = NULL;
    }
}

double mien_open_set_threshold(const MienOpenSet *o, double fpir)
{
    int i = MIEN_SIM_BINS;
    while (i > 0 && o->non_mated[i - 1] <= fpir + 1e-12) /* sums of weights are off by less */
        i--;
    return edge_of(i);
}

static MienRate rate_of(double share, double n_people)
{
    return mien_rate(fmin(fmax(share, 0), 1) * n_people, n_people);
}

MienRate mien_open_set_fpir(const MienOpenSet *o, double sim_cos)
{
    return rate_of(o->non_mated[bin_from(sim_cos)], o->n_non_mated_people);
}

MienRate mien_open_set_fnir(const MienOpenSet *o, double sim_cos)
{
    double missed = 1 - o->right[bin_from(sim_cos)];
    return rate_of(missed < 1e-12 ? 0 : missed, o->n_mated_people);
}

MienRate mien_open_set_misnamed(const MienOpenSet *o, double sim_cos)
{
    return rate_of(o->wrong[bin_from(sim_cos)], o->n_mated_people);
}

MienRate mien_open_set_rank1(const MienOpenSet *o)
{
    return rate_of(o->rank1 > 1 - 1e-12 ? 1 : o->rank1, o->n_mated_people);
}
