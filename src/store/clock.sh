#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# One connection of cosm-clock.socket: says what time it is here, and sets the clock to what the host answers, seconds
# since 1970, as often as it does (src/vmm/vm_clock.c).
[ "$REMOTE_ADDR" = vsock:2 ] || exit 1 # the host, and no program of this machine
date +%s.%N
while read -r now; do
    date -s "@$now" >/dev/null
    date +%s.%N
done
