/* restyle: a small film in a style: cuts, stillness, moved results, sizes, threads, failing memory. Needs stylenet and a preset of the repository. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/preset.h"
#include "mien/restyle.h"

static MienModel *model;
static MienPreset *preset, *other;

/* A frame in RGB, 8 bits. */
typedef struct Film {
    int w, h;
    uint8_t *rgb;
} Film;

static MienPlanes planes(const Film *f)
{
    MienPlanes p = { .w_px = f->w, .h_px = f->h, .n = 3, .rgb = 1, .kr = 0.299f, .kb = 0.114f };
    for (int i = 0; i < 3; i++)
        p.plane[i] = (MienPlane){ f->rgb + i, 3 * f->w, 3, 8, 0, f->w, f->h };
    return p;
}

/* Scene 0 and 1: other pictures; the whole pans by `shift` pixels, a disc goes the other way. */
static void draw(Film *f, int scene, double shift)
{
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++) {
            double u = x + shift, v = y + 40 * scene, disc = hypot(x - f->w * 0.3 - shift, y - f->h * 0.5);
            double g = 110 + (scene ? 70 : -10) * sin(u * 0.11 + v * 0.05) + 30 * cos(v * 0.19 - u * 0.07) + 14 * sin(0.9 * u + 0.6 * v);
            if (disc < f->h * 0.2)
                g = 200 + 20 * sin(disc);
            for (int c = 0; c < 3; c++) {
                double s = g + (c - 1) * (scene ? -25 : 25);
                f->rgb[3 * (y * f->w + x) + c] = (uint8_t)(s < 0 ? 0 : s > 255 ? 255 : s);
            }
        }
}

static MienRestyleParams params(void)
{
    MienRestyleParams p = MIEN_RESTYLE_DEFAULTS;
    p.model = model;
    mien_preset_style(preset, &p.style);
    p.session.border_px = 0;
    p.controls.iterations = 4;
    p.controls.cut_iterations = 8;
    return p;
}

/* Runs n frames; their numbers go to info, the last frame stays in f. */
static void play(MienRestyle *r, Film *f, int n, int scene, double speed, MienRestyleInfo *info)
{
    for (int i = 0; i < n; i++) {
        draw(f, scene, i * speed);
        MienPlanes p = planes(f);
        assert_int_equal(mien_restyle_frame(r, &p, NULL, &info[i]), 0);
    }
}

static void cuts_and_resets(void **state)
{
    (void)state;
    Film f = { 96, 64, malloc(96 * 64 * 3) };
    MienRestyleParams p = params();
    MienRestyle *r;
    MienRestyleInfo info[4];
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 4, 0, 1, info);
    assert_int_equal(info[0].cut, 1);
    assert_true(isnan(info[0].ewarp));
    for (int i = 1; i < 4; i++) {
        assert_int_equal(info[i].cut, 0);
        assert_true(info[i].ewarp >= 0 && info[i].ewarp < 0.01);
        assert_int_equal(info[i].iterations, 4);
        assert_true(info[i].loss.style > 0 && info[i].loss.style < 1 && info[i].ms > 0);
    }
    play(r, &f, 2, 1, 1, info);
    assert_int_equal(info[0].cut, 1);
    assert_int_equal(info[1].cut, 0);
    mien_restyle_reset(r);
    play(r, &f, 2, 1, 1, info);
    assert_int_equal(info[0].cut, 1);
    assert_int_equal(info[1].cut, 0);
    MienRestyleStats stats;
    mien_restyle_stats(r, &stats);
    assert_int_equal(stats.frames, 8);
    assert_int_equal(stats.cuts, 3);
    mien_restyle_destroy(&r);
    free(f.rgb);
}

static double mean_ewarp(MienRestyleControls c, double speed, double *style)
{
    Film f = { 96, 64, malloc(96 * 64 * 3) };
    MienRestyleParams p = params();
    MienRestyle *r;
    MienRestyleInfo info[6];
    p.controls = c;
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 6, 0, speed, info);
    MienRestyleStats stats;
    mien_restyle_stats(r, &stats);
    mien_restyle_destroy(&r);
    free(f.rgb);
    *style = stats.style;
    return stats.ewarp;
}

/* With its past the film is several times steadier than frame by frame, even when each frame alone gets more iterations. */
static void past_makes_steady(void **state)
{
    (void)state;
    MienRestyleControls with = params().controls, without = with;
    double style_with, style_without;
    without.init = MIEN_RESTYLE_INIT_CONTENT;
    without.temporal = 0;
    without.iterations = 16;
    double a = mean_ewarp(with, 1, &style_with), b = mean_ewarp(without, 1, &style_without);
    if (!(a < b / 4) || !(style_with < 1.5 * style_without))
        fail_msg("Ewarp %.6f against %.6f frame by frame, style %.6f against %.6f", a, b, style_with, style_without);
    with.n_refs = 3;
    assert_true(mean_ewarp(with, 1, &style_with) < b / 4);
    with.n_refs = 1;
    with.with_flow = 0; /* a still film needs none */
    assert_true(mean_ewarp(with, 0, &style_with) < 1e-3);
}

static void quarter_means(const Film *f, double mean[4])
{
    for (int q = 0; q < 4; q++)
        mean[q] = 0;
    for (int y = 0; y < f->h; y++)
        for (int x = 0; x < f->w; x++)
            for (int c = 0; c < 3; c++)
                mean[2 * (y >= f->h / 2) + (x >= f->w / 2)] += f->rgb[3 * (y * f->w + x) + c] / (0.75 * f->w * f->h);
}

/* A still picture settles within a second and does not go on darkening or bleaching, as a whole or in parts. */
static void still_places_keep_their_colours(void **state)
{
    (void)state;
    Film f = { 64, 48, malloc(64 * 48 * 3) };
    MienRestyleParams p = params();
    MienRestyle *r;
    MienRestyleInfo info[100];
    double early[4], late[4], most = 0;
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 20, 0, 0, info);
    quarter_means(&f, early);
    play(r, &f, 100, 0, 0, info);
    quarter_means(&f, late);
    for (int q = 0; q < 4; q++)
        most = fmax(most, fabs(late[q] - early[q]));
    if (!(most < 5)) /* 2.8; 10.8 without the anchor */
        fail_msg("a quarter of the picture changed by %.1f of 255", most);
    mien_restyle_destroy(&r);
    free(f.rgb);
}

static void sizes(void **state)
{
    (void)state;
    static const int size[][2] = { { 1, 1 }, { 2, 3 }, { 17, 3 }, { 3, 200 }, { 97, 61 }, { 700, 20 } };
    MienRestyleParams p = params();
    MienRestyle *r;
    p.controls.iterations = 1;
    p.controls.cut_iterations = 1;
    p.size_px = 64;
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(size); i++) {
        Film f = { size[i][0], size[i][1], malloc((size_t)(size[i][0] * size[i][1] * 3)) };
        MienRestyleInfo info[3];
        play(r, &f, 3, 0, 1, info);
        assert_int_equal(info[0].cut, 1);
        assert_true(info[0].w_px >= 16 && info[0].w_px <= 64 && info[0].h_px >= 16 && info[0].h_px <= 64);
        free(f.rgb);
    }
    mien_restyle_destroy(&r);
}

static void bits_do_not_depend_on_threads(void **state)
{
    (void)state;
    Film f[2];
    for (int i = 0; i < 2; i++) {
        MienRestyleParams p = params();
        MienPool *pool;
        MienRestyle *r;
        MienRestyleInfo info[3];
        f[i] = (Film){ 80, 64, malloc(80 * 64 * 3) };
        assert_int_equal(mien_pool_create(&pool, 1 + 2 * i, (MienLog){ 0 }), 0);
        p.exec = mien_pool_exec(pool);
        assert_int_equal(mien_restyle_create(&r, &p), 0);
        play(r, &f[i], 3, 0, 1, info);
        mien_restyle_destroy(&r);
        mien_pool_destroy(&pool);
    }
    assert_memory_equal(f[0].rgb, f[1].rgb, 80 * 64 * 3);
    free(f[0].rgb);
    free(f[1].rgb);
}

static void changes_while_running(void **state)
{
    (void)state;
    Film f = { 96, 64, malloc(96 * 64 * 3) };
    MienRestyleParams p = params();
    MienRestyle *r;
    MienRestyleInfo info[2];
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 2, 0, 0, info);
    MienRestyleControls c = p.controls;
    c.iterations = 0;
    assert_int_equal(mien_restyle_set_controls(r, &c), MIEN_ERR(EINVAL));
    c.iterations = 2;
    assert_int_equal(mien_restyle_set_controls(r, &c), 0);
    MienStyleWeights bad = { .strength = -1 };
    assert_int_equal(mien_restyle_set_weights(r, &bad), MIEN_ERR(EINVAL));
    MienStyleScales style;
    mien_preset_style(other, &style);
    assert_int_equal(mien_restyle_set_style(r, &style), 0);
    play(r, &f, 1, 0, 0, info + 1);
    assert_int_equal(info[1].cut, 0); /* the past is kept */
    assert_int_equal(info[1].iterations, 2);
    assert_true(info[1].loss.style > 1.5 * info[0].loss.style); /* another style: far from it at first */
    mien_restyle_destroy(&r);
    free(f.rgb);
}

static void memory(void **state)
{
    (void)state;
    Film f = { 320, 16, malloc(320 * 16 * 3) }; /* two levels, coarse to fine */
    MienRestyleParams p = params();
    MienRestyleInfo info[4];
    MienRestyle *r;
    p.controls.iterations = 1;
    p.controls.cut_iterations = 1;
    uint64_t live = mien_mem_live_bytes();
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 2, 0, 1, info);
    uint64_t count = mien_mem_count(), held = mien_mem_live_bytes();
    play(r, &f, 3, 0, 1, info);
    play(r, &f, 2, 1, 1, info); /* a cut */
    assert_int_equal(info[0].cut, 1);
    mien_restyle_reset(r);
    play(r, &f, 1, 1, 0, info);
    assert_int_equal(mien_mem_count(), count); /* after the first frames nothing is allocated, at cuts neither */
    assert_int_equal(mien_mem_live_bytes(), held);
    mien_restyle_destroy(&r);
    assert_int_equal(mien_mem_live_bytes(), live);
    free(f.rgb);
}

static void failing_memory(void **state)
{
    (void)state;
    Film f = { 48, 32, malloc(48 * 32 * 3) };
    MienRestyleParams p = params();
    MienRestyleInfo info[1];
    MienRestyle *r;
    p.controls.iterations = 1;
    p.controls.cut_iterations = 1;
    uint64_t live = mien_mem_live_bytes();
    /* each allocation fails once: an error, nothing lost, and the same session goes on afterwards */
    int done = 0;
    for (uint64_t n = 1; !done && n < 500; n++) {
        mien_mem_fail_at(n, 0);
        int ret = mien_restyle_create(&r, &p);
        if (ret >= 0) {
            draw(&f, 0, 0);
            MienPlanes pl = planes(&f);
            ret = mien_restyle_frame(r, &pl, NULL, info);
            mien_mem_fail_at(0, 0);
            done = ret >= 0;
            assert_int_equal(mien_restyle_frame(r, &pl, NULL, info), 0);
        }
        mien_mem_fail_at(0, 0);
        if (!done)
            assert_int_equal(ret, MIEN_ERR(ENOMEM));
        mien_restyle_destroy(&r);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    assert_true(done);
    free(f.rgb);
}

/* A budget that no size keeps: the smallest one, an iteration a frame, and the film goes on. */
static void budget_chooses_the_size(void **state)
{
    (void)state;
    Film f = { 480, 32, malloc(480 * 32 * 3) };
    MienRestyleParams p = params();
    MienRestyleInfo info[2];
    MienRestyle *r;
    p.controls.budget_ms = 1e-3;
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    play(r, &f, 2, 0, 1, info);
    assert_int_equal(info[1].w_px, 96);
    assert_int_equal(info[1].iterations, 1);
    mien_restyle_destroy(&r);
    free(f.rgb);
}

static void bad_parameters(void **state)
{
    (void)state;
    MienRestyleParams p = params();
    MienRestyle *r;
    p.size_px = 10;
    assert_int_equal(mien_restyle_create(&r, &p), MIEN_ERR(EINVAL));
    assert_null(r);
    p = params();
    p.session.content_layer = "relu9_9";
    assert_int_equal(mien_restyle_create(&r, &p), MIEN_E_NOTFOUND);
    assert_null(r);
    p = params();
    p.controls.temporal = NAN;
    assert_int_equal(mien_restyle_create(&r, &p), MIEN_ERR(EINVAL));
    p = params();
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    MienPlanes none = { 0 };
    MienRestyleInfo info;
    assert_int_equal(mien_restyle_frame(r, &none, NULL, &info), MIEN_ERR(EINVAL));
    mien_restyle_destroy(&r);
}

static int open_all(void **state)
{
    (void)state;
    MienLog log = mien_log_stderr("test", MIEN_LOG_WARN);
    return mien_model_open(&model, "core/models/stylenet.safetensors", log) < 0 ||
           mien_preset_open(&preset, "presets/starry-night.safetensors", log) < 0 ||
           mien_preset_open(&other, "presets/great-wave.safetensors", log) < 0;
}

static int close_all(void **state)
{
    (void)state;
    mien_preset_unref(&preset);
    mien_preset_unref(&other);
    mien_model_unref(&model);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_and_resets), cmocka_unit_test(past_makes_steady), cmocka_unit_test(still_places_keep_their_colours), cmocka_unit_test(sizes),
        cmocka_unit_test(bits_do_not_depend_on_threads), cmocka_unit_test(changes_while_running), cmocka_unit_test(memory), cmocka_unit_test(failing_memory),
        cmocka_unit_test(budget_chooses_the_size), cmocka_unit_test(bad_parameters),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
