/* Folders become sorted lists of pictures; see files.h. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "files.h"
#include "media.h"

#define MAX_DEPTH 32

static int append(FileList *l, char *path)
{
    if (l->n == l->room) {
        int64_t room = l->room ? l->room * 2 : 64;
        char **p = mien_realloc_array(l->path, (size_t)room, sizeof(*p));
        if (!p)
            return MIEN_ERR(ENOMEM);
        l->path = p;
        l->room = room;
    }
    l->path[l->n++] = path;
    return 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int add_folder(FileList *l, const Tool *tool, const char *dir, int depth)
{
    struct dirent **entry;
    int n = scandir(dir, &entry, visible, by_bytes), ret = 0;
    if (n < 0) {
        int e = errno;
        tool_error(tool, "%s: %s", safe(dir), strerror(e));
        return MIEN_ERR(e);
    }
    for (int i = 0; i < n; i++) {
        size_t bytes = strlen(dir) + strlen(entry[i]->d_name) + 2;
        char *path = ret < 0 ? NULL : mien_malloc(bytes);
        struct stat st;
        if (ret >= 0 && !path)
            ret = MIEN_ERR(ENOMEM);
        if (path) {
            snprintf(path, bytes, "%s%s%s", dir, dir[strlen(dir) - 1] == '/' ? "" : "/", entry[i]->d_name);
            if (!lstat(path, &st) && S_ISDIR(st.st_mode)) {
                if (depth < MAX_DEPTH)
                    ret = add_folder(l, tool, path, depth + 1);
            } else if (!stat(path, &st) && S_ISREG(st.st_mode) && media_known_suffix(path)) {
                ret = append(l, path);
                path = ret < 0 ? path : NULL;
            } else {
                l->n_skipped++;
            }
            mien_free(path);
        }
        free(entry[i]);
    }
    free(entry);
    return ret;
}

int files_add(FileList *l, const Tool *tool, const char *path)
{
    struct stat st;
    int ret;
    if (*path && !stat(path, &st) && S_ISDIR(st.st_mode)) {
        int64_t before = l->n;
        ret = add_folder(l, tool, path, 0);
        if (ret >= 0 && l->n == before) {
            tool_error(tool, "%s: no picture or video in this folder (%lld other files)", safe(path), (long long)l->n_skipped);
            return MIEN_E_NOTFOUND;
        }
    } else {
        char *copy = mien_strdup(path);
        ret = copy ? append(l, copy) : MIEN_ERR(ENOMEM);
        if (ret < 0)
            mien_free(copy);
    }
    if (ret == MIEN_ERR(ENOMEM))
        tool_error(tool, "out of memory");
    return ret;
}

void files_free(FileList *l)
{
    for (int64_t i = 0; i < l->n; i++)
        mien_free(l->path[i]);
    mien_free(l->path);
    *l = (FileList){ 0 };
}
