/* watch_command.h — from a camera of the configuration to the command that is run, without a secret in it.
 *
 * The URL of a network camera reaches FFmpeg as a script of its concat demuxer, read from a pipe: the command line, which every
 * user can read, then says "-f concat -i pipe:3" and no more, and the options of the demuxer (headers, tokens) stand in the script as well.
 */
#ifndef MIEN_TOOL_WATCH_COMMAND_H
#define MIEN_TOOL_WATCH_COMMAND_H

#include "watch_config.h"
#include "watch_secrets.h"

/* The descriptors that the command expects beside 0, 1 and 2. */
enum { WATCH_FD_SCRIPT = 3, WATCH_FD_PROGRESS = 4, WATCH_FD_EVENTS = 5 };

typedef struct WatchCommand {
    WatchWords argv;
    char *script; /* to be read from WATCH_FD_SCRIPT; NULL: nothing */
    WatchSecrets secrets;
} WatchCommand;

/* Reads the camera's password file or variable. with_events: facetag writes its log to WATCH_FD_EVENTS. 0, or negative and a sentence in
 * why. */
int watch_command_make(WatchCommand *cmd, const WatchCamera *c, int with_events, char *why, size_t why_bytes);
void watch_command_free(WatchCommand *cmd);

/* Appends value to a filter's options, escaped for the option and for the graph around it. The caller frees. */
char *watch_filter_escape(const char *value);

#endif
