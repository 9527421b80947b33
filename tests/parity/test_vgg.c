/* A network of VGG-19's full size, 20 million random weights, through the importer and the engine: activations, Gram matrices and
 * the pixels' gradient against PyTorch in double precision (tests/data/parity-vgg19.safetensors, made by
 * tests/tools/vgg_vector.py, which has the rule for weights and pictures a second time). Max and average pooling. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "mien/error.h"
#include "mien/weights.h"
#include "models/import_int.h"
#include "nn/nn.h"
#include "style_loss.h"

#define MAX_ERROR 1e-4
enum { H = 40, W = 52, N_CONVS = 16, N_STYLE = 5, CONTENT = 5 };

static MienLog to_stderr;
static MienWeights *vectors;
static uint8_t *file; /* the network as torchvision's hub would ship it */
static size_t file_bytes;

static void rule(uint32_t tensor, float *to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t x = (uint32_t)i + tensor * 0x9e3779b9u;
        x ^= x >> 16;
        x *= 0x7feb352du;
        x ^= x >> 15;
        x *= 0x846ca68bu;
        x ^= x >> 16;
        to[i] = (float)(x >> 8) / 16777216.0f - 0.5f;
    }
}

static float *picture(uint32_t tensor)
{
    float *x = malloc(sizeof(*x) * H * W * 3);
    rule(tensor, x, H * W * 3);
    for (int i = 0; i < H * W * 3; i++)
        x[i] += 0.5f;
    return x;
}

/* "features.N.weight" and bias for all sixteen, and a piece of the classifier, which must be left alone. */
static int make_file(void)
{
    static const int block[] = { 2, 2, 4, 4, 4 }, cout[] = { 64, 128, 256, 512, 512 };
    MienTensor t[2 * N_CONVS + 1];
    static char name[2 * N_CONVS][32];
    int n = 0, cin = 3, at = 0;
    for (int b = 0; b < 5; b++, at++)
        for (int m = 0; m < block[b]; m++, at += 2, cin = cout[b], n += 2) {
            size_t n_weight = (size_t)cout[b] * (size_t)cin * 9;
            float *w = mien_malloc_array(n_weight, sizeof(*w)), *bias = mien_malloc_array((size_t)cout[b], sizeof(*bias));
            float scale = (float)sqrt(24.0 / (9 * cin));
            rule((uint32_t)n, w, n_weight);
            rule((uint32_t)n + 1, bias, (size_t)cout[b]);
            for (size_t i = 0; i < n_weight; i++)
                w[i] *= scale;
            for (int i = 0; i < cout[b]; i++)
                bias[i] *= 0.2f;
            snprintf(name[n], sizeof(name[n]), "features.%d.weight", at);
            snprintf(name[n + 1], sizeof(name[n + 1]), "features.%d.bias", at);
            t[n] = (MienTensor){ name[n], MIEN_F32, 4, { cout[b], cin, 3, 3 }, w, n_weight * sizeof(*w) };
            t[n + 1] = (MienTensor){ name[n + 1], MIEN_F32, 1, { cout[b] }, bias, (size_t)cout[b] * sizeof(*bias) };
        }
    t[n] = (MienTensor){ "classifier.0.bias", MIEN_F32, 1, { 1 }, "\0\0\0", 4 };
    int ret = mien_weights_pack(&file, &file_bytes, t, (size_t)n + 1, NULL, 0, to_stderr);
    for (int i = 0; i < n; i++)
        mien_free((void *)t[i].data);
    return ret;
}

static void check_some(const char *pool, const char *what, const float *got, size_t n)
{
    char name[64];
    double worst = 0, size = 0;
    snprintf(name, sizeof(name), "%s.%s", pool, what);
    const MienTensor *t = mien_weights_find(vectors, name);
    if (!t)
        fail_msg("no tensor %s", name);
    const float *want = t->data;
    size_t n_want = mien_tensor_elems(t), every = n_want == n ? 1 : n / 100 > 1 ? n / 100 : 1;
    assert_int_equal(n_want, (n + every - 1) / every);
    for (size_t i = 0; i < n_want; i++) {
        worst = fmax(worst, fabs((double)got[i * every] - (double)want[i]));
        size = fmax(size, fabs((double)want[i]));
    }
    print_message("%-20s %5zu numbers, error %.1e\n", name, n_want, worst / size);
    if (!(worst / size <= MAX_ERROR))
        fail_msg("%s: error %g", name, worst / size);
}

static MienNet *plan(MienModel *model, const char *const *outputs, int n, unsigned grad)
{
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.log = to_stderr;
    p.h_px = H;
    p.w_px = W;
    p.grad = grad;
    p.outputs = outputs;
    p.n_outputs = n;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    return net;
}

/* The loss of vgg_vector.py and its gradient. */
static void check_gradient(MienModel *model, const char *pool)
{
    static const char *const layer[] = { "relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1", "relu4_2" };
    MienNet *net = plan(model, layer, N_STYLE + 1, MIEN_NET_GRAD_INPUT);
    float *x[3] = { picture(100), picture(101), picture(102) }, *target[N_STYLE + 1], *gram;
    MienShape s;
    char name[32];
    double loss = 0;
    run_on(net, x[1]);
    for (int i = 0; i < N_STYLE; i++)
        target[i] = gram_of(net, i, MIEN_CPU_AUTO, &s);
    run_on(net, x[2]);
    const float *f = mien_net_output(net, CONTENT, &s);
    target[CONTENT] = mien_malloc(mien_shape_elems(s) * sizeof(float));
    memcpy(target[CONTENT], f, mien_shape_elems(s) * sizeof(float));
    run_on(net, x[0]);
    loss += relative(f, target[CONTENT], mien_shape_elems(s), 1, mien_net_output_grad(net, CONTENT, NULL));
    for (int i = 0; i < N_STYLE; i++) {
        gram = gram_of(net, i, MIEN_CPU_AUTO, &s);
        ptrdiff_t n_px = (ptrdiff_t)s.h * s.w;
        size_t cc = (size_t)s.c * (size_t)s.c;
        snprintf(name, sizeof(name), "gram.%s", layer[i]);
        check_some(pool, name, gram, cc);
        loss += relative(gram, target[i], cc, 2.0 / (N_STYLE * (double)n_px), gram) / N_STYLE;
        mieni_gram_grad_f32((MienExec){ 0 }, mieni_kernels(MIEN_CPU_AUTO), mien_net_output(net, i, NULL), n_px, s.c, gram, 0,
                            mien_net_output_grad(net, i, NULL));
        mien_free(gram);
    }
    assert_int_equal(mien_net_backward(net), 0);
    snprintf(name, sizeof(name), "%s.loss", pool);
    double want = *(const double *)mien_weights_find(vectors, name)->data;
    print_message("%s loss %.9g, PyTorch %.9g\n", pool, loss, want);
    assert_true(fabs(loss - want) <= 1e-5 * want);
    check_some(pool, "gradient", mien_net_input_grad(net, NULL), H * W * 3);
    for (int i = 0; i <= N_STYLE; i++)
        mien_free(target[i]);
    for (int i = 0; i < 3; i++)
        free(x[i]);
    mien_net_destroy(&net);
}

static void as_pytorch(void **state)
{
    const char *pool = *state;
    uint8_t *packed;
    size_t bytes;
    MienModel *model;
    MienImportParams params = { .pool = pool };
    assert_int_equal(mieni_import_vgg_bytes(file, file_bytes, "vgg19.safetensors", &params, &packed, &bytes, to_stderr), 0);
    assert_int_equal(mieni_model_parse(&model, packed, bytes, "vgg19", to_stderr), 0);
    mien_free(packed);
    assert_string_equal(mien_model_meta(model, "name"), "vgg19");
    assert_int_equal(mien_model_params(model), 20024384 + 6); /* VGG-19's convolutions, and the first node's six numbers */
    assert_int_equal(mien_model_n_outputs(model), N_CONVS);
    MienNet *net = plan(model, NULL, 0, 0);
    float *x = picture(100);
    run_on(net, x);
    free(x);
    for (int i = 0; i < N_CONVS; i++) {
        MienShape s;
        const float *f = mien_net_output(net, i, &s);
        check_some(pool, mien_model_output_name(model, i), f, mien_shape_elems(s));
    }
    mien_net_destroy(&net);
    check_gradient(model, pool);
    mien_model_unref(&model);
}

int main(void)
{
    to_stderr = mien_log_stderr("test_vgg", MIEN_LOG_WARN);
    if (mien_weights_open(&vectors, "tests/data/parity-vgg19.safetensors", to_stderr) < 0 || make_file() < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        { "as_pytorch, max pooling", as_pytorch, NULL, NULL, "max" },
        { "as_pytorch, average pooling", as_pytorch, NULL, NULL, "avg" },
    };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    mien_free(file);
    mien_weights_close(&vectors);
    return ret;
}
