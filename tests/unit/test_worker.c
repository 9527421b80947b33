/* The worker on the newest item, with work that is as slow as the test wants it: what is dropped, who waits for what. And quantiles. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>

#include "mien/error.h"
#include "mien/quantiles.h"
#include "mien/worker.h"

/* An engine that takes until the gate is opened, an item at a time. */
typedef struct Engine {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    int begun, allowed; /* items begun; items that may be finished */
    int worked[64], n_worked, n_dropped;
    int inside; /* unguarded: the worker's while it works, the owner's while it is held */
} Engine;

static void engine_init(Engine *e, int allowed)
{
    *e = (Engine){ .allowed = allowed };
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->moved, NULL);
}

static void engine_uninit(Engine *e)
{
    pthread_cond_destroy(&e->moved);
    pthread_mutex_destroy(&e->lock);
}

static void work(void *priv, void *item)
{
    Engine *e = priv;
    e->inside++;
    pthread_mutex_lock(&e->lock);
    e->begun++;
    pthread_cond_broadcast(&e->moved);
    while (e->n_worked >= e->allowed)
        pthread_cond_wait(&e->moved, &e->lock);
    e->worked[e->n_worked++ % 64] = *(int *)item;
    pthread_mutex_unlock(&e->lock);
    free(item);
}

static void drop(void *priv, void *item)
{
    Engine *e = priv;
    e->n_dropped++;
    free(item);
}

static void allow(Engine *e, int n)
{
    pthread_mutex_lock(&e->lock);
    e->allowed = n;
    pthread_cond_broadcast(&e->moved);
    pthread_mutex_unlock(&e->lock);
}

static void wait_begun(Engine *e, int n)
{
    pthread_mutex_lock(&e->lock);
    while (e->begun < n)
        pthread_cond_wait(&e->moved, &e->lock);
    pthread_mutex_unlock(&e->lock);
}

static int put(MienWorker *w, int number)
{
    int *item = malloc(sizeof(*item));
    *item = number;
    return mien_worker_put(w, item);
}

static MienWorker *start(Engine *e)
{
    MienWorker *w;
    MienWorkerParams params = { work, drop, e, { 0 } };
    assert_int_equal(mien_worker_create(&w, &params), 0);
    return w;
}

static void newest_is_worked_on(void **state)
{
    (void)state;
    Engine e;
    engine_init(&e, 0);
    MienWorker *w = start(&e);
    assert_int_equal(put(w, 0), 0);
    wait_begun(&e, 1);
    assert_false(mien_worker_is_full(w));
    assert_int_equal(put(w, 1), 0);
    assert_true(mien_worker_is_full(w));
    for (int i = 2; i < 100; i++) /* none of these waits though the engine stands still */
        assert_int_equal(put(w, i), 1);
    assert_int_equal(e.n_dropped, 98);
    allow(&e, 1000);
    mien_worker_finish(w);
    assert_false(mien_worker_is_full(w));
    assert_int_equal(e.n_worked, 2);
    assert_int_equal(e.worked[0], 0);
    assert_int_equal(e.worked[1], 99);
    mien_worker_destroy(&w);
    assert_null(w);
    mien_worker_destroy(&w);
    engine_uninit(&e);
}

static void *let_go(void *arg)
{
    allow(arg, 1000);
    return NULL;
}

static void ending_drops_what_waits(void **state)
{
    (void)state;
    Engine e;
    engine_init(&e, 1000);
    MienWorker *w = start(&e);
    mien_worker_hold(w);
    put(w, 0);
    mien_worker_destroy(&w); /* held or not */
    assert_int_equal(e.n_worked, 0);
    assert_int_equal(e.n_dropped, 1);
    engine_uninit(&e);

    /* one in hand, one that waits: the first comes to its end, the other is taken back or, if it was begun by then, as well */
    pthread_t thread;
    engine_init(&e, 0);
    w = start(&e);
    put(w, 0);
    wait_begun(&e, 1);
    put(w, 1);
    assert_int_equal(pthread_create(&thread, NULL, let_go, &e), 0);
    mien_worker_destroy(&w);
    pthread_join(thread, NULL);
    assert_true(e.n_worked >= 1);
    assert_int_equal(e.n_worked + e.n_dropped, 2);
    engine_uninit(&e);
}

/* What the worker uses belongs to the owner in between; ThreadSanitizer would see it. */
static void held_it_rests(void **state)
{
    (void)state;
    Engine e;
    engine_init(&e, 1000000);
    MienWorker *w = start(&e);
    int n_put = 0, n_dropped = 0;
    for (int i = 0; i < 2000; i++) {
        n_dropped += put(w, i);
        n_put++;
        if (i % 3)
            continue;
        mien_worker_hold(w);
        int inside = e.inside;
        n_dropped += put(w, i);
        n_put++;
        assert_int_equal(e.inside, inside);
        mien_worker_release(w);
    }
    mien_worker_finish(w);
    assert_int_equal(e.n_dropped, n_dropped);
    assert_int_equal(e.n_worked, n_put - n_dropped); /* each once: worked on or dropped */
    assert_int_equal(e.inside, e.n_worked);
    mien_worker_finish(w);
    mien_worker_destroy(&w);
    engine_uninit(&e);
}

static void out_of_memory(void **state)
{
    (void)state;
    Engine e;
    engine_init(&e, 0);
    MienWorker *w = (MienWorker *)&e;
    MienWorkerParams params = { work, drop, &e, { 0 } };
    mien_mem_fail_at(1, 0);
    assert_int_equal(mien_worker_create(&w, &params), MIEN_ERR(ENOMEM));
    mien_mem_fail_at(0, 0);
    assert_null(w);
    engine_uninit(&e);
}

static void quantiles(void **state)
{
    (void)state;
    MienQuantiles q = { 0 };
    assert_true(isnan(mien_quantiles_get(&q, 0.5)));
    mien_quantiles_add(&q, NAN);
    assert_int_equal(q.n, 0);
    for (int i = 0; i <= 10000; i++)
        mien_quantiles_add(&q, (i * 7919) % 10001); /* 0..10000 in some order */
    for (int percent = 0; percent <= 100; percent++) {
        double want = 100 * percent, got = mien_quantiles_get(&q, percent / 100.0);
        assert_true(fabs(got - want) <= 0.025 * (want + 1) + 1);
    }
    MienQuantiles odd = { 0 };
    mien_quantiles_add(&odd, -3);
    assert_true(mien_quantiles_get(&odd, 0.5) == 0);
    mien_quantiles_add(&odd, INFINITY);
    mien_quantiles_add(&odd, 1e300);
    assert_true(fabs(mien_quantiles_get(&odd, 1) - 1e6) < 0.025e6);
    assert_true(mien_quantiles_get(&odd, -1) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_is_worked_on),
        cmocka_unit_test(ending_drops_what_waits),
        cmocka_unit_test(held_it_rests),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(quantiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
