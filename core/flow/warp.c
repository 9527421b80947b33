/* Warping by a flow, and where a flow can be trusted; see mien/flow.h. */
#include <math.h>

#include "flow/flow_int.h"

typedef struct WarpJob {
    const float *src, *uv, *uv_back;
    float *dst;
    int w, h, c;
} WarpJob;

/* Corner and weights of a bilinear sample at (x, y), clamped to the picture. */
typedef struct Bilinear {
    size_t i00, i01, i10, i11;
    float w00, w01, w10, w11;
} Bilinear;

static Bilinear bilinear(float x, float y, int w, int h)
{
    /* a NaN or a huge vector must not become an index: clamp, written so that NaN goes to 0 */
    x = x > 0 ? (x < (float)(w - 1) ? x : (float)(w - 1)) : 0;
    y = y > 0 ? (y < (float)(h - 1) ? y : (float)(h - 1)) : 0;
    int x0 = (int)x, y0 = (int)y, x1 = x0 + 1 < w ? x0 + 1 : x0, y1 = y0 + 1 < h ? y0 + 1 : y0;
    float ax = x - (float)x0, ay = y - (float)y0;
    size_t r0 = (size_t)y0 * (size_t)w, r1 = (size_t)y1 * (size_t)w;
    return (Bilinear){ r0 + (size_t)x0, r0 + (size_t)x1, r1 + (size_t)x0, r1 + (size_t)x1,
                       (1 - ax) * (1 - ay), ax * (1 - ay), (1 - ax) * ay, ax * ay };
}

static void warp_rows(void *arg, int i_job, int n_jobs)
{
    const WarpJob *j = arg;
    const size_t c = (size_t)j->c;
    const int end = j->h * (i_job + 1) / n_jobs;
    for (int y = j->h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < j->w; x++) {
            size_t k = (size_t)y * (size_t)j->w + (size_t)x;
            Bilinear b = bilinear((float)x + j->uv[2 * k], (float)y + j->uv[2 * k + 1], j->w, j->h);
            const float *s = j->src;
            for (size_t i = 0; i < c; i++)
                j->dst[k * c + i] = b.w00 * s[b.i00 * c + i] + b.w01 * s[b.i01 * c + i] + b.w10 * s[b.i10 * c + i] +
                                    b.w11 * s[b.i11 * c + i];
        }
    }
}

void mien_flow_warp(MienExec exec, const float *src, int w_px, int h_px, int c, const float *uv, float *dst)
{
    WarpJob job = { .src = src, .uv = uv, .dst = dst, .w = w_px, .h = h_px, .c = c };
    mien_exec_run(exec, warp_rows, &job, exec.n_threads > 1 ? exec.n_threads : 1);
}

static float square(float x)
{
    return x * x;
}

static void certainty_rows(void *arg, int i_job, int n_jobs)
{
    const WarpJob *j = arg;
    const int w = j->w, h = j->h, end = h * (i_job + 1) / n_jobs;
    for (int y = h * i_job / n_jobs; y < end; y++) {
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            float u = j->uv[2 * k], v = j->uv[2 * k + 1], tx = (float)x + u, ty = (float)y + v;
            j->dst[k] = 0;
            if (!(tx >= 0 && ty >= 0 && tx <= (float)(w - 1) && ty <= (float)(h - 1)))
                continue;
            size_t r = x + 1 < w ? k + 1 : k, d = y + 1 < h ? k + (size_t)w : k;
            float bend = square(j->uv[2 * r] - u) + square(j->uv[2 * r + 1] - v) + square(j->uv[2 * d] - u) +
                         square(j->uv[2 * d + 1] - v);
            float length = u * u + v * v;
            if (bend > 0.01f * length + 0.02f)
                continue;
            Bilinear b = bilinear(tx, ty, w, h);
            float bu = b.w00 * j->uv_back[2 * b.i00] + b.w01 * j->uv_back[2 * b.i01] + b.w10 * j->uv_back[2 * b.i10] +
                       b.w11 * j->uv_back[2 * b.i11];
            float bv = b.w00 * j->uv_back[2 * b.i00 + 1] + b.w01 * j->uv_back[2 * b.i01 + 1] +
                       b.w10 * j->uv_back[2 * b.i10 + 1] + b.w11 * j->uv_back[2 * b.i11 + 1];
            float miss = square(u + bu) + square(v + bv), bound = 0.01f * (length + bu * bu + bv * bv) + 0.5f;
            j->dst[k] = mieni_clampf(2 - miss / bound, 0, 1);
        }
    }
}

void mien_flow_certainty(MienExec exec, const float *uv_ab, const float *uv_ba, int w_px, int h_px, float *certainty)
{
    WarpJob job = { .uv = uv_ab, .uv_back = uv_ba, .dst = certainty, .w = w_px, .h = h_px };
    mien_exec_run(exec, certainty_rows, &job, exec.n_threads > 1 ? exec.n_threads : 1);
}
