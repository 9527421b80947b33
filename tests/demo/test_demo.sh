#!/bin/sh
# The demo, whole: its clip is made, people are enrolled from one picture each, and on every frame every name must lie on the
# right face (check_names.py). Then the quickstart, command by command, on what the demo has left.
: "${MIEN_BUILD:=$PWD/build}"
out=$TMPDIR/demo
failed=0

report() { # NAME STATUS LOG
    if [ "$2" = 0 ]; then echo "ok $1"; else echo "not ok $1"; sed 's/^/# /' "$3"; failed=1; fi
}

# The clip of make demo serves, if it is as new as its description.
mkdir -p "$out"
made=$MIEN_BUILD/demo/clip.mp4
if [ -f "$made" ] && [ "$made" -nt tests/demo/scenes.tsv ] && [ "$made" -nt tests/demo/demo.sh ]; then cp -p "$made" "$out/"; fi

DEMO_OUT=$out sh tests/demo/demo.sh >"$TMPDIR/log" 2>&1
report "make demo's last step" $? "$TMPDIR/log"
for f in annotated.mp4 appearances.jsonl contact-sheet.png spoof.mp4 spoof.jsonl restyled.mp4 restyled-sheet.png; do
    [ -s "$out/$f" ]
    report "the demo leaves $f" $? /dev/null
done
# who is held up as a photograph has a name without liveness, and never with it
grep -q '"event":"leave".*"status":"known"' "$out/spoof-believed.jsonl" && grep -q '"event":"leave".*"status":"spoof"' "$out/spoof.jsonl" &&
    ! grep -q '"status":"\(known\|unrecognised\)"' "$out/spoof.jsonl" && grep -q '^A spoof: .* spoof with liveness=require' "$TMPDIR/log"
report "the demo refuses a spoof" $? "$TMPDIR/log"
for step in detect align encode search iterate; do
    grep -Eq "^  $step +[0-9]+ +[0-9.]+ +[0-9.]+$" "$TMPDIR/log"
    report "the demo tells the time of $step" $? "$TMPDIR/log"
done

"$MIEN_BUILD/bin/ffmpeg" -nostdin -v error -i "$out/clip.mp4" \
    -vf "facetag=gallery=$out/people.db,metadata=print:file=$TMPDIR/tags" -f null - >"$TMPDIR/log" 2>&1
report "facetag runs over the clip" $? "$TMPDIR/log"
python3 tests/demo/check_names.py <"$TMPDIR/tags" || failed=1

# The first two scenes show both people whom the page enrols.
mkdir -p "$TMPDIR/short"
cp -r "$out/people" "$TMPDIR/short/"
"$MIEN_BUILD/bin/ffmpeg" -nostdin -v error -i "$out/clip.mp4" -frames:v 180 -c copy "$TMPDIR/short/clip.mp4" >"$TMPDIR/log" 2>&1
report "a shorter clip for the quickstart" $? "$TMPDIR/log"
sh tests/docs/run_page.sh docs/quickstart.md "$TMPDIR/short" || failed=1
exit $failed
