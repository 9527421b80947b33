/* mien evaluate detection: how many faces are found, and how many finds are faces, on pictures whose faces are known. */
#include <stdlib.h>
#include <string.h>

#include "ap.h"
#include "base/file.h"
#include "faces.h"
#include "media.h"
#include "svg.h"
#include "work.h"

#define MAX_FILE_BYTES ((size_t)1 << 30)

typedef struct DetectionOptions {
    const char *boxes, *root, *plot;
    double iou, min_prob, at_prob;
    int min_face, size, thorough;
} DetectionOptions;

typedef struct Found {
    MienFace *face;
    int n, err;
} Found;

typedef struct Detection {
    const Tool *tool;
    const DetectionOptions *o;
    char *text;            /* of the boxes file; the paths point into it */
    const char **picture;  /* in the file's order */
    size_t n_pictures, n_truth, n_left_out, n_found;
    ApTruth *truth;
    ApDetection *detection;
    Faces faces;
    Found *found;          /* per picture */
    char (*message)[512];  /* ring of lead */
    int lead;
    size_t n_detections;
    Progress progress;
} Detection;

/* ---- the boxes file */

/* "PATH x y w h" or "PATH": the line is changed. 1 a box, 0 a picture without one, -1. */
static int parse_line(char *line, MienBox *box)
{
    double v[4];
    char *at[4], *field = strrchr(line, '\t') ? line : NULL, *sep = field ? "\t" : " ";
    int n = 0;
    for (char *p = line; (p = strpbrk(p, sep)) != NULL; n++) {
        *p++ = 0;
        p += *sep == ' ' ? strspn(p, " ") : 0;
        if (n == 4 || !*p)
            return -1;
        at[n] = p;
    }
    if (n == 0)
        return 0;
    for (int i = 0; i < 4; i++)
        if (n != 4 || parse_real(at[i], &v[i]) < 0)
            return -1;
    *box = (MienBox){ (float)v[0], (float)v[1], (float)(v[0] + v[2]), (float)(v[1] + v[3]) };
    return v[2] > 0 && v[3] > 0 && fabs(v[0]) < 1e6 && fabs(v[1]) < 1e6 && v[2] < 1e6 && v[3] < 1e6 ? 1 : -1;
}

static int take_line(Detection *e, char *line, int number)
{
    MienBox box = { 0 };
    int got = parse_line(line, &box);
    if (got < 0) {
        tool_error(e->tool, "%s: line %d: a picture's path and x y w h of a face are wanted, or the path alone", safe(e->o->boxes), number);
        return MIEN_E_FORMAT;
    }
    if (!e->n_pictures || strcmp(e->picture[e->n_pictures - 1], line))
        e->picture[e->n_pictures++] = line;
    if (!got)
        return 0;
    int left_out = box.x1_px - box.x0_px < (float)e->o->min_face || box.y1_px - box.y0_px < (float)e->o->min_face;
    e->n_left_out += (size_t)left_out;
    e->truth[e->n_truth++] = (ApTruth){ .box_px = box, .picture = (int)e->n_pictures - 1, .left_out = left_out };
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A picture's lines stand together; elsewhere once more they would be another picture, with faces missing. */
static int no_repeats(const Detection *e)
{
    const char **sorted = mien_malloc_array(e->n_pictures, sizeof(*sorted));
    if (!sorted)
        return tool_error(e->tool, "out of memory"), -1;
    memcpy(sorted, e->picture, e->n_pictures * sizeof(*sorted));
    qsort(sorted, e->n_pictures, sizeof(*sorted), by_name);
    const char *twice = NULL;
    for (size_t i = 1; i < e->n_pictures && !twice; i++)
        twice = strcmp(sorted[i - 1], sorted[i]) ? NULL : sorted[i];
    mien_free(sorted);
    if (twice)
        tool_error(e->tool, "%s: the lines of '%s' do not stand together", safe(e->o->boxes), safe(twice));
    return twice ? -1 : 0;
}

static int read_boxes(Detection *e)
{
    uint8_t *data = NULL;
    size_t bytes = 0, n_lines = 1;
    int ret = mieni_file_read(e->o->boxes, MAX_FILE_BYTES, &data, &bytes, e->tool->log);
    if (ret < 0)
        return ret;
    e->text = (char *)data;
    if (memchr(data, 0, bytes))
        return tool_error(e->tool, "%s: is no text file", safe(e->o->boxes)), MIEN_E_FORMAT;
    for (size_t i = 0; i < bytes; i++)
        n_lines += data[i] == '\n';
    e->picture = mien_malloc_array(n_lines, sizeof(*e->picture));
    e->truth = mien_malloc_array(n_lines, sizeof(*e->truth));
    if (!e->picture || !e->truth || n_lines > INT32_MAX)
        return tool_error(e->tool, "out of memory"), MIEN_ERR(ENOMEM);
    char *line = e->text;
    for (int number = 1; line && ret >= 0; number++) {
        char *end = strchr(line, '\n');
        if (end)
            *end++ = 0;
        line[strcspn(line, "\r")] = 0;
        if (*line && *line != '#' && line[strspn(line, " \t")])
            ret = take_line(e, line, number);
        line = end;
    }
    if (ret < 0)
        return ret;
    if (e->n_truth == e->n_left_out)
        return tool_error(e->tool, "%s: there are no faces in it%s", safe(e->o->boxes), e->n_truth ? " that --min-face counts" : ""), -1;
    return no_repeats(e);
}

/* ---- pictures */

static void keep_message(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    char *message = priv;
    if (level == MIEN_LOG_ERROR && !*message)
        vsnprintf(message, 512, fmt, ap);
}

static int detect_in(Detection *e, int worker, size_t i, MienLog log)
{
    const DetectionOptions *o = e->o;
    char path[4096];
    uint8_t *rgb8 = NULL;
    MienImage img;
    MienDetectParams p = { .size_px = o->size, .min_face_px = o->min_face > 8 ? o->min_face : 8, .min_prob = (float)o->min_prob,
                           .max_iou = 0.3f, .thorough = o->thorough };
    const char *root = *e->picture[i] == '/' ? "" : o->root ? o->root : ".";
    snprintf(path, sizeof(path), "%s%s%s", root, *root ? "/" : "", e->picture[i]);
    MienFace *faces = mien_calloc(FACES_MAX, sizeof(*faces));
    int n = faces ? media_read_picture(path, &rgb8, &img, NULL, log) : MIEN_ERR(ENOMEM);
    if (n >= 0)
        n = mien_face_detect(e->faces.engine[worker], &img, &p, faces, FACES_MAX);
    if (n > 0 && (e->found[i].face = mien_malloc_array((size_t)n, sizeof(*faces))))
        memcpy(e->found[i].face, faces, (size_t)n * sizeof(*faces));
    else if (n > 0)
        n = MIEN_ERR(ENOMEM);
    if (n < 0)
        mien_log(log, MIEN_LOG_ERROR, "%s: %s", path, mien_strerror(n)); /* unless something was said already */
    mien_free(rgb8);
    mien_free(faces);
    return n;
}

static void make(void *priv, int worker, int64_t i)
{
    Detection *e = priv;
    char *message = e->message[i % e->lead];
    *message = 0;
    e->found[i].n = detect_in(e, worker, (size_t)i, (MienLog){ .write = keep_message, .priv = message, .level = MIEN_LOG_ERROR });
}

static int take(void *priv, int64_t i)
{
    Detection *e = priv;
    if (e->found[i].n < 0) {
        tool_error(e->tool, "%s; nothing is evaluated, because a picture would be missing", safe(e->message[i % e->lead]));
        return 1;
    }
    e->n_detections += (size_t)e->found[i].n;
    return 0;
}

static void tick(void *priv, int64_t done)
{
    progress_step(&((Detection *)priv)->progress, done);
}

static int detect_all(Detection *e)
{
    size_t k = 0;
    e->lead = 8 * e->faces.n_workers;
    e->found = mien_calloc(e->n_pictures, sizeof(*e->found));
    e->message = mien_calloc((size_t)e->lead, sizeof(*e->message));
    if (!e->found || !e->message)
        return tool_error(e->tool, "out of memory"), -1;
    progress_begin(&e->progress, e->tool, "pictures", (int64_t)e->n_pictures);
    Work w = { .make = make, .take = take, .tick = tick, .priv = e, .n_workers = e->faces.n_workers, .lead = e->lead };
    int ret = work_in_order(&w, (int64_t)e->n_pictures);
    progress_end(&e->progress);
    if (!ret && interrupted())
        return tool_error(e->tool, "interrupted; nothing is evaluated"), -1;
    if (ret < 0)
        tool_error(e->tool, "the pictures cannot be worked on: %s", mien_strerror(ret));
    if (ret)
        return -1;
    e->detection = mien_malloc_array(e->n_detections ? e->n_detections : 1, sizeof(*e->detection));
    if (!e->detection)
        return tool_error(e->tool, "out of memory"), -1;
    for (size_t i = 0; i < e->n_pictures; i++)
        for (int f = 0; f < e->found[i].n; f++)
            e->detection[k++] = (ApDetection){ .box_px = e->found[i].face[f].box_px, .prob = (double)e->found[i].face[f].prob,
                                               .picture = (int)i };
    return 0;
}

/* ---- the result */

static int plot(const Detection *e, const ApPoint *point, size_t n, double average)
{
    double *xy = mien_malloc_array(2 * (n + 1), sizeof(double));
    char text[200];
    Svg s;
    if (!xy)
        return tool_error(e->tool, "out of memory"), -1;
    for (size_t i = 0; i < n; i++) {
        xy[i] = point[i].recall;
        xy[n + i] = point[i].precision;
    }
    SvgPanel p = { .left = 80, .top = 70, .w = 480, .h = 400, .x0 = 0, .x1 = 1, .y0 = 0, .y1 = 1, .title = "Precision and recall",
                   .x_label = "recall (share of the faces that are found)", .y_label = "precision (share of the finds that are faces)" };
    svg_begin(&s, 600, 540);
    snprintf(text, sizeof(text), "average precision %.4f at IoU %.2f; %zu faces, %zu pictures", average, e->o->iou, e->n_truth - e->n_left_out,
             e->n_pictures);
    svg_text(&s, 300, 28, "middle", 15, text);
    svg_axes(&s, &p, 10, 10, 1);
    svg_line(&s, &p, xy, xy + n, n, "#1f77b4");
    mien_free(xy);
    return svg_write(&s, e->o->plot, e->tool->log);
}

static int report(const Detection *e, const ApPoint *point, size_t n, double average)
{
    const ApPoint none = { .precision = NAN, .recall = 0, .min_prob = NAN }, *at = &none;
    for (size_t i = 0; i < n && point[i].min_prob >= e->o->at_prob; i++)
        at = &point[i];
    size_t n_counted = e->n_truth - e->n_left_out;
    if (e->tool->json) {
        struct cJSON *j = json_object();
        json_real(j, "average_precision", average, 6);
        json_real(j, "iou", e->o->iou, 3);
        json_real(j, "precision", at->precision, 6);
        json_real(j, "recall", at->recall, 6);
        json_real(j, "at_prob", e->o->at_prob, 3);
        json_real(j, "recall_most", n ? point[n - 1].recall : 0, 6);
        json_int(j, "pictures", (int64_t)e->n_pictures);
        json_int(j, "faces", (int64_t)n_counted);
        json_int(j, "faces_left_out", (int64_t)e->n_left_out);
        json_int(j, "detections", (int64_t)e->n_detections);
        return json_print(e->tool, j, STATUS_OK);
    }
    printf("pictures           %zu, with %zu faces\n", e->n_pictures, n_counted);
    if (e->n_left_out)
        printf("left out           %zu faces smaller than %d px\n", e->n_left_out, e->o->min_face);
    printf("average precision  %.4f at IoU %.2f, %zu detections from probability %.2f on\n", average, e->o->iou, e->n_detections,
           e->o->min_prob);
    if (at == &none)
        printf("from %.2f on       nothing is detected\n", e->o->at_prob);
    else
        printf("from %.2f on       precision %.4f, recall %.4f\n", e->o->at_prob, at->precision, at->recall);
    return STATUS_OK;
}

static int evaluate(Detection *e)
{
    int status = STATUS_ERROR;
    if (read_boxes(e) < 0 || faces_open(&e->faces, e->tool, NULL, 0, (int64_t)e->n_pictures) < 0 || detect_all(e) < 0)
        return status;
    ApPoint *point = mien_malloc_array(e->n_detections + 1, sizeof(*point));
    if (!point)
        return tool_error(e->tool, "out of memory");
    ap_match(e->detection, e->n_detections, e->truth, e->n_truth, e->o->iou);
    size_t n = ap_curve(e->detection, e->n_detections, e->n_truth - e->n_left_out, point);
    double average = ap_average(point, n);
    if (!e->o->plot || plot(e, point, n, average) >= 0)
        status = report(e, point, n, average);
    mien_free(point);
    return status;
}

static int run_evaluate_detection(Tool *tool, const void *options, int n_args, char **args)
{
    Detection e = { .tool = tool, .o = options };
    (void)n_args, (void)args;
    if (!e.o->boxes)
        return tool_error(tool, "--boxes FILE is needed: a picture's path and x y w h of a face a line");
    int status = evaluate(&e);
    for (size_t i = 0; i < e.n_pictures && e.found; i++)
        mien_free(e.found[i].face);
    mien_free(e.found);
    mien_free(e.message);
    mien_free(e.detection);
    mien_free(e.truth);
    mien_free(e.picture);
    mien_free(e.text);
    faces_close(&e.faces);
    return status;
}

static const Option detection_options[] = {
    OPT_TEXT_ROW(DetectionOptions, boxes, "boxes", 'b', "FILE", NULL,
                 "the true faces: a picture's path, x, y, width and height a line, separated by tabs or blanks; the path alone: no face"),
    OPT_TEXT_ROW(DetectionOptions, root, "root", 'r', "DIR", "the current folder", "folder that the paths begin at"),
    OPT_TEXT_ROW(DetectionOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: precision over recall"),
    OPT_REAL_ROW(DetectionOptions, iou, "iou", 0, 0.5, 0.05, 1, NULL, NULL, "from which overlap on a detection is the face"),
    OPT_REAL_ROW(DetectionOptions, min_prob, "min-prob", 0, 0.05, 0.01, 1, NULL, NULL, "detections from this probability on are on the curve"),
    OPT_REAL_ROW(DetectionOptions, at_prob, "at-prob", 0, 0.7, 0, 1, NULL, NULL, "precision and recall are told at this probability"),
    OPT_INT_ROW(DetectionOptions, min_face, "min-face", 0, 0, 0, 8192, "px", NULL,
                "smaller true faces count neither as found nor as missed"),
    OPT_INT_ROW(DetectionOptions, size, "size", 0, 0, 0, 4096, "px", "0: chosen from the picture", "long side of the detector's input"),
    OPT_FLAG_ROW(DetectionOptions, thorough, "thorough", 0, "with the further passes that stills get in other commands"),
    { .name = NULL },
};

const Command cmd_evaluate_detection = {
    .name = "evaluate detection", .group = "Measurements", .summary = "how many faces are found, and how many finds are faces?",
    .args = "--boxes FILE --root DIR",
    .text = "The lines of a picture stand together. A detection belongs to the true face that overlaps it most, as in PASCAL VOC: with enough overlap it "
            "is a hit, or false if that face was found already. Average precision is the area under precision over recall with all points "
            "interpolated (VOC from 2010 on). In JSON rates are between 0 and 1.\n"
            "$ mien evaluate detection --boxes boxes.tsv --root photos --plot detection.svg",
    .options = detection_options, .options_bytes = sizeof(DetectionOptions), .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON,
    .max_args = 0, .run = run_evaluate_detection,
};
