/* scene.h — mien_style_picture for films: the sessions of all its levels stay, so that a scene that begins takes no memory. */
#ifndef MIENI_STYLE_SCENE_H
#define MIENI_STYLE_SCENE_H

#include "mien/style.h"

typedef struct MieniScene MieniScene;

/* Takes all memory for pictures of params->w_px × h_px. Levels are chosen as mien_style_picture does by itself. scales is read, not kept.
 * Errors: as mien_style_create. */
int mieni_scene_create(MieniScene **scene, MienModel *model, const MienStyleScales *scales, const MienStyleParams *params);
void mieni_scene_destroy(MieniScene **scene);

/* The session of the full size, for the frames that follow. Its references should be off before the next mieni_scene_paint. */
MienStyle *mieni_scene_finest(MieniScene *scene);

/* As mien_style_set_weights and mien_style_set_target, at every level. A style whose scales have the same layers is taken wholly or not at all. */
int mieni_scene_set_weights(MieniScene *scene, const MienStyleWeights *weights);
int mieni_scene_set_style(MieniScene *scene, const MienStyleScales *scales);

/* As mien_style_picture; of params are read iterations, noise, seed, progress. Allocates nothing after the first call. */
int mieni_scene_paint(MieniScene *scene, const MienStylePictureParams *params, const float *content, float *out);

#endif
