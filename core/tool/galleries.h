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
    const char *source;     /* "option", "calibration", "encoder" */
    MienCalibration calibration; /* where that is the source */
} Threshold;

/* dist_l2: of --threshold, 0 if it was not given. own_sim_cos: the encoder's. g NULL: no gallery takes part. Warns when the gallery
 * has outgrown its calibration. Negative after a message. */
int threshold_choose(const Tool *tool, MienGallery *g, int verify, double dist_l2, double own_sim_cos, Threshold *t);
/* The sentence "N people could be named, the calibration of DATE is for M: …" for a gallery that has outgrown it. */
void outgrown_text(char *buf, size_t bytes, const MienCalibration *c, int64_t n_people_now);
void threshold_json(struct cJSON *to, const Threshold *t); /* threshold_source and, of a calibration, what it promises */

#endif
