/* mien preset list, show, check: which styles there are, what one is, and whether its file is sound. */
#include <math.h>
#include <string.h>

#include "draw.h"
#include "media.h"
#include "styles.h"

struct cJSON *preset_json(struct cJSON *array, const MienPreset *p)
{
    const MienPresetInfo *i = mien_preset_info(p);
    struct cJSON *j = array ? json_item_object(array) : json_object();
    json_str(j, "name", i->name);
    json_str(j, "path", i->path);
    json_str(j, "title", i->title);
    json_str(j, "artist", i->artist);
    json_str(j, "year", i->year);
    json_str(j, "license", i->license);
    json_str(j, "source", i->source);
    json_str(j, "network", i->network_name);
    json_str(j, "network_sha256", i->network_sha256);
    json_int(j, "pictures", i->n_pictures);
    json_str(j, "flicker", mien_flicker_name(i->flicker));
    json_real(j, "trace", i->trace, 4);
    struct cJSON *scales = json_add_array(j, "scales");
    for (int s = 0; s < i->n_scales; s++)
        json_item_real(scales, mien_preset_scale(p, s), 0);
    struct cJSON *layers = json_add_array(j, "layers");
    for (int k = 0; k < i->n_layers; k++) {
        const MienPresetLayer *l = mien_preset_layer(p, k);
        struct cJSON *o = json_item_object(layers);
        json_str(o, "name", l->name);
        json_int(o, "channels", l->channels);
        json_real(o, "weight", l->weight, 6);
    }
    struct cJSON *s = json_add_object(j, "settings");
    json_real(s, "strength", i->settings.strength, 4);
    json_real(s, "content_weight", i->settings.content_weight, 4);
    json_real(s, "tv", i->settings.tv, 4);
    json_str(s, "content_layer", i->settings.content_layer);
    json_int(s, "iterations", i->settings.iterations);
    json_int(s, "size_px", i->settings.size_px);
    return j;
}

/* ---- list */

static int run_list(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options, (void)n_args, (void)args;
    char **path;
    int n = mien_preset_list(&path, tool->presets, tool->log), n_bad = 0;
    if (n < 0)
        return STATUS_ERROR;
    struct cJSON *all = tool->json ? json_array() : NULL;
    for (int i = 0; i < n; i++) {
        MienPreset *p;
        if (mien_preset_open(&p, path[i], tool->log) < 0) {
            n_bad++;
            continue;
        }
        const MienPresetInfo *info = mien_preset_info(p);
        if (all)
            preset_json(all, p);
        else
            printf("%-20s %-10s flicker %-7s %s%s%s%s%s\n", safe(info->name), safe(info->network_name), mien_flicker_name(info->flicker),
                   safe(info->artist), *info->artist && *info->title ? ", " : "", safe(info->title), *info->year ? ", " : "",
                   safe(info->year));
        mien_preset_unref(&p);
    }
    mien_free(path);
    if (!n)
        tool_note(tool, "no presets; 'mien preset make' makes one of a picture, --presets names another folder");
    int status = n_bad ? STATUS_ERROR : STATUS_OK;
    return all ? json_print(tool, all, status) : status;
}

const Command cmd_preset_list = {
    .name = "preset list", .group = "Styles", .summary = "list the styles that can be used by name", .args = "",
    .text = "Name, feature network, how much a film in this style tends to flicker when its frames are styled one by one, artist, title, year.",
    .takes = TAKES_PRESETS | TAKES_JSON, .max_args = 0, .run = run_list,
};

/* ---- the Gram spectrum as a picture */

/* Eigenvalues of a symmetric matrix, largest first, by cyclic Jacobi rotations (Golub & Van Loan 2013, algorithm 8.5.3); a is
 * overwritten. */
static void eigenvalues(double *a, int n)
{
    double all = 0;
    for (int i = 0; i < n * n; i++)
        all += a[i] * a[i];
    for (int sweep = 0; sweep < 30; sweep++) {
        double off = 0;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++)
                off += 2 * a[p * n + q] * a[p * n + q];
        if (off <= 1e-20 * all)
            break;
        for (int p = 0; p < n; p++)
            for (int q = p + 1; q < n; q++) {
                double pq = a[p * n + q];
                if (pq * pq <= 1e-24 * all / ((double)n * n))
                    continue;
                double tau = (a[q * n + q] - a[p * n + p]) / (2 * pq);
                double t = (tau >= 0 ? 1 : -1) / (fabs(tau) + sqrt(1 + tau * tau)), c = 1 / sqrt(1 + t * t), s = t * c;
                for (int k = 0; k < n; k++) {
                    double kp = a[k * n + p], kq = a[k * n + q];
                    a[k * n + p] = c * kp - s * kq;
                    a[k * n + q] = s * kp + c * kq;
                }
                for (int k = 0; k < n; k++) {
                    double pk = a[p * n + k], qk = a[q * n + k];
                    a[p * n + k] = c * pk - s * qk;
                    a[q * n + k] = s * pk + c * qk;
                }
            }
    }
    for (int i = 0; i < n; i++) /* the diagonal into the first n places, sorted */
        a[i] = a[i * n + i];
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && a[k] > a[k - 1]; k--) {
            double t = a[k];
            a[k] = a[k - 1];
            a[k - 1] = t;
        }
}

enum { PANEL = 256, GAP = 24, HEAD = 28, DECADES = 6 };
static const uint8_t white[3] = { 255, 255, 255 }, black[3] = { 0, 0, 0 }, gray[3] = { 210, 210, 210 }, blue[3] = { 40, 90, 170 };

/* Correlations G_ij / sqrt(G_ii·G_jj): 0 white, 1 black. */
static void draw_matrix(const Canvas *c, int x0, int y0, const float *g, int n)
{
    for (int y = 0; y < PANEL; y++)
        for (int x = 0; x < PANEL; x++) {
            int i = y * n / PANEL, j = x * n / PANEL;
            double d = (double)g[i * n + i] * (double)g[j * n + j], r = d > 0 ? (double)g[i * n + j] / sqrt(d) : 0;
            uint8_t v = (uint8_t)lrint(255 * (1 - fmin(fmax(r, 0), 1)));
            canvas_pixel(c, x0 + x, y0 + y, (uint8_t[]){ v, v, v });
        }
}

/* Eigenvalues as bars over six decades below the largest. */
static int draw_spectrum(const Canvas *c, int x0, int y0, const float *g, int n)
{
    double *a = mien_malloc_array((size_t)n * (size_t)n, sizeof(*a));
    if (!a)
        return MIEN_ERR(ENOMEM);
    for (int i = 0; i < n * n; i++)
        a[i] = (double)g[i];
    eigenvalues(a, n);
    for (int d = 0; d <= DECADES; d++)
        canvas_fill(c, x0, y0 + d * (PANEL - 1) / DECADES, x0 + PANEL, y0 + d * (PANEL - 1) / DECADES + 1, gray);
    for (int i = 0; i < n; i++) {
        double v = a[i] > 0 && a[0] > 0 ? 1 + log10(a[i] / a[0]) / DECADES : 0;
        int h = (int)lrint(PANEL * fmax(v, 0)), x = x0 + i * PANEL / n, x1 = x0 + (i + 1) * PANEL / n;
        canvas_fill(c, x, y0 + PANEL - h, x1 > x + 2 ? x1 - 1 : x1 > x ? x1 : x + 1, y0 + PANEL, blue);
    }
    mien_free(a);
    return 0;
}

static int write_spectrum(const Tool *tool, const MienPreset *p, const char *path)
{
    int n = mien_preset_info(p)->n_layers, ret;
    Canvas c;
    if ((ret = canvas_create(&c, 2 * PANEL + 3 * GAP, n * (PANEL + HEAD + GAP) + GAP, white)) < 0)
        return tool_error(tool, "out of memory");
    for (int i = 0; i < n && ret >= 0; i++) {
        const MienPresetLayer *l = mien_preset_layer(p, i);
        const float *g = mien_preset_gram(p, i, 0);
        int y = GAP + i * (PANEL + HEAD + GAP);
        double trace = 0;
        char text[128];
        for (int k = 0; k < l->channels; k++)
            trace += (double)g[k * l->channels + k];
        snprintf(text, sizeof(text), "%s  %d channels  trace %.3g", l->name, l->channels, trace);
        canvas_text(&c, GAP, y + 4, 3, black, text);
        draw_matrix(&c, GAP, y + HEAD, g, l->channels);
        ret = draw_spectrum(&c, PANEL + 2 * GAP, y + HEAD, g, l->channels);
    }
    ret = ret < 0 ? (int)tool_error(tool, "out of memory") : canvas_write(&c, path, tool->log) < 0 ? STATUS_ERROR : STATUS_OK;
    canvas_free(&c);
    return ret;
}

/* ---- show */

typedef struct ShowOptions {
    const char *thumbnail, *spectrum;
} ShowOptions;

static void show_text(const MienPreset *p)
{
    const MienPresetInfo *i = mien_preset_info(p);
    const struct {
        const char *key, *value;
    } row[] = { { "name", i->name },     { "title", i->title },   { "artist", i->artist },        { "year", i->year },
                { "license", i->license }, { "source", i->source }, { "network", i->network_name }, { "network's sha256", i->network_sha256 } };
    for (size_t k = 0; k < MIEN_ARRAY_ELEMS(row); k++)
        if (*row[k].value)
            printf("%-17s %s\n", row[k].key, safe(row[k].value));
    printf("%-17s %d\n", "pictures", i->n_pictures);
    printf("%-17s %s (trace %.2f of noise's)\n", "flicker", mien_flicker_name(i->flicker), i->trace);
    for (int k = 0; k < i->n_layers; k++) {
        const MienPresetLayer *l = mien_preset_layer(p, k);
        printf("%-17s %s, %d channels, weight %g\n", k ? "" : "layers", safe(l->name), l->channels, l->weight);
    }
    printf("%-17s ", "sizes");
    for (int s = 0; s < i->n_scales; s++)
        printf("%s%d", s ? ", " : "", i->settings.size_px / mien_preset_scale(p, s));
    printf(" px\n%-17s strength %g, content_weight %g, content_layer %s, tv %g, iterations %d\n", "recommended", i->settings.strength,
           i->settings.content_weight, safe(i->settings.content_layer), i->settings.tv, i->settings.iterations);
}

static int run_show(Tool *tool, const void *options, int n_args, char **args)
{
    const ShowOptions *o = options;
    MienPreset *p;
    MienImage img;
    int status = STATUS_OK;
    (void)n_args;
    if (mien_preset_open_named(&p, args[0], tool->presets, tool->log) < 0)
        return STATUS_ERROR;
    if (o->thumbnail && mien_preset_thumbnail(p, &img) < 0)
        status = tool_error(tool, "%s: has no thumbnail", safe(args[0]));
    else if (o->thumbnail && media_write_picture(o->thumbnail, &img, tool->log) < 0)
        status = STATUS_ERROR;
    if (status == STATUS_OK && o->spectrum)
        status = write_spectrum(tool, p, o->spectrum);
    if (status == STATUS_OK && tool->json)
        status = json_print(tool, preset_json(NULL, p), STATUS_OK);
    else if (status == STATUS_OK && !tool->quiet)
        show_text(p);
    mien_preset_unref(&p);
    return status;
}

static const Option show_options[] = {
    OPT_TEXT_ROW(ShowOptions, thumbnail, "thumbnail", 0, "FILE", NULL, "write the small view of the picture, .png or .jpg"),
    OPT_TEXT_ROW(ShowOptions, spectrum, "spectrum", 0, "FILE", NULL, "write a picture of the Gram matrices, .png or .jpg"),
    { .name = NULL },
};

const Command cmd_preset_show = {
    .name = "preset show", .group = "Styles", .summary = "tell what a style is: picture, layers, settings", .args = "PRESET",
    .text = "PRESET is a name ('mien preset list') or a file. The picture that --spectrum writes has a row for each layer: on the left the "
            "Gram matrix as correlations, 0 white and 1 black; on the right its eigenvalues as bars, the largest first, six decades high. Few "
            "tall bars mean a style of few features; a flat row, one of many.\n"
            "$ mien preset show starry-night --thumbnail thumb.png --spectrum spectrum.png",
    .options = show_options, .options_bytes = sizeof(ShowOptions), .takes = TAKES_PRESETS | TAKES_JSON, .min_args = 1, .max_args = 1,
    .run = run_show,
};

/* ---- check */

/* The file, its network, and the network's layers. */
static int check_one(const Tool *tool, const char *path)
{
    MienPreset *p = NULL;
    MienModel *model = NULL;
    MienNet *net = NULL;
    const char *names[MIEN_PRESET_MAX_LAYERS];
    int ret = mien_preset_open_named(&p, path, tool->presets, tool->log);
    if (ret >= 0)
        ret = mien_preset_open_model(&model, p, tool->models, tool->log);
    if (ret >= 0) {
        MienNetParams np = MIEN_NET_DEFAULTS;
        np.log = tool->log;
        np.w_px = np.h_px = 32;
        np.outputs = names;
        for (np.n_outputs = 0; np.n_outputs < mien_preset_info(p)->n_layers; np.n_outputs++)
            names[np.n_outputs] = mien_preset_layer(p, np.n_outputs)->name;
        ret = mien_net_create(&net, model, &np);
    }
    for (int i = 0; ret >= 0 && i < mien_preset_info(p)->n_layers; i++) {
        MienShape s;
        mien_net_output(net, i, &s);
        if (s.c != mien_preset_layer(p, i)->channels) {
            tool_error(tool, "%s: layer %s has %d channels, the network's has %d", safe(path), safe(names[i]),
                       mien_preset_layer(p, i)->channels, s.c);
            ret = MIEN_E_MISMATCH;
        }
    }
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_preset_unref(&p);
    return ret;
}

static int run_check(Tool *tool, const void *options, int n_args, char **args)
{
    (void)options;
    char **list = NULL;
    int n = n_args ? n_args : mien_preset_list(&list, tool->presets, tool->log), bad = 0;
    if (n < 0)
        return STATUS_ERROR;
    if (!n) {
        mien_free(list);
        return tool_error(tool, "there are no presets to check; --presets names another folder");
    }
    struct cJSON *all = tool->json ? json_array() : NULL;
    for (int i = 0; i < n; i++) {
        const char *path = n_args ? args[i] : list[i];
        int ret = check_one(tool, path);
        struct cJSON *j = json_item_object(all);
        json_str(j, "preset", path);
        json_bool(j, "ok", ret >= 0);
        if (ret < 0)
            json_str(j, "error", mien_strerror(ret));
        tool_note(tool, "%-4s %s", ret >= 0 ? "ok" : "BAD", safe(path));
        bad += ret < 0;
    }
    mien_free(list);
    int status = bad ? STATUS_ERROR : STATUS_OK;
    return all ? json_print(tool, all, status) : status;
}

const Command cmd_preset_check = {
    .name = "preset check", .group = "Styles", .summary = "check presets: numbers, feature network, layers", .args = "[PRESET...]",
    .text = "Without PRESET, all that can be used by name.", .takes = TAKES_PRESETS | TAKES_MODELS | TAKES_JSON, .min_args = 0,
    .max_args = -1, .run = run_check,
};
