/* augment: what may change of a face and what not; the same state of the random numbers gives the same face. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "face/train_int.h"
#include "mien/train.h"

enum { SIZE = 16, CHIP = MIEN_TRAIN_CHIP_PX(SIZE) };

static uint8_t chip[CHIP * CHIP * 3];

static void augmentation(void **state)
{
    (void)state;
    static const MieniInput plain = { 3, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    static uint8_t scratch[2 * CHIP * CHIP * 3];
    static float a[SIZE * SIZE * 3], b[SIZE * SIZE * 3];
    /* none: the middle, pixel by pixel */
    mieni_augment(chip, CHIP, 0, 1, &plain, a, SIZE, scratch);
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++)
            assert_float_equal(a[(y * SIZE + x) * 3 + 1], chip[((y + 2) * CHIP + x + 2) * 3 + 1], 1e-3);
    /* flip: that, or its mirror image, each often */
    int n_mirrored = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        mieni_augment(chip, CHIP, MIEN_AUGMENT_FLIP, seed, &plain, b, SIZE, scratch);
        int mirrored = fabsf(b[0] - a[0]) > 1e-3f || fabsf(b[1] - a[1]) > 1e-3f;
        for (int x = 0; x < SIZE; x++)
            assert_float_equal(b[x * 3], a[(mirrored ? SIZE - 1 - x : x) * 3], 1e-3);
        n_mirrored += mirrored;
    }
    assert_true(n_mirrored > 30 && n_mirrored < 70);
    /* each of the others: the same state the same picture, another state another, and not too far from the face */
    static const unsigned one[] = { MIEN_AUGMENT_CROP, MIEN_AUGMENT_COLOUR, MIEN_AUGMENT_BLUR, MIEN_AUGMENT_ALL };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(one); i++) {
        int n_other = 0;
        for (uint64_t seed = 1; seed < 40; seed++) {
            mieni_augment(chip, CHIP, one[i], 3, &plain, a, SIZE, scratch);
            mieni_augment(chip, CHIP, one[i], 3, &plain, b, SIZE, scratch);
            assert_memory_equal(a, b, sizeof(a));
            mieni_augment(chip, CHIP, one[i], seed, &plain, b, SIZE, scratch);
            n_other += memcmp(a, b, sizeof(a)) != 0;
            for (int k = 0; k < SIZE * SIZE * 3; k++)
                assert_true(b[k] >= 0 && b[k] <= 255);
        }
        assert_true(n_other > 10);
    }
}

int main(void)
{
    for (int i = 0; i < CHIP * CHIP * 3; i++)
        chip[i] = (uint8_t)(i * i % 251);
    const struct CMUnitTest tests[] = { cmocka_unit_test(augmentation) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
