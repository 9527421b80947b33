/* Styles when memory runs out: every allocation of a session, a picture painted coarse to fine, a film's controls and a preset's ways in
 * and out fails once, and from then on. Each says ENOMEM, leaks nothing, and works when there is memory again. Making, parsing and
 * blending presets: tests/unit/test_preset.c; a film's first frame: tests/unit/test_restyle.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mien/error.h"
#include "mien/preset.h"
#include "mien/restyle.h"

enum { W = 40, H = 24 };
static MienModel *model;
static MienPreset *preset;
static MienStyleScales scales;
static float content[H * W * 3], painted[H * W * 3];
static char dir[] = "/tmp/mien-fault-XXXXXX", path[64];

static int session(void)
{
    MienStyle *s;
    MienStyleParams p = MIEN_STYLE_DEFAULTS;
    p.w_px = W;
    p.h_px = H;
    int ret = mien_style_create(&s, model, &scales.target[0], &p);
    if (ret < 0)
        assert_null(s);
    if (ret >= 0)
        ret = mien_style_set_content(s, content);
    if (ret >= 0)
        ret = mien_style_start(s, NULL, 1, 0);
    if (ret >= 0)
        ret = mien_style_step(s, NULL);
    mien_style_destroy(&s);
    return ret;
}

static int picture(void)
{
    MienStylePictureParams p = MIEN_STYLE_PICTURE_DEFAULTS;
    p.iterations = 1;
    p.n_levels = 2;
    return mien_style_picture(model, &scales, &p, content, W, H, painted);
}

static int resize(void)
{
    return mien_style_resize((MienExec){ 0 }, content, W, H, 3, painted, W / 2, H / 2);
}

static int write_preset(void)
{
    int ret = mien_preset_write(preset, path, (MienLog){ 0 });
    struct stat st;
    if (ret < 0)
        assert_int_not_equal(stat(path, &st), 0); /* nothing half written */
    unlink(path);
    return ret;
}

static int open_preset(void)
{
    MienPreset *p;
    int ret = mien_preset_open(&p, "presets/mosaic.safetensors", (MienLog){ 0 });
    if (ret < 0)
        assert_null(p);
    mien_preset_unref(&p);
    return ret;
}

static int open_by_name(void)
{
    MienPreset *p;
    int ret = mien_preset_open_named(&p, "mosaic", "presets", (MienLog){ 0 });
    mien_preset_unref(&p);
    return ret;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int (*run)(void);
    } call[] = {
        { "session", session }, { "picture", picture }, { "resize", resize },
        { "write", write_preset }, { "open", open_preset }, { "open by name", open_by_name },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(call); i++) {
        uint64_t live = mien_mem_live_bytes(), n = 0;
        int ret = -1;
        while (ret < 0 && n < 2000) {
            n++;
            mien_mem_fail_at(n, (int)(n & 1));
            ret = call[i].run();
            mien_mem_fail_at(0, 0);
            if (ret < 0 && ret != MIEN_ERR(ENOMEM))
                fail_msg("%s: allocation %d fails and the call says %s", call[i].name, (int)n, mien_strerror(ret));
            if (mien_mem_live_bytes() != live)
                fail_msg("%s: allocation %d fails and memory leaks", call[i].name, (int)n);
        }
        if (ret < 0 || n < 2)
            fail_msg("%s: %d after %d failed allocations", call[i].name, ret, (int)n - 1);
    }
}

/* The film goes on in its old style when there is no memory for what it is told. */
static void film_keeps_its_style(void **state)
{
    (void)state;
    uint8_t gray[H * W];
    MienRestyle *r;
    MienRestyleInfo info;
    MienRestyleParams p = MIEN_RESTYLE_DEFAULTS;
    MienPlanes planes = { .w_px = W, .h_px = H, .n = 1, .full_range = 1, .kr = 0.299f, .kb = 0.114f };
    p.model = model;
    p.style = scales;
    p.controls.iterations = p.controls.cut_iterations = 1;
    planes.plane[0] = (MienPlane){ gray, W, 1, 8, 0, W, H };
    assert_int_equal(mien_restyle_create(&r, &p), 0);
    for (int i = 0; i < 3; i++) {
        for (int k = 0; k < H * W; k++)
            gray[k] = (uint8_t)(k * 7 + i);
        mien_mem_fail_at(i ? 1 : 0, 1); /* none from the second frame on: none is needed */
        if (i == 2) {
            assert_int_equal(mien_restyle_set_style(r, &scales), 0);
            mien_restyle_reset(r);
        }
        assert_int_equal(mien_restyle_frame(r, &planes, NULL, &info), 0);
    }
    mien_mem_fail_at(0, 0);
    mien_restyle_destroy(&r);
}

static int open_all(void **state)
{
    (void)state;
    MienLog log = mien_log_stderr("test", MIEN_LOG_WARN);
    if (mien_model_open(&model, "core/models/stylenet.safetensors", log) < 0 ||
        mien_preset_open(&preset, "presets/mosaic.safetensors", log) < 0 || !mkdtemp(dir))
        return -1;
    snprintf(path, sizeof(path), "%s/p.safetensors", dir);
    mien_preset_style(preset, &scales);
    for (int i = 0; i < H * W * 3; i++)
        content[i] = (float)(0.5 + 0.4 * sin(i * 0.37));
    return 0;
}

static int close_all(void **state)
{
    (void)state;
    mien_preset_unref(&preset);
    mien_model_unref(&model);
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_allocation_may_fail), cmocka_unit_test(film_keeps_its_style) };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
