#!/bin/sh
# The picture of README.md: a frame of the demo, and the same in five styles.
#
#   sh tests/tools/readme_pictures.sh OUT.jpg     after make demo
set -eu
[ $# = 1 ] || { echo "usage: $0 OUT.jpg" >&2; exit 2; }
: "${MIEN_BUILD:=$PWD/build}"
export MIEN_MODELS="$MIEN_BUILD/models" MIEN_PRESETS="$PWD/presets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ffmpeg -nostdin -v error -ss 2.6 -i "$MIEN_BUILD/demo/clip.mp4" -frames:v 1 -vf scale=640:360 -update 1 "$work/0.png"
n=0
for style in starry-night great-wave pen-hatching mosaic the-scream; do
    n=$((n + 1))
    "$MIEN_BUILD/bin/mien" style --quiet "$work/0.png" $style -o "$work/$n.png"
done
ffmpeg -nostdin -v error -y -i "$work/%d.png" -vf "scale=480:-2:flags=lanczos,tile=3x2:padding=4:color=white" -frames:v 1 -update 1 -q:v 3 "$1"
