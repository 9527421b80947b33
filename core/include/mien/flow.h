/* mien/flow.h — dense optical flow, warping, and where the flow can be trusted.
 *
 * Method: dense inverse search (Kroeger, Timofte, Dai, Van Gool 2016) on a pyramid, then variational refinement of each level
 * with brightness and gradient constancy and a robust smoothness term (Brox, Bruhn, Papenberg, Weickert 2004). Inverse search
 * is an order of magnitude cheaper than a variational method alone at like quality, its cost doesn't depend on the
 * content, and all of it splits into independent rows.
 *
 * A flow field from frame A to frame B is h×w pairs (u, v) of f32 in pixels: what is at (x, y) in A is at (x + u, y + v) in B.
 * To bring a picture that belongs to B into A's geometry, sample it there: mien_flow_warp.
 */
#ifndef MIEN_FLOW_H
#define MIEN_FLOW_H

#include "mien/common.h"
#include "mien/exec.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MienFlowParams {
    MienExec exec; /* kept */
    MienLog log;   /* kept */
    int w_px, h_px;      /* 1..16384 each */
    int finest_level;    /* 0: estimate down to full resolution; 1: half, enlarged; … */
    int search_iterations; /* per patch and level, 1..100 */
    int refine_iterations; /* outer iterations of the refinement, 0..50; 0: none */
    float smoothness;    /* weight of the smoothness term */
} MienFlowParams;

#define MIEN_FLOW_DEFAULTS { .finest_level = 1, .search_iterations = 12, .refine_iterations = 5, .smoothness = 20.0f }

/* A frame's pyramid, made once and used for every flow from or to it. All memory is taken at create. */
typedef struct MienFlowFrame MienFlowFrame;
int mien_flow_frame_create(MienFlowFrame **frame, const MienFlowParams *params);
void mien_flow_frame_destroy(MienFlowFrame **frame);
/* luma: h×w f32, 0..255; copied. */
void mien_flow_frame_fill(MienFlowFrame *frame, const float *luma, ptrdiff_t stride_elems);

typedef struct MienFlow MienFlow;
/* Errors: MIEN_ERR(EINVAL), MIEN_ERR(ENOMEM). Running allocates nothing. */
int mien_flow_create(MienFlow **flow, const MienFlowParams *params);
void mien_flow_destroy(MienFlow **flow);
size_t mien_flow_memory_bytes(const MienFlow *flow);

/* Flow from a to b into uv (h·w·2). Both frames have this flow's size. The same bits for any number of threads. */
void mien_flow_estimate(MienFlow *flow, const MienFlowFrame *a, const MienFlowFrame *b, float *uv);

/* dst(x, y) = src(x + u, y + v), bilinear, clamped at the edges; c interleaved channels; dst and src don't overlap. */
void mien_flow_warp(MienExec exec, const float *src, int w_px, int h_px, int c, const float *uv, float *dst);

/* Certainty 0..1 of the flow a→b, per pixel: 0 where the forward and the backward flow disagree (occlusion), at motion boundaries, and
 * where the flow leaves the picture. Bounds on squared lengths: |ab + ba∘ab|² ≤ 0.01 (|ab|² + |ba∘ab|²) + 0.5 is trusted, falling
 * to 0 at twice that; |∇u|² + |∇v|² > 0.01 |ab|² + 0.02 is a boundary. Sources: Sundaram, Brox, Keutzer 2010; Ruder, Dosovitskiy,
 * Brox 2016 (their boundary bound of 0.002 is for flows at full resolution; ours are smoother and noisier). */
void mien_flow_certainty(MienExec exec, const float *uv_ab, const float *uv_ba, int w_px, int h_px, float *certainty);

#ifdef __cplusplus
}
#endif
#endif
