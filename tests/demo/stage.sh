#!/bin/sh
# Where make demo's time goes: run a stage, note its seconds, sum up at the end.
#   stage.sh --start | stage.sh NAME COMMAND... | stage.sh --end
times=build/demo-times
mkdir -p build
case $1 in
--start) : >$times ;;
--end)
    awk -F '\t' 'BEGIN { print "\nwhere the time went:" }
        { printf "  %6d s  %s\n", $1, $2; t += $1 } END { printf "  %6d s  in all\n", t }' $times ;;
*)
    name=$1; shift
    printf '== %s\n' "$name"
    begin=$(date +%s)
    "$@" || exit
    printf '%d\t%s\n' $(($(date +%s) - begin)) "$name" >>$times ;;
esac
