/* models/vgg.c and store.c: names, kinds of numbers, what is refused and in which words. Numbers of a whole network: tests/parity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "base/file.h"
#include "mien/net.h"
#include "models/manifest.h"
#include "onnx_bytes.h"
#include "vgg_util.h"

enum { H = 20, W = 17 };

/* Sum of the last output's numbers weighted by place, on a fixed picture. */
static double fingerprint(MienModel *model)
{
    MienNet *net;
    MienShape s;
    MienNetParams p = MIEN_NET_DEFAULTS;
    uint32_t state = 3;
    double sum = 0;
    p.h_px = H;
    p.w_px = W;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    float *x = mien_net_input(net, &s);
    for (int i = 0; i < H * W * 3; i++)
        x[i] = vgg_random(&state) + 0.5f;
    assert_int_equal(mien_net_run(net), 0);
    const float *y = mien_net_output(net, mien_model_n_outputs(model) - 1, &s);
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        sum += (double)y[i] * (double)(i % 13 + 1);
    mien_net_destroy(&net);
    mien_model_unref(&model);
    return sum;
}

static void close_to(double a, double b, double part)
{
    if (!(fabs(a - b) <= part * fabs(b)) || b == 0)
        fail_msg("%.9g, %.9g is wanted", a, b);
}

static void names_and_cuts(void **state)
{
    (void)state;
    MienImportParams p = { 0 };
    double a = fingerprint(vgg_model(vgg_file(9, 0), &p)), b = fingerprint(vgg_model(vgg_file(9, 1), &p));
    close_to(a, b, 1e-12);
    p.pool = "avg";
    assert_true(fabs(fingerprint(vgg_model(vgg_file(9, 0), &p)) - a) > 1e-3);
    for (int n = 1; n <= 16; n++) {
        MienModel *m = vgg_model(vgg_file(n, 0), &p);
        assert_int_equal(mien_model_n_outputs(m), n);
        assert_string_equal(mien_model_output_name(m, 0), "relu1_1");
        assert_string_equal(mien_model_meta(m, "input.mean"), "0");
        assert_string_equal(mien_model_meta(m, "role"), "features");
        if (n == 16)
            assert_string_equal(mien_model_output_name(m, 15), "relu5_4");
        mien_model_unref(&m);
    }
    /* a block that ends early, as in a network made smaller */
    VggFile *f = vgg_file(9, 1);
    f->n = 2 * 9;
    for (size_t i = 6 * 2; i < 8 * 2; i++) /* without 3_3 and 3_4 */
        f->t[i].name = i == 12 ? "left.1" : i == 13 ? "left.2" : i == 14 ? "left.3" : "left.4";
    MienModel *m = vgg_model(f, &p);
    assert_int_equal(mien_model_n_outputs(m), 7);
    assert_string_equal(mien_model_output_name(m, 6), "relu4_1");
    mien_model_unref(&m);
}

static void preprocessing(void **state)
{
    (void)state;
    MienImportParams rgb = { .mean = "10,20,30", .scale = "0.01,0.02,0.03" }, bgr = { .mean = "30,20,10", .scale = "0.03,0.02,0.01", .channels = "bgr" };
    VggFile *f = vgg_file(2, 0), *g = vgg_file(2, 0);
    for (int o = 0; o < 4; o++) /* the same network with its input channels the other way round */
        for (int i = 0; i < 3; i++)
            memcpy(g->data[0] + (o * 3 + i) * 9, f->data[0] + (o * 3 + 2 - i) * 9, 9 * sizeof(float));
    close_to(fingerprint(vgg_model(g, &bgr)), fingerprint(vgg_model(f, &rgb)), 1e-6);
    MienImportParams bad = { .mean = "1,2" };
    uint8_t *packed;
    size_t bytes;
    f = vgg_file(1, 0);
    assert_int_equal(vgg_import(f, &bad, &packed, &bytes), MIEN_ERR(EINVAL));
    assert_non_null(strstr(last_line, "one number or three"));
    bad = (MienImportParams){ .pool = "median" };
    assert_int_equal(vgg_import(f, &bad, &packed, &bytes), MIEN_ERR(EINVAL));
    assert_non_null(strstr(last_line, "pooling is max or avg"));
    free(f);
}

/* F16 and BF16 of numbers that both can hold give the same network as F32. */
static void kinds_of_numbers(void **state)
{
    (void)state;
    static uint16_t half[2][VGG_MAX_TENSORS][9 * 8 * 8];
    MienImportParams p = { 0 };
    VggFile *f[3];
    for (int k = 0; k < 3; k++) {
        f[k] = vgg_file(3, 0);
        for (size_t i = 0; i < f[k]->n; i++) {
            size_t n = f[k]->t[i].bytes / sizeof(float);
            for (size_t j = 0; j < n; j++) {
                float v = (float)((int)(f[k]->data[i][j] * 64) | 1) / 64; /* seven bits: fits both kinds */
                uint32_t bits;
                f[k]->data[i][j] = v;
                memcpy(&bits, &v, sizeof(bits));
                half[1][i][j] = (uint16_t)(bits >> 16);
                half[0][i][j] = (uint16_t)((bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023));
            }
            if (k) {
                f[k]->t[i].dtype = k == 1 ? MIEN_F16 : MIEN_BF16;
                f[k]->t[i].data = half[k - 1][i];
                f[k]->t[i].bytes = n * 2;
            }
        }
    }
    double want = fingerprint(vgg_model(f[0], &p));
    close_to(fingerprint(vgg_model(f[1], &p)), want, 1e-12);
    close_to(fingerprint(vgg_model(f[2], &p)), want, 1e-12);
}

static void refused(VggFile *f, int err, const char *words)
{
    MienImportParams p = { 0 };
    uint8_t *packed;
    size_t bytes;
    assert_int_equal(vgg_import(f, &p, &packed, &bytes), err);
    assert_null(packed);
    if (!strstr(last_line, words))
        fail_msg("\"%s\" lacks \"%s\"", last_line, words);
    free(f);
}

static void refusals(void **state)
{
    (void)state;
    VggFile *f = vgg_file(4, 0);
    f->t[4].name = "features.6.weight"; /* as in VGG-11: the second convolution of block 2 missing, another later */
    refused(f, MIEN_E_UNSUPPORTED, "features.6");
    f = vgg_file(4, 0);
    f->t[0].name = "block1.weight";
    refused(f, MIEN_E_UNSUPPORTED, "no VGG-19");
    f = vgg_file(4, 1);
    f->t[2].name = "hidden.weight"; /* 1_2 missing, 2_1 there: a shorter block is fine */
    f->t[3].name = "hidden.bias";
    f->t[4].dim[1] = 4;
    f->t[6].name = "conv4_1.weight"; /* but not a block left out */
    refused(f, MIEN_E_FORMAT, "conv4_1");
    f = vgg_file(4, 0);
    f->t[4].dim[1] = 3;
    f->t[4].dim[0] = 8;
    refused(f, MIEN_E_SHAPE, "features.5.weight takes 3 channels, 4 come in");
    f = vgg_file(2, 0);
    f->t[0].n_dims = 2;
    f->t[0].dim[1] = 27;
    refused(f, MIEN_E_SHAPE, "features.0.weight is no 3x3 convolution");
    f = vgg_file(2, 0);
    f->data[1][2] = NAN;
    refused(f, MIEN_E_FORMAT, "NaN");
    f = vgg_file(2, 0);
    f->t[3].dim[0] = 2;
    f->t[3].bytes = 8;
    refused(f, MIEN_E_SHAPE, "features.2.bias does not have 4 numbers");
    f = vgg_file(2, 0);
    f->t[0].dtype = MIEN_I32;
    refused(f, MIEN_E_UNSUPPORTED, "is I32");
    MienImportParams p = { 0 };
    uint8_t *packed;
    size_t bytes;
    assert_true(mieni_import_vgg_bytes("garbage in", 10, "x.onnx", &p, &packed, &bytes, keep) < 0);
    assert_non_null(strstr(last_line, "x.onnx"));
}

/* ---- ONNX: a chain as torch.onnx writes it */

static void put_ints(Buf *node, const char *name, int n, int v)
{
    static Buf a;
    a.n = 0;
    put_text(&a, 1, name);
    for (int i = 0; i < n; i++)
        put_int(&a, 8, (uint64_t)v);
    put_int(&a, 20, 7);
    put_bytes(node, 5, a.b, a.n);
}

static void put_node(Buf *graph, const char *op, const char *in, const char *weight, const char *bias, const char *out)
{
    static Buf n;
    n.n = 0;
    put_text(&n, 1, in);
    if (weight)
        put_text(&n, 1, weight), put_text(&n, 1, bias);
    put_text(&n, 2, out);
    put_text(&n, 4, op);
    if (weight) {
        put_ints(&n, "kernel_shape", 2, 3);
        put_ints(&n, "pads", 4, 1);
        put_ints(&n, "strides", 2, 1);
    } else if (strstr(op, "Pool")) {
        put_ints(&n, "kernel_shape", 2, 2);
        put_ints(&n, "strides", 2, 2);
    }
    put_bytes(graph, 1, n.b, n.n);
}

/* convs convolutions, with a pool where pool_at says (0: where VGG-19 has them), then a Flatten. */
static Buf *onnx_file(const VggFile *f, int convs, int pool_at)
{
    static Buf graph, model, piece;
    char at[32] = "input", next[32];
    graph.n = model.n = 0;
    for (int i = 0; i < convs; i++) {
        snprintf(next, sizeof(next), "c%d", i);
        put_node(&graph, "Conv", at, f->name[2 * i], f->name[2 * i + 1], next);
        snprintf(at, sizeof(at), "r%d", i);
        put_node(&graph, "Relu", next, NULL, NULL, at);
        if (pool_at ? i + 1 == pool_at : i == 1 || i == 3 || i == 7) {
            snprintf(next, sizeof(next), "p%d", i);
            put_node(&graph, "MaxPool", at, NULL, NULL, next);
            strcpy(at, next);
        }
    }
    put_node(&graph, "Flatten", at, NULL, NULL, "out");
    put_text(&graph, 2, "g");
    for (size_t i = 0; i < 2 * (size_t)convs; i++) {
        piece.n = 0;
        for (int d = 0; d < f->t[i].n_dims; d++)
            put_int(&piece, 1, (uint64_t)f->t[i].dim[d]);
        put_int(&piece, 2, 1);
        put_text(&piece, 8, f->name[i]);
        put_bytes(&piece, 9, f->t[i].data, f->t[i].bytes);
        put_bytes(&graph, 5, piece.b, piece.n);
    }
    /* input [1,3,20,17] f32; dimensions are messages with a value */
    static const uint8_t input[] = { 10, 5, 'i', 'n', 'p', 'u', 't', 18, 22, 10, 20, 8, 1, 18, 16, 10, 2, 8, 1, 10, 2, 8, 3, 10, 2, 8, 20,
                                     10, 2, 8, 17 };
    static const uint8_t output[] = { 10, 3, 'o', 'u', 't' };
    put_bytes(&graph, 11, input, sizeof(input));
    put_bytes(&graph, 12, output, sizeof(output));
    put_int(&model, 1, 8);
    put_bytes(&model, 7, graph.b, graph.n);
    static const uint8_t opset[] = { 16, 13 };
    put_bytes(&model, 8, opset, sizeof(opset));
    return &model;
}

static void onnx(void **state)
{
    (void)state;
    MienImportParams p = { 0 };
    uint8_t *packed;
    size_t bytes;
    MienModel *m;
    VggFile *f = vgg_file(9, 0);
    Buf *b = onnx_file(f, 9, 0);
    if (mieni_import_vgg_bytes(b->b, b->n, "v.onnx", &p, &packed, &bytes, keep) < 0)
        fail_msg("%s", last_line);
    assert_int_equal(mieni_model_parse(&m, packed, bytes, "v", keep), 0);
    mien_free(packed);
    assert_string_equal(mien_model_output_name(m, 8), "relu4_1");
    close_to(fingerprint(m), fingerprint(vgg_model(vgg_file(9, 0), &p)), 1e-12);
    b = onnx_file(f, 5, 1);
    assert_int_equal(mieni_import_vgg_bytes(b->b, b->n, "v.onnx", &p, &packed, &bytes, keep), MIEN_E_UNSUPPORTED);
    assert_non_null(strstr(last_line, "blocks have 2, 2, 4, 4, 4"));
    free(f);
}

/* ---- model files of our own */

static void model_files(void **state)
{
    (void)state;
    char dir[256], path[300];
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof(dir), "%s/mien-vgg-XXXXXX", tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    MienImported done[3];
    MienImportParams p = { .pool = "max" };
    MienImportParams none = { 0 };
    assert_int_equal(mien_import_model("core/models/stylenet.safetensors", &none, dir, &done[0], keep), 0);
    assert_int_equal(mien_import_model("core/models/stylenet.safetensors", &p, dir, &done[1], keep), 0);
    assert_string_equal(done[0].name, "stylenet");
    assert_string_equal(done[1].name, "stylenet-max");
    assert_string_not_equal(done[0].sha256, done[1].sha256);
    p = (MienImportParams){ .pool = "avg", .name = "again" };
    assert_int_equal(mien_import_model(done[1].path, &p, dir, &done[2], keep), 0);
    assert_string_equal(done[2].name, "again");
    MieniManifest m;
    assert_int_equal(mieni_manifest_read(&m, dir, keep), 0);
    assert_int_equal(m.n_models, 3);
    assert_string_equal(m.model[0].name, "stylenet"); /* the default */
    mieni_manifest_uninit(&m);
    MienModel *a, *b;
    assert_int_equal(mien_model_open(&a, done[0].path, keep), 0);
    assert_int_equal(mien_model_open(&b, done[1].path, keep), 0);
    double fa = fingerprint(a), fb = fingerprint(b);
    assert_true(fabs(fa - fb) > 1e-3 * fabs(fa));
    assert_int_equal(mien_model_open(&b, done[2].path, keep), 0);
    close_to(fingerprint(b), fa, 1e-12);
    assert_true(mien_import_model("presets/starry-night.safetensors", &none, dir, NULL, keep) < 0);
    assert_non_null(strstr(last_line, "presets/starry-night.safetensors"));
    for (int i = 0; i < 3; i++)
        unlink(done[i].path);
    snprintf(path, sizeof(path), "%s/manifest.json", dir);
    unlink(path);
    assert_int_equal(rmdir(dir), 0);
}

/* Fields by the textbook's numbers, and by trying: a pixel outside changes nothing, one at each end does. */
static void receptive_fields(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int size, step, start;
    } want[] = { { "relu1_1", 3, 1, -1 },   { "relu1_2", 5, 1, -2 },    { "relu2_1", 10, 2, -4 },   { "relu3_1", 24, 4, -10 },
                 { "relu4_1", 68, 8, -30 }, { "relu5_1", 156, 16, -70 }, { "relu5_4", 252, 16, -118 } };
    MienImportParams params = { .pool = "avg" };
    MienModel *m = vgg_model(vgg_file(16, 0), &params);
    MienField f;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(want); i++) {
        assert_int_equal(mien_model_field(m, want[i].name, &f), 0);
        for (int axis = 0; axis < 2; axis++) {
            assert_int_equal(f.last_px[axis] - f.first_px[axis] + 1, want[i].size);
            assert_int_equal(f.step_px[axis], want[i].step);
            assert_int_equal(f.first_px[axis], want[i].start);
        }
    }
    assert_int_equal(mien_model_field(m, "relu6_1", &f), MIEN_E_NOTFOUND);
    assert_int_equal(mien_model_field(m, "relu3_1", &f), 0);
    MienNet *net;
    MienShape s;
    MienNetParams p = MIEN_NET_DEFAULTS;
    const char *name = "relu3_1";
    enum { W48 = 48, ELEMENT = 6 };
    p.w_px = p.h_px = W48;
    p.outputs = &name;
    p.n_outputs = 1;
    assert_int_equal(mien_net_create(&net, m, &p), 0);
    int first = (int)(f.first_px[1] + ELEMENT * f.step_px[1]), last = (int)(f.last_px[1] + ELEMENT * f.step_px[1]);
    int at[] = { -1, first - 1, first, last, last + 1 };
    double got[5];
    for (int k = 0; k < 5; k++) {
        float *x = mien_net_input(net, NULL);
        for (int i = 0; i < W48 * W48 * 3; i++)
            x[i] = 0.5f;
        for (int y = 0; at[k] >= 0 && y < W48; y++)
            for (int c = 0; c < 3; c++)
                x[(y * W48 + at[k]) * 3 + c] = c == 1 ? 40.0f : -40.0f;
        assert_int_equal(mien_net_run(net), 0);
        const float *y = mien_net_output(net, 0, &s);
        got[k] = 0;
        for (int c = 0; c < s.c; c++)
            got[k] += (double)y[(ELEMENT * s.w + ELEMENT) * s.c + c] * (c + 1);
    }
    assert_true(got[1] == got[0] && got[4] == got[0]);
    assert_true(got[2] != got[0] && got[3] != got[0]);
    mien_net_destroy(&net);
    mien_model_unref(&m);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    VggFile *f = vgg_file(4, 0);
    MienImportParams p = { 0 };
    uint8_t *data, *packed;
    size_t n, bytes;
    int ret = -1;
    assert_int_equal(mien_weights_pack(&data, &n, f->t, f->n, NULL, 0, keep), 0);
    uint64_t live = mien_mem_live_bytes();
    for (uint64_t i = 1; ret < 0; i++) {
        mien_mem_fail_at(i, (int)(i & 1));
        ret = mieni_import_vgg_bytes(data, n, "f", &p, &packed, &bytes, keep);
        mien_mem_fail_at(0, 0);
        if (ret >= 0)
            mien_free(packed);
        else
            assert_int_equal(ret, MIEN_ERR(ENOMEM));
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    mien_free(data);
    free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_cuts),
        cmocka_unit_test(preprocessing),
        cmocka_unit_test(kinds_of_numbers),
        cmocka_unit_test(refusals),
        cmocka_unit_test(onnx),
        cmocka_unit_test(model_files),
        cmocka_unit_test(receptive_fields),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
