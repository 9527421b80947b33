/* Pieces of the style loss for the parity tests, on the engine's own calls. Include after cmocka.h. */
#ifndef TESTS_STYLE_LOSS_H
#define TESTS_STYLE_LOSS_H

#include <math.h>
#include <string.h>

#include "kernels/kernels.h"
#include "mien/net.h"
#include "nn/gram.h"

/* The net runs on this picture [h, w, 3]. */
static inline void run_on(MienNet *net, const float *picture)
{
    MienShape s;
    float *x = mien_net_input(net, &s);
    memcpy(x, picture, mien_shape_elems(s) * sizeof(*x));
    assert_int_equal(mien_net_run(net), 0);
}

/* Gram matrix of an output, F'F / (h·w); the caller frees it. */
static inline float *gram_of(const MienNet *net, int i, MienCpu cpu, MienShape *s)
{
    const float *f = mien_net_output(net, i, s);
    float *g = mien_malloc((size_t)s->c * (size_t)s->c * sizeof(*g));
    void *work = mien_malloc(mieni_gram_work_bytes((ptrdiff_t)s->h * s->w, s->c));
    mieni_gram_f32((MienExec){ 0 }, mieni_kernels(cpu), f, (ptrdiff_t)s->h * s->w, s->c, 1.0 / (s->h * s->w), g, work);
    mien_free(work);
    return g;
}

/* sum (a - b)^2 / sum b^2; d, if given, gets its derivative by a, times weight. */
static inline double relative(const float *a, const float *b, size_t n, double weight, float *d)
{
    double diff = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        diff += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
        size += (double)b[i] * (double)b[i];
    }
    for (size_t i = 0; d && i < n; i++)
        d[i] = (float)(weight * 2 * ((double)a[i] - (double)b[i]) / size);
    return diff / size;
}

#endif
