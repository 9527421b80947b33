/* nn/grad: every op's backward pass against central finite differences, in double precision and along random directions, of
 * the naive references in nn_ref.h; for the input and for each tensor of weights, on random shapes, at every CPU level.
 *
 * J = sum of r·y over an op's output y, r random. Kinks: where a relu, a prelu or a maximum is within KINK of changing its
 * mind, r is 0, so that no difference quotient straddles one. Error is measured against sum |g·v| over the direction v, and
 * what a sum of that many terms can lose. The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "mien/error.h"
#include "nn_ref.h"

#define BOUND 2e-5
#define KINK 1e-3
#define STEP 1e-6 /* of the difference quotients: far inside KINK, far above rounding */
#define DIRECTIONS 2

static MienLog to_stderr;
static double worst;
static MienPool *pool;

/* What makes the second input "b" from x: JSON, and its reference. */
typedef void (*SecondFn)(const Case *k, const double *x, double *b);
typedef struct Second {
    const char *json;
    SecondFn ref;
} Second;

typedef struct Problem {
    Case *k;
    RefFn ref;
    const char *op;
    Second second;
    size_t n_in, n_out, n_b;
    double *x, *b, *y, *mag, *ry, *rb; /* rb: the second input is an output, too, and counts in J */
} Problem;

static double *doubles(size_t n)
{
    return calloc(n + 1, sizeof(double));
}

static double loss(const Problem *p, const double *x)
{
    if (p->second.ref)
        p->second.ref(p->k, x, p->b);
    p->ref(p->k, x, p->b, p->y, p->mag);
    double j = 0;
    for (size_t i = 0; i < p->n_out; i++)
        j += p->ry[i] * p->y[i];
    for (size_t i = 0; i < p->n_b; i++)
        j += p->rb[i] * p->b[i];
    return j;
}

/* r = 0 where the output would be near a kink. */
static void leave_kinks(Problem *p)
{
    Case *k = p->k;
    if (!strcmp(k->act, "relu") || !strcmp(k->act, "prelu")) {
        char act[16];
        memcpy(act, k->act, sizeof(act));
        *k->act = 0;
        loss(p, p->x);
        memcpy(k->act, act, sizeof(act));
        for (size_t i = 0; i < p->n_out; i++)
            p->ry[i] = fabs(p->y[i]) < KINK ? 0 : p->ry[i];
    }
    if (strcmp(p->op, "maxpool"))
        return;
    for (int i = 0; i < k->n * k->oh * k->ow * k->c; i++) {
        int o = i % k->c, ox = i / k->c % k->ow, oy = i / k->c / k->ow % k->oh, n = i / k->c / k->ow / k->oh, near = -1;
        loss(p, p->x);
        for (int ky = 0; ky < k->kh; ky++)
            for (int kx = 0; kx < k->kw; kx++) {
                int iy = oy * k->sy - k->pt + ky, ix = ox * k->sx - k->pl + kx;
                if (iy >= 0 && ix >= 0 && iy < k->h && ix < k->w)
                    near += p->y[i] - p->x[at(n, iy, ix, o, k->h, k->w, k->c)] < KINK;
            }
        p->ry[i] = near ? 0 : p->ry[i];
    }
}

static MienNet *make_net(const Problem *p, MienModel *model, MienCpu cpu, int threads)
{
    MienNet *net;
    MienNetParams params = MIEN_NET_DEFAULTS;
    params.n = p->k->n;
    params.cpu = cpu;
    params.log = to_stderr;
    params.grad = MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS;
    if (threads)
        params.exec = mien_pool_exec(pool);
    assert_int_equal(mien_net_create(&net, model, &params), 0);
    return net;
}

static void put(float *to, const double *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (float)from[i];
}

static void forward_and_back(const Problem *p, MienNet *net)
{
    put(mien_net_input(net, NULL), p->x, p->n_in);
    assert_int_equal(mien_net_run(net), 0);
    put(mien_net_output_grad(net, 0, NULL), p->ry, p->n_out);
    if (p->n_b)
        put(mien_net_output_grad(net, 1, NULL), p->rb, p->n_b);
    assert_int_equal(mien_net_backward(net), 0);
}

static void same_bits(const Problem *p, MienNet *a, MienNet *b)
{
    assert_memory_equal(mien_net_input_grad(a, NULL), mien_net_input_grad(b, NULL), p->n_in * sizeof(float));
    assert_int_equal(mien_net_n_weight_grads(a), mien_net_n_weight_grads(b));
    for (int i = 0; i < mien_net_n_weight_grads(a); i++) {
        const char *name;
        size_t n;
        const float *g = mien_net_weight_grad_at(a, i, &name, &n);
        assert_memory_equal(g, mien_net_weight_grad(b, name, NULL), n * sizeof(float));
    }
}

enum { MAX_LEVELS = 8 };

/* The quotient along random directions of x (which is p->x or a tensor of the case) beside each level's gradient: of the tensor
 * name, or of the input for NULL. */
static void compare(const Problem *p, MienNet *const net[MAX_LEVELS], const char *name, double *x, size_t n)
{
    double *v = doubles(n), *x0 = doubles(n);
    memcpy(x0, x, n * sizeof(*x));
    for (int d = 0; d < DIRECTIONS; d++) {
        double side[2];
        for (size_t i = 0; i < n; i++)
            v[i] = rng_float();
        for (int s = 0; s < 2; s++) {
            for (size_t i = 0; i < n; i++)
                x[i] = x0[i] + (s ? -STEP : STEP) * v[i];
            side[s] = loss(p, p->x);
        }
        memcpy(x, x0, n * sizeof(*x));
        double quotient = (side[0] - side[1]) / (2 * STEP);
        for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
            const float *g = name ? mien_net_weight_grad(net[cpu], name, NULL) : mien_net_input_grad(net[cpu], NULL);
            double along = 0, mag = 0;
            assert_non_null(g);
            for (size_t i = 0; i < n; i++) {
                along += g[i] * v[i];
                mag += fabs(g[i] * v[i]);
            }
            double err = fabs(quotient - along) / (mag + 1);
            worst = err > worst ? err : worst;
            if (!(err <= BOUND))
                fail_msg("%s %s act '%s', input %dx%dx%dx%d, by %s, level %s: derivative %.9g, should be %.9g", p->op, p->k->attrs,
                         p->k->act, p->k->n, p->k->h, p->k->w, p->k->c, name ? name : "input", mien_cpu_name(cpu), along,
                         quotient);
        }
    }
    free(v), free(x0);
}

static void check(const Problem *p, MienModel *model)
{
    Case *k = p->k;
    MienNet *net[MAX_LEVELS] = { 0 }, *threaded;
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
        net[cpu] = make_net(p, model, cpu, 0);
        threaded = make_net(p, model, cpu, 1);
        forward_and_back(p, net[cpu]);
        forward_and_back(p, threaded);
        same_bits(p, net[cpu], threaded);
        forward_and_back(p, net[cpu]); /* a second pass must not see what the first one left */
        same_bits(p, net[cpu], threaded);
        mien_net_destroy(&threaded);
    }
    compare(p, net, NULL, p->x, p->n_in);
    if (k->weight)
        compare(p, net, "t.weight", k->weight, k->n_weight);
    if (k->bias)
        compare(p, net, "t.bias", k->bias, (size_t)k->oc);
    if (k->scale)
        compare(p, net, "t.scale", k->scale, (size_t)k->oc);
    if (k->slope)
        compare(p, net, "t.slope", k->slope, (size_t)k->oc);
    for (int i = 0; i < MAX_LEVELS; i++)
        mien_net_destroy(&net[i]);
}

/* The whole check of a case, which is freed. */
static void run(Case *k, RefFn ref, const char *op, Second second)
{
    Problem p = { .k = k, .ref = ref, .op = op, .second = second };
    p.n_in = (size_t)k->n * (size_t)k->h * (size_t)k->w * (size_t)k->c;
    p.n_out = (size_t)k->n * (size_t)k->oh * (size_t)k->ow * (size_t)k->oc;
    p.n_b = (size_t)k->n * (size_t)k->h2 * (size_t)k->w2 * (size_t)k->c2;
    p.x = doubles(p.n_in), p.b = doubles(p.n_b), p.y = doubles(p.n_out), p.mag = doubles(p.n_out);
    p.ry = doubles(p.n_out), p.rb = doubles(p.n_b);
    for (size_t i = 0; i < p.n_in; i++)
        p.x[i] = 2 * rng_float();
    for (size_t i = 0; i < p.n_out; i++)
        p.ry[i] = rng_float();
    for (size_t i = 0; i < p.n_b; i++)
        p.rb[i] = rng_float();
    leave_kinks(&p);

    const char *json = second.json ? second.json : "";
    k->b.at = 0;
    nn_put(&k->b, "{\"inputs\":[{\"name\":\"x\",\"h\":%d,\"w\":%d,\"c\":%d}],\"nodes\":[%s", k->h, k->w, k->c, json);
    nn_put(&k->b, "{\"op\":\"%s\",\"name\":\"t\",\"in\":[\"x\"%s],\"out\":\"y\"%s", op, *json ? ",\"b\"" : "", k->attrs);
    if (*k->act && strcmp(op, k->act))
        nn_put(&k->b, ",\"act\":\"%s\"", k->act);
    nn_put(&k->b, "}],\"outputs\":[\"y\"%s]}", *json ? ",\"b\"" : "");
    MienModel *model;
    assert_int_equal(nn_model(&k->b, &model, to_stderr), 0);
    check(&p, model);
    mien_model_unref(&model);
    free(p.x), free(p.b), free(p.y), free(p.mag), free(p.ry), free(p.rb);
    case_free(k);
}

static const Second alone = { 0 };

static void conv_case(Case *k)
{
    make_conv(k);
    run(k, ref_conv, "conv2d", alone);
}

static void conv_of_any_kind(void **state)
{
    (void)state;
    for (int i = 0; i < 120; i++) {
        Case *k = new_case(14, 8);
        random_window(k, 3);
        k->groups = rng_int(0, 1) ? 1 : rng_int(1, 5);
        k->c *= k->groups;
        k->oc = k->groups * rng_int(1, 16);
        conv_case(k);
    }
}

static void conv_depthwise(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        Case *k = new_case(16, 40);
        random_window(k, 3);
        k->groups = k->oc = k->c;
        conv_case(k);
    }
}

/* What feature networks are made of, and sizes at which the work is cut into several tiles, parts and phases. */
static void conv_large(void **state)
{
    static const struct {
        int n, h, w, c, oc, kernel, stride, pad, dil;
    } rows[] = {
        { 1, 61, 83, 3, 16, 3, 1, 1, 1 },  /* first layer */
        { 2, 45, 37, 32, 46, 3, 1, 1, 1 }, /* several tiles and parts */
        { 1, 60, 80, 20, 33, 3, 1, 2, 2 }, /* dilated */
        { 1, 50, 41, 64, 70, 1, 1, 0, 1 }, /* product of the picture itself */
        { 3, 7, 7, 310, 520, 1, 1, 0, 1 }, /* cut along channels */
        { 2, 41, 57, 24, 40, 3, 2, 1, 1 }, /* four phases */
        { 1, 40, 40, 16, 24, 1, 2, 0, 1 }, /* phases without taps */
        { 1, 33, 47, 8, 12, 7, 2, 3, 1 },
        { 1, 33, 31, 8, 12, 2, 3, 0, 1 },  /* pixels that no window sees */
        { 1, 12, 9, 70, 64, 7, 1, 5, 1 },
        { 1, 5, 3, 4, 6, 3, 9, 4, 1 },     /* a stride beyond the picture */
        { 1, 20, 90, 20, 33, 3, 1, 1, 1 }, /* rows long enough to be used as they lie */
        { 1, 7, 80, 12, 20, 5, 1, 6, 1 },  /* windows in the padding alone */
        { 1, 9, 150, 17, 19, 3, 2, 1, 1 },
    };
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        Case *k = new_case(1, 1);
        k->n = rows[i].n, k->h = rows[i].h, k->w = rows[i].w, k->c = rows[i].c, k->oc = rows[i].oc;
        k->kh = k->kw = rows[i].kernel;
        k->sy = k->sx = rows[i].stride;
        k->pt = k->pl = k->pb = k->pr = rows[i].pad;
        k->dy = k->dx = rows[i].dil;
        conv_case(k);
    }
}

static void fc(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        Case *k = new_case(5, 30);
        k->n = rng_int(1, 9);
        k->oc = rng_int(1, 200);
        int dims[] = { k->h * k->w * k->c, k->oc };
        k->oh = k->ow = 1;
        k->weight = case_tensor(k, "t.weight", 2, dims);
        int bias = rng_int(0, 1);
        if (bias)
            k->bias = case_vector(k, "t.bias", k->oc);
        random_act(k);
        snprintf(k->attrs, sizeof(k->attrs), ",\"cout\":%d%s", k->oc, bias ? "" : ",\"bias\":false");
        run(k, ref_fc, "fc", alone);
    }
}

static void elementwise(void **state)
{
    static const char *const op[] = { "affine", "relu", "sigmoid", "prelu" };
    (void)state;
    for (int i = 0; i < 80; i++) {
        Case *k = new_case(i < 70 ? 9 : 30, i < 70 ? 60 : 150);
        if (i % 4 == 0) {
            k->scale = case_vector(k, "t.scale", k->c);
            k->bias = case_vector(k, "t.bias", k->c);
            random_act(k);
        } else {
            snprintf(k->act, sizeof(k->act), "%s", op[i % 4]);
            if (i % 4 == 3)
                k->slope = case_vector(k, "t.slope", k->c);
        }
        run(k, ref_elementwise, op[i % 4], alone);
    }
}

/* ---- two inputs: b = sigmoid(x), mean over the picture, or x with channels of zeros behind */

static void second_sigmoid(const Case *k, const double *x, double *b)
{
    for (int i = 0; i < k->n * k->h * k->w * k->c; i++)
        b[i] = 1 / (1 + exp(-x[i]));
}

static void second_mean(const Case *k, const double *x, double *b)
{
    int px = k->h * k->w;
    for (int i = 0; i < k->n * k->c; i++) {
        b[i] = 0;
        for (int p = 0; p < px; p++)
            b[i] += x[(i / k->c * px + p) * k->c + i % k->c] / px;
    }
}

static void second_pad(const Case *k, const double *x, double *b)
{
    for (int i = 0; i < k->n * k->h * k->w * k->c2; i++)
        b[i] = i % k->c2 < k->c ? x[i / k->c2 * k->c + i % k->c2] : 0;
}

static const Second by_sigmoid = { "{\"op\":\"sigmoid\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\"},", second_sigmoid };
static const Second by_mean = { "{\"op\":\"globalavg\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\"},", second_mean };

static void add_and_mul(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        Case *k = new_case(i < 50 ? 9 : 30, 60);
        k->h2 = k->h, k->w2 = k->w, k->c2 = k->c;
        k->alpha = rng_int(-8, 8) / 4.0f, k->beta = rng_int(-8, 8) / 4.0f;
        switch (i % 3) {
        case 0:
            random_act(k);
            snprintf(k->attrs, sizeof(k->attrs), ",\"alpha\":%g,\"beta\":%g", (double)k->alpha, (double)k->beta);
            run(k, ref_add, "add", by_sigmoid);
            break;
        case 1:
            run(k, ref_mul, "mul", by_sigmoid);
            break;
        default:
            k->h2 = k->w2 = 1;
            run(k, ref_mul, "mul", by_mean);
        }
    }
}

static void concat(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        Case *k = new_case(12, 30);
        char second[128];
        int more = rng_int(0, 20);
        k->h2 = k->h, k->w2 = k->w, k->c2 = k->c + more;
        k->oc = k->c + k->c2;
        snprintf(second, sizeof(second), "{\"op\":\"pad\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\",\"channels\":%d},", more);
        run(k, ref_concat, "concat", (Second){ second, second_pad });
    }
}

static void pools(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        Case *k = new_case(i < 70 ? 12 : 40, 40);
        random_window(k, 1);
        if (i % 4 == 3)
            k->kh = k->kw = k->sy = k->sx = 2, k->pt = k->pl = k->pb = k->pr = 0, k->h += 2, k->w += 2;
        k->oh = (k->h + k->pt + k->pb - k->kh) / k->sy + 1;
        k->ow = (k->w + k->pl + k->pr - k->kw) / k->sx + 1;
        snprintf(k->attrs, sizeof(k->attrs), ",\"kernel\":[%d,%d],\"stride\":[%d,%d],\"pad\":[%d,%d,%d,%d]", k->kh, k->kw, k->sy,
                 k->sx, k->pt, k->pl, k->pb, k->pr);
        run(k, i / 4 % 2 ? ref_maxpool : ref_avgpool, i / 4 % 2 ? "maxpool" : "avgpool", alone);
    }
}

static void shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 45; i++) {
        Case *k = new_case(14, 40);
        switch (i % 3) {
        case 0:
            k->oh = k->ow = 1;
            run(k, ref_globalavg, "globalavg", alone);
            break;
        case 1:
            k->pt = rng_int(0, 3), k->pl = rng_int(0, 3), k->pb = rng_int(0, 3), k->pr = rng_int(0, 3);
            k->oc = k->c + (rng_int(0, 1) ? rng_int(1, 40) : 0);
            k->oh += k->pt + k->pb, k->ow += k->pl + k->pr;
            snprintf(k->attrs, sizeof(k->attrs), ",\"pad\":[%d,%d,%d,%d],\"channels\":%d", k->pt, k->pl, k->pb, k->pr,
                     k->oc - k->c);
            run(k, ref_pad, "pad", alone);
            break;
        default:
            k->oh = k->h * k->w, k->ow = k->c, k->oc = 1;
            snprintf(k->attrs, sizeof(k->attrs), ",\"h\":-1,\"w\":%d,\"c\":1", k->c);
            run(k, ref_reshape, "reshape", alone);
        }
    }
}

/* Every third l2norm has an eps above the norms: then it is a factor. */
static void norms(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        Case *k = new_case(12, i < 20 ? 3 : 100);
        k->eps = i % 3 ? 1e-12f : 1000;
        if (i % 2 == 0)
            snprintf(k->attrs, sizeof(k->attrs), ",\"eps\":%g", (double)k->eps);
        run(k, i % 2 ? ref_softmax : ref_l2norm, i % 2 ? "softmax" : "l2norm", alone);
    }
}

int main(int argc, char **argv)
{
    rng_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 20261124;
    printf("seed %u (give another as the argument)\n", rng_state);
    to_stderr = mien_log_stderr("test_nn_grad", MIEN_LOG_WARN);
    if (mien_pool_create(&pool, 3, to_stderr) < 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_of_any_kind), cmocka_unit_test(conv_depthwise), cmocka_unit_test(conv_large),
        cmocka_unit_test(fc),               cmocka_unit_test(elementwise),    cmocka_unit_test(add_and_mul),
        cmocka_unit_test(concat),           cmocka_unit_test(pools),          cmocka_unit_test(shapes),
        cmocka_unit_test(norms),
    };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    printf("worst error: %.3g of sum |g·v|, %.0e is allowed\n", worst, BOUND);
    mien_pool_destroy(&pool);
    return ret;
}
