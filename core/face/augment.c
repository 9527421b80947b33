/* augment.c — one aligned face becomes many: mirrored, cut a little differently, in other light, out of focus. The bounds are those of
 * what detector and landmarks miss by, and of cameras: a mean error of the eyes of 3 % of a face's width, lamps, motion. */
#include <math.h>
#include <string.h>

#include "base/rng.h"
#include "face/train_int.h"
#include "mien/train.h"

#define TURN_DEG 8.0
#define SCALE 0.07    /* of the size, either way */
#define SHIFT 0.04    /* of the size */
#define CONTRAST 0.25 /* either way */
#define LIGHT 20.0    /* of 255 */
#define TINT 0.05     /* of each channel by itself */

static double between(uint64_t *rng, double most)
{
    return (2 * mieni_rng_unit(rng) - 1) * most;
}

static void colour(uint8_t *rgb8, size_t n_px, uint64_t *rng)
{
    uint8_t table[3][256];
    double gain = 1 + between(rng, CONTRAST), lift = between(rng, LIGHT);
    for (int c = 0; c < 3; c++) {
        double tint = gain * (1 + between(rng, TINT));
        for (int v = 0; v < 256; v++) {
            double x = (v - 127.5) * tint + 127.5 + lift;
            table[c][v] = (uint8_t)lrint(fmin(fmax(x, 0), 255));
        }
    }
    for (size_t i = 0; i < 3 * n_px; i++)
        rgb8[i] = table[i % 3][rgb8[i]];
}

/* 1 2 1 in both directions, edges repeated. */
static void blur(uint8_t *rgb8, int px, uint8_t *work)
{
    for (int pass = 0; pass < 2; pass++) {
        ptrdiff_t step = pass ? 3 * px : 3, across = pass ? 3 : 3 * px;
        memcpy(work, rgb8, (size_t)px * (size_t)px * 3);
        for (int line = 0; line < px; line++) {
            for (int i = 0; i < px; i++) {
                ptrdiff_t at = line * across + i * step, before = i ? at - step : at, after = i + 1 < px ? at + step : at;
                for (int c = 0; c < 3; c++)
                    rgb8[at + c] = (uint8_t)((work[before + c] + 2 * work[at + c] + work[after + c] + 2) / 4);
            }
        }
    }
}

void mieni_augment(const uint8_t *chip, int chip_px, unsigned augment, uint64_t rng, const MieniInput *input, float *dst, int size_px,
                   uint8_t *scratch)
{
    size_t bytes = (size_t)chip_px * (size_t)chip_px * 3;
    double turn = 0, scale = 1, dx = 0, dy = 0, mirror = 1;
    memcpy(scratch, chip, bytes);
    if (augment & MIEN_AUGMENT_COLOUR)
        colour(scratch, bytes / 3, &rng);
    if (augment & MIEN_AUGMENT_BLUR)
        for (uint32_t n = mieni_rng_below(&rng, 8); n < 3; n++) /* none mostly, else one to three times */
            blur(scratch, chip_px, scratch + bytes);
    if (augment & MIEN_AUGMENT_FLIP)
        mirror = mieni_rng_below(&rng, 2) ? -1 : 1;
    if (augment & MIEN_AUGMENT_CROP) {
        turn = between(&rng, TURN_DEG) * M_PI / 180;
        scale = 1 + between(&rng, SCALE);
        dx = between(&rng, SHIFT) * size_px;
        dy = between(&rng, SHIFT) * size_px;
    }
    double a = scale * cos(turn), b = scale * sin(turn), half = size_px / 2.0, middle = chip_px / 2.0;
    float m[6] = { (float)(mirror * a), (float)-b, (float)(middle + dx - mirror * a * half + b * half),
                   (float)(mirror * b), (float)a, (float)(middle + dy - mirror * b * half - a * half) };
    MienImage img = { scratch, 3 * chip_px, chip_px, chip_px, MIEN_PIXEL_RGB8 };
    mieni_image_warp(&img, m, MIENI_BORDER_CLAMP, 1, input, dst, size_px, size_px);
}
