#!/bin/sh
# The files that docs/watch.md shows: the configuration is accepted and names every kind of thing, every key is on the page and every key of the
# page exists, systemd accepts the unit.
: "${MIEN_BUILD:=$PWD/build}"
page=docs/watch.md failed=0
verdict() { if [ "$2" = 0 ]; then echo "ok $1"; else echo "not ok $1"; sed 's/^/# /' "$TMPDIR/log"; failed=1; fi; }
block() { awk -v first="$1" '/^```ini$/ { getline; on = $0 == first } /^```$/ { on = 0 } on' $page; }

block '# cameras.conf' | sed "s|/etc/mien/door.password|$TMPDIR/password|" >"$TMPDIR/cameras.conf"
echo secret >"$TMPDIR/password"
chmod 600 "$TMPDIR/password"
"$MIEN_BUILD/bin/mien" watch --check "$TMPDIR/cameras.conf" >"$TMPDIR/out" 2>"$TMPDIR/log" && [ "$(grep -c facetag "$TMPDIR/out")" = 2 ] && [ ! -s "$TMPDIR/log" ]
verdict "the configuration on $page is accepted" $?

awk '/^## / { on = /The file/ } on' $page | sed -n 's/^| \(`[^|]*\) |.*/\1/p' | grep -o '`[a-z_]*`' | tr -d '`' | sort -u >"$TMPDIR/told"
sed -n 's/^    { "\([a-z_]*\)", KEY_.*/\1/p' core/tool/watch_config.c | sort -u >"$TMPDIR/has"
[ -s "$TMPDIR/has" ] && diff "$TMPDIR/has" "$TMPDIR/told" >"$TMPDIR/log"
verdict "$page has every key, and no other" $?

if command -v systemd-analyze >/dev/null; then
    block '# /etc/systemd/system/mien-watch.service' | sed "s|/usr/local/bin/mien|$MIEN_BUILD/bin/mien|; s/^User=.*/User=daemon/" >"$TMPDIR/mien-watch.service"
    systemd-analyze verify "$TMPDIR/mien-watch.service" >"$TMPDIR/log" 2>&1 && ! grep -q 'mien-watch.service' "$TMPDIR/log"
    verdict 'systemd accepts the unit' $?
else
    echo 'ok systemd accepts the unit # SKIP no systemd-analyze'
fi
exit $failed
