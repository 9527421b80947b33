#!/bin/sh
# Build the drop-in libavfilter: the source of exactly the installed ffmpeg, our filters added by apply.sh, configured
# with the distribution's own flags as far as they concern filters. Only libavfilter.so.N comes out of it; every other
# library stays the system's. Called by make; what it is told comes in the environment:
#
#   OUT            build folder, absolute. OUT/ffmpeg keeps source and objects, OUT/lib gets the library
#   FFMPEG         the installed ffmpeg
#   FFMPEG_SOURCE  a source tree of the same version, or empty: the distribution's source package
#   JOBS           parallel jobs where make has no job server
#   PKG_CONFIG_PATH  where libmien's mien.pc lies
#
# Each step is skipped when its inputs are those of the last time, so that an edited filter costs one compile and a link.

set -u
LC_ALL=C; export LC_ALL
here=$(dirname "$0")
work=$OUT/ffmpeg
tree=$work/tree
log=$work/log
mkdir -p "$work" "$OUT/lib" || exit 1

die() {
    echo "drop-in libavfilter: $1" >&2
    shift
    for line; do echo "  $line" >&2; done
    exit 1
}
step() { echo "  $(printf %-4s "$1") $2"; }
now() { date +%s; }

# run WHAT COMMAND...: keep the output in a file, show its end when the command fails
run() {
    what=$1; shift
    "$@" >"$log" 2>&1 && return 0
    tail -n 25 "$log" >&2
    die "$what failed; all it said is in $log"
}

# ---- the installed library: its soname, package, version
command -v "$FFMPEG" >/dev/null 2>&1 || die "no ffmpeg is installed (Debian package ffmpeg)"
stock=$(ldd "$(command -v "$FFMPEG")" 2>/dev/null | sed -n 's/.*\(libavfilter\.so\.[0-9]*\) => \([^ ]*\).*/\1 \2/p')
soname=${stock%% *} stock=${stock#* }
[ -n "$soname" ] || die "$FFMPEG is not linked with a shared libavfilter, so none can be put in its place" \
    "Add the filters to your own FFmpeg tree instead: filters/apply.sh TREE"
# After `make install` ffmpeg loads ours; the distribution's is the one among ld.so's that a package owns.
pkg= source= version=
if command -v dpkg-query >/dev/null 2>&1; then
    for lib in $(ldconfig -p 2>/dev/null | sed -n "s/.*$soname .*=> //p") "$stock"; do
        for path in "$lib" "$(readlink -f "$lib")" "/usr$lib"; do
            pkg=$(dpkg-query -S "$path" 2>/dev/null | sed -n '1s/: .*//p')
            [ -n "$pkg" ] && { stock=$lib; break 2; }
        done
    done
    if [ -n "$pkg" ]; then
        source=$(dpkg-query -W -f '${source:Package}' "$pkg") || exit 1
        version=$(dpkg-query -W -f '${source:Version}' "$pkg") || exit 1
    fi
fi
flags=$("$FFMPEG" -hide_banner -buildconf 2>/dev/null) || die "$FFMPEG -buildconf failed"

# ---- source tree
# A private apt state: the system's sources copied with deb-src, lists and cache of our own. Nothing of the system changes.
apt_state() {
    mkdir -p "$work/apt/parts" "$work/apt/lists/partial" "$work/apt/cache/archives/partial" || exit 1
    : >"$work/apt/empty"
    for f in /etc/apt/sources.list.d/*.sources; do
        [ -f "$f" ] && sed 's/^Types:.*/Types: deb-src/' "$f" >"$work/apt/parts/${f##*/}"
    done
    for f in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$f" ] && sed -n 's/^[[:space:]]*deb[[:space:]]/deb-src /p' "$f" >"$work/apt/parts/${f##*/}.list"
    done
    set -- -o Dir::Etc::sourcelist="$work/apt/empty" -o Dir::Etc::sourceparts="$work/apt/parts" \
        -o Dir::State::lists="$work/apt/lists" -o Dir::Cache="$work/apt/cache" -o APT::Sandbox::User=root
    for o; do printf "'%s' " "$o"; done
}

no_source() {
    die "the source of $source $version cannot be had: $1" \
        "mien needs the source of exactly the ffmpeg that is installed. Either" \
        "  bring ffmpeg up to date (apt-get update && apt-get install ffmpeg) and try again, or" \
        "  ./configure --ffmpeg-source=DIR with a source tree of that version"
}

fetch() {
    [ -n "$version" ] || die "$stock belongs to no Debian package, so its source is not known" \
        "Give it: ./configure --ffmpeg-source=DIR"
    for tool in apt-get dpkg-source; do
        command -v $tool >/dev/null 2>&1 || die "$tool not found (Debian package dpkg-dev)"
    done
    dsc=$work/source/${source}_${version#*:}.dsc
    if [ ! -f "$dsc" ]; then
        step GET "source package $source $version"
        opts=$(apt_state)
        # A foreign archive without sources makes update fail; what counts is whether ours can be had after it.
        eval "apt-get $opts update" >"$work/apt.log" 2>&1
        rm -rf "$work/source.new" && mkdir -p "$work/source.new" || exit 1
        (cd "$work/source.new" && eval "apt-get $opts -q --download-only source '$source=$version'") >>"$work/apt.log" 2>&1 || {
            tail -n 5 "$work/apt.log" >&2
            no_source "apt-get source $source=$version failed"
        }
        rm -rf "$work/source" && mv "$work/source.new" "$work/source" || exit 1
        [ -f "$dsc" ] || no_source "no ${dsc##*/} among what apt-get fetched"
    fi
    # dpkg-source makes a folder for its own; --no-check: apt has checked the hashes against the signed lists
    run "unpacking the source" dpkg-source --no-check -x "$dsc" "$tree"
}

if [ -n "$FFMPEG_SOURCE" ]; then
    [ -f "$FFMPEG_SOURCE/libavfilter/allfilters.c" ] || die "$FFMPEG_SOURCE is not an FFmpeg source tree (no libavfilter/allfilters.c)"
    want="$FFMPEG_SOURCE $(cat "$FFMPEG_SOURCE/RELEASE" 2>/dev/null)"
else
    want="$source $version"
fi
if [ "$(cat "$work/have" 2>/dev/null)" != "$want" ]; then
    rm -rf "$tree" "$work/have" "$work/configured"
    if [ -n "$FFMPEG_SOURCE" ]; then
        step COPY "$FFMPEG_SOURCE"
        cp -R "$FFMPEG_SOURCE" "$tree" || die "cannot copy $FFMPEG_SOURCE"
        # objects of another configuration must not be linked
        [ ! -f "$tree/ffbuild/config.mak" ] || run "make distclean" make -C "$tree" distclean
    else
        fetch
    fi
    echo "$want" >"$work/have"
fi
major=$(sed -n 's/^#define LIBAVFILTER_VERSION_MAJOR *\([0-9]*\).*/\1/p' "$tree"/libavfilter/version*.h)
[ "libavfilter.so.$major" = "$soname" ] ||
    die "the source is that of libavfilter.so.$major, the installed ffmpeg uses $soname" "Source: $want"

# ---- our files
sh "$here/apply.sh" "$tree" || die "the filters could not be added to $tree"

# ---- configure
# Of the distribution's flags those that decide which filters there are; the rest concerns libraries we do not build.
configure_flags() {
    keep=" gpl version3 ladspa libass libbs2b libflite libfontconfig libfreetype libfribidi libharfbuzz libglslang
        libshaderc libmysofa librubberband libvidstab libzimg libzmq lv2 opencl opengl pocketsphinx libmfx libvpl frei0r
        libplacebo vulkan libopencv libvmaf libqrencode libquirc liblcevc-dec whisper libtensorflow libopenvino
        libtorch "
    keep=$(echo $keep)
    for f in $flags; do
        case $f in
        --arch=*|--cpu=*|--extra-version=*|--toolchain=*) echo "$f" ;;
        --enable-*) case " $keep " in *" ${f#--enable-} "*) echo "$f" ;; esac ;;
        esac
    done
    for part in encoders decoders muxers demuxers parsers bsfs protocols devices hwaccels programs doc static debug; do
        echo "--disable-$part"
    done
    echo --enable-shared
    echo --enable-libmien
}
names=$(sed -n 's/^vf_\(.*\)\.c$/\1/p' "$tree/libavfilter/mien.files")
# libmien.pc is read at configure time, so its contents count
conf="$(configure_flags | sort -u) filters: $names libmien: $(cat "$PKG_CONFIG_PATH/mien.pc")"
if [ "$(cat "$work/configured" 2>/dev/null)" != "$conf" ] || [ ! -f "$tree/ffbuild/config.mak" ]; then
    rm -f "$work/configured" "$tree/libavfilter/$soname"
    step CONF "FFmpeg $(cat "$tree/RELEASE" 2>/dev/null)"
    t=$(now)
    # shellcheck disable=SC2046
    (cd "$tree" && ./configure $(configure_flags | sort -u)) >"$log" 2>&1 || {
        tail -n 12 "$log" >&2
        die "FFmpeg's configure failed (its log: $tree/ffbuild/config.log)" \
            "A missing library is among the packages that ./configure --install-deps installs"
    }
    for n in $names; do
        grep -q "^CONFIG_$(echo "$n" | tr a-z A-Z)_FILTER=yes" "$tree/ffbuild/config.mak" ||
            die "FFmpeg's configure left our filter $n out: a dependency is missing" "Log: $tree/ffbuild/config.log"
    done
    echo "$conf" >"$work/configured"
    echo "$(($(now) - t)) s FFmpeg configure" >>"$work/times"
fi

# ---- build
lib=$tree/libavfilter/$soname
[ ! -f "$lib" ] || [ -z "$(find "$OUT/libmien.a" -newer "$lib")" ] || rm -f "$lib"
case ${MAKEFLAGS:-} in
*jobserver*|*-j*) jobs= ;;
*) jobs=-j$JOBS ;;
esac
t=$(now)
first=
[ -f "$tree/libavfilter/allfilters.o" ] || first=" (all of FFmpeg's filters: one to two minutes, this once)"
[ -f "$lib" ] || step MAKE "$soname$first"
# Failing output is shown from the first error on: FFmpeg's make goes on with other jobs after it.
# shellcheck disable=SC2086
if ! make -C "$tree" $jobs "libavfilter/$soname" >"$log" 2>&1; then
    grep -n -m1 -A20 'error:\|Error [0-9]\|undefined reference\|\*\*\*' "$log" >&2
    die "make libavfilter/$soname failed; all it said is in $log"
fi
# warnings in our own files are ours to see
grep -A6 -E "libavfilter/($(tr '\n' '|' <"$tree/libavfilter/mien.files" | sed 's/|$//;s/\./\\./g')):.*warning" "$log" >&2

if ! cmp -s "$lib" "$OUT/lib/$soname"; then
    # a new file, not new contents: a process that has the old one mapped keeps it
    cp "$lib" "$OUT/lib/$soname.new" && mv "$OUT/lib/$soname.new" "$OUT/lib/$soname" || exit 1
    step LIB "${OUT##*/}/lib/$soname"
    echo "$(($(now) - t)) s libavfilter" >>"$work/times"
fi
ln -sf "$soname" "$OUT/lib/libavfilter.so"
