/* quality.c — how good a view of a face is, from its five points and its aligned luma.
 *
 * Sharpness is the variance of the Laplacian (Pech-Pacheco et al. 2000) of the 112x112 aligned face, so that it does not
 * depend on the face's size in the picture but on what reaches the encoder. Yaw and pitch are read off where the nose lies between eyes
 * and mouth; they order views, they do not measure angles.
 */
#include <math.h>

#include "face/face_int.h"
#include "mien/error.h"

static float clamp01(float v)
{
    return v > 1 ? 1 : v > 0 ? v : 0;
}

static void pose(const MienPoint p[5], MienFaceQuality *q)
{
    float ex = p[1].x_px - p[0].x_px, ey = p[1].y_px - p[0].y_px, eye = hypotf(ex, ey);
    q->eye_dist_px = eye;
    q->roll_deg = mieni_roll_deg(p);
    q->yaw_deg = q->pitch_deg = 0;
    if (!(eye > 0))
        return;
    float mx = (p[0].x_px + p[1].x_px) / 2, my = (p[0].y_px + p[1].y_px) / 2; /* between the eyes */
    float lx = (p[3].x_px + p[4].x_px) / 2 - mx, ly = (p[3].y_px + p[4].y_px) / 2 - my;
    float nx = p[2].x_px - mx, ny = p[2].y_px - my;
    ex /= eye, ey /= eye;
    /* nose and mouth in the face's own axes; the nose stands out about 0.6 eye distances from the plane of eyes and mouth */
    float mouth_down = -lx * ey + ly * ex, nose_down = -nx * ey + ny * ex;
    float nose_side = nx * ex + ny * ey, mouth_side = lx * ex + ly * ey;
    float share = mouth_down > 0 ? clamp01(nose_down / mouth_down) : 0.5f;
    float off_side = (nose_side - share * mouth_side) / eye / 0.6f;
    q->yaw_deg = asinf(fmaxf(-1, fminf(1, off_side))) * (float)(180 / M_PI);
    /* frontal faces have the nose tip at 0.57 of the way from the eyes to the mouth */
    float off_down = mouth_down > 0 ? (nose_down / mouth_down - 0.57f) * 1.7f : 1;
    q->pitch_deg = asinf(fmaxf(-1, fminf(1, off_down))) * (float)(180 / M_PI);
}

static void texture(const float *luma, int n, MienFaceQuality *q)
{
    double sum = 0, sum2 = 0, lap = 0, lap2 = 0;
    for (int i = 0; i < n * n; i++) {
        sum += luma[i];
        sum2 += (double)luma[i] * luma[i];
    }
    /* rim of 8 left out: that is background or what lies outside the picture */
    int m = 0;
    for (int y = 8; y < n - 8; y++)
        for (int x = 8; x < n - 8; x++, m++) {
            const float *p = luma + y * n + x;
            double l = (double)p[-1] + p[1] + p[-n] + p[n] - 4.0 * p[0];
            lap += l;
            lap2 += l * l;
        }
    double mean = sum / (n * n);
    q->luma_mean = (float)mean;
    q->luma_contrast = (float)sqrt(fmax(0, sum2 / (n * n) - mean * mean));
    q->sharpness = (float)fmax(0, lap2 / m - lap / m * (lap / m));
}

/* A product of factors in 0..1, each 1 where the property does no harm. */
static float total(const MienFaceQuality *q, float prob)
{
    float size = clamp01((q->eye_dist_px - 6) / 30);
    float sharp = clamp01((log10f(q->sharpness + 1) - 0.6f) / 1.6f);
    float turn = clamp01(1.3f - fabsf(q->yaw_deg) / 60) * clamp01(1.4f - fabsf(q->pitch_deg) / 60);
    float light = clamp01(q->luma_mean / 50) * clamp01((255 - q->luma_mean) / 40) * clamp01(q->luma_contrast / 25);
    float sure = clamp01((prob - 0.4f) / 0.6f);
    float v = sqrtf(size) * sqrtf(sharp) * turn * sqrtf(light) * sure;
    return isfinite(v) ? v : 0;
}

int mien_face_quality(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int n_faces)
{
    static const MieniInput luma = { 1, 0, { 0, 0, 0 }, { 1, 1, 1 } };
    int ret = mien_image_check(img);
    if (ret < 0)
        return mien_fail(engine->log, ret, "quality: not a picture");
    for (int i = 0; i < n_faces; i++) {
        MienFaceQuality *q = &faces[i].quality;
        *q = (MienFaceQuality){ 0 };
        if (!faces[i].has_landmarks)
            return mien_fail(engine->log, MIEN_ERR(EINVAL), "quality: face %d has no landmarks", i);
        pose(faces[i].point_px, q);
        float m[6];
        if (mieni_align_map(faces[i].point_px, MIENI_TEMPLATE_ARCFACE112, m) < 0)
            continue; /* all points in one: a quality of 0 */
        mieni_image_warp(img, m, 0, 4, &luma, engine->luma, 112, 112);
        texture(engine->luma, 112, q);
        q->total = total(q, faces[i].prob);
    }
    return 0;
}
