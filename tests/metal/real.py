#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Real guests beside each other: Debian's Linux, hard at work on two harts, costs a real-time program on a hart of its own no
tick, and two that share a fourth by a cyclic plan no window.

Each of these checks itself against its plan; and what the hypervisor traced is checked here. The default form takes some
seconds of the board's time, the long one ten minutes.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402
from world import COSM, initramfs_with  # noqa: E402

FRAME_US, FIRST_US, SECOND_US = 10000, 3000, 2000  # the plan of the fourth hart: its windows begin at 0 and FIRST_US
TICK_US = 1000
HARTS = 8
LINUX, TICK, PAIR, MONITOR = [0, 2], 4, 6, 7
# QEMU's -icount runs one hart at a time: each has its turn until the board's next timer is due, and one is each twenty
# microseconds. The hart behind the one whose turn a timer ends has none in this round, so a hart that nobody uses is behind each
# of those that count; and what is due on one hart is seen when the others have had their turns, a round later. A few times in ten
# minutes other timers, due just then, leave so little of a hart's next turns that it needs two or three rounds for some hundred
# instructions. Ten minutes of instructions that take 16 ns took 11 of a processor's, of a busy machine.
TURN_US = 20
TURNS = ["-netdev", "hubport,id=beat,hubid=0", "-object", f"filter-buffer,id=beats,netdev=beat,interval={TURN_US}"]
ROUND_US = HARTS * TURN_US + 10  # the hypervisor's own two microseconds and what it does in them are in it
SLACK_US = 3 * ROUND_US
SELDOM = 10000  # of so many slots one may begin more than a round late

CONFIG = f"""
[[partition]]
name = "linux"
harts = {LINUX}
memory = [{{ at = 0x80000000, size = "256M" }}]
kernel = "Image"
initrd = "initramfs.cpio"
append = 'console=ttyS0 quiet cosm.test="sh /bin/load.sh SECONDS"'

[[hart]]
number = {PAIR}
mode = "cyclic"

[[plan]]
name = "normal"
frame = "{FRAME_US}us"
windows = [
    {{ hart = {PAIR}, partition = "first", start = "0us", length = "{FIRST_US}us" }},
    {{ hart = {PAIR}, partition = "second", start = "{FIRST_US}us", length = "{SECOND_US}us" }},
]
"""


def programs(seconds):
    def words(**defines):
        return [f"{name}={value}" for name, value in defines.items()]

    windows = seconds * 1000000 // FRAME_US
    tick = metal.guest(HERE / "tick.c", f"tick-{seconds}", defines=words(
        TICK_US=TICK_US, TICK_COUNT=seconds * 1000000 // TICK_US, TICK_SLACK_US=SLACK_US, TICK_WORST=1))
    pair = [metal.guest(HERE / "pair.c", f"pair-{name}-{seconds}", defines=words(
        PAIR_FRAME_US=FRAME_US, PAIR_LENGTH_US=length, PAIR_COUNT=windows, PAIR_SLACK_US=SLACK_US, PAIR_WORST=1))
        for name, length in [("first", FIRST_US), ("second", SECOND_US)]]
    return tick, pair, metal.guest(metal.EXAMPLES / "monitor" / "monitor.c")


def build(seconds, intc):
    tick, pair, monitor = programs(seconds)
    folder = metal.FOLDER / f"real-{seconds}-{intc}"
    folder.mkdir()
    linux = metal.obtain("linux", "trixie")
    files = {"Image": linux / "Image", "initramfs.cpio": initramfs_with(folder, [HERE / "load.sh"]),
             "tick.bin": tick.with_suffix(".bin"), "first.bin": pair[0].with_suffix(".bin"),
             "second.bin": pair[1].with_suffix(".bin"), "monitor.bin": monitor.with_suffix(".bin")}
    for name, path in files.items():
        if path.parent != folder:
            (folder / name).symlink_to(path)
    parts = [metal.partition(name, [hart], folder / f"{name}.elf")
             for name, hart in [("tick", TICK), ("first", PAIR), ("second", PAIR)]]
    parts.append(metal.partition("monitor", [MONITOR], monitor, extra='may = ["monitor"]'))
    text = metal.config(parts, harts=HARTS, memory="512M", intc=intc, more=CONFIG.replace("SECONDS", str(seconds)))
    (folder / "board.toml").write_text(text)
    done = subprocess.run([COSM, "metal", "build", folder / "board.toml", "-o", folder / "cosm-metal.bin"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    tap.check(done.returncode == 0, done.stdout)
    return folder


def run(folder, intc, shift, limit):
    """The board's log, once it has switched itself off."""
    log = folder / "serial.log"
    begin = time.monotonic()
    with metal.board(folder / "cosm-metal.bin", intc=intc, harts=HARTS, memory="512M", icount=f"shift={shift},sleep=off",
                     extra=TURNS, serial=f"file:{log}") as console:
        status = console.wait(limit)
    output = log.read_text(errors="replace").replace("\r", "")
    tap.check_equal(status, 0, f"QEMU's status; {console.tail()}\n{output[-3000:]}")
    tap.say(f"{time.monotonic() - begin:.0f} s")
    return output


def check_linux(output, seconds):
    said = metal.said(output, "linux")
    text = "\n".join(said)
    for word in ["WRONG", "Oops", "BUG:", "Call Trace", "stall", "segfault", "Killed", ": not found"]:
        tap.check(word not in text, f"Linux says {word}:\n{text[-3000:]}")
    tap.check("load: begins on 2 harts" in said and "load: done" in said, text[-3000:])
    for hart in "01":
        rounds = re.search(rf"load: {hart} ends after (\d+) rounds", text)
        tap.check(rounds and int(rounds[1]) >= seconds // 20, f"{rounds and rounds[0]}: Linux made too little progress")
        tap.say(rounds[0])


def check_trace(folder, seconds):
    """Each slot of the fourth hart begins in time, none is missing."""
    done = subprocess.run([COSM, "metal", "trace", folder / "board.toml", "--from", folder / "serial.log", "--json"],
                          stdout=subprocess.PIPE, text=True, check=True)
    records = [json.loads(line) for line in done.stdout.splitlines()]
    tap.check(not any("lost" in r for r in records), "records were lost")
    slots = [r for r in records if r["kind"] == "slot" and r["hart"] == PAIR]
    per_us = 10  # ticks of the board's clock
    late = sorted(r["time"] - r["due"] for r in slots)
    for name in ["first", "second"]:
        mine = [r for r in slots if r.get("owner") == name and r["due"] != r["time"]]
        apart = {b["due"] - a["due"] for a, b in zip(mine, mine[1:])}
        tap.check_equal(apart, {FRAME_US * per_us}, f"ticks between windows of {name}")
        tap.check(len(mine) >= seconds * 1000000 // FRAME_US, f"{len(mine)} windows of {name}")
    tap.check(late[-1] <= SLACK_US * per_us, f"a slot began {late[-1] / per_us} us after its time")
    many = sum(n > ROUND_US * per_us for n in late)
    tap.check(many <= 1 + len(slots) // SELDOM, f"{many} of {len(slots)} slots began more than {ROUND_US} us after their time")
    tap.say(f"{len(slots)} slots, half of them at most {late[len(late) // 2] / per_us} us after their time, {many} more than {ROUND_US}, "
            f"one {late[-1] / per_us}")
    ends = [(r["partition"], r["event"]) for r in records if r["kind"] == "health"]
    tap.check_equal(sorted(ends), [(name, "shutdown") for name in ["first", "linux", "second", "tick"]], "the health events")


def real(intc, seconds, shift, limit):
    folder = build(seconds, intc)
    output = run(folder, intc, shift, limit)
    keep = os.environ.get("KEEP_LOG")
    if keep:
        pathlib.Path(keep).write_text(output)
    for name in ["tick", "first", "second"]:
        said = metal.said(output, name)
        for line in said[1:-1]:
            tap.say(f"{name}: {line}")
        tap.check(said and said[-1].endswith("as planned"), f"{name}: " + "\n".join(said))
    check_linux(output, seconds)
    check_trace(folder, seconds)


tap.add("25 seconds of Linux at work beside a ticker and a cyclic pair", real, "plic", 25, 3, 900)
for machine in metal.MACHINES:
    tap.add_long(f"ten minutes of it, {machine}", real, machine, 600, 4, 7200)
tap.main(sys.argv[1:])
