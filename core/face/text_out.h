/* text_out.h — text written into a caller's buffer, without allocating and without the locale. What does not fit is counted. */
#ifndef MIEN_FACE_TEXT_OUT_H
#define MIEN_FACE_TEXT_OUT_H

#include <stddef.h>
#include <stdint.h>

typedef struct MieniOut {
    char *buf;
    size_t cap, len; /* len counts on past the end */
} MieniOut;

void mieni_put_char(MieniOut *o, char c);
void mieni_put_text(MieniOut *o, const char *s);
void mieni_put_int(MieniOut *o, int64_t v);
/* A number with 1..9 decimals; null if it is not finite or too large to matter. */
void mieni_put_fixed(MieniOut *o, double v, int decimals);
/* A JSON string. */
void mieni_put_json(MieniOut *o, const char *text);
/* Ends the text: its length, or MIEN_ERR(ENOSPC). */
int mieni_put_end(MieniOut *o);

/* Length of the valid UTF-8 sequence at s, 0 if there is none (RFC 3629: no overlong forms, no surrogates). */
int mieni_utf8_sequence(const unsigned char *s);

#endif
