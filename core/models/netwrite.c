/* A network under construction becomes a model file: last folds, names, the graph's JSON, metadata.
 * The format is docs/format-weights.md. The same network gives the same bytes: nothing here depends on time, place or locale. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "mien/weights.h"
#include "models/netbuild.h"
#include "models/netfold.h"
#include "models/store.h"

#define NAME_BYTES 64

static const char *const op_name[] = {
    [MIENI_CONV2D] = "conv2d",   [MIENI_FC] = "fc",           [MIENI_AFFINE] = "affine",       [MIENI_RELU] = "relu",
    [MIENI_SIGMOID] = "sigmoid", [MIENI_PRELU] = "prelu",     [MIENI_ADD] = "add",             [MIENI_MUL] = "mul",
    [MIENI_CONCAT] = "concat",   [MIENI_MAXPOOL] = "maxpool", [MIENI_AVGPOOL] = "avgpool",     [MIENI_GLOBALAVG] = "globalavg",
    [MIENI_PAD] = "pad",         [MIENI_RESHAPE] = "reshape", [MIENI_SOFTMAX] = "softmax",     [MIENI_L2NORM] = "l2norm",
};

/* ---- text that grows; after a failed allocation everything is a no-op and bad is set */

typedef struct Text {
    char *s;
    size_t len, cap;
    int bad;
} Text;

static void put(Text *t, const char *fmt, ...) MIEN_PRINTF(2, 3);
static void put(Text *t, const char *fmt, ...)
{
    char piece[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(piece, sizeof(piece), fmt, ap);
    va_end(ap);
    if (t->bad || n < 0 || (size_t)n >= sizeof(piece)) {
        t->bad = 1;
        return;
    }
    if (t->len + (size_t)n + 1 > t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 4096;
        char *grown = mien_realloc_array(t->s, cap, 1);
        if (!grown) {
            t->bad = 1;
            return;
        }
        t->s = grown;
        t->cap = cap;
    }
    memcpy(t->s + t->len, piece, (size_t)n + 1);
    t->len += (size_t)n;
}

/* %.9g brings every float back; printf's decimal sign follows the locale, JSON's does not. */
static void put_float(Text *t, const char *key, float x)
{
    char number[64];

    snprintf(number, sizeof(number), "%.9g", (double)x);
    for (char *p = number; *p; p++)
        if (*p == ',')
            *p = '.';
    put(t, ",\"%s\":%s", key, number);
}

static void put_ints(Text *t, const char *key, const int *x, int n)
{
    put(t, ",\"%s\":[", key);
    for (int i = 0; i < n; i++)
        put(t, "%s%d", i ? "," : "", x[i]);
    put(t, "]");
}

/* ---- names: op and number, outputs as they were called */

typedef struct Names {
    char (*node)[NAME_BYTES];  /* by node */
    char (*value)[NAME_BYTES]; /* by value */
} Names;

static int taken_by_output(const MieniBuild *b, const char *name)
{
    for (int i = 0; i < b->n_outputs; i++)
        if (!strcmp(b->output[i].name, name))
            return 1;
    return 0;
}

static int make_names(const MieniBuild *b, Names *names)
{
    int count[MIEN_ARRAY_ELEMS(op_name)] = { 0 };

    names->node = mien_calloc(b->n_nodes + 1, sizeof(*names->node));
    names->value = mien_calloc(b->n_values, sizeof(*names->value));
    if (!names->node || !names->value)
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    strcpy(names->value[0], "x");
    while (taken_by_output(b, names->value[0]))
        strcat(names->value[0], "_"); /* at most once per output */
    for (size_t i = 0; i < b->n_nodes; i++) {
        const MieniBuildNode *n = &b->node[i];
        do
            snprintf(names->node[i], NAME_BYTES, "%s_%d", op_name[n->op], ++count[n->op]);
        while (taken_by_output(b, names->node[i]));
        strcpy(names->value[n->out], names->node[i]);
    }
    for (int i = 0; i < b->n_outputs; i++)
        snprintf(names->value[b->output[i].value], NAME_BYTES, "%s", b->output[i].name);
    return 0;
}

/* ---- the graph */

static void put_window(Text *t, const MieniBuildNode *n)
{
    put_ints(t, "kernel", n->kernel, 2);
    put_ints(t, "stride", n->stride, 2);
    put_ints(t, "pad", n->pad, 4);
}

static void put_attributes(Text *t, const MieniBuildNode *n)
{
    switch (n->op) {
    case MIENI_CONV2D:
        put_window(t, n);
        put_ints(t, "dilation", n->dilation, 2);
        put(t, ",\"groups\":%d,\"cout\":%d,\"bias\":%s", n->groups, n->cout, n->bias ? "true" : "false");
        break;
    case MIENI_FC:
        put(t, ",\"cout\":%d,\"bias\":%s", n->cout, n->bias ? "true" : "false");
        break;
    case MIENI_ADD:
        put_float(t, "alpha", n->alpha);
        put_float(t, "beta", n->beta);
        break;
    case MIENI_MAXPOOL:
    case MIENI_AVGPOOL:
        put_window(t, n);
        break;
    case MIENI_PAD:
        put_ints(t, "pad", n->pad, 4);
        put(t, ",\"channels\":%d", n->channels);
        break;
    case MIENI_RESHAPE:
        put(t, ",\"h\":%d,\"w\":%d,\"c\":%d", n->h, n->w, n->c);
        break;
    default:
        break;
    }
    if (n->act != MIENI_CONV2D)
        put(t, ",\"act\":\"%s\"", op_name[n->act]);
}

static void put_graph(Text *t, const MieniBuild *b, const Names *names)
{
    put(t, "{\"inputs\":[{\"name\":\"%s\",\"h\":%d,\"w\":%d,\"c\":%d}],\"nodes\":[", names->value[0], b->in_h, b->in_w, b->in_c);
    for (size_t i = 0; i < b->n_nodes; i++) {
        const MieniBuildNode *n = &b->node[i];
        put(t, "%s{\"op\":\"%s\",\"name\":\"%s\",\"in\":[", i ? "," : "", op_name[n->op], names->node[i]);
        for (int j = 0; j < n->n_in; j++)
            put(t, "%s\"%s\"", j ? "," : "", names->value[n->in[j]]);
        put(t, "],\"out\":\"%s\"", names->value[n->out]);
        put_attributes(t, n);
        put(t, "}");
    }
    put(t, "],\"outputs\":[");
    for (int i = 0; i < b->n_outputs; i++)
        put(t, "%s\"%s\"", i ? "," : "", b->output[i].name);
    put(t, "]}");
}

/* ---- the weights */

typedef struct Weights {
    MienTensor *tensor;
    char (*name)[NAME_BYTES + 16];
    float **owned; /* the float copy of a double array, by tensor; else NULL */
    size_t n;
} Weights;

static int add_tensor(const MieniBuild *b, Weights *w, const char *node, const char *what, const float *f, const double *d,
                      int n_dims, const int64_t *dim)
{
    size_t elems = 1;

    for (int i = 0; i < n_dims; i++)
        elems *= (size_t)dim[i];
    if (d) {
        float *copy = mien_malloc_array(elems, sizeof(*copy));
        if (!copy)
            return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
        for (size_t i = 0; i < elems; i++)
            copy[i] = (float)d[i];
        f = w->owned[w->n] = copy;
    }
    MienTensor *t = &w->tensor[w->n];
    snprintf(w->name[w->n], sizeof(*w->name), "%s.%s", node, what);
    *t = (MienTensor){ .name = w->name[w->n], .dtype = MIEN_F32, .n_dims = n_dims, .data = f, .bytes = elems * sizeof(float) };
    memcpy(t->dim, dim, (size_t)n_dims * sizeof(*dim));
    w->n++;
    for (size_t i = 0; i < elems; i++)
        if (!isfinite(f[i]))
            return mieni_build_fail(b, MIEN_E_FORMAT, "%s: folding batch norm gives a weight that is NaN or infinite", t->name);
    return 0;
}

static int add_node_tensors(const MieniBuild *b, Weights *w, const MieniBuildNode *n, const char *name)
{
    const MieniBuildValue *in = &b->value[n->in[0]], *out = &b->value[n->out];
    int64_t c = out->c, conv[4] = { n->kernel[0], n->kernel[1], in->c / n->groups, c };
    int64_t fc[2] = { (int64_t)in->h * in->w * in->c, c };
    int ret = 0;

    if (n->op == MIENI_CONV2D)
        ret = add_tensor(b, w, name, "weight", n->weight, NULL, 4, conv);
    else if (n->op == MIENI_FC)
        ret = add_tensor(b, w, name, "weight", n->weight, NULL, 2, fc);
    else if (n->op == MIENI_PRELU)
        ret = add_tensor(b, w, name, "slope", n->weight, NULL, 1, &c);
    if (ret >= 0 && n->scale)
        ret = add_tensor(b, w, name, "scale", NULL, n->scale, 1, &c);
    if (ret >= 0 && n->bias)
        ret = add_tensor(b, w, name, "bias", NULL, n->bias, 1, &c);
    if (ret >= 0 && n->slope)
        ret = add_tensor(b, w, name, "slope", n->slope, NULL, 1, &c);
    return ret;
}

static int collect_weights(const MieniBuild *b, const Names *names, Weights *w)
{
    size_t most = 3 * b->n_nodes + 1;
    int ret = 0;

    w->tensor = mien_calloc(most, sizeof(*w->tensor));
    w->name = mien_calloc(most, sizeof(*w->name));
    w->owned = mien_calloc(most, sizeof(*w->owned));
    if (!w->tensor || !w->name || !w->owned)
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    for (size_t i = 0; i < b->n_nodes && ret >= 0; i++)
        ret = add_node_tensors(b, w, &b->node[i], names->node[i]);
    return ret;
}

static void free_weights(Weights *w)
{
    for (size_t i = 0; i < w->n; i++)
        mien_free(w->owned[i]);
    mien_free(w->tensor);
    mien_free(w->name);
    mien_free(w->owned);
}

/* ---- what params say, checked and completed */

typedef struct Facts {
    const char *role, *license, *channels, *mean, *scale, *encoder_template, *verify, *identify;
    char name[64], origin[512], dim[16];
    int is_encoder;
} Facts;

static const char *const role_table[] = { "face-detector", "face-landmarks", "face-encoder", "face-liveness", "features" };

int mieni_role_known(const char *role)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(role_table); i++)
        if (!strcmp(role, role_table[i]))
            return 1;
    return 0;
}

static int one_of(const char *s, const char *const *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(s, list[i]))
            return 1;
    return 0;
}

/* n plain decimal numbers separated by commas, checked without strtod, which obeys the locale. */
static int count_numbers(const char *s)
{
    int n = 0;

    for (;;) {
        int digits = 0;
        s += *s == '-' || *s == '+';
        for (; (*s >= '0' && *s <= '9') || *s == '.'; s++)
            digits += *s != '.';
        if (!digits || digits > 40)
            return 0;
        if (*s == 'e' || *s == 'E') {
            s += 1 + (s[1] == '-' || s[1] == '+');
            if (*s < '0' || *s > '9')
                return 0;
            for (; *s >= '0' && *s <= '9'; s++)
                ;
        }
        n++;
        if (!*s)
            return n;
        if (*s++ != ',')
            return 0;
    }
}

static int check_numbers(const MieniBuild *b, const char *what, const char *s, int many)
{
    int n = count_numbers(s);

    if (n != 1 && n != many)
        return mieni_build_fail(b, MIEN_ERR(EINVAL), "%s \"%s\": one number%s wanted", what, s,
                                many == 3 ? " or three, separated by commas, are" : " is");
    return 0;
}

static int take_name(const MieniBuild *b, Facts *f, const char *name)
{
    if (name) {
        snprintf(f->name, sizeof(f->name), "%s", name);
        if (strlen(name) >= sizeof(f->name) || !*name || strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                                                      "0123456789._-") != strlen(name))
            return mieni_build_fail(b, MIEN_ERR(EINVAL), "the name \"%s\" should be 1 to 63 letters, digits, '.', '_' or '-'",
                                    name);
        return 0;
    }
    const char *base = strrchr(b->file, '/');
    snprintf(f->name, sizeof(f->name), "%.63s", base ? base + 1 : b->file);
    char *dot = strrchr(f->name, '.');
    if (dot && dot != f->name)
        *dot = 0;
    for (char *p = f->name; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || *p == '.' || *p == '-'))
            *p = '_';
    return 0;
}

static int take_encoder(const MieniBuild *b, Facts *f, const MienImportParams *p)
{
    static const char *const templates[] = { "arcface112", "dlib150" };
    int dim = b->value[b->output[0].value].c;

    f->encoder_template = p->encoder_template ? p->encoder_template : b->in_w == 150 ? "dlib150" : "arcface112";
    if (!one_of(f->encoder_template, templates, MIEN_ARRAY_ELEMS(templates)))
        return mieni_build_fail(b, MIEN_ERR(EINVAL), "there is no template \"%s\"; there are arcface112 and dlib150",
                                f->encoder_template);
    int side = !strcmp(f->encoder_template, "dlib150") ? 150 : 112;
    if (b->in_w != side || b->in_h != side || b->in_c != 3)
        return mieni_build_fail(b, MIEN_E_SHAPE, "the template %s gives %dx%d pixels of 3 channels, the network wants %dx%d of %d",
                                f->encoder_template, side, side, b->in_w, b->in_h, b->in_c);
    if (dim > 1024)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "embeddings of %d numbers; 1024 is the most", dim);
    snprintf(f->dim, sizeof(f->dim), "%d", dim);
    f->verify = p->encoder_verify ? p->encoder_verify : "0.32";
    f->identify = p->encoder_identify ? p->encoder_identify : "0.40";
    int ret = check_numbers(b, "threshold", f->verify, 1);
    return ret < 0 ? ret : check_numbers(b, "threshold", f->identify, 1);
}

/* What the face code will expect of this role (docs/format-weights.md). */
static int check_role(const MieniBuild *b, const Facts *f)
{
    static const struct {
        const char *role;
        int in_w, in_c, out_c;
        const char *out;
    } want[] = { { "face-landmarks", 64, 1, 136, "landmarks" }, { "face-liveness", 128, 3, 3, "prob" },
                 { "face-encoder", 0, 3, 0, "embedding" } };

    if (!strcmp(f->role, "face-detector") && (b->n_outputs != 8 || b->in_c != 3 || b->in_h || b->in_w))
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "a detector takes 3 channels of any size and gives scores and locations at "
                                                       "four levels, eight outputs; this one has %d", b->n_outputs);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(want); i++) {
        if (strcmp(f->role, want[i].role))
            continue;
        const MieniBuildValue *v = &b->value[b->output[0].value];
        if (b->n_outputs != 1 || strcmp(b->output[0].name, want[i].out) || v->h != 1 || v->w != 1 ||
            (want[i].out_c && v->c != want[i].out_c))
            return mieni_build_fail(b, MIEN_E_SHAPE, "a network for %s gives one vector \"%s\"; this one gives %d output(s), the "
                                                     "first \"%s\" of %dx%dx%d", f->role, want[i].out, b->n_outputs,
                                    b->output[0].name, v->h, v->w, v->c);
        if (b->in_c != want[i].in_c || (want[i].in_w && (b->in_w != want[i].in_w || b->in_h != want[i].in_w)))
            return mieni_build_fail(b, MIEN_E_SHAPE, "a network for %s takes %dx%d pixels of %d channel(s), this one %dx%d of %d",
                                    f->role, want[i].in_w, want[i].in_w, want[i].in_c, b->in_w, b->in_h, b->in_c);
    }
    return 0;
}

static int take_facts(const MieniBuild *b, const MienImportParams *p, const char *sha256, Facts *f)
{
    static const char *const channels[] = { "rgb", "bgr", "gray" };

    memset(f, 0, sizeof(*f));
    if (!p->role || !mieni_role_known(p->role))
        return mieni_build_fail(b, MIEN_ERR(EINVAL), "the role should be face-detector, face-landmarks, face-encoder, "
                                                     "face-liveness or features, not \"%s\"", p->role ? p->role : "");
    f->role = p->role;
    f->is_encoder = !strcmp(f->role, "face-encoder");
    f->license = p->license ? p->license : "unknown";
    f->channels = p->channels ? p->channels : b->in_c == 1 ? "gray" : "rgb";
    f->mean = p->mean ? p->mean : "127.5";
    f->scale = p->scale ? p->scale : "0.0078125";
    if (!one_of(f->channels, channels, MIEN_ARRAY_ELEMS(channels)) || b->in_c != (strcmp(f->channels, "gray") ? 3 : 1))
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "the input has %d channel(s), which cannot be \"%s\"", b->in_c, f->channels);
    if (p->origin) {
        snprintf(f->origin, sizeof(f->origin), "%s", p->origin);
    } else {
        const char *base = strrchr(b->file, '/');
        snprintf(f->origin, sizeof(f->origin), "imported from %.255s, sha256 %s", base ? base + 1 : b->file, sha256);
        for (char *c = f->origin; *c; c++)
            if (*c < ' ' || *c > '~')
                *c = '_';
    }
    int ret = take_name(b, f, p->name);
    if (ret >= 0)
        ret = check_numbers(b, "mean", f->mean, b->in_c);
    if (ret >= 0)
        ret = check_numbers(b, "scale", f->scale, b->in_c);
    if (ret >= 0)
        ret = check_role(b, f);
    if (ret >= 0 && f->is_encoder)
        ret = take_encoder(b, f, p);
    return ret;
}

/* ---- putting it together */

static int apply_projection(MieniBuild *b, const MienImportParams *p)
{
    static const int64_t any[2] = { -1, -1 };
    MienWeights *w = NULL;
    const float *data;

    snprintf(b->where, sizeof(b->where), "projection %.200s", p->projection_path);
    int ret = mien_weights_open(&w, p->projection_path, b->log);
    if (ret >= 0)
        ret = mien_weights_need(w, "projection.weight", 2, any, &data, b->log);
    if (ret >= 0) {
        const MienTensor *t = mien_weights_find(w, "projection.weight");
        if (t->dim[0] < 1 || t->dim[0] > 65536 || t->dim[1] < 1 || t->dim[1] > 65536)
            ret = mieni_build_fail(b, MIEN_E_SHAPE, "the projection's shape is out of range");
        else
            ret = mieni_build_project(b, data, (int)t->dim[0], (int)t->dim[1]);
    }
    mien_weights_close(&w);
    if (ret >= 0)
        ret = mieni_build_unary(b, MIENI_L2NORM, b->output[0].value);
    if (ret >= 0)
        b->output[0].value = ret;
    return ret;
}

static int finish_graph(MieniBuild *b, const MienImportParams *p)
{
    int ret;

    b->where[0] = 0;
    if (b->n_outputs == 0)
        return mieni_build_fail(b, MIEN_E_FORMAT, "the network has no output");
    if ((p->softmax || p->projection_path) && b->n_outputs != 1)
        return mieni_build_fail(b, MIEN_E_UNSUPPORTED, "%s wants one output, the network has %d",
                                p->softmax ? "a softmax" : "a projection", b->n_outputs);
    if (p->softmax) {
        ret = mieni_build_unary(b, MIENI_SOFTMAX, b->output[0].value);
        if (ret < 0)
            return ret;
        b->output[0].value = ret;
    }
    ret = mieni_build_fold(b);
    if (ret >= 0 && p->projection_path)
        ret = apply_projection(b, p);
    b->where[0] = 0;
    return ret;
}

static int pack(MieniBuild *b, const Facts *f, uint8_t **data, size_t *bytes)
{
    Names names = { 0 };
    Weights weights = { 0 };
    Text graph = { 0 };

    int ret = make_names(b, &names);
    if (ret >= 0)
        ret = collect_weights(b, &names, &weights);
    if (ret >= 0) {
        put_graph(&graph, b, &names);
        if (graph.bad)
            ret = mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    }
    if (ret >= 0) {
        MienMeta meta[16] = { { "mien.format", "1" }, { "mien.role", f->role }, { "mien.name", f->name },
                              { "mien.license", f->license }, { "mien.origin", f->origin },
                              { "mien.input.channels", f->channels }, { "mien.input.mean", f->mean },
                              { "mien.input.scale", f->scale }, { "mien.graph", graph.s } };
        size_t n = 9;
        if (f->is_encoder) {
            meta[n++] = (MienMeta){ "mien.encoder.dim", f->dim };
            meta[n++] = (MienMeta){ "mien.encoder.metric", "cosine" };
            meta[n++] = (MienMeta){ "mien.encoder.template", f->encoder_template };
            meta[n++] = (MienMeta){ "mien.encoder.verify", f->verify };
            meta[n++] = (MienMeta){ "mien.encoder.identify", f->identify };
        }
        ret = mien_weights_pack(data, bytes, weights.tensor, weights.n, meta, n, b->log);
    }
    mien_free(graph.s);
    mien_free(names.node);
    mien_free(names.value);
    free_weights(&weights);
    return ret;
}

int mieni_build_pack(MieniBuild *b, const MienImportParams *params, const char *source_sha256, uint8_t **data, size_t *bytes)
{
    Facts f;

    *data = NULL;
    int ret = finish_graph(b, params);
    if (ret >= 0)
        ret = take_facts(b, params, source_sha256, &f);
    return ret < 0 ? ret : pack(b, &f, data, bytes);
}

int mieni_build_finish(MieniBuild *b, const MienImportParams *params, const char *source_sha256, const char *out_dir,
                       const char *wanted_sha256, MienImported *done)
{
    uint8_t *data;
    size_t bytes;

    int ret = mieni_build_pack(b, params, source_sha256, &data, &bytes);
    if (ret >= 0)
        ret = mieni_model_store(data, bytes, b->file, wanted_sha256, out_dir, done, b->log);
    mien_free(data);
    return ret < 0 ? ret : 0;
}
