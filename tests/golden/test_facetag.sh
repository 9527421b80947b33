#!/bin/sh
# What facetag says of a clip, against reference files (GEN=1 sh tests/golden/test_facetag.sh rewrites them; read the
# diff): metadata by mode, thread count and start, around other filters, over a change of size; the log.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

tags "$f:log=$work/log.jsonl" >"$work/plain" && [ "$(wc -l <"$work/plain")" = 54 ] && golden recognise.txt <"$work/plain"
check 'recognise: metadata as in the reference'
grep -q " known .* Ann" "$work/plain" && grep -q " known .* Bob 李" "$work/plain" && awk '$1 > .95 && $1 < 1.19 { n += $2 == 0 } END { exit n != 6 }' "$work/plain"
check 'recognise: both people are named, nobody in between'
tags "facetag=mode=detect" | golden detect.txt
check 'detect: metadata as in the reference'
tags "$f:mode=verify:claim=$ann" | golden verify.txt
check 'verify: metadata as in the reference'

sed 's/,"wall":"[^"]*"}$/}/' "$work/log.jsonl" >"$work/log" &&
    python3 - "$work/log.jsonl" "$work/plain" <<'PY'
import json, re, sys
events = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
assert events, "no events"
open_tracks, left = {}, set()
for e in events:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", e["wall"]), e
    t = e["track"]
    if e["event"] == "enter":
        assert t not in open_tracks and t not in left, e
        open_tracks[t] = e
    elif e["event"] == "update":
        assert t in open_tracks, e
    else:
        assert e["event"] == "leave" and t in open_tracks, e
        assert e["first_s"] == open_tracks.pop(t)["first_s"] and e["last_s"] >= e["first_s"], e
        left.add(t)
assert not open_tracks, "tracks without a leave event"
names = {e["name"] for e in events if e["event"] == "leave"}
assert {"Ann", "Bob 李"} <= names, names
PY
check 'log: every appearance enters and leaves, with times'

tags "$f" -threads 1 -filter_threads 1 >"$work/t1" && tags "$f" -filter_threads 4 >"$work/t4" && near "$work/t1" "$work/t4"
check 'threads: 1 and 4 say the same'

# chains before and after
tags "scale=960:540,$f" >"$work/out" && [ "$(grep -c ' known ' "$work/out")" -gt 20 ]
check 'scale before: names stay'
ff -i "$clip" -vf "$f,scale=320:180,metadata=print:file=$work/m" -f null - && lines <"$work/m" | near "$work/plain" -
check 'scale after: metadata passes'
tags "fps=10,$f" >"$work/out" && [ "$(wc -l <"$work/out")" -ge 21 ] && grep -q ' known .* Ann' "$work/out"
check 'fps before'
ff -i "$clip" -vf "$f,fps=50,metadata=print:file=$work/m" -f null - && [ "$(lines <"$work/m" | grep -c ' known ')" -gt 40 ]
check 'fps after: doubled frames carry their tags'
tags "hflip,$f" >"$work/out" && grep -q ' known .* Ann' "$work/out"
check 'hflip before: names stay'
ff -i "$clip" -vf "$f,hflip,metadata=print:file=$work/m" -f null - && lines <"$work/m" | near "$work/plain" -
check 'hflip after: metadata passes'
tags "crop=480:360:160:0,$f" >"$work/out" && grep -q ' known ' "$work/out"
check 'crop before'

# two in one graph: the second one's tags are what leaves, the first one's do not linger
tags "facetag=mode=detect,$f" | near "$work/plain" - && grep -c 'lavfi.facetag.count' "$work/tags.meta" | grep -qx 54
check 'two facetag in one graph'
tags "$f,facetag=mode=detect" >"$work/out" && ! grep -q 'person\|name=\| known ' "$work/out" "$work/tags.meta"
check "an earlier facetag's keys do not linger"

# the scenes of a given person
n_ann=$(grep -c ' known .* Ann' "$work/plain")
ff -i "$clip" -vf "$f,metadata=select:key=lavfi.facetag.person.$ann" -fps_mode passthrough -y -f framemd5 "$work/cut.md5" &&
    [ "$(grep -vc '^#' "$work/cut.md5")" = "$n_ann" ] && [ "$n_ann" -gt 10 ] && [ "$n_ann" -le 24 ]
check "metadata=select cuts one person's scenes"

# seek: frames after the seek point are tagged from their own evidence
ff -ss 1.2 -i "$clip" -vf "$f,metadata=print:file=$work/m" -f null - && [ "$(lines <"$work/m" | wc -l)" = 24 ] &&
    lines <"$work/m" | grep -q ' known .* Bob 李'
check 'seek'

# size change in the middle of the stream: ffmpeg builds the graph anew, the log goes on
ff -y -i "$clip" -vf scale=320:180,trim=end_frame=20 -c:v mjpeg -q:v 2 -f mjpeg "$work/small.mjpg" &&
    ff -y -i "$clip" -vf trim=end_frame=20 -c:v mjpeg -q:v 2 -f mjpeg "$work/big.mjpg" &&
    cat "$work/small.mjpg" "$work/big.mjpg" >"$work/sizes.mjpg" &&
    in=$work/sizes.mjpg tags "$f:draw=all:log=$work/sizes.jsonl" >"$work/out" && [ "$(wc -l <"$work/out")" -ge 20 ] &&
    [ "$(grep -c '"event":"leave"' "$work/sizes.jsonl")" = "$(grep -c '"event":"enter"' "$work/sizes.jsonl")" ] &&
    python3 -c "
import json,sys
w = {round(e['box'][2] / 10) for e in map(json.loads, open('$work/sizes.jsonl')) if e['event'] == 'leave'}
assert max(w) > 1.5 * min(w), w"
check 'size change: reinit, and one log of both parts'
ff -i "$clip" -vf "sendcmd=c='0.5 scale w 320;0.5 scale h 180',scale=640:360,$f:draw=all,metadata=print:file=$work/m" -f null - &&
    [ "$(lines <"$work/m" | wc -l)" = 54 ]
check 'size change inside a graph'
exit $rc
