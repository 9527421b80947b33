/* Fuzz: a valid gallery of which some bytes are changed, then used. The input is a list of patches: three bytes of offset, one of
 * length, the bytes (repeated offsets are fine); an input that begins as an SQLite file is taken as the whole file; one byte 'T' and
 * three of length truncates. The base is tests/data/gallery-v1.sql, so run it from the repository's root. */
#include <sqlite3.h>
#include <string.h>

#include "gallery_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static uint8_t *base;
static size_t base_bytes;
static char path[256], scratch[264];

static uint8_t *read_file(const char *name, size_t *n)
{
    FILE *f = fopen(name, "rb");
    must(f != NULL, "tests/data/gallery-v1.sql is there (run from the repository's root)");
    fseek(f, 0, SEEK_END);
    *n = (size_t)ftell(f);
    rewind(f);
    uint8_t *p = malloc(*n + 1);
    must(p && fread(p, 1, *n, f) == *n, "reading");
    p[*n] = 0;
    fclose(f);
    return p;
}

static void write_file(const uint8_t *p, size_t n)
{
    FILE *f = fopen(path, "wb");
    must(f && fwrite(p, 1, n, f) == n, "writing");
    fclose(f);
}

static void remove_files(void)
{
    static const char *const suffix[] = { "", "-wal", "-shm", "-journal" };
    char name[300];
    for (int i = 0; i < 4; i++) {
        snprintf(name, sizeof(name), "%s%s", path, suffix[i]);
        unlink(name);
    }
}

static void make_base(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/fuzz-gallery-%ld.db", tmp ? tmp : "/tmp", (long)getpid());
    snprintf(scratch, sizeof(scratch), "%s.out", path);
    size_t n;
    uint8_t *sql = read_file("tests/data/gallery-v1.sql", &n);
    sqlite3 *db;
    must(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, (const char *)sql, NULL, NULL, NULL) == SQLITE_OK, "the base");
    sqlite3_close(db);
    free(sql);
    base = read_file(path, &base_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char magic[] = "SQLite format 3";
    if (!base)
        make_base();
    remove_files();
    if (bytes >= sizeof(magic) && !memcmp(data, magic, sizeof(magic))) {
        write_file(data, bytes);
    } else {
        size_t n = base_bytes;
        uint8_t *file = malloc(n);
        must(file != NULL, "memory");
        memcpy(file, base, n);
        for (size_t at = 0; at + 4 <= bytes;) {
            size_t offset = (size_t)data[at] << 16 | (size_t)data[at + 1] << 8 | data[at + 2], len = data[at + 3];
            if (data[at] == 'T') {
                n = ((size_t)data[at + 1] << 16 | (size_t)data[at + 2] << 8 | data[at + 3]) % (base_bytes + 1);
                at += 4;
                continue;
            }
            at += 4;
            for (size_t i = 0; i < len && at < bytes; i++)
                file[(offset + i) % base_bytes] = data[at++];
        }
        write_file(file, n);
        free(file);
    }
    exercise_gallery(path, scratch, 4);
    remove_files();
    return 0;
}
