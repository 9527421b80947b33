/* models/pb.h — the protobuf wire format, read and never past the end: a message is a row of (field number, wire type, value).
 * Source: the public encoding description (varint, 64-bit, length-delimited, 32-bit; groups are refused). */
#ifndef MIEN_MODELS_PB_H
#define MIEN_MODELS_PB_H

#include "base/reader.h"

typedef enum MieniPbWire { MIENI_PB_VARINT = 0, MIENI_PB_64 = 1, MIENI_PB_BYTES = 2, MIENI_PB_32 = 5 } MieniPbWire;

typedef struct MieniPbField {
    uint32_t number;
    MieniPbWire wire;
    uint64_t value;   /* varint, 64-bit and 32-bit fields */
    MieniReader data; /* length-delimited: a reader over its bytes */
} MieniPbField;

/* Reads at most 10 bytes, as a 64-bit varint has. On failure r->bad. */
static inline uint64_t mieni_pb_varint(MieniReader *r)
{
    uint64_t v = 0;

    for (int shift = 0; shift < 70; shift += 7) {
        uint8_t byte = mieni_read_u8(r);
        if (shift == 63 && byte > 1)
            break;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    r->bad = 1;
    return 0;
}

/* The next field: 1, or 0 at the end, or -1 if the bytes are no protobuf (r->bad is set as well). */
static inline int mieni_pb_next(MieniReader *r, MieniPbField *f)
{
    if (!r->bad && r->at == r->bytes)
        return 0;
    uint64_t key = mieni_pb_varint(r);
    f->number = (uint32_t)(key >> 3);
    f->wire = (MieniPbWire)(key & 7);
    f->value = 0;
    f->data = (MieniReader){ 0 };
    if (key >> 3 == 0 || key >> 32)
        r->bad = 1;
    switch (f->wire) {
    case MIENI_PB_VARINT:
        f->value = mieni_pb_varint(r);
        break;
    case MIENI_PB_64:
        f->value = mieni_read_le(r, 8);
        break;
    case MIENI_PB_32:
        f->value = mieni_read_le(r, 4);
        break;
    case MIENI_PB_BYTES: {
        uint64_t n = mieni_pb_varint(r);
        const uint8_t *p = n <= SIZE_MAX ? mieni_read_bytes(r, (size_t)n) : NULL;
        if (p)
            f->data = mieni_reader(p, (size_t)n);
        else
            r->bad = 1;
        break;
    }
    default:
        r->bad = 1;
    }
    return r->bad ? -1 : 1;
}

/* A repeated int64 may come packed or one by one. Appends f's numbers to to[*n], at most cap in all; 0, or -1 if damaged or
 * too many. */
static inline int mieni_pb_ints(const MieniPbField *f, int64_t *to, int *n, int cap)
{
    MieniReader r = f->data;

    if (f->wire == MIENI_PB_VARINT) {
        if (*n == cap)
            return -1;
        to[(*n)++] = (int64_t)f->value;
        return 0;
    }
    if (f->wire != MIENI_PB_BYTES)
        return -1;
    while (r.at < r.bytes) {
        uint64_t v = mieni_pb_varint(&r);
        if (r.bad || *n == cap)
            return -1;
        to[(*n)++] = (int64_t)v;
    }
    return 0;
}

#endif
