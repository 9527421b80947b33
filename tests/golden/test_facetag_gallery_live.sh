#!/bin/sh
# A gallery that changes while films run: four ffmpeg processes on one gallery, in real time, and the tool beside them enrols, renames and forgets;
# then the file is taken away, comes back, and a backup takes its place. Each process takes every change.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
people=$work/people.db
cp "$gallery" "$people"
mien() { build/bin/mien "$@" --gallery "$people" >>"$work/mien.log" 2>&1 || { echo "mien $*"; tail -n 2 "$work/mien.log"; }; }

# One photograph, 25 frames a second: Ann is there all the time. Each frame's lines go to a file.
n=4
pids=
trap 'kill $pids 2>/dev/null; rm -rf "$work"' EXIT
for i in 1 2 3 4; do
    build/bin/ffmpeg -hide_banner -nostdin -v warning -re -loop 1 -framerate 10 -i "$work/ann.png" -vf "scale=320:-2,facetag=gallery=$people:interval=5,metadata=print:file=-:direct=1" -t 60 -f null - \
        >"$work/names$i" 2>"$work/err$i" &
    pids="$pids $!"
done
# until WHAT: what the newest frames of all four say is WHAT, within 30 s
newest() { tail -n 60 "$work/names$1" 2>/dev/null | sed -n 's/^lavfi\.facetag\.0\.name=//p; s/^lavfi\.facetag\.0\.status=unrecognised/(nobody)/p' | tail -n 1; }
all_say() {
    for w in $(seq 300); do
        n_ok=0
        for i in 1 2 3 4; do [ "$(newest $i)" != "$1" ] || n_ok=$((n_ok + 1)); done
        [ $n_ok -lt $n ] || return 0
        sleep 0.1
    done
    return 1
}
all_say Ann; check 'four processes know Ann'
mien rename Ann Hanna
all_say Hanna; check 'renamed'
# five enrolments at a time, beside the films
for i in 1 2 3 4 5; do build/bin/mien enroll "Extra $i" "$work/bob.png" --gallery "$people" >"$work/enroll$i" 2>&1 & eval "e$i=$!"; done
bad=0
for i in 1 2 3 4 5; do eval "wait \$e$i" || { bad=1; cat "$work/enroll$i"; }; done
[ $bad = 0 ] && [ "$(build/bin/mien list --gallery "$people" | grep -c 'Extra [1-5]')" = 5 ]; check 'five enrolments at a time beside them'
mien backup "$work/backup.db"
mien forget Hanna --yes
all_say '(nobody)'; check 'forgotten'
mien enroll Anna "$work/ann.png"
all_say Anna; check 'enrolled again'
mv "$people" "$work/away.db"
told() { [ "$(cat "$work"/err? | grep -c "$1")" = $n ]; }
for w in $(seq 100); do told 'file is gone' && break; sleep 0.1; done
all_say Anna; check 'taken away: who was known stays known'
cp "$work/backup.db" "$people.new" && mv "$people.new" "$people"
all_say Hanna; check 'a backup in its place'
kill -0 $pids; check 'all four still run'
kill $pids
wait
told 'file is gone'; check 'each said once that the file was gone'
build/bin/mien check --gallery "$people" >/dev/null; check 'the gallery is sound'
exit $rc
