/* nn/net, nn/plan: memory that buffers share, runs that don't depend on threads, batches or memory reuse, and a run that
 * allocates nothing and leaves the caller's floating-point state alone. Networks are random graphs; the seed is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fenv.h>

#include "kernels/fpenv.h"
#include "mien/error.h"
#include "nn_build.h"

static MienLog to_stderr;

/* No two buffers alive at one step overlap; all lie in the block and are aligned; the block is no larger than their sum and
 * no smaller than any step needs. */
static void plans_without_overlap(void **state)
{
    (void)state;
    for (int round = 0; round < 300; round++) {
        int n = rng_int(1, 60), n_steps = rng_int(1, 40);
        MieniBuf buf[60];
        size_t total, sum = 0;
        for (int i = 0; i < n; i++) {
            int a = rng_int(-1, n_steps), b = rng_int(-1, n_steps);
            buf[i] = (MieniBuf){ (size_t)rng_int(0, 5000), a < b ? a : b, a < b ? b : a, 12345 };
        }
        assert_int_equal(mieni_plan_place(buf, n, &total), 0);
        for (int i = 0; i < n; i++) {
            sum += buf[i].bytes;
            assert_int_equal(buf[i].offset % 64, 0);
            assert_true(buf[i].offset + buf[i].bytes <= total);
            for (int k = 0; k < i; k++) {
                int together = buf[i].first <= buf[k].last && buf[k].first <= buf[i].last;
                int apart = buf[i].offset + buf[i].bytes <= buf[k].offset || buf[k].offset + buf[k].bytes <= buf[i].offset;
                assert_true(!together || apart);
            }
        }
        size_t most = 0;
        for (int t = -1; t <= n_steps; t++) {
            size_t now = 0;
            for (int i = 0; i < n; i++)
                now += buf[i].first <= t && t <= buf[i].last ? buf[i].bytes : 0;
            most = now > most ? now : most;
        }
        assert_true(total >= most && total <= sum);
    }
    size_t total;
    MieniBuf chain[100]; /* each lives with its neighbours only: three at a time are enough, whatever their number */
    for (int i = 0; i < 100; i++)
        chain[i] = (MieniBuf){ 6400, i, i + 1, 0 };
    assert_int_equal(mieni_plan_place(chain, 100, &total), 0);
    assert_int_equal(total, 2 * 6400);
    MieniBuf huge[] = { { SIZE_MAX - 100, 0, 1, 0 }, { 64, 0, 1, 0 } };
    assert_int_equal(mieni_plan_place(huge, 2, &total), MIEN_ERR(ENOMEM));
}

/* ---- random graphs */

#define MAX_ACTS 40

typedef struct RandomNet {
    NnBuild b;
    int n_acts, h[MAX_ACTS], w[MAX_ACTS], c[MAX_ACTS];
    char nodes[32768];
    size_t at;
} RandomNet;

static void node(RandomNet *r, const char *fmt, ...) MIEN_PRINTF(2, 3);
static void node(RandomNet *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    r->at += (size_t)vsnprintf(r->nodes + r->at, sizeof(r->nodes) - r->at, fmt, ap);
    va_end(ap);
}

static int new_act(RandomNet *r, int h, int w, int c)
{
    r->h[r->n_acts] = h, r->w[r->n_acts] = w, r->c[r->n_acts] = c;
    return r->n_acts++;
}

static void begin_node(RandomNet *r, const char *op, int id, int in)
{
    node(r, "%s{\"op\":\"%s\",\"name\":\"n%d\",\"out\":\"a%d\",\"in\":[\"a%d\"", r->at ? "," : "", op, id, id, in);
}

/* Adds a node that fits: several inputs only from activations of the same size. */
static void random_node(RandomNet *r)
{
    static const char *const plain[] = { "relu", "sigmoid", "softmax", "l2norm", "globalavg" };
    char name[32];
    int in = rng_int(0, r->n_acts - 1), h = r->h[in], w = r->w[in], c = r->c[in];
    int same = in;
    for (int i = 0; i < r->n_acts; i++)
        if (r->h[i] == h && r->w[i] == w && r->c[i] == c && rng_int(0, 1))
            same = i;
    int kind = rng_int(0, 9), id;
    snprintf(name, sizeof(name), "n%d.weight", r->n_acts);
    if (kind < 2 && r->b.n_tensors < NN_MAX_TENSORS - 2) {
        int k = kind ? 3 : 1, oc = kind && rng_int(0, 1) ? c : rng_int(1, 40), groups = oc == c && kind ? c : 1;
        int dims[] = { k, k, c / groups, oc };
        id = new_act(r, h, w, oc);
        nn_tensor(&r->b, name, 4, dims, 0.3f, 0);
        begin_node(r, "conv2d", id, in);
        node(r, "],\"kernel\":[%d,%d],\"pad\":[%d,%d,%d,%d],\"groups\":%d,\"cout\":%d,\"bias\":false,\"act\":\"relu\"}", k, k, k / 2,
             k / 2, k / 2, k / 2, groups, oc);
    } else if (kind < 5) {
        id = new_act(r, h, w, c);
        begin_node(r, kind == 4 ? "mul" : "add", id, in);
        node(r, ",\"a%d\"]}", same);
    } else if (kind == 5) {
        id = new_act(r, h, w, c + r->c[same]);
        begin_node(r, "concat", id, in);
        node(r, ",\"a%d\"]}", same);
    } else if (kind == 6 && h > 2 && w > 2) {
        id = new_act(r, h / 2, w / 2, c);
        begin_node(r, "maxpool", id, in);
        node(r, "],\"kernel\":[2,2],\"stride\":[2,2]}");
    } else if (kind == 7) {
        id = new_act(r, w, h, c);
        begin_node(r, "reshape", id, in);
        node(r, "],\"h\":%d,\"w\":%d,\"c\":%d}", w, h, c);
    } else {
        int i = rng_int(0, 4);
        id = i == 4 ? new_act(r, 1, 1, c) : new_act(r, h, w, c);
        begin_node(r, plain[i], id, in);
        node(r, "]}");
    }
}

static RandomNet *random_net(int max_side)
{
    RandomNet *r = calloc(1, sizeof(*r));
    new_act(r, rng_int(1, max_side), rng_int(1, max_side), rng_int(1, 20));
    int n = rng_int(1, MAX_ACTS - 1);
    while (r->n_acts <= n)
        random_node(r);
    return r;
}

static void free_random(RandomNet *r)
{
    nn_free(&r->b);
    free(r);
}

/* The model of r with the last activation as output, or (all) with every one: then nothing can be reused. */
static MienModel *model_of(RandomNet *r, int all)
{
    MienModel *model;
    r->b.at = 0;
    nn_put(&r->b, "{\"inputs\":[{\"name\":\"a0\",\"h\":%d,\"w\":%d,\"c\":%d}],\"nodes\":[%s],\"outputs\":[\"a%d\"", r->h[0], r->w[0],
           r->c[0], r->nodes, r->n_acts - 1);
    for (int i = 0; all && i < r->n_acts - 1; i++)
        nn_put(&r->b, ",\"a%d\"", i);
    nn_put(&r->b, "]}");
    assert_int_equal(nn_model(&r->b, &model, to_stderr), 0);
    return model;
}

/* Runs n pictures of which picture i has the content of seed + i; the first output is copied (caller frees). */
static float *run_net(MienModel *model, MienNetParams p, uint32_t seed, size_t *n_out)
{
    MienNet *net;
    MienShape si, so;
    p.log = to_stderr;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    size_t memory;
    assert_int_equal(mien_net_estimate(model, &p, &memory, NULL), 0);
    assert_int_equal(memory, mien_net_memory_bytes(net));
    float *x = mien_net_input(net, &si);
    uint32_t saved = rng_state;
    for (int twice = 0; twice < 2; twice++) { /* a second run must not see what the first one left */
        for (int i = 0; i < si.n; i++) {
            rng_state = seed + (uint32_t)i;
            for (size_t k = 0, m = mien_shape_elems(si) / (size_t)si.n; k < m; k++)
                x[(size_t)i * m + k] = rng_float();
        }
        assert_int_equal(mien_net_run(net), 0);
    }
    rng_state = saved;
    const float *y = mien_net_output(net, 0, &so);
    *n_out = mien_shape_elems(so);
    float *copy = malloc(*n_out * sizeof(*copy));
    memcpy(copy, y, *n_out * sizeof(*copy));
    mien_net_destroy(&net);
    return copy;
}

static void reuse_changes_nothing(void **state)
{
    (void)state;
    size_t saved = 0;
    for (int i = 0; i < 150; i++) {
        RandomNet *r = random_net(12);
        MienModel *tight = model_of(r, 0), *roomy = model_of(r, 1);
        MienNetParams p = MIEN_NET_DEFAULTS;
        p.n = rng_int(1, 2);
        p.cpu = i % 4 == 0 ? MIEN_CPU_C : MIEN_CPU_AUTO;
        size_t n1, n2, m1, m2;
        float *a = run_net(tight, p, 7, &n1), *b = run_net(roomy, p, 7, &n2);
        assert_int_equal(n1, n2);
        assert_memory_equal(a, b, n1 * sizeof(float));
        assert_int_equal(mien_net_estimate(tight, &p, &m1, NULL), 0);
        assert_int_equal(mien_net_estimate(roomy, &p, &m2, NULL), 0);
        saved += m2 - m1;
        assert_true(m1 <= m2);
        free(a), free(b);
        mien_model_unref(&tight);
        mien_model_unref(&roomy);
        free_random(r);
    }
    assert_true(saved > 0);
}

static void threads_and_batches_change_nothing(void **state)
{
    (void)state;
    static const int threads[] = { 2, 3, 4 };
    MienPool *pool[3];
    for (int t = 0; t < 3; t++)
        assert_int_equal(mien_pool_create(&pool[t], threads[t], to_stderr), 0);
    for (int i = 0; i < 40; i++) {
        RandomNet *r = random_net(i < 20 ? 12 : 90);
        MienModel *model = model_of(r, 0);
        for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
            MienNetParams p = MIEN_NET_DEFAULTS;
            size_t n1, n2;
            p.cpu = cpu;
            p.n = 3;
            float *ref = run_net(model, p, 100, &n1);
            for (int t = 0; t < 3; t++) {
                p.exec = mien_pool_exec(pool[t]);
                float *y = run_net(model, p, 100, &n2);
                assert_memory_equal(ref, y, n1 * sizeof(float));
                free(y);
            }
            p.exec = (MienExec){ 0 };
            p.n = 1;
            for (int k = 0; k < 3; k++) { /* each picture alone */
                float *y = run_net(model, p, 100 + (uint32_t)k, &n2);
                assert_int_equal(n2 * 3, n1);
                assert_memory_equal(ref + (size_t)k * n2, y, n2 * sizeof(float));
                free(y);
            }
            free(ref);
        }
        mien_model_unref(&model);
        free_random(r);
    }
    for (int t = 0; t < 3; t++)
        mien_pool_destroy(&pool[t]);
}

static void a_run_allocates_nothing(void **state)
{
    (void)state;
    MienPool *pool;
    assert_int_equal(mien_pool_create(&pool, 2, to_stderr), 0);
    RandomNet *r = random_net(40);
    MienModel *model = model_of(r, 0);
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.exec = mien_pool_exec(pool);
    MienNet *net;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    size_t memory = mien_net_memory_bytes(net);
    const float *out = mien_net_output(net, 0, NULL);
    uint64_t count = mien_mem_count(), live = mien_mem_live_bytes();
    for (int i = 0; i < 100; i++)
        assert_int_equal(mien_net_run(net), 0);
    assert_int_equal(mien_mem_count(), count);
    assert_int_equal(mien_mem_live_bytes(), live);
    assert_int_equal(mien_net_memory_bytes(net), memory);
    assert_ptr_equal(mien_net_output(net, 0, NULL), out);
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_pool_destroy(&pool);
    free_random(r);
}

/* ---- backward */

static void fill(float *x, MienShape s, int random)
{
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        x[i] = random ? rng_float() : 0;
}

/* Twice forward and backward, with dJ/d(output 0) random and those of other outputs 0; input and gradients the same each time. */
static MienNet *back_net(MienModel *model, MienNetParams p)
{
    MienNet *net;
    MienShape s;
    size_t memory;
    p.grad = MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    assert_int_equal(mien_net_estimate(model, &p, &memory, NULL), 0);
    assert_int_equal(memory, mien_net_memory_bytes(net));
    uint32_t saved = rng_state;
    uint64_t count = mien_mem_count();
    for (int twice = 0; twice < 2; twice++) {
        rng_state = 5;
        float *x = mien_net_input(net, &s);
        fill(x, s, 1);
        assert_int_equal(mien_net_run(net), 0);
        for (int k = 0; k < mien_net_n_outputs(net); k++) {
            float *d = mien_net_output_grad(net, k, &s);
            fill(d, s, !k);
        }
        assert_int_equal(mien_net_backward(net), 0);
        assert_int_equal(mien_net_backward(net), MIEN_ERR(EINVAL)); /* once a run */
    }
    rng_state = saved;
    assert_int_equal(mien_mem_count(), count);
    return net;
}

/* Equal numbers; 0 and -0 are. */
static void same_gradients(const MienNet *a, const MienNet *b)
{
    MienShape s;
    const float *x = mien_net_input_grad(a, &s), *y = mien_net_input_grad(b, NULL);
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        assert_true(x[i] == y[i]);
    assert_int_equal(mien_net_n_weight_grads(a), mien_net_n_weight_grads(b));
    for (int k = 0; k < mien_net_n_weight_grads(a); k++) {
        const char *name;
        size_t n, n2;
        x = mien_net_weight_grad_at(a, k, &name, &n);
        y = mien_net_weight_grad(b, name, &n2);
        assert_int_equal(n, n2);
        for (size_t i = 0; i < n; i++)
            assert_true(x[i] == y[i]);
    }
}

/* Memory that is shared by lifetime, threads, and a net that stops at an activation inside a larger graph. */
static void backward_in_shared_memory(void **state)
{
    (void)state;
    MienPool *pool;
    size_t saved = 0;
    assert_int_equal(mien_pool_create(&pool, 3, to_stderr), 0);
    for (int i = 0; i < 150; i++) {
        RandomNet *r = random_net(i < 120 ? 10 : 40);
        MienModel *tight = model_of(r, 0), *roomy = model_of(r, 1);
        char last[16];
        snprintf(last, sizeof(last), "a%d", r->n_acts - 1);
        const char *names[] = { last };
        MienNetParams p = MIEN_NET_DEFAULTS;
        p.n = rng_int(1, 2);
        p.cpu = (MienCpu)rng_int(MIEN_CPU_C, (int)mien_cpu_best());
        MienNet *a = back_net(tight, p), *b, *c, *d;
        p.exec = mien_pool_exec(pool);
        b = back_net(tight, p);
        same_gradients(a, b);
        p.exec = (MienExec){ 0 };
        p.outputs = names;
        p.n_outputs = 1;
        c = back_net(roomy, p);
        assert_int_equal(mien_net_memory_bytes(c), mien_net_memory_bytes(a));
        same_gradients(a, c);
        p.outputs = NULL;
        d = back_net(roomy, p); /* has the gradients of nodes that lead to no output, too: zeros */
        MienShape s;
        const float *x = mien_net_input_grad(a, &s), *y = mien_net_input_grad(d, NULL);
        for (size_t k = 0; k < mien_shape_elems(s); k++)
            assert_true(x[k] == y[k]);
        saved += mien_net_memory_bytes(d) - mien_net_memory_bytes(a);
        mien_net_destroy(&a), mien_net_destroy(&b), mien_net_destroy(&c), mien_net_destroy(&d);
        mien_model_unref(&tight);
        mien_model_unref(&roomy);
        free_random(r);
    }
    assert_true(saved > 0);
    mien_pool_destroy(&pool);
}

/* A net that can go backward computes the same outputs, and keeps them through the backward pass. */
static void forward_bits_with_gradients(void **state)
{
    (void)state;
    for (int i = 0; i < 60; i++) {
        RandomNet *r = random_net(12);
        MienModel *model = model_of(r, 0);
        MienNetParams p = MIEN_NET_DEFAULTS;
        MienNet *net = back_net(model, p), *plain;
        MienShape s;
        assert_int_equal(mien_net_create(&plain, model, &p), 0);
        uint32_t kept = rng_state;
        rng_state = 5;
        float *x = mien_net_input(plain, &s);
        fill(x, s, 1);
        rng_state = kept;
        assert_int_equal(mien_net_run(plain), 0);
        assert_null(mien_net_output_grad(plain, 0, NULL));
        assert_null(mien_net_input_grad(plain, NULL));
        assert_int_equal(mien_net_backward(plain), MIEN_ERR(EINVAL));
        const float *a = mien_net_output(net, 0, &s), *b = mien_net_output(plain, 0, NULL);
        assert_memory_equal(a, b, mien_shape_elems(s) * sizeof(float));
        assert_true(mien_net_memory_bytes(plain) <= mien_net_memory_bytes(net));
        mien_net_destroy(&net), mien_net_destroy(&plain);
        mien_model_unref(&model);
        free_random(r);
    }
}

static void outputs_by_name(void **state)
{
    (void)state;
    RandomNet *r = random_net(10);
    MienModel *model = model_of(r, 0);
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    const char *twice[] = { "a1", "a1" }, *unknown[] = { "a1", "nothing" }, *input[] = { "a0" };
    p.outputs = twice;
    p.n_outputs = 2;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_ERR(EINVAL));
    p.outputs = unknown;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_E_NOTFOUND);
    assert_null(net);
    p.n_outputs = 0;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_ERR(EINVAL));
    p.n_outputs = 1;
    p.grad = 4;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_ERR(EINVAL));
    p.grad = MIEN_NET_GRAD_INPUT;
    p.outputs = input; /* J of the picture itself */
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    assert_int_equal(mien_net_n_outputs(net), 1);
    assert_int_equal(mien_net_n_weight_grads(net), 0);
    assert_non_null(mien_net_output_named(net, "a0", NULL));
    assert_null(mien_net_output_named(net, "a1", NULL));
    assert_int_equal(mien_net_run(net), 0);
    mien_net_output_grad(net, 0, NULL)[0] = 42;
    assert_int_equal(mien_net_backward(net), 0);
    assert_true(mien_net_input_grad(net, NULL)[0] == 42);
    mien_net_destroy(&net);
    p.grad = MIEN_NET_GRAD_WEIGHTS;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    assert_null(mien_net_input_grad(net, NULL));
    assert_null(mien_net_weight_grad(net, "n1.weight", NULL));
    mien_net_destroy(&net);
    mien_model_unref(&model);
    free_random(r);
}

/* Everything that is created under "the n-th allocation fails" gives a clean error, and all memory comes back. */
static void allocations_that_fail(void **state)
{
    (void)state;
    RandomNet *r = random_net(10);
    MienModel *whole = model_of(r, 0);
    mien_model_unref(&whole);
    uint8_t *data;
    size_t bytes;
    assert_int_equal(nn_pack(&r->b, &data, &bytes), 0);
    uint64_t live = mien_mem_live_bytes();
    int n_failed = 0;
    for (int i = 0; i < 4; i++) {
        int sticky = i & 1;
        for (uint64_t n = 1;; n++) {
            MienModel *model = NULL;
            MienNet *net = NULL;
            MienNetParams p = MIEN_NET_DEFAULTS;
            p.grad = i & 2 ? MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS : 0;
            mien_mem_fail_at(n, sticky);
            int ret = mieni_model_parse(&model, data, bytes, "m", (MienLog){ 0 });
            if (!ret)
                ret = mien_net_create(&net, model, &p);
            else
                assert_null(model);
            mien_mem_fail_at(0, 0);
            if (!ret) {
                assert_int_equal(mien_net_run(net), 0);
                mien_net_destroy(&net);
                mien_model_unref(&model);
                assert_int_equal(mien_mem_live_bytes(), live);
                break;
            }
            assert_int_equal(ret, MIEN_ERR(ENOMEM));
            assert_null(net);
            n_failed++;
            mien_model_unref(&model);
            assert_int_equal(mien_mem_live_bytes(), live);
        }
    }
    assert_true(n_failed > 20);
    mien_free(data);
    free_random(r);
}

/* Jobs flush denormals; the caller's own setting is the same afterwards. */
static void floating_point_state(void **state)
{
    (void)state;
    NnBuild b = { 0 };
    MienModel *model;
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":1,\"w\":1,\"c\":1}],\"nodes\":[{\"op\":\"add\",\"name\":\"n\",\"in\":[\"x\",\"x\"],"
               "\"out\":\"y\"}],\"outputs\":[\"y\"]}");
    assert_int_equal(nn_model(&b, &model, to_stderr), 0);
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
        p.cpu = cpu;
        assert_int_equal(mien_net_create(&net, model, &p), 0);
        float *x = mien_net_input(net, NULL);
        fesetround(FE_UPWARD);
        *x = 1e-39f;
        assert_int_equal(mien_net_run(net), 0);
        assert_int_equal(fegetround(), FE_UPWARD);
        fesetround(FE_TONEAREST);
#if defined(__SSE__) || defined(__aarch64__)
        assert_true(*mien_net_output(net, 0, NULL) == 0);
#endif
        volatile float tiny = 1e-39f;
        assert_true(tiny * 0.5f > 0);
        mien_net_destroy(&net);
    }
    mien_model_unref(&model);
    nn_free(&b);
}

/* Outputs, names, what isn't needed isn't run, and a model outlives its last reference while a net has it. */
static void outputs_and_lifetimes(void **state)
{
    (void)state;
    NnBuild b = { 0 };
    MienModel *model;
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    int dims[] = { 1, 1, 2, 1000 };
    nn_tensor(&b, "big.weight", 4, dims, 1, 0);
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":3,\"w\":5,\"c\":2}],\"nodes\":["
               "{\"op\":\"relu\",\"name\":\"r\",\"in\":[\"x\"],\"out\":\"a\"},"
               "{\"op\":\"conv2d\",\"name\":\"big\",\"in\":[\"a\"],\"out\":\"unused\",\"kernel\":[1,1],\"cout\":1000,\"bias\":false},"
               "{\"op\":\"globalavg\",\"name\":\"g\",\"in\":[\"a\"],\"out\":\"b\"}],\"outputs\":[\"b\",\"x\",\"a\"]}");
    assert_int_equal(nn_model(&b, &model, to_stderr), 0);
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    MienModel *copy = model;
    mien_model_unref(&model);
    assert_int_equal(mien_net_macs(net), 0);
    assert_true(mien_net_memory_bytes(net) <= 3 * 128);
    MienShape s;
    float *x = mien_net_input(net, &s);
    assert_int_equal(mien_shape_elems(s), 30);
    for (int i = 0; i < 30; i++)
        x[i] = (float)(i - 15);
    assert_int_equal(mien_net_run(net), 0);
    assert_ptr_equal(mien_net_output_named(net, "x", &s), x); /* an input that is an output keeps its contents */
    assert_true(x[0] == -15);
    const float *avg = mien_net_output_named(net, "b", &s);
    assert_int_equal(s.h * s.w * 100 + s.c, 102);
    assert_true(avg[0] == (float)(49.0 / 15) && avg[1] == (float)(56.0 / 15));
    assert_null(mien_net_output_named(net, "unused", &s));
    assert_null(mien_net_output(net, 3, &s));
    assert_null(mien_net_output(net, -1, &s));
    assert_string_equal(mien_model_output_name(copy, 2), "a");
    mien_net_destroy(&net);
    mien_net_destroy(&net);
    nn_free(&b);
}

/* Two threads at a time multiply small whole numbers, whose products have no rounding. */
enum { PRODUCT_M = 64, PRODUCT_N = 48, PRODUCT_K = 90, PRODUCTS = 2000 };

typedef struct Products {
    const MienKernels *kernels;
    float a[PRODUCT_M * PRODUCT_K], b[PRODUCT_K * PRODUCT_N], want[PRODUCT_M * PRODUCT_N], got[4][PRODUCT_M * PRODUCT_N];
    int wrong[4];
} Products;

static void multiply(void *arg, int i_job, int n_jobs)
{
    (void)n_jobs;
    Products *p = arg;
    float *c = p->got[i_job];
    for (int i = 0; i < PRODUCTS; i++) {
        mieni_sgemm(p->kernels, PRODUCT_M, PRODUCT_N, PRODUCT_K, p->a, PRODUCT_K, p->b, PRODUCT_N, c, PRODUCT_N);
        p->wrong[i_job] += memcmp(c, p->want, sizeof(p->want)) != 0;
    }
}

static void products_in_many_threads(void **state)
{
    (void)state;
    MienPool *pool;
    Products *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    assert_int_equal(mien_pool_create(&pool, 4, to_stderr), 0);
    for (int i = 0; i < PRODUCT_M * PRODUCT_K; i++)
        p->a[i] = (float)rng_int(-3, 3);
    for (int i = 0; i < PRODUCT_K * PRODUCT_N; i++)
        p->b[i] = (float)rng_int(-3, 3);
    for (int i = 0; i < PRODUCT_M * PRODUCT_N; i++) {
        for (int k = 0; k < PRODUCT_K; k++)
            p->want[i] += p->a[i / PRODUCT_N * PRODUCT_K + k] * p->b[k * PRODUCT_N + i % PRODUCT_N];
    }
    for (MienCpu cpu = MIEN_CPU_C; cpu <= mien_cpu_best(); cpu++) {
        p->kernels = mieni_kernels(cpu);
        mien_exec_run(mien_pool_exec(pool), multiply, p, 4);
        for (int i = 0; i < 4; i++)
            assert_int_equal(p->wrong[i], 0);
    }
    mien_pool_destroy(&pool);
    free(p);
}

static void cpu_levels(void **state)
{
    (void)state;
    MienCpu cpu;
    char text[512];
    assert_true(mien_cpu_level() >= MIEN_CPU_C && mien_cpu_level() <= mien_cpu_best());
    for (MienCpu i = MIEN_CPU_AUTO; i <= MIEN_CPU_AVX512; i++) {
        assert_int_equal(mien_cpu_parse(mien_cpu_name(i), &cpu), 0);
        assert_int_equal(cpu, i);
    }
    assert_int_equal(mien_cpu_parse("sse9", &cpu), MIEN_ERR(EINVAL));
    assert_true(mien_cpu_explain(text, sizeof(text)) > 20);
    printf("%s", text);
    assert_int_equal(mieni_kernels(MIEN_CPU_AUTO)->level, mien_cpu_level());
    assert_int_equal(mieni_kernels(MIEN_CPU_C)->level, MIEN_CPU_C);
    assert_false(mieni_blas_threads());
}

int main(int argc, char **argv)
{
    rng_state = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 20261123;
    printf("seed %u (give another as the argument)\n", rng_state);
    to_stderr = mien_log_stderr("test_nn_net", MIEN_LOG_WARN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plans_without_overlap), cmocka_unit_test(reuse_changes_nothing),
        cmocka_unit_test(threads_and_batches_change_nothing), cmocka_unit_test(a_run_allocates_nothing),
        cmocka_unit_test(backward_in_shared_memory), cmocka_unit_test(forward_bits_with_gradients),
        cmocka_unit_test(outputs_by_name), cmocka_unit_test(allocations_that_fail), cmocka_unit_test(floating_point_state),
        cmocka_unit_test(outputs_and_lifetimes), cmocka_unit_test(products_in_many_threads), cmocka_unit_test(cpu_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
