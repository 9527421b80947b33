/* A finished model file goes into a folder of models: checked, named by its content, listed. Model files made elsewhere come in by
 * the same door, perhaps with another kind of pooling. */
#include "models/store.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "models/import_int.h"
#include "models/manifest.h"
#include "models/netbuild.h"
#include "nn/nn.h"

#define MAX_FILE_BYTES ((size_t)2 << 30)
#define MAX_META 64

/* Leaves a file with the same content alone, so that importing twice changes no time stamp. */
static int write_model(const char *path, const void *data, size_t bytes, MienLog log)
{
    MienLog silent = { 0 };
    uint8_t *old = NULL;
    size_t old_bytes = 0;

    int same = mieni_file_read(path, bytes + 1, &old, &old_bytes, silent) >= 0 && old_bytes == bytes && !memcmp(old, data, bytes);
    mien_free(old);
    return same ? 0 : mieni_file_write_atomic(path, data, bytes, 0644, log);
}

static int list_model(const MienModel *m, const MienImported *made, const char *out_dir, MienLog log)
{
    const char *license = mien_model_meta(m, "license"), *origin = mien_model_meta(m, "origin");
    MieniModelEntry entry = { (char *)made->role, (char *)made->name, strrchr(made->path, '/') + 1, (char *)made->sha256,
                              (char *)(license ? license : "unknown"), (char *)(origin ? origin : "unknown") };

    return mieni_manifest_add(out_dir, &entry, log);
}

int mieni_model_store(const void *data, size_t bytes, const char *source, const char *wanted_sha256, const char *out_dir,
                      MienImported *done, MienLog log)
{
    MienImported made = { .n_nodes = 0 };
    MienModel *m;

    int ret = mieni_model_parse(&m, data, bytes, source, log);
    if (ret < 0)
        return ret;
    snprintf(made.role, sizeof(made.role), "%s", mien_model_meta(m, "role"));
    snprintf(made.name, sizeof(made.name), "%s", mien_model_meta(m, "name"));
    snprintf(made.sha256, sizeof(made.sha256), "%s", mien_model_hash(m));
    made.params = mien_model_params(m);
    made.n_nodes = m->n_nodes;
    if (!mieni_role_known(made.role))
        ret = mien_fail(log, MIEN_E_UNSUPPORTED, "%s: is a model for \"%s\", which is no role that mien knows", source, made.role);
    else if (wanted_sha256 && strcmp(wanted_sha256, made.sha256))
        ret = mien_fail(log, MIEN_E_MISMATCH, "%s: the imported model \"%s\" has SHA-256 %s, not %s as it should", source, made.name,
                        made.sha256, wanted_sha256);
    else if (snprintf(made.path, sizeof(made.path), "%s/%s-%.12s.safetensors", out_dir, made.role, made.sha256) >=
             (int)sizeof(made.path))
        ret = mien_fail(log, MIEN_ERR(ENAMETOOLONG), "the path \"%.100s...\" is too long", out_dir);
    else
        ret = write_model(made.path, data, bytes, log);
    if (ret >= 0)
        ret = list_model(m, &made, out_dir, log);
    mien_model_unref(&m);
    if (ret >= 0 && done)
        *done = made;
    return ret < 0 ? ret : 0;
}

/* ---- model files made elsewhere */

/* The graph's text with all pools of the wanted kind, in cJSON's memory; NULL if there is none to change or no memory. */
static char *repooled(const char *graph, const char *pool)
{
    cJSON *root = cJSON_Parse(graph), *node;
    char *text = NULL;
    int n = 0;

    cJSON_ArrayForEach(node, cJSON_GetObjectItemCaseSensitive(root, "nodes")) {
        cJSON *op = cJSON_GetObjectItemCaseSensitive(node, "op");
        const char *word = cJSON_GetStringValue(op);
        if (word && (!strcmp(word, "maxpool") || !strcmp(word, "avgpool")))
            n += cJSON_SetValuestring(op, strcmp(pool, "avg") ? "maxpool" : "avgpool") != NULL;
    }
    if (n)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

/* The same model with another name or other pools, as bytes that the caller frees. */
static int rewrite(const MienWeights *w, const char *path, const MienImportParams *p, uint8_t **packed, size_t *packed_bytes, MienLog log)
{
    MienMeta meta[MAX_META];
    MienTensor *tensor = mien_malloc_array(mien_weights_count(w), sizeof(*tensor));
    char *graph = NULL, name[128];
    size_t n = 0;
    int ret = tensor ? 0 : mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", path);

    for (size_t i = 0; tensor && i < mien_weights_count(w); i++)
        tensor[i] = *mien_weights_get(w, i);
    for (; ret >= 0 && n < MAX_META && mien_weights_meta_at(w, n, &meta[n].key, &meta[n].value) >= 0; n++) {
        if (!strcmp(meta[n].key, "mien.name")) {
            snprintf(name, sizeof(name), "%.63s%s%s", p->name ? p->name : meta[n].value, p->name || !p->pool ? "" : "-",
                     p->name || !p->pool ? "" : p->pool);
            meta[n].value = name;
        } else if (!strcmp(meta[n].key, "mien.license") && p->license) {
            meta[n].value = p->license;
        } else if (!strcmp(meta[n].key, "mien.origin") && p->origin) {
            meta[n].value = p->origin;
        } else if (!strcmp(meta[n].key, "mien.graph") && p->pool && !graph) {
            graph = repooled(meta[n].value, p->pool);
            if (!graph)
                ret = mien_fail(log, MIEN_E_UNSUPPORTED, "%s: has no pooling that could be changed", path);
            else
                meta[n].value = graph;
        }
    }
    if (ret >= 0)
        ret = mien_weights_pack(packed, packed_bytes, tensor, mien_weights_count(w), meta, n, log);
    cJSON_free(graph);
    mien_free(tensor);
    return ret;
}

int mieni_import_model_checked(const char *path, const MienImportParams *p, const char *out_dir, const char *wanted_sha256,
                               MienImported *done, MienLog log)
{
    uint8_t *data, *packed = NULL;
    size_t bytes, packed_bytes = 0;
    MienWeights *w = NULL;

    int ret = mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, log);
    if (ret < 0)
        return ret;
    if (p->pool || p->name || p->license || p->origin) {
        ret = mien_weights_parse(&w, data, bytes, path, log);
        if (ret >= 0)
            ret = rewrite(w, path, p, &packed, &packed_bytes, log);
        mien_weights_close(&w);
    }
    if (ret >= 0)
        ret = mieni_model_store(packed ? packed : data, packed ? packed_bytes : bytes, path, wanted_sha256, out_dir, done, log);
    mien_free(packed);
    mien_free(data);
    return ret;
}

int mien_import_model(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log)
{
    return mieni_import_model_checked(path, params, out_dir, NULL, done, log);
}
