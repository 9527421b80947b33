/* The one door to the heap: 64-byte alignment for vector loads, overflow-checked sizes, a counter and a hook that fails the
 * n-th allocation, so that every error path can be run (tests/fault). Each block carries its size in the 64 bytes before
 * it; that is what live_bytes and realloc read. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "mien/common.h"

#define ALIGN_BYTES 64

typedef struct BlockHeader {
    size_t bytes;
} BlockHeader;

static atomic_uint_fast64_t n_allocs, live_bytes;
static atomic_int_fast64_t fail_countdown; /* 0: off */
static atomic_int fail_sticky;

static int must_fail(void)
{
    if (atomic_load_explicit(&fail_countdown, memory_order_relaxed) <= 0)
        return 0;
    int_fast64_t left = atomic_fetch_sub(&fail_countdown, 1);
    if (left != 1)
        return 0;
    if (atomic_load(&fail_sticky))
        atomic_store(&fail_countdown, 1);
    return 1;
}

void *mien_malloc(size_t bytes)
{
    if (bytes > PTRDIFF_MAX - 2 * ALIGN_BYTES || must_fail())
        return NULL;
    size_t rounded = (bytes + ALIGN_BYTES - 1) / ALIGN_BYTES * ALIGN_BYTES;
    char *block = aligned_alloc(ALIGN_BYTES, ALIGN_BYTES + rounded);
    if (!block)
        return NULL;
    ((BlockHeader *)block)->bytes = bytes;
    atomic_fetch_add_explicit(&n_allocs, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&live_bytes, bytes, memory_order_relaxed);
    return block + ALIGN_BYTES;
}

void mien_free(void *p)
{
    if (!p)
        return;
    char *block = (char *)p - ALIGN_BYTES;
    atomic_fetch_sub_explicit(&live_bytes, ((BlockHeader *)block)->bytes, memory_order_relaxed);
    free(block);
}

void *mien_malloc_array(size_t n, size_t elem_bytes)
{
    if (elem_bytes && n > SIZE_MAX / elem_bytes)
        return NULL;
    return mien_malloc(n * elem_bytes);
}

void *mien_calloc(size_t n, size_t elem_bytes)
{
    void *p = mien_malloc_array(n, elem_bytes);
    if (p)
        memset(p, 0, n * elem_bytes);
    return p;
}

void *mien_realloc_array(void *p, size_t n, size_t elem_bytes)
{
    void *grown = mien_malloc_array(n, elem_bytes);
    if (grown && p) {
        size_t old_bytes = ((BlockHeader *)((char *)p - ALIGN_BYTES))->bytes;
        size_t new_bytes = n * elem_bytes;
        memcpy(grown, p, old_bytes < new_bytes ? old_bytes : new_bytes);
        mien_free(p);
    }
    return grown;
}

char *mien_strndup(const char *s, size_t max_bytes)
{
    size_t len = 0;
    while (len < max_bytes && s[len])
        len++;
    char *copy = mien_malloc(len + 1);
    if (copy) {
        memcpy(copy, s, len);
        copy[len] = '\0';
    }
    return copy;
}

char *mien_strdup(const char *s)
{
    return mien_strndup(s, SIZE_MAX - 1);
}

void mien_mem_fail_at(uint64_t n, int sticky)
{
    atomic_store(&fail_sticky, sticky);
    atomic_store(&fail_countdown, (int_fast64_t)n);
}

uint64_t mien_mem_count(void)
{
    return atomic_load(&n_allocs);
}

uint64_t mien_mem_live_bytes(void)
{
    return atomic_load(&live_bytes);
}
