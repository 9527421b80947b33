/* facetag_thumbs.h — facetag's option thumbs: one small JPEG a track, of its best view.
 *
 * The best view so far of each track is kept as a small picture in memory. It is written when the track's enter event is told, and once more
 * when it leaves, if a better one has come by then. Files are named by time and track, never by a person, and readable by their owner alone.
 * Threads: one call at a time.
 */
#ifndef MIEN_FILTERS_FACETAG_THUMBS_H
#define MIEN_FILTERS_FACETAG_THUMBS_H

#include "compat.h"
#include "mien/tagger.h"

typedef struct FacetagThumbs FacetagThumbs;

/* The folder must be there. Errors are one line; AVERROR codes. */
int mieni_facetag_thumbs_create(FacetagThumbs **thumbs, AVFilterContext *ctx, const char *dir, int max_faces);
void mieni_facetag_thumbs_destroy(FacetagThumbs **thumbs);

/* After mien_tagger_frame: looks at the tags' faces in the picture that the tagger was given. NULL for thumbs does nothing. */
int mieni_facetag_thumbs_frame(FacetagThumbs *thumbs, const MienTagger *tagger, const MienImage *img, const MienTag *tags, int n_tags,
                               int64_t wall_us);
/* Before the event is told: writes the picture if it is due. Returns its file's name in the folder, valid until the next call; NULL: none.
 * A picture that can't be written is a warning, once, and no reason to end. */
const char *mieni_facetag_thumbs_event(FacetagThumbs *thumbs, AVFilterContext *ctx, const MienEvent *event);

#endif
