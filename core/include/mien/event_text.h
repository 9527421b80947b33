/* mien/event_text.h — the tagger's events as text: JSON lines, subtitles, tables, chapters. docs/events.md shows each format.
 *
 * JSON lines have every event. The others have one entry an appearance, which is a track from its first to its last sighting with what was
 * decided in the end, and is known when the track leaves. Subtitles and chapters must be in the order in which appearances begin; they are
 * held in a queue until nothing that began earlier can come any more. A film's chapters follow one another, people overlap: a chapter begins
 * where somebody appears and ends where the next one begins, or when those who appeared are gone.
 * Functions write into the caller's buffer and end it with a NUL; they return the length, or MIEN_ERR(ENOSPC). MIEN_EVENT_TEXT_BYTES is
 * room enough for every format.
 */
#ifndef MIEN_EVENT_TEXT_H
#define MIEN_EVENT_TEXT_H

#include "mien/tagger.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_EVENT_SCHEMA 1 /* "v" of a JSON line. A reader must refuse a higher one: what it knows may mean something else there */
#define MIEN_EVENT_TEXT_BYTES 16384

typedef enum MienEventFormat {
    MIEN_EVENT_JSONL,
    MIEN_EVENT_VTT,      /* WebVTT */
    MIEN_EVENT_SRT,      /* SubRip */
    MIEN_EVENT_CSV,      /* RFC 4180 */
    MIEN_EVENT_CHAPTERS, /* FFmpeg's metadata file */
} MienEventFormat;

/* By the ending of a file's name or URL (what follows ? or # in a URL doesn't count); JSON lines where it says nothing. */
MienEventFormat mien_event_format_of(const char *path_or_url);
/* What a file begins with; "" where nothing is needed. */
const char *mien_event_text_head(MienEventFormat format);
/* Whether the format wants appearances in the order in which they begin: by the queue below. */
int mien_event_format_ordered(MienEventFormat format);

/* What the event itself does not know. */
typedef struct MienEventContext {
    int64_t wall_us;   /* when it was told: microseconds since 1970, UTC; < 0: unknown */
    int explain;       /* with the explanation */
    const char *thumb; /* name of the face's picture; NULL: none */
} MienEventContext;

/* A line of JSON with its newline. */
int mien_event_line(const MienEvent *event, const MienEventContext *context, char *buf, size_t buf_bytes);

/* ---- appearances */

typedef struct MienAppearance {
    int64_t track, id;
    MienStatus status;
    char name[MIEN_NAME_MAX_BYTES + 1]; /* "" unless known */
    double first_s, last_s;             /* NaN: frames without timestamps */
    int64_t first_frame, last_frame;
    float sim_cos, prob_live;           /* NaN: none */
} MienAppearance;

/* Of a leave event. */
MienAppearance mien_event_appearance(const MienEvent *leave);

/* One entry with the blank line that ends it, in any format but JSON lines. number: counts the file's entries from 1. An appearance
 * without times can't stand among subtitles or chapters: 0. Times before 0 become 0, and an entry lasts at least a tenth of a second, so
 * that it can be seen. */
int mien_appearance_text(MienEventFormat format, const MienAppearance *a, int64_t number, const MienEventContext *context, char *buf,
                         size_t buf_bytes);

/* Appearances by their beginning. */
typedef struct MienAppearanceQueue MienAppearanceQueue;
/* max_held: so many are kept back at most. When there are more the earliest goes out though it is not settled; the order is then not
 * kept, but memory is. For chapters, those that begin within a second come out as one whose name lists theirs. */
int mien_appearance_queue_create(MienAppearanceQueue **queue, MienEventFormat format, int max_held);
void mien_appearance_queue_destroy(MienAppearanceQueue **queue);
int mien_appearance_queue_push(MienAppearanceQueue *queue, const MienAppearance *a);
/* Takes the earliest out, if nothing that comes can change it: it began no later than settled_s (mien_tagger_oldest_s; INFINITY: all), and for chapters
 * so did the next, or it ended until then. Also if too many are held. 1, or 0: none. */
int mien_appearance_queue_pop(MienAppearanceQueue *queue, double settled_s, MienAppearance *a);

#ifdef __cplusplus
}
#endif
#endif
