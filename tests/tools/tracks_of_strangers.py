#!/usr/bin/python3
"""What looking at a stranger eight times costs against one search: tracks_of_strangers.py FILE.

FILE is safetensors with embedding F32 [n, dim] and person I32 or I64 [n]. Galleries of 100 and 400 people, one template each, are drawn 20 times; of
everybody else with five pictures or more up to eight are shown one after the other. A search names by similarity alone. A track names by facetag's
rule (docs/internals/face.md, "Who it is"): mean of the views so far above the threshold, .05 ahead of the next person, and one view .12 above or two
within .05 of it. Printed are the thresholds at which strangers are named at a rate, and the difference. Needs NumPy (Debian: python3-numpy)."""
import json
import struct
import sys

import numpy as np

if len(sys.argv) != 2:
    sys.exit(__doc__)
with open(sys.argv[1], "rb") as f:
    header = json.loads(f.read(struct.unpack("<Q", f.read(8))[0]))
    raw = f.read()


def tensor(name, dtype):
    begin, end = header[name]["data_offsets"]
    return np.frombuffer(raw[begin:end], dtype).reshape(header[name]["shape"])


embedding, person = tensor("embedding", "<f4"), tensor("person", {"I32": "<i4", "I64": "<i8"}[header["person"]["dtype"]])
embedding = embedding / np.linalg.norm(embedding, axis=1, keepdims=True)
rng = np.random.default_rng(1)
people, count = np.unique(person, return_counts=True)


def least_threshold_without_a_name(views, gallery):
    similarity, best = views @ gallery.T, -1.0
    for k in range(1, len(views) + 1):
        mean = views[:k].mean(0)
        to_mean = gallery @ (mean / np.linalg.norm(mean))
        second, first = np.argsort(to_mean)[-2:]
        if to_mean[first] - to_mean[second] >= 0.05:
            alone = np.sort(similarity[:k, first])[::-1]
            borne_out = max(alone[0] - 0.12, alone[1] + 0.05 if k > 1 else -1)
            best = max(best, min(to_mean[first], borne_out))
    return best


print("people FPIR  strangers  one search  a track  difference")
for n_people in (100, 400):
    single, track = [], []
    for _ in range(20):
        enrolled = rng.permutation(people)[:n_people]
        gallery = np.stack([embedding[rng.choice(np.flatnonzero(person == i))] for i in enrolled])
        for stranger in people[(count >= 5) & ~np.isin(people, enrolled)]:
            views = embedding[rng.permutation(np.flatnonzero(person == stranger))[:8]]
            single.extend((views @ gallery.T).max(1))
            track.append(least_threshold_without_a_name(views, gallery))
    for rate in (0.1, 0.03, 0.01, 0.003):
        a, b = np.quantile(single, 1 - rate), np.quantile(track, 1 - rate)
        print(f"{n_people:6} {rate:<5} {len(track):9} {a:11.3f} {b:8.3f} {b - a:11.3f}")
