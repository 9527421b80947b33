/* Command lines by table: types, ranges and defaults come from the rows of tool.h's Option. Options may stand anywhere;
 * "--" ends them; "--name=value" and "--name value", "-x value" and "-xvalue" mean the same. */
#include <string.h>

#include "tool.h"

static int takes_shared(const Command *c, const Option *o)
{
    unsigned bit = shared_option_bit(o);
    return !bit || (c->takes & bit);
}

/* Finds by long name (name_bytes of it) or letter; *shared says whose table it is from. */
static const Option *find_option(const Command *c, const char *name, size_t name_bytes, char letter, int *shared)
{
    for (*shared = 0; *shared < 2; ++*shared)
        for (const Option *o = *shared ? shared_options : c->options; o && o->name; o++) {
            if (*shared && !takes_shared(c, o))
                continue;
            if (name ? strlen(o->name) == name_bytes && !memcmp(o->name, name, name_bytes) : letter && o->letter == letter)
                return o;
        }
    return NULL;
}

static int unknown_option(const Command *c, const Tool *tool, const char *name, size_t name_bytes)
{
    const char *words[64];
    char typed[48];
    int n = 0;
    for (int shared = 0; shared < 2; shared++)
        for (const Option *o = shared ? shared_options : c->options; o && o->name && n < 64; o++)
            if (!shared || takes_shared(c, o))
                words[n++] = o->name;
    snprintf(typed, sizeof(typed), "%.*s", (int)(name_bytes < 47 ? name_bytes : 47), name);
    const char *near = nearest_word(typed, words, n);
    if (near)
        tool_error(tool, "unknown option '--%s'; did you mean --%s?", safe(typed), near);
    else
        tool_error(tool, "unknown option '--%s'; 'mien help %s' lists them", safe(typed), c->name);
    return -1;
}

static int word_index(const char *words, const char *value)
{
    int i = 0;
    for (const char *w = words; *w; i++) {
        size_t n = strcspn(w, "|");
        if (strlen(value) == n && !memcmp(w, value, n))
            return i;
        w += n + (w[n] == '|');
    }
    return -1;
}

static int set_option(const Tool *tool, const Option *o, void *base, const char *value)
{
    void *at = (char *)base + o->offset;
    TextList *list = at;
    int64_t i;
    double x;
    switch (o->type) {
    case OPT_FLAG:
        *(int *)at = 1;
        return 0;
    case OPT_COUNT:
        ++*(int *)at;
        return 0;
    case OPT_TEXT:
        *(const char **)at = value;
        return 0;
    case OPT_LIST:
        if (list->n == (int)MIEN_ARRAY_ELEMS(list->item)) {
            tool_error(tool, "--%s can be given %d times at most", o->name, list->n);
            return -1;
        }
        list->item[list->n++] = value;
        return 0;
    case OPT_INT:
        if (parse_int64(value, &i) || (double)i < o->min || (double)i > o->max) {
            tool_error(tool, "--%s wants a whole number from %.0f to %.0f, not '%s'", o->name, o->min, o->max, safe(value));
            return -1;
        }
        *(int *)at = (int)i;
        return 0;
    case OPT_REAL:
        if (parse_real(value, &x) || x < o->min || x > o->max) {
            tool_error(tool, "--%s wants a number from %g to %g, not '%s'", o->name, o->min, o->max, safe(value));
            return -1;
        }
        *(double *)at = x;
        return 0;
    case OPT_WORD:
        *(int *)at = word_index(o->words, value);
        if (*(int *)at >= 0)
            return 0;
        tool_error(tool, "--%s wants one of %s, not '%s'", o->name, o->words, safe(value));
        return -1;
    }
    return -1;
}

static void set_defaults(const Option *table, void *base)
{
    for (const Option *o = table; o && o->name; o++) {
        void *at = (char *)base + o->offset;
        if (o->type == OPT_REAL)
            *(double *)at = o->def;
        else if (o->type == OPT_TEXT)
            *(const char **)at = NULL;
        else if (o->type == OPT_LIST)
            ((TextList *)at)->n = 0;
        else
            *(int *)at = (int)o->def;
    }
}

static int wants_value(const Option *o)
{
    return o->type != OPT_FLAG && o->type != OPT_COUNT;
}

/* One "--name[=value]" at argv[*i]. */
static int parse_long(const Command *c, Tool *tool, void *options, int argc, char **argv, int *i)
{
    const char *name = argv[*i] + 2, *value = strchr(name, '=');
    size_t n = value ? (size_t)(value - name) : strlen(name);
    int shared;
    const Option *o = find_option(c, name, n, 0, &shared);
    if (!o)
        return unknown_option(c, tool, name, n);
    if (!wants_value(o)) {
        if (value) {
            tool_error(tool, "--%s takes no value", o->name);
            return -1;
        }
    } else if (value) {
        value++;
    } else if (++*i < argc) {
        value = argv[*i];
    } else {
        tool_error(tool, "--%s wants a value (%s)", o->name, o->arg);
        return -1;
    }
    return set_option(tool, o, shared ? (void *)tool : options, value);
}

/* A group "-abc" or "-xVALUE" or "-x VALUE" at argv[*i]. */
static int parse_short(const Command *c, Tool *tool, void *options, int argc, char **argv, int *i)
{
    for (const char *p = argv[*i] + 1; *p; p++) {
        int shared;
        const Option *o = find_option(c, NULL, 0, *p, &shared);
        const char *value = NULL;
        if (!o) {
            char letter[2] = { *p, 0 };
            tool_error(tool, "unknown option '-%s'; 'mien help %s' lists them", safe(letter), c->name);
            return -1;
        }
        if (wants_value(o)) {
            value = p[1] ? p + 1 : ++*i < argc ? argv[*i] : NULL;
            if (!value) {
                tool_error(tool, "-%c (--%s) wants a value (%s)", o->letter, o->name, o->arg);
                return -1;
            }
        }
        if (set_option(tool, o, shared ? (void *)tool : options, value) < 0)
            return -1;
        if (value)
            break;
    }
    return 0;
}

int options_parse(const Command *c, Tool *tool, void *options, int argc, char **argv)
{
    int n_args = 0, ended = 0;
    set_defaults(shared_options, tool);
    set_defaults(c->options, options);
    for (int i = 0; i < argc; i++) {
        char *a = argv[i];
        int err = 0;
        if (ended || a[0] != '-' || !a[1])
            argv[n_args++] = a;
        else if (!strcmp(a, "--"))
            ended = 1;
        else if (a[1] == '-')
            err = parse_long(c, tool, options, argc, argv, &i);
        else
            err = parse_short(c, tool, options, argc, argv, &i);
        if (err < 0)
            return -1;
    }
    return n_args;
}
