/* mien/style.h — style transfer: the pixels of a picture are moved until its features say "this content, in that style".
 *
 * Method: Gatys, Ecker & Bethge 2015, "A Neural Algorithm of Artistic Style". For a picture x, and a feature network's activations F of one
 * layer as a matrix of h·w rows (pixels) by c columns (channels), the gradient of
 *
 *     J = content · J_content + strength · J_style + tv · J_tv + range · J_range + sum of weight · J_temporal + anchor · J_anchor
 *
 * with respect to x goes back through the network into a minimiser of mien/optim.h. The parts, each without a unit:
 *
 *     J_content   |F - P|² / |P|² at one layer, P being the content's activations;       L1: |F - P| / |P|, sums of absolute values
 *     J_style     weighted mean over layers of |G - A|² / |A|², where G = F'F / (h·w), and A is the style's (mien/preset.h)
 *     J_tv        mean squared difference of pixels that are neighbours in a row, plus the same for columns
 *     J_range     mean square of what lies below 0 or above 1, which would be lost when the result is clamped
 *     J_temporal  mean over pixels and channels of certainty · (x - reference)²
 *     J_anchor    mean squared difference of x and a picture, both smoothed to a coarse grid
 *
 * Since content and style are relative, one strength means the same for every style and size: 100 is plainly styled, 30 milder,
 * 1000 stronger. docs/style-method.md shows what each weight does.
 *
 * Two doors: mien_style_picture does everything for one picture, coarse to fine; a MienStyle is one working size whose
 * iterations the caller paces, which is what video needs. Pictures are h×w×3 f32, RGB, 0..1, rows from the top, without gaps.
 *
 * Both keep to a bound of memory: a picture too large for the network at once is worked on in overlapping tiles. Activations
 * in a tile's core are those of the whole picture, the Gram matrices are summed over all tiles before any gradient is taken, and
 * the tiles' gradients add up in their overlaps: the result is the whole picture's own gradient, so that there are no seams to
 * hide. It costs a second forward pass. The bits don't depend on exec; they do on the tiles, so on memory_bytes.
 */
#ifndef MIEN_STYLE_H
#define MIEN_STYLE_H

#include "mien/common.h"
#include "mien/cpu.h"
#include "mien/exec.h"
#include "mien/log.h"
#include "mien/net.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_STYLE_MAX_LAYERS 32
#define MIEN_STYLE_MAX_TARGETS 4  /* styles in one blend */
#define MIEN_STYLE_MAX_SCALES 4
#define MIEN_STYLE_MAX_REFS 4     /* temporal references */
#define MIEN_STYLE_MAX_PX 32768   /* longest side */
#define MIEN_STYLE_MAX_ITERATIONS 100000

/* ---- what is asked for */

/* One layer of a style: gram is [channels, channels], symmetric, divided by the number of pixels. */
typedef struct MienStyleLayer {
    const char *name; /* an activation of the feature network, "relu2_1" */
    int channels;
    double weight;    /* >= 0; the loss is a weighted mean */
    const float *gram;
} MienStyleLayer;

/* A style at one scale; borrowed. mien_preset_target fills one from a preset. */
typedef struct MienStyleTarget {
    int n_layers;
    MienStyleLayer layer[MIEN_STYLE_MAX_LAYERS];
} MienStyleTarget;

typedef enum MienStyleOptimizer {
    MIEN_STYLE_LBFGS, /* fewer iterations; memory of 2·history + 5 pictures */
    MIEN_STYLE_ADAM,  /* 3 pictures; keeps to 0..1 at every step; one evaluation an iteration, so an even pace */
} MienStyleOptimizer;

typedef enum MienStyleDistance { MIEN_STYLE_L2, MIEN_STYLE_L1 } MienStyleDistance;

/* What may change between iterations; all >= 0 and finite. */
typedef struct MienStyleWeights {
    double strength, content, tv, range;
} MienStyleWeights;

#define MIEN_STYLE_WEIGHTS_DEFAULTS { .strength = 100, .content = 1, .tv = 6, .range = 100 }

/* The parts of J at the last evaluation. L-BFGS: of the new picture; Adam: of the picture before the step. temporal and anchor
 * are already weighted sums, the others are not; total is J. */
typedef struct MienStyleLoss {
    double total, content, style, tv, range, temporal, anchor;
} MienStyleLoss;

/* ---- a session of one size */

typedef struct MienStyleParams {
    MienExec exec; /* kept */
    MienLog log;   /* kept */
    int w_px, h_px; /* 1..MIEN_STYLE_MAX_PX each */
    MienStyleOptimizer optimizer;
    int history;       /* L-BFGS: pairs kept, 1..100; fewer, down to 3, if memory_bytes asks for it */
    double adam_rate;  /* Adam's step at the start of a run, falling by a cosine to a tenth at its planned end */
    const char *content_layer; /* an activation of the network; deeper keeps less of the content's detail */
    MienStyleDistance distance; /* of the content; L1 is robust against a few large differences */
    /* The network sees the picture with this many pixels more on each side, mirrored, so that the zeros with which it pads don't
     * show as a frame; rounded up to the network's step. 0: the picture as it is, never in tiles. */
    int border_px;
    size_t memory_bytes; /* bound for the whole session; 0: none. Tiles and history follow from it */
    MienStyleWeights weights;
    MienCpu cpu;
} MienStyleParams;

#define MIEN_STYLE_DEFAULTS                                                                               \
    { .optimizer = MIEN_STYLE_LBFGS, .history = 10, .adam_rate = 0.04, .content_layer = "relu3_1", .border_px = 16, \
      .weights = MIEN_STYLE_WEIGHTS_DEFAULTS }

typedef struct MienStyle MienStyle;

/* Plans a session and takes all of its memory; nothing after it allocates. Takes a reference on model. `target` sets which layers
 * there are; its Gram matrices are copied. Errors: MIEN_E_NOTFOUND (the network has no such layer), MIEN_E_MODEL (no network for
 * pictures in RGB, 0..1), MIEN_E_SHAPE (channels differ), EINVAL (params), ENOMEM (also: more than memory_bytes are needed). */
int mien_style_create(MienStyle **style, MienModel *model, const MienStyleTarget *target, const MienStyleParams *params);
void mien_style_destroy(MienStyle **style);

/* Bytes that the session holds, the network's included. */
size_t mien_style_memory_bytes(const MienStyle *style);
/* How many tiles an evaluation takes; 1: the picture at once. */
int mien_style_n_tiles(const MienStyle *style);

/* May be called at any time between steps; what was the minimum is then no longer: mien_style_start(…, keep = 1) or a new start
 * is due with L-BFGS. EINVAL, and nothing has changed: a weight out of range. */
int mien_style_set_weights(MienStyle *style, const MienStyleWeights *weights);
/* Another style with the same layers, or a blend: Gram matrices and layer weights are sums of share[i] · target[i], the shares
 * being made to sum to 1. n: 1..MIEN_STYLE_MAX_TARGETS. MIEN_E_MISMATCH: layers differ; EINVAL: shares. */
int mien_style_set_target(MienStyle *style, const MienStyleTarget *const *target, const double *share, int n);

/* The content: one forward pass. rgb is copied. Values outside 0..1 are allowed, NaN and Inf are EINVAL. */
int mien_style_set_content(MienStyle *style, const float *rgb);

/* Part of the picture to be styled, h·w f32 0..1: pixels count in the style's Gram matrices by their weight. (Pixels with 0 are
 * still free: composing the result with the content is the caller's.) Borrowed until it is replaced. NULL: all of it. A mask that is
 * 0 everywhere leaves the style out. */
void mien_style_set_mask(MienStyle *style, const float *mask);

/* Pulls x to a picture, commonly the last result warped to this frame. i_ref: 0..MIEN_STYLE_MAX_REFS-1, each with its own weight
 * (0 or rgb = NULL: off). rgb and certainty (h·w f32 0..1; NULL: 1 everywhere) are borrowed until they are replaced or switched off. */
int mien_style_set_temporal(MienStyle *style, int i_ref, const float *rgb, const float *certainty, double weight);

/* Holds the coarse colours and brightness of x to those of a picture, against slow drift of a film: both are smoothed by overlapping
 * tents at nodes cell_px apart. rgb NULL: the content set last. Reduced at once, not kept. weight 0: off. */
int mien_style_set_anchor(MienStyle *style, const float *rgb, int cell_px, double weight);

/* Where the next run begins; copied. NULL: at the content. iterations: as many as are planned (Adam's rate follows; more may be
 * taken). keep: not 0 keeps the minimiser's memory of the run before, which is right when content and start have changed a little. */
int mien_style_start(MienStyle *style, const float *rgb, int iterations, int keep);

/* One iteration; loss may be NULL. Returns 0; 1 when there is nothing more to gain; or a negative code: MIEN_ERR(EDOM) if the loss
 * is not finite, EINVAL without content and start. Cost: 1 evaluation, with L-BFGS sometimes 2 or more. */
int mien_style_step(MienStyle *style, MienStyleLoss *loss);

/* The picture so far, clamped to 0..1. May be rgb = the caller's start or reference. */
void mien_style_get(const MienStyle *style, float *rgb);

/* J and dJ/dx at any picture, without a step; loss and gradient (h·w·3) may be NULL. Undoes nothing. */
int mien_style_evaluate(MienStyle *style, const float *rgb, MienStyleLoss *loss, float *gradient);

/* ---- a whole picture */

/* A style at several scales: target[i] shows the style picture at its own size divided by divisor[i] (1, 2, 4 …). */
typedef struct MienStyleScales {
    int n_scales; /* 1..MIEN_STYLE_MAX_SCALES */
    int divisor[MIEN_STYLE_MAX_SCALES];
    MienStyleTarget target[MIEN_STYLE_MAX_SCALES];
    int size_px; /* longest side of the style picture at divisor 1 */
} MienStyleScales;

typedef struct MienStyleProgress {
    int i_level, n_levels;       /* from coarse (0) to fine */
    int w_px, h_px, n_tiles;     /* of this level */
    int iteration, n_iterations; /* done at this level, and planned */
    double done;                 /* share of the whole work, 0..1, by pixels and iterations */
    MienStyleLoss loss;
    const MienStyle *style;      /* for mien_style_get, at w_px × h_px */
} MienStyleProgress;

typedef struct MienStylePictureParams {
    MienStyleParams style; /* w_px and h_px are not read */
    int iterations;        /* at the finest level; the coarser ones take twice as many; 0: the content as it is */
    int n_levels;          /* each level is half as large as the next finer one; 0: as many as size and strokes ask for */
    double stroke;         /* size of strokes: 1 as in the style picture when both are shown equally large, 0.5 finer, 2 bolder */
    double noise;          /* share of noise in the first level's start, 0..1 */
    uint64_t seed;         /* of the noise */
    int keep_color;        /* the content's colours stay, its brightness is styled */
    /* After each iteration; not 0 ends the work early and becomes the result of mien_style_picture, unless positive: then the
     * picture so far is brought to full size. NULL: none. */
    int (*progress)(void *priv, const MienStyleProgress *progress);
    void *priv;
} MienStylePictureParams;

#define MIEN_STYLE_PICTURE_DEFAULTS { .style = MIEN_STYLE_DEFAULTS, .iterations = 60, .stroke = 1 }

/* Styles content (w×h) into out (w×h; may not be content), values 0..1. A coarse level gives strokes their size and the
 * picture its composition; its result goes up as up(result) + (content - up(down(content))), bicubic, so that no detail of the
 * content is lost on the way. memory_bytes counts all but content and out. Errors: as mien_style_create. */
int mien_style_picture(MienModel *model, const MienStyleScales *scales, const MienStylePictureParams *params, const float *content,
                       int w_px, int h_px, float *out);

/* ---- sizes */

/* Resizes h×w×channels f32: cubic convolution (Keys 1981, a = -1/2) where it enlarges, the same widened to the new grid where it
 * shrinks. Takes and returns what memory it needs; ENOMEM. */
int mien_style_resize(MienExec exec, const float *src, int w_px, int h_px, int channels, float *dst, int dst_w_px, int dst_h_px);

/* out = styled's brightness with the content's colour (Y' of Rec. 601 replaced), clamped to 0..1; out may be either. */
void mien_style_keep_color(const float *content, const float *styled, size_t n_px, float *out);

#ifdef __cplusplus
}
#endif
#endif
