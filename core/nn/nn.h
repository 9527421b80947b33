/* Inside of the network engine: graph, ops, plan. docs/internals/nn.md tells the whole; docs/howto-op.md how to add an op.
 *
 * Lifetimes: a model (graph + weights) is immutable and counted; a net is one planned session. Activations are numbered:
 * the inputs first, then one a node.
 */
#ifndef MIENI_NN_H
#define MIENI_NN_H

#include "kernels/kernels.h"
#include "mien/net.h"
#include "mien/weights.h"

#define MIENI_MAX_NODES 4096
#define MIENI_MAX_IN 8
#define MIENI_MAX_NAME 127
#define MIENI_MAX_CHANNELS 65536
#define MIENI_MAX_WINDOW 4096 /* kernel, stride, pad, dilation */
#define MIENI_MAX_BATCH 4096
#define MIENI_MAX_JOBS 64 /* slots of workspace a node may have */
#define MIENI_MAX_GRAPH_BYTES ((size_t)4 << 20)

struct cJSON;
typedef struct MieniOp MieniOp;
typedef struct MieniStep MieniStep;
typedef struct MieniGrad MieniGrad;

typedef struct MieniNode {
    const MieniOp *op;
    char name[MIENI_MAX_NAME + 1]; /* of the node; its weights are NAME.weight and so on */
    char out[MIENI_MAX_NAME + 1];  /* of the activation it makes */
    int n_in;
    int in[MIENI_MAX_IN]; /* activations */
    MieniAct act;         /* slope is set by bind */
    const float *weight, *bias, *scale;
    int64_t weight_rows; /* fc: rows of weight, compared with h·w·c once the size is known */
    MieniWindow win;     /* conv2d and pools; pad uses its pads */
    int groups, c_out, has_bias; /* conv2d, fc */
    int shape[3];        /* reshape: h, w, c, one may be -1 */
    int channels;        /* pad */
    float alpha, beta;   /* add */
    float eps;           /* l2norm */
} MieniNode;

typedef struct MieniInput {
    char name[MIENI_MAX_NAME + 1];
    int h, w, c; /* h, w: 0 = chosen by the net */
} MieniInput;

typedef struct MieniOutput {
    char name[MIENI_MAX_NAME + 1];
    int activation;
} MieniOutput;

/* Who is speaking, for messages: "FILE: node 'NAME': …". */
typedef struct MieniCtx {
    const char *file;
    MienLog log;
    const MieniNode *node; /* NULL: the graph */
    const MienWeights *weights;
} MieniCtx;

struct MienModel {
    MienWeights *weights;
    char *path, hash[65];
    MieniInput input;
    MieniNode *node;
    int n_nodes;
    MieniOutput *output;
    int n_outputs;
    uint64_t n_params;
    char **text; /* a line a node */
    int writable; /* mien_model_copy made it: whoever keeps something derived from weights must not, here */
    int refs;    /* atomic access only */
};

/* An op: everything the engine knows about one kind of node. Shapes given to infer may have h, w or c = 0: not known before
 * the input size is; what follows from them is 0 too. Members may be NULL where "nothing" is right. */
struct MieniOp {
    const char *name;
    const char *attrs; /* words it accepts beyond op, name, in, out; space-separated */
    int min_in, max_in;
    unsigned in_place; /* bit i: the output may lie on input i, where both have as many elements */
    int takes_act;     /* "act" may be given */
    /* Attributes from JSON into the node, ranges checked. */
    int (*parse)(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json);
    /* The output's h, w, c from the inputs' (n is handled by the caller). Says what does not fit. */
    int (*infer)(const MieniCtx *ctx, const MieniNode *node, const MienShape *in, MienShape *out);
    /* Finds the weights by name, with their shapes. in[].c is known. */
    int (*bind)(const MieniCtx *ctx, MieniNode *node, const MienShape *in);
    /* Cuts the work: sets n_tiles (1 at entry), tile_px, tile_c and work_elems. Must depend on shapes and kernels alone. */
    void (*plan)(MieniStep *step);
    /* Computes tiles [tile0, tile1). work: work_elems floats of this job alone, 64-byte aligned; NULL if none were asked. */
    void (*forward)(const MieniStep *step, int tile0, int tile1, float *work);
    /* Backward (grad.c). An op with `act` sees the gradient behind its activation: dJ/d(what goes into it). */
    unsigned grad_reads;    /* bit i: backward reads in[i]; MIENI_READS_OUT: out */
    unsigned grad_reads_w;  /* bit i: so it does where gradients of weights are wanted */
    unsigned grad_in_place; /* bit i: din[i] may lie on dout, where both have as many elements */
    unsigned grad_adds;     /* bit i: backward heeds `add` for din[i]; for others the engine adds */
    /* Cuts the work: sets n_passes and n_tiles of each (at entry: 1 pass, the tiles of forward), work_elems, shared_elems and
     * what else of g is the op's own. Passes run one after the other. As with plan: from shapes and kernels alone. */
    void (*plan_backward)(MieniGrad *g);
    /* Tiles [tile0, tile1) of a pass: from g->dout (which may be overwritten) all din[i] and dweight … that are not NULL. */
    void (*backward)(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work);
    /* Multiply-accumulates for these shapes. */
    uint64_t (*macs)(const MieniNode *node, const MienShape *in, const MienShape *out);
    /* "3x3 s2 p1" for people. */
    void (*text)(const MieniNode *node, char *buf, size_t buf_bytes);
};

const MieniOp *mieni_op_find(const char *name);
const MieniOp *mieni_op_at(int i); /* NULL past the end */

extern const MieniOp mieni_op_conv2d, mieni_op_fc, mieni_op_affine, mieni_op_relu, mieni_op_sigmoid, mieni_op_prelu, mieni_op_add,
    mieni_op_mul, mieni_op_concat, mieni_op_maxpool, mieni_op_avgpool, mieni_op_globalavg, mieni_op_pad, mieni_op_reshape,
    mieni_op_softmax, mieni_op_l2norm;

/* A node of a planned net: what forward sees. */
struct MieniStep {
    const MieniNode *node;
    const MienKernels *kernels;
    int n_in;
    const float *in[MIENI_MAX_IN];
    MienShape in_shape[MIENI_MAX_IN];
    float *out;
    MienShape out_shape;
    float *pre;  /* where it goes backward and has a prelu: x·w + b, before the activation; else NULL */
    float *work; /* n_jobs slots of work_elems each */
    size_t work_elems;
    int n_tiles, n_jobs;
    int tile_px, tile_c, tiles_px, tiles_c; /* the op's own cut of the work */
};

#define MIENI_READS_OUT (1u << 31)
#define MIENI_MAX_PASSES 4
enum { MIENI_DWEIGHT, MIENI_DBIAS, MIENI_DSCALE, MIENI_DSLOPE, MIENI_N_DW };

/* A step going backward: what `backward` sees. Of step->in and step->out only what grad_reads names is still there. */
struct MieniGrad {
    const MieniStep *step;    /* NULL: no gradient is wanted from here on down */
    unsigned wants;           /* bit i: dJ/d(in[i]) */
    unsigned wants_w;         /* bit i: dw[i] */
    unsigned sums;            /* bit i: the engine adds din[i] to another reader's. Not of grad_adds */
    float *dout;              /* dJ/d(out), then behind the activation; dies with this step */
    float *din[MIENI_MAX_IN]; /* where dJ/d(in[i]) goes; NULL: not wanted */
    unsigned add;             /* bit i: add to din[i], another reader of in[i] has written it. Only bits of grad_adds */
    float *dw[MIENI_N_DW];    /* NULL: not wanted. The engine itself does bias and slope */
    float *shared, *work;     /* of the step; n_jobs slots of work_elems each */
    size_t shared_elems, work_elems;
    int n_passes, n_tiles[MIENI_MAX_PASSES];
    int tile_px, tiles_px, tile_c, tiles_c, n_parts; /* the op's own */
    /* The engine's own. */
    int n_jobs;
    const float *pre;            /* what went into a prelu */
    float *grad_of[MIENI_MAX_IN]; /* dJ/d(in[i]): din[i], or what din[i] is added to */
};

/* A gradient of weights, by name. */
typedef struct MieniWeightGrad {
    const char *name; /* the model's */
    float *grad;
    size_t n_elems;
} MieniWeightGrad;

struct MienNet {
    MienModel *model;
    MienExec exec;
    MienLog log;
    unsigned grad;
    const char *const *train; /* borrowed while planning; NULL: all */
    int n_train;
    MieniOutput *output; /* borrowed names */
    int n_outputs;
    MienShape *shape; /* of each activation */
    float **act;      /* each activation's place in block; NULL: not needed */
    MieniStep *step;
    int n_steps;
    /* Where grad is not 0, else NULL: gradients of activations, a MieniGrad a step (step NULL: nothing flows there). */
    float **dact;
    MieniGrad *back;
    MieniWeightGrad *dweight;
    int n_dweights;
    int ran; /* a run, and no backward since */
    uint8_t *block;
    size_t block_bytes;
    uint64_t macs;
};

/* The activation where a kernel applies it at once: act, or none where what goes into it is kept (s->pre). */
MieniAct mieni_act_now(const MieniStep *s);
/* … and where it is kept: out[at …] = act(pre[at …]) for n_px pixels, ld elements apart, of channels [c0, c0 + c). */
void mieni_act_later(const MieniStep *s, size_t at, ptrdiff_t ld, ptrdiff_t n_px, int c, int c0);

/* plan.c: memory by lifetime. A buffer lives from step first to step last, both included. */
typedef struct MieniBuf {
    size_t bytes;
    int first, last;
    size_t offset; /* out; a multiple of 64 */
} MieniBuf;

/* The plan of memory while it is made: buffers, and where each one's address goes. */
typedef struct MieniPlan {
    uint8_t *needed;   /* this and the next three by activation */
    int *first, *last; /* steps; the input is made at step -1, outputs live to the end */
    int *root;         /* activation whose memory this one uses */
    int *dfirst, *dlast, *droot; /* the same for gradients; dfirst INT_MAX: there is none */
    MieniBuf *buf;
    float ***at;
    int n_bufs, max_bufs;
} MieniPlan;

/* Asks for memory; MIEN_ERR(ENOMEM) when there is too much of it to count. */
int mieni_plan_add(MieniPlan *p, float **at, size_t elems, int first, int last);
/* The same for n_jobs slots of workspace in one step; *elems a slot is rounded up. 0: nothing. */
int mieni_plan_add_work(MieniPlan *p, float **at, size_t *elems, int n_jobs, int step);
/* How many jobs these tiles are dealt out to. */
int mieni_n_jobs(int n_tiles, int n_threads);

/* grad.c. Time goes on behind the last step: the caller at n_steps, then backward in reverse, the end last of all. */
int mieni_grad_end(const MienNet *net);
/* Decides which steps go backward and plans them; keeps activations for as long as that needs them (p->last). */
int mieni_grad_plan(MienNet *net, MieniPlan *p);
/* Adds gradients and their workspace to the plan of memory. */
int mieni_grad_place(MienNet *net, MieniPlan *p);
/* Sets pointers, once the plan's are. */
void mieni_grad_set_pointers(MienNet *net, const MieniPlan *p);
/* `backward` of ops that leave the numbers as they are: din[0] = dout. */
void mieni_copy_backward(const MieniGrad *g, int i_pass, int tile0, int tile1, float *work);

/* graph.c: JSON text → model->input, node, output; names, order, attributes. */
int mieni_graph_parse(MienModel *model, const char *json, size_t json_bytes, const MieniCtx *ctx);
/* Infers the shape of every activation (n_nodes + 1 of them) for this input, and checks limits. */
int mieni_graph_infer(const MienModel *model, MienShape input, MienShape *shape, MienLog log);

/* Attributes of a node; each says what is wrong and names it. Absent: *value stays. */
int mieni_attr_int(const MieniCtx *ctx, const struct cJSON *json, const char *key, int min, int max, int *value);
int mieni_attr_ints(const MieniCtx *ctx, const struct cJSON *json, const char *key, int n, int min, int max, int *values);
int mieni_attr_float(const MieniCtx *ctx, const struct cJSON *json, const char *key, float *value);
int mieni_attr_bool(const MieniCtx *ctx, const struct cJSON *json, const char *key, int *value);
/* "FILE: node 'NAME': message" at error level; returns err. */
int mieni_node_fail(const MieniCtx *ctx, int err, const char *fmt, ...) MIEN_PRINTF(3, 4);
/* Finds NAME.suffix with this shape (-1: any) and refuses NaN and Inf. n_elems may be NULL. */
int mieni_bind(const MieniCtx *ctx, const char *suffix, int n_dims, const int64_t *dim, const float **data, size_t *n_elems);
/* The slope of act for c channels, where it has one. */
int mieni_bind_act(const MieniCtx *ctx, MieniNode *node, int c);
/* kernel, stride, pad, dilation (if the op has it) into node->win. */
int mieni_parse_window(const MieniCtx *ctx, MieniNode *node, const struct cJSON *json);
/* Output h and w of a window over in; 0 where not known. */
int mieni_infer_window(const MieniCtx *ctx, const MieniNode *node, MienShape in, MienShape *out);
void mieni_text_window(const MieniNode *node, char *buf, size_t buf_bytes);

/* Cuts n_px pixels of c channels into tiles of about 16K elements. */
void mieni_plan_pixels(MieniStep *step, size_t n_px, int c);
/* Pixels [*px0, *px0 + return value) of a tile of such a cut. */
size_t mieni_tile_pixels(const MieniStep *step, int i_tile, size_t n_px, size_t *px0);

/* plan.c. Places buffers so that no two alive at one step overlap; *total_bytes is the block's size. MIEN_ERR(ENOMEM), also when sizes
 * overflow. */
int mieni_plan_place(MieniBuf *buf, int n_bufs, size_t *total_bytes);

/* blas.c: c = a·b as in MienKernels.gemm_f32, by the kernel or by OpenBLAS, whichever the table says is right. */
void mieni_sgemm(const MienKernels *k, int m, int n, int kk, const float *a, ptrdiff_t lda, const float *b, ptrdiff_t ldb,
                 float *c, ptrdiff_t ldc);
/* Whether that is the kernel's. */
int mieni_own_product(const MienKernels *k, int m, int n, int kk);
/* c += a·b, or a^T·b, as in MienKernels.gemm_add_f32. */
void mieni_sgemm_add(const MienKernels *k, int trans, int m, int n, int kk, const float *a, ptrdiff_t lda, const float *b,
                     ptrdiff_t ldb, float *c, ptrdiff_t ldc);
/* Not 0 when the OpenBLAS of this process runs threads of its own (some other library brought that flavour in). */
int mieni_blas_threads(void);

/* model.c: a model from a file's bytes in memory; name stands for the path in messages. */
int mieni_model_parse(MienModel **model, const void *data, size_t bytes, const char *name, MienLog log);

#endif
