#!/bin/sh
# Add mien's filters to an FFmpeg source tree (5.1 to 9.x), by anchor lines, not by diff context: a line that FFmpeg
# has had for years is searched and ours goes beside it, so that a new release needs no new patch.
#
#   filters/apply.sh TREE            add them, or bring them up to date; files that need no change keep their date
#   filters/apply.sh --check TREE    change nothing; exit status 0: all is there, 1: something is missing or old
#   filters/apply.sh --remove TREE   take everything out again
#
# Added are: every .c and .h of this folder (to TREE/libavfilter), a line a filter in allfilters.c, in
# libavfilter/Makefile and in configure, and --enable-libmien to configure, which finds libmien through pkg-config.
# TREE/libavfilter/mien.files lists what was added. A filter is a file vf_NAME.c; the other files are shared glue.

set -u
LC_ALL=C; export LC_ALL

die() { echo "apply.sh: $*" >&2; exit 2; }
usage() { sed -n '2,12s/^# \{0,1\}//p' "$0"; exit "$1"; }

mode=apply
case ${1:-} in
--check) mode=check; shift ;;
--remove) mode=remove; shift ;;
--help|-h) usage 0 ;;
esac
[ $# = 1 ] || { usage 2 >&2; }
tree=$1
here=$(dirname "$0")

for f in configure libavfilter/Makefile libavfilter/allfilters.c; do
    [ -f "$tree/$f" ] || die "$tree is not an FFmpeg source tree (no $f)"
done
lavfi=$tree/libavfilter
list=$lavfi/mien.files

tmp=$(mktemp -d) || exit 2
trap 'rm -rf "$tmp"' EXIT

# ---- what there is to add, what is there already
files= filters= objs=
if [ $mode != remove ]; then
    for f in "$here"/*.c "$here"/*.h; do
        [ -f "$f" ] || continue
        b=${f##*/}
        files="$files $b"
        case $b in
        vf_*.c) b=${b#vf_}; filters="$filters ${b%.c}" ;;
        *.c) objs="$objs ${b%.c}.o" ;;
        esac
    done
fi
had=
[ -f "$list" ] && had=$(cat "$list")
names=$(for f in $files $had; do echo "$f"; done | sed -n 's/^vf_\(.*\)\.c$/\1/p' | sort -u)

# ---- line editing
# without FILE OUT: FILE less every line of ours
without() {
    case $1 in
    configure) sed '/^    libmien$/d; /^  --enable-libmien /d; /_filter_deps="libmien/d; /^enabled libmien /d' "$tree/$1" >"$2" ;;
    */Makefile) sed '/# mien$/d' "$tree/$1" >"$2" ;;
    *)
        cp "$tree/$1" "$2"
        for n in $names; do
            sed "/^extern const [A-Za-z]* ff_vf_$n;\$/d" "$2" >"$2.new" && mv "$2.new" "$2"
        done ;;
    esac
}

# insert OUT before|after ANCHOR LINE: LINE beside the first line that matches the regular expression ANCHOR
insert() {
    grep -q "$3" "$1" || die "$tree: no line like /$3/ in ${1##*/}: this FFmpeg is too different (known are 5.1 to 9.0)"
    WHERE=$2 LINE=$4 awk -v re="$3" '
        !done && $0 ~ re {
            done = 1
            if (ENVIRON["WHERE"] == "before") { print ENVIRON["LINE"]; print } else { print; print ENVIRON["LINE"] }
            next
        }
        { print }' "$1" >"$1.new" && mv "$1.new" "$1"
}

# put NEW FILE: replace FILE when it differs
put() {
    if cmp -s "$1" "$2"; then return 0; fi
    case $mode in
    check) echo "${2#"$tree"/}: not up to date"; stale=yes ;;
    # cat keeps the file's mode, configure must stay executable
    *) cat "$1" >"$2" || die "cannot write $2" ;;
    esac
}
stale=no

# ---- sources
for f in $files; do
    if [ -f "$lavfi/$f" ]; then
        case " $(echo $had) " in
        *" $f "*) ;;
        *) die "$tree has a libavfilter/$f that is not ours; nothing was changed" ;;
        esac
    fi
done
for f in $files; do put "$here/$f" "$lavfi/$f"; done
for f in $had; do
    case " $files " in
    *" $f "*) ;;
    *) if [ $mode = check ]; then echo "libavfilter/$f: no longer ours"; stale=yes; else rm -f "$lavfi/$f"; fi ;;
    esac
done

# ---- allfilters.c: AVFilter up to 7.1, FFFilter from 8.0
without libavfilter/allfilters.c "$tmp/allfilters.c"
kind=$(sed -n 's/^extern const \([A-Za-z]*\) ff_vf_fade;$/\1/p' "$tmp/allfilters.c")
[ -n "$kind" ] || die "$tree: no declaration of ff_vf_fade in allfilters.c: this FFmpeg is too different (known are 5.1 to 9.0)"
for n in $filters; do
    # the list is in alphabetical order; ours goes before the first name that follows
    next=$(sed -n "s/^extern const $kind ff_vf_\\([a-z0-9_]*\\);\$/\\1/p" "$tmp/allfilters.c" | awk -v n="$n" '$0 > n { print; exit }')
    last=$(sed -n "s/^extern const $kind ff_vf_\\([a-z0-9_]*\\);\$/\\1/p" "$tmp/allfilters.c" | tail -n 1)
    if [ -n "$next" ]; then
        insert "$tmp/allfilters.c" before "^extern const $kind ff_vf_$next;\$" "extern const $kind ff_vf_$n;"
    else
        insert "$tmp/allfilters.c" after "^extern const $kind ff_vf_$last;\$" "extern const $kind ff_vf_$n;"
    fi
done

# ---- Makefile
without libavfilter/Makefile "$tmp/Makefile"
for n in $filters; do
    insert "$tmp/Makefile" after '^# video filters$' \
        "OBJS-\$(CONFIG_$(echo "$n" | tr a-z A-Z)_FILTER) += vf_$n.o$objs # mien"
done

# ---- configure: the option, the check, the filters' dependencies (libass where a file of ours uses it)
without configure "$tmp/configure"
if [ $mode != remove ]; then
    deps=libmien
    (cd "$here" && [ -n "$files" ] && grep -q '#include <ass/' $files) && deps="$deps libass"
    deps="$deps avformat swscale"
    insert "$tmp/configure" before '^  --enable-libmp3lame ' \
        '  --enable-libmien         enable face and style filters via libmien [no]'
    insert "$tmp/configure" after '^EXTERNAL_LIBRARY_LIST="$' '    libmien'
    insert "$tmp/configure" before '^enabled libmp3lame ' \
        'enabled libmien           && require_pkg_config libmien "mien >= 0.1" mien/error.h mien_strerror'
    for n in $filters; do
        insert "$tmp/configure" after '^# filters$' "${n}_filter_deps=\"$deps\""
    done
fi

put "$tmp/allfilters.c" "$lavfi/allfilters.c"
put "$tmp/Makefile" "$lavfi/Makefile"
put "$tmp/configure" "$tree/configure"

case $mode in
check) [ $stale = no ] || exit 1 ;;
remove) rm -f "$list" ;;
apply)
    for f in $files; do echo "$f"; done >"$tmp/files"
    cmp -s "$tmp/files" "$list" || cp "$tmp/files" "$list" || die "cannot write $list" ;;
esac
exit 0
