#!/bin/sh
# Makes tests/data/parity-*.safetensors again (make_vectors.mjs says how). Wants node, npm, ffmpeg and what make models leaves in
# build/cache. The runtimes are fetched as tarballs alone into build/cache/runtime; nothing of them is kept elsewhere. The numbers
# change in their last digits with the machine, so the diff is to be looked at before it is committed.
set -eu
cd "$(dirname "$0")/../.."
cache=build/cache
runtime=$cache/runtime
pictures=$runtime/pictures
photos=$cache/vladmandic-face-api-1.7.15/demo

# pack PACKAGE VERSION SHA512 TARBALL FOLDER
pack() {
    [ ! -d "$runtime/$5" ] || return 0
    [ -f "$cache/$4" ] || (cd "$cache" && npm pack --silent "$1@$2" >/dev/null)
    echo "$3  $cache/$4" | sha512sum --quiet -c - || { echo "package $1 $2 is damaged" >&2; exit 1; }
    mkdir -p "$runtime/$5"
    tar -xzf "$cache/$4" -C "$runtime/$5" --strip-components=1
}

# cut NAME PHOTO CROP WxH: 8-bit RGB pixels
cut() {
    ffmpeg -v error -y -i "$photos/$2" -vf "crop=$3,scale=$4:flags=area+accurate_rnd+bitexact" -pix_fmt rgb24 -f rawvideo "$pictures/$1.rgb"
}

mkdir -p "$pictures"
pack onnxruntime-node 1.30.0 b7086cd42d82fc1164cf5c9ce4e634288536194aba0d444eee10f86f1e50d90cb79c0309c115d6f31537355733136f5503d96894b3987a9a03f1f8d318e7c8ab \
    onnxruntime-node-1.30.0.tgz node_modules/onnxruntime-node
pack onnxruntime-common 1.30.0 edf7555a30080f5755847fc6f2a2b700f011ba7578564045a024003fbaa9e1691a6f49aba2bbe673eb2a893fa62973b30ea7633798fefd9f676f883334f59cc8 \
    onnxruntime-common-1.30.0.tgz node_modules/onnxruntime-common
pack @vladmandic/face-api 1.7.15 5833262b709f34ba3c8f2956a8ca1081fe2722cb773347f3c7576769cf7ac2ffddbcc4cde03c42fcfab50c6b5db83935964b426a64373080d7167beb7474d70f \
    vladmandic-face-api-1.7.15.tgz face-api

cut detector-a sample4.jpg 1920:1440:0:0 128:96
cut detector-b sample1.jpg 1920:1280:0:0 93:69
cut landmarks-a sample4.jpg 165:210:1275:165 64:64
cut landmarks-b sample1.jpg 210:250:410:360 64:64
cut encoder sample4.jpg 240:240:1245:165 112:112
cut liveness sample1.jpg 560:560:240:180 128:128
cut dlib sample4.jpg 300:300:1215:135 150:150

node --no-warnings tests/tools/make_vectors.mjs "$cache" "$pictures" tests/data
