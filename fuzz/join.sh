#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# join.sh OUTPUT SOURCE... -- COMPILER...: one object of many sources, with nothing of the sanitizers but their calls.
set -eu
output=$1
shift
sources=
while [ "$1" != -- ]; do
    sources="$sources $1"
    shift
done
shift
objects=
for source in $sources; do
    object=$output.$(basename "$source").o
    "$@" -c "$source" -o "$object"
    objects="$objects $object"
done
# shellcheck disable=SC2086 # paths of ours, of which none has a blank
ld -r -o "$output" $objects
# shellcheck disable=SC2086
rm $objects
