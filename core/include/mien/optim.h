/* mien/optim.h — minimising a function of many numbers: Adam, gradient descent with momentum, and L-BFGS.
 *
 * One call is one iteration, so that a caller may stop by count, by time or by loss, and look at every step. The unknowns
 * are f32; losses, dot products and line-search numbers are double. Sums run over fixed blocks in fixed order: the number of
 * threads does not change a bit of the result.
 */
#ifndef MIEN_OPTIM_H
#define MIEN_OPTIM_H

#include "mien/common.h"
#include "mien/exec.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Writes f(x) and its n partial derivatives. 0, or a negative code that ends the iteration and is handed up. */
typedef int (*MienObjectiveFn)(void *priv, const float *x, double *loss, float *gradient);

typedef enum MienOptimKind {
    MIEN_OPTIM_ADAM,  /* Kingma & Ba 2015, algorithm 1, with bias correction */
    MIEN_OPTIM_LBFGS, /* Nocedal & Wright 2006, algorithm 7.4, strong Wolfe line search (3.5, 3.6) with cubic interpolation */
    MIEN_OPTIM_SGD,   /* gradient descent with Polyak's momentum: v = momentum·v + g, x −= rate·v */
} MienOptimKind;

typedef struct MienOptimParams {
    MienOptimKind kind;
    size_t n; /* number of unknowns, at least 1 */
    MienExec exec; /* kept */
    MienLog log;   /* kept */
    double rate;   /* Adam, SGD: step size. L-BFGS: first trial step of a line search (1 is right) */
    double beta1, beta2, eps; /* Adam */
    double momentum; /* SGD, 0 <= momentum < 1 */
    int history;   /* L-BFGS: pairs kept, 1..100 */
    int max_evals; /* L-BFGS: evaluations one line search may take */
    double wolfe_c1, wolfe_c2;
    double gradient_tol; /* converged when no |gradient| exceeds it */
    double step_tol;     /* converged when no component moves by more, or the loss changes by less */
    float lo, hi;        /* Adam: clamp x after each step if lo < hi. The others leave x free */
} MienOptimParams;

#define MIEN_OPTIM_DEFAULTS                                                                                             \
    { .kind = MIEN_OPTIM_LBFGS, .rate = 1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .momentum = 0.9, .history = 10, .max_evals = 25,    \
      .wolfe_c1 = 1e-4, .wolfe_c2 = 0.9, .gradient_tol = 1e-7, .step_tol = 1e-9 }

typedef struct MienOptim MienOptim;

/* All memory is taken here: Adam 3 n floats, SGD 2 n, L-BFGS (2 history + 5) n. MIEN_ERR(EINVAL) for parameters out of range. */
int mien_optim_create(MienOptim **optim, const MienOptimParams *params);
void mien_optim_destroy(MienOptim **optim);
size_t mien_optim_memory_bytes(const MienOptimParams *params);

/* One iteration from x, which is overwritten by the new point. Returns 0; 1 when converged (x is then the best point known);
 * or a negative code: the objective's own, or MIEN_ERR(EDOM) if loss or gradient is not finite at x (x stays as it was). */
int mien_optim_step(MienOptim *optim, MienObjectiveFn objective, void *priv, float *x);

/* Loss at the current x: L-BFGS after the step, the others before it (their steps need no second evaluation). */
double mien_optim_loss(const MienOptim *optim);
int mien_optim_evals(const MienOptim *optim); /* evaluations since create or reset */

void mien_optim_set_rate(MienOptim *optim, double rate);

/* Forgets moments, history and counters: the next step starts afresh. Call it when x or the objective has changed. */
void mien_optim_reset(MienOptim *optim);
/* What a later step depends on besides x, for a run that is to go on in another process, to the same bits: n_elems numbers and a count of
 * steps. Adam and SGD have it; of L-BFGS n_elems is 0 and the calls give MIEN_E_UNSUPPORTED. restore wants an optimiser of the same params. */
size_t mien_optim_state_elems(const MienOptim *optim);
int mien_optim_save(const MienOptim *optim, float *state, int64_t *n_steps);
int mien_optim_restore(MienOptim *optim, const float *state, int64_t n_steps);

/* The objective or x changed a little (the next frame): drops the cached loss and gradient, keeps moments and history. */
void mien_optim_refresh(MienOptim *optim);

#ifdef __cplusplus
}
#endif
#endif
