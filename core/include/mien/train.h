/* mien/train.h — training a face encoder by triplet loss (mien/triplet.h) on aligned faces in memory.
 *
 * The network is the caller's encoder file, copied; all of it or some layers change. An epoch draws batches of several people with several
 * faces each, augments the faces, goes forward and backward (mien/net.h) and steps the optimiser (mien/optim.h); then it measures
 * the embeddings of people held out, whom no batch contains. The weights of the best epoch are kept. Everything random follows from
 * seed, epoch and batch, so that a run that goes on from a checkpoint ends with the same bits as one that was never interrupted,
 * with any number of threads.
 */
#ifndef MIEN_TRAIN_H
#define MIEN_TRAIN_H

#include "mien/exec.h"
#include "mien/face.h"
#include "mien/net.h"
#include "mien/optim.h"
#include "mien/triplet.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A face as the encoder of `size_px` sees it, with an eighth more on each side for augmentation: this many pixels square. */
#define MIEN_TRAIN_CHIP_PX(size_px) ((size_px) + 2 * ((size_px) / 8))

/* Cuts it out: MIEN_TRAIN_CHIP_PX(mien_face_input_px)² × 3 bytes RGB. Wants landmarks. */
int mien_face_input_px(const MienFaceEngine *engine); /* side of the encoder's input */
MienModel *mien_face_encoder_model(const MienFaceEngine *engine); /* borrowed; NULL without encoder */
int mien_face_chip(MienFaceEngine *engine, const MienImage *img, const MienFace *face, uint8_t *rgb8);

typedef struct MienTrainFaces {
    const uint8_t *rgb8;   /* n chips */
    const int32_t *person; /* 0 … */
    const uint8_t *held;   /* 1: held out, the same for all of a person's */
    int n, chip_px;
} MienTrainFaces;

enum { MIEN_AUGMENT_FLIP = 1, MIEN_AUGMENT_CROP = 2, MIEN_AUGMENT_COLOUR = 4, MIEN_AUGMENT_BLUR = 8, MIEN_AUGMENT_ALL = 15 };

typedef struct MienTrainParams {
    MienModel *model;          /* where to start; it is copied and stays as it is */
    const MienTrainFaces *faces; /* borrowed until destroy */
    const char *const *layers; /* nodes that change; NULL: all. Read by create alone */
    int n_layers;
    MienTripletChoice choice;
    double margin;
    MienOptimKind optimiser; /* MIEN_OPTIM_ADAM or MIEN_OPTIM_SGD */
    double rate, momentum;
    int batch_people, batch_faces; /* people a batch, at least 2, and faces of each at most, at least 2 */
    unsigned augment;              /* MIEN_AUGMENT_… */
    uint64_t seed;
    MienExec exec; /* kept */
    MienLog log;   /* kept */
} MienTrainParams;

#define MIEN_TRAIN_DEFAULTS                                                                                              \
    { .choice = MIEN_TRIPLET_SEMI_HARD, .margin = 0.2, .optimiser = MIEN_OPTIM_ADAM, .rate = 3e-4, .momentum = 0.9,       \
      .batch_people = 8, .batch_faces = 4, .augment = MIEN_AUGMENT_ALL, .seed = 1 }

/* One epoch's account. Epoch 0 is the start: `held` alone is set. */
typedef struct MienTrainEpoch {
    double loss;                         /* mean over the batches */
    double active[MIEN_TRIPLET_N_CHOICES]; /* share of triplets with a loss above 0 */
    double spread;                       /* of the batches, mean (mien/triplet.h) */
    MienTripletMeasure held;             /* embeddings of people held out, not augmented */
} MienTrainEpoch;

typedef struct MienTrainer MienTrainer;

/* Measures the start, too. Errors: MIEN_ERR(EINVAL) (a parameter; too few people; chips of another size), MIEN_E_NOTFOUND (no such layer),
 * MIEN_E_MODEL (not an encoder), ENOMEM; each is one line. */
int mien_trainer_create(MienTrainer **trainer, const MienTrainParams *params);
void mien_trainer_destroy(MienTrainer **trainer);
uint64_t mien_trainer_params(const MienTrainer *trainer); /* weights that change */
/* What the result follows from besides mien itself: choices, seed, digests of the encoder and the faces. One line. */
const char *mien_trainer_recipe(const MienTrainer *trainer);

/* One epoch. Errors: MIEN_ERR(EDOM): it diverged (a number is not finite), or it collapsed: all faces have nearly the same embedding, which
 * triplets made too hard or steps made too long bring about. The line names which; the trainer is of no use then. */
int mien_trainer_epoch(MienTrainer *trainer);
/* Epochs done, and their accounts: 0 … done, valid until the next epoch. best: the one with the least held.loss. */
int mien_trainer_history(const MienTrainer *trainer, const MienTrainEpoch **epochs, int *best);

/* A checkpoint: everything that the next epoch depends on, written whole or not at all. restore wants a trainer made of the same model,
 * faces and params: else MIEN_E_MISMATCH; MIEN_E_FORMAT: the file is no checkpoint. */
int mien_trainer_save(const MienTrainer *trainer, const char *path);
int mien_trainer_restore(MienTrainer *trainer, const char *path);

/* The encoder with the best epoch's weights as a file's bytes, with lineage: mien.name, mien.parent (hash), mien.parent.name, mien.recipe,
 * mien.epoch. The caller frees *data. */
int mien_trainer_pack(MienTrainer *trainer, const char *name, uint8_t **data, size_t *bytes);

#ifdef __cplusplus
}
#endif
#endif
