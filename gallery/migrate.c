/* Runs the migrations that a file lacks, all of them in one write transaction: after a crash the file is of the old version or of
 * the new one. Which version it is, is read again inside the transaction, because another process may have been quicker. */
#include <stdio.h>

#include "gallery_int.h"

static int run_migrations(MienGallery *g)
{
    int64_t version, n_objects;
    char text[64];
    int ret = mieni_db_number(g, "read the schema's version", &version, "PRAGMA user_version", "");
    if (ret < 0)
        return ret;
    if (version == 0) {
        ret = mieni_db_number(g, "read the schema", &n_objects, "SELECT count(*) FROM sqlite_schema", "");
        if (ret < 0)
            return ret;
        if (n_objects)
            return mieni_gallery_fail(g, MIEN_E_FORMAT, "is an SQLite database of another program, not a gallery");
        snprintf(text, sizeof(text), "PRAGMA application_id = %d", MIENI_APPLICATION_ID);
        if ((ret = mieni_db_run(g, "mark the file as a gallery", text, "")) < 0)
            return ret;
    }
    if (version >= MIENI_SCHEMA_VERSION)
        return 0;
    for (size_t i = 0; i < MIENI_SCHEMA_VERSION; i++) {
        const MieniMigration *m = &mieni_migrations[i];
        if (m->version <= version)
            continue;
        int rc = sqlite3_exec(g->db, m->sql, NULL, NULL, NULL);
        if (rc != SQLITE_OK)
            return mieni_db_fail(g, rc, m->what);
        snprintf(text, sizeof(text), "PRAGMA user_version = %d", m->version);
        if ((ret = mieni_db_run(g, "write the schema's version", text, "")) < 0)
            return ret;
    }
    snprintf(text, sizeof(text), "schema %d to %d", (int)version, MIENI_SCHEMA_VERSION);
    return mieni_audit(g, version ? "migrate" : "create", 0, text);
}

int mieni_db_migrate(MienGallery *g)
{
    int ret = mieni_db_begin_write(g);
    if (ret < 0)
        return ret;
    return mieni_db_end(g, run_migrations(g));
}
