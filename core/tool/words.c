/* Text that grows; see words.h. */
#include "words.h"

#include <string.h>

#include "mien/common.h"

void words_put_bytes(Words *w, const char *s, size_t n)
{
    if (w->failed)
        return;
    if (w->bytes + n + 1 > w->room) {
        size_t room = 2 * w->room + n + 256;
        char *more = mien_realloc_array(w->at, room, 1);
        if (!more) {
            w->failed = 1;
            return;
        }
        w->at = more;
        w->room = room;
    }
    memcpy(w->at + w->bytes, s, n);
    w->bytes += n;
    w->at[w->bytes] = 0;
}

void words_put(Words *w, const char *text)
{
    words_put_bytes(w, text, strlen(text));
}

void words_free(Words *w)
{
    mien_free(w->at);
    *w = (Words){ 0 };
}
