/* Fuzz: any bytes as a model file; what is accepted is planned and, where that is cheap, run at every CPU level,
 * forward and backward. */
#include <string.h>

#include "nn/nn.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Pooling windows aren't counted in macs; with this little memory they are cheap as well. */
enum { MAX_MEMORY_BYTES = 1 << 16, MAX_MACS = 1 << 22 };

static float run(MienModel *model, const MienNetParams *p)
{
    MienNet *net;
    if (mien_net_create(&net, model, p) < 0)
        return 0;
    MienShape s;
    float *x = mien_net_input(net, &s), sum = 0;
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        x[i] = (float)(i % 17) - 8;
    mien_net_run(net);
    for (int i = 0; i < mien_model_n_outputs(model); i++) {
        const float *y = mien_net_output(net, i, &s);
        for (size_t k = 0; k < mien_shape_elems(s); k++)
            sum += y[k];
        float *d = mien_net_output_grad(net, i, &s);
        for (size_t k = 0; d && k < mien_shape_elems(s); k++)
            d[k] = (float)(k % 5) - 2;
    }
    if (p->grad && mien_net_backward(net) == 0) {
        const float *d = mien_net_input_grad(net, &s);
        for (size_t k = 0; k < mien_shape_elems(s); k++)
            sum += d[k];
    }
    mien_net_destroy(&net);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    MienModel *model;
    if (mieni_model_parse(&model, data, bytes, "fuzz", (MienLog){ 0 }) < 0)
        return 0;
    size_t text = 0, memory;
    uint64_t macs;
    for (int i = 0; mien_model_node_text(model, i); i++)
        text += strlen(mien_model_node_text(model, i));
    MienNetParams p = MIEN_NET_DEFAULTS;
    float sum = 0;
    for (int size = 0; size <= 9; size += 3) { /* the file's own, and others in case it leaves them free */
        p.h_px = size;
        p.w_px = size ? size + 1 : 0;
        p.n = 1 + (size == 6);
        for (int back = 0; back < 2; back++) {
            p.grad = back ? MIEN_NET_GRAD_INPUT | MIEN_NET_GRAD_WEIGHTS : 0;
            p.cpu = MIEN_CPU_AUTO;
            if (mien_net_estimate(model, &p, &memory, &macs) < 0 || memory > MAX_MEMORY_BYTES || macs > MAX_MACS)
                continue;
            for (p.cpu = MIEN_CPU_C; p.cpu <= mien_cpu_best(); p.cpu++)
                sum += run(model, &p);
        }
    }
    mien_model_unref(&model);
    return text == 1 && sum == 0.5f; /* use them, so that the reads stay */
}
