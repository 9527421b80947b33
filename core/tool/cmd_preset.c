/* mien preset make, blend: styles from pictures, and styles from styles. */
#include <stdlib.h>
#include <string.h>

#include "media.h"
#include "mien/preset.h"
#include "styles.h"

/* ---- what both take */

static const char suffix[] = ".safetensors";

/* The preset's name from the file's: "out/starry-night.safetensors" → "starry-night". */
static int name_of(const Tool *tool, const char *out, char name[64])
{
    const char *base = strrchr(out, '/');
    base = base ? base + 1 : out;
    size_t n = strlen(base), m = sizeof(suffix) - 1;
    if (n <= m || strcmp(base + n - m, suffix) || n - m > 63)
        return tool_error(tool, "--out wants a file NAME.safetensors (NAME has at most 63 letters), not '%s'", safe(out));
    snprintf(name, 64, "%.*s", (int)(n - m), base);
    return 0;
}

static int finish(const Tool *tool, const MienPreset *p, const char *out)
{
    if (mien_preset_write(p, out, tool->log) < 0)
        return STATUS_ERROR;
    if (tool->json)
        return json_print(tool, preset_json(NULL, p), STATUS_OK);
    tool_note(tool, "%s: %d layer%s at %d size%s, flicker %s", safe(out), mien_preset_info(p)->n_layers,
              mien_preset_info(p)->n_layers == 1 ? "" : "s", mien_preset_info(p)->n_scales,
              mien_preset_info(p)->n_scales == 1 ? "" : "s", mien_flicker_name(mien_preset_info(p)->flicker));
    return STATUS_OK;
}

/* ---- make */

typedef struct MakeOptions {
    const char *out, *network, *layers, *title, *artist, *year, *license, *source, *content_layer;
    int size, scales, iterations;
    double strength, content_weight, tv;
} MakeOptions;

typedef struct Pictures {
    MienImage *img;
    uint8_t **rgb8;
    int n;
} Pictures;

static void pictures_free(Pictures *p)
{
    for (int i = 0; i < p->n; i++)
        mien_free(p->rgb8[i]);
    mien_free(p->rgb8);
    mien_free(p->img);
}

static int pictures_read(const Tool *tool, Pictures *p, int n, char **args)
{
    p->img = mien_calloc((size_t)n, sizeof(*p->img));
    p->rgb8 = mien_calloc((size_t)n, sizeof(*p->rgb8));
    if (!p->img || !p->rgb8)
        return tool_error(tool, "out of memory");
    p->n = n;
    for (int i = 0; i < n; i++)
        if (media_read_picture(args[i], &p->rgb8[i], &p->img[i], NULL, tool->log) < 0)
            return STATUS_ERROR;
    return 0;
}

static int make(const Tool *tool, const MakeOptions *o, const char *name, MienModel *model, const Pictures *pics)
{
    MienPresetMakeParams p = MIEN_PRESET_MAKE_DEFAULTS;
    MienPresetLayer layer[MIEN_PRESET_MAX_LAYERS];
    MienPreset *preset = NULL;
    MienPool *pool = NULL;
    char names[2048];
    p.log = tool->log;
    p.name = name;
    p.title = o->title;
    p.artist = o->artist;
    p.year = o->year;
    p.license = o->license;
    p.source = o->source;
    p.n_scales = o->scales;
    p.settings.size_px = o->size;
    p.settings.iterations = o->iterations;
    p.settings.strength = o->strength;
    p.settings.content_weight = o->content_weight;
    p.settings.tv = o->tv;
    if (o->content_layer)
        snprintf(p.settings.content_layer, sizeof(p.settings.content_layer), "%s", o->content_layer);
    if (o->layers && (p.n_layers = parse_layers(tool, o->layers, layer, names, sizeof(names))) < 0)
        return STATUS_ERROR;
    p.layers = o->layers ? layer : NULL;
    int status = STATUS_ERROR;
    if (mien_pool_create(&pool, tool->threads, tool->log) >= 0) {
        p.exec = mien_pool_exec(pool);
        if (mien_preset_make(&preset, model, pics->img, pics->n, &p) >= 0)
            status = finish(tool, preset, o->out);
    }
    mien_preset_unref(&preset);
    mien_pool_destroy(&pool);
    return status;
}

static int run_make(Tool *tool, const void *options, int n_args, char **args)
{
    const MakeOptions *o = options;
    MienModel *model = NULL;
    Pictures pics = { 0 };
    char name[64];
    if (!o->out)
        return tool_error(tool, "where to? --out NAME.safetensors");
    if (name_of(tool, o->out, name))
        return STATUS_ERROR;
    int status = STATUS_ERROR;
    if (model_open(tool, o->network ? o->network : "features", &model) >= 0 && !pictures_read(tool, &pics, n_args, args))
        status = make(tool, o, name, model, &pics);
    pictures_free(&pics);
    mien_model_unref(&model);
    return status;
}

#define TEXT(field, name, letter, arg, def, help) OPT_TEXT_ROW(MakeOptions, field, name, letter, arg, def, help)
static const Option make_options[] = {
    TEXT(out, "out", 'o', "FILE", NULL, "the preset, NAME.safetensors"),
    TEXT(title, "title", 0, "TEXT", NULL, "what the picture is called"),
    TEXT(artist, "artist", 0, "TEXT", NULL, "who made it"),
    TEXT(year, "year", 0, "TEXT", NULL, "when"),
    TEXT(license, "license", 0, "TEXT", NULL, "under which licence it may be used"),
    TEXT(source, "source", 0, "TEXT", NULL, "where the file is from"),
    OPT_INT_ROW(MakeOptions, size, "size", 's', 512, 16, 16384, "px", NULL,
                "longest side to which the picture is scaled; a larger size makes larger strokes"),
    OPT_INT_ROW(MakeOptions, scales, "scales", 0, 3, 1, MIEN_PRESET_MAX_SCALES, NULL, NULL,
                "sizes at which Gram matrices are taken: this, its half, its quarter ..."),
    TEXT(layers, "layers", 'l', "NAME[:W],...", "relu1_1,relu2_1,relu3_1,relu4_1", "style layers, with weights if they differ"),
    TEXT(network, "network", 'n', "NAME|FILE", "the first feature network, stylenet", "the feature network"),
    OPT_REAL_ROW(MakeOptions, strength, "strength", 0, 100, 0, 1e6, NULL, NULL, "recommended weight of the style"),
    OPT_REAL_ROW(MakeOptions, content_weight, "content-weight", 0, 1, 0, 1e6, NULL, NULL, "recommended weight of the content"),
    TEXT(content_layer, "content-layer", 0, "NAME", "relu3_1", "recommended content layer"),
    OPT_REAL_ROW(MakeOptions, tv, "tv", 0, 6, 0, 1e6, NULL, NULL, "recommended weight of total variation"),
    OPT_INT_ROW(MakeOptions, iterations, "iterations", 'i', 60, 1, 10000, NULL, NULL, "recommended iterations at full size"),
    { .name = NULL },
};
#undef TEXT

const Command cmd_preset_make = {
    .name = "preset make", .group = "Styles", .summary = "take the style out of a picture, or of several", .args = "PICTURE...",
    .text = "Runs the picture through a feature network and keeps the Gram matrices of its layers: which features appear together, not "
            "where. Of several pictures the matrices are averaged; they should be of one kind. The preset is a file of well under 2 MB from "
            "which the picture cannot be got back, and belongs to the feature network that made it.\n"
            "$ mien preset make starry-night.jpg -o starry-night.safetensors --title \"The Starry Night\" --artist \"Vincent van Gogh\" --year 1889\n"
            "$ mien preset make etchings/*.png -o etching.safetensors --layers relu1_1:2,relu2_1,relu3_1",
    .options = make_options, .options_bytes = sizeof(MakeOptions), .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON,
    .min_args = 1, .max_args = 10000, .run = run_make,
};

/* ---- blend */

typedef struct BlendOptions {
    const char *out;
} BlendOptions;

static int run_blend(Tool *tool, const void *options, int n_args, char **args)
{
    const BlendOptions *o = options;
    char name[64];
    if (!o->out)
        return tool_error(tool, "where to? --out NAME.safetensors");
    if (name_of(tool, o->out, name))
        return STATUS_ERROR;
    MienPreset *blend;
    int status = STATUS_ERROR;
    if (!presets_blend(tool, n_args, args, name, &blend))
        status = finish(tool, blend, o->out);
    mien_preset_unref(&blend);
    return status;
}

static const Option blend_options[] = {
    OPT_TEXT_ROW(BlendOptions, out, "out", 'o', "FILE", NULL, "the preset, NAME.safetensors"),
    { .name = NULL },
};

const Command cmd_preset_blend = {
    .name = "preset blend", .group = "Styles", .summary = "mix styles", .args = "PRESET[:WEIGHT]...",
    .text = "Weighted means of Gram matrices and settings; the weights are made to sum to 1. All presets must be from one feature network and "
            "have the same layers.\n"
            "$ mien preset blend starry-night:0.7 great-wave:0.3 -o night-wave.safetensors",
    .options = blend_options, .options_bytes = sizeof(BlendOptions), .takes = TAKES_PRESETS | TAKES_JSON,
    .min_args = 1, .max_args = 100, .run = run_blend,
};
