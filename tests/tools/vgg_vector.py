#!/usr/bin/env python3
"""tests/data/parity-vgg19.safetensors: what PyTorch, in double precision, makes of a network of VGG-19's full size.

  vgg_vector.py OUT            (packages: python3-torch python3-numpy)
  vgg_vector.py --weights OUT  the network itself under torchvision's names, for tests/bench

Weights and pictures are random by a rule that tests/parity/test_vgg.c has as well, so that neither must be stored:
number i of tensor t is a hash of i + t · 0x9e3779b9, made a float from -0.5 to 0.5.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

from style_reference import gram, load, rel, save

H, W = 40, 52
BLOCKS = [(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)]
STYLE = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"]
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def rule(t, n):
    x = (np.arange(n, dtype=np.uint64) + np.uint64(t * 0x9e3779b9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7feb352d)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846ca68b)
    x ^= x >> np.uint32(16)
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(16777216) - np.float32(0.5)


def layers():
    out, cin, t = [], 3, 0
    for b, (count, cout) in enumerate(BLOCKS):
        for m in range(count):
            scale = np.float32(np.sqrt(24 / (9 * cin)))
            out.append(("relu%d_%d" % (b + 1, m + 1), (rule(t, cout * cin * 9) * scale).reshape(cout, cin, 3, 3), rule(t + 1, cout) * np.float32(0.2)))
            cin, t = cout, t + 2
    return out


def places():
    """Where torchvision's "features" has each convolution: ReLUs and pools count."""
    at = 0
    for count, _ in BLOCKS:
        for _ in range(count):
            yield at
            at += 2
        at += 1


def read_weights(path, last):
    """A file of write_weights, down to the layer last."""
    tensors = load(path)
    names = [name for name, _, _ in layers()]
    return [(name, tensors["features.%d.weight" % i], tensors["features.%d.bias" % i])
            for name, i in zip(names, places())][:names.index(last) + 1]


def write_weights(path):
    out = {}
    for i, (_, weight, bias) in zip(places(), layers()):
        out["features.%d.weight" % i], out["features.%d.bias" % i] = weight, bias
    save(path, out, {"what": "random weights of VGG-19's shape"})


def features(net, x, pool="max"):
    x = (x - torch.tensor(MEAN).to(x.dtype).view(1, 3, 1, 1)) / torch.tensor(DEVIATION).to(x.dtype).view(1, 3, 1, 1)
    out = {}
    for name, w, b in net:
        if name.endswith("_1") and name != "relu1_1":
            x = F.max_pool2d(x, 2) if pool == "max" else F.avg_pool2d(x, 2)
        x = F.relu(F.conv2d(x, w, b, padding=1))
        out[name] = x
    return out


def main(path):
    net = [(n, torch.tensor(w.astype(np.float64)), torch.tensor(b.astype(np.float64))) for n, w, b in layers()]
    picture = lambda t: torch.tensor((rule(t, H * W * 3) + np.float32(0.5)).reshape(H, W, 3).astype(np.float64)).permute(2, 0, 1)[None]
    out = {}
    for pool in ("max", "avg"):
        image = picture(100).requires_grad_(True)
        f, style, content = features(net, image, pool), features(net, picture(101), pool), features(net, picture(102), pool)
        j = rel(f["relu4_2"], content["relu4_2"].detach())
        j = j + sum(rel(gram(f[n]), gram(style[n]).detach()) for n in STYLE) / len(STYLE)
        j.backward()
        for name, a in f.items():
            a = a[0].detach().permute(1, 2, 0).reshape(-1).numpy()
            out["%s.%s" % (pool, name)] = a[::max(len(a) // 100, 1)].astype(np.float32)
        for name in STYLE:
            g = gram(f[name]).detach().reshape(-1).numpy()
            out["%s.gram.%s" % (pool, name)] = g[::max(len(g) // 100, 1)].astype(np.float32)
        out[pool + ".gradient"] = image.grad[0].permute(1, 2, 0).numpy().astype(np.float32)
        out[pool + ".loss"] = np.array([j.item()])
    save(path, out, {"what": "a random network of VGG-19's size on a random picture of %dx%d, double precision, PyTorch %s; every n-th number of "
                     "activations (NHWC) and Gram matrices F'F/(HW), n = max(count // 100, 1); loss = |F-P|^2/|P|^2 at relu4_2 + mean over reluN_1 of "
                     "|G-A|^2/|A|^2, gradient = dJ/dimage; max and average pooling" % (H, W, torch.__version__)})


if __name__ == "__main__":
    if sys.argv[1] == "--weights":
        write_weights(sys.argv[2])
    else:
        main(sys.argv[1])
