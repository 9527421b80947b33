/* Fuzz: a training's checkpoint of which some bytes are changed, then restored. The input is a list of patches: two bytes of offset, one of
 * length, the bytes. What is refused must leave the trainer usable; what is taken must be numbers that one can go on from or fail at. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../unit/nn_build.h"
#include "mien/error.h"
#include "mien/train.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

enum { SIZE = 8, CHIP = MIEN_TRAIN_CHIP_PX(SIZE), N = 8 };

static uint8_t chip[N][CHIP * CHIP * 3];
static const int32_t person[N] = { 0, 0, 1, 1, 2, 2, 3, 3 };
static const uint8_t held[N] = { 0, 0, 0, 0, 1, 1, 1, 1 };
static MienTrainer *trainer;
static uint8_t *base;
static size_t base_bytes;
static char path[256];

static void must(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "broken promise: %s\n", what);
        abort();
    }
}

static void make_trainer(void)
{
    static const MienTrainFaces faces = { chip[0], person, held, N, CHIP };
    static const int fc[] = { SIZE * SIZE * 3, 4 };
    NnBuild b = { .meta = { { "mien.input.channels", "rgb" }, { "mien.input.mean", "127" }, { "mien.input.scale", "0.01" } }, .n_meta = 3 };
    MienTrainParams p = MIEN_TRAIN_DEFAULTS;
    MienModel *m;
    const char *tmp = getenv("TMPDIR");
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":8,\"w\":8,\"c\":3}],\"nodes\":["
               "{\"op\":\"fc\",\"name\":\"head\",\"in\":[\"x\"],\"out\":\"y\",\"cout\":4}],\"outputs\":[\"y\"]}");
    nn_tensor(&b, "head.weight", 2, fc, 0.2f, 0);
    nn_vector(&b, "head.bias", 4, 0.1f, 0);
    must(nn_model(&b, &m, (MienLog){ 0 }) == 0, "the model");
    nn_free(&b);
    for (int i = 0; i < N; i++)
        for (int k = 0; k < CHIP * CHIP * 3; k++)
            chip[i][k] = (uint8_t)rng();
    p.model = m;
    p.faces = &faces;
    p.batch_people = p.batch_faces = 2;
    must(mien_trainer_create(&trainer, &p) == 0 && mien_trainer_epoch(trainer) == 0, "the trainer");
    mien_model_unref(&m);
    snprintf(path, sizeof(path), "%s/fuzz-checkpoint-%ld", tmp ? tmp : "/tmp", (long)getpid());
    must(mien_trainer_save(trainer, path) == 0, "the checkpoint");
    FILE *f = fopen(path, "rb");
    must(f != NULL, "reading");
    base = malloc(1 << 20);
    base_bytes = fread(base, 1, 1 << 20, f);
    fclose(f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const MienTrainEpoch *e;
    if (!trainer)
        make_trainer();
    uint8_t *file = malloc(base_bytes);
    must(file != NULL, "memory");
    memcpy(file, base, base_bytes);
    for (size_t at = 0; at + 3 <= bytes;) {
        size_t offset = (size_t)data[at] << 8 | data[at + 1], len = data[at + 2];
        at += 3;
        for (size_t i = 0; i < len && at < bytes; i++)
            file[(offset + i) % base_bytes] = data[at++];
    }
    FILE *f = fopen(path, "wb");
    must(f && fwrite(file, 1, base_bytes, f) == base_bytes && fclose(f) == 0, "writing");
    free(file);
    int ret = mien_trainer_restore(trainer, path), best;
    must(ret == 0 || ret == MIEN_E_FORMAT || ret == MIEN_E_MISMATCH || ret == MIEN_ERR(EINVAL) || ret == MIEN_ERR(ENOMEM), "a documented code");
    int n = mien_trainer_history(trainer, &e, &best);
    must(n >= 0 && best >= 0 && best <= n, "a history");
    ret = mien_trainer_epoch(trainer);
    must(ret == 0 || ret == MIEN_ERR(EDOM), "an epoch afterwards");
    unlink(path);
    return 0;
}
