#!/bin/sh
# The drop-in libavfilter beside the distribution's own: same soname, same exported symbols, same filters but for ours.

cd "$(dirname "$0")/../.." || exit 1
rc=0
check() { if [ $? = 0 ]; then echo "ok $1"; else echo "not ok $1"; rc=1; fi; }
[ "$(sed -n 's/^CONFIG_DROPIN = //p' config.mak)" = yes ] || { echo 'ok drop-in # SKIP --disable-dropin'; exit 0; }
ffmpeg=$(sed -n 's/^FFMPEG = //p' config.mak)
ours=$(readlink -f build/lib/libavfilter.so)
soname=${ours##*/}
# the distribution's, also where make install has put ours before it
stock=
for f in $(ldconfig -p | sed -n "s/.*$soname .*=> //p"); do
    dpkg-query -S "$f" "/usr$f" "$(readlink -f "$f")" >/dev/null 2>&1 && { stock=$f; break; }
    dpkg-query -S "$(readlink -f "$f")" >/dev/null 2>&1 && { stock=$f; break; }
done
[ -n "$stock" ]
check "the stock $soname is found"

exports() { nm -D --defined-only --with-symbol-versions "$1" | awk '{ print $2, $3 }' | sort; }
exports "$stock" >"$TMPDIR/stock" && exports "$ours" >"$TMPDIR/ours" && [ -s "$TMPDIR/stock" ] && diff "$TMPDIR/stock" "$TMPDIR/ours"
check 'exported symbols and versions are the same'

! readelf -d "$ours" | grep -E 'R(UN)?PATH'
check 'no run path in it'
readelf -d "$stock" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort >"$TMPDIR/stock"
readelf -d "$ours" | sed -n 's/.*NEEDED.*\[\(.*\)\]/\1/p' | sort >"$TMPDIR/ours"
extra=$(comm -13 "$TMPDIR/stock" "$TMPDIR/ours" | tr '\n' ' ')
lost=$(comm -23 "$TMPDIR/stock" "$TMPDIR/ours" | tr '\n' ' ')
echo "  libraries it needs beyond the stock one: ${extra:-none}"
[ -z "$lost" ] || echo "  not needed any more: $lost"
for l in $extra; do
    case $l in
    libsqlite3.so.*|libcjson.so.*|libnettle.so.*|libpthread.so.*|libass.so.*) ;;
    *) echo "  unexpected: $l"; false; break ;;
    esac
done
check 'it needs no library that was not asked for'

# ffmpeg by the stock library whatever is installed
dir=$TMPDIR/stocklib
mkdir -p "$dir" && ln -s "$stock" "$dir/$soname"
run() { env -u LD_LIBRARY_PATH LD_LIBRARY_PATH="$1" "$ffmpeg" -hide_banner -filters 2>/dev/null; }
run "$dir" >"$TMPDIR/stock" && run "$PWD/build/lib" >"$TMPDIR/ours" && [ "$(wc -l <"$TMPDIR/stock")" -gt 300 ]
check 'the stock ffmpeg starts with both'
wanted=$(ls filters/vf_*.c 2>/dev/null | sed 's/.*vf_\(.*\)\.c/\1/' | sort | tr '\n' ' ')
added=$(diff "$TMPDIR/stock" "$TMPDIR/ours" | sed -n 's/^> *[^ ]* *\([^ ]*\).*/\1/p' | sort | tr '\n' ' ')
gone=$(diff "$TMPDIR/stock" "$TMPDIR/ours" | sed -n 's/^< *[^ ]* *\([^ ]*\).*/\1/p' | tr '\n' ' ')
echo "  added: $added removed: ${gone:-none}"
[ "$added" = "$wanted" ] && [ -z "$gone" ]
check 'the list of filters differs by ours alone'

build/bin/ffmpeg -hide_banner -filters 2>/dev/null | cmp -s - "$TMPDIR/ours"
check 'the wrapper uses it'
# moved, through a link, from elsewhere, with its own folder first in PATH
mkdir -p "$TMPDIR/moved" && cp -R build/bin build/lib "$TMPDIR/moved/" && ln -s "$TMPDIR/moved/bin/ffmpeg" "$TMPDIR/link"
(cd / && PATH="$TMPDIR/moved/bin:$PATH" "$TMPDIR/link" -hide_banner -filters 2>/dev/null) >"$TMPDIR/out" 2>&1
(cd / && PATH="$TMPDIR/moved/bin:$PATH" ffmpeg -hide_banner -filters 2>/dev/null) | cmp -s - "$TMPDIR/ours"
check 'the wrapper works after moving its folder'
! grep -lF "$PWD" build/bin/ffmpeg build/bin/ffprobe build/bin/ffplay
check 'no path of the build machine in the wrappers'
build/bin/ffprobe -hide_banner -version >/dev/null 2>&1
check 'ffprobe starts'
exit $rc
