/* nms.h — detections and greedy non-maximum suppression. */
#ifndef MIEN_FACE_NMS_H
#define MIEN_FACE_NMS_H

#include "mien/image.h"

typedef struct MieniDetection {
    MienBox box_px;
    float prob;
    float tilt_deg; /* of the picture in which it was found */
} MieniDetection;

/* Drops empty boxes and those with a NaN or Inf and orders the rest by probability (ties: larger box, then position, so that the result
 * does not depend on the order given); returns how many there are. */
int mieni_detections_sort(MieniDetection *det, int n);

/* The same, and of these keeps, from the best on, every box that overlaps no kept one by more than max_iou nor lies in a larger kept one
 * by more than 0.6 of itself (an eye, or a knee of the same pattern, in a face); max_keep at most. The kept ones stand first; returns
 * their number. */
int mieni_nms(MieniDetection *det, int n, float max_iou, int max_keep);

/* Share of the smaller box that lies in the other, 0..1; 0 if either is empty or not finite. */
float mieni_box_containment(MienBox a, MienBox b);

/* Appends to det[0..n) those of add[0..n_add) (in their order) that neither overlap one of det by more than max_iou nor lie within one
 * by more than 0.6 of the smaller; at most max_det in all. Returns the new number. */
int mieni_detections_add(MieniDetection *det, int n, int max_det, const MieniDetection *add, int n_add, float max_iou);

#endif
