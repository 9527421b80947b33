#!/bin/sh
# core/models/fetch.sh (make models): what is there, missing, damaged; never the network. Works on a copy of what make models left in
# the build folder's cache.
. tests/cli/lib.sh

fetch=core/models/fetch.sh
cache=$MIEN_BUILD/cache
face=faceplugin-face-recognition-js-0.0.1
api=vladmandic-face-api-1.7.15

if [ ! -f "$cache/$face.tgz" ] || [ ! -f "$cache/$api.tgz" ]; then
    echo "ok fetch.sh # SKIP the packages are not in $cache (make models was given imported networks)"
    exit 0
fi

# A path without npm: nothing can be fetched behind the test's back.
mkdir "$work/bin"
for tool in sh tar gzip awk sed grep cut cat cp mv rm mkdir mktemp dirname tr sha256sum sha512sum; do
    ln -s "$(command -v $tool)" "$work/bin/$tool"
done
no_npm() { PATH=$work/bin "$@"; }

b=$work/build
mkdir "$work/packages"
cp "$cache/$face.tgz" "$cache/$api.tgz" "$work/packages/"

t "no npm" 1 no_npm sh $fetch --build="$b"
err_has "package faceplugin-face-recognition-js 0.0.1: npm is needed to fetch it (Debian package npm)"
t "no such folder" 1 no_npm sh $fetch --build="$b" --models-dir="$work/nowhere"
err_has "there is no folder"
t "an unknown argument" 1 no_npm sh $fetch --turbo
err_has "unknown argument '--turbo'"

t "from tarballs" 0 no_npm sh $fetch --build="$b" --models-dir="$work/packages" --mien="$mien"
t "networks are there and listed" 0 sh -c "cd '$b/models' && sha256sum --quiet -c SHA256SUMS && test \$(ls | wc -l) = 8"
t "photographs are there" 0 test -f "$b/cache/$api/demo/sample6.jpg"
t "licences are there" 0 test -f "$b/cache/$face/LICENSE"
touch -d 2001-01-01 "$b"/models/*
t "a second run needs nothing" 0 no_npm sh $fetch --build="$b" --mien=/nonexistent
t "and changes nothing" 0 test -z "$(find "$b/models" -type f -newermt 2001-01-02)"

printf x >>"$b/cache/$api/demo/sample1.jpg"
t "a damaged file in the cache comes out of the tarball again" 0 no_npm sh $fetch --build="$b" --mien=/nonexistent
t "and is right then" 0 cmp "$b/cache/$api/demo/sample1.jpg" "$cache/$api/demo/sample1.jpg"
for f in "$b"/models/face-landmarks-*; do printf x >>"$f"; done
t "a damaged network is imported again" 0 no_npm sh $fetch --build="$b" --mien="$mien"
t "and is right then" 0 sh -c "cd '$b/models' && sha256sum --quiet -c SHA256SUMS"

t "from imported networks" 0 no_npm sh $fetch --build="$work/copy" --models-dir="$b/models" --mien=/nonexistent
t "they are the same" 0 diff -r "$b/models" "$work/copy/models"
for f in "$b"/models/face-liveness-*; do printf x >>"$f"; done
t "a damaged one among them" 1 no_npm sh $fetch --build="$work/copy2" --models-dir="$b/models" --mien=/nonexistent
err_has "is damaged (its SHA-256 is not the pinned one)"

printf x | dd of="$work/packages/$api.tgz" bs=1 seek=4000 conv=notrunc 2>/dev/null
t "a damaged tarball" 1 no_npm sh $fetch --build="$work/b2" --models-dir="$work/packages" --mien="$mien"
err_has "package @vladmandic/face-api 1.7.15:"
err_has "is damaged or another file (its SHA-512 is not the pinned one)"
t "leaves no network" 0 test -z "$(ls "$work/b2/models")"
rm "$work/packages/$api.tgz"
t "a missing tarball" 1 no_npm sh $fetch --build="$work/b2" --models-dir="$work/packages" --mien="$mien"
err_has "package @vladmandic/face-api 1.7.15:"
err_has "get it with: npm pack @vladmandic/face-api@1.7.15"
t "nothing is left lying about" 0 sh -c "! ls -d '$b'/cache/tmp.* '$work'/b2/cache/tmp.* 2>/dev/null"

t_end
