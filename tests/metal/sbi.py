#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What partitions get from the SBI beyond the basics: suspending, stolen time; on harts of all modes."""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

# Hart 0 is shared with a neighbour that never sleeps; hart 1 is exclusive.
MODES = {
    "exclusive": "",
    "cyclic": """
[[hart]]
number = 0
mode = "cyclic"

[[plan]]
name = "halves"
frame = "1ms"
windows = [
    { hart = 0, partition = "first", start = "0us", length = "400us" },
    { hart = 0, partition = "noise", start = "500us", length = "500us" },
]
""",
    "priority": """
[[hart]]
number = 0
mode = "priority"
vcpus = [{ partition = "first", priority = 1 }, { partition = "noise", priority = 2, budget = "300us", period = "1ms" }]
""",
}


def run(source, mode, intc):
    # A hart that waits for another in a loop needs threads, in which time is the host's.
    threads = (source, mode) == ("suspend", "exclusive")
    program = metal.guest(HERE / f"{source}.c", name=f"{source}-{threads}", 
                          defines=["SUSPEND_SLACK_US=1000000", "SUSPEND_AWAY_US=300000", "SUSPEND_DEVICE=1"] * threads)
    noise = metal.guest(HERE / "noise.c")
    parts = [metal.partition("first", [0, 1], program, extra='devices = ["rtc@101000"]' * threads)] + ([metal.partition("noise", [0], noise)] if MODES[mode] else [])
    output = metal.boot(metal.config(parts, intc=intc, more=MODES[mode]), [program, noise], f"{source}-{mode}-{intc}",
                        [rf"first\] {source}: \d+ wrong"], memory="64M", intc=intc, icount=None if threads else metal.FASTER, extra=metal.SHORT_TURNS if source == "suspend" and not threads else [])
    return metal.said(output, "first")


def suspend(mode, intc):
    lines = run("suspend", mode, intc)
    tap.check_equal(lines, ["suspend: hart 0, hart 0, satp 0, interrupts 0, in time",
                            "suspend: stay 1, hart 99, satp 99, interrupts 2, in time",
                            "suspend: partition 0, hart 0, satp 0, interrupts 0, in time", "suspend: 0 wrong"], "what it says")


def steal(mode, intc):
    lines = run("steal", mode, intc)
    tap.check_equal(lines[-1], "steal: 0 wrong", "\n".join(lines))
    lost = [[int(n) for n in re.findall(r"(\d+)", line)] for line in lines[:-1]]
    tap.check_equal([hart for hart, _, _ in lost], [0, 1], "harts")
    # Of 100 ms: all but the windows, the neighbour's budgets, nothing.
    want = {"exclusive": 0, "cyclic": 60000, "priority": 30000}[mode]
    tap.check(abs(lost[0][2] - want) <= want / 20, f"{lost[0][2]} us of 100 ms were stolen by the count, {want} by the plan")
    tap.check_equal(lost[1][2], 0, "time stolen from an exclusive hart")


for machine in metal.MACHINES:
    for given in MODES:
        tap.add(f"harts and partitions suspend and go on, {given}, {machine}", suspend, given, machine)
        tap.add(f"stolen time is told, {given}, {machine}", steal, given, machine)
tap.main(sys.argv[1:])
