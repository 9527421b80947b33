/* Receptive fields: which part of the input a position of an activation depends on, by following windows from the input on. */
#include <string.h>

#include "mien/error.h"
#include "nn/nn.h"

/* Ops whose result at a position needs the inputs at that position alone, or, with a window, round it. */
static int is_window(const MieniOp *op)
{
    return op == &mieni_op_conv2d || op == &mieni_op_maxpool || op == &mieni_op_avgpool;
}

static int is_local(const MieniOp *op)
{
    return op == &mieni_op_affine || op == &mieni_op_relu || op == &mieni_op_sigmoid || op == &mieni_op_prelu ||
           op == &mieni_op_add || op == &mieni_op_mul || op == &mieni_op_concat || op == &mieni_op_softmax ||
           op == &mieni_op_l2norm;
}

/* One axis of a window over in. */
static void widen(MienField *f, const MienField *in, int axis, int kernel, int stride, int pad, int dil)
{
    f->first_px[axis] = in->first_px[axis] - (int64_t)pad * in->step_px[axis];
    f->last_px[axis] = in->last_px[axis] + ((int64_t)(kernel - 1) * dil - pad) * in->step_px[axis];
    f->step_px[axis] = in->step_px[axis] * stride;
}

/* 0, or MIEN_E_UNSUPPORTED: the node mixes positions in another way, or its inputs don't lie on one grid. */
static int field_of(const MieniNode *node, const MienField *field, MienField *f)
{
    *f = field[node->in[0]];
    if (is_window(node->op)) {
        const MieniWindow *w = &node->win;
        widen(f, &field[node->in[0]], 0, w->kh, w->stride_y, w->pad_t, w->dil_y);
        widen(f, &field[node->in[0]], 1, w->kw, w->stride_x, w->pad_l, w->dil_x);
        return 0;
    }
    if (!is_local(node->op))
        return MIEN_E_UNSUPPORTED;
    for (int k = 1; k < node->n_in; k++) {
        const MienField *g = &field[node->in[k]];
        for (int a = 0; a < 2; a++) {
            if (g->step_px[a] != f->step_px[a])
                return MIEN_E_UNSUPPORTED;
            f->first_px[a] = g->first_px[a] < f->first_px[a] ? g->first_px[a] : f->first_px[a];
            f->last_px[a] = g->last_px[a] > f->last_px[a] ? g->last_px[a] : f->last_px[a];
        }
    }
    return 0;
}

int mien_model_field(const MienModel *model, const char *name, MienField *field)
{
    MienField *all = mien_calloc((size_t)model->n_nodes + 1, sizeof(*all));
    int ret = all ? MIEN_E_NOTFOUND : MIEN_ERR(ENOMEM);
    if (all)
        all[0] = (MienField){ { 1, 1 }, { 0, 0 }, { 0, 0 } };
    for (int i = 0; i < model->n_nodes && ret == MIEN_E_NOTFOUND; i++) {
        const MieniNode *node = &model->node[i];
        /* a step of 0: not known; whatever reads it isn't either */
        int known = 1;
        for (int k = 0; k < node->n_in; k++)
            known = known && all[node->in[k]].step_px[0];
        if (!known || field_of(node, all, &all[i + 1]) < 0 || all[i + 1].step_px[0] > MIENI_MAX_WINDOW ||
            all[i + 1].step_px[1] > MIENI_MAX_WINDOW)
            all[i + 1] = (MienField){ { 0, 0 }, { 0, 0 }, { 0, 0 } };
        int found = !strcmp(node->out, name);
        for (int k = 0; k < model->n_outputs; k++)
            found |= model->output[k].activation == i + 1 && !strcmp(model->output[k].name, name);
        if (found) {
            *field = all[i + 1];
            ret = field->step_px[0] ? 0 : MIEN_E_UNSUPPORTED;
        }
    }
    mien_free(all);
    return ret;
}
