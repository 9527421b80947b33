/* mien help, mien version. */
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "media.h"
#include "tool.h"

typedef struct HelpOptions {
    int man;
} HelpOptions;

static int run_help(Tool *tool, const void *options, int n_args, char **args)
{
    const HelpOptions *o = options;
    if (o->man) {
        help_man(stdout);
        return STATUS_OK;
    }
    if (!n_args) {
        help_all(stdout);
        return STATUS_OK;
    }
    char name[64];
    snprintf(name, sizeof(name), "%s%s%s", args[0], n_args > 1 ? " " : "", n_args > 1 ? args[1] : "");
    const Command *c = command_find(name);
    if (c) {
        help_command(stdout, c);
        return STATUS_OK;
    }
    if (n_args == 1 && family_count(name)) {
        help_family(stdout, name);
        return STATUS_OK;
    }
    return tool_error(tool, "there is no command '%s'; 'mien help' lists them", safe(name));
}

static const Option help_options[] = {
    OPT_FLAG_ROW(HelpOptions, man, "man", 0, "write the man page (troff)"),
    { .name = NULL },
};

const Command cmd_help = {
    .name = "help", .group = "About", .summary = "explain a command", .args = "[COMMAND]", .options = help_options,
    .options_bytes = sizeof(HelpOptions), .min_args = 0, .max_args = 2, .run = run_help,
};

static int run_version(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    if (tool->json) {
        struct cJSON *j = json_object();
        json_str(j, "mien", MIEN_VERSION);
        json_str(j, "ffmpeg", media_ffmpeg_version());
        return json_print(tool, j, STATUS_OK);
    }
    printf("mien %s, reads pictures and videos with FFmpeg %s\n", MIEN_VERSION, media_ffmpeg_version());
    return STATUS_OK;
}

const Command cmd_version = {
    .name = "version", .group = "About", .summary = "print the versions of mien and of the FFmpeg it uses", .args = "",
    .takes = TAKES_JSON, .max_args = 0, .run = run_version,
};
