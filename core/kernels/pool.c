/* Maximum and average pooling: per output pixel over the part of its window that lies in the picture, all channels at once. */
#include <string.h>

#include "kernels/kernels.h"

typedef struct Window {
    ptrdiff_t at; /* of the first element inside the picture */
    int n_y, n_x;
} Window;

static Window window_at(const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px)
{
    int y0, y1, x0, x1;
    int64_t iy = px / out_w * win->stride_y - win->pad_t, ix = px % out_w * win->stride_x - win->pad_l;
    mieni_window_range(iy, win->kh, 1, plane->h, &y0, &y1);
    mieni_window_range(ix, win->kw, 1, plane->w, &x0, &x1);
    return (Window){ ((iy + y0) * plane->w + ix + x0) * plane->c, y1 - y0, x1 - x0 };
}

void mieni_maxpool_f32_c(float *y, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px)
{
    int c = plane->c;
    for (int64_t p = px0; p < px0 + n_px; p++, y += c) {
        Window wd = window_at(plane, win, out_w, p);
        memcpy(y, plane->x + wd.at, (size_t)c * sizeof(*y));
        for (int ky = 0; ky < wd.n_y; ky++) {
            for (int kx = 0; kx < wd.n_x; kx++) {
                const float *x = plane->x + wd.at + ((ptrdiff_t)ky * plane->w + kx) * c;
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
                const float *x = plane->x + wd.at + ((ptrdiff_t)ky * plane->w + kx) * c;
                for (int i = 0; i < c; i++)
                    y[i] += x[i];
            }
        }
        float n = (float)wd.n_y * (float)wd.n_x;
        for (int i = 0; i < c; i++)
            y[i] /= n;
    }
}

void mieni_maxpool_grad_f32_c(float *dx, const float *dy, const float *y, const MieniPlane *plane, const MieniWindow *win,
                              int out_w, int oy0, int oy1)
{
    int c = plane->c;
    for (int64_t p = (int64_t)oy0 * out_w; p < (int64_t)oy1 * out_w; p++) {
        Window wd = window_at(plane, win, out_w, p);
        const float *yp = y + p * c, *dyp = dy + p * c;
        for (int i = plane->c0; i < plane->c0 + plane->n_c; i++) {
            ptrdiff_t at = wd.at + i;
            for (int k = 0; k < wd.n_y * wd.n_x; k++) {
                at = wd.at + i + ((ptrdiff_t)(k / wd.n_x) * plane->w + k % wd.n_x) * c;
                if (plane->x[at] == yp[i])
                    break;
            }
            dx[at] += dyp[i];
        }
    }
}

void mieni_avgpool_grad_f32_c(float *dx, const float *dy, int add, const MieniPlane *plane, const MieniWindow *win, int out_w,
                              int oy0, int oy1)
{
    int c = plane->c, n_c = plane->n_c;
    for (int64_t p = (int64_t)oy0 * out_w; p < (int64_t)oy1 * out_w; p++) {
        Window wd = window_at(plane, win, out_w, p);
        const float *restrict d = dy + p * c + plane->c0;
        float scale = 1 / ((float)wd.n_y * (float)wd.n_x);
        for (int ky = 0; ky < wd.n_y; ky++) {
            for (int kx = 0; kx < wd.n_x; kx++) {
                float *restrict to = dx + wd.at + ((ptrdiff_t)ky * plane->w + kx) * c + plane->c0;
                if (add)
                    for (int i = 0; i < n_c; i++)
                        to[i] += d[i] * scale;
                else
                    for (int i = 0; i < n_c; i++)
                        to[i] = d[i] * scale;
            }
        }
    }
}
