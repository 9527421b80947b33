#!/bin/sh
# The presets of this repository are those that SOURCES.tsv lists; mien preset and mien layers.
. tests/cli/lib.sh
: "${MIEN_MODELS:=$PWD/build/models}"
MIEN_PRESETS=$PWD/presets
export MIEN_MODELS MIEN_PRESETS

# ---- the library: list and files agree, every row is complete
python3 >"$out" 2>"$err" - <<'END'
import glob, hashlib, os
rows = [l.rstrip("\n").split("\t") for l in open("presets/SOURCES.tsv", encoding="utf-8") if not l.startswith("#")]
for r in rows:
    if len(r) != 11 or not all(r) or len(r[1]) != 64 or len(r[9]) != 64:
        print("incomplete row:", r[0])
    path = "presets/%s.safetensors" % r[0]
    if not os.path.exists(path) or hashlib.sha256(open(path, "rb").read()).hexdigest() != r[1]:
        print("missing or another file:", path)
    elif os.path.getsize(path) >= 2000000:
        print("2 MB or more:", path)
    if "`%s`" % r[0] not in open("docs/presets.md", encoding="utf-8").read():
        print("not in docs/presets.md:", r[0])
files = {os.path.basename(p)[:-len(".safetensors")] for p in glob.glob("presets/*.safetensors")}
print(*["not listed: " + f for f in files - {r[0] for r in rows}], sep="\n", end="")
if len(rows) < 12:
    print("fewer than 12")
END
t_name="the library"
is "is what SOURCES.tsv says" [ ! -s "$out" ]
t "preset list" 0 "$mien" preset list
out_has "Vincent van Gogh, The Starry Night, 1889"
is "lists all" [ "$(wc -l <"$out")" = "$(grep -vc '^#' presets/SOURCES.tsv)" ]
t "preset list, json" 0 "$mien" preset list --json
json_is 0.network stylenet
t "no presets" 0 "$mien" preset list --presets "$work/none"
out_has "no presets"

if [ ! -e "$MIEN_MODELS/manifest.json" ]; then
    echo "ok everything else # SKIP the networks are not there; 'make models' fetches them"
    t_end
fi
t "preset check" 0 "$mien" preset check
out_lacks BAD
t "model list" 0 "$mien" model list
out_has stylenet

# ---- show
t "show" 0 "$mien" preset show great-wave --thumbnail "$work/t.png" --spectrum "$work/s.png"
out_has "Katsushika Hokusai"
out_has "640, 320, 160 px"
t "show: a wrong name" 2 "$mien" preset show starry-nihgt
err_has "did you mean starry-night?"
t "show: no such file" 2 "$mien" preset show ./nothing.safetensors
err_has "nothing.safetensors: cannot open"
t "show: a network" 2 "$mien" preset show core/models/stylenet.safetensors
err_has "is no preset but a network"
head -c 100000 presets/mosaic.safetensors >"$work/cut.safetensors"
t "check: a cut file" 2 "$mien" preset check "$work/cut.safetensors"
err_has "cut.safetensors"
out_has "BAD"
t "show: a spectrum that cannot be written" 2 "$mien" preset show mosaic --spectrum "$work/no/s.png"
t "show: no picture format" 2 "$mien" preset show mosaic --thumbnail "$work/t.xyz"
err_has "pictures are written as .png or .jpg"

# ---- blend
t "blend" 0 "$mien" preset blend mosaic:3 presets/fresco.safetensors -o "$work/both.safetensors" --json
json_is title "mosaic:0.75 fresco:0.25"
t "blend of blends" 0 "$mien" preset blend "$work/both.safetensors:0.5" starry-night -o "$work/three.safetensors"
t "blend: no number" 2 "$mien" preset blend mosaic:much -o "$work/x.safetensors"
err_has "a preset and its weight are meant"
t "blend: nothing" 2 "$mien" preset blend mosaic:0 -o "$work/x.safetensors"
err_has "not all 0"
t "blend: no out" 2 "$mien" preset blend mosaic
err_has "--out NAME.safetensors"

if ! command -v ffmpeg >/dev/null 2>&1; then
    echo "ok everything else # SKIP ffmpeg is not installed"
    t_end
fi
ffmpeg -v error -f lavfi -i testsrc2=s=96x64:d=1:r=4 -frames:v 1 "$work/a.png"
ffmpeg -v error -f lavfi -i mandelbrot=s=160x120:r=1 -frames:v 1 "$work/b.png"
ffmpeg -v error -f lavfi -i testsrc2=s=64x48:d=3:r=4 "$work/v.mkv"
printf 'no picture' >"$work/c.png"

# ---- make
t "make" 0 "$mien" preset make "$work/b.png" -o "$work/b.safetensors" --title "B%s" --artist 'Ünïcödé "q"' --size 128 --strength 30
t "it is there" 0 "$mien" preset show "$work/b.safetensors" --json
json_is title "B%s"
json_is artist 'Ünïcödé "q"'
json_is settings.strength 30.0
json_is network stylenet
cp "$work/b.safetensors" "$work/b1.safetensors"
t "make again" 0 "$mien" preset make "$work/b.png" -o "$work/b.safetensors" --title "B%s" --artist 'Ünïcödé "q"' --size 128 --strength 30 -t 1
is "gives the same bytes" cmp -s "$work/b.safetensors" "$work/b1.safetensors"
t "several pictures" 0 "$mien" preset make "$work/a.png" "$work/b.png" -o "$work/ab.safetensors" --size 96 --scales 2 --layers relu1_1:2,relu2_2 --json
json_is pictures 2
json_is layers.0.weight 2.0
json_is scales 2
t "by name" 0 "$mien" preset show ab --presets "$work"
t "no such layer" 2 "$mien" preset make "$work/a.png" -o "$work/x.safetensors" --layers relu9_9
err_has "has no layer relu9_9"
t "too small" 2 "$mien" preset make "$work/a.png" -o "$work/x.safetensors" --size 40
err_has "a larger size or fewer scales"
t "no picture" 2 "$mien" preset make "$work/c.png" -o "$work/x.safetensors"
err_has "c.png"
t "no network for it" 2 "$mien" preset make "$work/a.png" -o "$work/x.safetensors" --network rfb320
err_has "is no feature network"
t "a bad name" 2 "$mien" preset make "$work/a.png" -o "$work/x"
err_has "NAME.safetensors"
is "nothing is left" [ ! -e "$work/x.safetensors" ]

# ---- another network refuses it
mkdir "$work/models"
t "import with max pooling" 0 "$mien" model import core/models/stylenet.safetensors --pool max --to "$work/models"
out_has stylenet-max
t "check without its network" 2 "$mien" preset check starry-night --models "$work/models"
err_has "was made by the feature network stylenet"
t "blend of two networks" 0 "$mien" preset make "$work/b.png" -o "$work/m.safetensors" --size 128 --models "$work/models"
t "is refused" 2 "$mien" preset blend "$work/b.safetensors" "$work/m.safetensors" -o "$work/x.safetensors"
err_has "different feature networks, stylenet"

# ---- layers: against the definition, relu1_1's first unit worked out by hand on the 96x64 picture
t "layers without pictures" 0 "$mien" layers
out_has "relu4_1      62 units, field  52x52 px, step  8 px"
t "layers of a picture" 0 "$mien" layers "$work/a.png" -o "$work/sheets" --layers relu1_1,relu3_1 --json
json_is 1.field_x_px 24
cp "$out" "$work/layers.json"
is "there are sheets" [ -s "$work/sheets/relu1_1.png" ] && [ -s "$work/sheets/relu3_1.png" ]
ffmpeg -v error -i "$work/a.png" -pix_fmt rgb24 "$work/a.ppm"
python3 - "$work" >"$out" 2>"$err" <<'END'
import json, struct, sys
raw = open(sys.argv[1] + "/a.ppm", "rb").read().split(b"\n", 3)[3]
w, h = 96, 64
data = open("core/models/stylenet.safetensors", "rb").read()
n = struct.unpack("<Q", data[:8])[0]
head = json.loads(data[8:8 + n])
def tensor(name):
    a, b = head[name]["data_offsets"]
    return struct.unpack("<%df" % ((b - a) // 4), data[8 + n + a:8 + n + b])
k, bias = tensor("conv2d_1.weight"), tensor("conv2d_1.bias")
x = [(v / 255 - 0.45) * 4 for v in raw]
for unit in range(0, 16, 5):
    best = 0
    for cy in range(1, h - 1):
        for cx in range(1, w - 1):
            s = bias[unit]
            for dy in range(3):
                for dx in range(3):
                    for c in range(3):
                        s += x[((cy + dy - 1) * w + cx + dx - 1) * 3 + c] * k[((dy * 3 + dx) * 3 + c) * 16 + unit]
            best = max(best, s)
    got = json.load(open(sys.argv[1] + "/layers.json"))[0]["units"][unit]["patches"]
    values = [p["value"] for p in got]
    if abs((values or [0])[0] - best) > 1e-4 * max(best, 1) or values != sorted(values, reverse=True) or len(got) > 9:
        print("unit", unit, best, values)
    if any(not (0 <= p["x_px"] <= w - 3 and 0 <= p["y_px"] <= h - 3) for p in got):
        print("unit", unit, "outside")
END
t_name="the strongest patches"
is "are the strongest by definition" [ ! -s "$out" ]
is "were worked out" [ ! -s "$err" ]
t "layers of a video" 0 "$mien" layers "$work/v.mkv" -o "$work/sheets2" --every 1 --layers relu2_1 --json
json_is 0.units.3.patches.0.file "$work/v.mkv"
t "layers: no such layer" 2 "$mien" layers "$work/a.png" -o "$work/sheets" --layers relu0_0
err_has "the network has none of this name"
t "layers: no picture" 2 "$mien" layers "$work/c.png" -o "$work/sheets"
err_has "c.png"
t "layers: another kind of network" 2 "$mien" layers "$work/a.png" -o "$work/sheets" --network landmark68
err_has "is no network for coloured pictures"
t_end
