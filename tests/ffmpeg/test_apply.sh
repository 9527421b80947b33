#!/bin/sh
# filters/apply.sh on small trees that have the anchor lines as FFmpeg 5.1 (AVFilter) and 8.0 (FFFilter) write them.

cd "$(dirname "$0")/../.." || exit 1
rc=0
check() { if [ $? = 0 ]; then echo "ok $1"; else echo "not ok $1"; rc=1; fi; }

# our files, as they might be
ours=$TMPDIR/ours
mkdir -p "$ours" && cp filters/apply.sh "$ours/"
echo 'int a;' >"$ours/vf_facetag.c"
echo 'int b;' >"$ours/vf_zebra.c"
echo '#include <ass/ass.h>' >"$ours/glue.c"
echo 'int d;' >"$ours/glue.h"

tree() {
    t=$TMPDIR/$1
    rm -rf "$t"; mkdir -p "$t/libavfilter"
    cat >"$t/configure" <<C
  --enable-libmp3lame      enable MP3 encoding via libmp3lame [no]
EXTERNAL_LIBRARY_LIST="
    gnutls
    libmp3lame
"
# filters
ass_filter_deps="libass"
enabled libmp3lame        && require "libmp3lame >= 3.98.3"
C
    chmod 755 "$t/configure"
    printf '# video filters\nOBJS-$(CONFIG_FADE_FILTER) += vf_fade.o\n' >"$t/libavfilter/Makefile"
    printf 'extern const %s ff_vf_%s;\n' "$1" edgedetect "$1" fade "$1" yadif >"$t/libavfilter/allfilters.c"
}

for kind in AVFilter FFFilter; do
    tree $kind
    cp -R "$t" "$t.orig"
    ! sh "$ours/apply.sh" --check "$t" >/dev/null && diff -r "$t" "$t.orig"
    check "$kind: --check tells a bare tree and leaves it alone"

    sh "$ours/apply.sh" "$t" && sed "s/.* ff_vf_//; s/;//" "$t/libavfilter/allfilters.c" | tr '\n' ' ' |
        grep -qx 'edgedetect facetag fade yadif zebra ' && [ "$(grep -c "^extern const $kind ff_" "$t/libavfilter/allfilters.c")" = 5 ]
    check "$kind: declared in alphabetical order, with the tree's own type"

    grep -qF 'OBJS-$(CONFIG_FACETAG_FILTER) += vf_facetag.o glue.o' "$t/libavfilter/Makefile" &&
        grep -qx 'facetag_filter_deps="libmien libass avformat swscale"' "$t/configure" && grep -qx '    libmien' "$t/configure" &&
        grep -q '^enabled libmien .*require_pkg_config libmien' "$t/configure" && [ -x "$t/configure" ] && sh -n "$t/configure"
    check "$kind: Makefile and configure know the filters and libmien"

    cp -Rp "$t" "$t.once"
    sleep 0.01
    sh "$ours/apply.sh" "$t" && diff -r "$t" "$t.once" && [ -z "$(find "$t" -type f -newer "$t.once/libavfilter/mien.files")" ] &&
        sh "$ours/apply.sh" --check "$t"
    check "$kind: a second time nothing changes, no date either"

    echo 'int a2;' >"$ours/vf_facetag.c"
    mv "$ours/vf_zebra.c" "$ours/zebra.old"
    ! sh "$ours/apply.sh" --check "$t" >/dev/null && sh "$ours/apply.sh" "$t" && grep -q a2 "$t/libavfilter/vf_facetag.c" &&
        [ ! -e "$t/libavfilter/vf_zebra.c" ] && ! grep -riq zebra "$t"
    check "$kind: an edited file is replaced, one that is gone goes"
    mv "$ours/zebra.old" "$ours/vf_zebra.c"

    sh "$ours/apply.sh" --remove "$t" && diff -r "$t" "$t.orig"
    check "$kind: --remove gives the tree back"

    echo 'int theirs;' >"$t/libavfilter/vf_facetag.c"
    ! sh "$ours/apply.sh" "$t" 2>"$TMPDIR/out" && grep -q 'not ours' "$TMPDIR/out" && grep -q theirs "$t/libavfilter/vf_facetag.c"
    check "$kind: a file that is not ours is never overwritten"
done

tree AVFilter
sed -i '/^# filters/d' "$t/configure"
cp -R "$t" "$t.orig2"
! sh "$ours/apply.sh" "$t" 2>"$TMPDIR/out" && grep -q 'no line like' "$TMPDIR/out"
check 'a missing anchor is named'
! sh "$ours/apply.sh" "$TMPDIR" 2>"$TMPDIR/out" && grep -q 'not an FFmpeg source tree' "$TMPDIR/out"
check 'a folder that is no FFmpeg tree is refused'
exit $rc
