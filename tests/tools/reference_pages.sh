#!/bin/sh
# Write the parts of docs/ that the commands' tables determine: the reference in docs/mien.md and the man page docs/mien.1.
# Run after a change of a command's options or text, from the repository's root; tests/cli/test_frame.sh says when it is due.
set -eu
mien=build/bin/mien
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

"$mien" help --man >docs/mien.1
sed '/^What `mien help COMMAND` prints\.$/q' docs/mien.md >"$tmp/page"
"$mien" help | sed '1,/^Usage:/d; /^$/d; /^.mien help/,$d' | while IFS= read -r line; do
    case $line in
    '  '*)
        command=$(echo "$line" | sed 's/^  //; s/  .*//')
        printf '\n### mien %s\n\n```\n' "$command"
        # shellcheck disable=SC2086
        "$mien" help $command
        echo '```' ;;
    *) printf '\n## %s\n' "${line%:}" ;;
    esac
done >>"$tmp/page"
cat "$tmp/page" >docs/mien.md
