#!/bin/sh
# facetag on every kind of pixel format, on odd and on tiny sizes.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

for fmt in yuv422p yuv444p nv12 yuv420p10le yuv422p10le yuv444p10le p010le rgb24 bgra gbrp gray gray10le yuvj420p; do
    tags "format=$fmt,$f" >"$work/out" && [ "$(wc -l <"$work/out")" = 54 ] && grep -q ' known .* Ann' "$work/out" &&
        grep -q ' known .* Bob 李' "$work/out"
    check "format $fmt"
done
for size in 639x359 641x361; do
    tags "scale=$size,format=yuv444p,$f" >"$work/out" && grep -q ' known .* Ann' "$work/out"
    check "size $size"
done
for size in 1x1 2x2 17x3; do
    tags "scale=$size:flags=area,$f:draw=all" >"$work/out" && [ "$(wc -l <"$work/out")" = 54 ]
    check "size $size"
done
exit $rc
