/* mien/face.h — from a picture to faces, five points, a quality and an embedding.
 *
 * Steps, each a call: detect (boxes) → landmarks (68 points, from which five) → quality → embed (similarity alignment to
 * the encoder's template, network, L2 normalisation). Networks, pre- and post-processing: docs/models.md.
 */
#ifndef MIEN_FACE_H
#define MIEN_FACE_H

#include "mien/common.h"
#include "mien/exec.h"
#include "mien/image.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_FACE_MAX_DIM 1024

typedef struct MienFaceQuality {
    float eye_dist_px;   /* distance between the eyes' centres */
    float sharpness;     /* variance of the Laplacian of the aligned 8-bit luma; under about 30 is blurred (docs/models.md) */
    float yaw_deg, pitch_deg, roll_deg; /* estimated from the five points; rough */
    float luma_mean;     /* 0..255 over the aligned face */
    float luma_contrast; /* standard deviation of the same */
    float total;         /* 0..1; one number that orders a person's pictures: higher is better */
} MienFaceQuality;

typedef struct MienFace {
    MienBox box_px;
    float prob; /* detector's probability that this is a face, 0..1 */
    float tilt_deg; /* in-plane turn (clockwise as seen) that the detector had to undo to find it; 0 for upright finds */
    int has_landmarks;
    MienPoint landmark_px[68]; /* the usual 68-point order */
    MienPoint point_px[5];     /* left eye, right eye (as seen in the picture), nose tip, left and right corner of the mouth */
    MienFaceQuality quality;   /* valid after mien_face_quality */
} MienFace;

typedef struct MienFaceParams {
    const char *models_dir; /* NULL: environment MIEN_MODELS, then the installed folder */
    const char *encoder;    /* NULL or "mobileface128": the default; "dlib128"; or a path of a model file with role face-encoder */
    MienExec exec;          /* kept */
    MienLog log;            /* kept */
    int with_encoder;       /* 0: detection and landmarks alone; embed then fails */
    int with_liveness;
} MienFaceParams;

#define MIEN_FACE_DEFAULTS { .with_encoder = 1 }

typedef struct MienFaceEngine MienFaceEngine;

/* Loads the networks. A missing folder or file is one line that names it and the remedy. Errors: MIEN_E_MODEL … */
int mien_face_engine_create(MienFaceEngine **engine, const MienFaceParams *params);
void mien_face_engine_destroy(MienFaceEngine **engine);

const char *mien_face_encoder_hash(const MienFaceEngine *engine); /* SHA-256 of the encoder's file; NULL without encoder */
const char *mien_face_encoder_name(const MienFaceEngine *engine);
int mien_face_encoder_dim(const MienFaceEngine *engine);          /* 128 */
/* Published starting thresholds of this encoder as cosine similarity: 1:1 and in a gallery (docs/models.md). */
float mien_face_encoder_verify_sim_cos(const MienFaceEngine *engine);
float mien_face_encoder_identify_sim_cos(const MienFaceEngine *engine);
/* What a similarity says: the logarithm of how many times likelier it is if both are the same person than if they are not
 * (docs/internals/face.md). Measured between about -4 and 11; further out the same line is drawn on. */
float mien_face_encoder_nats(const MienFaceEngine *engine, float sim_cos);

typedef struct MienDetectParams {
    int size_px;       /* long side of the detector's input, 64..4096; 0: chosen from min_face_px and the picture's size */
    int min_face_px;   /* smallest face wanted, in the picture's own pixels (default 20) */
    float min_prob;    /* default 0.7 */
    float max_iou;     /* non-maximum suppression (default 0.3) */
    int thorough;      /* stills: several scales, beyond the frame, and turned by ±30°; what the plain pass found stays as it
                        * is, the others only add. Video leaves this 0 */
} MienDetectParams;

#define MIEN_DETECT_DEFAULTS { .min_face_px = 20, .min_prob = 0.7f, .max_iou = 0.3f }

/* Writes up to max_faces faces, most probable first, boxes clipped to nothing (they may reach outside the picture); returns
 * their number. A 1×1 picture has no faces and is no error. Sessions for a new picture size are planned on first use and kept. */
int mien_face_detect(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, MienFace *faces,
                     int max_faces);

/* Fills landmark_px and point_px from box_px for n faces. */
int mien_face_landmarks(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int n_faces);

/* Fills quality; wants landmarks. */
int mien_face_quality(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int n_faces);

/* Writes n_faces × dim numbers, each row of length 1; wants landmarks. dist_l2² = 2 − 2·sim_cos between rows. */
int mien_face_embed(MienFaceEngine *engine, const MienImage *img, const MienFace *faces, int n_faces, float *embedding);

/* Probability that the face is live, 0..1, from this one picture; wants box_px only. Weak evidence: accumulate. */
int mien_face_liveness(MienFaceEngine *engine, const MienImage *img, const MienFace *faces, int n_faces, float *prob_live);

/* The detection that stills use: detect thoroughly, landmarks and quality for all. Returns the number of faces. */
int mien_face_analyze(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int max_faces);

/* The face nearest the picture's middle, or -1. */
int mien_face_central(const MienImage *img, const MienFace *faces, int n_faces);

/* Least-squares similarity (Umeyama 1991, without reflection) that maps src to dst: x' = a·x − b·y + tx, y' = b·x + a·y + ty;
 * m = {a, b, tx, ty}. MIEN_ERR(EINVAL) if all points coincide or are not finite. */
int mien_face_similarity(const MienPoint *src, const MienPoint *dst, int n, float m[4]);

/* Mean time per call in ms since the engine was created, for reports: detect, landmarks, align, encode; calls counts them. */
typedef struct MienFaceTimes {
    double detect_ms, landmarks_ms, align_ms, encode_ms;
    uint64_t detect_calls, landmarks_calls, align_calls, encode_calls;
} MienFaceTimes;
void mien_face_times(const MienFaceEngine *engine, MienFaceTimes *times);

static inline float mien_sim_cos(const float *a, const float *b, int dim)
{
    float s = 0;
    for (int i = 0; i < dim; i++)
        s += a[i] * b[i];
    return s;
}

#ifdef __cplusplus
}
#endif
#endif
