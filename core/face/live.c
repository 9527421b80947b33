/* live.c — the single-picture liveness network.
 *
 * It wants the face with its surroundings: a box 2.7 times the detector's, smaller if the picture is, moved (not padded) to lie
 * inside it, plainly bilinear to the network's size. A tight crop ruins it.
 */
#include <math.h>

#include "face/face_int.h"
#include "mien/error.h"

#define CONTEXT 2.7

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
