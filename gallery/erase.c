/* True deletion. Rows go with secure_delete (freed bytes are overwritten), VACUUM builds the file anew from what is left, a truncating
 * checkpoint empties the log, and then every byte of the database, log, shared memory and rollback journal is searched for the
 * deleted templates. What the scan cannot see, docs/privacy.md says: backups, exports, snapshots, freed blocks of the disk. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gallery_int.h"

#define CHUNK_BYTES (1 << 20)

typedef struct Scan {
    const MieniNeedles *needles;
    uint8_t *buf; /* CHUNK_BYTES + MIENI_NEEDLE_BYTES */
    MienErasure *result;
} Scan;

/* Reads up to n bytes at offset into buf; how many, or -errno. */
typedef int64_t (*ReadAtFn)(void *file, int64_t offset, uint8_t *buf, size_t n);

/* A needle that begins in a chunk may end in the bytes that are read beyond it. */
static int scan_bytes(Scan *s, ReadAtFn read_at, void *file)
{
    for (int64_t at = 0;; at += CHUNK_BYTES) {
        int64_t n = read_at(file, at, s->buf, CHUNK_BYTES + MIENI_NEEDLE_BYTES);
        if (n <= 0)
            return (int)n;
        s->result->scanned_bytes += n < CHUNK_BYTES ? n : CHUNK_BYTES;
        s->result->n_left += (int64_t)mieni_needles_count(s->needles, s->buf, (size_t)n, CHUNK_BYTES);
        if (n <= CHUNK_BYTES)
            return 0;
    }
}

/* The database is read through SQLite's own descriptor: opening and closing another one would drop the process's locks. */
static int64_t read_vfs(void *priv, int64_t offset, uint8_t *buf, size_t n)
{
    sqlite3_file *file = priv;
    sqlite3_int64 size;
    if (file->pMethods->xFileSize(file, &size) != SQLITE_OK)
        return MIEN_ERR(EIO);
    if (offset >= size)
        return 0;
    if ((sqlite3_int64)n > size - offset)
        n = (size_t)(size - offset);
    return file->pMethods->xRead(file, buf, (int)n, offset) == SQLITE_OK ? (int64_t)n : MIEN_ERR(EIO);
}

/* Log and journal carry no locks. */
static int64_t read_fd(void *priv, int64_t offset, uint8_t *buf, size_t n)
{
    size_t at = 0;
    while (at < n) {
        ssize_t got = pread(*(int *)priv, buf + at, n - at, offset + (off_t)at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return MIEN_ERR(errno);
        if (got == 0)
            break;
        at += (size_t)got;
    }
    return (int64_t)at;
}

static int scan_beside(Scan *s, const char *abs_path, const char *suffix)
{
    size_t bytes = strlen(abs_path) + strlen(suffix) + 1;
    char *path = mien_malloc(bytes);
    if (!path)
        return MIEN_ERR(ENOMEM);
    snprintf(path, bytes, "%s%s", abs_path, suffix);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int ret = fd < 0 ? (errno == ENOENT ? 0 : MIEN_ERR(errno)) : scan_bytes(s, read_fd, &fd);
    if (fd >= 0)
        close(fd);
    mien_free(path);
    return ret;
}

/* The -shm file does carry locks: its regions of 32 KiB are read as SQLite has them mapped. */
static int64_t read_shm(void *priv, int64_t offset, uint8_t *buf, size_t n)
{
    enum { REGION_BYTES = 32768 };
    sqlite3_file *file = priv;
    size_t at = 0;
    while (at < n) {
        void volatile *region = NULL;
        int64_t pos = offset + (int64_t)at;
        size_t inside = (size_t)(pos % REGION_BYTES), part = REGION_BYTES - inside;
        if (file->pMethods->iVersion < 2 ||
            file->pMethods->xShmMap(file, (int)(pos / REGION_BYTES), REGION_BYTES, 0, &region) != SQLITE_OK || !region)
            break;
        if (part > n - at)
            part = n - at;
        memcpy(buf + at, (const uint8_t *)(uintptr_t)region + inside, part);
        at += part;
    }
    return (int64_t)at;
}

static int scan_files(MienGallery *g, const MieniNeedles *needles, MienErasure *result)
{
    Scan s = { .needles = needles, .result = result, .buf = mien_malloc(CHUNK_BYTES + MIENI_NEEDLE_BYTES) };
    sqlite3_file *file = NULL;
    int64_t wal;
    int ret = s.buf ? 0 : MIEN_ERR(ENOMEM);
    result->n_left = result->scanned_bytes = 0;
    if (ret >= 0 && (sqlite3_file_control(g->db, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK || !file->pMethods))
        ret = MIEN_ERR(EIO);
    if (ret >= 0)
        ret = scan_bytes(&s, read_vfs, file);
    if (ret >= 0)
        ret = scan_beside(&s, g->abs_path, "-wal");
    if (ret >= 0)
        ret = scan_beside(&s, g->abs_path, "-journal");
    if (ret >= 0 && mieni_db_number(g, "read the journal's mode", &wal,
                                    "SELECT journal_mode = 'wal' FROM pragma_journal_mode", "") == 0 && wal)
        ret = scan_bytes(&s, read_shm, file);
    mien_free(s.buf);
    return ret >= 0 ? 0 : mieni_gallery_fail(g, ret, "the files cannot be searched for what was deleted: %s", mien_strerror(ret));
}

/* ---- compacting */

static int compact(MienGallery *g)
{
    int rc = sqlite3_exec(g->db, "VACUUM", NULL, NULL, NULL);
    int ret = rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "rewrite the file without what was deleted");
    int emptied = mieni_db_checkpoint(g); /* in any case: as little as possible stays */
    if (ret >= 0 && emptied == MIEN_E_BUSY)
        ret = mieni_gallery_fail(g, MIEN_E_BUSY, "another process reads an old state of the gallery: what was deleted is still in "
                                 "%s-wal; when that has ended, `mien compact` takes it away", g->path);
    return ret < 0 ? ret : emptied;
}

int mien_gallery_compact(MienGallery *g)
{
    int ret = mieni_db_enter(g, 1);
    return ret < 0 ? ret : compact(g);
}

/* ---- forgetting */

/* What is to be deleted: the first that is set. */
typedef struct Target {
    const char *name;         /* a person */
    int64_t sample, stranger; /* one of them */
    const char *unseen_since; /* all strangers last seen before this time */
} Target;

/* sql has one parameter: text, or else id. */
static int collect_needles(MienGallery *g, MieniNeedles *needles, const char *sql, int64_t id, const char *text, int *n)
{
    sqlite3_stmt *st;
    int ret = text ? mieni_db_query(g, &st, sql, "s", text) : mieni_db_query(g, &st, sql, "i", id);
    *n = 0;
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read what is to be deleted")) > 0) {
        const void *blob = sqlite3_column_blob(st, 0);
        if (blob && mieni_needles_add(needles, blob, (size_t)sqlite3_column_bytes(st, 0)) < 0)
            ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory");
        ++*n;
    }
    sqlite3_finalize(st);
    mieni_needles_sort(needles);
    return ret;
}

/* Bytes that others' templates hold as well would be found for ever. */
static int drop_shared(MienGallery *g, MieniNeedles *needles, int *n_shared)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT vector FROM sample UNION ALL SELECT vector FROM stranger_sample", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "compare with the others' templates")) > 0) {
        const void *blob = sqlite3_column_blob(st, 0);
        if (blob && mieni_needles_drop(needles, blob, (size_t)sqlite3_column_bytes(st, 0)))
            ++*n_shared;
    }
    sqlite3_finalize(st);
    return ret;
}

/* name (a whole person) or sample. */
static int delete_rows(MienGallery *g, const char *name, int64_t sample, MieniNeedles *needles, MienErasure *result)
{
    int64_t person;
    char detail[96];
    int ret;
    if (name) {
        ret = mieni_person_need(g, name, &person);
    } else {
        ret = mieni_db_number(g, "find a sample", &person, "SELECT person FROM sample WHERE id = ?1", "i", sample);
        if (ret == MIEN_E_NOTFOUND)
            mieni_gallery_fail(g, ret, "there is no sample %lld", (long long)sample);
    }
    if (ret < 0)
        return ret;
    /* Where a face had been seen before it had a name, a copy of the template may lie among the strangers. */
    const char *select = name ? "SELECT vector FROM sample WHERE person = ?1" : "SELECT vector FROM sample WHERE id = ?1";
    const char *strangers = name ? "DELETE FROM stranger_sample WHERE vector IN (SELECT vector FROM sample WHERE person = ?1)"
                                 : "DELETE FROM stranger_sample WHERE vector IN (SELECT vector FROM sample WHERE id = ?1)";
    int64_t id = name ? person : sample;
    if ((ret = collect_needles(g, needles, select, id, NULL, &result->n_samples)) < 0 ||
        (ret = mieni_db_run(g, "delete copies among the strangers", strangers, "i", id)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), name ? "%lld samples" : "sample %lld", (long long)(name ? result->n_samples : sample));
    if ((ret = mieni_audit(g, name ? "forget" : "forget sample", person, detail)) < 0 ||
        (ret = mieni_db_run(g, "delete samples", name ? "DELETE FROM sample WHERE person = ?1"
                                                      : "DELETE FROM sample WHERE id = ?1", "i", id)) < 0)
        return ret;
    if (name && (ret = mieni_db_run(g, "delete a person", "DELETE FROM person WHERE id = ?1", "i", person)) < 0)
        return ret;
    return drop_shared(g, needles, &result->n_shared);
}

static int delete_strangers(MienGallery *g, const Target *what, MieniNeedles *needles, MienErasure *result)
{
    int64_t found;
    char detail[96];
    const char *since = what->stranger ? NULL : what->unseen_since;
    int ret = since ? 0 : mieni_stranger_need(g, what->stranger, &found);
    if (ret < 0 ||
        (ret = collect_needles(g, needles, since ? "SELECT vector FROM stranger_sample WHERE stranger IN"
                                                   " (SELECT id FROM stranger WHERE last_seen < ?1)"
                                                 : "SELECT vector FROM stranger_sample WHERE stranger = ?1",
                               what->stranger, since, &result->n_samples)) < 0)
        return ret;
    ret = since ? mieni_db_run(g, "delete strangers", "DELETE FROM stranger WHERE last_seen < ?1", "s", since)
                : mieni_db_run(g, "delete a stranger", "DELETE FROM stranger WHERE id = ?1", "i", what->stranger);
    if (ret < 0)
        return ret;
    if (since)
        snprintf(detail, sizeof(detail), "%d strangers, %d samples", ret, result->n_samples);
    else
        snprintf(detail, sizeof(detail), "stranger %lld, %d samples", (long long)what->stranger, result->n_samples);
    ret = mieni_audit(g, "forget stranger", 0, detail);
    return ret < 0 ? ret : drop_shared(g, needles, &result->n_shared);
}

static int delete_target(MienGallery *g, const Target *what, MieniNeedles *needles, MienErasure *result)
{
    return what->name || what->sample ? delete_rows(g, what->name, what->sample, needles, result)
                                      : delete_strangers(g, what, needles, result);
}

static int forget(MienGallery *g, Target what, MienErasure *out)
{
    MienErasure result = { 0 };
    MieniNeedles *needles = NULL;
    if (out)
        *out = result;
    int ret = mieni_db_enter(g, 1);
    if (ret < 0)
        return ret;
    if (mieni_needles_create(&needles) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory");
    if ((ret = mieni_db_begin_write(g)) < 0 ||
        (ret = mieni_db_end(g, delete_target(g, &what, needles, &result))) < 0)
        goto out;
    ret = compact(g);
    int scanned = scan_files(g, needles, &result);
    if (ret >= 0)
        ret = scanned;
    if (ret >= 0 && result.n_left)
        ret = mieni_gallery_fail(g, MIEN_ERR(EIO), "deleted, but pieces of the templates are still in the files, in %lld places",
                                 (long long)result.n_left);
    if (out)
        *out = result;
out:
    mieni_needles_destroy(&needles);
    return ret < 0 ? ret : 0;
}

int mien_gallery_forget(MienGallery *g, const char *name, MienErasure *result)
{
    if (!name)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a name is missing");
    return forget(g, (Target){ .name = name }, result);
}

int mien_gallery_forget_sample(MienGallery *g, int64_t sample, MienErasure *result)
{
    return sample > 0 ? forget(g, (Target){ .sample = sample }, result)
                      : mieni_gallery_fail(g, MIEN_E_NOTFOUND, "there is no sample %lld", (long long)sample);
}

int mien_gallery_forget_stranger(MienGallery *g, int64_t stranger, MienErasure *result)
{
    return stranger > 0 ? forget(g, (Target){ .stranger = stranger }, result)
                        : mieni_gallery_fail(g, MIEN_E_NOTFOUND, "there is no stranger %lld", (long long)stranger);
}

int mien_gallery_forget_strangers(MienGallery *g, const char *unseen_since, MienErasure *result)
{
    if (!unseen_since || mieni_time_check(unseen_since) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "'%s' is no time (YYYY-MM-DDTHH:MM:SSZ)", unseen_since ? unseen_since : "");
    return forget(g, (Target){ .unseen_since = unseen_since }, result);
}
