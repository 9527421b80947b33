/* Makes the table of single comparisons of an encoder from embeddings of many people: how often two different people reach a similarity,
 * and how often two pictures of one person fall short of it. Prints the rows of core/face/fmr_mobileface128.h; fmr_table.sh builds
 * and runs it. Input: safetensors with `embedding` [n,dim] f32 and `person` [n] i32. */
#include <stdio.h>
#include <stdlib.h>

#include "mien/calibrate.h"
#include "mien/weights.h"

#define STEP_BINS 100    /* a row each 0.01 */
#define FIRST_BIN 10000    /* similarity 0 */
/* Rows on fewer pairs of different people say 0. With the embeddings at hand some 30 pairs stay at any similarity up to .7: people who have two
 * numbers. Above .55 those would be most of what is counted. */
#define LEAST_DIFFERENT 60
#define LAST_BIN 18000      /* similarity 0.8 */

static void print_rows(const MienSimCounts *c)
{
    uint64_t n_same = 0, n_different = 0, below = 0, at_least;
    for (int i = 0; i < MIEN_SIM_BINS; i++) {
        n_same += c->same[i];
        n_different += c->different[i];
    }
    at_least = n_different;
    /* each pair was seen from both sides */
    printf("#define FMR_MOBILEFACE128_SAME %llu\n#define FMR_MOBILEFACE128_DIFFERENT %llu\n", (unsigned long long)n_same / 2,
           (unsigned long long)n_different / 2);
    int n_rows = 0;
    printf("/* similarity; different people at or above, 0: too few to tell; same person below */\n#define FMR_MOBILEFACE128(POINT)");
    for (int i = 0; i <= LAST_BIN; i++) {
        int enough = at_least >= 2 * LEAST_DIFFERENT;
        if (i % STEP_BINS == 0 && i >= FIRST_BIN) {
            n_rows += enough;
            printf(" \\\n    POINT(%.2f, %llu, %llu)", i * MIEN_SIM_STEP - 1, enough ? (unsigned long long)at_least / 2 : 0,
                   (unsigned long long)below / 2);
        }
        at_least -= c->different[i];
        below += c->same[i];
    }
    printf("\n#define FMR_MOBILEFACE128_ROWS %d /* with different people */\n", n_rows);
}

int main(int argc, char **argv)
{
    MienLog log = mien_log_stderr("fmr_table", MIEN_LOG_WARN);
    MienWeights *w = NULL;
    MienSimCounts *counts = calloc(1, sizeof(*counts));
    if (argc != 2 || !counts || mien_weights_open(&w, argv[1], log) < 0)
        return 2;
    const MienTensor *e = mien_weights_find(w, "embedding"), *p = mien_weights_find(w, "person");
    if (!e || !p || e->dtype != MIEN_F32 || p->dtype != MIEN_I32 || e->n_dims != 2 || mien_tensor_elems(p) != (size_t)e->dim[0])
        return fprintf(stderr, "fmr_table: embedding [n,dim] f32 and person [n] i32 are wanted\n"), 2;
    size_t n = (size_t)e->dim[0];
    int64_t *person = malloc(n * sizeof(*person));
    MienSearchResult *result = malloc(n * sizeof(*result));
    if (!person || !result)
        return 2;
    for (size_t i = 0; i < n; i++)
        person[i] = ((const int32_t *)p->data)[i];
    MienTemplates t = { .embedding = e->data, .person = person, .n = n, .dim = (int)e->dim[1] };
    if (mien_search_templates(&t, &t, 0, n, 0, result, counts) < 0)
        return 2;
    print_rows(counts);
    free(result);
    free(person);
    free(counts);
    mien_weights_close(&w);
    return 0;
}
