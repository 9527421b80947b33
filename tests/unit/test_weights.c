/* nn/weights: what the safetensors reader takes and refuses, and what the writer makes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/weights.h"

static char last_line[1024];

static void keep_line(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv;
    (void)level;
    vsnprintf(last_line, sizeof(last_line), fmt, ap);
}

static const MienLog keep = { .write = keep_line };

/* A file of this header and n zero bytes. */
static size_t make_file(uint8_t *buf, const char *header, size_t n_data)
{
    size_t n = strlen(header);
    memset(buf, 0, 8 + n + n_data);
    for (int i = 0; i < 8; i++)
        buf[i] = (uint8_t)((uint64_t)n >> (8 * i));
    memcpy(buf + 8, header, n);
    return 8 + n + n_data;
}

#define T(name, dtype, shape, from, to) \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void reads_what_is_right(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data, n_tensors;
    } row[] = {
        { "{}", 0, 0 },
        { "{}      ", 0, 0 },                                             /* padded with spaces */
        { "{" T("a", "F32", "[2,3]", 0, 24) "}", 24, 1 },
        { "{" T("a", "F32", "[]", 0, 4) "}", 4, 1 },                      /* a scalar */
        { "{" T("a", "F32", "[0,7]", 0, 0) "}", 0, 1 },                   /* an empty tensor */
        { "{" T("b", "U8", "[3]", 4, 7) "," T("a", "F32", "[1]", 0, 4) "}", 7, 2 }, /* not in file order */
        { "{" T("b", "U8", "[3]", 0, 3) "," T("a", "F64", "[1]", 3, 11) "}", 11, 2 }, /* unaligned */
        { "{\"__metadata__\":{\"k\":\"v\"}," T("a", "I64", "[1]", 0, 8) "}", 8, 1 },
    };
    uint8_t buf[4096];
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        MienWeights *w;
        size_t bytes = make_file(buf, row[i].header, row[i].n_data);
        assert_int_equal(mien_weights_parse(&w, buf, bytes, "test", keep), 0);
        assert_int_equal(mien_weights_count(w), row[i].n_tensors);
        for (size_t t = 0; t < row[i].n_tensors; t++) {
            const MienTensor *tensor = mien_weights_get(w, t);
            assert_int_equal((uintptr_t)tensor->data % 8, 0);
            assert_ptr_equal(mien_weights_find(w, tensor->name), tensor);
        }
        assert_null(mien_weights_get(w, row[i].n_tensors));
        mien_weights_close(&w);
    }
}

static void refuses_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t n_data;
        const char *says;
    } row[] = {
        { "", 0, "not one JSON object" },
        { "[]", 0, "not one JSON object" },
        { "{} x", 0, "not one JSON object" },
        { "{\"a\":1}", 0, "unknown dtype" },
        { "{" T("a", "F99", "[1]", 0, 4) "}", 4, "unknown dtype F99" },
        { "{" T("", "F32", "[1]", 0, 4) "}", 4, "name has 0 bytes" },
        { "{" T("a", "F32", "[1]", 0, 4) "," T("a", "F32", "[1]", 4, 8) "}", 8, "a stands twice" },
        { "{\"__metadata__\":{\"k\":\"v\",\"k\":\"w\"}}", 0, "k stands twice" },
        { "{\"__metadata__\":{\"k\":1}}", 0, "k is not a string" },
        { "{\"__metadata__\":[]}", 0, "not an object" },
        { "{" T("a", "F32", "[1]", 0, 8) "}", 8, "needs 4 bytes" },
        { "{" T("a", "F32", "[2]", 0, 8) "}", 4, "outside the 4 bytes" },
        { "{" T("a", "F32", "[1]", 8, 4) "}", 8, "outside" },
        { "{" T("a", "F32", "[-1]", 0, 4) "}", 4, "not a whole number" },
        { "{" T("a", "F32", "[1.5]", 0, 4) "}", 4, "not a whole number" },
        { "{" T("a", "F32", "[1e30]", 0, 4) "}", 4, "not a whole number" },
        { "{" T("a", "F32", "[4294967296,4294967296]", 0, 4) "}", 4, "too large" },
        { "{" T("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, "at most 8" },
        { "{" T("a", "F32", "7", 0, 4) "}", 4, "not a list" },
        { "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, "not a pair" },
        { "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 2, 6) "}", 6, "overlaps" },
        { "{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", 12, "4 bytes before tensor b" },
        { "{" T("a", "F32", "[1]", 0, 4) "}", 5, "1 bytes behind" },
    };
    uint8_t buf[4096];
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        MienWeights *w;
        size_t bytes = make_file(buf, row[i].header, row[i].n_data);
        last_line[0] = '\0';
        assert_int_equal(mien_weights_parse(&w, buf, bytes, "test", keep), MIEN_E_FORMAT);
        assert_null(w);
        if (!strstr(last_line, row[i].says) || strncmp(last_line, "test: ", 6))
            fail_msg("row %zu says '%s', not '%s'", i, last_line, row[i].says);
    }
}

static void refuses_truncation_everywhere(void **state)
{
    (void)state;
    uint8_t buf[4096];
    size_t bytes = make_file(buf, "{" T("a", "F32", "[2]", 0, 8) "}", 8);
    for (size_t n = 0; n < bytes; n++) {
        MienWeights *w;
        assert_int_equal(mien_weights_parse(&w, buf, n, "test", keep), MIEN_E_FORMAT);
        assert_null(w);
    }
    memset(buf, 0xff, 8); /* a header of 2^64 - 1 bytes */
    MienWeights *w;
    assert_int_equal(mien_weights_parse(&w, buf, bytes, "test", keep), MIEN_E_FORMAT);
}

static void writes_what_it_reads(void **state)
{
    (void)state;
    const float a[6] = { 1, -2, 3.5f, 0, 1e-30f, 6 };
    const uint8_t b[3] = { 7, 8, 9 };
    const MienTensor tensors[] = {
        { .name = "first", .dtype = MIEN_F32, .n_dims = 2, .dim = { 2, 3 }, .data = a, .bytes = sizeof(a) },
        { .name = "quote\"and \xc3\xa4", .dtype = MIEN_U8, .n_dims = 1, .dim = { 3 }, .data = b, .bytes = sizeof(b) },
    };
    const MienMeta meta[] = { { "mien.name", "t\n\"x\"" } };
    uint8_t *packed, *again;
    size_t bytes, again_bytes;
    MienWeights *w;
    assert_int_equal(mien_weights_pack(&packed, &bytes, tensors, 2, meta, 1, keep), 0);
    assert_int_equal(mien_weights_parse(&w, packed, bytes, "test", keep), 0);
    assert_string_equal(mien_weights_meta(w, "mien.name"), "t\n\"x\"");
    assert_null(mien_weights_meta(w, "mien.none"));
    assert_memory_equal(mien_weights_find(w, "first")->data, a, sizeof(a));
    assert_memory_equal(mien_weights_find(w, tensors[1].name)->data, b, sizeof(b));
    assert_int_equal(mien_weights_pack(&again, &again_bytes, tensors, 2, meta, 1, keep), 0);
    assert_int_equal(bytes, again_bytes);
    assert_memory_equal(packed, again, bytes);

    const float *data;
    assert_int_equal(mien_weights_need(w, "first", 2, (int64_t[]){ 2, -1 }, &data, keep), 0);
    assert_true(data[2] == 3.5f);
    assert_int_equal(mien_weights_need(w, "first", 2, (int64_t[]){ 3, 3 }, &data, keep), MIEN_E_SHAPE);
    assert_string_equal(last_line, "test: tensor first is F32 2x3, F32 3x3 is wanted");
    assert_int_equal(mien_weights_need(w, "none", 1, (int64_t[]){ 3 }, &data, keep), MIEN_E_MODEL);
    mien_weights_close(&w);
    mien_free(packed);
    mien_free(again);

    const MienTensor twice[] = { tensors[0], tensors[0] };
    assert_int_equal(mien_weights_pack(&packed, &bytes, twice, 2, NULL, 0, keep), MIEN_E_FORMAT);
    assert_null(packed);
}

static void survives_every_failed_allocation(void **state)
{
    (void)state;
    uint8_t buf[4096];
    size_t bytes = make_file(buf, "{\"__metadata__\":{\"k\":\"v\"}," T("a", "F32", "[2]", 0, 8) "}", 8);
    uint64_t live = mien_mem_live_bytes();
    for (uint64_t n = 1;; n++) {
        MienWeights *w;
        mien_mem_fail_at(n, 0);
        int ret = mien_weights_parse(&w, buf, bytes, "test", keep);
        mien_mem_fail_at(0, 0);
        if (ret == 0) {
            assert_true(n > 3);
            mien_weights_close(&w);
            break;
        }
        assert_int_equal(ret, MIEN_ERR(ENOMEM));
        assert_null(w);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_is_right),
        cmocka_unit_test(refuses_what_is_wrong),
        cmocka_unit_test(refuses_truncation_everywhere),
        cmocka_unit_test(writes_what_it_reads),
        cmocka_unit_test(survives_every_failed_allocation),
    };
    return cmocka_run_group_tests_name("weights", tests, NULL, NULL);
}
