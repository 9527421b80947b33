/* reader.h — a cursor over a block of bytes that cannot run past its end. After the first failed read every later one
 * fails as well and returns zeros, so that a parser may read a whole record and test `bad` once. */
#ifndef MIEN_BASE_READER_H
#define MIEN_BASE_READER_H

#include "mien/common.h"

typedef struct MieniReader {
    const uint8_t *data;
    size_t bytes, at;
    int bad;
} MieniReader;

static inline MieniReader mieni_reader(const void *data, size_t bytes)
{
    return (MieniReader){ .data = (const uint8_t *)data, .bytes = bytes };
}

static inline size_t mieni_reader_left(const MieniReader *r)
{
    return r->bad ? 0 : r->bytes - r->at;
}

/* n bytes, or NULL (and bad) if fewer are left. */
static inline const uint8_t *mieni_read_bytes(MieniReader *r, size_t n)
{
    if (r->bad || n > r->bytes - r->at) {
        r->bad = 1;
        return NULL;
    }
    const uint8_t *p = r->data + r->at;
    r->at += n;
    return p;
}

static inline uint64_t mieni_read_le(MieniReader *r, int n_bytes)
{
    const uint8_t *p = mieni_read_bytes(r, (size_t)n_bytes);
    uint64_t v = 0;
    for (int i = 0; p && i < n_bytes; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static inline uint8_t mieni_read_u8(MieniReader *r) { return (uint8_t)mieni_read_le(r, 1); }
static inline uint32_t mieni_read_u32le(MieniReader *r) { return (uint32_t)mieni_read_le(r, 4); }
static inline uint64_t mieni_read_u64le(MieniReader *r) { return mieni_read_le(r, 8); }

#endif
