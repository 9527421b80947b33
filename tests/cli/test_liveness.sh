#!/bin/sh
# mien evaluate liveness: lists, errors, and what it says of an attack that is made here.

cd "$(dirname "$0")/../.." || exit 1
. tests/cli/lib.sh
photos=$(echo build/cache/vladmandic-face-api-*/demo)

refused() { # NAME WORDS ARGUMENTS
    name=$1 words=$2; shift 2
    t "$name" 2 "$mien" evaluate liveness "$@"
    err_has "$words"
    err_lines 1
}
refused 'no list' '--list FILE is needed'
refused 'a list that is not there' 'nowhere.txt' --list "$work/nowhere.txt"
printf '# nothing\n\n' >"$work/empty.txt"
refused 'an empty list' 'nothing in it' --list "$work/empty.txt"
echo "only-a-path" >"$work/half.txt"
refused 'a line without a kind' 'half.txt:1:' --list "$work/half.txt"
echo "no such clip.mp4 print" >"$work/missing.txt"
refused 'a clip that is not there' 'no such clip.mp4' --list "$work/missing.txt"
awk 'BEGIN { for (i = 0; i < 40; i++) print "x", "kind" i }' >"$work/many.txt"
refused 'more kinds than there is room for' 'many.txt:32:' --list "$work/many.txt"

[ -f "$photos/sample3.jpg" ] && [ -x "$MIEN_BUILD/bin/ffmpeg" ] || { echo "ok the rest # SKIP no photographs or no drop-in"; t_end; }
ff() { "$MIEN_BUILD/bin/ffmpeg" -nostdin -v error -y "$@"; }
ff -i "$photos/sample3.jpg" -vf crop=520:650:920:90,scale=260:-2 -frames:v 1 -update 1 "$work/a face.png"
ff -i "$photos/sample3.jpg" -vf crop=444:250:0:0 -frames:v 1 -update 1 "$work/room.png"
FFMPEG=$MIEN_BUILD/bin/ffmpeg DURATION=2.2
export FFMPEG DURATION
t 'an attack is made' 0 sh tests/tools/make_attacks.sh "$work/an attack" "$work/room.png" "$work/a face.png" print
out_has "$work/an attack-print.mp4"
printf 'an attack-print.mp4 print\n  a face.png\tlive \n' >"$work/list.txt"
t 'the attack is refused' 0 "$mien" evaluate liveness --list "$work/list.txt" --root "$work" --json --plot "$work/plot.svg"
cp "$out" "$work/json"
cat >"$work/check.py" <<'END'
import json, sys
j = json.load(open(sys.argv[1]))
live, attack = j['kinds']
assert live['kind'] == 'live' and live['tracks'] == 0 and live['frames'] == 1, live
assert attack['kind'] == 'print' and attack['tracks'] == 1 and attack['undecided'] == 0 and attack['apcer'] == 0, attack
face = [f for f in j['faces'] if f['kind'] == 'print'][0]
assert face['enough'] and face['llr'] < -2 and face['measure']['relief'] < 1, face
assert abs(sum(v for v in face['check_llr'].values() if v is not None) - face['llr']) < 0.01, face
assert j['bpcer'] is None and j['apcer_worst'] == 0 and len(j['thresholds']) == 5, j
END
t 'the JSON says so' 0 python3 "$work/check.py" "$work/json"
t 'the plot is whole' 0 grep -q '</svg>' "$work/plot.svg"
t 'the same as text' 0 "$mien" evaluate liveness --list "$work/list.txt" --root "$work"
out_has ' 0.0 %'
out_has ACER
t_end
