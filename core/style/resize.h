/* resize.h — mien_style_resize with buffers that stay, for films. */
#ifndef MIENI_STYLE_RESIZE_H
#define MIENI_STYLE_RESIZE_H

#include <stddef.h>

#include "mien/exec.h"

/* Keeps its buffers between calls, as large as the largest asked for; {0} to begin with. */
typedef struct MieniCubic {
    int *first;
    float *weight, *rows;
    size_t cap_first, cap_weight, cap_rows;
} MieniCubic;

/* As mien_style_resize. MIEN_ERR(ENOMEM) is the only error. */
int mieni_cubic_resize(MieniCubic *z, MienExec exec, const float *src, int w_px, int h_px, int channels, float *dst, int dst_w_px, int dst_h_px);
void mieni_cubic_uninit(MieniCubic *z);

/* *p, a buffer of *cap elements, is made one of `want` at least; what was in it is lost where it grows. p: address of the pointer. */
int mieni_reserve(void *p, size_t *cap, size_t want, size_t elem_bytes);

#endif
