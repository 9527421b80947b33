/* lavfi_glue.h — bridges between libavfilter and libmien: log, errors, jobs, pictures.
 *
 * Nothing here knows what a face or a style is; every filter of the project uses the same bridges.
 */
#ifndef MIEN_FILTERS_LAVFI_GLUE_H
#define MIEN_FILTERS_LAVFI_GLUE_H

#include "compat.h"
#include "libavutil/frame.h"
#include "libswscale/swscale.h"
#include "mien/error.h"
#include "mien/exec.h"
#include "mien/image.h"
#include "mien/log.h"
#include "mien/planes.h"

/* A logger that writes as the filter does. Libmien's info, once a run, is FFmpeg's verbose: a filter is quiet by default. */
MienLog mieni_lavfi_log(AVFilterContext *ctx);

/* A code of libmien as an AVERROR; numbers >= 0 pass. */
int mieni_lavfi_error(int err);

/* Runs jobs on the filter's slice threads. Lives in the filter's private context, zeroed. libavfilter cannot nest: a call from
 * inside a job runs its jobs one after the other. */
typedef struct MieniLavfiExec {
    AVFilterContext *ctx;
    int busy;
} MieniLavfiExec;
MienExec mieni_lavfi_exec(MieniLavfiExec *exec, AVFilterContext *ctx);

/* activate() of a filter with one input and one output that changes frames in place: each frame goes to frame(), which may replace it by a
 * writable one, or keep it and give another one or NULL; skip() is called for those that pass while the timeline has the filter switched
 * off, end() at the end. */
int mieni_lavfi_activate(AVFilterContext *ctx, int (*frame)(AVFilterContext *ctx, AVFrame **frame), int (*skip)(AVFilterContext *ctx),
                         int (*end)(AVFilterContext *ctx));

/* The formats that our filters take: samples in whole bytes, 8 to 16 bits, in the machine's order. */
extern const enum AVPixelFormat mieni_lavfi_pix_fmts[];

/* Frames as libmien's pictures. Lives in the filter's private context, zeroed; follows changes of size, format, matrix and range from
 * frame to frame. */
typedef struct MieniLavfiImage {
    struct SwsContext *sws; /* NULL: the frame's own memory serves */
    AVFrame *copy;          /* RGB24 or GRAY8, padded as swscale's SIMD wants it */
    int w, h, format, colorspace, range;
} MieniLavfiImage;

/* A view of the frame as 8-bit RGB, or gray where the frame is, full range. Valid until the next call or until the frame goes.
 * The frame isn't touched. Alpha is ignored; an unspecified matrix is BT.601, as everywhere in FFmpeg. */
int mieni_lavfi_image(MieniLavfiImage *conv, AVFilterContext *ctx, const AVFrame *frame, MienImage *img);
void mieni_lavfi_image_free(MieniLavfiImage *conv);

/* The frame's own samples, without alpha. Frames of our formats only. */
MienPlanes mieni_lavfi_planes(const AVFrame *frame);

#endif
