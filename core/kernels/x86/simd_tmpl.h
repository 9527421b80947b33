/* The x86 kernels, written once for any vector width. A file NAME_ISA.c defines the vector layer and includes this:
 *
 *   VEC, LANES              the type and its number of floats
 *   MASK, mask_of(n)        the first n lanes, 1 <= n < LANES
 *   load, store, load_mask, store_mask, set1, zero
 *   vadd, vmul, vfma(a, b, c) = a·b + c, vmax, prelu(x, slope)
 *   GEMM_ROWS_1 … _4        rows of the product's register tile, when it is 1 … 4 vectors wide
 *
 * Every function works on a group of v <= 4 vectors of channels (or columns), of which the last may be partial: tail lanes
 * (0: all). v, tail > 0 and the other flags are constants at each call, so that the compiler unrolls.
 */
#define INLINE static inline __attribute__((always_inline))

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

/* Vectors of the next group out of n columns: 4 at a time, but no group of 1 beside a 4 where 3 + 2 will do. */
static int group_of(int n)
{
    int v = (n + LANES - 1) / LANES;
    return v == 5 || v == 6 ? 3 : v > 4 ? 4 : v;
}

/* ---- matrix product: rows × v vectors of c in registers, one pass over k */

INLINE void gemm_tile(int rows, int v, int masked, MASK m, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                      float *c, ptrdiff_t ldc)
{
    VEC acc[14][4];
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < v; j++)
            acc[i][j] = zero();
    for (int kk = 0; kk < k; kk++, b += ldb) {
        VEC bv[4];
        for (int j = 0; j < v; j++)
            bv[j] = get(b + j * LANES, masked && j == v - 1, m);
        for (int i = 0; i < rows; i++) {
            VEC ai = set1(a[i * lda + kk]);
            for (int j = 0; j < v; j++)
                acc[i][j] = vfma(ai, bv[j], acc[i][j]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < v; j++)
            put(c + i * ldc + j * LANES, acc[i][j], masked && j == v - 1, m);
}

/* All rows of one group of columns. */
INLINE void gemm_columns(int max_rows, int v, int masked, MASK mask, int m, int k, const float *a, ptrdiff_t lda, const float *b,
                         ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
    int i = 0;
    for (; i + max_rows <= m; i += max_rows)
        gemm_tile(max_rows, v, masked, mask, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc);
    for (; max_rows > 4 && i + 4 <= m; i += 4)
        gemm_tile(4, v, masked, mask, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc);
    for (; i + 2 <= m; i += 2)
        gemm_tile(2, v, masked, mask, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc);
    for (; i < m; i++)
        gemm_tile(1, v, masked, mask, k, a + i * lda, lda, b, ldb, c + i * ldc, ldc);
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
        case 8: f(4, 0, mask_, __VA_ARGS__); break;                   \
        default: f(4, 1, mask_, __VA_ARGS__); break;                  \
        }                                                             \
    } while (0)

/* Columns of the group that starts at j, and whether its last vector is partial. */
#define EACH_GROUP(j, n, v, tail)                                                                              \
    for (int j = 0, v, tail; j < (n) && (v = group_of((n)-j), tail = (n)-j < v * LANES ? ((n)-j) % LANES : 0, 1); \
         j += v * LANES)

INLINE void gemm_group(int v, int masked, MASK mask, int m, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                       float *c, ptrdiff_t ldc)
{
    int rows = v == 1 ? GEMM_ROWS_1 : v == 2 ? GEMM_ROWS_2 : v == 3 ? GEMM_ROWS_3 : GEMM_ROWS_4;
    gemm_columns(rows, v, masked, mask, m, k, a, lda, b, ldb, c, ldc);
}

static void gemm_f32(int m, int n, int k, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb, float *c, ptrdiff_t ldc)
{
    EACH_GROUP(j, n, v, tail)
        WITH_GROUP(v, tail, gemm_group, m, k, a, lda, b + j, ldb, c + j, ldc);
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
    VEC acc[4][4];
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
