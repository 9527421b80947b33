/* The registry of ops: a file and a line here add one (docs/howto-op.md). And the cut of element-wise work into tiles. */
#include <string.h>

#include "nn/nn.h"

static const MieniOp *const registry[] = {
    &mieni_op_conv2d, &mieni_op_fc,     &mieni_op_affine,  &mieni_op_relu,    &mieni_op_sigmoid,   &mieni_op_prelu,
    &mieni_op_add,    &mieni_op_mul,    &mieni_op_concat,  &mieni_op_maxpool, &mieni_op_avgpool,   &mieni_op_globalavg,
    &mieni_op_pad,    &mieni_op_reshape, &mieni_op_softmax, &mieni_op_l2norm,
};

const MieniOp *mieni_op_at(int i)
{
    return i >= 0 && (size_t)i < MIEN_ARRAY_ELEMS(registry) ? registry[i] : NULL;
}

const MieniOp *mieni_op_find(const char *name)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(registry); i++) {
        if (!strcmp(registry[i]->name, name))
            return registry[i];
    }
    return NULL;
}

MieniAct mieni_act_now(const MieniStep *s)
{
    return s->pre ? (MieniAct){ MIENI_ACT_NONE, NULL } : s->node->act;
}

void mieni_act_later(const MieniStep *s, size_t at, ptrdiff_t ld, ptrdiff_t n_px, int c, int c0)
{
    if (s->pre)
        s->kernels->affine_f32(s->out + at, ld, s->pre + at, ld, n_px, c, NULL, NULL,
                               (MieniAct){ s->node->act.kind, s->node->act.slope + c0 });
}

enum { TILE_ELEMS = 16384 };

void mieni_plan_pixels(MieniStep *step, size_t n_px, int c)
{
    size_t tile = c < TILE_ELEMS ? (size_t)(TILE_ELEMS / c) : 1;
    if (tile > n_px)
        tile = n_px;
    step->tile_px = (int)tile;
    step->n_tiles = (int)((n_px + tile - 1) / tile);
}

size_t mieni_tile_pixels(const MieniStep *step, int i_tile, size_t n_px, size_t *px0)
{
    size_t tile = (size_t)step->tile_px;
    *px0 = (size_t)i_tile * tile;
    return n_px - *px0 < tile ? n_px - *px0 : tile;
}
