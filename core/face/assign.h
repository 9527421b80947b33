/* assign.h — the cheapest one-to-one assignment. */
#ifndef MIEN_FACE_ASSIGN_H
#define MIEN_FACE_ASSIGN_H

/* Assigns each of n_rows to a column of its own or to none. cost [n_rows][n_cols], row after row; entries >= none are never
 * chosen (NaN likewise). column[r] gets the column or -1; the sum of the chosen costs, each none-assignment counting `none`, is
 * least. n_rows, n_cols <= max; work is mieni_assign_work_bytes(max) bytes, aligned for double. */
void mieni_assign(const float *cost, int n_rows, int n_cols, float none, int *column, void *work);
unsigned long mieni_assign_work_bytes(int max);

#endif
