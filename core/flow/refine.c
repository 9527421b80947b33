/* Variational refinement (Brox et al. 2004): minimise over a small change (du, dv) of the flow
 *
 *   Σ ψ(δ·(I_z + I_x du + I_y dv)²) + γ·ψ(|∇I_z + H·(du, dv)|²) + α·ψ(|∇(u+du)|² + |∇(v+dv)|²),   ψ(s²) = √(s² + ε²)
 *
 * with the inner non-linearities fixed in turns and the linear system relaxed by red-black SOR, whose half-steps
 * don't depend on the order of rows. */
#include <math.h>

#include "flow/flow_int.h"

#define DELTA 5.0f /* weight of brightness constancy */
#define GAMMA 10.0f /* weight of gradient constancy */
#define EPS2 1e-6f
#define SOR_STEPS 5
#define OMEGA 1.6f

/* Planes of scratch, each w·h. */
enum { IX, IY, IZ, IXX, IXY, IYY, IXZ, IYZ, A11, A12, A22, B1, B2, SMOOTH };
_Static_assert(SMOOTH + 1 == MIENI_REFINE_PLANES, "planes");

typedef struct RefineJob {
    const MienFlow *f;
    const MieniLevel *a, *b;
    float *uv, *duv;
    size_t plane; /* elements */
    int color;
} RefineJob;

static float *plane(const RefineJob *j, int i)
{
    return j->f->refine + (size_t)i * j->plane;
}

static float at(const MieniLevel *l, float x, float y)
{
    const int b = MIENI_FLOW_BORDER_PX;
    x = mieni_clampf(x, (float)-b, (float)(l->w + b - 2));
    y = mieni_clampf(y, (float)-b, (float)(l->h + b - 2));
    int ix = (int)floorf(x), iy = (int)floorf(y);
    float ax = x - (float)ix, ay = y - (float)iy;
    const float *r0 = l->data + iy * l->stride + ix, *r1 = r0 + l->stride;
    return (1 - ay) * ((1 - ax) * r0[0] + ax * r0[1]) + ay * ((1 - ax) * r1[0] + ax * r1[1]);
}

/* Brightness differences and their mean with a, in A11 (warped b) and A12 (mean of both) for the derivatives of the next step. */
static void warp_rows(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const int w = j->a->w, end = j->a->h * (i_job + 1) / n_jobs;
    for (int y = j->a->h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            float va = j->a->data[y * j->a->stride + x];
            float vb = at(j->b, (float)x + j->uv[2 * k], (float)y + j->uv[2 * k + 1]);
            plane(j, IZ)[k] = vb - va;
            plane(j, A12)[k] = 0.5f * (va + vb);
            j->duv[2 * k] = j->duv[2 * k + 1] = 0;
        }
    }
}

static float diff_x(const float *p, int w, int x, size_t k)
{
    return 0.5f * (p[x + 1 < w ? k + 1 : k] - p[x > 0 ? k - 1 : k]);
}

static float diff_y(const float *p, int w, int h, int y, size_t k)
{
    return 0.5f * (p[y + 1 < h ? k + (size_t)w : k] - p[y > 0 ? k - (size_t)w : k]);
}

static void first_derivatives(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const int w = j->a->w, h = j->a->h, end = h * (i_job + 1) / n_jobs;
    for (int y = h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            plane(j, IX)[k] = diff_x(plane(j, A12), w, x, k);
            plane(j, IY)[k] = diff_y(plane(j, A12), w, h, y, k);
            plane(j, IXZ)[k] = diff_x(plane(j, IZ), w, x, k);
            plane(j, IYZ)[k] = diff_y(plane(j, IZ), w, h, y, k);
        }
    }
}

static void second_derivatives(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const int w = j->a->w, h = j->a->h, end = h * (i_job + 1) / n_jobs;
    for (int y = h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            plane(j, IXX)[k] = diff_x(plane(j, IX), w, x, k);
            plane(j, IXY)[k] = diff_y(plane(j, IX), w, h, y, k);
            plane(j, IYY)[k] = diff_y(plane(j, IY), w, h, y, k);
        }
    }
}

/* The 2×2 data system of each pixel with the robust weights of the present (du, dv), and the smoothness weight. */
static void build_system(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const int w = j->a->w, h = j->a->h, end = h * (i_job + 1) / n_jobs;
    const float alpha = j->f->p.smoothness;
    for (int y = h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            float du = j->duv[2 * k], dv = j->duv[2 * k + 1];
            float ix = plane(j, IX)[k], iy = plane(j, IY)[k], iz = plane(j, IZ)[k];
            float ixx = plane(j, IXX)[k], ixy = plane(j, IXY)[k], iyy = plane(j, IYY)[k];
            float ixz = plane(j, IXZ)[k], iyz = plane(j, IYZ)[k];
            /* Divided by the local gradient, so that strong edges don't outweigh all else (Zimmer et al. 2011). */
            float nz = 1 / (ix * ix + iy * iy + 0.01f);
            float nx = 1 / (ixx * ixx + ixy * ixy + 0.01f), ny = 1 / (ixy * ixy + iyy * iyy + 0.01f);
            float rz = iz + ix * du + iy * dv;
            float rx = ixz + ixx * du + ixy * dv, ry = iyz + ixy * du + iyy * dv;
            float wz = DELTA * nz / sqrtf(rz * rz * nz + EPS2);
            float wg = GAMMA / sqrtf(rx * rx * nx + ry * ry * ny + EPS2);
            plane(j, A11)[k] = wz * ix * ix + wg * (ixx * ixx * nx + ixy * ixy * ny);
            plane(j, A12)[k] = wz * ix * iy + wg * (ixx * ixy * nx + ixy * iyy * ny);
            plane(j, A22)[k] = wz * iy * iy + wg * (ixy * ixy * nx + iyy * iyy * ny);
            plane(j, B1)[k] = -wz * ix * iz - wg * (ixx * ixz * nx + ixy * iyz * ny);
            plane(j, B2)[k] = -wz * iy * iz - wg * (ixy * ixz * nx + iyy * iyz * ny);

            size_t r = x + 1 < w ? k + 1 : k, d = y + 1 < h ? k + (size_t)w : k;
            float ux = j->uv[2 * r] + j->duv[2 * r] - j->uv[2 * k] - du;
            float vx = j->uv[2 * r + 1] + j->duv[2 * r + 1] - j->uv[2 * k + 1] - dv;
            float uy = j->uv[2 * d] + j->duv[2 * d] - j->uv[2 * k] - du;
            float vy = j->uv[2 * d + 1] + j->duv[2 * d + 1] - j->uv[2 * k + 1] - dv;
            plane(j, SMOOTH)[k] = alpha * 0.5f / sqrtf(ux * ux + vx * vx + uy * uy + vy * vy + EPS2);
        }
    }
}

static void relax_color(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const int w = j->a->w, h = j->a->h, end = h * (i_job + 1) / n_jobs;
    const float *smooth = plane(j, SMOOTH);
    for (int y = h * i_job / n_jobs; y < end; y++) {
        for (int x = (y + j->color) & 1; x < w; x += 2) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            const size_t next[4] = { k - 1, k + 1, k - (size_t)w, k + (size_t)w };
            const int inside[4] = { x > 0, x + 1 < w, y > 0, y + 1 < h };
            float sw = 0, su = 0, sv = 0;
            for (int i = 0; i < 4; i++) {
                if (!inside[i])
                    continue;
                size_t n = next[i];
                float weight = smooth[k] + smooth[n]; /* the edge's weight: mean of its two ends */
                sw += weight;
                su += weight * (j->uv[2 * n] + j->duv[2 * n] - j->uv[2 * k]);
                sv += weight * (j->uv[2 * n + 1] + j->duv[2 * n + 1] - j->uv[2 * k + 1]);
            }
            float a12 = plane(j, A12)[k], du = j->duv[2 * k], dv = j->duv[2 * k + 1];
            float div1 = plane(j, A11)[k] + sw + 1e-6f, div2 = plane(j, A22)[k] + sw + 1e-6f;
            du += OMEGA * ((plane(j, B1)[k] + su - a12 * dv) / div1 - du);
            dv += OMEGA * ((plane(j, B2)[k] + sv - a12 * du) / div2 - dv);
            j->duv[2 * k] = du;
            j->duv[2 * k + 1] = dv;
        }
    }
}

static void add_change(void *arg, int i_job, int n_jobs)
{
    const RefineJob *j = arg;
    const size_t n = 2 * j->plane, end = n * ((size_t)i_job + 1) / (size_t)n_jobs;
    for (size_t i = n * (size_t)i_job / (size_t)n_jobs; i < end; i++)
        j->uv[i] += j->duv[i];
}

void mieni_flow_refine(MienFlow *f, const MieniLevel *a, const MieniLevel *b, float *uv)
{
    RefineJob job = { .f = f, .a = a, .b = b, .uv = uv, .duv = f->uv_coarse, .plane = (size_t)a->w * (size_t)a->h };
    const MienExec exec = f->p.exec;
    int n_jobs = exec.n_threads > 1 ? exec.n_threads : 1;
    if (n_jobs > a->h)
        n_jobs = a->h;
    mien_exec_run(exec, warp_rows, &job, n_jobs);
    mien_exec_run(exec, first_derivatives, &job, n_jobs);
    mien_exec_run(exec, second_derivatives, &job, n_jobs);
    for (int k = 0; k < f->p.refine_iterations; k++) {
        mien_exec_run(exec, build_system, &job, n_jobs);
        for (int s = 0; s < SOR_STEPS; s++) {
            for (job.color = 0; job.color < 2; job.color++)
                mien_exec_run(exec, relax_color, &job, n_jobs);
        }
    }
    mien_exec_run(exec, add_change, &job, n_jobs);
}
