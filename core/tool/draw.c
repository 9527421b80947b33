/* Areas, text, boxes; see draw.h. */
#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "draw.h"
#include "media.h"
#include "mien/error.h"

/* Glyphs as 5 rows of 3 bits, most significant bit at the left. */
static const char glyph_chars[] = "0123456789abcdefghijklmnopqrstuvwxyz_-./:%+(),;";
static const uint8_t glyph_rows[][5] = {
    { 7, 5, 5, 5, 7 }, { 2, 6, 2, 2, 7 }, { 7, 1, 7, 4, 7 }, { 7, 1, 3, 1, 7 }, { 5, 5, 7, 1, 1 }, { 7, 4, 7, 1, 7 },
    { 7, 4, 7, 5, 7 }, { 7, 1, 1, 2, 2 }, { 7, 5, 7, 5, 7 }, { 7, 5, 7, 1, 7 }, { 2, 5, 7, 5, 5 }, { 6, 5, 6, 5, 6 },
    { 3, 4, 4, 4, 3 }, { 6, 5, 5, 5, 6 }, { 7, 4, 6, 4, 7 }, { 7, 4, 6, 4, 4 }, { 3, 4, 5, 5, 3 }, { 5, 5, 7, 5, 5 },
    { 7, 2, 2, 2, 7 }, { 1, 1, 1, 5, 2 }, { 5, 5, 6, 5, 5 }, { 4, 4, 4, 4, 7 }, { 5, 7, 7, 5, 5 }, { 6, 5, 5, 5, 5 },
    { 2, 5, 5, 5, 2 }, { 6, 5, 6, 4, 4 }, { 2, 5, 5, 6, 3 }, { 6, 5, 6, 5, 5 }, { 3, 4, 2, 1, 6 }, { 7, 2, 2, 2, 2 },
    { 5, 5, 5, 5, 7 }, { 5, 5, 5, 5, 2 }, { 5, 5, 7, 7, 5 }, { 5, 5, 2, 5, 5 }, { 5, 5, 2, 2, 2 }, { 7, 1, 2, 4, 7 },
    { 0, 0, 0, 0, 7 }, { 0, 0, 7, 0, 0 }, { 0, 0, 0, 0, 2 }, { 1, 1, 2, 4, 4 }, { 0, 2, 0, 2, 0 }, { 5, 1, 2, 4, 5 },
    { 0, 2, 7, 2, 0 }, { 1, 2, 2, 2, 1 }, { 4, 2, 2, 2, 4 }, { 0, 0, 0, 2, 4 }, { 0, 2, 0, 2, 4 },
};

int canvas_create(Canvas *c, int w, int h, const uint8_t colour[3])
{
    *c = (Canvas){ mien_malloc_array((size_t)w * (size_t)h, 3), w, h };
    if (!c->rgb8)
        return MIEN_ERR(ENOMEM);
    canvas_fill(c, 0, 0, w, h, colour);
    return 0;
}

void canvas_free(Canvas *c)
{
    mien_free(c->rgb8);
    *c = (Canvas){ 0 };
}

int canvas_write(const Canvas *c, const char *path, MienLog log)
{
    MienImage img = { .data = c->rgb8, .stride_bytes = 3 * (ptrdiff_t)c->w, .w_px = c->w, .h_px = c->h, .pixel = MIEN_PIXEL_RGB8 };
    return media_write_picture(path, &img, log);
}

void canvas_pixel(const Canvas *c, int x, int y, const uint8_t colour[3])
{
    if (x >= 0 && y >= 0 && x < c->w && y < c->h)
        memcpy(c->rgb8 + ((size_t)y * (size_t)c->w + (size_t)x) * 3, colour, 3);
}

void canvas_fill(const Canvas *c, int x0, int y0, int x1, int y1, const uint8_t colour[3])
{
    x0 = x0 < 0 ? 0 : x0, y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > c->w ? c->w : x1, y1 = y1 > c->h ? c->h : y1;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            canvas_pixel(c, x, y, colour);
}

void canvas_text(const Canvas *c, int x, int y, int size, const uint8_t colour[3], const char *text)
{
    for (; *text; text++, x += 4 * size) {
        const char *at = strchr(glyph_chars, tolower((unsigned char)*text));
        for (int r = 0; at && r < 5; r++)
            for (int k = 0; k < 3; k++)
                if (glyph_rows[at - glyph_chars][r] >> (2 - k) & 1)
                    canvas_fill(c, x + k * size, y + r * size, x + (k + 1) * size, y + (r + 1) * size, colour);
    }
}

void canvas_picture(const Canvas *c, int x, int y, int w, int h, const MienImage *img)
{
    for (int v = 0; v < h; v++)
        for (int u = 0; u < w; u++) {
            int sx = (int)((int64_t)u * img->w_px / w), sy = (int)((int64_t)v * img->h_px / h);
            const uint8_t *p = img->data + sy * img->stride_bytes;
            if (img->pixel == MIEN_PIXEL_RGB8)
                canvas_pixel(c, x + u, y + v, p + 3 * sx);
            else
                canvas_pixel(c, x + u, y + v, (uint8_t[]){ p[sx], p[sx], p[sx] });
        }
}

static int clamp(float v, int max)
{
    return !(v > 0) ? 0 : v > (float)max ? max : (int)lrintf(v);
}

void draw_numbered_box(uint8_t *rgb8, int w_px, int h_px, MienBox box, int number)
{
    static const uint8_t yellow[3] = { 255, 220, 0 }, black[3] = { 0, 0, 0 };
    const Canvas c = { rgb8, w_px, h_px };
    int x0 = clamp(box.x0_px, w_px), y0 = clamp(box.y0_px, h_px), x1 = clamp(box.x1_px, w_px), y1 = clamp(box.y1_px, h_px);
    int t = 1 + (w_px > h_px ? w_px : h_px) / 500; /* line width */
    canvas_fill(&c, x0, y0, x1, y0 + t, yellow);
    canvas_fill(&c, x0, y1 - t, x1, y1, yellow);
    canvas_fill(&c, x0, y0, x0 + t, y1, yellow);
    canvas_fill(&c, x1 - t, y0, x1, y1, yellow);
    /* the number in the box's upper left corner, a quarter of its height but always legible */
    char text[12];
    int n = snprintf(text, sizeof(text), "%d", number), s = (y1 - y0) / 20;
    s = s < 2 ? 2 : s;
    int tx = x0, ty = y0;
    if (tx + (4 * n + 1) * s > w_px)
        tx = w_px - (4 * n + 1) * s;
    if (ty + 7 * s > h_px)
        ty = h_px - 7 * s;
    canvas_fill(&c, tx, ty, tx + (4 * n + 1) * s, ty + 7 * s, black);
    canvas_text(&c, tx + s, ty + s, s, yellow, text);
}
