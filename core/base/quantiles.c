/* A histogram with bins of equal width in the logarithm; see mien/quantiles.h. */
#include <math.h>

#include "mien/quantiles.h"

#define BINS_PER_OCTAVE 16.0

void mien_quantiles_add(MienQuantiles *q, double value)
{
    if (isnan(value))
        return;
    int bin = (int)(BINS_PER_OCTAVE * log2(1 + fmin(fmax(value, 0), 1e6)));
    q->count[bin < MIEN_QUANTILE_BINS ? bin : MIEN_QUANTILE_BINS - 1]++;
    q->n++;
}

double mien_quantiles_get(const MienQuantiles *q, double share)
{
    uint64_t before = 0, rank = (uint64_t)ceil(fmin(fmax(share, 0), 1) * (double)q->n);
    for (int bin = 0; bin < MIEN_QUANTILE_BINS && q->n; bin++) {
        before += q->count[bin];
        if (before >= (rank ? rank : 1))
            return bin ? exp2((bin + 0.5) / BINS_PER_OCTAVE) - 1 : 0;
    }
    return NAN;
}
