/* The gallery as a file: mien export, import, backup, check, stats, compact. */
#include <string.h>
#include <sys/stat.h>

#include "galleries.h"

static int say_path(const Tool *tool, int ret, const char *key, const char *path, const char *sentence)
{
    if (ret < 0)
        return STATUS_ERROR;
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, key, path);
    tool_note(tool, "%s: %s", safe(path), sentence);
    return j ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

static int run_export(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    int ret = g ? mien_gallery_export(g, args[0]) : -1;
    mien_gallery_close(&g);
    return say_path(tool, ret, "exported", args[0], "exported");
}

const Command cmd_export = {
    .name = "export", .group = "Gallery file", .summary = "write people and templates to a file that other programs read", .args = "FILE",
    .text = "FILE ends in .json: JSON; else safetensors. Formats: docs/format-gallery.md.", .takes = TAKES_GALLERY | TAKES_JSON,
    .min_args = 1, .max_args = 1, .run = run_export,
};

static int run_import(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    int n_added = 0;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_CREATE);
    int ret = g ? mien_gallery_import(g, args[0], &n_added) : -1;
    mien_gallery_close(&g);
    if (ret < 0)
        return STATUS_ERROR;
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, "imported", args[0]);
    json_int(j, "samples_added", n_added);
    tool_note(tool, "%s: %d sample%s added", safe(args[0]), n_added, n_added == 1 ? "" : "s");
    return j ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

const Command cmd_import = {
    .name = "import", .group = "Gallery file", .summary = "add what another gallery exported", .args = "FILE",
    .text = "People are joined by name; samples that are there already are left out; a file of another encoder is refused. All or nothing.",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 1, .max_args = 1, .run = run_import,
};

static int run_backup(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    int ret = g ? mien_gallery_backup(g, args[0]) : -1;
    mien_gallery_close(&g);
    return say_path(tool, ret, "backup", args[0], "a complete copy of the gallery");
}

const Command cmd_backup = {
    .name = "backup", .group = "Gallery file", .summary = "copy the gallery to a new file, complete even while others write", .args = "FILE",
    .text = "FILE must not exist. It is a gallery like any other: --gallery FILE opens it.", .takes = TAKES_GALLERY | TAKES_JSON,
    .min_args = 1, .max_args = 1, .run = run_backup,
};

typedef struct Findings {
    const Tool *tool;
    struct cJSON *list;
} Findings;

static void finding(void *priv, const char *text)
{
    Findings *f = priv;
    json_item_str(f->list, text);
    if (!f->tool->json)
        printf("%s\n", safe(text));
}

static int run_check(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    if (!g)
        return STATUS_ERROR;
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, "gallery", mien_gallery_path(g));
    Findings f = { tool, json_add_array(j, "findings") };
    int n = mien_gallery_check(g, finding, &f);
    json_bool(j, "sound", !n);
    if (n >= 0)
        tool_note(tool, n ? "%s: %d finding%s; 'mien export' saves what can be read" : "%s: sound", safe(mien_gallery_path(g)), n,
                  n == 1 ? "" : "s");
    mien_gallery_close(&g);
    int status = n < 0 ? STATUS_ERROR : n ? STATUS_NO : STATUS_OK;
    if (n < 0) {
        json_free(j);
        return status;
    }
    return j ? json_print(tool, j, status) : status;
}

const Command cmd_check = {
    .name = "check", .group = "Gallery file", .summary = "check the gallery: database, templates, names, audit chain", .args = "",
    .text = "Changes nothing; prints one line per finding.", .statuses = "0 sound; 1 there are findings; 2 it could not be checked.",
    .takes = TAKES_GALLERY | TAKES_JSON, .max_args = 0, .run = run_check,
};

/* The calibration, and whether it still fits; its own errors are warnings here. */
static void calibration_stats(MienGallery *g, struct cJSON *j)
{
    MienCalibration c;
    char text[256];
    int64_t n_now;
    int ret = mien_gallery_calibration(g, &c, &n_now), covers = ret >= 0 && mien_calibration_covers(&c, n_now);
    struct cJSON *o = json_add_object(j, "calibration");
    json_bool(o, "calibrated", ret >= 0);
    if (ret >= 0) {
        json_real(o, "threshold_similarity", c.threshold_sim_cos, 4);
        json_real(o, "margin_similarity", c.margin_sim_cos, 4);
        json_real(o, "verify_threshold_similarity", c.verify_sim_cos, 4);
        json_real(o, "fpir_wanted", c.fpir, 6);
        json_real(o, "fnir", c.fnir, 6);
        json_str(o, "basis", mien_calibration_basis_name(c.basis));
        json_int(o, "people", c.n_people);
        json_int(o, "people_now", n_now);
        json_bool(o, "covers", covers);
        json_str(o, "created", c.created);
    }
    if (j)
        return;
    if (ret < 0) {
        printf("threshold the encoder's own; 'mien calibrate' finds this gallery's\n");
        return;
    }
    printf("threshold cosine %.4f for FPIR %g among %lld people, calibrated %.10s\n", c.threshold_sim_cos, c.fpir, (long long)c.n_people,
           c.created);
    outgrown_text(text, sizeof(text), &c, n_now);
    if (!covers)
        printf("          %s\n", text);
}

static int run_stats(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    MienGalleryStats s;
    MienGalleryModel m;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    if (!g || mien_gallery_stats(g, &s) < 0 || mien_gallery_model(g, &m) < 0) {
        mien_gallery_close(&g);
        return STATUS_ERROR;
    }
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, "gallery", mien_gallery_path(g));
    json_int(j, "people", s.n_people);
    json_int(j, "ignored", s.n_ignored);
    json_int(j, "expired", s.n_expired);
    json_int(j, "samples", s.n_samples);
    json_int(j, "file_bytes", s.file_bytes);
    json_int(j, "schema_version", s.schema_version);
    json_int(j, "audit_lines", s.n_audit);
    json_str(j, "audit_head", *s.audit_head ? s.audit_head : NULL);
    struct cJSON *e = json_add_object(j, "encoder");
    json_str(e, "name", *m.hash ? m.name : NULL);
    json_str(e, "sha256", *m.hash ? m.hash : NULL);
    json_int(e, "dim", m.dim);
    if (!j) {
        printf("gallery   %s\npeople    %lld (%lld ignored, %lld expired)\nsamples   %lld\n", safe(mien_gallery_path(g)), (long long)s.n_people,
               (long long)s.n_ignored, (long long)s.n_expired, (long long)s.n_samples);
        if (*m.hash)
            printf("encoder   %s, %d numbers, %.12s...\n", safe(m.name), m.dim, safe(m.hash));
        else
            printf("encoder   none yet\n");
        printf("file      %lld bytes, schema %d\naudit     %lld lines%s%s\n", (long long)s.file_bytes, s.schema_version, (long long)s.n_audit,
               *s.audit_head ? ", head " : "", safe(s.audit_head));
    }
    calibration_stats(g, j);
    mien_gallery_close(&g);
    return j ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

const Command cmd_stats = {
    .name = "stats", .group = "Gallery file", .summary = "count what is in the gallery", .args = "",
    .text = "The audit head is the hash of the newest line of the log of changes: noted down elsewhere, it shows later whether lines were cut off.",
    .takes = TAKES_GALLERY | TAKES_JSON, .max_args = 0, .run = run_stats,
};

static int run_compact(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int ret = g ? mien_gallery_compact(g) : -1;
    char path[4096] = "";
    if (g)
        snprintf(path, sizeof(path), "%s", mien_gallery_path(g));
    mien_gallery_close(&g);
    return say_path(tool, ret, "compacted", path, "packed; nothing deleted before is left in the files");
}

const Command cmd_compact = {
    .name = "compact", .group = "Gallery file", .summary = "pack the file, so that nothing deleted before is left in it", .args = "",
    .text = "Needed only where 'mien forget' said that another process held the old state.", .takes = TAKES_GALLERY | TAKES_JSON,
    .max_args = 0, .run = run_compact,
};
