#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Windows, restarts and the start of cosm-metal in instructions, held below what is promised. Figures on request:
--figures prints them as Markdown."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "lib"))
import metal_figures as figures  # noqa: E402
import metal  # noqa: E402
import tap  # noqa: E402

CORE = pathlib.Path(metal.COSM).resolve().parents[1] / "src" / "metal" / "cosm-metal.elf"
# what: (how it is measured, at most)
PROMISES = {
    "jitter of a window's start, PLIC": (lambda: figures.jitter("plic"), 100),
    "jitter of a window's start, AIA": (lambda: figures.jitter("aia"), 100),
    "cold restart of 256 KiB": (lambda: figures.restart("restart"), 1_000_000),
    "warm restart": (lambda: figures.restart("warm"), 1_000_000),
    "entry to first partition's instruction, without SHA-256": (lambda: figures.boot(CORE), 200_000),
}


def holds(what):
    measure, most = PROMISES[what]
    found = measure()
    tap.check(found <= most, f"{what}: {found} instructions, more than {most}")


def main():
    if "--figures" not in sys.argv:
        for what in PROMISES:
            tap.add(what, holds, what)
        tap.main(sys.argv[1:])
        return
    print("| | instructions | promised |\n|---|---|---|")
    for what, (measure, most) in PROMISES.items():
        print(f"| {what} | {measure()} | {most} |")
    for intc in ("plic", "aia"):
        for name, most in figures.costs(intc).items():
            print(f"| {name}, {intc.upper()} | {most} | |")


main()
