/* Inverse search (Kroeger et al. 2016, sections 2.1 and 2.2): for each patch of frame a the displacement that makes it most like
 * frame b, by Gauss–Newton steps whose Hessian belongs to a and is computed once; patches are compared without their means.
 * Then every pixel takes the mean of the patches over it, weighted by how well each explains that pixel. */
#include <math.h>

#include "flow/flow_int.h"

#define P MIENI_FLOW_PATCH_PX
#define N_PATCH (P * P)
#define STEP_MIN_PX 0.02f
#define DET_MIN 1e-3f

MieniGrid mieni_flow_grid(int w, int h)
{
    MieniGrid g = { 1, 1 };
    if (w > P)
        g.nx = (w - P + MIENI_FLOW_STRIDE_PX - 1) / MIENI_FLOW_STRIDE_PX + 1;
    if (h > P)
        g.ny = (h - P + MIENI_FLOW_STRIDE_PX - 1) / MIENI_FLOW_STRIDE_PX + 1;
    return g;
}

typedef struct Template {
    float v[N_PATCH], gx[N_PATCH], gy[N_PATCH];
    float h11, h12, h22, det; /* Hessian without the means */
    int x, y;
} Template;

static void make_template(Template *t, const MieniLevel *a, int px, int py)
{
    float sx = 0, sy = 0, xx = 0, xy = 0, yy = 0;
    t->x = px;
    t->y = py;
    for (int j = 0; j < P; j++) {
        const float *r = a->data + (py + j) * a->stride + px;
        for (int i = 0; i < P; i++) {
            float gx = 0.5f * (r[i + 1] - r[i - 1]), gy = 0.5f * (r[i + a->stride] - r[i - a->stride]);
            t->v[j * P + i] = r[i];
            t->gx[j * P + i] = gx;
            t->gy[j * P + i] = gy;
            sx += gx;
            sy += gy;
            xx += gx * gx;
            xy += gx * gy;
            yy += gy * gy;
        }
    }
    /* With the means of both patches removed the Hessian is that of gradients without their means. */
    for (int k = 0; k < N_PATCH; k++) {
        t->gx[k] -= sx / N_PATCH;
        t->gy[k] -= sy / N_PATCH;
    }
    t->h11 = xx - sx * sx / N_PATCH + 1e-2f;
    t->h12 = xy - sx * sy / N_PATCH;
    t->h22 = yy - sy * sy / N_PATCH + 1e-2f;
    t->det = t->h11 * t->h22 - t->h12 * t->h12;
}

/* Difference of b's patch at the displacement and the template, without its mean; returns the sum of its squares. */
static float difference(const Template *t, const MieniLevel *b, float u, float v, float *d)
{
    const float lo = -(float)MIENI_FLOW_BORDER_PX;
    float fx = mieni_clampf((float)t->x + u, lo, (float)(b->w + MIENI_FLOW_BORDER_PX - P - 1));
    float fy = mieni_clampf((float)t->y + v, lo, (float)(b->h + MIENI_FLOW_BORDER_PX - P - 1));
    int ix = (int)floorf(fx), iy = (int)floorf(fy);
    /* the sample right of and below the patch's last one must exist */
    ix = mieni_clampi(ix, -MIENI_FLOW_BORDER_PX, b->w + MIENI_FLOW_BORDER_PX - P - 1);
    iy = mieni_clampi(iy, -MIENI_FLOW_BORDER_PX, b->h + MIENI_FLOW_BORDER_PX - P - 1);
    float ax = fx - (float)ix, ay = fy - (float)iy;
    float w00 = (1 - ax) * (1 - ay), w01 = ax * (1 - ay), w10 = (1 - ax) * ay, w11 = ax * ay;
    float sum = 0;
    for (int j = 0; j < P; j++) {
        const float *r0 = b->data + (iy + j) * b->stride + ix, *r1 = r0 + b->stride;
        for (int i = 0; i < P; i++) {
            float s = w00 * r0[i] + w01 * r0[i + 1] + w10 * r1[i] + w11 * r1[i + 1] - t->v[j * P + i];
            d[j * P + i] = s;
            sum += s;
        }
    }
    float mean = sum / N_PATCH, square = 0;
    for (int k = 0; k < N_PATCH; k++) {
        d[k] -= mean;
        square += d[k] * d[k];
    }
    return square;
}

/* Gauss–Newton from the start in uv; leaves the best displacement there. */
static void descend(const Template *t, const MieniLevel *b, int n_iterations, float uv[2])
{
    float d[N_PATCH], u = uv[0], v = uv[1];
    float best = difference(t, b, u, v, d);
    if (t->det < DET_MIN)
        return;
    for (int k = 0; k < n_iterations; k++) {
        float sx = 0, sy = 0;
        for (int i = 0; i < N_PATCH; i++) {
            sx += t->gx[i] * d[i];
            sy += t->gy[i] * d[i];
        }
        float du = (t->h22 * sx - t->h12 * sy) / t->det, dv = (t->h11 * sy - t->h12 * sx) / t->det;
        u -= du;
        v -= dv;
        float square = difference(t, b, u, v, d);
        /* Worse than before, or further than the patch can see: the start was as good as it gets. */
        if (!(square < best) || fabsf(u - uv[0]) > P || fabsf(v - uv[1]) > P)
            break;
        best = square;
        if (du * du + dv * dv < STEP_MIN_PX * STEP_MIN_PX) {
            uv[0] = u;
            uv[1] = v;
            return;
        }
        uv[0] = u;
        uv[1] = v;
    }
}

typedef struct SearchJob {
    const MienFlow *f;
    const MieniLevel *a, *b;
    const float *uv_init;
    float *uv;
    MieniGrid grid;
} SearchJob;

/* Rows of patches. The left neighbour's result is a second start: it carries a good match along an edge. */
static void search_rows(void *arg, int i_job, int n_jobs)
{
    const SearchJob *job = arg;
    const MieniLevel *a = job->a;
    const int end = job->grid.ny * (i_job + 1) / n_jobs;
    for (int gy = job->grid.ny * i_job / n_jobs; gy < end; gy++) {
        int py = mieni_flow_patch_at(gy, job->grid.ny, a->h);
        int cy = mieni_clampi(py + P / 2, 0, a->h - 1);
        float *row = job->f->patch_uv + 2 * (size_t)gy * (size_t)job->grid.nx;
        for (int gx = 0; gx < job->grid.nx; gx++) {
            int px = mieni_flow_patch_at(gx, job->grid.nx, a->w);
            int cx = mieni_clampi(px + P / 2, 0, a->w - 1);
            const float *init = job->uv_init + 2 * ((size_t)cy * (size_t)a->w + (size_t)cx);
            Template t;
            float d[N_PATCH], uv[2] = { init[0], init[1] };
            make_template(&t, a, px, py);
            if (gx > 0) {
                const float *left = row + 2 * (gx - 1);
                if (difference(&t, job->b, left[0], left[1], d) < difference(&t, job->b, uv[0], uv[1], d)) {
                    uv[0] = left[0];
                    uv[1] = left[1];
                }
            }
            descend(&t, job->b, job->f->p.search_iterations, uv);
            row[2 * gx] = uv[0];
            row[2 * gx + 1] = uv[1];
        }
    }
}

static float sample(const MieniLevel *l, float x, float y)
{
    const int b = MIENI_FLOW_BORDER_PX;
    x = mieni_clampf(x, (float)-b, (float)(l->w + b - 2));
    y = mieni_clampf(y, (float)-b, (float)(l->h + b - 2));
    int ix = (int)floorf(x), iy = (int)floorf(y);
    float ax = x - (float)ix, ay = y - (float)iy;
    const float *r0 = l->data + iy * l->stride + ix, *r1 = r0 + l->stride;
    return (1 - ay) * ((1 - ax) * r0[0] + ax * r0[1]) + ay * ((1 - ax) * r1[0] + ax * r1[1]);
}

/* The patches over coordinate c of n along one axis: the first index and one past the last. Regular patches start at
 * multiples of the stride; the last one may start earlier than its multiple. */
static void patches_over(int c, int n, int size, int *first, int *end)
{
    *first = c < P ? 0 : (c - P) / MIENI_FLOW_STRIDE_PX + 1;
    *end = mieni_clampi(c / MIENI_FLOW_STRIDE_PX + 1, 1, n);
    if (c >= mieni_flow_patch_at(n - 1, n, size))
        *end = n;
    if (*first > n - 1)
        *first = n - 1;
}

static void densify_rows(void *arg, int i_job, int n_jobs)
{
    const SearchJob *job = arg;
    const MieniLevel *a = job->a;
    const int end = a->h * (i_job + 1) / n_jobs;
    for (int y = a->h * i_job / n_jobs; y < end; y++) {
        int gy0, gy1;
        patches_over(y, job->grid.ny, a->h, &gy0, &gy1);
        for (int x = 0; x < a->w; x++) {
            int gx0, gx1;
            patches_over(x, job->grid.nx, a->w, &gx0, &gx1);
            float su = 0, sv = 0, sw = 0, here = a->data[y * a->stride + x];
            for (int gy = gy0; gy < gy1; gy++) {
                for (int gx = gx0; gx < gx1; gx++) {
                    const float *uv = job->f->patch_uv + 2 * ((size_t)gy * (size_t)job->grid.nx + (size_t)gx);
                    float miss = fabsf(sample(job->b, (float)x + uv[0], (float)y + uv[1]) - here);
                    float w = 1 / fmaxf(1, miss);
                    su += w * uv[0];
                    sv += w * uv[1];
                    sw += w;
                }
            }
            float *out = job->uv + 2 * ((size_t)y * (size_t)a->w + (size_t)x);
            out[0] = su / sw;
            out[1] = sv / sw;
        }
    }
}

void mieni_flow_search(MienFlow *f, const MieniLevel *a, const MieniLevel *b, const float *uv_init, float *uv)
{
    SearchJob job = { f, a, b, uv_init, uv, mieni_flow_grid(a->w, a->h) };
    int n_jobs = f->p.exec.n_threads > 1 ? 4 * f->p.exec.n_threads : 1;
    mien_exec_run(f->p.exec, search_rows, &job, n_jobs < job.grid.ny ? n_jobs : job.grid.ny);
    mien_exec_run(f->p.exec, densify_rows, &job, n_jobs < a->h ? n_jobs : a->h);
}
