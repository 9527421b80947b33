/* similarity.c — learnt similarity; formulas and reasons in mien/similarity.h.
 *
 * Training: features are divided by their root mean square over all pairs, so that λ means the same for every encoder and
 * L-BFGS sees axes of one length; the scale goes into w at the end. The loss is the mean cross entropy with weights 1/2n for each
 * kind of pair, plus λ/2·|v|² (b is free). Sums are double; features are computed anew in each evaluation, 1 multiply and 1 add more than
 * reading them would cost and no memory. */
#include <float.h>
#include <math.h>
#include <string.h>

#include "mien/error.h"
#include "mien/optim.h"
#include "mien/similarity.h"

const char *mien_similarity_name(MienSimilarityKind kind)
{
    static const char *const name[] = { "distance", "logistic", "chi2" };
    return (size_t)kind < MIEN_ARRAY_ELEMS(name) ? name[kind] : "unknown";
}

static int kind_learnt(MienSimilarityKind kind)
{
    return kind == MIEN_SIMILARITY_LOGISTIC || kind == MIEN_SIMILARITY_CHI2;
}

int mien_similarity_check(const MienSimilarity *u)
{
    if (!kind_learnt(u->kind) || u->dim < 1 || u->dim > MIEN_SIMILARITY_MAX_DIM || !isfinite(u->b))
        return MIEN_ERR(EINVAL);
    for (int k = 0; k < u->dim; k++) {
        if (!isfinite(u->w[k]))
            return MIEN_ERR(EINVAL);
    }
    return 0;
}

/* FLT_MIN in the denominator makes 0/0 a 0; it is lost in rounding beside any sum above 1e-30. gallery/scan.c has the same sums for
 * many rows. */
static inline float difference(MienSimilarityKind kind, float a, float b)
{
    float d = a - b;
    return kind == MIEN_SIMILARITY_LOGISTIC ? fabsf(d) : d * d / (fabsf(a) + fabsf(b) + FLT_MIN);
}

double mien_similarity_logit(const MienSimilarity *u, const float *f1, const float *f2)
{
    double z = u->b;
    for (int k = 0; k < u->dim; k++)
        z += (double)u->w[k] * (double)difference(u->kind, f1[k], f2[k]);
    return z;
}

double mien_similarity_prob(double logit)
{
    return 1 / (1 + exp(-logit));
}

double mien_similarity_logit_of(double prob)
{
    return log(prob) - log1p(-prob);
}

/* ---- training */

typedef struct Regression {
    const MienSimilarityParams *p;
    const MienPair *pair;
    size_t n;
    double weight[2];                      /* of a pair, by `same` */
    double scale[MIEN_SIMILARITY_MAX_DIM]; /* features are multiplied by it */
    double cross_entropy;                  /* of the last evaluation */
} Regression;

/* −log σ(z) without overflow */
static double log_loss(double z)
{
    return z > 0 ? log1p(exp(-z)) : log1p(exp(z)) - z;
}

/* x = (v, b) → loss and gradient. */
static int objective(void *priv, const float *x, double *loss, float *gradient)
{
    Regression *r = priv;
    const int dim = r->p->dim;
    double sum[MIEN_SIMILARITY_MAX_DIM + 1] = { 0 }, g[MIEN_SIMILARITY_MAX_DIM], entropy = 0, norm = 0;
    for (size_t i = 0; i < r->n; i++) {
        const MienPair *pair = &r->pair[i];
        double z = x[dim], sign = pair->same ? 1 : -1;
        for (int k = 0; k < dim; k++) {
            g[k] = r->scale[k] * (double)difference(r->p->kind, pair->f1[k], pair->f2[k]);
            z += (double)x[k] * g[k];
        }
        entropy += r->weight[pair->same] * log_loss(sign * z);
        double slope = -sign * r->weight[pair->same] * mien_similarity_prob(-sign * z);
        for (int k = 0; k < dim; k++)
            sum[k] += slope * g[k];
        sum[dim] += slope;
    }
    for (int k = 0; k < dim; k++) {
        norm += (double)x[k] * (double)x[k];
        gradient[k] = (float)(sum[k] + r->p->l2 * (double)x[k]);
    }
    gradient[dim] = (float)sum[dim];
    r->cross_entropy = entropy;
    *loss = entropy + r->p->l2 / 2 * norm;
    return 0;
}

/* Weights of the pairs and scales of the features; refuses what cannot be learnt from. */
static int prepare(Regression *r)
{
    const MienSimilarityParams *p = r->p;
    size_t count[2] = { 0 };
    if (!kind_learnt(p->kind) || p->dim < 1 || p->dim > MIEN_SIMILARITY_MAX_DIM || !(p->l2 > 0) || !isfinite(p->l2) ||
        p->max_iterations < 1)
        return mien_fail(p->log, MIEN_ERR(EINVAL), "similarity: a parameter is out of range");
    for (size_t i = 0; i < r->n; i++) {
        const MienPair *pair = &r->pair[i];
        count[pair->same != 0]++;
        for (int k = 0; k < p->dim; k++) {
            double g = (double)difference(p->kind, pair->f1[k], pair->f2[k]);
            if (!isfinite(g))
                return mien_fail(p->log, MIEN_ERR(EINVAL), "similarity: pair %zu has a number that is not finite", i);
            r->scale[k] += g * g;
        }
    }
    if (!count[0] || !count[1])
        return mien_fail(p->log, MIEN_ERR(EINVAL), "similarity: %zu pairs of one person and %zu of two; both kinds are needed",
                         count[1], count[0]);
    for (int k = 0; k < p->dim; k++) /* a coordinate that never differs says nothing and gets weight 0 */
        r->scale[k] = r->scale[k] > 0 ? sqrt((double)r->n / r->scale[k]) : 0;
    r->weight[0] = 0.5 / (double)count[0];
    r->weight[1] = 0.5 / (double)count[1];
    return 0;
}

/* Steps until the gradient is as small as f32 can tell, or the iterations are used up. */
static int minimise(Regression *r, float *x, MienSimilarityFit *fit)
{
    const size_t n = (size_t)r->p->dim + 1;
    MienOptimParams op = MIEN_OPTIM_DEFAULTS;
    MienOptim *o;
    float gradient[MIEN_SIMILARITY_MAX_DIM + 1];
    double loss;
    op.n = n;
    op.gradient_tol = 1e-6;
    op.step_tol = 1e-10;
    op.log = r->p->log;
    int ret = mien_optim_create(&o, &op);
    if (ret < 0)
        return ret;
    *fit = (MienSimilarityFit){ 0 };
    while (ret == 0 && fit->iterations < r->p->max_iterations) {
        ret = mien_optim_step(o, objective, r, x);
        fit->iterations++;
    }
    mien_optim_destroy(&o);
    if (ret < 0)
        return mien_fail(r->p->log, ret, "similarity: training failed: %s", mien_strerror(ret));
    objective(r, x, &loss, gradient);
    fit->loss = r->cross_entropy;
    fit->converged = ret == 1;
    for (size_t k = 0; k < n; k++)
        fit->gradient = fmax(fit->gradient, fabs((double)gradient[k]));
    return 0;
}

int mien_similarity_train(MienSimilarity *unit, const MienSimilarityParams *params, const MienPair *pairs, size_t n,
                          MienSimilarityFit *fit)
{
    Regression r = { .p = params, .pair = pairs, .n = n };
    MienSimilarityFit unused;
    float x[MIEN_SIMILARITY_MAX_DIM + 1] = { 0 };
    int ret = prepare(&r);
    if (ret < 0 || (ret = minimise(&r, x, fit ? fit : &unused)) < 0)
        return ret;
    memset(unit, 0, sizeof(*unit));
    unit->kind = params->kind;
    unit->dim = params->dim;
    for (int k = 0; k < params->dim; k++)
        unit->w[k] = (float)((double)x[k] * r.scale[k]);
    unit->b = x[params->dim];
    return 0;
}
