/* Names, notes and dates: what may be stored. Text is checked and then kept byte for byte: it is not normalised, so that "é"
 * as one character and as "e" with an accent are two names. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

/* Decodes one character (Unicode 15, table 3-7: no overlong forms, no surrogates, at most U+10FFFF); 0: not UTF-8. */
static int utf8_decode(const unsigned char *s, uint32_t *c)
{
    if (s[0] < 0x80) {
        *c = s[0];
        return 1;
    }
    int n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    if (!n)
        return 0;
    *c = s[0] & (0x7fu >> n);
    for (int i = 1; i < n; i++) { /* the NUL at the end is no continuation byte */
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *c = *c << 6 | (s[i] & 0x3f);
    }
    static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
    return *c < smallest[n] || *c > 0x10ffff || (*c >= 0xd800 && *c <= 0xdfff) ? 0 : n;
}

static int is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static int is_blank(uint32_t c)
{
    return c == 0x20 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200b) || c == 0x202f || c == 0x205f ||
           c == 0x3000 || c == 0xfeff;
}

int mieni_utf8_check(const char *text, size_t max_bytes, int allow_lines, const char **why)
{
    size_t bytes = 0;
    const unsigned char *s = (const unsigned char *)text;
    while (s[bytes]) {
        uint32_t c;
        int n = utf8_decode(s + bytes, &c);
        *why = !n ? "is not valid UTF-8"
               : is_control(c) && !(allow_lines && (c == '\n' || c == '\t')) ? "has a control character" : NULL;
        if (*why)
            return MIEN_ERR(EINVAL);
        bytes += (size_t)n;
        if (bytes > max_bytes) {
            *why = "is too long";
            return MIEN_ERR(EINVAL);
        }
    }
    return 0;
}

int mien_name_check(const char *name, const char **why)
{
    const char *unused;
    uint32_t first = 0, last = 0;
    if (!why)
        why = &unused;
    *why = "a name is missing";
    if (!name || !*name)
        return MIEN_ERR(EINVAL);
    if (mieni_utf8_check(name, MIEN_NAME_MAX_BYTES, 0, why) < 0) {
        *why = !strcmp(*why, "is too long") ? "a name has at most 255 bytes"
               : strstr(*why, "UTF-8")      ? "a name must be valid UTF-8"
                                            : "a name must not have control characters or line breaks";
        return MIEN_ERR(EINVAL);
    }
    for (const unsigned char *s = (const unsigned char *)name; *s;) {
        s += utf8_decode(s, &last);
        if (!first)
            first = last;
    }
    *why = "a name must not begin or end with a blank";
    if (is_blank(first) || is_blank(last))
        return MIEN_ERR(EINVAL);
    *why = NULL;
    return 0;
}

int mieni_name_check_log(MienGallery *g, const char *name)
{
    const char *why;
    int ret = mien_name_check(name, &why);
    return ret < 0 ? mieni_gallery_fail(g, ret, "%s", why) : 0;
}

/* ---- times: ISO 8601, UTC, to the second */

void mieni_time_now(char buf[32])
{
    time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

/* n digits at s, or -1. */
static int digits(const char *s, int n)
{
    int value = 0;
    for (int i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return -1;
        value = value * 10 + (s[i] - '0');
    }
    return value;
}

static int parse_time(const char *text, struct tm *tm)
{
    static const int days[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    size_t len = strlen(text);
    memset(tm, 0, sizeof(*tm));
    if ((len != 10 && len != 20) || text[4] != '-' || text[7] != '-')
        return MIEN_E_FORMAT;
    int year = digits(text, 4), month = digits(text + 5, 2), day = digits(text + 8, 2);
    if (year < 0 || month < 1 || month > 12 || day < 1 || day > days[month - 1])
        return MIEN_E_FORMAT;
    if (month == 2 && day == 29 && (year % 4 || (year % 100 == 0 && year % 400)))
        return MIEN_E_FORMAT;
    tm->tm_year = year - 1900;
    tm->tm_mon = month - 1;
    tm->tm_mday = day;
    if (len == 10)
        return 0;
    tm->tm_hour = digits(text + 11, 2);
    tm->tm_min = digits(text + 14, 2);
    tm->tm_sec = digits(text + 17, 2);
    int good = text[10] == 'T' && text[13] == ':' && text[16] == ':' && text[19] == 'Z' && tm->tm_hour >= 0 &&
               tm->tm_hour < 24 && tm->tm_min >= 0 && tm->tm_min < 60 && tm->tm_sec >= 0 && tm->tm_sec < 61;
    return good ? 0 : MIEN_E_FORMAT;
}

int mieni_time_check(const char *text)
{
    struct tm tm;
    return strlen(text) == 20 ? parse_time(text, &tm) : MIEN_E_FORMAT;
}

int mieni_time_parse_expiry(const char *text, int64_t *end)
{
    struct tm tm;
    *end = INT64_MAX;
    if (!*text)
        return 0;
    if (parse_time(text, &tm) < 0) {
        *end = INT64_MIN; /* who reads on in spite of this treats it as past */
        return MIEN_E_FORMAT;
    }
    *end = timegm(&tm) + (text[10] ? 0 : 24 * 60 * 60);
    return 0;
}
