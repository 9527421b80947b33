/* image.c — checks of picture views and overlap of boxes. */
#include "mien/image.h"

#include <math.h>

#include "mien/error.h"

static int box_ok(MienBox b)
{
    return isfinite(b.x0_px) && isfinite(b.y0_px) && isfinite(b.x1_px) && isfinite(b.y1_px) && b.x1_px > b.x0_px &&
           b.y1_px > b.y0_px;
}

float mien_box_iou(MienBox a, MienBox b)
{
    if (!box_ok(a) || !box_ok(b))
        return 0;
    /* double: the product of two long sides may leave the range of float */
    double x0 = fmax(a.x0_px, b.x0_px), x1 = fmin(a.x1_px, b.x1_px);
    double y0 = fmax(a.y0_px, b.y0_px), y1 = fmin(a.y1_px, b.y1_px);
    if (x1 <= x0 || y1 <= y0)
        return 0;
    double both = (x1 - x0) * (y1 - y0);
    double area_a = ((double)a.x1_px - a.x0_px) * ((double)a.y1_px - a.y0_px);
    double area_b = ((double)b.x1_px - b.x0_px) * ((double)b.y1_px - b.y0_px);
    return (float)(both / (area_a + area_b - both));
}

int mien_image_check(const MienImage *img)
{
    if (!img || !img->data || img->w_px < 1 || img->h_px < 1 || img->w_px > MIEN_IMAGE_MAX_PX ||
        img->h_px > MIEN_IMAGE_MAX_PX)
        return MIEN_ERR(EINVAL);
    if (img->pixel != MIEN_PIXEL_RGB8 && img->pixel != MIEN_PIXEL_GRAY8)
        return MIEN_ERR(EINVAL);
    ptrdiff_t row = (ptrdiff_t)img->w_px * (img->pixel == MIEN_PIXEL_RGB8 ? 3 : 1);
    ptrdiff_t stride = img->stride_bytes < 0 ? -img->stride_bytes : img->stride_bytes;
    return img->h_px > 1 && stride < row ? MIEN_ERR(EINVAL) : 0;
}
