/* L-BFGS: the two-loop recursion over the last pairs (Nocedal & Wright 2006, algorithms 7.4 and 7.5) and a line search for the
 * strong Wolfe conditions by bracketing and zoom (3.5, 3.6), whose trial points come from cubic interpolation (3.59).
 *
 * The search holds the better end's gradient only; a trial that wins is copied. All vectors are taken at create. */
#include <math.h>
#include <string.h>

#include "optim/optim_int.h"

/* Fixed vectors; behind them history pairs s, y. */
enum { GRADIENT, DIRECTION, TRIAL_X, TRIAL_G, BEST_G, N_FIXED };

#define EXPAND_LEAST 0.01 /* a bracket grows by at least this share of its last growth … */
#define EXPAND_MOST 10.0  /* … and at most to this multiple */
#define EDGE_SHARE 0.1    /* a trial nearer to the bracket's end than this share of its width is moved inward */
#define CURVATURE_MIN 1e-10

static int n_vectors(const MienOptimParams *p)
{
    return N_FIXED + 2 * p->history;
}

static float *pair_s(MienOptim *o, int i)
{
    return o->vector[N_FIXED + 2 * i];
}

static float *pair_y(MienOptim *o, int i)
{
    return o->vector[N_FIXED + 2 * i + 1];
}

/* One point of the line search: step length, loss, slope along the direction. */
typedef struct Point {
    double t, f, slope;
} Point;

/* The minimiser of the cubic through two points with their slopes, within [lo, hi]; the middle if there is none. */
static double cubic_min(Point a, Point b, double lo, double hi)
{
    double d1 = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t);
    double square = d1 * d1 - a.slope * b.slope;
    if (!(square >= 0))
        return (lo + hi) / 2;
    double d2 = sqrt(square), t;
    if (a.t <= b.t)
        t = b.t - (b.t - a.t) * ((b.slope + d2 - d1) / (b.slope - a.slope + 2 * d2));
    else
        t = a.t - (a.t - b.t) * ((a.slope + d2 - d1) / (a.slope - b.slope + 2 * d2));
    return isfinite(t) ? fmin(fmax(t, lo), hi) : (lo + hi) / 2;
}

typedef struct Search {
    MienOptim *o;
    MienObjectiveFn objective;
    void *priv;
    const float *x;
    int evals_left;
} Search;

/* Evaluates at step t; the gradient is then in TRIAL_G. A loss that is not finite counts as a wall: +infinity. */
static int try_step(Search *s, double t, Point *p)
{
    MienOptim *o = s->o;
    s->evals_left--;
    mieni_vec_move(o->p.exec, s->x, t, o->vector[DIRECTION], o->vector[TRIAL_X], o->p.n);
    p->t = t;
    int ret = mieni_optim_eval(o, s->objective, s->priv, o->vector[TRIAL_X], &p->f, o->vector[TRIAL_G]);
    if (ret == MIEN_ERR(EDOM)) {
        p->f = INFINITY;
        p->slope = INFINITY;
        return 0;
    }
    if (ret < 0)
        return ret;
    p->slope = mieni_vec_dot(o->p.exec, o->vector[TRIAL_G], o->vector[DIRECTION], o->p.n, o->scratch);
    return 0;
}

static void swap_vectors(MienOptim *o, int a, int b)
{
    float *v = o->vector[a];
    o->vector[a] = o->vector[b];
    o->vector[b] = v;
}

/* Narrows the bracket [low, high] (low has the lower loss; its gradient is in BEST_G) until low meets both conditions. */
static int zoom(Search *s, Point start, Point low, Point high, double dir_max, Point *found)
{
    const MienOptimParams *p = &s->o->p;
    int stuck_at_edge = 0, ret;
    while (s->evals_left > 0 && fabs(high.t - low.t) * dir_max >= p->step_tol) {
        double left = fmin(low.t, high.t), right = fmax(low.t, high.t), width = right - left;
        double t = isfinite(high.f) ? cubic_min(low, high, left, right) : (left + right) / 2;
        if (fmin(right - t, t - left) < EDGE_SHARE * width) {
            /* Twice in a row near an end, or outside: the interpolation makes no progress. */
            if (stuck_at_edge || t >= right || t <= left) {
                t = fabs(t - right) < fabs(t - left) ? right - EDGE_SHARE * width : left + EDGE_SHARE * width;
                stuck_at_edge = 0;
            } else {
                stuck_at_edge = 1;
            }
        } else {
            stuck_at_edge = 0;
        }
        Point trial;
        if ((ret = try_step(s, t, &trial)) < 0)
            return ret;
        if (trial.f > start.f + p->wolfe_c1 * t * start.slope || trial.f >= low.f) {
            high = trial;
            continue;
        }
        int done = fabs(trial.slope) <= -p->wolfe_c2 * start.slope;
        if (!done && trial.slope * (high.t - low.t) >= 0)
            high = low;
        low = trial;
        swap_vectors(s->o, TRIAL_G, BEST_G);
        if (done)
            break;
    }
    *found = low;
    return 0;
}

/* Finds a step from start along DIRECTION; found->t is 0 if none lowers the loss. Its gradient is then in BEST_G. */
static int line_search(Search *s, Point start, double t, double dir_max, Point *found)
{
    const MienOptimParams *p = &s->o->p;
    memcpy(s->o->vector[BEST_G], s->o->vector[GRADIENT], p->n * sizeof(float));
    Point prev = start, trial;
    int ret;
    for (int i = 0;; i++) {
        if ((ret = try_step(s, t, &trial)) < 0)
            return ret;
        if (trial.f > start.f + p->wolfe_c1 * t * start.slope || (i > 0 && trial.f >= prev.f))
            return zoom(s, start, prev, trial, dir_max, found);
        swap_vectors(s->o, TRIAL_G, BEST_G);
        if (fabs(trial.slope) <= -p->wolfe_c2 * start.slope) {
            *found = trial;
            return 0;
        }
        if (trial.slope >= 0)
            return zoom(s, start, trial, prev, dir_max, found);
        if (s->evals_left <= 0) {
            *found = trial;
            return 0;
        }
        double least = trial.t + EXPAND_LEAST * (trial.t - prev.t);
        t = cubic_min(prev, trial, least, trial.t * EXPAND_MOST);
        prev = trial;
    }
}

/* DIRECTION = −H·GRADIENT by the two loops; newest pair first, then oldest first. */
static void two_loops(MienOptim *o)
{
    const size_t n = o->p.n;
    const MienExec exec = o->p.exec;
    const int m = o->p.history;
    float *d = o->vector[DIRECTION];
    mieni_vec_axpby(exec, -1, o->vector[GRADIENT], 0, d, n);
    for (int k = 1; k <= o->n_pairs; k++) {
        int i = (o->i_pair - k + m) % m;
        o->alpha[i] = o->rho[i] * mieni_vec_dot(exec, pair_s(o, i), d, n, o->scratch);
        mieni_vec_axpby(exec, -o->alpha[i], pair_y(o, i), 1, d, n);
    }
    mieni_vec_axpby(exec, 0, d, o->diag, d, n);
    for (int k = o->n_pairs; k >= 1; k--) {
        int i = (o->i_pair - k + m) % m;
        double beta = o->rho[i] * mieni_vec_dot(exec, pair_y(o, i), d, n, o->scratch);
        mieni_vec_axpby(exec, o->alpha[i] - beta, pair_s(o, i), 1, d, n);
    }
}

/* Keeps s = t·DIRECTION and y = BEST_G − GRADIENT, if the curvature along s is positive. */
static void remember_pair(MienOptim *o, double t)
{
    const size_t n = o->p.n;
    const MienExec exec = o->p.exec;
    int i = o->i_pair;
    float *s = pair_s(o, i), *y = pair_y(o, i);
    mieni_vec_axpby(exec, t, o->vector[DIRECTION], 0, s, n);
    mieni_vec_move(exec, o->vector[BEST_G], -1, o->vector[GRADIENT], y, n);
    double ys = mieni_vec_dot(exec, y, s, n, o->scratch);
    if (ys <= CURVATURE_MIN) {
        if (o->n_pairs == o->p.history) /* the oldest pair lay in this place */
            o->n_pairs--;
        return;
    }
    o->rho[i] = 1 / ys;
    o->diag = ys / mieni_vec_dot(exec, y, y, n, o->scratch);
    o->i_pair = (i + 1) % o->p.history;
    if (o->n_pairs < o->p.history)
        o->n_pairs++;
}

static int step(MienOptim *o, MienObjectiveFn objective, void *priv, float *x)
{
    const MienOptimParams *p = &o->p;
    double *scratch = o->scratch;
    int ret;
    if (!o->have_loss) {
        double loss;
        if ((ret = mieni_optim_eval(o, objective, priv, x, &loss, o->vector[GRADIENT])) < 0)
            return ret;
        o->loss = loss;
        o->have_loss = 1;
    }
    if (mieni_vec_abs_max(p->exec, o->vector[GRADIENT], p->n, scratch) <= p->gradient_tol)
        return 1;

    two_loops(o);
    Point start = { .t = 0, .f = o->loss };
    start.slope = mieni_vec_dot(p->exec, o->vector[GRADIENT], o->vector[DIRECTION], p->n, scratch);
    if (!(start.slope < 0) && o->n_pairs) { /* a stale history points uphill: begin again with the gradient */
        o->n_pairs = 0;
        o->diag = 1;
        two_loops(o);
        start.slope = mieni_vec_dot(p->exec, o->vector[GRADIENT], o->vector[DIRECTION], p->n, scratch);
    }
    if (!(start.slope < 0))
        return 1;
    double t = p->rate;
    if (o->n_pairs == 0) /* nothing is known of the scale: a first step of length 1 in the sum of absolute values */
        t *= fmin(1, 1 / mieni_vec_abs_sum(p->exec, o->vector[GRADIENT], p->n, scratch));
    double dir_max = mieni_vec_abs_max(p->exec, o->vector[DIRECTION], p->n, scratch);
    Search search = { o, objective, priv, x, p->max_evals };
    Point found;
    if ((ret = line_search(&search, start, t, dir_max, &found)) < 0)
        return ret;
    if (found.t <= 0) {
        if (o->n_pairs == 0)
            return 1;
        o->n_pairs = 0; /* the model of the function was of no use; the next step starts from the gradient */
        o->diag = 1;
        return 0;
    }
    remember_pair(o, found.t);
    mieni_vec_move(p->exec, x, found.t, o->vector[DIRECTION], x, p->n);
    swap_vectors(o, GRADIENT, BEST_G);
    double change = fabs(found.f - o->loss);
    o->loss = found.f;
    return found.t * dir_max <= p->step_tol || change < p->step_tol;
}

const MieniOptimMethod mieni_optim_lbfgs = { "lbfgs", n_vectors, step, 0, 0 };
