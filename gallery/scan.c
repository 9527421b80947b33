/* The reference scan: inner products of one probe with every row. Sixteen running sums, so that a compiler can keep them in vector
 * registers without being allowed to reorder; they are added up in a fixed order. */
#include "gallery_int.h"

#define LANES 16

void mieni_scan_f32_c(const float *restrict row, size_t ld_elems, size_t n_rows, const float *restrict probe,
                      float *restrict sim)
{
    for (size_t r = 0; r < n_rows; r++, row += ld_elems) {
        float sum[LANES] = { 0 };
        for (size_t k = 0; k < ld_elems; k += LANES) {
            for (size_t j = 0; j < LANES; j++)
                sum[j] += row[k + j] * probe[k + j];
        }
        for (size_t step = LANES / 2; step; step /= 2) {
            for (size_t j = 0; j < step; j++)
                sum[j] += sum[j + step];
        }
        sim[r] = sum[0];
    }
}
