/* The x86 kernels, written once for any vector width. A file NAME_ISA.c defines the vector layer and includes this:
 *
 *   VEC, LANES              the type and its number of floats
 *   MASK, mask_of(n)        the first n lanes, 1 <= n < LANES
 *   load, store, load_mask, store_mask, set1, zero
 *   copy_part(to, from, n)  copies 1 <= n < LANES floats
 *   vadd, vmul, vfma(a, b, c) = a·b + c, vmax, prelu(x, slope), where_positive(at, x) = at > 0 ? x : 0
 *   WIDEST                  vectors of a group at most: 3 or 4
 *   GEMM_ROWS_1 … _4        rows of the product's register tile, when it is 1 … WIDEST vectors wide
 *   GEMM_PACK_M             rows from which copying columns of b together pays
 *   DW_GROUP                vectors of channels that the depthwise kernel takes at a time
 *
 * Every function works on a group of v <= WIDEST vectors of channels (or columns), of which the last may be partial: tail lanes
 * (0: all). v, tail > 0 and the other flags are constants at each call, so that the compiler unrolls.
 */
#define INLINE static inline __attribute__((always_inline))

/* For loops over sums that must stay in registers, where the compiler's own measure would leave the loop a loop. */
#ifdef __clang__
#define UNROLL _Pragma("unroll")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

INLINE VEC get(const float *p, int masked, MASK m)
{
    return masked ? load_mask(p, m) : load(p);
}

INLINE void put(float *p, VEC x, int masked, MASK m)
{
    if (masked)
        store_mask(p, x, m);
    else
        store(p, x);
}

/* Vectors of the next group out of n columns: as many as may be, but two even groups in place of a full one and a rest of 1 (or,
 * beside 4, of 2). */
static int group_of(int n)
{
    int v = (n + LANES - 1) / LANES;
    if (v == WIDEST + 1 || (WIDEST == 4 && v == 6))
        return (v + 1) / 2;
    return v > WIDEST ? WIDEST : v;
}

/* ---- matrix product
 *
 * rows × v vectors of c in registers, one pass over a block of k. The block's columns of b are copied together first, so that
 * they stay in the first-level cache whatever ldb is; a sum that goes on in the next block passes through c unrounded, so
 * its bits don't depend on the cut. With trans, a lies as [k, m]. After Goto and van de Geijn, "Anatomy of High-Performance Matrix Multiplication", 2008. */

enum { GEMM_K = 128, GEMM_M = 240 }; /* a block of a: 120 KB, a part of the second-level cache */

typedef struct Product {
    int m, k, more; /* more: c holds sums that go on */
    const float *a, *b;
    float *c;
    ptrdiff_t lda, ldb, ldc;
} Product;

INLINE void gemm_tile(int rows, int v, int masked, MASK m, int trans, const Product *g, int i_row)
{
    const float *a = g->a + i_row * (trans ? 1 : g->lda), *b = g->b;
    float *c = g->c + i_row * g->ldc;
    VEC acc[14][4];
    UNROLL
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < v; j++)
            acc[i][j] = g->more ? get(c + i * g->ldc + j * LANES, masked && j == v - 1, m) : zero();
    ptrdiff_t lda = g->lda, ldb = g->ldb;
    for (int kk = 0; kk < g->k; kk++, b += ldb) {
        VEC bv[4];
        for (int j = 0; j < v; j++)
            bv[j] = load(b + j * LANES);
        for (int i = 0; i < rows; i++) {
            VEC ai = set1(trans ? a[kk * lda + i] : a[i * lda + kk]);
            for (int j = 0; j < v; j++)
                acc[i][j] = vfma(ai, bv[j], acc[i][j]);
        }
    }
    UNROLL
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < v; j++)
            put(c + i * g->ldc + j * LANES, acc[i][j], masked && j == v - 1, m);
}

/* All rows of one group of columns. */
INLINE void gemm_group(int v, int masked, MASK mask, int trans, const Product *g)
{
    int rows = v == 1 ? GEMM_ROWS_1 : v == 2 ? GEMM_ROWS_2 : v == 3 ? GEMM_ROWS_3 : GEMM_ROWS_4;
    int i = 0;
    for (; i + rows <= g->m; i += rows)
        gemm_tile(rows, v, masked, mask, trans, g, i);
    for (; rows > 4 && i + 4 <= g->m; i += 4)
        gemm_tile(4, v, masked, mask, trans, g, i);
    for (; i + 2 <= g->m; i += 2)
        gemm_tile(2, v, masked, mask, trans, g, i);
    for (; i < g->m; i++)
        gemm_tile(1, v, masked, mask, trans, g, i);
}

/* Calls f(v, masked, mask, …) for a group with constants in place of variables. */
#define WITH_GROUP(v, tail, f, ...)                                   \
    do {                                                              \
        MASK mask_ = mask_of((tail) ? (tail) : 1);                    \
        switch ((v) * 2 + ((tail) != 0)) {                            \
        case 2: f(1, 0, mask_, __VA_ARGS__); break;                   \
        case 3: f(1, 1, mask_, __VA_ARGS__); break;                   \
        case 4: f(2, 0, mask_, __VA_ARGS__); break;                   \
        case 5: f(2, 1, mask_, __VA_ARGS__); break;                   \
        case 6: f(3, 0, mask_, __VA_ARGS__); break;                   \
        case 7: f(3, 1, mask_, __VA_ARGS__); break;                   \
        case 8: f(WIDEST, 0, mask_, __VA_ARGS__); break;              \
        default: f(WIDEST, 1, mask_, __VA_ARGS__); break;             \
        }                                                             \
    } while (0)

/* Columns of the group that starts at j, and whether its last vector is partial. */
#define EACH_GROUP(j, n, v, tail)                                                                              \
    for (int j = 0, v, tail; j < (n) && (v = group_of((n)-j), tail = (n)-j < v * LANES ? ((n)-j) % LANES : 0, 1); \
         j += v * LANES)

INLINE void pack_group(int v, int masked, MASK mask, float *to, const float *b, ptrdiff_t ldb, int k)
{
    for (int kk = 0; kk < k; kk++, to += v * LANES, b += ldb)
        for (int j = 0; j < v; j++)
            store(to + j * LANES, get(b + j * LANES, masked && j == v - 1, mask));
}

/* One block of a (m rows, k columns) times all columns of b. */
static void gemm_block(const Product *block, int trans, int n, float *panel)
{
    int pack = block->m >= GEMM_PACK_M; /* fewer rows read b not often enough to pay for the copy */
    EACH_GROUP(j, n, v, tail) {
        Product g = *block;
        g.b += j;
        g.c += j;
        if (tail || (pack && g.ldb != v * LANES)) { /* a partial vector is copied whole, so that the product needs no mask */
            WITH_GROUP(v, tail, pack_group, panel, g.b, g.ldb, g.k);
            g.b = panel;
            g.ldb = v * LANES;
        }
        if (trans)
            WITH_GROUP(v, tail, gemm_group, 1, &g);
        else
            WITH_GROUP(v, tail, gemm_group, 0, &g);
    }
}

INLINE void gemm(int add, int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c,
                 ptrdiff_t ldc)
{
    _Alignas(64) float panel[GEMM_K * 4 * LANES];
    for (int m0 = 0; m0 < m; m0 += GEMM_M)
        for (int k0 = 0; k0 < k; k0 += GEMM_K) {
            int mn = m - m0 < GEMM_M ? m - m0 : GEMM_M, kn = k - k0 < GEMM_K ? k - k0 : GEMM_K;
            const float *a0 = trans ? a + k0 * lda + m0 : a + m0 * lda + k0;
            Product block = { mn, kn, add || k0 > 0, a0, b + k0 * ldb, c + m0 * ldc, lda, ldb, ldc };
            gemm_block(&block, trans, n, panel);
        }
}

static void gemm_f32(int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
    gemm(0, 0, m, n, k, a, lda, b, ldb, c, ldc);
}

static void gemm_add_f32(int trans, int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c,
                         ptrdiff_t ldc)
{
    gemm(1, trans, m, n, k, a, lda, b, ldb, c, ldc);
}

/* ---- windows as rows of a matrix: im2col.c with copies of a few vectors in place of calls */

INLINE float *copy(float *to, const float *from, ptrdiff_t n)
{
    if (n < LANES) {
        if (n > 0)
            copy_part(to, from, (int)n);
        return to + n;
    }
    for (ptrdiff_t i = 0; i < n - LANES; i += LANES)
        store(to + i, load(from + i));
    store(to + n - LANES, load(from + n - LANES)); /* may overlap the one before */
    return to + n;
}

INLINE float *clear(float *to, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        to[i] = 0;
    return to + n;
}

/* The window of one output pixel, where it leaves the picture or its values don't lie together. */
static float *window(float *a, const MieniPlane *plane, const MieniWindow *win, int64_t iy, int64_t ix)
{
    ptrdiff_t n_c = plane->n_c, c = plane->c, step = win->dil_x * c;
    int k0, k1;
    mieni_window_range(ix, win->kw, win->dil_x, plane->w, &k0, &k1);
    for (int ky = 0; ky < win->kh; ky++, iy += win->dil_y) {
        if (iy < 0 || iy >= plane->h || k0 == k1) {
            a = clear(a, win->kw * n_c);
            continue;
        }
        const float *x = plane->x + (iy * plane->w + ix + (int64_t)k0 * win->dil_x) * c + plane->c0;
        a = clear(a, k0 * n_c);
        for (int kx = k0; kx < k1; kx++, x += step)
            a = copy(a, x, n_c);
        a = clear(a, (win->kw - k1) * n_c);
    }
    return a;
}

static void im2col_f32(float *a, const MieniPlane *plane, const MieniWindow *win, int out_w, int64_t px0, int n_px)
{
    ptrdiff_t c = plane->c, n = win->kw * c, line = win->dil_y * (ptrdiff_t)plane->w * c;
    int together = win->dil_x == 1 && plane->n_c == c;
    int64_t oy = px0 / out_w, ox = px0 % out_w, last_y = plane->h - 1 - (int64_t)(win->kh - 1) * win->dil_y;
    for (int p = 0; p < n_px; p++) {
        int64_t iy = oy * win->stride_y - win->pad_t, ix = ox * win->stride_x - win->pad_l;
        if (together && iy >= 0 && iy <= last_y && ix >= 0 && ix + win->kw <= plane->w) {
            const float *x = plane->x + (iy * plane->w + ix) * c;
            for (int ky = 0; ky < win->kh; ky++, x += line)
                a = copy(a, x, n);
        } else {
            a = window(a, plane, win, iy, ix);
        }
        if (++ox == out_w)
            ox = 0, oy++;
    }
}

/* ---- element-wise, a group of channels of all pixels at a time */

typedef struct Groupwise {
    VEC scale[4], bias[4], slope[4];
} Groupwise;

INLINE VEC activate(VEC x, MieniActKind kind, VEC slope)
{
    return kind == MIENI_ACT_RELU ? vmax(x, zero()) : kind == MIENI_ACT_PRELU ? prelu(x, slope) : x;
}

INLINE void load_group(VEC to[4], const float *from, int v, int masked, MASK m)
{
    for (int j = 0; j < v; j++)
        to[j] = from ? get(from + j * LANES, masked && j == v - 1, m) : zero();
}

INLINE void affine_pixels(int v, int masked, MASK m, int scaled, MieniActKind kind, float *y, ptrdiff_t ldy, const float *x,
                          ptrdiff_t ldx, ptrdiff_t n_px, const Groupwise *g)
{
    for (ptrdiff_t p = 0; p < n_px; p++, y += ldy, x += ldx) {
        for (int j = 0; j < v; j++) {
            int part = masked && j == v - 1;
            VEC t = get(x + j * LANES, part, m);
            t = scaled ? vfma(t, g->scale[j], g->bias[j]) : vadd(t, g->bias[j]);
            put(y + j * LANES, activate(t, kind, g->slope[j]), part, m);
        }
    }
}

INLINE void affine_group(int v, int masked, MASK m, float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px,
                         const float *scale, const float *bias, MieniActKind kind, const float *slope)
{
    Groupwise g;
    load_group(g.scale, scale, v, masked, m);
    load_group(g.bias, bias, v, masked, m);
    load_group(g.slope, kind == MIENI_ACT_PRELU ? slope : NULL, v, masked, m);
    if (scale)
        affine_pixels(v, masked, m, 1, kind, y, ldy, x, ldx, n_px, &g);
    else
        affine_pixels(v, masked, m, 0, kind, y, ldy, x, ldx, n_px, &g);
}

INLINE void affine_kind(MieniActKind kind, float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px, int c,
                        const float *scale, const float *bias, const float *slope)
{
    EACH_GROUP(j, c, v, tail)
        WITH_GROUP(v, tail, affine_group, y + j, ldy, x + j, ldx, n_px, scale ? scale + j : NULL, bias ? bias + j : NULL,
                   kind, slope ? slope + j : NULL);
}

/* Where channels don't matter and nothing lies between pixels, n_px pixels of c are as good as this many of FLAT_C, and
 * a rest of one pixel. */
enum { FLAT_C = 4 * LANES };

static void affine_f32(float *y, ptrdiff_t ldy, const float *x, ptrdiff_t ldx, ptrdiff_t n_px, int c, const float *scale,
                       const float *bias, MieniAct act)
{
    if (!scale && !bias && act.kind != MIENI_ACT_PRELU && ldy == c && ldx == c && c != FLAT_C && n_px > 1) {
        ptrdiff_t n = n_px * c / FLAT_C;
        affine_f32(y, FLAT_C, x, FLAT_C, n, FLAT_C, NULL, NULL, act);
        y += n * FLAT_C, x += n * FLAT_C;
        ldy = ldx = c = (int)(n_px * c - n * FLAT_C);
        n_px = 1;
    }
    switch (act.kind) {
    case MIENI_ACT_NONE: affine_kind(MIENI_ACT_NONE, y, ldy, x, ldx, n_px, c, scale, bias, NULL); break;
    case MIENI_ACT_RELU: affine_kind(MIENI_ACT_RELU, y, ldy, x, ldx, n_px, c, scale, bias, NULL); break;
    case MIENI_ACT_PRELU: affine_kind(MIENI_ACT_PRELU, y, ldy, x, ldx, n_px, c, scale, bias, act.slope); break;
    case MIENI_ACT_SIGMOID: mieni_affine_f32_c(y, ldy, x, ldx, n_px, c, scale, bias, act); break;
    }
}

/* Only the relu; the others are rare, and bound by their exponentials and slopes. */
static void act_grad_f32(float *d, const float *at, ptrdiff_t n_px, int c, MieniAct act)
{
    ptrdiff_t n = n_px * c, i = 0;
    if (act.kind != MIENI_ACT_RELU) {
        mieni_act_grad_f32_c(d, at, n_px, c, act);
        return;
    }
    for (; i + LANES <= n; i += LANES)
        store(d + i, where_positive(load(at + i), load(d + i)));
    if (i < n) {
        MASK m = mask_of((int)(n - i));
        store_mask(d + i, where_positive(load_mask(at + i, m), load_mask(d + i, m)), m);
    }
}

INLINE void add_group(int v, int masked, MASK m, float *y, const float *a, const float *b, float alpha, float beta,
                      ptrdiff_t n_px, int c, MieniActKind kind, const float *slope)
{
    VEC va = set1(alpha), vb = set1(beta), s[4];
    load_group(s, kind == MIENI_ACT_PRELU ? slope : NULL, v, masked, m);
    for (ptrdiff_t p = 0; p < n_px; p++, y += c, a += c, b += c) {
        for (int j = 0; j < v; j++) {
            int part = masked && j == v - 1;
            VEC t = vfma(va, get(a + j * LANES, part, m), vmul(vb, get(b + j * LANES, part, m)));
            put(y + j * LANES, activate(t, kind, s[j]), part, m);
        }
    }
}

INLINE void add_kind(MieniActKind kind, float *y, const float *a, const float *b, float alpha, float beta, ptrdiff_t n_px,
                     int c, const float *slope)
{
    EACH_GROUP(j, c, v, tail)
        WITH_GROUP(v, tail, add_group, y + j, a + j, b + j, alpha, beta, n_px, c, kind, slope ? slope + j : NULL);
}

static void add_f32(float *y, const float *a, const float *b, float alpha, float beta, ptrdiff_t n_px, int c, MieniAct act)
{
    if (act.kind != MIENI_ACT_PRELU && c != FLAT_C && n_px > 1) {
        ptrdiff_t n = n_px * c / FLAT_C;
        add_f32(y, a, b, alpha, beta, n, FLAT_C, act);
        y += n * FLAT_C, a += n * FLAT_C, b += n * FLAT_C;
        c = (int)(n_px * c - n * FLAT_C);
        n_px = 1;
    }
    switch (act.kind) {
    case MIENI_ACT_NONE: add_kind(MIENI_ACT_NONE, y, a, b, alpha, beta, n_px, c, NULL); break;
    case MIENI_ACT_RELU: add_kind(MIENI_ACT_RELU, y, a, b, alpha, beta, n_px, c, NULL); break;
    case MIENI_ACT_PRELU: add_kind(MIENI_ACT_PRELU, y, a, b, alpha, beta, n_px, c, act.slope); break;
    case MIENI_ACT_SIGMOID: mieni_add_f32_c(y, a, b, alpha, beta, n_px, c, act); break;
    }
}

/* ---- depthwise convolution: px pixels × v vectors in registers, one pass over the taps */

INLINE void dwconv_tile(int px, int v, int masked, MASK m, float *y, const float *x, ptrdiff_t x_step, int c,
                        const MieniTap *tap, int n_taps, const float *w, const Groupwise *g, MieniActKind kind)
{
    VEC acc[8][2];
    for (int p = 0; p < px; p++)
        for (int j = 0; j < v; j++)
            acc[p][j] = g->bias[j];
    for (int t = 0; t < n_taps; t++) {
        const float *xt = x + tap[t].x, *wt = w + tap[t].w;
        for (int j = 0; j < v; j++) {
            int part = masked && j == v - 1;
            VEC wj = get(wt + j * LANES, part, m);
            for (int p = 0; p < px; p++)
                acc[p][j] = vfma(get(xt + p * x_step + j * LANES, part, m), wj, acc[p][j]);
        }
    }
    for (int p = 0; p < px; p++)
        for (int j = 0; j < v; j++)
            put(y + p * c + j * LANES, activate(acc[p][j], kind, g->slope[j]), masked && j == v - 1, m);
}

INLINE void dwconv_kind(int v, int masked, MASK m, MieniActKind kind, float *y, const float *x, ptrdiff_t x_step, int n_px, int c,
                        const MieniTap *tap, int n_taps, const float *w, const Groupwise *g)
{
    int p = 0;
    for (; v == 1 && p + 8 <= n_px; p += 8)
        dwconv_tile(8, v, masked, m, y + (ptrdiff_t)p * c, x + p * x_step, x_step, c, tap, n_taps, w, g, kind);
    for (; p + 4 <= n_px; p += 4)
        dwconv_tile(4, v, masked, m, y + (ptrdiff_t)p * c, x + p * x_step, x_step, c, tap, n_taps, w, g, kind);
    for (; p < n_px; p++)
        dwconv_tile(1, v, masked, m, y + (ptrdiff_t)p * c, x + p * x_step, x_step, c, tap, n_taps, w, g, kind);
}

INLINE void dwconv_group(int v, int masked, MASK m, float *y, const float *x, ptrdiff_t x_step, int n_px, int c,
                         const MieniTap *tap, int n_taps, const float *w, const float *bias, MieniActKind kind,
                         const float *slope)
{
    Groupwise g;
    load_group(g.bias, bias, v, masked, m);
    load_group(g.slope, kind == MIENI_ACT_PRELU ? slope : NULL, v, masked, m);
    if (kind == MIENI_ACT_RELU)
        dwconv_kind(v, masked, m, MIENI_ACT_RELU, y, x, x_step, n_px, c, tap, n_taps, w, &g);
    else if (kind == MIENI_ACT_PRELU)
        dwconv_kind(v, masked, m, MIENI_ACT_PRELU, y, x, x_step, n_px, c, tap, n_taps, w, &g);
    else
        dwconv_kind(v, masked, m, MIENI_ACT_NONE, y, x, x_step, n_px, c, tap, n_taps, w, &g);
}

/* Groups of at most DW_GROUP vectors: four pixels of them must fit into the registers. */
static void dwconv_f32(float *y, const float *x, ptrdiff_t x_step, int n_px, int c, const MieniTap *tap, int n_taps,
                       const float *w, const float *bias, MieniAct act)
{
    for (int j = 0; j < c; j += DW_GROUP * LANES) {
        int n = c - j < DW_GROUP * LANES ? c - j : DW_GROUP * LANES, v = (n + LANES - 1) / LANES, tail = n % LANES;
        const float *bj = bias ? bias + j : NULL, *sj = act.slope ? act.slope + j : NULL;
        MASK m = mask_of(tail ? tail : 1);
        if (v == 1 && tail)
            dwconv_group(1, 1, m, y + j, x + j, x_step, n_px, c, tap, n_taps, w + j, bj, act.kind, sj);
        else if (v == 1)
            dwconv_group(1, 0, m, y + j, x + j, x_step, n_px, c, tap, n_taps, w + j, bj, act.kind, sj);
        else if (tail)
            dwconv_group(2, 1, m, y + j, x + j, x_step, n_px, c, tap, n_taps, w + j, bj, act.kind, sj);
        else
            dwconv_group(2, 0, m, y + j, x + j, x_step, n_px, c, tap, n_taps, w + j, bj, act.kind, sj);
    }
    if (act.kind == MIENI_ACT_SIGMOID)
        mieni_affine_f32_c(y, c, y, c, n_px, c, NULL, NULL, act);
}
