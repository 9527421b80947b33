/* ONNX import: walks the nodes that the wanted outputs need, in file order, and appends what each computes to a MieniBuild.
 *
 * ONNX keeps activations as N,C,H,W; ours are N,H,W,C. Every ONNX value is therefore tracked with the layout it has there, so
 * that Transpose, Flatten, Reshape and the arithmetic on shapes around them vanish, and weights behind a flattened picture are
 * reordered. Operators: the ONNX operator specification, sets 7 to 25. The batch is 1 while importing; a model
 * runs with any batch.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "models/import_int.h"
#include "models/netbuild.h"
#include "models/onnx_file.h"

#define MAX_FILE_BYTES ((size_t)2 << 30) /* protobuf's own limit */
#define MAX_INTS 16
#define MAX_PARTS 8
#define UNKNOWN INT64_MIN /* a height or width that is free */

typedef enum Kind {
    UNSET,
    TENSOR, /* constant numbers */
    INTS,   /* a small integer vector: shapes and indices */
    ACT,    /* an activation of ours */
    PARTS,  /* rows of several activations one behind the other; kept apart, see concat_rows */
    NORM,   /* the length of an activation along its channels, on its way into a division */
} Kind;

/* How an ONNX value's axes map to an activation h,w,c of ours. */
typedef enum Layout {
    NCHW,
    NHWC,
    VEC,  /* [N, c·h·w], flattened from NCHW */
    ROWS, /* [N, h, c], w = 1 */
} Layout;

typedef struct Val {
    Kind kind;
    Layout layout;
    int act, part[MAX_PARTS], n_parts;
    MieniOnnxTensor tensor;
    int64_t ints[MAX_INTS];
    int n_ints, is_scalar;
} Val;

typedef struct Import {
    MieniOnnxFile file;
    MieniBuild build;
    Val *val;     /* by value of file */
    char *wanted; /* by node */
    const MieniOnnxNode *node;
} Import;

/* ---- small helpers */

static const char *value_name(const Import *im, int value, char *buf, size_t buf_bytes)
{
    return mieni_slice_text(im->file.value[value].name, buf, buf_bytes);
}

static int unsupported(const Import *im, const char *what)
{
    return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "%s", what);
}

static int no_memory(const Import *im)
{
    return mieni_build_fail(&im->build, MIEN_ERR(ENOMEM), "out of memory");
}

static Val *input(Import *im, int i)
{
    if (i >= im->node->n_in || im->file.ref[im->node->in + i] < 0)
        return NULL;
    return &im->val[im->file.ref[im->node->in + i]];
}

static int need(Import *im, int i, Kind kind, Val **v)
{
    static const char *const word[] = { [UNSET] = "?", [TENSOR] = "a constant", [INTS] = "integers", [ACT] = "an activation",
                                        [PARTS] = "rows", [NORM] = "a norm" };

    *v = input(im, i);
    if (!*v)
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "input %d is missing", i);
    if ((*v)->kind != kind)
        return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "input %d is %s; only %s is supported there", i,
                                word[(*v)->kind], word[kind]);
    return 0;
}

static MieniBuildValue shape_of(const Import *im, const Val *v)
{
    return im->build.value[v->act];
}

static int set_output(Import *im, const Val *v)
{
    int to = im->node->n_out ? im->file.ref[im->node->out] : -1;

    if (to < 0)
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "the node has no output");
    im->val[to] = *v;
    return 0;
}

/* Result of an op that yields build value act (or an error) in the given layout. */
static int set_act(Import *im, int act, Layout layout)
{
    Val v = { .kind = ACT, .layout = layout, .act = act };

    return act < 0 ? act : set_output(im, &v);
}

static int attr_int(Import *im, const char *name, int64_t *v)
{
    int ret = mieni_onnx_attr_int(im->node, name, v);

    return ret < 0 ? mieni_build_fail(&im->build, ret, "the attribute %s is damaged", name) : ret;
}

static int attr_float(Import *im, const char *name, float *v)
{
    int ret = mieni_onnx_attr_float(im->node, name, v);

    return ret < 0 ? mieni_build_fail(&im->build, ret, "the attribute %s is damaged", name) : ret;
}

static int attr_ints(Import *im, const char *name, int64_t *v, int *n, int cap)
{
    int ret = mieni_onnx_attr_ints(im->node, name, v, n, cap);

    return ret < 0 ? mieni_build_fail(&im->build, ret, "the attribute %s is damaged or too long", name) : ret;
}

/* A constant's numbers as a new float array; bytes in the file bound what is allocated. */
static int floats_of(const Import *im, const MieniOnnxTensor *t, float **f)
{
    char text[128];

    *f = NULL;
    if (t->external)
        return unsupported(im, "its weights lie in another file (external data)");
    if (t->elems > t->msg.bytes)
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "the tensor \"%s\" should have %llu numbers and has %zu bytes",
                                mieni_slice_text(t->name, text, sizeof(text)), (unsigned long long)t->elems, t->msg.bytes);
    *f = mien_malloc_array((size_t)t->elems + 1, sizeof(**f));
    if (!*f)
        return no_memory(im);
    int ret = mieni_onnx_floats(t, *f);
    for (uint64_t i = 0; ret >= 0 && i < t->elems; i++)
        if (!isfinite((*f)[i]))
            ret = MIEN_E_FORMAT;
    if (ret < 0) {
        mien_free(*f);
        *f = NULL;
        return mieni_build_fail(&im->build, ret, ret == MIEN_E_UNSUPPORTED ?
                                "the tensor \"%s\" has element type %d; float, float16 and double are supported" :
                                "the tensor \"%s\" (type %d) has not as many finite numbers as its shape says",
                                mieni_slice_text(t->name, text, sizeof(text)), t->dtype);
    }
    return 0;
}

/* Input i as n constant floats; a single number stands for n. */
static int channel_floats(Import *im, int i, size_t n, float **f)
{
    Val *v;
    int ret = need(im, i, TENSOR, &v);

    *f = NULL;
    if (ret < 0)
        return ret;
    if (v->tensor.elems != n && v->tensor.elems != 1)
        return mieni_build_fail(&im->build, MIEN_E_SHAPE, "input %d has %llu numbers, %zu are wanted", i,
                                (unsigned long long)v->tensor.elems, n);
    float *got;
    ret = floats_of(im, &v->tensor, &got);
    if (ret < 0 || v->tensor.elems == n) {
        *f = got;
        return ret;
    }
    *f = mien_malloc_array(n, sizeof(**f));
    for (size_t j = 0; *f && j < n; j++)
        (*f)[j] = got[0];
    mien_free(got);
    return *f ? 0 : no_memory(im);
}

static int channel_doubles(Import *im, int i, size_t n, double **d)
{
    float *f;
    int ret = channel_floats(im, i, n, &f);

    *d = NULL;
    if (ret < 0)
        return ret;
    *d = mien_malloc_array(n, sizeof(**d));
    for (size_t j = 0; *d && j < n; j++)
        (*d)[j] = (double)f[j];
    mien_free(f);
    return *d ? 0 : no_memory(im);
}

/* Integers from input i or, in older operator sets, from an attribute. 1 if there are any, 0 if neither is given. */
static int ints_arg(Import *im, int i, const char *attr, int64_t *v, int *n)
{
    Val *in = input(im, i);

    if (!in)
        return attr_ints(im, attr, v, n, MAX_INTS);
    if (in->kind != INTS)
        return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "input %d (%s) is not known beforehand", i, attr);
    *n = in->n_ints;
    memcpy(v, in->ints, sizeof(in->ints));
    return 1;
}

/* ---- windows: convolution and pooling */

static int auto_pad(Import *im, const Val *x, MieniBuildNode *n)
{
    MieniSlice mode;
    MieniBuildValue s = shape_of(im, x);
    int size[2] = { s.h, s.w };
    int ret = mieni_onnx_attr_string(im->node, "auto_pad", &mode);

    if (ret < 0)
        return mieni_build_fail(&im->build, ret, "the attribute auto_pad is damaged");
    if (!ret || mieni_slice_is(mode, "NOTSET"))
        return 0;
    memset(n->pad, 0, sizeof(n->pad));
    if (mieni_slice_is(mode, "VALID"))
        return 0;
    int upper = mieni_slice_is(mode, "SAME_UPPER");
    if (!upper && !mieni_slice_is(mode, "SAME_LOWER"))
        return unsupported(im, "an unknown auto_pad");
    for (int i = 0; i < 2; i++) {
        if (!size[i] && n->stride[i] != 1)
            return unsupported(im, "auto_pad with a stride where the input's size is free");
        int64_t out = size[i] ? (size[i] + (int64_t)n->stride[i] - 1) / n->stride[i] : 1;
        int64_t all = (size[i] ? (out - 1) * n->stride[i] - size[i] : -1) + (int64_t)n->dilation[i] * (n->kernel[i] - 1) + 1;
        all = all > 0 ? all : 0;
        n->pad[i] = (int)(upper ? all / 2 : all - all / 2);
        n->pad[2 + i] = (int)(all - n->pad[i]);
    }
    return 0;
}

static int window_ints(Import *im, const char *name, int *to, int n_to, int least)
{
    int64_t v[MAX_INTS];
    int n, ret = attr_ints(im, name, v, &n, MAX_INTS);

    if (ret <= 0)
        return ret;
    if (n != n_to)
        return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "%s has %d numbers; only networks on pictures are supported",
                                name, n);
    for (int i = 0; i < n; i++) {
        if (v[i] < least || v[i] > 4096)
            return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "%s of %lld", name, (long long)v[i]);
        to[i] = (int)v[i];
    }
    return 1;
}

/* kernel_shape must be there unless the caller has filled in the kernel. */
static int window(Import *im, const Val *x, MieniBuildNode *n)
{
    int kernel[2];

    n->stride[0] = n->stride[1] = n->dilation[0] = n->dilation[1] = 1;
    int ret = window_ints(im, "kernel_shape", kernel, 2, 1);
    if (ret < 0)
        return ret;
    if (ret) {
        if (n->kernel[0] && (n->kernel[0] != kernel[0] || n->kernel[1] != kernel[1]))
            return mieni_build_fail(&im->build, MIEN_E_SHAPE, "kernel_shape is %dx%d, the weights have %dx%d", kernel[0],
                                    kernel[1], n->kernel[0], n->kernel[1]);
        memcpy(n->kernel, kernel, sizeof(kernel));
    } else if (!n->kernel[0]) {
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "kernel_shape is missing");
    }
    if ((ret = window_ints(im, "strides", n->stride, 2, 1)) < 0 || (ret = window_ints(im, "dilations", n->dilation, 2, 1)) < 0 ||
        (ret = window_ints(im, "pads", n->pad, 4, 0)) < 0)
        return ret;
    return auto_pad(im, x, n);
}

/* ONNX [cout, cin/groups, kh, kw] to ours [kh, kw, cin/groups, cout]. */
static float *reorder_conv(const float *from, size_t cout, size_t cin, size_t taps)
{
    float *to = mien_malloc_array(cout * cin * taps, sizeof(*to));

    for (size_t o = 0; to && o < cout; o++)
        for (size_t i = 0; i < cin; i++)
            for (size_t k = 0; k < taps; k++)
                to[(k * cin + i) * cout + o] = from[(o * cin + i) * taps + k];
    return to;
}

static int op_conv(Import *im)
{
    MieniBuildNode n = { .op = MIENI_CONV2D, .n_in = 1 };
    Val *x, *w;
    int64_t groups = 1;
    float *weight;

    int ret = need(im, 0, ACT, &x);
    if (ret < 0 || (ret = need(im, 1, TENSOR, &w)) < 0)
        return ret;
    const int64_t *dim = w->tensor.dim;
    if (x->layout != NCHW || w->tensor.n_dims != 4)
        return unsupported(im, "only two-dimensional convolutions of N,C,H,W are supported");
    if ((ret = attr_int(im, "group", &groups)) < 0)
        return ret;
    MieniBuildValue s = shape_of(im, x);
    if (groups < 1 || groups > s.c || dim[0] < 1 || dim[0] > 65536 || dim[1] * groups != s.c || dim[2] < 1 || dim[2] > 4096 ||
        dim[3] < 1 || dim[3] > 4096)
        return mieni_build_fail(&im->build, MIEN_E_SHAPE, "weights [%lld,%lld,%lld,%lld] in %lld groups for %d channels",
                                (long long)dim[0], (long long)dim[1], (long long)dim[2], (long long)dim[3], (long long)groups,
                                s.c);
    n.in[0] = x->act;
    n.groups = (int)groups;
    n.cout = (int)dim[0];
    n.kernel[0] = (int)dim[2];
    n.kernel[1] = (int)dim[3];
    if ((ret = window(im, x, &n)) < 0 || (ret = floats_of(im, &w->tensor, &weight)) < 0)
        return ret;
    n.weight = reorder_conv(weight, (size_t)dim[0], (size_t)dim[1], (size_t)(dim[2] * dim[3]));
    n.n_weight = (size_t)w->tensor.elems;
    mien_free(weight);
    if (!n.weight)
        return no_memory(im);
    if (input(im, 2) && (ret = channel_doubles(im, 2, (size_t)n.cout, &n.bias)) < 0) {
        mien_free(n.weight);
        return ret;
    }
    return set_act(im, mieni_build_add(&im->build, &n), NCHW);
}

/* ceil_mode: one more column where the last window would start inside the picture; such padding counts for nothing. */
static int ceil_mode(Import *im, const Val *x, MieniBuildNode *n)
{
    MieniBuildValue s = shape_of(im, x);
    int size[2] = { s.h, s.w };
    int64_t on = 0;
    int ret = attr_int(im, "ceil_mode", &on);

    if (ret < 0 || !on)
        return ret;
    for (int i = 0; i < 2; i++) {
        if (!size[i])
            return unsupported(im, "ceil_mode where the input's size is free");
        int64_t span = (int64_t)size[i] + n->pad[i] + n->pad[2 + i] - (int64_t)n->dilation[i] * (n->kernel[i] - 1) - 1;
        int64_t out = span / n->stride[i] + 1;
        if (span > 0 && span % n->stride[i] && out * n->stride[i] < (int64_t)size[i] + n->pad[i])
            n->pad[2 + i] += (int)(n->stride[i] - span % n->stride[i]);
    }
    return 0;
}

static int op_pool(Import *im, MieniBuildOp op)
{
    MieniBuildNode n = { .op = op, .n_in = 1 };
    Val *x;
    int64_t include_pad = 0, order = 0;

    int ret = need(im, 0, ACT, &x);
    if (ret < 0)
        return ret;
    if (x->layout != NCHW)
        return unsupported(im, "only two-dimensional pooling of N,C,H,W is supported");
    if ((ret = window(im, x, &n)) < 0 || (ret = attr_int(im, "count_include_pad", &include_pad)) < 0 ||
        (ret = attr_int(im, "storage_order", &order)) < 0)
        return ret;
    if (n.dilation[0] != 1 || n.dilation[1] != 1)
        return unsupported(im, "dilated pooling");
    n.in[0] = x->act;
    if (include_pad && op == MIENI_AVGPOOL && (n.pad[0] || n.pad[1] || n.pad[2] || n.pad[3])) {
        MieniBuildNode pad = { .op = MIENI_PAD, .in = { x->act }, .n_in = 1 };
        memcpy(pad.pad, n.pad, sizeof(pad.pad));
        memset(n.pad, 0, sizeof(n.pad));
        n.in[0] = mieni_build_add(&im->build, &pad);
        if (n.in[0] < 0)
            return n.in[0];
        Val padded = { .kind = ACT, .act = n.in[0] };
        ret = ceil_mode(im, &padded, &n);
    } else {
        ret = ceil_mode(im, x, &n);
    }
    return ret < 0 ? ret : set_act(im, mieni_build_add(&im->build, &n), NCHW);
}

static int op_maxpool(Import *im) { return op_pool(im, MIENI_MAXPOOL); }
static int op_avgpool(Import *im) { return op_pool(im, MIENI_AVGPOOL); }

static int op_globalavg(Import *im)
{
    Val *x;
    int ret = need(im, 0, ACT, &x);

    if (ret >= 0 && x->layout != NCHW)
        ret = unsupported(im, "only N,C,H,W is supported");
    return ret < 0 ? ret : set_act(im, mieni_build_unary(&im->build, MIENI_GLOBALAVG, x->act), NCHW);
}

/* ReduceMean over height and width is a global average. */
static int op_reduce_mean(Import *im)
{
    Val *x;
    int64_t axes[MAX_INTS], keep = 1;
    int n = 0, ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = ints_arg(im, 1, "axes", axes, &n)) < 0)
        return ret;
    int first = x->layout == NHWC ? 1 : 2;
    for (int i = 0; i < n; i++)
        axes[i] += axes[i] < 0 ? 4 : 0;
    if ((x->layout != NCHW && x->layout != NHWC) || n != 2 || axes[0] + axes[1] != 2 * first + 1 ||
        (axes[0] != first && axes[1] != first))
        return unsupported(im, "a mean over other axes than height and width");
    if ((ret = attr_int(im, "keepdims", &keep)) < 0)
        return ret;
    return set_act(im, mieni_build_unary(&im->build, MIENI_GLOBALAVG, x->act), keep ? x->layout : VEC);
}

/* ---- element-wise */

static int op_unary(Import *im, MieniBuildOp op)
{
    Val *x;
    int ret = need(im, 0, ACT, &x);

    return ret < 0 ? ret : set_act(im, mieni_build_unary(&im->build, op, x->act), x->layout);
}

static int op_relu(Import *im) { return op_unary(im, MIENI_RELU); }
static int op_sigmoid(Import *im) { return op_unary(im, MIENI_SIGMOID); }

/* Per-channel work on a value: a flattened picture has its channels no longer apart. */
static int channels_apart(Import *im, const Val *x)
{
    MieniBuildValue s = shape_of(im, x);

    if (x->layout == VEC && (s.h != 1 || s.w != 1))
        return unsupported(im, "numbers per channel after a picture was flattened");
    return 0;
}

static int add_prelu(Import *im, const Val *x, float *slope, size_t n_slope)
{
    MieniBuildNode n = { .op = MIENI_PRELU, .in = { x->act }, .n_in = 1, .weight = slope, .n_weight = n_slope };

    return set_act(im, mieni_build_add(&im->build, &n), x->layout);
}

static int op_prelu(Import *im)
{
    Val *x;
    float *slope;
    int ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = channels_apart(im, x)) < 0)
        return ret;
    size_t c = (size_t)shape_of(im, x).c;
    ret = channel_floats(im, 1, c, &slope);
    return ret < 0 ? ret : add_prelu(im, x, slope, c);
}

static int op_leaky_relu(Import *im)
{
    Val *x;
    float alpha = 0.01f;
    int ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = attr_float(im, "alpha", &alpha)) < 0)
        return ret;
    size_t c = (size_t)shape_of(im, x).c;
    float *slope = mien_malloc_array(c, sizeof(*slope));
    if (!slope)
        return no_memory(im);
    for (size_t i = 0; i < c; i++)
        slope[i] = alpha;
    return add_prelu(im, x, slope, c);
}

/* scale·x + shift, the same for all channels. */
static int add_uniform_affine(Import *im, int act, double scale, double shift)
{
    size_t c = (size_t)im->build.value[act].c;
    MieniBuildNode n = { .op = MIENI_AFFINE, .in = { act }, .n_in = 1 };

    n.scale = mien_malloc_array(c, sizeof(*n.scale));
    n.bias = mien_malloc_array(c, sizeof(*n.bias));
    if (!n.scale || !n.bias) {
        mien_free(n.scale);
        mien_free(n.bias);
        return no_memory(im);
    }
    for (size_t i = 0; i < c; i++) {
        n.scale[i] = scale;
        n.bias[i] = shift;
    }
    return mieni_build_add(&im->build, &n);
}

/* A bound of Clip: an input or, before set 11, an attribute. */
static int clip_bound(Import *im, int i, const char *name, float *v)
{
    float *f;

    if (!input(im, i))
        return attr_float(im, name, v);
    int ret = channel_floats(im, i, 1, &f);
    if (ret >= 0)
        *v = f[0];
    mien_free(f);
    return ret < 0 ? ret : 1;
}

/* Clip to [0, hi] is relu(x) - relu(x - hi); to [0, …) it is relu. On a norm, the lower bound is division's guard: l2norm has
 * its own. */
static int op_clip(Import *im)
{
    float lo = -INFINITY, hi = INFINITY;
    Val *x = input(im, 0);

    if (x && x->kind == NORM)
        return set_output(im, x);
    int ret = need(im, 0, ACT, &x);
    if (ret < 0 || (ret = clip_bound(im, 1, "min", &lo)) < 0 || (ret = clip_bound(im, 2, "max", &hi)) < 0)
        return ret;
    if (lo != 0 || !(hi > 0))
        return unsupported(im, "only a Clip from 0 upwards is supported");
    Layout layout = x->layout;
    int low = mieni_build_unary(&im->build, MIENI_RELU, x->act);
    if (low < 0 || hi > 3e38f)
        return set_act(im, low, layout);
    int high = add_uniform_affine(im, x->act, 1, -(double)hi);
    if (high >= 0)
        high = mieni_build_unary(&im->build, MIENI_RELU, high);
    return set_act(im, high < 0 ? high : mieni_build_binary(&im->build, MIENI_ADD, low, high, -1), layout);
}

static int op_batch_norm(Import *im)
{
    Val *x;
    float eps = 1e-5f;
    int64_t training = 0, spatial = 1;
    double *p[4] = { NULL, NULL, NULL, NULL }; /* scale, shift, mean, variance */

    int ret = need(im, 0, ACT, &x);
    if (ret < 0 || (ret = channels_apart(im, x)) < 0 || (ret = attr_float(im, "epsilon", &eps)) < 0 ||
        (ret = attr_int(im, "training_mode", &training)) < 0 || (ret = attr_int(im, "spatial", &spatial)) < 0)
        return ret;
    if (training || !spatial || x->layout == NHWC || x->layout == ROWS)
        return unsupported(im, "batch norm in training mode, or not over the channels");
    size_t c = (size_t)shape_of(im, x).c;
    for (int i = 0; i < 4 && ret >= 0; i++)
        ret = channel_doubles(im, i + 1, c, &p[i]);
    for (size_t i = 0; i < c && ret >= 0; i++) {
        if (!(p[3][i] + (double)eps > 0))
            ret = mieni_build_fail(&im->build, MIEN_E_FORMAT, "the variance of channel %zu is negative", i);
        p[0][i] /= sqrt(p[3][i] + (double)eps);
        p[1][i] -= p[2][i] * p[0][i];
    }
    mien_free(p[2]);
    mien_free(p[3]);
    if (ret < 0) {
        mien_free(p[0]);
        mien_free(p[1]);
        return ret;
    }
    MieniBuildNode n = { .op = MIENI_AFFINE, .in = { x->act }, .n_in = 1, .scale = p[0], .bias = p[1] };
    return set_act(im, mieni_build_add(&im->build, &n), x->layout);
}

typedef enum Arith { PLUS, MINUS, TIMES, OVER } Arith;

/* An activation with constants: one number, or one a channel. swapped: the constant is on the left. */
static int with_constant(Import *im, const Val *x, int i_const, Arith op, int swapped)
{
    static const int rank_of[] = { [NCHW] = 4, [NHWC] = 4, [VEC] = 2, [ROWS] = 3 };
    const MieniOnnxTensor *t = &input(im, i_const)->tensor;
    size_t c = (size_t)shape_of(im, x).c;
    int rank = rank_of[x->layout], axis = x->layout == NCHW || x->layout == VEC ? 1 : rank - 1, ret = 0;
    double *k;

    for (int i = 0; i < t->n_dims; i++)
        if (t->dim[i] != 1 && (i + rank - t->n_dims != axis || (size_t)t->dim[i] != c))
            return unsupported(im, "a constant that is neither one number nor one a channel");
    if (t->n_dims > rank)
        return unsupported(im, "a constant with more axes than the activation");
    if (t->elems != 1)
        ret = channels_apart(im, x);
    if (ret < 0 || (ret = channel_doubles(im, i_const, c, &k)) < 0)
        return ret;
    if (op == OVER && swapped) {
        mien_free(k);
        return unsupported(im, "a constant divided by an activation");
    }
    double *one = mien_malloc_array(c, sizeof(*one));
    MieniBuildNode n = { .op = MIENI_AFFINE, .in = { x->act }, .n_in = 1 };
    for (size_t i = 0; one && i < c; i++) {
        one[i] = op == TIMES || op == OVER ? 0 : op == MINUS && swapped ? -1 : 1;
        if (op == OVER)
            k[i] = 1 / k[i];
        if (op == MINUS && !swapped)
            k[i] = -k[i];
    }
    if (!one) {
        mien_free(k);
        return no_memory(im);
    }
    n.scale = op == TIMES || op == OVER ? k : one;
    n.bias = op == TIMES || op == OVER ? one : k;
    return set_act(im, mieni_build_add(&im->build, &n), x->layout);
}

static int two_activations(Import *im, const Val *a, const Val *b, Arith op)
{
    MieniBuildValue sa = shape_of(im, a), sb = shape_of(im, b);
    int ret;

    if (a->layout != b->layout && !(sa.h == 1 && sa.w == 1 && sb.h == 1 && sb.w == 1))
        return unsupported(im, "two activations with their axes in different orders");
    if (op == OVER)
        return unsupported(im, "an activation divided by another");
    if (op != TIMES) {
        ret = mieni_build_binary(&im->build, MIENI_ADD, a->act, b->act, op == MINUS ? -1 : 1);
        return set_act(im, ret, a->layout);
    }
    int b_is_whole = sa.h == 1 && sa.w == 1 && (sb.h != 1 || sb.w != 1);
    ret = mieni_build_binary(&im->build, MIENI_MUL, b_is_whole ? b->act : a->act, b_is_whole ? a->act : b->act, 1);
    return set_act(im, ret, a->layout);
}

static int two_ints(Import *im, const Val *a, const Val *b, Arith op)
{
    Val v = a->n_ints >= b->n_ints ? *a : *b;

    for (int i = 0; i < v.n_ints; i++) {
        int64_t x = a->ints[a->n_ints == 1 ? 0 : i], y = b->ints[b->n_ints == 1 ? 0 : i];
        if ((a->n_ints != 1 && a->n_ints != v.n_ints) || (b->n_ints != 1 && b->n_ints != v.n_ints))
            return mieni_build_fail(&im->build, MIEN_E_SHAPE, "%d and %d integers", a->n_ints, b->n_ints);
        if (x == UNKNOWN || y == UNKNOWN)
            v.ints[i] = UNKNOWN;
        else if (x > INT32_MAX || x < INT32_MIN || y > INT32_MAX || y < INT32_MIN || (op == OVER && !y))
            return unsupported(im, "this arithmetic on shapes");
        else
            v.ints[i] = op == PLUS ? x + y : op == MINUS ? x - y : op == TIMES ? x * y : x / y;
    }
    v.is_scalar = a->is_scalar && b->is_scalar;
    return set_output(im, &v);
}

static int op_arith(Import *im, Arith op)
{
    Val *a = input(im, 0), *b = input(im, 1);

    if (!a || !b || im->node->n_in != 2)
        return unsupported(im, "other than two inputs");
    if (op == OVER && a->kind == ACT && b->kind == NORM && a->act == b->act && a->layout == b->layout)
        return set_act(im, mieni_build_unary(&im->build, MIENI_L2NORM, a->act), a->layout);
    if (a->kind == ACT && b->kind == ACT)
        return two_activations(im, a, b, op);
    if (a->kind == ACT && b->kind == TENSOR)
        return with_constant(im, a, 1, op, 0);
    if (a->kind == TENSOR && b->kind == ACT)
        return with_constant(im, b, 0, op, 1);
    if (a->kind == INTS && b->kind == INTS)
        return two_ints(im, a, b, op);
    return unsupported(im, "these two kinds of input together");
}

static int op_add(Import *im) { return op_arith(im, PLUS); }
static int op_sub(Import *im) { return op_arith(im, MINUS); }
static int op_mul(Import *im) { return op_arith(im, TIMES); }
static int op_div(Import *im) { return op_arith(im, OVER); }

/* ---- fully connected layers */

/* Weights [k, n] with k in the order of a flattened c,h,w become rows in the order h,w,c. transposed: given as [n, k]. */
static float *reorder_fc(const float *from, MieniBuildValue s, size_t n, int transposed)
{
    size_t c = (size_t)s.c, hw = (size_t)s.h * (size_t)s.w, k = c * hw;
    float *to = mien_malloc_array(k * n, sizeof(*to));

    for (size_t ch = 0; to && ch < c; ch++)
        for (size_t p = 0; p < hw; p++)
            for (size_t j = 0; j < n; j++) {
                size_t row = ch * hw + p;
                to[(p * c + ch) * n + j] = transposed ? from[j * k + row] : from[row * n + j];
            }
    return to;
}

/* x·W (+ C): a full layer on a vector, a 1×1 convolution on rows and pictures whose channels come last. */
static int linear(Import *im, const Val *x, const Val *w, int transposed, float alpha, int i_bias, float beta)
{
    MieniBuildValue s = shape_of(im, x);
    const MieniOnnxTensor *t = &w->tensor;
    MieniBuildNode n = { .op = MIENI_FC, .in = { x->act }, .n_in = 1 };
    float *weight;
    int ret;

    if (x->layout == NCHW)
        return unsupported(im, "a matrix product on N,C,H,W");
    if (t->n_dims != 2)
        return unsupported(im, "weights that are no matrix");
    if (x->layout != VEC) {
        n.op = MIENI_CONV2D;
        n.kernel[0] = n.kernel[1] = 1;
        s.h = s.w = 1;
    }
    int64_t k = t->dim[transposed ? 1 : 0], cout = t->dim[transposed ? 0 : 1], have = (int64_t)s.h * s.w * s.c;
    if (!have)
        return unsupported(im, "a full layer after an activation of unknown size");
    if (k != have || cout < 1 || cout > 65536)
        return mieni_build_fail(&im->build, MIEN_E_SHAPE, "weights [%lld,%lld] for %lld numbers", (long long)t->dim[0],
                                (long long)t->dim[1], (long long)have);
    if ((ret = floats_of(im, t, &weight)) < 0)
        return ret;
    n.cout = (int)cout;
    n.n_weight = (size_t)t->elems;
    n.weight = reorder_fc(weight, s, (size_t)cout, transposed);
    mien_free(weight);
    if (!n.weight)
        return no_memory(im);
    for (size_t i = 0; alpha != 1 && i < n.n_weight; i++)
        n.weight[i] *= alpha;
    if (input(im, i_bias)) {
        ret = channel_doubles(im, i_bias, (size_t)cout, &n.bias);
        for (int64_t i = 0; ret >= 0 && i < cout; i++)
            n.bias[i] *= (double)beta;
    }
    if (ret < 0) {
        mien_free(n.weight);
        return ret;
    }
    return set_act(im, mieni_build_add(&im->build, &n), x->layout);
}

static int op_gemm(Import *im)
{
    Val *x, *w;
    int64_t trans_a = 0, trans_b = 0;
    float alpha = 1, beta = 1;

    int ret = need(im, 0, ACT, &x);
    if (ret < 0 || (ret = need(im, 1, TENSOR, &w)) < 0 || (ret = attr_int(im, "transA", &trans_a)) < 0 ||
        (ret = attr_int(im, "transB", &trans_b)) < 0 || (ret = attr_float(im, "alpha", &alpha)) < 0 ||
        (ret = attr_float(im, "beta", &beta)) < 0)
        return ret;
    if (trans_a || x->layout != VEC)
        return unsupported(im, "Gemm of something that is no vector");
    return linear(im, x, w, trans_b != 0, alpha, 2, beta);
}

static int op_matmul(Import *im)
{
    Val *x, *w;
    int ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = need(im, 1, TENSOR, &w)) < 0)
        return ret;
    return linear(im, x, w, 0, 1, INT_MAX, 1);
}

/* ---- shapes and what only moves axes */

static int op_same(Import *im)
{
    Val *x = input(im, 0);

    return x ? set_output(im, x) : mieni_build_fail(&im->build, MIEN_E_FORMAT, "input 0 is missing");
}

static int op_constant(Import *im)
{
    Val v = { .kind = TENSOR };
    int ret = mieni_onnx_attr_tensor(im->node, "value", &v.tensor);

    if (ret < 0)
        return mieni_build_fail(&im->build, ret, "the attribute value is damaged");
    if (!ret) {
        ret = attr_ints(im, "value_ints", v.ints, &v.n_ints, MAX_INTS);
        if (!ret && (ret = attr_int(im, "value_int", v.ints)) > 0)
            v.n_ints = v.is_scalar = 1;
        if (!ret)
            ret = unsupported(im, "a constant of this kind");
        v.kind = INTS;
        return ret < 0 ? ret : set_output(im, &v);
    }
    return set_output(im, &v);
}

static int op_shape(Import *im)
{
    Val *x, v = { .kind = INTS };
    int ret = need(im, 0, ACT, &x);

    if (ret < 0)
        return ret;
    MieniBuildValue s = shape_of(im, x);
    int64_t h = s.h ? s.h : UNKNOWN, w = s.w ? s.w : UNKNOWN, all = s.h && s.w ? (int64_t)s.h * s.w * s.c : UNKNOWN;
    int64_t by_layout[][4] = { [NCHW] = { 1, s.c, h, w }, [NHWC] = { 1, h, w, s.c }, [VEC] = { 1, all }, [ROWS] = { 1, h, s.c } };
    v.n_ints = x->layout == VEC ? 2 : x->layout == ROWS ? 3 : 4;
    memcpy(v.ints, by_layout[x->layout], sizeof(by_layout[0]));
    return set_output(im, &v);
}

static int op_gather(Import *im)
{
    Val *x, *index;
    int64_t axis = 0;
    int ret = need(im, 0, INTS, &x);

    if (ret < 0 || (ret = need(im, 1, INTS, &index)) < 0 || (ret = attr_int(im, "axis", &axis)) < 0)
        return ret;
    Val v = *index;
    for (int i = 0; i < v.n_ints; i++) {
        int64_t at = v.ints[i] < 0 ? v.ints[i] + x->n_ints : v.ints[i];
        if (axis != 0 || v.ints[i] == UNKNOWN || at < 0 || at >= x->n_ints)
            return mieni_build_fail(&im->build, MIEN_E_SHAPE, "index %lld of %d", (long long)v.ints[i], x->n_ints);
        v.ints[i] = x->ints[at];
    }
    return set_output(im, &v);
}

/* Rank 2 to rank 4 and back, with 1×1 pictures; anything on integers and constants. */
static int op_squeeze(Import *im)
{
    Val *x = input(im, 0);
    int64_t axes[MAX_INTS];
    int n = 0, squeeze = mieni_slice_is(im->node->op, "Squeeze");

    if (!x)
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "input 0 is missing");
    int ret = ints_arg(im, 1, "axes", axes, &n);
    if (ret < 0)
        return ret;
    Val v = *x;
    if (v.kind == INTS) {
        if (v.n_ints != 1)
            return unsupported(im, "integers with two axes");
        v.is_scalar = squeeze;
        return set_output(im, &v);
    }
    if (v.kind == NORM)
        return set_output(im, &v);
    if (v.kind != ACT)
        return unsupported(im, "this kind of input");
    MieniBuildValue s = shape_of(im, x);
    if (s.h != 1 || s.w != 1 || n != 2 || (x->layout != NCHW && x->layout != VEC) || (squeeze && x->layout != NCHW) ||
        ((axes[0] != 2 || axes[1] != 3) && (axes[0] != -2 || axes[1] != -1) && (axes[0] != -1 || axes[1] != -2)))
        return unsupported(im, "other axes than those of a 1x1 picture");
    v.layout = squeeze ? VEC : NCHW;
    return set_output(im, &v);
}

static int op_cast(Import *im)
{
    Val *x = input(im, 0);
    int64_t to = 0;
    int ret = attr_int(im, "to", &to);

    if (ret < 0)
        return ret;
    if (x && x->kind == ACT && to != MIENI_ONNX_FLOAT && to != MIENI_ONNX_FLOAT16 && to != MIENI_ONNX_DOUBLE)
        return unsupported(im, "an activation of integers");
    return op_same(im);
}

static int op_flatten(Import *im)
{
    Val *x;
    int64_t axis = 1;
    int ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = attr_int(im, "axis", &axis)) < 0)
        return ret;
    MieniBuildValue s = shape_of(im, x);
    if (axis != 1 || (x->layout != NCHW && x->layout != VEC && (s.h != 1 || s.w != 1)))
        return unsupported(im, "only flattening of N,C,H,W to N,C*H*W is supported");
    return set_act(im, x->act, VEC);
}

static int op_transpose(Import *im)
{
    static const int64_t to_last[4] = { 0, 2, 3, 1 }, to_first[4] = { 0, 3, 1, 2 };
    Val *x;
    int64_t perm[MAX_INTS];
    int n = 0, ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = attr_ints(im, "perm", perm, &n, MAX_INTS)) < 0)
        return ret;
    if (n == 4 && x->layout == NCHW && !memcmp(perm, to_last, sizeof(to_last)))
        return set_act(im, x->act, NHWC);
    if (n == 4 && x->layout == NHWC && !memcmp(perm, to_first, sizeof(to_first)))
        return set_act(im, x->act, NCHW);
    return unsupported(im, "only N,C,H,W to N,H,W,C and back is supported");
}

/* Reshape by an explicit shape. What it may do: flatten a picture; cut last channels into rows; a vector to a 1×1 picture or
 * back to the picture that it was. */
static int op_reshape(Import *im)
{
    Val *x;
    int64_t to[MAX_INTS], allow_zero = 0;
    int n = 0, ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = ints_arg(im, 1, "shape", to, &n)) < 0 || (ret = attr_int(im, "allowzero", &allow_zero)) < 0)
        return ret;
    MieniBuildValue s = shape_of(im, x);
    int64_t all = (int64_t)s.h * s.w * s.c;
    if (allow_zero || n < 2 || (to[0] != 1 && to[0] != 0 && to[0] != -1))
        return unsupported(im, "a reshape that touches the batch axis");
    int batch_open = to[0] == -1;
    for (int i = 1; i < n; i++)
        if (to[i] == UNKNOWN)
            to[i] = -1;

    if (n == 2 && (x->layout == NCHW || x->layout == VEC || (s.h == 1 && s.w == 1)) &&
        ((to[1] == -1 && !batch_open) || (all && to[1] == all)))
        return set_act(im, x->act, VEC);
    if (n == 4 && (x->layout == VEC || x->layout == NCHW) && all &&
        ((to[1] == s.c && (to[2] == s.h || to[2] == -1) && (to[3] == s.w || to[3] == -1)) ||
         (to[1] == -1 && to[2] == s.h && to[3] == s.w)))
        return set_act(im, x->act, NCHW);
    if (n == 3 && (x->layout == NHWC || x->layout == ROWS) && to[2] > 0 && to[2] <= 65536 && !batch_open &&
        ((int64_t)s.c * s.w) % to[2] == 0 && (to[1] == -1 || (all && to[1] * to[2] == all))) {
        MieniBuildNode node = { .op = MIENI_RESHAPE, .in = { x->act }, .n_in = 1, .h = -1, .w = 1, .c = (int)to[2] };
        return set_act(im, mieni_build_add(&im->build, &node), ROWS);
    }
    return unsupported(im, "this reshape");
}

/* Rows of several activations, one behind the other: the format has no such op, and whoever reads a detector's levels wants them
 * apart anyway. They become the outputs NAME0, NAME1 and so on. */
static int concat_rows(Import *im)
{
    Val v = { .kind = PARTS, .layout = ROWS };

    for (int i = 0; i < im->node->n_in; i++) {
        Val *x = input(im, i);
        if (!x || x->kind != ACT || x->layout != ROWS)
            return unsupported(im, "only rows of the same kind can be joined");
        if (v.n_parts == MAX_PARTS)
            return unsupported(im, "more than 8 inputs");
        v.part[v.n_parts++] = x->act;
    }
    return set_output(im, &v);
}

static int concat_ints(Import *im)
{
    Val v = { .kind = INTS };

    for (int i = 0; i < im->node->n_in; i++) {
        Val *x;
        int ret = need(im, i, INTS, &x);
        if (ret < 0)
            return ret;
        if (v.n_ints + x->n_ints > MAX_INTS)
            return unsupported(im, "more than 16 integers");
        memcpy(v.ints + v.n_ints, x->ints, (size_t)x->n_ints * sizeof(*v.ints));
        v.n_ints += x->n_ints;
    }
    return set_output(im, &v);
}

static int op_concat(Import *im)
{
    MieniBuildNode n = { .op = MIENI_CONCAT };
    Val *x = input(im, 0);
    int64_t axis = INT64_MAX;
    int ret = attr_int(im, "axis", &axis);

    if (ret < 0)
        return ret;
    if (!x || !ret)
        return mieni_build_fail(&im->build, MIEN_E_FORMAT, "an input or the axis is missing");
    if (x->kind == INTS && axis == 0)
        return concat_ints(im);
    if (x->kind == ACT && x->layout == ROWS && (axis == 1 || axis == -2))
        return concat_rows(im);
    for (int i = 0; i < im->node->n_in; i++) {
        Val *y;
        if ((ret = need(im, i, ACT, &y)) < 0 || (ret = channels_apart(im, y)) < 0)
            return ret;
        if (y->layout != x->layout)
            return unsupported(im, "activations with their axes in different orders");
        if (n.n_in == MIENI_BUILD_MAX_INPUTS) { /* what there is so far becomes the first of the next */
            MieniBuildNode so_far = n;
            n = (MieniBuildNode){ .op = MIENI_CONCAT, .n_in = 1 };
            if ((n.in[0] = mieni_build_add(&im->build, &so_far)) < 0)
                return n.in[0];
        }
        n.in[n.n_in++] = y->act;
    }
    int last = x->layout == NHWC ? 3 : 2;
    if (x->layout == NCHW ? axis != 1 && axis != -3 : x->layout == VEC ? axis != 1 && axis != -1 : axis != last && axis != -1)
        return unsupported(im, "only joining along the channels is supported");
    return set_act(im, mieni_build_add(&im->build, &n), x->layout);
}

static int channel_axis(const Val *x, int64_t axis)
{
    switch (x->layout) {
    case NCHW: return axis == 1 || axis == -3;
    case NHWC: return axis == 3 || axis == -1;
    case VEC: return axis == 1 || axis == -1;
    default: return axis == 2 || axis == -1;
    }
}

static int over_channels(Import *im, MieniBuildOp op, int64_t axis)
{
    Val *x = input(im, 0);

    if (x && x->kind == PARTS && channel_axis(x, axis)) {
        Val v = *x;
        for (int i = 0; i < v.n_parts; i++) {
            v.part[i] = mieni_build_unary(&im->build, op, v.part[i]);
            if (v.part[i] < 0)
                return v.part[i];
        }
        return set_output(im, &v);
    }
    int ret = need(im, 0, ACT, &x);
    if (ret < 0 || (ret = channels_apart(im, x)) < 0)
        return ret;
    if (!channel_axis(x, axis))
        return unsupported(im, "another axis than the channels'");
    return set_act(im, mieni_build_unary(&im->build, op, x->act), x->layout);
}

static int op_softmax(Import *im)
{
    int64_t axis = im->file.opset < 13 ? 1 : -1;
    int ret = attr_int(im, "axis", &axis);
    Val *x = input(im, 0);

    /* Before set 13 all axes from this one on count as one; that is the same for the last axis and for 1×1 pictures. */
    if (ret >= 0 && im->file.opset < 13 && x && x->kind == ACT && x->layout == NCHW) {
        MieniBuildValue s = shape_of(im, x);
        if (s.h != 1 || s.w != 1)
            return unsupported(im, "a softmax over a whole picture (operator set before 13)");
    }
    if (ret >= 0 && im->file.opset < 13 && x && (x->kind == PARTS || (x->kind == ACT && x->layout != NCHW && x->layout != VEC)) &&
        !(axis == -1 || axis == (x->layout == ROWS ? 2 : 3)))
        return unsupported(im, "a softmax over several axes (operator set before 13)");
    return ret < 0 ? ret : over_channels(im, MIENI_SOFTMAX, axis);
}

static int op_lp_normalization(Import *im)
{
    int64_t axis = -1, p = 2;
    int ret = attr_int(im, "axis", &axis);

    if (ret < 0 || (ret = attr_int(im, "p", &p)) < 0)
        return ret;
    return p == 2 ? over_channels(im, MIENI_L2NORM, axis) : unsupported(im, "another norm than L2");
}

/* The length that x/|x| is divided by; see op_arith. */
static int op_reduce_l2(Import *im)
{
    Val *x;
    int64_t axes[MAX_INTS], keep = 1;
    int n = 0, ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = ints_arg(im, 1, "axes", axes, &n)) < 0 || (ret = attr_int(im, "keepdims", &keep)) < 0 ||
        (ret = channels_apart(im, x)) < 0)
        return ret;
    if (n != 1 || !channel_axis(x, axes[0]))
        return unsupported(im, "a norm over other axes than the channels");
    Val v = *x;
    v.kind = NORM;
    return set_output(im, &v);
}

static int op_expand(Import *im)
{
    Val *x;
    int ret = need(im, 0, NORM, &x);

    return ret < 0 ? ret : set_output(im, x);
}

/* Zero padding of height and width. */
static int op_pad(Import *im)
{
    MieniBuildNode n = { .op = MIENI_PAD, .n_in = 1 };
    MieniSlice mode;
    Val *x;
    int64_t pads[MAX_INTS];
    float value = 0, *f;
    int n_pads = 0, ret = need(im, 0, ACT, &x);

    if (ret < 0 || (ret = ints_arg(im, 1, "pads", pads, &n_pads)) < 0)
        return ret;
    ret = mieni_onnx_attr_string(im->node, "mode", &mode);
    if (ret < 0 || (ret && !mieni_slice_is(mode, "constant")) || input(im, 3) || x->layout != NCHW || n_pads != 8)
        return unsupported(im, "only zero padding of N,C,H,W is supported");
    if (input(im, 2)) {
        if ((ret = channel_floats(im, 2, 1, &f)) < 0)
            return ret;
        value = f[0];
        mien_free(f);
    } else if ((ret = attr_float(im, "value", &value)) < 0) {
        return ret;
    }
    for (int i = 0; i < 8; i++)
        if (pads[i] < 0 || pads[i] > 4096 || ((i % 4) < 2 && pads[i]) || value != 0)
            return unsupported(im, "only zero padding of height and width is supported");
    n.in[0] = x->act;
    for (int i = 0; i < 2; i++) {
        n.pad[i] = (int)pads[2 + i];
        n.pad[2 + i] = (int)pads[6 + i];
    }
    return set_act(im, mieni_build_add(&im->build, &n), NCHW);
}

/* ---- the table: every operator with the attributes that it may carry; any other attribute is refused */

static const struct {
    const char *op;
    int (*lower)(Import *im);
    const char *attributes;
} op_table[] = {
    { "Add", op_add, " " },
    { "AveragePool", op_avgpool, " kernel_shape strides pads auto_pad ceil_mode count_include_pad dilations " },
    { "BatchNormalization", op_batch_norm, " epsilon momentum training_mode spatial " },
    { "Cast", op_cast, " to saturate round_mode " },
    { "Clip", op_clip, " min max " },
    { "Concat", op_concat, " axis " },
    { "Constant", op_constant, " value value_int value_ints " },
    { "Conv", op_conv, " kernel_shape strides pads dilations group auto_pad " },
    { "Div", op_div, " " },
    { "Dropout", op_same, " ratio seed " },
    { "Expand", op_expand, " " },
    { "Flatten", op_flatten, " axis " },
    { "Gather", op_gather, " axis " },
    { "Gemm", op_gemm, " alpha beta transA transB " },
    { "GlobalAveragePool", op_globalavg, " " },
    { "Identity", op_same, " " },
    { "LeakyRelu", op_leaky_relu, " alpha " },
    { "LpNormalization", op_lp_normalization, " axis p " },
    { "MatMul", op_matmul, " " },
    { "MaxPool", op_maxpool, " kernel_shape strides pads dilations auto_pad ceil_mode storage_order " },
    { "Mul", op_mul, " " },
    { "PRelu", op_prelu, " " },
    { "Pad", op_pad, " mode pads value " },
    { "ReduceL2", op_reduce_l2, " axes keepdims noop_with_empty_axes " },
    { "ReduceMean", op_reduce_mean, " axes keepdims noop_with_empty_axes " },
    { "Relu", op_relu, " " },
    { "Reshape", op_reshape, " shape allowzero " },
    { "Shape", op_shape, " " },
    { "Sigmoid", op_sigmoid, " " },
    { "Softmax", op_softmax, " axis " },
    { "Squeeze", op_squeeze, " axes " },
    { "Sub", op_sub, " " },
    { "Transpose", op_transpose, " perm " },
    { "Unsqueeze", op_squeeze, " axes " },
};

static int check_attributes(Import *im, const char *known)
{
    MieniSlice name;
    char text[64];
    int ret;

    for (int i = 0; (ret = mieni_onnx_attr_name(im->node, i, &name)) > 0; i++) {
        char word[66];
        snprintf(word, sizeof(word), " %s ", mieni_slice_text(name, text, sizeof(text)));
        if (!strstr(known, word))
            return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "the attribute \"%s\" is not supported", text);
    }
    return ret < 0 ? mieni_build_fail(&im->build, ret, "its attributes are damaged") : 0;
}

static int lower_node(Import *im)
{
    const MieniOnnxNode *n = im->node;
    char name[96], op[64];
    int out = n->n_out ? im->file.ref[n->out] : -1;

    if (n->name.len || out < 0)
        mieni_slice_text(n->name, name, sizeof(name));
    else
        value_name(im, out, name, sizeof(name)); /* names are optional; what it makes tells it as well */
    snprintf(im->build.where, sizeof(im->build.where), "node \"%s\" (%s)", name, mieni_slice_text(n->op, op, sizeof(op)));
    for (int i = 0; i < n->n_in; i++) {
        int v = im->file.ref[n->in + i];
        if (v >= 0 && im->val[v].kind == UNSET)
            return mieni_build_fail(&im->build, MIEN_E_FORMAT, "nothing before it makes its input \"%s\"",
                                    value_name(im, v, name, sizeof(name)));
    }
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(op_table); i++) {
        if (!mieni_slice_is(n->op, op_table[i].op) || (n->domain.len && !mieni_slice_is(n->domain, "ai.onnx")))
            continue;
        int ret = check_attributes(im, op_table[i].attributes);
        return ret < 0 ? ret : op_table[i].lower(im);
    }
    return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "mien has no equivalent for this operator");
}

/* ---- the whole graph */

/* Integer constants of up to 16 numbers are known as such from the start. */
static int prepare_constants(Import *im)
{
    for (size_t i = 0; i < im->file.n_values; i++) {
        int t = im->file.value[i].tensor;
        if (t >= 0) {
            im->val[i].kind = TENSOR;
            im->val[i].tensor = im->file.tensor[t];
        }
    }
    return 0;
}

static void tensor_to_ints(Val *v)
{
    const MieniOnnxTensor *t = &v->tensor;

    if (v->kind != TENSOR || t->elems > MAX_INTS || t->n_dims > 1 || mieni_onnx_ints(t, v->ints) < 0)
        return;
    v->kind = INTS;
    v->n_ints = (int)t->elems;
    v->is_scalar = t->n_dims == 0;
}

static int want_value(Import *im, int value, int *stack, size_t *n_stack)
{
    int node = im->file.value[value].node;

    if (node >= 0 && !im->wanted[node]) {
        im->wanted[node] = 1;
        stack[(*n_stack)++] = node;
    }
    return 0;
}

/* Marks the nodes that the outputs need. */
static int mark_wanted(Import *im, const int *output, size_t n_outputs)
{
    int *stack = mien_malloc_array(im->file.n_nodes + 1, sizeof(*stack));
    size_t n = 0;

    if (!stack)
        return no_memory(im);
    for (size_t i = 0; i < n_outputs; i++)
        want_value(im, output[i], stack, &n);
    while (n) {
        const MieniOnnxNode *node = &im->file.node[stack[--n]];
        for (int i = 0; i < node->n_in; i++)
            if (im->file.ref[node->in + i] >= 0)
                want_value(im, im->file.ref[node->in + i], stack, &n);
    }
    mien_free(stack);
    return 0;
}

static int is_picture_depth(int64_t c)
{
    return c == 1 || c == 3;
}

static int add_input(Import *im, int free_size)
{
    const MieniOnnxInput *in = im->file.input;
    char text[64];

    if (im->file.n_inputs != 1)
        return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "the network has %zu inputs; one is supported",
                                im->file.n_inputs);
    if (in->n_dims != 4 || (in->dtype != MIENI_ONNX_FLOAT && in->dtype != MIENI_ONNX_FLOAT16))
        return mieni_build_fail(&im->build, MIEN_E_UNSUPPORTED, "the input \"%s\" should be a float picture N,C,H,W",
                                value_name(im, in->value, text, sizeof(text)));
    int last = is_picture_depth(in->dim[3]) && !is_picture_depth(in->dim[1]);
    int64_t c = in->dim[last ? 3 : 1], h = in->dim[last ? 1 : 2], w = in->dim[last ? 2 : 3];
    if (c < 1 || c > 65536 || h > 65536 || w > 65536)
        return mieni_build_fail(&im->build, MIEN_E_SHAPE, "the input \"%s\" is %lldx%lld with %lld channels",
                                value_name(im, in->value, text, sizeof(text)), (long long)h, (long long)w, (long long)c);
    int act = mieni_build_input(&im->build, free_size ? 0 : (int)h, free_size ? 0 : (int)w, (int)c);
    im->val[in->value] = (Val){ .kind = ACT, .layout = last ? NHWC : NCHW, .act = act };
    return act < 0 ? act : 0;
}

/* The next name of a list separated by commas; 0 at its end. */
static int next_name(const char **list, MieniSlice *name)
{
    if (!*list || !**list)
        return 0;
    *name = (MieniSlice){ *list, strcspn(*list, ",") };
    *list += name->len + ((*list)[name->len] == ',');
    return 1;
}

static int pick_outputs(Import *im, const MienImportParams *p, int *output, size_t *n)
{
    const char *list = p->outputs;
    MieniSlice name;
    char text[128];

    *n = 0;
    if (!list) {
        for (; *n < im->file.n_outputs && *n < MIENI_BUILD_MAX_OUTPUTS; (*n)++)
            output[*n] = im->file.output[*n];
        return *n ? 0 : mieni_build_fail(&im->build, MIEN_E_FORMAT, "the network has no output");
    }
    while (next_name(&list, &name)) {
        int v = mieni_onnx_find(&im->file, name);
        if (v < 0)
            return mieni_build_fail(&im->build, MIEN_E_NOTFOUND, "there is no value \"%s\" in the network",
                                    mieni_slice_text(name, text, sizeof(text)));
        if (*n == MIENI_BUILD_MAX_OUTPUTS)
            return mieni_build_fail(&im->build, MIEN_ERR(EINVAL), "more than %d outputs are wanted", MIENI_BUILD_MAX_OUTPUTS);
        output[(*n)++] = v;
    }
    return 0;
}

/* What the output is called: by params, else by role where there is just one, else as it was. */
static void output_name(const Import *im, const MienImportParams *p, int i, int value, size_t n, char *buf, size_t buf_bytes)
{
    static const struct {
        const char *role, *name;
    } by_role[] = { { "face-encoder", "embedding" }, { "face-landmarks", "landmarks" }, { "face-liveness", "prob" } };
    const char *list = p->output_names;
    MieniSlice name;

    for (int j = 0; next_name(&list, &name); j++)
        if (j == i) {
            mieni_slice_text(name, buf, buf_bytes);
            return;
        }
    for (size_t j = 0; n == 1 && p->role && j < MIEN_ARRAY_ELEMS(by_role); j++)
        if (!strcmp(p->role, by_role[j].role)) {
            snprintf(buf, buf_bytes, "%s", by_role[j].name);
            return;
        }
    value_name(im, value, buf, buf_bytes);
}

static int add_output(Import *im, const char *name, const Val *v)
{
    char numbered[160];
    int ret = 0;

    snprintf(im->build.where, sizeof(im->build.where), "output \"%.100s\"", name);
    if (v->kind == PARTS) {
        for (int i = 0; i < v->n_parts && ret >= 0; i++) {
            snprintf(numbered, sizeof(numbered), "%s%d", name, i);
            ret = mieni_build_output(&im->build, v->part[i], numbered);
        }
        return ret;
    }
    if (v->kind != ACT)
        return unsupported(im, "it is no activation");
    MieniBuildValue s = shape_of(im, v);
    if (v->layout == VEC && (s.h != 1 || s.w != 1))
        return unsupported(im, "it is a flattened picture, whose numbers would come in another order");
    return mieni_build_output(&im->build, v->act, name);
}

static int convert(Import *im, const MienImportParams *p)
{
    int output[MIENI_BUILD_MAX_OUTPUTS];
    size_t n_outputs;
    char name[128];

    im->val = mien_calloc(im->file.n_values + 1, sizeof(*im->val));
    im->wanted = mien_calloc(im->file.n_nodes + 1, 1);
    if (!im->val || !im->wanted)
        return no_memory(im);
    prepare_constants(im);
    for (size_t i = 0; i < im->file.n_values; i++)
        tensor_to_ints(&im->val[i]);

    int ret = pick_outputs(im, p, output, &n_outputs);
    if (ret >= 0)
        ret = mark_wanted(im, output, n_outputs);
    if (ret >= 0)
        ret = add_input(im, p->free_size);
    for (size_t i = 0; i < im->file.n_nodes && ret >= 0; i++) {
        im->node = &im->file.node[i];
        if (!im->wanted[i])
            continue;
        ret = lower_node(im);
        int made = ret >= 0 ? im->file.ref[im->node->out] : -1;
        if (made >= 0)
            tensor_to_ints(&im->val[made]);
    }
    for (size_t i = 0; i < n_outputs && ret >= 0; i++) {
        output_name(im, p, (int)i, output[i], n_outputs, name, sizeof(name));
        ret = add_output(im, name, &im->val[output[i]]);
    }
    im->build.where[0] = 0;
    return ret;
}

static void uninit(Import *im)
{
    mien_free(im->val);
    mien_free(im->wanted);
    mieni_onnx_uninit(&im->file);
    mieni_build_uninit(&im->build);
}

static int load(Import *im, const void *data, size_t bytes, const char *path, const MienImportParams *params, char hash[65],
                MienLog log)
{
    memset(im, 0, sizeof(*im));
    mieni_build_init(&im->build, path, log);
    int ret = mieni_onnx_parse(&im->file, data, bytes, path, log);
    if (ret >= 0)
        ret = convert(im, params);
    mieni_sha256_hex(data, bytes, hash);
    return ret;
}

int mieni_import_onnx_bytes(const void *data, size_t bytes, const char *path, const MienImportParams *params, uint8_t **packed,
                            size_t *packed_bytes, MienLog log)
{
    Import im;
    char hash[65];

    *packed = NULL;
    int ret = load(&im, data, bytes, path, params, hash, log);
    if (ret >= 0)
        ret = mieni_build_pack(&im.build, params, hash, packed, packed_bytes);
    uninit(&im);
    return ret < 0 ? ret : 0;
}

int mieni_import_onnx_checked(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                              MienImported *done, MienLog log)
{
    Import im;
    uint8_t *data;
    size_t bytes;
    char hash[65];

    int ret = mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, log);
    if (ret < 0)
        return ret;
    ret = load(&im, data, bytes, path, params, hash, log);
    if (ret >= 0)
        ret = mieni_build_finish(&im.build, params, hash, out_dir, wanted_sha256, done);
    uninit(&im);
    mien_free(data);
    return ret < 0 ? ret : 0;
}

int mien_import_onnx(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log)
{
    return mieni_import_onnx_checked(path, params, out_dir, NULL, done, log);
}
