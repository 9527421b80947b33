/* mien/calibrate.h — thresholds from data: how often is a stranger named, how often is somebody known missed.
 *
 * The words are those of ISO/IEC 19795-1, at a threshold T on the cosine similarity:
 *   FMR   of comparisons between different people, the share that reaches T (1:1);
 *   FPIR  of searches for people who are not enrolled (non-mated searches), the share that reaches T (1:K);
 *   FNIR  of searches for people who are (mated searches), the share that does not give the right name.
 * Were comparisons independent, n templates would turn one rate into the other: FPIR = 1 − (1 − FMR)^n. What that means for a
 * gallery, in plain words: docs/calibration.md.
 *
 * Templates are f32 of length 1. Thresholds lie on a grid of MIEN_SIM_STEP, so that a threshold that was printed is the one that
 * was measured. People are told apart by any numbers. Threads: any; nothing is shared.
 */
#ifndef MIEN_CALIBRATE_H
#define MIEN_CALIBRATE_H

#include "mien/common.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- proportions */

typedef struct MienRate {
    double rate, low, high; /* NaN, 0, 1 without trials */
    double n_trials;
} MienRate;

/* n_hits of n_trials, with the exact bounds (95 %, two-sided) of Clopper and Pearson (Biometrika 26, 1934). Numbers that are not
 * whole are fine: where trials depend on each other they are counted as fewer (Korn and Graubard 1998). */
MienRate mien_rate(double n_hits, double n_trials);

double mien_fpir_of_fmr(double fmr, double n_templates);  /* 1 − (1 − fmr)^n, exact for tiny fmr */
double mien_fmr_for_fpir(double fpir, double n_templates); /* the inverse */

/* ---- published statistics of an encoder */

typedef struct MienEncoderStats {
    const char *hash;        /* of the encoder's file */
    const char *name, *source; /* source: one line, where the numbers come from */
    double margin;           /* least lead of the best person over the next one */
    int n_points, n_same_points; /* fmr is known for the first n_points, fnmr for the first n_same_points */
    const struct MienFmrPoint {
        double sim_cos, fmr, fnmr; /* fnmr: of comparisons of the same person, the share below sim_cos */
    } *point;                /* ascending sim_cos, falling fmr > 0 where known */
} MienEncoderStats;

/* NULL: nothing was published about this encoder. */
const MienEncoderStats *mien_encoder_stats(const char *hash);
/* Between the points fmr is interpolated in its logarithm. Above the last one it is continued along the last stretch, which
 * overestimates it (the tail of similarities between strangers falls ever faster); *extrapolated (NULL allowed) is then set. */
double mien_encoder_fmr(const MienEncoderStats *stats, double sim_cos, int *extrapolated);
double mien_encoder_fnmr(const MienEncoderStats *stats, double sim_cos);
/* The smallest threshold on the grid with at most this FMR; at most 1. */
double mien_encoder_threshold(const MienEncoderStats *stats, double fmr, int *extrapolated);

/* ---- searches */

#define MIEN_SIM_STEP 1e-4
#define MIEN_SIM_BINS 20001 /* bin i: i·step − 1 <= similarity < (i + 1)·step − 1 */

typedef struct MienTemplates {
    const float *embedding; /* n rows of dim */
    const int64_t *person;  /* n; NULL: everyone is somebody else */
    size_t n;
    int dim;
} MienTemplates;

typedef struct MienSearchResult {
    int64_t person;       /* the probe's */
    float mate_sim_cos;   /* best template of this very person; NaN: there is none */
    float other_sim_cos;  /* best template of anybody else; NaN: there is nobody else */
    int64_t other;        /* whose it is */
} MienSearchResult;

/* All comparisons by similarity and whether it was the same person. */
typedef struct MienSimCounts {
    uint64_t same[MIEN_SIM_BINS], different[MIEN_SIM_BINS];
} MienSimCounts;

/* Searches the gallery for probes [first, first + n). counts (NULL allowed) is added to. strangers: the probes' people are none
 * of the gallery's, whatever their numbers. If probes->embedding is gallery->embedding, a row is not compared with itself
 * (leave one out). MIEN_ERR(EINVAL): the dims differ. */
int mien_search_templates(const MienTemplates *gallery, const MienTemplates *probes, size_t first, size_t n, int strangers,
                          MienSearchResult *result, MienSimCounts *counts);
/* Share of the counted comparisons between different people at or above sim_cos; NaN without any. */
double mien_counts_fmr(const MienSimCounts *counts, double sim_cos);

/* ---- open-set identification: FPIR and FNIR at every threshold */

typedef struct MienOpenSet MienOpenSet;

typedef struct MienOpenSetParams {
    const MienSearchResult *mated;     /* those with a mate count, the others are left out */
    size_t n_mated;
    const MienSearchResult *non_mated; /* other_sim_cos counts */
    size_t n_non_mated;
    double margin;       /* a mated search succeeds only with this lead over the best other person */
    int by_person;       /* 1: every person has the same weight, however many searches; 0: every search has */
} MienOpenSetParams;

/* Bounds count people, not searches, as trials: as if the pictures of one person were right or wrong together. */
int mien_open_set_create(MienOpenSet **set, const MienOpenSetParams *params);
void mien_open_set_destroy(MienOpenSet **set);
/* The smallest threshold on the grid whose FPIR is at most this. */
double mien_open_set_threshold(const MienOpenSet *set, double fpir);
MienRate mien_open_set_fpir(const MienOpenSet *set, double sim_cos);
MienRate mien_open_set_fnir(const MienOpenSet *set, double sim_cos);
/* Of mated searches that give a name, those that give a wrong one, as a share of all mated searches. */
MienRate mien_open_set_misnamed(const MienOpenSet *set, double sim_cos);
MienRate mien_open_set_rank1(const MienOpenSet *set); /* the right person is the nearest, at any similarity and lead */

/* ---- calibration */

typedef enum MienCalibrationBasis {
    MIEN_BASIS_PUBLISHED, /* the encoder's published statistics, scaled for the number of templates */
    MIEN_BASIS_STRANGERS, /* searches for strangers */
} MienCalibrationBasis;
const char *mien_calibration_basis_name(MienCalibrationBasis basis); /* "published", "strangers" */

/* What is kept in a gallery. */
typedef struct MienCalibration {
    double fpir;             /* wanted */
    double threshold_sim_cos, margin_sim_cos; /* 1:K */
    double verify_sim_cos;   /* 1:1: a false accept rate of at most fpir */
    double fnir, fnir_low, fnir_high;         /* measured in the gallery itself; NaN: nobody has two templates */
    double fpir_measured, fpir_low, fpir_high; /* NaN: no strangers */
    int64_t n_people, n_samples; /* K and its templates: who could be named */
    int64_t n_mated;         /* people that fnir rests on */
    int64_t n_impostors;     /* strangers that fpir_measured rests on */
    MienCalibrationBasis basis;
    char created[32];        /* ISO 8601, UTC; written when stored */
} MienCalibration;

/* FPIR grows with the gallery: a quarter more people than were calibrated for, a quarter more strangers named. */
#define MIEN_CALIBRATION_GROWTH 1.25
int mien_calibration_covers(const MienCalibration *calibration, int64_t n_people_now);

typedef struct MienCalibrateParams {
    double fpir;                     /* 0 < fpir < 1 */
    const MienEncoderStats *stats;   /* NULL: nothing is published */
    const MienSearchResult *enrolled;  /* the gallery's n templates, each searched without itself */
    const MienSearchResult *strangers; /* NULL: none */
    size_t n_strangers;
    const MienSimCounts *counts;     /* of the strangers' comparisons; NULL: none */
    const MienTemplates *gallery;
} MienCalibrateParams;

/* What a calibration says about itself, beyond what is kept. */
typedef struct MienCalibrationReport {
    int64_t n_strangers_needed; /* fewer cannot show the wanted FPIR (the rule of three: 3 / fpir) */
    int64_t n_mated_needed;     /* the same for the margin */
    double fmr_measured;        /* strangers' single comparisons at the threshold; NaN: no strangers */
    double fmr_published;       /* NaN: nothing is published */
    double fpir_closed_form;    /* from fmr_measured if there are strangers, else from fmr_published */
    double fnmr_published;      /* NaN: nothing is published */
    int extrapolated;           /* the published statistics end below the threshold */
    int raised;                 /* strangers, though too few, showed that the published statistics do not hold here */
    int margin_measured;
    MienRate misnamed;          /* mated searches that named somebody else, at threshold and margin */
    MienRate lookalikes;        /* enrolled people who would be taken for another one if they were not enrolled */
    float nearest_sim_cos;      /* the most alike pair of people: how alike (NaN: one person), and who */
    int64_t nearest[2];
} MienCalibrationReport;

/* Threshold, from strangers if there are enough, else from the published statistics; margin, never under the encoder's own unless
 * enough people have two templates. MIEN_E_NOTFOUND: too few strangers and nothing published; MIEN_ERR(EINVAL): an empty
 * gallery, or fpir out of range. report may be NULL. */
int mien_calibrate(const MienCalibrateParams *params, MienCalibration *calibration, MienCalibrationReport *report);

#ifdef __cplusplus
}
#endif
#endif
