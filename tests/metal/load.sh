#!/bin/busybox sh
# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=dash
# Work for a Linux with two harts, until it has been up for so many seconds: on each hart compression, hashing, pipes,
# memory fills and forks, and a pipe from one to the other. Each round's result is known.
#
#     load.sh SECONDS

text=/tmp/text

goes_on() {
    read -r up _ </proc/uptime
    [ "${up%.*}" -lt "$seconds" ]
}

# Compresses, expands and hashes a text; fills and hashes memory; forks and runs programs.
work() {
    want=$(sha256sum <$text) fill="ec87a838931d4d5d2e94a04644788a55  -"
    rounds=0
    while goes_on; do
        got=$(gzip -c <$text | gunzip -c | cat | sha256sum)
        [ "$got" = "$want" ] || echo "load: $1: the text is WRONG: $got"
        dd if=/dev/zero of="/tmp/fill$1" bs=64k count=4 2>/dev/null
        got=$(md5sum <"/tmp/fill$1")
        [ "$got" = "$fill" ] || echo "load: $1: the fill is WRONG: $got"
        for n in 1 2 3 4; do
            (exit "$n")
            [ $? = "$n" ] || echo "load: $1: a child's status is WRONG"
            busybox true
        done
        rounds=$((rounds + 1))
        [ $((rounds % 20)) != 0 ] || echo "load: $1: $rounds rounds"
    done
    echo "load: $1 ends after $rounds rounds"
}

# Bytes from hart 0 to hart 1, in small pieces.
talk() {
    while goes_on; do
        got=$(taskset 1 dd if=$text bs=512 2>/dev/null | taskset 2 sha256sum)
        [ "$got" = "$(sha256sum <$text)" ] || echo "load: the pipe is WRONG: $got"
    done
}

seconds=$1
if [ -n "$2" ]; then
    work "$2"
    exit
fi
mount -t tmpfs tmpfs /tmp
seq 1 3000 >$text
echo "load: begins on $(nproc) harts"
taskset 1 sh "$0" "$seconds" 0 &
taskset 2 sh "$0" "$seconds" 1 &
talk
wait
echo "load: done"
sleep 1 # what is still to be sent is lost when the power goes
