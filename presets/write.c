/* Presets become files: JSON text and tensors as in docs/format-preset.md, the same preset always as the same bytes. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "mien/weights.h"
#include "preset_int.h"

#define MAX_TENSORS (2 * MIEN_PRESET_MAX_LAYERS * MIEN_PRESET_MAX_SCALES + 1)

static int add_settings(cJSON *root, const MienPresetSettings *s)
{
    cJSON *j = cJSON_AddObjectToObject(root, "settings");
    return j && cJSON_AddNumberToObject(j, "strength", s->strength) && cJSON_AddNumberToObject(j, "content_weight", s->content_weight) &&
           cJSON_AddNumberToObject(j, "tv", s->tv) && cJSON_AddStringToObject(j, "content_layer", s->content_layer) &&
           cJSON_AddNumberToObject(j, "iterations", s->iterations) && cJSON_AddNumberToObject(j, "size_px", s->size_px);
}

static int add_layers(cJSON *root, const MienPreset *p)
{
    cJSON *list = cJSON_AddArrayToObject(root, "layers");
    for (int i = 0; list && i < p->info.n_layers; i++) {
        cJSON *j = cJSON_CreateObject();
        if (!j || !cJSON_AddItemToArray(list, j) || !cJSON_AddStringToObject(j, "name", p->layer[i].name) ||
            !cJSON_AddNumberToObject(j, "weight", p->layer[i].weight))
            return 0;
    }
    return list != NULL;
}

/* In cJSON's memory; NULL when out of memory. */
static char *json_text(const MienPreset *p)
{
    cJSON *root = cJSON_CreateObject(), *net = NULL;
    char *text = NULL;
    int ok = root != NULL;
    for (int i = 0; ok && i < MIENI_N_TEXTS; i++)
        ok = cJSON_AddStringToObject(root, mieni_preset_text_key[i], p->text[i] ? p->text[i] : "") != NULL;
    ok = ok && (net = cJSON_AddObjectToObject(root, "network")) && cJSON_AddStringToObject(net, "name", p->network_name) &&
         cJSON_AddStringToObject(net, "sha256", p->network_sha256) &&
         cJSON_AddItemToObject(root, "scales", cJSON_CreateIntArray(p->scale, p->info.n_scales)) && add_layers(root, p) &&
         cJSON_AddNumberToObject(root, "pictures", p->info.n_pictures) && add_settings(root, &p->info.settings) &&
         cJSON_AddNumberToObject(root, "trace", p->info.trace);
    if (ok)
        text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return text;
}

typedef struct Pack {
    MienTensor tensor[MAX_TENSORS];
    char name[MAX_TENSORS][MIENI_PRESET_NAME_BYTES + 32];
    size_t n;
    float *triangles; /* all of them, one behind the other */
} Pack;

static void add_vector(Pack *k, const char *kind, int scale, const char *layer, const float *data, size_t n)
{
    snprintf(k->name[k->n], sizeof(k->name[k->n]), "%s.%d.%s", kind, scale, layer);
    k->tensor[k->n] = (MienTensor){ .name = k->name[k->n], .dtype = MIEN_F32, .n_dims = 1, .dim = { (int64_t)n }, .data = data,
                                    .bytes = n * sizeof(float) };
    k->n++;
}

static int collect(Pack *k, const MienPreset *p)
{
    size_t total = 0;
    for (int i = 0; i < p->info.n_layers; i++)
        total += mieni_triangle_elems(p->layer[i].channels) * (size_t)p->info.n_scales;
    float *to = k->triangles = mien_malloc_array(total, sizeof(float));
    if (!to)
        return MIEN_ERR(ENOMEM);
    for (int s = 0; s < p->info.n_scales; s++)
        for (int i = 0; i < p->info.n_layers; i++) {
            int c = p->layer[i].channels;
            const float *from = to;
            for (int a = 0; a < c; a++)
                for (int b = a; b < c; b++)
                    *to++ = p->stats[i][s].gram[a * c + b];
            add_vector(k, "gram", p->scale[s], p->layer[i].name, from, mieni_triangle_elems(c));
            add_vector(k, "mean", p->scale[s], p->layer[i].name, p->stats[i][s].mean, (size_t)c);
        }
    if (p->thumb)
        k->tensor[k->n++] = (MienTensor){ .name = "thumbnail", .dtype = MIEN_U8, .n_dims = 3, .dim = { p->thumb_h, p->thumb_w, 3 },
                                          .data = p->thumb, .bytes = (size_t)p->thumb_h * (size_t)p->thumb_w * 3 };
    return 0;
}

int mien_preset_pack(const MienPreset *p, uint8_t **data, size_t *bytes, MienLog log)
{
    *data = NULL;
    *bytes = 0;
    Pack *k = mien_calloc(1, sizeof(*k));
    char *text = json_text(p);
    int ret = k && text ? collect(k, p) : MIEN_ERR(ENOMEM);
    if (ret >= 0) {
        const MienMeta meta[] = { { "mien.format", "1" }, { "mien.role", "preset" }, { "mien.name", p->name }, { "mien.preset", text } };
        ret = mien_weights_pack(data, bytes, k->tensor, k->n, meta, MIEN_ARRAY_ELEMS(meta), log);
    }
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(log, ret, "preset %s: out of memory", p->name);
    cJSON_free(text);
    if (k)
        mien_free(k->triangles);
    mien_free(k);
    return ret;
}

int mien_preset_write(const MienPreset *p, const char *path, MienLog log)
{
    uint8_t *data;
    size_t bytes;
    int ret = mien_preset_pack(p, &data, &bytes, log);
    if (ret >= 0)
        ret = mieni_file_write_atomic(path, data, bytes, 0644, log);
    mien_free(data);
    return ret;
}
