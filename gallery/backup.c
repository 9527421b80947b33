/* SQLite's online backup: one consistent state, while others read and write. The copy is made under another name, checked,
 * synced, and takes its name last: under that name there is a whole backup or nothing. It leaves WAL mode, so that it is one file
 * that opens anywhere, read-only media included. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gallery_int.h"

#define STEP_PAGES 4096

static int fail_copy(MienGallery *g, sqlite3 *copy, int rc, const char *path)
{
    const char *cause = copy ? sqlite3_errmsg(copy) : sqlite3_errstr(rc);
    int err = copy ? sqlite3_system_errno(copy) : 0; /* may be left over from another call: only what fits counts */
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return mieni_gallery_fail(g, MIEN_ERR(ENOSPC), "cannot be copied to %s: no space left on the device", path);
    case SQLITE_NOMEM:
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "cannot be copied to %s: out of memory", path);
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return mieni_gallery_fail(g, MIEN_E_BUSY, "cannot be copied to %s: another process holds the gallery and did not let go "
                                  "within %d s", path, MIENI_BUSY_MS / 1000);
    case SQLITE_CORRUPT:
        return mieni_gallery_fail(g, MIEN_E_CORRUPT, "cannot be copied to %s: the gallery is damaged (%s); see `mien check`", path,
                                  cause);
    }
    if (err != ENOSPC && err != EDQUOT && err != EROFS && err != EACCES)
        err = EIO;
    return mieni_gallery_fail(g, MIEN_ERR(err), "cannot be copied to %s: %s", path, cause);
}

/* In one go where possible; under a rollback journal a writer may make it wait. */
static int copy_pages(MienGallery *g, sqlite3 *copy, const char *path)
{
    sqlite3_backup *b = sqlite3_backup_init(copy, "main", g->db, "main");
    if (!b)
        return fail_copy(g, copy, sqlite3_errcode(copy), path);
    int rc, waited_ms = 0;
    while ((rc = sqlite3_backup_step(b, -1)) == SQLITE_OK ||
           ((rc == SQLITE_BUSY || rc == SQLITE_LOCKED) && waited_ms < MIENI_BUSY_MS)) {
        sqlite3_sleep(20);
        waited_ms += 20;
    }
    int finished = sqlite3_backup_finish(b);
    if (rc == SQLITE_DONE)
        rc = finished;
    return rc == SQLITE_OK ? 0 : fail_copy(g, copy, rc, path);
}

static int check_copy(MienGallery *g, sqlite3 *copy, const char *path)
{
    sqlite3_stmt *st = NULL;
    char text[256] = "";
    int rc = sqlite3_exec(copy, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(copy, "PRAGMA quick_check(1)", -1, &st, NULL);
    if (rc == SQLITE_OK && (rc = sqlite3_step(st)) == SQLITE_ROW) {
        mieni_db_text(st, 0, text, sizeof(text));
        rc = SQLITE_OK;
    }
    int ret = rc == SQLITE_OK ? 0 : fail_copy(g, copy, rc, path);
    sqlite3_finalize(st);
    if (ret >= 0 && strcmp(text, "ok"))
        ret = mieni_gallery_fail(g, MIEN_E_CORRUPT, "is damaged, so its copy would be (%s); see `mien check`", text);
    return ret;
}

static int sync_path(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int ret = fd < 0 || fsync(fd) < 0 ? MIEN_ERR(errno) : 0;
    if (fd >= 0)
        close(fd);
    return ret;
}

static int copy_to(MienGallery *g, const char *tmp, const char *path)
{
    sqlite3 *copy = NULL;
    int rc = sqlite3_open_v2(tmp, &copy, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int ret = rc == SQLITE_OK ? 0 : fail_copy(g, copy, rc, path);
    if (ret >= 0)
        ret = copy_pages(g, copy, path);
    if (ret >= 0)
        ret = check_copy(g, copy, path);
    rc = sqlite3_close(copy);
    if (ret >= 0 && rc != SQLITE_OK)
        ret = fail_copy(g, NULL, rc, path);
    if (ret >= 0) {
        ret = sync_path(tmp);
        if (ret >= 0)
            ret = mieni_path_place(tmp, path);
        if (ret == MIEN_E_EXISTS)
            mieni_gallery_fail(g, ret, "is not copied: %s exists", path);
        else if (ret < 0)
            mieni_gallery_fail(g, ret, "cannot be copied to %s: %s", path, mien_strerror(ret));
    }
    return ret;
}

int mien_gallery_backup(MienGallery *g, const char *path)
{
    static const char suffix[] = ".XXXXXX";
    struct stat st;
    char *abs_path = NULL, *tmp = NULL;
    int ret = mieni_db_enter(g, 0);
    if (ret < 0)
        return ret;
    if (lstat(path, &st) == 0)
        return mieni_gallery_fail(g, MIEN_E_EXISTS, "is not copied: %s exists", path);
    /* Absolute, so that a path like "file:x" is never read as a URI. */
    if ((ret = mieni_path_absolute(&abs_path, path)) < 0 || !(tmp = mien_malloc(strlen(abs_path) + sizeof(suffix)))) {
        ret = mieni_gallery_fail(g, ret < 0 ? ret : MIEN_ERR(ENOMEM), "cannot be copied to %s", path);
        goto out;
    }
    memcpy(tmp, abs_path, strlen(abs_path));
    memcpy(tmp + strlen(abs_path), suffix, sizeof(suffix));
    int fd = mkostemp(tmp, O_CLOEXEC); /* mode 0600 */
    if (fd < 0) {
        ret = MIEN_ERR(errno);
        mieni_gallery_fail(g, ret, "cannot be copied to %s: %s", path, mien_strerror(ret));
        goto out;
    }
    close(fd);
    /* The line first: a copy without a trace would be worse than a trace without a copy. */
    ret = g->flags & (MIEN_GALLERY_WRITE | MIEN_GALLERY_CREATE) ? mien_gallery_audit(g, "backup", "") : 0;
    if (ret >= 0)
        ret = copy_to(g, tmp, abs_path);
    if (ret < 0)
        unlink(tmp);
out:
    mien_free(tmp);
    mien_free(abs_path);
    return ret;
}
