/* planes and upsample: samples of every layout as numbers, reduction against a plain mean, the way back: identity, edges, strokes, masks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "plane_frames.h"
#include "style/upsample.h"

/* Smooth, within every format's limits and RGB's cube: a gray ramp with a little colour. */
static void fill(Frame *f)
{
    for (int i = 0; i < f->p.n; i++) {
        const MienPlane *c = &f->p.plane[i];
        int chroma = i > 0 && !f->p.rgb;
        for (int y = 0; y < c->h_px; y++)
            for (int x = 0; x < c->w_px; x++) {
                double u = (double)x / c->w_px, v = (double)y / c->h_px;
                double s = chroma ? 0.5 + 0.06 * (u - v) * (i == 1 ? 1 : -1) : 0.3 + 0.3 * u + 0.1 * v + 0.02 * i;
                put(c, x, y, (unsigned)(s * ((1 << c->bits) - 1)));
            }
    }
}

static unsigned worst_difference(const Frame *a, const Frame *b)
{
    unsigned worst = 0;
    for (int i = 0; i < a->p.n; i++)
        for (int y = 0; y < a->p.plane[i].h_px; y++)
            for (int x = 0; x < a->p.plane[i].w_px; x++) {
                unsigned u = get(&a->p.plane[i], x, y) >> a->p.plane[i].shift, v = get(&b->p.plane[i], x, y) >> b->p.plane[i].shift;
                unsigned d = u > v ? u - v : v - u;
                worst = d > worst ? d : worst;
            }
    return worst;
}

/* Writing what was read gives the same samples, in every layout and range. */
static void rows_round_trip(void **state)
{
    (void)state;
    for (int layout = 0; layout < N_LAYOUTS; layout++)
        for (int full = 0; full < 2; full++) {
            Frame a = make_frame((Layout)layout, 37, 11, full), b = make_frame((Layout)layout, 37, 11, full);
            fill(&a);
            fill(&b);
            float row[37];
            for (int i = 0; i < a.p.n; i++)
                for (int y = 0; y < a.p.plane[i].h_px; y++) {
                    mieni_plane_read(&a.p.plane[i], mieni_plane_scale(&a.p, i), y, row);
                    mieni_plane_write(&b.p.plane[i], mieni_plane_scale(&b.p, i), y, row, NULL);
                }
            if (memcmp(a.memory, b.memory, a.bytes))
                fail_msg("%s changes by being read and written", layout_name[layout]);
            free(a.memory);
            free(b.memory);
        }
}

/* Known samples are known numbers; what no sample can hold is clipped. */
static void levels(void **state)
{
    (void)state;
    static const struct {
        Layout layout;
        int full, i_plane;
        unsigned sample;
        float value;
    } row[] = {
        { YUV420, 0, 0, 16, 0 },       { YUV420, 0, 0, 235, 1 },       { YUV420, 0, 1, 128, 0 },      { YUV420, 0, 2, 240, 0.5f },
        { YUV420, 1, 0, 255, 1 },      { YUV420, 1, 1, 128, 0 },       { YUV420_10, 0, 0, 940, 1 },   { P010, 0, 1, 64, -0.5f },
        { YUV420_10, 1, 0, 1023, 1 },  { RGB24, 0, 1, 255, 1 },        { GBRP10, 0, 2, 1023, 1 },     { GRAY16, 1, 0, 65535, 1 },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        Frame f = make_frame(row[i].layout, 4, 4, row[i].full);
        MienPlane *c = &f.p.plane[row[i].i_plane];
        float v[4];
        fill(&f);
        put(c, 1, 0, row[i].sample);
        mieni_plane_read(c, mieni_plane_scale(&f.p, row[i].i_plane), 0, v);
        assert_true(fabsf(v[1] - row[i].value) < 1e-5f);
        v[0] = 40;
        v[1] = NAN;
        mieni_plane_write(c, mieni_plane_scale(&f.p, row[i].i_plane), 0, v, NULL);
        assert_int_equal(get(c, 0, 0) >> c->shift, (1u << c->bits) - 1);
        assert_int_equal(get(c, 1, 0), 0);
        free(f.memory);
    }
}

/* Reduction is the mean over areas: against sums of an 8× supersampled frame. */
static void reduction_is_the_mean(void **state)
{
    (void)state;
    enum { W = 50, H = 34, SW = 16, SH = 12 };
    Frame f = make_frame(RGB24, W, H, 1);
    MieniReducer r = { 0 };
    float rgb[SW * SH * 3];
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++)
                put(&f.p.plane[i], x, y, (unsigned)((x * 37 + y * 91 + i * 53) % 256));
    assert_int_equal(mieni_planes_reduce(&r, (MienExec){ 0 }, &f.p, SW, SH, rgb), 0);
    for (int y = 0; y < SH; y++)
        for (int x = 0; x < SW; x++)
            for (int i = 0; i < 3; i++) {
                double sum = 0;
                int n = 0; /* SW·SH divide W·SW: sub-pixels of 1/SW and 1/SH are exact */
                for (int b = y * H; b < (y + 1) * H; b++)
                    for (int a = x * W; a < (x + 1) * W; a++, n++)
                        sum += get(&f.p.plane[i], a / SW, b / SH);
                assert_true(fabs(sum / n / 255 - rgb[(y * SW + x) * 3 + i]) < 1e-5);
            }
    /* 4:2:0 and gray come out as the colours that went in, whatever the sizes */
    for (int layout = 0; layout < N_LAYOUTS; layout++) {
        Frame g = make_frame((Layout)layout, 33, 21, 0);
        fill(&g);
        assert_int_equal(mieni_planes_reduce(&r, (MienExec){ 0 }, &g.p, SW, SH, rgb), 0);
        for (int k = 0; k < SW * SH * 3; k++)
            assert_true(rgb[k] > 0.1f && rgb[k] < 0.9f);
        free(g.memory);
    }
    mieni_reducer_uninit(&r);
    free(f.memory);
}

static void run(Frame *f, const float *in, const float *out, int w, int h, int keep_chroma, const MienMask *mask)
{
    MieniUpsampler u = { 0 };
    assert_int_equal(mieni_upsample(&u, (MienExec){ 0 }, &f->p, in, out, w, h, keep_chroma, mask), 0);
    mieni_upsampler_uninit(&u);
}

/* A style that changes nothing gives the frame back: to the rounding at factor 1, nearly so where the frame is smooth. */
static void no_change_is_the_identity(void **state)
{
    (void)state;
    static const int size[][4] = { { 32, 24, 32, 24 }, { 33, 21, 33, 21 }, { 96, 72, 32, 24 }, { 97, 61, 24, 16 }, { 1, 1, 16, 16 }, { 5, 3, 16, 16 } };
    for (int layout = 0; layout < N_LAYOUTS; layout++)
        for (size_t s = 0; s < MIEN_ARRAY_ELEMS(size); s++) {
            int w = size[s][0], h = size[s][1], sw = size[s][2], sh = size[s][3];
            Frame a = make_frame((Layout)layout, w, h, 0), b = make_frame((Layout)layout, w, h, 0);
            MieniReducer r = { 0 };
            float *rgb = malloc((size_t)(sw * sh * 3) * sizeof(float));
            fill(&a);
            fill(&b);
            mieni_planes_reduce(&r, (MienExec){ 0 }, &a.p, sw, sh, rgb);
            run(&b, rgb, rgb, sw, sh, 0, NULL);
            unsigned unit = 1u << (a.p.plane[0].bits - 8), d = worst_difference(&a, &b);
            if (d > (w == sw ? 1 : 6) * unit)
                fail_msg("%s %dx%d by %dx%d: differs by %u", layout_name[layout], w, h, sw, sh, d);
            mieni_reducer_uninit(&r);
            free(rgb);
            free(a.memory);
            free(b.memory);
        }
}

/* An edge of the frame that the style keeps is as sharp afterwards as it was; strokes that the frame knows nothing of get steeper
 * than enlarging alone makes them, and never go beyond their own range. */
static void edges_and_strokes(void **state)
{
    (void)state;
    enum { SW = 32, SH = 8, F = 4, W = SW * F, H = SH * F };
    Frame f = make_frame(GRAY, W, H, 1);
    float in[SW * SH * 3], out[SW * SH * 3];
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            put(&f.p.plane[0], x, y, x < 50 ? 60 : 180);
    MieniReducer r = { 0 };
    mieni_planes_reduce(&r, (MienExec){ 0 }, &f.p, SW, SH, in);
    mieni_reducer_uninit(&r);
    for (int k = 0; k < SW * SH * 3; k++)
        out[k] = 0.9f * in[k];
    run(&f, in, out, SW, SH, 0, NULL);
    int jump = (int)get(&f.p.plane[0], 50, H / 2) - (int)get(&f.p.plane[0], 49, H / 2);
    assert_true(jump > 60); /* of 108; cubic enlargement alone leaves 18 to 27 */

    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            put(&f.p.plane[0], x, y, 120);
    for (int y = 0; y < SH; y++)
        for (int x = 0; x < SW; x++)
            for (int c = 0; c < 3; c++) {
                in[(y * SW + x) * 3 + c] = 120 / 255.0f;
                out[(y * SW + x) * 3 + c] = x % 8 < 4 ? 0.2f : 0.8f;
            }
    run(&f, in, out, SW, SH, 0, NULL);
    int steepest = 0;
    for (int x = 1; x < W; x++) {
        int v = (int)get(&f.p.plane[0], x, H / 2), before = (int)get(&f.p.plane[0], x - 1, H / 2);
        assert_in_range(v, 50, 205);
        steepest = abs(v - before) > steepest ? abs(v - before) : steepest;
    }
    assert_true(steepest > 55); /* of 153; cubic enlargement alone gives 43 */
    free(f.memory);
}

/* Own colour: chroma keeps its bits and RGB its differences. Masks: what they leave out keeps its bits. */
static void colour_and_masks(void **state)
{
    (void)state;
    enum { W = 64, H = 48, SW = 32, SH = 24 };
    static float in[SW * SH * 3], out[SW * SH * 3];
    for (int layout = 0; layout < N_LAYOUTS; layout++) {
        Frame a = make_frame((Layout)layout, W, H, 0), b = make_frame((Layout)layout, W, H, 0);
        MieniReducer r = { 0 };
        fill(&a);
        fill(&b);
        mieni_planes_reduce(&r, (MienExec){ 0 }, &a.p, SW, SH, in);
        for (int k = 0; k < SW * SH; k++) {
            out[3 * k] = in[3 * k] * 0.8f;
            out[3 * k + 1] = in[3 * k + 1] * 0.9f;
            out[3 * k + 2] = in[3 * k + 2] * 0.4f;
        }
        run(&b, in, out, SW, SH, 1, NULL);
        assert_true(worst_difference(&a, &b) > 5);
        for (int i = 1; i < a.p.n; i++)
            for (int y = 0; y < a.p.plane[i].h_px; y++)
                for (int x = 0; x < a.p.plane[i].w_px; x++) {
                    int u = (int)get(&a.p.plane[i], x, y), v = (int)get(&b.p.plane[i], x, y);
                    if (a.p.rgb) { /* all three move by the same amount */
                        u -= (int)get(&a.p.plane[0], x, y);
                        v -= (int)get(&b.p.plane[0], x, y);
                    }
                    assert_true(abs(u - v) <= (a.p.rgb ? 1 : 0));
                }
        fill(&b);
        MienBox box = { 10, 8, 30, 28 };
        MienMask mask = { .box = &box, .n_boxes = 1 };
        for (mask.invert = 0; mask.invert < 2; mask.invert++) {
            fill(&b);
            run(&b, in, out, SW, SH, 0, &mask);
            const MienPlane *c = &a.p.plane[0], *d = &b.p.plane[0];
            assert_int_equal(get(c, 20, 18) == get(d, 20, 18), mask.invert);
            for (int y = 0; y < H; y++)
                for (int x = 0; x < W; x++)
                    if (x < 8 || x > 32 || y < 6 || y > 30) /* the box and a soft edge of two pixels */
                        assert_int_equal(get(c, x, y) == get(d, x, y), !mask.invert);
        }
        mask = (MienMask){ .n_boxes = 0 };
        fill(&b);
        run(&b, in, out, SW, SH, 0, &mask);
        assert_memory_equal(a.memory, b.memory, a.bytes);
        mieni_reducer_uninit(&r);
        free(a.memory);
        free(b.memory);
    }
}

static void bad_planes(void **state)
{
    (void)state;
    Frame f = make_frame(YUV420, 8, 8, 0);
    MienPlanes p = f.p;
    p.plane[1].bits = 17;
    assert_int_equal(mien_planes_check(&p), MIEN_ERR(EINVAL));
    p = f.p;
    p.plane[2].data = NULL;
    assert_int_equal(mien_planes_check(&p), MIEN_ERR(EINVAL));
    p = f.p;
    p.kr = NAN;
    assert_int_equal(mien_planes_check(&p), MIEN_ERR(EINVAL));
    p = f.p;
    p.plane[0].w_px = 4;
    assert_int_equal(mien_planes_check(&p), MIEN_ERR(EINVAL));
    free(f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_round_trip),   cmocka_unit_test(levels),           cmocka_unit_test(reduction_is_the_mean),
        cmocka_unit_test(no_change_is_the_identity), cmocka_unit_test(edges_and_strokes), cmocka_unit_test(colour_and_masks),
        cmocka_unit_test(bad_planes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
