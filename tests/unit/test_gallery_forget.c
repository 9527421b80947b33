/* True deletion, proven from outside: the raw bytes of the files are searched by memmem, not by the library. */
#include "gallery_util.h"

/* Occurrences in the database, its log, its shared memory and its journal. */
static int grep_files(const char *path, const void *needle, size_t needle_bytes)
{
    static const char *const suffix[] = { "", "-wal", "-shm", "-journal" };
    int n = 0;
    for (int i = 0; i < 4; i++) {
        char file[600];
        size_t bytes;
        snprintf(file, sizeof(file), "%s%s", path, suffix[i]);
        uint8_t *data = read_bytes(file, &bytes);
        if (!data)
            continue;
        const uint8_t *p = data;
        while ((p = memmem(p, bytes - (size_t)(p - data), needle, needle_bytes)) != NULL)
            n++, p++;
        free(data);
    }
    return n;
}

/* Whole, and in pieces of 64 bytes. */
static int grep_vector(const char *path, unsigned seed)
{
    float v[DIM], stored[DIM];
    double length = 0;
    make_vector(v, seed, DIM);
    for (int i = 0; i < DIM; i++)
        length += (double)v[i] * v[i];
    for (int i = 0; i < DIM; i++)
        stored[i] = (float)(v[i] / sqrt(length)); /* what adding makes of it */
    int n = grep_files(path, stored, sizeof(stored));
    for (size_t at = 0; at + 64 <= sizeof(stored); at += 64)
        n += grep_files(path, (const char *)stored + at, 64);
    return n;
}

/* Tests close their handles before they look, where open ones would lose their locks to our reading. */
static void forgets(void **state)
{
    (void)state;
    char path[512], name[64];
    snprintf(path, sizeof(path), "%s", in_folder("forget.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    for (unsigned i = 0; i < 150; i++) {
        snprintf(name, sizeof(name), "Somebody Number %u", i / 3);
        add(g, name, i + 1);
    }
    assert_int_equal(mien_gallery_rename(g, "Somebody Number 7", "Mrs Formerly Seven"), 0);
    assert_int_equal(mien_gallery_rename(g, "Mrs Formerly Seven", "Number Seven"), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Number Seven", "consent-text-of-seven", "2090-03-04", "notes-text-of-seven"), 0);
    mien_gallery_close(&g);
    assert_int_equal(grep_vector(path, 22), 9); /* the search finds what is there */
    assert_true(grep_files(path, "Number Seven", 12) > 0);
    assert_true(grep_files(path, "notes-text-of-seven", 19) > 0);

    g = open_gallery(path, MIEN_GALLERY_WRITE);
    MienErasure e;
    assert_int_equal(mien_gallery_forget(g, "Nobody", &e), MIEN_E_NOTFOUND);
    assert_int_equal(e.n_samples, 0);
    said[0] = '\0';
    assert_int_equal(mien_gallery_forget(g, "Number Seven", &e), 0);
    assert_int_equal(e.n_samples, 3);
    assert_int_equal(e.n_left, 0);
    assert_int_equal(e.n_shared, 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(e.scanned_bytes >= st.st_size + 32768); /* database and shared memory */
    assert_string_equal(said, "");
    mien_gallery_close(&g);
    for (unsigned seed = 22; seed <= 24; seed++)
        assert_int_equal(grep_vector(path, seed), 0);
    static const char *const text[] = { "Number Seven", "Formerly", "Somebody Number 7", "text-of-seven", "2090-03-04" };
    for (size_t i = 0; i < sizeof(text) / sizeof(text[0]); i++)
        assert_int_equal(grep_files(path, text[i], strlen(text[i])), 0);
    assert_int_equal(grep_vector(path, 21), 9); /* the neighbours are untouched */
    assert_int_equal(grep_vector(path, 25), 9);

    g = open_gallery(path, MIEN_GALLERY_WRITE);
    MienPerson p;
    MienSample *samples;
    MienGalleryStats stats;
    assert_int_equal(mien_gallery_find(g, "Number Seven", &p), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_stats(g, &stats), 0);
    assert_int_equal(stats.n_people, 49);
    assert_int_equal(stats.n_samples, 147);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);

    /* One sample. */
    assert_int_equal(mien_gallery_find(g, "Somebody Number 8", &p), 0);
    assert_int_equal(mien_gallery_samples(g, p.id, &samples), 3);
    assert_int_equal(mien_gallery_forget_sample(g, samples[1].id, &e), 0);
    assert_int_equal(e.n_samples, 1);
    assert_int_equal(e.n_left, 0);
    assert_int_equal(mien_gallery_forget_sample(g, samples[1].id, &e), MIEN_E_NOTFOUND);
    mien_free(samples);
    assert_int_equal(mien_gallery_samples(g, p.id, &samples), 2);
    mien_free(samples);

    /* A number is never given twice. */
    int64_t id = p.id;
    assert_int_equal(mien_gallery_forget(g, "Somebody Number 8", &e), 0);
    add(g, "Somebody Number 8", 999);
    assert_int_equal(mien_gallery_find(g, "Somebody Number 8", &p), 0);
    assert_true(p.id > id && p.id > 50);
    mien_gallery_close(&g);
    for (unsigned seed = 25; seed <= 27; seed++)
        assert_int_equal(grep_vector(path, seed), 0);
}

/* While the writer is still open: nothing may hide in the log. Looked at through a copy made by a child process, because opening the
 * files here would break the writer's locks. */
static void forgets_at_once(void **state)
{
    (void)state;
    char path[512], cmd[1200];
    snprintf(path, sizeof(path), "%s", in_folder("open.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE), *reader;
    for (unsigned i = 1; i < 40; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%u", i);
        add(g, name, i);
    }
    reader = open_gallery(path, MIEN_GALLERY_READ);
    float v[DIM];
    MienMatch m;
    make_vector(v, 5, DIM);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "p5");
    assert_int_equal(mien_gallery_forget(g, "p5", NULL), 0);
    snprintf(cmd, sizeof(cmd), "for s in '' -wal -shm; do cp '%s'$s '%s/copy.db'$s; done", path, test_folder);
    assert_int_equal(system(cmd), 0);
    assert_int_equal(grep_vector(in_folder("copy.db"), 5), 0);
    assert_int_equal(grep_vector(in_folder("copy.db"), 6), 9);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_not_equal(m.name, "p5");
    mien_gallery_close(&reader);
    mien_gallery_close(&g);
}

/* Somebody reads an old state: it is said, not hidden, and can be finished later. */
static void forget_meets_reader(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("held.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienErasure e;
    MienPerson p;
    add(g, "Ann", 1);
    add(g, "Bob", 2);
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM sample", -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    said[0] = '\0';
    assert_int_equal(mien_gallery_forget(g, "Ann", &e), MIEN_E_BUSY);
    assert_int_equal(e.n_samples, 1);
    assert_true(e.n_left > 0);
    assert_non_null(strstr(said, "compact"));
    assert_int_equal(mien_gallery_find(g, "Ann", &p), MIEN_E_NOTFOUND);
    sqlite3_finalize(st);
    sqlite3_close(db);
    assert_int_equal(mien_gallery_compact(g), 0);
    mien_gallery_close(&g);
    assert_int_equal(grep_vector(path, 1), 0);
    assert_int_equal(grep_vector(path, 2), 9);
}

/* Bytes that others hold as well are said to be shared, not left over. */
static void shared_bytes(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("shared.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienErasure e;
    add(g, "Ann", 1);
    add(g, "Anna", 1);
    add(g, "Bob", 2);
    assert_int_equal(mien_gallery_forget(g, "Ann", &e), 0);
    assert_int_equal(e.n_samples, 1);
    assert_int_equal(e.n_shared, 1);
    assert_int_equal(e.n_left, 0);
    assert_int_equal(mien_gallery_forget(g, "Anna", &e), 0);
    assert_int_equal(e.n_shared, 0);

    /* Simple vectors, as tests and broken encoders make them. */
    for (int k = 0; k < 4; k++) {
        float v[DIM] = { 0 };
        MienSample s = { .quality = 1 };
        char name[16];
        snprintf(name, sizeof(name), "axis %d", k);
        v[k * 20] = 1;
        assert_int_equal(mien_gallery_add(g, name, v, DIM, &s), 0);
    }
    assert_int_equal(mien_gallery_forget(g, "axis 2", &e), 0);
    assert_int_equal(e.n_left, 0);

    /* A copy among the strangers goes too. */
    mien_gallery_close(&g);
    raw_sql(path, "INSERT INTO stranger VALUES (1, '', ''); INSERT INTO stranger_sample (stranger, model, vector, quality, seen) "
                  "SELECT 1, model, vector, 1, '' FROM sample");
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_forget(g, "Bob", &e), 0);
    assert_int_equal(e.n_shared, 0);
    mien_gallery_close(&g);
    assert_int_equal(grep_vector(path, 1), 0);
    assert_int_equal(grep_vector(path, 2), 0);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM stranger_sample"), 3);
}

/* Other sizes of template: less than a piece, no multiple of one, longer than a page. */
static void sizes(void **state)
{
    (void)state;
    static const int dims[] = { 2, 5, 16, 17, 100, 512, 1023, 1024 };
    for (size_t i = 0; i < sizeof(dims) / sizeof(dims[0]); i++) {
        char path[512], name[32];
        int dim = dims[i];
        snprintf(name, sizeof(name), "size-%d.db", dim);
        snprintf(path, sizeof(path), "%s", in_folder(name));
        MienGallery *g;
        MienErasure e;
        float v[1024], stored[1024];
        MienSample s = { .quality = 1 };
        assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_CREATE, test_log()), 0);
        assert_int_equal(mien_gallery_bind(g, HASH_A, "e", dim), 0);
        for (unsigned k = 0; k < 20; k++) {
            char who[16];
            snprintf(who, sizeof(who), "p%u", k);
            make_vector(v, k + 1, dim);
            assert_int_equal(mien_gallery_add(g, who, v, dim, &s), 0);
            if (k == 7)
                assert_int_equal(mien_gallery_embedding(g, s.id, stored, dim), 0);
        }
        mien_gallery_close(&g);
        size_t piece = dim * sizeof(float) < 64 ? dim * sizeof(float) : 64;
        assert_true(grep_files(path, stored, piece) > 0);
        g = NULL;
        assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()), 0);
        assert_int_equal(mien_gallery_forget(g, "p7", &e), 0);
        assert_int_equal(e.n_left, 0);
        mien_gallery_close(&g);
        for (size_t at = 0; at + piece <= dim * sizeof(float); at += piece)
            assert_int_equal(grep_files(path, (const char *)stored + at, piece), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgets), cmocka_unit_test(forgets_at_once), cmocka_unit_test(forget_meets_reader),
        cmocka_unit_test(shared_bytes), cmocka_unit_test(sizes),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
