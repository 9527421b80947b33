/* tagger_int.h — between the tagger and carry.c: how the faces of the last tags move. */
#ifndef MIEN_FACE_TAGGER_INT_H
#define MIEN_FACE_TAGGER_INT_H

#include "face/track.h"
#include "mien/carry.h"

typedef struct MieniShown {
    MieniMotion motion; /* its box is the tag's, not clipped */
    MienMoment seen;    /* the last sighting */
    int is_missed;      /* the last look didn't see it */
} MieniShown;

/* The tag i_tag of the last frame and what belongs to it, or NULL: there are no more. */
const MienTag *mieni_tagger_shown(const MienTagger *tagger, int i_tag, MieniShown *shown);
/* The last frame. */
void mieni_tagger_picture(const MienTagger *tagger, MienMoment *when, int *w_px, int *h_px);

/* mien_carry_take in steps: the look, then each of its tags. Returns where the tag's explanation goes, or NULL: there is no room. */
void mieni_carry_begin(MienCarry *carry, const MienMoment *when, int w_px, int h_px);
MienExplanation *mieni_carry_add(MienCarry *carry, const MienTag *tag, const MieniShown *shown);

#endif
