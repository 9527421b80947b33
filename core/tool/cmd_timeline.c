/* mien timeline: who was seen when, of facetag's logs: as a table, JSON, a page, a cut list. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

typedef struct TimelineOptions {
    TextList person, video;
    const char *html, *cut;
    int status, clock;
    double gap, margin;
} TimelineOptions;

enum { STATUS_WORD_ANY, CLOCK_FILM = 0, CLOCK_WALL };

/* ---- who, altogether */

typedef struct Sum {
    const Stay *first;
    double seconds;
    int n;
} Sum;

static int by_seconds(const void *a, const void *b)
{
    const Sum *x = a, *y = b;
    return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

/* A sum a title; the caller frees. */
static Sum *sum_up(const Timeline *t, size_t *n_sums)
{
    Sum *sum = mien_malloc_array(t->n ? t->n : 1, sizeof(*sum));
    *n_sums = 0;
    for (size_t i = 0; sum && i < t->n; i++) {
        const Stay *s = &t->stay[i];
        size_t k = 0;
        while (k < *n_sums && strcmp(stay_title(sum[k].first), stay_title(s)))
            k++;
        if (k == *n_sums)
            sum[(*n_sums)++] = (Sum){ .first = s };
        sum[k].seconds += s->to_s - s->from_s;
        sum[k].n++;
    }
    if (sum && *n_sums)
        qsort(sum, *n_sums, sizeof(*sum), by_seconds);
    return sum;
}

static void print_json(const Timeline *t, const Sum *sum, size_t n_sums, double gap_s, struct cJSON *j)
{
    json_str(j, "clock", t->wall ? "wall" : "film");
    json_real(j, "gap_s", gap_s, 3);
    struct cJSON *logs = json_add_array(j, "logs");
    for (int i = 0; i < t->n_logs; i++)
        json_item_str(logs, t->log[i]);
    struct cJSON *people = json_add_array(j, "people"), *stays = json_add_array(j, "appearances");
    for (size_t i = 0; i < n_sums; i++) {
        struct cJSON *k = json_item_object(people);
        json_str(k, "name", sum[i].first->name[0] ? sum[i].first->name : NULL);
        json_str(k, "status", mien_status_name(sum[i].first->status));
        json_real(k, "seconds", sum[i].seconds, 3);
        json_int(k, "appearances", sum[i].n);
    }
    for (size_t i = 0; i < t->n; i++) {
        const Stay *s = &t->stay[i];
        struct cJSON *k = json_item_object(stays);
        json_str(k, "log", t->log[s->source]);
        json_str(k, "name", s->name[0] ? s->name : NULL);
        if (s->id >= 0)
            json_int(k, "id", s->id);
        json_str(k, "status", mien_status_name(s->status));
        json_real(k, "from_s", s->from_s, 3);
        json_real(k, "to_s", s->to_s, 3);
        json_int(k, "tracks", s->n_tracks);
        json_real(k, "similarity", s->similarity, 4);
        json_bool(k, "open", s->is_open);
    }
}

static void print_table(const Timeline *t, const Sum *sum, size_t n_sums)
{
    int width = t->wall ? 19 : 10;
    for (size_t i = 0; i < t->n; i++) {
        const Stay *s = &t->stay[i];
        if (t->n_logs > 1 && (!i || s->source != s[-1].source))
            printf("%s%s\n", i ? "\n" : "", safe(t->log[s->source]));
        printf("%*s  %*s%c %9.1f s  %s\n", width, time_text(t, s->from_s), width, time_text(t, s->to_s), s->is_open ? '+' : ' ',
               s->to_s - s->from_s, safe(stay_title(s)));
    }
    for (size_t i = 0; i < n_sums; i++)
        printf("%s%9.1f s in %d appearance%s: %s\n", i ? "" : "\n", sum[i].seconds, sum[i].n, sum[i].n == 1 ? "" : "s",
               safe(stay_title(sum[i].first)));
}

/* ---- the command */

static int check(const Tool *tool, const TimelineOptions *o, int n_logs)
{
    if (o->video.n && o->video.n != 1 && o->video.n != n_logs)
        return tool_error(tool, "%d videos are given for %d logs: give --video once for each log, in their order, or once for all", o->video.n,
                          n_logs);
    if (o->video.n && !o->html && !o->cut)
        return tool_error(tool, "--video belongs to --html or --cut");
    if (o->cut && !o->video.n)
        return tool_error(tool, "--cut needs the film: --video FILE");
    if (o->cut && (o->person.n || o->html || tool->json))
        return tool_error(tool, "--cut stands alone: without --person, --html and --json");
    if (o->clock == CLOCK_WALL && (o->cut || o->video.n))
        return tool_error(tool, "a film has no wall clock: --clock wall goes with neither --cut nor --video");
    return 0;
}

static int answer(const Tool *tool, const TimelineOptions *o, const Timeline *t)
{
    size_t n_sums;
    int status = t->n ? STATUS_OK : STATUS_NO;
    if (o->html && timeline_html(t, o->html, &o->video) < 0)
        return STATUS_ERROR;
    if (o->cut && !t->n)
        tool_warn(tool, "'%s' is in none of the logs", safe(o->cut));
    if (o->cut)
        return t->n && timeline_cut(t, stdout, &o->video, o->margin) < 0 ? STATUS_ERROR : status;
    if (o->html && !tool->json) {
        tool_note(tool, "%s: %zu appearances", safe(o->html), t->n);
        return status;
    }
    Sum *sum = sum_up(t, &n_sums);
    if (!sum)
        return tool_error(tool, "out of memory");
    if (tool->json) {
        struct cJSON *j = json_object();
        print_json(t, sum, n_sums, o->gap, j);
        status = json_print(tool, j, status);
    } else {
        print_table(t, sum, n_sums);
        if (!t->n)
            tool_note(tool, "nobody");
    }
    mien_free(sum);
    return status;
}

static int run_timeline(Tool *tool, const void *options, int n_args, char **args)
{
    const TimelineOptions *o = options;
    Timeline t = { .tool = tool, .wall = o->clock == CLOCK_WALL };
    int status = check(tool, o, n_args);
    if (status)
        return status;
    status = STATUS_ERROR;
    if (timeline_read(&t, (const char *const *)args, n_args) >= 0) {
        TextList one = { .item = { o->cut }, .n = 1 };
        timeline_keep(&t, o->cut ? &one : &o->person, o->status - 1);
        timeline_merge(&t, o->gap);
        status = answer(tool, o, &t);
    }
    timeline_free(&t);
    return status;
}

static const Option timeline_options[] = {
    OPT_LIST_ROW(TimelineOptions, person, "person", 0, "NAME", NULL, "only this person; may be given several times"),
    OPT_WORD_ROW(TimelineOptions, status, "status", 0, STATUS_WORD_ANY, "any|undecided|known|unrecognised|spoof", "only those of this status"),
    OPT_REAL_ROW(TimelineOptions, gap, "gap", 0, 2, 0, 1e6, "s", NULL,
                 "appearances of one person in one log that are no further apart than this become one"),
    OPT_WORD_ROW(TimelineOptions, clock, "clock", 0, CLOCK_FILM, "film|wall",
                 "what times are: the film's own, or, of a camera, the clock on the wall (local time), by when the lines were written"),
    OPT_TEXT_ROW(TimelineOptions, html, "html", 0, "FILE", NULL, "write a page: bars over time, a click goes to the second"),
    OPT_LIST_ROW(TimelineOptions, video, "video", 0, "FILE", NULL,
                 "the film that a log is of, a file or URL: shown by the page, or cut; once for each LOG, in their order"),
    OPT_TEXT_ROW(TimelineOptions, cut, "cut", 0, "NAME", NULL, "print FFmpeg's concat script of every appearance of this person in --video"),
    OPT_REAL_ROW(TimelineOptions, margin, "margin", 0, 0, 0, 3600, "s", NULL, "of --cut: so much before and after each appearance too"),
    { .name = NULL },
};

const Command cmd_timeline = {
    .name = "timeline", .group = "Logs", .summary = "who was seen when: a table, a page or a cut list of facetag's logs", .args = "LOG...",
    .text = "LOG is what facetag=log=FILE.jsonl has written, one a film or camera; - reads standard input. A log that is still being written, or that ended "
            "with a kill, will do: who had not left yet is marked by + in the table.\n"
            "$ mien timeline tape.jsonl --person \"Ann Miller\"\n"
            "$ mien timeline tape.jsonl --html tape.html --video tape.mkv\n"
            "$ mien timeline hall.jsonl door.jsonl --clock wall --status unrecognised\n"
            "$ mien timeline tape.jsonl --cut \"Ann Miller\" --video tape.mkv > ann.ffconcat\n"
            "$ ffmpeg -f concat -safe 0 -segment_time_metadata 1 -i ann.ffconcat -vf select=concatdec_select "
            "-af aselect=concatdec_select,aresample=async=1 ann.mp4",
    .statuses = "0 somebody was seen, of those asked for; 1 nobody; 2 error.", .options = timeline_options, .options_bytes = sizeof(TimelineOptions),
    .takes = TAKES_JSON, .min_args = 1, .max_args = -1, .run = run_timeline,
};
