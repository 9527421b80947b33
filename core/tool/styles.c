/* What the commands about styles share: lists of layers, blends of presets. */
#include "styles.h"

#include <string.h>

int parse_layers(const Tool *tool, const char *list, MienPresetLayer *layer, char *text, size_t text_bytes)
{
    int n = 0;
    if (snprintf(text, text_bytes, "%s", list) >= (int)text_bytes)
        return tool_error(tool, "--layers is too long"), -1;
    for (char *at = text, *end = text; end && *at; at = end ? end + 1 : at) {
        double weight = 1;
        end = strchr(at, ',');
        if (end)
            *end = '\0';
        char *colon = strchr(at, ':');
        if (colon)
            *colon = '\0';
        if (n == MIEN_PRESET_MAX_LAYERS || !*at || (colon && (parse_real(colon + 1, &weight) || !(weight >= 0))))
            return tool_error(tool, "--layers wants names, perhaps with weights, separated by commas: relu1_1,relu2_1:0.5"), -1;
        layer[n++] = (MienPresetLayer){ .name = at, .weight = weight };
    }
    return n;
}

/* "NAME:0.7": the name's length, and the weight (1 without one). -1 if what follows the colon is no number. */
static int split_weight(const char *arg, double *weight)
{
    const char *colon = strrchr(arg, ':');
    *weight = 1;
    if (!colon || colon == arg || strchr(colon, '/'))
        return (int)strlen(arg);
    return parse_real(colon + 1, weight) || !(*weight >= 0) ? -1 : (int)(colon - arg);
}

int presets_blend(const Tool *tool, int n, char **args, const char *name, MienPreset **blend)
{
    MienPreset **p = mien_calloc((size_t)n, sizeof(*p));
    double *weight = mien_calloc((size_t)n, sizeof(*weight));
    int ret = p && weight ? 0 : MIEN_ERR(ENOMEM);
    *blend = NULL;
    if (ret < 0)
        tool_error(tool, "out of memory");
    for (int i = 0; i < n && ret >= 0; i++) {
        int len = split_weight(args[i], &weight[i]);
        char *what = len >= 0 ? mien_strndup(args[i], (size_t)len) : NULL;
        if (len < 0)
            ret = -tool_error(tool, "'%s': a preset and its weight are meant, starry-night:0.7", safe(args[i]));
        else
            ret = what ? mien_preset_open_named(&p[i], what, tool->presets, tool->log) : MIEN_ERR(ENOMEM);
        mien_free(what);
    }
    if (ret >= 0)
        ret = mien_preset_blend(blend, p, weight, n, name, tool->log);
    for (int i = 0; i < n && p; i++)
        mien_preset_unref(&p[i]);
    mien_free(p);
    mien_free(weight);
    return ret < 0 ? -1 : 0;
}
