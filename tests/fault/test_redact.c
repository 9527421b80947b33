/* Redaction when memory runs out, at each allocation in turn: ENOMEM, nothing leaks, no frame is skipped, and a film that goes on is covered
 * as if nothing had been. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/redact.h"

enum { FRAMES = 12, LOOKAHEAD = 3, W = 32, H = 24 };

static void tags_of(int frame, MienTag tag[3])
{
    for (int i = 0; i < 3; i++) {
        tag[i] = (MienTag){ .track = 1 + i + 3 * (frame / 4), .status = i ? MIEN_STATUS_KNOWN : MIEN_STATUS_UNRECOGNISED,
                            .whole_box_px = { 10.0f * (float)i, 4, 10.0f * (float)i + 6, 10 } };
        strcpy(tag[i].name, i ? "Ann" : "");
    }
}

/* Each call is tried until it works: the sum of what came out, or a negative code where it never did. */
static int film(int *n_failed)
{
    const char *who = "Ann";
    const MienRedactPolicy policy = { MIEN_REDACT_EXCEPT, &who, 1 };
    const MienRedactorParams params = { LOOKAHEAD, 0, 0 };
    static uint8_t samples[W * H];
    MienPlanes planes = { .w_px = W, .h_px = H, .n = 1, .kr = .3f, .kb = .1f, .plane[0] = { samples, W, 1, 8, 0, W, H } };
    MienRedactPlan plan;
    MienRedactor *r;
    int ret, sum = 0;
#define TRY(call)                                                             \
    for (int tries = 0; (ret = (call)) == MIEN_ERR(ENOMEM); tries++, ++*n_failed) \
        assert_true(tries < 2)
    TRY(mien_redactor_create(&r, &params));
    TRY(mien_redactor_set_policy(r, &policy));
    for (int i = 0; i <= FRAMES; i++) {
        MienTag tag[3];
        tags_of(i, tag);
        MienRedactFrame frame = { .tags = tag, .n_tags = 3, .time_s = i };
        if (i == FRAMES)
            mien_redactor_finish(r);
        else
            TRY(mien_redactor_push(r, &frame));
        for (;;) {
            TRY(mien_redactor_pop(r, &plan));
            if (ret <= 0)
                break;
            sum += 100 + plan.n_regions;
            TRY(mien_redactor_paint(r, &plan, &planes, MIEN_REDACT_BLUR));
            assert_int_equal(ret, 0);
        }
    }
    MienRedactStats stats;
    mien_redactor_stats(r, &stats);
    assert_int_equal(stats.frames, FRAMES);
    mien_redactor_destroy(&r);
    return sum;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    int n_failed = 0, want = film(&n_failed);
    assert_true(want > 100 * FRAMES && !n_failed);
    uint64_t live = mien_mem_live_bytes();
    for (uint64_t n = 1;; n++) {
        n_failed = 0;
        mien_mem_fail_at(n, 0);
        int sum = film(&n_failed);
        mien_mem_fail_at(0, 0);
        assert_int_equal(sum, want);
        assert_int_equal(mien_mem_live_bytes(), live);
        if (!n_failed) {
            assert_true(n > 8); /* that many allocations there are at least */
            return;
        }
        assert_int_equal(n_failed, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_may_fail) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
