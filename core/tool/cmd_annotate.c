/* mien annotate: facetag over an archive; see annotate.h. */
#include "annotate.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mien/common.h"

/* ---- --status */

/* "1:02:03"; of the eight last ones each stays. */
static const char *clock_of(int64_t us)
{
    static char ring[8][32];
    static unsigned next;
    char *buf = ring[next++ % 8];
    int64_t s = (us + 500000) / 1000000;
    snprintf(buf, sizeof(ring[0]), "%lld:%02d:%02d", (long long)(s / 3600), (int)(s / 60 % 60), (int)(s % 60));
    return buf;
}

static int list_film(void *priv, const MienJobFile *f)
{
    struct cJSON *films = priv;
    if (!films) {
        printf("%-8s %4d/%-4d %9s  %s%s%s\n", mien_job_state_name(f->state), f->n_done, f->n_parts, clock_of(f->duration_us), safe(f->path),
               *f->reason ? ": " : "", *f->reason ? safe(f->reason) : "");
        return 0;
    }
    struct cJSON *j = json_item_object(films);
    json_str(j, "file", f->path);
    json_str(j, "result", f->result);
    json_str(j, "state", mien_job_state_name(f->state));
    json_int(j, "parts", f->n_parts);
    json_int(j, "parts_done", f->n_done);
    json_int(j, "tries", f->n_tries);
    json_real(j, "duration_s", (double)f->duration_us / 1e6, 3);
    json_str(j, "reason", *f->reason ? f->reason : NULL);
    return 0;
}

static void counts_json(struct cJSON *j, const MienJobCounts *c)
{
    json_int(j, "files", c->n_files);
    json_int(j, "done", c->n_done);
    json_int(j, "failed", c->n_failed);
    json_int(j, "parts", c->n_parts);
    json_int(j, "parts_waiting", c->n_part_waiting);
    json_int(j, "parts_running", c->n_part_running);
    json_real(j, "duration_s", (double)c->duration_us / 1e6, 3);
    json_real(j, "done_s", (double)c->done_us / 1e6, 3);
}

static int run_status(Annotate *a)
{
    MienJobCounts c;
    struct cJSON *j = a->tool->json ? json_object() : NULL, *films = j ? json_add_array(j, "films") : NULL;
    int ret = mien_jobs_choose_all(a->jobs);
    if (ret >= 0)
        ret = mien_jobs_each(a->jobs, list_film, films);
    if (ret >= 0)
        ret = mien_jobs_count(a->jobs, a->o->tries, &c);
    if (ret < 0) {
        json_free(j);
        return STATUS_ERROR;
    }
    counts_json(j, &c);
    int status = c.n_done == c.n_files ? STATUS_OK : STATUS_NO;
    if (j)
        return json_print(a->tool, j, status);
    tool_note(a->tool, "%lld film%s: %lld done, %lld failed; %s of %s", (long long)c.n_files, c.n_files == 1 ? "" : "s",
              (long long)c.n_done, (long long)c.n_failed, clock_of(c.done_us), clock_of(c.duration_us));
    return status;
}

/* ---- the end of a run */

static int summary(Annotate *a, int ret, int n_bad)
{
    MienJobCounts c = { 0 };
    if (ret < 0 || mien_jobs_count(a->jobs, a->o->tries, &c) < 0)
        return STATUS_ERROR;
    if (annotate_gallery_changed(a))
        tool_warn(a->tool, "the gallery has changed since this run began: names may be of before and after; run it again for all to be of now");
    if (a->tool->json) {
        struct cJSON *j = json_object(), *s = json_add_object(j, "summary");
        counts_json(s, &c);
        json_int(s, "done_before", a->n_done_before);
        json_int(s, "retriable", c.n_retriable);
        json_bool(s, "interrupted", interrupted());
        char *text = json_text_of(j);
        if (text)
            puts(text);
        json_text_free(text);
        json_free(j);
    } else {
        tool_note(a->tool, "%lld of %lld film%s done%s", (long long)c.n_done, (long long)c.n_files, c.n_files == 1 ? "" : "s",
                  interrupted() ? "; interrupted, the same command goes on" : "");
    }
    if (c.n_failed && !a->tool->quiet && !a->tool->json)
        fprintf(stderr, "mien: annotate: %lld failed: %lld of them are tried again when the command is given again, all with --retry\n",
                (long long)c.n_failed, (long long)c.n_retriable);
    if (interrupted())
        return STATUS_ERROR;
    return c.n_failed || n_bad ? STATUS_NO : STATUS_OK;
}

/* ---- the command */

static int check_options(const Annotate *a, int n_args)
{
    const AnnotateOptions *o = a->o;
    int n_instead = !!o->status + !!o->merge + !!o->task;
    if (n_instead > 1)
        return tool_error(a->tool, "--status, --merge and --task exclude one another");
    if ((o->status || o->merge) && n_args != 1)
        return tool_error(a->tool, "--%s wants one folder: that of the results", o->status ? "status" : "merge");
    if (!n_instead && !n_args)
        return tool_error(a->tool, "give videos, or folders with videos");
    if (!n_instead && !o->out)
        return tool_error(a->tool, "--out DIR is missing: where the results go");
    if (o->video && o->segment_s > 0)
        return tool_error(a->tool, "--video is made of whole films: leave --segment out");
    if (o->formats && o->segment_s > 0)
        return tool_error(a->tool, "--formats are of whole films: leave --segment out");
    for (const char *p = o->formats ? o->formats : ""; *p; p += strcspn(p, ",") + (p[strcspn(p, ",")] == ',')) {
        char word[16];
        snprintf(word, sizeof(word), "%.*s", (int)strcspn(p, ","), p);
        if (!strcmp(word, "mkv") || !part_has_product(&(Recipe){ .formats = "vtt,srt,csv,ffmeta" }, word))
            return tool_error(a->tool, "--formats knows vtt, srt, csv and ffmeta, not '%s'", safe(word));
    }
    if (o->segment_s > 0 && o->segment_s * 1e6 < 2 * OVERLAP_US)
        return tool_error(a->tool, "--segment %g is too short: parts overlap by %d s", o->segment_s, OVERLAP_US / 1000000);
    if (o->submit_only && !o->slurm)
        return tool_error(a->tool, "--submit-only goes with --slurm");
    return 0;
}

/* What a cluster's tasks have left. */
static int run_merge(Annotate *a)
{
    int ret = mien_jobs_choose_all(a->jobs);
    int n_left = ret < 0 ? ret : annotate_collect(a);
    if (n_left >= 0)
        ret = annotate_publish(a);
    if (n_left > 0)
        tool_note(a->tool, "%d part%s still being worked on", n_left, n_left == 1 ? " is" : "s are");
    a->detect_only = 1; /* the gallery is of no interest here */
    MienJobCounts c;
    int status = n_left < 0 ? STATUS_ERROR : summary(a, ret, 0);
    return status == STATUS_OK && mien_jobs_count(a->jobs, a->o->tries, &c) >= 0 && c.n_done < c.n_files ? STATUS_NO : status;
}

static int run_films(Annotate *a, int n_args, char **args)
{
    int n_bad = annotate_open(a);
    if (n_bad < 0 || (n_bad = annotate_plan(a, n_args, args)) < 0)
        return STATUS_ERROR;
    if (a->o->dry_run) {
        tool_note(a->tool, "%lld new, %lld to be done again, %lld done", (long long)a->n_new, (long long)a->n_changed, (long long)a->n_done_before);
        return n_bad ? STATUS_NO : STATUS_OK;
    }
    int ret = annotate_recover(a);
    if (ret >= 0 && !interrupted())
        ret = a->o->slurm ? annotate_submit(a) : annotate_run(a);
    if (ret >= 0 && a->o->slurm && !a->o->submit_only) {
        ret = annotate_wait(a);
        if (ret > 0)
            tool_note(a->tool, "the Slurm job goes on; 'mien annotate --merge %s' takes its results later", safe(a->out));
    }
    if (ret >= 0 && a->o->submit_only)
        return interrupted() ? STATUS_ERROR : STATUS_OK;
    return summary(a, ret, n_bad);
}

static int run_annotate(Tool *tool, const void *options, int n_args, char **args)
{
    Annotate *a = mien_calloc(1, sizeof(*a));
    int status = STATUS_ERROR;
    if (!a)
        return tool_error(tool, "out of memory");
    a->tool = tool;
    a->o = options;
    if (!check_options(a, n_args)) {
        int changes = !a->o->task && !a->o->status && !a->o->dry_run;
        if (a->o->task)
            status = annotate_task(tool, a->o->task);
        else if (!a->o->status && !a->o->merge)
            status = run_films(a, n_args, args);
        else if (annotate_open_jobs(a, args[0]) >= 0)
            status = a->o->status ? run_status(a) : run_merge(a);
        if (changes && a->jobs)
            annotate_sweep(a);
    }
    annotate_close(a);
    mien_free(a);
    return status;
}

static const Option annotate_options[] = {
    OPT_TEXT_ROW(AnnotateOptions, out, "out", 'o', "DIR", NULL, "folder of the results; made if need be"),
    OPT_INT_ROW(AnnotateOptions, workers, "workers", 'w', 0, 0, 256, NULL, "as many as cores",
                "films or parts worked on at a time; with --slurm, array elements"),
    OPT_INT_ROW(AnnotateOptions, threads, "threads", 't', 0, 0, 256, NULL, "cores divided by workers; with --slurm 1", "threads of each ffmpeg"),
    OPT_TEXT_ROW(AnnotateOptions, filter, "filter", 'f', "OPTIONS", NULL, "more options of facetag, as in a filter chain: interval=2:liveness=report"),
    OPT_TEXT_ROW(AnnotateOptions, formats, "formats", 0, "LIST", NULL, "the log in these formats as well: vtt, srt, csv, ffmeta, between commas"),
    OPT_FLAG_ROW(AnnotateOptions, video, "video", 0, "also a video with boxes and names in it, the sound as it is"),
    OPT_REAL_ROW(AnnotateOptions, segment_s, "segment", 's', 0, 0, 86400, "seconds", "whole films",
                 "cut films at the first key frame after so long, work on the parts at the same time, join their logs"),
    OPT_FLAG_ROW(AnnotateOptions, keep, "keep", 0, "what was done with another state of the gallery counts as done"),
    OPT_FLAG_ROW(AnnotateOptions, redo, "redo", 0, "do what is done again"),
    OPT_INT_ROW(AnnotateOptions, tries, "tries", 0, 3, 1, 1000, NULL, NULL, "a film that fails is tried so often, once in each run"),
    OPT_FLAG_ROW(AnnotateOptions, retry, "retry", 0, "try all that failed again, however often it was tried"),
    OPT_FLAG_ROW(AnnotateOptions, take_over, "take-over", 0, "take what another machine left as running: only when it is certain that it does not"),
    OPT_FLAG_ROW(AnnotateOptions, dry_run, "dry-run", 'n', "say what would be done and why"),
    OPT_FLAG_ROW(AnnotateOptions, status, "status", 0, "list the films of a folder of results, and how far they are"),
    OPT_TEXT_ROW(AnnotateOptions, ffmpeg, "ffmpeg", 0, "PROGRAM", "$MIEN_FFMPEG, the one beside mien, or ffmpeg in PATH", "the ffmpeg that has facetag"),
    OPT_TEXT_ROW(AnnotateOptions, jobs, "jobs", 0, "FILE", "annotate.db in --out", "the job file; on a disk of this machine"),
    OPT_FLAG_ROW(AnnotateOptions, slurm, "slurm", 0, "as an array job of a Slurm cluster"),
    OPT_TEXT_ROW(AnnotateOptions, partition, "partition", 0, "NAME", NULL, "Slurm's partition"),
    OPT_TEXT_ROW(AnnotateOptions, sbatch, "sbatch", 0, "OPTIONS", NULL, "more options of sbatch, split at blanks: \"--time=2:00:00 --nice\""),
    OPT_FLAG_ROW(AnnotateOptions, submit_only, "submit-only", 0, "do not wait for the cluster; --merge takes the results later"),
    OPT_FLAG_ROW(AnnotateOptions, merge, "merge", 0, "take what a cluster's tasks have finished into a folder of results"),
    OPT_TEXT_ROW(AnnotateOptions, task, "task", 0, "FILE", NULL, "what an array element runs; not for people"),
    { .name = NULL },
};

const Command cmd_annotate = {
    .name = "annotate", .group = "Archives", .summary = "who is on screen, and when, in many videos",
    .args = "FILE|DIR... --out DIR | --status DIR | --merge DIR",
    .text = "Runs facetag over videos, several at a time, and writes of each film what 'ffmpeg -vf facetag=log=…' would: DIR/NAME.jsonl, below a folder "
            "that was given with the path it has there. A result is there whole or not at all.\n"
            "DIR/annotate.db knows what is done. Given again, the command does what is new, what has changed (film, options or gallery) and what failed, "
            "and nothing else; after a crash, a power cut or kill -9 it goes on. Given twice at the same time, the two share the work.\n"
            "Ctrl-C ends the ffmpegs that it started and leaves everything in order.\n"
            "--segment cuts long films, so that several cores or nodes can work on one: parts overlap by two seconds, and tracks are joined there.\n"
            "--slurm makes it an array job; DIR, films, networks and ffmpeg must be where the nodes see them under the same paths.\n"
            "With --json, progress and each film that ends are objects on a line each; the last has the summary.\n"
            "$ mien annotate tapes/ --out names/ --gallery staff.db\n"
            "$ mien annotate tapes/ --out names/ --gallery staff.db --filter interval=2:liveness=report --workers 4\n"
            "$ mien annotate --status names/\n"
            "$ mien annotate tapes/ --out names/ --gallery staff.db --segment 600 --slurm --partition cpu",
    .statuses = "0: all is done. 1: some films failed (or, with --status and --merge, are not done). 2: it could not go on, or was interrupted.",
    .options = annotate_options, .options_bytes = sizeof(AnnotateOptions), .takes = TAKES_GALLERY | TAKES_MODELS | TAKES_ENCODER | TAKES_JSON,
    .min_args = 0, .max_args = -1, .run = run_annotate,
};
