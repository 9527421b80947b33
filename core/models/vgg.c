/* VGG-19 (Simonyan & Zisserman 2015, configuration E), whole or cut off behind any layer, becomes a feature network.
 *
 * Only its sixteen 3×3 convolutions are read; the classifier behind them is left out. Three ways of naming them are known:
 * "features.N.weight" (torchvision, timm: N counts convolutions, ReLUs and pools), "convB_M.weight" (block and place in it), and
 * an ONNX graph, where the chain of Conv, Relu and MaxPool is followed from the input. Channels are what the file says, so that
 * a slimmed network of the same shape is taken as well. The graph that is written begins with an affine node that turns RGB in [0,1]
 * into what the network was trained on: zero padding must come behind it, and gradients come back in picture units.
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "mien/weights.h"
#include "models/import_int.h"
#include "models/netbuild.h"
#include "models/onnx_file.h"
#include "models/store.h"

#define MAX_FILE_BYTES ((size_t)2 << 30)
#define N_BLOCKS 5
#define N_CONVS 16

static const int block_convs[N_BLOCKS] = { 2, 2, 4, 4, 4 };

/* One convolution as the file has it. */
typedef struct Conv {
    int block, place; /* from 1 */
    int64_t cout, cin;
    float *weight; /* O, I, 3, 3 */
    float *bias;   /* O, or NULL */
} Conv;

typedef struct Vgg {
    const char *path;
    MienLog log;
    Conv conv[N_CONVS];
    int n_convs;
} Vgg;

static void uninit(Vgg *v)
{
    for (int i = 0; i < N_CONVS; i++) {
        mien_free(v->conv[i].weight);
        mien_free(v->conv[i].bias);
    }
}

/* The i-th convolution's block and place in it. */
static void place_of(int i, int *block, int *place)
{
    int b = 0;
    for (; i >= block_convs[b]; b++)
        i -= block_convs[b];
    *block = b + 1;
    *place = i + 1;
}

static int check_conv(const Vgg *v, const char *name, int n_dims, const int64_t *dim, int i)
{
    if (n_dims != 4 || dim[2] != 3 || dim[3] != 3 || dim[0] < 1 || dim[0] > 65536 || dim[1] < 1 || dim[1] > 65536)
        return mien_fail(v->log, MIEN_E_SHAPE, "%s: %s is no 3x3 convolution (shape out, in, 3, 3)", v->path, name);
    if (dim[1] != (i ? v->conv[i - 1].cout : 3))
        return mien_fail(v->log, MIEN_E_SHAPE, "%s: %s takes %lld channels, %lld come in", v->path, name, (long long)dim[1],
                         (long long)(i ? v->conv[i - 1].cout : 3));
    return 0;
}

/* ---- safetensors */

/* The tensor's numbers as f32, which the caller frees. */
static int to_floats(const Vgg *v, const MienTensor *t, float **out)
{
    size_t n = mien_tensor_elems(t);
    float *f = mien_malloc_array(n, sizeof(*f));
    if (!(*out = f))
        return mien_fail(v->log, MIEN_ERR(ENOMEM), "%s: out of memory", v->path);
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        uint32_t bits;
        switch (t->dtype) {
        case MIEN_F32:
            f[i] = ((const float *)t->data)[i];
            break;
        case MIEN_F64:
            f[i] = (float)((const double *)t->data)[i];
            break;
        case MIEN_F16:
        case MIEN_BF16:
            memcpy(&h, (const uint8_t *)t->data + 2 * i, sizeof(h));
            bits = (uint32_t)h << 16;
            memcpy(&f[i], &bits, sizeof(bits));
            f[i] = t->dtype == MIEN_F16 ? mieni_float_from_half(h) : f[i];
            break;
        default:
            return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: tensor %s is %s; F32, F16, BF16 and F64 can be read", v->path, t->name,
                             mien_dtype_name(t->dtype));
        }
    }
    return 0;
}

static int take_tensors(Vgg *v, const MienWeights *w, const char *stem, int block, int place)
{
    char name[80];
    Conv *c = &v->conv[v->n_convs];
    snprintf(name, sizeof(name), "%s.weight", stem);
    const MienTensor *t = mien_weights_find(w, name);
    int ret = check_conv(v, name, t->n_dims, t->dim, v->n_convs);
    if (ret < 0)
        return ret;
    *c = (Conv){ .block = block, .place = place, .cout = t->dim[0], .cin = t->dim[1] };
    if ((ret = to_floats(v, t, &c->weight)) < 0)
        return ret;
    snprintf(name, sizeof(name), "%s.bias", stem);
    t = mien_weights_find(w, name);
    if (t && (t->n_dims != 1 || t->dim[0] != c->cout))
        return mien_fail(v->log, MIEN_E_SHAPE, "%s: tensor %s does not have %lld numbers", v->path, name, (long long)c->cout);
    v->n_convs++;
    return t ? to_floats(v, t, &c->bias) : 0;
}

static int has_weight(const MienWeights *w, const char *stem)
{
    char name[80];
    snprintf(name, sizeof(name), "%s.weight", stem);
    return mien_weights_find(w, name) != NULL;
}

/* "features.N": convolutions at fixed places, whatever lies between has no weights. */
static int read_features(Vgg *v, const MienWeights *w)
{
    char stem[32];
    for (int i = 0, at = 0, left = 0; at <= 36; at++) {
        int block = 0, place = 0;
        if (i < N_CONVS)
            place_of(i, &block, &place);
        snprintf(stem, sizeof(stem), "features.%d", at);
        int wanted = i < N_CONVS && at == 2 * i + block - 1;
        if (has_weight(w, stem) && (!wanted || left))
            return mien_fail(v->log, MIEN_E_UNSUPPORTED,
                             "%s: has weights %s, where VGG-19 has %s (VGG-11, 13, 16 and those with batch norm are other networks)",
                             v->path, stem, wanted ? "no gap before it" : "none");
        if (wanted && has_weight(w, stem)) {
            int ret = take_tensors(v, w, stem, block, place);
            if (ret < 0)
                return ret;
        } else if (wanted) {
            left = 1; /* cut off here */
        }
        i += wanted;
    }
    return 0;
}

/* "convB_M": a block may end early, and the last one anywhere. */
static int read_blocks(Vgg *v, const MienWeights *w)
{
    char stem[32];
    int last_block = 0;
    for (int b = 1; b <= N_BLOCKS; b++) {
        for (int m = 1, gap = 0; m <= block_convs[b - 1]; m++) {
            snprintf(stem, sizeof(stem), "conv%d_%d", b, m);
            if (!has_weight(w, stem)) {
                gap = 1;
                continue;
            }
            if (gap || b > last_block + 1)
                return mien_fail(v->log, MIEN_E_FORMAT, "%s: has %s but not the layer before it", v->path, stem);
            int ret = take_tensors(v, w, stem, b, m);
            if (ret < 0)
                return ret;
            last_block = b;
        }
    }
    return 0;
}

static int read_safetensors(Vgg *v, const void *data, size_t bytes)
{
    MienWeights *w;
    int ret = mien_weights_parse(&w, data, bytes, v->path, v->log);
    if (ret < 0)
        return ret;
    if (has_weight(w, "features.0"))
        ret = read_features(v, w);
    else if (has_weight(w, "conv1_1"))
        ret = read_blocks(v, w);
    else
        ret = mien_fail(v->log, MIEN_E_UNSUPPORTED,
                        "%s: has neither features.0.weight (as torchvision and timm name it) nor conv1_1.weight: no VGG-19", v->path);
    mien_weights_close(&w);
    return ret;
}

/* ---- ONNX */

static int take_initializer(const Vgg *v, const MieniOnnxFile *f, int ref, MieniOnnxTensor *t, float **out)
{
    int tensor = ref >= 0 ? f->value[ref].tensor : -1;
    char text[96];
    if (tensor < 0)
        return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: a convolution's weights are computed, not stored", v->path);
    *t = f->tensor[tensor];
    if (t->external)
        return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: \"%s\" is stored in another file; save the network as one file", v->path,
                         mieni_slice_text(t->name, text, sizeof(text)));
    if (!(*out = mien_malloc_array((size_t)t->elems, sizeof(**out))))
        return mien_fail(v->log, MIEN_ERR(ENOMEM), "%s: out of memory", v->path);
    int ret = mieni_onnx_floats(t, *out);
    return ret < 0 ? mien_fail(v->log, ret, "%s: \"%s\" is damaged or not of floats", v->path,
                               mieni_slice_text(t->name, text, sizeof(text))) : 0;
}

/* Every number of a list attribute is this one (or the attribute is not there). */
static int all_are(const MieniOnnxNode *n, const char *attr, int64_t want)
{
    int64_t x[8];
    int n_x = 0, there = mieni_onnx_attr_ints(n, attr, x, &n_x, 8);
    for (int i = 0; there > 0 && i < n_x; i++)
        there = x[i] == want ? there : -1;
    return there >= 0;
}

static int take_conv(Vgg *v, const MieniOnnxFile *f, const MieniOnnxNode *n)
{
    MieniOnnxTensor t;
    char name[64];
    int i = v->n_convs, ret;
    Conv *c = &v->conv[i];
    if (i == N_CONVS)
        return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: has more than sixteen convolutions in a row: no VGG-19", v->path);
    place_of(i, &c->block, &c->place);
    snprintf(name, sizeof(name), "convolution %d", i + 1);
    if (n->n_in < 2)
        return mien_fail(v->log, MIEN_E_FORMAT, "%s: %s has no weights", v->path, name);
    if ((ret = take_initializer(v, f, f->ref[n->in + 1], &t, &c->weight)) < 0 ||
        (ret = check_conv(v, name, t.n_dims, t.dim, i)) < 0)
        return ret;
    c->cout = t.dim[0];
    c->cin = t.dim[1];
    if (!all_are(n, "pads", 1) || !all_are(n, "strides", 1) || !all_are(n, "dilations", 1))
        return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: %s does not have padding 1, stride 1, dilation 1: no VGG-19", v->path, name);
    v->n_convs++;
    if (n->n_in < 3 || f->ref[n->in + 2] < 0)
        return 0;
    ret = take_initializer(v, f, f->ref[n->in + 2], &t, &c->bias);
    if (ret >= 0 && (int64_t)t.elems != c->cout)
        ret = mien_fail(v->log, MIEN_E_SHAPE, "%s: the bias of %s does not have %lld numbers", v->path, name, (long long)c->cout);
    return ret;
}

/* The node that reads value first, or NULL. */
static const MieniOnnxNode *reader_of(const MieniOnnxFile *f, int value)
{
    for (size_t i = 0; i < f->n_nodes; i++)
        for (int k = 0; k < f->node[i].n_in && k < 1; k++)
            if (f->ref[f->node[i].in + k] == value)
                return &f->node[i];
    return NULL;
}

static int follow_chain(Vgg *v, const MieniOnnxFile *f)
{
    enum { START, CONV, RELU, POOL } last = START;
    static const char *const what[] = { "the input", "a convolution", "a ReLU", "a pool" };
    if (f->n_inputs != 1)
        return mien_fail(v->log, MIEN_E_UNSUPPORTED, "%s: has %zu inputs, VGG-19 has one", v->path, f->n_inputs);
    int value = f->input[0].value, block = 1, ret = 0;
    const MieniOnnxNode *n;
    while (ret >= 0 && (n = reader_of(f, value)) && n->n_out > 0) {
        int b = block, m, now;
        if (v->n_convs < N_CONVS)
            place_of(v->n_convs, &b, &m);
        if (mieni_slice_is(n->op, "Conv") && last != CONV && b == block) {
            ret = take_conv(v, f, n);
            now = CONV;
        } else if (mieni_slice_is(n->op, "Relu") && last == CONV) {
            now = RELU;
        } else if ((mieni_slice_is(n->op, "MaxPool") || mieni_slice_is(n->op, "AveragePool")) && last == RELU &&
                   (b == block + 1 || v->n_convs == N_CONVS)) {
            block++;
            now = POOL;
        } else if (v->n_convs == N_CONVS || mieni_slice_is(n->op, "Flatten")) {
            break; /* the classifier */
        } else {
            char op[64];
            return mien_fail(v->log, MIEN_E_UNSUPPORTED,
                             "%s: a node %s after %s (convolution %d): no VGG-19, whose blocks have 2, 2, 4, 4, 4 convolutions", v->path,
                             mieni_slice_text(n->op, op, sizeof(op)), what[last], v->n_convs);
        }
        last = now;
        value = f->ref[n->out];
    }
    return ret;
}

static int read_onnx(Vgg *v, const void *data, size_t bytes)
{
    MieniOnnxFile f;
    int ret = mieni_onnx_parse(&f, data, bytes, v->path, v->log);
    if (ret >= 0)
        ret = follow_chain(v, &f);
    mieni_onnx_uninit(&f);
    return ret;
}

/* ---- the network */

/* "a" or "a,b,c" into three doubles; cJSON reads numbers the same way in every locale. */
static int three_numbers(const Vgg *v, const char *what, const char *s, double x[3])
{
    char json[256];
    int ok = snprintf(json, sizeof(json), "[%s]", s) < (int)sizeof(json), n = 0;
    cJSON *list = ok ? cJSON_Parse(json) : NULL;
    const cJSON *item;
    cJSON_ArrayForEach(item, list) {
        ok &= cJSON_IsNumber(item) && n < 3;
        if (ok)
            x[n++] = item->valuedouble;
    }
    ok = ok && list && (n == 1 || n == 3);
    cJSON_Delete(list);
    if (!ok)
        return mien_fail(v->log, MIEN_ERR(EINVAL), "%s \"%.100s\": one number or three, separated by commas, are wanted", what, s);
    for (; n < 3; n++)
        x[n] = x[0];
    return 0;
}

/* x = (v - mean) · scale of 0..255 becomes x = rgb · (255 scale) - mean · scale of 0..1. */
static int add_preprocessing(Vgg *v, MieniBuild *b, const MienImportParams *p, int bgr, int in)
{
    double mean[3], scale[3];
    int ret = three_numbers(v, "mean", p->mean, mean);
    if (ret >= 0)
        ret = three_numbers(v, "scale", p->scale, scale);
    if (ret < 0)
        return ret;
    MieniBuildNode n = { .op = MIENI_AFFINE, .in = { in }, .n_in = 1, .scale = mien_malloc_array(3, sizeof(double)),
                         .bias = mien_malloc_array(3, sizeof(double)) };
    for (int i = 0; i < 3 && n.scale && n.bias; i++) {
        int k = bgr ? 2 - i : i;
        n.scale[i] = 255 * scale[k];
        n.bias[i] = -mean[k] * scale[k];
    }
    if (!n.scale || !n.bias) {
        mien_free(n.scale);
        mien_free(n.bias);
        return MIEN_ERR(ENOMEM);
    }
    return mieni_build_add(b, &n);
}

/* OIHW becomes HWIO; bgr turns the input's channels round. */
static int add_conv(MieniBuild *b, const Conv *c, int bgr, int in)
{
    size_t n_out = (size_t)c->cout, n_in = (size_t)c->cin, n_weight = 9 * n_in * n_out;
    MieniBuildNode n = { .op = MIENI_CONV2D, .in = { in }, .n_in = 1, .kernel = { 3, 3 }, .pad = { 1, 1, 1, 1 }, .cout = (int)c->cout,
                         .weight = mien_malloc_array(n_weight, sizeof(float)), .bias = mien_calloc(n_out, sizeof(double)),
                         .n_weight = n_weight };
    if (!n.weight || !n.bias) {
        mien_free(n.weight);
        mien_free(n.bias);
        return MIEN_ERR(ENOMEM);
    }
    for (size_t o = 0; o < n_out; o++) {
        n.bias[o] = c->bias ? (double)c->bias[o] : 0;
        for (size_t i = 0; i < n_in; i++)
            for (size_t k = 0; k < 9; k++)
                n.weight[(k * n_in + (bgr ? n_in - 1 - i : i)) * n_out + o] = c->weight[(o * n_in + i) * 9 + k];
    }
    return mieni_build_add(b, &n);
}

static int build(Vgg *v, MieniBuild *b, const MienImportParams *p)
{
    int bgr = p->channels && !strcmp(p->channels, "bgr"), at = mieni_build_input(b, 0, 0, 3);
    char name[32];
    if (at >= 0)
        at = add_preprocessing(v, b, p, bgr, at);
    for (int i = 0; i < v->n_convs && at >= 0; i++) {
        const Conv *c = &v->conv[i];
        snprintf(b->where, sizeof(b->where), "conv%d_%d", c->block, c->place);
        if (i && c->place == 1) {
            MieniBuildNode n = { .op = strcmp(p->pool, "avg") ? MIENI_MAXPOOL : MIENI_AVGPOOL, .in = { at }, .n_in = 1,
                                 .kernel = { 2, 2 }, .stride = { 2, 2 } };
            at = mieni_build_add(b, &n);
        }
        if (at >= 0)
            at = add_conv(b, c, bgr && !i, at);
        if (at >= 0)
            at = mieni_build_unary(b, MIENI_RELU, at);
        snprintf(name, sizeof(name), "relu%d_%d", c->block, c->place);
        int ret = at < 0 ? at : mieni_build_output(b, at, name);
        if (ret < 0)
            return ret;
    }
    b->where[0] = 0;
    return at;
}

/* What params leave open is torchvision's: RGB, mean (.485, .456, .406) and deviation (.229, .224, .225) of 0..1. */
static MienImportParams complete(const MienImportParams *params)
{
    MienImportParams p = *params;
    int bgr = p.channels && !strcmp(p.channels, "bgr");
    p.role = "features";
    if (!p.name)
        p.name = "vgg19";
    if (!p.pool)
        p.pool = "max";
    if (!p.mean)
        p.mean = bgr ? "103.53,116.28,123.675" : "123.675,116.28,103.53";
    if (!p.scale)
        p.scale = bgr ? "0.017429193899782133,0.017507002801120448,0.017124753831663668"
                      : "0.017124753831663668,0.017507002801120448,0.017429193899782133";
    return p;
}

static int load(Vgg *v, MieniBuild *b, const void *data, size_t bytes, const MienImportParams *p)
{
    if (strcmp(p->pool, "max") && strcmp(p->pool, "avg"))
        return mien_fail(v->log, MIEN_ERR(EINVAL), "pooling is max or avg, not \"%s\"", p->pool);
    /* an ONNX file begins with a small protobuf key, a safetensors file with the length of its header and '{' */
    int safetensors = bytes > 8 && ((const uint8_t *)data)[8] == '{';
    int ret = safetensors ? read_safetensors(v, data, bytes) : read_onnx(v, data, bytes);
    if (ret >= 0 && !v->n_convs)
        ret = mien_fail(v->log, MIEN_E_FORMAT, "%s: there is no convolution in it", v->path);
    if (ret >= 0)
        ret = build(v, b, p);
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(v->log, ret, "%s: out of memory", v->path);
    return ret;
}

/* What the model file says of its input: the affine node does the rest. */
static void unit_input(MienImportParams *p)
{
    p->channels = "rgb";
    p->mean = "0";
    p->scale = "0.00392156862745098";
}

int mieni_import_vgg_bytes(const void *data, size_t bytes, const char *path, const MienImportParams *params, uint8_t **packed,
                           size_t *packed_bytes, MienLog log)
{
    Vgg v = { .path = path, .log = log };
    MieniBuild b;
    MienImportParams p = complete(params);
    char hash[65];

    *packed = NULL;
    mieni_build_init(&b, path, log);
    int ret = load(&v, &b, data, bytes, &p);
    mieni_sha256_hex(data, bytes, hash);
    unit_input(&p);
    if (ret >= 0)
        ret = mieni_build_pack(&b, &p, hash, packed, packed_bytes);
    mieni_build_uninit(&b);
    uninit(&v);
    return ret < 0 ? ret : 0;
}

int mien_import_vgg(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log)
{
    uint8_t *data, *packed;
    size_t bytes, packed_bytes;
    int ret = mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, log);
    if (ret < 0)
        return ret;
    ret = mieni_import_vgg_bytes(data, bytes, path, params, &packed, &packed_bytes, log);
    mien_free(data);
    if (ret >= 0)
        ret = mieni_model_store(packed, packed_bytes, path, NULL, out_dir, done, log);
    mien_free(packed);
    return ret;
}
