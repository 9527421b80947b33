/* rng.h — numbers that look random and are the same everywhere: SplitMix64 (Steele, Lea & Flood, "Fast splittable pseudorandom
 * number generators", 2014). A state is one number, so that one per item can be made from a seed and the item's number. */
#ifndef MIEN_BASE_RNG_H
#define MIEN_BASE_RNG_H

#include "mien/common.h"

static inline uint64_t mieni_rng_u64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* 0 <= value < n; n > 0. By the upper half of a product: the bias is below n / 2^32. */
static inline uint32_t mieni_rng_below(uint64_t *state, uint32_t n)
{
    return (uint32_t)((mieni_rng_u64(state) >> 32) * n >> 32);
}

/* 0 <= value < 1 */
static inline double mieni_rng_unit(uint64_t *state)
{
    return (double)(mieni_rng_u64(state) >> 11) * 0x1p-53;
}

/* A state of its own for item i of a seed. */
static inline uint64_t mieni_rng_split(uint64_t seed, uint64_t i)
{
    uint64_t s = seed ^ (i + 1) * 0xd1342543de82ef95u;
    return mieni_rng_u64(&s);
}

#endif
