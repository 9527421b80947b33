/* The status socket; see watch_status.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mien/common.h"
#include "mien/error.h"
#include "tool.h"
#include "watch_status.h"

#define NAME "control"
#define ANSWER_MAX_BYTES (4 << 20)
#define PATIENCE_S 10 /* with a supervisor that does not answer */

/* A socket's address has room for 108 bytes, a folder may be longer: it is named by its descriptor. */
static int address(struct sockaddr_un *a, const char *dir, int *dir_fd)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    *dir_fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (*dir_fd < 0)
        return MIEN_ERR(errno);
    snprintf(a->sun_path, sizeof(a->sun_path), "/proc/self/fd/%d/" NAME, *dir_fd);
    return 0;
}

int status_serve(StatusServer *s, const char *dir)
{
    struct sockaddr_un a;
    int dir_fd, ret = address(&a, dir, &dir_fd);
    *s = (StatusServer){ .fd = -1 };
    for (int i = 0; i < STATUS_CLIENTS; i++)
        s->client[i].fd = -1;
    if (ret < 0)
        return ret;
    size_t room = strlen(dir) + sizeof("/" NAME);
    if ((s->path = mien_malloc(room)))
        snprintf(s->path, room, "%s/" NAME, dir);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->path)
        unlink(s->path);
    if (!s->path)
        ret = MIEN_ERR(ENOMEM);
    else if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(s->fd, STATUS_CLIENTS) < 0)
        ret = MIEN_ERR(errno);
    close(dir_fd);
    if (ret < 0)
        status_close(s);
    return ret;
}

static void hang_up(StatusServer *s, int i)
{
    close(s->client[i].fd);
    s->client[i].fd = -1;
    json_text_free(s->client[i].text);
    s->client[i].text = NULL;
}

void status_close(StatusServer *s)
{
    for (int i = 0; i < STATUS_CLIENTS; i++)
        if (s->client[i].fd >= 0)
            hang_up(s, i);
    if (s->fd >= 0) {
        close(s->fd);
        unlink(s->path);
    }
    mien_free(s->path);
    s->path = NULL;
    s->fd = -1;
}

int status_pollfds(const StatusServer *s, struct pollfd p[STATUS_POLLFDS])
{
    int room = 0;
    for (int i = 0; i < STATUS_CLIENTS; i++) {
        p[1 + i] = (struct pollfd){ .fd = s->client[i].fd, .events = POLLOUT };
        room |= s->client[i].fd < 0;
    }
    p[0] = (struct pollfd){ .fd = room ? s->fd : -1, .events = POLLIN };
    return STATUS_POLLFDS;
}

static void send_some(StatusServer *s, int i)
{
    ssize_t n = send(s->client[i].fd, s->client[i].text + s->client[i].at, s->client[i].bytes - s->client[i].at, MSG_NOSIGNAL);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        s->client[i].at += (size_t)n;
    if (n <= 0 || s->client[i].at == s->client[i].bytes)
        hang_up(s, i);
}

void status_handle(StatusServer *s, char *(*answer)(void *priv), void *priv)
{
    for (int i = 0; i < STATUS_CLIENTS; i++) {
        if (s->client[i].fd < 0 && (s->client[i].fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0) {
            s->client[i].text = answer(priv);
            s->client[i].at = 0;
            s->client[i].bytes = s->client[i].text ? strlen(s->client[i].text) : 0;
        }
        if (s->client[i].fd >= 0)
            send_some(s, i);
    }
}

/* ---- asking */

static int receive_all(int fd, char **out)
{
    char *text = NULL;
    for (size_t n = 0, room = 0;;) {
        if (n + 1 >= room) {
            room = room ? room * 2 : 65536;
            char *more = room <= ANSWER_MAX_BYTES ? mien_realloc_array(text, room, 1) : NULL;
            if (!more) {
                mien_free(text);
                return MIEN_ERR(ENOMEM);
            }
            text = more;
        }
        ssize_t got = recv(fd, text + n, room - n - 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            int err = errno == EAGAIN ? ETIMEDOUT : errno;
            mien_free(text);
            return MIEN_ERR(err);
        }
        n += (size_t)got;
        text[n] = '\0';
        if (!got)
            break;
    }
    *out = text;
    return 0;
}

int status_ask(const char *dir, char **text)
{
    struct sockaddr_un a;
    int dir_fd, ret = address(&a, dir, &dir_fd);
    *text = NULL;
    if (ret < 0)
        return ret;
    struct timeval limit = { .tv_sec = PATIENCE_S };
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)); /* connect waits when the queue is full */
    }
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        ret = MIEN_ERR(errno == EAGAIN ? ETIMEDOUT : errno);
    else
        ret = receive_all(fd, text);
    if (fd >= 0)
        close(fd);
    close(dir_fd);
    return ret;
}
