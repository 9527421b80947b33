/* draw.h — numbered boxes on a picture, so that a user can say which face is meant. */
#ifndef MIEN_TOOL_DRAW_H
#define MIEN_TOOL_DRAW_H

#include "mien/image.h"

/* Draws a box and its number on an RGB8 picture of w × h pixels without gaps between rows. Clipped to the picture. */
void draw_numbered_box(uint8_t *rgb8, int w_px, int h_px, MienBox box, int number);

#endif
