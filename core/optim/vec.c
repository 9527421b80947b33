/* Long vectors; see vec.h. A job handles whole blocks; each block's sum goes to its own place and the places are added in order. */
#include <math.h>

#include "optim/vec.h"

typedef enum VecOp { VEC_DOT, VEC_ABS_SUM, VEC_ABS_MAX, VEC_AXPBY, VEC_MOVE } VecOp;

typedef struct VecJob {
    VecOp op;
    const float *a, *b;
    float *out;
    double alpha, beta;
    size_t n;
    double *sum; /* one a block */
} VecJob;

static double block_dot(const float *a, const float *b, size_t n)
{
    /* Eight running sums let the compiler use vectors without changing the order of additions between builds. */
    double s[8] = { 0 };
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            s[k] += (double)a[i + k] * (double)b[i + k];
    for (; i < n; i++)
        s[0] += (double)a[i] * (double)b[i];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

static void run_block(const VecJob *job, size_t i_block)
{
    size_t from = i_block * MIENI_VEC_BLOCK_ELEMS;
    size_t n = job->n - from < MIENI_VEC_BLOCK_ELEMS ? job->n - from : MIENI_VEC_BLOCK_ELEMS;
    const float *a = job->a + from, *b = job->b ? job->b + from : NULL;
    float *out = job->out ? job->out + from : NULL;
    float alpha = (float)job->alpha, beta = (float)job->beta;
    double s = 0;
    switch (job->op) {
    case VEC_DOT:
        s = block_dot(a, b, n);
        break;
    case VEC_ABS_SUM:
        for (size_t i = 0; i < n; i++)
            s += fabs((double)a[i]);
        break;
    case VEC_ABS_MAX:
        for (size_t i = 0; i < n; i++) {
            double v = fabs((double)a[i]);
            if (!(v <= s)) /* a NaN becomes the maximum and stays it */
                s = v;
            if (isnan(s))
                break;
        }
        break;
    case VEC_AXPBY:
        for (size_t i = 0; i < n; i++)
            out[i] = alpha * a[i] + beta * out[i];
        break;
    case VEC_MOVE:
        for (size_t i = 0; i < n; i++)
            out[i] = a[i] + alpha * b[i];
        break;
    }
    if (job->sum)
        job->sum[i_block] = s;
}

static void run_job(void *arg, int i_job, int n_jobs)
{
    const VecJob *job = arg;
    size_t n_blocks = mieni_vec_blocks(job->n);
    size_t end = n_blocks * ((size_t)i_job + 1) / (size_t)n_jobs;
    for (size_t i = n_blocks * (size_t)i_job / (size_t)n_jobs; i < end; i++)
        run_block(job, i);
}

static void run(MienExec exec, VecJob *job)
{
    int n_jobs = exec.n_threads > 1 && job->n > 4 * MIENI_VEC_BLOCK_ELEMS ? exec.n_threads : 1;
    mien_exec_run(exec, run_job, job, n_jobs);
}

static double run_sum(MienExec exec, VecJob *job)
{
    double s = 0;
    run(exec, job);
    for (size_t i = 0; i < mieni_vec_blocks(job->n); i++)
        s += job->sum[i];
    return s;
}

double mieni_vec_dot(MienExec exec, const float *a, const float *b, size_t n, double *scratch)
{
    return run_sum(exec, &(VecJob){ .op = VEC_DOT, .a = a, .b = b, .n = n, .sum = scratch });
}

double mieni_vec_abs_sum(MienExec exec, const float *a, size_t n, double *scratch)
{
    return run_sum(exec, &(VecJob){ .op = VEC_ABS_SUM, .a = a, .n = n, .sum = scratch });
}

double mieni_vec_abs_max(MienExec exec, const float *a, size_t n, double *scratch)
{
    run(exec, &(VecJob){ .op = VEC_ABS_MAX, .a = a, .n = n, .sum = scratch });
    double max = 0;
    for (size_t i = 0; i < mieni_vec_blocks(n); i++) {
        if (!(scratch[i] <= max))
            max = scratch[i];
        if (isnan(max))
            break;
    }
    return max;
}

void mieni_vec_axpby(MienExec exec, double alpha, const float *x, double beta, float *y, size_t n)
{
    run(exec, &(VecJob){ .op = VEC_AXPBY, .a = x, .out = y, .alpha = alpha, .beta = beta, .n = n });
}

void mieni_vec_move(MienExec exec, const float *x, double alpha, const float *d, float *out, size_t n)
{
    run(exec, &(VecJob){ .op = VEC_MOVE, .a = x, .b = d, .out = out, .alpha = alpha, .n = n });
}
