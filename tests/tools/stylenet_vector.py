#!/usr/bin/env python3
"""tests/data/parity-stylenet.safetensors: what PyTorch, in double precision, makes of core/models/stylenet.safetensors.

  stylenet_vector.py PICTURES OUT      (packages: python3-torch python3-numpy)

PICTURES is a safetensors file with three small pictures, content, style and image, [3,H,W] f32 in 0..1; those of OUT serve as well. The graph in
the model file is not read: the network is written down here a second time, as docs/models.md describes it.
"""
import sys

import numpy as np
import torch
import torch.nn.functional as F

from style_reference import gram, load, rel, save

EVERY = 61  # of an activation's numbers, in NHWC order, one in so many is kept
NAMES = ["1_1", "1_2", "2_1", "2_2", "3_1", "3_2", "4_1"]
STYLE = ["1_1", "2_1", "3_1", "4_1"]


def features(weights, x):
    out, x = {}, (x - 0.45) * 4
    for i, name in enumerate(NAMES):
        if i and name.endswith("_1"):
            x = F.avg_pool2d(x, 2)
        x = F.relu(F.conv2d(x, weights[i][0], weights[i][1], padding=1))
        out[name] = x
    return out


def read_weights():
    model = load("core/models/stylenet.safetensors")
    return [(torch.tensor(model["conv2d_%d.weight" % (i + 1)].astype(np.float64)).permute(3, 2, 0, 1).contiguous(),
             torch.tensor(model["conv2d_%d.bias" % (i + 1)].astype(np.float64))) for i in range(len(NAMES))]


def main(pictures, out_path):
    weights, pics = read_weights(), load(pictures)
    pics = {k: (v if v.shape[0] == 3 else v.transpose(2, 0, 1)).astype(np.float64) for k, v in pics.items() if k in ("content", "style", "image")}
    content, style, image = (torch.tensor(pics[k])[None] for k in ("content", "style", "image"))
    for t in [image] + [t for pair in weights for t in pair]:
        t.requires_grad_(True)
    with torch.no_grad():
        p, a = features(weights, content), features(weights, style)
    f = features(weights, image)
    j_content = rel(f["3_1"], p["3_1"])
    j_style = sum(rel(gram(f[n]), gram(a[n])) for n in STYLE) / len(STYLE)
    tv = (image[..., 1:] - image[..., :-1]).pow(2).mean() + (image[..., 1:, :] - image[..., :-1, :]).pow(2).mean()
    j = j_content + 100 * j_style + 6 * tv
    j.backward()
    nhwc = lambda t: t[0].detach().permute(1, 2, 0).numpy()
    out = {k: nhwc(t).astype(np.float32) for k, t in (("content", content), ("style", style), ("image", image))}
    for n in NAMES:
        out["relu" + n] = nhwc(f[n]).reshape(-1)[::EVERY].astype(np.float32)
    for n in STYLE:
        out["gram" + n] = gram(a[n]).numpy().astype(np.float32)
    out["gradient"] = nhwc(image.grad[0][None]).astype(np.float32)
    for i, n in enumerate(NAMES):
        out["dweight" + n] = weights[i][0].grad.permute(2, 3, 1, 0).numpy().reshape(-1)[::EVERY].astype(np.float32)
        out["dbias" + n] = weights[i][1].grad.numpy().astype(np.float32)
    out["loss"] = np.array([j_content.item(), j_style.item(), tv.item(), j.item()])
    save(out_path, out, {"what": "stylenet in double precision, PyTorch %s: pictures [H,W,3]; reluN: every %dth number, NHWC, of image; "
                         "gramN: F'F/(HW) of style; loss = [content, style, tv, J], J = content + 100 style + 6 tv, content = |F-P|^2/|P|^2 at "
                         "relu3_1, style = mean over 1_1, 2_1, 3_1, 4_1 of |G-A|^2/|A|^2, tv = mean dx^2 + mean dy^2; gradient = dJ/dimage; "
                         "dweightN, dbiasN: dJ/dweights through image alone, every so many-th number, [kh,kw,cin,cout]"
                         % (torch.__version__, EVERY)})


if __name__ == "__main__":
    main(*sys.argv[1:3])
