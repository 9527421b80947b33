/* Many templates at once; see templates.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "files.h"
#include "mien/weights.h"
#include "templates.h"

#define MAX_LIST_BYTES (64 << 20)
#define CHUNK 1024 /* probes between two looks at the clock and the signals */

void templates_free(TemplateSet *s)
{
    mien_free(s->embedding);
    mien_free(s->person);
    *s = (TemplateSet){ 0 };
}

static void settle(TemplateSet *s)
{
    s->t.embedding = s->embedding;
    s->t.person = s->person;
}

static int add(TemplateSet *s, const float *embedding, int64_t person)
{
    if (s->t.n == s->room) {
        size_t room = s->room ? 2 * s->room : 256;
        float *e = mien_realloc_array(s->embedding, room * (size_t)s->t.dim, sizeof(*e));
        if (e)
            s->embedding = e;
        int64_t *p = mien_realloc_array(s->person, room, sizeof(*p));
        if (p)
            s->person = p;
        if (!e || !p)
            return MIEN_ERR(ENOMEM);
        s->room = room;
        settle(s);
    }
    memcpy(s->embedding + s->t.n * (size_t)s->t.dim, embedding, (size_t)s->t.dim * sizeof(float));
    s->person[s->t.n++] = person;
    return 0;
}

/* ---- safetensors */

int templates_is_file(const char *path)
{
    unsigned char head[9] = { 0 };
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
        return 0;
    FILE *f = fopen(path, "rb");
    size_t n = f ? fread(head, 1, sizeof(head), f) : 0;
    if (f)
        fclose(f);
    return n == sizeof(head) && head[8] == '{' && !head[7] && !head[6]; /* the header's length, then JSON */
}

static int normalise(float *v, int dim)
{
    double sum = 0;
    for (int k = 0; k < dim; k++)
        sum += (double)v[k] * v[k];
    if (!isfinite(sum) || !(sum > 0))
        return -1;
    for (int k = 0; k < dim; k++)
        v[k] = (float)(v[k] / sqrt(sum));
    return 0;
}

static int take_tensors(TemplateSet *s, const Tool *tool, const char *path, const MienWeights *w)
{
    const MienTensor *e = mien_weights_find(w, "embedding"), *p = mien_weights_find(w, "person");
    if (!e || e->dtype != MIEN_F32 || e->n_dims != 2 || e->dim[1] < 2 || e->dim[1] > MIEN_FACE_MAX_DIM)
        return tool_error(tool, "%s: a tensor 'embedding' of F32 [n, dim] is wanted, dim from 2 to %d", safe(path), MIEN_FACE_MAX_DIM), -1;
    if (p && ((p->dtype != MIEN_I32 && p->dtype != MIEN_I64) || p->n_dims != 1 || p->dim[0] != e->dim[0]))
        return tool_error(tool, "%s: 'person' must be I32 or I64 [%lld], a number for each embedding", safe(path), (long long)e->dim[0]), -1;
    size_t n = (size_t)e->dim[0];
    s->t.dim = (int)e->dim[1];
    s->embedding = mien_malloc_array(n * (size_t)s->t.dim + 1, sizeof(float));
    s->person = mien_malloc_array(n + 1, sizeof(int64_t));
    if (!s->embedding || !s->person)
        return tool_error(tool, "out of memory"), -1;
    memcpy(s->embedding, e->data, n * (size_t)s->t.dim * sizeof(float));
    for (size_t i = 0; i < n; i++) {
        s->person[i] = !p ? (int64_t)i : p->dtype == MIEN_I32 ? ((const int32_t *)p->data)[i] : ((const int64_t *)p->data)[i];
        if (normalise(s->embedding + i * (size_t)s->t.dim, s->t.dim) < 0)
            return tool_error(tool, "%s: embedding %zu is not finite, or of length 0", safe(path), i), -1;
    }
    s->t.n = s->room = n;
    settle(s);
    return 0;
}

int templates_read(TemplateSet *s, const Tool *tool, const char *path)
{
    MienWeights *w;
    *s = (TemplateSet){ 0 };
    if (mien_weights_open(&w, path, tool->log) < 0)
        return -1;
    int ret = take_tensors(s, tool, path, w);
    mien_weights_close(&w);
    return ret;
}

/* ---- pictures */

typedef struct Take {
    const Tool *tool;
    TemplateSet *s;
    const FileList *files;
    const int64_t *person; /* per file */
    int64_t i;
    int largest;           /* one face a picture, else every sure one */
} Take;

static int take_picture(void *priv, const Picture *p)
{
    Take *k = priv;
    int64_t person = k->person[k->i++];
    int ret = 0, n = 0;
    if (p->err < 0)
        return tool_error(k->tool, "%s", safe(p->message)), p->err;
    int one = k->largest && p->n_faces ? face_choose(p, 0, 1) : -1;
    for (int i = 0; i < p->n_faces && ret >= 0; i++) {
        if (k->largest ? i != one : !p->sure[i])
            continue;
        n++;
        ret = add(k->s, p->embedding + (size_t)i * (size_t)k->s->t.dim, person < 0 ? (int64_t)k->s->t.n : person);
    }
    k->s->n_without += !n;
    if (ret < 0)
        tool_error(k->tool, "out of memory");
    return ret;
}

static int take_files(TemplateSet *s, const Tool *tool, Faces *f, const FileList *files, const int64_t *person, int largest)
{
    Take k = { .tool = tool, .s = s, .files = files, .person = person, .largest = largest };
    s->t.dim = f->dim;
    int ret = pictures_each(f, tool, files, 1, take_picture, &k);
    if (!ret && interrupted())
        return tool_error(tool, "interrupted"), -1;
    return ret ? -1 : 0;
}

/* How long a path's folder is, the slash included. */
static size_t folder_bytes(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) + 1 : 0;
}

int templates_from_folder(TemplateSet *s, const Tool *tool, Faces *f, const char *folder)
{
    FileList files = { 0 };
    *s = (TemplateSet){ 0 };
    int ret = files_add(&files, tool, folder);
    int64_t *person = ret >= 0 ? mien_malloc_array((size_t)files.n + 1, sizeof(*person)) : NULL;
    size_t top = strlen(folder);
    while (top && folder[top - 1] == '/')
        top--;
    for (int64_t i = 0; person && i < files.n; i++) { /* sorted by name: those of one folder lie together */
        size_t own = folder_bytes(files.path[i]), before = i ? folder_bytes(files.path[i - 1]) : 0;
        if (own <= top + 1)
            person[i] = -1;
        else if (i && person[i - 1] >= 0 && own == before && !strncmp(files.path[i], files.path[i - 1], own))
            person[i] = person[i - 1];
        else
            person[i] = ((int64_t)1 << 40) + i; /* apart from the numbers of those who are alone */
    }
    if (ret >= 0 && !person)
        ret = MIEN_ERR(ENOMEM);
    if (ret == MIEN_ERR(ENOMEM))
        tool_error(tool, "out of memory");
    else if (ret >= 0 && !files.n)
        ret = -tool_error(tool, "%s: there are no pictures in it", safe(folder));
    else if (ret >= 0)
        ret = take_files(s, tool, f, &files, person, 0);
    mien_free(person);
    files_free(&files);
    return ret < 0 ? -1 : 0;
}

/* ---- lists */

void people_names_free(PeopleNames *p)
{
    for (size_t i = 0; i < p->n; i++)
        mien_free(p->name[i]);
    mien_free(p->name);
    *p = (PeopleNames){ 0 };
}

/* The number of a name, which is added if new; negative: out of memory. Lists name a person in consecutive lines: looked for from the
 * end. */
static int64_t number_of(PeopleNames *p, const char *name)
{
    for (size_t i = p->n; i-- > 0;)
        if (!strcmp(p->name[i], name))
            return (int64_t)i;
    if (p->n == p->room) {
        size_t room = p->room ? 2 * p->room : 64;
        char **grown = mien_realloc_array(p->name, room, sizeof(*grown));
        if (!grown)
            return MIEN_ERR(ENOMEM);
        p->name = grown;
        p->room = room;
    }
    if (!(p->name[p->n] = mien_strdup(name)))
        return MIEN_ERR(ENOMEM);
    return (int64_t)p->n++;
}

static char *join(const char *root, const char *path)
{
    int absolute = *path == '/' || !root;
    size_t bytes = strlen(path) + (absolute ? 0 : strlen(root)) + 2;
    char *text = mien_malloc(bytes);
    if (text)
        snprintf(text, bytes, "%s%s%s", absolute ? "" : root, absolute ? "" : "/", path);
    return text;
}

/* One line, which is changed: a person and a path. 1, 0: nothing in it, -1: no such line. */
static int parse_line(char *line, char **person, char **path)
{
    line[strcspn(line, "\r")] = 0;
    line += strspn(line, " \t");
    if (!*line || *line == '#')
        return 0;
    char *gap = strchr(line, '\t') ? strchr(line, '\t') : strchr(line, ' ');
    if (!gap)
        return -1;
    *gap++ = 0;
    gap += strspn(gap, " \t");
    *person = line;
    *path = gap;
    return *gap ? 1 : -1;
}

/* The list's pictures and whose they are. */
static int read_list(const Tool *tool, const char *list, const char *root, PeopleNames *names, FileList *files, int64_t **person)
{
    uint8_t *data = NULL;
    size_t bytes = 0, n_lines = 1;
    int ret = mieni_file_read(list, MAX_LIST_BYTES, &data, &bytes, tool->log);
    if (ret < 0)
        return ret;
    if (memchr(data, 0, bytes)) {
        mien_free(data);
        return tool_error(tool, "%s: is neither a text file nor safetensors", safe(list)), -1;
    }
    for (size_t i = 0; i < bytes; i++)
        n_lines += data[i] == '\n';
    *person = mien_malloc_array(n_lines, sizeof(**person));
    files->path = mien_calloc(n_lines, sizeof(*files->path));
    if (!*person || !files->path)
        ret = MIEN_ERR(ENOMEM);
    char *line = (char *)data;
    for (int number = 1; ret >= 0 && line; number++) {
        char *end = strchr(line, '\n'), *name, *path;
        if (end)
            *end++ = 0;
        int has = parse_line(line, &name, &path);
        if (has < 0) {
            tool_error(tool, "%s: line %d: a person and a picture are wanted, separated by a tab or a blank", safe(list), number);
            ret = -1;
        } else if (has) {
            (*person)[files->n] = number_of(names, name);
            files->path[files->n] = join(root, path);
            if ((*person)[files->n] < 0 || !files->path[files->n])
                ret = MIEN_ERR(ENOMEM);
            files->n += files->path[files->n] != NULL;
        }
        line = end;
    }
    if (ret == MIEN_ERR(ENOMEM))
        tool_error(tool, "out of memory");
    mien_free(data);
    return ret;
}

int templates_from_list(TemplateSet *s, const Tool *tool, Faces *f, const char *list, const char *root, PeopleNames *names)
{
    FileList files = { 0 };
    int64_t *person = NULL;
    *s = (TemplateSet){ 0 };
    int ret = read_list(tool, list, root, names, &files, &person);
    if (ret >= 0)
        ret = take_files(s, tool, f, &files, person, 1);
    mien_free(person);
    files_free(&files);
    return ret < 0 ? -1 : 0;
}

/* ---- searches */

MienSearchResult *templates_search(const Tool *tool, const MienTemplates *gallery, const MienTemplates *probes, int strangers,
                                   MienSimCounts *counts)
{
    Progress progress;
    int ret = 0;
    MienSearchResult *result = mien_malloc_array(probes->n + 1, sizeof(*result));
    if (!result)
        return tool_error(tool, "out of memory"), NULL;
    progress_begin(&progress, tool, "searches", (int64_t)probes->n);
    for (size_t i = 0; i < probes->n && ret >= 0 && !interrupted(); i += CHUNK) {
        size_t n = probes->n - i < CHUNK ? probes->n - i : CHUNK;
        ret = mien_search_templates(gallery, probes, i, n, strangers, result + i, counts);
        progress_step(&progress, (int64_t)(i + n));
    }
    progress_end(&progress);
    if (ret >= 0 && !interrupted())
        return result;
    mien_free(result);
    tool_error(tool, "%s", ret < 0 ? mien_strerror(ret) : "interrupted");
    return NULL;
}

/* ---- rates as text */

void rate_text(char *buf, size_t bytes, const MienRate *r)
{
    if (isnan(r->rate))
        snprintf(buf, bytes, "not measured");
    else
        snprintf(buf, bytes, "%.3g %% (95 %%: %.3g %% to %.3g %%)", 100 * r->rate, 100 * r->low, 100 * r->high);
}

void rate_json(struct cJSON *to, const char *key, const MienRate *r)
{
    char name[64];
    json_real(to, key, r->rate, 6);
    snprintf(name, sizeof(name), "%s_low", key);
    json_real(to, name, isnan(r->rate) ? NAN : r->low, 6);
    snprintf(name, sizeof(name), "%s_high", key);
    json_real(to, name, isnan(r->rate) ? NAN : r->high, 6);
}
