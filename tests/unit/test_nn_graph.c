/* nn/graph, nn/model: what a model file may not say, and the sentence that names it; what getters give back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>

#include "mien/error.h"
#include "nn_build.h"

static char last_line[2048];
static int n_lines;

static void keep_line(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    (void)priv;
    if (level == MIEN_LOG_ERROR)
        n_lines++;
    vsnprintf(last_line, sizeof(last_line), fmt, ap);
}

static const MienLog keep = { .write = keep_line, .level = MIEN_LOG_WARN };

#define IN "\"inputs\":[{\"name\":\"x\",\"h\":8,\"w\":6,\"c\":4}]"
#define OUT "\"outputs\":[\"y\"]"
#define GRAPH(nodes) "{" IN ",\"nodes\":[" nodes "]," OUT "}"
#define RELU(more) GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"" more "}")
#define NODE(op, more) GRAPH("{\"op\":\"" op "\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"," more "}")
#define TWO(op, a, b) GRAPH(a "," b ",{\"op\":\"" op "\",\"name\":\"n\",\"in\":[\"a\",\"b\"],\"out\":\"y\"}")
#define POOL(k, out) "{\"op\":\"maxpool\",\"name\":\"p" out "\",\"in\":[\"x\"],\"out\":\"" out "\",\"kernel\":[" k "]}"
#define CONV(more) NODE("conv2d", "\"kernel\":[3,3],\"cout\":5" more)

static MienModel *open_graph(const char *graph, NnBuild *b, int *ret)
{
    MienModel *model = NULL;
    b->at = 0;
    nn_put(b, "%s", graph);
    last_line[0] = '\0';
    n_lines = 0;
    *ret = nn_model(b, &model, keep);
    return model;
}

static const struct {
    const char *graph;
    int err;
    const char *says;
} refused[] = {
    { "", MIEN_E_MODEL, "mien.graph" },
    { "[]", MIEN_E_MODEL, "graph: is not a JSON object" },
    { "{", MIEN_E_MODEL, "is not a JSON object" },
    { "{\"inputs\":[],\"nodes\":[],\"outputs\":[]}", MIEN_E_MODEL, "inputs is not a list of one input" },
    { "{\"nodes\":[],\"outputs\":[]}", MIEN_E_MODEL, "inputs is not a list of one input" },
    { "{\"inputs\":[1],\"nodes\":[],\"outputs\":[]}", MIEN_E_MODEL, "the input is not an object" },
    { "{\"inputs\":[{\"name\":\"x\",\"h\":1,\"w\":1}],\"nodes\":[]," OUT "}", MIEN_E_MODEL, "the input has no c" },
    { "{\"inputs\":[{\"name\":\"x\",\"h\":-1,\"w\":1,\"c\":1}],\"nodes\":[]," OUT "}", MIEN_E_MODEL, "h is not a whole number" },
    { "{\"inputs\":[{\"name\":\"x\",\"h\":1.5,\"w\":1,\"c\":1}],\"nodes\":[]," OUT "}", MIEN_E_MODEL, "h is not a whole number" },
    { "{\"inputs\":[{\"name\":\"x\",\"h\":1,\"w\":1,\"c\":65537}],\"nodes\":[]," OUT "}", MIEN_E_MODEL, "c is not a whole number" },
    { "{\"inputs\":[{\"name\":\"\",\"h\":1,\"w\":1,\"c\":1}],\"nodes\":[]," OUT "}", MIEN_E_MODEL, "the input's name" },
    { "{\"inputs\":[{\"name\":\"x\",\"h\":70000,\"w\":70000,\"c\":1}],\"nodes\":[{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],"
      "\"out\":\"y\"}]," OUT "}", MIEN_E_SHAPE, "more than 2^31-1 elements" },
    { "{" IN ",\"nodes\":{}," OUT "}", MIEN_E_MODEL, "nodes is not a list" },
    { "{" IN ",\"nodes\":[]," OUT "}", MIEN_E_MODEL, "nodes is not a list of 1 to 4096" },
    { "{" IN ",\"nodes\":[7]," OUT "}", MIEN_E_MODEL, "node '#0': is not an object" },
    { "{" IN ",\"nodes\":[7]," OUT ",\"more\":1}", MIEN_E_MODEL, "'more' is not an attribute here" },
    { "{" IN ",\"nodes\":[{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}],\"outputs\":[]}", MIEN_E_MODEL, "outputs is not a list" },
    { "{" IN ",\"nodes\":[{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}],\"outputs\":[\"z\"]}", MIEN_E_MODEL,
      "the output 'z' is made by no node" },
    { "{" IN ",\"nodes\":[{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}],\"outputs\":[\"y\",\"y\"]}", MIEN_E_MODEL,
      "the output 'y' stands twice" },
    { GRAPH("{\"op\":\"relu\",\"in\":[\"x\"],\"out\":\"y\"}"), MIEN_E_MODEL, "node '#0': name is not" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"\\n\",\"in\":[\"x\"],\"out\":\"y\"}"), MIEN_E_MODEL, "name is not 1 to 127 printable" },
    { GRAPH("{\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}"), MIEN_E_MODEL, "node 'n': op is not" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"]}"), MIEN_E_MODEL, "node 'n': out is not" },
    { GRAPH("{\"op\":\"gelu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}"), MIEN_E_UNSUPPORTED, "node 'n': there is no op 'gelu'" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[],\"out\":\"y\"}"), MIEN_E_MODEL, "in is not a list of 1 to 1" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\",\"x\"],\"out\":\"y\"}"), MIEN_E_MODEL, "in is not a list of 1 to 1" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[3],\"out\":\"y\"}"), MIEN_E_MODEL, "an input's name is not" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"y\"],\"out\":\"y\"}"), MIEN_E_MODEL,
      "node 'n': its input 'y' is made by no node before it" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"x\"}"), MIEN_E_MODEL, "its output 'x' exists already" },
    { GRAPH("{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"a\"},{\"op\":\"relu\",\"name\":\"n\",\"in\":[\"x\"],\"out\":\"y\"}"),
      MIEN_E_MODEL, "node 'n': the name stands twice" },
    { RELU(",\"act\":\"relu\""), MIEN_E_MODEL, "'act' is not an attribute here" },
    { RELU(",\"out\":\"z\""), MIEN_E_MODEL, "attribute 'out' stands twice" },
    { NODE("conv2d", "\"cout\":5"), MIEN_E_MODEL, "node 'n': kernel is missing" },
    { NODE("conv2d", "\"kernel\":[3,3]"), MIEN_E_MODEL, "cout is missing" },
    { NODE("conv2d", "\"kernel\":[3],\"cout\":5"), MIEN_E_MODEL, "kernel is not a list of 2 whole numbers" },
    { NODE("conv2d", "\"kernel\":[0,3],\"cout\":5"), MIEN_E_MODEL, "kernel is not a list of 2 whole numbers from 1" },
    { NODE("conv2d", "\"kernel\":[3,99999],\"cout\":5"), MIEN_E_MODEL, "kernel is not" },
    { NODE("conv2d", "\"kernel\":[9,3],\"cout\":5"), MIEN_E_SHAPE, "a 9x3 window does not fit into 8x6" },
    { CONV(",\"strides\":[2,2]"), MIEN_E_MODEL, "'strides' is not an attribute here (known: " },
    { CONV(",\"stride\":[0,1]"), MIEN_E_MODEL, "stride is not" },
    { CONV(",\"pad\":[1,1]"), MIEN_E_MODEL, "pad is not a list of 4" },
    { CONV(",\"pad\":[1,1,1,-1]"), MIEN_E_MODEL, "pad is not a list of 4 whole numbers from 0" },
    { CONV(",\"dilation\":[4,1]"), MIEN_E_SHAPE, "does not fit" },
    { CONV(",\"groups\":3"), MIEN_E_SHAPE, "5 output channels can't be shared by 3 groups" },
    { CONV(",\"groups\":5"), MIEN_E_SHAPE, "4 input channels can't be shared by 5 groups" },
    { CONV(",\"bias\":1"), MIEN_E_MODEL, "bias is neither true nor false" },
    { CONV(",\"act\":\"tanh\""), MIEN_E_MODEL, "act is none of" },
    { CONV(""), MIEN_E_MODEL, "there is no tensor n.weight" },
    { NODE("conv2d", "\"kernel\":[1,1],\"cout\":2"), MIEN_E_MODEL, "there is no tensor n.weight" },
    { NODE("maxpool", "\"kernel\":[2,2],\"pad\":[0,2,0,0]"), MIEN_E_MODEL, "pad is not smaller than the 2x2 kernel" },
    { NODE("avgpool", "\"kernel\":[2,2],\"dilation\":[2,2]"), MIEN_E_MODEL, "'dilation' is not an attribute here" },
    { NODE("reshape", "\"h\":-1,\"w\":-1,\"c\":4"), MIEN_E_MODEL, "only one of h, w, c may be -1" },
    { NODE("reshape", "\"h\":1,\"w\":1"), MIEN_E_MODEL, "c is missing" },
    { NODE("reshape", "\"h\":-1,\"w\":1,\"c\":7"), MIEN_E_SHAPE, "8x6x4 can't become -1x1x7" },
    { NODE("reshape", "\"h\":2,\"w\":2,\"c\":2"), MIEN_E_SHAPE, "8x6x4 can't become 2x2x2" },
    { NODE("reshape", "\"h\":65536,\"w\":65536,\"c\":-1"), MIEN_E_SHAPE, "too large" },
    { NODE("pad", "\"channels\":65536"), MIEN_E_SHAPE, "65540 channels, 65536 are allowed" },
    { NODE("l2norm", "\"eps\":0"), MIEN_E_MODEL, "eps is not above 0" },
    { NODE("l2norm", "\"eps\":\"a\""), MIEN_E_MODEL, "eps is not a number" },
    { TWO("add", POOL("2,2", "a"), POOL("3,2", "b")), MIEN_E_SHAPE, "node 'n': its inputs are 7x5x4 and 6x5x4" },
    { TWO("mul", POOL("2,2", "a"), POOL("3,2", "b")), MIEN_E_SHAPE, "the second must be the same or 1x1x4" },
    { TWO("concat", POOL("2,2", "a"), POOL("3,2", "b")), MIEN_E_SHAPE, "its inputs are 7x5 and 6x5 pixels" },
    { GRAPH("{\"op\":\"add\",\"name\":\"n\",\"in\":[\"x\",\"x\"],\"out\":\"y\",\"alpha\":1e99}"), MIEN_E_MODEL, "alpha is not a number" },
};

static void refuses_bad_graphs(void **state)
{
    (void)state;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(refused); i++) {
        NnBuild b = { 0 };
        int ret;
        MienModel *model = open_graph(refused[i].graph, &b, &ret);
        if (ret != refused[i].err || model || !strstr(last_line, refused[i].says) || !strstr(last_line, "test.safetensors") ||
            n_lines != 1)
            fail_msg("%s\n  gave %d (%s), %d lines, \"%s\"\n  wanted %d, \"…%s…\"", refused[i].graph, ret, mien_strerror(ret), n_lines,
                     last_line, refused[i].err, refused[i].says);
        mien_model_unref(&model);
    }
}

/* A 1x1 convolution of 4 channels to 3 with prelu, whose tensors each test damages in its way. */
static void conv_model(NnBuild *b)
{
    int dims[] = { 1, 1, 4, 3 };
    memset(b, 0, sizeof(*b));
    nn_tensor(b, "n.weight", 4, dims, 1, 0);
    nn_vector(b, "n.bias", 3, 1, 0);
    nn_vector(b, "n.slope", 3, 1, 0);
    nn_put(b, "%s", NODE("conv2d", "\"kernel\":[1,1],\"cout\":3,\"act\":\"prelu\""));
}

static void expect_refusal(NnBuild *b, int err, const char *says)
{
    MienModel *model;
    n_lines = 0;
    int ret = nn_model(b, &model, keep);
    if (ret != err || model || !strstr(last_line, says) || n_lines != 1)
        fail_msg("gave %d, %d lines, \"%s\"; wanted %d, \"…%s…\"", ret, n_lines, last_line, err, says);
    nn_free(b);
}

static void checks_weights_by_name(void **state)
{
    (void)state;
    NnBuild b;
    MienModel *model;
    conv_model(&b);
    assert_int_equal(nn_model(&b, &model, keep), 0);
    assert_string_equal(mien_model_node_text(model, 0), "conv2d     n  1x1 s1 p0  4->3  prelu");
    assert_null(mien_model_node_text(model, 1));
    assert_int_equal(mien_model_params(model), 18);
    assert_string_equal(mien_model_meta(model, "role"), "features");
    assert_null(mien_model_meta(model, "no.such"));
    assert_int_equal(mien_model_n_inputs(model), 1);
    assert_int_equal(mien_model_n_outputs(model), 1);
    assert_string_equal(mien_model_output_name(model, 0), "y");
    assert_null(mien_model_output_name(model, 1));
    assert_int_equal(strlen(mien_model_hash(model)), 64);
    assert_string_equal(mien_model_path(model), "test.safetensors");
    mien_model_unref(&model);
    assert_null(model);
    nn_free(&b);

    conv_model(&b);
    free((void *)(uintptr_t)b.tensor[--b.n_tensors].data);
    expect_refusal(&b, MIEN_E_MODEL, "there is no tensor n.slope");
    conv_model(&b);
    b.tensor[0].dim[2] = 3, b.tensor[0].dim[3] = 4;
    expect_refusal(&b, MIEN_E_SHAPE, "tensor n.weight is F32 1x1x3x4, F32 1x1x4x3 is wanted");
    conv_model(&b);
    b.tensor[1].dtype = MIEN_I32;
    expect_refusal(&b, MIEN_E_SHAPE, "tensor n.bias is I32 3");
    static const float bad[] = { NAN, INFINITY, -INFINITY };
    for (int i = 0; i < 3; i++) {
        conv_model(&b);
        ((float *)(uintptr_t)b.tensor[i].data)[2] = bad[i];
        expect_refusal(&b, MIEN_E_MODEL, "is not a finite number");
    }
}

static void checks_metadata(void **state)
{
    (void)state;
    MienModel *model;
    NnBuild b;
    conv_model(&b);
    uint8_t *data;
    size_t bytes;
    static const MienMeta meta[][4] = {
        { { 0 } },
        { { "mien.format", "2" } },
        { { "mien.format", "1" }, { "mien.role", "features" }, { "mien.graph", "{}" } },
        { { "mien.format", "1" }, { "mien.name", "t" }, { "mien.graph", "{}" } },
        { { "mien.format", "1" }, { "mien.role", "" }, { "mien.name", "t" }, { "mien.graph", "{}" } },
    };
    static const int n_meta[] = { 0, 1, 3, 3, 4 };
    static const char *const says[] = { "is no model file", "model file of format '2'", "'mien.name' is missing",
                                        "'mien.role' is missing", "'mien.role' is missing" };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(says); i++) {
        assert_int_equal(mien_weights_pack(&data, &bytes, b.tensor, 3, meta[i], (size_t)n_meta[i], keep), 0);
        assert_int_equal(mieni_model_parse(&model, data, bytes, "m", keep), i == 1 ? MIEN_E_VERSION : MIEN_E_MODEL);
        assert_non_null(strstr(last_line, says[i]));
        mien_free(data);
    }
    nn_free(&b);
    assert_int_equal(mien_model_open(&model, "/no/such/model.safetensors", keep), MIEN_ERR(ENOENT));
    assert_null(model);
}

/* Sizes that the file leaves open: weights are checked as far as they can be, the rest when a net is made. */
static void free_sizes(void **state)
{
    (void)state;
    NnBuild b = { 0 };
    MienModel *model;
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.log = keep;
    int dims[] = { 24, 2 };
    nn_tensor(&b, "f.weight", 2, dims, 1, 0);
    nn_put(&b, "{\"inputs\":[{\"name\":\"x\",\"h\":0,\"w\":0,\"c\":4}],\"nodes\":["
               "{\"op\":\"maxpool\",\"name\":\"p\",\"in\":[\"x\"],\"out\":\"a\",\"kernel\":[2,2],\"stride\":[2,2]},"
               "{\"op\":\"fc\",\"name\":\"f\",\"in\":[\"a\"],\"out\":\"y\",\"cout\":2,\"bias\":false}]," OUT "}");
    assert_int_equal(nn_model(&b, &model, keep), 0);
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_E_SHAPE);
    assert_non_null(strstr(last_line, "size is free and none was given"));
    p.h_px = 4, p.w_px = 4;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_E_SHAPE);
    assert_non_null(strstr(last_line, "node 'f': its weight has 24 rows, this input size gives 2x2x4 = 16"));
    p.w_px = 1;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_E_SHAPE);
    assert_non_null(strstr(last_line, "node 'p': a 2x2 window does not fit"));
    p.w_px = 6;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    mien_net_destroy(&net);
    p.n = 0;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_ERR(EINVAL));
    mien_model_unref(&model);
    nn_free(&b);

    /* channels that follow from the size can't be checked, so they are refused */
    NnBuild c = { 0 };
    nn_vector(&c, "n.slope", 4, 1, 0);
    nn_put(&c, "{\"inputs\":[{\"name\":\"x\",\"h\":0,\"w\":8,\"c\":4}],\"nodes\":["
               "{\"op\":\"reshape\",\"name\":\"r\",\"in\":[\"x\"],\"out\":\"a\",\"h\":1,\"w\":1,\"c\":-1},"
               "{\"op\":\"prelu\",\"name\":\"n\",\"in\":[\"a\"],\"out\":\"y\"}]," OUT "}");
    expect_refusal(&c, MIEN_E_MODEL, "node 'n': its number of channels depends on the input's size");

    /* a size that the file fixes can't be chosen */
    conv_model(&b);
    assert_int_equal(nn_model(&b, &model, keep), 0);
    p.n = 1, p.h_px = 9, p.w_px = 6;
    assert_int_equal(mien_net_create(&net, model, &p), MIEN_E_SHAPE);
    assert_non_null(strstr(last_line, "the input is 9x6 (height, width), the network takes 8x6"));
    p.h_px = 0;
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    mien_net_destroy(&net);
    mien_model_unref(&model);
    nn_free(&b);
}

/* main sets MIEN_CPU to a word that is no level. */
static void unknown_cpu_level(void **state)
{
    (void)state;
    NnBuild b;
    MienModel *model;
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.log = keep;
    conv_model(&b);
    assert_int_equal(nn_model(&b, &model, keep), 0);
    last_line[0] = '\0';
    assert_int_equal(mien_net_create(&net, model, &p), 0);
    assert_non_null(strstr(last_line, "MIEN_CPU=sse9 is unknown"));
    assert_int_equal(mien_cpu_level(), mien_cpu_best());
    mien_net_destroy(&net);
    mien_model_unref(&model);
    nn_free(&b);
}

static void limits_of_the_graph(void **state)
{
    (void)state;
    MienModel *model;
    size_t room = 1 << 20, at;
    char *graph = malloc(room);
    for (int n = MIENI_MAX_NODES; n <= MIENI_MAX_NODES + 1; n++) { /* 4096 nodes are fine, one more is not */
        at = (size_t)snprintf(graph, room, "{" IN ",\"nodes\":[");
        for (int i = 0; i < n; i++)
            at += (size_t)snprintf(graph + at, room - at, "%s{\"op\":\"relu\",\"name\":\"n%d\",\"in\":[\"%s%d\"],\"out\":\"a%d\"}",
                                   i ? "," : "", i, i ? "a" : "x", i - 1, i);
        char *first = strstr(graph, "x-1");
        memmove(first + 1, first + 3, strlen(first + 3) + 1);
        snprintf(graph + at - 2, room - at, "],\"outputs\":[\"a%d\"]}", n - 1);
        const MienMeta meta[] = { { "mien.format", "1" }, { "mien.role", "features" }, { "mien.name", "t" }, { "mien.graph", graph } };
        uint8_t *data;
        size_t bytes;
        assert_int_equal(mien_weights_pack(&data, &bytes, NULL, 0, meta, 4, keep), 0);
        last_line[0] = '\0';
        int ret = mieni_model_parse(&model, data, bytes, "m", keep);
        mien_free(data);
        if (n == MIENI_MAX_NODES) {
            assert_int_equal(ret, 0);
            MienNet *net;
            MienNetParams p = MIEN_NET_DEFAULTS;
            assert_int_equal(mien_net_create(&net, model, &p), 0);
            assert_int_equal(mien_net_memory_bytes(net), 8 * 6 * 4 * sizeof(float)); /* all in place */
            assert_int_equal(mien_net_run(net), 0);
            mien_net_destroy(&net);
        } else {
            assert_int_equal(ret, MIEN_E_MODEL);
        }
        mien_model_unref(&model);
    }
    free(graph);
}

int main(void)
{
    setenv("MIEN_CPU", "sse9", 1); /* read at the first use */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_bad_graphs), cmocka_unit_test(checks_weights_by_name), cmocka_unit_test(checks_metadata),
        cmocka_unit_test(free_sizes),         cmocka_unit_test(limits_of_the_graph),
        cmocka_unit_test(unknown_cpu_level),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
