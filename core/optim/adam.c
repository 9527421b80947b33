/* Adam (Kingma & Ba 2015, algorithm 1): moments m and v of the gradient, corrected for their start at zero. */
#include <math.h>
#include <string.h>

#include "optim/optim_int.h"

enum { GRADIENT, MOMENT1, MOMENT2, N_VECTORS };

typedef struct AdamJob {
    const MienOptimParams *p;
    const float *g;
    float *m, *v, *x;
    float step, v_correction;
} AdamJob;

static int n_vectors(const MienOptimParams *p)
{
    (void)p;
    return N_VECTORS;
}

static void update_job(void *arg, int i_job, int n_jobs)
{
    const AdamJob *job = arg;
    const MienOptimParams *p = job->p;
    const float beta1 = (float)p->beta1, beta2 = (float)p->beta2, eps = (float)p->eps;
    const size_t end = p->n * ((size_t)i_job + 1) / (size_t)n_jobs;
    for (size_t i = p->n * (size_t)i_job / (size_t)n_jobs; i < end; i++) {
        float g = job->g[i];
        float m = job->m[i] = beta1 * job->m[i] + (1 - beta1) * g;
        float v = job->v[i] = beta2 * job->v[i] + (1 - beta2) * g * g;
        float x = job->x[i] - job->step * m / (sqrtf(v * job->v_correction) + eps);
        if (p->lo < p->hi)
            x = x < p->lo ? p->lo : x > p->hi ? p->hi : x;
        job->x[i] = x;
    }
}

static int step(MienOptim *o, MienObjectiveFn objective, void *priv, float *x)
{
    if (o->n_steps == 0) { /* the two moments lie one behind the other */
        size_t elems = (size_t)(o->vector[MOMENT2] - o->vector[MOMENT1]);
        memset(o->vector[MOMENT1], 0, 2 * elems * sizeof(float));
    }
    double loss;
    int ret = mieni_optim_eval(o, objective, priv, x, &loss, o->vector[GRADIENT]);
    if (ret < 0)
        return ret;
    o->loss = loss;
    if (mieni_vec_abs_max(o->p.exec, o->vector[GRADIENT], o->p.n, o->scratch) <= o->p.gradient_tol)
        return 1;
    double t = o->n_steps + 1;
    AdamJob job = {
        .p = &o->p,
        .g = o->vector[GRADIENT],
        .m = o->vector[MOMENT1],
        .v = o->vector[MOMENT2],
        .x = x,
        .step = (float)(o->p.rate / (1 - pow(o->p.beta1, t))),
        .v_correction = (float)(1 / (1 - pow(o->p.beta2, t))),
    };
    mien_exec_run(o->p.exec, update_job, &job, o->p.exec.n_threads > 1 ? o->p.exec.n_threads : 1);
    return 0;
}

const MieniOptimMethod mieni_optim_adam = { "adam", n_vectors, step, MOMENT1, 2 };
