#!/bin/sh
# The program of docs/api.md compiles without a warning, links by the line that the page gives, and answers.
: "${MIEN_BUILD:=$PWD/build}" "${MIEN_MODELS:=$MIEN_BUILD/models}"
export MIEN_MODELS
failed=0
report() { if [ "$2" = 0 ]; then echo "ok $1"; else echo "not ok $1"; sed 's/^/# /' "$TMPDIR/log"; failed=1; fi; }

awk '/^```c$/ { on = 1; next } /^```/ { on = 0 } on' docs/api.md >"$TMPDIR/same.c"
lines=$(wc -l <"$TMPDIR/same.c")
echo "$lines lines" >"$TMPDIR/log"
[ "$lines" -gt 20 ] && [ "$lines" -lt 60 ]; report "docs/api.md has a short program" $?
# shellcheck disable=SC2046
PKG_CONFIG_PATH=$MIEN_BUILD/pkgconfig pkg-config --cflags --libs mien >"$TMPDIR/flags" 2>"$TMPDIR/log" &&
    cc -std=c11 -Wall -Wextra -Werror "$TMPDIR/same.c" $(cat "$TMPDIR/flags") -o "$TMPDIR/same" >"$TMPDIR/log" 2>&1
report "it compiles and links" $?

photos=
for d in "$MIEN_BUILD"/cache/vladmandic-face-api-*/demo; do photos=$d; done
face() { # PHOTO CROP FILTERS NAME
    "$MIEN_BUILD/bin/ffmpeg" -nostdin -v error -y -i "$photos/$1" -vf "crop=$2$3" -frames:v 1 -update 1 "$TMPDIR/$4.ppm" >>"$TMPDIR/log" 2>&1
}
: >"$TMPDIR/log"
face sample3.jpg 480:560:940:90 '' a && face sample3.jpg 480:560:940:90 ',hflip,scale=320:-2' b && face sample6.jpg 440:520:1380:200 '' c
report "pictures for it" $?
"$TMPDIR/same" "$TMPDIR/a.ppm" "$TMPDIR/b.ppm" >"$TMPDIR/log" 2>&1; [ $? = 0 ] && grep -q '^match' "$TMPDIR/log"; report "the same face mirrored is a match" $?
"$TMPDIR/same" "$TMPDIR/a.ppm" "$TMPDIR/c.ppm" >"$TMPDIR/log" 2>&1; [ $? = 1 ] && grep -q '^no match' "$TMPDIR/log"; report "another face is not" $?
"$TMPDIR/same" "$TMPDIR/a.ppm" "$TMPDIR/same.c" >"$TMPDIR/log" 2>&1; [ $? = 2 ]; report "a file that is no picture is an error" $?
exit $failed
