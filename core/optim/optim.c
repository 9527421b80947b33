/* What the optimisers share: parameters, memory, evaluation. */
#include <math.h>
#include <string.h>

#include "optim/optim_int.h"

#define MAX_HISTORY 100

static const MieniOptimMethod *const method_table[] = {
    [MIEN_OPTIM_ADAM] = &mieni_optim_adam,
    [MIEN_OPTIM_SGD] = &mieni_optim_sgd,
    [MIEN_OPTIM_LBFGS] = &mieni_optim_lbfgs,
};

/* Vectors start at multiples of 64 bytes. */
static size_t padded_elems(size_t n)
{
    return (n + 15) / 16 * 16;
}

static int params_valid(const MienOptimParams *p)
{
    return (size_t)p->kind < MIEN_ARRAY_ELEMS(method_table) && p->n >= 1 && p->n < SIZE_MAX / 4096 && p->rate > 0 &&
           p->beta1 >= 0 && p->beta1 < 1 && p->beta2 >= 0 && p->beta2 < 1 && p->eps > 0 && p->momentum >= 0 && p->momentum < 1 && p->history >= 1 &&
           p->history <= MAX_HISTORY && p->max_evals >= 1 && p->wolfe_c1 > 0 && p->wolfe_c1 < p->wolfe_c2 && p->wolfe_c2 < 1;
}

size_t mien_optim_memory_bytes(const MienOptimParams *p)
{
    if (!params_valid(p))
        return 0;
    return (size_t)method_table[p->kind]->n_vectors(p) * padded_elems(p->n) * sizeof(float) +
           (mieni_vec_blocks(p->n) + 2 * (size_t)p->history) * sizeof(double);
}

int mien_optim_create(MienOptim **out, const MienOptimParams *params)
{
    *out = NULL;
    if (!params_valid(params))
        return mien_fail(params->log, MIEN_ERR(EINVAL), "optimiser: a parameter is out of range");
    MienOptim *o = mien_calloc(1, sizeof(*o));
    if (!o)
        return MIEN_ERR(ENOMEM);
    o->p = *params;
    o->method = method_table[params->kind];
    size_t n_vectors = (size_t)o->method->n_vectors(params), elems = padded_elems(params->n);
    o->vector = mien_calloc(n_vectors, sizeof(*o->vector));
    o->block = mien_calloc(n_vectors, elems * sizeof(float));
    o->scratch = mien_malloc_array(mieni_vec_blocks(params->n), sizeof(double));
    o->rho = mien_malloc_array((size_t)params->history, sizeof(double));
    o->alpha = mien_malloc_array((size_t)params->history, sizeof(double));
    if (!o->vector || !o->block || !o->scratch || !o->rho || !o->alpha) {
        mien_optim_destroy(&o);
        return mien_fail(params->log, MIEN_ERR(ENOMEM), "optimiser: out of memory for %zu bytes",
                         mien_optim_memory_bytes(params));
    }
    for (size_t i = 0; i < n_vectors; i++)
        o->vector[i] = o->block + i * elems;
    mien_optim_reset(o);
    *out = o;
    return 0;
}

void mien_optim_destroy(MienOptim **po)
{
    if (!po || !*po)
        return;
    MienOptim *o = *po;
    mien_free(o->vector);
    mien_free(o->block);
    mien_free(o->scratch);
    mien_free(o->rho);
    mien_free(o->alpha);
    mien_free(o);
    *po = NULL;
}

int mieni_optim_eval(MienOptim *o, MienObjectiveFn objective, void *priv, const float *x, double *loss, float *gradient)
{
    o->n_evals++;
    int ret = objective(priv, x, loss, gradient);
    if (ret < 0)
        return ret;
    if (!isfinite(*loss) || !isfinite(mieni_vec_abs_max(o->p.exec, gradient, o->p.n, o->scratch)))
        return MIEN_ERR(EDOM);
    return 0;
}

int mien_optim_step(MienOptim *o, MienObjectiveFn objective, void *priv, float *x)
{
    int ret = o->method->step(o, objective, priv, x);
    if (ret >= 0)
        o->n_steps++;
    return ret;
}

double mien_optim_loss(const MienOptim *o)
{
    return o->loss;
}

int mien_optim_evals(const MienOptim *o)
{
    return o->n_evals;
}

void mien_optim_set_rate(MienOptim *o, double rate)
{
    if (rate > 0)
        o->p.rate = rate;
}

void mien_optim_reset(MienOptim *o)
{
    o->n_pairs = o->i_pair = 0;
    o->n_evals = o->n_steps = 0;
    o->diag = 1;
    o->have_loss = 0;
    o->loss = NAN;
}

void mien_optim_refresh(MienOptim *o)
{
    o->have_loss = 0;
}

size_t mien_optim_state_elems(const MienOptim *o)
{
    return (size_t)o->method->n_states * o->p.n;
}

int mien_optim_save(const MienOptim *o, float *state, int64_t *n_steps)
{
    if (!o->method->n_states)
        return mien_fail(o->p.log, MIEN_E_UNSUPPORTED, "optimiser: the state of %s cannot be saved", o->method->name);
    /* Before the first step the vectors hold nothing yet. */
    for (int i = 0; i < o->method->n_states; i++) {
        if (o->n_steps)
            memcpy(state + (size_t)i * o->p.n, o->vector[o->method->first_state + i], o->p.n * sizeof(float));
        else
            memset(state + (size_t)i * o->p.n, 0, o->p.n * sizeof(float));
    }
    *n_steps = o->n_steps;
    return 0;
}

int mien_optim_restore(MienOptim *o, const float *state, int64_t n_steps)
{
    if (!o->method->n_states)
        return mien_fail(o->p.log, MIEN_E_UNSUPPORTED, "optimiser: the state of %s cannot be restored", o->method->name);
    if (n_steps < 0 || n_steps > INT32_MAX)
        return mien_fail(o->p.log, MIEN_ERR(EINVAL), "optimiser: a count of %lld steps", (long long)n_steps);
    mien_optim_reset(o);
    for (int i = 0; i < o->method->n_states; i++)
        memcpy(o->vector[o->method->first_state + i], state + (size_t)i * o->p.n, o->p.n * sizeof(float));
    o->n_steps = (int)n_steps;
    return 0;
}
