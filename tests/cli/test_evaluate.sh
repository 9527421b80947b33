#!/bin/sh
# mien evaluate detection and evaluate video: answers that are known, and files that say nothing.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo

# ---- a log against a truth, without networks
cat >"$work/log.jsonl" <<'END'
{"event":"enter","track":1,"status":"known","name":"Ann","id":1,"last_s":1.5,"box":[10,10,40,40]}
{"event":"enter","track":2,"status":"unrecognised","name":null,"id":null,"last_s":2,"box":[300,10,40,40]}
{"event":"update","track":2,"status":"known","name":"Bob","id":2,"last_s":3,"box":[300,10,40,40]}
{"event":"retract","track":2,"status":"unrecognised","name":null,"id":null,"was":"Bob","was_id":2,"last_s":4,"box":[300,10,40,40]}
{"event":"leave","track":1,"status":"known","name":"Ann","id":1,"last_s":9,"box":[10,10,40,40]}
{"event":"leave","track":2,"status":"unrecognised","name":null,"id":null,"last_s":9,"box":[300,10,40,40]}
END
printf '# who\tfrom\tto\nAnn\t1\t9\nCyd\t2\t4\n' >"$work/truth.tsv"
t "video, by a log" 0 "$mien" evaluate video --truth "$work/truth.tsv" --log "$work/log.jsonl" --duration 36 --json --plot "$work/v.svg"
json_is appearances 2
json_is appearances_named 1
json_is identification_rate 0.5
json_is time_to_name_mean_s 0.5
json_is names_wrong 1
json_is names_wrong_per_hour 100.0
json_is names_retracted 1
json_is identity_switches 0
json_is wrong.0.name Bob
is "a plot" grep -q '</svg>' "$work/v.svg"
t "video, in words" 0 "$mien" evaluate video --truth "$work/truth.tsv" --log "$work/log.jsonl"
out_has "missed: Cyd from 2.00 to 4.00 s"
out_has "wrong: Bob on track 2 from 3.00 to 4.00 s"
printf '{"name":"Ann","first_s":1,"last_s":9,"region":[200,0,300,200]}\n' >"$work/truth.jsonl"
t "a region that the face is not in" 0 "$mien" evaluate video --truth "$work/truth.jsonl" --log "$work/log.jsonl" --json
json_is appearances_named 0
json_is names_wrong 2
for line in 'Ann\t1' 'Ann\tone\ttwo' 'Ann\t5\t4' 'Ann\t1\t2\t3' '{"name":3,"first_s":1,"last_s":2}' '{"name":"A","first_s":1,"last_s":2,"region":[1]}' '{"name":' '\t1\t2'; do
    printf "$line\n" >"$work/bad.tsv"
    t "truth: $line" 2 "$mien" evaluate video --truth "$work/bad.tsv" --log "$work/log.jsonl"
    err_has "line 1"
done
for line in '[]' '{"event":"enter","track":1}' '{"event":"come","track":1,"name":null,"last_s":1,"box":[1,1,1,1]}' '{"event":"enter","track":1,"name":null,"last_s":null,"box":[1,1,1,1]}' 'x'; do
    printf '%s\n' "$line" >"$work/bad.jsonl"
    t "log: $line" 2 "$mien" evaluate video --truth "$work/truth.tsv" --log "$work/bad.jsonl"
    err_has "line 1"
done
t "no truth" 2 "$mien" evaluate video x.mp4
err_has "--truth FILE is needed"
t "neither video nor log" 2 "$mien" evaluate video --truth "$work/truth.tsv"
err_has "give a VIDEO"
t "no boxes" 2 "$mien" evaluate detection
err_has "--boxes FILE is needed"
for line in 'a.jpg 1 2 3' 'a.jpg 1 2 3 4 5' 'a.jpg 1 2 3 x' 'a.jpg 1 2 0 4' 'a.jpg 1 2 nan 4'; do
    printf '%s\n' "$line" >"$work/bad.tsv"
    t "boxes: $line" 2 "$mien" evaluate detection --boxes "$work/bad.tsv"
    err_has "line 1"
done
printf 'a.jpg\n' >"$work/bad.tsv"
t "boxes without a face" 2 "$mien" evaluate detection --boxes "$work/bad.tsv"
err_has "there are no faces"
printf 'a.jpg 1 2 3 4\nb.jpg\na.jpg 5 6 7 8\n' >"$work/bad.tsv"
t "boxes of a picture apart" 2 "$mien" evaluate detection --boxes "$work/bad.tsv"
err_has "'a.jpg' do not stand together"

if [ ! -e "$MIEN_MODELS/manifest.json" ] || [ ! -e "$demo/sample3.jpg" ] || ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok everything else # SKIP the networks, the photographs or ffmpeg are not there"
    t_end
fi

# ---- detection: what the plain pass finds is the truth; then a face more, one at another place, and one too small to count
t "what is there" 0 "$mien" detect "$demo/sample3.jpg" --json
python3 - "$out" "$work" <<'END'
import json, sys
faces = json.load(open(sys.argv[1]))[0]["faces"]
rows = [["sample3.jpg"] + [str(f["box_px"][k]) for k in "xywh"] for f in faces]
assert len(rows) == 3, rows
def write(name, rows):
    open(f"{sys.argv[2]}/{name}", "w").writelines("\t".join(r) + "\n" for r in rows)
write("three.tsv", rows)
write("four.tsv", rows + [["sample3.jpg", "5", "5", "30", "30"]])
write("moved.tsv", rows[:2] + [["sample3.jpg", "5", "5", "200", "250"]])
END
t "all are found" 0 "$mien" evaluate detection --boxes "$work/three.tsv" --root "$demo" --size 640 --min-prob 0.7 --json --plot "$work/d.svg"
json_is average_precision 1.0
json_is recall 1.0
is "a plot" grep -q '</svg>' "$work/d.svg"
t "one is missed" 0 "$mien" evaluate detection --boxes "$work/four.tsv" --root "$demo" --size 640 --min-prob 0.7 --json
json_is average_precision 0.75
t "a small one does not count" 0 "$mien" evaluate detection --boxes "$work/four.tsv" --root "$demo" --size 640 --min-prob 0.7 --min-face 40 --json
json_is average_precision 1.0
json_is faces_left_out 1
t "one is elsewhere" 0 "$mien" evaluate detection --boxes "$work/moved.tsv" --root "$demo" --size 640 --min-prob 0.7
out_has "recall 0.6667"
t "a picture is missing" 2 "$mien" evaluate detection --boxes "$work/three.tsv" --root "$work"
err_has "nothing is evaluated"

# ---- video: Ann from the first frame on, gone after a second
ff() { ffmpeg -v error -nostdin -y "$@"; }
ff -i "$demo/sample3.jpg" -vf crop=420:500:970:160 "$work/ann.png" && "$mien" enroll Ann "$work/ann.png" -g "$work/g.db" >/dev/null 2>&1
ff -loop 1 -r 25 -i "$demo/sample3.jpg" -filter_complex "[0]scale=768:540,crop=640:360:x='100-2*n':y='n',trim=end_frame=25[a];color=gray:s=640x360:r=25,trim=end_frame=5[b];[a][b]concat,format=yuv420p" \
    -c:v mjpeg -q:v 3 "$work/clip.mkv"
printf 'Ann\t0\t1\n' >"$work/truth.tsv"
t "video, watched" 0 "$mien" evaluate video --truth "$work/truth.tsv" -g "$work/g.db" "$work/clip.mkv" --json
json_is appearances_named 1
json_is names_wrong 0
json_is time_to_name_most_s 0.0
t "video, no name within reach" 0 "$mien" evaluate video --truth "$work/truth.tsv" -g "$work/g.db" "$work/clip.mkv" --threshold 0.001 --json
json_is appearances_named 0
t "no video" 2 "$mien" evaluate video --truth "$work/truth.tsv" -g "$work/g.db" "$work/none.mkv"
t_end
