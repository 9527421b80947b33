"""For test_calibrate.sh. make DIR: synthetic people as safetensors and as galleries to import, and what brute force says about them.
check REPORT EXPECTED: the JSON of `mien evaluate identification` against that."""
import json
import math
import random
import struct
import sys

DIM = 16
WANTED = [0.1, 0.01, 0.003, 0.001]


def unit(v):
    length = math.sqrt(sum(x * x for x in v))
    return struct.unpack("<%df" % DIM, struct.pack("<%df" % DIM, *[x / length for x in v]))


def people(r, n, most, first):
    rows = []
    for i in range(n):
        own = [r.gauss(0, 1) for _ in range(DIM)]
        rows += [(first + i, unit([x + r.gauss(0, 0.45) for x in own])) for _ in range(r.randint(1, most))]
    return rows


def write(path, rows, dim=DIM):
    e = b"".join(struct.pack("<%df" % dim, *v[:dim]) for _, v in rows)
    p = struct.pack("<%di" % len(rows), *[i for i, _ in rows])
    head = json.dumps({"embedding": {"dtype": "F32", "shape": [len(rows), dim], "data_offsets": [0, len(e)]},
                       "person": {"dtype": "I32", "shape": [len(rows)], "data_offsets": [len(e), len(e) + len(p)]}}).encode()
    head += b" " * (-len(head) % 8)
    open(path, "wb").write(struct.pack("<Q", len(head)) + head + e + p)


def gallery(path, rows, encoder):
    t, ids = "2026-01-02T03:04:05Z", sorted({i for i, _ in rows})
    json.dump({"mien": "gallery", "format": 1, "encoder": {"hash": encoder, "name": "test", "dim": DIM},
               "people": [{"name": "P%d" % i, "ignored": False, "created": t, "consent": "", "expires": "", "notes": ""} for i in ids],
               "samples": [{"person": ids.index(i), "sample": {"quality": 0.5, "source": "", "created": t, "embedding": v}}
                           for i, v in rows]}, open(path, "w"))


def dot(a, b):
    return sum(x * y for x, y in zip(a, b))


def expect(g, p, x):
    """The definitions: every comparison, every threshold of the grid from the top down."""
    stranger = [max(dot(v, w) for _, w in g) for _, v in x]
    mated = []
    for i, v in p:
        mate = max(dot(v, w) for k, w in g if k == i)
        other = max(dot(v, w) for k, w in g if k != i)
        mated.append((mate, mate > other))
    points = []
    for f in WANTED:
        t = 10000
        while sum(s >= (t - 1) * 1e-4 for s in stranger) <= f * len(x) + 1e-9:
            t -= 1
        t *= 1e-4
        points.append({"t": t, "fpir": sum(s >= t for s in stranger) / len(x),
                       "fnir": sum(not (m >= t and right) for m, right in mated) / len(p),
                       "fmr": sum(dot(v, w) >= t for _, w in g for _, v in x) / (len(g) * len(x))})
    return {"rank1": sum(right for _, right in mated) / len(p), "points": points}


def damage(d, g):
    """Safetensors that are sound, and no embeddings."""
    def one(name, tensors):
        head, data = {}, b""
        for key, (dtype, shape, body) in tensors.items():
            head[key] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(body)]}
            data += body
        text = json.dumps(head).encode()
        text += b" " * (-len(text) % 8)
        open(d + "/bad-" + name, "wb").write(struct.pack("<Q", len(text)) + text + data)
    e = struct.pack("<%df" % DIM, *g[0][1])
    one("without", {"other": ("F32", [1, DIM], e)})
    one("flat", {"embedding": ("F32", [DIM], e)})
    one("half", {"embedding": ("F16", [1, 2 * DIM], e)})
    one("narrow", {"embedding": ("F32", [DIM, 1], e)})
    one("wide", {"embedding": ("F32", [1, 2048], b"\0" * 8192)})
    one("zeros", {"embedding": ("F32", [1, DIM], b"\0" * (4 * DIM))})
    one("people-short", {"embedding": ("F32", [2, DIM], e + e), "person": ("I32", [1], b"\0" * 4)})
    one("people-real", {"embedding": ("F32", [1, DIM], e), "person": ("F32", [1], b"\0" * 4)})
    open(d + "/bad-cut", "wb").write(open(d + "/x.st", "rb").read()[:2000])
    open(d + "/bad-head", "wb").write(struct.pack("<Q", 1 << 40) + b"{}")


def make(d):
    r = random.Random(7)
    g = people(r, 40, 3, 100)
    more = people(r, 60, 2, 1000)
    x = people(r, 90, 2, 5000)
    first = {}
    for i, v in g:
        first.setdefault(i, v)
    enrolled = list(first.items())
    probes = [(i, v) for i, v in g if first[i] != v]
    write(d + "/g.st", enrolled)
    write(d + "/p.st", probes)
    write(d + "/x.st", x)
    write(d + "/x8.st", x, 8)
    write(d + "/nan.st", [(1, [float("nan")] * DIM)])
    write(d + "/none.st", [])
    damage(d, g)
    json.dump(expect(enrolled, probes, x), open(d + "/expected.json", "w"))
    known = "469b8cde1d367cd978e2ad316a344975440c5f0bf9e9e95a08a290f7e7792e40"
    gallery(d + "/unknown.json", g, "2" * 64)
    gallery(d + "/known.json", g, known)
    gallery(d + "/more.json", more, known)


def check(report, expected):
    a, b = json.load(open(report)), json.load(open(expected))
    assert abs(a["rank1"] - b["rank1"]) < 1e-6, (a["rank1"], b["rank1"])
    for p, q in zip(a["points"], b["points"]):
        assert abs(p["threshold_similarity"] - q["t"]) < 1.01e-4, (p, q)
        assert abs(p["fpir"] - q["fpir"]) < 1e-6 and abs(p["fnir"] - q["fnir"]) < 1e-6, (p, q)
        assert abs(p["fmr"] - q["fmr"]) < 1e-8, (p, q)
        assert p["fnir_low"] <= p["fnir"] <= p["fnir_high"], p


{"make": make, "check": check}[sys.argv[1]](*sys.argv[2:])
