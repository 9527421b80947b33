/* Going backward: reverse-mode differentiation over the steps of a net, in the net's own block of memory.
 *
 * Time goes on behind the forward steps 0 … S-1: at S the caller writes dJ/d(outputs), at 2S - i step i goes backward, at 2S + 1 the
 * caller reads. An activation that a backward step reads lives until then; a gradient lives from its first contribution to
 * the step that made its activation. So one plan of lifetimes places everything, and nothing is recomputed.
 *
 * Contributions to one gradient are added in a fixed order: the caller's, then those of its readers from the last to the first.
 *
 * What ops have in common is done here: the activation that an op applies to its result, its slopes, the bias. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernels/fpenv.h"
#include "mien/error.h"
#include "nn/nn.h"

enum { SUM_C = 64, TILE_ELEMS = 16384 };

int mieni_grad_end(const MienNet *net)
{
    return net->grad ? 2 * net->n_steps + 1 : net->n_steps;
}

static int time_of(const MienNet *net, int i_step)
{
    return 2 * net->n_steps - i_step;
}

static int activation_of(const MienNet *net, const MieniStep *s)
{
    return (int)(s->node - net->model->node) + 1;
}

static const MieniNode *node_of(const MieniGrad *g)
{
    return g->step->node;
}

/* ---- planning */

/* Whether dJ/d(activation a) leads to anything that was asked for. */
static int flows(const MienNet *net, const MieniPlan *p, int a)
{
    return a ? net->back[p->first[a]].step != NULL : (net->grad & MIEN_NET_GRAD_INPUT) != 0;
}

/* In the order of MIENI_DWEIGHT and so on. */
static void weights_of(const MieniNode *node, const float *w[MIENI_N_DW])
{
    w[MIENI_DWEIGHT] = node->weight;
    w[MIENI_DBIAS] = node->bias;
    w[MIENI_DSCALE] = node->scale;
    w[MIENI_DSLOPE] = node->act.slope;
}

static int trained(const MienNet *net, const MieniNode *node)
{
    int found = !net->train;
    for (int i = 0; i < net->n_train && !found; i++)
        found = !strcmp(net->train[i], node->name);
    return found;
}

/* A name that no step has would be a layer that silently stays as it is. */
static int check_train(const MienNet *net)
{
    for (int i = 0; net->train && i < net->n_train; i++) {
        int found = 0;
        for (int k = 0; k < net->n_steps && !found; k++)
            found = !strcmp(net->train[i], net->step[k].node->name);
        if (!found)
            return mien_fail(net->log, MIEN_E_NOTFOUND, "%s: the network has no node '%s' to train", net->model->path, net->train[i]);
    }
    return 0;
}

static void find_flow(MienNet *net, const MieniPlan *p)
{
    for (int i = 0; i < net->n_steps; i++) {
        MieniStep *s = &net->step[i];
        MieniGrad *g = &net->back[i];
        const float *w[MIENI_N_DW];
        weights_of(s->node, w);
        for (int k = 0; k < s->n_in; k++)
            g->wants |= (unsigned)flows(net, p, s->node->in[k]) << k;
        for (int k = 0; k < MIENI_N_DW && net->grad & MIEN_NET_GRAD_WEIGHTS && trained(net, s->node); k++)
            g->wants_w |= (unsigned)(w[k] != NULL) << k;
        if (g->wants | g->wants_w)
            g->step = s;
    }
}

static void keep(MieniPlan *p, int a, int until)
{
    if (p->last[a] < until)
        p->last[a] = until;
}

static void keep_activations(MienNet *net, MieniPlan *p)
{
    for (int i = 0; i < net->n_steps; i++) {
        const MieniGrad *g = &net->back[i];
        if (!g->step)
            continue;
        const MieniNode *node = node_of(g);
        unsigned reads = node->op->grad_reads | (g->wants_w ? node->op->grad_reads_w : 0);
        if (node->act.kind == MIENI_ACT_RELU || node->act.kind == MIENI_ACT_SIGMOID)
            reads |= MIENI_READS_OUT;
        for (int k = 0; k < node->n_in; k++) {
            if (reads >> k & 1)
                keep(p, node->in[k], time_of(net, i));
        }
        if (reads & MIENI_READS_OUT)
            keep(p, activation_of(net, g->step), time_of(net, i));
    }
}

static void plan_steps(MienNet *net)
{
    for (int i = 0; i < net->n_steps; i++) {
        MieniGrad *g = &net->back[i];
        if (!g->step)
            continue;
        g->n_passes = 1;
        g->n_tiles[0] = g->step->n_tiles;
        if (node_of(g)->op->plan_backward)
            node_of(g)->op->plan_backward(g);
        int most = 1;
        for (int k = 0; k < g->n_passes; k++)
            most = g->n_tiles[k] > most ? g->n_tiles[k] : most;
        g->n_jobs = mieni_n_jobs(most, net->exec.n_threads);
    }
}

/* The gradient of input k of step i: the first contribution makes it, perhaps over dout; a later one is added. */
static void plan_contribution(MienNet *net, MieniPlan *p, int i, int k, int *in_place)
{
    MieniGrad *g = &net->back[i];
    const MieniOp *op = node_of(g)->op;
    int a = node_of(g)->in[k], out = activation_of(net, g->step);
    if (p->dfirst[a] != INT_MAX) {
        if (op->grad_adds >> k & 1)
            g->add |= 1u << k;
        else
            g->sums |= 1u << k;
        return;
    }
    p->dfirst[a] = time_of(net, i);
    if (*in_place || !(op->grad_in_place >> k & 1) || mien_shape_elems(net->shape[a]) != mien_shape_elems(net->shape[out]))
        return;
    *in_place = 1;
    p->droot[a] = p->droot[out];
    p->dlast[p->droot[a]] = p->dlast[a];
}

static void find_gradients(MienNet *net, MieniPlan *p)
{
    for (int a = 0; a < net->model->n_nodes + 1; a++) {
        p->dfirst[a] = INT_MAX;
        p->droot[a] = a;
        p->dlast[a] = !a ? mieni_grad_end(net) : p->needed[a] && flows(net, p, a) ? time_of(net, p->first[a]) : net->n_steps;
    }
    for (int i = 0; i < net->n_outputs; i++)
        p->dfirst[net->output[i].activation] = net->n_steps;
    for (int i = net->n_steps - 1; i >= 0; i--) {
        const MieniGrad *g = &net->back[i];
        for (int k = 0, in_place = 0; g->step && k < g->step->n_in; k++) {
            if (g->wants >> k & 1)
                plan_contribution(net, p, i, k, &in_place);
        }
    }
}

/* The tensors whose gradients are wanted, and their sizes. */
static int find_weights(MienNet *net)
{
    static const char *const suffix[MIENI_N_DW] = { "weight", "bias", "scale", "slope" };
    char name[MIENI_MAX_NAME + 32];
    if (!(net->dweight = mien_calloc((size_t)net->n_steps * MIENI_N_DW + 1, sizeof(*net->dweight))))
        return MIEN_ERR(ENOMEM);
    for (int i = 0; i < net->n_steps; i++) {
        for (int k = 0; k < MIENI_N_DW; k++) {
            if (!(net->back[i].wants_w >> k & 1))
                continue;
            snprintf(name, sizeof(name), "%s.%s", net->step[i].node->name, suffix[k]);
            const MienTensor *t = mien_weights_find(net->model->weights, name);
            net->dweight[net->n_dweights++] = (MieniWeightGrad){ t->name, NULL, mien_tensor_elems(t) };
        }
    }
    return 0;
}

int mieni_grad_plan(MienNet *net, MieniPlan *p)
{
    if (!net->grad)
        return 0;
    size_t n_acts = (size_t)net->model->n_nodes + 1;
    if (!(net->dact = mien_calloc(n_acts, sizeof(*net->dact))) ||
        !(net->back = mien_calloc((size_t)net->n_steps + 1, sizeof(*net->back))) ||
        !(p->dfirst = mien_calloc(n_acts, sizeof(*p->dfirst))) || !(p->dlast = mien_calloc(n_acts, sizeof(*p->dlast))) ||
        !(p->droot = mien_calloc(n_acts, sizeof(*p->droot))))
        return MIEN_ERR(ENOMEM);
    int ret = check_train(net);
    if (ret < 0)
        return ret;
    find_flow(net, p);
    keep_activations(net, p);
    plan_steps(net);
    find_gradients(net, p);
    return find_weights(net);
}

static int place_step(MienNet *net, MieniPlan *p, int i, int *i_weight)
{
    MieniGrad *g = &net->back[i];
    MieniStep *s = &net->step[i];
    int t = time_of(net, i), ret = 0;
    if (node_of(g)->op->takes_act && node_of(g)->act.kind == MIENI_ACT_PRELU)
        ret = mieni_plan_add(p, &s->pre, mien_shape_elems(s->out_shape), i, t);
    for (int k = 0; k < s->n_in && !ret; k++) {
        if (g->sums >> k & 1)
            ret = mieni_plan_add(p, &g->din[k], mien_shape_elems(s->in_shape[k]), t, t);
    }
    for (int k = 0; k < MIENI_N_DW && !ret; k++) {
        if (g->wants_w >> k & 1)
            ret = mieni_plan_add(p, &g->dw[k], net->dweight[(*i_weight)++].n_elems, t, mieni_grad_end(net));
    }
    if (!ret)
        ret = mieni_plan_add_work(p, &g->shared, &g->shared_elems, 1, t);
    return ret ? ret : mieni_plan_add_work(p, &g->work, &g->work_elems, g->n_jobs, t);
}

int mieni_grad_place(MienNet *net, MieniPlan *p)
{
    int ret = 0, i_weight = 0;
    if (!net->grad)
        return 0;
    for (int a = 0; a < net->model->n_nodes + 1 && !ret; a++) {
        if (p->dfirst[a] != INT_MAX && p->droot[a] == a)
            ret = mieni_plan_add(p, &net->dact[a], mien_shape_elems(net->shape[a]), p->dfirst[a], p->dlast[a]);
    }
    for (int i = 0; i < net->n_steps && !ret; i++) {
        if (net->back[i].step)
            ret = place_step(net, p, i, &i_weight);
    }
    return ret;
}

void mieni_grad_set_pointers(MienNet *net, const MieniPlan *p)
{
    int i_weight = 0;
    if (!net->grad)
        return;
    for (int a = 0; a < net->model->n_nodes + 1; a++) {
        if (p->dfirst[a] != INT_MAX)
            net->dact[a] = net->dact[p->droot[a]];
    }
    for (int i = 0; i < net->n_steps; i++) {
        MieniGrad *g = &net->back[i];
        if (!g->step)
            continue;
        g->dout = net->dact[activation_of(net, g->step)];
        g->pre = g->step->pre ? g->step->pre : g->step->in[0];
        for (int k = 0; k < g->step->n_in; k++) {
            if (g->wants >> k & 1) {
                g->grad_of[k] = net->dact[node_of(g)->in[k]];
                if (!(g->sums >> k & 1))
                    g->din[k] = g->grad_of[k];
            }
        }
        for (int k = 0; k < MIENI_N_DW; k++) {
            if (g->wants_w >> k & 1)
                net->dweight[i_weight++].grad = g->dw[k];
        }
    }
}

/* ---- running */

typedef struct Job Job;
typedef void (*TileFn)(const Job *job, int tile0, int tile1, float *work);
struct Job {
    const MieniGrad *g;
    TileFn fn;
    int n_tiles, i_pass;
    MienShape shape; /* of what is cut into tiles of pixels or channels */
};

static void op_tiles(const Job *job, int tile0, int tile1, float *work)
{
    node_of(job->g)->op->backward(job->g, job->i_pass, tile0, tile1, work);
}

static void run_job(void *arg, int i_job, int n_jobs)
{
    const Job *job = arg;
    const MieniGrad *g = job->g;
    uint64_t fp = mieni_fp_enter();
    int tile0 = (int)((int64_t)job->n_tiles * i_job / n_jobs), tile1 = (int)((int64_t)job->n_tiles * (i_job + 1) / n_jobs);
    job->fn(job, tile0, tile1, job->fn == op_tiles && g->work ? g->work + (size_t)i_job * g->work_elems : NULL);
    mieni_fp_leave(fp);
}

static void run(const MienNet *net, const Job *job)
{
    if (job->n_tiles)
        mien_exec_run(net->exec, run_job, (void *)(uintptr_t)job, mieni_n_jobs(job->n_tiles, net->exec.n_threads));
}

static size_t n_pixels(MienShape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w;
}

static size_t tile_pixels(int c)
{
    return c < TILE_ELEMS ? (size_t)(TILE_ELEMS / c) : 1;
}

/* Pixels of tile i; 0 behind the last. */
static size_t pixels_of(const Job *job, int i, size_t *px0)
{
    size_t tile = tile_pixels(job->shape.c), n = n_pixels(job->shape);
    *px0 = (size_t)i * tile;
    return n - *px0 < tile ? n - *px0 : tile;
}

static void run_pixels(const MienNet *net, Job job)
{
    size_t tile = tile_pixels(job.shape.c);
    job.n_tiles = (int)((n_pixels(job.shape) + tile - 1) / tile);
    run(net, &job);
}

static void run_channels(const MienNet *net, Job job)
{
    job.n_tiles = (job.shape.c + SUM_C - 1) / SUM_C;
    run(net, &job);
}

static void act_tiles(const Job *job, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniGrad *g = job->g;
    size_t c = (size_t)job->shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = pixels_of(job, i, &px0);
        MieniActKind kind = node_of(g)->act.kind;
        const float *at = kind == MIENI_ACT_PRELU ? g->pre : g->step->out;
        g->step->kernels->act_grad_f32(g->dout + px0 * c, at + px0 * c, (ptrdiff_t)n_px, job->shape.c, node_of(g)->act);
    }
}

/* Sums over all pixels, of SUM_C channels a tile: the sum of a channel is one job's. */
static void slope_tiles(const Job *job, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniGrad *g = job->g;
    int c = job->shape.c, c0 = tile0 * SUM_C, c1 = tile1 * SUM_C < c ? tile1 * SUM_C : c;
    mieni_sum_f32_c(g->dw[MIENI_DSLOPE] + c0, g->dout + c0, g->pre + c0, 1, (ptrdiff_t)n_pixels(job->shape), c, c1 - c0);
}

static void bias_tiles(const Job *job, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniGrad *g = job->g;
    int c = job->shape.c, c0 = tile0 * SUM_C, c1 = tile1 * SUM_C < c ? tile1 * SUM_C : c;
    mieni_sum_f32_c(g->dw[MIENI_DBIAS] + c0, g->dout + c0, NULL, 0, (ptrdiff_t)n_pixels(job->shape), c, c1 - c0);
}

static void sum_tiles(const Job *job, int tile0, int tile1, float *work)
{
    (void)work;
    const MieniGrad *g = job->g;
    size_t c = (size_t)job->shape.c;
    for (int i = tile0; i < tile1; i++) {
        size_t px0, n_px = pixels_of(job, i, &px0);
        float *to = g->grad_of[job->i_pass] + px0 * c;
        g->step->kernels->add_f32(to, to, g->din[job->i_pass] + px0 * c, 1, 1, (ptrdiff_t)n_px, job->shape.c,
                                  (MieniAct){ MIENI_ACT_NONE, NULL });
    }
}

static void step_backward(const MienNet *net, const MieniGrad *g)
{
    MienShape out = g->step->out_shape;
    if (g->dw[MIENI_DSLOPE])
        run_channels(net, (Job){ .g = g, .fn = slope_tiles, .shape = out });
    if (node_of(g)->act.kind != MIENI_ACT_NONE)
        run_pixels(net, (Job){ .g = g, .fn = act_tiles, .shape = out });
    if (g->dw[MIENI_DBIAS])
        run_channels(net, (Job){ .g = g, .fn = bias_tiles, .shape = out });
    for (int k = 0; k < g->n_passes; k++)
        run(net, &(Job){ .g = g, .fn = op_tiles, .n_tiles = g->n_tiles[k], .i_pass = k });
    for (int k = 0; k < g->step->n_in; k++) {
        if (g->sums >> k & 1)
            run_pixels(net, (Job){ .g = g, .fn = sum_tiles, .i_pass = k, .shape = g->step->in_shape[k] });
    }
}

int mien_net_backward(MienNet *net)
{
    if (!net->grad || !net->ran)
        return mien_fail(net->log, MIEN_ERR(EINVAL), "%s: %s", net->model->path,
                         net->grad ? "a backward pass without a run before it" : "this net was made without gradients");
    net->ran = 0;
    for (int i = net->n_steps - 1; i >= 0; i--) {
        if (net->back[i].step)
            step_backward(net, &net->back[i]);
    }
    return 0;
}

void mieni_copy_backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work)
{
    (void)work;
    uint64_t n = mien_shape_elems(g->step->out_shape), n_tiles = (uint64_t)g->n_tiles[i_pass];
    size_t e0 = (size_t)(n * (uint64_t)tile0 / n_tiles), e1 = (size_t)(n * (uint64_t)tile1 / n_tiles);
    if (g->din[0] && g->din[0] != g->dout)
        memcpy(g->din[0] + e0, g->dout + e0, (e1 - e0) * sizeof(float));
}

/* ---- getters */

float *mien_net_output_grad(MienNet *net, int i_output, MienShape *shape)
{
    if (!net->grad || !mien_net_output(net, i_output, shape))
        return NULL;
    return net->dact[net->output[i_output].activation];
}

const float *mien_net_input_grad(const MienNet *net, MienShape *shape)
{
    if (shape)
        *shape = net->shape[0];
    return net->grad & MIEN_NET_GRAD_INPUT ? net->dact[0] : NULL;
}

int mien_net_n_weight_grads(const MienNet *net)
{
    return net->n_dweights;
}

const float *mien_net_weight_grad_at(const MienNet *net, int i, const char **name, size_t *n_elems)
{
    if (i < 0 || i >= net->n_dweights)
        return NULL;
    if (name)
        *name = net->dweight[i].name;
    if (n_elems)
        *n_elems = net->dweight[i].n_elems;
    return net->dweight[i].grad;
}

const float *mien_net_weight_grad(const MienNet *net, const char *name, size_t *n_elems)
{
    for (int i = 0; i < net->n_dweights; i++) {
        if (!strcmp(net->dweight[i].name, name))
            return mien_net_weight_grad_at(net, i, NULL, n_elems);
    }
    return NULL;
}
