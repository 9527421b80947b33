#!/bin/sh
# Run every command of a page, line by line, as a reader would: run_page.sh PAGE DEMO
# In an empty folder with build/bin, build/models and build/demo (the folder DEMO) in it. A line that fails is "not ok"; lines share one shell,
# so that an export holds for those after it.
page=$PWD/$1 demo=$(cd "$2" && pwd) || exit 1
: "${MIEN_BUILD:=$PWD/build}"
dir=$TMPDIR/page
rm -rf "$dir"
mkdir -p "$dir/build" && cd "$dir" || exit 1
ln -s "$MIEN_BUILD/bin" build/bin
ln -s "${MIEN_MODELS:-$MIEN_BUILD/models}" build/models
ln -s "$demo" build/demo
XDG_DATA_HOME=$dir/data
export XDG_DATA_HOME
unset MIEN_MODELS

awk '/^```sh$/ { on = 1; next } /^```/ { on = 0 } on && NF' "$page" >commands
[ -s commands ] || { echo "not ok $1 has commands"; exit 1; }
failed=0
while IFS= read -r line <&3; do
    # Only the page's own exports change this shell.
    case $line in
    export\ *) eval "$line"; status=$? ;;
    *) (eval "$line") >log 2>&1 </dev/null; status=$? ;;
    esac
    if [ $status = 0 ]; then
        echo "ok $(basename "$page"): $line"
    else
        echo "not ok $(basename "$page"): $line"
        tail -n 5 log | sed 's/^/# /'
        failed=1
    fi
done 3<commands
exit $failed
