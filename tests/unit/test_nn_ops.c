/* nn: every op against a naive reference in double precision written here, on random shapes, at every CPU level.
 *
 * Error is measured against what single precision can lose: |y - y'| <= bound · (sum |a·b| + |y'|). The seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "mien/error.h"
#include "nn_ref.h"

#define BOUND 1e-5

static MienLog to_stderr;
static double worst;

/* Runs the case through the engine at one level and compares. second: JSON of nodes that make activation "b" from x, or "". */
static void run_at(Case *k, RefFn ref, const char *op, const char *second, MienCpu cpu)
{
    size_t n_in = (size_t)k->n * (size_t)k->h * (size_t)k->w * (size_t)k->c;
    size_t n_out = (size_t)k->n * (size_t)k->oh * (size_t)k->ow * (size_t)k->oc;
    size_t n_b = (size_t)k->n * (size_t)k->h2 * (size_t)k->w2 * (size_t)k->c2;
    k->b.at = 0;
    nn_put(&k->b, "{\"inputs\":[{\"name\":\"x\",\"h\":%d,\"w\":%d,\"c\":%d}],\"nodes\":[%s", k->h, k->w, k->c, second);
    nn_put(&k->b, "{\"op\":\"%s\",\"name\":\"t\",\"in\":[\"x\"%s],\"out\":\"y\"%s", op, *second ? ",\"b\"" : "", k->attrs);
    if (*k->act && strcmp(op, k->act))
        nn_put(&k->b, ",\"act\":\"%s\"", k->act);
    nn_put(&k->b, "}],\"outputs\":[\"y\"%s]}", *second ? ",\"b\"" : "");

    MienModel *model;
    MienNet *net;
    MienNetParams params = MIEN_NET_DEFAULTS;
    params.n = k->n;
    params.cpu = cpu;
    params.log = to_stderr;
    assert_int_equal(nn_model(&k->b, &model, to_stderr), 0);
    assert_int_equal(mien_net_create(&net, model, &params), 0);
    MienShape si, so;
    float *x = mien_net_input(net, &si);
    assert_int_equal(mien_shape_elems(si), n_in);
    double *xd = malloc(n_in * sizeof(*xd)), *yd = malloc(n_out * sizeof(*yd)), *mag = malloc(n_out * sizeof(*mag));
    double *bd = malloc((n_b + 1) * sizeof(*bd));
    for (size_t i = 0; i < n_in; i++)
        xd[i] = x[i] = rng_float() * 2;
    assert_int_equal(mien_net_run(net), 0);
    if (*second) {
        const float *b = mien_net_output_named(net, "b", &so);
        assert_int_equal(mien_shape_elems(so), n_b);
        for (size_t i = 0; i < n_b; i++)
            bd[i] = b[i];
    }
    const float *y = mien_net_output(net, 0, &so);
    if (so.n != k->n || so.h != k->oh || so.w != k->ow || so.c != k->oc)
        fail_msg("%s %s: %dx%dx%dx%d instead of %dx%dx%dx%d", op, k->attrs, so.n, so.h, so.w, so.c, k->n, k->oh, k->ow, k->oc);
    ref(k, xd, bd, yd, mag);
    for (size_t i = 0; i < n_out; i++) {
        double err = fabs(y[i] - yd[i]) / (mag[i] + fabs(yd[i]) + 1e-30);
        worst = err > worst ? err : worst;
        if (!(err <= BOUND))
            fail_msg("%s %s, input %dx%dx%dx%d, level %s: element %zu is %.9g, should be %.9g", op, k->attrs, k->n, k->h, k->w,
                     k->c, mien_cpu_name(cpu), i, y[i], yd[i]);
    }
    free(xd), free(yd), free(mag), free(bd);
    mien_net_destroy(&net);
    mien_model_unref(&model);
}

static void run(Case *k, RefFn ref, const char *op, const char *second)
{
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++)
        run_at(k, ref, op, second, cpu);
}

static void conv_case(Case *k)
{
    make_conv(k);
    run(k, ref_conv, "conv2d", "");
    case_free(k);
}

static void conv_of_any_kind(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        Case *k = new_case(14, 12);
        random_window(k, 3);
        int cin_g = k->c;
        k->groups = rng_int(0, 1) ? 1 : rng_int(1, 6);
        k->c = cin_g * k->groups;
        k->oc = k->groups * rng_int(1, 20);
        conv_case(k);
    }
}

static void conv_depthwise(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        Case *k = new_case(20, 80);
        random_window(k, 2);
        k->groups = k->oc = k->c;
        conv_case(k);
    }
}

static void conv_1x1(void **state)
{
    static const int channels[] = { 1, 3, 13, 16, 26, 52, 64, 77, 103, 128, 231, 308 };
    (void)state;
    for (int i = 0; i < 60; i++) {
        Case *k = new_case(30, 1);
        k->kh = k->kw = k->sy = k->sx = k->dy = k->dx = 1;
        k->c = channels[rng_int(0, 11)];
        k->oc = channels[rng_int(0, 11)];
        conv_case(k);
    }
}

/* Sizes at which the work is cut into several tiles. */
static void conv_large(void **state)
{
    static const struct {
        int h, w, c, oc, kernel, stride, pad, dil;
    } rows[] = {
        { 61, 83, 3, 19, 3, 2, 1, 1 },    /* first layer of a detector */
        { 60, 80, 20, 33, 3, 1, 2, 2 },   /* dilated */
        { 50, 41, 64, 70, 1, 1, 0, 1 },   /* product of the picture itself, several tiles */
        { 7, 7, 310, 520, 1, 1, 0, 1 },   /* cut along channels */
        { 35, 35, 40, 32, 3, 1, 1, 1 },   /* residual block */
        { 9, 9, 200, 64, 7, 1, 0, 1 },    /* long sums */
        { 30, 90, 20, 33, 3, 1, 1, 1 },   /* rows long enough to be used as they lie: */
        { 21, 150, 17, 9, 3, 2, 1, 1 },   /* every other window */
        { 7, 80, 12, 20, 5, 1, 6, 1 },    /* windows in the padding alone */
    };
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(rows); i++) {
        Case *k = new_case(1, 1);
        k->n = i == 4 ? 2 : 1;
        k->h = rows[i].h, k->w = rows[i].w, k->c = rows[i].c, k->oc = rows[i].oc;
        k->kh = k->kw = rows[i].kernel;
        k->sy = k->sx = rows[i].stride;
        k->pt = k->pl = k->pb = k->pr = rows[i].pad;
        k->dy = k->dx = rows[i].dil;
        conv_case(k);
    }
    for (int i = 0; i < 3; i++) { /* depthwise: several tiles of rows; the whole picture as the window */
        Case *k = new_case(1, 1);
        k->h = i == 2 ? 7 : 57, k->w = i == 2 ? 7 : 45;
        k->c = k->oc = k->groups = i == 2 ? 512 : 103;
        k->kh = k->kw = i == 2 ? 7 : 3;
        k->sy = k->sx = i == 1 ? 2 : 1;
        k->dy = k->dx = 1;
        k->pt = k->pl = k->pb = k->pr = i < 2;
        conv_case(k);
    }
}

static void fc(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        Case *k = new_case(5, 40);
        k->n = rng_int(1, 20);
        k->oc = rng_int(1, 300);
        int dims[] = { k->h * k->w * k->c, k->oc };
        k->oh = k->ow = 1;
        k->weight = case_tensor(k, "t.weight", 2, dims);
        int bias = rng_int(0, 1);
        if (bias)
            k->bias = case_vector(k, "t.bias", k->oc);
        random_act(k);
        snprintf(k->attrs, sizeof(k->attrs), ",\"cout\":%d%s", k->oc, bias ? "" : ",\"bias\":false");
        run(k, ref_fc, "fc", "");
        case_free(k);
    }
}

static void elementwise(void **state)
{
    static const char *const op[] = { "affine", "relu", "sigmoid", "prelu" };
    (void)state;
    for (int i = 0; i < 120; i++) {
        Case *k = new_case(i < 100 ? 9 : 40, i < 100 ? 100 : 150);
        if (i % 4 == 0) {
            k->scale = case_vector(k, "t.scale", k->c);
            k->bias = case_vector(k, "t.bias", k->c);
            random_act(k);
        } else {
            snprintf(k->act, sizeof(k->act), "%s", op[i % 4]);
            if (i % 4 == 3)
                k->slope = case_vector(k, "t.slope", k->c);
        }
        run(k, ref_elementwise, op[i % 4], "");
        case_free(k);
    }
}

static void add(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        Case *k = new_case(i < 50 ? 9 : 30, 100);
        k->h2 = k->h, k->w2 = k->w, k->c2 = k->c;
        k->alpha = 1, k->beta = 1;
        random_act(k);
        nn_vector(&k->b, "s.scale", k->c, 1, 0);
        nn_vector(&k->b, "s.bias", k->c, 1, 0);
        if (i % 2) {
            k->alpha = rng_int(-8, 8) / 4.0f, k->beta = rng_int(-8, 8) / 4.0f;
            snprintf(k->attrs, sizeof(k->attrs), ",\"alpha\":%g,\"beta\":%g", (double)k->alpha, (double)k->beta);
        }
        run(k, ref_add, "add", "{\"op\":\"affine\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\"},");
        case_free(k);
    }
}

static void mul(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        Case *k = new_case(12, 100);
        if (i % 2) {
            k->h2 = k->h, k->w2 = k->w, k->c2 = k->c;
            run(k, ref_mul, "mul", "{\"op\":\"sigmoid\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\"},");
        } else {
            k->h2 = k->w2 = 1, k->c2 = k->c;
            run(k, ref_mul, "mul", "{\"op\":\"globalavg\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\"},");
        }
        case_free(k);
    }
}

static void concat(void **state)
{
    (void)state;
    for (int i = 0; i < 30; i++) {
        Case *k = new_case(20, 50);
        char second[128];
        int more = rng_int(0, 20);
        k->h2 = k->h, k->w2 = k->w, k->c2 = k->c + more;
        k->oc = k->c + k->c2;
        snprintf(second, sizeof(second), "{\"op\":\"pad\",\"name\":\"s\",\"in\":[\"x\"],\"out\":\"b\",\"channels\":%d},", more);
        run(k, ref_concat, "concat", second);
        case_free(k);
    }
}

static void pools(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        Case *k = new_case(16, 40);
        random_window(k, 1);
        k->oh = (k->h + k->pt + k->pb - k->kh) / k->sy + 1;
        k->ow = (k->w + k->pl + k->pr - k->kw) / k->sx + 1;
        snprintf(k->attrs, sizeof(k->attrs), ",\"kernel\":[%d,%d],\"stride\":[%d,%d],\"pad\":[%d,%d,%d,%d]", k->kh, k->kw, k->sy,
                 k->sx, k->pt, k->pl, k->pb, k->pr);
        run(k, i % 2 ? ref_maxpool : ref_avgpool, i % 2 ? "maxpool" : "avgpool", "");
        case_free(k);
    }
}

static void shapes(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        Case *k = new_case(20, 90);
        switch (i % 3) {
        case 0:
            k->oh = k->ow = 1;
            run(k, ref_globalavg, "globalavg", "");
            break;
        case 1:
            k->pt = rng_int(0, 3), k->pl = rng_int(0, 3), k->pb = rng_int(0, 3), k->pr = rng_int(0, 3);
            k->oc = k->c + (rng_int(0, 1) ? rng_int(1, 40) : 0);
            k->oh += k->pt + k->pb, k->ow += k->pl + k->pr;
            snprintf(k->attrs, sizeof(k->attrs), ",\"pad\":[%d,%d,%d,%d],\"channels\":%d", k->pt, k->pl, k->pb, k->pr,
                     k->oc - k->c);
            run(k, ref_pad, "pad", "");
            break;
        default:
            k->oh = k->h * k->w, k->ow = k->c, k->oc = 1;
            snprintf(k->attrs, sizeof(k->attrs), ",\"h\":-1,\"w\":%d,\"c\":1", k->c);
            run(k, ref_reshape, "reshape", "");
        }
        case_free(k);
    }
}

static void norms(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        Case *k = new_case(20, i < 20 ? 3 : 200);
        k->eps = 1e-12f;
        run(k, i % 2 ? ref_softmax : ref_l2norm, i % 2 ? "softmax" : "l2norm", "");
        case_free(k);
    }
}

int main(int argc, char **argv)
{
    rng_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 20261123;
    printf("seed %u (give another as the argument)\n", rng_state);
    to_stderr = mien_log_stderr("test_nn_ops", MIEN_LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conv_of_any_kind), cmocka_unit_test(conv_depthwise), cmocka_unit_test(conv_1x1),
        cmocka_unit_test(conv_large),       cmocka_unit_test(fc),             cmocka_unit_test(elementwise),
        cmocka_unit_test(add),              cmocka_unit_test(mul),            cmocka_unit_test(concat),
        cmocka_unit_test(pools),            cmocka_unit_test(shapes),         cmocka_unit_test(norms),
    };
    int ret = cmocka_run_group_tests(tests, NULL, NULL);
    printf("worst error: %.3g of sum |a·b|, %.0e is allowed\n", worst, BOUND);
    return ret;
}
