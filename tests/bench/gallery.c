/* Times a gallery of N templates (five a person): import, loading, search, claim, export, backup, check, forgetting a person. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mien/error.h"
#include "mien/gallery.h"
#include "mien/weights.h"

#define DIM 128
#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static clockid_t clock_id = CLOCK_MONOTONIC;

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(clock_id, &ts);
    return 1e3 * (double)ts.tv_sec + 1e-6 * (double)ts.tv_nsec;
}

static void must(int ret, const char *what)
{
    if (ret < 0) {
        fprintf(stderr, "%s: %s\n", what, mien_strerror(ret));
        exit(1);
    }
}

static float uniform(uint64_t *s)
{
    *s ^= *s << 13, *s ^= *s >> 7, *s ^= *s << 17;
    return (float)(*s >> 40) / (1 << 24) - 0.5f;
}

static void random_unit(float *v, uint64_t *s)
{
    double sum = 0;
    for (int k = 0; k < DIM; k++) {
        v[k] = uniform(s) + uniform(s) + uniform(s);
        sum += (double)v[k] * v[k];
    }
    for (int k = 0; k < DIM; k++)
        v[k] /= (float)__builtin_sqrt(sum);
}

/* The quick way in: one file, imported in one transaction. */
static void write_import(const char *path, int n)
{
    float *v = malloc(sizeof(float) * DIM * (size_t)n), *quality = malloc(sizeof(float) * (size_t)n);
    int64_t *person = malloc(sizeof(int64_t) * (size_t)n), *created = malloc(sizeof(int64_t) * (size_t)n);
    uint8_t *source = calloc((size_t)n, 32);
    size_t n_people = (size_t)(n + 4) / 5, cap = n_people * 80 + 16, at = 1;
    char *people = malloc(cap);
    uint64_t s = 88172645463325252u;
    people[0] = '[';
    for (size_t i = 0; i < n_people; i++)
        at += (size_t)snprintf(people + at, cap - at, "%s{\"name\":\"person %zu\",\"created\":\"2026-01-01T00:00:00Z\"}", i ? "," : "", i);
    at += (size_t)snprintf(people + at, cap - at, "]");
    for (int i = 0; i < n; i++) {
        random_unit(v + (size_t)i * DIM, &s);
        person[i] = i / 5, created[i] = 1767225600, quality[i] = 1;
    }
    const MienTensor t[] = {
        { "embedding", MIEN_F32, 2, { n, DIM }, v, sizeof(float) * DIM * (size_t)n }, { "person", MIEN_I64, 1, { n }, person, 8 * (size_t)n },
        { "created", MIEN_I64, 1, { n }, created, 8 * (size_t)n },                    { "quality", MIEN_F32, 1, { n }, quality, 4 * (size_t)n },
        { "source", MIEN_U8, 2, { n, 32 }, source, 32 * (size_t)n },                  { "people", MIEN_U8, 1, { (int64_t)at }, people, at },
    };
    const MienMeta meta[] = { { "mien.format", "1" }, { "mien.kind", "gallery" }, { "mien.encoder", HASH }, { "mien.encoder.name", "bench" } };
    must(mien_weights_write(path, t, 6, meta, 4, mien_log_stderr("bench", MIEN_LOG_WARN)), "import file");
    free(v), free(quality), free(person), free(created), free(source), free(people);
}

int main(int argc, char **argv)
{
    if (getenv("MIEN_BENCH_CPU")) /* processor time instead of the wall's: for busy machines */
        clock_id = CLOCK_PROCESS_CPUTIME_ID;
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 100000, n_searches = 50;
    if (argc < 2 || n < 1) {
        fprintf(stderr, "usage: %s FOLDER [TEMPLATES]\n", argv[0]);
        return 2;
    }
    char db[512], in[512], out[512], copy[512];
    snprintf(db, sizeof(db), "%s/bench.db", argv[1]);
    snprintf(in, sizeof(in), "%s/in.safetensors", argv[1]);
    snprintf(out, sizeof(out), "%s/out.safetensors", argv[1]);
    snprintf(copy, sizeof(copy), "%s/copy.db", argv[1]);
    write_import(in, n);
    MienLog log = mien_log_stderr("bench", MIEN_LOG_WARN);
    MienGallery *g;
    MienMatch m;
    float probe[DIM];
    uint64_t s = 1234567;
    int added;
    must(mien_gallery_open(&g, db, MIEN_GALLERY_CREATE, log), "open");
    double t = now_ms();
    must(mien_gallery_import(g, in, &added), "import");
    printf("import %d templates of %d numbers: %.0f ms\n", added, DIM, now_ms() - t);
    mien_gallery_close(&g);
    must(mien_gallery_open(&g, db, MIEN_GALLERY_WRITE, log), "open");
    random_unit(probe, &s);
    t = now_ms();
    must(mien_gallery_search(g, probe, DIM, NULL, &m), "search");
    printf("first search, with loading: %.0f ms\n", now_ms() - t);
    t = now_ms();
    for (int i = 0; i < n_searches; i++) {
        random_unit(probe, &s);
        must(mien_gallery_search(g, probe, DIM, NULL, &m), "search");
    }
    printf("search: %.2f ms\n", (now_ms() - t) / n_searches);
    t = now_ms();
    for (int i = 0; i < n_searches; i++)
        must(mien_gallery_search(g, probe, DIM, "person 0", &m), "claim");
    printf("claim: %.2f ms\n", (now_ms() - t) / n_searches);
    t = now_ms();
    must(mien_gallery_export(g, out), "export");
    printf("export: %.0f ms\n", now_ms() - t);
    t = now_ms();
    must(mien_gallery_backup(g, copy), "backup");
    printf("backup: %.0f ms\n", now_ms() - t);
    t = now_ms();
    int found = mien_gallery_check(g, NULL, NULL);
    printf("check: %.0f ms, %d findings\n", now_ms() - t, found);
    MienErasure e;
    t = now_ms();
    must(mien_gallery_forget(g, "person 0", &e), "forget");
    printf("forget one person: %.0f ms, %lld bytes searched, %lld places left\n", now_ms() - t, (long long)e.scanned_bytes,
           (long long)e.n_left);
    MienGalleryStats stats;
    must(mien_gallery_stats(g, &stats), "stats");
    printf("file: %lld bytes\n", (long long)stats.file_bytes);
    mien_gallery_close(&g);
    unlink(db), unlink(in), unlink(out), unlink(copy);
    return found != 0;
}
