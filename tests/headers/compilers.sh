# Sourced by tests: CC as configured, CXX beside it (empty when there is none), a TMPDIR when run by hand.
CC=$(sed -n 's/^CC = //p' config.mak 2>/dev/null)
: "${CC:=cc}"
CXX=
for c in g++ clang++ c++; do
    command -v $c >/dev/null 2>&1 && { CXX=$c; break; }
done
if [ -z "${TMPDIR:-}" ]; then
    TMPDIR=$(mktemp -d) || exit 1
    trap 'rm -rf "$TMPDIR"' EXIT
fi
