#!/bin/sh
# mien cluster, assign, forget --stranger: strangers of pictures and of a video are known again, named, forgotten.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo
g=$work/g.db

t "neither files nor --list" 2 "$mien" cluster -g "$g"
err_has "give pictures or videos, or --list"
t "a list of no gallery" 2 "$mien" cluster --list -g "$g"
t "assign no number" 2 "$mien" assign seven Ann -g "$g"
err_has "'seven' is no stranger's number"
t "assign no name" 2 "$mien" assign 7 " Ann" -g "$g"
err_has "cannot be a name"
t "forget two things at once" 2 "$mien" forget Ann --stranger 1 -g "$g" --yes
err_has "give a NAME"

if [ ! -e "$MIEN_MODELS/manifest.json" ] || [ ! -e "$demo/sample3.jpg" ] || ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok everything else # SKIP the networks, the photographs or ffmpeg are not there"
    t_end
fi
ff() { ffmpeg -v error -nostdin -y "$@"; }
ff -i "$demo/sample3.jpg" -vf crop=420:500:970:160 "$work/a.png"
ff -i "$work/a.png" -vf hflip,scale=260:-1 "$work/a2.png"
ff -i "$demo/sample6.jpg" -vf crop=440:480:580:260 "$work/b.png"
ff -loop 1 -r 25 -i "$work/a.png" -filter_complex "color=gray:s=640x360:r=25[s];[0]scale=168:200[a];[s][a]overlay=x=100+4*n:y=60,format=yuv420p" \
    -frames:v 30 -c:v mjpeg -q:v 3 "$work/a.mkv"

t "two strangers" 0 "$mien" cluster "$work/a.png" "$work/b.png" -g "$g" --json
json_is new 2
json_is sightings.0.stranger 1
t "one of them again" 0 "$mien" cluster "$work/a2.png" -g "$g"
out_has "stranger 1 again"
t "and in a video" 0 "$mien" cluster "$work/a.mkv" -g "$g" --json
json_is seen 1
json_is sightings.0.stranger 1
json_is sightings.0.new false
t "list" 0 "$mien" cluster --list -g "$g" --json
json_is 1.stranger 2
json_is 1.samples 1
t "they are nobody's names" 1 "$mien" identify "$work/a2.png" -g "$g"
out_has unrecognised
t "assign" 0 "$mien" assign 1 "Ann Miller" -g "$g"
out_has "stranger 1 is 'Ann Miller'"
t "she is named" 0 "$mien" identify "$work/a2.png" -g "$g"
out_has "Ann Miller"
t "and no stranger any more" 0 "$mien" cluster "$work/a2.png" "$work/a.mkv" -g "$g" --json
json_is seen 0
json_is enrolled 2
t "ignored people are no strangers either" 0 "$mien" ignore "Ann Miller" -g "$g"
t "with her ignored" 0 "$mien" cluster "$work/a2.png" "$work/a.mkv" -g "$g" --json
json_is seen 0
t "assign nobody" 2 "$mien" assign 1 X -g "$g"
err_has "there is no stranger 1"
t "forget needs a yes" 2 "$mien" forget --stranger 2 -g "$g"
t "forget a stranger" 0 "$mien" forget --stranger 2 -g "$g" --yes --json
json_is proven true
json_is samples 1
t "a stranger once more" 0 "$mien" cluster "$work/b.png" -g "$g" --json
json_is sightings.0.stranger 3
t "none is a day old" 0 "$mien" forget --strangers-unseen 1 -g "$g" --yes --json
json_is samples 0
t "forget all" 0 "$mien" forget --strangers-unseen 0 -g "$g" --yes --json
json_is samples 1
json_is proven true
t "nothing is left" 0 "$mien" cluster --list -g "$g"
out_has "no strangers are kept"
t "sound" 0 "$mien" check -g "$g"
t_end
