/* mien/liveness.h — is it a face, or a picture of one? What a track's frames say, check by check, and together.
 *
 * Each check measures one thing over the frames of a track and turns it into a log-likelihood ratio, ln p(measure | live) −
 * ln p(measure | picture): positive speaks for a living face, NaN means that the check cannot tell (yet). Their sum is the track's evidence.
 * Bounds, slopes and where they come from: docs/liveness.md.
 */
#ifndef MIEN_LIVENESS_H
#define MIEN_LIVENESS_H

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_LIVE_CHECKS_MAX 8

typedef struct MienLiveness {
    float prob;     /* that the face is alive, 0..1; live and picture are taken to be equally frequent. NaN: nothing measured yet */
    float llr;      /* natural logarithm, the checks' sum */
    int enough;     /* seen often and long enough for a decision */
    int n_looks;    /* frames that were looked at */
    float frame_prob; /* the single-picture network's answer at the last look; NaN: it was not asked then */
    float measure[MIEN_LIVE_CHECKS_MAX]; /* NaN: cannot tell */
    float check_llr[MIEN_LIVE_CHECKS_MAX];
} MienLiveness;

int mien_live_checks(void);               /* how many there are */
const char *mien_live_check_name(int i);  /* "network" … */
const char *mien_live_check_text(int i);  /* what it measures, a line */

/* The least MienLiveness.llr of a face that is let through, so that at most a share of apcer (0..1) of the attacks passes which the table was made
 * from. Between the table's rows the stricter one counts; below 0.02 it cannot tell and gives that row. */
float mien_live_min_llr(float apcer);

#ifdef __cplusplus
}
#endif
#endif
