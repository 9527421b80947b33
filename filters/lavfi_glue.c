/* lavfi_glue.c — bridges between libavfilter and libmien: log, errors, jobs, pictures.
 *
 * Pictures go through swscale, one context a size; frames that already are packed RGB or 8-bit gray are borrowed.
 */
#include <stdio.h>
#include <string.h>

#include "lavfi_glue.h"
#include "libavutil/imgutils.h"
#include "libavutil/pixdesc.h"

static void write_log(void *priv, MienLogLevel level, const char *fmt, va_list ap)
{
    static const int av_level[] = {
        [MIEN_LOG_ERROR] = AV_LOG_ERROR, [MIEN_LOG_WARN] = AV_LOG_WARNING, [MIEN_LOG_INFO] = AV_LOG_VERBOSE,
        [MIEN_LOG_DEBUG] = AV_LOG_DEBUG, [MIEN_LOG_TRACE] = AV_LOG_TRACE,
    };
    char line[2048];

    /* One call a line: several threads may write. */
    vsnprintf(line, sizeof(line), fmt, ap);
    av_log(priv, av_level[level], "%s\n", line);
}

MienLog mieni_lavfi_log(AVFilterContext *ctx)
{
    int av_level = av_log_get_level();
    MienLogLevel level = av_level >= AV_LOG_TRACE   ? MIEN_LOG_TRACE :
                         av_level >= AV_LOG_DEBUG   ? MIEN_LOG_DEBUG :
                         av_level >= AV_LOG_VERBOSE ? MIEN_LOG_INFO :
                         av_level >= AV_LOG_WARNING ? MIEN_LOG_WARN : MIEN_LOG_ERROR;

    return (MienLog){ .write = write_log, .priv = ctx, .level = level };
}

int mieni_lavfi_error(int err)
{
    switch (err) {
    case MIEN_E_MODEL:
    case MIEN_E_SHAPE:
    case MIEN_E_FORMAT:
    case MIEN_E_CORRUPT:     return AVERROR_INVALIDDATA;
    case MIEN_E_VERSION:
    case MIEN_E_UNSUPPORTED: return AVERROR_PATCHWELCOME;
    case MIEN_E_NOTFOUND:    return AVERROR(ENOENT);
    case MIEN_E_EXISTS:      return AVERROR(EEXIST);
    case MIEN_E_BUSY:        return AVERROR(EBUSY);
    case MIEN_E_BUG:         return AVERROR_BUG;
    case MIEN_E_MISMATCH:
    case MIEN_E_NOFACE:
    case MIEN_E_AMBIGUOUS:
    case MIEN_E_QUALITY:     return AVERROR(EINVAL);
    }
    return err < 0 ? AVERROR(-err) : err;
}

/* ---- jobs */

typedef struct Jobs {
    MienJobFn fn;
    void *arg;
} Jobs;

static int run_job(AVFilterContext *ctx, void *arg, int i_job, int n_jobs)
{
    const Jobs *jobs = arg;

    jobs->fn(jobs->arg, i_job, n_jobs);
    return 0;
}

static void run_jobs(void *priv, MienJobFn fn, void *arg, int n_jobs)
{
    MieniLavfiExec *exec = priv;
    Jobs jobs = { fn, arg };

    if (exec->busy || n_jobs < 2) {
        for (int i = 0; i < n_jobs; i++)
            fn(arg, i, n_jobs);
        return;
    }
    /* Written only while no job runs, so that jobs may read it. */
    exec->busy = 1;
    ff_filter_execute(exec->ctx, run_job, &jobs, NULL, n_jobs);
    exec->busy = 0;
}

MienExec mieni_lavfi_exec(MieniLavfiExec *exec, AVFilterContext *ctx)
{
    exec->ctx = ctx;
    return (MienExec){ .run = run_jobs, .priv = exec, .n_threads = ff_filter_get_nb_threads(ctx) };
}

/* ---- frames */

int mieni_lavfi_activate(AVFilterContext *ctx, int (*frame)(AVFilterContext *, AVFrame **), int (*skip)(AVFilterContext *),
                         int (*end)(AVFilterContext *))
{
    AVFilterLink *inlink = ctx->inputs[0], *outlink = ctx->outputs[0];
    AVFrame *in;
    int64_t pts;
    int ret, status;

    FF_FILTER_FORWARD_STATUS_BACK(outlink, inlink);

    ret = ff_inlink_consume_frame(inlink, &in);
    if (ret < 0)
        return ret;
    if (ret > 0) {
        ret = ctx->is_disabled ? skip(ctx) : frame(ctx, &in);
        if (ret < 0) {
            av_frame_free(&in);
            return ret;
        }
        if (in)
            return ff_filter_frame(outlink, in);
        ff_filter_set_ready(ctx, 100);
        return 0;
    }
    if (ff_inlink_acknowledge_status(inlink, &status, &pts)) {
        ret = end(ctx);
        ff_outlink_set_status(outlink, ret < 0 ? ret : status, pts);
        return ret;
    }
    FF_FILTER_FORWARD_WANTED(outlink, inlink);
    return FFERROR_NOT_READY;
}

/* What drawutils can paint and swscale can read, up to 16 bits a sample. */
const enum AVPixelFormat mieni_lavfi_pix_fmts[] = {
    AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUV422P, AV_PIX_FMT_YUV444P, AV_PIX_FMT_YUV440P, AV_PIX_FMT_YUV411P, AV_PIX_FMT_YUV410P,
    AV_PIX_FMT_YUVJ420P, AV_PIX_FMT_YUVJ422P, AV_PIX_FMT_YUVJ444P, AV_PIX_FMT_YUVJ440P, AV_PIX_FMT_YUVJ411P,
    AV_PIX_FMT_YUVA420P, AV_PIX_FMT_YUVA422P, AV_PIX_FMT_YUVA444P,
    AV_PIX_FMT_NV12, AV_PIX_FMT_NV21, AV_PIX_FMT_NV16, AV_PIX_FMT_NV24, AV_PIX_FMT_NV42,
    AV_PIX_FMT_YUV420P10LE, AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_YUV440P10LE,
    AV_PIX_FMT_YUVA420P10LE, AV_PIX_FMT_YUVA422P10LE, AV_PIX_FMT_YUVA444P10LE,
    AV_PIX_FMT_YUV420P12LE, AV_PIX_FMT_YUV422P12LE, AV_PIX_FMT_YUV444P12LE,
    AV_PIX_FMT_P010LE, AV_PIX_FMT_P210LE, AV_PIX_FMT_P410LE,
    AV_PIX_FMT_RGB24, AV_PIX_FMT_BGR24, AV_PIX_FMT_RGBA, AV_PIX_FMT_BGRA, AV_PIX_FMT_ARGB, AV_PIX_FMT_ABGR,
    AV_PIX_FMT_RGB0, AV_PIX_FMT_BGR0, AV_PIX_FMT_0RGB, AV_PIX_FMT_0BGR,
    AV_PIX_FMT_GBRP, AV_PIX_FMT_GBRAP, AV_PIX_FMT_GBRP10LE, AV_PIX_FMT_GBRAP10LE, AV_PIX_FMT_GBRP12LE,
    AV_PIX_FMT_GRAY8, AV_PIX_FMT_GRAY10LE, AV_PIX_FMT_GRAY12LE, AV_PIX_FMT_GRAY16LE, AV_PIX_FMT_YA8,
    AV_PIX_FMT_NONE
};

/* ---- pictures */

static int is_gray(const AVPixFmtDescriptor *desc)
{
    return desc->nb_components <= 2 && !(desc->flags & AV_PIX_FMT_FLAG_RGB);
}

/* swscale knows which formats are full range by their name; the frame's own word outweighs that. */
static void set_colorspace(struct SwsContext *sws, const AVFrame *frame)
{
    int *inv_table, *table, src_full, dst_full, brightness, contrast, saturation;
    const int *matrix = sws_getCoefficients(frame->colorspace == AVCOL_SPC_UNSPECIFIED ? SWS_CS_DEFAULT :
                                                                                         frame->colorspace);

    if (sws_getColorspaceDetails(sws, &inv_table, &src_full, &table, &dst_full, &brightness, &contrast, &saturation) < 0)
        return;
    if (frame->color_range != AVCOL_RANGE_UNSPECIFIED)
        src_full = frame->color_range == AVCOL_RANGE_JPEG;
    sws_setColorspaceDetails(sws, matrix, src_full, table, 1, brightness, contrast, saturation);
}

static int open_image(MieniLavfiImage *conv, AVFilterContext *ctx, const AVFrame *frame)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(frame->format);
    int gray = is_gray(desc), ret;
    int expand = gray && frame->color_range == AVCOL_RANGE_MPEG;

    mieni_lavfi_image_free(conv);
    conv->w          = frame->width;
    conv->h          = frame->height;
    conv->format     = frame->format;
    conv->colorspace = frame->colorspace;
    conv->range      = frame->color_range;
    if (frame->format == AV_PIX_FMT_RGB24 || (frame->format == AV_PIX_FMT_GRAY8 && !expand))
        return 0;

    conv->copy = av_frame_alloc();
    if (!conv->copy)
        return AVERROR(ENOMEM);
    conv->copy->format = gray ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24;
    conv->copy->width  = FFALIGN(frame->width, 32) + 32;
    conv->copy->height = frame->height;
    ret = av_frame_get_buffer(conv->copy, 0);
    if (ret < 0 || frame->format == AV_PIX_FMT_GRAY8)
        return ret;

    conv->sws = sws_getContext(frame->width, frame->height, frame->format, frame->width, frame->height,
                               conv->copy->format, SWS_BILINEAR, NULL, NULL, NULL);
    if (!conv->sws) {
        av_log(ctx, AV_LOG_ERROR, "swscale cannot convert %dx%d %s to RGB.\n", frame->width, frame->height,
               desc->name);
        return AVERROR(ENOSYS);
    }
    if (!gray && !(desc->flags & AV_PIX_FMT_FLAG_RGB))
        set_colorspace(conv->sws, frame);
    return 0;
}

/* swscale takes gray for full range whatever the frame says. */
static void expand_range(AVFrame *copy, const uint8_t *src, ptrdiff_t src_stride, int w, int h)
{
    uint8_t table[256];

    for (int v = 0; v < 256; v++)
        table[v] = av_clip_uint8(((v - 16) * 255 + 109) / 219);
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++)
            copy->data[0][y * (ptrdiff_t)copy->linesize[0] + x] = table[src[y * src_stride + x]];
}

int mieni_lavfi_image(MieniLavfiImage *conv, AVFilterContext *ctx, const AVFrame *frame, MienImage *img)
{
    const uint8_t *data = frame->data[0];
    ptrdiff_t stride_bytes = frame->linesize[0];
    int ret, gray;

    if (conv->w != frame->width || conv->h != frame->height || conv->format != frame->format ||
        conv->colorspace != frame->colorspace || conv->range != frame->color_range) {
        ret = open_image(conv, ctx, frame);
        if (ret < 0) {
            mieni_lavfi_image_free(conv);
            return ret;
        }
    }
    gray = is_gray(av_pix_fmt_desc_get(frame->format));
    if (conv->sws) {
        ret = sws_scale(conv->sws, (const uint8_t *const *)frame->data, frame->linesize, 0, frame->height,
                        conv->copy->data, conv->copy->linesize);
        if (ret < 0)
            return ret;
        data = conv->copy->data[0];
        stride_bytes = conv->copy->linesize[0];
    }
    if (gray && frame->color_range == AVCOL_RANGE_MPEG) {
        expand_range(conv->copy, data, stride_bytes, frame->width, frame->height);
        data = conv->copy->data[0];
        stride_bytes = conv->copy->linesize[0];
    }
    *img = (MienImage){ data, stride_bytes, frame->width, frame->height, gray ? MIEN_PIXEL_GRAY8 : MIEN_PIXEL_RGB8 };
    return 0;
}

void mieni_lavfi_image_free(MieniLavfiImage *conv)
{
    sws_freeContext(conv->sws);
    av_frame_free(&conv->copy);
    memset(conv, 0, sizeof(*conv));
}

/* ---- frames as planes */

/* Weights of red and blue in luma, by the frame's matrix; BT.601 where none or another is given, as everywhere in FFmpeg. */
static void luma_weights(enum AVColorSpace space, float *kr, float *kb)
{
    switch (space) {
    case AVCOL_SPC_BT709:      *kr = 0.2126f; *kb = 0.0722f; break;
    case AVCOL_SPC_FCC:        *kr = 0.30f;   *kb = 0.11f;   break;
    case AVCOL_SPC_SMPTE240M:  *kr = 0.212f;  *kb = 0.087f;  break;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:  *kr = 0.2627f; *kb = 0.0593f; break;
    default:                   *kr = 0.299f;  *kb = 0.114f;  break;
    }
}

MienPlanes mieni_lavfi_planes(const AVFrame *frame)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(frame->format);
    int alpha = !!(desc->flags & AV_PIX_FMT_FLAG_ALPHA), rgb = !!(desc->flags & AV_PIX_FMT_FLAG_RGB);
    int full = frame->color_range == AVCOL_RANGE_JPEG;
    MienPlanes p = { .w_px = frame->width, .h_px = frame->height, .n = desc->nb_components - alpha, .rgb = rgb };

    if (frame->color_range == AVCOL_RANGE_UNSPECIFIED) /* gray is full by habit, the yuvj formats by name */
        full = p.n == 1 || !strncmp(desc->name, "yuvj", 4);
    p.full_range = full;
    luma_weights(frame->colorspace, &p.kr, &p.kb);
    for (int i = 0; i < p.n; i++) {
        const AVComponentDescriptor *c = &desc->comp[i];
        int chroma = !rgb && i > 0;

        p.plane[i] = (MienPlane){
            .data = frame->data[c->plane] + c->offset, .stride_bytes = frame->linesize[c->plane], .step_bytes = c->step,
            .bits = c->depth, .shift = c->shift,
            .w_px = chroma ? AV_CEIL_RSHIFT(frame->width, desc->log2_chroma_w) : frame->width,
            .h_px = chroma ? AV_CEIL_RSHIFT(frame->height, desc->log2_chroma_h) : frame->height,
        };
    }
    return p;
}
