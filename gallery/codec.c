/* A roster — people and templates outside a database — as safetensors and as JSON; layouts in docs/format-gallery.md. Files come from
 * elsewhere: whatever a gallery would refuse to store is refused here, before a database is touched. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "gallery_int.h"
#include "mien/weights.h"

#define FORMAT "1"
#define FORMAT_NUMBER 1
#define KIND "gallery"
#define SOURCE_BYTES 32
#define MAX_JSON_FILE_BYTES ((size_t)64 << 20) /* about 25,000 templates; more go through safetensors */
#define MAX_PEOPLE_BYTES ((size_t)512 << 20)

/* ---- the roster */

void mieni_roster_free(MieniRoster *r)
{
    mien_free(r->person);
    mien_free(r->sample);
    mien_free(r->vector);
    memset(r, 0, sizeof(*r));
}

int mieni_roster_add_person(MieniRoster *r, MieniRosterPerson **person)
{
    if (r->n_people == r->cap_people) {
        size_t cap = r->cap_people ? r->cap_people + r->cap_people / 2 : 16;
        MieniRosterPerson *grown = mien_realloc_array(r->person, cap, sizeof(*grown));
        if (!grown)
            return MIEN_ERR(ENOMEM);
        r->person = grown;
        r->cap_people = cap;
    }
    *person = &r->person[r->n_people++];
    memset(*person, 0, sizeof(**person));
    return 0;
}

int mieni_roster_add_sample(MieniRoster *r, MienSample **sample, float **vector)
{
    if (r->n_samples == r->cap_samples) {
        size_t cap = r->cap_samples ? r->cap_samples + r->cap_samples / 2 : 64;
        MienSample *samples = mien_realloc_array(r->sample, cap, sizeof(*samples));
        if (samples)
            r->sample = samples;
        float *vectors = mien_realloc_array(r->vector, cap, (size_t)r->model.dim * sizeof(float));
        if (vectors)
            r->vector = vectors;
        if (!samples || !vectors)
            return MIEN_ERR(ENOMEM);
        r->cap_samples = cap;
    }
    *vector = r->vector + r->n_samples * (size_t)r->model.dim;
    *sample = &r->sample[r->n_samples++];
    memset(*sample, 0, sizeof(**sample));
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_unique(const MieniRoster *r, const char *file, MienLog log)
{
    const char **name = mien_malloc_array(r->n_people, sizeof(*name));
    if (!name)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", file);
    for (size_t i = 0; i < r->n_people; i++)
        name[i] = r->person[i].name;
    qsort(name, r->n_people, sizeof(*name), compare_names);
    int ret = 0;
    for (size_t i = 1; i < r->n_people && !ret; i++) {
        if (!strcmp(name[i - 1], name[i]))
            ret = mien_fail(log, MIEN_E_FORMAT, "%s: one name stands for two people", file);
    }
    mien_free(name);
    return ret;
}

static int check_person(const MieniRoster *r, size_t i, const char *file, MienLog log)
{
    const MieniRosterPerson *p = &r->person[i];
    const char *why;
    int64_t end;
    if (mien_name_check(p->name, &why) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: person %zu: %s", file, i, why);
    if (mieni_utf8_check(p->consent, sizeof(p->consent) - 1, 0, &why) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: person %zu: consent %s", file, i, why);
    if (mieni_utf8_check(p->notes, sizeof(p->notes) - 1, 1, &why) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: person %zu: notes: the text %s", file, i, why);
    if (mieni_time_parse_expiry(p->expires, &end) < 0 || mieni_time_check(p->created) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: person %zu: a date is not YYYY-MM-DDTHH:MM:SSZ", file, i);
    return 0;
}

static int check_sample(const MieniRoster *r, size_t i, const char *file, MienLog log)
{
    const MienSample *s = &r->sample[i];
    if (s->person < 0 || (uint64_t)s->person >= r->n_people)
        return mien_fail(log, MIEN_E_FORMAT, "%s: sample %zu belongs to person %lld of %zu", file, i, (long long)s->person,
                         r->n_people);
    const char *why = mieni_vector_check(r->vector + i * (size_t)r->model.dim, r->model.dim);
    if (why)
        return mien_fail(log, MIEN_E_FORMAT, "%s: the template of sample %zu %s", file, i, why);
    if (!(s->quality >= 0 && s->quality <= 1))
        return mien_fail(log, MIEN_E_FORMAT, "%s: sample %zu: a quality is not between 0 and 1", file, i);
    if (mieni_hash_check(s->source_hash) < 0 || mieni_time_check(s->created) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: sample %zu: the source is no SHA-256, or the date is not "
                         "YYYY-MM-DDTHH:MM:SSZ", file, i);
    return 0;
}

static int model_good(const MienGalleryModel *m)
{
    const char *why;
    if (!m->hash[0])
        return m->dim == 0;
    return mieni_hash_check(m->hash) == 0 && m->dim >= MIENI_DIM_MIN && m->dim <= MIENI_DIM_MAX &&
           mieni_utf8_check(m->name, sizeof(m->name) - 1, 0, &why) == 0;
}

int mieni_roster_check(const MieniRoster *r, const char *file, MienLog log)
{
    if (!model_good(&r->model) || (r->n_samples && !r->model.hash[0]))
        return mien_fail(log, MIEN_E_FORMAT, "%s: the encoder is not described by a SHA-256, a name and %d to %d numbers", file,
                         MIENI_DIM_MIN, MIENI_DIM_MAX);
    int ret = 0;
    for (size_t i = 0; i < r->n_people && !ret; i++)
        ret = check_person(r, i, file, log);
    for (size_t i = 0; i < r->n_samples && !ret; i++)
        ret = check_sample(r, i, file, log);
    return ret < 0 ? ret : check_unique(r, file, log);
}

/* ---- JSON, in both formats: {"name", "ignored", "created", "consent", "expires", "notes"} */

static cJSON *person_json(const MieniRosterPerson *p)
{
    cJSON *json = cJSON_CreateObject();
    if (json && cJSON_AddStringToObject(json, "name", p->name) && cJSON_AddBoolToObject(json, "ignored", p->ignored) &&
        cJSON_AddStringToObject(json, "created", p->created) && cJSON_AddStringToObject(json, "consent", p->consent) &&
        cJSON_AddStringToObject(json, "expires", p->expires) && cJSON_AddStringToObject(json, "notes", p->notes))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* A string field into buf; "" where it is missing (unless needed). */
static int get_text(const cJSON *json, const char *key, int needed, char *buf, size_t buf_bytes)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
    buf[0] = '\0';
    if (!item)
        return needed ? MIEN_E_FORMAT : 0;
    if (!cJSON_IsString(item) || strlen(item->valuestring) >= buf_bytes)
        return MIEN_E_FORMAT;
    memcpy(buf, item->valuestring, strlen(item->valuestring) + 1);
    return 0;
}

static int parse_person(MieniRoster *r, const cJSON *json, const char *file, MienLog log)
{
    MieniRosterPerson *p;
    if (mieni_roster_add_person(r, &p) < 0)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", file);
    const cJSON *ignored = cJSON_GetObjectItemCaseSensitive(json, "ignored");
    p->ignored = cJSON_IsTrue(ignored);
    if (!cJSON_IsObject(json) || (ignored && !cJSON_IsBool(ignored)) ||
        get_text(json, "name", 1, p->name, sizeof(p->name)) < 0 ||
        get_text(json, "created", 1, p->created, sizeof(p->created)) < 0 ||
        get_text(json, "consent", 0, p->consent, sizeof(p->consent)) < 0 ||
        get_text(json, "expires", 0, p->expires, sizeof(p->expires)) < 0 ||
        get_text(json, "notes", 0, p->notes, sizeof(p->notes)) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: person %zu is not described as it should be (a field is missing, too long or of "
                         "the wrong kind)", file, r->n_people - 1);
    return 0;
}

/* ---- text that grows */

typedef struct Text {
    char *text;
    size_t bytes, cap;
} Text;

static int append(Text *t, const char *s)
{
    size_t n = strlen(s);
    if (t->cap - t->bytes < n + 1) {
        size_t cap = 2 * t->cap + n + 1024;
        char *grown = mien_realloc_array(t->text, cap, 1);
        if (!grown)
            return MIEN_ERR(ENOMEM);
        t->text = grown;
        t->cap = cap;
    }
    memcpy(t->text + t->bytes, s, n + 1);
    t->bytes += n;
    return 0;
}

/* Prints and deletes json (NULL: out of memory before). */
static int append_json(Text *t, cJSON *json)
{
    char *s = json ? cJSON_PrintUnformatted(json) : NULL;
    cJSON_Delete(json);
    int ret = s ? append(t, s) : MIEN_ERR(ENOMEM);
    cJSON_free(s);
    return ret;
}

/* ---- safetensors */

static void hex_to_bytes(const char *hex, uint8_t *bytes)
{
    for (size_t i = 0; i < SOURCE_BYTES; i++) {
        unsigned value = 0;
        if (hex[0])
            sscanf(hex + 2 * i, "%2x", &value);
        bytes[i] = (uint8_t)value;
    }
}

static void bytes_to_hex(const uint8_t *bytes, char hex[65])
{
    static const uint8_t none[SOURCE_BYTES];
    hex[0] = '\0';
    if (!memcmp(bytes, none, SOURCE_BYTES))
        return;
    for (size_t i = 0; i < SOURCE_BYTES; i++)
        snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
}

static int64_t time_to_unix(const char *text)
{
    struct tm tm = { 0 };
    return strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm) ? (int64_t)timegm(&tm) : 0;
}

static void unix_to_time(int64_t seconds, char buf[32])
{
    time_t t = (time_t)seconds;
    struct tm tm;
    buf[0] = '\0'; /* a year beyond 9999 fails the check of dates */
    if (gmtime_r(&t, &tm) && tm.tm_year >= -1900 && tm.tm_year <= 9999 - 1900)
        strftime(buf, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static int people_text(const MieniRoster *r, Text *t)
{
    int ret = append(t, "[");
    for (size_t i = 0; i < r->n_people && ret >= 0; i++) {
        if ((ret = append(t, i ? ",\n" : "\n")) >= 0)
            ret = append_json(t, person_json(&r->person[i]));
    }
    return ret < 0 ? ret : append(t, "]\n");
}

static int pack_safetensors(const MieniRoster *r, Text *out, MienLog log)
{
    int64_t n = (int64_t)r->n_samples;
    int64_t *person = mien_malloc_array(r->n_samples, sizeof(*person)), *created = mien_malloc_array(r->n_samples, sizeof(*created));
    float *quality = mien_malloc_array(r->n_samples, sizeof(*quality));
    uint8_t *source = mien_malloc_array(r->n_samples, SOURCE_BYTES), *data = NULL;
    Text people = { 0 };
    int ret = person && created && quality && source ? people_text(r, &people) : MIEN_ERR(ENOMEM);
    if (ret < 0)
        goto out;
    for (size_t i = 0; i < r->n_samples; i++) {
        person[i] = r->sample[i].person;
        quality[i] = r->sample[i].quality;
        created[i] = time_to_unix(r->sample[i].created);
        hex_to_bytes(r->sample[i].source_hash, source + i * SOURCE_BYTES);
    }
    const MienTensor tensor[] = {
        { "created", MIEN_I64, 1, { n }, created, r->n_samples * sizeof(*created) },
        { "person", MIEN_I64, 1, { n }, person, r->n_samples * sizeof(*person) },
        { "embedding", MIEN_F32, 2, { n, r->model.dim }, r->vector, r->n_samples * (size_t)r->model.dim * sizeof(float) },
        { "quality", MIEN_F32, 1, { n }, quality, r->n_samples * sizeof(*quality) },
        { "source", MIEN_U8, 2, { n, SOURCE_BYTES }, source, r->n_samples * SOURCE_BYTES },
        { "people", MIEN_U8, 1, { (int64_t)people.bytes }, people.text, people.bytes },
    };
    const MienMeta meta[] = {
        { "mien.format", FORMAT }, { "mien.kind", KIND }, { "mien.encoder", r->model.hash }, { "mien.encoder.name", r->model.name },
    };
    ret = mien_weights_pack(&data, &out->bytes, tensor, MIEN_ARRAY_ELEMS(tensor), meta, MIEN_ARRAY_ELEMS(meta), log);
    out->text = (char *)data;
out:
    mien_free(people.text);
    mien_free(source);
    mien_free(quality);
    mien_free(created);
    mien_free(person);
    return ret;
}

static const MienTensor *need(const MienWeights *w, const char *name, MienDtype dtype, int n_dims, int64_t n, int64_t n2)
{
    const MienTensor *t = mien_weights_find(w, name);
    if (!t || t->dtype != dtype || t->n_dims != n_dims || (n >= 0 && t->dim[0] != n) ||
        (n_dims == 2 && n2 >= 0 && t->dim[1] != n2))
        return NULL;
    return t;
}

static int parse_people(MieniRoster *r, const MienTensor *t, const char *file, MienLog log)
{
    if (t->bytes > MAX_PEOPLE_BYTES)
        return mien_fail(log, MIEN_ERR(EFBIG), "%s: the list of people has %zu bytes", file, t->bytes);
    cJSON *json = cJSON_ParseWithLength(t->data, t->bytes);
    int ret = cJSON_IsArray(json) ? 0 : mien_fail(log, MIEN_E_FORMAT, "%s: people is not a JSON list", file);
    const cJSON *item;
    if (ret >= 0) {
        cJSON_ArrayForEach(item, json) {
            if ((ret = parse_person(r, item, file, log)) < 0)
                break;
        }
    }
    cJSON_Delete(json);
    return ret;
}

static int parse_model(MieniRoster *r, const char *hash, const char *name, int64_t dim)
{
    if (strlen(hash) >= sizeof(r->model.hash) || strlen(name) >= sizeof(r->model.name) || dim < 0 || dim > MIENI_DIM_MAX)
        return MIEN_E_FORMAT;
    memcpy(r->model.hash, hash, strlen(hash) + 1);
    memcpy(r->model.name, name, strlen(name) + 1);
    r->model.dim = (int)dim;
    return model_good(&r->model) ? 0 : MIEN_E_FORMAT;
}

static int read_safetensors(MieniRoster *r, const MienWeights *w, const char *file, MienLog log)
{
    const char *kind = mien_weights_meta(w, "mien.kind"), *format = mien_weights_meta(w, "mien.format");
    const char *hash = mien_weights_meta(w, "mien.encoder"), *name = mien_weights_meta(w, "mien.encoder.name");
    if (!kind || strcmp(kind, KIND))
        return mien_fail(log, MIEN_E_FORMAT, "%s: is no exported gallery", file);
    if (!format || strcmp(format, FORMAT))
        return mien_fail(log, MIEN_E_VERSION, "%s: was exported by another version of mien (format %s, this one knows %s)", file,
                         format ? format : "unknown", FORMAT);
    const MienTensor *embedding = need(w, "embedding", MIEN_F32, 2, -1, -1);
    int64_t n = embedding ? embedding->dim[0] : 0;
    const MienTensor *person = need(w, "person", MIEN_I64, 1, n, 0), *created = need(w, "created", MIEN_I64, 1, n, 0);
    const MienTensor *quality = need(w, "quality", MIEN_F32, 1, n, 0), *source = need(w, "source", MIEN_U8, 2, n, SOURCE_BYTES);
    const MienTensor *people = need(w, "people", MIEN_U8, 1, -1, 0);
    if (!embedding || !person || !created || !quality || !source || !people || !hash || !name)
        return mien_fail(log, MIEN_E_FORMAT, "%s: a tensor of an exported gallery is missing or has the wrong shape", file);
    if (parse_model(r, hash, name, embedding->dim[1]) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: the encoder is not described by a SHA-256, a name and %d to %d numbers", file,
                         MIENI_DIM_MIN, MIENI_DIM_MAX);
    int ret = parse_people(r, people, file, log);
    for (int64_t i = 0; i < n && ret >= 0; i++) {
        MienSample *s;
        float *v;
        if (mieni_roster_add_sample(r, &s, &v) < 0)
            return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", file);
        s->person = ((const int64_t *)person->data)[i];
        s->quality = ((const float *)quality->data)[i];
        unix_to_time(((const int64_t *)created->data)[i], s->created);
        bytes_to_hex((const uint8_t *)source->data + i * SOURCE_BYTES, s->source_hash);
        memcpy(v, (const float *)embedding->data + i * r->model.dim, (size_t)r->model.dim * sizeof(float));
    }
    return ret;
}

/* ---- JSON */

static cJSON *sample_json(const MieniRoster *r, size_t i)
{
    const MienSample *s = &r->sample[i];
    cJSON *json = cJSON_CreateObject();
    cJSON *v = cJSON_CreateFloatArray(r->vector + i * (size_t)r->model.dim, r->model.dim);
    if (json && v && cJSON_AddNumberToObject(json, "quality", (double)s->quality) &&
        cJSON_AddStringToObject(json, "source", s->source_hash) && cJSON_AddStringToObject(json, "created", s->created) &&
        cJSON_AddItemToObject(json, "embedding", v))
        return json;
    cJSON_Delete(v);
    cJSON_Delete(json);
    return NULL;
}

static cJSON *encoder_json(const MienGalleryModel *m)
{
    cJSON *json = cJSON_CreateObject();
    if (json && cJSON_AddStringToObject(json, "hash", m->hash) && cJSON_AddStringToObject(json, "name", m->name) &&
        cJSON_AddNumberToObject(json, "dim", m->dim))
        return json;
    cJSON_Delete(json);
    return NULL;
}

/* One sample a line, so that a diff shows what changed; a tree of the whole would take 64 bytes a number. */
static int print_json(const MieniRoster *r, Text *t)
{
    int ret;
    if ((ret = append(t, "{\"mien\":\"" KIND "\",\"format\":" FORMAT ",\n\"encoder\":")) < 0 ||
        (ret = append_json(t, encoder_json(&r->model))) < 0 || (ret = append(t, ",\n\"people\":")) < 0 ||
        (ret = people_text(r, t)) < 0 || (ret = append(t, ",\"samples\":[")) < 0)
        return ret;
    for (size_t i = 0; i < r->n_samples && ret >= 0; i++) {
        char head[64];
        snprintf(head, sizeof(head), "%s\n{\"person\":%lld,\"sample\":", i ? "," : "", (long long)r->sample[i].person);
        if ((ret = append(t, head)) >= 0 && (ret = append_json(t, sample_json(r, i))) >= 0)
            ret = append(t, "}");
    }
    return ret < 0 ? ret : append(t, "]}\n");
}

static int parse_sample(MieniRoster *r, const cJSON *json, const char *file, MienLog log)
{
    const cJSON *person = cJSON_GetObjectItemCaseSensitive(json, "person");
    const cJSON *body = cJSON_GetObjectItemCaseSensitive(json, "sample");
    const cJSON *quality = cJSON_GetObjectItemCaseSensitive(body, "quality");
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(body, "embedding"), *item;
    MienSample *s;
    float *to;
    if (!r->model.dim)
        return mien_fail(log, MIEN_E_FORMAT, "%s: there are samples, but no encoder is described", file);
    if (mieni_roster_add_sample(r, &s, &to) < 0)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", file);
    int good = cJSON_IsNumber(person) && person->valuedouble >= 0 && person->valuedouble < (double)r->n_people &&
               cJSON_IsNumber(quality) && cJSON_IsArray(v) && cJSON_GetArraySize(v) == r->model.dim &&
               get_text(body, "source", 0, s->source_hash, sizeof(s->source_hash)) == 0 &&
               get_text(body, "created", 1, s->created, sizeof(s->created)) == 0;
    if (good) {
        s->person = (int64_t)person->valuedouble;
        good = (double)s->person == person->valuedouble;
        s->quality = quality->valuedouble >= 0 && quality->valuedouble <= 1 ? (float)quality->valuedouble : -1;
    }
    if (good) {
        cJSON_ArrayForEach(item, v) {
            good = good && cJSON_IsNumber(item) && item->valuedouble >= -2 && item->valuedouble <= 2;
            *to++ = good ? (float)item->valuedouble : 0;
        }
    }
    return good ? 0 : mien_fail(log, MIEN_E_FORMAT, "%s: sample %zu is not described as it should be (person, quality, created, "
                                "embedding of %d numbers)", file, r->n_samples - 1, r->model.dim);
}

static int read_json(MieniRoster *r, const cJSON *json, const char *file, MienLog log)
{
    char kind[16], hash[80], name[160];
    const cJSON *format = cJSON_GetObjectItemCaseSensitive(json, "format");
    const cJSON *encoder = cJSON_GetObjectItemCaseSensitive(json, "encoder");
    const cJSON *dim = cJSON_GetObjectItemCaseSensitive(encoder, "dim");
    const cJSON *people = cJSON_GetObjectItemCaseSensitive(json, "people"), *item;
    const cJSON *samples = cJSON_GetObjectItemCaseSensitive(json, "samples");
    if (get_text(json, "mien", 1, kind, sizeof(kind)) < 0 || strcmp(kind, KIND))
        return mien_fail(log, MIEN_E_FORMAT, "%s: is no exported gallery", file);
    if (!cJSON_IsNumber(format) || format->valuedouble != FORMAT_NUMBER)
        return mien_fail(log, MIEN_E_VERSION, "%s: was exported by another version of mien (this one knows format %s)", file, FORMAT);
    if (get_text(encoder, "hash", 1, hash, sizeof(hash)) < 0 || get_text(encoder, "name", 1, name, sizeof(name)) < 0 ||
        !cJSON_IsNumber(dim) || !(dim->valuedouble >= 0 && dim->valuedouble <= MIENI_DIM_MAX) ||
        parse_model(r, hash, name, (int64_t)dim->valuedouble) < 0)
        return mien_fail(log, MIEN_E_FORMAT, "%s: the encoder is not described by a SHA-256, a name and %d to %d numbers", file,
                         MIENI_DIM_MIN, MIENI_DIM_MAX);
    if (!cJSON_IsArray(people) || !cJSON_IsArray(samples))
        return mien_fail(log, MIEN_E_FORMAT, "%s: people or samples are missing", file);
    int ret = 0;
    cJSON_ArrayForEach(item, people) {
        if ((ret = parse_person(r, item, file, log)) < 0)
            return ret;
    }
    cJSON_ArrayForEach(item, samples) {
        if ((ret = parse_sample(r, item, file, log)) < 0)
            return ret;
    }
    return 0;
}

/* ---- files */

static int is_json_path(const char *path)
{
    size_t n = strlen(path);
    return n >= 5 && !strcmp(path + n - 5, ".json");
}

int mieni_roster_write(const MieniRoster *r, const char *path, MienLog log)
{
    Text out = { 0 };
    int ret = is_json_path(path) ? print_json(r, &out) : pack_safetensors(r, &out, log);
    if (ret == MIEN_ERR(ENOMEM))
        mien_fail(log, ret, "%s: out of memory", path);
    if (ret >= 0)
        ret = mieni_file_write_atomic(path, out.text, out.bytes, 0600, log); /* templates are for the owner's eyes */
    mien_free(out.text);
    return ret < 0 ? ret : 0;
}

int mieni_roster_parse(MieniRoster *r, const void *data, size_t bytes, const char *file, MienLog log)
{
    int ret;
    memset(r, 0, sizeof(*r));
    /* The header's length in a safetensors file has zeros among its eight bytes; no JSON has. */
    if (bytes && *(const char *)data == '{' && !memchr(data, 0, bytes < 8 ? bytes : 8)) {
        if (bytes > MAX_JSON_FILE_BYTES)
            return mien_fail(log, MIEN_ERR(EFBIG), "%s: has %zu bytes, JSON is read up to %zu; use safetensors", file, bytes,
                             MAX_JSON_FILE_BYTES);
        cJSON *json = cJSON_ParseWithLength(data, bytes);
        ret = json ? read_json(r, json, file, log) : mien_fail(log, MIEN_E_FORMAT, "%s: is not valid JSON", file);
        cJSON_Delete(json);
        goto check;
    }
    MienWeights *w;
    if ((ret = mien_weights_parse(&w, data, bytes, file, log)) < 0)
        return ret;
    ret = read_safetensors(r, w, file, log);
    mien_weights_close(&w);
check:
    if (ret >= 0)
        ret = mieni_roster_check(r, file, log);
    if (ret < 0)
        mieni_roster_free(r);
    return ret;
}

int mieni_roster_read(MieniRoster *r, const char *path, MienLog log)
{
    uint8_t *data;
    size_t bytes;
    memset(r, 0, sizeof(*r));
    int ret = mieni_file_read(path, is_json_path(path) ? MAX_JSON_FILE_BYTES : (size_t)4 << 30, &data, &bytes, log);
    if (ret < 0)
        return ret;
    ret = mieni_roster_parse(r, data, bytes, path, log);
    mien_free(data);
    return ret;
}
