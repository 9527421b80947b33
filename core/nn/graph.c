/* The graph of a model file: JSON → nodes, checked as untrusted input. Whatever is wrong is named: the file, the node, the
 * attribute or the activation. Format: docs/format-weights.md. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

int mieni_node_fail(const MieniCtx *ctx, int err, const char *fmt, ...)
{
    char msg[512];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(msg, sizeof(msg), fmt, ap);
    va_end(ap);
    if (ctx->node)
        return mien_fail(ctx->log, err, "%s: node '%s': %s", ctx->file, ctx->node->name, msg);
    return mien_fail(ctx->log, err, "%s: graph: %s", ctx->file, msg);
}

/* ---- attributes */

static int whole(const cJSON *json, int min, int max, int *value)
{
    if (!cJSON_IsNumber(json) || !(json->valuedouble >= min && json->valuedouble <= max) ||
        json->valuedouble != floor(json->valuedouble))
        return -1;
    *value = (int)json->valuedouble;
    return 0;
}

int mieni_attr_int(const MieniCtx *ctx, const cJSON *json, const char *key, int min, int max, int *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (item && whole(item, min, max, value) < 0)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is not a whole number from %d to %d", key, min, max);
    return 0;
}

int mieni_attr_ints(const MieniCtx *ctx, const cJSON *json, const char *key, int n, int min, int max, int *values)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, key), *item;
    if (!list)
        return 0;
    int i = 0, bad = !cJSON_IsArray(list) || cJSON_GetArraySize(list) != n;
    if (!bad) {
        cJSON_ArrayForEach(item, list)
            bad |= whole(item, min, max, &values[i++]) < 0;
    }
    if (bad)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is not a list of %d whole numbers from %d to %d", key, n, min, max);
    return 0;
}

int mieni_attr_float(const MieniCtx *ctx, const cJSON *json, const char *key, float *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!item)
        return 0;
    if (!cJSON_IsNumber(item) || !(fabs(item->valuedouble) <= 1e30))
        return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is not a number within ±1e30", key);
    *value = (float)item->valuedouble;
    return 0;
}

int mieni_attr_bool(const MieniCtx *ctx, const cJSON *json, const char *key, int *value)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    if (item && !cJSON_IsBool(item))
        return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is neither true nor false", key);
    if (item)
        *value = cJSON_IsTrue(item);
    return 0;
}

/* Copies a name: 1 to MIENI_MAX_NAME printable ASCII characters. what is for the message. */
static int copy_name(const MieniCtx *ctx, const cJSON *item, const char *what, char *name)
{
    size_t n = cJSON_IsString(item) ? strlen(item->valuestring) : 0;
    int ok = n >= 1 && n <= MIENI_MAX_NAME;
    for (size_t i = 0; ok && i < n; i++)
        ok = item->valuestring[i] >= ' ' && item->valuestring[i] <= '~';
    if (!ok)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "%s is not 1 to %d printable ASCII characters", what, MIENI_MAX_NAME);
    memcpy(name, item->valuestring, n + 1);
    return 0;
}

/* Is word one of the space-separated words of list? */
static int in_words(const char *word, const char *list)
{
    size_t n = strlen(word);
    for (const char *p = list; p && *p; p += *p == ' ') {
        size_t len = strcspn(p, " ");
        if (len == n && !memcmp(p, word, n))
            return 1;
        p += len;
    }
    return 0;
}

/* Every key must be known and stand once; a misspelt "strides" must not pass as stride 1. */
static int check_keys(const MieniCtx *ctx, const cJSON *json, const char *common, const char *more)
{
    const cJSON *item, *other;
    int n = 0;
    cJSON_ArrayForEach(item, json) {
        if (++n > 32)
            return mieni_node_fail(ctx, MIEN_E_MODEL, "has too many attributes");
        if (!item->string || (!in_words(item->string, common) && !in_words(item->string, more)))
            return mieni_node_fail(ctx, MIEN_E_MODEL, "'%.64s' is not an attribute here (known: %s%s%s)",
                                   item->string ? item->string : "", common, more ? " " : "", more ? more : "");
        for (other = json->child; other != item; other = other->next) {
            if (!strcmp(other->string, item->string))
                return mieni_node_fail(ctx, MIEN_E_MODEL, "attribute '%s' stands twice", item->string);
        }
    }
    return 0;
}

int mieni_parse_window(const MieniCtx *ctx, MieniNode *node, const cJSON *json)
{
    int kernel[2] = { 0, 0 }, stride[2] = { 1, 1 }, pad[4] = { 0 }, dil[2] = { 1, 1 }, ret;
    if ((ret = mieni_attr_ints(ctx, json, "kernel", 2, 1, MIENI_MAX_WINDOW, kernel)) < 0 ||
        (ret = mieni_attr_ints(ctx, json, "stride", 2, 1, MIENI_MAX_WINDOW, stride)) < 0 ||
        (ret = mieni_attr_ints(ctx, json, "pad", 4, 0, MIENI_MAX_WINDOW, pad)) < 0 ||
        (ret = mieni_attr_ints(ctx, json, "dilation", 2, 1, MIENI_MAX_WINDOW, dil)) < 0)
        return ret;
    if (!kernel[0])
        return mieni_node_fail(ctx, MIEN_E_MODEL, "kernel is missing");
    node->win = (MieniWindow){ kernel[0], kernel[1], stride[0], stride[1], pad[0], pad[1], pad[2], pad[3], dil[0], dil[1] };
    return 0;
}

static int window_out(int size, int k, int stride, int pad, int dil)
{
    int64_t room = (int64_t)size + pad - (int64_t)dil * (k - 1) - 1;
    return room < 0 ? -1 : (int)(room / stride + 1);
}

int mieni_infer_window(const MieniCtx *ctx, const MieniNode *node, MienShape in, MienShape *out)
{
    const MieniWindow *w = &node->win;
    out->h = in.h ? window_out(in.h, w->kh, w->stride_y, w->pad_t + w->pad_b, w->dil_y) : 0;
    out->w = in.w ? window_out(in.w, w->kw, w->stride_x, w->pad_l + w->pad_r, w->dil_x) : 0;
    if (out->h < 0 || out->w < 0)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "a %dx%d window does not fit into %dx%d with this padding", w->kh, w->kw,
                               in.h, in.w);
    return 0;
}

void mieni_text_window(const MieniNode *node, char *buf, size_t buf_bytes)
{
    const MieniWindow *w = &node->win;
    int n = snprintf(buf, buf_bytes, "%dx%d", w->kh, w->kw);
    char *p = buf + n;
    size_t left = buf_bytes - (size_t)n;
    if (w->stride_y != w->stride_x)
        n = snprintf(p, left, " s%d,%d", w->stride_y, w->stride_x);
    else
        n = snprintf(p, left, " s%d", w->stride_y);
    p += n, left -= (size_t)n;
    if (w->pad_t != w->pad_l || w->pad_t != w->pad_b || w->pad_t != w->pad_r)
        n = snprintf(p, left, " p%d,%d,%d,%d", w->pad_t, w->pad_l, w->pad_b, w->pad_r);
    else
        n = snprintf(p, left, " p%d", w->pad_t);
    p += n, left -= (size_t)n;
    if (w->dil_y != 1 || w->dil_x != 1)
        snprintf(p, left, " d%d,%d", w->dil_y, w->dil_x);
}

/* ---- names of activations and nodes: open addressing, filled once */

enum { N_SLOTS = 4 * MIENI_MAX_NODES };

typedef struct Names {
    const char *name[N_SLOTS];
    int id[N_SLOTS];
} Names;

static unsigned slot_of(const Names *t, const char *name)
{
    uint32_t h = 2166136261u; /* FNV-1a */
    for (const char *p = name; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619u;
    unsigned i = h % N_SLOTS;
    while (t->name[i] && strcmp(t->name[i], name))
        i = (i + 1) % N_SLOTS;
    return i;
}

static int names_add(Names *t, const char *name, int id)
{
    unsigned i = slot_of(t, name);
    if (t->name[i])
        return -1;
    t->name[i] = name;
    t->id[i] = id;
    return 0;
}

static int names_find(const Names *t, const char *name)
{
    unsigned i = slot_of(t, name);
    return t->name[i] ? t->id[i] : -1;
}

/* ---- the parts of a graph */

static int parse_inputs(MienModel *model, const cJSON *root, MieniCtx *ctx, Names *acts)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "inputs");
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != 1)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "inputs is not a list of one input");
    const cJSON *json = list->child;
    MieniInput *in = &model->input;
    int ret;
    if (!cJSON_IsObject(json))
        return mieni_node_fail(ctx, MIEN_E_MODEL, "the input is not an object");
    if ((ret = check_keys(ctx, json, "name h w c", NULL)) < 0 ||
        (ret = copy_name(ctx, cJSON_GetObjectItemCaseSensitive(json, "name"), "the input's name", in->name)) < 0 ||
        (ret = mieni_attr_int(ctx, json, "h", 0, INT32_MAX, &in->h)) < 0 ||
        (ret = mieni_attr_int(ctx, json, "w", 0, INT32_MAX, &in->w)) < 0 ||
        (ret = mieni_attr_int(ctx, json, "c", 1, MIENI_MAX_CHANNELS, &in->c)) < 0)
        return ret;
    if (!in->c)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "the input has no c");
    names_add(acts, in->name, 0);
    return 0;
}

static int parse_act(const MieniCtx *ctx, MieniNode *node, const cJSON *json)
{
    static const struct {
        const char *word;
        MieniActKind kind;
    } acts[] = { { "relu", MIENI_ACT_RELU }, { "sigmoid", MIENI_ACT_SIGMOID }, { "prelu", MIENI_ACT_PRELU } };
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, "act");
    if (!item)
        return 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(acts); i++) {
        if (cJSON_IsString(item) && !strcmp(item->valuestring, acts[i].word)) {
            node->act.kind = acts[i].kind;
            return 0;
        }
    }
    return mieni_node_fail(ctx, MIEN_E_MODEL, "act is none of relu, sigmoid, prelu");
}

static int parse_node(MieniNode *node, int activation, const cJSON *json, MieniCtx *ctx, Names *acts, Names *nodes)
{
    char op_name[MIENI_MAX_NAME + 1], in_name[MIENI_MAX_NAME + 1];
    int ret;
    snprintf(node->name, sizeof(node->name), "#%d", activation - 1); /* until its own is known */
    ctx->node = node;
    if (!cJSON_IsObject(json))
        return mieni_node_fail(ctx, MIEN_E_MODEL, "is not an object");
    char name[MIENI_MAX_NAME + 1];
    if ((ret = copy_name(ctx, cJSON_GetObjectItemCaseSensitive(json, "name"), "name", name)) < 0)
        return ret;
    memcpy(node->name, name, sizeof(name));
    if ((ret = copy_name(ctx, cJSON_GetObjectItemCaseSensitive(json, "op"), "op", op_name)) < 0 ||
        (ret = copy_name(ctx, cJSON_GetObjectItemCaseSensitive(json, "out"), "out", node->out)) < 0)
        return ret;
    if (!(node->op = mieni_op_find(op_name)))
        return mieni_node_fail(ctx, MIEN_E_UNSUPPORTED, "there is no op '%s'", op_name);
    const MieniOp *op = node->op;
    if ((ret = check_keys(ctx, json, op->takes_act ? "op name in out act" : "op name in out", op->attrs)) < 0)
        return ret;

    const cJSON *in = cJSON_GetObjectItemCaseSensitive(json, "in"), *item;
    int n_in = cJSON_IsArray(in) ? cJSON_GetArraySize(in) : -1;
    if (n_in < op->min_in || n_in > op->max_in)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "in is not a list of %d to %d names", op->min_in, op->max_in);
    cJSON_ArrayForEach(item, in) {
        if ((ret = copy_name(ctx, item, "an input's name", in_name)) < 0)
            return ret;
        int id = names_find(acts, in_name);
        if (id < 0)
            return mieni_node_fail(ctx, MIEN_E_MODEL, "its input '%s' is made by no node before it", in_name);
        node->in[node->n_in++] = id;
    }
    if (names_add(nodes, node->name, activation) < 0)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "the name stands twice");
    if (names_add(acts, node->out, activation) < 0)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "its output '%s' exists already", node->out);
    if (op->takes_act && (ret = parse_act(ctx, node, json)) < 0)
        return ret;
    ret = op->parse ? op->parse(ctx, node, json) : 0;
    ctx->node = NULL;
    return ret;
}

static int parse_outputs(MienModel *model, const cJSON *root, const MieniCtx *ctx, const Names *acts)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "outputs"), *item;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0, ret;
    if (n < 1 || n > MIENI_MAX_NODES)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "outputs is not a list of 1 to %d names", MIENI_MAX_NODES);
    if (!(model->output = mien_calloc((size_t)n, sizeof(*model->output))))
        return MIEN_ERR(ENOMEM);
    cJSON_ArrayForEach(item, list) {
        MieniOutput *out = &model->output[model->n_outputs];
        if ((ret = copy_name(ctx, item, "an output's name", out->name)) < 0)
            return ret;
        out->activation = names_find(acts, out->name);
        if (out->activation < 0)
            return mieni_node_fail(ctx, MIEN_E_MODEL, "the output '%s' is made by no node", out->name);
        for (int i = 0; i < model->n_outputs; i++) {
            if (model->output[i].activation == out->activation)
                return mieni_node_fail(ctx, MIEN_E_MODEL, "the output '%s' stands twice", out->name);
        }
        model->n_outputs++;
    }
    return 0;
}

int mieni_graph_parse(MienModel *model, const char *text, size_t text_bytes, const MieniCtx *caller)
{
    MieniCtx ctx = *caller;
    if (text_bytes > MIENI_MAX_GRAPH_BYTES)
        return mieni_node_fail(&ctx, MIEN_E_MODEL, "has %zu bytes of text, %zu are allowed", text_bytes,
                               MIENI_MAX_GRAPH_BYTES);
    int ret = MIEN_ERR(ENOMEM);
    Names *acts = mien_calloc(1, sizeof(*acts)), *nodes = mien_calloc(1, sizeof(*nodes));
    cJSON *root = cJSON_ParseWithLength(text, text_bytes);
    if (!acts || !nodes)
        goto out;
    if (!cJSON_IsObject(root)) {
        ret = mieni_node_fail(&ctx, MIEN_E_MODEL, "is not a JSON object");
        goto out;
    }
    if ((ret = check_keys(&ctx, root, "inputs nodes outputs", NULL)) < 0 ||
        (ret = parse_inputs(model, root, &ctx, acts)) < 0)
        goto out;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "nodes"), *item;
    int n = cJSON_IsArray(list) ? cJSON_GetArraySize(list) : 0;
    if (n < 1 || n > MIENI_MAX_NODES) {
        ret = mieni_node_fail(&ctx, MIEN_E_MODEL, "nodes is not a list of 1 to %d nodes", MIENI_MAX_NODES);
        goto out;
    }
    if (!(model->node = mien_calloc((size_t)n, sizeof(*model->node)))) {
        ret = MIEN_ERR(ENOMEM);
        goto out;
    }
    cJSON_ArrayForEach(item, list) {
        if ((ret = parse_node(&model->node[model->n_nodes], model->n_nodes + 1, item, &ctx, acts, nodes)) < 0)
            goto out;
        model->n_nodes++;
    }
    ret = parse_outputs(model, root, &ctx, acts);
out:
    cJSON_Delete(root);
    mien_free(acts);
    mien_free(nodes);
    return ret;
}

/* ---- shapes */

static int check_limits(const MieniCtx *ctx, MienShape s)
{
    if (s.c > MIENI_MAX_CHANNELS)
        return mieni_node_fail(ctx, MIEN_E_SHAPE, "its output has %d channels, %d are allowed", s.c, MIENI_MAX_CHANNELS);
    int64_t left = INT32_MAX, dim[4] = { s.n, s.h, s.w, s.c };
    for (int i = 0; i < 4; i++) {
        if (dim[i] > left)
            return mieni_node_fail(ctx, MIEN_E_SHAPE, "its output of %dx%dx%dx%d has more than 2^31-1 elements", s.n, s.h,
                                   s.w, s.c);
        if (dim[i])
            left /= dim[i];
    }
    return 0;
}

int mieni_graph_infer(const MienModel *model, MienShape input, MienShape *shape, MienLog log)
{
    MieniCtx ctx = { .file = model->path, .log = log, .weights = model->weights };
    MienShape in[MIENI_MAX_IN];
    int ret;
    shape[0] = input;
    if ((ret = check_limits(&ctx, input)) < 0)
        return ret;
    for (int i = 0; i < model->n_nodes; i++) {
        const MieniNode *node = &model->node[i];
        MienShape *out = &shape[i + 1];
        for (int k = 0; k < node->n_in; k++)
            in[k] = shape[node->in[k]];
        *out = in[0];
        ctx.node = node;
        if (node->op->infer && (ret = node->op->infer(&ctx, node, in, out)) < 0)
            return ret;
        if ((ret = check_limits(&ctx, *out)) < 0)
            return ret;
    }
    return 0;
}
