#!/usr/bin/env python3
"""The numbers in core/face/evidence.c, from embeddings of pictures of many people.

  impostor_statistics.py EMBEDDINGS.safetensors     (packages: python3-numpy)

The file holds `embedding` [n, dim] f32 and `person` [n] i32. Printed are the similarities of the same and of different people, the
straight line through the logarithm of the ratio of their densities, how alike a stranger's similarities to one person are from
picture to picture, and the open set: false names and misses where the mean of 1, 2, 3, 5 pictures is searched for.
"""
import json
import struct
import sys

import numpy as np

DTYPES = {'F32': '<f4', 'I32': '<i4', 'I64': '<i8'}


def load(path):
    raw = open(path, 'rb').read()
    n, = struct.unpack('<Q', raw[:8])
    table = json.loads(raw[8:8 + n])
    tensors = {}
    for name, t in table.items():
        if name != '__metadata__':
            begin, end = t['data_offsets']
            tensors[name] = np.frombuffer(raw[8 + n + begin:8 + n + end], DTYPES[t['dtype']]).reshape(t['shape'])
    return tensors


def pictures_of(person):
    order = np.argsort(person, kind='stable')
    return np.split(order, np.flatnonzero(np.diff(person[order])) + 1)


def same_pairs(sim, people):
    """Similarities of the same person's pictures; weights that let every person count the same, of 20 pictures at most."""
    sims, weights = [], []
    for rows in people:
        if len(rows) > 1:
            rows = rows[:20]
            s = sim[np.ix_(rows, rows)][np.triu_indices(len(rows), 1)]
            sims.append(s)
            weights.append(np.full(len(s), 1 / len(s)))
    w = np.concatenate(weights)
    return np.concatenate(sims), w / w.sum()


def line(same, weights, different, low=0.2, high=0.6, width=0.04):
    """log(density of same / density of different) = slope · (s - even), by least squares weighted with the bins' counts."""
    edges = np.arange(low, high + width / 2, width)
    n_same, _ = np.histogram(same, edges)
    n_different, _ = np.histogram(different, edges)
    share, _ = np.histogram(same, edges, weights=weights)
    middle = (edges[1:] + edges[:-1]) / 2
    ratio = np.log(share / (n_different / len(different)))
    certain = np.sqrt(1 / (1 / n_same + 1 / n_different))
    slope, offset = np.polyfit(middle, ratio, 1, w=certain)
    for m, r in zip(middle, ratio):
        print(f'  at {m:.2f}: {r:6.2f}, the line {slope * m + offset:6.2f}')
    return slope, -offset / slope


def stranger_correlation(sim, people):
    """Of the similarities that two pictures of one person have to one picture of another."""
    pairs = np.array([rows[:2] for rows in people if len(rows) > 1])
    first = np.array([rows[0] for rows in people])
    a, b = sim[np.ix_(pairs[:, 0], first)], sim[np.ix_(pairs[:, 1], first)]
    other = pairs[:, :1] != first[None, :]
    return np.corrcoef(a[other], b[other])[0, 1]


def open_set(x, people, n, rng, enrolled=400):
    """Best similarity of the mean of n pictures: of strangers, and of the enrolled (-1 where another person is nearer)."""
    order = rng.permutation(len(people))
    gallery = [people[i] for i in order if len(people[i]) > 1][:enrolled]
    known = {rows[0] for rows in gallery}
    gallery = [rng.permutation(rows) for rows in gallery]
    templates = x[[rows[0] for rows in gallery]]
    strangers = [rng.permutation(people[i])[:n] for i in order if people[i][0] not in known and len(people[i]) >= n]

    def search(rows):
        mean = x[rows].mean(0)
        s = templates @ (mean / np.linalg.norm(mean))
        return s.argmax(), s.max()
    hits = [(i, search(rows[1:1 + n])) for i, rows in enumerate(gallery) if len(rows) > n]
    return [search(rows)[1] for rows in strangers], [s if i == best else -1 for i, (best, s) in hits]


def main():
    t = load(sys.argv[1])
    x = t['embedding'] / np.linalg.norm(t['embedding'], axis=1, keepdims=True)
    people = pictures_of(t['person'])
    sim = x @ x.T
    upper = np.triu_indices(len(x), 1)
    different = sim[upper][t['person'][upper[0]] != t['person'][upper[1]]]
    same, weights = same_pairs(sim, people)
    print(f'{len(x)} pictures of {len(people)} people; different: mean {different.mean():.4f}, deviation {different.std():.4f}; '
          f'same: median {np.sort(same)[np.searchsorted(np.cumsum(weights[np.argsort(same)]), 0.5)]:.3f}')
    slope, even = line(same, weights, different)
    print(f'log-likelihood ratio {slope:.1f} · (s - {even:.3f})')
    print(f'correlation of a stranger\'s similarities {stranger_correlation(sim, people):.2f}')
    rng = np.random.default_rng(1)
    for n in 1, 2, 3, 5:
        runs = [open_set(x, people, n, rng) for _ in range(3)]
        strangers, known = (np.concatenate([r[i] for r in runs]) for i in (0, 1))
        cells = []
        for fpir in 0.1, 0.03, 0.01:
            at = np.quantile(strangers, 1 - fpir)
            cells.append(f'FPIR {fpir}: threshold {at:.3f}, FNIR {np.mean(known < at):.3f}')
        print(f'mean of {n}: {len(strangers)} strangers, {len(known)} known; ' + '; '.join(cells))


if __name__ == '__main__':
    main()
