/* cut.h — scene cuts, by how much a coarse grid of luma changes. */
#ifndef MIEN_IMAGE_CUT_H
#define MIEN_IMAGE_CUT_H

#include "mien/image.h"

#define MIENI_CUT_W 32
#define MIENI_CUT_H 18
typedef struct MieniCut {
    uint8_t cell[MIENI_CUT_W * MIENI_CUT_H]; /* luma of the last frame */
    float usual; /* running mean of the difference between frames */
    float last;  /* the last difference */
    int n;       /* frames seen, up to 2 */
} MieniCut;

/* 1 if this frame, a grid of mean lumas, begins a new scene: the mean difference is large and far beyond what this clip's motion
 * makes and what the last frame made: fast motion is one cut at most. {0} starts; the first frame is no cut. */
int mieni_cut_cells(MieniCut *cut, const uint8_t cell[MIENI_CUT_W * MIENI_CUT_H]);
/* The same from a picture, by 16 samples a cell. */
int mieni_cut(MieniCut *cut, const MienImage *img);

#endif
