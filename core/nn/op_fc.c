/* fc. x: n,h,w,c read as n rows of k = h·w·c · weight: k,cout · y: n,1,1,cout. Always our own kernel, whose sums don't depend
 * on how many rows there are. */
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

enum { TILE_C = 128 };

static int parse(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    node->has_bias = 1;
    int ret = mieni_attr_int(ctx, json, "cout", 1, MIENI_MAX_CHANNELS, &node->c_out);
    if (!ret)
        ret = mieni_attr_bool(ctx, json, "bias", &node->has_bias);
    if (!ret && !node->c_out)
        ret = mieni_node_fail(ctx, MIEN_E_MODEL, "cout is missing");
    return ret;
}

static int infer(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out)
{
    *out = (MienShape){ in->n, 1, 1, node->c_out };
    int64_t k = (int64_t)in->h * in->w * in->c;
    if (node->weight && k && k != node->weight_rows)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "its weight has %lld rows, this input size gives %dx%dx%d = %lld",
                               (long long)node->weight_rows, in->h, in->w, in->c, (long long)k);
    return 0;
}

static int bind(const MieniCtx *ctx, MieniNode *node, const MienShape *in)
{
    int64_t k = (int64_t)in->h * in->w * in->c; /* 0: the input's size is free, the weight says */
    int64_t dim[] = { k ? k : -1, node->c_out }, c_dim[] = { node->c_out };
    size_t n_weights;
    int ret = mieni_bind(ctx, "weight", 2, dim, &node->weight, &n_weights);
    if (!ret && node->has_bias)
        ret = mieni_bind(ctx, "bias", 1, c_dim, &node->bias, NULL);
    if (ret)
        return ret;
    node->weight_rows = (int64_t)n_weights / node->c_out;
    return mieni_bind_act(ctx, node, node->c_out);
}

static void plan(MieniStep *s)
{
    s->tile_c = TILE_C;
    s->n_tiles = (s->out_shape.c + TILE_C - 1) / TILE_C;
}

static void forward(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniNode *node = s->node;
    MienShape in = s->in_shape[0];
    int k = in.h * in.w * in.c, c = s->out_shape.c;
    for (int i = tile0; i < tile1; i++) {
        int c0 = i * TILE_C, n_c = c - c0 < TILE_C ? c - c0 : TILE_C;
        MieniAct act = { s->pre ? MIENI_ACT_NONE : node->act.kind, node->act.slope ? node->act.slope + c0 : NULL };
        float *y = (s->pre ? s->pre : s->out) + c0;
        s->kernels->gemm_f32(in.n, n_c, k, s->in[0], k, node->weight + c0, c, y, c);
        s->kernels->affine_f32(y, c, y, c, in.n, n_c, NULL, node->bias ? node->bias + c0 : NULL, act);
        mieni_act_later(s, (size_t)c0, c, in.n, n_c, c0);
    }
}

enum { TILE_ROWS = 128 }; /* of the weight */

static void plan_backward(MieniGrad *g)
{
    size_t n = (size_t)g->step->in_shape[0].n, rows = mien_shape_elems(g->step->in_shape[0]) / n;
    g->n_passes = 2;
    g->n_tiles[0] = 1;
    g->n_tiles[1] = (int)((rows + TILE_ROWS - 1) / TILE_ROWS);
    g->shared_elems = n * (size_t)g->step->out_shape.c;
    g->work_elems = n * TILE_ROWS;
}

/* With the batch's gradients as columns, dx^T = W·d^T reads the weight as it lies. Pass 0 makes d^T. Pass 1, rows of the
 * weight: dx, and dW = x^T·d. */
static void backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    const MieniStep *s = g->step;
    int n = s->in_shape[0].n, c = s->out_shape.c, k = s->in_shape[0].h * s->in_shape[0].w * s->in_shape[0].c;
    for (int i = 0; !i_pass && i < c; i++) {
        for (int r = 0; r < n; r++)
            g->shared[i * n + r] = g->dout[(ptrdiff_t)r * c + i];
    }
    for (int i = tile0; i_pass && i < tile1; i++) {
        int k0 = i * TILE_ROWS, n_k = k - k0 < TILE_ROWS ? k - k0 : TILE_ROWS;
        if (g->dw[MIENI_DWEIGHT]) {
            float *dw = g->dw[MIENI_DWEIGHT] + (ptrdiff_t)k0 * c;
            memset(dw, 0, (size_t)n_k * (size_t)c * sizeof(*dw));
            s->kernels->gemm_add_f32(1, n_k, c, n, s->in[0] + k0, k, g->dout, c, dw, c);
        }
        if (!g->din[0])
            continue;
        s->kernels->gemm_f32(n_k, n, c, s->node->weight + (ptrdiff_t)k0 * c, c, g->shared, n, work, n);
        for (int r = 0; r < n; r++) {
            for (int j = 0; j < n_k; j++)
                g->din[0][(ptrdiff_t)r * k + k0 + j] = work[j * n + r];
        }
    }
}

static uint64_t macs(const MieniNode *node, const MienShape *in, const MienShape *out)
{
    (void)out;
    return (uint64_t)mien_shape_elems(*in) * (uint64_t)node->c_out;
}

const MieniOp mieni_op_fc = {
    .name = "fc", .attrs = "cout bias", .min_in = 1, .max_in = 1, .takes_act = 1, .parse = parse, .infer = infer, .bind = bind,
    .plan = plan, .forward = forward, .grad_reads_w = 1, .plan_backward = plan_backward, .backward = backward, .macs = macs,
};
