/* draw.h — simple drawing on RGB8 pictures: areas, small text, pictures in pictures, numbered boxes. */
#ifndef MIEN_TOOL_DRAW_H
#define MIEN_TOOL_DRAW_H

#include "mien/image.h"
#include "mien/log.h"

/* RGB8 without gaps between rows. Everything drawn is clipped to it. */
typedef struct Canvas {
    uint8_t *rgb8;
    int w, h;
} Canvas;

/* A canvas of one colour; canvas_free gives it back. ENOMEM. */
int canvas_create(Canvas *c, int w, int h, const uint8_t colour[3]);
void canvas_free(Canvas *c);
/* Writes it as media_write_picture does. */
int canvas_write(const Canvas *c, const char *path, MienLog log);

/* x0 <= x < x1, y0 <= y < y1 */
void canvas_fill(const Canvas *c, int x0, int y0, int x1, int y1, const uint8_t colour[3]);
void canvas_pixel(const Canvas *c, int x, int y, const uint8_t colour[3]);
/* Letters (small and capital look the same), digits and .,:;-_+/()% in a face of 3 × 5 points of `size` pixels; others are blanks.
 * A letter takes 4 · size pixels of width. */
void canvas_text(const Canvas *c, int x, int y, int size, const uint8_t colour[3], const char *text);
/* A picture, w × h pixels from (x, y) on, each the nearest of the picture's. */
void canvas_picture(const Canvas *c, int x, int y, int w, int h, const MienImage *img);

/* Draws a box and its number on an RGB8 picture of w × h pixels without gaps between rows. */
void draw_numbered_box(uint8_t *rgb8, int w_px, int h_px, MienBox box, int number);

#endif
