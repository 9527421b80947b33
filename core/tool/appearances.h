/* appearances.h — what a run of the tagger said of a film, against who is in it when. */
#ifndef MIEN_TOOL_APPEARANCES_H
#define MIEN_TOOL_APPEARANCES_H

#include <stddef.h>
#include <stdint.h>

#include "mien/tagger.h"

/* The truth: an enrolled person is to be seen from first_s to last_s. */
typedef struct Appearance {
    char *name; /* borrowed */
    double first_s, last_s;
    int has_region; /* the face stays inside it all the time */
    MienBox region_px;
    /* written by appearances_score */
    double named_s;   /* when the right name was first given; NaN: never */
    double covered_s; /* how long it was given */
} Appearance;

/* A stretch of time in which a track had a name. */
typedef struct Naming {
    int64_t track;
    char name[MIEN_NAME_MAX_BYTES + 1];
    double from_s, to_s;
    float x_px, y_px; /* the box's middle when the name was given */
    int wrong;        /* written by appearances_score */
} Naming;

/* Gathers events, as they come, into namings. */
typedef struct Namings {
    Naming *naming;
    size_t n, room;
    struct NamingTrack *live; /* tracks that have not left */
    size_t n_live, live_room;
    int64_t n_tracks, n_retracted, n_switched; /* switched: from one name to another within a track */
    double last_s; /* of all events */
} Namings;

/* name NULL: the track has none now. 0 or -ENOMEM. */
int namings_event(Namings *n, MienEventKind kind, int64_t track, const char *name, double time_s, MienBox box_px);
/* The film is over: tracks without a leave event end at time_s. */
void namings_end(Namings *n, double time_s);
void namings_free(Namings *n);

typedef struct AppearanceReport {
    size_t n_appearances, n_named; /* with the right name at some time */
    double share_named_s;          /* of the time of all appearances */
    double delay_mean_s, delay_median_s, delay_most_s; /* from the appearance's beginning to its name; NaN if none was named */
    size_t n_namings, n_wrong;     /* wrong: some of it lies outside every appearance of that person */
} AppearanceReport;

/* slack_s: so much before and after an appearance a name is still right. 0 or -ENOMEM. */
int appearances_score(Appearance *a, size_t n, Naming *naming, size_t n_namings, double slack_s, AppearanceReport *r);

#endif
