/* event.c — events and explanations as JSON. */
#include <math.h>
#include <stdio.h>
#include <time.h>

#include "mien/error.h"
#include "mien/event_text.h"
#include "text_out.h"

const char *mien_status_name(MienStatus status)
{
    switch (status) {
    case MIEN_STATUS_KNOWN: return "known";
    case MIEN_STATUS_UNRECOGNISED: return "unrecognised";
    case MIEN_STATUS_SPOOF: return "spoof";
    case MIEN_STATUS_UNDECIDED: break;
    }
    return "undecided";
}

static const struct {
    const char *name, *text;
} reasons[] = {
    [MIEN_REASON_NO_VIEW] = { "no-view", "no view of the face was good enough yet" },
    [MIEN_REASON_NAMED] = { "named", "above the threshold, ahead of the next person, and the views agree" },
    [MIEN_REASON_KEPT] = { "kept", "a name that stands is kept a little below the threshold" },
    [MIEN_REASON_FEW_VIEWS] = { "few-views", "above the threshold, but too few views agree to give a name" },
    [MIEN_REASON_NOT_AHEAD] = { "not-ahead", "above the threshold, but another person is too near" },
    [MIEN_REASON_BELOW] = { "below", "the nearest person is below the threshold" },
    [MIEN_REASON_IGNORED] = { "ignored", "the nearest person is on the ignore list" },
    [MIEN_REASON_NOBODY] = { "nobody", "there is nobody to compare with" },
    [MIEN_REASON_DOUBT] = { "doubt", "the last look did not show the face that was followed; it is looked at again" },
};

const char *mien_reason_name(MienReason reason)
{
    return reasons[reason].name;
}

const char *mien_reason_text(MienReason reason)
{
    return reasons[reason].text;
}

/* ---- fields; name is the key with its comma and colon, as in ",\"id\":" */

static void put_id(MieniOut *o, const char *name, int64_t id)
{
    mieni_put_text(o, name);
    if (id >= 0)
        mieni_put_int(o, id);
    else
        mieni_put_text(o, "null");
}

static void put_name(MieniOut *o, const char *name, const char *value)
{
    mieni_put_text(o, name);
    if (value[0])
        mieni_put_json(o, value);
    else
        mieni_put_text(o, "null");
}

static void put_real(MieniOut *o, const char *name, float v, int decimals)
{
    mieni_put_text(o, name);
    mieni_put_fixed(o, (double)v, decimals);
}

/* A time of day, UTC, in milliseconds: "2026-11-23T21:40:12.345Z". */
static void put_wall(MieniOut *o, const char *name, int64_t wall_us)
{
    time_t s = (time_t)(wall_us / 1000000);
    char text[40], ms[8];
    struct tm tm;
    if (!gmtime_r(&s, &tm) || !strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm))
        text[0] = 0;
    snprintf(ms, sizeof(ms), ".%03dZ", (int)(wall_us / 1000 % 1000));
    mieni_put_text(o, name);
    mieni_put_char(o, '"');
    mieni_put_text(o, text);
    mieni_put_text(o, ms);
    mieni_put_char(o, '"');
}

int mien_explanation_json(const MienExplanation *x, char *buf, size_t buf_bytes)
{
    const MienMatch *m = &x->match;
    MieniOut o = { buf, buf_bytes, 0 };
    put_name(&o, "{\"reason\":", mien_reason_name(x->reason));
    put_name(&o, ",\"text\":", mien_reason_text(x->reason));
    put_name(&o, ",\"best\":", m->id >= 0 ? m->name : "");
    put_id(&o, ",\"best_id\":", m->id);
    put_real(&o, ",\"best_similarity\":", m->id >= 0 ? m->sim_cos : NAN, 4);
    mieni_put_text(&o, m->id >= 0 && m->ignored ? ",\"best_ignored\":true" : ",\"best_ignored\":false");
    put_name(&o, ",\"next\":", m->second_id >= 0 ? m->second_name : "");
    put_id(&o, ",\"next_id\":", m->second_id);
    put_real(&o, ",\"next_similarity\":", m->second_id >= 0 ? m->second_sim_cos : NAN, 4);
    put_real(&o, ",\"margin\":", x->margin_cos, 4);
    put_real(&o, ",\"threshold\":", x->min_sim_cos, 4);
    put_name(&o, ",\"threshold_from\":", x->threshold_from ? x->threshold_from : "");
    put_real(&o, ",\"evidence_nats\":", x->evidence_nats, 2);
    put_real(&o, ",\"needed_nats\":", x->needed_nats, 2);
    put_real(&o, ",\"independent_views\":", x->n_independent, 2);
    mieni_put_text(&o, ",\"views\":[");
    for (int i = 0; i < x->n_views; i++) {
        const MienViewUsed *v = &x->view[i];
        mieni_put_text(&o, i ? ",{\"frame\":" : "{\"frame\":");
        mieni_put_int(&o, v->frame);
        put_real(&o, ",\"quality\":", v->quality, 3);
        put_real(&o, ",\"independence\":", v->independence, 3);
        put_id(&o, ",\"id\":", v->id);
        put_real(&o, ",\"similarity\":", v->sim_cos, 4);
        mieni_put_char(&o, '}');
    }
    mieni_put_text(&o, "]}");
    return mieni_put_end(&o);
}

int mien_event_json(const MienEvent *event, char *buf, size_t buf_bytes)
{
    static const char *const kind[] = { "enter", "update", "retract", "leave" };
    const MienTag *t = &event->tag;
    MieniOut o = { buf, buf_bytes, 0 };
    mieni_put_text(&o, "{\"v\":");
    mieni_put_int(&o, MIEN_EVENT_SCHEMA);
    put_name(&o, ",\"event\":", kind[event->kind]);
    mieni_put_text(&o, ",\"track\":");
    mieni_put_int(&o, t->track);
    put_name(&o, ",\"status\":", mien_status_name(t->status));
    put_name(&o, ",\"name\":", t->name);
    put_id(&o, ",\"id\":", t->id);
    if (event->kind == MIEN_EVENT_RETRACT) {
        put_name(&o, ",\"was\":", event->was_name);
        put_id(&o, ",\"was_id\":", event->was_id);
    }
    put_real(&o, ",\"similarity\":", t->sim_cos, 4);
    if (!isnan(t->prob_same))
        put_real(&o, ",\"probability\":", t->prob_same, 4);
    mieni_put_text(&o, ",\"first_s\":");
    mieni_put_fixed(&o, event->first_time_s, 3);
    mieni_put_text(&o, ",\"last_s\":");
    mieni_put_fixed(&o, event->last_time_s, 3);
    mieni_put_text(&o, ",\"first_frame\":");
    mieni_put_int(&o, t->first_frame);
    mieni_put_text(&o, ",\"last_frame\":");
    mieni_put_int(&o, event->last_frame);
    const float box[4] = { t->box_px.x0_px, t->box_px.y0_px, t->box_px.x1_px - t->box_px.x0_px,
                           t->box_px.y1_px - t->box_px.y0_px };
    mieni_put_text(&o, ",\"box\":");
    for (int i = 0; i < 4; i++)
        put_real(&o, i ? "," : "[", box[i], 1);
    put_real(&o, "],\"prob\":", t->prob, 3);
    put_real(&o, ",\"live\":", t->prob_live, 3);
    mieni_put_text(&o, ",\"evidence\":");
    mieni_put_int(&o, t->n_evidence);
    if (event->first_wall_us)
        put_wall(&o, ",\"first_wall\":", event->first_wall_us);
    mieni_put_char(&o, '}');
    return mieni_put_end(&o);
}
