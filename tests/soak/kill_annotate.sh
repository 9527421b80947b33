#!/bin/sh
# kill -9 of `mien annotate` or of one of its ffmpegs at random moments: no finished film or part is done again, no unfinished one counts as
# done, and what is there at last is what ffmpeg gives.
#
#   tests/soak/kill_annotate.sh [KILLS [SEED]]      100 kills unless told; takes about a second a kill
#
# ffmpeg is wrapped: every start is noted, as "again" if the result of that part or film is there already. Films are done with from scratch
# as often as the kills last.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
kills=${1:-100} seed=${2:-$$}
setup
mien=$PWD/build/bin/mien out=$work/out starts=$work/starts
trap '[ -z "$tool" ] || kill -9 "$tool" 2>/dev/null' EXIT
tool=
mkdir "$work/in"
# five films: four of a second or two, and one that is cut into three parts
for n in 1 2 3 4; do
    ff -y -i "$clip" -vf fps=8,scale=320:-2 -c:v libx264 -preset veryfast -g 10 -t 1.$n "$work/in/$n.mp4" || exit 1
done
ff -y -stream_loop 6 -i "$clip" -vf fps=8,scale=320:-2 -c:v libx264 -preset veryfast -g 8 "$work/in/long.mp4" || exit 1

cat >"$work/ffmpeg" <<END
#!/bin/sh
for a; do
    case \$a in
    file:*/in/*) film=\${a##*/} ;;
    facetag=*) key=\$(expr "\$a" : '.*\.annotate/\([0-9a-f]*\)\.tmp') ;;
    esac
done
word=start
[ ! -e "$out/\$film.jsonl" ] && [ ! -e "$out/.annotate/\$key.jsonl" ] || word=again
[ -z "\$film" ] || echo "\$word \$film \$key" >>"$starts"
exec "$PWD/build/bin/ffmpeg" "\$@"
END
chmod +x "$work/ffmpeg"
: >"$starts"

# becomes the program, so that $! of it in the background is the program's
exec_annotate() {
    exec "$mien" annotate "$work/in" --out "$out" -g "$gallery" --ffmpeg "$work/ffmpeg" --segment 5 --workers 2 --threads 1 --tries 1000 "$@"
}
annotate() { (exec_annotate "$@"); }
no_wall() { sed 's/,"wall":"[^"]*"//' "$1"; }

annotate >"$work/first" 2>&1 || { cat "$work/first"; echo "not ok a run without kills"; exit 1; }
mv "$out" "$work/ref"
[ "$(grep -c '^start' "$starts")" = 7 ]
check "a run without kills starts ffmpeg once a part"

# Everything that is there, or is told to be there, is right.
sound() {
    for f in "$out"/*.jsonl; do
        [ -e "$f" ] || continue
        no_wall "$f" >"$work/a"
        no_wall "$work/ref/${f##*/}" | cmp -s - "$work/a" || { echo "# $f differs"; return 1; }
    done
    "$mien" annotate --status "$out" --json >"$work/status" 2>"$work/status.err"
    [ $? -lt 2 ] || { sed 's/^/# /' "$work/status.err"; return 1; }
    python3 - "$work/status" "$out" <<'END'
import json, os, sys
for f in json.load(open(sys.argv[1]))["films"]:
    there = os.path.exists(os.path.join(sys.argv[2], f["result"] + ".jsonl"))
    if f["state"] == "done" and not there:
        sys.exit("# %s counts as done and is not there" % f["result"])
END
}

# a number below $1
random() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); echo $((seed / 65536 % $1)); }
n_tool=0 n_child=0 bad=0 rounds=0
while [ $((n_tool + n_child)) -lt "$kills" ]; do
    if ! [ -d "$out" ]; then rounds=$((rounds + 1)); fi
    exec_annotate >"$work/log" 2>&1 &
    tool=$!
    random 16 >"$work/r"; sleep "0.$(printf %02d $(($(cat "$work/r") * 6)))"
    child=$(ps -o pid= --ppid "$tool" | awk 'NR == 1 { print $1 }')
    random 2 >"$work/r"
    if [ "$(cat "$work/r")" = 0 ] && [ -n "$child" ]; then
        kill -9 "$child" 2>/dev/null && n_child=$((n_child + 1))
    fi
    random 3 >"$work/r"
    [ "$(cat "$work/r")" = 0 ] && wait "$tool"
    if kill -9 "$tool" 2>/dev/null; then n_tool=$((n_tool + 1)); fi
    wait "$tool" 2>/dev/null
    tool=
    [ ! -e "$out/annotate.db" ] || sound || bad=$((bad + 1))
    if "$mien" annotate --status "$out" >/dev/null 2>&1; then
        rm -rf "$out" # all done: from the beginning
    fi
done
[ $bad = 0 ]
check "after each of $n_tool kills of the tool and $n_child of ffmpeg: what is there is right, and nothing else is called done ($rounds rounds)"
annotate --retry >"$work/log" 2>&1 && sound && [ "$(ls "$out"/*.jsonl | wc -l)" = 5 ]
check "in the end everything is done"
! grep '^again' "$starts"
check "nothing that was finished was begun again ($(wc -l <"$starts") starts of ffmpeg)"
[ -z "$(ls "$out/.annotate")" ]
check "nothing temporary is left"
exit $rc
