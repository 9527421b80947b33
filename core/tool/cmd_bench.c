/* mien bench, mien cpu: how fast the networks run here, and which kernels they run on. */
#include <stdlib.h>
#include <string.h>

#include "mien/cpu.h"
#include "mien/net.h"
#include "models/manifest.h"
#include "tool.h"

typedef struct BenchOptions {
    int runs;
    const char *size;
} BenchOptions;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Any content will do: the time does not depend on it (denormals are off). */
static void fill(MienNet *net)
{
    MienShape s;
    float *x = mien_net_input(net, &s);
    for (size_t i = 0; i < mien_shape_elems(s); i++)
        x[i] = (float)(i * 2654435761u % 1024) / 1024;
}

static void print_row(const Tool *tool, struct cJSON *rows, const char *name, MienNet *net, const double *ms, int n)
{
    MienShape s;
    mien_net_input(net, &s);
    double median = ms[n / 2], gmacs = (double)mien_net_macs(net) * 1e-6 / median;
    struct cJSON *j = json_item_object(rows);
    json_str(j, "model", name);
    json_int(j, "width_px", s.w);
    json_int(j, "height_px", s.h);
    json_int(j, "macs", (int64_t)mien_net_macs(net));
    json_int(j, "memory_bytes", (int64_t)mien_net_memory_bytes(net));
    json_real(j, "median_ms", median, 4);
    json_real(j, "least_ms", ms[0], 4);
    json_real(j, "most_ms", ms[n - 1], 4);
    if (!tool->json)
        printf("%-16s %5dx%-5d %9.1f %10.3f %10.3f %10.3f %8.1f\n", safe(name), s.w, s.h, (double)mien_net_macs(net) * 1e-6, median,
               ms[0], ms[n - 1], gmacs);
}

/* At the size the network fixes, else at the one asked for. */
static int create(MienNet **net, MienModel *model, MienNetParams *p, MienLog log, int w_px, int h_px)
{
    if (mien_net_create(net, model, p) >= 0)
        return 0;
    p->log = log;
    p->w_px = w_px;
    p->h_px = h_px;
    return mien_net_create(net, model, p);
}

static int bench_model(const Tool *tool, int n_runs, int w_px, int h_px, MienExec exec, const char *what, struct cJSON *rows)
{
    MienModel *model = NULL;
    MienNet *net = NULL;
    MienNetParams p = MIEN_NET_DEFAULTS;
    p.exec = exec;
    double *ms = mien_malloc_array((size_t)n_runs, sizeof(*ms));
    int ret = ms ? model_open(tool, what, &model) : MIEN_ERR(ENOMEM);
    if (ret >= 0)
        ret = create(&net, model, &p, tool->log, w_px, h_px);
    for (int i = -2; ret >= 0 && i < n_runs && !interrupted(); i++) { /* two to warm up */
        fill(net);
        double t0 = seconds_now();
        ret = mien_net_run(net);
        if (i >= 0)
            ms[i] = (seconds_now() - t0) * 1e3;
    }
    int ok = ret >= 0 && !interrupted();
    if (ok) {
        qsort(ms, (size_t)n_runs, sizeof(*ms), by_value);
        const char *name = mien_model_meta(model, "name");
        print_row(tool, rows, name ? name : what, net, ms, n_runs);
    }
    mien_net_destroy(&net);
    mien_model_unref(&model);
    mien_free(ms);
    return ok ? STATUS_OK : STATUS_ERROR;
}

static int bench_all(const Tool *tool, int n_runs, int w_px, int h_px, MienExec exec, struct cJSON *rows)
{
    MieniManifest m = { 0 };
    int status = mieni_manifest_read(&m, models_folder(tool), tool->log) < 0 ? STATUS_ERROR : STATUS_OK;
    for (size_t i = 0; i < m.n_models && status == STATUS_OK; i++)
        status = bench_model(tool, n_runs, w_px, h_px, exec, m.model[i].name, rows);
    mieni_manifest_uninit(&m);
    return status;
}

static int run_bench(Tool *tool, const void *options, int n_args, char **args)
{
    const BenchOptions *o = options;
    int w_px = 320, h_px = 240, status = STATUS_OK;
    if (o->size && parse_size(o->size, &w_px, &h_px))
        return tool_error(tool, "--size wants a size such as 640x480, not '%s'", safe(o->size));
    MienPool *pool = NULL;
    if (mien_pool_create(&pool, tool->threads, tool->log) < 0)
        return tool_error(tool, "out of memory");
    struct cJSON *root = tool->json ? json_object() : NULL;
    json_str(root, "cpu", mien_cpu_name(mien_cpu_level()));
    json_int(root, "threads", tool->threads);
    json_int(root, "runs", o->runs);
    struct cJSON *rows = json_add_array(root, "models");
    if (!tool->json)
        printf("%s, %d thread%s, %d runs\n%-16s %11s %9s %10s %10s %10s %8s\n", mien_cpu_name(mien_cpu_level()), tool->threads,
               tool->threads == 1 ? "" : "s", o->runs, "network", "input", "Mmac", "median ms", "least", "most", "Gmac/s");
    for (int i = 0; i < n_args && status == STATUS_OK; i++)
        status = bench_model(tool, o->runs, w_px, h_px, mien_pool_exec(pool), args[i], rows);
    if (!n_args)
        status = bench_all(tool, o->runs, w_px, h_px, mien_pool_exec(pool), rows);
    mien_pool_destroy(&pool);
    if (status != STATUS_OK)
        json_free(root);
    return root && status == STATUS_OK ? json_print(tool, root, status) : status;
}

static const Option bench_options[] = {
    OPT_INT_ROW(BenchOptions, runs, "runs", 'n', 20, 1, 100000, NULL, NULL, "how often each network runs"),
    OPT_TEXT_ROW(BenchOptions, size, "size", 's', "WxH", "320x240", "input of networks that take any size"),
    { .name = NULL },
};

const Command cmd_bench = {
    .name = "bench", .group = "Measurements", .summary = "time the networks on this machine", .args = "[MODEL...]",
    .text = "Runs every network of the models folder, or those named, on one input and prints the median, least and most time of a run. "
            "Times on a busy machine say little; compare within one table.\n"
            "$ mien bench --threads 1\n$ mien bench stylenet --size 640x360",
    .options = bench_options, .options_bytes = sizeof(BenchOptions),
    .takes = TAKES_MODELS | TAKES_THREADS | TAKES_JSON, .max_args = -1, .run = run_bench,
};

/* ---- cpu */

static int run_cpu(Tool *tool, const void *options, int n_args, char **args)
{
    char text[1024];
    (void)options, (void)n_args, (void)args;
    mien_cpu_explain(text, sizeof(text));
    if (tool->json) {
        struct cJSON *j = json_object();
        json_str(j, "level", mien_cpu_name(mien_cpu_level()));
        json_str(j, "best", mien_cpu_name(mien_cpu_best()));
        json_str(j, "text", text);
        return json_print(tool, j, STATUS_OK);
    }
    size_t n = strlen(text);
    printf("%s%s", text, n && text[n - 1] == '\n' ? "" : "\n");
    return STATUS_OK;
}

const Command cmd_cpu = {
    .name = "cpu", .group = "Measurements", .summary = "say which kernels are used here, and why", .args = "",
    .text = "The environment variable MIEN_CPU lowers the choice: c (exact mode), blas, avx2, avx512.\n"
            "$ MIEN_CPU=avx2 mien cpu",
    .takes = TAKES_JSON, .max_args = 0, .run = run_cpu,
};
