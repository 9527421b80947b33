/* engine.c — finds and loads the networks of the face pipeline and holds what one thread needs to run them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config.h"
#include "face/face_int.h"
#include "mien/error.h"
#include "models/manifest.h"

double mieni_now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void mieni_time_add(MienFaceEngine *engine, int what, double since_ms, int n_calls)
{
    engine->ms[what] += mieni_now_ms() - since_ms;
    engine->calls[what] += (uint64_t)n_calls;
}

/* ---- loading */

static int open_model(MienFaceEngine *e, const char *path, const char *role, MienModel **model, MieniInput *input)
{
    int ret = mien_model_open(model, path, e->log);
    if (ret < 0)
        return ret;
    const char *is = mien_model_meta(*model, "role");
    if (!is || strcmp(is, role))
        return mien_fail(e->log, MIEN_E_MODEL, "%s is not a %s network (its role is %s)", path, role, is ? is : "not given");
    ret = mieni_input_parse(input, mien_model_meta(*model, "input.channels"), mien_model_meta(*model, "input.mean"),
                            mien_model_meta(*model, "input.scale"));
    if (ret < 0)
        return mien_fail(e->log, MIEN_E_MODEL, "%s: mien.input.channels, mean or scale is missing or damaged", path);
    return 0;
}

/* Opens the model of a role (and name) in the folder. */
static int find_model(MienFaceEngine *e, const char *dir, const char *role, const char *name, MienModel **model,
                      MieniInput *input)
{
    char *path = NULL;
    int ret = mieni_manifest_find(&path, dir, role, name, e->log);
    if (ret >= 0)
        ret = open_model(e, path, role, model, input);
    mien_free(path);
    return ret < 0 && ret == MIEN_E_NOTFOUND ? MIEN_E_MODEL : ret;
}

/* Plans a one-face session and checks that it takes and gives what its role says. n_out 0: any size. */
static int plan(MienFaceEngine *e, MieniFaceNet *fn, size_t n_out)
{
    MienNetParams params = MIEN_NET_DEFAULTS;
    params.exec = e->exec;
    params.log = e->log;
    int ret = mien_net_create(&fn->net, fn->model, &params);
    if (ret < 0)
        return ret;
    MienShape in, out;
    mien_net_input(fn->net, &in);
    const char *path = mien_model_path(fn->model);
    if (in.c != fn->input.n_channels)
        return mien_fail(e->log, MIEN_E_MODEL, "%s: the network reads %d channels, mien.input.channels says %d", path, in.c,
                         fn->input.n_channels);
    if (!mien_net_output(fn->net, 0, &out) || mien_shape_elems(out) < 1 || (n_out && mien_shape_elems(out) != n_out))
        return mien_fail(e->log, MIEN_E_MODEL, "%s: the network's output has %zu values, %zu are due", path,
                         mien_shape_elems(out), n_out);
    fn->w_px = in.w;
    fn->h_px = in.h;
    return 0;
}

static int read_threshold(MienFaceEngine *e, const char *key, float *value)
{
    const char *text = mien_model_meta(e->encoder.model, key);
    char *end = NULL;
    *value = text ? strtof(text, &end) : NAN;
    if (!text || end == text || *end || !(*value > -1 && *value < 1))
        return mien_fail(e->log, MIEN_E_MODEL, "%s: mien.%s is missing or not a cosine similarity",
                         mien_model_path(e->encoder.model), key);
    return 0;
}

static int load_encoder(MienFaceEngine *e, const char *dir, const char *encoder)
{
    MieniFaceNet *fn = &e->encoder;
    size_t len = encoder ? strlen(encoder) : 0;
    int is_path = encoder && (strchr(encoder, '/') || (len > 12 && !strcmp(encoder + len - 12, ".safetensors")));
    int ret = is_path ? open_model(e, encoder, "face-encoder", &fn->model, &fn->input)
                      : find_model(e, dir, "face-encoder", encoder, &fn->model, &fn->input);
    if (ret < 0 || (ret = plan(e, fn, 0)) < 0)
        return ret;
    const char *path = mien_model_path(fn->model), *template = mien_model_meta(fn->model, "encoder.template");
    if (template && !strcmp(template, "arcface112"))
        e->encoder_template = MIENI_TEMPLATE_ARCFACE112;
    else if (template && !strcmp(template, "dlib150"))
        e->encoder_template = MIENI_TEMPLATE_DLIB150;
    else
        return mien_fail(e->log, MIEN_E_MODEL, "%s: mien.encoder.template is %s; arcface112 and dlib150 are known", path,
                         template ? template : "missing");
    int size_px;
    mieni_template_points(e->encoder_template, &size_px);
    if (fn->w_px != size_px || fn->h_px != size_px)
        return mien_fail(e->log, MIEN_E_MODEL, "%s: the network reads %dx%d, its template %s is %dx%d", path, fn->w_px,
                         fn->h_px, template, size_px, size_px);
    MienShape out;
    mien_net_output(fn->net, 0, &out);
    if (mien_shape_elems(out) > MIEN_FACE_MAX_DIM)
        return mien_fail(e->log, MIEN_E_MODEL, "%s: embeddings of %zu numbers, at most %d are supported", path,
                         mien_shape_elems(out), MIEN_FACE_MAX_DIM);
    e->encoder_dim = (int)mien_shape_elems(out);
    if ((ret = read_threshold(e, "encoder.verify", &e->verify_sim_cos)) < 0)
        return ret;
    return read_threshold(e, "encoder.identify", &e->identify_sim_cos);
}

static int load_all(MienFaceEngine *e, const MienFaceParams *params)
{
    const char *dir = params->models_dir;
    if (!dir || !*dir)
        dir = getenv("MIEN_MODELS");
    if (!dir || !*dir)
        dir = MIEN_MODELS_DIR;
    int ret = find_model(e, dir, "face-detector", NULL, &e->detector, &e->detector_input);
    if (ret >= 0 && e->detector_input.n_channels != 3)
        ret = mien_fail(e->log, MIEN_E_MODEL, "%s: a face detector reads three channels", mien_model_path(e->detector));
    if (ret >= 0)
        ret = find_model(e, dir, "face-landmarks", NULL, &e->landmarks.model, &e->landmarks.input);
    if (ret >= 0)
        ret = plan(e, &e->landmarks, 2 * 68);
    if (ret >= 0 && params->with_encoder)
        ret = load_encoder(e, dir, params->encoder);
    if (ret >= 0 && params->with_liveness)
        ret = find_model(e, dir, "face-liveness", NULL, &e->liveness.model, &e->liveness.input);
    if (ret >= 0 && params->with_liveness)
        ret = plan(e, &e->liveness, 3);
    return ret;
}

int mien_face_engine_create(MienFaceEngine **engine, const MienFaceParams *params)
{
    *engine = NULL;
    MienFaceEngine *e = mien_calloc(1, sizeof(*e));
    if (!e)
        return MIEN_ERR(ENOMEM);
    e->exec = params->exec;
    e->log = params->log;
    int ret = MIEN_ERR(ENOMEM);
    e->found = mien_malloc_array(MIENI_DETECT_MAX, sizeof(*e->found));
    e->tiled = mien_malloc_array(MIENI_DETECT_MAX, sizeof(*e->tiled));
    if (e->found && e->tiled)
        ret = load_all(e, params);
    if (ret < 0) {
        mien_face_engine_destroy(&e);
        return ret;
    }
    *engine = e;
    return 0;
}

static void close_face_net(MieniFaceNet *fn)
{
    mien_net_destroy(&fn->net);
    mien_model_unref(&fn->model);
}

void mien_face_engine_destroy(MienFaceEngine **engine)
{
    MienFaceEngine *e = engine ? *engine : NULL;
    if (!e)
        return;
    mieni_detect_uninit(e);
    mien_model_unref(&e->detector);
    close_face_net(&e->landmarks);
    close_face_net(&e->encoder);
    close_face_net(&e->liveness);
    mieni_resizer_uninit(&e->resizer);
    mien_free(e->found);
    mien_free(e->tiled);
    mien_free(e->reduced);
    mien_free(e->reduced_f32);
    mien_free(e);
    *engine = NULL;
}

/* ---- what is loaded */

const char *mien_face_encoder_hash(const MienFaceEngine *engine)
{
    return engine->encoder.model ? mien_model_hash(engine->encoder.model) : NULL;
}

const char *mien_face_encoder_name(const MienFaceEngine *engine)
{
    return engine->encoder.model ? mien_model_meta(engine->encoder.model, "name") : NULL;
}

int mien_face_encoder_dim(const MienFaceEngine *engine)
{
    return engine->encoder_dim;
}

float mien_face_encoder_verify_sim_cos(const MienFaceEngine *engine)
{
    return engine->verify_sim_cos;
}

float mien_face_encoder_identify_sim_cos(const MienFaceEngine *engine)
{
    return engine->identify_sim_cos;
}

void mien_face_times(const MienFaceEngine *engine, MienFaceTimes *times)
{
    double mean[4];
    for (int i = 0; i < 4; i++)
        mean[i] = engine->calls[i] ? engine->ms[i] / (double)engine->calls[i] : 0;
    *times = (MienFaceTimes){ mean[0], mean[1], mean[2], mean[3],
                              engine->calls[0], engine->calls[1], engine->calls[2], engine->calls[3] };
}

int mien_face_analyze(MienFaceEngine *engine, const MienImage *img, MienFace *faces, int max_faces)
{
    MienDetectParams params = MIEN_DETECT_DEFAULTS;
    params.thorough = 1;
    int n = mien_face_detect(engine, img, &params, faces, max_faces);
    if (n <= 0)
        return n;
    int ret = mien_face_landmarks(engine, img, faces, n);
    if (ret >= 0)
        ret = mien_face_quality(engine, img, faces, n);
    return ret < 0 ? ret : n;
}
