/* softmax and l2norm, over the channels of each pixel. */
#include "mien/error.h"
#include "nn/nn.h"

static void plan(MieniStep *s)
{
    MienShape out = s->out_shape;
    mieni_plan_pixels(s, (size_t)out.n * (size_t)out.h * (size_t)out.w, out.c);
}

static int parse_l2norm(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json)
{
    node->eps = 1e-12f;
    int ret = mieni_attr_float(ctx, json, "eps", &node->eps);
    if (!ret && !(node->eps > 0))
        ret = mieni_node_fail(ctx, MIEN_E_MODEL, "eps is not above 0");
    return ret;
}

static void forward(const MieniStep *s, int tile0, int tile1, float *work)
{
    (void)work;
    MienShape out = s->out_shape;
    size_t c = (size_t)out.c, all_px = (size_t)out.n * (size_t)out.h * (size_t)out.w;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, all_px, &px0);
        if (s->node->op == &mieni_op_softmax)
            mieni_softmax_f32_c(s->out + px0 * c, s->in[0] + px0 * c, (ptrdiff_t)n_px, out.c);
        else
            mieni_l2norm_f32_c(s->out + px0 * c, s->in[0] + px0 * c, (ptrdiff_t)n_px, out.c, s->node->eps);
    }
}

static void backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)i_pass, (void)work;
    const MieniStep *s = g->step;
    MienShape out = s->out_shape;
    size_t c = (size_t)out.c, all_px = (size_t)out.n * (size_t)out.h * (size_t)out.w;
    for (int i = tile0; i < tile1 && g->din[0]; i++) {
        size_t px0, n_px = mieni_tile_pixels(s, i, all_px, &px0), at = px0 * c;
        if (s->node->op == &mieni_op_softmax)
            mieni_softmax_grad_f32_c(g->din[0] + at, g->dout + at, s->out + at, (ptrdiff_t)n_px, out.c);
        else
            mieni_l2norm_grad_f32_c(g->din[0] + at, g->dout + at, s->in[0] + at, (ptrdiff_t)n_px, out.c, s->node->eps);
    }
}

const MieniOp mieni_op_softmax = {
    .name = "softmax", .min_in = 1, .max_in = 1, .in_place = 1, .plan = plan, .forward = forward,
    .grad_reads = MIENI_READS_OUT, .grad_in_place = 1, .backward = backward,
};
const MieniOp mieni_op_l2norm = {
    .name = "l2norm", .attrs = "eps", .min_in = 1, .max_in = 1, .in_place = 1, .parse = parse_l2norm, .plan = plan,
    .forward = forward, .grad_reads = 1, .grad_in_place = 1, .backward = backward,
};
