/* Networks as imported against what other runtimes compute: the numbers in tests/data/parity-*.safetensors, which
 * tests/tools/make_vectors.sh makes. Error: max |a - b| / max |b|, at most 1e-4; what was found is printed.
 * The six networks are those of `make models` (MIEN_MODELS, MIEN_BUILD/cache). */
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

#include "base/file.h"
#include "mien/error.h"
#include "mien/net.h"
#include "mien/weights.h"
#include "models/import_int.h"
#include "models/manifest.h"

#define MAX_ERROR 1e-4

static MienLog test_log(void)
{
    return mien_log_stderr("test", MIEN_LOG_WARN);
}

static MienWeights *open_vectors(const char *name)
{
    MienWeights *w;
    char path[256];
    snprintf(path, sizeof(path), "tests/data/parity-%s.safetensors", name);
    assert_int_equal(mien_weights_open(&w, path, test_log()), 0);
    return w;
}

static const MienTensor *tensor(const MienWeights *w, const char *a, const char *b)
{
    char name[64];
    snprintf(name, sizeof(name), "%s%s", a, b);
    const MienTensor *t = mien_weights_find(w, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

static MienModel *open_model(const char *role, const char *name)
{
    const char *dir = getenv("MIEN_MODELS");
    char *path;
    MienModel *model;
    assert_int_equal(mieni_manifest_find(&path, dir ? dir : "build/models", role, name, test_log()), 0);
    assert_int_equal(mien_model_open(&model, path, test_log()), 0);
    mien_free(path);
    return model;
}

static MienNet *plan(MienModel *model, int h, int w)
{
    MienNetParams p = MIEN_NET_DEFAULTS;
    MienNet *net;
    p.log = test_log();
    p.h_px = h;
    p.w_px = w;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    return net;
}

/* Three numbers, or one for all channels. */
static void read_numbers(const char *s, float v[3])
{
    assert_non_null(s);
    if (sscanf(s, "%f,%f,%f", &v[0], &v[1], &v[2]) == 1)
        v[1] = v[2] = v[0];
}

/* Pixels into the net by what the model's metadata say. */
static void feed_pixels(MienNet *net, const MienModel *model, const MienTensor *pixels)
{
    MienShape s;
    float *x = mien_net_input(net, &s), mean[3], scale[3];
    const uint8_t *p = pixels->data;
    int bgr = !strcmp(mien_model_meta(model, "input.channels"), "bgr");

    read_numbers(mien_model_meta(model, "input.mean"), mean);
    read_numbers(mien_model_meta(model, "input.scale"), scale);
    assert_int_equal(mien_shape_elems(s), mien_tensor_elems(pixels));
    for (size_t i = 0; i < mien_shape_elems(s); i++) {
        size_t c = i % (size_t)s.c;
        x[i] = ((float)p[bgr ? i - c + 2 - c : i] - mean[c]) * scale[c];
    }
}

static double rel_error(const float *a, const float *b, size_t n)
{
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        if (!(fabs((double)a[i] - (double)b[i]) <= worst))
            worst = fabs((double)a[i] - (double)b[i]);
        if (fabs((double)b[i]) > size)
            size = fabs((double)b[i]);
    }
    return worst / size;
}

static void check_close(const char *what, const float *got, const float *want, size_t n)
{
    double e = rel_error(got, want, n);
    print_message("%-32s %5zu numbers, error %.1e\n", what, n, e);
    if (!(e <= MAX_ERROR))
        fail_msg("%s: error %g", what, e);
}

static void check_output(const MienNet *net, const char *output, const MienTensor *want)
{
    MienShape s;
    const float *got = mien_net_output_named(net, output, &s);
    assert_non_null(got);
    assert_int_equal(mien_shape_elems(s), mien_tensor_elems(want));
    check_close(output, got, want->data, mien_tensor_elems(want));
}

/* The detector's levels one behind the other, as the reference has them. */
static void check_levels(const MienNet *net, const char *output, const MienTensor *want)
{
    size_t n = 0, total = mien_tensor_elems(want);
    float *all = malloc(total * sizeof(*all));
    for (int level = 0; level < 4; level++) {
        MienShape s;
        char name[32];
        snprintf(name, sizeof(name), "%s%d", output, level);
        const float *got = mien_net_output_named(net, name, &s);
        assert_non_null(got);
        assert_int_equal(s.w, 1);
        assert_true(n + mien_shape_elems(s) <= total);
        memcpy(all + n, got, mien_shape_elems(s) * sizeof(*all));
        n += mien_shape_elems(s);
    }
    assert_int_equal(n, total);
    check_close(output, all, want->data, total);
    free(all);
}

static void detector(void **state)
{
    (void)state;
    MienWeights *v = open_vectors("detector");
    MienModel *model = open_model("face-detector", NULL);
    static const char *const name[] = { "a", "b" };
    for (int i = 0; i < 2; i++) {
        const MienTensor *rgb = tensor(v, name[i], ".rgb");
        MienNet *net = plan(model, (int)rgb->dim[0], (int)rgb->dim[1]);
        feed_pixels(net, model, rgb);
        assert_int_equal(mien_net_run(net), 0);
        check_levels(net, "scores", tensor(v, name[i], ".scores"));
        check_levels(net, "loc", tensor(v, name[i], ".loc"));
        mien_net_destroy(&net);
    }
    mien_model_unref(&model);
    mien_weights_close(&v);
}

static void check_network(const char *vectors, const char *role, const char *name, const char *pixels, const char *output,
                          const char *want)
{
    MienWeights *v = open_vectors(vectors);
    MienModel *model = open_model(role, name);
    MienNet *net = plan(model, 0, 0);
    feed_pixels(net, model, tensor(v, pixels, ""));
    assert_int_equal(mien_net_run(net), 0);
    check_output(net, output, tensor(v, want, ""));
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_weights_close(&v);
}

static void landmarks(void **state)
{
    (void)state;
    check_network("landmarks", "face-landmarks", NULL, "a.gray", "landmarks", "a.landmarks");
    check_network("landmarks", "face-landmarks", NULL, "b.gray", "landmarks", "b.landmarks");
}

/* The winner's probability is near 1 whatever happens; log(p_i / p_0) shows the network's own numbers. */
static void check_logits(const MienNet *net, const MienTensor *want)
{
    MienShape s;
    const float *p = mien_net_output_named(net, "prob", &s), *logit = want->data;
    assert_non_null(p);
    float got[2] = { logf(p[1]) - logf(p[0]), logf(p[2]) - logf(p[0]) };
    check_close("log(p / p0)", got, (float[]){ logit[1] - logit[0], logit[2] - logit[0] }, 2);
}

static void liveness(void **state)
{
    (void)state;
    MienWeights *v = open_vectors("liveness");
    MienModel *model = open_model("face-liveness", NULL);
    MienNet *net = plan(model, 0, 0);
    feed_pixels(net, model, tensor(v, "rgb", ""));
    assert_int_equal(mien_net_run(net), 0);
    check_output(net, "prob", tensor(v, "prob", ""));
    check_logits(net, tensor(v, "logits", ""));
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_weights_close(&v);
}

/* The net's input becomes this picture of 0..1, [h,w,3]. */
static MienNet *run_on(MienModel *model, const MienTensor *picture)
{
    MienShape s;
    MienNet *net = plan(model, (int)picture->dim[0], (int)picture->dim[1]);
    float *x = mien_net_input(net, &s);
    assert_int_equal(mien_shape_elems(s), mien_tensor_elems(picture));
    memcpy(x, picture->data, picture->bytes);
    assert_int_equal(mien_net_run(net), 0);
    return net;
}

/* F'F / (h·w) in double: the definition, not the kernel. */
static void gram_of(const float *f, MienShape s, float *gram)
{
    size_t n_px = (size_t)s.h * (size_t)s.w, c = (size_t)s.c;
    for (size_t i = 0; i < c; i++)
        for (size_t j = 0; j < c; j++) {
            double sum = 0;
            for (size_t px = 0; px < n_px; px++)
                sum += (double)f[px * c + i] * (double)f[px * c + j];
            gram[i * c + j] = (float)(sum / (double)n_px);
        }
}

static void stylenet(void **state)
{
    static const char *const layer[] = { "1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "4_1" };
    (void)state;
    MienWeights *v = open_vectors("stylenet");
    MienModel *model = open_model("features", "stylenet");
    MienNet *image = run_on(model, tensor(v, "image", "")), *style = run_on(model, tensor(v, "style", ""));
    for (size_t i = 0; i < sizeof(layer) / sizeof(*layer); i++) {
        char name[16], gram_name[16];
        MienShape s;
        snprintf(name, sizeof(name), "relu%s", layer[i]);
        const MienTensor *want = tensor(v, name, "");
        const float *f = mien_net_output_named(image, name, &s);
        assert_non_null(f);
        size_t n = mien_tensor_elems(want), every = 61;
        assert_int_equal((mien_shape_elems(s) + every - 1) / every, n);
        float *got = malloc(n * sizeof(*got));
        for (size_t k = 0; k < n; k++)
            got[k] = f[k * every];
        check_close(name, got, want->data, n);
        free(got);
        snprintf(gram_name, sizeof(gram_name), "gram%s", layer[i]);
        if (mien_weights_find(v, gram_name)) {
            f = mien_net_output_named(style, name, &s);
            float *gram = malloc((size_t)s.c * (size_t)s.c * sizeof(*gram));
            gram_of(f, s, gram);
            check_close(gram_name, gram, tensor(v, gram_name, "")->data, (size_t)s.c * (size_t)s.c);
            free(gram);
        }
    }
    mien_net_destroy(&image);
    mien_net_destroy(&style);
    mien_model_unref(&model);
    mien_weights_close(&v);
}

/* The default encoder: network, projection and length 1 at once. */
static void mobileface128(void **state)
{
    (void)state;
    check_network("mobileface128", "face-encoder", NULL, "rgb", "embedding", "embedding");
}

static void dlib128(void **state)
{
    (void)state;
    check_network("dlib128", "face-encoder", "dlib128", "rgb", "embedding", "embedding");
}

/* The same ONNX file imported as a user would, without the projection. */
static void mobileface_as_it_comes(void **state)
{
    (void)state;
    const char *build = getenv("MIEN_BUILD");
    char path[4096];
    uint8_t *data, *packed;
    size_t bytes, packed_bytes;
    MienModel *model;
    MienLog silent = { 0 };

    snprintf(path, sizeof(path), "%s/cache/faceplugin-face-recognition-js-0.0.1/model/fr_feature.onnx", build ? build : "build");
    if (mieni_file_read(path, 1 << 30, &data, &bytes, silent) < 0)
        skip();
    MienImportParams p = { .role = "face-encoder", .channels = "bgr", .mean = "127" };
    assert_int_equal(mieni_import_onnx_bytes(data, bytes, path, &p, &packed, &packed_bytes, test_log()), 0);
    mien_free(data);
    snprintf(path, sizeof(path), "%s/mobileface512.safetensors", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_int_equal(mieni_file_write_atomic(path, packed, packed_bytes, 0644, test_log()), 0);
    mien_free(packed);
    assert_int_equal(mien_model_open(&model, path, test_log()), 0);
    unlink(path);
    MienWeights *v = open_vectors("mobileface128");
    MienNet *net = plan(model, 0, 0);
    feed_pixels(net, model, tensor(v, "rgb", ""));
    assert_int_equal(mien_net_run(net), 0);
    check_output(net, "embedding", tensor(v, "raw512", ""));
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_weights_close(&v);
}

/* Importing again gives the pinned bytes again. */
static void same_bytes_again(void **state)
{
    (void)state;
    const char *build = getenv("MIEN_BUILD"), *tmp = getenv("TMPDIR");
    char cache[4096], dir[4096];
    const MienRecipe *r;

    snprintf(cache, sizeof(cache), "%s/cache", build ? build : "build");
    snprintf(dir, sizeof(dir), "%s/again-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    for (int i = 0; (r = mien_recipe_at(i)); i++) {
        MienImported done;
        char folder[8192];
        snprintf(folder, sizeof(folder), "%s/%s", cache, *r->package == '@' ? "vladmandic-face-api-1.7.15" :
                 "faceplugin-face-recognition-js-0.0.1");
        if (access(folder, R_OK) < 0) { /* networks imported elsewhere: make models --models-dir */
            rmdir(dir);
            skip();
        }
        assert_int_equal(mien_import_recipe(r->name, cache, "core/models/encoder-projection-128.safetensors", dir, &done,
                                            test_log()), 0);
        assert_string_equal(done.sha256, r->result_sha256);
        unlink(done.path);
    }
    char manifest[8192];
    snprintf(manifest, sizeof(manifest), "%s/manifest.json", dir);
    unlink(manifest);
    assert_int_equal(rmdir(dir), 0);
}

/* Every file that SOURCES.tsv lists is the one that was listed. */
static void data_as_listed(void **state)
{
    (void)state;
    FILE *f = fopen("tests/data/SOURCES.tsv", "r");
    char line[1024], name[256], hash[80], got[65], path[512];
    int n = 0;
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        uint8_t *data;
        size_t bytes;
        if (*line == '#')
            continue;
        assert_int_equal(sscanf(line, "%255[^\t]\t%79[^\t]", name, hash), 2);
        snprintf(path, sizeof(path), "tests/data/%s", name);
        assert_int_equal(mieni_file_read(path, 1 << 24, &data, &bytes, test_log()), 0);
        mieni_sha256_hex(data, bytes, got);
        mien_free(data);
        if (strcmp(got, hash))
            fail_msg("%s has SHA-256 %s", path, got);
        n++;
    }
    fclose(f);
    assert_true(n >= 6);
}

/* ---- small graphs with every operator, imported from the bytes that the other runtime ran */

/* joined: what are outputs one by one here is one output there, one behind the other. */
static void check_graph(const MienWeights *v, const char *name, int n_outputs, int joined)
{
    const MienTensor *onnx = tensor(v, name, ".onnx"), *x = tensor(v, name, ".x");
    uint8_t *packed;
    size_t packed_bytes, n_in;
    char path[4096], key[64];
    MienModel *model;
    MienShape s;
    MienImportParams p = { .role = "features" };

    assert_int_equal(mieni_import_onnx_bytes(onnx->data, onnx->bytes, name, &p, &packed, &packed_bytes, test_log()), 0);
    snprintf(path, sizeof(path), "%s/graph-%s.safetensors", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", name);
    assert_int_equal(mieni_file_write_atomic(path, packed, packed_bytes, 0644, test_log()), 0);
    mien_free(packed);
    assert_int_equal(mien_model_open(&model, path, test_log()), 0);
    unlink(path);
    MienNet *net = plan(model, 0, 0);
    float *in = mien_net_input(net, &s);
    n_in = mien_tensor_elems(x);
    assert_int_equal(mien_shape_elems(s), n_in);
    memcpy(in, x->data, n_in * sizeof(*in));
    assert_int_equal(mien_net_run(net), 0);
    for (int i = 0, at = 0; i < n_outputs; i++) {
        snprintf(key, sizeof(key), ".y%d", joined ? 0 : i);
        const MienTensor *want = tensor(v, name, key);
        const float *got = mien_net_output(net, i, &s);
        size_t n = mien_shape_elems(s);
        assert_true(joined ? at + n <= mien_tensor_elems(want) : n == mien_tensor_elems(want));
        snprintf(key, sizeof(key), "graph %s, output %d", name, i);
        check_close(key, got, (const float *)want->data + at, n);
        at += joined ? (int)n : 0;
    }
    mien_net_destroy(&net);
    mien_model_unref(&model);
}

static void operators(void **state)
{
    (void)state;
    MienWeights *v = open_vectors("onnx-operators");
    check_graph(v, "conv", 1, 0);
    check_graph(v, "pads", 2, 0);
    check_graph(v, "flatten", 1, 0);
    check_graph(v, "residual", 1, 0);
    check_graph(v, "last", 1, 0);
    check_graph(v, "head", 2, 1);
    mien_weights_close(&v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(detector),
        cmocka_unit_test(landmarks),
        cmocka_unit_test(mobileface128),
        cmocka_unit_test(mobileface_as_it_comes),
        cmocka_unit_test(dlib128),
        cmocka_unit_test(stylenet),
        cmocka_unit_test(liveness),
        cmocka_unit_test(operators),
        cmocka_unit_test(same_bytes_again),
        cmocka_unit_test(data_as_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
