/* Which levels this processor has. The compiler's own test also asks whether the operating system saves the registers. */
#include "kernels/x86/x86.h"

MienCpu mieni_x86_level(void)
{
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return MIEN_CPU_C;
    if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") || !__builtin_cpu_supports("avx512dq") ||
        !__builtin_cpu_supports("avx512vl"))
        return MIEN_CPU_AVX2;
    return MIEN_CPU_AVX512;
}
