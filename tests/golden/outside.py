"""Every sample that drawing changed lies in the frame of a box or in a label's strip: outside.py FORMAT W H WHAT A B META.

The strip may stand above a box or hang from its upper edge and be as wide as it likes; the box's interior, and everything
away from any face, must be as it was. A chroma sample may change if one of the pixels it covers may.
"""
import re
import sys

fmt, w, h, what, path_a, path_b, meta = sys.argv[1:]
w, h = int(w), int(h)
planes = {  # per plane: horizontal and vertical subsampling shift, bytes a sample position
    "yuv420p": [(0, 0, 1), (1, 1, 1), (1, 1, 1)], "yuv422p": [(0, 0, 1), (1, 0, 1), (1, 0, 1)],
    "yuv444p": [(0, 0, 1)] * 3, "nv12": [(0, 0, 1), (1, 1, 2)],
    "yuv420p10le": [(0, 0, 2), (1, 1, 2), (1, 1, 2)], "rgb24": [(0, 0, 3)], "gray": [(0, 0, 1)],
}[fmt]
sub_x, sub_y = max(p[0] for p in planes), max(p[1] for p in planes)
grid_x, grid_y = 1 << sub_x, 1 << sub_y
short = min(w, h)
thick = -(-max(2, short // 180) // max(grid_x, grid_y)) * max(grid_x, grid_y)
font = max(12, short // 24)
strip = font + font // 4 + grid_y

frames = []
for line in open(meta, encoding="utf-8"):
    if line.startswith("frame:"):
        frames.append({})
    else:
        m = re.match(r"lavfi\.facetag\.(\d+)\.([xywh])=(\d+)$", line.strip())
        if m:
            frames[-1].setdefault(int(m[1]), {})[m[2]] = int(m[3])


def row_spans(faces, y):
    """Pixels of row y that may change, as (x0, x1)."""
    spans = []
    for f in faces.values():
        # metadata is rounded, drawing goes outwards to the chroma grid
        x0, y0 = f["x"] - grid_x, f["y"] - grid_y
        x1, y1 = f["x"] + f["w"] + grid_x, f["y"] + f["h"] + grid_y
        ring = thick + 2 * max(grid_x, grid_y)
        if what != "label" and y0 <= y < y1:
            spans += [(x0, x1)] if y < y0 + ring or y >= y1 - ring else [(x0, x0 + ring), (x1 - ring, x1)]
        if what != "box":
            above = f["y"] - strip - grid_y <= y <= f["y"] + grid_y
            below = y0 <= y <= y0 + strip + 2 * grid_y or y >= h - strip - grid_y
            if (above and f["y"] >= font) or (below and f["y"] < strip + grid_y):
                spans.append((0, w))
    return sorted((max(0, a), min(w, b)) for a, b in spans if b > 0 and a < w)


size = sum((h >> sy) * (w >> sx) * n for sx, sy, n in planes)
n_changed = 0
with open(path_a, "rb") as file_a, open(path_b, "rb") as file_b:
    for i, faces in enumerate(frames):
        a, b = file_a.read(size), file_b.read(size)
        assert len(a) == len(b) == size, "a file is too short"
        n_changed += a != b
        if not faces and a != b:
            sys.exit(f"frame {i} has no face and changed")
        at = 0
        for sx, sy, n in planes:
            pitch = (w >> sx) * n
            for y in range(h >> sy):
                if a[at:at + pitch] != b[at:at + pitch]:
                    x = 0
                    spans = [s for k in range(1 << sy) for s in row_spans(faces, (y << sy) + k)]
                    for x0, x1 in sorted(spans) + [(w, w)]:
                        lo, hi = at + -(-x >> sx) * n, at + (x0 >> sx) * n
                        if hi > lo and a[lo:hi] != b[lo:hi]:
                            sys.exit(f"frame {i}: row {y << sy} changed between pixels {x} and {x0}; faces {faces}")
                        x = max(x, x1)
                at += pitch
if n_changed < 40:
    sys.exit(f"only {n_changed} frames were drawn on")
