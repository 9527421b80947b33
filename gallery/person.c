/* People: list, find, rename, merge, ignore, notes. Every change is one write transaction with its audit line. Names are bound as
 * values, compared byte by byte, and never logged. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gallery_int.h"

#define PERSON_COLUMNS \
    "p.id, p.name, p.status, p.created, p.consent, p.expires, p.notes, (SELECT count(*) FROM sample s WHERE s.person = p.id)"

static void read_person(sqlite3_stmt *st, MienPerson *p)
{
    char status[16];
    int64_t end;
    memset(p, 0, sizeof(*p));
    p->id = sqlite3_column_int64(st, 0);
    mieni_db_text(st, 1, p->name, sizeof(p->name));
    mieni_db_text(st, 2, status, sizeof(status));
    mieni_db_text(st, 3, p->created, sizeof(p->created));
    mieni_db_text(st, 4, p->consent, sizeof(p->consent));
    mieni_db_text(st, 5, p->expires, sizeof(p->expires));
    mieni_db_text(st, 6, p->notes, sizeof(p->notes));
    p->n_samples = sqlite3_column_int(st, 7);
    p->ignored = !strcmp(status, "ignored");
    mieni_time_parse_expiry(p->expires, &end);
    p->expired = end <= (int64_t)time(NULL);
}

/* ---- shared steps, inside a transaction */

int mieni_person_find(MienGallery *g, const char *name, int64_t *id)
{
    return mieni_db_number(g, "find a person", id, "SELECT id FROM person WHERE name = ?1", "s", name);
}

int mieni_person_need(MienGallery *g, const char *name, int64_t *id)
{
    int ret = name ? mieni_person_find(g, name, id) : MIEN_E_NOTFOUND;
    return ret == MIEN_E_NOTFOUND ? mieni_gallery_fail(g, ret, "nobody of that name is in the gallery") : ret;
}

int mieni_person_insert(MienGallery *g, const char *name, const char *created, int64_t *id)
{
    uint8_t salt[MIENI_SALT_BYTES];
    sqlite3_randomness(sizeof(salt), salt);
    int ret = mieni_db_run(g, "store a person", "INSERT INTO person (name, salt, created) VALUES (?1, ?2, ?3)", "sbs", name,
                           salt, sizeof(salt), created);
    *id = sqlite3_last_insert_rowid(g->db);
    return ret < 0 ? ret : 0;
}

int mieni_person_ensure(MienGallery *g, const char *name, const char *now, int64_t *id)
{
    int ret = mieni_person_find(g, name, id);
    return ret == MIEN_E_NOTFOUND ? mieni_person_insert(g, name, now, id) : ret;
}

/* ---- reading */

int mien_gallery_people(MienGallery *g, MienPerson **people)
{
    *people = NULL;
    sqlite3_stmt *st = NULL;
    MienPerson *list = NULL;
    size_t n = 0, cap = 0, n_bad = 0;
    int ret = mieni_db_enter(g, 0);
    if (ret < 0)
        return ret;
    ret = mieni_db_query(g, &st, "SELECT " PERSON_COLUMNS " FROM person p ORDER BY p.name", "");
    while (ret >= 0 && (ret = mieni_db_step(g, st, "list the people")) > 0) {
        if (n == cap) {
            size_t new_cap = cap ? 2 * cap : 16;
            MienPerson *grown = n < INT32_MAX / 2 ? mien_realloc_array(list, new_cap, sizeof(*list)) : NULL;
            if (!grown) {
                ret = mieni_gallery_fail(g, MIEN_ERR(ENOMEM), "out of memory for the list of people");
                break;
            }
            list = grown;
            cap = new_cap;
        }
        read_person(st, &list[n]);
        if (mien_name_check(list[n].name, NULL) < 0)
            n_bad++;
        else
            n++;
    }
    sqlite3_finalize(st);
    if (n_bad)
        mien_log(g->log, MIEN_LOG_WARN, "%s: %zu people with damaged names are left out; see `mien check`", g->path, n_bad);
    if (ret < 0) {
        mien_free(list);
        return ret;
    }
    *people = list;
    return (int)n;
}

int mien_gallery_find(MienGallery *g, const char *name, MienPerson *person)
{
    sqlite3_stmt *st = NULL;
    memset(person, 0, sizeof(*person));
    int ret = mieni_db_enter(g, 0);
    if (ret < 0)
        return ret;
    if ((ret = mieni_db_query(g, &st, "SELECT " PERSON_COLUMNS " FROM person p WHERE p.name = ?1", "s", name)) < 0)
        return ret;
    ret = mieni_db_step(g, st, "find a person");
    if (ret > 0)
        read_person(st, person);
    sqlite3_finalize(st);
    if (ret == 0)
        return mieni_gallery_fail(g, MIEN_E_NOTFOUND, "nobody of that name is in the gallery");
    return ret < 0 ? ret : 0;
}

/* ---- changes */

static int rename_person(MienGallery *g, const char *from, const char *to)
{
    int64_t id, other;
    int ret = mieni_person_need(g, from, &id);
    if (ret < 0 || !strcmp(from, to))
        return ret;
    ret = mieni_person_find(g, to, &other);
    if (ret == 0)
        return mieni_gallery_fail(g, MIEN_E_EXISTS, "somebody of the new name is there already; merge joins two people");
    if (ret != MIEN_E_NOTFOUND)
        return ret;
    ret = mieni_db_run(g, "rename a person", "UPDATE person SET name = ?1 WHERE id = ?2", "si", to, id);
    return ret < 0 ? ret : mieni_audit(g, "rename", id, "");
}

int mien_gallery_rename(MienGallery *g, const char *from, const char *to)
{
    int ret = mieni_name_check_log(g, to);
    if (ret < 0 || (ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, rename_person(g, from, to));
}

/* Pictures that both had been given stay once. Empty fields are filled; of two expiry dates the earlier one holds. */
static int merge_people(MienGallery *g, const char *from, const char *into)
{
    int64_t a, b;
    char detail[64];
    int ret;
    if ((ret = mieni_person_need(g, from, &a)) < 0 || (ret = mieni_person_need(g, into, &b)) < 0)
        return ret;
    if (a == b)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "a person cannot be merged into itself");
    int n_moved = mieni_db_run(g, "move samples", "UPDATE OR IGNORE sample SET person = ?2 WHERE person = ?1", "ii", a, b);
    if (n_moved < 0)
        return n_moved;
    ret = mieni_db_run(g, "merge two people",
                       "UPDATE person SET"
                       " consent = CASE WHEN person.consent = '' THEN f.consent ELSE person.consent END,"
                       " notes = CASE WHEN person.notes = '' THEN f.notes ELSE person.notes END,"
                       " expires = CASE WHEN person.expires = '' OR (f.expires <> '' AND f.expires < person.expires)"
                       "   THEN f.expires ELSE person.expires END"
                       " FROM person AS f WHERE f.id = ?1 AND person.id = ?2", "ii", a, b);
    if (ret < 0 ||
        (ret = mieni_db_run(g, "drop double samples", "DELETE FROM sample WHERE person = ?1", "i", a)) < 0)
        return ret;
    snprintf(detail, sizeof(detail), "person %lld, %d samples", (long long)a, n_moved);
    if ((ret = mieni_audit(g, "merge", b, detail)) < 0 ||
        (ret = mieni_db_run(g, "drop the merged person", "DELETE FROM person WHERE id = ?1", "i", a)) < 0)
        return ret;
    return n_moved;
}

int mien_gallery_merge(MienGallery *g, const char *from, const char *into)
{
    int ret = mieni_db_enter(g, 1);
    if (ret < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, merge_people(g, from, into));
}

static int set_ignored(MienGallery *g, const char *name, int ignored)
{
    int64_t id;
    int ret = mieni_person_need(g, name, &id);
    if (ret < 0)
        return ret;
    ret = mieni_db_run(g, "mark a person", "UPDATE person SET status = ?1 WHERE id = ?2", "si",
                       ignored ? "ignored" : "active", id);
    return ret < 0 ? ret : mieni_audit(g, ignored ? "ignore" : "unignore", id, "");
}

int mien_gallery_set_ignored(MienGallery *g, const char *name, int ignored)
{
    int ret = mieni_db_enter(g, 1);
    if (ret < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, set_ignored(g, name, ignored));
}

static int set_notes(MienGallery *g, const char *name, const char *consent, const char *expires, const char *notes)
{
    int64_t id;
    char detail[64];
    int ret = mieni_person_need(g, name, &id);
    if (ret < 0)
        return ret;
    ret = mieni_db_run(g, "store notes", /* NULL: as it was */
                       "UPDATE person SET consent = coalesce(?1, consent), expires = coalesce(?2, expires),"
                       " notes = coalesce(?3, notes) WHERE id = ?4", "sssi", consent, expires, notes, id);
    if (ret < 0)
        return ret;
    snprintf(detail, sizeof(detail), "%s%s%s", consent ? "consent " : "", expires ? "expires " : "", notes ? "notes" : "");
    return mieni_audit(g, "notes", id, detail);
}

int mien_gallery_set_notes(MienGallery *g, const char *name, const char *consent, const char *expires, const char *notes)
{
    const char *why;
    int64_t end;
    int ret;
    if (consent && (ret = mieni_utf8_check(consent, sizeof(((MienPerson *)0)->consent) - 1, 0, &why)) < 0)
        return mieni_gallery_fail(g, ret, "consent %s", why);
    if (notes && (ret = mieni_utf8_check(notes, sizeof(((MienPerson *)0)->notes) - 1, 1, &why)) < 0)
        return mieni_gallery_fail(g, ret, "the notes' text %s", why);
    if (expires && mieni_time_parse_expiry(expires, &end) < 0)
        return mieni_gallery_fail(g, MIEN_ERR(EINVAL), "an expiry date is YYYY-MM-DD or YYYY-MM-DDTHH:MM:SSZ");
    if ((ret = mieni_db_enter(g, 1)) < 0 || (ret = mieni_db_begin_write(g)) < 0)
        return ret;
    return mieni_db_end(g, set_notes(g, name, consent, expires, notes));
}
