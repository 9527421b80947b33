/* nms.c — greedy non-maximum suppression; what it promises for NaN boxes is in nms.h. */
#include "face/nms.h"

#include <math.h>
#include <stdlib.h>

#define MAX_INSIDE 0.6f /* share of a box that may lie in another */

static int usable(const MieniDetection *d)
{
    const MienBox *b = &d->box_px;
    return isfinite(d->prob) && isfinite(b->x0_px) && isfinite(b->y0_px) && isfinite(b->x1_px) && isfinite(b->y1_px) &&
           b->x1_px > b->x0_px && b->y1_px > b->y0_px;
}

static double area(MienBox b)
{
    return ((double)b.x1_px - b.x0_px) * ((double)b.y1_px - b.y0_px);
}

static int compare(const void *pa, const void *pb)
{
    const MieniDetection *a = pa, *b = pb;
    if (a->prob != b->prob)
        return a->prob > b->prob ? -1 : 1;
    double sa = area(a->box_px), sb = area(b->box_px);
    if (sa != sb)
        return sa > sb ? -1 : 1;
    if (a->box_px.y0_px != b->box_px.y0_px)
        return a->box_px.y0_px < b->box_px.y0_px ? -1 : 1;
    if (a->box_px.x0_px != b->box_px.x0_px)
        return a->box_px.x0_px < b->box_px.x0_px ? -1 : 1;
    return a->box_px.x1_px < b->box_px.x1_px ? -1 : a->box_px.x1_px > b->box_px.x1_px;
}

int mieni_detections_sort(MieniDetection *det, int n)
{
    int n_ok = 0;
    for (int i = 0; i < n; i++)
        if (usable(&det[i]))
            det[n_ok++] = det[i];
    if (n_ok > 1)
        qsort(det, (size_t)n_ok, sizeof(*det), compare);
    return n_ok;
}

float mieni_box_containment(MienBox a, MienBox b)
{
    float iou = mien_box_iou(a, b);
    if (!(iou > 0))
        return 0;
    double both = (double)iou / (1 + (double)iou) * (area(a) + area(b));
    return (float)fmin(1, both / fmin(area(a), area(b)));
}

/* Whether a find is the same as one that is there, or a part of it. */
static int repeats(MienBox box, MienBox there, float max_iou)
{
    return mien_box_iou(box, there) > max_iou || (area(box) < area(there) && mieni_box_containment(box, there) > MAX_INSIDE);
}

int mieni_nms(MieniDetection *det, int n, float max_iou, int max_keep)
{
    int n_ok = mieni_detections_sort(det, n), n_kept = 0;
    for (int i = 0; i < n_ok && n_kept < max_keep; i++) {
        int k = 0;
        while (k < n_kept && !repeats(det[i].box_px, det[k].box_px, max_iou))
            k++;
        if (k == n_kept)
            det[n_kept++] = det[i];
    }
    return n_kept;
}

int mieni_detections_add(MieniDetection *det, int n, int max_det, const MieniDetection *add, int n_add, float max_iou)
{
    for (int i = 0; i < n_add && n < max_det; i++) {
        int k = 0;
        while (k < n && mien_box_iou(add[i].box_px, det[k].box_px) <= max_iou &&
               mieni_box_containment(add[i].box_px, det[k].box_px) <= MAX_INSIDE)
            k++;
        if (k == n)
            det[n++] = add[i];
    }
    return n;
}
