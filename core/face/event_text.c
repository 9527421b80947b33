/* event_text.c — events as JSON lines, WebVTT, SubRip, CSV and FFmpeg chapters; see mien/event_text.h.
 *
 * Names are any text. What a format would take for its own marks is escaped where the format has escapes (WebVTT, FFmpeg's metadata, CSV
 * quotes), and replaced by a look-alike where it has none (SubRip).
 */
#include "mien/event_text.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "mien/error.h"
#include "text_out.h"

#define LEAST_CUE_MS 100
#define CHAPTER_S 1.0 /* those that begin within this are one chapter */
#define MAX_TIME_S 1e9 /* half a human life; more is no time of a film */

MienEventFormat mien_event_format_of(const char *path)
{
    static const struct {
        const char *ending;
        MienEventFormat format;
    } known[] = { { ".vtt", MIEN_EVENT_VTT },
                  { ".srt", MIEN_EVENT_SRT },
                  { ".csv", MIEN_EVENT_CSV },
                  { ".ffmeta", MIEN_EVENT_CHAPTERS },
                  { ".ffmetadata", MIEN_EVENT_CHAPTERS } };
    size_t n = strstr(path, "://") ? strcspn(path, "?#") : strlen(path);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(known); i++) {
        size_t e = strlen(known[i].ending);
        if (n > e && !strncasecmp(path + n - e, known[i].ending, e))
            return known[i].format;
    }
    return MIEN_EVENT_JSONL;
}

const char *mien_event_text_head(MienEventFormat format)
{
    switch (format) {
    case MIEN_EVENT_VTT: return "WEBVTT\n\n";
    case MIEN_EVENT_CSV: return "name,status,first_s,last_s,duration_s,track,id,similarity,live,first_frame,last_frame,wall\r\n";
    case MIEN_EVENT_CHAPTERS: return ";FFMETADATA1\n\n";
    case MIEN_EVENT_JSONL:
    case MIEN_EVENT_SRT: break;
    }
    return "";
}

int mien_event_format_ordered(MienEventFormat format)
{
    return format != MIEN_EVENT_JSONL && format != MIEN_EVENT_CSV;
}

/* ---- pieces */

static void put_wall(MieniOut *o, int64_t wall_us)
{
    char text[80];
    time_t s = (time_t)(wall_us / 1000000);
    struct tm tm;
    if (wall_us < 0 || !gmtime_r(&s, &tm))
        return;
    snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
             tm.tm_sec, (int)(wall_us / 1000 % 1000));
    mieni_put_text(o, text);
}

/* text with the bytes of `marks` replaced by the strings beside them, line ends by blanks, and what is no UTF-8 by U+FFFD */
static void put_escaped(MieniOut *o, const char *text, const char *marks, const char *const *escapes)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = mieni_utf8_sequence(s);
        const char *mark = strchr(marks, *s);
        if (!n)
            mieni_put_text(o, "\xef\xbf\xbd");
        else if (mark)
            mieni_put_text(o, escapes[mark - marks]);
        else if (*s < 0x20)
            mieni_put_char(o, ' ');
        else
            for (int i = 0; i < n; i++)
                mieni_put_char(o, (char)s[i]);
        s += n ? n : 1;
    }
}

/* The name, or the status in a word. */
static const char *title_of(const MienAppearance *a)
{
    return a->name[0] ? a->name : mien_status_name(a->status);
}

/* First and last millisecond of an entry; 0 if it has no place in time. */
static int span_ms(const MienAppearance *a, int64_t *from_ms, int64_t *to_ms)
{
    if (!(fabs(a->first_s) < MAX_TIME_S) || !(fabs(a->last_s) < MAX_TIME_S))
        return 0;
    *from_ms = llround(fmax(a->first_s, 0) * 1000);
    *to_ms = llround(fmax(a->last_s, 0) * 1000);
    if (*to_ms < *from_ms + LEAST_CUE_MS)
        *to_ms = *from_ms + LEAST_CUE_MS;
    return 1;
}

static void put_clock(MieniOut *o, int64_t ms, char point)
{
    char text[48];
    snprintf(text, sizeof(text), "%02lld:%02d:%02d%c%03d", (long long)(ms / 3600000), (int)(ms / 60000 % 60), (int)(ms / 1000 % 60), point,
             (int)(ms % 1000));
    mieni_put_text(o, text);
}

static void put_span(MieniOut *o, int64_t from_ms, int64_t to_ms, char point)
{
    put_clock(o, from_ms, point);
    mieni_put_text(o, " --> ");
    put_clock(o, to_ms, point);
    mieni_put_char(o, '\n');
}

/* ---- JSON lines */

int mien_event_line(const MienEvent *event, const MienEventContext *c, char *buf, size_t buf_bytes)
{
    int n = mien_event_json(event, buf, buf_bytes), more;
    if (n < 0)
        return n;
    MieniOut o = { buf, buf_bytes, (size_t)n - 1 }; /* over the brace */
    if (c->thumb) {
        mieni_put_text(&o, ",\"thumb\":");
        mieni_put_json(&o, c->thumb);
    }
    if (c->explain) {
        mieni_put_text(&o, ",\"explain\":");
        more = o.len < buf_bytes ? mien_explanation_json(&event->explanation, buf + o.len, buf_bytes - o.len) : MIEN_ERR(ENOSPC);
        if (more < 0)
            return more;
        o.len += (size_t)more;
    }
    if (c->wall_us >= 0) {
        mieni_put_text(&o, ",\"wall\":\"");
        put_wall(&o, c->wall_us);
        mieni_put_char(&o, '"');
    }
    mieni_put_text(&o, "}\n");
    return mieni_put_end(&o);
}

/* ---- one entry an appearance */

MienAppearance mien_event_appearance(const MienEvent *leave)
{
    const MienTag *t = &leave->tag;
    MienAppearance a = { .track = t->track, .id = t->id, .status = t->status, .first_s = leave->first_time_s, .last_s = leave->last_time_s,
                         .first_frame = t->first_frame, .last_frame = leave->last_frame, .sim_cos = t->sim_cos, .prob_live = t->prob_live };
    memcpy(a.name, t->name, sizeof(a.name));
    return a;
}

static void put_vtt(MieniOut *o, const MienAppearance *a, int64_t from_ms, int64_t to_ms)
{
    static const char *const escapes[] = { "&amp;", "&lt;", "&gt;" };
    mieni_put_text(o, "track ");
    mieni_put_int(o, a->track);
    mieni_put_char(o, ' ');
    mieni_put_text(o, mien_status_name(a->status));
    mieni_put_char(o, '\n');
    put_span(o, from_ms, to_ms, '.');
    put_escaped(o, title_of(a), "&<>", escapes);
    mieni_put_text(o, "\n\n");
}

/* No standard, hence no escapes: players take <…> and {…} for styles. */
static void put_srt(MieniOut *o, const MienAppearance *a, int64_t number, int64_t from_ms, int64_t to_ms)
{
    static const char *const escapes[] = { "\xe2\x80\xb9", "\xe2\x80\xba", "(", ")" };
    mieni_put_int(o, number);
    mieni_put_char(o, '\n');
    put_span(o, from_ms, to_ms, ',');
    put_escaped(o, title_of(a), "<>{}", escapes);
    mieni_put_text(o, "\n\n");
}

static void put_chapter(MieniOut *o, const MienAppearance *a, int64_t from_ms, int64_t to_ms)
{
    static const char *const escapes[] = { "\\=", "\\;", "\\#", "\\\\" };
    mieni_put_text(o, "[CHAPTER]\nTIMEBASE=1/1000\nSTART=");
    mieni_put_int(o, from_ms);
    mieni_put_text(o, "\nEND=");
    mieni_put_int(o, to_ms);
    mieni_put_text(o, "\ntitle=");
    const char *title = title_of(a);
    put_escaped(o, title, "=;#\\", escapes);
    /* FFmpeg takes a line's end behind any backslash for an escaped one, be it that of an escaped backslash. */
    mieni_put_text(o, title[strlen(title) - 1] == '\\' ? " \n\n" : "\n\n");
}

static void put_real_cell(MieniOut *o, double v, int decimals)
{
    mieni_put_char(o, ',');
    if (isfinite(v))
        mieni_put_fixed(o, v, decimals);
}

/* Spreadsheets run what begins with one of = + - @ as a formula; an apostrophe before it makes it text. */
static void put_csv(MieniOut *o, const MienAppearance *a, const MienEventContext *c)
{
    static const char *const escapes[] = { "\"\"" };
    mieni_put_char(o, '"');
    if (a->name[0] && strchr("=+-@", a->name[0]))
        mieni_put_char(o, '\'');
    put_escaped(o, a->name, "\"", escapes);
    mieni_put_text(o, "\",");
    mieni_put_text(o, mien_status_name(a->status));
    put_real_cell(o, a->first_s, 3);
    put_real_cell(o, a->last_s, 3);
    put_real_cell(o, a->last_s - a->first_s, 3);
    mieni_put_char(o, ',');
    mieni_put_int(o, a->track);
    mieni_put_char(o, ',');
    if (a->id >= 0)
        mieni_put_int(o, a->id);
    put_real_cell(o, (double)a->sim_cos, 4);
    put_real_cell(o, (double)a->prob_live, 3);
    mieni_put_char(o, ',');
    mieni_put_int(o, a->first_frame);
    mieni_put_char(o, ',');
    mieni_put_int(o, a->last_frame);
    mieni_put_char(o, ',');
    put_wall(o, c->wall_us);
    mieni_put_text(o, "\r\n");
}

int mien_appearance_text(MienEventFormat format, const MienAppearance *a, int64_t number, const MienEventContext *context, char *buf,
                         size_t buf_bytes)
{
    MieniOut o = { buf, buf_bytes, 0 };
    int64_t from_ms = 0, to_ms = 0;
    int timed = span_ms(a, &from_ms, &to_ms);
    if (format == MIEN_EVENT_CSV)
        put_csv(&o, a, context);
    else if (timed && format == MIEN_EVENT_VTT)
        put_vtt(&o, a, from_ms, to_ms);
    else if (timed && format == MIEN_EVENT_SRT)
        put_srt(&o, a, number, from_ms, to_ms);
    else if (timed && format == MIEN_EVENT_CHAPTERS)
        put_chapter(&o, a, from_ms, to_ms);
    return mieni_put_end(&o);
}

/* ---- in the order in which they begin */

struct MienAppearanceQueue {
    MienAppearance *held; /* the latest beginning first, so that the next to go is the last */
    int n, room, max_held;
    int chapters;
};

int mien_appearance_queue_create(MienAppearanceQueue **queue, MienEventFormat format, int max_held)
{
    *queue = mien_calloc(1, sizeof(**queue));
    if (!*queue)
        return MIEN_ERR(ENOMEM);
    (*queue)->max_held = max_held;
    (*queue)->chapters = format == MIEN_EVENT_CHAPTERS;
    return 0;
}

void mien_appearance_queue_destroy(MienAppearanceQueue **queue)
{
    if (*queue)
        mien_free((*queue)->held);
    mien_free(*queue);
    *queue = NULL;
}

/* Those without times go first: nothing is gained by keeping them. */
static int begins_before(const MienAppearance *a, const MienAppearance *b)
{
    double x = isnan(a->first_s) ? -INFINITY : a->first_s, y = isnan(b->first_s) ? -INFINITY : b->first_s;
    return x < y || (x == y && a->track < b->track);
}

int mien_appearance_queue_push(MienAppearanceQueue *q, const MienAppearance *a)
{
    if (q->n == q->room) {
        int room = q->room ? 2 * q->room : 16;
        MienAppearance *held = mien_realloc_array(q->held, (size_t)room, sizeof(*held));
        if (!held)
            return MIEN_ERR(ENOMEM);
        q->held = held;
        q->room = room;
    }
    int i = q->n;
    while (i > 0 && !begins_before(a, &q->held[i - 1]))
        i--;
    memmove(&q->held[i + 1], &q->held[i], (size_t)(q->n - i) * sizeof(*q->held));
    q->held[i] = *a;
    q->n++;
    return 0;
}

/* Adds what b is called, unless the list has it or has no room for it. */
static void add_title(MienAppearance *a, const MienAppearance *b)
{
    const char *title = title_of(b);
    size_t n = strlen(a->name), more = strlen(title);
    for (const char *at = a->name; (at = strstr(at, title)); at++)
        if ((at == a->name || (at - a->name >= 2 && !memcmp(at - 2, ", ", 2))) && (!at[more] || !strncmp(at + more, ", ", 2)))
            return;
    if (n + 2 + more < sizeof(a->name))
        snprintf(a->name + n, sizeof(a->name) - n, "%s%s", n ? ", " : "", title);
}

/* The earliest and those that begin with it as one, cut where the next begins. */
static int pop_chapter(MienAppearanceQueue *q, double settled_s, MienAppearance *chapter)
{
    const MienAppearance *first = &q->held[q->n - 1];
    double next_s = INFINITY, last_s = first->last_s;
    int n = 1, full = q->n > q->max_held;
    for (; n < q->n && first[-n].first_s < first->first_s + CHAPTER_S; n++)
        last_s = fmax(last_s, first[-n].last_s);
    if (n < q->n)
        next_s = first[-n].first_s;
    int settled = settled_s >= first->first_s + CHAPTER_S && (next_s <= settled_s || last_s <= settled_s);
    if (!settled && !full)
        return 0;
    *chapter = *first;
    chapter->name[0] = '\0';
    for (int i = 0; i < n; i++)
        add_title(chapter, &first[-i]);
    chapter->last_s = fmin(last_s, next_s);
    q->n -= n;
    return 1;
}

int mien_appearance_queue_pop(MienAppearanceQueue *q, double settled_s, MienAppearance *a)
{
    if (!q->n)
        return 0;
    if (q->chapters && !isnan(q->held[q->n - 1].first_s))
        return pop_chapter(q, settled_s, a);
    if (q->n <= q->max_held && q->held[q->n - 1].first_s > settled_s)
        return 0;
    *a = q->held[--q->n];
    return 1;
}
