/* Matrix product in plain C: the reference, and all of the exact mode. Every element is a sum over k in order, one
 * rounding a product and one a sum; columns are taken in blocks that stay in the first-level cache. */
#include "kernels/kernels.h"

enum { BLOCK_N = 64 };

static void row_block(int n, int k, const float *restrict a, const float *restrict b, ptrdiff_t ldb, float *restrict c)
{
    float acc[BLOCK_N] = { 0 };
    if (n == BLOCK_N) {
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < BLOCK_N; j++)
                acc[j] += a[i] * b[i * ldb + j];
        }
    } else {
        for (int i = 0; i < k; i++) {
            for (int j = 0; j < n; j++)
                acc[j] += a[i] * b[i * ldb + j];
        }
    }
    for (int j = 0; j < n; j++)
        c[j] = acc[j];
}

void mieni_gemm_f32_c(int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c,
                      ptrdiff_t ldc)
{
    for (int j = 0; j < n; j += BLOCK_N) {
        int nj = n - j < BLOCK_N ? n - j : BLOCK_N;
        for (int i = 0; i < m; i++)
            row_block(nj, k, a + i * lda, b + j, ldb, c + i * ldc + j);
    }
}

void mieni_gemm_add_f32_c(int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                          float *c, ptrdiff_t ldc)
{
    ptrdiff_t a_row = trans ? 1 : lda, a_k = trans ? lda : 1;
    for (int j = 0; j < n; j += BLOCK_N) {
        int nj = n - j < BLOCK_N ? n - j : BLOCK_N;
        for (int i = 0; i < m; i++) {
            float *restrict ci = c + i * ldc + j;
            const float *ai = a + i * a_row, *restrict bj = b + j;
            for (int kk = 0; kk < k; kk++)
                for (int jj = 0; jj < nj; jj++)
                    ci[jj] += ai[kk * a_k] * bj[kk * ldb + jj];
        }
    }
}
