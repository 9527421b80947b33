/* cut.c — see cut.h. */
#include "image/cut.h"

#include <string.h>

static int luma_at(const MienImage *img, int x, int y)
{
    const uint8_t *p = img->data + (ptrdiff_t)y * img->stride_bytes;
    if (img->pixel == MIEN_PIXEL_GRAY8)
        return p[x];
    p += 3 * x;
    return (77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8;
}

int mieni_cut_cells(MieniCut *cut, const uint8_t cell[MIENI_CUT_W * MIENI_CUT_H])
{
    const float least = 9, first_least = 27, beyond_usual = 3, beyond_last = 2;
    int sum = 0;
    for (int i = 0; i < MIENI_CUT_W * MIENI_CUT_H; i++)
        sum += cell[i] > cut->cell[i] ? cell[i] - cut->cell[i] : cut->cell[i] - cell[i];
    memcpy(cut->cell, cell, sizeof(cut->cell));
    float diff = (float)sum / (MIENI_CUT_W * MIENI_CUT_H);
    int is_cut = cut->n > 0 && diff > (cut->n == 1 ? first_least : least) && diff > beyond_usual * cut->usual + 4 &&
                 diff > beyond_last * cut->last;
    if (cut->n == 1)
        cut->usual = diff < first_least ? diff : 0;
    else if (cut->n > 1 && !is_cut)
        cut->usual += 0.15f * (diff - cut->usual);
    cut->last = cut->n > 0 ? diff : 0;
    cut->n += cut->n < 2;
    return is_cut;
}

int mieni_cut(MieniCut *cut, const MienImage *img)
{
    enum { DOTS = 4 }; /* per side of a cell */
    uint8_t cell[MIENI_CUT_W * MIENI_CUT_H];
    for (int cy = 0; cy < MIENI_CUT_H; cy++)
        for (int cx = 0; cx < MIENI_CUT_W; cx++) {
            int luma = 0;
            for (int j = 0; j < DOTS; j++)
                for (int i = 0; i < DOTS; i++) {
                    int x = (int)((int64_t)img->w_px * (2 * (cx * DOTS + i) + 1) / (2 * MIENI_CUT_W * DOTS));
                    int y = (int)((int64_t)img->h_px * (2 * (cy * DOTS + j) + 1) / (2 * MIENI_CUT_H * DOTS));
                    luma += luma_at(img, x, y);
                }
            cell[cy * MIENI_CUT_W + cx] = (uint8_t)(luma / (DOTS * DOTS));
        }
    return mieni_cut_cells(cut, cell);
}
