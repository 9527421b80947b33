/* sample.h — from a picture to the numbers that a network reads.
 *
 * Two ways: a resizer for whole pictures, axis by axis (detector), and a warp by any affine map (landmarks, alignment,
 * liveness). Both write NHWC f32, x = (v - mean) · scale, in the network's own order of channels.
 * Coordinates are continuous: pixel i covers [i, i+1), so its centre is i + 0.5; both sides of a map count so.
 */
#ifndef MIEN_IMAGE_SAMPLE_H
#define MIEN_IMAGE_SAMPLE_H

#include "mien/exec.h"
#include "mien/image.h"

typedef struct MieniInput {
    int n_channels;          /* 3, or 1: luma .299 R + .587 G + .114 B */
    int bgr;                 /* 3 channels, blue first */
    float mean[3], scale[3]; /* in the order of the channels */
} MieniInput;

/* From a model's metadata: channels "rgb", "bgr" or "gray"; mean and scale one number or as many as channels, separated by
 * commas. 0 or MIEN_E_FORMAT (a missing or damaged value). */
int mieni_input_parse(MieniInput *input, const char *channels, const char *mean, const char *scale);

/* Where the picture's samples come from when the map leaves it. */
#define MIENI_BORDER_CLAMP (-1.0f) /* the nearest pixel; any value >= 0 is that gray */

/* dst[y][x] = bilinear sample of img at m·(x + .5, y + .5), m = {xx, xy, x0, yx, yy, y0}: source x = xx·x + xy·y + x0. Where
 * the map shrinks by more than 2, n × n samples spread over the destination's pixel are averaged (n = its shrinking, rounded
 * down, at most max_samples), so that large faces do not alias; max_samples 1 is plain bilinear. Maps that are not finite sample
 * nothing but border. */
void mieni_image_warp(const MienImage *img, const float m[6], float border, int max_samples, const MieniInput *input,
                      float *dst, int w_px, int h_px);

/* Scaling of one picture (or a part) into a canvas: canvas point (x, y) shows the picture's (x0 + x·step, y0 + y·step_y). Steps
 * below 2 are plain bilinear, larger ones average the area under a pixel. Pixels whose centre lies outside are pad. */
typedef struct MieniView {
    double x0_px, y0_px;   /* of the canvas's corner, in the picture */
    double step_x, step_y; /* picture pixels per canvas pixel, > 0 */
} MieniView;

/* Keeps its buffers between calls; {0} to begin with. */
typedef struct MieniResizer {
    struct MieniSpan *tap;
    float *weight, *row;
    size_t cap_taps, cap_weights, cap_row;
} MieniResizer;

/* Fills dst [h,w,n_channels]. Allocates only when a size is larger than all before; ENOMEM is the only error. */
int mieni_resize(MieniResizer *r, MienExec exec, const MienImage *img, MieniView view, float pad, const MieniInput *input,
                 float *dst, int w_px, int h_px);
void mieni_resizer_uninit(MieniResizer *r);

#endif
