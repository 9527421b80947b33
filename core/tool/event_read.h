/* event_read.h — facetag's JSON lines, read back. */
#ifndef MIEN_TOOL_EVENT_READ_H
#define MIEN_TOOL_EVENT_READ_H

#include "mien/event_text.h"
#include "tool.h"

#define EVENT_LINE_MAX_BYTES (1 << 16) /* facetag's are shorter than MIEN_EVENT_TEXT_BYTES */

typedef struct LoggedEvent {
    MienEventKind kind;
    MienStatus status;
    int64_t track, id;                  /* id: -1 for none */
    char name[MIEN_NAME_MAX_BYTES + 1]; /* "" unless known */
    double first_s, last_s;             /* NaN: none */
    int64_t first_frame, last_frame;    /* -1: none */
    double similarity;                  /* NaN: none */
    double wall_s;                      /* seconds since 1970, UTC; NaN: none */
    char thumb[256];                    /* "": none */
} LoggedEvent;

/* line ends in NUL, and may end in a newline. 0, or negative with *why in words: it is no event, or one of a newer schema. */
int event_parse(const char *line, LoggedEvent *event, const char **why);

#endif
