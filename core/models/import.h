/* models/import.h — foreign networks become model files: ONNX, TensorFlow.js weights, and the recipes of the networks that
 * mien uses itself. The result is the safetensors file of docs/format-weights.md: batch norm folded, activations fused,
 * NCHW turned to NHWC, quantised weights expanded, everything checked, the same input giving the same bytes.
 *
 * The files read here are untrusted. Every error is one log line that names the file and the node, tensor or field.
 * Only the mien tool and tests import; filters read what was imported. On the command line (core/tool, called by fetch.sh):
 *
 *   mien model import --from=DIR --projection=FILE --to=DIR RECIPE…      DIR as mien_import_recipe wants it
 *   mien model import --role=ROLE [--name=NAME …] --to=DIR FILE          .onnx, or .json for a tfjs manifest
 *   mien model import [--pool=max|avg] --to=DIR vgg19 FILE               VGG-19 as safetensors or ONNX
 *   mien model import [--pool=max|avg] --to=DIR FILE                     .safetensors: a model file of mien's own format
 */
#ifndef MIEN_MODELS_IMPORT_H
#define MIEN_MODELS_IMPORT_H

#include "mien/common.h"
#include "mien/log.h"

#define MIEN_IMPORT_PATH_BYTES 4096

/* What an import says about the network; strings are borrowed for the call, NULL takes the default. */
typedef struct MienImportParams {
    const char *role;     /* face-detector, face-landmarks, face-encoder, face-liveness or features */
    const char *name;     /* short name, 1..63 of [A-Za-z0-9._-]; NULL: the file's name without its suffix */
    const char *license;  /* free text; NULL: "unknown" */
    const char *origin;   /* free text; NULL: "imported from FILE, sha256 HASH" */
    const char *channels; /* rgb, bgr or gray; NULL: gray for one channel, else rgb */
    const char *mean;     /* x = (v - mean) * scale, v in 0..255; one number or three, separated by commas; NULL: 127.5 */
    const char *scale;    /* NULL: 0.0078125 (1/128) */
    /* Encoders. The starting thresholds are cosine similarities, 1:1 and in a gallery; NULL: 0.32 and 0.40. */
    const char *encoder_template; /* arcface112 or dlib150; NULL: by the input's size, 112 or 150 */
    const char *encoder_verify, *encoder_identify;
    /* Encoders: a safetensors file with projection.weight [m,n] f32: y = W·x, multiplied into the network's last layer. An
     * l2norm node follows. NULL: none. */
    const char *projection_path;
    /* Values of the ONNX graph at which the network ends, separated by commas; nodes behind them are not read. NULL: the
     * graph's own outputs. */
    const char *outputs;
    /* New names for these outputs, separated by commas, as many. NULL: by role (docs/format-weights.md), or as they are. */
    const char *output_names;
    int free_size; /* the input's height and width become 0: chosen by whoever runs the net */
    int softmax;   /* a softmax follows the (one) output */
    const char *pool; /* feature networks: "max" or "avg"; NULL: max for VGG-19, as it is for a model file */
} MienImportParams;

typedef struct MienImported {
    char role[32], name[64];
    char path[MIEN_IMPORT_PATH_BYTES]; /* OUT_DIR/ROLE-<first 12 hex digits of sha256>.safetensors */
    char sha256[65];
    uint64_t params; /* number of weights */
    int n_nodes;
} MienImported;

/* Imports one network and writes it to out_dir (which must exist), then lists it in out_dir/manifest.json. A file that is
 * there already with the same content is left alone. done may be NULL.
 * Errors: MIEN_E_FORMAT (not such a file, or damaged), MIEN_E_UNSUPPORTED (an operator or attribute that mien has no
 * equivalent for), MIEN_E_SHAPE, -errno, MIEN_ERR(EINVAL) (params). Nothing is written on failure.
 * Threads: any, with different out_dir. */
int mien_import_onnx(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log);

/* A TensorFlow.js weight manifest (JSON) and the file(s) that it names, beside it. Such a manifest has weights and no graph: the
 * graph is that of dlib's face recognition network (a ResNet with 29 convolutions), the only one known so far. */
int mien_import_tfjs(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log);

/* VGG-19 for styles, from a safetensors file (features.N.weight as in torchvision and timm, or convB_M.weight; F32, F16, BF16 or
 * F64) or an ONNX graph, told apart by content. The file may end behind any layer and its layers may be narrower; the
 * classifier is left out. Outputs are relu1_1 … relu5_4. params: role is features whatever it says; channels, mean and scale
 * NULL: torchvision's; they go into the graph as its first node, so that the model's input is RGB in 0..1. */
int mien_import_vgg(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log);

/* A model file that mien (or somebody) has made already: checked and listed. name, license, origin and pool change what it
 * says, the rest of params is not used. */
int mien_import_model(const char *path, const MienImportParams *params, const char *out_dir, MienImported *done, MienLog log);

/* A network that mien knows: which file of which package, what it is and what the result must be. */
typedef struct MienRecipe {
    const char *name; /* "mobileface128" … */
    const char *role;
    const char *package, *version; /* npm package; "mien": a file of this repository's core/models */
    const char *file;              /* inside the package, without the leading "package/" */
    const char *summary;           /* one line for people */
    const char *result_sha256;     /* of the model file that comes out */
} MienRecipe;

/* The recipes in the order in which they are listed and imported; NULL past the end. */
const MienRecipe *mien_recipe_at(int i);
const MienRecipe *mien_recipe_find(const char *name); /* NULL: no such recipe */

/* Imports by recipe. dir holds the unpacked packages as PACKAGE-VERSION folders ('/' in a package's name becomes '-' and a
 * leading '@' falls away: "vladmandic-face-api-1.7.15/model/…"), which is how core/models/fetch.sh leaves them in build/cache.
 * Every file is checked against its pinned SHA-256 first, the result against the recipe's. projection_path: the
 * repository's core/models/encoder-projection-128.safetensors; needed by mobileface128 alone. MIEN_E_NOTFOUND: no such recipe. */
int mien_import_recipe(const char *recipe, const char *dir, const char *projection_path, const char *out_dir,
                       MienImported *done, MienLog log);

#endif
