/* train: a tiny encoder on synthetic faces, from random weights: it learns to tell people apart whom it has not seen; the loss's gradient
 * with respect to weights; resuming to the same bits; collapse and divergence told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "base/rng.h"
#include "mien/error.h"
#include "mien/train.h"
#include "nn_build.h"

enum { SIZE = 16, CHIP = MIEN_TRAIN_CHIP_PX(SIZE), PEOPLE = 20, EACH = 6, N = PEOPLE * EACH, HELD = 6 };

static uint8_t chip[N][CHIP * CHIP * 3];
static int32_t person[N];
static uint8_t held[N];
static char said[4096];

static void remember(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv, (void)level;
    vsnprintf(said, sizeof(said), fmt, ap);
}

/* A person is six soft blobs of colour; a picture of them has other light, a shift of up to a pixel and noise. Light differs more
 * between pictures of one person than blobs do between people: untrained, it is what an encoder sees. */
static void draw_face(uint8_t *to, int who, int picture)
{
    uint64_t own = mieni_rng_split(1000, (uint64_t)who), other = mieni_rng_split(2000, (uint64_t)(who * EACH + picture));
    double x[6], y[6], c[6][3], dx = 2 * mieni_rng_unit(&other) - 1, dy = 2 * mieni_rng_unit(&other) - 1, light = 120 * (mieni_rng_unit(&other) - 0.5);
    for (int i = 0; i < 6; i++) {
        x[i] = 3 + (CHIP - 6) * mieni_rng_unit(&own);
        y[i] = 3 + (CHIP - 6) * mieni_rng_unit(&own);
        for (int k = 0; k < 3; k++)
            c[i][k] = 140 * (mieni_rng_unit(&own) - 0.5);
    }
    for (int v = 0; v < CHIP; v++)
        for (int u = 0; u < CHIP; u++)
            for (int k = 0; k < 3; k++) {
                double value = 127 + light + 30 * (mieni_rng_unit(&other) - 0.5);
                for (int i = 0; i < 6; i++)
                    value += c[i][k] * exp(-(pow(u - x[i] - dx, 2) + pow(v - y[i] - dy, 2)) / 12);
                *to++ = (uint8_t)fmin(fmax(value, 0), 255);
            }
}

static void make_faces(void)
{
    for (int i = 0; i < N; i++) {
        person[i] = i / EACH;
        held[i] = i / EACH >= PEOPLE - HELD;
        draw_face(chip[i], i / EACH, i % EACH);
    }
}

static MienModel *make_encoder(uint32_t seed, const char *role_channels)
{
    static const int conv1[] = { 3, 3, 3, 12 }, conv2[] = { 3, 3, 12, 16 }, fc[] = { 4 * 4 * 16, 16 };
    NnBuild b = { .meta = { { "mien.input.channels", role_channels }, { "mien.input.mean", "127" }, { "mien.input.scale", "0.015625" } }, .n_meta = 3 };
    MienModel *m;
    rng_state = seed;
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":16,\"w\":16,\"c\":3}],\"nodes\":["
               "{\"op\":\"conv2d\",\"name\":\"conv1\",\"in\":[\"x\"],\"out\":\"a\",\"kernel\":[3,3],"
               "\"stride\":[2,2],\"pad\":[1,1,1,1],\"cout\":12,\"act\":\"prelu\"},"
               "{\"op\":\"conv2d\",\"name\":\"conv2\",\"in\":[\"a\"],\"out\":\"b\",\"kernel\":[3,3],"
               "\"stride\":[2,2],\"pad\":[1,1,1,1],\"cout\":16,\"act\":\"prelu\"},"
               "{\"op\":\"fc\",\"name\":\"head\",\"in\":[\"b\"],\"out\":\"c\",\"cout\":16},"
               "{\"op\":\"l2norm\",\"name\":\"norm\",\"in\":[\"c\"],\"out\":\"embedding\"}],\"outputs\":[\"embedding\"]}");
    nn_tensor(&b, "conv1.weight", 4, conv1, 0.3f, 0);
    nn_vector(&b, "conv1.bias", 12, 0, 0);
    nn_vector(&b, "conv1.slope", 12, 0, 0.25f);
    nn_tensor(&b, "conv2.weight", 4, conv2, 0.15f, 0);
    nn_vector(&b, "conv2.bias", 16, 0, 0);
    nn_vector(&b, "conv2.slope", 16, 0, 0.25f);
    nn_tensor(&b, "head.weight", 2, fc, 0.1f, 0);
    nn_vector(&b, "head.bias", 16, 0.01f, 0);
    assert_int_equal(nn_model(&b, &m, mien_log_stderr("test_train", MIEN_LOG_WARN)), 0);
    nn_free(&b);
    return m;
}

static const MienTrainFaces faces = { chip[0], person, held, N, CHIP };

static MienTrainParams params(MienModel *m)
{
    MienTrainParams p = MIEN_TRAIN_DEFAULTS;
    p.model = m;
    p.faces = &faces;
    p.rate = 3e-3;
    p.batch_faces = 3;
    p.log = (MienLog){ .write = remember, .level = MIEN_LOG_WARN };
    return p;
}

static MienTrainer *start(const MienTrainParams *p)
{
    MienTrainer *t;
    said[0] = '\0';
    if (mien_trainer_create(&t, p) < 0)
        fail_msg("%s", said);
    return t;
}

static const MienTrainEpoch *run(MienTrainer *t, int n)
{
    const MienTrainEpoch *e;
    for (int i = 0; i < n; i++)
        if (mien_trainer_epoch(t) < 0)
            fail_msg("%s", said);
    mien_trainer_history(t, &e, NULL);
    return e;
}

static void learns_from_random_weights(void **state)
{
    (void)state;
    static const struct {
        MienTripletChoice choice;
        MienOptimKind kind;
        double rate, accuracy;
    } row[] = {
        { MIEN_TRIPLET_SEMI_HARD, MIEN_OPTIM_ADAM, 3e-3, 0.93 },
        { MIEN_TRIPLET_RANDOM, MIEN_OPTIM_ADAM, 3e-3, 0.93 },
        { MIEN_TRIPLET_SEMI_HARD, MIEN_OPTIM_SGD, 0.1, 0.93 },
    };
    MienModel *m = make_encoder(7, "rgb");
    for (size_t r = 0; r < MIEN_ARRAY_ELEMS(row); r++) {
        MienTrainParams p = params(m);
        int best;
        const MienTrainEpoch *e;
        p.choice = row[r].choice;
        p.optimiser = row[r].kind;
        p.rate = row[r].rate;
        MienTrainer *t = start(&p);
        run(t, 25);
        assert_int_equal(mien_trainer_history(t, &e, &best), 25);
        if (!(e[0].held.accuracy < 0.87 && e[best].held.accuracy >= row[r].accuracy && e[best].held.loss < 0.4 * e[0].held.loss))
            fail_msg("row %zu: accuracy %g to %g, loss %g to %g (epoch %d)", r, e[0].held.accuracy, e[best].held.accuracy, e[0].held.loss,
                     e[best].held.loss, best);
        /* fewer and fewer random triplets have anything to teach, and always more of the chosen ones */
        assert_true(e[25].active[MIEN_TRIPLET_RANDOM] < 0.5 * e[1].active[MIEN_TRIPLET_RANDOM]);
        for (int i = 1; i <= 25; i++)
            assert_true(e[i].active[MIEN_TRIPLET_HARD] >= e[i].active[MIEN_TRIPLET_RANDOM]);
        mien_trainer_destroy(&t);
    }
    mien_model_unref(&m);
}

/* One step of plain descent moves the weights against the gradient: for a small rate the loss of the same batch falls by rate·|g|². */
static void steps_follow_the_gradient(void **state)
{
    (void)state;
    static const char *const head[] = { "head" };
    MienModel *m = make_encoder(7, "rgb");
    for (int part = 0; part < 2; part++) {
        double loss[3];
        float g2 = 0;
        MienModel *at[2];
        const float rate = 1e-3f;
        for (int k = 0; k < 2; k++) { /* the first epoch's batch: 14 people of 20, all in one; without augmentation it is the same anew */
            MienTrainParams p = params(k ? at[0] : m);
            p.augment = 0;
            p.optimiser = MIEN_OPTIM_SGD;
            p.rate = (double)rate;
            p.momentum = 0;
            p.batch_people = PEOPLE - HELD;
            p.batch_faces = EACH;
            p.choice = MIEN_TRIPLET_HARD;
            if (part)
                p.layers = head, p.n_layers = 1;
            MienTrainer *t = start(&p);
            loss[k] = run(t, 1)[1].loss;
            /* what changed, by way of the file: best may be the start, so two steps are looked at through their losses */
            uint8_t *data;
            size_t bytes;
            char path[256];
            snprintf(path, sizeof(path), "%s/steps-%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid());
            assert_int_equal(mien_trainer_save(t, path), 0);
            MienWeights *w;
            assert_int_equal(mien_weights_open(&w, path, (MienLog){ 0 }), 0);
            unlink(path);
            const MienTensor *x = mien_weights_find(w, "weights");
            MienModel *copy;
            assert_int_equal(mien_model_copy(&copy, k ? at[0] : m, (MienLog){ 0 }), 0);
            static const char *const names[] = { "conv1.weight", "conv1.bias", "conv1.slope", "conv2.weight", "conv2.bias", "conv2.slope", "head.weight",
                                                 "head.bias" };
            const float *from = x->data;
            for (int i = part ? 6 : 0; i < 8; i++) {
                size_t n;
                float *to = mien_model_weight(copy, names[i], &n);
                for (size_t q = 0; q < n; q++) {
                    float d = (from[q] - to[q]) / rate;
                    g2 += k ? 0 : d * d;
                    to[q] = from[q];
                }
                from += n;
            }
            assert_int_equal(mien_tensor_elems(x), from - (const float *)x->data);
            mien_weights_close(&w);
            assert_int_equal(mien_model_pack(copy, NULL, 0, &data, &bytes, (MienLog){ 0 }), 0);
            assert_int_equal(mieni_model_parse(&at[k], data, bytes, "step", (MienLog){ 0 }), 0);
            mien_free(data);
            mien_model_unref(&copy);
            mien_trainer_destroy(&t);
        }
        double fell = loss[0] - loss[1], due = (double)rate * (double)g2;
        if (fabs(fell - due) > 0.1 * due)
            fail_msg("part %d: the loss fell by %g, %g is due (%g to %g)", part, fell, due, loss[0], loss[1]);
        mien_model_unref(&at[0]);
        mien_model_unref(&at[1]);
    }
    mien_model_unref(&m);
}

static void frozen_layers_stay(void **state)
{
    (void)state;
    static const char *const layers[] = { "head" };
    MienModel *m = make_encoder(7, "rgb"), *copy, *out;
    MienTrainParams p = params(m);
    uint8_t *data;
    size_t bytes, n;
    p.layers = layers;
    p.n_layers = 1;
    MienTrainer *t = start(&p);
    assert_int_equal(mien_trainer_params(t), 256 * 16 + 16);
    assert_non_null(strstr(mien_trainer_recipe(t), "layers head"));
    run(t, 4);
    assert_int_equal(mien_trainer_pack(t, "mine", &data, &bytes), 0);
    assert_int_equal(mieni_model_parse(&out, data, bytes, "out", (MienLog){ 0 }), 0);
    mien_free(data);
    assert_string_equal(mien_model_meta(out, "name"), "mine");
    assert_string_equal(mien_model_meta(out, "parent"), mien_model_hash(m));
    assert_string_equal(mien_model_meta(out, "recipe"), mien_trainer_recipe(t));
    assert_string_not_equal(mien_model_hash(out), mien_model_hash(m));
    MienModel *before;
    assert_int_equal(mien_model_copy(&before, m, (MienLog){ 0 }), 0);
    assert_int_equal(mien_model_copy(&copy, out, (MienLog){ 0 }), 0);
    static const char *const same[] = { "conv1.weight", "conv1.slope", "conv2.weight", "conv2.bias" };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(same); i++) {
        const float *a = mien_model_weight(before, same[i], &n), *b = mien_model_weight(copy, same[i], NULL);
        assert_memory_equal(a, b, n * sizeof(float));
    }
    const float *a = mien_model_weight(before, "head.weight", &n), *b = mien_model_weight(copy, "head.weight", NULL);
    assert_memory_not_equal(a, b, n * sizeof(float));
    mien_model_unref(&before);
    mien_model_unref(&copy);
    mien_model_unref(&out);
    mien_trainer_destroy(&t);
    mien_model_unref(&m);
}

/* Six epochs in one go with one thread; two, a checkpoint, another trainer with three threads, four more: the same file. */
static void resumes_to_the_same_bits(void **state)
{
    (void)state;
    char path[256];
    snprintf(path, sizeof(path), "%s/checkpoint-%ld", getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", (long)getpid());
    MienModel *m = make_encoder(7, "rgb");
    MienPool *pool;
    assert_int_equal(mien_pool_create(&pool, 3, (MienLog){ 0 }), 0);
    for (int kind = 0; kind < 2; kind++) {
        MienTrainParams p = params(m);
        uint8_t *data[2];
        size_t bytes[2];
        const MienTrainEpoch *e, *f;
        int best[2];
        p.optimiser = kind ? MIEN_OPTIM_SGD : MIEN_OPTIM_ADAM;
        p.choice = kind ? MIEN_TRIPLET_RANDOM : MIEN_TRIPLET_SEMI_HARD;
        MienTrainer *t = start(&p), *u = start(&p), *v;
        run(t, 6);
        run(u, 2);
        assert_int_equal(mien_trainer_save(u, path), 0);
        p.exec = mien_pool_exec(pool);
        v = start(&p);
        assert_int_equal(mien_trainer_restore(v, path), 0);
        assert_int_equal(mien_trainer_history(v, &f, NULL), 2);
        run(v, 4);
        assert_int_equal(mien_trainer_history(t, &e, &best[0]), mien_trainer_history(v, &f, &best[1]));
        assert_int_equal(best[0], best[1]);
        assert_memory_equal(e, f, 7 * sizeof(*e));
        assert_int_equal(mien_trainer_pack(t, "x", &data[0], &bytes[0]), 0);
        assert_int_equal(mien_trainer_pack(v, "x", &data[1], &bytes[1]), 0);
        assert_int_equal(bytes[0], bytes[1]);
        assert_memory_equal(data[0], data[1], bytes[0]);
        mien_free(data[0]);
        mien_free(data[1]);
        mien_trainer_destroy(&v);
        /* another training's, and damaged ones */
        p.rate *= 2;
        v = start(&p);
        assert_int_equal(mien_trainer_restore(v, path), MIEN_E_MISMATCH);
        assert_non_null(strstr(said, "another training"));
        mien_trainer_destroy(&v);
        if (truncate(path, 3000) < 0)
            fail_msg("truncate");
        assert_int_equal(mien_trainer_restore(u, path), MIEN_E_FORMAT);
        run(u, 1);
        mien_trainer_destroy(&t);
        mien_trainer_destroy(&u);
    }
    unlink(path);
    mien_pool_destroy(&pool);
    mien_model_unref(&m);
}

/* Steps that are far too long with the hardest triplets: the shortest way to a loss of α is to give every face the same embedding. */
static void collapse_is_named(void **state)
{
    (void)state;
    MienModel *m = make_encoder(7, "rgb");
    MienTrainParams p = params(m);
    p.choice = MIEN_TRIPLET_HARD;
    p.rate = 0.5;
    MienTrainer *t = start(&p);
    int ret = 0;
    for (int i = 0; i < 60 && ret >= 0; i++)
        ret = mien_trainer_epoch(t);
    assert_int_equal(ret, MIEN_ERR(EDOM));
    if (!strstr(said, "collapsed") || !strstr(said, "semi-hard"))
        fail_msg("%s", said);
    mien_trainer_destroy(&t);
    p.optimiser = MIEN_OPTIM_SGD;
    p.rate = 1e30;
    t = start(&p);
    for (ret = 0; ret >= 0;)
        ret = mien_trainer_epoch(t);
    assert_int_equal(ret, MIEN_ERR(EDOM));
    mien_trainer_destroy(&t);
    mien_model_unref(&m);
}

static void refusals(void **state)
{
    (void)state;
    MienModel *m = make_encoder(7, "rgb"), *gray = make_encoder(7, "gray");
    static const char *const none[] = { "lost" }, *const weightless[] = { "norm" };
    MienTrainFaces f = faces;
    MienTrainer *t;
    uint8_t all[N];
    memset(all, 1, sizeof(all));
    for (int i = 0; i < 11; i++) {
        MienTrainParams p = params(m);
        int want = MIEN_ERR(EINVAL);
        f = faces;
        p.faces = &f;
        switch (i) {
        case 0: p.batch_people = 1; break;
        case 1: p.batch_faces = 2000; break;
        case 2: p.rate = 0; break;
        case 3: p.margin = NAN; break;
        case 4: p.optimiser = MIEN_OPTIM_LBFGS; break;
        case 5: f.chip_px++; break;
        case 6: f.held = all; break;
        case 7: f.n = 1; break;
        case 8: p.layers = none, p.n_layers = 1, want = MIEN_E_NOTFOUND; break;
        case 9: p.layers = weightless, p.n_layers = 1; break;
        case 10: p.model = gray, want = MIEN_E_MODEL; break;
        }
        said[0] = '\0';
        assert_int_equal(mien_trainer_create(&t, &p), want);
        assert_true(said[0] && !t);
    }
    mien_model_unref(&m);
    mien_model_unref(&gray);
}

static void out_of_memory(void **state)
{
    (void)state;
    MienModel *m = make_encoder(7, "rgb");
    MienTrainParams p = params(m);
    int ret = -1;
    for (uint64_t n = 1; ret < 0; n++) {
        uint64_t live = mien_mem_live_bytes();
        MienTrainer *t;
        mien_mem_fail_at(n, 0);
        ret = mien_trainer_create(&t, &p);
        mien_mem_fail_at(0, 0);
        assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
        if (ret == 0) {
            for (uint64_t k = 1; ret == 0 && k < 6; k++) { /* an epoch whose memory fails is an error and no crash */
                mien_mem_fail_at(k * k, 0);
                ret = mien_trainer_epoch(t);
                mien_mem_fail_at(0, 0);
                assert_true(ret == 0 || ret == MIEN_ERR(ENOMEM));
            }
            ret = 0;
        }
        mien_trainer_destroy(&t);
        assert_int_equal(mien_mem_live_bytes(), live);
    }
    mien_model_unref(&m);
}

int main(void)
{
    make_faces();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(learns_from_random_weights), cmocka_unit_test(steps_follow_the_gradient), cmocka_unit_test(frozen_layers_stay),
        cmocka_unit_test(resumes_to_the_same_bits), cmocka_unit_test(collapse_is_named), cmocka_unit_test(refusals), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
