#!/bin/sh
# Filters of the distribution's give the same frames with the drop-in libavfilter as with the stock one, bit for bit:
# framemd5 of both, over generated pictures and sound.

cd "$(dirname "$0")/../.." || exit 1
[ "$(sed -n 's/^CONFIG_DROPIN = //p' config.mak)" = yes ] || { echo 'ok stock filters # SKIP --disable-dropin'; exit 0; }
ffmpeg=$(sed -n 's/^FFMPEG = //p' config.mak)
soname=$(basename "$(readlink -f build/lib/libavfilter.so)")
dir=$TMPDIR/stocklib
mkdir -p "$dir"
for f in $(ldconfig -p | sed -n "s/.*$soname .*=> //p"); do
    dpkg-query -S "$f" "/usr$f" 2>/dev/null | grep -q . && { ln -s "$f" "$dir/$soname"; break; }
done
[ -e "$dir/$soname" ] || { echo "not ok the stock $soname is found"; exit 1; }

# frames LIB ARGUMENTS...: framemd5 lines of a run with that folder's libavfilter
frames() {
    lib=$1; shift
    env -u LD_LIBRARY_PATH LD_LIBRARY_PATH="$lib" "$ffmpeg" -nostdin -hide_banner -v error "$@" -f framemd5 - 2>"$TMPDIR/err"
}
n=0 rc=0
# same KIND FILTER: one graph both ways
same() {
    case $1 in
    v) set -- "$2" -f lavfi -i 'testsrc2=size=160x120:rate=10:duration=0.8' -vf "$2" ;;
    a) set -- "$2" -f lavfi -i 'sine=frequency=440:sample_rate=44100:duration=0.5' -af "$2" ;;
    c) set -- "$2" -filter_complex "$2" ;;
    esac
    name=$1; shift
    frames "$dir" "$@" >"$TMPDIR/stock" && frames "$PWD/build/lib" "$@" >"$TMPDIR/ours" &&
        [ "$(grep -vc '^#' "$TMPDIR/stock")" -gt 0 ] && cmp -s "$TMPDIR/stock" "$TMPDIR/ours"
    if [ $? = 0 ]; then
        n=$((n + 1))
        echo "ok $name"
    else
        head -n 3 "$TMPDIR/err"
        echo "not ok $name"
        rc=1
    fi
}

while read -r kind filter; do
    [ -z "$kind" ] || same "$kind" "$filter"
done <<'LIST'
v scale=97:61:flags=bicubic
v zscale=200:150:filter=lanczos
v crop=101:77:13:9
v pad=200:160:20:20:red
v hflip,vflip
v transpose=cclock
v rotate=0.3
v fps=7
v format=gray10le
v eq=contrast=1.4:saturation=0.5
v hue=h=40:s=1.2
v curves=vintage
v colorbalance=rs=.3:bs=-.2
v lutyuv=y=negval
v negate
v boxblur=3:1
v gblur=sigma=2.5
v unsharp=7:7:1.5
v smartblur
v avgblur=4
v median=radius=2
v nlmeans=s=3:p=3:r=5
v hqdn3d
v atadenoise
v deband
v edgedetect
v sobel
v convolution=0 -1 0 -1 5 -1 0 -1 0
v vignette
v noise=alls=20:allf=t:all_seed=7
v drawbox=10:10:60:40:yellow:4
v drawgrid=w=20:h=20:c=white
v drawtext=text=mien:fontsize=24:x=20:y=30
v fade=in:0:5
v yadif
v bwdif
v tinterlace=merge
v minterpolate=fps=20:mi_mode=blend
v framerate=fps=15
v zoompan=z=1.5:d=2:s=120x90
v tile=2x2
v perspective=10:5:150:0:0:119:159:110
v lenscorrection=k1=-.2
v v360=e:flat:w=96:h=64
v histogram
v waveform
v vectorscope
v showinfo
v metadata=print
v select=not(mod(n\,2))
v reverse
v thumbnail=4
v removegrain=2
v spp=3
v fftfilt=dc_Y=0:weight_Y=exp(-4*((Y+X)/(W+H)))
v xbr=2
v perms=random:7
a volume=0.4
a atempo=1.3
a aecho
a equalizer=f=440:g=6
a highpass=f=300
a acompressor
a afade=in:d=0.2
a aresample=22050
a loudnorm
a silencedetect
a dynaudnorm
a rubberband=tempo=1.2
a bs2b
c testsrc=size=120x90:rate=8:duration=1[a];smptebars=size=40x30:rate=8:duration=1[b];[a][b]overlay=30:20
c testsrc=size=80x60:rate=8:duration=1[a];smptebars=size=80x60:rate=8:duration=1[b];[a][b]blend=multiply
c testsrc=size=80x60:rate=8:duration=1[a];smptebars=size=80x60:rate=8:duration=1[b];[a][b]hstack
c testsrc=size=80x60:rate=8:duration=1[a];smptebars=size=80x60:rate=8:duration=1[b];[a][b]xfade=wipeleft:duration=0.5:offset=0.2
c testsrc=size=80x60:rate=8:duration=1[a];smptebars=size=80x60:rate=8:duration=1[b];[a][b]ssim
c mandelbrot=size=64x48:rate=4,trim=duration=0.5
c cellauto=size=64x48:rate=4:seed=3,trim=duration=0.5
c sine=frequency=500:duration=0.5,showspectrum=size=64x64
c sine=frequency=500:duration=0.5,showwaves=size=64x64:rate=10
LIST
echo "  $n filters and graphs compared"
[ $n -ge 30 ] || { echo 'not ok at least 30 could be compared'; rc=1; }
exit $rc
