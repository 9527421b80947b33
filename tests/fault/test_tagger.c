/* The tagger with liveness when memory runs out, at each allocation in turn, and what it refuses. Wants the networks ($MIEN_MODELS). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/tagger.h"

static MienFaceEngine *engine, *without;

static MienTaggerParams params(void)
{
    MienTaggerParams p = MIEN_TAGGER_DEFAULTS;
    p.engine = engine;
    p.mode = MIEN_MODE_DETECT;
    p.liveness = MIEN_LIVENESS_REQUIRE;
    p.max_faces = 4;
    return p;
}

static void creation_fails_whole(void **state)
{
    (void)state;
    uint64_t live_bytes = mien_mem_live_bytes();
    int ret = -1;
    for (uint64_t n = 1; ret < 0; n++) {
        MienTagger *t = (MienTagger *)&n;
        MienTaggerParams p = params();
        mien_mem_fail_at(n, (int)(n & 1));
        ret = mien_tagger_create(&t, &p);
        mien_mem_fail_at(0, 0);
        assert_true(n < 40 && (ret == 0 || (ret == MIEN_ERR(ENOMEM) && !t)));
        mien_tagger_destroy(&t);
        assert_int_equal(mien_mem_live_bytes(), live_bytes);
    }
}

/* A frame that fails for want of memory is an error; the next one is handled as if nothing had been. */
static void frames_go_on(void **state)
{
    (void)state;
    MienTagger *t;
    MienTaggerParams p = params();
    const MienTag *tags;
    uint8_t *px = malloc(160 * 120 * 3);
    for (int i = 0; i < 160 * 120 * 3; i++)
        px[i] = (uint8_t)(i * 7919 >> 3);
    MienImage img = { px, 160 * 3, 160, 120, MIEN_PIXEL_RGB8 };
    assert_int_equal(mien_tagger_create(&t, &p), 0);
    for (uint64_t n = 1; n < 12; n++) {
        mien_mem_fail_at(n, 0);
        int ret = mien_tagger_frame(t, &img, (double)n * .04, &tags);
        mien_mem_fail_at(0, 0);
        assert_true(ret >= 0 || ret == MIEN_ERR(ENOMEM));
    }
    assert_true(mien_tagger_frame(t, &img, 1, &tags) >= 0);
    mien_tagger_destroy(&t);
    free(px);
}

static void what_is_refused(void **state)
{
    (void)state;
    MienTagger *t;
    MienTaggerParams p = params();
    p.max_apcer = 0;
    assert_int_equal(mien_tagger_create(&t, &p), MIEN_ERR(EINVAL));
    p = params();
    p.engine = without;
    assert_int_equal(mien_tagger_create(&t, &p), MIEN_ERR(EINVAL));
    p.liveness = MIEN_LIVENESS_OFF;
    assert_int_equal(mien_tagger_create(&t, &p), 0);
    assert_int_equal(mien_tagger_set_liveness(t, MIEN_LIVENESS_REPORT, .1f), MIEN_ERR(EINVAL)); /* not from off */
    mien_tagger_destroy(&t);
    p = params();
    assert_int_equal(mien_tagger_create(&t, &p), 0);
    assert_int_equal(mien_tagger_set_liveness(t, MIEN_LIVENESS_REPORT, .1f), 0);
    assert_int_equal(mien_tagger_set_liveness(t, MIEN_LIVENESS_REPORT, 2), MIEN_ERR(EINVAL));
    assert_int_equal(mien_tagger_set_liveness(t, MIEN_LIVENESS_OFF, .1f), MIEN_ERR(EINVAL));
    mien_tagger_destroy(&t);
}

/* Frames may be left out, not come back; a mode needs what it needs. */
static void frames_left_out(void **state)
{
    (void)state;
    MienTagger *t;
    MienTaggerParams p = params();
    const MienTag *tags;
    static uint8_t gray[160 * 120];
    MienImage img = { gray, 160, 160, 120, MIEN_PIXEL_GRAY8 };
    MienMoment when = { 7, 0.28, 0 };
    assert_int_equal(mien_tagger_create(&t, &p), 0);
    assert_int_equal(mien_tagger_frame_at(t, &img, &when, &tags), 0);
    assert_int_equal(mien_tagger_frame_at(t, &img, &when, &tags), MIEN_ERR(EINVAL));
    when.frame = INT64_MAX - 1;
    assert_int_equal(mien_tagger_frame_at(t, &img, &when, &tags), 0);
    assert_int_equal(mien_tagger_frame(t, &img, 1, &tags), 0); /* INT64_MAX, the last there is */
    assert_int_equal(mien_tagger_set_mode(t, MIEN_MODE_DETECT), 0);
    assert_int_equal(mien_tagger_set_mode(t, MIEN_MODE_RECOGNISE), MIEN_ERR(EINVAL));
    assert_int_equal(mien_tagger_set_mode(t, MIEN_MODE_VERIFY), MIEN_ERR(EINVAL));
    mien_tagger_destroy(&t);
}

static int load(void **state)
{
    (void)state;
    MienFaceParams p = MIEN_FACE_DEFAULTS;
    p.with_encoder = 0;
    if (mien_face_engine_create(&without, &p) < 0)
        return -1;
    p.with_liveness = 1;
    return mien_face_engine_create(&engine, &p);
}

static int unload(void **state)
{
    (void)state;
    mien_face_engine_destroy(&engine);
    mien_face_engine_destroy(&without);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(creation_fails_whole),
        cmocka_unit_test(frames_go_on),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(frames_left_out),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
