/* A ring of items between workers and the calling thread; see work.h. */
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool.h"
#include "work.h"

typedef struct Shared {
    const Work *work;
    pthread_mutex_t mutex;
    pthread_cond_t made, room;
    int64_t n, next, taken, n_made;
    uint8_t *is_made; /* ring of `lead` */
    int stop;
} Shared;

typedef struct Worker {
    Shared *shared;
    int index;
    pthread_t thread;
} Worker;

static void *work_thread(void *arg)
{
    Worker *w = arg;
    Shared *s = w->shared;
    pthread_mutex_lock(&s->mutex);
    for (;;) {
        while (!s->stop && s->next < s->n && s->next - s->taken >= s->work->lead)
            pthread_cond_wait(&s->room, &s->mutex);
        if (s->stop || s->next >= s->n)
            break;
        int64_t i = s->next++;
        pthread_mutex_unlock(&s->mutex);
        s->work->make(s->work->priv, w->index, i);
        pthread_mutex_lock(&s->mutex);
        s->is_made[i % s->work->lead] = 1;
        s->n_made++;
        pthread_cond_signal(&s->made);
    }
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

static void wait_a_moment(Shared *s)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_nsec += 200000000;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&s->made, &s->mutex, &t);
}

/* The calling thread's part: takes items in order until all are taken, take says no, or we are interrupted. */
static int take_all(Shared *s)
{
    const Work *w = s->work;
    int ret = 0;
    pthread_mutex_lock(&s->mutex);
    while (s->taken < s->n && !ret) {
        if (interrupted() && !s->stop) {
            s->stop = 1; /* what is in hand is still taken */
            pthread_cond_broadcast(&s->room);
        }
        if (!s->is_made[s->taken % w->lead]) {
            if (s->stop && s->taken >= s->next)
                break;
            wait_a_moment(s);
            int64_t done = s->n_made;
            pthread_mutex_unlock(&s->mutex);
            if (w->tick)
                w->tick(w->priv, done);
            pthread_mutex_lock(&s->mutex);
            continue;
        }
        pthread_mutex_unlock(&s->mutex);
        ret = w->take(w->priv, s->taken);
        pthread_mutex_lock(&s->mutex);
        s->is_made[s->taken % w->lead] = 0;
        s->taken++;
        pthread_cond_signal(&s->room);
    }
    s->stop = 1;
    pthread_cond_broadcast(&s->room);
    pthread_mutex_unlock(&s->mutex);
    return ret;
}

static int in_this_thread(const Work *w, int64_t n)
{
    int ret = 0;
    for (int64_t i = 0; i < n && !ret && !interrupted(); i++) {
        w->make(w->priv, 0, i);
        ret = w->take(w->priv, i);
        if (w->tick)
            w->tick(w->priv, i + 1);
    }
    return ret;
}

int work_in_order(const Work *work, int64_t n)
{
    Shared s = { .work = work, .n = n };
    int n_started = 0, ret;
    if (work->n_workers <= 1 || n <= 1)
        return in_this_thread(work, n);
    Worker *workers = mien_calloc((size_t)work->n_workers, sizeof(*workers));
    s.is_made = mien_calloc((size_t)work->lead, 1);
    if (!workers || !s.is_made) {
        mien_free(workers);
        mien_free(s.is_made);
        return MIEN_ERR(ENOMEM);
    }
    pthread_mutex_init(&s.mutex, NULL);
    pthread_cond_init(&s.made, NULL);
    pthread_cond_init(&s.room, NULL);
    for (; n_started < work->n_workers; n_started++) {
        workers[n_started] = (Worker){ .shared = &s, .index = n_started };
        if (pthread_create(&workers[n_started].thread, NULL, work_thread, &workers[n_started]))
            break;
    }
    ret = n_started ? take_all(&s) : MIEN_ERR(EAGAIN);
    for (int i = 0; i < n_started; i++)
        pthread_join(workers[i].thread, NULL);
    pthread_cond_destroy(&s.room);
    pthread_cond_destroy(&s.made);
    pthread_mutex_destroy(&s.mutex);
    mien_free(s.is_made);
    mien_free(workers);
    return ret;
}
