/* facetag_thumbs.c — a small JPEG a track; see facetag_thumbs.h. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "facetag_thumbs.h"
#include "lavfi_glue.h"
#include "libavcodec/avcodec.h"
#include "libavutil/avstring.h"
#include "libavutil/error.h"
#include "libavutil/mem.h"

#define SIDE_PX 160          /* long side of a picture at most; nothing is enlarged */
#define AROUND 0.25f         /* of the box's size is shown on each side */
#define CLEARLY_BETTER 0.05f /* in quality, from which on another view takes the place of the kept one */

typedef struct Kept {
    int64_t track;           /* 0: free */
    int n_evidence;          /* of the track when it was last looked at */
    float quality;           /* -1: a view that was not encoded */
    int unwritten, written;
    AVFrame *picture;        /* YUV 4:2:0, full range */
    char name[64];
} Kept;

struct FacetagThumbs {
    char *dir;
    Kept *kept;
    int n_kept;              /* the tagger remembers twice as many tracks as it shows */
    int failed;              /* the one warning has been written */
    struct SwsContext *sws;
    char last_name[64];
};

int mieni_facetag_thumbs_create(FacetagThumbs **out, AVFilterContext *ctx, const char *dir, int max_faces)
{
    FacetagThumbs *t;
    struct stat st;
    const char *why = NULL;

    *out = NULL;
    if (stat(dir, &st) < 0)
        why = strerror(errno);
    else if (!S_ISDIR(st.st_mode))
        why = "it is no folder";
    else if (access(dir, W_OK | X_OK) < 0)
        why = strerror(errno);
    if (why) {
        av_log(ctx, AV_LOG_ERROR, "thumbs: cannot write into '%s': %s.\n", dir, why);
        return AVERROR(EINVAL);
    }
    if (!avcodec_find_encoder(AV_CODEC_ID_MJPEG)) {
        av_log(ctx, AV_LOG_ERROR, "thumbs: this FFmpeg has no JPEG encoder.\n");
        return AVERROR_ENCODER_NOT_FOUND;
    }
    t = av_mallocz(sizeof(*t));
    if (!t || !(t->dir = av_strdup(dir)) || !(t->kept = av_calloc(2 * max_faces, sizeof(*t->kept)))) {
        mieni_facetag_thumbs_destroy(&t);
        return AVERROR(ENOMEM);
    }
    t->n_kept = 2 * max_faces;
    *out = t;
    return 0;
}

void mieni_facetag_thumbs_destroy(FacetagThumbs **thumbs)
{
    FacetagThumbs *t = *thumbs;

    *thumbs = NULL;
    if (!t)
        return;
    for (int i = 0; i < t->n_kept; i++)
        av_frame_free(&t->kept[i].picture);
    sws_freeContext(t->sws);
    av_free(t->kept);
    av_free(t->dir);
    av_free(t);
}

/* ---- the view */

static Kept *find(FacetagThumbs *t, int64_t track)
{
    for (int i = 0; i < t->n_kept; i++)
        if (t->kept[i].track == track)
            return &t->kept[i];
    return NULL;
}

/* Microseconds: two cameras that write into one folder will not name the same. */
static void name_picture(char name[64], int64_t track, int64_t wall_us)
{
    time_t s = wall_us / 1000000;
    struct tm tm;
    size_t n = strftime(name, 64, "%Y%m%dT%H%M%S", gmtime_r(&s, &tm));

    snprintf(name + n, 64 - n, ".%06dZ-track%"PRId64".jpg", (int)(wall_us % 1000000), track);
}

/* The quality of this frame's view of a track, -1 if it was not encoded. */
static float view_quality(const MienTagger *tagger, int64_t track)
{
    MienTaggerStats stats;
    MienExplanation x;
    float quality = -1;

    mien_tagger_stats(tagger, &stats);
    if (mien_tagger_explain(tagger, track, &x) >= 0)
        for (int i = 0; i < x.n_views; i++)
            if (x.view[i].frame == (int64_t)stats.frames - 1)
                quality = FFMAX(quality, x.view[i].quality);
    return quality;
}

/* The box and what is around it, in whole pixels inside the picture. */
static void region(const MienImage *img, const MienBox *box, int *x, int *y, int *w, int *h)
{
    float dx = (box->x1_px - box->x0_px) * AROUND, dy = (box->y1_px - box->y0_px) * AROUND;

    *x = av_clip(lrintf(box->x0_px - dx), 0, img->w_px - 1);
    *y = av_clip(lrintf(box->y0_px - dy), 0, img->h_px - 1);
    *w = av_clip(lrintf(box->x1_px + dx) - *x, 1, img->w_px - *x);
    *h = av_clip(lrintf(box->y1_px + dy) - *y, 1, img->h_px - *y);
}

static int take_view(FacetagThumbs *t, Kept *k, const MienImage *img, const MienBox *box)
{
    const int gray = img->pixel == MIEN_PIXEL_GRAY8, *table = sws_getCoefficients(SWS_CS_DEFAULT);
    const uint8_t *data[4] = { NULL };
    int stride[4] = { img->stride_bytes }, x, y, w, h, long_side, ret;
    AVFrame *p = av_frame_alloc();

    if (!p)
        return AVERROR(ENOMEM);
    region(img, box, &x, &y, &w, &h);
    long_side = FFMAX3(w, h, SIDE_PX);
    p->format = AV_PIX_FMT_YUVJ420P;
    p->width  = FFMAX(2, w * SIDE_PX / long_side & ~1);
    p->height = FFMAX(2, h * SIDE_PX / long_side & ~1);
    p->color_range = AVCOL_RANGE_JPEG;
    data[0] = img->data + y * img->stride_bytes + x * (gray ? 1 : 3);
    t->sws = sws_getCachedContext(t->sws, w, h, gray ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24, p->width, p->height, p->format, SWS_BICUBIC,
                                  NULL, NULL, NULL);
    ret = t->sws ? av_frame_get_buffer(p, 0) : AVERROR(ENOMEM);
    if (ret >= 0) {
        sws_setColorspaceDetails(t->sws, table, 1, table, 1, 0, 1 << 16, 1 << 16);
        ret = sws_scale(t->sws, data, stride, 0, h, p->data, p->linesize);
    }
    if (ret < 0) {
        av_frame_free(&p);
        return ret;
    }
    av_frame_free(&k->picture);
    k->picture = p;
    k->unwritten = 1;
    return 0;
}

/* A track that was seen once, weakly, ends without an event: its place is taken when one is needed. */
static Kept *free_place(FacetagThumbs *t, const MienTagger *tagger)
{
    Kept *k = find(t, 0);
    MienExplanation x;

    for (int i = 0; i < t->n_kept && !k; i++)
        if (mien_tagger_explain(tagger, t->kept[i].track, &x) < 0)
            k = &t->kept[i];
    if (k) {
        av_frame_free(&k->picture);
        memset(k, 0, sizeof(*k));
    }
    return k;
}

int mieni_facetag_thumbs_frame(FacetagThumbs *t, const MienTagger *tagger, const MienImage *img, const MienTag *tags, int n_tags,
                               int64_t wall_us)
{
    int ret = 0;

    for (int i = 0; t && i < n_tags && ret >= 0; i++) {
        Kept *k = find(t, tags[i].track);
        float quality;

        if (k && k->n_evidence == tags[i].n_evidence)
            continue;
        if (!k && !(k = free_place(t, tagger)))
            continue;
        quality = view_quality(tagger, tags[i].track);
        if (!k->track) {
            k->track = tags[i].track;
            k->quality = -2;
            name_picture(k->name, k->track, wall_us);
        }
        k->n_evidence = tags[i].n_evidence;
        if (quality < k->quality + CLEARLY_BETTER)
            continue;
        k->quality = quality;
        ret = take_view(t, k, img, &tags[i].box_px);
    }
    return ret;
}

/* ---- the file */

static int encode(const AVFrame *picture, AVPacket *packet)
{
    AVCodecContext *c = avcodec_alloc_context3(avcodec_find_encoder(AV_CODEC_ID_MJPEG));
    int ret = AVERROR(ENOMEM);

    if (!c)
        return ret;
    c->width  = picture->width;
    c->height = picture->height;
    c->pix_fmt = picture->format;
    c->color_range = picture->color_range;
    c->time_base = (AVRational){ 1, 25 };
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = 3 * FF_QP2LAMBDA;
    if ((ret = avcodec_open2(c, NULL, NULL)) >= 0 && (ret = avcodec_send_frame(c, picture)) >= 0 && (ret = avcodec_send_frame(c, NULL)) >= 0)
        ret = avcodec_receive_packet(c, packet);
    avcodec_free_context(&c);
    return ret;
}

/* Under another name first: whoever looks into the folder sees whole pictures only. */
static int write_file(const char *dir, const char *name, const AVPacket *packet)
{
    char *path = av_asprintf("%s/%s", dir, name), *temporary = av_asprintf("%s/.%s.part", dir, name);
    int fd = -1, ret = path && temporary ? 0 : AVERROR(ENOMEM);

    if (ret >= 0 && (fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC, 0600)) < 0)
        ret = AVERROR(errno);
    for (int at = 0; ret >= 0 && at < packet->size; at += ret)
        if ((ret = write(fd, packet->data + at, packet->size - at)) < 0)
            ret = AVERROR(errno);
    if (fd >= 0 && close(fd) < 0 && ret >= 0)
        ret = AVERROR(errno);
    if (ret >= 0 && rename(temporary, path) < 0)
        ret = AVERROR(errno);
    if (ret < 0 && fd >= 0)
        unlink(temporary);
    av_free(path);
    av_free(temporary);
    return ret;
}

static void write_picture(FacetagThumbs *t, AVFilterContext *ctx, Kept *k)
{
    AVPacket *packet = av_packet_alloc();
    int ret = packet ? encode(k->picture, packet) : AVERROR(ENOMEM);

    if (ret >= 0)
        ret = write_file(t->dir, k->name, packet);
    av_packet_free(&packet);
    k->unwritten = 0;
    k->written |= ret >= 0;
    if (ret < 0 && !t->failed)
        av_log(ctx, AV_LOG_WARNING, "thumbs: cannot write '%s/%s': %s. Faces that cannot be written are left out from now on.\n", t->dir,
               k->name, av_err2str(ret));
    t->failed |= ret < 0;
}

const char *mieni_facetag_thumbs_event(FacetagThumbs *t, AVFilterContext *ctx, const MienEvent *event)
{
    Kept *k = t ? find(t, event->tag.track) : NULL;
    int written;

    if (!k)
        return NULL;
    if (k->unwritten && (event->kind == MIEN_EVENT_ENTER || event->kind == MIEN_EVENT_LEAVE))
        write_picture(t, ctx, k);
    written = k->written;
    av_strlcpy(t->last_name, k->name, sizeof(t->last_name));
    if (event->kind == MIEN_EVENT_LEAVE) {
        av_frame_free(&k->picture);
        memset(k, 0, sizeof(*k));
    }
    return written ? t->last_name : NULL;
}
