/* face_int.h — what the files of core/face share: the engine and its networks. */
#ifndef MIEN_FACE_INT_H
#define MIEN_FACE_INT_H

#include "face/nms.h"
#include "image/sample.h"
#include "mien/face.h"
#include "mien/net.h"

#define MIENI_DETECT_LEVELS 4
#define MIENI_DETECT_MAX 2048   /* candidates kept in one call */
#define MIENI_REDUCED_PX 640
#define MIENI_DETECT_NETS 6 /* sessions kept; the one unused for longest makes room */

/* One session of the detector. */
typedef struct MieniDetectNet {
    int w_px, h_px;
    uint64_t used; /* engine's clock, for eviction */
    MienNet *net;
    MieniDetection *found; /* room for every prior */
    int max_found;
} MieniDetectNet;

/* A network that runs on one face. */
typedef struct MieniFaceNet {
    MienModel *model;
    MienNet *net;
    MieniInput input;
    int w_px, h_px;
} MieniFaceNet;

typedef enum MieniTemplate { MIENI_TEMPLATE_ARCFACE112, MIENI_TEMPLATE_DLIB150 } MieniTemplate;

struct MienFaceEngine {
    MienExec exec;
    MienLog log;
    MienModel *detector;
    MieniInput detector_input;
    MieniDetectNet detect_net[MIENI_DETECT_NETS];
    uint64_t clock;
    MieniResizer resizer;
    MieniDetection *found; /* of one call, and of one pass over several tiles */
    MieniDetection *tiled;
    uint8_t *reduced; /* the picture made small, for turned passes; MIENI_REDUCED_PX on its long side */
    float *reduced_f32;

    MieniFaceNet landmarks, encoder, liveness; /* model is NULL when not wanted */
    MieniTemplate encoder_template;
    int encoder_dim;
    float verify_sim_cos, identify_sim_cos;
    float luma[112 * 112]; /* aligned luma of one face, for quality */

    double ms[4]; /* sums: detect, landmarks, align, encode */
    uint64_t calls[4];
};

enum { MIENI_TIME_DETECT, MIENI_TIME_LANDMARKS, MIENI_TIME_ALIGN, MIENI_TIME_ENCODE };
double mieni_now_ms(void);
void mieni_time_add(MienFaceEngine *engine, int what, double since_ms, int n_calls);

/* Priors of the detector: number for an input size, and the box (centre and size, as shares of the input) of prior i of a
 * level. Source: MODELS of the project, the RFB-320 topology. */
int mieni_prior_count(int w_px, int h_px, int level);
void mieni_prior(int w_px, int h_px, int level, int i, float prior[4]);
/* Raw locations and a prior to a box in input pixels. */
MienBox mieni_prior_decode(const float prior[4], const float loc[4], int w_px, int h_px);

void mieni_detect_uninit(MienFaceEngine *engine); /* closes the sessions */

/* A search beyond the plain pass for video, when that found nothing: turn_deg 0 looks for faces larger than the frame, others for faces
 * turned by that much. One run at 320x240. */
int mieni_face_detect_rescue(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, float turn_deg,
                             MienFace *faces, int max_faces);
/* A second look at a find: 1 if it is seen again, alone in the middle of a canvas, at two sizes; 0, or an error. Patterns that resemble
 * a face at one scale and place by chance do not stand that; faces do. Two runs at 320x240. */
int mieni_face_stands(MienFaceEngine *engine, const MienImage *img, const MienFace *face);
/* A closer look where a face must be: 1 and *face, 0 or an error. One run at 320x240. */
int mieni_face_detect_near(MienFaceEngine *engine, const MienImage *img, MienBox box, MienFace *face);
/* The scale at which the smallest wanted faces are seen, in tiles of 320x240: their number (0: the plain pass sees them), and
 * the faces of one of them. */
int mieni_face_fine_tiles(const MienImage *img, const MienDetectParams *params);
int mieni_face_detect_tile(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, int i_tile,
                           MienFace *faces, int max_faces);
/* Finds the face again that fills `face` (with landmarks) in a picture turned upright; 0 and face's landmarks are improved,
 * or MIEN_E_NOFACE and nothing changes. */
int mieni_face_redetect_upright(MienFaceEngine *engine, const MienImage *img, float roll_deg, MienFace *face);

/* The landmark network on a box turned by tilt_deg; writes landmark_px and point_px. */
int mieni_landmarks_run(MienFaceEngine *engine, const MienImage *img, MienBox box, float tilt_deg, MienFace *face);
void mieni_five_points(const MienPoint landmark[68], MienPoint point[5]);
float mieni_roll_deg(const MienPoint point[5]);

/* The 5 points of a template in continuous coordinates, and its size. */
const MienPoint *mieni_template_points(MieniTemplate t, int *size_px);
/* The map from an aligned chip to the picture (mieni_image_warp's m) for five points; MIEN_ERR(EINVAL) as mien_face_similarity. */
int mieni_align_map(const MienPoint point[5], MieniTemplate t, float m[6]);

#endif
