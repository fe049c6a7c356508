#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What a guest costs its host: an idle one under 1 % of a core for each hart, and little memory beside the guest's own."""

import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

IDLE_SECONDS = 5
IDLE_SHARE = 0.01  # of a core for each hart; with sid's kernel 7.2 four harts took 1.4 to 2.4 % together
INTERP_MIB = 16
DEFAULT_MIB = 48  # of which the translated code of a boot takes about 22


def idle(harts):
    with world.boot(harts=harts, append="quiet") as console:
        time.sleep(3)  # what the kernel puts off until after the boot
        before = console.cpu_seconds()
        time.sleep(IDLE_SECONDS)
        share = (console.cpu_seconds() - before) / IDLE_SECONDS
        tap.say(f"{harts} hart(s): {100 * share:.2f} % of a core")
        tap.check(share < IDLE_SHARE * harts, f"an idle guest takes {100 * share:.1f} % of a core")


def memory(limit, *options):
    with world.boot(append="quiet", extra=options) as console:
        beside = world.beside_ram_kib(console) / 1024
        tap.say(f"{beside:.1f} MiB")
        tap.check(beside < limit, f"{beside:.1f} MiB are resident beside the guest's RAM")


tap.add(f"resident memory beside the guest's RAM is under {DEFAULT_MIB} MiB", memory, DEFAULT_MIB)
tap.add(f"interpreted, it is under {INTERP_MIB} MiB", memory, INTERP_MIB, "--cpu-engine=interp")
tap.add(f"an idle guest of 4 harts takes under {100 * IDLE_SHARE:.0f} % of a core for each", idle, 4)
tap.main(sys.argv[1:])
