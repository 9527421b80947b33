#!/bin/sh
# Speed of a Gatys iteration with stylenet (to relu4_1, pixel gradient) beside PyTorch's, both on one thread, in processor time, taken in
# turns: bench_gradient.sh [ROUNDS]. Wants a configured tree with build/libmien.a; PyTorch: apt-get install python3-torch.
cd "$(dirname "$0")/../.." || exit 1
config() { sed -n "s/^$1 = //p" config.mak; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# shellcheck disable=SC2046
$(config CC) -std=c11 -D_GNU_SOURCE $(config CFLAGS) -Icore/include -Icore -o "$dir/gradient" tests/bench/gradient.c build/libmien.a \
    $(config DEPS_LIBS) || exit 1
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
    echo "bench_gradient: PyTorch is not installed (apt-get install python3-torch); mien alone"
fi
printf '%-9s %-8s %s\n' size "" "forward, loss, backward, all: ms of one thread"
for size in "256 256" "640 360"; do
    i=0
    while [ $i -lt "${1:-3}" ]; do
        # shellcheck disable=SC2086
        ours=$("$dir/gradient" $size 7 2>"$dir/memory")
        # shellcheck disable=SC2086
        theirs=$(/usr/bin/python3 tests/bench/gradient.py $size 5 2>/dev/null)
        echo "$size|$ours|$theirs" | awk -F'|' '{ sub(" ", "x", $1); split($2, a, " "); split($3, b, " ");
            printf "%-9s mien     %s\n", $1, $2
            if (b[4]) printf "%-9s PyTorch  %s; mien is %.2f times as fast\n", $1, $3, b[4] / a[4] }'
        i=$((i + 1))
    done
    sed "s/^/          /" "$dir/memory"
done
