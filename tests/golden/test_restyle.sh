#!/bin/sh
# restyle: what is on frames, formats, sizes, commands, timeline, masks, errors. The clip is generated; few iterations at a small size:
# whether it looks good is not asked here.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
[ -x build/bin/ffmpeg ] || skip restyle "configured with --disable-dropin"
work=${TMPDIR:-$(mktemp -d)}
clip=$work/restyle.mkv
filter=restyle
ff -y -f lavfi -i testsrc2=size=160x96:rate=10:duration=0.5 -f lavfi -i mandelbrot=size=160x96:rate=10:maxiter=200 -filter_complex \
    '[1]trim=end_frame=4,setpts=PTS-STARTPTS[b];[0][b]concat,format=yuv420p' -c:v ffv1 "$clip" || exit 1
r=restyle=starry-night:size=64:iterations=2:cut_iterations=3
plain_md5() { ff -i "${in:-$clip}" -vf "$1" -f framemd5 - | grep -v '^#'; }
# The same chain is run once; a run is repeated where that is the question.
md5() {
    kept=$work/md5-$(echo "${in:-}$1" | sha256sum | cut -c1-16)
    [ -s "$kept" ] || plain_md5 "$1" >"$kept"
    cat "$kept"
}
changed() { md5 "$1" >"$work/a" && md5 "$2" >"$work/b" && [ -s "$work/a" ] && ! cmp -s "$work/a" "$work/b"; }
same() { md5 "$1" >"$work/a" && md5 "$2" >"$work/b" && [ -s "$work/a" ] && cmp -s "$work/a" "$work/b"; }

# ---- metadata; the cut between the two scenes
ff -i "$clip" -vf "$r,metadata=print:file=$work/m" -f null - && awk -F= '
    /^frame:/ { n++; next }
    { key[$1]++; if ($1 == "lavfi.restyle.cut" && $2 == 1) cuts = cuts " " n
      if ($1 == "lavfi.restyle.style" && !($2 > 0 && $2 < 10)) bad = bad " " $0
      if ($1 == "lavfi.restyle.iterations" && !($2 >= 2 && $2 <= 30)) bad = bad " " $0 }
    END {
        for (k in key) if (k != "lavfi.restyle.ewarp" && key[k] != 9) bad = bad " " k
        if (n != 9 || cuts != " 1 6" || key["lavfi.restyle.ewarp"] != 7 || key["lavfi.restyle.loss"] != 9 || key["lavfi.restyle.ms"] != 9 || bad != "") {
            print n, cuts, key["lavfi.restyle.ewarp"], bad; exit 1 } }' "$work/m"
check 'metadata of each frame, and the scene cut'
md5 null | cut -d, -f1-4 >"$work/a" && md5 "$r" | cut -d, -f1-4 | cmp -s "$work/a" - && changed null "$r"
check 'timestamps stay, pictures change'
V=info ff -i "$clip" -vf "$r" -f null - 2>&1 | grep -q 'frames:9 cuts:2 iterations:.* ewarp:0\.0'
check 'the summary at the end'
md5 "$r" >"$work/a" && plain_md5 "$r" | cmp -s "$work/a" - && same "$r:seed=3" "$r:seed=4" && changed "$r:init=noise:seed=3" "$r:init=noise:seed=4"
check 'the same input gives the same frames; the seed is that of the noise'
ff -filter_threads 1 -i "$clip" -vf "$r" -f framemd5 - >"$work/a" && ff -filter_threads 4 -i "$clip" -vf "$r" -f framemd5 - | cmp -s "$work/a" -
check 'any number of threads gives the same frames'

# ---- formats and sizes
for fmt in yuv420p yuv422p yuv444p yuva420p nv12 yuv420p10le yuv422p10le yuv444p10le yuva444p10le yuv420p12le p010le rgb24 bgra gbrp \
    gbrap gbrp10le gray gray10le ya8 yuvj420p; do
    changed "format=$fmt" "format=$fmt,trim=end_frame=2,$r" && ff -i "$clip" -vf "format=$fmt,$r,showinfo" -frames:v 1 -v info -f null - 2>&1 |
        grep -q "fmt:$fmt "
    check "format $fmt"
done
same 'format=yuva420p,geq=lum=p(X\,Y):cb=128:cr=128:a=mod(3*X+Y*7+N\,256),extractplanes=a' \
    "format=yuva420p,geq=lum=p(X\\,Y):cb=128:cr=128:a=mod(3*X+Y*7+N\\,256),$r,extractplanes=a"
check 'alpha is kept to the bit'
for p in u v; do same "extractplanes=$p" "$r:color=content,extractplanes=$p"; done && changed extractplanes=y "$r:color=content,extractplanes=y"
check 'color=content keeps chroma to the bit'
changed extractplanes=u "$r,extractplanes=u"
check 'color=style does not'
for props in bt709:tv bt2020nc:pc smpte170m:tv; do
    ff -i "$clip" -vf "setparams=colorspace=${props%:*}:range=${props#*:}:color_primaries=bt709:color_trc=smpte2084,setsar=4/3,$r,showinfo" -frames:v 1 \
        -v info -f null - >"$work/out" 2>&1 && grep -q "color_range:${props#*:} color_space:${props%:*} color_primaries:bt709 color_trc:smpte2084" "$work/out" &&
        grep -q 'sar:4/3' "$work/out"
    check "colour properties $props and aspect stay"
done
for size in 1x1 2x2 17x3 159x95 3x200; do
    [ "$(md5 "scale=$size:flags=area,format=yuv444p,trim=end_frame=2,$r" | wc -l)" = 2 ]
    check "size $size"
done

# ---- timeline and commands
md5 null >"$work/a" && md5 "$r:enable='gte(n,3)'" >"$work/b" && [ "$(head -n 3 "$work/a")" = "$(head -n 3 "$work/b")" ] && ! cmp -s "$work/a" "$work/b"
check 'enable: frames outside are untouched'
ff -i "$clip" -vf "$r:enable='not(eq(n,3))',metadata=print:file=$work/m" -f null - && [ "$(grep -c 'restyle.cut=1' "$work/m")" = 3 ]
check 'enable: after a gap it begins anew'
for c in 'preset great-wave' 'preset2 great-wave' 'strength 500' 'content_weight 9' 'tv 60' 'temporal 0' 'iterations 5' 'color content' 'flow 0' 'init content' \
    'mask boxes'; do
    changed "$r" "sendcmd=c='0.15 restyle $c',$r"
    check "command $c"
done
ff -i "$clip" -vf "sendcmd=c='0.15 restyle reset x',$r,metadata=print:file=$work/m" -f null - && [ "$(grep -c 'restyle.cut=1' "$work/m")" = 3 ]
check 'command reset'
md5 "$r" >"$work/a" && V=quiet plain_md5 "sendcmd=c='0.15 restyle preset nobody-s;0.25 restyle strength -4;0.35 restyle iterations 0',$r" | cmp -s "$work/a" -
check 'commands that fail change nothing'
changed "$r:preset2=great-wave:blend=0" "$r:preset2=great-wave:blend=1" && same "$r" "$r:preset2=great-wave:blend=0"
check 'two presets blended'
changed "$r:preset2=great-wave:blend=0" "sendcmd=c='0-0.5 [expr] restyle blend TI',$r:preset2=great-wave:blend=0"
check 'a ramp from one preset to the other'
for o in strength=1000 content_weight=20 content_layer=relu2_1 content_loss=l1 'style_layers=relu1_1=1|relu2_1=0.5' tv=50 optimizer=adam iterations=3 \
    cut_iterations=9 size=96 init=content temporal=0 flow=0 refs=3; do
    changed "$r" "$r:$o"
    check "option $o"
done
same "$r" "$r:mask=none" && same "$r" "$r:precision=f32" && same "$r" "$r:mode=optimise"
check 'words for what is so anyway'
n=$(ff -i "$clip" -vf "$r:budget=40,metadata=print:key=lavfi.restyle.iterations:file=-" -f null - | grep -c iterations=)
[ "$n" = 9 ]
check 'budget'
ff -i "$clip" -vf "restyle=starry-night:budget=4,metadata=print:key=lavfi.restyle.ms:file=-" -frames:v 3 -f null - | grep -c ms= >"$work/n" && grep -q '^[34]$' "$work/n"
check 'budget alone: the size is chosen'
[ "$(md5 "$r,restyle=great-wave:size=64:iterations=1:cut_iterations=1:color=content" | wc -l)" = 9 ]
check 'two in one graph'
ff -i "$clip" -ss 0.3 -vf "$r" -f null - && ff -ss 0.3 -i "$clip" -vf "$r" -f null -
check 'seek'

# ---- masks
same null "$r:mask=boxes" && same null "$r:mask=faces" && changed null "$r:mask=invert"
check 'masks without boxes: all or nothing'
photos=$(echo build/cache/vladmandic-face-api-*/demo)
if [ -f "$photos/sample3.jpg" ]; then
    ff -y -loop 1 -i "$photos/sample3.jpg" -frames:v 3 -vf scale=768:540,crop=640:360:100:0,format=yuv444p -c:v ffv1 "$work/faces.mkv" || exit 1
    in=$work/faces.mkv
    paint=drawbox=box_source=side_data_detection_bboxes:color=black@1:t=fill
    for fmt in yuv444p:y yuv444p:u gbrp:g yuv444p10le:y; do
        # what differs lies in the boxes: with them painted over, nothing is left of the difference
        diff="format=${fmt%:*},facetag=mode=detect,split[a][b];[b]$r:mask=boxes[c];[a][c]blend=all_mode=grainextract"
        diff="$diff,extractplanes=${fmt#*:},format=gray,lutyuv=y='if(eq(val,128),0,255)'"
        ff -i "$in" -vf "$diff,signalstats,metadata=print:key=lavfi.signalstats.YMAX:file=$work/m1" -f null - &&
            ff -i "$in" -vf "$diff,$paint,signalstats,metadata=print:key=lavfi.signalstats.YMAX:file=$work/m2" -f null - &&
            [ "$(sed -n 's/.*YMAX=//p' "$work/m1" | sort -n | head -n 1)" = 255 ] && [ "$(sed -n 's/.*YMAX=//p' "$work/m2" | sort -n | tail -n 1)" -lt 255 ]
        check "facetag,restyle=mask=boxes in $fmt: nothing outside the boxes changes"
    done
    in=$work/faces.mkv
    changed facetag=mode=detect "facetag=mode=detect,$r:mask=faces"
    check 'facetag,restyle=mask=faces'
    in=
fi

# ---- errors: one sentence with the remedy
fails 'no preset' 'preset=NAME' restyle
fails 'no such preset' 'nobody-s-style' restyle=nobody-s-style
fails 'no such file' 'none.safetensors' "restyle=$work/none.safetensors"
head -c 3000 build/presets/starry-night.safetensors >"$work/cut.safetensors"
fails 'a truncated preset' 'cut.safetensors' "restyle=$work/cut.safetensors"
echo text >"$work/text.safetensors"
fails 'a preset that is none' 'text.safetensors' "restyle=$work/text.safetensors"
hash=$(sed -n 's/^\([0-9a-f]*\) .*features-.*/\1/p' build/models/SHA256SUMS)
sed "s/$hash/$(echo "$hash" | tr 0-9a-f 1-9a-f0)/" build/presets/starry-night.safetensors >"$work/alien.safetensors"
fails 'a preset of another network' 'alien\|network' "restyle=$work/alien.safetensors"
mkdir -p "$work/nomodels"
fails 'a folder without networks' 'nomodels' "restyle=starry-night:models=$work/nomodels"
fails 'second preset missing' 'nobody-s-style' "$r:preset2=nobody-s-style"
fails 'mode=fast' 'mode=fast' "$r:mode=fast"
fails 'precision=bf16' 'precision=f32' "$r:precision=bf16"
fails 'size out of range' '64' "restyle=starry-night:size=10"
fails 'no such content layer' 'relu9_9' "$r:content_layer=relu9_9"
fails 'no such style layer' 'relu9_9' "$r:style_layers=relu9_9=1"
fails 'style layers without weight' '0' "$r:style_layers=relu1_1=0"
for option in blend=2 iterations=0 budget=-1 temporal=-1 refs=4 mask=half color=red; do
    ff -i "$clip" -vf "$r:$option" -f null - 2>"$work/err"
    [ $? = 1 ] && grep -q "${option%%=*}\|${option#*=}" "$work/err"
    check "option $option is refused"
done
exit $rc
