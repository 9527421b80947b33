#!/usr/bin/env python3
"""Are the right names on the right faces? Reads facetag's metadata (metadata=print) of the demo's clip on standard input.

Where every enrolled face is in every frame follows from the photographs (people.tsv) and the camera's way over them
(scenes.tsv; the formula is demo.sh's). Wrong: a name whose box does not lie on that person's face, on a stranger above all. Missing: an
enrolled face wholly in the picture for a while without its name. Prints one line "ok" or "not ok" a scene and person.
"""
import math
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, HEIGHT = 1280, 720
SETTLE = 15     # frames of a usable view before a name is demanded
SHARE = 0.9     # of the frames after that which must carry the name
ENOUGH = 10     # fewer frames than these demand nothing


def table(name):
    with open(os.path.join(HERE, name), encoding='utf-8') as f:
        return [line.rstrip('\n').split('\t') for line in f if line.strip() and not line.startswith('#')]


def views():
    """One (photograph, left, top, scale, scene) a frame of the clip."""
    for scene, (photo, frames, *path) in enumerate(table('scenes.tsv'), 1):
        n, (x0, y0, w0, x1, y1, w1) = int(frames), map(float, path)
        for on in range(n):
            ease = 0.5 - 0.5 * math.cos(math.pi * on / n)
            w = w0 + (w1 - w0) * ease
            x = x0 + (x1 - x0) * ease + 5 * math.sin(on * 0.07)
            y = y0 + (y1 - y0) * ease + 4 * math.sin(on * 0.11 + 1)
            yield photo, x - w / 2, y - w * 9 / 32, WIDTH / w, scene


def truth(view, sightings):
    """name -> (x0, y0, x1, y1) in the clip's pixels, of the enrolled faces that are at least partly in view"""
    photo, left, top, scale, _ = view
    boxes = {}
    for name, where, x0, y0, x1, y1 in sightings:
        if where != photo:
            continue
        b = [(x0 - left) * scale, (y0 - top) * scale, (x1 - left) * scale, (y1 - top) * scale]
        if b[2] > 0 and b[3] > 0 and b[0] < WIDTH and b[1] < HEIGHT:
            boxes[name] = b
    return boxes


def tags(lines):
    """frame number -> list of dicts of x, y, w, h, name, status"""
    frames, now = {}, None
    for line in lines:
        line = line.rstrip('\n')
        m = re.match(r'frame:(\d+)\s', line)
        if m:
            now = frames.setdefault(int(m[1]), {})
            continue
        m = re.match(r'lavfi\.facetag\.(\d+)\.(\w+)=(.*)$', line)
        if m and now is not None:
            now.setdefault(int(m[1]), {})[m[2]] = m[3]
    return {n: list(t.values()) for n, t in frames.items()}


def overlap(tag, box):
    """share of the tag's box that lies on the face's"""
    x, y, w, h = (float(tag[k]) for k in 'xywh')
    dx = min(x + w, box[2]) - max(x, box[0])
    dy = min(y + h, box[3]) - max(y, box[1])
    return max(dx, 0) * max(dy, 0) / max(w * h, 1)


def main():
    sightings = [(r[0], r[1], *map(float, r[2:6])) for r in table('people.tsv')]
    found = tags(sys.stdin)
    wrong, seen = [], {}
    known = strangers = 0
    runs = {}
    for n, view in enumerate(views()):
        boxes = truth(view, sightings)
        got = found.get(n)
        if got is None:
            wrong.append(f'frame {n}: no tags at all')
            continue
        named = set()
        for tag in got:
            if tag.get('status') != 'known':
                strangers += 1
                continue
            known += 1
            name = tag.get('name', '')
            named.add(name)
            if name not in boxes:
                wrong.append(f'frame {n}: {name} is not in the picture')
            elif overlap(tag, boxes[name]) < 0.3:
                wrong.append(f'frame {n}: {name} is on another face')
        for name, b in boxes.items():
            whole = b[0] >= 0 and b[1] >= 0 and b[2] <= WIDTH and b[3] <= HEIGHT
            key = (view[4], name)
            runs[key] = runs.get(key, 0) + 1 if whole else 0
            if runs[key] > SETTLE:
                s = seen.setdefault(key, [0, 0])
                s[0] += 1
                s[1] += name in named
    extra = [n for n in found if n > n_frames() - 1]
    print(f'{"not ok" if wrong or extra else "ok"} no name on a wrong face ({known} names, {strangers} faces without, '
          f'{len(found)} frames)')
    for text in wrong[:20]:
        print('#', text)
    for (scene, name), (of, hits) in sorted(seen.items()):
        if of >= ENOUGH:
            print(f'{"ok" if hits >= SHARE * of else "not ok"} scene {scene}: {name} named in {hits} of {of} frames')
    people = {name for name, *_ in sightings}
    missed = people - {name for (_, name), (_, hits) in seen.items() if hits}
    print(f'{"not ok" if missed else "ok"} everybody who is enrolled is found' + (f' but {", ".join(sorted(missed))}' if missed else ''))
    return 1 if wrong or extra or missed or any(h < SHARE * o for o, h in seen.values() if o >= ENOUGH) else 0


def n_frames():
    return sum(int(r[1]) for r in table('scenes.tsv'))


if __name__ == '__main__':
    sys.exit(main())
