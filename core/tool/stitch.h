/* stitch.h — the logs of a film's parts, which overlap a little, become the log of the film.
 *
 * Part i is worked on from its cut to somewhat past the next one, so both sides of a cut have seen the same frames: the overlap. A track
 * of part i that began before the cut and a track of part i + 1 are one where their boxes cover each other on the frames that both show
 * (mean IoU of 0.5 at least; the best pair first), unless both are named and the names differ, or one alone is a spoof. The joined track
 * keeps the number, first sighting and events of its beginning; of its continuation those events are kept that change the decision. A name
 * stands until another one takes its place. What begins after a cut belongs to the later part alone. Frames are counted through.
 */
#ifndef MIEN_TOOL_STITCH_H
#define MIEN_TOOL_STITCH_H

#include <stddef.h>
#include <stdint.h>

#include "mien/log.h"

typedef struct StitchPart {
    /* facetag's log, format jsonl */
    const char *log;
    size_t log_bytes;
    /* What `facetag,settb=1/1000000,metadata=print` printed of (at least) the frames in the overlaps */
    const char *frames;
    size_t frames_bytes;
    int64_t from_us; /* the cut at which it begins; the first one's is the film's beginning */
} StitchPart;

/* Lines in the order of the parts. Tracks are numbered anew, in the order in which they are first told of. Lines that tell of no
 * track are taken from the first part alone. One part: a copy. The caller frees *out with mien_free. MIEN_E_FORMAT with a line in the log:
 * something is no such log. */
int stitch_logs(const StitchPart *part, int n_parts, MienLog log, char **out, size_t *out_bytes);

#endif
