/* annotate.h — what the files of `mien annotate` share.
 *
 * A film is one part or, with --segment, several. A part is one run of ffmpeg; its result has a name made of the part's key (DIR/.annotate/KEY.jsonl)
 * and takes it by a rename, after ffmpeg has ended with 0: whoever finds it there, on this machine or on a node of a cluster, knows that it
 * is complete. When all parts of a film are there its result is put together (stitch.h) and published as DIR/NAME.jsonl. The job file
 * says what is to be done, by whom, and what is finished; only the side that plans and publishes touches it.
 * annotate_plan.c enters films, annotate_part.c runs a part, annotate_run.c the workers of this machine, annotate_slurm.c those of a cluster.
 */
#ifndef MIEN_TOOL_ANNOTATE_H
#define MIEN_TOOL_ANNOTATE_H

#include <limits.h>

#include "ffmpeg.h"
#include "files.h"
#include "mien/job.h"
#include "tool.h"

#define OVERLAP_US 2000000 /* past a cut: enough for the next part to have seen who is there */

typedef struct AnnotateOptions {
    const char *out, *jobs, *ffmpeg, *filter, *formats;
    double segment_s;
    int workers, threads, tries, video, keep, redo, retry, take_over, dry_run;
    int status, merge; /* what to do instead */
    int slurm, submit_only;
    const char *partition, *sbatch, *task;
} AnnotateOptions;

/* How parts are made; the same on every machine. "" where there is none. */
typedef struct Recipe {
    const char *ffmpeg, *filter, *gallery, *models, *encoder, *work;
    const char *formats; /* of logs beside the JSON lines: "vtt,srt" */
    int threads, video;
} Recipe;

/* A cluster's job: when it was asked for last, and since when it is gone. */
typedef struct KnownJob {
    char task[64];
    double asked_s, gone_s; /* gone_s 0: it is there, as far as is known */
    int told;               /* that nothing is known */
} KnownJob;

typedef struct Annotate {
    const Tool *tool;
    const AnnotateOptions *o;
    Recipe recipe;
    char ffmpeg[PATH_MAX], gallery[PATH_MAX], models[PATH_MAX], out[PATH_MAX], work[PATH_MAX - 512];
    char params[65], gallery_hash[65];
    int detect_only; /* the filter's mode needs no gallery */
    MienJobs *jobs;
    MienJobOwner me;
    int64_t n_new, n_changed, n_done_before; /* films, by what planning found */
    double shown_s;                          /* when progress was last told */
    double share_before;                     /* of all films' time, when the run began */
    Progress progress;
    KnownJob known[16];
} Annotate;

/* ---- annotate_plan.c */
/* Folders, ffmpeg, gallery, job file. Negative after a message. */
int annotate_open(Annotate *a);
/* Only the job file, of the folder --status and --merge name. */
int annotate_open_jobs(Annotate *a, const char *dir);
void annotate_close(Annotate *a);
/* Enters what is new or has changed and chooses all that the arguments mean. With --dry-run it tells instead, and changes nothing. */
int annotate_plan(Annotate *a, int n_args, char **args);
/* The hash of what a gallery would be now; 1 if it is not the one that the run began with. */
int annotate_gallery_changed(Annotate *a);

/* ---- annotate_part.c */
typedef struct PartRun {
    Child child;
    MienJobPart part;
    char *path;
    int is_cut; /* the film has several parts: what its neighbours need is written as well */
    char tmp[PATH_MAX]; /* results so far, without their endings */
} PartRun;

/* Results that are published as they are, by their endings (NULL past the last): "mkv", "vtt" … */
extern const char *const part_products[];
int part_has_product(const Recipe *recipe, const char *ending);
/* The path of a result in the work folder: KEY.ENDING. */
void part_path(char buf[PATH_MAX], const char *work, const char *key, const char *ending);
int part_is_there(const char *work, const char *key);
/* Removes what a run of this owner may have left, and whatever is there of the key. */
void part_clean(const char *work, const char *key, const MienJobOwner *owner);
/* path and part are copied. 0, or negative after a message. */
int part_start(PartRun *run, const Tool *tool, const Recipe *recipe, const MienJobPart *part, const char *path, const MienJobOwner *owner);
/* ffmpeg has ended: gives the results their names, or says in reason why there are none. reason may also hold a warning of a good end. 0 or negative. */
int part_finish(PartRun *run, const Recipe *recipe, int wait_status, char *reason, size_t reason_bytes);
/* Ends it and leaves nothing. */
void part_abort(PartRun *run);
/* How far it is, of its own stretch. */
int64_t part_position_us(const PartRun *run);

/* ---- annotate_run.c */
void owner_of_this_process(MienJobOwner *owner);
/* Works with --workers until nothing is left to do for anybody, or we are interrupted. Negative: could not go on. */
int annotate_run(Annotate *a);
/* Takes the parts of those that are gone back. Returns how many parts others are working on, or negative. */
int annotate_recover(Annotate *a);
/* Publishes every film that is ready. */
int annotate_publish(Annotate *a);
/* Removes what killed processes and ended cluster jobs have left in the work folder; the last thing to call, as it chooses all films. */
void annotate_sweep(Annotate *a);
int annotate_begin_progress(Annotate *a, MienJobCounts *counts);
/* running_us: how far the parts in hand are. */
void annotate_progress(Annotate *a, int64_t running_us);
/* A film or part has come to its end. */
void annotate_tell(Annotate *a, const char *path, const char *state, const char *reason);

/* ---- annotate_slurm.c */
int annotate_submit(Annotate *a);            /* all that waits becomes an array job */
int annotate_wait(Annotate *a);              /* until no task of a cluster is left */
/* Takes the results of cluster tasks that are there, and gives up those whose job is gone. Returns how many parts are still being worked on. */
int annotate_collect(Annotate *a);
/* Whether a running part is one of this run's ("20261126T190000-4711", as the run's files are called). */
int task_is_of_run(const MienJobOwner *owner, const char *run, size_t run_bytes);
int annotate_task(const Tool *tool, const char *run_file); /* an array element; an exit status */

#endif
