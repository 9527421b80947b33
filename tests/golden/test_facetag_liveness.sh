#!/bin/sh
# facetag's liveness: a photograph of one who is enrolled, held up by a hand. Never a name with liveness=require, whatever else is asked.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
# Ann as she was enrolled, before a wall of the same photograph without people.
ff -y -i "$photos/sample3.jpg" -vf crop=444:250:0:0 -frames:v 1 -update 1 "$work/room.png" &&
    FFMPEG=build/bin/ffmpeg DURATION=2.6 sh tests/tools/make_attacks.sh "$work/attack" "$work/room.png" "$work/ann.png" print >"$work/log" 2>&1
check 'an attack is made'
in=$work/attack-print.mp4
f="facetag=gallery=$gallery:size=320"

tags "$f" >"$work/plain" && grep -q ' known .* Ann' "$work/plain"
check 'without liveness the photograph has a name'
tags "$f:liveness=report" | near "$work/plain" - && grep -q 'facetag\.0\.live=0\.[0-4]' "$work/tags.meta"
check 'report: the same names, and a low probability of life'
tags "$f:liveness=require" | golden liveness.txt
check 'require: the tags of the reference'
! grep -q '\.name=\|status=known\|status=unrecognised\|facetag\.person' "$work/tags.meta" && grep -q 'status=undecided' "$work/tags.meta" &&
    tail -n 20 "$work/tags.meta" | grep -q 'status=spoof'
check 'require: undecided, then a spoof; never known, never unrecognised'
tags "$f:liveness=require" -filter_threads 4 | near tests/golden/ref/liveness.txt -
check 'require: any number of threads'
tags "$f:liveness=require:mode=verify:claim=$ann" >"$work/out" && ! grep -q ' known \| unrecognised ' "$work/out" && tail -n 1 "$work/out" | grep -q ' spoof '
check 'require: verify refuses it'
tags "facetag=mode=detect:size=320:liveness=require" >"$work/out" && tail -n 1 "$work/out" | grep -q ' spoof '
check 'require: detect says so too'
tags "$f:liveness=require:log=$work/log.jsonl" >/dev/null && grep -q '"event":"enter".*"status":"spoof","name":null.*"first_s":0.000.*"live":0\.' "$work/log.jsonl" &&
    ! grep -q '"status":"known"' "$work/log.jsonl"
check 'the log has it from the first frame on'
tags "sendcmd=c='2 facetag liveness require',$f:liveness=report" >"$work/out" && head -n 40 "$work/out" | grep -q ' known .* Ann' &&
    tail -n 5 "$work/out" | grep -q ' spoof ' && ! tail -n 5 "$work/out" | grep -q ' known '
check 'command liveness'
tags "sendcmd=c='2 facetag apcer 1',$f:liveness=require" >"$work/out" && tail -n 1 "$work/out" | grep -q ' known .* Ann'
check 'command apcer: who lets every attack pass has a name'
V=error tags "sendcmd=c='1 facetag liveness require',$f" >"$work/out" 2>"$work/log"
grep -q 'liveness can change between report and require' "$work/log" && near "$work/plain" "$work/out"
check 'from off is refused, and nothing changes'
exit $rc
