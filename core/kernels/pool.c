/* Maximum and average pooling: per output pixel over the part of its window that lies in the picture, all channels at once. */
#include <string.h>

#include "kernels/kernels.h"

typedef struct Window {
    const float *x; /* first element inside the picture */
    int n_y, n_x;
} Window;

static Window window_at(const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px)
{
    int y0, y1, x0, x1;
    int64_t iy = px / out_w * win->stride_y - win->pad_t, ix = px % out_w * win->stride_x - win->pad_l;
    mieni_window_range(iy, win->kh, 1, plane->h, &y0, &y1);
    mieni_window_range(ix, win->kw, 1, plane->w, &x0, &x1);
    return (Window){ plane->x + ((iy + y0) * plane->w + ix + x0) * plane->c, y1 - y0, x1 - x0 };
}

void mieni_maxpool_f32_c(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px)
{
    int c = plane->c;
    for (int64_t p = px0; p < px0 + n_px; p++, y += c) {
        Window wd = window_at(plane, win, out_w, p);
        memcpy(y, wd.x, (size_t)c * sizeof(*y));
        for (int ky = 0; ky < wd.n_y; ky++) {
            for (int kx = 0; kx < wd.n_x; kx++) {
                const float *x = wd.x + ((ptrdiff_t)ky * plane->w + kx) * c;
                for (int i = 0; i < c; i++)
                    y[i] = x[i] > y[i] ? x[i] : y[i];
            }
        }
    }
}

void mieni_avgpool_f32_c(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px)
{
    int c = plane->c;
    for (int64_t p = px0; p < px0 + n_px; p++, y += c) {
        Window wd = window_at(plane, win, out_w, p);
        memset(y, 0, (size_t)c * sizeof(*y));
        for (int ky = 0; ky < wd.n_y; ky++) {
            for (int kx = 0; kx < wd.n_x; kx++) {
                const float *x = wd.x + ((ptrdiff_t)ky * plane->w + kx) * c;
                for (int i = 0; i < c; i++)
                    y[i] += x[i];
            }
        }
        float n = (float)wd.n_y * (float)wd.n_x;
        for (int i = 0; i < c; i++)
            y[i] /= n;
    }
}
