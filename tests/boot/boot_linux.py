#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Debian's kernels come up with every number of harts and every paging mode, run a command and power off."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import tap  # noqa: E402
import world  # noqa: E402

MODES = ("sv39", "sv48", "sv57")
# Every hart count and every mode at least once a suite; the long run takes the whole product.
SHORT = {
    "trixie": [(1, "sv57"), (2, "sv48"), (4, "sv39")],
    "sid": [(1, "sv39"), (2, "sv57"), (4, "sv48")],
}
SCRIPT = "nproc; grep -m1 mmu /proc/cpuinfo; seq 1000 | md5sum; uname -m"


def boots(suite, harts, mode):
    output, status, code = world.run_script(SCRIPT, suite=suite, harts=harts, extra=["--cpu", f"rv64,{mode}"])
    lines = [line.strip() for line in output.splitlines()]
    tap.check_equal(status, 0, "the script's status")
    tap.check(lines and lines[0] == str(harts), f"nproc said {lines[:1]}, want {harts}:\n{output}")
    tap.check(any(line.startswith("mmu") and line.endswith(mode) for line in lines), f"no {mode} in:\n{output}")
    tap.check("53d025127ae99ab79e8502aae2d9bea6  -" in lines, f"md5sum of 1..1000 is wrong:\n{output}")
    tap.check_equal(code, 0, "the exit status")


def main():
    suite, long = sys.argv[1], "--long" in sys.argv
    for harts, mode in [(h, m) for h in (1, 2, 4) for m in MODES] if long else SHORT[suite]:
        tap.add(f"{suite}, {harts} hart(s), {mode}", boots, suite, harts, mode)
    tap.main()


main()
