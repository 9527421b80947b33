/* watch_camera.h — one camera's life: ffmpeg started, listened to, ended when it stalls, started again later.
 *
 *   waiting ──► starting ──► running          a frame has come out
 *      ▲            │           │
 *      └── ended ◄──┴── ending ◄┘             stalled, changed or not wanted any more: SIGTERM, then SIGKILL
 *
 * Nothing here waits: the caller polls the descriptors and calls back in time.
 */
#ifndef MIEN_TOOL_WATCH_CAMERA_H
#define MIEN_TOOL_WATCH_CAMERA_H

#include <poll.h>
#include <sys/types.h>

#include "tool.h"
#include "watch_config.h"

typedef struct Camera Camera;

typedef struct CameraHost {
    const Tool *tool;
    char *logs; /* folder */
    uint64_t rng;
} CameraHost;

/* Takes what is in spec. host is borrowed. */
int camera_create(Camera **camera, WatchCamera *spec, CameraHost *host);
void camera_destroy(Camera **camera); /* it must be over */

const char *camera_name(const Camera *c);
/* The configuration was read again: takes spec; ffmpeg is started anew if its command or anything else has changed (a password file too). Returns 1
 * if so. */
int camera_reconfigure(Camera *c, WatchCamera *spec);
/* No more starts; ffmpeg ends. A second call kills it. */
void camera_end(Camera *c);
/* ffmpeg has ended. keepers: and what it said is written. */
int camera_is_over(const Camera *c, int keepers);

#define CAMERA_POLLFDS 2
void camera_pollfds(const Camera *c, struct pollfd p[CAMERA_POLLFDS]);
void camera_readable(Camera *c);
/* When camera_tick wants to be called; seconds_now's clock. */
double camera_due_s(const Camera *c);
void camera_tick(Camera *c, double now_s);
/* A child of the process has ended and is still to be waited for: 1 if it was this camera's. */
int camera_child_ended(Camera *c, pid_t pid);

/* Adds what `mien watch status` shows. */
struct cJSON;
void camera_report(const Camera *c, struct cJSON *to);

#endif
