/* files.h — the pictures meant by arguments that may be folders. */
#ifndef MIEN_TOOL_FILES_H
#define MIEN_TOOL_FILES_H

#include "tool.h"

typedef struct FileList {
    char **path;
    int64_t n, room;
    int64_t n_skipped; /* files in folders that do not look like pictures or videos */
} FileList;

/* Adds a file as it is, or of a folder (and the folders in it, links to folders excepted) every picture and video by its
 * ending, sorted by name; hidden files are left out. Negative after a message. */
int files_add(FileList *list, const Tool *tool, const char *path);
void files_free(FileList *list);

#endif
