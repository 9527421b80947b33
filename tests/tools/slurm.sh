#!/bin/sh
# A Slurm cluster of three nodes on this one machine, for tests: munged, slurmctld and slurmd n1 n2 n3 of one's own, on free ports of
# 127.0.0.1, with everything they write below one folder. As root, without systemd. The installed Slurm's own files and daemons are untouched.
#
#   slurm.sh start DIR       prints nothing; then: export SLURM_CONF=DIR/slurm.conf
#   slurm.sh node DIR NAME   (re)starts that node's slurmd
#   slurm.sh crash DIR NAME  kill -9 of the node: slurmd, its step daemons and what they run
#   slurm.sh stop DIR        ends every process of the cluster
#
# start: 0 all nodes answer, 77 it can't be run here (said why), 1 failed.
set -u
verb=$1 dir=$2 name=${3:-}
PATH=$PATH:/usr/sbin:/sbin

cant() { echo "$*"; exit 77; }

# The pid in a file, if that process still lives
pid_of() { p=$(cat "$1" 2>/dev/null) && [ -n "$p" ] && kill -0 "$p" 2>/dev/null && echo "$p"; }

children() { ps -o pid= --ppid "$1" 2>/dev/null; }
kill_tree() { for c in $(children "$1"); do kill_tree "$c"; done; kill -9 "$1" 2>/dev/null; }

# Step daemons of a node are no children of its slurmd. They hold a socket in its spool folder, and their command line says the job.
steps_of() { # NODE: pids
    for s in "$dir/spool/$1/$1"_*; do
        [ -S "$s" ] || continue
        job=${s##*/"$1"_} job=${job%%.*}
        ps -eo pid=,args= | awk -v job="$job" '$2 == "slurmstepd:" && index($3, "[" job ".") == 1 { print $1 }'
    done | sort -u
}

start_node() {
    mkdir -p "$dir/spool/$1"
    slurmd -N "$1" -f "$dir/slurm.conf" -L "$dir/log/$1" >"$dir/log/$1.out" 2>&1 || { cat "$dir/log/$1.out" >&2; return 1; }
}

# wait_for SECONDS COMMAND...: in steps of a fifth of a second
wait_for() {
    left=$(($1 * 5)); shift
    until "$@" >/dev/null 2>&1; do
        [ $left -gt 0 ] || return 1
        left=$((left - 1))
        sleep 0.2
    done
}
nodes_up() { [ "$(SLURM_CONF=$dir/slurm.conf timeout 5 sinfo -h -N -o %T 2>/dev/null | grep -c '^\(idle\|mixed\|allocated\)$')" -ge "$1" ]; }

start() {
    [ "$(id -u)" = 0 ] || cant "a cluster of one's own needs root"
    for p in munged slurmctld slurmd sbatch sinfo; do command -v $p >/dev/null || cant "$p is not installed (Debian packages slurm-wlm and munge)"; done
    mkdir -p "$dir/log" "$dir/state" "$dir/spool" "$dir/munge" || exit 1
    chmod 755 "$dir" "$dir/munge"
    dd if=/dev/urandom of="$dir/munge/key" bs=128 count=1 2>/dev/null && chmod 600 "$dir/munge/key"
    # --force: it would refuse folders above that others may write to, such as /tmp
    munged --force --key-file="$dir/munge/key" --socket="$dir/munge/socket" --pid-file="$dir/munge/pid" --seed-file="$dir/munge/seed" \
        --log-file="$dir/log/munged" --num-threads=2 2>"$dir/log/munged.out" || { cat "$dir/log/munged.out" >&2; cant "munged does not start here"; }
    # Free ports: bound all at the same time, so that they differ
    # shellcheck disable=SC2046
    set -- $(python3 -c '
import socket
s = [socket.socket() for _ in range(4)]
for x in s: x.bind(("127.0.0.1", 0))
print(*[x.getsockname()[1] for x in s])')
    [ $# = 4 ] || exit 1
    cat >"$dir/slurm.conf" <<END
ClusterName=mientest
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$1
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$dir/munge/socket
CryptoType=crypto/munge
CredType=cred/munge
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool/%n
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/%n.pid
SlurmctldLogFile=$dir/log/slurmctld
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SlurmdTimeout=4
MessageTimeout=3
KillWait=2
MinJobAge=300
SchedulerParameters=sched_min_interval=200000,sched_interval=1,batch_sched_delay=0,bf_interval=1,requeue_delay=0
NodeName=n1 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$2 CPUs=1
NodeName=n2 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$3 CPUs=1
NodeName=n3 NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$4 CPUs=1
PartitionName=main Nodes=n[1-3] Default=YES State=UP MaxTime=INFINITE
END
    slurmctld -c -i -f "$dir/slurm.conf" >"$dir/log/slurmctld.out" 2>&1 || { cat "$dir/log/slurmctld.out" >&2; cant "slurmctld does not start here"; }
    for n in n1 n2 n3; do start_node $n || cant "slurmd does not start here"; done
    wait_for 20 nodes_up 3 || { tail -n 5 "$dir"/log/* >&2; cant "the nodes do not answer"; }
}

crash() {
    p=$(pid_of "$dir/$name.pid") && kill -9 "$p"
    for p in $(steps_of "$name"); do kill_tree "$p"; done
    rm -f "$dir/$name.pid"
}

stop() {
    for name in n1 n2 n3; do crash; done
    for f in "$dir/slurmctld.pid" "$dir/munge/pid"; do p=$(pid_of "$f") && kill -9 "$p"; done
    return 0
}

case $verb in
start) (start); rc=$?; [ $rc = 0 ] || stop; exit $rc ;;
node) start_node "$name" ;;
crash) crash ;;
stop) stop ;;
*) exit 2 ;;
esac
