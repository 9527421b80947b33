/* Simplifications: batch norm into convolution (w' = w·s, b' = b·s + t, in double, rounded once), activations into the node
 * before, a projection into the last linear layer. */
#include "models/netfold.h"

#include <string.h>

#include "mien/error.h"

static int is_output(const MieniBuild *b, int value)
{
    for (int i = 0; i < b->n_outputs; i++)
        if (b->output[i].value == value)
            return 1;
    return 0;
}

/* How often each value is read; outputs count once. */
static int *count_uses(const MieniBuild *b)
{
    int *uses = mien_calloc(b->n_values ? b->n_values : 1, sizeof(*uses));

    for (size_t i = 0; uses && i < b->n_nodes; i++)
        for (int j = 0; !b->node[i].dead && j < b->node[i].n_in; j++)
            uses[b->node[i].in[j]]++;
    for (int i = 0; uses && i < b->n_outputs; i++)
        uses[b->output[i].value]++;
    return uses;
}

/* The node that makes value if node n alone reads it and no activation is in the way, else NULL. */
static MieniBuildNode *sole_producer(const MieniBuild *b, const int *uses, int value)
{
    int i = b->value[value].producer;

    if (i < 0 || uses[value] != 1 || b->node[i].act != MIENI_CONV2D)
        return NULL;
    return &b->node[i];
}

/* Node p takes over what node n made. */
static void absorb(MieniBuild *b, MieniBuildNode *p, MieniBuildNode *n)
{
    p->out = n->out;
    b->value[n->out].producer = (int)(p - b->node);
    n->dead = 1;
}

static void scale_columns(float *w, size_t n_weight, const double *scale, size_t cout)
{
    for (size_t i = 0; i < n_weight; i++)
        w[i] = (float)((double)w[i] * scale[i % cout]);
}

static int fold_affine(MieniBuild *b, const int *uses, MieniBuildNode *n)
{
    MieniBuildNode *p = sole_producer(b, uses, n->in[0]);
    size_t c = (size_t)b->value[n->out].c;

    if (!p || (p->op != MIENI_CONV2D && p->op != MIENI_FC && p->op != MIENI_AFFINE))
        return 0;
    if (!p->bias) {
        p->bias = mien_calloc(c, sizeof(*p->bias));
        if (!p->bias)
            return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    }
    for (size_t i = 0; i < c; i++)
        p->bias[i] = p->bias[i] * n->scale[i] + n->bias[i];
    if (p->op == MIENI_AFFINE)
        for (size_t i = 0; i < c; i++)
            p->scale[i] *= n->scale[i];
    else
        scale_columns(p->weight, p->n_weight, n->scale, c);
    absorb(b, p, n);
    return 0;
}

/* s·x without a shift, the same s for all channels: becomes a factor of the sum that reads it. */
static int uniform_scale(const MieniBuildNode *p, size_t c, float *s)
{
    for (size_t i = 0; i < c; i++)
        if (p->scale[i] != p->scale[0] || p->bias[i] != 0)
            return 0;
    *s = (float)p->scale[0];
    return 1;
}

static void fold_sum(MieniBuild *b, const int *uses, MieniBuildNode *n)
{
    float *factor[2] = { &n->alpha, &n->beta };

    for (int i = 0; i < 2; i++) {
        MieniBuildNode *p = sole_producer(b, uses, n->in[i]);
        float s;
        if (p && p->op == MIENI_AFFINE && uniform_scale(p, (size_t)b->value[n->out].c, &s)) {
            *factor[i] *= s;
            n->in[i] = p->in[0];
            p->dead = 1;
        }
    }
}

static void fuse_act(MieniBuild *b, const int *uses, MieniBuildNode *n)
{
    MieniBuildNode *p = sole_producer(b, uses, n->in[0]);

    if (!p || (p->op != MIENI_CONV2D && p->op != MIENI_FC && p->op != MIENI_AFFINE && p->op != MIENI_ADD))
        return;
    p->act = n->op;
    if (n->op == MIENI_PRELU) {
        p->slope = n->weight;
        n->weight = NULL;
    }
    absorb(b, p, n);
}

static int fold_pass(MieniBuild *b, const int *uses)
{
    for (size_t i = 0; i < b->n_nodes; i++) {
        MieniBuildNode *n = &b->node[i];
        int ret = n->op == MIENI_AFFINE && !n->dead ? fold_affine(b, uses, n) : 0;
        if (ret < 0)
            return ret;
    }
    for (size_t i = 0; i < b->n_nodes; i++)
        if (b->node[i].op == MIENI_ADD && !b->node[i].dead)
            fold_sum(b, uses, &b->node[i]);
    for (size_t i = 0; i < b->n_nodes; i++) {
        MieniBuildNode *n = &b->node[i];
        if (!n->dead && (n->op == MIENI_RELU || n->op == MIENI_SIGMOID || n->op == MIENI_PRELU))
            fuse_act(b, uses, n);
    }
    return 0;
}

/* From the end to the start, so that a dead node's inputs die as well. */
static void bury_unread(MieniBuild *b, int *uses)
{
    for (size_t i = b->n_nodes; i-- > 0;) {
        MieniBuildNode *n = &b->node[i];
        if (n->dead || uses[n->out] || is_output(b, n->out))
            continue;
        n->dead = 1;
        for (int j = 0; j < n->n_in; j++)
            uses[n->in[j]]--;
    }
}

int mieni_build_fold(MieniBuild *b)
{
    int *uses = count_uses(b);
    int ret;

    if (!uses)
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    bury_unread(b, uses);
    ret = fold_pass(b, uses);
    mien_free(uses);
    if (ret >= 0)
        mieni_build_compact(b);
    return ret;
}

void mieni_build_compact(MieniBuild *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_nodes; i++) {
        MieniBuildNode *node = &b->node[i];
        if (node->dead) {
            mien_free(node->weight);
            mien_free(node->scale);
            mien_free(node->bias);
            mien_free(node->slope);
            continue;
        }
        b->value[node->out].producer = (int)n;
        b->node[n++] = *node;
    }
    b->n_nodes = n;
}

/* Multiplies W into the layer that makes the value, if that can be: a convolution without groups or a full layer. */
static int project_into(MieniBuild *b, MieniBuildNode *p, const float *w, int m, int n)
{
    size_t rows = p->n_weight / (size_t)n;
    float *weight = mien_malloc_array(rows, (size_t)m * sizeof(*weight));
    double *bias = p->bias ? mien_malloc_array((size_t)m, sizeof(*bias)) : NULL;

    if (!weight || (p->bias && !bias)) {
        mien_free(weight);
        mien_free(bias);
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    }
    for (size_t r = 0; r <= rows; r++)
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int j = 0; j < n; j++)
                sum += (double)w[(size_t)i * (size_t)n + (size_t)j] *
                       (r < rows ? (double)p->weight[r * (size_t)n + (size_t)j] : p->bias ? p->bias[j] : 0);
            if (r < rows)
                weight[r * (size_t)m + (size_t)i] = (float)sum;
            else if (bias)
                bias[i] = sum;
        }
    mien_free(p->weight);
    mien_free(p->bias);
    p->weight = weight;
    p->bias = bias;
    p->n_weight = rows * (size_t)m;
    p->cout = m;
    b->value[p->out].c = m;
    return p->out;
}

int mieni_build_project(MieniBuild *b, const float *w, int m, int n)
{
    int in = b->output[0].value, ret;
    const MieniBuildValue *v = &b->value[in];

    if (v->h != 1 || v->w != 1 || v->c != n)
        return mieni_build_fail(b, MIEN_E_SHAPE, "the projection wants %d numbers, the network gives %dx%dx%d", n, v->h, v->w,
                                v->c);
    int *uses = count_uses(b);
    if (!uses)
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    MieniBuildNode *p = sole_producer(b, uses, in);
    mien_free(uses);
    if (p && ((p->op == MIENI_CONV2D && p->groups == 1) || p->op == MIENI_FC))
        return project_into(b, p, w, m, n);

    MieniBuildNode fc = { .op = MIENI_FC, .in = { in }, .n_in = 1, .cout = m, .n_weight = (size_t)m * (size_t)n };
    fc.weight = mien_malloc_array(fc.n_weight, sizeof(*fc.weight));
    if (!fc.weight)
        return mieni_build_fail(b, MIEN_ERR(ENOMEM), "out of memory");
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++)
            fc.weight[(size_t)j * (size_t)m + (size_t)i] = w[(size_t)i * (size_t)n + (size_t)j];
    ret = mieni_build_add(b, &fc);
    if (ret >= 0)
        b->output[0].value = ret;
    return ret;
}
