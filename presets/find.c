/* Where presets lie: names become paths; and the feature network that a preset was made by. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "mien/error.h"
#include "models/manifest.h"
#include "preset_int.h"

#define SUFFIX ".safetensors"
#define MAX_PRESETS 10000

static const char *folders(const char *dirs)
{
    if (!dirs || !*dirs)
        dirs = getenv("MIEN_PRESETS");
    return dirs && *dirs ? dirs : MIEN_PRESETS_DIR;
}

/* The next of a list separated by ':'; 0 at its end. Empty ones are passed over. */
static int next_folder(const char **list, const char **dir, int *len)
{
    *list += strspn(*list, ":");
    *dir = *list;
    *len = (int)strcspn(*list, ":");
    *list += *len;
    return *len > 0;
}

static int ends_with_suffix(const char *s)
{
    size_t n = strlen(s), m = strlen(SUFFIX);
    return n > m && !strcmp(s + n - m, SUFFIX);
}

/* "A/B.safetensors"; the caller frees it. */
static char *join(const char *dir, int dir_len, const char *name, const char *suffix)
{
    size_t bytes = (size_t)dir_len + strlen(name) + strlen(suffix) + 2;
    char *path = mien_malloc(bytes);
    if (path)
        snprintf(path, bytes, "%.*s/%s%s", dir_len, dir, name, suffix);
    return path;
}

/* ---- listing */

typedef struct List {
    char **path;
    int n;
} List;

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(base_name(*(char *const *)a), base_name(*(char *const *)b));
}

static void list_free(List *l)
{
    for (int i = 0; i < l->n; i++)
        mien_free(l->path[i]);
    mien_free(l->path);
}

static int list_add(List *l, const char *dir, int dir_len, const char *name)
{
    for (int i = 0; i < l->n; i++)
        if (!strcmp(base_name(l->path[i]), name))
            return 0;
    char **grown = l->n < MAX_PRESETS ? mien_realloc_array(l->path, (size_t)l->n + 1, sizeof(*grown)) : NULL;
    if (!grown)
        return MIEN_ERR(ENOMEM);
    l->path = grown;
    if (!(l->path[l->n] = join(dir, dir_len, name, "")))
        return MIEN_ERR(ENOMEM);
    l->n++;
    return 0;
}

static int list_folder(List *l, const char *dir, int len)
{
    char *path = mien_strndup(dir, (size_t)len);
    DIR *d = path ? opendir(path) : NULL;
    const struct dirent *e;
    int ret = path ? 0 : MIEN_ERR(ENOMEM); /* a folder that is not there has nothing in it */
    mien_free(path);
    while (d && ret >= 0 && (e = readdir(d)))
        if (e->d_name[0] != '.' && ends_with_suffix(e->d_name))
            ret = list_add(l, dir, len, e->d_name);
    if (d)
        closedir(d);
    return ret;
}

static int list_all(List *l, const char *dirs)
{
    const char *dir;
    int len, ret = 0;
    while (ret >= 0 && next_folder(&dirs, &dir, &len))
        ret = list_folder(l, dir, len);
    if (l->n > 1)
        qsort(l->path, (size_t)l->n, sizeof(*l->path), by_name);
    return ret;
}

int mien_preset_list(char ***paths, const char *dirs, MienLog log)
{
    List l = { 0 };
    size_t bytes = 0;
    *paths = NULL;
    int ret = list_all(&l, folders(dirs));
    for (int i = 0; i < l.n; i++)
        bytes += strlen(l.path[i]) + 1;
    char **block = ret < 0 ? NULL : mien_malloc(((size_t)l.n + 1) * sizeof(*block) + bytes);
    if (block) {
        char *text = (char *)(block + l.n + 1);
        for (int i = 0; i < l.n; i++) {
            size_t n = strlen(l.path[i]) + 1;
            block[i] = memcpy(text, l.path[i], n);
            text += n;
        }
        block[l.n] = NULL;
    } else {
        ret = mien_fail(log, MIEN_ERR(ENOMEM), "presets: out of memory");
    }
    *paths = block;
    ret = ret < 0 ? ret : l.n;
    list_free(&l);
    return ret;
}

/* ---- finding one */

/* How alike two names are: the letters that they begin with in common, at least three. */
static size_t likeness(const char *a, const char *b)
{
    size_t n = 0;
    while (a[n] && a[n] == b[n])
        n++;
    return n >= 3 ? n : strlen(a) >= 4 && strstr(b, a) ? strlen(a) : 0;
}

static int not_found(const char *name, const char *dirs, MienLog log)
{
    List l = { 0 };
    const char *near = NULL;
    size_t best = 0;
    if (list_all(&l, dirs) >= 0)
        for (int i = 0; i < l.n; i++) {
            size_t k = likeness(name, base_name(l.path[i]));
            if (k > best) {
                best = k;
                near = base_name(l.path[i]);
            }
        }
    int near_len = near ? (int)(strlen(near) - strlen(SUFFIX)) : 0;
    if (near)
        mien_fail(log, 0, "there is no preset %s in %s; did you mean %.*s?", name, dirs, near_len, near);
    else
        mien_fail(log, 0, "there is no preset %s in %s (%d others are there; `mien preset list` shows them)", name, dirs, l.n);
    list_free(&l);
    return MIEN_E_NOTFOUND;
}

int mien_preset_find(char **path, const char *name, const char *dirs, MienLog log)
{
    const char *list = folders(dirs), *left = list, *dir;
    int len;
    *path = NULL;
    if (strchr(name, '/') || ends_with_suffix(name)) {
        *path = mien_strdup(name);
        return *path ? 0 : mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", name);
    }
    if (!mieni_preset_name_ok(name))
        return mien_fail(log, MIEN_E_NOTFOUND, "\"%.100s\" is no preset's name (letters, digits, '.', '_', '-')", name);
    while (next_folder(&left, &dir, &len)) {
        char *p = join(dir, len, name, SUFFIX);
        if (!p)
            return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", name);
        if (access(p, F_OK) == 0) {
            *path = p;
            return 0;
        }
        mien_free(p);
    }
    return not_found(name, list, log);
}

int mien_preset_open_named(MienPreset **preset, const char *name, const char *dirs, MienLog log)
{
    char *path;
    *preset = NULL;
    int ret = mien_preset_find(&path, name, dirs, log);
    if (ret >= 0)
        ret = mien_preset_open(preset, path, log);
    mien_free(path);
    return ret;
}

/* ---- the network that belongs to it */

int mien_preset_open_model(MienModel **model, const MienPreset *p, const char *models_dir, MienLog log)
{
    const char *dir = models_dir && *models_dir ? models_dir : getenv("MIEN_MODELS");
    MieniManifest m;
    *model = NULL;
    if (!dir || !*dir)
        dir = MIEN_MODELS_DIR;
    int ret = mieni_manifest_read(&m, dir, log);
    if (ret < 0)
        return ret;
    size_t i = 0;
    while (i < m.n_models && (strcmp(m.model[i].role, "features") || strcmp(m.model[i].sha256, p->network_sha256)))
        i++;
    char *path = i < m.n_models ? join(dir, (int)strlen(dir), m.model[i].file, "") : NULL;
    if (path)
        ret = mien_model_open(model, path, log);
    else if (i < m.n_models)
        ret = mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", dir);
    else
        ret = mien_fail(log, MIEN_E_NOTFOUND,
                        "preset %s was made by the feature network %s (%.12s), which is not in %s: import it, or make the preset anew",
                        p->name, p->network_name, p->network_sha256, dir);
    mien_free(path);
    mieni_manifest_uninit(&m);
    if (ret >= 0 && (ret = mien_preset_fits(p, *model, log)) < 0) /* changed since it was listed */
        mien_model_unref(model);
    return ret;
}
