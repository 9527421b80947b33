"""What the scripts that make reference vectors for styles share: safetensors files, Gram matrices, relative losses."""
import json
import struct

import numpy as np


def load(path):
    data = open(path, "rb").read()
    n = struct.unpack("<Q", data[:8])[0]
    head = json.loads(data[8:8 + n])
    head.pop("__metadata__", None)
    kind = {"F32": np.float32, "F64": np.float64, "U8": np.uint8}
    return {k: np.frombuffer(data[8 + n + v["data_offsets"][0]:8 + n + v["data_offsets"][1]], kind[v["dtype"]]).reshape(v["shape"])
            for k, v in head.items()}


def save(path, tensors, meta):
    head, at, blob = {"__metadata__": meta}, 0, b""
    for k, v in tensors.items():
        v = np.ascontiguousarray(v)
        head[k] = {"dtype": {"float32": "F32", "float64": "F64"}[str(v.dtype)], "shape": list(v.shape), "data_offsets": [at, at + v.nbytes]}
        at += v.nbytes
        blob += v.tobytes()
    text = json.dumps(head, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % 16)
    open(path, "wb").write(struct.pack("<Q", len(text)) + text + blob)


def gram(f):
    f = f[0].flatten(1)
    return f @ f.T / f.shape[1]


def rel(a, b):
    return (a - b).pow(2).sum() / b.pow(2).sum()
