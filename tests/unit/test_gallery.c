/* The gallery's calls, one after the other: opening, names, people, samples, search, expiry, notes, moves, stats, audit. */
#include <time.h>

#include "gallery_util.h"

/* ---- names */

static void names(void **state)
{
    (void)state;
    char n255[256], n256[257];
    memset(n255, 'n', 255), n255[255] = '\0';
    memset(n256, 'n', 256), n256[256] = '\0';
    const struct {
        const char *name;
        int good;
    } row[] = {
        { "Ann", 1 },
        { "A. Person", 1 },
        { "x", 1 },
        { n255, 1 },
        { n256, 0 },
        { "", 0 },
        { NULL, 0 },
        { " Ann", 0 },                    /* blank in front */
        { "Ann ", 0 },
        { "\xc2\xa0" "Ann", 0 },          /* no-break space */
        { "Ann\xe3\x80\x80", 0 },         /* ideographic space */
        { "A\nB", 0 },
        { "A\tB", 0 },
        { "A\x7f", 0 },                   /* DEL */
        { "A\xc2\x85" "B", 0 },           /* C1: next line */
        { "A\xe2\x80\xa8" "B", 0 },       /* line separator */
        { "A\xe2\x80\xa9" "B", 0 },       /* paragraph separator */
        { "Zo\xc3\xab", 1 },              /* ë */
        { "Zoe\xcc\x88", 1 },             /* e and a combining mark: another name, kept as it is */
        { "\xe5\xb1\xb1\xe7\x94\xb0", 1 },
        { "\xd9\x85\xd8\xb1\xd9\x8a\xd9\x85", 1 },
        { "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x9a\x80", 1 }, /* emoji with a joiner */
        { "\xc3", 0 },                    /* cut */
        { "A\xe2\x82", 0 },
        { "\xc0\xaf", 0 },                /* overlong */
        { "\xe0\x80\xaf", 0 },
        { "\xf0\x80\x80\xaf", 0 },
        { "\xed\xa0\x80", 0 },            /* surrogate */
        { "\xf4\x90\x80\x80", 0 },        /* beyond U+10FFFF */
        { "\xff", 0 },
        { "\x80", 0 },
        { "Robert'); DROP TABLE person;--", 1 },
        { "%{localtime} %s%n", 1 },
        { "../../etc/passwd", 1 },
        { "a=b:c,d[e];'\"\\", 1 },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        const char *why = "unset";
        int ret = mien_name_check(row[i].name, &why);
        if ((ret == 0) != row[i].good)
            print_error("row %zu: %d %s\n", i, ret, why);
        assert_int_equal(ret, row[i].good ? 0 : MIEN_ERR(EINVAL));
        assert_true(row[i].good ? why == NULL : why != NULL && strstr(why, "name"));
        assert_int_equal(mien_name_check(row[i].name, NULL), ret);
    }
    /* Whatever is accepted is stored and found byte by byte, and does nothing else. */
    MienGallery *g = open_gallery(in_folder("names.db"), MIEN_GALLERY_CREATE);
    int n = 0;
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        float v[DIM];
        MienSample s = { .quality = 1 };
        make_vector(v, (unsigned)i + 1, DIM);
        int ret = row[i].name ? mien_gallery_add(g, row[i].name, v, DIM, &s) : MIEN_ERR(EINVAL);
        assert_int_equal(ret, row[i].good ? 0 : MIEN_ERR(EINVAL));
        if (!row[i].good)
            continue;
        n++;
        MienPerson p;
        MienMatch m;
        assert_int_equal(mien_gallery_find(g, row[i].name, &p), 0);
        assert_string_equal(p.name, row[i].name);
        assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), 0);
        assert_string_equal(m.name, row[i].name);
    }
    MienPerson *people;
    assert_int_equal(mien_gallery_people(g, &people), n);
    mien_free(people);
    mien_gallery_close(&g);
}

/* ---- opening */

static void creates_private(void **state)
{
    (void)state;
    struct stat st;
    const char *path = in_folder("deep/er/gallery.db");
    mode_t old = umask(0);
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    umask(old);
    assert_string_equal(mien_gallery_path(g), path);
    add(g, "Ann", 1);
    static const char *const files[] = { "deep/er/gallery.db", "deep/er/gallery.db-wal", "deep/er/gallery.db-shm" };
    for (int i = 0; i < 3; i++) {
        assert_int_equal(stat(in_folder(files[i]), &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
    assert_int_equal(stat(in_folder("deep"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    assert_int_equal(stat(in_folder("deep/er"), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    mien_gallery_close(&g);
    assert_null(g);
    mien_gallery_close(&g);
    /* At rest it is one file. */
    assert_int_not_equal(stat(in_folder("deep/er/gallery.db-wal"), &st), 0);
    path = in_folder("deep/er/gallery.db");
    assert_int_equal(raw_number(path, "PRAGMA application_id"), 0x4d49454e);
    assert_int_equal(raw_number(path, "PRAGMA user_version"), 3);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM pragma_table_list WHERE strict AND name IN ('model', 'person',"
                                "'sample', 'calibration', 'similarity', 'stranger', 'stranger_sample', 'audit')"), 8);
}

static void default_path(void **state)
{
    (void)state;
    char path[512], small[8];
    setenv("HOME", "/home/ann", 1);
    setenv("XDG_DATA_HOME", "/data", 1);
    assert_int_equal(mien_gallery_default_path(path, sizeof(path)), 0);
    assert_string_equal(path, "/data/mien/gallery.db");
    assert_int_equal(mien_gallery_default_path(small, sizeof(small)), MIEN_ERR(ENAMETOOLONG));
    setenv("XDG_DATA_HOME", "relative", 1);
    assert_int_equal(mien_gallery_default_path(path, sizeof(path)), 0);
    assert_string_equal(path, "/home/ann/.local/share/mien/gallery.db");
    unsetenv("XDG_DATA_HOME");
    unsetenv("HOME");
    assert_int_equal(mien_gallery_default_path(path, sizeof(path)), MIEN_E_NOTFOUND);
    MienGallery *g;
    assert_int_equal(mien_gallery_open(&g, NULL, MIEN_GALLERY_READ, test_log()), MIEN_E_NOTFOUND);
    assert_null(g);
    setenv("XDG_DATA_HOME", in_folder("xdg"), 1);
    g = open_gallery(NULL, MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    mien_gallery_close(&g);
    struct stat st;
    assert_int_equal(stat(in_folder("xdg/mien/gallery.db"), &st), 0);
}

static void refuses_to_open(void **state)
{
    (void)state;
    raw_sql(in_folder("foreign.db"), "CREATE TABLE t (x); INSERT INTO t VALUES (1)");
    raw_sql(in_folder("newer.db"), "PRAGMA application_id = 0x4d49454e; PRAGMA user_version = 99; CREATE TABLE t (x)");
    raw_sql(in_folder("app.db"), "PRAGMA application_id = 7; CREATE TABLE t (x)");
    raw_sql(in_folder("noversion.db"), "PRAGMA application_id = 0x4d49454e; CREATE TABLE t (x)");
    write_bytes(in_folder("text.db"), "this is no database, it is a letter to somebody, and long enough to be one. 0123456789 0123456789", 96);
    write_bytes(in_folder("empty.db"), "", 0);
    mkdir(in_folder("folder.db"), 0700);
    const struct {
        const char *name;
        MienGalleryFlags flags;
        int ret;
        const char *text; /* of the message */
    } row[] = {
        { "missing.db", MIEN_GALLERY_READ, MIEN_E_NOTFOUND, "mien enroll" },
        { "missing.db", MIEN_GALLERY_WRITE, MIEN_E_NOTFOUND, "mien enroll" },
        { "text.db/x.db", MIEN_GALLERY_READ, MIEN_E_NOTFOUND, "no such gallery" },
        { "text.db/x.db", MIEN_GALLERY_CREATE, MIEN_ERR(ENOTDIR), "cannot be made" },
        { "foreign.db", MIEN_GALLERY_READ, MIEN_E_FORMAT, "another program" },
        { "foreign.db", MIEN_GALLERY_WRITE, MIEN_E_FORMAT, "another program" },
        { "foreign.db", MIEN_GALLERY_CREATE, MIEN_E_FORMAT, "another program" },
        { "app.db", MIEN_GALLERY_CREATE, MIEN_E_FORMAT, "another program" },
        { "noversion.db", MIEN_GALLERY_CREATE, MIEN_E_FORMAT, "another program" },
        { "newer.db", MIEN_GALLERY_READ, MIEN_E_VERSION, "newer mien" },
        { "newer.db", MIEN_GALLERY_CREATE, MIEN_E_VERSION, "newer mien" },
        { "text.db", MIEN_GALLERY_READ, MIEN_E_FORMAT, "not a gallery" },
        { "text.db", MIEN_GALLERY_CREATE, MIEN_E_FORMAT, "not a gallery" },
        { "empty.db", MIEN_GALLERY_READ, MIEN_E_FORMAT, "is empty" },
        { "empty.db", MIEN_GALLERY_WRITE, MIEN_E_FORMAT, "is empty" },
        { "folder.db", MIEN_GALLERY_READ, MIEN_ERR(EISDIR), "not a regular file" },
        { "folder.db", MIEN_GALLERY_CREATE, MIEN_ERR(EISDIR), "not a regular file" },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        MienGallery *g = (MienGallery *)1;
        size_t before_bytes, after_bytes;
        const char *path = in_folder(row[i].name);
        struct stat st;
        int is_file = stat(path, &st) == 0 && S_ISREG(st.st_mode);
        uint8_t *before = is_file ? read_bytes(path, &before_bytes) : NULL;
        int ret = mien_gallery_open(&g, path, row[i].flags, test_log());
        if (ret != row[i].ret || !strstr(said, row[i].text))
            print_error("row %zu: %d %s\n", i, ret, said);
        assert_int_equal(ret, row[i].ret);
        assert_null(g);
        assert_non_null(strstr(said, row[i].text));
        assert_non_null(strstr(said, path)); /* which thing */
        assert_ptr_equal(strchr(said, '\n'), said + strlen(said) - 1); /* one line */
        if (is_file) { /* a stranger's file is left as it was */
            uint8_t *after = read_bytes(path, &after_bytes);
            assert_int_equal(before_bytes, after_bytes);
            assert_memory_equal(before, after, before_bytes);
            free(after);
        }
        free(before);
    }
    /* An empty file becomes a gallery when asked for. */
    MienGallery *g = open_gallery(in_folder("empty.db"), MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, "", MIEN_GALLERY_CREATE, test_log()), MIEN_ERR(ENOENT));
}

static void odd_paths(void **state)
{
    (void)state;
    /* Names that SQLite or a URI would read as something else; relative ones survive a change of folder. */
    static const char *const name[] = { "file:x.db?mode=memory", ":memory:", "a b#c%20?.db", "\xc3\xa9.db", "-x" };
    char cwd[1024];
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    for (size_t i = 0; i < sizeof(name) / sizeof(name[0]); i++) {
        struct stat st;
        assert_int_equal(chdir(test_folder), 0);
        MienGallery *g = open_gallery(name[i], MIEN_GALLERY_CREATE);
        assert_int_equal(chdir("/"), 0);
        add(g, "Ann", 1);
        mien_gallery_close(&g);
        assert_int_equal(stat(in_folder(name[i]), &st), 0);
        assert_true(st.st_size > 0);
        g = open_gallery(in_folder(name[i]), MIEN_GALLERY_READ);
        MienPerson p;
        assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
        mien_gallery_close(&g);
    }
    assert_int_equal(chdir(cwd), 0);
}

/* ---- people and samples */

static void enrols(void **state)
{
    (void)state;
    const char *path = in_folder("enrol.db");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienGalleryModel model;
    assert_int_equal(mien_gallery_model(g, &model), 0);
    assert_string_equal(model.hash, ""); /* bound by the first sample */
    float v[DIM], w[DIM];
    make_vector(v, 1, DIM);
    for (int i = 0; i < DIM; i++)
        w[i] = 7 * v[i];
    MienSample s = { .quality = 0.25f, .source_hash = HASH_B };
    assert_int_equal(mien_gallery_add(g, "Ann", w, DIM, &s), 0);
    assert_true(s.id > 0 && s.person > 0 && strlen(s.created) == 20);
    assert_int_equal(mien_gallery_model(g, &model), 0);
    assert_string_equal(model.hash, HASH_A);
    assert_string_equal(model.name, "test encoder");
    assert_int_equal(model.dim, DIM);
    assert_int_equal(mien_gallery_embedding(g, s.id, w, DIM), 0);
    for (int i = 0; i < DIM; i++)
        assert_float_equal(w[i], v[i], 1e-6);
    assert_int_equal(mien_gallery_embedding(g, s.id, w, 64), MIEN_E_CORRUPT);
    assert_int_equal(mien_gallery_embedding(g, 999, w, DIM), MIEN_E_NOTFOUND);

    MienSample again = { .quality = 1, .source_hash = HASH_B };
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &again), MIEN_E_EXISTS);
    assert_int_equal(again.id, 0);
    assert_int_equal(mien_gallery_add(g, "Bob", v, DIM, &again), 0); /* the same picture of another person */
    MienSample none = { .quality = 1 };
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &none), 0); /* no source: never the same */
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &none), 0);

    MienSample *list;
    assert_int_equal(mien_gallery_samples(g, s.person, &list), 3);
    assert_string_equal(list[0].source_hash, HASH_B);
    assert_float_equal(list[0].quality, 0.25, 0);
    assert_int_equal(list[0].person, s.person);
    mien_free(list);
    assert_int_equal(mien_gallery_samples(g, 12345, &list), 0);
    mien_free(list);
    mien_gallery_close(&g);

    /* What must be refused, and then is not half there. */
    g = open_gallery(path, MIEN_GALLERY_WRITE);
    const struct {
        float first, scale;
        int dim;
        float quality;
        const char *source;
        int ret;
    } row[] = {
        { NAN, 1, DIM, 1, "", MIEN_ERR(EINVAL) },
        { INFINITY, 1, DIM, 1, "", MIEN_ERR(EINVAL) },
        { -INFINITY, 1, DIM, 1, "", MIEN_ERR(EINVAL) },
        { 0, 0, DIM, 1, "", MIEN_ERR(EINVAL) },        /* length 0 */
        { 1, 1, 64, 1, "", MIEN_E_MISMATCH },          /* another encoder's size */
        { 1, 1, 0, 1, "", MIEN_ERR(EINVAL) },
        { 1, 1, 1, 1, "", MIEN_ERR(EINVAL) },
        { 1, 1, 1025, 1, "", MIEN_ERR(EINVAL) },
        { 1, 1, -128, 1, "", MIEN_ERR(EINVAL) },
        { 1, 1, DIM, 1.5f, "", MIEN_ERR(EINVAL) },
        { 1, 1, DIM, -0.1f, "", MIEN_ERR(EINVAL) },
        { 1, 1, DIM, NAN, "", MIEN_ERR(EINVAL) },
        { 1, 1, DIM, 1, "abc", MIEN_ERR(EINVAL) },
        { 1, 1, DIM, 1, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", MIEN_ERR(EINVAL) },
        { 1e30f, 1e30f, DIM, 1, "", 0 },               /* large, but a direction */
        { 1e-30f, 1e-30f, DIM, 1, "", 0 },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        float u[1100];
        make_vector(u, 3, 1024);
        for (int k = 0; k < 1100; k++)
            u[k] = k < 1024 ? u[k] * row[i].scale : 0;
        u[0] = row[i].first;
        MienSample t = { .quality = row[i].quality };
        snprintf(t.source_hash, sizeof(t.source_hash), "%s", row[i].source);
        MienPerson p;
        int ret = mien_gallery_add(g, "Carl", u, row[i].dim, &t);
        if (ret != row[i].ret)
            print_error("row %zu: %d %s\n", i, ret, said);
        assert_int_equal(ret, row[i].ret);
        assert_int_equal(mien_gallery_find(g, "Carl", &p), ret ? MIEN_E_NOTFOUND : 0);
        if (!ret) {
            MienErasure e;
            assert_int_equal(mien_gallery_forget(g, "Carl", &e), 0);
        }
    }
    mien_gallery_close(&g);
}

static void binds(void **state)
{
    (void)state;
    const char *path = in_folder("bind.db");
    MienGallery *g;
    float v[DIM];
    make_vector(v, 1, DIM);
    MienSample s = { .quality = 1 };
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_CREATE, test_log()), 0);
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &s), MIEN_E_MISMATCH); /* bind comes first */
    assert_int_equal(mien_gallery_bind(g, "short", "n", DIM), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_bind(g, HASH_A, "n\n", DIM), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_bind(g, HASH_A, "n", 1), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_bind(g, HASH_A, "n", 2000), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_bind(g, HASH_A, "first", DIM), 0);
    assert_int_equal(mien_gallery_bind(g, HASH_B, "second", 64), 0); /* nothing stored: free to change */
    assert_int_equal(mien_gallery_add(g, "Ann", v, 64, &s), 0);
    said[0] = '\0';
    assert_int_equal(mien_gallery_bind(g, HASH_A, "first", DIM), MIEN_E_MISMATCH);
    assert_non_null(strstr(said, "first"));
    assert_non_null(strstr(said, "second"));
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log()), 0);
    assert_int_equal(mien_gallery_bind(g, HASH_A, "first", 64), MIEN_E_MISMATCH);
    assert_int_equal(mien_gallery_bind(g, HASH_B, "another name for it", 64), 0);
    assert_int_equal(mien_gallery_add(g, "Bob", v, 64, &s), MIEN_ERR(EACCES));
    mien_gallery_close(&g);
    /* When the last template is gone, another encoder may move in. */
    assert_int_equal(mien_gallery_open(&g, path, MIEN_GALLERY_WRITE, test_log()), 0);
    assert_int_equal(mien_gallery_forget(g, "Ann", NULL), 0);
    assert_int_equal(mien_gallery_bind(g, HASH_A, "first", DIM), 0);
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &s), 0);
    MienGalleryModel model;
    assert_int_equal(mien_gallery_model(g, &model), 0);
    assert_string_equal(model.hash, HASH_A);
    mien_gallery_close(&g);
}

static void changes_people(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("people.db"), MIEN_GALLERY_CREATE);
    MienPerson p, *list;
    MienSample *samples;
    assert_int_equal(mien_gallery_people(g, &list), 0);
    mien_free(list);
    add(g, "Bob", 1);
    int64_t moved = add(g, "ann", 2);
    add(g, "Ann", 3);
    add(g, "Ann", 4);
    assert_int_equal(mien_gallery_people(g, &list), 3); /* by bytes: Ann, Bob, ann */
    assert_string_equal(list[0].name, "Ann");
    assert_string_equal(list[1].name, "Bob");
    assert_string_equal(list[2].name, "ann");
    assert_int_equal(list[0].n_samples, 2);
    mien_free(list);

    said[0] = '\0';
    assert_int_equal(mien_gallery_rename(g, "Nobody", "X"), MIEN_E_NOTFOUND);
    assert_null(strstr(said, "Nobody")); /* no names in the log */
    assert_int_equal(mien_gallery_rename(g, "Bob", "Ann"), MIEN_E_EXISTS);
    assert_int_equal(mien_gallery_rename(g, "Bob", "bad\n"), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_rename(g, "Bob", "Bob"), 0);
    assert_int_equal(mien_gallery_rename(g, "Bob", "Robert"), 0);
    assert_int_equal(mien_gallery_find(g, "Bob", &p), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_find(g, "Robert", &p), 0);
    assert_int_equal(p.n_samples, 1);

    assert_int_equal(mien_gallery_set_notes(g, "ann", "form 12", "2099-12-31", "two\nlines"), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, "2050-01-01", NULL), 0);
    assert_int_equal(mien_gallery_merge(g, "ann", "ann"), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_merge(g, "ann", "Nobody"), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_merge(g, "ann", "Ann"), 1);
    assert_int_equal(mien_gallery_find(g, "ann", &p), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
    assert_int_equal(p.n_samples, 3);
    assert_string_equal(p.consent, "form 12");
    assert_string_equal(p.notes, "two\nlines");
    assert_string_equal(p.expires, "2050-01-01"); /* the earlier one */

    assert_int_equal(mien_gallery_move_sample(g, 999, "Dora"), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_move_sample(g, moved, "Dora"), 0); /* split */
    assert_int_equal(mien_gallery_move_sample(g, moved, "Dora"), 0);
    assert_int_equal(mien_gallery_find(g, "Dora", &p), 0);
    assert_int_equal(mien_gallery_samples(g, p.id, &samples), 1);
    assert_int_equal(samples[0].id, moved);
    mien_free(samples);

    assert_int_equal(mien_gallery_set_ignored(g, "Dora", 1), 0);
    assert_int_equal(mien_gallery_find(g, "Dora", &p), 0);
    assert_true(p.ignored);
    assert_int_equal(mien_gallery_set_ignored(g, "Dora", 0), 0);
    assert_int_equal(mien_gallery_set_ignored(g, "Nobody", 1), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_find(g, "Dora", &p), 0);
    assert_false(p.ignored);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
}

static void merges_doubles(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("doubles.db"), MIEN_GALLERY_CREATE);
    float v[DIM];
    make_vector(v, 1, DIM);
    MienSample s = { .quality = 1, .source_hash = HASH_B }, t = { .quality = 1, .source_hash = HASH_A };
    MienPerson p;
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &s), 0);
    assert_int_equal(mien_gallery_add(g, "Anna", v, DIM, &s), 0); /* one picture, twice */
    assert_int_equal(mien_gallery_add(g, "Anna", v, DIM, &t), 0);
    assert_int_equal(mien_gallery_move_sample(g, s.id, "Ann"), MIEN_E_EXISTS);
    assert_int_equal(mien_gallery_merge(g, "Anna", "Ann"), 1);
    assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
    assert_int_equal(p.n_samples, 2);
    mien_gallery_close(&g);
}

static void notes(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("notes.db"), MIEN_GALLERY_CREATE);
    MienPerson p;
    char long_text[1100];
    memset(long_text, 'x', sizeof(long_text));
    long_text[1023] = '\0';
    add(g, "Ann", 1);
    assert_int_equal(mien_gallery_set_notes(g, "Nobody", "c", NULL, NULL), MIEN_E_NOTFOUND);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", "c", NULL, long_text), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, NULL, NULL), 0);
    assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
    assert_string_equal(p.consent, "c");
    assert_string_equal(p.notes, long_text);
    long_text[1023] = 'x', long_text[1024] = '\0';
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, NULL, long_text), MIEN_ERR(EINVAL));
    long_text[256] = '\0';
    assert_int_equal(mien_gallery_set_notes(g, "Ann", long_text, NULL, NULL), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_set_notes(g, "Ann", "a\nb", NULL, NULL), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, NULL, "\xff"), MIEN_ERR(EINVAL));
    static const struct {
        const char *date;
        int good, expired;
    } row[] = {
        { "2099-12-31", 1, 0 }, { "2001-01-01", 1, 1 }, { "2099-12-31T10:00:00Z", 1, 0 }, { "2001-02-28T23:59:59Z", 1, 1 },
        { "2000-02-29", 1, 1 }, { "2001-02-29", 0, 0 }, { "1900-02-29", 0, 0 }, { "2099-13-01", 0, 0 }, { "2099-00-01", 0, 0 },
        { "2099-04-31", 0, 0 }, { "2099-01-00", 0, 0 }, { "2099-1-1", 0, 0 }, { "tomorrow", 0, 0 }, { "2099/12/31", 0, 0 },
        { "2099-12-31T10:00:00", 0, 0 }, { "2099-12-31T24:00:00Z", 0, 0 }, { "2099-12-31 10:00:00Z", 0, 0 },
        { "-099-12-31", 0, 0 }, { "2099-12-3\xc3", 0, 0 }, { "", 1, 0 },
    };
    for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
        int ret = mien_gallery_set_notes(g, "Ann", NULL, row[i].date, NULL);
        if ((ret == 0) != row[i].good)
            print_error("%s\n", row[i].date);
        assert_int_equal(ret, row[i].good ? 0 : MIEN_ERR(EINVAL));
        if (!row[i].good)
            continue;
        assert_int_equal(mien_gallery_find(g, "Ann", &p), 0);
        assert_string_equal(p.expires, row[i].date);
        assert_int_equal(p.expired, row[i].expired);
    }
    mien_gallery_close(&g);
}

/* ---- search */

static void searches(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("search.db"), MIEN_GALLERY_CREATE);
    float v[DIM], probe[DIM];
    MienMatch m;
    MienCandidate c[8];
    make_vector(probe, 1, DIM);
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0); /* empty */
    assert_true(m.id == -1 && m.second_id == -1);
    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 8), 0);
    assert_int_equal(mien_gallery_search(g, probe, DIM, "Ann", &m), MIEN_E_NOTFOUND);

    /* Two samples of Ann are nearer than Bob: the runner-up is Bob all the same. */
    static const struct {
        const char *name;
        float sim;
        unsigned other;
    } row[] = { { "Ann", 0.9f, 10 }, { "Ann", 0.8f, 11 }, { "Bob", 0.5f, 12 }, { "Carl", 0.2f, 13 }, { "Ann", 0.1f, 14 },
                { "Bob", 0.6f, 15 } };
    float want[6];
    for (int i = 0; i < 6; i++) {
        MienSample s = { .quality = 1 };
        make_view(v, 1, row[i].other, row[i].sim, DIM);
        want[i] = 0;
        for (int k = 0; k < DIM; k++)
            want[i] += v[k] * probe[k];
        assert_int_equal(mien_gallery_add(g, row[i].name, v, DIM, &s), 0);
    }
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Ann");
    assert_float_equal(m.sim_cos, want[0], 1e-5);
    assert_string_equal(m.second_name, "Bob");
    assert_float_equal(m.second_sim_cos, want[5], 1e-5);
    assert_false(m.ignored);

    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 8), 3);
    assert_string_equal(c[0].name, "Ann");
    assert_string_equal(c[1].name, "Bob");
    assert_string_equal(c[2].name, "Carl");
    assert_float_equal(c[2].sim_cos, want[3], 1e-5);
    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 2), 2);
    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 0), 0);

    /* 1:1 */
    assert_int_equal(mien_gallery_search(g, probe, DIM, "Carl", &m), 0);
    assert_string_equal(m.name, "Carl");
    assert_float_equal(m.sim_cos, want[3], 1e-5);
    assert_int_equal(m.second_id, -1);
    assert_int_equal(mien_gallery_search(g, probe, DIM, "Dora", &m), MIEN_E_NOTFOUND);

    /* Scale does not matter, nonsense does. */
    for (int k = 0; k < DIM; k++)
        v[k] = 100 * probe[k];
    assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), 0);
    assert_float_equal(m.sim_cos, want[0], 1e-5);
    v[5] = NAN;
    assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), MIEN_ERR(EINVAL));
    assert_int_equal(m.id, -1);
    assert_int_equal(mien_gallery_search(g, probe, 64, NULL, &m), MIEN_E_MISMATCH);

    /* Ignored: found, and marked. */
    assert_int_equal(mien_gallery_set_ignored(g, "Ann", 1), 0);
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Ann");
    assert_true(m.ignored);
    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 1), 1);
    assert_true(c[0].ignored);

    /* Expired: as if not there, in 1:1 too. */
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, "2001-01-01", NULL), 0);
    assert_int_equal(mien_gallery_search(g, probe, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Bob");
    assert_string_equal(m.second_name, "Carl");
    assert_int_equal(mien_gallery_search(g, probe, DIM, "Ann", &m), 0);
    assert_int_equal(m.id, -1);
    assert_int_equal(mien_gallery_top(g, probe, DIM, c, 8), 2);
    mien_gallery_close(&g);
}

static void expires_while_running(void **state)
{
    (void)state;
    MienGallery *g = open_gallery(in_folder("expiry.db"), MIEN_GALLERY_CREATE);
    float v[DIM];
    MienMatch m;
    char date[32];
    add(g, "Ann", 1);
    make_vector(v, 1, DIM);
    time_t soon = time(NULL) + 2;
    struct tm tm;
    gmtime_r(&soon, &tm);
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%SZ", &tm);
    assert_int_equal(mien_gallery_set_notes(g, "Ann", NULL, date, NULL), 0);
    int seen = 0;
    for (int i = 0; i < 100 && mien_gallery_search(g, v, DIM, NULL, &m) == 0 && m.id >= 0; i++) {
        seen++;
        usleep(50000);
    }
    assert_true(seen > 0);
    assert_int_equal(m.id, -1);
    assert_true(time(NULL) >= soon);
    mien_gallery_close(&g);
}

/* Against a plain double-precision search over everybody. */
static void search_is_exact(void **state)
{
    (void)state;
    static const int dims[] = { 2, 16, 17, 100, 128, 512, 1024 };
    for (size_t d = 0; d < sizeof(dims) / sizeof(dims[0]); d++) {
        enum { N = 600 };
        int dim = dims[d];
        char name[32];
        snprintf(name, sizeof(name), "exact-%d.db", dim);
        MienGallery *g;
        assert_int_equal(mien_gallery_open(&g, in_folder(name), MIEN_GALLERY_CREATE, test_log()), 0);
        assert_int_equal(mien_gallery_bind(g, HASH_A, "e", dim), 0);
        mien_gallery_close(&g);
        float *v = malloc(sizeof(float) * N * (size_t)dim);
        /* In one transaction and by SQL from outside, for speed. */
        sqlite3 *db;
        sqlite3_stmt *st;
        assert_int_equal(sqlite3_open(in_folder(name), &db), SQLITE_OK);
        char sql[256];
        snprintf(sql, sizeof(sql), "BEGIN; INSERT INTO model VALUES (1, '%s', 'e', %d, 'cosine', '2026-01-01T00:00:00Z')", HASH_A,
                 dim);
        assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
        for (int i = 0; i < N; i++) {
            make_vector(v + i * dim, (unsigned)i + 100, dim);
            snprintf(sql, sizeof(sql), "INSERT OR IGNORE INTO person (name, salt, created) VALUES ('p%d', zeroblob(16), "
                     "'2026-01-01T00:00:00Z')", i % 97);
            assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
            assert_int_equal(sqlite3_prepare_v2(db, "INSERT INTO sample (person, model, vector, quality, created) VALUES "
                                                "(?1, 1, ?2, 1, '2026-01-01T00:00:00Z')", -1, &st, NULL), SQLITE_OK);
            sqlite3_bind_int(st, 1, i % 97 + 1);
            sqlite3_bind_blob(st, 2, v + i * dim, dim * 4, SQLITE_STATIC);
            assert_int_equal(sqlite3_step(st), SQLITE_DONE);
            sqlite3_finalize(st);
        }
        assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
        assert_int_equal(mien_gallery_open(&g, in_folder(name), MIEN_GALLERY_READ, test_log()), 0);
        for (unsigned q = 0; q < 20; q++) {
            float probe[1024];
            MienMatch m;
            double best = -2, second = -2;
            int best_p = -1, second_p = -1;
            make_vector(probe, 5000 + q, dim);
            double sims[97];
            for (int p = 0; p < 97; p++)
                sims[p] = -2;
            for (int i = 0; i < N; i++) {
                double s = 0;
                for (int k = 0; k < dim; k++)
                    s += (double)probe[k] * v[i * dim + k];
                if (s > sims[i % 97])
                    sims[i % 97] = s;
            }
            for (int p = 0; p < 97; p++) {
                if (sims[p] > best)
                    second = best, second_p = best_p, best = sims[p], best_p = p;
                else if (sims[p] > second)
                    second = sims[p], second_p = p;
            }
            assert_int_equal(mien_gallery_search(g, probe, dim, NULL, &m), 0);
            assert_float_equal(m.sim_cos, best, 2e-6);
            assert_float_equal(m.second_sim_cos, second, 2e-6);
            if (best - second > 1e-5)
                assert_int_equal(atoi(m.name + 1), best_p);
            assert_true(m.id != m.second_id);
            (void)second_p;
        }
        mien_gallery_close(&g);
        free(v);
    }
}

/* ---- many handles */

static void notices_changes(void **state)
{
    (void)state;
    const char *path = in_folder("changes.db");
    MienGallery *writer = open_gallery(path, MIEN_GALLERY_CREATE), *reader;
    MienMatch m;
    float v[DIM];
    add(writer, "Ann", 1);
    reader = open_gallery(path, MIEN_GALLERY_READ);
    make_vector(v, 2, DIM);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Ann");
    assert_false(mien_gallery_changed(reader));
    add(writer, "Bob", 2);
    assert_true(mien_gallery_changed(reader));
    assert_false(mien_gallery_changed(reader));
    assert_false(mien_gallery_changed(writer)); /* its own change */
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Bob");
    assert_int_equal(mien_gallery_search(writer, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Bob");
    assert_false(mien_gallery_changed(reader));
    assert_int_equal(mien_gallery_rename(writer, "Bob", "Robert"), 0);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0); /* the search notices by itself */
    assert_string_equal(m.name, "Robert");
    assert_true(mien_gallery_changed(reader)); /* and the change is told all the same */
    assert_int_equal(mien_gallery_forget(writer, "Robert", NULL), 0);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Ann");
    mien_gallery_close(&writer);
    mien_gallery_close(&reader);
}

static void notices_replacement(void **state)
{
    (void)state;
    MienGallery *g, *other, *reader;
    MienMatch m;
    MienSample s = { .quality = 1 };
    float v[DIM];
    char a[512], b[512];
    snprintf(a, sizeof(a), "%s", in_folder("replaced.db"));
    snprintf(b, sizeof(b), "%s", in_folder("replacement.db"));
    g = open_gallery(a, MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    mien_gallery_close(&g);
    g = open_gallery(a, MIEN_GALLERY_WRITE);
    reader = open_gallery(a, MIEN_GALLERY_READ);
    make_vector(v, 1, DIM);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    other = open_gallery(b, MIEN_GALLERY_CREATE);
    add(other, "Zoe", 1);
    mien_gallery_close(&other);
    assert_int_equal(rename(b, a), 0);
    assert_true(mien_gallery_changed(reader));
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Zoe");
    add(g, "Yan", 2); /* a writer must not write into the file that has no name any more */
    mien_gallery_close(&g);
    assert_int_equal(raw_number(a, "SELECT count(*) FROM person WHERE name IN ('Zoe', 'Yan')"), 2);

    /* Gone: the search goes on with one warning, other calls say so; back: all is well. */
    assert_int_equal(rename(a, b), 0);
    said[0] = '\0';
    for (int i = 0; i < 3; i++) {
        assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
        assert_string_equal(m.name, "Zoe");
    }
    assert_non_null(strstr(said, "goes on"));
    assert_null(strstr(strstr(said, "goes on") + 1, "goes on"));
    MienPerson p;
    assert_int_equal(mien_gallery_find(reader, "Zoe", &p), MIEN_E_NOTFOUND);
    assert_int_equal(rename(b, a), 0);
    assert_int_equal(mien_gallery_find(reader, "Zoe", &p), 0);

    /* Replaced by something that is no gallery, or by one of another encoder: the old people stay. */
    write_bytes(b, "nonsense", 8);
    assert_int_equal(rename(b, a), 0);
    usleep(1100000); /* a failed refresh is tried again after a second */
    said[0] = '\0';
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Zoe");
    assert_non_null(strstr(said, "not a gallery"));
    assert_int_equal(mien_gallery_open(&other, b, MIEN_GALLERY_CREATE, test_log()), 0);
    assert_int_equal(mien_gallery_bind(other, HASH_B, "other encoder", DIM), 0);
    assert_int_equal(mien_gallery_add(other, "Eve", v, DIM, &s), 0);
    mien_gallery_close(&other);
    assert_int_equal(rename(b, a), 0);
    usleep(1100000);
    said[0] = '\0';
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Zoe");
    assert_non_null(strstr(said, "other encoder"));
    mien_gallery_close(&reader);
}

/* ---- stats and audit */

static void stats_and_audit(void **state)
{
    (void)state;
    const char *path = in_folder("audit.db");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    MienGalleryStats s, t;
    add(g, "Ann Secret", 1);
    add(g, "Bob", 2);
    assert_int_equal(mien_gallery_set_ignored(g, "Bob", 1), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Bob", NULL, "2001-01-01", NULL), 0);
    assert_int_equal(mien_gallery_stats(g, &s), 0);
    assert_int_equal(s.n_people, 2);
    assert_int_equal(s.n_samples, 2);
    assert_int_equal(s.n_ignored, 1);
    assert_int_equal(s.n_expired, 1);
    assert_int_equal(s.schema_version, 3);
    assert_true(s.file_bytes > 4096);
    assert_int_equal(s.n_audit, 6); /* create, bind, 2 × enroll, ignore, notes */
    assert_int_equal(strlen(s.audit_head), 64);
    assert_int_equal(mien_gallery_audit(g, "look", "at it"), 0);
    assert_int_equal(mien_gallery_audit(g, "", ""), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_audit(g, "line\n", ""), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_audit(g, "x", "line\nbreak"), MIEN_ERR(EINVAL));
    assert_int_equal(mien_gallery_audit(g, "x", NULL), 0);
    assert_int_equal(mien_gallery_stats(g, &t), 0);
    assert_int_equal(t.n_audit, 8);
    assert_string_not_equal(s.audit_head, t.audit_head);
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    mien_gallery_close(&g);
    assert_int_equal(raw_number(path, "SELECT count(*) FROM audit WHERE instr(verb || detail || subject, 'Secret')"), 0);

    /* Every way to tamper shows, and is named once. */
    static const char *const tamper[] = {
        "UPDATE audit SET verb = 'nothing' WHERE id = 3",
        "UPDATE audit SET detail = 'x' WHERE id = 8",
        "DELETE FROM audit WHERE id = 4",
        "DELETE FROM audit WHERE id = 1",
        "UPDATE audit SET at = '2020-01-01T00:00:00Z' WHERE id = 2",
        "UPDATE audit SET hash = '" HASH_A "' WHERE id = 5",
    };
    size_t bytes;
    uint8_t *saved = read_bytes(in_folder("audit.db"), &bytes);
    for (size_t i = 0; i < sizeof(tamper) / sizeof(tamper[0]); i++) {
        const char *copy = in_folder("tampered.db");
        write_bytes(copy, saved, bytes);
        raw_sql(copy, tamper[i]);
        g = open_gallery(copy, MIEN_GALLERY_READ);
        int n = mien_gallery_check(g, NULL, NULL);
        if (n < 1 || n > 2)
            print_error("%s: %d\n", tamper[i], n);
        assert_in_range(n, 1, 2);
        mien_gallery_close(&g);
        unlink(copy);
    }
    free(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names), cmocka_unit_test(creates_private), cmocka_unit_test(refuses_to_open),
        cmocka_unit_test(odd_paths), cmocka_unit_test(enrols), cmocka_unit_test(binds), cmocka_unit_test(changes_people),
        cmocka_unit_test(merges_doubles), cmocka_unit_test(notes), cmocka_unit_test(searches),
        cmocka_unit_test(expires_while_running), cmocka_unit_test(search_is_exact), cmocka_unit_test(notices_changes),
        cmocka_unit_test(notices_replacement), cmocka_unit_test(stats_and_audit), cmocka_unit_test(default_path),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
