/* Namings against appearances; see appearances.h. */
#include "appearances.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "grow.h"
#include "mien/common.h"

typedef struct NamingTrack {
    int64_t track;
    ptrdiff_t now;  /* the naming that is open, or -1 */
    ptrdiff_t last; /* the newest, or -1 */
} NamingTrack;

static NamingTrack *live_track(Namings *n, int64_t track)
{
    for (size_t i = n->n_live; i-- > 0;)
        if (n->live[i].track == track)
            return &n->live[i];
    if (grow((void **)&n->live, &n->live_room, n->n_live, sizeof(*n->live)) < 0)
        return NULL;
    n->n_tracks++;
    n->live[n->n_live] = (NamingTrack){ track, -1, -1 };
    return &n->live[n->n_live++];
}

static void end_naming(Namings *n, NamingTrack *t, double time_s)
{
    if (t->now >= 0)
        n->naming[t->now].to_s = fmax(n->naming[t->now].from_s, time_s);
    t->now = -1;
}

int namings_event(Namings *n, MienEventKind kind, int64_t track, const char *name, double time_s, MienBox box)
{
    NamingTrack *t = live_track(n, track);
    if (!t)
        return -ENOMEM;
    n->last_s = fmax(n->last_s, time_s);
    n->n_retracted += kind == MIEN_EVENT_RETRACT;
    if (t->now >= 0 && (!name || strcmp(name, n->naming[t->now].name)))
        end_naming(n, t, time_s);
    if (name && t->now < 0) {
        if (grow((void **)&n->naming, &n->room, n->n, sizeof(*n->naming)) < 0)
            return -ENOMEM;
        n->n_switched += t->last >= 0 && strcmp(n->naming[t->last].name, name);
        Naming *g = &n->naming[n->n];
        memset(g, 0, sizeof(*g));
        g->track = track;
        g->from_s = g->to_s = time_s;
        g->x_px = (box.x0_px + box.x1_px) / 2;
        g->y_px = (box.y0_px + box.y1_px) / 2;
        memcpy(g->name, name, strnlen(name, MIEN_NAME_MAX_BYTES));
        t->now = t->last = (ptrdiff_t)n->n++;
    }
    if (kind == MIEN_EVENT_LEAVE) {
        end_naming(n, t, time_s);
        *t = n->live[--n->n_live];
    }
    return 0;
}

void namings_end(Namings *n, double time_s)
{
    for (size_t i = 0; i < n->n_live; i++)
        end_naming(n, &n->live[i], time_s);
    n->n_live = 0;
}

void namings_free(Namings *n)
{
    mien_free(n->naming);
    mien_free(n->live);
    memset(n, 0, sizeof(*n));
}

/* ---- scoring */

static int is_of(const Appearance *a, const Naming *g)
{
    const MienBox *r = &a->region_px;
    return !strcmp(a->name, g->name) &&
           (!a->has_region || (g->x_px >= r->x0_px && g->x_px <= r->x1_px && g->y_px >= r->y0_px && g->y_px <= r->y1_px));
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What of the naming lies in no appearance. Those of one person are walked until none reaches further. */
static int sticks_out(const Appearance *a, size_t n, const Naming *g, double slack_s)
{
    double at = g->from_s;
    for (int moved = 1; moved && at < g->to_s;) {
        moved = 0;
        for (size_t i = 0; i < n; i++)
            if (is_of(&a[i], g) && a[i].first_s - slack_s <= at && a[i].last_s + slack_s > at) {
                at = a[i].last_s + slack_s;
                moved = 1;
            }
    }
    if (g->to_s > g->from_s)
        return at < g->to_s;
    for (size_t i = 0; i < n; i++)
        if (is_of(&a[i], g) && a[i].first_s - slack_s <= at && a[i].last_s + slack_s >= at)
            return 0;
    return 1;
}

static void score_one(Appearance *a, const Naming *g, double slack_s)
{
    double from = fmax(a->first_s, g->from_s), to = fmin(a->last_s, g->to_s);
    if (!is_of(a, g) || g->from_s > a->last_s + slack_s || g->to_s < a->first_s - slack_s)
        return;
    from = fmin(from, a->last_s);
    if (isnan(a->named_s) || from < a->named_s)
        a->named_s = from;
    a->covered_s += fmax(0, to - from);
}

int appearances_score(Appearance *a, size_t n, Naming *naming, size_t n_namings, double slack_s, AppearanceReport *r)
{
    double *delay = mien_malloc_array(n ? n : 1, sizeof(*delay)), all_s = 0, covered_s = 0, sum = 0;
    *r = (AppearanceReport){ .n_appearances = n, .n_namings = n_namings };
    if (!delay)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        a[i].named_s = NAN;
        a[i].covered_s = 0;
        for (size_t k = 0; k < n_namings; k++)
            score_one(&a[i], &naming[k], slack_s);
        double lasts_s = a[i].last_s - a[i].first_s;
        all_s += lasts_s;
        covered_s += fmin(a[i].covered_s, lasts_s);
        if (!isnan(a[i].named_s)) {
            delay[r->n_named] = a[i].named_s - a[i].first_s;
            sum += delay[r->n_named++];
        }
    }
    for (size_t k = 0; k < n_namings; k++)
        r->n_wrong += (size_t)(naming[k].wrong = sticks_out(a, n, &naming[k], slack_s));
    size_t m = r->n_named;
    if (m)
        qsort(delay, m, sizeof(*delay), by_value);
    r->share_named_s = all_s > 0 ? covered_s / all_s : 0;
    r->delay_mean_s = m ? sum / (double)m : NAN;
    r->delay_median_s = m ? (delay[(m - 1) / 2] + delay[m / 2]) / 2 : NAN;
    r->delay_most_s = m ? delay[m - 1] : NAN;
    mien_free(delay);
    return 0;
}
