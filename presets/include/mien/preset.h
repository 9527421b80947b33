/* mien/preset.h — presets: a painting's style as numbers.
 *
 * A preset holds the Gram matrices of a picture's activations in a feature network, and what to do with them: layers with
 * weights, recommended settings, where the picture is from, a thumbnail. The picture itself isn't needed any more, and cannot
 * be got back. The Gram matrix of a layer with activations F, h·w rows (pixels) by c columns (channels), is G = F'F / (h·w), a
 * symmetric c by c matrix: it says which features appear together, wherever they are (Gatys, Ecker & Bethge 2015, section
 * "style representation"; there without the division, which makes it independent of the picture's size).
 *
 * A preset belongs to the feature network that made it, by the hash of its file, as templates belong to an encoder.
 * Presets are immutable and counted: they may be shared between threads. File format: docs/format-preset.md.
 */
#ifndef MIEN_PRESET_H
#define MIEN_PRESET_H

#include "mien/common.h"
#include "mien/exec.h"
#include "mien/image.h"
#include "mien/log.h"
#include "mien/net.h"
#include "mien/style.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_PRESET_MAX_LAYERS 32
#define MIEN_PRESET_MAX_SCALES 4
#define MIEN_PRESET_MAX_CHANNELS 1024
#define MIEN_PRESET_THUMB_MAX_PX 256 /* longest side of a thumbnail */

typedef struct MienPreset MienPreset;

/* Opens and checks a preset: every error is a sentence that names the file and the tensor or field. Errors: MIEN_E_FORMAT (no preset,
 * or damaged), MIEN_E_SHAPE, MIEN_E_VERSION, -errno. */
int mien_preset_open(MienPreset **preset, const char *path, MienLog log);
/* The same from a file's bytes, which are copied; name stands for the path in messages. */
int mien_preset_parse(MienPreset **preset, const void *data, size_t bytes, const char *name_for_log, MienLog log);
MienPreset *mien_preset_ref(MienPreset *preset);
void mien_preset_unref(MienPreset **preset);

/* What the maker recommends; a user's own options come first. The loss that the numbers belong to is that of mien/style.h:
 * J = content_weight · J_content + strength · J_style + tv · J_tv, where J_content and J_style are relative (1 is "nothing in common"),
 * so that a number means the same for every preset and every size. */
typedef struct MienPresetSettings {
    double strength;        /* 0..1e6; 100: the style is plainly there, 30: milder, 1000: stronger */
    double content_weight;  /* 0..1e6 */
    double tv;              /* total variation, 0..1e6 */
    char content_layer[64]; /* an activation of the feature network; deeper keeps less of the content's detail */
    int iterations;         /* at the finest scale, 1..10000 */
    int size_px;            /* longest side of the style picture when its Gram matrices were taken, 16..16384: styled pictures
                             * of this size have its strokes at their own size; for a larger picture they look smaller */
} MienPresetSettings;

#define MIEN_PRESET_SETTINGS_DEFAULTS \
    { .strength = 100, .content_weight = 1, .tv = 6, .content_layer = "relu3_1", .iterations = 60, .size_px = 512 }

/* How much a film in this style tends to flicker when frames are styled one by one. The instability of Gatys' method grows as the trace
 * of the Gram matrix falls (Gupta et al. 2017, "Characterizing and Improving Stability in Neural Style Transfer"). */
typedef enum MienPresetFlicker { MIEN_FLICKER_LOW, MIEN_FLICKER_MEDIUM, MIEN_FLICKER_HIGH } MienPresetFlicker;

/* Everything but the numbers. Strings are never NULL, "" where not known; they live as long as the preset. */
typedef struct MienPresetInfo {
    const char *path;   /* or the name given to parse; "" if made in memory */
    const char *name;   /* "starry-night" */
    const char *title, *artist, *year, *license, *source;
    const char *network_name, *network_sha256; /* the feature network; 64 hex digits */
    int n_layers, n_scales;
    int n_pictures;     /* whose Gram matrices were averaged */
    MienPresetFlicker flicker;
    double trace;       /* mean over the layers of the Gram matrix's trace, in units of that of a picture of noise */
    MienPresetSettings settings;
} MienPresetInfo;

/* Threads of all getters: any. */
const MienPresetInfo *mien_preset_info(const MienPreset *preset);
const char *mien_flicker_name(MienPresetFlicker flicker); /* "low", "medium", "high" */

/* Style layers from shallow to deep: name of the activation ("relu1_1"), channels, weight in the style loss (the weights' sum
 * need not be 1: the loss is a weighted mean). */
typedef struct MienPresetLayer {
    const char *name;
    int channels;
    double weight;
} MienPresetLayer;
/* i out of range: NULL. */
const MienPresetLayer *mien_preset_layer(const MienPreset *preset, int i_layer);
int mien_preset_find_layer(const MienPreset *preset, const char *name); /* index, or MIEN_E_NOTFOUND */

/* Scale i shows the picture at size_px divided by this: 1, then 2, 4 … as far as it has them. Out of range: 0. */
int mien_preset_scale(const MienPreset *preset, int i_scale);

/* The Gram matrix [channels, channels], and the mean of each channel [channels]. NULL: no such layer or scale. */
const float *mien_preset_gram(const MienPreset *preset, int i_layer, int i_scale);
const float *mien_preset_mean(const MienPreset *preset, int i_layer, int i_scale);

/* One scale as a target of mien/style.h; its pointers live as long as the preset. MIEN_E_NOTFOUND: no such scale. */
int mien_preset_target(const MienPreset *preset, int i_scale, MienStyleTarget *target);
/* All of them, with divisors and size. */
void mien_preset_style(const MienPreset *preset, MienStyleScales *style);

/* A small RGB8 view of the style picture; data live as long as the preset. MIEN_E_NOTFOUND: it has none. */
int mien_preset_thumbnail(const MienPreset *preset, MienImage *img);

/* 0 if this network made the preset and has its layers. MIEN_E_MISMATCH with a line that names both networks otherwise. */
int mien_preset_fits(const MienPreset *preset, const MienModel *model, MienLog log);
/* Opens the feature network that made the preset, from the folder of models (NULL: environment MIEN_MODELS, then the installed
 * folder). MIEN_E_NOTFOUND with a line that names the network and the folder. */
int mien_preset_open_model(MienModel **model, const MienPreset *preset, const char *models_dir, MienLog log);

/* ---- finding */

/* Path of a preset, which the caller frees. A name with a '/' in it or ending in .safetensors is a path already; else
 * NAME.safetensors is looked for in dirs (NULL: environment MIEN_PRESETS, then the installed folder; folders separated by ':').
 * MIEN_E_NOTFOUND with a line that says where it was looked for, and what has a similar name. */
int mien_preset_find(char **path, const char *name, const char *dirs, MienLog log);
/* mien_preset_find, then mien_preset_open. */
int mien_preset_open_named(MienPreset **preset, const char *name, const char *dirs, MienLog log);
/* All presets in dirs by name, sorted; of equal names the first folder's. Paths end at NULL; one block that the caller frees.
 * Returns their number. */
int mien_preset_list(char ***paths, const char *dirs, MienLog log);

/* ---- making */

typedef struct MienPresetMakeParams {
    MienExec exec;
    MienLog log;
    const char *name; /* 1..63 of [A-Za-z0-9._-] */
    const char *title, *artist, *year, *license, *source; /* NULL: not known */
    const MienPresetLayer *layers; /* channels are not read. NULL: relu1_1, relu2_1, relu3_1, relu4_1, each as far as the network
                                    * has it, with weight 1 */
    int n_layers;
    int n_scales; /* 1..MIEN_PRESET_MAX_SCALES: sizes 1, 1/2, 1/4 … */
    MienPresetSettings settings;
} MienPresetMakeParams;

#define MIEN_PRESET_MAKE_DEFAULTS { .n_scales = 3, .settings = MIEN_PRESET_SETTINGS_DEFAULTS }

/* Runs each picture through the feature network at settings.size_px (longest side; smaller pictures are enlarged), and at the
 * halves of it, and averages the Gram matrices of all. The thumbnail shows the first. Errors: MIEN_E_NOTFOUND (no such layer),
 * MIEN_E_MODEL (no feature network), EINVAL (params), ENOMEM. */
int mien_preset_make(MienPreset **preset, MienModel *model, const MienImage *pictures, int n_pictures,
                     const MienPresetMakeParams *params);

/* Sum of weight[i]·preset[i], the weights being made to sum to 1: Gram matrices, means and settings. All from one feature network, with the
 * same layers; scales that not all of them have are left out. Errors: MIEN_E_MISMATCH with a line that says what differs, EINVAL. */
int mien_preset_blend(MienPreset **preset, MienPreset *const *presets, const double *weight, int n, const char *name, MienLog log);

/* Writes a preset, whole or not at all; the same preset gives the same bytes. -errno. */
int mien_preset_write(const MienPreset *preset, const char *path, MienLog log);
/* The same into memory; the caller frees *data. */
int mien_preset_pack(const MienPreset *preset, uint8_t **data, size_t *bytes, MienLog log);

#ifdef __cplusplus
}
#endif
#endif
