"""Pixels of people to be covered, against where they are known to be: covered.py W H IN OUT PEOPLE.

IN and OUT are raw yuv420p with filler of luma 60. PEOPLE has a line a person and frame: frame x y w h what, the box of the face. what: covered (each
pixel of the box that lies in the frame is the cover's), visible (each is as it was), or free (either, as long as it is a head at most). Outside
the heads of these boxes not a sample may differ.
"""
import sys

w, h, path_in, path_out, people = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
FILL = 60  # 16 + 219 * 0.2
REACH = 1.7  # of a box's size, to each side: a head of 1.05 and 0.9 half boxes round it, its soft edge, and as much for motion

faces = {}
for line in open(people, encoding="utf-8"):
    n, x, y, bw, bh, what = line.split()
    faces.setdefault(int(n), []).append((float(x), float(y), float(bw), float(bh), what))


def rows(plane, shift):
    width = w >> shift
    return [plane[i * width:(i + 1) * width] for i in range(h >> shift)]


def inside(x, size, limit):
    return max(0, int(x) + 1), min(limit, int(x + size))


size = w * h * 3 // 2
n_covered = n_visible = n = 0
with open(path_in, "rb") as file_in, open(path_out, "rb") as file_out:
    while True:
        a, b = file_in.read(size), file_out.read(size)
        if len(a) != len(b):
            sys.exit(f"frame {n}: the files have different lengths")
        if not a:
            break
        boxes = faces.get(n, [])
        luma_a, luma_b = rows(a[:w * h], 0), rows(b[:w * h], 0)
        for x, y, bw, bh, what in boxes:
            (x0, x1), (y0, y1) = inside(x, bw, w), inside(y, bh, h)
            for i in range(y0, y1):
                if what == "covered" and x1 > x0 and set(luma_b[i][x0:x1]) != {FILL}:
                    sys.exit(f"frame {n}: row {i} of the face at {x:.0f},{y:.0f} shows")
                if what == "visible" and luma_a[i][x0:x1] != luma_b[i][x0:x1]:
                    sys.exit(f"frame {n}: row {i} of the face at {x:.0f},{y:.0f}, which is to be seen, changed")
            n_covered += what == "covered"
            n_visible += what == "visible"
        at = 0
        for shift in (0, 1, 1):
            width, height = w >> shift, h >> shift
            for i in range(height):
                ra, rb = a[at:at + width], b[at:at + width]
                at += width
                if ra == rb:
                    continue
                spans = sorted((int((x - REACH * bw)) >> shift, (int(x + bw + REACH * bw) >> shift) + 1) for x, y, bw, bh, what in boxes
                               if what != "visible" and y - REACH * bh <= i << shift <= y + bh + REACH * bh)
                left = 0
                for x0, x1 in spans + [(width, width)]:
                    if x0 > left and ra[left:x0] != rb[left:x0]:
                        sys.exit(f"frame {n}: row {i << shift} changed between {left << shift} and {x0 << shift}, away from all heads")
                    left = max(left, x1)
        n += 1
print(n, n_covered, n_visible)
