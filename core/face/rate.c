/* rate.c — proportions with exact bounds.
 *
 * The bounds of Clopper and Pearson are quantiles of beta distributions: low = B(α/2; k, n − k + 1), high = B(1 − α/2; k + 1, n − k).
 * The distribution function is the regularised incomplete beta function by its continued fraction (DLMF 8.17.22), evaluated by
 * Lentz's method; its quantile is found by bisection, which cannot fail and is fast enough for a handful of numbers a run.
 */
#include <float.h>
#include <math.h>

#include "mien/calibrate.h"

#define ALPHA 0.05
#define MAX_TERMS 20000 /* about sqrt(n) of them are needed */

/* The fraction converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < tiny ? tiny : d);
    double f = d;
    for (int m = 1; m < MAX_TERMS; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < tiny ? tiny : d);
        c = fabs(c) < tiny ? tiny : c;
        f *= d * c;
        if (fabs(d * c - 1) < 4 * DBL_EPSILON)
            break;
    }
    return f;
}

/* I_x(a, b), a and b > 0. */
static double beta_cdf(double x, double a, double b)
{
    if (x <= 0 || x >= 1)
        return x > 0;
    double front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b));
    if (x < (a + 1) / (a + b + 2))
        return front * beta_fraction(x, a, b) / a;
    return 1 - front * beta_fraction(1 - x, b, a) / b;
}

static double beta_quantile(double p, double a, double b)
{
    double low = 0, high = 1;
    for (int i = 0; i < 200 && high - low > 1e-14 * high; i++) {
        double mid = 0.5 * (low + high);
        if (beta_cdf(mid, a, b) < p)
            low = mid;
        else
            high = mid;
    }
    return 0.5 * (low + high);
}

MienRate mien_rate(double n_hits, double n_trials)
{
    MienRate r = { .rate = NAN, .low = 0, .high = 1, .n_trials = n_trials };
    if (!(n_trials > 0))
        return r;
    double k = fmin(fmax(n_hits, 0), n_trials), miss = n_trials - k;
    r.rate = k / n_trials;
    if (k > 0)
        r.low = beta_quantile(ALPHA / 2, k, miss + 1);
    if (miss > 0)
        r.high = beta_quantile(1 - ALPHA / 2, k + 1, miss);
    return r;
}

double mien_fpir_of_fmr(double fmr, double n_templates)
{
    return fmr >= 1 ? 1 : -expm1(n_templates * log1p(-fmr));
}

double mien_fmr_for_fpir(double fpir, double n_templates)
{
    return fpir >= 1 ? 1 : -expm1(log1p(-fpir) / n_templates);
}
