/* models/onnx_file.h — an ONNX file as nodes, values and constant tensors; what they mean is onnx.c's business. */
#ifndef MIEN_MODELS_ONNX_FILE_H
#define MIEN_MODELS_ONNX_FILE_H

#include "mien/common.h"
#include "mien/log.h"
#include "models/pb.h"

#define MIENI_ONNX_MAX_DIMS 8

/* A piece of the file. Not NUL-terminated. */
typedef struct MieniSlice {
    const char *s;
    size_t len;
} MieniSlice;

enum { MIENI_ONNX_FLOAT = 1, MIENI_ONNX_INT32 = 6, MIENI_ONNX_INT64 = 7, MIENI_ONNX_FLOAT16 = 10, MIENI_ONNX_DOUBLE = 11 };

typedef struct MieniOnnxTensor {
    MieniSlice name;
    MieniReader msg; /* the whole TensorProto, for reading values out of its repeated fields */
    MieniSlice raw;  /* raw_data, if has_raw */
    int has_raw, external;
    int dtype;
    int n_dims;
    int64_t dim[MIENI_ONNX_MAX_DIMS];
    uint64_t elems; /* product of dim, at most 2^31 - 1 */
} MieniOnnxTensor;

typedef struct MieniOnnxNode {
    MieniSlice name, op, domain;
    MieniReader msg;  /* the whole NodeProto, for its attributes */
    int in, n_in;     /* ref[in .. in + n_in): value or -1 where left out */
    int out, n_out;
} MieniOnnxNode;

typedef struct MieniOnnxValue {
    MieniSlice name;
    int node;   /* which makes it, or -1 */
    int tensor; /* initialiser, or -1 */
    int input;  /* the graph's input number, or -1 */
} MieniOnnxValue;

typedef struct MieniOnnxInput {
    int value;
    int dtype, n_dims;
    int64_t dim[MIENI_ONNX_MAX_DIMS]; /* 0 where it is named or missing */
} MieniOnnxInput;

typedef struct MieniOnnxFile {
    MienLog log;
    const char *path; /* for messages, borrowed */
    int opset;
    MieniOnnxNode *node;
    MieniOnnxValue *value;
    MieniOnnxTensor *tensor;
    MieniOnnxInput *input; /* initialisers excepted */
    int *ref;              /* inputs and outputs of all nodes */
    int *output;           /* values */
    size_t n_nodes, n_values, n_tensors, n_inputs, n_refs, n_outputs;
    int32_t *hash; /* value + 1 by name, open addressing */
    size_t n_hash;
} MieniOnnxFile;

/* Parses bytes, which must outlive *f. path is for messages. Errors: MIEN_E_FORMAT, MIEN_E_UNSUPPORTED, ENOMEM. */
int mieni_onnx_parse(MieniOnnxFile *f, const void *data, size_t bytes, const char *path, MienLog log);
void mieni_onnx_uninit(MieniOnnxFile *f);

/* The value with this name, or -1. */
int mieni_onnx_find(const MieniOnnxFile *f, MieniSlice name);

/* A TensorProto by itself (an attribute's). 0 or MIEN_E_FORMAT without a log line. */
int mieni_onnx_tensor(MieniReader msg, MieniOnnxTensor *t);

/* The numbers of a tensor, which has exactly t->elems: float, double and float16 as float; int32 and int64 as int64. 0, or
 * MIEN_E_FORMAT if there are fewer or more than the shape says, MIEN_E_UNSUPPORTED for another type. No log line. */
int mieni_onnx_floats(const MieniOnnxTensor *t, float *to);
int mieni_onnx_ints(const MieniOnnxTensor *t, int64_t *to);

/* Attributes of a node by name. Each returns 1 if it is there, 0 if not, MIEN_E_FORMAT if it is of another type or damaged. */
int mieni_onnx_attr_int(const MieniOnnxNode *n, const char *name, int64_t *v);
int mieni_onnx_attr_float(const MieniOnnxNode *n, const char *name, float *v);
int mieni_onnx_attr_ints(const MieniOnnxNode *n, const char *name, int64_t *v, int *n_v, int cap);
int mieni_onnx_attr_string(const MieniOnnxNode *n, const char *name, MieniSlice *v);
int mieni_onnx_attr_tensor(const MieniOnnxNode *n, const char *name, MieniOnnxTensor *v);
/* The i-th attribute's name: 1, or 0 past the end, or MIEN_E_FORMAT. */
int mieni_onnx_attr_name(const MieniOnnxNode *n, int i, MieniSlice *name);

/* IEEE 754 binary16 (its low 16 bits) as a float. */
float mieni_float_from_half(uint32_t half);

int mieni_slice_is(MieniSlice a, const char *s);
/* A printable copy for messages, cut to fit; returns buf. */
const char *mieni_slice_text(MieniSlice a, char *buf, size_t buf_bytes);

#endif
