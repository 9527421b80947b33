#!/bin/sh
# mien annotate: each film's result is what ffmpeg gives, whatever its name; done is done until something changes; failures, signals, two at
# the same time, films in parts. ffmpeg is wrapped, so that its starts can be counted.
. tests/golden/lib.sh
setup
g=$gallery c=$clip ffmpeg=$PWD/build/bin/ffmpeg
. tests/cli/lib.sh
cd "$work" || exit 1
ff() { "$ffmpeg" -v error -nostdin -y "$@"; }
ff -i "$c" -f lavfi -i sine=duration=1.2 -vf fps=8,scale=320:-2 -t 1.2 -c:v libx264 -preset veryfast -g 8 -c:a aac film.mp4
ff -stream_loop 5 -i "$c" -vf fps=8,scale=320:-2 -c:v libx264 -preset veryfast -g 8 long.mp4
cat >count <<END
#!/bin/sh
case "\$*" in *file:*) echo start >>"$work/starts" ;; esac
exec "$ffmpeg" "\$@"
END
chmod +x count
: >starts
starts() { wc -l <starts; }
# annotate ARGUMENT...: with what every call needs; in the background it becomes the program itself, so that $! is the program's
annotate() { "$mien" annotate -g "$g" --ffmpeg "$work/count" --workers 2 --threads 1 "$@"; }
background() { exec "$mien" annotate -g "$g" --ffmpeg "$work/count" --workers 2 --threads 1 "$@"; }
no_wall() { sed 's/,"wall":"[^"]*"//' "$1"; }
ff -i film.mp4 -filter_threads 1 -vf "facetag=gallery=$g:log=ref.jsonl" -f null -
no_wall ref.jsonl >ref
same() { no_wall "$1" | cmp -s - ref; }

t "nothing to do it with" 2 "$mien" annotate
err_has "give videos"
t "nowhere to" 2 "$mien" annotate film.mp4 -g "$g"
err_has "--out DIR is missing"
t "no such film" 2 "$mien" annotate film.mp4 --out o -g "$work/none.db" --ffmpeg "$ffmpeg"
err_has "mien enroll"
mkdir empty
t "a folder without films" 2 annotate empty --out o
err_has "no picture or video"
t "an ffmpeg without facetag" 2 "$mien" annotate film.mp4 --out o -g "$g" --ffmpeg /bin/echo
err_has "has no filter facetag"
t "no ffmpeg" 2 "$mien" annotate film.mp4 --out o -g "$g" --ffmpeg "$work/nix"
t "a log of one's own" 2 annotate film.mp4 --out o --filter "interval=2:log=x"
err_has "may not set 'log'"
t "videos of parts" 2 annotate film.mp4 --out o --video --segment 10
t "too short parts" 2 annotate film.mp4 --out o --segment 2
t "no folder of results" 2 "$mien" annotate --status "$work/none"
is "nothing was started" [ "$(starts)" = 0 ]

# names that mean something to shells, ffmpeg and its filters; a name that is no UTF-8
mkdir -p films/sub
odd=$(printf "o u't|:[\n\377],;\\\\=%%03d\$x")
for name in "a.mp4" "-i x:y.mp4" "$odd.mp4" "sub/a.mp4"; do cp film.mp4 "films/$name"; done
echo broken >films/z.mp4
echo text >films/notes.txt
o="$work/names $odd"
t "what would be done" 0 annotate films --out "$o" --dry-run
out_has "5 new"
is "is not done" [ ! -e "$o" ]
t "all of a folder" 1 annotate films --out "$o"
err_has "z.mp4: ffmpeg ended with status"
err_has "1 failed: 1 of them are tried again"
out_has "4 of 5 films done"
for name in "a.mp4" "-i x:y.mp4" "$odd.mp4" "sub/a.mp4"; do is "'$(echo "$name" | tr -d '\n\377')' as ffmpeg has it" same "$o/$name.jsonl"; done
is "one start a film" [ "$(starts)" = 5 ]
is "nothing else is left" [ "$(ls "$o/.annotate" | wc -l)" = 0 ]
t "again" 1 annotate films --out "$o"
is "only what failed is tried" [ "$(starts)" = 6 ]
t "status" 1 "$mien" annotate --status "$o" --json
json_is done 4
json_is films.4.state failed
json_is films.4.tries 2
t "not oftener than --tries" 1 annotate films --out "$o" --tries 2
is "no start" [ "$(starts)" = 6 ]
cp film.mp4 films/z.mp4
t "mended" 0 annotate films --out "$o"
is "one start" [ "$(starts)" = 7 ]
rm "$o/a.mp4.jsonl"
touch -d 2001-02-03 "films/sub/a.mp4"
t "a result is gone, a film has changed" 0 annotate films --out "$o" --dry-run
out_has "its result is gone"
out_has "the file has changed"
t "both are done" 0 annotate films --out "$o"
is "nothing else is" [ "$(starts)" = 9 ]
is "and right" same "$o/a.mp4.jsonl"
t "other options" 0 annotate films --out "$o" --filter interval=2 --dry-run
out_has "0 new, 5 to be done again, 0 done"
cp "$g" other.db
"$mien" rename Ann Anne -g "$work/other.db" >/dev/null
t "another gallery" 0 annotate films --out "$o" -g "$work/other.db" --dry-run
out_has "the gallery has changed"
t "which does not matter" 0 annotate films --out "$o" -g "$work/other.db" --keep --dry-run
out_has "0 to be done again, 5 done"
t "redo" 0 annotate films/a.mp4 --out "$o" --redo --json
is "one start" [ "$(starts)" = 10 ]
is "a line of JSON each" python3 -c 'import json, sys
rows = [json.loads(l) for l in open(sys.argv[1])]
assert rows[-1]["summary"]["done"] == 1 and any(r.get("state") == "done" for r in rows)' "$out"
cp film.mp4 a.mp4
t "two of one name" 0 annotate a.mp4 --out "$o"
is "have two results" [ "$(find "$o" -maxdepth 1 -name 'a.mp4.*.jsonl' -printf x)" = x ]

t "a format that is none" 2 annotate film.mp4 --out v --formats vtt,doc
err_has "not 'doc'"
t "a video and other formats" 0 annotate film.mp4 --out v --video --formats vtt,csv
ff -i film.mp4 -filter_threads 1 -vf "facetag=gallery=$g:log=ref.vtt" -f null -
is "as ffmpeg writes them" cmp ref.vtt v/film.mp4.vtt
is "each" [ -s v/film.mp4.csv ]
is "with its sound" [ "$(ffprobe -v error -show_entries stream=codec_name -of csv=p=0 v/film.mp4.annotated.mkv | sort | tr '\n' ' ')" = "aac h264 " ]
is "and its log" same v/film.mp4.jsonl
t "no gallery is needed to find faces" 0 "$mien" annotate film.mp4 --out d --ffmpeg "$ffmpeg" --filter mode=detect
is "they are found" grep -q '"event":"leave"' d/film.mp4.jsonl

# parts
t "in parts" 0 annotate long.mp4 --out s --segment 4
t "status of parts" 0 "$mien" annotate --status s --json
json_is films.0.parts 3
t "whole" 0 annotate long.mp4 --out w
# who was there, how often, from when on: to the frame; until when: to what a detection every third frame makes of it
is "the same people" python3 - s/long.mp4.jsonl w/long.mp4.jsonl <<'END'
import json, sys
def leaves(path):
    rows = [json.loads(l) for l in open(path)]
    first = {r["track"] for r in rows if r["event"] == "enter"}
    assert first == {r["track"] for r in rows if r["event"] == "leave"}, "every track enters and leaves"
    return sorted((r["name"] or "", r["first_frame"], r["last_frame"], r["first_s"], r["last_s"]) for r in rows if r["event"] == "leave")
a, b = map(leaves, sys.argv[1:])
assert len(a) == len(b), (a, b)
for x, y in zip(a, b):
    assert x[0] == y[0] and abs(x[1] - y[1]) <= 3 and abs(x[2] - y[2]) <= 3 and abs(x[4] - y[4]) <= .5, (x, y)
    assert abs(x[3] * 8 - x[1]) < 1 and abs(x[4] * 8 - x[2]) < 1, x # frames are counted through
END

# a cluster that takes array elements one after the other and has forgotten the job by the time it is asked
mkdir bin
cat >bin/sbatch <<END
#!/bin/sh
for a; do case \$a in --array=*) n=\${a##*-} ;; esac; script=\$a; done
echo "\$@" >"$work/sbatch"
[ -e "$work/refuse" ] && { echo "sbatch: error: invalid partition" >&2; exit 1; }
i=0
while [ \$i -le \${n%%\%*} ]; do SLURM_ARRAY_TASK_ID=\$i "\$script" >/dev/null 2>&1; i=\$((i + 1)); done
echo 4711
END
printf '#!/bin/sh\necho "slurm_load_jobs error: Invalid job id specified" >&2\nexit 1\n' >bin/squeue
chmod +x bin/*
PATH=$work/bin:$PATH
: >refuse
t "a cluster that refuses" 2 annotate long.mp4 --out q --segment 4 --slurm
err_has "invalid partition"
rm refuse
t "a cluster" 0 annotate long.mp4 --out q --segment 4 --slurm --partition cpu --sbatch "--nice --time=10"
is "was told so" grep -q -- '--array=0-2%2 .*--partition cpu --nice --time=10 ' sbatch
no_wall s/long.mp4.jsonl >a; no_wall q/long.mp4.jsonl >b
is "gives the same" cmp a b
is "no copy of the gallery stays" [ -z "$(ls q/.annotate)" ]
t "a video from a cluster" 0 annotate film.mp4 --out q --slurm --video --formats srt --submit-only
t "is taken later" 0 "$mien" annotate --merge q
is "with all that was asked for" [ -s q/film.mp4.annotated.mkv -a -s q/film.mp4.srt ]
echo broken >z.mp4
t "a broken film" 0 annotate z.mp4 --out q --slurm --submit-only
t "later" 1 "$mien" annotate --merge q
err_has "z.mp4: ffmpeg ended with status"
t "a task without an element" 2 "$mien" annotate --task "$work/z.mp4"

# signals: nothing of ours goes on, nothing is lost
: >starts
background long.mp4 films --out k >log 2>&1 &
pid=$!
i=0
until ls k/.annotate/*.tmp-* >/dev/null 2>&1 || [ $i = 200 ]; do sleep 0.05; i=$((i + 1)); done
kids=$(ps -o pid= --ppid $pid)
kill -TERM $pid
wait $pid
status=$?
t "interrupted" 1 "$mien" annotate --status k --json
is "by the signal" [ $status = 143 ]
json_is parts_running 0
is "its ffmpegs are gone" sh -c 'for p; do ! kill -0 $p 2>/dev/null || exit 1; done' sh $kids
is "temporary files too" [ -z "$(ls k/.annotate)" ]

# two at the same time share the films
: >starts
cp -r films more
for i in 1 2 3; do cp film.mp4 "more/$i.mp4"; done
background more --out two >log1 2>&1 &
one=$!
background more --out two >log2 2>&1 &
two=$!
wait $one; s1=$?
wait $two; s2=$?
t "both" 0 "$mien" annotate --status two --json
is "end well" [ $s1$s2 = 00 ]
json_is done 8
is "and do each film once" [ "$(starts)" = 8 ]
t_end
