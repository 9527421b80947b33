#!/bin/sh
# Folders of people to try training on, from the photographs of the npm package (make models): train_faces.sh OUT [PHOTOS [VERSIONS]].
# Every face of photograph 1 .. PHOTOS becomes a person, with so many versions of its cut: other sizes, light, blur, tilt. They are
# versions of one picture and not pictures of another day; what is learnt from them is what the versions differ by.
set -e
out=$1 photos=${2:-6} versions=${3:-5} n=0
: "${MIEN_BUILD:=$PWD/build}"
demo=$MIEN_BUILD/cache/vladmandic-face-api-1.7.15/demo
version() { # I: the filter of version I
    case $1 in
    1) echo null ;;
    2) echo "scale=iw*0.4:-1,eq=gamma=1.5" ;;
    3) echo "hflip,eq=gamma=0.6:saturation=0.5,gblur=sigma=2.5" ;;
    4) echo "scale=iw*0.25:-1,rotate=0.15:fillcolor=gray" ;;
    *) echo "rotate=-0.12:fillcolor=gray,hue=s=0,scale=iw*0.5:-1,unsharp" ;;
    esac
}
for i in $(seq 1 "$photos"); do
    "$MIEN_BUILD/bin/mien" detect "$demo/sample$i.jpg" --json >"$out.json"
    python3 - "$out.json" <<'END' >"$out.boxes"
import json, sys
for p in json.load(open(sys.argv[1])):
    for f in p["faces"]:
        b = f["box_px"]
        w, h = 1.9 * b["w"], 1.7 * b["h"]
        x, y = max(b["x"] - 0.45 * b["w"], 0), max(b["y"] - 0.35 * b["h"], 0)
        print(int(min(w, p["width_px"] - x)), int(min(h, p["height_px"] - y)), int(x), int(y))
END
    while read -r w h x y; do
        n=$((n + 1))
        mkdir -p "$out/p$(printf %02d $n)"
        for v in $(seq 1 "$versions"); do
            ffmpeg -v error -nostdin -y -i "$demo/sample$i.jpg" -vf "crop=$w:$h:$x:$y,$(version "$v")" -frames:v 1 "$out/p$(printf %02d $n)/$v.png"
        done
    done <"$out.boxes"
done
rm -f "$out.json" "$out.boxes"
