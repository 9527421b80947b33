#!/bin/sh
# facetag's logs: every format by the names' endings, several at once, in FFmpeg's own readers; order, odd names, a changing picture size,
# files that cannot be written, and what a killed run leaves.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
ann='<i>=Ann; "A" & #1\'
setup
f="facetag=gallery=$gallery"

odd='odd\\\\|name' # of two levels of escapes one is left for us
( cd "$work" && "$OLDPWD/build/bin/ffmpeg" -v error -nostdin -i clip.mkv -vf "$f:log=a.jsonl|a.vtt|a.srt|a.csv|a.ffmeta|$odd" -f null - )
check 'five formats and a name with a bar in one run'
[ -f "$work/odd|name" ] && [ "$(wc -l <"$work/a.jsonl")" = "$(wc -l <"$work/odd|name")" ]
check 'an unknown ending is jsonl'
python3 - "$work" <<'PY'
import csv, json, re, sys
work, ann = sys.argv[1], '<i>=Ann; "A" & #1\\'
read = lambda name: open(f'{work}/{name}', encoding='utf-8', newline='').read()
events = [json.loads(line) for line in read('a.jsonl').splitlines()]
assert all(e['v'] == 1 for e in events)
left = sorted((e for e in events if e['event'] == 'leave'), key=lambda e: e['first_s'])
title = lambda e: e['name'] or e['status']
want = sorted((e['first_s'], title(e)) for e in left)
assert any(e['name'] == ann for e in left) and len(left) >= 5, left
seconds = lambda t: sum(float(x) * k for x, k in zip(t.replace(',', '.').split(':'), (3600, 60, 1)))

vtt = read('a.vtt').split('\n\n')
assert vtt[0] == 'WEBVTT' and vtt[-1] == ''
cues = [re.fullmatch(r'track (\d+) (\w+)\n(\S+) --> (\S+)\n([^\n]*)', c).groups() for c in vtt[1:-1]]
starts = [seconds(c[2]) for c in cues]
assert starts == sorted(starts), 'order of the cues'
plain = lambda s: s.replace('&lt;', '<').replace('&gt;', '>').replace('&amp;', '&')
assert sorted((seconds(c[2]), plain(c[4])) for c in cues) == want
assert all(seconds(c[3]) > seconds(c[2]) for c in cues)

srt = read('a.srt').split('\n\n')[:-1]
assert [c.split('\n')[0] for c in srt] == [str(i + 1) for i in range(len(left))]
assert [seconds(c.split('\n')[1].split(' --> ')[0]) for c in srt] == starts

rows = list(csv.DictReader(open(f'{work}/a.csv', encoding='utf-8', newline='')))
assert sorted((float(r['first_s']), r['name'] or r['status']) for r in rows) == want, rows
assert read('a.csv').count('\r\n') == len(rows) + 1
chapters = [re.fullmatch(r'\[CHAPTER\]\nTIMEBASE=1/1000\nSTART=(\d+)\nEND=(\d+)\ntitle=(.*)', c).groups() for c in read('a.ffmeta').split('\n\n')[1:-1]]
assert len(chapters) >= 2 and all(int(a[1]) <= int(b[0]) and int(a[0]) < int(b[0]) for a, b in zip(chapters, chapters[1:])), chapters
PY
check 'the formats say the same of every appearance, cues in order'
# it drops a cue that repeats the one before it
distinct() { awk 'BEGIN { RS = ""; FS = "\n" } NF == 3 { print $2 $3 }' "$1" | uniq | wc -l; }
for i in vtt srt; do
    ff -i "$work/a.$i" -f srt - >"$work/back.$i" && [ "$(grep -c -e '-->' "$work/back.$i")" = "$(distinct "$work/a.$i")" ] &&
        grep -q 'Ann; "A" & #1\\' "$work/back.$i"
    check "ffmpeg reads $i, odd name included"
done
for to in mkv mp4; do
    ff -y -i "$clip" -i "$work/a.ffmeta" -map_metadata 1 -c:v mpeg4 "$work/chapters.$to" &&
        build/bin/ffprobe -v error -show_chapters -of json "$work/chapters.$to" >"$work/chapters.json" &&
        python3 - "$work/chapters.json" "$work/a.ffmeta" <<'PY'
import json, sys
chapters = json.load(open(sys.argv[1], encoding='utf-8'))['chapters']
assert len(chapters) == open(sys.argv[2], encoding='utf-8').read().count('[CHAPTER]'), chapters
assert any('<i>=Ann; "A" & #1\\' in c['tags']['title'] for c in chapters) and not any('\n' in c['tags']['title'] for c in chapters), chapters
PY
    check "chapters in $to"
done

# Cut anywhere, as by a kill: what came whole is still there.
n=$(wc -l <"$work/a.vtt") i=2 bad=0
while [ $i -le "$n" ]; do
    head -n $i "$work/a.vtt" >"$work/cut.vtt"
    ff -i "$work/cut.vtt" -f srt - >"$work/cut.srt" 2>"$work/err" || [ $i -lt 5 ] || bad=$i # a film without a cue has nothing to write
    whole=$(distinct "$work/cut.vtt")
    [ "$(grep -c -e '-->' "$work/cut.srt")" -ge "$whole" ] || bad=$i
    i=$((i + 1))
done
[ $bad = 0 ]
check "a vtt cut behind any line is readable (line $bad of $n)"

# A stream that changes its size has its graph built anew: one head, entries counted on.
ff -y -i "$clip" -vf scale=320:180 -frames:v 24 -c:v mjpeg -q:v 2 -f mjpeg "$work/1.mjpg" && ff -y -i "$clip" -frames:v 24 -c:v mjpeg -q:v 2 -f mjpeg "$work/2.mjpg" &&
    cat "$work/1.mjpg" "$work/2.mjpg" >"$work/sizes.mjpg" &&
    ff -f mjpeg -i "$work/sizes.mjpg" -vf "$f:log=$work/s.vtt|$work/s.srt|$work/s.csv" -f null - 2>/dev/null &&
    [ "$(grep -c WEBVTT "$work/s.vtt")" = 1 ] && [ "$(grep -c '^name,' "$work/s.csv")" = 1 ] &&
    awk 'BEGIN { RS = ""; FS = "\n" } $1 != NR { bad = 1 } END { exit bad || NR < 2 }' "$work/s.srt" &&
    [ "$(grep -c -e '-->' "$work/s.vtt")" = "$(($(wc -l <"$work/s.csv") - 1))" ]
check 'a new graph continues every format'
ff -i "$clip" -frames:v 1 -vf "facetag=mode=detect:log=$work/e.vtt|$work/e.csv" -f null - && head -n 1 "$work/e.vtt" | grep -q '^WEBVTT$' &&
    head -n 1 "$work/e.csv" | grep -q ^name,
check 'a short run leaves valid files'
ff -i "$clip" -vf "$f:format=csv:log=pipe\\\\:1" -f null - >"$work/piped"
for i in piped a.csv; do sed 's/,[^,]*$//' "$work/$i"; done | sort | uniq -c | awk '$1 != 2 { bad = 1 } END { exit bad || NR < 5 }' # less the wall clock
check 'format=csv on a pipe'

fails 'an empty name in the list' 'empty name' "$f:log=$work/x.jsonl||$work/y.vtt"
fails 'a log named twice' 'named twice' "$f:log=$work/x.jsonl|$work/x.jsonl"
fails 'the second of two logs cannot be opened' 'no/such' "$f:log=$work/x.jsonl|$work/no/such.vtt"
fails 'a full disk under the second log' '/dev/full' "$f:log=$work/full.jsonl|/dev/full"
[ "$(grep -c '"event"' "$work/full.jsonl")" -gt 0 ]
check '... and the first log has the event'
fails 'a full disk under the head of a vtt' '/dev/full' "$f:format=vtt:log=/dev/full"
fails 'one file in two formats' 'different formats' "$f:log=$work/two,$f:format=csv:log=$work/two"
exit $rc
