/* manifest.json: reading (it may be anybody's file), finding a model, adding one. */
#include "models/manifest.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "models/import.h"

#define MAX_BYTES ((size_t)1 << 20)
#define MAX_MODELS 1024
#define REMEDY "make models writes it; mien model import adds to it"

static void free_entry(MieniModelEntry *e)
{
    mien_free(e->role);
    mien_free(e->name);
    mien_free(e->file);
    mien_free(e->sha256);
    mien_free(e->license);
    mien_free(e->origin);
}

void mieni_manifest_uninit(MieniManifest *m)
{
    for (size_t i = 0; i < m->n_models; i++)
        free_entry(&m->model[i]);
    mien_free(m->model);
    memset(m, 0, sizeof(*m));
}

static int copy_entry(MieniModelEntry *to, const MieniModelEntry *from)
{
    *to = (MieniModelEntry){ mien_strdup(from->role),   mien_strdup(from->name),    mien_strdup(from->file),
                             mien_strdup(from->sha256), mien_strdup(from->license), mien_strdup(from->origin) };
    if (to->role && to->name && to->file && to->sha256 && to->license && to->origin)
        return 0;
    free_entry(to);
    memset(to, 0, sizeof(*to));
    return MIEN_ERR(ENOMEM);
}

static char *text_of(const cJSON *object, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));

    return (char *)(s ? s : ""); /* copied at once by copy_entry */
}

static int plain_file_name(const char *s)
{
    return *s && *s != '.' && !strchr(s, '/') && strlen(s) <= 255;
}

static int add_parsed(MieniManifest *m, const cJSON *item, const char *name, MienLog log)
{
    MieniModelEntry e = { text_of(item, "role"),   text_of(item, "name"),    text_of(item, "file"),
                          text_of(item, "sha256"), text_of(item, "license"), text_of(item, "origin") };

    if (!*e.role || !*e.name || !plain_file_name(e.file) || strlen(e.sha256) != 64 ||
        strspn(e.sha256, "0123456789abcdef") != 64)
        return mien_fail(log, MIEN_E_FORMAT, "%s: model %zu lacks a role, a name, a plain file name or a SHA-256", name,
                         m->n_models + 1);
    if (copy_entry(&m->model[m->n_models], &e) < 0)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", name);
    m->n_models++;
    return 0;
}

int mieni_manifest_parse(MieniManifest *m, const char *json, size_t bytes, const char *name, MienLog log)
{
    int ret = 0;
    const cJSON *item;

    memset(m, 0, sizeof(*m));
    cJSON *root = bytes <= MAX_BYTES ? cJSON_ParseWithLength(json, bytes) : NULL;
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(root, "format");
    const cJSON *models = cJSON_GetObjectItemCaseSensitive(root, "models");
    int n = cJSON_GetArraySize(models);
    if (!cJSON_IsNumber(format) || !cJSON_IsArray(models) || n > MAX_MODELS)
        ret = mien_fail(log, MIEN_E_FORMAT, "%s: not a list of models, or damaged; %s", name, REMEDY);
    else if (format->valuedouble != 1)
        ret = mien_fail(log, MIEN_E_VERSION, "%s: written by a newer version", name);
    if (ret >= 0) {
        m->model = mien_calloc((size_t)n + 1, sizeof(*m->model));
        if (!m->model)
            ret = mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", name);
    }
    if (ret >= 0)
        cJSON_ArrayForEach(item, models)
            if (ret >= 0)
                ret = add_parsed(m, item, name, log);
    cJSON_Delete(root);
    if (ret < 0)
        mieni_manifest_uninit(m);
    return ret;
}

static int manifest_path(char path[MIEN_IMPORT_PATH_BYTES], const char *dir, MienLog log)
{
    if (snprintf(path, MIEN_IMPORT_PATH_BYTES, "%s/manifest.json", dir) >= MIEN_IMPORT_PATH_BYTES)
        return mien_fail(log, MIEN_ERR(ENAMETOOLONG), "%.100s...: the path is too long", dir);
    return 0;
}

int mieni_manifest_read(MieniManifest *m, const char *dir, MienLog log)
{
    char path[MIEN_IMPORT_PATH_BYTES];
    uint8_t *data;
    size_t bytes;
    MienLog silent = { 0 };

    memset(m, 0, sizeof(*m));
    int ret = manifest_path(path, dir, log);
    if (ret < 0)
        return ret;
    ret = mieni_file_read(path, MAX_BYTES, &data, &bytes, silent);
    if (ret == MIEN_ERR(ENOENT) || ret == MIEN_ERR(ENOTDIR))
        return mien_fail(log, MIEN_E_NOTFOUND, "%s: there are no models here; %s", path, REMEDY);
    if (ret < 0)
        return mien_fail(log, ret, "%s: %s", path, mien_strerror(ret));
    ret = mieni_manifest_parse(m, (const char *)data, bytes, path, log);
    mien_free(data);
    return ret;
}

/* ---- adding */

static int recipe_rank(const MieniModelEntry *e)
{
    const MienRecipe *r;

    for (int i = 0; (r = mien_recipe_at(i)) != NULL; i++)
        if (!strcmp(r->name, e->name) && !strcmp(r->role, e->role))
            return i;
    return 1 << 20;
}

static int by_rank_and_name(const void *pa, const void *pb)
{
    const MieniModelEntry *a = pa, *b = pb;
    int ra = recipe_rank(a), rb = recipe_rank(b);

    if (ra != rb)
        return ra < rb ? -1 : 1;
    int c = strcmp(a->name, b->name);
    return c ? c : strcmp(a->role, b->role);
}

static int put_entry(MieniManifest *m, const MieniModelEntry *entry)
{
    MieniModelEntry copy;
    size_t i = 0;

    int ret = copy_entry(&copy, entry);
    if (ret < 0)
        return ret;
    while (i < m->n_models && (strcmp(m->model[i].role, entry->role) || strcmp(m->model[i].name, entry->name)))
        i++;
    if (i == m->n_models) {
        MieniModelEntry *grown = mien_realloc_array(m->model, m->n_models + 1, sizeof(*grown));
        if (!grown) {
            free_entry(&copy);
            return MIEN_ERR(ENOMEM);
        }
        m->model = grown;
        m->n_models++;
    } else {
        free_entry(&m->model[i]);
    }
    m->model[i] = copy;
    qsort(m->model, m->n_models, sizeof(*m->model), by_rank_and_name);
    return 0;
}

static cJSON *entry_json(const MieniModelEntry *e)
{
    cJSON *o = cJSON_CreateObject();

    if (o && cJSON_AddStringToObject(o, "role", e->role) && cJSON_AddStringToObject(o, "name", e->name) &&
        cJSON_AddStringToObject(o, "file", e->file) && cJSON_AddStringToObject(o, "sha256", e->sha256) &&
        cJSON_AddStringToObject(o, "license", e->license) && cJSON_AddStringToObject(o, "origin", e->origin))
        return o;
    cJSON_Delete(o);
    return NULL;
}

static char *manifest_text(const MieniManifest *m)
{
    cJSON *root = cJSON_CreateObject(), *models = NULL;
    char *text = NULL;

    int ok = root && cJSON_AddNumberToObject(root, "format", 1) && (models = cJSON_AddArrayToObject(root, "models")) != NULL;
    for (size_t i = 0; ok && i < m->n_models; i++) {
        cJSON *e = entry_json(&m->model[i]);
        ok = e && cJSON_AddItemToArray(models, e);
    }
    if (ok)
        text = cJSON_Print(root);
    cJSON_Delete(root);
    return text;
}

int mieni_manifest_add(const char *dir, const MieniModelEntry *entry, MienLog log)
{
    char path[MIEN_IMPORT_PATH_BYTES];
    MieniManifest m;
    MienLog silent = { 0 };

    int ret = manifest_path(path, dir, log);
    if (ret < 0)
        return ret;
    ret = mieni_manifest_read(&m, dir, silent);
    if (ret < 0 && ret != MIEN_E_NOTFOUND)
        return mieni_manifest_read(&m, dir, log); /* a damaged list is not thrown away unasked */
    ret = m.n_models >= MAX_MODELS ? MIEN_ERR(EFBIG) : put_entry(&m, entry);
    char *text = ret < 0 ? NULL : manifest_text(&m);
    if (text) {
        ret = mieni_file_write_atomic(path, text, strlen(text), 0644, log);
        cJSON_free(text);
    } else {
        ret = mien_fail(log, ret < 0 ? ret : MIEN_ERR(ENOMEM), "%s: %s", path, ret == MIEN_ERR(EFBIG) ? "too many models" :
                        "out of memory");
    }
    mieni_manifest_uninit(&m);
    return ret < 0 ? ret : 0;
}

/* ---- finding */

int mieni_manifest_find(char **path, const char *dir, const char *role, const char *name, MienLog log)
{
    MieniManifest m;

    *path = NULL;
    int ret = mieni_manifest_read(&m, dir, log);
    if (ret < 0)
        return ret;
    size_t i = 0;
    while (i < m.n_models && (strcmp(m.model[i].role, role) || (name && strcmp(m.model[i].name, name))))
        i++;
    if (i == m.n_models) {
        ret = mien_fail(log, MIEN_E_NOTFOUND, "%s/manifest.json lists no model %s%s%sfor %s; %s", dir, name ? "\"" : "",
                        name ? name : "", name ? "\" " : "", role, REMEDY);
    } else {
        size_t bytes = strlen(dir) + strlen(m.model[i].file) + 2;
        *path = mien_malloc(bytes);
        if (*path)
            snprintf(*path, bytes, "%s/%s", dir, m.model[i].file);
        else
            ret = mien_fail(log, MIEN_ERR(ENOMEM), "out of memory");
    }
    mieni_manifest_uninit(&m);
    return ret;
}
