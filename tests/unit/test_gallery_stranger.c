/* Strangers: clusters that grow online, get a name, are forgotten for good. Views are vectors of known cosine. */
#include "gallery_util.h"

#define LEAST 0.46f

static MienSighting see(MienGallery *g, const float *v, float quality)
{
    MienSighting s;
    int ret = mien_gallery_stranger_see(g, v, DIM, quality, LEAST, &s);
    if (ret != 0)
        print_error("see: %d %s\n", ret, said);
    assert_int_equal(ret, 0);
    return s;
}

static MienSighting see_view(MienGallery *g, unsigned who, unsigned other, float a, float quality)
{
    float v[DIM];
    make_view(v, who, other, a, DIM);
    return see(g, v, quality);
}

static int list_of(MienGallery *g, MienStranger *first)
{
    MienStranger *list;
    int n = mien_gallery_strangers(g, &list);
    assert_true(n >= 0);
    if (n)
        *first = list[0];
    mien_free(list);
    return n;
}

static void strangers_come_again(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("again.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienStranger first;
    MienSighting a = see_view(g, 1, 101, 0.8f, 0.5f), b, c;
    assert_true(a.is_new && isnan(a.sim_cos) && a.stranger > 0);
    b = see_view(g, 2, 102, 0.8f, 0.5f);
    assert_true(b.is_new && b.stranger != a.stranger);
    c = see_view(g, 1, 103, 0.8f, 0.9f); /* .64 to the first view */
    assert_int_equal(c.stranger, a.stranger);
    assert_true(!c.is_new && c.sim_cos > 0.5f && c.sim_cos < 0.8f);
    c = see_view(g, 1, 104, 0.8f, 0.9f); /* nearer to the mean of both than to either */
    assert_int_equal(c.stranger, a.stranger);
    assert_true(c.sim_cos > 0.67f);
    c = see_view(g, 1, 105, 0.3f, 0.9f); /* too far off: somebody else, or a useless view */
    assert_true(c.is_new);
    assert_int_equal(list_of(g, &first), 3);
    assert_int_equal(first.id, a.stranger);
    assert_int_equal(first.n_samples, 3);
    assert_int_equal(strlen(first.last_seen), 20);
    c = see_view(g, 1, 104, 0.8f, 0.9f); /* the very same view adds nothing */
    assert_int_equal(c.stranger, a.stranger);
    list_of(g, &first);
    assert_int_equal(first.n_samples, 3);
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(see_view(g, 1, 200 + i, 0.8f, 0.6f + 0.01f * (float)i).stranger, a.stranger);
    list_of(g, &first);
    assert_int_equal(first.n_samples, 8);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM stranger_sample WHERE stranger = 1 AND quality < .6"), 0); /* the poorest went */
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    MienMatch m;
    float v[DIM];
    make_view(v, 1, 101, 0.8f, DIM);
    assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), 0);
    assert_true(m.id < 0); /* strangers are nobody's names */
    mien_gallery_close(&g);
    raw_sql(path, "UPDATE stranger_sample SET vector = zeroblob(512) WHERE id = 2");
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 1);
    assert_false(see_view(g, 1, 300, 0.8f, 0.5f).is_new); /* damage of one hides no other */
    mien_gallery_close(&g);
}

static void strangers_get_a_name(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("assign.db"), MIEN_GALLERY_CREATE);
    MienStranger first;
    MienMatch m;
    float v[DIM];
    add(g, "Bob", 9);
    int64_t id = see_view(g, 1, 101, 0.8f, 0.5f).stranger;
    see_view(g, 1, 102, 0.8f, 0.5f);
    assert_int_equal(mien_gallery_stranger_assign(g, id + 1, "Ann"), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_stranger_assign(g, id, " "), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_stranger_assign(g, id, "Ann"), 2);
    assert_int_equal(list_of(g, &first), 0);
    make_view(v, 1, 103, 0.8f, DIM);
    assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Ann");
    id = see_view(g, 5, 106, 0.8f, 0.5f).stranger;
    assert_int_equal(mien_gallery_stranger_assign(g, id, "Ann"), 1); /* a second cluster of the same person */
    assert_true(see_view(g, 6, 107, 0.8f, 0.5f).stranger > id);      /* numbers are never given twice */
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
}

static int places_of(const char *path, const float *v)
{
    size_t bytes, n = 0;
    uint8_t *data = read_bytes(path, &bytes);
    for (size_t at = 0; at + 64 <= bytes; at++)
        n += !memcmp(data + at, v, 64);
    free(data);
    return (int)n;
}

static void strangers_are_forgotten(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("forget.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienErasure e;
    MienStranger first;
    float a[DIM], b[DIM];
    make_vector(a, 1, DIM);
    make_vector(b, 2, DIM);
    int64_t id_a = see(g, a, 0.5f).stranger, id_b = see(g, b, 0.5f).stranger;
    mien_gallery_close(&g);
    assert_true(places_of(path, a) > 0 && places_of(path, b) > 0);
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_forget_stranger(g, 99, &e), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_forget_stranger(g, 0, &e), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_forget_stranger(g, id_a, &e), 0);
    assert_true(e.n_samples == 1 && e.n_left == 0 && e.scanned_bytes > 4096);
    assert_int_equal(list_of(g, &first), 1);
    assert_int_equal(first.id, id_b);
    mien_gallery_close(&g);
    assert_int_equal(places_of(path, a), 0);
    assert_true(places_of(path, b) > 0);
    raw_sql(path, "UPDATE stranger SET last_seen = '2026-01-01T00:00:00Z'");
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_forget_strangers(g, "yesterday", &e), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_forget_strangers(g, NULL, &e), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_forget_strangers(g, "2026-01-01T00:00:00Z", &e), 0);
    assert_int_equal(e.n_samples, 0);
    assert_int_equal(mien_gallery_forget_strangers(g, "2026-01-01T00:00:01Z", &e), 0);
    assert_true(e.n_samples == 1 && e.n_left == 0);
    assert_int_equal(list_of(g, &first), 0);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
    assert_int_equal(places_of(path, b), 0);
}

static void bad_input(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("bad.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienSighting s;
    MienStranger first;
    float v[DIM], nan[DIM] = { NAN }, zero[DIM] = { 0 };
    make_vector(v, 1, DIM);
    assert_int_equal(mien_gallery_stranger_see(g, nan, DIM, 0.5f, LEAST, &s), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_stranger_see(g, zero, DIM, 0.5f, LEAST, &s), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_stranger_see(g, v, DIM, 1.5f, LEAST, &s), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_stranger_see(g, v, DIM, 0.5f, NAN, &s), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_stranger_see(g, v, 64, 0.5f, LEAST, &s), MIEN_E_MISMATCH);
    assert_int_equal(list_of(g, &first), 0);
    see(g, v, 0.5f);
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    assert_true(mien_gallery_stranger_see(g, v, DIM, 0.5f, LEAST, &s) < 0);
    assert_int_equal(list_of(g, &first), 1);
    mien_gallery_close(&g);
    /* with nobody enrolled another encoder may move in; the old one's strangers go */
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()), 0);
    assert_int_equal(mien_gallery_bind(g, HASH_B, "another", DIM), 0);
    add(g, "Ann", 3);
    assert_int_equal(list_of(g, &first), 0);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
}

static void old_schema(void **state)
{
    (void)state;
    char path[512];
    size_t bytes;
    snprintf(path, sizeof(path), "%s", in_folder("old.db"));
    uint8_t *sql = read_bytes("tests/data/gallery-v1.sql", &bytes);
    assert_non_null(sql);
    sql[bytes] = '\0';
    raw_sql(path, (const char *)sql);
    free(sql);
    MienGallery *g;
    MienStranger first;
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    assert_int_equal(list_of(g, &first), 0);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(strangers_come_again), cmocka_unit_test(strangers_get_a_name), cmocka_unit_test(strangers_are_forgotten),
        cmocka_unit_test(bad_input), cmocka_unit_test(old_schema),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
