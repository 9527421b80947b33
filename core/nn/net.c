/* A net: a model planned for one input size, and running it.
 *
 * Planning: shapes → which nodes the outputs need → in-place chains → lifetimes → one block → steps with their pointers. Running:
 * for each step its tiles as jobs. How work is cut into tiles depends on shapes and CPU level alone, and each job's
 * scratch is its own, so the number of threads changes no bit of the result. */
#include <string.h>

#include "kernels/fpenv.h"
#include "mien/error.h"
#include "nn/nn.h"

struct MienNet {
    MienModel *model;
    MienExec exec;
    MienLog log;
    MienShape *shape; /* of each activation */
    float **act;      /* each activation's place in block; NULL: not needed */
    MieniStep *step;
    int n_steps;
    uint8_t *block;
    size_t block_bytes;
    uint64_t macs;
};

/* What planning needs only while it works; indices are activations. */
typedef struct Plan {
    uint8_t *needed;
    int *first, *last; /* steps; the input is made at step -1, outputs live to step n_steps */
    int *root;         /* activation whose memory this one uses */
    MieniBuf *buf;     /* memory of roots, then workspace of steps */
    int *act_of_buf;
} Plan;

static void free_plan(Plan *p)
{
    mien_free(p->needed);
    mien_free(p->first);
    mien_free(p->last);
    mien_free(p->root);
    mien_free(p->buf);
    mien_free(p->act_of_buf);
}

static int alloc_plan(Plan *p, int n_acts)
{
    size_t n = (size_t)n_acts;
    p->needed = mien_calloc(n, sizeof(*p->needed));
    p->first = mien_calloc(n, sizeof(*p->first));
    p->last = mien_calloc(n, sizeof(*p->last));
    p->root = mien_calloc(n, sizeof(*p->root));
    p->buf = mien_calloc(2 * n, sizeof(*p->buf));
    p->act_of_buf = mien_calloc(2 * n, sizeof(*p->act_of_buf));
    return p->needed && p->first && p->last && p->root && p->buf && p->act_of_buf ? 0 : MIEN_ERR(ENOMEM);
}

/* Steps for the nodes that an output depends on, in the file's order. */
static int choose_steps(MienNet *net, Plan *p)
{
    const MienModel *m = net->model;
    for (int i = 0; i < m->n_outputs; i++)
        p->needed[m->output[i].activation] = 1;
    for (int i = m->n_nodes - 1; i >= 0; i--) {
        if (!p->needed[i + 1])
            continue;
        net->n_steps++;
        for (int k = 0; k < m->node[i].n_in; k++)
            p->needed[m->node[i].in[k]] = 1;
    }
    p->needed[0] = 1; /* the caller writes the input, used or not */
    return (net->step = mien_calloc((size_t)net->n_steps + 1, sizeof(*net->step))) ? 0 : MIEN_ERR(ENOMEM);
}

static int n_jobs_of(const MieniStep *s, int n_threads)
{
    int n = s->n_tiles < n_threads ? s->n_tiles : n_threads;
    return n < 1 ? 1 : n > MIENI_MAX_JOBS ? MIENI_MAX_JOBS : n;
}

static void fill_steps(MienNet *net, const Plan *p, const MienKernels *kernels, int n_threads)
{
    const MienModel *m = net->model;
    int i_step = 0;
    for (int i = 0; i < m->n_nodes; i++) {
        if (!p->needed[i + 1])
            continue;
        const MieniNode *node = &m->node[i];
        MieniStep *s = &net->step[i_step++];
        s->node = node;
        s->kernels = kernels;
        s->n_in = node->n_in;
        for (int k = 0; k < node->n_in; k++)
            s->in_shape[k] = net->shape[node->in[k]];
        s->out_shape = net->shape[i + 1];
        s->n_tiles = 1;
        if (node->op->plan)
            node->op->plan(s);
        s->n_jobs = n_jobs_of(s, n_threads);
        if (node->op->macs)
            net->macs += node->op->macs(node, s->in_shape, &s->out_shape);
    }
}

/* First and last step of each activation, and which may share memory: an element-wise node writes over an input that
 * nothing reads afterwards. */
static void find_lifetimes(const MienNet *net, Plan *p)
{
    const MienModel *m = net->model;
    p->first[0] = p->last[0] = -1;
    for (int i = 0; i < net->n_steps; i++) {
        const MieniNode *node = net->step[i].node;
        int out = (int)(node - m->node) + 1;
        p->first[out] = p->last[out] = i;
        for (int k = 0; k < node->n_in; k++)
            p->last[node->in[k]] = i;
    }
    for (int i = 0; i < m->n_outputs; i++)
        p->last[m->output[i].activation] = net->n_steps;

    p->root[0] = 0;
    for (int i = 0; i < net->n_steps; i++) {
        const MieniNode *node = net->step[i].node;
        int out = (int)(node - m->node) + 1;
        p->root[out] = out;
        for (int k = 0; k < node->n_in; k++) {
            int in = node->in[k], root = p->root[in];
            if (!(node->op->in_place >> k & 1) || p->last[root] != i ||
                mien_shape_elems(net->shape[in]) != mien_shape_elems(net->shape[out]))
                continue;
            p->root[out] = root;
            p->last[root] = p->last[out];
            break;
        }
    }
}

/* Sizes and places of all memory; returns how many buffers of p->buf hold activations, the rest is workspace in the order of
 * the steps. Workspace lives in its step alone. */
static int place(MienNet *net, Plan *p, int n_acts)
{
    int n_bufs = 0;
    for (int a = 0; a < n_acts; a++) {
        if (p->needed[a] && p->root[a] == a) {
            p->act_of_buf[n_bufs] = a;
            p->buf[n_bufs++] = (MieniBuf){ mien_shape_elems(net->shape[a]) * sizeof(float), p->first[a], p->last[a], 0 };
        }
    }
    int n_roots = n_bufs;
    for (int i = 0; i < net->n_steps; i++) {
        MieniStep *s = &net->step[i];
        if (s->work_elems > SIZE_MAX / 8 / MIENI_MAX_JOBS)
            return MIEN_ERR(ENOMEM);
        s->work_elems = (s->work_elems + 15) / 16 * 16; /* each slot starts at 64 bytes */
        if (s->work_elems) {
            p->act_of_buf[n_bufs] = i;
            p->buf[n_bufs++] = (MieniBuf){ (size_t)s->n_jobs * s->work_elems * sizeof(float), i, i, 0 };
        }
    }
    int ret = mieni_plan_place(p->buf, n_bufs, &net->block_bytes);
    if (ret < 0)
        return mien_fail(net->log, ret, "%s: a network of this size does not fit into memory", net->model->path);
    return n_roots;
}

/* Everything up to the size of the block; returns what place returns. */
static int plan_net(MienNet *net, Plan *p, const MienNetParams *params)
{
    const MienModel *m = net->model;
    int n_acts = m->n_nodes + 1, ret;
    const MieniInput *in = &m->input;
    if (params->n < 1 || params->n > MIENI_MAX_BATCH)
        return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: a batch of %d; 1 to %d are possible", m->path, params->n,
                         MIENI_MAX_BATCH);
    int h = params->h_px ? params->h_px : in->h, w = params->w_px ? params->w_px : in->w;
    if (h < 1 || w < 1)
        return mien_fail(net->log, MIEN_E_SHAPE, "%s: the input's size is free and none was given", m->path);
    if ((in->h && h != in->h) || (in->w && w != in->w))
        return mien_fail(net->log, MIEN_E_SHAPE, "%s: the input is %dx%d (height, width), the network takes %dx%d", m->path, h,
                         w, in->h ? in->h : h, in->w ? in->w : w);
    if (!(net->shape = mien_calloc((size_t)n_acts, sizeof(*net->shape))) ||
        !(net->act = mien_calloc((size_t)n_acts, sizeof(*net->act))))
        return MIEN_ERR(ENOMEM);
    if ((ret = alloc_plan(p, n_acts)) < 0 ||
        (ret = mieni_graph_infer(m, (MienShape){ params->n, h, w, in->c }, net->shape, net->log)) < 0 ||
        (ret = choose_steps(net, p)) < 0)
        return ret;
    fill_steps(net, p, mieni_kernels(params->cpu), params->exec.n_threads);
    find_lifetimes(net, p);
    return place(net, p, n_acts);
}

static void set_pointers(MienNet *net, const Plan *p, int n_roots)
{
    const MienModel *m = net->model;
    for (int i = 0; i < n_roots; i++)
        net->act[p->act_of_buf[i]] = (float *)(void *)(net->block + p->buf[i].offset);
    for (int a = 1; a < m->n_nodes + 1; a++) {
        if (p->needed[a])
            net->act[a] = net->act[p->root[a]];
    }
    for (int i = 0, b = n_roots; i < net->n_steps; i++) {
        MieniStep *s = &net->step[i];
        for (int k = 0; k < s->n_in; k++)
            s->in[k] = net->act[s->node->in[k]];
        s->out = net->act[s->node - m->node + 1];
        if (s->work_elems)
            s->work = (float *)(void *)(net->block + p->buf[b++].offset);
    }
}

static MienNet *new_net(MienModel *model, const MienNetParams *params)
{
    MienNet *net = mien_calloc(1, sizeof(*net));
    if (net) {
        net->model = mien_model_ref(model);
        net->exec = params->exec;
        net->log = params->log;
    }
    return net;
}

int mien_net_create(MienNet **out, MienModel *model, const MienNetParams *params)
{
    *out = NULL;
    Plan plan = { 0 };
    MienNet *net = new_net(model, params);
    if (!net)
        return MIEN_ERR(ENOMEM);
    int ret = plan_net(net, &plan, params);
    if (ret < 0)
        goto fail;
    int n_roots = ret;
    if (!(net->block = mien_malloc(net->block_bytes))) {
        ret = mien_fail(net->log, MIEN_ERR(ENOMEM), "%s: no memory for the %zu bytes that this input size needs", model->path,
                        net->block_bytes);
        goto fail;
    }
    set_pointers(net, &plan, n_roots);
    free_plan(&plan);
    memset(net->act[0], 0, mien_shape_elems(net->shape[0]) * sizeof(float));
    if (mieni_cpu_unknown_word())
        mien_log(net->log, MIEN_LOG_WARN, "MIEN_CPU=%s is unknown and ignored; known are auto, c, blas, avx2, avx512",
                 mieni_cpu_unknown_word());
    if (mieni_blas_threads())
        mien_log(net->log, MIEN_LOG_WARN,
                 "the OpenBLAS of this process runs threads of its own; set OPENBLAS_NUM_THREADS=1 for speed");
    *out = net;
    return 0;
fail:
    free_plan(&plan);
    mien_net_destroy(&net);
    return ret;
}

int mien_net_estimate(MienModel *model, const MienNetParams *params, size_t *memory_bytes, uint64_t *macs)
{
    Plan plan = { 0 };
    MienNet *net = new_net(model, params);
    if (!net)
        return MIEN_ERR(ENOMEM);
    int ret = plan_net(net, &plan, params);
    if (memory_bytes)
        *memory_bytes = net->block_bytes;
    if (macs)
        *macs = net->macs;
    free_plan(&plan);
    mien_net_destroy(&net);
    return ret < 0 ? ret : 0;
}

void mien_net_destroy(MienNet **pnet)
{
    if (!pnet || !*pnet)
        return;
    MienNet *net = *pnet;
    mien_model_unref(&net->model);
    mien_free(net->shape);
    mien_free(net->act);
    mien_free(net->step);
    mien_free(net->block);
    mien_free(net);
    *pnet = NULL;
}

/* ---- running */

static void step_job(void *arg, int i_job, int n_jobs)
{
    const MieniStep *s = arg;
    uint64_t fp = mieni_fp_enter();
    int tile0 = (int)((int64_t)s->n_tiles * i_job / n_jobs), tile1 = (int)((int64_t)s->n_tiles * (i_job + 1) / n_jobs);
    s->node->op->forward(s, tile0, tile1, s->work ? s->work + (size_t)i_job * s->work_elems : NULL);
    mieni_fp_leave(fp);
}

int mien_net_run(MienNet *net)
{
    for (int i = 0; i < net->n_steps; i++)
        mien_exec_run(net->exec, step_job, &net->step[i], net->step[i].n_jobs);
    return 0;
}

/* ---- getters */

size_t mien_net_memory_bytes(const MienNet *net)
{
    return net->block_bytes;
}

uint64_t mien_net_macs(const MienNet *net)
{
    return net->macs;
}

float *mien_net_input(MienNet *net, MienShape *shape)
{
    if (shape)
        *shape = net->shape[0];
    return net->act[0];
}

const float *mien_net_output(const MienNet *net, int i_output, MienShape *shape)
{
    if (i_output < 0 || i_output >= net->model->n_outputs)
        return NULL;
    int a = net->model->output[i_output].activation;
    if (shape)
        *shape = net->shape[a];
    return net->act[a];
}

const float *mien_net_output_named(const MienNet *net, const char *name, MienShape *shape)
{
    for (int i = 0; i < net->model->n_outputs; i++) {
        if (!strcmp(net->model->output[i].name, name))
            return mien_net_output(net, i, shape);
    }
    return NULL;
}
