/* mien train similarity: learns the logistic unit of mien/similarity.h from pairs, measures it on people it has not seen, beside the
 * plain distance, and stores it in the gallery. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "faces.h"
#include "portraits.h"
#include "roc.h"
#include "train_pairs.h"

#define FEW_PEOPLE 50

typedef struct TrainOptions {
    int kind, max_pairs, seed, dry_run;
    double l2, holdout;
    const char *pairs, *root, *embeddings;
} TrainOptions;

typedef struct Train {
    const Tool *tool;
    const TrainOptions *o;
    MienGallery *g; /* NULL: nothing is stored */
    MienGalleryModel model;
    Faces faces;
    PairList list;
    Portraits portraits;
    People people;
    TrainPairs pairs;
    MienSimilarity unit;
    MienSimilarityFit fit;
} Train;

/* What a way of comparing does on held-out people, both kinds of pairs counting the same. */
typedef struct Measured {
    double accuracy, threshold; /* distance: threshold chosen on the pairs that were learnt from */
    RocReport roc;
} Measured;

/* ---- where pairs come from */

static int pairs_from_list(Train *t)
{
    const TrainOptions *o = t->o;
    int ret = pairs_read(&t->list, t->tool, o->pairs);
    if (ret < 0)
        return ret;
    char buf[128];
    const char *encoder = NULL;
    if (t->g && (ret = gallery_encoder(t->tool, t->g, buf, sizeof(buf), &encoder)) < 0)
        return ret;
    if (!portraits_there(t->tool, o->root, t->list.picture, t->list.n_pictures) ||
        faces_open(&t->faces, t->tool, encoder, 1, (int64_t)t->list.n_pictures) < 0 ||
        (t->g && gallery_fits(t->tool, t->g, &t->faces) < 0) ||
        portraits_embed(&t->portraits, t->tool, &t->faces, o->root, t->list.picture, t->list.n_pictures) < 0)
        return -1;
    MienFaceEngine *e = t->faces.engine[0];
    if (t->g && (ret = mien_gallery_bind(t->g, mien_face_encoder_hash(e), mien_face_encoder_name(e), t->faces.dim)) < 0)
        return ret;
    t->people.dim = t->faces.dim;
    return train_pairs_of_list(&t->pairs, t->tool, &t->list, t->portraits.embedding, t->faces.dim, o->holdout, (uint64_t)o->seed);
}

static int pairs_from_people(Train *t)
{
    const TrainOptions *o = t->o;
    int ret = o->embeddings ? people_of_file(&t->people, t->tool, o->embeddings) : people_of_gallery(&t->people, t->tool, t->g);
    if (ret < 0)
        return ret;
    if (o->embeddings && t->g && (!*t->model.hash || t->people.dim != t->model.dim ||
                                  (*t->people.encoder && strcmp(t->people.encoder, t->model.hash))))
        return tool_error(t->tool, "%s: %s", safe(o->embeddings), !*t->model.hash
                          ? "the gallery is bound to no encoder yet; enrol somebody first, or measure alone by --dry-run"
                          : "these embeddings are not of the gallery's encoder"), MIEN_E_MISMATCH;
    if (o->embeddings && t->g && !*t->people.encoder)
        tool_warn(t->tool, "%s does not say which encoder made it; %s is assumed, the gallery's", safe(o->embeddings), safe(t->model.name));
    return train_pairs_of_people(&t->pairs, t->tool, &t->people, o->holdout, o->max_pairs, (uint64_t)o->seed);
}

/* ---- measuring */

static double distance_of(const MienPair *p, int dim)
{
    double sum = 0;
    for (int k = 0; k < dim; k++)
        sum += ((double)p->f1[k] - (double)p->f2[k]) * ((double)p->f1[k] - (double)p->f2[k]);
    return sqrt(sum);
}

/* unit NULL: distances. Else the probability of two people, which is small where distances are. */
static RocPair *values_of(const PairSet *s, int dim, const MienSimilarity *unit)
{
    RocPair *v = mien_malloc_array(s->n, sizeof(*v));
    for (size_t i = 0; v && i < s->n; i++) {
        const MienPair *p = &s->pair[i];
        v[i] = (RocPair){ unit ? mien_similarity_prob(-mien_similarity_logit(unit, p->f1, p->f2)) : distance_of(p, dim), p->same };
    }
    return v;
}

static int by_value(const void *a, const void *b)
{
    const RocPair *x = a, *y = b;
    return x->dist < y->dist ? -1 : x->dist > y->dist;
}

/* Mean of the shares of right answers among same and among different pairs, where dist <= threshold is the same person. */
static double balanced(const RocPair *v, size_t n, double threshold)
{
    double right[2] = { 0 }, all[2] = { 0 };
    for (size_t i = 0; i < n; i++) {
        all[v[i].same]++;
        right[v[i].same] += (v[i].dist <= threshold) == v[i].same;
    }
    return (right[0] / all[0] + right[1] / all[1]) / 2;
}

/* The threshold with the best balanced accuracy; v is sorted by it. */
static double best_balanced(RocPair *v, size_t n, size_t n_same)
{
    double least = -1, best = -1, gain = 0;
    qsort(v, n, sizeof(*v), by_value);
    for (size_t i = 0; i < n; i++) {
        gain += v[i].same ? 1 / (double)n_same : -1 / (double)(n - n_same);
        if (gain > best && (i + 1 == n || v[i + 1].dist > v[i].dist)) {
            best = gain;
            least = i + 1 < n ? (v[i].dist + v[i + 1].dist) / 2 : v[i].dist;
        }
    }
    return least;
}

static int measure(const Train *t, const MienSimilarity *unit, Measured *m)
{
    const PairSet *train = &t->pairs.part[0], *held = &t->pairs.part[1];
    RocPair *v = values_of(held, t->people.dim, unit), *learnt_from = unit ? NULL : values_of(train, t->people.dim, NULL);
    int ret = v && (unit || learnt_from) ? 0 : MIEN_ERR(ENOMEM);
    if (!ret) {
        m->threshold = unit ? 0.5 : best_balanced(learnt_from, train->n, train->n_same);
        m->accuracy = balanced(v, held->n, m->threshold);
        ret = roc_report(v, held->n, &m->roc);
    }
    mien_free(v);
    mien_free(learnt_from);
    if (ret < 0)
        tool_error(t->tool, "%s", mien_strerror(ret));
    return ret;
}

/* ---- the answer */

typedef struct WeightStats {
    double least, most, mean, norm;
    int n_positive; /* coordinates whose difference speaks for the same person */
} WeightStats;

static WeightStats weight_stats(const MienSimilarity *u)
{
    WeightStats s = { (double)u->w[0], (double)u->w[0], 0, 0, 0 };
    for (int k = 0; k < u->dim; k++) {
        s.least = fmin(s.least, (double)u->w[k]);
        s.most = fmax(s.most, (double)u->w[k]);
        s.mean += (double)u->w[k] / u->dim;
        s.norm += (double)u->w[k] * (double)u->w[k];
        s.n_positive += u->w[k] > 0;
    }
    s.norm = sqrt(s.norm);
    return s;
}

static void measured_json(struct cJSON *j, const char *key, const Measured *m, int with_threshold)
{
    struct cJSON *o = json_add_object(j, key);
    json_real(o, "accuracy", m->accuracy, 6);
    if (with_threshold)
        json_real(o, "threshold", m->threshold, 6);
    json_real(o, "auc", m->roc.auc, 6);
    json_real(o, "eer", m->roc.eer, 6);
    json_real(o, "tar_at_far_1e-2", m->roc.at_1e2.tar, 6);
    json_real(o, "tar_at_far_1e-3", m->roc.at_1e3.tar, 6);
}

static int answer(const Train *t, const Measured *learnt, const Measured *plain)
{
    const TrainPairs *p = &t->pairs;
    WeightStats w = weight_stats(&t->unit);
    const char *kind = mien_similarity_name(t->unit.kind);
    if (t->tool->json) {
        struct cJSON *j = json_object(), *o;
        json_str(j, "kind", kind);
        json_str(j, "gallery", t->g && !t->o->dry_run ? mien_gallery_path(t->g) : NULL);
        for (int k = 0; k < 2; k++) {
            o = json_add_object(j, k ? "held_out" : "learnt_from");
            json_int(o, "people", p->people[k]);
            json_int(o, "pairs_same", (int64_t)p->part[k].n_same);
            json_int(o, "pairs_different", (int64_t)(p->part[k].n - p->part[k].n_same));
        }
        json_int(j, "pairs_dropped", p->n_dropped);
        measured_json(j, "learnt", learnt, 0);
        measured_json(j, "distance", plain, 1);
        o = json_add_object(j, "fit");
        json_real(o, "cross_entropy", t->fit.loss, 6);
        json_int(o, "iterations", t->fit.iterations);
        json_bool(o, "converged", t->fit.converged);
        o = json_add_object(j, "weights");
        json_int(o, "count", t->unit.dim);
        json_real(o, "least", w.least, 4);
        json_real(o, "most", w.most, 4);
        json_real(o, "mean", w.mean, 4);
        json_real(o, "norm", w.norm, 4);
        json_int(o, "positive", w.n_positive);
        json_real(o, "b", (double)t->unit.b, 4);
        return json_print(t->tool, j, STATUS_OK);
    }
    for (int k = 0; k < 2; k++)
        printf("%-12s %lld people, %zu pairs of one person, %zu of two\n", k ? "held out" : "learnt from", (long long)p->people[k],
               p->part[k].n_same, p->part[k].n - p->part[k].n_same);
    if (p->n_dropped)
        printf("left out     %lld pairs between a person learnt from and one held out\n", (long long)p->n_dropped);
    printf("on people held out, both kinds of pairs counting the same:\n"
           "  %-9s  accuracy %.2f %%, TAR at FAR 1e-2 %.2f %%, 1e-3 %.2f %%, EER %.2f %%\n"
           "  %-9s  accuracy %.2f %%, TAR at FAR 1e-2 %.2f %%, 1e-3 %.2f %%, EER %.2f %%  (threshold %.4f)\n",
           kind, 100 * learnt->accuracy, 100 * learnt->roc.at_1e2.tar, 100 * learnt->roc.at_1e3.tar, 100 * learnt->roc.eer, "distance",
           100 * plain->accuracy, 100 * plain->roc.at_1e2.tar, 100 * plain->roc.at_1e3.tar, 100 * plain->roc.eer, plain->threshold);
    printf("weights      %d from %.2f to %.2f, mean %.2f, %d above 0; b %.2f\n", t->unit.dim, w.least, w.most, w.mean, w.n_positive,
           (double)t->unit.b);
    printf("fit          cross entropy %.4f after %d iterations%s\n", t->fit.loss, t->fit.iterations, t->fit.converged ? "" : ", not converged");
    if (t->g && !t->o->dry_run)
        printf("stored in    %s\n", safe(mien_gallery_path(t->g)));
    return STATUS_OK;
}

static int learn_and_measure(Train *t)
{
    const TrainOptions *o = t->o;
    Measured learnt, plain;
    MienSimilarityParams params = MIEN_SIMILARITY_DEFAULTS;
    params.kind = o->kind ? MIEN_SIMILARITY_CHI2 : MIEN_SIMILARITY_LOGISTIC;
    params.dim = t->people.dim;
    params.l2 = o->l2;
    params.log = t->tool->log;
    if (mien_similarity_train(&t->unit, &params, t->pairs.part[0].pair, t->pairs.part[0].n, &t->fit) < 0 ||
        measure(t, &t->unit, &learnt) < 0 || measure(t, NULL, &plain) < 0)
        return STATUS_ERROR;
    if (t->pairs.people[0] < FEW_PEOPLE)
        tool_warn(t->tool, "learnt from %lld people: the weights fit these few, not people in general; hundreds are wanted", (long long)t->pairs.people[0]);
    if (!t->fit.converged)
        tool_warn(t->tool, "stopped after %d iterations before the minimum; a larger --l2 makes it easier", t->fit.iterations);
    if (learnt.accuracy < plain.accuracy)
        tool_warn(t->tool, "on people it has not seen the learnt unit is worse than the plain distance; more people, or a larger --l2, may help");
    MienGallerySimilarity s = { .unit = t->unit, .n_pairs = (int64_t)t->pairs.part[0].n, .accuracy = learnt.accuracy };
    if (t->g && !o->dry_run && mien_gallery_set_similarity(t->g, &s) < 0)
        return STATUS_ERROR;
    return answer(t, &learnt, &plain);
}

static int run_train_similarity(Tool *tool, const void *options, int n_args, char **args)
{
    Train t = { .tool = tool, .o = options };
    int status = STATUS_ERROR;
    (void)n_args, (void)args;
    if (t.o->pairs && t.o->embeddings)
        return tool_error(tool, "--pairs and --embeddings are two sources; give one, or neither for the gallery's own templates");
    if (t.o->root && !t.o->pairs)
        return tool_error(tool, "--root belongs to --pairs");
    int needs_gallery = !t.o->dry_run || (!t.o->pairs && !t.o->embeddings);
    if (needs_gallery && !(t.g = gallery_open(tool, t.o->dry_run ? MIEN_GALLERY_READ : MIEN_GALLERY_WRITE)))
        return STATUS_ERROR;
    if ((!t.g || mien_gallery_model(t.g, &t.model) >= 0) && (t.o->pairs ? pairs_from_list(&t) : pairs_from_people(&t)) >= 0)
        status = learn_and_measure(&t);
    train_pairs_free(&t.pairs);
    people_free(&t.people);
    portraits_free(&t.portraits);
    pairs_free(&t.list);
    faces_close(&t.faces);
    mien_gallery_close(&t.g);
    return status;
}

static const Option train_options[] = {
    OPT_WORD_ROW(TrainOptions, kind, "kind", 'k', 0, "logistic|chi2",
                 "what is learnt on: absolute differences, or their squares over the sum of absolute values"),
    OPT_TEXT_ROW(TrainOptions, pairs, "pairs", 'p', "FILE", "the gallery's templates",
                 "learn from pairs of pictures: two paths and 1 (same person) or 0 a line"),
    OPT_TEXT_ROW(TrainOptions, root, "root", 'r', "DIR", "the current folder", "folder that the paths of --pairs begin at"),
    OPT_TEXT_ROW(TrainOptions, embeddings, "embeddings", 0, "FILE", NULL,
                 "learn from a safetensors file with tensors embedding and person, as 'mien export' writes"),
    OPT_REAL_ROW(TrainOptions, l2, "l2", 0, 1e-3, 1e-9, 1e3, NULL, NULL, "strength of the pull of the weights towards 0"),
    OPT_REAL_ROW(TrainOptions, holdout, "holdout", 0, 0.3, 0.05, 0.95, NULL, NULL, "share of the people that is measured on, not learnt from"),
    OPT_INT_ROW(TrainOptions, max_pairs, "max-pairs", 0, 20000, 10, 10000000, NULL, NULL, "pairs of each kind, at most; more are drawn from"),
    OPT_INT_ROW(TrainOptions, seed, "seed", 0, 1, 0, 2147483647, NULL, NULL, "for the split and the draws"),
    OPT_FLAG_ROW(TrainOptions, dry_run, "dry-run", 'n', "measure, but store nothing"),
    { .name = NULL },
};

const Command cmd_train_similarity = {
    .name = "train similarity", .group = "Learning", .summary = "learn when two templates are the same person's", .args = "",
    .text = "Learns weights for the differences of two templates from pairs of the same person and of different people, measures them on people "
            "held out, beside the plain distance, and stores them in the gallery. Pairs come from the gallery itself, which takes several people with "
            "several pictures each, from pictures (--pairs) or from templates in a file (--embeddings).\n"
            "'mien identify', 'mien verify' and facetag use what was learnt by their option similarity. docs/training.md explains the method.\n"
            "$ mien train similarity --gallery staff.db\n"
            "$ mien train similarity --kind chi2 --pairs pairs.txt --root lfw/ --gallery staff.db",
    .options = train_options, .options_bytes = sizeof(TrainOptions), .takes = TAKES_GALLERY | TAKES_FACES | TAKES_JSON,
    .max_args = 0, .run = run_train_similarity,
};
