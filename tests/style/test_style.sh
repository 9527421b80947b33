#!/bin/sh
# make style: the few rules of the house that a machine can check, in under a second.
# A finding is printed as file:line:text under its rule.

cd "$(dirname "$0")/../.." || exit 1
# columns are characters, not bytes
LC_ALL=C.UTF-8; export LC_ALL
failed=0

# Of the working tree, whether under git or unpacked from an archive; build/ and what is ignored is not ours.
files() { find "$@" -type f 2>/dev/null; }
c_files=$(files core gallery presets filters tests -name '*.[ch]' | sort)
core_c=$(files core gallery presets -name '*.[ch]' | grep -v '^core/tool/')
text=$(echo "$c_files"; files core gallery presets filters tests docs \( -name '*.sh' -o -name '*.py' -o -name '*.mk' -o -name '*.md' -o -name '*.tsv' \) | sort
    ls configure Makefile README.md CHANGES packages.txt .gitignore .ci/run 2>/dev/null)

# rule NAME PATTERN FILES...: no line may match the extended regular expression
rule() {
    name=$1 pattern=$2
    shift 2
    found=$([ $# = 0 ] || grep -nHE -- "$pattern" "$@" /dev/null | head -n 20)
    verdict "$name" "$found"
}
verdict() {
    if [ -z "$2" ]; then
        echo "ok $1"
    else
        echo "not ok $1"
        printf '%s\n' "$2" | sed 's/^/  /'
        failed=1
    fi
}
# but REGEX: the files given on standard input less those that match
but() { grep -vE "$1"; }

tab=$(printf '\t') cr=$(printf '\r')
no_make=$(echo "$text" | but '(^|/)(Makefile|module\.mk)$|\.tsv$')
# shellcheck disable=SC2086
{
# what cJSON prints has a tab after the colon, and tests quote it
rule 'no tabs' "(^|[^:])$tab" $no_make
rule 'no blanks at the end of a line' "[ $tab]\$" $text
rule 'no carriage returns' "$cr" $text
rule 'no notes to self' '(TO''DO|FIX''ME|(^|[^X])XX''X([^X]|$))' $(echo "$text" | but '^tests/style/')
rule 'no path of one machine' '(^|[^A-Za-z0-9_.-])/(work|tmp/w)/' $text
rule 'lines of at most 160 columns' '^.{161}' $c_files
rule 'cblas in core/nn/blas.c alone' 'cblas_[a-z]|include [<"]cblas' $(echo "$c_files" | but '^core/nn/blas\.c$|^tests/')
rule 'FFmpeg in filters/ and core/tool/ alone' '#include [<"]lib(av|sw)[a-z]*/' $core_c
rule 'SQLite in gallery/ alone' 'include <sqlite3\.h>|[^a-z_]sqlite3_[a-z]' $(echo "$c_files" | but '^gallery/|^tests/')
rule 'heap through mem.c alone' '(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup|posix_memalign|aligned_alloc)\(' \
    $(echo "$core_c" | but '^core/base/mem\.c$')
rule 'no atoi and its like' '(^|[^A-Za-z0-9_])(atoi|atol|atof|gets|strtok)\([^A-Z]' $(echo "$c_files" | but '^tests/')
rule 'the library ends nothing and prints nothing' '(^|[^A-Za-z0-9_.>])(exit|abort|printf|puts|setlocale|perror)\(' \
    $(echo "$core_c" | but '^core/base/log\.c$')
rule 'no code switched off' '^# *if 0' $c_files
}

# Directions: a folder includes its own headers, mien/ and those of the folders before it.
dirs='base kernels nn optim models image face style flow'
found=
for d in $dirs; do
    later=$(echo " $dirs " | sed "s/.* $d / /; s/^ *//; s/ *\$//; s/ /|/g")
    [ -n "$later" ] || continue
    hits=$(files core/$d -name '*.[ch]' | xargs -r grep -nHE "#include \"(\.\./)?($later)/" /dev/null)
    # side by side: optim and models, face and style and flow know nothing of one another but image and models
    [ -n "$hits" ] && found="$found$hits
"
done
hits=$(files core/face core/style core/flow core/nn core/kernels core/base core/image core/models -name '*.[ch]' |
    xargs -r grep -nHE '#include [<"]mien/(gallery|preset)\.h' /dev/null)
verdict 'includes go one way' "$found$hits"

found=$(for f in $text; do [ -s "$f" ] && [ -n "$(tail -c 1 "$f")" ] && echo "$f"; done)
verdict 'files end with a line end' "$found"
exit $failed
