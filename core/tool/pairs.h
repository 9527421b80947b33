/* pairs.h — lists of pairs of pictures: "PATH PATH 1" (same person) or "PATH PATH 0", one a line. */
#ifndef MIEN_TOOL_PAIRS_H
#define MIEN_TOOL_PAIRS_H

#include "tool.h"

typedef struct Pair {
    int64_t a, b; /* indices into the pictures */
    int same, line;
} Pair;

typedef struct PairList {
    char *text;           /* the file; the names point into it */
    Pair *pair;
    size_t n_pairs;
    const char **picture; /* distinct names, sorted */
    size_t n_pictures;
} PairList;

/* Fields are separated by tabs, else by commas if there are two in the line, else by blanks; blank lines and lines that begin with
 * # are skipped. Negative after a message that names file and line. */
int pairs_read(PairList *list, const Tool *tool, const char *path);
void pairs_free(PairList *list);

#endif
