/* The kernel tables and the choice among them: C first, each better level overrides, down to what the machine has. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "kernels/kernels.h"
#include "mien/error.h"
#if ARCH_X86_64
#include "kernels/x86/x86.h"
#endif

static const char *const level_name[] = {
    [MIEN_CPU_AUTO] = "auto", [MIEN_CPU_C] = "c", [MIEN_CPU_BLAS] = "blas",
    [MIEN_CPU_AVX2] = "avx2", [MIEN_CPU_AVX512] = "avx512"
};
enum { N_LEVELS = MIEN_ARRAY_ELEMS(level_name) };

static MienKernels table[N_LEVELS];
static MienCpu best_level, used_level;
static char env_word[32]; /* MIEN_CPU as it was found, for mien_cpu_explain */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const MienKernels c_kernels = {
    .level = MIEN_CPU_C,
    .gemm_f32 = mieni_gemm_f32_c,
    .gemm_add_f32 = mieni_gemm_add_f32_c,
    .affine_f32 = mieni_affine_f32_c,
    .act_grad_f32 = mieni_act_grad_f32_c,
    .add_f32 = mieni_add_f32_c,
    .mul_channel_f32 = mieni_mul_channel_f32_c,
    .dwconv_f32 = mieni_dwconv_f32_c,
    .im2col_f32 = mieni_im2col_f32_c,
    .maxpool_f32 = mieni_maxpool_f32_c,
    .avgpool_f32 = mieni_avgpool_f32_c,
    .sum_rows_u8_f32 = mieni_sum_rows_u8_f32_c,
    .sum_columns_rgb_f32 = mieni_sum_columns_rgb_f32_c,
    .sample_rgb8_f32 = mieni_sample_rgb8_f32_c,
};

static void choose(void)
{
    MienKernels k = c_kernels;
    table[MIEN_CPU_C] = k;
    k.level = best_level = MIEN_CPU_BLAS;
    k.gemm_max_m = k.gemm_max_n = 4; /* OpenBLAS does little for products that thin */
    table[MIEN_CPU_BLAS] = k;
#if ARCH_X86_64
    MienCpu machine = mieni_x86_level();
    if (machine >= MIEN_CPU_AVX2) {
        mieni_x86_init_avx2(&k);
        mieni_x86_init_resample_avx2(&k);
        k.level = best_level = MIEN_CPU_AVX2;
        table[MIEN_CPU_AVX2] = k;
    }
    if (machine >= MIEN_CPU_AVX512) {
        mieni_x86_init_avx512(&k);
        k.level = best_level = MIEN_CPU_AVX512;
        table[MIEN_CPU_AVX512] = k;
    }
#endif
    used_level = best_level;
    const char *word = getenv("MIEN_CPU");
    MienCpu wanted;
    if (word && *word) {
        snprintf(env_word, sizeof(env_word), "%s", word);
        if (!mien_cpu_parse(word, &wanted) && wanted != MIEN_CPU_AUTO && wanted < best_level)
            used_level = wanted;
    }
}

MienCpu mien_cpu_best(void)
{
    pthread_once(&once, choose);
    return best_level;
}

MienCpu mien_cpu_level(void)
{
    pthread_once(&once, choose);
    return used_level;
}

const char *mien_cpu_name(MienCpu cpu)
{
    return (unsigned)cpu < N_LEVELS ? level_name[cpu] : "?";
}

int mien_cpu_parse(const char *word, MienCpu *cpu)
{
    for (int i = 0; i < N_LEVELS; i++) {
        if (!strcmp(word, level_name[i])) {
            *cpu = (MienCpu)i;
            return 0;
        }
    }
    return MIEN_ERR(EINVAL);
}

const char *mieni_cpu_unknown_word(void)
{
    MienCpu unused;
    pthread_once(&once, choose);
    return *env_word && mien_cpu_parse(env_word, &unused) < 0 ? env_word : NULL;
}

int mien_cpu_explain(char *buf, size_t buf_bytes)
{
    MienCpu used = mien_cpu_level();
    const char *product = used == MIEN_CPU_C      ? "own reference in C"
                          : used == MIEN_CPU_BLAS ? "OpenBLAS, serial, one call at a time"
                                                  : "own kernels";
    return snprintf(buf, buf_bytes, "kernels: %s\nbest of this machine and build: %s\nMIEN_CPU: %s%s\nmatrix product: %s\n",
                    mien_cpu_name(used), mien_cpu_name(best_level), *env_word ? env_word : "not set",
                    mieni_cpu_unknown_word() ? " (unknown, ignored; known are auto, c, blas, avx2, avx512)" : "", product);
}

const MienKernels *mieni_kernels(MienCpu cpu)
{
    MienCpu level = mien_cpu_level();
    if (cpu != MIEN_CPU_AUTO && (unsigned)cpu < N_LEVELS)
        level = cpu < best_level ? cpu : best_level;
    return &table[level];
}
