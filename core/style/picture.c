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

#define MAX_LEVELS 12
#define LEAST_LEVEL_PX 160 /* longest side of the coarsest level when sizes choose; smaller ones dissolve the content */
#define COARSE_SHARE 2     /* coarser levels take this many times the finest one's iterations */

typedef struct Level {
    int w, h, i_scale, iterations;
} Level;

typedef struct Work {
    const MienStylePictureParams *p;
    MienModel *model;
    const MienStyleScales *scales;
    const float *content; /* full size */
    float *out;
    Level level[MAX_LEVELS]; /* from coarse to fine */
    int n_levels;
    double done, total;   /* pixels times iterations */
    float *change;        /* result - content of the level before, change_w×change_h */
    int change_w, change_h;
} Work;

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
static int nearest_scale(const Work *work, int long_px)
{
    double wanted = (double)work->scales->size_px / (long_px * work->p->stroke), best = INFINITY;
    int i_best = 0;
    for (int i = 0; i < work->scales->n_scales; i++) {
        double off = fabs(log(work->scales->divisor[i] / wanted));
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

static void plan_levels(Work *work, int w, int h)
{
    int n = 1;
    const int longest = w > h ? w : h;
    while (n < MAX_LEVELS && longest >> n >= LEAST_LEVEL_PX)
        n++;
    if (work->p->n_levels)
        n = work->p->n_levels;
    work->n_levels = n;
    for (int i = 0; i < n; i++) {
        Level *l = &work->level[i];
        l->w = half_times(w, n - 1 - i);
        l->h = half_times(h, n - 1 - i);
        l->i_scale = nearest_scale(work, l->w > l->h ? l->w : l->h);
        l->iterations = work->p->iterations * (i + 1 < n ? COARSE_SHARE : 1);
        work->total += (double)l->w * l->h * l->iterations;
    }
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

/* Where a level begins: its content, with noise at the first and what the level before has changed at the others. */
static int make_start(Work *work, int i_level, const float *content, float *start)
{
    const Level *l = &work->level[i_level];
    const size_t n = (size_t)l->w * (size_t)l->h * 3;
    const float noise = (float)work->p->noise;
    if (i_level == 0) {
        for (size_t i = 0; i < n; i++)
            start[i] = noise > 0 ? content[i] + noise * (noise_at(work->p->seed, i) - content[i]) : content[i];
        return 0;
    }
    int ret = mien_style_resize(work->p->style.exec, work->change, work->change_w, work->change_h, 3, start, l->w, l->h);
    for (size_t i = 0; i < n && ret >= 0; i++)
        start[i] = unit(start[i] + content[i]);
    return ret;
}

/* Returns 0, 1 if the caller wants no more, or a negative code. */
static int iterate(Work *work, int i_level, MienStyle *style)
{
    const Level *l = &work->level[i_level];
    MienStyleProgress progress = { .i_level = i_level, .n_levels = work->n_levels, .w_px = l->w, .h_px = l->h, .style = style,
                                   .n_tiles = mien_style_n_tiles(style), .n_iterations = l->iterations };
    int ret = 0;
    for (int k = 0; k < l->iterations && !ret; k++) {
        ret = mien_style_step(style, &progress.loss);
        if (ret < 0)
            return ret;
        progress.iteration = k + 1;
        progress.done = (work->done + (double)l->w * l->h * (k + 1)) / work->total;
        int wish = work->p->progress ? work->p->progress(work->p->priv, &progress) : 0;
        if (wish)
            return wish < 0 ? wish : 1;
    }
    work->done += (double)l->w * l->h * l->iterations;
    return 0;
}

/* change = to - content; takes to over as change. */
static void keep_change(Work *work, const Level *l, const float *content, float *result)
{
    const size_t n = (size_t)l->w * (size_t)l->h * 3;
    for (size_t i = 0; i < n; i++)
        result[i] -= content[i];
    mien_free(work->change);
    work->change = result;
    work->change_w = l->w;
    work->change_h = l->h;
}

static size_t bytes_of(const Level *l)
{
    return (size_t)l->w * (size_t)l->h * 3 * sizeof(float);
}

/* Runs a level from `result`, which is its start, to its result. */
static int run_session(Work *work, int i_level, const float *content, float *result)
{
    const Level *l = &work->level[i_level];
    const size_t held = i_level + 1 < work->n_levels ? 2 * bytes_of(l) : 0;
    MienStyleParams sp = work->p->style;
    MienStyle *style = NULL;
    sp.w_px = l->w;
    sp.h_px = l->h;
    if (sp.memory_bytes) /* what this file holds beside the session; 1: too little, as the session will say */
        sp.memory_bytes = sp.memory_bytes > held + 1 ? sp.memory_bytes - held : 1;
    int ret = mien_style_create(&style, work->model, &work->scales->target[l->i_scale], &sp);
    if (ret >= 0)
        ret = mien_style_set_content(style, content);
    if (ret >= 0)
        ret = mien_style_start(style, result, l->iterations, 0);
    if (ret >= 0)
        ret = iterate(work, i_level, style);
    if (ret >= 0)
        mien_style_get(style, result);
    mien_style_destroy(&style);
    return ret;
}

/* As run_session's results: 0, 1 or negative. */
static int run_level(Work *work, int i_level)
{
    const Level *l = &work->level[i_level], *full = &work->level[work->n_levels - 1];
    const int finest = l == full;
    float *small = NULL, *result = work->out;
    int ret = 0;
    if (!finest && (!(small = mien_malloc(bytes_of(l))) || !(result = mien_malloc(bytes_of(l)))))
        ret = MIEN_ERR(ENOMEM);
    if (ret >= 0 && !finest)
        ret = mien_style_resize(work->p->style.exec, work->content, full->w, full->h, 3, small, l->w, l->h);
    const float *content = finest ? work->content : small;
    if (ret >= 0)
        ret = make_start(work, i_level, content, result);
    if (ret >= 0 && finest) {
        mien_free(work->change);
        work->change = NULL;
    }
    if (ret >= 0)
        ret = run_session(work, i_level, content, result);
    if (ret >= 0 && !finest) {
        keep_change(work, l, content, result);
        result = NULL;
    }
    if (!finest)
        mien_free(result);
    mien_free(small);
    return ret;
}

int mien_style_picture(MienModel *model, const MienStyleScales *scales, const MienStylePictureParams *params, const float *content,
                       int w_px, int h_px, float *out)
{
    Work work = { .p = params, .model = model, .scales = scales, .content = content, .out = out };
    int ret = params_check(params, scales, w_px, h_px);
    if (ret < 0)
        return ret;
    plan_levels(&work, w_px, h_px);
    for (int i = 0; i < work.n_levels && !ret; i++)
        ret = run_level(&work, i);
    if (ret > 0 && work.change) /* ended early: the level's change on the full picture */
        ret = make_start(&work, work.n_levels - 1, content, out);
    mien_free(work.change);
    if (ret < 0)
        return ret;
    if (params->keep_color)
        mien_style_keep_color(content, out, (size_t)w_px * (size_t)h_px, out);
    return 0;
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
