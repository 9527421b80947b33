/* mien/weights.h — safetensors files: reading, strictly checked, and writing.
 *
 * Format: u64 little-endian length N, N bytes of JSON, then the tensors' bytes. We refuse: N over 16 MiB or past the end; JSON
 * that is not an object; duplicate names; unknown dtypes; shapes whose size overflows or differs from the offsets; overlapping
 * ranges or holes; bytes behind the last tensor. Source: the format's public description (safetensors 0.4).
 */
#ifndef MIEN_WEIGHTS_H
#define MIEN_WEIGHTS_H

#include "mien/common.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MienDtype { MIEN_F32, MIEN_F16, MIEN_BF16, MIEN_F64, MIEN_I8, MIEN_U8, MIEN_I32, MIEN_I64 } MienDtype;
#define MIEN_TENSOR_MAX_DIMS 8

typedef struct MienTensor {
    const char *name;
    MienDtype dtype;
    int n_dims;
    int64_t dim[MIEN_TENSOR_MAX_DIMS];
    const void *data; /* little-endian, aligned to the dtype; borrowed */
    size_t bytes;
} MienTensor;

size_t mien_dtype_bytes(MienDtype dtype);
const char *mien_dtype_name(MienDtype dtype); /* "F32" … */
size_t mien_tensor_elems(const MienTensor *t);

typedef struct MienWeights MienWeights;

/* Reads the whole file (memory-mapped or copied) or a block of memory (copied). Errors: MIEN_E_FORMAT, -errno. */
int mien_weights_open(MienWeights **w, const char *path, MienLog log);
int mien_weights_parse(MienWeights **w, const void *data, size_t bytes, const char *name_for_log, MienLog log);
void mien_weights_close(MienWeights **w);

/* Threads of the getters: any. Everything lives until close. */
size_t mien_weights_count(const MienWeights *w);
const MienTensor *mien_weights_get(const MienWeights *w, size_t i);         /* in file order */
const MienTensor *mien_weights_find(const MienWeights *w, const char *name); /* NULL: none */
const char *mien_weights_meta(const MienWeights *w, const char *key);        /* of __metadata__, NULL: none */
int mien_weights_meta_at(const MienWeights *w, size_t i, const char **key, const char **value); /* 0, or MIEN_E_NOTFOUND */
const char *mien_weights_sha256(const MienWeights *w); /* of all bytes, 64 hex digits */

/* Finds a tensor and demands f32 and this shape; a dim of -1 fits any. Logs "FILE: tensor NAME has shape …, … is wanted". */
int mien_weights_need(const MienWeights *w, const char *name, int n_dims, const int64_t *dim, const float **data, MienLog log);

typedef struct MienMeta {
    const char *key, *value;
} MienMeta;

/* Writes tensors in the order given (16-byte aligned header; deterministic bytes) to path by writing a temporary file beside
 * it, fsync and rename: a reader never sees half a file. Errors: MIEN_E_FORMAT (duplicate or empty name), -errno. */
int mien_weights_write(const char *path, const MienTensor *tensors, size_t n_tensors, const MienMeta *meta, size_t n_meta,
                       MienLog log);
/* The same into memory; the caller frees *data. */
int mien_weights_pack(uint8_t **data, size_t *bytes, const MienTensor *tensors, size_t n_tensors, const MienMeta *meta,
                      size_t n_meta, MienLog log);

#ifdef __cplusplus
}
#endif
#endif
