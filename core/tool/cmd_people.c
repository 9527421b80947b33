/* The people of a gallery: mien list, show, rename, merge, split, note, ignore, forget. */
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "galleries.h"

/* ---- list */

static const char *state_of(const MienPerson *p)
{
    return p->ignored ? "ignored" : p->expired ? "expired" : "active";
}

static void person_json(struct cJSON *j, const MienPerson *p)
{
    json_str(j, "name", p->name);
    json_int(j, "id", p->id);
    json_int(j, "samples", p->n_samples);
    json_str(j, "status", state_of(p));
    json_str(j, "created", p->created);
    json_str(j, "consent", *p->consent ? p->consent : NULL);
    json_str(j, "expires", *p->expires ? p->expires : NULL);
    json_str(j, "notes", *p->notes ? p->notes : NULL);
}

static int run_list(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    MienPerson *people = NULL;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    int n = g ? mien_gallery_people(g, &people) : -1;
    int status = n < 0 ? STATUS_ERROR : STATUS_OK;
    struct cJSON *all = tool->json && n >= 0 ? json_array() : NULL;
    for (int i = 0; i < n; i++) {
        if (tool->json)
            person_json(json_item_object(all), &people[i]);
        else
            printf("%-7s %5d sample%s  %.10s  %s\n", state_of(&people[i]), people[i].n_samples, people[i].n_samples == 1 ? " " : "s",
                   safe(people[i].created), safe(people[i].name));
    }
    if (!n)
        tool_note(tool, "nobody is enrolled");
    mien_free(people);
    mien_gallery_close(&g);
    return all ? json_print(tool, all, status) : status;
}

const Command cmd_list = {
    .name = "list", .group = "People", .summary = "list the people of the gallery", .args = "",
    .text = "Prints status, number of samples, day of enrolment and name. Ignored and expired people are never recognised.",
    .takes = TAKES_GALLERY | TAKES_JSON, .max_args = 0, .run = run_list,
};

/* ---- show */

static void show_samples(const Tool *tool, struct cJSON *j, const MienSample *s, int n)
{
    struct cJSON *all = json_add_array(j, "sample_list");
    for (int i = 0; i < n; i++) {
        struct cJSON *k = json_item_object(all);
        json_int(k, "id", s[i].id);
        json_real(k, "quality", (double)s[i].quality, 3);
        json_str(k, "created", s[i].created);
        json_str(k, "source_sha256", *s[i].source_hash ? s[i].source_hash : NULL);
        if (!tool->json)
            printf("sample %-6lld quality %.2f  %s  file %.12s\n", (long long)s[i].id, (double)s[i].quality, safe(s[i].created),
                   *s[i].source_hash ? s[i].source_hash : "unknown");
    }
}

static int run_show(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    MienPerson p;
    MienSample *s = NULL;
    int n = -1, status = STATUS_ERROR;
    struct cJSON *j = NULL;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    if (g && person_need(tool, g, args[0], &p) >= 0 && (n = mien_gallery_samples(g, p.id, &s)) >= 0) {
        status = STATUS_OK;
        if (tool->json)
            person_json(j = json_object(), &p);
        else
            printf("name    %s\nstatus  %s\nsince   %s\n", safe(p.name), state_of(&p), safe(p.created));
        if (!tool->json && *p.consent)
            printf("consent %s\n", safe(p.consent));
        if (!tool->json && *p.expires)
            printf("expires %s\n", safe(p.expires));
        if (!tool->json && *p.notes)
            printf("notes   %s\n", safe(p.notes));
        show_samples(tool, j, s, n);
    }
    mien_free(s);
    mien_gallery_close(&g);
    return j ? json_print(tool, j, status) : status;
}

const Command cmd_show = {
    .name = "show", .group = "People", .summary = "tell what the gallery holds about a person", .args = "NAME",
    .text = "Notes, and every sample with its number, its quality (0 to 1) and the SHA-256 of the file that it is from.",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 1, .max_args = 1, .run = run_show,
};

/* ---- changes */

static int checked_name(const Tool *tool, const char *name)
{
    const char *why;
    if (mien_name_check(name, &why) >= 0)
        return 0;
    tool_error(tool, "'%s' cannot be a name: %s", safe(name), why);
    return -1;
}

/* Prints {"done": …} or nothing. */
static int done(const Tool *tool, struct cJSON *j, int ret)
{
    if (ret < 0) {
        json_free(j);
        return STATUS_ERROR;
    }
    return j ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

static int run_rename(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    MienPerson p, other;
    MienGallery *g = checked_name(tool, args[1]) < 0 ? NULL : gallery_open(tool, MIEN_GALLERY_WRITE);
    int ret = g ? person_need(tool, g, args[0], &p) : -1;
    if (ret >= 0 && strcmp(args[0], args[1]) && (ret = person_lookup(g, args[1], &other)) > 0) {
        tool_error(tool, "there is a '%s' already; if both are the same person: mien merge", safe(args[1]));
        ret = MIEN_E_EXISTS;
    }
    if (ret >= 0)
        ret = mien_gallery_rename(g, args[0], args[1]);
    mien_gallery_close(&g);
    struct cJSON *j = tool->json && ret >= 0 ? json_object() : NULL;
    json_str(j, "renamed", args[0]);
    json_str(j, "to", args[1]);
    if (ret >= 0)
        tool_note(tool, "'%s' is now '%s'", safe(args[0]), safe(args[1]));
    return done(tool, j, ret);
}

const Command cmd_rename = {
    .name = "rename", .group = "People", .summary = "give a person another name", .args = "NAME NEW-NAME",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 2, .max_args = 2, .run = run_rename,
};

static int run_merge(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    MienPerson from, into;
    if (!strcmp(args[0], args[1]))
        return tool_error(tool, "a person cannot be merged into themselves");
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int ret = g ? person_need(tool, g, args[0], &from) : -1;
    if (ret >= 0)
        ret = person_need(tool, g, args[1], &into);
    if (ret >= 0)
        ret = mien_gallery_merge(g, args[0], args[1]);
    mien_gallery_close(&g);
    struct cJSON *j = tool->json && ret >= 0 ? json_object() : NULL;
    json_str(j, "merged", args[0]);
    json_str(j, "into", args[1]);
    json_int(j, "samples_moved", ret);
    if (ret >= 0)
        tool_note(tool, "'%s' is now part of '%s': %d sample%s moved", safe(args[0]), safe(args[1]), ret, ret == 1 ? "" : "s");
    return done(tool, j, ret);
}

const Command cmd_merge = {
    .name = "merge", .group = "People", .summary = "make two entries one: the first one's samples move to the second", .args = "NAME INTO-NAME",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 2, .max_args = 2, .run = run_merge,
};

static int sample_number(const Tool *tool, const char *s, int64_t *id)
{
    if (!parse_int64(s, id) && *id > 0)
        return 0;
    tool_error(tool, "'%s' is no sample's number; 'mien show NAME' lists them", safe(s));
    return -1;
}

static int run_split(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args;
    int64_t id;
    MienGallery *g = NULL;
    int ret = sample_number(tool, args[0], &id) < 0 || checked_name(tool, args[1]) < 0 ? -1 : 0;
    if (ret >= 0 && !(g = gallery_open(tool, MIEN_GALLERY_WRITE)))
        ret = -1;
    if (ret >= 0)
        ret = mien_gallery_move_sample(g, id, args[1]);
    mien_gallery_close(&g);
    struct cJSON *j = tool->json && ret >= 0 ? json_object() : NULL;
    if (ret >= 0) {
        json_int(j, "sample", id);
        json_str(j, "into", args[1]);
        tool_note(tool, "sample %lld now belongs to '%s'", (long long)id, safe(args[1]));
    }
    return done(tool, j, ret);
}

const Command cmd_split = {
    .name = "split", .group = "People", .summary = "give one sample to another person, who is made if new", .args = "SAMPLE NAME",
    .text = "For a picture that was enrolled under the wrong name. 'mien show' has the numbers of the samples.",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 2, .max_args = 2, .run = run_split,
};

typedef struct NoteOptions {
    const char *consent, *expires, *notes;
} NoteOptions;

static int run_note(Tool *tool, const void *options, int n_args, char **args)
{
    (void)n_args;
    const NoteOptions *o = options;
    MienPerson p;
    if (!o->consent && !o->expires && !o->notes)
        return tool_error(tool, "nothing to note: give --consent, --expires or --notes (an empty text clears it)");
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int ret = g ? person_need(tool, g, args[0], &p) : -1;
    if (ret >= 0)
        ret = mien_gallery_set_notes(g, args[0], o->consent, o->expires, o->notes);
    if (ret >= 0)
        ret = person_need(tool, g, args[0], &p);
    mien_gallery_close(&g);
    struct cJSON *j = tool->json && ret >= 0 ? json_object() : NULL;
    if (j)
        person_json(j, &p);
    return done(tool, j, ret);
}

static const Option note_options[] = {
    OPT_TEXT_ROW(NoteOptions, consent, "consent", 0, "TEXT", NULL, "how this person agreed"),
    OPT_TEXT_ROW(NoteOptions, expires, "expires", 0, "DATE", NULL, "stop recognising after this day (YYYY-MM-DD, UTC)"),
    OPT_TEXT_ROW(NoteOptions, notes, "notes", 0, "TEXT", NULL, "free text"),
    { .name = NULL },
};

const Command cmd_note = {
    .name = "note", .group = "People", .summary = "note consent, expiry and other text about a person", .args = "NAME",
    .options = note_options, .options_bytes = sizeof(NoteOptions), .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 1,
    .max_args = 1, .run = run_note,
};

typedef struct IgnoreOptions {
    int off;
} IgnoreOptions;

static int run_ignore(Tool *tool, const void *options, int n_args, char **args)
{
    (void)n_args;
    const IgnoreOptions *o = options;
    MienPerson p;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int ret = g ? person_need(tool, g, args[0], &p) : -1;
    if (ret >= 0)
        ret = mien_gallery_set_ignored(g, args[0], !o->off);
    mien_gallery_close(&g);
    struct cJSON *j = tool->json && ret >= 0 ? json_object() : NULL;
    json_str(j, "name", args[0]);
    json_bool(j, "ignored", !o->off);
    if (ret >= 0)
        tool_note(tool, o->off ? "'%s' is recognised again" : "'%s' is ignored: reported as unrecognised", safe(args[0]));
    return done(tool, j, ret);
}

static const Option ignore_options[] = {
    OPT_FLAG_ROW(IgnoreOptions, off, "off", 0, "recognise this person again"),
    { .name = NULL },
};

const Command cmd_ignore = {
    .name = "ignore", .group = "People", .summary = "keep a person's samples but never name them", .args = "NAME",
    .text = "Useful for people who are often in the picture and must not be named, or who are taken for somebody else.",
    .options = ignore_options, .options_bytes = sizeof(IgnoreOptions), .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 1,
    .max_args = 1, .run = run_ignore,
};

/* ---- forget */

typedef struct ForgetOptions {
    int yes, unseen_days;
    const char *sample, *stranger;
} ForgetOptions;

/* Asks on the terminal. 1 yes, 0 no. */
static int confirmed(const Tool *tool, const ForgetOptions *o, const char *what)
{
    char answer[16] = "";
    if (o->yes)
        return 1;
    if (!isatty(STDIN_FILENO)) {
        tool_error(tool, "this cannot be undone; say --yes to erase %s", what);
        return 0;
    }
    fprintf(stderr, "Erase %s for good? Type yes: ", what);
    fflush(stderr);
    if (!fgets(answer, sizeof(answer), stdin))
        return 0;
    answer[strcspn(answer, "\n")] = 0;
    if (!strcmp(answer, "yes"))
        return 1;
    tool_error(tool, "nothing was erased");
    return 0;
}

static int erasure_report(const Tool *tool, const char *what, const MienErasure *e, int ret)
{
    if (ret < 0 && !e->n_samples)
        return STATUS_ERROR; /* the library said why; nothing was deleted */
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_str(j, "erased", what);
    json_int(j, "samples", e->n_samples);
    json_int(j, "samples_shared", e->n_shared);
    json_int(j, "bytes_scanned", e->scanned_bytes);
    json_int(j, "traces_left", e->n_left);
    json_bool(j, "proven", ret >= 0 && !e->n_left);
    tool_note(tool, "%s: %d sample%s erased; %lld bytes of the gallery's files scanned, %lld traces left", what, e->n_samples,
              e->n_samples == 1 ? "" : "s", (long long)e->scanned_bytes, (long long)e->n_left);
    if (e->n_shared)
        tool_note(tool, "%d of them another person has as well, byte for byte; there they stay", e->n_shared);
    if (ret < 0 || e->n_left)
        tool_error(tool, "another process holds the old state: deleted, but traces are still in the files; run 'mien compact' when it has ended");
    int status = ret < 0 || e->n_left ? STATUS_ERROR : STATUS_OK;
    return j ? json_print(tool, j, status) : status;
}

static int forget_strangers(const Tool *tool, const ForgetOptions *o, MienGallery *g)
{
    MienErasure e = { 0 };
    int64_t stranger = 0;
    char what[80], since[32];
    if (o->stranger) {
        if (parse_int64(o->stranger, &stranger) < 0)
            return tool_error(tool, "--stranger wants a number ('mien cluster --list' has it), not '%s'", safe(o->stranger));
        snprintf(what, sizeof(what), "stranger %lld", (long long)stranger);
    } else {
        time_t then = time(NULL) - (time_t)o->unseen_days * 86400 + (o->unseen_days == 0); /* 0: those seen this second too */
        struct tm tm;
        strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&then, &tm));
        snprintf(what, sizeof(what), "all strangers last seen before %s", since);
    }
    if (!confirmed(tool, o, what))
        return STATUS_ERROR;
    int ret = stranger ? mien_gallery_forget_stranger(g, stranger, &e) : mien_gallery_forget_strangers(g, since, &e);
    if (ret >= 0 && !e.n_samples)
        tool_note(tool, "there are no samples of strangers to erase");
    return erasure_report(tool, what, &e, ret);
}

static int run_forget(Tool *tool, const void *options, int n_args, char **args)
{
    const ForgetOptions *o = options;
    MienPerson p;
    MienErasure e = { 0 };
    int64_t sample = 0;
    char what[MIEN_NAME_MAX_BYTES * 4 + 64];
    if (n_args + !!o->sample + !!o->stranger + (o->unseen_days >= 0) != 1)
        return tool_error(tool, "give a NAME, or --sample N, or --stranger N, or --strangers-unseen DAYS");
    if (o->sample && sample_number(tool, o->sample, &sample) < 0)
        return STATUS_ERROR;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int status = STATUS_ERROR;
    if (g && (o->stranger || o->unseen_days >= 0)) {
        status = forget_strangers(tool, o, g);
        mien_gallery_close(&g);
        return status;
    }
    if (g && (o->sample || person_need(tool, g, args[0], &p) >= 0)) {
        if (o->sample)
            snprintf(what, sizeof(what), "sample %lld", (long long)sample);
        else
            snprintf(what, sizeof(what), "'%s' (%d sample%s)", safe(p.name), p.n_samples, p.n_samples == 1 ? "" : "s");
        if (confirmed(tool, o, what)) {
            int ret = o->sample ? mien_gallery_forget_sample(g, sample, &e) : mien_gallery_forget(g, p.name, &e);
            if (ret >= 0 && !o->sample && !p.n_samples)
                status = STATUS_OK, tool_note(tool, "%s: erased", what);
            else
                status = erasure_report(tool, o->sample ? what : p.name, &e, ret);
        }
    }
    mien_gallery_close(&g);
    return status;
}

static const Option forget_options[] = {
    OPT_FLAG_ROW(ForgetOptions, yes, "yes", 'y', "do not ask"),
    OPT_TEXT_ROW(ForgetOptions, sample, "sample", 0, "N", NULL, "erase one sample ('mien show' has its number) instead of a person"),
    OPT_TEXT_ROW(ForgetOptions, stranger, "stranger", 0, "N", NULL, "erase a stranger ('mien cluster --list' has the number)"),
    OPT_INT_ROW(ForgetOptions, unseen_days, "strangers-unseen", 0, -1, 0, 36500, "days", "none", "erase all strangers not seen for so long; 0: all"),
    { .name = NULL },
};

const Command cmd_forget = {
    .name = "forget", .group = "People", .summary = "erase a person for good, and prove it", .args = "NAME",
    .text = "Asks on a terminal; elsewhere --yes is needed. The rows are overwritten, the file is packed and its write-ahead log emptied; then "
            "every byte of the gallery's files is searched for the templates, and the number of places found is told: 0 is the proof. "
            "Backups and exports made before are files of their own and keep what they hold.",
    .statuses = "0 erased and proven; 2 error, not confirmed, or traces are left because another process has the gallery open.",
    .options = forget_options, .options_bytes = sizeof(ForgetOptions), .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 0,
    .max_args = 1, .run = run_forget,
};
