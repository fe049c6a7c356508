#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The examples of cosm-metal: each is built and runs as its comments say."""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

LINUX_SECONDS = 900


def example(name, programs, patterns, files=(), seconds=metal.SECONDS, **options):
    built = [metal.guest(metal.EXAMPLES / program) for program in programs]
    return metal.boot(metal.EXAMPLES / name / f"{name}.toml", [*built, *files], name, patterns, seconds, **options)


def two(bios):
    output = example("two", ["two/hello.c"], [r"left\] done", r"right\] done"], memory="64M", bios=bios)
    for index, name in enumerate(["left", "right"]):
        tap.check_equal(metal.said(output, name)[1:], [f"tick {n}" for n in range(1, 6)] + ["done"], f"what {name} says")
        tap.check(f"partition {index} starts" in metal.said(output, name)[0], output[-2000:])


for firmware in metal.FIRMWARES:
    tap.add(f"two: partitions beside each other, under the OpenSBI of {firmware}", two, firmware)


@tap.test("noisy: a neighbour's noise delays no tick")
def _():
    output = example("noisy", ["cyclic/ticker.c", "noisy/noisy.c"], [r"ticker\] 2\d\d ticks", r"noise 0"], memory="64M",
                     icount=metal.FASTER)
    late = [int(n) for n in re.findall(r"ticker\] \d+ ticks, at most (\d+) us late", output)]
    tap.check(max(late) < 1000, f"ticks are late by {late} us")


@tap.test("restart: a partition that crashes starts again, five times, beside one that ticks on")
def _():
    output = example("restart", ["cyclic/ticker.c", "restart/crasher.c"], [r"crasher: .*stopped", r"ticker\] 400 ticks"],
                     memory="64M")
    tap.check_equal(metal.said(output, "crasher"), [f"life {n} begins" for n in range(1, 7)], "what crasher says")


@tap.test("ipc: samples one way, orders with a doorbell the other way")
def _():
    output = example("ipc", ["ipc/sensor.c", "ipc/control.c"], [r"control\] the speed is", r"sensor\] 100 samples"],
                     memory="64M", icount=metal.COUNTED)
    tap.check("[control] the speed is 1200" in output, output[-2000:])
    tap.check(re.search(r"100 samples, (8|9) orders taken, speed 12(00|25)", output), output[-2000:])


@tap.test("uboot: Debian's U-Boot, as it is, to its prompt and off")
def _():
    program = metal.obtain("firmware", "sid") / "u-boot-s.bin"
    kernel = metal.image(metal.EXAMPLES / "uboot" / "uboot.toml", [program], "uboot")
    with metal.board(kernel, memory="512M") as console:
        console.expect(r"Model: cosm-metal,uboot", metal.SECONDS)
        console.expect(r"DRAM:  128 MiB", metal.SECONDS)
        console.expect(r"Hit any key", metal.SECONDS)
        console.send(" ")
        console.expect(r"=> ", metal.SECONDS)
        console.send("setexpr n 6 * 7; echo n is 0x${n}\r")
        console.expect(r"n is 0x2a", metal.SECONDS)
        console.send("poweroff\r")
        tap.check_equal(console.wait(metal.SECONDS), 0, "QEMU's status")
        tap.check("[metal] uboot: shutdown at 0x0: stopped" in console.output, console.tail())


@tap.test("cyclic: Linux and a ticker share a hart", long=True)
def _():
    linux = metal.obtain("linux", "trixie")
    output = example("cyclic", ["cyclic/ticker.c"], [r"linux\] .*Linux is alive", r"ticker\] 300 ticks"],
                     [linux / "Image", linux / "initramfs.cpio"], LINUX_SECONDS, memory="1G", icount=metal.FASTER)
    late = [int(n) for n in re.findall(r"ticker\] \d+ ticks, at most (\d+) us late", output)]
    tap.check(max(late) < 10000, f"ticks are late by {late} us")


tap.main(sys.argv[1:])
