/* Resizing of f32 pictures by cubic convolution (Keys 1981, a = -1/2, Catmull-Rom's kernel). Where a side shrinks the kernel is
 * as wide as the new grid, so that nothing aliases. Columns first, a row of the result at a time: each needs only the rows of
 * the source under its kernel, so the workspace is one row a job. */
#include <math.h>
#include <string.h>

#include "mien/error.h"
#include "mien/style.h"
#include "style/resize.h"

typedef struct Taps {
    int *first;     /* of the source, may lie outside: clamped when read */
    float *weight;  /* n each, they sum to 1 */
    int n;
} Taps;

static double keys(double d)
{
    d = fabs(d);
    return d < 1 ? (1.5 * d - 2.5) * d * d + 1 : d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2 : 0;
}

static int taps_per_sample(int n_src, int n_dst)
{
    const double step = (double)n_src / n_dst;
    return (int)ceil(4 * (step > 1 ? step : 1)) + 1;
}

static void make_taps(Taps *t, int n_src, int n_dst)
{
    const double step = (double)n_src / n_dst, wide = step > 1 ? step : 1;
    t->n = taps_per_sample(n_src, n_dst);
    for (int i = 0; i < n_dst; i++) {
        double at = (i + 0.5) * step - 0.5, sum = 0;
        float *w = t->weight + (size_t)i * (size_t)t->n;
        t->first[i] = (int)ceil(at - 2 * wide);
        for (int k = 0; k < t->n; k++)
            sum += keys((t->first[i] + k - at) / wide);
        for (int k = 0; k < t->n; k++)
            w[k] = (float)(keys((t->first[i] + k - at) / wide) / sum);
    }
}

static int clamp_index(int i, int n)
{
    return i < 0 ? 0 : i < n ? i : n - 1;
}

typedef struct Resize {
    const float *src;
    float *dst, *rows;
    int w, h, c, dst_w, dst_h;
    Taps x, y;
} Resize;

static void resize_row(const Resize *r, int y, float *row)
{
    const size_t n = (size_t)r->w * (size_t)r->c;
    const float *wy = r->y.weight + (size_t)y * (size_t)r->y.n;
    memset(row, 0, n * sizeof(*row));
    for (int k = 0; k < r->y.n; k++) {
        if (wy[k] == 0)
            continue;
        const float *src = r->src + (size_t)clamp_index(r->y.first[y] + k, r->h) * n;
        for (size_t i = 0; i < n; i++)
            row[i] += wy[k] * src[i];
    }
    float *dst = r->dst + (size_t)y * (size_t)r->dst_w * (size_t)r->c;
    for (int x = 0; x < r->dst_w; x++) {
        const float *wx = r->x.weight + (size_t)x * (size_t)r->x.n;
        for (int ch = 0; ch < r->c; ch++) {
            float sum = 0;
            for (int k = 0; k < r->x.n; k++)
                sum += wx[k] * row[clamp_index(r->x.first[x] + k, r->w) * r->c + ch];
            dst[x * r->c + ch] = sum;
        }
    }
}

static void resize_job(void *arg, int i_job, int n_jobs)
{
    const Resize *r = arg;
    float *row = r->rows + (size_t)i_job * (size_t)r->w * (size_t)r->c;
    for (int y = (int)((int64_t)r->dst_h * i_job / n_jobs); y < (int)((int64_t)r->dst_h * (i_job + 1) / n_jobs); y++)
        resize_row(r, y, row);
}

int mieni_reserve(void *p, size_t *cap, size_t want, size_t elem_bytes)
{
    void **pp = p;
    if (want <= *cap)
        return 0;
    mien_free(*pp);
    *cap = 0;
    *pp = mien_malloc_array(want, elem_bytes);
    if (!*pp)
        return MIEN_ERR(ENOMEM);
    *cap = want;
    return 0;
}

int mieni_cubic_resize(MieniCubic *z, MienExec exec, const float *src, int w_px, int h_px, int channels, float *dst, int dst_w_px, int dst_h_px)
{
    const int n_jobs = exec.n_threads > 1 ? exec.n_threads : 1;
    const size_t n_x = (size_t)dst_w_px * (size_t)taps_per_sample(w_px, dst_w_px);
    const size_t n_y = (size_t)dst_h_px * (size_t)taps_per_sample(h_px, dst_h_px);
    Resize r = { .src = src, .dst = dst, .w = w_px, .h = h_px, .c = channels, .dst_w = dst_w_px, .dst_h = dst_h_px };
    if (mieni_reserve(&z->first, &z->cap_first, (size_t)dst_w_px + (size_t)dst_h_px, sizeof(*z->first)) < 0 ||
        mieni_reserve(&z->weight, &z->cap_weight, n_x + n_y, sizeof(*z->weight)) < 0 ||
        mieni_reserve(&z->rows, &z->cap_rows, (size_t)n_jobs * (size_t)w_px * (size_t)channels, sizeof(*z->rows)) < 0)
        return MIEN_ERR(ENOMEM);
    r.x = (Taps){ .first = z->first, .weight = z->weight };
    r.y = (Taps){ .first = z->first + dst_w_px, .weight = z->weight + n_x };
    r.rows = z->rows;
    make_taps(&r.x, w_px, dst_w_px);
    make_taps(&r.y, h_px, dst_h_px);
    mien_exec_run(exec, resize_job, &r, n_jobs);
    return 0;
}

void mieni_cubic_uninit(MieniCubic *z)
{
    mien_free(z->first);
    mien_free(z->weight);
    mien_free(z->rows);
    memset(z, 0, sizeof(*z));
}

int mien_style_resize(MienExec exec, const float *src, int w_px, int h_px, int channels, float *dst, int dst_w_px, int dst_h_px)
{
    MieniCubic z = { 0 };
    int ret = mieni_cubic_resize(&z, exec, src, w_px, h_px, channels, dst, dst_w_px, dst_h_px);
    mieni_cubic_uninit(&z);
    return ret;
}
