#!/bin/sh
# Times of a gallery: bench_gallery.sh [TEMPLATES]; 100,000 by default. Wants a configured tree with build/libmien.a.
cd "$(dirname "$0")/../.." || exit 1
config() { sed -n "s/^$1 = //p" config.mak; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# shellcheck disable=SC2046
$(config CC) -std=c11 -D_GNU_SOURCE $(config CFLAGS) -Icore/include -Igallery/include -o "$dir/bench" tests/bench/gallery.c build/libmien.a \
    $(config DEPS_LIBS) && "$dir/bench" "$dir" "${1:-100000}"
