/* mien evaluate video: are the right names given in a film, how soon, and how often a wrong one? The answers are facetag's log, or this
 * command runs the tagger over the film itself. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <cJSON.h>

#include "appearances.h"
#include "base/file.h"
#include "faces.h"
#include "media.h"
#include "svg.h"

#define MAX_FILE_BYTES ((size_t)1 << 28)

typedef struct VideoOptions {
    const char *truth, *log, *plot;
    double slack, duration, threshold;
    int interval;
} VideoOptions;

typedef struct Video {
    const Tool *tool;
    const VideoOptions *o;
    char *text; /* of the truth's file; names of a TSV point into it */
    cJSON **line; /* of a JSON truth: names point into these */
    size_t n_lines;
    Appearance *appearance;
    size_t n;
    Namings namings;
    double duration_s;
    AppearanceReport report;
} Video;

/* ---- files of lines */

/* The file's lines one by one, changed in place; blank ones and those that begin with # are left out. take: 0, or -1 after a message. */
static int each_line(char *text, int (*take)(void *priv, char *line, int number), void *priv)
{
    int number = 1, ret = 0;
    for (char *line = text; line && !ret; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line != '#' && line[strspn(line, " \t")])
            ret = take(priv, line, number);
        line = end;
    }
    return ret;
}

static int read_text(const Video *e, const char *path, char **text, size_t *n_lines)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    if (mieni_file_read(path, MAX_FILE_BYTES, &data, &bytes, e->tool->log) < 0)
        return -1;
    *text = (char *)data;
    *n_lines = 1;
    for (size_t i = 0; i < bytes; i++)
        *n_lines += data[i] == '\n';
    return memchr(data, 0, bytes) ? (tool_error(e->tool, "%s: is no text file", safe(path)), -1) : 0;
}

static double number_of(const cJSON *j, const char *key)
{
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, key);
    return cJSON_IsNumber(v) ? v->valuedouble : NAN;
}

static int box_of(const cJSON *j, const char *key, MienBox *box)
{
    const cJSON *a = cJSON_GetObjectItemCaseSensitive(j, key);
    double v[4];
    if (cJSON_GetArraySize(a) != 4)
        return 0;
    for (int i = 0; i < 4; i++) {
        const cJSON *k = cJSON_GetArrayItem(a, i);
        if (!cJSON_IsNumber(k) || !(fabs(k->valuedouble) < 1e6))
            return 0;
        v[i] = k->valuedouble;
    }
    *box = (MienBox){ (float)v[0], (float)v[1], (float)(v[0] + v[2]), (float)(v[1] + v[3]) };
    return 1;
}

/* ---- the truth */

static int truth_fields(char *line, Appearance *a)
{
    char *at[7] = { line };
    int n = 1;
    for (char *p = line; (p = strchr(p, '\t')) != NULL; n++) {
        *p++ = 0;
        if (n == 7)
            return -1;
        at[n] = p;
    }
    double v[7];
    for (int i = 1; i < n; i++)
        if (parse_real(at[i], &v[i]) < 0)
            return -1;
    if (n != 3 && n != 7)
        return -1;
    a->name = at[0];
    a->first_s = v[1];
    a->last_s = v[2];
    a->has_region = n == 7;
    if (n == 7)
        a->region_px = (MienBox){ (float)v[3], (float)v[4], (float)(v[3] + v[5]), (float)(v[4] + v[6]) };
    return 0;
}

static int truth_json(Video *e, const char *line, Appearance *a)
{
    cJSON *j = cJSON_Parse(line), *name = cJSON_GetObjectItemCaseSensitive(j, "name");
    if (!j)
        return -1;
    e->line[e->n_lines++] = j;
    if (!cJSON_IsString(name))
        return -1;
    a->name = name->valuestring;
    a->first_s = number_of(j, "first_s");
    a->last_s = number_of(j, "last_s");
    a->has_region = box_of(j, "region", &a->region_px);
    return !a->has_region && cJSON_HasObjectItem(j, "region") ? -1 : 0;
}

static int take_truth(void *priv, char *line, int number)
{
    Video *e = priv;
    Appearance a = { 0 };
    const char *why = "name, first and last second are wanted, and at most x y w h of a region";
    int ok = (*line == '{' ? truth_json(e, line, &a) : truth_fields(line, &a)) >= 0;
    if (ok)
        ok = mien_name_check(a.name, &why) >= 0;
    if (ok && !(a.first_s >= 0 && a.last_s >= a.first_s && a.last_s < 1e9)) {
        why = "an appearance ends before it begins";
        ok = 0;
    }
    if (!ok) {
        tool_error(e->tool, "%s: line %d: %s", safe(e->o->truth), number, why);
        return -1;
    }
    e->appearance[e->n++] = a;
    return 0;
}

static int read_truth(Video *e)
{
    size_t n_lines = 0;
    if (read_text(e, e->o->truth, &e->text, &n_lines) < 0)
        return -1;
    e->appearance = mien_malloc_array(n_lines, sizeof(*e->appearance));
    e->line = mien_calloc(n_lines, sizeof(*e->line));
    if (!e->appearance || !e->line)
        return tool_error(e->tool, "out of memory"), -1;
    return each_line(e->text, take_truth, e);
}

/* ---- the answers */

static int take_logged(void *priv, char *line, int number)
{
    static const char *const word[] = { "enter", "update", "retract", "leave" };
    Video *e = priv;
    cJSON *j = cJSON_Parse(line), *name = cJSON_GetObjectItemCaseSensitive(j, "name");
    const char *event = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(j, "event"));
    double track = number_of(j, "track"), time_s = number_of(j, "last_s");
    MienBox box = { 0 };
    size_t kind = 0;
    while (event && kind < MIEN_ARRAY_ELEMS(word) && strcmp(event, word[kind]))
        kind++;
    int ok = event && kind < MIEN_ARRAY_ELEMS(word) && fabs(track) < 1e15 && time_s >= 0 && time_s < 1e9 && box_of(j, "box", &box) &&
             (cJSON_IsNull(name) || (cJSON_IsString(name) && strlen(name->valuestring) <= MIEN_NAME_MAX_BYTES));
    if (!ok)
        tool_error(e->tool, "%s: line %d is no event with a time, as facetag's log has them", safe(e->o->log), number);
    else if (namings_event(&e->namings, (MienEventKind)kind, (int64_t)track, cJSON_GetStringValue(name), time_s, box) < 0)
        ok = 0, tool_error(e->tool, "out of memory");
    cJSON_Delete(j);
    return ok ? 0 : -1;
}

static int read_log(Video *e)
{
    char *text = NULL;
    size_t n_lines;
    int ret = read_text(e, e->o->log, &text, &n_lines);
    if (ret >= 0)
        ret = each_line(text, take_logged, e);
    mien_free(text);
    e->duration_s = e->namings.last_s;
    return ret;
}

static int take_events(Video *e, MienTagger *t)
{
    const MienEvent *event;
    int n = mien_tagger_events(t, &event), ret = 0;
    for (int i = 0; i < n && ret >= 0; i++) {
        const MienTag *tag = &event[i].tag;
        ret = namings_event(&e->namings, event[i].kind, tag->track, *tag->name ? tag->name : NULL, event[i].last_time_s, tag->box_px);
    }
    if (ret < 0)
        tool_error(e->tool, "out of memory");
    return ret;
}

static int tag_frames(Video *e, Media *m, MienTagger *t)
{
    Progress progress;
    MienImage img;
    const MienTag *tags;
    double time_s = 0;
    int64_t n = 0;
    int ret;
    progress_begin(&progress, e->tool, "frames", 0);
    while ((ret = media_next(m, &img, &time_s)) > 0 && !interrupted()) {
        if ((ret = mien_tagger_frame(t, &img, time_s, &tags)) < 0 || (ret = take_events(e, t)) < 0)
            break;
        e->duration_s = time_s;
        progress.share = media_duration_s(m) > 0 ? time_s / media_duration_s(m) : 0;
        progress_step(&progress, ++n);
    }
    progress_end(&progress);
    if (ret >= 0 && interrupted())
        return tool_error(e->tool, "interrupted; nothing is evaluated"), -1;
    if (ret >= 0 && (ret = mien_tagger_flush(t)) >= 0)
        ret = take_events(e, t);
    return ret;
}

static int watch(Video *e, const char *path)
{
    MienTaggerParams p = MIEN_TAGGER_DEFAULTS;
    MienGallery *g = gallery_open(e->tool, MIEN_GALLERY_READ);
    MienTagger *t = NULL;
    Media *m = NULL;
    Faces faces = { 0 };
    char buf[128];
    const char *encoder;
    int ret = -1;
    if (g && gallery_encoder(e->tool, g, buf, sizeof(buf), &encoder) >= 0 && faces_open(&faces, e->tool, encoder, 1, 1) >= 0 &&
        gallery_fits(e->tool, g, &faces) >= 0 && media_open(&m, path, e->tool->threads, e->tool->log) >= 0) {
        p.engine = faces.engine[0];
        p.search = mien_gallery_search;
        p.search_priv = g;
        p.log = e->tool->log;
        p.min_sim_cos = (float)(e->o->threshold > 0 ? cos_of_dist(e->o->threshold) : 0);
        p.interval = e->o->interval;
        ret = mien_tagger_create(&t, &p);
    }
    if (ret >= 0)
        ret = tag_frames(e, m, t);
    mien_tagger_destroy(&t);
    media_close(&m);
    faces_close(&faces);
    mien_gallery_close(&g);
    return ret;
}

/* ---- the result */

static int by_delay(const void *pa, const void *pb)
{
    const double *a = pa, *b = pb;
    return (*a > *b) - (*a < *b);
}

/* Share of the appearances that have their name so many seconds after they began. */
static int plot(const Video *e)
{
    const AppearanceReport *r = &e->report;
    size_t m = 0;
    double *delay = mien_malloc_array(r->n_named + 1, sizeof(double)), *xy = mien_malloc_array(4 * (r->n_named + 2), sizeof(double));
    char text[200];
    Svg s;
    if (!delay || !xy) {
        mien_free(delay);
        mien_free(xy);
        return tool_error(e->tool, "out of memory"), -1;
    }
    for (size_t i = 0; i < e->n; i++)
        if (!isnan(e->appearance[i].named_s))
            delay[m++] = e->appearance[i].named_s - e->appearance[i].first_s;
    if (m)
        qsort(delay, m, sizeof(*delay), by_delay);
    double most = m && delay[m - 1] > 1 ? ceil(delay[m - 1]) : 1, *x = xy, *y = xy + 2 * (r->n_named + 2);
    size_t k = 0;
    x[k] = y[k] = 0, k++;
    for (size_t i = 0; i < m; i++) {
        x[k] = delay[i], y[k] = (double)i / (double)e->n, k++;
        x[k] = delay[i], y[k] = (double)(i + 1) / (double)e->n, k++;
    }
    x[k] = most, y[k] = y[k - 1], k++;
    SvgPanel p = { .left = 80, .top = 70, .w = 480, .h = 360, .x0 = 0, .x1 = most, .y0 = 0, .y1 = 1, .title = "How soon a name is given",
                   .x_label = "seconds since the person appeared", .y_label = "share of the appearances" };
    svg_begin(&s, 600, 500);
    snprintf(text, sizeof(text), "%zu of %zu appearances named, %zu wrong names in %.0f s", r->n_named, e->n, r->n_wrong, e->duration_s);
    svg_text(&s, 300, 28, "middle", 15, text);
    svg_axes(&s, &p, 5, 10, 1);
    svg_line(&s, &p, x, y, k, "#1f77b4");
    mien_free(delay);
    mien_free(xy);
    return svg_write(&s, e->o->plot, e->tool->log);
}

static double per_hour(const Video *e, size_t n)
{
    return e->duration_s > 0 ? (double)n * 3600 / e->duration_s : NAN;
}

static int report_json(const Video *e)
{
    const AppearanceReport *r = &e->report;
    struct cJSON *j = json_object();
    json_int(j, "appearances", (int64_t)r->n_appearances);
    json_int(j, "appearances_named", (int64_t)r->n_named);
    json_real(j, "identification_rate", r->n_appearances ? (double)r->n_named / (double)r->n_appearances : NAN, 6);
    json_real(j, "share_of_time_named", r->share_named_s, 6);
    json_real(j, "time_to_name_mean_s", r->delay_mean_s, 3);
    json_real(j, "time_to_name_median_s", r->delay_median_s, 3);
    json_real(j, "time_to_name_most_s", r->delay_most_s, 3);
    json_int(j, "names_given", (int64_t)r->n_namings);
    json_int(j, "names_wrong", (int64_t)r->n_wrong);
    json_real(j, "names_wrong_per_hour", per_hour(e, r->n_wrong), 3);
    json_int(j, "identity_switches", e->namings.n_switched);
    json_int(j, "names_retracted", e->namings.n_retracted);
    json_int(j, "tracks", e->namings.n_tracks);
    json_real(j, "duration_s", e->duration_s, 3);
    struct cJSON *all = json_add_array(j, "by_appearance");
    for (size_t i = 0; i < e->n; i++) {
        const Appearance *a = &e->appearance[i];
        struct cJSON *k = json_item_object(all);
        json_str(k, "name", a->name);
        json_real(k, "first_s", a->first_s, 3);
        json_real(k, "last_s", a->last_s, 3);
        json_real(k, "named_s", a->named_s, 3);
        json_real(k, "covered_s", a->covered_s, 3);
    }
    struct cJSON *wrong = json_add_array(j, "wrong");
    for (size_t i = 0; i < e->namings.n; i++) {
        const Naming *g = &e->namings.naming[i];
        if (!g->wrong)
            continue;
        struct cJSON *k = json_item_object(wrong);
        json_str(k, "name", g->name);
        json_int(k, "track", g->track);
        json_real(k, "from_s", g->from_s, 3);
        json_real(k, "to_s", g->to_s, 3);
    }
    return json_print(e->tool, j, STATUS_OK);
}

static int report_text(const Video *e)
{
    const AppearanceReport *r = &e->report;
    printf("appearances       %zu, of which %zu were named (%.1f %%), for %.1f %% of their time\n", r->n_appearances, r->n_named,
           r->n_appearances ? 100 * (double)r->n_named / (double)r->n_appearances : 0, 100 * r->share_named_s);
    if (r->n_named)
        printf("time to the name  %.2f s on average, median %.2f s, at most %.2f s\n", r->delay_mean_s, r->delay_median_s, r->delay_most_s);
    printf("wrong names       %zu of %zu, %.2f an hour (%.0f s)\n", r->n_wrong, r->n_namings, per_hour(e, r->n_wrong), e->duration_s);
    printf("tracks            %lld, identity switches %lld, names retracted %lld\n", (long long)e->namings.n_tracks,
           (long long)e->namings.n_switched, (long long)e->namings.n_retracted);
    for (size_t i = 0; i < e->n; i++) {
        const Appearance *a = &e->appearance[i];
        if (isnan(a->named_s))
            printf("  missed: %s from %.2f to %.2f s\n", safe(a->name), a->first_s, a->last_s);
    }
    for (size_t i = 0; i < e->namings.n; i++) {
        const Naming *g = &e->namings.naming[i];
        if (g->wrong)
            printf("  wrong: %s on track %lld from %.2f to %.2f s\n", safe(g->name), (long long)g->track, g->from_s, g->to_s);
    }
    return STATUS_OK;
}

static int run_evaluate_video(Tool *tool, const void *options, int n_args, char **args)
{
    Video e = { .tool = tool, .o = options };
    int status = STATUS_ERROR, ret;
    if (!e.o->truth || !n_args == !e.o->log)
        return tool_error(tool, !e.o->truth ? "--truth FILE is needed: name, first and last second of an appearance a line"
                                            : "give a VIDEO, or facetag's log by --log FILE");
    ret = read_truth(&e);
    if (ret >= 0)
        ret = n_args ? watch(&e, args[0]) : read_log(&e);
    if (ret < 0)
        goto out;
    if (e.o->duration > 0)
        e.duration_s = e.o->duration;
    else if (!n_args)
        for (size_t i = 0; i < e.n; i++)
            e.duration_s = fmax(e.duration_s, e.appearance[i].last_s);
    namings_end(&e.namings, e.duration_s);
    if (appearances_score(e.appearance, e.n, e.namings.naming, e.namings.n, e.o->slack, &e.report) < 0)
        tool_error(tool, "out of memory");
    else if (!e.o->plot || plot(&e) >= 0)
        status = tool->json ? report_json(&e) : report_text(&e);
out:
    for (size_t i = 0; i < e.n_lines; i++)
        cJSON_Delete(e.line[i]);
    mien_free(e.line);
    mien_free(e.appearance);
    mien_free(e.text);
    namings_free(&e.namings);
    return status;
}

static const Option video_options[] = {
    OPT_TEXT_ROW(VideoOptions, truth, "truth", 0, "FILE", NULL,
                 "who is to be seen when: name, first and last second a line, separated by tabs, and x y w h of a region if the face stays "
                 "in one; or JSON lines with name, first_s, last_s, region"),
    OPT_TEXT_ROW(VideoOptions, log, "log", 0, "FILE", NULL, "facetag's log (format=jsonl), instead of a VIDEO"),
    OPT_TEXT_ROW(VideoOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: share of the appearances named over time"),
    OPT_REAL_ROW(VideoOptions, slack, "slack", 0, 0.5, 0, 60, "s", NULL, "a name is right so long before and after an appearance"),
    OPT_REAL_ROW(VideoOptions, duration, "duration", 0, 0, 0, 1e9, "s", "until the last event",
                 "the film's length, for rates an hour from a log"),
    OPT_REAL_ROW(VideoOptions, threshold, "threshold", 'd', 0, 0.0001, 2, NULL, "facetag's own",
                 "largest distance at which a name is given, of a VIDEO"),
    OPT_INT_ROW(VideoOptions, interval, "interval", 0, 3, 1, 1000, NULL, NULL, "frames from one detection to the next, of a VIDEO"),
    { .name = NULL },
};

const Command cmd_evaluate_video = {
    .name = "evaluate video", .group = "Measurements", .summary = "are the right names given in a film, how soon, how often a wrong one?",
    .args = "--truth FILE VIDEO | --truth FILE --log FILE",
    .text = "An appearance of an enrolled person counts as named when a track had that name while it lasted. A name is wrong where some of its "
            "time lies outside every appearance of that person: that is a stranger, or somebody else, called by it. The time to the name runs from the "
            "appearance's beginning to the event that gave it, not to the dated-back beginning of its track. An identity switch is a track that went from "
            "one name to another.\n"
            "VIDEO is watched as facetag would, with the gallery. The result is the same whether the film is watched here or its log is read.\n"
            "$ mien evaluate video --truth who.tsv --gallery staff.db tape.mkv\n"
            "$ mien evaluate video --truth who.tsv --log tape.jsonl --plot names.svg",
    .options = video_options, .options_bytes = sizeof(VideoOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON, .min_args = 0,
    .max_args = 1, .run = run_evaluate_video,
};
