/* mien layers: what the units of a feature network respond to. For each unit the nine patches of the user's own pictures that excite it
 * most, as contact sheets (after Zeiler & Fergus 2014, figure 2; without their deconvolutions), and the receptive field's size. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "draw.h"
#include "files.h"
#include "image/sample.h"
#include "media.h"
#include "mien/net.h"
#include "tool.h"

enum { N_BEST = 9, PATCH = 40, GAP = 2, LABEL = 14, HEAD = 34, MAX_LAYERS = 64 };

typedef struct LayersOptions {
    const char *out, *network, *layers;
    int size, per_picture;
    double every;
} LayersOptions;

typedef struct Patch {
    float value; /* of the unit; 0: none */
    int64_t file;
    double time_s;
    int x, y;    /* the field's corner in the scaled picture */
    uint8_t rgb8[PATCH * PATCH * 3];
} Patch;

/* Of the receptive field: element i reads pixels [start + i·step, start + i·step + size), by axis x and y. */
typedef struct Field {
    int size_x_px, size_y_px, step_x_px, step_y_px, x0_px, y0_px;
} Field;

typedef struct Layer {
    const char *name;
    int channels;
    Field field;
    Patch *best; /* [channels][N_BEST], largest first */
} Layer;

typedef struct Layers {
    const Tool *tool;
    const LayersOptions *o;
    MienModel *model;
    MienPool *pool;
    Layer layer[MAX_LAYERS];
    int n;
    MienNet *net; /* of the last picture's size */
    int w, h;
    MieniInput input;
    MieniResizer resizer;
    uint8_t *rgb8; /* the picture as the network sees it */
    int per_picture;
    FileList files;
    int64_t n_pictures;
} Layers;

/* ---- which layers */

static int read_input(Layers *l)
{
    const MienModel *m = l->model;
    if (mieni_input_parse(&l->input, mien_model_meta(m, "input.channels"), mien_model_meta(m, "input.mean"), mien_model_meta(m, "input.scale")) < 0 ||
        l->input.n_channels != 3)
        return tool_error(l->tool, "%s: is no network for coloured pictures", safe(mien_model_path(m)));
    return 0;
}

static int add_layer(Layers *l, const char *name)
{
    Layer *y = &l->layer[l->n];
    MienField f;
    int ret = mien_model_field(l->model, name, &f);
    if (ret < 0 || l->n == MAX_LAYERS)
        return tool_error(l->tool, "layer %s: %s", safe(name),
                          ret == MIEN_E_NOTFOUND ? "the network has none of this name ('mien model show' lists them)"
                          : ret < 0              ? "its units see the whole picture"
                                                 : "more layers than can be shown at once");
    y->name = name;
    y->field = (Field){ (int)(f.last_px[1] - f.first_px[1] + 1), (int)(f.last_px[0] - f.first_px[0] + 1), (int)f.step_px[1],
                        (int)f.step_px[0], (int)f.first_px[1], (int)f.first_px[0] };
    l->n++;
    return 0;
}

/* names: the option's text, cut up in place; NULL: all outputs. */
static int choose_layers(Layers *l, char *names)
{
    int n = mien_model_n_outputs(l->model);
    for (int i = 0; !names && i < n && l->n < MAX_LAYERS; i++)
        if (add_layer(l, mien_model_output_name(l->model, i)))
            return STATUS_ERROR;
    for (char *at = names, *end = names; end; at = end ? end + 1 : at) {
        end = strchr(at, ',');
        if (end)
            *end = '\0';
        if (add_layer(l, at))
            return STATUS_ERROR;
    }
    return 0;
}

/* ---- one picture */

static int plan(Layers *l, int w, int h)
{
    const char *names[MAX_LAYERS];
    MienNetParams p = MIEN_NET_DEFAULTS;
    for (int i = 0; i < l->n; i++)
        names[i] = l->layer[i].name;
    mien_net_destroy(&l->net);
    p.exec = mien_pool_exec(l->pool);
    p.log = l->tool->log;
    p.w_px = l->w = w;
    p.h_px = l->h = h;
    p.outputs = names;
    p.n_outputs = l->n;
    int ret = mien_net_create(&l->net, l->model, &p);
    for (int i = 0; i < l->n && ret >= 0; i++) {
        Layer *y = &l->layer[i];
        MienShape s;
        mien_net_output(l->net, i, &s);
        y->channels = s.c;
        if (!y->best && !(y->best = mien_calloc((size_t)s.c * N_BEST, sizeof(*y->best))))
            ret = MIEN_ERR(ENOMEM);
    }
    return ret;
}

/* The field's pixels, enlarged by repeating them or averaged down to PATCH × PATCH; outside the picture gray. */
static void cut_patch(const Layers *l, const Field *f, Patch *p)
{
    for (int v = 0; v < PATCH; v++)
        for (int u = 0; u < PATCH; u++) {
            int x0 = u * f->size_x_px / PATCH, x1 = (u + 1) * f->size_x_px / PATCH, y0 = v * f->size_y_px / PATCH,
                y1 = (v + 1) * f->size_y_px / PATCH, n = 0, sum[3] = { 0 };
            for (int y = y0; y < (y1 > y0 ? y1 : y0 + 1); y++)
                for (int x = x0; x < (x1 > x0 ? x1 : x0 + 1); x++, n++) {
                    int px = p->x + x, py = p->y + y, inside = px >= 0 && py >= 0 && px < l->w && py < l->h;
                    for (int k = 0; k < 3; k++)
                        sum[k] += inside ? l->rgb8[((size_t)py * (size_t)l->w + (size_t)px) * 3 + (size_t)k] : 128;
                }
            for (int k = 0; k < 3; k++)
                p->rgb8[(v * PATCH + u) * 3 + k] = (uint8_t)(sum[k] / n);
        }
}

/* Puts a patch in its place among the nine. */
static void insert(const Layers *l, const Layer *y, int unit, Patch *p)
{
    Patch *best = y->best + (size_t)unit * N_BEST;
    int i = N_BEST - 1;
    if (!(p->value > best[i].value))
        return;
    cut_patch(l, &y->field, p);
    for (; i > 0 && p->value > best[i - 1].value; i--)
        best[i] = best[i - 1];
    best[i] = *p;
}

/* Elements whose field lies within the picture: padding excites units as no picture does. All, where none does. */
static void inner(int n, int x0, int step, int size, int w, int *first, int *last)
{
    *first = 0;
    *last = n - 1;
    while (*first < n && x0 + *first * step < 0)
        ++*first;
    while (*last >= 0 && x0 + *last * step + size > w)
        --*last;
    if (*first > *last) {
        *first = 0;
        *last = n - 1;
    }
}

/* The strongest elements of one unit, none overlapping a stronger one by more than half a field. */
static void take_unit(Layers *l, const Layer *y, const float *f, MienShape s, int unit, int64_t file, double time_s)
{
    static Patch p; /* too large for the stack, and only one is needed */
    int ex[N_BEST], ey[N_BEST], x0, x1, y0, y1;
    const Field *d = &y->field;
    inner(s.w, d->x0_px, d->step_x_px, d->size_x_px, l->w, &x0, &x1);
    inner(s.h, d->y0_px, d->step_y_px, d->size_y_px, l->h, &y0, &y1);
    for (int n = 0; n < l->per_picture; n++) {
        float best = 0;
        for (int v = y0; v <= y1; v++)
            for (int u = x0; u <= x1; u++) {
                float a = f[((size_t)v * (size_t)s.w + (size_t)u) * (size_t)s.c + (size_t)unit];
                int near = 0;
                for (int k = 0; a > best && k < n && !near; k++)
                    near = 2 * abs(u - ex[k]) * d->step_x_px < d->size_x_px && 2 * abs(v - ey[k]) * d->step_y_px < d->size_y_px;
                if (a > best && !near) {
                    best = a;
                    ex[n] = u;
                    ey[n] = v;
                }
            }
        if (!(best > 0))
            break;
        p.value = best;
        p.file = file;
        p.time_s = time_s;
        p.x = d->x0_px + ex[n] * d->step_x_px;
        p.y = d->y0_px + ey[n] * d->step_y_px;
        insert(l, y, unit, &p);
    }
}

static int take_picture(Layers *l, const MienImage *img, int64_t file, double time_s)
{
    int longest = img->w_px > img->h_px ? img->w_px : img->h_px, ret;
    double part = longest > l->o->size ? (double)l->o->size / longest : 1;
    int w = (int)fmax(lrint(img->w_px * part), 1), h = (int)fmax(lrint(img->h_px * part), 1);
    if (w < 16 || h < 16) {
        tool_warn(l->tool, "%s: %dx%d pixels are too few to look at", safe(l->files.path[file]), w, h);
        return 0;
    }
    if ((!l->net || w != l->w || h != l->h) && (ret = plan(l, w, h)) < 0)
        return ret;
    MieniView view = { 0, 0, (double)img->w_px / w, (double)img->h_px / h };
    float *x = mien_net_input(l->net, NULL);
    if ((ret = mieni_resize(&l->resizer, mien_pool_exec(l->pool), img, view, 0, &l->input, x, w, h)) < 0)
        return ret;
    for (int i = 0; i < w * h * 3; i++) { /* back to what the network sees, for the patches */
        int k = i % 3;
        l->rgb8[i - k + (l->input.bgr ? 2 - k : k)] = (uint8_t)lrintf(fminf(fmaxf(x[i] / l->input.scale[k] + l->input.mean[k], 0), 255));
    }
    if ((ret = mien_net_run(l->net)) < 0)
        return ret;
    l->n_pictures++;
    for (int i = 0; i < l->n; i++) {
        MienShape s;
        const float *f = mien_net_output(l->net, i, &s);
        for (int unit = 0; unit < s.c; unit++)
            take_unit(l, &l->layer[i], f, s, unit, file, time_s);
    }
    return 0;
}

/* A still, or a video's frames `every` seconds apart. */
static int take_file(Layers *l, int64_t file)
{
    Media *m = NULL;
    MienImage img;
    double time_s, next_s = 0;
    int ret = media_open(&m, l->files.path[file], l->tool->threads, l->tool->log);
    while (ret >= 0 && !interrupted() && (ret = media_next(m, &img, &time_s)) > 0) {
        if (media_is_video(m) && time_s < next_s)
            continue;
        next_s = time_s + l->o->every;
        ret = take_picture(l, &img, file, time_s);
        if (ret == MIEN_ERR(ENOMEM))
            tool_error(l->tool, "out of memory");
    }
    media_close(&m);
    return ret;
}

/* ---- what comes out */

static const uint8_t white[3] = { 255, 255, 255 }, black[3] = { 20, 20, 20 }, gray[3] = { 230, 230, 230 };

static int write_sheet(const Layers *l, const Layer *y, const char *path)
{
    const char *name = mien_model_meta(l->model, "name");
    int cell = 3 * PATCH + 4 * GAP, columns = (int)fmax(ceil(sqrt((double)y->channels * 1.5)), 6);
    int rows = (y->channels + columns - 1) / columns;
    Canvas c;
    char text[200];
    if (canvas_create(&c, columns * cell + GAP, HEAD + rows * (cell + LABEL), white) < 0)
        return tool_error(l->tool, "out of memory");
    snprintf(text, sizeof(text), "%s %s: %d units, field %dx%d px, step %d px", name ? name : "", y->name, y->channels, y->field.size_x_px,
             y->field.size_y_px, y->field.step_x_px);
    canvas_text(&c, 2 * GAP, 8, 3, black, text);
    for (int unit = 0; unit < y->channels; unit++) {
        int x0 = unit % columns * cell + GAP, y0 = HEAD + unit / columns * (cell + LABEL);
        snprintf(text, sizeof(text), "%d", unit);
        canvas_text(&c, x0 + GAP, y0, 2, black, text);
        for (int i = 0; i < N_BEST; i++) {
            const Patch *p = &y->best[unit * N_BEST + i];
            int px = x0 + i % 3 * (PATCH + GAP), py = y0 + LABEL + i / 3 * (PATCH + GAP);
            MienImage img = { .data = p->rgb8, .stride_bytes = 3 * PATCH, .w_px = PATCH, .h_px = PATCH, .pixel = MIEN_PIXEL_RGB8 };
            if (p->value > 0)
                canvas_picture(&c, px, py, PATCH, PATCH, &img);
            else
                canvas_fill(&c, px, py, px + PATCH, py + PATCH, gray);
        }
    }
    int ret = canvas_write(&c, path, l->tool->log);
    canvas_free(&c);
    return ret < 0 ? STATUS_ERROR : 0;
}

static void units_json(const Layers *l, const Layer *y, struct cJSON *j)
{
    struct cJSON *units = json_add_array(j, "units");
    for (int unit = 0; y->best && units && unit < y->channels; unit++) {
        struct cJSON *patches = json_add_array(json_item_object(units), "patches");
        for (int i = 0; i < N_BEST && y->best[unit * N_BEST + i].value > 0; i++) {
            const Patch *p = &y->best[unit * N_BEST + i];
            struct cJSON *o = json_item_object(patches);
            json_real(o, "value", (double)p->value, 5);
            json_str(o, "file", l->files.path[p->file]);
            json_real(o, "time_s", p->time_s, 3);
            json_int(o, "x_px", p->x);
            json_int(o, "y_px", p->y);
        }
    }
}

static int report(const Layers *l)
{
    struct cJSON *all = l->tool->json ? json_array() : NULL;
    int status = STATUS_OK;
    for (int i = 0; i < l->n && status == STATUS_OK; i++) {
        const Layer *y = &l->layer[i];
        char path[4096] = "";
        if (l->files.n && snprintf(path, sizeof(path), "%s/%s.png", l->o->out, y->name) >= (int)sizeof(path))
            status = tool_error(l->tool, "%.100s...: the path is too long", safe(l->o->out));
        else if (l->files.n && write_sheet(l, y, path))
            status = STATUS_ERROR;
        struct cJSON *j = json_item_object(all);
        json_str(j, "layer", y->name);
        json_int(j, "field_x_px", y->field.size_x_px);
        json_int(j, "field_y_px", y->field.size_y_px);
        json_int(j, "step_px", y->field.step_x_px);
        json_int(j, "channels", y->channels);
        if (l->files.n)
            json_str(j, "sheet", path);
        units_json(l, y, j);
        tool_note(l->tool, "%-10s %4d units, field %3dx%d px, step %2d px%s%s", safe(y->name), y->channels, y->field.size_x_px,
                  y->field.size_y_px, y->field.step_x_px, *path ? "  " : "", safe(path));
    }
    if (!all)
        return status;
    if (status == STATUS_OK)
        return json_print(l->tool, all, STATUS_OK);
    json_free(all);
    return status;
}

static int run_all(Layers *l, int n_args, char **args)
{
    Progress progress;
    int ret = 0;
    for (int i = 0; i < n_args; i++)
        if (files_add(&l->files, l->tool, args[i]) < 0)
            return STATUS_ERROR;
    if (mien_pool_create(&l->pool, l->tool->threads, l->tool->log) < 0)
        return STATUS_ERROR;
    if (!l->files.n && plan(l, 32, 32) < 0) /* for the channels */
        return STATUS_ERROR;
    if (!l->files.n)
        return report(l);
    l->per_picture = l->o->per_picture ? l->o->per_picture : l->files.n < N_BEST ? (N_BEST + (int)l->files.n - 1) / (int)l->files.n : 1;
    l->rgb8 = mien_malloc((size_t)l->o->size * (size_t)l->o->size * 3);
    if (!l->rgb8)
        return tool_error(l->tool, "out of memory");
    if (mkdir(l->o->out, 0777) && errno != EEXIST)
        return tool_error(l->tool, "%s: %s", safe(l->o->out), strerror(errno));
    progress_begin(&progress, l->tool, "files", l->files.n);
    for (int64_t i = 0; i < l->files.n && ret >= 0 && !interrupted(); i++) {
        ret = take_file(l, i);
        progress_step(&progress, i + 1);
    }
    progress_end(&progress);
    if (ret < 0 || interrupted())
        return STATUS_ERROR;
    return l->n_pictures ? report(l) : tool_error(l->tool, "no picture is large enough to look at");
}

static int run_layers(Tool *tool, const void *options, int n_args, char **args)
{
    LayersOptions o = *(const LayersOptions *)options;
    Layers *l = mien_calloc(1, sizeof(*l));
    int status = STATUS_ERROR;
    if (!o.out)
        o.out = "layers";
    char *names = o.layers ? mien_strdup(o.layers) : NULL;
    if (!l || (o.layers && !names)) {
        mien_free(l);
        mien_free(names);
        return tool_error(tool, "out of memory");
    }
    l->tool = tool;
    l->o = &o;
    if (model_open(tool, o.network ? o.network : "features", &l->model) >= 0 && !read_input(l) && !choose_layers(l, names))
        status = run_all(l, n_args, args);
    mien_net_destroy(&l->net);
    mien_pool_destroy(&l->pool);
    mieni_resizer_uninit(&l->resizer);
    for (int i = 0; i < l->n; i++)
        mien_free(l->layer[i].best);
    mien_model_unref(&l->model);
    files_free(&l->files);
    mien_free(l->rgb8);
    mien_free(names);
    mien_free(l);
    return status;
}

static const Option layers_options[] = {
    OPT_TEXT_ROW(LayersOptions, out, "out", 'o', "DIR", "layers", "where the sheets go, one LAYER.png each"),
    OPT_TEXT_ROW(LayersOptions, network, "network", 'n', "NAME|FILE", "the first feature network, stylenet", "the feature network"),
    OPT_TEXT_ROW(LayersOptions, layers, "layers", 'l', "NAME,...", "all outputs", "the layers to look at"),
    OPT_INT_ROW(LayersOptions, size, "size", 's', 512, 16, 4096, "px", NULL, "longest side to which larger pictures are scaled"),
    OPT_INT_ROW(LayersOptions, per_picture, "per-picture", 0, 0, 1, N_BEST, NULL, "1, more where there are fewer than 9 files",
                "patches that a unit may take from one picture"),
    OPT_REAL_ROW(LayersOptions, every, "every", 0, 1, 0, 1e6, "s", NULL, "of a video look at a frame every so many seconds"),
    { .name = NULL },
};

const Command cmd_layers = {
    .name = "layers", .group = "Styles", .summary = "show what the units of a feature network respond to",
    .args = "[PICTURE|VIDEO|FOLDER...]",
    .text = "For every layer a contact sheet: for every unit the nine patches of your pictures that excite it most, as large as the unit's "
            "receptive field, so that you can choose content and style layers knowingly. Without pictures only the layers, with the size of "
            "their field: what a unit can see at all.\n"
            "$ mien layers photos/ --out sheets\n"
            "$ mien layers film.mp4 --every 2 --layers relu3_1,relu4_1",
    .options = layers_options, .options_bytes = sizeof(LayersOptions), .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON,
    .min_args = 0, .max_args = -1, .run = run_layers,
};
