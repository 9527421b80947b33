/* Passwords in URLs; see watch_secrets.h. Base64 is RFC 4648, percent-encoding RFC 3986. */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "mien/common.h"
#include "mien/error.h"
#include "watch_secrets.h"

#define MARK "***"
#define LEAST_BYTES 4 /* a shorter secret would take ordinary words out of lines; in URLs it is found by its place */

static int is_scheme(char c)
{
    return isalnum((unsigned char)c) || c == '+' || c == '-' || c == '.';
}

int secret_in_url(const char *text, size_t *begin, size_t *end)
{
    for (const char *p = text; (p = strstr(p, "://")); p += 3) {
        if (p == text || !is_scheme(p[-1]))
            continue;
        size_t n = strcspn(p + 3, "/?# \t\r\n");
        const char *at = memrchr(p + 3, '@', n);
        if (!at)
            continue;
        *begin = (size_t)(p + 3 - text);
        *end = (size_t)(at - text);
        return 1;
    }
    return 0;
}

/* ---- encodings */

char *secret_encode(const char *text)
{
    static const char hex[] = "0123456789ABCDEF";
    char *out = mien_malloc_array(strlen(text) + 1, 3), *p = out;
    for (; out && *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (isalnum(c) || strchr("-._~", c)) {
            *p++ = (char)c;
        } else {
            *p++ = '%';
            *p++ = hex[c >> 4];
            *p++ = hex[c & 15];
        }
    }
    if (out)
        *p = '\0';
    return out;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void percent_decode(char *text)
{
    char *to = text;
    for (const char *p = text; *p; to++) {
        int hi = *p == '%' ? hex_digit(p[1]) : -1, lo = hi >= 0 ? hex_digit(p[2]) : -1;
        *to = lo >= 0 ? (char)(hi << 4 | lo) : *p;
        p += lo >= 0 ? 3 : 1;
    }
    *to = '\0';
}

static char *base64(const char *text)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(text);
    char *out = mien_malloc(n / 3 * 4 + 5), *p = out;
    for (size_t i = 0; out && i < n; i += 3) {
        uint32_t v = (uint32_t)(unsigned char)text[i] << 16;
        if (i + 1 < n)
            v |= (uint32_t)(unsigned char)text[i + 1] << 8;
        if (i + 2 < n)
            v |= (unsigned char)text[i + 2];
        *p++ = digit[v >> 18];
        *p++ = digit[v >> 12 & 63];
        *p++ = i + 1 < n ? digit[v >> 6 & 63] : '=';
        *p++ = i + 2 < n ? digit[v & 63] : '=';
    }
    if (out)
        *p = '\0';
    return out;
}

/* ---- the list */

/* Takes text over; one that is short or there already is dropped. */
static int keep(WatchSecrets *s, char *text)
{
    if (!text)
        return MIEN_ERR(ENOMEM);
    int drop = strlen(text) < LEAST_BYTES || s->n == (int)MIEN_ARRAY_ELEMS(s->item);
    for (int i = 0; i < s->n; i++)
        drop |= !strcmp(s->item[i], text);
    if (drop) {
        mien_free(text);
        return 0;
    }
    /* The longest first: a short one that is part of a long one would hide it. */
    int i = s->n++;
    for (; i && strlen(s->item[i - 1]) < strlen(text); i--)
        s->item[i] = s->item[i - 1];
    s->item[i] = text;
    return 0;
}

static int keep_decoded(WatchSecrets *s, const char *text, size_t bytes)
{
    char *copy = mien_strndup(text, bytes);
    if (copy)
        percent_decode(copy);
    return keep(s, copy);
}

static int keep_user_part(WatchSecrets *s, const char *user, size_t bytes)
{
    const char *colon = memchr(user, ':', bytes);
    const char *password = colon ? colon + 1 : user;
    size_t password_bytes = bytes - (size_t)(password - user);
    int ret = keep(s, mien_strndup(password, password_bytes));
    if (ret >= 0)
        ret = keep_decoded(s, password, password_bytes);
    char *whole = mien_strndup(user, bytes);
    if (ret < 0 || !whole) {
        mien_free(whole);
        return ret < 0 ? ret : MIEN_ERR(ENOMEM);
    }
    percent_decode(whole);
    ret = keep(s, base64(whole));
    mien_free(whole);
    return ret;
}

int secrets_of_url(WatchSecrets *s, const char *url)
{
    size_t begin, end;
    int ret = 0;
    *s = (WatchSecrets){ .n = 0 };
    if (secret_in_url(url, &begin, &end))
        ret = keep_user_part(s, url + begin, end - begin);
    const char *query = strchr(url, '?');
    if (ret >= 0 && query) /* many cameras take user and password, or a token, there */
        ret = keep(s, mien_strdup(query + 1));
    if (ret >= 0 && query)
        ret = keep_decoded(s, query + 1, strlen(query + 1));
    if (ret < 0)
        secrets_free(s);
    return ret;
}

void secrets_free(WatchSecrets *s)
{
    for (int i = 0; i < s->n; i++)
        mien_free(s->item[i]);
    *s = (WatchSecrets){ .n = 0 };
}

/* ---- lines */

/* Puts MARK in the place of bytes at `at`; what no longer fits is cut. */
static void replace(char *line, size_t room, size_t at, size_t bytes)
{
    size_t len = strlen(line), rest = len - at - bytes, mark = sizeof(MARK) - 1;
    if (at + mark > room - 1)
        mark = room - 1 - at;
    if (rest > room - 1 - at - mark)
        rest = room - 1 - at - mark;
    memmove(line + at + mark, line + at + bytes, rest);
    memcpy(line + at, MARK, mark);
    line[at + mark + rest] = '\0';
}

void secrets_scrub(const WatchSecrets *s, char *line, size_t room)
{
    size_t begin, end, from = 0;
    /* The user part of a URL first: it may hold a secret, and a mark in it would hide where it ends. */
    while (from < strlen(line) && secret_in_url(line + from, &begin, &end)) {
        replace(line, room, from + begin, end - begin);
        from += begin;
    }
    for (int i = 0; i < s->n; i++) {
        char *p = line;
        while ((p = strstr(p, s->item[i]))) {
            replace(line, room, (size_t)(p - line), strlen(s->item[i]));
            p += strlen(p) < sizeof(MARK) - 1 ? strlen(p) : sizeof(MARK) - 1;
        }
    }
}
