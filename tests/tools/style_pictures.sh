#!/bin/sh
# The picture of docs/style-method.md: what each weight does, a row a weight. Slow (some minutes).
#
#   sh tests/tools/style_pictures.sh CONTENT OUT.jpg     after make; CONTENT: second 2.6 of build/demo/clip.mp4
set -eu
[ $# = 2 ] || { echo "usage: $0 CONTENT OUT.jpg" >&2; exit 2; }
: "${MIEN_BUILD:=$PWD/build}"
export MIEN_MODELS="$MIEN_BUILD/models" MIEN_PRESETS="$PWD/presets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
n=100
row() { # OPTION VALUE…
    option=$1
    shift
    for value in "$@"; do
        n=$((n + 1))
        "$MIEN_BUILD/bin/mien" style --quiet "$content" starry-night --size 400 "$option" "$value" -o "$work/$n.png"
    done
}
content=$1
row --strength 10 30 100 300 1000
row --content-layer relu1_1 relu2_1 relu3_1 relu4_1
n=$((n + 1)); cp "$work/103.png" "$work/$n.png"
row --stroke 0.5 0.7 1 1.5 2
row --tv 0 2 6 20 60
i=0
for f in "$work"/*.png; do i=$((i + 1)); mv "$f" "$work/tile-$(printf %02d $i).png"; done
ffmpeg -nostdin -v error -y -i "$work/tile-%02d.png" -vf "scale=320:-2,tile=5x4:padding=4:color=white" -frames:v 1 -update 1 -q:v 4 "$2"
