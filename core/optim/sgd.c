/* Gradient descent with momentum (Polyak 1964): v = momentum·v + g, x = x − rate·v. With a gradient that changes from call to call, of
 * batches say, it is stochastic gradient descent. */
#include <string.h>

#include "optim/optim_int.h"

enum { GRADIENT, VELOCITY, N_VECTORS };

static int n_vectors(const MienOptimParams *p)
{
    (void)p;
    return N_VECTORS;
}

static int step(MienOptim *o, MienObjectiveFn objective, void *priv, float *x)
{
    const MienOptimParams *p = &o->p;
    if (o->n_steps == 0)
        memset(o->vector[VELOCITY], 0, p->n * sizeof(float));
    double loss;
    int ret = mieni_optim_eval(o, objective, priv, x, &loss, o->vector[GRADIENT]);
    if (ret < 0)
        return ret;
    o->loss = loss;
    if (mieni_vec_abs_max(p->exec, o->vector[GRADIENT], p->n, o->scratch) <= p->gradient_tol)
        return 1;
    mieni_vec_axpby(p->exec, 1, o->vector[GRADIENT], p->momentum, o->vector[VELOCITY], p->n);
    mieni_vec_move(p->exec, x, -p->rate, o->vector[VELOCITY], x, p->n);
    return 0;
}

const MieniOptimMethod mieni_optim_sgd = { "sgd", n_vectors, step, VELOCITY, 1 };
