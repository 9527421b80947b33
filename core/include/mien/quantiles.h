/* mien/quantiles.h — median and percentiles of any number of values, in bounded memory.
 *
 * A histogram whose bins grow with the value: what it gives is within 2.5 % (and 0.025) of a value that was there. {0} starts.
 */
#ifndef MIEN_QUANTILES_H
#define MIEN_QUANTILES_H

#include "mien/common.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_QUANTILE_BINS 320

typedef struct MienQuantiles {
    uint64_t n;
    uint32_t count[MIEN_QUANTILE_BINS]; /* bin i: from 2^(i/16) - 1 on */
} MienQuantiles;

/* A value of 0 to a million; others count as the nearest of these, NaN not at all. */
void mien_quantiles_add(MienQuantiles *q, double value);
/* The value that a share (0..1) of all doesn't exceed; NaN of none. */
double mien_quantiles_get(const MienQuantiles *q, double share);

#ifdef __cplusplus
}
#endif
#endif
