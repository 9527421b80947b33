#!/bin/sh
# mien watch with a program in ffmpeg's place that does what a test wants: back-off, stalls, SIGHUP, ends of every kind, a full disk, rotation; with
# the real one and a camera over RTSP that wants a password: nothing of it in the list of processes or in a log. Waits are for things to
# happen, never for time to pass.
. tests/cli/lib.sh
cd "$work" || exit 1
pids=
trap 'for p in $pids; do kill -KILL "$p" 2>/dev/null; done; [ -z "${full:-}" ] || umount "$full" 2>/dev/null; rm -rf "$work"' EXIT

# until CONDITION...: true at last, within 15 s
until_() {
    n_waits=0
    while ! "$@" >/dev/null 2>&1; do
        n_waits=$((n_waits + 1))
        [ $n_waits -lt 750 ] || return 1
        sleep 0.02
    done
}
passes() { # NAME CONDITION...: as until_, reported
    t_name=$1
    shift
    if until_ "$@"; then good "$t_name"; else bad "$t_name"; fi
}
lines() { [ "$(cat "$2" 2>/dev/null | wc -l)" -ge "$1" ]; }
has() { grep -q -- "$1" "$2"; }
gone() { ! kill -0 "$1" 2>/dev/null || has '^State:.Z' "/proc/$1/status"; }
state_is() { "$mien" watch status --run "${3:-run}" --json 2>/dev/null | tr -d '\t\n' | grep -q "\"name\":\"$1\",\"state\":\"$2\""; }
running_pid() { "$mien" watch status --run run --json | tr -d '\t\n' | sed -n "s/.*\"name\":\"$1\"[^}]*\"pid\":\([0-9]*\).*/\1/p"; }
watch() { # CONFIG: in the background, its number in $watch
    "$mien" watch "$1" >watch.out 2>watch.err &
    watch=$!
    pids="$pids $watch"
}
ends() { # NAME: SIGTERM ends it with status 0
    kill -TERM "$watch"
    wait "$watch"
    t_got=$?
    if [ $t_got = 0 ]; then good "$1"; else bad "$1: status $t_got"; fi
}

# What stands in for ffmpeg: says its number, makes frames on descriptor 4 and events on 5 as its file `do` (named by -i) tells.
cat >ffmpeg <<'END'
#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" != -i ] || what=$2; shift; done
[ "$what" != pipe:3 ] || what=$(sed -n "s|^file 'fake://\(.*\)'|\1|p" <&3)
echo $$ >>"$what.starts"
frame=0
frames() { frame=$((frame + 1)); printf 'frame=%d\nout_time_us=%d00000\nprogress=continue\n' $frame $frame >&4; }
event() { printf '{"event":"enter","track":%d,"of":"%s"}\n' "$1" $$ >&5; }
end() { event 999; exit "${1:-0}"; }
trap 'end 255' TERM
wait_here() { while :; do read -r _ <"$what.fifo" || :; done; }
. "./$what.do"
END
chmod +x ffmpeg
mkfifo a.fifo b.fifo c.fifo
common='[watch]
run = run
ffmpeg = ./ffmpeg
stall = 5s
start = 5s
stop = 300ms
retry_min = 40ms
retry_max = 320ms
healthy = 1h
'

# ---- the file
printf '%s[camera a]\nurl = a\nstal = 3s\n' "$common" >bad.conf
t 'a wrong key' 2 "$mien" watch bad.conf
err_has "bad.conf: line 12: there is no key 'stal'; did you mean stall?"
t 'no file' 2 "$mien" watch none.conf
err_has 'none.conf: no such file'
t 'nobody there' 2 "$mien" watch status --run nowhere
err_has 'no mien watch runs'
printf '%s[camera a]\nurl = rtsp://u:geheim@h/\n' "$common" >open.conf
chmod 644 open.conf
t 'a password that others can read' 0 "$mien" watch --check open.conf
err_has 'open.conf holds passwords and can be read by others (mode 644)'
out_lacks geheim
chmod 600 open.conf
t 'a password that they cannot' 0 "$mien" watch --check open.conf
err_lines 0

# ---- an end and back-off; a stall; one that goes on
echo 'event 1; exit 3' >a.do
echo 'frames; wait_here' >b.do
echo 'i=0; while :; do i=$((i + 1)); frames; [ $i -gt 5 ] || event $i; sleep 0.1; done' >c.do
printf '%s[camera a]\nurl = fake://a\n[camera b]\nurl = b\nstall = 300ms\n[camera c]\nurl = c\n' "$common" >three.conf
watch three.conf
passes 'started again after it ended' lines 5 a.starts
passes 'started again after it stalled' lines 2 b.starts
passes 'one that runs is left alone' state_is c running
is 'it was started once' [ "$(wc -l <c.starts)" = 1 ]
is 'the delays grow, up to their limit' python3 - <<'END'
import re
d = [float(x) for x in re.findall(r"a: ffmpeg ended .*next start in ([0-9.]+) s", open("watch.err").read())]
raise SystemExit(not (len(d) >= 4 and d[0] <= .05 and max(d) <= .35 and d[3] >= .1))
END
passes 'a stall is told' has 'b: stalled: no progress for 0.3' watch.err
passes 'what it said before it ended is kept' lines 3 run/a.jsonl
t 'status, not all run' 1 "$mien" watch status three.conf
out_has 'ffmpeg ended (status 3)'
t 'status as JSON' 1 "$mien" watch status --json --run run
json_is cameras.2.name c
json_is cameras.2.restarts 0
json_is cameras.2.last_event.event enter
t 'a second one on the same folder' 2 "$mien" watch three.conf
err_has 'another mien watch runs with the folder run'

# ---- SIGHUP
pid_c=$(running_pid c)
printf '%s[camera b]\nurl = b\n[camera c]\nurl = c\n[camera x y]\n' "$common" >three.conf
kill -HUP "$watch"
passes 'a wrong file changes nothing' has 'three.conf: line 14: a camera.s name' watch.err
is 'and status says so' sh -c "'$mien' watch status --run run | grep -q 'The configuration of before is in force: three.conf: line 14'"
cp c.do d.do
printf '%s[camera c]\nurl = c\n[camera d]\nurl = d\nhealthy = 2h\n' "$common" >three.conf
kill -HUP "$watch"
passes 'a new camera is started' state_is d running
passes 'cameras that are gone end' sh -c "! '$mien' watch status --run run --json | grep -q '\"b\"'"
is 'the one that stays is not disturbed' [ "$(running_pid c)" = "$pid_c" ]
pid_d=$(running_pid d)
printf '%s[camera c]\nurl = c\n[camera d]\nurl = d\nhealthy = 3h\n' "$common" >three.conf
kill -HUP "$watch"
passes 'one that changed is started again' lines 2 d.starts
passes 'and its old process is gone' gone "$pid_d"
is 'again the other is not disturbed' [ "$(running_pid c)" = "$pid_c" ]
sleep 60 &
bystander=$!
pids="$pids $bystander"
ends 'SIGTERM'
is 'all of its processes are gone' gone "$pid_c"
is 'nobody else is' kill -0 "$bystander"
is 'the last event came through' sh -c 'tail -n 1 run/c.jsonl | grep -q 999'
is 'each event once' [ "$(grep -c "$pid_c" run/c.jsonl)" = 6 ]

# ---- one that does not listen; the supervisor killed
echo 'trap "" TERM; frames; event 1; wait_here' >a.do
printf '%s[camera a]\nurl = a\nstall = 1h\n[camera c]\nurl = c\n' "$common" >kill.conf
watch kill.conf
passes 'both run' state_is a running
passes 'both run' state_is c running
pid_a=$(running_pid a)
pid_c=$(running_pid c)
kill -KILL "$watch"
passes 'kill -9: ffmpeg ends' gone "$pid_c"
passes 'kill -9: one that ignores SIGTERM is killed' gone "$pid_a"
passes 'kill -9: the last event is kept' sh -c "tail -n 1 run/c.jsonl | grep -q '\"track\":999,\"of\":\"$pid_c\"'"
watch kill.conf
passes 'the next one takes over' state_is a running
ends 'SIGTERM with one that ignores it'
is 'it is told how it ended' has 'a: ffmpeg ended (signal 9)' watch.err

# ---- keepers killed, logs rotated: every event once
: >run/a.jsonl
cat >a.do <<'END'
i=0
while [ $i -lt 4000 ]; do i=$((i + 1)); event $i; [ $((i % 100)) != 0 ] || frames; done
: >a.done
wait_here
END
rm -f a.starts
printf '%s[camera a]\nurl = a\nstall = 1h\nlog_size = 20K\nlog_count = 99\n' "$common" >many.conf
watch many.conf
n_killed=0
while [ ! -e a.done ]; do
    for p in $(cat "/proc/$watch/task/$watch/children" 2>/dev/null); do
        [ "$(cat "/proc/$p/comm" 2>/dev/null)" != mien-keeper ] || { kill -KILL "$p" && n_killed=$((n_killed + 1)); }
    done
    sleep 0.05
done
all_there() { [ "$(cat run/a.jsonl* | wc -l)" -ge 4000 ]; }
passes "4000 events, keepers killed ($n_killed times)" all_there
is 'at least one keeper was killed' [ "$n_killed" -gt 0 ]
ends 'SIGTERM'
is 'every event once, in order' python3 - <<'END'
import glob, json
names = sorted(glob.glob("run/a.jsonl*"), key=lambda n: -int(n.split(".")[2]) if n.count(".") == 2 else 0)
tracks = [json.loads(l)["track"] for n in names for l in open(n)]
raise SystemExit(len(names) < 4 or tracks != list(range(1, 4001)) + [999])
END

# ---- a full disk
full=$work/full
mkdir "$full"
if mount -t tmpfs -o size=64k tmpfs "$full" 2>/dev/null; then
    rm -f a.done a.starts
    echo 'i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); event $i; done; : >a.done; while :; do frames; sleep 0.05; done' >a.do
    printf '%s[camera a]\nurl = a\nevents = full/a.jsonl\nlogs = x\n' "$common" | sed '/^logs/d' >full.conf
    watch full.conf
    passes 'full disk: it is told' has 'cannot write events.*[Nn]o space left' run/a.log
    passes 'full disk: the camera goes on' [ -e a.done ]
    is 'it still runs' state_is a running
    mount -o remount,size=1m "$full"
    passes 'room again: every event is there' lines 2000 full/a.jsonl
    ends 'SIGTERM'
    is 'each once, in order' python3 -c "
import json
raise SystemExit([json.loads(l)['track'] for l in open('full/a.jsonl')] != list(range(1, 2001)) + [999])"
else
    echo 'ok full disk # SKIP no right to mount a small file system'
fi

# ---- the same at random: 200 kills are tests/soak/kill_watch.sh's own
cd "$OLDPWD" || exit 1
sh tests/soak/kill_watch.sh 8
[ $? = 0 ] || n_bad=$((n_bad + 1))
cd "$work" || exit 1

# ---- the real thing: a camera over RTSP that wants a password
if [ ! -x "$MIEN_BUILD/bin/ffmpeg" ]; then
    echo 'ok rtsp # SKIP configured with --disable-dropin'
elif ! /usr/bin/python3 -c "import gi; gi.require_version('GstRtspServer', '1.0')" 2>/dev/null; then
    echo 'ok rtsp # SKIP no GStreamer RTSP server'
else
    secret="p@ss:w/o%rd's"
    cd "$OLDPWD" || exit 1
    /usr/bin/python3 tests/cli/rtsp_camera.py viewer "$secret" >"$work/port" 2>"$work/camera.err" &
    pids="$pids $!"
    cd "$work" || exit 1
    until_ test -s port || cat camera.err
    printf '%s\n' "$secret" >password
    chmod 600 password
    printf '[watch]\nrun = rtsp\nffmpeg = %s\nfacetag = mode=detect\n[camera door]\nurl = rtsp://viewer@127.0.0.1:%s/cam?key=tok3n\npassword_file = password\n' \
        "$MIEN_BUILD/bin/ffmpeg" "$(cat port)" >rtsp.conf
    printf 'options = rtsp_transport=tcp\nretry_min = 50ms\nretry_max = 50ms\n[camera wrong]\nurl = rtsp://viewer:wr0ngpass@127.0.0.1:%s/cam\nretry_max = 1s\n' \
        "$(cat port)" >>rtsp.conf
    chmod 600 rtsp.conf
    watch rtsp.conf
    passes 'rtsp: a camera with a password runs' state_is door running rtsp
    passes 'rtsp: a wrong password is an error' has '401 Unauthorized' rtsp/wrong.log
    shown=$(for p in "$watch" $(cat "/proc/$watch/task/$watch/children"); do tr '\0' ' ' <"/proc/$p/cmdline"; done)
    t_name='the list of processes'
    is 'has the command' sh -c "echo \"\$1\" | grep -q 'concat.*facetag'" sh "$shown"
    for s in "$secret" p%40ss 'p@ss' wr0ngpass tok3n 127.0.0.1; do
        is "does not show $s" sh -c "! printf %s \"\$1\" | grep -qF -- \"\$2\"" sh "$shown" "$s"
    done
    t 'rtsp: status' 1 "$mien" watch status --run rtsp --json
    ends 'SIGTERM'
    t_name='logs, status and messages'
    for s in "$secret" p%40ss 'p@ss' wr0ngpass tok3n; do
        is "do not hold $s" sh -c "! grep -rqF -- \"\$1\" rtsp watch.err stdout" sh "$s"
    done
    is 'hold the marked URL' grep -q 'rtsp://\*\*\*@127.0.0.1' rtsp/wrong.log
fi
t_end
