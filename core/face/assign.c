/* assign.c — the Hungarian method with potentials and shortest augmenting paths (Jonker and Volgenant 1987), O(n³).
 *
 * Every row gets a column of its own that costs `none`, so that staying alone is always possible.
 */
#include "face/assign.h"

#include <math.h>
#include <string.h>

unsigned long mieni_assign_work_bytes(int max)
{
    unsigned long n = 2 * (unsigned long)max + 2;
    return n * (3 * sizeof(double) + 3 * sizeof(int));
}

static double cell(const float *cost, int n_cols, float none, int r, int c)
{
    if (c >= n_cols)
        return c - n_cols == r ? none : 1e9;
    float v = cost[r * n_cols + c];
    return v < none ? v : 1e9;
}

void mieni_assign(const float *cost, int n_rows, int n_cols, float none, int *column, void *work)
{
    int m = n_cols + n_rows, size = m + 1;
    double *u = work, *v = u + size, *least = v + size; /* rows and columns count from 1, 0 is the start */
    int *row_of = (int *)(least + size), *way = row_of + size, *done = way + size;
    for (int i = 0; i < size; i++) {
        u[i] = v[i] = 0;
        row_of[i] = 0;
    }
    for (int r = 1; r <= n_rows; r++) {
        int at = 0;
        row_of[0] = r;
        for (int c = 0; c < size; c++) {
            least[c] = INFINITY;
            way[c] = 0;
            done[c] = 0;
        }
        do {
            done[at] = 1;
            int row = row_of[at], next = 0;
            double step = INFINITY;
            for (int c = 1; c <= m; c++) {
                if (done[c])
                    continue;
                double reduced = cell(cost, n_cols, none, row - 1, c - 1) - u[row] - v[c];
                if (reduced < least[c]) {
                    least[c] = reduced;
                    way[c] = at;
                }
                if (least[c] < step) {
                    step = least[c];
                    next = c;
                }
            }
            for (int c = 0; c <= m; c++) {
                if (done[c]) {
                    u[row_of[c]] += step;
                    v[c] -= step;
                } else {
                    least[c] -= step;
                }
            }
            at = next;
        } while (row_of[at]);
        for (; at; at = way[at])
            row_of[at] = row_of[way[at]];
    }
    for (int r = 0; r < n_rows; r++)
        column[r] = -1;
    for (int c = 1; c <= n_cols; c++)
        if (row_of[c])
            column[row_of[c] - 1] = c - 1;
}
