/* redact_policy.c — one face by itself: covered or not, and the head that belongs to its box. */
#include <math.h>
#include <string.h>

#include "mien/redact.h"

const char *mien_redact_verdict_name(MienRedactVerdict verdict)
{
    static const char *const name[] = {
        [MIEN_REDACT_COVERED] = "covered",           [MIEN_REDACT_VISIBLE_OFF] = "off",
        [MIEN_REDACT_VISIBLE_KNOWN] = "known",       [MIEN_REDACT_VISIBLE_EXCEPTED] = "excepted",
        [MIEN_REDACT_VISIBLE_OTHER] = "other",       [MIEN_REDACT_VISIBLE_STRANGER] = "stranger",
        [MIEN_REDACT_VISIBLE_LIVING] = "living",
    };
    return name[verdict];
}

static int is_named(const MienRedactPolicy *policy, const char *name)
{
    for (int i = 0; i < policy->n_who; i++)
        if (!strcmp(policy->who[i], name))
            return 1;
    return 0;
}

MienRedactVerdict mien_redact_verdict(const MienRedactPolicy *policy, MienStatus status, const char *name)
{
    const int known = status == MIEN_STATUS_KNOWN, stranger = status == MIEN_STATUS_UNRECOGNISED;
    switch (policy->mode) {
    case MIEN_REDACT_NONE:
        return MIEN_REDACT_VISIBLE_OFF;
    case MIEN_REDACT_UNKNOWN:
        return known ? MIEN_REDACT_VISIBLE_KNOWN : MIEN_REDACT_COVERED;
    case MIEN_REDACT_EXCEPT:
        return known && is_named(policy, name) ? MIEN_REDACT_VISIBLE_EXCEPTED : MIEN_REDACT_COVERED;
    case MIEN_REDACT_ONLY:
        if (known && !is_named(policy, name))
            return MIEN_REDACT_VISIBLE_OTHER;
        return stranger ? MIEN_REDACT_VISIBLE_STRANGER : MIEN_REDACT_COVERED;
    case MIEN_REDACT_SPOOF:
        return known || stranger ? MIEN_REDACT_VISIBLE_LIVING : MIEN_REDACT_COVERED;
    case MIEN_REDACT_ALL:
        break;
    }
    return MIEN_REDACT_COVERED;
}

/* Read off 34 faces: hair ends up to 0.5 box heights above the box, the chin 0.05 below; ears stand 0.25 box widths beside it, the back of a
 * turned head 0.5, of one in profile up to 0.9. */
MienRedactHead mien_redact_head(MienBox b)
{
    float w = b.x1_px - b.x0_px, h = b.y1_px - b.y0_px;
    return (MienRedactHead){ (b.x0_px + b.x1_px) / 2, (b.y0_px + b.y1_px) / 2 - 0.15f * h, fmaxf(1.05f * w, 2), fmaxf(0.9f * h, 2) };
}

float mien_redact_share(const MienRedactHead *head, float x_px, float y_px)
{
    float d = hypotf((x_px - head->cx_px) / head->rx_px, (y_px - head->cy_px) / head->ry_px);
    float share = (MIEN_REDACT_SOFT - d) / (MIEN_REDACT_SOFT - 1);
    return share > 0 ? (share < 1 ? share : 1) : 0;
}
