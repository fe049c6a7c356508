#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The guest runtime of examples/metal on a whole board under OpenSBI, without a hypervisor."""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "lib"))
import metal  # noqa: E402
import tap  # noqa: E402


def runtime(intc, bios):
    program = metal.guest(HERE / "runtime.c", base=metal.UNDER_FIRMWARE)
    output = metal.run(program, intc=intc, bios=bios)
    tap.check("runtime: 12 of 12 are fine; |   42|000ab|-7|c|text|%|\n" in output, output[-2000:])


def hello(bios):
    program = metal.guest(metal.EXAMPLES / "two" / "hello.c", base=metal.UNDER_FIRMWARE)
    output = metal.run(program, bios=bios)
    tap.check(output.endswith("".join(f"tick {n}\n" for n in range(1, 6)) + "done\n"), output[-2000:])


for machine in metal.MACHINES:
    for name in metal.FIRMWARES:
        tap.add(f"the runtime works with {machine} under the OpenSBI of {name}", runtime, machine, name)
for name in metal.FIRMWARES:
    tap.add(f"the first example runs on a whole board under the OpenSBI of {name}", hello, name)
tap.main(sys.argv[1:])
