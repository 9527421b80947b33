/* ffmpeg's -progress: key=value lines, a block ends with progress=. See watch_progress.h. */
#include <math.h>
#include <string.h>

#include "tool.h"
#include "watch_progress.h"

#define RATE_S 5
#define PROMPTEST_S 300

void watch_progress_init(WatchProgress *p)
{
    *p = (WatchProgress){ .frames = -1, .out_time_us = -1, .total_bytes = -1, .seen_frames = -1, .seen_out_time_us = -1,
                          .seen_total_bytes = -1, .behind_s = { INFINITY, INFINITY }, .delay_s = NAN };
}

static void update_rate(WatchProgress *p, double now_s)
{
    if (p->frames < 0)
        return;
    if (!p->rate_s[1] || p->frames < p->rate_frames[1]) {
        p->rate_s[0] = p->rate_s[1] = now_s;
        p->rate_frames[0] = p->rate_frames[1] = p->frames;
    } else if (now_s - p->rate_s[1] >= RATE_S) {
        p->rate_s[0] = p->rate_s[1];
        p->rate_frames[0] = p->rate_frames[1];
        p->rate_s[1] = now_s;
        p->rate_frames[1] = p->frames;
    }
    if (now_s > p->rate_s[0])
        p->fps = (double)(p->frames - p->rate_frames[0]) / (now_s - p->rate_s[0]);
}

/* behind_s: the least of (clock - stream's time) in the running five minutes and in those before. */
static void update_lag(WatchProgress *p, double now_s)
{
    if (p->out_time_us < 0)
        return;
    p->delay_s = now_s - (double)p->out_time_us / 1e6;
    if (now_s - p->behind_since_s >= PROMPTEST_S) {
        p->behind_s[0] = p->behind_s[1];
        p->behind_s[1] = INFINITY;
        p->behind_since_s = now_s;
    }
    if (p->delay_s < p->behind_s[1])
        p->behind_s[1] = p->delay_s;
}

static void end_block(WatchProgress *p, double now_s)
{
    int moved = p->frames > 0 && p->frames != p->seen_frames;
    moved |= p->out_time_us > 0 && p->out_time_us != p->seen_out_time_us;
    moved |= p->total_bytes > 0 && p->total_bytes != p->seen_total_bytes;
    p->seen_frames = p->frames;
    p->seen_out_time_us = p->out_time_us;
    p->seen_total_bytes = p->total_bytes;
    if (!moved)
        return;
    if (!p->first_s)
        p->first_s = now_s;
    p->alive_s = now_s;
    update_rate(p, now_s);
    update_lag(p, now_s);
}

static void take_line(WatchProgress *p, double now_s)
{
    static const struct {
        const char *key;
        size_t offset;
    } number[] = { { "frame", offsetof(WatchProgress, frames) }, { "out_time_us", offsetof(WatchProgress, out_time_us) },
                   { "total_size", offsetof(WatchProgress, total_bytes) }, { "drop_frames", offsetof(WatchProgress, dropped) } };
    char *value = strchr(p->line, '=');
    int64_t v;
    if (!value)
        return;
    *value++ = '\0';
    value += strspn(value, " ");
    if (!strcmp(p->line, "progress"))
        end_block(p, now_s);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(number); i++)
        if (!strcmp(p->line, number[i].key))
            *(int64_t *)((char *)p + number[i].offset) = parse_int64(value, &v) ? -1 : v; /* "N/A" */
}

void watch_progress_feed(WatchProgress *p, const char *bytes, size_t n, double now_s)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n' && p->line_bytes < sizeof(p->line) - 1) {
            p->line[p->line_bytes++] = bytes[i];
        } else if (bytes[i] == '\n') {
            p->line[p->line_bytes] = '\0';
            p->line_bytes = 0;
            take_line(p, now_s);
        }
    }
}

double watch_progress_lag_s(const WatchProgress *p)
{
    double least = fmin(p->behind_s[0], p->behind_s[1]);
    return isfinite(least) ? p->delay_s - least : NAN;
}
