/* A protobuf writer for small messages, for the tests of ONNX files. Include after cmocka.h. */
#ifndef TESTS_ONNX_BYTES_H
#define TESTS_ONNX_BYTES_H

#include <stdint.h>
#include <string.h>

typedef struct Buf {
    uint8_t b[1 << 14];
    size_t n;
} Buf;

static inline void put_varint(Buf *to, uint64_t v)
{
    for (; v > 127; v >>= 7)
        to->b[to->n++] = (uint8_t)(v | 128);
    to->b[to->n++] = (uint8_t)v;
}

static inline void put_int(Buf *to, int field, int64_t v)
{
    put_varint(to, (uint64_t)field << 3);
    put_varint(to, (uint64_t)v);
}

static inline void put_bytes(Buf *to, int field, const void *data, size_t n)
{
    put_varint(to, (uint64_t)field << 3 | 2);
    put_varint(to, n);
    assert_true(to->n + n <= sizeof(to->b));
    memcpy(to->b + to->n, data, n);
    to->n += n;
}

static inline void put_text(Buf *to, int field, const char *s)
{
    put_bytes(to, field, s, strlen(s));
}

static inline void put_buf(Buf *to, int field, const Buf *from)
{
    put_bytes(to, field, from->b, from->n);
}

#endif
