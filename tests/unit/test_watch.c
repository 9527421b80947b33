/* mien watch: its configuration, the commands made of it, secrets kept out of lines, rotated logs, ffmpeg's progress. */
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool/watch_command.h"
#include "tool/watch_config.h"
#include "tool/watch_log.h"
#include "tool/watch_progress.h"
#include "tool/watch_secrets.h"

/* ---- configuration */

#define WATCH "[watch]\nrun = r\n"
#define CAM "[camera a]\nurl = rtsp://h/s\n"

static int parse(WatchConfig *c, const char *text, char why[600])
{
    return watch_config_parse(c, text, strlen(text), why, 600);
}

static void config_says_what_is_wrong(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        { "", "[watch] has no run" },
        { "x = 1\n", "line 1: stands before the first section" },
        { WATCH, "there is no [camera NAME]" },
        { WATCH "[camera a]\n", "line 3: camera a has no url" },
        { WATCH "[camera a]\nurl=\n", "line 4: url has no value" },
        { WATCH CAM "stal = 3s\n", "line 5: there is no key 'stal'; did you mean stall?" },
        { WATCH CAM "run = x\n", "line 5: run belongs under [watch]" },
        { "[watch]\nurl = x\n", "line 2: url belongs under [camera NAME]" },
        { WATCH CAM "url = rtsp://other\n", "line 5: url is set a second time" },
        { WATCH CAM "[camera a]\n", "line 5: there is a camera 'a' in line 3" },
        { WATCH "[watch]\n", "line 3: [watch] stands here a second time" },
        { WATCH "[camera ../x]\n", "line 3: a camera's name has" },
        { WATCH "[camera ]\n", "line 3: a camera's name has" },
        { WATCH "[cam a]\n", "line 3: there is no section '[cam a]'" },
        { WATCH "[camera a] x\n", "line 3: a section is" },
        { WATCH "nonsense\n", "line 3: is neither" },
        { WATCH CAM "stall = 15\n", "line 5: stall wants a time such as" },
        { WATCH CAM "stall = -1s\n", "line 5: stall wants a time" },
        { WATCH CAM "stall = 25h\n", "line 5: stall is 25h; it must be from 1 to 86400000 ms" },
        { WATCH CAM "stall = 9223372036854775807h\n", "line 5: stall is 9223372036854775807h; it must be" },
        { WATCH CAM "log_size = 5X\n", "line 5: log_size wants a size" },
        { WATCH CAM "log_count = 1000\n", "line 5: log_count is 1000" },
        { WATCH CAM "output = 'a\n", "line 5: output has a quote that is not closed" },
        { WATCH CAM "output = -f rtsp rtsp://u:p@h/x\n", "line 5: output holds a URL with a user or password" },
        { WATCH CAM "after = drawtext=text=rtsp\\://x,movie=rtsp://u:p@h/x\n", "line 5: after holds a URL" },
        { WATCH CAM "options = tcp\n", "line 5: options wants FFmpeg's options as key=value" },
        { WATCH CAM "facetag = live=1:log=x\n", "line 3: camera a: facetag sets log" },
        { WATCH CAM "password = x\n", "line 3: camera a: a password without a user" },
        { WATCH CAM "user = u\npassword = x\npassword_env = Y\n", "line 3: camera a: password, password_file and password_env exclude" },
        { WATCH "[camera a]\nurl = rtsp://u:p@h/\npassword = x\n", "line 3: camera a: user or password stand both" },
        { WATCH "[camera a]\nurl = clip.mkv\nuser = x\n", "line 3: camera a: user and password belong to a network URL" },
        { WATCH "[camera a]\nurl = http://u:p@h/\nformat = mpjpeg\n", "line 3: camera a: with format the URL is shown" },
        { WATCH "[camera a]\nurl = a b\n", "line 4: url holds a blank" },
        { WATCH CAM "retry_min = 5min\n", "line 3: camera a: retry_min is longer than retry_max" },
        { WATCH CAM "events = e\n[camera b]\nurl = x\nevents = e\n", "line 6: cameras a and b would write" },
        { WATCH "[camera a\x01]\n", "line 3: holds a control character (byte 1)" },
    };
    WatchConfig c;
    char why[600];
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        assert_int_equal(parse(&c, rows[i].text, why), MIEN_E_FORMAT);
        if (strncmp(why, rows[i].why, strlen(rows[i].why)))
            fail_msg("row %zu: '%s', wanted '%s'", i, why, rows[i].why);
        assert_null(c.camera);
    }
    assert_int_equal(watch_config_parse(&c, WATCH "\0", sizeof(WATCH), why, sizeof(why)), MIEN_E_FORMAT);
    assert_string_equal(why, "line 3: holds a zero byte");
}

static void config_fills_in_defaults(void **state)
{
    WatchConfig c;
    char why[600];
    (void)state;
    assert_int_equal(parse(&c, "# cameras\r\n[watch]\r\nrun=/r\nstall=2s\nuser=u\npassword_file=pw\nrecord = rec/{name}-{name}.mkv\n"
                               "[camera a]\n  url = rtsp://h/s \n stall = 500ms\nlog_size=2K\n; end\n"
                               "[camera b]\nurl=rtsp://v@h/\npassword_env=E\n[camera c]\nurl=clip.mkv\n[camera d]\nurl=rtsp://v:w@h/", why), 0);
    assert_int_equal(c.n_cameras, 4);
    const WatchCamera *a = &c.camera[0], *b = &c.camera[1];
    assert_string_equal(a->url, "rtsp://h/s");
    assert_int_equal(a->stall_ms, 500);
    assert_int_equal(b->stall_ms, 2000);
    assert_int_equal(a->log_size_bytes, 2048);
    assert_int_equal(b->log_size_bytes, 10 << 20);
    assert_int_equal(b->retry_max_ms, 60000);
    assert_string_equal(a->record, "rec/a-a.mkv");
    assert_string_equal(a->user, "u");
    assert_string_equal(a->password_file, "pw");
    assert_null(b->user); /* the URL has one */
    assert_null(b->password_file);
    assert_string_equal(b->password_env, "E");
    assert_null(c.camera[2].user); /* a file has none */
    assert_null(c.camera[3].password_file);
    assert_false(watch_camera_equal(a, b));
    watch_config_free(&c);
}

static void config_compares(void **state)
{
    static const char *const changed[] = { "stall = 1s\n", "before = fps=5\n", "events = none\n", "password = x\nuser = u\n" };
    WatchConfig a, b;
    char why[600];
    (void)state;
    assert_int_equal(parse(&a, WATCH CAM, why), 0);
    assert_int_equal(parse(&b, WATCH "stall = 15s\n\n" CAM, why), 0); /* said aloud what is the default */
    assert_true(watch_camera_equal(&a.camera[0], &b.camera[0]));
    watch_config_free(&b);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(changed); i++) {
        char text[200];
        snprintf(text, sizeof(text), WATCH CAM "%s", changed[i]);
        assert_int_equal(parse(&b, text, why), 0);
        assert_false(watch_camera_equal(&a.camera[0], &b.camera[0]));
        watch_config_free(&b);
    }
    watch_config_free(&a);
}

static void words_split(void **state)
{
    static const struct {
        const char *text;
        const char *word[4];
    } rows[] = {
        { "", { NULL } },
        { "  ", { NULL } },
        { " a\tbc ", { "a", "bc", NULL } },
        { "'a b' \"c'd\" e\\ f", { "a b", "c'd", "e f", NULL } },
        { "a'b c'd", { "ab cd", NULL } },
        { "'a\\b' \"a\\b\\\"\\\\\"", { "a\\b", "a\\b\"\\", NULL } },
        { "''", { "", NULL } },
    };
    WatchWords w;
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        size_t n = 0;
        assert_int_equal(watch_words_split(&w, rows[i].text), 0);
        for (; rows[i].word[n]; n++)
            assert_string_equal(w.word[n], rows[i].word[n]);
        assert_int_equal(w.n, n);
        watch_words_free(&w);
    }
    assert_int_equal(watch_words_split(&w, "a \"b"), MIEN_E_FORMAT);
    assert_int_equal(w.n, 0);
}

/* ---- secrets */

static void secrets_leave_no_trace(void **state)
{
    static const struct {
        const char *line, *clean;
    } rows[] = {
        { "Impossible to open 'rtsp://u:p%40ss@h/s?token=abc'", "Impossible to open 'rtsp://***@h/s?***'" },
        { "p@ss is said, p%40ss too", "*** is said, *** too" },
        { "Authorization: Basic dTpwQHNz", "Authorization: Basic ***" },
        { "rtsp://other:one@x/ and http://h/@y", "rtsp://***@x/ and http://h/@y" },
        { "nothing here: a@b, x://y", "nothing here: a@b, x://y" },
        { "://a@b", "://a@b" },
        { "x://a@b@c d@e", "x://***@c d@e" },
    };
    WatchSecrets s;
    (void)state;
    assert_int_equal(secrets_of_url(&s, "rtsp://u:p%40ss@h/s?token=abc"), 0);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        char line[200];
        strcpy(line, rows[i].line);
        secrets_scrub(&s, line, sizeof(line));
        assert_string_equal(line, rows[i].clean);
    }
    char tight[12] = "ab p@ss p@ss"; /* 12 bytes, not ended: the room counts */
    tight[11] = '\0';
    secrets_scrub(&s, tight, sizeof(tight));
    assert_string_equal(tight, "ab *** p@s");
    secrets_free(&s);

    char *code = secret_encode("a/b:c@d%\xc3\xa4'");
    assert_string_equal(code, "a%2Fb%3Ac%40d%25%C3%A4%27");
    mien_free(code);
}

/* ---- commands */

static void make_command(WatchCommand *cmd, const char *text)
{
    WatchConfig c;
    char why[600];
    assert_int_equal(parse(&c, text, why), 0);
    if (watch_command_make(cmd, &c.camera[0], 1, why, sizeof(why)) < 0)
        fail_msg("%s", why);
    watch_config_free(&c);
}

static const char *word_after(const WatchCommand *cmd, const char *word)
{
    for (size_t i = 0; i + 1 < cmd->argv.n; i++)
        if (!strcmp(cmd->argv.word[i], word))
            return cmd->argv.word[i + 1];
    return NULL;
}

static void commands_hide_the_url(void **state)
{
    WatchCommand cmd;
    (void)state;
    setenv("WATCH_TEST_PASSWORD", "it's p@ss", 1);
    make_command(&cmd, WATCH "gallery = a:b'c,d.db\n[camera x]\nurl = rtsp://cam/s?q=1\nuser = me\npassword_env = WATCH_TEST_PASSWORD\n"
                             "options = rtsp_transport=tcp headers=\"X: it's\"\nbefore = fps=5\nfacetag = live=1\nafter = null\n"
                             "input = -skip_frame nokey\nrecord = -c copy 'r 1.mkv'\n");
    assert_string_equal(cmd.script, "ffconcat version 1.0\nfile 'rtsp://me:it%27s%20p%40ss@cam/s?q=1'\noption rtsp_transport 'tcp'\n"
                                    "option headers 'X: it'\\''s'\n");
    assert_string_equal(word_after(&cmd, "-i"), "pipe:3");
    assert_string_equal(word_after(&cmd, "-skip_frame"), "nokey");
    assert_string_equal(word_after(&cmd, "-vf"), "fps=5,facetag=gallery=a\\\\:b\\\\\\'c\\,d.db:live=1:log=pipe\\\\:5:format=jsonl,null");
    assert_string_equal(cmd.argv.word[cmd.argv.n - 1], "r 1.mkv");
    for (size_t i = 0; i < cmd.argv.n; i++) {
        assert_null(strstr(cmd.argv.word[i], "p@ss"));
        assert_null(strstr(cmd.argv.word[i], "cam/"));
    }
    watch_command_free(&cmd);
}

static void commands_open_files_as_they_are(void **state)
{
    WatchCommand cmd;
    (void)state;
    make_command(&cmd, WATCH "[camera x]\nurl = testsrc=r=5\nformat = lavfi\noptions = graph=a\nfacetag = none\n");
    assert_null(cmd.script);
    assert_string_equal(word_after(&cmd, "-i"), "testsrc=r=5");
    assert_string_equal(word_after(&cmd, "-graph"), "a");
    assert_null(word_after(&cmd, "-vf"));
    watch_command_free(&cmd);
    make_command(&cmd, WATCH "[camera x]\nurl = file:///a\nfacetag = \n");
    assert_null(cmd.script);
    assert_string_equal(word_after(&cmd, "-vf"), "facetag=log=pipe\\\\:5:format=jsonl");
    watch_command_free(&cmd);
}

/* ---- logs */

static char *path_of(const char *name)
{
    static char path[4][300];
    static int next;
    const char *tmp = getenv("TMPDIR");
    char *p = path[next++ % 4];
    snprintf(p, 300, "%s/watch-%ld-%s", tmp ? tmp : "/tmp", (long)getpid(), name);
    return p;
}

static void content_is(const char *path, const char *want)
{
    char text[200] = "";
    FILE *f = fopen(path, "r");
    if (!f)
        fail_msg("%s: cannot be opened", path);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(text, want);
}

static void append(WatchLog *log, const char *lines)
{
    size_t left = strlen(lines), done;
    while (left) {
        assert_int_equal(watch_log_ready(log), 0);
        size_t n = watch_log_fitting(log, lines, left);
        if (!n) {
            assert_int_equal(watch_log_rotate(log), 0);
            continue;
        }
        assert_int_equal(watch_log_write(log, lines, n, &done), 0);
        assert_int_equal(done, n);
        lines += n;
        left -= n;
    }
}

static void logs_rotate(void **state)
{
    char *path = strdup(path_of("log"));
    WatchLog log, other;
    (void)state;
    watch_log_init(&log, path, 8, 2);
    append(&log, "one\ntwo\nthree\n");
    content_is(path, "three\n");
    content_is(path_of("log.1"), "one\ntwo\n");
    append(&log, "longer than a file may be\nx\n");
    content_is(path, "x\n");
    content_is(path_of("log.1"), "longer than a file may be\n");
    content_is(path_of("log.2"), "three\n");
    assert_int_not_equal(access(path_of("log.3"), F_OK), 0);

    watch_log_init(&other, path, 8, 2);
    assert_int_equal(watch_log_ready(&other), MIEN_ERR(EWOULDBLOCK));
    assert_int_equal(rename(path, path_of("moved")), 0); /* by somebody else: the next line makes it anew */
    append(&log, "y\n");
    content_is(path, "y\n");
    content_is(path_of("moved"), "x\n");
    watch_log_close(&log);
    assert_int_equal(watch_log_ready(&other), 0);
    watch_log_close(&other);
    unlink(path);
    unlink(path_of("log.1"));
    unlink(path_of("log.2"));
    unlink(path_of("moved"));
    free(path);
}

static void logs_are_mended(void **state)
{
    static const struct {
        const char *content, *mended;
    } rows[] = { { "", "" }, { "a\n", "a\n" }, { "a\nb", "a\n" }, { "abc", "" } };
    const char *path = path_of("mend");
    WatchLog log;
    size_t done;
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        watch_log_init(&log, path, 1000, 1);
        assert_int_equal(watch_log_ready(&log), 0);
        watch_log_write(&log, rows[i].content, strlen(rows[i].content), &done);
        assert_int_equal(watch_log_mend(&log), 0);
        content_is(path, rows[i].mended);
        assert_int_equal(log.bytes, strlen(rows[i].mended));
        watch_log_close(&log);
        unlink(path);
    }
}

static void logs_know_what_they_have(void **state)
{
    static const struct {
        const char *content, *lines;
        size_t has;
    } rows[] = {
        { "", "a\n", 0 }, { "a\n", "a\nb\n", 2 }, { "x\na\nb\n", "a\nb\nc\n", 4 }, { "a\nb\n", "b\nc\n", 2 }, { "b\na\n", "b\nc\n", 0 },
        { "a\n", "a\na\n", 2 },
    };
    const char *path = path_of("has");
    WatchLog log;
    size_t done;
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        watch_log_init(&log, path, 1000, 1);
        assert_int_equal(watch_log_ready(&log), 0);
        watch_log_write(&log, rows[i].content, strlen(rows[i].content), &done);
        assert_int_equal(watch_log_has(&log, rows[i].lines, strlen(rows[i].lines)), rows[i].has);
        watch_log_close(&log);
        unlink(path);
    }
}

/* ---- progress */

static void block(WatchProgress *p, int frame, double out_s, double now_s)
{
    char text[200];
    int n = snprintf(text, sizeof(text), "frame=%d\nfps=1.0\ntotal_size=N/A\nout_time_us=%.0f\nspeed= 1x\nprogress=continue\n", frame, out_s * 1e6);
    for (int i = 0; i < n; i++) /* in any pieces */
        watch_progress_feed(p, text + i, 1, now_s);
}

static void progress_is_understood(void **state)
{
    WatchProgress p;
    (void)state;
    watch_progress_init(&p);
    block(&p, 0, 0, 100);
    assert_true(p.first_s == 0);
    assert_true(isnan(watch_progress_lag_s(&p)));
    for (int i = 1; i <= 20; i++)
        block(&p, i * 25, i, 100 + i);
    assert_true(p.first_s == 101 && p.alive_s == 120);
    assert_true(fabs(p.fps - 25) < 1e-9);
    assert_true(fabs(watch_progress_lag_s(&p)) < 1e-9);
    block(&p, 500, 20, 130); /* nothing moved */
    assert_true(p.alive_s == 120);
    block(&p, 525, 21, 131);
    assert_true(p.alive_s == 131);
    assert_true(fabs(watch_progress_lag_s(&p) - 10) < 1e-9);
    /* What stays as late for long enough is what there is. */
    for (int i = 1; i <= 700; i++)
        block(&p, 525 + i, 21 + i, 131 + i);
    assert_true(fabs(watch_progress_lag_s(&p)) < 1e-9);
    char junk[400];
    memset(junk, 'x', sizeof(junk));
    watch_progress_feed(&p, junk, sizeof(junk), 1000);
    watch_progress_feed(&p, "\nframe=99999999999999999999\nprogress=end\n", 41, 1000);
    assert_int_equal(p.frames, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_says_what_is_wrong), cmocka_unit_test(config_fills_in_defaults), cmocka_unit_test(config_compares),
        cmocka_unit_test(words_split), cmocka_unit_test(secrets_leave_no_trace), cmocka_unit_test(commands_hide_the_url),
        cmocka_unit_test(commands_open_files_as_they_are), cmocka_unit_test(logs_rotate), cmocka_unit_test(logs_are_mended),
        cmocka_unit_test(logs_know_what_they_have), cmocka_unit_test(progress_is_understood),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
