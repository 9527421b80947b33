/* mien model show, mien model check: what a network is, and whether its file is sound. */
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "mien/net.h"
#include "models/manifest.h"
#include "tool.h"

#define MODEL_MAX_BYTES ((size_t)1 << 31)

static char *path_in(const char *dir, const char *file)
{
    size_t n = strlen(dir) + strlen(file) + 2;
    char *path = mien_malloc(n);
    if (path)
        snprintf(path, n, "%s/%s", dir, file);
    return path;
}

/* ---- show */

typedef struct ShowOptions {
    int nodes;
    const char *memory;
} ShowOptions;

int model_open(const Tool *tool, const char *what, MienModel **model)
{
    struct stat st;
    *model = NULL;
    if (strchr(what, '/') || !stat(what, &st))
        return mien_model_open(model, what, tool->log);
    MieniManifest m = { 0 };
    const char *dir = models_folder(tool);
    int ret = mieni_manifest_read(&m, dir, tool->log);
    if (ret < 0)
        return ret;
    ret = MIEN_E_NOTFOUND;
    for (size_t i = 0; i < m.n_models && ret == MIEN_E_NOTFOUND; i++)
        if (!strcmp(m.model[i].name, what) || !strcmp(m.model[i].role, what)) {
            char *path = path_in(dir, m.model[i].file);
            ret = path ? mien_model_open(model, path, tool->log) : MIEN_ERR(ENOMEM);
            mien_free(path);
        }
    if (ret == MIEN_E_NOTFOUND)
        tool_error(tool, "there is no model '%s' in %s ('mien model list' lists them) and no such file", safe(what), safe(dir));
    mieni_manifest_uninit(&m);
    return ret;
}

static void text_row(const Tool *tool, struct cJSON *j, const char *key, const char *value)
{
    json_str(j, key, value);
    if (!tool->json && value)
        printf("%-17s %s\n", key, safe(value));
}

/* What the net costs at its size: forward, and going backward to the picture and to the weights as well. */
static void show_cost(const Tool *tool, struct cJSON *j, MienModel *model, MienNet *net, MienNetParams p)
{
    static const unsigned grad[] = { MIEN_NET_GRAD_INPUT, MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS };
    MienShape s;
    size_t bytes[2];
    mien_net_input(net, &s);
    json_int(j, "input_width_px", s.w);
    json_int(j, "input_height_px", s.h);
    json_int(j, "input_channels", s.c);
    json_int(j, "macs", (int64_t)mien_net_macs(net));
    json_int(j, "memory_bytes", (int64_t)mien_net_memory_bytes(net));
    if (!tool->json)
        printf("%-17s %dx%d, %d channel%s\n%-17s %.1f million\n%-17s %.1f MB for activations\n", "input", s.w, s.h, s.c,
               s.c == 1 ? "" : "s", "multiply-adds", (double)mien_net_macs(net) * 1e-6, "memory",
               (double)mien_net_memory_bytes(net) * 1e-6);
    for (int i = 0; i < 2; i++) {
        p.grad = grad[i];
        if (mien_net_estimate(model, &p, &bytes[i], NULL) < 0)
            return;
    }
    json_int(j, "memory_backward_input_bytes", (int64_t)bytes[0]);
    json_int(j, "memory_backward_bytes", (int64_t)bytes[1]);
    if (!tool->json)
        printf("%-17s %.1f MB with the gradient of the input, %.1f MB with that of the weights as well\n", "", (double)bytes[0] * 1e-6,
               (double)bytes[1] * 1e-6);
}

static int run_show(Tool *tool, const void *options, int n_args, char **args)
{
    static const char *const keys[] = { "role", "name", "license", "origin", "parent", "parent.name", "recipe", "epoch",
                                        "encoder.dim", "encoder.metric", "encoder.template", "encoder.verify",
                                        "encoder.identify", "input.channels", "input.mean", "input.scale" };
    const ShowOptions *o = options;
    MienModel *model = NULL;
    MienNet *net = NULL;
    int w = 0, h = 0;
    (void)n_args;
    if (o->memory && parse_size(o->memory, &w, &h))
        return tool_error(tool, "--memory wants a size such as 640x480, not '%s'", safe(o->memory));
    if (model_open(tool, args[0], &model) < 0)
        return STATUS_ERROR;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.w_px = w;
    p.h_px = h;
    if (o->memory) /* asked for: an error counts; else a free size is no error */
        p.log = tool->log;
    int planned = mien_net_create(&net, model, &p);
    if (planned < 0 && o->memory) {
        mien_model_unref(&model);
        return STATUS_ERROR;
    }
    struct cJSON *j = tool->json ? json_object() : NULL;
    text_row(tool, j, "file", mien_model_path(model));
    text_row(tool, j, "sha256", mien_model_hash(model));
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(keys); i++)
        text_row(tool, j, keys[i], mien_model_meta(model, keys[i]));
    json_int(j, "weights", (int64_t)mien_model_params(model));
    if (!tool->json)
        printf("%-17s %llu\n", "weights", (unsigned long long)mien_model_params(model));
    if (net) {
        show_cost(tool, j, model, net, p);
    } else if (!tool->json) {
        printf("%-17s any size; --memory WxH tells what one costs\n", "input");
    }
    struct cJSON *outs = json_add_array(j, "outputs");
    for (int i = 0; i < mien_model_n_outputs(model); i++) {
        json_item_str(outs, mien_model_output_name(model, i));
        if (!tool->json)
            printf("%-17s %s\n", i ? "" : "outputs", safe(mien_model_output_name(model, i)));
    }
    struct cJSON *nodes = o->nodes ? json_add_array(j, "nodes") : NULL;
    const char *text;
    for (int i = 0; o->nodes && (text = mien_model_node_text(model, i)); i++) {
        json_item_str(nodes, text);
        if (!tool->json)
            printf("%4d  %s\n", i, safe(text));
    }
    mien_net_destroy(&net);
    mien_model_unref(&model);
    return tool->json ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

static const Option show_options[] = {
    OPT_FLAG_ROW(ShowOptions, nodes, "nodes", 'n', "list the nodes of its graph"),
    OPT_TEXT_ROW(ShowOptions, memory, "memory", 0, "WxH", "the size that the model fixes",
                 "input size to plan for: memory, forward and backward, and multiply-adds"),
    { .name = NULL },
};

const Command cmd_model_show = {
    .name = "model show", .group = "Networks", .summary = "tell what a network is: role, origin, licence, size, cost",
    .args = "NAME|ROLE|FILE", .options = show_options, .options_bytes = sizeof(ShowOptions),
    .takes = TAKES_MODELS | TAKES_JSON, .min_args = 1, .max_args = 1, .run = run_show,
};

/* ---- check */

/* Plans the network (size 96 where it is free) and runs it on a smooth pattern: every output must be finite. */
static int try_run(const Tool *tool, const char *path, MienModel *model)
{
    MienNet *net = NULL;
    MienNetParams p = MIEN_NET_DEFAULTS;
    int ret = mien_net_create(&net, model, &p);
    if (ret < 0) {
        p.log = tool->log;
        p.w_px = p.h_px = 96;
        ret = mien_net_create(&net, model, &p);
    }
    if (ret < 0)
        return ret;
    MienShape s;
    float *x = mien_net_input(net, &s);
    size_t n = mien_shape_elems(s);
    for (size_t i = 0; i < n; i++)
        x[i] = sinf((float)i * 0.01f);
    ret = mien_net_run(net);
    for (int i = 0; ret >= 0 && i < mien_model_n_outputs(model); i++) {
        const float *y = mien_net_output(net, i, &s);
        for (size_t k = 0; y && k < mien_shape_elems(s) && ret >= 0; k++)
            if (!isfinite(y[k])) {
                tool_error(tool, "%s: output %s is not finite on a plain input", safe(path), safe(mien_model_output_name(model, i)));
                ret = MIEN_E_MODEL;
            }
    }
    mien_net_destroy(&net);
    return ret;
}

/* One model: bytes against the manifest's hash (if listed), the graph, a run. */
static int check_one(const Tool *tool, const char *path, const MieniModelEntry *e)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    MienModel *model = NULL;
    char hex[65];
    int ret = mieni_file_read(path, MODEL_MAX_BYTES, &data, &bytes, tool->log);
    if (ret < 0)
        return ret;
    mieni_sha256_hex(data, bytes, hex);
    mien_free(data);
    if (e && strcmp(hex, e->sha256)) {
        tool_error(tool, "%s: SHA-256 is %.16s..., the manifest says %.16s...: the file was changed or damaged; 'make models' makes it anew",
                   safe(path), hex, safe(e->sha256));
        return MIEN_E_MODEL;
    }
    ret = mien_model_open(&model, path, tool->log);
    const char *role = ret >= 0 ? mien_model_meta(model, "role") : NULL;
    if (ret >= 0 && e && (!role || strcmp(role, e->role))) {
        tool_error(tool, "%s: role is %s, the manifest says %s", safe(path), safe(role), safe(e->role));
        ret = MIEN_E_MODEL;
    }
    if (ret >= 0)
        ret = try_run(tool, path, model);
    mien_model_unref(&model);
    return ret;
}

static int run_check(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options;
    MieniManifest m = { 0 };
    const char *dir = models_folder(tool);
    int bad = 0;
    if (!n_args && mieni_manifest_read(&m, dir, tool->log) < 0)
        return STATUS_ERROR;
    struct cJSON *all = tool->json ? json_array() : NULL;
    size_t n = n_args ? (size_t)n_args : m.n_models;
    for (size_t i = 0; i < n; i++) {
        char *path = n_args ? mien_strdup(args[i]) : path_in(dir, m.model[i].file);
        int ret = path ? check_one(tool, path, n_args ? NULL : &m.model[i]) : MIEN_ERR(ENOMEM);
        struct cJSON *j = json_item_object(all);
        json_str(j, "file", path);
        json_bool(j, "ok", ret >= 0);
        if (ret < 0)
            json_str(j, "error", mien_strerror(ret));
        tool_note(tool, "%-4s %s", ret >= 0 ? "ok" : "BAD", safe(path));
        bad += ret < 0;
        mien_free(path);
    }
    mieni_manifest_uninit(&m);
    if (!n)
        return json_free(all), tool_error(tool, "%s: the manifest lists no model", safe(dir));
    return tool->json ? json_print(tool, all, bad ? STATUS_ERROR : STATUS_OK) : bad ? STATUS_ERROR : STATUS_OK;
}

const Command cmd_model_check = {
    .name = "model check", .group = "Networks", .summary = "check model files: hash, graph, a trial run", .args = "[FILE...]",
    .text = "Without FILE, all that the models folder's manifest lists.", .takes = TAKES_MODELS | TAKES_JSON, .min_args = 0,
    .max_args = -1, .run = run_check,
};
