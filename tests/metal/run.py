#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""cosm metal run, trace and top: boards of QEMU on a terminal and elsewhere, traces as text."""

import fcntl
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402
from console import Console  # noqa: E402
from world import COSM  # noqa: E402

ROWS, COLUMNS = 24, 90
LINUX_SECONDS = 900
# What the split console may write: places, styles, erasing, the cursor; no other sequence.
ALLOWED = re.compile(r"\x1b\[(\d+;\d+H|[0-9;]*m|K|2J|\?25[hl]|\?1049[hl])")


class Screen:
    """What a terminal shows that knows the sequences above."""

    def __init__(self, output, rows=ROWS, columns=COLUMNS):
        self.cell = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        while output:
            found = ALLOWED.match(output)
            tap.check(found or output[0] >= " " and not "\x7f" <= output[0] < "\xa0",
                      f"this reached the terminal: {output[:20]!r}")
            if found:
                self.obey(found[1])
            elif self.column < columns:
                self.cell[self.row][self.column] = output[0]
                self.column += 1
            output = output[found.end() if found else 1:]

    def obey(self, what):
        if what[-1] == "H":
            self.row, self.column = (int(n) - 1 for n in what[:-1].split(";"))
        elif what == "2J":
            self.cell = [[" "] * len(row) for row in self.cell]
        elif what == "K":
            self.cell[self.row][self.column:] = [" "] * (len(self.cell[self.row]) - self.column)

    def lines(self):
        return ["".join(row).rstrip() for row in self.cell]

    def pane(self, label):
        """The lines below a head that contains label."""
        lines = self.lines()
        at = [i for i, line in enumerate(lines) if label in line]
        tap.check(at, f"no pane {label!r} in:\n" + "\n".join(lines))
        rest = lines[at[0] + 1:-1]
        ends = [i for i, line in enumerate(rest) if line.endswith("──")]
        return rest[:ends[0] if ends else None]


def folder(name, programs, config):
    """A folder with a configuration and the programs that it names."""
    path = metal.FOLDER / name
    path.mkdir(exist_ok=True)
    for program in programs:
        link = path / program.with_suffix(".bin").name
        link.unlink(missing_ok=True)
        link.symlink_to(program.with_suffix(".bin"))
    (path / "board.toml").write_text(config.read_text() if isinstance(config, pathlib.Path) else config)
    return path / "board.toml"


def two(then="off"):
    text = (metal.EXAMPLES / "two" / "two.toml").read_text().replace("[board]\n", f'[board]\nwhen-all-stopped = "{then}"\n')
    return folder(f"two-{then}", [metal.guest(metal.EXAMPLES / "two/hello.c")], text)


def terminal(*arguments, rows=ROWS, columns=COLUMNS):
    metal.need(metal.QEMU)
    # The size is there before the program is.
    return Console(["sh", "-c", f"stty rows {rows} cols {columns}; exec \"$@\"", "sh", COSM, "metal", *arguments],
                   env={**os.environ, "LC_ALL": "C.UTF-8"}, rows=rows, columns=columns)


def settled(console, rows=ROWS, columns=COLUMNS):
    """The screen, once no more comes, or now and then."""
    for _ in range(4):
        before = len(console.output)
        console.read(0.5)
        if len(console.output) == before:
            break
    output = console.output
    begin = output.index("\x1b[?1049h")
    end = output.rfind("\x1b[?25h") + 6  # whole drawings
    return Screen(output[begin:max(end, begin)], rows, columns)


def wait_for(console, what, seconds=metal.SECONDS, rows=ROWS, columns=COLUMNS):
    deadline = time.monotonic() + seconds
    while True:
        screen = settled(console, rows, columns)
        if what(screen):
            return screen
        tap.check(time.monotonic() < deadline, "it did not come; the screen:\n" + "\n".join(screen.lines()))
        tap.check(console.read(1), f"ended; last output:\n{console.tail()}")


def modes(console):
    return termios.tcgetattr(console.fd)[:4]


@tap.test("split: a pane a partition, the last line for the hypervisor, leaving puts the terminal back")
def _():
    with terminal("run", two()) as console:
        before = modes(console)
        screen = wait_for(console, lambda s: all("done" in s.pane(f" {i} {name} ") for i, name in [(0, "left"), (1, "right")])
                          if "right" in "".join(s.lines()) else False)
        for index, name in enumerate(["left", "right"]):
            want = [f"partition {index} starts on its hart 0 of 1"] + [f"tick {n}" for n in range(1, 6)] + ["done"]
            tap.check_equal([line for line in screen.pane(f" {index} {name} ") if line], want, f"the pane of {name}")
        tap.check(screen.lines()[0].startswith(" 0 left - keyboard ─"), screen.lines()[0])
        wait_for(console, lambda s: s.lines()[-1] == "[metal] the board is off; q leaves")
        console.send("\x011")
        wait_for(console, lambda s: any(line.startswith(" 1 right - keyboard") for line in s.lines()))
        console.send("\x01h")
        wait_for(console, lambda s: "Ctrl-A x leaves" in s.lines()[-1])
        console.send(" ")
        wait_for(console, lambda s: "[metal]" in s.lines()[-1])
        console.send("q")
        tap.check_equal(console.wait(), 0, "the exit status")
        tap.check(console.output.rstrip().endswith("\x1b[?1049l\x1b[?25h\x1b[0m"), repr(console.output[-40:]))
        tap.check_equal(modes(console), before, "the terminal's modes")


@tap.test("split: Ctrl-A x leaves a board that is on")
def _():
    with terminal("run", two("stay")) as console:
        wait_for(console, lambda s: s.lines()[-1] == "[metal] all partitions have stopped")
        console.send("q\x01x")
        tap.check_equal(console.wait(), 0, "the exit status")


@tap.test("split: another size of the window")
def _():
    with terminal("run", two()) as console:
        wait_for(console, lambda s: "done" in "".join(s.lines()))
        console.output = ""
        console.mark = 0
        fcntl.ioctl(console.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 40, 0, 0))
        deadline = time.monotonic() + metal.SECONDS
        while "\x1b[10;1H" not in console.output:
            tap.check(time.monotonic() < deadline and console.read(1), "the size was not followed")
        console.read(0.5)
        drawing = console.output[:console.output.rfind("\x1b[?25h") + 6]
        lines = Screen(drawing, 10, 40).lines()
        tap.check(lines[0].startswith(" 0 left - keyboard ─") and len(lines[0]) == 40, lines[0])
        tap.check(lines[-1].startswith("[metal] "), lines[-1])


@tap.test("split: a guest's sequences stay in its pane")
def _():
    rude, hello = metal.guest(HERE / "rude.c"), metal.guest(metal.EXAMPLES / "two/hello.c")
    config = metal.config([metal.partition("rude", "[0]", rude), metal.partition("hello", "[1]", hello)])
    with terminal("run", folder("rude", [rude, hello], config)) as console:
        screen = wait_for(console, lambda s: "done" in s.lines() and "well said" in s.lines())
        lines = [line for line in screen.pane(" 0 rude ") if line]
        want = ["title", "clip", "reset", "clear", "mouse", "query", "eight bit ?31m", "[metal] owned", "print", "well said"]
        tap.check_equal([line.strip() for line in lines], want[-len(lines):], "the pane")
        tap.check("\x1b[0;32mwell\x1b[0m" in console.output, "the colour is missing")
        for what in ["\x1b]", "\x1bc", "\x1b[?1000", "\x1b[5i", "\x1b[6n", "\x1b[3J", "\x1b[c", "\x9b"]:
            tap.check(what not in console.output, f"{what!r} reached the terminal")
        tap.check(screen.lines()[-1].startswith("[metal] ") and "owned" not in screen.lines()[-1], screen.lines()[-1])


@tap.test("split: a signal that ends it puts the terminal back, and QEMU ends, too")
def _():
    with terminal("run", two("stay")) as console:
        before = modes(console)
        wait_for(console, lambda s: "done" in "".join(s.lines()))
        tap.check(modes(console) != before, "the terminal is not raw")
        children = pathlib.Path(f"/proc/{console.pid}/task/{console.pid}/children").read_text().split()
        tap.check_equal(len(children), 1, "the number of children")
        os.kill(console.pid, signal.SIGTERM)
        tap.check_equal(console.wait(), -signal.SIGTERM, "the end")
        tap.check(console.output.endswith("\x1b[?1049l\x1b[?25h\x1b[0m"), repr(console.output[-40:]))
        tap.check_equal(modes(console), before, "the terminal's modes")
        deadline = time.monotonic() + metal.SECONDS
        while pathlib.Path(f"/proc/{children[0]}/cmdline").exists():
            tap.check(time.monotonic() < deadline, "QEMU is still there")
            time.sleep(0.1)


def cosm(*arguments, seconds=metal.SECONDS, **options):
    return subprocess.run([COSM, "metal", *arguments], text=True, timeout=seconds, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, errors="replace", **options)


class Piped:
    """cosm metal ... with its standard output on a pipe."""

    def __init__(self, *arguments, stdin=subprocess.DEVNULL):
        metal.need(metal.QEMU)
        self.child = subprocess.Popen([COSM, "metal", *arguments], stdin=stdin, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, text=True, errors="replace", bufsize=1)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.child.kill()
        self.child.communicate()

    def until(self, pattern, count=1):
        """Lines up to the count-th that the pattern is in; the test's own time limit ends a wait."""
        lines = []
        for line in self.child.stdout:
            lines.append(line.rstrip("\r\n"))
            count -= re.search(pattern, line) is not None
            if not count:
                return lines
        raise AssertionError(f"{pattern!r} did not come:\n" + "\n".join(lines[-20:]))


@tap.test("lines: labelled, as they come, where there is no terminal")
def _():
    with Piped("run", two()) as board:
        output = "\n".join(board.until(r"\] done", 2))
        for name in ["left", "right"]:
            tap.check_equal(metal.said(output, name)[1:], [f"tick {n}" for n in range(1, 6)] + ["done"], name)
        tap.check("\x1b[" not in re.sub(r"(?s)^.*?\[left\]", "", output), "there are sequences")


@tap.test("an image that was built runs as well, with options for QEMU, which is told when it cannot be")
def _():
    path = two()
    image = path.with_name("two.bin")
    built = cosm("build", path, "-o", image)
    tap.check_equal(built.returncode, 0, built.stderr)
    with Piped("run", image, "--", "-name", "other") as board:
        board.until(r"\] done", 2)
    done = cosm("run", image, "--", "-no-such-option")
    tap.check_equal(done.returncode, 1, "the exit status")
    tap.check("no-such-option" in done.stderr and "ended with status 1" in done.stderr, done.stderr)


@tap.test("cosm itself is the board: by its own SBI, and counted")
def _():
    path = two()
    for words in ([], ["--icount"]):
        done = cosm("run", path, "--on", "cosm", *words, env={**os.environ, "PATH": "/nonexistent"})
        tap.check_equal(done.returncode, 0, done.stderr)
        for name in ("left", "right"):
            tap.check_equal(len(re.findall(rf"^\[{name}\] tick \d", done.stdout, re.M)), 5, done.stdout)
    done = cosm("run", path, "--on", "cosm", "--", "--no-such-option")
    tap.check_equal(done.returncode, 1, "the exit status")
    tap.check("no-such-option" in done.stderr and "ended with status 2" in done.stderr, done.stderr)


def refused(arguments, status, *words, **options):
    done = cosm(*arguments, **options)
    tap.check_equal(done.returncode, status, f"the exit status of {arguments}: {done.stderr}")
    for word in words:
        tap.check(word in done.stderr, f"{word!r} is not in: {done.stderr}")


@tap.test("what cannot be is refused in a sentence")
def _():
    path = two()
    other = path.with_name("nothing.bin")
    other.write_bytes(bytes(4096))
    refused(["run", path, "--on", "moon"], 2, "'moon'", "qemu", "cosm")
    aia = path.with_name("aia.toml")
    aia.write_text(path.read_text().replace("[board]", "[board]\naia = true"))
    refused(["run", aia, "--on", "cosm"], 1, "AIA", "--on qemu")
    refused(["run", path, "--split", "--lines"], 2, "--split and --lines")
    refused(["run", path, "--split"], 1, "needs a terminal")
    refused(["run", path], 1, "qemu-system-riscv64", "qemu-system-misc", env={**os.environ, "PATH": "/nonexistent"})
    refused(["run", other], 1, "nothing.bin", "neither")
    refused(["run", path.with_name("missing.toml")], 1, "missing.toml", "does not exist")
    refused(["run"], 2, "usage: cosm metal run")
    refused(["check", path, "--", "-d", "int"], 2, "usage: cosm metal check")
    refused(["trace"], 2, "usage: cosm metal trace")
    refused(["trace", "--from", path.with_name("missing.log")], 1, "missing.log", "cannot be read")


# ---- Traces ----

LOG = """
OpenSBI v1.1\r
[metal] 3 partitions\r
[watch] time 989680\r
[ticker] trace 0 9 98a000 1 1 98a000\r
[watch] trace 0 1 98e000 1 0 98df9c\r
[watch] trace 0 2 a7cfc0 1 ffff a7cfc0\r
[other] said\r
[watch] trace 0 3 a86c00 1 1 a86b9c\r
[watch] trace 0 4 a8c000 2 10004 dead0000\r
[watch] trace 0 5 a8c100 3 1 9c40\r
[watch] trace 0 9 b71b00 1 0 b6b800\r
[watch] trace 0 a b71b01 4 0 0\r
[watch] trace 1 1 b71c00 63 2 5\r
[watch] trace 9 1 b71c00 1 2 5\r
[watch] trace 0 b b71b02 1 0\r
[watch] trace 0 b zzz 1 0 0\r
[watch] trace 0 b b71b02 1 0 0 0\r
[watch] trace 0 b ffffffffffffffff 1 0 0\r
[watch] time ffffffffffffffff\r
[watch] time 1312d00\r
""".lstrip()

TEXT = """
     1.0018816  hart 0  ticker, 10.0 us after its time
     1.0997696  hart 0  idle
     1.1037696  hart 0  worker, 10.0 us after its time
     1.1059200  hart 0  worker: memory at 0xdead0000: restart
     1.1059456  hart 0  worker: begins, 4.00 ms after its halt or the board's start
                hart 0  3 records were not read in time
     1.2000000  hart 0  ticker, 2.53 ms after its time
     1.2000001  hart 0  plan normal
     1.2000256  hart 1  kind 99, what 0x2, detail 0x5
""".lstrip("\n")


def traced():
    """A configuration with the names that the log has."""
    hello = metal.guest(metal.EXAMPLES / "two/hello.c")
    parts = [metal.partition("ticker", "[0]", hello), metal.partition("worker", "[0]", hello),
             metal.partition("watch", "[1]", hello, extra='may = ["monitor"]')]
    plan = """
[[hart]]
number = 0
mode = "cyclic"

[[plan]]
name = "normal"
frame = "10ms"
windows = [
    { hart = 0, partition = "ticker", start = "0ms", length = "2ms" },
    { hart = 0, partition = "worker", start = "4ms", length = "5ms" },
]
"""
    path = folder("traced", [hello], metal.config(parts, more=plan))
    (path.parent / "serial.log").write_text(LOG)
    return path, path.with_name("serial.log")


@tap.test("trace: a log as text, with the names of the configuration; only of who may monitor")
def _():
    path, log = traced()
    done = cosm("trace", path, "--from", log)
    tap.check_equal((done.returncode, done.stdout), (0, TEXT), f"the text ({done.stderr})")
    done = subprocess.run([COSM, "metal", "trace", "--from", "-"], input=LOG, text=True, stdout=subprocess.PIPE)
    tap.check("hart 0  vCPU 0, 10.0 us after its time\n" in done.stdout and "partition 1: memory at" in done.stdout, done.stdout)


@tap.test("trace --json: an object a record")
def _():
    path, log = traced()
    done = cosm("trace", path, "--from", log, "--json")
    records = [json.loads(line) for line in done.stdout.splitlines()]
    tap.check_equal(len(records), 8, "records")
    tap.check_equal(records[0], {"time": 0x98e000, "hart": 0, "number": 1, "kind": "slot", "vcpu": 0, "owner": "ticker",
                                 "due": 0x98df9c}, "the first")
    tap.check_equal(records[3], {"time": 0xa8c000, "hart": 0, "number": 4, "kind": "health", "partition": "worker",
                                 "event": "memory", "action": "restart", "address": 0xdead0000}, "the health event")
    tap.check_equal(records[5]["lost"], 3, "the gap")


@tap.test("top: a table for each second of the board's time")
def _():
    path, log = traced()
    done = cosm("top", path, "--from", log)
    tables = done.stdout.rstrip("\n").split("\n\n")
    tap.check_equal(len(tables), 1, f"tables in {done.stdout}")
    lines = [re.split(r"\s\s+", line.strip()) for line in tables[0].splitlines()]
    tap.check_equal(lines[0], ["second 1"], "the head")
    tap.check_equal(lines[2][:-1], ["0", "cyclic", "ticker", "3", "1", "2.53 ms"], "the hart with a plan")
    shares = dict(re.findall(r"(\w+) ([0-9.]+) %", lines[2][-1]))
    # Who had the time before the gap of lost records is not known: no more is counted than there is.
    tap.check_equal(shares, {"ticker": "89.8", "idle": "0.4"}, "the shares")
    tap.check_equal(lines[3], ["1", "exclusive", "watch", "0", "0", "-", "all"], "the exclusive hart")
    tap.check_equal(lines[6], ["worker", "0", "1", "memory: restart"], "the partition that was restarted")


@tap.test("top: cut to the width of a terminal")
def _():
    path, log = traced()
    with terminal("top", path, "--from", log, columns=44) as console:
        tap.check_equal(console.wait(), 0, "the exit status")
        lines = console.output.replace("\r", "").splitlines()
    tap.check("second 1" in lines[0] and lines[0].startswith("\x1b[H\x1b[2J"), repr(lines[0]))
    tap.check_equal(max(map(len, lines[1:])), 44, "the longest line")


def monitored():
    programs = [metal.guest(metal.EXAMPLES / name) for name in ["cyclic/ticker.c", "restart/crasher.c", "monitor/monitor.c"]]
    return folder("monitor", programs, metal.EXAMPLES / "monitor" / "monitor.toml")


@tap.test("trace: a board that runs: slots in the order of its plan, faults and restarts")
def _():
    with Piped("trace", monitored(), "--json", "--icount") as board:
        records = [json.loads(line) for line in board.until(r'"kind": "loaded", "partition": "crasher"', 3)]
    tap.check_equal([r["number"] for r in records if r["hart"] == 0][0], 1, "the first record's number")
    tap.check(not any("lost" in r for r in records), "records were lost")
    slots = [r for r in records if r["kind"] == "slot" and r["hart"] == 0]
    for last, this in zip(slots, slots[1:]):
        tap.check(last["time"] <= this["time"] and last.get("owner") != this.get("owner"), f"{last} before {this}")
        tap.check(this["due"] <= this["time"], f"{this} is early")
    # A frame of 10 ms: the windows of the crasher, which never sleeps, begin at 4 ms.
    begins = [r["due"] for r in slots if r.get("owner") == "crasher" and r["due"] != r["time"]]
    apart = [b - a for a, b in zip(begins, begins[1:])]
    tap.check(len(begins) > 20 and set(n % 100000 for n in apart) == {0}, f"windows are apart by {set(apart)}")
    health = [r for r in records if r["kind"] == "health"]
    tap.check_equal([(r["partition"], r["event"], r["action"], r["address"]) for r in health],
                    [("crasher", "memory", "restart", 0xdead0000)] * 2, "the health events")


@tap.test("top: a board that runs: shares as the plan has them, restarts")
def _():
    with Piped("top", monitored(), "--icount") as board:
        lines = board.until(r"^second", 3)
    text = "\n".join(lines[:-1])
    rows = re.findall(r"^ *0  cyclic .*$", text, re.M)
    shares = dict(re.findall(r"(\w+) ([0-9.]+) %", rows[1]))
    tap.check(abs(sum(map(float, shares.values())) - 100) < 1, f"the shares are {shares}")
    tap.check(abs(float(shares["crasher"]) - 50) < 2, f"the crasher has {shares}, and half of the time by its plan")
    restarts = [int(n) for n in re.findall(r"^crasher +(\d+) .*memory: restart$", text, re.M)]
    tap.check(restarts and restarts[-1] >= 1 and restarts == sorted(restarts), f"restarts: {restarts}")


@tap.test("the demo: Linux, keys for it, a ticker, a worker that is restarted", long=True)
def _():
    linux = metal.obtain("linux", "trixie")
    programs = [metal.guest(metal.EXAMPLES / name) for name in ["cyclic/ticker.c", "demo/worker.c"]]
    path = folder("demo", programs, metal.EXAMPLES / "demo" / "demo.toml")
    for name in ["Image", "initramfs.cpio"]:
        (path.parent / name).unlink(missing_ok=True)
        (path.parent / name).symlink_to(linux / name)
    with terminal("run", path) as console:
        wait_for(console, lambda s: "shell ready" in "".join(s.lines()), LINUX_SECONDS)
        console.send("echo $((6 * 7)) is it\r")
        wait_for(console, lambda s: "42 is it" in s.lines(), LINUX_SECONDS)
        console.send("\x011")
        wait_for(console, lambda s: any(line.startswith(" 1 ticker - keyboard") for line in s.lines()))
        console.send("\x010echo back\r")
        wait_for(console, lambda s: "back" in s.lines(), LINUX_SECONDS)
        wait_for(console, lambda s: "restarted" in s.lines()[-1], LINUX_SECONDS)
        screen = wait_for(console, lambda s: "life 3 begins" in s.lines(), LINUX_SECONDS)
        tap.check(any(re.match(r"\d+ ticks, at most", line) for line in screen.pane(" 1 ticker ")), "no ticks")


tap.main(sys.argv[1:])
