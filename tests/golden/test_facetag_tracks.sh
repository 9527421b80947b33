#!/bin/sh
# Tracks and names where people cross, pass behind something, or somebody else stands where a person was; and why a face has its name.
# Two faces are moved over a gray stage, so that it is known on every frame whose face is where.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

# stage OUT FRAMES OVERLAYS: Ann is [a], Bob [b], an occluder [o], the stage [s]
stage() {
    ff -y -loop 1 -i "$work/ann.png" -loop 1 -i "$work/bob.png" -filter_complex "
        color=gray:s=640x360:r=25[s];color=0x405060:s=240x340:r=25[o];[0]fps=25,scale=168:200,setsar=1[a];[1]fps=25,scale=184:200,setsar=1[b];$3" \
        -frames:v "$2" -c:v ffv1 "$1"
}

# who SCENE: reads metadata; fails on a name that is not on its face. Prints, a name, the frames on which it was given and its tracks.
who() {
    python3 - "$1" "$work/m" <<'PY'
import sys
def x_of(scene, name, n):  # the middle of the face, or None
    if scene == "cross":
        return 20 + 6 * n + 84 if name == "Ann" else 450 - 6 * n + 92
    if scene == "meet":
        way = 9 * (n if n < 24 else 48 - n)
        return 20 + way + 84 if name == "Ann" else 490 - way + 92
    if scene == "pass":
        return 220 + n + 84 if name == "Ann" else None
    if name == "Ann":  # a box is shown through two missed detections
        return 240 + 84 if n < 30 + 9 else None
    return 240 + 92 if n >= 45 else None
named, tracks, frame, face = {}, {}, -1, {}
for line in open(sys.argv[2], encoding="utf-8"):
    if line.startswith("frame:"):
        frame = int(line.split()[0][6:])
        continue
    key, _, value = line.strip().partition("=")
    part = key.split(".")
    if len(part) != 4 or not part[2].isdigit():
        continue
    face = {} if part[3] == "x" else face
    face[part[3]] = value
    if part[3] == "name":
        name = value.split()[0]
        middle = int(face["x"]) + int(face["w"]) / 2
        want = x_of(sys.argv[1], name, frame)
        if want is None or abs(middle - want) > 50:
            sys.exit(f"frame {frame}: {name} at {middle}, not at {want}")
        named.setdefault(name, []).append(frame)
        tracks.setdefault(name, set()).add(face["track"])
for name in sorted(named):
    print(name, len(named[name]), min(named[name]), max(named[name]), len(tracks[name]))
PY
}

stage "$work/cross.mkv" 76 "[s][b]overlay=x=450-6*n:y=90:shortest=0[t];[t][a]overlay=x=20+6*n:y=70;[o]nullsink" &&
    ff -i "$work/cross.mkv" -vf "$f:log=$work/cross.jsonl,metadata=print:file=$work/m" -f null - && who cross >"$work/out"
check 'two people cross: each name stays on its face'
awk '$1 == "Ann" && $2 > 60 && $3 < 9 && $4 > 70 && $5 == 1 { a = 1 } $1 == "Bob" && $2 > 35 && $3 < 9 && $4 > 70 && $5 == 1 { b = 1 } END { exit !(a && b) }' "$work/out" ||
    { cat "$work/out"; false; }
check 'and each keeps its track'
! grep -q '"event":"retract"' "$work/cross.jsonl"
check 'and no name is retracted'

stage "$work/meet.mkv" 48 "[s][b]overlay=x=490-9*if(lt(n\,24)\,n\,48-n):y=90[t];[t][a]overlay=x=20+9*if(lt(n\,24)\,n\,48-n):y=70;[o]nullsink" &&
    ff -i "$work/meet.mkv" -vf "$f,metadata=print:file=$work/m" -f null - && who meet >"$work/out" &&
    awk '$2 > 34 && $5 == 1 { n++ } END { exit n != 2 }' "$work/out" || { cat "$work/out"; false; }
check 'two people meet and turn back, against all prediction'

stage "$work/pass.mkv" 76 "[s][a]overlay=x=220+n:y=80[t];[t][o]overlay=x=-240+14*n:y=10;[b]nullsink" &&
    ff -i "$work/pass.mkv" -vf "$f,metadata=print:file=$work/m" -f null - && who pass >"$work/out" &&
    awk '$1 == "Ann" && $2 > 35 && $2 < 70 && $4 > 70 && $5 == 1 { a = 1 } END { exit !a }' "$work/out" || { cat "$work/out"; false; }
check 'something passes in front: the track and its name go on'

stage "$work/swap.mkv" 76 "[s][a]overlay=x=240:y=80:enable='lt(n,30)'[t];[t][b]overlay=x=240:y=80:enable='gte(n,45)';[o]nullsink" &&
    ff -i "$work/swap.mkv" -vf "$f:log=$work/swap.jsonl,metadata=print:file=$work/m" -f null - && who swap >"$work/out" &&
    grep -q '^Ann' "$work/out" && grep -q '^Bob' "$work/out"
check 'somebody else stands there afterwards: the first name does not stay'

ff -i "$work/pass.mkv" -vf "$f:explain=1:log=$work/log.jsonl,metadata=print:file=$work/m" -f null - && python3 - "$work/log.jsonl" "$work/m" <<'PY'
import json, re, sys
entered = False
for line in open(sys.argv[1], encoding="utf-8"):
    e = json.loads(line)
    x = e["explain"]
    assert list(e)[-1] == "wall" and x["reason"] and x["threshold_from"] == "encoder", e
    entered |= e["event"] == "enter" and e["name"] == "Ann"
    if e["name"]:
        assert x["reason"] in ("named", "kept") and x["best"] == e["name"] and x["next"] == "Bob 李", x
        assert x["best_similarity"] >= x["threshold"] and x["evidence_nats"] >= x["needed_nats"] and x["views"], x
        assert abs(sum(v["independence"] for v in x["views"]) - x["independent_views"]) < .05, x
assert entered
meta = open(sys.argv[2], encoding="utf-8").read()
assert len(re.findall(r"^lavfi\.facetag\.0\.explain\.(?:best=Ann|next=Bob 李|reason=named|threshold_from=encoder)$", meta, re.M)) > 160, meta
PY
check 'explain=1: log and metadata say why'
exit $rc
