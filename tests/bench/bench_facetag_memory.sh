#!/bin/sh
# Memory over a long run: facetag on FRAMES frames (10,000) of a small clip, drawing and logging; resident memory is read after a
# fifth and at the end and may differ by 4 MB.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
frames=${FRAMES:-10000}
build/bin/ffmpeg -hide_banner -nostdin -v error -stream_loop -1 -i "$clip" -frames:v "$frames" \
    -vf "scale=320:180,facetag=gallery=$gallery:draw=all:log=$work/memory.jsonl" -progress "$work/progress" -f null - &
pid=$!
rss() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' /proc/$pid/status 2>/dev/null; }
early='' now=''
while kill -0 $pid 2>/dev/null; do
    sleep 0.5
    n=$(sed -n 's/^frame=//p' "$work/progress" 2>/dev/null | tail -n 1)
    r=$(rss)
    [ -n "$r" ] && now=$r
    if [ -z "$early" ] && [ "${n:-0}" -ge $((frames / 5)) ]; then early=$now; fi
done
wait $pid
check "$frames frames"
echo "resident after a fifth: $early kB, at the end: $now kB"
[ -n "$early" ] && [ $((now - early)) -lt 4096 ]
check 'memory is flat'
exit $rc
