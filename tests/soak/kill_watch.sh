#!/bin/sh
# Kill mien watch, its keepers and its ffmpeg at random moments, many times, and count every event afterwards.
#
#   tests/soak/kill_watch.sh [KILLS]     100 kills unless said otherwise, about half a second each; started by a person or a test
#
# Three cameras with a program in ffmpeg's place that writes numbered events as fast as it gets rid of them, and that
# notes before each write which number it is about to hand over. At the end: each run's events are in the logs
# from 1 on without a gap and without a copy, none beyond what was noted, and at most the one that was being written when ffmpeg was killed with SIGKILL is missing. No
# process is left, and the folder can be locked again.
: "${MIEN_BUILD:=$PWD/build}" "${TMPDIR:=/tmp}"
kills=${1:-100}
mien=$MIEN_BUILD/bin/mien
work=$(mktemp -d "$TMPDIR/kill_watch.XXXXXX") || exit 1
watch=
trap '[ -z "$watch" ] || kill -KILL "$watch" 2>/dev/null; rm -rf "$work"' EXIT
cd "$work" || exit 1

cat >ffmpeg <<'END'
#!/usr/bin/python3 -S
import os, signal, sys, time
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(1))
run = "%d-%d" % (os.getpid(), time.monotonic_ns())
note = open("notes/" + run, "w")
n = 0
while not ended:
    for _ in range(5):
        n += 1
        note.write("%d\n" % n)
        note.flush()
        os.write(5, b'{"event":"enter","run":"%s","n":%d,"pad":"%s"}\n' % (run.encode(), n, b"x" * (n % 200)))
    os.write(4, b"frame=%d\nprogress=continue\n" % n)
    time.sleep(0.002)
note.write("end\n")
END
chmod +x ffmpeg
mkdir notes
{
    printf '[watch]\nrun = run\nffmpeg = ./ffmpeg\nretry_min = 10ms\nretry_max = 40ms\nstop = 500ms\nstall = 5s\nlog_size = 64K\nlog_count = 999\nfacetag = mode=detect\n'
    printf '[camera a]\nurl = a\n[camera b]\nurl = b\n[camera c]\nurl = c\n'
} >watch.conf

start() {
    "$mien" watch --quiet watch.conf 2>>watch.err &
    watch=$!
}
children() { # KIND: mien-keeper or python3
    for p in $(cat "/proc/$watch/task/$watch/children" 2>/dev/null); do
        [ "$(cat "/proc/$p/comm" 2>/dev/null)" != "$1" ] || echo "$p"
    done
}
start
python3 -c "
import random
random.seed(5)
for _ in range($kills):
    print(random.choice(['watch', 'mien-keeper', 'mien-keeper', 'ffmpeg', 'ffmpeg', 'hup', 'term']), '%.3f' % random.uniform(0, .6), random.randrange(9))" >plan
n_watch=0
while read -r what wait_s pick; do
    sleep "$wait_s"
    case $what in
    watch) kill -KILL "$watch"; wait "$watch" 2>/dev/null; n_watch=$((n_watch + 1)); start ;;
    term) # 143: before it could listen
        kill -TERM "$watch"; wait "$watch"; status=$?
        case $status in 0 | 143) ;; *) echo "not ok SIGTERM: status $status" ;; esac
        start ;;
    hup) kill -HUP "$watch" 2>/dev/null ;;
    *)
        # shellcheck disable=SC2046
        set -- $(children "$what")
        [ $# = 0 ] || { shift $((pick % $#)); kill -KILL "$1" 2>/dev/null; } ;;
    esac
done <plan
kill -TERM "$watch"
wait "$watch"; status=$?
watch=
case $status in 0 | 143) echo "ok it ends" ;; *) echo "not ok it ends: status $status" ;; esac
# what a killed supervisor leaves has half a second to end ffmpeg, and then to write
left() {
    for p in /proc/[0-9]*; do
        case $(cat "$p/comm" 2>/dev/null) in ffmpeg | mien-keeper) [ "$(readlink "$p/cwd")" != "$work" ] || echo "${p#/proc/}" ;; esac
    done
}
i=0
while mine=$(left); [ -n "$mine" ] && [ $i -lt 30 ]; do
    sleep 0.1
    i=$((i + 1))
done
if [ -z "$mine" ]; then echo 'ok no process is left'; else echo "not ok processes are left: $mine"; fi
python3 - "$kills" "$n_watch" <<'END'
import glob, json, os, sys
runs, torn, total = {}, 0, 0
for name in glob.glob("run/*.jsonl*"):
    for line in open(name):
        e = json.loads(line)
        runs.setdefault(e["run"], []).append(e["n"])
        total += 1
bad = []
for name in os.listdir("notes"):
    said = open("notes/" + name).read().split()
    whole = said and said[-1] == "end"
    n = len(said) - whole
    got = sorted(runs.pop(name, []))
    if got != list(range(1, len(got) + 1)):
        bad.append("%s: a gap or a copy" % name)
    if len(got) < n - (not whole) or len(got) > n:
        bad.append("%s: %d of %d events, %s" % (name, len(got), n, "ended" if whole else "killed"))
bad += ["%s: of nobody" % r for r in runs]
print("%s %s kills (%s of the supervisor), %d events in %d runs%s" % ("not ok" if bad else "ok", sys.argv[1], sys.argv[2], total, len(os.listdir("notes")),
      "".join("\n  " + b for b in bad[:20])))
raise SystemExit(bool(bad))
END
status=$?
sort watch.err | grep -v 'ffmpeg ended\|the keeper of the events ended' | uniq -c | sort -rn | head -5
exit $status
