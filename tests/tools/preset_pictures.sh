#!/bin/sh
# The picture of docs/presets.md: one frame as it is, and in every preset, in the order of presets/SOURCES.tsv. Some minutes.
#
#   sh tests/tools/preset_pictures.sh CONTENT OUT.jpg     after make; CONTENT: second 2.6 of build/demo/clip.mp4
set -eu
[ $# = 2 ] || { echo "usage: $0 CONTENT OUT.jpg" >&2; exit 2; }
: "${MIEN_BUILD:=$PWD/build}"
export MIEN_MODELS="$MIEN_BUILD/models" MIEN_PRESETS="$PWD/presets"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ffmpeg -nostdin -v error -i "$1" -frames:v 1 -vf scale=480:-2:flags=area -update 1 "$work/10.png"
n=10
for style in $(grep -v '^#' presets/SOURCES.tsv | cut -f 1); do
    n=$((n + 1))
    "$MIEN_BUILD/bin/mien" style --quiet "$work/10.png" "$style" -o "$work/$n.png"
done
ffmpeg -nostdin -v error -y -start_number 10 -i "$work/%d.png" -vf "scale=400:-2:flags=lanczos,tile=4x5:padding=4:color=white" -frames:v 1 \
    -update 1 -q:v 4 "$2"
