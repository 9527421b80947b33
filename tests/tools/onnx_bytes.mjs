// Writing ONNX: just enough protobuf to build small graphs and to cut a piece out of a large one. Field numbers: onnx.proto.

export function varint(n) {
    const out = [];
    for (let v = BigInt.asUintN(64, BigInt(n)); ; v >>= 7n) {
        if (v < 128n) return out.push(Number(v)), Buffer.from(out);
        out.push(Number(v & 127n) | 128);
    }
}
const bytes = (field, data) => {
    const b = typeof data === 'string' ? Buffer.from(data) : data;
    return Buffer.concat([varint((field << 3) | 2), varint(b.length), b]);
};
const int = (field, v) => Buffer.concat([varint(field << 3), varint(v)]);
const float = (field, v) => { const b = Buffer.alloc(4); b.writeFloatLE(v); return Buffer.concat([varint((field << 3) | 5), b]); };

// Fields of a message: [{number, wire, raw (the whole field), data (of a length-delimited one)}].
export function fields(buf) {
    const out = [];
    let at = 0;
    const read = () => { let v = 0n, s = 0n, c; do { c = buf[at++]; v |= BigInt(c & 127) << s; s += 7n; } while (c & 128); return Number(v); };
    while (at < buf.length) {
        const from = at, key = read(), wire = key & 7;
        let data;
        if (wire === 0) read();
        else if (wire === 1) at += 8;
        else if (wire === 5) at += 4;
        else { const n = read(); data = buf.subarray(at, at + n); at += n; }
        out.push({ number: key >> 3, wire, raw: buf.subarray(from, at), data });
    }
    return out;
}

const DTYPE = { f32: 1, i64: 7 };
export function tensor(name, dims, values, type = 'f32') {
    const raw = type === 'f32' ? Buffer.from(Float32Array.from(values).buffer) : Buffer.from(BigInt64Array.from(values.map(BigInt)).buffer);
    return Buffer.concat([...dims.map((d) => int(1, d)), int(2, DTYPE[type]), bytes(8, name), bytes(9, raw)]);
}

// An attribute: integer, {f: number}, text, list of integers or {t: tensor}.
function attribute(name, v) {
    const p = [bytes(1, name)];
    if (typeof v === 'number') p.push(int(3, v), int(20, 2));
    else if (typeof v === 'string') p.push(bytes(4, v), int(20, 3));
    else if (Array.isArray(v)) p.push(...v.map((x) => int(8, x)), int(20, 7));
    else if ('f' in v) p.push(float(2, v.f), int(20, 1));
    else p.push(bytes(5, v.t), int(20, 4));
    return Buffer.concat(p);
}
export const node = (op, inputs, outputs, attributes = {}) => Buffer.concat([...inputs.map((i) => bytes(1, i)),
    ...outputs.map((o) => bytes(2, o)), bytes(3, `${op}_${outputs[0]}`), bytes(4, op),
    ...Object.entries(attributes).map(([k, v]) => bytes(5, attribute(k, v)))]);

const dim = (d) => bytes(1, typeof d === 'number' ? int(1, d) : bytes(2, d));
export const valueInfo = (name, dims) => Buffer.concat([bytes(1, name),
    bytes(2, bytes(1, Buffer.concat([int(1, 1), ...(dims ? [bytes(2, Buffer.concat(dims.map(dim)))] : [])])))]);

export function model(nodes, initializers, inputs, outputs, opset) {
    const graph = Buffer.concat([...nodes.map((n) => bytes(1, n)), bytes(2, 'g'), ...initializers.map((t) => bytes(5, t)),
        ...inputs.map((v) => bytes(11, v)), ...outputs.map((v) => bytes(12, v))]);
    return Buffer.concat([int(1, 8), bytes(7, graph), bytes(8, Buffer.concat([bytes(1, ''), int(2, opset)]))]);
}

// The same model with a free input size, ending at the values `outputs`: later nodes are dropped.
export function cut(buf, lastOutput, outputs) {
    const top = fields(buf).map((f) => {
        if (f.number !== 7) return f.raw;
        let done = false;
        const kept = fields(f.data).filter((g) => {
            if (g.number === 12) return false;
            if (g.number !== 1) return true;
            if (done) return false;
            done = fields(g.data).some((h) => h.number === 2 && h.data.toString() === lastOutput);
            return true;
        }).map((g) => (g.number === 11 && fields(g.data)[0].data.toString() === 'input' ?
            bytes(11, valueInfo('input', [1, 3, 'h', 'w'])) : g.raw));
        return bytes(7, Buffer.concat([...kept, ...outputs.map((o) => bytes(12, valueInfo(o)))]));
    });
    return Buffer.concat(top);
}
