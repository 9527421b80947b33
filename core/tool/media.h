/* media.h — pictures and videos as RGB, and RGB as PNG or JPEG; the one door to FFmpeg's libraries. */
#ifndef MIEN_TOOL_MEDIA_H
#define MIEN_TOOL_MEDIA_H

#include "mien/image.h"
#include "mien/log.h"

#define MEDIA_MAX_PIXELS ((int64_t)1 << 28) /* of one frame; 268 million */

typedef struct Media Media;

/* Opens a regular file, recognised by its content, never by its name. Nothing but this file is read, whatever stands in it.
 * threads: of the decoder (videos). Errors log one line "PATH: cause" and give -errno or MIEN_E_FORMAT. */
int media_open(Media **media, const char *path, int threads, MienLog log);
void media_close(Media **media);

int media_is_video(const Media *media);
double media_duration_s(const Media *media);  /* 0: unknown */
/* Where the film could be cut: times of its key frames, in microseconds as ffmpeg counts them (the file's beginning is 0), ascending. Reads
 * the whole file; media_next gives nothing afterwards. end_us: when its last frame ends. The caller frees *time_us by mien_free.
 * Returns how many; 0 where time stamps are missing or jump back, so that it cannot be cut. */
int64_t media_key_frames(Media *media, int64_t **time_us, int64_t *end_us);
const char *media_sha256(Media *media);       /* of the file, 64 hex digits; NULL if it cannot be read (logged) */

/* The next frame: turned as its orientation tag or display matrix says, transparent parts on white, full-range RGB. img is valid
 * until the next call. Returns 1, 0 at the end, or a negative code. A still that is damaged or cut short is an error; in a
 * video damaged frames are skipped, and none at all is an error. time_s: from the video's start. */
int media_next(Media *media, MienImage *img, double *time_s);

/* A still, or the first frame of a video; the caller frees *rgb8 by mien_free. img describes it. sha256 may be NULL. */
int media_read_picture(const char *path, uint8_t **rgb8, MienImage *img, char sha256[65], MienLog log);

/* The same with all bits that the file has, as h·w·3 f32 in 0..1; the caller frees *rgb by mien_free. bits: 8 or 16. */
int media_read_rgb(const char *path, float **rgb, int *w_px, int *h_px, int *bits, MienLog log);
/* Writes such a picture, clamped and rounded: 8 bits as media_write_picture does, 16 as PNG. */
int media_write_rgb(const char *path, const float *rgb, int w_px, int h_px, int bits, MienLog log);

/* Writes RGB8 or GRAY8 as PNG (path ends in .png) or JPEG (.jpg, .jpeg); whole or not at all. */
int media_write_picture(const char *path, const MienImage *img, MienLog log);
int media_can_write(const char *path); /* by its ending */

/* 1 if a folder's file with this name is worth trying (by its ending), 2 if it is a video's. */
int media_known_suffix(const char *path);

/* "5.1.9-0+deb12u1", for `mien version` */
const char *media_ffmpeg_version(void);

#endif
