/* face: the networks in place. A drawn picture has no face at any size, frames of odd sizes and views with a wide stride give sentences
 * or results, a tagger allocates nothing once warm. Skipped where `make models` has not run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mien/calibrate.h"
#include "mien/error.h"
#include "mien/tagger.h"

static int missing(void)
{
    const char *dir = getenv("MIEN_MODELS");
    char path[4096];
    snprintf(path, sizeof(path), "%s/manifest.json", dir ? dir : "build/models");
    if (access(path, R_OK) == 0) {
        setenv("MIEN_MODELS", "build/models", 0);
        return 0;
    }
    print_message("skipped: %s is not there; make models writes it\n", path);
    return 1;
}

static MienFaceEngine *engine(const char *encoder)
{
    MienFaceParams p = MIEN_FACE_DEFAULTS;
    p.encoder = encoder;
    p.with_liveness = 1;
    p.log = mien_log_stderr("test", MIEN_LOG_WARN);
    MienFaceEngine *e;
    assert_int_equal(mien_face_engine_create(&e, &p), 0);
    return e;
}

static void odd_pictures(void **state)
{
    (void)state;
    if (missing())
        skip();
    static const int size[][2] = { { 1, 1 }, { 1, 700 }, { 700, 1 }, { 2, 3 }, { 17, 31 }, { 321, 243 }, { 1001, 333 } };
    MienFaceEngine *e = engine(NULL);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(size); i++)
        for (int gray = 0; gray < 2; gray++) {
            int w = size[i][0], h = size[i][1], stride = w * (gray ? 1 : 3) + 5;
            uint8_t *px = calloc((size_t)h, (size_t)stride);
            for (int k = 0; k < h * stride; k++)
                px[k] = (uint8_t)(100 + k % stride / 8);
            MienImage img = { px, stride, w, h, gray ? MIEN_PIXEL_GRAY8 : MIEN_PIXEL_RGB8 };
            MienFace face[4];
            assert_int_equal(mien_face_analyze(e, &img, face, 4), 0);
            MienDetectParams dp = MIEN_DETECT_DEFAULTS;
            assert_int_equal(mien_face_detect(e, &img, &dp, face, 4), 0);
            /* any box may be asked for, even one outside the picture */
            face[0] = (MienFace){ .box_px = { -40, -30, 25, 60 }, .prob = 1 };
            float embedding[MIEN_FACE_MAX_DIM], live = -1;
            assert_int_equal(mien_face_landmarks(e, &img, face, 1), 0);
            assert_int_equal(mien_face_quality(e, &img, face, 1), 0);
            assert_int_equal(mien_face_embed(e, &img, face, 1, embedding), 0);
            assert_true(fabsf(mien_sim_cos(embedding, embedding, 128) - 1) < 1e-4f);
            assert_int_equal(mien_face_liveness(e, &img, face, 1, &live), 0);
            assert_true(live >= 0 && live <= 1 && face[0].quality.total >= 0 && face[0].quality.total <= 1);
            face[0].box_px.x1_px = NAN;
            assert_int_equal(mien_face_landmarks(e, &img, face, 1), MIEN_ERR(EINVAL));
            free(px);
        }
    mien_face_engine_destroy(&e);
    assert_null(e);
}

static void both_encoders(void **state)
{
    (void)state;
    if (missing())
        skip();
    static const char *const name[] = { "mobileface128", "dlib128" };
    for (int i = 0; i < 2; i++) {
        MienFaceEngine *e = engine(name[i]);
        assert_string_equal(mien_face_encoder_name(e), name[i]);
        assert_int_equal(mien_face_encoder_dim(e), 128);
        assert_int_equal(strlen(mien_face_encoder_hash(e)), 64);
        const MienEncoderStats *stats = mien_encoder_stats(mien_face_encoder_hash(e)); /* the table is this very file's */
        assert_non_null(stats);
        assert_string_equal(stats->name, name[i]);
        assert_true(mien_face_encoder_verify_sim_cos(e) < mien_face_encoder_identify_sim_cos(e));
        mien_face_engine_destroy(&e);
    }
    MienFaceEngine *e;
    MienFaceParams p = MIEN_FACE_DEFAULTS;
    p.encoder = "no-such-encoder";
    assert_int_equal(mien_face_engine_create(&e, &p), MIEN_E_MODEL);
    assert_null(e);
    p.encoder = NULL;
    p.models_dir = "/nonexistent";
    assert_int_equal(mien_face_engine_create(&e, &p), MIEN_E_MODEL);
}

static void tagger_allocates_nothing_when_warm(void **state)
{
    (void)state;
    if (missing())
        skip();
    MienFaceEngine *e = engine(NULL);
    MienTaggerParams p = MIEN_TAGGER_DEFAULTS;
    p.engine = e;
    p.mode = MIEN_MODE_DETECT;
    MienTagger *t;
    assert_int_equal(mien_tagger_create(&t, &p), 0);
    static uint8_t px[180 * 320 * 3];
    MienImage img = { px, 320 * 3, 320, 180, MIEN_PIXEL_RGB8 };
    uint64_t warm = 0;
    for (int f = 0; f < 24; f++) {
        const MienTag *tags;
        memset(px, f, sizeof(px));
        if (f == 12)
            warm = mien_mem_count();
        assert_int_equal(mien_tagger_frame(t, &img, f / 25.0, &tags), 0);
    }
    assert_int_equal(mien_mem_count(), warm);
    assert_int_equal(mien_tagger_flush(t), 0);
    static const float none[][2] = { { 2, 0 }, { NAN, 0 }, { 0.5f, -0.1f }, { 0.5f, NAN } };
    float least, margin;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(none); i++)
        assert_int_equal(mien_tagger_set_calibration(t, none[i][0], none[i][1]), MIEN_ERR(EINVAL));
    assert_int_equal(mien_tagger_set_calibration(t, 0.5f, 0.125f), 0);
    mien_tagger_threshold(t, &least, &margin);
    assert_float_equal(least, 0.53, 1e-6); /* in 1:K a track's looks cost 0.03 */
    assert_float_equal(margin, 0.125, 0);
    assert_int_equal(mien_tagger_set_threshold(t, 0.25f), 0); /* what was asked for goes first */
    mien_tagger_threshold(t, &least, &margin);
    assert_true(least == 0.25f && margin == 0.05f);
    assert_int_equal(mien_tagger_set_threshold(t, 0), 0);
    mien_tagger_threshold(t, &least, &margin);
    assert_float_equal(least, 0.53, 1e-6);
    assert_int_equal(mien_tagger_set_calibration(t, 0, 0), 0);
    mien_tagger_threshold(t, &least, &margin);
    assert_float_equal(least, mien_face_encoder_identify_sim_cos(e) + 0.06f, 1e-6);
    const MienEvent *events;
    assert_int_equal(mien_tagger_events(t, &events), 0);
    mien_tagger_destroy(&t);
    p.mode = MIEN_MODE_RECOGNISE; /* without a gallery */
    assert_int_equal(mien_tagger_create(&t, &p), MIEN_ERR(EINVAL));
    mien_face_engine_destroy(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_pictures),
        cmocka_unit_test(both_encoders),
        cmocka_unit_test(tagger_allocates_nothing_when_warm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
