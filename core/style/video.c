/* video.c — a film in a style: flow, warped starts and targets, cuts, time budget around mien/style.h. See mien/restyle.h.
 *
 * After Ruder, Dosovitskiy, Brox 2016. What is done differently, and why:
 *  - Few iterations a frame, from a start that is nearly right: what the flow moves is kept to the sample where nothing moves, what it
 *    uncovers starts in the last result's colours (a linear map of RGB fitted to the last frame and its result), never raw.
 *  - A certain flow is not enough: the moved input must look like this frame (lights go out, pictures dissolve). Slow changes of
 *    brightness are added to what was moved, so that a fade is followed and nothing lags or drifts.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "image/cut.h"
#include "image/planes.h"
#include "mien/error.h"
#include "mien/flow.h"
#include "mien/restyle.h"
#include "style/scene.h"
#include "style/upsample.h"

#define MAX_BACK 4
#define RING (MAX_BACK + 1)
#define MAX_REFS 3
#define LEAST_HEED 0.2f      /* what finished pixels count for beside raw ones */
#define ANCHOR_CELLS 12      /* of the anchor's grid along the longer side */
#define ANCHOR_WEIGHT 100
#define MIN_SIDE_PX 16       /* of the working picture: what the feature network's poolings need */
#define DEFAULT_SIZE_PX 480
#define BUDGET_CUT 4         /* times as long, with a budget */
#define BUDGET_SHARE 0.12    /* an iteration's largest share of the budget: how near to it a frame can end */
#define LEAST_SIZE_PX 96     /* what a budget may shrink the working picture to */

static const int ref_back[MAX_REFS] = { 1, 2, 4 };

/* A frame and its result at the working size. */
typedef struct Past {
    MienFlowFrame *luma;
    float *in, *out; /* RGB */
    float *worked;   /* iterations that each pixel of out has had, its past included; no more than a scene's first frame takes */
} Past;

struct MienRestyle {
    MienRestyleParams p;
    char *content_layer;
    MienRestyleControls c;
    int frame_w, frame_h; /* 0: nothing prepared */
    int w, h, size_px;
    MieniScene *scene;
    MienStyle *style; /* the scene's, at full working size */
    MienFlow *flow;
    Past ring[RING];
    int i_now, n_past; /* ring[i_now] is this frame; n_past before it are known */
    float *block;
    float *uv, *uv_back, *luma, *moved, *change, *tmp, *start, *last; /* last: the last result moved by the flow */
    float *target[MAX_REFS], *certainty[MAX_REFS], *certain_last;
    float *worked; /* as Past's, before this frame's iterations */
    float *heed;   /* what each pixel counts for in the style's statistics */
    float colours[3][4]; /* of the scene: what takes its first frame to the result; see fit_colours */
    int heed_all;  /* all the same */
    MieniCut cut;
    MieniReducer reducer;
    MieniUpsampler upsampler;
    double tail_ms;  /* what the last frame took after its iterations */
    int n_over;      /* frames in a row that one iteration made too long, and their time as a share for fit_budget */
    double over_ms;
    MienRestyleStats sum;
    uint64_t n_ewarp;
};

static double now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static Past *past(MienRestyle *r, int back)
{
    return &r->ring[(r->i_now + RING - back) % RING];
}

/* ---- memory */

static void unprepare(MienRestyle *r)
{
    mieni_scene_destroy(&r->scene);
    r->style = NULL;
    mien_flow_destroy(&r->flow);
    for (int i = 0; i < RING; i++)
        mien_flow_frame_destroy(&r->ring[i].luma);
    mien_free(r->block);
    r->block = NULL;
    r->frame_w = r->frame_h = r->n_past = r->n_over = 0;
    r->over_ms = 0;
}

static void working_size(int w, int h, int size_px, int *out_w, int *out_h)
{
    int longest = w > h ? w : h;
    double f = size_px < longest ? (double)size_px / longest : 1;
    *out_w = (int)lrint(w * f);
    *out_h = (int)lrint(h * f);
    *out_w = *out_w < MIN_SIDE_PX ? MIN_SIDE_PX : *out_w;
    *out_h = *out_h < MIN_SIDE_PX ? MIN_SIDE_PX : *out_h;
}

static int open_scene(const MienRestyle *r, MieniScene **scene, int w, int h)
{
    MienStyleParams p = r->p.session;
    p.exec = r->p.exec;
    p.log = r->p.log;
    p.w_px = w;
    p.h_px = h;
    return mieni_scene_create(scene, r->p.model, &r->p.style, &p);
}

static int prepare(MienRestyle *r, int frame_w, int frame_h, int size_px)
{
    unprepare(r);
    working_size(frame_w, frame_h, size_px, &r->w, &r->h);
    const size_t n = (size_t)r->w * (size_t)r->h;
    int ret = open_scene(r, &r->scene, r->w, r->h);
    if (ret < 0)
        return ret;
    r->style = mieni_scene_finest(r->scene);
    MienFlowParams f = MIEN_FLOW_DEFAULTS;
    f.exec = r->p.exec;
    f.log = r->p.log;
    f.w_px = r->w;
    f.h_px = r->h;
    ret = mien_flow_create(&r->flow, &f);
    for (int i = 0; i < RING && ret >= 0; i++)
        ret = mien_flow_frame_create(&r->ring[i].luma, &f);
    size_t planes = 2 + 2 + 1 + 3 + 1 + 1 + 3 + 3 + 1 + 1 + 1 + MAX_REFS * 4 + RING * 7;
    if (ret >= 0 && !(r->block = mien_malloc_array(n * planes, sizeof(float))))
        ret = MIEN_ERR(ENOMEM);
    if (ret < 0) {
        unprepare(r);
        return ret == MIEN_ERR(ENOMEM) ? mien_fail(r->p.log, ret, "style: out of memory for a working size of %dx%d", r->w, r->h) : ret;
    }
    float *at = r->block;
    struct {
        float **p;
        int channels;
    } part[] = { { &r->uv, 2 }, { &r->uv_back, 2 }, { &r->luma, 1 }, { &r->moved, 3 }, { &r->change, 1 }, { &r->tmp, 1 },
                 { &r->start, 3 }, { &r->last, 3 }, { &r->certain_last, 1 },
                 { &r->worked, 1 }, { &r->heed, 1 } };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(part); i++, at += n * (size_t)part[i - 1].channels)
        *part[i].p = at;
    for (int i = 0; i < MAX_REFS; i++, at += 4 * n) {
        r->target[i] = at;
        r->certainty[i] = at + 3 * n;
    }
    for (int i = 0; i < RING; i++, at += 7 * n) {
        r->ring[i].in = at;
        r->ring[i].out = at + 3 * n;
        r->ring[i].worked = at + 6 * n;
    }
    r->frame_w = frame_w;
    r->frame_h = frame_h;
    r->size_px = size_px;
    return 0;
}

/* ---- what is known from the past */

static float luma_of(const float *rgb)
{
    return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2];
}

/* The linear map of RGB that best takes the last frame to its result: out = m[c][0..2]·rgb + m[c][3]. Least squares over every fifth pixel,
 * held near the identity where the frame has too few colours to tell. */
static void fit_colours(const MienRestyle *r, const Past *last, float m[3][4])
{
    double a[4][7] = { { 0 } };
    const size_t n = (size_t)r->w * (size_t)r->h;
    size_t count = 0;
    for (size_t k = 0; k < n; k += 5, count++) {
        const float *x = last->in + 3 * k, *y = last->out + 3 * k;
        double v[7] = { x[0], x[1], x[2], 1, y[0], y[1], y[2] };
        for (int i = 0; i < 4; i++)
            for (int j = 0; j < 7; j++)
                a[i][j] += v[i] * v[j];
    }
    for (int i = 0; i < 4; i++) {
        double hold = (i < 3 ? 2e-3 : 1e-6) * (double)count;
        a[i][i] += hold;
        if (i < 3)
            a[i][4 + i] += hold;
    }
    for (int i = 0; i < 4; i++) /* Gauss; positive definite, so no pivoting */
        for (int k = 0; k < 4; k++)
            if (k != i) {
                double f = a[k][i] / a[i][i];
                for (int j = i; j < 7; j++)
                    a[k][j] -= f * a[i][j];
            }
    for (int c = 0; c < 3; c++)
        for (int i = 0; i < 4; i++)
            m[c][i] = (float)(a[i][4 + c] / a[i][i]);
}

/* Flow from this frame to one in the past, and how far it can be trusted. Without flow nothing moves and all is certain so far. */
static void find_flow(MienRestyle *r, const Past *from, float *certainty)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    if (!r->c.with_flow) {
        memset(r->uv, 0, 2 * n * sizeof(float));
        for (size_t k = 0; k < n; k++)
            certainty[k] = 1;
        return;
    }
    mien_flow_estimate(r->flow, past(r, 0)->luma, from->luma, r->uv);
    mien_flow_estimate(r->flow, from->luma, past(r, 0)->luma, r->uv_back);
    mien_flow_certainty(r->p.exec, r->uv, r->uv_back, r->w, r->h, certainty);
}

static int by_size(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* The median of the flow: the camera's motion, where most of the picture is background. Exactly 0 if it hardly moves. */
static void common_motion(const MienRestyle *r, float common[2])
{
    enum { MOST = 1024 };
    const size_t n = (size_t)r->w * (size_t)r->h, step = n / MOST + 1;
    float v[MOST];
    for (size_t c = 0; c < 2; c++) {
        size_t m = 0;
        for (size_t k = step / 2; k < n; k += step)
            v[m++] = r->uv[2 * k + c];
        qsort(v, m, sizeof(*v), by_size);
        common[c] = v[m / 2];
    }
    if (common[0] * common[0] + common[1] * common[1] < 0.09f)
        common[0] = common[1] = 0;
}

/* How much the past frame, moved by uv, differs from this one: mean of |RGB| over 5×5 pixels. Leaves r->moved overwritten. */
static void misfit(MienRestyle *r, const Past *from, const float *uv, float *out)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float *now = past(r, 0)->in;
    mien_flow_warp(r->p.exec, from->in, r->w, r->h, 3, uv, r->moved);
    for (size_t k = 0; k < n; k++) {
        const float *a = now + 3 * k, *b = r->moved + 3 * k;
        r->luma[k] = (fabsf(a[0] - b[0]) + fabsf(a[1] - b[1]) + fabsf(a[2] - b[2])) / 3;
    }
    mieni_box_mean(r->luma, r->w, r->h, 2, r->tmp, out);
}

/* Where the camera's motion explains a pixel as well as its own flow does, the camera's counts. Flow is smooth: beside moving things it drags
 * the background along, and strokes would be stretched a little more in every frame. And what stands still is not
 * sampled between pixels again and again, which would blur it. */
static void prefer_common(MienRestyle *r, const Past *from, float *certainty)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float most = 0.03f, slack = 0.006f;
    float common[2], *own_misfit = r->change, *common_misfit = r->moved;
    common_motion(r, common);
    for (size_t k = 0; k < n; k++) {
        r->uv_back[2 * k] = common[0];
        r->uv_back[2 * k + 1] = common[1];
    }
    misfit(r, from, r->uv, own_misfit);
    misfit(r, from, r->uv_back, common_misfit); /* its last step reads r->luma alone */
    for (size_t k = 0; k < n; k++) {
        float x = (float)(k % (size_t)r->w) + common[0], y = (float)(k / (size_t)r->w) + common[1];
        if (common_misfit[k] > most || common_misfit[k] > own_misfit[k] + slack || x < 0 || y < 0 || x > (float)(r->w - 1) ||
            y > (float)(r->h - 1))
            continue;
        r->uv[2 * k] = common[0];
        r->uv[2 * k + 1] = common[1];
        certainty[k] = fmaxf(certainty[k], fminf(2 - 2 * common_misfit[k] / most, 1));
    }
}

/* The past result moved to this frame (target), its certainty less what the pictures contradict, and the change of brightness added. If
 * first, also the start of the search. gain: what one step of luma is in the result's colours. */
static void move_result(MienRestyle *r, const Past *from, float m[3][4], float *target, float *certainty, float *start)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float *now = past(r, 0)->in;
    mien_flow_warp(r->p.exec, from->in, r->w, r->h, 3, r->uv, r->moved);
    mien_flow_warp(r->p.exec, from->out, r->w, r->h, 3, r->uv, target);
    for (size_t k = 0; k < n; k++)
        r->luma[k] = luma_of(now + 3 * k) - luma_of(r->moved + 3 * k);
    mieni_box_mean(r->luma, r->w, r->h, 6, r->tmp, r->change);
    for (size_t k = 0; k < n; k++) /* a large change is no change of light but another thing */
        r->change[k] *= expf(-r->change[k] * r->change[k] / (0.05f * 0.05f));
    float gain[3];
    for (int c = 0; c < 3; c++)
        gain[c] = fminf(fmaxf(m[c][0] + m[c][1] + m[c][2], 0), 2);
    for (size_t k = 0; k < n; k++) {
        const float *x = now + 3 * k, *was = r->moved + 3 * k;
        float miss = 0;
        for (int c = 0; c < 3; c++)
            miss += (x[c] - was[c] - r->change[k]) * (x[c] - was[c] - r->change[k]) / 3;
        float looks_same = expf(-miss / 0.01f); /* differences of 0.1 */
        for (int c = 0; c < 3; c++)
            target[3 * k + (size_t)c] += gain[c] * r->change[k];
        if (start) {
            float keep = fmaxf(certainty[k], 0.5f) * looks_same;
            for (int c = 0; c < 3; c++) {
                float fresh = m[c][0] * x[0] + m[c][1] * x[1] + m[c][2] * x[2] + m[c][3];
                float v = fresh + keep * (target[3 * k + (size_t)c] - fresh);
                start[3 * k + (size_t)c] = v > 0 ? (v < 1 ? v : 1) : 0;
            }
        }
        certainty[k] *= looks_same;
    }
}

/* A few iterations make no stroke: what has come into view is held to its last result only as far as that was worked out, or it would
 * stay as raw as it was when it came. */
static void hold_by_work(MienRestyle *r, const Past *from, float *certainty, float *worked)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float whole = (float)r->c.cut_iterations;
    mien_flow_warp(r->p.exec, from->worked, r->w, r->h, 1, r->uv, worked);
    for (size_t k = 0; k < n; k++) {
        float share = fminf(worked[k] / whole, 1);
        worked[k] *= certainty[k];
        certainty[k] *= share * share * share;
    }
}

/* The Gram matrices are the whole picture's: where most of it has the style already, what is new hardly changes them and would stay as it is.
 * So pixels count the less the more they are worked out. */
static void heed_new(MienRestyle *r)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float whole = (float)r->c.cut_iterations;
    double raw = 0;
    for (size_t k = 0; k < n; k++) {
        float share = fminf(r->worked[k] / whole, 1);
        r->heed[k] = 1 - (1 - LEAST_HEED) * share;
        raw += (double)(1 - share);
    }
    r->heed_all = raw < 0.002 * (double)n;
}

/* Targets from the past, nearest first; a farther one counts where the nearer ones know nothing (Ruder et al. 2016, eq. 8). Returns
 * the number of targets, 0 if the nearest is certain almost nowhere: then this is a cut after all. */
static int recall(MienRestyle *r)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    float m[3][4];
    int n_targets = 0;
    fit_colours(r, past(r, 1), m);
    for (int i = 0; i < r->c.n_refs && ref_back[i] <= r->n_past; i++) {
        const Past *from = past(r, ref_back[i]);
        float *certainty = r->certainty[i];
        find_flow(r, from, certainty);
        if (i == 0) {
            double sum = 0;
            for (size_t k = 0; k < n; k++)
                sum += certainty[k];
            if (sum < 0.1 * (double)n)
                return 0;
        }
        prefer_common(r, from, certainty);
        if (i == 0) {
            memcpy(r->certain_last, certainty, n * sizeof(float));
            mien_flow_warp(r->p.exec, from->out, r->w, r->h, 3, r->uv, r->last);
        }
        move_result(r, from, m, r->target[i], certainty, i == 0 ? r->start : NULL);
        hold_by_work(r, from, certainty, i == 0 ? r->worked : r->change);
        for (int k = 0; k < i; k++)
            for (size_t x = 0; x < n; x++)
                certainty[x] = fmaxf(certainty[x] - r->certainty[k][x], 0);
        n_targets++;
    }
    heed_new(r);
    return n_targets;
}

/* ---- a frame */

static int is_cut(MienRestyle *r)
{
    uint8_t cell[MIENI_CUT_W * MIENI_CUT_H];
    for (int cy = 0; cy < MIENI_CUT_H; cy++)
        for (int cx = 0; cx < MIENI_CUT_W; cx++) {
            int x0 = r->w * cx / MIENI_CUT_W, x1 = r->w * (cx + 1) / MIENI_CUT_W, y0 = r->h * cy / MIENI_CUT_H,
                y1 = r->h * (cy + 1) / MIENI_CUT_H;
            x1 = x1 > x0 ? x1 : x0 + 1;
            y1 = y1 > y0 ? y1 : y0 + 1;
            float sum = 0;
            for (int y = y0; y < y1; y++)
                for (int x = x0; x < x1; x++)
                    sum += r->luma[(size_t)y * (size_t)r->w + (size_t)x];
            cell[cy * MIENI_CUT_W + cx] = (uint8_t)(sum / (float)((x1 - x0) * (y1 - y0)));
        }
    return mieni_cut_cells(&r->cut, cell);
}

static void mean_of(double *mean, uint64_t n, double v)
{
    *mean += (v - *mean) / (double)n;
}

static void measure(MienRestyle *r, int cut, MienRestyleInfo *info)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float *out = past(r, 0)->out;
    double sum = 0;
    size_t count = 0;
    info->ewarp = NAN;
    for (size_t k = 0; k < n && !cut; k++)
        if (r->certain_last[k] >= 0.5f) {
            for (size_t c = 0; c < 3; c++)
                sum += (double)(out[3 * k + c] - r->last[3 * k + c]) * (out[3 * k + c] - r->last[3 * k + c]) / 3;
            count++;
        }
    if (count)
        info->ewarp = sum / (double)count;
}

/* The first picture of a scene, coarse to fine, so that large strokes have room to form. The clock may end it early. */
typedef struct Scene {
    double until_ms;
    MienRestyleInfo *info;
} Scene;

static int scene_progress(void *priv, const MienStyleProgress *p)
{
    Scene *scene = priv;
    scene->info->loss = p->loss;
    scene->info->iterations++;
    return scene->until_ms > 0 && now_ms() > scene->until_ms;
}

static int begin_scene(MienRestyle *r, double until_ms, MienRestyleInfo *info)
{
    Past *now = past(r, 0);
    Scene scene = { until_ms, info };
    MienStylePictureParams p = MIEN_STYLE_PICTURE_DEFAULTS;
    p.iterations = r->c.cut_iterations;
    p.seed = r->p.seed;
    p.noise = r->c.init == MIEN_RESTYLE_INIT_NOISE ? 1 : 0;
    p.progress = scene_progress;
    p.priv = &scene;
    for (int i = 0; i < MAX_REFS; i++)
        mien_style_set_temporal(r->style, i, NULL, NULL, 0);
    mien_style_set_mask(r->style, NULL);
    mien_style_set_anchor(r->style, NULL, 0, 0);
    int ret = mieni_scene_paint(r->scene, &p, now->in, now->out);
    if (ret >= 0)
        fit_colours(r, now, r->colours);
    return ret;
}

/* Few iterations a frame, hundreds of times, go on where the scene's first picture was left, and still places would darken or bleach over
 * seconds. What the first frame's colours became holds this frame's large areas. */
static int drop_anchor(MienRestyle *r)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float *in = past(r, 0)->in;
    int longest = r->w > r->h ? r->w : r->h, cell = longest / ANCHOR_CELLS;
    for (size_t k = 0; k < n; k++)
        for (size_t c = 0; c < 3; c++) {
            const float *m = r->colours[c];
            float v = m[0] * in[3 * k] + m[1] * in[3 * k + 1] + m[2] * in[3 * k + 2] + m[3];
            r->moved[3 * k + c] = v > 0 ? v < 1 ? v : 1 : 0;
        }
    return mien_style_set_anchor(r->style, r->moved, cell < 8 ? 8 : cell, ANCHOR_WEIGHT);
}

/* A picture with a past, or one that must start at its content. */
static int follow(MienRestyle *r, int n_targets, double until_ms, MienRestyleInfo *info)
{
    const MienRestyleControls *c = &r->c;
    Past *now = past(r, 0);
    int most = c->budget_ms > 0 ? 1000 : c->iterations, own = c->init == MIEN_RESTYLE_INIT_CONTENT;
    int ret = mien_style_set_content(r->style, now->in);
    mien_style_set_mask(r->style, r->heed_all ? NULL : r->heed);
    for (int i = 0; i < MAX_REFS && ret >= 0; i++)
        ret = mien_style_set_temporal(r->style, i, i < n_targets ? r->target[i] : NULL, r->certainty[i], c->temporal);
    if (ret >= 0)
        ret = drop_anchor(r);
    if (ret >= 0)
        ret = mien_style_start(r->style, own ? NULL : r->start, most, !own);
    double begin = now_ms();
    while (ret == 0 && info->iterations < most) {
        ret = mien_style_step(r->style, &info->loss);
        if (ret < 0)
            break;
        info->iterations++;
        double each = (now_ms() - begin) / info->iterations;
        if (until_ms > 0 && now_ms() + 0.5 * each > until_ms)
            break;
    }
    if (ret >= 0)
        mien_style_get(r->style, now->out);
    return ret;
}

static void count_work(MienRestyle *r, const MienRestyleInfo *info)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const float most = (float)r->c.cut_iterations;
    float *worked = past(r, 0)->worked;
    for (size_t k = 0; k < n; k++)
        worked[k] = info->cut || r->c.init == MIEN_RESTYLE_INIT_CONTENT ? most : fminf(r->worked[k] + (float)info->iterations, most);
}

static int repaint(MienRestyle *r, double begin_ms, MienRestyleInfo *info)
{
    const size_t n = (size_t)r->w * (size_t)r->h;
    const MienRestyleControls *c = &r->c;
    Past *now = past(r, 0);
    for (size_t k = 0; k < n; k++)
        r->luma[k] = 255 * luma_of(now->in + 3 * k);
    mien_flow_frame_fill(now->luma, r->luma, r->w);
    if (is_cut(r))
        r->n_past = 0;
    int n_targets = r->n_past ? recall(r) : 0, ret;
    info->cut = !n_targets;
    double until = c->budget_ms > 0 ? begin_ms + c->budget_ms * (info->cut ? BUDGET_CUT : 1) - r->tail_ms : 0;
    if (info->cut) {
        r->n_past = 0;
        ret = begin_scene(r, until, info);
    } else {
        ret = follow(r, n_targets, until, info);
    }
    if (ret >= 0) {
        count_work(r, info);
        measure(r, info->cut, info);
    }
    return ret;
}

/* Where the budget leaves too few iterations at this size, a smaller one: an iteration's time goes with the area. */
static int fit_budget(MienRestyle *r, const float *in, double each_ms)
{
    int size = r->size_px, longest = r->w > r->h ? r->w : r->h;
    if (size > longest)
        size = longest;
    if (each_ms <= 0) {
        double begin = now_ms();
        int ret = mien_style_set_content(r->style, in); /* the first touches all memory: not timed */
        for (int i = 0; i < 2 && ret >= 0; i++) {
            begin = now_ms();
            ret = mien_style_evaluate(r->style, in, NULL, r->start);
        }
        if (ret < 0)
            return ret;
        each_ms = now_ms() - begin;
    }
    double f = sqrt(BUDGET_SHARE * r->c.budget_ms / each_ms);
    int smaller = (int)(size * f);
    if (f >= 1 || smaller >= size || size <= LEAST_SIZE_PX)
        return 0;
    smaller = smaller < LEAST_SIZE_PX ? LEAST_SIZE_PX : smaller;
    mien_log(r->p.log, MIEN_LOG_INFO, "style: an iteration takes %.1f ms of a budget of %.1f; working size %d becomes %d", each_ms,
             r->c.budget_ms, size, smaller);
    return prepare(r, r->frame_w, r->frame_h, smaller);
}

/* The session for this frame's size. The first frame may be reduced twice: time is measured with it. */
static int ready(MienRestyle *r, const MienPlanes *frame)
{
    int fixed = r->p.size_px || !(r->c.budget_ms > 0), ret = 0, fresh = frame->w_px != r->frame_w || frame->h_px != r->frame_h;
    if (fresh)
        ret = prepare(r, frame->w_px, frame->h_px, r->p.size_px ? r->p.size_px : DEFAULT_SIZE_PX);
    else if (!fixed && r->n_over >= 8)
        ret = fit_budget(r, NULL, r->over_ms / r->n_over);
    if (ret >= 0 && fresh && !fixed) {
        ret = mieni_planes_reduce(&r->reducer, r->p.exec, frame, r->w, r->h, r->ring[0].in);
        if (ret >= 0)
            ret = fit_budget(r, r->ring[0].in, 0);
    }
    return ret;
}

static void keep_time(MienRestyle *r, const MienRestyleInfo *info)
{
    int over = r->c.budget_ms > 0 && !info->cut && info->iterations <= 1 && info->ms > 1.1 * r->c.budget_ms;
    r->n_over = over ? r->n_over + 1 : 0;
    r->over_ms = over ? r->over_ms + 2 * BUDGET_SHARE * info->ms : 0; /* so that the area halves at the least */
}

static void count(MienRestyle *r, const MienRestyleInfo *info)
{
    MienRestyleStats *s = &r->sum;
    s->frames++;
    s->cuts += (uint64_t)info->cut;
    s->iterations += (uint64_t)info->iterations;
    mean_of(&s->ms, s->frames, info->ms);
    mean_of(&s->loss, s->frames, info->loss.total);
    mean_of(&s->content, s->frames, info->loss.content);
    mean_of(&s->style, s->frames, info->loss.style);
    if (isfinite(info->ewarp))
        mean_of(&s->ewarp, ++r->n_ewarp, info->ewarp);
}

int mien_restyle_frame(MienRestyle *r, MienPlanes *frame, const MienMask *mask, MienRestyleInfo *info)
{
    double begin = now_ms();
    memset(info, 0, sizeof(*info));
    int ret = mien_planes_check(frame);
    if (ret < 0)
        return mien_fail(r->p.log, ret, "style: not a frame");
    if ((ret = ready(r, frame)) < 0)
        return ret;
    r->i_now = (r->i_now + 1) % RING;
    Past *now = past(r, 0);
    if ((ret = mieni_planes_reduce(&r->reducer, r->p.exec, frame, r->w, r->h, now->in)) < 0 || (ret = repaint(r, begin, info)) < 0) {
        r->n_past = 0;
        return ret;
    }
    double tail = now_ms();
    ret = mieni_upsample(&r->upsampler, r->p.exec, frame, now->in, now->out, r->w, r->h, r->c.keep_chroma, mask);
    if (ret < 0)
        return ret;
    r->tail_ms = now_ms() - tail;
    if (r->n_past < MAX_BACK)
        r->n_past++;
    info->ms = now_ms() - begin;
    info->w_px = r->w;
    info->h_px = r->h;
    keep_time(r, info);
    count(r, info);
    return 0;
}

void mien_restyle_reset(MienRestyle *r)
{
    r->n_past = 0;
    r->cut = (MieniCut){ 0 };
}

int mien_restyle_set_controls(MienRestyle *r, const MienRestyleControls *c)
{
    if (c->iterations < 1 || c->iterations > 1000 || c->cut_iterations < 1 || c->cut_iterations > 1000 ||
        !(c->budget_ms >= 0 && isfinite(c->budget_ms)) || !(c->temporal >= 0 && isfinite(c->temporal)) || c->n_refs < 1 ||
        c->n_refs > MAX_REFS)
        return mien_fail(r->p.log, MIEN_ERR(EINVAL), "style: iterations, budget, temporal weight or refs out of range");
    r->c = *c;
    return 0;
}

int mien_restyle_set_weights(MienRestyle *r, const MienStyleWeights *weights)
{
    int ret = r->scene ? mieni_scene_set_weights(r->scene, weights) : 0;
    if (ret >= 0)
        r->p.session.weights = *weights;
    return ret;
}

int mien_restyle_set_style(MienRestyle *r, const MienStyleScales *style)
{
    int ret = r->scene ? mieni_scene_set_style(r->scene, style) : 0;
    if (ret < 0)
        return ret;
    r->p.style = *style;
    return 0;
}

void mien_restyle_stats(const MienRestyle *r, MienRestyleStats *stats)
{
    *stats = r->sum;
}

int mien_restyle_create(MienRestyle **out, const MienRestyleParams *params)
{
    MieniScene *trial = NULL;
    *out = NULL;
    MienRestyle *r = mien_calloc(1, sizeof(*r));
    if (!r)
        return MIEN_ERR(ENOMEM);
    r->p = *params;
    r->p.model = mien_model_ref(params->model);
    r->content_layer = mien_strdup(params->session.content_layer);
    r->p.session.content_layer = r->content_layer;
    int ret = r->content_layer ? mien_restyle_set_controls(r, &params->controls) : MIEN_ERR(ENOMEM);
    if (ret >= 0 && params->size_px && (params->size_px < 64 || params->size_px > 4096))
        ret = mien_fail(params->log, MIEN_ERR(EINVAL), "style: a working size of %d is not within 64..4096", params->size_px);
    if (ret >= 0)
        ret = open_scene(r, &trial, 64, 64);
    mieni_scene_destroy(&trial);
    if (ret < 0) {
        mien_restyle_destroy(&r);
        return ret;
    }
    *out = r;
    return 0;
}

void mien_restyle_destroy(MienRestyle **pr)
{
    if (!pr || !*pr)
        return;
    MienRestyle *r = *pr;
    unprepare(r);
    mieni_reducer_uninit(&r->reducer);
    mieni_upsampler_uninit(&r->upsampler);
    mien_model_unref(&r->p.model);
    mien_free(r->content_layer);
    mien_free(r);
    *pr = NULL;
}
