#!/bin/sh
# make check-ffmpeg: our filters compiled, warnings as errors, inside the sources of other FFmpeg releases. They are the
# source packages of Debian's other suites, fetched through an apt state of our own, or trees named as arguments.
#
#   tests/ffmpeg/releases.sh [TREE...]
#
# PKG_CONFIG_PATH must lead to libmien's mien.pc. Sources are kept in build/ffmpeg-releases.

cd "$(dirname "$0")/../.." || exit 1
LC_ALL=C; export LC_ALL
work=$PWD/build/ffmpeg-releases
mkdir -p "$work"
suites="trixie sid"
passed=0 failed=0

# fetch SUITE: print the folders with its ffmpeg sources, a suite may have several
fetch() {
    apt=$work/apt-$1
    mkdir -p "$apt/parts" "$apt/lists/partial" "$apt/cache/archives/partial"
    codename=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
    # the mirror that this machine uses for its own suite
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk -v c="$codename" '$2 == c { print $1; exit }')
    [ -n "$mirror" ] || { echo "no mirror for $codename in apt's sources" >&2; return 1; }
    echo "deb-src $mirror $1 main" >"$apt/parts/src.list"
    set -- "$1" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$apt/parts" -o Dir::State::lists="$apt/lists" \
        -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=root
    suite=$1; shift
    apt-get "$@" update >"$work/log" 2>&1 || { tail -n 3 "$work/log" >&2; return 1; }
    # one that is listed may not have reached the mirror yet
    found=
    for v in $(apt-cache "$@" showsrc ffmpeg | sed -n 's/^Version: //p'); do
        dir=$work/ffmpeg-${v#*:}
        if [ ! -f "$dir/configure" ]; then
            (cd "$work" && apt-get "$@" -q --download-only source "ffmpeg=$v") >"$work/log" 2>&1 || continue
            rm -rf "$dir"
            dpkg-source --no-check -x "$work/ffmpeg_${v#*:}.dsc" "$dir" >"$work/log" 2>&1 || continue
        fi
        echo "$dir"
        found=yes
    done
    [ -n "$found" ] || echo "no source of ffmpeg in $suite can be had" >&2
    [ -n "$found" ]
}

# compile TREE
compile() {
    name="FFmpeg $(cat "$1/RELEASE" 2>/dev/null)"
    sh filters/apply.sh "$1" || return 1
    names=$(sed -n 's/^vf_\(.*\)\.c$/\1/p' "$1/libavfilter/mien.files")
    objs=$(sed -n 's|^\(.*\)\.c$|libavfilter/\1.o|p' "$1/libavfilter/mien.files" | tr '\n' ' ')
    [ -n "$names" ] || { echo "there is no filter in filters/"; return 1; }
    filters=
    for n in $names; do filters="$filters --enable-filter=$n"; done
    # shellcheck disable=SC2086
    (cd "$1" && ./configure --disable-everything --disable-autodetect --disable-programs --disable-doc --disable-x86asm \
        --enable-gpl --enable-libass --enable-libmien $filters) >"$work/log" 2>&1 || { tail -n 5 "$work/log"; return 1; }
    for n in $names; do
        grep -q "^CONFIG_$(echo "$n" | tr a-z A-Z)_FILTER=yes" "$1/ffbuild/config.mak" || { echo "$n was left out"; return 1; }
    done
    rm -f $(echo " $objs" | sed "s| | $1/|g; s| $1/\$||")
    # shellcheck disable=SC2086
    make -C "$1" -j2 $objs >"$work/log" 2>&1 || { grep -A4 'error' "$work/log" | head -n 40; return 1; }
    ours=$(tr '\n' '|' <"$1/libavfilter/mien.files" | sed 's/|$//; s/\./\\./g')
    ! grep -A4 -E "($ours):.*warning" "$work/log"
}

trees=
for t; do trees="$trees $t"; done
if [ $# = 0 ]; then
    for suite in $suites; do
        if dir=$(fetch "$suite"); then
            trees="$trees $dir"
        else
            echo "not ok $suite: its source cannot be had"
            failed=$((failed + 1))
        fi
    done
fi
for t in $(printf '%s\n' $trees | sort -u); do
    if compile "$t"; then
        echo "ok $name"; passed=$((passed + 1))
    else
        echo "not ok $name"; failed=$((failed + 1))
    fi
done
echo "$passed passed, $failed failed"
[ $failed = 0 ] && [ $passed -gt 0 ]
