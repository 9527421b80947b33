/* planes.c — samples of video frames as numbers, and a frame's mean colours at a smaller size. See planes.h. */
#include "image/planes.h"

#include <math.h>
#include <string.h>

#include "mien/error.h"

int mien_planes_check(const MienPlanes *p)
{
    if (!p || p->w_px < 1 || p->h_px < 1 || p->w_px > MIEN_PLANES_MAX_PX || p->h_px > MIEN_PLANES_MAX_PX ||
        (p->n != 1 && p->n != 3) || !(p->kr > 0 && p->kb > 0 && p->kr + p->kb < 1))
        return MIEN_ERR(EINVAL);
    for (int i = 0; i < p->n; i++) {
        const MienPlane *c = &p->plane[i];
        if (!c->data || c->bits < 8 || c->bits > 16 || c->shift < 0 || c->bits + c->shift > 16 || c->step_bytes < 1 ||
            c->w_px < 1 || c->h_px < 1 || c->w_px > p->w_px || c->h_px > p->h_px)
            return MIEN_ERR(EINVAL);
        if ((i == 0 || p->rgb) && (c->w_px != p->w_px || c->h_px != p->h_px))
            return MIEN_ERR(EINVAL);
    }
    return 0;
}

MieniScale mieni_plane_scale(const MienPlanes *p, int i)
{
    int bits = p->plane[i].bits, chroma = !p->rgb && i > 0;
    float step = (float)(1 << (bits - 8)), top = (float)((1 << bits) - 1);
    if (p->rgb || p->full_range)
        return (MieniScale){ chroma ? 128 * step : 0, 1 / top };
    return chroma ? (MieniScale){ 128 * step, 1 / (224 * step) } : (MieniScale){ 16 * step, 1 / (219 * step) };
}

static int is_wide(const MienPlane *c)
{
    return c->bits + c->shift > 8;
}

void mieni_plane_read(const MienPlane *c, MieniScale scale, int y, float *row)
{
    const uint8_t *p = c->data + (ptrdiff_t)y * c->stride_bytes;
    const float unit = scale.unit, add = -scale.zero * scale.unit;
    const int w = c->w_px, step = c->step_bytes;
    if (!is_wide(c)) {
        if (step == 1)
            for (int x = 0; x < w; x++)
                row[x] = (float)p[x] * unit + add;
        else
            for (int x = 0; x < w; x++)
                row[x] = (float)p[(ptrdiff_t)x * step] * unit + add;
        return;
    }
    for (int x = 0; x < w; x++) {
        uint16_t v;
        memcpy(&v, p + (ptrdiff_t)x * step, sizeof(v));
        row[x] = (float)(v >> c->shift) * unit + add;
    }
}

void mieni_plane_write(const MienPlane *c, MieniScale scale, int y, const float *row, const float *cover)
{
    uint8_t *p = c->data + (ptrdiff_t)y * c->stride_bytes;
    const float mul = 1 / scale.unit, zero = scale.zero + 0.5f, top = (float)((1 << c->bits) - 1);
    const int wide = is_wide(c);
    for (int x = 0; x < c->w_px; x++) {
        if (cover && !(cover[x] > 0))
            continue;
        float v = row[x] * mul + zero;
        v = v > 0 ? (v < top ? v : top) : 0; /* NaN becomes 0 */
        uint8_t *at = p + (ptrdiff_t)x * c->step_bytes;
        if (wide) {
            uint16_t s = (uint16_t)((unsigned)v << c->shift);
            memcpy(at, &s, sizeof(s));
        } else {
            *at = (uint8_t)((unsigned)v << c->shift);
        }
    }
}

/* ---- mean colours at a smaller size */

typedef struct ReduceJob {
    const MienPlanes *planes;
    float *rgb, *scratch;
    size_t scratch_elems; /* per job */
    int w, h;
} ReduceJob;

/* sum[x] += weight · (mean of row over pixel x's share). */
static void add_reduced(const float *restrict row, int n_src, float weight, float *restrict sum, int w)
{
    if (n_src == w) {
        for (int x = 0; x < w; x++)
            sum[x] += weight * row[x];
        return;
    }
    const double step = (double)n_src / w;
    for (int x = 0; x < w; x++) {
        double a = x * step, b = (x + 1) * step;
        int i = (int)a, last = (int)b;
        if (last >= n_src)
            last = n_src - 1;
        if (i >= n_src)
            i = n_src - 1;
        if (last == i) {
            sum[x] += weight * row[i];
            continue;
        }
        float s = (float)(i + 1 - a) * row[i];
        for (int k = i + 1; k < last; k++)
            s += row[k];
        s += (float)fmin(b - last, 1) * row[last];
        sum[x] += weight * s / (float)step;
    }
}

/* Planes smaller than the working size (chroma) take the pixel under each centre's share: area of a part of one pixel. */
static void reduce_plane_row(const MienPlane *c, MieniScale scale, int y, int w, int h, float *row, float *sum)
{
    const double step = (double)c->h_px / h;
    double a = y * step, b = (y + 1) * step;
    memset(sum, 0, (size_t)w * sizeof(*sum));
    for (int i = (int)a; i < c->h_px && i < b; i++) {
        float share = (float)((fmin(b, i + 1) - fmax(a, i)) / step);
        if (!(share > 1e-6f))
            continue;
        mieni_plane_read(c, scale, i, row);
        add_reduced(row, c->w_px, share, sum, w);
    }
}

static float clamp01(float v)
{
    return v > 0 ? (v < 1 ? v : 1) : 0;
}

static void reduce_rows(void *arg, int i_job, int n_jobs)
{
    const ReduceJob *j = arg;
    const MienPlanes *p = j->planes;
    float *row = j->scratch + j->scratch_elems * (size_t)i_job, *sum = row + p->w_px;
    const size_t w = (size_t)j->w;
    const int end = (int)((int64_t)j->h * (i_job + 1) / n_jobs);
    for (int y = (int)((int64_t)j->h * i_job / n_jobs); y < end; y++) {
        float *out = j->rgb + 3 * w * (size_t)y;
        for (int i = 0; i < p->n; i++)
            reduce_plane_row(&p->plane[i], mieni_plane_scale(p, i), y, j->w, j->h, row, sum + w * (size_t)i);
        for (size_t x = 0; x < w; x++, out += 3) {
            float v[3] = { sum[x], p->n == 3 ? sum[w + x] : sum[x], p->n == 3 ? sum[2 * w + x] : sum[x] };
            if (p->n == 3 && !p->rgb)
                mieni_rgb_from_ycc(p->kr, p->kb, v, v);
            for (int c = 0; c < 3; c++)
                out[c] = clamp01(v[c]);
        }
    }
}

int mieni_planes_reduce(MieniReducer *r, MienExec exec, const MienPlanes *planes, int w, int h, float *rgb)
{
    int n_jobs = exec.n_threads > 1 ? exec.n_threads : 1;
    size_t each = ((size_t)planes->w_px + 3 * (size_t)w + 15) / 16 * 16, want = each * (size_t)n_jobs;
    if (want > r->cap) {
        float *block = mien_realloc_array(r->block, want, sizeof(float));
        if (!block)
            return MIEN_ERR(ENOMEM);
        r->block = block;
        r->cap = want;
    }
    ReduceJob job = { planes, rgb, r->block, each, w, h };
    mien_exec_run(exec, reduce_rows, &job, n_jobs);
    return 0;
}

void mieni_reducer_uninit(MieniReducer *r)
{
    mien_free(r->block);
    memset(r, 0, sizeof(*r));
}
