#!/bin/sh
# mien timeline: logs to tables, JSON, a page in a browser, a cut list in ffmpeg.

cd "$(dirname "$0")/../.." || exit 1
. tests/cli/lib.sh

# event KIND TRACK STATUS NAME FIRST LAST WALL_SECOND; NAME null or JSON
event() {
    printf '{"v":1,"event":"%s","track":%s,"status":"%s","name":%s,"id":null,"similarity":0.5,"first_s":%s,"last_s":%s,"first_frame":%.0f,"last_frame":%.0f,"wall":"2026-11-23T21:40:%s.500Z"}\n' \
        "$1" "$2" "$3" "$4" "$5" "$6" "$(awk "BEGIN { print $5 * 25 }")" "$(awk "BEGIN { print $6 * 25 }")" "$7"
}
{
    event enter 1 known '"Ann"' 2 2.2 02
    event enter 2 unrecognised null 3 3.2 03
    event update 2 known '"Bob <b>\"&'\''</b>"' 3 4 04
    event leave 1 known '"Ann"' 2 4 04
    event enter 3 known '"Ann"' 5 5.2 05
    event leave 3 known '"Ann"' 5 6 06
    event retract 2 unrecognised null 3 7 07
    event leave 2 unrecognised null 3 8 08
    event enter 4 spoof null 9 9.2 09
    event leave 4 spoof null 9 10 10
    event enter 5 known '"Ann"' 15 15.2 15
    event leave 5 known '"Ann"' 15 16 16
    event enter 6 known '"Bob <b>\"&'\''</b>"' 17 17.2 17
} >"$work/tape.jsonl"
timeline="$mien timeline"

t "as JSON" 0 $timeline "$work/tape.jsonl" --json
json_is appearances 5
json_is appearances.0.name Ann
json_is appearances.0.from_s 2.0
json_is appearances.0.to_s 6.0
json_is appearances.0.tracks 2
json_is appearances.1.status unrecognised
json_is appearances.1.name null
json_is appearances.4.name "Bob <b>\"&'</b>"
json_is appearances.4.open true
json_is people.0.name Ann
json_is people.0.seconds 5.0
t "nothing merged" 0 $timeline "$work/tape.jsonl" --gap 0 --json
json_is appearances 6
t "all merged" 0 $timeline "$work/tape.jsonl" --gap 100 --json
json_is appearances 4
t "of two people" 0 $timeline "$work/tape.jsonl" --person Ann --person "Bob <b>\"&'</b>" --json
json_is appearances 3
t "of a status" 0 $timeline "$work/tape.jsonl" --status spoof
out_has "0:00:09.0"
out_lacks Ann
t "as a table" 0 $timeline "$work/tape.jsonl" "$work/tape.jsonl"
out_has "$work/tape.jsonl"
out_has "0:00:17.2+"
t "nobody of that name" 1 $timeline "$work/tape.jsonl" --person Eve
t "from stdin" 0 sh -c "cat '$work/tape.jsonl' | $timeline - --person Ann"
t "by the wall clock" 0 env TZ=UTC "$mien" timeline "$work/tape.jsonl" --clock wall --person Ann
out_has "2026-11-23 21:40:02  2026-11-23 21:40:06"

# logs of other hands
sed 's/"v":1,//' "$work/tape.jsonl" >"$work/old.jsonl"
t "a log without a schema number" 0 $timeline "$work/old.jsonl" --json
json_is appearances 5
sed 's/"v":1/"v":2/' "$work/tape.jsonl" >"$work/new.jsonl"
t "a log of a newer schema" 2 $timeline "$work/new.jsonl"
err_has "line 1"
err_has "schema"
head -c 900 "$work/tape.jsonl" >"$work/cut.jsonl"
t "a log cut short" 0 $timeline "$work/cut.jsonl"
err_has "cut short"
{ cat "$work/tape.jsonl"; echo '{"event":"enter"}'; } >"$work/bad.jsonl"
t "a line that is no event" 2 $timeline "$work/bad.jsonl"
err_has "line 14"
: >"$work/empty.jsonl"
t "an empty log" 1 $timeline "$work/empty.jsonl"
t "two runs in one log" 0 sh -c "cat '$work/tape.jsonl' '$work/tape.jsonl' | $timeline - --gap 0 --json"
json_is appearances 8 # of the same film: Ann's merge
t "no such log" 2 $timeline "$work/none.jsonl"
err_has none.jsonl
t "videos that do not fit" 2 $timeline "$work/tape.jsonl" --html "$work/x.html" --video a --video b
t "a cut without a film" 2 $timeline "$work/tape.jsonl" --cut Ann
t "a cut by the wall clock" 2 $timeline "$work/tape.jsonl" --cut Ann --video a --clock wall
t "a film that is not there" 2 $timeline "$work/tape.jsonl" --cut Ann --video "$work/none.mkv"
t "a page that cannot be written" 2 $timeline "$work/tape.jsonl" --html "$work/no/x.html"

# ---- the cut
ffmpeg=ffmpeg
[ -x "$MIEN_BUILD/bin/ffmpeg" ] && ffmpeg=$MIEN_BUILD/bin/ffmpeg
film="$work/it's a film.mkv"
"$ffmpeg" -v error -nostdin -y -f lavfi -i testsrc2=s=160x90:r=25:d=20 -f lavfi -i sine=d=20 -c:v mpeg4 -g 40 -c:a pcm_s16le "$film" || bad "a film"
# cut_lasts NAME SECONDS OPTION...: the cut clip's pictures and sound last so long
cut_lasts() {
    who=$1 want=$2
    shift 2
    t "cut of $who $*" 0 $timeline "$work/tape.jsonl" --cut "$who" --video "$film" "$@"
    cp "$out" "$work/cut.ffconcat"
    "$ffmpeg" -v error -nostdin -y -f concat -safe 0 -segment_time_metadata 1 -i "$work/cut.ffconcat" -vf select=concatdec_select \
        -af aselect=concatdec_select,aresample=async=1 -c:v mpeg4 -c:a pcm_s16le "$work/cut.mkv" 2>"$err"
    for stream in v a; do
        lasts=$("$ffmpeg" -v error -nostdin -i "$work/cut.mkv" -map 0:$stream -f framecrc - |
            awk -F, '/^#tb/ { split($0, tb, /[ /]/); unit = tb[3] / tb[4] } /^[0-9]/ { end = ($3 + $4) * unit } END { print end + 0 }')
        is "$stream lasts $lasts s of $want" awk "BEGIN { exit !($lasts > $want - 0.09 && $lasts < $want + 0.09) }"
    done
}
cut_lasts Ann 5.08
cut_lasts Ann 9.08 --margin 1 --gap 0
cut_lasts "Bob <b>\"&'</b>" 0.24

# ---- the page
t "a page" 0 $timeline "$work/tape.jsonl" "$work/old.jsonl" --html "$work/page.html" --video clip.webm
is "names are escaped" grep -q 'Bob &lt;b&gt;&quot;&amp;&#39;&lt;/b&gt;' "$work/page.html"
is "nothing is fetched from elsewhere" sh -c "! grep -qiE 'https?:|@import|url\(' '$work/page.html'"
t "the same for one log, without a film" 0 $timeline "$work/tape.jsonl" --html "$work/bare.html"
browser=$(command -v chromium) || { echo "ok a page in a browser # SKIP no chromium"; t_end; }
"$ffmpeg" -v error -nostdin -y -f lavfi -i testsrc2=s=160x90:r=25:d=20 -c:v libvpx -b:v 200k -g 25 "$work/clip.webm" || bad "a film for the page"
# dom PAGE FRAGMENT [SCRIPT]: what the page has become, after a script, in $out
dom() {
    page=$work/$1
    if [ $# = 3 ]; then
        page=$work/driven.html
        { cat "$work/$1"; echo "<script>$3</script>"; } >"$page"
    fi
    timeout 60 "$browser" --headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update \
        --disable-sync --user-data-dir="$work/profile" --virtual-time-budget=4000 --dump-dom "file://$page$2" >"$out" 2>/dev/null
    : >"$err"
}
t_name="a deep link"
dom page.html '#t=7.5'
out_has 'data-at="7.500"'
out_has 'id="when">0:00:07.5<'
out_has "ffplay -ss 7.500 'clip.webm'"
is "10 bars in 2 logs" [ "$(grep -c '<button class="\(known\|unrecognised\|spoof\)"' "$out")" = 10 ]
t_name="driven: a click on a bar, one between bars in the second log, keys"
cat >"$work/drive.js" <<'END'
const at = document.body.dataset, bars = [...document.querySelectorAll('.lane button')];
const key = k => document.activeElement.dispatchEvent(new KeyboardEvent('keydown', { key: k, bubbles: true }));
bars[0].focus(); key('ArrowRight'); at.right = bars.indexOf(document.activeElement);
key('End'); at.end = bars.indexOf(document.activeElement);
const lane = document.querySelectorAll('section')[1].querySelector('.lane'), r = lane.getBoundingClientRect();
lane.dispatchEvent(new MouseEvent('click', { bubbles: true, clientX: r.left + r.width / 2 }));
const t = parseFloat(location.hash.slice(3));
at.second = (Math.abs(t - 8.6) < 0.05) + location.hash.slice(-6);
document.querySelectorAll('.lane button.known')[1].click();
at.first = location.hash;
END
dom page.html '' "$(cat "$work/drive.js")"
out_has 'data-at="15.000"'
out_has 'data-first="#t=15.000"'
out_has 'id="what">Ann, 0:00:15.0 to 0:00:16.0, 1.0 s, similarity 0.50<'
out_has 'data-second="true&amp;log=1"'
out_has 'data-right="1"'
out_has 'data-end="9"'
t_name="a page without a film"
dom bare.html '#t=3'
out_has "ffplay -ss 3.000 FILM"
t_end
