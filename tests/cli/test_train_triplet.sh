#!/bin/sh
# mien train triplet and mien migrate: a few epochs of a ruined encoder on faces of two photographs, twice, in one go and with a break; a
# gallery taken over to the result. How well training works is asked by tests/unit/test_train.c; this is about the commands.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo

t "no output" 2 "$mien" train triplet "$work"
err_has "--out FILE"
t "migrate to nothing" 2 "$mien" migrate "$work/new.db" "$work"
err_has "--encoder"
if [ ! -e "$MIEN_MODELS/manifest.json" ] || [ ! -e "$demo/sample3.jpg" ] || ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok the rest # SKIP the networks, the photographs or ffmpeg are not there"
    t_end
fi

# five people, two pictures each
people=$work/people
n=0
for cut in sample3.jpg:420:500:970:160 sample3.jpg:380:480:500:220 sample6.jpg:440:480:580:260 sample6.jpg:420:480:1060:220 sample6.jpg:420:480:1390:160; do
    n=$((n + 1))
    mkdir -p "$people/p$n"
    ffmpeg -v error -nostdin -y -i "$demo/${cut%%:*}" -filter_complex "crop=${cut#*:},split[a][b];[a]scale=240:-1[c];[b]scale=200:-1,eq=gamma=1.4[d]" \
        -map '[c]' "$people/p$n/1.png" -map '[d]' "$people/p$n/2.png" || bad "pictures"
done
for f in "$MIEN_MODELS"/face-encoder-469b8cde1d36*; do python3 tests/tools/degrade_encoder.py "$f" "$work/ruined.safetensors" conv2d_50 1; done
train() { "$mien" train triplet "$people" --encoder "$work/ruined.safetensors" --holdout 0.4 --batch-people 3 --batch-faces 2 --rate 2e-3 --margin 1 --seed 2 "$@"; }

t "train" 0 train --out "$work/one.safetensors" --epochs 4 --patience 0 --plot "$work/one.svg" --json
json_is faces 10
json_is people 3
json_is people_held_out 2
json_is weights 65664
json_is epochs 5
is "the numbers fit" python3 -c 'import json, sys
j = json.load(open(sys.argv[1]))
e = j["epochs"]
assert 1 <= j["best_epoch"] <= 4 and e[j["best_epoch"]]["held_loss"] == min(x["held_loss"] for x in e) < e[0]["held_loss"], j
assert all(0 <= x["active_random"] <= x["active_hard"] <= 1 for x in e[1:]), e
import hashlib
assert hashlib.sha256(open(j["encoder"], "rb").read()).hexdigest() == j["sha256"] != j["parent"], j' "$out"
is "the plot is XML" python3 -c 'import sys, xml.dom.minidom; xml.dom.minidom.parse(sys.argv[1])' "$work/one.svg"
t "the first half" 0 train --out "$work/two.safetensors" --epochs 2 --patience 0 -q -t 1
t "and the rest" 0 train --out "$work/two.safetensors" --epochs 4 --patience 0 -q --resume
is "the same file as in one go" cmp -s "$work/one.safetensors" "$work/two.safetensors"
t "resume of another training" 2 train --out "$work/two.safetensors" --epochs 4 --seed 9 --resume
err_has "another training"
t "resume of nothing" 2 train --out "$work/three.safetensors" --resume
t "a step too long" 2 train --out "$work/three.safetensors" --epochs 3 --optimiser sgd --rate 1e+2 --margin 4 --triplets hard --layers all
err_has "training: it"
is "nothing is written" test ! -e "$work/three.safetensors"
t "the encoder itself" 0 "$mien" model show "$work/one.safetensors"
out_has "mobileface128-triplet"
out_has "parent"

# ---- refusals
t "no such layer" 2 train --out "$work/x" --layers conv9
err_has "no node 'conv9'"
t "no such augmentation" 2 train --out "$work/x" --augment flip,magic
t "no folders" 2 "$mien" train triplet "$people/p1" --out "$work/x"
err_has "lies in no person's folder"
mkdir "$work/few" && cp -r "$people/p1" "$people/p2" "$work/few/"
t "too few people" 2 "$mien" train triplet "$work/few" --out "$work/x"
err_has "at least four people"

# ---- a gallery taken over
g=$work/g.db
for i in 1 2 3; do "$mien" enroll "Person $i" "$people/p$i/1.png" --gallery "$g" -q || bad enrol; done
"$mien" note "Person 2" --consent "on paper" --gallery "$g" -q
"$mien" ignore "Person 3" --gallery "$g" -q
t "the new encoder does not fit the old gallery" 2 "$mien" identify "$people/p1/2.png" --gallery "$g" --encoder "$work/one.safetensors"
t "migrate" 0 "$mien" migrate "$work/new.db" "$people" --gallery "$g" --encoder "$work/one.safetensors" --json
json_is migrated 3
json_is left_behind 0
t "it is there" 2 "$mien" migrate "$work/new.db" "$people" --gallery "$g" --encoder "$work/one.safetensors"
err_has "is there already"
t "check" 0 "$mien" check --gallery "$work/new.db"
t "list" 0 "$mien" list --gallery "$work/new.db" --json
out_has "on paper"
t "identify" 0 "$mien" identify "$people/p1/1.png" --gallery "$work/new.db" --encoder "$work/one.safetensors" --json
json_is pictures.0.faces.0.name "Person 1"
is "the template is the picture's" python3 -c 'import json, sys
assert json.load(open(sys.argv[1]))["pictures"][0]["faces"][0]["distance"] < 0.01' "$out"
t "without one picture" 1 "$mien" migrate "$work/part.db" "$people/p1" "$people/p3" --gallery "$g" --encoder "$work/one.safetensors"
out_has "Person 2: 1 of 1 samples left behind; this person is not in the new gallery"
t "to the same encoder" 2 "$mien" migrate "$work/none.db" "$people" --gallery "$g" --encoder mobileface128
err_has "of this encoder already"
t_end
