/* A network under construction: appending nodes, with shape inference and checks. Folding is netfold.c, writing netwrite.c.
 * Shapes follow docs/format-weights.md. */
#include "models/netbuild.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mien/error.h"

#define MAX_NODES 4096
#define MAX_CHANNELS 65536
#define MAX_SIDE 65536
#define MAX_ELEMS INT64_C(2147483647)

void mieni_build_init(MieniBuild *b, const char *file, MienLog log)
{
    memset(b, 0, sizeof(*b));
    b->log = log;
    b->file = file;
}

static void free_buffers(MieniBuildNode *n)
{
    mien_free(n->weight);
    mien_free(n->scale);
    mien_free(n->bias);
    mien_free(n->slope);
    n->weight = n->slope = NULL;
    n->scale = n->bias = NULL;
}

void mieni_build_uninit(MieniBuild *b)
{
    for (size_t i = 0; i < b->n_nodes; i++)
        free_buffers(&b->node[i]);
    mien_free(b->node);
    mien_free(b->value);
    memset(b, 0, sizeof(*b));
}

int mieni_build_fail(const MieniBuild *b, int err, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (b->where[0])
        return mien_fail(b->log, err, "%s: %s: %s", b->file, b->where, text);
    return mien_fail(b->log, err, "%s: %s", b->file, text);
}

static int out_of_memory(const MieniBuild *b)
{
    return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
}

static int new_value(MieniBuild *b, int64_t h, int64_t w, int64_t c, int producer)
{
    if (h < 0 || w < 0 || c < 1 || h > MAX_ELEMS || w > MAX_ELEMS || c > MAX_CHANNELS ||
        (h ? h : 1) > MAX_ELEMS / (w ? w : 1) || (h ? h : 1) * (w ? w : 1) > MAX_ELEMS / c)
        return mieni_build_fail(b, MIEN_E_SHAPE, "the result would be %lldx%lld with %lld channels", (long long)h,
                                (long long)w, (long long)c);
    if (b->n_values == b->cap_values) {
        size_t cap = b->cap_values ? 2 * b->cap_values : 64;
        MieniBuildValue *grown = mien_realloc_array(b->value, cap, sizeof(*grown));
        if (!grown)
            return out_of_memory(b);
        b->value = grown;
        b->cap_values = cap;
    }
    b->value[b->n_values] = (MieniBuildValue){ (int)h, (int)w, (int)c, producer };
    return (int)b->n_values++;
}

int mieni_build_input(MieniBuild *b, int h, int w, int c)
{
    if (b->n_values)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "the network has a second input");
    if (h < 0 || w < 0 || h > MAX_SIDE || w > MAX_SIDE)
        return mieni_build_fail(b, MIEN_E_SHAPE, "the input's size %dx%d is out of range", h, w);
    b->in_h = h;
    b->in_w = w;
    b->in_c = c;
    return new_value(b, h, w, c, -1);
}

/* ---- shape of one node's result */

typedef struct Shape {
    int64_t h, w, c;
} Shape;

static int64_t window_out(int64_t in, int64_t before, int64_t after, int64_t kernel, int64_t stride, int64_t dilation)
{
    int64_t span = in + before + after - dilation * (kernel - 1) - 1;

    return in == 0 ? 0 : span < 0 ? -1 : span / stride + 1;
}

static int check_window(const MieniBuild *b, const MieniBuildNode *n)
{
    for (int i = 0; i < 2; i++) {
        if (n->kernel[i] < 1 || n->kernel[i] > 4096)
            return mieni_build_fail(b, MIEN_E_SHAPE, "a window of %dx%d", n->kernel[0], n->kernel[1]);
        if (n->stride[i] < 1 || n->stride[i] > 4096 || n->dilation[i] < 1 || n->dilation[i] > 4096)
            return mieni_build_fail(b, MIEN_E_SHAPE, "stride %dx%d, dilation %dx%d", n->stride[0], n->stride[1], n->dilation[0],
                                    n->dilation[1]);
    }
    for (int i = 0; i < 4; i++)
        if (n->pad[i] < 0 || n->pad[i] > 4096)
            return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "padding of %d", n->pad[i]);
    return 0;
}

static int window_shape(const MieniBuild *b, const MieniBuildNode *n, Shape in, Shape *out)
{
    int ret = check_window(b, n);
    if (ret < 0)
        return ret;
    out->h = window_out(in.h, n->pad[0], n->pad[2], n->kernel[0], n->stride[0], n->dilation[0]);
    out->w = window_out(in.w, n->pad[1], n->pad[3], n->kernel[1], n->stride[1], n->dilation[1]);
    if (out->h < 0 || out->w < 0)
        return mieni_build_fail(b, MIEN_E_SHAPE, "a window of %dx%d does not fit in %lldx%lld", n->kernel[0], n->kernel[1],
                                (long long)in.h, (long long)in.w);
    return 0;
}

static int conv_shape(const MieniBuild *b, const MieniBuildNode *n, Shape in, Shape *out, size_t *n_weight)
{
    int ret = window_shape(b, n, in, out);
    if (ret < 0)
        return ret;
    if (n->cout < 1 || n->cout > MAX_CHANNELS || n->groups < 1 || in.c % n->groups || n->cout % n->groups)
        return mieni_build_fail(b, MIEN_E_SHAPE, "%lld channels in, %d out, %d groups", (long long)in.c, n->cout, n->groups);
    out->c = n->cout;
    /* At most 2^12 · 2^12 · 2^16 · 2^16 = 2^56. */
    *n_weight = (size_t)n->kernel[0] * (size_t)n->kernel[1] * (size_t)(in.c / n->groups) * (size_t)n->cout;
    return 0;
}

static int reshape_shape(const MieniBuild *b, const MieniBuildNode *n, Shape in, Shape *out)
{
    int64_t want[3] = { n->h, n->w, n->c }, known = 1, all = in.h * in.w * in.c;
    int open = -1;

    for (int i = 0; i < 3; i++) {
        if (want[i] == -1 && open < 0)
            open = i;
        else if (want[i] < 1 || want[i] > MAX_ELEMS / known)
            return mieni_build_fail(b, MIEN_E_SHAPE, "cannot reshape to %dx%dx%d", n->h, n->w, n->c);
        else
            known *= want[i];
    }
    if (open == 2 && !all)
        return mieni_build_fail(b, MIEN_E_SHAPE, "the number of channels would depend on the input's size");
    if (open >= 0)
        want[open] = all ? all / known : 0;
    if (all && want[0] * want[1] * want[2] != all)
        return mieni_build_fail(b, MIEN_E_SHAPE, "cannot reshape %lldx%lldx%lld to %dx%dx%d", (long long)in.h, (long long)in.w,
                                (long long)in.c, n->h, n->w, n->c);
    *out = (Shape){ want[0], want[1], want[2] };
    return 0;
}

static int same_size(Shape a, Shape b)
{
    return (!a.h || !b.h || a.h == b.h) && (!a.w || !b.w || a.w == b.w);
}

static int shapes_differ(const MieniBuild *b, Shape x, Shape y)
{
    return mieni_build_fail(b, MIEN_E_SHAPE, "the shapes %lldx%lldx%lld and %lldx%lldx%lld do not fit", (long long)x.h,
                            (long long)x.w, (long long)x.c, (long long)y.h, (long long)y.w, (long long)y.c);
}

static int concat_shape(const MieniBuild *b, const MieniBuildNode *n, Shape *out)
{
    for (int i = 1; i < n->n_in; i++) {
        const MieniBuildValue *v = &b->value[n->in[i]];
        Shape s = { v->h, v->w, v->c };
        if (!same_size(*out, s))
            return shapes_differ(b, *out, s);
        out->h = out->h ? out->h : s.h;
        out->w = out->w ? out->w : s.w;
        out->c += s.c;
    }
    return 0;
}

/* The result's shape, and how many numbers weight must have. */
static int infer(const MieniBuild *b, const MieniBuildNode *n, Shape *out, size_t *n_weight)
{
    const MieniBuildValue *v0 = &b->value[n->in[0]], *v1 = n->n_in > 1 ? &b->value[n->in[1]] : v0;
    Shape in = { v0->h, v0->w, v0->c }, in1 = { v1->h, v1->w, v1->c };

    *out = in;
    *n_weight = 0;
    switch (n->op) {
    case MIENI_CONV2D:
        return conv_shape(b, n, in, out, n_weight);
    case MIENI_FC:
        if (!in.h || !in.w)
            return mieni_build_fail(b, MIEN_E_SHAPE, "a fully connected layer after an activation of unknown size");
        if (n->cout < 1 || n->cout > MAX_CHANNELS)
            return mieni_build_fail(b, MIEN_E_SHAPE, "%d outputs", n->cout);
        *n_weight = (size_t)(in.h * in.w * in.c) * (size_t)n->cout;
        *out = (Shape){ 1, 1, n->cout };
        return 0;
    case MIENI_PRELU:
        *n_weight = (size_t)in.c;
        return 0;
    case MIENI_ADD:
        return in.c == in1.c && same_size(in, in1) ? 0 : shapes_differ(b, in, in1);
    case MIENI_MUL:
        return in.c == in1.c && (same_size(in, in1) || (in1.h == 1 && in1.w == 1)) ? 0 : shapes_differ(b, in, in1);
    case MIENI_CONCAT:
        return concat_shape(b, n, out);
    case MIENI_MAXPOOL:
    case MIENI_AVGPOOL:
        return window_shape(b, n, in, out);
    case MIENI_GLOBALAVG:
        *out = (Shape){ 1, 1, in.c };
        return 0;
    case MIENI_PAD:
        for (int i = 0; i < 4; i++)
            if (n->pad[i] < 0 || n->pad[i] > 4096)
                return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "padding of %d", n->pad[i]);
        if (n->channels < 0 || n->channels > MAX_CHANNELS)
            return mieni_build_fail(b, MIEN_E_SHAPE, "%d channels more", n->channels);
        *out = (Shape){ in.h ? in.h + n->pad[0] + n->pad[2] : 0, in.w ? in.w + n->pad[1] + n->pad[3] : 0,
                        in.c + n->channels };
        return 0;
    case MIENI_RESHAPE:
        return reshape_shape(b, n, in, out);
    default:
        return 0;
    }
}

static int finite_f32(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

static int finite_f64(const double *x, size_t n)
{
    for (size_t i = 0; x && i < n; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

static void fill_defaults(MieniBuildNode *n)
{
    for (int i = 0; i < 2; i++) {
        n->stride[i] = n->stride[i] ? n->stride[i] : 1;
        n->dilation[i] = n->dilation[i] ? n->dilation[i] : 1;
    }
    n->groups = n->groups ? n->groups : 1;
    n->act = MIENI_CONV2D;
}

static int check_node(const MieniBuild *b, const MieniBuildNode *n, Shape *out)
{
    size_t n_weight;

    if (n->n_in < 1 || n->n_in > MIENI_BUILD_MAX_INPUTS)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "%d inputs; there may be 1 to %d", n->n_in, MIENI_BUILD_MAX_INPUTS);
    for (int i = 0; i < n->n_in; i++)
        if (n->in[i] < 0 || (size_t)n->in[i] >= b->n_values)
            return mieni_build_fail(b, MIEN_E_BUG, "input %d of the node is no value", i);
    int ret = infer(b, n, out, &n_weight);
    if (ret < 0)
        return ret;
    if (n->n_weight != n_weight)
        return mieni_build_fail(b, MIEN_E_SHAPE, "%zu weights, %zu are wanted", n->n_weight, n_weight);
    if (!finite_f32(n->weight, n->n_weight) || !finite_f64(n->scale, (size_t)out->c) || !finite_f64(n->bias, (size_t)out->c))
        return mieni_build_fail(b, MIEN_E_FORMAT, "a weight is NaN or infinite");
    return 0;
}

int mieni_build_add(MieniBuild *b, MieniBuildNode *n)
{
    Shape out;
    int ret;

    fill_defaults(n);
    if (b->n_nodes == MAX_NODES)
        ret = mieni_build_fail(b, MIEN_E_UNSUPPORTED, "more than %d nodes", MAX_NODES);
    else
        ret = check_node(b, n, &out);
    if (ret < 0)
        goto fail;
    if (b->n_nodes == b->cap_nodes) {
        size_t cap = b->cap_nodes ? 2 * b->cap_nodes : 64;
        MieniBuildNode *grown = mien_realloc_array(b->node, cap, sizeof(*grown));
        if (!grown) {
            ret = out_of_memory(b);
            goto fail;
        }
        b->node = grown;
        b->cap_nodes = cap;
    }
    ret = new_value(b, out.h, out.w, out.c, (int)b->n_nodes);
    if (ret < 0)
        goto fail;
    n->out = ret;
    b->node[b->n_nodes++] = *n;
    return ret;

fail:
    free_buffers(n);
    return ret;
}

int mieni_build_unary(MieniBuild *b, MieniBuildOp op, int in)
{
    MieniBuildNode n = { .op = op, .in = { in }, .n_in = 1 };

    return mieni_build_add(b, &n);
}

int mieni_build_binary(MieniBuild *b, MieniBuildOp op, int in0, int in1, float beta)
{
    MieniBuildNode n = { .op = op, .in = { in0, in1 }, .n_in = 2, .alpha = 1, .beta = beta };

    return mieni_build_add(b, &n);
}

int mieni_build_output(MieniBuild *b, int value, const char *name)
{
    if (b->n_outputs == MIENI_BUILD_MAX_OUTPUTS)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "more than %d outputs", MIENI_BUILD_MAX_OUTPUTS);
    if (b->value[value].producer < 0)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "the output \"%s\" is the input itself", name);

    char *to = b->output[b->n_outputs].name;
    size_t len = strlen(name);
    len = len < 63 ? len : 63;
    for (size_t i = 0; i < len; i++)
        to[i] = name[i];
    for (size_t i = 0; i < len; i++)
        if (to[i] <= ' ' || to[i] > '~' || to[i] == '"' || to[i] == '\\')
            to[i] = '_';
    to[len] = 0;
    for (int i = 0; i < b->n_outputs; i++) {
        if (b->output[i].value == value)
            return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "the outputs \"%s\" and \"%s\" are the same value", b->output[i].name,
                                    to);
        if (!strcmp(b->output[i].name, to))
            return mieni_build_fail(b, MIEN_E_FORMAT, "two outputs are called \"%s\"", to);
    }
    if (!len)
        return mieni_build_fail(b, MIEN_E_FORMAT, "an output has no name");
    b->output[b->n_outputs++].value = value;
    return 0;
}
