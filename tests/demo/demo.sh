#!/bin/sh
# make demo, last step: a clip with known people and strangers, annotated by the installed ffmpeg with facetag, and ten seconds of it
# repainted in two styles with restyle.
#
# The clip is made here by FFmpeg from photographs in the package that the networks come from: a camera moves over them
# (scenes.tsv), some of the people are enrolled under invented names from one picture each (people.tsv), the others are not.
# DEMO_VIDEO=FILE takes a clip of your own, DEMO_PEOPLE=DIR a folder of NAME.jpg (png, …), one picture a person.
# DEMO_OPTIONS are more options for facetag (threshold=0.45:interval=1).
# Results lie in build/demo/ (or DEMO_OUT). Needs what make demo built; writes nowhere else.
set -u
LC_ALL=C; export LC_ALL
cd "$(dirname "$0")/../.." || exit 1

here=tests/demo
bin=build/bin
out=${DEMO_OUT:-build/demo}
video=${DEMO_VIDEO:-}
people=${DEMO_PEOPLE:-}
options=${DEMO_OPTIONS:-}
tab=$(printf '\t')

die() { echo "demo: $*" >&2; exit 1; }

ff() { "$bin/ffmpeg" -nostdin -hide_banner -v error -y "$@"; }

# rows FILE: a table without its comments
rows() { grep -v '^#' "$here/$1"; }

# ---- the clip

# move FROM TO N: the camera's way from one number to another over N frames, easing in and out
move() { echo "($1+($2-($1))*(0.5-0.5*cos(PI*on/$3)))"; }

# One scene. zoompan moves by whole pixels of its input, which would tremble in slow moves; on a photograph enlarged three times
# a step is a fifth of a pixel of the clip. It keeps its input's shape, hence the padding to 16:9.
scene() { # PHOTO FRAMES X0 Y0 W0 X1 Y1 W1 RESULT
    x="($(move "$3" "$6" "$2")+5*sin(on*0.07)+(iw/3-1920)/2)"
    y="($(move "$4" "$7" "$2")+4*sin(on*0.11+1))"
    w=$(move "$5" "$8" "$2")
    ff -i "$photos/$1" -vf "format=yuv444p,pad=w=ceil(ih*8/9)*2:h=ih:x=(ow-iw)/2,scale=3*iw:3*ih:flags=bicubic,\
zoompan=z='iw/3/$w':x='3*($x-$w/2)':y='3*($y-$w*9/32)':d=$2:s=1280x720:fps=25,setsar=1,format=yuv420p" \
        -frames:v "$2" -c:v libx264 -preset veryfast -crf 16 "$9"
}

make_clip() {
    rm -rf "$out/scenes"
    mkdir -p "$out/scenes" || exit 1
    # two scenes at a time: one alone does not keep two cores busy
    scenes 1 & first=$!
    scenes 0 & second=$!
    wait $first && wait $second || die "the clip could not be made"
    for f in "$out"/scenes/*.mp4; do echo "file '${f##*/}'"; done >"$out/scenes/list.txt"
    ff -f concat -i "$out/scenes/list.txt" -c copy -movflags +faststart "$out/clip.new.mp4" || die "the clip could not be joined"
    rm -rf "$out/scenes"
    mv "$out/clip.new.mp4" "$out/clip.mp4"
}

# scenes ODD: every second scene
scenes() {
    n=10
    rows scenes.tsv | while IFS=$tab read -r photo frames x0 y0 w0 x1 y1 w1; do
        n=$((n + 1))
        [ $((n % 2)) = "$1" ] || continue
        scene "$photo" "$frames" "$x0" "$y0" "$w0" "$x1" "$y1" "$w1" "$out/scenes/$n.mp4" || exit 1
    done
}

# The one picture of each person: the face with some surroundings, mirrored, smaller, darker, hard compression. Not a pixel of it
# is in the clip.
make_people() {
    rm -rf "$out/people"
    mkdir -p "$out/people" || exit 1
    rows people.tsv | while IFS=$tab read -r name photo x0 y0 x1 y1 use; do
        [ "$use" = enrol ] || continue
        m=$(((x1 - x0 + y1 - y0) / 5))
        ff -i "$photos/$photo" -frames:v 1 -update 1 \
            -vf "crop=$((x1 - x0 + 2 * m)):$((y1 - y0 + 2 * m)):$((x0 - m)):$((y0 - m)),hflip,scale=240:-2,eq=brightness=-0.05:saturation=0.7" \
            -q:v 6 "$out/people/$name.jpg" || exit 1
    done || die "the pictures to enrol could not be made"
}

# ---- what make demo must have built
for f in "$bin/mien" "$bin/ffmpeg" build/models/manifest.json; do
    [ -e "$f" ] || die "'$f' is missing; make demo builds it"
done
: "${MIEN_MODELS:=$PWD/build/models}"
export MIEN_MODELS
for filter in facetag restyle; do
    "$bin/ffmpeg" -nostdin -hide_banner -h filter=$filter 2>/dev/null | grep -q "^Filter $filter" ||
        die "$bin/ffmpeg does not list $filter; 'make dropin' builds the library with it"
done
[ -z "$video" ] || [ -f "$video" ] || die "DEMO_VIDEO: there is no file '$video'"
[ -z "$people" ] || [ -d "$people" ] || die "DEMO_PEOPLE: there is no folder '$people'"
[ -z "$video" ] || [ -n "$people" ] || echo "demo: DEMO_VIDEO without DEMO_PEOPLE: nobody in it will be known" >&2

mkdir -p "$out" || exit 1
if [ -z "$video" ] || [ -z "$people" ]; then
    photos=
    for d in build/cache/vladmandic-face-api-*/demo; do [ -f "$d/sample1.jpg" ] && photos=$d; done
    [ -n "$photos" ] || die "the photographs are missing from build/cache; 'make models' fetches them"
fi
if [ -z "$video" ]; then
    video=$out/clip.mp4
    if [ ! -f "$video" ] || [ "$here/scenes.tsv" -nt "$video" ] || [ "$here/demo.sh" -nt "$video" ]; then
        echo "a clip from photographs: $video"
        make_clip
    fi
fi
if [ -z "$people" ]; then
    make_people
    people=$out/people
fi

# ---- enrol
gallery=$out/people.db
rm -f "$gallery" "$gallery-wal" "$gallery-shm" "$out/appearances.jsonl"
enrolled=0
for f in "$people"/*; do
    case $f in *.jpg|*.jpeg|*.png|*.webp|*.bmp|*.JPG|*.JPEG|*.PNG) ;; *) continue ;; esac
    name=${f##*/}
    "$bin/mien" enroll --quiet --gallery "$gallery" "${name%.*}" "$f" || die "'$f' could not be enrolled (the reason stands above)"
    enrolled=$((enrolled + 1))
done
[ $enrolled -gt 0 ] || die "'$people' holds no pictures"

# ---- annotate: one run gives the picture and the log
echo "annotating $video"
begin=$(date +%s%N)
"$bin/ffmpeg" -nostdin -hide_banner -y -v verbose -i "$video" \
    -vf "facetag=gallery=$gallery:draw=all:log=$out/appearances.jsonl${options:+:$options}" \
    -c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p -c:a copy -movflags +faststart "$out/annotated.mp4" 2>"$out/ffmpeg.log" ||
    { grep -i -e facetag -e error "$out/ffmpeg.log" | tail -n 5 >&2; die "ffmpeg failed; $out/ffmpeg.log has all it said"; }
end=$(date +%s%N)

# ---- a contact sheet: 24 frames over the whole clip
frames=$("$bin/ffprobe" -v error -select_streams v:0 -count_packets -show_entries stream=nb_read_packets -of csv=p=0 "$out/annotated.mp4" | tr -dc 0-9)
step=$((frames / 24)); [ $step -gt 0 ] || step=1
ff -i "$out/annotated.mp4" -vf "select='not(mod(n-$((step / 2)),$step))',scale=480:-2,tile=4x6:padding=4:margin=4:color=white" \
    -frames:v 1 -update 1 "$out/contact-sheet.png" || die "the contact sheet could not be made"

# ---- a spoof: the photograph of one who is enrolled, in a hand, before a room. Once as if nobody cared, once with signs of life required
spoof=
if [ "$video" = "$out/clip.mp4" ] && [ "$people" = "$out/people" ]; then
    echo "holding up a photograph"
    begin_spoof=$(date +%s%N)
    who=$(rows people.tsv | awk -F "$tab" '$7 == "enrol" { name = $1 } END { print name }')
    rows people.tsv | awk -F "$tab" -v who="$who" '$1 == who && $7 == "enrol" { w = 2.2 * ($5 - $3); print $2, int(w), int(1.25 * w), int(($3 + $5 - w) / 2), int(($4 + $6 - 1.25 * w) / 2) }' |
        { read -r photo w h x y; ff -i "$photos/$photo" -vf "crop=$w:$h:$x:$y" -frames:v 1 -update 1 "$out/photograph.png"; } &&
        ff -i "$photos/sample3.jpg" -vf crop=444:250:0:0,gblur=2 -frames:v 1 -update 1 "$out/room.png" &&
        FFMPEG="$bin/ffmpeg" DURATION=4 sh tests/tools/make_attacks.sh "$out/attack" "$out/room.png" "$out/photograph.png" print >"$out/attack.log" &&
        ff -i "$out/attack-print.mp4" -vf "facetag=gallery=$gallery:log=$out/spoof-believed.jsonl,\
facetag=gallery=$gallery:liveness=require:draw=all:log=$out/spoof.jsonl" -c:v libx264 -preset veryfast -crf 18 -pix_fmt yuv420p \
            -movflags +faststart "$out/spoof.mp4" || die "the spoof could not be made or looked at"
    rm -f "$out/photograph.png" "$out/room.png" "$out/attack-print.mp4" "$out/attack.log"
    field() { sed -n "s/.*\"event\": *\"leave\".*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2" | sort -u | paste -s -d, -; }
    spoof="a photograph of $who, held up: $(field name "$out/spoof-believed.jsonl") without liveness, $(field status "$out/spoof.jsonl") with liveness=require \
(alive with a probability of $(field live "$out/spoof.jsonl")); $((($(date +%s%N) - begin_spoof) / 1000000000)) s"
fi

# ---- restyle: the first ten seconds beside themselves in one style, then in another; as many pictures a second as animators draw
echo "repainting ten seconds of it"
quick=size=320:iterations=5 # a third of the default's time; milder than the presets are by themselves, for the faces' sake
begin_style=$(date +%s%N)
ff -i "$video" -t 10 -filter_complex "fps=25/2,scale=640:360:force_original_aspect_ratio=decrease:force_divisible_by=2,setsar=1,split[as_it_is][in];\
[in]restyle=starry-night:$quick:strength=50:enable='lt(t,5)',restyle=great-wave:$quick:strength=25:enable='gte(t,5)',metadata=print:file=$out/restyle.txt[painted];\
[as_it_is][painted]hstack" -an -c:v libx264 -preset veryfast -crf 16 -pix_fmt yuv420p -movflags +faststart "$out/restyled.mp4" ||
    die "restyle failed; the reason stands above"
ff -i "$out/restyled.mp4" -vf "select='not(mod(n-5,12))',scale=960:-2,tile=2x5:padding=4:margin=4:color=white" -frames:v 1 -update 1 \
    "$out/restyled-sheet.png" || die "the contact sheet could not be made"
end_style=$(date +%s%N)

# ---- what happened
rate=$("$bin/ffprobe" -v error -select_streams v:0 -show_entries stream=avg_frame_rate -of csv=p=0 "$out/annotated.mp4" | tr -dc 0-9/)
echo
grep 'facetag.*detect_ms:' "$out/ffmpeg.log" | tail -n 1 | tr ' ' '\n' |
    awk -F: -v ms=$(((end - begin) / 1000000)) -v rate="$rate" '
        /^[a-z_]+:[0-9.]+$/ { v[$1] = $2 }
        function row(name, calls, each) { printf "  %-10s %8d %10.2f %12.2f\n", name, calls, each, calls * each / v["frames"] }
        END {
            if (!v["frames"]) exit 1
            split(rate, r, "/")
            printf "%d frames, %d tracks; %.1f s with decoding and encoding for %.1f s of video\n\n", v["frames"], v["tracks"], ms / 1000, v["frames"] * r[2] / r[1]
            printf "  %-10s %8s %10s %12s\n", "step", "calls", "ms a call", "ms a frame"
            row("detect", v["detections"], v["detect_ms"])
            row("align", v["encodings"], v["align_ms"])
            row("encode", v["encodings"], v["encode_ms"])
            row("search", v["searches"], v["search_ms"])
        }' || die "facetag left no statistics in $out/ffmpeg.log"
awk -F= -v ms=$(((end_style - begin_style) / 1000000)) '
    /restyle.ms=/ { frames++ }
    /restyle.iterations=/ { iterations += $2 }
    END {
        if (!frames) exit 1
        printf "  %-10s %8d %10.2f %12.2f\n\n%d frames repainted in %.1f s\n", "iterate", iterations, ms / iterations, ms / frames, frames, ms / 1000
    }' "$out/restyle.txt" || die "restyle left no statistics in $out/restyle.txt"
cat <<END

Seen by name:     $(sed -n 's/.*"event": *"enter".*"name": *"\([^"]*\)".*/\1/p' "$out/appearances.jsonl" | sort -u | paste -s -d, - | sed 's/,/, /g')
The clip:         $out/annotated.mp4
Who was when:     $out/appearances.jsonl
At a glance:      $out/contact-sheet.png
${spoof:+A spoof:          $spoof
                  $out/spoof.mp4
}Repainted:        $out/restyled.mp4, at a glance $out/restyled-sheet.png
The gallery:      build/bin/mien list --gallery $gallery
END
