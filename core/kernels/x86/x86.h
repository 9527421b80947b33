/* What the x86 files offer to the dispatch in kernels/init.c. */
#ifndef MIENI_X86_H
#define MIENI_X86_H

#include "kernels/kernels.h"

/* What this processor and operating system allow. */
MienCpu mieni_x86_level(void);

/* Override what the level does better than the one below; call only where the machine has it. */
void mieni_x86_init_avx2(MienKernels *k);
void mieni_x86_init_resample_avx2(MienKernels *k);
void mieni_x86_init_avx512(MienKernels *k);

#endif
