/* models/import_int.h — the importers as recipes, tests and fuzzers call them. */
#ifndef MIEN_MODELS_IMPORT_INT_H
#define MIEN_MODELS_IMPORT_INT_H

#include "models/import.h"

/* mien_import_onnx and mien_import_tfjs, with the hash that the result must have; NULL: any. */
int mieni_import_onnx_checked(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                              MienImported *done, MienLog log);
int mieni_import_tfjs_checked(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                              MienImported *done, MienLog log);
int mieni_import_model_checked(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                               MienImported *done, MienLog log);

/* From memory to memory: the bytes of the model file, which the caller frees. path is for messages. */
int mieni_import_onnx_bytes(const void *data, size_t bytes, const char *path, const MienImportParams *params, uint8_t **packed,
                            size_t *packed_bytes, MienLog log);
/* json is the weight manifest, data the concatenated weight files. */
int mieni_import_tfjs_bytes(const char *json, size_t json_bytes, const void *data, size_t bytes, const char *path,
                            const MienImportParams *params, uint8_t **packed, size_t *packed_bytes, MienLog log);

/* A VGG-19 as safetensors or ONNX. */
int mieni_import_vgg_bytes(const void *data, size_t bytes, const char *path, const MienImportParams *params, uint8_t **packed,
                           size_t *packed_bytes, MienLog log);

/* The files that a tfjs manifest names, in order, one below the other ('\\n' between them) in a string that the caller frees.
 * Plain names only: a '/' is refused. */
int mieni_tfjs_paths(const char *json, size_t json_bytes, const char *path, char **names, MienLog log);

#endif
