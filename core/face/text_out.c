/* Text into a buffer; see text_out.h. */
#include "text_out.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#include "mien/error.h"

void mieni_put_char(MieniOut *o, char c)
{
    if (o->len + 1 < o->cap)
        o->buf[o->len] = c;
    o->len++;
}

void mieni_put_text(MieniOut *o, const char *s)
{
    while (*s)
        mieni_put_char(o, *s++);
}

int mieni_utf8_sequence(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    int n = s[0] >= 0xc2 && s[0] <= 0xdf ? 2 : (s[0] & 0xf0) == 0xe0 ? 3 : s[0] >= 0xf0 && s[0] <= 0xf4 ? 4 : 0;
    for (int i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) ||
        (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

void mieni_put_json(MieniOut *o, const char *text)
{
    mieni_put_char(o, '"');
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = mieni_utf8_sequence(s);
        if (n == 0) {
            mieni_put_text(o, "\xef\xbf\xbd"); /* U+FFFD for a byte that is no character */
            s++;
        } else if (n > 1) {
            for (; n > 0; n--)
                mieni_put_char(o, (char)*s++);
        } else {
            unsigned char c = *s++;
            char code[8];
            if (c == '"' || c == '\\') {
                mieni_put_char(o, '\\');
                mieni_put_char(o, (char)c);
            } else if (c < 0x20 || c == 0x7f) {
                snprintf(code, sizeof(code), "\\u%04x", c);
                mieni_put_text(o, code);
            } else {
                mieni_put_char(o, (char)c);
            }
        }
    }
    mieni_put_char(o, '"');
}

void mieni_put_int(MieniOut *o, int64_t v)
{
    char text[24];
    snprintf(text, sizeof(text), "%lld", (long long)v);
    mieni_put_text(o, text);
}

void mieni_put_fixed(MieniOut *o, double v, int decimals)
{
    if (!isfinite(v) || fabs(v) > 1e9) {
        mieni_put_text(o, "null");
        return;
    }
    long long unit = 1;
    for (int i = 0; i < decimals; i++)
        unit *= 10;
    long long n = llround(fabs(v) * (double)unit);
    char text[48];
    snprintf(text, sizeof(text), "%s%lld.%0*lld", v < 0 && n ? "-" : "", n / unit, decimals, n % unit);
    mieni_put_text(o, text);
}

int mieni_put_end(MieniOut *o)
{
    if (o->len >= o->cap)
        return MIEN_ERR(ENOSPC);
    o->buf[o->len] = 0;
    return (int)o->len;
}
