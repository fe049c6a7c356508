#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The tables that a running board uses, read from outside by a debugger and walked: what each partition and the hypervisor
itself can reach. Sv39 and Sv39x4: RISC-V Privileged Architecture."""

import pathlib
import re
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

RAM, MEMORY = 0x80000000, 128 << 20
R, W, X, U = 2, 4, 8, 16

# Three partitions; two share hart 0, which is idle for most of a frame; a channel of two pages between two of them.
CONFIG = """
[board]
machine = "virt"
harts = 2
memory = "128M"
""" + metal.partition("sensor", [0], pathlib.Path("noisy")) + metal.partition("control", [1], pathlib.Path("noisy")) + \
    metal.partition("other", [0], pathlib.Path("noisy"), size="5M") + """
[[channel]]
name = "speed"
kind = "sampling"
size = "4K"
from = "sensor"
to = "control"
at = { sensor = 0x70000000, control = 0x70000000 }

[[channel]]
name = "orders"
kind = "queuing"
size = "4K"
from = "control"
to = "sensor"
at = { sensor = 0x70001000, control = 0x70001000 }
doorbell = true
irq = { sensor = 5 }

[[hart]]
number = 0
mode = "cyclic"

[[plan]]
name = "normal"
frame = "10ms"
windows = [
    { hart = 0, partition = "sensor", start = "0ms", length = "2ms" },
    { hart = 0, partition = "other", start = "2ms", length = "2ms" },
]
"""


class Board:
    """A board's RAM at one moment, and the roots that its harts used: {VMID: hgatp}, satp."""

    def __init__(self, partitions):
        metal.need("gdb-multiarch")
        programs = [metal.guest(metal.EXAMPLES / name) for name in ("noisy/noisy.c",)]
        socket, dump = metal.FOLDER / "gdb", metal.FOLDER / "ram"
        self.hgatp, self.satp = {}, 0
        with metal.board(metal.image(CONFIG, programs, "isolation"), memory="128M", extra=["-gdb", f"unix:{socket},server,nowait"]) as c:
            metal.until(c, [rf"{name}\] noise \d*00000" for name in ("sensor", "control", "other")])
            deadline = time.monotonic() + metal.SECONDS
            while len(self.hgatp) < partitions or not self.satp:
                tap.check(time.monotonic() < deadline, f"seen: hgatp of {sorted(self.hgatp)}, satp {self.satp:#x}")
                self.look(socket, f'pmemsave {RAM:#x} {MEMORY:#x} "{dump}"')
        tap.check(dump.exists(), f"no dump of RAM: {self.said[-800:]}")
        self.ram = dump.read_bytes()

    def look(self, socket, command):
        """Stops the board for a moment."""
        done = subprocess.run(["gdb-multiarch", "-nx", "-batch", "-ex", "set architecture riscv:rv64", "-ex", f"target remote {socket}",
                               "-ex", "thread apply all -q p/x $hgatp", "-ex", "thread apply all -q p/x $satp",
                               "-ex", f"monitor {command}", "-ex", "detach"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = done.stdout
        values = [int(word, 16) for word in re.findall(r"\$\d+ = (0x[0-9a-f]+)", done.stdout)]
        tap.check(len(values) == 4, done.stdout)
        for hgatp in values[:2]:
            if hgatp:
                self.hgatp[hgatp >> 44 & 0x3FFF] = hgatp
        # The guests here translate nothing themselves: a satp is the hypervisor's, of a hart that is in it.
        self.satp = max(self.satp, *values[2:])

    def entry(self, table, index):
        at = table + 8 * index - RAM
        tap.check(0 <= at < len(self.ram), f"a table at {table:#x} is not in RAM")
        return int.from_bytes(self.ram[at:at + 8], "little")

    def leaves(self, table, level=2, base=0, count=2048):
        """(virtual address, physical address, bytes, bits) of all that is mapped."""
        for index in range(count):
            entry = self.entry(table, index)
            size, address = 4096 << 9 * level, entry >> 10 << 12 & (1 << 56) - 1
            if not entry & 1:
                tap.check(entry == 0, f"an entry that is not valid holds {entry:#x}")
            elif entry & (R | W | X):
                tap.check(address % size == 0, f"a superpage at {address:#x} is misaligned")
                yield base + index * size, address, size, entry
            else:
                tap.check(level > 0, f"a pointer {entry:#x} at the last level")
                yield from self.leaves(address, level - 1, base + index * size, 512)

    def of(self, root, count=2048):
        tap.check(root >> 60 == 8, f"{root:#x} is not Sv39")
        return list(self.leaves((root & (1 << 44) - 1) << 12, count=count))


_board = []


def board():
    if not _board:
        _board.append(Board(3))
    return _board[0]


def partitions():
    """Leaves of each partition by VMID."""
    return {vmid: board().of(hgatp) for vmid, hgatp in sorted(board().hgatp.items())}


def common(one, other):
    """Physical ranges that both reach."""
    return sorted((max(a, b), min(a + m, b + n)) for _, a, m, _ in one for _, b, n, _ in other if max(a, b) < min(a + m, b + n))


@tap.test("partitions share the declared channels, two pages, and not a byte else")
def _():
    maps = list(partitions().values())
    tap.check(len(maps) == 3, f"{len(maps)} partitions")
    sizes = [[sum(end - start for start, end in common(maps[a], maps[b])) for b in range(3) if b > a] for a in range(3)]
    tap.check_equal(sizes, [[8192, 0], [0], []], "bytes that partitions share")
    shared = common(maps[0], maps[1])
    for leaves in maps[:2]:
        channel = sorted(gpa for gpa, at, size, _ in leaves for start, end in shared if at < end and start < at + size)
        tap.check_equal(channel, [0x70000000, 0x70001000], "gpa of channels")
        tap.check(not any(bits & X for gpa, _, _, bits in leaves if gpa in channel), "a channel is executable")


@tap.test("each partition has its memory, of the size that it was given, for itself")
def _():
    for leaves, size in zip(partitions().values(), (2 << 20, 2 << 20, 5 << 20)):
        mine = sum(n for gpa, _, n, _ in leaves if 0x80000000 <= gpa < 0x80000000 + size)
        tap.check_equal(mine, size, "bytes of memory")
        tap.check(all(bits & U for *_, bits in leaves), "a leaf that no guest can use")
        beyond = [hex(gpa) for gpa, _, _, _ in leaves if not (0x80000000 <= gpa < 0x80000000 + size or gpa in (0x70000000, 0x70001000))]
        tap.check(not beyond, f"mapped, but not configured: {beyond}")


@tap.test("in the hypervisor's own map nothing writable is executable, and nothing is a guest's or for user mode")
def _():
    own = board().of(board().satp, count=512)
    tap.check(any(bits & X for *_, bits in own) and any(bits & W for *_, bits in own), "no code, or no data")
    both = [hex(at) for at, _, _, bits in own if bits & W and bits & X]
    tap.check(not both, f"writable and executable: {both}")
    tap.check(not any(bits & U for *_, bits in own), "a leaf for user mode")


@tap.test("no partition's memory is in the hypervisor's map, and the hypervisor in no partition's")
def _():
    own = board().of(board().satp, count=512)
    for vmid, leaves in partitions().items():
        ram = [leaf for leaf in leaves if leaf[1] >= RAM]
        shared = common(own, ram)
        tap.check(not shared, f"both reach, of partition {vmid}: {[(hex(a), hex(b)) for a, b in shared]}")
    tables = [(root & (1 << 44) - 1) << 12 for root in [*board().hgatp.values(), board().satp]]
    for vmid, leaves in partitions().items():
        tap.check(not any(at <= table < at + size for table in tables for _, at, size, _ in leaves), f"partition {vmid} reaches a table")


tap.main(sys.argv[1:])
