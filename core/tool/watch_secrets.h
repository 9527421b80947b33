/* watch_secrets.h — what must not appear in process lists and logs: passwords in URLs, and taking them out of lines. */
#ifndef MIEN_TOOL_WATCH_SECRETS_H
#define MIEN_TOOL_WATCH_SECRETS_H

#include <stddef.h>

/* Finds "user:password" of the first "scheme://user:password@" in text: 1 and its place, or 0. As FFmpeg reads URLs: the last @ before the
 * first of / ? #. A user without a password counts as well: some cameras take a token there. */
int secret_in_url(const char *text, size_t *begin, size_t *end);

#define SECRET_MAX_BYTES 1024 /* of one secret; whoever cuts lines keeps them longer than this until they are scrubbed */

typedef struct WatchSecrets {
    char *item[6];
    int n;
} WatchSecrets;

/* All forms in which a URL's user, password and query may be printed: percent-encoded, decoded, as the base64 of a Basic header. The URL is
 * percent-encoded. 0 or -ENOMEM. */
int secrets_of_url(WatchSecrets *s, const char *url);
void secrets_free(WatchSecrets *s);

/* Puts *** in the place of every secret and of the user part of every URL, in place. line has room for room_bytes; what no longer fits is
 * cut. */
void secrets_scrub(const WatchSecrets *s, char *line, size_t room_bytes);

/* text percent-encoded for the user or password part of a URL. The caller frees it with mien_free; NULL: no memory. */
char *secret_encode(const char *text);

#endif
