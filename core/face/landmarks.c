/* landmarks.c — 68 points from a box, and the five that alignment uses.
 *
 * The network reads the detector's box as it is (no margin, zero outside the picture), stretched to 64x64 luma. It was not
 * made for turned heads: past 15° the points drift. Such a face is found once more in a picture turned upright
 * (docs/internals/face.md has the numbers).
 */
#include <math.h>

#include "face/face_int.h"
#include "mien/error.h"

#define TURNED_DEG 15.0f

void mieni_five_points(const MienPoint landmark[68], MienPoint point[5])
{
    static const int single[3] = { 30, 48, 54 };
    for (int eye = 0; eye < 2; eye++) {
        float x = 0, y = 0;
        for (int i = 0; i < 6; i++) {
            x += landmark[36 + 6 * eye + i].x_px;
            y += landmark[36 + 6 * eye + i].y_px;
        }
        point[eye] = (MienPoint){ x / 6, y / 6 };
    }
    for (int i = 0; i < 3; i++)
        point[2 + i] = landmark[single[i]];
}

float mieni_roll_deg(const MienPoint point[5])
{
    return (float)(atan2(point[1].y_px - point[0].y_px, point[1].x_px - point[0].x_px) * (180 / M_PI));
}

int mieni_landmarks_run(MienFaceEngine *engine, const MienImage *img, MienBox box, float tilt_deg, MienFace *face)
{
    MieniFaceNet *lm = &engine->landmarks;
    double cx = ((double)box.x0_px + box.x1_px) / 2, cy = ((double)box.y0_px + box.y1_px) / 2;
    double w = (double)box.x1_px - box.x0_px, h = (double)box.y1_px - box.y0_px;
    double co = cos(tilt_deg * M_PI / 180), si = sin(tilt_deg * M_PI / 180);
    /* m maps the crop (0..64) to the picture; the points are shares of the crop and take the same way */
    double xx = co * w / lm->w_px, xy = -si * h / lm->h_px, yx = si * w / lm->w_px, yy = co * h / lm->h_px;
    double x0 = cx - (xx * lm->w_px + xy * lm->h_px) / 2, y0 = cy - (yx * lm->w_px + yy * lm->h_px) / 2;
    float m[6] = { (float)xx, (float)xy, (float)x0, (float)yx, (float)yy, (float)y0 };
    mieni_image_warp(img, m, 0, 16, &lm->input, mien_net_input(lm->net, NULL), lm->w_px, lm->h_px);
    int ret = mien_net_run(lm->net);
    if (ret < 0)
        return ret;
    const float *out = mien_net_output(lm->net, 0, NULL);
    for (int i = 0; i < 68; i++) {
        double u = (double)out[2 * i] * lm->w_px, v = (double)out[2 * i + 1] * lm->h_px;
        face->landmark_px[i] = (MienPoint){ (float)(xx * u + xy * v + x0), (float)(yx * u + yy * v + y0) };
    }
    mieni_five_points(face->landmark_px, face->point_px);
    face->has_landmarks = 1;
    return 0;
}

int mien_face_landmarks(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int n_faces)
{
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(engine->log, ret, "landmarks: not a picture");
    double t0 = mieni_now_ms();
    for (int i = 0; i < n_faces; i++) {
        MienBox b = faces[i].box_px;
        if (!isfinite(b.x0_px) || !isfinite(b.y0_px) || !(b.x1_px > b.x0_px) || !(b.y1_px > b.y0_px) ||
            !isfinite(b.x1_px) || !isfinite(b.y1_px))
            return mien_fail(engine->log, MIEN_ERR(EINVAL), "landmarks: face %d has an empty box", i);
        ret = mieni_landmarks_run(engine, img, b, faces[i].tilt_deg, &faces[i]);
        if (ret < 0)
            return ret;
    }
    mieni_time_add(engine, MIENI_TIME_LANDMARKS, t0, n_faces);
    for (int i = 0; i < n_faces; i++) {
        float roll = mieni_roll_deg(faces[i].point_px);
        if (!(fabsf(remainderf(roll - faces[i].tilt_deg, 360)) > TURNED_DEG))
            continue;
        ret = mieni_face_redetect_upright(engine, img, roll, &faces[i]);
        if (ret < 0 && ret != MIEN_E_NOFACE)
            return ret;
    }
    return 0;
}
