/* For tests: the ops in double precision, naive, written from the definition in docs/format-weights.md; and random cases. */
#ifndef NN_REF_H
#define NN_REF_H

#include <math.h>

#include "nn_build.h"

/* An op under test: its JSON attributes, and a reference that fills y and mag (the size that errors are measured by). */
typedef struct Case {
    NnBuild b;
    int n, h, w, c;    /* first input */
    int h2, w2, c2;    /* second input as made by `second` */
    int oh, ow, oc;
    char attrs[512];
    double *weight, *bias, *scale, *slope; /* NULL: none; as made by case_tensor */
    size_t n_weight;
    int kh, kw, sy, sx, pt, pl, pb, pr, dy, dx, groups;
    float alpha, beta, eps;
    char act[16];
} Case;

typedef void (*RefFn)(const Case *k, const double *x, const double *x2, double *y, double *mag);

/* Adds a tensor of the node under test, random in (-1, 1), to the model; returns its values, which case_free frees. */
static inline double *case_tensor(Case *k, const char *name, int n_dims, const int *dim)
{
    const float *x = nn_tensor(&k->b, name, n_dims, dim, 1, 0);
    size_t n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= (size_t)dim[i];
    double *copy = malloc(n * sizeof(*copy));
    for (size_t i = 0; i < n; i++)
        copy[i] = (double)x[i];
    if (n_dims > 1)
        k->n_weight = n;
    return copy;
}

static inline double *case_vector(Case *k, const char *name, int n)
{
    return case_tensor(k, name, 1, &n);
}

static inline void case_free(Case *k)
{
    nn_free(&k->b);
    free(k->weight), free(k->bias), free(k->scale), free(k->slope);
    free(k);
}

static inline double act_of(const Case *k, double v, int ch)
{
    if (!strcmp(k->act, "relu"))
        return v > 0 ? v : 0;
    if (!strcmp(k->act, "sigmoid"))
        return 1 / (1 + exp(-v));
    if (!strcmp(k->act, "prelu"))
        return v < 0 ? v * k->slope[ch] : v;
    return v;
}

static inline size_t at(int n, int h, int w, int c, int H, int W, int C)
{
    return (((size_t)n * (size_t)H + (size_t)h) * (size_t)W + (size_t)w) * (size_t)C + (size_t)c;
}

static inline void ref_conv(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    int cin_g = k->c / k->groups, cout_g = k->oc / k->groups;
    for (int n = 0; n < k->n; n++)
        for (int oy = 0; oy < k->oh; oy++)
            for (int ox = 0; ox < k->ow; ox++)
                for (int o = 0; o < k->oc; o++) {
                    double s = k->bias ? k->bias[o] : 0, m = fabs(s);
                    for (int ky = 0; ky < k->kh; ky++)
                        for (int kx = 0; kx < k->kw; kx++) {
                            int iy = oy * k->sy - k->pt + ky * k->dy, ix = ox * k->sx - k->pl + kx * k->dx;
                            if (iy < 0 || ix < 0 || iy >= k->h || ix >= k->w)
                                continue;
                            for (int i = 0; i < cin_g; i++) {
                                double v = x[at(n, iy, ix, o / cout_g * cin_g + i, k->h, k->w, k->c)] *
                                           k->weight[((ky * k->kw + kx) * cin_g + i) * k->oc + o];
                                s += v;
                                m += fabs(v);
                            }
                        }
                    y[at(n, oy, ox, o, k->oh, k->ow, k->oc)] = act_of(k, s, o);
                    mag[at(n, oy, ox, o, k->oh, k->ow, k->oc)] = m;
                }
}

static inline void ref_fc(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    int rows = k->h * k->w * k->c;
    for (int n = 0; n < k->n; n++)
        for (int o = 0; o < k->oc; o++) {
            double s = k->bias ? k->bias[o] : 0, m = fabs(s);
            for (int i = 0; i < rows; i++) {
                s += x[n * rows + i] * k->weight[i * k->oc + o];
                m += fabs(x[n * rows + i] * k->weight[i * k->oc + o]);
            }
            y[n * k->oc + o] = act_of(k, s, o);
            mag[n * k->oc + o] = m;
        }
}

static inline void ref_elementwise(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int i = 0; i < k->n * k->h * k->w * k->c; i++) {
        int ch = i % k->c;
        double v = x[i] * (k->scale ? k->scale[ch] : 1) + (k->bias ? k->bias[ch] : 0);
        y[i] = act_of(k, v, ch);
        mag[i] = fabs(x[i] * (k->scale ? k->scale[ch] : 1)) + 1;
    }
}

static inline void ref_add(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    for (int i = 0; i < k->n * k->h * k->w * k->c; i++) {
        y[i] = act_of(k, k->alpha * x[i] + k->beta * x2[i], i % k->c);
        mag[i] = fabs(k->alpha * x[i]) + fabs(k->beta * x2[i]);
    }
}

static inline void ref_mul(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    for (int i = 0; i < k->n * k->h * k->w * k->c; i++) {
        int full = k->h2 == k->h && k->w2 == k->w;
        y[i] = x[i] * (full ? x2[i] : x2[i / (k->h * k->w * k->c) * k->c + i % k->c]);
        mag[i] = fabs(y[i]);
    }
}

static inline void ref_concat(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    for (int p = 0; p < k->n * k->h * k->w; p++)
        for (int o = 0; o < k->oc; o++) {
            y[p * k->oc + o] = o < k->c ? x[p * k->c + o] : x2[p * k->c2 + o - k->c];
            mag[p * k->oc + o] = 0;
        }
}

static inline void ref_pool(const Case *k, const double *x, double *y, double *mag, int is_max)
{
    for (int n = 0; n < k->n; n++)
        for (int oy = 0; oy < k->oh; oy++)
            for (int ox = 0; ox < k->ow; ox++)
                for (int o = 0; o < k->c; o++) {
                    double max = -INFINITY, sum = 0, m = 0;
                    int count = 0;
                    for (int ky = 0; ky < k->kh; ky++)
                        for (int kx = 0; kx < k->kw; kx++) {
                            int iy = oy * k->sy - k->pt + ky, ix = ox * k->sx - k->pl + kx;
                            if (iy < 0 || ix < 0 || iy >= k->h || ix >= k->w)
                                continue;
                            double v = x[at(n, iy, ix, o, k->h, k->w, k->c)];
                            max = v > max ? v : max;
                            sum += v;
                            m += fabs(v);
                            count++;
                        }
                    y[at(n, oy, ox, o, k->oh, k->ow, k->c)] = is_max ? max : sum / count;
                    mag[at(n, oy, ox, o, k->oh, k->ow, k->c)] = is_max ? 0 : m / count;
                }
}

static inline void ref_maxpool(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    ref_pool(k, x, y, mag, 1);
}

static inline void ref_avgpool(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    ref_pool(k, x, y, mag, 0);
}

static inline void ref_globalavg(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int n = 0; n < k->n; n++)
        for (int o = 0; o < k->c; o++) {
            double s = 0, m = 0;
            for (int p = 0; p < k->h * k->w; p++) {
                s += x[(n * k->h * k->w + p) * k->c + o];
                m += fabs(x[(n * k->h * k->w + p) * k->c + o]);
            }
            y[n * k->c + o] = s / (k->h * k->w);
            mag[n * k->c + o] = m / (k->h * k->w);
        }
}

static inline void ref_pad(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int n = 0; n < k->n; n++)
        for (int oy = 0; oy < k->oh; oy++)
            for (int ox = 0; ox < k->ow; ox++)
                for (int o = 0; o < k->oc; o++) {
                    int iy = oy - k->pt, ix = ox - k->pl;
                    int in = iy >= 0 && ix >= 0 && iy < k->h && ix < k->w && o < k->c;
                    y[at(n, oy, ox, o, k->oh, k->ow, k->oc)] = in ? x[at(n, iy, ix, o, k->h, k->w, k->c)] : 0;
                    mag[at(n, oy, ox, o, k->oh, k->ow, k->oc)] = 0;
                }
}

static inline void ref_reshape(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int i = 0; i < k->n * k->h * k->w * k->c; i++) {
        y[i] = x[i];
        mag[i] = 0;
    }
}

static inline void ref_softmax(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int p = 0; p < k->n * k->h * k->w; p++) {
        double sum = 0;
        for (int i = 0; i < k->c; i++)
            sum += exp(x[p * k->c + i]);
        for (int i = 0; i < k->c; i++) {
            y[p * k->c + i] = exp(x[p * k->c + i]) / sum;
            mag[p * k->c + i] = 0;
        }
    }
}

static inline void ref_l2norm(const Case *k, const double *x, const double *x2, double *y, double *mag)
{
    (void)x2;
    for (int p = 0; p < k->n * k->h * k->w; p++) {
        double sum = 0;
        for (int i = 0; i < k->c; i++)
            sum += x[p * k->c + i] * x[p * k->c + i];
        for (int i = 0; i < k->c; i++) {
            y[p * k->c + i] = x[p * k->c + i] / fmax(sqrt(sum), k->eps);
            mag[p * k->c + i] = 0;
        }
    }
}

static inline Case *new_case(int max_side, int max_c)
{
    Case *k = calloc(1, sizeof(*k));
    k->n = rng_int(1, 3);
    k->h = rng_int(1, max_side);
    k->w = rng_int(1, max_side);
    k->c = rng_int(1, max_c);
    k->oh = k->h, k->ow = k->w, k->oc = k->c;
    k->groups = 1;
    return k;
}

static inline void random_act(Case *k)
{
    static const char *const act[] = { "", "relu", "sigmoid", "prelu" };
    snprintf(k->act, sizeof(k->act), "%s", act[rng_int(0, 3)]);
    if (!strcmp(k->act, "prelu"))
        k->slope = case_vector(k, "t.slope", k->oc);
}

/* A random window that fits; max_dil 1 for pools, whose pads are smaller than the kernel. */
static inline void random_window(Case *k, int max_dil)
{
    do {
        k->kh = rng_int(1, 5), k->kw = rng_int(1, 5);
        k->sy = rng_int(1, 3), k->sx = rng_int(1, 3);
        k->dy = rng_int(1, max_dil), k->dx = rng_int(1, max_dil);
        int more = max_dil > 1 ? 2 : 0;
        k->pt = rng_int(0, k->kh - 1 + more), k->pb = rng_int(0, k->kh - 1 + more);
        k->pl = rng_int(0, k->kw - 1 + more), k->pr = rng_int(0, k->kw - 1 + more);
    } while (k->h + k->pt + k->pb < k->dy * (k->kh - 1) + 1 || k->w + k->pl + k->pr < k->dx * (k->kw - 1) + 1);
}

/* Weights, attributes and output size of a conv2d whose window, groups and oc are set. */
static inline void make_conv(Case *k)
{
    int dims[] = { k->kh, k->kw, k->c / k->groups, k->oc };
    k->oh = (k->h + k->pt + k->pb - k->dy * (k->kh - 1) - 1) / k->sy + 1;
    k->ow = (k->w + k->pl + k->pr - k->dx * (k->kw - 1) - 1) / k->sx + 1;
    k->weight = case_tensor(k, "t.weight", 4, dims);
    int bias = rng_int(0, 2) > 0;
    if (bias)
        k->bias = case_vector(k, "t.bias", k->oc);
    random_act(k);
    snprintf(k->attrs, sizeof(k->attrs),
             ",\"kernel\":[%d,%d],\"stride\":[%d,%d],\"pad\":[%d,%d,%d,%d],\"dilation\":[%d,%d],\"groups\":%d,\"cout\":%d%s", k->kh,
             k->kw, k->sy, k->sx, k->pt, k->pl, k->pb, k->pr, k->dy, k->dx, k->groups, k->oc, bias ? "" : ",\"bias\":false");
}

#endif
