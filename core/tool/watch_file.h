/* watch_file.h — the configuration's file, read and judged. */
#ifndef MIEN_TOOL_WATCH_FILE_H
#define MIEN_TOOL_WATCH_FILE_H

#include "tool.h"
#include "watch_config.h"

/* Reads path. 0; or negative after a message that names file and line, which is also put into why. */
int watch_file_read(WatchConfig *c, const Tool *tool, const char *path, char *why, size_t why_bytes);
/* Warns if the file, or one with a password that it names, can be read by others. */
void watch_file_check_modes(const WatchConfig *c, const Tool *tool, const char *path);
/* Enters the folder that the file lies in, which its relative paths begin at, and names the file from there on: the caller frees *path. 0, or
 * negative after a message. */
int watch_file_enter(const Tool *tool, const char *file, char **path);

#endif
