/* mien/error.h — error codes.
 *
 * System-like causes are -errno (MIEN_ERR(ENOMEM), MIEN_ERR(EIO) …), so that they map one to one to AVERROR; causes that
 * errno has no word for lie below -0x4d000 ('M' << 12). 0 is success.
 */
#ifndef MIEN_ERROR_H
#define MIEN_ERROR_H

#include <errno.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MIEN_ERR(e) (-(e))

/* name, number, sentence */
#define MIEN_ERROR_LIST(X)                                                              \
    X(MIEN_E_MODEL, 1, "a network's file is missing, damaged or of the wrong kind")     \
    X(MIEN_E_SHAPE, 2, "the shapes of tensors do not fit")                              \
    X(MIEN_E_FORMAT, 3, "the data are not in the format they should be in")             \
    X(MIEN_E_VERSION, 4, "the data were written by another, incompatible version")      \
    X(MIEN_E_NOTFOUND, 5, "there is no such thing")                                     \
    X(MIEN_E_EXISTS, 6, "there is such a thing already")                                \
    X(MIEN_E_MISMATCH, 7, "two things that must belong together do not")                \
    X(MIEN_E_BUSY, 8, "another process holds the file and did not let go in time")      \
    X(MIEN_E_CORRUPT, 9, "a database file is damaged")                                  \
    X(MIEN_E_NOFACE, 10, "no face was found")                                           \
    X(MIEN_E_AMBIGUOUS, 11, "several things fit and one must be chosen")                \
    X(MIEN_E_QUALITY, 12, "the picture is not good enough")                             \
    X(MIEN_E_UNSUPPORTED, 13, "this is not supported")                                  \
    X(MIEN_E_BUG, 14, "an internal error; please report it")

enum {
#define MIEN_ERROR_ENUM(name, number, text) name = -(0x4d000 + number),
    MIEN_ERROR_LIST(MIEN_ERROR_ENUM)
#undef MIEN_ERROR_ENUM
};

/* A sentence for any code of this library, -errno included. Never NULL; static storage. Threads: any. */
const char *mien_strerror(int err);

#ifdef __cplusplus
}
#endif
#endif
