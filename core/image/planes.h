/* planes.h — samples as numbers: rows of planes as f32, frames at a working size as RGB. */
#ifndef MIEN_IMAGE_PLANES_H
#define MIEN_IMAGE_PLANES_H

#include "mien/exec.h"
#include "mien/planes.h"

/* value = (sample - zero) * unit: luma and RGB 0..1, chroma -0.5..0.5. */
typedef struct MieniScale {
    float zero, unit;
} MieniScale;

MieniScale mieni_plane_scale(const MienPlanes *planes, int i_plane);

/* Row y of a plane as numbers, w_px of them. */
void mieni_plane_read(const MienPlane *plane, MieniScale scale, int y, float *row);
/* The same back: rounded, clipped to what the plane's bits hold. Where cover is given, only samples with cover > 0 are written. */
void mieni_plane_write(const MienPlane *plane, MieniScale scale, int y, const float *row, const float *cover);

/* One pixel between RGB and Y'CbCr. Not clamped. */
static inline void mieni_ycc_from_rgb(float kr, float kb, const float rgb[3], float ycc[3])
{
    float y = kr * rgb[0] + (1 - kr - kb) * rgb[1] + kb * rgb[2];
    ycc[1] = (rgb[2] - y) / (2 * (1 - kb));
    ycc[2] = (rgb[0] - y) / (2 * (1 - kr));
    ycc[0] = y;
}

static inline void mieni_rgb_from_ycc(float kr, float kb, const float ycc[3], float rgb[3])
{
    float y = ycc[0], b = y + 2 * (1 - kb) * ycc[1], r = y + 2 * (1 - kr) * ycc[2];
    rgb[1] = (y - kr * r - kb * b) / (1 - kr - kb);
    rgb[0] = r;
    rgb[2] = b;
}

/* Keeps its buffers between calls; {0} to begin with. */
typedef struct MieniReducer {
    float *block;
    size_t cap;
} MieniReducer;

/* The frame at w×h, no larger than the frame: each pixel the mean of the area it covers, interleaved RGB 0..1 (gray: three times the same).
 * Allocates only when something is larger than before; MIEN_ERR(ENOMEM) is the only error. */
int mieni_planes_reduce(MieniReducer *r, MienExec exec, const MienPlanes *planes, int w, int h, float *rgb);
void mieni_reducer_uninit(MieniReducer *r);

#endif
