/* For tests: frames of every kind of layout, with their own memory, and their samples one by one. */
#ifndef PLANE_FRAMES_H
#define PLANE_FRAMES_H

#include <stdlib.h>
#include <string.h>

#include "image/planes.h"

/* A frame with its own memory, of one of these layouts. */
typedef enum Layout {
    YUV420, YUV422, YUV444, NV12, YUV420_10, P010, RGB24, BGRA, GBRP10, GRAY, GRAY16, YUV440, YUV411, YUV410, YA8, N_LAYOUTS
} Layout;
static const char *const layout_name[] = { "yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10", "p010", "rgb24", "bgra", "gbrp10",
                                           "gray", "gray16", "yuv440p", "yuv411p", "yuv410p", "ya8" };

typedef struct Frame {
    MienPlanes p;
    uint8_t *memory;
    size_t bytes;
} Frame;

static inline Frame make_frame(Layout layout, int w, int h, int full)
{
    static const struct {
        int n, rgb, bits, shift, ssx, ssy, packed;
    } kind[] = {
        [YUV420] = { 3, 0, 8, 0, 2, 2, 0 },  [YUV422] = { 3, 0, 8, 0, 2, 1, 0 },     [YUV444] = { 3, 0, 8, 0, 1, 1, 0 },
        [NV12] = { 3, 0, 8, 0, 2, 2, 2 },    [YUV420_10] = { 3, 0, 10, 0, 2, 2, 0 }, [P010] = { 3, 0, 10, 6, 2, 2, 2 },
        [RGB24] = { 3, 1, 8, 0, 1, 1, 3 },   [BGRA] = { 3, 1, 8, 0, 1, 1, 4 },       [GBRP10] = { 3, 1, 10, 0, 1, 1, 0 },
        [GRAY] = { 1, 0, 8, 0, 1, 1, 0 },    [GRAY16] = { 1, 0, 16, 0, 1, 1, 0 },
        [YUV440] = { 3, 0, 8, 0, 1, 2, 0 },  [YUV411] = { 3, 0, 8, 0, 4, 1, 0 },     [YUV410] = { 3, 0, 8, 0, 4, 4, 0 },
        [YA8] = { 1, 0, 8, 0, 1, 1, 2 },
    };
    const int b = kind[layout].bits + kind[layout].shift > 8 ? 2 : 1;
    Frame f = { .p = { .w_px = w, .h_px = h, .n = kind[layout].n, .rgb = kind[layout].rgb, .full_range = full, .kr = 0.299f,
                       .kb = 0.114f } };
    f.bytes = (size_t)(w + 4) * (size_t)(h + 4) * 8;
    f.memory = malloc(f.bytes);
    memset(f.memory, 0xa5, f.bytes);
    uint8_t *at = f.memory;
    for (int i = 0; i < f.p.n; i++) {
        int packed = kind[layout].packed, chroma = i > 0 && !kind[layout].rgb;
        MienPlane *c = &f.p.plane[i];
        *c = (MienPlane){ .bits = kind[layout].bits, .shift = kind[layout].shift, .w_px = w, .h_px = h, .step_bytes = b };
        if (chroma) {
            c->w_px = (w + kind[layout].ssx - 1) / kind[layout].ssx;
            c->h_px = (h + kind[layout].ssy - 1) / kind[layout].ssy;
        }
        if (packed == 2 && !chroma && f.p.n == 1) { /* gray beside alpha */
            c->step_bytes = 2;
            c->stride_bytes = (ptrdiff_t)w * 2;
            c->data = at;
        } else if (packed >= 3) {
            c->step_bytes = packed;
            c->stride_bytes = w * packed;
            c->data = f.memory + (layout == BGRA ? 2 - i : i);
        } else if (packed == 2 && chroma) {
            c->step_bytes = 2 * b;
            c->stride_bytes = (ptrdiff_t)c->w_px * 2 * b;
            c->data = at + (i - 1) * b;
        } else {
            c->stride_bytes = (ptrdiff_t)c->w_px * b;
            c->data = at;
            at += (size_t)c->stride_bytes * (size_t)c->h_px;
        }
    }
    assert_int_equal(mien_planes_check(&f.p), 0);
    return f;
}

static inline unsigned get(const MienPlane *c, int x, int y)
{
    const uint8_t *p = c->data + y * c->stride_bytes + (ptrdiff_t)x * c->step_bytes;
    uint16_t v = *p;
    if (c->bits + c->shift > 8)
        memcpy(&v, p, 2);
    return v;
}

static inline void put(const MienPlane *c, int x, int y, unsigned v)
{
    uint8_t *p = c->data + y * c->stride_bytes + (ptrdiff_t)x * c->step_bytes;
    uint16_t wide = (uint16_t)(v << c->shift);
    if (c->bits + c->shift > 8)
        memcpy(p, &wide, 2);
    else
        *p = (uint8_t)wide;
}

#endif
