/* facetag_draw.c — boxes and labels on a frame.
 *
 * Boxes are filled rectangles of libavfilter's drawutils. A label is an 8-bit mask that libass rendered once and a small cache
 * keeps, blended onto a filled strip. What a label says is the caller's business.
 */
#include <string.h>
#include <ass/ass.h>

#include "facetag_draw.h"
#include "libavfilter/drawutils.h"
#include "libavutil/avassert.h"
#include "libavutil/bprint.h"
#include "libavutil/common.h"
#include "libavutil/mem.h"
#include "libavutil/pixdesc.h"

#define N_CACHED 64          /* rendered labels; the least recently used goes */
#define CANVAS_W 32768       /* libass clips what lies outside */
#define CANVAS_H 512

typedef struct Label {
    char *text;
    int font_px;
    uint8_t *mask; /* w × h, 0..255 */
    int w, h;
    uint64_t last_use;
} Label;

struct FacetagDraw {
    AVFilterContext *ctx;
    FFDrawContext ff;
    int format, colorspace, range; /* of ff; format AV_PIX_FMT_NONE: none yet */
    FFDrawColor status_color[4], text_color;

    ASS_Library *library;
    ASS_Renderer *renderer;
    ASS_Track *track;
    int i_style; /* of our style; libass puts one of its own first */
    Label labels[N_CACHED];
    uint64_t clock;
};

typedef struct Rect {
    int x0, y0, x1, y1;
} Rect;

static const uint8_t status_rgba[4][4] = {
    [MIEN_STATUS_UNDECIDED]    = { 200, 205, 210, 255 },
    [MIEN_STATUS_KNOWN]        = {  70, 215, 110, 255 },
    [MIEN_STATUS_UNRECOGNISED] = { 255, 170,  40, 255 },
    [MIEN_STATUS_SPOOF]        = { 255,  85,  75, 255 },
};
static const uint8_t text_rgba[4] = { 16, 16, 16, 255 };

/* ---- text */

static void ass_message(int level, const char *fmt, va_list ap, void *ctx)
{
    char line[1024];

    vsnprintf(line, sizeof(line), fmt, ap);
    av_log(ctx, level <= 1 ? AV_LOG_WARNING : level <= 4 ? AV_LOG_DEBUG : AV_LOG_TRACE, "%s\n", line);
}

static int open_text(FacetagDraw *draw)
{
    ASS_Style *style;

    draw->library = ass_library_init();
    if (!draw->library)
        return AVERROR(ENOMEM);
    ass_set_message_cb(draw->library, ass_message, draw->ctx);
    draw->renderer = ass_renderer_init(draw->library);
    draw->track = ass_new_track(draw->library);
    if (!draw->renderer || !draw->track || (draw->i_style = ass_alloc_style(draw->track)) < 0) {
        av_log(draw->ctx, AV_LOG_ERROR, "libass does not start.\n");
        return AVERROR_EXTERNAL;
    }
    ass_set_frame_size(draw->renderer, CANVAS_W, CANVAS_H);
    ass_set_fonts(draw->renderer, NULL, "sans-serif", ASS_FONTPROVIDER_AUTODETECT, NULL, 1);
    draw->track->PlayResX = CANVAS_W;
    draw->track->PlayResY = CANVAS_H;
    draw->track->WrapStyle = 2;

    style = &draw->track->styles[draw->i_style];
    style->Name = strdup("Default");
    style->FontName = strdup("sans-serif");
    if (!style->Name || !style->FontName)
        return AVERROR(ENOMEM);
    style->Bold = 1;
    style->ScaleX = style->ScaleY = 1.0;
    style->PrimaryColour = 0xffffff00;
    style->BorderStyle = 1;
    style->Alignment = 5; /* top left, in libass's own numbering */
    style->Encoding = -1; /* the text's own direction */
    return 0;
}

/* The text as the body of an event: nothing in it is markup. A word joiner, which has no width, parts a backslash from what
 * follows. */
static char *ass_text(const char *text)
{
    AVBPrint out;
    char *str;

    av_bprint_init(&out, 0, AV_BPRINT_SIZE_UNLIMITED);
    for (; *text; text++) {
        if (*text == '{' || *text == '}')
            av_bprintf(&out, "\\%c", *text);
        else if (*text == '\\')
            av_bprintf(&out, "\\\xe2\x81\xa0");
        else
            av_bprint_chars(&out, (unsigned char)*text < ' ' ? ' ' : *text, 1);
    }
    return av_bprint_finalize(&out, &str) < 0 ? NULL : str;
}

/* The image's width without the empty columns that libass leaves at its right. */
static int used_w(const ASS_Image *image)
{
    int x = image->w;

    for (; x > 0; x--)
        for (int y = 0; y < image->h; y++)
            if (image->bitmap[y * image->stride + x - 1])
                return x;
    return 0;
}

/* Renders text at a size; the images lie with their top-left line box at (0,0) and live until the next call. */
static int render(FacetagDraw *draw, const char *text, int font_px, ASS_Image **images, int *w)
{
    ASS_Event *event;
    int i_event = ass_alloc_event(draw->track);

    if (i_event < 0)
        return AVERROR(ENOMEM);
    event = &draw->track->events[i_event];
    event->Duration = 1000;
    event->Style = draw->i_style;
    /* freed by libass, which takes it from malloc */
    event->Text = (char *)text;
    draw->track->styles[draw->i_style].FontSize = font_px;
    *images = ass_render_frame(draw->renderer, draw->track, 0, NULL);
    event->Text = NULL;
    ass_flush_events(draw->track);
    *w = 0;
    for (const ASS_Image *image = *images; image; image = image->next)
        *w = FFMAX(*w, image->dst_x + used_w(image));
    return 0;
}

static int make_label(FacetagDraw *draw, Label *label, const char *text, int font_px, int max_w)
{
    ASS_Image *images;
    char *body = ass_text(text);
    int ret, w;

    if (!body)
        return AVERROR(ENOMEM);
    ret = render(draw, body, font_px, &images, &w);
    /* A name too long for the frame is set smaller, whole. */
    if (ret >= 0 && w > max_w && max_w > 0)
        ret = render(draw, body, FFMAX(4, (int)((int64_t)font_px * max_w / w)), &images, &w);
    av_free(body);
    if (ret < 0)
        return ret;

    label->w = av_clip(w, 1, FFMAX(max_w, 1));
    label->h = font_px;
    label->mask = av_calloc(label->w, label->h);
    label->text = av_strdup(text);
    label->font_px = font_px;
    if (!label->mask || !label->text)
        return AVERROR(ENOMEM);
    for (const ASS_Image *image = images; image; image = image->next)
        for (int y = FFMAX(0, -image->dst_y); y < image->h && image->dst_y + y < label->h; y++)
            for (int x = FFMAX(0, -image->dst_x); x < image->w && image->dst_x + x < label->w; x++) {
                uint8_t *dst = label->mask + (image->dst_y + y) * label->w + image->dst_x + x;

                *dst = FFMAX(*dst, image->bitmap[y * image->stride + x]);
            }
    return 0;
}

static void free_label(Label *label)
{
    av_freep(&label->text);
    av_freep(&label->mask);
}

static int get_label(FacetagDraw *draw, const char *text, int font_px, int max_w, const Label **found)
{
    Label *oldest = draw->labels;
    int ret;

    draw->clock++;
    for (Label *label = draw->labels; label < draw->labels + N_CACHED; label++) {
        if (label->text && label->font_px == font_px && label->w <= max_w && !strcmp(label->text, text)) {
            label->last_use = draw->clock;
            *found = label;
            return 0;
        }
        if (label->last_use < oldest->last_use)
            oldest = label;
    }
    free_label(oldest);
    ret = make_label(draw, oldest, text, font_px, max_w);
    if (ret < 0) {
        free_label(oldest);
        return ret;
    }
    oldest->last_use = draw->clock;
    *found = oldest;
    return 0;
}

/* ---- rectangles */

/* Onto the chroma grid, outwards, and into the frame. */
static Rect snap(FacetagDraw *draw, const AVFrame *frame, Rect r)
{
    r.x0 = av_clip(ff_draw_round_to_sub(&draw->ff, 0, -1, r.x0), 0, frame->width);
    r.y0 = av_clip(ff_draw_round_to_sub(&draw->ff, 1, -1, r.y0), 0, frame->height);
    r.x1 = av_clip(ff_draw_round_to_sub(&draw->ff, 0, 1, r.x1), 0, frame->width);
    r.y1 = av_clip(ff_draw_round_to_sub(&draw->ff, 1, 1, r.y1), 0, frame->height);
    return r;
}

static void fill(FacetagDraw *draw, AVFrame *frame, FFDrawColor *color, Rect r)
{
    if (r.x1 > r.x0 && r.y1 > r.y0)
        ff_fill_rectangle(&draw->ff, color, frame->data, frame->linesize, r.x0, r.y0, r.x1 - r.x0, r.y1 - r.y0);
}

static Rect tag_rect(const MienTag *tag)
{
    return (Rect){ (int)tag->box_px.x0_px, (int)tag->box_px.y0_px, (int)tag->box_px.x1_px, (int)tag->box_px.y1_px };
}

static void draw_box(FacetagDraw *draw, AVFrame *frame, const MienTag *tag, int thick)
{
    FFDrawColor *color = &draw->status_color[tag->status];
    Rect o = snap(draw, frame, tag_rect(tag)); /* outer edge */
    Rect i = { FFMIN(o.x0 + thick, o.x1), FFMIN(o.y0 + thick, o.y1), 0, 0 }; /* inner edge */

    /* o.x1 may lie off the grid at the frame's edge */
    i.x1 = FFMAX(i.x0, ff_draw_round_to_sub(&draw->ff, 0, -1, o.x1 - thick));
    i.y1 = FFMAX(i.y0, ff_draw_round_to_sub(&draw->ff, 1, -1, o.y1 - thick));
    fill(draw, frame, color, (Rect){ o.x0, o.y0, o.x1, i.y0 });
    fill(draw, frame, color, (Rect){ o.x0, i.y1, o.x1, o.y1 });
    fill(draw, frame, color, (Rect){ o.x0, i.y0, i.x0, i.y1 });
    fill(draw, frame, color, (Rect){ i.x1, i.y0, o.x1, i.y1 });
}

/* The strip stands on the box where there is room above it, else it hangs below the box's upper edge. */
static int draw_label(FacetagDraw *draw, AVFrame *frame, const MienTag *tag, const char *text, int font_px)
{
    int pad = font_px / 4, strip_h = font_px + pad, ret;
    const Label *label;
    Rect box = tag_rect(tag), r;

    ret = get_label(draw, text, font_px, frame->width - 2 * pad, &label);
    if (ret < 0)
        return ret;
    r.x0 = av_clip(box.x0, 0, FFMAX(0, frame->width - label->w - 2 * pad));
    r.y0 = box.y0 >= strip_h ? box.y0 - strip_h : box.y0;
    r.y0 = av_clip(r.y0, 0, FFMAX(0, frame->height - strip_h));
    r.x1 = r.x0 + label->w + 2 * pad;
    r.y1 = r.y0 + strip_h;
    r = snap(draw, frame, r);
    fill(draw, frame, &draw->status_color[tag->status], r);
    ff_blend_mask(&draw->ff, &draw->text_color, frame->data, frame->linesize, r.x1, r.y1, label->mask, label->w,
                  label->w, label->h, 3, 0, r.x0 + pad, r.y0 + pad / 2);
    return 0;
}

/* ---- */

static int set_format(FacetagDraw *draw, const AVFrame *frame)
{
    int ret;

    if (draw->format == frame->format && draw->colorspace == frame->colorspace && draw->range == frame->color_range)
        return 0;
    ret = MIEN_DRAW_INIT(&draw->ff, frame, frame->colorspace, FF_DRAW_PROCESS_ALPHA);
    if (ret < 0) /* a matrix that drawutils does not know */
        ret = MIEN_DRAW_INIT(&draw->ff, frame, AVCOL_SPC_UNSPECIFIED, FF_DRAW_PROCESS_ALPHA);
    if (ret < 0) {
        av_log(draw->ctx, AV_LOG_ERROR, "Cannot draw on %s.\n", av_get_pix_fmt_name(frame->format));
        return ret;
    }
    draw->format     = frame->format;
    draw->colorspace = frame->colorspace;
    draw->range      = frame->color_range;
    for (int i = 0; i < 4; i++)
        ff_draw_color(&draw->ff, &draw->status_color[i], status_rgba[i]);
    ff_draw_color(&draw->ff, &draw->text_color, text_rgba);
    return 0;
}

int mieni_facetag_draw_create(FacetagDraw **out, AVFilterContext *ctx)
{
    FacetagDraw *draw = *out = av_mallocz(sizeof(*draw));

    if (!draw)
        return AVERROR(ENOMEM);
    draw->ctx = ctx;
    draw->format = AV_PIX_FMT_NONE;
    return 0;
}

void mieni_facetag_draw_destroy(FacetagDraw **draw_ptr)
{
    FacetagDraw *draw = *draw_ptr;

    if (!draw)
        return;
    for (int i = 0; i < N_CACHED; i++)
        free_label(&draw->labels[i]);
    if (draw->track)
        ass_free_track(draw->track);
    if (draw->renderer)
        ass_renderer_done(draw->renderer);
    if (draw->library)
        ass_library_done(draw->library);
    av_freep(draw_ptr);
}

int mieni_facetag_draw(FacetagDraw *draw, AVFrame *frame, int what, const MienTag *tags, int n_tags,
                       const char *(*label)(void *priv, const MienTag *tag), void *priv)
{
    int thick, font_px, ret;

    ret = set_format(draw, frame);
    if (ret < 0)
        return ret;
    if (what != FACETAG_DRAW_BOX && !draw->library && (ret = open_text(draw)) < 0)
        return ret;

    thick = 1 << FFMAX(draw->ff.hsub_max, draw->ff.vsub_max);
    thick = FFALIGN(av_clip(FFMIN(frame->width, frame->height) / 180, 2, 64), thick);
    font_px = av_clip(FFMIN(frame->width, frame->height) / 24, 12, 128);
    if (what != FACETAG_DRAW_LABEL)
        for (int i = 0; i < n_tags; i++)
            draw_box(draw, frame, &tags[i], thick);
    if (what != FACETAG_DRAW_BOX)
        for (int i = 0; i < n_tags; i++) {
            ret = draw_label(draw, frame, &tags[i], label(priv, &tags[i]), font_px);
            if (ret < 0)
                return ret;
        }
    return 0;
}
