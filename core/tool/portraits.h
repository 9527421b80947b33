/* portraits.h — pictures that are each of one person, by name below a folder: one embedding a picture, of the face nearest the middle. */
#ifndef MIEN_TOOL_PORTRAITS_H
#define MIEN_TOOL_PORTRAITS_H

#include "faces.h"

typedef struct Portraits {
    size_t n;
    float *embedding; /* n × the encoder's dim */
    char *not_found;  /* per picture: no face was found, and the place where a portrait has it was taken */
} Portraits;

/* Whether every picture can be read, told now and not after an hour: 1, or 0 after messages. root: folder that names begin at unless
 * they begin at /; NULL: the current one. */
int portraits_there(const Tool *tool, const char *root, const char *const *name, size_t n);
/* Reads and embeds all pictures side by side, with progress. 0, or negative after a message: one that failed, or interrupted. */
int portraits_embed(Portraits *p, const Tool *tool, Faces *faces, const char *root, const char *const *name, size_t n);
void portraits_free(Portraits *p);

#endif
