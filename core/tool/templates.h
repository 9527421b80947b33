/* templates.h — many templates at once: from safetensors, from folders and lists of pictures; and searches among them. */
#ifndef MIEN_TOOL_TEMPLATES_H
#define MIEN_TOOL_TEMPLATES_H

#include "faces.h"
#include "mien/calibrate.h"

typedef struct TemplateSet {
    MienTemplates t;
    float *embedding; /* t's, owned */
    int64_t *person;
    size_t room;
    int64_t n_without; /* pictures that gave none */
} TemplateSet;

void templates_free(TemplateSet *s);

/* By content: 1 if the file begins as safetensors does. */
int templates_is_file(const char *path);
/* safetensors: `embedding` [n, dim] f32, made length 1; `person` [n] i32 or i64, without it everyone is somebody else. Negative
 * after a message. */
int templates_read(TemplateSet *s, const Tool *tool, const char *path);
/* Every sure face of every picture of a folder. The pictures of one folder below it are of one person, those in it of one each. */
int templates_from_folder(TemplateSet *s, const Tool *tool, Faces *f, const char *folder);

/* Names of people in lists, numbered in the order of their first use. */
typedef struct PeopleNames {
    char **name;
    size_t n, room;
} PeopleNames;
void people_names_free(PeopleNames *p);

/* A list: a person and a picture a line, separated by a tab, else by the line's first blank; blank lines and # are skipped. Paths begin
 * at root (NULL: the current folder). In a picture with several faces the largest counts; one without any is counted. */
int templates_from_list(TemplateSet *s, const Tool *tool, Faces *f, const char *list, const char *root, PeopleNames *names);

/* Searches for all probes, with progress. result: probes->n of them, the caller frees it with mien_free; NULL after a message. */
MienSearchResult *templates_search(const Tool *tool, const MienTemplates *gallery, const MienTemplates *probes, int strangers,
                                   MienSimCounts *counts);

/* "0.31 % (95 %: 0.1 % to 0.9 %)", or "not measured" */
void rate_text(char *buf, size_t bytes, const MienRate *rate);
/* KEY, KEY_low, KEY_high; null where nothing was measured */
void rate_json(struct cJSON *to, const char *key, const MienRate *rate);

#endif
