/* The whole style loss backward through stylenet: against PyTorch's gradients in double precision (tests/data/parity-stylenet, by
 * tests/tools/stylenet_vector.py), with respect to the picture and to every weight, and against finite differences in double
 * of the same loss over the naive references of the ops. Every CPU level; threads change no bit.
 *
 * J = content + 100·style + 6·tv as written in the data's metadata. Error: max |a - b| / max |b|; what was found is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "../unit/nn_ref.h"
#include "style_loss.h"
#include "mien/error.h"
#include "nn/gram.h"

#define MAX_ERROR 1e-5
#define STYLE_WEIGHT 100.0
#define TV_WEIGHT 6.0

enum { N_LAYERS = 7, N_STYLE = 4, CONTENT = 2, EVERY = 61 };
static const char *const style_layer[N_STYLE] = { "relu1_1", "relu2_1", "relu3_1", "relu4_1" };
static MienLog to_stderr;
static MienModel *model;
static MienWeights *vectors;
static MienPool *pool;

static MienNet *make_net(int h, int w, MienCpu cpu, unsigned grad, MienExec exec)
{
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.log = to_stderr;
    p.h_px = h, p.w_px = w;
    p.cpu = cpu;
    p.grad = grad;
    p.exec = exec;
    p.outputs = style_layer;
    p.n_outputs = N_STYLE;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    return net;
}

/* Targets: content's activation, style's Gram matrices. */
typedef struct Target {
    float *content, *gram[N_STYLE];
} Target;

static float *copy(const float *x, size_t n)
{
    return memcpy(mien_malloc(n * sizeof(*x)), x, n * sizeof(*x));
}

static Target make_target(const MienTensor *content, const MienTensor *style, MienCpu cpu)
{
    Target t;
    MienShape s;
    MienNet *net = make_net((int)content->dim[0], (int)content->dim[1], cpu, 0, (MienExec){ 0 });
    run_on(net, content->data);
    const float *f = mien_net_output(net, CONTENT, &s);
    t.content = copy(f, mien_shape_elems(s));
    mien_net_destroy(&net);
    net = make_net((int)style->dim[0], (int)style->dim[1], cpu, 0, (MienExec){ 0 });
    run_on(net, style->data);
    for (int i = 0; i < N_STYLE; i++)
        t.gram[i] = gram_of(net, i, cpu, &s);
    mien_net_destroy(&net);
    return t;
}

static void free_target(Target *t)
{
    mien_free(t->content);
    for (int i = 0; i < N_STYLE; i++)
        mien_free(t->gram[i]);
}

/* Run and backward pass; loss gets content and style. */
static void step(MienNet *net, const Target *t, const float *picture, MienCpu cpu, double loss[2])
{
    MienShape s;
    const MienKernels *k = mieni_kernels(cpu);
    run_on(net, picture);
    loss[1] = 0;
    for (int i = 0; i < N_STYLE; i++) {
        float *gram = gram_of(net, i, cpu, &s), *d = mien_net_output_grad(net, i, NULL);
        const float *f = mien_net_output(net, i, NULL);
        size_t n_px = (size_t)s.h * (size_t)s.w, cc = (size_t)s.c * (size_t)s.c;
        if (i == CONTENT)
            loss[0] = relative(f, t->content, n_px * (size_t)s.c, 1, d);
        loss[1] += relative(gram, t->gram[i], cc, STYLE_WEIGHT / N_STYLE * 2 / (double)n_px, gram) / N_STYLE;
        mieni_gram_grad_f32((MienExec){ 0 }, k, f, (ptrdiff_t)n_px, s.c, gram, i == CONTENT, d);
        mien_free(gram);
    }
    assert_int_equal(mien_net_backward(net), 0);
}

/* Mean of squared differences to the right and down, each over its own number of them; d gets the derivative added. */
static double variation(const double *x, int h, int w, int c, double *d)
{
    double sum = 0, nx = (double)h * (w - 1) * c, ny = (double)(h - 1) * w * c;
    for (int i = 0; i < h * w * c; i++) {
        int has_x = i / c % w + 1 < w, has_y = i / c / w + 1 < h;
        double dx = has_x ? x[i + c] - x[i] : 0, dy = has_y ? x[i + w * c] - x[i] : 0;
        sum += dx * dx / nx + dy * dy / ny;
        if (d && has_x)
            d[i + c] += TV_WEIGHT * 2 * dx / nx, d[i] -= TV_WEIGHT * 2 * dx / nx;
        if (d && has_y)
            d[i + w * c] += TV_WEIGHT * 2 * dy / ny, d[i] -= TV_WEIGHT * 2 * dy / ny;
    }
    return sum;
}

static void check_close(const char *what, MienCpu cpu, const double *a, const float *b, size_t n)
{
    double worst = 0, size = 0;
    for (size_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs(a[i] - (double)b[i]));
        size = fmax(size, fabs((double)b[i]));
    }
    printf("%-10s level %-6s %.2g\n", what, mien_cpu_name(cpu), worst / size);
    if (!(worst / size <= MAX_ERROR))
        fail_msg("%s, level %s: error %g of the largest value, %g is allowed", what, mien_cpu_name(cpu), worst / size, MAX_ERROR);
}

static double *doubles(const float *x, size_t n)
{
    double *d = malloc(n * sizeof(*d));
    for (size_t i = 0; i < n; i++)
        d[i] = (double)x[i];
    return d;
}

static const MienTensor *tensor(const char *name)
{
    const MienTensor *t = mien_weights_find(vectors, name);
    if (!t)
        fail_msg("no tensor %s", name);
    return t;
}

static void check_weights(const MienNet *net, MienCpu cpu)
{
    static const char *const layer[N_LAYERS] = { "1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "4_1" };
    for (int i = 0; i < 2 * N_LAYERS; i++) {
        char name[32], ref_name[32];
        size_t n, every = i % 2 ? 1 : EVERY;
        snprintf(name, sizeof(name), "conv2d_%d.%s", i / 2 + 1, i % 2 ? "bias" : "weight");
        snprintf(ref_name, sizeof(ref_name), "d%s%s", i % 2 ? "bias" : "weight", layer[i / 2]);
        const float *g = mien_net_weight_grad(net, name, &n);
        const MienTensor *want = tensor(ref_name);
        assert_non_null(g);
        assert_int_equal(mien_tensor_elems(want), (n + every - 1) / every);
        double *some = malloc((n / every + 1) * sizeof(*some));
        for (size_t k = 0; k < n; k += every)
            some[k / every] = (double)g[k];
        check_close(ref_name, cpu, some, want->data, mien_tensor_elems(want));
        free(some);
    }
}

static void as_pytorch(void **state)
{
    (void)state;
    const MienTensor *image = tensor("image"), *gradient = tensor("gradient");
    const double *want = tensor("loss")->data;
    size_t n = mien_tensor_elems(image);
    int h = (int)image->dim[0], w = (int)image->dim[1];
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
        Target t = make_target(tensor("content"), tensor("style"), cpu);
        unsigned grad = MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS;
        MienNet *net = make_net(h, w, cpu, grad, (MienExec){ 0 }), *threaded = make_net(h, w, cpu, grad, mien_pool_exec(pool));
        double loss[2];
        step(threaded, &t, image->data, cpu, loss);
        step(net, &t, image->data, cpu, loss);
        assert_memory_equal(mien_net_input_grad(net, NULL), mien_net_input_grad(threaded, NULL), n * sizeof(float));
        for (int i = 0; i < mien_net_n_weight_grads(net); i++) {
            size_t n_w;
            const float *g = mien_net_weight_grad_at(net, i, NULL, &n_w);
            assert_memory_equal(g, mien_net_weight_grad_at(threaded, i, NULL, NULL), n_w * sizeof(float));
        }
        double *x = doubles(image->data, n), *d = doubles(mien_net_input_grad(net, NULL), n), tv = variation(x, h, w, 3, d);
        double j = loss[0] + STYLE_WEIGHT * loss[1] + TV_WEIGHT * tv;
        assert_true(fabs(loss[0] / want[0] - 1) < 1e-5 && fabs(loss[1] / want[1] - 1) < 1e-5 && fabs(j / want[3] - 1) < 1e-5);
        check_close("picture", cpu, d, gradient->data, n);
        check_weights(net, cpu);
        free(x), free(d);
        mien_net_destroy(&net);
        mien_net_destroy(&threaded);
        free_target(&t);
    }
}

/* ---- the same loss in double, on a crop */

enum { CROP_H = 21, CROP_W = 26 };

static double *weights_of(int i, const char *kind, int64_t *c_out)
{
    char name[32];
    const MienTensor *t;
    MienWeights *w;
    snprintf(name, sizeof(name), "conv2d_%d.%s", i + 1, kind);
    assert_int_equal(mien_weights_open(&w, "core/models/stylenet.safetensors", to_stderr), 0);
    assert_non_null(t = mien_weights_find(w, name));
    *c_out = t->dim[t->n_dims - 1];
    double *d = doubles(t->data, mien_tensor_elems(t));
    mien_weights_close(&w);
    return d;
}

typedef struct Reference {
    double *weight[N_LAYERS], *bias[N_LAYERS];
    int c[N_LAYERS];
} Reference;

/* Content and style loss of a picture against the targets that the engine made. */
static double reference_loss(const Reference *r, const Target *t, const double *picture)
{
    Case k = { .n = 1, .h = CROP_H, .w = CROP_W, .c = 3, .kh = 3, .kw = 3, .sy = 1, .sx = 1, .dy = 1, .dx = 1, .groups = 1 };
    size_t most = (size_t)CROP_H * CROP_W * 100;
    double *x = malloc(most * sizeof(*x)), *y = malloc(most * sizeof(*y)), *mag = malloc(most * sizeof(*mag)), j = 0;
    for (int i = 0; i < CROP_H * CROP_W * 3; i++)
        x[i] = (picture[i] - 0.45) * 4;
    for (int i = 0, style = 0; i < N_LAYERS; i++) {
        if (i == 2 || i == 4 || i == 6) {
            Case p = { .n = 1, .h = k.h, .w = k.w, .c = k.c, .kh = 2, .kw = 2, .sy = 2, .sx = 2, .oh = k.h / 2, .ow = k.w / 2 };
            ref_avgpool(&p, x, NULL, y, mag);
            memcpy(x, y, (size_t)(p.oh * p.ow * p.c) * sizeof(*x));
            k.h = p.oh, k.w = p.ow;
        }
        k.oh = k.h, k.ow = k.w, k.oc = r->c[i];
        k.pt = k.pl = k.pb = k.pr = 1;
        k.weight = r->weight[i], k.bias = r->bias[i];
        snprintf(k.act, sizeof(k.act), "relu");
        ref_conv(&k, x, NULL, y, mag);
        k.c = k.oc;
        int n_px = k.h * k.w, c = k.c;
        memcpy(x, y, (size_t)(n_px * c) * sizeof(*x));
        if (i % 2)
            continue;
        double diff = 0, size = 0;
        for (int a = 0; a < c; a++)
            for (int b = 0; b < c; b++) {
                double g = 0, want = (double)t->gram[style][a * c + b];
                for (int p = 0; p < n_px; p++)
                    g += x[p * c + a] * x[p * c + b] / n_px;
                diff += (g - want) * (g - want);
                size += want * want;
            }
        j += STYLE_WEIGHT / N_STYLE * diff / size;
        diff = size = 0;
        for (int p = 0; style == CONTENT && p < n_px * c; p++) {
            double want = (double)t->content[p];
            diff += (x[p] - want) * (x[p] - want);
            size += want * want;
        }
        j += style == CONTENT ? diff / size : 0;
        style++;
    }
    free(x), free(y), free(mag);
    return j;
}

/* A step of 1e-6 may take some relus of the network across 0; each counts in proportion to the step. */
static void as_finite_differences(void **state)
{
    (void)state;
    float crop[2][CROP_H * CROP_W * 3];
    const char *const name[2] = { "image", "content" };
    for (int i = 0; i < 2; i++)
        for (int y = 0; y < CROP_H; y++)
            memcpy(crop[i] + y * CROP_W * 3, (const float *)tensor(name[i])->data + y * tensor(name[i])->dim[1] * 3,
                   CROP_W * 3 * sizeof(float));
    MienTensor content = { .dim = { CROP_H, CROP_W, 3 }, .n_dims = 3, .data = crop[1] };
    Target t = make_target(&content, tensor("style"), MIEN_CPU_AUTO);
    MienNet *net = make_net(CROP_H, CROP_W, MIEN_CPU_AUTO, MIEN_NET_GRAD_INPUT, (MienExec){ 0 });
    Reference r;
    for (int i = 0; i < N_LAYERS; i++) {
        int64_t c;
        r.weight[i] = weights_of(i, "weight", &c);
        r.bias[i] = weights_of(i, "bias", &c);
        r.c[i] = (int)c;
    }
    double loss[2], *x = doubles(crop[0], CROP_H * CROP_W * 3), *v = doubles(crop[0], CROP_H * CROP_W * 3), at_step[2];
    step(net, &t, crop[0], MIEN_CPU_AUTO, loss);
    double j = reference_loss(&r, &t, x);
    assert_true(fabs(loss[0] + STYLE_WEIGHT * loss[1] - j) < 1e-5 * j);
    const float *g = mien_net_input_grad(net, NULL);
    for (int d = 0; d < 3; d++) {
        double along = 0, mag = 0;
        for (int i = 0; i < CROP_H * CROP_W * 3; i++) {
            v[i] = (double)rng_float();
            along += (double)g[i] * v[i];
            mag += fabs((double)g[i] * v[i]);
        }
        for (int side = 0; side < 2; side++) {
            for (int i = 0; i < CROP_H * CROP_W * 3; i++)
                x[i] = (double)crop[0][i] + (side ? -1e-6 : 1e-6) * v[i];
            at_step[side] = reference_loss(&r, &t, x);
        }
        double quotient = (at_step[0] - at_step[1]) / 2e-6;
        printf("direction %d: derivative %.9g, by finite differences %.9g; error %.2g of sum |g·v|\n", d, along, quotient,
               fabs(along - quotient) / mag);
        assert_true(fabs(along - quotient) <= 1e-5 * mag);
    }
    for (int i = 0; i < N_LAYERS; i++)
        free(r.weight[i]), free(r.bias[i]);
    free(x), free(v);
    mien_net_destroy(&net);
    free_target(&t);
}

int main(void)
{
    to_stderr = mien_log_stderr("test_gradient", MIEN_LOG_WARN);
    if (mien_model_open(&model, "core/models/stylenet.safetensors", to_stderr) < 0 ||
        mien_weights_open(&vectors, "tests/data/parity-stylenet.safetensors", to_stderr) < 0 ||
        mien_pool_create(&pool, 3, to_stderr) < 0)
        return 1;
    const struct CMUnitTest tests[] = { cmocka_unit_test(as_pytorch), cmocka_unit_test(as_finite_differences) };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    mien_pool_destroy(&pool);
    mien_model_unref(&model);
    mien_weights_close(&vectors);
    return ret;
}
