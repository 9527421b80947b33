/* The schema as numbered migrations. A new gallery is made by running all of them, so that the way an old file takes is
 * walked every day; a published migration never changes again. Tables and columns: docs/format-gallery.md.
 *
 * STRICT tables keep SQLite from storing text where a number belongs; the CHECKs repeat what the C code refuses, for files that
 * other programs have written to. Lengths count bytes (length of a blob), as MIEN_NAME_MAX_BYTES does. */
#include "gallery_int.h"

#if SQLITE_VERSION_NUMBER < 3037000
#error "SQLite 3.37 or newer is needed (STRICT tables)"
#endif

#define HASH_CHECK(column) "length(" column ") = 64 AND NOT " column " GLOB '*[^0-9a-f]*'"

static const char people_and_templates[] =
    "CREATE TABLE model ("
    "  id INTEGER PRIMARY KEY,"
    "  hash TEXT NOT NULL UNIQUE CHECK (" HASH_CHECK("hash") "),"
    "  name TEXT NOT NULL,"
    "  dim INTEGER NOT NULL CHECK (dim BETWEEN 2 AND 1024),"
    "  metric TEXT NOT NULL DEFAULT 'cosine' CHECK (metric = 'cosine'),"
    "  created TEXT NOT NULL"
    ") STRICT;"
    /* One encoder a gallery, for now: this index goes when templates of two may stand side by side. */
    "CREATE UNIQUE INDEX model_single ON model ((1));"

    /* AUTOINCREMENT: the number of a person who was forgotten is never given to somebody else. */
    "CREATE TABLE person ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  name TEXT NOT NULL UNIQUE CHECK (length(CAST(name AS BLOB)) BETWEEN 1 AND 255),"
    "  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'ignored')),"
    "  salt BLOB NOT NULL CHECK (length(salt) = 16),"
    "  created TEXT NOT NULL,"
    "  consent TEXT NOT NULL DEFAULT '' CHECK (length(CAST(consent AS BLOB)) <= 255),"
    "  expires TEXT NOT NULL DEFAULT '' CHECK (length(expires) IN (0, 10, 20)),"
    "  notes TEXT NOT NULL DEFAULT '' CHECK (length(CAST(notes AS BLOB)) <= 1023)"
    ") STRICT;"

    "CREATE TABLE sample ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  person INTEGER NOT NULL REFERENCES person (id) ON DELETE CASCADE,"
    "  model INTEGER NOT NULL REFERENCES model (id),"
    "  vector BLOB NOT NULL CHECK (length(vector) BETWEEN 8 AND 4096 AND length(vector) % 4 = 0),"
    "  quality REAL NOT NULL CHECK (quality BETWEEN 0 AND 1),"
    "  source TEXT NOT NULL DEFAULT '' CHECK (source = '' OR " HASH_CHECK("source") "),"
    "  created TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX sample_person ON sample (person);"
    "CREATE UNIQUE INDEX sample_source ON sample (person, source) WHERE source <> '';"

    "CREATE TABLE audit ("
    "  id INTEGER PRIMARY KEY,"
    "  at TEXT NOT NULL,"
    "  verb TEXT NOT NULL CHECK (length(verb) BETWEEN 1 AND 32),"
    "  person INTEGER NOT NULL DEFAULT 0,"
    "  subject TEXT NOT NULL DEFAULT '' CHECK (subject = '' OR " HASH_CHECK("subject") "),"
    "  detail TEXT NOT NULL DEFAULT '' CHECK (length(CAST(detail AS BLOB)) <= 255),"
    "  hash TEXT NOT NULL CHECK (" HASH_CHECK("hash") ")"
    ") STRICT;";

static const char learning_and_strangers[] =
    "CREATE TABLE calibration ("
    "  id INTEGER PRIMARY KEY,"
    "  model INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,"
    "  created TEXT NOT NULL,"
    "  threshold REAL NOT NULL CHECK (threshold BETWEEN -1 AND 1),"
    "  margin REAL NOT NULL DEFAULT 0 CHECK (margin BETWEEN 0 AND 2),"
    "  fpir REAL NOT NULL CHECK (fpir BETWEEN 0 AND 1),"
    "  fnir REAL CHECK (fnir BETWEEN 0 AND 1),"
    "  fnir_low REAL CHECK (fnir_low BETWEEN 0 AND 1),"
    "  fnir_high REAL CHECK (fnir_high BETWEEN 0 AND 1),"
    "  n_people INTEGER NOT NULL CHECK (n_people >= 0),"
    "  n_samples INTEGER NOT NULL CHECK (n_samples >= 0),"
    "  n_impostors INTEGER NOT NULL CHECK (n_impostors >= 0)"
    ") STRICT;"

    "CREATE TABLE similarity ("
    "  id INTEGER PRIMARY KEY,"
    "  model INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,"
    "  kind TEXT NOT NULL CHECK (kind IN ('logistic', 'chi2')),"
    "  w BLOB NOT NULL CHECK (length(w) BETWEEN 4 AND 4096 AND length(w) % 4 = 0),"
    "  b REAL NOT NULL,"
    "  n_pairs INTEGER NOT NULL CHECK (n_pairs >= 0),"
    "  accuracy REAL CHECK (accuracy BETWEEN 0 AND 1),"
    "  created TEXT NOT NULL,"
    "  UNIQUE (model, kind)"
    ") STRICT;"

    "CREATE TABLE stranger ("
    "  id INTEGER PRIMARY KEY AUTOINCREMENT,"
    "  first_seen TEXT NOT NULL,"
    "  last_seen TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE stranger_sample ("
    "  id INTEGER PRIMARY KEY,"
    "  stranger INTEGER NOT NULL REFERENCES stranger (id) ON DELETE CASCADE,"
    "  model INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,"
    "  vector BLOB NOT NULL CHECK (length(vector) BETWEEN 8 AND 4096 AND length(vector) % 4 = 0),"
    "  quality REAL NOT NULL CHECK (quality BETWEEN 0 AND 1),"
    "  seen TEXT NOT NULL"
    ") STRICT;"
    "CREATE INDEX stranger_sample_stranger ON stranger_sample (stranger);";

/* Made anew instead of altered: no program of ours wrote a row before, but another one may have. */
static const char calibration_details[] =
    "CREATE TEMP TABLE before AS SELECT * FROM main.calibration;"
    "DROP TABLE main.calibration;"
    "CREATE TABLE calibration ("
    "  id INTEGER PRIMARY KEY,"
    "  model INTEGER NOT NULL REFERENCES model (id) ON DELETE CASCADE,"
    "  created TEXT NOT NULL,"
    "  basis TEXT NOT NULL DEFAULT 'published' CHECK (basis IN ('published', 'strangers')),"
    "  fpir REAL NOT NULL CHECK (fpir BETWEEN 0 AND 1),"
    "  threshold REAL NOT NULL CHECK (threshold BETWEEN -1 AND 1),"
    "  margin REAL NOT NULL DEFAULT 0 CHECK (margin BETWEEN 0 AND 2),"
    "  verify_threshold REAL CHECK (verify_threshold BETWEEN -1 AND 1),"
    "  fnir REAL CHECK (fnir BETWEEN 0 AND 1),"
    "  fnir_low REAL CHECK (fnir_low BETWEEN 0 AND 1),"
    "  fnir_high REAL CHECK (fnir_high BETWEEN 0 AND 1),"
    "  fpir_measured REAL CHECK (fpir_measured BETWEEN 0 AND 1),"
    "  fpir_low REAL CHECK (fpir_low BETWEEN 0 AND 1),"
    "  fpir_high REAL CHECK (fpir_high BETWEEN 0 AND 1),"
    "  n_people INTEGER NOT NULL CHECK (n_people >= 0),"
    "  n_samples INTEGER NOT NULL CHECK (n_samples >= 0),"
    "  n_mated INTEGER NOT NULL DEFAULT 0 CHECK (n_mated >= 0),"
    "  n_impostors INTEGER NOT NULL CHECK (n_impostors >= 0)"
    ") STRICT;"
    "INSERT INTO main.calibration (id, model, created, fpir, threshold, margin, fnir, fnir_low, fnir_high, n_people, n_samples, n_impostors)"
    "  SELECT id, model, created, fpir, threshold, margin, fnir, fnir_low, fnir_high, n_people, n_samples, n_impostors FROM before;"
    "DROP TABLE before;";

const MieniMigration mieni_migrations[MIENI_SCHEMA_VERSION] = {
    { 1, "people, templates and audit", people_and_templates },
    { 2, "calibration, learnt similarity and clusters of strangers", learning_and_strangers },
    { 3, "what a calibration rests on", calibration_details },
};
