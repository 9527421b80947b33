/* mien evaluate identification: open-set identification (1:K) on data with known answers: FNIR at FPIR, rank 1. Gallery, probes and
 * impostors are lists of pictures or embeddings; the statistics are mien/calibrate.h's. */
#include <stdlib.h>
#include <string.h>

#include "svg.h"
#include "templates.h"

typedef struct IdentificationOptions {
    const char *gallery, *probes, *impostors, *root, *plot;
} IdentificationOptions;

enum { GALLERY, PROBES, IMPOSTORS, N_SETS };

typedef struct Identification {
    const Tool *tool;
    const IdentificationOptions *o;
    TemplateSet set[N_SETS];
    PeopleNames names;
    Faces faces;         /* opened by the first list of pictures */
    int has_faces;
    MienSearchResult *mated, *strangers;
    MienSimCounts *counts;
    MienOpenSet *curve;
    size_t n_people;
} Identification;

#define N_POINTS 4
static const double point_fpir[N_POINTS] = { 0.1, 0.01, 0.003, 0.001 };

static const char *path_of(const Identification *k, int i)
{
    return i == GALLERY ? k->o->gallery : i == PROBES ? k->o->probes : k->o->impostors;
}

/* ---- data */

static int read_set(Identification *k, int i)
{
    const char *path = path_of(k, i);
    if (templates_is_file(path))
        return templates_read(&k->set[i], k->tool, path);
    if (!k->has_faces) {
        if (faces_open(&k->faces, k->tool, NULL, 1, 1 << 20) < 0)
            return -1;
        k->has_faces = 1;
    }
    return templates_from_list(&k->set[i], k->tool, &k->faces, path, k->o->root, &k->names);
}

static int compare_numbers(const void *pa, const void *pb)
{
    int64_t a = *(const int64_t *)pa, b = *(const int64_t *)pb;
    return a < b ? -1 : a > b;
}

/* Who is enrolled, sorted, each once. */
static int64_t *enrolled_people(const MienTemplates *t, size_t *n)
{
    int64_t *p = mien_malloc_array(t->n + 1, sizeof(*p));
    *n = 0;
    if (!p)
        return NULL;
    memcpy(p, t->person, t->n * sizeof(*p));
    qsort(p, t->n, sizeof(*p), compare_numbers);
    for (size_t i = 0; i < t->n; i++)
        if (!i || p[i] != p[i - 1])
            p[(*n)++] = p[i];
    return p;
}

static void person_text(const Identification *k, int64_t person, char *buf, size_t bytes)
{
    if (k->names.n > (size_t)person)
        snprintf(buf, bytes, "'%s'", safe(k->names.name[person]));
    else
        snprintf(buf, bytes, "person %lld", (long long)person);
}

/* Every probe's person must be enrolled and no impostor may be: else the rates would be of something else. */
static int check_people(Identification *k)
{
    char who[128];
    int64_t *people = enrolled_people(&k->set[GALLERY].t, &k->n_people);
    int bad = !people;
    if (!people)
        tool_error(k->tool, "out of memory");
    for (int i = PROBES; i <= IMPOSTORS && !bad; i++) {
        const MienTemplates *t = &k->set[i].t;
        for (size_t n = 0; n < t->n && !bad; n++) {
            int is_enrolled = bsearch(&t->person[n], people, k->n_people, sizeof(*people), compare_numbers) != NULL;
            person_text(k, t->person[n], who, sizeof(who));
            if ((bad = is_enrolled != (i == PROBES)))
                tool_error(k->tool, "%s: %s is %s in %s", safe(path_of(k, i)), who, is_enrolled ? "an impostor, but enrolled" : "a probe, but not enrolled",
                           safe(k->o->gallery));
        }
    }
    mien_free(people);
    return bad ? -1 : 0;
}

static int read_sets(Identification *k)
{
    int n_files = 0;
    for (int i = 0; i < N_SETS; i++) {
        if (!path_of(k, i))
            return tool_error(k->tool, "--gallery-list, --probe-list and --impostor-list are needed"), -1;
        n_files += templates_is_file(path_of(k, i));
    }
    if (n_files && n_files < N_SETS)
        return tool_error(k->tool, "the three must be of one kind, lists of pictures or embeddings: people are told apart by name in the one "
                          "and by number in the other"), -1;
    for (int i = 0; i < N_SETS; i++) {
        if (read_set(k, i) < 0)
            return -1;
        if (!k->set[i].t.n)
            return tool_error(k->tool, "%s: there is nobody in it", safe(path_of(k, i))), -1;
        if (k->set[i].t.dim != k->set[GALLERY].t.dim)
            return tool_error(k->tool, "%s: its embeddings have %d numbers, those of %s have %d", safe(path_of(k, i)), k->set[i].t.dim,
                              safe(k->o->gallery), k->set[GALLERY].t.dim), -1;
    }
    return check_people(k);
}

static int search(Identification *k)
{
    k->counts = mien_calloc(1, sizeof(*k->counts));
    if (!k->counts)
        return tool_error(k->tool, "out of memory"), -1;
    k->mated = templates_search(k->tool, &k->set[GALLERY].t, &k->set[PROBES].t, 0, NULL);
    k->strangers = k->mated ? templates_search(k->tool, &k->set[GALLERY].t, &k->set[IMPOSTORS].t, 1, k->counts) : NULL;
    if (!k->strangers)
        return -1;
    MienOpenSetParams p = { .mated = k->mated, .n_mated = k->set[PROBES].t.n, .non_mated = k->strangers,
                            .n_non_mated = k->set[IMPOSTORS].t.n };
    if (mien_open_set_create(&k->curve, &p) < 0)
        return tool_error(k->tool, "out of memory"), -1;
    return 0;
}

/* ---- what is printed */

typedef struct Point {
    double wanted, threshold, fmr, closed_form;
    MienRate fpir, fnir;
} Point;

static Point point_at(const Identification *k, double fpir)
{
    Point p = { .wanted = fpir, .threshold = mien_open_set_threshold(k->curve, fpir) };
    p.fpir = mien_open_set_fpir(k->curve, p.threshold);
    p.fnir = mien_open_set_fnir(k->curve, p.threshold);
    p.fmr = mien_counts_fmr(k->counts, p.threshold);
    p.closed_form = mien_fpir_of_fmr(p.fmr, (double)k->set[GALLERY].t.n);
    return p;
}

/* Fewer strangers than this cannot show the rate. */
static int is_shown(const Point *p)
{
    return p->fpir.n_trials * p->wanted >= 1;
}

static int plot(const Identification *k)
{
    enum { STEPS = 400 };
    double x[STEPS + 1], y[STEPS + 1], least = pow(10, floor(log10(1.0 / (double)k->set[IMPOSTORS].t.n)));
    size_t n = 0;
    double top = 0.05;
    char text[200];
    Svg s;
    least = fmin(least, 0.01);
    for (int i = 0; i <= STEPS; i++) {
        double t = mien_open_set_threshold(k->curve, pow(least, 1 - (double)i / STEPS));
        MienRate fpir = mien_open_set_fpir(k->curve, t), fnir = mien_open_set_fnir(k->curve, t);
        if (fpir.rate < least)
            continue;
        x[n] = fpir.rate;
        y[n++] = fnir.rate;
        top = fmax(top, fnir.rate);
    }
    SvgPanel panel = { .left = 80, .top = 70, .w = 560, .h = 380, .x0 = least, .x1 = 1, .y0 = 0, .y1 = fmin(top * 1.1, 1), .log_x = 1,
                       .title = "", .x_label = "FPIR (searches for strangers that give a name)",
                       .y_label = "FNIR (searches for enrolled people that miss)" };
    svg_begin(&s, 700, 520);
    snprintf(text, sizeof(text), "K = %zu people, %zu searches for them, %zu for strangers", k->n_people, k->set[PROBES].t.n,
             k->set[IMPOSTORS].t.n);
    svg_text(&s, 360, 34, "middle", 16, text);
    svg_axes(&s, &panel, (int)lrint(-log10(least)), 10, 1);
    svg_line(&s, &panel, x, y, n, "#1f77b4");
    return svg_write(&s, k->o->plot, k->tool->log);
}

static int print_json(const Identification *k)
{
    MienRate rank1 = mien_open_set_rank1(k->curve);
    struct cJSON *j = json_object();
    json_int(j, "people", (int64_t)k->n_people);
    json_int(j, "templates", (int64_t)k->set[GALLERY].t.n);
    json_int(j, "mated_searches", (int64_t)k->set[PROBES].t.n);
    json_int(j, "non_mated_searches", (int64_t)k->set[IMPOSTORS].t.n);
    json_int(j, "strangers", (int64_t)mien_open_set_fpir(k->curve, 0).n_trials);
    json_int(j, "pictures_without_face", k->set[0].n_without + k->set[1].n_without + k->set[2].n_without);
    json_str(j, "encoder", k->has_faces ? mien_face_encoder_name(k->faces.engine[0]) : NULL);
    rate_json(j, "rank1", &rank1);
    struct cJSON *list = json_add_array(j, "points");
    for (int i = 0; i < N_POINTS; i++) {
        Point p = point_at(k, point_fpir[i]);
        struct cJSON *o = json_item_object(list);
        json_real(o, "fpir_wanted", p.wanted, 6);
        json_bool(o, "shown", is_shown(&p));
        json_real(o, "threshold_similarity", p.threshold, 4);
        json_real(o, "threshold", dist_of_cos(p.threshold), 6);
        rate_json(o, "fpir", &p.fpir);
        rate_json(o, "fnir", &p.fnir);
        json_real(o, "fmr", p.fmr, 9);
        json_real(o, "fpir_closed_form", p.closed_form, 9);
    }
    return json_print(k->tool, j, STATUS_OK);
}

static int print_text(const Identification *k)
{
    char text[128];
    int64_t n_without = k->set[0].n_without + k->set[1].n_without + k->set[2].n_without;
    MienRate rank1 = mien_open_set_rank1(k->curve);
    printf("gallery    %zu people, %zu templates\nsearches   %zu for them, %zu for %.0f strangers\n", k->n_people, k->set[GALLERY].t.n,
           k->set[PROBES].t.n, k->set[IMPOSTORS].t.n, mien_open_set_fpir(k->curve, 0).n_trials);
    if (n_without)
        printf("no face    %lld pictures, left out\n", (long long)n_without);
    rate_text(text, sizeof(text), &rank1);
    printf("rank 1     %s\n", text);
    for (int i = 0; i < N_POINTS; i++) {
        Point p = point_at(k, point_fpir[i]);
        rate_text(text, sizeof(text), &p.fnir);
        printf("FPIR %-5g FNIR %s, cosine %.4f, distance %.4f; 1 - (1 - FMR)^%zu = %.2g%s\n", p.wanted, text, p.threshold,
               dist_of_cos(p.threshold), k->set[GALLERY].t.n, p.closed_form, is_shown(&p) ? "" : "  (too few strangers to tell)");
    }
    return STATUS_OK;
}

static int run_identification(Tool *tool, const void *options, int n_args, char **args)
{
    Identification k = { .tool = tool, .o = options };
    int status = STATUS_ERROR;
    (void)n_args, (void)args;
    if (read_sets(&k) >= 0 && search(&k) >= 0 && (!k.o->plot || plot(&k) >= 0))
        status = tool->json ? print_json(&k) : print_text(&k);
    for (int i = 0; i < N_SETS; i++)
        templates_free(&k.set[i]);
    people_names_free(&k.names);
    if (k.has_faces)
        faces_close(&k.faces);
    mien_free(k.mated);
    mien_free(k.strangers);
    mien_free(k.counts);
    mien_open_set_destroy(&k.curve);
    return status;
}

static const Option identification_options[] = {
    OPT_TEXT_ROW(IdentificationOptions, gallery, "gallery-list", 0, "FILE", NULL, "who is enrolled, and from which pictures"),
    OPT_TEXT_ROW(IdentificationOptions, probes, "probe-list", 0, "FILE", NULL, "other pictures of them"),
    OPT_TEXT_ROW(IdentificationOptions, impostors, "impostor-list", 0, "FILE", NULL, "pictures of people who are not enrolled"),
    OPT_TEXT_ROW(IdentificationOptions, root, "root", 'r', "DIR", "the current folder", "folder that the paths in lists begin at"),
    OPT_TEXT_ROW(IdentificationOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: FNIR against FPIR"),
    { .name = NULL },
};

const Command cmd_evaluate_identification = {
    .name = "evaluate identification", .group = "Measurements", .summary = "how well does 1:K do, with people who are enrolled and people who are not?",
    .args = "--gallery-list FILE --probe-list FILE --impostor-list FILE",
    .text = "Each FILE is a list with a person and a picture a line, separated by a tab or the first blank (the largest face counts), or all three "
            "are safetensors with embedding [n, dim] and person [n], numbers that mean the same people in all three.\n"
            "Printed are, by ISO/IEC 19795-1, rank 1 (the right person is the nearest), and for false-positive identification rates "
            "(FPIR) of 0.1, 0.01, 0.003 and 0.001 the threshold, the false-negative identification rate (FNIR) with exact 95 % bounds, and what the "
            "closed form 1 - (1 - FMR)^n makes of the single comparisons' false match rate. Rates are of searches; bounds count people as trials.\n"
            "$ mien evaluate identification --gallery-list enrolled.tsv --probe-list others.tsv --impostor-list strangers.tsv --plot fnir.svg",
    .options = identification_options, .options_bytes = sizeof(IdentificationOptions), .takes = TAKES_FACES | TAKES_JSON, .max_args = 0,
    .run = run_identification,
};
