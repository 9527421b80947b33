/* liveness.c — evidence that a track shows a living face, from many looks at it.
 *
 * A check is a const record: a name, a measure over the track, and the line that turns it into a log-likelihood ratio. Bounds
 * are narrow because the material they were measured on is small; docs/liveness.md has the numbers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "face/face_int.h"
#include "face/liveness.h"

#define LOOK_GAP_S 0.115 /* every third frame of 25 or 30 a second */
#define KEY_GAP_S 0.5  /* between the looks that later ones are compared with */
#define MIN_LAG_S 0.4  /* and how old these must be: a face needs time to move */
#define MOVED 0.1f     /* eye distances: more is a motion */
#define POSTER_S 10    /* still for longer: a poster */

/* ---- rings */

static void put(MieniRing *r, float v)
{
    if (isfinite(v))
        r->value[r->n++ % MIENI_LIVE_RING] = v;
}

static int held(const MieniRing *r)
{
    return r->n < MIENI_LIVE_RING ? r->n : MIENI_LIVE_RING;
}

/* The value below which a share q of the ring lies; NaN with fewer than least values. */
static float quantile(const MieniRing *r, float q, int least)
{
    float v[MIENI_LIVE_RING];
    int n = held(r);
    if (n < least || !n)
        return NAN;
    memcpy(v, r->value, (size_t)n * sizeof(*v));
    for (int i = 1; i < n; i++)
        for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {
            float t = v[j];
            v[j] = v[j - 1];
            v[j - 1] = t;
        }
    float at = q * (float)(n - 1);
    int i = (int)at;
    return i + 1 < n ? v[i] + (at - (float)i) * (v[i + 1] - v[i]) : v[n - 1];
}

static float mean(const MieniRing *r, int least)
{
    int n = held(r);
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)r->value[i];
    return n >= least ? (float)(sum / n) : NAN;
}

/* ---- eyes */

float mieni_eye_opening(const MienPoint p[68])
{
    float sum = 0;
    for (int eye = 36; eye <= 42; eye += 6) {
        const MienPoint *e = p + eye;
        float high = hypotf(e[1].x_px - e[5].x_px, e[1].y_px - e[5].y_px) + hypotf(e[2].x_px - e[4].x_px, e[2].y_px - e[4].y_px);
        float wide = hypotf(e[0].x_px - e[3].x_px, e[0].y_px - e[3].y_px);
        sum += wide > 0 ? high / (2 * wide) : 0;
    }
    return sum / 2;
}

/* ---- the spectrum of the skin */

/* In place, n = MIENI_GRAIN_PX values a step apart; radix 2, decimation in time (Cooley & Tukey 1965). */
static void fourier(float *re, float *im, int step)
{
    enum { N = MIENI_GRAIN_PX };
    for (int i = 1, j = 0; i < N; i++) {
        int bit = N >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            float t = re[i * step];
            re[i * step] = re[j * step], re[j * step] = t;
            t = im[i * step];
            im[i * step] = im[j * step], im[j * step] = t;
        }
    }
    for (int len = 2; len <= N; len *= 2)
        for (int k = 0; k < len / 2; k++) {
            double turn = -2 * M_PI * k / len;
            float c = (float)cos(turn), s = (float)sin(turn);
            for (int i = k; i < N; i += len) {
                int a = i * step, b = (i + len / 2) * step;
                float x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x, im[b] = im[a] - y;
                re[a] += x, im[a] += y;
            }
        }
}

float mieni_grain_peak(const float *luma)
{
    enum { N = MIENI_GRAIN_PX, RINGS = 8 };
    float re[N * N], im[N * N] = { 0 }, power[RINGS][N * N / 8], peak[RINGS] = { 0 };
    int count[RINGS] = { 0 };
    double sum = 0;
    for (int i = 0; i < N * N; i++)
        sum += (double)luma[i];
    for (int y = 0; y < N; y++)
        for (int x = 0; x < N; x++) {
            double wx = 0.5 - 0.5 * cos(2 * M_PI * (x + 0.5) / N), wy = 0.5 - 0.5 * cos(2 * M_PI * (y + 0.5) / N); /* Hann */
            re[y * N + x] = (float)(((double)luma[y * N + x] - sum / (N * N)) * wx * wy);
        }
    for (int y = 0; y < N; y++)
        fourier(re + y * N, im + y * N, 1);
    for (int x = 0; x < N; x++)
        fourier(re + x, im + x, N);
    /* half of the plane: the other mirrors it. Rings of equal width in frequency, from 0.08 cycles a pixel on. */
    for (int v = 0; v < N; v++)
        for (int u = 0; u <= N / 2; u++) {
            int fv = v <= N / 2 ? v : N - v;
            double f = hypot(u, fv) / N;
            int ring = (int)((f - 0.08) / 0.06);
            /* along an axis codecs leave lines at multiples of 1/8 (the window widens a line by 1 to each side) */
            if (f < 0.08 || ring >= RINGS || u <= 1 || fv <= 1)
                continue;
            float p = re[v * N + u] * re[v * N + u] + im[v * N + u] * im[v * N + u];
            if (count[ring] < N * N / 8)
                power[ring][count[ring]++] = p;
            peak[ring] = fmaxf(peak[ring], p);
        }
    double best = 0;
    for (int k = 0; k < RINGS; k++) {
        double total = 0;
        for (int i = 0; i < count[k]; i++)
            total += (double)power[k][i];
        if (count[k] > 8 && total > 0) /* mean of the others, and a floor of a hundredth of a gray level's noise */
            best = fmax(best, (double)peak[k] / ((total - (double)peak[k]) / (count[k] - 1) + 1e-3 * N * N));
    }
    return (float)log10(best + 1e-9);
}

/* ---- the spectrum of its light */

float mieni_flicker_peak(const float *glow)
{
    enum { N = MIENI_LIVE_RING, LOWEST = N / 5 };
    double power[N / 2 + 1], mean_glow = 0, others = 0;
    int peak = LOWEST, n_others = 0;
    for (int i = 0; i < N; i++)
        mean_glow += (double)glow[i] / N;
    for (int k = LOWEST; k <= N / 2; k++) {
        double re = 0, im = 0;
        for (int i = 0; i < N; i++) {
            double v = ((double)glow[i] - mean_glow) * (0.5 - 0.5 * cos(2 * M_PI * (i + 0.5) / N)); /* Hann */
            re += v * cos(2 * M_PI * k * i / N);
            im += v * sin(2 * M_PI * k * i / N);
        }
        power[k] = re * re + im * im;
        peak = power[k] > power[peak] ? k : peak;
    }
    for (int k = LOWEST; k <= N / 2; k++)
        if (abs(k - peak) > 2) /* the window widens a line by up to two to each side */
            others += power[k], n_others++;
    /* of noise of s gray levels each value is s² · 3N/8; a floor of a fifth of a gray level's */
    return (float)log10(power[peak] / (others / n_others + 0.04 * 3 * N / 8) + 1e-9);
}

/* Frames that are missing would turn slow changes into fast ones: the row begins anew. */
static void watch_light(MieniLive *l, const MieniLook *look)
{
    double step_s = look->time_s - l->glow_s;
    MieniRing *r = &l->glow;
    if (isnan(look->glow))
        return;
    if (r->n > 1 && fabs(step_s - l->step_s) > 0.25 * l->step_s)
        r->n = 0;
    l->step_s = r->n < 2 ? step_s : l->step_s + (step_s - l->step_s) / 8;
    l->glow_s = look->time_s;
    put(r, look->glow);
    if (r->n < MIENI_LIVE_RING || r->n % 4)
        return;
    float in_order[MIENI_LIVE_RING];
    for (int i = 0; i < MIENI_LIVE_RING; i++)
        in_order[i] = r->value[(r->n + i) % MIENI_LIVE_RING];
    put(&l->flicker, mieni_flicker_peak(in_order));
}

/* ---- a frame round the face */

/* The strongest line of g that runs down the scene, between columns x0 and x1, leaning by up to three pixels from its middle. step_x, step_y: to the
 * next pixel across and along (exchanged for lines that run across). */
static float strongest_line(const float *g, int x0, int x1, int step_x, int step_y)
{
    enum { N = MIENI_SCENE_PX, FROM = 8, TO = 40 };
    float best = 0;
    for (int x = x0; x < x1; x++)
        for (int halves = -6; halves <= 6; halves++) {
            float sum = 0;
            for (int y = FROM; y < TO; y++) {
                int at = x + (int)lrintf(0.5f * (float)halves * (2.0f * (float)(y - FROM) / (TO - FROM - 1) - 1));
                sum += at >= 0 && at < N ? g[y * step_y + at * step_x] : 0;
            }
            best = fmaxf(best, fabsf(sum) / (TO - FROM));
        }
    return best;
}

float mieni_frame_edge(const float *across, const float *down)
{
    enum { N = MIENI_SCENE_PX, FACE0 = 14, FACE1 = 34 };
    float side[4] = { strongest_line(across, 1, FACE0, 1, N), strongest_line(across, FACE1, N - 1, 1, N),
                      strongest_line(down, 1, FACE0, N, 1), strongest_line(down, FACE1, N - 1, N, 1) };
    float first = 0, second = 0;
    for (int i = 0; i < 4; i++) {
        second = fmaxf(second, fminf(first, side[i]));
        first = fmaxf(first, side[i]);
    }
    return second;
}

static void watch_scene(MieniLive *l, const MieniLook *look, MieniPlace at)
{
    enum { N = MIENI_SCENE_PX };
    const float *p = look->scene, share = fmaxf(1.0f / (float)l->n_looks, 1.0f / 24);
    for (int y = 1; y < N - 1; y++)
        for (int x = 1; x < N - 1; x++) {
            int i = y * N + x;
            l->across[i] += share * ((p[i + 1] - p[i - 1]) / 2 - l->across[i]);
            l->down[i] += share * ((p[i + N] - p[i - N]) / 2 - l->down[i]);
        }
    if (l->n_looks == 1) {
        l->least_x_px = l->most_x_px = at.x_px;
        l->least_y_px = l->most_y_px = at.y_px;
    }
    l->least_x_px = fminf(l->least_x_px, at.x_px), l->most_x_px = fmaxf(l->most_x_px, at.x_px);
    l->least_y_px = fminf(l->least_y_px, at.y_px), l->most_y_px = fmaxf(l->most_y_px, at.y_px);
}

/* ---- stillness */

static float apart(MieniPlace a, MieniPlace b)
{
    return (hypotf(a.x_px - b.x_px, a.y_px - b.y_px) + fabsf(a.eyes_px - b.eyes_px)) / fmaxf(b.eyes_px, 1);
}

/* A face that comes to a place where one has hung is taken to have hung as long; the first motion ends that. */
static void recall(MieniLive *l, const MieniPosters *posters, double time_s)
{
    int n = posters->n < MIENI_POSTERS ? posters->n : MIENI_POSTERS;
    for (int i = 0; i < n; i++)
        if (apart(l->place, posters->poster[i].place) < MOVED)
            l->still_since_s = fmin(l->still_since_s, time_s - posters->poster[i].still_s);
}

static void remember(const MieniLive *l, MieniPosters *posters, double still_s)
{
    int n = posters->n < MIENI_POSTERS ? posters->n : MIENI_POSTERS, at = -1;
    for (int i = 0; i < n && at < 0; i++)
        if (apart(l->anchor, posters->poster[i].place) < MOVED)
            at = i;
    if (at < 0)
        at = posters->n++ % MIENI_POSTERS;
    posters->poster[at].place = l->anchor;
    posters->poster[at].still_s = still_s;
}

static void watch_stillness(MieniLive *l, const MieniLook *look, MieniPlace at, MieniPosters *posters)
{
    if (l->n_looks == 1) {
        l->place = l->anchor = at;
        l->still_since_s = look->time_s;
        if (posters)
            recall(l, posters, look->time_s);
        return;
    }
    float share = fmaxf(1.0f / (float)l->n_looks, 1.0f / 8); /* landmarks tremble */
    l->place.x_px += share * (at.x_px - l->place.x_px);
    l->place.y_px += share * (at.y_px - l->place.y_px);
    l->place.eyes_px += share * (at.eyes_px - l->place.eyes_px);
    if (apart(l->place, l->anchor) > MOVED) {
        l->anchor = l->place;
        l->still_since_s = look->time_s;
    } else if (posters && look->time_s - l->still_since_s > POSTER_S) {
        remember(l, posters, look->time_s - l->still_since_s);
    }
}

/* ---- looks */

void mieni_live_start(MieniLive *live)
{
    memset(live, 0, sizeof(*live));
    live->asked_s = -INFINITY;
    live->closed_since_s = NAN;
}

int mieni_live_wants_look(const MieniLive *l, double time_s)
{
    return !l->n_looks || time_s - l->last_s >= LOOK_GAP_S || time_s < l->last_s;
}

/* Often at first, then now and then: it costs more than all the rest. */
int mieni_live_wants_network(const MieniLive *l, double time_s)
{
    return time_s - l->asked_s >= (l->network.n < 16 ? 0.1 : 1);
}

/* With each key of some age; the least rest counts, since blur or glare in one of two pictures leave a rest of their own. */
static void compare(MieniLive *l, const MieniLook *look, MieniPlace at)
{
    MieniMoved point[68];
    float relief = NAN, shape = NAN;
    for (int i = 0; i < l->n_keys; i++) {
        const MieniKey *k = &l->key[i];
        if (look->time_s - k->time_s < MIN_LAG_S)
            continue;
        int n;
        relief = fminf(relief, log10f(mieni_plane_rest(k->chip, look->chip, &n))); /* fmin passes over NaN */
        for (int j = 0; j < 68; j++)
            point[j] = (MieniMoved){ k->landmark_px[j], look->landmark_px[j], 1, 0, 1 };
        shape = fminf(shape, log10f(mieni_plane_fit(point, 68, NULL) / (at.eyes_px * at.eyes_px)));
    }
    put(&l->relief, relief);
    put(&l->shape, shape);
}

static void keep_key(MieniLive *l, const MieniLook *look)
{
    if (l->n_keys && look->time_s - l->key[l->n_keys - 1].time_s < KEY_GAP_S)
        return;
    if (l->n_keys == MIENI_LIVE_KEYS) {
        memmove(l->key, l->key + 1, (MIENI_LIVE_KEYS - 1) * sizeof(*l->key));
        l->n_keys--;
    }
    MieniKey *k = &l->key[l->n_keys++];
    k->time_s = look->time_s;
    memcpy(k->landmark_px, look->landmark_px, sizeof(k->landmark_px));
    memcpy(k->chip, look->chip, sizeof(k->chip));
}

/* Eyes are closed below 0.65 of their usual opening, open again above 0.8; a blink lasts up to half a second. */
static void watch_eyes(MieniLive *l, const MieniLook *look)
{
    float now = mieni_eye_opening(look->landmark_px), usual = quantile(&l->opening, 0.6f, 4);
    put(&l->opening, now);
    if (isnan(usual))
        return;
    if (isnan(l->closed_since_s) && now < 0.65f * usual) {
        l->closed_since_s = look->time_s;
    } else if (!isnan(l->closed_since_s) && now > 0.8f * usual) {
        l->n_blinks += look->time_s - l->closed_since_s <= 0.5;
        l->closed_since_s = NAN;
    }
}

void mieni_live_look(MieniLive *l, const MieniLook *look, MieniPosters *posters)
{
    MienPoint p[5];
    watch_eyes(l, look);
    watch_light(l, look);
    l->frame_prob = look->prob_live;
    if (!look->chip)
        return;
    mieni_five_points(look->landmark_px, p);
    const MieniPlace at = { (p[0].x_px + p[1].x_px) / 2, (p[0].y_px + p[1].y_px) / 2,
                            hypotf(p[1].x_px - p[0].x_px, p[1].y_px - p[0].y_px) };
    if (!(at.eyes_px > 0) || !isfinite(at.x_px + at.y_px))
        return;
    if (!l->n_looks++)
        l->first_s = look->time_s;
    l->last_s = look->time_s;
    if (!isnan(look->prob_live)) {
        float q = fminf(fmaxf(look->prob_live, 0.005f), 0.995f);
        put(&l->network, logf(q / (1 - q)));
        l->asked_s = look->time_s;
    }
    if (look->grain)
        put(&l->grain, mieni_grain_peak(look->grain));
    compare(l, look, at);
    keep_key(l, look);
    watch_scene(l, look, at);
    watch_stillness(l, look, at, posters);
}

/* ---- the checks */

static float measure_network(const MieniLive *l)
{
    return mean(&l->network, 4);
}

static float measure_relief(const MieniLive *l)
{
    return quantile(&l->relief, 0.5f, 6);
}

static float measure_shape(const MieniLive *l)
{
    return quantile(&l->shape, 0.5f, 6);
}

static float measure_blink(const MieniLive *l)
{
    return l->n_looks < 8 ? NAN : (float)l->n_blinks;
}

static float measure_grain(const MieniLive *l)
{
    return quantile(&l->grain, 0.5f, 4);
}

static float measure_flicker(const MieniLive *l)
{
    return quantile(&l->flicker, 0.5f, 3);
}

/* Only a face that goes about tells what goes with it. */
static float measure_frame(const MieniLive *l)
{
    float went = fmaxf(l->most_x_px - l->least_x_px, l->most_y_px - l->least_y_px);
    return l->n_looks >= 8 && went > 0.5f * l->place.eyes_px ? log10f(fmaxf(mieni_frame_edge(l->across, l->down), 0.1f)) : NAN;
}

static float measure_still(const MieniLive *l)
{
    return l->n_looks ? (float)(l->last_s - l->still_since_s) : NAN;
}

typedef struct Check {
    const char *name, *text;
    float (*measure)(const MieniLive *live);
    float mid, slope, least, most; /* llr = slope · (measure − mid), within least..most */
} Check;

/* Bounds say how much a check can be believed at most. A film of a living person on a screen has relief, blinks and a changing shape as well, so these
 * speak little for life and much against it; an edge or a line in the spectrum accuses, its absence proves nothing. */
static const Check checks[] = {
    { "network", "the single-picture network's mean log-odds", measure_network, -1.3f, 0.6f, -2.5f, 2.5f },
    { "relief", "what no plane explains of the texture's motion, log10 of the misfit", measure_relief, 1.08f, 8, -3, 0.7f },
    { "shape", "what no plane explains of the landmarks' motion, log10 of squared eye distances", measure_shape, -2.95f, 1, -0.7f, 0.5f },
    { "blink", "blinks", measure_blink, 0.5f, 0.8f, -0.3f, 0.5f },
    { "grain", "strongest line of the skin's spectrum, log10 above its surroundings", measure_grain, 1.5f, -4, -1.5f, 0 },
    { "flicker", "strongest line in the spectrum of its light, log10 above its surroundings", measure_flicker, 1.2f, -4, -1.5f, 0 },
    { "frame", "straight edges on two sides that go with the face, log10 of gray levels", measure_frame, 1.05f, -6, -2, 0.5f },
    { "still", "seconds without any motion", measure_still, 4, -0.15f, -3, 0 },
};

int mien_live_checks(void)
{
    return (int)(sizeof(checks) / sizeof(*checks));
}

const char *mien_live_check_name(int i)
{
    return i >= 0 && i < mien_live_checks() ? checks[i].name : "";
}

const char *mien_live_check_text(int i)
{
    return i >= 0 && i < mien_live_checks() ? checks[i].text : "";
}

void mieni_live_judge(const MieniLive *l, MienLiveness *r)
{
    *r = (MienLiveness){ .n_looks = l->n_looks, .prob = NAN, .frame_prob = l->frame_prob };
    int any = 0;
    for (int i = 0; i < MIEN_LIVE_CHECKS_MAX; i++) {
        const Check *c = i < mien_live_checks() ? &checks[i] : NULL;
        r->measure[i] = c ? c->measure(l) : NAN;
        r->check_llr[i] = c ? fminf(fmaxf(c->slope * (r->measure[i] - c->mid), c->least), c->most) : NAN;
        if (isnan(r->measure[i]))
            r->check_llr[i] = NAN;
        else
            r->llr += r->check_llr[i], any = 1;
    }
    if (any)
        r->prob = 1 / (1 + expf(-r->llr));
    /* motion tells more than all else; faces whose texture cannot be followed are waited for longer */
    r->enough = l->network.n >= 4 && l->last_s - l->first_s >= 1.5 && (l->relief.n >= 6 || l->n_looks >= 30);
}

/* Share of attacks that may pass, and the threshold for it; docs/liveness.md says what it was measured on and what margin was added. */
static const struct {
    float apcer, llr;
} thresholds[] = { { 1, -20 }, { 0.2f, -1.8f }, { 0.1f, -1.3f }, { 0.05f, 0.2f }, { 0.02f, 1.1f } };

float mien_live_min_llr(float apcer)
{
    const size_t n = sizeof(thresholds) / sizeof(*thresholds);
    for (size_t i = 0; i < n; i++)
        if (apcer >= thresholds[i].apcer - 1e-6f)
            return thresholds[i].llr;
    return thresholds[n - 1].llr;
}
