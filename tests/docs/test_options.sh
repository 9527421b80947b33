#!/bin/sh
# Every option of the filters stands on their pages, and every option of the pages exists; every command of mien is
# on its page, and every `mien` command that a page shows exists.
: "${MIEN_BUILD:=$PWD/build}"
failed=0
verdict() { # NAME FINDINGS
    if [ -z "$2" ]; then echo "ok $1"; else echo "not ok $1"; echo "$2" | sed 's/^/# /'; failed=1; fi
}
for filter in facetag restyle; do
    page=docs/vf_$filter.md
    # "  gallery  <string>  ..F.V…" are options; deeper rows are their words.
    "$MIEN_BUILD/bin/ffmpeg" -hide_banner -h filter=$filter >"$TMPDIR/help" 2>&1
    sed -n 's/^ \{2,3\}\([a-z_0-9]*\)  *<[a-z_ ]*[0-9]*>.*/\1/p' "$TMPDIR/help" | sort -u >"$TMPDIR/has"
    verdict "ffmpeg -h filter=$filter lists options" "$([ -s "$TMPDIR/has" ] || cat "$TMPDIR/help")"
    # The page's tables of options: rows that begin with | `name`
    awk '/^#+ .*[Oo]ptions/ { on = 1; next } /^#/ { on = 0 } on' $page | sed -n 's/^| `\([a-z_0-9]*\)`.*/\1/p' | sort -u >"$TMPDIR/told"
    verdict "every option of $filter is on $page" "$(comm -23 "$TMPDIR/has" "$TMPDIR/told")"
    verdict "every option on $page exists" "$(comm -13 "$TMPDIR/has" "$TMPDIR/told")"
done

"$MIEN_BUILD/bin/mien" help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' | sort -u >"$TMPDIR/commands"
missing=$(while IFS= read -r c; do grep -q "mien $c" docs/mien.md || echo "mien $c"; done <"$TMPDIR/commands")
verdict "every command of mien is on docs/mien.md" "$missing"
unknown=$(cat README.md docs/*.md | sed -n '/^```/,/^```/p' | grep -oE '(^|bin/|\$ )mien [a-z]+( [a-z]+)?' | sed 's/.*mien //' | sort -u |
    while IFS= read -r c; do
        grep -qxF -e "$c" -e "${c%% *}" "$TMPDIR/commands" || grep -q "^${c%% *} " "$TMPDIR/commands" && continue
        echo "mien $c"
    done)
verdict "every mien command that the pages show exists" "$unknown"
exit $failed
