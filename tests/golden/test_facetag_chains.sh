#!/bin/sh
# facetag among other filters: before and after them, twice in a graph, over seeks and changes of size.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

tags "$f" >"$work/plain"
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
