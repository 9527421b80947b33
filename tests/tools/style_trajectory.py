#!/usr/bin/env python3
"""The numbers of trajectories() in tests/parity/test_style.c: ten steps of PyTorch's optimisers on the whole style loss, in double precision,
from the content of tests/data/parity-stylenet.safetensors.

  style_trajectory.py      (packages: python3-torch python3-numpy)

J = content + 100 style + 6 tv + 100 range, as in core/include/mien/style.h. Adam clamps to 0..1 and lets its rate fall by a cosine; both print
J at the start of each step, L-BFGS and at the end.
"""
import math

import numpy as np
import torch

import stylenet_vector as net
from style_reference import gram, load, rel

STEPS = 10
data = load("tests/data/parity-stylenet.safetensors")
weights = net.read_weights()
content = torch.tensor(data["content"].astype(np.float64)).permute(2, 0, 1)[None].contiguous()
target = {n: torch.tensor(data["gram" + n].astype(np.float64)) for n in net.STYLE}
with torch.no_grad():
    p = net.features(weights, content)["3_1"]


def objective(x):
    x.grad = None
    f = net.features(weights, x)
    tv = (x[..., 1:] - x[..., :-1]).pow(2).mean() + (x[..., 1:, :] - x[..., :-1, :]).pow(2).mean()
    out = (x.clamp(max=0).pow(2) + (x - 1).clamp(min=0).pow(2)).mean()
    j = rel(f["3_1"], p) + 100 * sum(rel(gram(f[n]), a) for n, a in target.items()) / len(target) + 6 * tv + 100 * out
    j.backward()
    return j


def adam():
    x = content.clone().requires_grad_(True)
    optimizer = torch.optim.Adam([x], betas=(0.9, 0.99), eps=1e-8)
    for i in range(STEPS):
        optimizer.param_groups[0]["lr"] = 0.04 * (0.1 + 0.45 * (1 + math.cos(math.pi * i / STEPS)))
        yield float(objective(x))
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)


def lbfgs():
    x = content.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS([x], max_iter=1, max_eval=100, history_size=10, tolerance_grad=0, tolerance_change=0,
                                  line_search_fn="strong_wolfe")
    for i in range(STEPS + 1):
        yield float(optimizer.step(lambda: objective(x)))


for run in adam, lbfgs:
    print(run.__name__, ", ".join("%.7f" % j for j in run()))
