/* What the gallery's tests share: a folder of their own, vectors, a logger that remembers, and direct SQL as other programs would
 * send it. */
#ifndef TESTS_GALLERY_UTIL_H
#define TESTS_GALLERY_UTIL_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mien/error.h"
#include "mien/gallery.h"

#define DIM 128
#define HASH_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define HASH_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char test_folder[256], said[4096];

static inline void remember(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv;
    (void)level;
    size_t n = strlen(said);
    if (n < sizeof(said) - 1)
        vsnprintf(said + n, sizeof(said) - n, fmt, ap);
    n = strlen(said);
    if (n < sizeof(said) - 1)
        strcpy(said + n, "\n");
}

static inline MienLog test_log(void)
{
    said[0] = '\0';
    return (MienLog){ .write = remember, .level = MIEN_LOG_TRACE };
}

static inline int make_test_folder(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(test_folder, sizeof(test_folder), "%s/gallery-XXXXXX", tmp ? tmp : "/tmp");
    return mkdtemp(test_folder) ? 0 : -1;
}

static inline int remove_test_folder(void **state)
{
    (void)state;
    char cmd[300];
    snprintf(cmd, sizeof(cmd), "rm -rf '%s'", test_folder);
    return system(cmd);
}

/* A path in the test's folder; four may be in use at once. */
static inline const char *in_folder(const char *name)
{
    static char path[4][512];
    static int i;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof(path[i]), "%s/%s", test_folder, name);
    return path[i];
}

/* Number i of a fixed sequence of directions: independent ones are nearly at right angles in 128 dimensions. */
static inline void make_vector(float *v, unsigned seed, int dim)
{
    uint64_t s = seed * 0x9e3779b97f4a7c15u + 1;
    double sum = 0;
    for (int i = 0; i < dim; i++) {
        double u = 0; /* sum of four uniforms: bell-shaped enough */
        for (int k = 0; k < 4; k++) {
            s ^= s >> 12, s ^= s << 25, s ^= s >> 27;
            u += (double)((s * 0x2545f4914f6cdd1du) >> 40) / (1 << 24) - 0.5;
        }
        v[i] = (float)u;
        sum += u * u;
    }
    for (int i = 0; i < dim; i++)
        v[i] = (float)(v[i] / sqrt(sum));
}

/* A view of the same face: of length 1, its cosine to v(seed) is a. The rest is the part of v(other) at right angles to it. */
static inline void make_view(float *v, unsigned seed, unsigned other, float a, int dim)
{
    float u[1024];
    double dot = 0, sum = 0;
    make_vector(v, seed, dim);
    make_vector(u, other, dim);
    for (int i = 0; i < dim; i++)
        dot += (double)v[i] * u[i];
    for (int i = 0; i < dim; i++) {
        u[i] -= (float)dot * v[i];
        sum += (double)u[i] * u[i];
    }
    for (int i = 0; i < dim; i++)
        v[i] = a * v[i] + sqrtf((1 - a * a) / (float)sum) * u[i];
}

static inline MienGallery *open_gallery(const char *path, MienGalleryFlags flags)
{
    MienGallery *g;
    int ret = mien_gallery_open(&g, path, flags, test_log());
    if (ret != 0)
        print_error("open: %d %s\n", ret, said);
    assert_int_equal(ret, 0);
    assert_non_null(g);
    assert_int_equal(mien_gallery_bind(g, HASH_A, "test encoder", DIM), 0);
    return g;
}

static inline int64_t add(MienGallery *g, const char *name, unsigned seed)
{
    float v[DIM];
    MienSample s = { .quality = 0.5f };
    make_vector(v, seed, DIM);
    int ret = mien_gallery_add(g, name, v, DIM, &s);
    if (ret != 0)
        print_error("add: %d %s\n", ret, said);
    assert_int_equal(ret, 0);
    return s.id;
}

/* SQL from outside the library, with nothing in its way. */
static inline void raw_sql(const char *path, const char *sql)
{
    sqlite3 *db;
    char *error = NULL;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
        print_error("%s: %s\n", sql, error);
    assert_null(error);
    sqlite3_close(db);
}

static inline int64_t raw_number(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *st;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(st, 0);
    sqlite3_finalize(st);
    sqlite3_close(db);
    return value;
}

static inline uint8_t *read_bytes(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    *bytes = 0;
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    uint8_t *data = malloc(*bytes + 1);
    assert_int_equal(fread(data, 1, *bytes, f), *bytes);
    fclose(f);
    return data;
}

static inline void write_bytes(const char *path, const void *data, size_t bytes)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, bytes, f), bytes);
    fclose(f);
}

#endif
