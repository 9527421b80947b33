/* Optical flow, coarse to fine: each level starts from the one above, doubled, is searched and refined. */
#include <math.h>
#include <string.h>

#include "flow/flow_int.h"
#include "mien/error.h"

int mien_flow_create(MienFlow **out, const MienFlowParams *params)
{
    *out = NULL;
    int ret = mieni_flow_params_check(params);
    if (ret < 0)
        return ret;
    MienFlow *f = mien_calloc(1, sizeof(*f));
    if (!f)
        return MIEN_ERR(ENOMEM);
    f->p = *params;
    f->n_levels = mieni_flow_plan(params, f->w, f->h);
    int w = f->w[params->finest_level], h = f->h[params->finest_level];
    size_t elems = (size_t)w * (size_t)h;
    MieniGrid grid = mieni_flow_grid(w, h);
    size_t patches = (size_t)grid.nx * (size_t)grid.ny;
    f->block_bytes = (4 * elems + 2 * patches + MIENI_REFINE_PLANES * elems) * sizeof(float);
    if (!(f->block = mien_calloc(f->block_bytes, 1))) {
        mien_free(f);
        return mien_fail(params->log, MIEN_ERR(ENOMEM), "optical flow: out of memory for %dx%d", params->w_px, params->h_px);
    }
    f->uv = f->block;
    f->uv_coarse = f->uv + 2 * elems;
    f->patch_uv = f->uv_coarse + 2 * elems;
    f->refine = f->patch_uv + 2 * patches;
    *out = f;
    return 0;
}

void mien_flow_destroy(MienFlow **pf)
{
    if (!pf || !*pf)
        return;
    mien_free((*pf)->block);
    mien_free(*pf);
    *pf = NULL;
}

size_t mien_flow_memory_bytes(const MienFlow *f)
{
    return f->block_bytes + sizeof(*f);
}

typedef struct EnlargeJob {
    const float *from;
    float *to;
    int wf, hf, wt, ht;
    float factor; /* of positions and of the vectors' lengths */
} EnlargeJob;

/* Bilinear between pixel centres. */
static void enlarge_rows(void *arg, int i_job, int n_jobs)
{
    const EnlargeJob *j = arg;
    const int end = j->ht * (i_job + 1) / n_jobs;
    for (int y = j->ht * i_job / n_jobs; y < end; y++) {
        float fy = mieni_clampf(((float)y + 0.5f) / j->factor - 0.5f, 0, (float)(j->hf - 1));
        int y0 = (int)fy, y1 = y0 + 1 < j->hf ? y0 + 1 : y0;
        float ay = fy - (float)y0;
        for (int x = 0; x < j->wt; x++) {
            float fx = mieni_clampf(((float)x + 0.5f) / j->factor - 0.5f, 0, (float)(j->wf - 1));
            int x0 = (int)fx, x1 = x0 + 1 < j->wf ? x0 + 1 : x0;
            float ax = fx - (float)x0;
            const float *r0 = j->from + 2 * (size_t)y0 * (size_t)j->wf, *r1 = j->from + 2 * (size_t)y1 * (size_t)j->wf;
            float *out = j->to + 2 * ((size_t)y * (size_t)j->wt + (size_t)x);
            for (int c = 0; c < 2; c++)
                out[c] = j->factor * ((1 - ay) * ((1 - ax) * r0[2 * x0 + c] + ax * r0[2 * x1 + c]) +
                                      ay * ((1 - ax) * r1[2 * x0 + c] + ax * r1[2 * x1 + c]));
        }
    }
}

static void enlarge(MienExec exec, const float *from, int wf, int hf, float *to, int wt, int ht, float factor)
{
    EnlargeJob job = { from, to, wf, hf, wt, ht, factor };
    mien_exec_run(exec, enlarge_rows, &job, exec.n_threads > 1 ? exec.n_threads : 1);
}

void mien_flow_estimate(MienFlow *f, const MienFlowFrame *a, const MienFlowFrame *b, float *uv)
{
    const int finest = f->p.finest_level;
    int coarsest = f->n_levels - 1;
    memset(f->uv_coarse, 0, 2 * (size_t)f->w[coarsest] * (size_t)f->h[coarsest] * sizeof(float));
    for (int l = coarsest; l >= finest; l--) {
        if (l < coarsest) {
            enlarge(f->p.exec, f->uv, f->w[l + 1], f->h[l + 1], f->uv_coarse, f->w[l], f->h[l], 2);
        }
        mieni_flow_search(f, &a->level[l], &b->level[l], f->uv_coarse, f->uv);
        if (f->p.refine_iterations)
            mieni_flow_refine(f, &a->level[l], &b->level[l], f->uv);
    }
    if (finest == 0)
        memcpy(uv, f->uv, 2 * (size_t)f->w[0] * (size_t)f->h[0] * sizeof(float));
    else
        enlarge(f->p.exec, f->uv, f->w[finest], f->h[finest], uv, f->w[0], f->h[0], (float)(1 << finest));
}
