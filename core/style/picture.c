/* A whole picture, coarse to fine (mien/style.h).
 *
 * Features see a few dozen pixels, so strokes larger than that only come about where the picture is small. Each level is half
 * the next one's size, and its style is that of the preset's scale at which painting and picture are equally large. What a
 * level has changed, result - content, is enlarged and added to the next level's content: detail comes from there. (Gatys,
 * Ecker, Bethge, Hertzmann & Shechtman 2017, section 6, "coarse-to-fine".) */
#include <math.h>
#include <string.h>

#include "mien/error.h"
#include "mien/style.h"
#include "style/resize.h"
#include "style/scene.h"

#define MAX_LEVELS 12
#define LEAST_LEVEL_PX 160 /* longest side of the coarsest level when sizes choose; smaller ones dissolve the content */
#define COARSE_SHARE 2     /* coarser levels take this many times the finest one's iterations */

/* One size of the picture; pictures are w·h·3. */
typedef struct Level {
    int w, h, i_scale, iterations;
    MienStyle *style;
    float *small;         /* the content at this size; NULL at the finest level */
    const float *content; /* small, or the caller's */
    float *result;        /* the caller's at the finest level */
} Level;

struct MieniScene {
    MienModel *model;
    MienStyleParams style; /* w_px and h_px are the finest level's */
    const MienStylePictureParams *p; /* of the call */
    Level level[MAX_LEVELS]; /* from coarse to fine */
    int n_levels;
    int keep; /* sessions and pictures of all levels stay; else each lives as long as it is needed */
    MieniCubic cubic;
    double done, total;   /* pixels times iterations */
};

static int params_check(const MienStylePictureParams *p, const MienStyleScales *scales, int w, int h)
{
    const MienLog log = p->style.log;
    if (w < 1 || h < 1 || w > MIEN_STYLE_MAX_PX || h > MIEN_STYLE_MAX_PX)
        return mien_fail(log, MIEN_ERR(EINVAL), "style: a picture of %dx%d; sides of 1 to %d pixels are possible", w, h, MIEN_STYLE_MAX_PX);
    if (scales->n_scales < 1 || scales->n_scales > MIEN_STYLE_MAX_SCALES || scales->size_px < 1)
        return mien_fail(log, MIEN_ERR(EINVAL), "style: a style without scales or size");
    for (int i = 0; i < scales->n_scales; i++) {
        if (scales->divisor[i] < 1)
            return mien_fail(log, MIEN_ERR(EINVAL), "style: scale %d has the divisor %d", i, scales->divisor[i]);
    }
    if (p->iterations < 0 || p->iterations > MIEN_STYLE_MAX_ITERATIONS || p->n_levels < 0 || p->n_levels > MAX_LEVELS ||
        !(p->stroke >= 0.01) || p->stroke > 100 || !(p->noise >= 0) || p->noise > 1)
        return mien_fail(log, MIEN_ERR(EINVAL), "style: a parameter is out of range");
    return 0;
}

/* The scale at which the style picture is nearest to `stroke` times the size of a picture of this length. */
static int nearest_scale(const MienStyleScales *scales, double stroke, int long_px)
{
    double wanted = (double)scales->size_px / (long_px * stroke), best = INFINITY;
    int i_best = 0;
    for (int i = 0; i < scales->n_scales; i++) {
        double off = fabs(log(scales->divisor[i] / wanted));
        if (off < best - 1e-9) {
            best = off;
            i_best = i;
        }
    }
    return i_best;
}

static int half_times(int v, int n)
{
    v = (int)(((int64_t)v + ((int64_t)1 << n >> 1)) >> n);
    return v < 1 ? 1 : v;
}

/* n_levels 0: as many as the size asks for. */
static void plan_levels(MieniScene *scene, const MienStyleScales *scales, double stroke, int n_levels)
{
    const int w = scene->style.w_px, h = scene->style.h_px, longest = w > h ? w : h;
    int n = 1;
    while (n < MAX_LEVELS && longest >> n >= LEAST_LEVEL_PX)
        n++;
    scene->n_levels = n_levels ? n_levels : n;
    for (int i = 0; i < scene->n_levels; i++) {
        Level *l = &scene->level[i];
        l->w = half_times(w, scene->n_levels - 1 - i);
        l->h = half_times(h, scene->n_levels - 1 - i);
        l->i_scale = nearest_scale(scales, stroke, l->w > l->h ? l->w : l->h);
    }
}

static int is_finest(const MieniScene *scene, const Level *l)
{
    return l == &scene->level[scene->n_levels - 1];
}

/* SplitMix64 (Steele, Lea & Flood 2014): a number for every counter. */
static float noise_at(uint64_t seed, uint64_t i)
{
    uint64_t z = seed + (i + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((z ^ (z >> 31)) >> 40) / 16777216.0f;
}

static float unit(float v)
{
    return v > 0 ? (v < 1 ? v : 1) : 0;
}

static size_t bytes_of(const Level *l)
{
    return (size_t)l->w * (size_t)l->h * 3 * sizeof(float);
}

/* ---- a level's memory */

static int take_pictures(const MieniScene *scene, Level *l)
{
    if (is_finest(scene, l) || l->small)
        return 0;
    l->content = l->small = mien_malloc(bytes_of(l));
    l->result = mien_malloc(bytes_of(l));
    return l->small && l->result ? 0 : MIEN_ERR(ENOMEM);
}

static void drop_pictures(const MieniScene *scene, Level *l)
{
    mien_free(l->small);
    if (!is_finest(scene, l))
        mien_free(l->result);
    l->small = l->result = NULL;
}

static int take_session(const MieniScene *scene, Level *l, const MienStyleScales *scales)
{
    const size_t held = is_finest(scene, l) ? 0 : 2 * bytes_of(l);
    MienStyleParams p = scene->style;
    if (l->style)
        return 0;
    p.w_px = l->w;
    p.h_px = l->h;
    if (p.memory_bytes) /* what this file holds beside the session; 1: too little, as the session will say */
        p.memory_bytes = p.memory_bytes > held + 1 ? p.memory_bytes - held : 1;
    return mien_style_create(&l->style, scene->model, &scales->target[l->i_scale], &p);
}

/* ---- the way through the levels */

/* Where a level begins: its content, with noise at the first and what the level before has changed at the others. */
static int make_start(MieniScene *scene, const Level *l, const Level *before)
{
    const size_t n = (size_t)l->w * (size_t)l->h * 3;
    const float noise = (float)scene->p->noise;
    if (!before) {
        for (size_t i = 0; i < n; i++)
            l->result[i] = noise > 0 ? l->content[i] + noise * (noise_at(scene->p->seed, i) - l->content[i]) : l->content[i];
        return 0;
    }
    const size_t n_before = (size_t)before->w * (size_t)before->h * 3;
    for (size_t i = 0; i < n_before; i++)
        before->result[i] -= before->content[i];
    int ret = mieni_cubic_resize(&scene->cubic, scene->style.exec, before->result, before->w, before->h, 3, l->result, l->w, l->h);
    for (size_t i = 0; i < n && ret >= 0; i++)
        l->result[i] = unit(l->result[i] + l->content[i]);
    return ret;
}

/* Returns 0, 1 if the caller wants no more, or a negative code. */
static int iterate(MieniScene *scene, const Level *l)
{
    const MienStylePictureParams *p = scene->p;
    MienStyleProgress progress = { .i_level = (int)(l - scene->level), .n_levels = scene->n_levels, .w_px = l->w, .h_px = l->h,
                                   .style = l->style, .n_tiles = mien_style_n_tiles(l->style), .n_iterations = l->iterations };
    int ret = mien_style_set_content(l->style, l->content);
    if (ret >= 0)
        ret = mien_style_start(l->style, l->result, l->iterations, 0);
    for (int k = 0; k < l->iterations && !ret; k++) {
        ret = mien_style_step(l->style, &progress.loss);
        if (ret < 0)
            return ret;
        progress.iteration = k + 1;
        progress.done = (scene->done + (double)l->w * l->h * (k + 1)) / scene->total;
        int wish = p->progress ? p->progress(p->priv, &progress) : 0;
        if (wish) {
            mien_style_get(l->style, l->result);
            return wish < 0 ? wish : 1;
        }
    }
    if (ret < 0)
        return ret;
    scene->done += (double)l->w * l->h * l->iterations;
    mien_style_get(l->style, l->result);
    return 0;
}

/* Runs level i. Returns as iterate. scales: needed where sessions don't stay. */
static int run_level(MieniScene *scene, int i, const MienStyleScales *scales)
{
    Level *l = &scene->level[i], *before = i ? l - 1 : NULL;
    const Level *full = &scene->level[scene->n_levels - 1];
    int ret = take_pictures(scene, l);
    if (ret >= 0 && l != full)
        ret = mieni_cubic_resize(&scene->cubic, scene->style.exec, full->content, full->w, full->h, 3, l->small, l->w, l->h);
    if (ret >= 0)
        ret = make_start(scene, l, before);
    if (!scene->keep && before)
        drop_pictures(scene, before);
    if (ret >= 0)
        ret = take_session(scene, l, scales);
    if (ret >= 0)
        ret = iterate(scene, l);
    if (!scene->keep)
        mien_style_destroy(&l->style);
    return ret;
}

static int paint(MieniScene *scene, const MienStyleScales *scales, const MienStylePictureParams *params, const float *content, float *out)
{
    Level *full = &scene->level[scene->n_levels - 1];
    int ret = 0, i = 0;
    scene->p = params;
    scene->done = scene->total = 0;
    full->content = content;
    full->result = out;
    for (Level *l = scene->level; l <= full; l++) {
        l->iterations = params->iterations * (l == full ? 1 : COARSE_SHARE);
        scene->total += (double)l->w * l->h * l->iterations;
    }
    while (i < scene->n_levels && !ret)
        ret = run_level(scene, i++, scales);
    if (ret > 0 && i < scene->n_levels) /* ended early: this level's change on the full picture */
        ret = make_start(scene, full, &scene->level[i - 1]);
    return ret < 0 ? ret : 0;
}

static void uninit(MieniScene *scene)
{
    for (int i = 0; i < scene->n_levels; i++) {
        mien_style_destroy(&scene->level[i].style);
        drop_pictures(scene, &scene->level[i]);
    }
    mieni_cubic_uninit(&scene->cubic);
}

int mien_style_picture(MienModel *model, const MienStyleScales *scales, const MienStylePictureParams *params, const float *content,
                       int w_px, int h_px, float *out)
{
    MieniScene scene = { .model = model, .style = params->style };
    int ret = params_check(params, scales, w_px, h_px);
    if (ret < 0)
        return ret;
    scene.style.w_px = w_px;
    scene.style.h_px = h_px;
    plan_levels(&scene, scales, params->stroke, params->n_levels);
    ret = paint(&scene, scales, params, content, out);
    uninit(&scene);
    if (ret >= 0 && params->keep_color)
        mien_style_keep_color(content, out, (size_t)w_px * (size_t)h_px, out);
    return ret;
}

/* ---- sessions that stay */

int mieni_scene_create(MieniScene **out, MienModel *model, const MienStyleScales *scales, const MienStyleParams *params)
{
    const MienStylePictureParams p = { .style = *params, .stroke = 1 };
    *out = NULL;
    int ret = params_check(&p, scales, params->w_px, params->h_px);
    if (ret < 0)
        return ret;
    MieniScene *scene = mien_calloc(1, sizeof(*scene));
    if (!scene)
        return MIEN_ERR(ENOMEM);
    scene->model = mien_model_ref(model);
    scene->style = *params;
    scene->keep = 1;
    plan_levels(scene, scales, 1, 0);
    for (int i = 0; i < scene->n_levels && ret >= 0; i++) {
        ret = take_pictures(scene, &scene->level[i]);
        if (ret >= 0)
            ret = take_session(scene, &scene->level[i], scales);
    }
    if (ret < 0)
        mieni_scene_destroy(&scene);
    *out = scene;
    return ret;
}

void mieni_scene_destroy(MieniScene **scene)
{
    if (!scene || !*scene)
        return;
    uninit(*scene);
    mien_model_unref(&(*scene)->model);
    mien_free(*scene);
    *scene = NULL;
}

MienStyle *mieni_scene_finest(MieniScene *scene)
{
    return scene->level[scene->n_levels - 1].style;
}

int mieni_scene_set_weights(MieniScene *scene, const MienStyleWeights *weights)
{
    int ret = 0;
    for (int i = 0; i < scene->n_levels && ret >= 0; i++)
        ret = mien_style_set_weights(scene->level[i].style, weights);
    return ret;
}

int mieni_scene_set_style(MieniScene *scene, const MienStyleScales *scales)
{
    const double share = 1;
    int ret = 0;
    for (int i = 0; i < scene->n_levels && ret >= 0; i++) {
        const Level *l = &scene->level[i];
        const MienStyleTarget *target = &scales->target[nearest_scale(scales, 1, l->w > l->h ? l->w : l->h)];
        ret = mien_style_set_target(l->style, &target, &share, 1);
    }
    return ret;
}

int mieni_scene_paint(MieniScene *scene, const MienStylePictureParams *params, const float *content, float *out)
{
    return paint(scene, NULL, params, content, out);
}

void mien_style_keep_color(const float *content, const float *styled, size_t n_px, float *out)
{
    static const float luma[3] = { 0.299f, 0.587f, 0.114f };
    for (size_t i = 0; i < 3 * n_px; i += 3) {
        float change = 0;
        for (int k = 0; k < 3; k++)
            change += luma[k] * (styled[i + (size_t)k] - content[i + (size_t)k]);
        for (int k = 0; k < 3; k++)
            out[i + (size_t)k] = unit(content[i + (size_t)k] + change);
    }
}
