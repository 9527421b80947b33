/* train_int.h — a face changed at random for training (augment.c). */
#ifndef MIEN_TRAIN_INT_H
#define MIEN_TRAIN_INT_H

#include "image/sample.h"

/* Writes chip (chip_px² × 3) into dst (size_px² × channels), changed as the bits of `augment` (mien/train.h) and the random state say; augment 0
 * takes the middle as it is. scratch: twice a chip's bytes. */
void mieni_augment(const uint8_t *chip, int chip_px, unsigned augment, uint64_t rng, const MieniInput *input, float *dst, int size_px,
                   uint8_t *scratch);

#endif
