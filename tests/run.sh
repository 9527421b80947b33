#!/bin/sh
# Run test programs, each in a process of its own with a time limit, sum up their results.
#
#   tests/run.sh [-j N] [-t SECONDS] PROGRAM...
#
# A program is an executable, a .sh or a .py file, run from the repository's root; a fuzz target (tests/fuzz/fuzz_X) gets
# its corpus as argument. It finds MIEN_BUILD and MIEN_MODELS in the environment and a TMPDIR of its own. What it prints is kept in
# build/tests/log/ and shown when it fails. Counted are: cmocka's summary lines; lines "ok …" and "not ok …"; and where
# a program prints neither, the program itself. A program that ends with an error without having named a failed
# test counts as one failed. The last line is "N passed, N failed"; the exit status is 0 only when nothing failed.

cd "$(dirname "$0")/.." || exit 1
jobs=1 limit=120
while getopts j:t: o; do
    case $o in
    j) jobs=$OPTARG ;;
    t) limit=$OPTARG ;;
    *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))

logs=${MIEN_TEST_LOGS:-build/tests/log}
mkdir -p "$logs"
: "${MIEN_BUILD:=$PWD/build}" "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_BUILD MIEN_MODELS

# one PROGRAM: run it, write LOG and LOG.rc
if [ "${MIEN_RUN_ONE:-}" ]; then
    log=$logs/$(echo "$1" | tr / _)
    case $1 in
    */tests/fuzz/fuzz_*) set -- "$1" "tests/fuzz/corpus/${1##*/fuzz_}" ;;
    *.sh) set -- sh "$1" ;;
    *.py) set -- python3 "$1" ;;
    esac
    TMPDIR=$(mktemp -d) || exit 1
    # a test that gives up root's rights must still reach its files
    chmod 711 "$TMPDIR"
    export TMPDIR
    unset MIEN_RUN_ONE
    timeout -k 5 "$MIEN_TEST_LIMIT" "$@" >"$log" 2>&1 </dev/null
    echo $? >"$log.rc"
    rm -rf "$TMPDIR"
    exit 0
fi

for p; do rm -f "$logs/$(echo "$p" | tr / _)" "$logs/$(echo "$p" | tr / _).rc"; done
[ $# -gt 0 ] && printf '%s\0' "$@" |
    MIEN_RUN_ONE=1 MIEN_TEST_LIMIT=$limit MIEN_TEST_LOGS=$logs xargs -0 -n 1 -P "$jobs" sh tests/run.sh

passed=0 failed=0 skipped=0
for p; do
    log=$logs/$(echo "$p" | tr / _)
    rc=$(cat "$log.rc" 2>/dev/null || echo 1)
    counts=$(awk '
        { sub(/\r$/, "") }
        /^\[  PASSED  \] [0-9]+ test/ { p += $4; next }
        /^\[  FAILED  \] [0-9]+ test/ { f += $4; next }
        /^\[  SKIPPED \] [0-9]+ test/ { s += $4; next }
        /^ok .*# SKIP/ { s++; next }
        /^ok( |$)/ { p++; next }
        /^not ok( |$)/ { f++ }
        END { print p + 0, f + 0, s + 0 }' "$log" 2>/dev/null || echo 0 0 0)
    np=${counts%% *} ns=${counts##* } nf=${counts#* }
    nf=${nf% *}
    note=
    [ "$rc" = 124 ] || [ "$rc" = 137 ] && note=" (stopped after $limit s)"
    [ "$rc" -gt 128 ] && [ "$rc" != 137 ] && note=" (signal $((rc - 128)))"
    [ "$rc" != 0 ] && [ "$nf" = 0 ] && nf=1
    [ "$rc" = 0 ] && [ "$((np + nf + ns))" = 0 ] && np=1
    passed=$((passed + np)) failed=$((failed + nf)) skipped=$((skipped + ns))
    if [ "$nf" = 0 ]; then
        printf '  ok    %-44s %4d passed%s\n' "$p" "$np" "$([ "$ns" = 0 ] || echo ", $ns skipped")"
    else
        printf '  FAIL  %-44s %4d passed, %d failed%s\n' "$p" "$np" "$nf" "$note"
        sed 's/^/        | /' "$log"
    fi
done
if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" = 0 ]
