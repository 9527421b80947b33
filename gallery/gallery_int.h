/* What the files of gallery/ share: the handle, the connection's helpers, and one line about each step that lives in another
 * file. All SQL of the project is in this folder; values reach it by binding alone. */
#ifndef MIEN_GALLERY_INT_H
#define MIEN_GALLERY_INT_H

#include <sqlite3.h>
#include <sys/stat.h>

#include "mien/error.h"
#include "mien/gallery.h"

#define MIENI_APPLICATION_ID 0x4d49454e /* "MIEN" */
#define MIENI_SCHEMA_VERSION 3
#define MIENI_BUSY_MS 5000
#define MIENI_DIM_MIN 2
#define MIENI_DIM_MAX 1024
#define MIENI_LENGTH_TOLERANCE 1e-3 /* of a stored template: | |v| - 1 | */
#define MIENI_HASH_HEX 64
#define MIENI_SALT_BYTES 16

/* scan.c, see there. */
typedef void (*MieniLearntScanFn)(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                                  const float *restrict weight, float bias, float *restrict logit);

/* search.c: templates packed for the scan, and whose they are. */
typedef struct MieniIndexPerson {
    int64_t id;
    int64_t expires; /* first second (Unix) in which the person no longer matches; INT64_MAX: never */
    uint32_t name_at; /* into names */
    uint8_t ignored, expired;
} MieniIndexPerson;

typedef struct MieniIndex {
    int dim, ld_elems;         /* a row has ld_elems floats (a multiple of 16, so 64 bytes), zeros behind dim */
    size_t n_rows, cap_rows;
    float *row;                /* n_rows × ld_elems */
    int64_t *sample;           /* n_rows: the sample's id */
    uint32_t *row_person;      /* n_rows: into person */
    size_t n_people, cap_people;
    MieniIndexPerson *person;  /* ascending id */
    char *names;
    size_t names_bytes, cap_names;
    float *probe;              /* ld_elems */
    MieniLearntScanFn learnt;  /* NULL: ranked by cosine */
    float *weight, bias;       /* of the learnt unit; weight has ld_elems, zeros behind dim */
    int64_t next_expiry;       /* when `expired` must be looked at again */
    size_t n_bad;              /* rows left out because they are damaged */
} MieniIndex;

struct MienGallery {
    const char *noun, *cure; /* for messages: what the file is, and what helps when it is damaged */
    char *path;        /* as given, for messages */
    char *abs_path;    /* from the root, so that chdir() changes nothing */
    MienGalleryFlags flags;
    MienLog log;
    int quiet;         /* errors go to err_text alone */
    char err_text[512];

    sqlite3 *db;       /* NULL after a replacement that could not be opened */
    sqlite3_stmt *data_version;
    int busy_ms;       /* how long to wait for a lock */
    int64_t busy_since_ms;
    int immutable;     /* read-only medium: opened without locks and log */
    struct stat st;    /* of the file that db has open */

    uint64_t changes, changes_told; /* counted, and told to mien_gallery_changed */
    int64_t version_seen;           /* PRAGMA data_version of the index */
    int index_stale;
    int touched;       /* the file's size or times are others than when it was last looked at */
    char head[65];     /* of the audit log, when the index was read: says which state that was */
    int warned;        /* the code that the last failed refresh was warned about; 0: it went well */
    int64_t retry_at_ms;
    MieniIndex index;

    MienSimilarityKind similarity; /* by which searches rank */
    int has_want;      /* mien_gallery_bind was called: the encoder this handle stands for */
    MienGalleryModel want;
};

/* ---- db.c. The calls from mieni_db_fail on need no more of a handle than noun, cure, path, log, db and busy_ms: job.c has one of its own. */
/* Every public call comes in here: (re)opens the connection if the file was replaced, refuses writing through a reader. */
int mieni_db_enter(MienGallery *g, int write);
/* Closes the connection and opens the file that has the name now; what SQLite remembers of its pages goes. */
int mieni_db_reconnect(MienGallery *g);
/* The code for an SQLite result, and one line "PATH: what: cause". */
int mieni_db_fail(MienGallery *g, int rc, const char *what);
int mieni_gallery_fail(MienGallery *g, int err, const char *fmt, ...) MIEN_PRINTF(3, 4);
/* Prepares and binds. fmt, one letter a parameter: i int64_t, d double, s text or NULL, b blob (pointer, size_t). Text and
 * blobs must live until the statement is finalised. */
int mieni_db_query(MienGallery *g, sqlite3_stmt **st, const char *sql, const char *fmt, ...);
int mieni_db_bind(MienGallery *g, sqlite3_stmt *st, const char *fmt, ...);
/* 1: a row; 0: done; negative: failed, logged as `what`. */
int mieni_db_step(MienGallery *g, sqlite3_stmt *st, const char *what);
/* One statement that gives no rows; returns the number of rows changed. */
int mieni_db_run(MienGallery *g, const char *what, const char *sql, const char *fmt, ...);
/* The first column of the first row as a number; 0 rows: MIEN_E_NOTFOUND, not logged. */
int mieni_db_number(MienGallery *g, const char *what, int64_t *value, const char *sql, const char *fmt, ...);
int mieni_db_begin_write(MienGallery *g); /* the index is stale from now on: data_version tells of others' changes only */
int mieni_db_begin_read(MienGallery *g);
/* ret < 0: rolls back and returns ret; else commits and returns ret or the commit's error. */
int mieni_db_end(MienGallery *g, int ret);
/* A text column, always terminated, cut between characters, "" if it is not text. */
void mieni_db_text(sqlite3_stmt *st, int column, char *buf, size_t buf_bytes);
/* Empties the write-ahead log into the database. MIEN_E_BUSY (not logged) if somebody reads. */
int mieni_db_checkpoint(MienGallery *g);

/* A fresh connection made safe against what an untrusted file's schema could run; touches no file yet. */
int mieni_db_harden(MienGallery *g);

int64_t mieni_gallery_now_ms(void); /* monotonic */

/* ---- path.c */
int mieni_path_absolute(char **abs_path, const char *path);
int mieni_path_make_folders(const char *abs_path); /* the folders above a file, 0700; -errno */
/* An empty file of mode 0600 under this name; 0 if there is one already; -errno. */
int mieni_path_make_file(const char *abs_path);
char *mieni_path_immutable_uri(const char *abs_path);
/* Gives tmp the name path unless that is taken: MIEN_E_EXISTS, -errno. */
int mieni_path_place(const char *tmp, const char *path);

/* ---- migrate.c, schema.c */
typedef struct MieniMigration {
    int version; /* the schema is of this version afterwards */
    const char *what, *sql;
} MieniMigration;
extern const MieniMigration mieni_migrations[MIENI_SCHEMA_VERSION];
/* Brings the file to MIENI_SCHEMA_VERSION in one transaction; a file of version 0 must be empty. */
int mieni_db_migrate(MienGallery *g);

/* ---- person.c, text.c */
int mieni_utf8_check(const char *text, size_t max_bytes, int allow_lines, const char **why);
void mieni_time_now(char buf[32]);
/* "" gives INT64_MAX; a date the end of its day. MIEN_E_FORMAT. */
int mieni_time_parse_expiry(const char *text, int64_t *end);
int mieni_time_check(const char *text); /* YYYY-MM-DDTHH:MM:SSZ: 0, or MIEN_E_FORMAT */
int mieni_name_check_log(MienGallery *g, const char *name);
/* Inside a transaction. find: MIEN_E_NOTFOUND is not logged. */
int mieni_person_find(MienGallery *g, const char *name, int64_t *id);
int mieni_person_insert(MienGallery *g, const char *name, const char *created, int64_t *id);
int mieni_person_need(MienGallery *g, const char *name, int64_t *id); /* as find, logged */
int mieni_person_ensure(MienGallery *g, const char *name, const char *now, int64_t *id); /* made if new */

/* ---- sample.c */
int mieni_model_read(MienGallery *g, MienGalleryModel *model, int64_t *id);
/* The row of the bound encoder, made if need be. Inside a transaction. */
int mieni_model_ensure(MienGallery *g, int64_t *id, int *dim);
/* Column `column` as dim floats of length 1 into out (may be NULL); 0, or why it is no such thing. */
const char *mieni_vector_read(sqlite3_stmt *st, int column, int dim, float *out);
const char *mieni_vector_check(const float *v, int dim);
int mieni_vector_normalise(const float *in, int dim, float *out); /* MIEN_ERR(EINVAL): not finite or of length 0 */
int mieni_hash_check(const char *hex);                            /* "" or 64 lower-case hex digits */
int mieni_sample_insert(MienGallery *g, int64_t person, int64_t model, const float *v, int dim, const MienSample *sample,
                        int64_t *id);

/* ---- similarity.c: inside a transaction. MIEN_E_NOTFOUND: there is none of this kind for the gallery's encoder; logged where
 * `needed`. A damaged one is MIEN_E_CORRUPT. */
int mieni_similarity_read(MienGallery *g, MienSimilarityKind kind, int needed, MienGallerySimilarity *s);
/* A finding for every row of the table that is damaged. */
int mieni_similarity_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv);

/* ---- stranger.c, inside a transaction: MIEN_E_NOTFOUND is logged. */
int mieni_stranger_need(MienGallery *g, int64_t stranger, int64_t *found);

/* ---- audit.c: one line, inside the caller's transaction. person 0: of nobody. */
int mieni_audit(MienGallery *g, const char *verb, int64_t person, const char *detail);
/* Walks the chain, calls report for every break; returns their number. */
int mieni_audit_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv);

/* ---- calibration.c: calls report for every row that can't be one; 0 or a negative code. */
int mieni_calibrations_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv);

/* ---- search.c */
void mieni_index_free(MieniIndex *index);

/* ---- scan.c: the seam for kernels. sim[i] = Σ row[i·ld + k]·probe[k]; ld_elems is a multiple of 16, rows and probe are 64-byte
 * aligned, nothing is read outside n_rows × ld_elems. Summation order is fixed: the same numbers give the same bits. */
typedef void (*MieniScanFn)(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                            float *restrict sim);
void mieni_scan_f32_c(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                      float *restrict sim);
/* MieniLearntScanFn: the logits of a learnt unit (mien/similarity.h) in the same way; weight is aligned as probe is and 0 behind dim. */
void mieni_scan_logistic_c(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                           const float *restrict weight, float bias, float *restrict logit);
void mieni_scan_chi2_c(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                       const float *restrict weight, float bias, float *restrict logit);

/* ---- needle.c: finds pieces of templates in raw bytes. Templates are cut into pieces of 64 bytes (and their last 64 bytes), so that
 * a part of one that survived in a torn page is found as well. A piece of one repeated byte is no evidence and is left out. */
#define MIENI_NEEDLE_BYTES 64
typedef struct MieniNeedles MieniNeedles;
int mieni_needles_create(MieniNeedles **needles);
void mieni_needles_destroy(MieniNeedles **needles);
int mieni_needles_add(MieniNeedles *needles, const void *tmpl, size_t bytes);
void mieni_needles_sort(MieniNeedles *needles); /* after the last add, before the calls below */
/* Leaves needles that occur in these bytes out from now on; returns how many were met. */
size_t mieni_needles_drop(MieniNeedles *needles, const void *data, size_t bytes);
/* Places among the first n_begins in which a needle begins (it must end within bytes). */
size_t mieni_needles_count(const MieniNeedles *needles, const void *data, size_t bytes, size_t n_begins);

/* ---- codec.c: people and templates outside a database. */
typedef struct MieniRosterPerson {
    char name[MIEN_NAME_MAX_BYTES + 1];
    char created[32], expires[32], consent[256], notes[1024];
    int ignored;
} MieniRosterPerson;

typedef struct MieniRoster {
    MienGalleryModel model; /* hash "": no samples */
    size_t n_people, cap_people;
    MieniRosterPerson *person;
    size_t n_samples, cap_samples;
    MienSample *sample; /* .person is an index into person; .id is not used */
    float *vector;      /* n_samples × model.dim */
} MieniRoster;

void mieni_roster_free(MieniRoster *roster);
int mieni_roster_add_person(MieniRoster *roster, MieniRosterPerson **person); /* zeroed */
int mieni_roster_add_sample(MieniRoster *roster, MienSample **sample, float **vector);
/* Everything that a database would refuse, and templates that are not of length 1: one line about the first. */
int mieni_roster_check(const MieniRoster *roster, const char *file, MienLog log);
int mieni_roster_write(const MieniRoster *roster, const char *path, MienLog log);
int mieni_roster_read(MieniRoster *roster, const char *path, MienLog log);
int mieni_roster_parse(MieniRoster *roster, const void *data, size_t bytes, const char *file, MienLog log);

#endif
