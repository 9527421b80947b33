/* Running jobs: in the calling thread, or on a small pool of POSIX threads that take job numbers from a shared counter. Which
 * thread runs a job is left to timing; what a job does is not, so results don't depend on it. */
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include "mien/error.h"
#include "mien/exec.h"

void mien_exec_run(MienExec exec, MienJobFn fn, void *arg, int n_jobs)
{
    if (exec.run && n_jobs > 1) {
        exec.run(exec.priv, fn, arg, n_jobs);
        return;
    }
    for (int i = 0; i < n_jobs; i++)
        fn(arg, i, n_jobs);
}

#define MAX_THREADS 256

struct MienPool {
    pthread_mutex_t lock;
    pthread_cond_t work, done;
    pthread_t thread[MAX_THREADS];
    int n_workers;
    int stop;
    /* The batch in hand; guarded by lock. */
    MienJobFn fn;
    void *arg;
    int n_jobs, next_job, n_finished;
};

/* Runs jobs of the batch in hand until none is left to take. Called and left with the lock held. */
static void take_jobs(MienPool *pool)
{
    while (pool->next_job < pool->n_jobs) {
        int i_job = pool->next_job++;
        MienJobFn fn = pool->fn;
        void *arg = pool->arg;
        int n_jobs = pool->n_jobs;
        pthread_mutex_unlock(&pool->lock);
        fn(arg, i_job, n_jobs);
        pthread_mutex_lock(&pool->lock);
        if (++pool->n_finished == pool->n_jobs)
            pthread_cond_signal(&pool->done);
    }
}

static void *worker(void *priv)
{
    MienPool *pool = priv;
    pthread_mutex_lock(&pool->lock);
    while (!pool->stop) {
        if (pool->next_job < pool->n_jobs)
            take_jobs(pool);
        else
            pthread_cond_wait(&pool->work, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

static void pool_run(void *priv, MienJobFn fn, void *arg, int n_jobs)
{
    MienPool *pool = priv;
    pthread_mutex_lock(&pool->lock);
    pool->fn = fn;
    pool->arg = arg;
    pool->n_finished = 0;
    pool->next_job = 0;
    pool->n_jobs = n_jobs;
    pthread_cond_broadcast(&pool->work);
    take_jobs(pool);
    while (pool->n_finished < n_jobs)
        pthread_cond_wait(&pool->done, &pool->lock);
    pool->n_jobs = 0;
    pthread_mutex_unlock(&pool->lock);
}

static int usable_cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1 : n;
}

int mien_pool_create(MienPool **out, int n_threads, MienLog log)
{
    *out = NULL;
    if (n_threads <= 0)
        n_threads = usable_cores();
    if (n_threads > MAX_THREADS)
        n_threads = MAX_THREADS;
    MienPool *pool = mien_calloc(1, sizeof(*pool));
    if (!pool)
        return MIEN_ERR(ENOMEM);
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    while (pool->n_workers < n_threads - 1) {
        int err = pthread_create(&pool->thread[pool->n_workers], NULL, worker, pool);
        if (err) {
            mien_log(log, MIEN_LOG_WARN, "only %d of %d threads could be started", pool->n_workers + 1, n_threads);
            break; /* fewer threads are slower, not wrong */
        }
        pool->n_workers++;
    }
    *out = pool;
    return 0;
}

MienExec mien_pool_exec(MienPool *pool)
{
    if (!pool)
        return (MienExec){ 0 };
    return (MienExec){ .run = pool_run, .priv = pool, .n_threads = pool->n_workers + 1 };
}

void mien_pool_destroy(MienPool **ppool)
{
    if (!ppool || !*ppool)
        return;
    MienPool *pool = *ppool;
    pthread_mutex_lock(&pool->lock);
    pool->stop = 1;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (int i = 0; i < pool->n_workers; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->done);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    mien_free(pool);
    *ppool = NULL;
}
