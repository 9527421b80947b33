// Makes tests/data/parity-*.safetensors: what other runtimes compute for the networks that mien imports, and for small graphs
// that use every ONNX operator mien knows. Run by make_vectors.sh, which fetches the runtimes and cuts the pictures.
//
//   node make_vectors.mjs CACHE PICTURES OUT
//
// ONNX Runtime 1.30.0 (npm onnxruntime-node) runs the ONNX networks; the package @vladmandic/face-api 1.7.15 runs its own
// (TensorFlow.js 4.22.0, plain CPU backend). Inputs are stored as 8-bit pixels, so that decoding a JPEG is no part of a test.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import * as onnx from './onnx_bytes.mjs';

const [cache, pictures, out] = process.argv.slice(2).map((p) => path.resolve(p));
const ort = createRequire(path.join(cache, 'runtime/'))('onnxruntime-node');
const faceplugin = path.join(cache, 'faceplugin-face-recognition-js-0.0.1/model');
const faceApi = path.join(cache, 'runtime/face-api');

function save(name, tensors, meta) {
    const header = { __metadata__: meta };
    let at = 0;
    for (const [key, t] of Object.entries(tensors)) {
        const n = t.data.byteLength;
        header[key] = { dtype: t.data instanceof Uint8Array ? 'U8' : 'F32', shape: t.shape, data_offsets: [at, at + n] };
        at += n;
    }
    let json = JSON.stringify(header);
    json += ' '.repeat((8 - (json.length % 8)) % 8);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    const data = Object.values(tensors).map((t) => Buffer.from(t.data.buffer, t.data.byteOffset, t.data.byteLength));
    fs.writeFileSync(path.join(out, `parity-${name}.safetensors`), Buffer.concat([length, Buffer.from(json), ...data]));
}

const picture = (name, h, w) => ({ shape: [h, w, 3], data: new Uint8Array(fs.readFileSync(path.join(pictures, `${name}.rgb`))) });

// Pixels h,w,3 to planes 3,h,w as (v - mean) * scale; order: which channel of the picture goes to plane 0, 1, 2.
function planes(p, mean, scale, order) {
    const [h, w] = p.shape, x = new Float32Array(3 * h * w);
    for (let c = 0; c < 3; c++) for (let i = 0; i < h * w; i++) x[c * h * w + i] = (p.data[3 * i + order[c]] - mean) * scale;
    return new ort.Tensor('float32', x, [1, 3, h, w]);
}
const RGB = [0, 1, 2], BGR = [2, 1, 0];

async function run(model, feed) {
    const session = await ort.InferenceSession.create(model, { executionProviders: ['cpu'], logSeverityLevel: 3 });
    return session.run(feed);
}
const load = (name) => fs.readFileSync(path.join(faceplugin, name));
const f32 = (t, shape) => ({ shape: shape ?? t.dims.slice(1), data: Float32Array.from(t.data) });
const about = (runtime, source) => ({ runtime, source, license: 'MIT (pictures and networks: npm packages, see SOURCES.tsv)' });
const ORT = 'onnxruntime-node 1.30.0, CPU';

async function detector() {
    const model = onnx.cut(load('fr_detect.onnx'), 'scores', ['scores', '462']), tensors = {};
    for (const [name, h, w] of [['a', 96, 128], ['b', 69, 93]]) {
        const p = picture(`detector-${name}`, h, w);
        const y = await run(model, { input: planes(p, 127, 1 / 128, RGB) });
        Object.assign(tensors, { [`${name}.rgb`]: p, [`${name}.scores`]: f32(y.scores), [`${name}.loc`]: f32(y['462']) });
    }
    save('detector', tensors, about(ORT, 'fr_detect.onnx up to scores and 462'));
}

async function landmarks() {
    const tensors = {};
    for (const name of ['a', 'b']) {
        const p = picture(`landmarks-${name}`, 64, 64), gray = new Uint8Array(64 * 64), x = new Float32Array(64 * 64);
        for (let i = 0; i < gray.length; i++) {
            gray[i] = Math.round(0.299 * p.data[3 * i] + 0.587 * p.data[3 * i + 1] + 0.114 * p.data[3 * i + 2]);
            x[i] = gray[i] / 256;
        }
        const y = await run(load('fr_landmark.onnx'), { input: new ort.Tensor('float32', x, [1, 1, 64, 64]) });
        Object.assign(tensors, { [`${name}.gray`]: { shape: [64, 64], data: gray }, [`${name}.landmarks`]: f32(y.output) });
    }
    save('landmarks', tensors, about(ORT, 'fr_landmark.onnx'));
}

// The projection as docs/models.md defines it, in double: y = W·(x/|x|), y/|y|.
function project(x, file) {
    const buf = fs.readFileSync(file), n = Number(buf.readBigUInt64LE()), y = new Float64Array(128);
    const w = new Float32Array(buf.buffer.slice(buf.byteOffset + 8 + n, buf.byteOffset + 8 + n + 4 * 128 * 512));
    const norm = Math.hypot(...x);
    for (let i = 0; i < 128; i++) for (let j = 0; j < 512; j++) y[i] += (w[512 * i + j] * x[j]) / norm;
    return Float32Array.from(y, (v) => v / Math.hypot(...y));
}

async function encoder() {
    const p = picture('encoder', 112, 112);
    const y = await run(load('fr_feature.onnx'), { input: planes(p, 127, 1 / 128, BGR) });
    const projection = new URL('../../core/models/encoder-projection-128.safetensors', import.meta.url);
    save('mobileface128', { rgb: p, raw512: f32(y.output), embedding: { shape: [128], data: project(y.output.data, projection) } },
        about(ORT, 'fr_feature.onnx on BGR; embedding: the projection applied in double precision'));
}

async function liveness() {
    const p = picture('liveness', 128, 128);
    const y = await run(load('fr_liveness.onnx'), { input: planes(p, 0, 1, BGR) });
    const e = Array.from(y.output.data, (v) => Math.exp(v - Math.max(...y.output.data))), sum = e.reduce((a, b) => a + b);
    save('liveness', { rgb: p, logits: f32(y.output), prob: { shape: [3], data: Float32Array.from(e, (v) => v / sum) } },
        about(ORT, 'fr_liveness.onnx on BGR; prob: softmax in double precision'));
}

async function dlib() {
    // The bundle takes a browser for granted when it does not see node, and brings its own TensorFlow.js.
    const hidden = globalThis.process;
    delete globalThis.process;
    globalThis.window = globalThis;
    globalThis.document = { createElement: () => ({ getContext: () => null }) };
    const api = await import(pathToFileURL(path.join(faceApi, 'dist/face-api.esm.js')));
    globalThis.process = hidden;
    await api.tf.setBackend('cpu');
    await api.tf.ready();
    const base = path.join(faceApi, 'model/face_recognition_model');
    const manifest = JSON.parse(fs.readFileSync(`${base}-weights_manifest.json`)), bin = fs.readFileSync(`${base}.bin`);
    const net = new api.FaceRecognitionNet();
    net.loadFromWeightMap(api.tf.io.decodeWeights(bin.buffer.slice(bin.byteOffset, bin.byteOffset + bin.length), manifest[0].weights));
    const p = picture('dlib', 150, 150);
    const y = net.forwardInput(new api.NetInput([api.tf.tensor3d(p.data, [150, 150, 3])]));
    save('dlib128', { rgb: p, embedding: { shape: [128], data: Float32Array.from(await y.data()) } },
        about(`@vladmandic/face-api 1.7.15, TensorFlow.js ${api.tf.version.tfjs}, CPU backend`, 'face_recognition_model'));
}

// ---- small graphs: every operator that the importer knows, in the forms that exporters write

let seed = 1;
const random = () => { seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0; return seed / 2 ** 31 - 1; };
const randoms = (n, scale = 1, shift = 0) => Array.from({ length: n }, () => Math.fround(random() * scale + shift));
const elems = (dims) => dims.reduce((a, b) => a * b, 1);
const { node, tensor, valueInfo } = onnx;

class Graph {
    constructor(opset, input, layout = 'nchw') { Object.assign(this, { opset, input, layout, nodes: [], init: [], n: 0 }); }
    w(dims, scale = 0.5, shift = 0) { const name = `w${++this.n}`; this.init.push(tensor(name, dims, randoms(elems(dims), scale, shift))); return name; }
    c(dims, values, type = 'f32') { const name = `c${++this.n}`; this.init.push(tensor(name, dims, values, type)); return name; }
    op(op, inputs, attributes = {}) { const name = `v${++this.n}`; this.nodes.push(node(op, inputs, [name], attributes)); return name; }
    bn(x, c, attributes = {}) { return this.op('BatchNormalization', [x, this.w([c], 0.5, 1), this.w([c]), this.w([c]), this.w([c], 0.5, 0.8)], attributes); }
}

// Each returns the graph and its outputs [name, rank-4 dims as N,C,H,W or null for a vector].
const graphs = {
    // Strides, pads, groups, dilation, batch norm before and after, all activations, both kinds of average.
    conv() {
        const g = new Graph(11, [1, 3, 13, 11]);
        let x = g.op('Sub', ['x', g.c([1, 3, 1, 1], [0.1, 0.2, 0.3])]);
        x = g.op('Div', [x, g.c([], [0.7])]);
        x = g.op('Conv', [x, g.w([6, 3, 3, 2]), g.w([6])], { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 2, 1] });
        x = g.op('PRelu', [g.bn(x, 6), g.w([6, 1, 1])]);
        x = g.op('Conv', [x, g.w([8, 3, 3, 3])], { group: 2, pads: [2, 2, 2, 2], dilations: [2, 2] });
        x = g.op('LeakyRelu', [x], { alpha: { f: 0.2 } });
        const a = g.op('AveragePool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1], count_include_pad: 1 });
        const b = g.op('AveragePool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
        const c = g.op('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
        x = g.op('Concat', [a, b, c], { axis: 1 });
        x = g.bn(g.op('Relu', [x]), 24);
        x = g.op('Conv', [x, g.w([5, 24, 1, 1]), g.w([5])], {});
        return [g, [[g.op('Sigmoid', [x]), true]]];
    },
    // Paddings that depend on the size: SAME_UPPER, SAME_LOWER, ceil_mode, VALID, a Pad node.
    pads() {
        const g = new Graph(11, [1, 3, 10, 9]);
        let x = g.op('Conv', ['x', g.w([4, 3, 3, 4])], { auto_pad: 'SAME_UPPER', strides: [2, 2] });
        x = g.op('Conv', [x, g.w([4, 4, 2, 3])], { auto_pad: 'SAME_LOWER' });
        x = g.op('Pad', [x, g.c([8], [0, 0, 1, 2, 0, 0, 3, 1], 'i64')], { mode: 'constant' });
        const a = g.op('MaxPool', [x], { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 });
        const b = g.op('AveragePool', [x], { kernel_shape: [3, 2], strides: [2, 3], auto_pad: 'VALID' });
        return [g, [[a, true], [b, true]]];
    },
    // A full layer behind a picture (rows are reordered), batch norm on a vector, x/|x| as exporters write it.
    flatten() {
        const g = new Graph(13, [1, 3, 6, 5]);
        let x = g.op('Conv', ['x', g.w([4, 3, 3, 3]), g.w([4])], { strides: [2, 2], pads: [1, 1, 1, 1] });
        x = g.op('Flatten', [g.op('Dropout', [x])]);
        x = g.op('Gemm', [x, g.w([10, 36]), g.w([10])], { transB: 1, alpha: { f: 0.5 }, beta: { f: 2 } });
        x = g.bn(x, 10);
        x = g.op('MatMul', [x, g.w([10, 7])]);
        x = g.op('Add', [x, g.w([7])]);
        let n = g.op('ReduceL2', [x], { axes: [1], keepdims: 1 });
        n = g.op('Clip', [n, g.c([], [1e-12])]);
        n = g.op('Expand', [n, g.op('Shape', [x])]);
        return [g, [[g.op('Div', [x, n]), false]]];
    },
    // Residual sums and differences with scales, squeeze and excitation, Clip to 6.
    residual() {
        const g = new Graph(13, [1, 3, 7, 8]);
        const a = g.op('Conv', ['x', g.w([6, 3, 1, 1]), g.w([6])]), b = g.op('Conv', ['x', g.w([6, 3, 3, 3])], { pads: [1, 1, 1, 1] });
        let s = g.op('ReduceMean', [b], { axes: [-1, -2], keepdims: 1 });
        s = g.op('Relu', [g.op('Conv', [s, g.w([3, 6, 1, 1]), g.w([3])])]);
        s = g.op('Sigmoid', [g.op('Conv', [s, g.w([6, 3, 1, 1])])]);
        let x = g.op('Add', [g.op('Mul', [g.op('Relu', [a]), g.c([], [0.25])]), g.op('Mul', [s, b])]);
        x = g.op('Clip', [g.op('Mul', [x, g.c([1], [9])]), g.c([], [0]), g.c([], [6])]);
        x = g.op('Sub', [x, g.op('Identity', [a])]);
        x = g.op('Sub', [g.c([6, 1, 1], randoms(6)), x]);
        return [g, [[x, true]]];
    },
    // A detector's head: channels last, rows, softmax over the last axis, the batch axis worked out from the shape.
    head() {
        const g = new Graph(11, [1, 3, 5, 4]), ends = [];
        for (const stride of [1, 2]) {
            let x = g.op('Conv', ['x', g.w([6, 3, 3, 3])], { strides: [stride, stride], pads: [1, 1, 1, 1] });
            x = g.op('Transpose', [x], { perm: [0, 2, 3, 1] });
            let n = g.op('Gather', [g.op('Shape', [x]), g.c([], [0], 'i64')], { axis: 0 });
            n = g.op('Concat', [g.op('Unsqueeze', [n], { axes: [0] }), g.c([1], [-1], 'i64'), g.c([1], [2], 'i64')], { axis: 0 });
            ends.push(g.op('Reshape', [x, n]));
        }
        return [g, [[g.op('Softmax', [g.op('Concat', ends, { axis: 1 })], { axis: 2 }), 'rows']]];
    },
    // Channels last at the input, a global average, a vector to a 1×1 picture and back.
    last() {
        const g = new Graph(12, [1, 6, 7, 3], 'nhwc');
        let x = g.op('Transpose', ['x'], { perm: [0, 3, 1, 2] });
        x = g.op('Relu', [g.op('Conv', [x, g.w([5, 3, 3, 3]), g.w([5])])]);
        x = g.op('Squeeze', [g.op('GlobalAveragePool', [x])], { axes: [2, 3] });
        x = g.op('Unsqueeze', [x], { axes: [2, 3] });
        x = g.op('PRelu', [g.op('Conv', [x, g.w([8, 5, 1, 1])]), g.c([1], [0.3])]);
        x = g.op('Reshape', [x, g.c([2], [1, -1], 'i64')]);
        x = g.op('LpNormalization', [g.op('Cast', [x], { to: 1 })], { axis: 1, p: 2 });
        return [g, [[x, false]]];
    },
};

// ONNX order to ours: N,C,H,W to h,w,c.
function channelsLast(t) {
    const [, c, h, w] = t.dims, y = new Float32Array(t.data.length);
    for (let k = 0; k < c; k++) for (let i = 0; i < h * w; i++) y[i * c + k] = t.data[k * h * w + i];
    return { shape: [h, w, c], data: y };
}

async function operators() {
    const tensors = {};
    for (const [name, make] of Object.entries(graphs)) {
        const [g, outputs] = make();
        const buf = onnx.model(g.nodes, g.init, [valueInfo('x', g.input)], outputs.map(([o]) => valueInfo(o)), g.opset);
        const x = new ort.Tensor('float32', Float32Array.from(randoms(elems(g.input))), g.input);
        const y = await run(buf, { x });
        tensors[`${name}.onnx`] = { shape: [buf.length], data: new Uint8Array(buf) };
        tensors[`${name}.x`] = g.layout === 'nchw' ? channelsLast(x) : f32(x);
        outputs.forEach(([o, kind], i) => { tensors[`${name}.y${i}`] = kind === true ? channelsLast(y[o]) : f32(y[o]); });
    }
    save('onnx-operators', tensors, { runtime: ORT, source: 'random graphs, own work', license: 'as this repository' });
}

await detector();
await landmarks();
await encoder();
await liveness();
await operators();
await dlib();
