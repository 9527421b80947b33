/* Logs become stays; see timeline.h. */
#include "timeline.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "grow.h"

/* A track that has entered and not left yet. */
typedef struct TimelineTrack {
    LoggedEvent event; /* the newest */
    double wall_ahead_s; /* of the film's time, when it entered; NaN: unknown */
} TimelineTrack;

/* ---- reading */

static int end_track(Timeline *t, size_t i, int source, int is_open)
{
    TimelineTrack *tr = &t->open[i];
    const LoggedEvent *e = &tr->event;
    double shift_s = t->wall ? tr->wall_ahead_s : 0;
    double from_s = e->first_s + shift_s, to_s = e->last_s + shift_s;
    int ret = 0;
    if (!isfinite(from_s) || !isfinite(to_s) || to_s < from_s) {
        t->n_untimed++;
    } else if ((ret = grow((void **)&t->stay, &t->room, t->n, sizeof(*t->stay))) >= 0) {
        Stay *s = &t->stay[t->n++];
        *s = (Stay){ .source = source, .id = e->id, .status = e->status, .from_s = from_s, .to_s = to_s, .similarity = e->similarity,
                     .n_tracks = 1, .is_open = is_open };
        strcpy(s->name, e->name);
        if (e->first_frame >= 0 && e->last_frame > e->first_frame)
            s->frame_s = (to_s - from_s) / (double)(e->last_frame - e->first_frame);
    }
    *tr = t->open[--t->n_open];
    return ret;
}

static int take_event(Timeline *t, const LoggedEvent *e, int source)
{
    size_t i = 0;
    while (i < t->n_open && t->open[i].event.track != e->track)
        i++;
    /* numbers begin anew with each run of ffmpeg; what the run before left open ended with it */
    if (i < t->n_open && e->kind == MIEN_EVENT_ENTER) {
        if (end_track(t, i, source, 1) < 0)
            return MIEN_ERR(ENOMEM);
        i = t->n_open;
    }
    if (i == t->n_open) {
        if (grow((void **)&t->open, &t->open_room, t->n_open, sizeof(*t->open)) < 0)
            return MIEN_ERR(ENOMEM);
        t->open[t->n_open++].wall_ahead_s = e->wall_s - e->last_s;
    }
    t->open[i].event = *e;
    return e->kind == MIEN_EVENT_LEAVE ? end_track(t, i, source, 0) : 0;
}

static int read_lines(Timeline *t, FILE *f, const char *path, int source)
{
    char *line = NULL;
    const char *why;
    size_t room = 0;
    ssize_t n;
    int number = 0, ret = 0;
    LoggedEvent e;
    errno = 0;
    while (ret >= 0 && (n = getline(&line, &room, f)) > 0) {
        number++;
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        if (n <= EVENT_LINE_MAX_BYTES && event_parse(line, &e, &why) >= 0) {
            if ((ret = take_event(t, &e, source)) < 0)
                tool_error(t->tool, "out of memory");
        } else if (line[n - 1] != '\n') {
            tool_warn(t->tool, "%s: line %d is cut short and passed over", safe(path), number);
        } else {
            tool_error(t->tool, "%s: line %d is none of facetag's log: %s", safe(path), number, n <= EVENT_LINE_MAX_BYTES ? why : "it is too long");
            ret = -1;
        }
    }
    if (ret >= 0 && ferror(f)) {
        tool_error(t->tool, "%s: %s", safe(path), strerror(errno));
        ret = -1;
    }
    free(line);
    while (t->n_open && ret >= 0)
        ret = end_track(t, 0, source, 1);
    return ret < 0 ? -1 : 0;
}

static int by_time(const void *a, const void *b)
{
    const Stay *x = a, *y = b;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    if (x->from_s != y->from_s)
        return x->from_s < y->from_s ? -1 : 1;
    return strcmp(x->name, y->name);
}

int timeline_read(Timeline *t, const char *const *log, int n_logs)
{
    t->log = log;
    t->n_logs = n_logs;
    for (int i = 0; i < n_logs; i++) {
        int from_stdin = !strcmp(log[i], "-");
        FILE *f = from_stdin ? stdin : fopen(log[i], "re");
        if (!f) {
            tool_error(t->tool, "%s: %s", safe(log[i]), strerror(errno));
            return -1;
        }
        int ret = read_lines(t, f, log[i], i);
        if (!from_stdin)
            fclose(f);
        if (ret < 0)
            return -1;
    }
    if (t->n)
        qsort(t->stay, t->n, sizeof(*t->stay), by_time);
    if (t->n_untimed)
        tool_warn(t->tool, "%d track(s) without times are left out", t->n_untimed);
    return 0;
}

void timeline_free(Timeline *t)
{
    mien_free(t->stay);
    mien_free(t->open);
    memset(t, 0, sizeof(*t));
}

/* ---- choosing */

void timeline_keep(Timeline *t, const TextList *people, int status)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        int wanted = !people->n;
        for (int k = 0; k < people->n && !wanted; k++)
            wanted = !strcmp(t->stay[i].name, people->item[k]);
        if (wanted && (status < 0 || t->stay[i].status == (MienStatus)status))
            t->stay[n++] = t->stay[i];
    }
    t->n = n;
}

void timeline_merge(Timeline *t, double gap_s)
{
    size_t n = 0;
    for (size_t i = 0; i < t->n; i++) {
        const Stay *s = &t->stay[i];
        Stay *last = NULL;
        for (size_t k = n; k-- > 0 && s->name[0] && !last && t->stay[k].source == s->source;)
            if (!strcmp(t->stay[k].name, s->name))
                last = &t->stay[k];
        if (!last || s->from_s > last->to_s + gap_s) {
            t->stay[n++] = *s;
            continue;
        }
        last->to_s = fmax(last->to_s, s->to_s);
        last->frame_s = fmax(last->frame_s, s->frame_s);
        last->similarity = fmax(last->similarity, s->similarity);
        last->n_tracks += s->n_tracks;
        last->is_open |= s->is_open;
    }
    t->n = n;
}

/* ---- words */

const char *stay_title(const Stay *s)
{
    return s->name[0] ? s->name : mien_status_name(s->status);
}

const char *time_text(const Timeline *t, double s)
{
    static char ring[4][48];
    static unsigned next;
    char *text = ring[next++ % 4];
    if (t->wall) {
        time_t whole = (time_t)floor(s);
        struct tm tm;
        if (!localtime_r(&whole, &tm) || !strftime(text, sizeof(ring[0]), "%Y-%m-%d %H:%M:%S", &tm))
            strcpy(text, "?");
        return text;
    }
    long long tenths = llround(fabs(s) * 10);
    snprintf(text, sizeof(ring[0]), "%s%lld:%02d:%02d.%d", s < 0 && tenths ? "-" : "", tenths / 36000, (int)(tenths / 600 % 60),
             (int)(tenths / 10 % 60), (int)(tenths % 10));
    return text;
}
