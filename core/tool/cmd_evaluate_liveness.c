/* mien evaluate liveness: are living faces told from pictures of faces, on a list of clips and pictures whose kind is known? The words are those of
 * ISO/IEC 30107-3: APCER is the share of attacks of a kind that pass, BPCER the share of living faces that are refused. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "media.h"
#include "mien/exec.h"
#include "mien/tagger.h"
#include "svg.h"
#include "tool.h"
#include "work.h"

#define MAX_KINDS 32
#define MAX_LIST_BYTES ((size_t)1 << 26)

typedef struct LivenessOptions {
    const char *list, *root, *plot;
    double apcer;
} LivenessOptions;

/* A face that was presented: a track of a film, a face of a picture. */
typedef struct Presentation {
    const char *path;
    int kind;
    int64_t track, n_frames;
    double first_s, last_s;
    int has_frames;            /* a film */
    MienLiveness live;
    int64_t n_asked, n_passed; /* answers of the single-picture network; of them, at least one half live */
} Presentation;

typedef struct Clip {
    char *path;
    int kind;
    Presentation *face; /* grows */
    int n_faces, err;
    char message[512];
} Clip;

typedef struct EvaluateLiveness {
    const Tool *tool;
    const LivenessOptions *o;
    char *text; /* of the list; kinds point into it */
    const char *kind[MAX_KINDS];
    int n_kinds;
    Clip *clip;
    int64_t n_clips;
    MienFaceEngine *engine[256];
    int n_workers;
    Progress progress;
    Presentation *all; /* of all clips, in order */
    int64_t n_all;
    float min_llr;
} EvaluateLiveness;

/* ---- the list */

/* kind 0 is live */
static int kind_number(EvaluateLiveness *e, const char *word)
{
    for (int i = 0; i < e->n_kinds; i++)
        if (!strcmp(e->kind[i], word))
            return i;
    if (e->n_kinds == MAX_KINDS)
        return -1;
    e->kind[e->n_kinds] = word;
    return e->n_kinds++;
}

/* "PATH KIND": the kind is what stands behind the last blank or tab, so that paths may hold blanks. */
static int read_line(EvaluateLiveness *e, char *line, int number)
{
    size_t n = strlen(line);
    while (n && strchr(" \t\r", line[n - 1]))
        line[--n] = 0;
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    char *word = line + strlen(line);
    while (word > line && !strchr(" \t", word[-1]))
        word--;
    if (word == line)
        return tool_error(e->tool, "%s:%d: a path and a kind are wanted, live or a word for the attack", safe(e->o->list), number), -1;
    char *end = word;
    while (end > line && strchr(" \t", end[-1]))
        end--;
    *end = 0;
    Clip *c = &e->clip[e->n_clips];
    if ((c->kind = kind_number(e, word)) < 0)
        return tool_error(e->tool, "%s:%d: more than %d kinds", safe(e->o->list), number, MAX_KINDS), -1;
    const char *root = *line == '/' || !e->o->root ? "" : e->o->root;
    size_t bytes = strlen(root) + strlen(line) + 2;
    if (!(c->path = mien_malloc(bytes)))
        return tool_error(e->tool, "out of memory"), -1;
    snprintf(c->path, bytes, "%s%s%s", root, *root ? "/" : "", line);
    e->n_clips++;
    return 0;
}

static int read_list(EvaluateLiveness *e)
{
    size_t bytes, n_lines = 1;
    uint8_t *data;
    e->kind[e->n_kinds++] = "live";
    if (mieni_file_read(e->o->list, MAX_LIST_BYTES, &data, &bytes, e->tool->log) < 0)
        return -1;
    e->text = (char *)data;
    for (size_t i = 0; i < bytes; i++)
        n_lines += e->text[i] == '\n';
    if (!(e->clip = mien_calloc(n_lines, sizeof(*e->clip))))
        return tool_error(e->tool, "out of memory"), -1;
    int number = 1;
    for (char *line = e->text; line; number++) {
        char *next = strchr(line, '\n');
        if (next)
            *next++ = 0;
        if (read_line(e, line, number) < 0)
            return -1;
        line = next;
    }
    if (!e->n_clips)
        return tool_error(e->tool, "%s: there is nothing in it", safe(e->o->list)), -1;
    return 0;
}

/* ---- a clip */

static void keep_message(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    char *message = priv;
    if (level == MIEN_LOG_ERROR && !*message)
        vsnprintf(message, 512, fmt, ap);
}

static Presentation *face_of(Clip *c, int64_t track)
{
    for (int i = c->n_faces - 1; i >= 0; i--)
        if (c->face[i].track == track)
            return &c->face[i];
    if ((c->n_faces & (c->n_faces - 1)) == 0) { /* full at every power of two */
        Presentation *p = mien_realloc_array(c->face, c->n_faces ? 2 * (size_t)c->n_faces : 1, sizeof(*p));
        if (!p)
            return NULL;
        c->face = p;
    }
    c->face[c->n_faces] = (Presentation){ .path = c->path, .kind = c->kind, .track = track };
    return &c->face[c->n_faces++];
}

static int take_tags(Clip *c, const MienTag *tags, int n, double time_s)
{
    for (int i = 0; i < n; i++) {
        Presentation *p = face_of(c, tags[i].track);
        if (!p)
            return MIEN_ERR(ENOMEM);
        if (!p->n_frames++)
            p->first_s = time_s;
        p->last_s = time_s;
        p->has_frames = 1;
        int looked = tags[i].live.n_looks > p->live.n_looks;
        p->live = tags[i].live;
        if (looked && !isnan(p->live.frame_prob)) {
            p->n_asked++;
            p->n_passed += p->live.frame_prob >= 0.5f;
        }
    }
    return 0;
}

/* One picture: nothing but the network's answer for each face. */
static int judge_picture(MienFaceEngine *engine, Clip *c, const MienImage *img)
{
    MienFace face[16];
    float prob[16];
    int n = mien_face_analyze(engine, img, face, 16);
    int ret = n > 0 ? mien_face_liveness(engine, img, face, n, prob) : n;
    for (int i = 0; i < n && ret >= 0; i++) {
        Presentation *p = face_of(c, i + 1);
        if (!p)
            return MIEN_ERR(ENOMEM);
        p->n_frames = p->n_asked = 1;
        p->n_passed = prob[i] >= 0.5f;
        p->live = (MienLiveness){ .prob = prob[i], .n_looks = 1, .frame_prob = prob[i] };
    }
    return ret;
}

static int judge_film(MienFaceEngine *engine, Clip *c, Media *media, MienImage *img, double time_s, MienLog log)
{
    MienTagger *tagger = NULL;
    MienTaggerParams p = MIEN_TAGGER_DEFAULTS;
    const MienTag *tags;
    p.engine = engine;
    p.log = log;
    p.mode = MIEN_MODE_DETECT;
    p.liveness = MIEN_LIVENESS_REPORT;
    int ret = mien_tagger_create(&tagger, &p);
    while (ret >= 0 && !interrupted()) {
        int n = mien_tagger_frame(tagger, img, time_s, &tags);
        ret = n < 0 ? n : take_tags(c, tags, n, time_s);
        if (ret < 0 || (ret = media_next(media, img, &time_s)) <= 0)
            break;
    }
    mien_tagger_destroy(&tagger);
    return ret;
}

static int judge_clip(EvaluateLiveness *e, int worker, Clip *c, MienLog log)
{
    Media *media = NULL;
    MienImage img;
    double time_s;
    int ret = media_open(&media, c->path, 1, log);
    if (ret >= 0)
        ret = media_next(media, &img, &time_s);
    if (ret > 0)
        ret = media_is_video(media) ? judge_film(e->engine[worker], c, media, &img, time_s, log)
                                    : judge_picture(e->engine[worker], c, &img);
    media_close(&media);
    if (ret < 0)
        mien_log(log, MIEN_LOG_ERROR, "%s: %s", c->path, mien_strerror(ret)); /* unless something was said already */
    return ret;
}

static void make(void *priv, int worker, int64_t i)
{
    EvaluateLiveness *e = priv;
    Clip *c = &e->clip[i];
    c->err = judge_clip(e, worker, c, (MienLog){ .write = keep_message, .priv = c->message, .level = MIEN_LOG_ERROR });
}

static int take(void *priv, int64_t i)
{
    EvaluateLiveness *e = priv;
    if (e->clip[i].err >= 0)
        return 0;
    tool_error(e->tool, "%s; nothing is evaluated", safe(e->clip[i].message));
    return 1;
}

static void tick(void *priv, int64_t done)
{
    progress_step(&((EvaluateLiveness *)priv)->progress, done);
}

static int judge_all(EvaluateLiveness *e)
{
    e->n_workers = e->tool->threads < e->n_clips ? e->tool->threads : (int)e->n_clips;
    for (int i = 0; i < e->n_workers; i++) {
        MienFaceParams p = MIEN_FACE_DEFAULTS;
        p.models_dir = e->tool->models;
        p.log = e->tool->log;
        p.with_encoder = 0;
        p.with_liveness = 1;
        if (mien_face_engine_create(&e->engine[i], &p) < 0)
            return -1;
    }
    progress_begin(&e->progress, e->tool, "clips", e->n_clips);
    Work w = { .make = make, .take = take, .tick = tick, .priv = e, .n_workers = e->n_workers, .lead = 2 * e->n_workers };
    int ret = work_in_order(&w, e->n_clips);
    progress_end(&e->progress);
    if (!ret && interrupted())
        return tool_error(e->tool, "interrupted; nothing is evaluated"), -1;
    if (ret < 0)
        tool_error(e->tool, "the clips cannot be worked on: %s", mien_strerror(ret));
    return ret ? -1 : 0;
}

static int gather(EvaluateLiveness *e)
{
    for (int64_t i = 0; i < e->n_clips; i++)
        e->n_all += e->clip[i].n_faces;
    if (!(e->all = mien_malloc_array((size_t)e->n_all + 1, sizeof(*e->all))))
        return tool_error(e->tool, "out of memory"), -1;
    int64_t n = 0;
    for (int64_t i = 0; i < e->n_clips; i++)
        for (int k = 0; k < e->clip[i].n_faces; k++)
            e->all[n++] = e->clip[i].face[k];
    return 0;
}

/* ---- figures */

typedef struct Rates {
    int64_t n, n_undecided, n_passed; /* tracks; those with enough evidence that were let through */
    int64_t n_asked, n_frames_passed; /* frames and pictures of the network alone */
} Rates;

static void count(const EvaluateLiveness *e, Rates rates[MAX_KINDS])
{
    memset(rates, 0, MAX_KINDS * sizeof(*rates));
    for (int64_t i = 0; i < e->n_all; i++) {
        const Presentation *p = &e->all[i];
        Rates *r = &rates[p->kind];
        r->n_asked += p->n_asked;
        r->n_frames_passed += p->n_passed;
        if (!p->has_frames)
            continue;
        r->n++;
        r->n_undecided += !p->live.enough;
        r->n_passed += p->live.enough && p->live.llr >= e->min_llr;
    }
}

static double share(int64_t part, int64_t whole)
{
    return whole ? (double)part / (double)whole : NAN;
}

/* The share of decided tracks of a kind that pass; of the living it is 1 − BPCER. */
static double passed(const Rates *r)
{
    return share(r->n_passed, r->n - r->n_undecided);
}

static int by_llr(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Log-likelihood ratios of the decided tracks, living (want 1) or attacks (0), sorted. */
static size_t evidence(const EvaluateLiveness *e, int want, float *llr)
{
    size_t n = 0;
    for (int64_t i = 0; i < e->n_all; i++)
        if (e->all[i].has_frames && e->all[i].live.enough && (e->all[i].kind == 0) == want)
            llr[n++] = e->all[i].live.llr;
    qsort(llr, n, sizeof(*llr), by_llr);
    return n;
}

/* How many of n sorted values are at least x. */
static size_t at_least(const float *v, size_t n, float x)
{
    size_t k = 0;
    while (k < n && v[k] < x)
        k++;
    return n - k;
}

static void report_json(const EvaluateLiveness *e, const Rates rates[MAX_KINDS], double worst, double bpcer, struct cJSON *j)
{
    json_real(j, "target_apcer", e->o->apcer, 4);
    json_real(j, "min_llr", (double)e->min_llr, 3);
    json_real(j, "bpcer", bpcer, 4);
    json_real(j, "apcer_worst", worst, 4);
    json_real(j, "acer", (worst + bpcer) / 2, 4);
    struct cJSON *kinds = json_add_array(j, "kinds");
    for (int k = 0; k < e->n_kinds; k++) {
        struct cJSON *o = json_item_object(kinds);
        const Rates *r = &rates[k];
        json_str(o, "kind", e->kind[k]);
        json_int(o, "tracks", r->n);
        json_int(o, "undecided", r->n_undecided);
        json_real(o, k ? "apcer" : "bpcer", k ? passed(r) : 1 - passed(r), 4);
        json_int(o, "frames", r->n_asked);
        json_real(o, k ? "apcer_single" : "bpcer_single", k ? share(r->n_frames_passed, r->n_asked) : 1 - share(r->n_frames_passed, r->n_asked), 4);
    }
    struct cJSON *tracks = json_add_array(j, "faces");
    for (int64_t i = 0; i < e->n_all; i++) {
        const Presentation *p = &e->all[i];
        struct cJSON *o = json_item_object(tracks);
        json_str(o, "file", p->path);
        json_str(o, "kind", e->kind[p->kind]);
        json_int(o, "track", p->track);
        json_int(o, "frames", p->n_frames);
        json_real(o, "first_s", p->first_s, 3);
        json_real(o, "last_s", p->last_s, 3);
        json_bool(o, "enough", p->live.enough);
        json_real(o, "live", (double)p->live.prob, 4);
        json_real(o, "llr", (double)p->live.llr, 3);
        struct cJSON *m = json_add_object(o, "measure"), *l = json_add_object(o, "check_llr");
        for (int k = 0; k < mien_live_checks() && p->has_frames; k++) {
            json_real(m, mien_live_check_name(k), (double)p->live.measure[k], 4);
            json_real(l, mien_live_check_name(k), (double)p->live.check_llr[k], 3);
        }
    }
}

typedef struct Text {
    char s[24];
} Text;

/* A dash where nothing was there to measure. */
static Text number(double v, int decimals, const char *unit)
{
    Text t = { "-" };
    if (!isnan(v))
        snprintf(t.s, sizeof(t.s), "%.*f%s", decimals, v, unit);
    return t;
}

static Text percent(double share_of_one)
{
    return number(100 * share_of_one, 1, " %");
}

/* What each check said on the mean, of the living and of attacks. */
static void report_checks(const EvaluateLiveness *e)
{
    printf("\n%-16s %9s %9s   mean log-likelihood ratio; what it measures\n", "check", "living", "attacks");
    for (int k = 0; k < mien_live_checks(); k++) {
        double sum[2] = { 0, 0 };
        int64_t n[2] = { 0, 0 };
        for (int64_t i = 0; i < e->n_all; i++) {
            const Presentation *p = &e->all[i];
            if (!p->has_frames || !p->live.enough || isnan(p->live.check_llr[k]))
                continue;
            sum[p->kind == 0] += (double)p->live.check_llr[k];
            n[p->kind == 0]++;
        }
        printf("%-16s %9s %9s   %s\n", mien_live_check_name(k), number(n[1] ? sum[1] / (double)n[1] : NAN, 2, "").s,
               number(n[0] ? sum[0] / (double)n[0] : NAN, 2, "").s, mien_live_check_text(k));
    }
}

static void report(const EvaluateLiveness *e, struct cJSON *j)
{
    Rates rates[MAX_KINDS];
    double worst = NAN;
    count(e, rates);
    for (int k = 1; k < e->n_kinds; k++)
        worst = fmax(worst, passed(&rates[k]));
    double bpcer = 1 - passed(&rates[0]);
    if (j) {
        report_json(e, rates, worst, bpcer, j);
        return;
    }
    printf("alive from a log-likelihood ratio of %.2f on, a probability of %.3f (the row for an APCER of %.3g)\n\n", (double)e->min_llr,
           1 / (1 + exp(-(double)e->min_llr)), e->o->apcer);
    printf("%-16s %7s %9s %9s %22s\n", "kind", "tracks", "undecided", "passed", "single frames, passed");
    for (int k = 0; k < e->n_kinds; k++) {
        const Rates *r = &rates[k];
        printf("%-16s %7lld %9lld %9s %13lld, %7s\n", safe(e->kind[k]), (long long)r->n, (long long)r->n_undecided, percent(passed(r)).s,
               (long long)r->n_asked, percent(share(r->n_frames_passed, r->n_asked)).s);
    }
    printf("\nBPCER %s   APCER of the worst kind %s   ACER %s\n", percent(bpcer).s, percent(worst).s, percent((worst + bpcer) / 2).s);
    report_checks(e);
}

/* Left the two error rates by threshold, right the evidence of both sides. */
static int plot(const EvaluateLiveness *e, const float *llr[2], const size_t n[2])
{
    enum { BINS = 48 };
    const double least = -12, most = 12;
    double x[BINS + 1], rate[2][BINS + 1], bin[2][BINS] = { { 0 } }, top = 0.05;
    char text[200];
    Svg s;
    for (int i = 0; i <= BINS; i++) {
        x[i] = least + (most - least) * i / BINS;
        rate[0][i] = share((int64_t)at_least(llr[0], n[0], (float)x[i]), (int64_t)n[0]);     /* attacks that pass */
        rate[1][i] = 1 - share((int64_t)at_least(llr[1], n[1], (float)x[i]), (int64_t)n[1]); /* living ones that do not */
    }
    for (int side = 0; side < 2; side++)
        for (size_t i = 0; i < n[side]; i++) {
            int b = (int)(((double)llr[side][i] - least) / (most - least) * BINS);
            bin[side][b < 0 ? 0 : b >= BINS ? BINS - 1 : b] += 1.0 / (double)n[side];
        }
    for (int i = 0; i < BINS; i++)
        top = fmax(top, fmax(bin[0][i], bin[1][i]));
    SvgPanel errors = { .left = 80, .top = 70, .w = 420, .h = 360, .x0 = least, .x1 = most, .y0 = 0, .y1 = 1, .title = "Errors by threshold",
                        .x_label = "threshold, log-likelihood ratio; orange: APCER, blue: BPCER", .y_label = "error rate" };
    SvgPanel hist = { .left = 600, .top = 70, .w = 420, .h = 360, .x0 = least, .x1 = most, .y0 = 0, .y1 = top * 1.05, .title = "Evidence",
                      .x_label = "log-likelihood ratio; blue: living, orange: attacks", .y_label = "share of tracks" };
    svg_begin(&s, 1060, 500);
    snprintf(text, sizeof(text), "liveness: %zu tracks of living faces, %zu of attacks", n[1], n[0]);
    svg_text(&s, 530, 28, "middle", 17, text);
    svg_axes(&s, &errors, 8, 10, 1);
    svg_line(&s, &errors, x, rate[0], BINS + 1, "#ff7f0e");
    svg_line(&s, &errors, x, rate[1], BINS + 1, "#1f77b4");
    svg_axes(&s, &hist, 8, 5, 1);
    for (int i = 0; i < BINS; i++) {
        svg_bar(&s, &hist, x[i], x[i + 1], bin[1][i], "#1f77b4");
        svg_bar(&s, &hist, x[i], x[i + 1], bin[0][i], "#ff7f0e");
    }
    snprintf(text, sizeof(text), "threshold %.2f", (double)e->min_llr);
    svg_mark_x(&s, &hist, (double)e->min_llr, "#333333", text);
    return svg_write(&s, e->o->plot, e->tool->log);
}

/* The thresholds that this list would give: for each share of attacks, the least that keeps to it, and what it costs. */
static void thresholds(const EvaluateLiveness *e, const float *llr[2], const size_t n[2], struct cJSON *j)
{
    static const double target[] = { 0.01, 0.02, 0.05, 0.1, 0.2 };
    struct cJSON *rows = json_add_array(j, "thresholds");
    if (!e->tool->json)
        printf("\n%-16s %9s %9s   on this list\n", "APCER wanted", "llr", "BPCER");
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(target) && n[0]; i++) {
        size_t allowed = (size_t)(target[i] * (double)n[0]);           /* that many may lie at the threshold or above */
        double least = (double)llr[0][n[0] - 1 - allowed] + 0.005;     /* printed with two decimals */
        double bpcer = 1 - share((int64_t)at_least(llr[1], n[1], (float)least), (int64_t)n[1]);
        struct cJSON *o = json_item_object(rows);
        json_real(o, "apcer", target[i], 3);
        json_real(o, "llr", least, 3);
        json_real(o, "bpcer", bpcer, 4);
        if (!e->tool->json)
            printf("%-16.2f %9.2f %7.1f %%\n", target[i], least, 100 * bpcer);
    }
}

static int tell(const EvaluateLiveness *e)
{
    float *room = mien_malloc_array(2 * (size_t)e->n_all + 1, sizeof(*room));
    struct cJSON *j = e->tool->json ? json_object() : NULL;
    int status = STATUS_ERROR;
    if (!room) {
        json_free(j);
        return tool_error(e->tool, "out of memory");
    }
    const float *llr[2] = { room, room + e->n_all };
    const size_t n[2] = { evidence(e, 0, room), evidence(e, 1, room + e->n_all) };
    if (!e->o->plot || plot(e, llr, n) >= 0) {
        report(e, j);
        thresholds(e, llr, n, j);
        status = j ? json_print(e->tool, j, STATUS_OK) : STATUS_OK;
        j = NULL;
    }
    json_free(j);
    mien_free(room);
    return status;
}

static int run_evaluate_liveness(Tool *tool, const void *options, int n_args, char **args)
{
    EvaluateLiveness e = { .tool = tool, .o = options };
    int status = STATUS_ERROR;
    (void)n_args, (void)args;
    if (!e.o->list)
        return tool_error(tool, "--list FILE is needed: a path and a kind (live, or a word for the attack) a line");
    e.min_llr = mien_live_min_llr((float)e.o->apcer);
    if (read_list(&e) >= 0 && judge_all(&e) >= 0 && gather(&e) >= 0)
        status = tell(&e);
    for (int64_t i = 0; i < e.n_clips; i++) {
        mien_free(e.clip[i].path);
        mien_free(e.clip[i].face);
    }
    for (int i = 0; i < e.n_workers; i++)
        mien_face_engine_destroy(&e.engine[i]);
    mien_free(e.clip);
    mien_free(e.all);
    mien_free(e.text);
    return status;
}

static const Option evaluate_liveness_options[] = {
    OPT_TEXT_ROW(LivenessOptions, list, "list", 'l', "FILE", NULL,
                 "the clips and pictures: a path and a kind a line, live or a word for the attack (print, screen …)"),
    OPT_TEXT_ROW(LivenessOptions, root, "root", 'r', "DIR", "the current folder", "folder that the paths begin at"),
    OPT_REAL_ROW(LivenessOptions, apcer, "apcer", 0, 0.05, 0.02, 1, NULL, NULL, "share of attacks that may pass, by the table of docs/liveness.md"),
    OPT_TEXT_ROW(LivenessOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: error rates by threshold, and the evidence of both sides"),
    { .name = NULL },
};

const Command cmd_evaluate_liveness = {
    .name = "evaluate liveness", .group = "Measurements", .summary = "are living faces told from pictures of faces, on a list of clips?",
    .args = "--list FILE --root DIR",
    .text = "Every face that is followed through a clip long enough for a decision counts as one presentation; faces seen too briefly are listed as "
            "undecided. Printed are, by kind, the share of tracks that pass (1 − BPCER for the living, APCER for an attack; ISO/IEC 30107-3), their "
            "worst and mean (ACER = (worst APCER + BPCER) / 2), and beside them what the single-picture network alone lets pass of the frames it was asked "
            "about, at a probability of one half. Pictures have that last figure only.\n"
            "$ mien evaluate liveness --list clips.txt --plot liveness.svg",
    .options = evaluate_liveness_options, .options_bytes = sizeof(LivenessOptions), .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON,
    .max_args = 0, .run = run_evaluate_liveness,
};
