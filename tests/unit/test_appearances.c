/* The statistics of `mien evaluate video`: events into namings, namings against appearances, case by case. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "mien/common.h"
#include "tool/appearances.h"

#define NEAR(a, b) assert_true(fabs((a) - (b)) < 1e-6)

static Namings g;
static const MienBox left = { 0, 0, 100, 100 }, right = { 500, 0, 600, 100 };

static void event(MienEventKind kind, int64_t track, const char *name, double time_s)
{
    assert_int_equal(namings_event(&g, kind, track, name, time_s, track % 2 ? left : right), 0);
}

static void events_become_namings(void **state)
{
    (void)state;
    event(MIEN_EVENT_ENTER, 1, NULL, 1);      /* unrecognised */
    event(MIEN_EVENT_ENTER, 2, "Ann", 1.5);
    event(MIEN_EVENT_UPDATE, 1, "Bob", 2);
    event(MIEN_EVENT_RETRACT, 1, NULL, 3);
    event(MIEN_EVENT_UPDATE, 1, "Cyd", 4);    /* a switch, though there was nobody in between */
    event(MIEN_EVENT_LEAVE, 1, "Cyd", 5);
    event(MIEN_EVENT_ENTER, 3, "Bob", 6);
    namings_end(&g, 9);
    assert_int_equal(g.n, 4);
    assert_int_equal(g.n_tracks, 3);
    assert_int_equal(g.n_retracted, 1);
    assert_int_equal(g.n_switched, 1);
    NEAR(g.last_s, 6);
    static const struct { const char *name; double from, to; } want[4] = { { "Ann", 1.5, 9 }, { "Bob", 2, 3 }, { "Cyd", 4, 5 }, { "Bob", 6, 9 } };
    for (int i = 0; i < 4; i++) {
        assert_string_equal(g.naming[i].name, want[i].name);
        NEAR(g.naming[i].from_s, want[i].from);
        NEAR(g.naming[i].to_s, want[i].to);
    }
    namings_free(&g);
    for (int i = 0; i < 500; i++) {
        event(MIEN_EVENT_ENTER, i, i % 3 ? "Ann" : NULL, i);
        event(MIEN_EVENT_LEAVE, i, i % 3 ? "Ann" : NULL, i + 0.5);
    }
    assert_int_equal(g.n, 333);
    assert_int_equal(g.n_live, 0);
    namings_free(&g);
}

static void names_are_scored(void **state)
{
    (void)state;
    char ann[] = "Ann", bob[] = "Bob";
    Appearance a[] = {
        { .name = ann, .first_s = 0, .last_s = 10 },
        { .name = ann, .first_s = 10.2, .last_s = 20 }, /* a cut between them */
        { .name = bob, .first_s = 0, .last_s = 10, .has_region = 1, .region_px = { 400, 0, 700, 200 } },
        { .name = bob, .first_s = 30, .last_s = 40 },
    };
    Naming n[] = {
        { .track = 1, .name = "Ann", .from_s = 0.4, .to_s = 19, .x_px = 50, .y_px = 50 },  /* over both */
        { .track = 2, .name = "Bob", .from_s = 2, .to_s = 6, .x_px = 550, .y_px = 50 },
        { .track = 3, .name = "Bob", .from_s = 3, .to_s = 4, .x_px = 50, .y_px = 50 },     /* on somebody else's face */
        { .track = 4, .name = "Ann", .from_s = 25, .to_s = 26 },                           /* a stranger */
        { .track = 5, .name = "Ann", .from_s = 18, .to_s = 22 },                           /* stays on after she left */
        { .track = 6, .name = "Bob", .from_s = 10.3, .to_s = 10.4, .x_px = 550, .y_px = 50 },
        { .track = 7, .name = "Ann", .from_s = 20.5, .to_s = 20.5 },
        { .track = 8, .name = "Ann", .from_s = 20.6, .to_s = 20.6 },
    };
    static const int wrong[] = { 0, 0, 1, 1, 1, 0, 0, 1 };
    AppearanceReport r;
    assert_int_equal(appearances_score(a, 4, n, 8, 0.5, &r), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(n[i].wrong, wrong[i]);
    assert_int_equal(r.n_named, 3);
    assert_int_equal(r.n_wrong, 4);
    NEAR(a[0].named_s, 0.4);
    NEAR(a[1].named_s, 10.2);
    NEAR(a[2].named_s, 2);
    assert_true(isnan(a[3].named_s));
    NEAR(r.delay_mean_s, 2.4 / 3);
    NEAR(r.delay_median_s, 0.4);
    NEAR(r.delay_most_s, 2);
    NEAR(r.share_named_s, (9.6 + 9.8 + 4) / 39.8); /* two tracks may say it at once: no more than all of the time counts */
    assert_int_equal(appearances_score(a, 0, n, 0, 0.5, &r), 0);
    assert_true(isnan(r.delay_mean_s) && r.share_named_s == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_become_namings),
        cmocka_unit_test(names_are_scored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
