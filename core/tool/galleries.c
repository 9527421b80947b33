/* Opening the gallery that was asked for, finding people in it by name; see galleries.h. */
#include <math.h>
#include <string.h>

#include "faces.h"
#include "galleries.h"

MienGallery *gallery_open(const Tool *tool, MienGalleryFlags flags)
{
    MienGallery *g = NULL;
    return mien_gallery_open(&g, tool->gallery, flags, tool->log) < 0 ? NULL : g;
}

int person_lookup(MienGallery *g, const char *name, MienPerson *person)
{
    MienPerson *people = NULL;
    int n = mien_gallery_people(g, &people), found = n < 0 ? n : 0;
    for (int i = 0; i < n && !found; i++)
        if (!strcmp(people[i].name, name)) {
            *person = people[i];
            found = 1;
        }
    mien_free(people);
    return found;
}

int person_need(const Tool *tool, MienGallery *g, const char *name, MienPerson *person)
{
    MienPerson *people = NULL;
    int found = person_lookup(g, name, person);
    if (found)
        return found < 0 ? found : 0;
    int n = mien_gallery_people(g, &people);
    const char **names = n > 0 ? mien_malloc_array((size_t)n, sizeof(*names)) : NULL;
    for (int i = 0; i < n && names; i++)
        names[i] = people[i].name;
    const char *near = names ? nearest_word(name, names, n) : NULL;
    if (near)
        tool_error(tool, "there is nobody called '%s' in %s; did you mean '%s'?", safe(name), safe(mien_gallery_path(g)), safe(near));
    else
        tool_error(tool, "there is nobody called '%s' in %s; 'mien list' shows who is there", safe(name), safe(mien_gallery_path(g)));
    mien_free(names);
    mien_free(people);
    return MIEN_E_NOTFOUND;
}

void outgrown_text(char *buf, size_t bytes, const MienCalibration *c, int64_t n_people_now)
{
    snprintf(buf, bytes, "%lld people can be named, the calibration of %.10s is for %lld: more strangers will be taken for one of them than it "
             "says; run 'mien calibrate'", (long long)n_people_now, c->created, (long long)c->n_people);
}

/* A threshold as a cosine: of --threshold (0: not given), else of the calibration, else the encoder's. */
static int choose_threshold(const Tool *tool, MienGallery *g, int verify, double dist_l2, double own_sim_cos, Threshold *t)
{
    char text[256];
    int64_t n_now;
    *t = (Threshold){ .sim_cos = own_sim_cos, .source = "encoder" };
    if (dist_l2 > 0) {
        t->sim_cos = cos_of_dist(dist_l2);
        t->source = "option";
        return 0;
    }
    int ret = g ? mien_gallery_calibration(g, &t->calibration, &n_now) : MIEN_E_NOTFOUND;
    if (ret < 0)
        return ret == MIEN_E_NOTFOUND ? 0 : ret;
    t->sim_cos = verify ? t->calibration.verify_sim_cos : t->calibration.threshold_sim_cos;
    t->margin = verify ? 0 : t->calibration.margin_sim_cos;
    t->source = "calibration";
    if (!verify && !mien_calibration_covers(&t->calibration, n_now)) {
        outgrown_text(text, sizeof(text), &t->calibration, n_now);
        tool_warn(tool, "%s: %s", safe(mien_gallery_path(g)), text);
    }
    return 0;
}

int judge_open(Judge *judge, const Tool *tool, MienGallery *g, int kind, int verify, double threshold, const MienFaceEngine *engine)
{
    *judge = (Judge){ .kind = (MienSimilarityKind)kind, .threshold = threshold };
    if (judge->kind == MIEN_SIMILARITY_DISTANCE) {
        float own = verify ? mien_face_encoder_verify_sim_cos(engine) : mien_face_encoder_identify_sim_cos(engine);
        const Threshold *t = &judge->chosen;
        int ret = choose_threshold(tool, g, verify, threshold, (double)own, &judge->chosen);
        judge->threshold = threshold > 0 ? threshold : dist_of_cos(t->sim_cos);
        if (ret >= 0)
            mien_log(tool->log, MIEN_LOG_INFO, "threshold: cosine %.4f, margin %.4f, from the %s%s%s", t->sim_cos, t->margin, t->source,
                     *t->calibration.created ? " of " : "", t->calibration.created);
        return ret;
    }
    if (threshold >= 1)
        return tool_error(tool, "with --similarity %s a threshold is a probability, below 1; %g is not", mien_similarity_name(judge->kind),
                          threshold), MIEN_ERR(EINVAL);
    judge->chosen.source = threshold > 0 ? "option" : "default";
    if (threshold <= 0)
        judge->threshold = verify ? (double)MIEN_SIMILARITY_VERIFY_PROB : (double)MIEN_SIMILARITY_IDENTIFY_PROB;
    return mien_gallery_use_similarity(g, judge->kind);
}

int judge_same(const Judge *judge, float sim_cos, float logit_same)
{
    return judge->kind == MIEN_SIMILARITY_DISTANCE ? dist_of_cos((double)sim_cos) <= judge->threshold
                                                   : mien_similarity_prob((double)logit_same) >= judge->threshold;
}

void judge_text(const Judge *judge, char buf[32], float sim_cos, float logit_same)
{
    if (judge->kind == MIEN_SIMILARITY_DISTANCE)
        snprintf(buf, 32, "%.4f", dist_of_cos((double)sim_cos));
    else
        snprintf(buf, 32, "p %.4f", mien_similarity_prob((double)logit_same));
}

int judge_ahead(const Judge *judge, float best_sim_cos, float second_sim_cos)
{
    return (double)best_sim_cos - (double)second_sim_cos >= judge->chosen.margin;
}

void judge_json(struct cJSON *to, const Judge *judge)
{
    const Threshold *t = &judge->chosen;
    json_str(to, "similarity_kind", mien_similarity_name(judge->kind));
    json_real(to, "threshold", judge->threshold, 6);
    json_str(to, "threshold_source", t->source);
    if (strcmp(t->source, "calibration"))
        return;
    json_real(to, "margin_similarity", t->margin, 4);
    json_real(to, "fpir_wanted", t->calibration.fpir, 6);
    json_str(to, "calibrated", t->calibration.created);
    json_int(to, "calibrated_people", t->calibration.n_people);
}
