#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What calls cost a guest, in instructions, counted by QEMU: no more than the table says.

Bao 2.0 on the same board: SBI base 239, set_timer 236, a read of the emulated PLIC 292, a remote fence 1,417, an IPI 2,019.
"""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

# The most that any call may take.
MOST = {"base": 120, "set_timer": 120, "stimecmp": 10, "hypercall": 200, "controller": 150, "rfence-self": 1000, "ipi-sent": 1000}


def costs(intc):
    program = metal.guest(HERE / "costs.c")
    config = metal.config([metal.partition("costs", [0, 1], program)], intc=intc)
    output = metal.boot(config, [program], f"costs-{intc}", [r"costs\] costs: done"], memory="64M", intc=intc,
                        icount=metal.COUNTED)
    tap.check("costs in instructions" in output, output[-2000:])
    found = {name: (int(least), int(median), int(most))
             for name, least, median, most in re.findall(r"cost: (\S+) (\d+) (\d+) (\d+)", output)}
    for name, (least, median, most) in found.items():
        tap.say(f"{name}: {least} to {most}, median {median}" + (f", limit {MOST[name]}" if name in MOST else ""))
    for name, limit in MOST.items():
        tap.check(name in found, f"{name} was not measured")
        tap.check(found[name][2] <= limit, f"{name} took {found[name][2]} instructions, more than {limit}")


def fence(intc, most):
    """A fence of another hart: in short turns, as harts do not run at once and the hypervisor waits for the other one.
    The sender is the later of the harts, as the earlier has the first turn. What a turn adds is least in the least."""
    program = metal.guest(HERE / "costs.c", name="fence", defines=["COSTS_FENCE"])
    config = metal.config([metal.partition("costs", [1, 0], program)], intc=intc)
    output = metal.boot(config, [program], f"fence-{intc}", [r"costs\] costs: done"], memory="64M", intc=intc,
                        icount=metal.COUNTED, extra=metal.SHORT_TURNS)
    least = int(re.search(r"cost: rfence-other (\d+)", output)[1])
    tap.say(f"a fence of another hart: {least} instructions, limit {most}")
    tap.check(least <= most, f"a fence of another hart took {least} instructions, more than {most}")


SSWI = "virt,aclint=on"  # a PLIC, and a device by which S-mode raises software interrupts


def sswi_board(name, defines, harts, extra=()):
    """Output of costs.c on a board that is known by its own device tree."""
    tree = metal.FOLDER / "sswi.dtb"
    subprocess.run([metal.QEMU, "-M", f"{SSWI},dumpdtb={tree}", "-cpu", "rv64,h=true", "-smp", "2", "-m", "64M", "-nographic"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    program = metal.guest(HERE / "costs.c", name=f"{name}-program", defines=defines)
    config = '[board]\ndtb = "sswi.dtb"\n' + metal.partition("costs", harts, program)
    return metal.boot(config, [program, tree], name, [r"costs\] costs: done"], memory="64M", icount=metal.COUNTED,
                      extra=["-M", SSWI, *extra])


def sswi():
    """Kicks without firmware: another hart's attention costs a store."""
    output = sswi_board("sswi", [], [0, 1])
    sent, back = (int(re.search(rf"cost: {name} \d+ \d+ (\d+)", output)[1]) for name in ("ipi-sent", "ipi-back"))
    output = sswi_board("sswi-fence", ["COSTS_FENCE=1"], [1, 0], metal.SHORT_TURNS)
    least = int(re.search(r"cost: rfence-other (\d+)", output)[1])
    tap.say(f"an IPI sent: {sent}, limit 400; there and back: {back}, limit 1500; a fence of another hart: {least}, limit 1000")
    tap.check(sent <= 400 and back <= 1500 and least <= 1000, "kicks take more")


def vdev(intc, read, notify):
    """Registers of a device that another partition answers: with all that its service, a hart of its own, does for it."""
    programs = [metal.guest(HERE / "costs.c"), metal.guest(HERE / "answerer.c")]
    config = metal.config([metal.partition("costs", [0], programs[0]), metal.partition("answerer", [1], programs[1])], intc=intc,
                          more='[[virtio]]\npartition = "costs"\nservice = "answerer"\n')
    output = metal.boot(config, programs, f"vdev-{intc}", [r"costs\] costs: done"], memory="64M", intc=intc, icount=metal.COUNTED)
    for name, limit in [("read", read), ("notify", notify)]:
        least, median, most = (int(n) for n in re.search(rf"cost: vdev-{name} (\d+) (\d+) (\d+)", output).groups())
        tap.say(f"a {name} of a served device: {least} to {most} instructions, median {median}, limit of the median {limit}")
        tap.check(median <= limit, f"a {name} of a served device took {median} instructions, more than {limit}")


for machine in metal.MACHINES:
    tap.add(f"calls of a guest, {machine}", costs, machine)
# With a PLIC the kick goes through the firmware.
tap.add("a fence of another hart, plic", fence, "plic", 1500)
tap.add("a fence of another hart, aia", fence, "aia", 700)
tap.add("kicks by a store, sswi", sswi)
tap.add("a served device, plic", vdev, "plic", 7000, 600)
tap.add("a served device, aia", vdev, "aia", 3500, 600)
tap.main(sys.argv[1:])
