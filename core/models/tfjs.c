/* TensorFlow.js import: a weight manifest (JSON: groups of files and named, perhaps quantised arrays, as the converter's public
 * format describes) and, since it carries no graph, the one graph that mien knows to go with it: dlib's face recognition
 * ResNet (29 convolutions; D. King, dlib 19.3, 2017), whose structure docs/models.md spells out.
 */
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "mien/error.h"
#include "models/import_int.h"
#include "models/netbuild.h"

#define MAX_JSON_BYTES ((size_t)16 << 20)
#define MAX_DATA_BYTES ((size_t)1 << 30)
#define MAX_ARRAYS 4096

/* ---- the manifest */

typedef struct Array {
    const char *name; /* in the JSON */
    int n_dims;
    int64_t dim[8];
    size_t elems;
    float *f;
} Array;

typedef struct Tfjs {
    MieniBuild build;
    cJSON *json;
    Array *array;
    size_t n_arrays;
    const uint8_t *data;
    size_t bytes, at;
} Tfjs;

static int parse_json(cJSON **json, const char *text, size_t bytes, const char *path, MienLog log)
{
    *json = cJSON_ParseWithLength(text, bytes);
    if (!*json)
        return mien_fail(log, MIEN_E_FORMAT, "%s: not JSON", path);
    if (!cJSON_IsArray(*json) || cJSON_GetArraySize(*json) > MAX_ARRAYS)
        return mien_fail(log, MIEN_E_FORMAT, "%s: not a TensorFlow.js weight manifest (an array of groups)", path);
    return 0;
}

static int append_name(char **names, const char *name)
{
    size_t old = *names ? strlen(*names) : 0, len = strlen(name);
    char *grown = mien_realloc_array(*names, old + len + 2, 1);

    if (!grown)
        return MIEN_ERR(ENOMEM);
    snprintf(grown + old, len + 2, "%s%s", old ? "\n" : "", name);
    *names = grown;
    return 0;
}

int mieni_tfjs_paths(const char *text, size_t text_bytes, const char *path, char **names, MienLog log)
{
    cJSON *json;
    const cJSON *group, *file;

    *names = NULL;
    int ret = parse_json(&json, text, text_bytes, path, log), n = 0;
    if (ret >= 0)
        cJSON_ArrayForEach(group, json)
            cJSON_ArrayForEach(file, cJSON_GetObjectItemCaseSensitive(group, "paths")) {
                const char *s = cJSON_GetStringValue(file);
                if (ret < 0)
                    continue;
                if (!s || !*s || strlen(s) > 255 || strchr(s, '/') || strchr(s, '\n') || *s == '.' || ++n > 256)
                    ret = mien_fail(log, MIEN_E_FORMAT, "%s: the manifest names a file that is no plain file name", path);
                else if ((ret = append_name(names, s)) < 0)
                    mien_fail(log, ret, "%s: out of memory", path);
            }
    if (ret >= 0 && !*names)
        ret = mien_fail(log, MIEN_E_FORMAT, "%s: the manifest names no files", path);
    if (ret < 0) {
        mien_free(*names);
        *names = NULL;
    }
    cJSON_Delete(json);
    return ret;
}

static int parse_shape(const Tfjs *t, const cJSON *shape, Array *a)
{
    const cJSON *item;

    a->elems = 1;
    if (!cJSON_IsArray(shape))
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "it has no shape");
    cJSON_ArrayForEach(item, shape) {
        double d = cJSON_IsNumber(item) ? item->valuedouble : -1;
        if (a->n_dims == 8 || !(d >= 1 && d <= 2147483647.0) || d != floor(d) || a->elems > MAX_DATA_BYTES / (size_t)d)
            return mieni_build_fail(&t->build, MIEN_E_FORMAT, "its shape is no list of up to 8 sensible sizes");
        a->dim[a->n_dims++] = (int64_t)d;
        a->elems *= (size_t)d;
    }
    return 0;
}

/* Bytes of one stored number: 1 or 2 where it is quantised, else 4. */
static int parse_quantization(const Tfjs *t, const cJSON *weight, int *stored_bytes, double *scale, double *min)
{
    const cJSON *q = cJSON_GetObjectItemCaseSensitive(weight, "quantization");
    const char *dtype = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(q ? q : weight, "dtype"));
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(q, "scale"), *m = cJSON_GetObjectItemCaseSensitive(q, "min");

    *stored_bytes = 4;
    if (!dtype)
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "it has no dtype");
    if (!q)
        return strcmp(dtype, "float32") ? mieni_build_fail(&t->build, MIEN_E_UNSUPPORTED, "its dtype is not float32") : 0;
    *stored_bytes = !strcmp(dtype, "uint8") ? 1 : !strcmp(dtype, "uint16") ? 2 : 0;
    if (!*stored_bytes)
        return mieni_build_fail(&t->build, MIEN_E_UNSUPPORTED, "it is not quantised to uint8 or uint16");
    if (!cJSON_IsNumber(s) || !cJSON_IsNumber(m) || !isfinite(s->valuedouble) || !isfinite(m->valuedouble))
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "its quantisation has no scale and min");
    *scale = s->valuedouble;
    *min = m->valuedouble;
    return 0;
}

static float stored_value(const uint8_t *p, int stored_bytes, double scale, double min)
{
    uint32_t bits = 0;
    float f;

    for (int i = 0; i < stored_bytes; i++)
        bits |= (uint32_t)p[i] << (8 * i);
    if (stored_bytes < 4)
        return (float)(bits * scale + min);
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static int parse_array(Tfjs *t, const cJSON *weight)
{
    Array *a = &t->array[t->n_arrays];
    double scale = 1, min = 0;
    int stored;

    a->name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(weight, "name"));
    snprintf(t->build.where, sizeof(t->build.where), "array \"%.200s\"", a->name ? a->name : "?");
    if (!a->name || !*a->name)
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "it has no name");
    for (size_t i = 0; i < t->n_arrays; i++)
        if (!strcmp(t->array[i].name, a->name))
            return mieni_build_fail(&t->build, MIEN_E_FORMAT, "there are two of this name");
    int ret = parse_shape(t, cJSON_GetObjectItemCaseSensitive(weight, "shape"), a);
    if (ret < 0 || (ret = parse_quantization(t, weight, &stored, &scale, &min)) < 0)
        return ret;
    if (a->elems > (t->bytes - t->at) / (size_t)stored)
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "%zu numbers of %d byte(s) are wanted, %zu bytes are left in the file",
                                a->elems, stored, t->bytes - t->at);
    a->f = mien_malloc_array(a->elems, sizeof(*a->f));
    if (!a->f)
        return mieni_build_fail(&t->build, MIEN_ERR(ENOMEM), "out of memory");
    t->n_arrays++;
    for (size_t i = 0; i < a->elems; i++, t->at += (size_t)stored) {
        a->f[i] = stored_value(t->data + t->at, stored, scale, min);
        if (!isfinite(a->f[i]))
            return mieni_build_fail(&t->build, MIEN_E_FORMAT, "a number is NaN or infinite");
    }
    return 0;
}

static int parse_manifest(Tfjs *t, const char *text, size_t text_bytes)
{
    const cJSON *group, *weight;
    size_t n = 0;

    int ret = parse_json(&t->json, text, text_bytes, t->build.file, t->build.log);
    if (ret < 0)
        return ret;
    cJSON_ArrayForEach(group, t->json)
        cJSON_ArrayForEach(weight, cJSON_GetObjectItemCaseSensitive(group, "weights"))
            n++;
    if (n == 0 || n > MAX_ARRAYS)
        return mieni_build_fail(&t->build, MIEN_E_FORMAT, "the manifest lists %zu arrays", n);
    t->array = mien_calloc(n, sizeof(*t->array));
    if (!t->array)
        return mieni_build_fail(&t->build, MIEN_ERR(ENOMEM), "out of memory");
    cJSON_ArrayForEach(group, t->json)
        cJSON_ArrayForEach(weight, cJSON_GetObjectItemCaseSensitive(group, "weights"))
            if (ret >= 0)
                ret = parse_array(t, weight);
    t->build.where[0] = 0;
    if (ret >= 0 && t->at != t->bytes)
        ret = mieni_build_fail(&t->build, MIEN_E_FORMAT, "%zu bytes of weights are left over", t->bytes - t->at);
    return ret;
}

/* ---- dlib's network */

/* The array PREFIX/SUFFIX, which must have this shape. */
static int need(const Tfjs *t, const char *prefix, const char *suffix, int n_dims, const int64_t *dim, const Array **a)
{
    char name[128];

    snprintf(name, sizeof(name), "%s%s", prefix, suffix);
    for (size_t i = 0; i < t->n_arrays; i++) {
        *a = &t->array[i];
        if (strcmp((*a)->name, name))
            continue;
        if ((*a)->n_dims != n_dims || memcmp((*a)->dim, dim, (size_t)n_dims * sizeof(*dim)))
            return mieni_build_fail(&t->build, MIEN_E_SHAPE, "the array \"%s\" has not the shape that dlib's network has there",
                                    name);
        return 0;
    }
    return mieni_build_fail(&t->build, MIEN_E_UNSUPPORTED, "there is no array \"%s\"; only dlib's face recognition network is "
                                                           "known", name);
}

static double *to_doubles(const Array *a)
{
    double *d = mien_malloc_array(a->elems, sizeof(*d));

    for (size_t i = 0; d && i < a->elems; i++)
        d[i] = (double)a->f[i];
    return d;
}

static int check_allocated(const Tfjs *t, int all_there)
{
    return all_there ? 0 : mieni_build_fail(&t->build, MIEN_ERR(ENOMEM), "out of memory");
}

/* Convolution, bias, scale layer (w·x + b per channel): the scale layer is folded at the end. */
static int add_conv(Tfjs *t, int in, const char *name, int kernel, int stride, int pad, int cout)
{
    int64_t cin = t->build.value[in].c, filter_dim[4] = { kernel, kernel, cin, cout }, channel_dim[1] = { cout };
    const Array *filters, *bias, *scale, *shift;

    int ret = need(t, name, "/conv/filters", 4, filter_dim, &filters);
    if (ret < 0 || (ret = need(t, name, "/conv/bias", 1, channel_dim, &bias)) < 0 ||
        (ret = need(t, name, "/scale/weights", 1, channel_dim, &scale)) < 0 ||
        (ret = need(t, name, "/scale/biases", 1, channel_dim, &shift)) < 0)
        return ret;
    MieniBuildNode conv = { .op = MIENI_CONV2D, .in = { in }, .n_in = 1, .kernel = { kernel, kernel },
                            .stride = { stride, stride }, .pad = { pad, pad, pad, pad }, .cout = cout };
    conv.n_weight = filters->elems;
    conv.weight = mien_malloc_array(filters->elems, sizeof(*conv.weight));
    conv.bias = to_doubles(bias);
    if (conv.weight)
        memcpy(conv.weight, filters->f, filters->elems * sizeof(*conv.weight));
    if ((ret = check_allocated(t, conv.weight && conv.bias)) < 0) {
        mien_free(conv.weight);
        mien_free(conv.bias);
        return ret;
    }
    ret = mieni_build_add(&t->build, &conv);
    if (ret < 0)
        return ret;
    MieniBuildNode affine = { .op = MIENI_AFFINE, .in = { ret }, .n_in = 1, .scale = to_doubles(scale), .bias = to_doubles(shift) };
    if ((ret = check_allocated(t, affine.scale && affine.bias)) < 0) {
        mien_free(affine.scale);
        mien_free(affine.bias);
        return ret;
    }
    return mieni_build_add(&t->build, &affine);
}

static int add_relu(Tfjs *t, int in)
{
    return in < 0 ? in : mieni_build_unary(&t->build, MIENI_RELU, in);
}

/* down: first convolution with stride 2 and no padding; the shortcut is averaged 2×2, and whichever of the two is smaller gets
 * zeros: the convolutions' side at the bottom and right, the shortcut's in new channels. */
static int add_block(Tfjs *t, int in, const char *name, int cout, int down)
{
    char conv[64];
    int shortcut = in;

    snprintf(conv, sizeof(conv), "%s/conv1", name);
    int x = add_relu(t, add_conv(t, in, conv, 3, down ? 2 : 1, down ? 0 : 1, cout));
    snprintf(conv, sizeof(conv), "%s/conv2", name);
    if (x >= 0)
        x = add_conv(t, x, conv, 3, 1, 1, cout);
    if (x >= 0 && down) {
        MieniBuildNode pool = { .op = MIENI_AVGPOOL, .in = { in }, .n_in = 1, .kernel = { 2, 2 }, .stride = { 2, 2 } };
        shortcut = mieni_build_add(&t->build, &pool);
    }
    if (x >= 0 && shortcut >= 0) {
        MieniBuildValue a = t->build.value[x], b = t->build.value[shortcut];
        MieniBuildNode pad = { .op = MIENI_PAD, .in = { x }, .n_in = 1, .pad = { 0, 0, b.h - a.h, b.w - a.w } };
        MieniBuildNode more = { .op = MIENI_PAD, .in = { shortcut }, .n_in = 1, .channels = a.c - b.c };
        if (b.h != a.h || b.w != a.w)
            x = mieni_build_add(&t->build, &pad);
        if (x >= 0 && a.c != b.c)
            shortcut = mieni_build_add(&t->build, &more);
    }
    if (x < 0 || shortcut < 0)
        return x < 0 ? x : shortcut;
    return add_relu(t, mieni_build_binary(&t->build, MIENI_ADD, x, shortcut, 1));
}

static int add_dlib_network(Tfjs *t)
{
    static const struct {
        const char *name;
        int cout, down;
    } block[] = { { "conv32_1", 32, 0 },     { "conv32_2", 32, 0 },  { "conv32_3", 32, 0 },  { "conv64_down", 64, 1 },
                  { "conv64_1", 64, 0 },     { "conv64_2", 64, 0 },  { "conv64_3", 64, 0 },  { "conv128_down", 128, 1 },
                  { "conv128_1", 128, 0 },   { "conv128_2", 128, 0 }, { "conv256_down", 256, 1 }, { "conv256_1", 256, 0 },
                  { "conv256_2", 256, 0 },   { "conv256_down_out", 256, 1 } };
    static const int64_t fc_dim[2] = { 256, 128 };
    const Array *fc;

    int x = mieni_build_input(&t->build, 150, 150, 3);
    if (x >= 0)
        x = add_relu(t, add_conv(t, x, "conv32_down", 7, 2, 0, 32));
    if (x < 0)
        return x;
    MieniBuildNode pool = { .op = MIENI_MAXPOOL, .in = { x }, .n_in = 1, .kernel = { 3, 3 }, .stride = { 2, 2 } };
    x = mieni_build_add(&t->build, &pool);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(block) && x >= 0; i++)
        x = add_block(t, x, block[i].name, block[i].cout, block[i].down);
    if (x >= 0)
        x = mieni_build_unary(&t->build, MIENI_GLOBALAVG, x);
    int ret = x < 0 ? x : need(t, "fc", "", 2, fc_dim, &fc);
    if (ret < 0)
        return ret;
    MieniBuildNode last = { .op = MIENI_FC, .in = { x }, .n_in = 1, .cout = 128, .n_weight = fc->elems };
    last.weight = mien_malloc_array(fc->elems, sizeof(*last.weight));
    if ((ret = check_allocated(t, last.weight != NULL)) < 0)
        return ret;
    memcpy(last.weight, fc->f, fc->elems * sizeof(*last.weight));
    x = mieni_build_add(&t->build, &last);
    return x < 0 ? x : mieni_build_output(&t->build, x, "embedding");
}

/* ---- calls */

static int load(Tfjs *t, const char *json, size_t json_bytes, const void *data, size_t bytes, const char *path, char hash[65],
                MienLog log)
{
    memset(t, 0, sizeof(*t));
    mieni_build_init(&t->build, path, log);
    t->data = data;
    t->bytes = bytes;
    int ret = parse_manifest(t, json, json_bytes);
    if (ret >= 0)
        ret = add_dlib_network(t);
    mieni_sha256_hex(data, bytes, hash);
    return ret;
}

static void uninit(Tfjs *t)
{
    for (size_t i = 0; i < t->n_arrays; i++)
        mien_free(t->array[i].f);
    mien_free(t->array);
    cJSON_Delete(t->json);
    mieni_build_uninit(&t->build);
}

int mieni_import_tfjs_bytes(const char *json, size_t json_bytes, const void *data, size_t bytes, const char *path,
                            const MienImportParams *params, uint8_t **packed, size_t *packed_bytes, MienLog log)
{
    Tfjs t;
    char hash[65];

    *packed = NULL;
    int ret = load(&t, json, json_bytes, data, bytes, path, hash, log);
    if (ret >= 0)
        ret = mieni_build_pack(&t.build, params, hash, packed, packed_bytes);
    uninit(&t);
    return ret < 0 ? ret : 0;
}

/* The files of the manifest, which lie beside it, one behind the other. */
static int read_data(const char *path, const char *names, uint8_t **data, size_t *bytes, MienLog log)
{
    const char *slash = strrchr(path, '/');
    int dir_len = slash ? (int)(slash - path + 1) : 0, ret = 0;

    *data = NULL;
    *bytes = 0;
    for (const char *name = names; ret >= 0 && *name;) {
        size_t len = strcspn(name, "\n"), n = 0;
        char file[MIEN_IMPORT_PATH_BYTES];
        uint8_t *more = NULL;
        if (snprintf(file, sizeof(file), "%.*s%.*s", dir_len, path, (int)len, name) >= (int)sizeof(file))
            return mien_fail(log, MIEN_ERR(ENAMETOOLONG), "%.100s...: the path is too long", path);
        ret = mieni_file_read(file, MAX_DATA_BYTES - *bytes, &more, &n, log);
        uint8_t *grown = ret >= 0 ? mien_realloc_array(*data, *bytes + n + 1, 1) : NULL;
        if (grown) {
            memcpy(grown + *bytes, more, n);
            *data = grown;
            *bytes += n;
        } else if (ret >= 0) {
            ret = mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", file);
        }
        mien_free(more);
        name += len + (name[len] == '\n');
    }
    return ret;
}

int mieni_import_tfjs_checked(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                              MienImported *done, MienLog log)
{
    Tfjs t;
    uint8_t *json = NULL, *data = NULL;
    size_t json_bytes, bytes;
    char hash[65], *names = NULL;

    int ret = mieni_file_read(path, MAX_JSON_BYTES, &json, &json_bytes, log);
    if (ret >= 0)
        ret = mieni_tfjs_paths((const char *)json, json_bytes, path, &names, log);
    if (ret >= 0)
        ret = read_data(path, names, &data, &bytes, log);
    if (ret >= 0) {
        ret = load(&t, (const char *)json, json_bytes, data, bytes, path, hash, log);
        if (ret >= 0)
            ret = mieni_build_finish(&t.build, params, hash, out_dir, wanted_sha256, done);
        uninit(&t);
    }
    mien_free(names);
    mien_free(json);
    mien_free(data);
    return ret < 0 ? ret : 0;
}

int mien_import_tfjs(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log)
{
    return mieni_import_tfjs_checked(path, params, out_dir, NULL, done, log);
}
