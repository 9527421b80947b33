/* maxpool, avgpool: a window over each channel, padding never counts. globalavg: the mean of a picture's pixels. */
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

static int parse(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    int ret = mieni_parse_window(ctx, node, json);
    const MieniWindow *w = &node->win;
    /* else a window could lie in the padding alone, and have no maximum */
    if (!ret && (w->pad_t >= w->kh || w->pad_b >= w->kh || w->pad_l >= w->kw || w->pad_r >= w->kw))
        ret = mieni_node_fail(ctx, MIEN_E_MODEL, "pad is not smaller than the %dx%d kernel", w->kh, w->kw);
    return ret;
}

static int infer(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    return mieni_infer_window(ctx, node, *in, out);
}

static void plan(MieniStep *s)
{
    MienShape out = s->out_shape;
    mieni_plan_pixels(s, (size_t)out.h * (size_t)out.w, out.c); /* of one picture */
    s->tiles_px = s->n_tiles;
    s->n_tiles *= out.n;
}

static void forward(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape in = s->in_shape[0], out = s->out_shape;
    size_t in_elems = (size_t)in.h * (size_t)in.w * (size_t)in.c, pic_px = (size_t)out.h * (size_t)out.w;
    for (int i = tile0; i < tile1; i++) {
        size_t i_pic = (size_t)(i / s->tiles_px), px0, n_px = mieni_tile_pixels(s, i % s->tiles_px, pic_px, &px0);
        MieniPlane plane = { s->in[0] + i_pic * in_elems, in.h, in.w, in.c, 0, in.c };
        float *y = s->out + (i_pic * pic_px + px0) * (size_t)out.c;
        if (s->node->op == &mieni_op_maxpool)
            s->kernels->maxpool_f32(y, &plane, &s->node->win, out.w, (int64_t)px0, (int)n_px);
        else
            s->kernels->avgpool_f32(y, &plane, &s->node->win, out.w, (int64_t)px0, (int)n_px);
    }
}

/* Windows that overlap along y share input rows: then a tile is a picture's channels, so that no two jobs write one element;
 * else rows of the output. */
enum { GRAD_C = 32, GRAD_ROW_ELEMS = 16384 };

static void plan_backward(MieniGrad *g)
{
    MienShape out = g->step->out_shape;
    const MieniWindow *w = &g->step->node->win;
    int64_t row = (int64_t)out.w * out.c, rows = row < GRAD_ROW_ELEMS ? GRAD_ROW_ELEMS / row : 1;
    g->tile_c = w->kh > w->stride_y ? GRAD_C : out.c;
    g->tile_px = w->kh > w->stride_y || rows > out.h ? out.h : (int)rows;
    g->tiles_c = (out.c + g->tile_c - 1) / g->tile_c;
    g->tiles_px = (out.h + g->tile_px - 1) / g->tile_px;
    g->n_tiles[0] = out.n * g->tiles_px * g->tiles_c;
}

/* Averages of windows that lie side by side need no clearing: each element is written once. */
static int side_by_side(const MieniStep *s)
{
    const MieniWindow *w = &s->node->win;
    return s->node->op == &mieni_op_avgpool && w->kh == w->stride_y && w->kw == w->stride_x &&
           !(w->pad_t | w->pad_l | w->pad_b | w->pad_r);
}

/* Clears what these output rows may write to: from the first's window to the next tile's; first and last take the borders. Of
 * windows side by side only what lies beyond the last of a row or column. */
static void clear_rows(const MieniGrad *g, float *dx, int oy0, int oy1, int c0, int n_c)
{
    MienShape in = g->step->in_shape[0], out = g->step->out_shape;
    const MieniWindow *w = &g->step->node->win;
    int64_t y0 = oy0 ? (int64_t)oy0 * w->stride_y - w->pad_t : 0;
    int64_t y1 = oy1 < out.h ? (int64_t)oy1 * w->stride_y - w->pad_t : in.h;
    int beside = side_by_side(g->step);
    y0 = y0 < 0 ? 0 : y0;
    y1 = y1 < in.h ? y1 : in.h;
    for (int64_t y = y0; y < y1; y++) {
        int64_t x0 = beside && y < (int64_t)out.h * w->kh ? (int64_t)out.w * w->kw : 0;
        for (int64_t p = y * in.w + x0; p < (y + 1) * in.w; p++)
            memset(dx + p * in.c + c0, 0, (size_t)n_c * sizeof(*dx));
    }
}

static void backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    const MieniStep *s = g->step;
    MienShape in = s->in_shape[0], out = s->out_shape;
    size_t in_elems = (size_t)in.h * (size_t)in.w * (size_t)in.c, out_elems = (size_t)out.h * (size_t)out.w * (size_t)out.c;
    for (int i = tile0; i < tile1 && g->din[0]; i++) {
        int c0 = i % g->tiles_c * g->tile_c, n_c = out.c - c0 < g->tile_c ? out.c - c0 : g->tile_c;
        int oy0 = i / g->tiles_c % g->tiles_px * g->tile_px, oy1 = out.h - oy0 < g->tile_px ? out.h : oy0 + g->tile_px;
        size_t i_pic = (size_t)(i / g->tiles_c / g->tiles_px);
        float *dx = g->din[0] + i_pic * in_elems;
        const float *dy = g->dout + i_pic * out_elems;
        MieniPlane plane = { s->in[0] + i_pic * in_elems, in.h, in.w, in.c, c0, n_c };
        clear_rows(g, dx, oy0, oy1, c0, n_c);
        if (s->node->op == &mieni_op_maxpool)
            mieni_maxpool_grad_f32_c(dx, dy, s->out + i_pic * out_elems, &plane, &s->node->win, out.w, oy0, oy1);
        else
            mieni_avgpool_grad_f32_c(dx, dy, !side_by_side(s), &plane, &s->node->win, out.w, oy0, oy1);
    }
}

const MieniOp mieni_op_maxpool = {
    .name = "maxpool", .attrs = "kernel stride pad", .min_in = 1, .max_in = 1, .parse = parse, .infer = infer, .plan = plan,
    .forward = forward, .text = mieni_text_window, .grad_reads = 1 | MIENI_READS_OUT, .plan_backward = plan_backward,
    .backward = backward,
};
const MieniOp mieni_op_avgpool = {
    .name = "avgpool", .attrs = "kernel stride pad", .min_in = 1, .max_in = 1, .parse = parse, .infer = infer, .plan = plan,
    .forward = forward, .text = mieni_text_window, .plan_backward = plan_backward, .backward = backward,
};

static int infer_globalavg(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    (void)ctx, (void)node;
    *out = (MienShape){ in->n, 1, 1, in->c };
    return 0;
}

static void plan_globalavg(MieniStep *s)
{
    s->n_tiles = s->out_shape.n;
}

static void forward_globalavg(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape in = s->in_shape[0];
    size_t pic_px = (size_t)in.h * (size_t)in.w, c = (size_t)in.c;
    for (int i = tile0; i < tile1; i++)
        mieni_mean_f32_c(s->out + (size_t)i * c, s->in[0] + (size_t)i * pic_px * c, (ptrdiff_t)pic_px, in.c);
}

static void backward_globalavg(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    MienShape in = g->step->in_shape[0];
    size_t pic_px = (size_t)in.h * (size_t)in.w, c = (size_t)in.c;
    for (int i = tile0; i < tile1 && g->din[0]; i++) {
        const float *dy = g->dout + (size_t)i * c;
        float *dx = g->din[0] + (size_t)i * pic_px * c;
        for (size_t k = 0; k < c; k++)
            dx[k] = dy[k] / (float)pic_px;
        for (size_t p = 1; p < pic_px; p++)
            memcpy(dx + p * c, dx, c * sizeof(*dx));
    }
}

const MieniOp mieni_op_globalavg = {
    .name = "globalavg", .min_in = 1, .max_in = 1, .infer = infer_globalavg, .plan = plan_globalavg,
    .forward = forward_globalavg, .backward = backward_globalavg,
};
