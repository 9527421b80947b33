#!/bin/sh
# Every line of docs/cookbook.md, run in the page's order in one folder. tape.mkv is the golden tests' clip with sound, the camera is a server on
# this machine. After each line every film, picture, log or
# page that it names must be there, and not be empty.
. tests/golden/lib.sh
ann='Ann Miller'
setup
page=$PWD/docs/cookbook.md root=$PWD server=
: "${MIEN_BUILD:=$PWD/build}"
stop() { [ -z "$server" ] || kill "$server" 2>/dev/null; }
trap stop EXIT
dir=$work/cookbook
mkdir -p "$dir/tapes" && cd "$dir" || exit 1
PATH=$MIEN_BUILD/bin:$PATH; export PATH
cp "$work/ann.png" ann.png
cp "$root/$(cd "$root" && echo build/cache/vladmandic-face-api-*/demo/sample6.jpg)" party.jpg
ffmpeg -nostdin -v error -i "$root/$(cd "$root" && echo build/cache/vladmandic-face-api-*/demo/sample3.jpg)" -vf crop=460:540:950:140 today.jpg
cp "$gallery" staff.db
ffmpeg -nostdin -v error -i "$clip" -f lavfi -i sine=440:sample_rate=48000 -map 0 -map 1 -shortest -c:v libx264 -g 12 -preset veryfast -c:a aac tape.mkv
ffmpeg -nostdin -v error -i tape.mkv -c copy tapes/one.mkv
ffmpeg -nostdin -v error -i tape.mkv -map 0:v -c:v libx264 -bf 0 -g 12 -preset veryfast -f mpegts camera.ts # cameras send no B-frames
check 'a film for the cookbook'

camera=
if /usr/bin/python3 -c 'import gi; gi.require_version("GstRtspServer", "1.0")' 2>/dev/null; then
    mkfifo port hold
    exec 8<>port 9<>hold # both ends, so that no open waits for the other
    /usr/bin/python3 "$root/tests/tools/rtsp_server.py" stream=camera.ts >port 2>server.log <hold 8<&- 9<&- &
    server=$!
    read -r port <&8 && camera=rtsp://127.0.0.1:$port/stream
fi

n=0
awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on && NF' "$page" >lines
while IFS= read -r line <&3; do
    n=$((n + 1))
    case $line in
    *rtsp:*) [ "$camera" ] || { echo "ok $line # SKIP no GStreamer RTSP server"; continue; } ;;
    esac
    run=$(printf '%s\n' "$line" | sed "s|rtsp://camera.example/stream|$camera|; s|ffmpeg -|ffmpeg -nostdin -v error -y -|g")
    (eval "$run") >log 2>&1 </dev/null
    status=$?
    wrote=$(printf '%s\n' "$line" | grep -o '[a-z][a-z-]*\.\(mkv\|png\|vtt\|csv\|jsonl\|html\|json\|m3u8\|ffmeta\)\b' | sort -u)
    for f in $wrote; do [ -s "$f" ] || { echo "$f is not there" >>log; status=1; }; done
    if [ $status = 0 ]; then
        echo "ok $line"
    else
        echo "not ok $line"
        tail -n 5 log | sed 's/^/# /'
        rc=1
    fi
done 3<lines
[ $n -ge 20 ]
check 'twenty lines at least'

[ "$(ffprobe -v error -show_chapters chapters.mkv | grep -c Ann)" -ge 1 ]
check 'chapters name Ann'
grep -q 'Ann Miller' names/one.mkv.jsonl 2>/dev/null || grep -rq 'Ann Miller' names --include='*.jsonl'
check 'annotate names Ann'
grep -q '"event":"enter"' door.jsonl 2>/dev/null || [ -z "$camera" ]
check 'the camera has events'
exit $rc
