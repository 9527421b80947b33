/* track.h — motion of boxes, without networks. */
#ifndef MIEN_FACE_TRACK_H
#define MIEN_FACE_TRACK_H

#include "mien/image.h"

/* Centre, size and their speed, in pixels and pixels per frame. */
typedef struct MieniMotion {
    float cx, cy, w, h;
    float vx, vy, vw, vh;
} MieniMotion;

void mieni_motion_start(MieniMotion *m, MienBox box);
/* How much of a speed is left a frame later, where nothing is looked at for a while: people turn back. Of 0, 0.8, 0.9, 0.95 and 1 this kept
 * boxes nearest to where faces were 2 to 25 frames later (docs/internals/face.md). */
#define MIENI_MOTION_FADE 0.9f

/* One frame on, without a measurement. damp < 1 while nothing was seen, so that a lost face does not fly away. */
void mieni_motion_predict(MieniMotion *m, float damp);
/* A measured box, n_frames after the last one. The box is taken as it is; the speed is smoothed. */
void mieni_motion_update(MieniMotion *m, MienBox box, int n_frames);
MienBox mieni_motion_box(const MieniMotion *m);
/* The box n_frames later without a measurement, the speed fading by `damp` a frame. */
MienBox mieni_motion_ahead(const MieniMotion *m, int n_frames, float damp);
/* Cuts the box to the picture; 0: less than a pixel of it is left. */
int mieni_box_clip(MienBox *box, int w_px, int h_px);

/* Cost of taking a detection for a track's predicted box: 0 same … 1.1; 2: impossible. Overlap first; faces that moved by less than
 * 0.8 of their size may touch no more (fast motion at a large interval). A face does not change its size by more than 1.6 from one
 * detection to the next: a smaller box inside it is a part of it, not the same face. */
float mieni_motion_cost(MienBox predicted, MienBox detected);

#endif
