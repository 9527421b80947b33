/* roc.h — how well a distance tells same from different: thresholds, accuracies, ROC. */
#ifndef MIEN_TOOL_ROC_H
#define MIEN_TOOL_ROC_H

#include <stddef.h>
#include <stdint.h>

/* One pair: same where dist <= threshold is the rule. */
typedef struct RocPair {
    double dist;
    int same;
} RocPair;

typedef struct RocPoint {
    double far, tar, threshold; /* threshold: the largest whose false accept rate is at most the one asked for */
} RocPoint;

typedef struct RocReport {
    int64_t n_same, n_different;
    double accuracy_best, threshold_best;
    double accuracy_10fold, accuracy_10fold_sd, threshold_10fold; /* means over the folds; NaN with fewer than 10 pairs */
    double fold[10];
    RocPoint at_1e2, at_1e3;
    double auc, eer;
} RocReport;

/* pairs in the order of their file: the ten folds are consecutive blocks of it. Of thresholds that are equally good the middle one
 * is taken. The standard deviation is that of the ten accuracies (divided by 10). 0, or -ENOMEM, or MIEN_ERR(EINVAL) if one kind
 * of pair is missing. */
int roc_report(const RocPair *pairs, size_t n, RocReport *report);

/* The whole curve: n + 1 points from (0,0) to (1,1); far and tar have room for n + 1 each. 0 or -ENOMEM. */
int roc_curve(const RocPair *pairs, size_t n, double *far, double *tar);

#endif
