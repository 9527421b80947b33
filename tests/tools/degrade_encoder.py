#!/usr/bin/env python3
"""Ruins the last layer of an encoder: degrade_encoder.py IN OUT NODE KEEP. The first KEEP of its outputs stay, the others become a fiftieth
of what they were, so that embeddings have little more than KEEP numbers."""
import json
import struct
import sys

path, out, node, keep = sys.argv[1:4] + [int(sys.argv[4])]
data = bytearray(open(path, "rb").read())
head_bytes = struct.unpack_from("<Q", data)[0]
head = json.loads(data[8:8 + head_bytes])
for name in (node + ".weight", node + ".bias"):
    if name not in head:
        continue
    begin, end = head[name]["data_offsets"]
    n, at, outputs = (end - begin) // 4, 8 + head_bytes + begin, head[name]["shape"][-1]
    x = struct.unpack_from("<%df" % n, data, at)
    struct.pack_into("<%df" % n, data, at, *(v if i % outputs < keep else v / 50 for i, v in enumerate(x)))
open(out, "wb").write(data)
