/* watch_progress.h — what ffmpeg's -progress says: is it alive, how fast, how late. */
#ifndef MIEN_TOOL_WATCH_PROGRESS_H
#define MIEN_TOOL_WATCH_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

typedef struct WatchProgress {
    char line[128]; /* begun */
    size_t line_bytes;
    int64_t frames, out_time_us, total_bytes, dropped; /* of the last block; -1: not told */
    int64_t seen_frames, seen_out_time_us, seen_total_bytes;
    double first_s, alive_s; /* when something moved for the first and the last time; 0: never */
    double rate_s[2], fps;   /* fps over the last five to ten seconds */
    int64_t rate_frames[2];
    double behind_s[2], behind_since_s, delay_s; /* for the lag */
} WatchProgress;

void watch_progress_init(WatchProgress *p);
/* Bytes as they come, at the time now_s (monotonic). */
void watch_progress_feed(WatchProgress *p, const char *bytes, size_t n, double now_s);
/* How much later the newest frame came out than the promptest one of the last five to ten minutes, in seconds; NaN: nothing to go by.
 * Shows a stream that falls behind; a delay that was there from the beginning does not show, and clocks that drift apart do not
 * add up. */
double watch_progress_lag_s(const WatchProgress *p);

#endif
