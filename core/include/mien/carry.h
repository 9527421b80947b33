/* mien/carry.h — the tagger's newest tags, carried on to frames that it does not look at.
 *
 * For callers that cannot wait for networks: one thread runs the tagger on the frames that it has time for (mien_tagger_frame_at), another
 * asks here where the faces are on every frame. A box moves on at the speed that the tagger measured, which fades; who it is and what is
 * known about it stays as it was decided. What hasn't been seen for too long is not shown: a box without a face under it is worse than none.
 * Threads: the caller takes care that calls for one object don't meet.
 */
#ifndef MIEN_CARRY_H
#define MIEN_CARRY_H

#include "mien/tagger.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_CARRY_MAX_S 2.0 /* of stream time since a face was last seen */

typedef struct MienCarry MienCarry;
int mien_carry_create(MienCarry **carry, int max_faces); /* max_faces: the tagger's */
void mien_carry_destroy(MienCarry **carry);

/* What the tagger's last frame showed replaces what is kept; quick, no picture is touched. */
void mien_carry_take(MienCarry *carry, const MienTagger *tagger);
/* Keeps nothing: after a flush, when the picture becomes another. */
void mien_carry_forget(MienCarry *carry);

/* The tags on the frame `now`, not before the one that was taken. *tags is valid until the next call of this one, and a
 * mien_carry_take or _forget in between leaves it as it is; returns their number. */
int mien_carry_at(MienCarry *carry, const MienMoment *now, const MienTag **tags);
/* As mien_tagger_explain, for the tags that mien_carry_at gave. */
int mien_carry_explain(const MienCarry *carry, int64_t track, MienExplanation *explanation);
/* How old, on the frame `now`, the look is that was taken, in seconds of stream time; by the clock where there is none. NaN: nothing is kept. */
double mien_carry_age_s(const MienCarry *carry, const MienMoment *now);

#ifdef __cplusplus
}
#endif
#endif
