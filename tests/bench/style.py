#!/usr/bin/env python3
"""What style.c does, by PyTorch: the whole style loss minimised from the content.

  style.py PICTURE.rgb W H PRESET.safetensors ITERATIONS THREADS [lbfgs|adam|trajectory [float|double [VGG.safetensors]]]
                                                                                                          (packages: python3-torch python3-numpy)

Prints J at the end, seconds an iteration, evaluations and peak memory in MB. adam and trajectory (of L-BFGS) print J at the start of each
iteration first. The network is stylenet, or the VGG-19 of the file. J is that of core/include/mien/style.h with its default weights; nothing is mirrored at the edges.
"""
import math
import resource
import sys
import time

sys.path.insert(0, "tests/tools")
import numpy as np  # noqa: E402
import torch  # noqa: E402
import stylenet_vector  # noqa: E402
import vgg_vector  # noqa: E402
from style_reference import gram, load, rel  # noqa: E402

picture, w, h, preset, n, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], int(sys.argv[5]), int(sys.argv[6])
kind = sys.argv[7] if len(sys.argv) > 7 else "lbfgs"
real = torch.float64 if len(sys.argv) > 8 and sys.argv[8] == "double" else torch.float32
torch.set_num_threads(threads)


def full(v):
    c = int((math.isqrt(8 * len(v) + 1) - 1) // 2)
    g = np.zeros((c, c), v.dtype)
    g[np.triu_indices(c)] = v
    return torch.tensor(g + np.triu(g, 1).T).to(real)


tensors = load(preset)
if len(sys.argv) > 9:
    last = max(k[7:] for k in tensors if k.startswith("gram.1."))  # what lies behind has no part in the loss
    weights = [(name, torch.tensor(a).to(real), torch.tensor(b).to(real)) for name, a, b in vgg_vector.read_weights(sys.argv[9], last)]
    features = vgg_vector.features
else:
    weights = [(a.to(real), b.to(real)) for a, b in stylenet_vector.read_weights()]

    def features(net, image):
        return {"relu" + k: v for k, v in stylenet_vector.features(net, image).items()}

target = {k[7:]: full(v) for k, v in tensors.items() if k.startswith("gram.1.")}
rgb = np.fromfile(picture, np.uint8).reshape(1, h, w, 3).astype(np.float32) / np.float32(255)
content = torch.tensor(rgb).to(real).permute(0, 3, 1, 2).contiguous()
with torch.no_grad():
    p = features(weights, content)["relu3_1"]
x = content.clone().requires_grad_(True)
evaluations = 0


def objective():
    global evaluations
    evaluations += 1
    x.grad = None
    f = features(weights, x)
    style = sum(rel(gram(f[k]), a) for k, a in target.items()) / len(target)
    tv = (x[..., 1:] - x[..., :-1]).pow(2).mean() + (x[..., 1:, :] - x[..., :-1, :]).pow(2).mean()
    out = (x.clamp(max=0).pow(2) + (x - 1).clamp(min=0).pow(2)).mean()
    j = rel(f["relu3_1"], p) + 100 * style + 6 * tv + 100 * out
    j.backward()
    return j


begin = time.monotonic()
if kind == "lbfgs":
    torch.optim.LBFGS([x], max_iter=n, max_eval=100 * n, history_size=10, tolerance_grad=0, tolerance_change=0,
                      line_search_fn="strong_wolfe").step(objective)
elif kind == "trajectory":  # of L-BFGS: a step returns the loss where it began
    optimizer = torch.optim.LBFGS([x], max_iter=1, max_eval=100, history_size=10, tolerance_grad=0, tolerance_change=0,
                                  line_search_fn="strong_wolfe")
    for i in range(n):
        print("%.9f" % optimizer.step(objective))
else:
    optimizer = torch.optim.Adam([x], lr=0.04, betas=(0.9, 0.99), eps=1e-8)
    for i in range(n):
        for group in optimizer.param_groups:
            group["lr"] = 0.04 * (0.1 + 0.45 * (1 + math.cos(math.pi * i / n)))
        print("%.9f" % float(objective()))
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)
seconds = time.monotonic() - begin
used = evaluations
print("%.6f %.4f %d %.0f" % (float(objective()), seconds / n, used, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
