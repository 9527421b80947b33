/* Gram matrices of activations, and the gradient of what is computed from them: G = scale · F^T·F for F of n_px pixels and c
 * channels (NHWC of one picture), the correlations of channels over the picture (Gatys et al. 2015, section 2).
 *
 * All matrices are row-major f32, without gaps. F's values are multiplied in f32 and summed over about a thousand pixels at a
 * time in f32, these sums in double: G's error is below 1e-5 of sum |f_i·f_j|. The work is cut by n_px and c alone, so exec
 * changes no bit. Nothing allocates. Jobs flush denormals. Threads: any, on different outputs. */
#ifndef MIENI_GRAM_H
#define MIENI_GRAM_H

#include "kernels/kernels.h"
#include "mien/exec.h"

/* Bytes of scratch that mieni_gram_f32 needs, to be aligned to 64 as mien_malloc's are. */
size_t mieni_gram_work_bytes(ptrdiff_t n_px, int c);

/* gram[c,c] = scale · f^T·f, symmetric to the bit. work: mieni_gram_work_bytes. n_px, c >= 1. */
void mieni_gram_f32(MienExec exec, const MienKernels *kernels, const float *f, ptrdiff_t n_px, int c, double scale, float *gram,
                    void *work);

/* df[n_px,c] = f·m, or with add df += f·m, for m[c,c]. For J of G: dJ/dF = F·M with M = scale · (D + D^T), D = dJ/dG; with a
 * symmetric D = dJ/dG that is M = 2 · scale · D. df may not be f. */
void mieni_gram_grad_f32(MienExec exec, const MienKernels *kernels, const float *f, ptrdiff_t n_px, int c, const float *m, int add,
                         float *df);

#endif
