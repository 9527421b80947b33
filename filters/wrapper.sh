#!/bin/sh
# Run the installed program of this file's name (ffmpeg, ffprobe, ffplay) with the libavfilter that has mien's filters.
# The folder is worked out at run time, so that the build folder may be moved: ../lib has the library, ../models the networks,
# ../presets the styles.
self=$(readlink -f "$0")
bin=${self%/*}
root=${bin%/*}
name=${0##*/}

LD_LIBRARY_PATH=$root/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
: "${MIEN_MODELS:=$root/models}" "${MIEN_PRESETS:=$root/presets}"
export LD_LIBRARY_PATH MIEN_MODELS MIEN_PRESETS

IFS=:
for dir in $PATH; do
    program=${dir:-.}/$name
    # skip ourselves when our own folder is in PATH
    [ -x "$program" ] && [ ! -d "$program" ] && [ "$(readlink -f "$program")" != "$self" ] && exec "$program" "$@"
done
echo "$name: no other $name in PATH (Debian package ffmpeg)" >&2
exit 127
