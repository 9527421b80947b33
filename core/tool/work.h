/* work.h — many items on several threads, results taken in order. */
#ifndef MIEN_TOOL_WORK_H
#define MIEN_TOOL_WORK_H

#include <stdint.h>

typedef struct Work {
    /* Called on worker threads, each i in [0, n) once; at most `lead` items are ahead of the one taken next. */
    void (*make)(void *priv, int worker, int64_t i);
    /* Called in the calling thread, in order of i; a result other than 0 ends the work. */
    int (*take)(void *priv, int64_t i);
    /* Called a few times a second in the calling thread; NULL allowed. done: items made. */
    void (*tick)(void *priv, int64_t done);
    void *priv;
    int n_workers, lead;
} Work;

/* Returns 0, take's result, or -errno if not even one thread could be started. Interruption (SIGINT) ends it after the items in hand,
 * with 0: whoever needs to know asks interrupted(). With one worker everything runs in the calling thread. */
int work_in_order(const Work *work, int64_t n);

#endif
