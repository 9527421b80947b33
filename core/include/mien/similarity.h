/* mien/similarity.h — a learnt answer to "the same person?": a logistic unit on the difference of two embeddings.
 *
 *     p(same | f1, f2) = σ(w·g(f1, f2) + b),   σ(z) = 1 / (1 + e^−z)
 *
 * g takes one of two forms, coordinate by coordinate (Taigman et al., "DeepFace", 2014, section 4, and the verification as
 * binary classification that follows from it):
 *
 *     logistic   g_k = |f1_k − f2_k|
 *     chi2       g_k = (f1_k − f2_k)² / (|f1_k| + |f2_k|), 0 where both are 0
 *
 * χ² is made for numbers that cannot be negative, as after a ReLU. Ours may be. Cutting f into its parts max(f, 0) and max(−f, 0),
 * which cannot, and giving both parts of a coordinate one weight, the two quotients add up to exactly the line above: the
 * absolute values in the denominator are that and no makeshift. Where signs differ, g_k = |f1_k| + |f2_k|; g_k is continuous everywhere.
 *
 * w and b are learnt from pairs by regularised logistic regression, which is convex: there is one minimum and it is found. Both
 * kinds of pairs count the same, however many there are of each, so that p is a probability for a pair that is as likely of one
 * person as not; whoever compares with K people has a prior of 1/K and wants a stricter threshold.
 */
#ifndef MIEN_SIMILARITY_H
#define MIEN_SIMILARITY_H

#include "mien/common.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_SIMILARITY_MAX_DIM 1024

typedef enum MienSimilarityKind {
    MIEN_SIMILARITY_DISTANCE, /* nothing learnt: the distance of the embeddings decides */
    MIEN_SIMILARITY_LOGISTIC,
    MIEN_SIMILARITY_CHI2,
} MienSimilarityKind;

const char *mien_similarity_name(MienSimilarityKind kind); /* "distance", "logistic", "chi2" */

/* Where a probability counts as the same person if nobody says otherwise: 1:1, and in a gallery (docs/training.md has the
 * measurement behind them). */
#define MIEN_SIMILARITY_VERIFY_PROB 0.5f
#define MIEN_SIMILARITY_IDENTIFY_PROB 0.97f

/* The learnt unit: plain numbers, free to be copied. kind is logistic or chi2. */
typedef struct MienSimilarity {
    MienSimilarityKind kind;
    int dim;
    float w[MIEN_SIMILARITY_MAX_DIM]; /* dim of them; behind those zeros */
    float b;
} MienSimilarity;

/* 0, or MIEN_ERR(EINVAL): the kind is none, dim is out of range, a number is not finite. */
int mien_similarity_check(const MienSimilarity *unit);

/* w·g(f1, f2) + b, the logit of the probability: log(p / (1 − p)). Symmetric in f1 and f2. Threads: any. */
double mien_similarity_logit(const MienSimilarity *unit, const float *f1, const float *f2);
/* σ(logit), and its inverse (prob 0 and 1 give −inf and +inf). */
double mien_similarity_prob(double logit);
double mien_similarity_logit_of(double prob);

/* A pair for training or measuring; embeddings are borrowed, dim numbers each. */
typedef struct MienPair {
    const float *f1, *f2;
    int same; /* 0 or 1 */
} MienPair;

typedef struct MienSimilarityParams {
    MienSimilarityKind kind;
    int dim;
    double l2;          /* λ of λ/2·|v|², v being w in units of each coordinate's root mean square; > 0 */
    int max_iterations; /* of L-BFGS */
    MienLog log;
} MienSimilarityParams;

#define MIEN_SIMILARITY_DEFAULTS { .kind = MIEN_SIMILARITY_LOGISTIC, .l2 = 1e-3, .max_iterations = 500 }

typedef struct MienSimilarityFit {
    double loss;     /* mean cross entropy, both kinds of pairs weighing a half; without λ */
    double gradient; /* largest component at the end: 0 at the minimum */
    int iterations, converged;
} MienSimilarityFit;

/* Learns from n pairs, some of each kind. Deterministic. fit may be NULL. Errors: MIEN_ERR(EINVAL) (a parameter, a number that is
 * not finite, or one kind of pair is missing), ENOMEM; each is logged. */
int mien_similarity_train(MienSimilarity *unit, const MienSimilarityParams *params, const MienPair *pairs, size_t n,
                          MienSimilarityFit *fit);

#ifdef __cplusplus
}
#endif
#endif
