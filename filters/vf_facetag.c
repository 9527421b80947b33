/* vf_facetag.c — names on the faces of a video.
 *
 * A thin adapter: frames go to mien/tagger.h, its tags become side data, metadata, boxes and labels, its events lines of a
 * log. What is decided about a face, and how, is decided in libmien. Options and outputs: docs/vf_facetag.md.
 */
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "facetag_draw.h"
#include "facetag_live.h"
#include "facetag_log.h"
#include "facetag_redact.h"
#include "facetag_thumbs.h"
#include "lavfi_glue.h"
#include "libavutil/avstring.h"
#include "libavutil/detection_bbox.h"
#include "libavutil/dict.h"
#include "libavutil/mem.h"
#include "libavutil/opt.h"
#include "libavutil/time.h"
#include "mien/gallery.h"
#include "mien/tagger.h"

#define KEY_PREFIX "lavfi.facetag."
#define SOURCE "facetag"                /* AVDetectionBBoxHeader.source */
#define GALLERY_POLL_US 200000          /* how often a change of the gallery by others is looked for */

typedef struct FacetagContext {
    const AVClass *class;
    char *gallery_path, *claim, *log_urls, *thumbs_dir, *models, *encoder;
    char *redact_who, *redact_report;
    int redact_mode, redact_effect, lookahead;
    int mode, similarity, interval, min_face, max_faces, size, draw, format, explain, liveness, live;
    float threshold, apcer;

    MienGallery *gallery;               /* NULL in mode detect */
    MienFaceEngine *engine;
    MienTagger *tagger;
    FacetagLog *log;                    /* NULL: none was asked for */
    FacetagThumbs *thumbs;              /* the same */
    FacetagLive *second;                /* live=1: the thread that tagger, engine, gallery, log, thumbs and image belong to */
    MienPool *pool;                     /* and its jobs */
    FacetagDraw *painter;               /* made when first needed */
    FacetagRedact *redact;              /* made when first needed; from then on all frames pass it */
    MieniLavfiExec exec;
    MieniLavfiImage image;

    int w, h, pix_fmt;                  /* of the last frame */
    int64_t n_frames, last_pts;
    int64_t next_poll_us;
    int has_tracks;                     /* frames went in since the last flush */
    int warned_boxes, warned_claim;
    int64_t warned_people;              /* size of the gallery that its calibration was last called too small for */
} FacetagContext;

#define OFFSET(x) offsetof(FacetagContext, x)
#define FLAGS (AV_OPT_FLAG_FILTERING_PARAM | AV_OPT_FLAG_VIDEO_PARAM)
#define TFLAGS (FLAGS | AV_OPT_FLAG_RUNTIME_PARAM)

static const AVOption facetag_options[] = {
    { "gallery", "set the gallery's file; without it the user's own gallery",
      OFFSET(gallery_path), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "mode", "set what is decided about a face",
      OFFSET(mode), AV_OPT_TYPE_INT, { .i64 = MIEN_MODE_RECOGNISE }, MIEN_MODE_RECOGNISE, MIEN_MODE_DETECT, TFLAGS, "mode" },
        { "recognise", "who of the gallery it is, or unrecognised", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_MODE_RECOGNISE }, 0, 0, TFLAGS, "mode" },
        { "verify", "whether it is the person of option claim", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_MODE_VERIFY }, 0, 0, TFLAGS, "mode" },
        { "detect", "nothing: faces are found and followed, no gallery is read", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_MODE_DETECT }, 0, 0, TFLAGS, "mode" },
    { "claim", "set the claimed person's name, for mode verify", OFFSET(claim), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, TFLAGS },
    { "similarity", "set what compares two faces",
      OFFSET(similarity), AV_OPT_TYPE_INT, { .i64 = MIEN_SIMILARITY_DISTANCE }, MIEN_SIMILARITY_DISTANCE, MIEN_SIMILARITY_CHI2, FLAGS, "similarity" },
        { "distance", "the distance of their templates", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_SIMILARITY_DISTANCE }, 0, 0, FLAGS, "similarity" },
        { "logistic", "learnt, on absolute differences", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_SIMILARITY_LOGISTIC }, 0, 0, FLAGS, "similarity" },
        { "chi2", "learnt, on chi-squared differences", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_SIMILARITY_CHI2 }, 0, 0, FLAGS, "similarity" },
    { "threshold", "set the cosine similarity, or with a learnt one the probability, from which a face is the person; 0: the gallery's "
      "calibration, else the default of encoder and mode",
      OFFSET(threshold), AV_OPT_TYPE_FLOAT, { .dbl = 0 }, 0, 1, TFLAGS },
    { "interval", "set the number of frames from one detection to the next", OFFSET(interval), AV_OPT_TYPE_INT, { .i64 = 3 }, 1, 1000, FLAGS },
    { "min_face", "set the size of the smallest face to look for, in pixels", OFFSET(min_face), AV_OPT_TYPE_INT, { .i64 = 20 }, 8, 8192, FLAGS },
    { "max_faces", "set the number of faces a frame to follow at most", OFFSET(max_faces), AV_OPT_TYPE_INT, { .i64 = 32 }, 1, 256, FLAGS },
    { "liveness", "set whether living faces are told from pictures of faces",
      OFFSET(liveness), AV_OPT_TYPE_INT, { .i64 = MIEN_LIVENESS_OFF }, MIEN_LIVENESS_OFF, MIEN_LIVENESS_REQUIRE, TFLAGS, "liveness" },
        { "off", "they are not", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_LIVENESS_OFF }, 0, 0, TFLAGS, "liveness" },
        { "report", "the probability is told, names are given as without", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_LIVENESS_REPORT }, 0, 0, TFLAGS, "liveness" },
        { "require", "no name without signs of life; pictures are spoofs", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_LIVENESS_REQUIRE }, 0, 0, TFLAGS, "liveness" },
    { "apcer", "set the share of attacks that liveness may let pass", OFFSET(apcer), AV_OPT_TYPE_FLOAT, { .dbl = 0.05 }, 0.02, 1, TFLAGS },
    { "draw", "set what is drawn on the picture",
      OFFSET(draw), AV_OPT_TYPE_INT, { .i64 = FACETAG_DRAW_NONE }, FACETAG_DRAW_NONE, FACETAG_DRAW_ALL, TFLAGS, "draw" },
        { "none", "nothing", 0, AV_OPT_TYPE_CONST, { .i64 = FACETAG_DRAW_NONE }, 0, 0, TFLAGS, "draw" },
        { "box", "boxes, coloured by status", 0, AV_OPT_TYPE_CONST, { .i64 = FACETAG_DRAW_BOX }, 0, 0, TFLAGS, "draw" },
        { "label", "names", 0, AV_OPT_TYPE_CONST, { .i64 = FACETAG_DRAW_LABEL }, 0, 0, TFLAGS, "draw" },
        { "all", "boxes and names", 0, AV_OPT_TYPE_CONST, { .i64 = FACETAG_DRAW_ALL }, 0, 0, TFLAGS, "draw" },
    { "redact", "set which faces are covered; who is undecided is covered as well",
      OFFSET(redact_mode), AV_OPT_TYPE_INT, { .i64 = MIEN_REDACT_NONE }, MIEN_REDACT_NONE, MIEN_REDACT_SPOOF, TFLAGS, "redact" },
        { "none", "none", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_NONE }, 0, 0, TFLAGS, "redact" },
        { "unknown", "those of nobody in the gallery", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_UNKNOWN }, 0, 0, TFLAGS, "redact" },
        { "all", "all", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_ALL }, 0, 0, TFLAGS, "redact" },
        { "except", "all but those of the people of option who", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_EXCEPT }, 0, 0, TFLAGS, "redact" },
        { "only", "those of the people of option who", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_ONLY }, 0, 0, TFLAGS, "redact" },
        { "spoof", "pictures of faces", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_SPOOF }, 0, 0, TFLAGS, "redact" },
    { "who", "set the people of redact=except and only: names, separated by |",
      OFFSET(redact_who), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, TFLAGS },
    { "effect", "set what faces are covered with",
      OFFSET(redact_effect), AV_OPT_TYPE_INT, { .i64 = MIEN_REDACT_FILL }, MIEN_REDACT_FILL, MIEN_REDACT_BLUR, TFLAGS, "effect" },
        { "fill", "one dark gray", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_FILL }, 0, 0, TFLAGS, "effect" },
        { "mosaic", "large squares", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_MOSAIC }, 0, 0, TFLAGS, "effect" },
        { "blur", "a strong blur", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_REDACT_BLUR }, 0, 0, TFLAGS, "effect" },
    { "lookahead", "set by how many frames redaction waits, so that a face is covered before it was found",
      OFFSET(lookahead), AV_OPT_TYPE_INT, { .i64 = 25 }, 0, MIEN_REDACT_MAX_LOOKAHEAD, FLAGS },
    { "redact_report", "set the file or URL that lists the faces that were left visible, and why",
      OFFSET(redact_report), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "log", "set the files or URLs to which appearances are logged, separated by |", OFFSET(log_urls), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "format", "set the format of the logs",
      OFFSET(format), AV_OPT_TYPE_INT, { .i64 = FACETAG_FORMAT_AUTO }, FACETAG_FORMAT_AUTO, MIEN_EVENT_CHAPTERS, FLAGS, "format" },
        { "auto", "each by its name's ending, else jsonl", 0, AV_OPT_TYPE_CONST, { .i64 = FACETAG_FORMAT_AUTO }, 0, 0, FLAGS, "format" },
        { "jsonl", "every event, a JSON object a line", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_EVENT_JSONL }, 0, 0, FLAGS, "format" },
        { "vtt", "WebVTT subtitles, a cue an appearance", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_EVENT_VTT }, 0, 0, FLAGS, "format" },
        { "srt", "SubRip subtitles", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_EVENT_SRT }, 0, 0, FLAGS, "format" },
        { "csv", "comma-separated values, an appearance a line", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_EVENT_CSV }, 0, 0, FLAGS, "format" },
        { "chapters", "FFmpeg's metadata file, a chapter an appearance", 0, AV_OPT_TYPE_CONST, { .i64 = MIEN_EVENT_CHAPTERS }, 0, 0, FLAGS, "format" },
    { "thumbs", "set the folder into which a small picture of each face is written",
      OFFSET(thumbs_dir), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "explain", "say in metadata and log why a face has its name, or none", OFFSET(explain), AV_OPT_TYPE_BOOL, { .i64 = 0 }, 0, 1, TFLAGS },
    { "models", "set the folder of the networks; without it $MIEN_MODELS, then the installed one",
      OFFSET(models), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "encoder", "set the encoder: mobileface128, dlib128 or a model file; without it the gallery's",
      OFFSET(encoder), AV_OPT_TYPE_STRING, { .str = NULL }, 0, 0, FLAGS },
    { "size", "set the long side of the detector's input, in pixels, from 64; 0: up to 640 and a finer search down to min_face in turns",
      OFFSET(size), AV_OPT_TYPE_INT, { .i64 = 0 }, 0, 4096, FLAGS },
    { "live", "never let frames wait: look at the newest in a second thread, carry its boxes on",
      OFFSET(live), AV_OPT_TYPE_BOOL, { .i64 = 0 }, 0, 1, FLAGS },
    { NULL }
};

AVFILTER_DEFINE_CLASS(facetag);

/* ---- what a tag says */

/* The words of a label: the name, or what is known instead of a name. */
static const char *label_text(void *priv, const MienTag *tag)
{
    const FacetagContext *s = priv;

    if (tag->status == MIEN_STATUS_KNOWN)
        return tag->name;
    if (s->mode == MIEN_MODE_DETECT && tag->status != MIEN_STATUS_SPOOF)
        return "face";
    if (s->mode == MIEN_MODE_VERIFY && tag->status == MIEN_STATUS_UNRECOGNISED)
        return "no match";
    return mien_status_name(tag->status);
}

/* A label for side data: at most 63 bytes, cut between characters, and nothing that drawtext expands or that leaves the line. */
static void bbox_label(char label[AV_DETECTION_BBOX_LABEL_NAME_MAX_SIZE], const char *text)
{
    size_t n = strlen(text);

    if (n > AV_DETECTION_BBOX_LABEL_NAME_MAX_SIZE - 1) {
        n = AV_DETECTION_BBOX_LABEL_NAME_MAX_SIZE - 1;
        while (n && ((unsigned char)text[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        label[i] = text[i] == '%' || text[i] == '\\' ? '_' : (unsigned char)text[i] < ' ' ? ' ' : text[i];
    label[n] = 0;
}

static int add_side_data(AVFilterContext *ctx, AVFrame *frame, const MienTag *tags, int n_tags)
{
    FacetagContext *s = ctx->priv;
    const AVFrameSideData *old = av_frame_get_side_data(frame, AV_FRAME_DATA_DETECTION_BBOXES);
    AVDetectionBBoxHeader *header;

    if (old && !s->warned_boxes && strcmp(((const AVDetectionBBoxHeader *)old->data)->source, SOURCE)) {
        av_log(ctx, AV_LOG_WARNING, "Frames come with detection boxes of '%.200s'; they are replaced.\n",
               ((const AVDetectionBBoxHeader *)old->data)->source);
        s->warned_boxes = 1;
    }
    av_frame_remove_side_data(frame, AV_FRAME_DATA_DETECTION_BBOXES);
    header = av_detection_bbox_create_side_data(frame, n_tags);
    if (!header)
        return AVERROR(ENOMEM);
    av_strlcpy(header->source, SOURCE, sizeof(header->source));
    for (int i = 0; i < n_tags; i++) {
        const MienBox *box = &tags[i].box_px;
        AVDetectionBBox *bbox = av_get_detection_bbox(header, i);

        bbox->x = lrintf(box->x0_px);
        bbox->y = lrintf(box->y0_px);
        bbox->w = FFMAX(1, lrintf(box->x1_px) - bbox->x);
        bbox->h = FFMAX(1, lrintf(box->y1_px) - bbox->y);
        bbox->detect_confidence = (AVRational){ lrintf(tags[i].prob * 10000), 10000 };
        bbox_label(bbox->detect_label, label_text(s, &tags[i]));
    }
    return 0;
}

static int set_value(AVDictionary **dict, int i_tag, const char *field, const char *fmt, ...) av_printf_format(4, 5);
static int set_value(AVDictionary **dict, int i_tag, const char *field, const char *fmt, ...)
{
    char key[64], value[MIEN_NAME_MAX_BYTES + 1];
    va_list ap;

    if (i_tag < 0)
        snprintf(key, sizeof(key), KEY_PREFIX "%s", field);
    else
        snprintf(key, sizeof(key), KEY_PREFIX "%d.%s", i_tag, field);
    va_start(ap, fmt);
    vsnprintf(value, sizeof(value), fmt, ap);
    va_end(ap);
    return av_dict_set(dict, key, value, 0);
}

static void remove_metadata(AVDictionary **dict)
{
    const AVDictionaryEntry *entry;

    while ((entry = av_dict_get(*dict, KEY_PREFIX, NULL, AV_DICT_IGNORE_SUFFIX)))
        av_dict_set(dict, entry->key, NULL, 0);
}

/* In pieces, since FFmpeg 5.1's metadata=print cuts lines at 127 bytes; the whole of it is in the log. */
static int add_explanation(const FacetagContext *s, AVDictionary **dict, int i_tag, int64_t track)
{
    MienExplanation x;
    int ret = s->second ? mieni_facetag_live_explain(s->second, track, &x) : mien_tagger_explain(s->tagger, track, &x);

    if (ret < 0)
        return mieni_lavfi_error(ret);
#define SET(field, ...)                                                        \
    do {                                                                       \
        if ((ret = set_value(dict, i_tag, "explain." field, __VA_ARGS__)) < 0) \
            return ret;                                                        \
    } while (0)
    SET("reason", "%s", mien_reason_name(x.reason));
    SET("threshold", "%.4f", x.min_sim_cos);
    SET("threshold_from", "%s", x.threshold_from);
    SET("margin", "%.4f", x.margin_cos);
    SET("needed_nats", "%.2f", x.needed_nats);
    SET("views", "%d", x.n_views);
    SET("independent_views", "%.2f", x.n_independent);
    if (x.match.id >= 0) {
        SET("evidence_nats", "%.2f", x.evidence_nats);
        SET("best", "%s", x.match.name);
        SET("best_similarity", "%.4f", x.match.sim_cos);
    }
    if (x.match.second_id >= 0) {
        SET("next", "%s", x.match.second_name);
        SET("next_similarity", "%.4f", x.match.second_sim_cos);
    }
#undef SET
    return 0;
}

static int add_metadata(const FacetagContext *s, AVFrame *frame, const MienTag *tags, int n_tags)
{
    AVDictionary **dict = &frame->metadata;
    int ret = 0, n_known = 0;

#define SET(...)                                             \
    do {                                                     \
        if ((ret = set_value(dict, __VA_ARGS__)) < 0)        \
            return ret;                                      \
    } while (0)

    remove_metadata(dict);
    SET(-1, "count", "%d", n_tags);
    for (int i = 0; i < n_tags; i++) {
        const MienTag *tag = &tags[i];
        int x = lrintf(tag->box_px.x0_px), y = lrintf(tag->box_px.y0_px);

        SET(i, "x", "%d", x);
        SET(i, "y", "%d", y);
        SET(i, "w", "%d", FFMAX(1, (int)lrintf(tag->box_px.x1_px) - x));
        SET(i, "h", "%d", FFMAX(1, (int)lrintf(tag->box_px.y1_px) - y));
        SET(i, "track", "%"PRId64, tag->track);
        SET(i, "status", "%s", mien_status_name(tag->status));
        if (tag->status == MIEN_STATUS_KNOWN) {
            char key[sizeof(KEY_PREFIX "person.") + MIEN_NAME_MAX_BYTES];

            n_known++;
            SET(i, "name", "%s", tag->name);
            SET(i, "id", "%"PRId64, tag->id);
            snprintf(key, sizeof(key), KEY_PREFIX "person.%s", tag->name);
            if ((ret = av_dict_set_int(dict, key, i, 0)) < 0)
                return ret;
        }
        if (!isnan(tag->sim_cos))
            SET(i, "similarity", "%.4f", tag->sim_cos);
        if (!isnan(tag->prob_same))
            SET(i, "probability", "%.4f", tag->prob_same);
        if (!isnan(tag->prob_live))
            SET(i, "live", "%.4f", tag->prob_live);
        if (s->explain && (ret = add_explanation(s, dict, i, tag->track)) < 0)
            return ret;
    }
    SET(-1, "known", "%d", n_known);
#undef SET
    return s->second ? mieni_facetag_live_metadata(s->second, dict, KEY_PREFIX) : 0;
}

/* ---- the gallery */

/* Passes on to the gallery that is open now. A claimed person who is forgotten while the filter runs matches nobody. */
static int search(void *priv, const float *embedding, int dim, const char *claim, MienMatch *match)
{
    AVFilterContext *ctx = priv;
    FacetagContext *s = ctx->priv;
    int ret = mien_gallery_search(s->gallery, embedding, dim, claim, match);

    if (ret == MIEN_E_NOTFOUND && claim) {
        if (!s->warned_claim)
            av_log(ctx, AV_LOG_WARNING, "'%s' is not in the gallery any more; no face will match.\n", claim);
        s->warned_claim = 1;
        *match = (MienMatch){ .id = -1, .second_id = -1 };
        ret = 0;
    }
    return ret;
}

static int check_claim(AVFilterContext *ctx, MienGallery *gallery, const char *claim)
{
    MienPerson *people;
    int ret, n, found = 0;

    if (!claim || !*claim) {
        av_log(ctx, AV_LOG_ERROR, "mode=verify needs a name to verify: set claim=NAME.\n");
        return AVERROR(EINVAL);
    }
    ret = n = mien_gallery_people(gallery, &people);
    if (ret < 0)
        return mieni_lavfi_error(ret);
    for (int i = 0; i < n; i++)
        found |= !strcmp(people[i].name, claim);
    mien_free(people);
    if (found)
        return 0;
    av_log(ctx, AV_LOG_ERROR, "Nobody in the gallery '%s' is called '%s'; 'mien list' shows who is there, "
           "'mien enroll NAME PICTURE' adds a person.\n", mien_gallery_path(gallery), claim);
    return AVERROR(ENOENT);
}

static int open_gallery(AVFilterContext *ctx, MienGallery **gallery)
{
    FacetagContext *s = ctx->priv;
    MienGalleryStats stats;
    int ret = mien_gallery_open(gallery, s->gallery_path, MIEN_GALLERY_READ, mieni_lavfi_log(ctx));

    if (ret >= 0)
        ret = mien_gallery_stats(*gallery, &stats);
    if (ret >= 0)
        ret = mien_gallery_use_similarity(*gallery, s->similarity);
    if (ret >= 0 && s->mode == MIEN_MODE_VERIFY)
        ret = check_claim(ctx, *gallery, s->claim);
    if (ret >= 0 && !stats.n_people)
        av_log(ctx, AV_LOG_WARNING, "The gallery '%s' holds nobody; every face will be unrecognised. "
               "'mien enroll NAME PICTURE' adds a person.\n", mien_gallery_path(*gallery));
    if (ret < 0)
        mien_gallery_close(gallery);
    return mieni_lavfi_error(ret);
}

/* The gallery and the encoder must belong together, or similarities mean nothing. */
static int check_encoder(AVFilterContext *ctx, MienGallery *gallery)
{
    FacetagContext *s = ctx->priv;
    MienGalleryModel model;
    int ret = mien_gallery_model(gallery, &model);

    if (ret < 0)
        return mieni_lavfi_error(ret);
    if (!model.hash[0] || !strcmp(model.hash, mien_face_encoder_hash(s->engine)))
        return 0;
    av_log(ctx, AV_LOG_ERROR, "The gallery '%s' was made with the encoder %s (%.12s), this filter runs %s (%.12s); "
           "set encoder= to the gallery's, or enrol anew into another gallery.\n", mien_gallery_path(gallery),
           model.name, model.hash, mien_face_encoder_name(s->engine), mien_face_encoder_hash(s->engine));
    return AVERROR(EINVAL);
}

/* Where no threshold was set, the gallery's calibration stands, if it has one. What cannot be read (the gallery says why) changes
 * nothing. */
static int take_calibration(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    const int verify = s->mode == MIEN_MODE_VERIFY;
    MienCalibration c;
    int64_t n_people;
    float threshold, margin;
    int ret;

    if (!s->gallery)
        return 0;
    ret = mien_gallery_calibration(s->gallery, &c, &n_people);
    if (ret < 0 && ret != MIEN_E_NOTFOUND)
        return mieni_lavfi_error(ret);
    if (ret < 0)
        c = (MienCalibration){ 0 };
    ret = mien_tagger_set_calibration(s->tagger, verify ? c.verify_sim_cos : c.threshold_sim_cos, c.margin_sim_cos);
    if (ret < 0)
        return mieni_lavfi_error(ret);
    mien_tagger_threshold(s->tagger, &threshold, &margin);
    if (s->threshold != 0 || !c.created[0]) {
        av_log(ctx, AV_LOG_VERBOSE, "Threshold %.4f (cosine), margin %.4f: %s.\n", threshold, margin,
               s->threshold != 0 ? "the option" : "the encoder's own, the gallery is not calibrated");
        return 0;
    }
    av_log(ctx, AV_LOG_VERBOSE, "Threshold %.4f (cosine), margin %.4f: the gallery's calibration of %s, for an FPIR of %g among "
           "%"PRId64" people, from %s.\n", threshold, margin, c.created, c.fpir, c.n_people,
           c.basis == MIEN_BASIS_STRANGERS ? "strangers" : "the encoder's published statistics");
    if (!verify && !mien_calibration_covers(&c, n_people) && n_people != s->warned_people) {
        av_log(ctx, AV_LOG_WARNING, "The gallery '%s' has outgrown its calibration, which is for %"PRId64" people; %"PRId64" can be "
               "named now, and more strangers will be than it says. Run 'mien calibrate'.\n", mien_gallery_path(s->gallery), c.n_people, n_people);
        s->warned_people = n_people;
    }
    return 0;
}

static int reload_gallery(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    MienGallery *gallery;
    int ret;

    if (!s->gallery)
        return 0;
    ret = open_gallery(ctx, &gallery);
    if (ret >= 0 && (ret = check_encoder(ctx, gallery)) < 0)
        mien_gallery_close(&gallery);
    if (ret < 0)
        return ret; /* the one that is open stays */
    mien_gallery_close(&s->gallery);
    s->gallery = gallery;
    mien_tagger_gallery_changed(s->tagger);
    return take_calibration(ctx);
}

static void poll_gallery(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    int64_t now_us = av_gettime_relative();

    if (!s->gallery || now_us < s->next_poll_us)
        return;
    s->next_poll_us = now_us + GALLERY_POLL_US;
    if (mien_gallery_changed(s->gallery) > 0) {
        s->warned_claim = 0;
        mien_tagger_gallery_changed(s->tagger);
        take_calibration(ctx); /* what fails here changes nothing */
    }
}

/* ---- the log */

/* When it was told stands beside the stream's time, which starts anew with every connection of a camera. */
static int log_events(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    MienEventContext context = { .wall_us = av_gettime(), .explain = s->explain };
    const MienEvent *events;
    int ret = 0, n = mien_tagger_events(s->tagger, &events);

    for (int i = 0; i < n && ret >= 0; i++) {
        context.thumb = mieni_facetag_thumbs_event(s->thumbs, ctx, &events[i]);
        ret = mieni_facetag_log_event(s->log, ctx, &events[i], &context);
    }
    return ret < 0 ? ret : mieni_facetag_log_settle(s->log, ctx, mien_tagger_oldest_s(s->tagger));
}

static int end_tracks(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    int ret = mien_tagger_flush(s->tagger);

    return ret < 0 ? mieni_lavfi_error(ret) : log_events(ctx);
}

/* ---- frames that leave */

static int draw_tags(AVFilterContext *ctx, AVFrame *frame, int draw, const MienTag *tags, int n_tags)
{
    FacetagContext *s = ctx->priv;
    int ret;

    if (draw == FACETAG_DRAW_NONE || !n_tags)
        return 0;
    if (!s->painter && (ret = mieni_facetag_draw_create(&s->painter, ctx)) < 0)
        return ret;
    /* not through the link, whose buffers have its own size, which a frame's may no longer be */
    ret = av_frame_make_writable(frame);
    if (ret < 0)
        return ret;
    return mieni_facetag_draw(s->painter, frame, draw, tags, n_tags, label_text, s);
}

/* The next frame whose look-ahead is complete, covered and drawn on; NULL: none is. */
static int pop_redacted(AVFilterContext *ctx, AVFrame **frame)
{
    FacetagContext *s = ctx->priv;
    const MienTag *tags;
    int n_tags, draw, ret = mieni_facetag_redact_pop(s->redact, ctx, frame, &tags, &n_tags, &draw);

    if (ret >= 0 && *frame && (ret = draw_tags(ctx, *frame, draw, tags, n_tags)) < 0)
        av_frame_free(frame);
    return ret;
}

/* Nothing follows the frames that wait for their look-ahead: all leave. */
static int drain_redacted(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    AVFrame *frame;
    int ret;

    mieni_facetag_redact_finish(s->redact);
    while ((ret = pop_redacted(ctx, &frame)) >= 0 && frame)
        if ((ret = ff_filter_frame(ctx->outputs[0], frame)) < 0)
            break;
    return ret;
}

/* All tracks end here: at the end, at a jump in time, when the picture changes its size, when the timeline switches off. */
static int close_tracks(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;

    s->last_pts = AV_NOPTS_VALUE;
    if (!s->has_tracks)
        return 0;
    s->has_tracks = 0;
    return s->second ? mieni_facetag_live_flush(s->second) : end_tracks(ctx);
}

static int flush(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    int ret = s->redact ? drain_redacted(ctx) : 0;

    return ret < 0 ? ret : close_tracks(ctx);
}

/* ---- frames */

/* What takes time: with live=1 in the second thread. Returns the number of tags. */
static int tag(AVFilterContext *ctx, const AVFrame *frame, const MienMoment *when, const MienTag **tags)
{
    FacetagContext *s = ctx->priv;
    MienImage img;
    int n_tags, ret;

    poll_gallery(ctx);
    if ((ret = mieni_lavfi_image(&s->image, ctx, frame, &img)) < 0)
        return ret;
    n_tags = mien_tagger_frame_at(s->tagger, &img, when, tags);
    if (n_tags < 0)
        return mieni_lavfi_error(n_tags);
    ret = mieni_facetag_thumbs_frame(s->thumbs, s->tagger, &img, *tags, n_tags,
                                       when->wall_us ? when->wall_us : av_gettime());
    if (ret >= 0)
        ret = log_events(ctx);
    return ret < 0 ? ret : n_tags;
}

static int look(AVFilterContext *ctx, const AVFrame *frame, const MienMoment *when)
{
    const MienTag *tags;

    return tag(ctx, frame, when, &tags);
}

static int tag_frame(AVFilterContext *ctx, AVFrame **frame_ptr)
{
    FacetagContext *s = ctx->priv;
    AVFilterLink *inlink = ctx->inputs[0];
    AVFrame *frame = *frame_ptr;
    MienMoment when = { s->n_frames++, frame->pts == AV_NOPTS_VALUE ? NAN : frame->pts * av_q2d(inlink->time_base) };
    const MienTag *tags;
    int n_tags, ret;

    if (s->w != frame->width || s->h != frame->height || s->pix_fmt != frame->format ||
        (frame->pts != AV_NOPTS_VALUE && s->last_pts != AV_NOPTS_VALUE && frame->pts < s->last_pts)) {
        if ((ret = flush(ctx)) < 0)
            return ret;
        s->w = frame->width;
        s->h = frame->height;
        s->pix_fmt = frame->format;
    }
    s->last_pts = frame->pts;

    s->has_tracks = 1;
    if (s->second) {
        when.wall_us = av_gettime();
        n_tags = mieni_facetag_live_frame(s->second, frame, &when, &tags);
    } else {
        n_tags = tag(ctx, frame, &when, &tags);
    }
    if ((ret = n_tags) < 0 || (ret = add_metadata(s, frame, tags, n_tags)) < 0 ||
        (ret = add_side_data(ctx, frame, tags, n_tags)) < 0)
        return ret;

    if (!s->redact)
        return draw_tags(ctx, frame, s->draw, tags, n_tags);
    *frame_ptr = NULL;
    ret = mieni_facetag_redact_push(s->redact, ctx, frame, tags, n_tags, mien_tagger_cut(s->tagger), when.time_s, s->draw);
    return ret < 0 ? ret : pop_redacted(ctx, frame_ptr);
}

static int skip_frame(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    int ret = flush(ctx);

    s->n_frames++;
    if (s->redact)
        mieni_facetag_redact_skip(s->redact);
    return ret;
}

/* The one place where a graph with live=1 waits: nothing comes after it. */
static int end(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    int ret = s->redact ? drain_redacted(ctx) : 0;

    if (ret >= 0 && s->second)
        ret = mieni_facetag_live_finish(s->second);
    if (ret >= 0 && s->has_tracks)
        ret = end_tracks(ctx);
    s->has_tracks = 0;
    return ret;
}

static int activate(AVFilterContext *ctx)
{
    return mieni_lavfi_activate(ctx, tag_frame, skip_frame, end);
}

/* ---- redaction */

static FacetagRedactOptions redact_options(const FacetagContext *s)
{
    return (FacetagRedactOptions){ .mode = s->redact_mode, .effect = s->redact_effect, .who = s->redact_who, .tag_mode = s->mode,
                                   .liveness = s->liveness, .claim = s->claim };
}

/* Puts the options into force; where nothing was ever covered or reported, frames pass without waiting. */
static int put_redact(AVFilterContext *ctx, int runtime)
{
    FacetagContext *s = ctx->priv;
    const FacetagRedactOptions options = redact_options(s);
    FacetagRedactParams params = { .lookahead = s->lookahead, .max_faces = s->max_faces, .first_frame = s->n_frames,
                                   .report_url = s->redact_report };
    int ret = mieni_facetag_redact_check(ctx, &options, runtime);

    if (s->live && (s->redact_mode != MIEN_REDACT_NONE || s->redact_report)) {
        av_log(ctx, AV_LOG_ERROR, "live=1 lets frames pass before they were looked at, so nothing can be covered on them: set live=0 for redact and "
               "redact_report.\n");
        return AVERROR(EINVAL);
    }
    if (ret < 0 || (s->redact_mode == MIEN_REDACT_NONE && !s->redact_report && !s->redact))
        return ret;
    params.gallery_path = s->gallery ? mien_gallery_path(s->gallery) : NULL;
    if (!s->redact && (ret = mieni_facetag_redact_open(&s->redact, ctx, &params)) < 0)
        return ret;
    return mieni_facetag_redact_set(s->redact, ctx, &options);
}

/* ---- life */

static av_cold int init(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    FacetagRedactOptions options;
    const char *why = NULL;

    s->last_pts = AV_NOPTS_VALUE;
    if (s->size && s->size < 64) {
        av_log(ctx, AV_LOG_ERROR, "size is %d; it must be 0 or from 64 to 4096 pixels.\n", s->size);
        return AVERROR(EINVAL);
    }
    if (s->mode == MIEN_MODE_VERIFY && (!s->claim || !*s->claim)) {
        av_log(ctx, AV_LOG_ERROR, "mode=verify needs a name to verify: set claim=NAME.\n");
        return AVERROR(EINVAL);
    }
    if (s->claim && mien_name_check(s->claim, &why) < 0) {
        av_log(ctx, AV_LOG_ERROR, "claim: %s\n", why);
        return AVERROR(EINVAL);
    }
    options = redact_options(s);
    return mieni_facetag_redact_check(ctx, &options, 0);
}

static int open_tagger(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    MienTaggerParams params = MIEN_TAGGER_DEFAULTS;
    int ret;

    params.engine      = s->engine;
    params.search      = s->gallery ? search : NULL;
    params.search_priv = ctx;
    params.log         = mieni_lavfi_log(ctx);
    params.mode        = s->mode;
    params.claim       = s->claim;
    params.min_sim_cos = s->threshold;
    params.learnt      = s->gallery && s->similarity != MIEN_SIMILARITY_DISTANCE;
    params.interval    = s->interval;
    params.min_face_px = s->min_face;
    params.max_faces   = s->max_faces;
    params.size_px     = s->size;
    params.liveness    = s->liveness;
    params.max_apcer   = s->apcer;
    if ((ret = mien_tagger_create(&s->tagger, &params)) < 0)
        return mieni_lavfi_error(ret);
    if ((ret = take_calibration(ctx)) < 0 || !s->live)
        return ret;
    return mieni_facetag_live_create(&s->second, ctx, s->tagger, s->max_faces, (FacetagLiveCalls){ look, end_tracks });
}

/* libavfilter's slice threads serve the filter's own thread only. */
static int open_exec(AVFilterContext *ctx, MienExec *exec)
{
    FacetagContext *s = ctx->priv;
    int ret = 0;

    if (s->live && !s->pool)
        ret = mien_pool_create(&s->pool, ff_filter_get_nb_threads(ctx), mieni_lavfi_log(ctx));
    *exec = s->live ? mien_pool_exec(s->pool) : mieni_lavfi_exec(&s->exec, ctx);
    return mieni_lavfi_error(ret);
}

/* Not in init: ffmpeg makes every complex graph once for its description alone, and again when its input is known. */
static int config_input(AVFilterLink *inlink)
{
    AVFilterContext *ctx = inlink->dst;
    FacetagContext *s = ctx->priv;
    MienFaceParams params = MIEN_FACE_DEFAULTS;
    MienGalleryModel model = { 0 };
    int ret;

    if (s->tagger)
        return 0;
    if (s->mode != MIEN_MODE_DETECT) {
        if (!s->gallery && (ret = open_gallery(ctx, &s->gallery)) < 0)
            return ret;
        if ((ret = mien_gallery_model(s->gallery, &model)) < 0)
            return mieni_lavfi_error(ret);
    }
    if (!s->engine) {
        if ((ret = open_exec(ctx, &params.exec)) < 0)
            return ret;
        params.models_dir   = s->models;
        params.encoder      = s->encoder ? s->encoder : !strcmp(model.name, "dlib128") ? model.name : NULL;
        params.log          = mieni_lavfi_log(ctx);
        params.with_encoder = s->mode != MIEN_MODE_DETECT;
        params.with_liveness = s->liveness != MIEN_LIVENESS_OFF;
        ret = mien_face_engine_create(&s->engine, &params);
        if (ret < 0)
            return mieni_lavfi_error(ret);
    }
    if (s->gallery && (ret = check_encoder(ctx, s->gallery)) < 0)
        return ret;
    if (s->log_urls && !s->log && (ret = mieni_facetag_log_open(&s->log, ctx, s->log_urls, s->format)) < 0)
        return ret;
    if (s->thumbs_dir && !s->thumbs && (ret = mieni_facetag_thumbs_create(&s->thumbs, ctx, s->thumbs_dir, s->max_faces)) < 0)
        return ret;
    ret = open_tagger(ctx);
    return ret < 0 ? ret : put_redact(ctx, 0);
}

static void log_stats(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;
    MienTaggerStats stats;
    MienFaceTimes times;

    mien_tagger_stats(s->tagger, &stats);
    mien_face_times(s->engine, &times);
    if (!stats.frames)
        return;
    av_log(ctx, AV_LOG_VERBOSE, "frames:%"PRIu64" tracks:%"PRIu64" detections:%"PRIu64" encodings:%"PRIu64" searches:%"PRIu64
           " detect_ms:%.2f landmarks_ms:%.2f align_ms:%.2f encode_ms:%.2f search_ms:%.3f\n", stats.frames, stats.tracks,
           stats.detections, stats.encodings, stats.searches, times.detect_ms, times.landmarks_ms, times.align_ms,
           times.encode_ms, stats.search_ms);
}

static av_cold void uninit(AVFilterContext *ctx)
{
    FacetagContext *s = ctx->priv;

    /* A graph may be freed without an end of stream. */
    mieni_facetag_live_destroy(&s->second);
    if (s->tagger) {
        close_tracks(ctx);
        log_stats(ctx);
    }
    mieni_facetag_redact_close(&s->redact, ctx);
    mieni_facetag_log_close(&s->log, ctx);
    mieni_facetag_thumbs_destroy(&s->thumbs);
    mien_tagger_destroy(&s->tagger);
    mien_face_engine_destroy(&s->engine);
    mien_pool_destroy(&s->pool);
    mien_gallery_close(&s->gallery);
    mieni_facetag_draw_destroy(&s->painter);
    mieni_lavfi_image_free(&s->image);
}

/* ---- commands */

/* A command that fails leaves everything as it was. */
static int set_claim(AVFilterContext *ctx, const char *claim)
{
    FacetagContext *s = ctx->priv;
    int ret;

    if (!s->gallery) {
        av_log(ctx, AV_LOG_ERROR, "claim has a meaning where there is a gallery only, and this filter began with mode=detect.\n");
        return AVERROR(EINVAL);
    }
    if ((ret = check_claim(ctx, s->gallery, claim)) < 0)
        return ret;
    s->warned_claim = 0;
    return mieni_lavfi_error(mien_tagger_set_claim(s->tagger, claim));
}

/* The evidence of a track begins with the track: what was not gathered cannot be asked for later. */
static int set_liveness(AVFilterContext *ctx, int old)
{
    FacetagContext *s = ctx->priv;

    if ((old == MIEN_LIVENESS_OFF) != (s->liveness == MIEN_LIVENESS_OFF)) {
        s->liveness = old;
        av_log(ctx, AV_LOG_ERROR, "liveness can change between report and require while the filter runs, not from or to off.\n");
        return AVERROR(EINVAL);
    }
    if (s->redact_mode == MIEN_REDACT_SPOOF && s->liveness != MIEN_LIVENESS_REQUIRE) {
        s->liveness = old;
        av_log(ctx, AV_LOG_ERROR, "redact=spoof finds pictures of faces only with liveness=require.\n");
        return AVERROR(EINVAL);
    }
    return mieni_lavfi_error(mien_tagger_set_liveness(s->tagger, s->liveness, s->apcer));
}

/* All tracks end: tags of one mode mean nothing in another. */
static int set_mode(AVFilterContext *ctx, int old)
{
    FacetagContext *s = ctx->priv;
    int mode = s->mode, ret = 0;

    if (mode == old)
        return 0;
    s->mode = old;
    if (!s->gallery) {
        av_log(ctx, AV_LOG_ERROR, "mode cannot leave detect: the filter began with it, without gallery and encoder.\n");
        return AVERROR(EINVAL);
    }
    if (mode == MIEN_MODE_VERIFY && ((ret = check_claim(ctx, s->gallery, s->claim)) < 0 ||
                                     (ret = mieni_lavfi_error(mien_tagger_set_claim(s->tagger, s->claim))) < 0))
        return ret;
    if ((ret = mien_tagger_set_mode(s->tagger, mode)) < 0)
        return mieni_lavfi_error(ret);
    s->mode = mode;
    s->warned_claim = 0;
    if (s->second)
        mieni_facetag_live_forget(s->second);
    ret = log_events(ctx);
    return ret < 0 ? ret : take_calibration(ctx);
}

/* redact, who, effect: what cannot be put into force is taken back. */
static int set_redact(AVFilterContext *ctx, const char *cmd, const char *arg, char *res, int res_len, int flags)
{
    FacetagContext *s = ctx->priv;
    const int mode = s->redact_mode, effect = s->redact_effect;
    char *who = s->redact_who ? av_strdup(s->redact_who) : NULL;
    int ret;

    if (s->redact_who && !who)
        return AVERROR(ENOMEM);
    ret = ff_filter_process_command(ctx, cmd, arg, res, res_len, flags);
    if (ret >= 0)
        ret = put_redact(ctx, 1);
    if (ret < 0) {
        s->redact_mode   = mode;
        s->redact_effect = effect;
        FFSWAP(char *, s->redact_who, who);
    }
    av_free(who);
    return ret;
}

static int command(AVFilterContext *ctx, const char *cmd, const char *arg, char *res, int res_len, int flags)
{
    FacetagContext *s = ctx->priv;
    int ret, old_liveness = s->liveness, old_mode = s->mode;

    if (!strcmp(cmd, "reload"))
        return reload_gallery(ctx);
    if (!strcmp(cmd, "redact") || !strcmp(cmd, "who") || !strcmp(cmd, "effect"))
        return set_redact(ctx, cmd, arg, res, res_len, flags);
    if (!strcmp(cmd, "claim") && (ret = set_claim(ctx, arg)) < 0)
        return ret;
    ret = ff_filter_process_command(ctx, cmd, arg, res, res_len, flags);
    if (ret >= 0 && !strcmp(cmd, "mode"))
        ret = set_mode(ctx, old_mode);
    if (ret >= 0 && !strcmp(cmd, "threshold"))
        ret = mieni_lavfi_error(mien_tagger_set_threshold(s->tagger, s->threshold));
    if (ret >= 0 && !strcmp(cmd, "apcer"))
        ret = mieni_lavfi_error(mien_tagger_set_liveness(s->tagger, s->liveness, s->apcer));
    if (ret >= 0 && !strcmp(cmd, "liveness"))
        ret = set_liveness(ctx, old_liveness);
    if (ret >= 0 && (!strcmp(cmd, "claim") || !strcmp(cmd, "mode")))
        ret = put_redact(ctx, 1);
    return ret;
}

/* Commands change what the second thread uses: it rests meanwhile. */
static int process_command(AVFilterContext *ctx, const char *cmd, const char *arg, char *res, int res_len, int flags)
{
    FacetagContext *s = ctx->priv;
    int ret;

    if (!s->tagger)
        return ff_filter_process_command(ctx, cmd, arg, res, res_len, flags);
    if (s->second)
        mieni_facetag_live_hold(s->second);
    ret = command(ctx, cmd, arg, res, res_len, flags);
    if (s->second)
        mieni_facetag_live_release(s->second);
    return ret;
}

static const AVFilterPad facetag_inputs[] = {
    {
        .name         = "default",
        .type         = AVMEDIA_TYPE_VIDEO,
        .config_props = config_input,
    },
};

static const AVFilterPad facetag_outputs[] = {
    {
        .name = "default",
        .type = AVMEDIA_TYPE_VIDEO,
    },
};

MIEN_FILTER(ff_vf_facetag) = {
    MIEN_FILTER_PUBLIC(
    .name        = "facetag",
    .description = NULL_IF_CONFIG_SMALL("Find faces, follow them and name the people of a gallery."),
    .priv_class  = &facetag_class,
    .flags       = AVFILTER_FLAG_SUPPORT_TIMELINE_INTERNAL | AVFILTER_FLAG_SLICE_THREADS,
    )
    .priv_size       = sizeof(FacetagContext),
    .init            = init,
    .uninit          = uninit,
    .activate        = activate,
    .process_command = process_command,
    FILTER_INPUTS(facetag_inputs),
    FILTER_OUTPUTS(facetag_outputs),
    FILTER_PIXFMTS_ARRAY(mieni_lavfi_pix_fmts),
};
