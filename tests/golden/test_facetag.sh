#!/bin/sh
# What facetag says of a clip, against reference files (GEN=1 sh tests/golden/test_facetag.sh rewrites them; read the
# diff): metadata by mode, thread count and start; the log.

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
exit $rc
