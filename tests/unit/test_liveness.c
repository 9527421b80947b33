/* face/liveness, face/plane: each check on points, textures and signals whose answer is known. Needs no networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "face/liveness.h"

enum { CHIP = MIENI_CHIP_PX, GRAIN = MIENI_GRAIN_PX, SCENE = MIENI_SCENE_PX };

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

/* ---- planes */

static void a_homography_is_found(void **state)
{
    (void)state;
    const double h[9] = { 0.93, -0.11, 4, 0.08, 1.05, -3, 0.0012, -0.0007, 1 };
    MieniMoved p[40];
    float got[8];
    for (int i = 0; i < 40; i++) {
        double x = uniform(0, 64), y = uniform(0, 64), w = h[6] * x + h[7] * y + 1, a = uniform(0.5, 3), b = uniform(0.5, 3);
        p[i] = (MieniMoved){ { (float)x, (float)y }, { (float)((h[0] * x + h[1] * y + h[2]) / w), (float)((h[3] * x + h[4] * y + h[5]) / w) },
                             (float)a, (float)uniform(-.4, .4), (float)b };
    }
    near((double)mieni_plane_fit(p, 40, got), 0, 1e-7);
    for (int i = 0; i < 8; i++)
        near((double)got[i], h[i], 1e-3 * fabs(h[i]) + 1e-5);
    /* noise of the covariance stated leaves a misfit of 1: 200 points, so within a fifth */
    MieniMoved many[200];
    for (int i = 0; i < 200; i++) {
        double x = uniform(0, 64), y = uniform(0, 64), r = 0.3 * sqrt(-2 * log(uniform(1e-9, 1))), t = uniform(0, 2 * M_PI);
        many[i] = (MieniMoved){ { (float)x, (float)y }, { (float)(x + r * cos(t)), (float)(y + r * sin(t)) }, 1 / .09f, 0, 1 / .09f };
    }
    near((double)mieni_plane_fit(many, 200, NULL), 1, 0.2);
}

static void too_little_is_no_plane(void **state)
{
    (void)state;
    MieniMoved p[20];
    for (int i = 0; i < 20; i++)
        p[i] = (MieniMoved){ { (float)i, 2.0f * (float)i }, { (float)i, 2.0f * (float)i }, 1, 0, 1 };
    assert_true(isnan(mieni_plane_fit(p, 20, NULL))); /* in line */
    assert_true(isnan(mieni_plane_fit(p, 7, NULL)));
    for (int i = 0; i < 20; i++)
        p[i].from = p[i].to = (MienPoint){ 5, 5 };
    assert_true(isnan(mieni_plane_fit(p, 20, NULL)));
    p[3].from.x_px = NAN;
    assert_true(isnan(mieni_plane_fit(p, 20, NULL)));
}

/* Points of half an ellipsoid, as a head has, turned by `turn` radians and seen in perspective. flat: the same points printed on paper. */
static void head(MienPoint *p, int n, double turn, double flat)
{
    for (int i = 0; i < n; i++) {
        double x = 0.8 * cos(i * 2.4) * sqrt((i + .5) / n), y = sin(i * 2.4) * sqrt((i + .5) / n);
        double z = flat != 0 ? 0 : 0.6 * sqrt(fmax(0, 1 - x * x / .8 - y * y));
        double u = x * cos(turn) + z * sin(turn), d = 6 - (z * cos(turn) - x * sin(turn));
        p[i] = (MienPoint){ (float)(100 + 300 * u / d), (float)(100 + 300 * y / d) };
    }
}

static void a_turned_head_is_no_plane(void **state)
{
    (void)state;
    for (int flat = 0; flat < 2; flat++) {
        MienPoint a[68], b[68];
        MieniMoved p[68];
        head(a, 68, 0, flat);
        head(b, 68, 0.25, flat);
        for (int i = 0; i < 68; i++)
            p[i] = (MieniMoved){ a[i], b[i], 1, 0, 1 };
        double misfit = (double)mieni_plane_fit(p, 68, NULL);
        assert_true(flat ? misfit < 1e-4 : misfit > 0.3);
    }
}

/* A texture with detail of every direction. */
static float texture(double x, double y)
{
    return (float)(128 + 30 * sin(.41 * x + .13 * y) + 25 * sin(.17 * x - .37 * y + 1) + 20 * sin(.29 * x + .53 * y + 2) + 12 * sin(.71 * x - .22 * y));
}

/* kind 0: moved and tilted as a sheet is; 1: a middle that goes its own way, as a nose does; 2: an opening mouth */
static void draw(float *chip, int kind, double amount)
{
    for (int y = 0; y < CHIP; y++)
        for (int x = 0; x < CHIP; x++) {
            double w = 1 + amount * (8e-4 * x - 5e-4 * y), u = (x + amount * (1.2 + .03 * x - .02 * y)) / w, v = (y + amount * (-.9 + .02 * x)) / w;
            double r2 = ((x - 32.0) * (x - 32) + (y - 34.0) * (y - 34)) / 150;
            u += kind == 1 ? amount * 1.5 * exp(-r2) : 0;
            v += kind == 2 && y > 40 ? amount * 1.2 * (y - 40) / 10 : 0;
            chip[y * CHIP + x] = texture(u, v) + (float)uniform(-2, 2);
        }
}

static void texture_of_a_plane_and_of_a_face(void **state)
{
    (void)state;
    static float a[CHIP * CHIP], b[CHIP * CHIP];
    int n;
    seed = 5;
    draw(a, 0, 0);
    for (double amount = 0; amount <= 1; amount += .25) {
        draw(b, 0, amount);
        double rest = (double)mieni_plane_rest(a, b, &n);
        assert_true(n >= 35);
        assert_true(rest < 2.5);
        draw(b, 1, amount);
        assert_true(amount < .5 || (double)mieni_plane_rest(a, b, &n) > 8);
        draw(b, 2, amount);
        assert_true(amount < .5 || (double)mieni_plane_rest(a, b, &n) > 8);
    }
    for (int i = 0; i < CHIP * CHIP; i++)
        b[i] = 128; /* no texture, no answer */
    assert_true(isnan(mieni_plane_rest(a, b, &n)));
    for (int i = 0; i < CHIP * CHIP; i++)
        b[i] = i % 3 ? 0 : NAN;
    assert_true(isnan(mieni_plane_rest(a, b, &n)));
}

/* ---- eyes */

static void face_points(MienPoint p[68], double x, double y, double eye_dist, double opening)
{
    for (int i = 0; i < 68; i++)
        p[i] = (MienPoint){ (float)(x + eye_dist * .9 * cos(i)), (float)(y + eye_dist * .9 * sin(i)) };
    for (int eye = 0; eye < 2; eye++) {
        double cx = x + (eye ? .5 : -.5) * eye_dist, wide = .4 * eye_dist, high = opening * wide;
        const double at[6][2] = { { -.5, 0 }, { -.2, -.5 }, { .2, -.5 }, { .5, 0 }, { .2, .5 }, { -.2, .5 } };
        for (int k = 0; k < 6; k++)
            p[36 + 6 * eye + k] = (MienPoint){ (float)(cx + at[k][0] * wide), (float)(y + at[k][1] * high) };
    }
}

static void opening_of_eyes(void **state)
{
    (void)state;
    MienPoint p[68];
    face_points(p, 100, 80, 60, .31);
    near((double)mieni_eye_opening(p), .31, 1e-5);
    memset(p, 0, sizeof(p));
    near((double)mieni_eye_opening(p), 0, 0);
}

static int check(const char *name)
{
    for (int i = 0; i < mien_live_checks(); i++)
        if (!strcmp(mien_live_check_name(i), name))
            return i;
    fail_msg("there is no check %s", name);
    return 0;
}

static float blank_scene[SCENE * SCENE], face_chip[CHIP * CHIP];

static MieniLook look_at(double time_s, double x, double y, double opening)
{
    MieniLook l = { .time_s = time_s, .prob_live = NAN, .glow = NAN, .chip = face_chip, .scene = blank_scene };
    face_points(l.landmark_px, x, y, 60, opening);
    return l;
}

static void blinks_are_counted(void **state)
{
    (void)state;
    static MieniLive live;
    MienLiveness r;
    mieni_live_start(&live);
    for (int f = 0; f < 300; f++) { /* 12 seconds: blinks of 0.16 s at 3, 5 and 9 s; closed from 10 to 11 */
        double t = f / 25.0, opening = .3 + uniform(-.01, .01);
        for (int k = 0; k < 3; k++)
            opening = f >= (int[]){ 75, 125, 225 }[k] && f < (int[]){ 79, 129, 229 }[k] ? .08 : opening;
        opening = f >= 250 && f < 275 ? .08 : opening;
        MieniLook l = look_at(t, 100, 100, opening);
        if (!mieni_live_wants_look(&live, t))
            l.chip = NULL;
        mieni_live_look(&live, &l, NULL);
    }
    mieni_live_judge(&live, &r);
    near((double)r.measure[check("blink")], 3, 0);
    assert_int_equal(r.n_looks, 100); /* every third frame */
}

/* ---- spectrum */

static void gratings_stand_out(void **state)
{
    (void)state;
    static float p[GRAIN * GRAIN];
    static const double waves[][2] = { { .21, .13 }, { .3, -.17 }, { .11, .32 }, { .4, .06 } };
    seed = 9;
    for (int noise = 0; noise < 4; noise++) { /* skin: noise and a gradient */
        for (int i = 0; i < GRAIN * GRAIN; i++)
            p[i] = (float)(120 + .3 * (i % GRAIN) + .2 * (i / GRAIN) + uniform(-8, 8));
        assert_true((double)mieni_grain_peak(p) < 1.4);
    }
    for (int k = 0; k < 4; k++)
        for (double high = 4; high <= 16; high *= 2) {
            for (int i = 0; i < GRAIN * GRAIN; i++)
                p[i] = (float)(120 + high * sin(2 * M_PI * (waves[k][0] * (i % GRAIN) + waves[k][1] * (i / GRAIN))) + uniform(-8, 8));
            assert_true((double)mieni_grain_peak(p) > 1.5);
        }
    for (int i = 0; i < GRAIN * GRAIN; i++) /* a codec's blocks */
        p[i] = (float)(120 + 6 * (i / 8 % 2) + 6 * (i / GRAIN / 8 % 2) + uniform(-8, 8));
    assert_true((double)mieni_grain_peak(p) < 1.4);
    for (int i = 0; i < GRAIN * GRAIN; i++)
        p[i] = 7;
    assert_true(isfinite(mieni_grain_peak(p)));
}

/* Faces under a lamp, as skin and codec tremble, and on a screen whose light beats with the shutter. */
static void screens_flicker(void **state)
{
    (void)state;
    float glow[MIENI_LIVE_RING];
    int n_high = 0;
    seed = 21;
    for (int k = 0; k < 1000; k++) {
        double a = uniform(0, 20), f = uniform(.01, .08), noise = uniform(.02, 2); /* head and clouds go slowly, noise is anything */
        for (int i = 0; i < MIENI_LIVE_RING; i++)
            glow[i] = (float)(30 + a * sin(2 * M_PI * f * i + k) + uniform(-noise, noise));
        n_high += (double)mieni_flicker_peak(glow) > 1.2;
    }
    assert_true(n_high <= 10);
    for (double cycles = .2; cycles < .46; cycles += .037) /* a frame: 5 to 11 Hz at 25 frames a second */
        for (double high = 1; high <= 8; high *= 2) {
            for (int i = 0; i < MIENI_LIVE_RING; i++)
                glow[i] = (float)(30 + high * sin(2 * M_PI * cycles * i) + uniform(-.3, .3));
            assert_true((double)mieni_flicker_peak(glow) > 1.3);
        }
    for (int i = 0; i < MIENI_LIVE_RING; i++)
        glow[i] = 7;
    assert_true((double)mieni_flicker_peak(glow) < 0);
}

/* In the order of the frames, and from 32 without a gap. */
static void flicker_of_a_track(void **state)
{
    (void)state;
    static MieniLive live;
    MienLiveness r;
    for (int gaps = 0; gaps < 2; gaps++) {
        mieni_live_start(&live);
        for (int f = 0; f < 60; f++) {
            MieniLook l = look_at(f / 25.0 + (gaps ? f / 20 * .2 : 0), 100, 100, .3);
            l.glow = (float)(30 + 2 * sin(2 * M_PI * .4 * f) + uniform(-.3, .3));
            mieni_live_look(&live, &l, NULL);
        }
        mieni_live_judge(&live, &r);
        float measure = r.measure[check("flicker")], llr = r.check_llr[check("flicker")];
        assert_true(gaps ? isnan(measure) && isnan(llr) : (double)measure > 1.3 && (double)llr < -.4);
    }
}

/* ---- a frame */

static void frames_are_seen(void **state)
{
    (void)state;
    static float across[SCENE * SCENE], down[SCENE * SCENE];
    seed = 3;
    for (int i = 0; i < SCENE * SCENE; i++) {
        across[i] = (float)uniform(-6, 6);
        down[i] = (float)uniform(-6, 6);
    }
    double none = (double)mieni_frame_edge(across, down);
    assert_true(none < 4);
    for (int y = 0; y < SCENE; y++)
        across[y * SCENE + 6] += 30; /* one edge, as a door has: not two */
    assert_true((double)mieni_frame_edge(across, down) < 4);
    for (int x = 0; x < SCENE; x++)
        down[(40 + (int)lrint(x / 12.0)) * SCENE + x] -= 25; /* the lower edge leans a little */
    near((double)mieni_frame_edge(across, down), 25, 6);
}

/* ---- stillness */

static double still_s(const MieniLive *live)
{
    MienLiveness r;
    mieni_live_judge(live, &r);
    return (double)r.measure[check("still")];
}

static double hang(MieniLive *live, MieniPosters *posters, double from_s, double for_s, double x)
{
    double t = from_s;
    for (; t < from_s + for_s; t += .5) {
        MieniLook l = look_at(t, x + uniform(-.5, .5), 100 + uniform(-.5, .5), .3);
        mieni_live_look(live, &l, posters);
    }
    return t;
}

static void posters_hang(void **state)
{
    (void)state;
    static MieniLive live, again, other;
    MieniPosters posters = { 0 };
    seed = 4;
    mieni_live_start(&live);
    double t = hang(&live, &posters, 0, 20, 300);
    near(still_s(&live), 20, .6);
    assert_int_equal(posters.n, 1);
    mieni_live_start(&again); /* somebody walked past, the track is a new one */
    t = hang(&again, &posters, t + 5, 1, 300);
    near(still_s(&again), 21, 1.1);
    mieni_live_start(&other);
    hang(&other, &posters, t, 1, 420);
    near(still_s(&other), 1, .6);
    hang(&again, &posters, t, 4, 330); /* it moves after all */
    assert_true(still_s(&again) < 4);
    mieni_live_start(&other);
    for (int i = 0; i < MIENI_POSTERS + 2; i++) { /* more places than are remembered */
        mieni_live_start(&live);
        hang(&live, &posters, 100 * i, 11, 1000 + 100 * i);
    }
    assert_true(posters.n > MIENI_POSTERS);
}

/* ---- together */

static void evidence_adds_up(void **state)
{
    (void)state;
    static MieniLive live;
    MienLiveness r;
    for (int alive = 0; alive < 2; alive++) {
        mieni_live_start(&live);
        mieni_live_judge(&live, &r);
        assert_true(isnan(r.prob) && !r.enough && r.llr == 0);
        seed = 11;
        for (int i = 0; i < 40; i++) {
            MieniLook l = look_at(i * .12, 100 + 20 * sin(i * .3), 100, alive && i % 20 == 19 ? .05 : .3);
            draw(face_chip, alive ? 1 + i / 8 % 2 : 0, (alive ? 2 : 1) * sin(i * .4));
            l.prob_live = alive ? .97f : .03f;
            mieni_live_look(&live, &l, NULL);
        }
        mieni_live_judge(&live, &r);
        assert_true(r.enough && r.n_looks == 40);
        assert_true(alive ? (double)r.prob > .8 : (double)r.prob < .2);
        float sum = 0;
        for (int i = 0; i < mien_live_checks(); i++)
            sum += isnan(r.check_llr[i]) ? 0 : r.check_llr[i];
        near((double)r.llr, (double)sum, 1e-4);
        near((double)r.prob, 1 / (1 + exp(-(double)r.llr)), 1e-5);
        near((double)r.measure[check("network")], log(alive ? .97 / .03 : .03 / .97), 1e-3);
    }
    memset(face_chip, 0, sizeof(face_chip));
}

static void the_same_looks_give_the_same_evidence(void **state)
{
    (void)state;
    static MieniLive live;
    MienLiveness r[2];
    for (int k = 0; k < 2; k++) {
        memset(&live, k ? 0x5a : 0, sizeof(live));
        mieni_live_start(&live);
        seed = 2;
        for (int i = 0; i < 30; i++) {
            MieniLook l = look_at(i * .2, 100 + uniform(-9, 9), 100, .3);
            draw(face_chip, 1, uniform(0, 1));
            l.prob_live = (float)uniform(0, 1);
            mieni_live_look(&live, &l, NULL);
        }
        memset(&r[k], 0, sizeof(r[k]));
        mieni_live_judge(&live, &r[k]);
    }
    assert_memory_equal(&r[0], &r[1], sizeof(r[0]));
}

static void thresholds_are_in_order(void **state)
{
    (void)state;
    float last = INFINITY;
    for (float apcer = .001f; apcer <= 1; apcer += .001f) {
        float llr = mien_live_min_llr(apcer);
        assert_true(isfinite(llr) && llr <= last);
        last = llr;
    }
}

static void senseless_looks_are_passed_over(void **state)
{
    (void)state;
    static MieniLive live;
    MienLiveness r;
    mieni_live_start(&live);
    MieniLook l = look_at(1, 100, 100, .3);
    l.landmark_px[37].x_px = NAN;
    mieni_live_look(&live, &l, NULL);
    memset(l.landmark_px, 0, sizeof(l.landmark_px));
    mieni_live_look(&live, &l, NULL);
    mieni_live_judge(&live, &r);
    assert_int_equal(r.n_looks, 0);
    for (int i = -1; i <= MIEN_LIVE_CHECKS_MAX; i++)
        assert_true(mien_live_check_name(i) && mien_live_check_text(i));
    assert_true(mien_live_checks() <= MIEN_LIVE_CHECKS_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_homography_is_found),
        cmocka_unit_test(too_little_is_no_plane),
        cmocka_unit_test(a_turned_head_is_no_plane),
        cmocka_unit_test(texture_of_a_plane_and_of_a_face),
        cmocka_unit_test(opening_of_eyes),
        cmocka_unit_test(blinks_are_counted),
        cmocka_unit_test(gratings_stand_out),
        cmocka_unit_test(screens_flicker),
        cmocka_unit_test(flicker_of_a_track),
        cmocka_unit_test(frames_are_seen),
        cmocka_unit_test(posters_hang),
        cmocka_unit_test(evidence_adds_up),
        cmocka_unit_test(the_same_looks_give_the_same_evidence),
        cmocka_unit_test(thresholds_are_in_order),
        cmocka_unit_test(senseless_looks_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
