#!/bin/sh
# make install and make uninstall. Everything that is put somewhere is noted in PREFIX/share/mien/installed, one path a
# line, and uninstall takes away just that, so that a changed configuration leaves nothing behind.
# In the environment: DESTDIR, PREFIX, LIBDIR, B (build folder), FFMPEG, PC (the text of mien.pc).

set -u
LC_ALL=C; export LC_ALL
share=$PREFIX/share/mien
list=$share/installed

die() { echo "install: $*" >&2; exit 1; }

# what ffmpeg loads as libavfilter, asked without what the build's wrappers set
loaded() { env -u LD_LIBRARY_PATH ldd "$FFMPEG" 2>/dev/null | sed -n 's/.*libavfilter\.so\.[0-9]* => \([^ ]*\).*/\1/p'; }

refresh_ld() {
    [ -z "$DESTDIR" ] || return 0
    ldconfig=$(command -v ldconfig || echo /sbin/ldconfig)
    "$ldconfig" || die "ldconfig failed (root is needed)"
}

if [ "${1:-}" = --uninstall ]; then
    [ -f "$DESTDIR$list" ] || die "nothing to uninstall: there is no $DESTDIR$list"
    while read -r path; do
        case $path in
        "$PREFIX"/*|"$LIBDIR"/*) rm -f "$DESTDIR$path" || exit 1 ;;
        *) die "$DESTDIR$list names $path, which is outside $PREFIX" ;;
        esac
    done <"$DESTDIR$list"
    rm -f "$DESTDIR$list"
    # folders of our own, when nothing else is in them
    for d in "$share/models" "$share/presets" "$share" "$PREFIX/include/mien" "$LIBDIR/pkgconfig"; do
        rmdir "$DESTDIR$d" 2>/dev/null
    done
    refresh_ld
    if [ -z "$DESTDIR" ] && [ -n "$FFMPEG" ]; then
        echo "removed; $FFMPEG uses $(loaded) again"
    else
        echo "removed"
    fi
    exit 0
fi

new=$(mktemp) || exit 1
trap 'rm -f "$new"' EXIT

# put MODE FILE TARGET: by rename, so that a running program keeps the library it has mapped
put() {
    mkdir -p "$DESTDIR${3%/*}" || die "cannot make $DESTDIR${3%/*} (root is needed for $PREFIX)"
    cp "$2" "$DESTDIR$3.new" && chmod "$1" "$DESTDIR$3.new" && mv "$DESTDIR$3.new" "$DESTDIR$3" || die "cannot write $DESTDIR$3"
    echo "$3" >>"$new"
}

for lib in "$B"/lib/libavfilter.so.*; do
    [ -f "$lib" ] && put 755 "$lib" "$LIBDIR/${lib##*/}"
done
[ -f "$B/bin/mien" ] && put 755 "$B/bin/mien" "$PREFIX/bin/mien"
[ -f "$B/mien.1" ] && put 644 "$B/mien.1" "$PREFIX/share/man/man1/mien.1"
put 644 "$B/libmien.a" "$LIBDIR/libmien.a"
for h in core/include/mien/*.h gallery/include/mien/*.h presets/include/mien/*.h; do
    [ -f "$h" ] && put 644 "$h" "$PREFIX/include/mien/${h##*/}"
done
printf '%s\n' "$PC" >"$B/mien.pc.install"
put 644 "$B/mien.pc.install" "$LIBDIR/pkgconfig/mien.pc"
for m in "$B"/models/*.safetensors "$B"/models/manifest.json; do
    [ -f "$m" ] && put 644 "$m" "$share/models/${m##*/}"
done
for p in "$B"/presets/*.safetensors "$B"/presets/SOURCES.tsv; do
    [ -f "$p" ] && put 644 "$p" "$share/presets/${p##*/}"
done

# files of an earlier install that are not part of this one (a network under its old hash, say)
if [ -f "$DESTDIR$list" ]; then
    sort "$DESTDIR$list" >"$new.old"
    sort "$new" | comm -23 "$new.old" - | while read -r path; do
        case $path in "$PREFIX"/*|"$LIBDIR"/*) rm -f "$DESTDIR$path" ;; esac
    done
    rm -f "$new.old"
fi
mkdir -p "$DESTDIR$share" && cat "$new" >"$DESTDIR$list" && chmod 644 "$DESTDIR$list" || die "cannot write $DESTDIR$list"

refresh_ld
echo "installed $(wc -l <"$new") files below $DESTDIR$PREFIX"
if [ -z "$DESTDIR" ] && [ -n "$FFMPEG" ] && [ -n "$(ls "$B"/lib/libavfilter.so.* 2>/dev/null)" ]; then
    used=$(loaded)
    case $used in
    "$LIBDIR"/*) echo "$FFMPEG now has the filters: $FFMPEG -h filter=facetag" ;;
    *)
        echo "$FFMPEG still uses $used: $LIBDIR is not among ld.so's folders, or comes after it. Either"
        echo "  LD_LIBRARY_PATH=$LIBDIR ffmpeg ...   or a line with $LIBDIR in /etc/ld.so.conf.d/, then ldconfig" ;;
    esac
fi
