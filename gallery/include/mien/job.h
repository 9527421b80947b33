/* mien/job.h — which files of an archive are done: the state of `mien annotate` in one SQLite file.
 *
 * A job file lists films. Each has one part or several (stretches of its time) that are worked on one by one by whoever claims them, in
 * any process; when all parts of a film are there, its result is published and the film is done. Claims are transactions, so a
 * part belongs to one owner at a time; an owner that is gone is found out by the caller, who knows about processes, and its part is
 * released. What a call has reported is on disk when it returns; a process that is killed leaves the state before or after a call.
 * Holds paths of films and no names of people. Several processes of one machine may have it open at the same time; it must not be
 * used from several machines at once (docs/cluster.md says how those take part).
 *
 * Errors as of mien/gallery.h: MIEN_E_BUSY, MIEN_E_CORRUPT, MIEN_E_FORMAT, MIEN_E_VERSION, -errno; one log line each.
 * Threads: a handle may be used by one thread at a time.
 */
#ifndef MIEN_JOB_H
#define MIEN_JOB_H

#include "mien/common.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MienJobs MienJobs;

/* create: make the file (and its folder) if need be; else MIEN_E_NOTFOUND where there is none. */
int mien_jobs_open(MienJobs **jobs, const char *path, int create, MienLog log);
void mien_jobs_close(MienJobs **jobs);

typedef enum MienJobState {
    MIEN_JOB_WAITING,
    MIEN_JOB_RUNNING,
    MIEN_JOB_DONE,
    MIEN_JOB_FAILED,
} MienJobState;
const char *mien_job_state_name(MienJobState state); /* "waiting" … */

/* A film, as it was when it was entered, and what its result depends on. */
typedef struct MienJobFile {
    int64_t id;         /* written by mien_jobs_find and the lists */
    const char *path;   /* absolute; any bytes but NUL */
    const char *result; /* name of its result, below the results' folder; of one film alone */
    int64_t size_bytes, mtime_ns;
    const char *hash;    /* of (parts of) its content */
    const char *params;  /* hash of all settings but the gallery */
    const char *gallery; /* hash of the gallery's content */
    int64_t duration_us; /* 0: unknown */
    MienJobState state;  /* written. Done: published. Else failed, running, waiting: the first that any part is. */
    int n_parts, n_done; /* written */
    int n_tries;         /* written: the most of its parts */
    const char *reason;  /* written: of a failed part, or what was odd about one that is done; "" */
} MienJobFile;

/* Who works on a part. A process of this machine: host, boot, pid and the time it was started at (a number is used again, both
 * together are not). A task of a cluster: host "" and the cluster's name for it. */
typedef struct MienJobOwner {
    char host[256], boot[40], task[64];
    int64_t pid, pid_started;
} MienJobOwner;

typedef struct MienJobPart {
    int64_t file;
    int number;            /* from 0 */
    char key[65];          /* names its result; never the same for another film, stretch or setting */
    int64_t from_us, to_us; /* stretch of the film's time; to_us < 0: to the end */
    MienJobState state;
    int n_tries;
    int is_published;   /* written: its film is done */
    MienJobOwner owner; /* of a running part */
    char started[32];   /* of a running part: ISO 8601, UTC */
} MienJobPart;

/* The film at this path as it stands in the file; texts are valid until the next call. MIEN_E_NOTFOUND (not logged). */
int mien_jobs_find(MienJobs *jobs, const char *path, MienJobFile *file);
int mien_jobs_find_id(MienJobs *jobs, int64_t id, MienJobFile *file);
/* Which film has this result; MIEN_E_NOTFOUND (not logged). */
int mien_jobs_find_result(MienJobs *jobs, const char *result, MienJobFile *file);

/* Enters a film with its parts (number, key, from_us, to_us are read), all waiting, in place of what stood there for its path. If
 * another process has entered the very same meanwhile, nothing changes. MIEN_E_EXISTS (not logged): another film has its result's name. */
int mien_jobs_put(MienJobs *jobs, const MienJobFile *file, const MienJobPart *part, int n_parts);

/* All that follows concerns the films that were chosen on this handle. */
int mien_jobs_choose(MienJobs *jobs, int64_t file);
int mien_jobs_choose_all(MienJobs *jobs);

/* Makes failed parts wait again: those that were tried fewer than max_tries times; max_tries < 0: all, their tries forgotten. Returns how many. */
int mien_jobs_retry(MienJobs *jobs, int max_tries);
/* Makes a film's parts wait again, done or failed, but what is running; file 0: of all chosen films. Returns how many parts. */
int mien_jobs_redo(MienJobs *jobs, int64_t file);

/* The next waiting part becomes the owner's: 1, or 0 if none waits. */
int mien_jobs_claim(MienJobs *jobs, const MienJobOwner *owner, MienJobPart *part);
/* Copies, films in order of entry; the caller frees *parts with mien_free. state < 0: of any. Returns how many. */
int mien_jobs_parts(MienJobs *jobs, int64_t file, int state, MienJobPart **parts); /* file 0: of all chosen films */

/* Ends a running part of this owner: done, failed (its tries grow by one), or waiting again. reason: NULL or one line. Returns 1, or 0 if it
 * is not this owner's any more: nothing changed. */
int mien_jobs_end_part(MienJobs *jobs, const char *key, const MienJobOwner *owner, MienJobState state, const char *reason);
/* Hands a running part over: what a program that submits tasks to a cluster does. Returns 1 or 0 as above. */
int mien_jobs_hand_over(MienJobs *jobs, const char *key, const MienJobOwner *from, const MienJobOwner *to);

/* If all parts of the film are done and it is not yet, calls publish, while no other process can, and makes it done if that gives 0 or
 * more. Publish may call mien_jobs_parts, and must bear being done again, since a process may be killed after it. 1: published now,
 * 0: nothing to do, or publish's error. file 0: one of the chosen films that is ready. */
typedef int (*MienJobPublishFn)(void *priv, const MienJobFile *file);
int mien_jobs_publish(MienJobs *jobs, int64_t file, MienJobPublishFn publish, void *priv);

typedef struct MienJobCounts {
    int64_t n_files, n_done, n_failed;                   /* films */
    int64_t n_parts, n_part_waiting, n_part_running;     /* parts */
    int64_t n_retriable;                                 /* failed films of which every failed part was tried fewer than max_tries times */
    int64_t duration_us, done_us;                        /* of the films whose length is known; done and failed parts' share */
} MienJobCounts;
int mien_jobs_count(MienJobs *jobs, int max_tries, MienJobCounts *counts);

/* Calls each for every chosen film, in order of entry; a result other than 0 ends it and is returned. each must not call the handle. */
int mien_jobs_each(MienJobs *jobs, int (*each)(void *priv, const MienJobFile *file), void *priv);

#ifdef __cplusplus
}
#endif
#endif
