/* Denormals off while a job runs, and the caller's setting back afterwards: networks that decay towards zero are otherwise
 * several times slower on x86. We are guests in other people's threads, so every job does both. */
#ifndef MIENI_FPENV_H
#define MIENI_FPENV_H

#include <stdint.h>

#if defined(__SSE__)
#include <xmmintrin.h>

/* Flush to zero, denormals are zero, all exceptions masked, round to nearest. */
static inline uint64_t mieni_fp_enter(void)
{
    unsigned saved = _mm_getcsr();
    _mm_setcsr(0x9fc0);
    return saved;
}

static inline void mieni_fp_leave(uint64_t saved)
{
    _mm_setcsr((unsigned)saved);
}

#elif defined(__aarch64__)

static inline uint64_t mieni_fp_enter(void)
{
    uint64_t saved, now = (uint64_t)1 << 24; /* FPCR.FZ, round to nearest */
    __asm__ volatile("mrs %0, fpcr" : "=r"(saved));
    __asm__ volatile("msr fpcr, %0" : : "r"(now));
    return saved;
}

static inline void mieni_fp_leave(uint64_t saved)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(saved));
}

#else

static inline uint64_t mieni_fp_enter(void) { return 0; }
static inline void mieni_fp_leave(uint64_t saved) { (void)saved; }

#endif
#endif
