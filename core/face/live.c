/* live.c — the single-picture liveness network, and what a look at a face in a film gathers for liveness.c.
 *
 * It wants the face with its surroundings: a box 2.7 times the detector's, smaller if the picture is, moved (not padded) to lie
 * inside it, plainly bilinear to the network's size. A tight crop ruins it.
 */
#include <math.h>
#include <string.h>

#include "face/face_int.h"
#include "face/liveness.h"
#include "mien/error.h"

#define CONTEXT 2.7
#define MIN_EYES_PX 12.0f /* eyes nearer together than that tell nothing */

int mien_face_liveness(MienFaceEngine *engine, const MienImage *img, const MienFace *faces, int n_faces, float *prob_live)
{
    MieniFaceNet *fn = &engine->liveness;
    if (!fn->model)
        return mien_fail(engine->log, MIEN_ERR(EINVAL), "liveness: the engine was made without it");
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(engine->log, ret, "liveness: not a picture");
    for (int i = 0; i < n_faces; i++) {
        const MienBox b = faces[i].box_px;
        double bw = (double)b.x1_px - b.x0_px, bh = (double)b.y1_px - b.y0_px;
        if (!(bw > 0) || !(bh > 0) || !isfinite(bw) || !isfinite(bh))
            return mien_fail(engine->log, MIEN_ERR(EINVAL), "liveness: face %d has an empty box", i);
        /* a picture of one row or column has no size to spare; half a pixel keeps the map finite */
        double room_w = fmax(img->w_px - 1, 0.5), room_h = fmax(img->h_px - 1, 0.5);
        double scale = fmin(CONTEXT, fmin(room_h / bh, room_w / bw)), w = bw * scale, h = bh * scale;
        double x0 = fmin(fmax(((double)b.x0_px + b.x1_px - w) / 2, 0), room_w - w);
        double y0 = fmin(fmax(((double)b.y0_px + b.y1_px - h) / 2, 0), room_h - h);
        float m[6] = { (float)(w / fn->w_px), 0, (float)x0, 0, (float)(h / fn->h_px), (float)y0 };
        mieni_image_warp(img, m, MIENI_BORDER_CLAMP, 1, &fn->input, mien_net_input(fn->net, NULL), fn->w_px, fn->h_px);
        ret = mien_net_run(fn->net);
        if (ret < 0)
            return ret;
        prob_live[i] = mien_net_output(fn->net, 0, NULL)[0];
    }
    return 0;
}

/* The luma of a piece of a picture; m as mieni_image_warp's. */
static void luma_of(const MienImage *img, const float m[6], int max_samples, float *dst, int side_px)
{
    static const MieniInput luma = { 1, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    mieni_image_warp(img, m, MIENI_BORDER_CLAMP, max_samples, &luma, dst, side_px, side_px);
}

/* A square of the template, side wide from (from, from) on. */
static void luma_aligned(const MienImage *img, const float m[6], float from, float side, float *dst, int side_px)
{
    const float s = side / (float)side_px;
    luma_of(img, (float[6]){ m[0] * s, m[1] * s, m[2] + (m[0] + m[1]) * from, m[3] * s, m[4] * s, m[5] + (m[3] + m[4]) * from }, 4, dst,
            side_px);
}

static float mean_luma(const MienImage *img, const float m[6])
{
    enum { N = 12 };
    float luma[N * N], sum = 0;
    luma_of(img, m, 4, luma, N);
    for (int i = 0; i < N * N; i++)
        sum += luma[i];
    return sum / (N * N);
}

/* How bright the face is beside the whole picture: what the camera's exposure does to both is no flicker. m: of the 112 pixel template, whose middle
 * is taken. */
static float glow_of(const MienImage *img, const float m[6])
{
    enum { N = 12 };
    const float s = 64.0f / N, x = (float)img->w_px / N, y = (float)img->h_px / N;
    float face = mean_luma(img, (float[6]){ m[0] * s, m[1] * s, m[2] + (m[0] + m[1]) * 24, m[3] * s, m[4] * s, m[5] + (m[3] + m[4]) * 24 });
    return face - mean_luma(img, (float[6]){ x, 0, 0, 0, y, 0 });
}

int mieni_live_observe(MienFaceEngine *engine, const MienImage *img, MienFace *face, double time_s, MieniLive *live, MieniPosters *posters)
{
    float chip[MIENI_CHIP_PX * MIENI_CHIP_PX], grain[MIENI_GRAIN_PX * MIENI_GRAIN_PX], scene[MIENI_SCENE_PX * MIENI_SCENE_PX], m[6];
    int ret = mien_face_landmarks(engine, img, face, 1);
    if (ret < 0 || mieni_align_map(face->point_px, MIENI_TEMPLATE_ARCFACE112, m) < 0)
        return ret < 0 ? ret : 0;
    const MienPoint *p = face->point_px;
    const MienBox b = face->box_px;
    MieniLook look = { .time_s = time_s, .prob_live = NAN, .chip = chip, .scene = scene };
    memcpy(look.landmark_px, face->landmark_px, sizeof(look.landmark_px));
    if (!(hypotf(p[1].x_px - p[0].x_px, p[1].y_px - p[0].y_px) >= MIN_EYES_PX))
        return 0;
    look.glow = glow_of(img, m);
    if (!mieni_live_wants_look(live, time_s)) {
        look.chip = NULL;
        mieni_live_look(live, &look, posters);
        return 0;
    }
    luma_aligned(img, m, 0, 112, chip, MIENI_CHIP_PX);
    luma_aligned(img, m, -92, 296, scene, MIENI_SCENE_PX);
    float w = b.x1_px - b.x0_px, h = b.y1_px - b.y0_px;
    if (w >= MIENI_GRAIN_PX + 8 && h >= MIENI_GRAIN_PX + 8) {
        float x0 = roundf((b.x0_px + b.x1_px - MIENI_GRAIN_PX) / 2), y0 = roundf((b.y0_px + b.y1_px - MIENI_GRAIN_PX) / 2);
        luma_of(img, (float[6]){ 1, 0, x0, 0, 1, y0 }, 1, grain, MIENI_GRAIN_PX);
        look.grain = grain;
    }
    if (mieni_live_wants_network(live, time_s) && (ret = mien_face_liveness(engine, img, face, 1, &look.prob_live)) < 0)
        return ret;
    mieni_live_look(live, &look, posters);
    return 0;
}
