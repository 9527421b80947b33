/* Sentences for error codes. strerror() is left alone (it is not thread-safe and depends on the locale); the few errno values
 * that this library returns have their words here. */
#include "mien/error.h"

const char *mien_strerror(int err)
{
    if (err >= 0)
        return "no error";
    switch (err) {
#define ERROR_TEXT(name, number, text) \
    case name: return text;
        MIEN_ERROR_LIST(ERROR_TEXT)
#undef ERROR_TEXT
    case MIEN_ERR(ENOMEM): return "out of memory";
    case MIEN_ERR(EINVAL): return "an argument is not valid";
    case MIEN_ERR(EIO): return "reading or writing failed";
    case MIEN_ERR(ENOENT): return "no such file or folder";
    case MIEN_ERR(EACCES): return "permission denied";
    case MIEN_ERR(EPERM): return "not permitted";
    case MIEN_ERR(EEXIST): return "the file exists already";
    case MIEN_ERR(ENOSPC): return "no space left on the device";
    case MIEN_ERR(EFBIG): return "the file would be too large";
    case MIEN_ERR(EROFS): return "the file system is read-only";
    case MIEN_ERR(EISDIR): return "this is a folder";
    case MIEN_ERR(ENOTDIR): return "this is not a folder";
    case MIEN_ERR(ENAMETOOLONG): return "the name is too long";
    case MIEN_ERR(EOVERFLOW): return "a number is too large";
    case MIEN_ERR(EAGAIN): return "try again";
    case MIEN_ERR(EINTR): return "interrupted";
    case MIEN_ERR(EMFILE): return "too many open files";
    case MIEN_ERR(ENOTSUP): return "not supported by the system";
    }
    return "an error of the operating system";
}
