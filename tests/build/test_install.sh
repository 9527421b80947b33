#!/bin/sh
# make install and uninstall with DESTDIR: everything lands below it, runs from there, and goes without a trace.

cd "$(dirname "$0")/../.." || exit 1
dest=$TMPDIR/dest
prefix=$(sed -n 's/^PREFIX = //p' config.mak)
libdir=$(sed -n 's/^LIBDIR = //p' config.mak)
rc=0
check() { if [ $? = 0 ]; then echo "ok $1"; else echo "not ok $1"; rc=1; fi; }

sh_install() {
    make --no-print-directory -o all -o models install DESTDIR="$dest" >"$TMPDIR/out" 2>&1
}
sh_install || cat "$TMPDIR/out"
[ -f "$dest$libdir/libmien.a" ] && [ -f "$dest$libdir/pkgconfig/mien.pc" ] && [ -f "$dest$prefix/include/mien/common.h" ]
check 'library, headers and mien.pc are installed'

cat >"$TMPDIR/t.c" <<C
#include <stdio.h>
#include <mien/error.h>
int main(void) { return puts(mien_strerror(0)) < 0; }
C
PKG_CONFIG_PATH=$dest$libdir/pkgconfig pkg-config --exists mien &&
    gcc -std=c11 -o "$TMPDIR/t" "$TMPDIR/t.c" $(PKG_CONFIG_PATH=$dest$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR= \
        pkg-config --cflags --libs mien | sed "s|-I$prefix|-I$dest$prefix|; s|-L$libdir|-L$dest$libdir|") &&
    "$TMPDIR/t" >/dev/null
check 'a program builds with mien.pc and runs'

if [ -f build/bin/mien ]; then
    "$dest$prefix/bin/mien" version >/dev/null && [ -s "$dest$prefix/share/man/man1/mien.1" ]
    check 'the mien command runs from there and has its man page'
fi
if [ -e build/lib/libavfilter.so ]; then
    env -u LD_LIBRARY_PATH LD_LIBRARY_PATH="$dest$libdir" ffmpeg -hide_banner -filters >"$TMPDIR/filters" 2>&1 &&
        [ "$(wc -l <"$TMPDIR/filters")" -gt 300 ]
    check 'the stock ffmpeg runs with the installed libavfilter'
fi
# Nothing of the build folder may be in what is installed (debug information names source files relative to it).
! grep -rlF "$PWD" "$dest" --include='*.pc' --include=installed && ! readelf -d "$dest$libdir"/libavfilter.so.* 2>/dev/null |
    grep -E 'R(UN)?PATH'
check 'nothing points into the build folder'

find "$dest" -type f | sort >"$TMPDIR/first"
sh_install
find "$dest" -type f | sort | cmp -s - "$TMPDIR/first"
check 'a second install changes nothing'

mkdir -p "$dest$prefix/share/mien/models" && touch "$dest$prefix/share/mien/models/own.safetensors"
make --no-print-directory uninstall DESTDIR="$dest" >"$TMPDIR/out" 2>&1
[ "$(find "$dest" -type f)" = "$dest$prefix/share/mien/models/own.safetensors" ]
check 'uninstall takes all of it and nothing else'

! make --no-print-directory uninstall DESTDIR="$dest" >"$TMPDIR/out" 2>&1 && grep -q 'nothing to uninstall' "$TMPDIR/out"
check 'a second uninstall says that there is nothing'
exit $rc
