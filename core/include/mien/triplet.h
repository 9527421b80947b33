/* mien/triplet.h — the triplet loss of FaceNet (Schroff, Kalenichenko & Philbin 2015, section 3).
 *
 *     loss = mean over triplets of max( ‖u(A) − u(P)‖² − ‖u(A) − u(N)‖² + α, 0 ),   u = f / ‖f‖
 *
 * A (anchor) and P (positive) are two faces of one person, N (negative) is another person's. In a batch every ordered pair (A, P) of one
 * person makes one triplet; which N it takes is the choice that matters: most N are so far away that the loss is 0 and
 * nothing is learnt from them.
 */
#ifndef MIEN_TRIPLET_H
#define MIEN_TRIPLET_H

#include "mien/common.h"
#include "mien/log.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MienTripletChoice {
    MIEN_TRIPLET_RANDOM,    /* any N */
    MIEN_TRIPLET_SEMI_HARD, /* the nearest N that is further away than P; if none is, the furthest */
    MIEN_TRIPLET_HARD,      /* the nearest N */
    MIEN_TRIPLET_N_CHOICES
} MienTripletChoice;

const char *mien_triplet_choice_name(MienTripletChoice choice); /* "random", "semi-hard", "hard" */

typedef struct MienTripletParams {
    MienTripletChoice choice;
    int dim;
    double margin; /* α, in squared distances of unit vectors; > 0 */
    uint64_t seed; /* of random choices */
    MienLog log;
} MienTripletParams;

#define MIEN_TRIPLET_DEFAULTS { .choice = MIEN_TRIPLET_SEMI_HARD, .margin = 0.2 }

typedef struct MienTripletLoss {
    double loss;        /* mean over the triplets; 0 without any */
    int64_t n_triplets; /* ordered pairs of one person, where somebody else is in the batch */
    int64_t n_active[MIEN_TRIPLET_N_CHOICES]; /* how many have a loss above 0, by each choice on the same embeddings */
    double spread;      /* 1 − ‖mean of u‖²: 0 where all embeddings are the same, near 1 where they point everywhere */
} MienTripletLoss;

/* Loss of n embeddings (n × dim, of any length above 0) of the people numbered in person, and, unless NULL, its gradient with respect to
 * the embeddings as given. Errors: MIEN_ERR(EINVAL) (params), MIEN_ERR(EDOM) (an embedding is not finite or of length 0), ENOMEM. */
int mien_triplet_loss(const MienTripletParams *params, const float *embedding, const int32_t *person, int n, MienTripletLoss *loss,
                      float *gradient);

typedef struct MienTripletMeasure {
    double loss;     /* mean over all triplets there are */
    double accuracy; /* of pairs at the best threshold, both kinds counting the same */
    double auc;      /* chance that a pair of one person is nearer than a pair of two; NaN where a kind is missing, as is accuracy */
    double spread;
    int64_t n_same, n_different;
} MienTripletMeasure;

/* How well embeddings tell people apart; nothing is chosen. Errors as above. */
int mien_triplet_measure(const MienTripletParams *params, const float *embedding, const int32_t *person, int n,
                         MienTripletMeasure *measure);

#ifdef __cplusplus
}
#endif
#endif
