#!/bin/sh
# tests/run.sh itself: a suite whose failures go uncounted would always be green.

cd "$(dirname "$0")/../.." || exit 1
rc=0
dir=$TMPDIR/programs
mkdir -p "$dir"
program() { printf '#!/bin/sh\n%s\n' "$2" >"$dir/$1.sh"; }
program pass 'echo "[  PASSED  ] 3 test(s)."'
program fail 'echo "[  PASSED  ] 2 test(s)."; echo "[  FAILED  ] 1 test(s), listed below:"; exit 1'
program tap 'echo "ok a"; echo "ok b # SKIP why"; echo "not ok c"; exit 1'
program silent 'exit 0'
program bad 'echo "[  PASSED  ] 2 test(s)."; exit 1'
program crash 'echo "ok a"; kill -SEGV $$'
program slow 'sleep 60'

# expect NAME STATUS LAST-LINE PROGRAM...
expect() {
    name=$1 status=$2 last=$3; shift 3
    paths=$(for p; do echo "$dir/$p.sh"; done)
    # shellcheck disable=SC2086
    out=$(MIEN_TEST_LOGS=$TMPDIR/log sh tests/run.sh -j 2 -t 1 $paths)
    got=$?
    if [ $got = "$status" ] && [ "$(echo "$out" | tail -n 1)" = "$last" ]; then
        echo "ok $name"
    else
        echo "$out"
        echo "not ok $name: status $got"
        rc=1
    fi
}
expect 'cmocka counts' 0 '3 passed, 0 failed' pass
expect 'a failed test fails the run' 1 '5 passed, 1 failed' pass fail
expect 'ok and not ok lines, and skips' 1 '1 passed, 1 failed, 1 skipped' tap
expect 'a program without lines counts as one' 0 '1 passed, 0 failed' silent
expect 'an exit status without a failed test counts' 1 '2 passed, 1 failed' bad
expect 'a crash counts' 1 '1 passed, 1 failed' crash
expect 'a hang is stopped and counts' 1 '3 passed, 1 failed' slow pass
expect 'a program that is not there counts' 1 '0 passed, 1 failed' missing
exit $rc
