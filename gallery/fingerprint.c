/* One number for all that a search's answer can depend on: people, their names and status, templates, what was calibrated and learnt. Two
 * galleries with the same fingerprint give the same names. */
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

/* Each value with its type and length, so that no two rows can look alike. */
static void add_row(struct sha256_ctx *ctx, sqlite3_stmt *st)
{
    for (int i = 0; i < sqlite3_column_count(st); i++) {
        const void *value = sqlite3_column_blob(st, i); /* numbers as text, as SQLite writes them */
        char head[48];
        int bytes = sqlite3_column_bytes(st, i), n = snprintf(head, sizeof(head), "%d:%d:", sqlite3_column_type(st, i), bytes);
        sha256_update(ctx, (size_t)n, (const uint8_t *)head);
        if (value)
            sha256_update(ctx, (size_t)bytes, value);
    }
    sha256_update(ctx, 1, (const uint8_t *)"\n");
}

static int add_rows(MienGallery *g, struct sha256_ctx *ctx, const char *sql)
{
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, sql, "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the gallery")) > 0)
        add_row(ctx, st);
    sqlite3_finalize(st);
    return ret;
}

/* Who has expired by now: that changes without a change of the file. */
static int add_expired(MienGallery *g, struct sha256_ctx *ctx)
{
    sqlite3_stmt *st;
    int64_t now = (int64_t)time(NULL);
    int ret = mieni_db_query(g, &st, "SELECT id, expires FROM person WHERE expires <> '' ORDER BY id", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "read the gallery")) > 0) {
        char expires[32];
        int64_t end;
        mieni_db_text(st, 1, expires, sizeof(expires));
        mieni_time_parse_expiry(expires, &end);
        if (end <= now)
            add_row(ctx, st);
    }
    sqlite3_finalize(st);
    return ret;
}

static int add_all(MienGallery *g, struct sha256_ctx *ctx)
{
    static const char *const sql[] = {
        "SELECT hash FROM model",
        "SELECT id, name, status FROM person ORDER BY id",
        "SELECT id, person, vector FROM sample ORDER BY id",
        "SELECT basis, fpir, threshold, margin, verify_threshold FROM calibration ORDER BY id DESC LIMIT 1",
        "SELECT kind, w, b FROM similarity ORDER BY kind",
    };
    int ret = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(sql) && ret >= 0; i++) {
        sha256_update(ctx, 1, (const uint8_t *)"#");
        ret = add_rows(g, ctx, sql[i]);
    }
    return ret < 0 ? ret : add_expired(g, ctx);
}

int mien_gallery_fingerprint(MienGallery *g, char hex[65])
{
    struct sha256_ctx ctx;
    uint8_t sum[SHA256_DIGEST_SIZE];
    int ret = mieni_db_enter(g, 0);
    *hex = 0;
    if (ret < 0 || (ret = mieni_db_begin_read(g)) < 0)
        return ret;
    sha256_init(&ctx);
    if ((ret = mieni_db_end(g, add_all(g, &ctx))) < 0)
        return ret;
    sha256_digest(&ctx, sizeof(sum), sum);
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
    return 0;
}
