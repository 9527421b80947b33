/* Fuzz: any bytes as a configuration of mien watch, and the commands made of what is accepted: no command shows a URL's user or password, and a
 * line that holds the script has none left once it is scrubbed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool/watch_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "fuzz_watch: %s\n", what);
        abort();
    }
}

static void check_command(const WatchCamera *c)
{
    WatchCommand cmd;
    char why[300], line[8192];
    size_t begin, end;
    if (c->password_file || watch_command_make(&cmd, c, 1, why, sizeof(why)) < 0)
        return;
    int shown = c->format || !watch_url_is_network(c->url); /* then the URL stands in the command, and may have no password */
    for (size_t i = 0; i < cmd.argv.n; i++)
        must(!secret_in_url(cmd.argv.word[i], &begin, &end) || (shown && !strcmp(cmd.argv.word[i], c->url)), "a command without secrets");
    must((cmd.script == NULL) == shown, "a URL has one way in");
    if (cmd.script && strlen(cmd.script) < sizeof(line)) {
        strcpy(line, cmd.script);
        secrets_scrub(&cmd.secrets, line, sizeof(line));
        must(strlen(line) < sizeof(line), "a line that fits");
        for (int i = 0; i < cmd.secrets.n; i++) /* one made of the mark's own stars is no secret any more */
            must(!strstr(line, cmd.secrets.item[i]) || strspn(cmd.secrets.item[i], "*") > 0, "a line without secrets");
    }
    watch_command_free(&cmd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    WatchConfig c;
    char why[300];
    int ret = watch_config_parse(&c, (const char *)data, bytes, why, sizeof(why));
    must(ret < 0 ? *why && !c.camera : !*why && c.run && c.n_cameras > 0, "an answer with its reason");
    for (size_t i = 0; i < c.n_cameras; i++) {
        const WatchCamera *camera = &c.camera[i];
        must(camera->name && camera->url && camera->ffmpeg && camera->output, "a complete camera");
        must(strlen(camera->name) <= WATCH_NAME_MAX_BYTES && !strpbrk(camera->name, "/. "), "a name for files");
        must(camera->retry_min_ms >= 1 && camera->retry_min_ms <= camera->retry_max_ms && camera->stall_ms >= 1, "times");
        must(watch_config_find(&c, camera->name) == camera, "one camera of each name");
        check_command(camera);
    }
    watch_config_free(&c);
    return 0;
}
