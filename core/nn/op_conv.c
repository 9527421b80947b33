/* conv2d. x: n,h,w,cin · weight: kh,kw,cin/groups,cout · y: n,h',w',cout.
 *
 * Three ways, chosen by shape: a 1×1 window with stride 1 is a matrix product of the picture itself; one group a channel is
 * the depthwise kernel; everything else unrolls windows into a matrix (im2col), a tile of pixels at a time so that the matrix
 * stays in the cache, and multiplies. Of the last, long rows do without the unrolling: a row of a window lies in one piece in
 * the picture, and the next window's begins a pixel further, so that the picture itself is a matrix whose rows overlap.
 *
 * Bias and activation are applied to a tile while it is warm. Tiles never span two pictures of a batch, so a picture's result
 * doesn't depend on its neighbours. */
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

enum {
    TILE_MACS = 2 << 20,     /* some 50 µs of one core: worth a job, and small enough to share out evenly */
    IM2COL_ELEMS = 1 << 17,  /* of unrolled windows a tile: 512 KiB, a part of a usual second-level cache */
    MIN_TILE_PX = 72,        /* below, copying the weights into place costs more than a tile saves */
    TILE_PX_STEP = 24,       /* the heights of the products' register tiles divide it */
    SPLIT_C = 128,           /* a picture of a single tile is cut along the output's channels */
    DW_TILE_ELEMS = 1 << 14, /* of depthwise output a tile */
    ROW_PX = 64,             /* a shorter run of windows that lie in the picture is unrolled, */
    ROW_K = 48,              /* and so are sums of a window's row that are shorter than this */
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

/* A convolution as it is computed: the forward one, and each part of the one that goes backward. */
typedef struct Conv {
    const MienKernels *kernels;
    const float *x, *weight, *bias; /* bias, act: of the depthwise kernel alone */
    MienShape in;
    MieniWindow win;
    int groups, c_out, out_w;
    MieniAct act;
} Conv;

static Conv forward_conv(const MieniStep *s)
{
    const MieniNode *node = s->node;
    return (Conv){ s->kernels, s->in[0], node->weight, node->bias, s->in_shape[0], node->win, node->groups, node->c_out,
                   s->out_shape.w, mieni_act_now(s) };
}

/* ---- cutting the work */

typedef struct Cut {
    int tile_px, tiles_px, tile_c, tiles_c; /* tiles_px: of a picture */
} Cut;

/* Tiles of depthwise convolution are rows. */
static Cut cut_rows(int h, int w, int c)
{
    int64_t row_elems = (int64_t)w * c, rows = row_elems < DW_TILE_ELEMS ? DW_TILE_ELEMS / row_elems : 1;
    int tile = (int)(rows < h ? rows : h);
    return (Cut){ tile, (h + tile - 1) / tile, c, 1 };
}

/* Tiles of products with sums of k: pixels of about TILE_MACS, all tiles of one size; channels only where one tile would be
 * left. */
static Cut cut_product(Method method, int64_t n_px, int64_t k, int c, int groups)
{
    Cut cut = { .tile_c = c, .tiles_c = 1 };
    int64_t want = TILE_MACS / (k * (c / groups));
    if (method == IM2COL && want > IM2COL_ELEMS / k)
        want = IM2COL_ELEMS / k;
    if (want < MIN_TILE_PX)
        want = MIN_TILE_PX;
    int64_t tiles = (n_px + want - 1) / want, tile = (n_px + tiles - 1) / tiles;
    if (tiles > 1)
        tile = (tile + TILE_PX_STEP - 1) / TILE_PX_STEP * TILE_PX_STEP;
    cut.tile_px = (int)tile;
    cut.tiles_px = (int)((n_px + tile - 1) / tile);
    if (cut.tiles_px == 1 && groups == 1 && n_px * k * c > TILE_MACS && c >= 2 * SPLIT_C) {
        cut.tile_c = SPLIT_C;
        cut.tiles_c = (c + SPLIT_C - 1) / SPLIT_C;
    }
    return cut;
}

static size_t tap_elems(const MieniWindow *w)
{
    return (size_t)w->kh * (size_t)w->kw * sizeof(MieniTap) / sizeof(float);
}

static int sum_length(const MieniStep *s)
{
    return s->node->win.kh * s->node->win.kw * (s->in_shape[0].c / s->node->groups);
}

static void plan(MieniStep *s)
{
    Method method = method_of(s->node, s->in_shape[0].c);
    MienShape out = s->out_shape;
    Cut cut = method == DEPTHWISE ? cut_rows(out.h, out.w, out.c)
                                  : cut_product(method, (int64_t)out.h * out.w, sum_length(s), out.c, s->node->groups);
    if (method != DIRECT)
        s->work_elems = method == IM2COL ? (size_t)cut.tile_px * (size_t)sum_length(s) : tap_elems(&s->node->win);
    s->tile_px = cut.tile_px;
    s->tiles_px = cut.tiles_px;
    s->tile_c = cut.tile_c;
    s->tiles_c = cut.tiles_c;
    s->n_tiles = out.n * s->tiles_px * s->tiles_c;
}

/* Where tile i lies: picture, first pixel (or row) and channel. */
typedef struct Tile {
    int i_pic, px0, n_px, c0, n_c;
} Tile;

static Tile tile_at(const Cut *cut, int i, int px_of_pic, int c)
{
    Tile t;
    t.c0 = i % cut->tiles_c * cut->tile_c;
    i /= cut->tiles_c;
    t.px0 = i % cut->tiles_px * cut->tile_px;
    t.i_pic = i / cut->tiles_px;
    t.n_px = px_of_pic - t.px0 < cut->tile_px ? px_of_pic - t.px0 : cut->tile_px;
    t.n_c = c - t.c0 < cut->tile_c ? c - t.c0 : cut->tile_c;
    return t;
}

/* ---- products. add: to y in place of writing it. y: the tile's first pixel and channel */

static void product(const Conv *v, int add, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, float *y)
{
    if (add)
        mieni_sgemm_add(v->kernels, 0, m, n, k, a, lda, b, v->c_out, y, v->c_out);
    else
        mieni_sgemm(v->kernels, m, n, k, a, lda, b, v->c_out, y, v->c_out);
}

static void unrolled(const Conv *v, const Tile *t, float *y, int add, float *work)
{
    const MieniWindow *win = &v->win;
    int c_in = v->in.c / v->groups, c_out = v->c_out / v->groups, k = win->kh * win->kw * c_in;
    MieniPlane plane = { v->x + (ptrdiff_t)t->i_pic * v->in.h * v->in.w * v->in.c, v->in.h, v->in.w, v->in.c, 0, c_in };
    for (int g = 0; g < v->groups; g++) {
        plane.c0 = g * c_in;
        v->kernels->im2col_f32(work, &plane, win, v->out_w, t->px0, t->n_px);
        product(v, add, t->n_px, v->groups == 1 ? t->n_c : c_out, k, work, k, v->weight + t->c0 + g * c_out, y + g * c_out);
    }
}

/* The run [*ox0, *ox1) of a row's windows that lie between the picture's left and right border. */
static void inner_run(const Conv *v, int *ox0, int *ox1)
{
    const MieniWindow *w = &v->win;
    int room = v->in.w - w->kw + w->pad_l;
    *ox0 = w->pad_l > 0 ? (w->pad_l + w->stride_x - 1) / w->stride_x : 0;
    *ox1 = room < 0 ? 0 : room / w->stride_x + 1;
    *ox1 = *ox1 < v->out_w ? *ox1 : v->out_w;
}

/* Only for our own product: its sums go on through y with the bits of one long sum, OpenBLAS's may not. */
static int has_long_rows(const Conv *v, const Tile *t)
{
    const MieniWindow *w = &v->win;
    int ox0, ox1;
    inner_run(v, &ox0, &ox1);
    return v->groups == 1 && w->dil_x == 1 && ox1 - ox0 >= ROW_PX && w->kw * v->in.c >= ROW_K &&
           mieni_own_product(v->kernels, t->n_px, t->n_c, w->kh * w->kw * v->in.c);
}

/* One run of output pixels inside a row: a product for each row of the window that lies in the picture. */
static void product_run(const Conv *v, const Tile *t, float *y, int add)
{
    const MieniWindow *w = &v->win;
    ptrdiff_t c = v->in.c, ix = (ptrdiff_t)(t->px0 % v->out_w) * w->stride_x - w->pad_l;
    int64_t iy = (int64_t)(t->px0 / v->out_w) * w->stride_y - w->pad_t;
    for (int ky = 0; ky < w->kh; ky++, iy += w->dil_y) {
        if (iy < 0 || iy >= v->in.h)
            continue;
        const float *x = v->x + (((ptrdiff_t)t->i_pic * v->in.h + iy) * v->in.w + ix) * c;
        product(v, add, t->n_px, t->n_c, w->kw * (int)c, x, w->stride_x * c, v->weight + (ptrdiff_t)ky * w->kw * c * v->c_out + t->c0, y);
        add = 1;
    }
    for (int p = 0; !add && p < t->n_px; p++) /* a window in the padding alone */
        memset(y + (ptrdiff_t)p * v->c_out, 0, (size_t)t->n_c * sizeof(*y));
}

static void product_rows(const Conv *v, const Tile *t, float *y, int add, float *work)
{
    int ox0, ox1;
    inner_run(v, &ox0, &ox1);
    for (int p = 0; p < t->n_px;) {
        Tile run = *t;
        int ox = (t->px0 + p) % v->out_w, inner = ox >= ox0 && ox < ox1;
        int n = inner ? ox1 - ox : ox < ox0 ? ox0 - ox : v->out_w - ox + ox0; /* to the next row's first inner window */
        run.px0 += p;
        run.n_px = n < t->n_px - p ? n : t->n_px - p;
        if (inner)
            product_run(v, &run, y + (ptrdiff_t)p * v->c_out, add);
        else
            unrolled(v, &run, y + (ptrdiff_t)p * v->c_out, add, work);
        p += run.n_px;
    }
}

/* work NULL: 1×1. */
static void product_tile(const Conv *v, const Tile *t, float *y, int add, float *work)
{
    ptrdiff_t px = (ptrdiff_t)t->i_pic * v->in.h * v->in.w + t->px0;
    if (!work)
        product(v, add, t->n_px, t->n_c, v->in.c, v->x + px * v->in.c, v->in.c, v->weight + t->c0, y);
    else if (has_long_rows(v, t))
        product_rows(v, t, y, add, work);
    else
        unrolled(v, t, y, add, work);
}

/* ---- depthwise */

/* One run of output pixels of a row that share the window positions [y0, y1) × [x0, x1). */
static void depthwise_run(const Conv *v, const float *pic, float *y, int64_t iy, int64_t ix, int n_px, const int range[4],
                          MieniTap *tap)
{
    const MieniWindow *w = &v->win;
    ptrdiff_t c = v->in.c, line = v->in.w * c;
    int y0 = range[0], y1 = range[1], x0 = range[2], x1 = range[3], n = 0;
    for (int ky = y0; ky < y1; ky++) {
        for (int kx = x0; kx < x1; kx++) {
            tap[n].x = (ptrdiff_t)(ky - y0) * w->dil_y * line + (ptrdiff_t)(kx - x0) * w->dil_x * c;
            tap[n++].w = ((ptrdiff_t)ky * w->kw + kx) * c;
        }
    }
    const float *x = n ? pic + (iy + (int64_t)y0 * w->dil_y) * line + (ix + (int64_t)x0 * w->dil_x) * c : pic;
    v->kernels->dwconv_f32(y, x, w->stride_x * c, n_px, (int)c, tap, n, v->weight, v->bias, v->act);
}

static void depthwise_row(const Conv *v, int i_pic, float *y, int oy, MieniTap *tap)
{
    const MieniWindow *w = &v->win;
    const float *pic = v->x + (ptrdiff_t)i_pic * v->in.h * v->in.w * v->in.c;
    int64_t iy = (int64_t)oy * w->stride_y - w->pad_t;
    int range[4];
    mieni_window_range(iy, w->kh, w->dil_y, v->in.h, &range[0], &range[1]);
    for (int ox = 0; ox < v->out_w;) {
        int64_t ix = (int64_t)ox * w->stride_x - w->pad_l;
        mieni_window_range(ix, w->kw, w->dil_x, v->in.w, &range[2], &range[3]);
        int n_px = 1;
        if (range[2] == 0 && range[3] == w->kw) { /* whole windows up to the right border */
            int64_t room = v->in.w - 1 - (ix + (int64_t)(w->kw - 1) * w->dil_x);
            int64_t n = room / w->stride_x + 1;
            n_px = (int)(n < v->out_w - ox ? n : v->out_w - ox);
        }
        depthwise_run(v, pic, y + (ptrdiff_t)ox * v->c_out, iy, ix, n_px, range, tap);
        ox += n_px;
    }
}

/* ---- forward */

static void finish(const MieniStep *s, size_t at, const Tile *t)
{
    const MieniNode *node = s->node;
    MieniAct act = mieni_act_now(s);
    float *y = (s->pre ? s->pre : s->out) + at;
    act.slope = act.slope ? act.slope + t->c0 : NULL;
    if (node->bias || act.kind != MIENI_ACT_NONE)
        s->kernels->affine_f32(y, s->out_shape.c, y, s->out_shape.c, t->n_px, t->n_c, NULL,
                               node->bias ? node->bias + t->c0 : NULL, act);
    mieni_act_later(s, at, s->out_shape.c, t->n_px, t->n_c, t->c0);
}

static void forward(const MieniStep *s, int tile0, int tile1, float *work)
{
    MienShape out = s->out_shape;
    Conv v = forward_conv(s);
    Cut cut = { s->tile_px, s->tiles_px, s->tile_c, s->tiles_c };
    int depthwise = method_of(s->node, s->in_shape[0].c) == DEPTHWISE;
    float *to = s->pre ? s->pre : s->out;
    for (int i = tile0; i < tile1; i++) {
        Tile t = tile_at(&cut, i, depthwise ? out.h : out.h * out.w, out.c);
        if (!depthwise) {
            size_t at = ((size_t)t.i_pic * (size_t)out.h * (size_t)out.w + (size_t)t.px0) * (size_t)out.c + (size_t)t.c0;
            product_tile(&v, &t, to + at, 0, work);
            finish(s, at, &t);
            continue;
        }
        for (int oy = t.px0; oy < t.px0 + t.n_px; oy++) {
            size_t at = ((size_t)t.i_pic * (size_t)out.h + (size_t)oy) * (size_t)out.w * (size_t)out.c;
            depthwise_row(&v, t.i_pic, to + at, oy, (MieniTap *)(void *)work);
            mieni_act_later(s, at, out.c, out.w, out.c, 0);
        }
    }
}

/* ---- backward, to the input
 *
 * dx[i] = sum over taps k with (i + pad - k·dil) divisible by the stride of d[(i + pad - k·dil) / stride] · w[k]^T. Pixels whose
 * i + pad leave the same rest share their taps, and among them this is again a convolution of stride 1, of d with those taps'
 * weights, turned round and with their channels exchanged: a *phase*. With stride 1 there is one phase, all pixels. */

/* Of one axis: pixels i0 + j·stride, j < n; taps k0 + j·k_step, j < n_k, which look at d from j - pad in steps of dil. */
typedef struct Axis {
    int i0, n, k0, k_step, n_k, pad, dil;
} Axis;

static int gcd(int a, int b)
{
    return b ? gcd(b, a % b) : a;
}

static Axis axis_at(int i0, int size, int k, int stride, int dil, int pad)
{
    Axis a = { .i0 = i0, .n = (size - 1 - i0) / stride + 1, .k_step = stride / gcd(stride, dil), .dil = 1 };
    while (a.k0 < k && a.k0 < a.k_step && (i0 + pad - a.k0 * dil) % stride)
        a.k0++;
    if (a.k0 == k || a.k0 == a.k_step)
        return a;
    a.n_k = (k - 1 - a.k0) / a.k_step + 1;
    a.dil = a.k_step * dil / stride;
    a.pad = -(i0 + pad - (a.k0 + (a.n_k - 1) * a.k_step) * dil) / stride;
    return a;
}

static Axis axis_y(const MieniStep *s, int i_phase)
{
    const MieniWindow *w = &s->node->win;
    return axis_at(i_phase, s->in_shape[0].h, w->kh, w->stride_y, w->dil_y, w->pad_t);
}

static Axis axis_x(const MieniStep *s, int i_phase)
{
    const MieniWindow *w = &s->node->win;
    return axis_at(i_phase, s->in_shape[0].w, w->kw, w->stride_x, w->dil_x, w->pad_l);
}

/* How many phases there are along y and x: no more than pixels. */
static int phases_y(const MieniStep *s)
{
    return s->node->win.stride_y < s->in_shape[0].h ? s->node->win.stride_y : s->in_shape[0].h;
}

static int phases_x(const MieniStep *s)
{
    return s->node->win.stride_x < s->in_shape[0].w ? s->node->win.stride_x : s->in_shape[0].w;
}

/* Weights of a tap, in elements: as many turned round as not. Depthwise: a value a channel. */
static size_t weights_of_tap(const MieniStep *s)
{
    return (size_t)(s->in_shape[0].c / s->node->groups) * (size_t)s->out_shape.c;
}

/* Each tap belongs to one phase; where the picture has fewer pixels than the stride, some to none. */
static float *phase_weights(const MieniGrad *g, int py, int px)
{
    const MieniStep *s = g->step;
    size_t taps = 0, n_y = (size_t)axis_y(s, py).n_k;
    for (int i = 0; i < py; i++)
        taps += (size_t)axis_y(s, i).n_k * (size_t)s->node->win.kw;
    for (int i = 0; i < px; i++)
        taps += (size_t)axis_x(s, i).n_k * n_y;
    return g->shared + taps * weights_of_tap(s);
}

/* One tap: [c_in, c_out] of each group becomes [c_out, c_in]. */
static void turn_tap(const MieniStep *s, float *to, const float *w)
{
    int groups = s->node->groups, c_in = s->in_shape[0].c, c_out = s->out_shape.c, n_in = c_in / groups, n_out = c_out / groups;
    for (int o = 0; o < n_out; o++) {
        for (int i = 0; i < c_in; i++)
            to[(ptrdiff_t)o * c_in + i] = w[(ptrdiff_t)(i % n_in) * c_out + i / n_in * n_out + o];
    }
}

static void turn_weights(const MieniGrad *g, int py, int px)
{
    const MieniStep *s = g->step;
    Axis y = axis_y(s, py), x = axis_x(s, px);
    float *to = phase_weights(g, py, px);
    for (int i = y.n_k - 1; i >= 0; i--) {
        for (int j = x.n_k - 1; j >= 0; j--, to += weights_of_tap(s)) {
            ptrdiff_t tap = (ptrdiff_t)(y.k0 + i * y.k_step) * s->node->win.kw + x.k0 + j * x.k_step;
            turn_tap(s, to, s->node->weight + tap * (ptrdiff_t)weights_of_tap(s));
        }
    }
}

static Cut cut_of(const MieniGrad *g)
{
    return (Cut){ g->tile_px, g->tiles_px, g->tile_c, g->tiles_c };
}

/* Pixels of the largest phase, which is the first. */
static Cut cut_input(const MieniStep *s, Method method, size_t *work_elems)
{
    MienShape in = s->in_shape[0];
    const MieniWindow *w = &s->node->win;
    int h = axis_y(s, 0).n, width = axis_x(s, 0).n, strided = w->stride_y > 1 || w->stride_x > 1;
    int64_t k = (int64_t)w->kh * w->kw * (s->out_shape.c / s->node->groups);
    if (method == DEPTHWISE) {
        *work_elems = tap_elems(w) + (size_t)width * (size_t)in.c;
        return cut_rows(h, width, in.c);
    }
    Cut cut = cut_product(method, (int64_t)h * width, k, in.c, s->node->groups);
    *work_elems = (size_t)cut.tile_px * ((method == IM2COL ? (size_t)k : 0) + (strided ? (size_t)in.c : 0));
    return cut;
}

/* Pixels of a phase from where they lie together to where they belong, or added there. */
static void spread(const MieniGrad *g, const float *from, const Axis *y, const Axis *x, int i_pic, int px0, int n_px, int c0,
                   int n_c)
{
    const MieniStep *s = g->step;
    MienShape in = s->in_shape[0];
    for (int p = px0; p < px0 + n_px; p++, from += in.c) {
        ptrdiff_t iy = y->i0 + (ptrdiff_t)(p / x->n) * s->node->win.stride_y, ix = x->i0 + (ptrdiff_t)(p % x->n) * s->node->win.stride_x;
        float *to = g->din[0] + (((ptrdiff_t)i_pic * in.h + iy) * in.w + ix) * in.c + c0;
        if (g->add & 1)
            s->kernels->add_f32(to, to, from, 1, 1, 1, n_c, (MieniAct){ MIENI_ACT_NONE, NULL });
        else
            memcpy(to, from, (size_t)n_c * sizeof(*to));
    }
}

static void depthwise_input(const MieniGrad *g, const Conv *v, const Axis *y, const Axis *x, const Tile *t, float *work)
{
    float *row = work + tap_elems(&g->step->node->win);
    int empty = !y->n_k || !x->n_k;
    if (empty && g->add & 1)
        return;
    memset(row, 0, (size_t)x->n * (size_t)v->c_out * sizeof(*row));
    for (int j = t->px0; j < t->px0 + t->n_px; j++) {
        if (!empty)
            depthwise_row(v, t->i_pic, row, j, (MieniTap *)(void *)work);
        spread(g, row, y, x, t->i_pic, j * x->n, x->n, 0, v->c_out);
    }
}

static void product_input(const MieniGrad *g, const Conv *v, const Axis *y, const Axis *x, const Tile *t, float *work)
{
    const MieniWindow *w = &g->step->node->win;
    float *col = method_of(g->step->node, v->c_out) == IM2COL ? work : NULL;
    if (w->stride_y == 1 && w->stride_x == 1) {
        float *dx = g->din[0] + ((ptrdiff_t)t->i_pic * y->n * x->n + t->px0) * v->c_out + t->c0;
        product_tile(v, t, dx, g->add & 1, col);
        return;
    }
    size_t n_px = (size_t)t->n_px, c = (size_t)v->c_out;
    if (y->n_k && x->n_k)
        product_tile(v, t, work, 0, work + (size_t)g->tile_px * c);
    else if (g->add & 1)
        return;
    else
        memset(work, 0, n_px * c * sizeof(*work));
    spread(g, work, y, x, t->i_pic, t->px0, t->n_px, t->c0, t->n_c);
}

static void input_tile(const MieniGrad *g, int i, float *work)
{
    const MieniStep *s = g->step;
    Cut cut = cut_of(g);
    int tiles = s->in_shape[0].n * g->tiles_px * g->tiles_c, i_phase = i / tiles, py = i_phase / phases_x(s),
        px = i_phase % phases_x(s);
    Axis y = axis_y(s, py), x = axis_x(s, px);
    MieniWindow win = { y.n_k, x.n_k, 1, 1, y.pad, x.pad, 0, 0, y.dil, x.dil };
    Conv v = { s->kernels, g->dout, phase_weights(g, py, px), NULL, s->out_shape, win, s->node->groups, s->in_shape[0].c, x.n,
               { MIENI_ACT_NONE, NULL } };
    int depthwise = method_of(s->node, v.c_out) == DEPTHWISE;
    Tile t = tile_at(&cut, i % tiles, depthwise ? y.n : y.n * x.n, v.c_out);
    if (t.n_px <= 0) /* phases may be smaller than the first */
        return;
    if (depthwise)
        depthwise_input(g, &v, &y, &x, &t, work);
    else
        product_input(g, &v, &y, &x, &t, work);
}

/* ---- backward, to the weight
 *
 * dW = windows(x)^T · d: sums over all pixels, cut into parts by size alone; the parts' sums are added in order. */

enum { PART_MACS = 1 << 25, MAX_PARTS = 16 };

static size_t n_weights(const MieniStep *s)
{
    return (size_t)sum_length(s) * (size_t)s->out_shape.c;
}

/* No more memory for sums than the activations take. */
static int count_parts(const MieniStep *s)
{
    uint64_t most = MAX_PARTS, tiles = (uint64_t)s->out_shape.n * (uint64_t)s->tiles_px;
    uint64_t elems = mien_shape_elems(s->in_shape[0]) + mien_shape_elems(s->out_shape);
    uint64_t n = mien_shape_elems(s->out_shape) * (uint64_t)sum_length(s) / PART_MACS;
    most = most < tiles ? most : tiles;
    most = most < 1 + elems / n_weights(s) ? most : 1 + elems / n_weights(s);
    return n < 1 ? 1 : n < most ? (int)n : (int)most;
}

/* The sums of a part: the gradient itself for the first, then behind the turned weights. */
static float *part_of(const MieniGrad *g, int i_part)
{
    size_t n = n_weights(g->step);
    return i_part ? g->shared + (g->wants & 1 ? n : 0) + (size_t)(i_part - 1) * n : g->dw[MIENI_DWEIGHT];
}

static void product_weight(const MieniGrad *g, float *dw, const Tile *t, float *work)
{
    const MieniStep *s = g->step;
    const MieniNode *node = s->node;
    MienShape in = s->in_shape[0], out = s->out_shape;
    int c_in = in.c / node->groups, c_out = out.c / node->groups, k = sum_length(s);
    const float *d = g->dout + ((ptrdiff_t)t->i_pic * out.h * out.w + t->px0) * out.c;
    MieniPlane plane = { s->in[0] + (ptrdiff_t)t->i_pic * in.h * in.w * in.c, in.h, in.w, in.c, 0, c_in };
    if (method_of(node, in.c) == DIRECT) {
        mieni_sgemm_add(s->kernels, 1, k, c_out, t->n_px, plane.x + (ptrdiff_t)t->px0 * in.c, in.c, d, out.c, dw, out.c);
        return;
    }
    for (int i = 0; i < node->groups; i++) {
        plane.c0 = i * c_in;
        s->kernels->im2col_f32(work, &plane, &node->win, out.w, t->px0, t->n_px);
        mieni_sgemm_add(s->kernels, 1, k, c_out, t->n_px, work, k, d + i * c_out, out.c, dw + i * c_out, out.c);
    }
}

static void depthwise_weight(const MieniGrad *g, float *dw, const Tile *t)
{
    const MieniStep *s = g->step;
    const MieniWindow *w = &s->node->win;
    MienShape in = s->in_shape[0], out = s->out_shape;
    for (int oy = t->px0; oy < t->px0 + t->n_px; oy++) {
        int64_t iy = (int64_t)oy * w->stride_y - w->pad_t;
        const float *d = g->dout + ((ptrdiff_t)t->i_pic * out.h + oy) * out.w * out.c;
        for (int ky = 0; ky < w->kh; ky++) {
            int64_t y = iy + (int64_t)ky * w->dil_y;
            const float *x = s->in[0] + ((ptrdiff_t)t->i_pic * in.h + y) * in.w * in.c;
            if (y >= 0 && y < in.h)
                mieni_dwconv_grad_f32_c(dw + (ptrdiff_t)ky * w->kw * out.c, d, x, w, in.w, out.w, out.c);
        }
    }
}

static void weight_part(const MieniGrad *g, int i_part, float *work)
{
    const MieniStep *s = g->step;
    int depthwise = method_of(s->node, s->in_shape[0].c) == DEPTHWISE;
    Cut cut = { s->tile_px, s->tiles_px, s->out_shape.c, 1 };
    int64_t tiles = (int64_t)s->out_shape.n * s->tiles_px;
    float *dw = part_of(g, i_part);
    memset(dw, 0, n_weights(s) * sizeof(*dw));
    for (int64_t i = tiles * i_part / g->n_parts; i < tiles * (i_part + 1) / g->n_parts; i++) {
        Tile t = tile_at(&cut, (int)i, depthwise ? s->out_shape.h : s->out_shape.h * s->out_shape.w, s->out_shape.c);
        if (depthwise)
            depthwise_weight(g, dw, &t);
        else
            product_weight(g, dw, &t, work);
    }
}

enum { SUM_ELEMS = 16384 };

static void sum_parts(const MieniGrad *g, int tile)
{
    const MieniStep *s = g->step;
    size_t n = n_weights(s), e0 = (size_t)tile * SUM_ELEMS, e1 = n - e0 < SUM_ELEMS ? n : e0 + SUM_ELEMS;
    float *to = g->dw[MIENI_DWEIGHT] + e0;
    for (int i = 1; i < g->n_parts; i++)
        s->kernels->add_f32(to, to, part_of(g, i) + e0, 1, 1, 1, (int)(e1 - e0), (MieniAct){ MIENI_ACT_NONE, NULL });
}

/* ---- backward, all of it */

enum { TURN, INPUT, WEIGHT, SUM, N_PASSES };

static void plan_backward(MieniGrad *g)
{
    const MieniStep *s = g->step;
    Method method = method_of(s->node, s->in_shape[0].c);
    int to_input = g->wants & 1, to_weight = g->wants_w >> MIENI_DWEIGHT & 1, phases = phases_y(s) * phases_x(s);
    size_t n = n_weights(s);
    g->n_passes = N_PASSES;
    for (int i = 0; i < N_PASSES; i++)
        g->n_tiles[i] = 0;
    if (to_input) {
        Cut cut = cut_input(s, method, &g->work_elems);
        g->tile_px = cut.tile_px, g->tiles_px = cut.tiles_px, g->tile_c = cut.tile_c, g->tiles_c = cut.tiles_c;
        g->n_tiles[TURN] = phases;
        g->n_tiles[INPUT] = phases * s->in_shape[0].n * g->tiles_px * g->tiles_c;
        g->shared_elems = n;
    }
    if (to_weight) {
        g->n_parts = count_parts(s);
        g->n_tiles[WEIGHT] = g->n_parts;
        g->n_tiles[SUM] = g->n_parts > 1 ? (int)((n + SUM_ELEMS - 1) / SUM_ELEMS) : 0;
        g->shared_elems += (size_t)(g->n_parts - 1) * n;
        if (method == IM2COL && g->work_elems < s->work_elems)
            g->work_elems = s->work_elems;
    }
}

static void backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    for (int i = tile0; i < tile1; i++) {
        switch (i_pass) {
        case TURN: turn_weights(g, i / phases_x(g->step), i % phases_x(g->step)); break;
        case INPUT: input_tile(g, i, work); break;
        case WEIGHT: weight_part(g, i, work); break;
        case SUM: sum_parts(g, i); break;
        }
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
    .name = "conv2d", .attrs = "kernel stride pad dilation groups cout bias", .min_in = 1, .max_in = 1, .takes_act = 1,
    .parse = parse, .infer = infer, .bind = bind, .plan = plan, .forward = forward, .grad_reads_w = 1, .grad_adds = 1,
    .plan_backward = plan_backward, .backward = backward, .macs = macs, .text = text,
};
