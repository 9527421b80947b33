/* Element-wise ops: affine (x·scale + bias), relu, sigmoid, prelu, add (alpha·a + beta·b), mul. All shapes n,h,w,c. */
#include "mien/error.h"
#include "nn/nn.h"

static void plan(MieniStep *s)
{
    MienShape out = s->out_shape;
    mieni_plan_pixels(s, (size_t)out.n * (size_t)out.h * (size_t)out.w, out.c);
}

static size_t n_pixels(MienShape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w;
}

/* ---- one input: affine and the activations */

static int bind_affine(const MieniCtx *ctx, MieniNode *node, const MienShape *in)
{
    int64_t dim[] = { in->c };
    int ret = mieni_bind(ctx, "scale", 1, dim, &node->scale, NULL);
    if (!ret)
        ret = mieni_bind(ctx, "bias", 1, dim, &node->bias, NULL);
    return ret ? ret : mieni_bind_act(ctx, node, in->c);
}

static int parse_relu(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    (void)ctx, (void)json;
    node->act.kind = MIENI_ACT_RELU;
    return 0;
}

static int parse_sigmoid(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    (void)ctx, (void)json;
    node->act.kind = MIENI_ACT_SIGMOID;
    return 0;
}

static int parse_prelu(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    (void)ctx, (void)json;
    node->act.kind = MIENI_ACT_PRELU;
    return 0;
}

static int bind_prelu(const MieniCtx *ctx, MieniNode *node, const MienShape *in)
{
    return mieni_bind_act(ctx, node, in->c);
}

static void forward_affine(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    int c = s->out_shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0), at = px0 * (size_t)c;
        float *y = s->pre ? s->pre : s->out;
        s->kernels->affine_f32(y + at, c, s->in[0] + at, c, (ptrdiff_t)n_px, c, s->node->scale, s->node->bias, mieni_act_now(s));
        mieni_act_later(s, at, c, (ptrdiff_t)n_px, c, 0);
    }
}

enum { SCALE_C = 64 }; /* channels a tile, whose sums are one job's */

static void plan_affine_backward(MieniGrad *g)
{
    g->n_passes = 2;
    g->n_tiles[1] = g->n_tiles[0];
    g->n_tiles[0] = g->wants_w ? (g->step->out_shape.c + SCALE_C - 1) / SCALE_C : 0;
}

/* Pass 0: scale, from dout and x. Pass 1: the input, perhaps over dout. */
static void backward_affine(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniStep *s = g->step;
    int c = s->out_shape.c;
    if (!i_pass) {
        int c0 = tile0 * SCALE_C, c1 = tile1 * SCALE_C < c ? tile1 * SCALE_C : c;
        mieni_sum_f32_c(g->dw[MIENI_DSCALE] + c0, g->dout + c0, s->in[0] + c0, 0, (ptrdiff_t)n_pixels(s->out_shape), c, c1 - c0);
        return;
    }
    for (int i = tile0; i < tile1 && g->din[0]; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0), at = px0 * (size_t)c;
        s->kernels->mul_channel_f32(g->din[0] + at, g->dout + at, s->node->scale, (ptrdiff_t)n_px, c);
    }
}

/* ---- two inputs */

static int parse_add(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    node->alpha = node->beta = 1;
    int ret = mieni_attr_float(ctx, json, "alpha", &node->alpha);
    return ret ? ret : mieni_attr_float(ctx, json, "beta", &node->beta);
}

static int differ(int a, int b)
{
    return a && b && a != b;
}

static int infer_add(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    (void)node;
    if (differ(in[0].h, in[1].h) || differ(in[0].w, in[1].w) || differ(in[0].c, in[1].c))
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "its inputs are %dx%dx%d and %dx%dx%d", in[0].h, in[0].w, in[0].c, in[1].h,
                               in[1].w, in[1].c);
    *out = (MienShape){ in[0].n, in[0].h ? in[0].h : in[1].h, in[0].w ? in[0].w : in[1].w, in[0].c ? in[0].c : in[1].c };
    return 0;
}

static int bind_add(const MieniCtx *ctx, MieniNode *node, const MienShape *in)
{
    return mieni_bind_act(ctx, node, in->c);
}

static void forward_add(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniNode *node = s->node;
    size_t c = (size_t)s->out_shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0), at = px0 * c;
        float *y = s->pre ? s->pre : s->out;
        s->kernels->add_f32(y + at, s->in[0] + at, s->in[1] + at, node->alpha, node->beta, (ptrdiff_t)n_px, (int)c,
                            mieni_act_now(s));
        mieni_act_later(s, at, (ptrdiff_t)c, (ptrdiff_t)n_px, (int)c, 0);
    }
}

/* Either input's gradient may lie on dout: read before written. */
static void backward_add(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    const MieniStep *s = g->step;
    size_t c = (size_t)s->out_shape.c;
    float *da = g->din[0], *db = g->din[1], alpha = s->node->alpha, beta = s->node->beta;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, n_pixels(s->out_shape), &px0);
        for (size_t k = px0 * c; k < (px0 + n_px) * c; k++) {
            float d = g->dout[k];
            if (da)
                da[k] = alpha * d;
            if (db)
                db[k] = beta * d;
        }
    }
}

static int is_channel_factor(MienShape b)
{
    return b.h == 1 && b.w == 1;
}

static int infer_mul(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    (void)node;
    int fits = !differ(in[0].c, in[1].c) &&
               (is_channel_factor(in[1]) || (!differ(in[0].h, in[1].h) && !differ(in[0].w, in[1].w)));
    if (!fits)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "its inputs are %dx%dx%d and %dx%dx%d; the second must be the same or 1x1x%d",
                               in[0].h, in[0].w, in[0].c, in[1].h, in[1].w, in[1].c, in[0].c);
    *out = in[0];
    return 0;
}

/* One picture a tile: its factors are its own. */
static void plan_mul(MieniStep *s)
{
    s->n_tiles = s->out_shape.n;
}

static void forward_mul(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape a = s->in_shape[0], b = s->in_shape[1];
    size_t pic_px = (size_t)a.h * (size_t)a.w, c = (size_t)a.c;
    for (int i = tile0; i < tile1; i++) {
        size_t at = (size_t)i * pic_px * c;
        if (is_channel_factor(b))
            s->kernels->mul_channel_f32(s->out + at, s->in[0] + at, s->in[1] + (size_t)i * c, (ptrdiff_t)pic_px, a.c);
        else
            for (size_t k = at; k < at + pic_px * c; k++)
                s->out[k] = s->in[0][k] * s->in[1][k];
    }
}

/* da = d·b, db = d·a; for a factor a channel, db is the sum over the picture. da may lie on d. */
static void backward_mul(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    const MieniStep *s = g->step;
    MienShape a = s->in_shape[0], b = s->in_shape[1];
    size_t pic_px = (size_t)a.h * (size_t)a.w, c = (size_t)a.c;
    for (int i = tile0; i < tile1; i++) {
        size_t at = (size_t)i * pic_px * c, at_b = (size_t)i * c;
        const float *d = g->dout + at;
        if (is_channel_factor(b)) {
            if (g->din[1])
                mieni_sum_f32_c(g->din[1] + at_b, d, s->in[0] + at, 0, (ptrdiff_t)pic_px, a.c, a.c);
            if (g->din[0])
                s->kernels->mul_channel_f32(g->din[0] + at, d, s->in[1] + at_b, (ptrdiff_t)pic_px, a.c);
            continue;
        }
        for (size_t k = 0; k < pic_px * c; k++) {
            float dk = d[k];
            if (g->din[0])
                g->din[0][at + k] = dk * s->in[1][at + k];
            if (g->din[1])
                g->din[1][at + k] = dk * s->in[0][at + k];
        }
    }
}

const MieniOp mieni_op_affine = {
    .name = "affine", .min_in = 1, .max_in = 1, .in_place = 1, .takes_act = 1, .bind = bind_affine, .plan = plan,
    .forward = forward_affine, .grad_reads_w = 1, .grad_in_place = 1, .plan_backward = plan_affine_backward,
    .backward = backward_affine,
};
const MieniOp mieni_op_relu = {
    .name = "relu", .min_in = 1, .max_in = 1, .in_place = 1, .parse = parse_relu, .plan = plan, .forward = forward_affine,
    .grad_in_place = 1, .backward = mieni_copy_backward,
};
const MieniOp mieni_op_sigmoid = {
    .name = "sigmoid", .min_in = 1, .max_in = 1, .in_place = 1, .parse = parse_sigmoid, .plan = plan,
    .forward = forward_affine, .grad_in_place = 1, .backward = mieni_copy_backward,
};
const MieniOp mieni_op_prelu = {
    .name = "prelu", .min_in = 1, .max_in = 1, .in_place = 1, .parse = parse_prelu, .bind = bind_prelu, .plan = plan,
    .forward = forward_affine, .grad_reads = 1, .grad_in_place = 1, .backward = mieni_copy_backward,
};
const MieniOp mieni_op_add = {
    .name = "add", .attrs = "alpha beta", .min_in = 2, .max_in = 2, .in_place = 3, .takes_act = 1, .parse = parse_add,
    .infer = infer_add, .bind = bind_add, .plan = plan, .forward = forward_add, .grad_in_place = 3, .backward = backward_add,
};
const MieniOp mieni_op_mul = {
    .name = "mul", .min_in = 2, .max_in = 2, .in_place = 1, .infer = infer_mul, .plan = plan_mul, .forward = forward_mul,
    .grad_reads = 3, .grad_in_place = 1, .backward = backward_mul,
};
