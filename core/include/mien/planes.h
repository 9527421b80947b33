/* mien/planes.h — frames as decoders make them: planes of samples in YCbCr, RGB or gray, 8 to 16 bits.
 *
 * Whole frames are never turned into f32 RGB: a style is found at a smaller working size and brought back on the frame's own
 * samples, row by row. What a plane is said to be here is enough to read and write any of FFmpeg's formats whose samples
 * lie in whole bytes.
 */
#ifndef MIEN_PLANES_H
#define MIEN_PLANES_H

#include "mien/common.h"
#include "mien/image.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_PLANES_MAX_PX 32768

/* The samples of one component. Sample (x, y) lies at data + y·stride_bytes + x·step_bytes: one byte if bits + shift <= 8, otherwise two in
 * the machine's order; its value is that number >> shift. Packed formats are planes with a step of more than one sample. */
typedef struct MienPlane {
    uint8_t *data;
    ptrdiff_t stride_bytes; /* may be negative */
    int step_bytes;
    int bits;  /* 8..16 */
    int shift; /* bits + shift <= 16; the bits below are written as 0 */
    int w_px, h_px;
} MienPlane;

/* A borrowed view; it owns nothing. */
typedef struct MienPlanes {
    int w_px, h_px;
    int n;          /* 3, or 1: luma alone (gray) */
    int rgb;        /* planes are R, G, B; otherwise Y', Cb, Cr */
    int full_range; /* Y'CbCr and gray: 0..2^bits-1; otherwise 16..235 and 16..240 times 2^(bits-8). RGB is always full */
    float kr, kb;   /* luma = kr R + (1 - kr - kb) G + kb B; also used for RGB */
    MienPlane plane[3]; /* chroma planes may be smaller than the frame */
} MienPlanes;

/* 0 or MIEN_ERR(EINVAL): sizes 1..MIEN_PLANES_MAX_PX, bits in range, data set, kr and kb within 0..1. */
int mien_planes_check(const MienPlanes *planes);

/* Which part of a frame is changed, with soft edges; elsewhere samples keep their bits. */
typedef enum MienMaskShape {
    MIEN_MASK_BOXES, /* the boxes as they are */
    MIEN_MASK_HEADS, /* ellipses round boxes of faces, as large as heads */
} MienMaskShape;

typedef struct MienMask {
    const MienBox *box; /* n_boxes of them, in frame pixels */
    int n_boxes;
    MienMaskShape shape;
    const MienImage *picture; /* or NULL; GRAY8, 255 is changed. Outweighs the boxes; its edge pixels serve beyond it */
    int invert;               /* everything but that */
} MienMask;

#ifdef __cplusplus
}
#endif
#endif
