/* A thread and a place for one item; see mien/worker.h. */
#include <pthread.h>
#include <signal.h>

#include "mien/error.h"
#include "mien/worker.h"

struct MienWorker {
    MienWorkerParams params;
    pthread_t thread;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wake;  /* the worker: there may be something to do */
    pthread_cond_t idle;  /* the owner: nothing is in hand */
    void *item;           /* waits; NULL: nothing does */
    int in_hand, is_held, stop;
};

static void *run(void *arg)
{
    MienWorker *w = arg;
    pthread_mutex_lock(&w->lock);
    while (!w->stop) {
        if (!w->item || w->is_held) {
            pthread_cond_wait(&w->wake, &w->lock);
            continue;
        }
        void *item = w->item;
        w->item = NULL;
        w->in_hand = 1;
        pthread_mutex_unlock(&w->lock);
        w->params.work(w->params.priv, item);
        pthread_mutex_lock(&w->lock);
        w->in_hand = 0;
        pthread_cond_signal(&w->idle);
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* Signals are the program's own: they go to threads that it knows. */
static int start(MienWorker *w)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int err = pthread_create(&w->thread, NULL, run, w);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return err;
}

static void release_memory(MienWorker *w)
{
    pthread_cond_destroy(&w->idle);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    mien_free(w);
}

int mien_worker_create(MienWorker **worker, const MienWorkerParams *params)
{
    *worker = NULL;
    MienWorker *w = mien_calloc(1, sizeof(*w));
    if (!w)
        return MIEN_ERR(ENOMEM);
    w->params = *params;
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->wake, NULL);
    pthread_cond_init(&w->idle, NULL);
    int err = start(w);
    if (err) {
        release_memory(w);
        return mien_fail(params->log, MIEN_ERR(err), "a thread could not be started");
    }
    *worker = w;
    return 0;
}

static void take_back(MienWorker *w, void *item)
{
    if (item)
        w->params.drop(w->params.priv, item);
}

void mien_worker_destroy(MienWorker **worker)
{
    MienWorker *w = worker ? *worker : NULL;
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = 1;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    take_back(w, w->item);
    release_memory(w);
    *worker = NULL;
}

int mien_worker_put(MienWorker *w, void *item)
{
    pthread_mutex_lock(&w->lock);
    void *old = w->item;
    w->item = item;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    take_back(w, old);
    return old != NULL;
}

int mien_worker_is_full(MienWorker *w)
{
    pthread_mutex_lock(&w->lock);
    int is_full = w->item != NULL;
    pthread_mutex_unlock(&w->lock);
    return is_full;
}

void mien_worker_finish(MienWorker *w)
{
    pthread_mutex_lock(&w->lock);
    while (w->item || w->in_hand)
        pthread_cond_wait(&w->idle, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void mien_worker_hold(MienWorker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_held = 1;
    while (w->in_hand)
        pthread_cond_wait(&w->idle, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void mien_worker_release(MienWorker *w)
{
    pthread_mutex_lock(&w->lock);
    w->is_held = 0;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}
