/* F^T·F as a symmetric product: of each block of pixels only what lies on and above the diagonal, in steps of ROWS rows; blocks are
 * summed in double within a part of the picture, parts in order. */
#include "nn/gram.h"

#include <string.h>

#include "kernels/fpenv.h"
#include "nn/nn.h"

enum {
    ROWS = 32,            /* of the triangle's steps: a few register tiles */
    BLOCK_ELEMS = 1 << 16, /* of F a block: 256 KiB, so that its second to last reading is from the cache */
    BLOCK_PX_MAX = 1024,
    PART_PX = 8192,
    MAX_PARTS = 16,
    PARTS_ELEMS = 1 << 20, /* of all parts' sums: large matrices have fewer parts */
    GRAD_MACS = 1 << 20,   /* a tile of the gradient */
};

typedef struct Gram {
    const MienKernels *kernels;
    const float *f, *m;
    float *df;
    ptrdiff_t n_px, tile_px;
    int c, n_tiles, add;
    uint8_t *work; /* a part: sums in double, then a block's in f32 */
} Gram;

static int count_parts(ptrdiff_t n_px, int c)
{
    ptrdiff_t most = PARTS_ELEMS / ((ptrdiff_t)c * c), n = n_px / PART_PX;
    n = n < most ? n : most;
    return n < 1 ? 1 : n > MAX_PARTS ? MAX_PARTS : (int)n;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

static size_t sums_bytes(int c)
{
    return round_up((size_t)c * (size_t)c * sizeof(double));
}

static size_t part_bytes(int c)
{
    return sums_bytes(c) + round_up((size_t)c * (size_t)c * sizeof(float));
}

size_t mieni_gram_work_bytes(ptrdiff_t n_px, int c)
{
    return (size_t)count_parts(n_px, c) * part_bytes(c);
}

static double *sums_of(const Gram *g, int i_part)
{
    return (double *)(void *)(g->work + (size_t)i_part * part_bytes(g->c));
}

static void add_block(const Gram *g, const float *f, int n_px, double *sum, float *block)
{
    int c = g->c;
    memset(block, 0, (size_t)c * (size_t)c * sizeof(*block));
    for (int i = 0; i < c; i += ROWS) {
        int rows = c - i < ROWS ? c - i : ROWS;
        float *to = block + (ptrdiff_t)i * c + i;
        mieni_sgemm_add(g->kernels, 1, rows, c - i, n_px, f + i, c, f + i, c, to, c);
        for (int r = 0; r < rows; r++) {
            double *s = sum + (ptrdiff_t)(i + r) * c;
            const float *b = block + (ptrdiff_t)(i + r) * c;
            for (int k = i + r; k < c; k++)
                s[k] += (double)b[k];
        }
    }
}

static void part_job(void *arg, int i_job, int n_jobs)
{
    const Gram *g = arg;
    int c = g->c, block_px = BLOCK_ELEMS / c < 64 ? 64 : BLOCK_ELEMS / c > BLOCK_PX_MAX ? BLOCK_PX_MAX : BLOCK_ELEMS / c;
    uint64_t fp = mieni_fp_enter();
    for (int i = g->n_tiles * i_job / n_jobs; i < g->n_tiles * (i_job + 1) / n_jobs; i++) {
        double *sum = sums_of(g, i);
        float *block = (float *)(void *)((uint8_t *)(void *)sum + sums_bytes(c));
        ptrdiff_t px = g->n_px * i / g->n_tiles, end = g->n_px * (i + 1) / g->n_tiles;
        memset(sum, 0, (size_t)c * (size_t)c * sizeof(*sum));
        for (; px < end; px += block_px)
            add_block(g, g->f + px * c, (int)(end - px < block_px ? end - px : block_px), sum, block);
    }
    mieni_fp_leave(fp);
}

void mieni_gram_f32(MienExec exec, const MienKernels *kernels, const float *f, ptrdiff_t n_px, int c, double scale, float *gram,
                    void *work)
{
    Gram g = { .kernels = kernels, .f = f, .n_px = n_px, .c = c, .n_tiles = count_parts(n_px, c), .work = work };
    mien_exec_run(exec, part_job, &g, mieni_n_jobs(g.n_tiles, exec.n_threads));
    for (int i = 0; i < c; i++) {
        for (int k = i; k < c; k++) {
            double sum = 0;
            for (int p = 0; p < g.n_tiles; p++)
                sum += sums_of(&g, p)[(ptrdiff_t)i * c + k];
            gram[(ptrdiff_t)i * c + k] = gram[(ptrdiff_t)k * c + i] = (float)(sum * scale);
        }
    }
}

static void grad_job(void *arg, int i_job, int n_jobs)
{
    const Gram *g = arg;
    int c = g->c;
    uint64_t fp = mieni_fp_enter();
    for (int i = (int)((int64_t)g->n_tiles * i_job / n_jobs); i < (int)((int64_t)g->n_tiles * (i_job + 1) / n_jobs); i++) {
        ptrdiff_t px = i * g->tile_px, n = g->n_px - px < g->tile_px ? g->n_px - px : g->tile_px;
        if (g->add)
            mieni_sgemm_add(g->kernels, 0, (int)n, c, c, g->f + px * c, c, g->m, c, g->df + px * c, c);
        else
            mieni_sgemm(g->kernels, (int)n, c, c, g->f + px * c, c, g->m, c, g->df + px * c, c);
    }
    mieni_fp_leave(fp);
}

void mieni_gram_grad_f32(MienExec exec, const MienKernels *kernels, const float *f, ptrdiff_t n_px, int c, const float *m, int add,
                         float *df)
{
    ptrdiff_t tile = GRAD_MACS / ((ptrdiff_t)c * c);
    tile = tile < 72 ? 72 : (tile + 23) / 24 * 24; /* the heights of the products' register tiles divide it */
    Gram g = { .kernels = kernels, .f = f, .m = m, .df = df, .n_px = n_px, .tile_px = tile, .c = c, .add = add,
               .n_tiles = (int)((n_px + tile - 1) / tile) };
    mien_exec_run(exec, grad_job, &g, mieni_n_jobs(g.n_tiles, exec.n_threads));
}
