/* optim_int.h — what an optimiser is made of: a record of two functions and one block of vectors. */
#ifndef MIEN_OPTIM_INT_H
#define MIEN_OPTIM_INT_H

#include "mien/error.h"
#include "mien/optim.h"
#include "optim/vec.h"

typedef struct MieniOptimMethod {
    const char *name;
    int (*n_vectors)(const MienOptimParams *params); /* f32 vectors of n elements that step() uses */
    int (*step)(MienOptim *o, MienObjectiveFn objective, void *priv, float *x);
    int first_state, n_states; /* which of the vectors a later step depends on; n_states 0: that cannot be told */
} MieniOptimMethod;

struct MienOptim {
    MienOptimParams p;
    const MieniOptimMethod *method;
    float **vector;  /* method->n_vectors of them, 64-byte aligned, in one block */
    float *block;
    double *scratch; /* block sums */
    double *rho, *alpha; /* L-BFGS: history doubles each */
    double loss;
    double step;     /* L-BFGS: length of the last accepted step */
    double diag;     /* L-BFGS: scale of the initial inverse Hessian */
    int n_pairs, i_pair; /* L-BFGS: pairs held, place of the next one */
    int n_evals, n_steps;
    int have_loss;   /* loss and gradient belong to x */
};

extern const MieniOptimMethod mieni_optim_adam, mieni_optim_sgd, mieni_optim_lbfgs;

/* Evaluates and counts; MIEN_ERR(EDOM) if the loss or a derivative is not finite. */
int mieni_optim_eval(MienOptim *o, MienObjectiveFn objective, void *priv, const float *x, double *loss, float *gradient);

#endif
