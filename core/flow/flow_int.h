/* flow_int.h — what the files of core/flow share: pyramid levels with a replicated border, and the two steps of a level. */
#ifndef MIEN_FLOW_INT_H
#define MIEN_FLOW_INT_H

#include "mien/flow.h"

#define MIENI_FLOW_MAX_LEVELS 12
#define MIENI_FLOW_PATCH_PX 8
#define MIENI_FLOW_STRIDE_PX 4
#define MIENI_FLOW_BORDER_PX 16 /* pixels replicated round each level: patches may reach that far outside */

/* One level of one frame: the pixel (0,0) is at data[0]; rows and columns −BORDER … size+BORDER−1 may be read. */
typedef struct MieniLevel {
    int w, h;
    ptrdiff_t stride; /* elements */
    float *data;
} MieniLevel;

struct MienFlowFrame {
    MienFlowParams p;
    int n_levels;
    MieniLevel level[MIENI_FLOW_MAX_LEVELS];
    float *block;
};

/* Patches of a level: their top-left corners step by STRIDE, the last ones end at the picture's edge. */
typedef struct MieniGrid {
    int nx, ny;
} MieniGrid;

struct MienFlow {
    MienFlowParams p;
    int n_levels;
    int w[MIENI_FLOW_MAX_LEVELS], h[MIENI_FLOW_MAX_LEVELS];
    float *block;
    size_t block_bytes;
    float *uv, *uv_coarse; /* dense flow of this level and of the one before */
    float *patch_uv;
    float *refine; /* MIENI_REFINE_PLANES planes */
};

#define MIENI_REFINE_PLANES 14

static inline int mieni_clampi(int v, int lo, int hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

static inline float mieni_clampf(float v, float lo, float hi)
{
    return v < lo ? lo : v > hi ? hi : v;
}

int mieni_flow_plan(const MienFlowParams *p, int *w, int *h); /* number of levels; w and h of each */
int mieni_flow_params_check(const MienFlowParams *p);
MieniGrid mieni_flow_grid(int w, int h);
static inline int mieni_flow_patch_at(int i, int n, int size)
{
    int last = size > MIENI_FLOW_PATCH_PX ? size - MIENI_FLOW_PATCH_PX : 0;
    return i == n - 1 ? last : i * MIENI_FLOW_STRIDE_PX;
}

/* Inverse search from uv_init (dense, this level's pixels) into patch_uv, then densified into uv. */
void mieni_flow_search(MienFlow *f, const MieniLevel *a, const MieniLevel *b, const float *uv_init, float *uv);
/* Variational refinement of uv in place. */
void mieni_flow_refine(MienFlow *f, const MieniLevel *a, const MieniLevel *b, float *uv);

#endif
