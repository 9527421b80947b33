/* svg.h — small charts as SVG: axes, lines, bars, text. */
#ifndef MIEN_TOOL_SVG_H
#define MIEN_TOOL_SVG_H

#include <stddef.h>

#include "mien/log.h"

typedef struct Svg {
    char *text;
    size_t bytes, room;
    int failed; /* memory ran out; svg_write says so */
} Svg;

void svg_begin(Svg *s, int w_px, int h_px);
void svg_text(Svg *s, double x, double y, const char *anchor, int size_px, const char *text); /* anchor: start, middle, end */

/* A panel with axes. log_x, log_y: that axis is logarithmic (x0, y0 > 0). Coordinates of what is drawn in it are in its units; what lies
 * outside is cut off at the edges. */
typedef struct SvgPanel {
    double left, top, w, h; /* px */
    double x0, x1, y0, y1;
    int log_x, log_y;
    const char *title, *x_label, *y_label;
} SvgPanel;

void svg_axes(Svg *s, const SvgPanel *p, int n_x_ticks, int n_y_ticks, int y_percent);
void svg_line(Svg *s, const SvgPanel *p, const double *x, const double *y, size_t n, const char *colour);
void svg_bar(Svg *s, const SvgPanel *p, double x0, double x1, double y, const char *colour);
void svg_mark_x(Svg *s, const SvgPanel *p, double x, const char *colour, const char *label); /* vertical dashed line */

void svg_label(Svg *s, const SvgPanel *p, double x, double y, const char *anchor, const char *text); /* at a point of the panel */

/* Ends the picture, writes the file whole or not at all, frees. 0 or negative after a message. */
int svg_write(Svg *s, const char *path, MienLog log);

#endif
