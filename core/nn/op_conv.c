/* conv2d. x: n,h,w,cin · weight: kh,kw,cin/groups,cout · y: n,h',w',cout.
 *
 * Three ways, chosen by shape: a 1×1 window with stride 1 is a matrix product of the picture itself; one group a channel is
 * the depthwise kernel; everything else unrolls windows into a matrix (im2col), a tile of pixels at a time so that the matrix
 * stays in the cache, and multiplies. Bias and activation are applied to a tile while it is warm. Tiles never span two
 * pictures of a batch, so a picture's result doesn't depend on its neighbours. */
#include <stdio.h>

#include "mien/error.h"
#include "nn/nn.h"

enum {
    TILE_MACS = 2 << 20,     /* some 50 µs of one core: worth a job, and small enough to share out evenly */
    IM2COL_ELEMS = 1 << 17,  /* of unrolled windows a tile: 512 KiB, a part of a usual second-level cache */
    MIN_TILE_PX = 72,        /* below, copying the weights into place costs more than a tile saves */
    TILE_PX_STEP = 24,       /* the heights of the products' register tiles divide it */
    SPLIT_C = 128,           /* a picture of a single tile is cut along the output's channels */
    DW_TILE_ELEMS = 1 << 14, /* of depthwise output a tile */
};

typedef enum Method { DIRECT, DEPTHWISE, IM2COL } Method;

static Method method_of(const MieniNode *node, int c_in)
{
    const MieniWindow *w = &node->win;
    if (node->groups == c_in && node->c_out == c_in && c_in > 1)
        return DEPTHWISE;
    if (node->groups == 1 && w->kh == 1 && w->kw == 1 && w->stride_y == 1 && w->stride_x == 1 &&
        !(w->pad_t | w->pad_l | w->pad_b | w->pad_r))
        return DIRECT;
    return IM2COL;
}

static int parse(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    int ret;
    node->groups = 1;
    node->has_bias = 1;
    if ((ret = mieni_parse_window(ctx, node, json)) < 0 ||
        (ret = mieni_attr_int(ctx, json, "groups", 1, MIENI_MAX_CHANNELS, &node->groups)) < 0 ||
        (ret = mieni_attr_int(ctx, json, "cout", 1, MIENI_MAX_CHANNELS, &node->c_out)) < 0 ||
        (ret = mieni_attr_bool(ctx, json, "bias", &node->has_bias)) < 0)
        return ret;
    if (!node->c_out)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "cout is missing");
    if (node->c_out % node->groups)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "%d output channels can't be shared by %d groups", node->c_out, node->groups);
    return 0;
}

static int infer(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    if (in->c % node->groups)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "%d input channels can't be shared by %d groups", in->c, node->groups);
    out->c = node->c_out;
    return mieni_infer_window(ctx, node, *in, out);
}

static int bind(const MieniCtx *ctx, MieniNode *node, const MienShape *in)
{
    int64_t dim[] = { node->win.kh, node->win.kw, in->c / node->groups, node->c_out }, c_dim[] = { node->c_out };
    int ret = mieni_bind(ctx, "weight", 4, dim, &node->weight, NULL);
    if (!ret && node->has_bias)
        ret = mieni_bind(ctx, "bias", 1, c_dim, &node->bias, NULL);
    return ret ? ret : mieni_bind_act(ctx, node, node->c_out);
}

/* Tiles of depthwise convolution are rows. */
static void plan_rows(MieniStep *s)
{
    MienShape out = s->out_shape;
    int64_t row_elems = (int64_t)out.w * out.c, rows = row_elems < DW_TILE_ELEMS ? DW_TILE_ELEMS / row_elems : 1;
    s->tile_px = (int)(rows < out.h ? rows : out.h);
    s->tiles_px = (out.h + s->tile_px - 1) / s->tile_px;
    s->work_elems = (size_t)s->node->win.kh * (size_t)s->node->win.kw * sizeof(MieniTap) / sizeof(float);
}

/* Tiles of products: pixels of about TILE_MACS, all tiles of one size; channels only where one tile would be left. */
static void plan_product(MieniStep *s, Method method)
{
    MienShape out = s->out_shape;
    int64_t k = (int64_t)s->node->win.kh * s->node->win.kw * (s->in_shape[0].c / s->node->groups);
    int64_t n_px = (int64_t)out.h * out.w, want = TILE_MACS / (k * (out.c / s->node->groups));
    if (method == IM2COL && want > IM2COL_ELEMS / k)
        want = IM2COL_ELEMS / k;
    if (want < MIN_TILE_PX)
        want = MIN_TILE_PX;
    int64_t tiles = (n_px + want - 1) / want, tile = (n_px + tiles - 1) / tiles;
    if (tiles > 1)
        tile = (tile + TILE_PX_STEP - 1) / TILE_PX_STEP * TILE_PX_STEP;
    s->tile_px = (int)tile;
    s->tiles_px = (int)((n_px + tile - 1) / tile);
    if (s->tiles_px == 1 && s->node->groups == 1 && n_px * k * out.c > TILE_MACS && out.c >= 2 * SPLIT_C) {
        s->tile_c = SPLIT_C;
        s->tiles_c = (out.c + SPLIT_C - 1) / SPLIT_C;
    }
    if (method == IM2COL)
        s->work_elems = (size_t)s->tile_px * (size_t)k;
}

static void plan(MieniStep *s)
{
    Method method = method_of(s->node, s->in_shape[0].c);
    s->tile_c = s->out_shape.c;
    s->tiles_c = 1;
    if (method == DEPTHWISE)
        plan_rows(s);
    else
        plan_product(s, method);
    s->n_tiles = s->out_shape.n * s->tiles_px * s->tiles_c;
}

/* Where tile i lies: picture, first pixel (or row) and channel. */
typedef struct Tile {
    int i_pic, px0, n_px, c0, n_c;
} Tile;

static Tile tile_at(const MieniStep *s, int i, int px_of_pic)
{
    Tile t;
    t.c0 = i % s->tiles_c * s->tile_c;
    i /= s->tiles_c;
    t.px0 = i % s->tiles_px * s->tile_px;
    t.i_pic = i / s->tiles_px;
    t.n_px = px_of_pic - t.px0 < s->tile_px ? px_of_pic - t.px0 : s->tile_px;
    t.n_c = s->out_shape.c - t.c0 < s->tile_c ? s->out_shape.c - t.c0 : s->tile_c;
    return t;
}

static void finish(const MieniStep *s, float *y, const Tile *t)
{
    const MieniNode *node = s->node;
    MieniAct act = { node->act.kind, node->act.slope ? node->act.slope + t->c0 : NULL };
    if (node->bias || act.kind != MIENI_ACT_NONE)
        s->kernels->affine_f32(y, s->out_shape.c, y, s->out_shape.c, t->n_px, t->n_c, NULL,
                               node->bias ? node->bias + t->c0 : NULL, act);
}

static void forward_direct(const MieniStep *s, int tile0, int tile1)
{
    MienShape in = s->in_shape[0], out = s->out_shape;
    int pic_px = out.h * out.w;
    for (int i = tile0; i < tile1; i++) {
        Tile t = tile_at(s, i, pic_px);
        ptrdiff_t px = (ptrdiff_t)t.i_pic * pic_px + t.px0;
        float *y = s->out + px * out.c + t.c0;
        mieni_sgemm(s->kernels, t.n_px, t.n_c, in.c, s->in[0] + px * in.c, in.c, s->node->weight + t.c0, out.c, y, out.c);
        finish(s, y, &t);
    }
}

static void forward_im2col(const MieniStep *s, int tile0, int tile1, float *work)
{
    const MieniNode *node = s->node;
    MienShape in = s->in_shape[0], out = s->out_shape;
    int pic_px = out.h * out.w, c_in = in.c / node->groups, c_out = out.c / node->groups;
    int k = node->win.kh * node->win.kw * c_in;
    MieniPlane plane = { .h = in.h, .w = in.w, .c = in.c, .n_c = c_in };
    for (int i = tile0; i < tile1; i++) {
        Tile t = tile_at(s, i, pic_px);
        float *y = s->out + ((ptrdiff_t)t.i_pic * pic_px + t.px0) * out.c + t.c0;
        int n_c = node->groups == 1 ? t.n_c : c_out;
        plane.x = s->in[0] + (ptrdiff_t)t.i_pic * in.h * in.w * in.c;
        for (int g = 0; g < node->groups; g++) {
            plane.c0 = g * c_in;
            s->kernels->im2col_f32(work, &plane, &node->win, out.w, t.px0, t.n_px);
            mieni_sgemm(s->kernels, t.n_px, n_c, k, work, k, node->weight + t.c0 + g * c_out, out.c, y + g * c_out, out.c);
        }
        finish(s, y, &t);
    }
}

/* One run of output pixels of a row that share the window positions [y0, y1) × [x0, x1). */
static void depthwise_run(const MieniStep *s, const float *pic, float *y, int64_t iy, int64_t ix, int n_px,
                          const int range[4], MieniTap *tap)
{
    const MieniNode *node = s->node;
    const MieniWindow *w = &node->win;
    ptrdiff_t c = s->in_shape[0].c, line = s->in_shape[0].w * c;
    int y0 = range[0], y1 = range[1], x0 = range[2], x1 = range[3], n = 0;
    for (int ky = y0; ky < y1; ky++) {
        for (int kx = x0; kx < x1; kx++) {
            tap[n].x = (ptrdiff_t)(ky - y0) * w->dil_y * line + (ptrdiff_t)(kx - x0) * w->dil_x * c;
            tap[n++].w = ((ptrdiff_t)ky * w->kw + kx) * c;
        }
    }
    const float *x = n ? pic + (iy + (int64_t)y0 * w->dil_y) * line + (ix + (int64_t)x0 * w->dil_x) * c : pic;
    s->kernels->dwconv_f32(y, x, w->stride_x * c, n_px, (int)c, tap, n, node->weight, node->bias, node->act);
}

static void depthwise_row(const MieniStep *s, const float *pic, float *y, int oy, MieniTap *tap)
{
    const MieniWindow *w = &s->node->win;
    MienShape in = s->in_shape[0], out = s->out_shape;
    int64_t iy = (int64_t)oy * w->stride_y - w->pad_t;
    int range[4];
    mieni_window_range(iy, w->kh, w->dil_y, in.h, &range[0], &range[1]);
    for (int ox = 0; ox < out.w;) {
        int64_t ix = (int64_t)ox * w->stride_x - w->pad_l;
        mieni_window_range(ix, w->kw, w->dil_x, in.w, &range[2], &range[3]);
        int n_px = 1;
        if (range[2] == 0 && range[3] == w->kw) { /* whole windows up to the right border */
            int64_t room = in.w - 1 - (ix + (int64_t)(w->kw - 1) * w->dil_x);
            int64_t n = room / w->stride_x + 1;
            n_px = (int)(n < out.w - ox ? n : out.w - ox);
        }
        depthwise_run(s, pic, y + (ptrdiff_t)ox * out.c, iy, ix, n_px, range, tap);
        ox += n_px;
    }
}

static void forward_depthwise(const MieniStep *s, int tile0, int tile1, float *work)
{
    MienShape in = s->in_shape[0], out = s->out_shape;
    for (int i = tile0; i < tile1; i++) {
        Tile t = tile_at(s, i, out.h);
        const float *pic = s->in[0] + (ptrdiff_t)t.i_pic * in.h * in.w * in.c;
        for (int oy = t.px0; oy < t.px0 + t.n_px; oy++) {
            float *y = s->out + ((ptrdiff_t)t.i_pic * out.h + oy) * out.w * out.c;
            depthwise_row(s, pic, y, oy, (MieniTap *)(void *)work);
        }
    }
}

static void forward(const MieniStep *s, int tile0, int tile1, float *work)
{
    switch (method_of(s->node, s->in_shape[0].c)) {
    case DIRECT: forward_direct(s, tile0, tile1); break;
    case DEPTHWISE: forward_depthwise(s, tile0, tile1, work); break;
    case IM2COL: forward_im2col(s, tile0, tile1, work); break;
    }
}

static uint64_t macs(const MieniNode *node, const MienShape *in, const MienShape *out)
{
    return (uint64_t)mien_shape_elems(*out) * (uint64_t)(node->win.kh * node->win.kw) * (uint64_t)(in->c / node->groups);
}

static void text(const MieniNode *node, char *buf, size_t buf_bytes)
{
    char window[64];
    mieni_text_window(node, window, sizeof(window));
    if (node->groups > 1)
        snprintf(buf, buf_bytes, "%s g%d", window, node->groups);
    else
        snprintf(buf, buf_bytes, "%s", window);
}

const MieniOp mieni_op_conv2d = {
    .name = "conv2d",
    .attrs = "kernel stride pad dilation groups cout bias",
    .min_in = 1,
    .max_in = 1,
    .takes_act = 1,
    .parse = parse,
    .infer = infer,
    .bind = bind,
    .plan = plan,
    .forward = forward,
    .macs = macs,
    .text = text,
};
