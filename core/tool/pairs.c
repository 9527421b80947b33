/* Lists of pairs; see pairs.h. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mien/common.h"
#include "pairs.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

/* The next field of a line, which is changed: `sep` holds the separators, runs of blanks count as one. */
static char *next_field(char **at, const char *sep)
{
    char *p = *at;
    if (*sep == ' ')
        p += strspn(p, sep);
    if (!*p && *sep == ' ')
        return NULL;
    if (p > *at + 1000000)
        return NULL;
    char *end = p + strcspn(p, sep);
    *at = *end ? end + 1 : end;
    *end = 0;
    return p;
}

static char *trimmed(char *s)
{
    s += strspn(s, " ");
    size_t n = strlen(s);
    while (n && s[n - 1] == ' ')
        s[--n] = 0;
    return s;
}

static const char *separator(const char *line)
{
    int commas = 0;
    for (const char *p = line; *p; p++)
        commas += *p == ',';
    return strchr(line, '\t') ? "\t" : commas == 2 ? "," : " ";
}

/* One line into names[2] and *same; 0 or -1. */
static int parse_line(char *line, char *names[2], int *same)
{
    const char *sep = separator(line);
    char *at = line, *field[3];
    for (int i = 0; i < 3; i++) {
        field[i] = next_field(&at, sep);
        if (!field[i] || !*(field[i] = trimmed(field[i])))
            return -1;
    }
    if (*trimmed(at) || (strcmp(field[2], "0") && strcmp(field[2], "1")))
        return -1;
    names[0] = field[0];
    names[1] = field[1];
    *same = *field[2] == '1';
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* names: two a pair, in order; fills picture, a and b. */
static int number_pictures(PairList *l, const char **names)
{
    size_t n = l->n_pairs * 2, k = 0;
    l->picture = mien_malloc_array(n ? n : 1, sizeof(*l->picture));
    if (!l->picture)
        return MIEN_ERR(ENOMEM);
    memcpy(l->picture, names, n * sizeof(*names));
    qsort(l->picture, n, sizeof(*l->picture), by_name);
    for (size_t i = 0; i < n; i++)
        if (!k || strcmp(l->picture[k - 1], l->picture[i]))
            l->picture[k++] = l->picture[i];
    l->n_pictures = k;
    for (size_t i = 0; i < n; i++) {
        const char **hit = bsearch(&names[i], l->picture, k, sizeof(*l->picture), by_name);
        *(i % 2 ? &l->pair[i / 2].b : &l->pair[i / 2].a) = hit - l->picture;
    }
    return 0;
}

int pairs_read(PairList *l, const Tool *tool, const char *path)
{
    uint8_t *data = NULL;
    size_t bytes = 0, n_lines = 1;
    *l = (PairList){ 0 };
    int ret = mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, tool->log);
    if (ret < 0)
        return ret;
    l->text = (char *)data;
    if (memchr(data, 0, bytes))
        return tool_error(tool, "%s: is no text file", safe(path)), MIEN_E_FORMAT;
    for (size_t i = 0; i < bytes; i++)
        n_lines += data[i] == '\n';
    const char **names = mien_malloc_array(n_lines * 2, sizeof(*names));
    l->pair = mien_malloc_array(n_lines, sizeof(*l->pair));
    char *line = l->text;
    for (int number = 1; names && l->pair && ret >= 0 && line; number++) {
        char *end = strchr(line, '\n'), *found[2];
        Pair *p = &l->pair[l->n_pairs];
        if (end)
            *end++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line && *line != '#' && line[strspn(line, " \t")]) {
            if (parse_line(line, found, &p->same) < 0) {
                tool_error(tool, "%s: line %d: two picture paths and 1 (same person) or 0 are wanted", safe(path), number);
                ret = MIEN_E_FORMAT;
            } else {
                p->line = number;
                names[l->n_pairs * 2] = found[0];
                names[l->n_pairs * 2 + 1] = found[1];
                l->n_pairs++;
            }
        }
        line = end;
    }
    if (ret >= 0)
        ret = names && l->pair ? number_pictures(l, names) : MIEN_ERR(ENOMEM);
    if (ret == MIEN_ERR(ENOMEM))
        tool_error(tool, "out of memory");
    mien_free(names);
    return ret;
}

void pairs_free(PairList *l)
{
    mien_free(l->text);
    mien_free(l->pair);
    mien_free(l->picture);
    *l = (PairList){ 0 };
}
