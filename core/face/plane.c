/* plane.c — the motion of texture between two aligned faces, and whether one plane explains it. */
#include <math.h>
#include <string.h>

#include "face/plane.h"

#define N MIENI_CHIP_PX
#define HALF 5          /* a patch has 11 × 11 pixels */
#define ALIGNED_PX 3    /* whole pixels that alignment may be wrong by */
#define STEPS 6
#define MIN_EIGEN 60.0f /* of the mean structure tensor: less is no texture */
#define MAX_RETURN_PX 0.5f
#define NOISE 0.5f      /* gray levels²: rounding, and what interpolation does */

/* ---- homography */

/* x_n = s·(x − cx): zero mean, mean distance √2. */
typedef struct Normaliser {
    double s, cx, cy;
} Normaliser;

static Normaliser normaliser(const MieniMoved *p, int n, int to)
{
    Normaliser t = { 0, 0, 0 };
    double d = 0;
    for (int i = 0; i < n; i++) {
        const MienPoint q = to ? p[i].to : p[i].from;
        t.cx += (double)q.x_px / n;
        t.cy += (double)q.y_px / n;
    }
    for (int i = 0; i < n; i++) {
        const MienPoint q = to ? p[i].to : p[i].from;
        d += hypot((double)q.x_px - t.cx, (double)q.y_px - t.cy) / n;
    }
    t.s = d > 0 && isfinite(d) ? sqrt(2) / d : 0;
    return t;
}

/* Solves the symmetric positive definite a·x = b in place (Cholesky); 0, or -1 if it is singular. */
static int solve8(double a[8][8], double b[8])
{
    for (int i = 0; i < 8; i++)
        for (int j = 0; j <= i; j++) {
            double v = a[i][j];
            for (int k = 0; k < j; k++)
                v -= a[i][k] * a[j][k];
            if (i == j && !(v > 1e-9 * a[i][i]))
                return -1;
            a[i][j] = i == j ? sqrt(v) : v / a[j][j];
        }
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < i; k++)
            b[i] -= a[i][k] * b[k];
        b[i] /= a[i][i];
    }
    for (int i = 7; i >= 0; i--) {
        for (int k = i + 1; k < 8; k++)
            b[i] -= a[k][i] * b[k];
        b[i] /= a[i][i];
    }
    return 0;
}

/* Adds w·row_iᵀ·row_j to the normal equations. */
static void add_rows(double a[8][8], double b[8], const double ri[8], const double rj[8], double value_j, double w)
{
    for (int i = 0; i < 8; i++) {
        b[i] += w * ri[i] * value_j;
        for (int j = 0; j < 8; j++)
            a[i][j] += w * ri[i] * rj[j];
    }
}

float mieni_plane_fit(const MieniMoved *p, int n, float h[8])
{
    double a[8][8] = { { 0 } }, b[8] = { 0 }, sum = 0;
    if (n < 8)
        return NAN;
    const Normaliser t0 = normaliser(p, n, 0), t1 = normaliser(p, n, 1);
    if (!(t0.s > 0) || !(t1.s > 0))
        return NAN;
    for (int i = 0; i < n; i++) {
        double x = t0.s * (p[i].from.x_px - t0.cx), y = t0.s * (p[i].from.y_px - t0.cy);
        double u = t1.s * (p[i].to.x_px - t1.cx), v = t1.s * (p[i].to.y_px - t1.cy);
        const double ru[8] = { x, y, 1, 0, 0, 0, -u * x, -u * y }, rv[8] = { 0, 0, 0, x, y, 1, -v * x, -v * y };
        add_rows(a, b, ru, ru, u, p[i].xx);
        add_rows(a, b, ru, rv, v, p[i].xy);
        add_rows(a, b, rv, ru, u, p[i].xy);
        add_rows(a, b, rv, rv, v, p[i].yy);
    }
    if (solve8(a, b) < 0)
        return NAN;
    for (int i = 0; i < n; i++) {
        double x = t0.s * (p[i].from.x_px - t0.cx), y = t0.s * (p[i].from.y_px - t0.cy), w = b[6] * x + b[7] * y + 1;
        double du = (b[0] * x + b[1] * y + b[2]) / w / t1.s + t1.cx - p[i].to.x_px;
        double dv = (b[3] * x + b[4] * y + b[5]) / w / t1.s + t1.cy - p[i].to.y_px;
        sum += p[i].xx * du * du + 2 * p[i].xy * du * dv + p[i].yy * dv * dv;
    }
    if (h) { /* out of the normalised coordinates: T1⁻¹ · H · T0, scaled so that the last number is 1 */
        double m[3][3];
        for (int k = 0; k < 3; k++) {
            double last = k < 2 ? b[6 + k] : 1;
            m[0][k] = b[k] / t1.s + t1.cx * last;
            m[1][k] = b[3 + k] / t1.s + t1.cy * last;
            m[2][k] = last;
        }
        double unit = m[2][2] - t0.s * (m[2][0] * t0.cx + m[2][1] * t0.cy);
        for (int i = 0; i < 8; i++)
            h[i] = (float)((i % 3 < 2 ? m[i / 3][i % 3] * t0.s : m[i / 3][2] - t0.s * (m[i / 3][0] * t0.cx + m[i / 3][1] * t0.cy)) / unit);
    }
    return (float)(sum / (2 * n - 8));
}

/* ---- texture */

static float sample(const float *chip, float x, float y)
{
    int x0 = (int)floorf(x), y0 = (int)floorf(y);
    float fx = x - (float)x0, fy = y - (float)y0;
    const float *p = chip + y0 * N + x0;
    return (p[0] * (1 - fx) + p[1] * fx) * (1 - fy) + (p[N] * (1 - fx) + p[N + 1] * fx) * fy;
}

/* Whether a patch about (x, y), its gradient included, lies inside. */
static int fits(float x, float y)
{
    return x >= HALF + 1 && y >= HALF + 1 && x < N - HALF - 2 && y < N - HALF - 2;
}

/* Sum of squared differences of two patches whose means are taken out. */
static float difference(const float *a, int ax, int ay, const float *b, int bx, int by)
{
    float sum = 0, sum2 = 0;
    for (int y = -HALF; y <= HALF; y++)
        for (int x = -HALF; x <= HALF; x++) {
            float d = a[(ay + y) * N + ax + x] - b[(by + y) * N + bx + x];
            sum += d;
            sum2 += d * d;
        }
    return sum2 - sum * sum / ((2 * HALF + 1) * (2 * HALF + 1));
}

/* Lucas-Kanade with the mean difference taken out (so that light may change); m->to begins as a guess. 1: found. */
static int follow(const float *a, const float *b, MieniMoved *m)
{
    const MienPoint from = m->from;
    MienPoint *to = &m->to;
    enum { SIDE = 2 * HALF + 1, AREA = SIDE * SIDE };
    float gx[AREA], gy[AREA], v[AREA], xx = 0, xy = 0, yy = 0, mean_gx = 0, mean_gy = 0;
    for (int i = 0; i < AREA; i++) {
        float x = from.x_px + (float)(i % SIDE - HALF), y = from.y_px + (float)(i / SIDE - HALF);
        gx[i] = (sample(a, x + 1, y) - sample(a, x - 1, y)) / 2;
        gy[i] = (sample(a, x, y + 1) - sample(a, x, y - 1)) / 2;
        v[i] = sample(a, x, y);
        mean_gx += gx[i] / AREA;
        mean_gy += gy[i] / AREA;
    }
    for (int i = 0; i < AREA; i++) {
        gx[i] -= mean_gx;
        gy[i] -= mean_gy;
        xx += gx[i] * gx[i];
        xy += gx[i] * gy[i];
        yy += gy[i] * gy[i];
    }
    float det = xx * yy - xy * xy, half = (xx + yy) / 2, least = half - sqrtf(fmaxf(0, half * half - det));
    if (!(least > MIN_EIGEN * AREA / 121))
        return 0;
    for (int step = 0; step < STEPS; step++) {
        float bx = 0, by = 0;
        if (!fits(to->x_px, to->y_px))
            return 0;
        for (int i = 0; i < AREA; i++) {
            float d = v[i] - sample(b, to->x_px + (float)(i % SIDE - HALF), to->y_px + (float)(i / SIDE - HALF));
            bx += gx[i] * d; /* the mean of d falls out: gx has none */
            by += gy[i] * d;
        }
        float dx = (yy * bx - xy * by) / det, dy = (xx * by - xy * bx) / det;
        to->x_px += dx;
        to->y_px += dy;
        if (dx * dx + dy * dy < 1e-4f)
            break;
    }
    if (!fits(to->x_px, to->y_px))
        return 0;
    float sum = 0, sum2 = 0;
    for (int i = 0; i < AREA; i++) {
        float d = v[i] - sample(b, to->x_px + (float)(i % SIDE - HALF), to->y_px + (float)(i / SIDE - HALF));
        sum += d;
        sum2 += d * d;
    }
    float noise = (sum2 - sum * sum / AREA) / (AREA - 3) + NOISE;
    m->xx = xx / noise;
    m->xy = xy / noise;
    m->yy = yy / noise;
    return 1;
}

int mieni_patch_motion(const float *chip0, const float *chip1, int search_px, MieniMoved moved[MIENI_PATCHES])
{
    int n = 0;
    for (int gy = 0; gy < 7; gy++)
        for (int gx = 0; gx < 7; gx++) {
            /* corners of the chip are background */
            if ((gx == 0 || gx == 6) && (gy == 0 || gy == 6))
                continue;
            int x = 11 + 7 * gx, y = 11 + 7 * gy, best_x = 0, best_y = 0;
            float best = INFINITY;
            for (int dy = -search_px; dy <= search_px; dy++)
                for (int dx = -search_px; dx <= search_px; dx++) {
                    float d = difference(chip0, x, y, chip1, x + dx, y + dy);
                    if (d < best) {
                        best = d;
                        best_x = dx;
                        best_y = dy;
                    }
                }
            MieniMoved there = { .from = { (float)x, (float)y }, .to = { (float)(x + best_x), (float)(y + best_y) } };
            if (!follow(chip0, chip1, &there))
                continue;
            MieniMoved back = { .from = there.to, .to = there.from };
            if (!follow(chip1, chip0, &back) || hypotf(back.to.x_px - there.from.x_px, back.to.y_px - there.from.y_px) > MAX_RETURN_PX)
                continue;
            moved[n++] = there;
        }
    return n;
}

float mieni_plane_rest(const float *chip0, const float *chip1, int *n)
{
    MieniMoved moved[MIENI_PATCHES];
    float h[8], laid[N * N];
    *n = mieni_patch_motion(chip0, chip1, ALIGNED_PX, moved);
    if (isnan(mieni_plane_fit(moved, *n, h)))
        return NAN;
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            float w = h[6] * (float)x + h[7] * (float)y + 1, at_x = (h[0] * (float)x + h[1] * (float)y + h[2]) / w,
                  at_y = (h[3] * (float)x + h[4] * (float)y + h[5]) / w;
            laid[y * N + x] = sample(chip1, fminf(fmaxf(at_x, 0), N - 1.001f), fminf(fmaxf(at_y, 0), N - 1.001f));
        }
    *n = mieni_patch_motion(chip0, laid, 1, moved);
    return mieni_plane_fit(moved, *n, NULL);
}
