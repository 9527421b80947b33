/* mien/gallery.h — people and their templates in one SQLite file.
 *
 * A gallery is bound to one encoder (by hash) when the first sample is stored and refuses samples of another. Templates are
 * f32 and L2-normalised; no pictures are stored. Search is an exact scan of a packed matrix in memory that is re-read when
 * another process has changed the file (PRAGMA data_version). Deletes are true deletes (secure_delete).
 * Several processes at once are normal: WAL, a busy timeout of five seconds, short transactions; every change is one
 * transaction, on disk when the call returns. A gallery that is replaced (renamed over) is opened again by itself.
 * Log lines of these calls never hold a person's name; the caller, who was asked about the person, may print it.
 * File format: docs/format-gallery.md. What is stored and how it is deleted: docs/privacy.md.
 *
 * Errors of every call that touches the file: MIEN_E_BUSY (another process held it for five seconds), MIEN_E_CORRUPT,
 * MIEN_E_FORMAT, MIEN_ERR(ENOSPC), MIEN_ERR(EROFS) or MIEN_ERR(EACCES) (it may not be written), MIEN_ERR(EIO),
 * MIEN_ERR(ENOMEM). After any of them what was stored before is still stored, and the handle may be used again.
 * Threads: a handle may be used by one thread at a time; several handles on one file are fine.
 */
#ifndef MIEN_GALLERY_H
#define MIEN_GALLERY_H

#include "mien/calibrate.h"
#include "mien/common.h"
#include "mien/log.h"
#include "mien/similarity.h"
#include "mien/tagger.h" /* MienMatch, MIEN_NAME_MAX_BYTES */

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MienGallery MienGallery;

typedef enum MienGalleryFlags {
    MIEN_GALLERY_READ = 0,
    MIEN_GALLERY_WRITE = 1,  /* the file must exist */
    MIEN_GALLERY_CREATE = 2, /* make it (and its folder) if need be; implies write */
} MienGalleryFlags;

/* path NULL: $XDG_DATA_HOME/mien/gallery.db, or ~/.local/share/mien/gallery.db. Errors: MIEN_E_NOTFOUND (no such file; the
 * message gives the remedy), MIEN_E_FORMAT (not a gallery), MIEN_E_VERSION (written by a newer mien), MIEN_E_CORRUPT,
 * MIEN_E_BUSY, -errno. Older schemas are migrated in one transaction when opened for writing. */
int mien_gallery_open(MienGallery **gallery, const char *path, MienGalleryFlags flags, MienLog log);
void mien_gallery_close(MienGallery **gallery);
const char *mien_gallery_path(const MienGallery *gallery);
/* Writes the default path; MIEN_ERR(ENAMETOOLONG), MIEN_E_NOTFOUND if neither variable is set. */
int mien_gallery_default_path(char *buf, size_t buf_bytes);

typedef struct MienGalleryModel {
    char hash[65]; /* "" while the gallery is bound to none */
    char name[128];
    int dim;
} MienGalleryModel;

int mien_gallery_model(MienGallery *gallery, MienGalleryModel *model);
/* Binds an unbound gallery, or checks: MIEN_E_MISMATCH with a line that names both encoders. */
int mien_gallery_bind(MienGallery *gallery, const char *hash, const char *name, int dim);

/* 1..255 bytes of valid UTF-8 without control characters (C0, DEL, C1, line and paragraph separators), not blank at either
 * end. Returns 0 or MIEN_ERR(EINVAL) with the reason as a sentence in *why (static). */
int mien_name_check(const char *name, const char **why);

typedef struct MienPerson {
    int64_t id;
    char name[MIEN_NAME_MAX_BYTES + 1];
    int n_samples;
    int ignored;
    int expired;      /* expires lies in the past: the person is kept but never matches */
    char created[32]; /* ISO 8601, UTC */
    char consent[256], notes[1024]; /* "" when unset */
    char expires[32]; /* "", YYYY-MM-DD (matches through the end of that day, UTC) or YYYY-MM-DDTHH:MM:SSZ */
} MienPerson;

typedef struct MienSample {
    int64_t id, person;
    float quality;        /* 0..1, MienFaceQuality.total */
    char source_hash[65]; /* SHA-256 of the picture's file, "" if none */
    char created[32];
} MienSample;

/* Adds a sample to a person, who is made if new, in one transaction. mien_gallery_bind comes first. embedding: dim numbers,
 * finite; it is normalised here (length 0 is MIEN_ERR(EINVAL)). The same source_hash of the same person again: MIEN_E_EXISTS,
 * nothing changes. quality and source_hash of `sample` are read, its id, person and created are written. */
int mien_gallery_add(MienGallery *gallery, const char *name, const float *embedding, int dim, MienSample *sample);

/* Copies; ordered by name. The caller frees *people with mien_free. Returns the number. */
int mien_gallery_people(MienGallery *gallery, MienPerson **people);
int mien_gallery_find(MienGallery *gallery, const char *name, MienPerson *person); /* MIEN_E_NOTFOUND */
int mien_gallery_samples(MienGallery *gallery, int64_t person, MienSample **samples);
int mien_gallery_embedding(MienGallery *gallery, int64_t sample, float *embedding, int dim);

int mien_gallery_rename(MienGallery *gallery, const char *from, const char *to); /* MIEN_E_EXISTS: use merge */
int mien_gallery_merge(MienGallery *gallery, const char *from, const char *into); /* from's samples move, from goes; returns how many moved */
int mien_gallery_set_ignored(MienGallery *gallery, const char *name, int ignored);
/* Any of the strings may be NULL: unchanged; "" clears. MIEN_ERR(EINVAL): not UTF-8, too long, or expires is no date. */
int mien_gallery_set_notes(MienGallery *gallery, const char *name, const char *consent, const char *expires,
                           const char *notes);
/* Splits: gives one sample to another person, who is made if new. */
int mien_gallery_move_sample(MienGallery *gallery, int64_t sample, const char *into);

/* Erases a person: rows deleted with secure_delete, VACUUM, WAL checkpointed and truncated, then every byte of the database, its
 * -wal and -shm is scanned for the templates, whole and in pieces of 64 bytes. Proven gone: returns 0 and n_left is 0.
 * If another process keeps the old state alive: MIEN_E_BUSY, with the person deleted (result says so) but pieces still in the
 * files; mien_gallery_compact finishes it later. result may be NULL. */
typedef struct MienErasure {
    int n_samples;          /* samples deleted; 0 after a failure: nothing was deleted */
    int n_shared;           /* samples of other people that hold the same bytes (one picture enrolled twice): they stay */
    int64_t n_left;         /* places in which a piece of a template was found afterwards */
    int64_t scanned_bytes;
} MienErasure;
int mien_gallery_forget(MienGallery *gallery, const char *name, MienErasure *result);
/* The same for one sample; the person stays. */
int mien_gallery_forget_sample(MienGallery *gallery, int64_t sample, MienErasure *result);
/* VACUUM and an emptied WAL: nothing deleted before is left in the files. MIEN_E_BUSY while another process reads. */
int mien_gallery_compact(MienGallery *gallery);

/* One search: MienSearchFn's contract; priv is the MienGallery. Re-reads the matrix first if the file changed. Expired people do
 * not match. Per person the best sample counts. */
int mien_gallery_search(void *gallery, const float *embedding, int dim, const char *claim, MienMatch *match);

/* The k best people, best first; returns how many. */
typedef struct MienCandidate {
    int64_t id, sample;
    char name[MIEN_NAME_MAX_BYTES + 1];
    float sim_cos;
    float logit_same; /* NaN unless a learnt similarity ranks */
    int ignored;
} MienCandidate;
int mien_gallery_top(MienGallery *gallery, const float *embedding, int dim, MienCandidate *candidates, int k);

/* A learnt similarity (mien/similarity.h) belongs to the gallery and its encoder: one of each kind. It outlives the people whose
 * pairs it was learnt from and goes when the gallery is bound to another encoder. Exports leave it out. */
typedef struct MienGallerySimilarity {
    MienSimilarity unit;
    int64_t n_pairs;  /* learnt from */
    double accuracy;  /* on people held out, 0..1; NaN: not measured */
    char created[32];
} MienGallerySimilarity;
/* Stores it in place of the one of its kind; `created` is written. A gallery without encoder must have been given one by
 * mien_gallery_bind. MIEN_E_MISMATCH: it is of another dim; MIEN_ERR(EINVAL): it is no unit. */
int mien_gallery_set_similarity(MienGallery *gallery, MienGallerySimilarity *similarity);
/* MIEN_E_NOTFOUND (not logged): none of this kind is stored. */
int mien_gallery_similarity(MienGallery *gallery, MienSimilarityKind kind, MienGallerySimilarity *similarity);
/* From now on mien_gallery_search and mien_gallery_top rank by this kind and fill logit_same; MIEN_SIMILARITY_DISTANCE ranks by
 * cosine again. Every template is measured, whatever its cosine. The unit is read again when the file changes. MIEN_E_NOTFOUND
 * with a line that says how to learn one: nothing changed. */
int mien_gallery_use_similarity(MienGallery *gallery, MienSimilarityKind kind);

/* 1 if another process changed or replaced the file since the last call, else 0: for programs that run on, to be called a few times a
 * second. Cheap unless there is a change (one stat, one pragma); then the people are read. While the file cannot be read (locked, gone,
 * damaged, another's) this waits for nothing, logs one warning, tries again every second and logs one line when it is over; searches go on with the
 * people read before. */
int mien_gallery_changed(MienGallery *gallery);

/* SHA-256 of all that a search's answer can depend on: people, status, templates, calibration, learnt similarities, who has expired. The
 * same in a backup; other after any change that may give another name. */
int mien_gallery_fingerprint(MienGallery *gallery, char hex[65]);

typedef struct MienGalleryStats {
    int64_t n_people, n_ignored, n_samples, file_bytes;
    int64_t n_expired, n_audit;
    int schema_version;
    char audit_head[65]; /* hash of the newest audit line, "" if none: note it down elsewhere and a shortened log shows */
} MienGalleryStats;
int mien_gallery_stats(MienGallery *gallery, MienGalleryStats *stats);

/* SQLite's integrity_check and foreign_key_check, then every template (size, finite, length 1), name, date and the audit
 * chain, and the calibrations. report (NULL allowed) is called per finding; returns the number of findings, 0: sound. Changes nothing. */
int mien_gallery_check(MienGallery *gallery, void (*report)(void *priv, const char *text), void *priv);
/* SQLite's online backup into a new file, complete even while others write. MIEN_E_EXISTS if the file is there. */
int mien_gallery_backup(MienGallery *gallery, const char *path);
/* A path that ends in .json: JSON; else safetensors (`embedding` [n,dim] f32, `person` [n] i64, `people` JSON …; both in
 * docs/format-gallery.md). Import merges by name, skips samples that are there already, refuses another encoder and checks everything
 * as if it were new; all or nothing. *n_added (NULL allowed) counts samples. */
int mien_gallery_export(MienGallery *gallery, const char *path);
int mien_gallery_import(MienGallery *gallery, const char *path, int *n_added);

/* Thresholds from data (mien/calibrate.h). Stored: `created` is set. MIEN_ERR(EINVAL): impossible numbers, or the gallery belongs to no
 * encoder. The newest one counts; they go with their encoder, and into backups, but not into exports: a calibration is of one gallery at
 * one size. */
int mien_gallery_put_calibration(MienGallery *gallery, MienCalibration *calibration);
/* The newest of the gallery's encoder; MIEN_E_NOTFOUND (not logged): none. n_people_now (NULL allowed): how many could be named
 * today, for mien_calibration_covers. */
int mien_gallery_calibration(MienGallery *gallery, MienCalibration *calibration, int64_t *n_people_now);
/* Copies of the templates of all who can be named: active, not expired; a person's lie together. Damaged ones are left out. The
 * caller frees both with mien_free (NULL where there are none). Returns how many. */
int mien_gallery_templates(MienGallery *gallery, float **embedding, int64_t **person, int *dim);

/* ---- strangers: clusters of templates without a name. Nothing else of the library writes or searches them.
 * min_sim_cos: how near a template must be to a stranger's mean template to be of that stranger; a sound value is what facetag asks for a
 * name. Whoever calls this has searched the people before: they are not strangers. */
typedef struct MienSighting {
    int64_t stranger; /* never given twice */
    int is_new;
    float sim_cos;    /* to the nearest stranger known before; NaN if there was none */
} MienSighting;
/* Adds a template to the stranger it is of, or to a new one; keeps the 8 best of each, and none that is there already. */
int mien_gallery_stranger_see(MienGallery *gallery, const float *embedding, int dim, float quality, float min_sim_cos,
                              MienSighting *sighting);
typedef struct MienStranger {
    int64_t id;
    int n_samples;
    char first_seen[32], last_seen[32]; /* ISO 8601, UTC; when it was added, not when the film was made */
} MienStranger;
/* Copies, by number; the caller frees *strangers with mien_free. Returns how many. */
int mien_gallery_strangers(MienGallery *gallery, MienStranger **strangers);
/* Gives the stranger's templates to a person, who is made if new; the stranger is gone. Returns how many moved, or MIEN_E_NOTFOUND. */
int mien_gallery_stranger_assign(MienGallery *gallery, int64_t stranger, const char *name);
/* Erased and proven as people are: mien_gallery_forget. */
int mien_gallery_forget_stranger(MienGallery *gallery, int64_t stranger, MienErasure *result);
/* All that were last seen before this time (YYYY-MM-DDTHH:MM:SSZ). */
int mien_gallery_forget_strangers(MienGallery *gallery, const char *unseen_since, MienErasure *result);

/* A line in the hash-chained audit table. The calls above write theirs by themselves, with the person as a salted hash; exposed
 * for verbs of the tool. verb 1..32 bytes, detail up to 255, no control characters. The line outlives the people: never put
 * a name or a path into it. */
int mien_gallery_audit(MienGallery *gallery, const char *verb, const char *detail);

#ifdef __cplusplus
}
#endif
#endif
