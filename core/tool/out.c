/* What the tool prints: messages that cannot harm a terminal, JSON, progress. */
#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cJSON.h>

#include "tool.h"

/* ---- text */

/* Length of the valid UTF-8 sequence at s (0: not valid) and its code point. */
static int utf8_at(const unsigned char *s, uint32_t *code)
{
    static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
    int n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (!n)
        return 0;
    *code = n == 1 ? s[0] : s[0] & (0xffu >> (n + 1));
    for (int i = 1; i < n; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (s[i] & 0x3f);
    }
    if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
        return 0;
    return n;
}

/* Control characters, line and paragraph separators, and marks that change the reading direction. */
static int harmful(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0x200e || c == 0x200f || c == 0x61c ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

#define SAFE_BYTES 4096

const char *safe(const char *s)
{
    static _Thread_local char ring[8][SAFE_BYTES];
    static _Thread_local unsigned next;
    char *out = ring[next++ % 8], *end = out + SAFE_BYTES - 16, *p = out;
    const unsigned char *q = (const unsigned char *)(s ? s : "(none)");
    while (*q && p < end) {
        uint32_t c;
        int n = utf8_at(q, &c);
        if (!n) {
            p += sprintf(p, "\\x%02x", *q++);
        } else if (harmful(c)) {
            p += c == '\n' ? sprintf(p, "\\n") : c == '\t' ? sprintf(p, "\\t") : c < 0x80 ? sprintf(p, "\\x%02x", c) : sprintf(p, "\\u{%x}", c);
            q += n;
        } else {
            memcpy(p, q, (size_t)n);
            p += n;
            q += n;
        }
    }
    strcpy(p, *q ? "..." : "");
    return out;
}

static void put_line(FILE *f, const Tool *tool, const char *word, const char *fmt, va_list ap)
{
    char line[SAFE_BYTES * 2];
    if (isatty(STDERR_FILENO) && f == stderr)
        fputs("\r\033[K", f); /* over a progress line */
    vsnprintf(line, sizeof(line), fmt, ap);
    if (tool->command)
        fprintf(f, "mien: %s: %s%s\n", tool->command->name, word, line);
    else
        fprintf(f, "mien: %s%s\n", word, line);
}

int tool_error(const Tool *tool, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_line(stderr, tool, "", fmt, ap);
    va_end(ap);
    return STATUS_ERROR;
}

void tool_warn(const Tool *tool, const char *fmt, ...)
{
    va_list ap;
    if (tool->quiet)
        return;
    va_start(ap, fmt);
    put_line(stderr, tool, "warning: ", fmt, ap);
    va_end(ap);
}

void tool_note(const Tool *tool, const char *fmt, ...)
{
    va_list ap;
    if (tool->quiet || tool->json)
        return;
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

/* The library's messages may carry file names and text out of files, so they are made harmless as a whole. */
static void write_log(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    static const char *const word[] = { "", "warning: ", "", "debug: ", "trace: " };
    const Tool *tool = priv;
    char line[2048];
    vsnprintf(line, sizeof(line), fmt, ap);
    fprintf(stderr, "%smien: %s%s%s%s\n", isatty(STDERR_FILENO) ? "\r\033[K" : "", tool->command ? tool->command->name : "",
            tool->command ? ": " : "", word[level], safe(line));
}

MienLog tool_log(const Tool *tool)
{
    MienLogLevel level = tool->quiet          ? MIEN_LOG_ERROR
                         : !tool->verbose     ? MIEN_LOG_WARN
                         : tool->verbose == 1 ? MIEN_LOG_INFO
                                              : MIEN_LOG_DEBUG;
    return (MienLog){ .write = write_log, .priv = (void *)(uintptr_t)tool, .level = level };
}

int finish_output(const Tool *tool, int status)
{
    errno = 0;
    if (fflush(stdout) || ferror(stdout)) {
        int e = errno;
        clearerr(stdout);
        return tool_error(tool, "cannot write the output: %s", e ? strerror(e) : "write error");
    }
    return status;
}

/* ---- JSON */

static int json_failed; /* an allocation failed since the last print */

static cJSON *kept(cJSON *v)
{
    if (!v)
        json_failed = 1;
    return v;
}

cJSON *json_object(void)
{
    return kept(cJSON_CreateObject());
}

cJSON *json_array(void)
{
    return kept(cJSON_CreateArray());
}

cJSON *json_add_object(cJSON *to, const char *key)
{
    return to ? kept(cJSON_AddObjectToObject(to, key)) : NULL;
}

cJSON *json_add_array(cJSON *to, const char *key)
{
    return to ? kept(cJSON_AddArrayToObject(to, key)) : NULL;
}

void json_free(cJSON *value)
{
    cJSON_Delete(value);
    json_failed = 0;
}

static void append(cJSON *array, cJSON *v)
{
    if (!kept(v) || !cJSON_AddItemToArray(array, v)) {
        json_failed = 1;
        cJSON_Delete(v);
    }
}

cJSON *json_item_object(cJSON *array)
{
    if (!array)
        return NULL;
    cJSON *v = cJSON_CreateObject();
    if (!kept(v) || !cJSON_AddItemToArray(array, v)) {
        json_failed = 1;
        cJSON_Delete(v);
        return NULL;
    }
    return v;
}

/* File names need not be UTF-8, JSON must be: other bytes become U+FFFD. The caller frees. */
static char *as_utf8(const char *s)
{
    char *out = malloc(strlen(s) * 3 + 1), *p = out;
    const unsigned char *q = (const unsigned char *)s;
    while (out && *q) {
        uint32_t c;
        int n = utf8_at(q, &c);
        memcpy(p, n ? (const char *)q : "\xef\xbf\xbd", n ? (size_t)n : 3);
        p += n ? n : 3;
        q += n ? n : 1;
    }
    if (out)
        *p = 0;
    return out;
}

static cJSON *json_text(const char *value)
{
    char *s = value ? as_utf8(value) : NULL;
    cJSON *v = value ? s ? cJSON_CreateString(s) : NULL : cJSON_CreateNull();
    free(s);
    return v;
}

static void put(cJSON *to, const char *key, cJSON *v)
{
    if (!kept(v) || !cJSON_AddItemToObject(to, key, v)) {
        json_failed = 1;
        cJSON_Delete(v);
    }
}

void json_move(cJSON *to, const char *key, cJSON *value)
{
    if (to)
        put(to, key, value);
    else
        cJSON_Delete(value);
}

void json_str(cJSON *to, const char *key, const char *value)
{
    if (to)
        put(to, key, json_text(value));
}

void json_int(cJSON *to, const char *key, int64_t value)
{
    char s[32];
    snprintf(s, sizeof(s), "%lld", (long long)value);
    if (to)
        put(to, key, cJSON_CreateRaw(s));
}

static cJSON *json_number(double value, int decimals)
{
    char s[400];
    snprintf(s, sizeof(s), "%.*f", decimals, value);
    return isfinite(value) ? cJSON_CreateRaw(s) : cJSON_CreateNull();
}

void json_real(cJSON *to, const char *key, double value, int decimals)
{
    if (to)
        put(to, key, json_number(value, decimals));
}

void json_bool(cJSON *to, const char *key, int value)
{
    if (to)
        put(to, key, cJSON_CreateBool(value));
}

void json_item_real(cJSON *array, double value, int decimals)
{
    if (array)
        append(array, json_number(value, decimals));
}

void json_item_str(cJSON *array, const char *value)
{
    if (array)
        append(array, json_text(value));
}

char *json_text_of(const cJSON *value)
{
    return value && !json_failed ? cJSON_PrintUnformatted(value) : NULL;
}

void json_text_free(char *text)
{
    cJSON_free(text);
}

int json_print(const Tool *tool, cJSON *value, int status)
{
    char *s = value && !json_failed ? cJSON_Print(value) : NULL;
    cJSON_Delete(value);
    json_failed = 0;
    if (!s)
        return tool_error(tool, "out of memory");
    puts(s);
    cJSON_free(s);
    return finish_output(tool, status);
}

/* ---- progress */

double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void progress_begin(Progress *p, const Tool *tool, const char *what, int64_t total)
{
    *p = (Progress){ .what = what, .total = total, .start_s = seconds_now(), .on = !tool->quiet && isatty(STDERR_FILENO) };
}

void progress_step(Progress *p, int64_t done)
{
    p->done = done;
    if (!p->on)
        return;
    double now = seconds_now(), lasted = now - p->start_s;
    if (lasted < 2 || now - p->shown_s < 0.2)
        return;
    p->shown_s = now;
    double rate = (double)done / lasted;
    fprintf(stderr, "\r\033[K%lld", (long long)done);
    if (p->total > 0)
        fprintf(stderr, "/%lld", (long long)p->total);
    fprintf(stderr, " %s  %.1f/s%s%s", p->what, rate, *p->note ? "  " : "", p->note);
    double share = p->share > 0 || p->total <= 0 ? p->share : (double)done / (double)p->total;
    if (share > 0) {
        int64_t left = (int64_t)(lasted * (1 - share) / share + 0.5);
        if (left >= 3600)
            fprintf(stderr, "  ETA %lld:%02d:%02d", (long long)(left / 3600), (int)(left / 60 % 60), (int)(left % 60));
        else
            fprintf(stderr, "  ETA %d:%02d", (int)(left / 60), (int)(left % 60));
    }
    fflush(stderr);
}

void progress_end(Progress *p)
{
    if (p->on && p->shown_s > 0)
        fputs("\r\033[K", stderr);
    p->on = 0;
}
