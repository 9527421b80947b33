/* align.c — similarity transforms between point sets, and the encoders' templates.
 *
 * Umeyama, "Least-squares estimation of transformation parameters between two point patterns" (1991), in two dimensions and
 * without reflection has a closed form: with both sets centred, a + ib = Σ conj(s)·d / Σ |s|² over complex numbers.
 */
#include <math.h>

#include "face/face_int.h"
#include "mien/error.h"

/* Published coordinates count pixel centres from 0; ours count them from 0.5. */
#define C(x, y) { (float)((x) + 0.5), (float)((y) + 0.5) }
static const MienPoint arcface112[5] = { C(38.2946, 51.6963), C(73.5318, 51.5014), C(56.0252, 71.7366),
                                         C(41.5493, 92.3655), C(70.7299, 92.2041) };
static const MienPoint dlib150[5] = { C(47.55, 46.60), C(100.48, 46.60), C(74.01, 76.56), C(50.41, 103.02),
                                      C(97.61, 103.02) };
#undef C

const MienPoint *mieni_template_points(MieniTemplate t, int *size_px)
{
    *size_px = t == MIENI_TEMPLATE_DLIB150 ? 150 : 112;
    return t == MIENI_TEMPLATE_DLIB150 ? dlib150 : arcface112;
}

int mien_face_similarity(const MienPoint *src, const MienPoint *dst, int n, float m[4])
{
    double sx = 0, sy = 0, dx = 0, dy = 0;
    if (n < 2)
        return MIEN_ERR(EINVAL);
    for (int i = 0; i < n; i++) {
        sx += src[i].x_px;
        sy += src[i].y_px;
        dx += dst[i].x_px;
        dy += dst[i].y_px;
    }
    sx /= n, sy /= n, dx /= n, dy /= n;
    double re = 0, im = 0, norm = 0, size = 0;
    for (int i = 0; i < n; i++) {
        double px = src[i].x_px - sx, py = src[i].y_px - sy, qx = dst[i].x_px - dx, qy = dst[i].y_px - dy;
        re += px * qx + py * qy;
        im += px * qy - py * qx;
        norm += px * px + py * py;
        size += (double)src[i].x_px * src[i].x_px + (double)src[i].y_px * src[i].y_px;
    }
    /* points equal up to float's rounding coincide */
    if (!isfinite(norm) || !isfinite(re) || !isfinite(im) || norm <= size * 1e-12 || norm == 0)
        return MIEN_ERR(EINVAL);
    double a = re / norm, b = im / norm;
    m[0] = (float)a;
    m[1] = (float)b;
    m[2] = (float)(dx - a * sx + b * sy);
    m[3] = (float)(dy - b * sx - a * sy);
    return 0;
}

int mieni_align_map(const MienPoint point[5], MieniTemplate t, float m[6])
{
    /* The map is fitted from picture to template, as the encoders were trained, and then inverted. */
    float s[4];
    int size_px, ret = mien_face_similarity(point, mieni_template_points(t, &size_px), 5, s);
    if (ret < 0)
        return ret;
    double a = s[0], b = s[1], det = a * a + b * b;
    if (!(det > 0) || !isfinite(1 / det))
        return MIEN_ERR(EINVAL);
    double ia = a / det, ib = -b / det;
    m[0] = (float)ia;
    m[1] = (float)-ib;
    m[2] = (float)(-(ia * s[2] - ib * s[3]));
    m[3] = (float)ib;
    m[4] = (float)ia;
    m[5] = (float)(-(ib * s[2] + ia * s[3]));
    return 0;
}
