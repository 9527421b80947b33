/* Whole files; see file.h. */
#include <fcntl.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "mien/error.h"

static int fail_errno(MienLog log, const char *path, const char *verb)
{
    int err = errno;
    char text[128];
    return mien_fail(log, MIEN_ERR(err), "%s: cannot %s: %s", path, verb, strerror_r(err, text, sizeof(text)));
}

static int read_all(int fd, uint8_t *data, size_t bytes)
{
    size_t at = 0;
    while (at < bytes) {
        ssize_t n = read(fd, data + at, bytes - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0) { /* the file shrank under us */
            errno = EIO;
            return -1;
        }
        at += (size_t)n;
    }
    return 0;
}

int mieni_file_read(const char *path, size_t max_bytes, uint8_t **out, size_t *out_bytes, MienLog log)
{
    *out = NULL;
    *out_bytes = 0;
    uint8_t *data = NULL;
    int ret;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* never wait for a FIFO's writer */
    if (fd < 0)
        return fail_errno(log, path, "open");
    struct stat st;
    if (fstat(fd, &st) < 0) {
        ret = fail_errno(log, path, "read");
        goto out;
    }
    if (!S_ISREG(st.st_mode)) {
        ret = mien_fail(log, MIEN_ERR(S_ISDIR(st.st_mode) ? EISDIR : EINVAL), "%s: is not a regular file", path);
        goto out;
    }
    if ((uint64_t)st.st_size > max_bytes) {
        ret = mien_fail(log, MIEN_ERR(EFBIG), "%s: has %lld bytes, at most %zu are read", path, (long long)st.st_size,
                        max_bytes);
        goto out;
    }
    size_t bytes = (size_t)st.st_size;
    if (!(data = mien_malloc(bytes + 1))) {
        ret = mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory for %zu bytes", path, bytes);
        goto out;
    }
    if (read_all(fd, data, bytes) < 0) {
        ret = fail_errno(log, path, "read");
        goto out;
    }
    data[bytes] = '\0';
    *out = data;
    *out_bytes = bytes;
    data = NULL;
    ret = 0;
out:
    mien_free(data);
    close(fd);
    return ret;
}

static int write_all(int fd, const uint8_t *data, size_t bytes)
{
    while (bytes) {
        ssize_t n = write(fd, data, bytes);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        data += n;
        bytes -= (size_t)n;
    }
    return 0;
}

/* After a rename the folder's entry must reach the disk too. Some file systems can't sync folders; that is no error. */
static void sync_folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? mien_strndup(path, slash == path ? 1 : (size_t)(slash - path)) : mien_strdup(".");
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mien_free(folder);
}

/* Devices and pipes are written, not replaced by a file of that name. */
static int write_special(const char *path, const void *data, size_t bytes, MienLog log)
{
    int ret = 0;
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return fail_errno(log, path, "open");
    if (write_all(fd, data, bytes) < 0)
        ret = fail_errno(log, path, "write");
    if (close(fd) < 0 && !ret)
        ret = fail_errno(log, path, "write");
    return ret;
}

int mieni_file_write_atomic(const char *path, const void *data, size_t bytes, unsigned mode, MienLog log)
{
    size_t len = strlen(path);
    struct stat st;
    if (!stat(path, &st) && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode))
        return write_special(path, data, bytes, log);
    char *tmp = mien_malloc(len + sizeof(".XXXXXX"));
    if (!tmp)
        return mien_fail(log, MIEN_ERR(ENOMEM), "%s: out of memory", path);
    memcpy(tmp, path, len);
    memcpy(tmp + len, ".XXXXXX", sizeof(".XXXXXX"));
    int ret = 0;
    int fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0) {
        ret = fail_errno(log, path, "create");
        goto out;
    }
    if (write_all(fd, data, bytes) < 0 || fchmod(fd, (mode_t)mode) < 0 || fsync(fd) < 0)
        ret = fail_errno(log, path, "write");
    if (close(fd) < 0 && !ret)
        ret = fail_errno(log, path, "write");
    if (!ret && rename(tmp, path) < 0)
        ret = fail_errno(log, path, "replace");
    if (ret)
        unlink(tmp);
    else
        sync_folder_of(path);
out:
    mien_free(tmp);
    return ret;
}

void mieni_sha256_hex(const void *data, size_t bytes, char hex[65])
{
    static const char digit[] = "0123456789abcdef";
    struct sha256_ctx ctx;
    uint8_t sum[SHA256_DIGEST_SIZE];
    sha256_init(&ctx);
    sha256_update(&ctx, bytes, data);
    sha256_digest(&ctx, sizeof(sum), sum);
    for (size_t i = 0; i < sizeof(sum); i++) {
        hex[2 * i] = digit[sum[i] >> 4];
        hex[2 * i + 1] = digit[sum[i] & 15];
    }
    hex[64] = '\0';
}
