/* Boxes and digits; see draw.h. */
#include <math.h>
#include <stdio.h>

#include "draw.h"

/* The digits as 5 rows of 3 bits, most significant bit at the left. */
static const uint8_t digit_rows[10][5] = {
    { 7, 5, 5, 5, 7 }, { 2, 6, 2, 2, 7 }, { 7, 1, 7, 4, 7 }, { 7, 1, 3, 1, 7 }, { 5, 5, 7, 1, 1 },
    { 7, 4, 7, 1, 7 }, { 7, 4, 7, 5, 7 }, { 7, 1, 1, 2, 2 }, { 7, 5, 7, 5, 7 }, { 7, 5, 7, 1, 7 },
};

typedef struct Canvas {
    uint8_t *rgb8;
    int w, h;
} Canvas;

static void fill(const Canvas *c, int x0, int y0, int x1, int y1, const uint8_t colour[3])
{
    x0 = x0 < 0 ? 0 : x0, y0 = y0 < 0 ? 0 : y0;
    x1 = x1 > c->w ? c->w : x1, y1 = y1 > c->h ? c->h : y1;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++)
            for (int k = 0; k < 3; k++)
                c->rgb8[((size_t)y * (size_t)c->w + (size_t)x) * 3 + (size_t)k] = colour[k];
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
    fill(&c, x0, y0, x1, y0 + t, yellow);
    fill(&c, x0, y1 - t, x1, y1, yellow);
    fill(&c, x0, y0, x0 + t, y1, yellow);
    fill(&c, x1 - t, y0, x1, y1, yellow);
    /* the number in the box's upper left corner, a quarter of its height but always legible */
    char text[12];
    int n = snprintf(text, sizeof(text), "%d", number), s = (y1 - y0) / 20;
    s = s < 2 ? 2 : s;
    int tx = x0, ty = y0;
    if (tx + (4 * n + 1) * s > w_px)
        tx = w_px - (4 * n + 1) * s;
    if (ty + 7 * s > h_px)
        ty = h_px - 7 * s;
    fill(&c, tx, ty, tx + (4 * n + 1) * s, ty + 7 * s, black);
    for (int i = 0; i < n; i++)
        for (int r = 0; r < 5; r++)
            for (int k = 0; k < 3; k++)
                if (digit_rows[text[i] - '0'][r] >> (2 - k) & 1)
                    fill(&c, tx + (4 * i + 1 + k) * s, ty + (1 + r) * s, tx + (4 * i + 2 + k) * s, ty + (2 + r) * s, yellow);
}
