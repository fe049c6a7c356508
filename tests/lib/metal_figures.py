# SPDX-License-Identifier: BSD-2-Clause
"""Figures of cosm-metal in instructions: QEMU's -icount makes them the same in every run."""

import re
import subprocess

import metal
from world import ROOT

GUESTS = ROOT / "tests" / "metal"
BASE = 0xffffffc000000000  # the hypervisor, as it is linked
TICK = 100  # instructions a tick of the board's 10 MHz, with one a nanosecond


def last_line(config, programs, name, pattern, intc="plic"):
    kernel = metal.image(config, programs, f"{name}-board")
    with metal.board(kernel, intc=intc, icount=metal.COUNTED) as console:
        return metal.until(console, [pattern])


def costs(intc):
    """What traps cost: {name: the most}."""
    program = metal.guest(GUESTS / "costs.c", name=f"costs-{intc}")
    config = metal.config([metal.partition("costs", "[0, 1]", program)], intc=intc)
    out = last_line(config, [program], f"costs-{intc}", r"costs: done", intc)
    return {name: int(most) for name, most in re.findall(r"cost: (\S+) \d+ \d+ (\d+)", out)}


def jitter(intc):
    """The spread of a window's beginnings, its neighbour leaving ever other state behind."""
    program = metal.guest(GUESTS / "windows.c", name=f"windows-{intc}")
    noise = metal.guest(GUESTS / "noise.c", name=f"noise-{intc}")
    plan = """
[[hart]]
number = 0
mode = "cyclic"
[[plan]]
name = "normal"
frame = "1ms"
windows = [{ hart = 0, partition = "noise", start = "0ms", length = "600us" },
           { hart = 0, partition = "windows", start = "600us", length = "400us" }]
"""
    config = metal.config([metal.partition("windows", "[0]", program), metal.partition("noise", "[0]", noise)],
                          intc=intc, more=plan)
    out = last_line(config, [program, noise], f"windows-{intc}", r"windows: jitter \d+ of", intc)
    return int(re.search(r"windows: jitter (\d+)", out)[1])


def restart(kind):
    """Instructions from a crash to the first of the partition's again, at most; kind: restart (cold) or warm."""
    program = metal.guest(GUESTS / "again.c", name=f"again-{kind}")
    channel = """
[[channel]]
name = "note"
kind = "memory"
size = "4K"
from = "again"
to = "other"
at = { again = 0x70000000, other = 0x70000000 }
"""
    config = metal.config([metal.partition("again", "[0]", program, size="256K", health=f'memory = "{kind}"'),
                           metal.partition("other", "[1]", program, size="256K", extra="start = false")], more=channel)
    out = last_line(config, [program], f"again-{kind}", r"again: .* ticks")
    return int(re.search(r"longest took (\d+) ticks", out)[1]) * TICK


def symbols(core, *names):
    """(first, end) of functions of the core."""
    listing = subprocess.run(["riscv64-linux-gnu-nm", "-n", core], stdout=subprocess.PIPE, text=True, check=True).stdout
    found = [(int(line.split()[0], 16), line.split()[2]) for line in listing.splitlines() if " t " in line.lower()]
    return [(at, end) for (at, name), (end, _) in zip(found, found[1:]) if name in names]


def boot(core):
    """Instructions of the hypervisor from its entry to the first partition's first, without those of SHA-256."""
    program = metal.guest(GUESTS / "again.c", name="boot")
    config = metal.config([metal.partition("again", "[0]", program, size="256K", health='memory = "stop"')], harts=1)
    kernel = metal.image(config, [program], "boot-board")
    hashing = symbols(core, "compress", "sha256_init", "sha256_update", "sha256_final")
    trap = symbols(core, "trap_entry")[0][0]
    log = kernel.parent / "log"
    with metal.board(kernel, harts=1, icount=metal.COUNTED,
                     extra=["-singlestep", "-d", "exec,nochain", "-dfilter", f"{BASE:#x}+0x200000,0x80400000+0x100", "-D", log]) as console:
        metal.until(console, [r"\[metal\] again: memory"])
    count = 0
    for pc in re.finditer(r"/([0-9a-f]{16})/", log.read_text()):
        at = int(pc[1], 16)
        if at == trap:
            return count
        count += not any(first <= at < end for first, end in hashing)
    raise AssertionError("the partition never trapped")
