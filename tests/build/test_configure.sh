#!/bin/sh
# configure: its help, its files, its refusals. Runs in a copy of what configure reads, so that the build's own stays.

cd "$(dirname "$0")/../.." || exit 1
src=$PWD
work=$TMPDIR/conf
rc=0
fresh() { rm -rf "$work"; mkdir -p "$work" && cp configure VERSION packages.txt "$work/"; }
ok() { echo "ok $1"; }
bad() { echo "not ok $1"; rc=1; }
# check NAME: by the status of the command before it
check() { if [ $? = 0 ]; then ok "$1"; else cat "$TMPDIR/out"; bad "$1"; fi; }
conf() { (cd "$work" && ./configure "$@") >"$TMPDIR/out" 2>&1; }

fresh
conf --help && grep -q -- --ffmpeg-source "$TMPDIR/out" && [ ! -e "$work/config.mak" ]
check 'help explains and writes nothing'

conf --prefix=/opt/x CFLAGS='-O1 -g' --disable-dropin &&
    grep -qx 'PREFIX = /opt/x' "$work/config.mak" && grep -qx 'CFLAGS = -O1 -g' "$work/config.mak" &&
    grep -q '"/opt/x/share/mien/models"' "$work/config.h" && [ -s "$work/config.log" ]
check 'prefix and CFLAGS arrive in config.mak and config.h'

eval "set -- $(sed -n 's/^CONFIGURE_ARGS = //p' "$work/config.mak")"
cp "$work/config.mak" "$TMPDIR/first"
conf "$@" && cmp -s "$work/config.mak" "$TMPDIR/first"
check 'the saved arguments give the same configuration'

touch -d '2001-01-01' "$work/config.h"
conf "$@" && [ -z "$(find "$work/config.h" -newermt 2002-01-01)" ]
check 'an unchanged config.h keeps its date'

# refused ARGUMENT WORDS: fails, says WORDS
refused() {
    name=$1 words=$2; shift 2
    if conf "$@"; then bad "$name"; elif grep -q -e "$words" "$TMPDIR/out"; then ok "$name"; else cat "$TMPDIR/out"; bad "$name"; fi
}
refused 'an unknown option is refused by name' "'--enable-magic'" --enable-magic
refused 'a relative prefix is refused' 'not an absolute path' --prefix=here
refused 'a compiler that is none is refused' 'cannot compile' CC=false
refused 'a wrong ffmpeg source is refused' 'not an FFmpeg source tree' --ffmpeg-source=/usr

# A library that is not there: pkg-config is told to look in an empty folder.
for pair in sqlite3:libsqlite3-dev libcjson:libcjson-dev nettle:nettle-dev libavformat:libavformat-dev; do
    mkdir -p "$TMPDIR/pc"
    rm -f "$TMPDIR"/pc/*
    for dir in $(pkg-config --variable pc_path pkg-config | tr ':' ' '); do
        for f in "$dir"/*.pc; do
            [ -f "$f" ] && [ "${f##*/}" != "${pair%%:*}.pc" ] && ln -sf "$f" "$TMPDIR/pc/"
        done
    done
    fresh
    PKG_CONFIG_LIBDIR=$TMPDIR/pc; export PKG_CONFIG_LIBDIR
    refused "without ${pair%%:*} the package is named" "apt-get install.* ${pair##*:}" --disable-dropin
    unset PKG_CONFIG_LIBDIR
done

mkdir -p "$TMPDIR/a b" && cp configure VERSION packages.txt "$TMPDIR/a b/"
if (cd "$TMPDIR/a b" && ./configure) >"$TMPDIR/out" 2>&1; then bad 'a folder with a blank is refused'
else grep -q 'has a blank' "$TMPDIR/out"; check 'a folder with a blank is refused'; fi

# packages.txt: the sections that configure knows, a package a line
cd "$src" || exit 1
! grep -vE '^(#|$)|^(build|dropin|models|test|demo) +[^ ]+( +#.*)?$' packages.txt >"$TMPDIR/out"
check 'every line of packages.txt is read'
exit $rc
