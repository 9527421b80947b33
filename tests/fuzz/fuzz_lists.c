/* Fuzz: any bytes as a list of pairs, a list of people's pictures and a file of embeddings: what evaluate, calibrate and train are given. What
 * is accepted is whole: indices lie in their tables, templates are of length 1. */
#include <math.h>
#include <string.h>

#include "gallery_exercise.h"
#include "tool/files.h"
#include "tool/media.h"
#include "tool/pairs.h"
#include "tool/templates.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* What templates.c and files.c use beside: no picture is read here. */
int interrupted(void)
{
    return 0;
}

int pictures_each(Faces *f, const Tool *tool, const struct FileList *files, int with_embedding,
                  int (*take)(void *priv, const Picture *p), void *priv)
{
    (void)f, (void)tool, (void)with_embedding, (void)take, (void)priv;
    for (int64_t i = 0; i < files->n; i++)
        must(files->path[i][0] == '/', "a path below the root");
    return 0;
}

int face_choose(const Picture *p, int face, int largest)
{
    (void)p, (void)face, (void)largest;
    return -1;
}

int media_known_suffix(const char *path)
{
    (void)path;
    return 0;
}

static void try_pairs(const Tool *tool, const char *path)
{
    PairList l;
    if (pairs_read(&l, tool, path) >= 0) {
        for (size_t i = 0; i < l.n_pairs; i++) {
            const Pair *p = &l.pair[i];
            must(p->a >= 0 && p->b >= 0 && (size_t)p->a < l.n_pictures && (size_t)p->b < l.n_pictures, "indices");
            must((p->same == 0 || p->same == 1) && p->line > 0, "same");
        }
        for (size_t i = 0; i < l.n_pictures; i++)
            must(l.picture[i][0] && (!i || strcmp(l.picture[i - 1], l.picture[i]) < 0), "names, in order");
    }
    pairs_free(&l);
}

static void try_people(const Tool *tool, const char *path)
{
    TemplateSet s;
    PeopleNames names = { 0 };
    Faces f = { 0 };
    if (templates_from_list(&s, tool, &f, path, "/root", &names) >= 0)
        for (size_t i = 0; i < names.n; i++)
            must(names.name[i][0] && !strpbrk(names.name[i], "\t\r\n"), "a name");
    people_names_free(&names);
    templates_free(&s);
}

static void try_templates(const Tool *tool, const char *path)
{
    TemplateSet s;
    templates_is_file(path);
    if (templates_read(&s, tool, path) >= 0)
        for (size_t i = 0; i < s.t.n; i++) {
            double sum = 0;
            for (int k = 0; k < s.t.dim; k++)
                sum += (double)s.t.embedding[i * (size_t)s.t.dim + (size_t)k] * (double)s.t.embedding[i * (size_t)s.t.dim + (size_t)k];
            must(fabs(sum - 1) < 1e-4, "length 1");
        }
    templates_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    const char *tmp = getenv("TMPDIR");
    char path[256];
    Tool tool = { .quiet = 1 };
    snprintf(path, sizeof(path), "%s/fuzz-lists-%ld", tmp ? tmp : "/tmp", (long)getpid());
    FILE *f = fopen(path, "wb");
    must(f && fwrite(data, 1, bytes, f) == bytes && fclose(f) == 0, "a file");
    try_pairs(&tool, path);
    try_people(&tool, path);
    try_templates(&tool, path);
    unlink(path);
    return 0;
}
