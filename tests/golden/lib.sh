# lib.sh — what the golden tests of facetag share; sourced from the repository's root by tests/golden/test_*.sh.
#
# The clip is made here from two photographs of an npm package that `make models` has fetched anyway: 24 frames that pan over
# three people (0 to 0.96 s), 6 without anybody, 24 that pan over four others (1.2 to 2.16 s). Of the seven, two are enrolled, each from another cut of the
# photograph. Nothing of it lies in the repository.

rc=0
: "${MIEN_MODELS:=$PWD/build/models}"; export MIEN_MODELS
check() { if [ $? = 0 ]; then echo "ok $1"; else echo "not ok $1"; rc=1; fi; }

skip() { echo "ok $1 # SKIP $2"; exit 0; }

ff() { build/bin/ffmpeg -hide_banner -nostdin -v "${V:-error}" "$@"; }

setup() {
    photos=$(echo build/cache/vladmandic-face-api-*/demo)
    [ -f "$photos/sample3.jpg" ] || skip facetag "no photographs: make models fetches them"
    [ -x build/bin/ffmpeg ] || skip facetag "configured with --disable-dropin"
    [ -x build/bin/mien ] || skip facetag "configured with --disable-tool"
    work=${TMPDIR:-$(mktemp -d)}
    clip=$work/clip.mkv
    gallery=$work/gallery.db
    ff -y -loop 1 -i "$photos/sample3.jpg" -loop 1 -i "$photos/sample6.jpg" -filter_complex "
        [0]trim=end_frame=24,scale=768:540,crop=640:360:x='100-2*n':y='n',format=yuv420p,setsar=1[a];
        color=gray:s=640x360:r=25,trim=end_frame=6,format=yuv420p,setsar=1[b];
        [1]trim=end_frame=24,scale=768:614,crop=640:360:x='2*n':y='100-n',format=yuv420p,setsar=1[c];
        [a][b][c]concat=n=3" -c:v ffv1 "$clip" || exit 1
    ff -y -i "$photos/sample3.jpg" -vf crop=420:500:970:160 "$work/ann.png" || exit 1
    ff -y -i "$photos/sample6.jpg" -vf crop=440:480:580:260 "$work/bob.png" || exit 1
    build/bin/mien enroll "$ann" "$work/ann.png" --gallery "$gallery" >"$work/enroll.log" 2>&1 &&
        build/bin/mien enroll "$bob" "$work/bob.png" --gallery "$gallery" >>"$work/enroll.log" 2>&1 ||
        { cat "$work/enroll.log"; exit 1; }
}
ann='Ann' bob='Bob 李'

# tags CHAIN [OUTPUT OPTIONS]: run the clip through a chain, print a line a frame: time, count; per face: track status box similarity name
tags() {
    chain=$1; shift
    ff -i "${in:-$clip}" -vf "$chain,metadata=print:file=$work/tags.meta" "$@" -f null - || return 1
    lines <"$work/tags.meta"
}
lines() {
    awk '
        function flush(   i, s) {
            if (time == "") return
            s = time " " (count == "" ? "-" : count)
            for (i = 0; i < count; i++)
                s = s " | " v[i ".track"] " " v[i ".status"] " " v[i ".x"] " " v[i ".y"] " " v[i ".w"] " " v[i ".h"] \
                    " " (((i ".similarity") in v) ? v[i ".similarity"] : "-") " " (((i ".name") in v) ? v[i ".name"] : "-")
            print s
            count = ""; delete v
        }
        /^frame:/ { flush(); time = $0; sub(/.*pts_time:/, "", time); next }
        { i = index($0, "="); key = substr($0, 1, i - 1); sub(/^lavfi\.facetag\./, "", key)
          if (key == "count") count = substr($0, i + 1); else v[key] = substr($0, i + 1) }
        END { flush() }'
}

# near REF OUT: the same lines, up to 3 pixels in a box and 0.03 in a similarity: what CPUs differ by in float sums
near() {
    awk -v ref="$1" '
        function bad(why) { print FNR ": " why "\n  reference: " r "\n  now:       " $0; n++ }
        { if ((getline r < ref) <= 0) { bad("more lines than the reference"); exit }
          na = split(r, a, " "); nb = split($0, b, " ")
          if (na != nb) { bad("other faces"); next }
          face = 0
          for (i = 1; i <= na; i++) {
              if (a[i] == "|") face = i
              k = face ? i - face : 0
              if (k >= 3 && k <= 6) ok = (b[i] - a[i] <= 3 && a[i] - b[i] <= 3)
              else if (k == 7 && a[i] != "-" && b[i] != "-") ok = (b[i] - a[i] <= .03 && a[i] - b[i] <= .03)
              else ok = (a[i] "" == b[i] "")
              if (!ok) { bad("field " i); break }
          } }
        END { if (!n && (getline r < ref) > 0) { print "fewer lines than the reference"; n++ } exit n > 0 }' "$2"
}

# golden NAME: compare standard input with the reference; GEN=1 writes it
golden() {
    cat >"$work/out"
    ref=tests/golden/ref/$1
    if [ "${GEN:-}" = 1 ]; then cp "$work/out" "$ref"; fi
    near "$ref" "$work/out"
}

# fails WHAT PATTERN CHAIN: ffmpeg ends with an error below 128, and exactly one line of the filter (facetag, or $filter) matches
fails() {
    V=error ff -i "$clip" -vf "$3" -f null - 2>"$work/err"
    status=$?
    # "Failed to configure input pad" is libavfilter's own
    grep "^\[\(Parsed_\)\{0,1\}${filter:-facetag}" "$work/err" | grep -v 'Failed to configure input pad' >"$work/ours"
    n=$(wc -l <"$work/ours")
    if [ $status != 0 ] && [ $status -lt 128 ] && [ "$n" = 1 ] && grep -q -- "$2" "$work/ours"; then
        echo "ok $1"
    else
        echo "not ok $1 (status $status, $n lines)"; cat "$work/err"; rc=1
    fi
}
