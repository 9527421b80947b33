/* timeline.h — who was seen when, of one or several of facetag's logs. */
#ifndef MIEN_TOOL_TIMELINE_H
#define MIEN_TOOL_TIMELINE_H

#include "event_read.h"

typedef struct Stay {
    int source;             /* which log */
    int64_t id;
    MienStatus status;
    char name[MIEN_NAME_MAX_BYTES + 1]; /* "" unless known */
    double from_s, to_s;
    double frame_s;         /* what a frame lasts, 0: unknown */
    double similarity;      /* the best; NaN */
    int n_tracks;           /* that were merged */
    int is_open;            /* the log ended before it did */
} Stay;

typedef struct Timeline {
    const Tool *tool;
    int wall;               /* times are seconds since 1970, else of the film */
    const char *const *log; /* names, borrowed */
    int n_logs;
    Stay *stay;             /* by log, beginning */
    size_t n, room;
    struct TimelineTrack *open; /* while a log is read */
    size_t n_open, open_room;
    int n_untimed;          /* tracks without times */
} Timeline;

/* Reads one log after the other; "-" is standard input. A last line that is cut short, as a kill leaves it, is passed over with a warning.
 * 0, or -1 after a message. */
int timeline_read(Timeline *t, const char *const *log, int n_logs);
/* Only the people named (n > 0) and only this status (>= 0). */
void timeline_keep(Timeline *t, const TextList *people, int status);
/* Stays of one known person in one log that are less than gap_s apart become one. */
void timeline_merge(Timeline *t, double gap_s);
void timeline_free(Timeline *t);

/* The name, or the status in a word. */
const char *stay_title(const Stay *s);
/* "1:02:03.5", or with wall "2026-11-23 21:40:12"; valid until the fourth call after it. */
const char *time_text(const Timeline *t, double s);

/* timeline_html.c: the page. videos: one a log, or one for the only log; n 0: none. 0, or negative after a message. */
int timeline_html(const Timeline *t, const char *path, const TextList *videos);

/* timeline_cut.c: FFmpeg's concat script with every stay, margin_s around each, to f. 0, or -1 after a message. */
int timeline_cut(const Timeline *t, FILE *f, const TextList *videos, double margin_s);

#endif
