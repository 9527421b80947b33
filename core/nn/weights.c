/* safetensors: strict reader and deterministic writer; format and refusals as in mien/weights.h.
 *
 * The reader copies every tensor to a 64-byte aligned place in one block: files from elsewhere align nothing. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/reader.h"
#include "mien/error.h"
#include "mien/weights.h"

#define MAX_HEADER_BYTES (16u << 20)
#define MAX_FILE_BYTES ((size_t)4 << 30)
#define MAX_NAME_BYTES 255
#define TENSOR_ALIGN_BYTES 64
#define MAX_EXACT_DOUBLE 9007199254740992.0 /* 2^53: JSON numbers arrive as doubles */

static const struct {
    const char *name;
    size_t bytes;
} dtype_table[] = {
    [MIEN_F32] = { "F32", 4 }, [MIEN_F16] = { "F16", 2 }, [MIEN_BF16] = { "BF16", 2 }, [MIEN_F64] = { "F64", 8 },
    [MIEN_I8] = { "I8", 1 },   [MIEN_U8] = { "U8", 1 },   [MIEN_I32] = { "I32", 4 },   [MIEN_I64] = { "I64", 8 },
};

struct MienWeights {
    char *name_for_log;
    cJSON *header; /* owns all strings */
    const cJSON *meta;
    MienTensor *tensor; /* in file order */
    size_t n_tensors;
    uint8_t *block;
    char sha256[65];
};

typedef struct Range {
    size_t begin, end;
    size_t i_tensor;
} Range;

size_t mien_dtype_bytes(MienDtype dtype)
{
    return dtype_table[dtype].bytes;
}

const char *mien_dtype_name(MienDtype dtype)
{
    return dtype_table[dtype].name;
}

size_t mien_tensor_elems(const MienTensor *t)
{
    return t->bytes / mien_dtype_bytes(t->dtype);
}

static int dtype_from_name(const char *name, MienDtype *dtype)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(dtype_table); i++) {
        if (!strcmp(name, dtype_table[i].name)) {
            *dtype = (MienDtype)i;
            return 0;
        }
    }
    return MIEN_E_FORMAT;
}

/* A JSON number that is a whole number in [0, max]. */
static int whole_number(const cJSON *json, double max, uint64_t *value)
{
    if (!cJSON_IsNumber(json) || !(json->valuedouble >= 0 && json->valuedouble <= max))
        return MIEN_E_FORMAT;
    *value = (uint64_t)json->valuedouble;
    return (double)*value == json->valuedouble ? 0 : MIEN_E_FORMAT;
}

/* Reads dtype, shape and offsets of one entry and checks them against each other; data is set later. */
static int parse_tensor(const cJSON *json, size_t data_bytes, MienTensor *t, Range *range, const char *file, MienLog log)
{
    size_t name_bytes = json->string ? strlen(json->string) : 0;
    if (name_bytes == 0 || name_bytes > MAX_NAME_BYTES)
        return mien_fail(log, MIEN_E_FORMAT, "%s: a tensor's name has %zu bytes, 1 to %d are allowed", file, name_bytes,
                         MAX_NAME_BYTES);
    t->name = json->string;
    const cJSON *dtype = cJSON_GetObjectItemCaseSensitive(json, "dtype");
    if (!cJSON_IsString(dtype) || dtype_from_name(dtype->valuestring, &t->dtype) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s has an unknown dtype %s", file, t->name,
                         cJSON_IsString(dtype) ? dtype->valuestring : "(none)");

    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(json, "shape");
    if (!cJSON_IsArray(shape) || cJSON_GetArraySize(shape) > MIEN_TENSOR_MAX_DIMS)
        return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: shape is not a list of at most %d numbers", file, t->name,
                         MIEN_TENSOR_MAX_DIMS);
    uint64_t bytes = mien_dtype_bytes(t->dtype);
    const cJSON *item;
    cJSON_ArrayForEach(item, shape) {
        uint64_t dim;
        if (whole_number(item, MAX_EXACT_DOUBLE, &dim) < 0)
            return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: a dimension is not a whole number", file, t->name);
        if (dim && bytes > MAX_FILE_BYTES / dim)
            return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: the shape is too large", file, t->name);
        bytes *= dim;
        t->dim[t->n_dims++] = (int64_t)dim;
    }

    const cJSON *offsets = cJSON_GetObjectItemCaseSensitive(json, "data_offsets");
    uint64_t begin, end;
    if (!cJSON_IsArray(offsets) || cJSON_GetArraySize(offsets) != 2 ||
        whole_number(cJSON_GetArrayItem(offsets, 0), MAX_EXACT_DOUBLE, &begin) < 0 ||
        whole_number(cJSON_GetArrayItem(offsets, 1), MAX_EXACT_DOUBLE, &end) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: data_offsets is not a pair of whole numbers", file, t->name);
    if (begin > end || end > data_bytes)
        return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: bytes %llu to %llu lie outside the %zu bytes of data", file,
                         t->name, (unsigned long long)begin, (unsigned long long)end, data_bytes);
    if (end - begin != bytes)
        return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s: the shape needs %llu bytes, the offsets give %llu", file,
                         t->name, (unsigned long long)bytes, (unsigned long long)(end - begin));
    t->bytes = (size_t)bytes;
    range->begin = (size_t)begin;
    range->end = (size_t)end;
    return 0;
}

static int compare_ranges(const void *pa, const void *pb)
{
    const Range *a = pa, *b = pb;
    if (a->begin != b->begin)
        return a->begin < b->begin ? -1 : 1;
    if (a->end != b->end)
        return a->end < b->end ? -1 : 1;
    return a->i_tensor < b->i_tensor ? -1 : a->i_tensor > b->i_tensor;
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A key may stand once in an object; cJSON keeps all, so a second one would hide what a reader of another kind sees. */
static int refuse_duplicates(const cJSON *object, const char *what, const char *file, MienLog log)
{
    size_t n = (size_t)cJSON_GetArraySize(object), i = 0;
    const char **key = mien_malloc_array(n, sizeof(*key));
    if (!key)
        return MIEN_ERR(ENOMEM);
    const cJSON *item;
    cJSON_ArrayForEach(item, object)
        key[i++] = item->string;
    qsort(key, n, sizeof(*key), compare_strings);
    int ret = 0;
    for (i = 1; i < n && !ret; i++) {
        if (!strcmp(key[i - 1], key[i]))
            ret = mien_fail(log, MIEN_E_FORMAT, "%s: the %s %s stands twice", file, what, key[i]);
    }
    mien_free(key);
    return ret;
}

static int check_meta(MienWeights *w, MienLog log)
{
    if (!w->meta)
        return 0;
    if (!cJSON_IsObject(w->meta))
        return mien_fail(log, MIEN_E_FORMAT, "%s: __metadata__ is not an object", w->name_for_log);
    const cJSON *item;
    cJSON_ArrayForEach(item, w->meta) {
        if (!cJSON_IsString(item))
            return mien_fail(log, MIEN_E_FORMAT, "%s: __metadata__ %s is not a string", w->name_for_log, item->string);
    }
    return refuse_duplicates(w->meta, "metadata key", w->name_for_log, log);
}

/* The ranges must tile the data exactly: no overlap, no hole, nothing behind the last. Then everything is copied. */
static int place_tensors(MienWeights *w, Range *range, const uint8_t *data, size_t data_bytes, MienLog log)
{
    qsort(range, w->n_tensors, sizeof(*range), compare_ranges);
    size_t end = 0, block_bytes = 0;
    for (size_t i = 0; i < w->n_tensors; i++) {
        const char *name = w->tensor[range[i].i_tensor].name;
        if (range[i].begin < end)
            return mien_fail(log, MIEN_E_FORMAT, "%s: tensor %s overlaps the one before it", w->name_for_log, name);
        if (range[i].begin > end)
            return mien_fail(log, MIEN_E_FORMAT, "%s: %zu bytes before tensor %s belong to nothing", w->name_for_log,
                             range[i].begin - end, name);
        end = range[i].end;
        block_bytes += (range[i].end - range[i].begin + TENSOR_ALIGN_BYTES - 1) / TENSOR_ALIGN_BYTES * TENSOR_ALIGN_BYTES;
    }
    if (end != data_bytes)
        return mien_fail(log, MIEN_E_FORMAT, "%s: %zu bytes behind the last tensor belong to nothing", w->name_for_log,
                         data_bytes - end);
    w->block = mien_malloc(block_bytes);
    MienTensor *sorted = mien_malloc_array(w->n_tensors, sizeof(*sorted));
    if (!w->block || !sorted) {
        mien_free(sorted);
        return MIEN_ERR(ENOMEM);
    }
    uint8_t *to = w->block;
    for (size_t i = 0; i < w->n_tensors; i++) {
        sorted[i] = w->tensor[range[i].i_tensor];
        sorted[i].data = to;
        if (sorted[i].bytes)
            memcpy(to, data + range[i].begin, sorted[i].bytes);
        to += (sorted[i].bytes + TENSOR_ALIGN_BYTES - 1) / TENSOR_ALIGN_BYTES * TENSOR_ALIGN_BYTES;
    }
    mien_free(w->tensor);
    w->tensor = sorted;
    return 0;
}

static int parse_header(MienWeights *w, const uint8_t *data, size_t data_bytes, MienLog log)
{
    int ret = refuse_duplicates(w->header, "name", w->name_for_log, log);
    if (ret < 0)
        return ret;
    w->meta = cJSON_GetObjectItemCaseSensitive(w->header, "__metadata__");
    if ((ret = check_meta(w, log)) < 0)
        return ret;
    size_t n = (size_t)cJSON_GetArraySize(w->header) - (w->meta != NULL);
    Range *range = mien_malloc_array(n, sizeof(*range));
    w->tensor = mien_calloc(n, sizeof(*w->tensor));
    if (!range || !w->tensor) {
        ret = MIEN_ERR(ENOMEM);
        goto out;
    }
    const cJSON *item;
    cJSON_ArrayForEach(item, w->header) {
        if (item == w->meta)
            continue;
        size_t i = w->n_tensors;
        range[i].i_tensor = i;
        if ((ret = parse_tensor(item, data_bytes, &w->tensor[i], &range[i], w->name_for_log, log)) < 0)
            goto out;
        w->n_tensors++;
    }
    ret = place_tensors(w, range, data, data_bytes, log);
out:
    mien_free(range);
    return ret;
}

int mien_weights_parse(MienWeights **out, const void *data, size_t bytes, const char *name_for_log, MienLog log)
{
    *out = NULL;
    MieniReader r = mieni_reader(data, bytes);
    uint64_t header_bytes = mieni_read_u64le(&r);
    if (r.bad)
        return mien_fail(log, MIEN_E_FORMAT, "%s: is no safetensors file: %zu bytes are too few", name_for_log, bytes);
    if (header_bytes > MAX_HEADER_BYTES || header_bytes > mieni_reader_left(&r))
        return mien_fail(log, MIEN_E_FORMAT,
                         "%s: is no safetensors file or is truncated: a header of %llu bytes, the file has %zu",
                         name_for_log, (unsigned long long)header_bytes, bytes);
    const char *text = (const char *)mieni_read_bytes(&r, (size_t)header_bytes);

    int ret = MIEN_ERR(ENOMEM);
    MienWeights *w = mien_calloc(1, sizeof(*w));
    if (!w || !(w->name_for_log = mien_strdup(name_for_log)))
        goto fail;
    const char *parse_end = NULL;
    w->header = cJSON_ParseWithLengthOpts(text, (size_t)header_bytes, &parse_end, 0);
    while (w->header && parse_end < text + header_bytes && *parse_end == ' ')
        parse_end++; /* the format pads the header with spaces */
    if (!cJSON_IsObject(w->header) || parse_end != text + header_bytes) {
        ret = mien_fail(log, MIEN_E_FORMAT, "%s: the header is not one JSON object", name_for_log);
        goto fail;
    }
    if ((ret = parse_header(w, r.data + r.at, mieni_reader_left(&r), log)) < 0)
        goto fail;
    mieni_sha256_hex(data, bytes, w->sha256);
    *out = w;
    return 0;
fail:
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(log, ret, "%s: out of memory", name_for_log);
    mien_weights_close(&w);
    return ret;
}

int mien_weights_open(MienWeights **w, const char *path, MienLog log)
{
    *w = NULL;
    uint8_t *data;
    size_t bytes;
    int ret = mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, log);
    if (ret < 0)
        return ret;
    ret = mien_weights_parse(w, data, bytes, path, log);
    mien_free(data);
    return ret;
}

void mien_weights_close(MienWeights **pw)
{
    if (!pw || !*pw)
        return;
    MienWeights *w = *pw;
    cJSON_Delete(w->header);
    mien_free(w->tensor);
    mien_free(w->block);
    mien_free(w->name_for_log);
    mien_free(w);
    *pw = NULL;
}

size_t mien_weights_count(const MienWeights *w)
{
    return w->n_tensors;
}

const MienTensor *mien_weights_get(const MienWeights *w, size_t i)
{
    return i < w->n_tensors ? &w->tensor[i] : NULL;
}

const MienTensor *mien_weights_find(const MienWeights *w, const char *name)
{
    for (size_t i = 0; i < w->n_tensors; i++) {
        if (!strcmp(w->tensor[i].name, name))
            return &w->tensor[i];
    }
    return NULL;
}

const char *mien_weights_meta(const MienWeights *w, const char *key)
{
    const cJSON *item = w->meta ? cJSON_GetObjectItemCaseSensitive(w->meta, key) : NULL;
    return item ? item->valuestring : NULL;
}

int mien_weights_meta_at(const MienWeights *w, size_t i, const char **key, const char **value)
{
    const cJSON *item = w->meta && i < INT32_MAX ? cJSON_GetArrayItem(w->meta, (int)i) : NULL;
    if (!item)
        return MIEN_E_NOTFOUND;
    *key = item->string;
    *value = item->valuestring;
    return 0;
}

const char *mien_weights_sha256(const MienWeights *w)
{
    return w->sha256;
}

/* "64x3x3" into buf; -1 reads as "any". */
static const char *shape_text(char *buf, size_t buf_bytes, int n_dims, const int64_t *dim)
{
    size_t at = 0;
    buf[0] = '\0';
    for (int i = 0; i < n_dims && at < buf_bytes; i++) {
        int n = dim[i] < 0 ? snprintf(buf + at, buf_bytes - at, "%sany", i ? "x" : "")
                           : snprintf(buf + at, buf_bytes - at, "%s%lld", i ? "x" : "", (long long)dim[i]);
        at += (size_t)n;
    }
    return buf;
}

int mien_weights_need(const MienWeights *w, const char *name, int n_dims, const int64_t *dim, const float **data, MienLog log)
{
    char have[256], want[256];
    *data = NULL;
    const MienTensor *t = mien_weights_find(w, name);
    if (!t)
        return mien_fail(log, MIEN_E_MODEL, "%s: there is no tensor %s", w->name_for_log, name);
    int fits = t->dtype == MIEN_F32 && t->n_dims == n_dims;
    for (int i = 0; fits && i < n_dims; i++)
        fits = dim[i] < 0 || dim[i] == t->dim[i];
    if (!fits)
        return mien_fail(log, MIEN_E_SHAPE, "%s: tensor %s is %s %s, F32 %s is wanted", w->name_for_log, name,
                         mien_dtype_name(t->dtype), shape_text(have, sizeof(have), t->n_dims, t->dim),
                         shape_text(want, sizeof(want), n_dims, dim));
    *data = t->data;
    return 0;
}

static cJSON *tensor_json(const MienTensor *t, size_t begin)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *shape = cJSON_CreateArray(), *offsets = cJSON_CreateArray();
    int ok = json && shape && offsets && cJSON_AddStringToObject(json, "dtype", mien_dtype_name(t->dtype));
    for (int i = 0; ok && i < t->n_dims; i++)
        ok = cJSON_AddItemToArray(shape, cJSON_CreateNumber((double)t->dim[i]));
    ok = ok && cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)begin)) &&
         cJSON_AddItemToArray(offsets, cJSON_CreateNumber((double)(begin + t->bytes)));
    if (ok && cJSON_AddItemToObject(json, "shape", shape))
        shape = NULL;
    if (ok && cJSON_AddItemToObject(json, "data_offsets", offsets))
        offsets = NULL;
    if (!shape && !offsets)
        return json;
    cJSON_Delete(shape);
    cJSON_Delete(offsets);
    cJSON_Delete(json);
    return NULL;
}

/* The header's JSON as text (cJSON's own memory), or NULL. */
static char *header_text(const MienTensor *tensors, size_t n_tensors, const MienMeta *meta, size_t n_meta)
{
    char *text = NULL;
    size_t begin = 0;
    cJSON *header = cJSON_CreateObject();
    if (!header)
        return NULL;
    cJSON *meta_json = n_meta ? cJSON_AddObjectToObject(header, "__metadata__") : NULL;
    int ok = !n_meta || meta_json;
    for (size_t i = 0; ok && i < n_meta; i++)
        ok = cJSON_AddStringToObject(meta_json, meta[i].key, meta[i].value) != NULL;
    for (size_t i = 0; ok && i < n_tensors; i++) {
        cJSON *json = tensor_json(&tensors[i], begin);
        ok = json && cJSON_AddItemToObject(header, tensors[i].name, json);
        if (json && !ok)
            cJSON_Delete(json);
        begin += tensors[i].bytes;
    }
    if (ok)
        text = cJSON_PrintUnformatted(header);
    cJSON_Delete(header);
    return text;
}

static int check_tensors(const MienTensor *tensors, size_t n_tensors, MienLog log)
{
    for (size_t i = 0; i < n_tensors; i++) {
        const MienTensor *t = &tensors[i];
        if (!t->name || !t->name[0] || strlen(t->name) > MAX_NAME_BYTES || !strcmp(t->name, "__metadata__"))
            return mien_fail(log, MIEN_E_FORMAT, "tensor %zu has no usable name", i);
        for (size_t j = 0; j < i; j++) {
            if (!strcmp(t->name, tensors[j].name))
                return mien_fail(log, MIEN_E_FORMAT, "the tensor %s would stand twice", t->name);
        }
        uint64_t bytes = mien_dtype_bytes(t->dtype);
        for (int d = 0; d < t->n_dims; d++)
            bytes *= (uint64_t)t->dim[d];
        if (bytes != t->bytes)
            return mien_fail(log, MIEN_E_SHAPE, "tensor %s: %zu bytes don't fit its shape", t->name, t->bytes);
    }
    return 0;
}

int mien_weights_pack(uint8_t **out, size_t *out_bytes, const MienTensor *tensors, size_t n_tensors, const MienMeta *meta,
                      size_t n_meta, MienLog log)
{
    *out = NULL;
    *out_bytes = 0;
    int ret = check_tensors(tensors, n_tensors, log);
    if (ret < 0)
        return ret;
    char *text = header_text(tensors, n_tensors, meta, n_meta);
    if (!text)
        return MIEN_ERR(ENOMEM);
    size_t text_bytes = strlen(text), data_bytes = 0;
    /* Spaces behind the JSON make the first tensor start at a multiple of 16. */
    size_t header_bytes = (8 + text_bytes + 15) / 16 * 16 - 8;
    for (size_t i = 0; i < n_tensors; i++)
        data_bytes += tensors[i].bytes;
    uint8_t *buf = mien_malloc(8 + header_bytes + data_bytes);
    if (!buf) {
        ret = MIEN_ERR(ENOMEM);
        goto out;
    }
    for (int i = 0; i < 8; i++)
        buf[i] = (uint8_t)((uint64_t)header_bytes >> (8 * i));
    memcpy(buf + 8, text, text_bytes);
    memset(buf + 8 + text_bytes, ' ', header_bytes - text_bytes);
    uint8_t *to = buf + 8 + header_bytes;
    for (size_t i = 0; i < n_tensors; i++) {
        if (tensors[i].bytes)
            memcpy(to, tensors[i].data, tensors[i].bytes);
        to += tensors[i].bytes;
    }
    *out = buf;
    *out_bytes = 8 + header_bytes + data_bytes;
out:
    cJSON_free(text);
    return ret;
}

int mien_weights_write(const char *path, const MienTensor *tensors, size_t n_tensors, const MienMeta *meta, size_t n_meta,
                       MienLog log)
{
    uint8_t *data;
    size_t bytes;
    int ret = mien_weights_pack(&data, &bytes, tensors, n_tensors, meta, n_meta, log);
    if (ret < 0)
        return ret;
    ret = mieni_file_write_atomic(path, data, bytes, 0644, log);
    mien_free(data);
    return ret;
}
