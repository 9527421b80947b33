/* carry.c — see mien/carry.h. Arithmetic alone: a copy of the tags, moved on by the model of track.c. */
#include <math.h>
#include <string.h>

#include "face/tagger_int.h"
#include "mien/carry.h"
#include "mien/error.h"

#define MISSED_FADE 0.7f      /* as the tagger moves what it misses */
#define MOST_FRAMES 100       /* of a fading speed nothing is left by then */
#define FRAMES_PER_S 25       /* where there is neither time nor clock */

struct MienCarry {
    MienMoment when; /* the look */
    int w_px, h_px;
    int n, max;      /* n < 0: nothing is kept */
    MienTag *tag;
    MieniShown *shown;
    MienExplanation *explanation;
    MienTag *out;                 /* what mien_carry_at gave, and why */
    MienExplanation *out_explanation;
    int n_out;
};

int mien_carry_create(MienCarry **carry, int max_faces)
{
    *carry = NULL;
    MienCarry *c = mien_calloc(1, sizeof(*c));
    if (!c)
        return MIEN_ERR(ENOMEM);
    size_t max = 2 * (size_t)(max_faces > 0 ? max_faces : 1); /* with those that the last look missed */
    c->n = -1;
    c->max = (int)max;
    c->tag = mien_calloc(max, sizeof(*c->tag));
    c->shown = mien_calloc(max, sizeof(*c->shown));
    c->out = mien_calloc(max, sizeof(*c->out));
    c->explanation = mien_calloc(max, sizeof(*c->explanation));
    c->out_explanation = mien_calloc(max, sizeof(*c->out_explanation));
    if (!c->tag || !c->shown || !c->out || !c->explanation || !c->out_explanation) {
        mien_carry_destroy(&c);
        return MIEN_ERR(ENOMEM);
    }
    *carry = c;
    return 0;
}

void mien_carry_destroy(MienCarry **carry)
{
    MienCarry *c = carry ? *carry : NULL;
    if (!c)
        return;
    mien_free(c->tag);
    mien_free(c->shown);
    mien_free(c->explanation);
    mien_free(c->out);
    mien_free(c->out_explanation);
    mien_free(c);
    *carry = NULL;
}

void mieni_carry_begin(MienCarry *c, const MienMoment *when, int w_px, int h_px)
{
    c->when = *when;
    c->w_px = w_px;
    c->h_px = h_px;
    c->n = 0;
}

MienExplanation *mieni_carry_add(MienCarry *c, const MienTag *tag, const MieniShown *shown)
{
    if (c->n >= c->max)
        return NULL;
    c->tag[c->n] = *tag;
    c->shown[c->n] = *shown;
    return &c->explanation[c->n++];
}

void mien_carry_take(MienCarry *c, const MienTagger *tagger)
{
    MienMoment when;
    MieniShown shown;
    const MienTag *tag;
    MienExplanation *x;
    int w_px, h_px;
    mieni_tagger_picture(tagger, &when, &w_px, &h_px);
    mieni_carry_begin(c, &when, w_px, h_px);
    for (int i = 0; (tag = mieni_tagger_shown(tagger, i, &shown)) && (x = mieni_carry_add(c, tag, &shown)); i++)
        if (mien_tagger_explain(tagger, tag->track, x) < 0)
            memset(x, 0, sizeof(*x));
}

void mien_carry_forget(MienCarry *c)
{
    c->n = -1;
}

static double seconds_between(const MienMoment *then, const MienMoment *now)
{
    double s = now->time_s - then->time_s;
    if (isnan(s))
        s = then->wall_us && now->wall_us ? (double)(now->wall_us - then->wall_us) * 1e-6
                                          : (double)(now->frame - then->frame) / FRAMES_PER_S;
    return fmax(s, 0);
}

double mien_carry_age_s(const MienCarry *c, const MienMoment *now)
{
    return c->n < 0 ? NAN : seconds_between(&c->when, now);
}

int mien_carry_at(MienCarry *c, const MienMoment *now, const MienTag **tags)
{
    int n = 0, ahead = (int)(now->frame - c->when.frame < MOST_FRAMES ? now->frame - c->when.frame : MOST_FRAMES);
    *tags = c->out;
    for (int i = 0; i < c->n; i++) {
        const MieniShown *shown = &c->shown[i];
        if (seconds_between(&shown->seen, now) > MIEN_CARRY_MAX_S)
            continue;
        c->out[n] = c->tag[i];
        c->out[n].box_px = mieni_motion_ahead(&shown->motion, ahead, shown->is_missed ? MISSED_FADE : MIENI_MOTION_FADE);
        c->out_explanation[n] = c->explanation[i];
        n += mieni_box_clip(&c->out[n].box_px, c->w_px, c->h_px);
    }
    return c->n_out = n;
}

int mien_carry_explain(const MienCarry *c, int64_t track, MienExplanation *x)
{
    for (int i = 0; i < c->n_out; i++)
        if (c->out[i].track == track) {
            *x = c->out_explanation[i];
            return 0;
        }
    return MIEN_E_NOTFOUND;
}
