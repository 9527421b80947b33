#!/bin/sh
# mien style: pictures of 8 and 16 bits, tiles, odd sizes, bad input. Few iterations on small pictures: looks are not asked here.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
MIEN_PRESETS=$PWD/presets
export MIEN_MODELS MIEN_PRESETS
if [ ! -e "$MIEN_MODELS/manifest.json" ] || ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok mien style # SKIP the networks or ffmpeg are not there"
    t_end
fi
fmt() { ffprobe -v error -show_entries stream=codec_name,width,height,pix_fmt -of csv=p=0 "$1"; }
# the samples of a picture, 16 bits each
samples() { ffmpeg -v error -i "$1" -f rawvideo -pix_fmt rgb48le - | sha256sum; }
ffmpeg -v error -f lavfi -i testsrc2=s=48x32:r=1 -frames:v 1 -pix_fmt rgb24 "$work/8.png"
# every sample differs from what 8 bits can say
ffmpeg -v error -f lavfi -i color=s=48x32:r=1,format=gbrp16le,geq=r='1300*X+17':g='2000*Y+5':b='600*X+900*Y+3' -frames:v 1 -pix_fmt rgb48be "$work/16.png"
quick="--iterations 2 --levels 1"

# ---- bits
# shellcheck disable=SC2086
{
t "8 bits" 0 "$mien" style "$work/8.png" mosaic -o "$work/o8.png" $quick --json
json_is bits 8
is "PNG, same size" [ "$(fmt "$work/o8.png")" = png,48,32,rgb24 ]
is "another picture" [ "$(samples "$work/8.png")" != "$(samples "$work/o8.png")" ]
t "16 bits" 0 "$mien" style "$work/16.png" mosaic -o "$work/o16.png" $quick --json
json_is bits 16
is "PNG of 16 bits" [ "$(fmt "$work/o16.png")" = png,48,32,rgb48be ]
t "16 bits unpainted" 0 "$mien" style "$work/16.png" mosaic -o "$work/same16.png" --iterations 0 --levels 1
is "keep every bit" [ "$(samples "$work/16.png")" = "$(samples "$work/same16.png")" ]
t "8 bits unpainted" 0 "$mien" style "$work/8.png" mosaic -o "$work/same8.png" --iterations 0 --levels 1
is "keep every bit" [ "$(samples "$work/8.png")" = "$(samples "$work/same8.png")" ]
t "8 bits to 16" 0 "$mien" style "$work/8.png" mosaic -o "$work/o.png" $quick --bits 16
is "PNG of 16 bits" [ "$(fmt "$work/o.png")" = png,48,32,rgb48be ]
t "16 bits to 8" 0 "$mien" style "$work/16.png" mosaic -o "$work/o.png" $quick --bits 8
is "PNG of 8 bits" [ "$(fmt "$work/o.png")" = png,48,32,rgb24 ]
t "JPEG" 0 "$mien" style "$work/16.png" mosaic -o "$work/o.jpg" $quick
is "JPEG, same size" [ "$(fmt "$work/o.jpg" | cut -d, -f1-3)" = mjpeg,48,32 ]
t "JPEG of 16 bits" 2 "$mien" style "$work/16.png" mosaic -o "$work/x.jpg" $quick --bits 16
err_has "JPEG has 8"

# ---- same bits, options
t "one thread" 0 "$mien" style "$work/8.png" mosaic -o "$work/t1.png" $quick -t 1
is "gives the same bytes" cmp -s "$work/o8.png" "$work/t1.png"
for o in "--strength 900" "--content-weight 9" "--content-layer relu2_1" "--distance l1" "--layers relu1_1,relu2_1:0.5" "--tv 90" "--optimizer adam" \
    "--noise 0.5" "--color content" "--border 0" "--stroke 8"; do
    t "$o" 0 "$mien" style "$work/8.png" mosaic -o "$work/o.png" $quick $o
    is "is another picture" [ "$(samples "$work/o8.png")" != "$(samples "$work/o.png")" ]
done
t "seeds" 0 "$mien" style "$work/8.png" mosaic -o "$work/s1.png" $quick --noise 0.5 --seed 7
t "seeds" 0 "$mien" style "$work/8.png" mosaic -o "$work/s2.png" $quick --noise 0.5 --seed 8
is "differ" [ "$(samples "$work/s1.png")" != "$(samples "$work/s2.png")" ]
t "two presets" 0 "$mien" style "$work/8.png" mosaic:0.5 fresco:0.5 -o "$work/o.png" $quick
is "are a third style" [ "$(samples "$work/o8.png")" != "$(samples "$work/o.png")" ]
t "size" 0 "$mien" style "$work/8.png" mosaic -o "$work/o.png" $quick --size 60
is "is the long side" [ "$(fmt "$work/o.png")" = png,60,40,rgb24 ]
t "save every" 0 "$mien" style "$work/8.png" mosaic -o "$work/e.png" --iterations 2 --levels 2 --save-every 2
is "leaves what is between" [ -s "$work/e-1-0002.png" ] && [ -s "$work/e-1-0004.png" ] && [ -s "$work/e-2-0002.png" ]

# ---- tiles: the same picture but for rounding
ffmpeg -v error -f lavfi -i mandelbrot=s=352x256:r=1 -frames:v 1 "$work/big.png"
t "at once" 0 "$mien" style "$work/big.png" mosaic -o "$work/whole.png" --iterations 2 --levels 1 --bits 16 --json
json_is tiles 1
t "in tiles" 0 "$mien" style "$work/big.png" mosaic -o "$work/tiled.png" --iterations 2 --levels 1 --bits 16 --memory 50 --json
is "several" [ "$(sed -n 's/.*"tiles":[[:space:]]*\([0-9]*\).*/\1/p' "$out")" -gt 1 ]
psnr=$(ffmpeg -v info -i "$work/whole.png" -i "$work/tiled.png" -lavfi psnr -f null - 2>&1 | sed -n 's/.*min:\([0-9inf]*\).*/\1/p')
[ "$psnr" = inf ] && psnr=999
is "no seam ($psnr dB)" [ "${psnr:-0}" -ge 70 ]

# ---- sizes
for s in 1x1 2x3 1x40 97x5; do
    ffmpeg -v error -y -f lavfi -i testsrc2=s=128x64:r=1 -frames:v 1 -vf "scale=${s%x*}:${s#*x}" "$work/odd.png"
    t "$s" 0 "$mien" style "$work/odd.png" mosaic -o "$work/o.png" --iterations 1
    is "stays $s" [ "$(fmt "$work/o.png" | cut -d, -f2,3)" = "${s%x*},${s#*x}" ]
done

# ---- bad input: a sentence, nothing written
rm -f "$work/x.png"
head -c 200 "$work/16.png" >"$work/cut.png"
printf 'no picture' >"$work/text.png"
for f in cut text none; do
    t "picture: $f" 2 "$mien" style "$work/$f.png" mosaic -o "$work/x.png" $quick
    err_has "$f.png"
done
head -c 90000 presets/mosaic.safetensors >"$work/cut.safetensors"
t "a cut preset" 2 "$mien" style "$work/8.png" "$work/cut.safetensors" -o "$work/x.png" $quick
err_has "cut.safetensors"
t "no such preset" 2 "$mien" style "$work/8.png" mosaik -o "$work/x.png" $quick
err_has "did you mean mosaic?"
t "no such layer" 2 "$mien" style "$work/8.png" mosaic -o "$work/x.png" $quick --content-layer relu9_9
err_has "relu9_9"
t "no such style layer" 2 "$mien" style "$work/8.png" mosaic -o "$work/x.png" $quick --layers relu9_9
err_has "has no layer relu9_9"
t "too little memory" 2 "$mien" style "$work/big.png" mosaic -o "$work/x.png" $quick --size 3000 --memory 50
err_has "MB are allowed"
t "no out" 2 "$mien" style "$work/8.png" mosaic $quick
t "no picture format" 2 "$mien" style "$work/8.png" mosaic -o "$work/x.gif" $quick
t "no such folder" 2 "$mien" style "$work/8.png" mosaic -o "$work/none/x.png" $quick
err_has "there is no such folder"
t "onto itself" 2 "$mien" style "$work/8.png" mosaic -o "$work/8.png" $quick
err_has "which would be lost"
is "nothing is left" [ ! -e "$work/x.png" ]
}
t_end
