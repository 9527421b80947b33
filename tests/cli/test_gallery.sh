#!/bin/sh
# The gallery's commands, on templates that are not anybody's (numbers made here): list, show, rename, merge, split, note, ignore,
# forget, export, import, backup, check, stats, compact; odd names; locked, read-only, damaged and foreign files. No networks needed.
. tests/cli/lib.sh
g=$work/g.db
M() {
    M_command=$1
    shift
    "$mien" "$M_command" --gallery "$g" "$@"
}

# export FILE NAME...: an exported gallery with a sample for each name, as `mien export` would write it
hash=1111111111111111111111111111111111111111111111111111111111111111
export_of() {
    f=$1
    shift
    python3 - "$f" "$hash" "$@" <<'END'
import json, math, random, sys
path, h, names = sys.argv[1], sys.argv[2], sys.argv[3:]
r = random.Random("templates of " + "".join(names))
def unit():
    v = [r.gauss(0, 1) for _ in range(128)]
    n = math.sqrt(sum(x * x for x in v))
    return [x / n for x in v]
t = "2026-01-02T03:04:05Z"
json.dump({"mien": "gallery", "format": 1, "encoder": {"hash": h, "name": "test128", "dim": 128},
           "people": [{"name": n, "ignored": False, "created": t, "consent": "", "expires": "", "notes": ""} for n in names],
           "samples": [{"person": i, "sample": {"quality": 0.5, "source": "%064x" % (i + len(names) * 1000), "created": t,
                                                "embedding": unit()}} for i in range(len(names))]}, open(path, "w"))
END
}

t "list without a gallery" 2 M list
err_has "there is no such gallery"
err_lines 1
t "the default gallery" 2 "$mien" list
err_has "$HOME/.local/share/mien/gallery.db"
t "stats without a gallery" 2 M stats --json

export_of "$work/a.json" Ada Grace Alan
t "import" 0 M import "$work/a.json"
out_has "3 samples added"
t "import again adds nothing" 0 M import "$work/a.json" --json
json_is samples_added 0
t "list" 0 M list
t "the same under the family's name" 0 "$mien" gallery list --gallery "$g"
out_has "Ada"
t "list as JSON" 0 M list --json
json_is 0.name Ada
json_is 2.samples 1
t "show" 0 M show Grace
out_has "quality 0.50"
t "show as JSON" 0 M show Grace --json
json_is sample_list.0.quality 0.5
t "show a stranger" 2 M show Grave
err_has "did you mean 'Grace'?"
t "stats" 0 M stats --json
json_is people 3
json_is samples 3
json_is encoder.name test128
t "stats as text" 0 M stats
out_has "people    3"
t "check" 0 M check
out_has "sound"

t "rename" 0 M rename Ada "Ada Lovelace"
t "rename to one who is there" 2 M rename "Ada Lovelace" Grace
err_has "mien merge"
t "rename a stranger" 2 M rename Nobody X
t "merge" 0 M merge Alan Grace
out_has "1 sample moved"
t "merge with oneself" 2 M merge Grace Grace
t "show after merge" 0 M show Grace --json
json_is samples 2
id=$(M show Grace --json | sed -n 's/.*"id":[^0-9]*\([0-9]*\),*/\1/p' | tail -1)
t "split" 0 M split "$id" Alan
t "list after split" 0 M list --json
json_is 1.name Alan
t "split nothing" 2 M split x Alan
err_has "is no sample's number"
t "split a sample that is not there" 2 M split 999999 Alan

t "note" 0 M note Alan --consent "signed 2026-01-01" --expires 2001-01-01 --notes "it's 100% \"fine\""
t "expired is shown" 0 M show Alan
out_has "expired"
out_has "it's 100% \"fine\""
t "note: no date" 2 M note Alan --expires tomorrow
t "note: nothing" 2 M note Alan
t "note: cleared" 0 M note Alan --expires ""
t "ignore" 0 M ignore Alan
t "ignored is shown" 0 M list
out_has "ignored"
t "ignore --off" 0 M ignore Alan --off --json
json_is ignored false

# ---- names
i=0
nl='
'
for name in "O'Brien\"; DROP TABLE person; --" '100%s %n %d' '../../etc/passwd' '-rf' '日本語 한국어 العربية' 'a\nb' '%{pts}' '🙂' "$(printf '%0255d' 0)"; do
    i=$((i + 1))
    export_of "$work/n$i.json" "$name"
    t "import of an odd name $i" 0 M import "$work/n$i.json"
    t "show an odd name $i" 0 M show --json -- "$name"
    json_is name "$name"
    t "rename to it and back $i" 0 M rename -- "$name" "tmp $i"
    t "rename back $i" 0 M rename -- "tmp $i" "$name"
    t "forget an odd name $i" 0 M forget --yes -- "$name"
done
t "name of 256 bytes" 2 M rename Grace "$(printf '%0256d' 0)"
err_has "cannot be a name"
t "name with a line break" 2 M rename Grace "a${nl}b"
err_has 'a\nb'
t "name with an escape" 2 M rename Grace "$(printf 'a\033]0;x\007')"
err_has 'a\x1b]0;x\x07'
t "name that is not UTF-8" 2 M rename Grace "$(printf 'a\377b')"
err_has 'a\xffb'
t "empty name" 2 M rename Grace ""
t "name of blanks" 2 M rename Grace "  "
t "still there" 0 M show Grace

# ---- forget
t "forget unconfirmed" 2 M forget Grace
err_has "say --yes"
t "forget a stranger" 2 M forget Nobody --yes
t "forget neither" 2 M forget --yes
t "forget" 0 M forget Grace --yes --json
json_is traces_left 0
json_is proven true
t "gone" 2 M show Grace
t "name is gone from the bytes" 1 grep -aq Grace "$g"
id=$(M show Alan --json | sed -n 's/.*"id":[^0-9]*\([0-9]*\),*/\1/p' | tail -1)
t "forget a sample" 0 M forget --sample "$id" --yes
t "the person stays" 0 M show Alan --json
json_is samples 0
t "forget one without samples" 0 M forget Alan --yes
t "compact" 0 M compact

# ---- files
t "export" 0 M export "$work/out.safetensors"
t "export as JSON" 0 M export "$work/out.json"
g2=$g
g=$work/second.db
t "import of safetensors" 0 M import "$work/out.safetensors"
t "the same people" 0 M list
out_has "Ada Lovelace"
hash=2222222222222222222222222222222222222222222222222222222222222222
export_of "$work/other.json" Eve
t "import from another encoder" 2 M import "$work/other.json"
t "nothing came in" 0 M stats --json
json_is people 1
g=$g2
t "backup" 0 M backup "$work/copy.db"
t "backup over a file" 2 M backup "$work/copy.db"
g=$work/copy.db
t "the backup is a gallery" 0 M show "Ada Lovelace"
g=$g2
t "import of nothing" 2 M import "$work/nothing.json"
echo "no export" >"$work/text.json"
t "import of text" 2 M import "$work/text.json"
head -c 300 "$work/out.safetensors" >"$work/short.safetensors"
t "import of a cut file" 2 M import "$work/short.safetensors"
err_has "short.safetensors"
t "export into a folder that is not there" 2 M export "$work/none/out.json"
t "export onto a full disk" 2 M export /dev/full

# ---- troubled galleries
g=$work/text.db
echo "this is no database, just a line of text that is long enough to be read as a header" >"$g"
t "not a gallery" 2 M list
err_has "text.db"
g=$work
t "a folder as gallery" 2 M list
g=$work/cut.db
head -c 5000 "$g2" >"$g"
t "a cut gallery" 2 M check
g=$g2
if command -v sqlite3 >/dev/null 2>&1; then
    (sqlite3 "$g" "BEGIN EXCLUSIVE;" ".shell sleep 12" "COMMIT;" >/dev/null 2>&1) &
    pid=$!
    sleep 1
    t "reading while another process writes" 0 M list
    t "writing while another process writes" 2 M rename "Ada Lovelace" Ada
    err_has "another process"
    wait $pid
    t "writing afterwards" 0 M rename "Ada Lovelace" Ada
    t "and back" 0 M rename Ada "Ada Lovelace"
else
    echo "ok locked gallery # SKIP sqlite3 is not installed"
fi
if [ "$(id -u)" != 0 ]; then
    mkdir "$work/ro" && cp "$g2" "$work/ro/g.db" && chmod 555 "$work/ro" && chmod 444 "$work/ro/g.db"
    g=$work/ro/g.db
    t "list of a read-only gallery" 0 M list
    t "change of a read-only gallery" 2 M rename "Ada Lovelace" Ada
    chmod 755 "$work/ro"
else
    echo "ok read-only gallery # SKIP root may write everywhere"
fi
g=$g2
t "sound at the end" 0 M check

t_end
