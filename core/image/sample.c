/* sample.c — bilinear and area sampling of 8-bit pictures into f32 tensors. See sample.h for the conventions.
 *
 * The resizer sums rows first, in long runs over contiguous bytes, and then columns from that one row of sums. The warp
 * takes a row of pixels at a time: the run of samples that lie inside the picture goes to a kernel, those at its border, and those of
 * gray pictures, one by one.
 */
#include "image/sample.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "mien/error.h"

/* ---- how a network wants its numbers */

static int parse_numbers(const char *s, int n, float out[3])
{
    int got = 0;
    while (got < 3) {
        char *end;
        float v = strtof(s, &end);
        if (end == s || !isfinite(v))
            return MIEN_E_FORMAT;
        out[got++] = v;
        if (*end == 0)
            break;
        if (*end != ',' || got == 3)
            return MIEN_E_FORMAT;
        s = end + 1;
    }
    if (got == 1) {
        out[1] = out[2] = out[0];
        return 0;
    }
    return got == n ? 0 : MIEN_E_FORMAT;
}

int mieni_input_parse(MieniInput *input, const char *channels, const char *mean, const char *scale)
{
    memset(input, 0, sizeof(*input));
    if (!channels || !mean || !scale)
        return MIEN_E_FORMAT;
    if (!strcmp(channels, "gray"))
        input->n_channels = 1;
    else if (!strcmp(channels, "rgb") || !strcmp(channels, "bgr"))
        input->n_channels = 3;
    else
        return MIEN_E_FORMAT;
    input->bgr = !strcmp(channels, "bgr");
    int ret = parse_numbers(mean, input->n_channels, input->mean);
    return ret < 0 ? ret : parse_numbers(scale, input->n_channels, input->scale);
}

/* Writes one pixel, v in RGB order. */
static inline void put(float *dst, const float v[3], const MieniInput *in)
{
    if (in->n_channels == 1) {
        dst[0] = (0.299f * v[0] + 0.587f * v[1] + 0.114f * v[2] - in->mean[0]) * in->scale[0];
        return;
    }
    dst[0] = (v[in->bgr ? 2 : 0] - in->mean[0]) * in->scale[0];
    dst[1] = (v[1] - in->mean[1]) * in->scale[1];
    dst[2] = (v[in->bgr ? 0 : 2] - in->mean[2]) * in->scale[2];
}

/* ---- warp */

static inline void add_pixel(const MienImage *img, int x, int y, float border, float weight, float v[3])
{
    if (x < 0 || y < 0 || x >= img->w_px || y >= img->h_px) {
        if (border >= 0) {
            for (int c = 0; c < 3; c++)
                v[c] += weight * border;
            return;
        }
        x = x < 0 ? 0 : x >= img->w_px ? img->w_px - 1 : x;
        y = y < 0 ? 0 : y >= img->h_px ? img->h_px - 1 : y;
    }
    const uint8_t *row = img->data + (ptrdiff_t)y * img->stride_bytes;
    if (img->pixel == MIEN_PIXEL_GRAY8) {
        for (int c = 0; c < 3; c++)
            v[c] += weight * row[x];
    } else {
        for (int c = 0; c < 3; c++)
            v[c] += weight * row[3 * x + c];
    }
}

/* Adds weight · the bilinear sample at continuous (x, y). */
static void add_sample(const MienImage *img, float x, float y, float border, float weight, float v[3])
{
    x -= 0.5f;
    y -= 0.5f;
    const float far = 4.0f * MIEN_IMAGE_MAX_PX; /* also keeps NaN and values that no int holds out of the conversion */
    if (!(x > -far && x < far && y > -far && y < far)) {
        for (int c = 0; c < 3; c++)
            v[c] += weight * (border >= 0 ? border : 0);
        return;
    }
    float fx0 = floorf(x), fy0 = floorf(y), fx = x - fx0, fy = y - fy0;
    int ix = (int)fx0, iy = (int)fy0;
    add_pixel(img, ix, iy, border, weight * (1 - fx) * (1 - fy), v);
    add_pixel(img, ix + 1, iy, border, weight * fx * (1 - fy), v);
    add_pixel(img, ix, iy + 1, border, weight * (1 - fx) * fy, v);
    add_pixel(img, ix + 1, iy + 1, border, weight * fx * fy, v);
}

enum { WARP_RUN_PX = 64 }; /* pixels that are summed up at a time */

/* Narrows [*p0, *p1) to those p for which lo <= at + p·step <= hi. */
static void clip_run(float at, float step, float lo, float hi, int *p0, int *p1)
{
    double a = ((double)lo - at) / step, b = ((double)hi - at) / step;
    if (step == 0) {
        if (!(at >= lo && at <= hi))
            *p1 = *p0;
        return;
    }
    double first = fmax(ceil(fmin(a, b)), *p0), end = fmin(floor(fmax(a, b)) + 1, *p1);
    if (!(first < end)) {
        *p1 = *p0;
        return;
    }
    *p0 = (int)first;
    *p1 = (int)end;
}

/* One sample of each of n pixels, at + p·step in continuous coordinates, added to sum[p]. */
static void add_run(const MienImage *img, const float at[2], const float step[2], float border, float weight, int n, float (*sum)[4])
{
    const float safe = 0.02f; /* more than rounding can move a sample */
    int p0 = 0, p1 = img->pixel == MIEN_PIXEL_RGB8 ? n : 0;
    float centre[2] = { at[0] - 0.5f, at[1] - 0.5f };
    clip_run(centre[0], step[0], safe, (float)(img->w_px - 2) - safe, &p0, &p1);
    clip_run(centre[1], step[1], safe, (float)(img->h_px - 1) - safe, &p0, &p1);
    for (int p = 0; p < n; p++) {
        if (p == p0 && p0 < p1) {
            float from[2] = { centre[0] + (float)p * step[0], centre[1] + (float)p * step[1] };
            mieni_kernels(MIEN_CPU_AUTO)->sample_rgb8_f32(sum[p], img->data, img->stride_bytes, from, step, weight, p1 - p0);
            p = p1 - 1;
        } else {
            add_sample(img, at[0] + (float)p * step[0], at[1] + (float)p * step[1], border, weight, sum[p]);
        }
    }
}

void mieni_image_warp(const MienImage *img, const float m[6], float border, int max_samples, const MieniInput *input,
                      float *dst, int w_px, int h_px)
{
    float shrink = fmaxf(hypotf(m[0], m[3]), hypotf(m[1], m[4]));
    int n = shrink < 2 ? 1 : shrink > (float)max_samples ? max_samples : (int)shrink;
    n = n < 1 || !isfinite(shrink) ? 1 : n;
    const float share = 1.0f / (float)(n * n), step[2] = { m[0], m[3] };
    float sum[WARP_RUN_PX][4];
    for (int y = 0; y < h_px; y++)
        for (int x = 0; x < w_px; x += WARP_RUN_PX) {
            int run = w_px - x < WARP_RUN_PX ? w_px - x : WARP_RUN_PX;
            memset(sum, 0, sizeof(sum));
            for (int j = 0; j < n; j++)
                for (int i = 0; i < n; i++) {
                    float px = (float)x + ((float)i + 0.5f) / (float)n, py = (float)y + ((float)j + 0.5f) / (float)n;
                    float at[2] = { m[0] * px + m[1] * py + m[2], m[3] * px + m[4] * py + m[5] };
                    add_run(img, at, step, border, share, run, sum);
                }
            for (int p = 0; p < run; p++, dst += input->n_channels)
                put(dst, sum[p], input);
        }
}

/* ---- resizer */

/* The source pixels and weights of destination pixel i along one axis of n_src pixels. weight has room for step + 2. */
static MieniSpan make_tap(int i, double start, double step, int n_src, float *weight)
{
    MieniSpan tap = { 0, 0, 0 };
    double centre = start + (i + 0.5) * step;
    if (!(centre >= 0 && centre < n_src))
        return tap;
    if (step < 2) {
        double at = centre - 0.5, low = floor(at);
        float f = (float)(at - low);
        tap.first = (int)low;
        if (tap.first < 0 || tap.first >= n_src - 1) { /* the outermost half pixel: the edge pixel alone */
            tap.first = tap.first < 0 ? 0 : n_src - 1;
            tap.n = 1;
            weight[0] = 1;
        } else {
            tap.n = 2;
            weight[0] = 1 - f;
            weight[1] = f;
        }
        return tap;
    }
    double a = fmax(centre - step / 2, 0), b = fmin(centre + step / 2, n_src);
    tap.first = (int)a;
    int last = (int)ceil(b) - 1;
    tap.n = last - tap.first + 1;
    for (int k = 0; k < tap.n; k++)
        weight[k] = (float)((fmin(b, tap.first + k + 1) - fmax(a, tap.first + k)) / (b - a));
    return tap;
}

static int grow(void **p, size_t *cap, size_t want, size_t elem_bytes)
{
    if (want <= *cap)
        return 0;
    void *q = mien_realloc_array(*p, want, elem_bytes);
    if (!q)
        return MIEN_ERR(ENOMEM);
    *p = q;
    *cap = want;
    return 0;
}

typedef struct ResizeJob {
    const MieniResizer *r;
    const MienImage *img;
    const MieniInput *input;
    float pad, *dst;
    int w, h, col0, col1; /* source columns that any destination pixel reads; spans along x count from col0 */
    size_t row_elems;     /* of a job's part of r->row: a row of sums, one more float, and a row of the canvas */
} ResizeJob;

/* Row y of the canvas, from the row of sums. */
static void sum_columns(const ResizeJob *job, const float *row, float *sums, float *dst, const float pad[3])
{
    const MieniSpan *span = job->r->tap;
    const float *weight = job->r->weight;
    int n_ch = job->input->n_channels, gray = job->img->pixel == MIEN_PIXEL_GRAY8;
    if (!gray)
        mieni_kernels(MIEN_CPU_AUTO)->sum_columns_rgb_f32(sums, row, span, weight, job->w);
    for (int x = 0; x < job->w; x++, dst += n_ch) {
        float v = 0;
        for (int k = 0; gray && k < span[x].n; k++)
            v += weight[span[x].weight + (size_t)k] * row[span[x].first + k];
        if (!span[x].n)
            memcpy(dst, pad, sizeof(float) * (size_t)n_ch);
        else
            put(dst, gray ? (float[3]){ v, v, v } : sums + 3 * (ptrdiff_t)x, job->input);
    }
}

static void resize_rows(void *arg, int i_job, int n_jobs)
{
    const ResizeJob *job = arg;
    const MieniSpan *tap_y = job->r->tap + job->w;
    int n_ch = job->input->n_channels, n_src = job->img->pixel == MIEN_PIXEL_RGB8 ? 3 : 1;
    float *row = job->r->row + (size_t)i_job * job->row_elems;
    float pad3[3] = { job->pad, job->pad, job->pad }, pad[3] = { 0 };
    put(pad, pad3, job->input);
    for (int y = (int)((int64_t)job->h * i_job / n_jobs); y < (int)((int64_t)job->h * (i_job + 1) / n_jobs); y++) {
        float *dst = job->dst + (size_t)y * (size_t)job->w * (size_t)n_ch;
        const MieniSpan *t = &tap_y[y];
        if (t->n) {
            const uint8_t *src = job->img->data + t->first * job->img->stride_bytes + (ptrdiff_t)job->col0 * n_src;
            mieni_kernels(MIEN_CPU_AUTO)->sum_rows_u8_f32(row, src, job->img->stride_bytes, job->r->weight + t->weight, t->n,
                                                          (ptrdiff_t)(job->col1 - job->col0) * n_src);
            sum_columns(job, row, row + job->row_elems - 3 * (size_t)job->w, dst, pad);
        }
        for (int x = 0; !t->n && x < job->w; x++)
            memcpy(dst + (size_t)x * (size_t)n_ch, pad, sizeof(float) * (size_t)n_ch);
    }
}

int mieni_resize(MieniResizer *r, MienExec exec, const MienImage *img, MieniView view, float pad, const MieniInput *input,
                 float *dst, int w_px, int h_px)
{
    int n_jobs = exec.n_threads > 1 ? exec.n_threads : 1;
    size_t n_taps = (size_t)w_px + (size_t)h_px;
    size_t per_x = (size_t)fmin(view.step_x, MIEN_IMAGE_MAX_PX) + 3, per_y = (size_t)fmin(view.step_y, MIEN_IMAGE_MAX_PX) + 3;
    if (grow((void **)&r->tap, &r->cap_taps, n_taps, sizeof(*r->tap)) < 0 ||
        grow((void **)&r->weight, &r->cap_weights, (size_t)w_px * per_x + (size_t)h_px * per_y, sizeof(float)) < 0)
        return MIEN_ERR(ENOMEM);
    size_t used = 0;
    int col0 = INT_MAX, col1 = 0;
    for (int i = 0; i < w_px; i++) {
        MieniSpan *t = &r->tap[i];
        *t = make_tap(i, view.x0_px, view.step_x, img->w_px, r->weight + used);
        t->weight = used;
        used += (size_t)t->n;
        if (t->n && t->first < col0)
            col0 = t->first;
        if (t->n && t->first + t->n > col1)
            col1 = t->first + t->n;
    }
    for (int i = 0; i < h_px; i++) {
        MieniSpan *t = &r->tap[w_px + i];
        *t = make_tap(i, view.y0_px, view.step_y, img->h_px, r->weight + used);
        t->weight = used;
        used += (size_t)t->n;
    }
    if (col0 > col1)
        col0 = col1 = 0;
    for (int i = 0; i < w_px; i++)
        r->tap[i].first -= r->tap[i].n ? col0 : 0;
    size_t row_elems = ((size_t)(col1 - col0) + (size_t)w_px) * 3 + 1;
    if (grow((void **)&r->row, &r->cap_row, (size_t)n_jobs * row_elems, sizeof(float)) < 0)
        return MIEN_ERR(ENOMEM);
    ResizeJob job = { r, img, input, pad, dst, w_px, h_px, col0, col1, row_elems };
    mien_exec_run(exec, resize_rows, &job, n_jobs);
    return 0;
}

void mieni_resizer_uninit(MieniResizer *r)
{
    mien_free(r->tap);
    mien_free(r->weight);
    mien_free(r->row);
    memset(r, 0, sizeof(*r));
}
