/* detect.c — where faces are: priors and decoding of the detector's heads, and the passes over a picture.
 *
 * The plain pass shows the network the whole picture, letterboxed from the top-left corner; that is the procedure its accuracy was
 * measured with. A thorough search adds passes for what the plain one cannot see: finer scales in tiles (small
 * faces), the picture small in a gray frame (faces that fill or leave it), and the picture turned by ±30°. What a later pass
 * finds on top of an earlier find is dropped, so they never move a box.
 * Network: RFB-320 kind; priors and decoding as in single-shot detectors (Liu et al. 2016, section 2.2).
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "face/face_int.h"
#include "mien/error.h"

#define PAD 127.0f
#define TILE_LONG_PX 640
#define TILE_SHORT_PX 480
#define TILE_OVERLAP_PX 128
#define FIND_PX 20.0 /* size in the network's input at which faces are found reliably */
#define FINE_FIND_PX 16.0 /* the same in a search that comes by again */
#define FINE_OVERLAP_PX 48
#define TURN_DEG 30.0f
#define SECOND_LOOK_PROB 0.9f

/* ---- priors */

static const int stride_px[MIENI_DETECT_LEVELS] = { 8, 16, 32, 64 };
static const int n_sizes[MIENI_DETECT_LEVELS] = { 3, 2, 2, 3 };
static const float size_px[MIENI_DETECT_LEVELS][3] = { { 10, 16, 24 }, { 32, 48 }, { 64, 96 }, { 128, 192, 256 } };

static int cells(int px, int level)
{
    return (px + stride_px[level] - 1) / stride_px[level];
}

int mieni_prior_count(int w_px, int h_px, int level)
{
    return cells(w_px, level) * cells(h_px, level) * n_sizes[level];
}

void mieni_prior(int w_px, int h_px, int level, int i, float prior[4])
{
    int size = i % n_sizes[level], cell = i / n_sizes[level], columns = cells(w_px, level);
    prior[0] = ((float)(cell % columns) + 0.5f) * (float)stride_px[level] / (float)w_px;
    prior[1] = ((float)(cell / columns) + 0.5f) * (float)stride_px[level] / (float)h_px;
    prior[2] = size_px[level][size] / (float)w_px;
    prior[3] = size_px[level][size] / (float)h_px;
}

MienBox mieni_prior_decode(const float prior[4], const float loc[4], int w_px, int h_px)
{
    float cx = (prior[0] + 0.1f * loc[0] * prior[2]) * (float)w_px, cy = (prior[1] + 0.1f * loc[1] * prior[3]) * (float)h_px;
    float w = prior[2] * expf(0.2f * loc[2]) * (float)w_px, h = prior[3] * expf(0.2f * loc[3]) * (float)h_px;
    return (MienBox){ cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2 };
}

/* ---- sessions */

static int check_outputs(const MienFaceEngine *e, const MieniDetectNet *d)
{
    for (int level = 0; level < MIENI_DETECT_LEVELS; level++) {
        char name[2][16];
        snprintf(name[0], sizeof(name[0]), "scores%d", level);
        snprintf(name[1], sizeof(name[1]), "loc%d", level);
        size_t n = (size_t)mieni_prior_count(d->w_px, d->h_px, level);
        for (int k = 0; k < 2; k++) {
            MienShape shape;
            if (!mien_net_output_named(d->net, name[k], &shape))
                return mien_fail(e->log, MIEN_E_MODEL, "%s: a face detector needs an output named %s",
                                 mien_model_path(e->detector), name[k]);
            if (mien_shape_elems(shape) != n * (k ? 4 : 2))
                return mien_fail(e->log, MIEN_E_MODEL, "%s: output %s has %zu values for an input of %dx%d, %zu are due",
                                 mien_model_path(e->detector), name[k], mien_shape_elems(shape), d->w_px, d->h_px,
                                 n * (k ? 4 : 2));
        }
    }
    return 0;
}

static void close_net(MieniDetectNet *d)
{
    mien_net_destroy(&d->net);
    mien_free(d->found);
    memset(d, 0, sizeof(*d));
}

/* The session for this input size, made if need be. */
static int get_net(MienFaceEngine *e, int w_px, int h_px, MieniDetectNet **out)
{
    MieniDetectNet *oldest = &e->detect_net[0];
    for (int i = 0; i < MIENI_DETECT_NETS; i++) {
        MieniDetectNet *d = &e->detect_net[i];
        if (d->net && d->w_px == w_px && d->h_px == h_px) {
            d->used = ++e->clock;
            *out = d;
            return 0;
        }
        if (d->used < oldest->used)
            oldest = d;
    }
    MieniDetectNet d = { .w_px = w_px, .h_px = h_px };
    for (int level = 0; level < MIENI_DETECT_LEVELS; level++)
        d.max_found += mieni_prior_count(w_px, h_px, level);
    MienNetParams params = MIEN_NET_DEFAULTS;
    params.exec = e->exec;
    params.log = e->log;
    params.w_px = w_px;
    params.h_px = h_px;
    d.found = mien_malloc_array((size_t)d.max_found, sizeof(*d.found));
    int ret = d.found ? mien_net_create(&d.net, e->detector, &params) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = check_outputs(e, &d);
    if (ret < 0) {
        close_net(&d);
        return ret;
    }
    close_net(oldest);
    d.used = ++e->clock;
    *oldest = d;
    *out = oldest;
    return 0;
}

/* Runs the session on its filled input: d->found gets the faces in input pixels, their number is returned. */
static int run_net(MieniDetectNet *d, float min_prob, float max_iou)
{
    int ret = mien_net_run(d->net), n = 0;
    if (ret < 0)
        return ret;
    for (int level = 0; level < MIENI_DETECT_LEVELS; level++) {
        char name[16];
        snprintf(name, sizeof(name), "scores%d", level);
        const float *prob = mien_net_output_named(d->net, name, NULL);
        snprintf(name, sizeof(name), "loc%d", level);
        const float *loc = mien_net_output_named(d->net, name, NULL);
        int n_priors = mieni_prior_count(d->w_px, d->h_px, level);
        for (int i = 0; i < n_priors; i++) {
            if (!(prob[2 * i + 1] > min_prob))
                continue;
            float prior[4];
            mieni_prior(d->w_px, d->h_px, level, i, prior);
            d->found[n++] = (MieniDetection){ mieni_prior_decode(prior, loc + 4 * i, d->w_px, d->h_px), prob[2 * i + 1], 0 };
        }
    }
    return mieni_nms(d->found, n, max_iou, MIENI_DETECT_MAX);
}

/* ---- one pass */

typedef struct Pass {
    int w_px, h_px;        /* the network's input */
    MieniView view;
    float turn_deg;
    float min_prob, max_iou;
} Pass;

/* Runs one pass: *out points to faces in canvas pixels (valid until that session runs again). */
static int run_pass(MienFaceEngine *e, const MienImage *img, const Pass *p, MieniDetection **out)
{
    MieniDetectNet *d;
    int ret = get_net(e, p->w_px, p->h_px, &d);
    if (ret < 0)
        return ret;
    float *input = mien_net_input(d->net, NULL);
    if (p->turn_deg != 0) {
        double c = cos(p->turn_deg * M_PI / 180), s = sin(p->turn_deg * M_PI / 180);
        double mx = p->view.x0_px + p->view.step_x * p->w_px / 2, my = p->view.y0_px + p->view.step_y * p->h_px / 2;
        double xx = c * p->view.step_x, xy = -s * p->view.step_y, yx = s * p->view.step_x, yy = c * p->view.step_y;
        float m[6] = { (float)xx, (float)xy, (float)(mx - (xx * p->w_px + xy * p->h_px) / 2),
                       (float)yx, (float)yy, (float)(my - (yx * p->w_px + yy * p->h_px) / 2) };
        mieni_image_warp(img, m, PAD, 4, &e->detector_input, input, p->w_px, p->h_px);
    } else {
        ret = mieni_resize(&e->resizer, e->exec, img, p->view, PAD, &e->detector_input, input, p->w_px, p->h_px);
        if (ret < 0)
            return ret;
    }
    *out = d->found;
    return run_net(d, p->min_prob, p->max_iou);
}

/* From canvas pixels to the picture; a turned face keeps its size and stands upright about its centre, its turn is noted. */
static void to_picture(const Pass *p, MieniDetection *d)
{
    double cx = ((double)d->box_px.x0_px + d->box_px.x1_px) / 2, cy = ((double)d->box_px.y0_px + d->box_px.y1_px) / 2;
    double hw = ((double)d->box_px.x1_px - d->box_px.x0_px) / 2 * p->view.step_x;
    double hh = ((double)d->box_px.y1_px - d->box_px.y0_px) / 2 * p->view.step_y;
    double dx = (cx - p->w_px / 2.0) * p->view.step_x, dy = (cy - p->h_px / 2.0) * p->view.step_y;
    double c = cos(p->turn_deg * M_PI / 180), s = sin(p->turn_deg * M_PI / 180);
    cx = p->view.x0_px + p->view.step_x * p->w_px / 2 + c * dx - s * dy;
    cy = p->view.y0_px + p->view.step_y * p->h_px / 2 + s * dx + c * dy;
    d->box_px = (MienBox){ (float)(cx - hw), (float)(cy - hh), (float)(cx + hw), (float)(cy + hh) };
    d->tilt_deg = p->turn_deg;
}

/* Runs a pass and adds what is new to e->found[0..n). */
static int add_pass(MienFaceEngine *e, const MienImage *img, const Pass *p, float min_side_px, int n)
{
    MieniDetection *d;
    int got = run_pass(e, img, p, &d), n_add = 0;
    if (got < 0)
        return got;
    for (int i = 0; i < got; i++) {
        to_picture(p, &d[i]);
        MienBox b = d[i].box_px;
        if (fmaxf(b.x1_px - b.x0_px, b.y1_px - b.y0_px) >= min_side_px)
            d[n_add++] = d[i];
    }
    return mieni_detections_add(e->found, n, MIENI_DETECT_MAX, d, n_add, p->max_iou);
}

/* ---- passes over a picture */

/* The whole picture from the top-left corner of a canvas, as large as fits. */
static Pass letterbox(const MienImage *img, int w_px, int h_px, const MienDetectParams *params)
{
    double s = fmin((double)w_px / img->w_px, (double)h_px / img->h_px);
    double w = fmax(1, round(img->w_px * s)), h = fmax(1, round(img->h_px * s));
    return (Pass){ w_px, h_px, { 0, 0, img->w_px / w, img->h_px / h }, 0, params->min_prob, params->max_iou };
}

/* The smallest standard canvas: 320x240, on its side for portraits. */
static Pass standard(const MienImage *img, const MienDetectParams *params)
{
    int tall = img->h_px > img->w_px;
    return letterbox(img, tall ? 240 : 320, tall ? 320 : 240, params);
}

/* The plain pass of video: the picture's own shape, its long side as asked. */
static Pass fitted(const MienImage *img, const MienDetectParams *params)
{
    int long_px = img->w_px > img->h_px ? img->w_px : img->h_px, want = params->size_px;
    if (want == 0) {
        double enough = long_px * fmin(1, FIND_PX / params->min_face_px);
        want = (int)fmin(1280, fmax(320, enough));
    }
    if (want <= 320)
        return standard(img, params);
    double s = (double)want / long_px;
    int w = ((int)ceil(img->w_px * s - 1e-6) + 7) / 8 * 8, h = ((int)ceil(img->h_px * s - 1e-6) + 7) / 8 * 8;
    return letterbox(img, w < 64 ? 64 : w, h < 64 ? 64 : h, params);
}

/* A picture seen at a finer scale, in tiles of one size that overlap. */
typedef struct Grid {
    double step, w, h; /* picture pixels a canvas pixel; the picture's size in canvas pixels */
    int tile_w_px, tile_h_px, nx, ny;
} Grid;

static Grid grid_of(const MienImage *img, double step, int long_px, int short_px, int overlap_px)
{
    int tall = img->h_px > img->w_px;
    Grid g = { step, img->w_px / step, img->h_px / step, tall ? short_px : long_px, tall ? long_px : short_px, 1, 1 };
    if (g.w > g.tile_w_px)
        g.nx = (int)ceil((g.w - overlap_px) / (g.tile_w_px - overlap_px));
    if (g.h > g.tile_h_px)
        g.ny = (int)ceil((g.h - overlap_px) / (g.tile_h_px - overlap_px));
    return g;
}

/* Faces of tile i in picture pixels. Boxes cut by a tile's inner edge are left to the neighbour, who sees them whole. */
static int run_tile(MienFaceEngine *e, const MienImage *img, const Grid *g, int i, const MienDetectParams *params,
                    MieniDetection **out)
{
    int tx = i % g->nx, ty = i / g->nx, n = 0;
    Pass p = { g->tile_w_px, g->tile_h_px, { 0, 0, g->step, g->step }, 0, params->min_prob, params->max_iou };
    p.view.x0_px = g->nx == 1 ? 0 : (g->w - p.w_px) * tx / (g->nx - 1) * g->step;
    p.view.y0_px = g->ny == 1 ? 0 : (g->h - p.h_px) * ty / (g->ny - 1) * g->step;
    MieniDetection *d;
    int got = run_pass(e, img, &p, &d);
    for (int k = 0; k < got; k++) {
        MienBox b = d[k].box_px;
        if ((tx > 0 && b.x0_px < 2) || (tx < g->nx - 1 && b.x1_px > p.w_px - 2) || (ty > 0 && b.y0_px < 2) ||
            (ty < g->ny - 1 && b.y1_px > p.h_px - 2))
            continue;
        to_picture(&p, &d[k]);
        d[n++] = d[k];
    }
    *out = d;
    return got < 0 ? got : n;
}

static int add_tiles(MienFaceEngine *e, const MienImage *img, double step, const MienDetectParams *params, int n)
{
    Grid g = grid_of(img, step, TILE_LONG_PX, TILE_SHORT_PX, TILE_OVERLAP_PX);
    int n_tiled = 0;
    for (int i = 0; i < g.nx * g.ny; i++) {
        MieniDetection *d;
        int got = run_tile(e, img, &g, i, params, &d);
        if (got < 0)
            return got;
        for (int k = 0; k < got && n_tiled < MIENI_DETECT_MAX; k++)
            e->tiled[n_tiled++] = d[k];
    }
    n_tiled = mieni_nms(e->tiled, n_tiled, params->max_iou, MIENI_DETECT_MAX);
    return mieni_detections_add(e->found, n, MIENI_DETECT_MAX, e->tiled, n_tiled, params->max_iou);
}

/* Scales between the standard canvas and the one in which the smallest wanted face has FIND_PX. */
static int add_finer(MienFaceEngine *e, const MienImage *img, const MienDetectParams *params, int n)
{
    double step0 = standard(img, params).view.step_x, step1 = fmax(0.5, params->min_face_px / FIND_PX);
    int long_px = img->w_px > img->h_px ? img->w_px : img->h_px;
    if (params->size_px > 0)
        step1 = fmax(step1, (double)long_px / params->size_px);
    if (step0 < 1.3 * step1)
        return n;
    int n_levels = (int)ceil(log(step0 / step1) / log(3.0) - 0.05);
    n_levels = n_levels < 1 ? 1 : n_levels;
    for (int i = 1; i <= n_levels && n >= 0; i++)
        n = add_tiles(e, img, step0 * pow(step1 / step0, (double)i / n_levels), params, n);
    return n;
}

/* Faces as large as the picture and larger: the picture small in the middle of the canvas. */
static int add_beyond(MienFaceEngine *e, const MienImage *img, const MienDetectParams *params, int n)
{
    Pass p = standard(img, params);
    p.view.step_x *= 2;
    p.view.step_y *= 2;
    p.view.x0_px = (img->w_px - p.w_px * p.view.step_x) / 2;
    p.view.y0_px = (img->h_px - p.h_px * p.view.step_y) / 2;
    p.min_prob = fmaxf(p.min_prob, 0.8f);
    float min_side = 0.45f * (float)(img->w_px < img->h_px ? img->w_px : img->h_px);
    return add_pass(e, img, &p, min_side, n);
}

/* The picture (made small enough, factor *f) as RGB8 for turned passes, which sample pixel by pixel. */
static int reduce(MienFaceEngine *e, const MienImage *img, MienImage *small, double *f)
{
    int long_px = img->w_px > img->h_px ? img->w_px : img->h_px;
    *small = *img;
    *f = 1;
    if (long_px <= MIENI_REDUCED_PX)
        return 0;
    size_t most = (size_t)MIENI_REDUCED_PX * MIENI_REDUCED_PX * 3;
    if (!e->reduced && !(e->reduced = mien_malloc(most)))
        return MIEN_ERR(ENOMEM);
    if (!e->reduced_f32 && !(e->reduced_f32 = mien_malloc_array(most, sizeof(float))))
        return MIEN_ERR(ENOMEM);
    *f = (double)long_px / MIENI_REDUCED_PX;
    int w = (int)fmax(1, floor(img->w_px / *f)), h = (int)fmax(1, floor(img->h_px / *f));
    MieniInput plain = { 3, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    int ret = mieni_resize(&e->resizer, e->exec, img, (MieniView){ 0, 0, *f, *f }, 0, &plain, e->reduced_f32, w, h);
    if (ret < 0)
        return ret;
    size_t n = (size_t)w * (size_t)h * 3;
    for (size_t i = 0; i < n; i++)
        e->reduced[i] = (uint8_t)(e->reduced_f32[i] + 0.5f);
    *small = (MienImage){ e->reduced, (ptrdiff_t)w * 3, w, h, MIEN_PIXEL_RGB8 };
    return 0;
}

static int add_turned(MienFaceEngine *e, const MienImage *img, const MienDetectParams *params, float turn_deg, int small_canvas,
                      int n)
{
    MienImage small;
    double f, c = fabs(cos(turn_deg * M_PI / 180)), s = fabs(sin(turn_deg * M_PI / 180));
    int ret = reduce(e, img, &small, &f);
    if (ret < 0)
        return ret;
    int long_px = small.w_px > small.h_px ? small.w_px : small.h_px;
    Pass p = standard(&small, params);
    if (!small_canvas && long_px > 400) {
        p.w_px *= 2;
        p.h_px *= 2;
    }
    double step = fmax((small.w_px * c + small.h_px * s) / p.w_px, (small.w_px * s + small.h_px * c) / p.h_px);
    p.view = (MieniView){ (small.w_px - p.w_px * step) / 2, (small.h_px - p.h_px * step) / 2, step, step };
    p.turn_deg = turn_deg;
    p.min_prob = fmaxf(p.min_prob, 0.8f);
    MieniDetection *d;
    int got = run_pass(e, &small, &p, &d);
    for (int i = 0; i < got; i++) {
        to_picture(&p, &d[i]);
        MienBox *b = &d[i].box_px;
        *b = (MienBox){ (float)(b->x0_px * f), (float)(b->y0_px * f), (float)(b->x1_px * f), (float)(b->y1_px * f) };
    }
    return got < 0 ? got : mieni_detections_add(e->found, n, MIENI_DETECT_MAX, d, got, params->max_iou);
}

/* The surroundings of a box, with the box face_px large in the middle of the smallest canvas; *best is the find that overlaps it
 * most. 1, 0: nothing overlaps, or an error. */
static int look_closer(MienFaceEngine *e, const MienImage *img, MienBox box, float tilt_deg, float face_px, float min_prob,
                       MieniDetection *best)
{
    double side = sqrt(((double)box.x1_px - box.x0_px) * ((double)box.y1_px - box.y0_px)), step = side / face_px;
    double cx = ((double)box.x0_px + box.x1_px) / 2, cy = ((double)box.y0_px + box.y1_px) / 2;
    if (!(step > 0))
        return 0;
    Pass p = { 320, 240, { cx - 160 * step, cy - 120 * step, step, step }, tilt_deg, min_prob, 0.3f };
    MieniDetection *d;
    float most = 0;
    int got = run_pass(e, img, &p, &d);
    for (int i = 0; i < got; i++) {
        to_picture(&p, &d[i]);
        float iou = mien_box_iou(d[i].box_px, box);
        if (iou > most) {
            most = iou;
            *best = d[i];
        }
    }
    return got < 0 ? got : most > 0;
}

/* A second look at what only an extra pass saw: alone in the middle of a canvas, at two sizes. Patterns that resemble a face at one
 * scale and place by chance do not stand that; faces do. 1, 0 or an error. */
static int stands_second_look(MienFaceEngine *e, const MienImage *img, MienBox box, float tilt_deg)
{
    static const float look_px[2] = { 56, 104 };
    for (int look = 0; look < 2; look++) {
        MieniDetection best;
        int ok = look_closer(e, img, box, tilt_deg, look_px[look], SECOND_LOOK_PROB, &best);
        if (ok <= 0)
            return ok;
        if (mien_box_iou(best.box_px, box) < 0.45f)
            return 0;
    }
    return 1;
}

/* Drops those of e->found[n_sure..n) that do not stand a second look. */
static int keep_confirmed(MienFaceEngine *e, const MienImage *img, int n_sure, int n)
{
    int n_kept = n_sure;
    for (int i = n_sure; i < n; i++) {
        int ok = stands_second_look(e, img, e->found[i].box_px, e->found[i].tilt_deg);
        if (ok < 0)
            return ok;
        if (ok)
            e->found[n_kept++] = e->found[i];
    }
    return n_kept;
}

/* ---- public calls */

static int check_params(const MienFaceEngine *e, const MienImage *img, const MienDetectParams *p)
{
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(e->log, ret, "detection: not a picture");
    if (p->size_px != 0 && (p->size_px < 64 || p->size_px > 4096))
        return mien_fail(e->log, MIEN_ERR(EINVAL), "detection: size %d is not 0 or 64..4096", p->size_px);
    if (p->min_face_px < 1 || !(p->min_prob > 0 && p->min_prob < 1) || !(p->max_iou >= 0 && p->max_iou <= 1))
        return mien_fail(e->log, MIEN_ERR(EINVAL), "detection: smallest face %d px, probability %g or overlap %g is out of range",
                         p->min_face_px, (double)p->min_prob, (double)p->max_iou);
    return 0;
}

static void set_face(MienFace *face, const MieniDetection *d)
{
    memset(face, 0, sizeof(*face));
    face->box_px = d->box_px;
    face->prob = d->prob;
    face->tilt_deg = d->tilt_deg;
}

/* Drops faces smaller than wanted, orders the rest by probability and writes them out. */
static int write_faces(MieniDetection *found, int n, const MienDetectParams *params, MienFace *faces, int max_faces)
{
    int n_kept = 0;
    for (int i = 0; i < n; i++) {
        MienBox b = found[i].box_px;
        if (fmaxf(b.x1_px - b.x0_px, b.y1_px - b.y0_px) >= (float)params->min_face_px)
            found[n_kept++] = found[i];
    }
    n = mieni_detections_sort(found, n_kept);
    n = n < max_faces ? n : max_faces;
    for (int i = 0; i < n; i++)
        set_face(&faces[i], &found[i]);
    return n;
}

int mien_face_detect(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, MienFace *faces,
                     int max_faces)
{
    int n = check_params(engine, img, params);
    if (n < 0)
        return n;
    double t0 = mieni_now_ms();
    Pass p = params->thorough ? standard(img, params) : fitted(img, params);
    n = add_pass(engine, img, &p, 0, 0);
    int n_plain = n;
    if (params->thorough) {
        if (n >= 0)
            n = add_beyond(engine, img, params, n);
        if (n >= 0)
            n = add_finer(engine, img, params, n);
        for (int side = -1; side <= 1 && n >= 0; side += 2)
            n = add_turned(engine, img, params, (float)side * TURN_DEG, 0, n);
        n = n < 0 ? n : keep_confirmed(engine, img, n_plain, n);
    }
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 1);
    return n < 0 ? n : write_faces(engine->found, n, params, faces, max_faces);
}

int mieni_face_detect_rescue(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, float turn_deg,
                             MienFace *faces, int max_faces)
{
    int n = check_params(engine, img, params);
    if (n < 0)
        return n;
    double t0 = mieni_now_ms();
    n = turn_deg == 0 ? add_beyond(engine, img, params, 0) : add_turned(engine, img, params, turn_deg, 1, 0);
    n = n < 0 ? n : keep_confirmed(engine, img, 0, n);
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 1);
    return n < 0 ? n : write_faces(engine->found, n, params, faces, max_faces);
}

int mieni_face_stands(MienFaceEngine *engine, const MienImage *img, const MienFace *face)
{
    double t0 = mieni_now_ms();
    int ok = stands_second_look(engine, img, face->box_px, face->tilt_deg);
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 0);
    return ok;
}

int mieni_face_detect_near(MienFaceEngine *engine, const MienImage *img, MienBox box, MienFace *face)
{
    const float face_px = 72, min_prob = 0.6f, min_iou = 0.35f;
    double t0 = mieni_now_ms();
    MieniDetection best;
    int ok = look_closer(engine, img, box, 0, face_px, min_prob, &best);
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 0);
    if (ok > 0 && (ok = mien_box_iou(best.box_px, box) >= min_iou))
        set_face(face, &best);
    return ok;
}

static Grid fine_grid(const MienImage *img, const MienDetectParams *params)
{
    double step = fmax(1, params->min_face_px / FINE_FIND_PX);
    Grid g = grid_of(img, step, 320, 240, FINE_OVERLAP_PX);
    if (fitted(img, params).view.step_x < 1.3 * step)
        g.nx = g.ny = 0;
    return g;
}

int mieni_face_fine_tiles(const MienImage *img, const MienDetectParams *params)
{
    Grid g = fine_grid(img, params);
    return g.nx * g.ny;
}

int mieni_face_detect_tile(MienFaceEngine *engine, const MienImage *img, const MienDetectParams *params, int i_tile,
                           MienFace *faces, int max_faces)
{
    Grid g = fine_grid(img, params);
    double t0 = mieni_now_ms();
    MieniDetection *d;
    int n = run_tile(engine, img, &g, i_tile, params, &d);
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 0);
    return n < 0 ? n : write_faces(d, n, params, faces, max_faces);
}

int mieni_face_redetect_upright(MienFaceEngine *engine, const MienImage *img, float roll_deg, MienFace *face)
{
    const float face_in_canvas_px = 100, near_px = 50;
    const MienBox b = face->box_px;
    double side = sqrt(((double)b.x1_px - b.x0_px) * ((double)b.y1_px - b.y0_px)), step = side / face_in_canvas_px;
    if (!isfinite(roll_deg) || fabsf(roll_deg) > 60 || !(step > 0))
        return MIEN_E_NOFACE;
    double cx = ((double)b.x0_px + b.x1_px) / 2, cy = ((double)b.y0_px + b.y1_px) / 2;
    Pass p = { 320, 240, { cx - 160 * step, cy - 120 * step, step, step }, roll_deg, 0.5f, 0.3f };
    double t0 = mieni_now_ms();
    MieniDetection *d;
    int got = run_pass(engine, img, &p, &d), best = -1;
    mieni_time_add(engine, MIENI_TIME_DETECT, t0, 1);
    double best_px = near_px;
    for (int i = 0; i < got; i++) {
        double dx = ((double)d[i].box_px.x0_px + d[i].box_px.x1_px) / 2 - p.w_px / 2.0;
        double dy = ((double)d[i].box_px.y0_px + d[i].box_px.y1_px) / 2 - p.h_px / 2.0;
        if (hypot(dx, dy) < best_px) {
            best_px = hypot(dx, dy);
            best = i;
        }
    }
    if (got < 0)
        return got;
    if (best < 0)
        return MIEN_E_NOFACE;
    to_picture(&p, &d[best]);
    t0 = mieni_now_ms();
    int ret = mieni_landmarks_run(engine, img, d[best].box_px, roll_deg, face);
    mieni_time_add(engine, MIENI_TIME_LANDMARKS, t0, 1);
    return ret;
}

int mien_face_central(const MienImage *img, const MienFace *faces, int n_faces)
{
    int best = -1;
    double best_px = INFINITY;
    for (int i = 0; i < n_faces; i++) {
        double dx = ((double)faces[i].box_px.x0_px + faces[i].box_px.x1_px - img->w_px) / 2;
        double dy = ((double)faces[i].box_px.y0_px + faces[i].box_px.y1_px - img->h_px) / 2;
        if (hypot(dx, dy) < best_px) {
            best_px = hypot(dx, dy);
            best = i;
        }
    }
    return best;
}

void mieni_detect_uninit(MienFaceEngine *engine)
{
    for (int i = 0; i < MIENI_DETECT_NETS; i++)
        close_net(&engine->detect_net[i]);
}
