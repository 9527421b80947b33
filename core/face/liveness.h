/* liveness.h — the evidence of one track: what each look adds, what the checks make of it (mien/liveness.h). No networks here. */
#ifndef MIEN_FACE_LIVENESS_H
#define MIEN_FACE_LIVENESS_H

#include <stdint.h>

#include "face/plane.h"
#include "mien/face.h"
#include "mien/liveness.h"

#define MIENI_LIVE_RING 32
#define MIENI_LIVE_KEYS 4
#define MIENI_GRAIN_PX 64 /* a piece of the face, pixel by pixel */
#define MIENI_SCENE_PX 48 /* the face and as much again on each side of it, aligned as the chip is */

/* One look at a face. A glance sees the landmarks alone: eyes close for a tenth of a second, all else takes its time. */
typedef struct MieniLook {
    double time_s;
    MienPoint landmark_px[68];
    float prob_live;    /* of the single-picture network; NaN: was not asked */
    float glow;         /* luma of the face less that of the whole picture, gray levels; NaN: not measured. Glances have it too */
    const float *chip;  /* MIENI_CHIP_PX², luma, aligned; NULL: a glance */
    const float *grain; /* MIENI_GRAIN_PX², luma; NULL: the face is smaller */
    const float *scene; /* MIENI_SCENE_PX², luma */
} MieniLook;

/* The last values of something. */
typedef struct MieniRing {
    float value[MIENI_LIVE_RING];
    int n; /* ever put in */
} MieniRing;

/* An earlier look that later ones are compared with. */
typedef struct MieniKey {
    double time_s;
    MienPoint landmark_px[68];
    float chip[MIENI_CHIP_PX * MIENI_CHIP_PX];
} MieniKey;

/* Where a face is: between the eyes, and how far they are apart. */
typedef struct MieniPlace {
    float x_px, y_px, eyes_px;
} MieniPlace;

/* Faces that hung at a place without moving, of one camera; a ring. A track that begins there goes on where they left off. */
#define MIENI_POSTERS 32
typedef struct MieniPosters {
    struct {
        MieniPlace place;
        double still_s;
    } poster[MIENI_POSTERS];
    int n; /* ever put in */
} MieniPosters;

typedef struct MieniLive {
    int n_looks;
    double first_s, last_s, asked_s; /* asked: the network */
    float frame_prob;
    MieniRing network, relief, shape, grain, flicker;
    MieniKey key[MIENI_LIVE_KEYS];
    int n_keys;
    /* eyes */
    MieniRing opening;
    double closed_since_s; /* NaN: open */
    int n_blinks;
    /* a screen's light */
    MieniRing glow;
    double glow_s, step_s; /* of the last value, and mean time between two */
    /* a frame that moves with the face: mean gradients of the scene across and down, and how far the face went */
    float across[MIENI_SCENE_PX * MIENI_SCENE_PX], down[MIENI_SCENE_PX * MIENI_SCENE_PX];
    float least_x_px, most_x_px, least_y_px, most_y_px;
    /* nothing moves */
    MieniPlace place, anchor; /* smoothed; where it was when it last moved */
    double still_since_s;
} MieniLive;

void mieni_live_start(MieniLive *live);
/* posters: NULL allowed. */
void mieni_live_look(MieniLive *live, const MieniLook *look, MieniPosters *posters);
int mieni_live_wants_look(const MieniLive *live, double time_s); /* 0: a glance will do */
int mieni_live_wants_network(const MieniLive *live, double time_s);
void mieni_live_judge(const MieniLive *live, MienLiveness *result);

/* Landmarks, aligned pieces and, if it is wanted, the network's answer for the face of box_px, as the next look (live.c). Faces too small to
 * tell anything are passed over. */
int mieni_live_observe(MienFaceEngine *engine, const MienImage *img, MienFace *face, double time_s, MieniLive *live, MieniPosters *posters);

/* ---- what the checks are made of, each with a known answer in tests/unit/test_liveness.c */

/* (|p2 − p6| + |p3 − p5|) / (2 |p1 − p4|) of the six points of an eye, the mean of both eyes (Soukupová & Čech 2016). */
float mieni_eye_opening(const MienPoint landmark[68]);

/* How far the strongest line of a MIENI_GRAIN_PX² piece's spectrum stands above its surroundings, log10 of the ratio of powers. Low
 * frequencies and what codecs leave along the axes are left out. */
float mieni_grain_peak(const float *luma);

/* The same of how bright the face is from frame to frame: MIENI_LIVE_RING values at equal steps. A fifth of the frame rate and slower is left out:
 * people move and turn to the light. */
float mieni_flicker_peak(const float *glow);

/* The second strongest of the four sides of a frame round the face: the mean gradient along the best straight line of each side, in gray
 * levels a pixel of the scene. */
float mieni_frame_edge(const float *across, const float *down);

#endif
