#!/bin/sh
# facetag's timeline and runtime commands.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

tags "$f:enable='lt(t,0.8)'" >"$work/out" && [ "$(wc -l <"$work/out")" = 20 ]
check 'enable: frames outside pass untagged'
tags "sendcmd=c='1.1 facetag threshold 1',$f" >"$work/out" && grep -q ' known .* Ann' "$work/out" && ! grep -q ' known .* Bob' "$work/out"
check 'command threshold'
echo "1.1 facetag claim '$bob';" >"$work/commands"
tags "sendcmd=f=$work/commands,$f:mode=verify:claim=$ann" >"$work/out" && grep -q ' known .* Ann' "$work/out" && grep -q ' known .* Bob' "$work/out"
check 'command claim'
tags "$f" >"$work/plain" && tags "sendcmd=c='0.5 facetag draw all;1.3 facetag draw none;1.5 facetag reload x',$f" | near "$work/plain" -
check 'commands draw and reload change no tag'
echo "1.1 facetag claim '$bob',facetag mode verify;" >"$work/commands"
tags "sendcmd=f=$work/commands,$f:log=$work/mode.jsonl" >"$work/out" && grep -q '^0\.8.* known .* Ann' "$work/out" && grep -q ' known .* Bob' "$work/out" &&
    [ "$(grep -c '"event":"enter"' "$work/mode.jsonl")" = "$(grep -c '"event":"leave"' "$work/mode.jsonl")" ]
check 'command mode: from recognise to verify, tracks end'
tags "sendcmd=c='0.5 facetag mode detect',$f" >"$work/out" && grep -q '^0\.4.* known .* Ann' "$work/out" && ! awk '$1 >= .52' "$work/out" | grep -q ' known ' &&
    awk '$1 >= .52' "$work/out" | grep -q undecided
check 'command mode: to detect'
tags "sendcmd=c='0.2 facetag mode verify',$f" 2>"$work/err" | near "$work/plain" - && grep -q 'needs a name to verify' "$work/err" &&
    tags "sendcmd=c='0.2 facetag mode recognise',$f:mode=detect" 2>"$work/err" >"$work/out" && grep -q 'mode cannot leave detect' "$work/err" && ! grep -q ' known ' "$work/out"
check 'command mode where it cannot be: one line, nothing changes'

# By zmq, from another program; what it doesn't take is answered with the error's number, and the filter goes on.
cat >"$work/send.py" <<'PY'
import sys
import zmq

socket = zmq.Context().socket(zmq.REQ)
socket.setsockopt(zmq.RCVTIMEO, 30000)
socket.setsockopt(zmq.LINGER, 0)
socket.connect(sys.argv[1])
for command in sys.argv[2:]:
    socket.send_string("facetag " + command)
    print(command, "->", socket.recv_string().split()[0])
PY
cat >"$work/answers" <<'END'
mode detect -> 0
mode verify -> 22
claim Ann -> 0
mode verify -> 0
threshold 0.5 -> 0
draw all -> 0
explain 1 -> 0
redact all -> 0
effect mosaic -> 0
redact none -> 0
reload x -> 0
mode recognise -> 0
threshold 2 -> 34
END
if /usr/bin/python3 -c 'import zmq' 2>/dev/null && build/bin/ffmpeg -hide_banner -filters | grep -q ' zmq '; then
    for live in 0 1; do
        build/bin/ffmpeg -nostdin -v error -stream_loop -1 -re -i "$clip" -t 60 -vf "zmq=bind_address='ipc\\://$work/zmq$live',$f:live=$live" -f null - 2>"$work/err" &
        filter=$!
        sed 's/ ->.*//' "$work/answers" | tr '\n' '\0' | xargs -0 timeout 60 /usr/bin/python3 "$work/send.py" "ipc://$work/zmq$live" >"$work/replies" 2>&1
        kill $filter
        wait $filter 2>/dev/null
        if [ $live = 1 ]; then sed -i '/^redact all/s/0$/22/' "$work/answers"; fi
        diff "$work/answers" "$work/replies"
        check "commands by zmq, live=$live"
    done
else
    echo 'ok commands by zmq # SKIP no python3-zmq, or a libavfilter without zmq'
fi

# Another process renames Ann as soon as she is on a frame. The pipe holds fewer frames than the clip has, so ffmpeg cannot be done by then.
: >"$work/live"
ff -stream_loop 19 -i "$clip" -vf "$f,metadata=print:file=-" -f null - | while IFS= read -r line; do
    echo "$line"
    case $line in *.name=Ann) [ -s "$work/live" ] || build/bin/mien rename --gallery "$gallery" Ann Hanna >"$work/live" 2>&1 || exit 1 ;; esac
done >"$work/out"
[ -s "$work/live" ] && grep -q '\.name=Ann$' "$work/out" && tail -n 2000 "$work/out" | grep -q '\.name=Hanna$' &&
    ! tail -n 2000 "$work/out" | grep -q '\.name=Ann$'
check 'a name changed by another process while the film runs'
exit $rc
