/* Presets: memory, checks, reading. The file is a safetensors file with a JSON text in its metadata (docs/format-preset.md); it may
 * come from anybody, so nothing in it is believed. Writing is write.c, making make.c, finding find.c. */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "mien/weights.h"
#include "preset_int.h"

#define MAX_WEIGHT 1e6
#define MAX_PICTURES 1000000
/* Rounding to f32 may break |G_ij| <= sqrt(G_ii·G_jj) by this part. */
#define CAUCHY_SLACK 1e-3

const char *const mieni_preset_text_key[MIENI_N_TEXTS] = { "title", "artist", "year", "license", "source" };

/* ---- memory */

static void point_info(MienPreset *p)
{
    const char **text[MIENI_N_TEXTS] = { &p->info.title, &p->info.artist, &p->info.year, &p->info.license, &p->info.source };
    for (int i = 0; i < MIENI_N_TEXTS; i++)
        *text[i] = p->text[i] ? p->text[i] : "";
    p->info.path = p->path;
    p->info.name = p->name;
    p->info.network_name = p->network_name;
    p->info.network_sha256 = p->network_sha256;
}

static void free_preset(MienPreset *p)
{
    for (int i = 0; i < MIENI_N_TEXTS; i++)
        mien_free(p->text[i]);
    for (int i = 0; i < MIEN_PRESET_MAX_LAYERS; i++)
        for (int s = 0; s < MIEN_PRESET_MAX_SCALES; s++) {
            mien_free(p->stats[i][s].gram);
            mien_free(p->stats[i][s].mean);
        }
    mien_free(p->thumb);
    mien_free(p->path);
    mien_free(p);
}

MienPreset *mieni_preset_new(const char *path)
{
    MienPreset *p = mien_calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->refs = 1;
    p->info.settings = (MienPresetSettings)MIEN_PRESET_SETTINGS_DEFAULTS;
    p->info.n_pictures = 1;
    if (!(p->path = mien_strdup(path))) {
        mien_free(p);
        return NULL;
    }
    point_info(p);
    return p;
}

int mieni_preset_set_text(MienPreset *p, int i_text, const char *s)
{
    char *copy = mien_strndup(s ? s : "", MIENI_PRESET_TEXT_BYTES - 1);
    if (!copy)
        return MIEN_ERR(ENOMEM);
    mien_free(p->text[i_text]);
    p->text[i_text] = copy;
    point_info(p);
    return 0;
}

int mieni_preset_add_layer(MienPreset *p, const char *name, int channels, double weight)
{
    int i = p->info.n_layers++;
    snprintf(p->layer_name[i], sizeof(p->layer_name[i]), "%s", name);
    p->layer[i] = (MienPresetLayer){ p->layer_name[i], channels, weight };
    for (int s = 0; s < p->info.n_scales; s++) {
        p->stats[i][s].gram = mien_calloc((size_t)channels * (size_t)channels, sizeof(float));
        p->stats[i][s].mean = mien_calloc((size_t)channels, sizeof(float));
        if (!p->stats[i][s].gram || !p->stats[i][s].mean)
            return MIEN_ERR(ENOMEM);
    }
    return 0;
}

MienPreset *mien_preset_ref(MienPreset *p)
{
    __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
    return p;
}

void mien_preset_unref(MienPreset **pp)
{
    if (!pp || !*pp)
        return;
    if (__atomic_sub_fetch(&(*pp)->refs, 1, __ATOMIC_ACQ_REL) == 0)
        free_preset(*pp);
    *pp = NULL;
}

/* ---- what a preset must be */

int mieni_preset_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n >= 1 && n < MIENI_PRESET_NAME_BYTES && *name != '.' &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

/* Of an activation: printable ASCII without blanks. */
static int layer_name_ok(const char *name)
{
    size_t n = strlen(name), i = 0;
    while (i < n && name[i] > ' ' && name[i] <= '~')
        i++;
    return n >= 1 && n < MIENI_PRESET_NAME_BYTES && i == n;
}

static int in_range(double x, double lo, double hi)
{
    return x >= lo && x <= hi; /* NaN is not */
}

static int check_settings(const MienPresetSettings *s, const char *file, MienLog log)
{
    const char *bad = !in_range(s->strength, 0, MAX_WEIGHT)         ? "strength"
                      : !in_range(s->content_weight, 0, MAX_WEIGHT) ? "content_weight"
                      : !in_range(s->tv, 0, MAX_WEIGHT)             ? "tv"
                      : !layer_name_ok(s->content_layer)            ? "content_layer"
                      : s->iterations < 1 || s->iterations > 10000  ? "iterations"
                      : s->size_px < 16 || s->size_px > 16384       ? "size_px"
                                                                    : NULL;
    return bad ? mien_fail(log, MIEN_E_FORMAT, "%s: the setting %s is missing or out of range", file, bad) : 0;
}

static int finite_all(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!isfinite(x[i]))
            return 0;
    return 1;
}

/* Finite, and as products of real features must be: G_ii >= 0, |G_ij| <= sqrt(G_ii·G_jj), mean_i <= sqrt(G_ii). */
static const char *gram_fault(const MieniPresetStats *st, int c)
{
    double trace = 0;
    if (!finite_all(st->gram, (size_t)c * (size_t)c) || !finite_all(st->mean, (size_t)c))
        return "has a number that is NaN or infinite";
    for (int i = 0; i < c; i++) {
        double ii = (double)st->gram[i * c + i], m = (double)st->mean[i];
        trace += ii;
        if (ii < 0 || m * m > ii * (1 + CAUCHY_SLACK) + 1e-30)
            return "is no Gram matrix (its diagonal is too small)";
        for (int j = 0; j < i; j++) {
            double ij = (double)st->gram[i * c + j], jj = (double)st->gram[j * c + j];
            if (ij * ij > ii * jj * (1 + CAUCHY_SLACK) + 1e-30)
                return "is no Gram matrix (a number is larger than its row and column allow)";
        }
    }
    return trace > 0 ? NULL : "is zero: there is nothing in this picture";
}

int mieni_preset_check(const MienPreset *p, const char *file, MienLog log)
{
    int ret = check_settings(&p->info.settings, file, log);
    if (ret < 0)
        return ret;
    if (p->info.n_pictures < 1 || p->info.n_pictures > MAX_PICTURES)
        return mien_fail(log, MIEN_E_FORMAT, "%s: the number of pictures is out of range", file);
    if (!in_range(p->info.trace, 0, 1e12))
        return mien_fail(log, MIEN_E_FORMAT, "%s: trace is missing or out of range", file);
    double sum = 0;
    for (int i = 0; i < p->info.n_layers; i++) {
        if (!in_range(p->layer[i].weight, 0, MAX_WEIGHT))
            return mien_fail(log, MIEN_E_FORMAT, "%s: layer %s: its weight is missing or out of range", file, p->layer[i].name);
        sum += p->layer[i].weight;
        for (int k = 0; k < i; k++)
            if (!strcmp(p->layer[k].name, p->layer[i].name))
                return mien_fail(log, MIEN_E_FORMAT, "%s: layer %s stands twice", file, p->layer[i].name);
        for (int s = 0; s < p->info.n_scales; s++) {
            const char *fault = gram_fault(&p->stats[i][s], p->layer[i].channels);
            if (fault)
                return mien_fail(log, MIEN_E_FORMAT, "%s: gram.%d.%s %s", file, p->scale[s], p->layer[i].name, fault);
        }
    }
    if (!(sum > 0))
        return mien_fail(log, MIEN_E_FORMAT, "%s: all layers have weight 0", file);
    return 0;
}

/* A measure among presets, not an absolute one: a quarter of this project's lie below the one limit, a quarter above the other. */
void mieni_preset_grade(MienPreset *p, double trace)
{
    p->info.trace = trace;
    p->info.flicker = trace >= 0.6 ? MIEN_FLICKER_LOW : trace >= 0.4 ? MIEN_FLICKER_MEDIUM : MIEN_FLICKER_HIGH;
}

const char *mien_flicker_name(MienPresetFlicker flicker)
{
    return flicker == MIEN_FLICKER_LOW ? "low" : flicker == MIEN_FLICKER_MEDIUM ? "medium" : "high";
}

/* ---- reading the JSON */

typedef struct Reading {
    MienPreset *p;
    const char *file;
    const MienWeights *w;
    size_t n_known; /* tensors that belong to something */
    MienLog log;
} Reading;

/* Every key must be known and stand once: a misspelt one would otherwise pass for its default. */
static int check_keys(const Reading *r, const cJSON *object, const char *what, const char *const *known, size_t n_known)
{
    const cJSON *item, *other;
    if (!cJSON_IsObject(object))
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: %s is missing or no JSON object", r->file, what);
    cJSON_ArrayForEach(item, object) {
        size_t i = 0;
        while (i < n_known && strcmp(known[i], item->string))
            i++;
        if (i == n_known)
            return mien_fail(r->log, MIEN_E_FORMAT, "%s: %s has an unknown key \"%.64s\"", r->file, what, item->string);
        for (other = object->child; other != item; other = other->next)
            if (!strcmp(other->string, item->string))
                return mien_fail(r->log, MIEN_E_FORMAT, "%s: in %s the key %s stands twice", r->file, what, item->string);
    }
    return 0;
}

static double number_of(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* A whole number, or -1. */
static int whole_of(const cJSON *object, const char *key)
{
    double x = number_of(object, key);
    return in_range(x, 0, 1e9) && x == floor(x) ? (int)x : -1;
}

static const char *string_of(const cJSON *object, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
    return s ? s : "";
}

static int read_texts(const Reading *r, const cJSON *root)
{
    for (int i = 0; i < MIENI_N_TEXTS; i++) {
        const char *s = string_of(root, mieni_preset_text_key[i]);
        if (strlen(s) >= MIENI_PRESET_TEXT_BYTES)
            return mien_fail(r->log, MIEN_E_FORMAT, "%s: %s is longer than %d bytes", r->file, mieni_preset_text_key[i],
                             MIENI_PRESET_TEXT_BYTES - 1);
        int ret = mieni_preset_set_text(r->p, i, s);
        if (ret < 0)
            return ret;
    }
    return 0;
}

static int read_network(const Reading *r, const cJSON *root)
{
    static const char *const keys[] = { "name", "sha256" };
    const cJSON *net = cJSON_GetObjectItemCaseSensitive(root, "network");
    int ret = check_keys(r, net, "network", keys, MIEN_ARRAY_ELEMS(keys));
    if (ret < 0)
        return ret;
    const char *name = string_of(net, "name"), *hash = string_of(net, "sha256");
    if (!layer_name_ok(name) || strlen(hash) != 64 || strspn(hash, "0123456789abcdef") != 64)
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: network lacks a name or a SHA-256", r->file);
    snprintf(r->p->network_name, sizeof(r->p->network_name), "%s", name);
    snprintf(r->p->network_sha256, sizeof(r->p->network_sha256), "%s", hash);
    return 0;
}

static int read_settings(const Reading *r, const cJSON *root)
{
    static const char *const keys[] = { "strength", "content_weight", "tv", "content_layer", "iterations", "size_px" };
    const cJSON *json = cJSON_GetObjectItemCaseSensitive(root, "settings");
    MienPresetSettings *s = &r->p->info.settings;
    int ret = check_keys(r, json, "settings", keys, MIEN_ARRAY_ELEMS(keys));
    if (ret < 0)
        return ret;
    s->strength = number_of(json, "strength");
    s->content_weight = number_of(json, "content_weight");
    s->tv = number_of(json, "tv");
    const char *layer = string_of(json, "content_layer");
    snprintf(s->content_layer, sizeof(s->content_layer), "%s", layer_name_ok(layer) ? layer : "");
    s->iterations = whole_of(json, "iterations");
    s->size_px = whole_of(json, "size_px");
    return 0;
}

static int read_scales(const Reading *r, const cJSON *root)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "scales"), *item;
    int n = cJSON_GetArraySize(list), before = 0;
    if (!cJSON_IsArray(list) || n < 1 || n > MIEN_PRESET_MAX_SCALES)
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: scales is no list of 1 to %d numbers", r->file, MIEN_PRESET_MAX_SCALES);
    cJSON_ArrayForEach(item, list) {
        double x = cJSON_IsNumber(item) ? item->valuedouble : 0;
        if (!in_range(x, before + 1, 64) || x != floor(x) || (!before && x != 1))
            return mien_fail(r->log, MIEN_E_FORMAT, "%s: scales should be 1 and then rising whole numbers up to 64", r->file);
        r->p->scale[r->p->info.n_scales++] = before = (int)x;
    }
    return 0;
}

/* ---- reading the tensors */

static const float *need_vector(Reading *r, const char *kind, int scale, const char *layer, int64_t n, int64_t *n_got)
{
    char name[MIENI_PRESET_NAME_BYTES + 32];
    const float *data;
    snprintf(name, sizeof(name), "%s.%d.%s", kind, scale, layer);
    if (mien_weights_need(r->w, name, 1, &n, &data, r->log) < 0)
        return NULL;
    if (n_got)
        *n_got = mien_weights_find(r->w, name)->dim[0];
    r->n_known++;
    return data;
}

static int read_layer_stats(Reading *r, int i)
{
    MienPreset *p = r->p;
    int c = p->layer[i].channels;
    for (int s = 0; s < p->info.n_scales; s++) {
        const float *mean = need_vector(r, "mean", p->scale[s], p->layer[i].name, c, NULL);
        const float *tri = mean ? need_vector(r, "gram", p->scale[s], p->layer[i].name, (int64_t)mieni_triangle_elems(c), NULL) : NULL;
        if (!tri)
            return MIEN_E_FORMAT;
        memcpy(p->stats[i][s].mean, mean, (size_t)c * sizeof(*mean));
        for (int a = 0; a < c; a++)
            for (int b = a; b < c; b++)
                p->stats[i][s].gram[a * c + b] = p->stats[i][s].gram[b * c + a] = *tri++;
    }
    return 0;
}

static int read_layers(Reading *r, const cJSON *root)
{
    static const char *const keys[] = { "name", "weight" };
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "layers"), *item;
    int n = cJSON_GetArraySize(list), ret;
    if (!cJSON_IsArray(list) || n < 1 || n > MIEN_PRESET_MAX_LAYERS)
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: layers is no list of 1 to %d layers", r->file, MIEN_PRESET_MAX_LAYERS);
    cJSON_ArrayForEach(item, list) {
        if ((ret = check_keys(r, item, "a layer", keys, MIEN_ARRAY_ELEMS(keys))) < 0)
            return ret;
        const char *name = string_of(item, "name");
        int64_t c;
        if (!layer_name_ok(name))
            return mien_fail(r->log, MIEN_E_FORMAT, "%s: a layer has no usable name", r->file);
        if (!need_vector(r, "mean", 1, name, -1, &c))
            return MIEN_E_FORMAT;
        r->n_known--; /* counted when it is read */
        if (c < 1 || c > MIEN_PRESET_MAX_CHANNELS)
            return mien_fail(r->log, MIEN_E_SHAPE, "%s: layer %s has %lld channels, 1 to %d are allowed", r->file, name, (long long)c,
                             MIEN_PRESET_MAX_CHANNELS);
        if ((ret = mieni_preset_add_layer(r->p, name, (int)c, number_of(item, "weight"))) < 0 ||
            (ret = read_layer_stats(r, r->p->info.n_layers - 1)) < 0)
            return ret;
    }
    return 0;
}

static int read_thumbnail(Reading *r)
{
    const MienTensor *t = mien_weights_find(r->w, "thumbnail");
    if (!t)
        return 0;
    if (t->dtype != MIEN_U8 || t->n_dims != 3 || t->dim[2] != 3 || t->dim[0] < 1 || t->dim[1] < 1 ||
        t->dim[0] > MIEN_PRESET_THUMB_MAX_PX || t->dim[1] > MIEN_PRESET_THUMB_MAX_PX)
        return mien_fail(r->log, MIEN_E_SHAPE, "%s: tensor thumbnail is no U8 picture [h, w, 3] of at most %d pixels a side", r->file,
                         MIEN_PRESET_THUMB_MAX_PX);
    if (!(r->p->thumb = mien_malloc(t->bytes)))
        return MIEN_ERR(ENOMEM);
    memcpy(r->p->thumb, t->data, t->bytes);
    r->p->thumb_h = (int)t->dim[0];
    r->p->thumb_w = (int)t->dim[1];
    r->n_known++;
    return 0;
}

static int check_meta(const Reading *r)
{
    const char *format = mien_weights_meta(r->w, "mien.format"), *role = mien_weights_meta(r->w, "mien.role"),
               *name = mien_weights_meta(r->w, "mien.name");
    if (!format || !role)
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: is no preset (`mien preset make` makes one of a picture)", r->file);
    if (strcmp(role, "preset"))
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: is no preset but a network, for %.64s", r->file, role);
    if (strcmp(format, "1"))
        return mien_fail(r->log, MIEN_E_VERSION, "%s: is a preset of format '%.16s'; this version reads format 1", r->file, format);
    if (!name || !mieni_preset_name_ok(name))
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: the preset has no usable name", r->file);
    snprintf(r->p->name, sizeof(r->p->name), "%s", name);
    return 0;
}

static int read_all(Reading *r, const cJSON *root)
{
    static const char *const keys[] = { "title", "artist", "year", "license", "source", "network", "scales", "layers", "pictures",
                                        "settings", "trace" };
    int ret;
    if ((ret = check_keys(r, root, "the metadata mien.preset", keys, MIEN_ARRAY_ELEMS(keys))) < 0 ||
        (ret = read_texts(r, root)) < 0 || (ret = read_network(r, root)) < 0 || (ret = read_settings(r, root)) < 0 ||
        (ret = read_scales(r, root)) < 0 || (ret = read_layers(r, root)) < 0 || (ret = read_thumbnail(r)) < 0)
        return ret;
    r->p->info.n_pictures = whole_of(root, "pictures");
    mieni_preset_grade(r->p, number_of(root, "trace"));
    if (r->n_known != mien_weights_count(r->w))
        return mien_fail(r->log, MIEN_E_FORMAT, "%s: has %zu tensors, of which %zu belong to a preset", r->file,
                         mien_weights_count(r->w), r->n_known);
    return mieni_preset_check(r->p, r->file, r->log);
}

static int from_weights(MienPreset **preset, const MienWeights *w, const char *file, MienLog log)
{
    Reading r = { .p = mieni_preset_new(file), .file = file, .w = w, .log = log };
    int ret = r.p ? check_meta(&r) : MIEN_ERR(ENOMEM);
    if (ret >= 0) {
        const char *text = mien_weights_meta(w, "mien.preset");
        cJSON *root = text ? cJSON_Parse(text) : NULL;
        ret = read_all(&r, root);
        cJSON_Delete(root);
    }
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(log, ret, "%s: out of memory", file);
    if (ret < 0)
        mien_preset_unref(&r.p);
    *preset = r.p;
    return ret;
}

int mien_preset_parse(MienPreset **preset, const void *data, size_t bytes, const char *name_for_log, MienLog log)
{
    MienWeights *w;
    *preset = NULL;
    int ret = mien_weights_parse(&w, data, bytes, name_for_log, log);
    if (ret >= 0)
        ret = from_weights(preset, w, name_for_log, log);
    mien_weights_close(&w);
    return ret;
}

int mien_preset_open(MienPreset **preset, const char *path, MienLog log)
{
    MienWeights *w;
    *preset = NULL;
    int ret = mien_weights_open(&w, path, log);
    if (ret >= 0)
        ret = from_weights(preset, w, path, log);
    mien_weights_close(&w);
    return ret;
}

/* ---- getters */

const MienPresetInfo *mien_preset_info(const MienPreset *p)
{
    return &p->info;
}

const MienPresetLayer *mien_preset_layer(const MienPreset *p, int i_layer)
{
    return i_layer >= 0 && i_layer < p->info.n_layers ? &p->layer[i_layer] : NULL;
}

int mien_preset_find_layer(const MienPreset *p, const char *name)
{
    for (int i = 0; i < p->info.n_layers; i++)
        if (!strcmp(p->layer[i].name, name))
            return i;
    return MIEN_E_NOTFOUND;
}

int mien_preset_scale(const MienPreset *p, int i_scale)
{
    return i_scale >= 0 && i_scale < p->info.n_scales ? p->scale[i_scale] : 0;
}

const float *mien_preset_gram(const MienPreset *p, int i_layer, int i_scale)
{
    return mien_preset_layer(p, i_layer) && mien_preset_scale(p, i_scale) ? p->stats[i_layer][i_scale].gram : NULL;
}

const float *mien_preset_mean(const MienPreset *p, int i_layer, int i_scale)
{
    return mien_preset_layer(p, i_layer) && mien_preset_scale(p, i_scale) ? p->stats[i_layer][i_scale].mean : NULL;
}

_Static_assert(MIEN_PRESET_MAX_LAYERS <= MIEN_STYLE_MAX_LAYERS, "a preset's layers must fit into a target");

int mien_preset_target(const MienPreset *p, int i_scale, MienStyleTarget *target)
{
    *target = (MienStyleTarget){ .n_layers = 0 };
    if (!mien_preset_scale(p, i_scale))
        return MIEN_E_NOTFOUND;
    for (int i = 0; i < p->info.n_layers; i++)
        target->layer[i] = (MienStyleLayer){ p->layer[i].name, p->layer[i].channels, p->layer[i].weight, p->stats[i][i_scale].gram };
    target->n_layers = p->info.n_layers;
    return 0;
}

void mien_preset_style(const MienPreset *p, MienStyleScales *style)
{
    style->n_scales = p->info.n_scales;
    style->size_px = p->info.settings.size_px;
    for (int i = 0; i < p->info.n_scales; i++) {
        style->divisor[i] = p->scale[i];
        mien_preset_target(p, i, &style->target[i]);
    }
}

int mien_preset_thumbnail(const MienPreset *p, MienImage *img)
{
    if (!p->thumb)
        return MIEN_E_NOTFOUND;
    *img = (MienImage){ .data = p->thumb, .stride_bytes = 3 * (ptrdiff_t)p->thumb_w, .w_px = p->thumb_w, .h_px = p->thumb_h,
                        .pixel = MIEN_PIXEL_RGB8 };
    return 0;
}

int mien_preset_fits(const MienPreset *p, const MienModel *model, MienLog log)
{
    if (!strcmp(p->network_sha256, mien_model_hash(model)))
        return 0; /* the layers were there when it was made */
    const char *name = mien_model_meta(model, "name");
    return mien_fail(log, MIEN_E_MISMATCH, "preset %s was made by the feature network %s (%.12s), not by %s (%.12s)", p->name,
                     p->network_name, p->network_sha256, name ? name : "?", mien_model_hash(model));
}
