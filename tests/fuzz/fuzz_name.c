/* Fuzz: any bytes as a name. What is accepted has the documented properties, checked here by other means, and does nothing but be
 * looked up. */
#include <string.h>

#include "gallery_exercise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static MienGallery *g;
static char path[256];

static void clean_up(void)
{
    mien_gallery_close(&g);
    unlink(path);
}

static MienGallery *gallery(void)
{
    if (g)
        return g;
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof(path), "%s/fuzz-name-%ld.db", tmp ? tmp : "/tmp", (long)getpid());
    must(mien_gallery_open(&g, path, MIEN_GALLERY_CREATE, (MienLog){ 0 }) == 0, "a gallery");
    atexit(clean_up);
    return g;
}

/* Counts characters by their first bytes, and takes the forbidden ones by their encoded bytes. */
static void check_accepted(const char *name)
{
    size_t n = strlen(name);
    must(n >= 1 && n <= 255, "length");
    must(name[0] != ' ' && name[n - 1] != ' ', "blanks");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i], d = (unsigned char)name[i + 1];
        must(c >= 0x20 && c != 0x7f && c != 0xc0 && c != 0xc1 && c < 0xf5, "bytes that never stand in UTF-8 or are controls");
        must(!(c == 0xc2 && d < 0xa0), "C1 controls");
        must(!(c == 0xed && d >= 0xa0), "surrogates");
        must(!(c == 0xe2 && d == 0x80 && ((unsigned char)name[i + 2] & 0xfe) == 0xa8), "line separators");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char *name = malloc(bytes + 1);
    const char *why;
    MienPerson person;
    must(name != NULL, "memory");
    if (bytes)
        memcpy(name, data, bytes);
    name[bytes] = '\0';
    int ret = mien_name_check(name, &why);
    must(ret == 0 ? why == NULL : ret == MIEN_ERR(EINVAL) && why && *why, "a reason");
    if (ret == 0)
        check_accepted(name);
    must(mien_gallery_find(gallery(), name, &person) == MIEN_E_NOTFOUND, "nobody");
    must(mien_gallery_set_ignored(gallery(), name, 1) == MIEN_E_NOTFOUND, "nobody to ignore");
    free(name);
    return 0;
}
