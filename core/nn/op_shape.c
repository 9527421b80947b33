/* Ops that move numbers: concat (along channels), pad (zeros round the picture and behind the channels), reshape (same elements
 * in NHWC order; free when nothing else reads the input). */
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

static void plan_pixels(MieniStep *s)
{
    MienShape out = s->out_shape;
    mieni_plan_pixels(s, (size_t)out.n * (size_t)out.h * (size_t)out.w, out.c);
}

static size_t n_pixels(MienShape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w;
}

/* ---- concat */

static int infer_concat(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    int64_t c = 0;
    int known = 1;
    *out = in[0];
    for (int i = 0; i < node->n_in; i++) {
        if ((in[i].h && out->h && in[i].h != out->h) || (in[i].w && out->w && in[i].w != out->w))
            return mieni_node_fail(ctx, MIEN_E_SHAPE, "its inputs are %dx%d and %dx%d pixels", out->h, out->w, in[i].h, in[i].w);
        out->h = out->h ? out->h : in[i].h;
        out->w = out->w ? out->w : in[i].w;
        c += in[i].c;
        known &= in[i].c != 0;
    }
    out->c = known ? (int)c : 0; /* at most MIENI_MAX_IN · MIENI_MAX_CHANNELS */
    return 0;
}

static void forward_concat(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    size_t c_out = (size_t)s->out_shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0);
        float *y = s->out + px0 * c_out;
        for (int k = 0; k < s->n_in; k++) {
            size_t c = (size_t)s->in_shape[k].c;
            const float *x = s->in[k] + px0 * c;
            for (size_t p = 0; p < n_px; p++)
                memcpy(y + p * c_out, x + p * c, c * sizeof(*y));
            y += c;
        }
    }
}

static void backward_concat(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    const MieniStep *s = g->step;
    size_t c_out = (size_t)s->out_shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0);
        const float *d = g->dout + px0 * c_out;
        for (int k = 0; k < s->n_in; k++) {
            size_t c = (size_t)s->in_shape[k].c;
            for (size_t p = 0; p < n_px && g->din[k]; p++)
                memcpy(g->din[k] + (px0 + p) * c, d + p * c_out, c * sizeof(*d));
            d += c;
        }
    }
}

const MieniOp mieni_op_concat = {
    .name = "concat", .min_in = 1, .max_in = MIENI_MAX_IN, .infer = infer_concat, .plan = plan_pixels,
    .forward = forward_concat, .backward = backward_concat,
};

/* ---- pad */

static int parse_pad(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    int pad[4] = { 0 };
    int ret = mieni_attr_ints(ctx, json, "pad", 4, 0, MIENI_MAX_WINDOW, pad);
    node->win = (MieniWindow){ .pad_t = pad[0], .pad_l = pad[1], .pad_b = pad[2], .pad_r = pad[3] };
    return ret ? ret : mieni_attr_int(ctx, json, "channels", 0, MIENI_MAX_CHANNELS, &node->channels);
}

/* Sizes stay below 2^31: check_limits sees the result, and the parts are bounded by it and MIENI_MAX_WINDOW. */
static int infer_pad(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    const MieniWindow *w = &node->win;
    if (in->h > INT32_MAX - 2 * MIENI_MAX_WINDOW || in->w > INT32_MAX - 2 * MIENI_MAX_WINDOW)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "its input of %dx%d pixels is too large", in->h, in->w);
    *out = *in;
    out->h = in->h ? in->h + w->pad_t + w->pad_b : 0;
    out->w = in->w ? in->w + w->pad_l + w->pad_r : 0;
    out->c = in->c ? in->c + node->channels : 0;
    return 0;
}

/* Tiles are output rows. */
static void plan_pad(MieniStep *s)
{
    MienShape out = s->out_shape;
    mieni_plan_pixels(s, (size_t)out.n * (size_t)out.h, out.w < INT32_MAX / out.c ? out.w * out.c : INT32_MAX);
}

static void pad_row(float *y, const float *x, int w_in, int c_in, MienShape out, int pad_l)
{
    size_t c = (size_t)out.c, n = (size_t)c_in;
    memset(y, 0, (size_t)out.w * c * sizeof(*y));
    y += (size_t)pad_l * c;
    if (n == c)
        memcpy(y, x, (size_t)w_in * c * sizeof(*y));
    else
        for (int i = 0; i < w_in; i++)
            memcpy(y + (size_t)i * c, x + (size_t)i * n, n * sizeof(*y));
}

static void forward_pad(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape in = s->in_shape[0], out = s->out_shape;
    const MieniWindow *win = &s->node->win;
    size_t out_row = (size_t)out.w * (size_t)out.c, in_row = (size_t)in.w * (size_t)in.c;
    for (int i = tile0; i < tile1; i++) {
        size_t row0, n_rows = mieni_tile_pixels(s, i, (size_t)out.n * (size_t)out.h, &row0);
        for (size_t r = row0; r < row0 + n_rows; r++) {
            float *y = s->out + r * out_row;
            size_t i_pic = r / (size_t)out.h;
            int iy = (int)(r % (size_t)out.h) - win->pad_t;
            if (iy < 0 || iy >= in.h)
                memset(y, 0, out_row * sizeof(*y));
            else
                pad_row(y, s->in[0] + (i_pic * (size_t)in.h + (size_t)iy) * in_row, in.w, in.c, out, win->pad_l);
        }
    }
}

/* Tiles are input rows here: cut by hand, all of about the same size. */
static void backward_pad(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape in = g->step->in_shape[0], out = g->step->out_shape;
    const MieniWindow *win = &g->step->node->win;
    size_t rows = (size_t)in.n * (size_t)in.h, c_in = (size_t)in.c, c_out = (size_t)out.c, n_tiles = (size_t)g->n_tiles[i_pass];
    for (size_t r = rows * (size_t)tile0 / n_tiles; r < rows * (size_t)tile1 / n_tiles && g->din[0]; r++) {
        size_t row = r / (size_t)in.h * (size_t)out.h + r % (size_t)in.h + (size_t)win->pad_t;
        const float *d = g->dout + (row * (size_t)out.w + (size_t)win->pad_l) * c_out;
        float *dx = g->din[0] + r * (size_t)in.w * c_in;
        for (size_t i = 0; i < (size_t)in.w; i++)
            memcpy(dx + i * c_in, d + i * c_out, c_in * sizeof(*dx));
    }
}

const MieniOp mieni_op_pad = {
    .name = "pad", .attrs = "pad channels", .min_in = 1, .max_in = 1, .parse = parse_pad, .infer = infer_pad,
    .plan = plan_pad, .forward = forward_pad, .backward = backward_pad,
};

/* ---- reshape */

static int parse_reshape(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    static const char *const key[] = { "h", "w", "c" };
    int n_free = 0;
    for (int i = 0; i < 3; i++) {
        node->shape[i] = 0;
        int ret = mieni_attr_int(ctx, json, key[i], -1, INT32_MAX, &node->shape[i]);
        if (ret < 0)
            return ret;
        if (!node->shape[i])
            return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is missing or 0", key[i]);
        n_free += node->shape[i] < 0;
    }
    if (n_free > 1)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "only one of h, w, c may be -1");
    return 0;
}

static int infer_reshape(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    int64_t have = (int64_t)in->h * in->w, product = 1;
    int to[3], i_free = -1;
    for (int i = 0; i < 3; i++) {
        to[i] = node->shape[i];
        if (to[i] < 0)
            i_free = i;
        else if ((product *= to[i]) > INT32_MAX)
            return mieni_node_fail(ctx, MIEN_E_SHAPE, "%dx%dx%d is too large", node->shape[0], node->shape[1], node->shape[2]);
    }
    have *= in->c; /* below 2^31: limits were checked where it was made */
    if (have) {
        if (i_free >= 0)
            to[i_free] = (int)(have / product);
        if (product * (i_free >= 0 ? to[i_free] : 1) != have || (i_free >= 0 && !to[i_free]))
            return mieni_node_fail(ctx, MIEN_E_SHAPE, "%dx%dx%d can't become %dx%dx%d", in->h, in->w, in->c, node->shape[0],
                                   node->shape[1], node->shape[2]);
    } else if (i_free >= 0) {
        to[i_free] = 0;
    }
    *out = (MienShape){ in->n, to[0], to[1], to[2] };
    return 0;
}

static void forward_reshape(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)tile0, (void)tile1, (void)work;
    if (s->out != s->in[0])
        memcpy(s->out, s->in[0], mien_shape_elems(s->out_shape) * sizeof(float));
}

const MieniOp mieni_op_reshape = {
    .name = "reshape", .attrs = "h w c", .min_in = 1, .max_in = 1, .in_place = 1, .parse = parse_reshape,
    .infer = infer_reshape, .forward = forward_reshape, .grad_in_place = 1, .backward = mieni_copy_backward,
};
