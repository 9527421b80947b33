/* image, face: sampling, priors and decoding, suppression, alignment, assignment, motion, cuts and event lines, each against an
 * independent computation or by hand. Needs no networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "face/assign.h"
#include "face/face_int.h"
#include "face/track.h"
#include "image/cut.h"
#include "mien/error.h"
#include "mien/tagger.h"

static unsigned seed = 1;
static double uniform(double low, double high)
{
    seed = seed * 1664525u + 1013904223u;
    return low + (high - low) * (seed >> 8) / 16777216.0;
}

static void near(double got, double want, double eps)
{
    if (!(fabs(got - want) <= eps))
        fail_msg("%.9g is not %.9g within %g", got, want, eps);
}

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)uniform(0, 256);
}

/* ---- image */

static void iou_of_boxes(void **state)
{
    (void)state;
    MienBox a = { 0, 0, 10, 10 }, b = { 5, 0, 15, 10 }, in = { 2, 2, 4, 4 }, empty = { 3, 3, 3, 9 };
    near(mien_box_iou(a, b), 50.0 / 150, 1e-6);
    near(mien_box_iou(a, a), 1, 0);
    near(mien_box_iou(a, in), 0.04, 1e-6);
    near(mieni_box_containment(a, in), 1, 1e-6);
    near(mien_box_iou(a, empty), 0, 0);
    near(mien_box_iou(a, (MienBox){ 0, 0, NAN, 10 }), 0, 0);
    near(mien_box_iou(a, (MienBox){ 0, 0, INFINITY, 10 }), 0, 0);
    near(mien_box_iou((MienBox){ -3e38f, -3e38f, 3e38f, 3e38f }, (MienBox){ -3e38f, -3e38f, 3e38f, 3e38f }), 1, 1e-6);
}

static void image_views(void **state)
{
    (void)state;
    uint8_t px[12];
    MienImage img = { px, 6, 2, 2, MIEN_PIXEL_RGB8 };
    assert_int_equal(mien_image_check(&img), 0);
    img.stride_bytes = -6;
    assert_int_equal(mien_image_check(&img), 0);
    img.stride_bytes = 5;
    assert_int_equal(mien_image_check(&img), MIEN_ERR(EINVAL));
    img = (MienImage){ px, 6, 0, 2, MIEN_PIXEL_RGB8 };
    assert_int_equal(mien_image_check(&img), MIEN_ERR(EINVAL));
    img = (MienImage){ NULL, 6, 2, 2, MIEN_PIXEL_RGB8 };
    assert_int_equal(mien_image_check(&img), MIEN_ERR(EINVAL));
    assert_int_equal(mien_image_check(NULL), MIEN_ERR(EINVAL));
}

/* Value of the picture at integer (x, y) in double, border 0 outside. */
static double pixel(const MienImage *img, int x, int y, int c)
{
    if (x < 0 || y < 0 || x >= img->w_px || y >= img->h_px)
        return 0;
    const uint8_t *row = img->data + y * img->stride_bytes;
    return img->pixel == MIEN_PIXEL_GRAY8 ? row[x] : row[3 * x + c];
}

static void warp_equals_double_reference(void **state)
{
    (void)state;
    static const MieniInput input[3] = { { 3, 0, { 127, 100, 90 }, { 1 / 128.0f, 0.01f, 0.02f } },
                                         { 3, 1, { 127, 127, 127 }, { 1 / 128.0f, 1 / 128.0f, 1 / 128.0f } },
                                         { 1, 0, { 0, 0, 0 }, { 1 / 256.0f, 0, 0 } } };
    uint8_t px[61 * 47 * 3];
    fill(px, sizeof(px));
    for (int round = 0; round < 60; round++) {
        const MieniInput *in = &input[round % 3];
        int gray = round % 2;
        MienImage img = { px, gray ? 61 : 61 * 3, 61, 47, gray ? MIEN_PIXEL_GRAY8 : MIEN_PIXEL_RGB8 };
        double turn = uniform(-3, 3), size = uniform(0.2, 1.9);
        float m[6] = { (float)(size * cos(turn)), (float)(-size * sin(turn)), (float)uniform(-10, 70),
                       (float)(size * sin(turn)), (float)(size * cos(turn)), (float)uniform(-10, 60) };
        float dst[13 * 11 * 3];
        mieni_image_warp(&img, m, 0, 16, in, dst, 13, 11);
        for (int y = 0; y < 11; y++)
            for (int x = 0; x < 13; x++) {
                double sx = m[0] * (x + .5) + m[1] * (y + .5) + m[2] - .5, sy = m[3] * (x + .5) + m[4] * (y + .5) + m[5] - .5;
                int ix = (int)floor(sx), iy = (int)floor(sy);
                double v[3], fx = sx - ix, fy = sy - iy;
                for (int c = 0; c < 3; c++)
                    v[c] = (1 - fx) * (1 - fy) * pixel(&img, ix, iy, c) + fx * (1 - fy) * pixel(&img, ix + 1, iy, c) +
                           (1 - fx) * fy * pixel(&img, ix, iy + 1, c) + fx * fy * pixel(&img, ix + 1, iy + 1, c);
                const float *got = dst + (y * 13 + x) * in->n_channels;
                if (in->n_channels == 1)
                    near(got[0], (.299 * v[0] + .587 * v[1] + .114 * v[2]) / 256, 1e-4);
                for (int c = 0; c < 3 && in->n_channels == 3; c++)
                    near(got[c], (v[in->bgr ? 2 - c : c] - in->mean[c]) * in->scale[c], 5e-3);
            }
    }
}

static void warp_survives_wild_maps(void **state)
{
    (void)state;
    static const MieniInput in = { 1, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    uint8_t px[4] = { 10, 20, 30, 40 };
    MienImage img = { px, 2, 2, 2, MIEN_PIXEL_GRAY8 };
    const float wild[4] = { NAN, INFINITY, 1e30f, -1e30f };
    for (int i = 0; i < 4; i++)
        for (int k = 0; k < 6; k++) {
            float m[6] = { 1, 0, 0, 0, 1, 0 }, dst[9];
            m[k] = wild[i];
            mieni_image_warp(&img, m, 0, 16, &in, dst, 3, 3);
            for (int j = 0; j < 9; j++)
                assert_true(isfinite(dst[j]));
        }
}

/* Area of a pixel's footprint or two-tap interpolation, in double, as sample.h states it. */
static double resized(const MienImage *img, double x, double y, double step_x, double step_y, int c)
{
    double sum = 0;
    for (int iy = 0; iy < img->h_px; iy++)
        for (int ix = 0; ix < img->w_px; ix++) {
            double wx, wy;
            if (step_x < 2) {
                double cx = fmin(fmax(x - .5, 0), img->w_px - 1);
                wx = fmax(0, 1 - fabs(cx - ix));
            } else {
                double a = fmax(x - step_x / 2, 0), b = fmin(x + step_x / 2, img->w_px);
                wx = fmax(0, fmin(b, ix + 1) - fmax(a, ix)) / (b - a);
            }
            if (step_y < 2) {
                double cy = fmin(fmax(y - .5, 0), img->h_px - 1);
                wy = fmax(0, 1 - fabs(cy - iy));
            } else {
                double a = fmax(y - step_y / 2, 0), b = fmin(y + step_y / 2, img->h_px);
                wy = fmax(0, fmin(b, iy + 1) - fmax(a, iy)) / (b - a);
            }
            sum += wx * wy * pixel(img, ix, iy, c);
        }
    return sum;
}

static void resize_equals_double_reference(void **state)
{
    (void)state;
    static const MieniInput in = { 3, 0, { 127, 127, 127 }, { 1 / 128.0f, 1 / 128.0f, 1 / 128.0f } };
    uint8_t px[37 * 29 * 3];
    fill(px, sizeof(px));
    MieniResizer r = { 0 };
    for (int round = 0; round < 40; round++) {
        int gray = round % 2;
        /* every other pair of rounds bottom up */
        int up = round & 2;
        ptrdiff_t stride = gray ? 37 : 37 * 3;
        MienImage img = { up ? px + 28 * stride : px, up ? -stride : stride, 37, 29, gray ? MIEN_PIXEL_GRAY8 : MIEN_PIXEL_RGB8 };
        MieniView view = { uniform(-6, 10), uniform(-6, 10), uniform(0.3, 5), uniform(0.3, 5) };
        float dst[9 * 8 * 3];
        assert_int_equal(mieni_resize(&r, (MienExec){ 0 }, &img, view, 127, &in, dst, 9, 8), 0);
        for (int y = 0; y < 8; y++)
            for (int x = 0; x < 9; x++)
                for (int c = 0; c < 3; c++) {
                    double sx = view.x0_px + (x + .5) * view.step_x, sy = view.y0_px + (y + .5) * view.step_y;
                    int inside = sx >= 0 && sx < 37 && sy >= 0 && sy < 29;
                    double v = inside ? (resized(&img, sx, sy, view.step_x, view.step_y, c) - 127) / 128 : 0;
                    near(dst[(y * 9 + x) * 3 + c], v, 1e-5);
                }
    }
    uint8_t one = 200;
    MienImage dot = { &one, 1, 1, 1, MIEN_PIXEL_GRAY8 };
    float dst[4 * 3];
    assert_int_equal(mieni_resize(&r, (MienExec){ 0 }, &dot, (MieniView){ 0, 0, .5, .5 }, 127, &in, dst, 2, 2), 0);
    for (int i = 0; i < 12; i++)
        near(dst[i], 73 / 128.0, 1e-6);
    mieni_resizer_uninit(&r);
}

static void input_metadata(void **state)
{
    (void)state;
    MieniInput in;
    assert_int_equal(mieni_input_parse(&in, "bgr", "127", "0.0078125"), 0);
    assert_true(in.bgr && in.n_channels == 3 && in.mean[2] == 127 && in.scale[1] == 0.0078125f);
    assert_int_equal(mieni_input_parse(&in, "rgb", "1,2,3", "4,5,6"), 0);
    assert_true(!in.bgr && in.mean[1] == 2 && in.scale[2] == 6);
    static const char *const bad[][3] = { { "rgba", "1", "1" }, { "rgb", "1,2", "1" }, { "rgb", "", "1" }, { "rgb", "1", "nan" },
                                          { "gray", "1,2,3", "1" }, { "rgb", "1", "1,2,3,4" }, { "rgb", "1;2", "1" }, { NULL, "1", "1" } };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(bad); i++)
        assert_int_equal(mieni_input_parse(&in, bad[i][0], bad[i][1], bad[i][2]), MIEN_E_FORMAT);
}

/* ---- detector */

static void priors_of_the_detector(void **state)
{
    (void)state;
    int n = 0;
    for (int level = 0; level < 4; level++)
        n += mieni_prior_count(320, 240, level);
    assert_int_equal(n, 4420);
    for (n = 0; n < 4; n++)
        assert_true(mieni_prior_count(1, 1, n) >= 2);
    float p[4];
    mieni_prior(320, 240, 1, 2 * (3 * 20 + 5) + 1, p); /* row 3, column 5, the second size */
    near(p[0], 5.5 * 16 / 320, 1e-6);
    near(p[1], 3.5 * 16 / 240, 1e-6);
    near(p[2], 48.0 / 320, 1e-6);
    near(p[3], 48.0 / 240, 1e-6);
    const float loc[4] = { 1, -2, 0.5f, -0.5f };
    MienBox b = mieni_prior_decode(p, loc, 320, 240);
    near((b.x0_px + b.x1_px) / 2, 88 + .1 * 48, 1e-3);
    near((b.y0_px + b.y1_px) / 2, 56 - .2 * 48, 1e-3);
    near(b.x1_px - b.x0_px, 48 * exp(.1), 1e-3);
    near(b.y1_px - b.y0_px, 48 * exp(-.1), 1e-3);
}

static void suppression(void **state)
{
    (void)state;
    MieniDetection d[] = {
        { { 0, 0, 10, 10 }, .8f, 0 },  { { 1, 0, 11, 10 }, .9f, 0 },   { { 30, 0, 40, 10 }, .75f, 0 },
        { { NAN, 0, 1, 1 }, .99f, 0 }, { { 5, 5, 5, 9 }, .99f, 0 },    { { 0, 0, 10, 10 }, NAN, 0 },
        { { 6, 0, 16, 10 }, .7f, 0 },  { { 0, 0, INFINITY, 1 }, 1, 0 },
    };
    int n = mieni_nms(d, (int)MIEN_ARRAY_ELEMS(d), 0.35f, 100);
    assert_int_equal(n, 3); /* .9 suppresses .8; .7 overlaps .9 by a third */
    near(d[0].prob, .9, 1e-6);
    near(d[1].prob, .75, 1e-6);
    near(d[2].prob, .7, 1e-6);
    assert_int_equal(mieni_nms(d, 3, 0.35f, 2), 2);
    assert_int_equal(mieni_nms(d, 0, 0.35f, 2), 0);
    MieniDetection nested[] = { { { 0, 0, 100, 120 }, .8f, 0 }, { { 60, 10, 90, 40 }, .75f, 0 }, { { 90, 80, 120, 110 }, .7f, 0 },
                                { { -50, -50, 150, 150 }, .6f, 0 } };
    assert_int_equal(mieni_nms(nested, 4, 0.35f, 100), 3); /* the second lies in the first; a third of the next, and all round, may */
    near(nested[1].prob, .7, 1e-6);
    near(nested[2].prob, .6, 1e-6);
    MieniDetection old[4] = { { { 0, 0, 100, 100 }, .8f, 0 } };
    const MieniDetection add[] = { { { 5, 5, 104, 104 }, .99f, 0 }, { { 20, 20, 30, 30 }, .99f, 0 }, { { 200, 0, 220, 20 }, .9f, 0 } };
    assert_int_equal(mieni_detections_add(old, 1, 4, add, 3, .3f), 2); /* what was there stays; only the far one is new */
    near(old[0].prob, .8, 1e-6);
    near(old[1].box_px.x0_px, 200, 0);
}

/* ---- alignment */

static void similarity_recovers_and_is_least(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        MienPoint src[5], dst[5];
        double turn = uniform(-3.1, 3.1), size = uniform(.1, 9), tx = uniform(-300, 300), ty = uniform(-300, 300);
        for (int i = 0; i < 5; i++) {
            src[i] = (MienPoint){ (float)uniform(0, 500), (float)uniform(0, 500) };
            double x = src[i].x_px, y = src[i].y_px, noise = round % 2 ? 5 : 0;
            dst[i] = (MienPoint){ (float)(size * (cos(turn) * x - sin(turn) * y) + tx + noise * uniform(-1, 1)),
                                  (float)(size * (sin(turn) * x + cos(turn) * y) + ty + noise * uniform(-1, 1)) };
        }
        float m[4];
        assert_int_equal(mien_face_similarity(src, dst, 5, m), 0);
        if (round % 2 == 0) {
            near(m[0], size * cos(turn), 1e-3);
            near(m[1], size * sin(turn), 1e-3);
            near(m[2], tx, 0.2);
            near(m[3], ty, 0.2);
        }
        /* no step away from it lowers the squared error */
        double best = INFINITY;
        for (int k = -1; k < 8; k++) {
            double p[4] = { m[0], m[1], m[2], m[3] }, err = 0;
            if (k >= 0)
                p[k / 2] += (k % 2 ? 1 : -1) * (k / 2 < 2 ? 1e-3 : 0.5);
            for (int i = 0; i < 5; i++) {
                double ex = p[0] * src[i].x_px - p[1] * src[i].y_px + p[2] - dst[i].x_px;
                double ey = p[1] * src[i].x_px + p[0] * src[i].y_px + p[3] - dst[i].y_px;
                err += ex * ex + ey * ey;
            }
            if (k < 0)
                best = err;
            else
                assert_true(err >= best - 1e-3);
        }
    }
    MienPoint same[5] = { { 3, 4 }, { 3, 4 }, { 3, 4 }, { 3, 4 }, { 3, 4 } }, nan[2] = { { NAN, 0 }, { 1, 1 } };
    float m[4];
    assert_int_equal(mien_face_similarity(same, same, 5, m), MIEN_ERR(EINVAL));
    assert_int_equal(mien_face_similarity(nan, same, 2, m), MIEN_ERR(EINVAL));
    assert_int_equal(mien_face_similarity(same, same, 1, m), MIEN_ERR(EINVAL));
}

static void alignment_maps_template_to_points(void **state)
{
    (void)state;
    for (int t = 0; t < 2; t++) {
        int size_px;
        const MienPoint *tpl = mieni_template_points((MieniTemplate)t, &size_px);
        assert_int_equal(size_px, t ? 150 : 112);
        MienPoint p[5];
        for (int i = 0; i < 5; i++)
            p[i] = (MienPoint){ 2 * tpl[i].x_px + 3 * tpl[i].y_px + 40, -3 * tpl[i].x_px + 2 * tpl[i].y_px + 90 };
        float m[6];
        assert_int_equal(mieni_align_map(p, (MieniTemplate)t, m), 0);
        for (int i = 0; i < 5; i++) {
            near(m[0] * tpl[i].x_px + m[1] * tpl[i].y_px + m[2], p[i].x_px, 1e-2);
            near(m[3] * tpl[i].x_px + m[4] * tpl[i].y_px + m[5], p[i].y_px, 1e-2);
        }
    }
}

static void central_face(void **state)
{
    (void)state;
    MienImage img = { NULL, 0, 250, 250, MIEN_PIXEL_RGB8 };
    MienFace f[3] = { { .box_px = { 0, 0, 60, 60 } }, { .box_px = { 100, 80, 160, 170 } }, { .box_px = { 200, 200, 250, 250 } } };
    assert_int_equal(mien_face_central(&img, f, 3), 1);
    assert_int_equal(mien_face_central(&img, f, 0), -1);
}

/* ---- tracking */

static float best_cost(const float *cost, int n, int m, float none, int row, unsigned used)
{
    if (row == n)
        return 0;
    float best = none + best_cost(cost, n, m, none, row + 1, used);
    for (int c = 0; c < m; c++)
        if (!(used & 1u << c) && cost[row * m + c] < none)
            best = fminf(best, cost[row * m + c] + best_cost(cost, n, m, none, row + 1, used | 1u << c));
    return best;
}

static void assignment_is_cheapest(void **state)
{
    (void)state;
    void *work = malloc(mieni_assign_work_bytes(12));
    for (int round = 0; round < 300; round++) {
        int n = (int)uniform(0, 6.99), m = (int)uniform(0, 6.99), column[8];
        float cost[64], sum = 0;
        for (int i = 0; i < n * m; i++)
            cost[i] = uniform(0, 1) < .1 ? NAN : (float)uniform(0, 2);
        mieni_assign(cost, n, m, 1.5f, column, work);
        unsigned used = 0;
        for (int r = 0; r < n; r++) {
            sum += column[r] < 0 ? 1.5f : cost[r * m + column[r]];
            if (column[r] >= 0) {
                assert_false(used & 1u << column[r]);
                used |= 1u << column[r];
            }
        }
        near(sum, best_cost(cost, n, m, 1.5f, 0, 0), 1e-4);
    }
    free(work);
}

static void motion_follows_steady_movement(void **state)
{
    (void)state;
    MieniMotion m;
    mieni_motion_start(&m, (MienBox){ 0, 0, 40, 40 });
    for (int f = 1; f <= 60; f++) {
        mieni_motion_predict(&m, 1);
        float x = 4.0f * (float)f, y = -2.0f * (float)f;
        MienBox now = { x, y, x + 40, y + 40 };
        if (f > 12)
            assert_true(mien_box_iou(mieni_motion_box(&m), now) > .9f);
        if (f % 3 == 0)
            mieni_motion_update(&m, now, 3);
    }
    near(m.vx, 4, 0.05);
    near(m.vy, -2, 0.05);
    MienBox b = { 100, 100, 150, 150 };
    near(mieni_motion_cost(b, b), 0, 1e-6);
    assert_true(mieni_motion_cost(b, (MienBox){ 110, 100, 160, 150 }) < .5f);
    near(mieni_motion_cost(b, (MienBox){ 300, 100, 350, 150 }), 2, 0);
    near(mieni_motion_cost(b, (MienBox){ NAN, 100, 350, 150 }), 2, 0);
    near(mieni_motion_cost(b, (MienBox){ 105, 105, 133, 133 }), 2, 0); /* a box inside it, IoU .31, is a part of it */
    near(mieni_motion_cost((MienBox){ 105, 105, 133, 133 }, b), 2, 0);
    assert_true(mieni_motion_cost(b, (MienBox){ 105, 105, 140, 140 }) < .6f);
}

static void cuts_are_found(void **state)
{
    (void)state;
    uint8_t *px = malloc(160 * 90 * 3);
    MienImage img = { px, 160 * 3, 160, 90, MIEN_PIXEL_RGB8 };
    MieniCut cut = { 0 };
    for (int f = 0; f < 60; f++) {
        int scene = f / 20;
        for (int y = 0; y < 90; y++)
            for (int x = 0; x < 160; x++) /* a pattern that pans two pixels a frame; another one in every scene */
                memset(px + (y * 160 + x) * 3, (int)(127 + 100 * sin((x + 2 * f) * .05 * (1 + scene) + y * .07 * (2 - scene))), 3);
        assert_int_equal(mieni_cut(&cut, &img), f == 20 || f == 40);
    }
    int cuts = 0; /* of a fast pan that starts all at once, twice: at the first frame, and after a rest */
    for (int start = 0; start < 20; start += 10) {
        cut = (MieniCut){ 0 };
        for (int f = 0; f < 40; f++) {
            for (int i = 0; i < 160 * 90 * 3; i++)
                px[i] = (uint8_t)(127 + 100 * sin((i / 3 % 160 + (f > start ? f - start : 0) * 12) * .05));
            cuts += mieni_cut(&cut, &img);
        }
    }
    assert_true(cuts <= 2);
    img = (MienImage){ px, 1, 1, 1, MIEN_PIXEL_GRAY8 };
    cut = (MieniCut){ 0 };
    assert_int_equal(mieni_cut(&cut, &img), 0);
    free(px);
}

/* ---- events */

static void event_lines(void **state)
{
    (void)state;
    MienEvent e = { .kind = MIEN_EVENT_UPDATE, .first_time_s = 1.5, .last_time_s = NAN, .last_frame = 70 };
    e.tag = (MienTag){ .track = 3, .box_px = { 1, 2, 11.25f, 22 }, .prob = .5f, .status = MIEN_STATUS_KNOWN, .id = 12,
                       .sim_cos = -0.12345f, .prob_same = NAN, .prob_live = NAN, .first_frame = 4, .n_evidence = 2 };
    strcpy(e.tag.name, "A \"b\" \\ \x01 \xc3\xa9 \xff %s");
    char buf[1024], want[] = "{\"v\":1,\"event\":\"update\",\"track\":3,\"status\":\"known\",\"name\":\"A \\\"b\\\" \\\\ \\u0001 \xc3\xa9 \xef\xbf\xbd %s\","
        "\"id\":12,\"similarity\":-0.1235,\"first_s\":1.500,\"last_s\":null,\"first_frame\":4,\"last_frame\":70,"
        "\"box\":[1.0,2.0,10.3,20.0],\"prob\":0.500,\"live\":null,\"evidence\":2}";
    int n = mien_event_json(&e, buf, sizeof(buf));
    assert_string_equal(buf, want);
    assert_int_equal(n, (int)strlen(want));
    for (size_t room = 0; room <= (size_t)n; room++)
        assert_int_equal(mien_event_json(&e, buf, room), MIEN_ERR(ENOSPC));
    assert_int_equal(mien_event_json(&e, buf, (size_t)n + 1), n);
    memset(e.tag.name, 1, MIEN_NAME_MAX_BYTES);
    e.tag.name[MIEN_NAME_MAX_BYTES] = 0;
    assert_true(mien_event_json(&e, buf, sizeof(buf)) < 0);
    char big[4096];
    assert_true(mien_event_json(&e, big, sizeof(big)) > 6 * MIEN_NAME_MAX_BYTES);
    assert_string_equal(mien_status_name(MIEN_STATUS_UNRECOGNISED), "unrecognised");
    e = (MienEvent){ .kind = MIEN_EVENT_RETRACT, .was_id = 7, .was_name = "Bob" };
    e.tag = (MienTag){ .track = 3, .id = -1, .sim_cos = NAN, .prob_live = NAN };
    assert_true(mien_event_json(&e, buf, sizeof(buf)) > 0);
    assert_non_null(strstr(buf, "{\"v\":1,\"event\":\"retract\",\"track\":3,\"status\":\"undecided\",\"name\":null,\"id\":null,\"was\":\"Bob\",\"was_id\":7,"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(iou_of_boxes),
        cmocka_unit_test(image_views),
        cmocka_unit_test(warp_equals_double_reference),
        cmocka_unit_test(warp_survives_wild_maps),
        cmocka_unit_test(resize_equals_double_reference),
        cmocka_unit_test(input_metadata),
        cmocka_unit_test(priors_of_the_detector),
        cmocka_unit_test(suppression),
        cmocka_unit_test(similarity_recovers_and_is_least),
        cmocka_unit_test(alignment_maps_template_to_points),
        cmocka_unit_test(central_face),
        cmocka_unit_test(assignment_is_cheapest),
        cmocka_unit_test(motion_follows_steady_movement),
        cmocka_unit_test(cuts_are_found),
        cmocka_unit_test(event_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
