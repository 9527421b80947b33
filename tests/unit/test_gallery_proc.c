/* Several processes at once: killed writers, many writers, backups under load, locks, files that may not be written. */
#include <fcntl.h>
#include <pwd.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "gallery_util.h"

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void enrol_or_die(MienGallery *g, const char *name, unsigned seed)
{
    float v[DIM];
    MienSample s = { .quality = 1 };
    make_vector(v, seed, DIM);
    int ret = mien_gallery_add(g, name, v, DIM, &s);
    if (ret < 0) {
        fprintf(stderr, "add: %d %s\n", ret, said);
        _exit(1);
    }
}

static MienGallery *open_or_die(const char *path, MienGalleryFlags flags)
{
    MienGallery *g;
    if (mien_gallery_open(&g, path, flags, test_log()) < 0 || mien_gallery_bind(g, HASH_A, "test encoder", DIM) < 0) {
        fprintf(stderr, "open: %s\n", said);
        _exit(1);
    }
    return g;
}

static int wait_for(pid_t pid)
{
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

/* A child enrols and tells each committed number through a pipe, until it is killed. Everything that was told must be there; and
 * every third child forgets as well. */
static void killed_while_enrolling(void **state)
{
    (void)state;
    char path[512];
    unsigned seed = 1, n_told = 0;
    snprintf(path, sizeof(path), "%s", in_folder("killed.db"));
    for (int round = 0; round < 30; round++) {
        int fd[2];
        assert_int_equal(pipe(fd), 0);
        pid_t pid = fork();
        if (pid == 0) {
            close(fd[0]);
            MienGallery *g = open_or_die(path, MIEN_GALLERY_CREATE);
            for (unsigned i = seed;; i++) {
                char name[32];
                snprintf(name, sizeof(name), "person %u", i);
                enrol_or_die(g, name, i);
                if (write(fd[1], &i, sizeof(i)) != sizeof(i))
                    _exit(1);
                if (round % 3 == 2 && mien_gallery_set_notes(g, name, "x", NULL, NULL) < 0)
                    _exit(1);
            }
        }
        close(fd[1]);
        usleep((useconds_t)(2000 + (unsigned)round * 7919 % 60000));
        kill(pid, SIGKILL);
        int status = wait_for(pid);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
        unsigned i, last = 0;
        while (read(fd[0], &i, sizeof(i)) == sizeof(i)) {
            last = i;
            n_told++;
        }
        close(fd[0]);
        struct stat st;
        if (stat(path, &st) < 0)
            continue; /* killed before it made the file */
        MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
        assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
        for (unsigned k = seed; k <= last; k++) {
            char name[32];
            MienPerson p;
            snprintf(name, sizeof(name), "person %u", k);
            assert_int_equal(mien_gallery_find(g, name, &p), 0);
            assert_int_equal(p.n_samples, 1);
        }
        mien_gallery_close(&g);
        seed = (last ? last : seed) + 2; /* one more may have been stored and not told */
    }
    assert_true(n_told > 30);
}

/* All make the same new file at the same time and write to it. */
static void many_writers(void **state)
{
    (void)state;
    enum { WRITERS = 4, EACH = 25 };
    char path[512];
    pid_t pid[WRITERS];
    snprintf(path, sizeof(path), "%s", in_folder("new/many.db"));
    for (int w = 0; w < WRITERS; w++) {
        if ((pid[w] = fork()) == 0) {
            MienGallery *g = open_or_die(path, MIEN_GALLERY_CREATE);
            for (int i = 0; i < EACH; i++) {
                char name[32];
                snprintf(name, sizeof(name), "w%d p%d", w, i % 5);
                enrol_or_die(g, name, (unsigned)(1000 * w + i));
                if (i % 10 == 9 && mien_gallery_forget(g, name, NULL) < 0 && !strstr(said, "compact"))
                    _exit(2);
            }
            mien_gallery_close(&g);
            _exit(0);
        }
    }
    for (int w = 0; w < WRITERS; w++)
        assert_int_equal(wait_for(pid[w]), 0);
    MienGallery *g = open_gallery(path, MIEN_GALLERY_WRITE);
    MienGalleryStats s;
    assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
    assert_int_equal(mien_gallery_stats(g, &s), 0);
    /* Of 25, person 4 is forgotten after its second and fourth sample: 20 of the others and the fifth of person 4. */
    assert_int_equal(s.n_people, 5 * WRITERS);
    assert_int_equal(s.n_samples, 21 * WRITERS);
    mien_gallery_close(&g);
}

static void backup_under_load(void **state)
{
    (void)state;
    char path[512], to[512];
    snprintf(path, sizeof(path), "%s", in_folder("load.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE);
    add(g, "first", 1);
    pid_t pid = fork();
    if (pid == 0) {
        MienGallery *w = open_or_die(path, MIEN_GALLERY_WRITE);
        for (unsigned i = 0;; i++) {
            char name[32];
            snprintf(name, sizeof(name), "p%u", i);
            enrol_or_die(w, name, i + 2);
        }
    }
    int64_t before = 0;
    for (int i = 0; i < 6; i++) {
        usleep(30000);
        char name[32];
        snprintf(name, sizeof(name), "backup%d.db", i);
        snprintf(to, sizeof(to), "%s", in_folder(name));
        assert_int_equal(mien_gallery_backup(g, to), 0);
        MienGallery *b = open_gallery(to, MIEN_GALLERY_READ);
        MienGalleryStats s;
        assert_int_equal(mien_gallery_check(b, NULL, NULL), 0);
        assert_int_equal(mien_gallery_stats(b, &s), 0);
        assert_true(s.n_samples >= before && s.n_samples == s.n_people);
        before = s.n_samples;
        mien_gallery_close(&b);
    }
    assert_true(before > 1);
    kill(pid, SIGKILL);
    wait_for(pid);
    mien_gallery_close(&g);
}

static void waits_then_says_busy(void **state)
{
    (void)state;
    char path[512];
    float v[DIM];
    MienMatch m;
    MienSample s = { .quality = 1 };
    snprintf(path, sizeof(path), "%s", in_folder("busy.db"));
    MienGallery *g = open_gallery(path, MIEN_GALLERY_CREATE), *late;
    add(g, "Ann", 1);
    make_vector(v, 1, DIM);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE; UPDATE person SET notes = 'x'", NULL, NULL, NULL), SQLITE_OK);
    double t = now();
    said[0] = '\0';
    assert_int_equal(mien_gallery_add(g, "Bob", v, DIM, &s), MIEN_E_BUSY);
    assert_true(now() - t > 4.5 && now() - t < 15);
    assert_non_null(strstr(said, "another process"));
    assert_int_equal(mien_gallery_search(g, v, DIM, NULL, &m), 0); /* readers do not wait for writers */
    assert_string_equal(m.name, "Ann");
    assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(mien_gallery_add(g, "Bob", v, DIM, &s), 0);
    mien_gallery_close(&g);

    /* Nobody else may come in at all. */
    assert_int_equal(sqlite3_exec(db, "PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE person SET notes = 'x'", NULL, NULL,
                                  NULL), SQLITE_OK);
    assert_int_equal(mien_gallery_open(&late, path, MIEN_GALLERY_READ, test_log()), MIEN_E_BUSY);
    assert_null(late);
    sqlite3_close(db);
    late = open_gallery(path, MIEN_GALLERY_READ);
    mien_gallery_close(&late);
}

/* Runs fn as a user for whom permissions count. */
static void as_nobody(void (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        struct passwd *nobody = getpwnam("nobody");
        if (geteuid() == 0 && (!nobody || setgid(nobody->pw_gid) < 0 || setuid(nobody->pw_uid) < 0))
            _exit(77);
        fn();
        fflush(NULL);
        _exit(0);
    }
    int status = wait_for(pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        skip();
    assert_int_equal(status, 0);
}

#define EXPECT(cond)                                                                 \
    do {                                                                             \
        if (!(cond)) {                                                               \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #cond, said);     \
            _exit(1);                                                                \
        }                                                                            \
    } while (0)

static char shut[512]; /* a gallery in a folder that may be read only */

static void expect_readable(const char *first)
{
    MienGallery *g;
    MienMatch m;
    MienPerson p;
    float v[DIM];
    EXPECT(mien_gallery_open(&g, shut, MIEN_GALLERY_READ, test_log()) == 0);
    make_vector(v, 1, DIM);
    EXPECT(mien_gallery_search(g, v, DIM, NULL, &m) == 0 && !strcmp(m.name, first));
    EXPECT(mien_gallery_find(g, first, &p) == 0);
    EXPECT(mien_gallery_check(g, NULL, NULL) == 0);
    EXPECT(mien_gallery_changed(g) == 0);
    mien_gallery_close(&g);
    EXPECT(mien_gallery_open(&g, shut, MIEN_GALLERY_WRITE, test_log()) == MIEN_ERR(EACCES));
    EXPECT(strstr(said, "may not be written"));
}

static void reader_of_shut_folder(void)
{
    expect_readable("Ann");
}

static void reader_of_unfinished_log(void)
{
    MienGallery *g;
    EXPECT(mien_gallery_open(&g, shut, MIEN_GALLERY_READ, test_log()) == MIEN_ERR(EACCES));
    EXPECT(strstr(said, "-wal holds changes"));
}

static void reader_without_permission(void)
{
    MienGallery *g;
    EXPECT(mien_gallery_open(&g, shut, MIEN_GALLERY_READ, test_log()) == MIEN_ERR(EACCES));
    EXPECT(mien_gallery_open(&g, shut, MIEN_GALLERY_CREATE, test_log()) == MIEN_ERR(EACCES));
    char other[600];
    snprintf(other, sizeof(other), "%s.new", shut);
    EXPECT(mien_gallery_open(&g, other, MIEN_GALLERY_CREATE, test_log()) == MIEN_ERR(EACCES));
    EXPECT(strstr(said, "cannot be made"));
    snprintf(other, sizeof(other), "%s/sub/x.db", test_folder);
    EXPECT(mien_gallery_open(&g, other, MIEN_GALLERY_CREATE, test_log()) == MIEN_ERR(EACCES));
}

static void read_only_folder(void **state)
{
    (void)state;
    char folder[512];
    snprintf(folder, sizeof(folder), "%s", in_folder("shut"));
    snprintf(shut, sizeof(shut), "%s", in_folder("shut/gallery #1.db"));
    MienGallery *g = open_gallery(shut, MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    mien_gallery_close(&g);
    assert_int_equal(chmod(test_folder, 0755), 0);
    assert_int_equal(chmod(shut, 0444), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    as_nobody(reader_of_shut_folder);

    /* A log that a killed writer left behind must not be overlooked. */
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(shut, 0644), 0);
    pid_t pid = fork();
    if (pid == 0) {
        enrol_or_die(open_or_die(shut, MIEN_GALLERY_WRITE), "Bob", 2);
        kill(getpid(), SIGKILL);
    }
    assert_true(WIFSIGNALED(wait_for(pid)));
    char shm[600];
    snprintf(shm, sizeof(shm), "%s-shm", shut);
    assert_int_equal(unlink(shm), 0);
    assert_int_equal(chmod(shut, 0444), 0);
    assert_int_equal(chmod(folder, 0555), 0);
    as_nobody(reader_of_unfinished_log);
    assert_int_equal(chmod(shut, 0000), 0);
    as_nobody(reader_without_permission);
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(shut, 0600), 0);
    g = open_gallery(shut, MIEN_GALLERY_READ); /* where it may be written, the log comes in */
    MienPerson p;
    assert_int_equal(mien_gallery_find(g, "Bob", &p), 0);
    mien_gallery_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_while_enrolling), cmocka_unit_test(many_writers), cmocka_unit_test(backup_under_load),
        cmocka_unit_test(waits_then_says_busy), cmocka_unit_test(read_only_folder),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
