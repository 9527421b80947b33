/* The networks that mien uses itself: where each lies in its package, what it is, and the hash that its import must have.
 * Pre-processing, templates and thresholds: docs/models.md. Tarballs and files are pinned in sources.tsv. */
#include <stdio.h>
#include <string.h>

#include "mien/error.h"
#include "models/import_int.h"

#define FACEPLUGIN "faceplugin-face-recognition-js"
#define FACEPLUGIN_LICENSE "MIT (package LICENSE; copyright line \"Copyright (c) 2021 gitguanqi\"; training data undocumented)"
#define FACE_API "@vladmandic/face-api"
#define FACE_API_LICENSE "MIT (package LICENSE; copyright line \"Copyright (c) Vladimir Mandic\"; weights made from dlib's)"

typedef struct Recipe {
    MienRecipe known;
    int (*import)(const char *path, const MienImportParams *params, const char *out_dir, const char *wanted_sha256,
                  MienImported *done, MienLog log);
    MienImportParams params; /* role, name and origin are filled in from known */
    int projected;
} Recipe;

static const Recipe recipe_table[] = {
    {
        .known = { "rfb320", "face-detector", FACEPLUGIN, "0.0.1", "model/fr_detect.onnx",
                   "face detector, 274 k weights",
                   "87a789422d537a3b160fb8b41178d64b04386c27e1a357c7607079285f9dd704" },
        .import = mieni_import_onnx_checked,
        .params = { .license = FACEPLUGIN_LICENSE, .channels = "rgb", .mean = "127", .scale = "0.0078125",
                    .outputs = "scores,462", .output_names = "scores,loc", .free_size = 1 },
    },
    {
        .known = { "landmark68", "face-landmarks", FACEPLUGIN, "0.0.1", "model/fr_landmark.onnx",
                   "68 landmarks, 289 k weights",
                   "54bc40e8d111e143125d7b6099b28a1e665134da8e8795ecb25e3e06e04575c1" },
        .import = mieni_import_onnx_checked,
        .params = { .license = FACEPLUGIN_LICENSE, .channels = "gray", .mean = "0", .scale = "0.00390625" },
    },
    {
        .known = { "mobileface128", "face-encoder", FACEPLUGIN, "0.0.1", "model/fr_feature.onnx",
                   "the default face encoder: MobileFaceNet, projected from 512 to 128 numbers, 1.0 M weights",
                   "469b8cde1d367cd978e2ad316a344975440c5f0bf9e9e95a08a290f7e7792e40" },
        .import = mieni_import_onnx_checked,
        .params = { .license = FACEPLUGIN_LICENSE "; projection: as mien itself", .channels = "bgr", .mean = "127",
                    .scale = "0.0078125", .encoder_template = "arcface112", .encoder_verify = "0.32",
                    .encoder_identify = "0.40" },
        .projected = 1,
    },
    {
        .known = { "dlib128", "face-encoder", FACE_API, "1.7.15", "model/face_recognition_model-weights_manifest.json",
                   "the second face encoder: dlib's ResNet, 5.6 M weights",
                   "f70db5075e223acc126dc1559b24a66283d270587d2eb67537dcd796ccb8a4ae" },
        .import = mieni_import_tfjs_checked,
        .params = { .license = FACE_API_LICENSE, .channels = "rgb", .mean = "122.782,117.001,104.298",
                    .scale = "0.00392156862745098", .encoder_template = "dlib150", .encoder_verify = "0.912",
                    .encoder_identify = "0.926" },
    },
    {
        .known = { "minifasnet", "face-liveness", FACEPLUGIN, "0.0.1", "model/fr_liveness.onnx",
                   "liveness, 469 k weights",
                   "4d87fcc099694a982d28e14869f76209021158445c1718ac4889d72e3b92d58d" },
        .import = mieni_import_onnx_checked,
        .params = { .license = FACEPLUGIN_LICENSE, .channels = "bgr", .mean = "0", .scale = "1", .softmax = 1 },
    },
    {
        .known = { "stylenet", "features", "mien", "1", "stylenet.safetensors",
                   "the default feature network for styles, mien's own, 187 k weights",
                   "36d3a39a5a72228b59322444945cc9f7721b7f2e1e5e88eb7117f3e8577a2cff" },
        .import = mieni_import_model_checked,
    },
};

const MienRecipe *mien_recipe_at(int i)
{
    return i >= 0 && (size_t)i < MIEN_ARRAY_ELEMS(recipe_table) ? &recipe_table[i].known : NULL;
}

static const Recipe *find(const char *name)
{
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(recipe_table); i++)
        if (!strcmp(recipe_table[i].known.name, name))
            return &recipe_table[i];
    return NULL;
}

const MienRecipe *mien_recipe_find(const char *name)
{
    const Recipe *r = find(name);

    return r ? &r->known : NULL;
}

/* DIR/PACKAGE-VERSION/FILE, the package's name as in the tarball's: without '@', '/' as '-'. */
static int source_path(char *path, size_t path_bytes, const char *dir, const MienRecipe *r)
{
    char package[64];

    snprintf(package, sizeof(package), "%s", r->package + (*r->package == '@'));
    for (char *p = package; *p; p++)
        if (*p == '/')
            *p = '-';
    int n = snprintf(path, path_bytes, "%s/%s-%s/%s", dir, package, r->version, r->file);
    return n >= 0 && (size_t)n < path_bytes ? 0 : MIEN_ERR(ENAMETOOLONG);
}

int mien_import_recipe(const char *name, const char *dir, const char *projection_path, const char *out_dir, MienImported *done,
                       MienLog log)
{
    const Recipe *r = find(name);
    char path[MIEN_IMPORT_PATH_BYTES], origin[256];

    if (!r)
        return mien_fail(log, MIEN_E_NOTFOUND, "there is no recipe \"%s\"; there are rfb320, landmark68, mobileface128, dlib128, "
                                         "minifasnet and stylenet", name);
    if (source_path(path, sizeof(path), dir, &r->known) < 0)
        return mien_fail(log, MIEN_ERR(ENAMETOOLONG), "%.100s...: the path is too long", dir);
    if (r->projected && !projection_path)
        return mien_fail(log, MIEN_ERR(EINVAL), "%s: the projection's file is needed", name);
    snprintf(origin, sizeof(origin), "npm package %s %s, %s%s", r->known.package, r->known.version, r->known.file,
             r->projected ? "; mien's encoder-projection-128" : "");
    if (!strcmp(r->known.package, "mien")) /* a model file already */
        return r->import(path, &r->params, out_dir, r->known.result_sha256, done, log);
    MienImportParams params = r->params;
    params.role = r->known.role;
    params.name = r->known.name;
    params.origin = origin;
    params.projection_path = r->projected ? projection_path : NULL;
    return r->import(path, &params, out_dir, r->known.result_sha256, done, log);
}
