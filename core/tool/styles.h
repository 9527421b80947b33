/* styles.h — what the commands about styles share. */
#ifndef MIEN_TOOL_STYLES_H
#define MIEN_TOOL_STYLES_H

#include "mien/preset.h"
#include "tool.h"

/* What a preset is, as a JSON object: appended to array, or (array NULL) by itself. */
struct cJSON *preset_json(struct cJSON *array, const MienPreset *p);

#endif
