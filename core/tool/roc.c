/* Verification statistics; see roc.h. The protocol of ten folds is that of Labeled Faces in the Wild (Huang et al. 2007),
 * "image-restricted": the threshold comes from nine blocks, the accuracy from the tenth. */
#include <math.h>
#include <stdlib.h>

#include "mien/common.h"
#include "mien/error.h"
#include "roc.h"

typedef struct Sorted {
    double dist;
    int same, fold;
} Sorted;

static int by_dist(const void *a, const void *b)
{
    const Sorted *x = a, *y = b;
    return x->dist < y->dist ? -1 : x->dist > y->dist;
}

static Sorted *sort_pairs(const RocPair *pairs, size_t n)
{
    Sorted *s = mien_malloc_array(n, sizeof(*s));
    for (size_t i = 0; s && i < n; i++)
        s[i] = (Sorted){ pairs[i].dist, pairs[i].same, (int)(i * 10 / n) };
    if (s)
        qsort(s, n, sizeof(*s), by_dist);
    return s;
}

/* The best threshold of all pairs but those of one fold (-1: of all pairs). Cuts lie in the middle between neighbouring, different
 * distances; of the best cuts the middle one is returned. */
static double best_threshold(const Sorted *s, size_t n, int without, double *accuracy)
{
    int64_t right = 0, best = -1, used = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i].fold != without) {
            right += !s[i].same; /* threshold below everything: all "different" */
            used++;
        }
    /* two walks: the first finds the best count, the second the middle of the cuts that reach it */
    int64_t n_best = 0, k = 0, r = right;
    double threshold = 0;
    for (int walk = 0; walk < 2; walk++) {
        double last = -1; /* the distance below the cut */
        r = right;
        k = 0;
        for (size_t i = 0; i <= n; i++) {
            if (i < n && s[i].fold == without)
                continue;
            double here = i < n ? s[i].dist : INFINITY;
            if (here > last) {
                if (!walk && r > best)
                    best = r, n_best = 0;
                if (r == best) {
                    if (!walk)
                        n_best++;
                    else if (k++ == (n_best - 1) / 2)
                        threshold = last < 0 ? here > 0 ? here / 2 : nextafter(0, -1) : isinf(here) ? last : (last + here) / 2;
                }
            }
            if (i < n) {
                r += s[i].same ? 1 : -1;
                last = here;
            }
        }
    }
    *accuracy = used ? (double)best / (double)used : 0;
    return threshold;
}

static double fold_accuracy(const Sorted *s, size_t n, int fold, double threshold)
{
    int64_t right = 0, all = 0;
    for (size_t i = 0; i < n; i++)
        if (s[i].fold == fold) {
            right += (s[i].dist <= threshold) == (s[i].same != 0);
            all++;
        }
    return all ? (double)right / (double)all : 0;
}

static void ten_folds(const Sorted *s, size_t n, RocReport *r)
{
    double sum = 0, sum2 = 0, threshold = 0, unused;
    for (int f = 0; f < 10; f++) {
        double t = best_threshold(s, n, f, &unused);
        r->fold[f] = fold_accuracy(s, n, f, t);
        sum += r->fold[f];
        threshold += t / 10;
    }
    r->accuracy_10fold = sum / 10;
    for (int f = 0; f < 10; f++)
        sum2 += (r->fold[f] - r->accuracy_10fold) * (r->fold[f] - r->accuracy_10fold);
    r->accuracy_10fold_sd = sqrt(sum2 / 10);
    r->threshold_10fold = threshold;
}

/* Lets in as many different pairs as far allows, no more: the threshold lies just below the first one that must stay out. */
static RocPoint at_far(const Sorted *s, size_t n, int64_t n_same, int64_t n_different, double far)
{
    int64_t allowed = (int64_t)floor(far * (double)n_different + 1e-9), in = 0, accepted = 0;
    double first_out = INFINITY, last = 0;
    for (size_t i = 0; i < n; i++) {
        last = s[i].dist;
        if (!s[i].same && ++in > allowed) {
            first_out = s[i].dist;
            break;
        }
    }
    RocPoint p = { .threshold = isinf(first_out) ? last : nextafter(first_out, -1) };
    in = 0;
    for (size_t i = 0; i < n && s[i].dist <= p.threshold; i++) {
        accepted += s[i].same != 0;
        in += !s[i].same;
    }
    p.tar = (double)accepted / (double)n_same;
    p.far = (double)in / (double)n_different;
    return p;
}

/* Area under the curve and the rate at which both errors are equal, by walking over groups of equal distances. */
static void area_and_eer(const Sorted *s, size_t n, RocReport *r)
{
    double far = 0, tar = 0, area = 0, least = 2;
    for (size_t i = 0; i < n;) {
        int64_t same = 0, different = 0;
        double here = s[i].dist;
        for (; i < n && s[i].dist == here; i++) {
            same += s[i].same != 0;
            different += !s[i].same;
        }
        double far2 = far + (double)different / (double)r->n_different, tar2 = tar + (double)same / (double)r->n_same;
        area += (far2 - far) * (tar + tar2) / 2;
        far = far2;
        tar = tar2;
        if (fabs(far - (1 - tar)) < least) {
            least = fabs(far - (1 - tar));
            r->eer = (far + 1 - tar) / 2;
        }
    }
    r->auc = area;
}

int roc_report(const RocPair *pairs, size_t n, RocReport *r)
{
    *r = (RocReport){ .accuracy_10fold = NAN, .accuracy_10fold_sd = NAN, .threshold_10fold = NAN };
    for (size_t i = 0; i < n; i++) {
        r->n_same += pairs[i].same != 0;
        r->n_different += !pairs[i].same;
    }
    if (!r->n_same || !r->n_different)
        return MIEN_ERR(EINVAL);
    Sorted *s = sort_pairs(pairs, n);
    if (!s)
        return MIEN_ERR(ENOMEM);
    r->threshold_best = best_threshold(s, n, -1, &r->accuracy_best);
    if (n >= 10)
        ten_folds(s, n, r);
    r->at_1e2 = at_far(s, n, r->n_same, r->n_different, 1e-2);
    r->at_1e3 = at_far(s, n, r->n_same, r->n_different, 1e-3);
    area_and_eer(s, n, r);
    mien_free(s);
    return 0;
}

int roc_curve(const RocPair *pairs, size_t n, double *far, double *tar)
{
    Sorted *s = sort_pairs(pairs, n);
    double n_same = 0, n_different = 0, a = 0, b = 0;
    if (!s)
        return MIEN_ERR(ENOMEM);
    for (size_t i = 0; i < n; i++) {
        n_same += s[i].same != 0;
        n_different += !s[i].same;
    }
    far[0] = tar[0] = 0;
    for (size_t i = 0; i < n; i++) {
        a += !s[i].same;
        b += s[i].same != 0;
        far[i + 1] = a / n_different;
        tar[i + 1] = b / n_same;
    }
    mien_free(s);
    return 0;
}
