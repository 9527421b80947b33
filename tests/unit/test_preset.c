/* Presets: made from pictures, blended, written, read back, refused, found. The feature network is a small one made here; the real one
 * is tested in tests/parity. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "mien/error.h"
#include "mien/preset.h"
#include "mien/weights.h"
#include "models/import.h"
#include "models/import_int.h"

static char folder[64], last_line[1024];

static void keep_line(void *priv, int level, const char *line)
{
    (void)priv, (void)level;
    snprintf(last_line, sizeof(last_line), "%s", line);
}
static const MienLog keep = { .fn = keep_line, .level = MIEN_LOG_TRACE };
