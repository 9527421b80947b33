/* Finding pieces of templates in raw bytes: one pass, whatever the number of needles. Each offset's eight bytes are looked up in a
 * small bit table; the few that pass are compared in full. */
#include <stdlib.h>
#include <string.h>

#include "gallery_int.h"

#define KEY_BYTES 8
#define TABLE_BITS 16

typedef struct Needle {
    uint64_t key; /* the first eight bytes */
    uint8_t bytes[MIENI_NEEDLE_BYTES];
    uint8_t n_bytes, dropped;
} Needle;

struct MieniNeedles {
    Needle *needle;
    size_t n, cap;
    uint8_t table[(1 << TABLE_BITS) / 8];
};

int mieni_needles_create(MieniNeedles **needles)
{
    *needles = mien_calloc(1, sizeof(**needles));
    return *needles ? 0 : MIEN_ERR(ENOMEM);
}

void mieni_needles_destroy(MieniNeedles **needles)
{
    if (*needles)
        mien_free((*needles)->needle);
    mien_free(*needles);
    *needles = NULL;
}

static uint64_t load_key(const uint8_t *p)
{
    uint64_t key;
    memcpy(&key, p, sizeof(key));
    return key;
}

static size_t table_slot(uint64_t key)
{
    return (size_t)(key * 0x9e3779b97f4a7c15u >> (64 - TABLE_BITS)); /* Fibonacci hashing */
}

static int add_piece(MieniNeedles *s, const uint8_t *p, size_t bytes)
{
    if (bytes < KEY_BYTES || !memcmp(p, p + 1, bytes - 1))
        return 0;
    if (s->n == s->cap) {
        size_t cap = s->cap ? 2 * s->cap : 64;
        Needle *grown = mien_realloc_array(s->needle, cap, sizeof(*grown));
        if (!grown)
            return MIEN_ERR(ENOMEM);
        s->needle = grown;
        s->cap = cap;
    }
    Needle *n = &s->needle[s->n++];
    memset(n, 0, sizeof(*n));
    memcpy(n->bytes, p, bytes);
    n->n_bytes = (uint8_t)bytes;
    n->key = load_key(p);
    size_t slot = table_slot(n->key);
    s->table[slot / 8] |= (uint8_t)(1 << slot % 8);
    return 0;
}

int mieni_needles_add(MieniNeedles *s, const void *tmpl, size_t bytes)
{
    const uint8_t *p = tmpl;
    if (bytes < MIENI_NEEDLE_BYTES)
        return add_piece(s, p, bytes);
    for (size_t at = 0; at + MIENI_NEEDLE_BYTES <= bytes; at += MIENI_NEEDLE_BYTES) {
        int ret = add_piece(s, p + at, MIENI_NEEDLE_BYTES);
        if (ret < 0)
            return ret;
    }
    return bytes % MIENI_NEEDLE_BYTES ? add_piece(s, p + bytes - MIENI_NEEDLE_BYTES, MIENI_NEEDLE_BYTES) : 0;
}

static int compare_needles(const void *pa, const void *pb)
{
    const Needle *a = pa, *b = pb;
    return a->key < b->key ? -1 : a->key > b->key;
}

void mieni_needles_sort(MieniNeedles *s)
{
    if (s->n)
        qsort(s->needle, s->n, sizeof(*s->needle), compare_needles);
}

/* The first needle with this key, or NULL. */
static Needle *first_of_key(const MieniNeedles *s, uint64_t key)
{
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->needle[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->needle[lo].key == key ? &s->needle[lo] : NULL;
}

/* Needles that begin at p; drop: leaves them out. */
static size_t match_at(const MieniNeedles *s, const uint8_t *p, size_t bytes, int drop)
{
    uint64_t key = load_key(p);
    size_t slot = table_slot(key), n = 0;
    if (!(s->table[slot / 8] & 1 << slot % 8))
        return 0;
    for (Needle *e = first_of_key(s, key); e && e < s->needle + s->n && e->key == key; e++) {
        if (e->dropped || e->n_bytes > bytes || memcmp(e->bytes, p, e->n_bytes))
            continue;
        e->dropped = (uint8_t)drop;
        n++;
    }
    return n;
}

size_t mieni_needles_drop(MieniNeedles *s, const void *data, size_t bytes)
{
    const uint8_t *p = data;
    size_t n = 0;
    for (size_t at = 0; at + KEY_BYTES <= bytes; at++)
        n += match_at(s, p + at, bytes - at, 1);
    return n;
}

size_t mieni_needles_count(const MieniNeedles *s, const void *data, size_t bytes, size_t n_begins)
{
    const uint8_t *p = data;
    size_t n = 0;
    for (size_t at = 0; at < n_begins && at + KEY_BYTES <= bytes; at++)
        n += match_at(s, p + at, bytes - at, 0) > 0;
    return n;
}
