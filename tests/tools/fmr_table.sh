#!/bin/sh
# core/face/fmr_mobileface128.h from embeddings (fmr_table.c says of what kind): sh tests/tools/fmr_table.sh embeddings.safetensors
# Wants `make lib` before. The embeddings themselves are of people and stay where they are; the numbers ship.
set -eu
: "${MIEN_BUILD:=build}" "${CC:=gcc}" "${TMPDIR:=/tmp}"
program=$(mktemp "$TMPDIR/fmr_table.XXXXXX")
trap 'rm -f "$program"' EXIT
$CC -O2 -Icore/include -o "$program" tests/tools/fmr_table.c "$MIEN_BUILD/libmien.a" $(sed -n 's/^DEPS_LIBS = //p' config.mak) -lm
cat <<'END'
/* Single comparisons of the default encoder, counted; made by tests/tools/fmr_table.sh. */
END
"$program" "$1"
