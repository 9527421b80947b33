/* mien/worker.h — a thread that works on the newest of what it is given.
 *
 * For work that is slower than what comes in, such as networks on a camera's frames. One item at most waits: putting a newer one drops it, so
 * memory is bounded whatever the input does, and putting never waits.
 * Threads: one thread calls (the owner), the worker is the other. What `work` touches the owner may touch between mien_worker_hold and
 * mien_worker_release, and after mien_worker_destroy.
 */
#ifndef MIEN_WORKER_H
#define MIEN_WORKER_H

#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MienWorkerParams {
    void (*work)(void *priv, void *item); /* in the worker's thread; takes the item over */
    void (*drop)(void *priv, void *item); /* takes over an item that is not worked on; in the owner's thread */
    void *priv;
    MienLog log;
} MienWorkerParams;

typedef struct MienWorker MienWorker;
/* Starts the thread. Without one there is no result: an error. */
int mien_worker_create(MienWorker **worker, const MienWorkerParams *params);
/* Drops what waits, lets the work in hand come to its end and ends the thread. */
void mien_worker_destroy(MienWorker **worker);

/* Takes the item over (not NULL). 1: one that waited was dropped for it, 0: none. Never waits for work. */
int mien_worker_put(MienWorker *worker, void *item);
/* Whether an item waits. */
int mien_worker_is_full(MienWorker *worker);
/* Returns when nothing waits and nothing is in hand. Not while it is held. */
void mien_worker_finish(MienWorker *worker);
/* Returns when nothing is in hand; nothing is begun before mien_worker_release. These don't nest. */
void mien_worker_hold(MienWorker *worker);
void mien_worker_release(MienWorker *worker);

#ifdef __cplusplus
}
#endif
#endif
