#!/bin/sh
# Commands that look at pictures, on the photographs of the npm package (build/cache, from `make models`) and on bad files:
# detect, embed, enroll, identify, verify, evaluate pairs, model show and check, bench, cpu, selftest.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo

# ---- without networks
t "no models folder" 2 "$mien" detect README.md --models "$work/none"
err_has "$work/none"

if [ ! -e "$MIEN_MODELS/manifest.json" ] || [ ! -e "$demo/sample1.jpg" ]; then
    echo "ok everything else # SKIP the networks or the photographs are not there; 'make models' fetches them"
    t_end
fi
if ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok everything else # SKIP ffmpeg is not installed"
    t_end
fi
g=$work/g.db

# ---- networks
t "bench" 0 "$mien" bench --runs 2 rfb320 landmark68 --json
is "two networks with their times" python3 -c 'import json, sys
m = json.load(open(sys.argv[1]))["models"]
assert [x["model"] for x in m] == ["rfb320", "landmark68"] and all(0 < x["least_ms"] <= x["median_ms"] <= x["most_ms"] for x in m), m' "$out"
t "bench of no such network" 2 "$mien" bench nobody
err_has "there is no model 'nobody'"
t "bench of no size" 2 "$mien" bench --size 640
err_has "not '640'"
t "cpu" 0 env MIEN_CPU=c "$mien" cpu
out_has "kernels: c"
t "selftest" 0 "$mien" selftest
out_has ", 0 failed"
t "model list" 0 "$mien" model list --json
json_is models.0.role face-detector
t "model check" 0 "$mien" model check
out_lacks BAD
t "model show" 0 "$mien" model show mobileface128 --json
out_has '"encoder.dim":'
t "model show, memory" 0 "$mien" model show face-detector --memory 640x480
out_has "640x480"
out_has "with the gradient of the input"
t "model show, memory of stylenet" 0 "$mien" model show core/models/stylenet.safetensors --memory 640x360 --json
out_has '"memory_backward_input_bytes":'
t "model show of nothing" 2 "$mien" model show nothing
cp "$MIEN_MODELS"/face-landmarks-*.safetensors "$work/cut.safetensors"
truncate -s 100000 "$work/cut.safetensors"
t "model check of a cut file" 2 "$mien" model check "$work/cut.safetensors"
mkdir "$work/models" && cp "$MIEN_MODELS"/* "$work/models/"
for f in "$work"/models/face-detector-*; do printf 'x' | dd of="$f" bs=1 seek=200000 conv=notrunc 2>/dev/null; done
t "model check of a changed file" 2 "$mien" model check --models "$work/models"
err_has "SHA-256"
t "selftest with a changed file" 1 "$mien" selftest --models "$work/models"

# ---- detect; two single faces and a group for what follows
t "detect" 0 "$mien" detect "$demo/sample1.jpg" --json --show "$work/numbered.png"
json_is 0.width_px "$(ffprobe -v error -show_entries stream=width -of csv=p=0 "$demo/sample1.jpg")"
is "the numbered picture is one" ffprobe -v error "$work/numbered.png"
python3 - "$out" >"$work/crops" <<'END'
import json, sys
for f in json.load(open(sys.argv[1]))[0]["faces"]:
    if f["certain"]:
        b = f["box_px"]
        m = 0.45 * max(b["w"], b["h"])
        print("%d:%d:%d:%d" % (b["w"] + 2 * m, b["h"] + 2 * m, max(0, b["x"] - m), max(0, b["y"] - m)))
END
n=0
while read -r c; do
    n=$((n + 1))
    ffmpeg -v error -nostdin -y -i "$demo/sample1.jpg" -vf "crop=$c" -q:v 2 "$work/p$n.jpg"
done <"$work/crops"
is "certain faces in the group" [ "$n" -ge 2 ]
a=$work/p1.jpg b=$work/p2.jpg
ffmpeg -v error -nostdin -y -i "$a" -vf "scale=iw*0.8:-2,eq=brightness=0.06" -q:v 4 "$work/a2.jpg"
a2=$work/a2.jpg

# ---- bad pictures: a sentence with the file and the cause, never half a picture
head -c 4000 "$a" >"$work/cut.jpg"
echo "just text" >"$work/text.jpg"
: >"$work/empty.jpg"
printf 'ffconcat version 1.0\nfile %s\n' p1.jpg >"$work/list.jpg"
mkfifo "$work/pipe.jpg"
ffmpeg -v error -nostdin -y -f lavfi -i color=gray:s=640x480 -frames:v 1 "$work/grey.png"
ffmpeg -v error -nostdin -y -i "$work/grey.png" -vf scale=1:1 "$work/one.png"
for f in cut.jpg text.jpg empty.jpg list.jpg pipe.jpg missing.jpg; do
    t "detect $f" 2 timeout 20 "$mien" detect "$work/$f"
    err_has "$work/$f: "
    err_lines 1
    t "enroll $f" 2 timeout 20 "$mien" enroll -g "$g" Bad "$work/$f"
    err_has "$f"
done
t "detect 1x1" 1 "$mien" detect "$work/one.png"
t "detect grey" 1 "$mien" detect "$work/grey.png" --json
json_is 0.faces 0
t "enroll grey" 1 "$mien" enroll -g "$g" Bad "$work/grey.png"
err_has "no face found in 640x480 pixels"
t "enroll an empty folder" 2 sh -c 'mkdir "$2/empty"; "$0" enroll -g "$1" Bad "$2/empty"' "$mien" "$g" "$work"
err_has "no picture or video in this folder"
t "nobody came in" 0 "$mien" stats -g "$g" --json
json_is people 0
t "--show must be a picture" 2 "$mien" detect "$a" --show "$work/x.txt"

# ---- enroll
t "enroll a group" 1 "$mien" enroll -g "$g" Ada "$demo/sample1.jpg" --show "$work/group.png"
err_has "which one?"
err_has "  1: "
is "the numbered picture is there" [ -s "$work/group.png" ]
t "enroll a group, JSON" 1 "$mien" enroll -g "$g" Ada "$demo/sample1.jpg" --json
json_is results.0.status refused
t "enroll a face that is not there" 1 "$mien" enroll -g "$g" Ada "$demo/sample1.jpg" --face 99
err_has "there is no face 99"
t "enroll" 0 "$mien" enroll -g "$g" Ada "$a" --json
json_is enrolled 1
t "the same again" 0 "$mien" enroll -g "$g" Ada "$a" --json
json_is there_already 1
t "enroll another" 0 "$mien" enroll -g "$g" Bea "$b"
t "a look-alike is told" 0 "$mien" enroll -g "$g" Cora "$a2"
err_has "looks like 'Ada'"
t "merge them" 0 "$mien" merge -g "$g" Cora Ada
ffmpeg -v error -nostdin -y -i "$a" -vf "scale=48:-2" -q:v 2 "$work/small.jpg"
t "too small" 1 "$mien" enroll -g "$g" Ada "$work/small.jpg"
ffmpeg -v error -nostdin -y -i "$a" -vf "gblur=sigma=9" -q:v 2 "$work/blur.jpg"
t "too blurred, or no face" 1 "$mien" enroll -g "$g" Ada "$work/blur.jpg" --min-sharpness 100
mkdir "$work/dir" "$work/dir/sub" && cp "$b" "$work/dir/it's 100%d.jpg" && cp "$a2" "$work/dir/sub/$(printf 'new\nline.jpg')" && echo x >"$work/dir/notes.txt"
t "a folder with odd names" 0 "$mien" enroll -g "$g" Folder "$work/dir" --json
json_is enrolled 2
t "another encoder" 2 "$mien" enroll -g "$g" Ada "$b" --encoder dlib128
err_has "belongs to the encoder mobileface128"
t "the names' limits" 2 "$mien" enroll -g "$g" "$(printf '%0256d' 0)" "$a"
t "a name of 255 bytes" 0 "$mien" enroll -g "$g" "$(printf '%0255d' 0)" "$b"
t "forget that" 0 "$mien" forget -g "$g" --yes "$(printf '%0255d' 0)"
t "forget the folder" 0 "$mien" forget -g "$g" --yes Folder
ffmpeg -v error -nostdin -y -loop 1 -i "$a" -vf "scale=320:-2,rotate=0.08*sin(t*3):c=gray" -t 3 -r 10 -pix_fmt yuv420p "$work/v.mp4"
t "a video" 0 "$mien" enroll -g "$g" Vid "$work/v.mp4" --json
json_is refused 0
t "the video again" 0 "$mien" enroll -g "$g" Vid "$work/v.mp4" --json
json_is enrolled 0
t "--face on a video" 1 "$mien" enroll -g "$g" Vid "$work/v.mp4" --face 1
t "forget the video" 0 "$mien" forget -g "$g" --yes Vid

# ---- identify, verify
t "identify" 0 "$mien" identify -g "$g" "$a2" --json
json_is pictures.0.faces.0.name Ada
t "identify the group" 1 "$mien" identify -g "$g" "$demo/sample2.jpg"
out_has unrecognised
t "identify with a tiny threshold" 1 "$mien" identify -g "$g" "$demo/sample3.jpg" --threshold 0.0001 --top 5 --json
t "identify, and why" 0 "$mien" identify -g "$g" "$a2" --json --explain --top 1
json_is pictures.0.faces.0.explain.reason named
json_is pictures.0.faces.0.explain.threshold_from encoder
json_is pictures.0.faces.0.candidates 1
t "and why not" 1 "$mien" identify -g "$g" "$demo/sample2.jpg" --explain --threshold 0.0001
out_has "why: the nearest person is below the threshold"
out_has "threshold 0.0001 (--threshold)"
t "an ignored person" 0 "$mien" ignore -g "$g" Ada
t "is not named" 1 "$mien" identify -g "$g" "$a" --explain
out_lacks ": Ada  ("
out_has "why: the nearest person is on the ignore list"
t "until it is taken back" 0 "$mien" ignore -g "$g" Ada --off
t "verify the same" 0 "$mien" verify "$a" "$a2" --json
json_is match true
t "verify others" 1 "$mien" verify "$a" "$b"
out_has "no match"
t "verify a group" 2 "$mien" verify "$a" "$demo/sample1.jpg"
err_has "which one?"
t "verify a group's face" 0 "$mien" verify "$a" "$demo/sample1.jpg" --face-a 1 --largest --threshold 2
t "verify a claim" 0 "$mien" verify -g "$g" --claim Ada "$a2"
t "a wrong claim" 1 "$mien" verify -g "$g" --claim Bea "$a2"
t "an unknown claim" 2 "$mien" verify -g "$g" --claim Ad "$a2"
err_has "did you mean 'Ada'?"
t "one picture alone" 2 "$mien" verify "$a"
t "no face to verify" 2 "$mien" verify "$a" "$work/grey.png"
err_has "no face found"

# ---- embed: repeats, has length 1, is what verify compares
t "embed" 0 "$mien" embed "$a" --largest
cp "$out" "$work/e1"
t "embed with more threads" 0 "$mien" embed "$a" --largest --threads 2
is "the same numbers to 1e-5" python3 - "$work/e1" "$out" <<'END'
import sys
r = [[float(x) for x in open(p).readline().rstrip("\n").split("\t")[2:]] for p in sys.argv[1:]]
assert len(r[0]) == 128 and abs(sum(x * x for x in r[0]) - 1) < 1e-5
assert max(abs(x - y) for x, y in zip(*r)) < 1e-5
END
t "embed to a file" 0 "$mien" embed "$a" "$b" -o "$work/e.safetensors"
is "a safetensors file" [ -s "$work/e.safetensors" ]

# ---- evaluate
mkdir "$work/lfw"
i=0
for s in 1 2 3 4 5 6; do
    "$mien" detect "$demo/sample$s.jpg" --json 2>/dev/null | python3 -c '
import json, sys
for f in json.load(sys.stdin)[0]["faces"]:
    b = f["box_px"]
    m = 0.45 * max(b["w"], b["h"])
    if f["certain"] and b["x"] > m and b["y"] > m and b["w"] > 80:
        print("%d:%d:%d:%d" % (b["w"] + 2 * m, b["h"] + 2 * m, b["x"] - m, b["y"] - m))' >"$work/boxes"
    while read -r c; do
        i=$((i + 1))
        ffmpeg -v error -nostdin -y -i "$demo/sample$s.jpg" -vf "crop=$c" -q:v 2 "$work/lfw/x $i.jpg"
        ffmpeg -v error -nostdin -y -i "$work/lfw/x $i.jpg" -vf "scale=iw*0.85:-2,hflip" -q:v 5 "$work/lfw/y$i.jpg"
    done <"$work/boxes"
done
is "enough faces" [ "$i" -ge 6 ]
k=1
while [ "$k" -le "$i" ]; do
    printf 'x %d.jpg\ty%d.jpg\t1\nx %d.jpg\ty%d.jpg\t0\n' $k $k $k $((k % i + 1))
    k=$((k + 1))
done >"$work/pairs.tsv"
t "evaluate" 0 "$mien" evaluate pairs --pairs "$work/pairs.tsv" --root "$work/lfw" --json --plot "$work/roc.svg" --distances "$work/d.tsv"
json_is pairs $((2 * i))
json_is faces_not_found 0
for key in accuracy_10fold accuracy_10fold_sd accuracy_best tar_at_far_1e-2 tar_at_far_1e-3 threshold_best; do
    is "has $key" grep -q "\"$key\":" "$out"
done
is "numbers follow from the distances" python3 - "$out" "$work/d.tsv" <<'END'
import json, sys
j = json.load(open(sys.argv[1]))
p = [(float(l.split("\t")[3]), l.split("\t")[2] == "1") for l in open(sys.argv[2])]
acc = lambda t: sum((d <= t) == s for d, s in p) / len(p)
best = max(acc(t) for t in [-1] + [d for d, _ in p])
assert abs(best - j["accuracy_best"]) < 1e-5 and abs(acc(j["threshold_best"]) - best) < 1e-5
diff = sorted(d for d, s in p if not s)
same = [d for d, s in p if s]
assert abs(sum(d < diff[int(len(diff) * 0.01)] for d in same) / len(same) - j["tar_at_far_1e-2"]) < 1e-5
assert best > 0.9, best
END
is "the plot is XML" python3 -c 'import sys, xml.dom.minidom as m; m.parse(sys.argv[1])' "$work/roc.svg"
cp "$work/grey.png" "$work/lfw/grey.png"
echo "grey.png,x 1.jpg,0" >>"$work/pairs.tsv"
t "a face that is not found drops no pair" 0 "$mien" evaluate pairs --pairs "$work/pairs.tsv" --root "$work/lfw" --json
json_is faces_not_found 1
json_is pairs $((2 * i + 1))
json_is not_found.0 grey.png
t "text output" 0 "$mien" evaluate pairs -p "$work/pairs.tsv" -r "$work/lfw"
out_has "10-fold accuracy"
t "the second encoder" 0 "$mien" evaluate pairs -p "$work/pairs.tsv" -r "$work/lfw" --encoder dlib128 --json
json_is encoder dlib128
t "no pairs file" 2 "$mien" evaluate pairs
err_has "--pairs FILE is needed"
t "a picture is missing" 2 "$mien" evaluate pairs --pairs "$work/pairs.tsv" --root "$work"
err_has "cannot be read"
printf 'a b 1\na b 2\n' >"$work/bad.txt"
t "a wrong line" 2 "$mien" evaluate pairs --pairs "$work/bad.txt"
err_has "bad.txt: line 2: two picture paths and 1 (same person) or 0 are wanted"
head -1 "$work/pairs.tsv" >"$work/one.tsv"
t "one kind of pair" 2 "$mien" evaluate pairs --pairs "$work/one.tsv" --root "$work/lfw"
err_has "both kinds of pairs"
cp "$work/cut.jpg" "$work/lfw/cut.jpg"
echo "cut.jpg grey.png 0" >"$work/cut.txt"
t "a damaged picture" 2 "$mien" evaluate pairs --pairs "$work/cut.txt" --root "$work/lfw"
err_has "cut.jpg: damaged or cut short"

# ---- interrupted: whole pictures only
mkdir "$work/many"
k=0
while [ $k -lt 300 ]; do
    { cat "$a"; echo $k; } >"$work/many/$k.jpg"
    k=$((k + 1))
done
"$mien" enroll -g "$work/int.db" Many "$work/many" --threads 1 >"$out" 2>"$err" &
pid=$!
k=0
while [ $k -lt 100 ] && [ "$(wc -l <"$out")" -lt 2 ] && kill -0 $pid 2>/dev/null; do
    sleep 0.1
    k=$((k + 1))
done
kill -TERM $pid
wait $pid
rc=$?
t_name="interrupted enrol"
is "ends by the signal" [ $rc = 143 ]
t "what is in is sound" 0 "$mien" check -g "$work/int.db"
t "and whole" 0 "$mien" show -g "$work/int.db" Many --json
is "some pictures, not all" python3 -c 'import json, sys; n = json.load(open(sys.argv[1]))["samples"]; assert 1 <= n < 300, n' "$out"

t_end
