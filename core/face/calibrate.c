/* calibrate.c — a threshold and a margin for a gallery; docs/calibration.md explains the choices to those who use them.
 *
 * Threshold: from searches for strangers, if there are enough of them to show the wanted rate; else the similarity at which the encoder's
 * published false matches, as many chances as there are templates, come to that rate. Strangers that are too few to set it may still
 * refute it. Margin: from searches for enrolled people by one of their own templates, left out.
 */
#include <math.h>
#include <string.h>

#include "mien/calibrate.h"
#include "mien/error.h"

#define OWN_MARGIN 0.05      /* for encoders of which nothing is published */
#define LEAST_MARGIN 0.01    /* less is no lead */
#define MOST_MARGIN 0.2      /* more is a picture under the wrong name */
#define RULE_OF_THREE 3.0    /* no event in 3/p trials: with 95 % certainty rarer than p */

const char *mien_calibration_basis_name(MienCalibrationBasis basis)
{
    return basis == MIEN_BASIS_STRANGERS ? "strangers" : "published";
}

int mien_calibration_covers(const MienCalibration *c, int64_t n_people_now)
{
    return (double)n_people_now <= MIEN_CALIBRATION_GROWTH * (double)c->n_people;
}

typedef struct Calibrate {
    const MienCalibrateParams *p;
    MienCalibration *c;
    MienCalibrationReport *r;
    int64_t most_templates; /* of one person */
} Calibrate;

static double on_grid(double v)
{
    return ceil(v / MIEN_SIM_STEP - 1e-6) * MIEN_SIM_STEP;
}

/* K, and the most templates that one person has. Rows of a person lie together, as a gallery gives them. */
static void count_people(Calibrate *k)
{
    const MienTemplates *g = k->p->gallery;
    int64_t run = 0;
    for (size_t i = 0; i < g->n; i++) {
        int first = !i || !g->person || g->person[i] != g->person[i - 1];
        k->c->n_people += first;
        run = first ? 1 : run + 1;
        if (run > k->most_templates)
            k->most_templates = run;
    }
    k->c->n_samples = (int64_t)g->n;
}

static void find_nearest(Calibrate *k)
{
    k->r->nearest_sim_cos = NAN;
    for (size_t i = 0; i < k->p->gallery->n; i++) {
        const MienSearchResult *s = &k->p->enrolled[i];
        if (!isnan(s->other_sim_cos) && !(s->other_sim_cos <= k->r->nearest_sim_cos)) {
            k->r->nearest_sim_cos = s->other_sim_cos;
            k->r->nearest[0] = s->person;
            k->r->nearest[1] = s->other;
        }
    }
}

static double published_threshold(const Calibrate *k, double n_chances, int *extrapolated)
{
    return mien_encoder_threshold(k->p->stats, mien_fmr_for_fpir(k->p->fpir, n_chances), extrapolated);
}

/* 1:1: a stranger has as many chances as the claimed person has templates. */
static double measured_verify(const Calibrate *k)
{
    double fmr = mien_fmr_for_fpir(k->p->fpir, (double)k->most_templates);
    uint64_t all = 0, at_least = 0;
    int i = MIEN_SIM_BINS;
    for (int b = 0; b < MIEN_SIM_BINS; b++)
        all += k->p->counts->different[b];
    while (i > 0 && (double)(at_least + k->p->counts->different[i - 1]) <= fmr * (double)all)
        at_least += k->p->counts->different[--i];
    return fmin(i * MIEN_SIM_STEP - 1, 1);
}

static int choose_threshold(Calibrate *k, const MienOpenSet *set)
{
    const MienCalibrateParams *p = k->p;
    MienCalibration *c = k->c;
    double measured = mien_open_set_threshold(set, p->fpir);
    int enough = mien_open_set_fpir(set, 0).n_trials >= (double)k->r->n_strangers_needed;
    if (!enough && !p->stats)
        return MIEN_E_NOTFOUND;
    if (enough) {
        c->basis = MIEN_BASIS_STRANGERS;
        c->threshold_sim_cos = measured;
        c->verify_sim_cos = p->counts ? measured_verify(k) : measured;
    } else {
        c->basis = MIEN_BASIS_PUBLISHED;
        c->threshold_sim_cos = published_threshold(k, (double)c->n_samples, &k->r->extrapolated);
        c->verify_sim_cos = published_threshold(k, (double)k->most_templates, NULL);
        if (mien_open_set_fpir(set, c->threshold_sim_cos).low > p->fpir) {
            k->r->raised = 1;
            c->threshold_sim_cos = measured;
        }
    }
    c->verify_sim_cos = fmin(c->verify_sim_cos, c->threshold_sim_cos);
    return 0;
}

static MienRate misnamed_with(const Calibrate *k, double margin, int *ret)
{
    MienOpenSet *set;
    MienRate rate = { .rate = NAN, .high = 1 };
    MienOpenSetParams p = { .mated = k->p->enrolled, .n_mated = k->p->gallery->n, .margin = margin, .by_person = 1 };
    if ((*ret = mien_open_set_create(&set, &p)) >= 0)
        rate = mien_open_set_misnamed(set, k->c->threshold_sim_cos);
    mien_open_set_destroy(&set);
    return rate;
}

/* The smallest margin with which enrolled people are taken for each other no oftener than strangers are for them. Too few people can
 * only raise it, and only when they show more such errors than chance explains. */
static int choose_margin(Calibrate *k)
{
    int ret = 0;
    double own = k->p->stats ? k->p->stats->margin : OWN_MARGIN;
    MienRate at_own = misnamed_with(k, own, &ret);
    k->c->margin_sim_cos = own;
    k->r->margin_measured = at_own.n_trials >= (double)k->r->n_mated_needed || at_own.low > k->p->fpir;
    if (ret < 0 || !k->r->margin_measured)
        return ret;
    double low = at_own.n_trials >= (double)k->r->n_mated_needed ? LEAST_MARGIN : own, high = MOST_MARGIN;
    while (high - low > MIEN_SIM_STEP && ret >= 0) {
        double mid = 0.5 * (low + high);
        if (misnamed_with(k, mid, &ret).rate <= k->p->fpir)
            high = mid;
        else
            low = mid;
    }
    if (ret >= 0 && misnamed_with(k, low, &ret).rate <= k->p->fpir)
        high = low;
    k->c->margin_sim_cos = fmin(on_grid(high), MOST_MARGIN);
    return ret;
}

static void report_rates(Calibrate *k, const MienOpenSet *set)
{
    const MienCalibrateParams *p = k->p;
    MienCalibration *c = k->c;
    MienCalibrationReport *r = k->r;
    double t = c->threshold_sim_cos;
    MienRate fnir = mien_open_set_fnir(set, t), fpir = mien_open_set_fpir(set, t);
    c->fnir = fnir.rate;
    c->fnir_low = fnir.n_trials > 0 ? fnir.low : NAN;
    c->fnir_high = fnir.n_trials > 0 ? fnir.high : NAN;
    c->n_mated = (int64_t)fnir.n_trials;
    c->fpir_measured = fpir.rate;
    c->fpir_low = fpir.n_trials > 0 ? fpir.low : NAN;
    c->fpir_high = fpir.n_trials > 0 ? fpir.high : NAN;
    c->n_impostors = (int64_t)fpir.n_trials;
    r->misnamed = mien_open_set_misnamed(set, t);
    r->fmr_measured = p->counts ? mien_counts_fmr(p->counts, t) : NAN;
    r->fmr_published = r->fnmr_published = NAN;
    if (p->stats) {
        r->fmr_published = mien_encoder_fmr(p->stats, t, &r->extrapolated);
        r->fnmr_published = mien_encoder_fnmr(p->stats, t);
    }
    r->fpir_closed_form = mien_fpir_of_fmr(isnan(r->fmr_measured) ? r->fmr_published : r->fmr_measured, (double)c->n_samples);
}

/* Everybody enrolled is a stranger to the others: the rate that tells of families, twins, and one person under two names. */
static int report_lookalikes(Calibrate *k)
{
    MienOpenSet *set;
    MienOpenSetParams p = { .non_mated = k->p->enrolled, .n_non_mated = k->p->gallery->n, .by_person = 1 };
    int ret = mien_open_set_create(&set, &p);
    if (ret >= 0)
        k->r->lookalikes = mien_open_set_fpir(set, k->c->threshold_sim_cos);
    mien_open_set_destroy(&set);
    return ret;
}

int mien_calibrate(const MienCalibrateParams *p, MienCalibration *calibration, MienCalibrationReport *report)
{
    MienCalibrationReport unread;
    Calibrate k = { .p = p, .c = calibration, .r = report ? report : &unread };
    MienOpenSet *set = NULL;
    memset(calibration, 0, sizeof(*calibration));
    memset(k.r, 0, sizeof(*k.r));
    if (!p->gallery->n || !(p->fpir > 0 && p->fpir < 1))
        return MIEN_ERR(EINVAL);
    calibration->fpir = p->fpir;
    k.r->n_strangers_needed = k.r->n_mated_needed = (int64_t)ceil(RULE_OF_THREE / p->fpir);
    count_people(&k);
    find_nearest(&k);
    MienOpenSetParams o = { .non_mated = p->strangers, .n_non_mated = p->n_strangers, .by_person = 1 };
    int ret = mien_open_set_create(&set, &o);
    if (ret >= 0)
        ret = choose_threshold(&k, set);
    mien_open_set_destroy(&set);
    if (ret >= 0)
        ret = choose_margin(&k);
    o.mated = p->enrolled;
    o.n_mated = p->gallery->n;
    o.margin = calibration->margin_sim_cos;
    if (ret >= 0)
        ret = mien_open_set_create(&set, &o);
    if (ret >= 0) {
        report_rates(&k, set);
        ret = report_lookalikes(&k);
    }
    mien_open_set_destroy(&set);
    return ret;
}
