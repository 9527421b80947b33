/* An ONNX file as nodes, values and tensors. Field numbers from onnx.proto (ONNX IR, versions 3 to 10); a file is untrusted, so
 * every count is checked against the bytes that are there before anything is allocated. */
#include "models/onnx_file.h"

#include <string.h>

#include "mien/error.h"

#define MAX_NODES 65536
#define MAX_VALUES 262144
#define MAX_ELEMS UINT64_C(2147483647)

/* ---- slices */

int mieni_slice_is(MieniSlice a, const char *s)
{
    return a.len == strlen(s) && !memcmp(a.s, s, a.len);
}

static MieniSlice slice_of(const MieniPbField *f)
{
    return (MieniSlice){ (const char *)f->data.data, f->data.bytes };
}

static int slices_equal(MieniSlice a, MieniSlice b)
{
    return a.len == b.len && (!a.len || !memcmp(a.s, b.s, a.len));
}

const char *mieni_slice_text(MieniSlice a, char *buf, size_t buf_bytes)
{
    size_t n = a.len < buf_bytes - 1 ? a.len : buf_bytes - 1;

    for (size_t i = 0; i < n; i++)
        buf[i] = a.s[i] >= ' ' && a.s[i] <= '~' ? a.s[i] : '?';
    buf[n] = 0;
    return buf;
}

/* ---- tensors */

static int check_tensor_field(MieniOnnxTensor *t, const MieniPbField *f)
{
    switch (f->number) {
    case 1:
        return mieni_pb_ints(f, t->dim, &t->n_dims, MIENI_ONNX_MAX_DIMS);
    case 2:
        t->dtype = f->value < 64 ? (int)f->value : -1;
        return f->wire == MIENI_PB_VARINT ? 0 : -1;
    case 8:
        t->name = slice_of(f);
        return f->wire == MIENI_PB_BYTES ? 0 : -1;
    case 9:
        t->raw = slice_of(f);
        t->has_raw = 1;
        return f->wire == MIENI_PB_BYTES ? 0 : -1;
    case 14:
        t->external = f->value != 0;
        return 0;
    default:
        return 0;
    }
}

int mieni_onnx_tensor(MieniReader msg, MieniOnnxTensor *t)
{
    MieniPbField f;
    int more;

    memset(t, 0, sizeof(*t));
    t->msg = msg;
    while ((more = mieni_pb_next(&msg, &f)) > 0)
        if (check_tensor_field(t, &f) < 0)
            return MIEN_E_FORMAT;
    if (more < 0)
        return MIEN_E_FORMAT;
    t->elems = 1;
    for (int i = 0; i < t->n_dims; i++) {
        if (t->dim[i] < 0 || (t->dim[i] && t->elems > MAX_ELEMS / (uint64_t)t->dim[i]))
            return MIEN_E_FORMAT;
        t->elems *= (uint64_t)t->dim[i];
    }
    return 0;
}

static float float_from_bits(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* IEEE 754 binary16: exact in float. */
float mieni_float_from_half(uint32_t half)
{
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;

    if (exponent == 31)
        return float_from_bits(sign | 0x7f800000 | fraction << 13);
    if (exponent)
        return float_from_bits(sign | (exponent + 112) << 23 | fraction << 13);
    float tiny = (float)fraction * (1.0f / 16777216.0f);
    return sign ? -tiny : tiny;
}

static double double_from_bits(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

/* How one type is stored: bytes in raw_data and in a packed field, and which field else; a field of varints has bytes 0. */
typedef struct Storage {
    int raw_bytes, field, field_bytes;
} Storage;

static int storage_of(int dtype, Storage *s)
{
    switch (dtype) {
    case MIENI_ONNX_FLOAT: *s = (Storage){ 4, 4, 4 }; return 0;
    case MIENI_ONNX_INT32: *s = (Storage){ 4, 5, 0 }; return 0;
    case MIENI_ONNX_FLOAT16: *s = (Storage){ 2, 5, 0 }; return 0;
    case MIENI_ONNX_INT64: *s = (Storage){ 8, 7, 0 }; return 0;
    case MIENI_ONNX_DOUBLE: *s = (Storage){ 8, 10, 8 }; return 0;
    default: return MIEN_E_UNSUPPORTED;
    }
}

static void store(const MieniOnnxTensor *t, uint64_t i, uint64_t bits, float *f, int64_t *n)
{
    if (n)
        n[i] = t->dtype == MIENI_ONNX_INT32 ? (int32_t)(uint32_t)bits : (int64_t)bits;
    else if (t->dtype == MIENI_ONNX_FLOAT)
        f[i] = float_from_bits((uint32_t)bits);
    else if (t->dtype == MIENI_ONNX_DOUBLE)
        f[i] = (float)double_from_bits(bits);
    else
        f[i] = mieni_float_from_half((uint32_t)bits & 0xffff);
}

static int read_fields(const MieniOnnxTensor *t, Storage s, float *to_f, int64_t *to_n)
{
    MieniReader msg = t->msg;
    MieniPbField f;
    uint64_t i = 0;

    while (mieni_pb_next(&msg, &f) > 0) {
        if (f.number != (uint32_t)s.field)
            continue;
        if (f.wire != MIENI_PB_BYTES) {
            if (f.wire != (s.field_bytes == 4 ? MIENI_PB_32 : s.field_bytes == 8 ? MIENI_PB_64 : MIENI_PB_VARINT) || i == t->elems)
                return MIEN_E_FORMAT;
            store(t, i++, f.value, to_f, to_n);
            continue;
        }
        while (f.data.at < f.data.bytes) {
            uint64_t bits = s.field_bytes ? mieni_read_le(&f.data, s.field_bytes) : mieni_pb_varint(&f.data);
            if (f.data.bad || i == t->elems)
                return MIEN_E_FORMAT;
            store(t, i++, bits, to_f, to_n);
        }
    }
    return i == t->elems ? 0 : MIEN_E_FORMAT;
}

static int read_tensor(const MieniOnnxTensor *t, float *f, int64_t *n)
{
    Storage s;

    if (t->external || storage_of(t->dtype, &s) < 0)
        return MIEN_E_UNSUPPORTED;
    if (!t->has_raw)
        return read_fields(t, s, f, n);
    if (t->raw.len != t->elems * (uint64_t)s.raw_bytes)
        return MIEN_E_FORMAT;
    MieniReader r = mieni_reader(t->raw.s, t->raw.len);
    for (uint64_t i = 0; i < t->elems; i++)
        store(t, i, mieni_read_le(&r, s.raw_bytes), f, n);
    return 0;
}

int mieni_onnx_floats(const MieniOnnxTensor *t, float *to)
{
    if (t->dtype == MIENI_ONNX_INT32 || t->dtype == MIENI_ONNX_INT64)
        return MIEN_E_UNSUPPORTED;
    return read_tensor(t, to, NULL);
}

int mieni_onnx_ints(const MieniOnnxTensor *t, int64_t *to)
{
    if (t->dtype != MIENI_ONNX_INT32 && t->dtype != MIENI_ONNX_INT64)
        return MIEN_E_UNSUPPORTED;
    return read_tensor(t, NULL, to);
}

/* ---- attributes */

int mieni_onnx_attr_name(const MieniOnnxNode *n, int i, MieniSlice *name)
{
    MieniReader msg = n->msg;
    MieniPbField f, g;
    int more;

    while ((more = mieni_pb_next(&msg, &f)) > 0) {
        if (f.number != 5 || f.wire != MIENI_PB_BYTES || i-- > 0)
            continue;
        *name = (MieniSlice){ "", 0 };
        while ((more = mieni_pb_next(&f.data, &g)) > 0)
            if (g.number == 1 && g.wire == MIENI_PB_BYTES)
                *name = slice_of(&g);
        return more < 0 ? MIEN_E_FORMAT : 1;
    }
    return more < 0 ? MIEN_E_FORMAT : 0;
}

/* A reader over the AttributeProto with this name. */
static int find_attr(const MieniOnnxNode *n, const char *name, MieniReader *attr)
{
    MieniReader msg = n->msg;
    MieniPbField f, g;
    int more;

    while ((more = mieni_pb_next(&msg, &f)) > 0) {
        if (f.number != 5 || f.wire != MIENI_PB_BYTES)
            continue;
        *attr = f.data;
        while ((more = mieni_pb_next(&f.data, &g)) > 0)
            if (g.number == 1 && g.wire == MIENI_PB_BYTES && mieni_slice_is(slice_of(&g), name))
                return 1;
        if (more < 0)
            return MIEN_E_FORMAT;
    }
    return more < 0 ? MIEN_E_FORMAT : 0;
}

/* The attribute's field with this number and wire type. */
static int attr_field(const MieniOnnxNode *n, const char *name, uint32_t number, MieniPbWire wire, MieniPbField *found)
{
    MieniReader attr;
    MieniPbField f;
    int more, ret = find_attr(n, name, &attr), have = 0;

    if (ret <= 0)
        return ret;
    while ((more = mieni_pb_next(&attr, &f)) > 0)
        if (f.number == number && f.wire == wire) {
            *found = f;
            have = 1;
        }
    return more < 0 || !have ? MIEN_E_FORMAT : 1;
}

int mieni_onnx_attr_int(const MieniOnnxNode *n, const char *name, int64_t *v)
{
    MieniPbField f;
    int ret = attr_field(n, name, 3, MIENI_PB_VARINT, &f);

    if (ret > 0)
        *v = (int64_t)f.value;
    return ret;
}

int mieni_onnx_attr_float(const MieniOnnxNode *n, const char *name, float *v)
{
    MieniPbField f;
    int ret = attr_field(n, name, 2, MIENI_PB_32, &f);

    if (ret > 0)
        *v = float_from_bits((uint32_t)f.value);
    return ret;
}

int mieni_onnx_attr_ints(const MieniOnnxNode *n, const char *name, int64_t *v, int *n_v, int cap)
{
    MieniReader attr;
    MieniPbField f;
    int more, ret = find_attr(n, name, &attr);

    if (ret <= 0)
        return ret;
    *n_v = 0;
    while ((more = mieni_pb_next(&attr, &f)) > 0)
        if (f.number == 8 && mieni_pb_ints(&f, v, n_v, cap) < 0)
            return MIEN_E_FORMAT;
    return more < 0 ? MIEN_E_FORMAT : 1;
}

int mieni_onnx_attr_string(const MieniOnnxNode *n, const char *name, MieniSlice *v)
{
    MieniPbField f;
    int ret = attr_field(n, name, 4, MIENI_PB_BYTES, &f);

    if (ret > 0)
        *v = slice_of(&f);
    return ret;
}

int mieni_onnx_attr_tensor(const MieniOnnxNode *n, const char *name, MieniOnnxTensor *v)
{
    MieniPbField f;
    int ret = attr_field(n, name, 5, MIENI_PB_BYTES, &f);

    if (ret > 0 && mieni_onnx_tensor(f.data, v) < 0)
        ret = MIEN_E_FORMAT;
    return ret;
}

/* ---- values by name */

static size_t hash_name(MieniSlice name)
{
    uint64_t h = UINT64_C(1469598103934665603); /* FNV-1a, 64 bits */

    for (size_t i = 0; i < name.len; i++)
        h = (h ^ (uint8_t)name.s[i]) * UINT64_C(1099511628211);
    return (size_t)(h ^ h >> 32);
}

/* The slot that holds name or, if it is new, where it belongs. */
static size_t slot_of(const MieniOnnxFile *f, MieniSlice name)
{
    size_t i = hash_name(name) & (f->n_hash - 1);

    while (f->hash[i] && !slices_equal(f->value[f->hash[i] - 1].name, name))
        i = (i + 1) & (f->n_hash - 1);
    return i;
}

int mieni_onnx_find(const MieniOnnxFile *f, MieniSlice name)
{
    return f->n_hash ? f->hash[slot_of(f, name)] - 1 : -1;
}

/* The value with this name, made if need be. The tables were sized for all names of the file. */
static int intern(MieniOnnxFile *f, MieniSlice name)
{
    size_t i = slot_of(f, name);

    if (!f->hash[i]) {
        f->value[f->n_values] = (MieniOnnxValue){ name, -1, -1, -1 };
        f->hash[i] = (int32_t)++f->n_values;
    }
    return f->hash[i] - 1;
}

/* ---- the graph */

static int damaged(const MieniOnnxFile *f, const char *what)
{
    return mien_fail(f->log, MIEN_E_FORMAT, "%s: not an ONNX file, or damaged (%s)", f->path, what);
}

static int parse_node(MieniOnnxFile *f, MieniReader msg)
{
    MieniOnnxNode *n = &f->node[f->n_nodes];
    MieniPbField p;
    char text[128];

    memset(n, 0, sizeof(*n));
    n->msg = msg;
    for (MieniReader r = msg; mieni_pb_next(&r, &p) > 0;) {
        if (p.wire != MIENI_PB_BYTES)
            continue;
        if (p.number == 3)
            n->name = slice_of(&p);
        else if (p.number == 4)
            n->op = slice_of(&p);
        else if (p.number == 7)
            n->domain = slice_of(&p);
    }
    n->in = (int)f->n_refs;
    for (MieniReader r = msg; mieni_pb_next(&r, &p) > 0;)
        if (p.number == 1 && p.wire == MIENI_PB_BYTES)
            f->ref[f->n_refs++] = p.data.bytes ? intern(f, slice_of(&p)) : -1;
    n->n_in = (int)f->n_refs - n->in;
    n->out = (int)f->n_refs;
    for (MieniReader r = msg; mieni_pb_next(&r, &p) > 0;) {
        if (p.number != 2 || p.wire != MIENI_PB_BYTES)
            continue;
        int v = p.data.bytes ? intern(f, slice_of(&p)) : -1;
        if (v >= 0 && (f->value[v].node >= 0 || f->value[v].tensor >= 0 || f->value[v].input >= 0))
            return mien_fail(f->log, MIEN_E_FORMAT, "%s: two nodes make the value \"%s\"", f->path,
                             mieni_slice_text(f->value[v].name, text, sizeof(text)));
        if (v >= 0)
            f->value[v].node = (int)f->n_nodes;
        f->ref[f->n_refs++] = v;
    }
    n->n_out = (int)f->n_refs - n->out;
    f->n_nodes++;
    return 0;
}

static int parse_initializer(MieniOnnxFile *f, MieniReader msg)
{
    MieniOnnxTensor *t = &f->tensor[f->n_tensors];

    if (mieni_onnx_tensor(msg, t) < 0)
        return damaged(f, "an initialiser");
    int v = intern(f, t->name);
    if (f->value[v].tensor >= 0)
        return damaged(f, "two initialisers of one name");
    f->value[v].tensor = (int)f->n_tensors++;
    return 0;
}

/* TypeProto: tensor_type (1) has elem_type (1) and shape (2), whose dims (1) have dim_value (1) or a name. */
static int parse_type(MieniReader type, MieniOnnxInput *in)
{
    MieniPbField a, b, c, d;

    while (mieni_pb_next(&type, &a) > 0) {
        while (a.number == 1 && mieni_pb_next(&a.data, &b) > 0) {
            if (b.number == 1)
                in->dtype = b.value < 64 ? (int)b.value : -1;
            while (b.number == 2 && mieni_pb_next(&b.data, &c) > 0) {
                int64_t size = 0;
                if (in->n_dims == MIENI_ONNX_MAX_DIMS)
                    return -1;
                while (c.number == 1 && mieni_pb_next(&c.data, &d) > 0)
                    if (d.number == 1 && d.wire == MIENI_PB_VARINT)
                        size = (int64_t)d.value;
                in->dim[in->n_dims++] = size > 0 ? size : 0;
            }
        }
    }
    return 0;
}

static int parse_input(MieniOnnxFile *f, MieniReader msg)
{
    MieniOnnxInput *in = &f->input[f->n_inputs];
    MieniPbField p;
    MieniSlice name = { "", 0 };

    memset(in, 0, sizeof(*in));
    while (mieni_pb_next(&msg, &p) > 0) {
        if (p.number == 1 && p.wire == MIENI_PB_BYTES)
            name = slice_of(&p);
        else if (p.number == 2 && p.wire == MIENI_PB_BYTES && parse_type(p.data, in) < 0)
            return damaged(f, "an input's shape");
    }
    in->value = intern(f, name);
    if (f->value[in->value].tensor >= 0)
        return 0; /* older exporters list initialisers as inputs */
    if (f->value[in->value].input >= 0)
        return damaged(f, "two inputs of one name");
    f->value[in->value].input = (int)f->n_inputs++;
    return 0;
}

static int parse_output(MieniOnnxFile *f, MieniReader msg)
{
    MieniPbField p;

    while (mieni_pb_next(&msg, &p) > 0)
        if (p.number == 1 && p.wire == MIENI_PB_BYTES) {
            f->output[f->n_outputs++] = intern(f, slice_of(&p));
            return 0;
        }
    return damaged(f, "an output without a name");
}

/* How many nodes, initialisers, inputs, outputs, names: so that each table is allocated once. Also checks that all messages on
 * the way are sound, which lets the passes above ignore a bad end. */
typedef struct Counts {
    size_t nodes, tensors, inputs, outputs, refs;
} Counts;

static int check_message(MieniReader r)
{
    MieniPbField f;
    int more;

    while ((more = mieni_pb_next(&r, &f)) > 0)
        ;
    return more;
}

static int count_parts(const MieniOnnxFile *f, MieniReader graph, Counts *n)
{
    MieniPbField p, q;
    int more;

    while ((more = mieni_pb_next(&graph, &p)) > 0) {
        if (p.wire != MIENI_PB_BYTES)
            continue;
        if (p.number == 15)
            return mien_fail(f->log, MIEN_E_UNSUPPORTED, "%s: sparse initialisers are not supported", f->path);
        n->nodes += p.number == 1;
        n->tensors += p.number == 5;
        n->inputs += p.number == 11;
        n->outputs += p.number == 12;
        if (p.number != 1 && p.number != 11)
            continue;
        if (check_message(p.data) < 0)
            return damaged(f, p.number == 1 ? "a node" : "an input");
        while (p.number == 1 && mieni_pb_next(&p.data, &q) > 0)
            n->refs += q.number == 1 || q.number == 2;
    }
    if (more < 0)
        return damaged(f, "the graph ends too early");
    if (n->nodes > MAX_NODES || n->refs + n->tensors + n->inputs + n->outputs > MAX_VALUES)
        return mien_fail(f->log, MIEN_E_UNSUPPORTED, "%s: %zu nodes and %zu tensors are too many", f->path, n->nodes, n->tensors);
    return 0;
}

static int reserve(MieniOnnxFile *f, const Counts *n)
{
    size_t values = n->refs + n->tensors + n->inputs + n->outputs + 1;

    for (f->n_hash = 64; f->n_hash < 2 * values;)
        f->n_hash *= 2;
    f->node = mien_calloc(n->nodes + 1, sizeof(*f->node));
    f->value = mien_calloc(values, sizeof(*f->value));
    f->tensor = mien_calloc(n->tensors + 1, sizeof(*f->tensor));
    f->input = mien_calloc(n->inputs + 1, sizeof(*f->input));
    f->ref = mien_calloc(n->refs + 1, sizeof(*f->ref));
    f->output = mien_calloc(n->outputs + 1, sizeof(*f->output));
    f->hash = mien_calloc(f->n_hash, sizeof(*f->hash));
    if (!f->node || !f->value || !f->tensor || !f->input || !f->ref || !f->output || !f->hash)
        return mien_fail(f->log, MIEN_ERR(ENOMEM), "%s: out of memory", f->path);
    return 0;
}

/* Initialisers first, whatever their place in the file: inputs of the same name are told apart by them. */
static int parse_graph(MieniOnnxFile *f, MieniReader graph)
{
    static const struct {
        uint32_t number;
        int (*parse)(MieniOnnxFile *f, MieniReader msg);
    } pass[] = { { 5, parse_initializer }, { 11, parse_input }, { 1, parse_node }, { 12, parse_output } };
    Counts n = { 0 };
    MieniPbField p;

    int ret = count_parts(f, graph, &n);
    if (ret >= 0)
        ret = reserve(f, &n);
    for (size_t i = 0; i < MIEN_ARRAY_ELEMS(pass) && ret >= 0; i++)
        for (MieniReader r = graph; ret >= 0 && mieni_pb_next(&r, &p) > 0;)
            if (p.number == pass[i].number && p.wire == MIENI_PB_BYTES)
                ret = pass[i].parse(f, p.data);
    return ret;
}

static int parse_opset(MieniOnnxFile *f, MieniReader msg)
{
    MieniPbField p;
    MieniSlice domain = { "", 0 };
    uint64_t version = 0;

    while (mieni_pb_next(&msg, &p) > 0) {
        if (p.number == 1 && p.wire == MIENI_PB_BYTES)
            domain = slice_of(&p);
        else if (p.number == 2 && p.wire == MIENI_PB_VARINT)
            version = p.value;
    }
    if (domain.len && !mieni_slice_is(domain, "ai.onnx"))
        return 0; /* another domain's operators are refused where they are used */
    if (version < 7 || version > 25)
        return mien_fail(f->log, MIEN_E_UNSUPPORTED, "%s: ONNX operator set %llu; 7 to 25 are supported", f->path,
                         (unsigned long long)version);
    f->opset = (int)version;
    return 0;
}

int mieni_onnx_parse(MieniOnnxFile *f, const void *data, size_t bytes, const char *path, MienLog log)
{
    MieniReader r = mieni_reader(data, bytes), graph = { 0 };
    MieniPbField p;
    int more, ret = 0;

    memset(f, 0, sizeof(*f));
    f->log = log;
    f->path = path;
    while (ret >= 0 && (more = mieni_pb_next(&r, &p)) != 0) {
        if (more < 0)
            return damaged(f, "it ends too early or is no protobuf");
        if (p.number == 7 && p.wire == MIENI_PB_BYTES)
            graph = p.data;
        else if (p.number == 8 && p.wire == MIENI_PB_BYTES)
            ret = parse_opset(f, p.data);
    }
    if (ret >= 0 && !graph.data)
        ret = damaged(f, "there is no graph in it");
    if (ret >= 0 && !f->opset)
        ret = damaged(f, "it names no operator set");
    if (ret >= 0)
        ret = parse_graph(f, graph);
    if (ret < 0)
        mieni_onnx_uninit(f);
    return ret;
}

void mieni_onnx_uninit(MieniOnnxFile *f)
{
    mien_free(f->node);
    mien_free(f->value);
    mien_free(f->tensor);
    mien_free(f->input);
    mien_free(f->ref);
    mien_free(f->output);
    mien_free(f->hash);
    memset(f, 0, sizeof(*f));
}
