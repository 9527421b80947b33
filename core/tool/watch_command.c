/* The command line of a camera's ffmpeg; see watch_command.h. Escaping: ffmpeg-utils(1) "Quoting and escaping", ffmpeg-filters(1) "Notes on
 * filtergraph escaping"; the script: ffmpeg-formats(1), concat. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mien/common.h"
#include "mien/error.h"
#include "watch_command.h"

/* Without "file": a playlist that a camera sends must not read this machine's files. */
#define PROTOCOLS "crypto,data,http,httpproxy,https,pipe,rtmp,rtmps,rtmpt,rtp,srt,srtp,tcp,tls,udp,udplite"
#define DEFAULT_FACETAG "live=1"

/* ---- text that grows */

typedef struct Text {
    char *s;
    size_t n, room;
    int failed;
} Text;

static void put_bytes(Text *t, const char *s, size_t n)
{
    if (t->failed)
        return;
    if (t->n + n + 1 > t->room) {
        char *more = mien_realloc_array(t->s, (t->n + n + 1) * 2, 1);
        if (!more) {
            t->failed = 1;
            return;
        }
        t->s = more;
        t->room = (t->n + n + 1) * 2;
    }
    memcpy(t->s + t->n, s, n);
    t->n += n;
    t->s[t->n] = '\0';
}

static void put(Text *t, const char *s)
{
    put_bytes(t, s, strlen(s));
}

/* A backslash before each of these characters. */
static void put_escaped(Text *t, const char *s, const char *special)
{
    for (; *s; s++) {
        if (strchr(special, *s))
            put_bytes(t, "\\", 1);
        put_bytes(t, s, 1);
    }
}

/* The text, or NULL if memory ran out. */
static char *take(Text *t)
{
    if (t->failed) {
        mien_free(t->s);
        t->s = NULL;
    }
    return t->s;
}

char *watch_filter_escape(const char *value)
{
    Text inner = { .n = 0 }, outer = { .n = 0 };
    put(&inner, "");
    put_escaped(&inner, value, "\\':");
    put(&outer, "");
    if (!inner.failed)
        put_escaped(&outer, inner.s, "\\'[],; \t");
    outer.failed |= inner.failed;
    mien_free(inner.s);
    return take(&outer);
}

/* ---- the URL */

static int fail(char *why, size_t why_bytes, int err, const char *text, const char *what)
{
    snprintf(why, why_bytes, text, what);
    return err;
}

static int no_memory(char *why, size_t why_bytes)
{
    return fail(why, why_bytes, MIEN_ERR(ENOMEM), "out of memory", "");
}

/* *password is NULL where the camera names none; the caller frees it. */
static int read_password(char **password, const WatchCamera *c, char *why, size_t why_bytes)
{
    const char *text = c->password;
    uint8_t *data = NULL;
    size_t bytes;
    *password = NULL;
    if (c->password_env && !(text = getenv(c->password_env)))
        return fail(why, why_bytes, MIEN_E_NOTFOUND, "the environment has no variable %s, which password_env names", c->password_env);
    if (c->password_file) {
        int ret = mieni_file_read(c->password_file, SECRET_MAX_BYTES, &data, &bytes, (MienLog){ .write = NULL });
        if (ret < 0) {
            snprintf(why, why_bytes, "password_file %s: %s", c->password_file, mien_strerror(ret));
            return ret;
        }
        text = (const char *)data;
        ((char *)data)[strcspn(text, "\r\n")] = '\0';
    }
    if (text && strlen(text) > SECRET_MAX_BYTES / 3)
        fail(why, why_bytes, MIEN_E_FORMAT, "the password is too long%s", "");
    else if (text)
        *password = mien_strdup(text);
    mien_free(data);
    if (text && !*password)
        return *why ? MIEN_E_FORMAT : no_memory(why, why_bytes);
    return 0;
}

/* scheme://user:password@rest, from what stands in url and beside it. NULL: no memory. */
static char *url_with_user(const WatchCamera *c, const char *password)
{
    size_t begin, end;
    const char *rest = strstr(c->url, "://");
    rest = rest ? rest + 3 : c->url;
    int in_url = secret_in_url(c->url, &begin, &end);
    if (!c->user && !password)
        return mien_strdup(c->url);
    char *user_code = in_url ? mien_strndup(c->url + begin, end - begin) : secret_encode(c->user ? c->user : "");
    char *password_code = password ? secret_encode(password) : NULL;
    Text t = { .failed = !user_code || (password && !password_code) };
    if (!t.failed) {
        put_bytes(&t, c->url, (size_t)(rest - c->url));
        put(&t, user_code);
        put(&t, password_code ? ":" : "");
        put(&t, password_code ? password_code : "");
        put(&t, "@");
        put(&t, in_url ? c->url + end + 1 : rest);
    }
    mien_free(user_code);
    mien_free(password_code);
    return take(&t);
}

/* Single quotes, which nothing but a single quote ends. */
static void put_quoted(Text *t, const char *s)
{
    put(t, "'");
    for (; *s; s++) {
        if (*s == '\'')
            put(t, "'\\''");
        else
            put_bytes(t, s, 1);
    }
    put(t, "'");
}

static char *script_of(const char *url, const WatchWords *options)
{
    Text t = { .n = 0 };
    put(&t, "ffconcat version 1.0\nfile ");
    put_quoted(&t, url);
    put(&t, "\n");
    for (size_t i = 0; i < options->n; i++) {
        const char *value = strchr(options->word[i], '=') + 1;
        put(&t, "option ");
        put_bytes(&t, options->word[i], (size_t)(value - 1 - options->word[i]));
        put(&t, " ");
        put_quoted(&t, value);
        put(&t, "\n");
    }
    return take(&t);
}

/* ---- the command */

static char *chain_of(const WatchCamera *c, int with_events)
{
    Text t = { .n = 0 };
    put(&t, c->before ? c->before : "");
    if (!c->facetag || strcmp(c->facetag, "none")) {
        const char *options = c->facetag ? c->facetag : DEFAULT_FACETAG;
        char *gallery = c->gallery ? watch_filter_escape(c->gallery) : NULL, log[64] = "";
        t.failed |= c->gallery && !gallery;
        put(&t, t.n ? ",facetag" : "facetag");
        if (with_events)
            snprintf(log, sizeof(log), "log=pipe\\\\:%d:format=jsonl", WATCH_FD_EVENTS);
        const char *part[] = { gallery ? "gallery=" : "", gallery ? gallery : "", gallery && *options ? ":" : "", options,
                               *log && (gallery || *options) ? ":" : "", log };
        put(&t, gallery || *options || *log ? "=" : "");
        for (size_t i = 0; i < MIEN_ARRAY_ELEMS(part); i++)
            put(&t, part[i]);
        mien_free(gallery);
    }
    if (c->after && *c->after) {
        put(&t, t.n ? "," : "");
        put(&t, c->after);
    }
    return take(&t);
}

static int add_words(WatchWords *argv, const char *text)
{
    WatchWords w;
    int ret = text ? watch_words_split(&w, text) : 0;
    if (!text || ret < 0)
        return ret;
    for (size_t i = 0; i < w.n && ret >= 0; i++)
        ret = watch_words_add(argv, w.word[i]);
    watch_words_free(&w);
    return ret;
}

/* "-key value" for each; what a demuxer takes that is not opened through the script. */
static int add_options(WatchWords *argv, const WatchWords *options)
{
    int ret = 0;
    for (size_t i = 0; i < options->n && ret >= 0; i++) {
        const char *value = strchr(options->word[i], '=') + 1;
        char key[128];
        snprintf(key, sizeof(key), "-%.*s", (int)(value - 1 - options->word[i]), options->word[i]);
        if ((ret = watch_words_add(argv, key)) >= 0)
            ret = watch_words_add(argv, value);
    }
    return ret;
}

static int add_input(WatchCommand *cmd, const WatchCamera *c, const char *url, const WatchWords *options)
{
    WatchWords *argv = &cmd->argv;
    int ret;
    if (watch_url_is_network(c->url) && !c->format) {
        cmd->script = script_of(url, options);
        return cmd->script ? add_words(argv, "-f concat -safe 0 -protocol_whitelist " PROTOCOLS " -i pipe:3") : MIEN_ERR(ENOMEM);
    }
    if ((ret = add_options(argv, options)) >= 0 && c->format && (ret = watch_words_add(argv, "-f")) >= 0)
        ret = watch_words_add(argv, c->format);
    if (ret >= 0 && (ret = watch_words_add(argv, "-i")) >= 0)
        ret = watch_words_add(argv, url);
    return ret;
}

/* Progress four times within what counts as a stall, but not oftener than every 50 ms, and at least every second. */
static int add_reporting(WatchWords *argv, const WatchCamera *c)
{
    int64_t period_ms = c->stall_ms / 4 < 50 ? 50 : c->stall_ms / 4 > 1000 ? 1000 : c->stall_ms / 4;
    char text[160];
    snprintf(text, sizeof(text), "-hide_banner -nostdin -nostats -loglevel level+info -progress pipe:%d -stats_period %.3f", WATCH_FD_PROGRESS,
             (double)period_ms / 1000);
    return add_words(argv, text);
}

static int make(WatchCommand *cmd, const WatchCamera *c, int with_events, const char *url)
{
    WatchWords options = { .n = 0 };
    char *chain = chain_of(c, with_events);
    int ret = chain ? watch_words_add(&cmd->argv, c->ffmpeg) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = add_reporting(&cmd->argv, c);
    if (ret >= 0)
        ret = add_words(&cmd->argv, c->input);
    if (ret >= 0 && c->options)
        ret = watch_words_split(&options, c->options);
    if (ret >= 0)
        ret = add_input(cmd, c, url, &options);
    if (ret >= 0 && *chain && (ret = watch_words_add(&cmd->argv, "-vf")) >= 0)
        ret = watch_words_add(&cmd->argv, chain);
    if (ret >= 0)
        ret = add_words(&cmd->argv, c->output);
    if (ret >= 0)
        ret = add_words(&cmd->argv, c->record);
    watch_words_free(&options);
    mien_free(chain);
    return ret;
}

int watch_command_make(WatchCommand *cmd, const WatchCamera *c, int with_events, char *why, size_t why_bytes)
{
    char *password, *url = NULL;
    *cmd = (WatchCommand){ .script = NULL };
    *why = '\0';
    int ret = read_password(&password, c, why, why_bytes);
    if (ret < 0)
        return ret;
    url = url_with_user(c, password);
    ret = url ? secrets_of_url(&cmd->secrets, url) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = make(cmd, c, with_events, url);
    mien_free(url);
    mien_free(password);
    if (ret < 0) {
        watch_command_free(cmd);
        no_memory(why, why_bytes);
    }
    return ret;
}

void watch_command_free(WatchCommand *cmd)
{
    watch_words_free(&cmd->argv);
    mien_free(cmd->script);
    secrets_free(&cmd->secrets);
    *cmd = (WatchCommand){ .script = NULL };
}
