/* Charts as SVG 1.1; see svg.h. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "mien/common.h"
#include "mien/error.h"
#include "svg.h"

static void put(Svg *s, const char *fmt, ...) MIEN_PRINTF(2, 3);

static void put(Svg *s, const char *fmt, ...)
{
    char line[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (s->failed || n < 0 || (size_t)n >= sizeof(line)) {
        s->failed = 1;
        return;
    }
    if (s->bytes + (size_t)n + 1 > s->room) {
        size_t room = (s->room ? s->room * 2 : 8192) + (size_t)n;
        char *text = mien_realloc_array(s->text, room, 1);
        if (!text) {
            s->failed = 1;
            return;
        }
        s->text = text;
        s->room = room;
    }
    memcpy(s->text + s->bytes, line, (size_t)n + 1);
    s->bytes += (size_t)n;
}

void svg_begin(Svg *s, int w_px, int h_px)
{
    *s = (Svg){ 0 };
    put(s, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\">\n", w_px,
        h_px, w_px, h_px);
    put(s, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", w_px, h_px);
}

void svg_text(Svg *s, double x, double y, const char *anchor, int size_px, const char *text)
{
    put(s, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" font-size=\"%d\" fill=\"#333333\">", x, y, anchor, size_px);
    for (; *text; text++) {
        if (*text == '&' || *text == '<' || *text == '>')
            put(s, *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : "&gt;");
        else
            put(s, "%c", *text);
    }
    put(s, "</text>\n");
}

/* Where v lies on an axis from v0 (0) to v1 (1), cut off at its ends. */
static double on_axis(double v, double v0, double v1, int is_log)
{
    double t = is_log ? (log10(fmax(v, v0)) - log10(v0)) / (log10(v1) - log10(v0)) : (v - v0) / (v1 - v0);
    return fmin(fmax(t, 0), 1);
}

/* The value of tick i of n. */
static double tick_at(int i, int n, double v0, double v1, int is_log)
{
    return is_log ? pow(10, log10(v0) + (log10(v1) - log10(v0)) * i / n) : v0 + (v1 - v0) * i / n;
}

static double px_x(const SvgPanel *p, double x)
{
    return p->left + p->w * on_axis(x, p->x0, p->x1, p->log_x);
}

static double px_y(const SvgPanel *p, double y)
{
    return p->top + p->h * (1 - on_axis(y, p->y0, p->y1, p->log_y));
}

void svg_axes(Svg *s, const SvgPanel *p, int n_x, int n_y, int y_percent)
{
    char label[40];
    svg_text(s, p->left + p->w / 2, p->top - 12, "middle", 15, p->title);
    svg_text(s, p->left + p->w / 2, p->top + p->h + 40, "middle", 12, p->x_label);
    put(s, "<g transform=\"rotate(-90 %.1f %.1f)\">", p->left - 45, p->top + p->h / 2);
    svg_text(s, p->left - 45, p->top + p->h / 2, "middle", 12, p->y_label);
    put(s, "</g>\n");
    for (int i = 0; i <= n_x; i++) {
        double v = tick_at(i, n_x, p->x0, p->x1, p->log_x);
        put(s, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"#dddddd\"/>\n", px_x(p, v), p->top, p->top + p->h);
        snprintf(label, sizeof(label), "%g", v);
        svg_text(s, px_x(p, v), p->top + p->h + 18, "middle", 11, label);
    }
    for (int i = 0; i <= n_y; i++) {
        double v = tick_at(i, n_y, p->y0, p->y1, p->log_y);
        put(s, "<path d=\"M%.1f %.1fH%.1f\" stroke=\"#dddddd\"/>\n", p->left, px_y(p, v), p->left + p->w);
        snprintf(label, sizeof(label), y_percent ? "%.3g %%" : "%.3g", y_percent ? v * 100 : v);
        svg_text(s, p->left - 6, px_y(p, v) + 4, "end", 11, label);
    }
    put(s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"none\" stroke=\"#333333\"/>\n", p->left, p->top, p->w, p->h);
}

void svg_line(Svg *s, const SvgPanel *p, const double *x, const double *y, size_t n, const char *colour)
{
    put(s, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colour);
    double last_x = -1, last_y = -1;
    for (size_t i = 0; i < n; i++) { /* points that would fall on the one before are left out */
        double u = px_x(p, x[i]), v = px_y(p, y[i]);
        if (i + 1 < n && fabs(u - last_x) < 0.05 && fabs(v - last_y) < 0.05)
            continue;
        put(s, "%.1f,%.1f ", u, v);
        last_x = u;
        last_y = v;
    }
    put(s, "\"/>\n");
}

void svg_bar(Svg *s, const SvgPanel *p, double x0, double x1, double y, const char *colour)
{
    double u = px_x(p, x0), v = px_y(p, y);
    put(s, "<rect x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" fill-opacity=\"0.55\"/>\n", u, v, px_x(p, x1) - u,
        p->top + p->h - v, colour);
}

void svg_mark_x(Svg *s, const SvgPanel *p, double x, const char *colour, const char *label)
{
    put(s, "<path d=\"M%.1f %.1fV%.1f\" stroke=\"%s\" stroke-dasharray=\"5 4\"/>\n", px_x(p, x), p->top, p->top + p->h, colour);
    svg_text(s, px_x(p, x) + 5, p->top + 16, "start", 11, label);
}

void svg_label(Svg *s, const SvgPanel *p, double x, double y, const char *anchor, const char *text)
{
    svg_text(s, px_x(p, x), px_y(p, y), anchor, 12, text);
}

int svg_write(Svg *s, const char *path, MienLog log)
{
    put(s, "</svg>\n");
    int ret = s->failed ? mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", path)
                        : mieni_file_write_atomic(path, s->text, s->bytes, 0644, log);
    mien_free(s->text);
    *s = (Svg){ 0 };
    return ret;
}
