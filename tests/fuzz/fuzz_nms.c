/* Fuzz: any bytes as detections, NaN, Inf and empty boxes among them. What is kept is usable, ordered and does not overlap more than
 * allowed, and the result does not depend on the order given. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "face/nms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void want(int ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    enum { MAX = 256 };
    MieniDetection det[MAX], back[MAX];
    int n = 0;
    for (; n < MAX && (size_t)(n + 1) * 20 <= bytes; n++) {
        float v[5];
        memcpy(v, data + (size_t)n * 20, sizeof(v));
        det[n] = (MieniDetection){ { v[0], v[1], v[2], v[3] }, v[4], 0 };
    }
    for (int i = 0; i < n; i++)
        back[i] = det[n - 1 - i];
    float max_iou = bytes ? (float)data[bytes - 1] / 255.0f : 0.3f;
    int kept = mieni_nms(det, n, max_iou, MAX), kept_back = mieni_nms(back, n, max_iou, MAX);
    want(kept >= 0 && kept <= n && kept == kept_back);
    for (int i = 0; i < kept; i++) {
        MienBox b = det[i].box_px;
        want(isfinite(det[i].prob) && isfinite(b.x0_px) && isfinite(b.y0_px) && b.x1_px > b.x0_px && b.y1_px > b.y0_px);
        want(det[i].prob == back[i].prob && b.x0_px == back[i].box_px.x0_px && b.y0_px == back[i].box_px.y0_px);
        want(i == 0 || det[i].prob <= det[i - 1].prob);
        for (int k = 0; k < i; k++)
            want(mien_box_iou(b, det[k].box_px) <= max_iou);
    }
    return 0;
}
