/* event.c — one event as a line of JSON, written into the caller's buffer without allocating and without the locale. */
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

int mien_event_json(const MienEvent *event, char *buf, size_t buf_bytes)
{
    static const char *const kind[] = { "enter", "update", "leave" };
    const MienTag *t = &event->tag;
    Out o = { buf, buf_bytes, 0 };
    put_text(&o, "{\"event\":\"");
    put_text(&o, kind[event->kind]);
    put_text(&o, "\",\"track\":");
    put_int(&o, t->track);
    put_text(&o, ",\"status\":\"");
    put_text(&o, mien_status_name(t->status));
    put_text(&o, "\",\"name\":");
    if (t->name[0])
        put_string(&o, t->name);
    else
        put_text(&o, "null");
    put_text(&o, ",\"id\":");
    if (t->id >= 0)
        put_int(&o, t->id);
    else
        put_text(&o, "null");
    put_text(&o, ",\"similarity\":");
    put_fixed(&o, t->sim_cos, 4);
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
    for (int i = 0; i < 4; i++) {
        put_char(&o, i ? ',' : '[');
        put_fixed(&o, box[i], 1);
    }
    put_text(&o, "],\"prob\":");
    put_fixed(&o, t->prob, 3);
    put_text(&o, ",\"live\":");
    put_fixed(&o, t->prob_live, 3);
    put_text(&o, ",\"evidence\":");
    put_int(&o, t->n_evidence);
    put_char(&o, '}');
    if (o.len >= buf_bytes)
        return MIEN_ERR(ENOSPC);
    buf[o.len] = 0;
    return (int)o.len;
}
