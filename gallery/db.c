/* The connection: opening, hardening, statements, transactions, and one place that turns SQLite's results into our codes
 * and sentences.
 *
 * Durability: WAL with synchronous=FULL, so that a commit that was reported is on disk. A writer empties the log when it
 * closes, so that a gallery at rest is one complete file. The file is untrusted: triggers, views and unsafe functions of its schema
 * are off, sizes are limited, and the schema's identity is checked before the first write.
 *
 * The database file is never opened by other means than SQLite while a handle is open: closing such a descriptor would drop
 * SQLite's POSIX locks in the whole process (sqlite.org/howtocorrupt.html, section 2.2). */
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "gallery_int.h"

#define MAX_VALUE_BYTES (8 << 20)

/* ---- errors */

int mieni_gallery_fail(MienGallery *g, int err, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(g->err_text, sizeof(g->err_text), fmt, ap);
    va_end(ap);
    return g->quiet ? err : mien_fail(g->log, err, "%s: %s", g->path, g->err_text);
}

/* Why may it not be written? As the system says it. */
static int readonly_code(const MienGallery *g)
{
    return access(g->abs_path, W_OK) < 0 && errno == EACCES ? MIEN_ERR(EACCES) : MIEN_ERR(EROFS);
}

int mieni_db_fail(MienGallery *g, int rc, const char *what)
{
    const char *cause = g->db ? sqlite3_errmsg(g->db) : sqlite3_errstr(rc);
    int err;
    switch (rc) {
    case SQLITE_IOERR_NOMEM:
        rc = SQLITE_NOMEM;
        break;
    case SQLITE_IOERR_SHORT_READ:
    case SQLITE_IOERR_CORRUPTFS:
        rc = SQLITE_CORRUPT;
        break;
    }
    switch (rc & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return mieni_gallery_fail(g, MIEN_E_BUSY, "cannot %s: another process holds the %s and did not let go within %d s",
                                  what, g->noun, MIENI_BUSY_MS / 1000);
    case SQLITE_CORRUPT:
        return mieni_gallery_fail(g, MIEN_E_CORRUPT, "cannot %s: the file is damaged (%s); %s", what, cause, g->cure);
    case SQLITE_NOTADB:
        return mieni_gallery_fail(g, MIEN_E_FORMAT, "is not a %s (no SQLite database)", g->noun);
    case SQLITE_FULL:
        return mieni_gallery_fail(g, MIEN_ERR(ENOSPC), "cannot %s: no space left on the device; nothing was changed", what);
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return mieni_gallery_fail(g, readonly_code(g), "cannot %s: the file or its folder may not be written", what);
    case SQLITE_NOMEM:
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "cannot %s: out of memory", what);
    case SQLITE_CANTOPEN:
        err = g->db ? sqlite3_system_errno(g->db) : 0;
        return mieni_gallery_fail(g, MIEN_ERR(err > 0 ? err : EACCES), "cannot %s: %s (the folder must allow files beside the "
                                  "%s)", what, cause, g->noun);
    case SQLITE_IOERR:
        err = g->db ? sqlite3_system_errno(g->db) : 0; /* may be left over from another call: only what fits counts */
        if (err != ENOSPC && err != EDQUOT && err != EROFS)
            err = EIO;
        return mieni_gallery_fail(g, MIEN_ERR(err), "cannot %s: reading or writing failed (%s)", what, cause);
    case SQLITE_TOOBIG:
        return mieni_gallery_fail(g, MIEN_ERR(EFBIG), "cannot %s: a value is too large", what);
    case SQLITE_INTERRUPT:
        return mieni_gallery_fail(g, MIEN_ERR(EINTR), "cannot %s: interrupted", what);
    default:
        return mieni_gallery_fail(g, MIEN_E_FORMAT, "cannot %s: %s", what, cause);
    }
}

/* ---- statements */

static int bind_all(MienGallery *g, sqlite3_stmt *st, const char *fmt, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *fmt && rc == SQLITE_OK; i++, fmt++) {
        switch (*fmt) {
        case 'i':
            rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
            break;
        case 'd':
            rc = sqlite3_bind_double(st, i, va_arg(ap, double));
            break;
        case 's':
            rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
            break;
        case 'b': {
            const void *blob = va_arg(ap, const void *);
            rc = sqlite3_bind_blob64(st, i, blob, va_arg(ap, size_t), SQLITE_STATIC);
            break;
        }
        default:
            rc = SQLITE_MISUSE;
        }
    }
    return rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "pass a value");
}

int mieni_db_bind(MienGallery *g, sqlite3_stmt *st, const char *fmt, ...)
{
    va_list ap;
    sqlite3_reset(st); /* its result was seen by step */
    va_start(ap, fmt);
    int ret = bind_all(g, st, fmt, ap);
    va_end(ap);
    return ret;
}

static int query_va(MienGallery *g, sqlite3_stmt **st, const char *sql, const char *fmt, va_list ap)
{
    int rc = sqlite3_prepare_v2(g->db, sql, -1, st, NULL);
    if (rc != SQLITE_OK)
        return mieni_db_fail(g, rc, "read its tables");
    int ret = bind_all(g, *st, fmt, ap);
    if (ret < 0) {
        sqlite3_finalize(*st);
        *st = NULL;
    }
    return ret;
}

int mieni_db_query(MienGallery *g, sqlite3_stmt **st, const char *sql, const char *fmt, ...)
{
    va_list ap;
    *st = NULL;
    va_start(ap, fmt);
    int ret = query_va(g, st, sql, fmt, ap);
    va_end(ap);
    return ret;
}

int mieni_db_step(MienGallery *g, sqlite3_stmt *st, const char *what)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return 1;
    return rc == SQLITE_DONE ? 0 : mieni_db_fail(g, rc, what);
}

int mieni_db_run(MienGallery *g, const char *what, const char *sql, const char *fmt, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    va_start(ap, fmt);
    int ret = query_va(g, &st, sql, fmt, ap);
    va_end(ap);
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, what);
    sqlite3_finalize(st);
    return ret < 0 ? ret : sqlite3_changes(g->db);
}

int mieni_db_number(MienGallery *g, const char *what, int64_t *value, const char *sql, const char *fmt, ...)
{
    sqlite3_stmt *st = NULL;
    va_list ap;
    va_start(ap, fmt);
    int ret = query_va(g, &st, sql, fmt, ap);
    va_end(ap);
    *value = 0;
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, what);
    if (ret > 0)
        *value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    return ret < 0 ? ret : ret ? 0 : MIEN_E_NOTFOUND;
}

void mieni_db_text(sqlite3_stmt *st, int column, char *buf, size_t buf_bytes)
{
    buf[0] = '\0';
    if (sqlite3_column_type(st, column) != SQLITE_TEXT)
        return;
    const char *text = (const char *)sqlite3_column_text(st, column);
    size_t bytes = text ? strlen(text) : 0; /* a NUL inside ends it: a name with one never passed our door */
    if (bytes >= buf_bytes) {
        bytes = buf_bytes - 1;
        while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80)
            bytes--;
    }
    if (bytes)
        memcpy(buf, text, bytes);
    buf[bytes] = '\0';
}

/* ---- transactions */

static int begin(MienGallery *g, const char *sql)
{
    int rc = sqlite3_exec(g->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "begin a transaction");
}

int mieni_db_begin_write(MienGallery *g)
{
    g->index_stale = 1;
    return begin(g, "BEGIN IMMEDIATE");
}

int mieni_db_begin_read(MienGallery *g)
{
    return begin(g, "BEGIN");
}

int mieni_db_end(MienGallery *g, int ret)
{
    if (ret >= 0) {
        int rc = sqlite3_exec(g->db, "COMMIT", NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            ret = mieni_db_fail(g, rc, "finish a transaction");
    }
    /* Some failures (full disk, out of memory) roll back by themselves. */
    if (ret < 0 && !sqlite3_get_autocommit(g->db))
        sqlite3_exec(g->db, "ROLLBACK", NULL, NULL, NULL);
    return ret;
}

int mieni_db_checkpoint(MienGallery *g)
{
    int rc = sqlite3_wal_checkpoint_v2(g->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED)
        return MIEN_E_BUSY;
    return rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "empty the write-ahead log");
}

/* ---- opening */

static int may_write(const MienGallery *g)
{
    return (g->flags & (MIEN_GALLERY_WRITE | MIEN_GALLERY_CREATE)) != 0;
}

static void disconnect(MienGallery *g)
{
    sqlite3_finalize(g->data_version);
    g->data_version = NULL;
    sqlite3_close(g->db);
    g->db = NULL;
    g->immutable = 0;
}

int64_t mieni_gallery_now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* SQLite's own handler sleeps up to 100 ms between two looks; beside a program that writes without pause it never finds the lock
 * free. Short sleeps of changing length do. */
static int wait_for_lock(void *priv, int n_before)
{
    MienGallery *g = priv;
    int64_t now_ms = mieni_gallery_now_ms();
    if (n_before == 0)
        g->busy_since_ms = now_ms;
    if (now_ms - g->busy_since_ms >= g->busy_ms)
        return 0;
    usleep((useconds_t)(500 + n_before * 373 % 3000));
    return 1;
}

/* Everything that does not touch the file yet. Untrusted file: what its schema could run is switched off. */
int mieni_db_harden(MienGallery *g)
{
    static const int off[] = { SQLITE_DBCONFIG_ENABLE_TRIGGER, SQLITE_DBCONFIG_ENABLE_VIEW, SQLITE_DBCONFIG_TRUSTED_SCHEMA,
                               SQLITE_DBCONFIG_DQS_DML, SQLITE_DBCONFIG_DQS_DDL };
    static const int on[] = { SQLITE_DBCONFIG_DEFENSIVE, SQLITE_DBCONFIG_ENABLE_FKEY };
    int rc = sqlite3_busy_handler(g->db, wait_for_lock, g);
    sqlite3_extended_result_codes(g->db, 1);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(off) && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(g->db, off[i], 0, NULL);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(on) && rc == SQLITE_OK; i++)
        rc = sqlite3_db_config(g->db, on[i], 1, NULL);
    sqlite3_limit(g->db, SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES);
    sqlite3_limit(g->db, SQLITE_LIMIT_SQL_LENGTH, 1 << 20);
    sqlite3_limit(g->db, SQLITE_LIMIT_ATTACHED, 1); /* VACUUM attaches its copy */
    /* temp_store: VACUUM's copy of everybody's templates stays out of temporary files. */
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(g->db, "PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY", NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : mieni_db_fail(g, rc, "set up SQLite");
}

/* Is it ours, and of a version we know? Reads; never writes. */
static int identify(MienGallery *g)
{
    int64_t id, version, n_objects;
    int ret;
    if ((ret = mieni_db_number(g, "read the file", &id, "PRAGMA application_id", "")) < 0 ||
        (ret = mieni_db_number(g, "read the file", &version, "PRAGMA user_version", "")) < 0)
        return ret;
    if (id == MIENI_APPLICATION_ID && version > MIENI_SCHEMA_VERSION)
        return mieni_gallery_fail(g, MIEN_E_VERSION, "was written by a newer mien (schema %lld, this one knows %d): update mien",
                                  (long long)version, MIENI_SCHEMA_VERSION);
    if (id == MIENI_APPLICATION_ID && version >= 1)
        return 0;
    if ((ret = mieni_db_number(g, "read the file", &n_objects, "SELECT count(*) FROM sqlite_schema", "")) < 0)
        return ret;
    if (id || version || n_objects)
        return mieni_gallery_fail(g, MIEN_E_FORMAT, "is an SQLite database of another program, not a gallery");
    if (g->flags & MIEN_GALLERY_CREATE)
        return 0;
    return mieni_gallery_fail(g, MIEN_E_FORMAT, "is empty, not a gallery yet; `mien enroll NAME PICTURE` makes it one");
}

/* The switch to WAL does not wait for locks by itself. */
static int use_wal(MienGallery *g)
{
    char mode[16] = "";
    for (int waited_ms = 0;; waited_ms += 20) {
        sqlite3_stmt *st;
        int ret = mieni_db_query(g, &st, "PRAGMA journal_mode = WAL", "");
        if (ret < 0)
            return ret;
        int rc = sqlite3_step(st);
        if (rc == SQLITE_ROW)
            mieni_db_text(st, 0, mode, sizeof(mode));
        if (rc != SQLITE_ROW && ((rc & 0xff) != SQLITE_BUSY || waited_ms >= MIENI_BUSY_MS)) {
            ret = mieni_db_fail(g, rc, "switch to write-ahead logging");
            sqlite3_finalize(st);
            return ret;
        }
        sqlite3_finalize(st);
        if (rc == SQLITE_ROW)
            break;
        sqlite3_sleep(20);
    }
    if (strcmp(mode, "wal") && !g->quiet)
        mien_log(g->log, MIEN_LOG_WARN, "%s: this file system has no write-ahead logging: readers and writers wait for each "
                 "other, and erased templates may stay in freed blocks of the disk", g->path);
    return 0;
}

static int set_up_writer(MienGallery *g)
{
    if (sqlite3_db_readonly(g->db, "main"))
        return mieni_gallery_fail(g, readonly_code(g), "may not be written");
    int ret = use_wal(g);
    if (ret < 0)
        return ret;
    int rc = sqlite3_exec(g->db, "PRAGMA synchronous = FULL; PRAGMA secure_delete = ON", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return mieni_db_fail(g, rc, "set up SQLite");
    return mieni_db_migrate(g);
}

static int connect_as(MienGallery *g, int immutable)
{
    /* Readers ask for writing too (and get reading if that is all there is): the last one to close can then tidy up the log. */
    int flags = immutable ? SQLITE_OPEN_READONLY | SQLITE_OPEN_URI : SQLITE_OPEN_READWRITE;
    char *uri = immutable ? mieni_path_immutable_uri(g->abs_path) : NULL;
    if (immutable && !uri)
        return mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory");
    int rc = sqlite3_open_v2(uri ? uri : g->abs_path, &g->db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    mien_free(uri);
    g->immutable = immutable;
    int ret = rc == SQLITE_OK ? mieni_db_harden(g) : mieni_db_fail(g, rc, "open the file");
    if (ret >= 0)
        ret = identify(g);
    if (ret >= 0 && may_write(g))
        ret = set_up_writer(g);
    if (ret >= 0 && !may_write(g) && (rc = sqlite3_exec(g->db, "PRAGMA query_only = ON", NULL, NULL, NULL)) != SQLITE_OK)
        ret = mieni_db_fail(g, rc, "set up SQLite");
    if (ret >= 0)
        ret = mieni_db_query(g, &g->data_version, "PRAGMA data_version", "");
    if (ret < 0) {
        g->quiet++; /* the cause is told; keep its text */
        disconnect(g);
        g->quiet--;
    }
    return ret;
}

/* A gallery in WAL mode on a read-only medium: SQLite wants to make the -shm file and can't. If the log is empty, the file is all
 * there is, and it may be read as it stands. */
static int connect_immutable(MienGallery *g, int err)
{
    size_t bytes = strlen(g->abs_path) + sizeof("-wal");
    char *wal = mien_malloc(bytes);
    if (!wal)
        return err;
    snprintf(wal, bytes, "%s-wal", g->abs_path);
    struct stat st;
    int has_log = stat(wal, &st) == 0 && st.st_size > 0;
    mien_free(wal);
    if (has_log)
        return mieni_gallery_fail(g, err == MIEN_ERR(EROFS) ? err : MIEN_ERR(EACCES), "its folder may not be written, and "
                                  "%s-wal holds changes that are not in the file yet; open it once where it may be written, or "
                                  "copy both files", g->path);
    return connect_as(g, 1);
}

static int connect_path(MienGallery *g)
{
    if (stat(g->abs_path, &g->st) < 0) {
        if (errno == ENOENT || errno == ENOTDIR)
            return mieni_gallery_fail(g, MIEN_E_NOTFOUND, "there is no such gallery; `mien enroll NAME PICTURE` makes one");
        return mieni_gallery_fail(g, MIEN_ERR(errno), "cannot be opened: %s", mien_strerror(MIEN_ERR(errno)));
    }
    if (!S_ISREG(g->st.st_mode))
        return mieni_gallery_fail(g, S_ISDIR(g->st.st_mode) ? MIEN_ERR(EISDIR) : MIEN_E_FORMAT, "is not a regular file");
    if (may_write(g))
        return connect_as(g, 0);
    g->quiet++;
    int ret = connect_as(g, 0);
    g->quiet--;
    if (ret >= 0)
        return ret;
    if (ret == MIEN_ERR(EACCES) || ret == MIEN_ERR(EROFS) || ret == MIEN_ERR(ENOENT) || ret == MIEN_ERR(EPERM)) {
        if (access(g->abs_path, R_OK) == 0)
            return connect_immutable(g, ret);
    }
    return g->quiet ? ret : mien_fail(g->log, ret, "%s: %s", g->path, g->err_text);
}

static int same_file(MienGallery *g, const struct stat *st)
{
    if (st->st_dev != g->st.st_dev || st->st_ino != g->st.st_ino)
        return 0;
    if (st->st_size == g->st.st_size && st->st_mtim.tv_sec == g->st.st_mtim.tv_sec && st->st_mtim.tv_nsec == g->st.st_mtim.tv_nsec)
        return 1;
    /* An immutable file has no data_version; its times are all there is to see. */
    if (g->immutable)
        return 0;
    g->touched = 1;
    g->st = *st;
    return 1;
}

int mieni_db_reconnect(MienGallery *g)
{
    disconnect(g);
    return connect_path(g);
}

int mieni_db_enter(MienGallery *g, int write)
{
    if (write && !may_write(g))
        return mieni_gallery_fail(g, MIEN_ERR(EACCES), "was opened for reading");
    struct stat st;
    if (stat(g->abs_path, &st) < 0) {
        int err = errno;
        return mieni_gallery_fail(g, err == ENOENT ? MIEN_E_NOTFOUND : MIEN_ERR(err), "the file is gone: %s",
                                  mien_strerror(MIEN_ERR(err)));
    }
    if (g->db && same_file(g, &st))
        return 0;
    /* First close, then open: two connections of one process must not share -wal and -shm of different files. */
    disconnect(g);
    g->changes++;
    g->version_seen = -1;
    g->index_stale = 1;
    return connect_path(g);
}

int mien_gallery_open(MienGallery **out, const char *path, MienGalleryFlags flags, MienLog log)
{
    char default_path[4096];
    *out = NULL;
    if (!path) {
        int ret = mien_gallery_default_path(default_path, sizeof(default_path));
        if (ret < 0)
            return mien_fail(log, ret, "no gallery is named, and neither XDG_DATA_HOME nor HOME leads to a default one");
        path = default_path;
    }
    int ret = MIEN_ERR(ENOMEM);
    MienGallery *g = mien_calloc(1, sizeof(*g));
    if (!g)
        return mien_fail(log, ret, "%s: out of memory", path);
    g->noun = "gallery";
    g->cure = "`mien check` tells how far, a backup or an export brings the people back";
    g->log = log;
    g->flags = flags;
    g->index_stale = 1;
    g->version_seen = -1;
    g->busy_ms = MIENI_BUSY_MS;
    if (!(g->path = mien_strdup(path)) || (ret = mieni_path_absolute(&g->abs_path, path)) < 0) {
        mien_fail(log, ret, "%s: %s", path, mien_strerror(ret));
        goto fail;
    }
    if (flags & MIEN_GALLERY_CREATE) {
        if ((ret = mieni_path_make_folders(g->abs_path)) < 0 || (ret = mieni_path_make_file(g->abs_path)) < 0) {
            mien_fail(log, ret, "%s: cannot be made: %s", path, mien_strerror(ret));
            goto fail;
        }
    }
    if ((ret = connect_path(g)) < 0)
        goto fail;
    *out = g;
    return 0;
fail:
    mien_gallery_close(&g);
    return ret;
}

void mien_gallery_close(MienGallery **gallery)
{
    MienGallery *g = gallery ? *gallery : NULL;
    if (!g)
        return;
    if (g->db && may_write(g)) {
        g->busy_ms = 0;
        sqlite3_wal_checkpoint_v2(g->db, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL); /* tidy, not needed: may fail */
    }
    disconnect(g);
    mieni_index_free(&g->index);
    mien_free(g->abs_path);
    mien_free(g->path);
    mien_free(g);
    *gallery = NULL;
}
