#!/bin/sh
# facetag=redact=: on a film whose faces are at known places, each pixel of whoever is to be covered is, nobody else is and nothing else changes;
# look-ahead, ends, seeks, sizes; commands; the report; people who are forgotten meanwhile.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

# A room of moving patterns. Ann stands there from the beginning and walks to the right; Bob comes in from the right and leaves again, and
# stands in the middle of the room all at once from frame 60 to 79.
room=$work/room.mkv
ff -y -loop 1 -i "$work/ann.png" -loop 1 -i "$work/bob.png" -filter_complex "
    gradients=s=640x360:r=25:c0=0x806040:c1=0x304050:c2=0x607050:nb_colors=3:seed=7:speed=0.02[s];
    [0]fps=25,scale=168:200,setsar=1[a];[1]fps=25,scale=184:200,setsar=1,split[b][c];
    [s][a]overlay=x=10+2*n:y=70[t];
    [t][b]overlay=x='640-12*if(lt(n\,20)\,n\,40-n)':y=60:enable='lt(n,40)'[u];
    [u][c]overlay=x=330:y=90:enable='between(n,60,79)',format=yuv420p" -frames:v 100 -c:v ffv1 "$room" || exit 1
ff -y -i "$room" -f rawvideo "$work/in.yuv"
# where a face lies in its portrait: what the detector says of the picture alone
face_of() {
    ff -y -i "$1" -vf "scale=$2:200" "$work/portrait.png" && build/bin/mien detect --json "$work/portrait.png" | tr -d '\n\t ' |
        sed 's/.*"box_px":{"x":\([-0-9.]*\),"y":\([-0-9.]*\),"w":\([0-9.]*\),"h":\([0-9.]*\)}.*/\1 \2 \3 \4/'
}
ann_box=$(face_of "$work/ann.png" 168) bob_box=$(face_of "$work/bob.png" 184)

# people ANN BOB: the list for covered.py. Before the look-ahead of a beginning and after an end, where a face was is free.
people() {
    awk -v ann="$ann_box" -v bob="$bob_box" -v what_ann="$1" -v what_bob="$2" 'BEGIN {
        split(ann, a, " "); split(bob, b, " ")
        for (n = 0; n < 100; n++) {
            if (what_ann != "") print n, 10 + 2 * n + a[1], 70 + a[2], a[3], a[4], what_ann
            x = 640 - 12 * (n < 20 ? n : 40 - n) + b[1]
            # half a face at the edge may not be found
            if (n < 40) print n, x, 60 + b[2], b[3], b[4], (x + b[3] * .7 < 640 ? what_bob : "free")
            else if (n < 60) for (i = -2; i < 3; i++) print n, 640 + i * 60 + b[1] - 60, 60 + b[2], b[3], b[4], "free"
            print n, 330 + b[1], 90 + b[2], b[3], b[4], (n >= 60 && n < 80 ? what_bob : "free")
        } }' >"$work/people"
}
# redacted NAME ANN BOB OPTIONS
redacted() {
    name=$1; people "$2" "$3"
    ff -y -i "$room" -vf "$4,format=yuv420p" -f rawvideo "$work/out.yuv" &&
        python3 tests/golden/covered.py 640 360 "$work/in.yuv" "$work/out.yuv" "$work/people" >"$work/count" || { cat "$work/count"; false; }
    check "$name"
}

redacted 'all: no pixel of a face is left, nothing else changes' covered covered "$f:redact=all"
redacted 'unknown: a known person stays' visible visible "$f:redact=none"
# Ann is undecided on the first frames at most, and the cover of Bob may reach her: where she is visible is asked of the report below
redacted 'except: all but Ann' free covered "$f:redact=except:who=$ann:redact_report=$work/report.jsonl"
redacted 'only: none but Bob' free covered "$f:redact=only:who=$bob"
redacted 'without look-ahead those who stand there are covered' covered free "$f:redact=all:lookahead=0:interval=1"

python3 - "$work" "$ann_box" <<'PY'
import json, sys
work, box = sys.argv[1], [float(v) for v in sys.argv[2].split()]
lines = [json.loads(line) for line in open(work + "/report.jsonl", encoding="utf-8")]
end = lines.pop()
assert end["event"] == "end" and end["frames"] == 100 and end["lost"] == 0 and end["whole"] == 0, end
frames = set()
for line in lines:
    assert line["event"] == "visible" and line["name"] == "Ann" and line["why"] == "excepted" and line["status"] == "known", line
    x, y, w, h = line["first_box"]
    assert abs(x + w / 2 - (10 + 2 * line["first_frame"] + box[0] + box[2] / 2)) < 30, line
    frames |= set(range(line["first_frame"], line["last_frame"] + 1))
assert len(frames) == end["visible"] > 80 and min(frames) < 12, (len(frames), end)
PY
check 'the report lists Ann, and the frames on which she was seen'

# the report and the pictures agree: the middle of Ann's face is as it was on the frames of the report, and covered on all others
ff -y -i "$room" -vf "$f:redact=except:who=$ann,format=yuv420p" -f rawvideo "$work/out.yuv" && python3 - "$work" "$ann_box" <<'PY'
import json, sys
work, box = sys.argv[1], [float(v) for v in sys.argv[2].split()]
frames = set()
for line in open(work + "/report.jsonl", encoding="utf-8"):
    line = json.loads(line)
    if line["event"] == "visible":
        frames |= set(range(line["first_frame"], line["last_frame"] + 1))
size, same = 640 * 360 * 3 // 2, 0
with open(work + "/in.yuv", "rb") as a, open(work + "/out.yuv", "rb") as b:
    for n in range(100):
        x, y = int(10 + 2 * n + box[0] + box[2] / 2) - 8, int(70 + box[1] + box[3] / 2)
        p, q = a.read(size), b.read(size)
        p, q = (f[y * 640 + x:y * 640 + x + 16] for f in (p, q))
        if n not in frames:
            assert set(q) == {60}, n
        same += p == q
assert same > 60, same  # elsewhere Bob's cover lies over her
PY
check 'report and pictures agree'

# ---- frames in, frames out
ff -i "$clip" -f framemd5 - | grep -v '^#' >"$work/want"
stamps() { awk -F, '{ print $3, $4 }'; }
for n in 0 25 250; do
    ff -i "$clip" -vf "$f:redact=spoof:liveness=require:lookahead=$n" -f framemd5 - | grep -v '^#' | stamps >"$work/got"
    stamps <"$work/want" | cmp -s - "$work/got" || { echo "lookahead=$n"; false; }
    check "lookahead=$n: every frame comes out, in order, with its time stamps"
done
ff -i "$clip" -vf "$f:redact=none:redact_report=$work/none.jsonl:lookahead=7" -f framemd5 - | grep -v '^#' | cmp -s - "$work/want" &&
    grep -q '"why":"off"' "$work/none.jsonl" && ! grep -q '"why":"[^o]' "$work/none.jsonl"
check 'redact=none with a report: not a bit changes'
ff -i "$clip" -vf "$f:redact=all:enable='between(t,0.2,0.5)'" -f framemd5 - | grep -v '^#' >"$work/got"
awk -F, 'NR == FNR { md5[FNR] = $6; next } { same = md5[FNR] == $6; t = $3 / 25
         if (same != (t < .19 || t > .51)) { print "frame", FNR, t, same; bad = 1 } } END { exit bad || FNR != 54 }' "$work/want" "$work/got"
check 'enable: frames outside pass as they are, in order'
V=warning ff -stream_loop 2 -i "$clip" -vf "setpts='if(lt(N,60),N,N-50)/25/TB',$f:redact=all:lookahead=12" -vsync 0 -f framemd5 - 2>/dev/null | grep -v '^#' | wc -l >"$work/got"
[ "$(cat "$work/got")" = 162 ]
check 'time stamps that go back: no frame is lost'
# a size that changes: ffmpeg takes the filters down
ff -y -i "$clip" -c:v mjpeg -q:v 2 -f mjpeg "$work/big.mjpg" && ff -y -i "$clip" -vf scale=320:180 -c:v mjpeg -q:v 2 -f mjpeg "$work/small.mjpg" &&
    cat "$work/big.mjpg" "$work/small.mjpg" >"$work/sizes.mjpg"
V=warning ff -i "$work/sizes.mjpg" -vf "$f:redact=all:redact_report=$work/sizes.jsonl" -f null - 2>"$work/err"
grep -q '25 frames that waited for their look-ahead are lost' "$work/err" && grep -q '"lost":25' "$work/sizes.jsonl" &&
    grep -q '"frames":54,.*"lost":0' "$work/sizes.jsonl"
check 'a size that changes in mid-stream: what is lost is said'
V=warning ff -reinit_filter 0 -i "$work/sizes.mjpg" -vf "scale=640:360,$f:redact=all" -f framemd5 - 2>"$work/err" >"$work/got"
[ "$(grep -vc '^#' "$work/got")" = 108 ] && ! grep -q 'are lost' "$work/err"
check 'and with -reinit_filter 0 nothing is'
V=warning ff -reinit_filter 0 -i "$work/sizes.mjpg" -vf "$f:redact=all:draw=box,scale=640:360" -f framemd5 - 2>"$work/err" >"$work/got"
[ "$(grep -vc '^#' "$work/got")" = 108 ] && ! grep -q 'are lost' "$work/err"
check 'nor where facetag itself sees both sizes'
for fmt in nv12 yuva444p10le gbrp ya8; do
    ff -t 0.4 -i "$clip" -vf "format=$fmt,$f:redact=all:effect=blur" -f framemd5 - | grep -v '^#' | wc -l | grep -qx 10 || { echo "$fmt"; false; }
    check "effect=blur on $fmt"
done

# ---- what is refused
fails 'except without names' 'needs names' "$f:redact=except"
fails 'who without except' 'does not go by names' "$f:redact=all:who=$ann"
fails 'who without redact' 'does not go by names' "$f:who=$ann"
fails 'a name that nobody has' "who: 'Anne' is not in the gallery" "$f:redact=only:who=$ann|Anne"
fails 'spoof without liveness' 'only with liveness=require' "$f:redact=spoof"
fails 'names in mode detect' 'mode=detect asks for none' "facetag=mode=detect:redact=unknown"
fails 'who in mode verify' 'leave who out' "$f:mode=verify:claim=$ann:redact=except:who=$ann"
build/bin/mien ignore --gallery "$gallery" "$bob" >/dev/null
fails 'an ignored person cannot be told apart' 'is on the ignore list' "$f:redact=only:who=$bob"
build/bin/mien ignore --gallery "$gallery" --off "$bob" >/dev/null

# ---- commands
commands() { ff -i "$clip" -vf "sendcmd=c='$1',$f:lookahead=5$2" -f framemd5 - | grep -v '^#' >"$work/got"; }
changed() { # from to: frames of $work/got that differ from the clip, with a face
    awk -F, -v from="$1" -v to="$2" 'NR == FNR { md5[FNR] = $6; next } { want = FNR - 1 >= from && FNR - 1 <= to && (FNR <= 24 || FNR > 30)
        if ((md5[FNR] != $6) != want) { print "frame", FNR - 1; bad = 1 } } END { exit bad || FNR != 54 }' "$work/want" "$work/got"
}
commands '0.5 facetag redact all' '' && changed 13 53
check 'command redact: covers from that frame on'
commands '0.5 facetag redact none' ':redact=all' && changed 0 12
check 'and stops there'
commands '0.3 facetag who Nobody;0.4 facetag redact only;0.5 facetag effect mosaic' ':redact=all' 2>/dev/null && changed 0 53
check 'a command that fails leaves all as it was'
commands "0.5 facetag who $ann;0.52 facetag redact except" ':redact=all' && echo "0.5 facetag claim '$bob';" >"$work/commands" &&
    ff -i "$clip" -vf "sendcmd=f=$work/commands,$f:mode=verify:claim=$ann:redact=except:lookahead=3:redact_report=$work/claim.jsonl" -f null - &&
    grep -q '"name":"Ann","why":"excepted"' "$work/claim.jsonl" && grep -q '"name":"Bob 李","why":"excepted"' "$work/claim.jsonl"
check 'commands who and claim'

# ---- Bob is forgotten while only he is covered: from then on all are
build/bin/mien backup --gallery "$gallery" "$work/copy.db" >/dev/null && : >"$work/live" || echo 'not ok backup'
V=warning ff -stream_loop 19 -i "$clip" -vf "facetag=gallery=$work/copy.db:redact=only:who=$bob:redact_report=$work/forget.jsonl,metadata=print:file=-" \
    -f null - 2>"$work/err" | while IFS= read -r line; do
    case $line in *.name=Bob*) [ -s "$work/live" ] || build/bin/mien forget --yes --gallery "$work/copy.db" "$bob" >"$work/live" 2>&1 || echo failed >"$work/live" ;; esac
done
grep -q 'everybody is covered' "$work/err" && python3 - "$work/forget.jsonl" <<'PY'
import json, sys
last = max(json.loads(line).get("last_frame", -1) for line in open(sys.argv[1], encoding="utf-8"))
sys.exit(not 0 < last < 54 * 20 - 100)
PY
check 'a person who is forgotten meanwhile: everybody is covered'
exit $rc
