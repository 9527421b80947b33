/* Matrix products: the one file that calls BLAS.
 *
 * OpenBLAS is the serial flavour, called from inside our jobs, so that parallelism has one owner: the executor that the
 * caller passed in. The threaded flavour would start threads of its own in somebody else's process and fight with ours over
 * the cores; and its results would depend on how many it takes. Serial OpenBLAS guards its buffers by a lock, so several
 * jobs may call it at once. */
#include <cblas.h>

#include "nn/nn.h"

int mieni_own_product(const MienKernels *kernels, int m, int n, int k)
{
    return kernels->level == MIEN_CPU_C || m <= kernels->gemm_max_m || n <= kernels->gemm_max_n ||
           (double)m * n * k <= kernels->gemm_max_macs;
}

void mieni_sgemm(const MienKernels *kernels, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                 float *c, ptrdiff_t ldc)
{
    if (mieni_own_product(kernels, m, n, k))
        kernels->gemm_f32(m, n, k, a, lda, b, ldb, c, ldc);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1, a, (blasint)lda, b, (blasint)ldb, 0, c,
                    (blasint)ldc);
}

void mieni_sgemm_add(const MienKernels *kernels, int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b,
                     ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
    if (mieni_own_product(kernels, m, n, k))
        kernels->gemm_add_f32(trans, m, n, k, a, lda, b, ldb, c, ldc);
    else
        cblas_sgemm(CblasRowMajor, trans ? CblasTrans : CblasNoTrans, CblasNoTrans, m, n, k, 1, a, (blasint)lda, b, (blasint)ldb,
                    1, c, (blasint)ldc);
}

int mieni_blas_threads(void)
{
    return openblas_get_parallel() != 0 && openblas_get_num_threads() > 1;
}
