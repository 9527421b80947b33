/* The audit log: a chain of SHA-256 over lines, so that a changed or removed line shows (a shortened end does not: note the head
 * elsewhere). A line names a person by number and by SHA-256(salt, name); the salt lies in the person's row and goes with
 * it, after which nobody can test a name against the log. How a hash is made: docs/format-gallery.md. */
#include <nettle/sha2.h>
#include <stdio.h>
#include <string.h>

#include "gallery_int.h"

static const char zero_hash[] = "0000000000000000000000000000000000000000000000000000000000000000";

typedef struct AuditLine {
    int64_t id, person;
    char at[32], verb[40], subject[80], detail[272];
} AuditLine;

static void to_hex(struct sha256_ctx *ctx, char hex[65])
{
    uint8_t sum[SHA256_DIGEST_SIZE];
    sha256_digest(ctx, sizeof(sum), sum);
    for (size_t i = 0; i < sizeof(sum); i++)
        snprintf(hex + 2 * i, 3, "%02x", sum[i]);
}

/* No field can hold a line feed, so the text is unambiguous. */
static void line_hash(const AuditLine *l, const char *before, char hex[65])
{
    char text[640];
    int n = snprintf(text, sizeof(text), "%s\n%lld\n%s\n%s\n%lld\n%s\n%s", before, (long long)l->id, l->at, l->verb,
                     (long long)l->person, l->subject, l->detail);
    struct sha256_ctx ctx;
    sha256_init(&ctx);
    sha256_update(&ctx, (size_t)n, (const uint8_t *)text);
    to_hex(&ctx, hex);
}

static int subject_hash(MienGallery *g, int64_t person, char *hex)
{
    sqlite3_stmt *st;
    hex[0] = '\0';
    if (!person)
        return 0;
    int ret = mieni_db_query(g, &st, "SELECT salt, name FROM person WHERE id = ?1", "i", person);
    if (ret < 0)
        return ret;
    ret = mieni_db_step(g, st, "read a person");
    if (ret > 0) {
        struct sha256_ctx ctx;
        sha256_init(&ctx);
        for (int i = 0; i < 2; i++) {
            const void *part = sqlite3_column_blob(st, i);
            int bytes = sqlite3_column_bytes(st, i);
            if (part)
                sha256_update(&ctx, (size_t)bytes, part);
        }
        to_hex(&ctx, hex);
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : 0;
}

int mieni_audit(MienGallery *g, const char *verb, int64_t person, const char *detail)
{
    AuditLine l = { .person = person };
    char before[80] = "", hash[65];
    sqlite3_stmt *st;
    snprintf(l.verb, sizeof(l.verb), "%s", verb);
    snprintf(l.detail, sizeof(l.detail), "%s", detail);
    mieni_time_now(l.at);
    int ret = subject_hash(g, person, l.subject);
    if (ret < 0 || (ret = mieni_db_query(g, &st, "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1", "")) < 0)
        return ret;
    ret = mieni_db_step(g, st, "read the audit log");
    if (ret > 0) {
        l.id = sqlite3_column_int64(st, 0);
        mieni_db_text(st, 1, before, sizeof(before));
    }
    sqlite3_finalize(st);
    if (ret < 0)
        return ret;
    if (l.id < 0 || l.id == INT64_MAX)
        return mieni_gallery_fail(g, MIEN_E_CORRUPT, "the audit log's last line has an impossible number");
    l.id++;
    line_hash(&l, before[0] ? before : zero_hash, hash);
    ret = mieni_db_run(g, "write the audit log",
                       "INSERT INTO audit (id, at, verb, person, subject, detail, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                       "ississs", l.id, l.at, l.verb, l.person, l.subject, l.detail, hash);
    return ret < 0 ? ret : 0;
}

int mieni_audit_check(MienGallery *g, void (*report)(void *priv, const char *text), void *priv)
{
    char before[80], stored[80], hash[65], text[160];
    int64_t expected = 1;
    int n_found = 0;
    sqlite3_stmt *st;
    int ret = mieni_db_query(g, &st, "SELECT id, at, verb, person, subject, detail, hash FROM audit ORDER BY id", "");
    if (ret < 0)
        return ret;
    snprintf(before, sizeof(before), "%s", zero_hash);
    while ((ret = mieni_db_step(g, st, "read the audit log")) > 0) {
        AuditLine l = { .id = sqlite3_column_int64(st, 0), .person = sqlite3_column_int64(st, 3) };
        mieni_db_text(st, 1, l.at, sizeof(l.at));
        mieni_db_text(st, 2, l.verb, sizeof(l.verb));
        mieni_db_text(st, 4, l.subject, sizeof(l.subject));
        mieni_db_text(st, 5, l.detail, sizeof(l.detail));
        mieni_db_text(st, 6, stored, sizeof(stored));
        line_hash(&l, before, hash);
        if (l.id != expected || strcmp(hash, stored)) {
            n_found++;
            snprintf(text, sizeof(text), "audit line %lld: %s", (long long)l.id,
                     l.id != expected ? "lines before it are missing" : "was changed, or the line before it was");
            report(priv, text);
        }
        snprintf(before, sizeof(before), "%s", stored); /* go on from what stands there: one break is one finding */
        expected = l.id < INT64_MAX ? l.id + 1 : l.id;
    }
    sqlite3_finalize(st);
    return ret < 0 ? ret : n_found;
}

int mien_gallery_audit(MienGallery *g, const char *verb, const char *detail)
{
    const char *why;
    if (!verb || !*verb || mieni_utf8_check(verb, 32, 0, &why) < 0 ||
        (detail && mieni_utf8_check(detail, 255, 0, &why) < 0))
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "an audit line has a verb of 1 to 32 bytes and a detail of up to 255, "
                                  "without control characters");
    int ret = mieni_db_enter(g, 1);
    if (ret < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, mieni_audit(g, verb, 0, detail ? detail : ""));
}
