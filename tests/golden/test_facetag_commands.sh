#!/bin/sh
# facetag's timeline and runtime commands.

cd "$(dirname "$0")/../.." || exit 1
. tests/golden/lib.sh
setup
f="facetag=gallery=$gallery"

tags "$f:enable='lt(t,0.8)'" >"$work/out" && [ "$(wc -l <"$work/out")" = 20 ]
check 'enable: frames outside pass untagged'
tags "sendcmd=c='1.1 facetag threshold 1',$f" >"$work/out" && grep -q ' known .* Ann' "$work/out" && ! grep -q ' known .* Bob' "$work/out"
check 'command threshold'
echo "1.1 facetag claim '$bob';" >"$work/commands"
tags "sendcmd=f=$work/commands,$f:mode=verify:claim=$ann" >"$work/out" && grep -q ' known .* Ann' "$work/out" && grep -q ' known .* Bob' "$work/out"
check 'command claim'
tags "$f" >"$work/plain" && tags "sendcmd=c='0.5 facetag draw all;1.3 facetag draw none;1.5 facetag reload x',$f" | near "$work/plain" -
check 'commands draw and reload change no tag'
exit $rc
