/* Losses and gradients through the network, tile by tile (method: mien/style.h).
 *
 * First every tile runs forward, and the Gram matrices of its core's positions are added up. Then the matrices M of
 * dJ/dF = F·M are known, and every tile goes backward from its own core's positions; the gradients of the tiles' windows
 * add up where they overlap, and where the border mirrors a pixel. With one tile its activations are still there; with
 * more each tile runs forward once again, which keeps memory to that of one tile. */
#include <math.h>
#include <string.h>

#include "mien/error.h"
#include "nn/gram.h"
#include "style/style_int.h"

#define TINY 1e-12 /* of a mean square: activations or Gram matrices that are nothing */

static int n_jobs_of(const MienStyle *s)
{
    return s->p.exec.n_threads > 1 ? s->p.exec.n_threads : 1;
}

static int part_of(int n, int i_job, int n_jobs)
{
    return (int)((int64_t)n * i_job / n_jobs);
}

/* One pass over rows of a tile, of the input or of a tap's activation. */
typedef struct TilePass {
    MienStyle *s;
    const MieniStyleTile *tile;
    MieniStyleTap *tap;
    MieniStyleSpan span;
    MienShape shape;
    const float *from;
    float *to;
} TilePass;

/* ---- between picture and window */

static void fill_job(void *arg, int i_job, int n_jobs)
{
    const TilePass *p = arg;
    const MienStyle *s = p->s;
    const int w = p->shape.w, *mx = s->mirror_x + p->tile->x0, *my = s->mirror_y + p->tile->y0;
    for (int y = part_of(p->shape.h, i_job, n_jobs); y < part_of(p->shape.h, i_job + 1, n_jobs); y++) {
        const float *from = p->from + (size_t)my[y] * (size_t)s->p.w_px * 3;
        float *to = p->to + (size_t)y * (size_t)w * 3;
        for (int x = 0; x < w; x++)
            memcpy(to + 3 * x, from + 3 * mx[x], 3 * sizeof(float));
    }
}

static int run_tile(MienStyle *s, const MieniStyleTile *tile, const float *x)
{
    TilePass p = { .s = s, .tile = tile, .from = x };
    p.to = mien_net_input(s->net, &p.shape);
    mien_exec_run(s->p.exec, fill_job, &p, n_jobs_of(s));
    return mien_net_run(s->net);
}

/* Adds a window's gradient to the picture's: each job has rows of the picture, and takes what mirrors them. */
static void scatter_job(void *arg, int i_job, int n_jobs)
{
    const TilePass *p = arg;
    const MienStyle *s = p->s;
    const int w = p->shape.w, *mx = s->mirror_x + p->tile->x0, *my = s->mirror_y + p->tile->y0;
    const int y0 = part_of(s->p.h_px, i_job, n_jobs), y1 = part_of(s->p.h_px, i_job + 1, n_jobs);
    for (int y = 0; y < p->shape.h; y++) {
        if (my[y] < y0 || my[y] >= y1)
            continue;
        const float *from = p->from + (size_t)y * (size_t)w * 3;
        float *to = p->to + (size_t)my[y] * (size_t)s->p.w_px * 3;
        for (int x = 0; x < w; x++)
            for (int k = 0; k < 3; k++)
                to[3 * mx[x] + k] += from[3 * x + k];
    }
}

/* ---- positions of a layer */

MieniStyleSpan mieni_style_span(const MienStyle *s, const MieniStyleTap *tap, const MieniStyleTile *tile)
{
    MienShape shape;
    mien_net_output(s->net, tap->i_output, &shape);
    if (s->whole)
        return (MieniStyleSpan){ 0, 0, shape.w, shape.h, shape.w };
    return (MieniStyleSpan){ (tile->core_x0 - tile->x0) / tap->step, (tile->core_y0 - tile->y0) / tap->step,
                             (tile->core_x1 - tile->x0 + tap->step - 1) / tap->step,
                             (tile->core_y1 - tile->y0 + tap->step - 1) / tap->step, shape.w };
}

static TilePass pass_of(MienStyle *s, MieniStyleTap *tap, const MieniStyleTile *tile)
{
    TilePass p = { .s = s, .tile = tile, .tap = tap, .span = mieni_style_span(s, tap, tile) };
    p.from = mien_net_output(s->net, tap->i_output, &p.shape);
    return p;
}

/* How much position (y, x) of a tap counts: the mean of the mask over the pixels that it stands for. */
static float mask_at(const TilePass *p, int y, int x)
{
    const MienStyle *s = p->s;
    const int step = p->tap->step, *mx = s->mirror_x + p->tile->x0 + x * step, *my = s->mirror_y + p->tile->y0 + y * step;
    float sum = 0;
    for (int j = 0; j < step; j++)
        for (int i = 0; i < step; i++)
            sum += s->mask[(size_t)my[j] * (size_t)s->p.w_px + (size_t)mx[i]];
    return sum / (float)(step * step);
}

/* A core's activations without gaps, times the root of the mask; the rows' shares of `count` go to row_sum. */
static void gather_job(void *arg, int i_job, int n_jobs)
{
    const TilePass *p = arg;
    const MieniStyleSpan *sp = &p->span;
    const size_t c = (size_t)p->tap->c, n_x = (size_t)(sp->x1 - sp->x0);
    const int n_y = sp->y1 - sp->y0;
    for (int i = part_of(n_y, i_job, n_jobs); i < part_of(n_y, i_job + 1, n_jobs); i++) {
        const float *from = p->from + ((size_t)(sp->y0 + i) * (size_t)sp->ld + (size_t)sp->x0) * c;
        float *to = p->to + (size_t)i * n_x * c;
        p->s->row_sum[i] = (double)n_x;
        if (!p->s->mask) {
            memcpy(to, from, n_x * c * sizeof(float));
            continue;
        }
        double sum = 0;
        for (size_t x = 0; x < n_x; x++) {
            float m = mask_at(p, sp->y0 + i, sp->x0 + (int)x), root = sqrtf(m > 0 ? m : 0);
            for (size_t k = 0; k < c; k++)
                to[x * c + k] = root * from[x * c + k];
            sum += (double)(root * root);
        }
        p->s->row_sum[i] = sum;
    }
}

static void add_gram(MienStyle *s, MieniStyleTap *tap, const MieniStyleTile *tile)
{
    TilePass p = pass_of(s, tap, tile);
    const int n_y = p.span.y1 - p.span.y0;
    const ptrdiff_t n_px = (ptrdiff_t)(p.span.x1 - p.span.x0) * n_y;
    const float *f = p.from;
    if (s->mask || n_px != (ptrdiff_t)p.shape.h * p.shape.w) {
        f = p.to = s->gather;
        mien_exec_run(s->p.exec, gather_job, &p, n_jobs_of(s));
        for (int i = 0; i < n_y; i++)
            tap->count += s->row_sum[i];
    } else {
        tap->count += (double)n_px;
    }
    mieni_gram_f32(s->p.exec, s->kernels, f, n_px, tap->c, 1, tap->part, s->gram_work);
    for (int i = 0; i < tap->c * tap->c; i++)
        tap->sum[i] += (double)tap->part[i];
}

/* The style's loss, and for every layer the matrix that its gradient comes from. */
static double finish_style(MienStyle *s)
{
    double loss = 0;
    for (int i = 0; i < s->n_taps; i++) {
        MieniStyleTap *tap = &s->tap[i];
        if (!tap->is_style || tap->weight <= 0 || tap->count < TINY)
            continue;
        const size_t cc = (size_t)tap->c * (size_t)tap->c;
        const double unit = 1 / fmax(tap->target_square, TINY), pull = 4 * s->p.weights.strength * tap->weight * unit / tap->count;
        double square = 0;
        for (size_t k = 0; k < cc; k++) {
            double d = tap->sum[k] / tap->count - (double)tap->target[k];
            square += d * d;
            tap->pull[k] = (float)(pull * d);
        }
        loss += tap->weight * square * unit;
    }
    return loss;
}

/* ---- content, and what goes into the backward pass */

static double content_row(const TilePass *p, int y, float *d)
{
    const MienStyle *s = p->s;
    const MieniStyleSpan *sp = &p->span;
    const size_t c = (size_t)p->tap->c, n = (size_t)(sp->x1 - sp->x0) * c;
    const float *f = p->from + ((size_t)y * (size_t)sp->ld + (size_t)sp->x0) * c,
                *t = s->content_f + p->tile->content_at + (size_t)(y - sp->y0) * n;
    const float unit = (float)(s->p.weights.content / s->content_norm);
    double sum = 0;
    if (s->p.distance == MIEN_STYLE_L1) {
        for (size_t i = 0; i < n; i++) {
            float e = f[i] - t[i];
            sum += (double)fabsf(e);
            if (d)
                d[i] += e > 0 ? unit : e < 0 ? -unit : 0;
        }
        return sum;
    }
    for (size_t i = 0; i < n; i++) {
        float e = f[i] - t[i];
        sum += (double)(e * e);
        if (d)
            d[i] += 2 * unit * e;
    }
    return sum;
}

/* Rows of a tap's gradient: behind the style's product, which wrote the core's rows, everything outside the core is 0 and the
 * content is added. to NULL: the content's value alone. */
static void grad_job(void *arg, int i_job, int n_jobs)
{
    const TilePass *p = arg;
    const MienStyle *s = p->s;
    const MieniStyleSpan *sp = &p->span;
    const size_t c = (size_t)p->tap->c;
    const int styled = p->tap->is_style && p->tap->weight > 0 && p->tap->count >= TINY;
    for (int y = part_of(p->shape.h, i_job, n_jobs); y < part_of(p->shape.h, i_job + 1, n_jobs); y++) {
        const int inside = y >= sp->y0 && y < sp->y1;
        float *d = p->to ? p->to + (size_t)y * (size_t)sp->ld * c : NULL;
        if (d && (!inside || !styled)) {
            memset(d, 0, (size_t)sp->ld * c * sizeof(float));
        } else if (d) {
            memset(d, 0, (size_t)sp->x0 * c * sizeof(float));
            memset(d + (size_t)sp->x1 * c, 0, (size_t)(sp->ld - sp->x1) * c * sizeof(float));
            for (int x = sp->x0; x < sp->x1 && s->mask; x++) {
                float m = mask_at(p, y, x);
                for (size_t k = 0; k < c; k++)
                    d[(size_t)x * c + k] *= m > 0 ? m : 0;
            }
        }
        s->row_sum[y] = p->tap->is_content && inside ? content_row(p, y, d ? d + (size_t)sp->x0 * c : NULL) : 0;
    }
}

static double content_loss(TilePass *p)
{
    double sum = 0;
    mien_exec_run(p->s->p.exec, grad_job, p, n_jobs_of(p->s));
    for (int y = 0; y < p->shape.h; y++)
        sum += p->s->row_sum[y];
    return sum / p->s->content_norm;
}

/* dJ/d(activations) of all taps, the backward pass, and its part of the picture's gradient. */
static int tile_backward(MienStyle *s, const MieniStyleTile *tile, float *gradient, double *content)
{
    for (int i = 0; i < s->n_taps; i++) {
        TilePass p = pass_of(s, &s->tap[i], tile);
        const size_t row = (size_t)p.shape.w * (size_t)p.shape.c;
        p.to = mien_net_output_grad(s->net, s->tap[i].i_output, NULL);
        if (p.tap->is_style && p.tap->weight > 0 && p.tap->count >= TINY)
            mieni_gram_grad_f32(s->p.exec, s->kernels, p.from + (size_t)p.span.y0 * row,
                                (ptrdiff_t)(p.span.y1 - p.span.y0) * p.shape.w, p.shape.c, p.tap->pull, 0,
                                p.to + (size_t)p.span.y0 * row);
        *content += content_loss(&p);
    }
    int ret = mien_net_backward(s->net);
    if (ret < 0)
        return ret;
    TilePass p = { .s = s, .tile = tile, .to = gradient };
    p.from = mien_net_input_grad(s->net, &p.shape);
    mien_exec_run(s->p.exec, scatter_job, &p, n_jobs_of(s));
    return 0;
}

static int through_network(MienStyle *s, const float *x, MienStyleLoss *loss, float *gradient)
{
    for (int i = 0; i < s->n_taps; i++) {
        s->tap[i].count = 0;
        if (s->tap[i].sum)
            memset(s->tap[i].sum, 0, (size_t)s->tap[i].c * (size_t)s->tap[i].c * sizeof(double));
    }
    for (int t = 0; t < s->n_tiles; t++) {
        int ret = run_tile(s, &s->tile[t], x);
        if (ret < 0)
            return ret;
        for (int i = 0; i < s->n_taps; i++) {
            if (s->tap[i].is_style && s->tap[i].weight > 0)
                add_gram(s, &s->tap[i], &s->tile[t]);
        }
        if (!gradient) {
            TilePass p = pass_of(s, &s->tap[s->i_content], &s->tile[t]);
            loss->content += content_loss(&p);
        }
    }
    loss->style = finish_style(s);
    for (int t = 0; t < s->n_tiles && gradient; t++) {
        int ret = s->n_tiles > 1 ? run_tile(s, &s->tile[t], x) : 0;
        if (ret < 0 || (ret = tile_backward(s, &s->tile[t], gradient, &loss->content)) < 0)
            return ret;
    }
    return 0;
}

int mieni_style_evaluate(MienStyle *s, const float *x, MienStyleLoss *loss, float *gradient)
{
    const MienStyleWeights *w = &s->p.weights;
    memset(loss, 0, sizeof(*loss));
    if (gradient)
        memset(gradient, 0, s->n * sizeof(float));
    int ret = through_network(s, x, loss, gradient);
    if (ret < 0)
        return ret;
    loss->tv = mieni_style_tv(s, x, w->tv, gradient);
    loss->range = mieni_style_range(s, x, w->range, gradient);
    for (int i = 0; i < MIEN_STYLE_MAX_REFS; i++) {
        if (s->ref[i].rgb && s->ref[i].weight > 0)
            loss->temporal += mieni_style_temporal(s, x, &s->ref[i], gradient);
    }
    if (s->anchor_weight > 0)
        loss->anchor = mieni_style_anchor(s, x, gradient);
    loss->total = w->content * loss->content + w->strength * loss->style + w->tv * loss->tv + w->range * loss->range +
                  loss->temporal + loss->anchor;
    return 0;
}

int mieni_style_objective(void *priv, const float *x, double *loss, float *gradient)
{
    MienStyle *s = priv;
    MienStyleLoss *to = &s->eval[s->n_evals < MIENI_STYLE_EVALS + 1 ? s->n_evals++ : MIENI_STYLE_EVALS + 1];
    int ret = mieni_style_evaluate(s, x, to, gradient);
    *loss = to->total;
    return ret;
}

/* ---- the content's activations */

typedef struct ContentPass {
    TilePass p;
    int l1;
} ContentPass;

static void keep_job(void *arg, int i_job, int n_jobs)
{
    const ContentPass *cp = arg;
    const TilePass *p = &cp->p;
    const MieniStyleSpan *sp = &p->span;
    const size_t c = (size_t)p->tap->c, n = (size_t)(sp->x1 - sp->x0) * c;
    const int n_y = sp->y1 - sp->y0;
    for (int i = part_of(n_y, i_job, n_jobs); i < part_of(n_y, i_job + 1, n_jobs); i++) {
        const float *from = p->from + ((size_t)(sp->y0 + i) * (size_t)sp->ld + (size_t)sp->x0) * c;
        float *to = p->to + (size_t)i * n;
        double sum = 0;
        for (size_t k = 0; k < n; k++) {
            to[k] = from[k];
            sum += cp->l1 ? (double)fabsf(from[k]) : (double)(from[k] * from[k]);
        }
        p->s->row_sum[i] = sum;
    }
}

int mieni_style_take_content(MienStyle *s)
{
    double norm = 0;
    for (int t = 0; t < s->n_tiles; t++) {
        int ret = run_tile(s, &s->tile[t], s->content);
        if (ret < 0)
            return ret;
        ContentPass cp = { pass_of(s, &s->tap[s->i_content], &s->tile[t]), s->p.distance == MIEN_STYLE_L1 };
        cp.p.to = s->content_f + s->tile[t].content_at;
        mien_exec_run(s->p.exec, keep_job, &cp, n_jobs_of(s));
        for (int i = 0; i < cp.p.span.y1 - cp.p.span.y0; i++)
            norm += s->row_sum[i];
    }
    s->content_norm = fmax(norm, TINY * (double)s->content_elems);
    return 0;
}
