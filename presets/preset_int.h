/* preset_int.h — the inside of a preset, for the files of this folder. */
#ifndef MIENI_PRESET_INT_H
#define MIENI_PRESET_INT_H

#include "mien/preset.h"

#define MIENI_PRESET_NAME_BYTES 64  /* of presets and layers, with the NUL */
#define MIENI_PRESET_TEXT_BYTES 1024 /* title and so on */

enum { MIENI_TEXT_TITLE, MIENI_TEXT_ARTIST, MIENI_TEXT_YEAR, MIENI_TEXT_LICENSE, MIENI_TEXT_SOURCE, MIENI_N_TEXTS };
extern const char *const mieni_preset_text_key[MIENI_N_TEXTS]; /* "title" … */

typedef struct MieniPresetStats {
    float *gram; /* [c, c] */
    float *mean; /* [c] */
} MieniPresetStats;

struct MienPreset {
    MienPresetInfo info; /* its strings point into the rest */
    char *path;
    char name[MIENI_PRESET_NAME_BYTES];
    char *text[MIENI_N_TEXTS];
    char network_name[MIENI_PRESET_NAME_BYTES], network_sha256[65];
    MienPresetLayer layer[MIEN_PRESET_MAX_LAYERS];
    char layer_name[MIEN_PRESET_MAX_LAYERS][MIENI_PRESET_NAME_BYTES];
    int scale[MIEN_PRESET_MAX_SCALES];
    MieniPresetStats stats[MIEN_PRESET_MAX_LAYERS][MIEN_PRESET_MAX_SCALES];
    uint8_t *thumb; /* rgb8, tightly packed; NULL: none */
    int thumb_w, thumb_h;
    int refs; /* atomic access only */
};

/* An empty preset of one reference whose info points into it; NULL when out of memory. */
MienPreset *mieni_preset_new(const char *path);
/* Replaces a text; NULL counts as "". ENOMEM. */
int mieni_preset_set_text(MienPreset *p, int i_text, const char *s);
/* Appends a layer with zeroed Gram matrices for all p->info.n_scales scales. ENOMEM. */
int mieni_preset_add_layer(MienPreset *p, const char *name, int channels, double weight);
/* 1..63 of [A-Za-z0-9._-], not beginning with a dot. */
int mieni_preset_name_ok(const char *name);
/* Sets info.trace and info.flicker, which follows from it. */
void mieni_preset_grade(MienPreset *p, double trace);
/* All that a preset must be, whoever made it; one log line says what it is not. MIEN_E_FORMAT. */
int mieni_preset_check(const MienPreset *p, const char *name_for_log, MienLog log);
/* The elements of a Gram matrix's upper triangle. */
static inline size_t mieni_triangle_elems(int c) { return (size_t)c * ((size_t)c + 1) / 2; }

#endif
