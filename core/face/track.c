/* track.c — constant-velocity motion of boxes and their matching cost. */
#include "face/track.h"

#include <math.h>

void mieni_motion_start(MieniMotion *m, MienBox b)
{
    *m = (MieniMotion){ (b.x0_px + b.x1_px) / 2, (b.y0_px + b.y1_px) / 2, b.x1_px - b.x0_px, b.y1_px - b.y0_px, 0, 0, 0, 0 };
}

void mieni_motion_predict(MieniMotion *m, float damp)
{
    m->vx *= damp, m->vy *= damp, m->vw *= damp, m->vh *= damp;
    m->cx += m->vx;
    m->cy += m->vy;
    m->w = fmaxf(m->w + m->vw, 1);
    m->h = fmaxf(m->h + m->vh, 1);
}

void mieni_motion_update(MieniMotion *m, MienBox b, int n_frames)
{
    MieniMotion seen;
    mieni_motion_start(&seen, b);
    /* predicted positions hold n_frames of the old speed already: the error corrects it */
    const float gain = 0.6f / (float)(n_frames > 0 ? n_frames : 1);
    seen.vx = m->vx + gain * (seen.cx - m->cx);
    seen.vy = m->vy + gain * (seen.cy - m->cy);
    seen.vw = 0.5f * (m->vw + gain * (seen.w - m->w)); /* sizes jitter more than they move */
    seen.vh = 0.5f * (m->vh + gain * (seen.h - m->h));
    *m = seen;
}

MienBox mieni_motion_box(const MieniMotion *m)
{
    return (MienBox){ m->cx - m->w / 2, m->cy - m->h / 2, m->cx + m->w / 2, m->cy + m->h / 2 };
}

MienBox mieni_motion_ahead(const MieniMotion *m, int n_frames, float damp)
{
    MieniMotion ahead = *m;
    for (int i = 0; i < n_frames; i++)
        mieni_motion_predict(&ahead, damp);
    return mieni_motion_box(&ahead);
}

int mieni_box_clip(MienBox *b, int w_px, int h_px)
{
    b->x0_px = fminf(fmaxf(b->x0_px, 0), (float)w_px);
    b->y0_px = fminf(fmaxf(b->y0_px, 0), (float)h_px);
    b->x1_px = fminf(fmaxf(b->x1_px, 0), (float)w_px);
    b->y1_px = fminf(fmaxf(b->y1_px, 0), (float)h_px);
    return b->x1_px - b->x0_px >= 1 && b->y1_px - b->y0_px >= 1;
}

float mieni_motion_cost(MienBox a, MienBox b)
{
    float wa = a.x1_px - a.x0_px, ha = a.y1_px - a.y0_px, wb = b.x1_px - b.x0_px, hb = b.y1_px - b.y0_px;
    float size = sqrtf(fmaxf(wa * ha, 0)), other = sqrtf(fmaxf(wb * hb, 0)), iou = mien_box_iou(a, b);
    if (!(size > 0) || !(other > 0) || other > 1.6f * size || size > 1.6f * other)
        return 2;
    if (iou >= 0.15f)
        return 1 - iou;
    float far = hypotf((a.x0_px + a.x1_px - b.x0_px - b.x1_px) / 2, (a.y0_px + a.y1_px - b.y0_px - b.y1_px) / 2);
    return far < 0.8f * size ? 1 - iou + 0.1f * far / size : 2;
}
