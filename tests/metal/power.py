#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""What becomes of a board whose partitions have all stopped: it is off, begins anew or stays on, as the configuration says."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402

STOPPED = "[metal] all partitions have stopped"


def last(name, intc, then=None):
    """A board of two partitions: the first one starts the other once more, stops, then that one does."""
    program = metal.guest(HERE / "last.c")
    config = metal.config([metal.partition("first", "[0]", program, extra='may = ["control"]'),
                           metal.partition("second", "[1]", program)], intc=intc)
    if then:
        config = config.replace("[board]\n", f'[board]\nwhen-all-stopped = "{then}"\n')
    return metal.image(config, [program], name)


def off(intc):
    output = metal.run(last(f"off-{intc}", intc), intc=intc)
    lines = output[output.index("[metal]"):].splitlines()
    tap.check_equal(metal.said(output, "first"), ["the other has stopped", "started: 0", "the last words"], "the first")
    tap.check_equal(metal.said(output, "second")[-1][-14:], "the last words", "the end of the second")
    tap.check_equal((lines[-1], lines.count(STOPPED)), (STOPPED, 1), f"the last line of\n{output}")


for machine in metal.MACHINES:
    tap.add(f"off, once who may start others has stopped, too, {machine}", off, machine)


@tap.test("reboot: firmware and partitions begin anew")
def _():
    metal.need_qemu()  # its firmware says that it begins
    with metal.board(last("reboot", "plic", "reboot")) as console:
        output = metal.until(console, [r"(?s:stopped.*OpenSBI v.*all partitions have stopped)"])
    tap.check_equal(metal.said(output, "first").count("started: 0"), 2, "lives of the first")


@tap.test("stay: on, with harts that sleep")
def _():
    metal.need_qemu()  # its monitor tells
    with metal.board(last("stay", "plic", "stay")) as console:
        metal.until(console, [r"all partitions have stopped"])
        before = console.cpu_seconds()
        console.send("\x01cinfo status\r")
        console.expect("VM status: running", metal.SECONDS)
        metal.until(console, [r"VM status"], 1)
        console.read(1)
        tap.check(console.cpu_seconds() - before < 1, "the harts are awake")


@tap.test("off, if no partition could be started at all")
def _():
    program = metal.guest(HERE / "last.c")
    kernel = metal.image(metal.config([metal.partition("only", "[0]", program)]), [program], "broken")
    code = program.with_suffix(".bin").read_bytes()
    image = bytearray(kernel.read_bytes())
    at = image.rindex(code[:256])
    image[at + 300] ^= 1
    broken = kernel.with_name("broken.bin")
    broken.write_bytes(image)
    output = metal.run(broken)
    tap.check_equal(output[output.index("[metal]"):].splitlines(), ["[metal] only: image at 0x0: stopped", STOPPED], "the lines")


tap.main(sys.argv[1:])
