/* Pictures and videos through libavformat, libavcodec and libswscale; see media.h. Files are opened here and handed over as
 * byte streams without a name: a name would let image2 read "%03d" as a pattern, and a playlist must not open other files. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <nettle/sha2.h>

#include "base/file.h"
#include "media.h"
#include "mien/error.h"
#include "tool.h"

#define IO_BYTES 65536

struct Media {
    char *path;
    MienLog log;
    int fd;
    int64_t file_bytes, at;
    AVIOContext *io;
    AVFormatContext *format;
    AVCodecContext *codec;
    AVPacket *packet;
    AVFrame *frame;
    struct SwsContext *sws;
    int i_stream, video, drained, n_frames, n_damaged;
    int deep;              /* rgb8 and scratch hold 16 bits a sample */
    int bits;              /* of the last frame as decoded, 8 or 16 */
    uint8_t *rgb8;         /* upright, what callers see */
    uint8_t *scratch;      /* as decoded: RGB before turning, or RGBA */
    size_t rgb8_bytes, scratch_bytes;
    char sha256[65];
};

/* ---- what FFmpeg's libraries say: the first error of this thread becomes part of our sentence */

static _Thread_local char av_words[256];

static void keep_words(void *avcl, int level, const char *fmt, va_list ap)
{
    (void)avcl;
    if (level > AV_LOG_ERROR || *av_words)
        return;
    vsnprintf(av_words, sizeof(av_words), fmt, ap);
    size_t n = strlen(av_words);
    while (n && (av_words[n - 1] == '\n' || av_words[n - 1] == '.'))
        av_words[--n] = 0;
}

static void hear_words(void)
{
    av_log_set_callback(keep_words);
}

static void forget_words(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, hear_words);
    *av_words = 0;
}

/* "PATH: WHAT (words of FFmpeg)" */
static int fail(const Media *m, int averr, const char *what)
{
    char why[AV_ERROR_MAX_STRING_SIZE] = "";
    if (averr == AVERROR(ENOMEM))
        return mien_fail(m->log, MIEN_ERR(ENOMEM), "%s: out of memory", m->path);
    if (!*av_words && averr < 0 && averr != AVERROR_EOF)
        av_strerror(averr, why, sizeof(why));
    const char *words = *av_words ? av_words : why;
    return mien_fail(m->log, MIEN_E_FORMAT, "%s: %s%s%s%s", m->path, what, *words ? " (" : "", words, *words ? ")" : "");
}

/* ---- bytes */

static int read_bytes(void *opaque, uint8_t *buf, int n)
{
    Media *m = opaque;
    ssize_t got;
    do
        got = pread(m->fd, buf, (size_t)n, m->at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return AVERROR(errno);
    m->at += got;
    return got ? (int)got : AVERROR_EOF;
}

static int64_t seek_bytes(void *opaque, int64_t offset, int whence)
{
    Media *m = opaque;
    if (whence & AVSEEK_SIZE)
        return m->file_bytes;
    whence &= ~AVSEEK_FORCE;
    int64_t to = whence == SEEK_SET ? offset : whence == SEEK_CUR ? m->at + offset : m->file_bytes + offset;
    if (to < 0)
        return AVERROR(EINVAL);
    return m->at = to;
}

/* A playlist or reference inside a file stays unopened. */
static int refuse_open(AVFormatContext *s, AVIOContext **pb, const char *url, int flags, AVDictionary **options)
{
    (void)s, (void)url, (void)flags, (void)options;
    *pb = NULL;
    return AVERROR(EPERM);
}

static int open_file(Media *m)
{
    struct stat st;
    m->fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (m->fd < 0 || fstat(m->fd, &st)) {
        int e = errno;
        return mien_fail(m->log, MIEN_ERR(e), "%s: %s", m->path, strerror(e));
    }
    if (S_ISDIR(st.st_mode))
        return mien_fail(m->log, MIEN_ERR(EISDIR), "%s: is a folder, not a picture", m->path);
    if (!S_ISREG(st.st_mode))
        return mien_fail(m->log, MIEN_E_FORMAT, "%s: is not a regular file", m->path);
    if (!st.st_size)
        return mien_fail(m->log, MIEN_E_FORMAT, "%s: the file is empty", m->path);
    m->file_bytes = st.st_size;
    return 0;
}

const char *media_sha256(Media *m)
{
    struct sha256_ctx sha;
    uint8_t buf[IO_BYTES], digest[SHA256_DIGEST_SIZE];
    ssize_t n;
    if (*m->sha256)
        return m->sha256;
    sha256_init(&sha);
    for (int64_t at = 0; (n = pread(m->fd, buf, sizeof(buf), at)); at += n > 0 ? n : 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            mien_log(m->log, MIEN_LOG_ERROR, "%s: %s", m->path, strerror(errno));
            return NULL;
        }
        sha256_update(&sha, (size_t)n, buf);
    }
    sha256_digest(&sha, sizeof(digest), digest);
    for (int i = 0; i < (int)sizeof(digest); i++)
        snprintf(m->sha256 + 2 * i, 3, "%02x", digest[i]);
    return m->sha256;
}

/* ---- opening */

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), e = strlen(end);
    return n >= e && !strcasecmp(s + n - e, end);
}

static int still_format(const AVFormatContext *f)
{
    const char *n = f->iformat->name;
    return ends_with(n, "_pipe") || !strcmp(n, "gif") || !strcmp(n, "apng") || !strcmp(n, "ico") || !strcmp(n, "image2");
}

static int open_streams(Media *m, int threads)
{
    uint8_t *buf = av_malloc(IO_BYTES);
    if (!buf || !(m->io = avio_alloc_context(buf, IO_BYTES, 0, m, read_bytes, NULL, seek_bytes))) {
        av_free(buf);
        return fail(m, AVERROR(ENOMEM), "");
    }
    if (!(m->format = avformat_alloc_context()))
        return fail(m, AVERROR(ENOMEM), "");
    m->format->pb = m->io;
    m->format->io_open = refuse_open;
    /* demuxers that open other files by contexts of their own (concat) inherit this list */
    if (!(m->format->protocol_whitelist = av_strdup("none")))
        return fail(m, AVERROR(ENOMEM), "");
    m->format->flags |= AVFMT_FLAG_CUSTOM_IO;
    int err = avformat_open_input(&m->format, NULL, NULL, NULL); /* frees the context on failure */
    if (err < 0)
        return fail(m, err, "not a picture or video that can be read");
    int still = still_format(m->format);
    /* a picture's format says all that is needed, and this call would decode it a second time */
    if (!(still && m->format->nb_streams == 1 && m->format->streams[0]->codecpar->codec_id != AV_CODEC_ID_NONE) &&
        (err = avformat_find_stream_info(m->format, NULL)) < 0)
        return fail(m, err, "damaged: its streams cannot be told");
    const AVCodec *codec = NULL;
    m->i_stream = av_find_best_stream(m->format, AVMEDIA_TYPE_VIDEO, -1, -1, &codec, 0);
    if (m->i_stream < 0) {
        *av_words = 0;
        return fail(m, 0, m->i_stream == AVERROR_DECODER_NOT_FOUND ? "a kind of picture that this FFmpeg cannot decode"
                                                                    : "has no picture in it");
    }
    const AVStream *st = m->format->streams[m->i_stream];
    if (codec->id == AV_CODEC_ID_ANSI || codec->id == AV_CODEC_ID_BINTEXT || codec->id == AV_CODEC_ID_XBIN)
        return fail(m, 0, "is text, not a picture");
    m->video = !still && !(st->disposition & AV_DISPOSITION_ATTACHED_PIC) && st->nb_frames != 1;
    if ((int64_t)st->codecpar->width * st->codecpar->height > MEDIA_MAX_PIXELS)
        return mien_fail(m->log, MIEN_E_UNSUPPORTED, "%s: %dx%d pixels are too many; at most %lld million are read", m->path,
                         st->codecpar->width, st->codecpar->height, (long long)(MEDIA_MAX_PIXELS / 1000000));
    if (!(m->codec = avcodec_alloc_context3(codec)) || !(m->packet = av_packet_alloc()) || !(m->frame = av_frame_alloc()))
        return fail(m, AVERROR(ENOMEM), "");
    if ((err = avcodec_parameters_to_context(m->codec, st->codecpar)) < 0)
        return fail(m, err, "cannot be decoded");
    m->codec->pkt_timebase = st->time_base;
    m->codec->max_pixels = MEDIA_MAX_PIXELS;
    m->codec->thread_count = m->video ? threads : 1;
    /* the decoders that else fill what is missing with grey; others would fail for a mere unknown tag */
    if (!m->video && (codec->id == AV_CODEC_ID_MJPEG || codec->id == AV_CODEC_ID_PNG))
        m->codec->err_recognition |= AV_EF_EXPLODE;
    if ((err = avcodec_open2(m->codec, codec, NULL)) < 0)
        return fail(m, err, "cannot be decoded");
    for (unsigned i = 0; i < m->format->nb_streams; i++)
        if ((int)i != m->i_stream)
            m->format->streams[i]->discard = AVDISCARD_ALL;
    return 0;
}

int media_open(Media **media, const char *path, int threads, MienLog log)
{
    Media *m = mien_calloc(1, sizeof(*m));
    *media = NULL;
    if (!m || !(m->path = mien_strdup(path))) {
        mien_free(m);
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", path);
    }
    m->fd = -1;
    m->log = log;
    forget_words();
    int ret = open_file(m);
    if (ret >= 0)
        ret = open_streams(m, threads);
    if (ret < 0) {
        media_close(&m);
        return ret;
    }
    *media = m;
    return 0;
}

void media_close(Media **media)
{
    Media *m = *media;
    if (!m)
        return;
    avcodec_free_context(&m->codec);
    avformat_close_input(&m->format);
    if (m->io)
        av_freep(&m->io->buffer);
    avio_context_free(&m->io);
    av_packet_free(&m->packet);
    av_frame_free(&m->frame);
    sws_freeContext(m->sws);
    if (m->fd >= 0)
        close(m->fd);
    mien_free(m->rgb8);
    mien_free(m->scratch);
    mien_free(m->path);
    mien_free(m);
    *media = NULL;
}

int media_is_video(const Media *m)
{
    return m->video;
}

double media_duration_s(const Media *m)
{
    return m->video && m->format->duration > 0 ? (double)m->format->duration / AV_TIME_BASE : 0;
}

/* 1: noted, 0: it can't be cut, or negative. */
static int note_key_frame(Media *m, int64_t **time_us, int64_t *n, int64_t *room, int64_t *end_us)
{
    const AVPacket *p = m->packet;
    AVRational tb = m->format->streams[m->i_stream]->time_base;
    int64_t start_us = m->format->start_time == AV_NOPTS_VALUE ? 0 : m->format->start_time;
    if (p->pts == AV_NOPTS_VALUE)
        return !(p->flags & AV_PKT_FLAG_KEY);
    int64_t us = av_rescale_q(p->pts, tb, AV_TIME_BASE_Q) - start_us, to_us = us + av_rescale_q(p->duration, tb, AV_TIME_BASE_Q);
    *end_us = to_us > *end_us ? to_us : *end_us;
    if (!(p->flags & AV_PKT_FLAG_KEY) || (p->flags & AV_PKT_FLAG_DISCARD))
        return 1;
    if (*n && us <= (*time_us)[*n - 1])
        return 0;
    if (*n == *room) {
        *room = *room ? 2 * *room : 256;
        int64_t *more = mien_realloc_array(*time_us, (size_t)*room, sizeof(*more));
        if (!more)
            return fail(m, AVERROR(ENOMEM), "");
        *time_us = more;
    }
    (*time_us)[(*n)++] = us;
    return 1;
}

int64_t media_key_frames(Media *m, int64_t **time_us, int64_t *end_us)
{
    int64_t n = 0, room = 0;
    int ret = 1;
    *time_us = NULL;
    *end_us = 0;
    while (ret > 0 && !interrupted() && av_read_frame(m->format, m->packet) >= 0) {
        if (m->packet->stream_index == m->i_stream)
            ret = note_key_frame(m, time_us, &n, &room, end_us);
        av_packet_unref(m->packet);
    }
    if (ret <= 0) {
        mien_free(*time_us);
        *time_us = NULL;
        return ret;
    }
    return n;
}

/* ---- a frame as upright RGB */

static int reserve(uint8_t **buf, size_t *have, size_t want)
{
    if (*have >= want)
        return 0;
    mien_free(*buf);
    *buf = mien_malloc(want);
    *have = *buf ? want : 0;
    return *buf ? 0 : MIEN_ERR(ENOMEM);
}

/* How the stored picture becomes the shown one: first swap x and y, then mirror. */
typedef struct Turn {
    int transpose, flip_x, flip_y;
} Turn;

static Turn turn_of(const Media *m, const AVFrame *f)
{
    const AVFrameSideData *sd = av_frame_get_side_data(f, AV_FRAME_DATA_DISPLAYMATRIX);
    const int32_t *d = sd && sd->size >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)sd->data : NULL;
    if (!d) {
        size_t bytes = 0;
        const uint8_t *s = av_stream_get_side_data(m->format->streams[m->i_stream], AV_PKT_DATA_DISPLAYMATRIX, &bytes);
        d = bytes >= 9 * sizeof(int32_t) ? (const int32_t *)(const void *)s : NULL;
    }
    if (d) { /* x' = d0·x + d3·y, y' = d1·x + d4·y (libavutil/display.h); other angles go to the nearest right one */
        if (llabs(d[0]) >= llabs(d[1]))
            return (Turn){ 0, d[0] < 0, d[4] < 0 };
        return (Turn){ 1, d[3] < 0, d[1] < 0 };
    }
    /* decoders that give the EXIF tag as text only; values 1..8 of Exif 2.3, table 6 */
    static const Turn exif[] = { { 0, 0, 0 }, { 0, 0, 0 }, { 0, 1, 0 }, { 0, 1, 1 }, { 0, 0, 1 }, { 1, 0, 0 }, { 1, 1, 0 }, { 1, 1, 1 }, { 1, 0, 1 } };
    const AVDictionaryEntry *e = av_dict_get(f->metadata, "Orientation", NULL, 0);
    int64_t v = 0;
    const char *text = e ? e->value + strspn(e->value, " ") : "";
    return parse_int64(text, &v) == 0 && v >= 1 && v <= 8 ? exif[v] : exif[0];
}

/* A sample of 1 or 2 bytes. */
static uint32_t sample_at(const uint8_t *p, size_t i, int deep)
{
    uint16_t v;
    if (!deep)
        return p[i];
    memcpy(&v, p + 2 * i, 2);
    return v;
}

static void put_sample(uint8_t *p, size_t i, int deep, uint32_t v)
{
    uint16_t wide = (uint16_t)v;
    if (deep)
        memcpy(p + 2 * i, &wide, 2);
    else
        p[i] = (uint8_t)v;
}

/* src (w × h pixels of 3 or 4 samples) → upright RGB of the same pixels; alpha on white. */
static void turn_pixels(const uint8_t *src, int w, int h, int samples, int deep, Turn t, uint8_t *dst)
{
    const uint32_t max = deep ? 65535 : 255;
    int out_w = t.transpose ? h : w, out_h = t.transpose ? w : h;
    size_t to = 0;
    for (int y = 0; y < out_h; y++) {
        int v = t.flip_y ? out_h - 1 - y : y;
        for (int x = 0; x < out_w; x++, to += 3) {
            int u = t.flip_x ? out_w - 1 - x : x;
            size_t at = ((size_t)(t.transpose ? u : v) * (size_t)w + (size_t)(t.transpose ? v : u)) * (size_t)samples;
            uint32_t alpha = samples == 4 ? sample_at(src, at + 3, deep) : max;
            for (size_t c = 0; c < 3; c++) {
                uint64_t s = sample_at(src, at + c, deep);
                put_sample(dst, to + c, deep, alpha == max ? (uint32_t)s : (uint32_t)((s * alpha + (uint64_t)max * (max - alpha) + max / 2) / max));
            }
        }
    }
}

static int to_rgb(Media *m, AVFrame *f, MienImage *img)
{
    const AVPixFmtDescriptor *desc = av_pix_fmt_desc_get(f->format);
    if (f->width < 1 || f->height < 1 || !desc || (int64_t)f->width * f->height > MEDIA_MAX_PIXELS ||
        f->width > MIEN_IMAGE_MAX_PX || f->height > MIEN_IMAGE_MAX_PX)
        return mien_fail(m->log, MIEN_E_UNSUPPORTED, "%s: %dx%d pixels are too many; a side may have %d, the picture %lld million", m->path,
                         f->width, f->height, MIEN_IMAGE_MAX_PX, (long long)(MEDIA_MAX_PIXELS / 1000000));
    int alpha = (desc->flags & AV_PIX_FMT_FLAG_ALPHA) != 0, deep = m->deep && desc->comp[0].depth > 8, bpp = (alpha ? 4 : 3) << deep;
    /* 8 bits stay 8 bits: swscale widens RGB by way of YUV, and 254 is no longer 254 */
    enum AVPixelFormat format = deep ? (alpha ? AV_PIX_FMT_RGBA64 : AV_PIX_FMT_RGB48) : alpha ? AV_PIX_FMT_RGBA : AV_PIX_FMT_RGB24;
    m->bits = desc->comp[0].depth > 8 ? 16 : 8;
    Turn t = turn_of(m, f);
    int direct = !alpha && !t.transpose && !t.flip_x && !t.flip_y;
    size_t px = (size_t)f->width * (size_t)f->height;
    if (reserve(&m->rgb8, &m->rgb8_bytes, px * 3 << deep) || (!direct && reserve(&m->scratch, &m->scratch_bytes, px * (size_t)bpp)))
        return fail(m, AVERROR(ENOMEM), "");
    m->sws = sws_getCachedContext(m->sws, f->width, f->height, f->format, f->width, f->height, format,
                                  SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT, NULL, NULL, NULL);
    if (!m->sws)
        return fail(m, 0, "its pixel format cannot be converted");
    if (!(desc->flags & AV_PIX_FMT_FLAG_RGB)) {
        /* the picture's own matrix and range; those that say nothing are BT.601, as in FFmpeg itself */
        int full = f->color_range == AVCOL_RANGE_JPEG || !strncmp(desc->name, "yuvj", 4) ||
                   (desc->nb_components <= 2 && f->color_range == AVCOL_RANGE_UNSPECIFIED);
        const int *from = sws_getCoefficients(f->colorspace), *to = sws_getCoefficients(SWS_CS_DEFAULT);
        sws_setColorspaceDetails(m->sws, from, full, to, 1, 0, 1 << 16, 1 << 16);
    }
    uint8_t *out[4] = { direct ? m->rgb8 : m->scratch };
    int stride[4] = { f->width * bpp };
    if (sws_scale(m->sws, (const uint8_t *const *)f->data, f->linesize, 0, f->height, out, stride) != f->height)
        return fail(m, 0, "its pixels cannot be converted");
    if (!direct)
        turn_pixels(m->scratch, f->width, f->height, alpha ? 4 : 3, deep, t, m->rgb8);
    int w = t.transpose ? f->height : f->width, h = t.transpose ? f->width : f->height;
    *img = (MienImage){ .data = m->rgb8, .stride_bytes = (ptrdiff_t)w * 3 << deep, .w_px = w, .h_px = h, .pixel = MIEN_PIXEL_RGB8 };
    return 1;
}

/* ---- decoding */

/* 1 and a frame, 0 at the end, or an FFmpeg error (of this packet: one may go on). */
static int decode(Media *m)
{
    for (;;) {
        int err = avcodec_receive_frame(m->codec, m->frame);
        if (err >= 0)
            return 1;
        if (err == AVERROR_EOF)
            return 0;
        if (err != AVERROR(EAGAIN))
            return err;
        if (m->drained)
            return 0;
        err = av_read_frame(m->format, m->packet);
        if (err == AVERROR(EAGAIN))
            continue;
        if (err < 0) { /* the end, or what the file's end looks like when it is cut short */
            m->drained = 1;
            avcodec_send_packet(m->codec, NULL);
            continue;
        }
        err = m->packet->stream_index == m->i_stream ? avcodec_send_packet(m->codec, m->packet) : 0;
        av_packet_unref(m->packet);
        if (err < 0)
            return err;
    }
}

int media_next(Media *m, MienImage *img, double *time_s)
{
    for (;;) {
        forget_words();
        int got = decode(m);
        if (got == AVERROR(ENOMEM))
            return fail(m, got, "");
        if (got < 0 && !m->video)
            return fail(m, got, "damaged or cut short");
        if (got < 0) {
            if (++m->n_damaged > 10000)
                return fail(m, got, "damaged: too many frames cannot be decoded");
            continue;
        }
        if (!got && !m->n_frames)
            return fail(m, 0, "damaged or cut short: no picture could be decoded");
        if (!got)
            return 0;
        if (!m->video && (m->frame->decode_error_flags || (m->frame->flags & AV_FRAME_FLAG_CORRUPT)))
            return fail(m, AVERROR_INVALIDDATA, "damaged or cut short");
        m->n_frames++;
        if (time_s) {
            const AVStream *st = m->format->streams[m->i_stream];
            int64_t pts = m->frame->best_effort_timestamp, start = st->start_time == AV_NOPTS_VALUE ? 0 : st->start_time;
            *time_s = pts == AV_NOPTS_VALUE ? 0 : (double)(pts - start) * av_q2d(st->time_base);
        }
        int ret = to_rgb(m, m->frame, img);
        av_frame_unref(m->frame);
        return ret;
    }
}

int media_read_picture(const char *path, uint8_t **rgb8, MienImage *img, char sha256[65], MienLog log)
{
    Media *m = NULL;
    *rgb8 = NULL;
    int ret = media_open(&m, path, 1, log);
    if (ret >= 0 && sha256) {
        const char *hex = media_sha256(m);
        ret = hex ? 0 : MIEN_ERR(EIO);
        if (hex)
            memcpy(sha256, hex, 65);
    }
    if (ret >= 0)
        ret = media_next(m, img, NULL);
    if (ret >= 0) { /* take the buffer over */
        *rgb8 = m->rgb8;
        m->rgb8 = NULL;
        ret = 0;
    }
    media_close(&m);
    return ret;
}

int media_read_rgb(const char *path, float **rgb, int *w_px, int *h_px, int *bits, MienLog log)
{
    Media *m = NULL;
    MienImage img;
    *rgb = NULL;
    int ret = media_open(&m, path, 1, log);
    if (ret >= 0 && media_is_video(m))
        ret = mien_fail(log, MIEN_E_UNSUPPORTED, "%s: is a video, not a picture", path);
    if (ret >= 0) {
        m->deep = 1;
        ret = media_next(m, &img, NULL);
    }
    size_t n = ret >= 0 ? (size_t)img.w_px * (size_t)img.h_px * 3 : 0;
    if (ret >= 0 && !(*rgb = mien_malloc_array(n, sizeof(**rgb))))
        ret = fail(m, AVERROR(ENOMEM), "");
    const int deep = m && m->bits > 8;
    for (size_t i = 0; i < n && ret >= 0; i++)
        (*rgb)[i] = (float)sample_at(m->rgb8, i, deep) / (deep ? 65535.0f : 255.0f);
    if (ret >= 0) {
        *w_px = img.w_px;
        *h_px = img.h_px;
        *bits = m->bits;
    }
    media_close(&m);
    return ret < 0 ? ret : 0;
}

/* ---- writing */

int media_can_write(const char *path)
{
    return ends_with(path, ".png") || ends_with(path, ".jpg") || ends_with(path, ".jpeg");
}

static int encode(const AVCodec *codec, const MienImage *img, enum AVPixelFormat from, enum AVPixelFormat format, AVPacket *packet, AVFrame *f)
{
    AVCodecContext *c = avcodec_alloc_context3(codec);
    struct SwsContext *sws = NULL;
    int err = AVERROR(ENOMEM);
    if (!c)
        return err;
    c->width = f->width = img->w_px;
    c->height = f->height = img->h_px;
    c->pix_fmt = f->format = format;
    c->time_base = (AVRational){ 1, 1 };
    c->color_range = f->color_range = AVCOL_RANGE_JPEG;
    c->thread_count = 1;
    c->flags |= AV_CODEC_FLAG_QSCALE;
    c->global_quality = f->quality = 2 * FF_QP2LAMBDA;
    if ((err = av_frame_get_buffer(f, 0)) < 0 || (err = avcodec_open2(c, codec, NULL)) < 0)
        goto out;
    err = AVERROR(ENOMEM);
    sws = sws_getContext(img->w_px, img->h_px, from, img->w_px, img->h_px, format, SWS_BICUBIC | SWS_ACCURATE_RND, NULL, NULL, NULL);
    if (!sws)
        goto out;
    const int *k = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(sws, k, 1, k, 1, 0, 1 << 16, 1 << 16);
    const uint8_t *data[4] = { img->data };
    int stride[4] = { (int)img->stride_bytes };
    sws_scale(sws, data, stride, 0, img->h_px, f->data, f->linesize);
    if ((err = avcodec_send_frame(c, f)) >= 0 && (err = avcodec_send_frame(c, NULL)) >= 0)
        err = avcodec_receive_packet(c, packet);
out:
    sws_freeContext(sws);
    avcodec_free_context(&c);
    return err;
}

/* img in this format of FFmpeg's; with deep, PNG keeps 16 bits a sample. */
static int write_picture(const char *path, const MienImage *img, enum AVPixelFormat from, int deep, MienLog log)
{
    int png = ends_with(path, ".png");
    if (!media_can_write(path))
        return mien_fail(log, MIEN_E_UNSUPPORTED, "%s: pictures are written as .png or .jpg", path);
    forget_words();
    const AVCodec *codec = avcodec_find_encoder(png ? AV_CODEC_ID_PNG : AV_CODEC_ID_MJPEG);
    if (!codec)
        return mien_fail(log, MIEN_E_UNSUPPORTED, "%s: this FFmpeg has no %s encoder", path, png ? "PNG" : "JPEG");
    AVPacket *packet = av_packet_alloc();
    AVFrame *f = av_frame_alloc();
    int ret = MIEN_ERR(ENOMEM);
    if (packet && f) {
        enum AVPixelFormat format = png ? deep ? AV_PIX_FMT_RGB48BE : from : AV_PIX_FMT_YUVJ444P;
        int err = encode(codec, img, from, format, packet, f);
        ret = err < 0 ? mien_fail(log, err == AVERROR(ENOMEM) ? MIEN_ERR(ENOMEM) : MIEN_E_FORMAT, "%s: cannot be encoded (%s)", path, av_words)
                      : mieni_file_write_atomic(path, packet->data, (size_t)packet->size, 0644, log);
    } else {
        mien_log(log, MIEN_LOG_ERROR, "%s: out of memory", path);
    }
    av_packet_free(&packet);
    av_frame_free(&f);
    return ret;
}

int media_write_picture(const char *path, const MienImage *img, MienLog log)
{
    return write_picture(path, img, img->pixel == MIEN_PIXEL_GRAY8 ? AV_PIX_FMT_GRAY8 : AV_PIX_FMT_RGB24, 0, log);
}

int media_write_rgb(const char *path, const float *rgb, int w_px, int h_px, int bits, MienLog log)
{
    const int deep = bits > 8;
    const size_t n = (size_t)w_px * (size_t)h_px * 3;
    const float max = deep ? 65535 : 255;
    uint8_t *samples = mien_malloc_array(n, (size_t)1 << deep);
    if (!samples)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", path);
    for (size_t i = 0; i < n; i++)
        put_sample(samples, i, deep, (uint32_t)(fminf(fmaxf(rgb[i], 0), 1) * max + 0.5f));
    MienImage img = { .data = samples, .stride_bytes = (ptrdiff_t)w_px * 3 << deep, .w_px = w_px, .h_px = h_px, .pixel = MIEN_PIXEL_RGB8 };
    int ret = write_picture(path, &img, deep ? AV_PIX_FMT_RGB48 : AV_PIX_FMT_RGB24, deep, log);
    mien_free(samples);
    return ret;
}

/* ---- names */

int media_known_suffix(const char *path)
{
    static const char *const still[] = { "jpg", "jpeg", "jpe", "jfif", "png", "bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm", "pnm", "pam",
                                         "jp2", "j2k", "avif", "heic", "tga", "apng", "qoi", "jxl" };
    static const char *const video[] = { "mp4", "m4v", "mov", "mkv", "webm", "avi", "mpg", "mpeg", "ts", "mts", "m2ts", "mxf", "ogv", "flv",
                                         "wmv", "3gp", "vob", "y4m", "nut" };
    const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
    if (!dot || (slash && dot < slash))
        return 0;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(still); i++)
        if (!strcasecmp(dot + 1, still[i]))
            return 1;
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(video); i++)
        if (!strcasecmp(dot + 1, video[i]))
            return 2;
    return 0;
}

const char *media_ffmpeg_version(void)
{
    return av_version_info();
}
