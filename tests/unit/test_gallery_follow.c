/* A gallery that changes under a program that runs on, as facetag does: other processes enrol, rename and forget; the file is locked, removed, replaced, copied
 * over, damaged. Each trouble is told once, the people read before stay, and what comes after it is seen. */
#include <sys/wait.h>

#include "gallery_util.h"

static float vector[DIM];

static const char *who(MienGallery *g)
{
    static MienMatch m;
    make_vector(vector, 1, DIM);
    assert_int_equal(mien_gallery_search(g, vector, DIM, NULL, &m), 0);
    return m.id < 0 ? "" : m.name;
}

static void make(const char *path, const char *name)
{
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    add(g, name, 1);
    mien_gallery_close(&g);
}

static void shell(const char *fmt, const char *a, const char *b)
{
    char cmd[1200];
    snprintf(cmd, sizeof(cmd), fmt, a, b);
    assert_int_equal(system(cmd), 0);
}

static int times(const char *what)
{
    int n = 0;
    for (const char *p = said; (p = strstr(p, what)); p++)
        n++;
    return n;
}

/* The next try after a failure comes a second later. */
static int changed_at_last(MienGallery *g)
{
    for (int i = 0; i < 300; i++) {
        if (mien_gallery_changed(g))
            return 1;
        usleep(10000);
    }
    return 0;
}

/* Polls while `name` is still who it was; told once. */
static void survives(MienGallery *g, const char *name, const char *why)
{
    for (int i = 0; i < 5; i++) {
        assert_int_equal(mien_gallery_changed(g), 0);
        assert_string_equal(who(g), name);
    }
    assert_int_equal(times("goes on with the people read before"), 1);
    if (!strstr(said, why))
        fail_msg("'%s' lacks '%s'", said, why);
}

static void follows_other_handles(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("others.db"));
    make(path, "Ann");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_READ), *other = open_gallery(path, MIEN_GALLERY_WRITE);
    mien_gallery_changed(g);
    assert_int_equal(mien_gallery_changed(g), 0);
    assert_int_equal(mien_gallery_rename(other, "Ann", "Zoe"), 0);
    assert_int_equal(mien_gallery_changed(g), 1);
    assert_string_equal(who(g), "Zoe");
    assert_int_equal(mien_gallery_changed(g), 0);
    mien_gallery_close(&other); /* puts its log into the file, which may count as a change */
    mien_gallery_changed(g);
    assert_string_equal(who(g), "Zoe");
    other = open_gallery(path, MIEN_GALLERY_WRITE);
    assert_int_equal(mien_gallery_forget(other, "Zoe", NULL), 0);
    mien_gallery_close(&other);
    assert_int_equal(mien_gallery_changed(g), 1);
    assert_string_equal(who(g), "");
    assert_string_equal(said, "");
    mien_gallery_close(&g);
}

/* A child that lets nobody in until its pipe is closed. */
static pid_t lock_out(const char *path, int *let_go)
{
    int go[2], ready[2];
    char byte;
    assert_int_equal(pipe(go) | pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        sqlite3 *db;
        close(go[1]);
        int ok = sqlite3_open(path, &db) == SQLITE_OK &&
                 sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = DELETE; BEGIN EXCLUSIVE;"
                                  "UPDATE person SET name = 'Zoe'", NULL, NULL, NULL) == SQLITE_OK;
        if (ok && write(ready[1], "x", 1) == 1 && read(go[0], &byte, 1) == 0)
            ok = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
        sqlite3_close(db);
        _exit(!ok);
    }
    close(go[0]);
    close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *let_go = go[1];
    return pid;
}

static void waits_for_a_lock(void **state)
{
    (void)state;
    char path[512];
    int let_go, status;
    snprintf(path, sizeof(path), "%s", in_folder("locked.db"));
    make(path, "Ann");
    MienGallery *g = open_gallery(path, MIEN_GALLERY_READ);
    assert_string_equal(who(g), "Ann");
    mien_gallery_close(&g);
    shell("cp '%s' '%s.copy'", path, path);
    /* Nobody can be locked out who is in; so the file is replaced by one that is locked. */
    char copy[520];
    snprintf(copy, sizeof(copy), "%s.copy", path);
    g = open_gallery(path, MIEN_GALLERY_READ);
    assert_string_equal(who(g), "Ann");
    mien_gallery_changed(g);
    pid_t pid = lock_out(copy, &let_go);
    assert_int_equal(rename(copy, path), 0);
    survives(g, "Ann", "another process holds the gallery");
    close(let_go);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_true(changed_at_last(g));
    assert_string_equal(who(g), "Zoe");
    assert_int_equal(times("can be read again"), 1);
    mien_gallery_close(&g);
}

static void outlives_the_file(void **state)
{
    static const struct {
        const char *harm, *why;
    } rows[] = {
        { "mv \"$p\" \"$p.away\"", "the file is gone" },
        { "mv \"$p\" \"$p.away\" && : >\"$p\"", "is empty, not a gallery yet" },
        { "cp \"$p\" \"$p.away\" && echo nonsense >\"$p.x\" && mv \"$p.x\" \"$p\"", "not a gallery" },
        { "cp \"$p\" \"$p.away\" && : >\"$p\"", "damaged" }, /* in place, as a copy begins */
    };
    char path[512], other[512];
    (void)state;
    snprintf(path, sizeof(path), "%s", in_folder("harmed.db"));
    snprintf(other, sizeof(other), "%s", in_folder("other.db"));
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        shell("rm -f '%s'* '%s'*", path, other);
        make(path, "Ann");
        make(other, "Zoe");
        MienGallery *g = open_gallery(path, MIEN_GALLERY_READ);
        assert_string_equal(who(g), "Ann");
        mien_gallery_changed(g);
        setenv("p", path, 1);
        assert_int_equal(system(rows[i].harm), 0);
        survives(g, "Ann", rows[i].why);
        shell("mv '%s.away' '%s'", path, path);
        while (said[0] && !strstr(said, "can be read again")) {
            mien_gallery_changed(g);
            usleep(10000);
        }
        assert_string_equal(who(g), "Ann");
        shell("cp '%s' '%s'", other, path); /* in place, over the file that is open */
        assert_true(changed_at_last(g));
        assert_string_equal(who(g), "Zoe");
        shell("rm -f '%s' %s", other, "");
        make(other, "Eve");
        assert_int_equal(rename(other, path), 0);
        assert_true(changed_at_last(g));
        assert_string_equal(who(g), "Eve");
        mien_gallery_close(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(follows_other_handles), cmocka_unit_test(waits_for_a_lock), cmocka_unit_test(outlives_the_file),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
