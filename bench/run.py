#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Figures of cosm beside QEMU's and the PC's on the same programs, taken in turn in one run; Markdown and JSON."""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "lib"))
import world  # noqa: E402
import figures  # noqa: E402
import guest  # noqa: E402  (tools/)
import newer  # noqa: E402
import suite  # noqa: E402
from report import say  # noqa: E402

# (option, in an ordinary run, in a quick one, what it is)
AMOUNTS = [
    ("runs", 3, 1, "runs of each kind, each with guests of its own"),
    ("iterations", 1000, 200, "of the integer loop"),
    ("turns", 4, 3, "of every row of the table in a run, in each of which all machines are asked one after the other"),
    ("time", 200, 50, "milliseconds a row and turn, after a warm-up of a quarter of it"),
    ("life", 3, 0, "runs of Debian's start and of the compiler, minutes each; at most as many as of the rest"),
    ("idle", 10, 3, "seconds for which an idle guest is watched"),
]


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cosm", default=world.COSM, help="the program to measure")
    parser.add_argument("--quick", action="store_true", help="about three minutes: fewer runs, shorter ones")
    for option, usual, quick, text in AMOUNTS:
        parser.add_argument(f"--{option}", type=int, help=f"{text} (default {usual}, quick {quick})")
    parser.add_argument("--part", choices=["figures", "programs", "life"],
                        help="boots, loop and idle guest alone; the table; or Debian's start and the compiler")
    parser.add_argument("--only", action="append", metavar="WORD", help="rows of the table whose name holds a word")
    parser.add_argument("--machines", action="append", metavar="NAME", help="of: cosm-interp cosm-jit1 cosm-jit qemu "
                        "qemu-new qemu-user native (default: all there are)")
    parser.add_argument("--newer", metavar="SUITE", help="Debian suite whose QEMU is compared with too, obtained "
                        "once, about 50 MB; or none (default sid, quick none)")
    parser.add_argument("--output", default=ROOT / "build" / "bench", type=pathlib.Path, help="folder for the results")
    args = parser.parse_args()
    for option, usual, quick, _ in AMOUNTS:
        if getattr(args, option) is None:
            setattr(args, option, quick if args.quick else usual)
        if getattr(args, option) < (option != "life"):
            parser.error(f"--{option} must be at least 1")
    args.cosm = os.path.abspath(args.cosm)
    args.newer = args.newer or ("none" if args.quick else "sid")
    if args.part == "life" or args.only:
        args.life = max(args.life, 1)
    if args.part != "life" and (args.only or args.machines):
        args.part = "programs"
    return args


def newer_qemu(args):
    """The root folder of another Debian's QEMU, or None: the figures are worth having without it."""
    if args.newer == "none" or args.part == "figures" or (args.machines and "qemu-new" not in args.machines):
        return None
    try:
        return newer.ensure(args.newer)
    except (guest.Failure, OSError) as failure:
        say(f"bench: no QEMU of {args.newer}: {failure}")
        return None


def markdown(result):
    out = f"# Figures\n\nTaken {result['date']} on {result['host']}. Ratios are medians of the ratios of each round.\n\n"
    if "programs" in result:
        out += suite.markdown(result["programs"]) + "\n"
    if "boot" in result:
        out += figures.markdown(result)
    return out


def main():
    args = parse()
    try:
        linux = guest.ensure("linux", "trixie")
    except guest.Failure as failure:
        sys.exit(f"bench: {failure}")
    result = {"date": time.strftime("%Y-%m-%d"), "host": f"{os.cpu_count()} cores, Linux {os.uname().release}"}
    args.qemu_root = newer_qemu(args)
    with tempfile.TemporaryDirectory() as name:
        if args.part != "figures":
            result["programs"] = suite.Suite(args, linux, pathlib.Path(name)).run()
        if args.part in (None, "figures"):
            result.update(figures.run(args, linux, pathlib.Path(name)))
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "figures.json").write_text(json.dumps(result, indent=2) + "\n")
    (args.output / "figures.md").write_text(markdown(result))
    print(markdown(result))
    if result.get("programs", {}).get("problems"):
        sys.exit(1)


if __name__ == "__main__":
    main()
