/* mien evaluate pairs: accuracy of 1:1 on a list of pairs of pictures. Each distinct picture is read, detected and embedded once,
 * side by side; then every pair has a distance and the rest is statistics (roc.c). */
#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "faces.h"
#include "pairs.h"
#include "portraits.h"
#include "roc.h"
#include "svg.h"

typedef struct EvaluateOptions {
    const char *pairs, *root, *plot, *distances;
} EvaluateOptions;

typedef struct Evaluate {
    const Tool *tool;
    const EvaluateOptions *o;
    PairList list;
    Faces faces;
    Portraits portraits; /* of list.picture */
    RocPair *pair;
} Evaluate;

static int measure_pairs(Evaluate *e)
{
    size_t dim = (size_t)e->faces.dim;
    e->pair = mien_malloc_array(e->list.n_pairs, sizeof(*e->pair));
    if (!e->pair)
        return tool_error(e->tool, "out of memory"), -1;
    for (size_t i = 0; i < e->list.n_pairs; i++) {
        const float *a = e->portraits.embedding + (size_t)e->list.pair[i].a * dim, *b = e->portraits.embedding + (size_t)e->list.pair[i].b * dim;
        double sum = 0;
        for (size_t k = 0; k < dim; k++)
            sum += ((double)a[k] - (double)b[k]) * ((double)a[k] - (double)b[k]);
        e->pair[i] = (RocPair){ .dist = sqrt(sum), .same = e->list.pair[i].same };
    }
    return 0;
}

static int write_distances(const Evaluate *e)
{
    size_t room = 0;
    for (size_t i = 0; i < e->list.n_pairs; i++)
        room += strlen(e->list.picture[e->list.pair[i].a]) + strlen(e->list.picture[e->list.pair[i].b]) + 32;
    char *text = mien_malloc(room + 1), *p = text;
    if (!text)
        return tool_error(e->tool, "out of memory"), -1;
    for (size_t i = 0; i < e->list.n_pairs; i++)
        p += sprintf(p, "%s\t%s\t%d\t%.6f\n", e->list.picture[e->list.pair[i].a], e->list.picture[e->list.pair[i].b], e->pair[i].same,
                     e->pair[i].dist);
    int ret = mieni_file_write_atomic(e->o->distances, text, (size_t)(p - text), 0644, e->tool->log);
    mien_free(text);
    return ret;
}

/* Left the ROC curve, right the two histograms with the best threshold. */
static int plot(const Evaluate *e, const RocReport *r)
{
    enum { BINS = 60 };
    size_t n = e->list.n_pairs;
    double *curve = mien_malloc_array(2 * (n + 1), sizeof(double)), bin[2][BINS] = { { 0 } }, top = 0;
    char text[200];
    Svg s;
    if (!curve || roc_curve(e->pair, n, curve, curve + n + 1) < 0) {
        mien_free(curve);
        return tool_error(e->tool, "out of memory"), -1;
    }
    for (size_t i = 0; i < n; i++) {
        int b = (int)(e->pair[i].dist / 2 * BINS);
        bin[e->pair[i].same][b < BINS ? b : BINS - 1] += 1.0 / (double)(e->pair[i].same ? r->n_same : r->n_different);
    }
    for (int i = 0; i < BINS; i++)
        top = fmax(top, fmax(bin[0][i], bin[1][i]));
    double least_far = pow(10, floor(log10(1.0 / (double)r->n_different)));
    SvgPanel roc = { .left = 80, .top = 70, .w = 420, .h = 360, .x0 = fmax(fmin(least_far, 0.1), 1e-6), .x1 = 1, .y0 = 0, .y1 = 1, .log_x = 1,
                     .title = "ROC", .x_label = "false accept rate (different pairs taken for the same person)",
                     .y_label = "true accept rate" };
    SvgPanel hist = { .left = 600, .top = 70, .w = 420, .h = 360, .x0 = 0, .x1 = 2, .y0 = 0, .y1 = top * 1.05, .title = "Distances",
                      .x_label = "distance; blue: same person, orange: different people", .y_label = "share of pairs" };
    svg_begin(&s, 1060, 500);
    snprintf(text, sizeof(text), "%s: %lld same and %lld different pairs, best accuracy %.2f %%", mien_face_encoder_name(e->faces.engine[0]),
             (long long)r->n_same, (long long)r->n_different, 100 * r->accuracy_best);
    svg_text(&s, 530, 28, "middle", 17, text);
    svg_axes(&s, &roc, (int)lrint(-log10(roc.x0)), 10, 1);
    svg_line(&s, &roc, curve, curve + n + 1, n + 1, "#1f77b4");
    svg_axes(&s, &hist, 8, 5, 1);
    for (int i = 0; i < BINS; i++) {
        svg_bar(&s, &hist, 2.0 * i / BINS, 2.0 * (i + 1) / BINS, bin[1][i], "#1f77b4");
        svg_bar(&s, &hist, 2.0 * i / BINS, 2.0 * (i + 1) / BINS, bin[0][i], "#ff7f0e");
    }
    snprintf(text, sizeof(text), "best threshold %.3f", r->threshold_best);
    svg_mark_x(&s, &hist, r->threshold_best, "#333333", text);
    mien_free(curve);
    return svg_write(&s, e->o->plot, e->tool->log);
}

static int print_report(const Evaluate *e, const RocReport *r, double seconds)
{
    int64_t n_not_found = 0;
    double rate = (double)e->list.n_pictures / fmax(seconds, 1e-3);
    for (size_t i = 0; i < e->list.n_pictures; i++)
        n_not_found += e->portraits.not_found[i];
    if (e->tool->json) {
        struct cJSON *j = json_object();
        json_real(j, "accuracy_10fold", r->accuracy_10fold, 6);
        json_real(j, "accuracy_10fold_sd", r->accuracy_10fold_sd, 6);
        json_real(j, "accuracy_best", r->accuracy_best, 6);
        json_real(j, "tar_at_far_1e-2", r->at_1e2.tar, 6);
        json_real(j, "tar_at_far_1e-3", r->at_1e3.tar, 6);
        json_real(j, "threshold_best", r->threshold_best, 6);
        json_int(j, "pairs", (int64_t)e->list.n_pairs);
        json_int(j, "faces_not_found", n_not_found);
        json_real(j, "threshold_10fold", r->threshold_10fold, 6);
        json_real(j, "threshold_at_far_1e-2", r->at_1e2.threshold, 6);
        json_real(j, "threshold_at_far_1e-3", r->at_1e3.threshold, 6);
        json_real(j, "auc", r->auc, 6);
        json_real(j, "eer", r->eer, 6);
        json_int(j, "pairs_same", r->n_same);
        json_int(j, "pairs_different", r->n_different);
        json_int(j, "pictures", (int64_t)e->list.n_pictures);
        json_real(j, "pictures_per_second", rate, 1);
        json_str(j, "encoder", mien_face_encoder_name(e->faces.engine[0]));
        json_str(j, "encoder_sha256", mien_face_encoder_hash(e->faces.engine[0]));
        struct cJSON *folds = json_add_array(j, "folds");
        for (int i = 0; i < 10 && e->list.n_pairs >= 10; i++)
            json_item_real(folds, r->fold[i], 6);
        struct cJSON *lost = json_add_array(j, "not_found");
        for (size_t i = 0; i < e->list.n_pictures; i++)
            if (e->portraits.not_found[i])
                json_item_str(lost, e->list.picture[i]);
        return json_print(e->tool, j, STATUS_OK);
    }
    printf("encoder           %s\n", safe(mien_face_encoder_name(e->faces.engine[0])));
    printf("pairs             %zu: %lld same, %lld different; %zu pictures, %.1f a second\n", e->list.n_pairs, (long long)r->n_same,
           (long long)r->n_different, e->list.n_pictures, rate);
    if (e->list.n_pairs >= 10)
        printf("10-fold accuracy  %.2f %% ± %.2f, threshold %.4f\n", 100 * r->accuracy_10fold, 100 * r->accuracy_10fold_sd, r->threshold_10fold);
    else
        printf("10-fold accuracy  wants at least 10 pairs\n");
    printf("best accuracy     %.2f %%, threshold %.4f\n", 100 * r->accuracy_best, r->threshold_best);
    printf("TAR at FAR 1e-2   %.2f %%, threshold %.4f%s\n", 100 * r->at_1e2.tar, r->at_1e2.threshold,
           r->n_different < 100 ? "  (too few different pairs to tell)" : "");
    printf("TAR at FAR 1e-3   %.2f %%, threshold %.4f%s\n", 100 * r->at_1e3.tar, r->at_1e3.threshold,
           r->n_different < 1000 ? "  (too few different pairs to tell)" : "");
    printf("AUC, EER          %.5f, %.2f %%\n", r->auc, 100 * r->eer);
    printf("faces not found   %lld; the middle of the picture was taken\n", (long long)n_not_found);
    return STATUS_OK;
}

static int run_evaluate(Tool *tool, const void *options, int n_args, char **args)
{
    Evaluate e = { .tool = tool, .o = options };
    RocReport r;
    int status = STATUS_ERROR;
    double start = seconds_now();
    (void)n_args, (void)args;
    if (!e.o->pairs)
        return tool_error(tool, "--pairs FILE is needed: two picture paths and 1 or 0 a line");
    if (pairs_read(&e.list, tool, e.o->pairs) < 0)
        goto out;
    if (!e.list.n_pairs) {
        tool_error(tool, "%s: there are no pairs in it", safe(e.o->pairs));
        goto out;
    }
    if (!portraits_there(tool, e.o->root, e.list.picture, e.list.n_pictures) ||
        faces_open(&e.faces, tool, NULL, 1, (int64_t)e.list.n_pictures) < 0 ||
        portraits_embed(&e.portraits, tool, &e.faces, e.o->root, e.list.picture, e.list.n_pictures) < 0 || measure_pairs(&e) < 0)
        goto out;
    double seconds = seconds_now() - start;
    int ret = roc_report(e.pair, e.list.n_pairs, &r);
    if (ret < 0)
        tool_error(tool, "%s: %s", safe(e.o->pairs),
                   ret == MIEN_ERR(ENOMEM) ? "out of memory" : "both kinds of pairs are needed, the same person (1) and different people (0)");
    else if ((!e.o->distances || write_distances(&e) >= 0) && (!e.o->plot || plot(&e, &r) >= 0))
        status = print_report(&e, &r, seconds);
out:
    mien_free(e.pair);
    portraits_free(&e.portraits);
    pairs_free(&e.list);
    faces_close(&e.faces);
    return status;
}

static const Option evaluate_options[] = {
    OPT_TEXT_ROW(EvaluateOptions, pairs, "pairs", 'p', "FILE", NULL,
                 "the pairs: two picture paths and 1 (same person) or 0 a line, separated by blanks, tabs or commas"),
    OPT_TEXT_ROW(EvaluateOptions, root, "root", 'r', "DIR", "the current folder", "folder that the paths begin at"),
    OPT_TEXT_ROW(EvaluateOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: ROC curve and histograms of the distances"),
    OPT_TEXT_ROW(EvaluateOptions, distances, "distances", 0, "FILE", NULL, "write the pairs with their distances, separated by tabs"),
    { .name = NULL },
};

const Command cmd_evaluate_pairs = {
    .name = "evaluate pairs", .group = "Measurements", .summary = "how often is 1:1 right, on a list of pairs of pictures?",
    .args = "--pairs FILE --root DIR",
    .text = "In a picture with several faces the one nearest the middle counts. The detector's input is 320 px, then 640, then all "
            "sizes until a face is found. Where none is found, a less certain detection is taken, and failing that the box in the middle "
            "where a portrait has its face (0.4 by 0.5 of the shorter side); such pictures are "
            "counted, and no pair is left out.\n"
            "Printed are the accuracy at the best threshold of all pairs; the mean accuracy of ten folds and its standard deviation over them "
            "(consecutive blocks of the file: the threshold comes from nine, the accuracy from the tenth; of equally good thresholds the middle one); "
            "the true accept rates at false accept rates of 1e-2 and 1e-3; and the thresholds, as distances. In JSON rates are between 0 and 1.\n"
            "$ mien evaluate pairs --pairs pairs.txt --root lfw --plot roc.svg",
    .options = evaluate_options, .options_bytes = sizeof(EvaluateOptions), .takes = TAKES_FACES | TAKES_JSON, .max_args = 0,
    .run = run_evaluate,
};
