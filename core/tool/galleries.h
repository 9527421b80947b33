/* galleries.h — the gallery that was asked for, and people in it by name. */
#ifndef MIEN_TOOL_GALLERIES_H
#define MIEN_TOOL_GALLERIES_H

#include "mien/gallery.h"
#include "tool.h"

/* Opens the gallery of --gallery; NULL after a message. */
MienGallery *gallery_open(const Tool *tool, MienGalleryFlags flags);
/* 1 and the person, 0: nobody has this name, or negative (logged). */
int person_lookup(MienGallery *g, const char *name, MienPerson *person);
/* The same, but nobody is MIEN_E_NOTFOUND after a message that names a similar name, if there is one. */
int person_need(const Tool *tool, MienGallery *g, const char *name, MienPerson *person);

#endif
