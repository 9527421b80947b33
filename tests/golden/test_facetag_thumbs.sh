#!/bin/sh
# facetag's thumbs: a picture a track, named in the log, of the face that the log says; nothing without the option; folders that will not do.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"
mkdir "$work/thumbs"

ff -i "$clip" -vf "$f:thumbs=$work/thumbs:log=$work/log.jsonl" -f null - &&
    python3 - "$work" <<'PY'
import json, os, re, sys
work = sys.argv[1]
events = [json.loads(line) for line in open(f'{work}/log.jsonl', encoding='utf-8')]
files = sorted(os.listdir(f'{work}/thumbs'))
named = {e['track']: e['thumb'] for e in events if e['event'] == 'leave'}
assert sorted(named.values()) == files and len(files) >= 5, (named, files)
for track, name in named.items():
    assert re.fullmatch(r'\d{8}T\d{6}\.\d{6}Z-track%d\.jpg' % track, name), name
    assert os.stat(f'{work}/thumbs/{name}').st_mode & 0o777 == 0o600, name
assert all(e.get('thumb') == named[e['track']] for e in events)
ann = next(e for e in events if e['event'] == 'leave' and e['name'] == 'Ann')
os.rename(f'{work}/thumbs/{ann["thumb"]}', f'{work}/ann-thumb.jpg')
PY
check 'one picture a track, named in every line, readable by its owner alone'
size=$(build/bin/ffprobe -v error -show_entries stream=width,height,pix_fmt -of csv=p=0 "$work/ann-thumb.jpg")
case $size in
160,*,yuvj420p|*,160,yuvj420p) ;;
*) ! echo "size $size" ;;
esac
check 'at most 160 pixels'
build/bin/mien verify --claim Ann "$work/ann-thumb.jpg" --gallery "$gallery" >"$work/verify" 2>&1
check "Ann's picture shows Ann"
ff -i "$clip" -vf "format=gray,facetag=mode=detect:thumbs=$work/thumbs" -frames:v 12 -f null - && ff -i "$work/thumbs/$(ls "$work/thumbs" | tail -n 1)" -f null -
check 'mode detect, gray frames, no log'

fails 'no such folder' 'none' "$f:thumbs=$work/none"
fails 'a file instead of a folder' 'no folder' "$f:thumbs=$clip"
# As on a full disk: no file may grow.
mkdir "$work/full"
(trap '' XFSZ; ulimit -f 0; ff -i "$clip" -vf "facetag=mode=detect:thumbs=$work/full:log=pipe\\\\:1" -f null - 2>&1; echo "status $?") | cat >"$work/out"
[ -z "$(ls -A "$work/full")" ] && grep -q '"leave"' "$work/out" && ! grep -q '"thumb"' "$work/out" && grep -qx 'status 0' "$work/out"
check 'pictures that cannot be written end nothing and leave nothing behind'
(trap '' XFSZ; ulimit -f 0; V=warning ff -i "$clip" -vf "facetag=mode=detect:thumbs=$work/full" -f null - 2>&1) | grep -c 'cannot write' >"$work/out"
[ "$(cat "$work/out")" = 1 ]
check '... with one warning'
exit $rc
