/* Export, import, backup: what goes out comes in again, what is wrong changes nothing. */
#include <cjson/cJSON.h>

#include "gallery_util.h"
#include "mien/weights.h"

/* Everything but numbers and salts, as one text. */
static char *dump(const char *path)
{
    static const char sql[] =
        "SELECT p.name || '|' || p.status || '|' || p.created || '|' || p.consent || '|' || p.expires || '|' || p.notes || '|' ||"
        " coalesce(hex(s.vector), '') || '|' || coalesce(s.quality, '') || '|' || coalesce(s.source, '') || '|' ||"
        " coalesce(s.created, '') FROM person p LEFT JOIN sample s ON s.person = p.id ORDER BY p.name, s.vector";
    sqlite3 *db;
    sqlite3_stmt *st;
    char *text = calloc(1, 1 << 20);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    while (sqlite3_step(st) == SQLITE_ROW) {
        strcat(text, (const char *)sqlite3_column_text(st, 0));
        strcat(text, "\n");
    }
    sqlite3_finalize(st);
    sqlite3_close(db);
    return text;
}

static void make_gallery(const char *path)
{
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    float v[DIM];
    MienSample s = { .quality = 0.1f, .source_hash = HASH_B };
    make_vector(v, 1, DIM);
    assert_int_equal(mien_gallery_add(g, "Zo\xc3\xab \"quote\" \\ /", v, DIM, &s), 0);
    for (unsigned i = 0; i < 30; i++) {
        char name[32];
        snprintf(name, sizeof(name), "p%u", i % 11);
        add(g, name, i + 2);
    }
    assert_int_equal(mien_gallery_set_ignored(g, "p3", 1), 0);
    assert_int_equal(mien_gallery_set_notes(g, "p4", "form 4", "2090-01-01", "two\nlines\tand a tab"), 0);
    mien_gallery_close(&g);
    raw_sql(path, "INSERT INTO person (name, salt, created) VALUES ('no samples', zeroblob(16), '2026-02-03T04:05:06Z')");
}

static void round_trip(void **state)
{
    (void)state;
    static const char *const file[] = { "out.safetensors", "out.json" };
    char path[512], other[512], out[512];
    snprintf(path, sizeof(path), "%s", in_folder("from.db"));
    make_gallery(path);
    char *want = dump(path);
    for (int i = 0; i < 2; i++) {
        snprintf(out, sizeof(out), "%s", in_folder(file[i]));
        snprintf(other, sizeof(other), "%s%d", in_folder("to.db"), i);
        MienGallery *g = open_gallery(path, MIEN_GALLERY_WRITE);
        assert_int_equal(mien_gallery_export(g, out), 0);
        mien_gallery_close(&g);
        struct stat st;
        assert_int_equal(stat(out, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);

        int n = -1;
        assert_int_equal(mien_gallery_open(&g, other, MIEN_GALLERY_CREATE, test_log()), 0);
        int ret = mien_gallery_import(g, out, &n);
        if (ret)
            print_error("%d %s\n", ret, said);
        assert_int_equal(ret, 0);
        assert_int_equal(n, 31);
        assert_int_equal(mien_gallery_import(g, out, &n), 0); /* again: nothing to add */
        assert_int_equal(n, 0);
        assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
        MienGalleryModel model;
        assert_int_equal(mien_gallery_model(g, &model), 0);
        assert_string_equal(model.hash, HASH_A);
        assert_string_equal(model.name, "test encoder");
        mien_gallery_close(&g);
        char *got = dump(other);
        assert_string_equal(got, want);
        free(got);
    }
    free(want);

    /* The same bytes every time. */
    size_t a_bytes, b_bytes;
    MienGallery *g = open_gallery(path, MIEN_GALLERY_READ);
    assert_int_equal(mien_gallery_export(g, in_folder("again.safetensors")), 0);
    mien_gallery_close(&g);
    uint8_t *a = read_bytes(in_folder("out.safetensors"), &a_bytes), *b = read_bytes(in_folder("again.safetensors"), &b_bytes);
    assert_int_equal(a_bytes, b_bytes);
    assert_memory_equal(a, b, a_bytes);
    free(a);
    free(b);
}

static void merges_by_name(void **state)
{
    (void)state;
    char out[512], b[512];
    snprintf(out, sizeof(out), "%s", in_folder("merge.safetensors"));
    snprintf(b, sizeof(b), "%s", in_folder("merge-b.db"));
    MienGallery *g = open_gallery(in_folder("merge-a.db"), MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    add(g, "Ann", 2);
    add(g, "Bob", 3);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", "from a", NULL, NULL), 0);
    assert_int_equal(mien_gallery_export(g, out), 0);
    mien_gallery_close(&g);
    g = open_gallery(b, MIEN_GALLERY_CREATE);
    add(g, "Ann", 2); /* the same template */
    add(g, "Carl", 4);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", "from b", NULL, NULL), 0);
    assert_int_equal(mien_gallery_set_ignored(g, "Ann", 1), 0);
    int n;
    assert_int_equal(mien_gallery_import(g, out, &n), 0);
    assert_int_equal(n, 2);
    MienPerson p;
    assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
    assert_int_equal(p.n_samples, 2);
    assert_string_equal(p.consent, "from b"); /* what is known here stays */
    assert_true(p.ignored);
    mien_gallery_close(&g);

    /* Another encoder: refused, nothing changed. */
    MienGallery *other;
    float v[DIM];
    MienSample s = { .quality = 1 };
    make_vector(v, 9, DIM);
    assert_int_equal(mien_gallery_open(&other, in_folder("merge-c.db"), MIEN_GALLERY_CREATE, test_log()), 0);
    assert_int_equal(mien_gallery_bind(other, HASH_B, "other encoder", DIM), 0);
    assert_int_equal(mien_gallery_import(other, out, &n), MIEN_E_MISMATCH); /* bound by its user, if not yet by a sample */
    assert_int_equal(mien_gallery_add(other, "Eve", v, DIM, &s), 0);
    said[0] = '\0';
    assert_int_equal(mien_gallery_import(other, out, &n), MIEN_E_MISMATCH);
    assert_non_null(strstr(said, "other encoder"));
    assert_non_null(strstr(said, "test encoder"));
    MienPerson *people;
    assert_int_equal(mien_gallery_people(other, &people), 1);
    mien_free(people);
    mien_gallery_close(&other);
}

static void empty_ones(void **state)
{
    (void)state;
    static const char *const file[] = { "nobody.safetensors", "nobody.json" };
    for (int i = 0; i < 2; i++) {
        MienGallery *g;
        int n = 7;
        assert_int_equal(mien_gallery_open(&g, in_folder("nobody.db"), MIEN_GALLERY_CREATE, test_log()), 0);
        int ret = mien_gallery_export(g, in_folder(file[i]));
        if (ret)
            print_error("%d %s\n", ret, said);
        assert_int_equal(ret, 0);
        ret = mien_gallery_import(g, in_folder(file[i]), &n);
        if (ret)
            print_error("%d %s\n", ret, said);
        assert_int_equal(ret, 0);
        assert_int_equal(n, 0);
        mien_gallery_close(&g);
    }
}

/* One thing wrong at a time, in an otherwise good file. */
static void hostile_json(void **state)
{
    (void)state;
    static const char good_head[] = "{\"mien\":\"gallery\",\"format\":1,\"encoder\":{\"hash\":\"" HASH_A "\",\"name\":\"e\",\"dim\":4},";
    static const char good_people[] = "\"people\":[{\"name\":\"Ann\",\"created\":\"2026-01-01T00:00:00Z\"}],";
    static const char good_samples[] = "\"samples\":[{\"person\":0,\"sample\":{\"quality\":1,\"source\":\"\",\"created\":"
                                       "\"2026-01-01T00:00:00Z\",\"embedding\":[0.5,0.5,0.5,0.5]}}]}";
#define SAMPLE(person, quality, source, created, embedding)                                                              \
    "\"samples\":[{\"person\":" person ",\"sample\":{\"quality\":" quality ",\"source\":\"" source "\",\"created\":\"" created \
    "\",\"embedding\":" embedding "}}]}"
#define NOW "2026-01-01T00:00:00Z"
    const struct {
        const char *head, *people, *samples;
        int ret;
    } row[] = {
        { good_head, good_people, good_samples, 0 },
        { "{", "", "", MIEN_E_FORMAT },
        { "{}", "", "", MIEN_E_FORMAT },
        { "[]", "", "", MIEN_E_FORMAT },
        { "", "", "", MIEN_E_FORMAT },
        { "{\"mien\":\"preset\",\"format\":1,", good_people, good_samples, MIEN_E_FORMAT },
        { "{\"mien\":\"gallery\",\"format\":2,\"encoder\":{\"hash\":\"" HASH_A "\",\"name\":\"e\",\"dim\":4},", good_people, good_samples,
          MIEN_E_VERSION },
        { "{\"mien\":\"gallery\",\"format\":1,", good_people, good_samples, MIEN_E_FORMAT },
        { "{\"mien\":\"gallery\",\"format\":1,\"encoder\":{\"hash\":\"x\",\"name\":\"e\",\"dim\":4},", good_people, good_samples, MIEN_E_FORMAT },
        { "{\"mien\":\"gallery\",\"format\":1,\"encoder\":{\"hash\":\"" HASH_A "\",\"name\":\"e\",\"dim\":1e99},", good_people, good_samples,
          MIEN_E_FORMAT },
        { "{\"mien\":\"gallery\",\"format\":1,\"encoder\":{\"hash\":\"" HASH_A "\",\"name\":\"e\",\"dim\":-4},", good_people, good_samples,
          MIEN_E_FORMAT },
        { "{\"mien\":\"gallery\",\"format\":1,\"encoder\":{\"hash\":\"\",\"name\":\"\",\"dim\":0},", good_people, good_samples, MIEN_E_FORMAT },
        { good_head, "", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":7,", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[7],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"\",\"created\":\"" NOW "\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"a\\nb\",\"created\":\"" NOW "\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"a\\u0000b\",\"created\":\"" NOW "\"},{\"name\":\"a\",\"created\":\"" NOW "\"}],", good_samples,
          MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":7,\"created\":\"" NOW "\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"Ann\",\"created\":\"yesterday\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"Ann\",\"created\":\"" NOW "\",\"expires\":\"never\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"Ann\",\"created\":\"" NOW "\",\"ignored\":1}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"Ann\",\"created\":\"" NOW "\",\"consent\":\"a\\nb\"}],", good_samples, MIEN_E_FORMAT },
        { good_head, "\"people\":[{\"name\":\"Ann\",\"created\":\"" NOW "\"},{\"name\":\"Ann\",\"created\":\"" NOW "\"}],", good_samples,
          MIEN_E_FORMAT },
        { good_head, good_people, "\"samples\":{}}", MIEN_E_FORMAT },
        { good_head, good_people, "\"samples\":[7]}", MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("1", "1", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("-1", "1", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0.5", "1", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("1e300", "1", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "2", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "\"1\"", "", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "abc", NOW, "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", "2026", "[0.5,0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[0.5,0.5,0.5]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[0.5,0.5,0.5,0.5,0]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[1,1,1,1]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[0,0,0,0]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[1e999,0,0,0]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "[null,1,0,0]"), MIEN_E_FORMAT },
        { good_head, good_people, SAMPLE("0", "1", "", NOW, "\"0.5\""), MIEN_E_FORMAT },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        char text[4096];
        int n = -1;
        MienGallery *g;
        MienGalleryStats before, after;
        snprintf(text, sizeof(text), "%s%s%s", row[i].head, row[i].people, row[i].samples);
        write_bytes(in_folder("hostile.json"), text, strlen(text));
        unlink(in_folder("hostile.db"));
        assert_int_equal(mien_gallery_open(&g, in_folder("hostile.db"), MIEN_GALLERY_CREATE, test_log()), 0);
        assert_int_equal(mien_gallery_stats(g, &before), 0);
        int ret = mien_gallery_import(g, in_folder("hostile.json"), &n);
        if (ret != row[i].ret)
            print_error("row %zu: %d %s\n", i, ret, said);
        assert_int_equal(ret, row[i].ret);
        assert_int_equal(n, ret ? 0 : 1);
        if (ret) {
            assert_non_null(strstr(said, "hostile.json"));
            assert_int_equal(mien_gallery_stats(g, &after), 0);
            assert_memory_equal(&before, &after, sizeof(before) - sizeof(before.audit_head));
            assert_string_equal(before.audit_head, after.audit_head);
        }
        mien_gallery_close(&g);
    }
}

static void hostile_safetensors(void **state)
{
    (void)state;
    static float v[8] = { 1, 0, 0, 0, 0, 1, 0, 0 }, long_v[8] = { 1, 1, 0, 0, 0, 1, 0, 0 }, nan_v[8] = { 1, 0, 0, 0, NAN, 1, 0, 0 };
    static float quality[2] = { 1, 0.5f }, bad_quality[2] = { 1, NAN };
    static int64_t person[2] = { 0, 1 }, bad_person[2] = { 0, 2 }, minus[2] = { 0, -1 }, created[2] = { 1, 2 },
                   bad_created[2] = { 1, INT64_MAX };
    static uint8_t source[64] = { 1 };
    static const char people[] = "[{\"name\":\"Ann\",\"created\":\"" NOW "\"},{\"name\":\"Bob\",\"created\":\"" NOW "\"}]";
    enum { EMBEDDING, PERSON, CREATED, QUALITY, SOURCE, PEOPLE, N };
    const MienTensor good[N] = {
        { "embedding", MIEN_F32, 2, { 2, 4 }, v, sizeof(v) },
        { "person", MIEN_I64, 1, { 2 }, person, sizeof(person) },
        { "created", MIEN_I64, 1, { 2 }, created, sizeof(created) },
        { "quality", MIEN_F32, 1, { 2 }, quality, sizeof(quality) },
        { "source", MIEN_U8, 2, { 2, 32 }, source, sizeof(source) },
        { "people", MIEN_U8, 1, { sizeof(people) - 1 }, people, sizeof(people) - 1 },
    };
    const struct {
        int which;
        MienTensor t;
        int ret;
    } row[] = {
        { EMBEDDING, good[EMBEDDING], 0 },
        { EMBEDDING, { "embedding", MIEN_F32, 2, { 2, 4 }, long_v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_F32, 2, { 2, 4 }, nan_v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_F32, 2, { 4, 2 }, v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_F32, 2, { 8, 1 }, v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_F32, 1, { 8 }, v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_I32, 2, { 2, 4 }, v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embeddings", MIEN_F32, 2, { 2, 4 }, v, 32 }, MIEN_E_FORMAT },
        { EMBEDDING, { "embedding", MIEN_F32, 2, { 0, 4 }, v, 0 }, MIEN_E_FORMAT },
        { PERSON, { "person", MIEN_I64, 1, { 2 }, bad_person, 16 }, MIEN_E_FORMAT },
        { PERSON, { "person", MIEN_I64, 1, { 2 }, minus, 16 }, MIEN_E_FORMAT },
        { PERSON, { "person", MIEN_I64, 1, { 1 }, person, 8 }, MIEN_E_FORMAT },
        { PERSON, { "person", MIEN_I32, 1, { 2 }, person, 8 }, MIEN_E_FORMAT },
        { CREATED, { "created", MIEN_I64, 1, { 2 }, bad_created, 16 }, MIEN_E_FORMAT },
        { QUALITY, { "quality", MIEN_F32, 1, { 2 }, bad_quality, 8 }, MIEN_E_FORMAT },
        { SOURCE, { "source", MIEN_U8, 2, { 2, 31 }, source, 62 }, MIEN_E_FORMAT },
        { PEOPLE, { "people", MIEN_U8, 1, { 4 }, "[{}]", 4 }, MIEN_E_FORMAT },
        { PEOPLE, { "people", MIEN_U8, 1, { 0 }, "", 0 }, MIEN_E_FORMAT },
        { PEOPLE, { "people", MIEN_U8, 1, { 2 }, "{}", 2 }, MIEN_E_FORMAT },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        MienTensor t[N];
        const MienMeta meta[] = { { "mien.format", "1" }, { "mien.kind", "gallery" }, { "mien.encoder", HASH_A }, { "mien.encoder.name", "e" } };
        MienGallery *g;
        int n = -1;
        memcpy(t, good, sizeof(good));
        t[row[i].which] = row[i].t;
        assert_int_equal(mien_weights_write(in_folder("h.safetensors"), t, N, meta, 4, test_log()), 0);
        unlink(in_folder("h.db"));
        assert_int_equal(mien_gallery_open(&g, in_folder("h.db"), MIEN_GALLERY_CREATE, test_log()), 0);
        int ret = mien_gallery_import(g, in_folder("h.safetensors"), &n);
        if (ret != row[i].ret)
            print_error("row %zu: %d %s\n", i, ret, said);
        assert_int_equal(ret, row[i].ret);
        assert_int_equal(n, ret ? 0 : 2);
        if (!ret)
            assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
        mien_gallery_close(&g);
    }
    MienGallery *g;
    int n;
    assert_int_equal(mien_gallery_open(&g, in_folder("h.db"), MIEN_GALLERY_CREATE, test_log()), 0);
    assert_int_equal(mien_gallery_import(g, in_folder("no such file"), &n), MIEN_ERR(ENOENT));
    assert_int_equal(mien_gallery_import(g, test_folder, &n), MIEN_ERR(EISDIR));
    assert_int_equal(mien_gallery_import(g, in_folder("h.db"), &n), MIEN_E_FORMAT);
    mien_gallery_close(&g);
}

static void backs_up(void **state)
{
    (void)state;
    char path[512], to[512], rel[64];
    snprintf(path, sizeof(path), "%s", in_folder("live.db"));
    snprintf(to, sizeof(to), "%s", in_folder("backup.db"));
    make_gallery(path);
    char *want = dump(path);
    MienGallery *g = open_gallery(path, MIEN_GALLERY_READ);
    assert_int_equal(mien_gallery_backup(g, to), 0);
    assert_int_equal(mien_gallery_backup(g, to), MIEN_E_EXISTS);
    assert_int_equal(mien_gallery_backup(g, in_folder("no/such/folder.db")), MIEN_ERR(ENOENT));
    mien_gallery_close(&g);
    struct stat st;
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    char *got = dump(to);
    assert_string_equal(got, want);
    free(got);
    free(want);
    g = open_gallery(to, MIEN_GALLERY_WRITE); /* a backup is a gallery */
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    add(g, "New", 77);
    snprintf(rel, sizeof(rel), "file:b.db?mode=memory");
    assert_int_equal(chdir(test_folder), 0);
    assert_int_equal(mien_gallery_backup(g, rel), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(stat(in_folder(rel), &st), 0);
    assert_true(st.st_size > 0);
    mien_gallery_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip), cmocka_unit_test(merges_by_name), cmocka_unit_test(empty_ones),
        cmocka_unit_test(hostile_json), cmocka_unit_test(hostile_safetensors), cmocka_unit_test(backs_up),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
