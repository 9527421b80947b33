#!/bin/sh
# A camera for a long time: facetag=live=1 on an RTSP stream, with lost packets. Memory and descriptors stay
# flat, every appearance is named, every enter has its leave; how long a name takes is printed.
#
#   tests/soak/live.sh [MINUTES [LOSS]]      10 minutes and .002 of the packets lost unless told
#
# The stream, 25 frames a second, repeats ten seconds: Ann for four, nobody for one, Bob for four, nobody for one. interval=1, a large
# detector (SIZE=640) and one core (CORES=0) are the load, MIEN_CPU=c makes it an overload on any machine; what was looked at and what was
# dropped is printed. ffmpeg is sampled every
# five seconds; the first fifth of the samples is warm-up.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
minutes=${1:-10} loss=${2:-.002}
setup
: "${SIZE:=640}" "${CORES:=0}"
pids=
trap 'for p in $pids; do kill "$p" 2>/dev/null; done' EXIT
/usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null || skip live 'no GStreamer RTSP server'
ff -y -loop 1 -i "$photos/sample3.jpg" -loop 1 -i "$photos/sample6.jpg" -filter_complex "
    [0]trim=end_frame=100,scale=768:540,crop=640:360:x='100-n/2':y='n/4',format=yuv420p,setsar=1[a];
    [1]trim=end_frame=100,scale=768:614,crop=640:360:x='n/2':y='100-n/4',format=yuv420p,setsar=1[b];
    color=gray:s=640x360:r=25,trim=end_frame=25,format=yuv420p,setsar=1,split[n][m];[a][n][b][m]concat=n=4" \
    -c:v libx264 -preset veryfast -bf 0 -g 25 "$work/ten.mkv" && ff -y -stream_loop $((minutes * 6 - 1)) -i "$work/ten.mkv" -c copy -f mpegts "$work/camera.ts"
check 'a stream' || exit 1

mkfifo "$work/port" "$work/hold"
exec 8<>"$work/port" 9<>"$work/hold"
/usr/bin/python3 tests/tools/rtsp_server.py "stream=$work/camera.ts:$loss" >"$work/port" 2>"$work/server.log" <"$work/hold" 8<&- 9<&- &
pids=$!
read -r port <&8
taskset -c "$CORES" build/bin/ffmpeg -nostdin -hide_banner -v verbose -rtsp_transport tcp -timeout 5000000 -i "rtsp://127.0.0.1:$port/stream" \
    -vf "facetag=gallery=$gallery:live=1:interval=1:size=$SIZE:log=$work/events.jsonl" -f null - 2>"$work/err" &
film=$!
pids="$pids $film"
while kill -0 $film 2>/dev/null; do
    echo "$(sed -n 's/^VmRSS:[^0-9]*\([0-9]*\).*/\1/p' /proc/$film/status 2>/dev/null) $(ls /proc/$film/fd 2>/dev/null | wc -l)"
    sleep 5
done | awk 'NF == 2 && $1' >"$work/samples"
wait $film
check 'ffmpeg ends with the stream'
grep 'live, .*frames:' "$work/err" | tail -1 | sed 's/^.*live, /# /'

awk '{ kb[NR] = $1; fd[NR] = $2 }
    END { warm = int(NR / 5) + 1
          for (i = 1; i <= NR; i++) if (i <= warm) { if (kb[i] > a) a = kb[i]; if (fd[i] > f) f = fd[i] } else { if (kb[i] > b) b = kb[i]; if (fd[i] > g) g = fd[i] }
          printf "# resident, kB: %d while warming up, %d later; descriptors: %d, %d; %d samples\n", a, b, f, g, NR
          exit !(NR > 5 && b < a + 4096 && g <= f) }' "$work/samples"
check 'memory and descriptors are flat'

python3 - "$work/events.jsonl" $((minutes * 6)) "$ann" "$bob" <<'PY'
import datetime
import json
import sys

log, cycles, ann, bob = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
events = [json.loads(line) for line in open(log)]
entered = {e["track"] for e in events if e["event"] == "enter"}
left = {e["track"] for e in events if e["event"] == "leave"}
named, delays, wrong = {}, [], 0
for e in events:
    if e["status"] == "known" and e["track"] not in named:
        named[e["track"]] = e
        wall = [datetime.datetime.fromisoformat(e[k].replace("Z", "+00:00")) for k in ("first_wall", "wall")]
        delays.append((wall[1] - wall[0]).total_seconds())
start = min(e["first_s"] for e in events)
missed = []
for cycle in range(cycles):
    for name, at in ((ann, 0), (bob, 5)):
        begin = start + 10 * cycle + at
        if not any(e["name"] == name and begin - 1 < e["first_s"] < begin + 4 for e in named.values()):
            missed.append((name, 10 * cycle + at))
for e in named.values():
    phase = (e["first_s"] - start) % 10
    wrong += e["name"] != (ann if phase < 4.5 or phase > 9.5 else bob)
delays.sort()
print(f"# {2 * cycles} appearances, not named: {missed}; names at a wrong time: {wrong}; tracks: {len(entered)}, without a leave: {len(entered - left)}")
print(f"# from the first frame's arrival to the event with the name, s: median {delays[len(delays) // 2]:.2f}, "
      f"95 % {delays[int(len(delays) * .95)]:.2f}, most {delays[-1]:.2f}")
sys.exit(bool(missed) or wrong > 0 or entered != left)
PY
check 'every appearance is named, every enter has its leave'
exit $rc
