/* The job file: what is entered, claimed, ended, published; who is in the way of whom; what a kill leaves. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "gallery_util.h"
#include "mien/job.h"

static MienJobs *open_jobs(const char *path)
{
    MienJobs *j = NULL;
    int ret = mien_jobs_open(&j, path, 1, test_log());
    if (ret)
        print_error("%d %s\n", ret, said);
    assert_int_equal(ret, 0);
    return j;
}

static char key[8][65];
static MienJobOwner me = { .host = "h", .boot = "b", .pid = 1, .pid_started = 2 }, you = { .host = "h", .boot = "b", .pid = 1, .pid_started = 3 };

/* A film of n parts of ten seconds. */
static int64_t put_film(MienJobs *j, const char *path, const char *gallery, int n_parts)
{
    MienJobPart part[8];
    MienJobFile f = { .path = path, .result = strrchr(path, '/') + 1, .size_bytes = 5, .mtime_ns = 1700000000123456789, .hash = "h", .params = "p",
                      .gallery = gallery, .duration_us = n_parts * 10000000 };
    for (int i = 0; i < n_parts; i++) {
        part[i] = (MienJobPart){ .number = i, .from_us = i * 10000000, .to_us = i + 1 < n_parts ? (i + 1) * 10000000 : -1 };
        snprintf(part[i].key, sizeof(part[i].key), "%.40s %s %d", path, gallery, i);
        snprintf(key[i], sizeof(key[i]), "%s", part[i].key);
    }
    assert_int_equal(mien_jobs_put(j, &f, part, n_parts), 0);
    assert_int_equal(mien_jobs_find(j, path, &f), 0);
    assert_true(mien_jobs_choose(j, f.id) >= 0);
    return f.id;
}

static int n_published;
static int publish(void *priv, const MienJobFile *f)
{
    n_published++;
    assert_true(f->n_parts == f->n_done);
    return priv ? *(int *)priv : 0;
}

static MienJobCounts count(MienJobs *j)
{
    MienJobCounts c;
    assert_int_equal(mien_jobs_count(j, 3, &c), 0);
    return c;
}

static void from_waiting_to_done(void **state)
{
    (void)state;
    MienJobs *j = open_jobs(in_folder("a.db"));
    MienJobPart part, *list;
    MienJobFile f;
    int64_t id = put_film(j, "/x/\377 'film\n.mp4", "g", 2);
    assert_int_equal(mien_jobs_find(j, "/x/\377 'film\n.mp4", &f), 0);
    assert_true(f.id == id && f.size_bytes == 5 && f.mtime_ns == 1700000000123456789 && f.duration_us == 20000000 && f.n_parts == 2 && !f.n_done);
    assert_string_equal(f.path, "/x/\377 'film\n.mp4");
    assert_int_equal(f.state, MIEN_JOB_WAITING);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    assert_true(part.number == 0 && part.from_us == 0 && part.to_us == 10000000 && part.file == id);
    assert_string_equal(part.key, key[0]);
    assert_int_equal(mien_jobs_find_id(j, id, &f), 0);
    assert_int_equal(f.state, MIEN_JOB_RUNNING);
    assert_int_equal(mien_jobs_claim(j, &you, &part), 1);
    assert_int_equal(part.number, 1);
    assert_int_equal(part.to_us, -1);
    assert_int_equal(mien_jobs_claim(j, &you, &part), 0);
    assert_int_equal(mien_jobs_parts(j, 0, MIEN_JOB_RUNNING, &list), 2);
    assert_true(list[0].owner.pid_started == 2 && list[1].owner.pid_started == 3 && strlen(list[0].started) == 20);
    mien_free(list);
    /* not mine to end */
    assert_int_equal(mien_jobs_end_part(j, key[1], &me, MIEN_JOB_DONE, NULL), 0);
    assert_int_equal(mien_jobs_end_part(j, key[0], &me, MIEN_JOB_DONE, "odd"), 1);
    assert_int_equal(mien_jobs_end_part(j, key[0], &me, MIEN_JOB_DONE, NULL), 0);
    n_published = 0;
    assert_int_equal(mien_jobs_publish(j, 0, publish, NULL), 0);
    assert_int_equal(n_published, 0);
    assert_int_equal(count(j).done_us, 10000000);
    assert_int_equal(mien_jobs_end_part(j, key[1], &you, MIEN_JOB_DONE, NULL), 1);
    int fail = MIEN_ERR(ENOSPC);
    assert_int_equal(mien_jobs_publish(j, 0, publish, &fail), fail);
    assert_int_equal(mien_jobs_publish(j, id, publish, NULL), 1);
    assert_int_equal(mien_jobs_publish(j, 0, publish, NULL), 0);
    assert_int_equal(n_published, 2);
    assert_int_equal(mien_jobs_find_id(j, id, &f), 0);
    assert_true(f.state == MIEN_JOB_DONE && f.n_done == 2);
    assert_string_equal(f.reason, "odd");
    MienJobCounts c = count(j);
    assert_true(c.n_files == 1 && c.n_done == 1 && !c.n_failed && c.n_parts == 2 && c.done_us == 20000000);
    mien_jobs_close(&j);
    assert_int_equal(mien_jobs_open(&j, in_folder("a.db"), 0, test_log()), 0);
    assert_int_equal(mien_jobs_choose_all(j), 1);
    assert_int_equal(count(j).n_done, 1);
    mien_jobs_close(&j);
}

static void failing_and_trying_again(void **state)
{
    (void)state;
    MienJobs *j = open_jobs(in_folder("fail.db"));
    MienJobPart part;
    MienJobFile f;
    int64_t id = put_film(j, "/x/f.mp4", "g", 1);
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
        assert_int_equal(part.n_tries, i - 1);
        assert_int_equal(mien_jobs_end_part(j, part.key, &me, MIEN_JOB_FAILED, "it is broken"), 1);
        assert_int_equal(mien_jobs_claim(j, &me, &part), 0); /* not in the same run */
        assert_int_equal(mien_jobs_find_id(j, id, &f), 0);
        assert_true(f.state == MIEN_JOB_FAILED && f.n_tries == i);
        assert_string_equal(f.reason, "it is broken");
        assert_int_equal(count(j).n_retriable, i < 3);
        assert_int_equal(mien_jobs_retry(j, 3), i < 3);
    }
    assert_int_equal(mien_jobs_retry(j, -1), 1);
    /* given back: no try */
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    assert_int_equal(mien_jobs_end_part(j, part.key, &me, MIEN_JOB_WAITING, NULL), 1);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    assert_int_equal(part.n_tries, 0);
    /* to a cluster's task, which ends it */
    MienJobOwner task = { .task = "17 run" };
    assert_int_equal(mien_jobs_hand_over(j, part.key, &you, &task), 0);
    assert_int_equal(mien_jobs_hand_over(j, part.key, &me, &task), 1);
    assert_int_equal(mien_jobs_end_part(j, part.key, &me, MIEN_JOB_DONE, NULL), 0);
    assert_int_equal(mien_jobs_redo(j, 0), 0); /* what runs is left alone */
    assert_int_equal(mien_jobs_end_part(j, part.key, &task, MIEN_JOB_DONE, NULL), 1);
    assert_int_equal(mien_jobs_publish(j, 0, publish, NULL), 1);
    assert_int_equal(mien_jobs_redo(j, id), 1);
    assert_int_equal(mien_jobs_find_id(j, id, &f), 0);
    assert_int_equal(f.state, MIEN_JOB_WAITING);
    mien_jobs_close(&j);
}

static void entered_anew(void **state)
{
    (void)state;
    MienJobs *j = open_jobs(in_folder("anew.db"));
    MienJobPart part;
    MienJobFile f;
    int64_t id = put_film(j, "/x/f.mp4", "g", 2);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    assert_int_equal(put_film(j, "/x/f.mp4", "g", 2), id); /* the same: nothing changes */
    assert_int_equal(count(j).n_part_running, 1);
    int64_t anew = put_film(j, "/x/f.mp4", "other gallery", 1);
    assert_int_not_equal(anew, id);
    assert_int_equal(mien_jobs_end_part(j, part.key, &me, MIEN_JOB_DONE, NULL), 0); /* of what is gone */
    assert_int_equal(mien_jobs_find(j, "/x/f.mp4", &f), 0);
    assert_true(f.state == MIEN_JOB_WAITING && f.n_parts == 1);
    /* another film of the same name may not have its result's name */
    f.path = "/y/f.mp4";
    f.result = "f.mp4";
    MienJobPart other = { .key = "other", .to_us = -1 };
    assert_int_equal(mien_jobs_put(j, &f, &other, 1), MIEN_E_EXISTS);
    assert_int_equal(mien_jobs_find(j, "/y/f.mp4", &f), MIEN_E_NOTFOUND);
    mien_jobs_close(&j);
}

static void only_what_was_chosen(void **state)
{
    (void)state;
    MienJobs *j = open_jobs(in_folder("chosen.db"));
    MienJobPart part;
    put_film(j, "/x/a.mp4", "g", 1);
    mien_jobs_close(&j);
    j = open_jobs(in_folder("chosen.db"));
    put_film(j, "/x/b.mp4", "g", 1);
    assert_int_equal(count(j).n_files, 1);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    assert_string_equal(part.key, key[0]);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 0);
    assert_true(mien_jobs_choose_all(j) >= 0);
    assert_int_equal(count(j).n_files, 2);
    assert_int_equal(mien_jobs_claim(j, &me, &part), 1);
    mien_jobs_close(&j);
}

/* Claims and ends parts until none is left; returns how many were its own. */
static int work(const char *path, int number, int die_after)
{
    MienJobs *j = NULL;
    MienJobPart part;
    MienJobOwner o = { .host = "h", .pid = number };
    int n = 0;
    if (mien_jobs_open(&j, path, 0, (MienLog){ 0 }) < 0 || mien_jobs_choose_all(j) < 0)
        return 255;
    while (mien_jobs_claim(j, &o, &part) > 0) {
        if (++n == die_after)
            raise(SIGKILL);
        if (mien_jobs_end_part(j, part.key, &o, MIEN_JOB_DONE, NULL) != 1)
            return 254;
    }
    mien_jobs_close(&j);
    return n;
}

static void several_processes(void **state)
{
    (void)state;
    enum { FILMS = 40, WORKERS = 4 };
    const char *path = in_folder("several.db");
    MienJobs *j = open_jobs(path);
    for (int i = 0; i < FILMS; i++) {
        char film[64];
        snprintf(film, sizeof(film), "/x/%d.mp4", i);
        put_film(j, film, "g", 1);
    }
    mien_jobs_close(&j);
    pid_t pid[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        if (!(pid[i] = fork()))
            _exit(work(path, i + 1, i == 0 ? 5 : 0)); /* one is killed in its fifth part */
    int sum = 0;
    for (int i = 0; i < WORKERS; i++) {
        int status;
        assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
        assert_true(i == 0 ? WIFSIGNALED(status) || WEXITSTATUS(status) < 5 : WIFEXITED(status) && WEXITSTATUS(status) <= FILMS);
        sum += WIFSIGNALED(status) ? 4 : WEXITSTATUS(status);
    }
    j = open_jobs(path);
    assert_true(mien_jobs_choose_all(j) >= 0);
    MienJobCounts c = count(j);
    MienJobPart *list;
    int n_left = mien_jobs_parts(j, 0, MIEN_JOB_RUNNING, &list);
    assert_true(n_left <= 1 && sum + n_left == FILMS && !c.n_part_waiting); /* each done once, but the killed one's */
    if (n_left) {
        assert_int_equal(list[0].owner.pid, 1);
        assert_int_equal(mien_jobs_end_part(j, list[0].key, &list[0].owner, MIEN_JOB_WAITING, NULL), 1);
        assert_int_equal(count(j).n_part_waiting, 1);
    }
    mien_free(list);
    mien_jobs_close(&j);
}

static void write_file(const char *path, const char *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
}

static void what_is_no_job_file(void **state)
{
    (void)state;
    MienJobs *j;
    char noise[4096];
    assert_int_equal(mien_jobs_open(&j, in_folder("none.db"), 0, test_log()), MIEN_E_NOTFOUND);
    assert_null(j);
    assert_non_null(strstr(said, "there is no such job file"));
    memset(noise, 'x', sizeof(noise));
    write_file(in_folder("text.db"), noise, sizeof(noise));
    assert_int_equal(mien_jobs_open(&j, in_folder("text.db"), 1, test_log()), MIEN_E_FORMAT);
    assert_non_null(strstr(said, "is not a job file"));
    MienGallery *g;
    assert_int_equal(mien_gallery_open(&g, in_folder("gallery.db"), MIEN_GALLERY_CREATE, test_log()), 0);
    mien_gallery_close(&g);
    assert_int_equal(mien_jobs_open(&j, in_folder("gallery.db"), 1, test_log()), MIEN_E_FORMAT);
    assert_non_null(strstr(said, "of another program"));
    mien_jobs_close(&j);
    j = open_jobs(in_folder("job.db"));
    mien_jobs_close(&j);
    assert_int_equal(mien_gallery_open(&g, in_folder("job.db"), MIEN_GALLERY_WRITE, test_log()), MIEN_E_FORMAT);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(in_folder("job.db"), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 9", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(mien_jobs_open(&j, in_folder("job.db"), 0, test_log()), MIEN_E_VERSION);
}

/* Every way of running out of memory: an error, nothing lost, the handle as good as before. */
static void without_memory(void **state)
{
    (void)state;
    char path[512];
    snprintf(path, sizeof(path), "%s", in_folder("memory.db"));
    MienJobs *j = open_jobs(path);
    put_film(j, "/x/f.mp4", "g", 2);
    mien_jobs_close(&j);
    uint64_t live = mien_mem_live_bytes();
    int ret = MIEN_ERR(ENOMEM);
    for (uint64_t n = 1; ret == MIEN_ERR(ENOMEM) && n < 100; n++) {
        MienJobPart *list = NULL;
        MienJobFile f;
        mien_mem_fail_at(n, 1);
        ret = mien_jobs_open(&j, path, 0, (MienLog){ 0 });
        if (ret >= 0)
            ret = mien_jobs_choose_all(j);
        if (ret >= 0)
            ret = mien_jobs_find(j, "/x/f.mp4", &f);
        if (ret >= 0)
            ret = mien_jobs_parts(j, 0, -1, &list);
        mien_mem_fail_at(0, 0);
        if (ret >= 0)
            assert_int_equal(ret, 2);
        mien_free(list);
        mien_jobs_close(&j);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    assert_int_equal(ret, 2);
}

/* ---- a gallery's fingerprint: what makes two galleries another */

static void fingerprints(void **state)
{
    (void)state;
    MienGallery *g;
    MienSample s = { .quality = 0.5f };
    float v[DIM];
    char hex[9][65];
    assert_int_equal(mien_gallery_open(&g, in_folder("print.db"), MIEN_GALLERY_CREATE, test_log()), 0);
    assert_int_equal(mien_gallery_bind(g, HASH_A, "a", DIM), 0);
    make_vector(v, 1, DIM);
    assert_int_equal(mien_gallery_fingerprint(g, hex[0]), 0);
    assert_int_equal(mien_gallery_add(g, "Ann", v, DIM, &s), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[1]), 0);
    assert_int_equal(mien_gallery_rename(g, "Ann", "Anne"), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[2]), 0);
    assert_int_equal(mien_gallery_set_ignored(g, "Anne", 1), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[3]), 0);
    assert_int_equal(mien_gallery_set_notes(g, "Anne", NULL, "2020-01-01", NULL), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[4]), 0);
    MienCalibration c = { .basis = MIEN_BASIS_PUBLISHED, .fpir = 0.01, .threshold_sim_cos = 0.5f, .verify_sim_cos = 0.4f, .n_people = 1, .n_samples = 1,
                          .fnir = NAN, .fnir_low = NAN, .fnir_high = NAN, .fpir_measured = NAN, .fpir_low = NAN, .fpir_high = NAN };
    assert_int_equal(mien_gallery_put_calibration(g, &c), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[5]), 0);
    for (int i = 0; i < 6; i++)
        for (int k = 0; k < i; k++)
            assert_string_not_equal(hex[i], hex[k]);
    /* what changes no name: notes, the audit, a copy */
    assert_int_equal(mien_gallery_set_notes(g, "Anne", "written", NULL, "tall"), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[6]), 0);
    assert_string_equal(hex[6], hex[5]);
    assert_int_equal(mien_gallery_backup(g, in_folder("copy.db")), 0);
    mien_gallery_close(&g);
    assert_int_equal(mien_gallery_open(&g, in_folder("copy.db"), MIEN_GALLERY_READ, test_log()), 0);
    assert_int_equal(mien_gallery_fingerprint(g, hex[6]), 0);
    assert_string_equal(hex[6], hex[5]);
    mien_gallery_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_waiting_to_done),
        cmocka_unit_test(failing_and_trying_again),
        cmocka_unit_test(entered_anew),
        cmocka_unit_test(only_what_was_chosen),
        cmocka_unit_test(several_processes),
        cmocka_unit_test(what_is_no_job_file),
        cmocka_unit_test(without_memory),
        cmocka_unit_test(fingerprints),
    };
    return cmocka_run_group_tests(tests, make_test_folder, remove_test_folder);
}
