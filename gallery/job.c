/* The job file of `mien annotate`; see mien/job.h. Its connection is used through the gallery's helpers (db.c).
 *
 * A rollback journal instead of WAL: writes are rare and short, and the file stays one file at rest. synchronous=FULL, so that
 * what was reported as done is done after a power cut as well. */
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"
#include "mien/job.h"

#define JOB_APPLICATION_ID 0x4d49454a /* "MIEJ" */
#define JOB_SCHEMA_VERSION 1
#define MAX_REASON_BYTES 2000

struct MienJobs {
    MienGallery db; /* noun, cure, path, log, db, busy_ms */
    char *text[6];  /* of the last MienJobFile that was looked up: a statement left open would keep other processes from writing */
};

/* Paths are blobs: file names are bytes. */
static const char schema[] =
    "CREATE TABLE file ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  path BLOB NOT NULL UNIQUE,"
    "  result BLOB NOT NULL UNIQUE,"
    "  size INTEGER NOT NULL,"
    "  mtime_ns INTEGER NOT NULL,"
    "  hash TEXT NOT NULL,"
    "  params TEXT NOT NULL,"
    "  gallery TEXT NOT NULL,"
    "  duration_us INTEGER NOT NULL CHECK (duration_us >= 0),"
    "  finished TEXT"
    ") STRICT;"
    "CREATE TABLE part ("
    "  file INTEGER NOT NULL REFERENCES file (id) ON DELETE CASCADE,"
    "  number INTEGER NOT NULL CHECK (number >= 0),"
    "  key TEXT NOT NULL UNIQUE,"
    "  from_us INTEGER NOT NULL,"
    "  to_us INTEGER NOT NULL,"
    "  state INTEGER NOT NULL DEFAULT 0 CHECK (state BETWEEN 0 AND 3)," /* MienJobState */
    "  tries INTEGER NOT NULL DEFAULT 0,"
    "  reason TEXT NOT NULL DEFAULT '',"
    "  host TEXT NOT NULL DEFAULT '',"
    "  boot TEXT NOT NULL DEFAULT '',"
    "  task TEXT NOT NULL DEFAULT '',"
    "  pid INTEGER NOT NULL DEFAULT 0,"
    "  pid_started INTEGER NOT NULL DEFAULT 0,"
    "  started TEXT NOT NULL DEFAULT '',"
    "  PRIMARY KEY (file, number)"
    ") STRICT;"
    "CREATE INDEX part_state ON part (state);";

static void forget_texts(MienJobs *j)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(j->text); i++) {
        mien_free(j->text[i]);
        j->text[i] = NULL;
    }
}

const char *mien_job_state_name(MienJobState state)
{
    static const char *const name[] = { "waiting", "running", "done", "failed" };
    return name[state];
}

/* ---- opening */

static int make_schema(MienGallery *g)
{
    int64_t id, version, n_objects;
    int ret;
    if ((ret = mieni_db_number(g, "read the file", &id, "PRAGMA application_id", "")) < 0 ||
        (ret = mieni_db_number(g, "read the file", &version, "PRAGMA user_version", "")) < 0 ||
        (ret = mieni_db_number(g, "read the file", &n_objects, "SELECT count(*) FROM sqlite_schema", "")) < 0)
        return ret;
    if (id == JOB_APPLICATION_ID && version == JOB_SCHEMA_VERSION)
        return 0;
    if (id == JOB_APPLICATION_ID)
        return mieni_gallery_fail(g, MIEN_E_VERSION, "is a job file of version %lld, this mien knows %d: use the mien that wrote it, or "
                                  "remove it and begin anew", (long long)version, JOB_SCHEMA_VERSION);
    if (id || version || n_objects)
        return mieni_gallery_fail(g, MIEN_E_FORMAT, "is an SQLite database of another program, not a job file");
    int rc = sqlite3_exec(g->db, schema, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return mieni_db_fail(g, rc, "make its tables");
    char text[96];
    snprintf(text, sizeof(text), "PRAGMA application_id = %d", JOB_APPLICATION_ID);
    if ((ret = mieni_db_run(g, "mark the file", text, "")) < 0)
        return ret;
    snprintf(text, sizeof(text), "PRAGMA user_version = %d", JOB_SCHEMA_VERSION);
    return mieni_db_run(g, "mark the file", text, "");
}

static int connect_jobs(MienGallery *g)
{
    int rc = sqlite3_open_v2(g->abs_path, &g->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    int ret = rc == SQLITE_OK ? mieni_db_harden(g) : mieni_db_fail(g, rc, "open the file");
    if (ret < 0)
        return ret;
    rc = sqlite3_exec(g->db, "PRAGMA synchronous = FULL; CREATE TEMP TABLE chosen (file INTEGER PRIMARY KEY)", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return mieni_db_fail(g, rc, "set up SQLite");
    if ((ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, make_schema(g));
}

int mien_jobs_open(MienJobs **out, const char *path, int create, MienLog log)
{
    struct stat st;
    *out = NULL;
    MienJobs *j = mien_calloc(1, sizeof(*j));
    int ret = MIEN_ERR(ENOMEM);
    if (!j)
        return mien_fail(log, ret, "%s: out of memory", path);
    MienGallery *g = &j->db;
    g->noun = "job file";
    g->cure = "if it can't be saved, remove it and begin anew";
    g->log = log;
    g->busy_ms = MIENI_BUSY_MS;
    if (!(g->path = mien_strdup(path)) || (ret = mieni_path_absolute(&g->abs_path, path)) < 0) {
        mien_fail(log, ret, "%s: %s", path, mien_strerror(ret));
        goto fail;
    }
    if (create && ((ret = mieni_path_make_folders(g->abs_path)) < 0 || (ret = mieni_path_make_file(g->abs_path)) < 0)) {
        mien_fail(log, ret, "%s: cannot be made: %s", path, mien_strerror(ret));
        goto fail;
    }
    if (stat(g->abs_path, &st) < 0) {
        ret = errno == ENOENT || errno == ENOTDIR ? MIEN_E_NOTFOUND : MIEN_ERR(errno);
        mieni_gallery_fail(g, ret, ret == MIEN_E_NOTFOUND ? "there is no such job file" : "cannot be opened: %s", mien_strerror(ret));
        goto fail;
    }
    if ((ret = connect_jobs(g)) < 0)
        goto fail;
    *out = j;
    return 0;
fail:
    mien_jobs_close(&j);
    return ret;
}

void mien_jobs_close(MienJobs **jobs)
{
    MienJobs *j = jobs ? *jobs : NULL;
    if (!j)
        return;
    forget_texts(j);
    sqlite3_close(j->db.db);
    mien_free(j->db.abs_path);
    mien_free(j->db.path);
    mien_free(j);
    *jobs = NULL;
}

/* ---- rows */

/* A film with what its parts say of it. */
#define FILE_QUERY(which)                                                                                                     \
    "SELECT f.id, f.path, f.result, f.size, f.mtime_ns, f.hash, f.params, f.gallery, f.duration_us, f.finished IS NOT NULL,"  \
    " count(p.number), total(p.state = 2), max(p.tries), total(p.state = 3), total(p.state = 1),"                             \
    " coalesce((SELECT reason FROM part WHERE file = f.id AND reason <> '' ORDER BY state = 3 DESC, number LIMIT 1), '')"      \
    " FROM file f JOIN part p ON p.file = f.id " which " GROUP BY f.id ORDER BY f.id"

static const char *text_of(sqlite3_stmt *st, int column)
{
    const void *text = sqlite3_column_text(st, column); /* of a blob: its bytes and a NUL */
    return text ? text : "";
}

static void read_file_row(sqlite3_stmt *st, MienJobFile *f)
{
    int finished = sqlite3_column_int(st, 9), n_failed = sqlite3_column_int(st, 13), n_running = sqlite3_column_int(st, 14);
    *f = (MienJobFile){
        .id = sqlite3_column_int64(st, 0),
        .path = text_of(st, 1),
        .result = text_of(st, 2),
        .size_bytes = sqlite3_column_int64(st, 3),
        .mtime_ns = sqlite3_column_int64(st, 4),
        .hash = text_of(st, 5),
        .params = text_of(st, 6),
        .gallery = text_of(st, 7),
        .duration_us = sqlite3_column_int64(st, 8),
        .n_parts = sqlite3_column_int(st, 10),
        .n_done = sqlite3_column_int(st, 11),
        .n_tries = sqlite3_column_int(st, 12),
        .reason = text_of(st, 15),
    };
    f->state = finished ? MIEN_JOB_DONE : n_failed ? MIEN_JOB_FAILED : n_running ? MIEN_JOB_RUNNING : MIEN_JOB_WAITING;
}

/* One film; its texts go to j->text. */
static int find_file(MienJobs *j, MienJobFile *f, const char *sql, const char *fmt, const void *value, size_t bytes)
{
    sqlite3_stmt *st;
    int ret = *fmt == 'b' ? mieni_db_query(&j->db, &st, sql, fmt, value, bytes) : mieni_db_query(&j->db, &st, sql, fmt, *(const int64_t *)value);
    if (ret < 0)
        return ret;
    ret = mieni_db_step(&j->db, st, "look a film up");
    if (ret > 0) {
        read_file_row(st, f);
        const char **const text[] = { &f->path, &f->result, &f->hash, &f->params, &f->gallery, &f->reason };
        forget_texts(j);
        for (size_t i = 0; i < MIEN_ARRAY_ELEMS(text); i++) {
            if (!(j->text[i] = mien_strdup(*text[i])))
                ret = MIEN_ERR(ENOMEM);
            *text[i] = j->text[i];
        }
        if (ret < 0)
            mieni_gallery_fail(&j->db, ret, "out of memory");
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : ret ? 0 : MIEN_E_NOTFOUND;
}

int mien_jobs_find(MienJobs *j, const char *path, MienJobFile *file)
{
    return find_file(j, file, FILE_QUERY("WHERE f.path = ?"), "b", path, strlen(path));
}

int mien_jobs_find_id(MienJobs *j, int64_t id, MienJobFile *file)
{
    return find_file(j, file, FILE_QUERY("WHERE f.id = ?"), "i", &id, 0);
}

int mien_jobs_find_result(MienJobs *j, const char *result, MienJobFile *file)
{
    return find_file(j, file, FILE_QUERY("WHERE f.result = ?"), "b", result, strlen(result));
}

/* ---- entering */

static int same_entry(const MienJobFile *a, const MienJobFile *b)
{
    return a->size_bytes == b->size_bytes && a->mtime_ns == b->mtime_ns && !strcmp(a->hash, b->hash) && !strcmp(a->params, b->params) &&
           !strcmp(a->gallery, b->gallery) && !strcmp(a->result, b->result);
}

static int put_parts(MienJobs *j, int64_t file, const MienJobPart *part, int n)
{
    int ret = 0;
    for (int i = 0; i < n && ret >= 0; i++)
        ret = mieni_db_run(&j->db, "enter a part", "INSERT INTO part (file, number, key, from_us, to_us) VALUES (?, ?, ?, ?, ?)", "iisii", file,
                           (int64_t)part[i].number, part[i].key, part[i].from_us, part[i].to_us);
    return ret;
}

static int put(MienJobs *j, const MienJobFile *f, const MienJobPart *part, int n_parts)
{
    MienJobFile old;
    size_t path_bytes = strlen(f->path), result_bytes = strlen(f->result);
    int ret = mien_jobs_find_result(j, f->result, &old);
    if (ret >= 0 && strcmp(old.path, f->path))
        return MIEN_E_EXISTS;
    if (ret < 0 && ret != MIEN_E_NOTFOUND)
        return ret;
    ret = mien_jobs_find(j, f->path, &old);
    if (ret >= 0 && same_entry(&old, f))
        return 0;
    if (ret < 0 && ret != MIEN_E_NOTFOUND)
        return ret;
    if ((ret = mieni_db_run(&j->db, "replace a film", "DELETE FROM file WHERE path = ?", "b", f->path, path_bytes)) < 0)
        return ret;
    ret = mieni_db_run(&j->db, "enter a film", "INSERT INTO file (path, result, size, mtime_ns, hash, params, gallery, duration_us)"
                       " VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "bbiisssi", f->path, path_bytes, f->result, result_bytes, f->size_bytes,
                       f->mtime_ns, f->hash, f->params, f->gallery, f->duration_us);
    return ret < 0 ? ret : put_parts(j, sqlite3_last_insert_rowid(j->db.db), part, n_parts);
}

int mien_jobs_put(MienJobs *j, const MienJobFile *file, const MienJobPart *part, int n_parts)
{
    int ret = mieni_db_begin_write(&j->db);
    if (ret >= 0)
        ret = mieni_db_end(&j->db, put(j, file, part, n_parts));
    return ret < 0 ? ret : 0;
}

int mien_jobs_choose(MienJobs *j, int64_t file)
{
    return mieni_db_run(&j->db, "choose a film", "INSERT OR IGNORE INTO temp.chosen VALUES (?)", "i", file);
}

int mien_jobs_choose_all(MienJobs *j)
{
    return mieni_db_run(&j->db, "choose films", "INSERT OR IGNORE INTO temp.chosen SELECT id FROM main.file", "");
}

/* ---- parts */

#define CHOSEN "file IN (SELECT file FROM temp.chosen)"

int mien_jobs_retry(MienJobs *j, int max_tries)
{
    return max_tries < 0 ? mieni_db_run(&j->db, "try again", "UPDATE part SET state = 0, tries = 0 WHERE state = 3 AND " CHOSEN, "")
                         : mieni_db_run(&j->db, "try again", "UPDATE part SET state = 0 WHERE state = 3 AND tries < ? AND " CHOSEN, "i",
                                        (int64_t)max_tries);
}

static int redo(MienJobs *j, int64_t file)
{
    int ret = mieni_db_run(&j->db, "begin again", "UPDATE file SET finished = NULL WHERE id = ?1 OR (?1 = 0 AND id IN (SELECT file FROM "
                           "temp.chosen))", "i", file);
    return ret < 0 ? ret : mieni_db_run(&j->db, "begin again", "UPDATE part SET state = 0, tries = 0, reason = '' WHERE state >= 2 AND (file = ?1 "
                                        "OR (?1 = 0 AND " CHOSEN "))", "i", file);
}

int mien_jobs_redo(MienJobs *j, int64_t file)
{
    int ret = mieni_db_begin_write(&j->db);
    return ret < 0 ? ret : mieni_db_end(&j->db, redo(j, file));
}

#define PART_COLUMNS "file, number, key, from_us, to_us, state, tries, host, boot, task, pid, pid_started, started," \
    " (SELECT finished IS NOT NULL FROM file WHERE id = part.file)"

static void read_part_row(sqlite3_stmt *st, MienJobPart *p)
{
    memset(p, 0, sizeof(*p));
    p->file = sqlite3_column_int64(st, 0);
    p->number = sqlite3_column_int(st, 1);
    mieni_db_text(st, 2, p->key, sizeof(p->key));
    p->from_us = sqlite3_column_int64(st, 3);
    p->to_us = sqlite3_column_int64(st, 4);
    p->state = (MienJobState)(sqlite3_column_int(st, 5) & 3);
    p->n_tries = sqlite3_column_int(st, 6);
    mieni_db_text(st, 7, p->owner.host, sizeof(p->owner.host));
    mieni_db_text(st, 8, p->owner.boot, sizeof(p->owner.boot));
    mieni_db_text(st, 9, p->owner.task, sizeof(p->owner.task));
    p->owner.pid = sqlite3_column_int64(st, 10);
    p->owner.pid_started = sqlite3_column_int64(st, 11);
    mieni_db_text(st, 12, p->started, sizeof(p->started));
    p->is_published = sqlite3_column_int(st, 13);
}

static int claim(MienJobs *j, const MienJobOwner *o, MienJobPart *part)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(&j->db, &st, "SELECT " PART_COLUMNS " FROM part WHERE state = 0 AND " CHOSEN " ORDER BY file, number LIMIT 1", "");
    if (ret < 0)
        return ret;
    int found = mieni_db_step(&j->db, st, "look for work");
    if (found > 0)
        read_part_row(st, part);
    sqlite3_finalize(st);
    if (found <= 0)
        return found;
    mieni_time_now(part->started);
    part->owner = *o;
    part->state = MIEN_JOB_RUNNING;
    ret = mieni_db_run(&j->db, "claim a part", "UPDATE part SET state = 1, host = ?, boot = ?, task = ?, pid = ?, pid_started = ?, started = ?,"
                       " reason = '' WHERE key = ?", "sssiiss", o->host, o->boot, o->task, o->pid, o->pid_started, part->started, part->key);
    return ret < 0 ? ret : 1;
}

int mien_jobs_claim(MienJobs *j, const MienJobOwner *owner, MienJobPart *part)
{
    int ret = mieni_db_begin_write(&j->db);
    return ret < 0 ? ret : mieni_db_end(&j->db, claim(j, owner, part));
}

int mien_jobs_parts(MienJobs *j, int64_t file, int state, MienJobPart **parts)
{
    sqlite3_stmt *st;
    MienJobPart *part = NULL;
    int n = 0, room = 0;
    *parts = NULL;
    int ret = mieni_db_query(&j->db, &st, "SELECT " PART_COLUMNS " FROM part WHERE (state = ?1 OR ?1 < 0) AND (file = ?2 OR (?2 = 0 AND " CHOSEN
                             ")) ORDER BY file, number", "ii", (int64_t)state, file);
    while (ret >= 0 && (ret = mieni_db_step(&j->db, st, "list parts")) > 0) {
        if (n == room) {
            room = room ? 2 * room : 64;
            MienJobPart *more = mien_realloc_array(part, (size_t)room, sizeof(*part));
            if (!more) {
                ret = mieni_gallery_fail(&j->db, MIEN_ERR(ENOMEM), "out of memory");
                break;
            }
            part = more;
        }
        read_part_row(st, &part[n++]);
    }
    sqlite3_finalize(st);
    if (ret < 0) {
        mien_free(part);
        return ret;
    }
    *parts = part;
    return n;
}

#define OWNED_BY "key = ? AND state = 1 AND host = ? AND boot = ? AND task = ? AND pid = ? AND pid_started = ?"

int mien_jobs_end_part(MienJobs *j, const char *key, const MienJobOwner *o, MienJobState state, const char *reason)
{
    char text[MAX_REASON_BYTES];
    snprintf(text, sizeof(text), "%s", reason ? reason : "");
    return mieni_db_run(&j->db, "note a part's end", "UPDATE part SET state = ?, tries = tries + ?, reason = ?, started = '' WHERE " OWNED_BY,
                        "iisssssii", (int64_t)state, (int64_t)(state == MIEN_JOB_FAILED), text, key, o->host, o->boot, o->task, o->pid,
                        o->pid_started);
}

int mien_jobs_hand_over(MienJobs *j, const char *key, const MienJobOwner *from, const MienJobOwner *to)
{
    return mieni_db_run(&j->db, "hand a part over", "UPDATE part SET host = ?, boot = ?, task = ?, pid = ?, pid_started = ? WHERE " OWNED_BY,
                        "sssiissssii", to->host, to->boot, to->task, to->pid, to->pid_started, key, from->host, from->boot, from->task,
                        from->pid, from->pid_started);
}

/* ---- publishing */

static int publish(MienJobs *j, int64_t id, MienJobPublishFn fn, void *priv)
{
    MienJobFile f;
    char now[32];
    int ret = id ? find_file(j, &f, FILE_QUERY("WHERE f.finished IS NULL AND f.id = ?"), "i", &id, 0)
                 : find_file(j, &f, FILE_QUERY("WHERE f.finished IS NULL AND f.id IN (SELECT file FROM temp.chosen) AND ?1 = 0 AND NOT EXISTS"
                                               " (SELECT 1 FROM part WHERE file = f.id AND state <> 2)"), "i", &id, 0);
    if (ret == MIEN_E_NOTFOUND || (ret >= 0 && f.n_done < f.n_parts))
        return 0;
    if (ret < 0 || (ret = fn(priv, &f)) < 0)
        return ret;
    mieni_time_now(now);
    ret = mieni_db_run(&j->db, "note that a film is done", "UPDATE file SET finished = ? WHERE id = ?", "si", now, f.id);
    return ret < 0 ? ret : 1;
}

int mien_jobs_publish(MienJobs *j, int64_t file, MienJobPublishFn fn, void *priv)
{
    int ret = mieni_db_begin_write(&j->db);
    return ret < 0 ? ret : mieni_db_end(&j->db, publish(j, file, fn, priv));
}

/* ---- sums and lists */

int mien_jobs_each(MienJobs *j, int (*each)(void *priv, const MienJobFile *file), void *priv)
{
    sqlite3_stmt *st;
    MienJobFile f;
    int ret = mieni_db_query(&j->db, &st, FILE_QUERY("WHERE f.id IN (SELECT file FROM temp.chosen)"), "");
    int stop = 0;
    while (ret >= 0 && !stop && (ret = mieni_db_step(&j->db, st, "list films")) > 0) {
        read_file_row(st, &f);
        stop = each(priv, &f);
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : stop;
}

typedef struct Counting {
    MienJobCounts *counts;
    int max_tries;
} Counting;

static int count_file(void *priv, const MienJobFile *f)
{
    Counting *c = priv;
    c->counts->n_files++;
    c->counts->n_done += f->state == MIEN_JOB_DONE;
    c->counts->n_failed += f->state == MIEN_JOB_FAILED;
    c->counts->n_retriable += f->state == MIEN_JOB_FAILED && f->n_tries < c->max_tries;
    c->counts->duration_us += f->duration_us;
    if (f->state == MIEN_JOB_DONE)
        c->counts->done_us += f->duration_us;
    return 0;
}

int mien_jobs_count(MienJobs *j, int max_tries, MienJobCounts *counts)
{
    sqlite3_stmt *st;
    Counting c = { counts, max_tries };
    memset(counts, 0, sizeof(*counts));
    int ret = mien_jobs_each(j, count_file, &c);
    if (ret < 0)
        return ret;
    /* an ended part of a film that isn't done yet; its last part has no end of its own */
    ret = mieni_db_query(&j->db, &st, "SELECT count(*), coalesce(sum(p.state = 0), 0), coalesce(sum(p.state = 1), 0),"
                         " coalesce(sum((p.state >= 2 AND f.finished IS NULL) * max(0, iif(p.to_us < 0, f.duration_us, p.to_us) - p.from_us)), 0)"
                         " FROM part p JOIN file f ON f.id = p.file WHERE p.file IN (SELECT file FROM temp.chosen)", "");
    if (ret >= 0 && (ret = mieni_db_step(&j->db, st, "count")) > 0) {
        counts->n_parts = sqlite3_column_int64(st, 0);
        counts->n_part_waiting = sqlite3_column_int64(st, 1);
        counts->n_part_running = sqlite3_column_int64(st, 2);
        counts->done_us += sqlite3_column_int64(st, 3);
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : 0;
}
