/* plane.h — did these points, or this texture, move as a plane does?
 *
 * A picture of a face is a plane (or a sheet that is bent a little): whatever its motion, one homography explains it. A living head has relief,
 * lids and lips, and leaves a rest.
 */
#ifndef MIEN_FACE_PLANE_H
#define MIEN_FACE_PLANE_H

#include "mien/image.h"

#define MIENI_CHIP_PX 64 /* side of an aligned face */

/* A point that moved, and how well it is known: the inverse covariance [xx xy; xy yy] of `to`, per pixel². */
typedef struct MieniMoved {
    MienPoint from, to;
    float xx, xy, yy;
} MieniMoved;

/* The homography x' = (h0 x + h1 y + h2) / (h6 x + h7 y + 1), y' = (h3 x + h4 y + h5) / (the same) that explains the motion best (least
 * squares of the algebraic error in normalised coordinates; Hartley & Zisserman, Multiple View Geometry, 4.1). Returns how badly it does: the
 * mean of the squared distances between mapped and given points, each weighed by its inverse covariance, per degree of freedom (2n − 8);
 * about 1 if the points moved as a plane and the covariances are right, NaN for fewer than 8 points or points in line. h may be NULL. */
float mieni_plane_fit(const MieniMoved *p, int n, float h[8]);

/* Where the texture of one chip lies in another: patches on a grid are searched for up to search_px (0..3) away and then followed to a fraction of a pixel
 * (Lucas & Kanade 1981), there and back again; those that do not come back or have no texture are left out. The covariance follows from the
 * patch's gradients and from how much it differs where it was found. Writes up to MIENI_PATCHES, returns their number. */
#define MIENI_PATCHES 45
int mieni_patch_motion(const float *chip0, const float *chip1, int search_px, MieniMoved moved[MIENI_PATCHES]);

/* What no plane explains of the motion between two chips: the second is laid on the first by the best homography, what is left of the
 * motion is measured there (patches that a plane's motion has sheared or scaled would be misjudged otherwise), and its misfit returned. *n: the
 * patches that could be followed. NaN with too few of them. */
float mieni_plane_rest(const float *chip0, const float *chip1, int *n);

#endif
