/* Presets from pictures, and presets from presets.
 *
 * A picture is scaled to each size, run through the feature network, and each layer's Gram matrix and channel means are taken
 * (Gatys, Ecker & Bethge 2015). Several pictures are averaged: Gram matrices are second moments, so the average is what one
 * large picture of all of them would give if all were of one size.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "image/sample.h"
#include "mien/error.h"
#include "nn/gram.h"
#include "preset_int.h"

#define MIN_SIDE_PX 16 /* of the smallest scale: less leaves nothing behind three pools */
#define NOISE_PX 128
#define THUMB_PX 160

/* ---- one picture through the network */

typedef struct Maker {
    const MienPresetMakeParams *params;
    MienModel *model;
    MieniInput input;
    MieniResizer resizer;
    MienPreset *preset;
    double noise_trace[MIEN_PRESET_MAX_LAYERS];
} Maker;

/* Longest side to size_px, the other in proportion. */
static void fit(const MienImage *img, int size_px, int *w, int *h)
{
    double k = (double)size_px / (img->w_px > img->h_px ? img->w_px : img->h_px);
    *w = (int)lrint(k * img->w_px);
    *h = (int)lrint(k * img->h_px);
    *w = *w < 1 ? 1 : *w;
    *h = *h < 1 ? 1 : *h;
}

static int resize(Maker *m, const MienImage *img, float *to, int w, int h)
{
    MieniView view = { 0, 0, (double)img->w_px / w, (double)img->h_px / h };
    return mieni_resize(&m->resizer, m->params->exec, img, view, 0, &m->input, to, w, h);
}

/* G = F'F / n_px and the means, added with this weight. gram is room for one more matrix. */
static int add_stats(const Maker *m, const float *f, MienShape s, double weight, float *gram, MieniPresetStats *st)
{
    ptrdiff_t n_px = (ptrdiff_t)s.h * s.w;
    void *work = mien_malloc(mieni_gram_work_bytes(n_px, s.c));
    if (!work)
        return MIEN_ERR(ENOMEM);
    mieni_gram_f32(m->params->exec, mieni_kernels(MIEN_CPU_AUTO), f, n_px, s.c, weight / (double)n_px, gram, work);
    mien_free(work);
    for (int i = 0; i < s.c * s.c; i++)
        st->gram[i] += gram[i];
    for (int i = 0; i < s.c; i++) {
        double sum = 0;
        for (ptrdiff_t px = 0; px < n_px; px++)
            sum += (double)f[px * s.c + i];
        st->mean[i] += (float)(weight * sum / (double)n_px);
    }
    return 0;
}

static int plan(const Maker *m, int w, int h, MienNet **net)
{
    const char *names[MIEN_PRESET_MAX_LAYERS];
    MienNetParams np = MIEN_NET_DEFAULTS;
    for (int i = 0; i < m->preset->info.n_layers; i++)
        names[i] = m->preset->layer[i].name;
    np.exec = m->params->exec;
    np.log = m->params->log;
    np.w_px = w;
    np.h_px = h;
    np.outputs = names;
    np.n_outputs = m->preset->info.n_layers;
    return mien_net_create(net, m->model, &np);
}

static int add_picture(Maker *m, const MienImage *img, int i_scale, double weight)
{
    MienPreset *p = m->preset;
    MienNet *net;
    MienShape s;
    int w, h;
    fit(img, p->info.settings.size_px / p->scale[i_scale], &w, &h);
    if (w < MIN_SIDE_PX || h < MIN_SIDE_PX)
        return mien_fail(m->params->log, MIEN_ERR(EINVAL),
                         "preset %s: at scale 1/%d the picture would be %dx%d, %d pixels a side are the least: a larger size or fewer scales are wanted",
                         p->name, p->scale[i_scale], w, h, MIN_SIDE_PX);
    int ret = plan(m, w, h, &net);
    if (ret < 0)
        return ret;
    ret = resize(m, img, mien_net_input(net, NULL), w, h);
    if (ret >= 0)
        ret = mien_net_run(net);
    for (int i = 0; i < p->info.n_layers && ret >= 0; i++) {
        const float *f = mien_net_output(net, i, &s);
        float *gram = mien_malloc_array((size_t)s.c * (size_t)s.c, sizeof(*gram));
        ret = gram ? add_stats(m, f, s, weight, gram, &p->stats[i][i_scale]) : MIEN_ERR(ENOMEM);
        mien_free(gram);
    }
    mien_net_destroy(&net);
    return ret;
}

/* A picture of independent pixels, evenly distributed, as a measure for traces that holds for every network. */
static int noise_traces(Maker *m)
{
    MienNet *net;
    MienShape s;
    uint32_t state = 1;
    int ret = plan(m, NOISE_PX, NOISE_PX, &net);
    if (ret < 0)
        return ret;
    float *x = mien_net_input(net, &s);
    for (size_t i = 0; i < mien_shape_elems(s); i++) {
        state = state * 1664525u + 1013904223u; /* Numerical Recipes' generator: any will do */
        x[i] = (float)(state >> 8) / 16777216.0f;
    }
    ret = mien_net_run(net);
    for (int i = 0; i < m->preset->info.n_layers && ret >= 0; i++) {
        const float *f = mien_net_output(net, i, &s);
        double sum = 0;
        for (size_t k = 0; k < mien_shape_elems(s); k++)
            sum += (double)f[k] * (double)f[k];
        m->noise_trace[i] = sum / ((double)s.h * s.w);
    }
    mien_net_destroy(&net);
    return ret;
}

static int grade(Maker *m)
{
    MienPreset *p = m->preset;
    double mean = 0;
    int ret = noise_traces(m), n = 0;
    for (int i = 0; i < p->info.n_layers && ret >= 0; i++) {
        int c = p->layer[i].channels;
        double trace = 0;
        for (int k = 0; k < c; k++)
            trace += (double)p->stats[i][0].gram[k * c + k];
        if (m->noise_trace[i] > 0) {
            mean += trace / m->noise_trace[i];
            n++;
        }
    }
    mieni_preset_grade(p, n ? mean / n : 0);
    return ret;
}

static int make_thumbnail(Maker *m, const MienImage *img)
{
    MienPreset *p = m->preset;
    fit(img, THUMB_PX, &p->thumb_w, &p->thumb_h);
    size_t n = (size_t)p->thumb_w * (size_t)p->thumb_h * 3;
    float *rgb = mien_malloc_array(n, sizeof(*rgb));
    p->thumb = mien_malloc(n);
    int ret = rgb && p->thumb ? resize(m, img, rgb, p->thumb_w, p->thumb_h) : MIEN_ERR(ENOMEM);
    for (size_t i = 0; i < n && ret >= 0; i++)
        p->thumb[i] = (uint8_t)lrintf(255 * fminf(fmaxf(rgb[i], 0), 1));
    mien_free(rgb);
    return ret;
}

/* ---- what is to be made */

static int model_output(const MienModel *model, const char *name)
{
    int i = mien_model_n_outputs(model) - 1;
    while (i >= 0 && strcmp(mien_model_output_name(model, i), name))
        i--;
    return i;
}

/* A network that takes RGB in 0..1, any size. */
static int check_model(Maker *m)
{
    const MienModel *model = m->model;
    const char *role = mien_model_meta(model, "role"), *path = mien_model_path(model);
    MienLog log = m->params->log;
    if (!role || strcmp(role, "features"))
        return mien_fail(log, MIEN_E_MODEL, "%s: is no feature network but one for %s", path, role ? role : "?");
    int ret = mieni_input_parse(&m->input, mien_model_meta(model, "input.channels"), mien_model_meta(model, "input.mean"),
                                mien_model_meta(model, "input.scale"));
    for (int i = 0; i < 3 && ret >= 0; i++)
        if (m->input.n_channels != 3 || m->input.bgr || m->input.mean[i] != 0 || fabsf(m->input.scale[i] * 255 - 1) > 1e-4f)
            ret = MIEN_E_MODEL;
    if (ret < 0)
        return mien_fail(log, MIEN_E_MODEL, "%s: does not take RGB in 0..1, as feature networks for styles do", path);
    return 0;
}

/* The channels of a layer: a net of the smallest size tells. */
static int layer_channels(const Maker *m, const char *name, int *channels)
{
    MienNetParams np = MIEN_NET_DEFAULTS;
    MienNet *net;
    MienShape s;
    np.log = m->params->log;
    np.w_px = np.h_px = 2 * MIN_SIDE_PX;
    np.outputs = &name;
    np.n_outputs = 1;
    int ret = mien_net_create(&net, m->model, &np);
    if (ret < 0)
        return ret;
    mien_net_output(net, 0, &s);
    mien_net_destroy(&net);
    *channels = s.c;
    return s.c <= MIEN_PRESET_MAX_CHANNELS ? 0
                                           : mien_fail(m->params->log, MIEN_E_SHAPE, "layer %s has %d channels, %d are the most", name, s.c,
                                                       MIEN_PRESET_MAX_CHANNELS);
}

static int add_layers(Maker *m)
{
    static const MienPresetLayer usual[] = { { "relu1_1", 0, 1 }, { "relu2_1", 0, 1 }, { "relu3_1", 0, 1 }, { "relu4_1", 0, 1 } };
    const MienPresetMakeParams *q = m->params;
    const MienPresetLayer *list = q->layers ? q->layers : usual;
    int n = q->layers ? q->n_layers : (int)MIEN_ARRAY_ELEMS(usual), ret = 0;
    for (int i = 0; i < n && ret >= 0; i++) {
        int channels;
        if (model_output(m->model, list[i].name) < 0) {
            if (q->layers)
                return mien_fail(q->log, MIEN_E_NOTFOUND, "%s: the network has no layer %s", mien_model_path(m->model), list[i].name);
            continue;
        }
        if ((ret = layer_channels(m, list[i].name, &channels)) >= 0)
            ret = mieni_preset_add_layer(m->preset, list[i].name, channels, list[i].weight);
    }
    if (ret >= 0 && !m->preset->info.n_layers)
        return mien_fail(q->log, MIEN_E_NOTFOUND, "%s: the network has none of the usual layers relu1_1 ... relu4_1: say which are meant",
                         mien_model_path(m->model));
    return ret;
}

static int set_name(MienPreset *p, const char *name, MienLog log)
{
    if (!name || !mieni_preset_name_ok(name))
        return mien_fail(log, MIEN_ERR(EINVAL), "a preset's name is 1 to %d letters, digits, '.', '_' or '-', not \"%.100s\"",
                         MIENI_PRESET_NAME_BYTES - 1, name ? name : "");
    snprintf(p->name, sizeof(p->name), "%s", name);
    return 0;
}

static int prepare(Maker *m)
{
    const MienPresetMakeParams *q = m->params;
    MienPreset *p = m->preset;
    const char *text[MIENI_N_TEXTS] = { q->title, q->artist, q->year, q->license, q->source };
    const char *network = mien_model_meta(m->model, "name");
    int ret = set_name(p, q->name, q->log);
    if (ret < 0 || (ret = check_model(m)) < 0)
        return ret;
    for (int i = 0; i < MIENI_N_TEXTS && ret >= 0; i++)
        ret = mieni_preset_set_text(p, i, text[i]);
    if (ret < 0)
        return ret;
    if (q->n_scales < 1 || q->n_scales > MIEN_PRESET_MAX_SCALES || q->n_layers < 0 || q->n_layers > MIEN_PRESET_MAX_LAYERS)
        return mien_fail(q->log, MIEN_ERR(EINVAL), "preset %s: 1 to %d scales and up to %d layers are possible", p->name,
                         MIEN_PRESET_MAX_SCALES, MIEN_PRESET_MAX_LAYERS);
    p->info.settings = q->settings;
    p->info.n_scales = q->n_scales;
    for (int s = 0; s < q->n_scales; s++)
        p->scale[s] = 1 << s;
    snprintf(p->network_name, sizeof(p->network_name), "%s", network ? network : "?");
    snprintf(p->network_sha256, sizeof(p->network_sha256), "%s", mien_model_hash(m->model));
    if (model_output(m->model, q->settings.content_layer) < 0)
        return mien_fail(q->log, MIEN_E_NOTFOUND, "%s: the network has no layer %s for the content", mien_model_path(m->model),
                         q->settings.content_layer);
    return add_layers(m);
}

int mien_preset_make(MienPreset **preset, MienModel *model, const MienImage *pictures, int n_pictures,
                     const MienPresetMakeParams *params)
{
    Maker m = { .params = params, .model = model, .preset = mieni_preset_new("") };
    *preset = NULL;
    int ret = m.preset ? 0 : MIEN_ERR(ENOMEM);
    if (ret >= 0 && n_pictures < 1)
        ret = mien_fail(params->log, MIEN_ERR(EINVAL), "a preset is made from at least one picture");
    for (int k = 0; k < n_pictures && ret >= 0; k++)
        if (mien_image_check(&pictures[k]) < 0)
            ret = mien_fail(params->log, MIEN_ERR(EINVAL), "picture %d has no usable size", k + 1);
    if (ret >= 0)
        ret = prepare(&m);
    if (ret >= 0)
        m.preset->info.n_pictures = n_pictures;
    for (int k = 0; k < n_pictures && ret >= 0; k++)
        for (int s = 0; s < params->n_scales && ret >= 0; s++)
            ret = add_picture(&m, &pictures[k], s, 1.0 / n_pictures);
    if (ret >= 0)
        ret = grade(&m);
    if (ret >= 0)
        ret = make_thumbnail(&m, &pictures[0]);
    if (ret >= 0)
        ret = mieni_preset_check(m.preset, m.preset->name, params->log);
    mieni_resizer_uninit(&m.resizer);
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(params->log, ret, "preset %s: out of memory", params->name ? params->name : "");
    if (ret < 0)
        mien_preset_unref(&m.preset);
    *preset = m.preset;
    return ret;
}

/* ---- blending */

/* The first's layers must be every other's. */
static int check_kin(MienPreset *const *presets, int n, MienLog log)
{
    const MienPreset *a = presets[0];
    for (int k = 1; k < n; k++) {
        const MienPreset *b = presets[k];
        if (strcmp(a->network_sha256, b->network_sha256))
            return mien_fail(log, MIEN_E_MISMATCH, "presets %s and %s were made by different feature networks, %s (%.12s) and %s (%.12s)",
                             a->name, b->name, a->network_name, a->network_sha256, b->network_name, b->network_sha256);
        for (int i = 0; i < a->info.n_layers || i < b->info.n_layers; i++)
            if (i >= a->info.n_layers || i >= b->info.n_layers || strcmp(a->layer[i].name, b->layer[i].name))
                return mien_fail(log, MIEN_E_MISMATCH, "presets %s and %s have different layers", a->name, b->name);
    }
    return 0;
}

static int scale_index(const MienPreset *p, int scale)
{
    for (int s = 0; s < p->info.n_scales; s++)
        if (p->scale[s] == scale)
            return s;
    return -1;
}

static void common_scales(MienPreset *to, MienPreset *const *presets, int n)
{
    for (int s = 0; s < presets[0]->info.n_scales; s++) {
        int all = 1;
        for (int k = 1; k < n; k++)
            all &= scale_index(presets[k], presets[0]->scale[s]) >= 0;
        if (all)
            to->scale[to->info.n_scales++] = presets[0]->scale[s];
    }
}

static void blend_stats(MienPreset *to, const MienPreset *from, double weight)
{
    for (int i = 0; i < to->info.n_layers; i++) {
        size_t c = (size_t)to->layer[i].channels;
        to->layer[i].weight += weight * from->layer[i].weight;
        for (int s = 0; s < to->info.n_scales; s++) {
            const MieniPresetStats *a = &from->stats[i][scale_index(from, to->scale[s])];
            for (size_t k = 0; k < c * c; k++)
                to->stats[i][s].gram[k] += (float)(weight * (double)a->gram[k]);
            for (size_t k = 0; k < c; k++)
                to->stats[i][s].mean[k] += (float)(weight * (double)a->mean[k]);
        }
    }
}

/* The thumbnail shows the presets side by side, each as wide as its weight. */
static int blend_thumbs(MienPreset *to, MienPreset *const *presets, const double *weight, int n)
{
    int w = 0, h = 0;
    for (int k = 0; k < n; k++) {
        if (!presets[k]->thumb)
            return 0;
        w = presets[k]->thumb_w > w ? presets[k]->thumb_w : w;
        h = presets[k]->thumb_h > h ? presets[k]->thumb_h : h;
    }
    if (!(to->thumb = mien_malloc((size_t)w * (size_t)h * 3)))
        return MIEN_ERR(ENOMEM);
    to->thumb_w = w;
    to->thumb_h = h;
    for (int x = 0; x < w; x++) {
        double right = 0;
        int k = 0;
        while (k < n - 1 && (x + 0.5) / w >= (right += weight[k]))
            k++;
        const MienPreset *p = presets[k];
        for (int y = 0; y < h; y++)
            memcpy(to->thumb + 3 * ((size_t)y * (size_t)w + (size_t)x),
                   p->thumb + 3 * ((size_t)(y * p->thumb_h / h) * (size_t)p->thumb_w + (size_t)(x * p->thumb_w / w)), 3);
    }
    return 0;
}

static int blend_texts(MienPreset *to, MienPreset *const *presets, const double *weight, int n)
{
    for (int i = 0; i < MIENI_N_TEXTS; i++) {
        char text[MIENI_PRESET_TEXT_BYTES] = "";
        for (int k = 0; k < n; k++) {
            const char *s = presets[k]->text[i] ? presets[k]->text[i] : "";
            size_t at = strlen(text);
            if (i == MIENI_TEXT_TITLE)
                snprintf(text + at, sizeof(text) - at, "%s%s:%.2f", k ? " " : "", presets[k]->name, weight[k]);
            else if (*s && !strstr(text, s))
                snprintf(text + at, sizeof(text) - at, "%s%s", at ? "; " : "", s);
        }
        int ret = mieni_preset_set_text(to, i, text);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int blend_into(MienPreset *to, MienPreset *const *presets, const double *weight, int n)
{
    const MienPreset *a = presets[0], *most = a;
    MienPresetSettings *set = &to->info.settings;
    double trace = 0, best = 0, iterations = 0, size_px = 0;
    int ret = blend_texts(to, presets, weight, n);
    memcpy(to->network_name, a->network_name, sizeof(to->network_name));
    memcpy(to->network_sha256, a->network_sha256, sizeof(to->network_sha256));
    common_scales(to, presets, n);
    for (int i = 0; i < a->info.n_layers && ret >= 0; i++)
        ret = mieni_preset_add_layer(to, a->layer[i].name, a->layer[i].channels, 0);
    if (ret < 0)
        return ret;
    to->info.n_pictures = 0;
    set->strength = set->content_weight = set->tv = 0;
    for (int k = 0; k < n; k++) {
        const MienPresetSettings *s = &presets[k]->info.settings;
        blend_stats(to, presets[k], weight[k]);
        set->strength += weight[k] * s->strength;
        set->content_weight += weight[k] * s->content_weight;
        set->tv += weight[k] * s->tv;
        iterations += weight[k] * s->iterations;
        size_px += weight[k] * s->size_px;
        trace += weight[k] * presets[k]->info.trace;
        to->info.n_pictures += presets[k]->info.n_pictures;
        if (weight[k] > best) {
            best = weight[k];
            most = presets[k];
        }
    }
    set->iterations = (int)lrint(iterations);
    set->size_px = (int)lrint(size_px);
    memcpy(set->content_layer, most->info.settings.content_layer, sizeof(set->content_layer));
    mieni_preset_grade(to, trace);
    return blend_thumbs(to, presets, weight, n);
}

int mien_preset_blend(MienPreset **preset, MienPreset *const *presets, const double *weight, int n, const char *name, MienLog log)
{
    double sum = 0, *part = NULL;
    *preset = NULL;
    for (int k = 0; k < n; k++)
        sum += weight[k] >= 0 && weight[k] <= 1e6 ? weight[k] : NAN;
    if (n < 1 || !(sum > 0))
        return mien_fail(log, MIEN_ERR(EINVAL), "the weights of a blend are numbers from 0 to 1e6, not all 0");
    int ret = check_kin(presets, n, log);
    if (ret < 0)
        return ret;
    MienPreset *to = mieni_preset_new("");
    part = mien_malloc_array((size_t)n, sizeof(*part));
    ret = to && part ? set_name(to, name, log) : MIEN_ERR(ENOMEM);
    for (int k = 0; k < n && part; k++)
        part[k] = weight[k] / sum;
    if (ret >= 0)
        ret = blend_into(to, presets, part, n);
    if (ret >= 0)
        ret = mieni_preset_check(to, name, log);
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(log, ret, "preset %s: out of memory", name ? name : "");
    mien_free(part);
    if (ret < 0)
        mien_preset_unref(&to);
    *preset = to;
    return ret;
}
