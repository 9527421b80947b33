/* For tests: makes a model file in memory from a graph and tensors, and numbers that look random. */
#ifndef NN_BUILD_H
#define NN_BUILD_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nn/nn.h"

static uint32_t rng_state = 1;

static inline uint32_t rng(void)
{
    rng_state = rng_state * 1664525u + 1013904223u;
    return rng_state >> 8;
}

static inline int rng_int(int lo, int hi) /* both included */
{
    return lo + (int)(rng() % (uint32_t)(hi - lo + 1));
}

static inline float rng_float(void) /* (-1, 1) */
{
    return (float)((double)rng() / (1 << 23) - 1);
}

#define NN_MAX_TENSORS 64

typedef struct NnBuild {
    char graph[65536];
    size_t at;
    MienTensor tensor[NN_MAX_TENSORS];
    char name[NN_MAX_TENSORS][160];
    int n_tensors;
    MienMeta meta[8];
    int n_meta;
} NnBuild;

static inline void nn_put(NnBuild *b, const char *fmt, ...) MIEN_PRINTF(2, 3);
static inline void nn_put(NnBuild *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    b->at += (size_t)vsnprintf(b->graph + b->at, sizeof(b->graph) - b->at, fmt, ap);
    va_end(ap);
}

/* Adds a tensor of random values in (-scale, scale) + offset; the values may be changed until the model is made. */
static inline float *nn_tensor(NnBuild *b, const char *name, int n_dims, const int *dim, float scale, float offset)
{
    MienTensor *t = &b->tensor[b->n_tensors];
    snprintf(b->name[b->n_tensors], sizeof(b->name[0]), "%s", name);
    t->name = b->name[b->n_tensors++];
    t->dtype = MIEN_F32;
    t->n_dims = n_dims;
    size_t n = 1;
    for (int i = 0; i < n_dims; i++) {
        t->dim[i] = dim[i];
        n *= (size_t)dim[i];
    }
    float *data = malloc(n * sizeof(float) + 1);
    for (size_t i = 0; i < n; i++)
        data[i] = rng_float() * scale + offset;
    t->data = data;
    t->bytes = n * sizeof(float);
    return data;
}

static inline float *nn_vector(NnBuild *b, const char *name, int n, float scale, float offset)
{
    return nn_tensor(b, name, 1, &n, scale, offset);
}

static inline int nn_pack(NnBuild *b, uint8_t **data, size_t *bytes)
{
    MienMeta meta[12] = { { "mien.format", "1" }, { "mien.role", "features" }, { "mien.name", "test" } };
    int n = 3;
    if (b->at)
        meta[n++] = (MienMeta){ "mien.graph", b->graph };
    for (int i = 0; i < b->n_meta; i++)
        meta[n++] = b->meta[i];
    return mien_weights_pack(data, bytes, b->tensor, (size_t)b->n_tensors, meta, (size_t)n, (MienLog){ 0 });
}

static inline int nn_model(NnBuild *b, MienModel **model, MienLog log)
{
    uint8_t *data;
    size_t bytes;
    int ret = nn_pack(b, &data, &bytes);
    if (ret < 0)
        return ret;
    ret = mieni_model_parse(model, data, bytes, "test.safetensors", log);
    mien_free(data);
    return ret;
}

static inline void nn_free(NnBuild *b)
{
    for (int i = 0; i < b->n_tensors; i++)
        free((void *)(uintptr_t)b->tensor[i].data);
    memset(b, 0, sizeof(*b));
}

#endif
