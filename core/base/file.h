/* file.h — whole files: reading with a limit, writing so that a reader never sees half a file, hashes. */
#ifndef MIEN_BASE_FILE_H
#define MIEN_BASE_FILE_H

#include "mien/common.h"
#include "mien/log.h"

/* Reads a regular file of at most max_bytes; the caller frees *data. One NUL byte follows the data (not counted), so that
 * text can be read as a string. Logs "PATH: cause". Errors: -errno, MIEN_ERR(EFBIG). */
int mieni_file_read(const char *path, size_t max_bytes, uint8_t **data, size_t *bytes, MienLog log);

/* Writes path anew: temporary file in the same folder, fsync, rename, fsync of the folder. On failure nothing is left behind and
 * the old file stays. mode as in chmod. A device or pipe is written straight. */
int mieni_file_write_atomic(const char *path, const void *data, size_t bytes, unsigned mode, MienLog log);

/* SHA-256 as 64 lower-case hex digits and a NUL. */
void mieni_sha256_hex(const void *data, size_t bytes, char hex[65]);

#endif
