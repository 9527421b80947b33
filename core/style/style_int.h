/* style_int.h — the inside of a session, for the files of this folder.
 *
 * style.c makes and steers it, evaluate.c takes losses and gradients through the network, pixels.c those of the pixels alone.
 */
#ifndef MIENI_STYLE_INT_H
#define MIENI_STYLE_INT_H

#include "kernels/kernels.h"
#include "mien/optim.h"
#include "mien/style.h"

#define MIENI_STYLE_EVALS 25 /* of one line search, at most */

/* A layer of the network that the loss looks at. */
typedef struct MieniStyleTap {
    char name[64];
    int i_output, step, c;
    int is_style, is_content;
    double weight;      /* of the style; those of all layers together are 1, or all 0 */
    float *target;      /* A, c×c; owned, as are the next three */
    float *pull;        /* M: dJ/dF = F·M */
    double *sum;        /* F'F over the tiles so far */
    float *part;        /* of one tile */
    double count;               /* positions counted so far, by the mask's weight */
    double target_square;       /* |A|² */
} MieniStyleTap;

/* A tile: a window of the bordered picture, and the core whose positions it answers for, both in the bordered picture's
 * pixels. */
typedef struct MieniStyleTile {
    int x0, y0;                 /* window; its size is the net's */
    int core_x0, core_y0, core_x1, core_y1;
    size_t content_at;          /* where the content's activations of this tile begin, in elements */
} MieniStyleTile;

/* Positions of one layer that lie in a tile's core: columns [x0, x1) and rows [y0, y1) of the net's activation, ld positions a row. */
typedef struct MieniStyleSpan {
    int x0, y0, x1, y1, ld;
} MieniStyleSpan;

typedef struct MieniStyleRef {
    const float *rgb, *certainty;
    double weight;
} MieniStyleRef;

struct MienStyle {
    MienStyleParams p;
    MienModel *model;
    MienNet *net;
    const MienKernels *kernels;
    MienOptim *optim;
    size_t n; /* w·h·3 */
    size_t memory_bytes;

    MieniStyleTap *tap;
    int n_taps, i_content;
    char content_layer[64];

    int border, padded_w, padded_h, whole; /* whole: one tile that is the picture as it is */
    MieniStyleTile *tile;
    int n_tiles;
    int *mirror_x, *mirror_y; /* the picture's column for every column of the bordered picture; rows likewise */

    float *x, *content;
    float *content_f;      /* activations, tile by tile */
    size_t content_elems;
    double content_norm;   /* |P|², or |P| */
    float *gather;         /* a core's activations without gaps */
    size_t gather_elems;
    void *gram_work;
    size_t gram_work_bytes;
    double *row_sum;       /* one a row of whatever is summed */
    size_t n_row_sums;

    const float *mask;
    MieniStyleRef ref[MIEN_STYLE_MAX_REFS];
    /* Anchor: nodes of a coarse grid; node holds the picture's values, residual the difference. */
    double *anchor_node, *anchor_residual;
    int anchor_cell_px, anchor_w, anchor_h;
    double anchor_weight;

    int have_content, have_start;
    int iteration, n_iterations;
    MienStyleLoss loss;                      /* what the last step reports */
    MienStyleLoss eval[MIENI_STYLE_EVALS + 2]; /* evaluations of this step */
    int n_evals;
};

/* evaluate.c. The objective of the minimiser: priv is the session. gradient may be NULL. */
int mieni_style_objective(void *priv, const float *x, double *loss, float *gradient);
int mieni_style_evaluate(MienStyle *s, const float *x, MienStyleLoss *loss, float *gradient);
/* Runs the network over content, keeps its activations. */
int mieni_style_take_content(MienStyle *s);
MieniStyleSpan mieni_style_span(const MienStyle *s, const MieniStyleTap *tap, const MieniStyleTile *tile);

/* style.c: a feature network that takes RGB, 0..1; a line says what it is not. MIEN_E_MODEL. */
int mieni_style_check_model(const MienModel *model, MienLog log);

/* pixels.c. Each adds its gradient to g (NULL: none is wanted) and returns its part of J. */
double mieni_style_tv(const MienStyle *s, const float *x, double weight, float *g);
double mieni_style_range(const MienStyle *s, const float *x, double weight, float *g);
double mieni_style_temporal(const MienStyle *s, const float *x, const MieniStyleRef *ref, float *g);
double mieni_style_anchor(MienStyle *s, const float *x, float *g);
/* node[anchor_h][anchor_w][3] = x smoothed by tents. */
void mieni_style_smooth(const MienStyle *s, const float *x, double *node);
/* Anchor grid nodes for a side and a cell. */
int mieni_style_nodes(int side_px, int cell_px);

#endif
