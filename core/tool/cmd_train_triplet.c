/* mien train triplet: trains a face encoder, or its last layers, on folders of people; the result is a new encoder file. */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "svg.h"
#include "train_faces.h"

typedef struct TripletOptions {
    const char *out, *layers, *augment, *plot, *name;
    int triplets, optimiser, epochs, patience, batch_people, batch_faces, seed, resume;
    double margin, rate, momentum, holdout;
} TripletOptions;

typedef struct Training {
    const Tool *tool;
    const TripletOptions *o;
    Faces engines;
    MienPool *pool;
    TrainFaces faces;
    char *layer_text;
    const char **layer; /* NULL: all */
    int n_layers;
    MienTrainer *trainer;
    char *checkpoint;
} Training;

/* ---- what was asked for */

static int augment_bits(const Tool *tool, const char *text, unsigned *bits)
{
    static const char *const word[] = { "flip", "crop", "colour", "blur" };
    *bits = MIEN_AUGMENT_ALL;
    if (!text)
        return 0;
    *bits = 0;
    if (!strcmp(text, "none"))
        return 0;
    while (*text) {
        size_t n = strcspn(text, ","), i = 0;
        while (i < MIEN_ARRAY_ELEMS(word) && (strlen(word[i]) != n || strncmp(text, word[i], n)))
            i++;
        if (i == MIEN_ARRAY_ELEMS(word))
            return tool_error(tool, "--augment '%s': flip, crop, colour and blur are known, separated by commas, or none", safe(text)), -1;
        *bits |= 1u << i;
        text += n + (text[n] == ',');
    }
    return 0;
}

/* "all", "last" (the last node with weights), or names separated by commas. */
static int find_layers(Training *t)
{
    const MienModel *m = mien_face_encoder_model(t->engines.engine[0]);
    const char *text = t->o->layers ? t->o->layers : "last";
    if (!strcmp(text, "all"))
        return 0;
    size_t n_most = 1;
    for (const char *p = text; *p; p++)
        n_most += *p == ',';
    t->layer = mien_calloc(n_most, sizeof(*t->layer));
    t->layer_text = mien_strdup(text);
    if (!t->layer || !t->layer_text)
        return tool_error(t->tool, "out of memory"), -1;
    if (!strcmp(text, "last")) {
        for (int i = 0; mien_model_node_name(m, i); i++)
            if (mien_model_node_params(m, i))
                t->layer[0] = mien_model_node_name(m, i);
        t->n_layers = 1;
        return t->layer[0] ? 0 : (tool_error(t->tool, "the encoder has no weights"), -1);
    }
    for (char *p = t->layer_text; *p;) {
        size_t n = strcspn(p, ",");
        t->layer[t->n_layers++] = p;
        p += n;
        if (*p)
            *p++ = '\0';
    }
    return 0;
}

static int make_trainer(Training *t)
{
    const TripletOptions *o = t->o;
    MienTrainParams p = MIEN_TRAIN_DEFAULTS;
    if (augment_bits(t->tool, o->augment, &p.augment) < 0 || find_layers(t) < 0)
        return -1;
    p.model = mien_face_encoder_model(t->engines.engine[0]);
    p.faces = &t->faces.faces;
    p.layers = t->layer;
    p.n_layers = t->n_layers;
    p.choice = (MienTripletChoice)o->triplets;
    p.margin = o->margin;
    p.optimiser = o->optimiser ? MIEN_OPTIM_SGD : MIEN_OPTIM_ADAM;
    p.rate = o->rate > 0 ? o->rate : o->optimiser ? 1e-2 : 3e-4;
    p.momentum = o->momentum;
    p.batch_people = o->batch_people;
    p.batch_faces = o->batch_faces;
    p.seed = (uint64_t)o->seed;
    p.exec = mien_pool_exec(t->pool);
    p.log = t->tool->log;
    return mien_trainer_create(&t->trainer, &p);
}

/* ---- what is told */

static void print_epoch(const Training *t, int i, const MienTrainEpoch *e)
{
    if (t->tool->json || t->tool->quiet)
        return;
    if (i == 0)
        printf("epoch    loss   triplets with a loss: random, semi-hard, hard   held out: loss, accuracy, AUC\n"
               "%5d       -   %46s   %9.4f %7.2f %% %.4f\n", 0, "", e->held.loss, 100 * e->held.accuracy, e->held.auc);
    else
        printf("%5d  %.4f   %24.1f %% %7.1f %% %6.1f %%   %11.4f %7.2f %% %.4f\n", i, e->loss, 100 * e->active[MIEN_TRIPLET_RANDOM],
               100 * e->active[MIEN_TRIPLET_SEMI_HARD], 100 * e->active[MIEN_TRIPLET_HARD], e->held.loss, 100 * e->held.accuracy, e->held.auc);
    fflush(stdout);
}

static int plot(const Training *t)
{
    static const char *const colour[] = { "#1f77b4", "#ff7f0e", "#d62728" };
    const MienTrainEpoch *e;
    int best, n = mien_trainer_history(t->trainer, &e, &best);
    double *x = mien_malloc_array(4 * ((size_t)n + 1), sizeof(double)), *y = x + n + 1, top = 1e-6;
    if (!x)
        return tool_error(t->tool, "out of memory"), -1;
    for (int i = 0; i <= n; i++) {
        x[i] = i;
        top = fmax(top, fmax(e[i].held.loss, e[i].loss));
    }
    SvgPanel loss = { .left = 80, .top = 70, .w = 420, .h = 360, .x0 = 0, .x1 = fmax(n, 1), .y0 = 0, .y1 = top * 1.05, .title = "Loss",
                      .x_label = "epoch; blue: batches, orange: people held out", .y_label = "triplet loss" };
    SvgPanel share = { .left = 600, .top = 70, .w = 420, .h = 360, .x0 = 0, .x1 = fmax(n, 1), .y0 = 0, .y1 = 1, .title = "Triplets with a loss above 0",
                       .x_label = "epoch; blue: random, orange: semi-hard, red: hard", .y_label = "share" };
    Svg s;
    char text[64];
    svg_begin(&s, 1060, 500);
    svg_axes(&s, &loss, n < 10 ? (n > 0 ? n : 1) : 10, 5, 0);
    for (int i = 1; i <= n; i++)
        y[i] = e[i].loss;
    if (n > 0)
        svg_line(&s, &loss, x + 1, y + 1, (size_t)n, colour[0]);
    for (int i = 0; i <= n; i++)
        y[i] = e[i].held.loss;
    svg_line(&s, &loss, x, y, (size_t)n + 1, colour[1]);
    snprintf(text, sizeof(text), "best: %d", best);
    svg_mark_x(&s, &loss, best, "#333333", text);
    svg_axes(&s, &share, n < 10 ? (n > 0 ? n : 1) : 10, 5, 1);
    for (int c = 0; c < MIEN_TRIPLET_N_CHOICES && n > 0; c++) {
        for (int i = 1; i <= n; i++)
            y[i] = e[i].active[c];
        svg_line(&s, &share, x + 1, y + 1, (size_t)n, colour[c]);
    }
    mien_free(x);
    return svg_write(&s, t->o->plot, t->tool->log);
}

static int answer(const Training *t, const char *hash, int stopped)
{
    const MienTrainEpoch *e;
    int best, n = mien_trainer_history(t->trainer, &e, &best), status = best ? STATUS_OK : STATUS_NO;
    if (!t->tool->json) {
        if (stopped)
            tool_note(t->tool, "stopped: no better for %d epochs", t->o->patience);
        if (best)
            printf("%s: epoch %d; on people held out loss %.4f to %.4f, accuracy %.2f %% to %.2f %%\nsha256 %s\n", safe(t->o->out), best, e[0].held.loss,
                   e[best].held.loss, 100 * e[0].held.accuracy, 100 * e[best].held.accuracy, hash);
        else
            printf("no epoch was better on people held out than the start; nothing was written\n");
        return status;
    }
    struct cJSON *j = json_object(), *list;
    json_str(j, "encoder", best ? t->o->out : NULL);
    json_str(j, "sha256", best ? hash : NULL);
    json_str(j, "parent", mien_face_encoder_hash(t->engines.engine[0]));
    json_str(j, "recipe", mien_trainer_recipe(t->trainer));
    json_int(j, "weights", (int64_t)mien_trainer_params(t->trainer));
    json_int(j, "people", t->faces.n_people - t->faces.n_held);
    json_int(j, "people_held_out", t->faces.n_held);
    json_int(j, "faces", t->faces.faces.n);
    json_int(j, "pictures_left_out", t->faces.n_skipped);
    json_int(j, "best_epoch", best);
    json_bool(j, "stopped_early", stopped);
    list = json_add_array(j, "epochs");
    for (int i = 0; i <= n; i++) {
        struct cJSON *k = json_item_object(list);
        json_int(k, "epoch", i);
        json_real(k, "loss", i ? e[i].loss : NAN, 6);
        json_real(k, "spread", i ? e[i].spread : NAN, 6);
        for (int c = 0; c < MIEN_TRIPLET_N_CHOICES; c++) {
            static const char *const key[] = { "active_random", "active_semi_hard", "active_hard" };
            json_real(k, key[c], i ? e[i].active[c] : NAN, 6);
        }
        json_real(k, "held_loss", e[i].held.loss, 6);
        json_real(k, "held_accuracy", e[i].held.accuracy, 6);
        json_real(k, "held_auc", e[i].held.auc, 6);
    }
    return json_print(t->tool, j, status);
}

/* ---- the work */

static int write_encoder(const Training *t, char hash[65])
{
    const char *parent = mien_face_encoder_name(t->engines.engine[0]);
    char name[64];
    uint8_t *data;
    size_t bytes;
    snprintf(name, sizeof(name), "%.40s%s", t->o->name ? t->o->name : parent, t->o->name ? "" : "-triplet");
    int ret = mien_trainer_pack(t->trainer, name, &data, &bytes);
    if (ret < 0)
        return ret;
    mieni_sha256_hex(data, bytes, hash);
    ret = mieni_file_write_atomic(t->o->out, data, bytes, 0644, t->tool->log);
    mien_free(data);
    return ret;
}

/* Epochs until the last, until none was better for a while, or until interrupted. 1: stopped early. */
static int run_epochs(Training *t)
{
    const MienTrainEpoch *e;
    int best, n = mien_trainer_history(t->trainer, &e, &best);
    for (int i = 0; i <= n; i++)
        print_epoch(t, i, &e[i]);
    Progress progress;
    progress_begin(&progress, t->tool, "epochs", t->o->epochs);
    while (n < t->o->epochs && !interrupted() && !(t->o->patience && n - best >= t->o->patience)) {
        int ret = mien_trainer_epoch(t->trainer);
        if (ret < 0 || (ret = mien_trainer_save(t->trainer, t->checkpoint)) < 0) {
            progress_end(&progress);
            return ret;
        }
        n = mien_trainer_history(t->trainer, &e, &best);
        print_epoch(t, n, &e[n]);
        progress_step(&progress, n);
    }
    progress_end(&progress);
    return n < t->o->epochs && !interrupted();
}

static int train(Training *t)
{
    char hash[65] = "";
    int best, stopped;
    const MienTrainEpoch *e;
    size_t bytes = strlen(t->o->out) + sizeof(".checkpoint");
    if (!(t->checkpoint = mien_malloc(bytes)))
        return tool_error(t->tool, "out of memory");
    snprintf(t->checkpoint, bytes, "%s.checkpoint", t->o->out);
    if (t->o->resume && mien_trainer_restore(t->trainer, t->checkpoint) < 0)
        return STATUS_ERROR;
    tool_note(t->tool, "%d faces of %d people, %d people held out; %llu weights change", t->faces.faces.n, t->faces.n_people, t->faces.n_held,
              (unsigned long long)mien_trainer_params(t->trainer));
    if ((stopped = run_epochs(t)) < 0)
        return STATUS_ERROR;
    if (interrupted())
        return tool_error(t->tool, "interrupted; the same command with --resume goes on from %s", safe(t->checkpoint));
    mien_trainer_history(t->trainer, &e, &best);
    if ((best && write_encoder(t, hash) < 0) || (t->o->plot && plot(t) < 0))
        return STATUS_ERROR;
    return answer(t, hash, stopped);
}

static int run_train_triplet(Tool *tool, const void *options, int n_args, char **args)
{
    Training t = { .tool = tool, .o = options };
    int status = STATUS_ERROR;
    (void)n_args;
    if (!t.o->out)
        return tool_error(tool, "--out FILE is needed: where the new encoder goes");
    if (faces_open(&t.engines, tool, NULL, 1, INT32_MAX) >= 0 && mien_pool_create(&t.pool, tool->threads, tool->log) >= 0 &&
        train_faces_read(&t.faces, tool, &t.engines, args[0], t.o->holdout, (uint64_t)t.o->seed) >= 0 && make_trainer(&t) >= 0)
        status = train(&t);
    mien_trainer_destroy(&t.trainer);
    train_faces_free(&t.faces);
    faces_close(&t.engines);
    mien_pool_destroy(&t.pool);
    mien_free(t.layer);
    mien_free(t.layer_text);
    mien_free(t.checkpoint);
    return status;
}

static const Option triplet_options[] = {
    OPT_TEXT_ROW(TripletOptions, out, "out", 'o', "FILE", NULL, "the new encoder, .safetensors; FILE.checkpoint is written beside it after each epoch"),
    OPT_TEXT_ROW(TripletOptions, layers, "layers", 0, "NAMES", "last",
                 "what changes: last (the last layer with weights), all, or names of nodes, separated by commas ('mien model show')"),
    OPT_WORD_ROW(TripletOptions, triplets, "triplets", 0, MIEN_TRIPLET_SEMI_HARD, "random|semi-hard|hard",
                 "which negative a pair of one person is held against, in its batch"),
    OPT_REAL_ROW(TripletOptions, margin, "margin", 0, 0.2, 0.001, 4, NULL, NULL, "by how much the negative is to be further away, in squared distances"),
    OPT_WORD_ROW(TripletOptions, optimiser, "optimiser", 0, 0, "adam|sgd", "how steps are made; sgd: with momentum"),
    OPT_REAL_ROW(TripletOptions, rate, "rate", 0, 0, 1e-9, 100, NULL, "3e-4 for adam, 1e-2 for sgd", "size of a step"),
    OPT_REAL_ROW(TripletOptions, momentum, "momentum", 0, 0.9, 0, 0.999, NULL, NULL, "sgd: share of the last step that goes on"),
    OPT_INT_ROW(TripletOptions, epochs, "epochs", 0, 30, 1, 100000, NULL, NULL, "at most so many times through the faces"),
    OPT_INT_ROW(TripletOptions, patience, "patience", 0, 6, 0, 100000, NULL, NULL, "stop after so many epochs without a better one; 0: never"),
    OPT_INT_ROW(TripletOptions, batch_people, "batch-people", 0, 8, 2, 1024, NULL, NULL, "people in a batch"),
    OPT_INT_ROW(TripletOptions, batch_faces, "batch-faces", 0, 4, 2, 1024, NULL, NULL, "faces of each, at most"),
    OPT_TEXT_ROW(TripletOptions, augment, "augment", 0, "LIST", "flip,crop,colour,blur", "how faces are changed at random, or none"),
    OPT_REAL_ROW(TripletOptions, holdout, "holdout", 0, 0.25, 0.05, 0.95, NULL, NULL, "share of the people that is measured on, not learnt from"),
    OPT_INT_ROW(TripletOptions, seed, "seed", 0, 1, 0, 2147483647, NULL, NULL, "for the split, the batches and the augmentation"),
    OPT_FLAG_ROW(TripletOptions, resume, "resume", 0, "go on from FILE.checkpoint, to the same result as without a break"),
    OPT_TEXT_ROW(TripletOptions, name, "name", 0, "NAME", "that of the encoder and -triplet", "name of the new encoder"),
    OPT_TEXT_ROW(TripletOptions, plot, "plot", 0, "FILE", NULL, "write an SVG: losses and shares of triplets by epoch"),
    { .name = NULL },
};

const Command cmd_train_triplet = {
    .name = "train triplet", .group = "Learning", .summary = "train a face encoder on folders of people", .args = "DIR",
    .text = "DIR holds a folder a person, with pictures that show this person alone. Faces are found and aligned once; then the encoder (--encoder), or its "
            "last layers, is trained by triplet loss: two faces of one person shall be nearer than a face of anybody else. Some people are held out; the epoch "
            "that does best on them is written, as a new encoder with its own hash and, in its metadata, where it comes from. Galleries belong to the encoder "
            "that made them: 'mien migrate' takes one over. docs/training.md explains choices and limits.\n"
            "$ mien train triplet people/ --out mine.safetensors --plot mine.svg\n"
            "$ mien migrate new.db people/ --gallery staff.db --encoder ./mine.safetensors",
    .statuses = "0 trained and written; 1 no epoch was better on people held out than the start, nothing written; 2 error, among them a collapse.",
    .options = triplet_options, .options_bytes = sizeof(TripletOptions), .takes = TAKES_FACES | TAKES_JSON, .min_args = 1, .max_args = 1,
    .run = run_train_triplet,
};
