/* mien/exec.h — who runs the jobs.
 *
 * The core splits work into jobs and hands them to an executor that the caller passes in: a filter bridges to libavfilter's
 * slice threads, the tool uses the pool below. OpenBLAS is called single-threaded from inside jobs, so that
 * there is one owner of parallelism. How work is split depends on n_threads alone, never on timing: the same
 * number gives the same bits.
 */
#ifndef MIEN_EXEC_H
#define MIEN_EXEC_H

#include "mien/common.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Job i_job of n_jobs. Jobs of one call run in any order and at the same time; they must not allocate or fail. */
typedef void (*MienJobFn)(void *arg, int i_job, int n_jobs);

typedef struct MienExec {
    /* Runs fn(arg, i, n_jobs) for every i in [0, n_jobs) and returns when all are done. NULL: in the calling thread. */
    void (*run)(void *priv, MienJobFn fn, void *arg, int n_jobs);
    void *priv;
    int n_threads; /* how many jobs may run at once; 0 counts as 1 */
} MienExec;

/* Runs jobs through exec (which may be {0}). */
void mien_exec_run(MienExec exec, MienJobFn fn, void *arg, int n_jobs);

/* A pool of n_threads - 1 workers plus the calling thread; n_threads <= 0 takes the number of cores that this process may
 * use. It starts threads, as mien/worker.h does and nothing else of the library. Threads: one caller at a time. */
typedef struct MienPool MienPool;
int mien_pool_create(MienPool **pool, int n_threads, MienLog log);
MienExec mien_pool_exec(MienPool *pool); /* borrows pool; NULL gives {0} */
void mien_pool_destroy(MienPool **pool);

#ifdef __cplusplus
}
#endif
#endif
