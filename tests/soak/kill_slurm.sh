#!/bin/sh
# kill -9 of a node of a Slurm cluster (slurmd, step daemons and what they run) at random moments: the films of `mien annotate --slurm` are those
# of a single machine, every time. As root, with the cluster of tests/tools/slurm.sh.
#
#   tests/soak/kill_slurm.sh [KILLS [SEED]]      20 kills unless told; takes some ten seconds a kill
#
# A dead node is declared down and set up again at once, where a cluster would wait for its time-outs first, and what it did is started again at once.
# Slurm's late order to end the dead one then ends the new one now and then, without starting it again: such a part has failed, and the command is
# given again.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
kills=${1:-20} seed=${2:-$$} cluster= waiting=
stop() { [ -z "$waiting" ] || kill -9 "$waiting" 2>/dev/null; [ -z "$cluster" ] || sh tests/tools/slurm.sh stop "$cluster"; }
trap stop EXIT
trap 'exit 1' INT TERM
setup
mien=$PWD/build/bin/mien
timeout 60 sh tests/tools/slurm.sh start "$work/slurm" >"$work/why" 2>&1 || { cat "$work/why"; exit 1; }
cluster=$work/slurm SLURM_CONF=$work/slurm/slurm.conf
export SLURM_CONF
mkdir "$work/in"
for n in 1 2 3; do
    ff -y -stream_loop 9 -i "$clip" -vf fps=8,scale=320:-2 -t 1$n -c:v libx264 -preset veryfast -g 8 "$work/in/$n.mp4" || exit 1
done
exec_annotate() { exec "$mien" annotate "$work/in" -g "$gallery" --segment 4 --threads 1 --tries 10 --out "$work/$1" $2; }
no_wall() { for f in "$1"/*.jsonl; do echo "${f##*/}"; sed 's/,"wall":"[^"]*"//' "$f"; done; }
(exec_annotate local) >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
no_wall "$work/local" >"$work/a"

random() { seed=$(((seed * 1103515245 + 12345) % 2147483648)); r=$((seed / 65536 % $1)); }
n=0 bad=0 rounds=0 n_again=0
while [ $n -lt "$kills" ]; do
    rounds=$((rounds + 1))
    rm -rf "$work/cluster"
    exec_annotate cluster --slurm >"$work/log" 2>&1 &
    waiting=$!
    looks=0
    while kill -0 $waiting 2>/dev/null && [ $looks -lt 120 ]; do
        looks=$((looks + 1))
        random 30; sleep "$((r / 10)).$((r % 10))"
        random 3; node=n$((r + 1))
        if [ $n -lt "$kills" ] && timeout 5 squeue -h -r -t running | grep -q .; then
            sh tests/tools/slurm.sh crash "$cluster" $node
            n=$((n + 1))
            timeout 5 scontrol update NodeName=$node State=DOWN Reason=killed
            sh tests/tools/slurm.sh node "$cluster" $node
            timeout 5 scontrol update NodeName=$node State=RESUME 2>/dev/null
        fi
        for id in $(timeout 5 squeue -h -r -o '%i %r' | awk '$2 == "BeginTime" { print $1 }'); do timeout 5 scontrol update JobId="$id" StartTime=now; done
    done
    kill -9 $waiting 2>/dev/null
    wait $waiting
    status=$?
    waiting=
    i=0
    while [ $status = 1 ] && [ $i -lt 5 ]; do
        (exec_annotate cluster --slurm) >>"$work/log" 2>&1
        status=$? i=$((i + 1)) n_again=$((n_again + 1))
    done
    timeout 20 scancel -u root; "$mien" annotate --merge "$work/cluster" >>"$work/log" 2>&1
    rm -f "$work"/cluster/.annotate/*.out
    no_wall "$work/cluster" >"$work/b"
    if [ $status != 0 ] || ! cmp -s "$work/a" "$work/b" || [ -n "$(ls "$work/cluster/.annotate")" ]; then
        bad=$((bad + 1))
        echo "# round $rounds: status $status"; cat "$work/log"; ls "$work/cluster/.annotate"
    fi
done
[ $bad = 0 ]
check "$n kills of nodes in $rounds rounds, $n_again times again: each round's films are those of a single machine"
exit $rc
