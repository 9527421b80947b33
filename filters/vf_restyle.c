/* vf_restyle.c — a video repainted in the style of a picture.
 *
 * A thin adapter: frames go to mien/restyle.h as planes, its numbers become metadata, detection boxes in side data its mask. How a
 * style is found, and what keeps it from flickering, is decided in libmien. Options and outputs: docs/vf_restyle.md.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "lavfi_glue.h"
#include "libavutil/detection_bbox.h"
#include "libavutil/dict.h"
#include "libavutil/eval.h"
#include "libavutil/mem.h"
#include "libavutil/opt.h"
#include "mien/preset.h"
#include "mien/restyle.h"

#define KEY_PREFIX "lavfi.restyle."
#define FACETAG "facetag"               /* AVDetectionBBoxHeader.source of faces */

enum { MODE_OPTIMISE, MODE_FAST };
enum { PRECISION_AUTO, PRECISION_F32, PRECISION_BF16 };
enum { COLOR_STYLE, COLOR_CONTENT };
enum { MASK_ALL, MASK_FACES, MASK_BOXES, MASK_INVERT };

typedef struct RestyleContext {
    const AVClass *class;
    char *preset_name, *preset2_name, *presets_dir, *models, *content_layer, *style_layers;
    double blend, strength, content_weight, tv, temporal, budget;
    int content_loss, optimizer, iterations, cut_iterations, size, init, color, flow, refs, mode, precision, mask;
    int64_t seed;

    MienPreset *preset[2];              /* as opened; [1] NULL without preset2 */
    MienPreset *style;                  /* what is in use: one of them, or their blend */
    MienModel *model;
    MienRestyle *restyle;
    MieniLavfiExec exec;
    MienBox *box;                       /* of the frame's side data */
    unsigned box_bytes;

    int w, h, pix_fmt;                  /* of the last frame */
    int64_t last_pts;
} RestyleContext;

#define OFFSET(x) offsetof(RestyleContext, x)
#define FLAGS (AV_OPT_FLAG_FILTERING_PARAM | AV_OPT_FLAG_VIDEO_PARAM)
#define TFLAGS (FLAGS | AV_OPT_FLAG_RUNTIME_PARAM)

static const AVOption restyle_options[] = {
    { "preset", "set the style: a preset's name or file", OFFSET(preset_name), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, TFLAGS },
    { "preset2", "set a second style to blend in", OFFSET(preset2_name), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, TFLAGS },
    { "blend", "set the share of preset2", OFFSET(blend), AV_OPT_TYPE_DOUBLE, { .dbl = 0.5 }, 0, 1, TFLAGS },
    { "strength", "set the weight of the style; 0: the preset's own", OFFSET(strength), AV_OPT_TYPE_DOUBLE, { .dbl = 0 }, 0, 1e6, TFLAGS },
    { "content_weight", "set the weight of the content; -1: the preset's own",
      OFFSET(content_weight), AV_OPT_TYPE_DOUBLE, { .dbl = -1 }, -1, 1e6, TFLAGS },
    { "content_layer", "set the layer of the feature network that keeps the content; without it the preset's own",
      OFFSET(content_layer), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "content_loss", "set how the content's difference counts",
      OFFSET(content_loss), AV_OPT_TYPE_INT, { .i64 = 0 }, 0, 1, FLAGS, "content_loss" },
        { "l2", "squared", 0, AV_OPT_TYPE_CONST, { .i64 = 0 }, 0, 0, FLAGS, "content_loss" },
        { "l1", "absolute: large differences count less", 0, AV_OPT_TYPE_CONST, { .i64 = 1 }, 0, 0, FLAGS, "content_loss" },
    { "style_layers", "set weights of style layers, as relu1_1=1|relu3_1=0.5; without it the preset's own",
      OFFSET(style_layers), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "tv", "set the weight of smoothness (total variation); -1: the preset's own", OFFSET(tv), AV_OPT_TYPE_DOUBLE, { .dbl = -1 }, -1, 1e6, TFLAGS },
    { "optimizer", "set the method of optimisation",
      OFFSET(optimizer), AV_OPT_TYPE_INT, { .i64 = 0 }, 0, 1, FLAGS, "optimizer" },
        { "lbfgs", "L-BFGS", 0, AV_OPT_TYPE_CONST, { .i64 = 0 }, 0, 0, FLAGS, "optimizer" },
        { "adam", "Adam", 0, AV_OPT_TYPE_CONST, { .i64 = 1 }, 0, 0, FLAGS, "optimizer" },
    { "iterations", "set the number of iterations a frame", OFFSET(iterations), AV_OPT_TYPE_INT, { .i64 = 8 }, 1, 1000, TFLAGS },
    { "cut_iterations", "set the number of iterations after a scene cut; coarser scales take twice as many",
      OFFSET(cut_iterations), AV_OPT_TYPE_INT, { .i64 = 32 }, 1, 1000, TFLAGS },
    { "budget", "set the time a frame may take, in milliseconds, instead of iterations; 0: none",
      OFFSET(budget), AV_OPT_TYPE_DOUBLE, { .dbl = 0 }, 0, 1e6, TFLAGS },
    { "size", "set the long side of the picture that is worked on, in pixels, from 64; 0: chosen",
      OFFSET(size), AV_OPT_TYPE_INT, { .i64 = 0 }, 0, 4096, FLAGS },
    { "init", "set where a frame starts",
      OFFSET(init), AV_OPT_TYPE_INT, { .i64 = MIEN_RESTYLE_INIT_PREVIOUS }, MIEN_RESTYLE_INIT_PREVIOUS, MIEN_RESTYLE_INIT_NOISE, TFLAGS, "init" },
        { "previous", "the last result, moved by the flow; the frame after a cut", 0, AV_OPT_TYPE_CONST,
          { .i64 = MIEN_RESTYLE_INIT_PREVIOUS }, 0, 0, TFLAGS, "init" },
        { "content", "the frame", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_RESTYLE_INIT_CONTENT }, 0, 0, TFLAGS, "init" },
        { "noise", "fixed noise after a cut, then the last result", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_RESTYLE_INIT_NOISE }, 0, 0, TFLAGS, "init" },
    { "seed", "set the seed of the noise", OFFSET(seed), AV_OPT_TYPE_INT64, { .i64 = 0 }, 0, INT64_MAX, FLAGS },
    { "color", "set whose colours the result has",
      OFFSET(color), AV_OPT_TYPE_INT, { .i64 = COLOR_STYLE }, COLOR_STYLE, COLOR_CONTENT, TFLAGS, "color" },
        { "style", "the style's", 0, AV_OPT_TYPE_CONST, { .i64 = COLOR_STYLE }, 0, 0, TFLAGS, "color" },
        { "content", "the frame's own: luminance alone is repainted", 0, AV_OPT_TYPE_CONST, { .i64 = COLOR_CONTENT }, 0, 0, TFLAGS, "color" },
    { "temporal", "set the weight of sameness with the last result; 0: none", OFFSET(temporal), AV_OPT_TYPE_DOUBLE, { .dbl = 300 }, 0, 1e6, TFLAGS },
    { "flow", "follow motion by optical flow", OFFSET(flow), AV_OPT_TYPE_BOOL, { .i64 = 1 }, 0, 1, TFLAGS },
    { "refs", "set how many earlier results count: 1, 2 and 4 frames back", OFFSET(refs), AV_OPT_TYPE_INT, { .i64 = 1 }, 1, 3, TFLAGS },
    { "mask", "set which part of the frame is repainted",
      OFFSET(mask), AV_OPT_TYPE_INT, { .i64 = MASK_ALL }, MASK_ALL, MASK_INVERT, TFLAGS, "mask" },
        { "none", "all of it", 0, AV_OPT_TYPE_CONST, { .i64 = MASK_ALL }, 0, 0, TFLAGS, "mask" },
        { "all", "all of it", 0, AV_OPT_TYPE_CONST, { .i64 = MASK_ALL }, 0, 0, TFLAGS, "mask" },
        { "faces", "heads round the faces that facetag found", 0, AV_OPT_TYPE_CONST, { .i64 = MASK_FACES }, 0, 0, TFLAGS, "mask" },
        { "boxes", "the detection boxes in side data", 0, AV_OPT_TYPE_CONST, { .i64 = MASK_BOXES }, 0, 0, TFLAGS, "mask" },
        { "invert", "everything but the boxes", 0, AV_OPT_TYPE_CONST, { .i64 = MASK_INVERT }, 0, 0, TFLAGS, "mask" },
    { "mode", "set how a frame is repainted",
      OFFSET(mode), AV_OPT_TYPE_INT, { .i64 = MODE_OPTIMISE }, MODE_OPTIMISE, MODE_FAST, FLAGS, "mode" },
        { "optimise", "by optimisation of its pixels", 0, AV_OPT_TYPE_CONST, { .i64 = MODE_OPTIMISE }, 0, 0, FLAGS, "mode" },
        { "fast", "by a trained network (not in this version)", 0, AV_OPT_TYPE_CONST, { .i64 = MODE_FAST }, 0, 0, FLAGS, "mode" },
    { "precision", "set the numbers that are computed with",
      OFFSET(precision), AV_OPT_TYPE_INT, { .i64 = PRECISION_AUTO }, PRECISION_AUTO, PRECISION_BF16, FLAGS, "precision" },
        { "auto", "f32", 0, AV_OPT_TYPE_CONST, { .i64 = PRECISION_AUTO }, 0, 0, FLAGS, "precision" },
        { "f32", "single precision", 0, AV_OPT_TYPE_CONST, { .i64 = PRECISION_F32 }, 0, 0, FLAGS, "precision" },
        { "bf16", "brain floats (not in this version)", 0, AV_OPT_TYPE_CONST, { .i64 = PRECISION_BF16 }, 0, 0, FLAGS, "precision" },
    { "presets", "set the folder of the presets; without it $MIEN_PRESETS, then the installed one",
      OFFSET(presets_dir), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "models", "set the folder of the networks; without it $MIEN_MODELS, then the installed one",
      OFFSET(models), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { NULL }
};

AVFILTER_DEFINE_CLASS(restyle);

/* ---- boxes */

/* The detection boxes that the frame carries, in its own pixels; with faces, only those of facetag. Their number. */
static int frame_boxes(RestyleContext *s, const AVFrame *frame, int faces)
{
    const AVFrameSideData *side = av_frame_get_side_data(frame, AV_FRAME_DATA_DETECTION_BBOXES);
    const AVDetectionBBoxHeader *header = side ? (const AVDetectionBBoxHeader *)side->data : NULL;
    int n = 0;

    if (!header || (faces && strcmp(header->source, FACETAG)))
        return 0;
    av_fast_malloc(&s->box, &s->box_bytes, FFMAX(header->nb_bboxes, 1) * sizeof(*s->box));
    if (!s->box)
        return AVERROR(ENOMEM);
    for (; n < (int)header->nb_bboxes; n++) {
        const AVDetectionBBox *b = av_get_detection_bbox(header, n);

        s->box[n] = (MienBox){ b->x, b->y, b->x + b->w, b->y + b->h };
    }
    return n;
}

/* ---- what a frame is told */

static int add_metadata(AVFrame *frame, const MienRestyleInfo *info)
{
    const struct {
        const char *key;
        double value;
        int digits;
    } row[] = {
        { "loss", info->loss.total, 6 }, { "content", info->loss.content, 6 }, { "style", info->loss.style, 6 }, { "iterations", info->iterations, 0 },
        { "ms", info->ms, 2 }, { "cut", info->cut, 0 }, { "ewarp", info->ewarp, 8 },
    };

    for (int i = 0; i < FF_ARRAY_ELEMS(row); i++) {
        char key[64], value[64];
        int ret;

        snprintf(key, sizeof(key), KEY_PREFIX "%s", row[i].key);
        snprintf(value, sizeof(value), "%.*f", row[i].digits, row[i].value);
        ret = av_dict_set(&frame->metadata, key, isfinite(row[i].value) ? value : NULL, 0);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int forget(AVFilterContext *ctx)
{
    RestyleContext *s = ctx->priv;

    s->last_pts = AV_NOPTS_VALUE;
    if (s->restyle)
        mien_restyle_reset(s->restyle);
    return 0;
}

static int restyle_frame(AVFilterContext *ctx, AVFrame **frame_ptr)
{
    RestyleContext *s = ctx->priv;
    const AVFrame *in = *frame_ptr;
    MienMask mask = { .shape = s->mask == MASK_FACES ? MIEN_MASK_HEADS : MIEN_MASK_BOXES, .invert = s->mask == MASK_INVERT };
    MienRestyleInfo info;
    MienPlanes planes;
    int ret;

    if (s->w != in->width || s->h != in->height || s->pix_fmt != in->format ||
        (in->pts != AV_NOPTS_VALUE && s->last_pts != AV_NOPTS_VALUE && in->pts < s->last_pts)) {
        forget(ctx);
        s->w = in->width;
        s->h = in->height;
        s->pix_fmt = in->format;
    }
    s->last_pts = in->pts;

    if (s->mask != MASK_ALL) {
        mask.n_boxes = ret = frame_boxes(s, in, s->mask == MASK_FACES);
        mask.box = s->box;
        if (ret < 0 || (!ret && !mask.invert))
            return ret; /* nothing to repaint: the frame as it is */
    }
    ret = ff_inlink_make_frame_writable(ctx->inputs[0], frame_ptr);
    if (ret < 0)
        return ret;
    planes = mieni_lavfi_planes(*frame_ptr);
    ret = mien_restyle_frame(s->restyle, &planes, s->mask == MASK_ALL ? NULL : &mask, &info);
    if (ret < 0)
        return mieni_lavfi_error(ret);
    return add_metadata(*frame_ptr, &info);
}

static int activate(AVFilterContext *ctx)
{
    return mieni_lavfi_activate(ctx, restyle_frame, forget, forget);
}

/* ---- life */

static av_cold int init(AVFilterContext *ctx)
{
    RestyleContext *s = ctx->priv;

    s->last_pts = AV_NOPTS_VALUE;
    if (!s->preset_name || !*s->preset_name) {
        av_log(ctx, AV_LOG_ERROR, "No style is given: set preset=NAME or preset=FILE; 'mien preset list' shows the names.\n");
        return AVERROR(EINVAL);
    }
    if (s->size && s->size < 64) {
        av_log(ctx, AV_LOG_ERROR, "size is %d; it must be 0 or from 64 to 4096 pixels.\n", s->size);
        return AVERROR(EINVAL);
    }
    if (s->mode == MODE_FAST) {
        av_log(ctx, AV_LOG_ERROR, "mode=fast is not in this version; leave mode out, and set budget=MS for speed.\n");
        return AVERROR(ENOSYS);
    }
    if (s->precision == PRECISION_BF16) {
        av_log(ctx, AV_LOG_ERROR, "precision=bf16 is not in this version; set precision=f32 or leave it out.\n");
        return AVERROR(ENOSYS);
    }
    return 0;
}

/* ---- the style */

/* Puts the weights of option style_layers, NAME=WEIGHT|NAME=WEIGHT…, into the style; layers that it leaves out don't count. */
static int weigh_layers(AVFilterContext *ctx, MienStyleScales *style)
{
    RestyleContext *s = ctx->priv;
    const MienStyleTarget *first = &style->target[0];
    double weight[MIEN_STYLE_MAX_LAYERS] = { 0 }, sum = 0;
    const char *p = s->style_layers;

    if (!p || !*p)
        return 0;
    while (*p) {
        char name[64], *end;
        int used = 0, i = 0;
        double w = 1;

        if (sscanf(p, "%63[^=|]%n", name, &used) != 1) {
            av_log(ctx, AV_LOG_ERROR, "style_layers: '%s' does not begin with a layer's name; write relu1_1=1|relu3_1=0.5.\n", p);
            return AVERROR(EINVAL);
        }
        p += used;
        if (*p == '=') {
            w = av_strtod(p + 1, &end);
            if (end == p + 1 || !(w >= 0 && w <= 1e6)) {
                av_log(ctx, AV_LOG_ERROR, "style_layers: the weight of %s must be a number from 0 to 1000000.\n", name);
                return AVERROR(EINVAL);
            }
            p = end;
        }
        if (*p && *p++ != '|') {
            av_log(ctx, AV_LOG_ERROR, "style_layers: after %s there must be a '|' or the end.\n", name);
            return AVERROR(EINVAL);
        }
        while (i < first->n_layers && strcmp(first->layer[i].name, name))
            i++;
        if (i == first->n_layers) {
            av_log(ctx, AV_LOG_ERROR, "style_layers: the preset has no layer %s; its layers are", name);
            for (i = 0; i < first->n_layers; i++)
                av_log(ctx, AV_LOG_ERROR, " %s", first->layer[i].name);
            av_log(ctx, AV_LOG_ERROR, ".\n");
            return AVERROR(EINVAL);
        }
        weight[i] = w;
        sum += w;
    }
    if (!(sum > 0)) {
        av_log(ctx, AV_LOG_ERROR, "style_layers: all weights are 0; one at least must not be.\n");
        return AVERROR(EINVAL);
    }
    for (int k = 0; k < style->n_scales; k++)
        for (int i = 0; i < style->target[k].n_layers; i++)
            style->target[k].layer[i].weight = weight[i];
    return 0;
}

static int preset_style(AVFilterContext *ctx, const MienPreset *preset, MienStyleScales *style)
{
    mien_preset_style(preset, style);
    return weigh_layers(ctx, style);
}

static MienStyleWeights weights(const RestyleContext *s, const MienPreset *preset)
{
    const MienPresetSettings *set = &mien_preset_info(preset)->settings;

    MienStyleWeights w = MIEN_STYLE_WEIGHTS_DEFAULTS;

    w.strength = s->strength > 0 ? s->strength : set->strength;
    w.content  = s->content_weight >= 0 ? s->content_weight : set->content_weight;
    w.tv       = s->tv >= 0 ? s->tv : set->tv;
    return w;
}

static MienRestyleControls controls(const RestyleContext *s)
{
    MienRestyleControls c = MIEN_RESTYLE_CONTROLS_DEFAULTS;

    c.iterations     = s->iterations;
    c.cut_iterations = s->cut_iterations;
    c.budget_ms      = s->budget;
    c.temporal       = s->temporal;
    c.n_refs         = s->refs;
    c.with_flow      = s->flow;
    c.keep_chroma    = s->color == COLOR_CONTENT;
    c.init           = s->init;
    return c;
}

static int open_preset(AVFilterContext *ctx, MienPreset **preset, const char *name)
{
    RestyleContext *s = ctx->priv;

    return mieni_lavfi_error(mien_preset_open_named(preset, name, s->presets_dir, mieni_lavfi_log(ctx)));
}

/* One preset, or two blended. */
static int mix_presets(AVFilterContext *ctx, MienPreset *a, MienPreset *b, MienPreset **mix)
{
    RestyleContext *s = ctx->priv;
    MienPreset *both[2] = { a, b };
    double share[2] = { 1 - s->blend, s->blend };

    if (!b) {
        *mix = mien_preset_ref(a);
        return 0;
    }
    return mieni_lavfi_error(mien_preset_blend(mix, both, share, 2, "blend", mieni_lavfi_log(ctx)));
}

/* Opens presets whose names have changed and puts their mix into use; on failure all stays as it was. */
static int change_style(AVFilterContext *ctx, const char *name, const char *name2)
{
    RestyleContext *s = ctx->priv;
    MienPreset *a = NULL, *b = NULL, *mix = NULL;
    MienStyleScales style;
    MienStyleWeights w;
    int ret = 0;

    if (name)
        ret = open_preset(ctx, &a, name);
    else
        a = mien_preset_ref(s->preset[0]);
    if (ret >= 0 && name2 && *name2)
        ret = open_preset(ctx, &b, name2);
    else if (!name2 && s->preset[1])
        b = mien_preset_ref(s->preset[1]);
    if (ret >= 0 && name && s->model)
        ret = mieni_lavfi_error(mien_preset_fits(a, s->model, mieni_lavfi_log(ctx)));
    if (ret >= 0)
        ret = mix_presets(ctx, a, b, &mix);
    if (ret >= 0)
        ret = preset_style(ctx, mix, &style);
    if (ret >= 0 && s->restyle) {
        w = weights(s, mix);
        ret = mieni_lavfi_error(mien_restyle_set_style(s->restyle, &style));
        if (ret >= 0)
            ret = mieni_lavfi_error(mien_restyle_set_weights(s->restyle, &w));
    }
    if (ret >= 0) {
        FFSWAP(MienPreset *, a, s->preset[0]);
        FFSWAP(MienPreset *, b, s->preset[1]);
        FFSWAP(MienPreset *, mix, s->style);
    }
    mien_preset_unref(&a);
    mien_preset_unref(&b);
    mien_preset_unref(&mix);
    return ret;
}

/* Not in init: ffmpeg makes every complex graph once for its description alone, and again when its input is known. */
static int config_input(AVFilterLink *inlink)
{
    AVFilterContext *ctx = inlink->dst;
    RestyleContext *s = ctx->priv;
    MienRestyleParams params = MIEN_RESTYLE_DEFAULTS;
    int ret;

    if (s->restyle)
        return 0;
    if (!s->style && (ret = change_style(ctx, s->preset_name, s->preset2_name)) < 0)
        return ret;
    if (!s->model && (ret = mien_preset_open_model(&s->model, s->style, s->models, mieni_lavfi_log(ctx))) < 0)
        return mieni_lavfi_error(ret);
    if ((ret = preset_style(ctx, s->style, &params.style)) < 0)
        return ret;
    params.exec              = mieni_lavfi_exec(&s->exec, ctx);
    params.log               = mieni_lavfi_log(ctx);
    params.model             = s->model;
    params.session.optimizer = s->optimizer;
    params.session.distance  = s->content_loss;
    params.session.weights   = weights(s, s->style);
    params.session.content_layer = s->content_layer ? s->content_layer : mien_preset_info(s->style)->settings.content_layer;
    params.size_px           = s->size;
    params.seed              = s->seed;
    params.controls          = controls(s);
    return mieni_lavfi_error(mien_restyle_create(&s->restyle, &params));
}

static av_cold void uninit(AVFilterContext *ctx)
{
    RestyleContext *s = ctx->priv;
    MienRestyleStats stats = { 0 };

    if (s->restyle)
        mien_restyle_stats(s->restyle, &stats);
    if (stats.frames)
        av_log(ctx, AV_LOG_INFO, "frames:%"PRIu64" cuts:%"PRIu64" iterations:%"PRIu64" ms:%.1f loss:%.6f content:%.6f "
               "style:%.6f ewarp:%.8f\n", stats.frames, stats.cuts, stats.iterations, stats.ms, stats.loss, stats.content,
               stats.style, stats.ewarp);
    mien_restyle_destroy(&s->restyle);
    mien_preset_unref(&s->style);
    mien_preset_unref(&s->preset[0]);
    mien_preset_unref(&s->preset[1]);
    mien_model_unref(&s->model);
    av_freep(&s->box);
}

/* A command that fails leaves everything as it was. */
static int process_command(AVFilterContext *ctx, const char *cmd, const char *arg, char *res, int res_len, int flags)
{
    RestyleContext *s = ctx->priv;
    MienRestyleControls c;
    int ret;

    if (s->restyle && !strcmp(cmd, "reset"))
        return forget(ctx);
    if (s->restyle && !strcmp(cmd, "preset") && (ret = change_style(ctx, arg, NULL)) < 0)
        return ret;
    if (s->restyle && !strcmp(cmd, "preset2") && (ret = change_style(ctx, NULL, arg)) < 0)
        return ret;
    ret = ff_filter_process_command(ctx, cmd, arg, res, res_len, flags);
    if (ret < 0 || !s->restyle)
        return ret;
    if (!strcmp(cmd, "blend") || !strcmp(cmd, "strength") || !strcmp(cmd, "content_weight") || !strcmp(cmd, "tv"))
        return change_style(ctx, NULL, NULL);
    c = controls(s);
    return mieni_lavfi_error(mien_restyle_set_controls(s->restyle, &c));
}

static const AVFilterPad restyle_inputs[] = {
    {
        .name         = "default",
        .type         = AVMEDIA_TYPE_VIDEO,
        .config_props = config_input,
    },
};

static const AVFilterPad restyle_outputs[] = {
    {
        .name = "default",
        .type = AVMEDIA_TYPE_VIDEO,
    },
};

MIEN_FILTER(ff_vf_restyle) = {
    MIEN_FILTER_PUBLIC(
    .name        = "restyle",
    .description = NULL_IF_CONFIG_SMALL("Repaint video in the style of a picture, without flicker."),
    .priv_class  = &restyle_class,
    .flags       = AVFILTER_FLAG_SUPPORT_TIMELINE_INTERNAL | AVFILTER_FLAG_SLICE_THREADS,
    )
    .priv_size       = sizeof(RestyleContext),
    .init            = init,
    .uninit          = uninit,
    .activate        = activate,
    .process_command = process_command,
    FILTER_INPUTS(restyle_inputs),
    FILTER_OUTPUTS(restyle_outputs),
    FILTER_PIXFMTS_ARRAY(mieni_lavfi_pix_fmts),
};
