/* Galleries that this version did not write: an old schema, and contents that somebody else has changed. */
#include "gallery_util.h"

#define OLD_HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OLD_SQL "tests/data/gallery-v1.sql"
#define SCHEMA_2_SQL "tests/data/gallery-v2.sql"

static void make_from(const char *sql_path, const char *path)
{
    size_t bytes;
    uint8_t *sql = read_bytes(sql_path, &bytes);
    assert_non_null(sql);
    sql[bytes] = '\0';
    raw_sql(path, (const char *)sql);
    free(sql);
}

static void make_old(const char *path)
{
    make_from(OLD_SQL, path);
}

static void expect_old_people(MienGallery *g)
{
    static const float v[3][4] = { { 1, 0, 0, 0 }, { 0, 1, 0, 0 }, { 0, 0, 0.6f, -0.8f } };
    MienPerson *list;
    MienMatch m;
    MienGalleryModel model;
    assert_int_equal(mien_gallery_model(g, &model), 0);
    assert_string_equal(model.hash, OLD_HASH);
    assert_int_equal(model.dim, 4);
    assert_int_equal(mien_gallery_people(g, &list), 3);
    assert_string_equal(list[0].name, "Ann Early");
    assert_string_equal(list[0].consent, "form 1");
    assert_string_equal(list[0].notes, "first of all");
    assert_string_equal(list[0].expires, "2099-12-31");
    assert_string_equal(list[0].created, "2026-11-23T20:00:00Z");
    assert_int_equal(list[0].n_samples, 2);
    assert_true(list[1].ignored && !list[1].expired);
    assert_true(list[2].expired && !list[2].ignored);
    mien_free(list);
    assert_int_equal(mien_gallery_search(g, v[0], 4, NULL, &m), 0);
    assert_string_equal(m.name, "Ann Early");
    assert_float_equal(m.sim_cos, 1, 1e-6);
    assert_string_equal(m.second_name, "Zo\xc3\xab");
    assert_int_equal(mien_gallery_search(g, v[1], 4, NULL, &m), 0);
    assert_true(m.ignored);
    assert_int_equal(mien_gallery_search(g, v[2], 4, NULL, &m), 0);
    assert_float_equal(m.sim_cos, 0, 1e-6); /* the person who looks so has expired */
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0); /* the audit chain, too: its hashes were not made by this code */
}

static void opens_schema_1(void **state)
{
    (void)state;
    const char *path = in_folder("v1.db");
    MienGallery *g;
    MienGalleryStats s;
    make_old(path);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0); /* a reader changes nothing */
    expect_old_people(g);
    assert_int_equal(mien_gallery_export(g, in_folder("v1.safetensors")), 0);
    assert_int_equal(mien_gallery_backup(g, in_folder("v1-backup.db")), 0);
    assert_int_equal(mien_gallery_stats(g, &s), 0);
    assert_int_equal(s.schema_version, 1);
    mien_gallery_close(&g);
    path = in_folder("v1.db");
    assert_int_equal(raw_number(path, "PRAGMA user_version"), 1);

    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()), 0);
    expect_old_people(g);
    assert_int_equal(mien_gallery_stats(g, &s), 0);
    assert_int_equal(s.schema_version, 3);
    assert_int_equal(s.n_audit, 8); /* and one line about the migration */
    float v[4] = { 0, 0, 0, 1 };
    MienSample sample = { .quality = 1 };
    assert_int_equal(mien_gallery_add(g, "New", v, 4, &sample), 0);
    assert_int_equal(sample.person, 4);
    mien_gallery_close(&g);

    /* The same schema as that of a new gallery. */
    static const char schema[] = "SELECT group_concat(sql, ';') FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)";
    sqlite3 *db;
    sqlite3_stmt *a, *b;
    g = open_gallery(in_folder("new.db"), MIEN_GALLERY_CREATE);
    mien_gallery_close(&g);
    assert_int_equal(sqlite3_open(in_folder("v1.db"), &db), SQLITE_OK);
    char attach[600];
    snprintf(attach, sizeof(attach), "ATTACH '%s' AS new", in_folder("new.db"));
    assert_int_equal(sqlite3_exec(db, attach, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, schema, -1, &a, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, "SELECT group_concat(sql, ';') FROM (SELECT sql FROM new.sqlite_schema WHERE sql IS NOT "
                                            "NULL ORDER BY name)", -1, &b, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(a), SQLITE_ROW);
    assert_int_equal(sqlite3_step(b), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(a, 0), (const char *)sqlite3_column_text(b, 0));
    sqlite3_finalize(a);
    sqlite3_finalize(b);
    sqlite3_close(db);
}

/* A calibration that lay in a file before calibrations were written: a reader leaves it alone, a writer brings it over. */
static void opens_schema_2(void **state)
{
    (void)state;
    MienGallery *g;
    MienCalibration c;
    int64_t n_now;
    const char *path = in_folder("v2.db");
    make_from(SCHEMA_2_SQL, path);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    assert_int_equal(mien_gallery_calibration(g, &c, &n_now), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    assert_string_equal(said, "");
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()), 0);
    assert_int_equal(mien_gallery_calibration(g, &c, &n_now), 0);
    assert_float_equal(c.threshold_sim_cos, 0.52, 0);
    assert_float_equal(c.verify_sim_cos, 0.52, 0); /* nothing better is known */
    assert_float_equal(c.margin_sim_cos, 0.06, 0);
    assert_float_equal(c.fnir_low, 0.0625, 0);
    assert_true(isnan(c.fpir_measured) && isnan(c.fpir_high));
    assert_int_equal(c.basis, MIEN_BASIS_PUBLISHED);
    assert_int_equal(c.n_impostors, 400);
    assert_string_equal(c.created, "2026-11-24T10:00:00Z");
    assert_int_equal(n_now, 1); /* of three people one is ignored and one has expired */
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
}

typedef struct Texts {
    int n;
    char text[8192];
} Texts;

static void collect(void *priv, const char *text)
{
    Texts *t = priv;
    t->n++;
    strncat(t->text, text, sizeof(t->text) - strlen(t->text) - 2);
    strcat(t->text, "\n");
}

/* What checks of the schema would refuse, written with the checks off: named by check, skipped by search, in nobody's way. */
static void damaged_rows(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int n_found;       /* findings of check; an altered row may also break a CHECK */
        const char *text;  /* of one of them */
        int export_ret;
    } row[] = {
        { "UPDATE sample SET vector = zeroblob(16) WHERE id = 3", 1, "sample 3: the template is not of length 1", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'0000c07f000000000000000000000000' WHERE id = 3", 1, "not finite", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'0000807f000000000000000000000000' WHERE id = 3", 1, "not finite", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'0000003f000000000000000000000000' WHERE id = 3", 1, "not of length 1", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'0000803f0000000000000000' WHERE id = 3", 1, "size", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'' WHERE id = 3", 2, "size", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = x'0000803f00' WHERE id = 3", 2, "size", MIEN_E_CORRUPT },
        { "UPDATE sample SET vector = zeroblob(6000000) WHERE id = 3", 2, "size", MIEN_E_CORRUPT },
        { "UPDATE sample SET person = 77 WHERE id = 3", 1, "refers to something", MIEN_E_FORMAT },
        { "UPDATE sample SET model = 77 WHERE id = 3", 2, "unknown encoder", 0 },
        { "UPDATE sample SET quality = 7 WHERE id = 3", 1, "CHECK", MIEN_E_FORMAT },
        { "UPDATE person SET name = 'two' || char(10) || 'lines' WHERE id = 2", 1, "person 2: the name is damaged", MIEN_E_FORMAT },
        { "UPDATE person SET name = CAST(x'ff' AS TEXT) WHERE id = 2", 1, "person 2", MIEN_E_FORMAT },
        { "UPDATE person SET name = CAST(x'4100420043' AS TEXT) WHERE id = 2", 1, "person 2", 0 },
        { "UPDATE person SET name = '' WHERE id = 2", 2, "person 2", MIEN_E_FORMAT },
        { "UPDATE person SET name = replace(hex(zeroblob(500)), '00', 'a') WHERE id = 2", 2, "person 2", 0 },
        { "UPDATE person SET expires = 'whenever!!' WHERE id = 2", 1, "expiry", MIEN_E_FORMAT },
        { "UPDATE person SET created = 'before' WHERE id = 2", 1, "date", MIEN_E_FORMAT },
        { "UPDATE model SET dim = 8", 4, "size", MIEN_E_CORRUPT },
        { "UPDATE model SET dim = 1000000", 2, "encoder is damaged", MIEN_E_CORRUPT },
        { "UPDATE model SET hash = 'x'", 2, "encoder is damaged", MIEN_E_CORRUPT },
        { "DELETE FROM model", 8, "unknown encoder", 0 },
        { "UPDATE audit SET id = 9223372036854775807 WHERE id = 7", 1, "audit line", 0 },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        MienGallery *g;
        Texts found = { 0 };
        char path[512], sql[512];
        float v[4] = { 1, 0, 0, 0 };
        MienMatch m;
        MienCandidate c[4];
        MienPerson *people;
        snprintf(path, sizeof(path), "%s", in_folder("damaged.db"));
        unlink(path);
        make_old(path);
        snprintf(sql, sizeof(sql), "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; %s", row[i].sql);
        raw_sql(path, sql);
        assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
        int n = mien_gallery_check(g, collect, &found);
        if (n != row[i].n_found || !strstr(found.text, row[i].text))
            print_error("row %zu: %d findings\n%s", i, n, found.text);
        assert_int_equal(n, row[i].n_found);
        assert_int_equal(found.n, n);
        assert_non_null(strstr(found.text, row[i].text));
        int ret = mien_gallery_search(g, v, 4, NULL, &m);
        assert_true(ret == 0 || ret == MIEN_E_CORRUPT || ret == MIEN_E_MISMATCH);
        mien_gallery_top(g, v, 4, c, 4);
        n = mien_gallery_people(g, &people);
        assert_in_range(n, 2, 3);
        mien_free(people);
        ret = mien_gallery_export(g, in_folder("damaged.json"));
        if (ret != row[i].export_ret)
            print_error("row %zu: export %d %s\n", i, ret, said);
        assert_int_equal(ret, row[i].export_ret);
        mien_gallery_close(&g);
        /* Writing to it does not make it worse, and other people can be forgotten. */
        if (mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()) == 0) {
            mien_gallery_forget(g, "Ann Early", NULL);
            mien_gallery_close(&g);
        }
    }
    /* In search a damaged template is left out with one warning, the others count. */
    MienGallery *g;
    MienMatch m;
    float v[4] = { 0, 1, 0, 0 };
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("skip.db"));
    make_old(path);
    raw_sql(path, "UPDATE sample SET vector = zeroblob(16) WHERE id = 3");
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    assert_int_equal(mien_gallery_search(g, v, 4, NULL, &m), 0);
    assert_string_equal(m.name, "Ann Early");
    assert_non_null(strstr(said, "1 damaged sample"));
    float w[4];
    assert_int_equal(mien_gallery_embedding(g, 3, w, 4), MIEN_E_CORRUPT);
    mien_gallery_close(&g);
}

/* A schema of somebody else's making: nothing in it runs, what is missing is said. */
static void foreign_schema(void **state)
{
    (void)state;
    static const char *const sql[] = {
        "DROP TABLE sample",
        "DROP TABLE person",
        "DROP TABLE audit",
        "ALTER TABLE person RENAME COLUMN name TO nom",
        "DROP TABLE sample; CREATE VIEW sample AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS id, 1 AS "
        "person, 1 AS model, zeroblob(16) AS vector, 1 AS quality, '' AS source, '' AS created FROM n",
        "DROP TABLE sample; CREATE TABLE sample (id, person, model, vector, quality, source, created); INSERT INTO sample VALUES ('a', 'b', "
        "'c', 'd', 'e', x'00', 7), (NULL, NULL, NULL, NULL, NULL, NULL, NULL), (1, 1, 1, 'sixteen bytes...', 1, '', '')",
        "CREATE TRIGGER t AFTER INSERT ON sample BEGIN DELETE FROM person; END",
        "CREATE TABLE person2 AS SELECT * FROM person; DROP TABLE person; ALTER TABLE person2 RENAME TO person",
    };
    for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++) {
        MienGallery *g;
        MienMatch m;
        MienPerson *people;
        MienGalleryStats s;
        MienSample sample = { .quality = 1 };
        float v[4] = { 1, 0, 0, 0 };
        char path[512];
        snprintf(path, sizeof(path), "%s", in_folder("schema.db"));
        unlink(path);
        make_old(path);
        raw_sql(path, sql[i]);
        assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
        mien_gallery_search(g, v, 4, NULL, &m);
        if (mien_gallery_people(g, &people) >= 0)
            mien_free(people);
        mien_gallery_stats(g, &s);
        mien_gallery_check(g, NULL, NULL);
        mien_gallery_export(g, in_folder("schema.json"));
        mien_gallery_close(&g);
        if (mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()) == 0) {
            mien_gallery_add(g, "New", v, 4, &sample);
            mien_gallery_forget(g, "New", NULL);
            mien_gallery_close(&g);
        }
        if (strstr(sql[i], "TRIGGER")) /* the trigger did not run */
            assert_int_equal(raw_number(path, "SELECT count(*) FROM person"), 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opens_schema_1), cmocka_unit_test(opens_schema_2), cmocka_unit_test(damaged_rows), cmocka_unit_test(foreign_schema),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
