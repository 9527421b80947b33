/* mien/cpu.h — which instruction sets the kernels use.
 *
 * Each level includes those before it. The level is chosen once a process: the best that both this build and the machine
 * offer, lowered (never raised) by the environment variable MIEN_CPU = c | blas | avx2 | avx512 | auto. Level c is the exact
 * mode: plain C, our own reference matrix product, no fused multiply-add, so the same bits on every machine; golden tests
 * pin it. Nothing chooses it unasked: a machine without AVX2 uses blas, plain C with OpenBLAS's matrix product.
 */
#ifndef MIEN_CPU_H
#define MIEN_CPU_H

#include "mien/common.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum MienCpu {
    MIEN_CPU_AUTO,   /* as a parameter: what mien_cpu_level() says */
    MIEN_CPU_C,      /* exact mode */
    MIEN_CPU_BLAS,   /* any machine */
    MIEN_CPU_AVX2,   /* AVX2 and FMA */
    MIEN_CPU_AVX512, /* AVX-512 F, BW, DQ, VL */
} MienCpu;

/* Best level of this machine and build; threads: any. */
MienCpu mien_cpu_best(void);
/* The level in use: mien_cpu_best() lowered by MIEN_CPU, which is read at the first call. Threads: any. */
MienCpu mien_cpu_level(void);
const char *mien_cpu_name(MienCpu cpu); /* "avx2" …; never NULL */
/* "avx2" → MIEN_CPU_AVX2; MIEN_ERR(EINVAL) for a word that is none of the names. */
int mien_cpu_parse(const char *word, MienCpu *cpu);
/* Lines for people: which level is used and why none better; and which matrix product. Returns the length, like snprintf. */
int mien_cpu_explain(char *buf, size_t buf_bytes);

#ifdef __cplusplus
}
#endif
#endif
