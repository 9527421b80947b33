/* JSON lines as events; see event_read.h. */
#include "event_read.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include <cJSON.h>

static double number_of(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    return cJSON_IsNumber(v) && fabs(v->valuedouble) < 1e15 ? v->valuedouble : NAN;
}

static int64_t whole_of(const cJSON *j, const char *key)
{
    double v = number_of(j, key);
    return v >= 0 && v == floor(v) ? (int64_t)v : -1;
}

static const char *text_of(const cJSON *j, const char *key)
{
    const char *s = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(j, key));
    return s ? s : "";
}

/* Index of what stands at key among words, or -1. */
static int word_of(const cJSON *j, const char *key, const char *const *words, int n)
{
    const char *s = text_of(j, key);
    for (int i = 0; i < n; i++)
        if (!strcmp(s, words[i]))
            return i;
    return -1;
}

/* "2026-11-23T21:40:12.345Z" */
static double wall_of(const char *s)
{
    struct tm tm = { 0 };
    const char *rest = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);
    double part = 0;
    if (!rest)
        return NAN;
    if (*rest == '.') {
        double unit = 0.1;
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
            part += (*rest - '0') * unit;
    }
    return strcmp(rest, "Z") ? NAN : (double)timegm(&tm) + part;
}

static int take(const cJSON *j, LoggedEvent *e, const char **why)
{
    static const char *const kinds[] = { "enter", "update", "retract", "leave" };
    const char *const statuses[] = { mien_status_name(0), mien_status_name(1), mien_status_name(2), mien_status_name(3) };
    int kind = word_of(j, "event", kinds, 4), status = word_of(j, "status", statuses, 4);
    const char *name = text_of(j, "name");
    if (cJSON_HasObjectItem(j, "v") && number_of(j, "v") != MIEN_EVENT_SCHEMA) {
        *why = "its schema (v) is not 1, the one that this mien knows";
        return -1;
    }
    *e = (LoggedEvent){ .kind = (MienEventKind)kind, .status = (MienStatus)status, .track = whole_of(j, "track"), .id = whole_of(j, "id"),
                        .first_s = number_of(j, "first_s"), .last_s = number_of(j, "last_s"), .first_frame = whole_of(j, "first_frame"),
                        .last_frame = whole_of(j, "last_frame"), .similarity = number_of(j, "similarity"), .wall_s = wall_of(text_of(j, "wall")) };
    *why = kind < 0            ? "it has no event that facetag's log has"
           : status < 0        ? "it has no status that facetag's log has"
           : e->track < 0      ? "it has no track"
           : strlen(name) > MIEN_NAME_MAX_BYTES ? "its name is too long"
           : status == MIEN_STATUS_KNOWN && !*name ? "its status is known, but it has no name"
                               : NULL;
    if (*why)
        return -1;
    strcpy(e->name, name);
    strncpy(e->thumb, text_of(j, "thumb"), sizeof(e->thumb) - 1);
    return 0;
}

int event_parse(const char *line, LoggedEvent *event, const char **why)
{
    cJSON *j = cJSON_Parse(line);
    *why = "it is no JSON object";
    int ret = cJSON_IsObject(j) ? take(j, event, why) : -1;
    cJSON_Delete(j);
    return ret;
}
