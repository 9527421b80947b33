#!/usr/bin/env python3
"""What gradient.c times, by PyTorch: processor milliseconds of forward, loss and backward, medians, one thread.

  gradient.py W H ITERATIONS      (packages: python3-torch python3-numpy)
"""
import sys
import time

sys.path.insert(0, "tests/tools")
import numpy as np  # noqa: E402
import torch  # noqa: E402
import stylenet_vector as net  # noqa: E402
from style_reference import gram  # noqa: E402

w, h, n = (int(x) for x in sys.argv[1:4])
torch.set_num_threads(1)
weights = [(a.float(), b.float()) for a, b in net.read_weights()]
x = torch.tensor((np.arange(w * h * 3, dtype=np.uint64) * 2654435761 % 1000 / 1000).astype(np.float32).reshape(1, h, w, 3))
x = x.permute(0, 3, 1, 2).contiguous().requires_grad_(True)
times = []
for i in range(n + 1):
    x.grad = None
    t0 = time.process_time()
    f = net.features(weights, x)
    t1 = time.process_time()
    j = 0.5e-4 * f["3_1"].pow(2).sum()
    for name in net.STYLE:
        g = gram(f[name])
        j = j + (g - 0.9 * g.detach()).pow(2).sum() / 4
    t2 = time.process_time()
    j.backward()
    t3 = time.process_time()
    if i:
        times.append((t1 - t0, t2 - t1, t3 - t2, t3 - t0))
print(" ".join("%.1f" % (1000 * t) for t in np.median(np.array(times), axis=0)))
