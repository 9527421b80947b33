# What the tests of the mien command share. A test sources this file from the repository's root, calls `t` and `t_end`.
#
#   t NAME STATUS COMMAND...   runs it; passes if it ends with STATUS. Its words are in $out (stdout), $err (stderr).
#   out_has TEXT / err_has TEXT / out_lacks TEXT   fixed strings; they judge the last t

: "${MIEN_BUILD:=$PWD/build}" "${TMPDIR:=/tmp}"
mien=$MIEN_BUILD/bin/mien
work=$(mktemp -d "$TMPDIR/cli.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
out=$work/stdout err=$work/stderr
unset XDG_DATA_HOME
HOME=$work/home
export HOME
mkdir "$HOME"
n_bad=0

good() { printf 'ok %s\n' "$*"; }
bad() {
    printf 'not ok %s\n' "$*"
    n_bad=$((n_bad + 1))
    sed 's/^/  | stdout: /' "$out" 2>/dev/null | head -20
    sed 's/^/  | stderr: /' "$err" 2>/dev/null | head -20
}

t() {
    t_name=$1 t_want=$2
    shift 2
    "$@" >"$out" 2>"$err" </dev/null
    t_got=$?
    if [ "$t_got" = "$t_want" ]; then good "$t_name"; else bad "$t_name: status $t_got, $t_want is wanted"; fi
}

out_has() { if grep -qF -- "$1" "$out"; then good "$t_name: says '$1'"; else bad "$t_name: stdout lacks '$1'"; fi; }
out_lacks() { if grep -qF -- "$1" "$out"; then bad "$t_name: stdout has '$1'"; else good "$t_name: no '$1'"; fi; }
err_has() { if grep -qF -- "$1" "$err"; then good "$t_name: says '$1'"; else bad "$t_name: stderr lacks '$1'"; fi; }
err_lines() { if [ "$(wc -l <"$err")" = "$1" ]; then good "$t_name: $1 line(s) on stderr"; else bad "$t_name: stderr has not $1 line(s)"; fi; }

# is CONDITION...: a test of the last t's traces
is() {
    is_name=$1
    shift
    if "$@"; then good "$t_name: $is_name"; else bad "$t_name: $is_name"; fi
}

# JSON on stdout: the value of a path such as 'people' or 'results.0.status' must be VALUE
json_is() {
    got=$(python3 - "$out" "$1" 2>/dev/null <<'END'
import json, sys
v = json.load(open(sys.argv[1]))
for k in sys.argv[2].split("."):
    v = v[int(k)] if isinstance(v, list) else v[k]
print(len(v) if isinstance(v, (list, dict)) else v if isinstance(v, str) else json.dumps(v))
END
    ) || got="(no JSON, or no such value)"
    if [ "$got" = "$2" ]; then good "$t_name: $1 is $2"; else bad "$t_name: $1 is '$got', '$2' is wanted"; fi
}

t_end() { exit $((n_bad > 0)); }
