/* Memory by lifetime: many buffers, one block. Largest first, each at the lowest gap among those placed that live at the same
 * time (greedy by size; Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, section 5). */
#include <stdlib.h>

#include "mien/error.h"
#include "nn/nn.h"

enum { ALIGN_BYTES = 64 };

static int by_size(const void *pa, const void *pb)
{
    const MieniBuf *a = *(MieniBuf *const *)pa, *b = *(MieniBuf *const *)pb;
    if (a->bytes != b->bytes)
        return a->bytes > b->bytes ? -1 : 1;
    return a < b ? -1 : a > b; /* same order everywhere */
}

static int alive_together(const MieniBuf *a, const MieniBuf *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* Lowest offset where b fits between those of placed[] that live with it; placed is sorted by offset. */
static size_t lowest_gap(const MieniBuf *b, MieniBuf *const *placed, int n_placed)
{
    size_t at = 0;
    for (int i = 0; i < n_placed; i++) {
        const MieniBuf *p = placed[i];
        if (!alive_together(b, p))
            continue;
        if (p->offset >= at && p->offset - at >= b->bytes)
            break;
        if (p->offset + p->bytes > at)
            at = p->offset + p->bytes;
    }
    return at;
}

int mieni_plan_place(MieniBuf *buf, int n_bufs, size_t *total_bytes)
{
    *total_bytes = 0;
    size_t sum = 0;
    for (int i = 0; i < n_bufs; i++) {
        if (buf[i].bytes > SIZE_MAX / 2 - ALIGN_BYTES - sum)
            return MIEN_ERR(ENOMEM);
        buf[i].bytes = (buf[i].bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
        sum += buf[i].bytes;
    }
    MieniBuf **order = mien_malloc_array((size_t)n_bufs, sizeof(MieniBuf *));
    MieniBuf **placed = mien_malloc_array((size_t)n_bufs, sizeof(MieniBuf *));
    if (!order || !placed) {
        mien_free(order);
        mien_free(placed);
        return MIEN_ERR(ENOMEM);
    }
    for (int i = 0; i < n_bufs; i++)
        order[i] = &buf[i];
    qsort(order, (size_t)n_bufs, sizeof(*order), by_size);
    for (int i = 0; i < n_bufs; i++) {
        MieniBuf *b = order[i];
        b->offset = lowest_gap(b, placed, i);
        if (b->offset + b->bytes > *total_bytes)
            *total_bytes = b->offset + b->bytes;
        int k = i;
        for (; k > 0 && placed[k - 1]->offset > b->offset; k--)
            placed[k] = placed[k - 1];
        placed[k] = b;
    }
    mien_free(order);
    mien_free(placed);
    return 0;
}
