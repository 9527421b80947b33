/* mien — people in galleries, questions about faces, networks. This file finds the command that was asked for and runs it;
 * what there is stands in the registry below. */
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config.h"
#include "mien/exec.h"
#include "tool.h"

extern const Command cmd_enroll, cmd_verify, cmd_identify, cmd_detect, cmd_embed, cmd_evaluate_pairs, cmd_selftest, cmd_bench, cmd_cpu;
extern const Command cmd_evaluate_detection, cmd_evaluate_video, cmd_evaluate_liveness, cmd_cluster, cmd_assign;
extern const Command cmd_list, cmd_show, cmd_rename, cmd_merge, cmd_split, cmd_note, cmd_ignore, cmd_forget;
extern const Command cmd_export, cmd_import, cmd_backup, cmd_check, cmd_stats, cmd_compact;
extern const Command cmd_model_list, cmd_model_show, cmd_model_import, cmd_model_check;
extern const Command cmd_style, cmd_preset_make, cmd_preset_list, cmd_preset_show, cmd_preset_check, cmd_preset_blend, cmd_layers;
extern const Command cmd_calibrate, cmd_evaluate_identification;
extern const Command cmd_train_similarity, cmd_train_triplet, cmd_migrate;
extern const Command cmd_watch, cmd_watch_status;
extern const Command cmd_annotate;
extern const Command cmd_timeline;
extern const Command cmd_timeline, cmd_publish;
extern const Command cmd_help, cmd_version;

static const Command *const registry[] = {
    &cmd_enroll, &cmd_list, &cmd_show, &cmd_rename, &cmd_merge, &cmd_split, &cmd_note, &cmd_ignore, &cmd_forget,
    &cmd_cluster, &cmd_assign,
    &cmd_verify, &cmd_identify, &cmd_detect, &cmd_embed,
    &cmd_calibrate, &cmd_train_similarity, &cmd_train_triplet, &cmd_migrate,
    &cmd_evaluate_pairs, &cmd_evaluate_identification, &cmd_evaluate_detection, &cmd_evaluate_video, &cmd_evaluate_liveness,
    &cmd_selftest, &cmd_bench, &cmd_cpu,
    &cmd_export, &cmd_import, &cmd_backup, &cmd_check, &cmd_stats, &cmd_compact,
    &cmd_style, &cmd_preset_make, &cmd_preset_list, &cmd_preset_show, &cmd_preset_check, &cmd_preset_blend, &cmd_layers,
    &cmd_model_list, &cmd_model_show, &cmd_model_import, &cmd_model_check,
    &cmd_watch, &cmd_watch_status,
    &cmd_annotate,
    &cmd_timeline,
    &cmd_timeline, &cmd_publish,
    &cmd_help, &cmd_version,
};

const Option shared_options[] = {
    OPT_TEXT_ROW(Tool, gallery, "gallery", 'g', "FILE", "$XDG_DATA_HOME/mien/gallery.db", "the gallery"),
    OPT_TEXT_ROW(Tool, models, "models", 'm', "DIR", "$MIEN_MODELS, else the installed folder", "folder of the networks"),
    OPT_TEXT_ROW(Tool, encoder, "encoder", 'e', "NAME", "mobileface128",
                 "encoder: mobileface128, dlib128, or a model file of your own"),
    OPT_TEXT_ROW(Tool, presets, "presets", 'P', "DIR[:DIR]", "$MIEN_PRESETS, else the installed folder", "folders of the presets"),
    OPT_INT_ROW(Tool, threads, "threads", 't', 0, 0, 256, NULL, "0: as many as cores", "pictures worked on at a time"),
    OPT_FLAG_ROW(Tool, json, "json", 'j', "print the result as JSON"),
    OPT_FLAG_ROW(Tool, quiet, "quiet", 'q', "errors and results only, no progress"),
    { .name = "verbose", .letter = 'v', .type = OPT_COUNT, .offset = OPT_AT(Tool, verbose, int),
      .help = "more messages; twice: still more" },
    OPT_FLAG_ROW(Tool, help, "help", 'h', "this text"),
    { .name = NULL },
};

unsigned shared_option_bit(const Option *o)
{
    static const struct {
        const char *name;
        unsigned bit;
    } bits[] = { { "gallery", TAKES_GALLERY }, { "models", TAKES_MODELS }, { "encoder", TAKES_ENCODER },
                 { "threads", TAKES_THREADS }, { "json", TAKES_JSON }, { "presets", TAKES_PRESETS } };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(bits); i++)
        if (!strcmp(bits[i].name, o->name))
            return bits[i].bit;
    return 0;
}

const Command *command_at(int i)
{
    return i >= 0 && i < (int)MIEN_ARRAY_ELEMS(registry) ? registry[i] : NULL;
}

const Command *command_find(const char *name)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(registry); i++)
        if (!strcmp(registry[i]->name, name))
            return registry[i];
    return NULL;
}

int family_count(const char *word)
{
    int n = 0;
    size_t len = strlen(word);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(registry); i++)
        n += !strncmp(registry[i]->name, word, len) && registry[i]->name[len] == ' ';
    return n;
}

/* ---- interruption */

static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
    caught = sig;
}

int interrupted(void)
{
    return caught != 0;
}

static void catch_signals(void)
{
    struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESETHAND }; /* a second one ends at once */
    sigaction(SIGINT, &sa, NULL);
    sigaction(SIGTERM, &sa, NULL);
}

/* ---- from argv to a command */

static int unknown_command(const Tool *tool, const char *typed, const char *family)
{
    const char *words[128];
    char first[128][24];
    int n = 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(registry) && n < 128; i++) {
        const char *name = registry[i]->name;
        if (family) {
            size_t len = strlen(family);
            if (!strncmp(name, family, len) && name[len] == ' ')
                words[n++] = name + len + 1;
        } else {
            snprintf(first[n], sizeof(first[n]), "%.*s", (int)strcspn(name, " "), name);
            words[n] = first[n];
            n++;
        }
    }
    const char *near = nearest_word(typed, words, n), *blank = family ? " " : "";
    if (!family)
        family = "";
    if (near)
        return tool_error(tool, "there is no command '%s%s%s'; did you mean 'mien %s%s%s'?", family, blank, safe(typed), family,
                          blank, near);
    return tool_error(tool, "there is no command '%s%s%s'; 'mien help%s%s' lists them", family, blank, safe(typed), blank, family);
}

static int wrong_args(const Tool *tool, const Command *c, int n)
{
    return tool_error(tool, "too %s arguments: 'mien %s%s%s' ('mien help %s' says more)",
                      n < c->min_args ? "few" : "many", c->name, *c->args ? " " : "", c->args, c->name);
}

static int run_command(Tool *tool, const Command *c, int argc, char **argv)
{
    void *options = mien_calloc(1, c->options_bytes ? c->options_bytes : 1);
    if (!options)
        return tool_error(tool, "out of memory");
    tool->command = c;
    int status = STATUS_ERROR, n = options_parse(c, tool, options, argc, argv);
    if (n >= 0 && tool->help) {
        help_command(stdout, c);
        status = finish_output(tool, STATUS_OK);
    } else if (n >= 0 && (n < c->min_args || (c->max_args >= 0 && n > c->max_args))) {
        status = wrong_args(tool, c, n);
    } else if (n >= 0) {
        if (tool->threads <= 0) {
            MienPool *pool; /* asks how many cores this process may use */
            tool->threads = 1;
            if (mien_pool_create(&pool, 0, (MienLog){ 0 }) >= 0) {
                tool->threads = mien_pool_exec(pool).n_threads;
                mien_pool_destroy(&pool);
            }
        }
        tool->log = tool_log(tool);
        status = finish_output(tool, c->run(tool, options, n, argv));
    }
    mien_free(options);
    return status;
}

/* Networks and presets lie beside the program: ../models in a build tree, ../share/mien/models once installed, wherever that
 * is. The user's own variable comes first; where neither folder is there the library's built-in one is tried. */
static void find_beside(const char *variable, const char *folder, const char *sign)
{
    static const char *const beside[] = { "..", "../share/mien" };
    char program[PATH_MAX], path[PATH_MAX + 64];
    ssize_t n = getenv(variable) ? 0 : readlink("/proc/self/exe", program, sizeof(program) - 1);
    char *slash = n > 0 ? memrchr(program, '/', (size_t)n) : NULL;
    for (size_t i = 0; slash && i < MIEN_ARRAY_ELEMS(beside); i++) {
        int len = snprintf(path, sizeof(path), "%.*s/%s/%s", (int)(slash - program), program, beside[i], folder);
        snprintf(path + len, sizeof(path) - (size_t)len, "/%s", sign);
        if (access(path, R_OK) == 0) {
            path[len] = '\0';
            setenv(variable, path, 1);
            return;
        }
    }
}

int main(int argc, char **argv)
{
    Tool tool = { 0 };
    int status;
    find_beside("MIEN_MODELS", "models", "manifest.json");
    find_beside("MIEN_PRESETS", "presets", "SOURCES.tsv");
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is a write error with a message and a status */
    catch_signals();
    if (argc < 2) {
        help_all(stderr);
        return STATUS_ERROR;
    }
    const char *word = argv[1];
    if (!strcmp(word, "--help") || !strcmp(word, "-h"))
        word = "help";
    if (!strcmp(word, "--version") || !strcmp(word, "-V"))
        word = "version";
    if (!strcmp(word, "gallery") && argc > 2 && command_find(argv[2])) { /* for those who look for a family: mien gallery migrate */
        argc--, argv++;
        word = argv[1];
    }
    char name[64] = "";
    if (argc > 2)
        snprintf(name, sizeof(name), "%.30s %.30s", word, argv[2]);
    const Command *c = strchr(word, ' ') || command_find(name) ? NULL : command_find(word);
    if (c) {
        status = run_command(&tool, c, argc - 2, argv + 2);
    } else if (family_count(word)) {
        c = command_find(name);
        if (c) {
            status = run_command(&tool, c, argc - 3, argv + 3);
        } else if (argc > 2 && (!strcmp(argv[2], "--help") || !strcmp(argv[2], "-h"))) {
            help_family(stdout, word);
            status = finish_output(&tool, STATUS_OK);
        } else if (argc > 2) {
            status = unknown_command(&tool, argv[2], word);
        } else {
            help_family(stderr, word);
            status = STATUS_ERROR;
        }
    } else {
        status = unknown_command(&tool, word, NULL);
    }
    if (caught) { /* our parent should see that we were interrupted */
        signal(caught, SIG_DFL);
        raise(caught);
    }
    return status;
}
