/* mien style: one picture in the style of another. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "media.h"
#include "mien/style.h"
#include "styles.h"

typedef struct StyleOptions {
    const char *out, *content_layer, *layers;
    double strength, content_weight, tv, stroke, noise; /* negative: the preset's */
    int optimizer, distance, color, iterations, levels, bits, size, border, history, memory, seed, save_every;
} StyleOptions;

/* What progress needs. */
typedef struct Run {
    const Tool *tool;
    const StyleOptions *o;
    Progress progress;
    int64_t before;    /* iterations of the levels before */
    int i_level, bits;
    float *so_far;     /* room for --save-every */
    size_t room;
    MienStyleProgress last;
} Run;

/* "dir/out.png" → "dir/out-2-0040.png": level, iteration. */
static char *path_between(const char *out, int level, int iteration)
{
    const char *dot = strrchr(out, '.');
    char number[48];
    snprintf(number, sizeof(number), "-%d-%04d", level, iteration);
    size_t n = strlen(out) + strlen(number) + 1;
    char *path = mien_malloc(n);
    if (path)
        snprintf(path, n, "%.*s%s%s", (int)(dot - out), out, number, dot);
    return path;
}

static int save_between(Run *run, const MienStyleProgress *p)
{
    size_t n = (size_t)p->w_px * (size_t)p->h_px * 3;
    if (n > run->room) {
        mien_free(run->so_far);
        run->so_far = mien_malloc_array(n, sizeof(float));
        run->room = run->so_far ? n : 0;
    }
    char *path = run->so_far ? path_between(run->o->out, p->i_level + 1, p->iteration) : NULL;
    int ret = MIEN_ERR(ENOMEM);
    if (path) {
        mien_style_get(p->style, run->so_far);
        ret = media_write_rgb(path, run->so_far, p->w_px, p->h_px, run->bits, run->tool->log);
    }
    mien_free(path);
    return ret;
}

static int on_progress(void *priv, const MienStyleProgress *p)
{
    Run *run = priv;
    if (p->i_level != run->i_level) {
        run->before += run->last.iteration;
        run->i_level = p->i_level;
    }
    run->last = *p;
    run->progress.share = p->done;
    snprintf(run->progress.note, sizeof(run->progress.note), "%dx%d  loss %.4g (content %.3g, style %.3g, tv %.3g)", p->w_px, p->h_px, p->loss.total,
             p->loss.content, p->loss.style, p->loss.tv);
    progress_step(&run->progress, run->before + p->iteration);
    if (run->tool->verbose && (p->iteration % 10 == 0 || p->iteration == p->n_iterations)) {
        progress_end(&run->progress);
        mien_log(run->tool->log, MIEN_LOG_INFO, "level %d of %d, iteration %d of %d: %s", p->i_level + 1, p->n_levels, p->iteration,
                 p->n_iterations, run->progress.note);
    }
    if (run->o->save_every && p->iteration % run->o->save_every == 0) {
        int ret = save_between(run, p);
        if (ret < 0)
            return ret;
    }
    return interrupted();
}

/* --layers: those that are named, with their weights. */
static int choose_layers(const Tool *tool, const char *list, const MienPreset *preset, MienStyleScales *style)
{
    MienPresetLayer wanted[MIEN_PRESET_MAX_LAYERS];
    char names[2048];
    int n = parse_layers(tool, list, wanted, names, sizeof(names));
    if (n < 0)
        return -1;
    for (int s = 0; s < style->n_scales; s++) {
        MienStyleTarget all = style->target[s];
        style->target[s].n_layers = n;
        for (int i = 0; i < n; i++) {
            int at = mien_preset_find_layer(preset, wanted[i].name);
            if (at < 0)
                return tool_error(tool, "the style has no layer %s; 'mien preset show' lists them", safe(wanted[i].name)), -1;
            style->target[s].layer[i] = all.layer[at];
            style->target[s].layer[i].weight = wanted[i].weight;
        }
    }
    return 0;
}

static double or_preset(double option, double preset)
{
    return option >= 0 ? option : preset;
}

static void fill_params(const Tool *tool, const StyleOptions *o, const MienPresetSettings *set, MienExec exec, MienStylePictureParams *p)
{
    p->style.exec = exec;
    p->style.log = tool->log;
    p->style.optimizer = o->optimizer ? MIEN_STYLE_ADAM : MIEN_STYLE_LBFGS;
    p->style.distance = o->distance ? MIEN_STYLE_L1 : MIEN_STYLE_L2;
    p->style.history = o->history;
    p->style.border_px = o->border;
    p->style.memory_bytes = (size_t)o->memory * 1000000;
    p->style.content_layer = o->content_layer ? o->content_layer : set->content_layer;
    p->style.weights.strength = or_preset(o->strength, set->strength);
    p->style.weights.content = or_preset(o->content_weight, set->content_weight);
    p->style.weights.tv = or_preset(o->tv, set->tv);
    p->iterations = o->iterations >= 0 ? o->iterations : set->iterations;
    p->n_levels = o->levels;
    p->stroke = o->stroke;
    p->noise = o->noise;
    p->seed = (uint64_t)o->seed;
    p->keep_color = o->color;
}

/* --size: the content made smaller or larger. */
static int scale_content(const Tool *tool, int size, MienExec exec, float **rgb, int *w, int *h)
{
    int longest = *w > *h ? *w : *h;
    if (!size || size == longest)
        return 0;
    int new_w = (int)lrint((double)*w * size / longest), new_h = (int)lrint((double)*h * size / longest);
    new_w = new_w < 1 ? 1 : new_w;
    new_h = new_h < 1 ? 1 : new_h;
    float *to = mien_malloc_array((size_t)new_w * (size_t)new_h, 3 * sizeof(float));
    if (!to || mien_style_resize(exec, *rgb, *w, *h, 3, to, new_w, new_h) < 0) {
        mien_free(to);
        return tool_error(tool, "out of memory for a picture of %dx%d", new_w, new_h), -1;
    }
    mien_free(*rgb);
    *rgb = to;
    *w = new_w;
    *h = new_h;
    return 0;
}

static int report(const Run *run, int w, int h, double seconds)
{
    const Tool *tool = run->tool;
    const MienStyleLoss *l = &run->last.loss;
    if (tool->json) {
        struct cJSON *j = json_object(), *loss = json_add_object(j, "loss");
        json_str(j, "out", run->o->out);
        json_int(j, "width", w);
        json_int(j, "height", h);
        json_int(j, "bits", run->bits);
        json_int(j, "levels", run->last.n_levels);
        json_int(j, "iterations", run->before + run->last.iteration);
        json_int(j, "tiles", run->last.n_tiles);
        json_real(loss, "total", l->total, 9);
        json_real(loss, "content", l->content, 9);
        json_real(loss, "style", l->style, 9);
        json_real(loss, "tv", l->tv, 9);
        json_real(j, "seconds", seconds, 3);
        return json_print(tool, j, STATUS_OK);
    }
    tool_note(tool, "%s: %dx%d, %lld iterations in %.1f s, loss %.4g (content %.3g, style %.3g, tv %.3g)%s", safe(run->o->out), w, h,
              (long long)(run->before + run->last.iteration), seconds, l->total, l->content, l->style, l->tv, interrupted() ? "; ended early" : "");
    return STATUS_OK;
}

typedef struct Content {
    float *rgb;
    int w, h, bits;
} Content;

static int style_picture(Run *run, MienModel *model, const MienPreset *preset, Content *c, MienExec exec)
{
    const StyleOptions *o = run->o;
    const Tool *tool = run->tool;
    MienStylePictureParams p = MIEN_STYLE_PICTURE_DEFAULTS;
    MienStyleScales style;
    double start = seconds_now();
    mien_preset_style(preset, &style);
    fill_params(tool, o, &mien_preset_info(preset)->settings, exec, &p);
    if ((o->layers && choose_layers(tool, o->layers, preset, &style)) || scale_content(tool, o->size, exec, &c->rgb, &c->w, &c->h))
        return STATUS_ERROR;
    run->bits = o->bits ? o->bits : c->bits;
    p.progress = on_progress;
    p.priv = run;
    float *out = mien_malloc_array((size_t)c->w * (size_t)c->h, 3 * sizeof(float));
    int ret = out ? 0 : MIEN_ERR(ENOMEM);
    if (ret < 0)
        tool_error(tool, "out of memory for a picture of %dx%d", c->w, c->h);
    progress_begin(&run->progress, tool, "iterations", 0);
    if (ret >= 0) {
        ret = mien_style_picture(model, &style, &p, c->rgb, c->w, c->h, out);
        progress_end(&run->progress);
        if (ret == MIEN_ERR(ENOMEM))
            tool_error(tool, "out of memory; a smaller --size, or a larger --memory where the machine has it, may help");
    }
    if (ret >= 0)
        ret = media_write_rgb(o->out, out, c->w, c->h, run->bits, tool->log);
    mien_free(out);
    mien_free(run->so_far);
    return ret < 0 ? STATUS_ERROR : report(run, c->w, c->h, seconds_now() - start);
}

/* Everything that would be a pity to learn after the work. */
static int check_out(const Tool *tool, const StyleOptions *o, const char *content)
{
    struct stat in, out;
    if (!o->out)
        return tool_error(tool, "where to? --out FILE.png or .jpg");
    if (!media_can_write(o->out))
        return tool_error(tool, "%s: pictures are written as .png or .jpg", safe(o->out));
    if (o->bits != 0 && o->bits != 8 && o->bits != 16)
        return tool_error(tool, "--bits wants 8 or 16, or 0 for those of the content");
    size_t n = strlen(o->out);
    if (o->bits == 16 && (n < 4 || strcmp(o->out + n - 4, ".png")))
        return tool_error(tool, "--bits 16 wants a .png: JPEG has 8");
    if (!stat(o->out, &out)) {
        if (S_ISDIR(out.st_mode))
            return tool_error(tool, "%s: is a folder", safe(o->out));
        if (!stat(content, &in) && in.st_dev == out.st_dev && in.st_ino == out.st_ino)
            return tool_error(tool, "%s: is the content itself, which would be lost", safe(o->out));
    }
    const char *slash = strrchr(o->out, '/');
    char *folder = slash ? mien_strndup(o->out, slash == o->out ? 1 : (size_t)(slash - o->out)) : NULL;
    int bad = folder && (stat(folder, &out) || !S_ISDIR(out.st_mode));
    if (bad)
        tool_error(tool, "%s: there is no such folder", safe(folder));
    mien_free(folder);
    return bad;
}

static int run_style(Tool *tool, const void *options, int n_args, char **args)
{
    const StyleOptions *o = options;
    Run run = { .tool = tool, .o = o };
    MienPreset *preset = NULL;
    MienModel *model = NULL;
    MienPool *pool = NULL;
    Content content = { 0 };
    int status = STATUS_ERROR;
    if (check_out(tool, o, args[0]))
        return STATUS_ERROR;
    if (!presets_blend(tool, n_args - 1, args + 1, "blend", &preset) &&
        mien_preset_open_model(&model, preset, tool->models, tool->log) >= 0 &&
        media_read_rgb(args[0], &content.rgb, &content.w, &content.h, &content.bits, tool->log) >= 0 &&
        mien_pool_create(&pool, tool->threads, tool->log) >= 0)
        status = style_picture(&run, model, preset, &content, mien_pool_exec(pool));
    mien_free(content.rgb);
    mien_pool_destroy(&pool);
    mien_model_unref(&model);
    mien_preset_unref(&preset);
    return status;
}

#define REAL(field, name, letter, def, min, max, text, help) OPT_REAL_ROW(StyleOptions, field, name, letter, def, min, max, NULL, text, help)
#define INT(field, name, letter, def, min, max, unit, text, help) \
    OPT_INT_ROW(StyleOptions, field, name, letter, def, min, max, unit, text, help)
static const Option style_options[] = {
    OPT_TEXT_ROW(StyleOptions, out, "out", 'o', "FILE", NULL, "the result, .png or .jpg"),
    REAL(strength, "strength", 's', -1, 0, 1e6, "the preset's, commonly 100", "weight of the style: 30 is mild, 1000 strong"),
    REAL(stroke, "stroke", 0, 1, 0.01, 100, NULL, "size of strokes: 0.5 finer than in the style's picture, 2 bolder"),
    OPT_WORD_ROW(StyleOptions, color, "color", 0, 0, "style|content", "whose colours the result has; content: its brightness alone is styled"),
    INT(iterations, "iterations", 'n', -1, 0, MIEN_STYLE_MAX_ITERATIONS, NULL, "the preset's, commonly 60",
        "at the finest level; coarser ones take twice as many"),
    INT(size, "size", 0, 0, 0, MIEN_STYLE_MAX_PX, "px", "0: the content's", "longest side of the result"),
    REAL(content_weight, "content-weight", 0, -1, 0, 1e6, "the preset's, commonly 1", "weight of the content"),
    OPT_TEXT_ROW(StyleOptions, content_layer, "content-layer", 0, "LAYER", "the preset's, commonly relu3_1",
                 "where content is compared: deeper keeps less of its detail"),
    OPT_WORD_ROW(StyleOptions, distance, "distance", 0, 0, "l2|l1", "how content is compared: squares or absolute values"),
    OPT_TEXT_ROW(StyleOptions, layers, "layers", 0, "LIST", "the preset's", "style layers and weights: relu1_1,relu3_1:0.5"),
    REAL(tv, "tv", 0, -1, 0, 1e6, "the preset's, commonly 6", "weight of total variation: smoothness"),
    OPT_WORD_ROW(StyleOptions, optimizer, "optimizer", 0, 0, "lbfgs|adam", "L-BFGS gets further with as many iterations, Adam takes less memory"),
    INT(history, "history", 0, 10, 1, 100, NULL, NULL, "L-BFGS: steps it remembers; less if --memory asks for it"),
    INT(levels, "levels", 0, 0, 0, 12, NULL, "0: as the size asks for", "sizes from coarse to fine, each twice the one before"),
    INT(border, "border", 0, 16, 0, 1024, "px", NULL, "mirrored margin that keeps the edges clean; 0: none, and no tiles"),
    REAL(noise, "noise", 0, 0, 0, 1, NULL, "share of noise in the picture that the work starts from"),
    INT(seed, "seed", 0, 1, 0, 2147483647, NULL, NULL, "of the noise"),
    INT(bits, "bits", 0, 0, 0, 16, NULL, "0: the content's", "8 or 16 bits a sample; 16 for .png only"),
    INT(memory, "memory", 0, 2500, 50, 1000000, "MB", NULL, "beside the pictures themselves; large ones are worked on in tiles"),
    INT(save_every, "save-every", 0, 0, 0, MIEN_STYLE_MAX_ITERATIONS, NULL, "0: never", "iterations after which OUT-LEVEL-ITERATION is written, too"),
    { .name = NULL },
};

const Command cmd_style = {
    .name = "style", .group = "Styles", .summary = "paint a picture in a style", .args = "CONTENT PRESET[:WEIGHT]...",
    .text = "Moves the pixels of CONTENT until the features that a network sees are still CONTENT's, and their statistics the style's (Gatys et "
            "al. 2015). PRESET is a name ('mien preset list') or a file; several are mixed by their weights. docs/style-method.md shows "
            "what each option does.\n"
            "Pictures of any size: large ones are worked on in overlapping tiles that share their statistics, so that no seam shows and "
            "--memory is kept. The same options on the same machine give the same bits, whatever --threads is. Ctrl-C ends early and "
            "writes what there is.\n"
            "$ mien style harbour.jpg starry-night -o harbour-night.png\n"
            "$ mien style harbour.jpg starry-night:0.7 great-wave:0.3 -o mix.jpg --strength 300 --stroke 1.5\n"
            "$ mien style portrait.tif pen-hatching -o portrait.png --color content --bits 16",
    .options = style_options, .options_bytes = sizeof(StyleOptions), .takes = TAKES_PRESETS | TAKES_MODELS | TAKES_THREADS | TAKES_JSON,
    .min_args = 2, .max_args = 9, .run = run_style,
};
