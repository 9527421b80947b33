/* mien cluster, mien assign: people who are seen and have no name, told apart and, if wanted, named. */
#include <math.h>
#include <string.h>

#include "faces.h"
#include "files.h"
#include "media.h"
#include "mien/tagger.h"

#define MIN_QUALITY 0.35f /* a poorer picture would make a cluster of its own kind of blur */
#define MIN_VIEWS 3       /* of a track */
#define LIVE_MAX 64       /* as many tracks as the tagger remembers: twice its max_faces */

typedef struct ClusterOptions {
    int list;
    double threshold;
} ClusterOptions;

/* The latest template of a track that is a stranger so far. */
typedef struct Live {
    int64_t track; /* 0: free */
    float quality;
    int n_views;
} Live;

typedef struct Cluster {
    const Tool *tool;
    const ClusterOptions *o;
    MienGallery *g;
    Faces faces;
    MienTagger *tagger;
    float min_sim_cos;
    FileList files, pictures; /* pictures: those of the files that are no videos; paths borrowed */
    struct cJSON *sightings;
    Live live[LIVE_MAX];
    float *embedding; /* LIVE_MAX × dim */
    int64_t n_seen, n_new, n_known, n_poor;
    int n_errors;
} Cluster;

/* ---- one sighting */

/* where: "face 2", "track 3, 12.40 to 15.00 s" */
static int take_sighting(Cluster *c, const char *path, const char *where, struct cJSON *j, const float *embedding, float quality)
{
    MienSighting s;
    int ret = mien_gallery_stranger_see(c->g, embedding, c->faces.dim, quality, c->min_sim_cos, &s);
    if (ret < 0)
        return ret;
    c->n_seen++;
    c->n_new += s.is_new;
    double distance = isnan(s.sim_cos) ? NAN : dist_of_cos((double)s.sim_cos);
    json_str(j, "file", path);
    json_int(j, "stranger", s.stranger);
    json_bool(j, "new", s.is_new);
    json_real(j, "distance", distance, 6);
    json_real(j, "quality", (double)quality, 3);
    if (c->tool->json)
        return 0;
    if (s.is_new)
        printf("%s: %s: stranger %lld, new\n", safe(path), where, (long long)s.stranger);
    else
        printf("%s: %s: stranger %lld again (distance %.3f)\n", safe(path), where, (long long)s.stranger, distance);
    return 0;
}

/* ---- pictures */

static int take_picture(void *priv, const Picture *p)
{
    Cluster *c = priv;
    char where[40];
    if (p->err < 0) {
        c->n_errors++;
        tool_error(c->tool, "%s", safe(p->message));
        return 0;
    }
    for (int i = 0; i < p->n_faces; i++) {
        const float *v = p->embedding + (size_t)i * (size_t)c->faces.dim;
        MienMatch m;
        if (!p->sure[i] || p->faces[i].quality.total < MIN_QUALITY) {
            c->n_poor++;
            continue;
        }
        if (mien_gallery_search(c->g, v, c->faces.dim, NULL, &m) < 0)
            return 1;
        if (m.id >= 0 && m.sim_cos >= mien_face_encoder_identify_sim_cos(c->faces.engine[0])) {
            c->n_known++;
            continue;
        }
        struct cJSON *j = json_item_object(c->sightings);
        snprintf(where, sizeof(where), "face %d", i + 1);
        json_int(j, "face", i + 1);
        if (take_sighting(c, p->path, where, j, v, p->faces[i].quality.total) < 0)
            return 1;
    }
    return 0;
}

/* ---- videos: each track that was no enrolled person, when it ends */

static Live *live_of(Cluster *c, int64_t track, int make)
{
    Live *empty = NULL;
    for (int i = 0; i < LIVE_MAX; i++) {
        if (c->live[i].track == track)
            return &c->live[i];
        if (!c->live[i].track && !empty)
            empty = &c->live[i];
    }
    return make ? empty : NULL;
}

static void keep_templates(Cluster *c, const MienTag *tag, int n)
{
    for (int i = 0; i < n; i++) {
        Live *l = tag[i].status == MIEN_STATUS_UNRECOGNISED ? live_of(c, tag[i].track, 1) : NULL;
        if (!l)
            continue;
        l->track = tag[i].track;
        l->n_views = mien_tagger_template(c->tagger, l->track, c->embedding + (size_t)(l - c->live) * (size_t)c->faces.dim, &l->quality);
    }
}

static int take_events(Cluster *c, const char *path)
{
    const MienEvent *event;
    int n = mien_tagger_events(c->tagger, &event), ret = 0;
    for (int i = 0; i < n && ret >= 0; i++) {
        const MienEvent *e = &event[i];
        Live *l = e->kind == MIEN_EVENT_LEAVE ? live_of(c, e->tag.track, 0) : NULL;
        char where[120];
        c->n_known += e->kind == MIEN_EVENT_LEAVE && e->tag.status == MIEN_STATUS_KNOWN;
        if (!l)
            continue;
        l->track = 0;
        if (e->tag.status != MIEN_STATUS_UNRECOGNISED)
            continue;
        if (l->n_views < MIN_VIEWS || l->quality < MIN_QUALITY || e->explanation.reason == MIEN_REASON_IGNORED) {
            c->n_poor += e->explanation.reason != MIEN_REASON_IGNORED;
            c->n_known += e->explanation.reason == MIEN_REASON_IGNORED;
            continue;
        }
        struct cJSON *j = json_item_object(c->sightings);
        json_int(j, "track", e->tag.track);
        json_real(j, "first_s", e->first_time_s, 3);
        json_real(j, "last_s", e->last_time_s, 3);
        snprintf(where, sizeof(where), "track %lld, %.2f to %.2f s", (long long)e->tag.track, e->first_time_s, e->last_time_s);
        ret = take_sighting(c, path, where, j, c->embedding + (size_t)(l - c->live) * (size_t)c->faces.dim, l->quality);
    }
    return ret;
}

static int watch(Cluster *c, const char *path, Media *m)
{
    Progress progress;
    MienImage img;
    const MienTag *tags;
    double time_s;
    int64_t n_frames = 0;
    int ret, n;
    progress_begin(&progress, c->tool, "frames", 0);
    while ((ret = media_next(m, &img, &time_s)) > 0 && !interrupted()) {
        if ((n = ret = mien_tagger_frame(c->tagger, &img, time_s, &tags)) < 0)
            break;
        keep_templates(c, tags, n);
        if ((ret = take_events(c, path)) < 0)
            break;
        progress.share = media_duration_s(m) > 0 ? time_s / media_duration_s(m) : 0;
        progress_step(&progress, ++n_frames);
    }
    progress_end(&progress);
    int flushed = mien_tagger_flush(c->tagger);
    if (ret >= 0)
        ret = flushed < 0 ? flushed : take_events(c, path);
    memset(c->live, 0, sizeof(c->live));
    return ret;
}

/* ---- the commands */

static int open_tagger(Cluster *c)
{
    MienTaggerParams p = MIEN_TAGGER_DEFAULTS;
    p.engine = c->faces.engine[0];
    p.search = mien_gallery_search;
    p.search_priv = c->g;
    p.log = c->tool->log;
    float margin;
    int ret = mien_tagger_create(&c->tagger, &p);
    if (ret < 0)
        return ret;
    mien_tagger_threshold(c->tagger, &c->min_sim_cos, &margin);
    if (c->o->threshold > 0)
        c->min_sim_cos = (float)cos_of_dist(c->o->threshold);
    return 0;
}

static int cluster_files(Cluster *c)
{
    c->pictures.path = mien_malloc_array((size_t)c->files.n + 1, sizeof(char *));
    c->embedding = mien_malloc_array((size_t)LIVE_MAX * (size_t)c->faces.dim, sizeof(float));
    if (!c->pictures.path || !c->embedding)
        return tool_error(c->tool, "out of memory"), -1;
    for (int64_t i = 0; i < c->files.n && !interrupted(); i++) {
        Media *m = NULL;
        int is_video = media_open(&m, c->files.path[i], c->tool->threads, (MienLog){ 0 }) >= 0 && media_is_video(m);
        int ret = is_video ? watch(c, c->files.path[i], m) : 0;
        media_close(&m);
        if (!is_video) /* what cannot be opened is said where pictures are read */
            c->pictures.path[c->pictures.n++] = c->files.path[i];
        if (ret < 0)
            return -1;
    }
    return pictures_each(&c->faces, c->tool, &c->pictures, 1, take_picture, c) ? -1 : 0;
}

/* For the gallery's encoder; an empty gallery is made for the one at hand. */
static int open_all(Cluster *c)
{
    char buf[128];
    const char *encoder;
    const MienFaceEngine *e;
    if (!(c->g = gallery_open(c->tool, MIEN_GALLERY_CREATE)) || gallery_encoder(c->tool, c->g, buf, sizeof(buf), &encoder) < 0 ||
        faces_open(&c->faces, c->tool, encoder, 1, c->files.n) < 0 || gallery_fits(c->tool, c->g, &c->faces) < 0)
        return -1;
    e = c->faces.engine[0];
    if (mien_gallery_bind(c->g, mien_face_encoder_hash(e), mien_face_encoder_name(e), mien_face_encoder_dim(e)) < 0)
        return -1;
    return open_tagger(c);
}

static int report(Cluster *c, int ret)
{
    int status = ret < 0 || c->n_errors || interrupted() ? STATUS_ERROR : STATUS_OK;
    if (!c->tool->json) {
        tool_note(c->tool, "%lld sightings of strangers, %lld of them new; %lld of enrolled people, %lld too poor", (long long)c->n_seen,
                  (long long)c->n_new, (long long)c->n_known, (long long)c->n_poor);
        return status;
    }
    struct cJSON *j = json_object();
    json_int(j, "seen", c->n_seen);
    json_int(j, "new", c->n_new);
    json_int(j, "enrolled", c->n_known);
    json_int(j, "too_poor", c->n_poor);
    json_real(j, "threshold", dist_of_cos((double)c->min_sim_cos), 6);
    json_move(j, "sightings", c->sightings);
    c->sightings = NULL;
    return json_print(c->tool, j, status);
}

static int run_list(const Tool *tool)
{
    MienStranger *s = NULL;
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_READ);
    int n = g ? mien_gallery_strangers(g, &s) : -1;
    struct cJSON *all = tool->json && n >= 0 ? json_array() : NULL;
    for (int i = 0; i < n; i++) {
        struct cJSON *j = json_item_object(all);
        json_int(j, "stranger", s[i].id);
        json_int(j, "samples", s[i].n_samples);
        json_str(j, "first_seen", s[i].first_seen);
        json_str(j, "last_seen", s[i].last_seen);
        if (!tool->json)
            printf("stranger %-5lld %2d sample%s  %s to %s\n", (long long)s[i].id, s[i].n_samples, s[i].n_samples == 1 ? " " : "s",
                   safe(s[i].first_seen), safe(s[i].last_seen));
    }
    if (!n)
        tool_note(tool, "no strangers are kept");
    mien_free(s);
    mien_gallery_close(&g);
    return all ? json_print(tool, all, STATUS_OK) : n < 0 ? STATUS_ERROR : STATUS_OK;
}

static int run_cluster(Tool *tool, const void *options, int n_args, char **args)
{
    Cluster c = { .tool = tool, .o = options };
    int status = STATUS_ERROR, ret = 0;
    if (!n_args == !c.o->list)
        return tool_error(tool, "give pictures or videos, or --list");
    if (c.o->list)
        return run_list(tool);
    for (int i = 0; i < n_args && ret >= 0; i++)
        ret = files_add(&c.files, tool, args[i]);
    if (ret >= 0)
        ret = open_all(&c);
    if (ret >= 0) {
        c.sightings = tool->json ? json_array() : NULL;
        status = report(&c, cluster_files(&c));
    }
    json_free(c.sightings);
    mien_free(c.pictures.path);
    mien_free(c.embedding);
    files_free(&c.files);
    mien_tagger_destroy(&c.tagger);
    faces_close(&c.faces);
    mien_gallery_close(&c.g);
    return status;
}

static const Option cluster_options[] = {
    OPT_FLAG_ROW(ClusterOptions, list, "list", 'l', "list the strangers that are kept"),
    OPT_REAL_ROW(ClusterOptions, threshold, "threshold", 'd', 0, 0.0001, 2, NULL, "what facetag asks for a name",
                 "largest distance to a stranger's mean template at which it is the same one"),
    { .name = NULL },
};

const Command cmd_cluster = {
    .name = "cluster", .group = "People", .summary = "tell people who have no name apart, and know them again", .args = "FILE... | --list",
    .text = "Faces of pictures and tracks of videos that are nobody of the gallery become strangers with a number: each joins the stranger "
            "whose mean template is near enough, or is a new one. Strangers are kept by this command alone, because it was called: "
            "up to 8 templates of each, no pictures. "
            "Give one a name by 'mien assign', forget them by 'mien forget --stranger N' or '--strangers-unseen DAYS'.\n"
            "People who are enrolled, ignored ones among them, are left out; so are doubtful and poor faces, and tracks with fewer than three good views.\n"
            "$ mien cluster door/*.mp4 --gallery home.db\n"
            "$ mien assign 7 \"The postman\" --gallery home.db",
    .options = cluster_options, .options_bytes = sizeof(ClusterOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON, .min_args = 0,
    .max_args = -1, .run = run_cluster,
};

static int run_assign(Tool *tool, const void *options, int n_args, char **args)
{
    int64_t stranger;
    const char *why;
    (void)options, (void)n_args;
    if (parse_int64(args[0], &stranger) < 0)
        return tool_error(tool, "'%s' is no stranger's number; 'mien cluster --list' has them", safe(args[0]));
    if (mien_name_check(args[1], &why) < 0)
        return tool_error(tool, "'%s' cannot be a name: %s", safe(args[1]), why);
    MienGallery *g = gallery_open(tool, MIEN_GALLERY_WRITE);
    int n = g ? mien_gallery_stranger_assign(g, stranger, args[1]) : -1;
    mien_gallery_close(&g);
    if (n < 0)
        return STATUS_ERROR;
    struct cJSON *j = tool->json ? json_object() : NULL;
    json_int(j, "stranger", stranger);
    json_str(j, "name", args[1]);
    json_int(j, "samples", n);
    tool_note(tool, "stranger %lld is '%s': %d sample%s", (long long)stranger, safe(args[1]), n, n == 1 ? "" : "s");
    return j ? json_print(tool, j, STATUS_OK) : STATUS_OK;
}

const Command cmd_assign = {
    .name = "assign", .group = "People", .summary = "give a stranger a name", .args = "STRANGER NAME",
    .text = "The stranger's templates become the person's, who is made if new; the stranger is gone. Several strangers may turn out to be "
            "one person: assign each.",
    .takes = TAKES_GALLERY | TAKES_JSON, .min_args = 2, .max_args = 2, .run = run_assign,
};
