/* compat.h — what differs between FFmpeg 5.1 and 9, in one place.
 *
 * A filter includes this file first and then uses only names that every release has. The stable part, which needs no line
 * here: FILTER_INPUTS/OUTPUTS and FILTER_PIXFMTS_ARRAY, activate() with the ff_inlink_* calls, ff_filter_execute,
 * process_command.
 */
#ifndef MIEN_FILTERS_COMPAT_H
#define MIEN_FILTERS_COMPAT_H

#include "libavutil/version.h"
#include "libavfilter/avfilter.h"
#include "libavfilter/version.h"

/* 7.1 moved what filters need from internal.h into filters.h. */
#if LIBAVFILTER_VERSION_INT < AV_VERSION_INT(10, 4, 100)
#include "libavfilter/internal.h"
#endif
#include "libavfilter/filters.h"

/* 8.0: a filter is an FFFilter that holds the public AVFilter as its member p.
 *     MIEN_FILTER(ff_vf_name) = { MIEN_FILTER_PUBLIC(.name = …, .flags = …,) .priv_size = …, … }; */
#if LIBAVFILTER_VERSION_MAJOR >= 11
#define MIEN_FILTER(symbol) const FFFilter symbol
#define MIEN_FILTER_PUBLIC(...) .p = { __VA_ARGS__ },
#else
#define MIEN_FILTER(symbol) const AVFilter symbol
#define MIEN_FILTER_PUBLIC(...) __VA_ARGS__
#endif

/* 8.1: drawutils wants to know what alpha means (drawutils.h must be included). */
#if LIBAVFILTER_VERSION_INT >= AV_VERSION_INT(11, 6, 100)
#define MIEN_DRAW_INIT(draw, frame, csp, flags) \
    ff_draw_init2(draw, (frame)->format, csp, (frame)->color_range, (frame)->alpha_mode, flags)
#else
#define MIEN_DRAW_INIT(draw, frame, csp, flags) ff_draw_init2(draw, (frame)->format, csp, (frame)->color_range, flags)
#endif

#endif
