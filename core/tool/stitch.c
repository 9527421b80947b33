/* Joins logs at cuts; see stitch.h. Lines are edited as text, key by key, so that what this file does not know of stays as it is. */
#include "stitch.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "mien/common.h"
#include "mien/error.h"
#include "words.h"

#define MAX_KEYS 40
#define MIN_IOU 0.5

/* ---- a line: the pairs of one JSON object, as text */

typedef struct Span {
    const char *at;
    size_t n;
} Span;

typedef struct Line {
    int n;
    Span key[MAX_KEYS], value[MAX_KEYS]; /* a key without its quotes, a value as it is written */
} Line;

static Span span_of(const char *s)
{
    return (Span){ s, strlen(s) };
}

static int span_is(Span a, const char *s)
{
    return a.n == strlen(s) && !memcmp(a.at, s, a.n);
}

/* Past the string that begins at p, or NULL. */
static const char *skip_string(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == '"')
            return p + 1;
    }
    return NULL;
}

/* Past the value at p: to the comma or brace that ends it. NULL: it doesn't end. */
static const char *skip_value(const char *p, const char *end)
{
    int depth = 0;
    while (p < end) {
        if (*p == '"') {
            if (!(p = skip_string(p, end)))
                return NULL;
            continue;
        }
        if (!depth && (*p == ',' || *p == '}'))
            return p;
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        if (depth < 0)
            return NULL;
        p++;
    }
    return NULL;
}

static int read_line(Line *l, const char *p, const char *end)
{
    l->n = 0;
    if (p == end || *p++ != '{')
        return -1;
    for (;;) {
        if (l->n == MAX_KEYS || p == end || *p != '"')
            return -1;
        const char *q = skip_string(p, end);
        if (!q || q == end || *q != ':')
            return -1;
        l->key[l->n] = (Span){ p + 1, (size_t)(q - p) - 2 };
        const char *v = q + 1;
        if (!(p = skip_value(v, end)) || p == v)
            return -1;
        l->value[l->n++] = (Span){ v, (size_t)(p - v) };
        if (*p++ == '}')
            return p == end ? 0 : -1;
    }
}

static int find_key(const Line *l, const char *key)
{
    for (int i = 0; i < l->n; i++)
        if (span_is(l->key[i], key))
            return i;
    return -1;
}

static Span value_of(const Line *l, const char *key)
{
    int i = find_key(l, key);
    return i < 0 ? span_of("null") : l->value[i];
}

static void set_value(Line *l, const char *key, Span value)
{
    int i = find_key(l, key);
    if (i >= 0)
        l->value[i] = value;
}

/* Behind `after`, unless there is such a key. */
static void insert(Line *l, const char *after, const char *key, Span value)
{
    int at = find_key(l, after) + 1;
    if (find_key(l, key) >= 0 || !at || l->n == MAX_KEYS) {
        set_value(l, key, value);
        return;
    }
    memmove(&l->key[at + 1], &l->key[at], (size_t)(l->n - at) * sizeof(Span));
    memmove(&l->value[at + 1], &l->value[at], (size_t)(l->n - at) * sizeof(Span));
    l->key[at] = span_of(key);
    l->value[at] = value;
    l->n++;
}

static void drop_key(Line *l, const char *key)
{
    int at = find_key(l, key);
    if (at < 0)
        return;
    l->n--;
    memmove(&l->key[at], &l->key[at + 1], (size_t)(l->n - at) * sizeof(Span));
    memmove(&l->value[at], &l->value[at + 1], (size_t)(l->n - at) * sizeof(Span));
}

#define MAX_DIGITS 15 /* sums of such numbers stay far from the end of int64_t */

/* A whole number, 0 or more; -1 for anything else, null among it. */
static int64_t whole_number(Span s)
{
    int64_t v = 0;
    if (!s.n || s.n > MAX_DIGITS)
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return -1;
        v = 10 * v + (s.at[i] - '0');
    }
    return v;
}

/* Seconds with three decimals, as the log has them; negative ones too. NaN for null. */
static double seconds_of(Span s)
{
    char text[32];
    if (!s.n || s.n >= sizeof(text) || strspn(s.at, "-0123456789.") != s.n)
        return NAN;
    memcpy(text, s.at, s.n);
    text[s.n] = 0;
    return strtod(text, NULL);
}

static void write_line(Words *out, const Line *l)
{
    for (int i = 0; i < l->n; i++) {
        words_put_bytes(out, i ? ",\"" : "{\"", 2);
        words_put_bytes(out, l->key[i].at, l->key[i].n);
        words_put_bytes(out, "\":", 2);
        words_put_bytes(out, l->value[i].at, l->value[i].n);
    }
    words_put_bytes(out, "}\n", 2);
}

/* ---- boxes on frames */

typedef struct Box {
    int64_t pts_us, frame; /* frame: as the part counts */
    int64_t track, id;
    int known, spoof;
    double x, y, w, h;
} Box;

typedef struct Boxes {
    Box *box;
    size_t n, room;
    int64_t first_frame; /* number of the first one printed at or after the part's own cut; -1: none */
    int64_t cut_frame;   /* the same for the next part's cut */
    int64_t last_frame;  /* of all that were printed */
} Boxes;

static int64_t number_after(const char *line, const char *end, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = line; p + n < end; p++)
        if (!memcmp(p, word, n)) {
            char text[MAX_DIGITS + 1] = "";
            size_t k = 0;
            for (p += n; p < end && k < MAX_DIGITS && ((*p >= '0' && *p <= '9') || (*p == '-' && !k)); p++)
                text[k++] = *p;
            return k ? strtoll(text, NULL, 10) : -1;
        }
    return -1;
}

/* "lavfi.facetag.3.track=7": field "track" of face 3. Faces of a frame come one after another; `count` comes first. */
static int read_field(Boxes *b, size_t frame_at, int64_t pts_us, int64_t frame, const char *line, const char *end)
{
    static const char prefix[] = "lavfi.facetag.";
    const char *p = line + sizeof(prefix) - 1, *eq = memchr(line, '=', (size_t)(end - line));
    if (!eq || p >= eq || memcmp(line, prefix, sizeof(prefix) - 1) || *p < '0' || *p > '9')
        return 0;
    size_t face = 0;
    while (p < eq && *p >= '0' && *p <= '9' && face < 1000)
        face = 10 * face + (size_t)(*p++ - '0');
    if (p == eq || *p++ != '.' || face >= 256)
        return 0;
    while (b->n <= frame_at + face) {
        if (grow((void **)&b->box, &b->room, b->n, sizeof(*b->box)) < 0)
            return MIEN_ERR(ENOMEM);
        b->box[b->n++] = (Box){ .pts_us = pts_us, .frame = frame, .id = -1 };
    }
    Box *x = &b->box[frame_at + face];
    Span field = { p, (size_t)(eq - p) }, text = { eq + 1, (size_t)(end - eq) - 1 };
    double number = (double)whole_number(text);
    if (span_is(field, "x"))
        x->x = number;
    else if (span_is(field, "y"))
        x->y = number;
    else if (span_is(field, "w"))
        x->w = number;
    else if (span_is(field, "h"))
        x->h = number;
    else if (span_is(field, "track"))
        x->track = whole_number(text);
    else if (span_is(field, "id"))
        x->id = whole_number(text);
    else if (span_is(field, "status")) {
        x->known = span_is(text, "known");
        x->spoof = span_is(text, "spoof");
    }
    return 0;
}

/* next_us: the next part's cut. */
static int read_frames(Boxes *b, const StitchPart *part, int64_t next_us)
{
    const char *p = part->frames, *end = p + part->frames_bytes;
    int64_t pts_us = 0, frame = -1;
    size_t frame_at = 0;
    *b = (Boxes){ .first_frame = -1, .cut_frame = -1, .last_frame = -1 };
    while (p < end) {
        const char *eol = memchr(p, '\n', (size_t)(end - p));
        if (!eol)
            eol = end;
        if (eol - p > 6 && !memcmp(p, "frame:", 6)) {
            frame = number_after(p, eol, "frame:");
            pts_us = number_after(p, eol, "pts:");
            frame_at = b->n;
            b->last_frame = frame;
            if (b->first_frame < 0 && pts_us >= part->from_us)
                b->first_frame = frame;
            if (b->cut_frame < 0 && pts_us >= next_us)
                b->cut_frame = frame;
        } else if (frame >= 0 && eol - p > 14 && read_field(b, frame_at, pts_us, frame, p, eol) < 0) {
            return MIEN_ERR(ENOMEM);
        }
        p = eol + 1;
    }
    return 0;
}

static double iou(const Box *a, const Box *b)
{
    double w = fmin(a->x + a->w, b->x + b->w) - fmax(a->x, b->x), h = fmin(a->y + a->h, b->y + b->h) - fmax(a->y, b->y);
    double both = w > 0 && h > 0 ? w * h : 0, all = a->w * a->h + b->w * b->h - both;
    return all > 0 ? both / all : 0;
}

/* ---- tracks */

#define NAME_BYTES 1600 /* 255 bytes, six a byte at worst, and quotes */

/* A decision, as it is written. */
typedef struct Decision {
    char status[24], name[NAME_BYTES], id[24], similarity[24], probability[24]; /* probability "": there is none */
} Decision;

/* A track of the whole film. */
typedef struct Track {
    int64_t number; /* 0: nothing was told of it yet */
    int entered, has_first;
    char first_s[32];
    int64_t first_frame; /* of the film */
    Decision told;
} Track;

/* A part's own track. */
typedef struct Local {
    int64_t number;
    size_t track;      /* into Stitch.track; SIZE_MAX: not given yet */
    int continues;     /* one of the part before */
    int goes_on;       /* in the part after */
    int n_lines, open; /* open: none of its lines has a decision */
    double first_s;
} Local;

typedef struct Part {
    const StitchPart *in;
    Local *local;
    size_t n, room;
    Boxes boxes;
    int64_t frames_before; /* of the film, before its first one */
    int64_t last_frame;    /* largest number in its log, as it counts */
} Part;

/* Two tracks that are on frames together. */
typedef struct Pair {
    Local *a, *b;
    int n, conflict;
    double iou;
} Pair;

typedef struct Stitch {
    MienLog log;
    Part *part;
    int n_parts;
    Track *track;
    size_t n_tracks, tracks_room;
    Pair *pair;
    size_t n_pairs, pairs_room;
    int64_t next_number;
    Words out, explain;
} Stitch;

static Local *find_local(const Part *p, int64_t number)
{
    for (size_t i = p->n; i-- > 0;) /* those that are told of now are at the end */
        if (p->local[i].number == number)
            return &p->local[i];
    return NULL;
}

/* Calls each for every line; a number from 1 on and its text. */
static int each_line(Stitch *s, Part *p, int (*each)(Stitch *s, Part *p, Line *l))
{
    const char *at = p->in->log, *end = at + p->in->log_bytes;
    Line l;
    int ret = 0;
    for (int n = 1; at < end && ret >= 0; n++) {
        const char *eol = memchr(at, '\n', (size_t)(end - at));
        if (!eol || read_line(&l, at, eol) < 0)
            return mien_fail(s->log, MIEN_E_FORMAT, "part %d: line %d is not one of facetag's log", (int)(p - s->part) + 1, n);
        ret = each(s, p, &l);
        at = eol + 1;
    }
    return ret;
}

static int note_track(Stitch *s, Part *p, Line *l)
{
    (void)s;
    int64_t number = whole_number(value_of(l, "track")), frame = whole_number(value_of(l, "last_frame"));
    if (number < 0)
        return 0;
    Local *lo = find_local(p, number);
    if (!lo) {
        if (grow((void **)&p->local, &p->room, p->n, sizeof(*p->local)) < 0)
            return MIEN_ERR(ENOMEM);
        lo = &p->local[p->n++];
        *lo = (Local){ .number = number, .track = SIZE_MAX, .open = 1, .first_s = seconds_of(value_of(l, "first_s")) };
    }
    lo->n_lines++;
    lo->open &= span_is(value_of(l, "status"), "\"undecided\"");
    p->last_frame = frame > p->last_frame ? frame : p->last_frame;
    return 0;
}

/* ---- which tracks go on */

static Pair *pair_of(Stitch *s, Local *a, Local *b)
{
    for (size_t i = s->n_pairs; i-- > 0;)
        if (s->pair[i].a == a && s->pair[i].b == b)
            return &s->pair[i];
    if (grow((void **)&s->pair, &s->pairs_room, s->n_pairs, sizeof(*s->pair)) < 0)
        return NULL;
    s->pair[s->n_pairs] = (Pair){ .a = a, .b = b };
    return &s->pair[s->n_pairs++];
}

/* Pairs of those that may be one: the first began before the cut, and both have lines (a track without leaves none on purpose). Both lists
 * of boxes are in order of time. */
static int count_pairs(Stitch *s, const Part *now, const Part *then, int64_t cut_us)
{
    const Boxes *a = &now->boxes, *b = &then->boxes;
    size_t from = 0;
    s->n_pairs = 0;
    for (size_t i = 0; i < a->n; i++) {
        const Box *x = &a->box[i];
        Local *la = x->pts_us < cut_us ? NULL : find_local(now, x->track);
        if (!la || !(la->first_s < (double)cut_us * 1e-6 - 0.0005)) /* the log rounds to milliseconds */
            continue;
        while (from < b->n && b->box[from].pts_us < x->pts_us)
            from++;
        for (size_t k = from; k < b->n && b->box[k].pts_us == x->pts_us; k++) {
            const Box *y = &b->box[k];
            Local *lb = find_local(then, y->track);
            Pair *p = lb ? pair_of(s, la, lb) : NULL;
            if (lb && !p)
                return MIEN_ERR(ENOMEM);
            if (!lb)
                continue;
            p->n++;
            p->iou += iou(x, y);
            p->conflict = (x->known && y->known && x->id != y->id) || x->spoof != y->spoof; /* the last common frame tells */
        }
    }
    return 0;
}

/* Best first: those that cover each other the most. Ties by number, so that the result is always the same. */
static int by_cover(const void *va, const void *vb)
{
    const Pair *a = va, *b = vb;
    if (a->iou != b->iou)
        return a->iou < b->iou ? 1 : -1;
    if (a->a->number != b->a->number)
        return a->a->number < b->a->number ? -1 : 1;
    return (a->b->number > b->b->number) - (a->b->number < b->b->number);
}

static int new_track(Stitch *s, Local *lo)
{
    if (grow((void **)&s->track, &s->tracks_room, s->n_tracks, sizeof(*s->track)) < 0)
        return MIEN_ERR(ENOMEM);
    s->track[s->n_tracks] = (Track){ 0 };
    lo->track = s->n_tracks++;
    return 0;
}

static int join_parts(Stitch *s, Part *now, Part *then)
{
    int ret = count_pairs(s, now, then, then->in->from_us);
    if (ret >= 0 && s->n_pairs)
        qsort(s->pair, s->n_pairs, sizeof(*s->pair), by_cover);
    for (size_t i = 0; i < s->n_pairs && ret >= 0; i++) {
        const Pair *p = &s->pair[i];
        if (p->conflict || p->iou < MIN_IOU * p->n || p->a->goes_on || p->b->continues)
            continue;
        if (p->a->track == SIZE_MAX)
            ret = new_track(s, p->a);
        p->a->goes_on = p->b->continues = 1;
        p->b->track = p->a->track;
    }
    return ret;
}

/* The next part's first frame is this one's cut_frame. Both count alike, from what the next one's first frame is called. */
static void count_frames(Stitch *s, const Part *now, Part *then)
{
    const Boxes *a = &now->boxes, *b = &then->boxes;
    if (a->cut_frame >= 0 && b->first_frame >= 0) {
        then->frames_before = now->frames_before + a->cut_frame - b->first_frame;
        return;
    }
    int64_t last = a->last_frame > now->last_frame ? a->last_frame : now->last_frame;
    then->frames_before = now->frames_before + last + 1;
    if (b->first_frame >= 0)
        mien_log(s->log, MIEN_LOG_WARN, "no frame is to be seen on both sides of the cut at %.3f s: frames are numbered by guess from there on",
                 (double)then->in->from_us * 1e-6);
}

/* ---- lines */

static void copy_span(char *to, size_t room, Span s)
{
    size_t n = s.n < room ? s.n : room - 1;
    memcpy(to, s.at, n);
    to[n] = 0;
}

static void keep_decision(Decision *d, const Line *l)
{
    copy_span(d->status, sizeof(d->status), value_of(l, "status"));
    copy_span(d->name, sizeof(d->name), value_of(l, "name"));
    copy_span(d->id, sizeof(d->id), value_of(l, "id"));
    copy_span(d->similarity, sizeof(d->similarity), value_of(l, "similarity"));
    copy_span(d->probability, sizeof(d->probability), find_key(l, "probability") < 0 ? span_of("") : value_of(l, "probability"));
}

static void set_decision(Line *l, const Decision *d)
{
    set_value(l, "status", span_of(d->status));
    set_value(l, "name", span_of(d->name));
    set_value(l, "id", span_of(d->id));
    set_value(l, "similarity", span_of(d->similarity));
    if (*d->probability)
        insert(l, "similarity", "probability", span_of(d->probability));
    else
        drop_key(l, "probability");
}

static int is_known(const char *status)
{
    return !strcmp(status, "\"known\"");
}

/* Frame numbers within an explanation. A quote inside a JSON string has a backslash before it, so the pattern is never part of a name. */
static void shift_explanation(Stitch *s, Line *l, int64_t by)
{
    static const char key[] = "\"frame\":";
    int i = find_key(l, "explain");
    if (i < 0 || !by)
        return;
    const char *p = l->value[i].at, *end = p + l->value[i].n, *q;
    s->explain.bytes = 0;
    while ((q = memmem(p, (size_t)(end - p), key, sizeof(key) - 1))) {
        size_t n = 0;
        q += sizeof(key) - 1;
        while (q + n < end && q[n] >= '0' && q[n] <= '9')
            n++;
        char number[24];
        int64_t v = whole_number((Span){ q, n });
        words_put_bytes(&s->explain, p, (size_t)(q - p));
        words_put_bytes(&s->explain, number, v < 0 ? 0 : (size_t)snprintf(number, sizeof(number), "%lld", (long long)(v + by)));
        p = q + n;
    }
    words_put_bytes(&s->explain, p, (size_t)(end - p));
    if (!s->explain.failed)
        l->value[i] = (Span){ s->explain.at, s->explain.bytes };
}

/* What a continuation tells, measured against what the track has told before. Returns 0 if it is nothing new. */
static int tells_change(const Track *t, Line *l)
{
    Span status = value_of(l, "status");
    int known = span_is(status, "\"known\""), was_known = is_known(t->told.status);
    if (span_is(status, t->told.status) && (!known || span_is(value_of(l, "id"), t->told.id)))
        return 0;
    if (was_known && !known && !span_is(status, "\"spoof\""))
        return 0; /* the name stands */
    set_value(l, "event", span_of(was_known ? "\"retract\"" : "\"update\""));
    if (was_known) {
        insert(l, "id", "was", span_of(t->told.name));
        insert(l, "was", "was_id", span_of(t->told.id));
    }
    return 1;
}

/* Whether the line belongs into the film's log; edits it. */
static int belongs(const Local *lo, Track *t, Line *l)
{
    Span event = value_of(l, "event");
    if (span_is(event, "\"leave\"")) {
        if (lo->goes_on)
            return 0;
        Span status = value_of(l, "status");
        if (lo->continues && is_known(t->told.status) && !span_is(status, "\"known\"") && !span_is(status, "\"spoof\""))
            set_decision(l, &t->told);
        return 1;
    }
    if (lo->goes_on && lo->open)
        return 0; /* its enter is due to the part's end alone */
    if (lo->continues && t->entered && !span_is(event, "\"retract\"") && !tells_change(t, l))
        return 0;
    t->entered = 1;
    return 1;
}

static int tell(Stitch *s, Part *p, Line *l)
{
    int64_t number = whole_number(value_of(l, "track"));
    int is_last = p == &s->part[s->n_parts - 1];
    if (number < 0) {
        if (p == s->part)
            write_line(&s->out, l);
        return 0;
    }
    Local *lo = find_local(p, number);
    if (!is_last && lo->first_s >= (double)p[1].in->from_us * 1e-6 - 0.0005)
        return 0; /* the next part's, which has seen all of it */
    if (lo->track == SIZE_MAX && new_track(s, lo) < 0)
        return MIEN_ERR(ENOMEM);

    Track *t = &s->track[lo->track];
    char track[24], first[24], last[24];
    int64_t first_frame = whole_number(value_of(l, "first_frame")), last_frame = whole_number(value_of(l, "last_frame"));
    if (!t->has_first) {
        t->has_first = 1;
        copy_span(t->first_s, sizeof(t->first_s), value_of(l, "first_s"));
        t->first_frame = first_frame + p->frames_before;
    }
    if (!belongs(lo, t, l))
        return 0;
    if (!t->number)
        t->number = ++s->next_number;
    snprintf(track, sizeof(track), "%lld", (long long)t->number);
    snprintf(first, sizeof(first), "%lld", (long long)t->first_frame);
    snprintf(last, sizeof(last), "%lld", (long long)(last_frame + p->frames_before));
    set_value(l, "track", span_of(track));
    set_value(l, "first_s", span_of(t->first_s));
    if (first_frame >= 0)
        set_value(l, "first_frame", span_of(first));
    if (last_frame >= 0)
        set_value(l, "last_frame", span_of(last));
    shift_explanation(s, l, p->frames_before);
    write_line(&s->out, l);
    keep_decision(&t->told, l); /* only now: the line may speak of the old one */
    return 0;
}

static int stitch_parts(Stitch *s)
{
    int ret = 0;
    for (int i = 0; i < s->n_parts && ret >= 0; i++) {
        Part *p = &s->part[i];
        int64_t next_us = i + 1 < s->n_parts ? p[1].in->from_us : INT64_MAX;
        ret = each_line(s, p, note_track);
        if (ret >= 0)
            ret = read_frames(&p->boxes, p->in, next_us);
    }
    for (int i = 0; i < s->n_parts && ret >= 0; i++) {
        Part *p = &s->part[i];
        if (i + 1 < s->n_parts && (ret = join_parts(s, p, p + 1)) >= 0)
            count_frames(s, p, p + 1);
        if (ret >= 0)
            ret = each_line(s, p, tell);
    }
    return ret < 0 ? ret : s->out.failed || s->explain.failed ? MIEN_ERR(ENOMEM) : 0;
}

int stitch_logs(const StitchPart *part, int n_parts, MienLog log, char **out, size_t *out_bytes)
{
    Stitch s = { .log = log, .n_parts = n_parts };
    int ret = MIEN_ERR(ENOMEM);
    *out = NULL;
    *out_bytes = 0;
    words_put_bytes(&s.out, n_parts == 1 ? part->log : "", n_parts == 1 ? part->log_bytes : 0);
    s.part = mien_calloc((size_t)n_parts, sizeof(*s.part));
    for (int i = 0; s.part && i < n_parts; i++)
        s.part[i].in = &part[i];
    if (s.part && !s.out.failed)
        ret = n_parts > 1 ? stitch_parts(&s) : 0;
    for (int i = 0; s.part && i < n_parts; i++) {
        mien_free(s.part[i].local);
        mien_free(s.part[i].boxes.box);
    }
    mien_free(s.part);
    mien_free(s.track);
    mien_free(s.pair);
    mien_free(s.explain.at);
    if (ret < 0) {
        if (ret == MIEN_ERR(ENOMEM))
            mien_fail(log, ret, "out of memory");
        mien_free(s.out.at);
        return ret;
    }
    *out = s.out.at;
    *out_bytes = s.out.bytes;
    return 0;
}
