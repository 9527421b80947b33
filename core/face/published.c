/* published.c — what is known about encoders beforehand: how often single comparisons go wrong, by similarity. docs/models.md says how the
 * numbers came about and how far they carry. An encoder is known by the hash of its file: another one may have any name. */
#include <math.h>
#include <string.h>

#include "face/fmr_mobileface128.h"
#include "mien/calibrate.h"

/* The counts as rates. */
#define POINT(sim_cos, n_different, n_same) \
    { sim_cos, (double)(n_different) / FMR_MOBILEFACE128_DIFFERENT, (double)(n_same) / FMR_MOBILEFACE128_SAME },
static const struct MienFmrPoint mobileface128[] = { FMR_MOBILEFACE128(POINT) };
#undef POINT

/* The official pairs of LFW: distances .65, .60, .55, .50 between embeddings of mean length 1.43, as cosines. 3,000 pairs of
 * different people, so the last row rests on one of them. */
static const struct MienFmrPoint dlib128[] = {
    { 0.8967, 0.0233, 0.005 },
    { 0.9120, 0.0040, 0.018 },
    { 0.9260, 0.0007, 0.073 },
    { 0.9389, 0.0003, 0.202 },
};

static const MienEncoderStats known[] = {
    { .hash = "469b8cde1d367cd978e2ad316a344975440c5f0bf9e9e95a08a290f7e7792e40", .name = "mobileface128",
      .source = "pairs of 6,598 pictures of 2,890 people", .margin = 0.05, .n_points = FMR_MOBILEFACE128_ROWS,
      .n_same_points = MIEN_ARRAY_ELEMS(mobileface128), .point = mobileface128 },
    { .hash = "f70db5075e223acc126dc1559b24a66283d270587d2eb67537dcd796ccb8a4ae", .name = "dlib128",
      .source = "the 6,000 official pairs of LFW", .margin = 0.01, .n_points = MIEN_ARRAY_ELEMS(dlib128),
      .n_same_points = MIEN_ARRAY_ELEMS(dlib128), .point = dlib128 },
};

const MienEncoderStats *mien_encoder_stats(const char *hash)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(known); i++)
        if (!strcmp(known[i].hash, hash))
            return &known[i];
    return NULL;
}

/* The stretch between two points that a similarity lies on, or the nearest one; *t: where on it, beyond 0..1 outside. */
static const struct MienFmrPoint *stretch_of(const MienEncoderStats *s, int n_points, double sim_cos, double *t)
{
    int i = 0;
    while (i + 2 < n_points && sim_cos > s->point[i + 1].sim_cos)
        i++;
    const struct MienFmrPoint *p = &s->point[i];
    *t = (sim_cos - p[0].sim_cos) / (p[1].sim_cos - p[0].sim_cos);
    return p;
}

double mien_encoder_fmr(const MienEncoderStats *s, double sim_cos, int *extrapolated)
{
    double t, a, b;
    const struct MienFmrPoint *p = stretch_of(s, s->n_points, sim_cos, &t);
    if (extrapolated)
        *extrapolated = sim_cos > s->point[s->n_points - 1].sim_cos;
    a = log(p[0].fmr);
    b = log(p[1].fmr);
    return fmin(exp(a + t * (b - a)), 1);
}

double mien_encoder_fnmr(const MienEncoderStats *s, double sim_cos)
{
    double t;
    const struct MienFmrPoint *p = stretch_of(s, s->n_same_points, sim_cos, &t);
    return fmin(fmax(p[0].fnmr + t * (p[1].fnmr - p[0].fnmr), 0), 1);
}

double mien_encoder_threshold(const MienEncoderStats *s, double fmr, int *extrapolated)
{
    int low = 0, high = MIEN_SIM_BINS - 1; /* fmr falls with similarity */
    while (low < high) {
        int mid = (low + high) / 2;
        if (mien_encoder_fmr(s, mid * MIEN_SIM_STEP - 1, NULL) <= fmr)
            high = mid;
        else
            low = mid + 1;
    }
    double sim_cos = low * MIEN_SIM_STEP - 1;
    mien_encoder_fmr(s, sim_cos, extrapolated);
    return sim_cos;
}
