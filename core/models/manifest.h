/* models/manifest.h — manifest.json, the list of the models in a folder:
 *
 *   {"format":1, "models":[{"role":"face-encoder", "name":"mobileface128", "file":"face-encoder-0123456789ab.safetensors",
 *    "sha256":"…", "license":"…", "origin":"…"}, …]}
 *
 * The first of a role is that role's default. Unknown keys are ignored; the list is at most 1 MiB and 1024 models; a file is a
 * plain name in the same folder.
 */
#ifndef MIEN_MODELS_MANIFEST_H
#define MIEN_MODELS_MANIFEST_H

#include "mien/common.h"
#include "mien/log.h"

typedef struct MieniModelEntry {
    char *role, *name, *file, *sha256, *license, *origin; /* never NULL */
} MieniModelEntry;

typedef struct MieniManifest {
    MieniModelEntry *model;
    size_t n_models;
} MieniManifest;

/* Reads dir/manifest.json. MIEN_E_NOTFOUND if there is none, MIEN_E_FORMAT if it is damaged; both log one line (with the
 * remedy). Free by mieni_manifest_uninit, which accepts a zeroed one. */
int mieni_manifest_read(MieniManifest *manifest, const char *dir, MienLog log);
int mieni_manifest_parse(MieniManifest *manifest, const char *json, size_t bytes, const char *name_for_log, MienLog log);
void mieni_manifest_uninit(MieniManifest *manifest);

/* Adds or replaces the entry with the same role and name (entry's strings are copied) and writes dir/manifest.json; the recipes
 * of mien come first, in their order, then others by name. */
int mieni_manifest_add(const char *dir, const MieniModelEntry *entry, MienLog log);

/* Path of the model with this role and name (NULL: the role's default) in dir: the caller frees *path. MIEN_E_NOTFOUND: logs
 * which one is missing and the remedy. */
int mieni_manifest_find(char **path, const char *dir, const char *role, const char *name, MienLog log);

#endif
