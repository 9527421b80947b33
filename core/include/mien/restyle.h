/* mien/restyle.h — video in a style, without flicker: frames in, the same frames repainted.
 *
 * Each frame is reduced to a working size, and a stylised picture of it is found by minimising the style loss (mien/style.h;
 * Gatys, Ecker, Bethge 2016). What makes a film of the pictures follows Ruder, Dosovitskiy, Brox 2016 (sections 4 and 5):
 *
 *  - the search starts from the last result, moved by the optical flow between the frames (mien/flow.h); where the flow shows
 *    something new, from the frame itself in the colours of the last result;
 *  - the loss has a temporal term, the squared difference to earlier results moved by the flow, weighted by the flow's certainty. Beside
 *    the last frame those 2 and 4 back may serve; each stands in only where the nearer ones know nothing;
 *  - what stands still is not moved at all, so that it is not blurred by being sampled a thousand times;
 *  - a scene cut forgets the past and takes more iterations.
 *
 * The result is brought to the frame's own size with the frame's luma as guide (core/style/upsample.c). Samples keep their format; the frame's
 * alpha, and its chroma if that is wished, are never touched.
 */
#ifndef MIEN_RESTYLE_H
#define MIEN_RESTYLE_H

#include "mien/common.h"
#include "mien/exec.h"
#include "mien/log.h"
#include "mien/planes.h"
#include "mien/style.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where a frame's search starts. */
typedef enum MienRestyleInit {
    MIEN_RESTYLE_INIT_PREVIOUS, /* the last result, moved; the frame itself after a cut */
    MIEN_RESTYLE_INIT_CONTENT,  /* the frame itself, always */
    MIEN_RESTYLE_INIT_NOISE,    /* fixed noise by seed after a cut, then the last result */
} MienRestyleInit;

/* What may change from frame to frame without losing the past. */
typedef struct MienRestyleControls {
    int iterations;     /* a frame, 1..1000 */
    int cut_iterations; /* after a cut, at full working size; twice as many at each coarser one, where they cost a quarter. 1..1000 */
    double budget_ms;   /* wall-clock time of a frame; 0: none. With one, iterations are as many as fit */
    double temporal;    /* weight of the temporal term, >= 0 */
    int n_refs;         /* 1: the last frame; 2: and that 2 back; 3: and that 4 back */
    int with_flow;      /* 0: no optical flow; the past counts where the frame did not change */
    int keep_chroma;    /* the frame's own colours: luma alone is repainted */
    MienRestyleInit init;
} MienRestyleControls;

#define MIEN_RESTYLE_CONTROLS_DEFAULTS { .iterations = 8, .cut_iterations = 32, .temporal = 300, .n_refs = 1, .with_flow = 1 }

typedef struct MienRestyleParams {
    MienExec exec; /* kept */
    MienLog log;   /* kept */
    MienModel *model; /* feature network; a reference is taken */
    /* The style; copied, but the Gram matrices stay borrowed until mien_restyle_set_style or destroy. A frame is worked on with the scale
     * whose picture is nearest to the working size, so that strokes have their own size. */
    MienStyleScales style;
    MienStyleParams session; /* weights, optimiser, content layer, memory; its size, exec and log are not read */
    int size_px;   /* longest side of the working picture, 64..4096; never more than the frame's. 0: the default, less if budget_ms asks for it */
    uint64_t seed; /* of the noise */
    MienRestyleControls controls;
} MienRestyleParams;

#define MIEN_RESTYLE_DEFAULTS { .session = MIEN_STYLE_DEFAULTS, .controls = MIEN_RESTYLE_CONTROLS_DEFAULTS }

/* What a frame took and gave. */
typedef struct MienRestyleInfo {
    MienStyleLoss loss; /* of the last iteration */
    double ewarp;    /* mean squared difference (RGB 0..1) between this result and the last one moved by the frames' own flow, over
                      * pixels whose flow is certain (Lai et al. 2018, "Learning blind video temporal consistency"); NAN after a cut */
    int iterations;
    int cut;         /* the past was forgotten: a cut, the first frame, a reset */
    double ms;       /* the whole call */
    int w_px, h_px;  /* working size */
} MienRestyleInfo;

/* Sums over all frames so far. Means are over frames that have the number. */
typedef struct MienRestyleStats {
    uint64_t frames, cuts, iterations;
    double ms, loss, content, style, ewarp; /* means */
} MienRestyleStats;

typedef struct MienRestyle MienRestyle;

/* Errors: EINVAL (params), ENOMEM, and those of mien_style_create, which is tried here at a small size, so that a layer that the
 * network does not have is told before the first frame. */
int mien_restyle_create(MienRestyle **restyle, const MienRestyleParams *params);
void mien_restyle_destroy(MienRestyle **restyle);

/* Repaints one frame in place. mask NULL: all of it. A frame of another size begins anew. All memory is taken for the first frame
 * of a size. Threads: one at a time. Errors: EINVAL (planes), ENOMEM,
 * those of mien_style_step; the frame is then as it was. */
int mien_restyle_frame(MienRestyle *restyle, MienPlanes *frame, const MienMask *mask, MienRestyleInfo *info);

/* Forgets the past: the next frame is treated as after a cut. */
void mien_restyle_reset(MienRestyle *restyle);

/* These take effect with the next frame and keep the past: a style that changes slowly changes the film slowly. After an error nothing has
 * changed. EINVAL: out of range; MIEN_E_MISMATCH: the other style has other layers. */
int mien_restyle_set_controls(MienRestyle *restyle, const MienRestyleControls *controls);
int mien_restyle_set_weights(MienRestyle *restyle, const MienStyleWeights *weights);
int mien_restyle_set_style(MienRestyle *restyle, const MienStyleScales *style);

void mien_restyle_stats(const MienRestyle *restyle, MienRestyleStats *stats);

#ifdef __cplusplus
}
#endif
#endif
