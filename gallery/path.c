/* Paths and files of a gallery: absolute path, folders and file of private mode, the URI for read-only media, placing a finished
 * file without overwriting another. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gallery_int.h"

int mieni_path_absolute(char **abs_path, const char *path)
{
    *abs_path = NULL;
    if (!*path)
        return MIEN_ERR(ENOENT);
    char cwd[4096] = "";
    if (*path != '/' && !getcwd(cwd, sizeof(cwd)))
        return MIEN_ERR(errno);
    size_t bytes = strlen(cwd) + strlen(path) + 2;
    if (!(*abs_path = mien_malloc(bytes)))
        return MIEN_ERR(ENOMEM);
    snprintf(*abs_path, bytes, "%s%s%s", cwd, *path == '/' ? "" : "/", path);
    return 0;
}

int mieni_path_make_folders(const char *abs_path)
{
    char *copy = mien_strdup(abs_path);
    if (!copy)
        return MIEN_ERR(ENOMEM);
    int ret = 0;
    for (char *slash = strchr(copy + 1, '/'); slash && !ret; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(copy, 0700) < 0 && errno != EEXIST) {
            int err = errno;
            struct stat st; /* a folder on a read-only file system answers EROFS, one we may not write to EACCES */
            if (stat(copy, &st) < 0 || !S_ISDIR(st.st_mode))
                ret = MIEN_ERR(err);
        }
        *slash = '/';
    }
    mien_free(copy);
    return ret;
}

int mieni_path_place(const char *tmp, const char *path)
{
    if (link(tmp, path) == 0) {
        unlink(tmp);
        return 0;
    }
    if (errno == EEXIST)
        return MIEN_E_EXISTS;
    /* File systems without hard links (FAT, some network shares): a small race is all that is left. */
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK)
        return MIEN_ERR(errno);
    struct stat st;
    if (lstat(path, &st) == 0)
        return MIEN_E_EXISTS;
    return rename(tmp, path) < 0 ? MIEN_ERR(errno) : 0;
}

/* The file is closed before it has its name: closing a descriptor drops all of a process's POSIX locks on a file, also those of
 * another handle that has just opened it. */
int mieni_path_make_file(const char *abs_path)
{
    static const char suffix[] = ".XXXXXX";
    struct stat st;
    if (stat(abs_path, &st) == 0)
        return 0;
    size_t bytes = strlen(abs_path);
    char *tmp = mien_malloc(bytes + sizeof(suffix));
    if (!tmp)
        return MIEN_ERR(ENOMEM);
    memcpy(tmp, abs_path, bytes);
    memcpy(tmp + bytes, suffix, sizeof(suffix));
    int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
    int ret = fd < 0 ? MIEN_ERR(errno) : 0;
    if (fd >= 0) {
        close(fd);
        ret = mieni_path_place(tmp, abs_path);
        if (ret < 0)
            unlink(tmp);
        if (ret == MIEN_E_EXISTS)
            ret = 0;
    }
    mien_free(tmp);
    return ret;
}

char *mieni_path_immutable_uri(const char *abs_path)
{
    static const char head[] = "file:", tail[] = "?immutable=1", hex[] = "0123456789ABCDEF";
    size_t bytes = strlen(abs_path);
    char *uri = mien_malloc(3 * bytes + sizeof(head) + sizeof(tail));
    if (!uri)
        return NULL;
    char *to = uri + sizeof(head) - 1;
    memcpy(uri, head, sizeof(head) - 1);
    for (const char *p = abs_path; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '%' || c == '?' || c == '#' || c < 0x20) {
            *to++ = '%';
            *to++ = hex[c >> 4];
            *to++ = hex[c & 15];
        } else {
            *to++ = *p;
        }
    }
    memcpy(to, tail, sizeof(tail));
    return uri;
}

int mien_gallery_default_path(char *buf, size_t buf_bytes)
{
    const char *xdg = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int n;
    if (xdg && *xdg == '/') /* the XDG specification tells to ignore relative ones */
        n = snprintf(buf, buf_bytes, "%s/mien/gallery.db", xdg);
    else if (home && *home)
        n = snprintf(buf, buf_bytes, "%s/.local/share/mien/gallery.db", home);
    else
        return MIEN_E_NOTFOUND;
    return (size_t)n < buf_bytes ? 0 : MIEN_ERR(ENAMETOOLONG);
}

const char *mien_gallery_path(const MienGallery *gallery)
{
    return gallery->path;
}
