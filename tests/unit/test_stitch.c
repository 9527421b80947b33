/* Logs of parts become the log of a film: who goes on over a cut, under which number, with which name, and what is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool/stitch.h"

/* A second has 10 frames. The cut is at 10 s, where the first part has seen 100 frames; both parts see 10.0 to 11.9. */
#define CUT_US 10000000

/* One line as facetag writes it, with what matters here. */
#define LINE(event, track, status, name, id, first_s, last_s, first, last)                                                       \
    "{\"event\":\"" event "\",\"track\":" #track ",\"status\":\"" status "\",\"name\":" name ",\"id\":" #id ",\"similarity\":0.5000," \
    "\"first_s\":" #first_s ",\"last_s\":" #last_s ",\"first_frame\":" #first ",\"last_frame\":" #last ",\"box\":[1.0,2.0,3.0,4.0]," \
    "\"wall\":\"2026\"}\n"
#define KNOWN(event, track, name, id, first_s, last_s, first, last) LINE(event, track, "known", "\"" name "\"", id, first_s, last_s, first, last)
#define NOBODY(event, track, first_s, last_s, first, last) LINE(event, track, "unrecognised", "null", null, first_s, last_s, first, last)
#define OPEN(event, track, first_s, last_s, first, last) LINE(event, track, "undecided", "null", null, first_s, last_s, first, last)

typedef struct Seen {
    int track, x; /* a box of 40 × 40 at (x, 20) */
    const char *status;
    int id;
} Seen;

/* What metadata=print gives of the frames of the overlap; `before`: how many frames the part has had by then. */
static const char *frames(const Seen *seen, int n, int before)
{
    static char text[4][200000];
    static int i;
    char *out = text[i = (i + 1) % 4], *p = out;
    for (int f = 0; f < 20; f++) {
        p += sprintf(p, "frame:%-4d pts:%-7d pts_time:%g\nlavfi.facetag.count=%d\n", before + f, CUT_US + f * 100000, 10 + f * 0.1, n);
        for (int k = 0; k < n; k++) {
            p += sprintf(p, "lavfi.facetag.%d.x=%d\nlavfi.facetag.%d.y=20\nlavfi.facetag.%d.w=40\nlavfi.facetag.%d.h=40\n"
                            "lavfi.facetag.%d.track=%d\nlavfi.facetag.%d.status=%s\n", k, seen[k].x + f, k, k, k, k, seen[k].track, k, seen[k].status);
            if (seen[k].id)
                p += sprintf(p, "lavfi.facetag.%d.name=N\nlavfi.facetag.%d.id=%d\n", k, k, seen[k].id);
        }
    }
    return out;
}

static char said[2000];
static void hear(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv, (void)level;
    vsnprintf(said, sizeof(said), fmt, ap);
}
static const MienLog log_here = { .write = hear, .level = MIEN_LOG_TRACE };

static char *stitch(const char *log_a, const char *frames_a, const char *log_b, const char *frames_b)
{
    StitchPart part[2] = { { log_a, strlen(log_a), frames_a, strlen(frames_a), 0 }, { log_b, strlen(log_b), frames_b, strlen(frames_b), CUT_US } };
    char *out;
    size_t bytes;
    *said = 0;
    int ret = stitch_logs(part, 2, log_here, &out, &bytes);
    if (ret)
        print_error("%d %s\n", ret, said);
    assert_int_equal(ret, 0);
    assert_int_equal(strlen(out), bytes);
    return out;
}

static void gives(const char *log_a, const char *frames_a, const char *log_b, const char *frames_b, const char *wanted)
{
    char *out = stitch(log_a, frames_a, log_b, frames_b);
    assert_string_equal(out, wanted);
    mien_free(out);
}

/* ---- */

static void one_part_is_copied(void **state)
{
    (void)state;
    static const char log[] = "{\"event\":\"enter\", \"track\":7}\nwhatever\n"; /* no line of ours: none of our business */
    StitchPart part = { log, sizeof(log) - 1, NULL, 0, 0 };
    char *out;
    size_t bytes;
    assert_int_equal(stitch_logs(&part, 1, log_here, &out, &bytes), 0);
    assert_string_equal(out, log);
    mien_free(out);
}

static void a_track_goes_on(void **state)
{
    (void)state;
    const Seen a[] = { { 3, 100, "known", 1 } }, b[] = { { 1, 103, "known", 1 } };
    gives(KNOWN("enter", 3, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 3, "Ann", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
          KNOWN("enter", 1, "Ann", 1, 10.000, 10.300, 0, 3) KNOWN("leave", 1, "Ann", 1, 10.000, 15.000, 0, 50), frames(b, 1, 0),
          KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 15.000, 20, 150));
}

static void strangers_do_not_mix(void **state)
{
    (void)state;
    /* crossed numbers: place decides, not the order */
    const Seen a[] = { { 1, 100, "unrecognised", 0 }, { 2, 300, "unrecognised", 0 } };
    const Seen b[] = { { 1, 302, "unrecognised", 0 }, { 2, 99, "unrecognised", 0 } };
    gives(NOBODY("enter", 1, 1.000, 1.200, 10, 12) NOBODY("enter", 2, 5.000, 5.200, 50, 52) NOBODY("leave", 1, 1.000, 11.900, 10, 119)
              NOBODY("leave", 2, 5.000, 11.900, 50, 119), frames(a, 2, 100),
          NOBODY("enter", 1, 10.000, 10.200, 0, 2) NOBODY("enter", 2, 10.000, 10.200, 0, 2) NOBODY("leave", 2, 10.000, 13.000, 0, 30)
              NOBODY("leave", 1, 10.000, 14.000, 0, 40), frames(b, 2, 0),
          NOBODY("enter", 1, 1.000, 1.200, 10, 12) NOBODY("enter", 2, 5.000, 5.200, 50, 52) NOBODY("leave", 1, 1.000, 13.000, 10, 130)
              NOBODY("leave", 2, 5.000, 14.000, 50, 140));
}

static void two_names_are_two_people(void **state)
{
    (void)state;
    const Seen a[] = { { 1, 100, "known", 1 } }, b[] = { { 1, 100, "known", 2 } };
    gives(KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
          KNOWN("enter", 1, "Bob", 2, 10.000, 10.300, 0, 3) KNOWN("leave", 1, "Bob", 2, 10.000, 15.000, 0, 50), frames(b, 1, 0),
          KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 11.900, 20, 119)
              KNOWN("enter", 2, "Bob", 2, 10.000, 10.300, 100, 103) KNOWN("leave", 2, "Bob", 2, 10.000, 15.000, 100, 150));
}

static void another_place_is_another_track(void **state)
{
    (void)state;
    const Seen a[] = { { 1, 100, "unrecognised", 0 } }, b[] = { { 1, 121, "unrecognised", 0 } }; /* IoU 19/61 */
    char *out = stitch(NOBODY("enter", 1, 2.000, 2.000, 20, 20) NOBODY("leave", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
                       NOBODY("enter", 1, 10.000, 10.300, 0, 3) NOBODY("leave", 1, 10.000, 15.000, 0, 50), frames(b, 1, 0));
    assert_non_null(strstr(out, "\"event\":\"leave\",\"track\":1,"));
    assert_non_null(strstr(out, "\"event\":\"leave\",\"track\":2,"));
    mien_free(out);
}

static void what_begins_after_the_cut_is_told_once(void **state)
{
    (void)state;
    const Seen a[] = { { 1, 100, "unrecognised", 0 } }, b[] = { { 1, 100, "unrecognised", 0 } };
    gives(NOBODY("enter", 1, 10.400, 10.600, 104, 106) NOBODY("leave", 1, 10.400, 11.900, 104, 119), frames(a, 1, 100),
          NOBODY("enter", 1, 10.400, 10.600, 4, 6) NOBODY("leave", 1, 10.400, 15.000, 4, 50), frames(b, 1, 0),
          NOBODY("enter", 1, 10.400, 10.600, 104, 106) NOBODY("leave", 1, 10.400, 15.000, 104, 150));
}

static void a_name_stands(void **state)
{
    (void)state;
    /* seen well before the cut, poorly after it */
    const Seen a[] = { { 1, 100, "known", 1 } }, b[] = { { 1, 100, "unrecognised", 0 } };
    gives(KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
          NOBODY("enter", 1, 10.000, 10.300, 0, 3) NOBODY("leave", 1, 10.000, 15.000, 0, 50), frames(b, 1, 0),
          KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 15.000, 20, 150));
}

static void a_stranger_is_named_later(void **state)
{
    (void)state;
    const Seen a[] = { { 1, 100, "unrecognised", 0 } }, b[] = { { 1, 100, "unrecognised", 0 } };
    gives(NOBODY("enter", 1, 2.000, 2.000, 20, 20) NOBODY("leave", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
          KNOWN("enter", 1, "Ann", 1, 10.000, 12.300, 0, 23) KNOWN("leave", 1, "Ann", 1, 10.000, 15.000, 0, 50), frames(b, 1, 0),
          NOBODY("enter", 1, 2.000, 2.000, 20, 20) KNOWN("update", 1, "Ann", 1, 2.000, 12.300, 20, 123)
              KNOWN("leave", 1, "Ann", 1, 2.000, 15.000, 20, 150));
}

static void a_name_is_withdrawn(void **state)
{
    (void)state;
    /* Ann; the continuation is nobody at first, then Bob */
    const Seen a[] = { { 1, 100, "known", 1 } }, b[] = { { 1, 100, "unrecognised", 0 } };
    char *out = stitch(KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
                       NOBODY("enter", 1, 10.000, 10.300, 0, 3) KNOWN("update", 1, "Bob", 2, 10.000, 13.000, 0, 30)
                           KNOWN("leave", 1, "Bob", 2, 10.000, 15.000, 0, 50), frames(b, 1, 0));
    assert_null(strstr(out, "unrecognised"));
    assert_non_null(strstr(out, "{\"event\":\"retract\",\"track\":1,\"status\":\"known\",\"name\":\"Bob\",\"id\":2,\"was\":\"Ann\",\"was_id\":1,"));
    assert_non_null(strstr(out, "{\"event\":\"leave\",\"track\":1,\"status\":\"known\",\"name\":\"Bob\","));
    mien_free(out);
}

static void a_picture_is_no_person(void **state)
{
    (void)state;
    const Seen a[] = { { 1, 100, "known", 1 } }, b[] = { { 1, 100, "spoof", 0 } };
    char *out = stitch(KNOWN("enter", 1, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 1, "Ann", 1, 2.000, 11.900, 20, 119), frames(a, 1, 100),
                       LINE("enter", 1, "spoof", "null", null, 10.000, 12.000, 0, 20) LINE("leave", 1, "spoof", "null", null, 10.000, 15.000, 0, 50),
                       frames(b, 1, 0));
    assert_non_null(strstr(out, "\"track\":2,\"status\":\"spoof\"")); /* a track of its own */
    mien_free(out);
}

static void an_end_for_want_of_film_is_no_decision(void **state)
{
    (void)state;
    /* undecided at 11.9 s because the part ends there */
    const Seen a[] = { { 1, 100, "undecided", 0 } }, b[] = { { 1, 100, "undecided", 0 } };
    gives(OPEN("enter", 1, 9.800, 11.900, 98, 119) OPEN("leave", 1, 9.800, 11.900, 98, 119), frames(a, 1, 100),
          KNOWN("enter", 1, "Ann", 1, 10.000, 12.300, 0, 23) KNOWN("leave", 1, "Ann", 1, 10.000, 15.000, 0, 50), frames(b, 1, 0),
          KNOWN("enter", 1, "Ann", 1, 9.800, 12.300, 98, 123) KNOWN("leave", 1, "Ann", 1, 9.800, 15.000, 98, 150));
}

static void a_continuation_without_a_trace_is_none(void **state)
{
    (void)state;
    /* on the later side it was seen too weakly for a line: the earlier side's end stands */
    const Seen a[] = { { 1, 100, "unrecognised", 0 } }, b[] = { { 1, 100, "undecided", 0 } };
    static const char log[] = NOBODY("enter", 1, 2.000, 2.000, 20, 20) NOBODY("leave", 1, 2.000, 10.200, 20, 102);
    gives(log, frames(a, 1, 100), "", frames(b, 1, 0), log);
}

static void over_three_parts(void **state)
{
    (void)state;
    /* the middle one is all overlap with both: cuts at 10 s and 10.5 s */
    const Seen a[] = { { 4, 100, "unrecognised", 0 } }, b[] = { { 2, 100, "unrecognised", 0 } }, c[] = { { 1, 100, "unrecognised", 0 } };
    static const char la[] = NOBODY("enter", 4, 2.000, 2.000, 20, 20) NOBODY("leave", 4, 2.000, 11.900, 20, 119),
                      lb[] = NOBODY("enter", 2, 10.000, 10.200, 0, 2) NOBODY("leave", 2, 10.000, 11.900, 0, 19),
                      lc[] = NOBODY("enter", 1, 10.500, 10.700, 0, 2) NOBODY("leave", 1, 10.500, 20.000, 0, 95);
    const char *fa = frames(a, 1, 100), *fb = frames(b, 1, 0), *fc = frames(c, 1, -5); /* its own frame 0 is at 10.5 s */
    StitchPart part[3] = { { la, strlen(la), fa, strlen(fa), 0 }, { lb, strlen(lb), fb, strlen(fb), CUT_US },
                           { lc, strlen(lc), fc, strlen(fc), CUT_US + 500000 } };
    char *out;
    size_t bytes;
    assert_int_equal(stitch_logs(part, 3, log_here, &out, &bytes), 0);
    assert_string_equal(out, NOBODY("enter", 1, 2.000, 2.000, 20, 20) NOBODY("leave", 1, 2.000, 20.000, 20, 200));
    mien_free(out);
}

static void unknown_keys_and_explanations(void **state)
{
    (void)state;
    static const char a[] = "{\"v\":2}\n";
    static const char b[] = "{\"v\":2}\n{\"event\":\"enter\",\"track\":1,\"new\":{\"a\":[1,\"}\\\"\"]},\"first_s\":10.000,\"first_frame\":0,\"last_frame\":3,"
                            "\"explain\":{\"best\":\"\\\"frame\\\":5\",\"views\":[{\"frame\":2,\"id\":1},{\"frame\":13}]}}\n";
    gives(a, frames(NULL, 0, 100), b, frames(NULL, 0, 0),
          "{\"v\":2}\n{\"event\":\"enter\",\"track\":1,\"new\":{\"a\":[1,\"}\\\"\"]},\"first_s\":10.000,\"first_frame\":100,\"last_frame\":103,"
          "\"explain\":{\"best\":\"\\\"frame\\\":5\",\"views\":[{\"frame\":102,\"id\":1},{\"frame\":113}]}}\n");
}

static void a_film_with_holes(void **state)
{
    (void)state;
    /* no frame at or after the cut was decoded by the first part: frames are guessed, and that is said */
    char *out = stitch(NOBODY("enter", 1, 2.000, 2.000, 20, 20) NOBODY("leave", 1, 2.000, 8.900, 20, 89), "",
                       NOBODY("enter", 1, 12.000, 12.300, 0, 3) NOBODY("leave", 1, 12.000, 15.000, 0, 50), frames(NULL, 0, 0));
    assert_non_null(strstr(out, "\"first_s\":12.000,\"last_s\":12.300,\"first_frame\":90,\"last_frame\":93"));
    assert_non_null(strstr(said, "by guess"));
    mien_free(out);
}

static void no_such_log(void **state)
{
    (void)state;
    static const char *const bad[] = { "{\"track\":1}", "{\"track\":1,}\n", "{\"track\":[1}\n", "track\n", "{\"track\"}\n", "{\"track\":1}x\n",
                                       "{\"track\":\"1}\n", "\n", "{}\n" };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(bad); i++) {
        StitchPart part[2] = { { bad[i], strlen(bad[i]), "", 0, 0 }, { "", 0, "", 0, CUT_US } };
        char *out;
        size_t bytes;
        *said = 0;
        if (stitch_logs(part, 2, log_here, &out, &bytes) != MIEN_E_FORMAT)
            fail_msg("'%s' was taken", bad[i]);
        assert_null(out);
        assert_string_equal(said, "part 1: line 1 is not one of facetag's log");
    }
}

static void without_memory(void **state)
{
    (void)state;
    const Seen a[] = { { 3, 100, "known", 1 } }, b[] = { { 1, 103, "known", 1 } };
    static const char la[] = KNOWN("enter", 3, "Ann", 1, 2.000, 2.000, 20, 20) KNOWN("leave", 3, "Ann", 1, 2.000, 11.900, 20, 119),
                      lb[] = KNOWN("enter", 1, "Ann", 1, 10.000, 10.300, 0, 3) KNOWN("leave", 1, "Ann", 1, 10.000, 15.000, 0, 50);
    const char *fa = frames(a, 1, 100), *fb = frames(b, 1, 0);
    StitchPart part[2] = { { la, strlen(la), fa, strlen(fa), 0 }, { lb, strlen(lb), fb, strlen(fb), CUT_US } };
    uint64_t live = mien_mem_live_bytes();
    int ret = MIEN_ERR(ENOMEM);
    for (uint64_t n = 1; ret == MIEN_ERR(ENOMEM) && n < 1000; n++) {
        char *out;
        size_t bytes;
        mien_mem_fail_at(n, 1);
        ret = stitch_logs(part, 2, (MienLog){ 0 }, &out, &bytes);
        mien_mem_fail_at(0, 0);
        mien_free(out);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    assert_int_equal(ret, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_part_is_copied),
        cmocka_unit_test(a_track_goes_on),
        cmocka_unit_test(strangers_do_not_mix),
        cmocka_unit_test(two_names_are_two_people),
        cmocka_unit_test(another_place_is_another_track),
        cmocka_unit_test(what_begins_after_the_cut_is_told_once),
        cmocka_unit_test(a_name_stands),
        cmocka_unit_test(a_stranger_is_named_later),
        cmocka_unit_test(a_name_is_withdrawn),
        cmocka_unit_test(a_picture_is_no_person),
        cmocka_unit_test(an_end_for_want_of_film_is_no_decision),
        cmocka_unit_test(a_continuation_without_a_trace_is_none),
        cmocka_unit_test(over_three_parts),
        cmocka_unit_test(unknown_keys_and_explanations),
        cmocka_unit_test(a_film_with_holes),
        cmocka_unit_test(no_such_log),
        cmocka_unit_test(without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
