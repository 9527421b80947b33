/* Events as text: every format against what is written here by hand, names that mean something to a format, order and bounds. */
#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mien/error.h"
#include "mien/event_text.h"

static const MienEventContext no_context = { .wall_us = -1 };
/* 2026-11-23T21:40:12.345Z */
static const MienEventContext some_context = { .wall_us = INT64_C(1795470012345678) };

static MienAppearance appearance(const char *name, double first_s, double last_s)
{
    MienAppearance a = { .track = 3, .id = 12, .status = MIEN_STATUS_KNOWN, .first_s = first_s, .last_s = last_s, .first_frame = 4,
                         .last_frame = 70, .sim_cos = 0.61425f, .prob_live = NAN };
    snprintf(a.name, sizeof(a.name), "%s", name);
    if (!*name) {
        a.status = MIEN_STATUS_UNRECOGNISED;
        a.id = -1;
    }
    return a;
}

static void expect(MienEventFormat format, MienAppearance a, const char *want)
{
    char buf[MIEN_EVENT_TEXT_BYTES];
    int n = mien_appearance_text(format, &a, 7, &some_context, buf, sizeof(buf));
    assert_string_equal(buf, want);
    assert_int_equal(n, (int)strlen(want));
    for (size_t room = 0; room <= (size_t)n; room++)
        assert_int_equal(mien_appearance_text(format, &a, 7, &some_context, buf, room), MIEN_ERR(ENOSPC));
}

static void formats_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        MienEventFormat format;
    } rows[] = {
        { "a.jsonl", MIEN_EVENT_JSONL },
        { "a.vtt", MIEN_EVENT_VTT },
        { "dir.vtt/A.SRT", MIEN_EVENT_SRT },
        { "a.csv", MIEN_EVENT_CSV },
        { "a.ffmeta", MIEN_EVENT_CHAPTERS },
        { "a.ffmetadata", MIEN_EVENT_CHAPTERS },
        { "http://host/a.vtt?key=b.csv#c.srt", MIEN_EVENT_VTT },
        { "what?.vtt", MIEN_EVENT_VTT }, /* a file's name may hold anything */
        { "pipe:1", MIEN_EVENT_JSONL },
        { "tcp://host:1", MIEN_EVENT_JSONL },
        { ".vtt", MIEN_EVENT_JSONL },    /* a name without an ending */
        { "", MIEN_EVENT_JSONL },
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(mien_event_format_of(rows[i].name), rows[i].format);
    assert_true(mien_event_format_ordered(MIEN_EVENT_VTT) && mien_event_format_ordered(MIEN_EVENT_CHAPTERS));
    assert_false(mien_event_format_ordered(MIEN_EVENT_JSONL) || mien_event_format_ordered(MIEN_EVENT_CSV));
    assert_string_equal(mien_event_text_head(MIEN_EVENT_VTT), "WEBVTT\n\n");
    assert_string_equal(mien_event_text_head(MIEN_EVENT_SRT), "");
}

static void subtitles(void **state)
{
    (void)state;
    expect(MIEN_EVENT_VTT, appearance("Ann", 12.48, 3725.0006), "track 3 known\n00:00:12.480 --> 01:02:05.001\nAnn\n\n");
    expect(MIEN_EVENT_VTT, appearance("", 0, 360000), "track 3 unrecognised\n00:00:00.000 --> 100:00:00.000\nunrecognised\n\n");
    expect(MIEN_EVENT_VTT, appearance("<b>A&B --> C\nD\r\xff", 1, 2),
           "track 3 known\n00:00:01.000 --> 00:00:02.000\n&lt;b&gt;A&amp;B --&gt; C D \xef\xbf\xbd\n\n");
    expect(MIEN_EVENT_SRT, appearance("<i>{\\an8} --> 李", 12.48, 13),
           "7\n00:00:12,480 --> 00:00:13,000\n\xe2\x80\xb9i\xe2\x80\xba(\\an8) --\xe2\x80\xba 李\n\n");
    /* before the beginning, and too short to be seen */
    expect(MIEN_EVENT_SRT, appearance("A", -3, -2), "7\n00:00:00,000 --> 00:00:00,100\nA\n\n");
    expect(MIEN_EVENT_VTT, appearance("A", 5, 5), "track 3 known\n00:00:05.000 --> 00:00:05.100\nA\n\n");
    expect(MIEN_EVENT_VTT, appearance("A", 5, 4), "track 3 known\n00:00:05.000 --> 00:00:05.100\nA\n\n");
    /* no place in time */
    expect(MIEN_EVENT_VTT, appearance("A", NAN, 5), "");
    expect(MIEN_EVENT_SRT, appearance("A", 1, INFINITY), "");
    expect(MIEN_EVENT_CHAPTERS, appearance("A", -1e300, 1), "");
}

static void chapters(void **state)
{
    (void)state;
    expect(MIEN_EVENT_CHAPTERS, appearance("A=B;C#D\\E\nF", 1.5, 2), "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=2000\ntitle=A\\=B\\;C\\#D\\\\E F\n\n");
    expect(MIEN_EVENT_CHAPTERS, appearance("A\\", 1.5, 2), "[CHAPTER]\nTIMEBASE=1/1000\nSTART=1500\nEND=2000\ntitle=A\\\\ \n\n");
}

static void put(MienAppearanceQueue *q, const char *name, double first_s, double last_s)
{
    MienAppearance a = appearance(name, first_s, last_s);
    assert_int_equal(mien_appearance_queue_push(q, &a), 0);
}

static void expect_chapter(MienAppearanceQueue *q, double settled_s, const char *name, double first_s, double last_s)
{
    MienAppearance a;
    assert_int_equal(mien_appearance_queue_pop(q, settled_s, &a), 1);
    assert_string_equal(a.name, name);
    assert_true(a.first_s == first_s && a.last_s == last_s);
}

/* Chapters follow one another and are told when nothing can change them any more. */
static void chapters_follow(void **state)
{
    (void)state;
    MienAppearanceQueue *q;
    MienAppearance a;
    assert_int_equal(mien_appearance_queue_create(&q, MIEN_EVENT_CHAPTERS, 4), 0);
    put(q, "Ann", 2, 9);
    assert_false(mien_appearance_queue_pop(q, 1.5, &a)); /* somebody may have come at 1.6 */
    assert_false(mien_appearance_queue_pop(q, 8, &a));   /* somebody else may have come at 8.5 and end it there */
    put(q, "", 2.5, 3);
    put(q, "An", 2.5, 3);
    put(q, "Ann", 2.75, 10);
    assert_false(mien_appearance_queue_pop(q, 9.5, &a));
    expect_chapter(q, 10, "Ann, unrecognised, An", 2, 10);
    put(q, "Bob", 20, 30);
    put(q, "Ann", 21, 25);
    expect_chapter(q, 22, "Bob", 20, 21);
    assert_false(mien_appearance_queue_pop(q, 22, &a));
    expect_chapter(q, INFINITY, "Ann", 21, 25);
    for (int i = 0; i < 5; i++)
        put(q, "Ann", 40 + 2 * i, 100);
    expect_chapter(q, 0, "Ann", 40, 42); /* 4 are held at most */
    assert_false(mien_appearance_queue_pop(q, 0, &a));
    put(q, "Ann", NAN, NAN); /* nothing to wait for */
    assert_true(mien_appearance_queue_pop(q, 0, &a) && isnan(a.first_s));
    expect_chapter(q, INFINITY, "Ann", 42, 44);
    mien_appearance_queue_destroy(&q);

    char name[200];
    memset(name, 'x', 199);
    name[199] = 0;
    assert_int_equal(mien_appearance_queue_create(&q, MIEN_EVENT_CHAPTERS, 4), 0);
    put(q, name, 0, 1);
    name[0] = 'y'; /* no room */
    put(q, name, 0, 1);
    put(q, "Bob", 0, 1);
    assert_true(mien_appearance_queue_pop(q, INFINITY, &a) && strlen(a.name) == 199 + 5);
    mien_appearance_queue_destroy(&q);
}

static void table(void **state)
{
    (void)state;
    expect(MIEN_EVENT_CSV, appearance("Ann, \"the\" 2nd", 12.48, 13),
           "\"Ann, \"\"the\"\" 2nd\",known,12.480,13.000,0.520,3,12,0.6143,,4,70,2026-11-23T21:40:12.345Z\r\n");
    expect(MIEN_EVENT_CSV, appearance("", NAN, NAN), "\"\",unrecognised,,,,3,,0.6143,,4,70,2026-11-23T21:40:12.345Z\r\n");
    static const char *const formulas[] = { "=1+1", "+A", "-A", "@A" };
    for (int i = 0; i < 4; i++) {
        char want[200];
        snprintf(want, sizeof(want), "\"'%s\",known,0.000,1.000,1.000,3,12,0.6143,,4,70,2026-11-23T21:40:12.345Z\r\n", formulas[i]);
        expect(MIEN_EVENT_CSV, appearance(formulas[i], 0, 1), want);
    }
    expect(MIEN_EVENT_CSV, appearance("A=1", 0, 1), "\"A=1\",known,0.000,1.000,1.000,3,12,0.6143,,4,70,2026-11-23T21:40:12.345Z\r\n");
}

static void json_lines(void **state)
{
    (void)state;
    static MienEvent e = { .kind = MIEN_EVENT_ENTER, .first_time_s = 1.5, .last_time_s = 2, .last_frame = 70 };
    e.tag = (MienTag){ .track = 3, .status = MIEN_STATUS_KNOWN, .id = 12, .name = "Ann", .sim_cos = 0.5f, .prob_same = NAN, .prob_live = NAN };
    MienEventContext c = some_context;
    char buf[MIEN_EVENT_TEXT_BYTES], event[MIEN_EVENT_TEXT_BYTES], want[2 * MIEN_EVENT_TEXT_BYTES], why[MIEN_EVENT_TEXT_BYTES];
    int n = mien_event_json(&e, event, sizeof(event));
    c.thumb = "a\"b.jpg";
    assert_true(n > 0 && mien_explanation_json(&e.explanation, why, sizeof(why)) > 0);
    assert_true(mien_event_line(&e, &c, buf, sizeof(buf)) > 0);
    snprintf(want, sizeof(want), "%.*s,\"thumb\":\"a\\\"b.jpg\",\"wall\":\"2026-11-23T21:40:12.345Z\"}\n", n - 1, event);
    assert_string_equal(buf, want);
    c.explain = 1;
    c.thumb = NULL;
    snprintf(want, sizeof(want), "%.*s,\"explain\":%s,\"wall\":\"2026-11-23T21:40:12.345Z\"}\n", n - 1, event, why);
    n = mien_event_line(&e, &c, buf, sizeof(buf));
    assert_string_equal(buf, want);
    for (size_t room = 0; room <= (size_t)n; room++)
        assert_int_equal(mien_event_line(&e, &c, buf, room), MIEN_ERR(ENOSPC));
    snprintf(want, sizeof(want), "%s\n", event);
    assert_true(mien_event_line(&e, &no_context, buf, sizeof(buf)) > 0);
    assert_string_equal(buf, want);

    /* the longest there is: names of 255 bytes that take six each, and all views */
    memset(e.tag.name, 1, MIEN_NAME_MAX_BYTES);
    memset(e.was_name, 1, MIEN_NAME_MAX_BYTES);
    memset(e.explanation.match.name, 1, MIEN_NAME_MAX_BYTES);
    memset(e.explanation.match.second_name, 1, MIEN_NAME_MAX_BYTES);
    e.kind = MIEN_EVENT_RETRACT;
    e.explanation.n_views = MIEN_MAX_VIEWS;
    c.explain = 1;
    assert_true(mien_event_line(&e, &c, buf, sizeof(buf)) > 4 * 6 * MIEN_NAME_MAX_BYTES);
}

static void of_an_event(void **state)
{
    (void)state;
    MienEvent e = { .kind = MIEN_EVENT_LEAVE, .first_time_s = 1.5, .last_time_s = 2, .last_frame = 70 };
    e.tag = (MienTag){ .track = 3, .status = MIEN_STATUS_SPOOF, .id = -1, .sim_cos = 0.5f, .prob_live = 0.25f, .first_frame = 9 };
    MienAppearance a = mien_event_appearance(&e);
    assert_true(a.track == 3 && a.id == -1 && a.status == MIEN_STATUS_SPOOF && a.first_s == 1.5 && a.last_s == 2 && a.first_frame == 9 &&
                a.last_frame == 70 && a.sim_cos == 0.5f && a.prob_live == 0.25f && !a.name[0]);
}

static void push(MienAppearanceQueue *q, int64_t track, double first_s)
{
    MienAppearance a = appearance("A", first_s, first_s + 1);
    a.track = track;
    assert_int_equal(mien_appearance_queue_push(q, &a), 0);
}

/* Takes out what may go and compares the tracks' numbers. */
static void expect_out(MienAppearanceQueue *q, double settled_s, const char *want)
{
    char got[256] = "";
    MienAppearance a;
    while (mien_appearance_queue_pop(q, settled_s, &a))
        snprintf(got + strlen(got), sizeof(got) - strlen(got), "%lld ", (long long)a.track);
    assert_string_equal(got, want);
}

static void order(void **state)
{
    (void)state;
    MienAppearanceQueue *q;
    assert_int_equal(mien_appearance_queue_create(&q, MIEN_EVENT_VTT, 4), 0);
    expect_out(q, INFINITY, "");
    push(q, 2, 3);
    push(q, 3, 5);
    expect_out(q, 1, ""); /* track 1 began at 1 and is still there */
    push(q, 1, 1);
    expect_out(q, 4, "1 2 ");
    push(q, 5, 4.5);
    push(q, 4, 4.5);
    expect_out(q, 5, "4 5 3 ");
    push(q, 6, NAN); /* no times: there is nothing to wait for */
    push(q, 7, 9);
    expect_out(q, 0, "6 ");
    for (int i = 8; i < 13; i++)
        push(q, i, 30 - i);
    expect_out(q, 0, "7 12 "); /* 4 are held at most */
    expect_out(q, INFINITY, "11 10 9 8 ");
    push(q, 1, 1);
    mien_appearance_queue_destroy(&q);
    assert_null(q);
    mien_appearance_queue_destroy(&q);
}

/* The Nth allocation fails: nothing is lost of what is held, nothing leaks. */
static void out_of_memory(void **state)
{
    (void)state;
    uint64_t live_bytes = mien_mem_live_bytes();
    int n_failed = 0, done = 0;
    for (uint64_t n = 1; !done; n++) {
        MienAppearanceQueue *q = NULL;
        MienAppearance a = appearance("A", 1, 2);
        int held = 0, ret;
        mien_mem_fail_at(n, 0);
        ret = mien_appearance_queue_create(&q, MIEN_EVENT_VTT, 1000);
        for (int i = 0; i < 40 && ret >= 0; i++) {
            a.track = i;
            ret = mien_appearance_queue_push(q, &a);
            held += ret >= 0;
        }
        mien_mem_fail_at(0, 0);
        assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
        n_failed += ret < 0;
        done = ret == 0;
        for (int i = 0; i < held; i++)
            assert_true(mien_appearance_queue_pop(q, INFINITY, &a) && a.track == i);
        mien_appearance_queue_destroy(&q);
        assert_int_equal(mien_mem_live_bytes(), live_bytes);
    }
    assert_true(n_failed >= 3); /* the queue, its place, and its growth */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(formats_by_name), cmocka_unit_test(subtitles),   cmocka_unit_test(chapters), cmocka_unit_test(table),
        cmocka_unit_test(chapters_follow),
        cmocka_unit_test(json_lines),      cmocka_unit_test(of_an_event), cmocka_unit_test(order),
        cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
