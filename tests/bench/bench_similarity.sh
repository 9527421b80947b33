#!/bin/sh
# Learnt similarity beside the cosine: bench_similarity.sh [EMBEDDINGS]. Without a file the search's times alone; with one (safetensors, embedding
# and person) also an open-set test: half of the people to learn from; of the others those with several rows are enrolled by one.
cd "$(dirname "$0")/../.." || exit 1
config() { sed -n "s/^$1 = //p" config.mak; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
# shellcheck disable=SC2046
$(config CC) -std=c11 -D_GNU_SOURCE $(config CFLAGS) -I. -Icore -Icore/include -Igallery/include -o "$dir/bench" tests/bench/similarity.c build/libmien.a \
    $(config DEPS_LIBS) && "$dir/bench" "$@"
