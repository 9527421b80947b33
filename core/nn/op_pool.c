/* maxpool, avgpool: a window over each channel, padding never counts. globalavg: the mean of a picture's pixels. */
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

const MieniOp mieni_op_maxpool = {
    .name = "maxpool", .attrs = "kernel stride pad", .min_in = 1, .max_in = 1, .parse = parse, .infer = infer, .plan = plan,
    .forward = forward, .text = mieni_text_window,
};
const MieniOp mieni_op_avgpool = {
    .name = "avgpool", .attrs = "kernel stride pad", .min_in = 1, .max_in = 1, .parse = parse, .infer = infer, .plan = plan,
    .forward = forward, .text = mieni_text_window,
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

const MieniOp mieni_op_globalavg = {
    .name = "globalavg", .min_in = 1, .max_in = 1, .infer = infer_globalavg, .plan = plan_globalavg,
    .forward = forward_globalavg,
};
