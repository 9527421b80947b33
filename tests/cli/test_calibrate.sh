#!/bin/sh
# calibrate and evaluate identification on templates that are nobody's, and what other commands make of a calibration; with the networks
# and photographs of `make models` at hand, also on pictures.
. tests/cli/lib.sh
g=$work/g.db
python3 tests/cli/identification.py make "$work" || exit 1
M() {
    M_command=$1
    shift
    "$mien" "$M_command" --gallery "$g" "$@"
}

# ---- evaluate identification, against brute force
set -- --gallery-list "$work/g.st" --probe-list "$work/p.st" --impostor-list "$work/x.st"
t "evaluate identification" 0 "$mien" evaluate identification "$@" --json --plot "$work/plot.svg"
is "says what brute force says" python3 tests/cli/identification.py check "$out" "$work/expected.json"
is "draws a picture" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/plot.svg"
json_is points.0.shown true
json_is points.3.shown false
json_is strangers 90
t "evaluate identification as text" 0 "$mien" evaluate identification "$@"
out_has "too few strangers to tell"
t "a list is missing" 2 "$mien" evaluate identification --gallery-list "$work/g.st"
err_has "are needed"
t "a probe who is not enrolled" 2 "$mien" evaluate identification --gallery-list "$work/g.st" --probe-list "$work/x.st" --impostor-list "$work/x.st"
err_has "is a probe, but not enrolled"
t "an impostor who is enrolled" 2 "$mien" evaluate identification --gallery-list "$work/g.st" --probe-list "$work/p.st" --impostor-list "$work/p.st"
err_has "is an impostor, but enrolled"
t "embeddings of another length" 2 "$mien" evaluate identification --gallery-list "$work/g.st" --probe-list "$work/p.st" --impostor-list "$work/x8.st"
err_has "have 8 numbers"
t "nobody in it" 2 "$mien" evaluate identification --gallery-list "$work/g.st" --probe-list "$work/none.st" --impostor-list "$work/x.st"
err_has "there is nobody in it"
printf 'Ann\n' >"$work/list"
t "embeddings and a list" 2 "$mien" evaluate identification --gallery-list "$work/list" --probe-list "$work/p.st" --impostor-list "$work/x.st"
err_has "must be of one kind"

# ---- calibrate
t "no gallery" 2 M calibrate
err_has "there is no such gallery"
M import "$work/unknown.json" >/dev/null
t "an unknown encoder without strangers" 1 M calibrate
err_has "nothing is published about the encoder test"
t "and with too few" 1 M calibrate --impostors "$work/x.st"
err_has "fewer; give more"
t "measured" 0 M calibrate --impostors "$work/x.st" --fpir 0.1 --json
json_is basis strangers
json_is strangers 90
json_is people 40
json_is stored true
is "keeps to the rate" python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
assert 0.05 < j["fpir"] <= 0.1 and j["fpir_low"] < j["fpir"] < j["fpir_high"], j
assert abs(j["threshold"] ** 2 - (2 - 2 * j["threshold_similarity"])) < 1e-5 and j["verify_threshold_similarity"] < j["threshold_similarity"]
assert j["fnir_low"] <= j["fnir"] <= j["fnir_high"] and 0.03 < j["fpir_closed_form"] < 0.3, j' "$out"
t "embeddings of another length" 2 M calibrate --impostors "$work/x8.st"
err_has "its embeddings have 8 numbers, the gallery's templates 16"
t "embeddings that are none" 2 M calibrate --impostors "$work/nan.st"
err_has "is not finite"
t "no embeddings" 2 M calibrate --impostors "$work/none.st"
err_has "there is no face in it"
for bad in "$work"/bad-*; do
    t "impostors: ${bad##*/}" 2 M calibrate --impostors "$bad"
    err_lines 1
done
t "a rate that is none" 2 M calibrate --fpir 1.5
t "no such impostors" 2 M calibrate --impostors "$work/nobody"

g=$work/known.db
M import "$work/known.json" >/dev/null
t "stats before" 0 M stats
out_has "threshold the encoder's own"
t "a dry run" 0 M calibrate --dry-run
out_has "not stored"
out_has "the published statistics of mobileface128"
t "stores nothing" 0 M stats --json
json_is calibration.calibrated false
t "published" 0 M calibrate --json
json_is basis published
json_is strangers 0
json_is fpir null
is "comes to the rate by the closed form" python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
f = 1 - (1 - j["fmr_published"]) ** j["templates"]
assert abs(f - j["fpir_closed_form"]) < 1e-6 and 0.0029 < f <= 0.003, (f, j)' "$out"
t "strangers refute what is published" 0 M calibrate --impostors "$work/x.st" --plot "$work/plot.svg"
is "draws a picture" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/plot.svg"
out_has "do not hold here"
t "stats" 0 M stats --json
json_is calibration.people 40
json_is calibration.covers true
t "check" 0 M check
out_has sound
t "backup" 0 M backup "$work/backup.db"
t "the copy is calibrated" 0 "$mien" stats --gallery "$work/backup.db" --json
json_is calibration.calibrated true
M import "$work/more.json" >/dev/null
t "a gallery that has grown" 0 M stats
out_has "100 people can be named"
t "and as JSON" 0 M stats --json
json_is calibration.covers false
json_is calibration.people_now 100
M calibrate >/dev/null
t "calibrated again" 0 M stats --json
json_is calibration.covers true
json_is calibration.people 100
t "a reader's gallery" 0 M calibrate --dry-run --fpir 0.01
chmod 400 "$g"
if [ "$(id -u)" != 0 ]; then t "a gallery that may not be written" 2 M calibrate; fi
chmod 600 "$g"

# ---- pictures
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo
if [ ! -e "$MIEN_MODELS/manifest.json" ] || [ ! -e "$demo/sample1.jpg" ] || ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok pictures # SKIP the networks, the photographs or ffmpeg are not there; 'make models' fetches the first two"
    t_end
fi
for i in 1 2 3; do ffmpeg -v error -i "$demo/sample$i.jpg" -vf scale=400:-2 "$work/sample$i.jpg"; done
demo=$work
g=$work/pictures.db
M enroll --largest Ann "$demo/sample1.jpg" >/dev/null
t "identify before" 1 M identify "$demo/sample1.jpg" --json
json_is threshold_source encoder
mkdir "$work/strangers" && cp "$demo/sample2.jpg" "$demo/sample3.jpg" "$work/strangers/"
t "strangers as pictures" 0 M calibrate --impostors "$work/strangers" --json
json_is basis published
json_is people 1
is "counts several strangers" python3 -c 'import json, sys; assert json.load(open(sys.argv[1]))["strangers"] >= 2' "$out"
t "identify by the calibration" 1 M identify "$demo/sample1.jpg" --json --verbose
err_has ", from the calibration of 2"
json_is threshold_source calibration
json_is calibrated_people 1
t "identify by an option" 1 M identify "$demo/sample1.jpg" --json --threshold 0.0001
json_is threshold_source option
t "verify by the calibration" 0 M verify --claim Ann --largest "$demo/sample1.jpg" --json
json_is threshold_source calibration
t "verify two pictures" 0 M verify --largest "$demo/sample1.jpg" "$demo/sample1.jpg" --json
json_is threshold_source encoder
M enroll --largest Bob "$demo/sample2.jpg" >/dev/null
t "identify warns" 1 M identify "$demo/sample1.jpg"
err_has "2 people can be named, the calibration of"
printf 'Ann\t%s\n' sample1.jpg >"$work/g.tsv"
printf 'Ann %s\n# nobody\n\n' sample1.jpg >"$work/p.tsv"
printf 'X\tsample2.jpg\nY\tsample3.jpg\n' >"$work/x.tsv"
t "evaluate identification on pictures" 0 "$mien" evaluate identification --gallery-list "$work/g.tsv" --probe-list "$work/p.tsv" \
    --impostor-list "$work/x.tsv" --root "$demo" --json
json_is mated_searches 1
json_is rank1 1.0
printf 'Ann\tsample1.jpg\0\n' >"$work/nul"
t "a list with a NUL" 2 "$mien" evaluate identification --gallery-list "$work/nul" --probe-list "$work/p.tsv" --impostor-list "$work/x.tsv"
err_has "neither a text file nor safetensors"
: >"$work/empty"
t "an empty list" 2 "$mien" evaluate identification --gallery-list "$work/empty" --probe-list "$work/p.tsv" --impostor-list "$work/x.tsv"
err_has "there is nobody in it"
printf 'Ann\tnothing.jpg\n' >"$work/gone"
t "a picture that is not there" 2 "$mien" evaluate identification --gallery-list "$work/gone" --probe-list "$work/p.tsv" --impostor-list "$work/x.tsv"
err_has "nothing.jpg"
t "a line that is none" 2 "$mien" evaluate identification --gallery-list "$work/list" --probe-list "$work/p.tsv" --impostor-list "$work/x.tsv"
err_has "line 1: a person and a picture are wanted"
t_end
