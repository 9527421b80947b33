/* ffmpeg.h — the ffmpeg that has facetag: where it is, how words are put into its command line, one run of it as a child. */
#ifndef MIEN_TOOL_FFMPEG_H
#define MIEN_TOOL_FFMPEG_H

#include <sys/types.h>

#include "tool.h"
#include "words.h"

/* `given`, else $MIEN_FFMPEG, else a wrapper called ffmpeg beside this program, else the ffmpeg of PATH; asks it for facetag. Writes an absolute
 * path. Negative after a message that says how to get one. */
int ffmpeg_find(const Tool *tool, const char *given, char *path, size_t path_bytes);

/* Runs a program of PATH (or a path) to its end, with nothing on its input, and keeps the beginning of all that it prints. Its exit status
 * (128 + signal), or -errno: it cannot be run. */
int program_output(const char *const *argv, char *text, size_t text_bytes);

/* As the value of a filter's option in a chain: av_get_token takes off two layers of escapes, and any byte but NUL comes through. */
void words_put_value(Words *w, const char *value);

/* Whether a list of options ("interval=2:liveness=report") sets this one at its first filter; its value as written goes to *value. */
int filter_option(const char *options, const char *name, char *value, size_t value_bytes);

/* A child. It ends with us (SIGKILL when we die), is in a process group of its own, so that Ctrl-C reaches it through us alone, and reads
 * nothing from the terminal. */
typedef struct Child {
    pid_t pid;          /* 0: none */
    int progress_fd;    /* what `-progress pipe:1` says; -1: closed */
    int error_fd;
    int64_t out_time_us; /* -1: not said yet */
    char line[512];     /* of progress_fd, unfinished */
    char last[1024];    /* the last line of error_fd that says something */
    char told[1024];    /* the last line that facetag itself wrote there */
    char part[1024];    /* unfinished */
} Child;

/* argv ends with NULL. 0 or -errno. */
int child_start(Child *c, char *const *argv);
/* Reads what there is, without waiting. 1: it has ended and *wait_status is as waitpid gives it; 0: it runs. */
int child_poll(Child *c, int *wait_status);
/* Ends it and waits until it is gone. Nothing if it does not run. */
void child_kill(Child *c);
/* Why it failed, as a sentence: "ffmpeg ended with status 1: …". */
void child_reason(const Child *c, int wait_status, char *buf, size_t buf_bytes);

#endif
