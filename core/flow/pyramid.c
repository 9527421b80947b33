/* Pyramids: each level is the 2×2 mean of the one below, with a border of replicated pixels. */
#include <string.h>

#include "flow/flow_int.h"
#include "mien/error.h"

#define MAX_SIDE_PX 16384
#define COARSEST_SIDE_PX 12 /* the shorter side of the coarsest level is at least this, unless the frame is smaller */

int mieni_flow_params_check(const MienFlowParams *p)
{
    if (p->w_px < 1 || p->h_px < 1 || p->w_px > MAX_SIDE_PX || p->h_px > MAX_SIDE_PX || p->finest_level < 0 ||
        p->finest_level > 8 || p->search_iterations < 1 || p->search_iterations > 100 || p->refine_iterations < 0 ||
        p->refine_iterations > 50 || !(p->smoothness > 0))
        return mien_fail(p->log, MIEN_ERR(EINVAL), "optical flow: a parameter is out of range (%dx%d, level %d)", p->w_px,
                         p->h_px, p->finest_level);
    return 0;
}

int mieni_flow_plan(const MienFlowParams *p, int *w, int *h)
{
    int n = 1;
    w[0] = p->w_px;
    h[0] = p->h_px;
    while (n < MIENI_FLOW_MAX_LEVELS) {
        w[n] = (w[n - 1] + 1) / 2;
        h[n] = (h[n - 1] + 1) / 2;
        if ((w[n] < COARSEST_SIDE_PX || h[n] < COARSEST_SIDE_PX) && n > p->finest_level)
            break;
        n++;
    }
    return n;
}

int mien_flow_frame_create(MienFlowFrame **out, const MienFlowParams *params)
{
    *out = NULL;
    int ret = mieni_flow_params_check(params);
    if (ret < 0)
        return ret;
    MienFlowFrame *f = mien_calloc(1, sizeof(*f));
    if (!f)
        return MIEN_ERR(ENOMEM);
    int w[MIENI_FLOW_MAX_LEVELS], h[MIENI_FLOW_MAX_LEVELS];
    f->p = *params;
    f->n_levels = mieni_flow_plan(params, w, h);
    size_t elems = 0, at[MIENI_FLOW_MAX_LEVELS];
    for (int i = 0; i < f->n_levels; i++) {
        MieniLevel *l = &f->level[i];
        l->w = w[i];
        l->h = h[i];
        l->stride = (w[i] + 2 * MIENI_FLOW_BORDER_PX + 15) / 16 * 16;
        at[i] = elems + (size_t)(MIENI_FLOW_BORDER_PX * l->stride + MIENI_FLOW_BORDER_PX);
        elems += (size_t)l->stride * (size_t)(h[i] + 2 * MIENI_FLOW_BORDER_PX);
    }
    if (!(f->block = mien_calloc(elems, sizeof(float)))) {
        mien_free(f);
        return mien_fail(params->log, MIEN_ERR(ENOMEM), "optical flow: out of memory for a %dx%d frame", params->w_px,
                         params->h_px);
    }
    for (int i = 0; i < f->n_levels; i++)
        f->level[i].data = f->block + at[i];
    *out = f;
    return 0;
}

void mien_flow_frame_destroy(MienFlowFrame **pf)
{
    if (!pf || !*pf)
        return;
    mien_free((*pf)->block);
    mien_free(*pf);
    *pf = NULL;
}

static void replicate_border(const MieniLevel *l)
{
    const int b = MIENI_FLOW_BORDER_PX;
    for (int y = 0; y < l->h; y++) {
        float *row = l->data + y * l->stride;
        for (int x = 1; x <= b; x++) {
            row[-x] = row[0];
            row[l->w - 1 + x] = row[l->w - 1];
        }
    }
    const size_t bytes = (size_t)(l->w + 2 * b) * sizeof(float);
    for (int y = 1; y <= b; y++) {
        memcpy(l->data - b - y * l->stride, l->data - b, bytes);
        memcpy(l->data - b + (l->h - 1 + y) * l->stride, l->data - b + (l->h - 1) * l->stride, bytes);
    }
}

static void halve(const MieniLevel *from, const MieniLevel *to)
{
    for (int y = 0; y < to->h; y++) {
        const float *r0 = from->data + 2 * y * from->stride, *r1 = r0 + from->stride; /* the border serves odd sizes */
        float *out = to->data + y * to->stride;
        for (int x = 0; x < to->w; x++)
            out[x] = 0.25f * (r0[2 * x] + r0[2 * x + 1] + r1[2 * x] + r1[2 * x + 1]);
    }
}

void mien_flow_frame_fill(MienFlowFrame *f, const float *luma, ptrdiff_t stride_elems)
{
    const MieniLevel *full = &f->level[0];
    for (int y = 0; y < full->h; y++)
        memcpy(full->data + y * full->stride, luma + y * stride_elems, (size_t)full->w * sizeof(float));
    replicate_border(full);
    for (int i = 1; i < f->n_levels; i++) {
        halve(&f->level[i - 1], &f->level[i]);
        replicate_border(&f->level[i]);
    }
}
