#!/bin/sh
# A short round of tests/soak/kill_annotate.sh.
exec sh tests/soak/kill_annotate.sh 5 7
