/* redact_int.h — the painter's buffers, which live in the redactor. */
#ifndef MIEN_FACE_REDACT_INT_H
#define MIEN_FACE_REDACT_INT_H

#include "mien/redact.h"

/* {0} to begin with; grows to the largest region. */
typedef struct MieniRedactBuffer {
    float *block;
    size_t cap;
} MieniRedactBuffer;

int mieni_redact_paint(MieniRedactBuffer *buffer, const MienRedactPlan *plan, const MienPlanes *planes, MienRedactEffect effect);
void mieni_redact_buffer_uninit(MieniRedactBuffer *buffer);

#endif
