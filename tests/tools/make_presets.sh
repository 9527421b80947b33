#!/bin/sh
# presets/*.safetensors from their pictures, as presets/SOURCES.tsv says; the hashes of the results go back into it. POSIX sh.
#
#   make_presets.sh PICTURES [NAME...]
#
# PICTURES is a folder with the files of the column "file"; those of tests/tools/style_pictures.py are drawn where they are missing. Other
# files than those that SOURCES.tsv lists by their hash are refused. Needs build/bin/mien and build/models.
set -u
cd "$(dirname "$0")/../.." || exit 1
[ -d "${1:-}" ] || { echo "make_presets.sh PICTURES [NAME...]" >&2; exit 1; }
pictures=$1
shift
tab=$(printf '\t')
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
die() { echo "make_presets: $*" >&2; exit 1; }
sha256() { sha256sum <"$1" | cut -d' ' -f1; }

wanted=" $* "
while IFS= read -r line; do
    case $line in "#"*) printf '%s\n' "$line"; continue ;; esac
    # an empty field would be swallowed: there is none
    IFS=$tab read -r name old kind title artist year licence where file hash options <<ROW
$line
ROW
    case $wanted in "  " | *" $name "*) ;; *) printf '%s\n' "$line"; continue ;; esac
    path=$pictures/$file
    if [ ! -f "$path" ] && [ "${file##*.}" = ppm ]; then
        [ -f "$tmp/$file" ] || python3 tests/tools/style_pictures.py "$tmp" || exit 1
        path=$tmp/$file
    fi
    [ -f "$path" ] || die "$name: there is no $path"
    [ "$(sha256 "$path")" = "$hash" ] || die "$name: $path is another file than the one listed"
    # shellcheck disable=SC2086
    build/bin/mien preset make -q "$path" --out "presets/$name.safetensors" --title "$title" --artist "$artist" --year "$year" \
        --license "$licence" --source "$where" $options || die "$name: failed"
    printf '%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$name" "$(sha256 "presets/$name.safetensors")" "$kind" "$title" "$artist" "$year" \
        "$licence" "$where" "$file" "$hash" "$options"
    : "$old"
done <presets/SOURCES.tsv >"$tmp/new" || exit 1
cp "$tmp/new" presets/SOURCES.tsv
