/* event.c — events and explanations as JSON, written into the caller's buffer without allocating and without the locale. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "mien/tagger.h"

typedef struct Out {
    char *buf;
    size_t cap, len; /* len counts on past the end */
} Out;

static void put_char(Out *o, char c)
{
    if (o->len + 1 < o->cap)
        o->buf[o->len] = c;
    o->len++;
}

static void put_text(Out *o, const char *s)
{
    while (*s)
        put_char(o, *s++);
}

/* Length of the valid UTF-8 sequence at s, 0 if there is none (RFC 3629: no overlong forms, no surrogates). */
static int sequence(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

static void put_string(Out *o, const char *text)
{
    put_char(o, '"');
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = sequence(s);
        if (n == 0) {
            put_text(o, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no character */
            s++;
        } else if (n > 1) {
            for (; n > 0; n--)
                put_char(o, (char)*s++);
        } else {
            unsigned char c = *s++;
            char code[8];
            if (c == '"' || c == '\\') {
                put_char(o, '\\');
                put_char(o, (char)c);
            } else if (c < 0x20 || c == 0x7f) {
                snprintf(code, sizeof(code), "\\u%04x", c);
                put_text(o, code);
            } else {
                put_char(o, (char)c);
            }
        }
    }
    put_char(o, '"');
}

static void put_int(Out *o, int64_t v)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    put_text(o, text);
}

/* A number with 1..9 decimals; null if it is not finite or too large to matter. */
static void put_fixed(Out *o, double v, int decimals)
{
    if (!isfinite(v) || fabs(v) > 1e9) {
        put_text(o, "null");
        return;
    }
    long long unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    long long n = llround(fabs(v) * (double)unit);
    char text[48];
    snprintf(text, sizeof(text), "%s%lld.%0*lld", v < 0 && n ? "-" : "", n / unit, decimals, n % unit);
    put_text(o, text);
}

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

static void put_id(Out *o, const char *name, int64_t id)
{
    put_text(o, name);
    if (id >= 0)
        put_int(o, id);
    else
        put_text(o, "null");
}

static void put_name(Out *o, const char *name, const char *value)
{
    put_text(o, name);
    if (value[0])
        put_string(o, value);
    else
        put_text(o, "null");
}

static void put_real(Out *o, const char *name, float v, int decimals)
{
    put_text(o, name);
    put_fixed(o, (double)v, decimals);
}

static int finish(Out *o)
{
    if (o->len >= o->cap)
        return MIEN_ERR(ENOSPC);
    o->buf[o->len] = 0;
    return (int)o->len;
}

int mien_explanation_json(const MienExplanation *x, char *buf, size_t buf_bytes)
{
    const MienMatch *m = &x->match;
    Out o = { buf, buf_bytes, 0 };
    put_name(&o, "{\"reason\":", mien_reason_name(x->reason));
    put_name(&o, ",\"text\":", mien_reason_text(x->reason));
    put_name(&o, ",\"best\":", m->id >= 0 ? m->name : "");
    put_id(&o, ",\"best_id\":", m->id);
    put_real(&o, ",\"best_similarity\":", m->id >= 0 ? m->sim_cos : NAN, 4);
    put_text(&o, m->id >= 0 && m->ignored ? ",\"best_ignored\":true" : ",\"best_ignored\":false");
    put_name(&o, ",\"next\":", m->second_id >= 0 ? m->second_name : "");
    put_id(&o, ",\"next_id\":", m->second_id);
    put_real(&o, ",\"next_similarity\":", m->second_id >= 0 ? m->second_sim_cos : NAN, 4);
    put_real(&o, ",\"margin\":", x->margin_cos, 4);
    put_real(&o, ",\"threshold\":", x->min_sim_cos, 4);
    put_name(&o, ",\"threshold_from\":", x->threshold_from ? x->threshold_from : "");
    put_real(&o, ",\"evidence_nats\":", x->evidence_nats, 2);
    put_real(&o, ",\"needed_nats\":", x->needed_nats, 2);
    put_real(&o, ",\"independent_views\":", x->n_independent, 2);
    put_text(&o, ",\"views\":[");
    for (int i = 0; i < x->n_views; i++) {
        const MienViewUsed *v = &x->view[i];
        put_text(&o, i ? ",{\"frame\":" : "{\"frame\":");
        put_int(&o, v->frame);
        put_real(&o, ",\"quality\":", v->quality, 3);
        put_real(&o, ",\"independence\":", v->independence, 3);
        put_id(&o, ",\"id\":", v->id);
        put_real(&o, ",\"similarity\":", v->sim_cos, 4);
        put_char(&o, '}');
    }
    put_text(&o, "]}");
    return finish(&o);
}

int mien_event_json(const MienEvent *event, char *buf, size_t buf_bytes)
{
    static const char *const kind[] = { "enter", "update", "retract", "leave" };
    const MienTag *t = &event->tag;
    Out o = { buf, buf_bytes, 0 };
    put_name(&o, "{\"event\":", kind[event->kind]);
    put_text(&o, ",\"track\":");
    put_int(&o, t->track);
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
    put_text(&o, ",\"first_s\":");
    put_fixed(&o, event->first_time_s, 3);
    put_text(&o, ",\"last_s\":");
    put_fixed(&o, event->last_time_s, 3);
    put_text(&o, ",\"first_frame\":");
    put_int(&o, t->first_frame);
    put_text(&o, ",\"last_frame\":");
    put_int(&o, event->last_frame);
    const float box[4] = { t->box_px.x0_px, t->box_px.y0_px, t->box_px.x1_px - t->box_px.x0_px,
                           t->box_px.y1_px - t->box_px.y0_px };
    put_text(&o, ",\"box\":");
    for (int i = 0; i < 4; i++)
        put_real(&o, i ? "," : "[", box[i], 1);
    put_real(&o, "],\"prob\":", t->prob, 3);
    put_real(&o, ",\"live\":", t->prob_live, 3);
    put_text(&o, ",\"evidence\":");
    put_int(&o, t->n_evidence);
    put_char(&o, '}');
    return finish(&o);
}
