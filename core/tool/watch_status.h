/* watch_status.h — a socket in the run folder that answers everybody who connects with one JSON text. */
#ifndef MIEN_TOOL_WATCH_STATUS_H
#define MIEN_TOOL_WATCH_STATUS_H

#include <poll.h>

#define STATUS_CLIENTS 8 /* at a time; more wait */
#define STATUS_POLLFDS (STATUS_CLIENTS + 1)

typedef struct StatusServer {
    int fd;
    char *path;
    struct {
        int fd;
        char *text; /* malloc'ed by cJSON */
        size_t at, bytes;
    } client[STATUS_CLIENTS];
} StatusServer;

/* The socket DIR/control; one that is there is replaced (the caller holds the folder's lock). 0 or -errno. */
int status_serve(StatusServer *s, const char *dir);
void status_close(StatusServer *s);
int status_pollfds(const StatusServer *s, struct pollfd p[STATUS_POLLFDS]); /* how many */
/* answer: the text, freed with json_text_free; NULL: no memory. */
void status_handle(StatusServer *s, char *(*answer)(void *priv), void *priv);

/* The other side: the text that the supervisor of DIR answers; the caller frees it with mien_free. 0 or -errno: ECONNREFUSED and ENOENT mean
 * that none runs there. */
int status_ask(const char *dir, char **text);

#endif
