#!/bin/sh
# L-BFGS on the whole style loss with stylenet, beside PyTorch's on the same picture: loss, time, memory. bench_style.sh [ITERATIONS [ROUNDS]]
# Wants a configured tree with build/libmien.a and build/models; PyTorch: apt-get install python3-torch.
cd "$(dirname "$0")/../.." || exit 1
n=${1:-100} rounds=${2:-1}
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
preset=presets/starry-night.safetensors
printf '%-8s %7s %-8s %12s %12s %8s\n' size threads "" "J at the end" "s/iteration" "peak MB"
row() { printf '%-8s %7s %-8s %12s %12s %8s\n' "$@"; }
for size in 256x256 640x360; do
    w=${size%x*} h=${size#*x}
    ffmpeg -nostdin -v error -y -i "$photo" -vf "scale=$w:$h:force_original_aspect_ratio=increase,crop=$w:$h" -f rawvideo -pix_fmt rgb24 "$dir/rgb" || exit 1
    for threads in 1 2; do
        i=0
        while [ $i -lt "$rounds" ]; do
            i=$((i + 1))
            # shellcheck disable=SC2046
            row $size $threads mien $("$dir/style" "$dir/rgb" $w $h $preset "$n" $threads)
            # shellcheck disable=SC2046
            [ $python3 = false ] || row $size $threads PyTorch $($python3 tests/bench/style.py "$dir/rgb" $w $h $preset "$n" $threads | tail -n 1 | cut -d' ' -f1,2,4)
        done
    done
done
