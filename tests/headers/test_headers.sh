#!/bin/sh
# Every public header compiles alone, as C11 and as C++, with warnings as errors.

cd "$(dirname "$0")/../.." || exit 1
. tests/headers/compilers.sh
inc="-Icore/include -Igallery/include -Ipresets/include"
warn="-Wall -Wextra -Wpedantic -Werror"
rc=0
for h in core/include/mien/*.h gallery/include/mien/*.h presets/include/mien/*.h; do
    [ -f "$h" ] || continue
    name=mien/${h##*/}
    # twice: the second time the include guard must hold
    printf '#include "%s"\n#include "%s"\n' "$name" "$name" >"$TMPDIR/h.c"
    cp "$TMPDIR/h.c" "$TMPDIR/h.cc"
    # shellcheck disable=SC2086
    if $CC -std=c11 $inc $warn -Wstrict-prototypes -fsyntax-only "$TMPDIR/h.c" 2>&1; then
        echo "ok $name as C11"
    else
        echo "not ok $name as C11"; rc=1
    fi
    [ -n "$CXX" ] || { echo "ok $name as C++ # SKIP no C++ compiler"; continue; }
    # shellcheck disable=SC2086
    if $CXX -std=c++11 $inc $warn -fsyntax-only "$TMPDIR/h.cc" 2>&1; then
        echo "ok $name as C++"
    else
        echo "not ok $name as C++"; rc=1
    fi
done
exit $rc
