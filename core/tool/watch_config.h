/* watch_config.h — the file that says which cameras `mien watch` looks after.
 *
 * Lines "key = value" under [watch] and [camera NAME]; blank lines and those that begin with # or ; are skipped. Most keys of a camera may
 * stand under [watch] too and hold for every camera that does not set them. What keys there are: docs/watch.md. The parser looks
 * at bytes in memory alone: it opens nothing, so that anything may be thrown at it.
 */
#ifndef MIEN_TOOL_WATCH_CONFIG_H
#define MIEN_TOOL_WATCH_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define WATCH_CONFIG_MAX_BYTES (1 << 20)
#define WATCH_CAMERAS_MAX 256
#define WATCH_NAME_MAX_BYTES 63 /* letters, digits, - and _: it becomes part of file names */

/* Texts are NULL where nothing is set and there is no default. */
typedef struct WatchCamera {
    char *name;
    int line; /* of its section */
    char *url, *format, *options;                            /* options: for FFmpeg's demuxer, "key=value key=value" */
    char *user, *password, *password_file, *password_env;    /* as they stand in the file */
    char *input, *before, *facetag, *after, *output, *record; /* FFmpeg's words and filters */
    char *events, *ffmpeg, *gallery;
    int64_t start_ms, stall_ms, stop_ms, healthy_ms, retry_min_ms, retry_max_ms;
    int64_t log_size_bytes, log_count;
} WatchCamera;

typedef struct WatchConfig {
    char *run, *logs;    /* folders */
    WatchCamera common;  /* what [watch] says about cameras */
    WatchCamera *camera; /* complete: everything from [watch] and the defaults is filled in */
    size_t n_cameras;
} WatchConfig;

/* text: bytes of them, any. 0; MIEN_E_FORMAT with a sentence that names the line in `why`; or -ENOMEM, also with a sentence. */
int watch_config_parse(WatchConfig *c, const char *text, size_t bytes, char *why, size_t why_bytes);
void watch_config_free(WatchConfig *c);

/* The same camera in all that is set? NULL and "" differ. */
int watch_camera_equal(const WatchCamera *a, const WatchCamera *b);
/* a's content becomes b's and the other way round, so that a camera can be taken out of a configuration. */
void watch_camera_swap(WatchCamera *a, WatchCamera *b);
void watch_camera_free(WatchCamera *c);
/* Has it a scheme, and one that leads elsewhere? */
int watch_url_is_network(const char *url);
const WatchCamera *watch_config_find(const WatchConfig *c, const char *name);

/* Words as a shell splits them: at blanks, with '…', "…" and \ to keep together; nothing is expanded. */
typedef struct WatchWords {
    char **word; /* NULL past the end */
    size_t n;
} WatchWords;
/* 0, MIEN_E_FORMAT (a quote is not closed), -ENOMEM. */
int watch_words_split(WatchWords *w, const char *text);
int watch_words_add(WatchWords *w, const char *word); /* copies */
void watch_words_free(WatchWords *w);

#endif
