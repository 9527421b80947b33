/* The parts of the loss that look at pixels alone: total variation, range, temporal references, the anchor (formulas: mien/style.h).
 *
 * Work is cut into rows; each row's sum is a double in a place of its own, and the places are added in order. */
#include <math.h>

#include "style/style_int.h"

/* One pass over the picture's rows: what a row adds to g is that row's alone. */
typedef struct RowPass RowPass;
typedef double (*RowFn)(const RowPass *pass, int y);
struct RowPass {
    const MienStyle *s;
    RowFn fn;
    const float *x;
    float *g;
    const MieniStyleRef *ref;
    double weight;
};

static void rows_job(void *arg, int i_job, int n_jobs)
{
    const RowPass *pass = arg;
    int h = pass->s->p.h_px;
    for (int y = (int)((int64_t)h * i_job / n_jobs); y < (int)((int64_t)h * (i_job + 1) / n_jobs); y++)
        pass->s->row_sum[y] = pass->fn(pass, y);
}

static double run_rows(RowPass pass)
{
    const MienStyle *s = pass.s;
    double sum = 0;
    mien_exec_run(s->p.exec, rows_job, &pass, s->p.exec.n_threads > 1 ? s->p.exec.n_threads : 1);
    for (int y = 0; y < s->p.h_px; y++)
        sum += s->row_sum[y];
    return sum;
}

/* ---- total variation */

/* A row's differences to its right and lower neighbours; the gradient takes in those to the left and upper ones, too. */
static double tv_row(const RowPass *pass, int y)
{
    const int w = pass->s->p.w_px, h = pass->s->p.h_px;
    const size_t row = (size_t)w * 3;
    const float *x = pass->x + (size_t)y * row, *below = y + 1 < h ? x + row : x, *above = y > 0 ? x - row : x;
    const double ux = w > 1 ? 1 / (3.0 * h * (w - 1)) : 0, uy = h > 1 ? 1 / (3.0 * (h - 1) * w) : 0;
    double sum_x = 0, sum_y = 0;
    for (size_t i = 0; i + 3 < row; i++) {
        double d = (double)x[i + 3] - (double)x[i];
        sum_x += d * d;
    }
    for (size_t i = 0; i < row; i++) {
        double d = (double)below[i] - (double)x[i];
        sum_y += d * d;
    }
    if (pass->g) {
        float *g = pass->g + (size_t)y * row, kx = (float)(2 * pass->weight * ux), ky = (float)(2 * pass->weight * uy);
        for (size_t i = 0; i < row; i++)
            g[i] += ky * (2 * x[i] - below[i] - above[i]);
        for (size_t i = 3; i + 3 < row; i++)
            g[i] += kx * (2 * x[i] - x[i - 3] - x[i + 3]);
        for (size_t i = 0; i < 3 && w > 1; i++) {
            g[i] += kx * (x[i] - x[i + 3]);
            g[row - 3 + i] += kx * (x[row - 3 + i] - x[row - 6 + i]);
        }
    }
    return sum_x * ux + sum_y * uy;
}

double mieni_style_tv(const MienStyle *s, const float *x, double weight, float *g)
{
    return run_rows((RowPass){ .s = s, .fn = tv_row, .x = x, .g = g, .weight = weight });
}

/* ---- range */

static double range_row(const RowPass *pass, int y)
{
    const size_t row = (size_t)pass->s->p.w_px * 3;
    const float *x = pass->x + (size_t)y * row;
    const double unit = 1 / (double)pass->s->n;
    double sum = 0;
    for (size_t i = 0; i < row; i++) {
        float over = x[i] < 0 ? x[i] : x[i] > 1 ? x[i] - 1 : 0;
        sum += (double)(over * over);
        if (pass->g)
            pass->g[(size_t)y * row + i] += (float)(2 * pass->weight * unit) * over;
    }
    return sum * unit;
}

double mieni_style_range(const MienStyle *s, const float *x, double weight, float *g)
{
    return run_rows((RowPass){ .s = s, .fn = range_row, .x = x, .g = g, .weight = weight });
}

/* ---- temporal */

static double temporal_row(const RowPass *pass, int y)
{
    const size_t w = (size_t)pass->s->p.w_px, at = (size_t)y * w;
    const float *x = pass->x + at * 3, *r = pass->ref->rgb + at * 3, *c = pass->ref->certainty ? pass->ref->certainty + at : NULL;
    float *g = pass->g ? pass->g + at * 3 : NULL;
    const double unit = pass->ref->weight / (double)pass->s->n;
    double sum = 0;
    for (size_t i = 0; i < w; i++) {
        float certain = c ? c[i] : 1;
        for (size_t k = 3 * i; k < 3 * i + 3; k++) {
            float d = x[k] - r[k];
            sum += (double)(certain * d * d);
            if (g)
                g[k] += (float)(2 * unit) * certain * d;
        }
    }
    return sum * unit;
}

double mieni_style_temporal(const MienStyle *s, const float *x, const MieniStyleRef *ref, float *g)
{
    return run_rows((RowPass){ .s = s, .fn = temporal_row, .x = x, .g = g, .ref = ref });
}

/* ---- anchor: nodes at multiples of the cell, each the mean of x under a tent that reaches to its neighbours */

int mieni_style_nodes(int side_px, int cell_px)
{
    return (side_px - 1) / cell_px + 2;
}

static double tent(int at_px, int i_node, int cell_px)
{
    double d = fabs((double)at_px / cell_px - i_node);
    return d < 1 ? 1 - d : 0;
}

static double tent_sum(int i_node, int cell_px, int side_px)
{
    double sum = 0;
    for (int i = (i_node - 1) * cell_px; i <= (i_node + 1) * cell_px; i++)
        sum += i >= 0 && i < side_px ? tent(i, i_node, cell_px) : 0;
    return sum;
}

typedef struct Smooth {
    const MienStyle *s;
    const float *x;
    double *node;
} Smooth;

/* Node rows. Nodes that no pixel reaches stay 0. */
static void smooth_job(void *arg, int i_job, int n_jobs)
{
    const Smooth *sm = arg;
    const MienStyle *s = sm->s;
    const int w = s->p.w_px, h = s->p.h_px, cell = s->anchor_cell_px;
    for (int j = s->anchor_h * i_job / n_jobs; j < s->anchor_h * (i_job + 1) / n_jobs; j++) {
        double *node = sm->node + (size_t)j * (size_t)s->anchor_w * 3, sum_y = tent_sum(j, cell, h);
        for (int i = 0; i < s->anchor_w * 3; i++)
            node[i] = 0;
        for (int y = (j - 1) * cell < 0 ? 0 : (j - 1) * cell; y < h && y <= (j + 1) * cell; y++) {
            const float *x = sm->x + (size_t)y * (size_t)w * 3;
            double wy = tent(y, j, cell);
            for (int i = 0; i < w; i++) {
                double right = (double)(i % cell) / cell, *n = node + i / cell * 3;
                for (int k = 0; k < 3; k++) {
                    double v = wy * (double)x[i * 3 + k];
                    n[k] += (1 - right) * v;
                    n[3 + k] += right * v;
                }
            }
        }
        for (int i = 0; i < s->anchor_w; i++) {
            double sum = sum_y * tent_sum(i, cell, w);
            for (int k = 0; k < 3; k++)
                node[i * 3 + k] = sum > 0 ? node[i * 3 + k] / sum : 0;
        }
    }
}

void mieni_style_smooth(const MienStyle *s, const float *x, double *node)
{
    Smooth sm = { s, x, node };
    mien_exec_run(s->p.exec, smooth_job, &sm, s->p.exec.n_threads > 1 ? s->p.exec.n_threads : 1);
}

/* Residuals, already divided by their tents' sums, spread over the row's pixels. */
static double anchor_row(const RowPass *pass, int y)
{
    const MienStyle *s = pass->s;
    const int w = s->p.w_px, cell = s->anchor_cell_px, ld = s->anchor_w * 3;
    const double down = (double)(y % cell) / cell, *upper = s->anchor_residual + (size_t)(y / cell) * (size_t)ld, *lower = upper + ld;
    float *g = pass->g + (size_t)y * (size_t)w * 3;
    for (int i = 0; i < w; i++) {
        double right = (double)(i % cell) / cell;
        for (int k = 0; k < 3; k++) {
            int a = i / cell * 3 + k, b = a + 3;
            g[i * 3 + k] += (float)(pass->weight * ((1 - down) * ((1 - right) * upper[a] + right * upper[b]) +
                                                    down * ((1 - right) * lower[a] + right * lower[b])));
        }
    }
    return 0;
}

double mieni_style_anchor(MienStyle *s, const float *x, float *g)
{
    const int n_x = s->anchor_w, n_y = s->anchor_h, cell = s->anchor_cell_px;
    const double unit = s->anchor_weight / (3.0 * n_x * n_y);
    double sum = 0;
    mieni_style_smooth(s, x, s->anchor_residual);
    for (int j = 0; j < n_y; j++) {
        double sum_y = tent_sum(j, cell, s->p.h_px);
        for (int i = 0; i < n_x; i++) {
            double area = sum_y * tent_sum(i, cell, s->p.w_px);
            for (int k = 0; k < 3; k++) {
                size_t at = ((size_t)j * (size_t)n_x + (size_t)i) * 3 + (size_t)k;
                double d = s->anchor_residual[at] - s->anchor_node[at];
                sum += d * d;
                s->anchor_residual[at] = area > 0 ? d / area : 0;
            }
        }
    }
    if (g)
        run_rows((RowPass){ .s = s, .fn = anchor_row, .x = x, .g = g, .weight = 2 * unit });
    return sum * unit;
}
