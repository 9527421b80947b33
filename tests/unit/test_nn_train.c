/* Models to be trained: copies whose weights change, files made of them, gradients of chosen nodes alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "mien/error.h"
#include "nn_build.h"

/* x 6x6x2 → conv 3→relu → conv → fc 4 → l2norm */
static MienModel *make_model(void)
{
    static const int conv1[] = { 3, 3, 2, 5 }, conv2[] = { 1, 1, 5, 3 }, fc[] = { 6 * 6 * 3, 4 };
    NnBuild b = { .meta = { { "mien.license", "none" } }, .n_meta = 1 };
    MienModel *m;
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":6,\"w\":6,\"c\":2}],\"nodes\":["
               "{\"op\":\"conv2d\",\"name\":\"first\",\"in\":[\"x\"],\"out\":\"a\",\"kernel\":[3,3],\"pad\":[1,1,1,1],\"cout\":5,\"act\":\"relu\"},"
               "{\"op\":\"conv2d\",\"name\":\"second\",\"in\":[\"a\"],\"out\":\"b\",\"kernel\":[1,1],\"cout\":3,\"act\":\"prelu\"},"
               "{\"op\":\"fc\",\"name\":\"last\",\"in\":[\"b\"],\"out\":\"c\",\"cout\":4},"
               "{\"op\":\"l2norm\",\"name\":\"norm\",\"in\":[\"c\"],\"out\":\"y\"}],\"outputs\":[\"y\"]}");
    nn_tensor(&b, "first.weight", 4, conv1, 0.5f, 0);
    nn_vector(&b, "first.bias", 5, 0.1f, 0);
    nn_tensor(&b, "second.weight", 4, conv2, 0.5f, 0);
    nn_vector(&b, "second.bias", 3, 0.1f, 0);
    nn_vector(&b, "second.slope", 3, 0.1f, 0.2f);
    nn_tensor(&b, "last.weight", 2, fc, 0.2f, 0);
    nn_vector(&b, "last.bias", 4, 0.1f, 0);
    assert_int_equal(nn_model(&b, &m, mien_log_stderr("test_nn_train", MIEN_LOG_WARN)), 0);
    nn_free(&b);
    return m;
}

static MienNet *make_net(MienModel *m, unsigned grad, const char *const *train, int n_train)
{
    MienNetParams p = MIEN_NET_DEFAULTS;
    MienNet *net;
    p.n = 3;
    p.grad = grad;
    p.train = train;
    p.n_train = n_train;
    assert_int_equal(mien_net_create(&net, m, &p), 0);
    return net;
}

static void run(MienNet *net, float out[12])
{
    MienShape s;
    float *x = mien_net_input(net, &s);
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        x[i] = sinf((float)(i * i % 97));
    mien_net_run(net);
    memcpy(out, mien_net_output(net, 0, NULL), 12 * sizeof(float));
}

static void a_copy_changes_alone(void **state)
{
    (void)state;
    MienModel *m = make_model(), *copy;
    float before[12], after[12], changed[12];
    size_t n;
    assert_int_equal(mien_model_copy(&copy, m, (MienLog){ 0 }), 0);
    assert_string_equal(mien_model_hash(copy), mien_model_hash(m));
    assert_string_equal(mien_model_node_name(copy, 2), "last");
    assert_null(mien_model_node_name(copy, 4));
    assert_int_equal(mien_model_node_params(copy, 1), 5 * 3 + 3 + 3);
    assert_int_equal(mien_model_node_params(copy, 3) + mien_model_node_params(copy, 4), 0);
    assert_null(mien_model_weight(m, "last.bias", &n));
    assert_null(mien_model_weight(copy, "last.slope", &n));
    MienNet *a = make_net(m, 0, NULL, 0), *b = make_net(copy, 0, NULL, 0);
    run(a, before);
    run(b, after);
    assert_memory_equal(before, after, sizeof(before));
    float *w = mien_model_weight(copy, "last.bias", &n);
    assert_int_equal(n, 4);
    w[1] += 3;
    run(b, changed);
    assert_memory_not_equal(before, changed, sizeof(before));
    run(a, after);
    assert_memory_equal(before, after, sizeof(before));

    /* as a file: what it is now, under another name, with all else that the model said */
    const MienMeta meta[] = { { "mien.name", "trained" }, { "mien.parent", mien_model_hash(m) } };
    uint8_t *data;
    size_t bytes;
    MienModel *back;
    assert_int_equal(mien_model_pack(copy, meta, 2, &data, &bytes, (MienLog){ 0 }), 0);
    assert_int_equal(mieni_model_parse(&back, data, bytes, "back", (MienLog){ 0 }), 0);
    mien_free(data);
    assert_string_equal(mien_model_meta(back, "name"), "trained");
    assert_string_equal(mien_model_meta(back, "parent"), mien_model_hash(m));
    assert_string_equal(mien_model_meta(back, "license"), "none");
    assert_string_not_equal(mien_model_hash(back), mien_model_hash(m));
    MienNet *c = make_net(back, 0, NULL, 0);
    run(c, after);
    assert_memory_equal(changed, after, sizeof(after));
    mien_net_destroy(&a);
    mien_net_destroy(&b);
    mien_net_destroy(&c);
    mien_model_unref(&back);
    mien_model_unref(&copy);
    mien_model_unref(&m);
}

/* The gradient of a chosen node is that of a net that computes all; what lies below it is left out. */
static void chosen_nodes_alone(void **state)
{
    (void)state;
    static const char *const all[] = { "first", "second", "last" }, *const wrong[] = { "last", "lost" };
    MienModel *m = make_model();
    MienNet *full = make_net(m, MIEN_NET_GRAD_WEIGHTS, NULL, 0);
    float out[12];
    for (int first = 0; first < 3; first++) {
        MienNet *part = make_net(m, MIEN_NET_GRAD_WEIGHTS, all + first, 3 - first);
        MienNet *const net[] = { full, part };
        for (int k = 0; k < 2; k++) {
            run(net[k], out);
            float *g = mien_net_output_grad(net[k], 0, NULL);
            for (int i = 0; i < 12; i++)
                g[i] = (float)(i % 5) - 1.5f;
            assert_int_equal(mien_net_backward(net[k]), 0);
        }
        assert_int_equal(mien_net_n_weight_grads(part), first == 0 ? 7 : first == 1 ? 5 : 2);
        for (int i = 0; i < mien_net_n_weight_grads(part); i++) {
            const char *name;
            size_t n;
            const float *g = mien_net_weight_grad_at(part, i, &name, &n);
            assert_memory_equal(g, mien_net_weight_grad(full, name, NULL), n * sizeof(float));
        }
        assert_true(mien_net_memory_bytes(part) <= mien_net_memory_bytes(full));
        mien_net_destroy(&part);
    }
    MienNetParams p = MIEN_NET_DEFAULTS;
    MienNet *net;
    p.grad = MIEN_NET_GRAD_WEIGHTS;
    p.train = wrong;
    p.n_train = 2;
    assert_int_equal(mien_net_create(&net, m, &p), MIEN_E_NOTFOUND);
    mien_net_destroy(&full);
    mien_model_unref(&m);
}

static void out_of_memory(void **state)
{
    (void)state;
    MienModel *m = make_model(), *copy;
    int ret = -1;
    for (uint64_t n = 1; ret < 0; n++) {
        uint64_t live = mien_mem_live_bytes();
        mien_mem_fail_at(n, 0);
        ret = mien_model_copy(&copy, m, (MienLog){ 0 });
        mien_mem_fail_at(0, 0);
        if (ret < 0) {
            assert_int_equal(ret, MIEN_ERR(ENOMEM));
            assert_null(copy);
            assert_int_equal(mien_mem_live_bytes(), live);
        }
    }
    mien_model_unref(&copy);
    mien_model_unref(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_changes_alone), cmocka_unit_test(chosen_nodes_alone), cmocka_unit_test(out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
