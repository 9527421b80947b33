/* mien/image.h — views of pictures in memory. */
#ifndef MIEN_IMAGE_H
#define MIEN_IMAGE_H

#include "mien/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MienPixel {
    MIEN_PIXEL_RGB8,  /* 3 bytes a pixel, R first */
    MIEN_PIXEL_GRAY8, /* 1 byte a pixel, full range; read as R = G = B */
} MienPixel;

/* A borrowed view; it owns nothing. 1 <= w_px, h_px <= MIEN_IMAGE_MAX_PX. stride_bytes may be negative. */
typedef struct MienImage {
    const uint8_t *data; /* top-left pixel */
    ptrdiff_t stride_bytes;
    int w_px, h_px;
    MienPixel pixel;
} MienImage;

#define MIEN_IMAGE_MAX_PX 32768

/* x0 <= x < x1, y0 <= y < y1; may reach outside the picture. */
typedef struct MienBox {
    float x0_px, y0_px, x1_px, y1_px;
} MienBox;

typedef struct MienPoint {
    float x_px, y_px;
} MienPoint;

/* Intersection over union, 0..1; 0 if either is empty or not finite. */
float mien_box_iou(MienBox a, MienBox b);

/* 0 or MIEN_ERR(EINVAL): data set, sizes in range, stride long enough. */
int mien_image_check(const MienImage *img);

#ifdef __cplusplus
}
#endif
#endif
