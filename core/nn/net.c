/* A net: a model planned for one input size, and running it.
 *
 * Planning: shapes → which nodes the outputs need → in-place chains → lifetimes → one block → steps with their pointers. Running:
 * for each step its tiles as jobs. How work is cut into tiles depends on shapes and CPU level alone, and each job's
 * scratch is its own, so the number of threads changes no bit of the result. Going backward is in grad.c. */
#include <string.h>

#include "kernels/fpenv.h"
#include "mien/error.h"
#include "nn/nn.h"

static void free_plan(MieniPlan *p)
{
    mien_free(p->needed);
    mien_free(p->first);
    mien_free(p->last);
    mien_free(p->root);
    mien_free(p->dfirst);
    mien_free(p->dlast);
    mien_free(p->droot);
    mien_free(p->buf);
    mien_free(p->at);
}

/* Buffers: an activation's memory and workspace; with gradients, twice that, `pre`, `shared`, weights and sums of inputs. */
static int alloc_plan(MieniPlan *p, int n_acts, unsigned grad)
{
    size_t n = (size_t)n_acts;
    p->max_bufs = n_acts * (grad ? 4 + 2 + MIENI_N_DW + MIENI_MAX_IN : 2);
    p->needed = mien_calloc(n, sizeof(*p->needed));
    p->first = mien_calloc(n, sizeof(*p->first));
    p->last = mien_calloc(n, sizeof(*p->last));
    p->root = mien_calloc(n, sizeof(*p->root));
    p->buf = mien_calloc((size_t)p->max_bufs, sizeof(*p->buf));
    p->at = mien_calloc((size_t)p->max_bufs, sizeof(*p->at));
    return p->needed && p->first && p->last && p->root && p->buf && p->at ? 0 : MIEN_ERR(ENOMEM);
}

int mieni_plan_add(MieniPlan *p, float **at, size_t elems, int first, int last)
{
    if (elems > SIZE_MAX / 8)
        return MIEN_ERR(ENOMEM);
    p->at[p->n_bufs] = at;
    p->buf[p->n_bufs++] = (MieniBuf){ elems * sizeof(float), first, last, 0 };
    return 0;
}

int mieni_plan_add_work(MieniPlan *p, float **at, size_t *elems, int n_jobs, int step)
{
    if (!*elems)
        return 0;
    if (*elems > SIZE_MAX / 8 / MIENI_MAX_JOBS)
        return MIEN_ERR(ENOMEM);
    *elems = (*elems + 15) / 16 * 16; /* each slot starts at 64 bytes */
    return mieni_plan_add(p, at, (size_t)n_jobs * *elems, step, step);
}

/* The model's outputs, or those that the caller names: any activation. */
static int choose_outputs(MienNet *net, const MienNetParams *params)
{
    const MienModel *m = net->model;
    int n = params->outputs ? params->n_outputs : m->n_outputs;
    if (n < 1 || n > MIENI_MAX_NODES)
        return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: %d outputs were asked for", m->path, n);
    if (!(net->output = mien_calloc((size_t)n, sizeof(*net->output))))
        return MIEN_ERR(ENOMEM);
    net->n_outputs = n;
    if (!params->outputs) {
        memcpy(net->output, m->output, (size_t)n * sizeof(*net->output));
        return 0;
    }
    for (int i = 0; i < n; i++) {
        const char *name = params->outputs[i];
        int a = strcmp(name, m->input.name) ? -1 : 0;
        for (int k = 0; k < m->n_nodes && a < 0; k++)
            a = strcmp(name, m->node[k].out) ? -1 : k + 1;
        if (a < 0)
            return mien_fail(net->log, MIEN_E_NOTFOUND, "%s: the network has no activation '%s'", m->path, name);
        for (int k = 0; k < i; k++) {
            if (net->output[k].activation == a)
                return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: the output '%s' was asked for twice", m->path, name);
        }
        net->output[i].activation = a;
        memcpy(net->output[i].name, a ? m->node[a - 1].out : m->input.name, sizeof(net->output[i].name));
    }
    return 0;
}

/* Steps for the nodes that an output depends on, in the file's order. */
static int choose_steps(MienNet *net, MieniPlan *p)
{
    const MienModel *m = net->model;
    for (int i = 0; i < net->n_outputs; i++)
        p->needed[net->output[i].activation] = 1;
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

int mieni_n_jobs(int n_tiles, int n_threads)
{
    int n = n_tiles < n_threads ? n_tiles : n_threads;
    return n < 1 ? 1 : n > MIENI_MAX_JOBS ? MIENI_MAX_JOBS : n;
}

/* How many jobs a step is worth. Waking a thread and waiting for it takes tens of microseconds, so each should last longer than that. */
static int worth_jobs(uint64_t macs, MienShape out, int n_threads)
{
    enum { JOB_MACS = 2 << 20, ELEM_MACS = 16 }; /* some 50 µs of one core; an element that only passes through memory */
    uint64_t n = (macs ? macs : ELEM_MACS * (uint64_t)mien_shape_elems(out)) / JOB_MACS;
    return n < 1 ? 1 : n < (uint64_t)n_threads ? (int)n : n_threads;
}

static void fill_steps(MienNet *net, const MieniPlan *p, const MienKernels *kernels, int n_threads)
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
        uint64_t macs = node->op->macs ? node->op->macs(node, s->in_shape, &s->out_shape) : 0;
        net->macs += macs;
        s->n_jobs = mieni_n_jobs(s->n_tiles, worth_jobs(macs, s->out_shape, n_threads));
    }
}

/* First and last step of each activation. */
static void find_lifetimes(const MienNet *net, MieniPlan *p)
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
    for (int i = 0; i < net->n_outputs; i++)
        p->last[net->output[i].activation] = mieni_grad_end(net);
}

/* Which activations may share memory: an element-wise node writes over an input that nothing reads afterwards. */
static void share_memory(const MienNet *net, MieniPlan *p)
{
    const MienModel *m = net->model;
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

/* Sizes and places of all memory. Workspace lives in its step alone. */
static int place(MienNet *net, MieniPlan *p)
{
    int ret = 0;
    for (int a = 0; a < net->model->n_nodes + 1 && !ret; a++) {
        if (p->needed[a] && p->root[a] == a)
            ret = mieni_plan_add(p, &net->act[a], mien_shape_elems(net->shape[a]), p->first[a], p->last[a]);
    }
    for (int i = 0; i < net->n_steps && !ret; i++) {
        MieniStep *s = &net->step[i];
        ret = mieni_plan_add_work(p, &s->work, &s->work_elems, s->n_jobs, i);
    }
    if (!ret)
        ret = mieni_grad_place(net, p);
    if (!ret)
        ret = mieni_plan_place(p->buf, p->n_bufs, &net->block_bytes);
    if (ret < 0)
        return mien_fail(net->log, ret, "%s: a network of this size does not fit into memory", net->model->path);
    return 0;
}

/* Everything up to the size of the block. */
static int plan_net(MienNet *net, MieniPlan *p, const MienNetParams *params)
{
    const MienModel *m = net->model;
    int n_acts = m->n_nodes + 1, ret;
    const MieniInput *in = &m->input;
    if (params->n < 1 || params->n > MIENI_MAX_BATCH)
        return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: a batch of %d; 1 to %d are possible", m->path, params->n,
                         MIENI_MAX_BATCH);
    if (params->grad & ~(unsigned)(MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS))
        return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: grad has unknown bits (0x%x)", m->path, params->grad);
    int h = params->h_px ? params->h_px : in->h, w = params->w_px ? params->w_px : in->w;
    if (h < 1 || w < 1)
        return mien_fail(net->log, MIEN_E_SHAPE, "%s: the input's size is free and none was given", m->path);
    if ((in->h && h != in->h) || (in->w && w != in->w))
        return mien_fail(net->log, MIEN_E_SHAPE, "%s: the input is %dx%d (height, width), the network takes %dx%d", m->path, h,
                         w, in->h ? in->h : h, in->w ? in->w : w);
    if (!(net->shape = mien_calloc((size_t)n_acts, sizeof(*net->shape))) ||
        !(net->act = mien_calloc((size_t)n_acts, sizeof(*net->act))))
        return MIEN_ERR(ENOMEM);
    if ((ret = choose_outputs(net, params)) < 0 || (ret = alloc_plan(p, n_acts, net->grad)) < 0 ||
        (ret = mieni_graph_infer(m, (MienShape){ params->n, h, w, in->c }, net->shape, net->log)) < 0 ||
        (ret = choose_steps(net, p)) < 0)
        return ret;
    fill_steps(net, p, mieni_kernels(params->cpu), params->exec.n_threads);
    find_lifetimes(net, p);
    if ((ret = mieni_grad_plan(net, p)) < 0)
        return ret;
    share_memory(net, p);
    return place(net, p);
}

static void set_pointers(MienNet *net, const MieniPlan *p)
{
    const MienModel *m = net->model;
    for (int i = 0; i < p->n_bufs; i++)
        *p->at[i] = (float *)(void *)(net->block + p->buf[i].offset);
    for (int a = 1; a < m->n_nodes + 1; a++) {
        if (p->needed[a])
            net->act[a] = net->act[p->root[a]];
    }
    for (int i = 0; i < net->n_steps; i++) {
        MieniStep *s = &net->step[i];
        for (int k = 0; k < s->n_in; k++)
            s->in[k] = net->act[s->node->in[k]];
        s->out = net->act[s->node - m->node + 1];
    }
    mieni_grad_set_pointers(net, p);
}

static MienNet *new_net(MienModel *model, const MienNetParams *params)
{
    MienNet *net = mien_calloc(1, sizeof(*net));
    if (net) {
        net->model = mien_model_ref(model);
        net->exec = params->exec;
        net->log = params->log;
        net->grad = params->grad;
        net->train = params->train;
        net->n_train = params->n_train;
    }
    return net;
}

int mien_net_create(MienNet **out, MienModel *model, const MienNetParams *params)
{
    *out = NULL;
    MieniPlan plan = { 0 };
    MienNet *net = new_net(model, params);
    if (!net)
        return MIEN_ERR(ENOMEM);
    int ret = plan_net(net, &plan, params);
    if (ret < 0)
        goto fail;
    if (!(net->block = mien_malloc(net->block_bytes))) {
        ret = mien_fail(net->log, MIEN_ERR(ENOMEM), "%s: no memory for the %zu bytes that this input size needs", model->path,
                        net->block_bytes);
        goto fail;
    }
    set_pointers(net, &plan);
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
    MieniPlan plan = { 0 };
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
    mien_free(net->output);
    mien_free(net->dact);
    mien_free(net->back);
    mien_free(net->dweight);
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
    net->ran = 1;
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

int mien_net_n_outputs(const MienNet *net)
{
    return net->n_outputs;
}

const float *mien_net_output(const MienNet *net, int i_output, MienShape *shape)
{
    if (i_output < 0 || i_output >= net->n_outputs)
        return NULL;
    int a = net->output[i_output].activation;
    if (shape)
        *shape = net->shape[a];
    return net->act[a];
}

const float *mien_net_output_named(const MienNet *net, const char *name, MienShape *shape)
{
    for (int i = 0; i < net->n_outputs; i++) {
        if (!strcmp(net->output[i].name, name))
            return mien_net_output(net, i, shape);
    }
    return NULL;
}
