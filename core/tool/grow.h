/* grow.h — room for one more in an array. */
#ifndef MIEN_TOOL_GROW_H
#define MIEN_TOOL_GROW_H

#include "mien/common.h"
#include "mien/error.h"

/* Makes *p, with room for *room elements of which n are in use, larger if it is full. 0, or MIEN_ERR(ENOMEM): nothing changed. */
static inline int grow(void **p, size_t *room, size_t n, size_t elem_bytes)
{
    if (n < *room)
        return 0;
    size_t more = *room ? 2 * *room : 64;
    void *q = mien_realloc_array(*p, more, elem_bytes);
    if (!q)
        return MIEN_ERR(ENOMEM);
    *p = q;
    *room = more;
    return 0;
}

#endif
