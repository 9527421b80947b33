/* mien calibrate: a threshold and a margin for this gallery, from data; mien/calibrate.h has the method. */
#include <string.h>

#include "svg.h"
#include "templates.h"

typedef struct CalibrateOptions {
    double fpir;
    const char *impostors, *plot;
    int dry_run;
} CalibrateOptions;

typedef struct Calibrate {
    const Tool *tool;
    const CalibrateOptions *o;
    MienGallery *g;
    MienGalleryModel model;
    const MienEncoderStats *stats;
    MienTemplates own;
    float *embedding;
    int64_t *person;
    TemplateSet impostors;
    MienSearchResult *enrolled, *strangers;
    MienSimCounts *counts;
    MienCalibration c;
    MienCalibrationReport r;
} Calibrate;

/* ---- data */

static int read_gallery(Calibrate *k)
{
    int dim, n = mien_gallery_model(k->g, &k->model) < 0 ? -1 : mien_gallery_templates(k->g, &k->embedding, &k->person, &dim);
    if (n < 0)
        return -1;
    if (!n) {
        tool_error(k->tool, "%s: nobody can be named: there are no templates of people who are neither ignored nor expired",
                   safe(mien_gallery_path(k->g)));
        return STATUS_NO;
    }
    k->own = (MienTemplates){ .embedding = k->embedding, .person = k->person, .n = (size_t)n, .dim = dim };
    k->stats = mien_encoder_stats(k->model.hash);
    return 0;
}

static int embed_impostors(Calibrate *k)
{
    Faces f = { 0 };
    char buf[128];
    const char *encoder;
    int ret = gallery_encoder(k->tool, k->g, buf, sizeof(buf), &encoder);
    if (ret >= 0)
        ret = faces_open(&f, k->tool, encoder, 1, 1 << 20);
    if (ret >= 0)
        ret = gallery_fits(k->tool, k->g, &f);
    if (ret >= 0)
        ret = templates_from_folder(&k->impostors, k->tool, &f, k->o->impostors);
    faces_close(&f);
    return ret;
}

static int read_impostors(Calibrate *k)
{
    const char *path = k->o->impostors;
    int from_file = templates_is_file(path);
    if ((from_file ? templates_read(&k->impostors, k->tool, path) : embed_impostors(k)) < 0)
        return -1;
    if (!k->impostors.t.n)
        return tool_error(k->tool, "%s: there is no face in it", safe(path)), -1;
    if (k->impostors.t.dim != k->own.dim)
        return tool_error(k->tool, "%s: its embeddings have %d numbers, the gallery's templates %d", safe(path), k->impostors.t.dim,
                          k->own.dim), -1;
    if (k->impostors.n_without)
        tool_warn(k->tool, "%s: %lld pictures show no face beyond doubt and do not count", safe(path), (long long)k->impostors.n_without);
    return 0;
}

static int search(Calibrate *k)
{
    k->counts = mien_calloc(1, sizeof(*k->counts));
    if (!k->counts)
        return tool_error(k->tool, "out of memory"), -1;
    if (!(k->enrolled = templates_search(k->tool, &k->own, &k->own, 0, NULL)))
        return -1;
    if (k->o->impostors && !(k->strangers = templates_search(k->tool, &k->own, &k->impostors.t, 1, k->counts)))
        return -1;
    return 0;
}

/* 0; STATUS_NO after a message: there is nothing to go by; -1 after a message. */
static int calibrate(Calibrate *k)
{
    MienCalibrateParams p = { .fpir = k->o->fpir, .stats = k->stats, .enrolled = k->enrolled, .strangers = k->strangers,
                              .n_strangers = k->impostors.t.n, .counts = k->strangers ? k->counts : NULL, .gallery = &k->own };
    int ret = mien_calibrate(&p, &k->c, &k->r);
    if (ret == MIEN_E_NOTFOUND) {
        tool_error(k->tool, "nothing is published about the encoder %s, and FPIR %g wants %lld strangers to be shown: %s",
                   safe(k->model.name), k->o->fpir, (long long)k->r.n_strangers_needed,
                   k->o->impostors ? "--impostors has fewer; give more, or a larger --fpir" : "give them by --impostors");
        return STATUS_NO;
    }
    if (ret < 0)
        return tool_error(k->tool, "%s", mien_strerror(ret)), -1;
    return 0;
}

/* ---- what is printed */

static const char *name_of(const MienPerson *people, int n, int64_t id)
{
    for (int i = 0; i < n; i++)
        if (people[i].id == id)
            return people[i].name;
    return "?";
}

static MienRate fpir_of(const MienCalibration *c)
{
    return (MienRate){ c->fpir_measured, c->fpir_low, c->fpir_high, (double)c->n_impostors };
}

static MienRate fnir_of(const MienCalibration *c)
{
    return (MienRate){ c->fnir, c->fnir_low, c->fnir_high, (double)c->n_mated };
}

static void why_text(const Calibrate *k, char *buf, size_t bytes)
{
    const MienCalibration *c = &k->c;
    char few[160] = "no strangers were given";
    if (c->basis == MIEN_BASIS_STRANGERS) {
        snprintf(buf, bytes, "measured on %lld strangers", (long long)c->n_impostors);
        return;
    }
    if (c->n_impostors)
        snprintf(few, sizeof(few), "%lld strangers are too few to show this rate (%lld would do)", (long long)c->n_impostors,
                 (long long)k->r.n_strangers_needed);
    if (k->r.raised)
        snprintf(buf, bytes, "%s, but enough to show that the published statistics of %s do not hold here (or that one of them is enrolled): it lies "
                 "above them all", few, k->stats->name);
    else
        snprintf(buf, bytes, "%s: the published statistics of %s (%s), scaled for %lld templates%s", few, k->stats->name, k->stats->source,
                 (long long)c->n_samples, k->r.extrapolated ? ", and continued beyond their end, on the safe side" : "");
}

static void print_text(const Calibrate *k, const MienPerson *people, int n_people)
{
    const MienCalibration *c = &k->c;
    MienRate fpir = fpir_of(c), fnir = fnir_of(c);
    char text[512], why[512];
    why_text(k, why, sizeof(why));
    printf("gallery      %s: %lld people, %lld templates, encoder %s\n", safe(mien_gallery_path(k->g)), (long long)c->n_people,
           (long long)c->n_samples, safe(k->model.name));
    printf("wanted       FPIR %g %%: of 1000 searches for strangers %g give a name\n", 100 * c->fpir, 1000 * c->fpir);
    printf("threshold    cosine %.4f, distance %.4f; 1:1 cosine %.4f, distance %.4f\n", c->threshold_sim_cos,
           dist_of_cos(c->threshold_sim_cos), c->verify_sim_cos, dist_of_cos(c->verify_sim_cos));
    printf("  from       %s\n", why);
    if (k->r.margin_measured)
        printf("margin       cosine %.4f, from %lld people by one of their own templates\n", c->margin_sim_cos, (long long)c->n_mated);
    else
        printf("margin       cosine %.4f, the encoder's own (%lld people with two templates, %lld would measure it)\n", c->margin_sim_cos,
               (long long)c->n_mated, (long long)k->r.n_mated_needed);
    rate_text(text, sizeof(text), &fpir);
    printf("FPIR         %s", text);
    if (c->n_impostors)
        printf(", %lld strangers", (long long)c->n_impostors);
    printf("\n  by K       1 - (1 - FMR)^%lld = %.3g %%, FMR %.2g %s\n", (long long)c->n_samples, 100 * k->r.fpir_closed_form,
           isnan(k->r.fmr_measured) ? k->r.fmr_published : k->r.fmr_measured, isnan(k->r.fmr_measured) ? "published" : "measured");
    rate_text(text, sizeof(text), &fnir);
    if (c->n_mated)
        printf("FNIR         %s, %lld people by one of their own templates\n", text, (long long)c->n_mated);
    else
        printf("FNIR         not measured: nobody has two templates%s\n", k->stats ? "" : ", and nothing is published");
    if (!c->n_mated && k->stats)
        printf("  published  %.3g %% of single comparisons of the same person fall short\n", 100 * k->r.fnmr_published);
    if (c->n_people > 1) {
        printf("look-alikes  most alike: %s and %s, cosine %.4f", safe(name_of(people, n_people, k->r.nearest[0])),
               safe(name_of(people, n_people, k->r.nearest[1])), (double)k->r.nearest_sim_cos);
        printf((double)k->r.nearest_sim_cos >= c->threshold_sim_cos ? "; one person under two names?\n" : "\n");
    }
    printf(k->o->dry_run ? "not stored (--dry-run)\n" : "stored       %s\n", c->created);
}

static int print_json(const Calibrate *k, const MienPerson *people, int n_people)
{
    const MienCalibration *c = &k->c;
    MienRate fpir = fpir_of(c), fnir = fnir_of(c);
    char why[512];
    struct cJSON *j = json_object();
    why_text(k, why, sizeof(why));
    json_str(j, "gallery", mien_gallery_path(k->g));
    json_str(j, "encoder", k->model.name);
    json_real(j, "fpir_wanted", c->fpir, 6);
    json_real(j, "threshold_similarity", c->threshold_sim_cos, 4);
    json_real(j, "threshold", dist_of_cos(c->threshold_sim_cos), 6);
    json_real(j, "margin_similarity", c->margin_sim_cos, 4);
    json_bool(j, "margin_measured", k->r.margin_measured);
    json_real(j, "verify_threshold_similarity", c->verify_sim_cos, 4);
    json_real(j, "verify_threshold", dist_of_cos(c->verify_sim_cos), 6);
    json_str(j, "basis", mien_calibration_basis_name(c->basis));
    json_str(j, "why", why);
    json_bool(j, "raised", k->r.raised);
    json_bool(j, "extrapolated", k->r.extrapolated);
    rate_json(j, "fpir", &fpir);
    json_real(j, "fpir_closed_form", k->r.fpir_closed_form, 9);
    json_real(j, "fmr", k->r.fmr_measured, 9);
    json_real(j, "fmr_published", k->r.fmr_published, 9);
    rate_json(j, "fnir", &fnir);
    json_real(j, "fnmr_published", k->r.fnmr_published, 6);
    rate_json(j, "misnamed", &k->r.misnamed);
    rate_json(j, "lookalikes", &k->r.lookalikes);
    struct cJSON *near = json_add_object(j, "most_alike");
    json_str(near, "a", c->n_people > 1 ? name_of(people, n_people, k->r.nearest[0]) : NULL);
    json_str(near, "b", c->n_people > 1 ? name_of(people, n_people, k->r.nearest[1]) : NULL);
    json_real(near, "similarity", (double)k->r.nearest_sim_cos, 4);
    json_int(j, "people", c->n_people);
    json_int(j, "templates", c->n_samples);
    json_int(j, "people_with_two_templates", c->n_mated);
    json_int(j, "strangers", c->n_impostors);
    json_int(j, "strangers_needed", k->r.n_strangers_needed);
    json_bool(j, "stored", !k->o->dry_run);
    json_str(j, "created", *c->created ? c->created : NULL);
    return json_print(k->tool, j, STATUS_OK);
}

static int print(const Calibrate *k)
{
    MienPerson *people = NULL;
    int n = mien_gallery_people(k->g, &people), status = STATUS_OK;
    if (n < 0)
        return STATUS_ERROR;
    if (k->tool->json)
        status = print_json(k, people, n);
    else
        print_text(k, people, n);
    mien_free(people);
    return status;
}

/* ---- what is drawn: FPIR against the threshold, by the published statistics for galleries of several sizes, and as measured */

#define STEPS 300

static void draw_sizes(const Calibrate *k, Svg *s, const SvgPanel *p)
{
    static const char *const colour[] = { "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#084594" };
    double x[STEPS + 1], y[STEPS + 1], n_templates = 1;
    char text[40];
    for (size_t c = 0; c < MIEN_ARRAY_ELEMS(colour); c++, n_templates *= 10) {
        size_t n = 0;
        do { /* ends where it leaves the panel */
            x[n] = p->x0 + (p->x1 - p->x0) * (double)n / STEPS;
            y[n] = mien_fpir_of_fmr(mien_encoder_fmr(k->stats, x[n], NULL), n_templates);
        } while (y[n] > p->y0 && ++n <= STEPS);
        svg_line(s, p, x, y, n <= STEPS ? n + 1 : n, colour[c]);
        /* beside the curve, each somewhat lower than the one before, so that they do not meet */
        double at = pow(10, -0.6 - 0.25 * (double)c), sim_cos = mien_encoder_threshold(k->stats, mien_fmr_for_fpir(at, n_templates), NULL);
        snprintf(text, sizeof(text), "K = %.0f", n_templates);
        svg_label(s, p, sim_cos + 0.006 * (p->x1 - p->x0), at, "start", text);
    }
}

static int draw_measured(const Calibrate *k, Svg *s, const SvgPanel *p)
{
    MienOpenSet *set;
    MienOpenSetParams o = { .non_mated = k->strangers, .n_non_mated = k->impostors.t.n, .by_person = 1 };
    double x[STEPS + 1], y[STEPS + 1];
    if (mien_open_set_create(&set, &o) < 0)
        return tool_error(k->tool, "out of memory"), -1;
    for (int i = 0; i <= STEPS; i++) {
        x[i] = p->x0 + (p->x1 - p->x0) * i / STEPS;
        y[i] = mien_open_set_fpir(set, x[i]).rate;
    }
    svg_line(s, p, x, y, STEPS + 1, "#d62728");
    mien_open_set_destroy(&set);
    return 0;
}

static int plot(const Calibrate *k)
{
    const MienEncoderStats *e = k->stats;
    double x0 = e ? floor(e->point[0].sim_cos * 20) / 20 : 0, x1 = e ? ceil(mien_encoder_threshold(e, 1e-8, NULL) * 20) / 20 : 1;
    char text[160];
    Svg s;
    SvgPanel p = { .left = 90, .top = 60, .w = 640, .h = 400, .x0 = x0, .x1 = x1, .y0 = 1e-4, .y1 = 1, .log_y = 1, .title = "",
                   .x_label = "threshold (cosine similarity)", .y_label = "FPIR: searches for strangers that give a name" };
    svg_begin(&s, 770, 530);
    snprintf(text, sizeof(text), "How often a stranger is named%s%s%s", e ? ": " : "", e ? e->name : "",
             k->strangers ? "; red: measured" : "");
    svg_text(&s, 410, 30, "middle", 16, text);
    svg_axes(&s, &p, (int)lrint((x1 - x0) * 20), 4, 1);
    if (e)
        draw_sizes(k, &s, &p);
    int ret = k->strangers ? draw_measured(k, &s, &p) : 0;
    snprintf(text, sizeof(text), "this gallery, %lld templates: %.4f", (long long)k->c.n_samples, k->c.threshold_sim_cos);
    svg_mark_x(&s, &p, k->c.threshold_sim_cos, "#333333", text);
    return svg_write(&s, k->o->plot, k->tool->log) < 0 ? -1 : ret;
}

static int run_calibrate(Tool *tool, const void *options, int n_args, char **args)
{
    Calibrate k = { .tool = tool, .o = options };
    int ret = -1;
    (void)n_args, (void)args;
    if ((k.g = gallery_open(tool, k.o->dry_run ? MIEN_GALLERY_READ : MIEN_GALLERY_WRITE)))
        ret = read_gallery(&k);
    if (!ret && k.o->impostors)
        ret = read_impostors(&k);
    if (!ret)
        ret = search(&k);
    if (!ret)
        ret = calibrate(&k);
    if (!ret && k.o->plot)
        ret = plot(&k);
    if (!ret && !k.o->dry_run)
        ret = mien_gallery_put_calibration(k.g, &k.c);
    int status = ret < 0 ? STATUS_ERROR : ret ? STATUS_NO : print(&k);
    mien_gallery_close(&k.g);
    mien_free(k.embedding);
    mien_free(k.person);
    mien_free(k.enrolled);
    mien_free(k.strangers);
    mien_free(k.counts);
    templates_free(&k.impostors);
    return status;
}

static const Option calibrate_options[] = {
    OPT_REAL_ROW(CalibrateOptions, fpir, "fpir", 'f', 0.003, 1e-6, 0.5, NULL, "0.003",
                 "false-positive identification rate wanted: the share of searches for strangers that may give a name"),
    OPT_TEXT_ROW(CalibrateOptions, impostors, "impostors", 'i', "DIR|FILE", NULL,
                 "people who are not enrolled: a folder of pictures, or embeddings as safetensors"),
    OPT_TEXT_ROW(CalibrateOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: FPIR against the threshold, for galleries of several sizes"),
    OPT_FLAG_ROW(CalibrateOptions, dry_run, "dry-run", 'n', "print, and store nothing"),
    { .name = NULL },
};

const Command cmd_calibrate = {
    .name = "calibrate", .group = "Measurements", .summary = "find the threshold that this gallery needs, and store it", .args = "",
    .text = "The more people are enrolled, the likelier a stranger looks like one of them: a threshold belongs to a gallery and its size. It is "
            "stored with the sizes and the date, and identify, verify --claim and facetag go by it unless they are given another; stats tells "
            "when the gallery has outgrown it.\n"
            "--impostors is a folder of pictures of people who are not enrolled (every face beyond doubt counts; the pictures of one folder in it "
            "are of one person), or a safetensors file with embedding [n, dim] and, where several are of one person, person [n]. 3 divided by "
            "--fpir of them are needed to measure such a rate. With fewer, the threshold follows from the encoder's published statistics, scaled "
            "for the number of templates, and what strangers there are check it. FNIR, the share of enrolled people who would not be named, is "
            "measured by searching for each template without itself; rates have exact 95 % bounds. docs/calibration.md explains the words.\n"
            "$ mien calibrate --gallery staff.db --impostors passers-by/\n"
            "$ mien calibrate --fpir 0.0001 --dry-run",
    .statuses = "0 calibrated; 1 there is nothing to go by: nobody can be named, or nothing is published about the encoder and strangers are "
                "too few; 2 error.",
    .options = calibrate_options, .options_bytes = sizeof(CalibrateOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON, .max_args = 0,
    .run = run_calibrate,
};
