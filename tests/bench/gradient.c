/* Times one Gatys iteration with stylenet: forward, Gram matrices and content loss, backward to the pixels.
 * gradient W H ITERATIONS: processor milliseconds of each part, medians, one thread. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mien/error.h"
#include "nn/gram.h"
#include "nn/nn.h"

enum { N_STYLE = 4, CONTENT = 2, FORWARD = 0, LOSS, BACKWARD, ALL, N_PARTS };

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts); /* of other programs on this machine it knows nothing */
    return 1e3 * (double)ts.tv_sec + 1e-6 * (double)ts.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

/* dJ/d(output i): of the style loss against the picture's own Gram matrix times 0.9, and of the content loss against 0. */
static void write_gradient(MienNet *net, int i, float *gram, void *work)
{
    MienShape s;
    const MienKernels *k = mieni_kernels(MIEN_CPU_AUTO);
    const float *f = mien_net_output(net, i, &s);
    float *d = mien_net_output_grad(net, i, NULL);
    ptrdiff_t n_px = (ptrdiff_t)s.h * s.w;
    mieni_gram_f32((MienExec){ 0 }, k, f, n_px, s.c, 1.0 / (double)n_px, gram, work);
    for (int j = 0; j < s.c * s.c; j++)
        gram[j] *= 0.1f / (float)n_px;
    if (i == CONTENT)
        for (ptrdiff_t j = 0; j < n_px * s.c; j++)
            d[j] = 1e-4f * f[j];
    mieni_gram_grad_f32((MienExec){ 0 }, k, f, n_px, s.c, gram, i == CONTENT, d);
}

int main(int argc, char **argv)
{
    static const char *const layer[N_STYLE] = { "relu1_1", "relu2_1", "relu3_1", "relu4_1" };
    int w = argc > 1 ? atoi(argv[1]) : 640, h = argc > 2 ? atoi(argv[2]) : 360, n = argc > 3 ? atoi(argv[3]) : 10;
    MienLog log = mien_log_stderr("gradient", MIEN_LOG_WARN);
    MienModel *model;
    MienNet *net;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.w_px = w, p.h_px = h;
    p.log = log;
    p.outputs = layer;
    p.n_outputs = N_STYLE;
    p.grad = MIEN_NET_GRAD_INPUT;
    if (n < 1 || mien_model_open(&model, "core/models/stylenet.safetensors", log) < 0 || mien_net_create(&net, model, &p) < 0)
        return 1;
    size_t most = 0;
    MienShape s;
    for (int i = 0; i < N_STYLE; i++) {
        mien_net_output(net, i, &s);
        size_t bytes = mieni_gram_work_bytes((ptrdiff_t)s.h * s.w, s.c);
        most = bytes > most ? bytes : most;
    }
    float *gram = mien_malloc(512 * 512 * sizeof(*gram)), *x = mien_net_input(net, &s);
    void *work = mien_malloc(most);
    double *ms = calloc((size_t)n * N_PARTS, sizeof(*ms));
    for (int i = -1; i < n; i++) { /* the first only warms up */
        for (size_t k = 0; k < mien_shape_elems(s); k++)
            x[k] = (float)(k * 2654435761u % 1000) / 1000;
        double t[4];
        t[0] = now_ms();
        mien_net_run(net);
        t[1] = now_ms();
        for (int k = 0; k < N_STYLE; k++)
            write_gradient(net, k, gram, work);
        t[2] = now_ms();
        mien_net_backward(net);
        t[3] = now_ms();
        for (int k = 0; i >= 0 && k < ALL; k++)
            ms[k * n + i] = t[k + 1] - t[k];
        if (i >= 0)
            ms[ALL * n + i] = t[3] - t[0];
    }
    for (int k = 0; k < N_PARTS; k++)
        qsort(ms + k * n, (size_t)n, sizeof(*ms), by_value);
    printf("%.1f %.1f %.1f %.1f\n", ms[n / 2], ms[LOSS * n + n / 2], ms[BACKWARD * n + n / 2], ms[ALL * n + n / 2]);
    fprintf(stderr, "memory %.1f MB\n", (double)mien_net_memory_bytes(net) * 1e-6);
    mien_free(gram), mien_free(work), free(ms);
    mien_net_destroy(&net);
    mien_model_unref(&model);
    return 0;
}
