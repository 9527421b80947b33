/* upsample.c — from the working size to the frame's own, keeping strokes crisp and the frame's detail where the style follows it.
 *
 * For luma and chroma alike, with I the frame's luma, i its reduction and p a stylised channel at the working size:
 *
 *     P = sharp(p↑) + a↑ (I − i↑)
 *
 * ↑ enlarges (Catmull-Rom; Keys 1981). a is the slope of the local linear model p ≈ a i + b, fitted in small windows and averaged: the guided
 * filter at low resolution (He, Sun, Tang 2013; He and Sun 2015). Where the stylised picture follows the frame's edges a is near 1 and they
 * come back at full sharpness; where strokes ignore the frame a is near 0 and its texture stays out. sharp() moves p↑ away from its local
 * mean but never beyond the smallest and largest neighbour at the working size: the ramps that enlarging makes of strokes' edges become
 * steps again, without halos. At factor 1 all of it is the identity.
 */
#include "style/resize.h"
#include "style/upsample.h"

#include <math.h>
#include <string.h>

#include "image/planes.h"
#include "mien/error.h"

#define WINDOW 2 /* radius of the fit's windows */

/* The planes of one channel at the working size. */
enum { P_VALUE, P_SLOPE, P_MEAN, P_LOW, P_HIGH, N_PLANES };

typedef struct MieniUpTap {
    int i;          /* the sample at or before the position, -1..n-1 */
    float f;        /* its distance, 0..1 */
    float cubic[4]; /* weights of i-1 .. i+2 */
} MieniUpTap;

/* Where the samples of a plane lie on the working grid. */
typedef struct Grid {
    int w, h; /* of the plane */
    const MieniUpTap *x, *y;
} Grid;

typedef struct UpJob {
    MienPlanes *frame;
    const MienMask *mask;
    const float *guide, *channel[3]; /* w×h; channel: N_PLANES of them */
    float *rows;
    size_t row_elems, job_elems;
    Grid luma, chroma;
    int w, h, n_channels;
    float sharp;
} UpJob;

/* ---- the small planes */

void mieni_box_mean(const float *src, int w, int h, int r, float *tmp, float *dst)
{
    for (int y = 0; y < h; y++) {
        const float *s = src + (size_t)y * (size_t)w;
        float *t = tmp + (size_t)y * (size_t)w;
        for (int x = 0; x < w; x++) {
            int a = x - r > 0 ? x - r : 0, b = x + r < w ? x + r : w - 1;
            float sum = 0;
            for (int k = a; k <= b; k++)
                sum += s[k];
            t[x] = sum / (float)(b - a + 1);
        }
    }
    for (int y = 0; y < h; y++) {
        int a = y - r > 0 ? y - r : 0, b = y + r < h ? y + r : h - 1;
        float *d = dst + (size_t)y * (size_t)w, unit = 1 / (float)(b - a + 1);
        memset(d, 0, (size_t)w * sizeof(*d));
        for (int k = a; k <= b; k++)
            for (int x = 0; x < w; x++)
                d[x] += unit * tmp[(size_t)k * (size_t)w + (size_t)x];
    }
}

/* Smallest and largest of the 3×3 neighbourhood. */
static void local_range(const float *p, int w, int h, float *low, float *high)
{
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            size_t k = (size_t)y * (size_t)w + (size_t)x;
            float lo = p[k], hi = p[k];
            for (int j = y > 0 ? y - 1 : 0; j <= y + 1 && j < h; j++)
                for (int i = x > 0 ? x - 1 : 0; i <= x + 1 && i < w; i++) {
                    float v = p[(size_t)j * (size_t)w + (size_t)i];
                    lo = v < lo ? v : lo;
                    hi = v > hi ? v : hi;
                }
            low[k] = lo;
            high[k] = hi;
        }
}

typedef struct FitJob {
    float *guide, *channel[3], *scratch;
    int w, h;
} FitJob;

/* One channel's planes from its values. Scratch: 6 planes a job. */
static void fit_channel(void *arg, int i_job, int n_jobs)
{
    const FitJob *j = arg;
    const size_t n = (size_t)j->w * (size_t)j->h;
    const float noise = 4e-4f; /* variance of luma below which there is nothing to follow: (0.02)² */
    (void)n_jobs;
    float *p = j->channel[i_job], *slope = p + n * P_SLOPE, *mean_p = p + n * P_MEAN;
    float *prod = j->scratch + 6 * n * (size_t)i_job, *tmp = prod + n, *mean_i = tmp + n, *mean_ip = mean_i + n,
          *mean_ii = mean_ip + n, *mean = mean_ii + n;
    for (size_t k = 0; k < n; k++)
        prod[k] = j->guide[k] * p[k];
    mieni_box_mean(prod, j->w, j->h, WINDOW, tmp, mean_ip);
    for (size_t k = 0; k < n; k++)
        prod[k] = j->guide[k] * j->guide[k];
    mieni_box_mean(prod, j->w, j->h, WINDOW, tmp, mean_ii);
    mieni_box_mean(j->guide, j->w, j->h, WINDOW, tmp, mean_i);
    mieni_box_mean(p, j->w, j->h, WINDOW, tmp, mean);
    for (size_t k = 0; k < n; k++)
        prod[k] = (mean_ip[k] - mean_i[k] * mean[k]) / (fmaxf(mean_ii[k] - mean_i[k] * mean_i[k], 0) + noise);
    mieni_box_mean(prod, j->w, j->h, WINDOW, tmp, slope);
    /* Luma keeps a quarter of the frame's detail everywhere, or faces far away dissolve; steep slopes would amplify noise. */
    float lo = i_job == 0 ? 0.25f : -0.5f, hi = i_job == 0 ? 1.25f : 0.5f;
    for (size_t k = 0; k < n; k++)
        slope[k] = slope[k] > lo ? (slope[k] < hi ? slope[k] : hi) : lo;
    mieni_box_mean(p, j->w, j->h, 1, tmp, mean_p);
    local_range(p, j->w, j->h, p + n * P_LOW, p + n * P_HIGH);
}

/* ---- enlarging, a row at a time */

static void make_taps(MieniUpTap *tap, int n, int n_small)
{
    for (int x = 0; x < n; x++) {
        double at = (x + 0.5) * n_small / n - 0.5, low = floor(at);
        float f = (float)(at - low);
        tap[x].i = (int)low;
        tap[x].f = f;
        tap[x].cubic[0] = 0.5f * (-f + 2 * f * f - f * f * f);
        tap[x].cubic[1] = 0.5f * (2 - 5 * f * f + 3 * f * f * f);
        tap[x].cubic[2] = 0.5f * (f + 4 * f * f - 3 * f * f * f);
        tap[x].cubic[3] = 0.5f * (-f * f + f * f * f);
    }
}

#define PAD 2 /* columns repeated at either end of a row between the two passes */

static const float *small_row(const UpJob *j, const float *plane, int y)
{
    y = y < 0 ? 0 : y < j->h ? y : j->h - 1;
    return plane + (size_t)y * (size_t)j->w;
}

static void pad_row(float *row, int w)
{
    for (int k = 0; k < PAD; k++) {
        row[k] = row[PAD];
        row[PAD + w + k] = row[PAD + w - 1];
    }
}

static void column_cubic(const UpJob *j, const float *plane, const MieniUpTap *t, float *row)
{
    const float *r0 = small_row(j, plane, t->i - 1), *r1 = small_row(j, plane, t->i), *r2 = small_row(j, plane, t->i + 1),
                *r3 = small_row(j, plane, t->i + 2);
    for (int x = 0; x < j->w; x++)
        row[PAD + x] = t->cubic[0] * r0[x] + t->cubic[1] * r1[x] + t->cubic[2] * r2[x] + t->cubic[3] * r3[x];
    pad_row(row, j->w);
}

static void column_linear(const UpJob *j, const float *plane, const MieniUpTap *t, float *row)
{
    const float *r0 = small_row(j, plane, t->i), *r1 = small_row(j, plane, t->i + 1);
    for (int x = 0; x < j->w; x++)
        row[PAD + x] = r0[x] + t->f * (r1[x] - r0[x]);
    pad_row(row, j->w);
}

static inline float at_cubic(const float *row, const MieniUpTap *t)
{
    const float *r = row + PAD + t->i - 1;
    return t->cubic[0] * r[0] + t->cubic[1] * r[1] + t->cubic[2] * r[2] + t->cubic[3] * r[3];
}

static inline float at_linear(const float *row, const MieniUpTap *t)
{
    const float *r = row + PAD + t->i;
    return r[0] + t->f * (r[1] - r[0]);
}

/* One row of a channel at full size. detail: the frame's luma less its enlarged reduction. */
static void enlarge_row(const UpJob *j, const float *channel, const Grid *g, int y, const float *detail, float *rows, float *out)
{
    const size_t n = (size_t)j->w * (size_t)j->h, row = (size_t)j->w + 2 * PAD;
    const MieniUpTap *t = &g->y[y];
    float *value = rows, *slope = rows + row, *mean = slope + row, *low = mean + row, *high = low + row;
    column_cubic(j, channel, t, value);
    column_linear(j, channel + n * P_SLOPE, t, slope);
    if (j->sharp > 0) {
        column_linear(j, channel + n * P_MEAN, t, mean);
        column_linear(j, channel + n * P_LOW, t, low);
        column_linear(j, channel + n * P_HIGH, t, high);
    }
    for (int x = 0; x < g->w; x++) {
        const MieniUpTap *tx = &g->x[x];
        float v = at_cubic(value, tx);
        if (j->sharp > 0) {
            float lo = at_linear(low, tx), hi = at_linear(high, tx);
            v += j->sharp * (v - at_linear(mean, tx));
            v = v > lo ? (v < hi ? v : hi) : lo;
        }
        out[x] = v + at_linear(slope, tx) * detail[x];
    }
}

static void subtract_guide(const UpJob *j, const Grid *g, int y, float *rows, float *luma)
{
    column_cubic(j, j->guide, &g->y[y], rows);
    for (int x = 0; x < g->w; x++)
        luma[x] -= at_cubic(rows, &g->x[x]);
}

/* cover of a plane's row, or NULL where there is no mask; *none is set if nothing of the row is covered. */
static const float *cover_row(const UpJob *j, const Grid *g, int y, float *cover, int *none)
{
    *none = 0;
    if (!j->mask)
        return NULL;
    double sx = (double)j->frame->w_px / g->w, sy = (double)j->frame->h_px / g->h;
    *none = !(mieni_mask_row(j->mask, (y + 0.5) * sy, 0.5 * sx, sx, g->w, cover) > 0);
    return cover;
}

static void blend(float *out, const float *in, const float *cover, int n)
{
    if (cover)
        for (int x = 0; x < n; x++)
            out[x] = in[x] + cover[x] * (out[x] - in[x]);
}

/* The frame's luma averaged over the samples of chroma row y. */
static void luma_for_chroma(const UpJob *j, int y, int ssx, int ssy, float *luma, float *sum)
{
    const MienPlane *c = &j->frame->plane[0];
    MieniScale scale = mieni_plane_scale(j->frame, 0);
    memset(sum, 0, (size_t)j->chroma.w * sizeof(*sum));
    int rows = 0;
    for (int k = 0; k < ssy && y * ssy + k < c->h_px; k++, rows++) {
        mieni_plane_read(c, scale, y * ssy + k, luma);
        for (int x = 0; x < j->chroma.w; x++) {
            float s = 0;
            int n = 0;
            for (int i = 0; i < ssx && x * ssx + i < c->w_px; i++, n++)
                s += luma[x * ssx + i];
            sum[x] += n ? s / (float)n : 0;
        }
    }
    if (rows > 1)
        for (int x = 0; x < j->chroma.w; x++)
            sum[x] /= (float)rows;
}

static void chroma_row(const UpJob *j, int y, int ssx, int ssy, float *luma, float *detail, float *out, float *in, float *cover,
                       float *rows)
{
    int none;
    const float *covered = cover_row(j, &j->chroma, y, cover, &none);
    if (none)
        return;
    luma_for_chroma(j, y, ssx, ssy, luma, detail);
    subtract_guide(j, &j->chroma, y, rows, detail);
    for (int c = 1; c < j->n_channels; c++) {
        MienPlane *plane = &j->frame->plane[c];
        MieniScale scale = mieni_plane_scale(j->frame, c);
        enlarge_row(j, j->channel[c], &j->chroma, y, detail, rows, out);
        if (covered) {
            mieni_plane_read(plane, scale, y, in);
            blend(out, in, covered, j->chroma.w);
        }
        mieni_plane_write(plane, scale, y, out, covered);
    }
}

static void luma_row(const UpJob *j, int y, float *in, float *detail, float *out, float *cover, float *rows)
{
    int none;
    const float *covered = cover_row(j, &j->luma, y, cover, &none);
    if (none)
        return;
    MieniScale scale = mieni_plane_scale(j->frame, 0);
    mieni_plane_read(&j->frame->plane[0], scale, y, in);
    memcpy(detail, in, (size_t)j->luma.w * sizeof(*in));
    subtract_guide(j, &j->luma, y, rows, detail);
    enlarge_row(j, j->channel[0], &j->luma, y, detail, rows, out);
    blend(out, in, covered, j->luma.w);
    mieni_plane_write(&j->frame->plane[0], scale, y, out, covered);
}

/* RGB goes through luma and chroma too, so that colours are kept and enlarged by the same rule. in, out: 3 rows each. */
static void rgb_row(const UpJob *j, int y, float *in, float *detail, float *out, float *cover, float *rows)
{
    const MienPlanes *f = j->frame;
    const size_t w = (size_t)f->w_px;
    int none;
    const float *covered = cover_row(j, &j->luma, y, cover, &none);
    if (none)
        return;
    for (int c = 0; c < 3; c++)
        mieni_plane_read(&f->plane[c], mieni_plane_scale(f, c), y, in + w * (size_t)c);
    for (size_t x = 0; x < w; x++)
        detail[x] = f->kr * in[x] + (1 - f->kr - f->kb) * in[w + x] + f->kb * in[2 * w + x];
    if (j->n_channels == 1) /* own colour: luma alone moves all three */
        memcpy(out + w, detail, w * sizeof(*out));
    subtract_guide(j, &j->luma, y, rows, detail);
    enlarge_row(j, j->channel[0], &j->luma, y, detail, rows, out);
    if (j->n_channels == 1) {
        for (size_t x = 0; x < w; x++) {
            float add = out[x] - out[w + x];
            for (size_t c = 0; c < 3; c++)
                out[c * w + x] = in[c * w + x] + add;
        }
    } else {
        enlarge_row(j, j->channel[1], &j->luma, y, detail, rows, out + w);
        enlarge_row(j, j->channel[2], &j->luma, y, detail, rows, out + 2 * w);
        for (size_t x = 0; x < w; x++) {
            float v[3] = { out[x], out[w + x], out[2 * w + x] };
            mieni_rgb_from_ycc(f->kr, f->kb, v, v);
            for (size_t c = 0; c < 3; c++)
                out[c * w + x] = v[c];
        }
    }
    for (int c = 0; c < 3; c++) {
        blend(out + w * (size_t)c, in + w * (size_t)c, covered, f->w_px);
        mieni_plane_write(&f->plane[c], mieni_plane_scale(f, c), y, out + w * (size_t)c, covered);
    }
}

/* A job owns whole strips of luma rows with their chroma, and does chroma first: its guide is the luma not yet overwritten. */
static void enlarge_rows(void *arg, int i_job, int n_jobs)
{
    const UpJob *j = arg;
    const MienPlanes *f = j->frame;
    float *in = j->rows + j->job_elems * (size_t)i_job, *detail = in + 3 * j->row_elems, *out = detail + j->row_elems,
          *cover = out + 3 * j->row_elems, *rows = cover + j->row_elems;
    int has_chroma = f->n == 3 && !f->rgb;
    int hc = has_chroma ? f->plane[1].h_px : f->h_px, wc = has_chroma ? f->plane[1].w_px : f->w_px;
    int ssy = (f->h_px + hc - 1) / hc, ssx = (f->w_px + wc - 1) / wc;
    int c0 = (int)((int64_t)hc * i_job / n_jobs), c1 = (int)((int64_t)hc * (i_job + 1) / n_jobs);
    if (has_chroma && j->n_channels == 3)
        for (int y = c0; y < c1; y++)
            chroma_row(j, y, ssx, ssy, in, detail, out, in, cover, rows);
    int y1 = i_job == n_jobs - 1 ? f->h_px : c1 * ssy;
    for (int y = c0 * ssy; y < y1 && y < f->h_px; y++) {
        if (f->rgb)
            rgb_row(j, y, in, detail, out, cover, rows);
        else
            luma_row(j, y, in, detail, out, cover, rows);
    }
}

int mieni_upsample(MieniUpsampler *u, MienExec exec, MienPlanes *frame, const float *in, const float *out, int w, int h,
                   int keep_chroma, const MienMask *mask)
{
    const size_t n = (size_t)w * (size_t)h;
    const int n_jobs = exec.n_threads > 1 ? exec.n_threads : 1, n_channels = frame->n == 1 || keep_chroma ? 1 : 3;
    int wc = frame->plane[frame->n - 1].w_px, hc = frame->plane[frame->n - 1].h_px;
    size_t row = ((size_t)frame->w_px + 15) / 16 * 16, small = (size_t)w + 2 * PAD;
    size_t per_job = (8 * row + N_PLANES * small + 15) / 16 * 16;
    size_t n_taps = (size_t)frame->w_px + (size_t)frame->h_px + (size_t)wc + (size_t)hc;
    if (mieni_reserve(&u->small, &u->cap_small, n * (size_t)(1 + (N_PLANES + 6) * n_channels), sizeof(float)) < 0 ||
        mieni_reserve(&u->rows, &u->cap_rows, per_job * (size_t)n_jobs, sizeof(float)) < 0 ||
        mieni_reserve(&u->tap, &u->cap_taps, n_taps, sizeof(MieniUpTap)) < 0)
        return MIEN_ERR(ENOMEM);

    FitJob fit = { .guide = u->small, .scratch = u->small + n * (size_t)(1 + N_PLANES * n_channels), .w = w, .h = h };
    for (int c = 0; c < n_channels; c++)
        fit.channel[c] = u->small + n + n * (size_t)(N_PLANES * c);
    for (size_t k = 0; k < n; k++) {
        float a[3], b[3];
        mieni_ycc_from_rgb(frame->kr, frame->kb, in + 3 * k, a);
        mieni_ycc_from_rgb(frame->kr, frame->kb, out + 3 * k, b);
        fit.guide[k] = a[0];
        for (int c = 0; c < n_channels; c++)
            fit.channel[c][k] = b[c];
    }
    mien_exec_run(exec, fit_channel, &fit, n_channels);

    MieniUpTap *tap = u->tap;
    UpJob job = { .frame = frame, .mask = mask, .guide = fit.guide, .rows = u->rows, .row_elems = row, .job_elems = per_job,
                  .w = w, .h = h, .n_channels = n_channels };
    for (int c = 0; c < n_channels; c++)
        job.channel[c] = fit.channel[c];
    job.luma = (Grid){ frame->w_px, frame->h_px, tap, tap + frame->w_px };
    make_taps(tap, frame->w_px, w);
    make_taps(tap + frame->w_px, frame->h_px, h);
    tap += frame->w_px + frame->h_px;
    job.chroma = (Grid){ wc, hc, tap, tap + wc };
    make_taps(tap, wc, w);
    make_taps(tap + wc, hc, h);
    double factor = sqrt((double)frame->w_px * frame->h_px / (double)n);
    job.sharp = (float)fmin(fmax(factor - 1, 0), 2);
    mien_exec_run(exec, enlarge_rows, &job, n_jobs);
    return 0;
}

void mieni_upsampler_uninit(MieniUpsampler *u)
{
    mien_free(u->small);
    mien_free(u->rows);
    mien_free(u->tap);
    memset(u, 0, sizeof(*u));
}

/* ---- masks */

/* The share of a shape at (x, y): 0 outside, then a ramp to 1. */
static float shape_cover(const MienMask *m, MienBox b, double x, double y)
{
    double cx = 0.5 * ((double)b.x0_px + b.x1_px), cy = 0.5 * ((double)b.y0_px + b.y1_px);
    double rx = 0.5 * ((double)b.x1_px - b.x0_px), ry = 0.5 * ((double)b.y1_px - b.y0_px);
    double soft = fmax(0.12 * fmin(rx, ry), 0.5), d;
    if (!(rx > 0 && ry > 0))
        return 0;
    if (m->shape == MIEN_MASK_HEADS) {
        /* a face's box ends at chin and brow; a head is larger, and more so upward */
        rx *= 1.3;
        ry *= 1.45;
        cy -= 0.12 * ry;
        soft *= 2;
        d = (1 - hypot((x - cx) / rx, (y - cy) / ry)) * fmin(rx, ry);
    } else {
        d = fmin(rx - fabs(x - cx), ry - fabs(y - cy));
    }
    double v = d / soft; /* nothing outside the outline */
    return (float)(v > 0 ? (v < 1 ? v : 1) : 0);
}

float mieni_mask_row(const MienMask *m, double y_px, double x0_px, double step_px, int n, float *cover)
{
    float most = 0;
    memset(cover, 0, (size_t)n * sizeof(*cover));
    for (int i = 0; i < m->n_boxes; i++) {
        MienBox b = m->box[i];
        double margin = 1 + 0.5 * ((double)b.x1_px - b.x0_px), up = 1 + ((double)b.y1_px - b.y0_px);
        if (!(y_px > b.y0_px - up && y_px < b.y1_px + up && isfinite(margin)))
            continue;
        double first = (b.x0_px - margin - x0_px) / step_px, last = (b.x1_px + margin - x0_px) / step_px;
        int a = first > 0 ? (first < n ? (int)first : n) : 0, e = last < n ? (last > 0 ? (int)last + 1 : 0) : n;
        for (int x = a; x < e && x < n; x++)
            cover[x] = fmaxf(cover[x], shape_cover(m, b, x0_px + x * step_px, y_px));
    }
    for (int x = 0; x < n; x++) {
        if (m->picture) {
            int px = (int)(x0_px + x * step_px), py = (int)y_px;
            px = px < m->picture->w_px ? px : m->picture->w_px - 1;
            py = py < m->picture->h_px ? py : m->picture->h_px - 1;
            cover[x] = m->picture->data[(ptrdiff_t)py * m->picture->stride_bytes + px] / 255.0f;
        }
        if (m->invert)
            cover[x] = 1 - cover[x];
        most = fmaxf(most, cover[x]);
    }
    return most;
}
