/* models: what the importers take, fold and refuse. ONNX files are built by hand here; whole networks are tests/parity's. */
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
#include "mien/weights.h"
#include "models/import_int.h"
#include "models/manifest.h"
#include "models/pb.h"
#include "onnx_bytes.h"

static char last_line[2048];

static void keep_line(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv;
    (void)level;
    vsnprintf(last_line, sizeof(last_line), fmt, ap);
}

static const MienLog keep = { .write = keep_line };

/* A float constant; n_values may differ from what dims say. */
static void add_tensor(Buf *graph, const char *name, int n_dims, const int64_t *dim, const float *values, size_t n_values)
{
    Buf t = { .n = 0 };
    for (int i = 0; i < n_dims; i++)
        put_int(&t, 1, dim[i]);
    put_int(&t, 2, 1);
    put_text(&t, 8, name);
    put_bytes(&t, 9, values, n_values * sizeof(*values));
    put_buf(graph, 5, &t);
}

/* inputs: names separated by blanks. attrs: "name=1,2;name=3" integers. */
static void add_node(Buf *graph, const char *op, const char *inputs, const char *output, const char *attrs)
{
    Buf n = { .n = 0 };
    char text[256], *save, *save_value;
    snprintf(text, sizeof(text), "%s", inputs);
    for (char *s = strtok_r(text, " ", &save); s; s = strtok_r(NULL, " ", &save))
        put_text(&n, 1, s);
    put_text(&n, 2, output);
    put_text(&n, 3, op);
    put_text(&n, 4, op);
    snprintf(text, sizeof(text), "%s", attrs);
    for (char *s = strtok_r(text, ";", &save); s; s = strtok_r(NULL, ";", &save)) {
        Buf a = { .n = 0 };
        char *equals = strchr(s, '=');
        *equals = 0;
        put_text(&a, 1, s);
        if (!strchr(equals + 1, ','))
            put_int(&a, 3, atoi(equals + 1));
        else
            for (char *v = strtok_r(equals + 1, ",", &save_value); v; v = strtok_r(NULL, ",", &save_value))
                put_int(&a, 8, atoi(v));
        put_buf(&n, 5, &a);
    }
    put_buf(graph, 1, &n);
}

static void add_value(Buf *graph, int field, const char *name, int n_dims, const int64_t *dim)
{
    Buf shape = { .n = 0 }, tensor = { .n = 0 }, type = { .n = 0 }, value = { .n = 0 };
    for (int i = 0; i < n_dims; i++) {
        Buf d = { .n = 0 };
        put_int(&d, 1, dim[i]);
        put_buf(&shape, 1, &d);
    }
    put_int(&tensor, 1, 1);
    put_buf(&tensor, 2, &shape);
    put_buf(&type, 1, &tensor);
    put_text(&value, 1, name);
    put_buf(&value, 2, &type);
    put_buf(graph, field, &value);
}

/* The graph with a 1×3×4×4 input "x" and an output "y" as a file. */
static void finish(Buf *file, Buf *graph, int opset)
{
    Buf set = { .n = 0 };
    add_value(graph, 11, "x", 4, (const int64_t[]){ 1, 3, 4, 4 });
    add_value(graph, 12, "y", 0, NULL);
    put_text(&set, 1, "");
    put_int(&set, 2, opset);
    file->n = 0;
    put_int(file, 1, 8);
    put_buf(file, 7, graph);
    put_buf(file, 8, &set);
}

static int import(const Buf *file, const MienImportParams *params, MienWeights **w)
{
    uint8_t *packed;
    size_t n;
    /* An exact copy, so that a sanitizer sees the first byte read past the end. */
    uint8_t *copy = malloc(file->n + !file->n);
    memcpy(copy, file->b, file->n);
    *w = NULL;
    last_line[0] = 0;
    int ret = mieni_import_onnx_bytes(copy, file->n, "net.onnx", params, &packed, &n, keep);
    free(copy);
    if (ret >= 0) {
        assert_int_equal(mien_weights_parse(w, packed, n, "packed", keep), 0);
        mien_free(packed);
    }
    return ret;
}

static const MienImportParams features = { .role = "features" };

static void check_refused(const Buf *file, const MienImportParams *params, int want, const char *words)
{
    MienWeights *w;
    int ret = import(file, params, &w);
    if (ret != want || !strstr(last_line, words))
        fail_msg("got %d \"%s\", wanted %d with \"%s\"", ret, last_line, want, words);
}

static float value_of(const MienWeights *w, const char *name, size_t i)
{
    const MienTensor *t = mien_weights_find(w, name);
    if (!t || i >= mien_tensor_elems(t))
        fail_msg("no number %zu in %s", i, name);
    return ((const float *)t->data)[i];
}

/* ---- protobuf */

static void protobuf(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t n;
        int fields; /* -1: damaged */
    } row[] = {
        { "", 0, 0 },
        { "\x08\x01", 2, 1 },                                          /* varint 1 */
        { "\x08\x01\x12\x02hi\x1d\1\2\3\4\x21\1\2\3\4\5\6\7\10", 20, 4 }, /* varint, bytes, 32 and 64 bits */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 11, 1 },     /* the largest varint */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 11, -1 },    /* one bit too many */
        { "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12, -1 }, /* too long */
        { "\x08", 1, -1 },                                             /* no value */
        { "\x12\x03hi", 4, -1 },                                       /* fewer bytes than said */
        { "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01hi", 13, -1 },  /* 2^64 - 1 bytes */
        { "\x0b\x0c", 2, -1 },                                         /* a group */
        { "\x00\x01", 2, -1 },                                         /* field 0 */
        { "\x1d\1\2\3", 4, -1 },                                       /* 3 of 4 bytes */
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        MieniReader r = mieni_reader(row[i].bytes, row[i].n);
        MieniPbField f;
        int n = 0, more;
        while ((more = mieni_pb_next(&r, &f)) > 0)
            n++;
        assert_int_equal(more < 0 ? -1 : n, row[i].fields);
    }
}

/* ---- what is folded */

static void batch_norm_and_activation_go_into_the_convolution(void **state)
{
    (void)state;
    const float w[2][3] = { { 1, 2, 3 }, { 4, 5, 6 } }, gamma[] = { 2, 3 }, beta[] = { 10, 20 }, mean[] = { 1, 2 }, var[] = { 4, 9 };
    Buf g = { .n = 0 }, file;
    MienWeights *out;

    add_node(&g, "Conv", "x w", "a", "kernel_shape=1,1");
    add_node(&g, "BatchNormalization", "a gamma beta mean var", "b", "");
    add_node(&g, "Relu", "b", "y", "");
    add_tensor(&g, "w", 4, (const int64_t[]){ 2, 3, 1, 1 }, w[0], 6);
    add_tensor(&g, "gamma", 1, (const int64_t[]){ 2 }, gamma, 2);
    add_tensor(&g, "beta", 1, (const int64_t[]){ 2 }, beta, 2);
    add_tensor(&g, "mean", 1, (const int64_t[]){ 2 }, mean, 2);
    add_tensor(&g, "var", 1, (const int64_t[]){ 2 }, var, 2);
    finish(&file, &g, 11);
    assert_int_equal(import(&file, &features, &out), 0);
    assert_int_equal(mien_weights_count(out), 2);
    assert_string_equal(mien_weights_meta(out, "mien.graph"),
                        "{\"inputs\":[{\"name\":\"x\",\"h\":4,\"w\":4,\"c\":3}],\"nodes\":[{\"op\":\"conv2d\",\"name\":\"conv2d_1\","
                        "\"in\":[\"x\"],\"out\":\"y\",\"kernel\":[1,1],\"stride\":[1,1],\"pad\":[0,0,0,0],\"dilation\":[1,1],"
                        "\"groups\":1,\"cout\":2,\"bias\":true,\"act\":\"relu\"}],\"outputs\":[\"y\"]}");
    for (int o = 0; o < 2; o++) {
        double s = (double)gamma[o] / sqrt((double)var[o] + (double)1e-5f);
        for (int i = 0; i < 3; i++)
            assert_true(value_of(out, "conv2d_1.weight", (size_t)(2 * i + o)) == (float)((double)w[o][i] * s));
        assert_true(value_of(out, "conv2d_1.bias", (size_t)o) == (float)((double)beta[o] - (double)mean[o] * s));
    }
    mien_weights_close(&out);
}

/* Where the value in between is read twice, nothing may be folded into what makes it. */
static void what_is_read_twice_stays(void **state)
{
    (void)state;
    const float w[3] = { 1, 2, 3 }, k[1] = { 5 };
    Buf g = { .n = 0 }, file;
    MienWeights *out;

    add_node(&g, "Conv", "x w", "a", "");
    add_node(&g, "Mul", "a k", "b", "");
    add_node(&g, "Relu", "a", "c", "");
    add_node(&g, "Add", "b c", "y", "");
    add_tensor(&g, "w", 4, (const int64_t[]){ 1, 3, 1, 1 }, w, 3);
    add_tensor(&g, "k", 0, NULL, k, 1);
    finish(&file, &g, 11);
    assert_int_equal(import(&file, &features, &out), 0);
    const char *graph = mien_weights_meta(out, "mien.graph");
    assert_non_null(strstr(graph, "{\"op\":\"relu\",\"name\":\"relu_1\",\"in\":[\"conv2d_1\"]"));
    /* The scale went to the sum: 5·a + relu(a). */
    assert_non_null(strstr(graph, "\"in\":[\"conv2d_1\",\"relu_1\"],\"out\":\"y\",\"alpha\":5,\"beta\":1"));
    assert_true(value_of(out, "conv2d_1.weight", 2) == 3);
    mien_weights_close(&out);
}

static void rows_behind_a_picture_are_reordered(void **state)
{
    (void)state;
    float w[48];
    Buf g = { .n = 0 }, file;
    MienWeights *out;

    for (int i = 0; i < 48; i++)
        w[i] = (float)i;
    add_node(&g, "Flatten", "x", "a", "");
    add_node(&g, "MatMul", "a w", "y", "");
    add_tensor(&g, "w", 2, (const int64_t[]){ 48, 1 }, w, 48);
    finish(&file, &g, 11);
    assert_int_equal(import(&file, &features, &out), 0);
    for (int c = 0; c < 3; c++)
        for (int p = 0; p < 16; p++)
            assert_true(value_of(out, "fc_1.weight", (size_t)(3 * p + c)) == (float)(16 * c + p));
    mien_weights_close(&out);
}

/* The format allows eight inputs a node; ONNX sets no limit. */
static void long_concats_become_several(void **state)
{
    (void)state;
    Buf g = { .n = 0 }, file;
    MienWeights *out;

    add_node(&g, "Concat", "x x x x x x x x x x", "y", "axis=1");
    finish(&file, &g, 11);
    assert_int_equal(import(&file, &features, &out), 0);
    assert_non_null(strstr(mien_weights_meta(out, "mien.graph"),
                           "{\"op\":\"concat\",\"name\":\"concat_2\",\"in\":[\"concat_1\",\"x\",\"x\"],\"out\":\"y\"}"));
    mien_weights_close(&out);
}

static void encoder_file(Buf *file)
{
    float w[6] = { 1, 2, 3, 4, 5, 6 };
    Buf g = { .n = 0 }, set = { .n = 0 };

    add_node(&g, "GlobalAveragePool", "x", "a", "");
    add_node(&g, "Conv", "a w", "b", "");
    add_node(&g, "Flatten", "b", "y", "");
    add_tensor(&g, "w", 4, (const int64_t[]){ 2, 3, 1, 1 }, w, 6);
    add_value(&g, 11, "x", 4, (const int64_t[]){ 1, 3, 112, 112 });
    add_value(&g, 12, "y", 0, NULL);
    put_int(&set, 2, 11);
    file->n = 0;
    put_buf(file, 7, &g);
    put_buf(file, 8, &set);
}

static void projection_goes_into_the_last_layer(void **state)
{
    (void)state;
    const float p[6] = { 1, 0, 0, 2, 1, 1 }; /* [3,2] */
    MienTensor t = { .name = "projection.weight", .dtype = MIEN_F32, .n_dims = 2, .dim = { 3, 2 }, .data = p, .bytes = sizeof(p) };
    char path[] = "/tmp/mien-projection-XXXXXX";
    Buf file;
    MienWeights *out;

    close(mkstemp(path));
    assert_int_equal(mien_weights_write(path, &t, 1, NULL, 0, keep), 0);
    encoder_file(&file);
    MienImportParams params = { .role = "face-encoder", .projection_path = path, .encoder_identify = "0.5" };
    assert_int_equal(import(&file, &params, &out), 0);
    /* Rows of P times columns of W: input 0 has 1 and 4, so 1, 8, 5. */
    const float want[] = { 1, 8, 5, 2, 10, 7, 3, 12, 9 };
    for (size_t i = 0; i < 9; i++)
        assert_true(value_of(out, "conv2d_1.weight", i) == want[i]);
    assert_string_equal(mien_weights_meta(out, "mien.encoder.dim"), "3");
    assert_string_equal(mien_weights_meta(out, "mien.encoder.identify"), "0.5");
    assert_string_equal(mien_weights_meta(out, "mien.encoder.template"), "arcface112");
    assert_string_equal(mien_weights_meta(out, "mien.name"), "net");
    assert_non_null(strstr(mien_weights_meta(out, "mien.graph"), "{\"op\":\"l2norm\",\"name\":\"l2norm_1\",\"in\":[\"conv2d_1\"],"
                                                                 "\"out\":\"embedding\"}"));
    mien_weights_close(&out);

    t.dim[0] = 2;
    t.dim[1] = 3;
    assert_int_equal(mien_weights_write(path, &t, 1, NULL, 0, keep), 0);
    check_refused(&file, &params, MIEN_E_SHAPE, "the projection wants 3 numbers, the network gives 1x1x2");
    unlink(path);
    check_refused(&file, &params, MIEN_ERR(ENOENT), path);
}

/* ---- what is refused, and in which words */

static void damaged_files(void **state)
{
    (void)state;
    const float w[3] = { 1, 2, 3 };
    Buf g = { .n = 0 }, file, part;
    MienWeights *out;

    add_node(&g, "Conv", "x w", "y", "");
    add_tensor(&g, "w", 4, (const int64_t[]){ 1, 3, 1, 1 }, w, 3);
    finish(&file, &g, 11);
    assert_int_equal(import(&file, &features, &out), 0);
    mien_weights_close(&out);
    for (size_t n = 0; n < file.n; n++) { /* cut off after every byte */
        part = file;
        part.n = n;
        int ret = import(&part, &features, &out);
        assert_true(ret == MIEN_E_FORMAT || ret == MIEN_E_UNSUPPORTED);
        assert_int_equal(strncmp(last_line, "net.onnx: ", 10), 0);
    }
    for (size_t i = 0; i < file.n; i++) /* every byte changed in every bit: an error or a network, never a crash */
        for (int bit = 0; bit < 8; bit++) {
            part = file;
            part.b[i] ^= (uint8_t)(1 << bit);
            if (import(&part, &features, &out) >= 0)
                mien_weights_close(&out);
            else
                assert_true(last_line[0] != 0);
        }
}

static void wrong_networks(void **state)
{
    (void)state;
    static const struct {
        const char *op, *inputs, *attrs;
        int error;
        const char *words;
    } row[] = {
        { "LSTM", "x", "", MIEN_E_UNSUPPORTED, "net.onnx: node \"LSTM\" (LSTM): mien has no equivalent for this operator" },
        { "Conv", "x w", "magic=1", MIEN_E_UNSUPPORTED, "node \"Conv\" (Conv): the attribute \"magic\" is not supported" },
        { "Conv", "x nothing", "", MIEN_E_FORMAT, "nothing before it makes its input \"nothing\"" },
        { "Conv", "x", "", MIEN_E_FORMAT, "input 1 is missing" },
        { "Conv", "x w", "kernel_shape=3,3", MIEN_E_SHAPE, "kernel_shape is 3x3, the weights have 1x1" },
        { "Conv", "x w", "strides=0,1", MIEN_E_UNSUPPORTED, "strides of 0" },
        { "Conv", "x w", "pads=1,1", MIEN_E_UNSUPPORTED, "pads has 2 numbers" },
        { "Conv", "x w", "pads=-1,0,0,0", MIEN_E_UNSUPPORTED, "pads of -1" },
        { "Conv", "x w", "group=3", MIEN_E_SHAPE, "weights [1,3,1,1] in 3 groups for 3 channels" },
        { "Conv", "x big", "", MIEN_E_SHAPE, "does not fit" },
        { "Conv", "x short", "", MIEN_E_FORMAT, "the tensor \"short\"" },
        { "Conv", "x huge", "", MIEN_E_FORMAT, "the tensor \"huge\" should have 2013265920 numbers" },
        { "Conv", "x nan", "", MIEN_E_FORMAT, "the tensor \"nan\"" },
        { "Conv", "x w four", "", MIEN_E_SHAPE, "input 2 has 4 numbers, 1 are wanted" },
        { "Add", "x four", "", MIEN_E_UNSUPPORTED, "a constant that is neither one number nor one a channel" },
        { "Div", "k x", "", MIEN_E_UNSUPPORTED, "a constant divided by an activation" },
        { "Clip", "x k", "", MIEN_E_UNSUPPORTED, "only a Clip from 0 upwards" },
        { "MatMul", "x four", "", MIEN_E_UNSUPPORTED, "a matrix product on N,C,H,W" },
        { "Transpose", "x", "perm=1,0,2,3", MIEN_E_UNSUPPORTED, "only N,C,H,W to N,H,W,C and back" },
        { "Softmax", "x", "axis=2", MIEN_E_UNSUPPORTED, "a softmax over a whole picture" },
        { "MaxPool", "x", "", MIEN_E_FORMAT, "kernel_shape is missing" },
        { "MaxPool", "x", "kernel_shape=5,5", MIEN_E_SHAPE, "a window of 5x5 does not fit in 4x4" },
        { "Concat", "x x", "", MIEN_E_FORMAT, "an input or the axis is missing" },
        { "Concat", "x x", "axis=2", MIEN_E_UNSUPPORTED, "only joining along the channels" },
        { "Identity", "x", "", MIEN_E_UNSUPPORTED, "the output \"y\" is the input itself" },
        { "Identity", "k", "", MIEN_E_UNSUPPORTED, "output \"y\": it is no activation" },
        { "Flatten", "x", "", MIEN_E_UNSUPPORTED, "it is a flattened picture" },
    };
    const float values[4] = { 1, 2, 3, 4 }, nan[3] = { 1, NAN, 3 }, zeros[75] = { 0 };

    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        Buf g = { .n = 0 }, file;
        add_node(&g, row[i].op, row[i].inputs, "y", row[i].attrs);
        add_tensor(&g, "w", 4, (const int64_t[]){ 1, 3, 1, 1 }, values, 3);
        add_tensor(&g, "big", 4, (const int64_t[]){ 1, 3, 5, 5 }, zeros, 75);
        add_tensor(&g, "short", 4, (const int64_t[]){ 1, 3, 1, 1 }, values, 2);
        add_tensor(&g, "huge", 4, (const int64_t[]){ 65536, 3, 128, 80 }, values, 2);
        add_tensor(&g, "nan", 4, (const int64_t[]){ 1, 3, 1, 1 }, nan, 3);
        add_tensor(&g, "four", 1, (const int64_t[]){ 4 }, values, 4);
        add_tensor(&g, "k", 0, NULL, values + 1, 1);
        finish(&file, &g, 11);
        check_refused(&file, &features, row[i].error, row[i].words);
    }
}

static void wrong_files(void **state)
{
    (void)state;
    const int64_t overflow[4] = { INT64_MAX, 3, 3, 3 };
    const float w[3] = { 1, 2, 3 };
    Buf g = { .n = 0 }, file;

    add_node(&g, "Relu", "x", "y", "");
    Buf good = g;
    finish(&file, &good, 6);
    check_refused(&file, &features, MIEN_E_UNSUPPORTED, "ONNX operator set 6; 7 to 25 are supported");
    good = g;
    add_node(&good, "Relu", "x", "y", "");
    finish(&file, &good, 11);
    check_refused(&file, &features, MIEN_E_FORMAT, "two nodes make the value \"y\"");
    good = g;
    add_value(&good, 11, "second", 4, (const int64_t[]){ 1, 3, 4, 4 });
    finish(&file, &good, 11);
    check_refused(&file, &features, MIEN_E_UNSUPPORTED, "the network has 2 inputs");
    good = g;
    add_tensor(&good, "w", 4, overflow, w, 3);
    finish(&file, &good, 11);
    check_refused(&file, &features, MIEN_E_FORMAT, "an initialiser");
    file.n = 0;
    check_refused(&file, &features, MIEN_E_FORMAT, "there is no graph in it");
    Buf loop = { .n = 0 };
    add_node(&loop, "Relu", "b", "a", "");
    add_node(&loop, "Relu", "a", "b", "");
    add_node(&loop, "Relu", "b", "y", "");
    finish(&file, &loop, 11);
    check_refused(&file, &features, MIEN_E_FORMAT, "nothing before it makes its input \"b\"");
}

static void wrong_params(void **state)
{
    (void)state;
    static const struct {
        MienImportParams p;
        int error;
        const char *words;
    } row[] = {
        { { .role = NULL }, MIEN_ERR(EINVAL), "the role should be" },
        { { .role = "nose" }, MIEN_ERR(EINVAL), "not \"nose\"" },
        { { .role = "features", .name = "a b" }, MIEN_ERR(EINVAL), "the name \"a b\"" },
        { { .role = "features", .mean = "1,2" }, MIEN_ERR(EINVAL), "mean \"1,2\"" },
        { { .role = "features", .mean = "1;" }, MIEN_ERR(EINVAL), "mean \"1;\"" },
        { { .role = "features", .scale = "inf" }, MIEN_ERR(EINVAL), "scale \"inf\"" },
        { { .role = "features", .channels = "gray" }, MIEN_E_UNSUPPORTED, "3 channel(s), which cannot be \"gray\"" },
        { { .role = "features", .outputs = "z" }, MIEN_E_NOTFOUND, "there is no value \"z\"" },
        { { .role = "face-encoder", .encoder_template = "mask" }, MIEN_ERR(EINVAL), "there is no template \"mask\"" },
        { { .role = "face-encoder", .encoder_template = "dlib150" }, MIEN_E_SHAPE, "the network wants 112x112" },
        { { .role = "face-encoder", .encoder_verify = "0.3,0.4" }, MIEN_ERR(EINVAL), "threshold \"0.3,0.4\"" },
        { { .role = "face-landmarks" }, MIEN_E_SHAPE, "a network for face-landmarks gives one vector \"landmarks\"" },
        { { .role = "face-detector" }, MIEN_E_UNSUPPORTED, "a detector takes 3 channels of any size" },
        { { .role = "face-liveness" }, MIEN_E_SHAPE, "a network for face-liveness" },
    };
    Buf file;
    MienWeights *out;

    encoder_file(&file);
    MienImportParams good = { .role = "face-encoder", .mean = "1.5,-2e1,+3", .outputs = "y", .output_names = "embedding" };
    assert_int_equal(import(&file, &good, &out), 0);
    mien_weights_close(&out);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++)
        check_refused(&file, &row[i].p, row[i].error, row[i].words);
}

/* ---- TensorFlow.js */

static void tfjs_manifests(void **state)
{
    (void)state;
#define GROUP(weights) "[{\"paths\":[\"a.bin\"],\"weights\":[" weights "]}]"
#define ARRAY(name, shape, rest) "{\"name\":\"" name "\",\"shape\":" shape ",\"dtype\":\"float32\"" rest "}"
#define QUANT(dtype) ",\"quantization\":{\"dtype\":\"" dtype "\",\"scale\":0.5,\"min\":-1}"
    static const struct {
        const char *json;
        size_t n_data;
        int error;
        const char *words;
    } row[] = {
        { "nonsense", 0, MIEN_E_FORMAT, "not JSON" },
        { "{}", 0, MIEN_E_FORMAT, "not a TensorFlow.js weight manifest" },
        { "[]", 0, MIEN_E_FORMAT, "lists 0 arrays" },
        { GROUP(ARRAY("a", "[1]", "")), 3, MIEN_E_FORMAT, "array \"a\": 1 numbers of 4 byte(s) are wanted, 3 bytes are left" },
        { GROUP(ARRAY("a", "[1]", "")), 5, MIEN_E_FORMAT, "1 bytes of weights are left over" },
        { GROUP(ARRAY("a", "[1]", "") "," ARRAY("a", "[1]", "")), 8, MIEN_E_FORMAT, "there are two of this name" },
        { GROUP(ARRAY("a", "[2147483647,2147483647]", "")), 8, MIEN_E_FORMAT, "its shape is no list" },
        { GROUP(ARRAY("a", "[-1]", "")), 8, MIEN_E_FORMAT, "its shape is no list" },
        { GROUP(ARRAY("a", "[1.5]", "")), 8, MIEN_E_FORMAT, "its shape is no list" },
        { GROUP(ARRAY("a", "3", "")), 8, MIEN_E_FORMAT, "it has no shape" },
        { GROUP(ARRAY("a", "[2]", QUANT("int7"))), 2, MIEN_E_UNSUPPORTED, "it is not quantised to uint8 or uint16" },
        { GROUP(ARRAY("a", "[2]", ",\"quantization\":{\"dtype\":\"uint8\"}")), 2, MIEN_E_FORMAT, "no scale and min" },
        { GROUP("{\"name\":\"a\",\"shape\":[1],\"dtype\":\"int32\"}"), 4, MIEN_E_UNSUPPORTED, "its dtype is not float32" },
        { GROUP("{\"shape\":[1]}"), 4, MIEN_E_FORMAT, "it has no name" },
        { GROUP(ARRAY("a", "[2]", QUANT("uint8"))), 2, MIEN_E_UNSUPPORTED, "there is no array \"conv32_down/conv/filters\"" },
        { GROUP(ARRAY("conv32_down/conv/filters", "[2]", QUANT("uint16"))), 4, MIEN_E_SHAPE, "has not the shape" },
    };
    const uint8_t zeros[16] = { 0 };
    MienImportParams params = { .role = "face-encoder" };
    uint8_t *packed;
    size_t n;

    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        int ret = mieni_import_tfjs_bytes(row[i].json, strlen(row[i].json), zeros, row[i].n_data, "m.json", &params, &packed, &n, keep);
        if (ret != row[i].error || !strstr(last_line, row[i].words))
            fail_msg("row %zu: got %d \"%s\", wanted %d with \"%s\"", i, ret, last_line, row[i].error, row[i].words);
    }
}

static void tfjs_file_names(void **state)
{
    (void)state;
    static const struct {
        const char *json, *names; /* NULL: refused */
    } row[] = {
        { "[{\"paths\":[\"a\",\"b\"]},{\"paths\":[\"c\"]}]", "a\nb\nc" },
        { "[{\"paths\":[\"../a\"]}]", NULL },
        { "[{\"paths\":[\"/etc/passwd\"]}]", NULL },
        { "[{\"paths\":[\".a\"]}]", NULL },
        { "[{\"paths\":[7]}]", NULL },
        { "[{\"paths\":[]}]", NULL },
        { "[1,2]", NULL },
    };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        char *names;
        int ret = mieni_tfjs_paths(row[i].json, strlen(row[i].json), "m.json", &names, keep);
        assert_int_equal(ret >= 0, row[i].names != NULL);
        if (row[i].names)
            assert_string_equal(names, row[i].names);
        mien_free(names);
    }
}

/* ---- the folder */

static char folder[64];

static int make_folder(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/mien-models-XXXXXX");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", folder);
    return system(command);
}

static void add_entry(const char *role, const char *name, const char *file)
{
    char hash[65];
    memset(hash, 'a', 64);
    hash[64] = 0;
    MieniModelEntry e = { (char *)role, (char *)name, (char *)file, hash, (char *)"MIT", (char *)"test" };
    assert_int_equal(mieni_manifest_add(folder, &e, keep), 0);
}

static void models_are_listed_and_found(void **state)
{
    (void)state;
    MieniManifest m;
    char *path, want[128];

    assert_int_equal(mieni_manifest_find(&path, folder, "face-encoder", NULL, keep), MIEN_E_NOTFOUND);
    assert_non_null(strstr(last_line, "there are no models here; make models writes it"));
    add_entry("face-encoder", "zebra", "z");
    add_entry("face-encoder", "ant", "a");
    add_entry("face-encoder", "dlib128", "d");
    add_entry("face-encoder", "mobileface128", "m");
    add_entry("face-encoder", "ant", "b"); /* replaces */
    assert_int_equal(mieni_manifest_read(&m, folder, keep), 0);
    static const char *const order[] = { "mobileface128", "dlib128", "ant", "zebra" };
    assert_int_equal(m.n_models, 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(m.model[i].name, order[i]);
    assert_string_equal(m.model[2].file, "b");
    mieni_manifest_uninit(&m);
    assert_int_equal(mieni_manifest_find(&path, folder, "face-encoder", NULL, keep), 0);
    snprintf(want, sizeof(want), "%s/m", folder);
    assert_string_equal(path, want);
    mien_free(path);
    assert_int_equal(mieni_manifest_find(&path, folder, "face-encoder", "cat", keep), MIEN_E_NOTFOUND);
    assert_non_null(strstr(last_line, "lists no model \"cat\" for face-encoder"));
}

static void a_damaged_list_is_kept(void **state)
{
    (void)state;
    char path[128];
    uint8_t *data;
    size_t n;
    MieniModelEntry e = { (char *)"features", (char *)"n", (char *)"f", (char *)"", (char *)"", (char *)"" };

    snprintf(path, sizeof(path), "%s/manifest.json", folder);
    assert_int_equal(mieni_file_write_atomic(path, "{]", 2, 0644, keep), 0);
    assert_int_equal(mieni_manifest_add(folder, &e, keep), MIEN_E_FORMAT);
    assert_non_null(strstr(last_line, "not a list of models, or damaged"));
    assert_int_equal(mieni_file_read(path, 100, &data, &n, keep), 0);
    assert_int_equal(n, 2);
    mien_free(data);
}

/* Imports to a folder, twice; a failed one leaves nothing. */
static void importing_to_a_folder(void **state)
{
    (void)state;
    char path[128], command[200];
    Buf file;
    MienImported first, second;
    MienImportParams params = { .role = "face-encoder", .name = "mine", .license = "ours" };

    encoder_file(&file);
    snprintf(path, sizeof(path), "%s/in.onnx", folder);
    assert_int_equal(mieni_file_write_atomic(path, file.b, file.n, 0644, keep), 0);
    assert_int_equal(mieni_import_onnx_checked(path, &params, folder, "0000", &first, keep), MIEN_E_MISMATCH);
    snprintf(command, sizeof(command), "test $(ls '%s' | wc -l) = 1", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(mien_import_onnx(path, &params, folder, &first, keep), 0);
    assert_int_equal(mien_import_onnx(path, &params, folder, &second, keep), 0);
    assert_memory_equal(&first, &second, sizeof(first));
    assert_int_equal(first.params, 6);
    assert_int_equal(first.n_nodes, 2);
    snprintf(command, sizeof(command), "test $(ls '%s' | wc -l) = 3", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(mien_import_onnx("/nonexistent/x.onnx", &params, folder, NULL, keep), MIEN_ERR(ENOENT));
    assert_non_null(strstr(last_line, "/nonexistent/x.onnx"));
}

static void recipes(void **state)
{
    (void)state;
    const MienRecipe *r;
    int n = 0;

    for (; (r = mien_recipe_at(n)); n++) {
        assert_ptr_equal(mien_recipe_find(r->name), r);
        assert_int_equal(strspn(r->result_sha256, "0123456789abcdef"), 64);
    }
    assert_int_equal(n, 6);
    assert_null(mien_recipe_find("vgg"));
    assert_int_equal(mien_import_recipe("vgg", folder, NULL, folder, NULL, keep), MIEN_E_NOTFOUND);
    assert_int_equal(mien_import_recipe("mobileface128", folder, NULL, folder, NULL, keep), MIEN_ERR(EINVAL));
    assert_int_equal(mien_import_recipe("dlib128", folder, NULL, folder, NULL, keep), MIEN_ERR(ENOENT));
    assert_non_null(strstr(last_line, "vladmandic-face-api-1.7.15/model/face_recognition_model-weights_manifest.json"));
}

/* ---- out of memory at every allocation, one by one */

static void every_allocation_may_fail(void **state)
{
    (void)state;
    MienWeights *w;
    const MienTensor *t;
    MienImportParams params = { .role = "features" };
    static const char *const graph[] = { "conv.onnx", "flatten.onnx", "head.onnx", "residual.onnx" };

    assert_int_equal(mien_weights_open(&w, "tests/data/parity-onnx-operators.safetensors", keep), 0);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(graph); i++) {
        int ret = -1;
        assert_non_null(t = mien_weights_find(w, graph[i]));
        uint64_t live = mien_mem_live_bytes();
        for (uint64_t n = 1; ret < 0; n++) {
            uint8_t *packed;
            size_t bytes;
            mien_mem_fail_at(n, (int)(n & 1));
            ret = mieni_import_onnx_bytes(t->data, t->bytes, graph[i], &params, &packed, &bytes, keep);
            mien_mem_fail_at(0, 0);
            if (ret >= 0)
                mien_free(packed);
            else
                assert_int_equal(ret, MIEN_ERR(ENOMEM));
            assert_int_equal(mien_mem_live_bytes(), live);
        }
    }
    mien_weights_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(protobuf),
        cmocka_unit_test(batch_norm_and_activation_go_into_the_convolution),
        cmocka_unit_test(what_is_read_twice_stays),
        cmocka_unit_test(rows_behind_a_picture_are_reordered),
        cmocka_unit_test(long_concats_become_several),
        cmocka_unit_test(projection_goes_into_the_last_layer),
        cmocka_unit_test(damaged_files),
        cmocka_unit_test(wrong_networks),
        cmocka_unit_test(wrong_files),
        cmocka_unit_test(wrong_params),
        cmocka_unit_test(tfjs_manifests),
        cmocka_unit_test(tfjs_file_names),
        cmocka_unit_test_setup_teardown(models_are_listed_and_found, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(a_damaged_list_is_kept, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(importing_to_a_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(recipes, make_folder, remove_folder),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
