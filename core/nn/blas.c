/* Matrix products: the one file that calls BLAS.
 *
 * OpenBLAS is the serial flavour, called from inside our jobs, so that parallelism has one owner: the executor that the
 * caller passed in. The threaded flavour would start threads of its own in somebody else's process and fight with ours over
 * the cores; and its results would depend on how many it takes. Serial OpenBLAS (0.3.21 as Debian builds it, without
 * USE_LOCKING) hands one scratch buffer to all who call it at a time, and their products come out wrong: hence the lock. */
#include <cblas.h>
#include <pthread.h>

#include "nn/nn.h"

static pthread_mutex_t blas_lock = PTHREAD_MUTEX_INITIALIZER;

/* C = trans(A)·B + beta·C, row-major. */
static void blas_sgemm(int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float beta,
                       float *c, ptrdiff_t ldc)
{
    pthread_mutex_lock(&blas_lock);
    cblas_sgemm(CblasRowMajor, trans ? CblasTrans : CblasNoTrans, CblasNoTrans, m, n, k, 1, a, (blasint)lda, b, (blasint)ldb, beta,
                c, (blasint)ldc);
    pthread_mutex_unlock(&blas_lock);
}

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
        blas_sgemm(0, m, n, k, a, lda, b, ldb, 0, c, ldc);
}

void mieni_sgemm_add(const MienKernels *kernels, int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b,
                     ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
    if (mieni_own_product(kernels, m, n, k))
        kernels->gemm_add_f32(trans, m, n, k, a, lda, b, ldb, c, ldc);
    else
        blas_sgemm(trans, m, n, k, a, lda, b, ldb, 1, c, ldc);
}

int mieni_blas_threads(void)
{
    return openblas_get_parallel() != 0 && openblas_get_num_threads() > 1;
}
