/* The gallery when the machine fails: every public call with the Nth allocation failing (ours and SQLite's), with the Nth write
 * failing (full disk, broken disk; once, or from then on), and with files cut and scrambled. After each failure the gallery must be
 * what it was before the call or what it should be after it, nothing may leak, and the same handle must work again. */
#include <cjson/cJSON.h>

#include "../fuzz/gallery_exercise.h"
#include "../unit/gallery_util.h"

/* ---- SQLite's allocator, with its own countdown */

static sqlite3_mem_methods real_mem;
static long sqlite_fail_at; /* 0: off; counts down to 1, which fails */
static int sqlite_failed;

static int sqlite_must_fail(void)
{
    if (sqlite_fail_at <= 0 || --sqlite_fail_at > 0)
        return 0;
    sqlite_failed = 1;
    return 1;
}

static void *fault_malloc(int bytes)
{
    return sqlite_must_fail() ? NULL : real_mem.xMalloc(bytes);
}

static void *fault_realloc(void *p, int bytes)
{
    return sqlite_must_fail() ? NULL : real_mem.xRealloc(p, bytes);
}

/* ---- a VFS that passes everything on, fails the Nth write, and does not wait for disks */

static long write_fail_at; /* as above; writes, truncations and syncs count */
static int write_fail_rc, write_fail_sticky, write_failed;

static int write_must_fail(void)
{
    if (write_fail_at <= 0)
        return 0;
    if (write_fail_at > 1) {
        write_fail_at--;
        return 0;
    }
    write_failed = 1;
    if (!write_fail_sticky)
        write_fail_at = 0;
    return 1;
}

typedef struct ShimFile {
    sqlite3_file base;
    sqlite3_file *real;
} ShimFile;

static sqlite3_vfs *real_vfs, shim_vfs;
#define REAL(f) (((ShimFile *)(f))->real)

static int shim_close(sqlite3_file *f) { return REAL(f)->pMethods->xClose(REAL(f)); }
static int shim_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at) { return REAL(f)->pMethods->xRead(REAL(f), p, n, at); }

static int shim_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    if (write_must_fail()) {
        if (n > 512) /* a part may have reached the disk */
            REAL(f)->pMethods->xWrite(REAL(f), p, n / 2, at);
        return write_fail_rc;
    }
    return REAL(f)->pMethods->xWrite(REAL(f), p, n, at);
}

static int shim_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    return write_must_fail() ? SQLITE_IOERR_TRUNCATE : REAL(f)->pMethods->xTruncate(REAL(f), size);
}

static int shim_sync(sqlite3_file *f, int flags)
{
    (void)f, (void)flags;
    return write_must_fail() ? SQLITE_IOERR_FSYNC : SQLITE_OK;
}

static int shim_size(sqlite3_file *f, sqlite3_int64 *size) { return REAL(f)->pMethods->xFileSize(REAL(f), size); }
static int shim_lock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xLock(REAL(f), level); }
static int shim_unlock(sqlite3_file *f, int level) { return REAL(f)->pMethods->xUnlock(REAL(f), level); }
static int shim_reserved(sqlite3_file *f, int *out) { return REAL(f)->pMethods->xCheckReservedLock(REAL(f), out); }
static int shim_control(sqlite3_file *f, int op, void *arg) { return REAL(f)->pMethods->xFileControl(REAL(f), op, arg); }
static int shim_sector(sqlite3_file *f) { return REAL(f)->pMethods->xSectorSize(REAL(f)); }
static int shim_features(sqlite3_file *f) { return REAL(f)->pMethods->xDeviceCharacteristics(REAL(f)); }

static int shim_shm_map(sqlite3_file *f, int i, int bytes, int extend, void volatile **p)
{
    return REAL(f)->pMethods->xShmMap(REAL(f), i, bytes, extend, p);
}

static int shim_shm_lock(sqlite3_file *f, int at, int n, int flags) { return REAL(f)->pMethods->xShmLock(REAL(f), at, n, flags); }
static void shim_shm_barrier(sqlite3_file *f) { REAL(f)->pMethods->xShmBarrier(REAL(f)); }
static int shim_shm_unmap(sqlite3_file *f, int del) { return REAL(f)->pMethods->xShmUnmap(REAL(f), del); }

static const sqlite3_io_methods shim_io = {
    2, shim_close, shim_read, shim_write, shim_truncate, shim_sync, shim_size, shim_lock, shim_unlock, shim_reserved,
    shim_control, shim_sector, shim_features, shim_shm_map, shim_shm_lock, shim_shm_barrier, shim_shm_unmap, NULL, NULL,
};

static int shim_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out_flags)
{
    (void)vfs;
    ShimFile *s = (ShimFile *)f;
    s->real = (sqlite3_file *)(s + 1);
    s->base.pMethods = NULL;
    int rc = real_vfs->xOpen(real_vfs, name, s->real, flags, out_flags);
    if (s->real->pMethods)
        s->base.pMethods = &shim_io;
    return rc;
}

/* ---- calls under test */

typedef struct Call {
    const char *name;
    int (*run)(MienGallery *g);
    int again; /* what it gives when done a second time after having succeeded */
} Call;

static char the_path[512], the_export[512], the_json[512], the_backup[512], the_import[512];
static float probe[DIM];

static int call_model(MienGallery *g)
{
    MienGalleryModel model;
    return mien_gallery_model(g, &model);
}

static int call_bind(MienGallery *g) { return mien_gallery_bind(g, HASH_A, "test encoder", DIM); }

static int call_add(MienGallery *g)
{
    MienSample s = { .quality = 1, .source_hash = HASH_B };
    return mien_gallery_add(g, "Newcomer", probe, DIM, &s);
}

static int call_people(MienGallery *g)
{
    MienPerson *list;
    int n = mien_gallery_people(g, &list);
    mien_free(list);
    return n;
}

static int call_find(MienGallery *g)
{
    MienPerson p;
    return mien_gallery_find(g, "Ann", &p);
}

static int call_samples(MienGallery *g)
{
    MienSample *list;
    int n = mien_gallery_samples(g, 1, &list);
    mien_free(list);
    return n;
}

static int call_embedding(MienGallery *g)
{
    float v[DIM];
    return mien_gallery_embedding(g, 1, v, DIM);
}

static int call_rename(MienGallery *g) { return mien_gallery_rename(g, "Ann", "Anna"); }
static int call_merge(MienGallery *g) { return mien_gallery_merge(g, "Ann", "Bob"); }
static int call_move(MienGallery *g) { return mien_gallery_move_sample(g, 1, "Dora"); }
static int call_ignore(MienGallery *g) { return mien_gallery_set_ignored(g, "Ann", 1); }
static int call_notes(MienGallery *g) { return mien_gallery_set_notes(g, "Ann", "c", "2090-01-01", "n"); }
static int call_forget(MienGallery *g) { return mien_gallery_forget(g, "Ann", NULL); }
static int call_forget_sample(MienGallery *g) { return mien_gallery_forget_sample(g, 1, NULL); }
static int call_compact(MienGallery *g) { return mien_gallery_compact(g); }

static int call_search(MienGallery *g)
{
    MienMatch m;
    return mien_gallery_search(g, probe, DIM, NULL, &m);
}

static int call_top(MienGallery *g)
{
    MienCandidate c[3];
    return mien_gallery_top(g, probe, DIM, c, 3);
}

static int call_stats(MienGallery *g)
{
    MienGalleryStats s;
    return mien_gallery_stats(g, &s);
}

static int call_check(MienGallery *g) { return mien_gallery_check(g, NULL, NULL); }
static int call_backup(MienGallery *g) { return mien_gallery_backup(g, the_backup); }
static int call_export(MienGallery *g) { return mien_gallery_export(g, the_export); }
static int call_export_json(MienGallery *g) { return mien_gallery_export(g, the_json); }
static int call_import(MienGallery *g) { return mien_gallery_import(g, the_import, NULL); }

static int call_see(MienGallery *g)
{
    MienSighting s;
    return mien_gallery_stranger_see(g, probe, DIM, 0.5f, 0.46f, &s);
}

static int call_strangers(MienGallery *g)
{
    MienStranger *list;
    int ret = mien_gallery_strangers(g, &list);
    mien_free(list);
    return ret;
}

static int call_assign(MienGallery *g) { return mien_gallery_stranger_assign(g, 1, "Dora"); }
static int call_forget_stranger(MienGallery *g) { return mien_gallery_forget_stranger(g, 1, NULL); }
static int call_audit(MienGallery *g) { return mien_gallery_audit(g, "look", ""); }

static int call_put_calibration(MienGallery *g)
{
    MienCalibration c = { .fpir = 0.01, .threshold_sim_cos = 0.5, .margin_sim_cos = 0.05, .verify_sim_cos = 0.4, .fnir = NAN,
                          .fnir_low = NAN, .fnir_high = NAN, .fpir_measured = 0.25, .fpir_low = 0, .fpir_high = 1, .n_people = 3 };
    return mien_gallery_put_calibration(g, &c);
}

static int call_calibration(MienGallery *g)
{
    MienCalibration c;
    int64_t n_now;
    int ret = mien_gallery_calibration(g, &c, &n_now);
    return ret < 0 ? ret : (int)n_now;
}

static int call_templates(MienGallery *g)
{
    float *v;
    int64_t *person;
    int dim, n = mien_gallery_templates(g, &v, &person, &dim);
    mien_free(v);
    mien_free(person);
    return n;
}

static MienGallerySimilarity the_unit = { .unit = { .kind = MIEN_SIMILARITY_LOGISTIC, .dim = DIM, .w = { -1, -2 }, .b = 3 }, .accuracy = 0.9 };
static int call_learn(MienGallery *g)
{
    MienGallerySimilarity s = the_unit;
    return mien_gallery_set_similarity(g, &s);
}

/* chi2 lies in the base; the search that follows reads all anew */
static int call_search_learnt(MienGallery *g)
{
    MienMatch m;
    int ret = mien_gallery_use_similarity(g, MIEN_SIMILARITY_CHI2);
    return ret < 0 ? ret : mien_gallery_search(g, probe, DIM, NULL, &m);
}

static const Call calls[] = {
    { "model", call_model, 0 },
    { "bind", call_bind, 0 },
    { "add", call_add, MIEN_E_EXISTS },
    { "people", call_people, 3 },
    { "find", call_find, 0 },
    { "samples", call_samples, 2 },
    { "embedding", call_embedding, 0 },
    { "rename", call_rename, MIEN_E_NOTFOUND },
    { "merge", call_merge, MIEN_E_NOTFOUND },
    { "move", call_move, 0 },
    { "ignore", call_ignore, 0 },
    { "notes", call_notes, 0 },
    { "forget", call_forget, MIEN_E_NOTFOUND },
    { "forget sample", call_forget_sample, MIEN_E_NOTFOUND },
    { "compact", call_compact, 0 },
    { "search", call_search, 0 },
    { "top", call_top, 3 },
    { "stats", call_stats, 0 },
    { "check", call_check, 0 },
    { "backup", call_backup, MIEN_E_EXISTS },
    { "export", call_export, 0 },
    { "export json", call_export_json, 0 },
    { "import", call_import, 0 },
    { "see", call_see, 0 },
    { "strangers", call_strangers, 1 },
    { "assign", call_assign, MIEN_E_NOTFOUND },
    { "forget stranger", call_forget_stranger, MIEN_E_NOTFOUND },
    { "audit", call_audit, 0 },
    { "put calibration", call_put_calibration, 0 },
    { "calibration", call_calibration, 3 },
    { "templates", call_templates, 4 },
    { "learn", call_learn, 0 },
    { "search by what was learnt", call_search_learnt, 0 },
};

/* ---- the state before and after */

static uint8_t *base;
static size_t base_bytes;

static void remove_beside(const char *path)
{
    static const char *const suffix[] = { "", "-wal", "-shm", "-journal" };
    for (int i = 0; i < 4; i++) {
        char name[600];
        snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
        unlink(name);
    }
}

static void reset_files(void)
{
    remove_beside(the_path);
    unlink(the_backup);
    unlink(the_export);
    unlink(the_json);
    write_bytes(the_path, base, base_bytes);
}

/* People, their fields and the ids of their samples, as one text; the gallery must be sound. */
static void describe(const char *path, char *text, size_t text_bytes)
{
    MienGallery *g;
    MienPerson *list;
    MienStranger *strangers;
    int ret = mien_gallery_open(&g, path, MIEN_GALLERY_READ, test_log());
    if (ret)
        print_error("%s\n", said);
    assert_int_equal(ret, 0);
    ret = mien_gallery_check(g, NULL, NULL);
    if (ret)
        print_error("check: %d %s\n", ret, said);
    assert_int_equal(ret, 0);
    int n = mien_gallery_people(g, &list);
    assert_true(n >= 0);
    MienCalibration c;
    ret = mien_gallery_calibration(g, &c, NULL);
    assert_true(ret == 0 || ret == MIEN_E_NOTFOUND);
    snprintf(text, text_bytes, "%.4f\n", ret ? NAN : c.threshold_sim_cos);
    for (int i = 0; i < n; i++) {
        MienSample *s;
        int n_samples = mien_gallery_samples(g, list[i].id, &s);
        size_t at = strlen(text);
        snprintf(text + at, text_bytes - at, "%s %d %s %s %s:", list[i].name, list[i].ignored, list[i].consent, list[i].expires,
                 list[i].notes);
        for (int k = 0; k < n_samples; k++) {
            at = strlen(text);
            snprintf(text + at, text_bytes - at, " %lld", (long long)s[k].id);
        }
        strncat(text, "\n", text_bytes - strlen(text) - 1);
        mien_free(s);
    }
    mien_free(list);
    n = mien_gallery_strangers(g, &strangers);
    assert_true(n >= 0);
    for (int i = 0; i < n; i++) {
        size_t at = strlen(text);
        snprintf(text + at, text_bytes - at, "stranger %lld: %d\n", (long long)strangers[i].id, strangers[i].n_samples);
    }
    mien_free(strangers);
    mien_gallery_close(&g);
}

static void make_base(void)
{
    MienGallery *g = open_gallery(in_folder("import.db"), MIEN_GALLERY_CREATE);
    add(g, "Eve", 20);
    add(g, "Ann", 21);
    snprintf(the_import, sizeof(the_import), "%s", in_folder("import.safetensors"));
    assert_int_equal(mien_gallery_export(g, the_import), 0);
    mien_gallery_close(&g);
    snprintf(the_path, sizeof(the_path), "%s", in_folder("base.db"));
    g = open_gallery(the_path, MIEN_GALLERY_CREATE);
    add(g, "Ann", 1);
    add(g, "Ann", 2);
    add(g, "Bob", 3);
    add(g, "Carl", 4);
    MienCalibration c = { .fpir = 0.02, .threshold_sim_cos = 0.45, .verify_sim_cos = 0.4, .n_people = 3 };
    assert_int_equal(mien_gallery_put_calibration(g, &c), 0);
    MienGallerySimilarity chi2 = the_unit;
    chi2.unit.kind = MIEN_SIMILARITY_CHI2;
    assert_int_equal(mien_gallery_set_similarity(g, &chi2), 0);
    MienSighting sighting;
    make_vector(probe, 5, DIM);
    assert_int_equal(mien_gallery_stranger_see(g, probe, DIM, 0.5f, 0.46f, &sighting), 0);
    mien_gallery_close(&g);
    base = read_bytes(the_path, &base_bytes);
    snprintf(the_path, sizeof(the_path), "%s", in_folder("fault.db"));
    snprintf(the_export, sizeof(the_export), "%s", in_folder("out.safetensors"));
    snprintf(the_json, sizeof(the_json), "%s", in_folder("out.json"));
    snprintf(the_backup, sizeof(the_backup), "%s", in_folder("backup.db"));
    make_vector(probe, 1, DIM);
}

typedef enum Fault { OUR_MEMORY, SQLITE_MEMORY, DISK_FULL, DISK_BROKEN, DISK_FULL_FOR_GOOD, DISK_BROKEN_FOR_GOOD } Fault;

static void arm(Fault fault, long n)
{
    sqlite_failed = write_failed = 0;
    write_fail_rc = fault == DISK_FULL || fault == DISK_FULL_FOR_GOOD ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    write_fail_sticky = fault == DISK_FULL_FOR_GOOD || fault == DISK_BROKEN_FOR_GOOD;
    if (fault == OUR_MEMORY)
        mien_mem_fail_at((uint64_t)n, 0);
    else if (fault == SQLITE_MEMORY)
        sqlite_fail_at = n;
    else
        write_fail_at = n;
}

static void disarm(void)
{
    mien_mem_fail_at(0, 0);
    sqlite_fail_at = write_fail_at = 0;
}

static int expected_code(Fault fault, int ret)
{
    if (ret >= 0)
        return 1; /* a step that may fail: the log stays longer, say */
    switch (fault) {
    case OUR_MEMORY:
        if (ret == MIEN_E_FORMAT) /* cJSON does not tell bad JSON and no memory apart */
            return strstr(said, "JSON") != NULL;
        /* fall through */
    case SQLITE_MEMORY:
        return ret == MIEN_ERR(ENOMEM);
    default: /* a failed truncation or sync is an I/O error, also on a full disk */
        return ret == MIEN_ERR(ENOSPC) || ret == MIEN_ERR(EIO);
    }
}

/* Did the Nth happen at all? Ours can't be asked: it did if fewer than n were counted since. */
static int happened(Fault fault, long n, uint64_t allocs_before)
{
    if (fault == OUR_MEMORY)
        return mien_mem_count() - allocs_before >= (uint64_t)n - 1 && mien_mem_count() - allocs_before < (uint64_t)n + 100000;
    return fault == SQLITE_MEMORY ? sqlite_failed : write_failed;
}

static void fail_call(const Call *call, Fault fault, int step)
{
    char before[2048], after[2048], now[2048];
    reset_files();
    describe(the_path, before, sizeof(before));
    MienGallery *g = open_gallery(the_path, MIEN_GALLERY_WRITE);
    int good = call->run(g);
    assert_true(good >= 0);
    assert_int_equal(call->run(g), call->again);
    mien_gallery_close(&g);
    reset_files();
    g = open_gallery(the_path, MIEN_GALLERY_WRITE);
    call->run(g);
    mien_gallery_close(&g);
    describe(the_path, after, sizeof(after));
    int n_failed = 0;
    /* Every place at first, then some of them, beginning elsewhere for every call. */
    for (long n = 1; n < 5000; n += n < 12 || step == 1 ? 1 : n == 12 ? 1 + call - calls : step) {
        uint64_t live = mien_mem_live_bytes();
        sqlite3_int64 sqlite_live = sqlite3_memory_used();
        reset_files();
        g = open_gallery(the_path, MIEN_GALLERY_WRITE);
        said[0] = '\0';
        uint64_t allocs = mien_mem_count();
        arm(fault, n);
        int ret = call->run(g);
        int hit = happened(fault, n, allocs);
        disarm();
        if (!hit && ret == good) {
            mien_gallery_close(&g);
            break;
        }
        if (!expected_code(fault, ret))
            print_error("%s, fault %d, n = %ld: %d %s\n", call->name, fault, n, ret, said);
        assert_true(expected_code(fault, ret));
        if (ret < 0) {
            n_failed++;
            if (!said[0])
                print_error("%s, fault %d, n = %ld: %d, nothing said\n", call->name, fault, n, ret);
            assert_true(said[0] != '\0');
            /* The same handle goes on. What failed may have been done already (an export after its line in the log, a deletion
             * whose proof failed). */
            int second = call->run(g);
            if (second != good && second != call->again)
                print_error("%s, fault %d, n = %ld: again %d %s\n", call->name, fault, n, second, said);
            assert_true(second == good || second == call->again);
        }
        mien_gallery_close(&g);
        if (fault >= DISK_FULL || n % 4 == 1) { /* reading it all takes longer than the call */
            describe(the_path, now, sizeof(now));
            assert_string_equal(now, after);
        }
        assert_int_equal(mien_mem_live_bytes(), live);
        assert_int_equal(sqlite3_memory_used(), sqlite_live);

        /* Once more, but the handle is given up with the fault still there, as when a program ends. */
        if (write_fail_sticky) {
            reset_files();
            g = open_gallery(the_path, MIEN_GALLERY_WRITE);
            arm(fault, n);
            ret = call->run(g);
            mien_gallery_close(&g);
            disarm();
            describe(the_path, now, sizeof(now));
            if (strcmp(now, before) && strcmp(now, after))
                print_error("%s, fault %d, n = %ld: %d\n%s", call->name, fault, n, ret, now);
            assert_true(!strcmp(now, before) || !strcmp(now, after));
            assert_true(ret < 0 || !strcmp(now, after)); /* what was reported as done is done */
        }
        assert_true(n < 4900);
    }
    (void)n_failed;
}

static void run_all(Fault fault, int step)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(calls); i++)
        fail_call(&calls[i], fault, step);
}

static void our_memory(void **state) { (void)state; run_all(OUR_MEMORY, 1); }
static void sqlite_memory(void **state) { (void)state; run_all(SQLITE_MEMORY, 17); }
static void disk_full(void **state) { (void)state; run_all(DISK_FULL, 1); run_all(DISK_FULL_FOR_GOOD, 1); }
static void disk_broken(void **state) { (void)state; run_all(DISK_BROKEN, 1); run_all(DISK_BROKEN_FOR_GOOD, 1); }

/* Opening: to read, to write, to make, and with a migration to run. */
static void opening(void **state)
{
    (void)state;
    static const struct {
        MienGalleryFlags flags;
        const char *kind;
    } row[] = { { MIEN_GALLERY_READ, "base" }, { MIEN_GALLERY_WRITE, "base" }, { MIEN_GALLERY_CREATE, "none" }, { MIEN_GALLERY_WRITE, "old" } };
    size_t sql_bytes, old_bytes;
    uint8_t *sql = read_bytes("tests/data/gallery-v1.sql", &sql_bytes);
    assert_non_null(sql);
    sql[sql_bytes] = '\0';
    raw_sql(in_folder("old.db"), (const char *)sql);
    uint8_t *old = read_bytes(in_folder("old.db"), &old_bytes);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(row); i++) {
        for (Fault fault = OUR_MEMORY; fault <= DISK_BROKEN_FOR_GOOD; fault++) {
            for (long n = 1;; n += n < 12 || fault != SQLITE_MEMORY ? 1 : 37) {
                MienGallery *g = NULL;
                uint64_t live = mien_mem_live_bytes(), allocs = mien_mem_count();
                sqlite3_int64 sqlite_live = sqlite3_memory_used();
                reset_files();
                if (!strcmp(row[i].kind, "none"))
                    unlink(the_path);
                else if (!strcmp(row[i].kind, "old"))
                    write_bytes(the_path, old, old_bytes);
                MienLog log = test_log();
                arm(fault, n);
                int ret = mien_gallery_open(&g, the_path, row[i].flags, log);
                int hit = happened(fault, n, allocs);
                if (ret >= 0 && !hit) {
                    disarm();
                    mien_gallery_close(&g);
                    break;
                }
                if (!expected_code(fault, ret))
                    print_error("open %zu, fault %d, n = %ld: %d %s\n", i, fault, n, ret, said);
                assert_true(expected_code(fault, ret));
                assert_true((ret < 0) == (g == NULL));
                assert_true(ret >= 0 || said[0]);
                mien_gallery_close(&g);
                disarm();
                assert_int_equal(mien_mem_live_bytes(), live);
                assert_int_equal(sqlite3_memory_used(), sqlite_live);
                ret = mien_gallery_open(&g, the_path, row[i].flags, test_log());
                if (ret < 0)
                    print_error("open %zu, fault %d, n = %ld: again %d %s\n", i, fault, n, ret, said);
                assert_int_equal(ret, 0);
                assert_int_equal(mien_gallery_check(g, NULL, NULL), 0);
                MienGalleryStats s;
                assert_int_equal(mien_gallery_stats(g, &s), 0);
                assert_int_equal(s.n_people, !strcmp(row[i].kind, "none") ? 0 : 3);
                mien_gallery_close(&g);
                assert_true(n < 5000);
            }
        }
    }
    free(sql);
    free(old);
}

/* A search in a running program: when the people can't be read again, those read before are used on. */
static void search_goes_on(void **state)
{
    (void)state;
    reset_files();
    MienGallery *reader = open_gallery(the_path, MIEN_GALLERY_READ), *writer = open_gallery(the_path, MIEN_GALLERY_WRITE);
    MienMatch m;
    float v[DIM];
    assert_int_equal(mien_gallery_search(reader, probe, DIM, NULL, &m), 0);
    make_vector(v, 50, DIM);
    add(writer, "Zed", 50);
    for (int i = 0; i < 2; i++) {
        said[0] = '\0';
        if (i == 0)
            sqlite_fail_at = 1;
        else
            mien_mem_fail_at(1, 0);
        if (i)
            usleep(1100000);
        assert_int_equal(mien_gallery_search(reader, probe, DIM, NULL, &m), 0);
        disarm();
        assert_string_equal(m.name, "Ann");
    }
    usleep(1100000);
    assert_int_equal(mien_gallery_search(reader, v, DIM, NULL, &m), 0);
    assert_string_equal(m.name, "Zed");
    mien_gallery_close(&reader);
    mien_gallery_close(&writer);
}

/* ---- cut and scrambled files */

static void cut(void **state)
{
    (void)state;
    const char *scratch = in_folder("scratch");
    char keep[600];
    snprintf(keep, sizeof(keep), "%s", scratch);
    for (size_t n = 0; n < base_bytes; n += n < 200 ? 20 : n % 4096 == 0 ? 1 : n % 4096 == 1 ? 2046 : 4096 - n % 4096) {
        remove_beside(the_path);
        write_bytes(the_path, base, n);
        exercise_gallery(the_path, keep, DIM);
    }
}

static void scrambled(void **state)
{
    (void)state;
    char keep[600];
    snprintf(keep, sizeof(keep), "%s", in_folder("scratch"));
    uint64_t s = 88172645463325252u;
    uint8_t *copy = malloc(base_bytes);
    for (int round = 0; round < 250; round++) {
        memcpy(copy, base, base_bytes);
        int n = 1 + round % 24;
        for (int i = 0; i < n; i++) {
            s ^= s << 13, s ^= s >> 7, s ^= s << 17;
            /* Half of them in headers of pages, where they hurt. */
            size_t at = (size_t)(s >> 16) % base_bytes;
            if (i % 2)
                at = at / 4096 * 4096 + at % 16;
            copy[at] = (uint8_t)s;
        }
        remove_beside(the_path);
        write_bytes(the_path, copy, base_bytes);
        exercise_gallery(the_path, keep, DIM);
    }
    free(copy);
}

static int set_up(void **state)
{
    if (make_test_folder(state))
        return -1;
    make_base();
    return 0;
}

static int tear_down(void **state)
{
    free(base);
    return remove_test_folder(state);
}

int main(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_mem);
    sqlite3_mem_methods mem = real_mem;
    mem.xMalloc = fault_malloc;
    mem.xRealloc = fault_realloc;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &mem);
    sqlite3_initialize();
    cJSON_InitHooks(&(cJSON_Hooks){ mien_malloc, mien_free });
    real_vfs = sqlite3_vfs_find(NULL);
    shim_vfs = *real_vfs;
    shim_vfs.szOsFile = (int)sizeof(ShimFile) + real_vfs->szOsFile;
    shim_vfs.zName = "shim";
    shim_vfs.xOpen = shim_open;
    sqlite3_vfs_register(&shim_vfs, 1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening), cmocka_unit_test(our_memory), cmocka_unit_test(sqlite_memory), cmocka_unit_test(disk_full),
        cmocka_unit_test(disk_broken), cmocka_unit_test(search_goes_on), cmocka_unit_test(cut), cmocka_unit_test(scrambled),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
