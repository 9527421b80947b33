/* mien/net.h — networks: a model is the immutable file, a net is one session that runs it.
 *
 * A model file is a safetensors file that carries its own graph (docs/format-weights.md). Loading checks everything: the
 * graph, every weight's shape by name, and that no value is NaN or Inf. A net is planned once for one input size: all
 * activations live in one block whose size is known beforehand, and running it allocates nothing.
 *
 * A net can also go backward: made with `grad`, it turns dJ/d(outputs) into dJ/d(input), dJ/d(weights) or both, for any
 * scalar J of its outputs (reverse-mode differentiation). One step of a loop that uses it:
 *
 *     write mien_net_input          the pictures
 *     mien_net_run                  outputs are valid now
 *     write mien_net_output_grad    for every output, from the outputs
 *     mien_net_backward
 *     read mien_net_input_grad, mien_net_weight_grad
 */
#ifndef MIEN_NET_H
#define MIEN_NET_H

#include "mien/common.h"
#include "mien/cpu.h"
#include "mien/exec.h"
#include "mien/log.h"
#include "mien/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct MienModel MienModel;

/* Opens and checks a model. Errors: MIEN_E_MODEL, MIEN_E_SHAPE, MIEN_E_FORMAT, MIEN_E_VERSION, -errno. */
int mien_model_open(MienModel **model, const char *path, MienLog log);
MienModel *mien_model_ref(MienModel *model);
void mien_model_unref(MienModel **model);

/* Threads of all model getters: any; a model never changes. Strings live as long as the model. */
const char *mien_model_path(const MienModel *model);
const char *mien_model_hash(const MienModel *model); /* SHA-256 of the file, 64 lower-case hex digits */
/* Value of "mien.KEY" in the file's metadata (key "role" reads "mien.role"), or NULL. */
const char *mien_model_meta(const MienModel *model, const char *key);
uint64_t mien_model_params(const MienModel *model); /* number of weights */
int mien_model_n_inputs(const MienModel *model);
int mien_model_n_outputs(const MienModel *model);
const char *mien_model_output_name(const MienModel *model, int i_output);
/* One line per node for people: "conv2d  conv1  3x3 s2 p1  3->16 relu". i from 0; NULL past the end. */
const char *mien_model_node_text(const MienModel *model, int i_node);

/* Its name; the node's weights are the tensors NAME.weight, NAME.bias, NAME.scale and NAME.slope, as far as it has them. NULL past
 * the end. */
const char *mien_model_node_name(const MienModel *model, int i_node);
uint64_t mien_model_node_params(const MienModel *model, int i_node); /* number of its weights; 0 past the end */

/* For training: a copy whose weights may be written between the runs of its nets, the one kind of model that changes. Nets read the
 * weights anew in each run. Its path and hash are still those of what was copied. Threads: as a net; while weights are
 * written no net of it may run. */
int mien_model_copy(MienModel **copy, const MienModel *model, MienLog log);
/* A tensor of such a copy by name ("conv1.weight"), laid out as in the file. NULL: no such one, or the model is no copy. n_elems may
 * be NULL. */
float *mien_model_weight(MienModel *model, const char *name, size_t *n_elems);
/* The model as a file's bytes, as its weights are now; the caller frees *data. Of meta ("mien.name" …) a key that the model has is
 * replaced, another is added. */
int mien_model_pack(const MienModel *model, const MienMeta *meta, size_t n_meta, uint8_t **data, size_t *bytes, MienLog log);

/* Shape of an activation, NHWC. Vectors have h = w = 1. */
typedef struct MienShape {
    int n, h, w, c;
} MienShape;

static inline size_t mien_shape_elems(MienShape s)
{
    return (size_t)s.n * (size_t)s.h * (size_t)s.w * (size_t)s.c;
}

/* What an activation sees of the input: position (y, x) depends on the input's rows y·step_px[0] + first_px[0] … y·step_px[0] +
 * last_px[0], and likewise on columns by [1]; first_px may be negative (padding). */
typedef struct MienField {
    int64_t step_px[2], first_px[2], last_px[2];
} MienField;

/* The field of an activation, by the name of an output or a node's "out". MIEN_E_NOTFOUND: no such one; MIEN_E_UNSUPPORTED: it
 * depends on the whole input (behind global pooling, say); ENOMEM. Nothing is logged. */
int mien_model_field(const MienModel *model, const char *name, MienField *field);

/* What a net's backward pass computes; bits of MienNetParams.grad. */
enum { MIEN_NET_GRAD_INPUT = 1, MIEN_NET_GRAD_WEIGHTS = 2 };

typedef struct MienNetParams {
    MienExec exec;  /* kept (its priv must outlive the net); {0} runs in the calling thread */
    MienLog log;    /* kept */
    int n;          /* batch, 1..4096 */
    int h_px, w_px; /* input size; 0 takes the size that the model fixes. Error if the model fixes another */
    MienCpu cpu;    /* best level of the kernels; MIEN_CPU_AUTO: as mien_cpu_level() says. MIEN_CPU_C is the exact mode */
    unsigned grad;  /* MIEN_NET_GRAD_…; 0: the net only runs forward, in less memory, to the same bits */
    /* Names of the activations to compute, each once: outputs of the model or of any node. They become the net's outputs 0,
     * 1 …; nodes that only others need are left out. NULL: the model's outputs. Read by create alone. */
    const char *const *outputs;
    int n_outputs;
    /* With MIEN_NET_GRAD_WEIGHTS: names of the nodes whose weights' gradients are computed. Nothing goes backward below the first
     * of them unless the input's gradient is asked for. NULL: all nodes. Read by create alone. */
    const char *const *train;
    int n_train;
} MienNetParams;

#define MIEN_NET_DEFAULTS { .n = 1 }

typedef struct MienNet MienNet;

/* Plans a session. Takes a reference on model. Errors: MIEN_E_SHAPE (this size does not fit the graph), MIEN_E_NOTFOUND (there
 * is no such output or node to train), EINVAL (params), ENOMEM. */
int mien_net_create(MienNet **net, MienModel *model, const MienNetParams *params);
void mien_net_destroy(MienNet **net);
/* What a session would need and cost, without creating it; either pointer may be NULL. */
int mien_net_estimate(MienModel *model, const MienNetParams *params, size_t *memory_bytes, uint64_t *macs);

/* Size of the session's block (activations, gradients, and workspace, which grows with exec.n_threads); known before the first
 * run and constant afterwards. */
size_t mien_net_memory_bytes(const MienNet *net);
/* Multiply-accumulates of one run. */
uint64_t mien_net_macs(const MienNet *net);

/* The input tensor (n,h,w,c f32), written by the caller before each run; its contents are lost by the run. */
float *mien_net_input(MienNet *net, MienShape *shape);
/* Runs the net. Allocates nothing. The same input gives the same bits whatever exec is and whatever else is in the batch.
 * Threads: one at a time per net; several nets of one model may run at once. */
int mien_net_run(MienNet *net);
/* An output by index (order of params.outputs, or of the graph's) or by name; valid until the next run or destroy, also after
 * a backward pass. NULL: no such one. */
int mien_net_n_outputs(const MienNet *net);
const float *mien_net_output(const MienNet *net, int i_output, MienShape *shape);
const float *mien_net_output_named(const MienNet *net, const char *name, MienShape *shape);

/* Where the caller writes dJ/d(output), of the output's shape, between a run and its backward pass; the pass loses the
 * contents, a run may, too. The pointer stays the same. Every output's must be written, with zeros where J doesn't depend on
 * it; an output that never counts is better left out of params.outputs. NULL: no such output, or a net without grad. */
float *mien_net_output_grad(MienNet *net, int i_output, MienShape *shape);

/* The backward pass, once after each run. Allocates nothing; the bits don't depend on exec. At kinks: a relu at 0 passes
 * nothing on, a prelu at 0 passes everything on, and the first of equal values of a maxpool window takes all.
 * Errors: EINVAL (a net without grad, or no run since the last pass). Threads: as mien_net_run. */
int mien_net_backward(MienNet *net);

/* dJ/d(input), of the input's shape; valid from a backward pass to the next run. NULL: not asked for. */
const float *mien_net_input_grad(const MienNet *net, MienShape *shape);
/* dJ/d(weights), summed over the batch, laid out as in the model file; valid from a backward pass to the next run. By the
 * tensor's name ("conv1.weight") or by index; name and n_elems may be NULL. NULL: not asked for, no such one, or one of a node
 * that this net leaves out. */
const float *mien_net_weight_grad(const MienNet *net, const char *name, size_t *n_elems);
int mien_net_n_weight_grads(const MienNet *net);
const float *mien_net_weight_grad_at(const MienNet *net, int i, const char **name, size_t *n_elems);

#ifdef __cplusplus
}
#endif
#endif
