/* Model files: a safetensors file with its graph. Everything is checked here, once, so that planning and running can trust
 * it: names, order, attributes, every weight's shape by name, no NaN or Inf. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "nn/nn.h"

static void free_model(MienModel *m)
{
    if (!m)
        return;
    mien_weights_close(&m->weights);
    for (int i = 0; m->text && i < m->n_nodes; i++)
        mien_free(m->text[i]);
    mien_free(m->text);
    mien_free(m->node);
    mien_free(m->output);
    mien_free(m->path);
    mien_free(m);
}

MienModel *mien_model_ref(MienModel *model)
{
    __atomic_add_fetch(&model->refs, 1, __ATOMIC_RELAXED);
    return model;
}

void mien_model_unref(MienModel **model)
{
    if (!model || !*model)
        return;
    if (__atomic_sub_fetch(&(*model)->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free_model(*model);
    *model = NULL;
}

/* ---- weights */

/* Index of the first value that is NaN or Inf, or n. */
static size_t first_not_finite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof(bits));
        if ((bits & 0x7f800000u) == 0x7f800000u)
            return i;
    }
    return n;
}

int mieni_bind(const MieniCtx *ctx, const char *suffix, int n_dims, const int64_t *dim, const float **data, size_t *n_elems)
{
    char name[MIENI_MAX_NAME + 32];
    snprintf(name, sizeof(name), "%s.%s", ctx->node->name, suffix);
    int ret = mien_weights_need(ctx->weights, name, n_dims, dim, data, ctx->log);
    if (ret < 0)
        return ret;
    size_t n = mien_tensor_elems(mien_weights_find(ctx->weights, name));
    size_t bad = first_not_finite(*data, n);
    if (bad < n)
        return mieni_node_fail(ctx, MIEN_E_MODEL, "value %zu of %s is not a finite number", bad, name);
    if (n_elems)
        *n_elems = n;
    return 0;
}

int mieni_bind_act(const MieniCtx *ctx, MieniNode *node, int c)
{
    int64_t dim[] = { c };
    return node->act.kind == MIENI_ACT_PRELU ? mieni_bind(ctx, "slope", 1, dim, &node->act.slope, NULL) : 0;
}

/* Shapes as far as the model fixes them, then each node's weights. */
static int bind_weights(MienModel *m, MienShape *shape, MieniCtx *ctx)
{
    MienShape in[MIENI_MAX_IN];
    int ret = mieni_graph_infer(m, (MienShape){ 1, m->input.h, m->input.w, m->input.c }, shape, ctx->log);
    if (ret < 0)
        return ret;
    for (int i = 0; i < m->n_nodes; i++) {
        MieniNode *node = &m->node[i];
        ctx->node = node;
        for (int k = 0; k < node->n_in; k++)
            in[k] = shape[node->in[k]];
        if (node->op->bind && !in[0].c)
            return mieni_node_fail(ctx, MIEN_E_MODEL, "its number of channels depends on the input's size, which is free");
        if (node->op->bind && (ret = node->op->bind(ctx, node, in)) < 0)
            return ret;
    }
    ctx->node = NULL;
    return 0;
}

static const char *act_word(const MieniNode *node)
{
    static const char *const word[] = { "", "  relu", "  prelu", "  sigmoid" };
    return node->op->takes_act ? word[node->act.kind] : "";
}

static char *node_text(const MieniNode *node, const MienShape *shape, MienShape out)
{
    char what[96] = "", line[2 * MIENI_MAX_NAME];
    if (node->op->text)
        node->op->text(node, what, sizeof(what));
    snprintf(line, sizeof(line), "%-9s  %s  %s%s%d->%d%s", node->op->name, node->name, what, *what ? "  " : "",
             shape[node->in[0]].c, out.c, act_word(node));
    return mien_strdup(line);
}

static int write_texts(MienModel *m, const MienShape *shape)
{
    if (!(m->text = mien_calloc((size_t)m->n_nodes, sizeof(*m->text))))
        return MIEN_ERR(ENOMEM);
    for (int i = 0; i < m->n_nodes; i++) {
        if (!(m->text[i] = node_text(&m->node[i], shape, shape[i + 1])))
            return MIEN_ERR(ENOMEM);
    }
    return 0;
}

/* ---- opening */

static int check_meta(const MienModel *m, MienLog log)
{
    static const char *const needed[] = { "mien.role", "mien.name", "mien.graph" };
    const char *format = mien_weights_meta(m->weights, "mien.format");
    if (!format)
        return mien_fail(log, MIEN_E_MODEL, "%s: is no model file: it has no metadata 'mien.format' (`mien model import` makes model files)",
                         m->path);
    if (strcmp(format, "1"))
        return mien_fail(log, MIEN_E_VERSION, "%s: is a model file of format '%.16s'; this version reads format 1", m->path,
                         format);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(needed); i++) {
        const char *value = mien_weights_meta(m->weights, needed[i]);
        if (!value || !*value)
            return mien_fail(log, MIEN_E_MODEL, "%s: the metadata '%s' is missing", m->path, needed[i]);
    }
    return 0;
}

/* Builds the model round weights, which it takes over even on failure. */
static int model_from_weights(MienModel **model, MienWeights *weights, const char *path, MienLog log)
{
    int ret = MIEN_ERR(ENOMEM);
    MienShape *shape = NULL;
    MienModel *m = mien_calloc(1, sizeof(*m));
    if (!m) {
        mien_weights_close(&weights);
        return ret;
    }
    m->weights = weights;
    m->refs = 1;
    memcpy(m->hash, mien_weights_sha256(weights), sizeof(m->hash));
    if (!(m->path = mien_strdup(path)))
        goto fail;
    MieniCtx ctx = { .file = m->path, .log = log, .weights = weights };
    if ((ret = check_meta(m, log)) < 0)
        goto fail;
    const char *graph = mien_weights_meta(weights, "mien.graph");
    if ((ret = mieni_graph_parse(m, graph, strlen(graph), &ctx)) < 0)
        goto fail;
    if (!(shape = mien_calloc((size_t)m->n_nodes + 1, sizeof(*shape)))) {
        ret = MIEN_ERR(ENOMEM);
        goto fail;
    }
    if ((ret = bind_weights(m, shape, &ctx)) < 0 || (ret = write_texts(m, shape)) < 0)
        goto fail;
    for (size_t i = 0; i < mien_weights_count(weights); i++)
        m->n_params += mien_tensor_elems(mien_weights_get(weights, i));
    mien_free(shape);
    *model = m;
    return 0;
fail:
    mien_free(shape);
    free_model(m);
    return ret;
}

int mieni_model_parse(MienModel **model, const void *data, size_t bytes, const char *name, MienLog log)
{
    MienWeights *weights;
    *model = NULL;
    int ret = mien_weights_parse(&weights, data, bytes, name, log);
    return ret < 0 ? ret : model_from_weights(model, weights, name, log);
}

int mien_model_open(MienModel **model, const char *path, MienLog log)
{
    MienWeights *weights;
    *model = NULL;
    int ret = mien_weights_open(&weights, path, log);
    return ret < 0 ? ret : model_from_weights(model, weights, path, log);
}

/* ---- copies to be trained */

enum { MAX_META = 64 };

int mien_model_pack(const MienModel *model, const MienMeta *meta, size_t n_meta, uint8_t **data, size_t *bytes, MienLog log)
{
    const MienWeights *w = model->weights;
    size_t n = mien_weights_count(w), n_all = 0;
    MienMeta all[MAX_META];
    *data = NULL;
    for (; n_all < MAX_META && mien_weights_meta_at(w, n_all, &all[n_all].key, &all[n_all].value) >= 0; n_all++)
        ;
    for (size_t i = 0; i < n_meta; i++) {
        size_t at = 0;
        while (at < n_all && strcmp(all[at].key, meta[i].key))
            at++;
        if (at == MAX_META)
            return mien_fail(log, MIEN_ERR(EINVAL), "%s: more than %d lines of metadata", model->path, MAX_META);
        all[at] = meta[i];
        n_all += at == n_all;
    }
    MienTensor *tensor = mien_malloc_array(n, sizeof(*tensor));
    if (!tensor)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", model->path);
    for (size_t i = 0; i < n; i++)
        tensor[i] = *mien_weights_get(w, i);
    int ret = mien_weights_pack(data, bytes, tensor, n, all, n_all, log);
    mien_free(tensor);
    return ret == MIEN_ERR(ENOMEM) ? mien_fail(log, ret, "%s: out of memory", model->path) : ret;
}

int mien_model_copy(MienModel **copy, const MienModel *model, MienLog log)
{
    uint8_t *data;
    size_t bytes;
    *copy = NULL;
    int ret = mien_model_pack(model, NULL, 0, &data, &bytes, log);
    if (ret < 0)
        return ret;
    ret = mieni_model_parse(copy, data, bytes, model->path, log);
    mien_free(data);
    if (ret < 0)
        return ret;
    (*copy)->writable = 1;
    memcpy((*copy)->hash, model->hash, sizeof(model->hash));
    return 0;
}

float *mien_model_weight(MienModel *model, const char *name, size_t *n_elems)
{
    const MienTensor *t = model->writable ? mien_weights_find(model->weights, name) : NULL;
    if (!t || t->dtype != MIEN_F32)
        return NULL;
    if (n_elems)
        *n_elems = mien_tensor_elems(t);
    return (float *)(uintptr_t)t->data; /* the copy's own memory, which nobody else has */
}

/* ---- getters */

const char *mien_model_path(const MienModel *model)
{
    return model->path;
}

const char *mien_model_hash(const MienModel *model)
{
    return model->hash;
}

const char *mien_model_meta(const MienModel *model, const char *key)
{
    char full[256];
    int n = snprintf(full, sizeof(full), "mien.%s", key);
    return n < 0 || (size_t)n >= sizeof(full) ? NULL : mien_weights_meta(model->weights, full);
}

uint64_t mien_model_params(const MienModel *model)
{
    return model->n_params;
}

int mien_model_n_inputs(const MienModel *model)
{
    (void)model;
    return 1; /* graphs with more are refused */
}

int mien_model_n_outputs(const MienModel *model)
{
    return model->n_outputs;
}

const char *mien_model_output_name(const MienModel *model, int i_output)
{
    return i_output >= 0 && i_output < model->n_outputs ? model->output[i_output].name : NULL;
}

const char *mien_model_node_name(const MienModel *model, int i_node)
{
    return i_node >= 0 && i_node < model->n_nodes ? model->node[i_node].name : NULL;
}

uint64_t mien_model_node_params(const MienModel *model, int i_node)
{
    static const char *const suffix[] = { "weight", "bias", "scale", "slope" };
    char name[MIENI_MAX_NAME + 32];
    uint64_t n = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(suffix) && i_node >= 0 && i_node < model->n_nodes; i++) {
        snprintf(name, sizeof(name), "%s.%s", model->node[i_node].name, suffix[i]);
        const MienTensor *t = mien_weights_find(model->weights, name);
        n += t ? mien_tensor_elems(t) : 0;
    }
    return n;
}

const char *mien_model_node_text(const MienModel *model, int i_node)
{
    return i_node >= 0 && i_node < model->n_nodes ? model->text[i_node] : NULL;
}
