/* train_faces.h — folders of people become aligned faces in memory, with some people held out. */
#ifndef MIEN_TOOL_TRAIN_FACES_H
#define MIEN_TOOL_TRAIN_FACES_H

#include "faces.h"
#include "mien/train.h"

typedef struct TrainFaces {
    MienTrainFaces faces; /* into the arrays below */
    uint8_t *rgb8, *held;
    int32_t *person;
    int n_people, n_held, n_skipped; /* skipped: pictures without a face, or with several */
} TrainFaces;

/* DIR/PERSON/…: a folder a person, in which every picture (and those in folders there) is of that person. Side by side, with progress. 0, or
 * negative after a message. */
int train_faces_read(TrainFaces *t, const Tool *tool, Faces *engines, const char *dir, double holdout, uint64_t seed);
void train_faces_free(TrainFaces *t);

#endif
