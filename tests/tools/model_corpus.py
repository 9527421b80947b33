#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus/model: small model files that use every op, and some with one thing wrong.

    python3 tests/tools/model_corpus.py [FOLDER]

Needs nothing but Python; the same files come out every time.
"""
import json
import struct
import sys

META = {"mien.format": "1", "mien.role": "features", "mien.name": "seed"}


def numbers(n, scale=0.5):
    return struct.pack("<%df" % n, *[((i * 37 + 11) % 29 - 14) / 14 * scale for i in range(n)])


def model(nodes, outputs, tensors, h=6, w=5, c=4, meta=META):
    graph = {"inputs": [{"name": "x", "h": h, "w": w, "c": c}], "nodes": nodes, "outputs": outputs}
    header, data = {"__metadata__": dict(meta, **{"mien.graph": json.dumps(graph, separators=(",", ":"))})}, b""
    for name, shape in tensors.items():
        n = 1
        for d in shape:
            n *= d
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * n]}
        data += numbers(n)
    text = json.dumps(header, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def node(op, name, inputs, out, **more):
    return dict(op=op, name=name, **{"in": inputs, "out": out}, **more)


SEEDS = {
    "conv": model(
        [node("conv2d", "a", ["x"], "a", kernel=[3, 3], stride=[2, 1], pad=[1, 1, 1, 0], dilation=[1, 2], cout=6, act="prelu"),
         node("conv2d", "b", ["a"], "b", kernel=[2, 2], groups=6, cout=6, bias=False, act="relu"),
         node("conv2d", "c", ["b"], "y", kernel=[1, 1], groups=2, cout=4, bias=False, act="sigmoid")],
        ["y"],
        {"a.weight": [3, 3, 4, 6], "a.bias": [6], "a.slope": [6], "b.weight": [2, 2, 1, 6], "c.weight": [1, 1, 3, 4]}),
    "squeeze": model(
        [node("affine", "n", ["x"], "n"), node("globalavg", "g", ["n"], "g"), node("fc", "f", ["g"], "f", cout=4, act="sigmoid"),
         node("mul", "m", ["n", "f"], "m"), node("add", "s", ["m", "x"], "s", alpha=0.5, beta=-2, act="relu"),
         node("prelu", "p", ["s"], "p"), node("relu", "r", ["p"], "r"), node("sigmoid", "q", ["r"], "y")],
        ["y", "g"], {"n.scale": [4], "n.bias": [4], "f.weight": [4, 4], "f.bias": [4], "p.slope": [4]}),
    "shapes": model(
        [node("maxpool", "m", ["x"], "m", kernel=[2, 2], stride=[1, 2], pad=[1, 0, 0, 1]),
         node("avgpool", "a", ["x"], "a", kernel=[2, 2], stride=[1, 2], pad=[1, 0, 0, 1]),
         node("concat", "c", ["m", "a"], "c"), node("pad", "p", ["c"], "p", pad=[0, 1, 2, 0], channels=3),
         node("reshape", "r", ["p"], "r", h=-1, w=1, c=11), node("softmax", "s", ["r"], "s"),
         node("l2norm", "l", ["r"], "l", eps=0.001)],
        ["s", "l"], {}),
    "free-size": model(
        [node("conv2d", "a", ["x"], "a", kernel=[1, 1], cout=6), node("reshape", "r", ["a"], "y", h=-1, w=1, c=2)],
        ["y"], {"a.weight": [1, 1, 4, 6], "a.bias": [6]}, h=0, w=0),
    "bad-order": model([node("relu", "a", ["b"], "a"), node("relu", "b", ["x"], "b")], ["a"], {}),
    "bad-shape": model([node("prelu", "a", ["x"], "y")], ["y"], {"a.slope": [5]}),
    "bad-window": model([node("maxpool", "a", ["x"], "y", kernel=[7, 7])], ["y"], {}),
    "bad-size": model([node("relu", "a", ["x"], "y")], ["y"], {}, h=65536, w=65536),
    "big-memory": model([node("relu", "a", ["x"], "a"), node("pad", "p", ["a"], "y", pad=[4096, 4096, 4096, 4096])], ["y"], {}),
    "no-graph": model([], [], {}),
}
SEEDS["bad-number"] = SEEDS["squeeze"][:-4] + struct.pack("<f", float("nan"))
SEEDS["bad-format"] = SEEDS["squeeze"].replace(b'"mien.format":"1"', b'"mien.format":"9"')
SEEDS["truncated"] = SEEDS["conv"][:-40]

folder = sys.argv[1] if len(sys.argv) > 1 else "tests/fuzz/corpus/model"
for name, data in SEEDS.items():
    with open(folder + "/" + name, "wb") as f:
        f.write(data)
