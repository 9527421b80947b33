/* facetag_redact.c — see facetag_redact.h. */
#include <string.h>

#include "facetag_redact.h"
#include "event_log.h"
#include "lavfi_glue.h"
#include "libavutil/avstring.h"
#include "libavutil/mem.h"

typedef struct Waiting {
    AVFrame *frame;
    MienTag *tag;
    unsigned tag_bytes;
    int n_tags, user;
} Waiting;

struct FacetagRedact {
    MienRedactor *redactor;
    MienGallery *gallery;      /* a handle of its own, which stays silent about people who are not there */
    MieniEventLog *report;     /* NULL: none was asked for */
    int mode, effect, max_faces;
    char **who;
    int n_who;
    int missing;               /* one of who cannot be told apart now */
    int warned_faces;
    Waiting *queue;            /* a ring of lookahead + 1 */
    int n_queue, first, n_waiting;
};

/* ---- options */

static int wants_names(int mode)
{
    return mode == MIEN_REDACT_EXCEPT || mode == MIEN_REDACT_ONLY;
}

int mieni_facetag_redact_check(AVFilterContext *ctx, const FacetagRedactOptions *o, int runtime)
{
    static const char *const name[] = { "none", "unknown", "all", "except", "only", "spoof" };
    const int named = o->who && *o->who;
    const char *why = NULL;

    if (o->tag_mode == MIEN_MODE_DETECT && o->mode != MIEN_REDACT_NONE && o->mode != MIEN_REDACT_ALL)
        why = "decides by names and signs of life, and mode=detect asks for none; set redact=all, or another mode";
    else if (o->mode == MIEN_REDACT_SPOOF && o->liveness != MIEN_LIVENESS_REQUIRE)
        why = "finds pictures of faces only with liveness=require";
    else if (o->tag_mode == MIEN_MODE_VERIFY && named)
        why = "takes the claimed person in mode=verify; leave who out";
    else if (wants_names(o->mode) && o->tag_mode != MIEN_MODE_VERIFY && !named)
        why = "needs names: set who=NAME, or who=NAME|NAME";
    else if (!runtime && !wants_names(o->mode) && named)
        why = "does not go by names, but who= gives some; set redact=except or redact=only";
    if (!why)
        return 0;
    av_log(ctx, AV_LOG_ERROR, "redact=%s %s.\n", name[o->mode], why);
    return AVERROR(EINVAL);
}

static void free_names(char ***who, int n)
{
    for (int i = 0; i < n && *who; i++)
        av_freep(&(*who)[i]);
    av_freep(who);
}

/* NAME|NAME…; a | of a name is written \|. */
static int parse_names(const char *text, char ***who, int *n)
{
    int ret = AVERROR(ENOMEM);

    *who = NULL;
    *n = 0;
    while (*text) {
        char *name = av_get_token(&text, "|"), **more = av_realloc_array(*who, *n + 1, sizeof(**who));

        if (more)
            *who = more;
        if (!name || !more) {
            av_free(name);
            goto fail;
        }
        if (*name)
            (*who)[(*n)++] = name;
        else
            av_free(name);
        text += *text == '|';
    }
    return 0;

fail:
    free_names(who, *n);
    *n = 0;
    return ret;
}

/* Whether search can find a person of this name: >0; 0: not, and why. An error of the gallery is no. */
static int can_be_found(FacetagRedact *r, const char *name, const char **why)
{
    MienPerson person;
    int ret = mien_gallery_find(r->gallery, name, &person);

    *why = ret == MIEN_E_NOTFOUND ? "is not in the gallery" : ret < 0 ? "cannot be looked up in the gallery" :
           person.ignored ? "is on the ignore list" : person.expired ? "has expired" : !person.n_samples ? "has no picture" : NULL;
    return !*why;
}

static int put_policy(FacetagRedact *r)
{
    /* Whoever `only` is about and cannot be told apart is anybody. */
    const MienRedactPolicy policy = { r->missing && r->mode == MIEN_REDACT_ONLY ? MIEN_REDACT_ALL : r->mode,
                                      (const char *const *)r->who, r->n_who };

    return mieni_lavfi_error(mien_redactor_set_policy(r->redactor, &policy));
}

int mieni_facetag_redact_set(FacetagRedact *r, AVFilterContext *ctx, const FacetagRedactOptions *o)
{
    FacetagRedact old = *r;
    char **who = NULL;
    const char *why;
    int n_who = 0, ret = 0;

    if (wants_names(o->mode) && o->tag_mode == MIEN_MODE_VERIFY) {
        who = av_calloc(1, sizeof(*who));
        if (!who || !(who[0] = av_strdup(o->claim)))
            ret = AVERROR(ENOMEM);
        n_who = 1;
    } else if (wants_names(o->mode)) {
        ret = parse_names(o->who, &who, &n_who);
    }
    for (int i = 0; i < n_who && ret >= 0; i++)
        if (!can_be_found(r, who[i], &why)) {
            av_log(ctx, AV_LOG_ERROR, "who: '%s' %s; 'mien list' shows who is there.\n", who[i], why);
            ret = AVERROR(ENOENT);
        }
    if (ret >= 0 && wants_names(o->mode) && !n_who) {
        av_log(ctx, AV_LOG_ERROR, "who holds no name: set who=NAME, or who=NAME|NAME.\n");
        ret = AVERROR(EINVAL);
    }
    if (ret < 0) {
        free_names(&who, n_who);
        return ret;
    }
    r->mode    = o->mode;
    r->who     = who;
    r->n_who   = n_who;
    r->missing = 0;
    ret = put_policy(r);
    if (ret < 0) {
        *r = old;
        free_names(&who, n_who);
        return ret;
    }
    free_names(&old.who, old.n_who);
    r->effect = o->effect;
    return 0;
}

/* People who are forgotten, renamed, ignored or expire while the film runs. Asked after each frame was tagged and before it is decided
 * upon: what the search knew then is known here too. */
static int watch_names(FacetagRedact *r, AVFilterContext *ctx)
{
    const char *why, *name = NULL, *cause = NULL;
    int missing = 0;

    for (int i = 0; i < r->n_who; i++)
        if (!can_be_found(r, r->who[i], &why)) {
            missing = 1;
            name = r->who[i];
            cause = why;
        }
    if (missing == r->missing)
        return 0;
    r->missing = missing;
    if (missing)
        av_log(ctx, AV_LOG_WARNING, "who: '%s' %s any more; %s.\n", name, cause, r->mode == MIEN_REDACT_ONLY ?
               "since nobody can be told from them, everybody is covered" : "they are covered like everybody else");
    return put_policy(r);
}

/* ---- life */

int mieni_facetag_redact_open(FacetagRedact **out, AVFilterContext *ctx, const FacetagRedactParams *p)
{
    const MienRedactorParams params = { p->lookahead, p->max_faces, p->first_frame };
    FacetagRedact *r = av_mallocz(sizeof(*r));
    int ret;

    *out = NULL;
    if (!r)
        return AVERROR(ENOMEM);
    r->mode      = MIEN_REDACT_ALL;
    r->max_faces = p->max_faces;
    r->n_queue   = p->lookahead + 1;
    r->queue     = av_calloc(r->n_queue, sizeof(*r->queue));
    ret = r->queue ? mieni_lavfi_error(mien_redactor_create(&r->redactor, &params)) : AVERROR(ENOMEM);
    if (ret >= 0 && p->gallery_path)
        ret = mieni_lavfi_error(mien_gallery_open(&r->gallery, p->gallery_path, MIEN_GALLERY_READ, (MienLog){ 0 }));
    if (ret >= 0 && p->report_url)
        ret = mieni_event_log_open(&r->report, ctx, p->report_url, MIEN_EVENT_JSONL);
    if (ret < 0)
        mieni_facetag_redact_close(&r, ctx);
    *out = r;
    return ret;
}

/* line: n bytes of JSON in a buffer that has room for the newline, or n is an error. */
static int write_line(FacetagRedact *r, AVFilterContext *ctx, char *line, int n)
{
    if (n < 0)
        return mieni_lavfi_error(n);
    line[n] = '\n';
    return mieni_event_log_text(r->report, ctx, line, n + 1);
}

static void write_end(FacetagRedact *r, AVFilterContext *ctx)
{
    char line[256];
    MienRedactStats stats;

    mien_redactor_stats(r->redactor, &stats);
    if (r->report)
        write_line(r, ctx, line, mien_redact_end_json(&stats, r->n_waiting, line, sizeof(line) - 1));
}

void mieni_facetag_redact_close(FacetagRedact **redact, AVFilterContext *ctx)
{
    FacetagRedact *r = *redact;

    if (!r)
        return;
    if (r->redactor)
        write_end(r, ctx);
    if (r->n_waiting)
        av_log(ctx, AV_LOG_WARNING, "%d frames that waited for their look-ahead are lost: the filters were taken down without an end of the "
               "stream, as ffmpeg does when a stream changes its size. Nothing of them was shown. With -reinit_filter 0 before -i, and scale "
               "before facetag, none is lost.\n", r->n_waiting);
    for (int i = 0; i < r->n_queue && r->queue; i++) {
        av_frame_free(&r->queue[i].frame);
        av_freep(&r->queue[i].tag);
    }
    av_freep(&r->queue);
    free_names(&r->who, r->n_who);
    mieni_event_log_close(&r->report, ctx);
    mien_gallery_close(&r->gallery);
    mien_redactor_destroy(&r->redactor);
    av_freep(redact);
}

/* ---- frames */

static int write_runs(FacetagRedact *r, AVFilterContext *ctx)
{
    const MienRedactRun *runs;
    int n = mien_redactor_runs(r->redactor, &runs), ret = 0;

    for (int i = 0; i < n && r->report && ret >= 0; i++) {
        char line[4096];

        ret = write_line(r, ctx, line, mien_redact_run_json(&runs[i], line, sizeof(line) - 1));
    }
    return ret;
}

static int keep_tags(Waiting *w, const MienTag *tags, int n_tags)
{
    av_fast_malloc(&w->tag, &w->tag_bytes, FFMAX(n_tags, 1) * sizeof(*w->tag));
    if (!w->tag)
        return AVERROR(ENOMEM);
    if (n_tags)
        memcpy(w->tag, tags, n_tags * sizeof(*w->tag));
    w->n_tags = n_tags;
    return 0;
}

int mieni_facetag_redact_push(FacetagRedact *r, AVFilterContext *ctx, AVFrame *frame, const MienTag *tags, int n_tags, int cut,
                              double time_s, int user)
{
    const MienRedactFrame in = { .tags = tags, .n_tags = n_tags, .time_s = time_s, .cut = cut };
    Waiting *w = &r->queue[(r->first + r->n_waiting) % r->n_queue];
    int ret = r->gallery ? watch_names(r, ctx) : 0;

    if (ret >= 0)
        ret = keep_tags(w, tags, n_tags);
    if (ret >= 0)
        ret = mieni_lavfi_error(mien_redactor_push(r->redactor, &in));
    if (ret < 0) {
        av_frame_free(&frame);
        return ret;
    }
    if (n_tags >= r->max_faces && !r->warned_faces && r->mode != MIEN_REDACT_NONE) {
        av_log(ctx, AV_LOG_WARNING, "%d faces are on a frame, as many as max_faces lets facetag follow. There may be more, so such frames are "
               "covered whole; set a larger max_faces.\n", n_tags);
        r->warned_faces = 1;
    }
    w->frame = frame;
    w->user = user;
    r->n_waiting++;
    return 0;
}

int mieni_facetag_redact_pop(FacetagRedact *r, AVFilterContext *ctx, AVFrame **frame, const MienTag **tags, int *n_tags, int *user)
{
    Waiting *w = &r->queue[r->first];
    MienRedactPlan plan;
    int due = mien_redactor_pop(r->redactor, &plan), ret;

    *frame = NULL;
    if (due < 0)
        return mieni_lavfi_error(due);
    ret = write_runs(r, ctx);
    if (ret < 0 || !due)
        return ret;
    /* From here on the frame is either covered or gone. */
    *frame = w->frame;
    w->frame = NULL;
    r->first = (r->first + 1) % r->n_queue;
    r->n_waiting--;
    *tags   = w->tag;
    *n_tags = w->n_tags;
    *user   = w->user;
    if (plan.whole || plan.n_regions) {
        ret = av_frame_make_writable(*frame);
        if (ret >= 0) {
            MienPlanes planes = mieni_lavfi_planes(*frame);

            ret = mieni_lavfi_error(mien_redactor_paint(r->redactor, &plan, &planes, r->effect));
        }
    }
    if (ret < 0)
        av_frame_free(frame);
    return ret;
}

void mieni_facetag_redact_finish(FacetagRedact *r)
{
    mien_redactor_finish(r->redactor);
}

void mieni_facetag_redact_skip(FacetagRedact *r)
{
    mien_redactor_skip(r->redactor);
}
