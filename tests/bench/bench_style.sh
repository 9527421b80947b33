#!/bin/sh
# L-BFGS on the whole style loss, beside PyTorch's on the same picture: loss, time, memory. bench_style.sh [ITERATIONS [ROUNDS [NETWORK...]]]
# NETWORK is stylenet or vgg19 (random weights of that shape: a tenth of the iterations, since one takes seconds); both without one.
# Wants a configured tree with build/libmien.a and build/models; PyTorch: apt-get install python3-torch.
cd "$(dirname "$0")/../.." || exit 1
config() { sed -n "s/^$1 = //p" config.mak; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# shellcheck disable=SC2046
$(config CC) -std=c11 -D_GNU_SOURCE $(config CFLAGS) -Icore/include -Icore -Ipresets/include -Igallery/include -o "$dir/style" \
    tests/bench/style.c build/libmien.a $(config DEPS_LIBS) || exit 1
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
python3=/usr/bin/python3
$python3 -c 'import torch' 2>/dev/null || { echo "bench_style: PyTorch is not installed (apt-get install python3-torch); mien alone"; python3=false; }
photo=$(echo build/cache/vladmandic-face-api-*/demo/sample1.jpg)
n=${1:-100} rounds=${2:-1}
[ $# -le 2 ] || shift 2
case $* in *net* | *vgg*) networks=$* ;; *) networks="stylenet vgg19" ;; esac
row() { printf '%-8s %-8s %7s %-8s %12s %12s %8s\n' "$@"; }
row network size threads "" "J at the end" "s/iteration" "peak MB"
for network in $networks; do
    preset=presets/starry-night.safetensors iterations=$n weights=
    if [ "$network" = vgg19 ]; then
        $python3 -c 'import torch' 2>/dev/null || continue
        weights=$dir/vgg19.safetensors preset=$dir/preset.safetensors iterations=$((n / 10 + 1)) MIEN_MODELS=$dir/models
        $python3 tests/tools/vgg_vector.py --weights "$weights" || exit 1
        build/bin/mien model import -q vgg19 "$weights" --to "$MIEN_MODELS" >/dev/null || exit 1
        build/bin/mien preset make -q "${photo%sample1*}sample6.jpg" --network vgg19 --size 256 --out "$preset" >/dev/null || exit 1
    fi
    for size in 256x256 640x360; do
        w=${size%x*} h=${size#*x}
        ffmpeg -nostdin -v error -y -i "$photo" -vf "scale=$w:$h:force_original_aspect_ratio=increase,crop=$w:$h" -f rawvideo -pix_fmt rgb24 "$dir/rgb" ||
            exit 1
        for threads in 1 2; do
            i=0
            while [ $i -lt "$rounds" ]; do
                i=$((i + 1))
                # shellcheck disable=SC2046
                row "$network" $size $threads mien $("$dir/style" "$dir/rgb" $w $h "$preset" $iterations $threads)
                # shellcheck disable=SC2046,SC2086
                [ $python3 = false ] || row "$network" $size $threads PyTorch \
                    $($python3 tests/bench/style.py "$dir/rgb" $w $h "$preset" $iterations $threads lbfgs float $weights | tail -n 1 | cut -d' ' -f1,2,4)
            done
        done
    done
done
