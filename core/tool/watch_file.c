/* The configuration's file; see watch_file.h. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "watch_file.h"
#include "watch_secrets.h"

/* A user without a password anywhere is taken for a token. */
static int has_password(const WatchConfig *c)
{
    size_t begin, end;
    for (size_t i = 0; i < c->n_cameras; i++) {
        const WatchCamera *camera = &c->camera[i];
        int elsewhere = camera->password_file || camera->password_env;
        if (camera->password || (secret_in_url(camera->url, &begin, &end) && !elsewhere))
            return 1;
    }
    return 0;
}

static void check_mode(const Tool *tool, const char *path, const char *what)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & (S_IRGRP | S_IROTH)))
        tool_warn(tool, "%s holds %s and can be read by others (mode %03o); chmod 600 keeps it", safe(path), what, st.st_mode & 0777);
}

int watch_file_read(WatchConfig *c, const Tool *tool, const char *path, char *why, size_t why_bytes)
{
    uint8_t *data;
    size_t bytes;
    char reason[512];
    *c = (WatchConfig){ .n_cameras = 0 };
    int ret = mieni_file_read(path, WATCH_CONFIG_MAX_BYTES, &data, &bytes, (MienLog){ .write = NULL });
    if (ret < 0) {
        snprintf(reason, sizeof(reason), "%s", mien_strerror(ret));
    } else {
        ret = watch_config_parse(c, (const char *)data, bytes, reason, sizeof(reason));
        mien_free(data);
    }
    if (ret < 0) {
        snprintf(why, why_bytes, "%s: %s", safe(path), reason);
        tool_error(tool, "%s", why);
        return ret;
    }
    return 0;
}

void watch_file_check_modes(const WatchConfig *c, const Tool *tool, const char *path)
{
    if (has_password(c))
        check_mode(tool, path, "passwords");
    for (size_t i = 0; i < c->n_cameras; i++)
        if (c->camera[i].password_file)
            check_mode(tool, c->camera[i].password_file, "a password");
}

int watch_file_enter(const Tool *tool, const char *file, char **path)
{
    char *full = realpath(file, NULL), *slash = full ? strrchr(full, '/') : NULL;
    int ret = full ? 0 : MIEN_ERR(errno);
    *path = NULL;
    if (!ret) {
        *slash = '\0';
        ret = chdir(slash == full ? "/" : full) < 0 ? MIEN_ERR(errno) : (*path = mien_strdup(slash + 1)) ? 0 : MIEN_ERR(ENOMEM);
    }
    free(full);
    if (ret < 0)
        tool_error(tool, "%s: %s", safe(file), mien_strerror(ret));
    return ret;
}
