/* Opening the gallery that was asked for, finding people in it by name; see galleries.h. */
#include <string.h>

#include "galleries.h"

MienGallery *gallery_open(const Tool *tool, MienGalleryFlags flags)
{
    MienGallery *g = NULL;
    return mien_gallery_open(&g, tool->gallery, flags, tool->log) < 0 ? NULL : g;
}

int person_lookup(MienGallery *g, const char *name, MienPerson *person)
{
    MienPerson *people = NULL;
    int n = mien_gallery_people(g, &people), found = n < 0 ? n : 0;
    for (int i = 0; i < n && !found; i++)
        if (!strcmp(people[i].name, name)) {
            *person = people[i];
            found = 1;
        }
    mien_free(people);
    return found;
}

int person_need(const Tool *tool, MienGallery *g, const char *name, MienPerson *person)
{
    MienPerson *people = NULL;
    int found = person_lookup(g, name, person);
    if (found)
        return found < 0 ? found : 0;
    int n = mien_gallery_people(g, &people);
    const char **names = n > 0 ? mien_malloc_array((size_t)n, sizeof(*names)) : NULL;
    for (int i = 0; i < n && names; i++)
        names[i] = people[i].name;
    const char *near = names ? nearest_word(name, names, n) : NULL;
    if (near)
        tool_error(tool, "there is nobody called '%s' in %s; did you mean '%s'?", safe(name), safe(mien_gallery_path(g)), safe(near));
    else
        tool_error(tool, "there is nobody called '%s' in %s; 'mien list' shows who is there", safe(name), safe(mien_gallery_path(g)));
    mien_free(names);
    mien_free(people);
    return MIEN_E_NOTFOUND;
}
