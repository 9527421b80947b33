/* The configuration of mien watch; see watch_config.h. One table says which keys there are; reading, defaults, comparing and freeing all
 * go by it. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool.h"
#include "watch_config.h"
#include "watch_secrets.h"

#define LINE_MAX_BYTES 4096
#define UNSET (-1)

typedef enum KeyType {
    KEY_TEXT,
    KEY_SECRET,  /* text that messages do not repeat */
    KEY_URL,
    KEY_WORDS,   /* split by watch_words_split; shown in process lists */
    KEY_CHAIN,   /* text that is shown in process lists */
    KEY_OPTIONS, /* key=value key=value */
    KEY_TIME,    /* ms */
    KEY_SIZE,    /* bytes */
    KEY_COUNT,
} KeyType;

enum { IN_WATCH = 1, IN_CAMERA = 2, IN_BOTH = 3 };

typedef struct Key {
    const char *name;
    KeyType type;
    int where;
    size_t offset; /* into WatchCamera; of run and logs into WatchConfig */
    const char *def;
    int64_t min, max;
} Key;

#define TEXT(field) offsetof(WatchCamera, field) + 0 * sizeof(char[_Generic(((WatchCamera *)0)->field, char *: 1, default: -1)])
#define NUMBER(field) offsetof(WatchCamera, field) + 0 * sizeof(char[_Generic(((WatchCamera *)0)->field, int64_t: 1, default: -1)])
#define HOUR_MS (3600 * 1000)

static const Key keys[] = {
    { "run", KEY_TEXT, IN_WATCH, offsetof(WatchConfig, run), NULL, 0, 0 },
    { "logs", KEY_TEXT, IN_WATCH, offsetof(WatchConfig, logs), NULL, 0, 0 },
    { "ffmpeg", KEY_TEXT, IN_BOTH, TEXT(ffmpeg), "ffmpeg", 0, 0 },
    { "gallery", KEY_TEXT, IN_BOTH, TEXT(gallery), NULL, 0, 0 },
    { "url", KEY_URL, IN_CAMERA, TEXT(url), NULL, 0, 0 },
    { "format", KEY_TEXT, IN_BOTH, TEXT(format), NULL, 0, 0 },
    { "options", KEY_OPTIONS, IN_BOTH, TEXT(options), NULL, 0, 0 },
    { "user", KEY_SECRET, IN_BOTH, TEXT(user), NULL, 0, 0 },
    { "password", KEY_SECRET, IN_BOTH, TEXT(password), NULL, 0, 0 },
    { "password_file", KEY_TEXT, IN_BOTH, TEXT(password_file), NULL, 0, 0 },
    { "password_env", KEY_TEXT, IN_BOTH, TEXT(password_env), NULL, 0, 0 },
    { "input", KEY_WORDS, IN_BOTH, TEXT(input), NULL, 0, 0 },
    { "before", KEY_CHAIN, IN_BOTH, TEXT(before), NULL, 0, 0 },
    { "facetag", KEY_CHAIN, IN_BOTH, TEXT(facetag), NULL, 0, 0 },
    { "after", KEY_CHAIN, IN_BOTH, TEXT(after), NULL, 0, 0 },
    { "output", KEY_WORDS, IN_BOTH, TEXT(output), "-an -f null -", 0, 0 },
    { "record", KEY_WORDS, IN_BOTH, TEXT(record), NULL, 0, 0 },
    { "events", KEY_TEXT, IN_BOTH, TEXT(events), NULL, 0, 0 },
    { "start", KEY_TIME, IN_BOTH, NUMBER(start_ms), "30s", 1, 24 * HOUR_MS },
    { "stall", KEY_TIME, IN_BOTH, NUMBER(stall_ms), "15s", 1, 24 * HOUR_MS },
    { "stop", KEY_TIME, IN_BOTH, NUMBER(stop_ms), "10s", 1, HOUR_MS },
    { "healthy", KEY_TIME, IN_BOTH, NUMBER(healthy_ms), "1min", 0, 24 * HOUR_MS },
    { "retry_min", KEY_TIME, IN_BOTH, NUMBER(retry_min_ms), "1s", 1, 24 * HOUR_MS },
    { "retry_max", KEY_TIME, IN_BOTH, NUMBER(retry_max_ms), "1min", 1, 24 * HOUR_MS },
    { "log_size", KEY_SIZE, IN_BOTH, NUMBER(log_size_bytes), "10M", 1024, INT64_C(1) << 40 },
    { "log_count", KEY_COUNT, IN_BOTH, NUMBER(log_count), "5", 0, 999 },
};

static int is_number(const Key *k)
{
    return k->type >= KEY_TIME;
}

static int of_camera(const Key *k)
{
    return k->where & IN_CAMERA;
}

static char **text_at(const Key *k, void *base)
{
    return (char **)((char *)base + k->offset);
}

static int64_t *number_at(const Key *k, void *base)
{
    return (int64_t *)((char *)base + k->offset);
}

/* ---- messages */

typedef struct Parser {
    WatchConfig *c;
    WatchCamera *section; /* NULL: none yet */
    int in_watch, had_watch, line;
    char *why;
    size_t why_bytes;
} Parser;

static int fail(const Parser *p, int err, const char *fmt, ...) MIEN_PRINTF(3, 4);
static int fail(const Parser *p, int err, const char *fmt, ...)
{
    va_list ap;
    int n = p->line ? snprintf(p->why, p->why_bytes, "line %d: ", p->line) : 0;
    if (n < 0 || (size_t)n >= p->why_bytes)
        return err;
    va_start(ap, fmt);
    vsnprintf(p->why + n, p->why_bytes - (size_t)n, fmt, ap);
    va_end(ap);
    return err;
}

static int no_memory(const Parser *p)
{
    return fail(p, MIEN_ERR(ENOMEM), "out of memory");
}

/* ---- words */

int watch_words_add(WatchWords *w, const char *word)
{
    char **more = mien_realloc_array(w->word, w->n + 2, sizeof(*more));
    if (!more)
        return MIEN_ERR(ENOMEM);
    w->word = more;
    more[w->n + 1] = NULL;
    if (!(more[w->n] = mien_strdup(word)))
        return MIEN_ERR(ENOMEM);
    w->n++;
    return 0;
}

void watch_words_free(WatchWords *w)
{
    for (size_t i = 0; i < w->n; i++)
        mien_free(w->word[i]);
    mien_free(w->word);
    *w = (WatchWords){ .n = 0 };
}

/* One word from *at on, unquoted into buf, which has room for all of text; *at moves behind it. 0 or MIEN_E_FORMAT. */
static int next_word(const char **at, char *buf)
{
    char quote = 0;
    const char *p = *at;
    for (; *p && (quote || (*p != ' ' && *p != '\t')); p++) {
        if (quote ? *p == quote : *p == '\'' || *p == '"')
            quote = quote ? 0 : *p;
        else if (*p == '\\' && quote != '\'' && p[1] && (!quote || p[1] == '"' || p[1] == '\\'))
            *buf++ = *++p;
        else
            *buf++ = *p;
    }
    *buf = '\0';
    *at = p;
    return quote ? MIEN_E_FORMAT : 0;
}

int watch_words_split(WatchWords *w, const char *text)
{
    int ret = 0;
    *w = (WatchWords){ .n = 0 };
    char *buf = mien_malloc(strlen(text) + 1);
    if (!buf)
        return MIEN_ERR(ENOMEM);
    while (ret >= 0 && *(text += strspn(text, " \t")))
        if ((ret = next_word(&text, buf)) >= 0)
            ret = watch_words_add(w, buf);
    mien_free(buf);
    if (ret < 0)
        watch_words_free(w);
    return ret;
}

int watch_url_is_network(const char *url)
{
    return strstr(url, "://") && strncmp(url, "file://", 7) != 0;
}

/* ---- values */

/* A whole number and the name of a unit directly behind it; the index of the unit, or -1. */
static int parse_unit(const char *value, const char *const *units, int n_units, int64_t *v)
{
    char digits[20];
    size_t n = strspn(value, "0123456789");
    if (!n || n >= sizeof(digits))
        return -1;
    memcpy(digits, value, n);
    digits[n] = '\0';
    if (parse_int64(digits, v))
        return -1;
    for (int i = 0; i < n_units; i++)
        if (!strcmp(value + n, units[i]))
            return i;
    return -1;
}

static int set_number(const Parser *p, const Key *k, void *base, const char *value)
{
    static const char *const time_units[] = { "ms", "s", "min", "h" }, *const sizes[] = { "", "K", "M", "G" }, *const none[] = { "" };
    static const int64_t time_factor[] = { 1, 1000, 60 * 1000, HOUR_MS };
    int64_t v = 0, factor = 0;
    int unit = k->type == KEY_TIME ? parse_unit(value, time_units, 4, &v)
               : k->type == KEY_SIZE ? parse_unit(value, sizes, 4, &v) : parse_unit(value, none, 1, &v);
    if (unit >= 0)
        factor = k->type == KEY_TIME ? time_factor[unit] : (int64_t)1 << 10 * unit;
    if (unit < 0)
        return fail(p, MIEN_E_FORMAT, "%s wants %s, not '%s'", k->name,
                    k->type == KEY_TIME ? "a time such as 500ms, 15s, 2min or 1h"
                    : k->type == KEY_SIZE ? "a size in bytes such as 65536, 64K, 10M or 1G" : "a whole number", safe(value));
    if (v > k->max / factor || v * factor < k->min)
        return fail(p, MIEN_E_FORMAT, "%s is %s; it must be from %lld to %lld%s", k->name, value, (long long)k->min, (long long)k->max,
                    k->type == KEY_TIME ? " ms" : k->type == KEY_SIZE ? " bytes" : "");
    *number_at(k, base) = v * factor;
    return 0;
}

/* What ends up in the process list may hold no password. */
static int check_public(const Parser *p, const Key *k, const char *value)
{
    size_t begin, end;
    if (!secret_in_url(value, &begin, &end))
        return 0;
    return fail(p, MIEN_E_FORMAT, "%s holds a URL with a user or password; everybody on this machine could read it in the list of processes. "
                "Only url may have one", k->name);
}

static int check_words(const Parser *p, const Key *k, const char *value)
{
    WatchWords w;
    int ret = watch_words_split(&w, value);
    watch_words_free(&w);
    if (ret == MIEN_E_FORMAT)
        return fail(p, ret, "%s has a quote that is not closed", k->name);
    return ret < 0 ? no_memory(p) : check_public(p, k, value);
}

static int check_options(const Parser *p, const Key *k, const char *value)
{
    WatchWords w;
    int ret = watch_words_split(&w, value);
    if (ret == MIEN_E_FORMAT)
        ret = fail(p, ret, "%s has a quote that is not closed", k->name);
    else if (ret < 0)
        ret = no_memory(p);
    for (size_t i = 0; ret >= 0 && i < w.n; i++) {
        size_t n = strspn(w.word[i], "abcdefghijklmnopqrstuvwxyz0123456789_");
        if (!n || w.word[i][n] != '=')
            ret = fail(p, MIEN_E_FORMAT, "%s wants FFmpeg's options as key=value, not '%s'", k->name, safe(w.word[i]));
    }
    watch_words_free(&w);
    return ret;
}

static int check_text(const Parser *p, const Key *k, const char *value)
{
    switch (k->type) {
    case KEY_URL:
        if (strpbrk(value, " \t"))
            return fail(p, MIEN_E_FORMAT, "%s holds a blank; in a URL it is written %%20", k->name);
        return 0;
    case KEY_SECRET:
        return strlen(value) > SECRET_MAX_BYTES / 3 ? fail(p, MIEN_E_FORMAT, "%s is longer than %d bytes", k->name, SECRET_MAX_BYTES / 3) : 0;
    case KEY_WORDS:
        return check_words(p, k, value);
    case KEY_CHAIN:
        return check_public(p, k, value);
    case KEY_OPTIONS:
        return check_options(p, k, value);
    default:
        return 0;
    }
}

/* ---- lines */

static int is_set(const Key *k, void *base)
{
    return is_number(k) ? *number_at(k, base) != UNSET : *text_at(k, base) != NULL;
}

static int unknown_key(const Parser *p, const char *name, int where)
{
    const char *words[MIEN_ARRAY_ELEMS(keys)];
    int n = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++) {
        if (!strcmp(keys[i].name, name))
            return fail(p, MIEN_E_FORMAT, "%s belongs under %s", name, where == IN_CAMERA ? "[watch]" : "[camera NAME]");
        if (keys[i].where & where)
            words[n++] = keys[i].name;
    }
    const char *near = strlen(name) < 40 ? nearest_word(name, words, n) : NULL;
    if (near)
        return fail(p, MIEN_E_FORMAT, "there is no key '%s'; did you mean %s?", safe(name), near);
    return fail(p, MIEN_E_FORMAT, "there is no key '%.100s' here", safe(name));
}

static int set_key(Parser *p, const char *name, const char *value)
{
    int where = p->in_watch ? IN_WATCH : IN_CAMERA;
    const Key *k = NULL;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys) && !k; i++)
        if ((keys[i].where & where) && !strcmp(keys[i].name, name))
            k = &keys[i];
    if (!k)
        return unknown_key(p, name, where);
    void *base = of_camera(k) ? (void *)p->section : (void *)p->c;
    if (is_set(k, base))
        return fail(p, MIEN_E_FORMAT, "%s is set a second time in this section", name);
    if (!*value && k->type != KEY_CHAIN && k->type != KEY_WORDS && k->type != KEY_OPTIONS)
        return fail(p, MIEN_E_FORMAT, "%s has no value", name);
    if (is_number(k))
        return set_number(p, k, base, value);
    int ret = check_text(p, k, value);
    if (ret < 0)
        return ret;
    *text_at(k, base) = mien_strdup(value);
    return *text_at(k, base) ? 0 : no_memory(p);
}

static void clear_camera(WatchCamera *c)
{
    *c = (WatchCamera){ .line = 0 };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++)
        if (of_camera(&keys[i]) && is_number(&keys[i]))
            *number_at(&keys[i], c) = UNSET;
}

static int add_camera(Parser *p, const char *name)
{
    WatchConfig *c = p->c;
    size_t n = strlen(name);
    if (!n || n > WATCH_NAME_MAX_BYTES || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != n || *name == '-')
        return fail(p, MIEN_E_FORMAT, "a camera's name has 1 to %d letters, digits, - or _, and does not begin with -", WATCH_NAME_MAX_BYTES);
    const WatchCamera *same = watch_config_find(c, name);
    if (same)
        return fail(p, MIEN_E_FORMAT, "there is a camera '%s' in line %d already", name, same->line);
    if (c->n_cameras == WATCH_CAMERAS_MAX)
        return fail(p, MIEN_E_FORMAT, "more than %d cameras", WATCH_CAMERAS_MAX);
    WatchCamera *more = mien_realloc_array(c->camera, c->n_cameras + 1, sizeof(*more));
    if (!more)
        return no_memory(p);
    c->camera = more;
    p->section = &more[c->n_cameras++];
    p->in_watch = 0;
    clear_camera(p->section);
    p->section->line = p->line;
    p->section->name = mien_strdup(name);
    return p->section->name ? 0 : no_memory(p);
}

static int begin_section(Parser *p, char *line)
{
    char *end = strchr(line, ']');
    if (!end || end[1])
        return fail(p, MIEN_E_FORMAT, "a section is [watch] or [camera NAME], and nothing stands behind it");
    *end = '\0';
    if (!strcmp(line, "[watch")) {
        if (p->had_watch)
            return fail(p, MIEN_E_FORMAT, "[watch] stands here a second time");
        p->in_watch = p->had_watch = 1;
        p->section = &p->c->common;
        return 0;
    }
    if (strncmp(line, "[camera ", 8))
        return fail(p, MIEN_E_FORMAT, "there is no section '%.100s]'; a section is [watch] or [camera NAME]", safe(line));
    return add_camera(p, line + 8 + strspn(line + 8, " \t"));
}

static char *trim(char *s)
{
    s += strspn(s, " \t");
    size_t n = strlen(s);
    while (n && (s[n - 1] == ' ' || s[n - 1] == '\t'))
        n--;
    s[n] = '\0';
    return s;
}

static int parse_line(Parser *p, char *line)
{
    for (const char *c = line; *c; c++)
        if ((unsigned char)*c < ' ' && *c != '\t')
            return fail(p, MIEN_E_FORMAT, "holds a control character (byte %d)", *c);
    line = trim(line);
    if (!*line || *line == '#' || *line == ';')
        return 0;
    if (*line == '[')
        return begin_section(p, line);
    char *value = strchr(line, '=');
    if (!value)
        return fail(p, MIEN_E_FORMAT, "is neither 'key = value' nor a [section]");
    *value++ = '\0';
    if (!p->section)
        return fail(p, MIEN_E_FORMAT, "stands before the first section; [watch] or [camera NAME] comes first");
    return set_key(p, trim(line), trim(value));
}

static int parse_lines(Parser *p, const char *text, size_t bytes)
{
    char line[LINE_MAX_BYTES + 1];
    const char *end = text + bytes;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        size_t n = (size_t)((newline ? newline : end) - text);
        p->line++;
        if (n > LINE_MAX_BYTES)
            return fail(p, MIEN_E_FORMAT, "is longer than %d bytes", LINE_MAX_BYTES);
        memcpy(line, text, n);
        if (newline && n && line[n - 1] == '\r')
            n--;
        line[n] = '\0';
        if (strlen(line) != n)
            return fail(p, MIEN_E_FORMAT, "holds a zero byte");
        int ret = parse_line(p, line);
        if (ret < 0)
            return ret;
        text = newline ? newline + 1 : end;
    }
    p->line = 0;
    return 0;
}

/* ---- cameras made complete */

/* {name} in any of a camera's texts is its name. */
static int put_name(char **text, const char *name)
{
    static const char mark[] = "{name}";
    size_t n = 0;
    for (const char *p = *text; (p = strstr(p, mark)); p += sizeof(mark) - 1)
        n++;
    if (!n)
        return 0;
    char *out = mien_malloc(strlen(*text) + n * strlen(name) + 1), *to = out;
    if (!out)
        return MIEN_ERR(ENOMEM);
    for (const char *p = *text; *p;) {
        if (!strncmp(p, mark, sizeof(mark) - 1)) {
            to = stpcpy(to, name);
            p += sizeof(mark) - 1;
        } else {
            *to++ = *p++;
        }
    }
    *to = '\0';
    mien_free(*text);
    *text = out;
    return 0;
}

static int names_password(const WatchCamera *c)
{
    return c->password || c->password_file || c->password_env;
}

/* What of user and password stands in the URL itself. */
static void look_into_url(const char *url, int *user, int *password)
{
    size_t begin, end;
    *user = secret_in_url(url, &begin, &end);
    *password = *user && memchr(url + begin, ':', end - begin);
}

/* Does [watch] speak for this camera? It tells a user and a password only where the camera has a URL that lacks them. */
static int inherits(const Key *k, const WatchCamera *c, int has_password)
{
    int in_url_user, in_url_password;
    look_into_url(c->url, &in_url_user, &in_url_password);
    if (k->offset == offsetof(WatchCamera, user))
        return watch_url_is_network(c->url) && !in_url_user;
    if (k->offset == offsetof(WatchCamera, password) || k->offset == offsetof(WatchCamera, password_file) ||
        k->offset == offsetof(WatchCamera, password_env))
        return watch_url_is_network(c->url) && !in_url_password && !has_password;
    return 1;
}

static int complete(Parser *p, WatchCamera *c)
{
    int has_password = names_password(c);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++) {
        const Key *k = &keys[i];
        if (!of_camera(k))
            continue;
        if (!is_set(k, c) && is_set(k, &p->c->common) && inherits(k, c, has_password)) {
            if (is_number(k))
                *number_at(k, c) = *number_at(k, &p->c->common);
            else if (!(*text_at(k, c) = mien_strdup(*text_at(k, &p->c->common))))
                return no_memory(p);
        }
        if (!is_set(k, c) && k->def) {
            if (is_number(k))
                set_number(p, k, c, k->def);
            else if (!(*text_at(k, c) = mien_strdup(k->def)))
                return no_memory(p);
        }
        if (!is_number(k) && *text_at(k, c) && k->type != KEY_SECRET && put_name(text_at(k, c), c->name) < 0)
            return no_memory(p);
    }
    return 0;
}

static const Key *key_named(const char *name)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++)
        if (!strcmp(keys[i].name, name))
            return &keys[i];
    return NULL;
}

static int check_password(Parser *p, const WatchCamera *c)
{
    int in_url_user, in_url_password;
    look_into_url(c->url, &in_url_user, &in_url_password);
    if (!!c->password + !!c->password_file + !!c->password_env > 1)
        return fail(p, MIEN_E_FORMAT, "camera %s: password, password_file and password_env exclude one another", c->name);
    if ((c->user || names_password(c)) && !watch_url_is_network(c->url))
        return fail(p, MIEN_E_FORMAT, "camera %s: user and password belong to a network URL, and url is none", c->name);
    if ((in_url_user && c->user) || (in_url_password && names_password(c)))
        return fail(p, MIEN_E_FORMAT, "camera %s: user or password stand both in url and beside it", c->name);
    if (!in_url_user && !c->user && names_password(c))
        return fail(p, MIEN_E_FORMAT, "camera %s: a password without a user; set user", c->name);
    if (c->format && (in_url_user || c->user))
        return fail(p, MIEN_E_FORMAT, "camera %s: with format the URL is shown in the list of processes; one with a password goes without",
                    c->name);
    return 0;
}

static int check_camera(Parser *p, const WatchCamera *c)
{
    int ret = check_password(p, c);
    if (ret >= 0 && c->options && (c->format || !watch_url_is_network(c->url)))
        ret = check_public(p, key_named("options"), c->options);
    if (ret < 0)
        return ret;
    if (c->facetag && (!strncmp(c->facetag, "log=", 4) || strstr(c->facetag, ":log=")))
        return fail(p, MIEN_E_FORMAT, "camera %s: facetag sets log; the log of this camera is what events names", c->name);
    if (c->retry_min_ms > c->retry_max_ms)
        return fail(p, MIEN_E_FORMAT, "camera %s: retry_min is longer than retry_max", c->name);
    return 0;
}

static int same_events(const WatchCamera *a, const WatchCamera *b)
{
    return a->events && b->events && strcmp(a->events, "none") && !strcmp(a->events, b->events);
}

static int check_cameras(Parser *p)
{
    WatchConfig *c = p->c;
    int ret = 0;
    if (!c->run)
        return fail(p, MIEN_E_FORMAT, "[watch] has no run: the folder of the lock, the control socket and, without logs, the logs");
    if (!c->n_cameras)
        return fail(p, MIEN_E_FORMAT, "there is no [camera NAME]");
    for (size_t i = 0; i < c->n_cameras && ret >= 0; i++) {
        p->line = c->camera[i].line;
        if (!c->camera[i].url)
            return fail(p, MIEN_E_FORMAT, "camera %s has no url", c->camera[i].name);
        if ((ret = complete(p, &c->camera[i])) >= 0)
            ret = check_camera(p, &c->camera[i]);
        for (size_t k = 0; k < i && ret >= 0; k++)
            if (same_events(&c->camera[i], &c->camera[k]))
                ret = fail(p, MIEN_E_FORMAT, "cameras %s and %s would write their events into one file; {name} in its name keeps them apart",
                           c->camera[k].name, c->camera[i].name);
    }
    return ret;
}

int watch_config_parse(WatchConfig *c, const char *text, size_t bytes, char *why, size_t why_bytes)
{
    Parser p = { .c = c, .why = why, .why_bytes = why_bytes };
    *c = (WatchConfig){ .n_cameras = 0 };
    clear_camera(&c->common);
    *why = '\0';
    int ret = parse_lines(&p, text, bytes);
    if (ret >= 0)
        ret = check_cameras(&p);
    if (ret < 0)
        watch_config_free(c);
    return ret;
}

/* ---- the rest */

void watch_camera_free(WatchCamera *c)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++)
        if (of_camera(&keys[i]) && !is_number(&keys[i]))
            mien_free(*text_at(&keys[i], c));
    mien_free(c->name);
    clear_camera(c);
}

void watch_config_free(WatchConfig *c)
{
    for (size_t i = 0; i < c->n_cameras; i++)
        watch_camera_free(&c->camera[i]);
    watch_camera_free(&c->common);
    mien_free(c->camera);
    mien_free(c->run);
    mien_free(c->logs);
    *c = (WatchConfig){ .n_cameras = 0 };
}

void watch_camera_swap(WatchCamera *a, WatchCamera *b)
{
    WatchCamera t = *a;
    *a = *b;
    *b = t;
}

static int same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

int watch_camera_equal(const WatchCamera *a, const WatchCamera *b)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++) {
        const Key *k = &keys[i];
        if (!of_camera(k))
            continue;
        if (is_number(k) ? *number_at(k, (void *)a) != *number_at(k, (void *)b)
                         : !same_text(*text_at(k, (void *)a), *text_at(k, (void *)b)))
            return 0;
    }
    return same_text(a->name, b->name);
}

const WatchCamera *watch_config_find(const WatchConfig *c, const char *name)
{
    for (size_t i = 0; i < c->n_cameras; i++)
        if (c->camera[i].name && !strcmp(c->camera[i].name, name))
            return &c->camera[i];
    return NULL;
}
