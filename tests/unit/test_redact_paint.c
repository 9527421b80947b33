/* Covers on samples of every layout: fill, mosaic and blur against naive references in double precision, not a bit changed outside, soft
 * edges, chroma no smaller than luma, whole frames, memory beyond the planes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "mien/error.h"
#include "mien/redact.h"
#include "plane_frames.h"

static unsigned seed = 1;

static unsigned dice(unsigned n)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % n;
}

static void noise(Frame *f)
{
    for (int i = 0; i < f->p.n; i++)
        for (int y = 0; y < f->p.plane[i].h_px; y++)
            for (int x = 0; x < f->p.plane[i].w_px; x++)
                put(&f->p.plane[i], x, y, dice(1u << f->p.plane[i].bits));
}

static Frame twin(const Frame *f, Layout layout, int full)
{
    Frame g = make_frame(layout, f->p.w_px, f->p.h_px, full);
    memcpy(g.memory, f->memory, f->bytes);
    return g;
}

static void paint(const Frame *f, MienRedactPlan plan, MienRedactEffect effect)
{
    MienRedactor *r;
    MienRedactorParams p = { 0 };
    assert_int_equal(mien_redactor_create(&r, &p), 0);
    assert_int_equal(mien_redactor_paint(r, &plan, &f->p, effect), 0);
    mien_redactor_destroy(&r);
}

/* ---- the references: one sample at a time */

typedef struct Place {
    int sx, sy;         /* pixels a sample stands for */
    int x0, y0, x1, y1; /* the region's samples in the plane */
    double head_px;
    const MienRedactHead *head; /* NULL: the whole frame */
} Place;

static int shift_of(int frame, int plane)
{
    int s = 1;
    while ((frame + s - 1) / s > plane)
        s *= 2;
    return s;
}

static Place place(const MienPlanes *p, int i, const MienRedactHead *head)
{
    int sx = 1, sy = 1;
    for (int k = 0; k < p->n; k++) {
        int a = shift_of(p->w_px, p->plane[k].w_px), b = shift_of(p->h_px, p->plane[k].h_px);
        sx = a > sx ? a : sx;
        sy = b > sy ? b : sy;
    }
    Place q = { shift_of(p->w_px, p->plane[i].w_px), shift_of(p->h_px, p->plane[i].h_px), 0, 0, p->plane[i].w_px, p->plane[i].h_px,
                p->w_px > p->h_px ? p->w_px : p->h_px, head };
    if (head) {
        double x0 = floor((double)(head->cx_px - head->rx_px * MIEN_REDACT_SOFT)), x1 = ceil((double)(head->cx_px + head->rx_px * MIEN_REDACT_SOFT));
        double y0 = floor((double)(head->cy_px - head->ry_px * MIEN_REDACT_SOFT)), y1 = ceil((double)(head->cy_px + head->ry_px * MIEN_REDACT_SOFT));
        /* outwards to the coarsest plane's grid, then cut at the frame */
        q.x0 = (int)fmax(floor(x0 / sx) * sx / q.sx, 0);
        q.y0 = (int)fmax(floor(y0 / sy) * sy / q.sy, 0);
        q.x1 = (int)fmin(ceil(x1 / sx) * sx / q.sx, p->plane[i].w_px);
        q.y1 = (int)fmin(ceil(y1 / sy) * sy / q.sy, p->plane[i].h_px);
        q.head_px = 2 * (double)head->ry_px;
    }
    return q;
}

/* The largest share of a sample's pixels. */
static double share_at(const MienPlanes *p, const Place *q, int x, int y)
{
    double most = 0;
    if (!q->head)
        return 1;
    for (int py = y * q->sy; py < (y + 1) * q->sy && py < p->h_px; py++)
        for (int px = x * q->sx; px < (x + 1) * q->sx && px < p->w_px; px++)
            most = fmax(most, (double)mien_redact_share(q->head, (float)px + 0.5f, (float)py + 0.5f));
    return most;
}

static double sample(const MienPlane *c, int x, int y)
{
    return get(c, x, y) >> c->shift;
}

static double mosaic_at(const MienPlane *c, const Place *q, int x, int y)
{
    int cell = (int)q->head_px / 7;
    cell = cell > 8 ? (cell + 7) / 8 * 8 : 8;
    int cw = cell / q->sx, ch = cell / q->sy, x0 = q->x0 + (x - q->x0) / cw * cw, y0 = q->y0 + (y - q->y0) / ch * ch, n = 0;
    double sum = 0;
    for (int j = y0; j < y0 + ch && j < q->y1; j++)
        for (int i = x0; i < x0 + cw && i < q->x1; i++, n++)
            sum += sample(c, i, j);
    return sum / n;
}

/* Three times a mean over a square, of the samples within the region; by separable weights that are built up naively. */
static void blur_weights(int n, int radius, double *weight /* n × n */)
{
    double *next = calloc((size_t)n * (size_t)n, sizeof(*next));
    for (int i = 0; i < n; i++)
        for (int k = 0; k < n; k++)
            weight[i * n + k] = i == k;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < n; i++) {
            int a = i > radius ? i - radius : 0, b = i + radius < n ? i + radius : n - 1;
            for (int k = 0; k < n; k++) {
                next[i * n + k] = 0;
                for (int j = a; j <= b; j++)
                    next[i * n + k] += weight[j * n + k] / (b - a + 1);
            }
        }
        memcpy(weight, next, (size_t)n * (size_t)n * sizeof(*next));
    }
    free(next);
}

static void reference(const Frame *in, Frame *out, const MienRedactHead *head, MienRedactEffect effect)
{
    for (int i = 0; i < in->p.n; i++) {
        const MienPlane *c = &in->p.plane[i];
        Place q = place(&in->p, i, head);
        int w = q.x1 - q.x0, h = q.y1 - q.y0, chroma = i > 0 && !in->p.rgb;
        if (w < 1 || h < 1)
            continue;
        double unit = pow(2, c->bits - 8), top = pow(2, c->bits) - 1, zero = 0, scale = top;
        if (!in->p.rgb && !in->p.full_range) {
            zero = (chroma ? 128 : 16) * unit;
            scale = (chroma ? 224 : 219) * unit;
        } else if (chroma) {
            zero = 128 * unit;
        }
        double *wx = calloc((size_t)w * (size_t)w, sizeof(*wx)), *wy = calloc((size_t)h * (size_t)h, sizeof(*wy));
        double *half = calloc((size_t)w * (size_t)h, sizeof(*half));
        int radius = (int)ceil(q.head_px / 8);
        if (effect == MIEN_REDACT_BLUR) {
            blur_weights(w, (radius + q.sx - 1) / q.sx, wx);
            blur_weights(h, (radius + q.sy - 1) / q.sy, wy);
            for (int y = 0; y < h; y++)
                for (int x = 0; x < w; x++)
                    for (int k = 0; k < w; k++)
                        half[y * w + x] += wx[x * w + k] * sample(c, q.x0 + k, q.y0 + y);
        }
        for (int y = 0; y < h; y++)
            for (int x = 0; x < w; x++) {
                double v = zero + (chroma ? 0 : 0.2) * scale, old = sample(c, q.x0 + x, q.y0 + y);
                double share = share_at(&in->p, &q, q.x0 + x, q.y0 + y);
                if (effect == MIEN_REDACT_MOSAIC)
                    v = mosaic_at(c, &q, q.x0 + x, q.y0 + y);
                if (effect == MIEN_REDACT_BLUR) {
                    v = 0;
                    for (int k = 0; k < h; k++)
                        v += wy[y * h + k] * half[k * w + x];
                }
                if (share > 0)
                    put(&out->p.plane[i], q.x0 + x, q.y0 + y, (unsigned)fmin(fmax(old + share * (v - old) + 0.5, 0), top));
            }
        free(wx);
        free(wy);
        free(half);
    }
}

static unsigned difference(const Frame *a, const Frame *b, const MienRedactHead *head)
{
    unsigned worst = 0;
    for (int i = 0; i < a->p.n; i++) {
        Place q = place(&a->p, i, head);
        for (int y = 0; y < a->p.plane[i].h_px; y++)
            for (int x = 0; x < a->p.plane[i].w_px; x++) {
                unsigned u = get(&a->p.plane[i], x, y) >> a->p.plane[i].shift, v = get(&b->p.plane[i], x, y) >> b->p.plane[i].shift;
                unsigned d = u > v ? u - v : v - u;
                if (share_at(&a->p, &q, x, y) == 0 && u != v)
                    fail_msg("a sample outside changed");
                worst = d > worst ? d : worst;
            }
    }
    return worst;
}

/* Memory that belongs to no plane: borders, alpha. */
static void nothing_else(const Frame *before, const Frame *after)
{
    Frame a = *before, b = *after;
    a.memory = malloc(a.bytes);
    b.memory = malloc(b.bytes);
    memcpy(a.memory, before->memory, a.bytes);
    memcpy(b.memory, after->memory, b.bytes);
    for (int i = 0; i < a.p.n; i++) {
        a.p.plane[i].data = a.memory + (before->p.plane[i].data - before->memory);
        b.p.plane[i].data = b.memory + (after->p.plane[i].data - after->memory);
        for (int y = 0; y < a.p.plane[i].h_px; y++)
            for (int x = 0; x < a.p.plane[i].w_px; x++) {
                put(&a.p.plane[i], x, y, 0);
                put(&b.p.plane[i], x, y, 0);
            }
    }
    assert_memory_equal(a.memory, b.memory, a.bytes);
    free(a.memory);
    free(b.memory);
}

static const MienBox boxes[] = {
    { 20, 14, 36, 34 }, { 21.4f, 9.7f, 28.1f, 19.2f }, { -6, -9, 9, 12 }, { 50, 30, 75, 60 }, { 30, 20, 30.5f, 20.5f }, { 400, 20, 440, 60 },
    { -40, -40, 200, 160 },
};

static void as_the_references(void **state)
{
    (void)state;
    for (int layout = 0; layout < N_LAYOUTS; layout++)
        for (int effect = MIEN_REDACT_FILL; effect <= MIEN_REDACT_BLUR; effect++)
            for (size_t k = 0; k <= MIEN_ARRAY_ELEMS(boxes); k++) {
                int full = (int)(k & 1), whole = k == MIEN_ARRAY_ELEMS(boxes);
                Frame f = make_frame((Layout)layout, 61, 47, full);
                noise(&f);
                Frame before = twin(&f, (Layout)layout, full), want = twin(&f, (Layout)layout, full);
                MienRedactRegion region = { 1, boxes[whole ? 0 : k] };
                MienRedactHead head = mien_redact_head(region.face_px), *or_null = whole ? NULL : &head;
                paint(&f, (MienRedactPlan){ .whole = whole, .region = &region, .n_regions = !whole }, (MienRedactEffect)effect);
                reference(&before, &want, or_null, (MienRedactEffect)effect);
                unsigned d = difference(&f, &want, or_null);
                /* f32 against double: a step of rounding; of 16 bits, 2^-24 × 65535 and three sums on the way */
                if (d > (f.p.plane[0].bits > 12 ? 2 : 1))
                    fail_msg("%s effect %d box %zu: differs by %u", layout_name[layout], effect, k, d);
                difference(&before, &f, or_null); /* outside, not a bit */
                nothing_else(&before, &f);
                free(f.memory);
                free(before.memory);
                free(want.memory);
            }
}

/* Each sample of a face's box is changed by fill: no noise is left. */
static void no_sample_of_a_face_is_left(void **state)
{
    (void)state;
    for (int layout = 0; layout < N_LAYOUTS; layout++) {
        Frame f = make_frame((Layout)layout, 97, 83, 0);
        noise(&f);
        MienRedactRegion region[] = { { 1, { 22, 20, 51, 55 } }, { 2, { 45, 24, 70, 60 } } };
        paint(&f, (MienRedactPlan){ .region = region, .n_regions = 2 }, MIEN_REDACT_FILL);
        for (int i = 0; i < f.p.n; i++)
            for (size_t k = 0; k < MIEN_ARRAY_ELEMS(region); k++) {
                const MienPlane *c = &f.p.plane[i];
                MienBox b = region[k].face_px;
                int sx = shift_of(97, c->w_px), sy = shift_of(83, c->h_px);
                for (int y = (int)b.y0_px / sy; y <= ((int)b.y1_px - 1) / sy; y++)
                    for (int x = (int)b.x0_px / sx; x <= ((int)b.x1_px - 1) / sx; x++)
                        assert_int_equal(get(c, x, y), get(c, (int)b.x0_px / sx, (int)b.y0_px / sy));
            }
        free(f.memory);
    }
}

static void what_is_no_frame(void **state)
{
    (void)state;
    MienRedactor *r;
    MienRedactorParams p = { 0 };
    MienRedactPlan plan = { .whole = 1 };
    Frame f = make_frame(YUV420, 16, 16, 0);
    assert_int_equal(mien_redactor_create(&r, &p), 0);
    f.p.plane[1].data = NULL;
    assert_int_equal(mien_redactor_paint(r, &plan, &f.p, MIEN_REDACT_BLUR), MIEN_ERR(EINVAL));
    mien_redactor_destroy(&r);
    free(f.memory);
    for (int layout = 0; layout < N_LAYOUTS; layout++) /* the smallest */
        for (int w = 1; w < 6; w++)
            for (int h = 1; h < 6; h++) {
                MienRedactRegion region = { 1, { 0, 0, 3, 3 } };
                f = make_frame((Layout)layout, w, h, 0);
                noise(&f);
                Frame before = twin(&f, (Layout)layout, 0);
                paint(&f, (MienRedactPlan){ .region = &region, .n_regions = 1 }, (MienRedactEffect)((w + h) % 3));
                nothing_else(&before, &f);
                free(f.memory);
                free(before.memory);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_the_references),
        cmocka_unit_test(no_sample_of_a_face_is_left),
        cmocka_unit_test(what_is_no_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
