#!/bin/sh
# Bad input: one error line of facetag's own that names the thing and the remedy, an exit status, no crash.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup

echo text >"$work/text.db"
mkdir -p "$work/nomodels" "$work/badmodels"
cp build/models/*.safetensors build/models/manifest.json "$work/badmodels/"
for m in "$work"/badmodels/face-detector-*.safetensors; do head -c 5000 "$m" >"$m.cut" && mv "$m.cut" "$m"; done
f="facetag=gallery=$gallery"

fails 'missing gallery' 'mien enroll' "facetag=gallery=$work/none.db"
fails 'a gallery that is none' 'text.db' "facetag=gallery=$work/text.db"
fails 'folder without models' 'make models' "$f:models=$work/nomodels"
fails 'damaged model' 'face-detector' "$f:models=$work/badmodels"
fails "another encoder than the gallery's" 'encoder' "$f:encoder=dlib128"
fails 'no such encoder file' 'none.safetensors' "$f:encoder=$work/none.safetensors"
fails 'verify without a claim' 'claim=NAME' "$f:mode=verify"
fails 'claim of nobody' 'Nobody' "$f:mode=verify:claim=Nobody"
fails 'detection size out of range' '64' "$f:size=10"
fails 'log in a folder that is not there' 'no/such' "$f:log=$work/no/such/log"
fails 'full disk under the log' '/dev/full' "$f:log=/dev/full"

for option in threshold=2 interval=0 max_faces=0 min_face=1 draw=nothing mode=guess format=xml; do
    ff -i "$clip" -vf "$f:$option" -f null - 2>"$work/err"
    [ $? = 1 ] && grep -q "${option%%=*}\|${option#*=}" "$work/err"
    check "option $option is refused"
done

XDG_DATA_HOME=$work/home build/bin/mien enroll Someone "$work/ann.png" --gallery "$work/empty.db" >/dev/null 2>&1 &&
    build/bin/mien forget Someone --gallery "$work/empty.db" --yes >/dev/null 2>&1
V=warning ff -i "$clip" -vf "facetag=gallery=$work/empty.db,metadata=print:file=$work/m" -f null - 2>"$work/err" &&
    [ "$(grep -c 'holds nobody' "$work/err")" = 1 ] && ! grep -q =known "$work/m"
check 'an empty gallery: a warning, and nobody is known'
chmod a-w "$gallery" && V=warning ff -i "$clip" -vf "$f" -f null - 2>"$work/err" && [ ! -s "$work/err" ]
check 'a read-only gallery works'
exit $rc
