/* train.c — the trainer of mien/train.h: batches, epochs, measuring, checkpoints. The network's arithmetic is core/nn's, the steps are
 * core/optim's; here is what lies between. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "face/face_int.h"
#include "face/train_int.h"
#include "mien/error.h"
#include "mien/train.h"
#include "mien/weights.h"

#define COLLAPSED 1e-3      /* spread at and below which all embeddings are as good as one … */
#define COLLAPSED_SHARE 0.1 /* … where the start's was this much larger */
#define MAX_JOBS 64
#define CHECKPOINT_KIND "triplet-checkpoint"

/* A tensor that changes: where it lies in the flat vector, in the model, and where its gradient is. */
typedef struct Part {
    float *weight;
    const float *gradient;
    size_t at, n;
} Part;

typedef struct People {
    int n, n_several; /* people to learn from; those with several faces come first */
    int *first, *count; /* of each: into row, how many */
    int *row;           /* faces to learn from, by person */
    int *order;         /* scratch */
} People;

struct MienTrainer {
    MienTrainParams p;
    MienModel *model; /* the copy */
    MieniInput input;
    int dim, size_px, batch;
    MienNet *net, *measuring; /* forward and back; forward alone */
    Part *part;
    int n_parts;
    size_t n; /* numbers that change */
    float *x, *best_x;
    MienOptim *optim;
    People people;
    uint8_t *scratch; /* MAX_JOBS × two chips */
    /* of the batch in hand */
    int n_rows, *batch_row;
    int32_t *batch_person;
    uint64_t batch_seed;
    MienTripletLoss batch_loss;
    float *held_embedding;
    int32_t *held_person;
    int *held_row, n_held;
    MienTrainEpoch *epoch;
    int n_epochs, cap_epochs, best;
    char *recipe;
};

static int fail(const MienTrainer *t, int err, const char *what)
{
    return mien_fail(t->p.log, err, "training: %s", what);
}

/* Embeddings or losses that are no numbers any more, or something usual. */
static int broken(const MienTrainer *t, int err)
{
    return fail(t, err, err == MIEN_ERR(EDOM) ? "it diverged: an embedding is not finite, or of length 0; a smaller rate may help" : mien_strerror(err));
}

/* ---- faces into the network */

typedef struct Fill {
    const MienTrainer *t;
    const int *row;
    int n;
    unsigned augment;
    float *input;
} Fill;

static void fill_job(void *arg, int i_job, int n_jobs)
{
    const Fill *f = arg;
    const MienTrainer *t = f->t;
    int px = t->p.faces->chip_px;
    size_t bytes = (size_t)px * (size_t)px * 3, elems = (size_t)t->size_px * (size_t)t->size_px * (size_t)t->input.n_channels;
    for (int i = i_job; i < f->n; i += n_jobs)
        mieni_augment(t->p.faces->rgb8 + (size_t)f->row[i] * bytes, px, f->augment, mieni_rng_split(t->batch_seed, (uint64_t)i), &t->input,
                      f->input + (size_t)i * elems, t->size_px, t->scratch + (size_t)i_job * 2 * bytes);
}

/* Rows of the batch that no face fills are black; their embeddings count nowhere. */
static void fill(const MienTrainer *t, MienNet *net, const int *row, int n, unsigned augment)
{
    MienShape s;
    Fill f = { t, row, n, augment, mien_net_input(net, &s) };
    memset(f.input, 0, mien_shape_elems(s) * sizeof(float));
    int n_jobs = t->p.exec.n_threads < 1 ? 1 : t->p.exec.n_threads > MAX_JOBS ? MAX_JOBS : t->p.exec.n_threads;
    mien_exec_run(t->p.exec, fill_job, &f, n_jobs);
}

static void set_weights(MienTrainer *t, const float *x)
{
    for (int i = 0; i < t->n_parts; i++)
        memcpy(t->part[i].weight, x + t->part[i].at, t->part[i].n * sizeof(float));
}

/* The optimiser's objective: the loss of the batch in hand at weights x. */
static int objective(void *priv, const float *x, double *loss, float *gradient)
{
    MienTrainer *t = priv;
    MienShape s;
    MienTripletParams p = { t->p.choice, t->dim, t->p.margin, t->batch_seed, { 0 } };
    set_weights(t, x);
    fill(t, t->net, t->batch_row, t->n_rows, t->p.augment);
    int ret = mien_net_run(t->net);
    float *g = mien_net_output_grad(t->net, 0, &s);
    if (ret >= 0) {
        memset(g, 0, mien_shape_elems(s) * sizeof(float));
        ret = mien_triplet_loss(&p, mien_net_output(t->net, 0, NULL), t->batch_person, t->n_rows, &t->batch_loss, g);
    }
    if (ret >= 0)
        ret = mien_net_backward(t->net);
    if (ret < 0)
        return ret;
    for (int i = 0; i < t->n_parts; i++)
        memcpy(gradient + t->part[i].at, t->part[i].gradient, t->part[i].n * sizeof(float));
    *loss = t->batch_loss.loss;
    return 0;
}

/* ---- batches */

static void shuffle(int *x, int n, uint64_t *rng)
{
    for (int i = n; i > 1; i--) {
        int k = (int)mieni_rng_below(rng, (uint32_t)i), v = x[i - 1];
        x[i - 1] = x[k];
        x[k] = v;
    }
}

/* People with several faces make the pairs; up to a quarter of a batch are people of one face, to be told apart from. */
static void draw_batch(MienTrainer *t, uint64_t seed)
{
    People *q = &t->people;
    uint64_t rng = seed;
    int most = t->p.batch_people, single = q->n - q->n_several, several;
    single = single < most / 4 ? single : most / 4;
    several = q->n_several < most - single ? q->n_several : most - single;
    if (several + single < 2 && q->n > q->n_several)
        single = 2 - several;
    for (int i = 0; i < q->n; i++)
        q->order[i] = i;
    shuffle(q->order, q->n_several, &rng);
    shuffle(q->order + q->n_several, q->n - q->n_several, &rng);
    t->n_rows = 0;
    for (int i = 0; i < several + single; i++) {
        int who = i < several ? q->order[i] : q->order[q->n_several + i - several];
        int *row = q->row + q->first[who], n = q->count[who] < t->p.batch_faces ? q->count[who] : t->p.batch_faces;
        for (int k = 0; k < n; k++) { /* a random choice of n, brought to the front; which order they are left in is undone below */
            int j = k + (int)mieni_rng_below(&rng, (uint32_t)(q->count[who] - k)), v = row[k];
            row[k] = row[j];
            row[j] = v;
            t->batch_row[t->n_rows] = row[k];
            t->batch_person[t->n_rows++] = who;
        }
        for (int k = 1; k < q->count[who]; k++) /* so that a batch follows from its seed alone */
            for (int j = k, v; j > 0 && row[j - 1] > row[j]; j--)
                v = row[j], row[j] = row[j - 1], row[j - 1] = v;
    }
    t->batch_seed = mieni_rng_u64(&rng);
}

/* ---- measuring */

static int embed_held(MienTrainer *t)
{
    for (int at = 0; at < t->n_held; at += t->batch) {
        int n = t->n_held - at < t->batch ? t->n_held - at : t->batch;
        fill(t, t->measuring, t->held_row + at, n, 0);
        int ret = mien_net_run(t->measuring);
        if (ret < 0)
            return ret;
        memcpy(t->held_embedding + (size_t)at * (size_t)t->dim, mien_net_output(t->measuring, 0, NULL), (size_t)n * (size_t)t->dim * sizeof(float));
    }
    return 0;
}

/* Appends an account whose `held` is measured with the weights of now. */
static int add_epoch(MienTrainer *t, MienTrainEpoch e)
{
    MienTripletParams p = { t->p.choice, t->dim, t->p.margin, 0, { 0 } };
    if (t->n_epochs == t->cap_epochs) {
        int cap = t->cap_epochs ? 2 * t->cap_epochs : 32;
        MienTrainEpoch *grown = mien_realloc_array(t->epoch, (size_t)cap, sizeof(*grown));
        if (!grown)
            return fail(t, MIEN_ERR(ENOMEM), "out of memory");
        t->epoch = grown;
        t->cap_epochs = cap;
    }
    set_weights(t, t->x);
    int ret = embed_held(t);
    if (ret < 0 || (ret = mien_triplet_measure(&p, t->held_embedding, t->held_person, t->n_held, &e.held)) < 0)
        return broken(t, ret);
    t->epoch[t->n_epochs++] = e;
    if (t->n_epochs == 1 || e.held.loss < t->epoch[t->best].held.loss) {
        t->best = t->n_epochs - 1;
        memcpy(t->best_x, t->x, t->n * sizeof(float));
    }
    return 0;
}

static int collapsed(const MienTrainer *t, const MienTrainEpoch *e)
{
    double start = t->epoch[0].held.spread, now = fmin(e->spread, e->held.spread);
    return now <= COLLAPSED && now < COLLAPSED_SHARE * start;
}

int mien_trainer_epoch(MienTrainer *t)
{
    MienTrainEpoch e = { 0 };
    double n_triplets = 0;
    int n_batches = (t->people.first[t->people.n - 1] + t->people.count[t->people.n - 1] + t->batch - 1) / t->batch;
    uint64_t seed = mieni_rng_split(t->p.seed, (uint64_t)t->n_epochs);
    for (int i = 0; i < n_batches; i++) {
        draw_batch(t, mieni_rng_split(seed, (uint64_t)i));
        int ret = mien_optim_step(t->optim, objective, t, t->x);
        if (ret < 0)
            return broken(t, ret);
        e.loss += t->batch_loss.loss / n_batches;
        e.spread += t->batch_loss.spread / n_batches;
        n_triplets += (double)t->batch_loss.n_triplets;
        for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++)
            e.active[c] += (double)t->batch_loss.n_active[c];
    }
    for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++)
        e.active[c] /= n_triplets > 0 ? n_triplets : 1;
    int ret = add_epoch(t, e);
    if (ret < 0)
        return ret;
    const MienTrainEpoch *last = &t->epoch[t->n_epochs - 1];
    if (!collapsed(t, last))
        return 0;
    return mien_fail(t->p.log, MIEN_ERR(EDOM), "training: it collapsed in epoch %d: the embeddings of all faces are nearly the same (spread %.1e, %.1e at the "
                     "start); %s, or a smaller rate, may help", t->n_epochs - 1, fmin(last->spread, last->held.spread), t->epoch[0].held.spread,
                     t->p.choice == MIEN_TRIPLET_HARD ? "semi-hard triplets" : "a larger margin");
}

int mien_trainer_history(const MienTrainer *t, const MienTrainEpoch **epochs, int *best)
{
    *epochs = t->epoch;
    if (best)
        *best = t->best;
    return t->n_epochs - 1;
}

uint64_t mien_trainer_params(const MienTrainer *t)
{
    return t->n;
}

const char *mien_trainer_recipe(const MienTrainer *t)
{
    return t->recipe;
}

/* ---- making one */

void mien_trainer_destroy(MienTrainer **trainer)
{
    MienTrainer *t = trainer ? *trainer : NULL;
    if (!t)
        return;
    mien_net_destroy(&t->net);
    mien_net_destroy(&t->measuring);
    mien_model_unref(&t->model);
    mien_optim_destroy(&t->optim);
    void *const block[] = { t->part, t->x, t->best_x, t->people.first, t->people.count, t->people.row, t->people.order, t->scratch, t->batch_row,
                            t->batch_person, t->held_embedding, t->held_person, t->held_row, t->epoch, t->recipe };
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(block); i++)
        mien_free(block[i]);
    mien_free(t);
    *trainer = NULL;
}

static int make_nets(MienTrainer *t)
{
    const MienTrainParams *p = &t->p;
    MienNetParams np = MIEN_NET_DEFAULTS;
    MienShape in, out;
    int ret = mien_model_copy(&t->model, p->model, p->log);
    if (ret < 0)
        return ret;
    if (mieni_input_parse(&t->input, mien_model_meta(t->model, "input.channels"), mien_model_meta(t->model, "input.mean"),
                          mien_model_meta(t->model, "input.scale")) < 0)
        return mien_fail(p->log, MIEN_E_MODEL, "%s: mien.input.channels, mean or scale is missing or damaged", mien_model_path(t->model));
    np.exec = p->exec;
    np.log = p->log;
    np.n = t->batch;
    if ((ret = mien_net_create(&t->measuring, t->model, &np)) < 0)
        return ret;
    np.grad = MIEN_NET_GRAD_WEIGHTS;
    np.train = p->layers;
    np.n_train = p->n_layers;
    if ((ret = mien_net_create(&t->net, t->model, &np)) < 0)
        return ret;
    mien_net_input(t->net, &in);
    if (!mien_net_output(t->net, 0, &out) || mien_net_n_outputs(t->net) != 1 || in.h != in.w || in.c != t->input.n_channels)
        return mien_fail(p->log, MIEN_E_MODEL, "%s: is no encoder: one square input and one output are wanted", mien_model_path(t->model));
    t->size_px = in.w;
    t->dim = (int)(mien_shape_elems(out) / (size_t)out.n);
    if (p->faces->chip_px != MIEN_TRAIN_CHIP_PX(t->size_px))
        return mien_fail(p->log, MIEN_ERR(EINVAL), "training: faces of %d px, an encoder of %d px wants %d", p->faces->chip_px, t->size_px,
                         MIEN_TRAIN_CHIP_PX(t->size_px));
    return 0;
}

/* The tensors that change, one behind the other as x. */
static int make_parts(MienTrainer *t)
{
    t->n_parts = mien_net_n_weight_grads(t->net);
    if (!t->n_parts)
        return fail(t, MIEN_ERR(EINVAL), "the chosen layers have no weights");
    if (!(t->part = mien_calloc((size_t)t->n_parts, sizeof(*t->part))))
        return fail(t, MIEN_ERR(ENOMEM), "out of memory");
    for (int i = 0; i < t->n_parts; i++) {
        const char *name;
        Part *part = &t->part[i];
        part->gradient = mien_net_weight_grad_at(t->net, i, &name, &part->n);
        part->weight = mien_model_weight(t->model, name, NULL);
        part->at = t->n;
        t->n += part->n;
    }
    t->x = mien_malloc_array(t->n, sizeof(float));
    t->best_x = mien_malloc_array(t->n, sizeof(float));
    MienOptimParams op = MIEN_OPTIM_DEFAULTS;
    op.kind = t->p.optimiser;
    op.n = t->n;
    op.exec = t->p.exec;
    op.log = t->p.log;
    op.rate = t->p.rate;
    op.momentum = t->p.momentum;
    op.beta2 = 0.999;
    op.gradient_tol = 0; /* a batch without an active triplet is no end */
    if (!t->x || !t->best_x)
        return fail(t, MIEN_ERR(ENOMEM), "out of memory");
    for (int i = 0; i < t->n_parts; i++)
        memcpy(t->x + t->part[i].at, t->part[i].weight, t->part[i].n * sizeof(float));
    return mien_optim_create(&t->optim, &op);
}

/* Sorts faces into people to learn from, those with several first, and faces held out. */
static int make_people(MienTrainer *t)
{
    const MienTrainFaces *f = t->p.faces;
    People *q = &t->people;
    size_t n = (size_t)f->n + 1;
    int max_person = 0, at = 0;
    for (int i = 0; i < f->n; i++)
        max_person = f->person[i] > max_person ? f->person[i] : max_person;
    int *count = mien_calloc((size_t)max_person + 1, sizeof(*count));
    q->first = mien_malloc_array(n, sizeof(int));
    q->count = mien_malloc_array(n, sizeof(int));
    q->row = mien_malloc_array(n, sizeof(int));
    q->order = mien_malloc_array(n, sizeof(int));
    t->held_row = mien_malloc_array(n, sizeof(int));
    t->held_person = mien_malloc_array(n, sizeof(int32_t));
    if (!count || !q->first || !q->count || !q->row || !q->order || !t->held_row || !t->held_person) {
        mien_free(count);
        return fail(t, MIEN_ERR(ENOMEM), "out of memory");
    }
    for (int i = 0; i < f->n; i++) {
        count[f->person[i]] += !f->held[i];
        if (f->held[i]) {
            t->held_row[t->n_held] = i;
            t->held_person[t->n_held++] = f->person[i];
        }
    }
    for (int several = 1; several >= 0; several--) {
        for (int who = 0; who <= max_person; who++) {
            if (!count[who] || (count[who] > 1) != several)
                continue;
            q->first[q->n] = at;
            for (int i = 0; i < f->n; i++)
                if (f->person[i] == who && !f->held[i])
                    q->row[at++] = i;
            q->count[q->n++] = count[who];
            q->n_several += several;
        }
    }
    mien_free(count);
    int pairs = 0, others = 0;
    for (int i = 1; i < t->n_held; i++) {
        others |= t->held_person[i] != t->held_person[0];
        for (int k = 0; k < i; k++)
            pairs |= t->held_person[i] == t->held_person[k];
    }
    if (q->n < 2 || !q->n_several || !pairs || !others)
        return fail(t, MIEN_ERR(EINVAL), "to learn from and to measure on at least two people each are needed, one of them with two faces");
    return 0;
}

static int make_scratch(MienTrainer *t)
{
    size_t chip = (size_t)t->p.faces->chip_px * (size_t)t->p.faces->chip_px * 3;
    t->scratch = mien_malloc_array(MAX_JOBS, 2 * chip);
    t->batch_row = mien_malloc_array((size_t)t->batch, sizeof(int));
    t->batch_person = mien_malloc_array((size_t)t->batch, sizeof(int32_t));
    t->held_embedding = mien_malloc_array((size_t)t->n_held * (size_t)t->dim, sizeof(float));
    return t->scratch && t->batch_row && t->batch_person && t->held_embedding ? 0 : fail(t, MIEN_ERR(ENOMEM), "out of memory");
}

static void digest(const MienTrainFaces *f, char hex[65])
{
    char all[3][65];
    mieni_sha256_hex(f->rgb8, (size_t)f->n * (size_t)f->chip_px * (size_t)f->chip_px * 3, all[0]);
    mieni_sha256_hex(f->person, (size_t)f->n * sizeof(int32_t), all[1]);
    mieni_sha256_hex(f->held, (size_t)f->n, all[2]);
    mieni_sha256_hex(all, sizeof(all), hex);
}

static int make_recipe(MienTrainer *t)
{
    static const struct {
        unsigned bit;
        const char *name;
    } word[] = { { MIEN_AUGMENT_FLIP, "flip" }, { MIEN_AUGMENT_CROP, "crop" }, { MIEN_AUGMENT_COLOUR, "colour" }, { MIEN_AUGMENT_BLUR, "blur" } };
    const MienTrainParams *p = &t->p;
    char augment[64] = "", layers[128] = "all", faces[65], text[1024];
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(word); i++)
        if (p->augment & word[i].bit)
            snprintf(augment + strlen(augment), sizeof(augment) - strlen(augment), "%s%s", *augment ? "+" : "", word[i].name);
    for (int i = 0, at = 0; p->layers && i < p->n_layers && at < (int)sizeof(layers); i++)
        at += snprintf(layers + at, sizeof(layers) - (size_t)at, "%s%s", i ? "+" : "", p->layers[i]);
    digest(p->faces, faces);
    snprintf(text, sizeof(text), "triplet loss; from %.12s; layers %s, %zu weights; %s triplets, margin %g; %s, rate %g, momentum %g; "
             "batches of %d people, %d faces; augmented by %s; seed %" PRIu64 "; %d faces, %.12s", mien_model_hash(p->model),
             layers, t->n, mien_triplet_choice_name(p->choice), p->margin, p->optimiser == MIEN_OPTIM_ADAM ? "Adam" : "SGD", p->rate, p->momentum,
             p->batch_people, p->batch_faces, *augment ? augment : "nothing", p->seed, p->faces->n, faces);
    return (t->recipe = mien_strdup(text)) ? 0 : fail(t, MIEN_ERR(ENOMEM), "out of memory");
}

static int params_valid(const MienTrainParams *p)
{
    const MienTrainFaces *f = p->faces;
    int ok = p->model && f && f->n > 0 && f->rgb8 && f->person && f->held && (p->optimiser == MIEN_OPTIM_ADAM || p->optimiser == MIEN_OPTIM_SGD) &&
             p->rate > 0 && p->margin > 0 && p->batch_people >= 2 && p->batch_faces >= 2 && p->batch_people <= 1024 && p->batch_faces <= 1024 &&
             p->batch_people * p->batch_faces <= 4096;
    for (int i = 0; ok && i < f->n; i++)
        ok = f->person[i] >= 0 && f->person[i] < f->n;
    return ok;
}

int mien_trainer_create(MienTrainer **trainer, const MienTrainParams *params)
{
    *trainer = NULL;
    if (!params_valid(params))
        return mien_fail(params->log, MIEN_ERR(EINVAL), "training: a parameter is out of range");
    MienTrainer *t = mien_calloc(1, sizeof(*t));
    if (!t)
        return mien_fail(params->log, MIEN_ERR(ENOMEM), "training: out of memory");
    t->p = *params;
    t->batch = params->batch_people * params->batch_faces;
    int ret = make_nets(t);
    if (ret >= 0 && (ret = make_parts(t)) >= 0 && (ret = make_people(t)) >= 0 && (ret = make_scratch(t)) >= 0 && (ret = make_recipe(t)) >= 0)
        ret = add_epoch(t, (MienTrainEpoch){ 0 });
    t->p.layers = NULL;
    t->p.model = NULL;
    if (ret < 0) {
        mien_trainer_destroy(&t);
        return ret;
    }
    *trainer = t;
    return 0;
}

/* ---- files */

int mien_trainer_pack(MienTrainer *t, const char *name, uint8_t **data, size_t *bytes)
{
    char epoch[16];
    const MienMeta meta[] = { { "mien.name", name }, { "mien.parent", mien_model_hash(t->model) }, { "mien.parent.name", mien_model_meta(t->model, "name") },
                              { "mien.recipe", t->recipe }, { "mien.epoch", epoch } };
    snprintf(epoch, sizeof(epoch), "%d", t->best);
    set_weights(t, t->best_x);
    int ret = mien_model_pack(t->model, meta, MIEN_ARRAY_ELEMS(meta), data, bytes, t->p.log);
    set_weights(t, t->x);
    return ret;
}

/* Rows of the history as plain numbers. */
enum { HISTORY = 2 + MIEN_TRIPLET_N_CHOICES + 4 };

static void pack_epoch(const MienTrainEpoch *e, double row[HISTORY])
{
    int k = 0;
    row[k++] = e->loss;
    row[k++] = e->spread;
    for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++)
        row[k++] = e->active[c];
    row[k++] = e->held.loss;
    row[k++] = e->held.accuracy;
    row[k++] = e->held.auc;
    row[k++] = e->held.spread;
}

static void unpack_epoch(MienTrainEpoch *e, const double row[HISTORY], const MienTripletMeasure *counts)
{
    int k = 0;
    e->loss = row[k++];
    e->spread = row[k++];
    for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++)
        e->active[c] = row[k++];
    e->held = *counts;
    e->held.loss = row[k++];
    e->held.accuracy = row[k++];
    e->held.auc = row[k++];
    e->held.spread = row[k++];
}

static MienTensor tensor(const char *name, MienDtype dtype, int64_t rows, int64_t columns, const void *data)
{
    MienTensor t = { .name = name, .dtype = dtype, .n_dims = columns ? 2 : 1, .dim = { rows, columns }, .data = data };
    t.bytes = (size_t)rows * (size_t)(columns ? columns : 1) * mien_dtype_bytes(dtype);
    return t;
}

int mien_trainer_save(const MienTrainer *t, const char *path)
{
    size_t n_state = mien_optim_state_elems(t->optim);
    float *state = mien_malloc_array(n_state, sizeof(float));
    double(*history)[HISTORY] = mien_malloc_array((size_t)t->n_epochs, sizeof(*history));
    int64_t counts[2] = { t->best, 0 };
    int ret = state && history ? mien_optim_save(t->optim, state, &counts[1]) : fail(t, MIEN_ERR(ENOMEM), "out of memory for a checkpoint");
    if (ret >= 0) {
        for (int i = 0; i < t->n_epochs; i++)
            pack_epoch(&t->epoch[i], history[i]);
        const MienTensor tensors[] = { tensor("weights", MIEN_F32, (int64_t)t->n, 0, t->x), tensor("best", MIEN_F32, (int64_t)t->n, 0, t->best_x),
                                       tensor("optimiser", MIEN_F32, (int64_t)n_state, 0, state),
                                       tensor("history", MIEN_F64, t->n_epochs, HISTORY, history), tensor("counts", MIEN_I64, 2, 0, counts) };
        const MienMeta meta[] = { { "mien.kind", CHECKPOINT_KIND }, { "mien.format", "1" }, { "mien.recipe", t->recipe } };
        ret = mien_weights_write(path, tensors, MIEN_ARRAY_ELEMS(tensors), meta, MIEN_ARRAY_ELEMS(meta), t->p.log);
    }
    mien_free(state);
    mien_free(history);
    return ret;
}

/* The tensor of this name if it is exactly that, with finite numbers; NULL after a message. */
static const MienTensor *need(const MienTrainer *t, const MienWeights *w, const char *path, const char *name, MienDtype dtype, size_t n)
{
    const MienTensor *x = mien_weights_find(w, name);
    int good = x && x->dtype == dtype && mien_tensor_elems(x) == n;
    for (size_t i = 0; good && dtype == MIEN_F32 && i < n; i++)
        good = isfinite(((const float *)x->data)[i]);
    if (!good)
        mien_fail(t->p.log, MIEN_E_FORMAT, "%s: the checkpoint's tensor %s is missing or damaged", path, name);
    return good ? x : NULL;
}

static int read_checkpoint(MienTrainer *t, const MienWeights *w, const char *path)
{
    const char *kind = mien_weights_meta(w, "mien.kind"), *format = mien_weights_meta(w, "mien.format"), *recipe = mien_weights_meta(w, "mien.recipe");
    if (!kind || strcmp(kind, CHECKPOINT_KIND) || !format || strcmp(format, "1") || !recipe)
        return mien_fail(t->p.log, MIEN_E_FORMAT, "%s: is no checkpoint of a training", path);
    if (strcmp(recipe, t->recipe))
        return mien_fail(t->p.log, MIEN_E_MISMATCH, "%s: belongs to another training (\"%s\"); this one is \"%s\"", path, recipe, t->recipe);
    const MienTensor *history = mien_weights_find(w, "history"), *x = need(t, w, path, "weights", MIEN_F32, t->n);
    const MienTensor *best = need(t, w, path, "best", MIEN_F32, t->n), *counts = need(t, w, path, "counts", MIEN_I64, 2);
    const MienTensor *state = need(t, w, path, "optimiser", MIEN_F32, mien_optim_state_elems(t->optim));
    if (!x || !best || !counts || !state)
        return MIEN_E_FORMAT;
    const int64_t *count = counts->data;
    if (!history || history->dtype != MIEN_F64 || history->n_dims != 2 || history->dim[1] != HISTORY || history->dim[0] < 1 || history->dim[0] > 1000000 ||
        count[0] < 0 || count[0] >= history->dim[0])
        return mien_fail(t->p.log, MIEN_E_FORMAT, "%s: the checkpoint's history is missing or damaged", path);
    int n = (int)history->dim[0];
    MienTrainEpoch *epoch = mien_calloc((size_t)n, sizeof(*epoch));
    if (!epoch)
        return fail(t, MIEN_ERR(ENOMEM), "out of memory for a checkpoint");
    int ret = mien_optim_restore(t->optim, state->data, count[1]);
    if (ret < 0) {
        mien_free(epoch);
        return ret;
    }
    for (int i = 0; i < n; i++)
        unpack_epoch(&epoch[i], (const double *)history->data + (size_t)i * HISTORY, &t->epoch[0].held);
    mien_free(t->epoch);
    t->epoch = epoch;
    t->n_epochs = t->cap_epochs = n;
    t->best = (int)count[0];
    memcpy(t->x, x->data, t->n * sizeof(float));
    memcpy(t->best_x, best->data, t->n * sizeof(float));
    set_weights(t, t->x);
    return 0;
}

int mien_trainer_restore(MienTrainer *t, const char *path)
{
    MienWeights *w;
    int ret = mien_weights_open(&w, path, t->p.log);
    if (ret < 0)
        return ret;
    ret = read_checkpoint(t, w, path);
    mien_weights_close(&w);
    return ret;
}
