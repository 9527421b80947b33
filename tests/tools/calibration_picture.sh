#!/bin/sh
# docs/images/fpir-by-size.svg, as `mien calibrate --plot` draws it for a gallery of 100 people, each with one template (random numbers: the
# curves come from the published statistics): sh tests/tools/calibration_picture.sh > docs/images/fpir-by-size.svg
set -eu
: "${MIEN_BUILD:=build}" "${TMPDIR:=/tmp}"
work=$(mktemp -d "$TMPDIR/picture.XXXXXX")
trap 'rm -rf "$work"' EXIT
python3 - "$work/people.json" <<'END'
import json, math, random, sys
r, t = random.Random(1), "2026-01-02T03:04:05Z"
def unit():
    v = [r.gauss(0, 1) for _ in range(128)]
    return [x / math.sqrt(sum(y * y for y in v)) for x in v]
json.dump({"mien": "gallery", "format": 1,
           "encoder": {"hash": "469b8cde1d367cd978e2ad316a344975440c5f0bf9e9e95a08a290f7e7792e40", "name": "mobileface128", "dim": 128},
           "people": [{"name": "P%d" % i, "ignored": False, "created": t, "consent": "", "expires": "", "notes": ""} for i in range(100)],
           "samples": [{"person": i, "sample": {"quality": 0.5, "source": "", "created": t, "embedding": unit()}} for i in range(100)]},
          open(sys.argv[1], "w"))
END
"$MIEN_BUILD/bin/mien" import --quiet --gallery "$work/g.db" "$work/people.json"
"$MIEN_BUILD/bin/mien" calibrate --dry-run --gallery "$work/g.db" --plot "$work/plot.svg" >&2
cat "$work/plot.svg"
