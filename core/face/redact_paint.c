/* redact_paint.c — covers on the samples of a frame.
 *
 * A region at a time: the share of each of its pixels, then per plane the covered samples from the plane's own ones, mixed by that share. A
 * chroma sample has the largest share of the pixels it stands for, so that colour never sticks out of a cover. Regions are painted one
 * after the other, each over what the last one left: where heads overlap, both covers hold.
 */
#include <math.h>
#include <string.h>

#include "face/redact_int.h"
#include "image/planes.h"
#include "mien/error.h"

#define FILL_LUMA 0.2f
#define MOSAIC_CELLS 7     /* over a head's height: about four over the face */
#define BLUR_PART 8        /* a blur's radius, and about its standard deviation, is a head's height / 8 */
#define BLUR_PASSES 3

typedef struct Rect {
    int x, y, w, h;
} Rect;

typedef struct Job {
    const MienPlanes *planes;
    MienRedactHead head; /* of a region */
    int whole;
    Rect px;             /* within the frame, on the chroma grid */
    float *share;        /* px.w × px.h, of pixels */
    float *value, *work; /* of a plane's samples */
    double *sum;         /* a row's, or a column's, running sums */
} Job;

/* ---- geometry */

/* By how many bits a plane is coarser than the frame; frames too small to tell have one sample, for which it doesn't matter. */
static int coarser(int frame_px, int plane_px)
{
    int shift = 0;
    while (shift < 3 && ((frame_px - 1) >> shift) + 1 > plane_px)
        shift++;
    return shift;
}

static void align(int *first, int *end, int shift, int limit)
{
    const int unit = 1 << shift;
    *first -= *first % unit;
    *end = *end + (unit - *end % unit) % unit;
    *end = *end < limit ? *end : limit;
}

static int clamp_px(float v, int limit)
{
    return v > 0 ? (v < (float)limit ? (int)v : limit) : 0; /* NaN is 0 */
}

static Rect bounds(const Job *j)
{
    const MienPlanes *p = j->planes;
    if (j->whole)
        return (Rect){ 0, 0, p->w_px, p->h_px };
    float rx = j->head.rx_px * MIEN_REDACT_SOFT, ry = j->head.ry_px * MIEN_REDACT_SOFT;
    int x0 = clamp_px(floorf(j->head.cx_px - rx), p->w_px), x1 = clamp_px(ceilf(j->head.cx_px + rx), p->w_px);
    int y0 = clamp_px(floorf(j->head.cy_px - ry), p->h_px), y1 = clamp_px(ceilf(j->head.cy_px + ry), p->h_px);
    for (int i = 1; i < p->n; i++) {
        align(&x0, &x1, coarser(p->w_px, p->plane[i].w_px), p->w_px);
        align(&y0, &y1, coarser(p->h_px, p->plane[i].h_px), p->h_px);
    }
    return (Rect){ x0, y0, x1 - x0, y1 - y0 };
}

static void find_shares(const Job *j)
{
    for (int y = 0; y < j->px.h; y++)
        for (int x = 0; x < j->px.w; x++)
            j->share[(size_t)y * (size_t)j->px.w + (size_t)x] =
                j->whole ? 1 : mien_redact_share(&j->head, (float)(j->px.x + x) + 0.5f, (float)(j->px.y + y) + 0.5f);
}

/* The largest share of the pixels of a plane's samples in row y, all counted from the region's corner. */
static void plane_shares(const Job *j, int y, int w, int sx, int sy, float *row)
{
    const int y_end = (y + 1) << sy < j->px.h ? (y + 1) << sy : j->px.h;
    memset(row, 0, (size_t)w * sizeof(*row));
    for (int py = y << sy; py < y_end; py++)
        for (int px = 0; px < j->px.w; px++)
            row[px >> sx] = fmaxf(row[px >> sx], j->share[(size_t)py * (size_t)j->px.w + (size_t)px]);
}

/* ---- effects, on w × h samples in j->value */

static void fill(const Job *j, int w, int h, float value)
{
    for (size_t i = 0; i < (size_t)w * (size_t)h; i++)
        j->value[i] = value;
}

static void mosaic(const Job *j, int w, int h, int cell_w, int cell_h)
{
    for (int y0 = 0; y0 < h; y0 += cell_h)
        for (int x0 = 0; x0 < w; x0 += cell_w) {
            const int x1 = x0 + cell_w < w ? x0 + cell_w : w, y1 = y0 + cell_h < h ? y0 + cell_h : h;
            double sum = 0;
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    sum += (double)j->value[(size_t)y * (size_t)w + (size_t)x];
            const float mean = (float)(sum / ((double)(x1 - x0) * (y1 - y0)));
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    j->value[(size_t)y * (size_t)w + (size_t)x] = mean;
        }
}

/* n samples `step` apart, each the mean of those no further than radius; at the ends, of those that are there. */
static void box_blur(const float *in, float *out, size_t step, int n, int radius, double *sum)
{
    sum[0] = 0;
    for (int i = 0; i < n; i++)
        sum[i + 1] = sum[i] + (double)in[(size_t)i * step];
    for (int i = 0; i < n; i++) {
        const int a = i - radius > 0 ? i - radius : 0, b = i + radius + 1 < n ? i + radius + 1 : n;
        out[(size_t)i * step] = (float)((sum[b] - sum[a]) / (b - a));
    }
}

static void blur(const Job *j, int w, int h, int radius_x, int radius_y)
{
    for (int pass = 0; pass < BLUR_PASSES; pass++) {
        for (int y = 0; y < h; y++)
            box_blur(j->value + (size_t)y * (size_t)w, j->work + (size_t)y * (size_t)w, 1, w, radius_x, j->sum);
        for (int x = 0; x < w; x++)
            box_blur(j->work + x, j->value + x, (size_t)w, h, radius_y, j->sum);
    }
}

/* ---- a plane of a region */

static int up(int v, int shift)
{
    return ((v - 1) >> shift) + 1;
}

static void paint_plane(const Job *j, int i_plane, MienRedactEffect effect)
{
    const MienPlanes *p = j->planes;
    const MieniScale scale = mieni_plane_scale(p, i_plane);
    MienPlane c = p->plane[i_plane];
    const int sx = coarser(p->w_px, c.w_px), sy = coarser(p->h_px, c.h_px), w = up(j->px.w, sx), h = up(j->px.h, sy);
    /* a plane of the region alone */
    c.data += (ptrdiff_t)(j->px.y >> sy) * c.stride_bytes + (ptrdiff_t)(j->px.x >> sx) * c.step_bytes;
    c.w_px = w;
    c.h_px = h;
    for (int y = 0; y < h; y++)
        mieni_plane_read(&c, scale, y, j->value + (size_t)y * (size_t)w);
    const float head_px = j->whole ? (float)(p->w_px > p->h_px ? p->w_px : p->h_px) : 2 * j->head.ry_px;
    if (effect == MIEN_REDACT_MOSAIC) {
        const int cell = ((int)head_px / MOSAIC_CELLS + 7) / 8 * 8; /* whole chroma samples of every layout */
        mosaic(j, w, h, cell > 8 ? cell >> sx : 8 >> sx, cell > 8 ? cell >> sy : 8 >> sy);
    } else if (effect == MIEN_REDACT_BLUR) {
        const int radius = (int)ceilf(head_px / BLUR_PART);
        blur(j, w, h, up(radius, sx), up(radius, sy));
    } else {
        fill(j, w, h, p->rgb || i_plane == 0 ? FILL_LUMA : 0);
    }
    float *old = j->work, *share = j->work + w;
    for (int y = 0; y < h; y++) {
        float *row = j->value + (size_t)y * (size_t)w;
        plane_shares(j, y, w, sx, sy, share);
        mieni_plane_read(&c, scale, y, old);
        for (int x = 0; x < w; x++)
            if (share[x] < 1)
                row[x] = old[x] + share[x] * (row[x] - old[x]);
        mieni_plane_write(&c, scale, y, row, share);
    }
}

static int paint_region(MieniRedactBuffer *buffer, Job *j, MienRedactEffect effect)
{
    j->px = bounds(j);
    if (j->px.w < 1 || j->px.h < 1)
        return 0;
    /* work holds two rows at least; the sums are doubles */
    const size_t n = (size_t)j->px.w * ((size_t)j->px.h + 1), longer = (size_t)(j->px.w > j->px.h ? j->px.w : j->px.h) + 1;
    const size_t want = 3 * n + 2 * longer + 1;
    if (want > buffer->cap) {
        float *block = mien_realloc_array(buffer->block, want, sizeof(*block));
        if (!block)
            return MIEN_ERR(ENOMEM);
        buffer->block = block;
        buffer->cap = want;
    }
    j->sum = (double *)(void *)buffer->block;
    j->share = buffer->block + 2 * longer;
    j->value = j->share + n;
    j->work = j->value + n;
    find_shares(j);
    for (int i = 0; i < j->planes->n; i++)
        paint_plane(j, i, effect);
    return 0;
}

int mieni_redact_paint(MieniRedactBuffer *buffer, const MienRedactPlan *plan, const MienPlanes *planes, MienRedactEffect effect)
{
    int ret = mien_planes_check(planes);
    if (ret < 0)
        return ret;
    Job job = { .planes = planes, .whole = 1 };
    if (plan->whole)
        return paint_region(buffer, &job, effect);
    job.whole = 0;
    for (int i = 0; i < plan->n_regions && ret >= 0; i++) {
        job.head = mien_redact_head(plan->region[i].face_px);
        ret = paint_region(buffer, &job, effect);
    }
    return ret;
}

void mieni_redact_buffer_uninit(MieniRedactBuffer *buffer)
{
    mien_free(buffer->block);
    memset(buffer, 0, sizeof(*buffer));
}
