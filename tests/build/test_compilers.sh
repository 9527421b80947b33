#!/bin/sh
# Everything compiles with gcc and with clang, warnings as errors. Where CI is set, the build itself has shown that for
# the compiler that it is configured for.

cd "$(dirname "$0")/../.." || exit 1
rc=0
for cc in gcc clang; do
    if ! command -v $cc >/dev/null 2>&1; then
        echo "ok $cc # SKIP not installed"
        continue
    fi
    if [ "${CI:-}" ] && grep -qx "CC = $cc" config.mak; then
        echo "ok $cc, warnings as errors"
        continue
    fi
    # Objects of their own, so that the build's stay. gcc finds some things only when it optimises.
    opt=-O2
    [ $cc = clang ] && opt=-O0
    if make --no-print-directory -j2 VARIANT=$cc CC=$cc CFLAGS=$opt CI=1 objects >"$TMPDIR/log" 2>&1; then
        echo "ok $cc, warnings as errors"
    else
        grep -E 'error|Error' "$TMPDIR/log" | head -n 40
        echo "not ok $cc, warnings as errors"
        rc=1
    fi
done
exit $rc
