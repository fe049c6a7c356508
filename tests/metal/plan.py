#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The compiler of configurations: what it makes of a board, and all that it refuses, each with its line.

It needs no hypervisor: images are any bytes, and a core that only has the place for a configuration is built here.
"""

import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path += [str(ROOT / "tests" / "cli"), str(ROOT / "tests" / "lib")]

from cli import FAILED, USAGE, cosm, refused  # noqa: E402
import newest  # noqa: E402
import tap  # noqa: E402
from tap import check, check_equal, test  # noqa: E402

_folder = tempfile.TemporaryDirectory(prefix="cosm-plan-")
FOLDER = pathlib.Path(_folder.name)
(FOLDER / "rt.bin").write_bytes(b"rt" * 3000)
(FOLDER / "Image").write_bytes(bytes(8) + (0x200000).to_bytes(8, "little") + (0x900000).to_bytes(8, "little") + bytes(32)
                               + b"RSC\x05" + b"kernel" * 1000)
(FOLDER / "initrd").write_bytes(b"cpio" * 5000)
(FOLDER / "empty").write_bytes(b"")

# Line numbers below count from the first line of this text.
BASE = """\
[board]
machine = "virt"
harts = 4
memory = "1G"
[[partition]]
name = "linux"
harts = [0, 1]
memory = [{ at = 0x80000000, size = "256M" }]
kernel = "Image"
initrd = "initrd"
append = "console=hvc0"
devices = ["serial@10000000"]
may = ["monitor"]
[partition.health]
memory = { action = "restart", limit = 3 }
watchdog = "plan:safe"
[[partition]]
name = "a"
harts = [3]
memory = [{ at = 0x80000000, size = "4M" }]
image = "rt.bin"
[[partition]]
name = "b"
harts = [2, 3]
memory = [{ at = 0x80000000, size = "256K", from = 0xb0000000 }]
image = "rt.bin"
[[hart]]
number = 3
mode = "cyclic"
[[plan]]
name = "normal"
frame = "10ms"
windows = [
  { hart = 3, partition = "a", start = "0ms", length = "4ms" },
  { hart = 3, partition = "b", start = "5ms", length = "2500us" },
]
[[plan]]
name = "safe"
frame = "10ms"
windows = [{ hart = 3, partition = "b", start = "0ms", length = "10ms" }]
[[channel]]
name = "telemetry"
size = "64K"
from = "a"
to = ["linux", "b"]
kind = "sampling"
doorbell = "both"
"""


def written(text, name="board.toml"):
    path = FOLDER / name
    path.write_text(text)
    return path


def changed(old, new, count=1):
    """BASE with old replaced, which must be there; without old: with new at its end."""
    check(not old or old in BASE, f"{old!r} is not in the configuration that is changed")
    return BASE.replace(old, new, count) if old else BASE + new


def told(text):
    code, out, error = cosm("metal", "check", written(text), "--json")
    check_equal((code, error), (0, ""), "status and errors of 'cosm metal check'")
    return json.loads(out)


# What is put for what, the line that the refusal names, words of the sentence.
REFUSALS = [
    # TOML
    ("harts = 4", "harts = 4 5", 3, "goes on after its value"),
    ("harts = 4", "harts 4", 3, "'=' is missing"),
    ("harts = 4", "harts = ", 3, "a value is expected"),
    ("harts = 4", "harts = 4.5", 3, "no whole number"),
    ("harts = 4", "harts = 0x", 3, "no whole number"),
    ("harts = 4", "harts = 99999999999999999999", 3, "too large"),
    ("harts = 4", "harts = 4\nharts = 4", 4, "'harts' is given twice, first in line 3"),
    ('machine = "virt"', 'machine = "virt', 2, "does not end"),
    ('machine = "virt"', 'machine = "vi\\qrt"', 2, "a \\ in a string"),
    ('machine = "virt"', 'machine = """virt"""', 2, "several lines"),
    ("[board]", "[board", 1, "']' is missing"),
    ("[board]", "[board]\n[board]", 2, "'board' is given twice, first in line 1"),
    ("[board]", "[[board]]", 1, "'board' of a configuration is a table, not an array"),
    ("harts = [3]", "harts = [3", 20, "an array goes on with ','"),
    ("memory = [{ at = 0x80000000, size = \"4M\" }]", "memory = [{ at = 0x80000000 size = \"4M\" }]", 20, "a table { } goes on"),
    ("", "x = " + "[" * 40, 48, "too deep"),
    # Keys and kinds
    ("[[channel]]", "[[chanel]]", 41, "'chanel' is no key of a configuration; did you mean channel?"),
    ("[[channel]]", "[channel]", 41, "an array [...], not a table"),
    ("frame =", "fram =", 32, "'fram' is no key of a plan; did you mean frame?"),
    ("harts = 4", "hart = 4", 3, "did you mean harts?"),
    ("harts = 4", 'harts = "4"', 3, "is a number, not a string"),
    ("start = \"0ms\", length = \"4ms\"", "start = \"0ms\", lenght = \"4ms\"", 34, "did you mean length?"),
    ("harts = [3]\n", "", 17, "'harts' of a partition is missing"),
    ("memory = { action", "memry = { action", 15, "did you mean memory?"),
    ("[board]\n", "[board]\nx = 1\n", 2, "'x' is no key of the board"),
    # The board
    ("[board]", "[boards]", 1, "did you mean board?"),
    ('"virt"', '"vert"', 2, "'vert' is no machine known here"),
    ("harts = 4\n", "", 1, "'harts' of the board is missing"),
    ("harts = 4\n", 'harts = 4\nwhen-all-stopped = "sleep"\n', 4, "'sleep' is no end of a board: it is one of off, reboot, stay"),
    ("harts = 4\n", 'harts = 4\nwhen-all-stoped = "off"\n', 4, "did you mean when-all-stopped?"),
    ("harts = 4", "harts = 9", 3, "1 to 8"),
    ("harts = 4", "harts = 4\naia-guests = 2", 4, "needs aia = true"),
    ("harts = 4", "harts = 4\naia = true\naia-guests = 9", 5, "1 to 7"),
    ("harts = 4", 'harts = 4\ndtb = "rt.bin"', 2, "'machine' is told by the device tree of line 4"),
    ("harts = 4", 'harts = 4\nisa = "rv64imac"', 1, "no hypervisor extension"),
    ("harts = 4", "harts = 4\nat = 0x80100000", 4, "multiple of 2 MiB"),
    ("harts = 4", "harts = 4\nat = 0xc0000000", 4, "is not in the board's memory"),
    ('memory = "1G"', 'memory = "2052K"', 1, "beyond the board's memory"),
    ('size = "4M"', 'size = "4M", from = 0x80200000', 20, "overlaps memory of the hypervisor"),
    ('memory = "1G"', 'memory = "1000"', 4, "whole number of pages"),
    ('memory = "1G"', 'memory = "1T"', 4, "no unit that fits"),
    ('memory = "1G"', 'memory = "G"', 4, "no number with a unit"),
    # Partitions
    ('name = "a"', 'name = "linux"', 17, "there is a partition 'linux' already, in line 5"),
    ('name = "a"', 'name = "A"', 18, "is no name"),
    ('name = "a"', 'name = "sixteen-letters-"', 18, "is no name"),
    ("harts = [3]", "harts = [4]", 19, "the board has no hart 4"),
    ("harts = [3]", "harts = []", 19, "needs a hart"),
    ("harts = [3]", "harts = [0]", 19, "hart 0 belongs to 'linux' of line 7, and to 'a'"),
    ("harts = [3]", "harts = [" + "3, " * 14 + "]", 24, "more than 16 vCPUs"),
    ("memory = [{ at = 0x80000000, size = \"4M\" }]", "memory = []", 20, "needs memory"),
    ("memory = [{ at = 0x80000000, size = \"4M\" }]", "memory = [4]", 20, "not a number"),
    ('size = "4M"', 'size = "4M", pages = "1M"', 20, "'1M' is no size of pages; did you mean"),
    ('size = "4M"', 'size = "3M", pages = "2M"', 20, "'size' is no multiple of the pages of 2M"),
    ('size = "4M"', 'size = "4M", pages = "2M", from = 0x90001000', 20, "'from' is no multiple"),
    ("at = 0x80000000, size = \"4M\"", "at = 0x80100000, size = \"4M\", pages = \"2M\"", 20, "'at' is no multiple"),
    ("at = 0x80000000, size = \"4M\"", "at = 0x80000001, size = \"4M\"", 20, "beginning of a page"),
    ("at = 0x80000000, size = \"4M\"", "at = 0x1ffffff0000, size = \"4M\"", 20, "beyond the 2 TiB"),
    ('image = "rt.bin"', 'image = "rt.bin"\nkernel = "Image"', 21, "'kernel': one of both"),
    ('image = "rt.bin"\n', "", 17, "'a' has nothing to run"),
    ('image = "rt.bin"', 'image = "missing"', 21, "does not exist"),
    ('image = "rt.bin"', 'image = "empty"', 21, "is empty"),
    ('image = "rt.bin"', 'image = "rt.bin"\nimages = [{ file = "rt.bin", at = 0x80001000 }]', 22,
     "rt.bin at 0x80001000 overlaps rt.bin of line 21, which is at 0x80000000 to 0x8000176f"),
    ('image = "rt.bin"', 'image = "rt.bin"\nimages = [{ file = "rt.bin", at = 0x80002004 }]', 22, "not at a multiple of 8"),
    ('image = "rt.bin"', 'image = "rt.bin"\nimages = [{ file = "rt.bin", at = 0x803ff000 }]', 22, "not in the memory of 'a' (line 20)"),
    ('image = "rt.bin"', 'image = "rt.bin"\nentry = 0x90000000', 22, "begins at 0x90000000, which is not in its memory"),
    ('image = "rt.bin"', 'image = "rt.bin"\nentry = 0x80000001', 22, "odd or negative"),
    ('image = "rt.bin"', 'image = "rt.bin"\ndtb = "rt.bin"', 22, "no whole device tree"),
    ('size = "256M"', 'size = "8M"', 9, "Image takes 9437184 bytes from 0x80200000 on, which are not in the memory of 'linux'"),
    ('size = "256M"', 'size = "11M"', 10, "initrd at 0x80afa000 overlaps Image of line 9, which is at 0x80200000 to 0x80afffff"),
    ('size = "256K"', 'size = "4K"', 26, "rt.bin takes 6000 bytes"),
    ('image = "rt.bin"', 'image = "rt.bin"\nwatchdog = "0ms"', 22, "bites at once"),
    ('may = ["monitor"]', 'may = ["observe"]', 13, "is no right"),
    ("[[partition]]\nname = \"a\"", "".join(f'[[partition]]\nname = "p{n}"\nharts = [3]\nmemory = [{{ at = 0, size = "1M" }}]\nimage = "rt.bin"\n'
                                           for n in range(6)) + "[[partition]]\nname = \"a\"", 52, "more than 8 of [[partition]]"),
    # Memory of the board
    ('size = "4M"', 'size = "4M", from = 0x80000000', 20, "overlaps memory of firmware"),
    ('size = "4M"', 'size = "4M", from = 0xbfe00000', 20, "is outside the board's memory"),
    ('size = "4M"', 'size = "1G"', 20, "no room for memory of 'a': 1048576 KiB in the board's 1024 MiB"),
    ('size = "4M"', 'size = "2G", pages = "1G"', 20, "no room for memory of 'a'"),
    ('size = "4M" }', 'size = "4M" }, { at = 0x80300000, size = "1M" }', 20, "memory of 'a' overlaps memory of 'a' of line 20"),
    ("at = 0x80000000, size = \"4M\"", "at = 0x0c200000, size = \"4M\"", 20, "memory of 'a' overlaps the interrupt controller of 'a' of line 17"),
    ("at = 0x80000000, size = \"256M\"", "at = 0x10000000, size = \"256M\"", 12, "device 'serial@10000000' of 'linux' overlaps memory of 'linux'"),
    ('image = "rt.bin"', 'image = "rt.bin"\nvector = true', 22, "has no v (vector = true of [board])"),
    # Devices
    ("serial@10000000", "serial@10000001", 12, "no device 'serial@10000001'"),
    ("serial@10000000", "plic@c000000", 12, "the hypervisor's"),
    ('image = "rt.bin"', 'image = "rt.bin"\ndevices = ["serial@10000000"]', 22, "given twice: 'linux' has it by line 12"),
    ('image = "rt.bin"', 'image = "rt.bin"\ndevices = ["virtio_mmio@10001000"]', 22, "no IOMMU"),
    ('image = "rt.bin"', 'image = "rt.bin"\ndevices = ["fw-cfg@10100000"]', 22, "DMA"),
    ('image = "rt.bin"', 'image = "rt.bin"\ndma = "yes"', 22, "way to treat DMA"),
    # Health
    ('limit = 3', 'limit = -1', 15, "out of range"),
    ('"restart", limit', '"log", limit', 15, "this action makes none"),
    ('"plan:safe"', '"plan:save"', 16, "no plan 'save'; did you mean safe?"),
    ('"plan:safe"', '"reset"', 16, "'reset' is no action; did you mean restart?"),
    ('watchdog = "plan:safe"', 'watchdog = "guest"', 16, "only of memory and instruction"),
    ('watchdog = "plan:safe"', 'image = "restart"', 16, "cannot run"),
    ('watchdog = "plan:safe"', 'shutdown = "ignore"', 16, "asked for its end"),
    # Time
    ('mode = "cyclic"', 'mode = "cylic"', 29, "did you mean cyclic?"),
    ("number = 3", "number = 7", 28, "the board has no hart 7"),
    ('mode = "cyclic"', 'mode = "cyclic"\n[[hart]]\nnumber = 3\nmode = "priority"', 30, "its mode already, by line 27"),
    ('mode = "cyclic"', 'mode = "exclusive"', 24, "hart 3 belongs to 'a' of line 19, and to 'b'"),
    ('mode = "cyclic"', 'mode = "cyclic"\nvcpus = []', 30, "only with mode = \"priority\""),
    ('mode = "cyclic"', 'mode = "priority"\nvcpus = [{ partition = "a", priority = 1 }, { partition = "b", priority = 2 }]', 35,
     "hart 3 has no windows by its mode in line 27"),
    ('partition = "a", start', 'partition = "linux", start', 34, "'linux' has no vCPU on hart 3; its harts are in line 5"),
    ("harts = [3]", "harts = [3, 3]", 34, "several vCPUs on hart 3; say which"),
    ('partition = "a", start', 'partition = "a", vcpu = 1, start', 34, "vCPU 1 of 'a' is not on hart 3"),
    ('partition = "a", start', 'partition = "linus", start', 34, "did you mean linux?"),
    ('length = "4ms"', 'length = "6ms"', 35, "overlaps that of line 34 on hart 3"),
    ('start = "5ms"', 'start = "8ms"', 35, "ends behind the frame of plan 'normal', which line 32 gives"),
    ('length = "4ms"', 'length = "0ms"', 34, "no length"),
    ('length = "4ms"', 'length = "10ns"', 34, "whole number of ticks"),
    ('length = "4ms"', 'length = "4 ms"', 34, "no unit that fits"),
    ("{ hart = 3, partition = \"a\"", "{ hart = 0, partition = \"linux\"", 34, "without a [[hart]] of mode"),
    ("{ hart = 3, partition = \"a\"", "{ hart = 3, harts = [3], partition = \"a\"", 34, "of one hart = N or of several"),
    ('  { hart = 3, partition = "a", start = "0ms", length = "4ms" },\n', "", 19, "vCPU 0 of 'a' gets no time: no plan has a window"),
    ('watchdog = "plan:safe"', "", 37, "nothing leads to plan 'safe'"),
    ('name = "safe"', 'name = "normal"', 37, "there is a plan 'normal' already, in line 30"),
    ("frame = \"10ms\"\nwindows = [{", "frame = \"0s\"\nwindows = [{", 37, "no length"),
    ("windows = [\n", "windows = [\n" + "".join(f'{{ hart = 3, partition = "a", start = "{n * 10 + 7600}us", length = "1us" }},\n' for n in range(32)), 66,
     "more than 32 windows"),
    # Channels
    ('from = "a"', 'from = "c"', 44, "'c' is no partition"),
    ('to = ["linux", "b"]', 'to = ["linux", "a"]', 45, "at both ends"),
    ('to = ["linux", "b"]', "to = []", 45, "leads to a partition"),
    ('kind = "sampling"', 'kind = "sample"', 46, "did you mean sampling?"),
    ('doorbell = "both"', 'doorbell = "one"', 47, "is no doorbell"),
    ('doorbell = "both"', "at = { c = 0x70000000 }", 47, "'c' is no partition of this channel"),
    ('doorbell = "both"', "at = { b = 0x80000000 }", 41, "channel 'telemetry' in 'b' overlaps memory of 'b' of line 25"),
    ('doorbell = "both"', "irq = { b = 3 }", 47, "nobody rings 'b'"),
    ('doorbell = "both"', "doorbell = true\nirq = { linux = 10 }", 48, "interrupt 10 of 'linux' is wanted by channel 'telemetry' and, in line 12, by serial@10000000"),
    ('doorbell = "both"', "doorbell = true\nirq = { linux = 64 }", 48, "out of range: 1 to 63"),
    ("", '[[channel]]\nname = "telemetry"\nsize = "4K"\nfrom = "a"\nto = "b"\n', 48, "a channel 'telemetry' already, in line 41"),
    # Devices of partitions for partitions
    ("", '[[virtio]]\npartition = "linux"\nservice = "linux"\n', 48, "cannot serve itself"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\nat = 0x10000000\n', 48, "device 'virtio@10000000' of 'linux' overlaps device 'serial@10000000'"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\nsize = "68K"\n', 48, "64K at most"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "gpu"\n', 51, "'gpu' is no virtio device"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "blk"\n', 48, "needs disk = { at, size }"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "net"\n', 48, "needs join = NAME"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "net"\njoin = "lan"\n', 48, "no other device of its kind is joined to 'lan'"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "console"\njoin = "x"\n' * 3, 48, "'x' joins 3 consoles"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\njoin = "lan"\n', 51, "is joined to others"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "console"\nreadonly = true\n', 52, "is a disk"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "blk"\ndisk = { at = 0x90000000, size = "1M" }\n', 48,
     "the disk at 0x90000000 is not in the memory of 'b' (line 25)"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\ndevice = "blk"\ndisk = { at = 0x80001000, size = "4K" }\n', 48,
     "the disk at 0x80001000 overlaps rt.bin of line 26"),
    ('image = "rt.bin"', 'image = "rt.bin"\nprogram = "virtio"', 22, "'image': one of both"),
    ('image = "rt.bin"', 'program = "vertio"', 21, "did you mean virtio?"),
    ("", '[[virtio]]\npartition = "linux"\nservice = "b"\nwindow = 0x80000000\n', 48, "the window to the memory of 'linux' in 'b' overlaps memory of 'b' of line 25"),
    # Room in the hypervisor
    ('size = "4M" }', 'size = "4M" }' + "".join(f", {{ at = {0x90000000 + n * 0x400000:#x}, size = \"4K\" }}" for n in range(62)), 41,
     "regions of memory and devices"),
    ('size = "4M" }', 'size = "4M" }' + "".join(f", {{ at = {0x90000000 + n * 0x40000000:#x}, size = \"4K\" }}" for n in range(50)), 5,
     "pages of tables, and the hypervisor has 96"),
]


def refuse(old, new, line, words):
    path = written(changed(old, new))
    refused(FAILED, "metal", "check", path, says=[f"{path}:{line}: ", words])


for number, (old, new, line, words) in enumerate(REFUSALS):
    tap.add(f"refused in line {line}: {words}", refuse, old, new, line, words)


PRIORITY = """\
[board]
harts = 1
memory = "64M"
[[partition]]
name = "a"
harts = [0, 0]
memory = [{ at = 0x80000000, size = "4M" }]
image = "rt.bin"
[[hart]]
number = 0
mode = "priority"
vcpus = [
  { partition = "a", vcpu = 0, priority = 5, budget = "1ms", period = "3ms" },
  { partition = "a", vcpu = 1, priority = 4, budget = "2ms", period = "3ms" },
]
"""
PRIORITY_REFUSALS = [
    ('budget = "2ms"', 'budget = "2001us"', 9, "the budgets on hart 0 come to 100.1 % of its time"),
    ('budget = "2ms"', 'budget = "4ms"', 14, "at most its period"),
    (', period = "3ms" },\n]', " },\n]", 14, "stand together"),
    ("vcpu = 1, ", "vcpu = 0, ", 14, "its priority already, by line 13"),
    ('  { partition = "a", vcpu = 1, priority = 4, budget = "2ms", period = "3ms" },\n', "", 6, "it is not among the vcpus of hart 0 (line 9)"),
    ("vcpu = 1, ", "", 14, "several vCPUs on hart 0"),
]


def refuse_priority(old, new, line, words):
    check(old in PRIORITY, f"{old!r} is not in the configuration that is changed")
    path = written(PRIORITY.replace(old, new, 1))
    refused(FAILED, "metal", "check", path, says=[f"{path}:{line}: ", words])


for old, new, line, words in PRIORITY_REFUSALS:
    tap.add(f"refused in line {line}: {words}", refuse_priority, old, new, line, words)


@test("budgets that fill a hart to the last part are taken")
def _():
    hart, = told(PRIORITY)["harts"]
    check_equal(hart["mode"], "priority")
    check_equal([(v["vcpu"], v["priority"], v["budget_ticks"], v["period_ticks"]) for v in hart["vcpus"]],
                [(0, 5, 10000, 30000), (1, 4, 20000, 30000)])


@test("a hart has no more vCPUs than guest interrupt files, with AIA")
def _():
    path = written(PRIORITY.replace("harts = 1", "harts = 1\naia = true"))
    refused(FAILED, "metal", "check", path, says=[f"{path}:7: ", "1 guest interrupt files", "aia-guests"])
    told(PRIORITY.replace("harts = 1", "harts = 1\naia = true\naia-guests = 2"))


@test("a configuration becomes what its golden file says")
def _():
    code, out, error = cosm("metal", "check", written(BASE))
    check_equal((code, error), (0, ""), "status and errors")
    # The size of the hypervisor, and what lies behind it up to the first 2 MiB, change with each version of it.
    shown = [line for line in out.splitlines() if "hypervisor and" not in line and "telemetry:" not in line and " KiB  free" not in line]
    want = (HERE / "plan.golden").read_text().splitlines()
    for line, wanted in zip(shown + [""] * len(want), want):
        check_equal(line, wanted, "a line")
    check_equal(len(shown), len(want), "the number of lines")


@test("memory is placed so that superpages serve, and nothing meets")
def _():
    board = told(BASE)
    for partition in board["partitions"]:
        for region in partition["regions"]:
            if region["kind"] == "memory" and region["bytes"] >= 2 << 20:
                check_equal((region["board"] - region["at"]) % (2 << 20), 0, f"the offset of {region}")
    pieces = sorted((p["base"], p["base"] + p["bytes"], p["what"]) for p in board["memory"])
    for one, other in zip(pieces, pieces[1:]):
        check(one[1] <= other[0], f"{one} meets {other}")
    telemetry = {r["board"] for p in board["partitions"] for r in p["regions"] if r["kind"] == "channel"}
    check_equal(len(telemetry), 1, "the places of the channel")


@test("memory for vectors is behind the core, if a partition may use them; others' device trees tell of none")
def _():
    def made(text, name):
        path = FOLDER / f"{name}.bin"
        check_equal(cosm("metal", "build", written(text), "-o", path)[0], 0, "status of 'cosm metal build'")
        return path.stat().st_size
    board = changed("harts = 4", "harts = 4\nvector = true")
    with_vectors = board.replace('image = "rt.bin"', 'image = "rt.bin"\nvector = true', 1)
    check_equal(made(board, "board"), made(BASE, "none"))
    check_equal(made(with_vectors, "vectors"), made(BASE, "none") + 5 * 8192)
    parts = told(with_vectors)["partitions"]
    check_equal([p["vector"] for p in parts], [False, True, False])
    long = with_vectors.replace("vector = true", 'isa = "rv64imafdcvh_zvl4096b_sstc"', 1)
    refused(FAILED, "metal", "check", written(long), says=["board.toml:23: ", "of 4096 bits are larger than the 2048 that are served"])
    check_equal(told(long.replace("4096", "2048"))["partitions"][1]["vector"], True)


@test("the hypervisor lies elsewhere if it is told to")
def _():
    low, high = told(BASE), told(changed("harts = 4", "harts = 4\nat = 0xbfe00000"))
    check_equal([p["what"] for p in high["memory"]][:2], ["firmware", "linux at 0x80000000"])
    check_equal(high["memory"][-1]["base"], 0xbfe00000)
    check_equal(low["memory"][1]["base"], 0x80200000)


def boards_of_qemu():
    for name, machine, cpu in (("plic", "virt", ""), ("aia", "virt,aia=aplic-imsic,aia-guests=3", ""),
                               ("vector", "virt", ",v=true,vext_spec=v1.0")):
        tree = FOLDER / f"{name}.dtb"
        done = subprocess.run(["qemu-system-riscv64", "-M", f"{machine},dumpdtb={tree}", "-cpu", f"rv64,h=true{cpu}", "-smp", "4", "-m", "1G",
                               "-nographic"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        check_equal(done.returncode, 0, done.stdout)
        yield name, tree


@test("the built-in board is the one that QEMU's device tree tells of")
def _():
    if not shutil.which("qemu-system-riscv64"):
        raise tap.Skip("no qemu-system-riscv64 here")
    rest = changed("[board]\nmachine = \"virt\"\nharts = 4\nmemory = \"1G\"\n", "")
    for name, tree in boards_of_qemu():
        own = 'machine = "virt"\nharts = 4\nmemory = "1G"\n' + {"aia": "aia = true\naia-guests = 3\n", "vector": "vector = true\n"}.get(name, "")
        built_in, read = told("[board]\n" + own + rest), told(f'[board]\ndtb = "{tree}"\n' + rest)
        check_equal(read["board"].pop("name"), tree.name)
        check_equal(built_in["board"].pop("name"), "virt")
        for part in ("board", "harts", "plans", "partitions"):
            left, right = built_in[part], read[part]
            if part == "partitions": # a tree of another board may have other properties of a device
                for p in left + right:
                    p.pop("images"), p.pop("device_tree")
            check_equal(read[part], built_in[part], part)


@test("the built-in IOMMU and PCI are those that the newest QEMU's device tree tells of", long=True)
def _():
    board = changed('devices = ["serial@10000000"]', 'devices = ["pci@30000000"]').replace("harts = 4", "harts = 4\niommu = true", 1)
    for aia in ("", "aia = true\naia-guests = 3\n"):
        tree = FOLDER / "iommu.dtb"
        machine = f"virt,iommu-sys=on{',aia=aplic-imsic,aia-guests=3' if aia else ''},dumpdtb={tree}"
        subprocess.run([*newest.qemu(), "-M", machine, "-cpu", "rv64,h=true", "-smp", "4", "-m", "1G", "-nographic", "-bios", "none"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
        own = board.replace('memory = "1G"\n', f'memory = "1G"\n{aia}', 1)
        read = '[board]\n' + f'dtb = "{tree}"\n' + own[own.index("[[partition]]"):]
        built_in, read = told(own), told(read)
        for key in ("iommu", "memory_base", "console"):
            check_equal(read["board"][key], built_in["board"][key], key)
        left, right = read["partitions"][0], built_in["partitions"][0]
        check_equal(left["interrupts"], right["interrupts"])
        devices, others = ([r for r in p["regions"] if r["kind"] == "device"] for p in (left, right))
        check_equal(devices, others)
        check_equal(len(devices), 4)


@test("a device tree that is cut anywhere is refused, and no more")
def _():
    if not shutil.which("qemu-system-riscv64"):
        raise tap.Skip("no qemu-system-riscv64 here")
    tree = next(boards_of_qemu())[1].read_bytes()
    tree = tree[:int.from_bytes(tree[4:8], "big")] # without the room behind it
    for size in range(1, len(tree), len(tree) // 40):
        (FOLDER / "cut.dtb").write_bytes(tree[:size])
        path = written(changed('machine = "virt"\nharts = 4\nmemory = "1G"\n', 'dtb = "cut.dtb"\n'))
        refused(FAILED, "metal", "check", path, says=[f"{path}:2: ", "no whole device tree"])


# A board like no other: harts from 1 on, one of them off, a bus that moves addresses, UARTs that share a page and a line,
# memory that firmware reserves, a clock with a node of its own.
ODD_BOARD = """/dts-v1/;
/ { #address-cells = <2>; #size-cells = <1>;
  aliases { serial0 = "/bus/uart@100"; };
  chosen { stdout-path = "serial0:115200n8"; };
  memory@40000000 { device_type = "memory"; reg = <0 0x40000000 0x10000000>; };
  reserved-memory { #address-cells = <2>; #size-cells = <1>; ranges;
    firmware@48000000 { reg = <0 0x48000000 0x100000>; no-map; }; };
  cpus { #address-cells = <1>; #size-cells = <0>; timebase-frequency = <1000000>;
    cpu@0 { device_type = "cpu"; reg = <0>; status = "disabled"; riscv,isa = "rv64imac";
      interrupt-controller { compatible = "riscv,cpu-intc"; interrupt-controller; #interrupt-cells = <1>; phandle = <10>; }; };
    cpu@1 { device_type = "cpu"; reg = <1>; riscv,isa = "rv64imafdch_sstc"; mmu-type = "riscv,sv39";
      interrupt-controller { compatible = "riscv,cpu-intc"; interrupt-controller; #interrupt-cells = <1>; phandle = <11>; }; };
    cpu@2 { device_type = "cpu"; reg = <2>; riscv,isa = "rv64imafdch_sstc"; mmu-type = "riscv,sv39";
      interrupt-controller { compatible = "riscv,cpu-intc"; interrupt-controller; #interrupt-cells = <1>; phandle = <12>; }; };
  };
  clock { compatible = "fixed-clock"; #clock-cells = <0>; clock-frequency = <24000000>; phandle = <30>; };
  bus { compatible = "simple-bus"; #address-cells = <1>; #size-cells = <1>; ranges = <0 0 0x10000000 0x100000>, <0x8000000 0 0xc000000 0x4000000>;
    interrupt-parent = <20>;
    plic: plic@8000000 { compatible = "riscv,plic0"; reg = <0x8000000 0x4000000>; interrupt-controller; #interrupt-cells = <1>; riscv,ndev = <127>;
      interrupts-extended = <&{/cpus/cpu@0/interrupt-controller} 11 &{/cpus/cpu@1/interrupt-controller} 11 &{/cpus/cpu@1/interrupt-controller} 9
                             &{/cpus/cpu@2/interrupt-controller} 11 &{/cpus/cpu@2/interrupt-controller} 9>; phandle = <20>; };
    uart@100 { compatible = "snps,dw-apb-uart"; reg = <0x100 0x100>; reg-shift = <2>; interrupts = <70>; clocks = <30>; };
    uart@200 { compatible = "snps,dw-apb-uart"; reg = <0x200 0x100>; reg-shift = <2>; interrupts = <70>; clocks = <30>; };
    uart@1000 { compatible = "snps,dw-apb-uart"; reg = <0x1000 0x100>; reg-shift = <2>; interrupts = <3>; clocks = <30>; };
    net@2000 { compatible = "acme,net"; reg = <0x2000 0x1000>, <0x4000 0x1000>; interrupts = <4>, <5>; };
    gpio@3000 { compatible = "sifive,gpio0"; reg = <0x3000 0x100>; interrupts-extended = <&plic 6>; };
    late@9000 { compatible = "sifive,gpio0"; reg = <0x9000 0x100>; status = "disabled"; };
    pci@5000 { compatible = "acme,pci"; reg = <0x5000 0x1000>; interrupt-map = <0>; };
    iommu@6000 { compatible = "riscv,iommu"; reg = <0x6000 0x1000>; interrupts = <7>; phandle = <40>; };
    dma@7000 { compatible = "acme,dma"; reg = <0x7000 0x1000>; interrupts = <8>; iommus = <40 5>; };
    dma@8000 { compatible = "acme,dma"; reg = <0x8000 0x1000>; interrupts = <9>; iommus = <40 6>; };
    dma@a000 { compatible = "acme,dma"; reg = <0xa000 0x1000>; interrupts = <7>; dma-coherent; };
  };
  pci@50000000 { compatible = "pci-host-ecam-generic"; device_type = "pci"; reg = <0 0x50000000 0x10000000>; bus-range = <0 255>;
    #address-cells = <3>; #size-cells = <2>; #interrupt-cells = <1>; iommu-map = <0 40 0x10000 0x10000>;
    ranges = <0x2000000 0 0x60000000 0 0x60000000 0 0x10000000>;
    interrupt-map-mask = <0x1800 0 0 7>; interrupt-map = <0 0 0 1 20 80>, <0 0 0 2 20 81>, <0x800 0 0 1 20 81>; };
};
"""
ODD = """\
[board]
dtb = "odd.dtb"
[[partition]]
name = "one"
harts = [1]
memory = [{ at = 0x0, size = "64M" }]
image = "rt.bin"
devices = [DEVICES]
dma = "trusted"
console = false
[[partition]]
name = "two"
harts = [2]
memory = [{ at = 0x40000000, size = "64M" }]
image = "rt.bin"
devices = [OTHERS]
"""


def odd(devices="", others="", board=ODD_BOARD):
    if not shutil.which("dtc"):
        raise tap.Skip("no dtc here")
    subprocess.run(["dtc", "-q", "-I", "dts", "-O", "dtb", "-o", FOLDER / "odd.dtb"], input=board.encode(), check=True)
    return ODD.replace("DEVICES", devices).replace("OTHERS", others)


@test("an odd board is read as its device tree means it")
def _():
    found = told(odd('"uart@1000", "net@2000", "gpio@3000"'))
    board = found["board"]
    check_equal((board["name"], board["harts"], board["memory_base"], board["memory_bytes"], board["timebase_hz"], board["plic"]),
                ("odd.dtb", 2, 0x40000000, 0x10000000, 1000000, 0xc000000))
    check_equal(board["console"], 0x10000100)
    check_equal([h["number"] for h in found["harts"]], [1, 2])
    one, two = found["partitions"]
    check_equal([(r["name"], r["at"]) for r in one["regions"] if r["kind"] == "device"],
                [("uart@1000", 0x10001000), ("net@2000", 0x10002000), ("gpio@3000", 0x10003000), ("net@2000", 0x10004000)])
    check_equal([(i["number"], i["board"], i["of"]) for i in one["interrupts"]],
                [(3, 3, "uart@1000"), (4, 4, "net@2000"), (5, 5, "net@2000"), (6, 6, "gpio@3000")])
    pieces = {p["what"]: p["base"] for p in found["memory"]}
    check_equal((pieces["one at 0x0"], pieces["reserved"], pieces["two at 0x40000000"]), (0x40400000, 0x48000000, 0x48200000))


@test("an instruction set may be told as a list of extensions, a frequency by two cells")
def _():
    board = ODD_BOARD.replace('riscv,isa = "rv64imafdch_sstc"', 'riscv,isa-base = "rv64i"; riscv,isa-extensions = "zicsr", "i", "m", "h", "sstc"')
    board = board.replace("timebase-frequency = <1000000>", "timebase-frequency = <0 2000000>")
    found = told(odd(board=board))["board"]
    check_equal((found["isa"], found["timebase_hz"]), ("rv64imh_zicsr_sstc", 2000000))


@test("what is behind the IOMMU can be given without trust; a PCI host brings its windows and wires along")
def _():
    one, two = told(odd(others='"pci@50000000"'))["partitions"]
    check_equal(one["interrupts"], [])
    check_equal([(r["at"], r["board"], r["bytes"]) for r in two["regions"] if r["kind"] == "device"],
                [(0x50000000, 0x50000000, 0x10000000), (0x60000000, 0x60000000, 0x10000000)])
    check_equal([(i["number"], i["board"], i["of"]) for i in two["interrupts"]], [(1, 80, "pci@50000000"), (2, 81, "pci@50000000")])
    told(odd(others='"dma@7000"'))


PCI_REFUSALS = [ # of the partition that is not trusted; what of the board is changed into what
    ("iommu-map = <0 40 0x10000 0x10000>;", "", "no IOMMU that would hold it"),
    ("iommu-map = <0 40 0x10000 0x10000>;", "iommu-map = <1 40 0x10001 0xffff>;", "no IOMMU that would hold it"),
    ("iommu-map = <0 40 0x10000 0x10000>;", "iommu-map = <0 40 0x10000 0xffff>;", "no IOMMU that would hold it"),
    ("iommu-map = <0 40 0x10000 0x10000>;", "iommu-map = <0 40 0x800 0x10000>;", "no IOMMU that would hold it"),
    ("iommu-map = <0 40 0x10000 0x10000>;", "iommu-map = <0 30 0x10000 0x10000>;", "no IOMMU that would hold it"),
    ("iommu-map = <0 40 0x10000 0x10000>;", "iommu-map = <0 40 0x10000 0x10000>; iommu-map-mask = <0xff>;", "no IOMMU that would hold it"),
    ('compatible = "riscv,iommu"', 'compatible = "acme,iommu"', "no IOMMU that would hold it"),
    ("0x60000000 0 0x60000000 0 0x10000000", "0x60000000 0 0x41000000 0 0x10000000", "has a range at 0x41000000 that overlaps memory"),
    ("20 81>, <0x800", "10 81>, <0x800", "an interrupt that does not come from the board's controller"),
    ("reg = <0 0x50000000 0x10000000>; bus", "reg = <0 0x50000000 0x1000>; bus", "configuration space beyond 64G, or not whole"),
    ('compatible = "pci-host-ecam-generic"', 'compatible = "acme,pci"', "no PCI host of the kind pci-host-ecam-generic"),
    ("ranges = <0x2000000", "x = <0x2000000", "no ranges with addresses of two cells"),
]


def refuse_pci(old, new, words):
    check(old in ODD_BOARD, f"{old!r} is not in the board that is changed")
    path = written(odd(others='"pci@50000000"', board=ODD_BOARD.replace(old, new)))
    refused(FAILED, "metal", "check", path, says=[f"{path}:16: ", words])


for number, (old, new, words) in enumerate(PCI_REFUSALS):
    tap.add(f"a PCI host is refused, {number}: {words}", refuse_pci, old, new, words)


BAD_BOARDS = [
    ("rv64imafdch_sstc", "rv64imafdc_sstc", "no hypervisor extension"),
    ("timebase-frequency = <1000000>;", "", "lacks the timebase's frequency"),
    ('device_type = "memory";', "", "no memory"),
    ('compatible = "riscv,plic0"', 'compatible = "acme,plic"', "neither a PLIC nor an APLIC"),
    ("&{/cpus/cpu@2/interrupt-controller} 9>", "&{/cpus/cpu@2/interrupt-controller} 11>", "does not reach hart 2 in S-mode"),
    ("<0 0x48000000 0x100000>", "<0 0x40200000 0x100000>", "overlaps memory that the board reserves at 0x40200000"),
]


def refuse_board(old, new, words):
    check(old in ODD_BOARD, f"{old!r} is not in the board that is changed")
    path = written(odd(board=ODD_BOARD.replace(old, new)))
    refused(FAILED, "metal", "check", path, says=[f"{path}:", words])


for old, new, words in BAD_BOARDS:
    tap.add(f"a board is refused: {words}", refuse_board, old, new, words)


@test("devices of one partition may share a page and an interrupt, and have the board's number if that is below 64")
def _():
    found = told(odd('"serial0", "uart@200"'))
    one, _ = found["partitions"]
    check_equal(found["board"]["console"], 0, "the hypervisor's console, given away")
    check_equal([(r["name"], r["at"], r["bytes"]) for r in one["regions"] if r["kind"] == "device"], [("uart@100", 0x10000000, 4096)])
    check_equal([(i["number"], i["board"]) for i in one["interrupts"]], [(1, 70)])


def refuse_odd(devices, others, line, words):
    path = written(odd(devices, others))
    refused(FAILED, "metal", "check", path, says=[f"{path}:{line}: ", words])


for devices, others, line, words in (
        ('"uart@200"', "", 8, "'uart@200' is in one page with 'uart@100', which the hypervisor keeps"),
        ('"uart@100"', '"uart@200"', 16, "interrupt 70 of 'uart@200' is that of 'uart@100', which line 8 gives away"),
        ('"pci@5000"', "", 8, "a bus with an interrupt map"),
        ('"late@9000"', "", 8, "cannot be given to a partition"),
        ('"plic@8000000"', "", 8, "cannot be given to a partition"),
        ('"net@2000"', '"serial0", "net@2000"', 16, "'net@2000' is given twice: 'one' has it by line 8"),
        ("", '"net@2000"', 16, "may reach all memory by DMA"),
        ('"/bus/gpio@3001"', "", 8, "no device '/bus/gpio@3001'"),
        ("", '"dma@7000", "dma@8000"', 16, "'dma@8000' is a second PCI host or device behind the IOMMU, after that of line 16"),
        ('"pci@50000000"', '"dma@7000"', 16, "'dma@7000' is a second PCI host or device behind the IOMMU, after that of line 8"),
        ('"dma@a000"', "", 8, "interrupt 7 of 'dma@a000' is that of the board's IOMMU"),
        ("", '"dma@a000"', 16, "no IOMMU that would hold it: it is not behind the one there is"),
        ('"iommu@6000"', "", 8, "cannot be given to a partition"),
        ('""', "", 8, "no device ''")):
    tap.add(f"refused on an odd board: {words}", refuse_odd, devices, others, line, words)


CORE = """
.section .text
.globl _start
_start: j _start
.section .config, "a"
.fill {bytes}, 1, 0
"""
SCRIPT = "ENTRY({entry}) SECTIONS {{ . = 0xffffffc000000000; .text : {{ *(.text*) }} .config : {{ KEEP(*(.config)) }} }}"


def core(name, config=None, entry="_start", section=".config"):
    """A core that has no more than a place for the configuration."""
    if not shutil.which("riscv64-linux-gnu-gcc"):
        raise tap.Skip("no riscv64-linux-gnu-gcc here")
    (FOLDER / "size.c").write_text('#include "metal/config.h"\nchar size[sizeof(struct metal_config)];\n')
    subprocess.run(["riscv64-linux-gnu-gcc", "-I", ROOT / "src", "-c", FOLDER / "size.c", "-o", FOLDER / "size.o"], check=True)
    symbols = subprocess.run(["riscv64-linux-gnu-nm", "-S", FOLDER / "size.o"], stdout=subprocess.PIPE, text=True, check=True).stdout
    size = int(symbols.split()[1], 16) if config is None else config
    (FOLDER / "core.S").write_text(CORE.format(bytes=size).replace(".config", section))
    (FOLDER / "core.ld").write_text(SCRIPT.format(entry=entry).replace(".config", section))
    subprocess.run(["riscv64-linux-gnu-gcc", "-nostdlib", "-static", "-Wl,--build-id=none", "-T", FOLDER / "core.ld", FOLDER / "core.S",
                    "-o", FOLDER / name], check=True)
    return FOLDER / name


@test("an image is its core, configuration and images, and the manifest tells of each")
def _():
    elf, image = core("core.elf"), FOLDER / "out.bin"
    code, out, error = cosm("metal", "build", written(BASE), "--core", elf, "-o", image)
    check_equal((code, error), (0, ""), "status and errors of 'cosm metal build'")
    check("0x80200000" in out, out)
    whole, first = image.read_bytes(), image.stat()
    check_equal(whole.count(b"COSMETAL"), 1, "configurations in the image")
    check_equal(whole.count((FOLDER / "rt.bin").read_bytes()), 1, "copies of an image that two have")
    check((FOLDER / "Image").read_bytes() in whole and (FOLDER / "initrd").read_bytes() in whole, "an image is missing")
    manifest = json.loads((FOLDER / "out.bin.json").read_text())
    sums = {p["name"]: p["checksums"][0]["checksumValue"] for p in manifest["packages"]}
    check_equal(sums["cosm-metal.bin"], hashlib.sha256(whole).hexdigest())
    for name in ("rt.bin", "Image", "initrd", "board.toml"):
        check_equal(sums[name], hashlib.sha256((FOLDER / name).read_bytes()).hexdigest(), name)
    cosm("metal", "build", FOLDER / "board.toml", "--core", elf, "-o", FOLDER / "again.bin")
    check_equal((FOLDER / "again.bin").read_bytes() == whole, True, "the same image made again")
    check_equal((FOLDER / "again.bin.json").read_bytes(), (FOLDER / "out.bin.json").read_bytes(), "its manifest")
    check_equal(first.st_size % 4096, 0)


@test("what is no core is refused")
def _():
    path = written(BASE)
    for name, says in ((core("small.elf", config=8), "of different versions"), (core("other.elf", section=".other"), "no section .config"),
                       (FOLDER / "rt.bin", "no ELF file for riscv64")):
        refused(FAILED, "metal", "build", path, "--core", name, "-o", FOLDER / "no.bin", says=[f"--core: '{name}' cannot be used", says])
    check(not (FOLDER / "no.bin").exists(), "an image was written")


@test("the command line is checked")
def _():
    refused(USAGE, "metal", says=["what is to be done?"])
    refused(USAGE, "metal", "bake", "x", says=["'bake' is nothing that cosm metal does"])
    refused(USAGE, "metal", "check", says=["usage: cosm metal check CONFIG"])
    refused(USAGE, "metal", "build", "--from", "x", says=["usage: cosm metal build CONFIG"])
    refused(FAILED, "metal", "check", FOLDER / "missing.toml", says=["does not exist"])


@test("each guest's device tree is well-formed and tells what the partition has")
def _():
    if not shutil.which("dtc"):
        raise tap.Skip("no dtc here")
    for aia in (False, True):
        text = changed("harts = 4", "harts = 4\naia = true\naia-guests = 3") if aia else BASE
        cosm("metal", "build", written(text), "--core", core("core.elf"), "-o", FOLDER / "out.bin")
        whole = (FOLDER / "out.bin").read_bytes()
        trees = {}
        at = whole.find(b"\xd0\x0d\xfe\xed")
        while at >= 0:
            size = int.from_bytes(whole[at + 4:at + 8], "big")
            done = subprocess.run(["dtc", "-I", "dtb", "-O", "dts"], input=whole[at:at + size], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, check=False)
            check_equal((done.returncode, done.stderr.decode()), (0, ""), "dtc's opinion")
            source = done.stdout.decode()
            trees[source.split('model = "cosm-metal,')[1].split('"')[0]] = source
            at = whole.find(b"\xd0\x0d\xfe\xed", at + size)
        check_equal(sorted(trees), ["a", "b", "linux"])
        linux = trees["linux"]
        for words in ("serial@10000000 {", 'bootargs = "console=hvc0"', "linux,initrd-start", 'stdout-path = "/soc/serial@10000000"',
                      "cpu@1 {", "channel@70000000 {", 'cosm,role = "reader"', "aplic@d000000 {" if aia else "plic@c000000 {"):
            check(words in linux, f"{words} is not in {linux}")
        check("rv64imafdc_" in linux and "_sstc" in linux, "the instruction set of the guest")
        check(("ssaia" in linux) == aia and "smaia" not in linux, "AIA among the extensions")
        check('cosm,role = "writer"' in trees["a"] and "cosm,doorbells = <0x02>" in trees["a"], trees["a"])
        check("initrd" not in trees["a"], trees["a"])
        check("fifo-size" in trees["a"] and "fifo-size" not in linux, "the emulated port is of who owns none")


@test("docs/metal.md has every key, and its example is taken")
def _():
    text = (ROOT / "docs" / "metal.md").read_text()
    keys = [key for path in sorted((ROOT / "src" / "plan").glob("read_*.c"))
            for key in re.findall(r'^ +\{"([a-z-]+)", KIND', path.read_text(), re.M)]
    check(len(keys) > 50, f"only {len(keys)} keys were found")
    for key in keys:
        check(re.search(rf"[`{{ ]{key}[`, =}}]", text), f"'{key}' is not told of")
    (FOLDER / "hello.bin").write_bytes(b"hello")
    example, *others = re.findall(r"^```toml\n(.*?)^```", text, re.M | re.S)
    served, = [text for text in others if "[[virtio]]" in text]
    passed, = [text for text in others if "iommu = true" in text]
    check_equal([p["name"] for p in told(example)["partitions"]], ["left", "right"])
    (FOLDER / "disk.img").write_bytes(bytes(4096))
    drivers = "".join(f'[[partition]]\nname = "{name}"\nharts = [{hart}]\nmemory = [{{ at = 0x80000000, size = "2M" }}]\nimage = "rt.bin"\n'
                      for hart, name in enumerate(["linux", "control"]))
    partitions = told('[board]\nmachine = "virt"\nharts = 3\nmemory = "64M"\n' + drivers + served)["partitions"]
    check_equal([p["name"] for p in partitions], ["linux", "control", "service"])
    (FOLDER / "initramfs.cpio").write_bytes(b"cpio")
    check_equal([p["name"] for p in told(passed)["partitions"]], ["linux"])


tap.main(sys.argv[1:])
