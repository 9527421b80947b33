/* Boxes carried on: where they are against a naive reference in double precision, what is not shown any more, how old a look is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "face/tagger_int.h"
#include "mien/error.h"

static MienCarry *carry(void)
{
    MienCarry *c;
    assert_int_equal(mien_carry_create(&c, 2), 0);
    return c;
}

static void add(MienCarry *c, int64_t track, MieniMotion motion, MienMoment seen, int is_missed)
{
    MienTag tag = { .track = track, .status = MIEN_STATUS_KNOWN, .id = 7, .name = "Ann", .sim_cos = 0.7f, .box_px = mieni_motion_box(&motion) };
    MieniShown shown = { motion, seen, is_missed };
    MienExplanation *x = mieni_carry_add(c, &tag, &shown);
    assert_non_null(x);
    memset(x, 0, sizeof(*x));
    x->n_views = (int)track;
}

static MienMoment at(int64_t frame)
{
    return (MienMoment){ .frame = frame, .time_s = (double)frame / 25 };
}

/* n steps of a speed that fades, summed one by one. */
static double moved(double speed, int n, double fade)
{
    double x = 0;
    for (int i = 0; i < n; i++)
        x += speed *= fade;
    return x;
}

static void boxes_move_on(void **state)
{
    (void)state;
    MienCarry *c = carry();
    MieniMotion m = { 300, 200, 60, 80, 4, -2, 0.5f, 0 };
    MienMoment look = at(10);
    mieni_carry_begin(c, &look, 640, 360);
    add(c, 3, m, look, 0);
    add(c, 4, m, look, 1);
    for (int n = 0; n <= 45; n++) {
        const MienTag *tags;
        MienMoment now = at(10 + n);
        assert_int_equal(mien_carry_at(c, &now, &tags), 2);
        for (int i = 0; i < 2; i++) {
            double fade = i ? 0.7 : 0.9, cx = 300 + moved(4, n, fade), cy = 200 + moved(-2, n, fade), w = 60 + moved(0.5, n, fade);
            MienBox b = tags[i].box_px;
            assert_int_equal(tags[i].track, 3 + i);
            assert_string_equal(tags[i].name, "Ann");
            assert_true(fabs((double)b.x0_px - (cx - w / 2)) < 1e-3 && fabs((double)b.x1_px - (cx + w / 2)) < 1e-3);
            assert_true(fabs((double)b.y0_px - (cy - 40)) < 1e-3 && fabs((double)b.y1_px - (cy + 40)) < 1e-3);
        }
        assert_true(fabs(mien_carry_age_s(c, &now) - n / 25.0) < 1e-9);
    }
    MienExplanation x;
    assert_int_equal(mien_carry_explain(c, 4, &x), 0);
    assert_int_equal(x.n_views, 4);
    assert_int_equal(mien_carry_explain(c, 5, &x), MIEN_E_NOTFOUND);
    mien_carry_destroy(&c);
    mien_carry_destroy(&c);
}

static void boxes_end(void **state)
{
    (void)state;
    MienCarry *c = carry();
    const MienTag *tags;
    MienMoment look = at(100), before = at(70), now = at(100);
    MieniMotion still = { 300, 200, 60, 80, 0, 0, 0, 0 }, leaving = { 10, 200, 60, 80, -6, 0, 0, 0 };
    assert_true(isnan(mien_carry_age_s(c, &now)));
    assert_int_equal(mien_carry_at(c, &now, &tags), 0);

    mieni_carry_begin(c, &look, 640, 360);
    add(c, 1, still, look, 0);
    add(c, 2, still, before, 1); /* 1.2 s ago */
    assert_int_equal(mien_carry_at(c, &now, &tags), 2);
    now = at(120);
    assert_int_equal(mien_carry_at(c, &now, &tags), 2);
    now = at(121); /* now 2.04 s */
    assert_int_equal(mien_carry_at(c, &now, &tags), 1);
    now = at(150);
    assert_int_equal(mien_carry_at(c, &now, &tags), 1);
    now = at(151);
    assert_int_equal(mien_carry_at(c, &now, &tags), 0);
    assert_true(mien_carry_age_s(c, &now) > MIEN_CARRY_MAX_S);

    mieni_carry_begin(c, &look, 640, 360);
    add(c, 1, leaving, look, 0);
    now = at(103);
    assert_int_equal(mien_carry_at(c, &now, &tags), 1);
    assert_true(tags[0].box_px.x0_px == 0 && tags[0].box_px.x1_px > 20);
    now = at(130); /* its right edge was at 40 px, and the fading speed takes it 52 px to the left */
    assert_int_equal(mien_carry_at(c, &now, &tags), 0);
    mien_carry_forget(c);
    now = at(101);
    assert_int_equal(mien_carry_at(c, &now, &tags), 0);
    assert_true(isnan(mien_carry_age_s(c, &now)));
    mien_carry_destroy(&c);
}

static void ages(void **state)
{
    (void)state;
    MienCarry *c = carry();
    const MienTag *tags;
    MieniMotion far = { 300, 200, 60, 80, 1e30f, 0, 0, 0 };
    MienMoment look = { 5, NAN, 1000000 }, now = { 8, 3.5, 1250000 };
    mieni_carry_begin(c, &look, 640, 360);
    assert_true(fabs(mien_carry_age_s(c, &now) - 0.25) < 1e-9); /* by the clock */
    now.wall_us = 0;
    assert_true(fabs(mien_carry_age_s(c, &now) - 0.12) < 1e-9); /* by the frames */
    look = (MienMoment){ 5, 10, 0 };
    mieni_carry_begin(c, &look, 640, 360);
    assert_true(mien_carry_age_s(c, &now) == 0); /* never negative */
    add(c, 1, far, look, 0);
    now = (MienMoment){ INT64_MAX, 10.1, 0 };
    assert_int_equal(mien_carry_at(c, &now, &tags), 0); /* bounded work, no box outside */
    /* no room is no crash */
    for (int i = 0; i < 10; i++) {
        MienTag tag = { .track = i };
        MieniShown shown = { far, look, 0 };
        assert_true(!mieni_carry_add(c, &tag, &shown) == (i >= 3));
    }
    mien_carry_destroy(&c);
}

static void out_of_memory(void **state)
{
    (void)state;
    uint64_t live_bytes = mien_mem_live_bytes();
    int ret = -1;
    for (uint64_t n = 1; ret < 0; n++) {
        MienCarry *c = (MienCarry *)&n;
        mien_mem_fail_at(n, 0);
        ret = mien_carry_create(&c, 32);
        mien_mem_fail_at(0, 0);
        assert_true(n < 20 && (ret == 0 || (ret == MIEN_ERR(ENOMEM) && !c)));
        mien_carry_destroy(&c);
        assert_int_equal(mien_mem_live_bytes(), live_bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_move_on),
        cmocka_unit_test(boxes_end),
        cmocka_unit_test(ages),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
