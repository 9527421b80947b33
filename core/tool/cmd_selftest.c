/* mien selftest: does this installation compute what it should? Networks on inputs made here against stored results, the same bits
 * for the same input, pictures written and read back, a gallery's life in a temporary file. */
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "faces.h"
#include "media.h"
#include "mien/net.h"
#include "models/manifest.h"

typedef struct SelfTest {
    Tool *tool;
    struct cJSON *results;
    int n_ok, n_failed;
    char folder[512];
} SelfTest;

static void verdict(SelfTest *t, int ok, const char *fmt, ...) MIEN_PRINTF(3, 4);

static void verdict(SelfTest *t, int ok, const char *fmt, ...)
{
    char name[300];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(name, sizeof(name), fmt, ap);
    va_end(ap);
    t->n_ok += ok;
    t->n_failed += !ok;
    struct cJSON *j = json_item_object(t->results);
    json_str(j, "test", name);
    json_bool(j, "ok", ok);
    if (!t->tool->json)
        printf("%-4s %s\n", ok ? "ok" : "FAIL", safe(name));
}

/* ---- networks */

/* Weighted mean and root mean square over all outputs of the networks that mien knows, on the pattern below at 96×96 where the size is
 * free; computed by this engine, which tests/parity compares with other runtimes. */
static const struct {
    const char *sha256; /* first digits of the model's file */
    double mean, rms;
} known[] = {
#include "selftest_values.h"
};

static void pattern(float *x, size_t n)
{
    uint32_t r = 12345;
    for (size_t i = 0; i < n; i++) {
        r = r * 1664525u + 1013904223u;
        x[i] = (float)(r >> 8) / 8388608.0f - 1.0f;
    }
}

static int run_pattern(MienNet *net, MienModel *model, double *mean, double *rms)
{
    MienShape s;
    float *x = mien_net_input(net, &s);
    double sum = 0, sum2 = 0, n = 0;
    pattern(x, mien_shape_elems(s));
    int ret = mien_net_run(net);
    for (int i = 0; ret >= 0 && i < mien_model_n_outputs(model); i++) {
        const float *y = mien_net_output(net, i, &s);
        for (size_t k = 0; y && k < mien_shape_elems(s); k++) {
            sum += (double)y[k] * cos(0.7 * (double)k); /* weighted, so that order counts */
            sum2 += (double)y[k] * (double)y[k];
            n++;
        }
    }
    *mean = sum / n;
    *rms = sqrt(sum2 / n);
    return ret;
}

static void test_model(SelfTest *t, const char *dir, const MieniModelEntry *e)
{
    char path[4096];
    MienModel *model = NULL;
    MienNet *net = NULL;
    MienNetParams p = MIEN_NET_DEFAULTS;
    double mean = 0, rms = 0, mean2 = 0, rms2 = 0;
    snprintf(path, sizeof(path), "%s/%s", dir, e->file);
    int ret = mien_model_open(&model, path, t->tool->log);
    verdict(t, ret >= 0 && !strcmp(mien_model_hash(model), e->sha256), "%s: the file is the one in the manifest", e->name);
    if (ret >= 0 && (ret = mien_net_create(&net, model, &p)) < 0) {
        p.w_px = p.h_px = 96;
        p.log = t->tool->log;
        ret = mien_net_create(&net, model, &p);
    }
    if (ret >= 0)
        ret = run_pattern(net, model, &mean, &rms);
    if (ret >= 0)
        ret = run_pattern(net, model, &mean2, &rms2);
    verdict(t, ret >= 0 && isfinite(rms) && mean == mean2 && rms == rms2, "%s: runs, and twice the same", e->name);
    for (size_t i = 0; ret >= 0 && i < MIEN_ARRAY_ELEMS(known); i++)
        if (!strncmp(known[i].sha256, e->sha256, strlen(known[i].sha256)))
            verdict(t, fabs(mean - known[i].mean) <= 1e-4 * known[i].rms && fabs(rms - known[i].rms) <= 1e-4 * known[i].rms,
                    "%s: weighted mean %.6f, rms %.6f as stored", e->name, mean, rms);
    mien_log(t->tool->log, MIEN_LOG_INFO, "{ \"%.16s\", %.9g, %.9g }, /* %s */", e->sha256, mean, rms, e->name);
    mien_net_destroy(&net);
    mien_model_unref(&model);
}

static void test_models(SelfTest *t)
{
    MieniManifest m = { 0 };
    const char *dir = models_folder(t->tool);
    int ret = mieni_manifest_read(&m, dir, t->tool->log);
    verdict(t, ret >= 0 && m.n_models > 0, "the models folder %s", dir);
    for (size_t i = 0; ret >= 0 && i < m.n_models; i++)
        test_model(t, dir, &m.model[i]);
    mieni_manifest_uninit(&m);
}

/* ---- faces: landmarks are put on a made-up picture, so that alignment and encoder run */

static void test_faces(SelfTest *t)
{
    enum { W = 160, H = 160 };
    Faces f;
    uint8_t *rgb8 = mien_malloc(W * H * 3);
    float *noise = mien_malloc_array(W * H * 3, sizeof(float)), *e = NULL;
    MienFace face[2] = { { .has_landmarks = 1, .box_px = { 30, 30, 130, 140 },
                           .point_px = { { 58, 72 }, { 104, 72 }, { 81, 98 }, { 62, 124 }, { 100, 124 } } } };
    int ret = rgb8 && noise ? faces_open(&f, t->tool, NULL, 1, 1) : MIEN_ERR(ENOMEM);
    verdict(t, ret >= 0, "face networks load");
    if (ret < 0)
        goto out;
    pattern(noise, W * H * 3);
    for (int i = 0; i < W * H * 3; i++)
        rgb8[i] = (uint8_t)(128 + 60 * noise[i] + 60 * sinf((float)(i / 3 % W) * 0.1f));
    MienImage img = { rgb8, W * 3, W, H, MIEN_PIXEL_RGB8 };
    face[1] = face[0];
    e = mien_malloc_array(2 * (size_t)f.dim, sizeof(float));
    ret = e ? mien_face_embed(f.engine[0], &img, face, 2, e) : MIEN_ERR(ENOMEM);
    double length = 0;
    for (int i = 0; ret >= 0 && i < f.dim; i++)
        length += (double)e[i] * (double)e[i];
    verdict(t, ret >= 0 && fabs(length - 1) < 1e-5 && !memcmp(e, e + f.dim, (size_t)f.dim * sizeof(float)),
            "%s: templates have length 1 and repeat", mien_face_encoder_name(f.engine[0]));
    memset(rgb8, 128, W * H * 3);
    MienFace found[4];
    MienDetectParams p = MIEN_DETECT_DEFAULTS;
    verdict(t, mien_face_detect(f.engine[0], &img, &p, found, 4) == 0, "a grey picture has no face");
    faces_close(&f);
out:
    mien_free(e);
    mien_free(noise);
    mien_free(rgb8);
}

/* ---- pictures */

static void test_pictures(SelfTest *t)
{
    enum { W = 37, H = 23 };
    uint8_t rgb8[W * H * 3], *back = NULL;
    char path[600];
    MienImage img = { rgb8, W * 3, W, H, MIEN_PIXEL_RGB8 }, got;
    for (int i = 0; i < W * H * 3; i++)
        rgb8[i] = (uint8_t)(i * 7 + i / 91);
    snprintf(path, sizeof(path), "%s/t.png", t->folder);
    int ret = media_write_picture(path, &img, t->tool->log);
    if (ret >= 0)
        ret = media_read_picture(path, &back, &got, NULL, t->tool->log);
    verdict(t, ret >= 0 && got.w_px == W && got.h_px == H && !memcmp(back, rgb8, sizeof(rgb8)), "a PNG is read as it was written");
    mien_free(back);
    unlink(path);
}

/* ---- a gallery's life */

static void test_gallery(SelfTest *t)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    char path[600], side[610];
    float a[128] = { 0 }, b[128] = { 0 };
    MienGallery *g = NULL;
    MienSample s = { .quality = 0.5f };
    MienMatch m;
    MienErasure e;
    pattern(a, 128);
    for (int i = 0; i < 128; i++)
        b[i] = a[(i + 50) % 128];
    snprintf(path, sizeof(path), "%s/g.db", t->folder);
    int ret = mien_gallery_open(&g, path, MIEN_GALLERY_CREATE, t->tool->log);
    verdict(t, ret >= 0 && mien_gallery_bind(g, hash, "selftest", 128) >= 0 && mien_gallery_add(g, "A", a, 128, &s) >= 0 &&
                   mien_gallery_add(g, "B", b, 128, &s) >= 0, "a gallery takes two people");
    verdict(t, ret >= 0 && mien_gallery_search(g, b, 128, NULL, &m) >= 0 && m.id >= 0 && !strcmp(m.name, "B") && m.sim_cos > 0.9999f,
            "and finds one of them again");
    verdict(t, ret >= 0 && mien_gallery_forget(g, "B", &e) >= 0 && e.n_samples == 1 && !e.n_left, "and forgets her without a trace");
    verdict(t, ret >= 0 && mien_gallery_check(g, NULL, NULL) == 0, "and is sound");
    mien_gallery_close(&g);
    for (const char *const *end = (const char *const[]){ "", "-wal", "-shm", NULL }; *end; end++) {
        snprintf(side, sizeof(side), "%s%s", path, *end);
        unlink(side);
    }
}

static int run_selftest(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    SelfTest t = { .tool = tool };
    const char *tmp = getenv("TMPDIR");
    snprintf(t.folder, sizeof(t.folder), "%.400s/mien-selftest.XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(t.folder))
        return tool_error(tool, "%s: a temporary folder cannot be made", safe(t.folder));
    struct cJSON *root = tool->json ? json_object() : NULL;
    t.results = json_add_array(root, "results");
    test_models(&t);
    test_faces(&t);
    test_pictures(&t);
    test_gallery(&t);
    rmdir(t.folder);
    json_int(root, "passed", t.n_ok);
    json_int(root, "failed", t.n_failed);
    tool_note(tool, "%d passed, %d failed", t.n_ok, t.n_failed);
    int status = t.n_failed ? STATUS_NO : STATUS_OK;
    return root ? json_print(tool, root, status) : status;
}

const Command cmd_selftest = {
    .name = "selftest", .group = "Measurements", .summary = "check that this installation computes what it should", .args = "",
    .text = "Runs every network of the models folder on built-in inputs (those that mien knows against stored results), alignment and encoder "
            "twice, writes and reads a picture, and lets a gallery live and forget in a temporary file.",
    .statuses = "0 everything is as it should be; 1 something is not; 2 it could not be tried.",
    .takes = TAKES_FACES | TAKES_JSON, .max_args = 0, .run = run_selftest,
};
