/* upsample.h — a small stylised picture brought back onto the samples of the full frame. See upsample.c for the method. */
#ifndef MIEN_STYLE_UPSAMPLE_H
#define MIEN_STYLE_UPSAMPLE_H

#include "mien/exec.h"
#include "mien/planes.h"

/* Keeps its buffers between calls; {0} to begin with. */
typedef struct MieniUpsampler {
    float *small; /* planes at the working size */
    float *rows;  /* per job */
    struct MieniUpTap *tap;
    size_t cap_small, cap_rows, cap_taps;
} MieniUpsampler;

/* in and out: w×h interleaved RGB, the frame's reduction and its stylised version. frame is overwritten in place; what the mask covers with 0
 * and, if keep_chroma, the colour (Cb, Cr) stay to the bit where the format allows. MIEN_ERR(ENOMEM) is the only error. */
int mieni_upsample(MieniUpsampler *u, MienExec exec, MienPlanes *frame, const float *in, const float *out, int w, int h,
                   int keep_chroma, const MienMask *mask);
void mieni_upsampler_uninit(MieniUpsampler *u);

/* dst = mean of src over windows of (2r+1)², cut at the edges; tmp has w·h elements. */
void mieni_box_mean(const float *src, int w, int h, int r, float *tmp, float *dst);

/* How much of row y (centre at y_px, in frame pixels) the mask covers: n numbers 0..1 for samples at x0_px + i·step_px. Returns the largest. */
float mieni_mask_row(const MienMask *mask, double y_px, double x0_px, double step_px, int n, float *cover);

#endif
