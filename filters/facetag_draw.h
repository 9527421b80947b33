/* facetag_draw.h — boxes and labels on a frame.
 *
 * Boxes and label strips are opaque and lie on the chroma grid, so that no sample outside them changes: in 4:2:0 a box's outer
 * edge moves outwards to an even pixel. Text is rendered by libass (Fontconfig, HarfBuzz, FriBidi), so that every
 * script that has an installed font works, once per text, and kept.
 */
#ifndef MIEN_FILTERS_FACETAG_DRAW_H
#define MIEN_FILTERS_FACETAG_DRAW_H

#include "compat.h"
#include "libavutil/frame.h"
#include "mien/tagger.h"

enum { FACETAG_DRAW_NONE, FACETAG_DRAW_BOX, FACETAG_DRAW_LABEL, FACETAG_DRAW_ALL };

typedef struct FacetagDraw FacetagDraw;

int mieni_facetag_draw_create(FacetagDraw **draw, AVFilterContext *ctx);
void mieni_facetag_draw_destroy(FacetagDraw **draw);

/* Draws n_tags tags, coloured by status; label(priv, tag) gives the text. frame must be writable; its size and format may change
 * from call to call. */
int mieni_facetag_draw(FacetagDraw *draw, AVFrame *frame, int what, const MienTag *tags, int n_tags,
                       const char *(*label)(void *priv, const MienTag *tag), void *priv);

#endif
