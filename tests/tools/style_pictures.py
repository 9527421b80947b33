#!/usr/bin/env python3
"""Four pictures for presets, drawn by rule: kinds of drawing of which no old picture is at hand.

  style_pictures.py DIR        (package: python3-numpy; the pictures are written as PPM, the same numbers every time)

pen-hatching  lines of a pen in three directions, the darker the denser
ink-wash      a loaded brush on paper: wet washes with dark rims, dry strokes
mosaic        stones in rows along a flow, of one palette, with mortar between
fresco        flat shapes in earth colours on plaster, with contours, grain and cracks
"""
import sys

import numpy as np

N = 768
YY, XX = np.mgrid[0:N, 0:N].astype(np.float64)


def noise(rng, size, octaves=3):
    """Smooth noise of about this grain in pixels, standard deviation 1, by a Gaussian in the frequency domain."""
    f = np.fft.fftfreq(N)
    r2 = f[:, None] ** 2 + f[None, :] ** 2
    out = np.zeros((N, N))
    for k in range(octaves):
        s = size / 2 ** k
        out += np.real(np.fft.ifft2(np.fft.fft2(rng.standard_normal((N, N))) * np.exp(-2 * (np.pi * s / 3) ** 2 * r2))) * s * 0.7 ** k
    return (out - out.mean()) / out.std()


def smoothstep(x, a, b):
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def ramp(t, colours):
    """Colours by t in 0..1."""
    c = np.array(colours, float)
    x = np.clip(t, 0, 1) * (len(c) - 1)
    i = np.minimum(x.astype(int), len(c) - 2)
    return c[i] + (c[i + 1] - c[i]) * (x - i)[..., None]


def pen_hatching(rng):
    tone = noise(rng, 150, 2) * 0.22 + 0.5  # 0 dark, 1 light
    wobble = noise(rng, 60, 2) * 5
    ink = np.zeros((N, N))
    for k, angle in enumerate((35, 125, 80, 10)):
        a = np.deg2rad(angle)
        along, across = XX * np.cos(a) + YY * np.sin(a), -XX * np.sin(a) + YY * np.cos(a)
        bent = across + wobble + 6 * np.sin(along / 90 + k)
        spacing = 7.0
        d = np.abs((bent / spacing) % 1 - 0.5) * spacing
        need = 0.62 - 0.16 * k  # this direction begins where the tone is darker than this
        width = 1.9 * smoothstep(need - tone, 0, 0.3)
        breaks = smoothstep(np.sin(along / 23 + np.floor(bent / spacing) * 2.4) + noise(rng, 8, 1) * 0.3, -1.25, -0.9)
        ink = np.maximum(ink, (1 - smoothstep(d, width - 0.5, width + 0.5)) * breaks * (width > 0.25))
    edge = np.abs(tone - 0.5) * N / (6 * np.hypot(*np.gradient(tone)) * N + 1e-9)
    ink = np.maximum(ink, 1 - smoothstep(edge, 0.25, 0.45))
    paper = np.array([244, 238, 222]) + noise(rng, 3, 2)[..., None] * 3
    return paper + (np.array([38, 30, 28]) - paper) * (ink * 0.95)[..., None]


def stamp(img, x, y, r, v):
    x0, x1, y0, y1 = max(int(x - r - 2), 0), min(int(x + r + 3), N), max(int(y - r - 2), 0), min(int(y + r + 3), N)
    if x0 >= x1 or y0 >= y1:
        return
    d = np.hypot(XX[y0:y1, x0:x1] - x, YY[y0:y1, x0:x1] - y)
    img[y0:y1, x0:x1] = np.maximum(img[y0:y1, x0:x1], v * (1 - smoothstep(d, r - 1, r + 1)))


def ink_wash(rng):
    dark = np.zeros((N, N))
    for _ in range(9):  # washes: pools with a rim where the pigment settled
        shape = noise(rng, 130, 3)
        level = rng.uniform(0.9, 1.5)
        inside = smoothstep(shape, level - 0.12, level)
        rim = np.exp(-((shape - level) / 0.05) ** 2)
        dark = 1 - (1 - dark) * (1 - (inside * rng.uniform(0.15, 0.45) + rim * 0.22) * (0.85 + 0.15 * noise(rng, 6, 2).clip(-1, 1)))
    strokes = np.zeros((N, N))
    for _ in range(70):  # strokes that swell, taper and run dry
        x, y, a, w = rng.uniform(0, N), rng.uniform(0, N), rng.uniform(0, 2 * np.pi), rng.uniform(2, 15)
        turn, length = rng.normal(0, 0.012), int(rng.uniform(60, 260))
        for t in range(length):
            u = t / length
            stamp(strokes, x, y, w * np.sin(np.pi * min(u * 1.6 + 0.1, 1)) ** 0.7 * (1 - 0.7 * u) + 0.6, 0.95 - 0.35 * u)
            a += turn
            x, y = x + 1.6 * np.cos(a), y + 1.6 * np.sin(a)
    bristle = smoothstep(noise(rng, 3, 2) + 1.6 * (strokes - 0.3), -0.4, 0.6)
    dark = 1 - (1 - dark) * (1 - strokes * bristle)
    paper = np.array([240, 235, 222]) + noise(rng, 4, 3)[..., None] * 3
    return paper + (np.array([24, 25, 30]) - paper) * dark.clip(0, 1)[..., None]


def cells(rng, size, jitter, u=XX, v=YY):
    """Nearest and second nearest of jittered grid points: index of the cell, distance to its border."""
    n = int(max(u.max(), v.max()) / size) + 6
    off = rng.uniform(-jitter, jitter, (2, n, n))
    i0, j0 = np.floor(v / size).astype(int), np.floor(u / size).astype(int)
    best, second = np.full(u.shape, 1e9), np.full(u.shape, 1e9)
    which = np.zeros(u.shape, int)
    for di in (-1, 0, 1):
        for dj in (-1, 0, 1):
            i, j = (i0 + di) % n, (j0 + dj) % n
            d = np.hypot((i0 + di + 0.5 + off[0, i, j]) * size - v, (j0 + dj + 0.5 + off[1, i, j]) * size - u)
            nearer = d < best
            second = np.where(nearer, best, np.minimum(second, d))
            which = np.where(nearer, i * n + j, which)
            best = np.where(nearer, d, best)
    return which, (second - best) / 2, n * n


def mosaic(rng):
    bend_u, bend_v = noise(rng, 200, 1) * 28, noise(rng, 200, 1) * 28
    which, border, n = cells(rng, 17, 0.16, XX + bend_u - (XX + bend_u).min(), YY + bend_v - (YY + bend_v).min())
    field = noise(rng, 140, 2)
    count = np.maximum(np.bincount(which.ravel(), minlength=n), 1)
    mean = np.bincount(which.ravel(), field.ravel(), minlength=n) / count
    palette = [(24, 46, 92), (40, 96, 140), (120, 170, 178), (232, 220, 190), (214, 160, 62), (176, 70, 44), (104, 32, 36)]
    stone = ramp((mean + rng.normal(0, 0.28, n)) * 0.22 + 0.5, palette) * rng.normal(1, 0.09, (n, 1))
    gold = rng.random(n) < 0.05
    stone[gold] = (226, 184, 72)
    light = 1 + 0.14 * (smoothstep(border, 0.8, 3.5) - 0.6) + noise(rng, 3, 2) * 0.03
    mortar = np.array([168, 158, 142]) + noise(rng, 3, 2)[..., None] * 7
    k = smoothstep(border, 0.7, 1.6)[..., None]
    return mortar * (1 - k) + stone[which] * light[..., None] * k


def fresco(rng):
    field, second = noise(rng, 170, 2), noise(rng, 110, 2)
    palette = [(126, 62, 44), (176, 108, 66), (206, 166, 110), (222, 204, 168), (150, 158, 138), (96, 116, 122), (84, 74, 78)]
    steps = np.floor((field * 0.2 + 0.5).clip(0, 0.999) * 7)
    flat = np.array(palette, float)[steps.astype(int)]
    shade = 1 + 0.1 * second[..., None]
    edge = (np.abs(np.diff(steps, axis=0, prepend=steps[:1])) + np.abs(np.diff(steps, axis=1, prepend=steps[:, :1]))) > 0
    thick = edge.astype(float)
    for _ in range(2):
        thick = np.maximum.reduce([thick, np.roll(thick, 1, 0), np.roll(thick, 1, 1), np.roll(thick, -1, 0), np.roll(thick, -1, 1)])
    line = thick * smoothstep(noise(rng, 24, 2), -1.2, -0.2) * 0.6
    img = flat * shade * (1 - line[..., None]) + np.array([70, 46, 40]) * line[..., None]
    plaster = np.array([226, 214, 194])
    worn = smoothstep(noise(rng, 60, 4), 0.7, 1.6)[..., None] * 0.75
    img = img * (1 - worn) + plaster * worn
    img = img * 0.86 + plaster * 0.14 + (noise(rng, 2.5, 2) * 7 + noise(rng, 12, 2) * 5)[..., None]
    _, border, _ = cells(rng, 120, 0.42, XX + noise(rng, 20, 3) * 6 + 40, YY + noise(rng, 20, 3) * 6 + 40)
    crack = (1 - smoothstep(border, 0.3, 1.1)) * smoothstep(noise(rng, 70, 2), -0.2, 0.4)
    return img * (1 - 0.6 * crack[..., None])


def main(folder):
    for i, draw in enumerate((pen_hatching, ink_wash, mosaic, fresco)):
        img = np.clip(np.rint(draw(np.random.default_rng(20261124 + i))), 0, 255).astype(np.uint8)
        with open("%s/%s.ppm" % (folder, draw.__name__.replace("_", "-")), "wb") as f:
            f.write(b"P6\n%d %d\n255\n" % (N, N) + img.tobytes())


main(sys.argv[1])
