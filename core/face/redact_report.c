/* redact_report.c — what was left visible, as JSON lines. */
#include "face/text_out.h"
#include "mien/redact.h"

static void put_count(MieniOut *o, const char *key, int64_t n)
{
    mieni_put_text(o, key);
    mieni_put_int(o, n);
}

static void put_number(MieniOut *o, const char *key, double v, int decimals)
{
    mieni_put_text(o, key);
    mieni_put_fixed(o, v, decimals);
}

static void put_string(MieniOut *o, const char *key, const char *value)
{
    mieni_put_text(o, key);
    if (value[0])
        mieni_put_json(o, value);
    else
        mieni_put_text(o, "null");
}

static void put_box(MieniOut *o, const char *key, MienBox b)
{
    mieni_put_text(o, key);
    put_number(o, "[", (double)b.x0_px, 1);
    put_number(o, ",", (double)b.y0_px, 1);
    put_number(o, ",", (double)(b.x1_px - b.x0_px), 1);
    put_number(o, ",", (double)(b.y1_px - b.y0_px), 1);
    mieni_put_char(o, ']');
}

int mien_redact_run_json(const MienRedactRun *run, char *buf, size_t buf_bytes)
{
    MieniOut o = { buf, buf_bytes, 0 };
    put_count(&o, "{\"event\":\"visible\",\"track\":", run->track);
    put_string(&o, ",\"status\":", mien_status_name(run->status));
    put_string(&o, ",\"name\":", run->name);
    put_string(&o, ",\"why\":", mien_redact_verdict_name(run->why));
    put_count(&o, ",\"first_frame\":", run->first_frame);
    put_count(&o, ",\"last_frame\":", run->last_frame);
    put_number(&o, ",\"first_s\":", run->first_s, 3);
    put_number(&o, ",\"last_s\":", run->last_s, 3);
    put_box(&o, ",\"first_box\":", run->first_box_px);
    put_box(&o, ",\"last_box\":", run->last_box_px);
    mieni_put_char(&o, '}');
    return mieni_put_end(&o);
}

int mien_redact_end_json(const MienRedactStats *stats, int64_t n_lost, char *buf, size_t buf_bytes)
{
    MieniOut o = { buf, buf_bytes, 0 };
    put_count(&o, "{\"event\":\"end\",\"frames\":", stats->frames);
    put_count(&o, ",\"covered\":", stats->covered);
    put_count(&o, ",\"whole\":", stats->whole);
    put_count(&o, ",\"visible\":", stats->visible);
    put_count(&o, ",\"lost\":", n_lost);
    mieni_put_char(&o, '}');
    return mieni_put_end(&o);
}
