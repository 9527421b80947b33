/* styles.h — what the commands about styles share. */
#ifndef MIEN_TOOL_STYLES_H
#define MIEN_TOOL_STYLES_H

#include "mien/preset.h"
#include "tool.h"

/* What a preset is, as a JSON object: appended to array, or (array NULL) by itself. */
struct cJSON *preset_json(struct cJSON *array, const MienPreset *p);

/* "relu1_1,relu2_1:0.5" into at most MIEN_PRESET_MAX_LAYERS layers; text is room for the names. Their number, or -1 after a
 * message. */
int parse_layers(const Tool *tool, const char *list, MienPresetLayer *layer, char *text, size_t text_bytes);

/* One preset of this name from "PRESET" or "PRESET:WEIGHT" each, which the caller unrefs. 0, or -1 after a message. */
int presets_blend(const Tool *tool, int n, char **args, const char *name, MienPreset **blend);

#endif
