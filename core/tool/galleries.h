/* galleries.h — the gallery that was asked for, and people in it by name. */
#ifndef MIEN_TOOL_GALLERIES_H
#define MIEN_TOOL_GALLERIES_H

#include <math.h>

#include "mien/gallery.h"
#include "tool.h"

/* Opens the gallery of --gallery; NULL after a message. */
MienGallery *gallery_open(const Tool *tool, MienGalleryFlags flags);
/* 1 and the person, 0: nobody has this name, or negative (logged). */
int person_lookup(MienGallery *g, const char *name, MienPerson *person);
/* The same, but nobody is MIEN_E_NOTFOUND after a message that names a similar name, if there is one. */
int person_need(const Tool *tool, MienGallery *g, const char *name, MienPerson *person);

/* The distance between unit vectors and the cosine of their angle: d² = 2 − 2·cos. */
static inline double dist_of_cos(double sim_cos)
{
    return sim_cos >= 1 ? 0 : sqrt(2 - 2 * sim_cos);
}
static inline double cos_of_dist(double dist_l2)
{
    return 1 - dist_l2 * dist_l2 / 2;
}

/* The threshold of a question: what was asked for, else the gallery's calibration, else the encoder's own. */
typedef struct Threshold {
    double sim_cos, margin; /* margin 0: none */
    const char *source;     /* "option", "calibration", "encoder", or "default" of what was learnt */
    MienCalibration calibration; /* where that is the source */
} Threshold;

/* The sentence "N people could be named, the calibration of DATE is for M: …" for a gallery that has outgrown it. */
void outgrown_text(char *buf, size_t bytes, const MienCalibration *c, int64_t n_people_now);

/* --similarity: what compares two templates, and where it counts as the same person. */
#define SIMILARITY_WORDS "distance|logistic|chi2"
#define SIMILARITY_HELP "what compares templates: their distance, or what 'mien train similarity' has learnt for this gallery"
typedef struct Judge {
    MienSimilarityKind kind;
    double threshold; /* largest distance, or least probability */
    Threshold chosen; /* where it comes from */
} Judge;
/* Makes the gallery search by `kind`. threshold 0: none was given. g NULL: no gallery takes part, and kind is the distance. Warns when the
 * gallery has outgrown its calibration. 0, or negative after a message. */
int judge_open(Judge *judge, const Tool *tool, MienGallery *g, int kind, int verify, double threshold, const MienFaceEngine *engine);
int judge_same(const Judge *judge, float sim_cos, float logit_same);
/* Whether the best person leads by the calibration's margin, if there is one. */
int judge_ahead(const Judge *judge, float best_sim_cos, float second_sim_cos);
/* "0.7349", a distance, or "p 0.9982" */
void judge_text(const Judge *judge, char buf[32], float sim_cos, float logit_same);
void judge_json(struct cJSON *to, const Judge *judge); /* similarity, threshold, threshold_source, and what a calibration promises */

#endif
