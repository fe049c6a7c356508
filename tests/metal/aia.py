#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Interrupts of partitions on boards with the Advanced Interrupt Architecture: guest files, APLIC, doorbells."""

import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

CLOCK = 'devices = ["rtc@101000"]'
COUNT = 1000
GUESTS_OWN = {"vs_software", "vs_timer", "vs_external"}  # interrupts that hardware delivers to VS-mode


BOARD = {"intc": "aia", "memory": "64M"}


def hypervisor_entries(log):
    """Traps in QEMU's log of interrupts, each as its description, but for those that are the guest's own affair; exceptions
    that the hypervisor delegates do not occur in these programs."""
    traps = re.findall(r"async:\d, cause:[0-9a-f]+, .*desc=(\w+)", log)
    return [trap for trap in traps if trap not in GUESTS_OWN]


@tap.test(f"{COUNT} messages between two harts, there and back, and {COUNT} wired interrupts: the hypervisor is not entered")
def _():
    program = metal.guest(HERE / "msi.c", defines=[f"MSI_COUNT={COUNT}"])
    log = metal.FOLDER / "traps"
    output = metal.boot(metal.config([metal.partition("msi", [0, 1], program, extra=CLOCK)], intc="aia"), [program], "msi",
                        [r"msi\] done"], icount=metal.COUNTED, extra=["-d", "int", "-D", log], **BOARD)
    said = metal.said(output, "msi")
    tap.check_equal(said, ["begin", "end", f"messages: fine, {COUNT} there, {COUNT} back", f"wired: fine, {COUNT}",
                           "level: 3 of 3, input 0", "off: 3 of 3, input 1", "done"], "what the guest says")
    text = log.read_text()
    taken = text.count("desc=vs_external")
    tap.check(taken >= 2 * COUNT, f"{taken} interrupts were taken")
    # All of them lie between two calls, those that print "begin" and "end".
    lines = text.splitlines()
    calls = [at for at, line in enumerate(lines) if "desc=hypervisor_ecall" in line]
    start, end = max(zip(calls, calls[1:]), key=lambda pair: pair[1] - pair[0])
    tap.check_equal(hypervisor_entries("\n".join(lines[start + 1:end])), [], "entries to the hypervisor meanwhile")
    tap.check(end - start > 2 * COUNT, f"{end - start - 1} interrupts between two calls")


CHANNEL = """
[[channel]]
name = "bell"
kind = "memory"
size = "4K"
from = "ringer"
to = "sleeper"
doorbell = "both"
"""
SHARED = {
    "exclusive": "",
    "priority": """
[[hart]]
number = 1
mode = "priority"
vcpus = [{ partition = "sleeper", priority = 2 }, { partition = "busy", priority = 1 }]
""",
    "cyclic": """
[[hart]]
number = 1
mode = "cyclic"
[[plan]]
name = "normal"
frame = "2ms"
windows = [
    { hart = 1, partition = "sleeper", start = "0ms", length = "1ms" },
    { hart = 1, partition = "busy", start = "1ms", length = "1ms" },
]
""",
}


def wake(mode, suspend):
    program = metal.guest(HERE / "wake.c", f"wake{suspend}", defines=["WAKE_SUSPEND"] if suspend else [])
    partitions = [metal.partition("ringer", [0], program), metal.partition("sleeper", [1], program)]
    if mode != "exclusive":
        partitions.append(metal.partition("busy", [1], program))
    output = metal.boot(metal.config(partitions, intc="aia", more=CHANNEL + SHARED[mode]), [program], f"wake-{mode}",
                        [r"ringer\] rung back \d+ times", r"sleeper\] woken \d+ times"], icount=metal.FASTER,
                        **BOARD)
    tap.check("rung back 20 times" in output and "woken 20 times" in output, output[-2000:])


for mode in SHARED:
    for suspend in [False, True]:
        how = "SBI suspend" if suspend else "WFI"
        tap.add(f"doorbells end a sleep by {how} on a hart with {mode} use", wake, mode, suspend)


def nap(intc):
    sleeper, busy = metal.guest(HERE / "nap.c"), metal.guest(HERE / "wake.c")
    partitions = [metal.partition("sleeper", [1], sleeper), metal.partition("busy", [1], busy)]
    output = metal.boot(metal.config(partitions, intc=intc, more=SHARED["cyclic"]), [sleeper, busy], f"nap-{intc}",
                        [r"at worst \d+ us late"], icount=metal.FASTER, **{**BOARD, "intc": intc})
    late = int(re.search(r"at worst (\d+) us late", output)[1])
    tap.check(late < 100, f"{late} us late")


for controller in metal.MACHINES:
    tap.add(f"a timer ends a sleep within the window in which it is due, with {controller}", nap, controller)


@tap.test("a partition that restarts finds its interrupt files and its APLIC as at first, and its device's line is silent")
def _():
    program = metal.guest(HERE / "anew.c")
    output = metal.boot(metal.config([metal.partition("anew", [0, 1], program, extra=CLOCK)], intc="aia"), [program], "anew",
                        [r"are not as at first"], **BOARD)
    tap.check_equal(metal.said(output, "anew"), ["life 5: 0 are not as at first"], "what the guest says")


def example(name, programs, patterns):
    """An example as it is, on a board with AIA."""
    text = (metal.EXAMPLES / name / f"{name}.toml").read_text()
    text = text.replace('machine = "virt"\n', 'machine = "virt"\naia = true\naia-guests = 3\n')
    built = [metal.guest(metal.EXAMPLES / program) for program in programs]
    return metal.boot(text, built, f"{name}-aia", patterns, icount=metal.COUNTED, **BOARD)


@tap.test("ipc: samples one way, orders with a doorbell the other way")
def _():
    output = example("ipc", ["ipc/sensor.c", "ipc/control.c"], [r"control\] the speed is", r"sensor\] 100 samples"])
    tap.check(re.search(r"100 samples, (8|9) orders taken, speed 12(00|25)", output), output[-2000:])


def board_without_console(folder):
    """QEMU's own device tree, in which no UART is the hypervisor's."""
    metal.need("fdtput", metal.QEMU)
    tree = folder / "board.dtb"
    subprocess.run([metal.QEMU, "-M", f"{metal.MACHINES['aia']},dumpdtb={tree}", "-cpu", "rv64,h=true", "-smp", "2", "-m", "1G",
                    "-nographic"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    subprocess.run(["fdtput", "-d", tree, "/chosen", "stdout-path"], check=True)
    return tree


LINUX = """
[board]
dtb = "board.dtb"

[[partition]]
name = "linux"
harts = [0, 1]
memory = [{ at = 0x80000000, size = "256M" }]
kernel = "Image"
initrd = "initramfs.cpio"
append = "console=ttyS0"
devices = ["serial@10000000", "rtc@101000"]
"""


@tap.test("Debian's Linux: two harts, IPIs and the UART's interrupts by messages", long=True)
def _():
    linux = metal.obtain("linux", "sid")
    files = [board_without_console(metal.FOLDER), linux / "Image", linux / "initramfs.cpio"]
    with metal.board(metal.image(LINUX, files, "linux"), intc="aia", memory="1G") as console:
        console.expect("cosm: shell ready", 600)
        console.expect("~ # ", 60)
        output = console.run("cat /proc/interrupts; nproc")
    tap.check(re.search(r"^2\r*$", output, re.M), output[-2000:])
    line = re.search(r"(\d+) +(\d+) +APLIC-MSI-\S+ +10 Level +\S+ +ttyS0", output)
    tap.check(line and int(line[1]) + int(line[2]) > 10, output[-2000:])
    ipis = re.search(r"IPI0: +(\d+) +(\d+) +Rescheduling", output)
    tap.check(ipis and int(ipis[1]) and int(ipis[2]), output[-2000:])


tap.main(sys.argv[1:])
