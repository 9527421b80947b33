/* ap.h — how good detections are against true boxes: matching, precision, recall, average precision. */
#ifndef MIEN_TOOL_AP_H
#define MIEN_TOOL_AP_H

#include <stddef.h>

#include "mien/image.h"

typedef enum ApOutcome { AP_FALSE, AP_HIT, AP_LEFT_OUT } ApOutcome;

typedef struct ApDetection {
    MienBox box_px;
    double prob;
    int picture;
    ApOutcome outcome; /* written by ap_match */
} ApDetection;

typedef struct ApTruth {
    MienBox box_px;
    int picture;
    int left_out; /* too small to count: finding it is neither right nor wrong */
    int found;    /* written by ap_match */
} ApTruth;

/* Sorts the detections, most probable first, and says of each what it is, as PASCAL VOC does: the true box of its picture that overlaps it
 * most decides; with an IoU of at least min_iou it is a hit, or false if that box was found before. */
void ap_match(ApDetection *d, size_t n, ApTruth *t, size_t n_truth, double min_iou);

typedef struct ApPoint {
    double precision, recall, min_prob;
} ApPoint;

/* The curve over falling probability, one point for every probability that occurs; NaN-free. n_truth counts what isn't left out and
 * is > 0. Returns how many points were written, n at most. Detections in the order of ap_match. */
size_t ap_curve(const ApDetection *d, size_t n, size_t n_truth, ApPoint *point);
/* The area under the curve with all points interpolated (VOC from 2010 on): at each recall the best precision at this recall or a
 * higher one. */
double ap_average(const ApPoint *point, size_t n);

#endif
