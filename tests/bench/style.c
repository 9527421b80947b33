/* Minimises the whole style loss from the content: what style.py does, by mien.
 * style PICTURE.rgb W H PRESET.safetensors ITERATIONS THREADS [lbfgs|adam]: J at the end, seconds an iteration, peak MB. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "mien/error.h"
#include "mien/preset.h"
#include "mien/style.h"

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static float *read_rgb(const char *path, size_t n)
{
    unsigned char *raw = malloc(n);
    float *rgb = malloc(n * sizeof(*rgb));
    FILE *f = fopen(path, "rb");
    if (!raw || !rgb || !f || fread(raw, 1, n, f) != n)
        exit(1);
    fclose(f);
    for (size_t i = 0; i < n; i++)
        rgb[i] = (float)raw[i] / 255;
    free(raw);
    return rgb;
}

int main(int argc, char **argv)
{
    if (argc < 7)
        return 2;
    int w = atoi(argv[2]), h = atoi(argv[3]), n = atoi(argv[5]);
    MienLog log = mien_log_stderr("style", MIEN_LOG_WARN);
    MienPreset *preset;
    MienModel *model;
    MienPool *pool;
    MienStyleTarget target;
    MienStyle *style;
    MienStyleLoss loss;
    MienStyleParams p = MIEN_STYLE_DEFAULTS;
    float *rgb = read_rgb(argv[1], (size_t)w * (size_t)h * 3);
    if (mien_preset_open(&preset, argv[4], log) < 0 || mien_preset_open_model(&model, preset, NULL, log) < 0 ||
        mien_preset_target(preset, 0, &target) < 0 || mien_pool_create(&pool, atoi(argv[6]), log) < 0)
        return 1;
    p.exec = mien_pool_exec(pool);
    p.log = log;
    p.w_px = w, p.h_px = h;
    p.border_px = 0;
    p.optimizer = argc > 7 && !strcmp(argv[7], "adam") ? MIEN_STYLE_ADAM : MIEN_STYLE_LBFGS;
    if (mien_style_create(&style, model, &target, &p) < 0)
        return 1;
    double begin = now_s();
    if (mien_style_set_content(style, rgb) < 0 || mien_style_start(style, NULL, n, 0) < 0)
        return 1;
    for (int i = 0; i < n; i++) {
        if (mien_style_step(style, &loss) < 0)
            return 1;
        if (argc > 8)
            printf("%.9f\n", loss.total);
    }
    double seconds = (now_s() - begin) / n;
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    printf("%.6f %.4f %ld\n", loss.total, seconds, use.ru_maxrss / 1024);
    return 0;
}
