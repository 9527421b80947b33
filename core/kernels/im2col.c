/* A convolution's windows as rows of a matrix. With NHWC and no dilation along x, the kw·c values of a window's row lie one
 * behind the other in the picture. */
#include <string.h>

#include "kernels/kernels.h"

/* One window row: kw groups of n_c values; columns outside the picture are zeros. line: the picture's row iy. */
static float *window_row(float *a, const float *line, const MieniPlane *plane, const MieniWindow *win, int64_t ix0)
{
    int k0, k1, n_c = plane->n_c;
    mieni_window_range(ix0, win->kw, win->dil_x, plane->w, &k0, &k1);
    for (int i = 0; i < k0 * n_c; i++)
        *a++ = 0;
    const float *x = line + (ix0 + (int64_t)k0 * win->dil_x) * plane->c + plane->c0;
    if (win->dil_x == 1 && n_c == plane->c) {
        size_t n = (size_t)(k1 - k0) * (size_t)n_c;
        memcpy(a, x, n * sizeof(*a));
        a += n;
    } else {
        for (int kx = k0; kx < k1; kx++, a += n_c, x += (ptrdiff_t)win->dil_x * plane->c)
            memcpy(a, x, (size_t)n_c * sizeof(*a));
    }
    for (int i = 0; i < (win->kw - k1) * n_c; i++)
        *a++ = 0;
    return a;
}

void mieni_im2col_f32_c(float *a, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px)
{
    size_t row_elems = (size_t)win->kw * (size_t)plane->n_c;
    for (int64_t p = px0; p < px0 + n_px; p++) {
        int64_t iy = p / out_w * win->stride_y - win->pad_t;
        int64_t ix = p % out_w * win->stride_x - win->pad_l;
        for (int ky = 0; ky < win->kh; ky++, iy += win->dil_y) {
            if (iy < 0 || iy >= plane->h) {
                memset(a, 0, row_elems * sizeof(*a));
                a += row_elems;
            } else {
                a = window_row(a, plane->x + iy * plane->w * plane->c, plane, win, ix);
            }
        }
    }
}
