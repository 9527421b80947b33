/* models/netbuild.h — a network under construction. Importers append nodes; finish() folds, fuses, names and writes.
 *
 * Shapes are inferred and checked as nodes arrive. Heights and widths of 0 are unknown (a net whose input size is free).
 */
#ifndef MIEN_MODELS_NETBUILD_H
#define MIEN_MODELS_NETBUILD_H

#include "mien/common.h"
#include "mien/log.h"
#include "models/import.h"

#define MIENI_BUILD_MAX_INPUTS 8
#define MIENI_BUILD_MAX_OUTPUTS 32

typedef enum MieniBuildOp {
    MIENI_CONV2D, MIENI_FC, MIENI_AFFINE, MIENI_RELU, MIENI_SIGMOID, MIENI_PRELU, MIENI_ADD, MIENI_MUL, MIENI_CONCAT,
    MIENI_MAXPOOL, MIENI_AVGPOOL, MIENI_GLOBALAVG, MIENI_PAD, MIENI_RESHAPE, MIENI_SOFTMAX, MIENI_L2NORM,
} MieniBuildOp;

/* One node; start from {0}, set op, in, n_in and what the op wants. */
typedef struct MieniBuildNode {
    MieniBuildOp op;
    int in[MIENI_BUILD_MAX_INPUTS], n_in; /* values */
    int out;                              /* set by mieni_build_add */
    int kernel[2], stride[2], pad[4], dilation[2]; /* y, x; top, left, bottom, right; zeros in stride, dilation mean 1 */
    int groups, cout;                              /* groups 0 means 1 */
    int h, w, c;                                   /* reshape: wanted shape, one -1 at most */
    int channels;                                  /* pad: zero channels appended */
    float alpha, beta;                             /* add */
    float *weight; /* conv2d [kh,kw,cin/groups,cout], fc [h·w·c,cout], prelu slope [c] */
    double *scale; /* affine [c] */
    double *bias;  /* conv2d and fc [cout] or NULL, affine [c] */
    size_t n_weight; /* numbers in weight, checked */
    /* Private to netbuild.c. */
    MieniBuildOp act; /* MIENI_CONV2D: none */
    float *slope;
    int dead;
} MieniBuildNode;

typedef struct MieniBuildValue {
    int h, w, c;
    int producer; /* index of the node, -1: the input */
} MieniBuildValue;

typedef struct MieniBuild {
    MienLog log;
    const char *file; /* for messages, borrowed */
    char where[256];  /* for messages: what is being imported right now */
    MieniBuildNode *node;
    MieniBuildValue *value;
    size_t n_nodes, n_values, cap_nodes, cap_values;
    struct {
        int value;
        char name[128];
    } output[MIENI_BUILD_MAX_OUTPUTS];
    int n_outputs;
    int in_h, in_w, in_c;
} MieniBuild;

void mieni_build_init(MieniBuild *b, const char *file, MienLog log);
void mieni_build_uninit(MieniBuild *b);

/* Writes "FILE: WHERE: message" at error level and returns err. */
int mieni_build_fail(const MieniBuild *b, int err, const char *fmt, ...) MIEN_PRINTF(3, 4);

/* The network's one input; h and w may be 0 (free). Returns its value or an error. */
int mieni_build_input(MieniBuild *b, int h, int w, int c);

/* Appends a copy of *n, whose buffers (from mien_malloc) it takes even on failure. Returns the new value (>= 0) or an error:
 * MIEN_E_SHAPE, MIEN_E_UNSUPPORTED (out of the format's limits), MIEN_E_FORMAT (NaN or Inf in the weights), ENOMEM. */
int mieni_build_add(MieniBuild *b, MieniBuildNode *n);

/* Shorthands for nodes without weights. */
int mieni_build_unary(MieniBuild *b, MieniBuildOp op, int in);
int mieni_build_binary(MieniBuild *b, MieniBuildOp op, int in0, int in1, float beta);

/* Makes a value an output under this name (1 to 63 printable ASCII characters; others become '_'). */
int mieni_build_output(MieniBuild *b, int value, const char *name);

/* y = W·x for W [m,n], x being the first output, 1×1×n: multiplied into the linear layer that makes x if nothing else reads x,
 * else a layer of its own. y becomes the output. To be called after mieni_build_fold (netfold.h). 0 or more, or an error. */
int mieni_build_project(MieniBuild *b, const float *w, int m, int n);

/* Folds, fuses, names, writes the model to out_dir and lists it in the manifest. source_sha256 is the hash of what was imported,
 * wanted_sha256 what the result's must be (NULL: anything; else MIEN_E_MISMATCH and nothing is written). */
int mieni_build_finish(MieniBuild *b, const MienImportParams *params, const char *source_sha256, const char *out_dir,
                       const char *wanted_sha256, MienImported *done);

/* The same up to the bytes of the model file; the caller frees *data. */
int mieni_build_pack(MieniBuild *b, const MienImportParams *params, const char *source_sha256, uint8_t **data, size_t *bytes);

/* Is it one of the roles of docs/format-weights.md? */
int mieni_role_known(const char *role);

#endif
