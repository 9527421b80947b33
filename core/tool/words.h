/* words.h — text that grows. */
#ifndef MIEN_TOOL_WORDS_H
#define MIEN_TOOL_WORDS_H

#include <stddef.h>

/* {0} is empty. Always ends with a NUL that is not counted, once anything was put. After an allocation has failed it takes no more, and
 * `failed` says so. */
typedef struct Words {
    char *at;
    size_t bytes, room;
    int failed;
} Words;

void words_put(Words *w, const char *text);
void words_put_bytes(Words *w, const char *s, size_t n);
void words_free(Words *w);

#endif
