#!/bin/sh
# mien annotate --slurm on a cluster of three nodes on this machine: one of them dies in the middle of the work. The result is the one of
# a single machine, and every part counts once.
. tests/golden/lib.sh
cluster=
stop() { [ -z "$cluster" ] || sh tests/tools/slurm.sh stop "$cluster"; }
trap stop EXIT
trap 'exit 1' INT TERM
setup
mien=$PWD/build/bin/mien

timeout 60 sh tests/tools/slurm.sh start "$work/slurm" >"$work/why" 2>"$work/start.log"
case $? in
0) cluster=$work/slurm ;;
77) skip "mien annotate --slurm" "$(cat "$work/why")" ;;
*) cat "$work/start.log"; echo "not ok the cluster starts"; exit 1 ;;
esac
SLURM_CONF=$cluster/slurm.conf; export SLURM_CONF

mkdir "$work/in"
ff -y -stream_loop 9 -i "$clip" -vf fps=8,scale=320:-2 -c:v libx264 -preset veryfast -g 8 "$work/in/one.mp4" || exit 1
ff -y -i "$clip" -vf fps=8,scale=320:-2 -c:v libx264 -preset veryfast -g 8 "$work/in/it's two.mp4" || exit 1

# Each part takes long enough for the one on the dying node to be in the middle, and is counted.
cat >"$work/ffmpeg" <<END
#!/bin/sh
case "\$*" in
*file:*) echo "\$SLURMD_NODENAME \$(expr "\$*" : '.*\.annotate/\([0-9a-f]*\)\.tmp')" >>"$work/starts"
    [ ! -e "$work/hold" ] || [ "\$SLURMD_NODENAME" != n2 ] || exec sleep 60 ;;
esac
exec "$PWD/build/bin/ffmpeg" "\$@"
END
chmod +x "$work/ffmpeg"
annotate() { timeout 90 "$mien" annotate "$work/in" -g "$gallery" --ffmpeg "$work/ffmpeg" --segment 4 --threads 1 "$@"; }
no_wall() { for f in "$1"/*.jsonl; do echo "${f##*/}"; sed 's/,"wall":"[^"]*"//' "$f"; done; }

annotate --out "$work/local" --workers 2 >"$work/log" 2>&1 || { cat "$work/log"; echo "not ok without a cluster"; exit 1; }
n=$(wc -l <"$work/starts")
[ "$n" -ge 5 ]
check "without a cluster: $n parts"
: >"$work/starts"

# On n2 nothing gets on, until n2 is dead.
: >"$work/hold"
annotate --out "$work/cluster" --slurm >"$work/log" 2>&1 &
waiting=$!
# until DOES COMMAND...: up to 40 s
until_() { left=200; until "$@" >/dev/null 2>&1; do [ $left -gt 0 ] || return 1; left=$((left - 1)); sleep 0.2; done; }
until_ grep -q '^n2' "$work/starts"
check "a part is being worked on by n2"
sh tests/tools/slurm.sh crash "$cluster" n2
rm "$work/hold"
# Slurm finds that out by itself and puts the part back into its queue, for two minutes; an administrator may say "now".
requeued() { timeout 5 squeue -h -r -o '%i %r' | grep -q BeginTime; }
until_ requeued
check "n2 is dead, and Slurm has queued its part again"
for id in $(timeout 5 squeue -h -r -o '%i %r' | awk '$2 == "BeginTime" { print $1 }'); do timeout 5 scontrol update JobId="$id" StartTime=now; done
wait $waiting
[ $? = 0 ]
check "the submitting side waits until all is done"
no_wall "$work/local" >"$work/a"
no_wall "$work/cluster" >"$work/b"
cmp "$work/a" "$work/b"
check "the result is that of a single machine"
[ "$(awk '{ print $2 }' "$work/starts" | sort -u | wc -l)" = "$n" ] && [ "$(wc -l <"$work/starts")" = $((n + 1)) ]
check "every part was done, and only the dead node's was begun twice"
"$mien" annotate --status "$work/cluster" --json >"$work/status" && grep -q '"done":[^0-9]*2,' "$work/status"
check "every film counts once"
[ -z "$(ls "$work/cluster/.annotate")" ]
check "nothing temporary is left, no copy of the gallery either"
[ $rc = 0 ] || { cat "$work/log" "$work/starts"; tail -n 20 "$cluster"/log/slurmctld; }
exit $rc
