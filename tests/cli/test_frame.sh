#!/bin/sh
# The command line itself: help for everything, wrong options, wrong numbers, full disk, the man page.
. tests/cli/lib.sh

t "no command" 2 "$mien"
err_has "Usage: mien COMMAND"
t "help" 0 "$mien" help
out_has "enroll"
t "--help" 0 "$mien" --help
t "--version" 0 "$mien" --version
out_has "mien $(cat VERSION)"
t "version as JSON" 0 "$mien" version --json
json_is mien "$(cat VERSION)"

t "unknown command" 2 "$mien" enrol
err_has "did you mean 'mien enroll'?"
t "nothing like it" 2 "$mien" xyzzyplugh
err_has "'mien help' lists them"
t "command with control characters" 2 "$mien" "$(printf 'a\033[31m')"
err_has 'a\x1b[31m'
t "family alone" 2 "$mien" model
err_has "mien model list"
t "family, unknown" 2 "$mien" model shw
err_has "did you mean 'mien model show'?"
t "family help" 0 "$mien" help model
out_has "mien model import"
t "help of nothing" 2 "$mien" help nothing

t "unknown option" 2 "$mien" list --galery x
err_has "did you mean --gallery?"
t "unknown letter" 2 "$mien" list -Z
t "value missing" 2 "$mien" list --gallery
err_has "--gallery wants a value (FILE)"
t "value where none goes" 2 "$mien" list --json=1
err_has "--json takes no value"
t "no number" 2 "$mien" enroll A b.jpg --face x
err_has "mien: enroll: --face wants a whole number from 1 to 256, not 'x'"
for v in 0 257 1.5 1x "" " 1" 0x1 99999999999999999999; do
    t "--face '$v'" 2 "$mien" enroll A b.jpg "--face=$v"
    err_has "--face wants a whole number"
done
for v in nan inf 3 -1 1,2 0x1; do
    t "--threshold $v" 2 "$mien" verify a b "--threshold=$v"
    err_has "--threshold wants a number from"
done
t "too few arguments" 2 "$mien" rename A
err_has "mien rename NAME NEW-NAME"
t "too many arguments" 2 "$mien" show A B
t "-- ends options" 2 "$mien" show -- --nobody
err_has "no such gallery"

t "full disk" 2 sh -c '"$0" help >/dev/full' "$mien"
err_has "cannot write the output"
t "closed pipe" 0 sh -c '{ "$0" help --man; echo $? >"$1"; } | :' "$mien" "$work/rc"
is "ends with a status, not by a signal" [ "$(cat "$work/rc")" -lt 128 ]

# every command explains itself and is in the man page and in docs/mien.md
"$mien" help --man >"$work/man"
for c in $("$mien" help | sed -n 's/^  \([a-z]* *[a-z]*\)  .*/\1/p' | sed 's/ *$//; s/ /:/'); do
    c=$(echo "$c" | tr : ' ')
    # shellcheck disable=SC2086
    t "help $c" 0 "$mien" help $c
    out_has "Usage: mien $c"
    # shellcheck disable=SC2086
    t "$c --help" 0 "$mien" $c --help
    out_has "Exit status:"
    is "in the man page" grep -q "^\.SS \"mien $c " "$work/man"
    grep -vxFf docs/mien.md "$out" >"$work/lacks"
    is "docs/mien.md has all of its help" [ ! -s "$work/lacks" ]
done
t "man page in docs is what the tables say" 0 cmp docs/mien.1 "$work/man"
if command -v man >/dev/null 2>&1; then
    t "man page has no troff errors" 0 env LC_ALL=C.UTF-8 man --warnings -E UTF-8 -l -Tutf8 -Z "$work/man"
    is "no warnings" [ ! -s "$err" ]
fi

t_end
