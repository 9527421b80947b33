#!/bin/sh
# facetag=live=1: properties that hold whatever the timing. Every frame passes as it is, with its own time; frames are looked at or dropped, none is
# lost; what the log says is consistent and complete. From a file, and from cameras on a real RTSP server on this machine (GStreamer's).

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery:live=1"

# consistent LOG [PYTHON CONDITION ...]: each enter has its leave, frames and times belong together; n: names by enter, e: events
consistent() {
    python3 - "$@" <<'PY'
import json, sys
from datetime import datetime as D
e = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
n = [x["name"] for x in e if x["event"] == "enter"]
open_ = {}
for x in e:
    assert 0 <= x["first_frame"] <= x["last_frame"], x
    assert x["first_s"] is None or x["first_s"] <= x["last_s"] + 1e-9, x
    assert D.fromisoformat(x["first_wall"][:-1]) <= D.fromisoformat(x["wall"][:-1]), x
    # two cameras, or the graphs before and after a change of size, may count tracks alike
    open_[x["track"]] = open_.get(x["track"], 0) + (x["event"] == "enter") - (x["event"] == "leave")
    assert open_[x["track"]] >= 0, x
assert not any(open_.values()), open_
for condition in sys.argv[2:]:
    assert eval(condition), (condition, e)
PY
}
# all_counted FILE FRAMES: the summary's frames, each looked at or dropped
all_counted() {
    sed -n 's/.*live, all in all: frames:\([0-9]*\) looked:\([0-9]*\) dropped:\([0-9]*\).*/\1 \2 \3/p' "$1" |
        awk -v n="$2" '{ frames += $1; ok += $1 == $2 + $3 } END { exit !(ok == NR && NR && (n == "" || frames == n)) }' || { cat "$1"; false; }
}

ff -i "$clip" -f framemd5 "$work/plain.md5" &&
    V=verbose ff -re -i "$clip" -vf "$f:log=$work/re.jsonl,metadata=print:file=$work/m" -f framemd5 "$work/live.md5" 2>"$work/err" &&
    cmp "$work/plain.md5" "$work/live.md5"
check 'no frame is changed, none is missing, and each keeps its time'
all_counted "$work/err" 54
check 'each is looked at or dropped'
consistent "$work/re.jsonl" 'n.count("Ann") == 1 and n.count("Bob 李") == 1' 'all(abs(x["first_s"] - x["first_frame"] / 25) < .002 for x in e)' \
    'all(x["first_frame"] >= 30 for x in e if x["name"] == "Bob 李")' 'all(x["last_frame"] < 54 for x in e)'
check 'events have the frames and times of the stream'
awk -F= '/^frame:/ { frame++; lag = "" }
    / *lavfi.facetag.count=/ { counts++ } /lavfi.facetag.queue=/ { queues += $2 == 0 || $2 == 1 }
    /lavfi.facetag.looked=/ { bad += $2 < looked; looked = $2 } /lavfi.facetag.dropped=/ { bad += $2 < dropped || $2 + looked > frame; dropped = $2 }
    /lavfi.facetag.lag_ms=/ { bad += $2 < 40 && $2 != 0; lags++ }
    END { exit !(frame == 54 && counts == 54 && queues == 54 && !bad && looked > 1 && lags > 0) }' "$work/m" || { tail -n 40 "$work/m"; false; }
check 'metadata on each frame: count, queue, looked, dropped, lag_ms'

# The portable kernels cannot keep up with a file that is read as fast as it goes; a graph that waited would look at every frame.
MIEN_CPU=c V=verbose ff -stream_loop 3 -i "$clip" -vf "$f:log=$work/slow.jsonl:interval=1:draw=all" -f framemd5 "$work/slow.md5" 2>"$work/err" &&
    all_counted "$work/err" 216 && [ "$(grep -vc '^#' "$work/slow.md5")" = 216 ] && grep -q 'dropped:[1-9]' "$work/err" && consistent "$work/slow.jsonl"
check 'a machine that is too slow: frames are dropped, not delayed'

# Back and forth every ten frames, a while without the filter, commands in between.
V=verbose ff -stream_loop 9 -i "$clip" -vf "setpts='(N+if(mod(floor(N/10),2),-25,25))/25/TB',
    sendcmd=c='0.5 facetag threshold 0.5;1.5 facetag draw all;2 facetag mode detect;3 facetag mode recognise;3 facetag claim Ann;4 facetag mode verify;
    5 facetag reload x;6 facetag liveness report',$f:log=$work/jumps.jsonl:explain=1:enable='not(between(mod(n,100),40,60))'" \
    -fps_mode passthrough -f framecrc "$work/jumps.crc" 2>"$work/err" && [ "$(grep -vc '^#' "$work/jumps.crc")" = 540 ] && consistent "$work/jumps.jsonl" && all_counted "$work/err"
check 'jumping timestamps, timeline and commands'

fails 'a log that cannot be written ends the run' "Cannot .* the log '/dev/full'" "$f:log=/dev/full"

ff -y -i "$clip" -c:v libx264 -preset ultrafast -bf 0 -g 12 "$work/a.ts" && ff -y -i "$clip" -vf scale=480:270 -c:v libx264 -preset ultrafast -bf 0 -g 12 "$work/b.ts" &&
    cat "$work/a.ts" "$work/b.ts" "$work/a.ts" >"$work/sizes.ts" && cat "$work/a.ts" "$work/a.ts" >"$work/cam.ts" &&
    ff -y -i "$work/a.ts" -c copy -bsf:v noise=amount='not(mod(n\,4))*500' "$work/broken.ts"
check 'clips of changing size and with broken bytes'
V=verbose ff -re -i "$work/sizes.ts" -vf "$f:log=$work/sizes.jsonl" -fps_mode passthrough -f null - 2>"$work/err" && all_counted "$work/err" 162 &&
    consistent "$work/sizes.jsonl" 'n.count("Ann") == 3' || { cat "$work/sizes.jsonl"; false; }
check 'size changes in the stream: nothing logged is lost'

# ---- cameras
rtsp="/usr/bin/python3 tests/tools/rtsp_server.py"
$rtsp none="$work/none.ts" </dev/null >/dev/null 2>"$work/err" || skip rtsp "no GStreamer RTSP server: $(tail -n 1 "$work/err")"
mkfifo "$work/hold" "$work/port"
timeout 60 $rtsp cam="$work/cam.ts" lossy="$work/cam.ts:0.02" sizes="$work/sizes.ts" broken="$work/broken.ts" <"$work/hold" >"$work/port" 2>"$work/server" &
server=$!
trap 'kill $server 2>/dev/null' EXIT
exec 9>"$work/hold"
read -r port <"$work/port"
url=rtsp://127.0.0.1:$port
cam() { transport=$1 name=$2; shift 2; V=verbose timeout 40 build/bin/ffmpeg -hide_banner -nostdin -v verbose -timeout 5000000 -rtsp_transport "$transport" -i "$url/$name" "$@" -fps_mode passthrough -f null -; }

cam tcp sizes -vf "$f:log=$work/r-sizes.jsonl" 2>"$work/err-sizes" & one=$!
cam udp broken -vf "$f:log=$work/r-broken.jsonl" 2>"$work/err-broken" & two=$!
timeout 40 build/bin/ffmpeg -hide_banner -nostdin -v verbose -timeout 5000000 -rtsp_transport tcp -i "$url/cam" -timeout 5000000 -rtsp_transport udp -i "$url/lossy" \
    -filter_complex "[0]$f:log=$work/r-two.jsonl[a];[1]$f:log=$work/r-two.jsonl[b]" -map '[a]' -f null - -map '[b]' -f null - 2>"$work/err" &&
    all_counted "$work/err" && [ "$(grep -c 'all in all' "$work/err")" = 2 ] && consistent "$work/r-two.jsonl" 'n.count("Ann") >= 2' || { cat "$work/err"; false; }
check 'two cameras in one process, over TCP and over UDP with lost packets'
wait $one && all_counted "$work/err-sizes" && consistent "$work/r-sizes.jsonl" 'n.count("Ann") >= 2' || { cat "$work/err-sizes"; false; }
check 'a camera that changes its size'
wait $two && all_counted "$work/err-broken" && consistent "$work/r-broken.jsonl" || { cat "$work/err-broken"; false; }
check 'a camera with broken frames'

# A camera that comes back is a new run that continues the log; one that goes away ends the run, and what was seen is told.
cam tcp cam -t 1 -vf "$f:log=$work/again.jsonl" 2>"$work/err" && all_counted "$work/err" && consistent "$work/again.jsonl" '"Ann" in n'
check 'left in the middle'
cam tcp cam -vf "$f:log=$work/gone.jsonl,metadata=print:file=-:direct=1" 2>"$work/err" | while IFS= read -r line; do
    case $line in *.name=Ann) kill $server 2>/dev/null ;; esac
done
all_counted "$work/err" && consistent "$work/gone.jsonl" '"Ann" in n' || { cat "$work/err"; false; }
check 'a server that dies: the run ends within its time-out, its events are complete'
exec 9>&-
exit $rc
