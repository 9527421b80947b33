/* redact.c — the look-ahead: what is known of all tracks from some frames before to `lookahead` frames after the one that goes out.
 *
 * A ring of records, one a frame, each with the faces it was tagged with. A frame's plan is made when the record `lookahead` after it is
 * there: per track seen anywhere in that window, is it covered, and where on this frame? Between two detections the box is interpolated;
 * before the first and after the last one it is carried by its speed, and grows. Nothing is carried over a scene cut.
 */
#include <math.h>
#include <string.h>

#include "face/redact_int.h"
#include "mien/error.h"

#define HOLD 12            /* frames a track is covered after its end, at least: memory, unlike look-ahead, costs no delay */
#define STEADY 6           /* a region is as large as any of its track's within so many frames */
#define GROW 0.02f         /* share of its size by which a carried box grows on each side, a frame */
#define MAX_GROW 0.25f

typedef struct Sight {
    int64_t track;
    MienBox box_px;
    int since_seen;
    MienStatus status;
    MienRedactVerdict verdict;
    char name[MIEN_NAME_MAX_BYTES + 1];
} Sight;

typedef struct Record {
    Sight *sight;
    int n, cap;
    double time_s;
    int cut, blind, off; /* off: nothing is redacted on it */
} Record;

typedef struct Window {
    int64_t at, first, last; /* first..last: the same scene */
    int64_t held;            /* from here on, first or later, what was seen still counts on frame `at`; before, it tells speeds alone */
    int64_t end;             /* until here, excluded, tags are known */
} Window;

struct MienRedactor {
    MienRedactorParams params;
    MienRedactPolicy policy; /* owns its names */
    char **who;
    int64_t begin, next_out, next_in; /* frames from begin on are of this stretch */
    int finished;
    int hold, history;
    Record *ring;
    int64_t n_ring;
    int64_t *track; /* those of the window in hand */
    int n_tracks, cap_tracks;
    MienRedactRegion *region;
    int n_regions, cap_regions;
    MienRedactRun *open, *closed;
    int n_open, n_closed, cap_open, cap_closed;
    MienRedactStats stats;
    MieniRedactBuffer buffer;
};

/* ---- creation and policy */

static void free_names(char **who, int n)
{
    for (int i = 0; i < n && who; i++)
        mien_free(who[i]);
    mien_free(who);
}

void mien_redactor_destroy(MienRedactor **redactor)
{
    MienRedactor *r = redactor ? *redactor : NULL;
    if (!r)
        return;
    for (int64_t i = 0; i < r->n_ring && r->ring; i++)
        mien_free(r->ring[i].sight);
    void *const block[] = { r->ring, r->track, r->region, r->open, r->closed };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(block); i++)
        mien_free(block[i]);
    free_names(r->who, r->policy.n_who);
    mieni_redact_buffer_uninit(&r->buffer);
    mien_free(r);
    *redactor = NULL;
}

int mien_redactor_create(MienRedactor **redactor, const MienRedactorParams *params)
{
    *redactor = NULL;
    if (params->lookahead < 0 || params->lookahead > MIEN_REDACT_MAX_LOOKAHEAD || params->max_faces < 0)
        return MIEN_ERR(EINVAL);
    MienRedactor *r = mien_calloc(1, sizeof(*r));
    if (!r)
        return MIEN_ERR(ENOMEM);
    r->params = *params;
    r->policy.mode = MIEN_REDACT_ALL;
    r->begin = r->next_out = r->next_in = params->first_frame;
    r->hold = params->lookahead > HOLD ? params->lookahead : HOLD;
    r->history = r->hold + STEADY;
    r->n_ring = r->history + params->lookahead + 1;
    r->ring = mien_calloc((size_t)r->n_ring, sizeof(*r->ring));
    if (!r->ring) {
        mien_redactor_destroy(&r);
        return MIEN_ERR(ENOMEM);
    }
    *redactor = r;
    return 0;
}

static Record *record(const MienRedactor *r, int64_t frame)
{
    return &r->ring[frame % r->n_ring];
}

int mien_redactor_set_policy(MienRedactor *r, const MienRedactPolicy *policy)
{
    const int n = policy->n_who > 0 ? policy->n_who : 0;
    char **who = mien_calloc((size_t)n + 1, sizeof(*who));
    for (int i = 0; i < n && who; i++)
        if (!(who[i] = mien_strdup(policy->who[i]))) {
            free_names(who, n);
            who = NULL;
        }
    if (!who)
        return MIEN_ERR(ENOMEM);
    free_names(r->who, r->policy.n_who);
    r->who = who;
    r->policy = (MienRedactPolicy){ policy->mode, (const char *const *)who, n };
    for (int64_t f = r->next_out; f < r->next_in; f++) {
        Record *rec = record(r, f);
        rec->off &= policy->mode == MIEN_REDACT_NONE;
        for (int i = 0; i < rec->n; i++) {
            Sight *s = &rec->sight[i];
            MienRedactVerdict now = mien_redact_verdict(&r->policy, s->status, s->name);
            if (now == MIEN_REDACT_COVERED || (s->verdict == MIEN_REDACT_VISIBLE_OFF && !rec->off))
                s->verdict = now;
        }
    }
    return 0;
}

/* ---- frames in */

/* Room for n elements; doubles, so that a film's frames soon allocate nothing. */
static int reserve(void **block, int *cap, int n, size_t elem_bytes)
{
    if (n <= *cap)
        return 0;
    int want = 2 * *cap > n ? 2 * *cap : n;
    void *p = mien_realloc_array(*block, (size_t)want, elem_bytes);
    if (!p)
        return MIEN_ERR(ENOMEM);
    *block = p;
    *cap = want;
    return 0;
}

static int is_finite(MienBox b)
{
    return isfinite(b.x0_px) && isfinite(b.y0_px) && isfinite(b.x1_px) && isfinite(b.y1_px);
}

int mien_redactor_push(MienRedactor *r, const MienRedactFrame *frame)
{
    if (r->finished || r->next_in - r->next_out > r->params.lookahead)
        return MIEN_ERR(EINVAL);
    Record *rec = record(r, r->next_in);
    void *sight = rec->sight;
    int ret = reserve(&sight, &rec->cap, frame->n_tags, sizeof(*rec->sight));
    rec->sight = sight;
    if (ret < 0)
        return ret;
    rec->n = frame->n_tags;
    rec->time_s = frame->time_s;
    rec->cut = frame->cut;
    rec->off = r->policy.mode == MIEN_REDACT_NONE;
    rec->blind = frame->blind || (r->params.max_faces && frame->n_tags >= r->params.max_faces);
    for (int i = 0; i < rec->n; i++) {
        const MienTag *tag = &frame->tags[i];
        Sight *s = &rec->sight[i];
        s->track = tag->track;
        s->box_px = tag->whole_box_px;
        s->since_seen = tag->since_seen;
        s->status = tag->status;
        s->verdict = mien_redact_verdict(&r->policy, tag->status, tag->name);
        memcpy(s->name, tag->name, sizeof(s->name));
        rec->blind |= !is_finite(s->box_px);
    }
    r->next_in++;
    return 0;
}

void mien_redactor_finish(MienRedactor *r)
{
    r->finished = 1;
}

void mien_redactor_skip(MienRedactor *r)
{
    r->begin = r->next_out = ++r->next_in;
}

int mien_redactor_waiting(const MienRedactor *r)
{
    return (int)(r->next_in - r->next_out);
}

/* ---- a track in the window */

static const Sight *find(const MienRedactor *r, int64_t frame, int64_t track)
{
    const Record *rec = record(r, frame);
    for (int i = 0; i < rec->n; i++)
        if (rec->sight[i].track == track)
            return &rec->sight[i];
    return NULL;
}

/* The nearest frame from `from` to `to`, either way, on which the track has a tag, or, measured, was detected; -1: none. */
static int64_t find_frame(const MienRedactor *r, int64_t track, int64_t from, int64_t to, int measured)
{
    const int step = from <= to ? 1 : -1;
    for (int64_t f = from; f != to + step; f += step) {
        const Sight *s = find(r, f, track);
        if (s && (!measured || s->since_seen == 0))
            return f;
    }
    return -1;
}

/* Whether anything that is known of the track from frame `from` on asks for cover. A decision that turns later in the window counts for its
 * frames before; cuts do not matter to who somebody is. */
static int is_covered(const MienRedactor *r, const Window *w, int64_t track, int64_t from)
{
    for (int64_t f = from; f < w->end; f++) {
        const Sight *s = find(r, f, track);
        if (s && s->verdict == MIEN_REDACT_COVERED)
            return 1;
    }
    return 0;
}

static MienBox hull(MienBox a, MienBox b)
{
    return (MienBox){ fminf(a.x0_px, b.x0_px), fminf(a.y0_px, b.y0_px), fmaxf(a.x1_px, b.x1_px), fmaxf(a.y1_px, b.y1_px) };
}

static MienBox blend(MienBox a, MienBox b, float share)
{
    return (MienBox){ a.x0_px + share * (b.x0_px - a.x0_px), a.y0_px + share * (b.y0_px - a.y0_px),
                      a.x1_px + share * (b.x1_px - a.x1_px), a.y1_px + share * (b.y1_px - a.y1_px) };
}

static MienBox grown(MienBox b, int n_frames)
{
    float share = fminf(GROW * (float)n_frames, MAX_GROW);
    float dx = share * (b.x1_px - b.x0_px), dy = share * (b.y1_px - b.y0_px);
    return (MienBox){ b.x0_px - dx, b.y0_px - dy, b.x1_px + dx, b.y1_px + dy };
}

/* The box of frame `from`, carried on to frame `to` (either way) with the speed between it and frame `other`. It may as well have stood still:
 * all the way is covered, but no more of it than two faces. */
static MienBox carried(const MienRedactor *r, int64_t track, int64_t from, int64_t other, int64_t to)
{
    MienBox a = find(r, from, track)->box_px, b = other >= 0 ? find(r, other, track)->box_px : a;
    float share = other >= 0 ? (float)(to - from) / (float)(other - from) : 0;
    float w = a.x1_px - a.x0_px, h = a.y1_px - a.y0_px;
    float dx = share * (b.x0_px + b.x1_px - a.x0_px - a.x1_px) / 2, dy = share * (b.y0_px + b.y1_px - a.y0_px - a.y1_px) / 2;
    dx = fminf(fmaxf(dx, -2 * w), 2 * w);
    dy = fminf(fmaxf(dy, -2 * h), 2 * h);
    MienBox moved = { a.x0_px + dx, a.y0_px + dy, a.x1_px + dx, a.y1_px + dy };
    return grown(hull(a, moved), (int)(to > from ? to - from : from - to));
}

/* As wide and high as any of the track's boxes near this frame: a detector's sizes jitter, and a region that shrinks for a frame shows an
 * edge of the head. */
static MienBox steady(const MienRedactor *r, const Window *w, int64_t track, MienBox b)
{
    float bw = b.x1_px - b.x0_px, bh = b.y1_px - b.y0_px, most_w = bw, most_h = bh;
    int64_t first = w->at - STEADY > w->first ? w->at - STEADY : w->first, last = w->at + STEADY < w->last ? w->at + STEADY : w->last;
    for (int64_t f = first; f <= last; f++) {
        const Sight *s = find(r, f, track);
        if (!s)
            continue;
        most_w = fmaxf(most_w, s->box_px.x1_px - s->box_px.x0_px);
        most_h = fmaxf(most_h, s->box_px.y1_px - s->box_px.y0_px);
    }
    float dx = (most_w - bw) / 2, dy = (most_h - bh) / 2;
    return (MienBox){ b.x0_px - dx, b.y0_px - dy, b.x1_px + dx, b.y1_px + dy };
}

static int add_region(MienRedactor *r, const Window *w, int64_t track, MienBox box)
{
    void *region = r->region;
    int ret = reserve(&region, &r->cap_regions, r->n_regions + 1, sizeof(*r->region));
    r->region = region;
    if (ret >= 0)
        r->region[r->n_regions++] = (MienRedactRegion){ track, steady(r, w, track, box) };
    return ret;
}

/* Where a covered track is on the window's frame. */
static int place(MienRedactor *r, const Window *w, int64_t track, int64_t before, int64_t after)
{
    const Sight *now = find(r, w->at, track);
    int64_t p = find_frame(r, track, w->at, w->first, 1), q = find_frame(r, track, w->at, w->last, 1);
    if (p >= 0 && q >= 0 && q - p <= r->hold) {
        MienBox box = p == q ? now->box_px : blend(find(r, p, track)->box_px, find(r, q, track)->box_px, (float)(w->at - p) / (float)(q - p));
        box = grown(box, (int)(w->at - p < q - w->at ? w->at - p : q - w->at));
        return add_region(r, w, track, now ? hull(box, now->box_px) : box);
    }
    if (now)
        return add_region(r, w, track, grown(now->box_px, now->since_seen));
    int ret = 0;
    if (before >= 0)
        ret = add_region(r, w, track, carried(r, track, before, before > w->first ? find_frame(r, track, before - 1, w->first, 1) : -1, w->at));
    if (after >= 0 && ret >= 0)
        ret = add_region(r, w, track, carried(r, track, after, after < w->last ? find_frame(r, track, after + 1, w->last, 1) : -1, w->at));
    return ret;
}

static int cover_track(MienRedactor *r, const Window *w, int64_t track)
{
    int64_t before = -1, after = -1, from = w->at;
    if (!find(r, w->at, track)) {
        before = w->at > w->held ? find_frame(r, track, w->at - 1, w->held, 0) : -1;
        after = w->at < w->last ? find_frame(r, track, w->at + 1, w->last, 0) : -1;
        from = before >= 0 ? before : after;
    }
    if (from < 0)
        return 0;
    return is_covered(r, w, track, from) ? place(r, w, track, before, after) : 0;
}

/* ---- a frame out */

static Window window_at(const MienRedactor *r, int64_t at)
{
    Window w = { .at = at, .first = at, .last = at, .end = r->next_in };
    int64_t oldest = at - r->history > r->begin ? at - r->history : r->begin;
    while (w.first > oldest && !record(r, w.first)->cut)
        w.first--;
    while (w.last + 1 < w.end && !record(r, w.last + 1)->cut)
        w.last++;
    w.held = at - r->hold > w.first ? at - r->hold : w.first;
    return w;
}

static int add_track(MienRedactor *r, int64_t track)
{
    for (int i = 0; i < r->n_tracks; i++)
        if (r->track[i] == track)
            return 0;
    void *list = r->track;
    int ret = reserve(&list, &r->cap_tracks, r->n_tracks + 1, sizeof(*r->track));
    r->track = list;
    if (ret >= 0)
        r->track[r->n_tracks++] = track;
    return ret;
}

static int make_plan(MienRedactor *r, const Window *w, MienRedactPlan *plan)
{
    r->n_tracks = r->n_regions = 0;
    *plan = (MienRedactPlan){ .frame = w->at };
    if (record(r, w->at)->off)
        return 0;
    for (int64_t f = w->first; f <= w->last; f++) {
        const Record *rec = record(r, f);
        plan->whole |= rec->blind && f >= w->held;
        for (int i = 0; i < rec->n; i++) {
            int ret = add_track(r, rec->sight[i].track);
            if (ret < 0)
                return ret;
        }
    }
    for (int i = 0; i < r->n_tracks && !plan->whole; i++) {
        int ret = cover_track(r, w, r->track[i]);
        if (ret < 0)
            return ret;
    }
    plan->region = r->region;
    plan->n_regions = r->n_regions;
    return 0;
}

/* ---- what is left visible */

static int has_region(const MienRedactPlan *plan, int64_t track)
{
    for (int i = 0; i < plan->n_regions; i++)
        if (plan->region[i].track == track)
            return 1;
    return 0;
}

static MienRedactRun *find_run(MienRedactor *r, const Sight *s)
{
    for (int i = 0; i < r->n_open; i++)
        if (r->open[i].track == s->track && r->open[i].why == s->verdict && !strcmp(r->open[i].name, s->name))
            return &r->open[i];
    return NULL;
}

/* Ends the runs whose last frame lies before `frame`. */
static void close_runs(MienRedactor *r, int64_t frame)
{
    int n = 0;
    for (int i = 0; i < r->n_open; i++) {
        if (r->open[i].last_frame < frame)
            r->closed[r->n_closed++] = r->open[i];
        else
            r->open[n++] = r->open[i];
    }
    r->n_open = n;
}

static int note_visible(MienRedactor *r, const Window *w, const MienRedactPlan *plan)
{
    const Record *rec = record(r, w->at);
    /* all that may have to be closed at once, so that nothing can fail half-way */
    void *open = r->open, *closed = r->closed;
    int ret = reserve(&open, &r->cap_open, r->n_open + rec->n, sizeof(*r->open));
    r->open = open;
    if (ret >= 0)
        ret = reserve(&closed, &r->cap_closed, r->n_open + rec->n, sizeof(*r->closed));
    r->closed = closed;
    if (ret < 0)
        return ret;
    int n_visible = 0;
    for (int i = 0; i < rec->n && !plan->whole; i++) {
        const Sight *s = &rec->sight[i];
        if (s->verdict == MIEN_REDACT_COVERED || has_region(plan, s->track))
            continue;
        n_visible++;
        MienRedactRun *run = find_run(r, s);
        if (!run) {
            run = &r->open[r->n_open++];
            *run = (MienRedactRun){ .track = s->track, .status = s->status, .why = s->verdict, .first_frame = w->at, .first_s = rec->time_s,
                                    .first_box_px = s->box_px };
            memcpy(run->name, s->name, sizeof(run->name));
        }
        run->last_frame = w->at;
        run->last_s = rec->time_s;
        run->last_box_px = s->box_px;
    }
    close_runs(r, w->at);
    r->stats.frames++;
    r->stats.visible += n_visible > 0;
    r->stats.whole += plan->whole;
    r->stats.covered += !plan->whole && plan->n_regions > 0;
    return 0;
}

int mien_redactor_pop(MienRedactor *r, MienRedactPlan *plan)
{
    r->n_closed = 0;
    if (r->next_out == r->next_in && r->finished) {
        r->begin = r->next_in;
        r->finished = 0;
        close_runs(r, r->next_in); /* room was made when they were opened */
        return 0;
    }
    if (r->next_out == r->next_in || (!r->finished && r->next_in - r->next_out <= r->params.lookahead))
        return 0;
    Window w = window_at(r, r->next_out);
    int ret = make_plan(r, &w, plan);
    if (ret >= 0)
        ret = note_visible(r, &w, plan);
    if (ret < 0)
        return ret;
    r->next_out++;
    return 1;
}

int mien_redactor_runs(const MienRedactor *r, const MienRedactRun **runs)
{
    *runs = r->closed;
    return r->n_closed;
}

void mien_redactor_stats(const MienRedactor *r, MienRedactStats *stats)
{
    *stats = r->stats;
}

int mien_redactor_paint(MienRedactor *r, const MienRedactPlan *plan, const MienPlanes *planes, MienRedactEffect effect)
{
    return mieni_redact_paint(&r->buffer, plan, planes, effect);
}
