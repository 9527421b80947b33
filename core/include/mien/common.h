/* mien/common.h — the rules that hold for every call of libmien, and memory.
 *
 * Rules, stated once:
 *  - Functions that can fail return int: 0 (or a count >= 0) on success, a negative MIEN_E* code on failure (error.h).
 *    The code says what kind of failure it is; one log line says which thing failed.
 *  - create/open hand out a pointer that the caller owns; on failure they set it to NULL. destroy/close take the
 *    address of that pointer, accept NULL and a pointer to NULL, and set it to NULL.
 *  - ref/unref count references to immutable objects; such objects may be shared between threads.
 *  - Parameter structs live for the call only; nothing keeps a pointer into them unless the function says so.
 *    Start from the module's _DEFAULTS initialiser, so that fields added later have a meaning.
 *  - Strings are UTF-8 and NUL-terminated. A returned const char * is borrowed and lives as long as its object.
 *  - Picture coordinates are pixels; x grows to the right, y downward; the pixel (0,0) covers [0,1) x [0,1), so its centre
 *    is (0.5, 0.5). Names carry the unit: _px, _norm, _ms, _bytes, _elems.
 *  - Threads: an object may be used by one thread at a time unless its own line "Threads:" says otherwise.
 *  - The library starts no threads unless asked (mien/exec.h, mien/worker.h), installs no handlers, writes to no stream and never exits.
 */
#ifndef MIEN_COMMON_H
#define MIEN_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__) || defined(__clang__)
#define MIEN_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define MIEN_PRINTF(fmt, args)
#endif

#define MIEN_ARRAY_ELEMS(a) (sizeof(a) / sizeof((a)[0]))

/* Every block of the library comes from here: 64-byte aligned, sizes checked for overflow, NULL when out of memory
 * (never an abort: we are guests in somebody else's process). Memory that the library hands over ("the caller frees") is
 * freed by mien_free. Threads: any. */
void *mien_malloc(size_t bytes);                        /* bytes == 0 gives a block that may be freed */
void *mien_calloc(size_t n, size_t elem_bytes);         /* zeroed; NULL on n * elem_bytes overflow */
void *mien_malloc_array(size_t n, size_t elem_bytes);   /* not zeroed */
/* Grows or shrinks p (NULL allowed) to n elements; on failure p stays valid and NULL is returned. */
void *mien_realloc_array(void *p, size_t n, size_t elem_bytes);
char *mien_strdup(const char *s);
char *mien_strndup(const char *s, size_t max_bytes);
void mien_free(void *p);                                /* NULL allowed */

/* Test hooks. After mien_mem_fail_at(n) the n-th allocation from now (1 = the next) and, if sticky, all after it return
 * NULL; n = 0 switches that off. mien_mem_count() counts successful allocations since the process began. */
void mien_mem_fail_at(uint64_t n, int sticky);
uint64_t mien_mem_count(void);
uint64_t mien_mem_live_bytes(void);

#ifdef __cplusplus
}
#endif
#endif
