/* models/store.h — a finished model file goes into a folder of models. */
#ifndef MIEN_MODELS_STORE_H
#define MIEN_MODELS_STORE_H

#include "mien/common.h"
#include "mien/log.h"
#include "models/import.h"

/* Checks that data is a model file (graph, weights), writes it to out_dir/ROLE-<12 hex digits>.safetensors and lists it in
 * out_dir/manifest.json. A file that is there already with the same content is left alone. source is for messages; wanted_sha256
 * what the file's hash must be (NULL: anything; else MIEN_E_MISMATCH and nothing is written); done may be NULL. */
int mieni_model_store(const void *data, size_t bytes, const char *source, const char *wanted_sha256, const char *out_dir,
                      MienImported *done, MienLog log);

#endif
