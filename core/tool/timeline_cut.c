/* Stays as FFmpeg's concat script. Its demuxer seeks to each place, so that hours of film in between are not read; it begins at the key
 * frame before, and the filter select=concatdec_select drops what is too early (ffmpeg-filters, select). */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "timeline.h"

/* A relative name would be taken from the script's folder, wherever that will be. */
static char *whole_path(const char *video)
{
    return strstr(video, "://") ? strdup(video) : realpath(video, NULL);
}

/* In single quotes, as FFmpeg quotes. */
static void put_file(FILE *f, const char *path)
{
    fputs("file '", f);
    for (; *path; path++)
        fputs(*path == '\'' ? "'\\''" : (char[2]){ *path, 0 }, f);
    fputs("'\n", f);
}

int timeline_cut(const Timeline *t, FILE *f, const TextList *videos, double margin_s)
{
    fputs("ffconcat version 1.0\n", f);
    for (size_t i = 0; i < t->n;) {
        const Stay *s = &t->stay[i];
        const char *video = videos->item[videos->n > 1 ? s->source : 0];
        double from_s = fmax(s->from_s - margin_s, 0), to_s = 0;
        char *path = whole_path(video);
        if (!path || strpbrk(path, "\r\n")) {
            tool_error(t->tool, "%s: %s", safe(video), path ? "FFmpeg's concat scripts cannot name a file with a line break" : strerror(errno));
            free(path);
            return -1;
        }
        /* outpoint is the first moment that is not shown any more, and the last frame lasts a while */
        for (; i < t->n && t->stay[i].source == s->source && (to_s == 0 || t->stay[i].from_s - margin_s <= to_s); i++)
            to_s = fmax(to_s, t->stay[i].to_s + margin_s + t->stay[i].frame_s);
        put_file(f, path);
        fprintf(f, "inpoint %.6f\noutpoint %.6f\n", from_s, fmax(to_s, from_s + 0.001));
        free(path);
    }
    return 0;
}
