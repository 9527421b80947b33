#!/bin/sh
# facetag goes by the gallery's calibration where no threshold is set, says so, and warns when the gallery has outgrown it.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"
run() { V=verbose ff -i "$clip" -vf "$1,metadata=print:file=$work/tags.meta" -f null - 2>"$work/err"; lines <"$work/tags.meta" >"$work/out"; }
sql() { python3 -c 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()' "$gallery" "$1"; }

run "$f" && grep -q "Threshold 0.4600 (cosine), margin 0.0500: the encoder's own" "$work/err"
check 'an uncalibrated gallery: the encoder'
build/bin/mien calibrate --quiet --gallery "$gallery" >"$work/calibrate"
check 'calibrate'
run "$f" && grep -q "Threshold 0\.[0-9]* (cosine), margin 0.0500: the gallery's calibration of .* FPIR of 0.003 among 2 people" "$work/err" &&
    ! grep -q "has outgrown" "$work/err" && grep -q ' known .* Ann' "$work/out" && grep -q ' known .* Bob' "$work/out"
check 'a calibrated gallery'
run "$f:threshold=0.5" && grep -q "Threshold 0.5000 (cosine), margin 0.0500: the option" "$work/err"
check 'the option goes first'
sql "UPDATE calibration SET threshold = 0.97, verify_threshold = 0.3"
run "$f" && grep -q "Threshold 1.0000" "$work/err" && ! grep -q ' known ' "$work/out"
check 'a threshold that nobody reaches'
run "$f:mode=verify:claim=$ann" && grep -q "Threshold 0.3000" "$work/err" && grep -q ' known .* Ann' "$work/out"
check 'verify has a threshold of its own'
run "sendcmd=c='0 facetag threshold 0.4;1.1 facetag threshold 0',$f" && grep -q ' known .* Ann' "$work/out" && ! grep -q ' known .* Bob' "$work/out"
check 'command threshold 0: back to the calibration'
sql "UPDATE calibration SET threshold = 0.4, margin = 1.9"
run "$f" && ! grep -q ' known ' "$work/out"
check 'a lead that nobody has'
sql "UPDATE calibration SET margin = 0.05, n_people = 1"
run "$f" && [ "$(grep -c "has outgrown its calibration, which is for 1 people; 2 can be named now" "$work/err")" = 1 ]
check 'a gallery that has outgrown its calibration'
exit $rc
