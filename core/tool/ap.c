/* Average precision; see ap.h. */
#include <math.h>
#include <stdlib.h>

#include "ap.h"

static int more_probable(const void *pa, const void *pb)
{
    const ApDetection *a = pa, *b = pb;
    if (a->prob != b->prob)
        return a->prob > b->prob ? -1 : 1;
    return (a->picture > b->picture) - (a->picture < b->picture);
}

static int by_picture(const void *pa, const void *pb)
{
    const ApTruth *a = pa, *b = pb;
    return (a->picture > b->picture) - (a->picture < b->picture);
}

static size_t first_of(const ApTruth *t, size_t n, int picture)
{
    size_t lo = 0, hi = n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (t[mid].picture < picture)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

void ap_match(ApDetection *d, size_t n, ApTruth *t, size_t n_truth, double min_iou)
{
    if (n)
        qsort(d, n, sizeof(*d), more_probable);
    if (n_truth)
        qsort(t, n_truth, sizeof(*t), by_picture);
    for (size_t k = 0; k < n_truth; k++)
        t[k].found = 0;
    for (size_t i = 0; i < n; i++) {
        ApTruth *best = NULL;
        double best_iou = 0;
        for (size_t k = first_of(t, n_truth, d[i].picture); k < n_truth && t[k].picture == d[i].picture; k++) {
            double iou = (double)mien_box_iou(d[i].box_px, t[k].box_px);
            if (iou > best_iou) {
                best_iou = iou;
                best = &t[k];
            }
        }
        d[i].outcome = !best || best_iou < min_iou ? AP_FALSE : best->left_out ? AP_LEFT_OUT : best->found ? AP_FALSE : AP_HIT;
        if (d[i].outcome == AP_HIT)
            best->found = 1;
    }
}

size_t ap_curve(const ApDetection *d, size_t n, size_t n_truth, ApPoint *point)
{
    size_t n_hit = 0, n_false = 0, n_points = 0;
    for (size_t i = 0; i < n; i++) {
        n_hit += d[i].outcome == AP_HIT;
        n_false += d[i].outcome == AP_FALSE;
        if ((i + 1 < n && d[i + 1].prob == d[i].prob) || !(n_hit + n_false))
            continue;
        point[n_points++] = (ApPoint){ .precision = (double)n_hit / (double)(n_hit + n_false),
                                       .recall = (double)n_hit / (double)n_truth, .min_prob = d[i].prob };
    }
    return n_points;
}

double ap_average(const ApPoint *point, size_t n)
{
    double sum = 0, best = 0;
    for (size_t i = n; i-- > 0;) {
        best = fmax(best, point[i].precision);
        sum += (point[i].recall - (i ? point[i - 1].recall : 0)) * best;
    }
    return sum;
}
