#!/usr/bin/env python3
"""Write the seeds of tests/fuzz/corpus/preset: a small preset, and some with one thing wrong.

    python3 tests/tools/preset_corpus.py [FOLDER]

Needs nothing but Python; the same files come out every time.
"""
import copy
import json
import struct
import sys

INFO = {
    "title": "A \u00e9tude", "artist": "Nobody", "year": "1900", "license": "none", "source": "", "network": {"name": "seed", "sha256": "0123456789abcdef" * 4},
    "scales": [1, 2], "layers": [{"name": "relu1_1", "weight": 1}, {"name": "relu2_1", "weight": 0.5}], "pictures": 1,
    "settings": {"strength": 100, "content_weight": 1, "tv": 6, "content_layer": "relu2_1", "iterations": 60, "size_px": 256}, "trace": 0.5,
}
CHANNELS = {"relu1_1": 2, "relu2_1": 3}


def f32(*x):
    return struct.pack("<%df" % len(x), *x)


def tensors(info):
    out = {}
    for scale in info["scales"]:
        for layer in info["layers"]:
            c = CHANNELS[layer["name"]]
            v = [0.5 + 0.25 * i for i in range(c)]
            tri = [v[a] * v[b] + (0.1 if a == b else 0) for a in range(c) for b in range(a, c)]
            out["gram.%d.%s" % (scale, layer["name"])] = ("F32", [len(tri)], f32(*tri))
            out["mean.%d.%s" % (scale, layer["name"])] = ("F32", [c], f32(*[0.9 * x for x in v]))
    out["thumbnail"] = ("U8", [2, 3, 3], bytes(range(18)))
    return out


def pack(info, parts=None, meta=None):
    parts = tensors(INFO) if parts is None else parts
    text = info if isinstance(info, str) else json.dumps(info)
    head, data = {"__metadata__": meta or {"mien.format": "1", "mien.role": "preset", "mien.name": "seed", "mien.preset": text}}, b""
    for name, (dtype, shape, raw) in parts.items():
        head[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(head, separators=(",", ":")).encode()
    return struct.pack("<Q", len(text)) + text + data


def changed(**more):
    info = copy.deepcopy(INFO)
    for k, v in more.items():
        info[k] = v
    return info


def with_tensor(name, value):
    parts = tensors(INFO)
    if value is None:
        del parts[name]
    else:
        parts[name] = value
    return pack(INFO, parts)


SEEDS = {
    "valid": pack(INFO),
    "truncated": pack(INFO)[:-9],
    "no-thumbnail": with_tensor("thumbnail", None),
    "big-thumbnail": with_tensor("thumbnail", ("U8", [300, 1, 3], bytes(900))),
    "nan": with_tensor("gram.1.relu1_1", ("F32", [3], f32(1, float("nan"), 1))),
    "negative": with_tensor("gram.1.relu1_1", ("F32", [3], f32(-1, 0, 1))),
    "zero": with_tensor("gram.1.relu1_1", ("F32", [3], f32(0, 0, 0))),
    "missing": with_tensor("gram.2.relu2_1", None),
    "wrong-shape": with_tensor("gram.2.relu2_1", ("F32", [5], f32(1, 1, 1, 1, 1))),
    "unknown-tensor": with_tensor("more", ("U8", [1], b"x")),
    "many-channels": with_tensor("mean.1.relu1_1", ("F32", [2000], bytes(8000))),
    "scales": pack(changed(scales=[1, 0.5])),
    "no-layers": pack(changed(layers=[])),
    "twice": pack(changed(layers=[{"name": "relu1_1", "weight": 1}] * 2)),
    "settings": pack(changed(settings={"strength": "100"})),
    "unknown-key": pack(changed(flicker="low")),
    "not-json": pack("{"),
    "deep": pack("[" * 2000),
    "no-meta": pack(INFO, meta={"mien.format": "1"}),
    "newer": pack(INFO, meta={"mien.format": "2", "mien.role": "preset", "mien.name": "seed", "mien.preset": "{}"}),
    "network": pack(INFO, meta={"mien.format": "1", "mien.role": "features", "mien.name": "seed", "mien.preset": "{}"}),
}


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else "tests/fuzz/corpus/preset"
    for name, data in SEEDS.items():
        with open("%s/%s" % (folder, name), "wb") as f:
            f.write(data)


main()
