/* vec.h — operations on long f32 vectors, split into fixed blocks so that results don't depend on the number of threads. */
#ifndef MIEN_OPTIM_VEC_H
#define MIEN_OPTIM_VEC_H

#include "mien/common.h"
#include "mien/exec.h"

#define MIENI_VEC_BLOCK_ELEMS 16384

/* Number of doubles of scratch for the sums over n elements. */
static inline size_t mieni_vec_blocks(size_t n)
{
    return (n + MIENI_VEC_BLOCK_ELEMS - 1) / MIENI_VEC_BLOCK_ELEMS;
}

double mieni_vec_dot(MienExec exec, const float *a, const float *b, size_t n, double *scratch);
double mieni_vec_abs_sum(MienExec exec, const float *a, size_t n, double *scratch);
double mieni_vec_abs_max(MienExec exec, const float *a, size_t n, double *scratch);
/* y = alpha·x + beta·y; out = x + alpha·d */
void mieni_vec_axpby(MienExec exec, double alpha, const float *x, double beta, float *y, size_t n);
void mieni_vec_move(MienExec exec, const float *x, double alpha, const float *d, float *out, size_t n);

#endif
