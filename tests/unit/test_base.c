/* base: memory, errors, job pool, bounded reader, files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/reader.h"
#include "mien/error.h"
#include "mien/exec.h"

static char folder[256];

static int make_folder(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "%s/mien-base-XXXXXX", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder); /* fails if a test left a file behind, a temporary one of write_atomic included */
}

static const char *in_folder(const char *name)
{
    static char path[512];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void mem_is_aligned_and_counted(void **state)
{
    (void)state;
    uint64_t live = mien_mem_live_bytes(), count = mien_mem_count();
    char *p = mien_malloc(100);
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % 64, 0);
    assert_int_equal(mien_mem_live_bytes(), live + 100);
    assert_int_equal(mien_mem_count(), count + 1);
    memset(p, 7, 100);
    p = mien_realloc_array(p, 1000, 1);
    assert_int_equal(p[99], 7);
    p = mien_realloc_array(p, 10, 1);
    assert_int_equal(p[9], 7);
    mien_free(p);
    assert_int_equal(mien_mem_live_bytes(), live);
    mien_free(mien_malloc(0));
    mien_free(NULL);
}

static void mem_refuses_overflow(void **state)
{
    (void)state;
    assert_null(mien_malloc(SIZE_MAX));
    assert_null(mien_malloc(SIZE_MAX - 64));
    assert_null(mien_calloc(SIZE_MAX / 2, 3));
    char *p = mien_malloc(8);
    assert_null(mien_realloc_array(p, SIZE_MAX / 4, 8));
    mien_free(p); /* still ours */
}

static void mem_fails_the_nth(void **state)
{
    (void)state;
    mien_mem_fail_at(2, 0);
    void *a = mien_malloc(1), *b = mien_malloc(1), *c = mien_malloc(1);
    assert_non_null(a);
    assert_null(b);
    assert_non_null(c);
    mien_mem_fail_at(1, 1);
    assert_null(mien_malloc(1));
    assert_null(mien_malloc(1));
    mien_mem_fail_at(0, 0);
    mien_free(a);
    mien_free(c);
}

static void every_error_has_a_sentence(void **state)
{
    (void)state;
#define HAS_SENTENCE(name, number, text) assert_string_equal(mien_strerror(name), text);
    MIEN_ERROR_LIST(HAS_SENTENCE)
    assert_string_equal(mien_strerror(0), "no error");
    assert_non_null(mien_strerror(-123456));
}

static void add_job_number(void *arg, int i_job, int n_jobs)
{
    assert_true(i_job < n_jobs);
    ((int *)arg)[i_job] += i_job + 1;
}

static void pool_runs_each_job_once(void **state)
{
    (void)state;
    for (int n_threads = 1; n_threads <= 5; n_threads++) {
        MienPool *pool;
        assert_int_equal(mien_pool_create(&pool, n_threads, (MienLog){ 0 }), 0);
        for (int n_jobs = 0; n_jobs < 40; n_jobs++) {
            int done[40] = { 0 };
            mien_exec_run(mien_pool_exec(pool), add_job_number, done, n_jobs);
            for (int i = 0; i < 40; i++)
                assert_int_equal(done[i], i < n_jobs ? i + 1 : 0);
        }
        mien_pool_destroy(&pool);
        assert_null(pool);
    }
    int done[3] = { 0 };
    mien_exec_run((MienExec){ 0 }, add_job_number, done, 3);
    assert_int_equal(done[2], 3);
}

static void reader_stops_at_the_end(void **state)
{
    (void)state;
    const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    MieniReader r = mieni_reader(data, sizeof(data));
    assert_int_equal(mieni_read_u32le(&r), 0x04030201);
    assert_int_equal(mieni_reader_left(&r), 5);
    assert_int_equal(mieni_read_u64le(&r), 0);
    assert_true(r.bad);
    assert_int_equal(mieni_read_u8(&r), 0); /* stays bad, although a byte is left */
    assert_int_equal(mieni_reader_left(&r), 0);
}

static void files_are_written_whole(void **state)
{
    (void)state;
    const char *path = in_folder("a");
    uint8_t *data;
    size_t bytes;
    assert_int_equal(mieni_file_write_atomic(path, "hello", 5, 0600, (MienLog){ 0 }), 0);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(mieni_file_read(path, 5, &data, &bytes, (MienLog){ 0 }), 0);
    assert_int_equal(bytes, 5);
    assert_string_equal((char *)data, "hello");
    mien_free(data);
    assert_int_equal(mieni_file_read(path, 4, &data, &bytes, (MienLog){ 0 }), MIEN_ERR(EFBIG));
    assert_null(data);
    unlink(path);
    assert_int_equal(mieni_file_read(path, 4, &data, &bytes, (MienLog){ 0 }), MIEN_ERR(ENOENT));
    assert_int_equal(mieni_file_read(folder, 4, &data, &bytes, (MienLog){ 0 }), MIEN_ERR(EISDIR));
}

static void a_full_disk_leaves_the_old_file(void **state)
{
    (void)state;
    const char *path = in_folder("b");
    static uint8_t big[100000];
    uint8_t *data;
    size_t bytes;
    assert_int_equal(mieni_file_write_atomic(path, "old", 3, 0644, (MienLog){ 0 }), 0);
    struct rlimit old_limit, limit;
    getrlimit(RLIMIT_FSIZE, &old_limit);
    limit = old_limit;
    limit.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN); /* the write then fails with EFBIG, as with ENOSPC on a full disk */
    setrlimit(RLIMIT_FSIZE, &limit);
    int ret = mieni_file_write_atomic(path, big, sizeof(big), 0644, (MienLog){ 0 });
    setrlimit(RLIMIT_FSIZE, &old_limit);
    assert_int_equal(ret, MIEN_ERR(EFBIG));
    assert_int_equal(mieni_file_read(path, 100, &data, &bytes, (MienLog){ 0 }), 0);
    assert_string_equal((char *)data, "old");
    mien_free(data);
    unlink(path);
    assert_int_equal(mieni_file_write_atomic(in_folder("no/such/folder"), "x", 1, 0644, (MienLog){ 0 }), MIEN_ERR(ENOENT));
}

static void sha256_of_known_texts(void **state)
{
    (void)state;
    char hex[65]; /* FIPS 180-4's examples */
    mieni_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    mieni_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mem_is_aligned_and_counted),
        cmocka_unit_test(mem_refuses_overflow),
        cmocka_unit_test(mem_fails_the_nth),
        cmocka_unit_test(every_error_has_a_sentence),
        cmocka_unit_test(pool_runs_each_job_once),
        cmocka_unit_test(reader_stops_at_the_end),
        cmocka_unit_test(files_are_written_whole),
        cmocka_unit_test(a_full_disk_leaves_the_old_file),
        cmocka_unit_test(sha256_of_known_texts),
    };
    return cmocka_run_group_tests_name("base", tests, make_folder, remove_folder);
}
